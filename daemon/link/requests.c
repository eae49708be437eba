/* SPDX-License-Identifier: MIT
 *
 * See requests.h.
 */
#include "daemon/link/requests.h"

#include <assert.h>

#include "daemon/link/mpi_error.h"

void requests_add(struct requests *r, struct request *request)
{
    if (request->done || request->mpi == MPI_REQUEST_NULL)
        return;
    assert(r->n < REQUESTS_MAX);
    r->of[r->n] = request;
    r->mpi[r->n] = request->mpi;
    r->n++;
}

int requests_look(struct requests *r, struct xfer_error *err)
{
    int n = (int)r->n, done = 0, rc;

    r->n = 0;
    rc = MPI_Testsome(n, r->mpi, &done, r->indices, r->statuses);
    /* which only says that one of them says why */
    for (int i = 0; i < done && rc == MPI_ERR_IN_STATUS; i++)
        if (r->statuses[i].MPI_ERROR != MPI_SUCCESS)
            rc = r->statuses[i].MPI_ERROR;
    if (mpi_check(rc, "MPI_Testsome", err))
        return -1;
    /* MPI_UNDEFINED, which is negative, where none was under way */
    for (int i = 0; i < done; i++) {
        struct request *request = r->of[r->indices[i]];

        request->mpi = MPI_REQUEST_NULL;
        request->status = r->statuses[i];
        request->done = true;
    }
    return 0;
}

int request_take(struct request *request, size_t *len, int *tag, struct xfer_error *err)
{
    int count = 0;

    if (!request->done)
        return 0;
    request->done = false;
    if (mpi_check(MPI_Get_count(&request->status, MPI_BYTE, &count), "MPI_Get_count", err))
        return -1;
    *len = (size_t)count;
    *tag = request->status.MPI_TAG;
    return 1;
}

void request_cancel(struct request *request)
{
    if (request->mpi == MPI_REQUEST_NULL)
        return;
    MPI_Cancel(&request->mpi);
    MPI_Request_free(&request->mpi);
}
