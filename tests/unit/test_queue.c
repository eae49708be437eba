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
#include "tests/unit/fake_queue_db.h"

static struct told {
    struct queue *queue;
    struct ev_loop *loop;
    int restored, accepted, refused, existing, ended, hurried, revived, forgotten, settled;
    int64_t last_restored, last_accepted, last_ended, last_forgotten, last_existing, last_revived;
    enum job_state last_state;
    enum xfer_code last_code; /* of what was refused or not revived */
} * told;

static int on_restored(void *user, struct job *job, struct xfer_error *err)
{
    struct told *t = user;

    (void)err;
    t->restored++;
    assert_true(job->position > t->last_restored);
    t->last_restored = job->position;
    return 0;
}

static void on_accepted(void *user, struct job *job, const struct xfer_error *why)
{
    struct told *t = user;

    if (why) {
        t->refused++;
        t->last_code = why->code;
        return;
    }
    t->accepted++;
    assert_true(job->id > t->last_accepted);
    t->last_accepted = job->id;
}

static void on_existing(void *user, struct job *job, struct job *old)
{
    struct told *t = user;

    assert_true(job->id > old->id);
    t->existing++;
    t->last_existing = old->id;
}

static void on_ended(void *user, struct job *job)
{
    struct told *t = user;

    t->ended++;
    t->last_ended = job->id;
    t->last_state = job->state;
}

static void on_hurried(void *user, struct job *job)
{
    (void)job;
    ((struct told *)user)->hurried++;
}

static void on_revived(void *user, struct job *job, const struct xfer_error *why)
{
    struct told *t = user;

    t->revived++;
    t->last_revived = job->id;
    t->last_code = why ? why->code : XFER_OK;
}

static void on_forgotten(void *user, struct job *job)
{
    struct told *t = user;

    t->forgotten++;
    t->last_forgotten = job->id;
}

static void on_settled(void *user)
{
    ((struct told *)user)->settled++;
}

static void open_queue(struct told *t, bool same_supervisor)
{
    static const struct queue_events events = {on_restored, on_accepted, on_existing,  on_ended,
                                               on_hurried,  on_revived,  on_forgotten, on_settled};
    struct queue_options options = {.path = "/nowhere", .same_supervisor = same_supervisor};
    struct xfer_error err = XFER_ERROR_INIT;

    t->queue = queue_open(t->loop, &options, &err);
    assert_non_null(t->queue);
    assert_int_equal(queue_serve(t->queue, &events, t, &err), 0);
}

static int set_up(void **state)
{
    told = calloc(1, sizeof *told);
    assert_non_null(told);
    told->loop = ev_loop_new(0);
    open_queue(told, false);
    *state = told;
    return 0;
}

static int tear_down(void **state)
{
    struct told *t = *state;

    queue_close(t->queue, 1);
    ev_loop_destroy(t->loop);
    free(t);
    fake_db_reset();
    return 0;
}

/* As after the death of the rank: what is recorded is there again. */
static void reopen(struct told *t, bool same_supervisor)
{
    struct ev_loop *loop = t->loop;

    queue_close(t->queue, 1);
    memset(t, 0, sizeof *t);
    t->loop = loop;
    open_queue(t, same_supervisor);
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
    for (int i = 0; i < XFER_JOBS_RECENT + 5; i++) {
        struct job *job = submit(t);

        turn(t);
        queue_start(t->queue, job);
        queue_end(t->queue, job, JOB_FAILED, NULL);
        turn(t);
    }
    assert_int_equal(t->forgotten, 5);
    assert_int_equal(t->last_forgotten, 6);
    assert_int_equal(queue_count(t->queue, JOB_FAILED), XFER_JOBS_RECENT + 5);
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
    queue_requeue(t->queue, jobs[1], 0, NULL);
    queue_requeue(t->queue, jobs[2], 0, NULL);
    queue_requeue(t->queue, jobs[0], 0, NULL);
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

/* ---- what is recorded ---- */

static void hold(void)
{
    fake_db.hold = true;
}

static void run_and_end(struct told *t, struct job *job, enum job_state state)
{
    struct xfer_error why = XFER_ERROR_INIT;

    error_set(&why, XFER_IO, "broken");
    queue_start(t->queue, job);
    queue_end(t->queue, job, state, state == JOB_DONE ? NULL : &why);
    turn(t);
}

static void a_submission_that_cannot_be_recorded_is_no_job(void **state)
{
    struct told *t = *state;
    struct xfer_error err = XFER_ERROR_INIT;

    fake_db.no_more = XFER_NO_SPACE;
    submit(t);
    turn(t);
    assert_int_equal(t->refused, 1);
    assert_int_equal(t->last_code, XFER_NO_SPACE);
    assert_int_equal(queue_unfinished(t->queue), 0);
    assert_null(queue_find(t->queue, 1, &err));
    fake_db.no_more = XFER_OK;
    struct job *job = submit(t); /* the number was never told */
    assert_int_equal(job->id, 1);
    turn(t);
    assert_int_equal(t->last_accepted, 1);
}

static void an_end_before_its_start_was_recorded_is_one_record(void **state)
{
    struct told *t = *state;
    struct job *job = submit(t);

    turn(t);
    run_and_end(t, job, JOB_DONE);
    assert_int_equal(fake_db.updates, 1);
    assert_int_equal(fake_row(1)->state, JOB_DONE);
    assert_int_equal(fake_row(1)->attempts, 1);
    assert_true(fake_row(1)->started_at > 0);
    assert_int_equal(fake_row(1)->ended, 1);
    assert_true(fake_row(1)->finished_at == job->finished_at);
}

static void a_start_is_recorded_in_passing(void **state)
{
    struct told *t = *state;
    struct job *job = submit(t);

    turn(t);
    queue_start(t->queue, job);
    assert_true(queue_settled(t->queue));
    while (fake_db.updates == 0)
        ev_run(t->loop, EVRUN_ONCE);
    assert_int_equal(fake_row(1)->state, JOB_QUEUED);
    assert_int_equal(fake_row(1)->attempts, 1);
}

static void a_job_whose_end_is_not_recorded_has_not_ended(void **state)
{
    struct told *t = *state;
    struct job *job = submit(t);

    turn(t);
    hold();
    queue_start(t->queue, job);
    queue_end(t->queue, job, JOB_DONE, NULL);
    turn(t);
    assert_int_equal(job->state, JOB_RUNNING);
    assert_string_equal(job_phase(job), "recording");
    assert_false(queue_settled(t->queue));
    fake_db_commit();
    assert_int_equal(job->state, JOB_DONE);
    assert_string_equal(job_phase(job), "done");
    assert_int_equal(t->settled, 2);
}

static void a_job_that_waits_again_can_end_while_that_is_recorded(void **state)
{
    struct told *t = *state;
    struct xfer_error why = XFER_ERROR_INIT;
    struct job *job = submit(t);

    turn(t);
    hold();
    error_set(&why, XFER_NO_SPACE, "full");
    queue_start(t->queue, job);
    queue_requeue(t->queue, job, 1e9, &why);
    assert_int_equal(job->state, JOB_QUEUED);
    error_set(&why, XFER_CANCELLED, "no more");
    queue_end(t->queue, job, JOB_CANCELLED, &why);
    fake_db_commit();
    assert_int_equal(job->state, JOB_CANCELLED);
    assert_int_equal(fake_row(1)->state, JOB_CANCELLED);
    assert_int_equal(fake_row(1)->error_code, XFER_CANCELLED);
    assert_true(fake_row(1)->not_before == 0);
}

/* ---- a restart ---- */

static void unfinished_jobs_are_there_again(void **state)
{
    struct told *t = *state;
    struct xfer_error why = XFER_ERROR_INIT, err = XFER_ERROR_INIT;
    struct job_spec spec = {.source = "/s",
                            .dest = "d",
                            .key = "k",
                            .owner = 7,
                            .priority = -3,
                            .overwrite = OVERWRITE_NEVER,
                            .sync = SYNC_NONE,
                            .retries = 9};
    struct job *job = queue_submit(t->queue, &spec, &err);

    submit(t);
    turn(t);
    error_set(&why, XFER_NO_SPACE, "full");
    error_about(&why, XFER_SIDE_RECEIVER, "d");
    queue_start(t->queue, job);
    job->failures = 1;
    queue_requeue(t->queue, job, 12345.5, &why);
    turn(t);
    reopen(t, false);
    assert_int_equal(t->restored, 2);
    assert_int_equal(queue_count(t->queue, JOB_QUEUED), 2);
    assert_int_equal(queue_unfinished(t->queue), 2);
    job = queue_find(t->queue, 1, &err);
    assert_non_null(job);
    assert_true(job->restored);
    assert_string_equal(job->source, "/s");
    assert_string_equal(job->dest, "d");
    assert_string_equal(job->key, "k");
    assert_int_equal(job->owner, 7);
    assert_int_equal(job->priority, -3);
    assert_int_equal(job->overwrite, OVERWRITE_NEVER);
    assert_int_equal(job->sync, SYNC_NONE);
    assert_int_equal(job->retries, 9);
    assert_int_equal(job->attempts, 1);
    assert_int_equal(job->failures, 1);
    assert_true(job->not_before == 12345.5);
    assert_int_equal(job_error_code(job), XFER_NO_SPACE);
    assert_string_equal(job_error_text(job), "full");
}

static void a_job_that_ran_is_queued_again(void **state)
{
    struct told *t = *state;
    struct xfer_error err = XFER_ERROR_INIT;

    struct job *job = submit(t);
    turn(t);
    queue_start(t->queue, job);
    reopen(t, false);
    job = queue_find(t->queue, 1, &err);
    assert_int_equal(job->state, JOB_QUEUED);
    assert_int_equal(job->attempts, 1); /* the last chance to record it was the end */
}

static void numbers_are_never_given_again(void **state)
{
    struct told *t = *state;
    struct job *job = submit(t);

    turn(t);
    run_and_end(t, job, JOB_DONE);
    fake_db_remove(1);
    reopen(t, false);
    job = submit(t);
    assert_int_equal(job->id, 2);
    turn(t);
}

static void ends_are_counted_on(void **state)
{
    struct told *t = *state;
    struct job *a = submit(t), *b = submit(t);

    turn(t);
    run_and_end(t, b, JOB_DONE);
    assert_int_equal(b->ended, 1);
    reopen(t, false);
    a = queue_next(t->queue, JOB_QUEUED, NULL);
    run_and_end(t, a, JOB_FAILED);
    assert_int_equal(a->ended, 2);
    assert_ptr_equal(queue_previous(t->queue, JOB_DONE, NULL), a);
    assert_int_equal(queue_count(t->queue, JOB_DONE), 1);
    assert_int_equal(queue_count(t->queue, JOB_FAILED), 1);
}

static void a_hundred_thousand_jobs_come_back_in_the_order_of_their_positions(void **state)
{
    struct told *t = *state;

    /* numbers and positions run against each other: the worst there is for lists that are kept in
     * order by looking for the place */
    for (int64_t i = 1; i <= XFER_JOBS_UNFINISHED_MAX; i++) {
        struct queue_row *row = queue_row_create();

        row->id = i;
        row->position = i % 2 ? i : XFER_JOBS_UNFINISHED_MAX * 2 - i;
        row->source = strdup("/s");
        row->dest = strdup("d");
        fake_set(i, row);
    }
    fake_db.last_id = XFER_JOBS_UNFINISHED_MAX;
    reopen(t, false);
    assert_int_equal(t->restored, XFER_JOBS_UNFINISHED_MAX);
    int64_t id = 0;
    for (struct job *job = queue_next(t->queue, JOB_QUEUED, NULL); job;
         job = queue_next(t->queue, JOB_QUEUED, job))
        assert_int_equal(job->id, ++id);
    assert_int_equal(id, XFER_JOBS_UNFINISHED_MAX);
}

/* ---- keys ---- */

static struct job *submit_key(struct told *t, const char *key, uid_t owner)
{
    struct job_spec spec = {.source = "/a", .dest = "a", .key = key, .owner = owner};
    struct xfer_error err = XFER_ERROR_INIT;

    return queue_submit(t->queue, &spec, &err);
}

static void a_key_given_twice_is_one_job(void **state)
{
    struct told *t = *state;

    submit_key(t, "k", 1);
    submit_key(t, "k", 1); /* before the first is recorded */
    submit_key(t, "k", 2);
    submit_key(t, "l", 1);
    turn(t);
    assert_int_equal(t->accepted, 3);
    assert_int_equal(t->existing, 1);
    assert_int_equal(t->last_existing, 1);
    assert_int_equal(queue_unfinished(t->queue), 3);
    submit_key(t, "k", 2);
    turn(t);
    assert_int_equal(t->last_existing, 3);
}

static void a_key_outlives_memory(void **state)
{
    struct told *t = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = submit_key(t, "k", 1);

    turn(t);
    run_and_end(t, job, JOB_DONE);
    for (int i = 0; i < XFER_JOBS_RECENT; i++) {
        job = submit(t);
        turn(t);
        run_and_end(t, job, JOB_DONE);
    }
    assert_int_equal(t->last_forgotten, 1);
    assert_null(queue_find(t->queue, 1, &err));
    submit_key(t, "k", 1);
    turn(t);
    assert_int_equal(t->last_existing, 1);
    assert_non_null(queue_find(t->queue, 1, &err));
}

/* ---- what users may have ---- */

static struct job *try_submit(struct told *t, const char *key, uid_t owner, int64_t size)
{
    struct job_spec spec = {
        .source = "/a", .dest = "a", .key = key, .owner = owner, .size = size, .n_groups = -1};
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = queue_submit(t->queue, &spec, &err);

    if (!job)
        assert_int_equal(err.code, XFER_USER_LIMIT);
    return job;
}

static void a_user_has_no_more_jobs_than_allowed(void **state)
{
    struct told *t = *state;
    struct job_spec spec = {.source = "/a", .dest = "a", .owner = 5, .unlimited = true};
    struct xfer_error err = XFER_ERROR_INIT;

    queue_set_limits(t->queue, 2, 0);
    assert_false(queue_counts_bytes(t->queue));
    assert_non_null(try_submit(t, NULL, 5, 0));
    assert_non_null(try_submit(t, NULL, 5, 0));
    assert_null(try_submit(t, NULL, 5, 0)); /* none of them is recorded yet */
    assert_non_null(try_submit(t, NULL, 6, 0));
    assert_non_null(queue_submit(t->queue, &spec, &err));
    turn(t);
    assert_int_equal(t->accepted, 4);
    assert_null(try_submit(t, NULL, 5, 0));
    queue_set_limits(t->queue, 4, 0);
    assert_non_null(try_submit(t, NULL, 5, 0)); /* that of an administrator counts, too */
    assert_null(try_submit(t, NULL, 5, 0));
    turn(t);
}

static void a_job_that_has_ended_counts_no_more(void **state)
{
    struct told *t = *state;
    struct xfer_error why = XFER_ERROR_INIT;
    struct job *a, *b;

    queue_set_limits(t->queue, 2, 1000);
    a = try_submit(t, NULL, 5, 600);
    b = try_submit(t, NULL, 5, 400);
    turn(t);
    run_and_end(t, a, JOB_DONE);
    assert_null(try_submit(t, NULL, 5, 601));
    assert_non_null(try_submit(t, NULL, 5, 600));
    error_set(&why, XFER_CANCELLED, "no more");
    queue_end(t->queue, b, JOB_CANCELLED, &why);
    assert_null(try_submit(t, NULL, 5, 1)); /* only when it is recorded */
    turn(t);
    assert_non_null(try_submit(t, NULL, 5, 400));
    turn(t);
}

static void one_that_is_not_accepted_after_all_counts_no_more(void **state)
{
    struct told *t = *state;

    queue_set_limits(t->queue, 1, 0);
    fake_db.no_more = XFER_IO;
    assert_non_null(try_submit(t, NULL, 5, 0));
    turn(t);
    assert_int_equal(t->refused, 1);
    fake_db.no_more = XFER_OK;
    assert_non_null(try_submit(t, NULL, 5, 0));
    turn(t);
    assert_int_equal(t->accepted, 1);
}

static void a_known_key_is_never_refused(void **state)
{
    struct told *t = *state;

    queue_set_limits(t->queue, 1, 1000);
    assert_non_null(try_submit(t, "k", 5, 1000));
    turn(t);
    assert_non_null(try_submit(t, "k", 5, 1000));
    turn(t);
    assert_int_equal(t->existing, 1);
    assert_non_null(try_submit(t, "l", 5, 1));
    turn(t);
    assert_int_equal(t->refused, 1);
    assert_int_equal(t->last_code, XFER_USER_LIMIT);
    run_and_end(t, queue_next(t->queue, JOB_QUEUED, NULL), JOB_DONE);
    assert_non_null(try_submit(t, "l", 5, 1000)); /* the refused one has left nothing */
    turn(t);
    assert_int_equal(t->accepted, 2);
}

static void a_retry_counts_like_a_submission(void **state)
{
    struct told *t = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *a, *b;

    queue_set_limits(t->queue, 0, 1000);
    a = try_submit(t, NULL, 5, 600);
    turn(t);
    run_and_end(t, a, JOB_FAILED);
    b = try_submit(t, NULL, 5, 500);
    turn(t);
    assert_int_equal(queue_revive(t->queue, a, false, &err), -1);
    assert_int_equal(err.code, XFER_USER_LIMIT);
    assert_int_equal(queue_revive(t->queue, a, true, &err), 0);
    turn(t);
    assert_null(try_submit(t, NULL, 5, 0));
    run_and_end(t, b, JOB_DONE);
    assert_null(try_submit(t, NULL, 5, 401));
    assert_non_null(try_submit(t, NULL, 5, 400));
    turn(t);
    run_and_end(t, a, JOB_FAILED);
    fake_db_remove((uint64_t)a->id);
    assert_int_equal(queue_revive(t->queue, a, false, &err), 0);
    turn(t);
    assert_int_equal(t->last_code, XFER_JOB_FORGOTTEN);
    assert_non_null(try_submit(t, NULL, 5, 600)); /* what could not come back has left nothing */
    turn(t);
}

static void a_size_that_shows_later_counts_from_then_on(void **state)
{
    struct told *t = *state;
    struct job *a;

    queue_set_limits(t->queue, 0, 1000);
    a = try_submit(t, NULL, 5, 0);
    turn(t);
    queue_start(t->queue, a);
    assert_non_null(try_submit(t, NULL, 5, 10));
    job_progress(a, "sending", 0, 5000, 1);
    queue_resize(t->queue, a);
    assert_null(try_submit(t, NULL, 5, 0));
    job_progress(a, "sending", 0, 500, 1);
    queue_resize(t->queue, a);
    assert_null(try_submit(t, NULL, 5, 491));
    assert_non_null(try_submit(t, NULL, 5, 490));
    turn(t);
    queue_end(t->queue, a, JOB_DONE, NULL);
    turn(t);
    job_progress(a, "sending", 0, 700, 1);
    queue_resize(t->queue, a); /* it has ended: that concerns nobody */
    assert_non_null(try_submit(t, NULL, 5, 500));
    turn(t);
}

static void what_users_have_is_known_again_after_a_restart(void **state)
{
    struct told *t = *state;

    try_submit(t, NULL, 5, 600);
    run_and_end(t, try_submit(t, NULL, 5, 300), JOB_DONE);
    turn(t);
    reopen(t, true);
    queue_set_limits(t->queue, 2, 1000);
    assert_null(try_submit(t, NULL, 5, 401));
    assert_non_null(try_submit(t, NULL, 5, 400));
    assert_null(try_submit(t, NULL, 5, 0));
    turn(t);
}

/* ---- again ---- */

static void a_failed_job_is_queued_again_behind_all_others(void **state)
{
    struct told *t = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *a = submit(t), *b = submit(t);

    turn(t);
    a->failures = 3;
    run_and_end(t, a, JOB_FAILED);
    hold();
    assert_int_equal(queue_revive(t->queue, a, false, &err), 0);
    assert_int_equal(queue_revive(t->queue, a, false, &err), 0); /* once more is once */
    assert_int_equal(a->state, JOB_FAILED);
    assert_int_equal(queue_unfinished(t->queue), 2);
    fake_db_commit();
    assert_int_equal(t->revived, 1);
    assert_int_equal(a->state, JOB_QUEUED);
    assert_int_equal(a->id, 1);
    assert_true(a->position > b->position);
    assert_int_equal(a->failures, 0);
    assert_int_equal(job_error_code(a), XFER_OK);
    assert_int_equal(a->ended, 0);
    assert_int_equal(a->attempts, 1);
    reopen(t, false);
    a = queue_find(t->queue, 1, &err);
    b = queue_find(t->queue, 2, &err);
    assert_int_equal(a->state, JOB_QUEUED);
    assert_true(a->position > b->position);
    assert_int_equal(job_error_code(a), XFER_OK);
}

static void a_job_can_end_and_come_back_more_than_once(void **state)
{
    struct told *t = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = submit(t);

    turn(t);
    for (int i = 0; i < 3; i++) {
        run_and_end(t, job, i == 2 ? JOB_DONE : JOB_FAILED);
        if (i < 2)
            assert_int_equal(queue_revive(t->queue, job, false, &err), 0);
        turn(t);
    }
    assert_int_equal(t->ended, 3);
    assert_int_equal(job->state, JOB_DONE);
    assert_int_equal(job->attempts, 3);
    assert_int_equal(queue_unfinished(t->queue), 0);
}

static void one_that_was_pruned_meanwhile_cannot_come_back(void **state)
{
    struct told *t = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = submit(t);

    turn(t);
    run_and_end(t, job, JOB_FAILED);
    fake_db_remove(1);
    assert_int_equal(queue_revive(t->queue, job, false, &err), 0);
    turn(t);
    assert_int_equal(t->last_code, XFER_JOB_FORGOTTEN);
    assert_int_equal(job->state, JOB_FAILED);
    assert_int_equal(queue_unfinished(t->queue), 0);
}

static void a_hurried_job_is_told_when_that_is_recorded(void **state)
{
    struct told *t = *state;
    struct job *job = submit(t);

    turn(t);
    queue_start(t->queue, job);
    queue_requeue(t->queue, job, 1e12, NULL);
    turn(t);
    assert_true(fake_row(1)->not_before == 1e12);
    queue_hurry(t->queue, job);
    assert_int_equal(t->hurried, 0);
    turn(t);
    assert_int_equal(t->hurried, 1);
    assert_true(fake_row(1)->not_before == 0);
}

/* ---- what is not in memory ---- */

static int fetched;

static void on_fetched(void *user, const struct xfer_error *why)
{
    (void)user;
    assert_null(why);
    fetched++;
}

/* So many, one after the other, done. */
static void finish(struct told *t, int n)
{
    for (int i = 0; i < n; i++) {
        struct job *job = submit(t);

        turn(t);
        run_and_end(t, job, JOB_DONE);
    }
}

static void an_old_job_is_fetched(void **state)
{
    struct told *t = *state;
    struct xfer_error err = XFER_ERROR_INIT;

    fetched = 0;
    finish(t, XFER_JOBS_RECENT + 2);
    assert_null(queue_find(t->queue, 2, &err));
    assert_int_equal(err.code, XFER_JOB_FORGOTTEN);
    assert_int_equal(queue_fetch(t->queue, 2, on_fetched, NULL, &err), 0);
    assert_int_equal(queue_fetch(t->queue, 2, on_fetched, NULL, &err), 0);
    turn(t);
    assert_int_equal(fetched, 2);
    struct job *job = queue_find(t->queue, 2, &err);
    assert_int_equal(job->state, JOB_DONE);
    for (struct job *at = queue_next(t->queue, JOB_DONE, NULL); at;
         at = queue_next(t->queue, JOB_DONE, at))
        assert_ptr_not_equal(at, job);
}

static void what_was_pruned_is_not_found(void **state)
{
    struct told *t = *state;
    struct xfer_error err = XFER_ERROR_INIT;

    fetched = 0;
    finish(t, XFER_JOBS_RECENT + 1);
    fake_db_remove(1);
    assert_int_equal(queue_fetch(t->queue, 1, on_fetched, NULL, &err), 0);
    turn(t);
    assert_int_equal(fetched, 1);
    assert_null(queue_find(t->queue, 1, &err));
    assert_int_equal(err.code, XFER_JOB_FORGOTTEN);
}

static void the_oldest_fetch_is_forgotten_first(void **state)
{
    struct told *t = *state;
    struct xfer_error err = XFER_ERROR_INIT;

    finish(t, XFER_JOBS_RECENT + XFER_JOBS_FETCHED + 1);
    for (int64_t i = XFER_JOBS_FETCHED + 1; i > 0; i--) {
        assert_int_equal(queue_fetch(t->queue, i, on_fetched, NULL, &err), 0);
        turn(t);
    }
    assert_null(queue_find(t->queue, XFER_JOBS_FETCHED + 1, &err));
    assert_non_null(queue_find(t->queue, XFER_JOBS_FETCHED, &err));
    assert_non_null(queue_find(t->queue, 1, &err));
}

static void only_the_recent_ones_are_in_memory_after_a_restart(void **state)
{
    struct told *t = *state;
    struct xfer_error err = XFER_ERROR_INIT;

    finish(t, 3);
    assert_false(queue_has_older(t->queue));
    finish(t, XFER_JOBS_LOADED);
    assert_false(queue_has_older(t->queue));
    reopen(t, false);
    assert_true(queue_has_older(t->queue));
    assert_null(queue_find(t->queue, 3, &err));
    assert_non_null(queue_find(t->queue, 4, &err));
    assert_int_equal(queue_count(t->queue, JOB_DONE), XFER_JOBS_LOADED + 3);
}

static void what_the_database_has_removed_is_forgotten(void **state)
{
    struct told *t = *state;
    struct xfer_error err = XFER_ERROR_INIT;

    finish(t, 3);
    fake_db_remove(1);
    fake_db_remove(2);
    finish(t, 1);
    assert_null(queue_find(t->queue, 2, &err));
    assert_int_equal(err.code, XFER_JOB_FORGOTTEN);
    assert_int_equal(queue_next(t->queue, JOB_DONE, NULL)->id, 3);
    assert_int_equal(t->forgotten, 0); /* subscribers may have yet to hear of its end */
}

static void a_history_of_none_keeps_none(void **state)
{
    struct told *t = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = submit(t);

    turn(t);
    queue_start(t->queue, job);
    queue_end(t->queue, job, JOB_DONE, NULL);
    fake_db.keep_none = true;
    turn(t);
    assert_int_equal(t->last_state, JOB_DONE);
    assert_null(queue_find(t->queue, 1, &err));
    assert_null(queue_next(t->queue, JOB_DONE, NULL));
}

/* ---- settings ---- */

static int set_ok, set_failed;

static void on_set(void *user, const struct xfer_error *why)
{
    (void)user;
    if (why)
        set_failed++;
    else
        set_ok++;
}

static void a_pause_outlives_everything(void **state)
{
    struct told *t = *state;
    struct xfer_error err = XFER_ERROR_INIT;

    set_ok = 0;
    assert_int_equal(queue_set(t->queue, true, false, on_set, NULL, &err), 0);
    assert_true(queue_paused(t->queue));
    assert_int_equal(set_ok, 0);
    turn(t);
    assert_int_equal(set_ok, 1);
    reopen(t, false);
    assert_true(queue_paused(t->queue));
}

static void a_setting_that_cannot_be_recorded_does_not_hold(void **state)
{
    struct told *t = *state;
    struct xfer_error err = XFER_ERROR_INIT;

    set_failed = 0;
    fake_db.no_more = XFER_IO;
    queue_set(t->queue, true, false, on_set, NULL, &err);
    queue_set(t->queue, true, true, on_set, NULL, &err);
    turn(t);
    assert_int_equal(set_failed, 2);
    assert_false(queue_paused(t->queue));
    assert_false(queue_draining(t->queue));
}

static void a_drain_takes_no_jobs_and_none_again(void **state)
{
    struct told *t = *state;
    struct job_spec spec = {.source = "/a", .dest = "a"};
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = submit(t);

    turn(t);
    run_and_end(t, job, JOB_FAILED);
    queue_set(t->queue, false, true, on_set, NULL, &err);
    assert_null(queue_submit(t->queue, &spec, &err));
    assert_int_equal(err.code, XFER_DRAINING);
    assert_int_equal(queue_revive(t->queue, job, false, &err), -1);
    assert_int_equal(err.code, XFER_DRAINING);
    turn(t);
}

static void a_bandwidth_outlives_the_ranks_but_not_the_daemon(void **state)
{
    struct told *t = *state;
    struct xfer_error err = XFER_ERROR_INIT;

    assert_int_equal(queue_bandwidth(t->queue), -1);
    set_ok = set_failed = 0;
    assert_int_equal(queue_set_bandwidth(t->queue, 1000, on_set, NULL, &err), 0);
    assert_int_equal(queue_bandwidth(t->queue), 1000);
    queue_set(t->queue, true, false, on_set, NULL, &err);
    turn(t);
    assert_int_equal(set_ok, 2);
    reopen(t, true);
    assert_int_equal(queue_bandwidth(t->queue), 1000);
    assert_true(queue_paused(t->queue));
    fake_db.no_more = XFER_IO;
    queue_set_bandwidth(t->queue, 0, on_set, NULL, &err);
    assert_int_equal(queue_bandwidth(t->queue), 0);
    turn(t);
    assert_int_equal(set_failed, 1);
    assert_int_equal(queue_bandwidth(t->queue), 1000);
    fake_db.no_more = XFER_OK;
    reopen(t, false);
    assert_int_equal(queue_bandwidth(t->queue), -1);
    turn(t);
    reopen(t, true);
    assert_int_equal(queue_bandwidth(t->queue), -1);
}

static void a_drain_outlives_the_ranks_but_not_the_daemon(void **state)
{
    struct told *t = *state;
    struct xfer_error err = XFER_ERROR_INIT;

    queue_set(t->queue, false, true, on_set, NULL, &err);
    turn(t);
    reopen(t, true);
    assert_true(queue_draining(t->queue));
    reopen(t, false);
    assert_false(queue_draining(t->queue));
    turn(t);
    reopen(t, true);
    assert_false(queue_draining(t->queue));
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
        TEST(a_submission_that_cannot_be_recorded_is_no_job),
        TEST(an_end_before_its_start_was_recorded_is_one_record),
        TEST(a_start_is_recorded_in_passing),
        TEST(a_job_whose_end_is_not_recorded_has_not_ended),
        TEST(a_job_that_waits_again_can_end_while_that_is_recorded),
        TEST(unfinished_jobs_are_there_again),
        TEST(a_job_that_ran_is_queued_again),
        TEST(numbers_are_never_given_again),
        TEST(ends_are_counted_on),
        TEST(a_hundred_thousand_jobs_come_back_in_the_order_of_their_positions),
        TEST(a_key_given_twice_is_one_job),
        TEST(a_key_outlives_memory),
        TEST(a_user_has_no_more_jobs_than_allowed),
        TEST(a_job_that_has_ended_counts_no_more),
        TEST(one_that_is_not_accepted_after_all_counts_no_more),
        TEST(a_known_key_is_never_refused),
        TEST(a_retry_counts_like_a_submission),
        TEST(a_size_that_shows_later_counts_from_then_on),
        TEST(what_users_have_is_known_again_after_a_restart),
        TEST(a_failed_job_is_queued_again_behind_all_others),
        TEST(a_job_can_end_and_come_back_more_than_once),
        TEST(one_that_was_pruned_meanwhile_cannot_come_back),
        TEST(a_hurried_job_is_told_when_that_is_recorded),
        TEST(an_old_job_is_fetched),
        TEST(what_was_pruned_is_not_found),
        TEST(the_oldest_fetch_is_forgotten_first),
        TEST(only_the_recent_ones_are_in_memory_after_a_restart),
        TEST(what_the_database_has_removed_is_forgotten),
        TEST(a_history_of_none_keeps_none),
        TEST(a_pause_outlives_everything),
        TEST(a_setting_that_cannot_be_recorded_does_not_hold),
        TEST(a_drain_takes_no_jobs_and_none_again),
        TEST(a_bandwidth_outlives_the_ranks_but_not_the_daemon),
        TEST(a_drain_outlives_the_ranks_but_not_the_daemon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
