/* SPDX-License-Identifier: MIT
 *
 * The job: its transitions, its counters, its error, and how it looks from outside.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "daemon/control/job.h"
#include "proto/control_reply.h"

static struct job *make_job(void)
{
    struct job_spec spec = {.source = "/data/a", .dest = "in/a", .owner = 1000, .priority = 7};
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = job_create(12, &spec, 100.5, &err);

    assert_non_null(job);
    return job;
}

static void show(struct job *job, const struct job_view *view, struct control_job *out)
{
    struct xfer_error err = XFER_ERROR_INIT;
    char *text = job_encode(job, view);

    assert_non_null(text);
    assert_null(strchr(text, '\n'));
    assert_int_equal(control_job_parse(text, out, &err), 0);
    free(text);
}

static void a_finished_job_never_changes_again(void **state)
{
    (void)state;
    for (int from = 0; from < JOB_STATE_COUNT; from++)
        for (int to = 0; to < JOB_STATE_COUNT; to++)
            if (job_state_finished(from))
                assert_false(job_may_become(from, to));
}

static void done_comes_only_after_running(void **state)
{
    (void)state;
    assert_false(job_may_become(JOB_QUEUED, JOB_DONE));
    assert_true(job_may_become(JOB_QUEUED, JOB_RUNNING));
    assert_true(job_may_become(JOB_RUNNING, JOB_DONE));
}

static void a_queued_job_may_be_cancelled(void **state)
{
    (void)state;
    assert_true(job_may_become(JOB_QUEUED, JOB_CANCELLED));
    assert_true(job_may_become(JOB_RUNNING, JOB_CANCELLED));
}

static void a_new_job_looks_queued(void **state)
{
    struct job *job = make_job();
    struct job_view view = {.host = "", .root = "", .reason = "waiting for hostb: it is down"};
    struct control_job out;

    (void)state;
    show(job, &view, &out);
    assert_int_equal(out.job, 12);
    assert_int_equal(out.state, JOB_QUEUED);
    assert_string_equal(out.phase, "queued");
    assert_string_equal(out.reason, "waiting for hostb: it is down");
    assert_string_equal(out.source, "/data/a");
    assert_string_equal(out.dest, "in/a");
    assert_string_equal(out.dest_path, "");
    assert_int_equal(out.uid, 1000);
    assert_int_equal(out.priority, 7);
    assert_int_equal(out.attempts, 0);
    assert_true(out.submitted_at == 100.5);
    assert_true(out.started_at == 0 && out.finished_at == 0);
    assert_null(out.error);
    assert_false(out.has_digest);
    control_job_free(&out);
    job_destroy(job);
}

static void a_job_names_its_absolute_destination(void **state)
{
    struct job *job = make_job();
    struct job_view view = {.host = "hostb", .root = "/srv/in"};
    struct control_job out;

    (void)state;
    show(job, &view, &out);
    assert_string_equal(out.dest_host, "hostb");
    assert_string_equal(out.dest_path, "/srv/in/in/a");
    control_job_free(&out);
    view.root = "/";
    show(job, &view, &out);
    assert_string_equal(out.dest_path, "/in/a");
    control_job_free(&out);
    job_destroy(job);
}

static void a_failed_job_shows_error_and_exit_code(void **state)
{
    struct job *job = make_job();
    struct xfer_error err = XFER_ERROR_INIT;
    struct job_view view = {.host = "", .root = ""};
    struct control_job out;

    (void)state;
    job_become(job, JOB_RUNNING, 101);
    error_set_errno(&err, 28, "write");
    error_about(&err, XFER_SIDE_RECEIVER, "in/a");
    job_set_error(job, &err);
    job_become(job, JOB_FAILED, 102);
    show(job, &view, &out);
    assert_int_equal(out.state, JOB_FAILED);
    assert_int_equal(out.attempts, 1);
    assert_int_equal(out.files_failed, 1);
    assert_int_equal(out.exit_code, 8);
    assert_non_null(out.error);
    assert_int_equal(out.error->code, XFER_NO_SPACE);
    assert_int_equal(out.error->side, XFER_SIDE_RECEIVER);
    assert_int_equal(out.error->sys_errno, 28);
    assert_string_equal(out.error->path, "in/a");
    assert_string_equal(out.error->text, err.text);
    control_job_free(&out);
    job_destroy(job);
}

static void a_cancelled_job_has_exit_code_10(void **state)
{
    struct job *job = make_job();
    struct xfer_error err = XFER_ERROR_INIT;
    struct job_view view = {.host = "", .root = ""};
    struct control_job out;

    (void)state;
    error_set(&err, XFER_CANCELLED, "cancelled");
    job_set_error(job, &err);
    job_become(job, JOB_CANCELLED, 102);
    show(job, &view, &out);
    assert_int_equal(out.exit_code, 10);
    control_job_free(&out);
    job_destroy(job);
}

static void the_rate_of_a_finished_job_is_its_average(void **state)
{
    struct job *job = make_job();

    (void)state;
    job_become(job, JOB_RUNNING, 100);
    job->bytes_done = 5000;
    job_become(job, JOB_DONE, 110);
    assert_true(job_rate(job, 1) == 500);
    job_destroy(job);
}

static void the_rate_of_a_running_job_follows_and_sinks_when_nothing_comes(void **state)
{
    struct job *job = make_job();

    (void)state;
    job_become(job, JOB_RUNNING, 100);
    job_progress(job, "sending", 0, 10000, 50.0);
    assert_true(job_rate(job, 50.0) == 0);
    job_progress(job, "sending", 1000, 10000, 51.0);
    assert_true(job_rate(job, 51.0) == 1000);
    job_progress(job, "sending", 5000, 10000, 52.0);
    double faster = job_rate(job, 52.0);
    assert_true(faster > 1000 && faster < 4000);
    assert_true(job_rate(job, 60.0) < faster);
    assert_string_equal(job_phase(job), "sending");
    assert_int_equal(job->bytes_total, 10000);
    job_destroy(job);
}

static void a_job_that_is_queued_again_starts_counting_anew(void **state)
{
    struct job *job = make_job();

    (void)state;
    job_become(job, JOB_RUNNING, 100);
    job_progress(job, "sending", 4000, 10000, 50.0);
    job_become(job, JOB_QUEUED, 101);
    assert_int_equal(job->bytes_done, 0);
    assert_true(job->started_at == 0);
    assert_string_equal(job_phase(job), "queued");
    job_become(job, JOB_RUNNING, 102);
    assert_int_equal(job->attempts, 2);
    job_destroy(job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_finished_job_never_changes_again),
        cmocka_unit_test(done_comes_only_after_running),
        cmocka_unit_test(a_queued_job_may_be_cancelled),
        cmocka_unit_test(a_new_job_looks_queued),
        cmocka_unit_test(a_job_names_its_absolute_destination),
        cmocka_unit_test(a_failed_job_shows_error_and_exit_code),
        cmocka_unit_test(a_cancelled_job_has_exit_code_10),
        cmocka_unit_test(the_rate_of_a_finished_job_is_its_average),
        cmocka_unit_test(the_rate_of_a_running_job_follows_and_sinks_when_nothing_comes),
        cmocka_unit_test(a_job_that_is_queued_again_starts_counting_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
