/* SPDX-License-Identifier: MIT
 *
 * The clock that deadlines are measured by.
 */
#ifndef XFER_CTL_CLOCK_H
#define XFER_CTL_CLOCK_H

/* Seconds of a clock that never jumps; only differences mean something. */
double clock_now(void);

/* Unix time in seconds. */
double clock_unix(void);

/* The earlier of two moments, the shorter of two spans. */
double clock_sooner(double a, double b);

/* Milliseconds from now to that moment of clock_now() for poll(): rounded up, 0 when it is past, -1
 * when infinite. */
int clock_poll_timeout(double deadline);

#endif
