/* SPDX-License-Identifier: MIT
 *
 * From opening to closing: what was in the database comes into memory, and what memory still owes
 * it goes there.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control/queue_impl.h"
#include "daemon/log.h"

static int keep_restored(struct queue *q, struct job *job)
{
    if (q->n_restored == q->restored_size) {
        size_t size = q->restored_size ? 2 * q->restored_size : 256;
        struct job **restored = realloc(q->restored, size * sizeof(struct job *));

        if (!restored)
            return -1;
        q->restored = restored;
        q->restored_size = size;
    }
    q->restored[q->n_restored++] = job;
    return 0;
}

static int load(void *user, struct queue_row *row)
{
    struct queue *q = user;
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = job_from_row(row, &err);

    queue_row_destroy(row);
    if (!job)
        return -1;
    if (job->position > q->last_position)
        q->last_position = job->position;
    if (job_state_finished(job->state)) {
        queue_index(q, job);
        queue_move(q, job, GROUP_RECENT);
        return 0;
    }
    if (keep_restored(q, job) < 0) {
        job_destroy(job);
        return -1;
    }
    if (queue_count_in(q, job, &err) < 0) {
        q->n_restored--;
        job_destroy(job);
        return -1;
    }
    queue_index(q, job);
    queue_move(q, job, GROUP_SUBMITTED); /* for now */
    q->unfinished++;
    return 0;
}

static int by_number(const void *a, const void *b)
{
    const struct job *x = *(struct job *const *)a, *y = *(struct job *const *)b;

    return x->id < y->id ? -1 : x->id > y->id;
}

static int by_position(const void *a, const void *b)
{
    const struct job *x = *(struct job *const *)a, *y = *(struct job *const *)b;

    return x->position < y->position ? -1 : x->position > y->position;
}

/* Each goes to the end of the list then, however their positions lie. */
static void line_up(struct queue *q)
{
    if (q->n_restored > 1)
        qsort(q->restored, q->n_restored, sizeof(struct job *), by_number);
    for (size_t i = 0; i < q->n_restored; i++)
        queue_move(q, q->restored[i], GROUP_QUEUED);
    if (q->n_restored > 1)
        qsort(q->restored, q->n_restored, sizeof(struct job *), by_position);
}

static int open_database(struct queue *q, const struct queue_options *o, struct xfer_error *err)
{
    struct queue_db_options options = {.path = o->path,
                                       .lock_wait = o->lock_wait,
                                       .keep_jobs = o->keep_jobs,
                                       .keep_seconds = o->keep_seconds};
    struct queue_db_state state = {.last_id = 0};
    int64_t finished = 0;

    q->db = queue_db_open(q->loop, &options, XFER_JOBS_LOADED, &state, load, q, err);
    if (!q->db)
        return -1;
    memcpy(q->id, state.queue_id, sizeof q->id);
    q->last_id = state.last_id;
    q->last_ended = state.last_ended;
    if (q->last_position < q->last_id)
        q->last_position = q->last_id;
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        finished += job_state_finished(i) ? state.counts[i] : 0;
    q->older = (size_t)finished > q->sizes[GROUP_RECENT];
    q->paused = q->recorded_paused = state.paused;
    q->recorded_draining = state.draining != 0;
    q->draining = q->recorded_draining && o->same_supervisor;
    q->recorded_bandwidth =
        state.bandwidth < 0 || state.bandwidth > XFER_JSON_INTEGER_MAX ? -1 : state.bandwidth;
    q->bandwidth = o->same_supervisor ? q->recorded_bandwidth : -1;
    line_up(q);
    return 0;
}

static void settings_ended(void *user, const struct xfer_error *why)
{
    (void)user;
    if (why)
        log_warning("that a drain or a bandwidth has ended could not be recorded: %s", why->text);
}

struct queue *queue_open(struct ev_loop *loop, const struct queue_options *options,
                         struct xfer_error *err)
{
    struct queue *q = calloc(1, sizeof *q);

    if (!q) {
        error_set(err, XFER_NO_RESOURCES, "no memory for the queue");
        return NULL;
    }
    q->loop = loop;
    for (int i = 0; i < GROUP_COUNT; i++)
        list_init(&q->groups[i]);
    list_init(&q->noted);
    queue_record_init(q);
    if (asprintf(&q->lists, "%s" QUEUE_DB_LISTS, options->path) < 0) {
        q->lists = NULL;
        queue_close(q, 0);
        error_set(err, XFER_NO_RESOURCES, "no memory for the queue");
        return NULL;
    }
    q->accounts = accounts_create(err);
    if (!q->accounts) {
        queue_close(q, 0);
        return NULL;
    }
    /* What this start has ended must not come back with the next generation. */
    if (open_database(q, options, err) < 0 ||
        ((q->recorded_draining != q->draining || q->recorded_bandwidth != q->bandwidth) &&
         queue_set(q, q->paused, q->draining, settings_ended, NULL, err) < 0)) {
        queue_close(q, 0);
        return NULL;
    }
    return q;
}

void queue_close(struct queue *q, double seconds)
{
    if (!q)
        return;
    q->served = false;
    ev_timer_stop(q->loop, &q->todo_timer);
    if (q->db)
        queue_record_todo(q);
    for (struct queue_op *op = queue_db_close(q->db, seconds), *next; op; op = next) {
        next = op->next;
        queue_record_free(op->user);
    }
    for (int i = 0; i < GROUP_COUNT; i++)
        while (!list_empty(&q->groups[i])) {
            struct job *job = list_entry(q->groups[i].next, struct job, queue.link);

            list_remove(&job->queue.link);
            queue_notes_drop(q, job);
            job_destroy(job);
        }
    free(q->restored);
    free(q->lists);
    accounts_destroy(q->accounts);
    free(q);
}

int queue_serve(struct queue *q, const struct queue_events *events, void *user,
                struct xfer_error *err)
{
    assert(!q->served);
    q->served = true;
    q->events = *events;
    q->user = user;
    for (size_t i = 0; i < q->n_restored; i++)
        if (events->restored(user, q->restored[i], err) < 0)
            return -1;
    free(q->restored);
    q->restored = NULL;
    q->n_restored = q->restored_size = 0;
    return 0;
}
