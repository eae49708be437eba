/* SPDX-License-Identifier: MIT
 *
 * How long to wait before something that died is started again: not at all after single deaths,
 * longer and longer when they pile up. Pure arithmetic; the caller brings the time, in seconds.
 */
#ifndef XFER_DAEMON_BACKOFF_H
#define XFER_DAEMON_BACKOFF_H

struct backoff {
    double delay;  /* the last one that was not 0; 0: none lately */
    double tokens; /* starts that may still follow at once */
};

void backoff_init(struct backoff *b);

/* lived: how long it was of use this time; negative: it never was. Returns seconds. */
double backoff_next(struct backoff *b, double lived);

#endif
