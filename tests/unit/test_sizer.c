/* SPDX-License-Identifier: MIT
 *
 * daemon/control/sizer: jobs wait for the sizes of their files, in order, and not for ever. Looking
 * at a file can be made to hang.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/control/sizer.h"

#define PATIENCE 30

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool hang;

int open(const char *path, int flags, ...)
{
    if (strstr(path, "hangs")) {
        pthread_mutex_lock(&lock);
        while (hang)
            pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
    }
    return openat(AT_FDCWD, path, flags, 0600);
}

static void set_hang(bool on)
{
    pthread_mutex_lock(&lock);
    hang = on;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static struct rig {
    struct ev_loop *loop;
    struct sizer *sizer;
    char path[64], hanging[64];
    int64_t sizes[16], numbers[16];
    int n;
} rig;

static void on_sized(void *user, struct job *job)
{
    (void)user;
    rig.numbers[rig.n] = job->id;
    rig.sizes[rig.n++] = job->bytes_total;
    job_destroy(job);
}

static void write_file(const char *path, off_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, size), 0);
    close(fd);
}

static int set_up(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    memset(&rig, 0, sizeof rig);
    snprintf(rig.path, sizeof rig.path, "/tmp/xfer-test-sizer-%d", (int)getpid());
    snprintf(rig.hanging, sizeof rig.hanging, "/tmp/xfer-test-sizer-%d-hangs", (int)getpid());
    write_file(rig.path, 123);
    write_file(rig.hanging, 456);
    rig.loop = ev_loop_new(0);
    rig.sizer = sizer_create(rig.loop, NULL, false, on_sized, NULL, &err);
    assert_non_null(rig.sizer);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    set_hang(false);
    sizer_destroy(rig.sizer);
    ev_loop_destroy(rig.loop);
    unlink(rig.path);
    unlink(rig.hanging);
    return 0;
}

static struct job *new_job(int64_t id, const char *source, int64_t size)
{
    struct job_spec spec = {.source = source, .dest = "d", .size = size, .n_groups = -1};
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = job_create(id, &spec, 1, &err);

    assert_non_null(job);
    return job;
}

static void put(int64_t id, const char *source, bool look)
{
    struct xfer_error err = XFER_ERROR_INIT;

    assert_int_equal(sizer_put(rig.sizer, new_job(id, source, look ? 0 : 99), look, &err), 0);
}

static void await(int n)
{
    double until = clock_monotonic() + PATIENCE;

    while (rig.n < n) {
        assert_true(clock_monotonic() < until);
        ev_run(rig.loop, EVRUN_ONCE);
    }
    assert_int_equal(rig.n, n);
}

static void the_size_of_a_file_is_looked_up(void **state)
{
    (void)state;
    put(1, rig.path, true);
    assert_true(sizer_is_busy(rig.sizer));
    await(1);
    assert_int_equal(rig.sizes[0], 123);
    assert_false(sizer_is_busy(rig.sizer));
}

static void what_has_no_size_counts_nothing(void **state)
{
    (void)state;
    put(1, "/nonexistent/file", true);
    put(2, "/tmp", true);
    put(3, "/dev/null", true);
    await(3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(rig.sizes[i], 0);
}

/* Of these the job fails, and tells nothing; nor may its size be told, by what is counted. */
static void what_may_not_be_sent_has_no_size(void **state)
{
    struct source_policy_options options = {.roots = "/tmp"};
    struct xfer_error err = XFER_ERROR_INIT;
    struct source_policy *policy;

    (void)state;
    sizer_destroy(rig.sizer);
    policy = source_policy_create(&options, &err);
    assert_non_null(policy);
    rig.sizer = sizer_create(rig.loop, policy, false, on_sized, NULL, &err);
    source_policy_destroy(policy); /* the sizer has its own share */
    put(1, rig.path, true);
    put(2, "/etc/passwd", true);
    await(2);
    assert_int_equal(rig.sizes[0], 123);
    assert_int_equal(rig.sizes[1], 0);
}

static void they_leave_in_the_order_in_which_they_came(void **state)
{
    (void)state;
    put(1, rig.path, true);
    put(2, rig.path, false);
    put(3, rig.path, true);
    put(4, rig.path, false);
    await(4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(rig.numbers[i], i + 1);
    assert_int_equal(rig.sizes[1], 99);
    assert_int_equal(rig.sizes[2], 123);
}

static void what_is_known_need_not_wait(void **state)
{
    (void)state;
    put(1, rig.path, false);
    assert_int_equal(rig.n, 1);
}

static void a_file_system_that_hangs_holds_up_nobody_for_long(void **state)
{
    (void)state;
    set_hang(true);
    put(1, rig.hanging, true);
    put(2, rig.path, true);
    put(3, rig.path, false);
    await(3);
    assert_int_equal(rig.numbers[0], 1);
    assert_int_equal(rig.numbers[2], 3);
    assert_int_equal(rig.sizes[0], 0);
    assert_int_equal(rig.sizes[1], 0);
    assert_int_equal(rig.sizes[2], 99);
    put(4, rig.path, true); /* and after that not at all */
    assert_int_equal(rig.n, 4);
    assert_int_equal(rig.sizes[3], 0);
    set_hang(false);
    for (int i = 0; i < 3000 && rig.sizes[rig.n - 1] != 123; i++) {
        rig.n = 4;
        put(5, rig.path, true);
        await(5);
        ev_run(rig.loop, EVRUN_NOWAIT);
        usleep(1000);
    }
    assert_int_equal(rig.sizes[4], 123);
}

static void those_that_wait_can_be_taken_back(void **state)
{
    struct job *job;

    (void)state;
    set_hang(true);
    put(1, rig.hanging, true);
    put(2, rig.path, true);
    job = sizer_take(rig.sizer);
    assert_int_equal(job->id, 1);
    job_destroy(job);
    job = sizer_take(rig.sizer);
    assert_int_equal(job->id, 2);
    job_destroy(job);
    assert_null(sizer_take(rig.sizer));
    assert_int_equal(rig.n, 0);
}

static void it_may_go_while_jobs_wait(void **state)
{
    (void)state;
    put(1, rig.path, true);
    put(2, rig.path, true);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_size_of_a_file_is_looked_up),
        TEST(what_has_no_size_counts_nothing),
        TEST(what_may_not_be_sent_has_no_size),
        TEST(they_leave_in_the_order_in_which_they_came),
        TEST(what_is_known_need_not_wait),
        TEST(a_file_system_that_hangs_holds_up_nobody_for_long),
        TEST(those_that_wait_can_be_taken_back),
        TEST(it_may_go_while_jobs_wait),
    };

    return cmocka_run_group_tests_name("sizer", tests, NULL, NULL);
}
