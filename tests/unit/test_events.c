/* SPDX-License-Identifier: MIT
 *
 * Subscriptions, over the socket.
 */
#include "tests/unit/server_rig.h"

#define SUBSCRIBE "{\"id\":1,\"method\":\"events.subscribe\"}"

/* The next line is an event. */
static struct control_event next_event(struct peer *p)
{
    struct control_incoming in;

    parse(peer_line(p), &in);
    assert_int_equal(in.kind, CONTROL_EVENT);
    struct control_event ev = in.event;
    control_incoming_free(&in);
    return ev;
}

static void subscribe(struct peer *p)
{
    peer_connect(p);
    assert_has(ask(p, SUBSCRIBE), "\"subscribed\":true");
}

static void a_subscriber_follows_a_job_to_its_end(void **state)
{
    struct peer p, q;
    struct control_event ev;
    int64_t seq;

    (void)state;
    subscribe(&p);
    assert_silent(&p);
    peer_connect(&q);
    submit(&q, "x");
    ev = next_event(&p);
    assert_int_equal(ev.job, 1);
    assert_int_equal(ev.state, JOB_QUEUED);
    assert_int_equal(ev.files_total, 1);
    seq = ev.seq;
    ev = next_event(&p);
    assert_int_equal(ev.state, JOB_RUNNING);
    assert_string_equal(ev.phase, "opening");
    assert_true(ev.seq > seq);
    fake_progress(&rig.sender, 1, 3, 9);
    ev = next_event(&p);
    assert_int_equal(ev.bytes_done, 3);
    assert_int_equal(ev.bytes_total, 9);
    assert_string_equal(ev.phase, "sending");
    fake_end(&rig.sender, 1, 9, NULL);
    ev = next_event(&p);
    assert_int_equal(ev.state, JOB_DONE);
    assert_int_equal(ev.files_done, 1);
    assert_int_equal(ev.bytes_done, 9);
    assert_silent(&p);
    peer_close(&p);
    peer_close(&q);
}

static void a_snapshot_of_unfinished_jobs_comes_first(void **state)
{
    struct peer p, q;

    (void)state;
    peer_connect(&q);
    submit(&q, "a");
    submit(&q, "b");
    submit(&q, "c");
    settle();
    fake_end(&rig.sender, 1, 0, NULL);
    settle();
    subscribe(&p);
    bool seen[4] = {false};
    for (int i = 0; i < 2; i++) {
        struct control_event ev = next_event(&p);

        assert_true(ev.job >= 2 && ev.job <= 3 && !seen[ev.job]);
        assert_int_equal(ev.state, JOB_RUNNING);
        seen[ev.job] = true;
    }
    assert_silent(&p);
    peer_close(&p);
    peer_close(&q);
}

static void one_job_is_followed_alone(void **state)
{
    struct peer p;
    struct control_event ev;

    (void)state;
    peer_connect(&p);
    submit(&p, "a");
    submit(&p, "b");
    settle();
    assert_has(ask_job(&p, "events.subscribe", 2), "true");
    ev = next_event(&p);
    assert_int_equal(ev.job, 2);
    assert_int_equal(ev.state, JOB_RUNNING);
    fake_end(&rig.sender, 1, 0, NULL);
    assert_silent(&p);
    fake_end(&rig.sender, 2, 0, NULL);
    ev = next_event(&p);
    assert_int_equal(ev.job, 2);
    assert_int_equal(ev.state, JOB_DONE);
    peer_close(&p);
}

static void a_finished_job_gives_one_event(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    submit(&p, "a");
    settle();
    fake_end(&rig.sender, 1, 0, NULL);
    settle();
    assert_has(ask_job(&p, "events.subscribe", 1), "true");
    assert_int_equal(next_event(&p).state, JOB_DONE);
    assert_silent(&p);
    assert_has(ask_job(&p, "events.subscribe", 1), "true");
    assert_int_equal(next_event(&p).state, JOB_DONE);
    peer_close(&p);
}

static void several_jobs_can_be_followed_and_then_all(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    submit(&p, "a");
    submit(&p, "b");
    settle();
    ask_job(&p, "events.subscribe", 1);
    next_event(&p);
    ask_job(&p, "events.subscribe", 2);
    next_event(&p);
    assert_has(ask(&p, SUBSCRIBE), "true");
    next_event(&p);
    next_event(&p);
    fake_end(&rig.sender, 1, 0, NULL);
    assert_int_equal(next_event(&p).job, 1);
    assert_silent(&p);
    ask_job(&p, "events.subscribe", 1);
    assert_int_equal(next_event(&p).job, 1);
    assert_silent(&p);
    peer_close(&p);
}

static void nothing_comes_after_unsubscribing(void **state)
{
    struct peer p;

    (void)state;
    subscribe(&p);
    submit(&p, "a"); /* its reply stands before its event */
    next_event(&p);
    next_event(&p);
    assert_has(ask(&p, "{\"id\":1,\"method\":\"events.unsubscribe\"}"), "\"subscribed\":false");
    fake_progress(&rig.sender, 1, 1, 2);
    fake_end(&rig.sender, 1, 2, NULL);
    assert_silent(&p);
    assert_has(ask(&p, "{\"id\":1,\"method\":\"events.unsubscribe\"}"), "\"subscribed\":false");
    peer_close(&p);
}

static void many_changes_become_few_events_and_the_last_is_the_end(void **state)
{
    struct peer p;
    int n = 0;

    (void)state;
    subscribe(&p);
    submit(&p, "a");
    settle();
    for (int i = 0; i < 5000; i++) {
        fake_progress(&rig.sender, 1, i, 5000);
        if (i % 100 == 0)
            turn();
    }
    fake_end(&rig.sender, 1, 5000, NULL);
    struct control_event ev;
    double begin = ev_time();
    do {
        ev = next_event(&p);
        n++;
    } while (ev.state != JOB_DONE);
    /* however slow this machine is: a few a second */
    assert_true(n <= 3 + (int)((ev_time() - begin + 5) * XFER_EVENTS_PER_SECOND));
    assert_int_equal(ev.bytes_done, 5000);
    assert_silent(&p);
    peer_close(&p);
}

static void half_closed_subscribers_get_their_snapshot(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    submit(&p, "a");
    peer_say(&p, SUBSCRIBE);
    shutdown(p.fd, SHUT_WR);
    assert_has(peer_line(&p), "subscribed");
    next_event(&p);
    assert_null(peer_line(&p));
    peer_close(&p);
}

/* So many jobs, each ended at once. */
static void run_jobs(struct peer *p, int n)
{
    const char *line =
        "{\"jsonrpc\":\"2.0\",\"method\":\"transfer.submit\",\"params\":{\"source\":\"/f\"}}\n";

    for (int i = 0; i < n; i++) {
        peer_send(p, line, strlen(line));
        for (int k = 0; k < 10000 && !rig.sender.sends; k++)
            turn();
        fake_end(&rig.sender, rig.sender.sends->job, 1, NULL);
        turn();
    }
    settle();
}

static void a_slow_reader_misses_events_but_no_end_and_is_told(void **state)
{
    struct peer slow, fast;
    const int n = 4000;
    int ends = 0, missed = 0;
    int64_t seq = 0;

    (void)state;
    subscribe(&slow);
    peer_connect(&fast);
    run_jobs(&fast, n);
    while (ends < n || missed == 0) {
        struct control_incoming in;

        parse(peer_line(&slow), &in);
        if (in.kind == CONTROL_EVENTS_LOST) {
            missed += (int)in.lost;
        } else {
            assert_int_equal(in.kind, CONTROL_EVENT);
            assert_true(in.event.seq > seq);
            seq = in.event.seq;
            ends += in.event.state == JOB_DONE;
        }
        control_incoming_free(&in);
    }
    assert_int_equal(ends, n);
    assert_true(missed > 0);
    assert_silent(&slow);
    run_jobs(&fast, 1);
    next_event(&slow);
    peer_close(&slow);
    peer_close(&fast);
}

static void a_reader_of_one_job_that_is_slow_gets_its_end(void **state)
{
    struct peer slow, q;
    const char *list = "{\"id\":1,\"method\":\"system.list_methods\"}\n";

    (void)state;
    peer_connect(&slow);
    peer_connect(&q);
    submit(&q, "a");
    ask_job(&slow, "events.subscribe", 1);
    next_event(&slow);
    int sent = 0;
    for (int idle = 0; idle < 100;) {
        if (send(slow.fd, list, strlen(list), MSG_NOSIGNAL) > 0) {
            sent++;
            idle = 0;
        } else {
            idle++;
        }
        turn();
    }
    fake_end(&rig.sender, 1, 7, NULL);
    settle();
    bool ended = false;
    for (int replies = 0; replies < sent || !ended;) {
        struct control_incoming in;

        parse(peer_line(&slow), &in);
        replies += in.kind == CONTROL_RESULT;
        ended = ended || (in.kind == CONTROL_EVENT && in.event.state == JOB_DONE);
        control_incoming_free(&in);
    }
    peer_close(&slow);
    peer_close(&q);
}

static void a_subscriber_that_never_reads_is_cut_off_at_last(void **state)
{
    struct peer slow, fast;
    int lines = 0;

    (void)state;
    subscribe(&slow);
    peer_connect(&fast);
    await_clients(&fast, 2);
    run_jobs(&fast, XFER_JOBS_RECENT + 5000);
    await_clients(&fast, 1);
    while (peer_line(&slow))
        lines++;
    assert_true(lines > 0 && lines < XFER_JOBS_RECENT);
    peer_close(&slow);
    peer_close(&fast);
}

static void a_large_snapshot_comes_in_pieces_and_whole(void **state)
{
    struct peer p, q;
    const int n = 5000;
    char line[128];

    (void)state;
    rig.sender.room_max = 0;
    peer_connect(&q);
    for (int i = 0; i < n; i++) {
        snprintf(
            line, sizeof line,
            "{\"jsonrpc\":\"2.0\",\"method\":\"transfer.submit\",\"params\":{\"source\":\"/%d\"}}",
            i);
        peer_say(&q, line);
    }
    assert_has(ask(&q, "{\"id\":1,\"method\":\"system.hello\"}"), "result");
    subscribe(&p);
    settle();
    for (int i = 1; i <= n; i++)
        assert_int_equal(next_event(&p).job, i);
    assert_silent(&p);
    peer_close(&p);
    peer_close(&q);
}

static void the_jobs_that_one_client_watches_are_bounded(void **state)
{
    struct peer p;
    char dest[16];
    char *line = NULL;

    (void)state;
    rig.sender.room_max = 0;
    peer_connect(&p);
    for (int i = 1; i <= XFER_WATCHES_MAX + 1; i++) {
        snprintf(dest, sizeof dest, "%d", i);
        submit(&p, dest);
    }
    for (int i = 1; i <= XFER_WATCHES_MAX; i++) {
        assert_has(ask_job(&p, "events.subscribe", i), "true");
        next_event(&p);
    }
    line = ask_job(&p, "events.subscribe", XFER_WATCHES_MAX + 1);
    assert_error(line, XFER_TOO_BUSY);
    peer_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_subscriber_follows_a_job_to_its_end),
        TEST(a_snapshot_of_unfinished_jobs_comes_first),
        TEST(one_job_is_followed_alone),
        TEST(a_finished_job_gives_one_event),
        TEST(several_jobs_can_be_followed_and_then_all),
        TEST(nothing_comes_after_unsubscribing),
        TEST(many_changes_become_few_events_and_the_last_is_the_end),
        TEST(half_closed_subscribers_get_their_snapshot),
        TEST(a_slow_reader_misses_events_but_no_end_and_is_told),
        TEST(a_reader_of_one_job_that_is_slow_gets_its_end),
        TEST(a_subscriber_that_never_reads_is_cut_off_at_last),
        TEST(a_large_snapshot_comes_in_pieces_and_whole),
        TEST(the_jobs_that_one_client_watches_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
