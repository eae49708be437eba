/* SPDX-License-Identifier: MIT
 *
 * Which job starts when: priority, positions, destinations that disturb each other, attempts that
 * failed or hang; with a sender that sends nothing.
 */
#include "proto/relpath.h"
#include "tests/unit/scheduler_rig.h"

/* ---- whose rights ---- */

static struct job *submit_as(uid_t uid, gid_t gid, const gid_t *groups, int n_groups)
{
    struct job_spec spec = {.source = "/a",
                            .dest = "of-user",
                            .owner = uid,
                            .gid = gid,
                            .groups = groups,
                            .n_groups = n_groups};
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = queue_submit(rig.queue, &spec, &err);

    assert_non_null(job);
    settle();
    return job;
}

static void the_sender_is_told_whose_file_it_is(void **state)
{
    const gid_t groups[] = {7, 8};
    struct job *job = submit_as(1000, 100, groups, 2);
    const struct send *send = fake_find(&rig.sender, (uint64_t)job->id);

    (void)state;
    assert_int_equal(send->uid, 1000);
    assert_int_equal(send->gid, 100);
    assert_int_equal(send->n_groups, 2);
    assert_false(send->as_owner);
    end(job);
}

static void rights_are_the_owners_where_that_is_asked_for(void **state)
{
    struct job *job;

    (void)state;
    as_owner = true;
    restart(1e6, 0);
    job = submit_as(1000, 100, NULL, 0);
    assert_true(fake_find(&rig.sender, (uint64_t)job->id)->as_owner);
    end(job);
}

static void a_job_without_known_groups_fails_where_they_are_needed(void **state)
{
    struct job *job = submit_as(1000, 100, NULL, -1);

    (void)state;
    assert_non_null(fake_find(&rig.sender, (uint64_t)job->id));
    end(job);
    as_owner = true;
    restart(1e6, 0);
    job = submit_as(1000, 100, NULL, -1);
    assert_int_equal(job->state, JOB_FAILED);
    assert_int_equal(job_error_code(job), XFER_PERMISSION_DENIED);
    assert_int_equal(rig.sender.n_starts, 1);
}

static void where_it_was_stored_is_kept_with_the_job(void **state)
{
    struct job *job = submit_as(1000, 100, NULL, 0);

    (void)state;
    rig.sender.stored = "ann/of-user";
    end(job);
    assert_int_equal(job->state, JOB_DONE);
    assert_string_equal(job->stored, "ann/of-user");
}

static void starts_no_more_than_there_is_room_for(void **state)
{
    struct job *a = submit("a", 0);

    (void)state;
    submit("b", 0);
    struct job *c = submit("c", 0);
    settle();
    assert_int_equal(rig.sender.active, 2);
    assert_int_equal(c->state, JOB_QUEUED);
    end(a);
    assert_int_equal(a->state, JOB_DONE);
    assert_int_equal(c->state, JOB_RUNNING);
}

static void higher_priority_goes_first_then_the_earlier_one(void **state)
{
    (void)state;
    rig.sender.room_max = 1;
    submit("a", -5);
    submit("b", 0);
    submit("c", 100);
    submit("d", 0);
    settle();
    while (rig.sender.sends)
        fake_end(&rig.sender, rig.sender.sends->job, 0, NULL), settle();
    const uint64_t expected[] = {3, 2, 4, 1};
    assert_int_equal(rig.sender.n_starts, 4);
    assert_memory_equal(rig.sender.starts, expected, sizeof expected);
}

static void the_same_destination_keeps_the_order_of_submission_over_priority(void **state)
{
    struct job *first = submit("x/y", 0), *second;

    (void)state;
    second = submit("x/y", 100);
    settle();
    assert_int_equal(first->state, JOB_RUNNING);
    assert_int_equal(second->state, JOB_QUEUED);
    assert_ptr_equal(scheduler_blocker(rig.scheduler, second), first);
    end(first);
    assert_int_equal(second->state, JOB_RUNNING);
}

static void nested_destinations_wait_both_ways(void **state)
{
    struct job *deep = submit("x/y/z", 0), *above = submit("x", 0), *below = submit("x/y", 0),
               *other = submit("xy", 0);

    (void)state;
    rig.sender.room_max = 10;
    settle();
    assert_int_equal(deep->state, JOB_RUNNING);
    assert_int_equal(other->state, JOB_RUNNING);
    assert_int_equal(above->state, JOB_QUEUED);
    assert_int_equal(below->state, JOB_QUEUED);
    end(deep);
    assert_int_equal(above->state, JOB_RUNNING);
    assert_int_equal(below->state, JOB_QUEUED);
    end(above);
    assert_int_equal(below->state, JOB_RUNNING);
}

static void a_failed_or_cancelled_job_lets_the_next_one_go(void **state)
{
    struct job *a = submit("a", 0), *b = submit("a", 0), *c = submit("a", 0);
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    settle();
    error_set(&err, XFER_IO, "broken");
    fake_end(&rig.sender, (uint64_t)a->id, 0, &err);
    settle();
    assert_int_equal(a->state, JOB_FAILED);
    assert_int_equal(b->state, JOB_RUNNING);
    cancel(b);
    settle();
    assert_int_equal(c->state, JOB_QUEUED);
    end(b);
    assert_int_equal(b->state, JOB_CANCELLED);
    assert_int_equal(c->state, JOB_RUNNING);
}

static void a_cancelled_job_in_the_middle_does_not_let_later_ones_overtake(void **state)
{
    struct job *a = submit("a", 0), *b = submit("a", 0), *c = submit("a/c", 0);

    (void)state;
    settle();
    cancel(b);
    settle();
    assert_int_equal(b->state, JOB_CANCELLED);
    assert_int_equal(a->state, JOB_RUNNING);
    assert_int_equal(c->state, JOB_QUEUED);
    end(a);
    assert_int_equal(c->state, JOB_RUNNING);
}

static void a_cancel_that_comes_too_late_changes_nothing(void **state)
{
    struct job *a = submit("a", 0);
    struct xfer_error stored = XFER_ERROR_INIT;

    (void)state;
    settle();
    cancel(a);
    fake_end(&rig.sender, (uint64_t)a->id, 5, &stored);
    settle();
    assert_int_equal(a->state, JOB_DONE);
    assert_true(a->has_digest);
    assert_int_equal(a->bytes_done, 5);
}

static void a_sender_that_cannot_start_fails_the_job(void **state)
{
    struct job *a = submit("a", 0);

    (void)state;
    rig.sender.broken = true;
    settle();
    assert_int_equal(a->state, JOB_FAILED);
    assert_int_equal(job_error_code(a), XFER_NO_RESOURCES);
}

static void stopping_puts_running_jobs_back_into_the_queue(void **state)
{
    struct job *a = submit("a", 0), *b = submit("b", 0), *c = submit("c", 0);
    struct xfer_error why = XFER_ERROR_INIT, stored = XFER_ERROR_INIT;

    (void)state;
    settle();
    error_set(&why, XFER_STOPPING, "stopping");
    scheduler_stop(rig.scheduler, &why);
    assert_int_equal(scheduler_running(rig.scheduler), 2);
    assert_true(rig.sender.sends->keep);
    end(a);
    fake_end(&rig.sender, (uint64_t)b->id, 1, &stored);
    settle();
    assert_int_equal(scheduler_running(rig.scheduler), 0);
    assert_int_equal(a->state, JOB_QUEUED);
    assert_int_equal(b->state, JOB_DONE);
    assert_int_equal(c->state, JOB_QUEUED);
}

/* ---- attempts that fail ---- */

static void a_failed_attempt_waits_for_its_time(void **state)
{
    struct job *a = submit_with_retries("a", 3);

    (void)state;
    double before = clock_unix();
    fail_with(a, XFER_NO_SPACE);
    assert_int_equal(a->state, JOB_QUEUED);
    assert_int_equal(a->failures, 1);
    assert_true(a->schedule.delayed);
    assert_true(a->not_before >= before + 0.75e6 && a->not_before <= clock_unix() + 1.25e6);
    assert_int_equal(job_error_code(a), XFER_NO_SPACE);
    assert_int_equal(fake_row(1)->failures, 1);
    assert_true(fake_row(1)->not_before == a->not_before);
    assert_int_equal(rig.sender.active, 0);
}

static void it_starts_again_when_that_has_come(void **state)
{
    (void)state;
    restart(0.01, 0);
    struct job *a = submit_with_retries("a", 3);
    assert_false(rig.sender.sends->again);
    fail_with(a, XFER_NO_SPACE);
    await(a, JOB_RUNNING);
    assert_int_equal(a->attempts, 2);
    assert_true(a->not_before == 0);
    assert_true(rig.sender.sends->again);
    end(a);
    assert_int_equal(a->state, JOB_DONE);
    assert_int_equal(job_error_code(a), XFER_OK);
}

static void it_fails_when_it_has_failed_too_often(void **state)
{
    (void)state;
    restart(0, 0);
    struct job *a = submit_with_retries("a", 2);
    for (int i = 0; i < 2; i++) {
        fail_with(a, XFER_IO);
        await(a, JOB_RUNNING);
    }
    fail_with(a, XFER_IO);
    assert_int_equal(a->state, JOB_FAILED);
    assert_int_equal(a->attempts, 3);
    assert_int_equal(a->failures, 3);
}

static void what_stays_wrong_fails_at_once(void **state)
{
    struct job *a = submit_with_retries("a", 3);

    (void)state;
    fail_with(a, XFER_NO_SUCH_FILE);
    assert_int_equal(a->state, JOB_FAILED);
}

static void a_peer_that_is_down_does_not_count(void **state)
{
    struct job *a = submit_with_retries("a", 0);

    (void)state;
    fail_with(a, XFER_PEER_DOWN);
    assert_int_equal(a->state, JOB_QUEUED);
    assert_int_equal(a->failures, 0);
}

static void attempts_and_what_left_with_them_are_counted(void **state)
{
    const struct scheduler_counts *counts;
    struct send_progress resumed = {
        .phase = SEND_SENDING, .bytes_done = 70, .bytes_total = 100, .bytes_resumed = 60};
    struct job *a, *b;

    (void)state;
    restart(0, 0);
    counts = scheduler_counts(rig.scheduler);
    a = submit_with_retries("a", 3);
    fake_progress(&rig.sender, (uint64_t)a->id, 60, 100);
    assert_int_equal(counts->bytes, 60);
    fail_with(a, XFER_IO);
    await(a, JOB_RUNNING);
    rig.sender.sends->events->progress(rig.sender.sends->user, &resumed);
    assert_int_equal(counts->bytes, 70);
    fail_with(a, XFER_PEER_DOWN);
    b = submit_with_retries("b", 0);
    fake_end(&rig.sender, (uint64_t)b->id, 5, NULL);
    settle();
    assert_int_equal(counts->bytes, 75);
    assert_int_equal(counts->started, 4); /* the one that was cut short, too, begins again */
    assert_int_equal(counts->failed, 1);
}

static void a_descriptor_that_was_lost_is_waited_for(void **state)
{
    (void)state;
    rig.handle_wait = 1000;
    restart(0, 0); /* however short the delay of other attempts is */
    struct job *a = submit_with_retries("a", 0);
    fail_with(a, XFER_SOURCE_HANDLE_LOST);
    settle();
    assert_int_equal(a->state, JOB_QUEUED);
    assert_int_equal(a->attempts, 1);
    assert_int_equal(a->failures, 0);
    assert_true(a->not_before > clock_unix() + 900);
    scheduler_hurry(rig.scheduler, a);
    settle();
    assert_int_equal(a->state, JOB_RUNNING);
}

static void a_descriptor_that_does_not_come_again_fails_its_job_when_the_time_is_over(void **state)
{
    (void)state;
    rig.handle_wait = 0.05;
    restart(1e6, 0);
    struct job *a = submit_with_retries("a", 3);
    for (fail_with(a, XFER_SOURCE_HANDLE_LOST); a->state != JOB_FAILED;) {
        await(a, JOB_RUNNING);
        fail_with(a, XFER_SOURCE_HANDLE_LOST);
        settle();
    }
    assert_int_equal(a->state, JOB_FAILED);
    assert_int_equal(job_error_code(a), XFER_SOURCE_HANDLE_LOST);
}

static void a_job_that_waits_for_its_time_keeps_its_place(void **state)
{
    struct job *a = submit_with_retries("a", 3), *b = submit_with_retries("a/b", 3);

    (void)state;
    fail_with(a, XFER_NO_SPACE);
    assert_int_equal(b->state, JOB_QUEUED);
    assert_ptr_equal(scheduler_blocker(rig.scheduler, b), a);
    scheduler_hurry(rig.scheduler, a);
    settle();
    assert_int_equal(a->state, JOB_RUNNING);
    end(a);
    assert_int_equal(b->state, JOB_RUNNING);
}

static void a_job_that_waits_for_its_time_can_be_cancelled(void **state)
{
    struct job *a = submit_with_retries("a", 3), *b = submit_with_retries("a", 3);

    (void)state;
    fail_with(a, XFER_NO_SPACE);
    cancel(a);
    settle();
    assert_int_equal(a->state, JOB_CANCELLED);
    assert_int_equal(b->state, JOB_RUNNING);
}

static void a_cancelled_attempt_is_not_repeated(void **state)
{
    struct job *a = submit_with_retries("a", 3);

    (void)state;
    cancel(a);
    assert_false(rig.sender.sends->keep);
    fail_with(a, XFER_NO_SPACE);
    assert_int_equal(a->state, JOB_CANCELLED);
    assert_int_equal(job_error_code(a), XFER_CANCELLED);
}

static void all_that_are_due_start_again(void **state)
{
    (void)state;
    restart(0.02, 0);
    struct job *jobs[20];
    char dest[16];

    /* there is room for all, so that one that is due early keeps none of the others from failing */
    rig.sender.room_max = 20;
    for (int i = 0; i < 20; i++) {
        snprintf(dest, sizeof dest, "%d", i);
        jobs[i] = submit_with_retries(dest, 3);
        fail_with(jobs[i], XFER_IO);
    }
    rig.sender.room_max = 1;
    for (int i = 0; i < 20; i++)
        while (jobs[i]->state != JOB_DONE) {
            ev_run(rig.loop, EVRUN_ONCE);
            if (rig.sender.sends)
                fake_end(&rig.sender, rig.sender.sends->job, 0, NULL);
        }
    for (int i = 0; i < 20; i++)
        assert_int_equal(jobs[i]->attempts, 2);
}

static void a_time_that_lies_too_far_ahead_is_cut(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    struct job *a = submit_with_retries("a", 3);
    fail_with(a, XFER_IO); /* and the clock goes back by a week after that */
    restart(0.01, 0);
    a = queue_find(rig.queue, 1, &err);
    assert_true(a->not_before > clock_unix() + 1e5);
    await(a, JOB_RUNNING);
    assert_true(rig.sender.sends->again);
}

static void one_that_comes_back_after_its_end_runs_after_what_came_meanwhile(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    struct job *a = submit_with_retries("a", 0), *b = submit_with_retries("a", 0);
    fail_with(a, XFER_IO);
    assert_int_equal(a->state, JOB_FAILED);
    assert_int_equal(b->state, JOB_RUNNING);
    assert_int_equal(queue_revive(rig.queue, a, false, &err), 0);
    settle();
    struct job *c = submit_with_retries("a", 0);
    assert_int_equal(a->state, JOB_QUEUED);
    assert_ptr_equal(scheduler_blocker(rig.scheduler, a), b);
    end(b);
    assert_int_equal(a->state, JOB_RUNNING);
    assert_int_equal(c->state, JOB_QUEUED);
    end(a);
    assert_int_equal(c->state, JOB_RUNNING);
}

static void the_order_outlives_a_restart(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    rig.sender.room_max = 1;
    struct job *a = submit_with_retries("a", 0);
    submit_with_retries("a", 0);
    submit_with_retries("a", 0);
    fail_with(a, XFER_IO);
    assert_int_equal(queue_revive(rig.queue, a, false, &err), 0);
    settle();
    restart(1, 0);
    rig.sender.n_starts = 0;
    settle();
    while (rig.sender.sends) {
        assert_true(rig.sender.sends->again);
        fake_end(&rig.sender, rig.sender.sends->job, 0, NULL), settle();
    }
    const uint64_t expected[] = {2, 3, 1};
    assert_int_equal(rig.sender.n_starts, 3);
    assert_memory_equal(rig.sender.starts, expected, sizeof expected);
}

/* ---- attempts that hang ---- */

static void an_attempt_without_a_byte_fails(void **state)
{
    (void)state;
    restart(1e6, 0.02);
    struct job *a = submit_with_retries("a", 3);
    await(a, JOB_QUEUED);
    assert_int_equal(a->failures, 1);
    assert_int_equal(job_error_code(a), XFER_STALLED);
    assert_int_equal(rig.sender.sends->why.code, XFER_STALLED);
    assert_true(rig.sender.sends->keep);
    assert_int_equal(scheduler_running(rig.scheduler), 0);
}

static void one_that_is_retried_after_its_end_has_left_nothing(void **state)
{
    struct job *a = submit_with_retries("a", 0);
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    fail_with(a, XFER_DESTINATION_EXISTS);
    assert_int_equal(a->state, JOB_FAILED);
    assert_int_equal(queue_revive(rig.queue, a, false, &err), 0);
    settle();
    assert_int_equal(a->state, JOB_RUNNING);
    assert_int_equal(a->attempts, 2);
    assert_false(rig.sender.sends->again);
}

/* The daemon died in an attempt, and the job was cancelled before the next one. */
static void a_retry_asks_what_an_attempt_that_was_cut_off_has_stored(void **state)
{
    struct job *a = submit_with_retries("a", 0);
    struct xfer_error err = XFER_ERROR_INIT;
    int64_t id;

    (void)state;
    settle();
    assert_int_equal(a->state, JOB_RUNNING);
    id = a->id;
    rig.sender.room_max = 0;
    restart(1, 0);
    settle();
    a = queue_find(rig.queue, id, &err);
    assert_int_equal(a->state, JOB_QUEUED);
    error_set(&err, XFER_CANCELLED, "cancelled");
    scheduler_cancel(rig.scheduler, a, &err);
    queue_end(rig.queue, a, JOB_CANCELLED, &err);
    settle();
    assert_int_equal(a->state, JOB_CANCELLED);
    rig.sender.room_max = 1;
    assert_int_equal(queue_revive(rig.queue, a, false, &err), 0);
    settle();
    assert_int_equal(a->state, JOB_RUNNING);
    assert_true(rig.sender.sends->again);
    /* that this is another's file is known then */
    fail_with(a, XFER_DESTINATION_EXISTS);
    assert_int_equal(queue_revive(rig.queue, a, false, &err), 0);
    settle();
    assert_false(rig.sender.sends->again);
}

static void it_does_not_start_again_while_it_hangs(void **state)
{
    (void)state;
    restart(0, 0.02);
    struct job *a = submit_with_retries("a", 3), *b = submit_with_retries("a", 0);
    await(a, JOB_QUEUED);
    settle();
    assert_non_null(a->schedule.stuck);
    assert_int_equal(rig.sender.n_starts, 1);
    assert_int_equal(b->state, JOB_QUEUED);
    end(a); /* at last */
    await(a, JOB_RUNNING);
    assert_null(a->schedule.stuck);
    assert_int_equal(rig.sender.n_starts, 2);
}

static void one_that_has_ended_may_leave_it_behind(void **state)
{
    (void)state;
    restart(0, 0.02);
    struct job *a = submit_with_retries("a", 0), *b = submit_with_retries("a", 0);
    await(a, JOB_FAILED);
    settle();
    assert_int_equal(b->state, JOB_RUNNING);
    struct xfer_error err = XFER_ERROR_INIT;
    assert_int_equal(queue_revive(rig.queue, a, false, &err), 0); /* and finds it again */
    fake_end(&rig.sender, (uint64_t)b->id, 0, NULL);
    settle();
    assert_int_equal(a->state, JOB_QUEUED);
    assert_non_null(a->schedule.stuck);
    end(a);
    assert_int_equal(a->state, JOB_RUNNING);
}

static void a_cancelled_job_that_hangs_ends(void **state)
{
    (void)state;
    restart(0, 0.02);
    struct job *a = submit_with_retries("a", 3);
    int64_t id = a->id;
    cancel(a);
    await(a, JOB_CANCELLED);
    assert_int_equal(rig.sender.active, 1);
    assert_int_equal(left_behind, 0);
    end(a);
    assert_int_equal(rig.sender.active, 0);
    assert_int_equal(left_behind, id);
}

static void a_file_that_is_being_stored_does_not_hang(void **state)
{
    (void)state;
    restart(0, 0.02);
    struct job *a = submit_with_retries("a", 0), *b = submit_with_retries("b", 0);
    fake_phase(&rig.sender, 1, SEND_STORING, 5, 5);
    await(b, JOB_FAILED);
    for (int i = 0; i < 20; i++)
        ev_run(rig.loop, EVRUN_NOWAIT), ev_sleep(0.005);
    assert_int_equal(a->state, JOB_RUNNING);
}

static void a_file_that_is_held_back_by_a_rate_does_not_hang(void **state)
{
    (void)state;
    restart(0, 0.02);
    struct job *a = submit_with_retries("a", 0), *b = submit_with_retries("b", 0);
    fake_progress(&rig.sender, 1, 1, 1000);
    fake_find(&rig.sender, 1)->throttled = true;
    await(b, JOB_FAILED);
    for (int i = 0; i < 20; i++)
        ev_run(rig.loop, EVRUN_NOWAIT), ev_sleep(0.005);
    assert_int_equal(a->state, JOB_RUNNING);
    fake_find(&rig.sender, 1)->throttled = false;
    await(a, JOB_FAILED);
    assert_int_equal(job_error_code(a), XFER_STALLED);
}

static void one_that_moves_does_not_hang(void **state)
{
    (void)state;
    restart(0, 0.2);
    struct job *a = submit_with_retries("a", 0), *b = submit_with_retries("b", 0);
    for (int64_t bytes = 1; b->state != JOB_FAILED; bytes++) {
        fake_progress(&rig.sender, 1, bytes, 1000000);
        ev_run(rig.loop, EVRUN_ONCE);
    }
    assert_int_equal(a->state, JOB_RUNNING);
}

/* ---- a pause ---- */

static void a_paused_queue_starts_nothing(void **state)
{
    (void)state;
    struct job *a = submit_with_retries("a", 0);
    scheduler_pause(rig.scheduler, true);
    struct job *b = submit_with_retries("b", 0);
    assert_int_equal(a->state, JOB_RUNNING);
    assert_int_equal(b->state, JOB_QUEUED);
    end(a);
    assert_int_equal(a->state, JOB_DONE);
    assert_int_equal(b->state, JOB_QUEUED);
    scheduler_pause(rig.scheduler, false);
    settle();
    assert_int_equal(b->state, JOB_RUNNING);
}

/* ---- against a plain model ---- */

#define MODEL_MAX 400
static struct {
    struct job *job;
    bool gone;
} model[MODEL_MAX];
static size_t model_n;

static bool model_unfinished(size_t i)
{
    return !model[i].gone && !job_state_finished(model[i].job->state) &&
           !model[i].job->queue.ending;
}

static bool model_free(size_t i)
{
    if (!model_unfinished(i) || model[i].job->schedule.run)
        return false;
    for (size_t k = 0; k < i; k++)
        if (!model[k].gone && !job_state_finished(model[k].job->state) &&
            relpath_conflict(model[k].job->dest, model[i].job->dest))
            return false;
    return true;
}

static void must_be_the_next(uint64_t id)
{
    size_t best = MODEL_MAX;

    for (size_t i = 0; i < model_n; i++)
        if (model_free(i) &&
            (best == MODEL_MAX || model[i].job->priority > model[best].job->priority))
            best = i;
    assert_true(best < MODEL_MAX);
    assert_int_equal(model[best].job->id, id);
}

static void random_dest(char *out)
{
    static const char *const names[] = {"a", "b", "a-b", "a b", "a.b", "\xff"};
    int depth = 1 + rand() % 3;

    out[0] = '\0';
    for (int i = 0; i < depth; i++) {
        strcat(out, i ? "/" : "");
        strcat(out, names[rand() % 6]);
    }
}

static void every_start_is_the_one_that_the_rules_ask_for(void **state)
{
    (void)state;
    srand(1);
    for (int round = 0; round < 8; round++) {
        model_n = 0;
        rig.sender.room_max = 1 + (unsigned)round % 4;
        rig.sender.on_start = must_be_the_next;
        while (model_n < MODEL_MAX) {
            int dice = rand() % 10;
            char dest[64];

            random_dest(dest);
            if (dice < 5) {
                model[model_n].job = submit(dest, rand() % 3);
                model[model_n++].gone = false;
            } else if (dice < 8 && rig.sender.sends) {
                fake_end(&rig.sender, rig.sender.sends->job, 0, NULL);
            } else if (model_n > 0) {
                size_t i = (size_t)rand() % model_n;

                if (model_unfinished(i) && !model[i].job->schedule.run)
                    cancel(model[i].job);
            }
            settle();
            for (size_t i = 0; sender_room(&rig.sender) > 0 && i < model_n; i++)
                assert_false(model_free(i));
        }
        while (rig.sender.sends) {
            fake_end(&rig.sender, rig.sender.sends->job, 0, NULL);
            settle();
        }
        for (size_t i = 0; i < model_n; i++)
            assert_true(job_state_finished(model[i].job->state));
    }
}

/* ---- many: with work that grew with the square of their number these would not end ---- */

#define MANY 20000

static void run_all(void)
{
    rig.sender.room_max = 64;
    settle();
    while (rig.sender.sends) {
        while (rig.sender.sends)
            fake_end(&rig.sender, rig.sender.sends->job, 0, NULL);
        settle();
        for (int i = 0; !rig.sender.sends && i < 1000 && queue_count(rig.queue, JOB_QUEUED) > 0;
             i++)
            settle();
    }
    assert_int_equal(queue_count(rig.queue, JOB_QUEUED), 0);
}

static void twenty_thousand_jobs_for_one_destination(void **state)
{
    (void)state;
    for (int i = 0; i < MANY; i++)
        submit("the/same", i % 7);
    run_all();
    assert_int_equal(rig.sender.n_starts, MANY);
}

static void twenty_thousand_jobs_below_one_that_is_first_and_above_one_that_is_last(void **state)
{
    char dest[64];

    (void)state;
    submit("dir", 0);
    for (int i = 2; i < MANY; i++) {
        snprintf(dest, sizeof dest, "dir/%d/file", i * 7919 % 100003);
        submit(dest, 0);
    }
    struct job *last = submit("dir", 100);
    run_all();
    assert_int_equal(last->state, JOB_DONE);
    assert_int_equal(rig.sender.starts[(rig.sender.n_starts - 1) % FAKE_STARTS_MAX], last->id);
}

static void jobs_that_wait_in_thousands_are_cancelled_from_the_last_to_the_first(void **state)
{
    static struct job *jobs[MANY];
    char dest[64];

    (void)state;
    for (int i = 0; i < MANY; i++) {
        snprintf(dest, sizeof dest, i < MANY / 2 ? "dir" : "dir/%d", i);
        jobs[i] = submit(dest, 0);
    }
    settle();
    for (int i = MANY / 2 - 1; i > 0; i--)
        cancel(jobs[i]);
    settle();
    assert_int_equal(queue_count(rig.queue, JOB_QUEUED), MANY / 2);
    run_all();
}

static void paths_of_five_hundred_components(void **state)
{
    char dest[4096];

    (void)state;
    for (int depth = 500; depth > 0; depth--) {
        for (int i = 0; i < depth; i++)
            memcpy(dest + 2 * i, "d/", 2);
        dest[2 * depth - 1] = '\0';
        submit(dest, 0);
    }
    run_all();
    assert_int_equal(rig.sender.n_starts, 500);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(starts_no_more_than_there_is_room_for),
        TEST(higher_priority_goes_first_then_the_earlier_one),
        TEST(the_same_destination_keeps_the_order_of_submission_over_priority),
        TEST(nested_destinations_wait_both_ways),
        TEST(a_failed_or_cancelled_job_lets_the_next_one_go),
        TEST(a_cancelled_job_in_the_middle_does_not_let_later_ones_overtake),
        TEST(a_cancel_that_comes_too_late_changes_nothing),
        TEST(a_sender_that_cannot_start_fails_the_job),
        TEST(stopping_puts_running_jobs_back_into_the_queue),
        TEST(a_failed_attempt_waits_for_its_time),
        TEST(it_starts_again_when_that_has_come),
        TEST(it_fails_when_it_has_failed_too_often),
        TEST(what_stays_wrong_fails_at_once),
        TEST(a_peer_that_is_down_does_not_count),
        TEST(attempts_and_what_left_with_them_are_counted),
        TEST(a_descriptor_that_was_lost_is_waited_for),
        TEST(a_descriptor_that_does_not_come_again_fails_its_job_when_the_time_is_over),
        TEST(a_job_that_waits_for_its_time_keeps_its_place),
        TEST(a_job_that_waits_for_its_time_can_be_cancelled),
        TEST(a_cancelled_attempt_is_not_repeated),
        TEST(all_that_are_due_start_again),
        TEST(a_time_that_lies_too_far_ahead_is_cut),
        TEST(one_that_comes_back_after_its_end_runs_after_what_came_meanwhile),
        TEST(the_order_outlives_a_restart),
        TEST(an_attempt_without_a_byte_fails),
        TEST(one_that_is_retried_after_its_end_has_left_nothing),
        TEST(a_retry_asks_what_an_attempt_that_was_cut_off_has_stored),
        TEST(it_does_not_start_again_while_it_hangs),
        TEST(one_that_has_ended_may_leave_it_behind),
        TEST(a_cancelled_job_that_hangs_ends),
        TEST(a_file_that_is_being_stored_does_not_hang),
        TEST(a_file_that_is_held_back_by_a_rate_does_not_hang),
        TEST(one_that_moves_does_not_hang),
        TEST(a_paused_queue_starts_nothing),
        TEST(every_start_is_the_one_that_the_rules_ask_for),
        TEST(twenty_thousand_jobs_for_one_destination),
        TEST(twenty_thousand_jobs_below_one_that_is_first_and_above_one_that_is_last),
        TEST(jobs_that_wait_in_thousands_are_cancelled_from_the_last_to_the_first),
        TEST(paths_of_five_hundred_components),
        TEST(the_sender_is_told_whose_file_it_is),
        TEST(rights_are_the_owners_where_that_is_asked_for),
        TEST(a_job_without_known_groups_fails_where_they_are_needed),
        TEST(where_it_was_stored_is_kept_with_the_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
