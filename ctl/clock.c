/* SPDX-License-Identifier: MIT
 *
 * The clock that deadlines are measured by.
 */
#include "ctl/clock.h"

#include <math.h>
#include <time.h>

static double read_clock(clockid_t which)
{
    struct timespec t;

    clock_gettime(which, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double clock_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

double clock_unix(void)
{
    return read_clock(CLOCK_REALTIME);
}

double clock_sooner(double a, double b)
{
    return a < b ? a : b;
}

int clock_poll_timeout(double deadline)
{
    double left;

    if (isinf(deadline))
        return -1;
    left = (deadline - clock_now()) * 1000;
    if (left <= 0)
        return 0;
    /* poll() is simply called again when this is cut. */
    return left >= 1e6 ? 1000000 : (int)left + 1;
}
