/* SPDX-License-Identifier: MIT
 *
 * The job itself: its life as a table of transitions, its counters, and how it looks from outside.
 * Up to a hundred thousand of them are kept, so an error is stored in as many bytes as it has, not
 * in a struct xfer_error.
 */
#include "daemon/control/job.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/control/job_notes.h"
#include "daemon/control/lists.h"

#define RATE_STEP  0.2 /* seconds between two looks at the rate */
#define RATE_TIME  1.5 /* seconds in which an old rate loses half of its weight, about */
#define RATE_STALE 1.0 /* seconds without a sign after which the rate sinks by itself */

struct job_error {
    enum xfer_code code;
    enum xfer_side side;
    int sys_errno;
    char texts[]; /* text, NUL, path, NUL */
};

/* running -> queued: the attempt ended without a verdict on the job, which waits for another.
 * failed, cancelled -> queued: somebody wants it tried again. */
static const bool transitions[JOB_STATE_COUNT][JOB_STATE_COUNT] = {
    [JOB_QUEUED] = {[JOB_RUNNING] = true, [JOB_FAILED] = true, [JOB_CANCELLED] = true},
    [JOB_RUNNING] =
        {[JOB_QUEUED] = true, [JOB_DONE] = true, [JOB_FAILED] = true, [JOB_CANCELLED] = true},
    [JOB_FAILED] = {[JOB_QUEUED] = true},
    [JOB_CANCELLED] = {[JOB_QUEUED] = true},
};

bool job_may_become(enum job_state from, enum job_state to)
{
    return transitions[from][to];
}

bool job_state_finished(enum job_state state)
{
    return state == JOB_DONE || state == JOB_FAILED || state == JOB_CANCELLED;
}

struct job *job_new(void)
{
    struct job *job = calloc(1, sizeof *job);

    if (!job)
        return NULL;
    job->n_groups = -1;
    job->handle_fd = -1;
    job->preserve = PRESERVE_DEFAULT;
    list_init(&job->replies);
    list_init(&job->answered);
    list_init(&job->queue.link);
    list_init(&job->queue.todo);
    list_init(&job->queue.noted);
    list_init(&job->schedule.of_place);
    list_init(&job->schedule.waiters);
    list_init(&job->schedule.waiting);
    list_init(&job->events.link);
    list_init(&job->events.due);
    list_init(&job->events.watches);
    return job;
}

struct job *job_create(int64_t id, const struct job_spec *spec, double now, struct xfer_error *err)
{
    struct job *job = job_new();

    if (!job)
        goto no_memory;
    job->id = job->position = id;
    job->state = JOB_QUEUED;
    job->owner = spec->owner;
    job->gid = spec->gid;
    job->bandwidth = spec->bandwidth;
    job->bytes_total = spec->size;
    job->queue.unlimited = spec->unlimited;
    job->handle = spec->handle;
    job->handle_dev = spec->handle_dev;
    job->handle_ino = spec->handle_ino;
    job->priority = spec->priority;
    job->overwrite = spec->overwrite;
    job->sync = spec->sync;
    job->retries = spec->retries;
    job->default_retries = spec->default_retries;
    job->preserve = spec->preserve;
    job->dry_run = spec->dry_run;
    job->checksum = spec->checksum;
    job->one_file_system = spec->one_file_system;
    job->submitted_at = now;
    job->source = strdup(spec->source);
    job->dest = strdup(spec->dest);
    job->key = spec->key ? strdup(spec->key) : NULL;
    job->list = spec->list ? strdup(spec->list) : NULL;
    if (!job->source || !job->dest || (spec->key && !job->key) || (spec->list && !job->list) ||
        !control_strings_copy(&job->filter, &spec->filter) ||
        job_set_groups(job, spec->groups, spec->n_groups) < 0)
        goto no_memory;
    return job;

no_memory:
    job_destroy(job);
    error_set(err, XFER_NO_RESOURCES, "no memory for another job");
    return NULL;
}

void job_destroy(struct job *job)
{
    if (!job)
        return;
    free(job->source);
    free(job->dest);
    free(job->key);
    free(job->error);
    free(job->stored);
    free(job->list);
    control_strings_free(&job->filter);
    job_notes_free(job->notes);
    free(job->groups);
    if (job->handle_fd >= 0)
        close(job->handle_fd);
    free(job);
}

int job_set_groups(struct job *job, const gid_t *groups, int n)
{
    gid_t *copy = NULL;

    if (n > 0) {
        copy = malloc((size_t)n * sizeof *copy);
        if (!copy)
            return -1;
        memcpy(copy, groups, (size_t)n * sizeof *copy);
    }
    free(job->groups);
    job->groups = copy;
    job->n_groups = n;
    return 0;
}

static bool same_strings(const struct control_strings *a, const struct control_strings *b)
{
    size_t i = 0;

    if (a->n != b->n)
        return false;
    while (i < a->n && strcmp(a->list[i], b->list[i]) == 0)
        i++;
    return i == a->n;
}

bool job_is_plain(const struct job *job)
{
    return job->overwrite <= OVERWRITE_NEVER && !job->dry_run && job->filter.n == 0 && !job->list;
}

bool job_lacks_notes(const struct job *job)
{
    return (job->errors > 0 || job->warnings > 0) && !job->notes;
}

bool job_is_same_request(const struct job *now, const struct job *then)
{
    return strcmp(now->source, then->source) == 0 && strcmp(now->dest, then->dest) == 0 &&
           now->overwrite == then->overwrite && now->priority == then->priority &&
           now->bandwidth == then->bandwidth && now->preserve == then->preserve &&
           now->dry_run == then->dry_run && now->checksum == then->checksum &&
           now->one_file_system == then->one_file_system &&
           same_strings(&now->filter, &then->filter) && lists_same(now->list, then->list) &&
           (now->sync == SYNC_DEFAULT || now->sync == then->sync) &&
           (now->default_retries || now->retries == then->retries);
}

void job_become(struct job *job, enum job_state state, double now)
{
    assert(job_may_become(job->state, state));
    job->state = state;
    if (state == JOB_RUNNING) {
        job->attempts++;
        job->started_at = now;
        job->not_before = 0;
    } else if (state == JOB_QUEUED) {
        job->started_at = job->finished_at = 0;
        job->ended = 0;
        job->bytes_done = job->bytes_resumed = 0;
        job->files_done = job->files_failed = job->files_skipped = 0;
        job->walking = false;
        job->rate = job->rate_at = 0;
        job->rate_bytes = 0;
    } else {
        job->walking = false;
        job->finished_at = now;
    }
}

void job_set_error(struct job *job, const struct xfer_error *err)
{
    static const struct xfer_error nothing = XFER_ERROR_INIT;

    free(job->error);
    job->error = NULL;
    if (!err || err->code == XFER_OK)
        return;

    size_t text_len = strlen(err->text), path_len = strlen(err->path);
    struct job_error *e = malloc(sizeof *e + text_len + path_len + 2);
    if (!e) {
        e = malloc(sizeof *e + 2);
        if (!e) /* the state alone tells then that it failed */
            return;
        text_len = path_len = 0;
    }
    e->code = err->code;
    e->side = err->side;
    e->sys_errno = err->sys_errno;
    memcpy(e->texts, text_len ? err->text : nothing.text, text_len + 1);
    memcpy(e->texts + text_len + 1, path_len ? err->path : nothing.path, path_len + 1);
    job->error = e;
}

enum xfer_code job_error_code(const struct job *job)
{
    return job->error ? job->error->code : XFER_OK;
}

const char *job_error_text(const struct job *job)
{
    return job->error ? job->error->texts : "";
}

void job_get_error(const struct job *job, struct xfer_error *err)
{
    const struct job_error *e = job->error;
    const char *path = e->texts + strlen(e->texts) + 1;

    err->code = e->code;
    err->side = e->side;
    err->sys_errno = e->sys_errno;
    snprintf(err->text, sizeof err->text, "%s", e->texts);
    snprintf(err->path, sizeof err->path, "%s", path);
}

static double blend(double rate, double bytes, double seconds)
{
    return rate + (bytes / seconds - rate) * (seconds / (seconds + RATE_TIME));
}

void job_progress(struct job *job, const char *phase, int64_t done, int64_t total, double now)
{
    job->phase = phase;
    job->bytes_done = done;
    if (total >= 0)
        job->bytes_total = total;
    if (job->rate_at <= 0 || done < job->rate_bytes) {
        job->rate_at = now;
        job->rate_bytes = done;
        return;
    }

    double passed = now - job->rate_at;
    if (passed < RATE_STEP)
        return;
    double bytes = (double)(done - job->rate_bytes);
    job->rate = job->rate > 0 ? blend(job->rate, bytes, passed) : bytes / passed;
    job->rate_at = now;
    job->rate_bytes = done;
}

double job_rate(const struct job *job, double now)
{
    if (job_state_finished(job->state)) {
        double passed = job->finished_at - job->started_at;

        return job->started_at > 0 && passed > 0 ? (double)job->bytes_done / passed : 0;
    }
    if (job->state != JOB_RUNNING || job->rate_at <= 0)
        return 0;
    double passed = now - job->rate_at;
    if (passed <= RATE_STALE)
        return job->rate;
    return blend(job->rate, (double)(job->bytes_done - job->rate_bytes), passed);
}

const char *job_phase(const struct job *job)
{
    if (job->queue.ending)
        return "recording";
    if (job->state == JOB_RUNNING && job->phase)
        return job->phase;
    return job_state_name(job->state);
}

/* One that is a single file says it by its state. */
static void count_files(const struct job *job, int64_t *total, int64_t *done, int64_t *failed,
                        int64_t *skipped)
{
    *total = job->tree ? job->files_total : 1;
    *done = job->tree ? job->files_done : job->state == JOB_DONE;
    *failed = job->tree ? job->files_failed : job->state == JOB_FAILED;
    *skipped = job->tree ? job->files_skipped : 0;
}

char *job_encode(const struct job *job, const struct job_view *view)
{
    struct xfer_error error = XFER_ERROR_INIT;
    char *dest_path = NULL, preserve[PRESERVE_TEXT_SIZE];

    if (view->root[0]) {
        const char *slash = view->root[strlen(view->root) - 1] == '/' ? "" : "/";

        if (asprintf(&dest_path, "%s%s%s", view->root, slash,
                     job->stored ? job->stored : job->dest) < 0)
            return NULL;
    }
    bool ended = job_state_finished(job->state);
    struct control_job out = {
        .job = job->id,
        .state = job->state,
        .phase = (char *)job_phase(job),
        .reason = job->state == JOB_QUEUED ? (char *)view->reason : NULL,
        .source = job->source,
        .dest = job->dest,
        .dest_host = (char *)view->host,
        .dest_path = dest_path ? dest_path : (char *)"",
        .bytes_total = job->bytes_total,
        .bytes_done = job->bytes_done,
        .bytes_resumed = job->bytes_resumed,
        .walking = job->walking,
        .warnings_total = job->warnings,
        .preserve = preserve,
        .filter = job->filter,
        .dry_run = job->dry_run,
        .checksum = job->checksum,
        .one_file_system = job->one_file_system,
        .files_from = job->list != NULL,
        .rate = job_rate(job, view->now),
        .has_digest = job->has_digest,
        .attempts = job->attempts,
        .retries = job->retries,
        .not_before = job->state == JOB_QUEUED ? job->not_before : 0,
        .key = job->key,
        .existing = view->existing,
        .priority = job->priority,
        .bandwidth = job->bandwidth,
        .submitted_at = job->submitted_at,
        .started_at = job->started_at,
        .finished_at = job->finished_at,
        .uid = job->owner,
        .handle = job->handle,
    };
    preserve_format(job->preserve, preserve);
    count_files(job, &out.files_total, &out.files_done, &out.files_failed, &out.files_skipped);
    if (job->notes && !view->brief) {
        out.errors = job->notes->errors;
        out.warnings = job->notes->warnings;
    }
    memcpy(out.digest, job->digest, sizeof out.digest);
    if (job->error) {
        job_get_error(job, &error);
        out.error = &error;
    }
    if (ended && job->error)
        out.exit_code = error_info(error.code)->exit_code;
    else if (ended && job->state != JOB_DONE)
        out.exit_code =
            error_info(job->state == JOB_CANCELLED ? XFER_CANCELLED : XFER_INTERNAL)->exit_code;
    char *text = control_job_encode(&out);
    free(dest_path);
    return text;
}

void job_to_event(const struct job *job, int64_t seq, double now, struct control_event *ev)
{
    *ev = (struct control_event){
        .seq = seq,
        .job = job->id,
        .state = job->state,
        .bytes_done = job->bytes_done,
        .bytes_total = job->bytes_total,
        .walking = job->walking,
        .rate = job_rate(job, now),
    };
    count_files(job, &ev->files_total, &ev->files_done, &ev->files_failed, &ev->files_skipped);
    snprintf(ev->phase, sizeof ev->phase, "%s", job_phase(job));
}

static double clock_seconds(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

double clock_unix(void)
{
    return clock_seconds(CLOCK_REALTIME);
}

double clock_monotonic(void)
{
    return clock_seconds(CLOCK_MONOTONIC);
}
