/* SPDX-License-Identifier: MIT
 *
 * Which job starts when: priority, numbers, destinations that disturb each other; with a sender
 * that sends nothing.
 */
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
#include "proto/relpath.h"
#include "tests/unit/fake_sender.h"

static struct rig {
    struct ev_loop *loop;
    struct queue *queue;
    struct scheduler *scheduler;
    struct sender sender;
} rig;

static void on_accepted(void *user, struct job *job, const struct xfer_error *why)
{
    struct xfer_error err = XFER_ERROR_INIT;

    (void)user;
    assert_null(why);
    assert_int_equal(scheduler_add(rig.scheduler, job, &err), 0);
}

static void on_ended(void *user, struct job *job)
{
    (void)user;
    scheduler_remove(rig.scheduler, job);
}

static void on_job(void *user, struct job *job)
{
    (void)user;
    (void)job;
}

static int set_up(void **state)
{
    static const struct queue_events queue_events = {on_accepted, on_ended, on_job};
    static const struct scheduler_events events = {on_job};
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    memset(&rig, 0, sizeof rig);
    rig.loop = ev_loop_new(0);
    rig.sender.room_max = 2;
    rig.queue = queue_create(rig.loop, &queue_events, NULL, &err);
    rig.scheduler = scheduler_create(rig.loop, rig.queue, &rig.sender, &events, NULL, &err);
    assert_non_null(rig.queue);
    assert_non_null(rig.scheduler);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    scheduler_destroy(rig.scheduler);
    queue_destroy(rig.queue);
    fake_drop_all(&rig.sender);
    ev_loop_destroy(rig.loop);
    return 0;
}

/* Until nothing is left to do at once. */
static void settle(void)
{
    for (int i = 0; i < 4; i++)
        ev_run(rig.loop, EVRUN_NOWAIT);
}

static struct job *submit(const char *dest, int priority)
{
    struct job_spec spec = {.source = "/a", .dest = dest, .priority = priority};
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = queue_submit(rig.queue, &spec, &err);

    assert_non_null(job);
    return job;
}

static void cancel(struct job *job)
{
    struct xfer_error why = XFER_ERROR_INIT;
    bool waits = job->state == JOB_QUEUED;

    error_set(&why, XFER_CANCELLED, "no more");
    scheduler_cancel(rig.scheduler, job, &why);
    if (waits)
        queue_end(rig.queue, job, JOB_CANCELLED, &why);
}

static void end(struct job *job)
{
    fake_end(&rig.sender, (uint64_t)job->id, 1, NULL);
    settle();
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

static void higher_priority_goes_first_then_lower_number(void **state)
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
    end(a);
    fake_end(&rig.sender, (uint64_t)b->id, 1, &stored);
    settle();
    assert_int_equal(scheduler_running(rig.scheduler), 0);
    assert_int_equal(a->state, JOB_QUEUED);
    assert_int_equal(b->state, JOB_DONE);
    assert_int_equal(c->state, JOB_QUEUED);
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
        TEST(higher_priority_goes_first_then_lower_number),
        TEST(the_same_destination_keeps_the_order_of_submission_over_priority),
        TEST(nested_destinations_wait_both_ways),
        TEST(a_failed_or_cancelled_job_lets_the_next_one_go),
        TEST(a_cancelled_job_in_the_middle_does_not_let_later_ones_overtake),
        TEST(a_cancel_that_comes_too_late_changes_nothing),
        TEST(a_sender_that_cannot_start_fails_the_job),
        TEST(stopping_puts_running_jobs_back_into_the_queue),
        TEST(every_start_is_the_one_that_the_rules_ask_for),
        TEST(twenty_thousand_jobs_for_one_destination),
        TEST(twenty_thousand_jobs_below_one_that_is_first_and_above_one_that_is_last),
        TEST(jobs_that_wait_in_thousands_are_cancelled_from_the_last_to_the_first),
        TEST(paths_of_five_hundred_components),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
