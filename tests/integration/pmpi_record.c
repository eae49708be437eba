/* SPDX-License-Identifier: MIT
 *
 * Records through MPI's profiling interface what a process sends: preloaded into the ranks, it
 * writes a line "RANK COMMUNICATOR TAG BYTES" for each MPI_Isend or MPI_Issend to the file
 * XFER_PMPI_LOG.RANK. Communicators are numbered in the order in which they were first used.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

#define COMMS_MAX 128

static FILE *out;
static int own_rank = -1;

static int comm_number(MPI_Comm comm)
{
    static MPI_Comm known[COMMS_MAX];
    static int n;
    int i = 0;

    while (i < n && known[i] != comm)
        i++;
    if (i == n && n < COMMS_MAX)
        known[n++] = comm;
    return i;
}

static void open_log(void)
{
    const char *base = getenv("XFER_PMPI_LOG");
    char path[4200];

    PMPI_Comm_rank(MPI_COMM_WORLD, &own_rank);
    if (!base)
        return;
    snprintf(path, sizeof(path), "%s.%d", base, own_rank);
    out = fopen(path, "we");
}

static void record(MPI_Comm comm, int tag, int count)
{
    if (own_rank < 0)
        open_log();
    if (out) {
        fprintf(out, "%d %d %d %d\n", own_rank, comm_number(comm), tag, count);
        fflush(out);
    }
}

int MPI_Isend(const void *buf, int count, MPI_Datatype type, int dest, int tag, MPI_Comm comm,
              MPI_Request *request)
{
    record(comm, tag, count);
    return PMPI_Isend(buf, count, type, dest, tag, comm, request);
}

int MPI_Issend(const void *buf, int count, MPI_Datatype type, int dest, int tag, MPI_Comm comm,
               MPI_Request *request)
{
    record(comm, tag, count);
    return PMPI_Issend(buf, count, type, dest, tag, comm, request);
}
