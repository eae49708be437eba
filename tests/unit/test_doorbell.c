/* SPDX-License-Identifier: MIT
 *
 * The doorbell between two ranks, both ends in one process.
 */
#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "daemon/link/doorbell.h"

struct pair {
    char dir[64];
    struct doorbell *bells[2];
};

static unsigned names(const char *dir)
{
    DIR *d = opendir(dir);
    unsigned n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2; /* . and .. */
}

static int set_up(void **state)
{
    struct pair *p = calloc(1, sizeof *p);
    struct xfer_error err = XFER_ERROR_INIT;

    snprintf(p->dir, sizeof p->dir, "/tmp/xferd-test-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    for (int i = 0; i < 2; i++) {
        p->bells[i] = doorbell_create(p->dir, i, &err);
        if (!p->bells[i])
            fail_msg("%s", err.text);
    }
    for (int i = 0; i < 2; i++)
        if (doorbell_connect(p->bells[i], doorbell_path(p->bells[!i]), &err))
            fail_msg("%s", err.text);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct pair *p = *state;

    for (int i = 0; i < 2; i++)
        doorbell_destroy(p->bells[i]);
    assert_int_equal(rmdir(p->dir), 0);
    free(p);
    return 0;
}

static bool rings(struct doorbell *bell)
{
    struct pollfd fd = {.fd = doorbell_fd(bell), .events = POLLIN};
    int n = poll(&fd, 1, 0);

    assert_true(n >= 0);
    return n == 1;
}

static void test_who_is_awake_is_not_woken(void **state)
{
    struct pair *p = *state;

    assert_false(doorbell_wake(p->bells[0]));
    assert_false(rings(p->bells[1]));
    doorbell_sleep(p->bells[1], true);
    doorbell_sleep(p->bells[1], false);
    assert_false(doorbell_wake(p->bells[0]));
    assert_false(rings(p->bells[1]));
}

static void test_who_sleeps_is_woken_once(void **state)
{
    struct pair *p = *state;

    doorbell_sleep(p->bells[1], true);
    assert_true(doorbell_wake(p->bells[0]));
    assert_false(doorbell_wake(p->bells[0]));
    assert_true(rings(p->bells[1]));
    assert_false(rings(p->bells[0]));
    doorbell_clear(p->bells[1]);
    assert_false(rings(p->bells[1]));
    doorbell_sleep(p->bells[1], true);
    assert_true(doorbell_wake(p->bells[0]));
    assert_true(rings(p->bells[1]));
}

static void test_both_may_sleep(void **state)
{
    struct pair *p = *state;

    for (int i = 0; i < 2; i++)
        doorbell_sleep(p->bells[i], true);
    for (int i = 0; i < 2; i++) {
        assert_true(doorbell_wake(p->bells[i]));
        assert_true(rings(p->bells[!i]));
    }
}

static void test_it_rings_whatever_is_known(void **state)
{
    struct pair *p = *state;

    doorbell_ring(p->bells[0]);
    assert_true(rings(p->bells[1]));
}

static void test_names_go_and_it_works_on(void **state)
{
    struct pair *p = *state;

    assert_int_equal(names(p->dir), 4);
    for (int i = 0; i < 2; i++)
        doorbell_unlink(p->bells[i]);
    assert_int_equal(names(p->dir), 0);
    doorbell_sleep(p->bells[1], true);
    assert_true(doorbell_wake(p->bells[0]));
    assert_true(rings(p->bells[1]));
}

static void test_a_path_that_leads_nowhere_is_an_error(void **state)
{
    struct pair *p = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    char path[128];

    snprintf(path, sizeof path, "%s/none", p->dir);
    assert_int_equal(doorbell_connect(p->bells[0], path, &err), -1);
    assert_non_null(strstr(err.text, path));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_who_is_awake_is_not_woken),
        TEST(test_who_sleeps_is_woken_once),
        TEST(test_both_may_sleep),
        TEST(test_it_rings_whatever_is_known),
        TEST(test_names_go_and_it_works_on),
        TEST(test_a_path_that_leads_nowhere_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
