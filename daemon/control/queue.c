/* SPDX-License-Identifier: MIT
 *
 * The queue in memory. Records are a list that is worked off right after the call that made them,
 * by an event fed to the loop, so that callers meet the same order as with a queue that writes to a
 * disk: the call returns first, its event comes later, in the order of the calls.
 */
#include "daemon/control/queue.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#define BUCKETS (1u << 15) /* numbers are given in sequence: the low bits spread them evenly */

enum group { GROUP_QUEUED, GROUP_RUNNING, GROUP_FINISHED, GROUP_COUNT };

struct queue {
    struct ev_loop *loop;
    struct queue_events events;
    void *user;
    int64_t last_id;
    size_t unfinished; /* submitted ones included that are not accepted yet */
    size_t counts[JOB_STATE_COUNT];
    struct list groups[GROUP_COUNT];
    struct job *record_head, *record_tail;
    ev_timer recorded; /* never started: fed */
    struct job *buckets[BUCKETS];
};

static enum group group_of(enum job_state state)
{
    return state == JOB_QUEUED    ? GROUP_QUEUED
           : state == JOB_RUNNING ? GROUP_RUNNING
                                  : GROUP_FINISHED;
}

static struct job **bucket_of(struct queue *q, int64_t id)
{
    return &q->buckets[(uint64_t)id % BUCKETS];
}

static void move_to_group(struct queue *q, struct job *job)
{
    struct list *head = &q->groups[group_of(job->state)];
    struct list *at = head;

    list_remove(&job->queue.link);
    /* Only a job that is queued again has to look for its place, among those that were submitted
     * before it. */
    if (job->state == JOB_QUEUED) {
        at = head->next;
        if (at != head && list_entry(head->prev, struct job, queue.link)->id < job->id)
            at = head;
        while (at != head && list_entry(at, struct job, queue.link)->id < job->id)
            at = at->next;
    }
    list_add_before(at, &job->queue.link);
}

static void change_state(struct queue *q, struct job *job, enum job_state state)
{
    q->counts[job->state]--;
    job_become(job, state, clock_unix());
    q->counts[state]++;
    move_to_group(q, job);
}

static void record(struct queue *q, struct job *job, enum job_record what)
{
    assert(job->queue.record == JOB_RECORD_NONE);
    job->queue.record = what;
    job->queue.next_record = NULL;
    if (q->record_tail)
        q->record_tail->queue.next_record = job;
    else
        q->record_head = job;
    q->record_tail = job;
    if (!ev_is_pending(&q->recorded))
        ev_feed_event(q->loop, &q->recorded, EV_CUSTOM);
}

static void prune(struct queue *q)
{
    while (q->counts[JOB_DONE] + q->counts[JOB_FAILED] + q->counts[JOB_CANCELLED] >
           XFER_JOBS_FINISHED_KEPT) {
        struct job *job = queue_next(q, JOB_DONE, NULL);
        struct job **at = bucket_of(q, job->id);

        q->events.forgotten(q->user, job);
        while (*at != job)
            at = &(*at)->queue.next_of_bucket;
        *at = job->queue.next_of_bucket;
        list_remove(&job->queue.link);
        q->counts[job->state]--;
        job_destroy(job);
    }
}

static void submission_recorded(struct queue *q, struct job *job)
{
    struct job **bucket = bucket_of(q, job->id);

    job->queue.next_of_bucket = *bucket;
    *bucket = job;
    q->counts[JOB_QUEUED]++;
    move_to_group(q, job);
    q->events.accepted(q->user, job, NULL);
}

static void end_recorded(struct queue *q, struct job *job)
{
    change_state(q, job, job->queue.end);
    q->unfinished--;
    q->events.ended(q->user, job);
    prune(q);
}

static void on_recorded(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct queue *q = w->data;
    struct job *last = q->record_tail;

    (void)loop;
    (void)revents;
    /* What the events below add is for the next event: this one is bounded by what is there now. */
    while (q->record_head) {
        struct job *job = q->record_head;
        enum job_record what = job->queue.record;

        q->record_head = job->queue.next_record;
        if (!q->record_head)
            q->record_tail = NULL;
        job->queue.record = JOB_RECORD_NONE;
        if (what == JOB_RECORD_SUBMITTED)
            submission_recorded(q, job);
        else
            end_recorded(q, job);
        if (job == last)
            break;
    }
    if (q->record_head && !ev_is_pending(&q->recorded))
        ev_feed_event(q->loop, &q->recorded, EV_CUSTOM);
}

struct queue *queue_create(struct ev_loop *loop, const struct queue_events *events, void *user,
                           struct xfer_error *err)
{
    struct queue *q = calloc(1, sizeof *q);

    if (!q) {
        error_set(err, XFER_NO_RESOURCES, "no memory for the queue");
        return NULL;
    }
    q->loop = loop;
    q->events = *events;
    q->user = user;
    for (int i = 0; i < GROUP_COUNT; i++)
        list_init(&q->groups[i]);
    ev_init(&q->recorded, on_recorded);
    q->recorded.data = q;
    return q;
}

void queue_destroy(struct queue *q)
{
    if (!q)
        return;
    ev_clear_pending(q->loop, &q->recorded);
    while (q->record_head) {
        struct job *job = q->record_head;

        q->record_head = job->queue.next_record;
        if (job->queue.record == JOB_RECORD_SUBMITTED) /* those are on no list yet */
            job_destroy(job);
    }
    for (int i = 0; i < GROUP_COUNT; i++)
        while (!list_empty(&q->groups[i])) {
            struct job *job = list_entry(q->groups[i].next, struct job, queue.link);

            list_remove(&job->queue.link);
            job_destroy(job);
        }
    free(q);
}

struct job *queue_submit(struct queue *q, const struct job_spec *spec, struct xfer_error *err)
{
    if (q->unfinished >= XFER_JOBS_UNFINISHED_MAX) {
        error_set(err, XFER_QUEUE_FULL, "there are %d unfinished jobs already",
                  XFER_JOBS_UNFINISHED_MAX);
        return NULL;
    }
    if (q->last_id >= XFER_JSON_INTEGER_MAX) {
        error_set(err, XFER_QUEUE_FULL, "this queue has no job numbers left");
        return NULL;
    }
    struct job *job = job_create(q->last_id + 1, spec, clock_unix(), err);
    if (!job)
        return NULL;
    q->last_id++;
    q->unfinished++;
    record(q, job, JOB_RECORD_SUBMITTED);
    return job;
}

void queue_start(struct queue *q, struct job *job)
{
    change_state(q, job, JOB_RUNNING);
}

void queue_requeue(struct queue *q, struct job *job)
{
    change_state(q, job, JOB_QUEUED);
}

void queue_end(struct queue *q, struct job *job, enum job_state state, const struct xfer_error *why)
{
    assert(!job->queue.ending && job_may_become(job->state, state));
    job->queue.ending = true;
    job->queue.end = state;
    job_set_error(job, why);
    record(q, job, JOB_RECORD_ENDED);
}

struct job *queue_find(const struct queue *q, int64_t id, struct xfer_error *err)
{
    for (struct job *job = q->buckets[(uint64_t)id % BUCKETS]; job; job = job->queue.next_of_bucket)
        if (job->id == id)
            return job;
    if (id >= 1 && id <= q->last_id)
        error_set(err, XFER_JOB_FORGOTTEN, "job %" PRId64 " is not remembered any more", id);
    else
        error_set(err, XFER_NO_SUCH_JOB, "there is no job %" PRId64, id);
    return NULL;
}

size_t queue_count(const struct queue *q, enum job_state state)
{
    return q->counts[state];
}

bool queue_settled(const struct queue *q)
{
    return !q->record_head;
}

struct job *queue_next(const struct queue *q, enum job_state group, const struct job *after)
{
    const struct list *head = &q->groups[group_of(group)];
    struct list *next = after ? after->queue.link.next : head->next;

    return next == head ? NULL : list_entry(next, struct job, queue.link);
}

struct job *queue_previous(const struct queue *q, enum job_state group, const struct job *before)
{
    const struct list *head = &q->groups[group_of(group)];
    struct list *prev = before ? before->queue.link.prev : head->prev;

    return prev == head ? NULL : list_entry(prev, struct job, queue.link);
}
