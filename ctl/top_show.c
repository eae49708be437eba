/* SPDX-License-Identifier: MIT
 *
 * xferctl top: what a turn means, and how it is shown.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/clock.h"
#include "ctl/screen.h"
#include "ctl/session.h"
#include "ctl/top_impl.h"
#include "ctl/top_view.h"

/* ---- the rate
 * ------------------------------------------------------------------------------------- */

static void remember_rate(struct top *t, double rate)
{
    if (t->n_history == TOP_HISTORY)
        memmove(t->history, t->history + 1, --t->n_history * sizeof(*t->history));
    t->history[t->n_history++] = rate;
}

/* By the daemon's own clock: how long an answer took makes no difference. What the running jobs
 * tell is all there is at first, or from a daemon that does not count. */
static void measure_rate(struct top *t)
{
    double passed = t->stats.uptime - t->last.uptime;
    int64_t bytes = t->stats.attempts_bytes - t->last.attempts_bytes;

    t->rate = 0;
    if (t->shown && t->stats.attempts_bytes >= 0 && t->last.attempts_bytes >= 0 && passed > 0 &&
        bytes >= 0) {
        t->rate = (double)bytes / passed;
    } else {
        for (size_t i = 0; i < t->n_jobs; i++)
            if (t->jobs[i].state == JOB_RUNNING)
                t->rate += t->jobs[i].rate;
    }
    remember_rate(t, t->rate);
    t->last = t->stats;
}

/* ---- what is shown
 * -------------------------------------------------------------------------------- */

static void print_json(struct top *t)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    if (!to)
        return;
    fprintf(to, "{\"stats\":%s,\"jobs\":[", t->stats_text);
    for (size_t i = 0; i < t->n_jobs; i++)
        fprintf(to, "%s%s", i ? "," : "", t->job_texts[i]);
    fputs("]}", to);
    if (fclose(to) == 0)
        output_text(t->ctl->out, text);
    free(text);
}

static void show(struct top *t)
{
    struct xfer_error err = XFER_ERROR_INIT;
    const struct top_view view = {.hello = &t->hello,
                                  .stats = &t->stats,
                                  .jobs = t->jobs,
                                  .n_jobs = t->n_jobs,
                                  .rate = t->rate,
                                  .history = t->history,
                                  .n_history = t->n_history,
                                  .waiting = t->waiting,
                                  .interval = t->interval,
                                  .now = clock_unix()};
    struct top_look look = {.color = output_color(t->ctl->out), .utf8 = t->utf8};
    char *text;

    if (t->screen)
        screen_size(t->screen, &look.rows, &look.cols);
    text = top_view_format(&view, &look);
    if (text && !t->screen)
        output_text(t->ctl->out, text); /* its LF makes the line between blocks */
    else if (text && screen_draw(t->screen, text, &err))
        top_fail(t, &err);
    free(text);
}

/* On a screen before the first answer there is nothing to be drawn yet. */
void top_redraw(struct top *t)
{
    if (t->screen && t->shown)
        show(t);
}

void top_turn(struct top *t)
{
    struct xfer_error err = XFER_ERROR_INIT;

    t->asked = false;
    t->silent_since = 0;
    t->waiting = false;
    measure_rate(t);
    t->shown = true;
    if (t->ctl->json)
        print_json(t);
    else
        show(t);
    if (t->left > 0 && --t->left == 0)
        top_finish(t, 0);
    if (output_check(t->ctl->out, &err))
        top_finish(t, 1); /* told at the end of the program */
}

void top_look_silent(struct top *t, double now)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (t->silent_since == 0)
        return;
    if (isinf(t->ctl->deadline) && now - t->silent_since > CTL_RETRY_SECONDS) {
        error_set(&err, XFER_NO_DAEMON, "%s: the daemon gave no answer within %d s",
                  session_path(t->session), (int)CTL_RETRY_SECONDS);
        top_fail(t, &err);
    } else if (!t->waiting && now - t->silent_since >= TOP_PATIENCE) {
        t->waiting = true;
        if (!t->screen)
            output_notice(t->ctl->out, "waiting for the daemon");
        top_redraw(t);
    }
}
