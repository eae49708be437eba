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

struct server_options {
    struct ev_loop *loop;
    const struct conf *conf;
    int listen_fd;     /* listening, CLOEXEC; stays the caller's */
    struct link *link; /* NULL: no peer */
    struct sender *sender;
    struct queue *queue; /* open; stays the caller's, who closes it after the server has gone */
    int64_t generation;  /* how often the ranks were started */
    char host[XFER_HOST_SIZE]; /* own host name */
};

/* The jobs of the queue are taken up before the socket is accepted from. */
struct server *server_create(const struct server_options *options, struct xfer_error *err);

/* The receiver holds something of these jobs: it is told which of them will never come back. */
void server_partials(struct server *server, const uint64_t *jobs, unsigned n);

/* The limits of a configuration that was read anew. What limits.set has said of the bandwidth holds
 * on, unless the configuration now says something else of it than before. At any time. */
void server_set_limits(struct server *server, const struct conf *conf);

/* Orderly end: no more requests are taken (XFER_STOPPING), waiting replies of unfinished jobs are
 * told so, running transfers are cancelled as XFER_STOPPING. done(user) is called on the loop's
 * thread when nothing runs any more, everything is recorded, and replies are written (or given up:
 * bounded by seconds). */
void server_stop(struct server *server, double seconds, void (*done)(void *user), void *user);

void server_destroy(struct server *server); /* NULL is fine */

#endif
