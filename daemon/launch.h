/* SPDX-License-Identifier: MIT
 *
 * How ranks are started: the launcher's command line and environment, and the launcher as a child
 * process; rank 0 alone; and the question whether the other host can be logged in to. The only
 * place that knows one MPI's launcher from another's.
 */
#ifndef XFER_DAEMON_LAUNCH_H
#define XFER_DAEMON_LAUNCH_H

#include <stdint.h>
#include <sys/types.h>

#include "daemon/conf.h"
#include "proto/error.h"

struct launch_options {
    const struct conf *conf;
    const char *launcher; /* its path */
    int open_mpi;         /* major version of Open MPI; 0: another MPI */
    const char *program;  /* absolute path of xferd, on the peer's host too */
    const char *runtime;  /* runtime_path() */
    const char *shared;   /* runtime_shared() */
    const char *handoff;  /* runtime_handoff() */
    int64_t generation;
};

/* The path of the launcher that was chosen when xfer was built (XFER_MPIEXEC: a path, or a name to
 * be found in PATH), and which MPI's it is. */
int launch_find(char path[XFER_PATH_SIZE], int *open_mpi, struct xfer_error *err);

/* argv and environment, ended by NULL, for launch_free(). NULL: no memory. from: an environment to
 * start from. */
char **launch_arguments(const struct launch_options *options, struct xfer_error *err);
char **launch_alone_arguments(const struct launch_options *options, struct xfer_error *err);
char **launch_probe_arguments(const struct launch_options *options, struct xfer_error *err);
char **launch_environment(const struct launch_options *options, char *const *from,
                          struct xfer_error *err);
void launch_free(char **list);

/* Start it: in a session of its own, with nothing to read, its output on our stderr, and ended when
 * this process dies. Returns its pid; -1 when it could not be executed. */
pid_t launch_start(const struct launch_options *options, struct xfer_error *err);

/* The same for rank 0 without the other one and without MPI. */
pid_t launch_start_alone(const struct launch_options *options, struct xfer_error *err);

/* The same for the command that logs in to the other host and does nothing there: it ends with 0
 * when that host answers. What it says goes to output. */
pid_t launch_start_probe(const struct launch_options *options, int output, struct xfer_error *err);

#endif
