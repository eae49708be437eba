/* SPDX-License-Identifier: MIT
 *
 * The limits as they hold now, from where they come (the configuration, limits.set) to where they
 * are kept to (the sender, the queue). Rank 0, the loop's thread.
 */
#ifndef XFER_DAEMON_CONTROL_LIMITS_H
#define XFER_DAEMON_CONTROL_LIMITS_H

#include "daemon/conf.h"
#include "daemon/control/control.h"

/* At start: queue and sender are there. */
void limits_init(struct control *c, const struct conf *conf);
/* A configuration that was read anew. What limits.set has said of the bandwidth holds on, unless
 * the configuration now says something else of it than before. */
void limits_change(struct control *c, const struct conf *conf);
/* They may have changed: pass them on. */
void limits_apply(struct control *c);

void limits_now(const struct control *c, struct control_limits *limits);

#endif
