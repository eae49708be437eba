/* SPDX-License-Identifier: MIT
 *
 * Whether a failed attempt is worth another, and when. Pure functions.
 */
#ifndef XFER_DAEMON_CONTROL_RETRY_H
#define XFER_DAEMON_CONTROL_RETRY_H

#include <stdint.h>

#include "proto/error.h"

struct retry_policy {
    double delay;     /* seconds before the first repetition; doubles from one to the next */
    double delay_max; /* up to this, jitter apart */
};

enum retry_kind {
    RETRY_NEVER,   /* the job has failed */
    RETRY_FREE,    /* nothing was wrong with the job: doesn't count */
    RETRY_COUNTED, /* as often as the job may */
};
enum retry_kind retry_kind(enum xfer_code code);

/* Seconds until the next attempt after so many failures (1 or more). random: 0 up to but not 1;
 * spreads them by a quarter either way, so that jobs that failed together don't come back
 * together. */
double retry_delay(const struct retry_policy *policy, int64_t failures, double random);

/* No delay is longer. */
double retry_longest(const struct retry_policy *policy);

#endif
