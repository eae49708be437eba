/* SPDX-License-Identifier: MIT
 *
 * Settings that change while the control service runs, daemon.reload, and what is told of ends of
 * jobs for the hook.
 */
#include "tests/unit/server_rig.h"

static struct {
    int reloads;
    bool refuse;
    int ends;
    int64_t job;
    enum job_state state;
    char line[4096];
} t;

static int reload(void *user, struct xfer_error *err)
{
    (void)user;
    t.reloads++;
    return t.refuse ? error_set(err, XFER_STOPPING, "nobody is there") : 0;
}

static void ended(void *user, int64_t job, enum job_state state, const char *line)
{
    (void)user;
    t.ends++;
    t.job = job;
    t.state = state;
    snprintf(t.line, sizeof t.line, "%s", line);
}

static const struct server_errands errands = {.reload = reload, .ended = ended};

static int set_up(void **state)
{
    rig_set_up(state);
    memset(&t, 0, sizeof t);
    rig.errands = &errands;
    restart_server(&rig.link);
    return 0;
}

static void apply(void)
{
    server_apply_conf(rig.server, &rig.conf);
}

static bool connect_as(struct peer *p, uid_t uid)
{
    if (geteuid() != 0)
        return false;
    assert_int_equal(setegid(12345), 0);
    assert_int_equal(seteuid(uid), 0);
    peer_connect(p);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(setegid(0), 0);
    return true;
}

#define RELOAD "{\"id\":1,\"method\":\"daemon.reload\"}"

/* ---- daemon.reload ---- */

static void a_reload_is_answered_when_it_is_done(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    peer_say(&p, RELOAD);
    assert_silent(&p);
    assert_int_equal(t.reloads, 1);
    server_reloaded(rig.server, "queue.retries, log.level", "link.lanes", NULL);
    assert_has(peer_line(&p),
               "{\"changed\":[\"queue.retries\",\"log.level\"],\"restart\":[\"link.lanes\"]}");
    peer_say(&p, RELOAD);
    assert_silent(&p);
    server_reloaded(rig.server, "", "", NULL);
    assert_has(peer_line(&p), "{\"changed\":[],\"restart\":[]}");
    assert_int_equal(t.reloads, 2);
    peer_close(&p);
}

static void a_bad_file_is_the_error_of_the_reply(void **state)
{
    struct peer p;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    peer_connect(&p);
    peer_say(&p, RELOAD);
    assert_silent(&p);
    error_set(&err, XFER_CONFIG, "file:3: unknown key link.lines");
    server_reloaded(rig.server, "", "", &err);
    assert_error(peer_line(&p), XFER_CONFIG);
    peer_close(&p);
}

static void who_comes_in_the_middle_of_a_reload_gets_another(void **state)
{
    struct peer p, q;

    (void)state;
    peer_connect(&p);
    peer_connect(&q);
    peer_say(&p, RELOAD);
    settle();
    peer_say(&q, RELOAD);
    peer_say(&q, RELOAD);
    assert_silent(&q);
    assert_int_equal(t.reloads, 1);
    server_reloaded(rig.server, "log.level", "", NULL);
    assert_has(peer_line(&p), "log.level");
    assert_silent(&q);
    assert_int_equal(t.reloads, 2);
    server_reloaded(rig.server, "queue.retries", "", NULL);
    assert_has(peer_line(&q), "queue.retries");
    assert_has(peer_line(&q), "queue.retries");
    assert_int_equal(t.reloads, 2);
    peer_close(&p);
    peer_close(&q);
}

static void an_answer_that_nobody_asked_for_is_none(void **state)
{
    struct peer p;

    (void)state;
    server_reloaded(rig.server, "log.level", "", NULL);
    peer_connect(&p);
    peer_say(&p, RELOAD);
    assert_silent(&p);
    server_reloaded(rig.server, "queue.retries", "", NULL);
    assert_has(peer_line(&p), "queue.retries");
    peer_close(&p);
}

static void who_leaves_does_not_wait(void **state)
{
    struct peer p, q;

    (void)state;
    peer_connect(&p);
    peer_connect(&q);
    await_clients(&q, 2);
    peer_say(&p, RELOAD);
    settle();
    peer_close(&p);
    await_clients(&q, 1);
    server_reloaded(rig.server, "log.level", "", NULL);
    peer_say(&q, RELOAD);
    assert_silent(&q);
    assert_int_equal(t.reloads, 2);
    server_reloaded(rig.server, "queue.retries", "", NULL);
    assert_has(peer_line(&q), "queue.retries");
    peer_close(&q);
}

static void a_reload_that_cannot_be_asked_for_fails(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    t.refuse = true;
    assert_error(ask(&p, RELOAD), XFER_STOPPING);
    t.refuse = false;
    peer_say(&p, RELOAD);
    assert_silent(&p);
    server_reloaded(rig.server, "", "", NULL);
    assert_has(peer_line(&p), "changed");
    rig.errands = NULL;
    restart_server(&rig.link);
    peer_close(&p);
    peer_connect(&p);
    assert_error(ask(&p, RELOAD), XFER_INTERNAL);
    peer_close(&p);
}

static void note_stopped(void *user)
{
    (void)user;
    rig.stopped = true;
}

static void the_end_of_the_daemon_is_the_answer_to_a_reload(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    peer_say(&p, RELOAD);
    settle();
    peer_say(&p, RELOAD);
    settle();
    server_stop(rig.server, 1, note_stopped, NULL);
    assert_error(peer_line(&p), XFER_STOPPING);
    assert_error(peer_line(&p), XFER_STOPPING);
    server_reloaded(rig.server, "", "", NULL); /* it came too late */
    peer_close(&p);
}

static void only_administrators_reload(void **state)
{
    struct peer p;

    (void)state;
    if (!connect_as(&p, 12345))
        skip();
    assert_error(ask(&p, RELOAD), XFER_PERMISSION_DENIED);
    assert_int_equal(t.reloads, 0);
    peer_close(&p);
}

/* ---- settings ---- */

static void new_administrators_are_some_at_once_and_former_ones_are_none(void **state)
{
    struct peer p;

    (void)state;
    if (!connect_as(&p, 12345))
        skip();
    assert_error(ask(&p, "{\"id\":1,\"method\":\"queue.pause\"}"), XFER_PERMISSION_DENIED);
    strcpy(rig.conf.control_admins, "12345");
    apply();
    assert_has(ask(&p, "{\"id\":1,\"method\":\"queue.pause\"}"), "\"paused\":true");
    strcpy(rig.conf.control_admins, "12346");
    apply();
    assert_error(ask(&p, "{\"id\":1,\"method\":\"queue.resume\"}"), XFER_PERMISSION_DENIED);
    strcpy(rig.conf.control_admins, "@12345");
    apply();
    assert_has(ask(&p, "{\"id\":1,\"method\":\"queue.resume\"}"), "\"paused\":false");
    peer_close(&p);
}

static void administrators_who_are_unknown_change_nothing(void **state)
{
    struct peer p;

    (void)state;
    strcpy(rig.conf.control_admins, "12345");
    apply();
    strcpy(rig.conf.control_admins, "no-such-user-here");
    apply();
    if (!connect_as(&p, 12345))
        skip();
    assert_has(ask(&p, "{\"id\":1,\"method\":\"queue.resume\"}"), "\"paused\":false");
    peer_close(&p);
}

static int64_t retries_of(struct peer *p, int64_t id)
{
    struct control_job job;
    int64_t retries;

    parse_job(ask_job(p, "transfer.status", id), &job);
    retries = job.retries;
    control_job_free(&job);
    return retries;
}

static void retries_are_those_of_the_time_of_submission(void **state)
{
    struct peer p;

    (void)state;
    rig.sender.room_max = 0;
    rig.conf.queue_retries = 4;
    apply();
    peer_connect(&p);
    submit(&p, "x");
    rig.conf.queue_retries = 7;
    apply();
    submit(&p, "y");
    assert_int_equal(retries_of(&p, 1), 4);
    assert_int_equal(retries_of(&p, 2), 7);
    peer_close(&p);
}

static double delay_of(struct peer *p, int64_t id)
{
    struct control_job job;
    double delay;

    parse_job(ask_job(p, "transfer.status", id), &job);
    delay = job.not_before - clock_unix();
    control_job_free(&job);
    return delay;
}

static void delays_are_those_of_the_time_of_the_failure(void **state)
{
    struct peer p;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    rig.conf.queue_retries = 4;
    apply();
    peer_connect(&p);
    submit(&p, "x");
    submit(&p, "y");
    settle();
    error_set(&err, XFER_IO, "it broke");
    fake_end(&rig.sender, 1, 0, &err);
    rig.conf.queue_retry_delay = 100;
    rig.conf.queue_retry_delay_max = 1000;
    apply();
    fake_end(&rig.sender, 2, 0, &err);
    assert_true(delay_of(&p, 1) > 5e5);
    assert_true(delay_of(&p, 2) > 50 && delay_of(&p, 2) < 150);
    peer_close(&p);
}

static void the_history_is_handed_on(void **state)
{
    struct peer p;

    (void)state;
    rig.conf.queue_history = 17;
    rig.conf.queue_history_time = 3600;
    apply();
    assert_int_equal(fake_db.keep_jobs, 17);
    assert_true(fake_db.keep_seconds == 3600);
    peer_connect(&p);
    assert_has(ask(&p, "{\"id\":1,\"method\":\"system.hello\"}"), "\"jobs_finished_kept\":17");
    peer_close(&p);
}

/* ---- the hook ---- */

static void an_end_is_told_as_transfer_status_tells_it(void **state)
{
    struct peer p;
    char expected[sizeof t.line + 64];

    (void)state;
    strcpy(rig.conf.hook_command, "/bin/true");
    apply();
    peer_connect(&p);
    submit(&p, "x");
    settle();
    assert_int_equal(t.ends, 0);
    fake_end(&rig.sender, 1, 10, NULL);
    settle();
    assert_int_equal(t.ends, 1);
    assert_int_equal(t.job, 1);
    assert_int_equal(t.state, JOB_DONE);
    assert_int_equal(t.line[strlen(t.line) - 1], '\n');
    t.line[strlen(t.line) - 1] = '\0';
    snprintf(expected, sizeof expected, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":%s}", t.line);
    assert_string_equal(ask_job(&p, "transfer.status", 1), expected);
    peer_close(&p);
}

static void each_kind_of_end_is_told_when_it_is_recorded(void **state)
{
    struct peer p;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    strcpy(rig.conf.hook_command, "/bin/true");
    apply();
    peer_connect(&p);
    submit(&p, "x");
    submit(&p, "y");
    settle();
    error_set(&err, XFER_NO_SUCH_FILE, "it is gone");
    fake_db.hold = true;
    fake_end(&rig.sender, 1, 0, &err);
    settle();
    assert_int_equal(t.ends, 0);
    fake_db.hold = false;
    fake_db_commit();
    settle();
    assert_int_equal(t.ends, 1);
    assert_int_equal(t.state, JOB_FAILED);
    rig.sender.room_max = 1; /* y has it */
    submit(&p, "z");
    assert_state(ask_job(&p, "transfer.cancel", 3), JOB_CANCELLED);
    assert_int_equal(t.ends, 2);
    assert_int_equal(t.job, 3);
    assert_int_equal(t.state, JOB_CANCELLED);
    peer_close(&p);
}

static void without_a_hook_no_end_is_told(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    submit(&p, "x");
    settle();
    fake_end(&rig.sender, 1, 10, NULL);
    settle();
    assert_int_equal(t.ends, 0);
    peer_close(&p);
}

#undef TEST
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_reload_is_answered_when_it_is_done),
        TEST(a_bad_file_is_the_error_of_the_reply),
        TEST(who_comes_in_the_middle_of_a_reload_gets_another),
        TEST(an_answer_that_nobody_asked_for_is_none),
        TEST(who_leaves_does_not_wait),
        TEST(a_reload_that_cannot_be_asked_for_fails),
        TEST(the_end_of_the_daemon_is_the_answer_to_a_reload),
        TEST(only_administrators_reload),
        TEST(new_administrators_are_some_at_once_and_former_ones_are_none),
        TEST(administrators_who_are_unknown_change_nothing),
        TEST(retries_are_those_of_the_time_of_submission),
        TEST(delays_are_those_of_the_time_of_the_failure),
        TEST(the_history_is_handed_on),
        TEST(an_end_is_told_as_transfer_status_tells_it),
        TEST(each_kind_of_end_is_told_when_it_is_recorded),
        TEST(without_a_hook_no_end_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
