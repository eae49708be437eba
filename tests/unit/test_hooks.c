/* SPDX-License-Identifier: MIT
 *
 * Hooks: what is run with what, in which order, how many at once, and how they end. The programs
 * are shell scripts in a directory of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/hooks.h"
#include "daemon/orphans.h"
#include "daemon/sealed.h"
#include "proto/limits.h"

#define LONG 60.0 /* seconds that no test waits for */

static struct {
    struct ev_loop *loop;
    struct hooks *hooks;
    ev_child child;
    ev_timer limit;
    char dir[64], path[96];
    bool idle;
} t;

static void on_child(struct ev_loop *loop, ev_child *w, int revents)
{
    (void)loop;
    (void)revents;
    hooks_child(t.hooks, w->rpid, w->rstatus);
}

static void on_limit(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)w;
    (void)revents;
    fail_msg("it takes too long");
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st;
    (void)flag;
    (void)at;
    return remove(path);
}

static int make(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct rlimit limit;

    (void)state;
    memset(&t, 0, sizeof t);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    strcpy(t.dir, "/tmp/xt-hooks-XXXXXX");
    assert_non_null(mkdtemp(t.dir));
    t.loop = ev_default_loop(0);
    orphans_adopt();
    ev_child_init(&t.child, on_child, 0, 0);
    ev_child_start(t.loop, &t.child);
    ev_timer_init(&t.limit, on_limit, 30., 0.);
    ev_timer_start(t.loop, &t.limit);
    t.hooks = hooks_create(t.loop, "/run/the.sock", &err);
    assert_non_null(t.hooks);
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    hooks_destroy(t.hooks);
    ev_child_stop(t.loop, &t.child);
    ev_timer_stop(t.loop, &t.limit);
    nftw(t.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}

/* The hook is that script, which begins in t.dir. */
static void use(const char *script, double timeout)
{
    FILE *f;

    snprintf(t.path, sizeof t.path, "%s/hook", t.dir);
    f = fopen(t.path, "we");
    assert_non_null(f);
    fprintf(f, "#!/bin/sh\ncd %s\n%s\n", t.dir, script);
    assert_int_equal(fchmod(fileno(f), 0755), 0);
    assert_int_equal(fclose(f), 0);
    hooks_configure(t.hooks, t.path, timeout);
}

static void ends(int64_t job, enum job_state state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    char line[64];
    int n = snprintf(line, sizeof line, "{\"job\":%d}\n", (int)job), fd;

    fd = sealed_make("job", line, (size_t)n, &err);
    assert_true(fd >= 0);
    hooks_job(t.hooks, job, state, fd);
}

static const char *file_path(const char *name)
{
    static char path[160];

    snprintf(path, sizeof path, "%s/%s", t.dir, name);
    return path;
}

static bool is_there(const char *name)
{
    return access(file_path(name), F_OK) == 0;
}

static void wait_for(const char *name)
{
    while (!is_there(name)) {
        ev_run(t.loop, EVRUN_NOWAIT);
        usleep(1000);
    }
}

static void touch(const char *name)
{
    FILE *f = fopen(file_path(name), "we");

    assert_non_null(f);
    fclose(f);
}

static void on_idle(void *user)
{
    (void)user;
    t.idle = true;
    ev_break(t.loop, EVBREAK_ALL);
}

/* Until none runs or waits. */
static void finish(double seconds)
{
    hooks_stop(t.hooks, seconds);
    if (hooks_wait(t.hooks, on_idle, NULL))
        while (!t.idle)
            ev_run(t.loop, EVRUN_ONCE);
}

static void assert_file(const char *name, const char *text)
{
    char found[4096];
    FILE *f = fopen(file_path(name), "re");
    size_t n;

    assert_non_null(f);
    n = fread(found, 1, sizeof found - 1, f);
    found[n] = '\0';
    fclose(f);
    assert_string_equal(found, text);
}

/* ---- what is run ---- */

static void it_gets_the_job_and_a_small_environment(void **state)
{
    (void)state;
    setenv("HOME", "/the/home", 1);
    setenv("SECRET", "x", 1);
    use("cat >in; /usr/bin/env | grep -v -e PWD= -e ^_= -e ^SHLVL= | sort >env; "
        "ls /proc/$$/fd >fds",
        LONG);
    ends(7, JOB_FAILED);
    finish(LONG);
    assert_file("in", "{\"job\":7}\n");
    assert_file("env", "HOME=/the/home\n"
                       "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
                       "XFER_JOB=7\nXFER_SOCKET=/run/the.sock\nXFER_STATE=failed\n");
}

static void it_is_a_session_of_its_own(void **state)
{
    (void)state;
    use("ps -o pid=,pgid=,sid= -p $$ | awk '{ print ($1 == $2 && $2 == $3) }' >session", LONG);
    ends(1, JOB_DONE);
    finish(LONG);
    assert_file("session", "1\n");
}

static void without_a_command_nothing_is_run(void **state)
{
    (void)state;
    use("touch ran", LONG);
    hooks_configure(t.hooks, "", LONG);
    ends(1, JOB_DONE);
    assert_false(hooks_wait(t.hooks, on_idle, NULL));
    assert_false(is_there("ran"));
}

static void they_start_in_the_order_of_the_ends(void **state)
{
    (void)state;
    /* the first ones hold all places until the last has come */
    use("[ $XFER_JOB -gt 4 ] || while [ ! -e go ]; do sleep 0.01; done\n"
        "[ $XFER_JOB -le 3 ] || echo $XFER_JOB >>order\n"
        "[ $XFER_JOB -gt 3 ] || { touch held; while [ ! -e end ]; do sleep 0.01; done; }",
        LONG);
    setenv("D", t.dir, 1);
    for (int job = 1; job <= 9; job++)
        ends(job, JOB_DONE);
    touch("go");
    wait_for("held");
    /* three places are held: the others pass through the fourth one by one */
    while (!is_there("order") || system("test $(wc -l <$D/order) -eq 6") != 0) {
        ev_run(t.loop, EVRUN_NOWAIT);
        usleep(1000);
    }
    assert_file("order", "4\n5\n6\n7\n8\n9\n");
    touch("end");
    finish(LONG);
}

static void a_few_run_at_once(void **state)
{
    (void)state;
    use("touch ran.$XFER_JOB; while [ ! -e end ]; do sleep 0.01; done", LONG);
    for (int job = 1; job <= XFER_HOOKS_RUNNING_MAX + 1; job++)
        ends(job, JOB_DONE);
    wait_for("ran.1");
    wait_for("ran.4");
    for (int i = 0; i < 20; i++) {
        ev_run(t.loop, EVRUN_NOWAIT);
        usleep(1000);
    }
    assert_false(is_there("ran.5"));
    touch("end");
    finish(LONG);
    assert_true(is_there("ran.5"));
}

static int descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 4096; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void what_finds_no_place_is_dropped(void **state)
{
    int before, many;
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < 4 * XFER_HOOKS_WAITING_MAX)
        skip();

    (void)state;
    use("while [ ! -e end ]; do sleep 0.01; done; echo >>ran", LONG);
    before = descriptors();
    for (int job = 1; job <= XFER_HOOKS_RUNNING_MAX + XFER_HOOKS_WAITING_MAX; job++)
        ends(job, JOB_DONE);
    many = descriptors();
    ends(5000, JOB_DONE);
    ends(5001, JOB_DONE);
    assert_int_equal(descriptors(), many);
    /* none of those that wait is started any more */
    hooks_configure(t.hooks, "", LONG);
    touch("end");
    finish(LONG);
    assert_file("ran", "\n\n\n\n");
    assert_int_equal(descriptors(), before);
}

/* ---- how they end ---- */

static void failures_do_no_harm(void **state)
{
    (void)state;
    use("exit 3", LONG);
    ends(1, JOB_DONE);
    ends(2, JOB_DONE);
    finish(LONG);
}

static void a_program_that_is_missing_does_no_harm(void **state)
{
    (void)state;
    hooks_configure(t.hooks, "/nonexistent/hook", LONG);
    ends(1, JOB_DONE);
    finish(LONG);
    assert_true(t.idle);
}

static void one_that_takes_too_long_is_ended_with_all_its_processes(void **state)
{
    int pid = 0;
    FILE *f;

    (void)state;
    use("(trap '' TERM; echo >deaf; while :; do sleep 0.05; done) & echo $! >child\n"
        "while [ ! -e deaf ]; do sleep 0.01; done; exit 0",
        1.5); /* a busy machine may take its time to get that far */
    ends(1, JOB_DONE);
    wait_for("child");
    f = fopen(file_path("child"), "re");
    while (f == NULL || fscanf(f, "%d", &pid) != 1)
        if (f)
            rewind(f);
    fclose(f);
    finish(LONG);
    while (kill(pid, 0) == 0)
        ev_run(t.loop, EVRUN_NOWAIT);
    assert_int_equal(errno, ESRCH);
}

static void one_that_listens_to_sigterm_ends_itself(void **state)
{
    (void)state;
    use("trap 'touch told; exit 0' TERM; touch up; while :; do sleep 0.01; done", 1.5);
    ends(1, JOB_DONE);
    finish(LONG);
    assert_true(is_there("told"));
}

static void the_end_of_the_daemon_gives_them_time(void **state)
{
    (void)state;
    use("touch ran.$XFER_JOB", LONG);
    for (int job = 1; job <= XFER_HOOKS_RUNNING_MAX + 2; job++)
        ends(job, JOB_DONE);
    finish(LONG);
    assert_true(is_there("ran.6"));
}

static void the_end_of_the_daemon_is_bounded(void **state)
{
    (void)state;
    use("trap '' TERM; touch ran.$XFER_JOB; while :; do sleep 0.01; done", LONG);
    for (int job = 1; job <= XFER_HOOKS_RUNNING_MAX + 1; job++)
        ends(job, JOB_DONE);
    wait_for("ran.1");
    finish(0.1);
    assert_false(is_there("ran.5"));
    ends(9, JOB_DONE); /* too late */
    /* it doesn't wait for ever until the killed ones are gone; here that is waited for */
    while (hooks_wait(t.hooks, on_idle, NULL))
        ev_run(t.loop, EVRUN_ONCE);
    assert_false(is_there("ran.9"));
}

/* ---- whose program ---- */

static void refused(const char *command, const char *word)
{
    struct xfer_error err = XFER_ERROR_INIT;

    assert_int_equal(hooks_check(command, &err), -1);
    assert_int_equal(err.code, XFER_CONFIG);
    assert_non_null(strstr(err.text, "hook.command: "));
    if (!strstr(err.text, word))
        fail_msg("%s", err.text);
}

static void accepted(const char *command)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (hooks_check(command, &err) < 0)
        fail_msg("%s", err.text);
}

static void a_program_that_others_can_change_is_refused(void **state)
{
    char link[128], other[128];

    (void)state;
    use("exit 0", LONG);
    accepted(t.path);
    accepted("");
    accepted("/nonexistent/hook");
    assert_int_equal(chmod(t.path, 0775), 0);
    refused(t.path, "its group or by others");
    assert_int_equal(chmod(t.path, 0757), 0);
    refused(t.path, "its group or by others");
    assert_int_equal(chmod(t.path, 0755), 0);
    snprintf(link, sizeof link, "%s/link", t.dir);
    assert_int_equal(symlink(t.path, link), 0);
    accepted(link);
    assert_int_equal(chmod(t.dir, 0777), 0);
    refused(t.path, "by others");
    refused(link, "by others");
    assert_int_equal(chmod(t.dir, 01777), 0);
    accepted(t.path);
    assert_int_equal(chmod(t.dir, 0755), 0);
    snprintf(other, sizeof other, "%s/dir", t.dir);
    assert_int_equal(mkdir(other, 0755), 0);
    refused(other, "is no file");
}

static void a_link_that_others_can_change_is_refused(void **state)
{
    char dir[128], link[160], target[160];

    (void)state;
    use("exit 0", LONG);
    snprintf(dir, sizeof dir, "%s/open", t.dir);
    snprintf(link, sizeof link, "%s/link", dir);
    assert_int_equal(mkdir(dir, 0755), 0);
    assert_int_equal(symlink(t.path, link), 0);
    accepted(link);
    assert_int_equal(chmod(dir, 0777), 0);
    refused(link, "by others"); /* though what it leads to is in order */
    assert_int_equal(chmod(dir, 01777), 0);
    accepted(link);

    snprintf(target, sizeof target, "%s/outer", t.dir);
    assert_int_equal(symlink("open/../open/link", target), 0);
    accepted(target);
    assert_int_equal(chmod(dir, 0777), 0);
    refused(target, "by others");
    assert_int_equal(chmod(dir, 01777), 0);
    if (geteuid() == 0) {
        assert_int_equal(lchown(link, 64001, 64001), 0);
        refused(link, "another user");
        refused(target, "another user");
    }
}

static void a_program_that_others_can_make_is_refused(void **state)
{
    char dir[128], path[160], link[128];

    (void)state;
    use("exit 0", LONG);
    snprintf(dir, sizeof dir, "%s/open", t.dir);
    snprintf(path, sizeof path, "%s/absent", dir);
    snprintf(link, sizeof link, "%s/link", t.dir);
    assert_int_equal(mkdir(dir, 0755), 0);
    assert_int_equal(symlink(path, link), 0);
    accepted(path);
    accepted(link);
    assert_int_equal(chmod(dir, 01777), 0);
    refused(path, "by others");
    refused(link, "by others");
}

static void a_program_of_another_user_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    use("exit 0", LONG);
    assert_int_equal(chown(t.path, 65534, 0), 0);
    refused(t.path, "belongs to another user");
    assert_int_equal(chown(t.path, 0, 0), 0);
    assert_int_equal(chown(t.dir, 65534, 0), 0);
    refused(t.path, "belongs to another user");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_gets_the_job_and_a_small_environment),
        TEST(it_is_a_session_of_its_own),
        TEST(without_a_command_nothing_is_run),
        TEST(they_start_in_the_order_of_the_ends),
        TEST(a_few_run_at_once),
        TEST(what_finds_no_place_is_dropped),
        TEST(failures_do_no_harm),
        TEST(a_program_that_is_missing_does_no_harm),
        TEST(one_that_takes_too_long_is_ended_with_all_its_processes),
        TEST(one_that_listens_to_sigterm_ends_itself),
        TEST(the_end_of_the_daemon_gives_them_time),
        TEST(the_end_of_the_daemon_is_bounded),
        TEST(a_program_that_others_can_change_is_refused),
        TEST(a_link_that_others_can_change_is_refused),
        TEST(a_program_that_others_can_make_is_refused),
        TEST(a_program_of_another_user_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
