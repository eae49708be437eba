/* SPDX-License-Identifier: MIT
 *
 * What xferctl top shows. The first lines are about the daemon, then comes a table of jobs. On a
 * small screen that is reduced from what matters least: the receiving root and the titles, then the
 * bar, the time that is left, the rate.
 */
#include "ctl/top_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/pen.h"
#include "proto/text.h"
#include "proto/units.h"

#define STYLE_ALARM "31;1"
#define STYLE_WARN  "33"
#define STYLE_FAINT "2"
#define STYLE_TITLE "7"

#define ROWS_ROOMY    12 /* from there on nothing is left out but jobs */
#define ROWS_MAX      10000
#define HISTORY_MAX   60 /* columns */
#define HISTORY_PLAIN 20
#define COLS_TIME     40
#define COLS_PLAIN    120 /* columns that the table is laid out for where there is no screen */

/* Widths of the columns; 0: left out. The last one, the names, takes what is left. */
struct layout {
    int job, state, bar, percent, rate, eta;
};

struct paper {
    struct pen pen;
    const struct top_view *view;
    struct layout layout;
    int rows; /* that are left */
    bool screen;
    bool roomy;
};

/* False: the screen is full. */
static bool end_line(struct paper *p)
{
    pen_end(&p->pen);
    return --p->rows > 0;
}

/* ---- the first lines
 * ------------------------------------------------------------------------------ */

static void put_printable(struct paper *p, const char *style, const char *text)
{
    char *shown = text_printable(text);

    if (shown)
        pen_text(&p->pen, style, shown);
    free(shown);
}

static void put_time(struct paper *p)
{
    time_t seconds = (time_t)p->view->now;
    struct tm tm;
    char text[64];

    if (localtime_r(&seconds, &tm) && strftime(text, sizeof(text), "%H:%M:%S", &tm) > 0)
        pen_format(&p->pen, NULL, "%s  ", text);
}

static bool put_daemon(struct paper *p)
{
    const struct control_hello *hello = p->view->hello;
    char uptime[32];

    if (p->view->waiting)
        pen_text(&p->pen, STYLE_ALARM, "waiting for the daemon  ");
    else if (!p->screen || p->pen.cols >= COLS_TIME)
        put_time(p);
    pen_text(&p->pen, NULL, "xferd ");
    put_printable(p, NULL, hello->version);
    if (hello->n_ranks > 0 && hello->ranks[0].host[0]) {
        pen_text(&p->pen, NULL, " on ");
        put_printable(p, NULL, hello->ranks[0].host);
    }
    units_format_duration(p->view->stats->uptime, uptime, sizeof(uptime));
    pen_format(&p->pen, NULL, ", up %s", uptime);
    if (p->view->stats->generation > 1)
        pen_format(&p->pen, NULL, ", start %lld", (long long)p->view->stats->generation);
    return end_line(p);
}

static bool put_peer(struct paper *p)
{
    const struct control_stats *s = p->view->stats;
    const char *host = s->peer_host[0] ? s->peer_host : "the other rank";
    char chunk[24];

    pen_text(&p->pen, NULL, "peer   ");
    if (s->peer_up) {
        put_printable(p, NULL, host);
        units_format_size(s->chunk, chunk, sizeof(chunk));
        pen_format(&p->pen, NULL, " up, %lld lanes, chunks of %s", (long long)s->lanes, chunk);
    } else {
        pen_text(&p->pen, STYLE_ALARM, "down: ");
        pen_text(&p->pen, NULL, "waiting for ");
        put_printable(p, NULL, host);
    }
    return end_line(p);
}

static bool put_queue(struct paper *p)
{
    const struct control_stats *s = p->view->stats;
    char age[32];

    pen_text(&p->pen, NULL, "jobs   ");
    if (s->paused)
        pen_text(&p->pen, STYLE_WARN, "paused  ");
    if (s->draining)
        pen_text(&p->pen, STYLE_WARN, "draining  ");
    pen_format(&p->pen, NULL, "%lld running, %lld queued", (long long)s->jobs[JOB_RUNNING],
               (long long)s->jobs[JOB_QUEUED]);
    if (s->jobs[JOB_QUEUED] > 0) {
        units_format_duration(s->oldest_queued, age, sizeof(age));
        pen_format(&p->pen, NULL, " (for up to %s)", age);
    }
    pen_format(&p->pen, NULL, ", %lld done, ", (long long)s->jobs[JOB_DONE]);
    pen_format(&p->pen, s->jobs[JOB_FAILED] > 0 ? STYLE_ALARM : NULL, "%lld failed",
               (long long)s->jobs[JOB_FAILED]);
    pen_format(&p->pen, NULL, ", %lld cancelled", (long long)s->jobs[JOB_CANCELLED]);
    return end_line(p);
}

/* The history as a line of bars, each as high as its part of the highest. */
static void put_history(struct paper *p, double highest)
{
    static const char *const ascii[] = {" ", ".", ":", "-", "=", "+", "*", "#", "@"};
    static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    const char *const *levels = p->pen.utf8 ? blocks : ascii;
    char bars[HISTORY_MAX * 4 + 1] = "";
    size_t room = p->screen ? HISTORY_MAX : HISTORY_PLAIN, n = p->view->n_history;

    if (p->screen && p->pen.cols - p->pen.used < (int)room)
        room = p->pen.cols > p->pen.used ? (size_t)(p->pen.cols - p->pen.used) : 0;
    for (size_t i = n > room ? n - room : 0; i < n; i++) {
        double part = highest > 0 ? p->view->history[i] / highest : 0;
        int level = part > 0 ? (int)(part * 8 + 0.5) : 0;

        /* little is not nothing */
        strcat(bars, levels[part > 0 && level < 1 ? 1 : level]);
    }
    pen_text(&p->pen, "36", bars);
}

static bool put_rate(struct paper *p)
{
    const struct control_stats *s = p->view->stats;
    char rate[24], sent[24], most[24];
    double highest = 0;

    for (size_t i = 0; i < p->view->n_history; i++)
        if (p->view->history[i] > highest)
            highest = p->view->history[i];
    units_format_size((int64_t)p->view->rate, rate, sizeof(rate));
    units_format_size(s->sent_bytes, sent, sizeof(sent));
    units_format_size((int64_t)highest, most, sizeof(most));
    pen_format(&p->pen, NULL, "rate   %s/s", rate);
    pen_format(&p->pen, NULL, ", peak %s/s, sent %s in %lld files  ", most, sent,
               (long long)s->sent_files);
    put_history(p, highest);
    return end_line(p);
}

static bool put_store(struct paper *p)
{
    const struct control_stats *s = p->view->stats;
    char free_size[24], total[24];

    pen_text(&p->pen, NULL, "store  ");
    if (s->store_free_bytes >= 0) {
        units_format_size(s->store_free_bytes, free_size, sizeof(free_size));
        units_format_size(s->store_total_bytes, total, sizeof(total));
        pen_format(&p->pen, NULL, "%s free of %s in ", free_size, total);
    }
    if (s->store_root[0])
        put_printable(p, NULL, s->store_root);
    else
        pen_text(&p->pen, NULL, "not known while the link is down");
    return end_line(p);
}

/* ---- the jobs
 * ------------------------------------------------------------------------------------- */

static struct layout lay_out(int cols)
{
    struct layout l = {.job = cols < 40 ? 4 : 6, .state = 9, .percent = 4};

    if (cols >= 40)
        l.rate = 12;
    if (cols >= 56)
        l.eta = 8;
    if (cols >= 72)
        l.bar = cols >= 100 ? 20 : 10;
    return l;
}

/* What stands between state and names: columns with a blank before each. */
static int span(const struct layout *l)
{
    return (l->bar ? l->bar + 3 : 0) + l->percent + (l->rate ? l->rate + 1 : 0) +
           (l->eta ? l->eta + 1 : 0);
}

static bool put_titles(struct paper *p)
{
    const struct layout *l = &p->layout;
    struct pen *pen = &p->pen;
    int begin;

    pen_cell(pen, STYLE_TITLE, "JOB", l->job, true);
    pen_to(pen, pen->used + 1);
    pen_cell(pen, STYLE_TITLE, "STATE", l->state, false);
    pen_to(pen, pen->used + 1);
    begin = pen->used;
    pen_text(pen, STYLE_TITLE, "PROGRESS");
    pen_to(pen, begin + (l->bar ? l->bar + 3 : 0) + l->percent);
    if (l->rate) {
        pen_to(pen, pen->used + 1);
        pen_cell(pen, STYLE_TITLE, "RATE", l->rate, true);
    }
    if (l->eta) {
        pen_to(pen, pen->used + 1);
        pen_cell(pen, STYLE_TITLE, "LEFT", l->eta, true);
    }
    pen_to(pen, pen->used + 1);
    pen_text(pen, STYLE_TITLE, "SOURCE -> DESTINATION");
    return end_line(p);
}

static void put_bar(struct paper *p, double part)
{
    int width = p->layout.bar, full = (int)(part * width);
    char bar[64];

    memset(bar, '=', (size_t)full);
    memset(bar + full, ' ', (size_t)(width - full));
    if (full > 0 && full < width)
        bar[full - 1] = '>';
    pen_format(&p->pen, NULL, "[%.*s] ", width, bar);
}

static void put_progress(struct paper *p, const struct control_job *job)
{
    const struct layout *l = &p->layout;
    char text[32], size[24];
    double part = job->bytes_total > 0 ? (double)job->bytes_done / (double)job->bytes_total : 0;

    if (part < 0 || part > 1)
        part = part < 0 ? 0 : 1;
    if (l->bar)
        put_bar(p, part);
    snprintf(text, sizeof(text), "%d%%%s", (int)(part * 100), job->walking ? "+" : "");
    pen_cell(&p->pen, NULL, text, l->percent, true);
    if (l->rate) {
        units_format_size((int64_t)job->rate, size, sizeof(size));
        snprintf(text, sizeof(text), "%s/s", size);
        pen_to(&p->pen, p->pen.used + 1);
        pen_cell(&p->pen, NULL, text, l->rate, true);
    }
    if (l->eta) {
        if (job->rate >= 1 && job->bytes_total >= job->bytes_done && !job->walking)
            units_format_duration((double)(job->bytes_total - job->bytes_done) / job->rate, text,
                                  sizeof(text));
        else
            strcpy(text, "-");
        pen_to(&p->pen, p->pen.used + 1);
        pen_cell(&p->pen, NULL, text, l->eta, true);
    }
}

/* Why it waits, or how it ended: in place of what is told of those that run. */
static void put_note(struct paper *p, const struct control_job *job)
{
    const char *error = job->error ? error_info(job->error->code)->name : "";
    char text[96] = "", size[24];
    char *shown;

    if (job->state == JOB_DONE) {
        units_format_size(job->bytes_total, size, sizeof(size));
        snprintf(text, sizeof(text), "%s", size);
    } else {
        snprintf(text, sizeof(text), "%s", error);
    }
    shown = text_printable(job->state == JOB_QUEUED && job->reason ? job->reason : text);
    if (shown && p->screen)
        pen_cell(&p->pen, NULL, shown, span(&p->layout), false);
    else if (shown)
        pen_text(&p->pen, NULL, shown);
    pen_to(&p->pen, p->layout.job + p->layout.state + 2 + span(&p->layout));
    free(shown);
}

static bool put_job(struct paper *p, const struct control_job *job)
{
    static const char *const styles[JOB_STATE_COUNT] = {
        [JOB_QUEUED] = "33", [JOB_RUNNING] = "36",   [JOB_DONE] = "32",
        [JOB_FAILED] = "31", [JOB_CANCELLED] = "35",
    };
    bool runs = job->state == JOB_RUNNING;
    const char *state = runs && job->phase && *job->phase ? job->phase : job_state_name(job->state);
    char *shown = text_printable(state);
    char number[24];

    snprintf(number, sizeof(number), "%lld", (long long)job->job);
    pen_cell(&p->pen, NULL, number, p->layout.job, true);
    pen_to(&p->pen, p->pen.used + 1);
    if (shown)
        pen_cell(&p->pen, styles[job->state], shown, p->layout.state, false);
    free(shown);
    pen_to(&p->pen, p->layout.job + p->layout.state + 2);
    if (runs)
        put_progress(p, job);
    else
        put_note(p, job);
    pen_to(&p->pen, p->pen.used + 1);
    put_printable(p, NULL, job->source ? job->source : "");
    pen_text(&p->pen, NULL, " -> ");
    put_printable(p, NULL, job->dest ? job->dest : "");
    return end_line(p);
}

static bool put_jobs(struct paper *p)
{
    const struct top_view *v = p->view;
    int foot = p->screen && p->roomy ? 1 : 0;

    for (size_t i = 0; i < v->n_jobs && p->rows > foot; i++)
        if (!put_job(p, &v->jobs[i]))
            return false;
    return true;
}

static void put_all(struct paper *p)
{
    if (!put_daemon(p) || !put_peer(p) || !put_queue(p) || !put_rate(p))
        return;
    if (p->roomy && !put_store(p))
        return;
    if (p->roomy && p->screen && !end_line(p))
        return;
    if (p->roomy && (p->screen || p->view->n_jobs > 0) && !put_titles(p))
        return;
    if (!put_jobs(p) || !p->screen || !p->roomy)
        return;
    while (p->rows > 1)
        end_line(p);
    pen_format(&p->pen, STYLE_FAINT, "every %g s; q quits", p->view->interval);
    end_line(p);
}

char *top_view_format(const struct top_view *view, const struct top_look *look)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    struct paper p = {
        .pen = {.to = to, .cols = look->cols, .color = look->color, .utf8 = look->utf8},
        .view = view,
        .layout = lay_out(look->cols > 0 ? look->cols : COLS_PLAIN),
        .rows = look->rows > 0 ? look->rows : ROWS_MAX,
        .screen = look->rows > 0};

    if (!to)
        return NULL;
    p.roomy = p.rows >= ROWS_ROOMY;
    put_all(&p);
    if (fclose(to) == 0)
        return text;
    free(text);
    return NULL;
}
