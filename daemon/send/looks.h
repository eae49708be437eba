/* SPDX-License-Identifier: MIT
 *
 * The questions of all trees to the receiver: what is at these names (LOOK and LOOKED of wire.h).
 * At most XFER_LOOKS_MAX are unanswered, trees take turns, and a question is put together only when
 * it can leave: so it takes along all that has come up meanwhile. Rank 0, the loop's thread.
 */
#ifndef XFER_DAEMON_SEND_LOOKS_H
#define XFER_DAEMON_SEND_LOOKS_H

#include "daemon/link/link.h"
#include "proto/wire.h"

struct looks;

/* Who asks; embedded there, zeroed at first. */
struct looks_client {
    /* Put a question together: all of look but its number. false: there is nothing to ask (any
     * more). *what is handed to looked(). */
    bool (*fill)(struct looks_client *client, struct wire_look *look, void **what);
    /* Its answer, with as many entries. */
    void (*looked)(struct looks_client *client, void *what, const struct wire_looked *answer);
    unsigned unanswered;
    struct looks_client *next; /* of those whose turn comes */
    bool waits;
};

struct looks *looks_create(struct link *link, struct xfer_error *err);
void looks_destroy(struct looks *looks); /* nobody is told any more; NULL is fine */

/* It has something to ask: fill() is called, now or when its turn comes, as long as it says so. */
void looks_want(struct looks *looks, struct looks_client *client);
/* It asks no more; what is unanswered is still told. */
void looks_leave(struct looks *looks, struct looks_client *client);

/* One that answers no question, or can't be its answer, breaks the link. */
void looks_answered(struct looks *looks, const struct wire_looked *answer);

#endif
