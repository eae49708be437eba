/* SPDX-License-Identifier: MIT
 *
 * MPI requests under way, looked at all together. Each MPI_Test() of one that has not completed
 * lets MPI look for progress everywhere; one MPI_Testsome() of all of them does that once.
 */
#ifndef XFER_DAEMON_LINK_REQUESTS_H
#define XFER_DAEMON_LINK_REQUESTS_H

#include <mpi.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/error.h"
#include "proto/limits.h"

/* One send or receive. Whoever owns it starts it, has it looked at, and takes it when it is done.
 */
struct request {
    MPI_Request mpi; /* MPI_REQUEST_NULL: not under way */
    MPI_Status status;
    bool done; /* it has completed, and was not taken yet: status is valid */
};

/* So many of the sends and of the data receives of one lane are looked at at once. */
#define REQUESTS_AHEAD 4
#define REQUESTS_MAX   ((XFER_LANES_MAX + 1) * (2 * REQUESTS_AHEAD + 5))

/* Those that one look is for. */
struct requests {
    unsigned n;
    struct request *of[REQUESTS_MAX];
    MPI_Request mpi[REQUESTS_MAX];
    MPI_Status statuses[REQUESTS_MAX];
    int indices[REQUESTS_MAX];
};

/* Look at this one too. It stays where it is until requests_look(). One that is not under way, or
 * done already, is left out. */
void requests_add(struct requests *r, struct request *request);

/* Look at all that were added, and begin anew: those that have completed are done. */
int requests_look(struct requests *r, struct xfer_error *err);

/* What a receive that is done has brought: 1, its length and its tag; not done: 0; -1. It is no
 * longer done then. */
int request_take(struct request *request, size_t *len, int *tag, struct xfer_error *err);

/* Give up on one that was posted. */
void request_cancel(struct request *request);

#endif
