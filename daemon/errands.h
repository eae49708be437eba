/* SPDX-License-Identifier: MIT
 *
 * What rank 0 has others do: the supervisor reads the configuration again and runs the hooks. Where
 * there is no supervisor, rank 0 has a worker read the configuration, and there are no hooks. The
 * loop's thread of rank 0.
 */
#ifndef XFER_DAEMON_ERRANDS_H
#define XFER_DAEMON_ERRANDS_H

#include <ev.h>

#include "daemon/conf.h"
#include "daemon/control/server.h"
#include "daemon/handoff.h"
#include "daemon/reread.h"
#include "daemon/work/pool.h"

struct errands;

struct errands_options {
    const int *handoff_fd; /* the supervisor's channel; -1: there is none, or no more */
    struct ev_loop *loop;
    struct pool *pool;       /* NULL without a link */
    struct conf *conf;       /* in effect; without a supervisor it changes with a reload ... */
    reread_function *reread; /* ... that is done by this; NULL with one */
    void *reread_user;
    void (*changed)(void *user); /* ... and is told */
    void *user;
};

struct errands *errands_create(const struct errands_options *options, struct xfer_error *err);
void errands_destroy(struct errands *e); /* NULL is fine; the server is gone */

/* For struct server_options, with the errands as user. */
extern const struct server_errands errands_of_server;
/* Who is told of what has been done. */
void errands_serve(struct errands *e, struct server *server);

/* Before the supervisor's channel is closed: what it was to be told is dropped. */
void errands_hang_up(struct errands *e);

/* What the supervisor has sent: RELOADED. */
void errands_take(struct errands *e, const struct handoff_message *m);

#endif
