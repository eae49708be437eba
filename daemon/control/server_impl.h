/* SPDX-License-Identifier: MIT
 *
 * The server, for the files that make it up: server.c (its parts, and its end), server_jobs.c (what
 * becomes of jobs), server_conf.c (settings that change).
 */
#ifndef XFER_DAEMON_CONTROL_SERVER_IMPL_H
#define XFER_DAEMON_CONTROL_SERVER_IMPL_H

#include "daemon/control/control.h"
#include "daemon/control/server.h"

struct server {
    struct control control;
    size_t clients_max, handles_max;
    struct admins *admins;
    const struct server_errands *errands;
    void *errands_user;
    bool hooked; /* ends of jobs are to be told */
    struct acceptor *acceptor;
    bool given_up;       /* the time for an orderly end is over */
    ev_timer stop_timer; /* when it is over */
    ev_timer stopped;    /* the end, told from the loop */
    void (*done)(void *user);
    void *user;
};

/* server.c */
void server_look_stopped(struct server *s); /* something that the end may wait for has happened */

/* server_jobs.c; user is the server */
extern const struct queue_events server_queue_events;
extern const struct scheduler_events server_scheduler_events;
void server_set_stopping(struct xfer_error *err);

#endif
