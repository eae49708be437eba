/* SPDX-License-Identifier: MIT
 *
 * What xferctl top shows, as lines of text: the daemon, its jobs, the history of its rate. Only
 * text comes out of here; a screen or a pipe takes it.
 */
#ifndef XFER_CTL_TOP_VIEW_H
#define XFER_CTL_TOP_VIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/control_reply.h"

/* Nothing is owned. */
struct top_view {
    const struct control_hello *hello;
    const struct control_stats *stats;
    const struct control_job *jobs; /* running ones, queued ones, ended ones */
    size_t n_jobs;
    double rate;           /* bytes a second, of all */
    const double *history; /* of the rate, the oldest first */
    size_t n_history;
    bool waiting;    /* the daemon does not answer; what is shown is old */
    double interval; /* seconds */
    double now;      /* Unix time */
};

struct top_look {
    int rows, cols; /* of the screen; 0: lines may be many, and long */
    bool color;
    bool utf8; /* other characters than ASCII can be shown */
};

/* Lines, each ended by LF: on a screen at most rows, none wider than cols. The caller frees; NULL:
 * no memory. */
char *top_view_format(const struct top_view *view, const struct top_look *look);

#endif
