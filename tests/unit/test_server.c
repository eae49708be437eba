/* SPDX-License-Identifier: MIT
 *
 * The methods of the control service, asked over its socket.
 */
#include "tests/unit/server_rig.h"

#include <grp.h>
#include <pwd.h>

static void hello_tells_who_answers(void **state)
{
    struct peer p;
    struct control_incoming in;
    struct control_hello hello;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    peer_connect(&p);
    parse(ask(&p, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"system.hello\"}"), &in);
    assert_int_equal(in.kind, CONTROL_RESULT);
    assert_int_equal(in.id, 7);
    assert_int_equal(control_hello_parse(in.result, &hello, &err), 0);
    assert_string_equal(hello.version, PACKAGE_VERSION);
    assert_string_equal(hello.queue_id, "30313233343536373839616263646500");
    assert_int_equal(strlen(hello.boot_id), 2 * XFER_QUEUE_ID_SIZE);
    assert_int_equal(hello.n_ranks, 2);
    assert_string_equal(hello.ranks[0].host, "hosta");
    assert_int_equal(hello.ranks[0].pid, getpid());
    assert_int_equal(hello.ranks[1].rank, 1);
    assert_string_equal(hello.ranks[1].host, "hostb");
    control_incoming_free(&in);
    peer_close(&p);
}

static void methods_are_listed_and_described(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    assert_has(ask(&p, "{\"id\":1,\"method\":\"system.list_methods\"}"), "transfer.submit");
    assert_has(
        ask(&p,
            "{\"id\":1,\"method\":\"system.describe\",\"params\":{\"method\":\"transfer.wait\"}}"),
        "timeout");
    assert_error(
        ask(&p, "{\"id\":1,\"method\":\"system.describe\",\"params\":{\"method\":\"no.such\"}}"),
        XFER_INVALID_PARAMS);
    assert_error(ask(&p, "{\"id\":1,\"method\":\"no.such\"}"), XFER_METHOD_NOT_FOUND);
    peer_close(&p);
}

static void a_job_goes_from_queued_to_done(void **state)
{
    struct peer p;
    struct control_job job;

    (void)state;
    peer_connect(&p);
    assert_int_equal(submit(&p, "in/"), 1);
    settle();
    fake_progress(&rig.sender, 1, 10, 50);
    parse_job(ask_job(&p, "transfer.status", 1), &job);
    assert_int_equal(job.state, JOB_RUNNING);
    assert_string_equal(job.phase, "sending");
    assert_int_equal(job.bytes_done, 10);
    assert_int_equal(job.bytes_total, 50);
    assert_true(job.started_at >= job.submitted_at);
    control_job_free(&job);
    fake_end(&rig.sender, 1, 50, NULL);
    parse_job(ask_job(&p, "transfer.status", 1), &job);
    assert_int_equal(job.state, JOB_DONE);
    assert_string_equal(job.dest, "in/f");
    assert_string_equal(job.dest_host, "hostb");
    assert_string_equal(job.dest_path, "/srv/in/in/f");
    assert_int_equal(job.bytes_done, 50);
    assert_int_equal(job.files_done, 1);
    assert_true(job.has_digest);
    assert_int_equal(job.uid, geteuid());
    assert_int_equal(job.exit_code, 0);
    control_job_free(&job);
    peer_close(&p);
}

static void submit_with_wait_is_answered_at_the_end(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    peer_say(
        &p,
        "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/f\",\"wait\":true}}");
    assert_silent(&p);
    fake_end(&rig.sender, 1, 0, NULL);
    assert_state(peer_line(&p), JOB_DONE);
    peer_close(&p);
}

static void a_failed_job_is_a_result_with_its_error(void **state)
{
    struct peer p;
    struct control_job job;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    peer_connect(&p);
    peer_say(
        &p,
        "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/f\",\"wait\":true}}");
    settle();
    error_set(&err, XFER_DESTINATION_EXISTS, "it is there");
    fake_end(&rig.sender, 1, 0, &err);
    parse_job(peer_line(&p), &job);
    assert_int_equal(job.state, JOB_FAILED);
    assert_int_equal(job.exit_code, 6);
    assert_int_equal(job.error->code, XFER_DESTINATION_EXISTS);
    control_job_free(&job);
    peer_close(&p);
}

static void a_bad_destination_is_refused_before_any_effect(void **state)
{
    static const char *const dests[] = {"../x", "/x", "a/../../x", ".xfer/x"};
    struct peer p;
    char line[256];

    (void)state;
    peer_connect(&p);
    for (size_t i = 0; i < sizeof dests / sizeof *dests; i++) {
        snprintf(line, sizeof line,
                 "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/"
                 "f\",\"dest\":\"%s\"}}",
                 dests[i]);
        assert_error(ask(&p, line), XFER_INVALID_DESTINATION);
    }
    assert_int_equal(submit(&p, "x"), 1);
    peer_close(&p);
}

static void wait_is_answered_at_the_end_and_at_once_for_an_ended_job(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    submit(&p, "x");
    peer_say(&p, "{\"id\":1,\"method\":\"transfer.wait\",\"params\":{\"job\":1,\"timeout\":1000}}");
    assert_silent(&p);
    fake_end(&rig.sender, 1, 0, NULL);
    assert_state(peer_line(&p), JOB_DONE);
    assert_state(ask_job(&p, "transfer.wait", 1), JOB_DONE);
    peer_close(&p);
}

static void wait_times_out_and_names_the_job(void **state)
{
    struct peer p;
    struct control_incoming in;

    (void)state;
    peer_connect(&p);
    submit(&p, "x");
    for (int i = 0; i < 2; i++) {
        parse(
            ask(&p,
                i ? "{\"id\":1,\"method\":\"transfer.wait\",\"params\":{\"job\":1,\"timeout\":0.02}"
                    "}"
                  : "{\"id\":1,\"method\":\"transfer.wait\",\"params\":{\"job\":1,\"timeout\":0}}"),
            &in);
        assert_int_equal(in.kind, CONTROL_ERROR);
        assert_int_equal(in.error.code, XFER_TIMEOUT);
        assert_int_equal(in.error_job, 1);
        control_incoming_free(&in);
    }
    peer_close(&p);
}

static void an_unknown_job_is_no_such_job(void **state)
{
    static const char *const methods[] = {"transfer.status", "transfer.wait", "transfer.cancel",
                                          "events.subscribe"};
    struct peer p;

    (void)state;
    peer_connect(&p);
    for (size_t i = 0; i < 4; i++)
        assert_error(ask_job(&p, methods[i], 99), XFER_NO_SUCH_JOB);
    peer_close(&p);
}

static void a_queued_job_is_cancelled_at_once(void **state)
{
    struct peer p;
    struct control_job job;

    (void)state;
    peer_connect(&p);
    rig.sender.room_max = 0;
    submit(&p, "x");
    parse_job(ask_job(&p, "transfer.cancel", 1), &job);
    assert_int_equal(job.state, JOB_CANCELLED);
    assert_int_equal(job.exit_code, 10);
    control_job_free(&job);
    rig.sender.room_max = 1;
    settle();
    assert_int_equal(rig.sender.n_starts, 0);
    peer_close(&p);
}

static void cancel_of_a_running_job_is_answered_when_it_has_ended(void **state)
{
    struct peer p, other;

    (void)state;
    peer_connect(&p);
    peer_connect(&other);
    submit(&p, "x");
    settle();
    peer_say(&p, "{\"id\":1,\"method\":\"transfer.cancel\",\"params\":{\"job\":1}}");
    peer_say(&other, "{\"id\":1,\"method\":\"transfer.cancel\",\"params\":{\"job\":1}}");
    assert_silent(&p);
    assert_int_equal(rig.sender.sends->why.code, XFER_CANCELLED);
    fake_end(&rig.sender, 1, 0, NULL);
    assert_state(peer_line(&p), JOB_CANCELLED);
    assert_state(peer_line(&other), JOB_CANCELLED);
    peer_close(&p);
    peer_close(&other);
}

static void cancel_of_an_ended_job_changes_nothing(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    submit(&p, "x");
    settle();
    fake_end(&rig.sender, 1, 0, NULL);
    settle();
    assert_state(ask_job(&p, "transfer.cancel", 1), JOB_DONE);
    peer_close(&p);
}

/* Connect as that user; false where the test may not. */
static bool connect_as(struct peer *p, uid_t uid, gid_t gid)
{
    if (geteuid() != 0)
        return false;
    assert_int_equal(setegid(gid), 0);
    assert_int_equal(seteuid(uid), 0);
    peer_connect(p);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(setegid(0), 0);
    return true;
}

static void only_owner_and_administrators_cancel(void **state)
{
    struct peer owner, other, root;

    (void)state;
    if (!connect_as(&owner, 12345, 12345))
        skip();
    connect_as(&other, 12346, 12346);
    peer_connect(&root);
    rig.sender.room_max = 0;
    submit(&owner, "x");
    submit(&owner, "y");
    assert_error(ask_job(&other, "transfer.cancel", 1), XFER_PERMISSION_DENIED);
    assert_state(ask_job(&other, "transfer.status", 1), JOB_QUEUED);
    assert_state(ask_job(&owner, "transfer.cancel", 1), JOB_CANCELLED);
    assert_state(ask_job(&root, "transfer.cancel", 2), JOB_CANCELLED);
    peer_close(&owner);
    peer_close(&other);
    peer_close(&root);
}

static void configured_administrators_cancel_jobs_of_others(void **state)
{
    struct peer p, by_uid, by_gid, nobody;
    char *line;

    (void)state;
    if (geteuid() != 0)
        skip();
    server_destroy(rig.server);
    strcpy(rig.conf.control_admins, "root, 12345 @12346");
    start_server(&rig.link);
    peer_connect(&p);
    connect_as(&by_uid, 12345, 12345);
    connect_as(&by_gid, 12347, 12346);
    connect_as(&nobody, 12346, 12345);
    rig.sender.room_max = 0;
    submit(&p, "x");
    submit(&p, "y");
    line = ask_job(&nobody, "transfer.cancel", 1);
    assert_error(line, XFER_PERMISSION_DENIED);
    assert_state(ask_job(&by_uid, "transfer.cancel", 1), JOB_CANCELLED);
    assert_state(ask_job(&by_gid, "transfer.cancel", 2), JOB_CANCELLED);
    peer_close(&p);
    peer_close(&by_uid);
    peer_close(&by_gid);
    peer_close(&nobody);
}

static void an_unknown_administrator_is_an_error_at_start(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct server_options options = {
        .loop = rig.loop, .conf = &rig.conf, .listen_fd = rig.listen_fd, .host = "h"};

    (void)state;
    strcpy(rig.conf.control_admins, "no-such-user-here");
    assert_null(server_create(&options, &err));
    assert_int_equal(err.code, XFER_CONFIG);
    strcpy(rig.conf.control_admins, "@no-such-group-here");
    assert_null(server_create(&options, &err));
    assert_int_equal(err.code, XFER_CONFIG);
}

static void without_a_link_jobs_wait_and_say_for_whom(void **state)
{
    struct peer p;
    struct control_job job;

    (void)state;
    server_destroy(rig.server);
    strcpy(rig.conf.peer_host, "hostb");
    start_server(NULL);
    peer_connect(&p);
    submit(&p, "x");
    parse_job(ask_job(&p, "transfer.status", 1), &job);
    assert_int_equal(job.state, JOB_QUEUED);
    assert_has(job.reason, "waiting for hostb: ");
    assert_string_equal(job.dest_path, "");
    control_job_free(&job);
    assert_error(ask(&p, "{\"id\":1,\"method\":\"system.ping\"}"), XFER_PEER_DOWN);
    assert_int_equal(rig.sender.n_starts, 0);
    peer_close(&p);
}

static void a_job_tells_which_job_it_waits_for(void **state)
{
    struct peer p;
    struct control_job job;

    (void)state;
    peer_connect(&p);
    submit(&p, "dir");
    submit(&p, "dir/x");
    parse_job(ask_job(&p, "transfer.status", 2), &job);
    assert_has(job.reason, "job 1");
    control_job_free(&job);
    peer_close(&p);
}

static void ping_is_answered_by_the_peer(void **state)
{
    struct peer p, other;
    struct control_incoming in;
    struct control_ping ping;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    peer_connect(&p);
    peer_connect(&other);
    peer_say(&p, "{\"id\":1,\"method\":\"system.ping\"}");
    peer_say(&other, "{\"id\":1,\"method\":\"system.ping\"}");
    assert_silent(&p);
    assert_int_equal(rig.link.pings, 1);
    rig.link.pong(rig.link.pong_user, 0.25);
    parse(peer_line(&p), &in);
    assert_int_equal(control_ping_parse(in.result, &ping, &err), 0);
    assert_true(ping.peer_up);
    assert_true(ping.round_trip == 0.25);
    control_incoming_free(&in);
    assert_has(peer_line(&other), "result");
    peer_close(&p);
    peer_close(&other);
}

static void an_answer_of_the_peer_finds_nobody_waiting(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    peer_say(&p, "{\"id\":1,\"method\":\"system.ping\"}");
    settle();
    peer_close(&p);
    settle();
    rig.link.pong(rig.link.pong_user, 0.25);
    peer_connect(&p);
    peer_say(&p, "{\"id\":1,\"method\":\"system.ping\"}");
    settle();
    assert_int_equal(rig.link.pings, 2);
    peer_close(&p);
}

static void stats_count(void **state)
{
    static struct control_stats s;
    struct peer p;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    peer_connect(&p);
    rig.sender.room_max = 3;
    for (int i = 0; i < 5; i++) {
        char dest[] = {(char)('a' + i), '\0'};

        submit(&p, dest);
    }
    settle();
    fake_end(&rig.sender, 1, 100, NULL);
    error_set(&err, XFER_IO, "broken");
    fake_end(&rig.sender, 2, 0, &err);
    rig.sender.room_max = 2;
    settle();
    stats(&p, &s);
    assert_int_equal(s.jobs[JOB_DONE], 1);
    assert_int_equal(s.jobs[JOB_FAILED], 1);
    assert_int_equal(s.jobs[JOB_RUNNING], 2);
    assert_int_equal(s.jobs[JOB_QUEUED], 1);
    assert_int_equal(s.finished_done, 1);
    assert_int_equal(s.sent_bytes, 100);
    assert_int_equal(s.sent_files, 1);
    assert_int_equal(s.clients, 1);
    assert_int_equal(s.generation, 3);
    assert_true(s.peer_up);
    assert_string_equal(s.peer_host, "hostb");
    assert_string_equal(s.store_root, "/srv/in");
    assert_int_equal(s.store_free_bytes, 1000);
    assert_int_equal(s.lanes, 4);
    peer_close(&p);
}

/* The numbers of the jobs in a reply, as text. */
static const char *listed(struct peer *p, const char *params)
{
    static char out[8192];
    char line[256], **jobs;
    struct control_incoming in;
    struct xfer_error err = XFER_ERROR_INIT;
    size_t n, len = 0;

    snprintf(line, sizeof line, "{\"id\":1,\"method\":\"transfer.list\",\"params\":%s}", params);
    parse(ask(p, line), &in);
    assert_int_equal(in.kind, CONTROL_RESULT);
    assert_int_equal(control_job_list_parse(in.result, &jobs, &n, &err), 0);
    out[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        struct control_job job;

        assert_int_equal(control_job_parse(jobs[i], &job, &err), 0);
        len += (size_t)snprintf(out + len, sizeof out - len, "%s%lld", i ? " " : "",
                                (long long)job.job);
        control_job_free(&job);
        free(jobs[i]);
    }
    free(jobs);
    control_incoming_free(&in);
    return out;
}

static void list_tells_unfinished_jobs_then_the_last_finished_ones(void **state)
{
    struct peer p;
    char dest[16], params[64];

    (void)state;
    peer_connect(&p);
    rig.sender.room_max = 30;
    for (int i = 1; i <= 30; i++) {
        snprintf(dest, sizeof dest, "%d", i);
        submit(&p, dest);
    }
    settle();
    for (uint64_t job = 25; job > 0; job--)
        fake_end(&rig.sender, job, 0, NULL);
    rig.sender.room_max = 5;
    submit(&p, "x");
    submit(&p, "y");
    settle();
    assert_string_equal(listed(&p, "{}"),
                        "26 27 28 29 30 31 32 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20");
    assert_string_equal(listed(&p, "{\"limit\":9}"), "26 27 28 29 30 31 32 1 2");
    assert_string_equal(listed(&p, "{\"limit\":0}"), "");
    assert_string_equal(listed(&p, "{\"state\":\"running\"}"), "26 27 28 29 30");
    assert_string_equal(listed(&p, "{\"state\":\"queued\"}"), "31 32");
    assert_string_equal(listed(&p, "{\"state\":\"queued\",\"limit\":1}"), "32");
    assert_string_equal(listed(&p, "{\"state\":\"done\",\"limit\":3}"), "1 2 3");
    assert_string_equal(listed(&p, "{\"state\":\"failed\"}"), "");
    assert_string_equal(listed(&p, "{\"before\":28,\"limit\":4}"), "26 27 25 24");
    assert_string_equal(listed(&p, "{\"state\":\"done\",\"before\":4}"), "3 2 1");
    snprintf(params, sizeof params, "{\"user\":\"%u\",\"limit\":1}", (unsigned)geteuid());
    assert_string_equal(listed(&p, params), "26");
    assert_string_equal(listed(&p, "{\"user\":\"4294967294\"}"), "");
    assert_error(
        ask(&p, "{\"id\":1,\"method\":\"transfer.list\",\"params\":{\"user\":\"no such user\"}}"),
        XFER_INVALID_PARAMS);
    peer_close(&p);
}

static void list_knows_users_by_name(void **state)
{
    struct peer p;

    (void)state;
    if (geteuid() != 0)
        skip();
    peer_connect(&p);
    submit(&p, "x");
    assert_string_equal(listed(&p, "{\"user\":\"root\"}"), "1");
    peer_close(&p);
}

static void priority_is_honoured(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    rig.sender.room_max = 0;
    submit(&p, "x");
    assert_has(ask(&p, "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/"
                       "g\",\"priority\":5}}"),
               "\"priority\":5");
    rig.sender.room_max = 1;
    submit(&p, "y");
    settle();
    assert_int_equal(rig.sender.starts[0], 2);
    peer_close(&p);
}

/* ---- the end ---- */

static void on_stopped(void *user)
{
    (void)user;
    rig.stopped = true;
}

static void stop_tells_those_who_wait_and_ends_when_transfers_have(void **state)
{
    struct peer p, q, late;
    struct xfer_error stored = XFER_ERROR_INIT;

    (void)state;
    peer_connect(&p);
    peer_connect(&q);
    for (int i = 0; i < 3; i++) {
        char line[128];

        snprintf(line, sizeof line,
                 "{\"id\":%d,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/"
                 "%c\",\"wait\":true}}",
                 i, 'a' + i);
        peer_say(&p, line);
    }
    peer_say(&q, "{\"id\":1,\"method\":\"system.ping\"}");
    settle();
    assert_int_equal(rig.sender.active, 2);
    server_stop(rig.server, 1000, on_stopped, NULL);
    assert_error(peer_line(&q), XFER_STOPPING);
    assert_error(peer_line(&p), XFER_STOPPING);
    assert_false(rig.stopped);
    assert_error(ask(&q, "{\"id\":1,\"method\":\"system.hello\"}"), XFER_STOPPING);
    assert_int_equal(rig.sender.sends->why.code, XFER_STOPPING);
    fake_end(&rig.sender, 1, 0, NULL);
    assert_error(peer_line(&p), XFER_STOPPING);
    assert_false(rig.stopped);
    fake_end(&rig.sender, 2, 0, &stored);
    assert_state(peer_line(&p), JOB_DONE);
    settle();
    assert_true(rig.stopped);
    assert_int_equal(rig.sender.n_starts, 2);

    peer_connect(&late); /* the listening socket is there for the next one */
    settle();
    assert_silent(&late);
    peer_close(&p);
    peer_close(&q);
    peer_close(&late);
}

static void stop_gives_up_when_time_is_over(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    peer_say(
        &p,
        "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/f\",\"wait\":true}}");
    settle();
    server_stop(rig.server, 0, on_stopped, NULL);
    assert_error(peer_line(&p), XFER_STOPPING);
    settle();
    assert_true(rig.stopped);
    peer_close(&p);
}

static void stop_with_nothing_to_do_ends_at_once(void **state)
{
    (void)state;
    server_stop(rig.server, 1000, on_stopped, NULL);
    assert_false(rig.stopped);
    settle();
    assert_true(rig.stopped);
}

static void a_server_can_go_in_the_middle_of_everything(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    peer_say(&p, "{\"id\":1,\"method\":\"events.subscribe\"}");
    peer_say(
        &p,
        "[{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/f\",\"wait\":true}},"
        "{\"id\":2,\"method\":\"system.ping\"},{\"id\":2,\"method\":\"system.hello\"}]");
    peer_say(&p, "{\"id\":1,\"method\":\"transfer.wait\",\"params\":{\"job\":1,\"timeout\":100}}");
    settle();
    peer_say(
        &p,
        "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/f\",\"wait\":true}}");
    peer_say(&p, "{\"id\":1,\"method\":");
    turn();
    assert_int_equal(rig.sender.active, 1);
    peer_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hello_tells_who_answers),
        TEST(methods_are_listed_and_described),
        TEST(a_job_goes_from_queued_to_done),
        TEST(submit_with_wait_is_answered_at_the_end),
        TEST(a_failed_job_is_a_result_with_its_error),
        TEST(a_bad_destination_is_refused_before_any_effect),
        TEST(wait_is_answered_at_the_end_and_at_once_for_an_ended_job),
        TEST(wait_times_out_and_names_the_job),
        TEST(an_unknown_job_is_no_such_job),
        TEST(a_queued_job_is_cancelled_at_once),
        TEST(cancel_of_a_running_job_is_answered_when_it_has_ended),
        TEST(cancel_of_an_ended_job_changes_nothing),
        TEST(only_owner_and_administrators_cancel),
        TEST(configured_administrators_cancel_jobs_of_others),
        TEST(an_unknown_administrator_is_an_error_at_start),
        TEST(without_a_link_jobs_wait_and_say_for_whom),
        TEST(a_job_tells_which_job_it_waits_for),
        TEST(ping_is_answered_by_the_peer),
        TEST(an_answer_of_the_peer_finds_nobody_waiting),
        TEST(stats_count),
        TEST(list_tells_unfinished_jobs_then_the_last_finished_ones),
        TEST(list_knows_users_by_name),
        TEST(priority_is_honoured),
        TEST(stop_tells_those_who_wait_and_ends_when_transfers_have),
        TEST(stop_gives_up_when_time_is_over),
        TEST(stop_with_nothing_to_do_ends_at_once),
        TEST(a_server_can_go_in_the_middle_of_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
