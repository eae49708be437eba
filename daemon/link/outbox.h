/* SPDX-License-Identifier: MIT
 *
 * Nonblocking sends under way on one communicator, in their order: a queue of requests with what
 * must stay in memory until each of them has completed.
 */
#ifndef XFER_DAEMON_LINK_OUTBOX_H
#define XFER_DAEMON_LINK_OUTBOX_H

#include <mpi.h>
#include <stddef.h>

#include "daemon/link/lane.h"
#include "daemon/link/requests.h"
#include "proto/error.h"

struct outbox {
    MPI_Comm comm;
    int peer;
    struct outgoing *first, *last;
    unsigned count;
};

void outbox_init(struct outbox *box, MPI_Comm comm, int peer);

/* Send a copy of msg[0,len). */
int outbox_send(struct outbox *box, int tag, const void *msg, size_t len, struct xfer_error *err);

/* Send the chunk itself; it comes back from outbox_take() when the other side has begun to take it,
 * however small it is. */
int outbox_send_chunk(struct outbox *box, int tag, struct chunk *chunk, struct xfer_error *err);

/* Have the oldest ones looked at. */
void outbox_add(struct outbox *box, struct requests *requests);

/* Take out the oldest one, if it has left by the last look: true, and *chunk is its chunk or NULL.
 */
bool outbox_take(struct outbox *box, struct chunk **chunk);

/* Give up on all of them: what MPI still holds is left to it (the process is about to end). */
void outbox_abandon(struct outbox *box);

#endif
