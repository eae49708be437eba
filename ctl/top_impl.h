/* SPDX-License-Identifier: MIT
 *
 * What the files of xferctl top share: cmd_top.c (options, signals, keys, the loop), top_ask.c
 * (what the daemon is asked and has answered), top_show.c (when that is shown, and how).
 */
#ifndef XFER_CTL_TOP_IMPL_H
#define XFER_CTL_TOP_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/ctl.h"
#include "proto/control_reply.h"

#define TOP_HISTORY  64  /* turns */
#define TOP_PATIENCE 1.0 /* seconds without an answer until it is told */

struct screen;
struct session;

struct top {
    struct ctl *ctl;
    struct session *session;
    struct screen *screen; /* NULL: lines are printed */
    int signal_fd;
    double interval;
    int64_t left; /* looks; negative: no end */
    bool utf8;

    bool asked;          /* this turn's replies are open */
    double next_at;      /* the next turn, or to connect again */
    double silent_since; /* the first question without an answer; 0: none */
    bool waiting;        /* that has been told */

    struct control_hello hello;
    struct control_stats stats;
    bool hello_known, stats_known, list_known; /* the latter two: in this turn */
    bool shown;                                /* there was a whole turn */
    char *stats_text;
    char **job_texts;
    struct control_job *jobs;
    size_t n_jobs;
    struct control_stats last; /* of the turn before */

    double rate;
    double history[TOP_HISTORY];
    size_t n_history;

    bool over;
    int exit_code;
};

/* cmd_top.c: it ends, with that exit code, or with the one of an error that is told. */
void top_finish(struct top *t, int exit_code);
void top_fail(struct top *t, const struct xfer_error *err);

/* top_ask.c: connect and ask, when it is time; take in what has come, without waiting for more. */
void top_ask(struct top *t, double now);
void top_take(struct top *t);
void top_forget(struct top *t);

/* top_show.c: a turn is complete; the screen has another size; nobody has answered for some time.
 */
void top_turn(struct top *t);
void top_redraw(struct top *t);
void top_look_silent(struct top *t, double now);

#endif
