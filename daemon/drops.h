/* SPDX-License-Identifier: MIT
 *
 * Hooks that are dropped: the first is told in the log at once, the others once a minute by their
 * number. On a loop's thread.
 */
#ifndef XFER_DAEMON_DROPS_H
#define XFER_DAEMON_DROPS_H

#include <stdint.h>
#include <ev.h>

struct drops {
    struct ev_loop *loop;
    const char *why; /* for people; borrowed */
    unsigned more;   /* since it was told last */
    ev_timer timer;  /* until it is told again */
};

void drops_init(struct drops *d, struct ev_loop *loop, const char *why);
void drops_count(struct drops *d, int64_t job);
/* What is not told yet is told now. */
void drops_end(struct drops *d);

#endif
