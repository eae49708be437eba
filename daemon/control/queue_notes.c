/* SPDX-License-Identifier: MIT
 *
 * What is noted of the entries of a job: gathered while it runs, given to the database in batches,
 * and read from there page by page. The first ones stay in memory as well, for the job object: of
 * every job that runs, and of the last ones that did; of others they are brought back when somebody
 * asks.
 *
 * Nothing of it grows without bounds: who makes notes is told to wait while too much of them is not
 * recorded yet.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/control/job_notes.h"
#include "daemon/control/queue_impl.h"
#include "daemon/log.h"

#define BATCH     500          /* notes of one operation */
#define BYTES_JOB (512 * 1024) /* of one job that are not recorded: then it waits */
#define BYTES_ALL (8 << 20)    /* of all jobs */
#define JOBS_KEPT 100          /* that have ended, whose first notes stay in memory */

static size_t bytes_of(const struct queue_note *note)
{
    return sizeof *note + strlen(note->path) + (note->text ? strlen(note->text) : 0);
}

/* ---- writing ---- */

static bool is_full(const struct queue *q, const struct job *job)
{
    return job->queue.note_bytes >= BYTES_JOB || q->note_bytes >= BYTES_ALL;
}

static bool has_room(const struct queue *q, const struct job *job)
{
    return job->queue.note_bytes < BYTES_JOB / 2 && q->note_bytes < BYTES_ALL / 2;
}

/* A job may have to wait for the notes of others. */
static void tell_room(struct queue *q)
{
    struct list *head = &q->groups[GROUP_RUNNING];

    for (struct list *at = head->next, *next; at != head; at = next) {
        struct job *job = list_entry(at, struct job, queue.link);

        next = at->next;
        if (!job->queue.notes_full || !has_room(q, job))
            continue;
        job->queue.notes_full = false;
        if (q->served)
            q->events.note_room(q->user, job);
    }
}

static void on_written(struct queue_op *op)
{
    struct queue_record *r = op->user;
    struct queue *q = r->queue;
    struct xfer_error none = XFER_ERROR_INIT;
    struct job *job = queue_find(q, op->id, &none);

    if (op->error.code != XFER_OK)
        log_warning("errors and warnings of job %lld could not be recorded: %s", (long long)op->id,
                    op->error.text);
    q->note_bytes -= r->bytes;
    if (job)
        job->queue.note_bytes -= r->bytes;
    queue_record_free(r);
    tell_room(q);
}

/* False: no memory. */
static bool give(struct queue *q, struct job *job, bool clear)
{
    struct queue_record *r = queue_record_make(q, QUEUE_DB_NOTE);

    if (!r)
        return false;
    r->op.id = job->id;
    r->op.clear = clear;
    r->op.done = on_written;
    r->op.lazy = clear;
    r->op.notes = job->queue.notes;
    r->op.n_notes = job->queue.n_notes;
    for (size_t i = 0; i < r->op.n_notes; i++)
        r->bytes += bytes_of(&r->op.notes[i]);
    job->queue.notes = NULL;
    job->queue.n_notes = 0;
    queue_record_give(r);
    return true;
}

/* What there is no memory for is lost, but counted. */
static void forget_batch(struct queue *q, struct job *job)
{
    for (size_t i = 0; i < job->queue.n_notes; i++) {
        size_t bytes = bytes_of(&job->queue.notes[i]);

        q->note_bytes -= bytes;
        job->queue.note_bytes -= bytes;
    }
    queue_notes_free(job->queue.notes, job->queue.n_notes);
    job->queue.notes = NULL;
    job->queue.n_notes = 0;
}

void queue_notes_flush(struct queue *q, struct job *job)
{
    if (job->queue.n_notes > 0 && !give(q, job, false))
        forget_batch(q, job);
}

static void unkeep(struct queue *q, struct job *job)
{
    if (list_empty(&job->queue.noted))
        return;
    list_remove(&job->queue.noted);
    q->n_noted--;
}

static void free_shown(struct queue *q, struct job *job)
{
    unkeep(q, job);
    job_notes_free(job->notes);
    job->notes = NULL;
}

void queue_notes_keep(struct queue *q, struct job *job)
{
    if (!job->notes)
        return;
    unkeep(q, job);
    list_add_before(&q->noted, &job->queue.noted);
    if (++q->n_noted > JOBS_KEPT)
        free_shown(q, list_entry(q->noted.next, struct job, queue.noted));
}

void queue_notes_drop(struct queue *q, struct job *job)
{
    forget_batch(q, job);
    free_shown(q, job);
}

void queue_note_begin(struct queue *q, struct job *job)
{
    bool had_some = job->errors > 0 || job->warnings > 0 || job->queue.last_note > 0;

    forget_batch(q, job);
    free_shown(q, job);
    job->errors = job->warnings = 0;
    job->queue.last_note = 0;
    job->queue.notes_full = false;
    /* of one that was cut short by a death nothing is counted */
    if (had_some || job->restored)
        give(q, job, true);
}

static void show(struct job *job, const struct queue_note *note)
{
    struct control_note shown = {
        .warning = note->kind == TREE_WARNING,
        .path = note->path,
        .code = note->code,
        .side = note->side,
        .sys_errno = note->sys_errno,
        .message = note->text,
    };

    if (note->kind != TREE_PLAN)
        job_notes_add(&job->notes, &shown);
}

static bool copy_note(struct queue_note *to, const struct tree_note *from)
{
    *to = (struct queue_note){.kind = from->kind};
    if (from->kind == TREE_PLAN) {
        to->action = from->action;
        to->type = from->type;
        to->size = from->size;
    } else {
        to->code = from->error->code;
        to->side = from->error->side;
        to->sys_errno = from->error->sys_errno;
        to->text = strdup(from->error->text);
        if (!to->text)
            return false;
    }
    to->path = strdup(from->path);
    if (to->path)
        return true;
    free(to->text);
    return false;
}

bool queue_note(struct queue *q, struct job *job, const struct tree_note *note)
{
    struct queue_note *copy;
    size_t bytes;

    job->errors += note->kind == TREE_ERROR;
    job->warnings += note->kind == TREE_WARNING;
    if (job->queue.last_note >= XFER_NOTES_MAX)
        return !job->queue.notes_full;
    if (!job->queue.notes)
        job->queue.notes = calloc(BATCH, sizeof *job->queue.notes);
    copy = job->queue.notes ? &job->queue.notes[job->queue.n_notes] : NULL;
    if (!copy || !copy_note(copy, note))
        return !job->queue.notes_full;
    copy->n = ++job->queue.last_note;
    show(job, copy);
    bytes = bytes_of(copy);
    job->queue.note_bytes += bytes;
    q->note_bytes += bytes;
    if (++job->queue.n_notes == BATCH || is_full(q, job))
        queue_notes_flush(q, job);
    /* who was told to wait does so until told again, whatever has been recorded meanwhile */
    if (is_full(q, job))
        job->queue.notes_full = true;
    return !job->queue.notes_full;
}

/* ---- reading ---- */

static void on_read(struct queue_op *op)
{
    struct queue_record *r = op->user;
    bool more = (int64_t)op->n_notes == op->limit && op->limit > 0;

    r->noted(r->user, op->notes, op->n_notes - more, more,
             op->error.code != XFER_OK ? &op->error : NULL);
    queue_record_free(r);
}

static struct queue_record *make_reading(struct queue *q, struct job *job, struct xfer_error *err)
{
    struct queue_record *r = queue_record_make(q, QUEUE_DB_NOTES);

    if (!r) {
        error_set(err, XFER_NO_RESOURCES, "no memory for the request");
        return NULL;
    }
    queue_notes_flush(q, job);
    r->op.id = job->id;
    return r;
}

int queue_read_notes(struct queue *q, struct job *job, bool plan, int64_t after, int64_t limit,
                     void (*done)(void *user, const struct queue_note *notes, size_t n, bool more,
                                  const struct xfer_error *why),
                     void *user, struct xfer_error *err)
{
    struct queue_record *r = make_reading(q, job, err);

    if (!r)
        return -1;
    r->op.after = after;
    r->op.limit = limit + 1; /* whether there are more */
    r->op.kinds[TREE_PLAN] = plan;
    r->op.kinds[TREE_ERROR] = r->op.kinds[TREE_WARNING] = !plan;
    r->op.done = on_read;
    r->noted = done;
    r->user = user;
    queue_record_give(r);
    return 0;
}

static void on_loaded(struct queue_op *op)
{
    struct queue_record *r = op->user;
    struct queue *q = r->queue;
    struct xfer_error none = XFER_ERROR_INIT;
    struct job *job = queue_find(q, op->id, &none);

    /* another attempt may have begun meanwhile, or somebody else have asked too */
    if (job && job->state != JOB_RUNNING && job_lacks_notes(job)) {
        for (size_t i = 0; i < op->n_notes; i++)
            show(job, &op->notes[i]);
        queue_notes_keep(q, job);
    }
    r->done(r->user, op->error.code != XFER_OK ? &op->error : NULL);
    queue_record_free(r);
}

int queue_load_notes(struct queue *q, struct job *job,
                     void (*done)(void *user, const struct xfer_error *why), void *user,
                     struct xfer_error *err)
{
    struct queue_record *r = make_reading(q, job, err);

    if (!r)
        return -1;
    r->op.limit = XFER_NOTES_SHOWN;
    r->op.kinds[TREE_ERROR] = r->op.kinds[TREE_WARNING] = r->op.each = true;
    r->op.done = on_loaded;
    r->done = done;
    r->user = user;
    queue_record_give(r);
    return 0;
}
