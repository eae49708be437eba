/* SPDX-License-Identifier: MIT
 *
 * One attempt: from its start over the sender's news to what it means for the job.
 *
 * An attempt that hangs is over for its job long before it is over for the sender. What is left of
 * it (a run that is "stuck") keeps the job from starting again, so that never two attempts of one
 * job are under way.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/control/scheduler_impl.h"

/* ---- the end of an attempt ---- */

static double random_part(struct scheduler *s)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return (double)(s->random >> 11) / 9007199254740992.0; /* 2^53 */
}

static void requeue(struct scheduler *s, struct job *job, double delay,
                    const struct xfer_error *why)
{
    queue_requeue(s->queue, job, delay > 0 ? clock_unix() + delay : 0, why);
    s->events.changed(s->user, job);
    if (!s->stopping)
        scheduler_place(s, job);
}

/* A descriptor that a restart has lost may be handed over again, or has been during this attempt.
 * False: that is over. */
static bool wait_for_handle(struct scheduler *s, struct job *job, const struct xfer_error *why)
{
    double left = s->handles_until - clock_monotonic();

    if (job->handle_fd >= 0)
        requeue(s, job, 0, why);
    else if (left > 0)
        requeue(s, job, left, why);
    else
        return false;
    return true;
}

static void attempt_failed(struct scheduler *s, struct job *job, const struct xfer_error *why)
{
    if (why->code == XFER_SOURCE_HANDLE_LOST && wait_for_handle(s, job, why))
        return;
    if (retry_kind(why->code) != RETRY_FREE)
        s->counts.failed++;
    switch (retry_kind(why->code)) {
    case RETRY_FREE:
        requeue(s, job, retry_delay(&s->options.retry, 1, random_part(s)), why);
        return;
    case RETRY_COUNTED:
        job->failures++;
        if (job->failures <= job->retries) {
            requeue(s, job, retry_delay(&s->options.retry, job->failures, random_part(s)), why);
            return;
        }
        break;
    case RETRY_NEVER:
        break;
    }
    queue_end(s->queue, job, JOB_FAILED, why);
}

static void attempt_ended(struct scheduler *s, const struct run *run, struct job *job,
                          const struct xfer_error *why)
{
    if (s->stopping && why->code == s->stop_code)
        requeue(s, job, 0, NULL);
    else if (why->code == XFER_CANCELLED)
        queue_end(s->queue, job, JOB_CANCELLED, why);
    else if (run->cancelled && retry_kind(why->code) != RETRY_NEVER)
        queue_end(s->queue, job, JOB_CANCELLED, &run->why);
    else
        attempt_failed(s, job, why);
}

/* It takes none of the job's time any more. */
static void leave_run(struct run *run)
{
    struct scheduler *s = run->scheduler;

    run->job->schedule.run = NULL;
    list_remove(&run->link);
    s->running--;
    if (s->running == 0)
        ev_timer_stop(s->loop, &s->tick);
}

static void stuck_run_ended(struct run *run)
{
    struct scheduler *s = run->scheduler;
    struct job *job = run->job;

    list_remove(&run->link);
    if (!job)
        s->events.left(s->user, run->id);
    free(run);
    if (job) {
        job->schedule.stuck = NULL;
        if (job->state == JOB_QUEUED && !job->queue.ending && !job->schedule.blocked &&
            !s->stopping)
            scheduler_place(s, job);
    }
    scheduler_kick(s);
}

/* The attempt has come to that. It never goes back, but what it begins with may be known late. */
static void count_bytes(struct run *run, int64_t done, int64_t resumed)
{
    int64_t moved = done - resumed;

    if (moved <= run->moved)
        return;
    run->scheduler->counts.bytes += moved - run->moved;
    run->moved = moved;
}

static void on_progress(void *user, const struct send_progress *progress)
{
    struct run *run = user;
    struct scheduler *s = run->scheduler;

    count_bytes(run, progress->bytes_done, progress->bytes_resumed);
    if (run->stuck)
        return;
    run->quiet = 0;
    run->phase = progress->phase;
    run->job->bytes_resumed = progress->bytes_resumed;
    job_progress(run->job, run->cancelled ? "cancelling" : send_phase_name(progress->phase),
                 progress->bytes_done, progress->bytes_total, clock_monotonic());
    s->events.changed(s->user, run->job);
}

/* Without memory for it the job says where it was to go. */
static void keep_place(struct job *job, const char *stored)
{
    free(job->stored);
    job->stored = stored[0] ? strdup(stored) : NULL;
}

static void on_done(void *user, const struct send_result *result)
{
    struct run *run = user;
    struct scheduler *s = run->scheduler;
    struct job *job = run->job;

    if (result->error.code == XFER_OK)
        count_bytes(run, (int64_t)result->size, (int64_t)result->resumed);
    if (run->stuck) {
        stuck_run_ended(run);
        return;
    }
    leave_run(run);
    if (result->error.code == XFER_OK) {
        job->bytes_done = job->bytes_total = (int64_t)result->size;
        job->bytes_resumed = (int64_t)result->resumed;
        keep_place(job, result->stored);
        job->has_digest = true;
        memcpy(job->digest, result->digest, sizeof job->digest);
        queue_end(s->queue, job, JOB_DONE, NULL);
    } else {
        attempt_ended(s, run, job, &result->error);
    }
    free(run);
    scheduler_kick(s);
}

/* ---- attempts that hang ---- */

static void give_up(struct run *run)
{
    struct scheduler *s = run->scheduler;
    struct job *job = run->job;
    struct xfer_error err = XFER_ERROR_INIT;

    error_set(&err, XFER_STALLED, "nothing moved for %g seconds (%s)", s->options.stall_timeout,
              send_phase_name(run->phase));
    error_about(&err, XFER_SIDE_SENDER, job->source);
    if (!run->cancelled && !run->stopped)
        sender_cancel(run->send, &err, true);
    leave_run(run);
    run->stuck = true;
    job->schedule.stuck = run;
    list_add_before(&s->stuck, &run->link);
    attempt_ended(s, run, job, run->cancelled ? &run->why : &err);
    scheduler_kick(s);
}

/* While a file is stored its outcome is open, however long that takes; while the receiver is asked
 * what it has, it may read for long without a word. */
static bool may_stall(enum send_phase phase)
{
    return phase == SEND_OPENING || phase == SEND_VERIFYING || phase == SEND_SENDING;
}

/* Turns of the timer are counted, not the time: a daemon that was stopped for an hour has lost
 * nothing. */
static void on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct scheduler *s = w->data;

    (void)loop;
    (void)revents;
    for (struct list *at = s->runs.next, *next; at != &s->runs; at = next) {
        struct run *run = list_entry(at, struct run, link);

        next = at->next;
        if (may_stall(run->phase) && sender_is_throttled(run->send))
            run->quiet = 0;
        else if (may_stall(run->phase) && ++run->quiet > STALL_TICKS)
            give_up(run);
    }
}

void scheduler_set_stall_timeout(struct scheduler *s, double seconds)
{
    if (seconds == s->options.stall_timeout)
        return;
    s->options.stall_timeout = seconds;
    ev_timer_stop(s->loop, &s->tick);
    s->tick.repeat = seconds / STALL_TICKS;
    for (struct list *at = s->runs.next; at != &s->runs; at = at->next)
        list_entry(at, struct run, link)->quiet = 0;
    if (seconds > 0 && !list_empty(&s->runs)) {
        ev_now_update(s->loop);
        ev_timer_again(s->loop, &s->tick);
    }
}

/* ---- starting ---- */

static struct run *make_run(struct scheduler *s, struct job *job)
{
    struct run *run = calloc(1, sizeof *run);

    if (!run)
        return NULL;
    run->scheduler = s;
    run->job = job;
    run->id = job->id;
    run->phase = SEND_OPENING;
    list_init(&run->link);
    return run;
}

static void began(struct scheduler *s, struct job *job)
{
    s->counts.started++;
    heap_remove(&s->ready, &job->schedule.heap);
    job_progress(job, send_phase_name(SEND_OPENING), 0, -1, clock_monotonic());
    queue_start(s->queue, job);
}

static void groups_unknown(const struct job *job, struct xfer_error *err)
{
    error_set(err, XFER_PERMISSION_DENIED,
              "the groups of uid %u were not recorded with this job, and source.identity = caller "
              "needs them: 'xferctl retry' by that user records them",
              (unsigned)job->owner);
    error_about(err, XFER_SIDE_SENDER, job->source);
}

bool scheduler_start(struct scheduler *s, struct job *job)
{
    static const struct send_events events = {.progress = on_progress, .done = on_done};
    struct xfer_error err = XFER_ERROR_INIT;
    struct send_request request = {.job = (uint64_t)job->id,
                                   .source = job->source,
                                   .dest = job->dest,
                                   .overwrite = job->overwrite,
                                   .sync = job->sync,
                                   .bandwidth = job->bandwidth,
                                   .again = job->attempts > job->settled || job->restored,
                                   .handle = job->handle,
                                   .handle_dev = job->handle_dev,
                                   .handle_ino = job->handle_ino,
                                   .handle_fd = job->handle_fd};
    struct run *run = make_run(s, job);

    request.uid = job->owner;
    request.gid = job->gid;
    request.groups = job->groups;
    request.n_groups = job->n_groups > 0 ? job->n_groups : 0;
    request.as_owner = s->options.as_owner;
    if (request.as_owner && job->n_groups < 0)
        groups_unknown(job, &err);
    else if (run)
        run->send = sender_start(s->options.sender, &request, &events, run, &err);
    else
        error_set(&err, XFER_NO_RESOURCES, "no memory to start the transfer");
    if (!run || !run->send) {
        free(run);
        if (s->running > 0 &&
            err.code != XFER_PERMISSION_DENIED) /* the end of another makes room */
            return false;
        began(s, job);
        attempt_failed(s, job, &err);
        return true;
    }
    job->schedule.run = run;
    list_add_before(&s->runs, &run->link);
    s->running++;
    if (s->options.stall_timeout > 0 && !ev_is_active(&s->tick))
        ev_timer_again(s->loop, &s->tick);
    began(s, job);
    s->events.changed(s->user, job);
    return true;
}

/* ---- */

void scheduler_run_init(struct scheduler *s)
{
    if (getrandom(&s->random, sizeof s->random, GRND_NONBLOCK) != (ssize_t)sizeof s->random)
        s->random = (uint64_t)(clock_monotonic() * 1e9);
    s->random |= 1;
    list_init(&s->runs);
    list_init(&s->stuck);
    ev_timer_init(&s->tick, on_tick, 0., s->options.stall_timeout / STALL_TICKS);
    s->tick.data = s;
}

static void drop_runs(struct list *runs)
{
    while (!list_empty(runs)) {
        struct run *run = list_entry(runs->next, struct run, link);

        list_remove(&run->link);
        if (run->job)
            run->job->schedule.run = run->job->schedule.stuck = NULL;
        free(run);
    }
}

void scheduler_run_free(struct scheduler *s)
{
    ev_timer_stop(s->loop, &s->tick);
    drop_runs(&s->runs);
    drop_runs(&s->stuck);
}
