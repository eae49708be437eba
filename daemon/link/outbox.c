/* SPDX-License-Identifier: MIT
 *
 * See outbox.h. Only the oldest request is tested: messages to one peer leave in order but for
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
    MPI_Request request;
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
    o->next = NULL;
    o->chunk = NULL;
    if (len > 0)
        memcpy(o->msg, msg, len);
    return started(box, o,
                   MPI_Isend(o->msg, (int)len, MPI_BYTE, box->peer, tag, box->comm, &o->request),
                   "MPI_Isend", err);
}

int outbox_send_chunk(struct outbox *box, int tag, struct chunk *chunk, struct xfer_error *err)
{
    struct outgoing *o = malloc(sizeof(*o));

    if (!o)
        return error_set_errno(err, ENOMEM, "chunk");
    o->next = NULL;
    o->chunk = chunk;
    return started(
        box, o,
        MPI_Issend(chunk->data, (int)chunk->len, MPI_BYTE, box->peer, tag, box->comm, &o->request),
        "MPI_Issend", err);
}

int outbox_poll(struct outbox *box, struct chunk **chunk, struct xfer_error *err)
{
    struct outgoing *o = box->first;
    int done = 0;

    *chunk = NULL;
    if (!o)
        return 0;
    if (mpi_check(MPI_Test(&o->request, &done, MPI_STATUS_IGNORE),
                  "MPI_Test of a message on its way out", err))
        return -1;
    if (!done)
        return 0;
    *chunk = o->chunk;
    box->first = o->next;
    if (!box->first)
        box->last = NULL;
    box->count--;
    free(o);
    return 1;
}

void outbox_abandon(struct outbox *box)
{
    struct outgoing *o, *next;

    for (o = box->first; o; o = next) {
        int done = 0;

        next = o->next;
        /* What has left in the meantime is freed; a message that MPI still reads from must stay
         * where it is. */
        if (MPI_Test(&o->request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && done)
            free(o);
    }
    box->first = box->last = NULL;
    box->count = 0;
}
