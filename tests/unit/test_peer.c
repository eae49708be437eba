/* SPDX-License-Identifier: MIT
 *
 * When both ranks are due: the delay, and the question to the other host.
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
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/peer.h"
#include "daemon/safedir.h"

#define FOR_EVER 20.0 /* seconds after which a test has failed */

struct fixture {
    char dir[64];
    struct conf conf;
    struct launch_options launch;
    struct ev_loop *loop;
    struct peer *peer;
    int due;
    bool over;      /* the time of run() is */
    ev_timer guard; /* tells so */
    ev_timer watch; /* for what a test waits for besides */
};

static void on_due(void *user)
{
    struct fixture *f = user;

    f->due++;
    ev_break(f->loop, EVBREAK_ALL);
}

static void on_guard(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct fixture *f = w->data;

    (void)revents;
    f->over = true;
    ev_break(loop, EVBREAK_ALL);
}

static void begin(struct fixture *f, double limit)
{
    struct peer_options options = {
        .loop = f->loop, .launch = &f->launch, .limit = limit, .due = on_due, .user = f};
    struct xfer_error err = XFER_ERROR_INIT;

    f->peer = peer_create(&options, &err);
    assert_non_null(f->peer);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (f == NULL)
        return -1;
    strcpy(f->dir, "/tmp/test_peer_XXXXXX");
    if (mkdtemp(f->dir) == NULL)
        return -1;
    snprintf(f->conf.peer_agent, sizeof f->conf.peer_agent, "%s/agent", f->dir);
    f->launch = (struct launch_options){.conf = &f->conf, .runtime = f->dir};
    f->loop = ev_default_loop(0);
    ev_timer_init(&f->guard, on_guard, 0., 0.);
    f->guard.data = f;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    int fd = open(f->dir, O_RDONLY | O_DIRECTORY);

    peer_destroy(f->peer);
    ev_timer_stop(f->loop, &f->guard);
    ev_timer_stop(f->loop, &f->watch);
    safedir_empty(fd, NULL);
    close(fd);
    rmdir(f->dir);
    free(f);
    return 0;
}

/* Until both are due or somebody breaks the loop. */
static void run(struct fixture *f, double seconds)
{
    ev_timer_stop(f->loop, &f->guard);
    ev_timer_set(&f->guard, seconds, 0.);
    ev_now_update(f->loop);
    ev_timer_start(f->loop, &f->guard);
    ev_run(f->loop, 0);
}

static void write_agent(struct fixture *f, const char *text)
{
    FILE *script = fopen(f->conf.peer_agent, "w");

    assert_non_null(script);
    fprintf(script, "#!/bin/sh\ncd '%s' || exit\necho \"$*\" >>asked\n%s\n", f->dir, text);
    assert_int_equal(fclose(script), 0);
    assert_int_equal(chmod(f->conf.peer_agent, 0755), 0);
    strcpy(f->conf.peer_host, "there");
}

static void read_file(const struct fixture *f, const char *name, char *text, size_t size)
{
    char path[128];
    FILE *file;
    size_t n;

    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    file = fopen(path, "r");
    n = file != NULL ? fread(text, 1, size - 1, file) : 0;
    text[n] = '\0';
    if (file != NULL)
        fclose(file);
}

static void on_one_host_only_the_delay_counts(void **state)
{
    struct fixture *f = *state;
    ev_tstamp before;

    begin(f, 1);
    before = ev_time();
    peer_wait(f->peer, 0.05);
    run(f, FOR_EVER);
    assert_int_equal(f->due, 1);
    assert_true(ev_time() - before > 0.04);
}

static void who_is_cancelled_is_never_due(void **state)
{
    struct fixture *f = *state;

    begin(f, 1);
    peer_wait(f->peer, 0.01);
    peer_cancel(f->peer);
    run(f, 0.1);
    assert_int_equal(f->due, 0);
}

static void the_other_host_is_asked_as_the_launcher_would_log_in(void **state)
{
    struct fixture *f = *state;
    char asked[256];

    write_agent(f, "exit 0");
    strcat(f->conf.peer_agent, " -q");
    strcpy(f->conf.peer_user, "mover");
    begin(f, 10);
    peer_wait(f->peer, 0);
    run(f, FOR_EVER);
    assert_int_equal(f->due, 1);
    read_file(f, "asked", asked, sizeof asked);
    assert_string_equal(asked, "-q -l mover there true\n");
}

static void a_host_that_does_not_answer_is_asked_until_it_does(void **state)
{
    struct fixture *f = *state;
    char asked[256];

    write_agent(f, "echo no >&2; [ $(wc -l <asked) -ge 3 ]");
    begin(f, 10);
    peer_wait(f->peer, 0);
    run(f, FOR_EVER);
    assert_int_equal(f->due, 1);
    read_file(f, "asked", asked, sizeof asked);
    assert_string_equal(asked, "there true\nthere true\nthere true\n");
}

static void an_agent_that_is_not_there_is_no_answer(void **state)
{
    struct fixture *f = *state;

    strcpy(f->conf.peer_host, "there");
    begin(f, 10);
    peer_wait(f->peer, 0);
    run(f, 0.2);
    assert_int_equal(f->due, 0);
    write_agent(f, "exit 0");
    run(f, FOR_EVER);
    assert_int_equal(f->due, 1);
}

static void an_agent_that_hangs_is_ended_and_asked_again(void **state)
{
    struct fixture *f = *state;

    write_agent(f, "[ $(wc -l <asked) -ge 2 ] || exec sleep 1000");
    begin(f, 0.2);
    peer_wait(f->peer, 0);
    run(f, FOR_EVER);
    assert_int_equal(f->due, 1);
}

static void an_agent_that_talks_without_end_does_not_block(void **state)
{
    struct fixture *f = *state;

    write_agent(f, "yes 'a long line of words' | head -c 1000000");
    begin(f, 10);
    peer_wait(f->peer, 0);
    run(f, FOR_EVER);
    assert_int_equal(f->due, 1);
}

static void on_watch(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct fixture *f = w->data;
    char pid[32];

    (void)revents;
    read_file(f, "pid", pid, sizeof pid);
    if (strchr(pid, '\n') != NULL)
        ev_break(loop, EVBREAK_ALL);
}

static void on_watch_dead(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct fixture *f = w->data;
    char pid[32];

    (void)revents;
    read_file(f, "pid", pid, sizeof pid);
    if (kill((pid_t)atol(pid), 0) < 0)
        ev_break(loop, EVBREAK_ALL);
}

static void run_until(struct fixture *f, void (*watch)(struct ev_loop *, ev_timer *, int))
{
    ev_timer_stop(f->loop, &f->watch);
    ev_timer_init(&f->watch, watch, 0.01, 0.01);
    f->watch.data = f;
    ev_timer_start(f->loop, &f->watch);
    run(f, FOR_EVER);
    assert_false(f->over);
}

static void a_question_that_nobody_waits_for_is_ended(void **state)
{
    struct fixture *f = *state;

    write_agent(f, "echo $$ >pid; exec sleep 1000");
    begin(f, 1000);
    peer_wait(f->peer, 0);
    run_until(f, on_watch);
    peer_cancel(f->peer);
    run_until(f, on_watch_dead);
    assert_int_equal(f->due, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(on_one_host_only_the_delay_counts),
        TEST(who_is_cancelled_is_never_due),
        TEST(the_other_host_is_asked_as_the_launcher_would_log_in),
        TEST(a_host_that_does_not_answer_is_asked_until_it_does),
        TEST(an_agent_that_is_not_there_is_no_answer),
        TEST(an_agent_that_hangs_is_ended_and_asked_again),
        TEST(an_agent_that_talks_without_end_does_not_block),
        TEST(a_question_that_nobody_waits_for_is_ended),
    };

    return cmocka_run_group_tests_name("peer", tests, NULL, NULL);
}
