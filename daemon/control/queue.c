/* SPDX-License-Identifier: MIT
 *
 * The queue in memory: an index by number, and lists by what becomes of the jobs.
 */
#include "daemon/control/queue.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control/queue_impl.h"

static enum queue_group group_of(enum job_state state)
{
    return state == JOB_QUEUED ? GROUP_QUEUED : state == JOB_RUNNING ? GROUP_RUNNING : GROUP_RECENT;
}

static struct job **bucket_of(struct queue *q, int64_t id)
{
    return &q->buckets[(uint64_t)id % QUEUE_BUCKETS];
}

void queue_index(struct queue *q, struct job *job)
{
    struct job **bucket = bucket_of(q, job->id);

    job->queue.next_of_bucket = *bucket;
    *bucket = job;
}

static struct job *job_at(struct list *link)
{
    return list_entry(link, struct job, queue.link);
}

/* Before which link of the queued ones, ordered by number, that number belongs. Jobs come at the
 * end, or back to where others have come back to lately, so the search begins there; and from both
 * ends at once, lest a stray one be far from everything. */
static struct list *place_of(struct queue *q, int64_t id)
{
    struct list *head = &q->groups[GROUP_QUEUED];
    struct list *low = head->next, *high = head;
    struct list *near = q->finger ? &q->finger->queue.link : NULL;
    bool up = near && job_at(near)->id < id;

    for (;;) {
        if (low == head || job_at(low)->id > id)
            return low;
        if (high->prev == head || job_at(high->prev)->id < id)
            return high;
        low = low->next;
        high = high->prev;
        if (!near)
            continue;
        near = up ? near->next : near->prev;
        if (up && (near == head || job_at(near)->id > id))
            return near;
        if (!up && (near == head || job_at(near)->id < id))
            return near->next;
    }
}

static void take_out(struct queue *q, struct job *job)
{
    if (list_empty(&job->queue.link))
        return;
    if (q->finger == job) {
        struct list *prev = job->queue.link.prev;

        q->finger = prev == &q->groups[GROUP_QUEUED] ? NULL : job_at(prev);
    }
    list_remove(&job->queue.link);
    q->sizes[job->queue.group]--;
}

void queue_move(struct queue *q, struct job *job, enum queue_group group)
{
    struct list *at = &q->groups[group];

    take_out(q, job);
    if (group == GROUP_QUEUED) {
        at = place_of(q, job->id);
        q->finger = job;
    }
    list_add_before(at, &job->queue.link);
    q->sizes[group]++;
    job->queue.group = (int)group;
}

void queue_become(struct queue *q, struct job *job, enum job_state state, double now)
{
    job_become(job, state, now);
    queue_move(q, job, group_of(state));
}

static void unindex(struct queue *q, struct job *job)
{
    for (struct job **at = bucket_of(q, job->id); *at; at = &(*at)->queue.next_of_bucket)
        if (*at == job) {
            *at = job->queue.next_of_bucket;
            return;
        }
}

void queue_drop(struct queue *q, struct job *job)
{
    take_out(q, job);
    unindex(q, job);
    list_remove(&job->queue.todo);
    queue_notes_drop(q, job);
    job_destroy(job);
}

static void forget(struct queue *q, enum queue_group group, size_t most)
{
    struct list *head = &q->groups[group];

    for (struct list *at = head->next, *next; at != head && q->sizes[group] > most; at = next) {
        struct job *job = job_at(at);

        next = at->next;
        if (job->queue.reviving || !list_empty(&job->replies) || !list_empty(&job->answered))
            continue;
        if (group == GROUP_RECENT)
            q->older = true;
        if (q->served)
            q->events.forgotten(q->user, job);
        queue_drop(q, job);
    }
}

static void follow(struct queue *q, enum queue_group group, int64_t oldest)
{
    struct list *head = &q->groups[group];

    for (struct list *at = head->next, *next; at != head; at = next) {
        struct job *job = job_at(at);

        next = at->next;
        if (oldest > 0 && job->ended >= oldest) {
            if (group == GROUP_RECENT) /* by end */
                return;
            continue;
        }
        if (job->queue.reviving)
            continue;
        unindex(q, job);
        queue_move(q, job, GROUP_PRUNED);
    }
}

/* The database removes the oldest ends. */
void queue_follow(struct queue *q)
{
    int64_t counts[JOB_STATE_COUNT], oldest = queue_db_counts(q->db, counts);

    follow(q, GROUP_RECENT, oldest);
    if (oldest != q->oldest)
        follow(q, GROUP_FETCHED, oldest);
    q->oldest = oldest;
}

void queue_prune(struct queue *q)
{
    queue_follow(q);
    forget(q, GROUP_FETCHED, XFER_JOBS_FETCHED);
    forget(q, GROUP_PRUNED,
           XFER_JOBS_RECENT - (q->sizes[GROUP_RECENT] < XFER_JOBS_RECENT ? q->sizes[GROUP_RECENT]
                                                                         : XFER_JOBS_RECENT));
    forget(q, GROUP_RECENT, XFER_JOBS_RECENT);
}

void queue_keep(struct queue *q, int64_t jobs, double seconds)
{
    queue_db_keep(q->db, jobs, seconds);
}

const char *queue_lists(const struct queue *q)
{
    return q->lists;
}

const unsigned char *queue_id(const struct queue *q)
{
    return q->id;
}

/* ---- what happens to jobs ---- */

static int may_any_come(const struct queue *q, struct xfer_error *err)
{
    if (q->draining)
        return error_set(err, XFER_DRAINING,
                         "the queue is draining: it takes no more jobs, until 'xferctl resume'");
    if (q->unfinished >= XFER_JOBS_UNFINISHED_MAX)
        return error_set(err, XFER_QUEUE_FULL, "there are %d unfinished jobs already",
                         XFER_JOBS_UNFINISHED_MAX);
    return 0;
}

static int may_come(const struct queue *q, const struct job *job, bool unlimited,
                    struct xfer_error *err)
{
    if (may_any_come(q, err) < 0)
        return -1;
    return unlimited ? 0 : accounts_check(q->accounts, job->owner, job->bytes_total, err);
}

int queue_count_in(struct queue *q, struct job *job, struct xfer_error *err)
{
    int64_t bytes = job->bytes_total > 0 ? job->bytes_total : 0;

    if (accounts_add(q->accounts, job->owner, bytes, err) < 0)
        return -1;
    job->queue.counted = true;
    job->queue.counted_bytes = bytes;
    return 0;
}

void queue_count_out(struct queue *q, struct job *job)
{
    if (job->queue.counted)
        accounts_remove(q->accounts, job->owner, job->queue.counted_bytes);
    job->queue.counted = false;
}

void queue_resize(struct queue *q, struct job *job)
{
    int64_t bytes = job->bytes_total > 0 ? job->bytes_total : 0;

    if (!job->queue.counted || bytes == job->queue.counted_bytes)
        return;
    accounts_resize(q->accounts, job->owner, job->queue.counted_bytes, bytes);
    job->queue.counted_bytes = bytes;
}

void queue_set_limits(struct queue *q, int64_t user_jobs, int64_t user_bytes)
{
    accounts_set_limits(q->accounts, user_jobs, user_bytes);
    q->counts_bytes = user_bytes > 0;
}

bool queue_counts_bytes(const struct queue *q)
{
    return q->counts_bytes;
}

struct job *queue_draft(const struct queue *q, const struct job_spec *spec, struct xfer_error *err)
{
    if (!spec->key && may_any_come(q, err) < 0)
        return NULL;
    return job_create(0, spec, clock_unix(), err);
}

int queue_admit(struct queue *q, struct job *job, struct xfer_error *err)
{
    if (q->last_id >= XFER_JSON_INTEGER_MAX)
        return error_set(err, XFER_QUEUE_FULL, "this queue has no job numbers left");
    if (may_come(q, job, job->queue.unlimited, err) < 0) {
        if (!job->key)
            return -1;
        /* What was accepted before is told all the same, and only the database knows of it. */
        job->queue.refused = err->code;
        job_set_error(job, err);
    } else if (queue_count_in(q, job, err) < 0) {
        return -1;
    }
    job->id = ++q->last_id;
    job->position = ++q->last_position;
    q->unfinished++;
    queue_move(q, job, GROUP_SUBMITTED);
    queue_record(q, job, JOB_RECORD_SUBMITTED);
    return 0;
}

struct job *queue_submit(struct queue *q, const struct job_spec *spec, struct xfer_error *err)
{
    struct job *job = queue_draft(q, spec, err);

    if (job && queue_admit(q, job, err) < 0) {
        job_destroy(job);
        return NULL;
    }
    return job;
}

void queue_start(struct queue *q, struct job *job)
{
    queue_become(q, job, JOB_RUNNING, clock_unix());
    queue_record(q, job, JOB_RECORD_STARTED);
}

void queue_requeue(struct queue *q, struct job *job, double not_before,
                   const struct xfer_error *why)
{
    queue_notes_flush(q, job);
    queue_notes_keep(q, job);
    queue_become(q, job, JOB_QUEUED, clock_unix());
    job->not_before = not_before;
    if (why)
        job_set_error(job, why);
    queue_record(q, job, JOB_RECORD_WAITS);
}

void queue_hurry(struct queue *q, struct job *job)
{
    assert(job->state == JOB_QUEUED);
    job->not_before = 0;
    queue_record(q, job, JOB_RECORD_HURRIED);
}

void queue_end(struct queue *q, struct job *job, enum job_state state, const struct xfer_error *why)
{
    assert(!job->queue.ending && job_may_become(job->state, state));
    queue_notes_flush(q, job);
    queue_notes_keep(q, job);
    job->queue.ending = true;
    job->queue.end = state;
    job->queue.end_at = clock_unix();
    job->queue.end_number = ++q->last_ended;
    job_set_error(job, why);
    queue_record(q, job, JOB_RECORD_ENDED);
}

int queue_revive(struct queue *q, struct job *job, bool unlimited, struct xfer_error *err)
{
    assert(job_may_become(job->state, JOB_QUEUED) && job_state_finished(job->state));
    if (job->queue.reviving)
        return 0;
    if (may_come(q, job, unlimited, err) < 0 || queue_count_in(q, job, err) < 0)
        return -1;
    job->queue.reviving = true;
    job->queue.position = ++q->last_position;
    q->unfinished++;
    queue_record(q, job, JOB_RECORD_REVIVED);
    return 0;
}

/* ---- questions ---- */

struct job *queue_find(const struct queue *q, int64_t id, struct xfer_error *err)
{
    struct job *job = q->buckets[(uint64_t)id % QUEUE_BUCKETS];

    for (; job; job = job->queue.next_of_bucket)
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
    int64_t counts[JOB_STATE_COUNT];

    if (!job_state_finished(state))
        return q->sizes[group_of(state)];
    queue_db_counts(q->db, counts);
    return (size_t)counts[state];
}

size_t queue_unfinished(const struct queue *q)
{
    return q->unfinished;
}

bool queue_settled(const struct queue *q)
{
    return q->recording == 0;
}

bool queue_has_older(const struct queue *q)
{
    return q->older;
}

static struct job *next_of(const struct list *head, const struct job *after)
{
    struct list *next = after ? after->queue.link.next : head->next;

    return next == head ? NULL : job_at(next);
}

struct job *queue_next(const struct queue *q, enum job_state group, const struct job *after)
{
    return next_of(&q->groups[group_of(group)], after);
}

struct job *queue_previous(const struct queue *q, enum job_state group, const struct job *before)
{
    const struct list *head = &q->groups[group_of(group)];
    struct list *prev = before ? before->queue.link.prev : head->prev;

    return prev == head ? NULL : job_at(prev);
}

struct job *queue_next_submitted(const struct queue *q, const struct job *after)
{
    return next_of(&q->groups[GROUP_SUBMITTED], after);
}
