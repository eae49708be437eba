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
    int n = (int)r->n, done = 0;

    r->n = 0;
    if (mpi_check(MPI_Testsome(n, r->mpi, &done, r->indices, r->statuses), "MPI_Testsome", err))
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

void request_cancel(struct request *request)
{
    if (request->mpi == MPI_REQUEST_NULL)
        return;
    MPI_Cancel(&request->mpi);
    MPI_Request_free(&request->mpi);
}
