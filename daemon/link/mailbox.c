/* SPDX-License-Identifier: MIT
 *
 * See mailbox.h.
 */
#include "daemon/link/mailbox.h"

#include "daemon/link/mpi_error.h"

void mailbox_init(struct mailbox *m, MPI_Comm comm, int peer, int tag)
{
    m->comm = comm;
    m->peer = peer;
    m->tag = tag;
    m->request = (struct request){.mpi = MPI_REQUEST_NULL};
}

int mailbox_post(struct mailbox *m, struct xfer_error *err)
{
    return mpi_check(
        MPI_Irecv(m->buf, sizeof(m->buf), MPI_BYTE, m->peer, m->tag, m->comm, &m->request.mpi),
        "MPI_Irecv", err);
}

int mailbox_take(struct mailbox *m, size_t *len, int *tag, struct xfer_error *err)
{
    return request_take(&m->request, len, tag, err);
}
