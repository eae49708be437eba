/* SPDX-License-Identifier: MIT
 *
 * The supervisor: owns the control socket and the runtime directory, starts the ranks, brings them
 * back, ends them.
 */
#ifndef XFER_DAEMON_SUPERVISE_H
#define XFER_DAEMON_SUPERVISE_H

#include "daemon/conf.h"
#include "daemon/reread.h"

struct supervise_options {
    const struct conf *conf;
    const char *program;     /* absolute path of xferd */
    reread_function *reread; /* for a reload */
    void *user;
};

/* Runs until stopped. Returns the exit status of the process. */
int supervise_run(const struct supervise_options *options);

#endif
