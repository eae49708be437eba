/* SPDX-License-Identifier: MIT
 *
 * The progress bar. It is made of ASCII alone, so that its width is its length: a line that wraps
 * could not be taken away again.
 */
#include "ctl/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ctl/clock.h"
#include "proto/units.h"

#define REDRAW_SECONDS 0.1
#define WIDTH_DEFAULT  80
#define WIDTH_MAX      256
#define BAR_MIN        10
#define BAR_MAX        40

struct progress {
    struct progress_state state;
    bool visible;
    double drawn_at;
};

struct progress *progress_create(void)
{
    return calloc(1, sizeof(struct progress));
}

void progress_destroy(struct progress *p)
{
    progress_clear(p);
    free(p);
}

static size_t terminal_width(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || size.ws_col == 0)
        return WIDTH_DEFAULT;
    return size.ws_col < WIDTH_MAX ? size.ws_col : WIDTH_MAX;
}

static double fraction_done(const struct progress_state *s)
{
    if (s->bytes_total <= 0 && s->files > 1)
        return (double)s->files_done / (double)s->files;
    if (s->bytes_total <= 0)
        return s->jobs ? (double)s->jobs_done / (double)s->jobs : 0;
    if (s->bytes_done >= s->bytes_total)
        return 1;
    return s->bytes_done > 0 ? (double)s->bytes_done / (double)s->bytes_total : 0;
}

size_t progress_format(const struct progress_state *s, size_t width, char *out, size_t size)
{
    double fraction = fraction_done(s);
    char done[24], total[24], rate[24], eta[32], jobs[64] = "", files[80] = "";
    char tail[384];
    size_t used, bar = 0;

    units_format_size(s->bytes_done, done, sizeof(done));
    units_format_size(s->bytes_total, total, sizeof(total));
    units_format_size((int64_t)s->rate, rate, sizeof(rate));
    if (s->rate >= 1 && s->bytes_total >= s->bytes_done && !s->growing)
        units_format_duration((double)(s->bytes_total - s->bytes_done) / s->rate, eta, sizeof(eta));
    else
        strcpy(eta, "-");
    if (s->jobs > 1)
        snprintf(jobs, sizeof(jobs), "  %zu/%zu jobs", s->jobs_done, s->jobs);
    if (s->files > 1 && (uint64_t)s->files > s->jobs)
        snprintf(files, sizeof(files), "  %lld/%lld%s files", (long long)s->files_done,
                 (long long)s->files, s->growing ? "+" : "");
    /* Fixed fields, so that the bar does not change its length all the time. */
    snprintf(tail, sizeof(tail), "%3d%%  %9s / %s%s  %9s/s  ETA %-7s%s%s", (int)(fraction * 100),
             done, total, s->growing ? "+" : "", rate, eta, files, jobs);

    /* One column stays free: a full line makes some terminals go on to the next. */
    if (width > size)
        width = size;
    used = strlen(tail);
    if (width > used + BAR_MIN + 4) {
        bar = width - used - 4;
        if (bar > BAR_MAX)
            bar = BAR_MAX;
    }
    if (bar) {
        size_t full = (size_t)(fraction * (double)bar);

        out[0] = '[';
        memset(out + 1, '=', full);
        memset(out + 1 + full, ' ', bar - full);
        if (full > 0 && full < bar)
            out[full] = '>';
        memcpy(out + 1 + bar, "] ", 3);
        strcat(out, tail);
    } else {
        snprintf(out, width ? width : 1, "%s", tail);
    }
    return strlen(out);
}

static void draw(struct progress *p)
{
    char line[WIDTH_MAX + 1];

    progress_format(&p->state, terminal_width(), line, sizeof(line));
    fprintf(stderr, "\r%s\033[K", line);
    fflush(stderr);
    p->visible = true;
    p->drawn_at = clock_now();
}

void progress_update(struct progress *p, const struct progress_state *state)
{
    if (!p)
        return;
    p->state = *state;
    if (!p->visible || clock_now() - p->drawn_at >= REDRAW_SECONDS)
        draw(p);
}

void progress_redraw(struct progress *p)
{
    if (p && p->visible)
        draw(p);
}

void progress_clear(struct progress *p)
{
    if (!p || !p->visible)
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    p->visible = false;
}
