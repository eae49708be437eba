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
#include "daemon/control/job_notes.h"
#include "daemon/control/queue_db.h"
#include "proto/control_reply.h"

static struct job *make_job(void)
{
    struct job_spec spec = {.source = "/data/a",
                            .dest = "in/a",
                            .key = "backup-7",
                            .owner = 1000,
                            .priority = 7,
                            .retries = 3};
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

static void a_finished_job_can_only_be_queued_again_unless_it_is_done(void **state)
{
    (void)state;
    for (int from = 0; from < JOB_STATE_COUNT; from++)
        for (int to = 0; to < JOB_STATE_COUNT; to++)
            if (job_state_finished(from))
                assert_int_equal(job_may_become(from, to), from != JOB_DONE && to == JOB_QUEUED);
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

static void a_job_that_waits_for_its_next_attempt_tells_what_was_wrong(void **state)
{
    struct job *job = make_job();
    struct xfer_error err = XFER_ERROR_INIT;
    struct job_view view = {.host = "", .root = "", .reason = "later"};
    struct control_job out;

    (void)state;
    job_become(job, JOB_RUNNING, 101);
    job_become(job, JOB_QUEUED, 102);
    error_set(&err, XFER_NO_SPACE, "full");
    job_set_error(job, &err);
    job->not_before = 105.5;
    show(job, &view, &out);
    assert_int_equal(out.state, JOB_QUEUED);
    assert_true(out.not_before == 105.5);
    assert_int_equal(out.retries, 3);
    assert_string_equal(out.reason, "later");
    assert_int_equal(out.error->code, XFER_NO_SPACE);
    assert_int_equal(out.exit_code, 0);
    control_job_free(&out);
    job_become(job, JOB_RUNNING, 106);
    show(job, &view, &out);
    assert_true(out.not_before == 0);
    control_job_free(&out);
    job_destroy(job);
}

static void a_job_tells_its_key_and_whether_it_existed(void **state)
{
    struct job *job = make_job();
    struct job_view view = {.host = "", .root = "", .existing = true};
    struct control_job out;

    (void)state;
    show(job, &view, &out);
    assert_string_equal(out.key, "backup-7");
    assert_true(out.existing);
    control_job_free(&out);
    view.existing = false;
    show(job, &view, &out);
    assert_false(out.existing);
    control_job_free(&out);
    job_destroy(job);
}

static void the_same_request_is_told_from_another(void **state)
{
    struct job_spec spec = {.source = "/data/a", .dest = "in/a", .priority = 7, .retries = 3};
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = make_job(), *other;

    (void)state;
    for (int i = 0; i < 7; i++) {
        struct job_spec another = spec;

        another.source = i == 1 ? "/data/b" : spec.source;
        another.dest = i == 2 ? "in/b" : spec.dest;
        another.priority += i == 3;
        another.overwrite = i == 4 ? OVERWRITE_NEVER : OVERWRITE_REPLACE;
        another.sync = i == 5 ? SYNC_NONE : SYNC_FILE;
        another.retries += i == 6;
        other = job_create(13, &another, 200, &err);
        assert_int_equal(job_is_same_request(other, job), i == 0);
        other->default_retries = true;
        assert_int_equal(job_is_same_request(other, job), i == 0 || i == 6);
        other->sync = SYNC_DEFAULT;
        assert_int_equal(job_is_same_request(other, job), i == 0 || i == 5 || i == 6);
        job_destroy(other);
    }
    job_destroy(job);
}

static void one_that_asks_for_another_kind_of_tree_is_another_request(void **state)
{
    char rule[] = "- *.o", rule_2[] = "- *.a", *rules[] = {rule, rule_2}, *others[] = {rule, rule};
    struct job_spec spec = {
        .source = "/data/a", .dest = "in/a", .filter = {rules, 2}, .list = "id-1-digest"};
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = job_create(12, &spec, 100, &err), *other;

    (void)state;
    for (int i = 0; i < 10; i++) {
        struct job_spec another = spec;

        another.list = i == 8 ? NULL : i == 9 ? "id-1-another" : "id-2-digest";
        another.preserve = i == 1 ? PRESERVE_OWNER : 0;
        another.dry_run = i == 2;
        another.checksum = i == 3;
        another.one_file_system = i == 4;
        another.filter.n -= i == 5;
        if (i == 6)
            another.filter.list = others;
        another.overwrite = i == 7 ? OVERWRITE_NEWER : OVERWRITE_REPLACE;
        other = job_create(13, &another, 200, &err);
        assert_int_equal(job_is_same_request(other, job), i == 0);
        job_destroy(other);
    }
    job_destroy(job);
}

static void what_one_send_can_do_is_plain(void **state)
{
    char rule[] = "- *.o", *rules[] = {rule};
    struct job_spec spec = {.source = "/data/a", .dest = "in/a"};
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    for (int i = 0; i < 8; i++) {
        struct job_spec another = spec;

        another.overwrite = (enum overwrite_mode)(i < 4 ? i : 0);
        another.dry_run = i == 4;
        if (i == 5)
            another.filter = (struct control_strings){rules, 1};
        another.list = i == 6 ? "/list" : NULL;
        another.one_file_system = i == 7;
        struct job *job = job_create(13, &another, 200, &err);
        assert_int_equal(job_is_plain(job), i < 2 || i == 7);
        job_destroy(job);
    }
}

static void a_tree_tells_its_counters_and_a_file_its_state(void **state)
{
    struct job_view view = {.host = "", .root = ""};
    struct control_event ev;
    struct control_job out;
    struct job *job = make_job();

    (void)state;
    job_become(job, JOB_RUNNING, 101);
    show(job, &view, &out);
    assert_int_equal(out.files_total, 1);
    assert_int_equal(out.files_done, 0);
    assert_false(out.walking);
    control_job_free(&out);

    job->tree = job->walking = true;
    job->files_total = 10;
    job->files_done = 3;
    job->files_failed = 2;
    job->files_skipped = 1;
    show(job, &view, &out);
    assert_true(out.walking);
    assert_int_equal(out.files_total, 10);
    assert_int_equal(out.files_done, 3);
    assert_int_equal(out.files_failed, 2);
    assert_int_equal(out.files_skipped, 1);
    control_job_free(&out);
    job_to_event(job, 1, 0, &ev);
    assert_true(ev.walking);
    assert_int_equal(ev.files_total, 10);
    assert_int_equal(ev.files_done, 3);
    assert_int_equal(ev.files_failed, 2);
    assert_int_equal(ev.files_skipped, 1);

    job_become(job, JOB_FAILED, 102);
    show(job, &view, &out);
    assert_false(out.walking);
    assert_int_equal(out.files_failed, 2);
    control_job_free(&out);
    job_become(job, JOB_QUEUED, 103);
    show(job, &view, &out);
    assert_int_equal(out.files_total, 10);
    assert_int_equal(out.files_done + out.files_failed + out.files_skipped, 0);
    control_job_free(&out);
    job_destroy(job);
}

static void a_job_tells_what_was_noted_unless_it_is_to_be_brief(void **state)
{
    char path[] = "d/f", why[] = "no";
    struct job_view view = {.host = "", .root = ""};
    struct control_note error = {.path = path, .code = XFER_IO, .message = why}, warning = error;
    struct control_job out;
    struct job *job = make_job();

    (void)state;
    warning.warning = true;
    job_notes_add(&job->notes, &error);
    job_notes_add(&job->notes, &warning);
    job->errors = 1;
    job->warnings = 5;
    show(job, &view, &out);
    assert_int_equal(out.errors.n, 1);
    assert_string_equal(out.errors.list[0].path, path);
    assert_int_equal(out.warnings.n, 1);
    assert_int_equal(out.warnings_total, 5);
    control_job_free(&out);
    view.brief = true;
    show(job, &view, &out);
    assert_int_equal(out.errors.n, 0);
    assert_int_equal(out.warnings.n, 0);
    assert_int_equal(out.warnings_total, 5);
    control_job_free(&out);
    job_destroy(job);
}

static void a_tree_comes_back_from_its_row_as_it_was(void **state)
{
    char rule[] = "- *.o", *rules[] = {rule};
    struct job_spec spec = {.source = "/data/d",
                            .dest = "d",
                            .list = "/lists/1",
                            .preserve = PRESERVE_ALL,
                            .filter = {rules, 1},
                            .dry_run = true,
                            .one_file_system = true};
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = job_create(12, &spec, 100, &err), *back;
    struct queue_row *row;

    (void)state;
    for (int ended = 0; ended < 2; ended++) {
        job_become(job, JOB_RUNNING, 101);
        job->tree = true;
        job->files_total = 9;
        job->files_done = 4;
        job->files_failed = 3;
        job->files_skipped = 2;
        job->errors = 3;
        job->warnings = 1;
        job_become(job, ended ? JOB_FAILED : JOB_QUEUED, 102);
        job->ended = ended;
        row = job_to_row(job);
        back = job_from_row(row, &err);
        queue_row_destroy(row);
        assert_non_null(back);
        assert_true(job_is_same_request(job, back));
        assert_string_equal(back->list, "/lists/1");
        assert_true(back->tree);
        assert_false(back->walking);
        assert_int_equal(back->files_total, 9);
        assert_int_equal(back->files_done, ended ? 4 : 0);
        assert_int_equal(back->files_failed, ended ? 3 : 0);
        assert_int_equal(back->files_skipped, ended ? 2 : 0);
        assert_int_equal(back->errors, 3);
        assert_int_equal(back->warnings, 1);
        assert_true(job_lacks_notes(back));
        job_destroy(back);
    }
    job_destroy(job);
}

static void a_job_comes_back_from_its_row_as_it_was(void **state)
{
    struct job *job = make_job(), *back;
    struct xfer_error err = XFER_ERROR_INIT;
    struct queue_row *row;

    (void)state;
    job_become(job, JOB_RUNNING, 101);
    error_set_errno(&err, 28, "write");
    error_about(&err, XFER_SIDE_RECEIVER, "in/a");
    job_set_error(job, &err);
    job->bytes_total = 100;
    job->bytes_done = 60;
    job->bytes_resumed = 40;
    job->failures = 2;
    job->position = 99;
    job->gid = 50;
    assert_int_equal(job_set_groups(job, (const gid_t[]){51, 52}, 2), 0);
    job->bandwidth = 4096;
    job->handle = true;
    job->handle_dev = 61;
    job->handle_ino = 62;
    job->stored = strdup("alice/in/a");
    job_become(job, JOB_FAILED, 102);
    job->ended = 5;
    row = job_to_row(job);
    back = job_from_row(row, &err);
    queue_row_destroy(row);
    assert_int_equal(back->id, 12);
    assert_int_equal(back->position, 99);
    assert_int_equal(back->state, JOB_FAILED);
    assert_int_equal(back->ended, 5);
    assert_true(job_is_same_request(job, back));
    assert_string_equal(back->key, "backup-7");
    assert_int_equal(back->gid, 50);
    assert_int_equal(back->n_groups, 2);
    assert_int_equal(back->groups[1], 52);
    assert_int_equal(back->bandwidth, 4096);
    assert_true(back->handle);
    assert_int_equal(back->handle_dev, 61);
    assert_int_equal(back->handle_ino, 62);
    assert_string_equal(back->stored, "alice/in/a");
    assert_int_equal(back->owner, 1000);
    assert_int_equal(back->attempts, 1);
    assert_int_equal(back->failures, 2);
    assert_true(back->submitted_at == 100.5 && back->started_at == 101 && back->finished_at == 102);
    assert_int_equal(back->bytes_total, 100);
    assert_int_equal(back->bytes_done, 60);
    assert_int_equal(back->bytes_resumed, 40);
    struct xfer_error kept;
    job_get_error(back, &kept);
    assert_int_equal(kept.code, XFER_NO_SPACE);
    assert_int_equal(kept.side, XFER_SIDE_RECEIVER);
    assert_int_equal(kept.sys_errno, 28);
    assert_string_equal(kept.path, "in/a");
    assert_false(back->restored);
    job_destroy(back);
    job_destroy(job);
}

static void a_running_job_is_a_queued_one_in_its_row(void **state)
{
    struct job *job = make_job(), *back;
    struct xfer_error err = XFER_ERROR_INIT;
    struct queue_row *row;

    (void)state;
    job_become(job, JOB_RUNNING, 101);
    job_progress(job, "sending", 4000, 10000, 50.0);
    row = job_to_row(job);
    assert_int_equal(row->state, JOB_QUEUED);
    back = job_from_row(row, &err);
    queue_row_destroy(row);
    assert_int_equal(back->state, JOB_QUEUED);
    assert_int_equal(back->attempts, 1);
    assert_int_equal(back->bytes_done, 0);
    assert_true(back->started_at == 0);
    assert_true(back->restored);
    job_destroy(back);
    job_destroy(job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_finished_job_can_only_be_queued_again_unless_it_is_done),
        cmocka_unit_test(done_comes_only_after_running),
        cmocka_unit_test(a_queued_job_may_be_cancelled),
        cmocka_unit_test(a_new_job_looks_queued),
        cmocka_unit_test(a_job_names_its_absolute_destination),
        cmocka_unit_test(a_failed_job_shows_error_and_exit_code),
        cmocka_unit_test(a_cancelled_job_has_exit_code_10),
        cmocka_unit_test(the_rate_of_a_finished_job_is_its_average),
        cmocka_unit_test(the_rate_of_a_running_job_follows_and_sinks_when_nothing_comes),
        cmocka_unit_test(a_job_that_is_queued_again_starts_counting_anew),
        cmocka_unit_test(a_job_that_waits_for_its_next_attempt_tells_what_was_wrong),
        cmocka_unit_test(a_job_tells_its_key_and_whether_it_existed),
        cmocka_unit_test(the_same_request_is_told_from_another),
        cmocka_unit_test(one_that_asks_for_another_kind_of_tree_is_another_request),
        cmocka_unit_test(what_one_send_can_do_is_plain),
        cmocka_unit_test(a_tree_tells_its_counters_and_a_file_its_state),
        cmocka_unit_test(a_job_tells_what_was_noted_unless_it_is_to_be_brief),
        cmocka_unit_test(a_tree_comes_back_from_its_row_as_it_was),
        cmocka_unit_test(a_job_comes_back_from_its_row_as_it_was),
        cmocka_unit_test(a_running_job_is_a_queued_one_in_its_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
