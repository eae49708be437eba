/* SPDX-License-Identifier: MIT
 *
 * What rank 0 sends to the supervisor, who is played by the test.
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
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/errands.h"
#include "daemon/sealed.h"

static struct {
    struct ev_loop *loop;
    int ends[2]; /* rank 0's, the supervisor's */
    struct conf conf;
    struct errands *errands;
    int reloaded;
    char changed[64], restart[64];
    enum xfer_code code;
} t;

void server_reloaded(struct server *server, const char *changed, const char *restart,
                     const struct xfer_error *why)
{
    (void)server;
    t.reloaded++;
    snprintf(t.changed, sizeof t.changed, "%s", changed);
    snprintf(t.restart, sizeof t.restart, "%s", restart);
    t.code = why ? why->code : XFER_OK;
}

static int make(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct errands_options options = {.handoff_fd = &t.ends[0], .conf = &t.conf};

    (void)state;
    memset(&t, 0, sizeof t);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, t.ends), 0);
    options.loop = t.loop = ev_default_loop(0);
    t.errands = errands_create(&options, &err);
    assert_non_null(t.errands);
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    errands_destroy(t.errands);
    for (int i = 0; i < 2; i++)
        if (t.ends[i] >= 0)
            close(t.ends[i]);
    return 0;
}

static void ends(int64_t job)
{
    char line[64];

    snprintf(line, sizeof line, "{\"job\":%d}\n", (int)job);
    errands_of_server.ended(t.errands, job, JOB_DONE, line);
}

/* The next end that the supervisor hears of; 0: none now. */
static int64_t next_end(void)
{
    struct handoff_message m;
    struct xfer_error err = XFER_ERROR_INIT;
    char expected[64], *text;
    size_t len;

    if (handoff_receive(t.ends[1], &m, &err) != 1)
        return 0;
    assert_int_equal(m.kind, HANDOFF_ENDED);
    assert_string_equal(m.text, "done");
    text = sealed_read(m.fd, 1000, &len, &err);
    assert_non_null(text);
    snprintf(expected, sizeof expected, "{\"job\":%d}\n", (int)m.number);
    assert_string_equal(text, expected);
    free(text);
    close(m.fd);
    return m.number;
}

/* How many come, in order, beginning with that one. */
static int hear_from(int64_t first)
{
    int n = 0;

    for (;;) {
        int64_t job = next_end();

        if (job == 0) {
            ev_run(t.loop, EVRUN_NOWAIT);
            job = next_end();
        }
        if (job == 0)
            return n;
        assert_int_equal(job, first + n);
        n++;
    }
}

static void ends_are_told_in_their_order(void **state)
{
    (void)state;
    for (int job = 1; job <= 5; job++)
        ends(job);
    assert_int_equal(hear_from(1), 5);
}

static void ends_wait_while_the_supervisor_does_not_read(void **state)
{
    (void)state;
    for (int job = 1; job <= XFER_HOOKS_WAITING_MAX; job++)
        ends(job);
    assert_int_equal(hear_from(1), XFER_HOOKS_WAITING_MAX);
    ends(7);
    assert_int_equal(hear_from(7), 1);
}

static void ends_beyond_a_number_are_dropped(void **state)
{
    int heard;

    (void)state;
    for (int job = 1; job <= 5 * XFER_HOOKS_WAITING_MAX; job++)
        ends(job);
    heard = hear_from(1);
    assert_true(heard > XFER_HOOKS_WAITING_MAX && heard < 3 * XFER_HOOKS_WAITING_MAX);
    ends(9000);
    assert_int_equal(hear_from(9000), 1);
}

static void a_supervisor_that_is_gone_is_told_nothing(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    for (int job = 1; job <= XFER_HOOKS_WAITING_MAX; job++)
        ends(job);
    errands_hang_up(t.errands);
    close(t.ends[0]);
    t.ends[0] = -1;
    ends(1);
    ev_run(t.loop, EVRUN_NOWAIT);
    assert_int_equal(errands_of_server.reload(t.errands, &err), -1);
    assert_int_equal(err.code, XFER_STOPPING);
}

static void a_reload_is_asked_for_and_answered(void **state)
{
    struct handoff_message m, answer = {.kind = HANDOFF_RELOADED, .fd = -1};
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    assert_int_equal(errands_of_server.reload(t.errands, &err), 0);
    assert_int_equal(handoff_receive(t.ends[1], &m, &err), 1);
    assert_int_equal(m.kind, HANDOFF_RELOAD);
    assert_int_equal(t.reloaded, 0);
    strcpy(answer.text, "queue.retries, log.level\nlink.lanes");
    errands_take(t.errands, &answer);
    assert_string_equal(t.changed, "queue.retries, log.level");
    assert_string_equal(t.restart, "link.lanes");
    assert_int_equal(t.code, XFER_OK);
    strcpy(answer.text, "\n");
    errands_take(t.errands, &answer);
    assert_string_equal(t.changed, "");
    assert_string_equal(t.restart, "");
}

static void a_reload_that_failed_says_why(void **state)
{
    struct handoff_message answer = {.kind = HANDOFF_RELOADED, .number = XFER_CONFIG, .fd = -1};

    (void)state;
    strcpy(answer.text, "file:1: bad");
    errands_take(t.errands, &answer);
    assert_int_equal(t.code, XFER_CONFIG);
    answer.number = 100000;
    errands_take(t.errands, &answer);
    assert_int_equal(t.code, XFER_INTERNAL);
    assert_int_equal(t.reloaded, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ends_are_told_in_their_order),
        TEST(ends_wait_while_the_supervisor_does_not_read),
        TEST(ends_beyond_a_number_are_dropped),
        TEST(a_supervisor_that_is_gone_is_told_nothing),
        TEST(a_reload_is_asked_for_and_answered),
        TEST(a_reload_that_failed_says_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
