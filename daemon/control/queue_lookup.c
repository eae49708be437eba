/* SPDX-License-Identifier: MIT
 *
 * What is read from the database while the daemon runs, and the settings, which are written there.
 */
#include <stdlib.h>

#include "daemon/control/queue_impl.h"

static const struct xfer_error *error_of(const struct queue_record *r)
{
    return r->op.error.code != XFER_OK ? &r->op.error : NULL;
}

static int no_memory(struct xfer_error *err)
{
    return error_set(err, XFER_NO_RESOURCES, "no memory for the request");
}

static void on_fetched(struct queue_op *op)
{
    struct queue_record *r = op->user;
    struct queue *q = r->queue;
    struct xfer_error err = XFER_ERROR_INIT;
    const struct xfer_error *why = error_of(r);

    if (!why && op->row && !queue_job_of_row(q, op->row, &err))
        why = &err;
    r->done(r->user, why);
    queue_record_free(r);
    queue_prune(q);
}

int queue_fetch(struct queue *q, int64_t id, void (*done)(void *user, const struct xfer_error *why),
                void *user, struct xfer_error *err)
{
    struct queue_record *r = queue_record_make(q, QUEUE_DB_FETCH);

    if (!r)
        return no_memory(err);
    r->op.id = id;
    r->op.done = on_fetched;
    r->done = done;
    r->user = user;
    queue_record_give(r);
    return 0;
}

/* Those that queue_next() comes by are known there, and better. */
static size_t jobs_of_rows(const struct queue *q, const struct queue_op *op, struct job **jobs,
                           struct xfer_error *err)
{
    struct xfer_error none = XFER_ERROR_INIT;
    size_t n = 0;

    for (size_t i = 0; i < op->n; i++) {
        const struct job *job = queue_find(q, op->rows[i]->id, &none);

        if (job && job->queue.group != GROUP_FETCHED)
            continue;
        jobs[n] = job_from_row(op->rows[i], err);
        if (!jobs[n])
            break;
        n++;
    }
    return n;
}

static void on_listed(struct queue_op *op)
{
    struct queue_record *r = op->user;
    struct xfer_error err = op->error;
    struct job **jobs = NULL;
    size_t n = 0;

    if (err.code == XFER_OK) {
        jobs = calloc(op->n + 1, sizeof(struct job *));
        if (jobs)
            n = jobs_of_rows(r->queue, op, jobs, &err);
        else
            no_memory(&err);
    }
    r->listed(r->user, jobs, n, err.code != XFER_OK ? &err : NULL);
    while (n > 0)
        job_destroy(jobs[--n]);
    free(jobs);
    queue_record_free(r);
}

int queue_list(struct queue *q, const struct queue_filter *filter,
               void (*done)(void *user, struct job *const *jobs, size_t n,
                            const struct xfer_error *why),
               void *user, struct xfer_error *err)
{
    struct queue_record *r = queue_record_make(q, QUEUE_DB_LIST);

    if (!r)
        return no_memory(err);
    r->op.before = filter->before;
    r->op.limit = filter->limit;
    r->op.state = filter->state;
    r->op.by_owner = filter->by_owner;
    r->op.owner = filter->owner;
    r->op.done = on_listed;
    r->listed = done;
    r->user = user;
    queue_record_give(r);
    return 0;
}

bool queue_paused(const struct queue *q)
{
    return q->paused;
}

bool queue_draining(const struct queue *q)
{
    return q->draining;
}

int64_t queue_bandwidth(const struct queue *q)
{
    return q->bandwidth;
}

static void on_set(struct queue_op *op)
{
    struct queue_record *r = op->user;
    struct queue *q = r->queue;
    const struct xfer_error *why = error_of(r);

    q->setting--;
    if (!why) {
        q->recorded_paused = op->paused;
        q->recorded_draining = op->draining != 0;
        q->recorded_bandwidth = op->bandwidth;
    } else if (q->setting == 0) {
        q->paused = q->recorded_paused;
        q->draining = q->recorded_draining;
        q->bandwidth = q->recorded_bandwidth;
    }
    r->done(r->user, why);
    queue_record_free(r);
    queue_record_settle(q);
}

static int set(struct queue *q, bool paused, bool draining, int64_t bandwidth,
               void (*done)(void *user, const struct xfer_error *why), void *user,
               struct xfer_error *err)
{
    struct queue_record *r = queue_record_make(q, QUEUE_DB_SETTINGS);

    if (!r)
        return no_memory(err);
    r->op.paused = q->paused = paused;
    q->draining = draining;
    r->op.draining = draining;
    r->op.bandwidth = q->bandwidth = bandwidth;
    r->op.done = on_set;
    r->done = done;
    r->user = user;
    q->setting++;
    q->recording++;
    queue_record_give(r);
    return 0;
}

int queue_set(struct queue *q, bool paused, bool draining,
              void (*done)(void *user, const struct xfer_error *why), void *user,
              struct xfer_error *err)
{
    return set(q, paused, draining, q->bandwidth, done, user, err);
}

int queue_set_bandwidth(struct queue *q, int64_t bandwidth,
                        void (*done)(void *user, const struct xfer_error *why), void *user,
                        struct xfer_error *err)
{
    return set(q, q->paused, q->draining, bandwidth, done, user, err);
}
