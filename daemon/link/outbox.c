/* SPDX-License-Identifier: MIT
 *
 * See outbox.h. Only the oldest requests are looked at: messages to one peer leave in order but for
 * small ones overtaking, and those lose nothing by waiting for their turn.
 *
 * Chunks are sent synchronously. Small ones would be eager else: MPI would call them sent at once,
 * and a receiving rank that is slower than its sender would have to keep them, however many.
 */
#include "daemon/link/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/link/mpi_error.h"

struct outgoing {
    struct outgoing *next;
    struct request request;
    struct chunk *chunk;
    unsigned char msg[];
};

void outbox_init(struct outbox *box, MPI_Comm comm, int peer)
{
    *box = (struct outbox){.comm = comm, .peer = peer};
}

/* The send was started, or rc says why not. */
static int started(struct outbox *box, struct outgoing *o, int rc, const char *what,
                   struct xfer_error *err)
{
    if (mpi_check(rc, what, err)) {
        free(o);
        return -1;
    }
    if (box->last)
        box->last->next = o;
    else
        box->first = o;
    box->last = o;
    box->count++;
    return 0;
}

int outbox_send(struct outbox *box, int tag, const void *msg, size_t len, struct xfer_error *err)
{
    struct outgoing *o = malloc(sizeof(*o) + len);

    if (!o)
        return error_set_errno(err, ENOMEM, "message of %zu bytes", len);
    *o = (struct outgoing){0};
    if (len > 0)
        memcpy(o->msg, msg, len);
    return started(
        box, o, MPI_Isend(o->msg, (int)len, MPI_BYTE, box->peer, tag, box->comm, &o->request.mpi),
        "MPI_Isend", err);
}

int outbox_send_chunk(struct outbox *box, int tag, struct chunk *chunk, struct xfer_error *err)
{
    struct outgoing *o = malloc(sizeof(*o));

    if (!o)
        return error_set_errno(err, ENOMEM, "chunk");
    *o = (struct outgoing){.chunk = chunk};
    return started(box, o,
                   MPI_Issend(chunk->data, (int)chunk->len, MPI_BYTE, box->peer, tag, box->comm,
                              &o->request.mpi),
                   "MPI_Issend", err);
}

void outbox_add(struct outbox *box, struct requests *requests)
{
    struct outgoing *o = box->first;

    for (int i = 0; o && i < REQUESTS_AHEAD; i++, o = o->next)
        requests_add(requests, &o->request);
}

bool outbox_take(struct outbox *box, struct chunk **chunk)
{
    struct outgoing *o = box->first;

    *chunk = NULL;
    if (!o || !o->request.done)
        return false;
    *chunk = o->chunk;
    box->first = o->next;
    if (!box->first)
        box->last = NULL;
    box->count--;
    free(o);
    return true;
}

void outbox_abandon(struct outbox *box)
{
    struct outgoing *o, *next;

    for (o = box->first; o; o = next) {
        int done = o->request.done;

        next = o->next;
        /* What has left in the meantime is freed; a message that MPI still reads from must stay
         * where it is. */
        if (done || (MPI_Test(&o->request.mpi, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && done))
            free(o);
    }
    box->first = box->last = NULL;
    box->count = 0;
}
