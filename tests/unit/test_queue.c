/* SPDX-License-Identifier: MIT
 *
 * The queue: what is told when, numbers, bounds, order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <ev.h>

#include "daemon/control/queue.h"

struct told {
    struct queue *queue;
    struct ev_loop *loop;
    int accepted, ended, forgotten;
    int64_t last_accepted, last_ended, last_forgotten;
    enum job_state last_state;
};

static void on_accepted(void *user, struct job *job, const struct xfer_error *why)
{
    struct told *t = user;

    assert_null(why);
    t->accepted++;
    assert_true(job->id > t->last_accepted);
    t->last_accepted = job->id;
}

static void on_ended(void *user, struct job *job)
{
    struct told *t = user;

    t->ended++;
    t->last_ended = job->id;
    t->last_state = job->state;
}

static void on_forgotten(void *user, struct job *job)
{
    struct told *t = user;

    t->forgotten++;
    t->last_forgotten = job->id;
}

static int set_up(void **state)
{
    static const struct queue_events events = {on_accepted, on_ended, on_forgotten};
    struct xfer_error err = XFER_ERROR_INIT;
    struct told *t = calloc(1, sizeof *t);

    assert_non_null(t);
    t->loop = ev_loop_new(0);
    t->queue = queue_create(t->loop, &events, t, &err);
    assert_non_null(t->queue);
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    struct told *t = *state;

    queue_destroy(t->queue);
    ev_loop_destroy(t->loop);
    free(t);
    return 0;
}

static void turn(struct told *t)
{
    ev_run(t->loop, EVRUN_NOWAIT);
}

static struct job *submit(struct told *t)
{
    struct job_spec spec = {.source = "/a", .dest = "a"};
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = queue_submit(t->queue, &spec, &err);

    assert_non_null(job);
    return job;
}

static void a_submission_is_told_only_when_it_is_recorded(void **state)
{
    struct told *t = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = submit(t);

    assert_int_equal(t->accepted, 0);
    assert_int_equal(queue_count(t->queue, JOB_QUEUED), 0);
    assert_false(queue_settled(t->queue));
    turn(t);
    assert_int_equal(t->accepted, 1);
    assert_int_equal(queue_count(t->queue, JOB_QUEUED), 1);
    assert_ptr_equal(queue_find(t->queue, 1, &err), job);
    assert_true(queue_settled(t->queue));
}

static void an_end_is_told_only_when_it_is_recorded(void **state)
{
    struct told *t = *state;
    struct job *job = submit(t);

    turn(t);
    queue_start(t->queue, job);
    assert_int_equal(job->state, JOB_RUNNING);
    queue_end(t->queue, job, JOB_DONE, NULL);
    assert_int_equal(job->state, JOB_RUNNING);
    assert_int_equal(t->ended, 0);
    turn(t);
    assert_int_equal(t->ended, 1);
    assert_int_equal(t->last_state, JOB_DONE);
    assert_true(job->finished_at > 0);
}

static void a_queued_job_can_end(void **state)
{
    struct told *t = *state;
    struct xfer_error why = XFER_ERROR_INIT;
    struct job *job = submit(t);

    turn(t);
    error_set(&why, XFER_CANCELLED, "no more");
    queue_end(t->queue, job, JOB_CANCELLED, &why);
    turn(t);
    assert_int_equal(t->last_state, JOB_CANCELLED);
    assert_int_equal(job_error_code(job), XFER_CANCELLED);
    assert_int_equal(queue_count(t->queue, JOB_QUEUED), 0);
    assert_int_equal(queue_count(t->queue, JOB_CANCELLED), 1);
}

static void a_number_never_given_is_no_such_job(void **state)
{
    struct told *t = *state;
    struct xfer_error err = XFER_ERROR_INIT;

    assert_null(queue_find(t->queue, 1, &err));
    assert_int_equal(err.code, XFER_NO_SUCH_JOB);
    submit(t);
    turn(t);
    assert_null(queue_find(t->queue, 2, &err));
    assert_int_equal(err.code, XFER_NO_SUCH_JOB);
    assert_null(queue_find(t->queue, XFER_JSON_INTEGER_MAX, &err));
    assert_int_equal(err.code, XFER_NO_SUCH_JOB);
}

static void old_finished_jobs_are_forgotten_and_unfinished_ones_never(void **state)
{
    struct told *t = *state;
    struct xfer_error err = XFER_ERROR_INIT;

    submit(t);
    turn(t);
    for (int i = 0; i < XFER_JOBS_FINISHED_KEPT + 5; i++) {
        struct job *job = submit(t);

        turn(t);
        queue_start(t->queue, job);
        queue_end(t->queue, job, JOB_FAILED, NULL);
        turn(t);
    }
    assert_int_equal(t->forgotten, 5);
    assert_int_equal(t->last_forgotten, 6);
    assert_int_equal(queue_count(t->queue, JOB_FAILED), XFER_JOBS_FINISHED_KEPT);
    assert_null(queue_find(t->queue, 6, &err));
    assert_int_equal(err.code, XFER_JOB_FORGOTTEN);
    assert_non_null(queue_find(t->queue, 7, &err));
    assert_non_null(queue_find(t->queue, 1, &err));
}

static void a_full_queue_refuses_until_one_has_ended(void **state)
{
    struct told *t = *state;
    struct job_spec spec = {.source = "/a", .dest = "a"};
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *first = submit(t);

    for (int i = 1; i < XFER_JOBS_UNFINISHED_MAX; i++)
        submit(t);
    assert_null(queue_submit(t->queue, &spec, &err));
    assert_int_equal(err.code, XFER_QUEUE_FULL);
    turn(t);
    assert_int_equal(t->accepted, XFER_JOBS_UNFINISHED_MAX);
    queue_end(t->queue, first, JOB_CANCELLED, NULL);
    assert_null(queue_submit(t->queue, &spec, &err));
    turn(t);
    assert_non_null(queue_submit(t->queue, &spec, &err));
}

static void a_job_that_waits_again_stands_at_its_number(void **state)
{
    struct told *t = *state;
    struct job *jobs[4];

    for (int i = 0; i < 4; i++)
        jobs[i] = submit(t);
    turn(t);
    queue_start(t->queue, jobs[0]);
    queue_start(t->queue, jobs[1]);
    queue_start(t->queue, jobs[2]);
    queue_requeue(t->queue, jobs[1]);
    queue_requeue(t->queue, jobs[2]);
    queue_requeue(t->queue, jobs[0]);
    struct job *job = NULL;
    for (int i = 0; i < 4; i++) {
        job = queue_next(t->queue, JOB_QUEUED, job);
        assert_ptr_equal(job, jobs[i]);
    }
    assert_null(queue_next(t->queue, JOB_QUEUED, job));
    assert_ptr_equal(queue_previous(t->queue, JOB_QUEUED, jobs[3]), jobs[2]);
}

static void finished_jobs_stand_in_the_order_of_their_ends(void **state)
{
    struct told *t = *state;
    struct job *a = submit(t), *b = submit(t);

    turn(t);
    queue_end(t->queue, b, JOB_FAILED, NULL);
    queue_end(t->queue, a, JOB_CANCELLED, NULL);
    turn(t);
    assert_ptr_equal(queue_next(t->queue, JOB_DONE, NULL), b);
    assert_ptr_equal(queue_next(t->queue, JOB_DONE, b), a);
    assert_ptr_equal(queue_previous(t->queue, JOB_DONE, NULL), a);
}

static void a_queue_can_go_with_records_under_way(void **state)
{
    struct told *t = *state;
    struct job *job = submit(t);

    turn(t);
    queue_end(t->queue, job, JOB_CANCELLED, NULL);
    submit(t);
    /* torn down here: nothing may leak or be freed twice */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_submission_is_told_only_when_it_is_recorded),
        TEST(an_end_is_told_only_when_it_is_recorded),
        TEST(a_queued_job_can_end),
        TEST(a_number_never_given_is_no_such_job),
        TEST(old_finished_jobs_are_forgotten_and_unfinished_ones_never),
        TEST(a_full_queue_refuses_until_one_has_ended),
        TEST(a_job_that_waits_again_stands_at_its_number),
        TEST(finished_jobs_stand_in_the_order_of_their_ends),
        TEST(a_queue_can_go_with_records_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
