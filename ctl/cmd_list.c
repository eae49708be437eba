/* SPDX-License-Identifier: MIT
 *
 * xferctl list: unfinished jobs and the last finished ones, as a table or as JSON.
 */
#include <errno.h>
#include <math.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/clock.h"
#include "ctl/ctl.h"
#include "ctl/session.h"
#include "proto/text.h"
#include "proto/units.h"

const struct option_spec cmd_list_options[] = {
    {"state", 0, "STATE", "only queued, running, done, failed or cancelled ones"},
    {"user", 0, "USER", "only those of that user"},
    {"since", 0, "TIME",
     "only unfinished ones and what ended since: a duration back, or @UNIX-TIME"},
    {"limit", 0, "N", "at most so many jobs in all (default: the last 20 finished ones)"},
    {NULL},
};

#define NUMBER_SIZE 24

enum {
    COL_JOB,
    COL_STATE,
    COL_PRIO,
    COL_BYTES,
    COL_RATE,
    COL_AGE,
    COL_USER,
    COL_SOURCE,
    COL_DEST,
    COL_REASON,
    COLUMNS
};

static const char *const titles[COLUMNS] = {"JOB", "STATE", "PRIO",   "BYTES/TOTAL", "RATE",
                                            "AGE", "USER",  "SOURCE", "DEST",        "REASON"};

struct line {
    char *cells[COLUMNS];
    enum job_state state;
    bool escaped;
};

static bool finished(const struct control_job *job)
{
    return job->state != JOB_QUEUED && job->state != JOB_RUNNING;
}

/* Columns on a screen, near enough: characters. */
static int width_of(const char *text)
{
    int n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static char *format_user(int64_t uid)
{
    struct passwd *pw = getpwuid((uid_t)uid);
    char number[24];

    snprintf(number, sizeof(number), "%lld", (long long)uid);
    return text_printable(pw ? pw->pw_name : number);
}

static char *format_bytes(const struct control_job *job)
{
    char done[24], total[24], text[64];

    units_format_size(job->bytes_done, done, sizeof(done));
    units_format_size(job->bytes_total, total, sizeof(total));
    snprintf(text, sizeof(text), "%s/%s%s", done, total, job->walking ? "+" : "");
    return strdup(text);
}

static char *format_rate(const struct control_job *job)
{
    char rate[24], text[32] = "-";

    units_format_size((int64_t)job->rate, rate, sizeof(rate));
    if (job->rate > 0)
        snprintf(text, sizeof(text), "%s/s", rate);
    return strdup(text);
}

/* How long ago it ended or, before that, was submitted. */
static char *format_age(const struct control_job *job, double now)
{
    double since = finished(job) ? job->finished_at : job->submitted_at;
    char text[32] = "-";

    if (since > 0)
        units_format_duration(now > since ? now - since : 0, text, sizeof(text));
    return strdup(text);
}

/* Why it waits, or why it ended as it did. */
static char *format_reason(const struct control_job *job)
{
    const char *name = job->error ? error_info(job->error->code)->name : "";
    char text[96];

    if (job->reason)
        return text_printable(job->reason);
    if (!job->error || finished(job))
        return text_printable(name);
    snprintf(text, sizeof(text), "attempt %lld, after %s", (long long)job->attempts, name);
    return text_printable(text);
}

static int make_line(struct output *out, const struct control_job *job, double now,
                     struct line *line)
{
    char number[24];

    line->state = job->state;
    snprintf(number, sizeof(number), "%lld", (long long)job->job);
    line->cells[COL_JOB] = strdup(number);
    line->cells[COL_STATE] = strdup(job_state_name(job->state));
    snprintf(number, sizeof(number), "%lld", (long long)job->priority);
    line->cells[COL_PRIO] = strdup(number);
    line->cells[COL_BYTES] = format_bytes(job);
    line->cells[COL_RATE] = format_rate(job);
    line->cells[COL_AGE] = format_age(job, now);
    line->cells[COL_USER] = format_user(job->uid);
    line->cells[COL_SOURCE] = output_name(out, job->source ? job->source : "", &line->escaped);
    line->cells[COL_DEST] = output_name(out, job->dest ? job->dest : "", &line->escaped);
    line->cells[COL_REASON] = format_reason(job);
    for (int c = 0; c < COLUMNS; c++)
        if (!line->cells[c])
            return -1;
    return 0;
}

/* mark: what stands at its very beginning, so that a line with an escaped name is known as xxhsum's
 * are. */
static void print_line(struct output *out, const struct line *line, const int widths[COLUMNS],
                       const char *mark)
{
    char *text = NULL, state[64];
    size_t size;
    FILE *to = open_memstream(&text, &size);
    int last = *line->cells[COL_REASON] ? COL_REASON : COL_DEST;

    if (!to)
        return;
    fputs(mark, to);
    for (int c = 0; c <= last; c++) {
        const char *cell = line->cells[c];
        int pad = widths[c] - width_of(cell);
        bool right = c == COL_JOB || (c >= COL_PRIO && c <= COL_AGE);

        if (c == COL_STATE && line->state < JOB_STATE_COUNT)
            cell = output_state(out, line->state, 0, state, sizeof(state));
        fprintf(to, "%s%*s%s%*s", c > 0 ? "  " : "", right ? pad : 0, "", cell,
                right || c == last ? 0 : pad, "");
    }
    fclose(to);
    output_text(out, text);
    free(text);
}

static void print_table(struct output *out, const struct line *lines, size_t n)
{
    struct line title = {.state = JOB_STATE_COUNT};
    int widths[COLUMNS];
    bool marks = false;

    for (size_t i = 0; i < n; i++)
        marks = marks || lines[i].escaped;
    for (int c = 0; c < COLUMNS; c++) {
        title.cells[c] = (char *)titles[c];
        widths[c] = width_of(titles[c]);
        for (size_t i = 0; i < n; i++)
            if (width_of(lines[i].cells[c]) > widths[c])
                widths[c] = width_of(lines[i].cells[c]);
    }
    print_line(out, &title, widths, marks ? " " : "");
    for (size_t i = 0; i < n; i++)
        print_line(out, &lines[i], widths, lines[i].escaped ? "\\" : marks ? " " : "");
}

static int print_jobs(struct ctl *ctl, char **jobs, size_t n, double since, struct xfer_error *err)
{
    struct line *lines = calloc(n + 1, sizeof(*lines));
    size_t n_lines = 0;
    double now = clock_unix();
    int rc = lines ? 0 : error_set(err, XFER_NO_RESOURCES, "no memory");

    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct control_job job;

        rc = control_job_parse(jobs[i], &job, err);
        if (rc)
            break;
        if (!finished(&job) || job.finished_at >= since) {
            if (ctl->json)
                output_text(ctl->out, jobs[i]);
            else if (make_line(ctl->out, &job, now, &lines[n_lines++]))
                rc = error_set(err, XFER_NO_RESOURCES, "no memory");
        }
        control_job_free(&job);
    }
    if (rc == 0 && !ctl->json)
        print_table(ctl->out, lines, n_lines);
    for (size_t i = 0; i < n_lines; i++)
        for (int c = 0; c < COLUMNS; c++)
            free(lines[i].cells[c]);
    free(lines);
    return rc;
}

/* Unix time: "@1700000000", or a bare number too large for a duration back; else that long ago. */
static int parse_since(struct ctl *ctl, const char *text, double *since)
{
    struct xfer_error err = XFER_ERROR_INIT;
    bool at = *text == '@';
    char *end;
    double value = strtod(text + at, &end);

    if (text[at] >= '0' && text[at] <= '9' && *end == '\0' && isfinite(value) &&
        strspn(text + at, "0123456789.") == strlen(text + at) && (at || value >= 1e9)) {
        *since = value;
        return 0;
    }
    if (at || units_parse_duration(text, &value, &err))
        return ctl_usage(ctl, "--since is a duration (10min, 2h, 1d) or a Unix time, not '%s'",
                         text);
    *since = clock_unix() - value;
    return 0;
}

/* The daemon looks names up in /etc/passwd alone, because anything more may block; here there is
 * time to ask the directory service. A name that nobody knows goes as it is: the daemon says so. */
static char *user_number(const char *user, char number[NUMBER_SIZE])
{
    struct passwd *pw = getpwnam(user);

    if (!pw)
        return (char *)user; /* borrowed: params is never freed */
    snprintf(number, NUMBER_SIZE, "%lu", (unsigned long)pw->pw_uid);
    return number;
}

static int parse_options(struct ctl *ctl, const struct arguments *args,
                         struct control_params *params, double *since, char number[NUMBER_SIZE])
{
    const char *value;

    if ((value = arguments_option(args, "state"))) {
        params->state = job_state_by_name(value);
        if (params->state < 0)
            return ctl_usage(ctl, "--state is queued, running, done, failed or cancelled, not '%s'",
                             value);
    }
    if ((value = arguments_option(args, "user"))) {
        if (*value == '\0' || !text_is_utf8(value, strlen(value)))
            return ctl_usage(ctl, "--user is the name or the number of a user");
        params->user = user_number(value, number);
    }
    if ((value = arguments_option(args, "since"))) {
        int exit_code = parse_since(ctl, value, since);

        if (exit_code)
            return exit_code;
        params->limit = XFER_LIST_MAX;
    }
    if ((value = arguments_option(args, "limit"))) {
        char *end;
        long limit;

        errno = 0;
        limit = strtol(value, &end, 10);
        if (*value < '0' || *value > '9' || *end || errno || limit > XFER_LIST_MAX)
            return ctl_usage(ctl, "--limit is a number up to %d, not '%s'", XFER_LIST_MAX, value);
        params->limit = limit;
    }
    return 0;
}

int cmd_list(struct ctl *ctl, const struct arguments *args)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_params params;
    struct control_incoming in;
    double since = -INFINITY;
    char number[NUMBER_SIZE];
    char **jobs = NULL;
    size_t n = 0;
    int exit_code;
    struct session *session;

    control_params_init(&params);
    exit_code = parse_options(ctl, args, &params, &since, number);
    if (exit_code)
        return exit_code;
    session = ctl_session(ctl, &exit_code);
    if (!session)
        return exit_code;
    exit_code = ctl_ask(ctl, session, METHOD_TRANSFER_LIST, &params, true, &in);
    if (!exit_code) {
        if (control_job_list_parse(in.result, &jobs, &n, &err) ||
            print_jobs(ctl, jobs, n, since, &err))
            exit_code = ctl_fail(ctl, &err);
        control_incoming_free(&in);
        for (size_t i = 0; i < n; i++)
            free(jobs[i]);
        free(jobs);
    }
    session_destroy(session);
    return exit_code;
}
