/* SPDX-License-Identifier: MIT
 *
 * What people are told while jobs are followed, and when they have ended.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/follow_internal.h"
#include "ctl/notes.h"
#include "ctl/progress.h"
#include "proto/units.h"

#define NOTES_TOLD 10 /* errors, and warnings, of a job that are told when it has ended */

/* ---- progress
 * ------------------------------------------------------------------------------------ */

void follow_tell_progress(struct follow *f, struct follow_item *item,
                          const struct follow_progress *now)
{
    double rate = now->state == JOB_RUNNING ? now->rate : 0;
    bool walking = now->state == JOB_RUNNING && now->walking;
    struct progress_state bar;

    f->sum_done += now->bytes_done - item->bytes_done;
    f->sum_total += now->bytes_total - item->bytes_total;
    f->sum_ended += now->files_ended - item->files_ended;
    f->sum_files += now->files_total - item->files_total;
    f->sum_rate += rate - item->rate;
    if (walking && !item->walking)
        f->walking++;
    if (!walking && item->walking)
        f->walking--;
    item->bytes_done = now->bytes_done;
    item->bytes_total = now->bytes_total;
    item->files_ended = now->files_ended;
    item->files_total = now->files_total;
    item->walking = walking;
    item->rate = rate;
    item->state = now->state;

    if (!f->events || (now->state == JOB_QUEUED && f->sum_done == 0) ||
        (f->n == 1 && now->state != JOB_QUEUED && now->state != JOB_RUNNING))
        return;
    bar = (struct progress_state){.bytes_done = f->sum_done,
                                  .bytes_total = f->sum_total,
                                  .rate = f->sum_rate > 0 ? f->sum_rate : 0,
                                  .files_done = f->sum_ended,
                                  .files = f->sum_files,
                                  .growing = f->walking > 0,
                                  .jobs_done = f->ended,
                                  .jobs = f->n};
    progress_update(output_progress(f->ctl->out), &bar);
}

void follow_tell_reason(struct follow *f, const struct follow_item *item, const char *reason)
{
    char *text;

    if (!reason || (f->reason && strcmp(f->reason, reason) == 0))
        return;
    free(f->reason);
    f->reason = strdup(reason);
    text = strdup(reason);
    if (!text)
        return;
    error_clean(text);
    bool whole = strncmp(text, "waiting", 7) == 0 || strncmp(text, "attempt", 7) == 0;
    if (item)
        output_notice(f->ctl->out, "job %lld: %s%s", (long long)item->job,
                      whole ? "" : "waiting: ", text);
    else
        output_notice(f->ctl->out, "%s", text);
    free(text);
}

void follow_tell_handle(struct follow *f, const struct follow_item *item)
{
    if (f->warned || !item->handle || f->options->purpose != FOLLOW_FOR_ID)
        return;
    f->warned = true;
    output_notice(
        f->ctl->out,
        "job %lld hangs on the opened file: if the daemon is started again before the job "
        "has ended, and can't open the file itself, the job fails as SourceHandleLost, "
        "and 'xferctl retry' cures it%s",
        (long long)item->job, f->n > 1 ? " (this goes for all such jobs)" : "");
}

/* ---- events
 * -------------------------------------------------------------------------------------- */

void follow_tell_event_line(struct output *out, const struct control_event *ev)
{
    char state[64], done[24], total[24], rate[24], phase[sizeof(ev->phase)], files[64] = "";

    memcpy(phase, ev->phase, sizeof(phase));
    phase[sizeof(phase) - 1] = '\0';
    error_clean(phase);
    units_format_size(ev->bytes_done, done, sizeof(done));
    units_format_size(ev->bytes_total, total, sizeof(total));
    units_format_size((int64_t)ev->rate, rate, sizeof(rate));
    if (ev->files_total > 1 || ev->walking)
        snprintf(files, sizeof(files), "  %lld/%lld%s files",
                 (long long)(ev->files_done + ev->files_failed + ev->files_skipped),
                 (long long)ev->files_total, ev->walking ? "+" : "");
    output_line(out, "%lld  %s  %-9s  %s / %s%s  %s/s%s", (long long)ev->job,
                output_state(out, ev->state, 9, state, sizeof(state)), phase, done, total,
                ev->walking ? "+" : "", rate, files);
}

void follow_tell_event(struct follow *f, struct follow_item *item, const struct control_event *ev,
                       const char *json)
{
    char now[sizeof(item->told)];
    bool same;

    if (f->options->purpose != FOLLOW_FOR_EVENTS)
        return;
    snprintf(now, sizeof(now), "%d %.32s", (int)ev->state, ev->phase);
    same = strcmp(now, item->told) == 0;
    memcpy(item->told, now, sizeof(now));
    if (f->ctl->json)
        output_text(f->ctl->out, json);
    else if (!same || !output_progress(f->ctl->out)) /* else the bar shows it */
        follow_tell_event_line(f->ctl->out, ev);
}

/* The last event of a job whose end was told by its object first. */
static void tell_last_event(struct follow *f, struct follow_item *item,
                            const struct control_job *job)
{
    struct control_event ev = {.job = job->job,
                               .state = job->state,
                               .bytes_done = job->bytes_done,
                               .bytes_total = job->bytes_total,
                               .files_done = job->files_done,
                               .files_total = job->files_total,
                               .files_failed = job->files_failed,
                               .files_skipped = job->files_skipped,
                               .walking = job->walking,
                               .rate = job->rate};
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_incoming in;
    char *line;

    if (item->told[0] == '0' + (char)job->state)
        return;
    snprintf(ev.phase, sizeof(ev.phase), "%s", job->phase ? job->phase : "");
    line = control_event_encode(&ev);
    if (line && control_incoming_parse(line, strcspn(line, "\n"), &in, &err) == 0) {
        follow_tell_event(f, item, &ev, in.result);
        control_incoming_free(&in);
    }
    free(line);
}

/* ---- ends
 * ---------------------------------------------------------------------------------------- */

void follow_tell_job(struct output *out, const struct control_job *job)
{
    char state[64], digest[8 + 2 * XFER_DIGEST_SIZE] = "-";
    bool escaped = false;
    char *source = output_name(out, job->source ? job->source : "", &escaped);
    bool placed = job->dest_host && job->dest_host[0] && job->dest_path && job->dest_path[0];
    char *host = output_name(out, placed ? job->dest_host : "-", &escaped);
    char *path = output_name(out, placed ? job->dest_path : job->dest ? job->dest : "", &escaped);

    if (job->has_digest && job->state == JOB_DONE) {
        strcpy(digest, "xxh128:");
        for (size_t i = 0; i < XFER_DIGEST_SIZE; i++)
            sprintf(digest + 7 + 2 * i, "%02x", job->digest[i]);
    }
    if (source && host && path)
        output_line(out, "%s%lld  %s  %lld  %s  %s -> %s:%s", escaped ? "\\" : "",
                    (long long)job->job, output_state(out, job->state, 0, state, sizeof(state)),
                    (long long)job->bytes_done, digest, source, host, path);
    free(source);
    free(host);
    free(path);
}

/* What was wrong with single entries of a tree: the first of them, each on a line. */
static void tell_notes(struct output *out, const struct control_job *job,
                       const struct control_notes *notes, int64_t total, bool warnings)
{
    size_t n = notes->n < NOTES_TOLD ? notes->n : NOTES_TOLD;

    for (size_t i = 0; i < n; i++) {
        char *line = note_line(job->source, &notes->list[i], warnings);

        if (line && warnings)
            output_notice(out, "%s", line);
        else if (line)
            output_message(out, "%s", line);
        free(line);
    }
    if (total <= (int64_t)n)
        return;
    if (warnings)
        output_notice(out, "and %lld more warnings: 'xferctl errors %lld' tells them all",
                      (long long)(total - (int64_t)n), (long long)job->job);
    else
        output_message(out, "and %lld more: 'xferctl errors %lld' tells them all",
                       (long long)(total - (int64_t)n), (long long)job->job);
}

/* Why a job failed: the error text on stderr (with --json it is in the object). */
static void tell_job_error(struct output *out, const struct control_job *job)
{
    if (!job->error || job->state != JOB_FAILED)
        return;
    if (job->error->code == XFER_INCOMPLETE)
        tell_notes(out, job, &job->errors, job->files_failed, false);
    output_failure(out, job->error, NULL, job->job, job->source, 0);
    if (job->attempts > 1)
        output_message(out, "job %lld: that was attempt %lld", (long long)job->job,
                       (long long)job->attempts);
}

static void tell_result(struct follow *f, struct follow_item *item, const struct control_job *job)
{
    struct output *out = f->ctl->out;

    switch (f->options->purpose) {
    case FOLLOW_FOR_EVENTS:
        tell_last_event(f, item, job);
        break;
    case FOLLOW_FOR_ID:
        if (f->ctl->json)
            output_text(out, item->json);
        else
            output_line(out, "%lld", (long long)job->job);
        return;
    case FOLLOW_FOR_RETRY:
        if (f->ctl->json)
            output_text(out, item->json);
        return;
    case FOLLOW_FOR_CANCEL:
        if (f->ctl->json)
            output_text(out, item->json);
        else if (job->state != JOB_CANCELLED)
            output_message(out, "job %lld: ended before it could be cancelled: %s",
                           (long long)job->job, job_state_name(job->state));
        return;
    case FOLLOW_FOR_RESULT:
        if (f->ctl->json)
            output_text(out, item->json);
        else if (!job->dry_run) /* its plan follows */
            follow_tell_job(out, job);
        break;
    }
    if (!f->ctl->json) {
        tell_notes(out, job, &job->warnings, job->warnings_total, true);
        tell_job_error(out, job);
    }
}

static void tell_item(struct follow *f, struct follow_item *item)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_job job;

    if (item->json && control_job_parse(item->json, &job, &err) == 0) {
        tell_result(f, item, &job);
        control_job_free(&job);
    } else if (item->error) {
        output_failure(f->ctl->out, item->error, item->error_text, item->job, item->source,
                       item->exit_code);
    }
    free(item->json);
    free(item->error);
    free(item->error_text);
    item->json = item->error_text = NULL;
    item->error = NULL;
}

void follow_tell_ended(struct follow *f, bool all)
{
    for (size_t i = f->first; i < f->n; i++) {
        if (f->items[i].step != FOLLOW_ENDED) {
            if (!all)
                return;
            continue;
        }
        tell_item(f, &f->items[i]);
        if (i == f->first)
            f->first++;
    }
}

/* " 1 2 3": the numbers of the jobs that have not ended; NULL: no memory. */
static char *unfinished(const struct follow *f, size_t *jobs, size_t *unknown, size_t *unsent)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    if (!to)
        return NULL;
    for (size_t i = f->first; i < f->n; i++) {
        const struct follow_item *item = &f->items[i];

        if (item->job == 0 && item->step == FOLLOW_SUBMIT && !item->unanswered) {
            ++*unsent;
        } else if (item->job == 0 &&
                   (item->step == FOLLOW_SUBMIT || item->step == FOLLOW_SUBMITTED)) {
            ++*unknown;
        } else if (item->step != FOLLOW_ENDED) {
            ++*jobs;
            fprintf(to, " %lld", (long long)item->job);
        }
    }
    fclose(to);
    return text;
}

void follow_tell_timeout(struct follow *f)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (!f->ctl->json)
        return;
    for (size_t i = f->first; i < f->n; i++) {
        const struct follow_item *item = &f->items[i];

        if (item->step == FOLLOW_ENDED)
            continue;
        error_set(&err, XFER_TIMEOUT, "the time is over");
        if (item->source)
            error_about(&err, XFER_SIDE_CLIENT, item->source);
        output_failure(f->ctl->out, &err, NULL, item->job, NULL, f->exit_code);
    }
}

void follow_tell_unfinished(struct follow *f, const char *why)
{
    size_t jobs = 0, unknown = 0, unsent = 0;
    char *list = unfinished(f, &jobs, &unknown, &unsent);
    struct output *out = f->ctl->out;
    bool asked = f->items[0].source || f->next_wait > 0; /* else they are numbers that were given */

    if (list && jobs > 0 && (f->lost_at > 0 || !asked))
        output_message(out, "%s: what became of job%s%s is not known", why, jobs > 1 ? "s" : "",
                       list);
    else if (list && jobs == 1)
        output_message(out, "%s: job%s goes on; 'xferctl cancel%s' cancels it", why, list, list);
    else if (list && jobs > 1)
        output_message(out, "%s: jobs%s go on; 'xferctl cancel%s' cancels them", why, list, list);
    if (unknown)
        output_message(out, "%s: not known whether queued: %zu of %zu sources; see 'xferctl list'",
                       why, unknown, f->n);
    if (unsent == f->n)
        output_message(out, "%s: nothing was submitted", why);
    else if (unsent)
        output_message(out, "%s: not submitted: %zu of %zu sources", why, unsent, f->n);
    free(list);
}
