/* SPDX-License-Identifier: MIT
 *
 * A scheduler with a queue that keeps nothing and a sender that sends nothing.
 */
#ifndef XFER_TESTS_UNIT_SCHEDULER_RIG_H
#define XFER_TESTS_UNIT_SCHEDULER_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <ev.h>

#include "daemon/control/queue.h"
#include "daemon/control/scheduler.h"
#include "tests/unit/fake_queue_db.h"
#include "tests/unit/fake_sender.h"

static struct rig {
    struct ev_loop *loop;
    struct queue *queue;
    struct scheduler *scheduler;
    struct sender sender;
    double handle_wait;
} rig;
static bool as_owner; /* of the schedulers that are started from here on */

static inline int on_restored(void *user, struct job *job, struct xfer_error *err)
{
    (void)user;
    return scheduler_add(rig.scheduler, job, err);
}

static inline void on_accepted(void *user, struct job *job, const struct xfer_error *why)
{
    struct xfer_error err = XFER_ERROR_INIT;

    (void)user;
    assert_null(why);
    assert_int_equal(scheduler_add(rig.scheduler, job, &err), 0);
}

static inline void on_existing(void *user, struct job *job, struct job *old)
{
    (void)user;
    (void)job;
    (void)old;
}

static inline void on_revived(void *user, struct job *job, const struct xfer_error *why)
{
    on_accepted(user, job, why);
}

static inline void on_ended(void *user, struct job *job)
{
    (void)user;
    scheduler_remove(rig.scheduler, job);
}

static inline void on_job(void *user, struct job *job)
{
    (void)user;
    (void)job;
}

static int64_t left_behind; /* 0: none was */

static inline void on_left(void *user, int64_t job)
{
    (void)user;
    left_behind = job;
}

static inline void on_note_room(void *user, struct job *job)
{
    (void)user;
    scheduler_go_on(rig.scheduler, job);
}

static inline void on_settled(void *user)
{
    (void)user;
}

/* Delays that no test waits for, unless it says so. */
static inline void start(double delay, double stall_timeout)
{
    static const struct queue_events queue_events = {on_restored, on_accepted, on_existing,
                                                     on_ended,    on_job,      on_revived,
                                                     on_job,      on_settled,  on_note_room};
    static const struct scheduler_events events = {on_job, on_left};
    struct queue_options options = {.path = "/nowhere"};
    struct scheduler_options scheduler_options = {.sender = &rig.sender,
                                                  .retry = {.delay = delay, .delay_max = delay},
                                                  .stall_timeout = stall_timeout,
                                                  .handle_wait = rig.handle_wait,
                                                  .as_owner = as_owner};
    struct xfer_error err = XFER_ERROR_INIT;

    left_behind = 0;
    rig.queue = queue_open(rig.loop, &options, &err);
    assert_non_null(rig.queue);
    scheduler_options.paused = queue_paused(rig.queue);
    rig.scheduler = scheduler_create(rig.loop, rig.queue, &scheduler_options, &events, NULL, &err);
    assert_non_null(rig.scheduler);
    assert_int_equal(queue_serve(rig.queue, &queue_events, NULL, &err), 0);
}

static inline void end_all(void)
{
    scheduler_destroy(rig.scheduler);
    queue_close(rig.queue, 1);
    fake_drop_all(&rig.sender);
}

/* As after a death, with other settings. */
static inline void restart(double delay, double stall_timeout)
{
    end_all();
    start(delay, stall_timeout);
}

static inline int set_up(void **state)
{
    (void)state;
    memset(&rig, 0, sizeof rig);
    as_owner = false;
    rig.loop = ev_loop_new(0);
    rig.sender.room_max = 2;
    start(1e6, 0);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    end_all();
    ev_loop_destroy(rig.loop);
    fake_db_reset();
    return 0;
}

/* Until nothing is left to do at once. */
static inline void settle(void)
{
    for (int i = 0; i < 4; i++)
        ev_run(rig.loop, EVRUN_NOWAIT);
}

static inline struct job *submit(const char *dest, int priority)
{
    struct job_spec spec = {.source = "/a", .dest = dest, .priority = priority};
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = queue_submit(rig.queue, &spec, &err);

    assert_non_null(job);
    return job;
}

static inline void cancel(struct job *job)
{
    struct xfer_error why = XFER_ERROR_INIT;
    bool waits = job->state == JOB_QUEUED;

    error_set(&why, XFER_CANCELLED, "no more");
    scheduler_cancel(rig.scheduler, job, &why);
    if (waits)
        queue_end(rig.queue, job, JOB_CANCELLED, &why);
}

static inline void end(struct job *job)
{
    fake_end(&rig.sender, (uint64_t)job->id, 1, NULL);
    settle();
}

static inline struct job *submit_with_retries(const char *dest, int64_t retries)
{
    struct job_spec spec = {.source = "/a", .dest = dest, .retries = retries};
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = queue_submit(rig.queue, &spec, &err);

    assert_non_null(job);
    settle();
    return job;
}

static inline void fail_with(struct job *job, enum xfer_code code)
{
    struct xfer_error err = XFER_ERROR_INIT;

    error_set(&err, code, "the fake says so");
    fake_end(&rig.sender, (uint64_t)job->id, 0, &err);
    settle();
}

/* Turn the loop until the job is in that state. */
static inline void await(const struct job *job, enum job_state state)
{
    while (job->state != state)
        ev_run(rig.loop, EVRUN_ONCE);
}

#endif
