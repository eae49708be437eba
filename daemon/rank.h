/* SPDX-License-Identifier: MIT
 *
 * One rank from start to end: MPI, the event loop, the link, and then either the control socket and
 * the sender (rank 0) or the receiver (rank 1).
 */
#ifndef XFER_DAEMON_RANK_H
#define XFER_DAEMON_RANK_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/conf.h"
#include "daemon/reread.h"

struct rank_options {
    const char
        *handoff; /* path of the supervisor's channel; NULL: there is no supervisor on this host */
    const char
        *runtime; /* private directory of this daemon (0700); NULL: none, make one when needed */
    int64_t generation; /* from 1; 0: no supervisor */
    bool alone; /* rank 0 without the other one and without MPI: takes requests, which wait */
    int expected_rank; /* what the launcher said in the environment or arguments; -1: nothing */
    reread_function *reread; /* for a reload where there is no supervisor */
    void *reread_user;
};

/* Runs until stopped. argc, argv go to MPI_Init. Returns the exit status of the process. */
int rank_run(int *argc, char ***argv, const struct conf *conf, const struct rank_options *options);

#endif
