/* SPDX-License-Identifier: MIT
 *
 * The processes of one generation: the launcher with both ranks, or rank 0 alone while the other
 * one cannot be had. The supervisor has one at a time; what it means for it that they come and go
 * is its own business.
 */
#ifndef XFER_DAEMON_GENERATION_H
#define XFER_DAEMON_GENERATION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/launch.h"
#include "daemon/ranks.h"
#include "proto/error.h"

struct generation {
    int64_t number;  /* from 1; the next one has the same if this one never was ready */
    bool alone;      /* rank 0 without the other one, our own child */
    pid_t process;   /* the launcher, or the lone rank; 0: not running */
    pid_t session;   /* of all its processes on this host */
    double ready_at; /* monotonic clock; 0: not yet */
    bool refused;    /* a rank said that it cannot serve */
    bool repeated;   /* ... as one of the last did: that was logged then */
};

/* Start the next one, of which nothing runs. -1 when that failed at once. */
int generation_start(struct generation *g, struct launch_options *launch, struct ranks *ranks,
                     bool alone, struct xfer_error *err);

/* SIGKILL to all that is known of it. */
void generation_kill(struct generation *g, struct ranks *ranks);

/* Is nothing left of it on this host? What is left is killed once its first process is gone. */
bool generation_is_gone(const struct generation *g, const struct ranks *ranks);

#endif
