/* SPDX-License-Identifier: MIT
 *
 * The private directories of a daemon: made, kept apart, removed, and swept after a death.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/runtime.h"
#include "daemon/safedir.h"

struct fixture {
    char base[64];
    struct conf conf;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (f == NULL)
        return -1;
    strcpy(f->base, "/tmp/test_runtime_XXXXXX");
    if (mkdtemp(f->base) == NULL)
        return -1;
    strcpy(f->conf.places.runtime, f->base);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    int fd = open(f->base, O_RDONLY | O_DIRECTORY);

    safedir_empty(fd, NULL);
    close(fd);
    rmdir(f->base);
    free(f);
    return 0;
}

static struct runtime *make(struct fixture *f)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct runtime *rt = runtime_create(&f->conf, &err);

    if (rt == NULL)
        fail_msg("%s", err.text);
    return rt;
}

static bool exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

static char *touch(const char *dir, const char *name)
{
    char *path;
    int fd;

    assert_true(asprintf(&path, "%s/%s", dir, name) > 0);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);
    return path;
}

static void it_is_private_and_holds_a_place_for_the_channel(void **state)
{
    struct runtime *rt = make(*state);
    struct stat st;

    assert_int_equal(stat(runtime_path(rt), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_true(strncmp(runtime_handoff(rt), runtime_path(rt), strlen(runtime_path(rt))) == 0);
    assert_true(strlen(runtime_handoff(rt)) < 108);
    assert_true(exists(runtime_shared(rt)));
    runtime_destroy(rt);
}

static void at_the_end_nothing_is_left(void **state)
{
    struct runtime *rt = make(*state);
    char own[XFER_PATH_SIZE], shared[XFER_PATH_SIZE];

    strcpy(own, runtime_path(rt));
    strcpy(shared, runtime_shared(rt));
    free(touch(own, "a"));
    free(touch(shared, "b"));
    runtime_destroy(rt);
    assert_false(exists(own));
    assert_false(exists(shared));
}

static void two_daemons_do_not_disturb_each_other(void **state)
{
    struct runtime *a = make(*state), *b;
    char *file = touch(runtime_path(a), "alive"), *segment = touch(runtime_shared(a), "segment");

    b = make(*state);
    assert_string_not_equal(runtime_path(a), runtime_path(b));
    assert_true(exists(file));
    assert_true(exists(segment));
    runtime_destroy(b);
    assert_true(exists(file));
    runtime_destroy(a);
    free(file);
    free(segment);
}

static void clearing_spares_the_channel(void **state)
{
    struct runtime *rt = make(*state);
    char *old = touch(runtime_path(rt), "old"), *segment = touch(runtime_shared(rt), "segment"),
         *channel = touch(runtime_path(rt), "handoff.sock");

    assert_string_equal(channel, runtime_handoff(rt));
    runtime_clear(rt);
    assert_false(exists(old));
    assert_false(exists(segment));
    assert_true(exists(channel));
    runtime_destroy(rt);
    free(old);
    free(segment);
    free(channel);
}

/* What a daemon leaves that was killed: its directories, without the lock. */
static char *abandon(struct fixture *f, const char *name)
{
    char *path;

    assert_true(asprintf(&path, "%s/%s", f->base, name) > 0);
    assert_int_equal(mkdir(path, 0700), 0);
    free(touch(path, "left"));
    return path;
}

static void what_the_dead_left_is_removed_at_the_next_start(void **state)
{
    struct fixture *f = *state;
    char *dead = abandon(f, "xferd-dead00");
    struct runtime *rt = make(f);

    assert_false(exists(dead));
    runtime_destroy(rt);
    free(dead);
}

static void other_names_are_not_swept(void **state)
{
    struct fixture *f = *state;
    char *other = abandon(f, "other");
    struct runtime *rt = make(f);

    assert_true(exists(other));
    runtime_destroy(rt);
    free(other);
}

static void a_sweep_removes_links_and_never_follows_them(void **state)
{
    struct fixture *f = *state;
    char *dead = abandon(f, "xferd-dead00"), *precious = abandon(f, "precious");
    char link[128], inside[256];
    struct runtime *rt;

    snprintf(link, sizeof link, "%s/link", dead);
    assert_int_equal(symlink(precious, link), 0);
    rt = make(f);
    assert_false(exists(dead));
    snprintf(inside, sizeof inside, "%s/left", precious);
    assert_true(exists(inside));
    runtime_destroy(rt);
    free(dead);
    free(precious);
}

static void a_link_with_such_a_name_is_not_swept_through(void **state)
{
    struct fixture *f = *state;
    char *precious = abandon(f, "precious");
    char link[128], inside[256];
    struct runtime *rt;

    snprintf(link, sizeof link, "%s/xferd-link00", f->base);
    assert_int_equal(symlink(precious, link), 0);
    rt = make(f);
    snprintf(inside, sizeof inside, "%s/left", precious);
    assert_true(exists(inside));
    runtime_destroy(rt);
    free(precious);
}

static void the_last_rank_removes_what_a_dead_supervisor_left(void **state)
{
    struct fixture *f = *state;
    char *dead = abandon(f, "xferd-dead00");

    runtime_sweep(dead);
    assert_false(exists(dead));
    free(dead);
}

static void a_living_supervisor_keeps_its_directory(void **state)
{
    struct runtime *rt = make(*state);

    runtime_sweep(runtime_path(rt));
    assert_true(exists(runtime_path(rt)));
    assert_true(exists(runtime_shared(rt)));
    runtime_destroy(rt);
}

static void a_base_that_others_may_write_to_is_not_used(void **state)
{
    struct fixture *f = *state;
    struct runtime *rt;
    char fallback[64];

    assert_int_equal(chmod(f->base, 0777), 0);
    rt = make(f);
    assert_null(strstr(runtime_path(rt), f->base));
    runtime_destroy(rt);
    snprintf(fallback, sizeof fallback, "/tmp/xfer-%lu", (unsigned long)geteuid());
    rmdir(fallback); /* where no daemon of this user is in it */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_private_and_holds_a_place_for_the_channel),
        TEST(at_the_end_nothing_is_left),
        TEST(two_daemons_do_not_disturb_each_other),
        TEST(clearing_spares_the_channel),
        TEST(what_the_dead_left_is_removed_at_the_next_start),
        TEST(other_names_are_not_swept),
        TEST(a_sweep_removes_links_and_never_follows_them),
        TEST(a_link_with_such_a_name_is_not_swept_through),
        TEST(the_last_rank_removes_what_a_dead_supervisor_left),
        TEST(a_living_supervisor_keeps_its_directory),
        TEST(a_base_that_others_may_write_to_is_not_used),
    };

    return cmocka_run_group_tests_name("runtime", tests, NULL, NULL);
}
