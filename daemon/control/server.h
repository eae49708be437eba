/* SPDX-License-Identifier: MIT
 *
 * The control service of rank 0: accepts on the listening socket, reads requests, answers them,
 * starts jobs as the queue allows. Works without a link too (then jobs wait).
 */
#ifndef XFER_DAEMON_CONTROL_SERVER_H
#define XFER_DAEMON_CONTROL_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <ev.h>

#include "daemon/conf.h"
#include "daemon/control/queue.h"
#include "daemon/link/link.h"
#include "daemon/send/sender.h"
#include "proto/error.h"

struct server;

/* What the server has done by the process around it; nothing of it blocks. */
struct server_errands {
    /* Have the configuration read again. server_apply_conf() may follow, and server_reloaded()
     * does, soon or late, never from within. Not called again before that. */
    int (*reload)(void *user, struct xfer_error *err);
    /* A job has ended, which is recorded, and there is a hook. line: its job object and an LF. */
    void (*ended)(void *user, int64_t job, enum job_state state, const char *line);
};

struct server_options {
    struct ev_loop *loop;
    const struct conf *conf;
    int listen_fd;     /* listening, CLOEXEC; stays the caller's */
    struct link *link; /* NULL: no peer */
    struct sender *sender;
    struct pool *pool;            /* for what clients hand over; NULL: they can't */
    struct source_policy *policy; /* of that; NULL: everything goes */
    struct queue *queue; /* open; stays the caller's, who closes it after the server has gone */
    int64_t generation;  /* how often the ranks were started */
    char host[XFER_HOST_SIZE];            /* own host name */
    const struct server_errands *errands; /* NULL: none */
    void *errands_user;
};

/* The jobs of the queue are taken up before the socket is accepted from. */
struct server *server_create(const struct server_options *options, struct xfer_error *err);

/* The receiver holds something of these jobs: it is told which of them will never come back. */
void server_partials(struct server *server, const uint64_t *jobs, unsigned n);

/* What can change of these settings while the daemon runs holds from now on. Names of
 * administrators were resolved (admins_resolve()). */
void server_apply_conf(struct server *server, const struct conf *conf);
/* What was asked for by reload() is done: names of keys, separated by ", ". why: it failed. */
void server_reloaded(struct server *server, const char *changed, const char *restart,
                     const struct xfer_error *why);

/* Orderly end: no more requests are taken (XFER_STOPPING), waiting replies of unfinished jobs are
 * told so, running transfers are cancelled as XFER_STOPPING. done(user) is called on the loop's
 * thread when nothing runs any more, everything is recorded, and replies are written (or given up:
 * bounded by seconds). */
void server_stop(struct server *server, double seconds, void (*done)(void *user), void *user);

void server_destroy(struct server *server); /* NULL is fine */

#endif
