/* SPDX-License-Identifier: MIT
 *
 * Jobs that nothing blocks lie in a heap, the next to start on top, and those that are known to be
 * trees in one of their own, since of these only so many run at the same time; those whose time has
 * not come, in another by that time. All others hang on the one job that they wait for (see
 * destinations.h); when that has ended they go through the list "again", some a turn of the loop.
 * Whatever may have made room or work feeds one watcher, so a burst of submissions is one look at
 * the sender; nothing here runs while nothing happens.
 */
#include "daemon/control/scheduler.h"

#include <assert.h>
#include <stdlib.h>

#include "daemon/control/scheduler_impl.h"

/* A turn of the loop starts at most so many jobs, and looks again at so many that were blocked. */
#define STARTS_A_TURN 32
#define LOOKS_A_TURN  512

static struct job *job_of(struct heap_item *item)
{
    return heap_entry(item, struct job, schedule.heap);
}

static bool starts_first(const struct heap_item *x, const struct heap_item *y)
{
    const struct job *a = heap_entry(x, const struct job, schedule.heap);
    const struct job *b = heap_entry(y, const struct job, schedule.heap);

    return a->priority != b->priority ? a->priority > b->priority : a->position < b->position;
}

static bool is_due_first(const struct heap_item *x, const struct heap_item *y)
{
    const struct job *a = heap_entry(x, const struct job, schedule.heap);
    const struct job *b = heap_entry(y, const struct job, schedule.heap);

    return a->schedule.due != b->schedule.due ? a->schedule.due < b->schedule.due
                                              : a->position < b->position;
}

void scheduler_kick(struct scheduler *s)
{
    if (!s->stopping && !ev_is_active(&s->turn) && !ev_is_pending(&s->turn))
        ev_feed_event(s->loop, &s->turn, EV_CUSTOM);
}

static struct heap *ready_of(struct scheduler *s, const struct job *job)
{
    return job->tree || !job_is_plain(job) ? &s->ready_trees : &s->ready;
}

static void make_ready(struct scheduler *s, struct job *job)
{
    heap_add(ready_of(s, job), &job->schedule.heap);
}

void scheduler_unready(struct scheduler *s, struct job *job)
{
    heap_remove(ready_of(s, job), &job->schedule.heap);
}

struct job *scheduler_next(const struct scheduler *s)
{
    struct heap_item *file = heap_first(&s->ready);
    struct heap_item *tree = s->trees < XFER_TREES_MAX ? heap_first(&s->ready_trees) : NULL;

    if (!file && !tree)
        return NULL;
    return job_of(!file || (tree && starts_first(tree, file)) ? tree : file);
}

/* ---- waiting ---- */

static void set_wake(struct scheduler *s)
{
    struct heap_item *first = heap_first(&s->delayed);

    ev_timer_stop(s->loop, &s->wake);
    if (!first || s->stopping)
        return;
    double left = job_of(first)->schedule.due - clock_monotonic();
    ev_now_update(s->loop);
    ev_timer_set(&s->wake, left > 0 ? left : 0, 0.);
    ev_timer_start(s->loop, &s->wake);
}

static void undelay(struct scheduler *s, struct job *job)
{
    bool was_first = heap_first(&s->delayed) == &job->schedule.heap;

    heap_remove(&s->delayed, &job->schedule.heap);
    job->schedule.delayed = false;
    if (was_first)
        set_wake(s);
}

static void on_wake(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct scheduler *s = w->data;
    double now = clock_monotonic() + 0.001;
    struct heap_item *first;

    (void)loop;
    (void)revents;
    while ((first = heap_first(&s->delayed)) && job_of(first)->schedule.due <= now) {
        heap_remove(&s->delayed, first);
        job_of(first)->schedule.delayed = false;
        make_ready(s, job_of(first));
    }
    set_wake(s);
    scheduler_kick(s);
}

/* The clock that tells the time of day may be set while the job waits, and may have been while the
 * daemon did not run. */
static double seconds_left(const struct scheduler *s, const struct job *job)
{
    double left = job->not_before - clock_unix(), longest = retry_longest(&s->options.retry);

    if (job_error_code(job) == XFER_SOURCE_HANDLE_LOST && longest < s->options.handle_wait)
        longest = s->options.handle_wait;
    return left > longest ? longest : left;
}

void scheduler_place(struct scheduler *s, struct job *job)
{
    struct job *blocker = destinations_blocker(s->destinations, job);

    job->schedule.blocked = blocker != NULL;
    if (blocker) {
        list_add_before(&blocker->schedule.waiters, &job->schedule.waiting);
        return;
    }
    if (job->schedule.stuck) /* it comes back here when that has gone */
        return;
    double left = job->not_before > 0 ? seconds_left(s, job) : 0;
    if (left <= 0) {
        make_ready(s, job);
        return;
    }
    job->schedule.due = clock_monotonic() + left;
    job->schedule.delayed = true;
    heap_add(&s->delayed, &job->schedule.heap);
    if (heap_first(&s->delayed) == &job->schedule.heap)
        set_wake(s);
}

static void take_from_heap(struct scheduler *s, struct job *job)
{
    if (job->schedule.delayed)
        undelay(s, job);
    else if (job->schedule.heap.at)
        scheduler_unready(s, job);
}

/* ---- starting ---- */

static void on_turn(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct scheduler *s = w->data;
    unsigned starts = 0;
    struct job *next;

    (void)revents;
    for (unsigned i = 0; i < LOOKS_A_TURN && !list_empty(&s->again); i++) {
        struct job *job = list_entry(s->again.next, struct job, schedule.waiting);

        list_remove(&job->schedule.waiting);
        scheduler_place(s, job);
    }
    /* A job of those that still have to look could be the first one. They are few turns away. */
    bool may_start =
        list_empty(&s->again) && s->options.sender && !s->stopping && !s->options.paused;
    while (may_start && starts < STARTS_A_TURN && sender_room(s->options.sender) > 0 &&
           (next = scheduler_next(s))) {
        if (!scheduler_start(s, next))
            return;
        starts++;
    }
    if (!list_empty(&s->again) || starts == STARTS_A_TURN) {
        ev_timer_stop(loop, w);
        ev_timer_set(w, 0., 0.);
        ev_timer_start(loop, w);
    }
}

/* ---- the outside ---- */

struct scheduler *scheduler_create(struct ev_loop *loop, struct queue *queue,
                                   const struct scheduler_options *options,
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
    s->options = *options;
    s->handles_until = clock_monotonic() + options->handle_wait;
    s->events = *events;
    s->user = user;
    heap_init(&s->ready, starts_first);
    heap_init(&s->ready_trees, starts_first);
    heap_init(&s->delayed, is_due_first);
    list_init(&s->again);
    scheduler_run_init(s);
    ev_timer_init(&s->turn, on_turn, 0., 0.);
    ev_timer_init(&s->wake, on_wake, 0., 0.);
    s->turn.data = s->wake.data = s;
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
    ev_timer_stop(s->loop, &s->wake);
    scheduler_run_free(s);
    destinations_destroy(s->destinations);
    heap_free(&s->ready);
    heap_free(&s->ready_trees);
    heap_free(&s->delayed);
    free(s);
}

int scheduler_add(struct scheduler *s, struct job *job, struct xfer_error *err)
{
    if (heap_reserve(&s->ready, s->jobs + 1, err) < 0 ||
        heap_reserve(&s->ready_trees, s->jobs + 1, err) < 0 ||
        heap_reserve(&s->delayed, s->jobs + 1, err) < 0 ||
        destinations_add(s->destinations, job, err) < 0)
        return -1;
    s->jobs++;
    /* One that comes back after its end may find what its last attempt has left. */
    for (struct list *at = s->stuck.next; at != &s->stuck; at = at->next) {
        struct run *run = list_entry(at, struct run, link);

        if (run->id == job->id) {
            run->job = job;
            job->schedule.stuck = run;
        }
    }
    scheduler_place(s, job);
    scheduler_kick(s);
    return 0;
}

void scheduler_cancel(struct scheduler *s, struct job *job, const struct xfer_error *why)
{
    struct run *run = job->schedule.run;

    if (run) {
        if (!run->cancelled) {
            run->cancelled = true;
            run->why = *why;
            job->phase = "cancelling";
            run_cancel(run, why, false);
            s->events.changed(s->user, job);
        }
        return;
    }
    if (job->queue.ending || job->state != JOB_QUEUED)
        return;
    take_from_heap(s, job);
    list_remove(&job->schedule.waiting);
    job->schedule.blocked = false;
}

void scheduler_go_on(struct scheduler *s, struct job *job)
{
    struct run *run = job->schedule.run;

    (void)s;
    if (run && run->noting) {
        run->noting = false;
        tree_go_on(run->tree);
    }
}

void scheduler_hurry(struct scheduler *s, struct job *job)
{
    if (!job->schedule.delayed)
        return;
    undelay(s, job);
    make_ready(s, job);
    scheduler_kick(s);
}

void scheduler_remove(struct scheduler *s, struct job *job)
{
    assert(!job->schedule.heap.at && !job->schedule.run);
    if (job->schedule.stuck) {
        job->schedule.stuck->job = NULL;
        job->schedule.stuck = NULL;
    }
    if (job->schedule.place)
        s->jobs--;
    destinations_remove(s->destinations, job, &s->again);
    scheduler_kick(s);
}

void scheduler_set_retry(struct scheduler *s, const struct retry_policy *policy)
{
    s->options.retry = *policy;
}

void scheduler_pause(struct scheduler *s, bool paused)
{
    s->options.paused = paused;
    if (!paused)
        scheduler_kick(s);
}

void scheduler_stop(struct scheduler *s, const struct xfer_error *why)
{
    s->stopping = true;
    s->stop_code = why->code;
    ev_timer_stop(s->loop, &s->turn);
    ev_clear_pending(s->loop, &s->turn);
    ev_timer_stop(s->loop, &s->wake);
    for (struct list *at = s->runs.next; at != &s->runs; at = at->next) {
        struct run *run = list_entry(at, struct run, link);

        if (!run->cancelled) {
            run->stopped = true;
            run_cancel(run, why, true);
        }
    }
}

const struct scheduler_counts *scheduler_counts(const struct scheduler *s)
{
    return &s->counts;
}

unsigned scheduler_running(const struct scheduler *s)
{
    return s->running;
}

const struct job *scheduler_blocker(const struct scheduler *s, const struct job *job)
{
    return job->schedule.blocked ? destinations_blocker(s->destinations, job) : NULL;
}
