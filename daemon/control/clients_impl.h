/* SPDX-License-Identifier: MIT
 *
 * What client.c and clients.c know of each other, and nobody else.
 */
#ifndef XFER_DAEMON_CONTROL_CLIENTS_IMPL_H
#define XFER_DAEMON_CONTROL_CLIENTS_IMPL_H

#include "daemon/control/clients.h"
#include "daemon/control/hangup.h"
#include "daemon/control/list.h"

struct clients {
    struct ev_loop *loop;
    struct clients_events events;
    void *user;
    struct hangup *hangup;
    struct handles *handles; /* NULL: descriptors are not taken */
    struct list all;         /* by client.link */
    struct list work;        /* have input to run */
    struct list flush;       /* have output to write, or may be done with */
    size_t count, owed, unsent;
    ev_timer work_turn, flush_turn; /* fed for this turn, started for the next */
};

/* The head of struct client, by which clients.c keeps its lists. */
struct client_links {
    struct list all, work, flush;
};

void clients_want_work(struct clients *g, struct client_links *c);
void clients_want_flush(struct clients *g, struct client_links *c);

struct client_links *client_create(struct clients *g, int fd, uid_t uid, bool admin);
void client_destroy(struct client_links *c);
/* Run some requests. True: there may be more to run at once. */
bool client_work(struct client_links *c);
/* Write; see what is to be done next. True: it is done with, and to be destroyed. */
bool client_flush(struct client_links *c);
/* All that is owed is given as that error. */
void client_fail(struct client_links *c, const struct xfer_error *why);
/* Is it one of these? One of whom the kernel does not tell that is none. */
void client_set_admin(struct client_links *c, const struct admins *admins);
/* The other end has gone for good. */
void client_gone(struct client_links *c);

#endif
