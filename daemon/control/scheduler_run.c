/* SPDX-License-Identifier: MIT
 *
 * One attempt: what the sender, or a tree, tells of it, and what that means for the job.
 *
 * A source that turns out to be a directory is no end of the attempt: it goes on as a tree. Notes
 * of the tree's entries go to the queue, which may have it wait.
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

void scheduler_attempt_failed(struct scheduler *s, struct job *job, const struct xfer_error *why,
                              enum retry_kind kind)
{
    if (why->code == XFER_SOURCE_HANDLE_LOST && wait_for_handle(s, job, why))
        return;
    if (kind != RETRY_FREE)
        s->counts.failed++;
    switch (kind) {
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

/* kind: would another attempt help? */
static void attempt_ended(struct scheduler *s, const struct run *run, struct job *job,
                          const struct xfer_error *why, enum retry_kind kind)
{
    if (s->stopping && why->code == s->stop_code)
        requeue(s, job, 0, NULL);
    else if (why->code == XFER_CANCELLED)
        queue_end(s->queue, job, JOB_CANCELLED, why);
    else if (run->cancelled && kind != RETRY_NEVER)
        queue_end(s->queue, job, JOB_CANCELLED, &run->why);
    else
        scheduler_attempt_failed(s, job, why, kind);
}

/* It takes none of the job's time any more. */
static void leave_run(struct run *run)
{
    struct scheduler *s = run->scheduler;

    run->job->schedule.run = NULL;
    list_remove(&run->link);
    s->running--;
    s->trees -= run->tree != NULL;
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
    run_free(run);
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

/* What one run has left of the sender's room may do for another job. */
static void look_for_room(struct scheduler *s)
{
    if (scheduler_next(s) && sender_room(s->options.sender) > 0)
        scheduler_kick(s);
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
    look_for_room(s);
}

/* Without memory for it the job says where it was to go. */
static void keep_place(struct job *job, const char *stored)
{
    free(job->stored);
    job->stored = stored[0] ? strdup(stored) : NULL;
}

/* It is known now what it is, and waits for its turn among its like. Nothing has been tried. */
static void wait_as_tree(struct run *run)
{
    struct scheduler *s = run->scheduler;
    struct job *job = run->job;

    leave_run(run);
    run_free(run);
    job->tree = true;
    job->attempts--;
    requeue(s, job, 0, NULL);
    scheduler_kick(s);
}

/* The source is a directory. False: the attempt is over all the same. */
static bool goes_on_as_tree(struct run *run, struct xfer_error *err)
{
    const struct scheduler *s = run->scheduler;

    if (err->code != XFER_IS_DIRECTORY || err->side != XFER_SIDE_SENDER || run->stuck ||
        run->job->handle)
        return false;
    run->send = NULL;
    if (run->cancelled) {
        *err = run->why;
        return false;
    }
    if (run->stopped) {
        error_set(err, s->stop_code, "stopped before it had begun");
        return false;
    }
    if (s->trees < XFER_TREES_MAX)
        return run_become_tree(run, err) == 0;
    wait_as_tree(run);
    return true;
}

static void note_warning(struct run *run, enum xfer_side side, const char *warning)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct tree_note note = {.kind = TREE_WARNING, .path = "", .error = &err};

    if (!warning || warning[0] == '\0')
        return;
    error_set(&err, XFER_PERMISSION_DENIED, "%s", warning);
    error_about(&err, side, side == XFER_SIDE_SENDER ? run->job->source : run->job->dest);
    queue_note(run->scheduler->queue, run->job, &note);
}

static void on_done(void *user, const struct send_result *result)
{
    struct run *run = user;
    struct scheduler *s = run->scheduler;
    struct job *job = run->job;
    struct xfer_error err = result->error;

    if (goes_on_as_tree(run, &err))
        return;
    if (err.code == XFER_OK)
        count_bytes(run, (int64_t)result->size, (int64_t)result->resumed);
    if (run->stuck) {
        stuck_run_ended(run);
        return;
    }
    leave_run(run);
    if (err.code == XFER_OK) {
        note_warning(run, XFER_SIDE_SENDER, result->unsent);
        note_warning(run, XFER_SIDE_RECEIVER, result->warning);
        job->bytes_done = job->bytes_total = (int64_t)result->size;
        job->bytes_resumed = (int64_t)result->resumed;
        keep_place(job, result->stored);
        job->has_digest = true;
        memcpy(job->digest, result->digest, sizeof job->digest);
        queue_end(s->queue, job, JOB_DONE, NULL);
    } else {
        /* whatever is there is not this job's */
        if (err.code == XFER_DESTINATION_EXISTS)
            job->unheard = false;
        attempt_ended(s, run, job, &err, retry_kind(err.code));
    }
    run_free(run);
    scheduler_kick(s);
}

const struct send_events run_send_events = {.progress = on_progress, .done = on_done};

/* ---- trees ---- */

static void take_progress(struct job *job, const struct tree_progress *progress)
{
    job->walking = progress->walking;
    job->files_total = progress->files_total;
    job->files_done = progress->files_done;
    job->files_failed = progress->files_failed;
    job->files_skipped = progress->files_skipped;
    job->bytes_resumed = progress->bytes_resumed;
}

static void count_files(struct run *run, const struct tree_progress *progress)
{
    if (progress->files_done <= run->files || (run->job && run->job->dry_run))
        return;
    run->scheduler->counts.tree_files += progress->files_done - run->files;
    run->files = progress->files_done;
}

static void on_tree_progress(void *user, const struct tree_progress *progress)
{
    struct run *run = user;
    struct scheduler *s = run->scheduler;

    count_bytes(run, progress->bytes_done, progress->bytes_resumed);
    count_files(run, progress);
    if (run->stuck)
        return;
    run->quiet = 0;
    run->phase = progress->phase;
    take_progress(run->job, progress);
    job_progress(run->job, run->cancelled ? "cancelling" : send_phase_name(progress->phase),
                 progress->bytes_done, progress->bytes_total, clock_monotonic());
    s->events.changed(s->user, run->job);
    look_for_room(s);
}

static bool on_note(void *user, const struct tree_note *note)
{
    struct run *run = user;

    if (run->stuck)
        return true;
    run->quiet = 0;
    run->noting = !queue_note(run->scheduler->queue, run->job, note);
    return !run->noting;
}

/* Of some entries another attempt may help, or of none. */
static enum retry_kind kind_of(const struct tree_result *result)
{
    if (result->error.code == XFER_INCOMPLETE)
        return result->retryable ? RETRY_COUNTED : RETRY_NEVER;
    return retry_kind(result->error.code);
}

static void on_tree_done(void *user, const struct tree_result *result)
{
    struct run *run = user;
    struct scheduler *s = run->scheduler;
    struct job *job = run->job;
    bool all_tried = result->error.code == XFER_OK || result->error.code == XFER_INCOMPLETE;

    count_bytes(run, result->progress.bytes_done, result->progress.bytes_resumed);
    count_files(run, &result->progress);
    if (all_tried && !(job && job->dry_run))
        s->counts.tree_bytes += result->progress.bytes_done - result->progress.bytes_resumed;
    if (run->stuck) {
        stuck_run_ended(run);
        return;
    }
    leave_run(run);
    take_progress(job, &result->progress);
    job->bytes_done = result->progress.bytes_done;
    job->bytes_total = result->progress.bytes_total;
    if (all_tried)
        keep_place(job, result->stored);
    if (result->error.code == XFER_OK) {
        job->has_digest = result->single;
        if (result->single)
            memcpy(job->digest, result->digest, sizeof job->digest);
        queue_end(s->queue, job, JOB_DONE, NULL);
    } else {
        attempt_ended(s, run, job, &result->error, kind_of(result));
    }
    run_free(run);
    scheduler_kick(s);
}

const struct tree_events run_tree_events = {
    .progress = on_tree_progress, .note = on_note, .done = on_tree_done};

void run_cancel(struct run *run, const struct xfer_error *why, bool keep)
{
    if (run->tree)
        tree_cancel(run->tree, why, keep);
    else
        sender_cancel(run->send, why, keep);
}

/* What it lacks is none of its own fault. */
static bool is_held(const struct run *run)
{
    if (run->tree)
        return run->noting || tree_is_throttled(run->tree);
    return sender_is_throttled(run->send);
}

void run_free(struct run *run)
{
    if (!run)
        return;
    filter_destroy(run->filter);
    free(run);
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
        run_cancel(run, &err, true);
    leave_run(run);
    run->stuck = true;
    job->unheard = true;
    job->schedule.stuck = run;
    list_add_before(&s->stuck, &run->link);
    attempt_ended(s, run, job, run->cancelled ? &run->why : &err,
                  retry_kind(run->cancelled ? run->why.code : err.code));
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
        if (may_stall(run->phase) && is_held(run))
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

/* ---- from the first to the last ---- */

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
        run_free(run);
    }
}

void scheduler_run_free(struct scheduler *s)
{
    ev_timer_stop(s->loop, &s->tick);
    drop_runs(&s->runs);
    drop_runs(&s->stuck);
}
