/* SPDX-License-Identifier: MIT
 *
 * What is recorded of jobs, and what follows when it is. Several records of one job may be under
 * way; the database carries them out, and tells of them, in the order in which they were given, so
 * what is said last is what counts.
 *
 * A start is held back for a moment: the end of a small file comes so soon that its record says it
 * all. The same list takes what finds no memory, and must not be lost for that.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "daemon/control/queue_impl.h"
#include "daemon/log.h"

#define HELD_BACK 0.02 /* seconds */

struct queue_record *queue_record_make(struct queue *q, enum queue_op_kind kind)
{
    struct queue_record *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->op.kind = kind;
    r->op.user = r;
    r->queue = q;
    list_init(&r->link);
    return r;
}

void queue_record_give(struct queue_record *r)
{
    list_add_before(&r->queue->records, &r->link);
    queue_db_give(r->queue->db, &r->op);
}

void queue_record_free(struct queue_record *r)
{
    list_remove(&r->link);
    queue_row_destroy(r->op.row);
    for (size_t i = 0; i < r->op.n; i++)
        queue_row_destroy(r->op.rows[i]);
    free(r->op.rows);
    queue_notes_free(r->op.notes, r->op.n_notes);
    free(r);
}

void queue_record_settle(struct queue *q)
{
    assert(q->recording > 0);
    if (--q->recording == 0 && q->served)
        q->events.settled(q->user);
}

/* ---- what follows ---- */

/* Nobody has heard of its number: the next one gets it, unless others came meanwhile. */
static void take_back(struct queue *q, struct job *job)
{
    q->unfinished--;
    queue_count_out(q, job);
    if (job->id == q->last_id)
        q->last_id--;
}

static void submission_failed(struct queue *q, struct job *job, struct xfer_error *why)
{
    if (job->queue.refused != XFER_OK && why->code == XFER_NO_SUCH_JOB && job->error)
        job_get_error(job, why);
    else if (job->queue.refused != XFER_OK && why->code == XFER_NO_SUCH_JOB)
        error_set(why, job->queue.refused, "no job may come now");
    else if (why->side == XFER_SIDE_NONE)
        why->side = XFER_SIDE_DAEMON;
    take_back(q, job);
    if (q->served)
        q->events.accepted(q->user, job, why);
    queue_drop(q, job);
}

struct job *queue_job_of_row(struct queue *q, struct queue_row *row, struct xfer_error *err)
{
    struct xfer_error none = XFER_ERROR_INIT;
    struct job *job = queue_find(q, row->id, &none);

    if (job)
        return job;
    if (!job_state_finished(row->state)) {
        error_set(err, XFER_INTERNAL, "job %" PRId64 " was lost from memory", row->id);
        return NULL;
    }
    job = job_from_row(row, err);
    if (job) {
        queue_index(q, job);
        queue_move(q, job, GROUP_FETCHED);
    }
    return job;
}

static void submission_existed(struct queue *q, struct job *job, struct queue_record *r)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *old = queue_job_of_row(q, r->op.row, &err);

    if (!old) {
        submission_failed(q, job, &err);
        return;
    }
    take_back(q, job);
    if (q->served)
        q->events.existing(q->user, job, old);
    queue_drop(q, job);
    queue_prune(q);
}

static void submission_recorded(struct queue *q, struct job *job, struct queue_record *r)
{
    if (r->op.error.code != XFER_OK) {
        submission_failed(q, job, &r->op.error);
    } else if (r->op.existing) {
        submission_existed(q, job, r);
    } else {
        queue_index(q, job);
        queue_move(q, job, GROUP_QUEUED);
        if (q->served)
            q->events.accepted(q->user, job, NULL);
    }
}

static void warn(const struct job *job, const struct queue_record *r)
{
    if (r->op.error.code != XFER_OK)
        log_error("job %" PRId64 " could not be recorded: %s", job->id, r->op.error.text);
}

static void passing_recorded(struct queue *q, struct job *job, struct queue_record *r)
{
    (void)q;
    warn(job, r);
}

static void hurry_recorded(struct queue *q, struct job *job, struct queue_record *r)
{
    warn(job, r);
    if (q->served)
        q->events.hurried(q->user, job);
}

static void end_recorded(struct queue *q, struct job *job, struct queue_record *r)
{
    warn(job, r);
    job->queue.ending = false;
    queue_become(q, job, job->queue.end, job->queue.end_at);
    job->ended = job->queue.end_number;
    job->not_before = 0;
    q->unfinished--;
    queue_count_out(q, job);
    if (q->served)
        q->events.ended(q->user, job);
    queue_prune(q);
}

static void revival_recorded(struct queue *q, struct job *job, struct queue_record *r)
{
    struct xfer_error why = XFER_ERROR_INIT;

    job->queue.reviving = false;
    if (r->op.error.code != XFER_OK) {
        q->unfinished--;
        queue_count_out(q, job);
        error_set(&why, XFER_JOB_FORGOTTEN, "job %" PRId64 " is not remembered any more", job->id);
        if (q->served)
            q->events.revived(q->user, job, &why);
        queue_prune(q);
        return;
    }
    queue_become(q, job, JOB_QUEUED, 0);
    job->position = job->queue.position;
    job->failures = 0;
    if (!job->unheard) {
        job->settled = job->attempts;
        job->restored = false;
    }
    job_set_error(job, NULL);
    if (q->served)
        q->events.revived(q->user, job, NULL);
}

static void (*const followers[])(struct queue *q, struct job *job, struct queue_record *r) = {
    [JOB_RECORD_SUBMITTED] = submission_recorded,
    [JOB_RECORD_STARTED] = passing_recorded,
    [JOB_RECORD_WAITS] = passing_recorded,
    [JOB_RECORD_HURRIED] = hurry_recorded,
    [JOB_RECORD_ENDED] = end_recorded,
    [JOB_RECORD_REVIVED] = revival_recorded,
};

static bool somebody_waits(enum job_record what)
{
    return what != JOB_RECORD_STARTED;
}

static void on_done(struct queue_op *op)
{
    struct queue_record *r = op->user;
    struct queue *q = r->queue;
    bool waited_for = somebody_waits(r->what);

    followers[r->what](q, r->job, r);
    queue_record_free(r);
    if (waited_for)
        queue_record_settle(q);
}

/* ---- giving ---- */

/* What the row says that the job will only be when it is recorded. */
static void foresee(const struct job *job, enum job_record what, struct queue_row *row)
{
    if (what == JOB_RECORD_ENDED) {
        row->state = job->queue.end;
        row->ended = job->queue.end_number;
        row->finished_at = job->queue.end_at;
        row->not_before = 0;
    } else if (what == JOB_RECORD_REVIVED) {
        row->state = JOB_QUEUED;
        row->position = job->queue.position;
        row->ended = 0;
        row->failures = 0;
        row->not_before = row->started_at = row->finished_at = 0;
        row->bytes_done = row->bytes_resumed = 0;
        row->error_code = XFER_OK;
        row->error_side = XFER_SIDE_NONE;
        row->error_errno = 0;
        free(row->error_text);
        free(row->error_path);
        row->error_text = row->error_path = NULL;
    }
}

/* False: no memory. */
static bool give(struct queue *q, struct job *job, enum job_record what)
{
    struct queue_record *r =
        queue_record_make(q, what == JOB_RECORD_SUBMITTED ? QUEUE_DB_INSERT : QUEUE_DB_UPDATE);

    if (!r)
        return false;
    r->op.row = job_to_row(job);
    if (!r->op.row) {
        free(r);
        return false;
    }
    foresee(job, what, r->op.row);
    r->op.done = on_done;
    r->op.lazy = !somebody_waits(what);
    r->op.only_existing = what == JOB_RECORD_SUBMITTED && job->queue.refused != XFER_OK;
    r->job = job;
    r->what = what;
    queue_record_give(r);
    return true;
}

static void hold_back(struct queue *q, struct job *job, enum job_record what)
{
    job->queue.what = what;
    list_add_before(&q->todo, &job->queue.todo);
    if (!ev_is_active(&q->todo_timer)) {
        ev_timer_set(&q->todo_timer, HELD_BACK, 0.);
        ev_timer_start(q->loop, &q->todo_timer);
    }
}

void queue_record(struct queue *q, struct job *job, enum job_record what)
{
    if (somebody_waits(what))
        q->recording++;
    if (!list_empty(&job->queue.todo)) {
        list_remove(&job->queue.todo);
        if (somebody_waits(what) && somebody_waits(job->queue.what))
            q->recording--;
        if (job->queue.what > what)
            what = job->queue.what;
    }
    if (what == JOB_RECORD_STARTED || !give(q, job, what))
        hold_back(q, job, what);
}

void queue_record_todo(struct queue *q)
{
    while (!list_empty(&q->todo)) {
        struct job *job = list_entry(q->todo.next, struct job, queue.todo);

        if (!give(q, job, job->queue.what))
            return;
        list_remove(&job->queue.todo);
    }
}

static void on_todo(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct queue *q = w->data;

    (void)revents;
    queue_record_todo(q);
    if (!list_empty(&q->todo)) {
        ev_timer_set(w, HELD_BACK, 0.);
        ev_timer_start(loop, w);
    }
}

void queue_record_init(struct queue *q)
{
    list_init(&q->records);
    list_init(&q->todo);
    ev_init(&q->todo_timer, on_todo);
    q->todo_timer.data = q;
}
