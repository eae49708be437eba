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
    assert_int_equal(hello.jobs_finished_kept, 100000);
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
                                          "transfer.retry", "events.subscribe"};
    struct peer p;

    (void)state;
    peer_connect(&p);
    for (size_t i = 0; i < 5; i++)
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
    assert_has(ask_job(&p, "transfer.status", 1), "\"cancelling\"");
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
    strcpy(rig.conf.control_admins, "root, 12345 @12346");
    restart_server(&rig.link);
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
    struct server_options options = {.loop = rig.loop,
                                     .conf = &rig.conf,
                                     .listen_fd = rig.listen_fd,
                                     .queue = rig.queue,
                                     .host = "h"};

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
    strcpy(rig.conf.peer_host, "hostb");
    restart_server(NULL);
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
    error_set(&err, XFER_NO_SUCH_FILE, "gone");
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
    assert_int_equal(s.attempts_started, 4);
    assert_int_equal(s.attempts_failed, 1);
    assert_int_equal(s.attempts_bytes, 100);
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
    assert_string_equal(listed(&p, "{\"state\":\"queued\",\"limit\":1,\"head\":true}"), "31");
    assert_string_equal(listed(&p, "{\"limit\":6,\"head\":true}"), "26 27 28 29 30 31");
    assert_string_equal(listed(&p, "{\"limit\":8,\"head\":true}"), "26 27 28 29 30 31 32 1");
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

/* ---- what outlives a restart ---- */

/* A job object as the reply to a submission with these parameters besides the source. */
static void submit_with(struct peer *p, const char *params, struct control_job *job)
{
    char line[512];

    snprintf(line, sizeof line,
             "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/f\",%s}}", params);
    parse_job(ask(p, line), job);
}

static enum xfer_code code_of(const char *line)
{
    struct control_incoming in;

    parse(line, &in);
    enum xfer_code code = in.kind == CONTROL_ERROR ? in.error.code : XFER_OK;
    control_incoming_free(&in);
    return code;
}

static void end_with(uint64_t job, enum xfer_code code)
{
    struct xfer_error err = XFER_ERROR_INIT;

    error_set(&err, code, "the fake says so");
    fake_end(&rig.sender, job, 0, &err);
    settle();
}

static void jobs_are_taken_up_again_without_anybody_asking(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    submit(&p, "x");
    submit(&p, "y");
    submit(&p, "z");
    settle();
    fake_end(&rig.sender, 1, 5, NULL);
    settle();
    peer_close(&p);
    restart_server(&rig.link);
    peer_connect(&p);
    assert_state(ask_job(&p, "transfer.status", 1), JOB_DONE);
    assert_state(ask_job(&p, "transfer.status", 2), JOB_RUNNING);
    assert_state(ask_job(&p, "transfer.status", 3), JOB_RUNNING);
    assert_int_equal(submit(&p, "w"), 4);
    peer_close(&p);
}

static void a_submission_is_answered_only_when_it_is_recorded(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    fake_db.hold = true;
    peer_say(&p, "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/f\"}}");
    assert_silent(&p);
    fake_db_commit();
    assert_state(peer_line(&p), JOB_QUEUED);
    peer_close(&p);
}

static void a_submission_that_cannot_be_recorded_is_an_error(void **state)
{
    struct peer p;
    struct control_incoming in;

    (void)state;
    peer_connect(&p);
    fake_db.no_more = XFER_NO_SPACE;
    parse(ask(&p, "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/f\"}}"), &in);
    assert_int_equal(in.kind, CONTROL_ERROR);
    assert_int_equal(in.error.code, XFER_NO_SPACE);
    assert_int_equal(in.error.side, XFER_SIDE_DAEMON);
    assert_int_equal(in.error_job, 0);
    control_incoming_free(&in);
    peer_close(&p);
}

static void nobody_hears_of_a_number_before_it_is_recorded(void **state)
{
    struct peer p, q;

    (void)state;
    peer_connect(&p);
    peer_connect(&q);
    fake_db.hold = true;
    peer_say(&p, "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/f\"}}");
    settle();
    peer_say(&q, "{\"id\":1,\"method\":\"transfer.cancel\",\"params\":{\"job\":1}}");
    assert_silent(&q);
    fake_db_commit();
    assert_state(peer_line(&p), JOB_QUEUED);
    fake_db.hold = false;
    settle();
    fake_db_commit();
    if (rig.sender.sends)
        fake_end(&rig.sender, 1, 0, NULL);
    assert_state(peer_line(&q), JOB_CANCELLED);
    peer_close(&p);
    peer_close(&q);
}

static void a_key_given_twice_returns_the_same_job(void **state)
{
    struct peer p;
    struct control_job job;

    (void)state;
    peer_connect(&p);
    submit_with(&p, "\"key\":\"k\",\"dest\":\"x\"", &job);
    assert_int_equal(job.job, 1);
    assert_false(job.existing);
    assert_string_equal(job.key, "k");
    control_job_free(&job);
    for (int i = 0; i < 2; i++) {
        submit_with(&p, "\"key\":\"k\",\"dest\":\"x\"", &job);
        assert_int_equal(job.job, 1);
        assert_true(job.existing);
        control_job_free(&job);
        peer_close(&p);
        restart_server(&rig.link);
        peer_connect(&p);
    }
    submit_with(&p, "\"key\":\"l\",\"dest\":\"x\"", &job);
    assert_int_equal(job.job, 2);
    control_job_free(&job);
    peer_close(&p);
}

static void a_key_with_wait_is_answered_at_the_end(void **state)
{
    struct peer p;
    struct control_job job;

    (void)state;
    peer_connect(&p);
    submit_with(&p, "\"key\":\"k\"", &job);
    control_job_free(&job);
    peer_say(&p, "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/"
                 "f\",\"key\":\"k\",\"wait\":true}}");
    assert_silent(&p);
    fake_end(&rig.sender, 1, 3, NULL);
    parse_job(peer_line(&p), &job);
    assert_int_equal(job.job, 1);
    assert_int_equal(job.state, JOB_DONE);
    assert_true(job.existing);
    control_job_free(&job);
    peer_close(&p);
}

static void a_key_with_another_request_is_a_conflict(void **state)
{
    static const char *const others[] = {"\"dest\":\"y\"", "\"priority\":1", "\"retries\":7",
                                         "\"sync\":\"none\"", "\"overwrite\":\"never\""};
    struct peer p;
    struct control_job job;
    struct control_incoming in;
    char line[256];

    (void)state;
    peer_connect(&p);
    submit_with(&p, "\"key\":\"k\"", &job);
    control_job_free(&job);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        snprintf(line, sizeof line,
                 "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/f\",\"key\":"
                 "\"k\",%s}}",
                 others[i]);
        parse(ask(&p, line), &in);
        assert_int_equal(in.kind, CONTROL_ERROR);
        assert_int_equal(in.error.code, XFER_KEY_CONFLICT);
        assert_int_equal(in.error_job, 1);
        control_incoming_free(&in);
    }
    peer_close(&p);
}

/* ---- another attempt ---- */

static void a_job_that_waits_for_its_next_attempt_tells_which_and_why(void **state)
{
    struct peer p;
    struct control_job job;

    (void)state;
    peer_connect(&p);
    submit_with(&p, "\"retries\":3", &job);
    control_job_free(&job);
    settle();
    end_with(1, XFER_NO_SPACE);
    parse_job(ask_job(&p, "transfer.status", 1), &job);
    assert_int_equal(job.state, JOB_QUEUED);
    assert_has(job.reason, "waiting for its next attempt, 2 of 4, at ");
    assert_has(job.reason, "the fake says so");
    assert_int_equal(job.error->code, XFER_NO_SPACE);
    assert_true(job.not_before > job.submitted_at);
    assert_int_equal(job.retries, 3);
    control_job_free(&job);
    peer_close(&p);
}

static void retries_are_as_configured_unless_given(void **state)
{
    struct peer p;
    struct control_job job;

    (void)state;
    rig.conf.queue_retries = 5;
    restart_server(&rig.link);
    peer_connect(&p);
    submit_with(&p, "\"dest\":\"a\"", &job);
    assert_int_equal(job.retries, 5);
    control_job_free(&job);
    submit_with(&p, "\"dest\":\"b\",\"retries\":0", &job);
    assert_int_equal(job.retries, 0);
    control_job_free(&job);
    peer_close(&p);
}

static void retry_ends_the_waiting(void **state)
{
    struct peer p;
    struct control_job job;

    (void)state;
    peer_connect(&p);
    submit_with(&p, "\"retries\":3", &job);
    control_job_free(&job);
    settle();
    end_with(1, XFER_NO_SPACE);
    assert_int_equal(code_of(ask_job(&p, "transfer.retry", 1)), XFER_OK);
    settle();
    assert_state(ask_job(&p, "transfer.status", 1), JOB_RUNNING);
    assert_int_equal(rig.sender.n_starts, 2);
    peer_close(&p);
}

static void retry_starts_a_failed_job_again_under_its_number(void **state)
{
    struct peer p;
    struct control_job job;

    (void)state;
    peer_connect(&p);
    submit(&p, "x");
    settle();
    end_with(1, XFER_NO_SUCH_FILE);
    rig.sender.room_max = 0;
    parse_job(ask_job(&p, "transfer.retry", 1), &job);
    assert_int_equal(job.job, 1);
    assert_int_equal(job.state, JOB_QUEUED);
    assert_null(job.error);
    assert_true(job.finished_at == 0);
    control_job_free(&job);
    assert_state(ask_job(&p, "transfer.retry", 1), JOB_QUEUED);
    rig.sender.room_max = 1;
    peer_say(&p, "{\"id\":1,\"method\":\"transfer.wait\",\"params\":{\"job\":1}}");
    settle();
    restart_server(&rig.link);
    settle();
    assert_null(peer_line(&p));
    peer_close(&p);
    peer_connect(&p);
    assert_state(ask_job(&p, "transfer.status", 1), JOB_RUNNING);
    fake_end(&rig.sender, 1, 1, NULL);
    assert_state(ask_job(&p, "transfer.wait", 1), JOB_DONE);
    peer_close(&p);
}

static void retry_of_a_done_job_is_refused(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    submit(&p, "x");
    settle();
    fake_end(&rig.sender, 1, 0, NULL);
    settle();
    assert_error(ask_job(&p, "transfer.retry", 1), XFER_INVALID_PARAMS);
    peer_close(&p);
}

static void retry_of_a_job_whose_end_is_being_recorded_comes_after_it(void **state)
{
    struct peer p, q;

    (void)state;
    peer_connect(&p);
    peer_connect(&q);
    submit(&p, "x");
    settle();
    fake_db.hold = true;
    peer_say(&q, "{\"id\":1,\"method\":\"transfer.wait\",\"params\":{\"job\":1}}");
    settle();
    end_with(1, XFER_NO_SUCH_FILE);
    peer_say(&p, "{\"id\":1,\"method\":\"transfer.retry\",\"params\":{\"job\":1}}");
    assert_silent(&p);
    fake_db.hold = false;
    fake_db_commit();
    assert_state(peer_line(&q), JOB_FAILED);
    assert_state(peer_line(&p), JOB_QUEUED);
    peer_close(&p);
    peer_close(&q);
}

static void cancel_right_after_retry_cancels(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    submit(&p, "x");
    settle();
    end_with(1, XFER_NO_SUCH_FILE);
    rig.sender.room_max = 0;
    fake_db.hold = true;
    peer_say(&p, "{\"id\":1,\"method\":\"transfer.retry\",\"params\":{\"job\":1}}");
    peer_say(&p, "{\"id\":1,\"method\":\"transfer.cancel\",\"params\":{\"job\":1}}");
    assert_silent(&p);
    fake_db.hold = false;
    fake_db_commit();
    assert_state(peer_line(&p), JOB_QUEUED);
    assert_state(peer_line(&p), JOB_CANCELLED);
    peer_close(&p);
}

static void only_owner_and_administrators_retry(void **state)
{
    struct peer owner, other;

    (void)state;
    if (!connect_as(&owner, 12345, 12345))
        skip();
    connect_as(&other, 12346, 12346);
    submit(&owner, "x");
    settle();
    end_with(1, XFER_NO_SUCH_FILE);
    assert_error(ask_job(&other, "transfer.retry", 1), XFER_PERMISSION_DENIED);
    assert_state(ask_job(&owner, "transfer.retry", 1), JOB_QUEUED);
    peer_close(&owner);
    peer_close(&other);
}

static void the_receiver_is_told_what_is_not_needed_any_more(void **state)
{
    const uint64_t held[] = {1, 2, 3, 99};
    struct peer p;

    (void)state;
    peer_connect(&p);
    submit(&p, "x");
    submit(&p, "y");
    submit(&p, "z");
    settle();
    fake_end(&rig.sender, 1, 0, NULL);
    settle();
    assert_int_equal(rig.link.n_forgotten, 0);
    end_with(2, XFER_NO_SUCH_FILE);
    assert_int_equal(rig.link.n_forgotten, 1);
    assert_int_equal(rig.link.forgotten[0], 2);
    rig.link.n_forgotten = 0;
    server_partials(rig.server, held, 4);
    const uint64_t expected[] = {1, 2, 99};
    assert_int_equal(rig.link.n_forgotten, 3);
    assert_memory_equal(rig.link.forgotten, expected, sizeof expected);
    peer_close(&p);
}

/* ---- limits ---- */

static void limits_of(const char *line, struct control_limits *limits)
{
    struct control_incoming in;
    struct xfer_error err = XFER_ERROR_INIT;

    parse(line, &in);
    assert_int_equal(in.kind, CONTROL_RESULT);
    assert_int_equal(control_limits_parse(in.result, limits, &err), 0);
    control_incoming_free(&in);
}

static void limits_are_told_and_passed_on(void **state)
{
    struct control_limits limits;
    struct peer p;

    (void)state;
    rig.conf.limits_bandwidth = 1000;
    rig.conf.limits_user_jobs = 5;
    rig.conf.limits_user_bytes = 6;
    rig.conf.limits_file_size = 7;
    restart_server(&rig.link);
    assert_int_equal(rig.sender.bandwidth, 1000);
    assert_int_equal(rig.sender.file_size, 7);
    peer_connect(&p);
    limits_of(ask(&p, "{\"id\":1,\"method\":\"limits.get\"}"), &limits);
    assert_int_equal(limits.bandwidth, 1000);
    assert_int_equal(limits.user_jobs, 5);
    assert_int_equal(limits.user_bytes, 6);
    assert_int_equal(limits.file_size, 7);
    peer_close(&p);
}

static const char set_limit[] =
    "{\"id\":1,\"method\":\"limits.set\",\"params\":{\"bandwidth\":500}}";

static void a_bandwidth_is_set_when_it_is_recorded_and_lifted_if_it_cannot_be(void **state)
{
    struct control_limits limits;
    struct peer p;

    (void)state;
    peer_connect(&p);
    limits_of(ask(&p, set_limit), &limits);
    assert_int_equal(limits.bandwidth, 500);
    assert_int_equal(rig.sender.bandwidth, 500);
    fake_db.no_more = XFER_IO;
    assert_error(ask(&p, "{\"id\":1,\"method\":\"limits.set\",\"params\":{\"bandwidth\":0}}"),
                 XFER_IO);
    assert_int_equal(rig.sender.bandwidth, 500);
    peer_close(&p);
}

static void a_new_configuration_ends_what_was_set_only_if_it_says_something_else(void **state)
{
    struct control_limits limits;
    struct peer p;

    (void)state;
    peer_connect(&p);
    limits_of(ask(&p, set_limit), &limits);
    rig.conf.limits_file_size = 9;
    server_apply_conf(rig.server, &rig.conf);
    assert_int_equal(rig.sender.bandwidth, 500);
    assert_int_equal(rig.sender.file_size, 9);
    rig.conf.limits_bandwidth = 2000;
    server_apply_conf(rig.server, &rig.conf);
    assert_int_equal(rig.sender.bandwidth, 2000);
    limits_of(ask(&p, "{\"id\":1,\"method\":\"limits.get\"}"), &limits);
    assert_int_equal(limits.bandwidth, 2000);
    peer_close(&p);
}

static void a_rate_of_its_own_goes_with_the_job(void **state)
{
    struct control_job job;
    struct peer p;

    (void)state;
    peer_connect(&p);
    parse_job(ask(&p, "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/data/f\","
                      "\"bandwidth\":300,\"key\":\"k\"}}"),
              &job);
    assert_int_equal(job.bandwidth, 300);
    control_job_free(&job);
    settle();
    assert_int_equal(fake_find(&rig.sender, 1)->bandwidth, 300);
    assert_error(ask(&p,
                     "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/data/f\","
                     "\"key\":\"k\"}}"),
                 XFER_KEY_CONFLICT);
    peer_close(&p);
}

/* ---- pause and drain ---- */

static void queue_of(const char *line, struct control_queue *queue)
{
    struct control_incoming in;
    struct xfer_error err = XFER_ERROR_INIT;

    parse(line, &in);
    assert_int_equal(in.kind, CONTROL_RESULT);
    assert_int_equal(control_queue_parse(in.result, queue, &err), 0);
    control_incoming_free(&in);
}

static void a_paused_queue_accepts_and_starts_nothing_over_a_restart(void **state)
{
    static struct control_stats s;
    struct peer p;
    struct control_queue queue;
    struct control_job job;

    (void)state;
    peer_connect(&p);
    submit(&p, "x");
    settle();
    queue_of(ask(&p, "{\"id\":1,\"method\":\"queue.pause\"}"), &queue);
    assert_true(queue.paused && !queue.draining);
    assert_int_equal(queue.running, 1);
    submit(&p, "y");
    fake_end(&rig.sender, 1, 0, NULL);
    settle();
    peer_close(&p);
    restart_server(&rig.link);
    peer_connect(&p);
    parse_job(ask_job(&p, "transfer.status", 2), &job);
    assert_int_equal(job.state, JOB_QUEUED);
    assert_string_equal(job.reason, "the queue is paused");
    control_job_free(&job);
    stats(&p, &s);
    assert_true(s.paused && !s.draining);
    queue_of(ask(&p, "{\"id\":1,\"method\":\"queue.resume\"}"), &queue);
    assert_false(queue.paused);
    settle();
    assert_state(ask_job(&p, "transfer.status", 2), JOB_RUNNING);
    peer_close(&p);
}

static void a_pause_that_cannot_be_recorded_is_an_error_and_none(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    fake_db.no_more = XFER_IO;
    assert_error(ask(&p, "{\"id\":1,\"method\":\"queue.pause\"}"), XFER_IO);
    fake_db.no_more = XFER_OK;
    submit(&p, "x");
    settle();
    assert_state(ask_job(&p, "transfer.status", 1), JOB_RUNNING);
    peer_close(&p);
}

static void a_drain_refuses_and_is_answered_when_no_job_is_left(void **state)
{
    struct peer p, q;
    struct control_queue queue;

    (void)state;
    peer_connect(&p);
    peer_connect(&q);
    submit(&p, "x");
    settle();
    peer_say(&q, "{\"id\":1,\"method\":\"queue.drain\"}");
    assert_silent(&q);
    assert_error(
        ask(&p, "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/f\"}}"),
        XFER_DRAINING);
    fake_end(&rig.sender, 1, 0, NULL);
    queue_of(peer_line(&q), &queue);
    assert_true(queue.draining);
    assert_int_equal(queue.queued + queue.running, 0);
    queue_of(ask(&q, "{\"id\":1,\"method\":\"queue.drain\"}"), &queue);
    queue_of(ask(&q, "{\"id\":1,\"method\":\"queue.resume\"}"), &queue);
    assert_false(queue.draining);
    submit(&p, "y");
    peer_close(&p);
    peer_close(&q);
}

static void a_drain_tells_of_what_was_accepted_before(void **state)
{
    struct peer p;
    struct control_job job;

    (void)state;
    rig.sender.room_max = 0;
    peer_connect(&p);
    submit_with(&p, "\"key\":\"k\"", &job);
    control_job_free(&job);
    peer_say(&p, "{\"jsonrpc\":\"2.0\",\"method\":\"queue.drain\"}");
    submit_with(&p, "\"key\":\"k\"", &job);
    assert_int_equal(job.job, 1);
    assert_true(job.existing);
    control_job_free(&job);
    assert_error(ask(&p, "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/"
                         "g\",\"key\":\"k\"}}"),
                 XFER_KEY_CONFLICT);
    assert_error(ask(&p, "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/"
                         "g\",\"key\":\"new\"}}"),
                 XFER_DRAINING);
    peer_close(&p);
}

static void resume_ends_a_drain_that_is_waited_for(void **state)
{
    struct peer p, q;
    struct control_queue queue;

    (void)state;
    peer_connect(&p);
    peer_connect(&q);
    submit(&p, "x");
    peer_say(&q, "{\"id\":1,\"method\":\"queue.drain\"}");
    assert_silent(&q);
    queue_of(ask(&p, "{\"id\":1,\"method\":\"queue.resume\"}"), &queue);
    queue_of(peer_line(&q), &queue);
    assert_false(queue.draining);
    assert_int_equal(queue.running, 1);
    peer_close(&p);
    peer_close(&q);
}

static void only_administrators_pause_resume_and_drain(void **state)
{
    struct peer p;

    (void)state;
    if (!connect_as(&p, 12345, 12345))
        skip();
    assert_error(ask(&p, "{\"id\":1,\"method\":\"queue.pause\"}"), XFER_PERMISSION_DENIED);
    assert_error(ask(&p, "{\"id\":1,\"method\":\"queue.resume\"}"), XFER_PERMISSION_DENIED);
    assert_error(ask(&p, "{\"id\":1,\"method\":\"queue.drain\"}"), XFER_PERMISSION_DENIED);
    submit(&p, "x");
    peer_close(&p);
}

/* ---- jobs that are not in memory ---- */

/* So many jobs that are done, with numbers from 1, recorded before the start. */
static void record_done(int64_t n)
{
    for (int64_t i = 1; i <= n; i++) {
        struct queue_row *row = queue_row_create();

        row->id = row->position = row->ended = i;
        row->state = i % 10 ? JOB_DONE : JOB_FAILED;
        row->owner = geteuid();
        row->source = strdup("/s");
        row->dest = strdup("d");
        row->attempts = 1;
        row->submitted_at = row->started_at = row->finished_at = 1;
        row->error_code = i % 10 ? XFER_OK : XFER_NO_SUCH_FILE;
        fake_set(i, row);
    }
    fake_db.last_id = fake_db.last_ended = n;
}

#define OLD_JOBS (3 * XFER_JOBS_LOADED)

static void restart_with_old_jobs(void)
{
    end_server();
    record_done(OLD_JOBS);
    start_server(&rig.link);
}

static void an_old_job_is_told_of(void **state)
{
    static const char *const methods[] = {"transfer.status", "transfer.wait", "transfer.cancel"};
    struct peer p;

    (void)state;
    restart_with_old_jobs();
    peer_connect(&p);
    for (int64_t i = 0; i < 3; i++)
        assert_state(ask_job(&p, methods[i], i + 1), JOB_DONE);
    assert_int_equal(fake_db.fetches, 3);
    assert_has(ask_job(&p, "events.subscribe", 9), "true");
    assert_has(peer_line(&p), "\"done\"");
    assert_state(ask_job(&p, "transfer.status", OLD_JOBS), JOB_FAILED);
    assert_int_equal(fake_db.fetches, 4);
    peer_close(&p);
}

static void an_old_job_can_be_tried_again(void **state)
{
    struct peer p;

    (void)state;
    restart_with_old_jobs();
    peer_connect(&p);
    assert_state(ask_job(&p, "transfer.retry", 10), JOB_QUEUED);
    settle();
    /* nobody remembers whether one of its attempts was cut off after it had stored the file */
    assert_true(rig.sender.sends->again);
    fake_end(&rig.sender, 10, 0, NULL);
    assert_state(ask_job(&p, "transfer.wait", 10), JOB_DONE);
    peer_close(&p);
}

static void a_pruned_job_is_forgotten(void **state)
{
    struct peer p;

    (void)state;
    restart_with_old_jobs();
    fake_db_remove(5);
    peer_connect(&p);
    assert_error(ask_job(&p, "transfer.status", 5), XFER_JOB_FORGOTTEN);
    assert_error(ask_job(&p, "transfer.status", OLD_JOBS + 1), XFER_NO_SUCH_JOB);
    peer_close(&p);
}

static void who_asks_and_goes_is_not_waited_for(void **state)
{
    struct peer p;

    (void)state;
    restart_with_old_jobs();
    fake_db.hold = true;
    peer_connect(&p);
    peer_say(&p, "{\"id\":1,\"method\":\"transfer.status\",\"params\":{\"job\":1}}");
    peer_say(&p, "{\"id\":1,\"method\":\"transfer.list\",\"params\":{\"before\":7}}");
    peer_say(&p, "{\"id\":1,\"method\":\"queue.drain\"}");
    settle();
    peer_close(&p);
    settle();
    fake_db_commit();
    peer_connect(&p);
    fake_db.hold = false;
    assert_state(ask_job(&p, "transfer.status", 1), JOB_DONE);
    peer_close(&p);
}

static void old_jobs_are_listed_from_the_database(void **state)
{
    struct peer p;

    (void)state;
    restart_with_old_jobs();
    peer_connect(&p);
    assert_string_equal(listed(&p, "{\"limit\":3}"), "3000 2999 2998");
    assert_int_equal(fake_db.lists, 0);
    assert_string_equal(listed(&p, "{\"before\":14,\"limit\":4}"), "13 12 11 10");
    assert_int_equal(fake_db.lists, 1);
    assert_string_equal(listed(&p, "{\"before\":31,\"state\":\"failed\",\"limit\":9}"), "30 20 10");
    ask_job(&p, "transfer.status", 12); /* one that is in memory all the same */
    assert_string_equal(listed(&p, "{\"before\":14,\"limit\":4}"), "13 12 11 10");
    assert_state(ask_job(&p, "transfer.retry", 10), JOB_QUEUED);
    assert_string_equal(listed(&p, "{\"before\":14,\"limit\":4}"), "10 13 12 11");
    settle();
    fake_end(&rig.sender, 10, 0, NULL);
    settle();
    assert_string_equal(listed(&p, "{\"limit\":2}"), "10 3000");
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

static void stop_waits_for_what_is_being_recorded(void **state)
{
    struct peer p, q;

    (void)state;
    peer_connect(&p);
    peer_connect(&q);
    rig.sender.room_max = 0;
    fake_db.hold = true;
    peer_say(&p, "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/f\"}}");
    peer_say(&q, "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/g\",\"wait\":"
                 "true}}");
    settle();
    server_stop(rig.server, 1000, on_stopped, NULL);
    settle();
    assert_false(rig.stopped);
    assert_silent(&p);
    fake_db_commit();
    assert_state(peer_line(&p), JOB_QUEUED);
    assert_error(peer_line(&q), XFER_STOPPING);
    settle();
    assert_true(rig.stopped);
    peer_close(&p);
    peer_close(&q);
}

static void what_is_not_recorded_when_stopping_ends_was_not_accepted(void **state)
{
    struct peer p;
    struct control_incoming in;

    (void)state;
    peer_connect(&p);
    fake_db.hold = true;
    peer_say(&p, "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/f\"}}");
    settle();
    server_stop(rig.server, 0, on_stopped, NULL);
    parse(peer_line(&p), &in);
    assert_int_equal(in.error.code, XFER_STOPPING);
    assert_int_equal(in.error_job, 0);
    control_incoming_free(&in);
    settle();
    assert_true(rig.stopped);
    peer_close(&p);
}

static void stop_tells_those_who_ask_the_database(void **state)
{
    struct peer p, q;

    (void)state;
    restart_with_old_jobs();
    fake_db.hold = true;
    peer_connect(&p);
    peer_connect(&q);
    peer_say(&p, "{\"id\":1,\"method\":\"transfer.status\",\"params\":{\"job\":1}}");
    peer_say(&q, "{\"id\":1,\"method\":\"transfer.list\",\"params\":{\"before\":7}}");
    settle();
    server_stop(rig.server, 1000, on_stopped, NULL);
    assert_error(peer_line(&p), XFER_STOPPING);
    assert_error(peer_line(&q), XFER_STOPPING);
    peer_close(&p);
    peer_close(&q);
}

static void what_ran_when_stopped_is_recorded_as_waiting_and_not_as_failed(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    submit(&p, "x");
    settle();
    server_stop(rig.server, 1000, on_stopped, NULL);
    assert_true(rig.sender.sends->keep);
    fake_end(&rig.sender, 1, 0, NULL);
    settle();
    assert_true(rig.stopped);
    assert_int_equal(fake_row(1)->state, JOB_QUEUED);
    assert_int_equal(fake_row(1)->failures, 0);
    assert_int_equal(fake_row(1)->attempts, 1);
    assert_true(fake_row(1)->not_before == 0);
    peer_close(&p);
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
        TEST(jobs_are_taken_up_again_without_anybody_asking),
        TEST(a_submission_is_answered_only_when_it_is_recorded),
        TEST(a_submission_that_cannot_be_recorded_is_an_error),
        TEST(nobody_hears_of_a_number_before_it_is_recorded),
        TEST(a_key_given_twice_returns_the_same_job),
        TEST(a_key_with_wait_is_answered_at_the_end),
        TEST(a_key_with_another_request_is_a_conflict),
        TEST(a_job_that_waits_for_its_next_attempt_tells_which_and_why),
        TEST(retries_are_as_configured_unless_given),
        TEST(retry_ends_the_waiting),
        TEST(retry_starts_a_failed_job_again_under_its_number),
        TEST(retry_of_a_done_job_is_refused),
        TEST(retry_of_a_job_whose_end_is_being_recorded_comes_after_it),
        TEST(cancel_right_after_retry_cancels),
        TEST(only_owner_and_administrators_retry),
        TEST(the_receiver_is_told_what_is_not_needed_any_more),
        TEST(limits_are_told_and_passed_on),
        TEST(a_bandwidth_is_set_when_it_is_recorded_and_lifted_if_it_cannot_be),
        TEST(a_new_configuration_ends_what_was_set_only_if_it_says_something_else),
        TEST(a_rate_of_its_own_goes_with_the_job),
        TEST(a_paused_queue_accepts_and_starts_nothing_over_a_restart),
        TEST(a_pause_that_cannot_be_recorded_is_an_error_and_none),
        TEST(a_drain_refuses_and_is_answered_when_no_job_is_left),
        TEST(a_drain_tells_of_what_was_accepted_before),
        TEST(resume_ends_a_drain_that_is_waited_for),
        TEST(only_administrators_pause_resume_and_drain),
        TEST(an_old_job_is_told_of),
        TEST(an_old_job_can_be_tried_again),
        TEST(a_pruned_job_is_forgotten),
        TEST(who_asks_and_goes_is_not_waited_for),
        TEST(old_jobs_are_listed_from_the_database),
        TEST(stop_waits_for_what_is_being_recorded),
        TEST(what_is_not_recorded_when_stopping_ends_was_not_accepted),
        TEST(stop_tells_those_who_ask_the_database),
        TEST(what_ran_when_stopped_is_recorded_as_waiting_and_not_as_failed),
        TEST(a_server_can_go_in_the_middle_of_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
