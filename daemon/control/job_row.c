/* SPDX-License-Identifier: MIT
 *
 * A job as the database keeps it, and back. What a job is doing right now is not recorded: one that
 * runs is a queued one to whoever reads the row after a death.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/control/job.h"
#include "daemon/control/queue_db.h"

static bool copy(char **to, const char *from)
{
    if (!from)
        return true;
    *to = strdup(from);
    return *to != NULL;
}

static bool error_to_row(const struct job *job, struct queue_row *row)
{
    struct xfer_error err;

    if (!job->error)
        return true;
    job_get_error(job, &err);
    row->error_code = err.code;
    row->error_side = err.side;
    row->error_errno = err.sys_errno;
    return copy(&row->error_text, err.text[0] ? err.text : NULL) &&
           copy(&row->error_path, err.path[0] ? err.path : NULL);
}

static bool groups_to_row(const struct job *job, struct queue_row *row)
{
    if (job->n_groups > 0) {
        row->groups = malloc((size_t)job->n_groups * sizeof *row->groups);
        if (!row->groups)
            return false;
        memcpy(row->groups, job->groups, (size_t)job->n_groups * sizeof *row->groups);
    }
    row->n_groups = job->n_groups;
    return true;
}

struct queue_row *job_to_row(const struct job *job)
{
    struct queue_row *row = queue_row_create();

    if (!row)
        return NULL;
    row->id = job->id;
    row->position = job->position;
    row->state = job->state == JOB_RUNNING ? JOB_QUEUED : job->state;
    row->ended = job->ended;
    row->owner = job->owner;
    row->priority = job->priority;
    row->overwrite = job->overwrite;
    row->sync = job->sync;
    row->retries = job->retries;
    row->preserve = job->preserve;
    row->dry_run = job->dry_run;
    row->checksum = job->checksum;
    row->one_file_system = job->one_file_system;
    row->tree = job->tree;
    row->files_total = job->files_total;
    row->files_done = job->files_done;
    row->files_failed = job->files_failed;
    row->files_skipped = job->files_skipped;
    row->errors = job->errors;
    row->warnings = job->warnings;
    row->attempts = job->attempts;
    row->failures = job->failures;
    row->not_before = job->not_before;
    row->submitted_at = job->submitted_at;
    row->started_at = job->started_at;
    row->finished_at = job->finished_at;
    row->bytes_total = job->bytes_total;
    row->bytes_done = job->bytes_done;
    row->bytes_resumed = job->bytes_resumed;
    row->gid = job->gid;
    row->bandwidth = job->bandwidth;
    row->handle = job->handle;
    row->handle_dev = job->handle_dev;
    row->handle_ino = job->handle_ino;
    row->has_digest = job->has_digest;
    memcpy(row->digest, job->digest, sizeof row->digest);
    if (!copy(&row->source, job->source) || !copy(&row->dest, job->dest) ||
        !copy(&row->key, job->key) || !copy(&row->stored, job->stored) ||
        !copy(&row->list, job->list) || !control_strings_copy(&row->filter, &job->filter) ||
        !groups_to_row(job, row) || !error_to_row(job, row)) {
        queue_row_destroy(row);
        return NULL;
    }
    return row;
}

static char *take(char **from)
{
    char *text = *from;

    *from = NULL;
    return text;
}

static void error_from_row(struct job *job, const struct queue_row *row)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (row->error_code == XFER_OK)
        return;
    error_set(&err, row->error_code, "%s", row->error_text ? row->error_text : "");
    error_about(&err, row->error_side, row->error_path ? row->error_path : "");
    err.sys_errno = row->error_errno;
    job_set_error(job, &err);
}

struct job *job_from_row(struct queue_row *row, struct xfer_error *err)
{
    struct job *job = job_new();

    if (!job) {
        error_set(err, XFER_NO_RESOURCES, "no memory for another job");
        return NULL;
    }
    job->id = row->id;
    job->position = row->position;
    job->state = row->state;
    job->ended = row->ended;
    job->owner = row->owner;
    job->priority = row->priority;
    job->overwrite = row->overwrite;
    job->sync = row->sync;
    job->retries = row->retries;
    job->preserve = row->preserve;
    job->dry_run = row->dry_run;
    job->checksum = row->checksum;
    job->one_file_system = row->one_file_system;
    job->tree = row->tree;
    job->files_total = row->files_total;
    job->errors = row->errors;
    job->warnings = row->warnings;
    job->attempts = row->attempts;
    job->unheard = !job_state_finished(row->state) ||
                   (row->attempts > 0 && row->error_code != XFER_DESTINATION_EXISTS);
    job->failures = row->failures;
    job->not_before = row->not_before;
    job->submitted_at = row->submitted_at;
    job->finished_at = row->finished_at;
    job->bytes_total = row->bytes_total;
    job->gid = row->gid;
    job->groups = row->groups;
    job->n_groups = row->n_groups;
    row->groups = NULL;
    row->n_groups = -1;
    job->bandwidth = row->bandwidth;
    job->handle = row->handle;
    job->handle_dev = row->handle_dev;
    job->handle_ino = row->handle_ino;
    job->has_digest = row->has_digest;
    memcpy(job->digest, row->digest, sizeof job->digest);
    if (job_state_finished(row->state)) {
        job->started_at = row->started_at;
        job->bytes_done = row->bytes_done;
        job->bytes_resumed = row->bytes_resumed;
        job->files_done = row->files_done;
        job->files_failed = row->files_failed;
        job->files_skipped = row->files_skipped;
    } else {
        job->restored = true;
    }
    job->source = take(&row->source);
    job->dest = take(&row->dest);
    job->key = take(&row->key);
    job->stored = take(&row->stored);
    job->list = take(&row->list);
    job->filter = row->filter;
    row->filter = (struct control_strings){0};
    error_from_row(job, row);
    return job;
}
