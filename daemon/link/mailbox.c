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
    m->request = MPI_REQUEST_NULL;
}

int mailbox_post(struct mailbox *m, struct xfer_error *err)
{
    return mpi_check(
        MPI_Irecv(m->buf, sizeof(m->buf), MPI_BYTE, m->peer, m->tag, m->comm, &m->request),
        "MPI_Irecv", err);
}

int mailbox_poll(struct mailbox *m, size_t *len, int *tag, struct xfer_error *err)
{
    MPI_Status status;
    int done = 0, count = 0;

    if (mpi_check(MPI_Test(&m->request, &done, &status), "MPI_Test of a message on its way in",
                  err))
        return -1;
    if (!done)
        return 0;
    if (mpi_check(MPI_Get_count(&status, MPI_BYTE, &count), "MPI_Get_count", err))
        return -1;
    *len = (size_t)count;
    *tag = status.MPI_TAG;
    return 1;
}

void mailbox_cancel(MPI_Request *request)
{
    if (*request == MPI_REQUEST_NULL)
        return;
    MPI_Cancel(request);
    MPI_Request_free(request);
}
