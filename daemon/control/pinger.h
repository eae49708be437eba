/* SPDX-License-Identifier: MIT
 *
 * system.ping: questions over the link, never more than one at a time, whoever asks. Rank 0, the
 * loop's thread.
 */
#ifndef XFER_DAEMON_CONTROL_PINGER_H
#define XFER_DAEMON_CONTROL_PINGER_H

#include "daemon/control/reply.h"
#include "daemon/link/link.h"

struct pinger;

/* link NULL: every answer is XFER_PEER_DOWN. */
struct pinger *pinger_create(struct link *link, struct xfer_error *err);
/* NULL is fine. A question may still be out: the link must be destroyed before the loop runs again.
 */
void pinger_destroy(struct pinger *p);

/* Ask, and give the reply: within XFER_PING_SECONDS. */
void pinger_ask(struct pinger *p, struct reply *reply);
/* Give this to all who wait. */
void pinger_fail(struct pinger *p, const struct xfer_error *why);

#endif
