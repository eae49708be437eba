/* SPDX-License-Identifier: MIT
 *
 * All connections together: whose turn it is to have requests run, whose output is to be written,
 * who is to be closed. Requests run in small slices, one client after the other, and no longer than
 * a few milliseconds a turn of the loop.
 */
#ifndef XFER_DAEMON_CONTROL_CLIENTS_H
#define XFER_DAEMON_CONTROL_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <ev.h>

#include "daemon/control/client.h"
#include "proto/control_request.h"
#include "proto/error.h"

struct admins;
struct clients;
struct reply;

struct clients_events {
    /* Run it and give the reply, now or later. The request is gone after the call. */
    void (*request)(void *user, struct reply *reply, const struct control_request *request);
    /* Little of its output is left: there is room for events. */
    void (*drained)(void *user, struct client *client);
    /* It is freed right after this. */
    void (*closed)(void *user, struct client *client);
    /* Everything that could be written has been written, for now. */
    void (*written)(void *user);
};

struct clients *clients_create(struct ev_loop *loop, const struct clients_events *events,
                               void *user, struct xfer_error *err);
void clients_destroy(struct clients *g); /* NULL is fine; closes all, closed() is called */

/* Where descriptors that they send are counted; NULL, as at first: none is taken. */
struct handles;
void clients_set_handles(struct clients *g, struct handles *handles);

/* A new connection; fd (non-blocking, CLOEXEC) is taken, on failure too. */
int clients_add(struct clients *g, int fd, uid_t uid, bool admin, struct xfer_error *err);

/* Who of them is an administrator, anew. */
void clients_set_admins(struct clients *g, const struct admins *admins);

/* Give this error to all who are owed a reply. */
void clients_fail(struct clients *g, const struct xfer_error *why);

size_t clients_count(const struct clients *g);
size_t clients_unsent(const struct clients *g); /* bytes, of all */

#endif
