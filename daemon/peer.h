/* SPDX-License-Identifier: MIT
 *
 * When both ranks are to be started again: after a delay, and where rank 1 lives on another host
 * only when that one answers. It is asked by the command by which Open MPI would log in there, with
 * the harmless command "true", again and again until it succeeds. Runs on the supervisor's loop.
 */
#ifndef XFER_DAEMON_PEER_H
#define XFER_DAEMON_PEER_H

#include <ev.h>

#include "daemon/launch.h"
#include "proto/error.h"

struct peer;

struct peer_options {
    struct ev_loop *loop; /* the default one: it has the child processes */
    const struct launch_options *launch;
    double limit;            /* seconds that a question may take */
    void (*due)(void *user); /* both ranks are to be started; once after each peer_wait() */
    void *user;
};

struct peer *peer_create(const struct peer_options *options, struct xfer_error *err);
void peer_destroy(struct peer *peer); /* NULL is fine */

/* Begin to wait, at least that many seconds. */
void peer_wait(struct peer *peer, double delay);
void peer_cancel(struct peer *peer);

#endif
