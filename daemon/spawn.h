/* SPDX-License-Identifier: MIT
 *
 * Child processes of the supervisor: each in a session of its own, with nothing to read but what it
 * is given, and ended when the supervisor dies.
 */
#ifndef XFER_DAEMON_SPAWN_H
#define XFER_DAEMON_SPAWN_H

#include <sys/types.h>

#include "proto/error.h"

struct spawn_options {
    const char *path; /* looked for in PATH where it has no slash */
    char *const *argv, *const *envp;
    int death_signal; /* what it gets when this process dies */
    int output;       /* a descriptor for its output and errors; -1: our standard error */
    int input;        /* one for its standard input; 0: it has nothing to read */
    int nice;         /* by how much it is nicer than this process */
};

/* Returns its pid; -1 when it could not be executed. The event loop waits for it. */
pid_t spawn_start(const struct spawn_options *options, struct xfer_error *err);

/* The same for a program that may lie where executing it hangs: nothing is waited for. *report, the
 * caller's, is what spawn_report() reads when the process has ended. */
pid_t spawn_start_unwatched(const struct spawn_options *options, int *report,
                            struct xfer_error *err);
/* The errno with which it could not be executed; 0: it could. */
int spawn_report(int report);

#endif
