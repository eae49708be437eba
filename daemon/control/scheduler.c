/* SPDX-License-Identifier: MIT
 *
 * Jobs that nothing blocks lie in a heap, the next to start on top. All others hang on the one job
 * that they wait for (see destinations.h); when that has ended they go through the list "again",
 * some a turn of the loop. Whatever may have made room or work feeds one watcher, so a burst of
 * submissions is one look at the sender; nothing here runs while nothing happens.
 */
#include "daemon/control/scheduler.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control/destinations.h"

/* A turn of the loop starts at most so many jobs, and looks again at so many that were blocked. */
#define STARTS_A_TURN 32
#define LOOKS_A_TURN  512

struct run {
    struct scheduler *scheduler;
    struct job *job;
    struct send *send;
    struct list link;
    bool cancelled;
};

struct scheduler {
    struct ev_loop *loop;
    struct queue *queue;
    struct sender *sender;
    struct scheduler_events events;
    void *user;
    struct destinations *destinations;
    size_t waiting; /* jobs that were added and neither run nor were taken back: room for them is in
                       the heap */
    struct job **heap; /* 1-based */
    size_t heap_len, heap_size;
    struct list again; /* by schedule.waiting */
    struct list runs;
    unsigned running;
    bool stopping;
    enum xfer_code stop_code;
    ev_timer turn; /* fed for this turn of the loop, started for the next */
};

static bool goes_first(const struct job *a, const struct job *b)
{
    return a->priority != b->priority ? a->priority > b->priority : a->id < b->id;
}

static void heap_put(struct scheduler *s, size_t at, struct job *job)
{
    s->heap[at] = job;
    job->schedule.heap_at = at;
}

static void heap_sift(struct scheduler *s, size_t at, struct job *job)
{
    while (at > 1 && goes_first(job, s->heap[at / 2])) {
        heap_put(s, at, s->heap[at / 2]);
        at /= 2;
    }
    for (;;) {
        size_t child = 2 * at;

        if (child < s->heap_len && goes_first(s->heap[child + 1], s->heap[child]))
            child++;
        if (child > s->heap_len || !goes_first(s->heap[child], job))
            break;
        heap_put(s, at, s->heap[child]);
        at = child;
    }
    heap_put(s, at, job);
}

static void heap_add(struct scheduler *s, struct job *job)
{
    s->heap_len++;
    heap_sift(s, s->heap_len, job);
}

static void heap_remove(struct scheduler *s, struct job *job)
{
    size_t at = job->schedule.heap_at;
    struct job *last = s->heap[s->heap_len--];

    job->schedule.heap_at = 0;
    if (last != job)
        heap_sift(s, at, last);
}

static int heap_reserve(struct scheduler *s, size_t n, struct xfer_error *err)
{
    if (n < s->heap_size)
        return 0;
    size_t size = s->heap_size ? 2 * s->heap_size : 64;
    struct job **heap = realloc(s->heap, size * sizeof(struct job *));
    if (!heap)
        return error_set(err, XFER_NO_RESOURCES, "no memory for another waiting job");
    s->heap = heap;
    s->heap_size = size;
    return 0;
}

static void kick(struct scheduler *s)
{
    if (!s->stopping && !ev_is_active(&s->turn) && !ev_is_pending(&s->turn))
        ev_feed_event(s->loop, &s->turn, EV_CUSTOM);
}

static void place_job(struct scheduler *s, struct job *job)
{
    struct job *blocker = destinations_blocker(s->destinations, job);

    job->schedule.blocked = blocker != NULL;
    if (blocker)
        list_add_before(&blocker->schedule.waiters, &job->schedule.waiting);
    else
        heap_add(s, job);
}

static void run_ended(struct run *run)
{
    struct scheduler *s = run->scheduler;

    run->job->schedule.run = NULL;
    list_remove(&run->link);
    s->running--;
    free(run);
    kick(s);
}

static void on_progress(void *user, enum send_phase phase, int64_t done, int64_t total)
{
    struct run *run = user;
    struct scheduler *s = run->scheduler;

    job_progress(run->job, send_phase_name(phase), done, total, clock_monotonic());
    s->events.changed(s->user, run->job);
}

static void on_done(void *user, const struct send_result *result)
{
    struct run *run = user;
    struct scheduler *s = run->scheduler;
    struct job *job = run->job;
    enum xfer_code code = result->error.code;

    run_ended(run);
    if (code == XFER_OK) {
        job->bytes_done = job->bytes_total = (int64_t)result->size;
        job->has_digest = true;
        memcpy(job->digest, result->digest, sizeof job->digest);
        queue_end(s->queue, job, JOB_DONE, NULL);
    } else if (s->stopping && code == s->stop_code) {
        queue_requeue(s->queue, job);
        s->events.changed(s->user, job);
    } else {
        queue_end(s->queue, job, code == XFER_CANCELLED ? JOB_CANCELLED : JOB_FAILED,
                  &result->error);
    }
}

/* False: nothing can start for now. */
static bool start(struct scheduler *s, struct job *job)
{
    static const struct send_events events = {.progress = on_progress, .done = on_done};
    struct xfer_error err = XFER_ERROR_INIT;
    struct send_request request = {.job = (uint64_t)job->id,
                                   .source = job->source,
                                   .dest = job->dest,
                                   .overwrite = job->overwrite,
                                   .sync = job->sync};
    struct run *run = calloc(1, sizeof *run);

    if (run) {
        run->scheduler = s;
        run->job = job;
        run->send = sender_start(s->sender, &request, &events, run, &err);
    } else {
        error_set(&err, XFER_NO_RESOURCES, "no memory to start the transfer");
    }
    if (!run || !run->send) {
        free(run);
        if (s->running > 0) /* the end of another makes room */
            return false;
        heap_remove(s, job);
        s->waiting--;
        queue_end(s->queue, job, JOB_FAILED, &err);
        return true;
    }
    heap_remove(s, job);
    s->waiting--;
    job->schedule.run = run;
    list_init(&run->link);
    list_add_before(&s->runs, &run->link);
    s->running++;
    job_progress(job, send_phase_name(SEND_OPENING), 0, -1, clock_monotonic());
    queue_start(s->queue, job);
    s->events.changed(s->user, job);
    return true;
}

static void on_turn(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct scheduler *s = w->data;
    unsigned starts = 0;

    (void)revents;
    for (unsigned i = 0; i < LOOKS_A_TURN && !list_empty(&s->again); i++) {
        struct job *job = list_entry(s->again.next, struct job, schedule.waiting);

        list_remove(&job->schedule.waiting);
        place_job(s, job);
    }
    /* A job of those that still have to look could be the first one. They are few turns away. */
    bool may_start = list_empty(&s->again) && s->sender && !s->stopping;
    while (may_start && starts < STARTS_A_TURN && s->heap_len > 0 && sender_room(s->sender) > 0) {
        if (!start(s, s->heap[1]))
            return;
        starts++;
    }
    if (!list_empty(&s->again) || starts == STARTS_A_TURN) {
        ev_timer_stop(loop, w);
        ev_timer_set(w, 0., 0.);
        ev_timer_start(loop, w);
    }
}

struct scheduler *scheduler_create(struct ev_loop *loop, struct queue *queue, struct sender *sender,
                                   const struct scheduler_events *events, void *user,
                                   struct xfer_error *err)
{
    struct scheduler *s = calloc(1, sizeof *s);

    if (!s) {
        error_set(err, XFER_NO_RESOURCES, "no memory for the scheduler");
        return NULL;
    }
    s->loop = loop;
    s->queue = queue;
    s->sender = sender;
    s->events = *events;
    s->user = user;
    list_init(&s->again);
    list_init(&s->runs);
    ev_timer_init(&s->turn, on_turn, 0., 0.);
    s->turn.data = s;
    s->destinations = destinations_create(err);
    if (!s->destinations) {
        scheduler_destroy(s);
        return NULL;
    }
    return s;
}

void scheduler_destroy(struct scheduler *s)
{
    if (!s)
        return;
    ev_timer_stop(s->loop, &s->turn);
    ev_clear_pending(s->loop, &s->turn);
    while (!list_empty(&s->runs)) {
        struct run *run = list_entry(s->runs.next, struct run, link);

        list_remove(&run->link);
        run->job->schedule.run = NULL;
        free(run);
    }
    destinations_destroy(s->destinations);
    free(s->heap);
    free(s);
}

int scheduler_add(struct scheduler *s, struct job *job, struct xfer_error *err)
{
    if (heap_reserve(s, s->waiting + 1, err) < 0 || destinations_add(s->destinations, job, err) < 0)
        return -1;
    s->waiting++;
    place_job(s, job);
    kick(s);
    return 0;
}

void scheduler_cancel(struct scheduler *s, struct job *job, const struct xfer_error *why)
{
    struct run *run = job->schedule.run;

    if (run) {
        if (!run->cancelled) {
            run->cancelled = true;
            sender_cancel(run->send, why);
        }
        return;
    }
    if (job->queue.ending || job->state != JOB_QUEUED)
        return;
    if (job->schedule.heap_at)
        heap_remove(s, job);
    list_remove(&job->schedule.waiting);
    job->schedule.blocked = false;
    s->waiting--;
}

void scheduler_remove(struct scheduler *s, struct job *job)
{
    assert(!job->schedule.heap_at && !job->schedule.run);
    destinations_remove(s->destinations, job, &s->again);
    kick(s);
}

void scheduler_stop(struct scheduler *s, const struct xfer_error *why)
{
    s->stopping = true;
    s->stop_code = why->code;
    ev_timer_stop(s->loop, &s->turn);
    ev_clear_pending(s->loop, &s->turn);
    for (struct list *at = s->runs.next; at != &s->runs; at = at->next) {
        struct run *run = list_entry(at, struct run, link);

        if (!run->cancelled) {
            run->cancelled = true;
            sender_cancel(run->send, why);
        }
    }
}

unsigned scheduler_running(const struct scheduler *s)
{
    return s->running;
}

const struct job *scheduler_blocker(const struct scheduler *s, const struct job *job)
{
    return job->schedule.blocked ? destinations_blocker(s->destinations, job) : NULL;
}
