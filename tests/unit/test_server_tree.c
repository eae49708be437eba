/* SPDX-License-Identifier: MIT
 *
 * Trees over the control socket: what is asked of them and told of them; with trees that send
 * nothing.
 */
#include "tests/unit/server_rig.h"

/* A job that runs as a tree, with these parameters besides. */
static int64_t submit_tree(struct peer *p, const char *params)
{
    struct control_job job;
    char line[512];

    snprintf(line, sizeof line,
             "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/data/d\","
             "\"overwrite\":\"newer\"%s}}",
             params);
    parse_job(ask(p, line), &job);
    int64_t id = job.job;
    control_job_free(&job);
    settle();
    assert_non_null(fake_tree((uint64_t)id));
    return id;
}

static void end_tree(int64_t job, enum xfer_code code)
{
    struct tree_result result = {.progress = {.files_total = 4,
                                              .files_done = 2,
                                              .files_failed = 1,
                                              .files_skipped = 1,
                                              .bytes_done = 50,
                                              .bytes_total = 60,
                                              .bytes_resumed = 10}};

    if (code != XFER_OK)
        error_set(&result.error, code, "so it is");
    fake_tree_end((uint64_t)job, result);
    settle();
}

static void error_of(int64_t job, const char *path)
{
    fake_tree_note((uint64_t)job, TREE_ERROR, path, XFER_PERMISSION_DENIED, "no");
}

static void notes_of(const char *line, struct control_notes *notes)
{
    struct control_incoming in;
    struct xfer_error err = XFER_ERROR_INIT;

    parse(line, &in);
    if (in.kind != CONTROL_RESULT)
        fail_msg("no result: %s", line);
    assert_int_equal(control_notes_parse(in.result, notes, &err), 0);
    control_incoming_free(&in);
}

static char *ask_page(struct peer *p, const char *method, int64_t job, int64_t after, int64_t limit)
{
    char line[256];

    snprintf(line, sizeof line,
             "{\"id\":1,\"method\":\"%s\",\"params\":{\"job\":%lld,\"after\":%lld,\"limit\":%lld}}",
             method, (long long)job, (long long)after, (long long)limit);
    return ask(p, line);
}

static void what_a_tree_was_asked_for_is_told(void **state)
{
    struct control_job job;
    struct peer p;

    (void)state;
    peer_connect(&p);
    int64_t id = submit_tree(&p, ",\"preserve\":\"+acl\",\"filter\":[\"- *.o\"],\"dry_run\":true,"
                                 "\"one_file_system\":true");
    parse_job(ask_job(&p, "transfer.status", id), &job);
    assert_string_equal(job.preserve, "mode,times,acl");
    assert_int_equal(job.filter.n, 1);
    assert_string_equal(job.filter.list[0], "- *.o");
    assert_true(job.dry_run && job.one_file_system && !job.checksum && job.walking);
    control_job_free(&job);
    const struct tree_request *request = &fake_tree((uint64_t)id)->request;
    assert_int_equal(request->file.preserve, PRESERVE_DEFAULT | PRESERVE_ACL);
    assert_true(request->dry_run && request->one_file_system);
    peer_close(&p);
}

static void key_line(char line[256], const char *params)
{
    snprintf(
        line, 256,
        "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/d\",\"key\":\"k\",%s}}",
        params);
}

static void a_key_with_another_tree_is_a_conflict(void **state)
{
    static const char *const others[] = {"\"preserve\":\"all\"", "\"filter\":[\"- a\"]",
                                         "\"dry_run\":true", "\"one_file_system\":true"};
    char line[256];
    struct peer p;

    (void)state;
    peer_connect(&p);
    key_line(line, "\"preserve\":\"mode,times\"");
    assert_state(ask(&p, line), JOB_QUEUED);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        key_line(line, others[i]);
        assert_error(ask(&p, line), XFER_KEY_CONFLICT);
    }
    key_line(line, "\"priority\":0");
    assert_has(ask(&p, line), "\"existing\":true");
    peer_close(&p);
}

static void a_rule_that_is_none_is_refused(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    assert_error(ask(&p, "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/d\","
                         "\"filter\":[\"- [a\\\\\"]}}"),
                 XFER_INVALID_PARAMS);
    assert_error(ask(&p, "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/d\","
                         "\"filter\":[\"merge x\"]}}"),
                 XFER_INVALID_PARAMS);
    assert_int_equal(fake_db.inserts, 0);
    peer_close(&p);
}

static void errors_and_warnings_are_in_the_job_and_all_of_them_in_pages(void **state)
{
    struct control_notes notes;
    struct control_job job;
    struct peer p;
    char path[32];

    (void)state;
    peer_connect(&p);
    int64_t id = submit_tree(&p, "");
    for (int i = 0; i < 120; i++) {
        snprintf(path, sizeof path, "f%d", i);
        error_of(id, path);
    }
    fake_tree_note((uint64_t)id, TREE_WARNING, "fifo", XFER_NOT_REGULAR, "a FIFO");
    notes_of(ask_job(&p, "transfer.errors", id), &notes); /* while it runs */
    assert_int_equal(notes.n, 121);
    control_notes_free(&notes);
    end_tree(id, XFER_INCOMPLETE);

    parse_job(ask_job(&p, "transfer.status", id), &job);
    assert_int_equal(job.state, JOB_FAILED);
    assert_int_equal(job.exit_code, 1);
    assert_int_equal(job.files_total, 4);
    assert_int_equal(job.files_failed, 1);
    assert_int_equal(job.errors.n, 100);
    assert_string_equal(job.errors.list[99].path, "f99");
    assert_int_equal(job.errors.list[99].code, XFER_PERMISSION_DENIED);
    assert_int_equal(job.warnings.n, 1);
    assert_int_equal(job.warnings_total, 1);
    control_job_free(&job);

    notes_of(ask_page(&p, "transfer.errors", id, 0, 100), &notes);
    assert_int_equal(notes.n, 100);
    assert_true(notes.more);
    int64_t last = notes.list[99].n;
    control_notes_free(&notes);
    notes_of(ask_page(&p, "transfer.errors", id, last, 100), &notes);
    assert_int_equal(notes.n, 21);
    assert_false(notes.more);
    assert_string_equal(notes.list[0].path, "f100");
    assert_true(notes.list[20].warning);
    control_notes_free(&notes);
    peer_close(&p);
}

static void who_waits_is_told_the_errors_and_who_lists_is_not(void **state)
{
    struct control_job job;
    struct peer p;

    (void)state;
    peer_connect(&p);
    int64_t id = submit_tree(&p, "");
    peer_say(&p, "{\"id\":2,\"method\":\"transfer.wait\",\"params\":{\"job\":1}}");
    settle();
    error_of(id, "f");
    end_tree(id, XFER_INCOMPLETE);
    parse_job(peer_line(&p), &job);
    assert_int_equal(job.errors.n, 1);
    control_job_free(&job);
    const char *list = ask(&p, "{\"id\":3,\"method\":\"transfer.list\"}");
    assert_has(list, "\"errors\":[]");
    assert_has(list, "\"files_failed\":1");
    peer_close(&p);
}

static void the_errors_of_a_job_are_told_after_a_restart_too(void **state)
{
    static const char *const methods[] = {"transfer.status", "transfer.wait", "transfer.cancel"};
    struct control_notes notes;
    struct control_job job;
    struct peer p;

    (void)state;
    peer_connect(&p);
    int64_t id = submit_tree(&p, "");
    error_of(id, "f");
    end_tree(id, XFER_INCOMPLETE);
    peer_close(&p);
    for (size_t i = 0; i < 3; i++) {
        restart_server(&rig.link);
        peer_connect(&p);
        int readings = fake_db.readings;
        for (int k = 0; k < 2; k++) {
            parse_job(ask_job(&p, methods[i], id), &job);
            assert_int_equal(job.state, JOB_FAILED);
            assert_int_equal(job.files_done, 2);
            assert_int_equal(job.errors.n, 1);
            assert_string_equal(job.errors.list[0].path, "f");
            control_job_free(&job);
        }
        assert_int_equal(fake_db.readings, readings + 1);
        notes_of(ask_job(&p, "transfer.errors", id), &notes);
        assert_int_equal(notes.n, 1);
        control_notes_free(&notes);
        peer_close(&p);
    }
}

static void who_asks_for_errors_and_goes_is_not_waited_for(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    int64_t id = submit_tree(&p, "");
    error_of(id, "f");
    end_tree(id, XFER_INCOMPLETE);
    peer_close(&p);
    restart_server(&rig.link);
    peer_connect(&p);
    await_clients(&p, 1);
    fake_db.hold = true;
    peer_say(&p, "{\"id\":1,\"method\":\"transfer.status\",\"params\":{\"job\":1}}");
    peer_say(&p, "{\"id\":1,\"method\":\"transfer.errors\",\"params\":{\"job\":1}}");
    settle();
    peer_close(&p);
    settle();
    fake_db_commit();
    fake_db.hold = false;
    peer_connect(&p);
    assert_state(ask_job(&p, "transfer.status", id), JOB_FAILED);
    peer_close(&p);
}

static void of_a_job_without_notes_nothing_is_read(void **state)
{
    struct control_notes notes;
    struct peer p;

    (void)state;
    peer_connect(&p);
    int64_t id = submit(&p, "x");
    settle();
    fake_end(&rig.sender, (uint64_t)id, 5, NULL);
    settle();
    peer_close(&p);
    restart_server(&rig.link);
    peer_connect(&p);
    assert_state(ask_job(&p, "transfer.status", id), JOB_DONE);
    assert_int_equal(fake_db.readings, 0);
    assert_int_equal(fake_db.notings, 0);
    notes_of(ask_job(&p, "transfer.errors", id), &notes);
    assert_int_equal(notes.n, 0);
    assert_false(notes.more);
    control_notes_free(&notes);
    peer_close(&p);
}

static void a_plan_is_told_in_pages(void **state)
{
    struct control_incoming in;
    struct control_plan plan;
    struct xfer_error err = XFER_ERROR_INIT;
    struct peer p;

    (void)state;
    peer_connect(&p);
    int64_t id = submit_tree(&p, ",\"dry_run\":true");
    for (int i = 0; i < 3; i++)
        fake_tree_note((uint64_t)id, TREE_PLAN, i == 0 ? "a" : "b", XFER_OK, "");
    error_of(id, "f");
    end_tree(id, XFER_OK);
    parse(ask_page(&p, "transfer.plan", id, 1, 1), &in);
    assert_int_equal(control_plan_parse(in.result, &plan, &err), 0);
    control_incoming_free(&in);
    assert_int_equal(plan.n, 1);
    assert_true(plan.more);
    assert_string_equal(plan.list[0].action, "replace");
    assert_string_equal(plan.list[0].type, "file");
    assert_string_equal(plan.list[0].path, "b");
    assert_int_equal(plan.list[0].size, 7);
    control_plan_free(&plan);
    peer_close(&p);
}

static void errors_of_no_job_are_an_error(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    assert_error(ask_job(&p, "transfer.errors", 5), XFER_NO_SUCH_JOB);
    assert_error(ask_job(&p, "transfer.plan", 5), XFER_NO_SUCH_JOB);
    assert_error(ask(&p, "{\"id\":1,\"method\":\"transfer.errors\"}"), XFER_INVALID_PARAMS);
    peer_close(&p);
}

static void what_was_sent_of_trees_is_counted_by_entries(void **state)
{
    struct control_stats s;
    struct peer p;

    (void)state;
    peer_connect(&p);
    end_tree(submit_tree(&p, ""), XFER_INCOMPLETE);
    stats(&p, &s);
    assert_int_equal(s.sent_files, 2);
    assert_int_equal(s.sent_bytes, 40);
    assert_int_equal(s.finished_failed, 1);
    end_tree(submit_tree(&p, ",\"dry_run\":true"), XFER_OK);
    stats(&p, &s);
    assert_int_equal(s.sent_files, 2);
    assert_int_equal(s.sent_bytes, 40);
    peer_close(&p);
}

static void the_receiver_keeps_what_a_retry_of_a_failed_tree_needs(void **state)
{
    const uint64_t held[] = {1, 2, 3};
    struct peer p;

    (void)state;
    peer_connect(&p);
    end_tree(submit_tree(&p, ""), XFER_INCOMPLETE);
    assert_int_equal(rig.link.n_forgotten, 0);
    end_tree(submit_tree(&p, ""), XFER_OK); /* its first attempt, but it has begun one */
    assert_int_equal(rig.link.n_forgotten, 1);
    int64_t id = submit_tree(&p, "");
    peer_say(&p, "{\"id\":2,\"method\":\"transfer.cancel\",\"params\":{\"job\":3}}");
    settle();
    end_tree(id, XFER_OK);
    assert_state(peer_line(&p), JOB_CANCELLED);
    assert_int_equal(rig.link.n_forgotten, 2);

    rig.link.n_forgotten = 0;
    server_partials(rig.server, held, 3);
    assert_int_equal(rig.link.n_forgotten, 2);
    assert_int_equal(rig.link.forgotten[0], 2);
    assert_int_equal(rig.link.forgotten[1], 3);
    peer_close(&p);
}

static void a_tree_is_followed_by_events(void **state)
{
    struct tree_progress progress = {.walking = true,
                                     .phase = SEND_SENDING,
                                     .bytes_done = 1,
                                     .bytes_total = 2,
                                     .files_total = 9,
                                     .files_done = 3,
                                     .files_failed = 2,
                                     .files_skipped = 1};
    struct control_incoming in;
    struct peer p;

    (void)state;
    peer_connect(&p);
    int64_t id = submit_tree(&p, "");
    fake_tree_progress((uint64_t)id, &progress);
    assert_has(ask_job(&p, "events.subscribe", id), "true");
    parse(peer_line(&p), &in);
    assert_int_equal(in.kind, CONTROL_EVENT);
    assert_true(in.event.walking);
    assert_int_equal(in.event.files_total, 9);
    assert_int_equal(in.event.files_done, 3);
    assert_int_equal(in.event.files_failed, 2);
    assert_int_equal(in.event.files_skipped, 1);
    control_incoming_free(&in);
    peer_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_a_tree_was_asked_for_is_told),
        TEST(a_key_with_another_tree_is_a_conflict),
        TEST(a_rule_that_is_none_is_refused),
        TEST(errors_and_warnings_are_in_the_job_and_all_of_them_in_pages),
        TEST(who_waits_is_told_the_errors_and_who_lists_is_not),
        TEST(the_errors_of_a_job_are_told_after_a_restart_too),
        TEST(who_asks_for_errors_and_goes_is_not_waited_for),
        TEST(of_a_job_without_notes_nothing_is_read),
        TEST(a_plan_is_told_in_pages),
        TEST(errors_of_no_job_are_an_error),
        TEST(what_was_sent_of_trees_is_counted_by_entries),
        TEST(the_receiver_keeps_what_a_retry_of_a_failed_tree_needs),
        TEST(a_tree_is_followed_by_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
