/* SPDX-License-Identifier: MIT
 *
 * MPI's return codes as xfer errors.
 */
#ifndef XFER_DAEMON_LINK_MPI_ERROR_H
#define XFER_DAEMON_LINK_MPI_ERROR_H

#include <mpi.h>

#include "proto/error.h"

/* 0 for MPI_SUCCESS; else -1 and XFER_PEER_DOWN with MPI's own text. */
static inline int mpi_check(int rc, const char *what, struct xfer_error *err)
{
    char text[MPI_MAX_ERROR_STRING];
    int len = 0;

    if (rc == MPI_SUCCESS)
        return 0;
    if (MPI_Error_string(rc, text, &len) != MPI_SUCCESS)
        len = 0;
    return error_set(err, XFER_PEER_DOWN, "%s: %.*s", what, len, text);
}

#endif
