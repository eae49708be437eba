/* SPDX-License-Identifier: MIT
 *
 * daemon/control/accounts: what users have, and may have.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/control/accounts.h"

static struct accounts *accounts;

static int set_up(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    accounts = accounts_create(&err);
    return accounts ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    accounts_destroy(accounts);
    return 0;
}

static void add(uid_t uid, int64_t bytes)
{
    struct xfer_error err = XFER_ERROR_INIT;

    assert_int_equal(accounts_add(accounts, uid, bytes, &err), 0);
}

static void assert_has(uid_t uid, int64_t jobs, int64_t bytes)
{
    assert_int_equal(accounts_jobs(accounts, uid), jobs);
    assert_int_equal(accounts_bytes(accounts, uid), bytes);
}

static void assert_may(uid_t uid, int64_t bytes)
{
    struct xfer_error err = XFER_ERROR_INIT;

    assert_int_equal(accounts_check(accounts, uid, bytes, &err), 0);
}

static void assert_may_not(uid_t uid, int64_t bytes, const char *key, const char *limit)
{
    struct xfer_error err = XFER_ERROR_INIT;

    assert_int_equal(accounts_check(accounts, uid, bytes, &err), -1);
    assert_int_equal(err.code, XFER_USER_LIMIT);
    assert_int_equal(err.side, XFER_SIDE_DAEMON);
    assert_non_null(strstr(err.text, key));
    assert_non_null(strstr(err.text, limit));
}

static void each_user_has_an_account(void **state)
{
    (void)state;
    add(1000, 5);
    add(1000, 7);
    add(1256, 1); /* of the same bucket */
    add(1512, 2);
    assert_has(1000, 2, 12);
    assert_has(1256, 1, 1);
    assert_has(1512, 1, 2);
    assert_has(1768, 0, 0);
    accounts_remove(accounts, 1256, 1);
    assert_has(1256, 0, 0);
    assert_has(1000, 2, 12);
    assert_has(1512, 1, 2);
    accounts_resize(accounts, 1000, 5, 0);
    assert_has(1000, 2, 7);
    accounts_resize(accounts, 1000, 0, 100);
    assert_has(1000, 2, 107);
}

static void without_limits_anybody_may_have_anything(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        add(1, INT64_MAX);
    assert_has(1, 1000, INT64_MAX);
    assert_may(1, INT64_MAX);
    for (int i = 0; i < 999; i++)
        accounts_remove(accounts, 1, INT64_MAX);
    assert_has(1, 1, INT64_MAX);
    accounts_remove(accounts, 1, INT64_MAX);
    assert_has(1, 0, 0);
}

static void the_number_of_jobs_is_limited(void **state)
{
    (void)state;
    accounts_set_limits(accounts, 2, 0);
    assert_may(1, INT64_MAX);
    add(1, 0);
    assert_may(1, 0);
    add(1, 0);
    assert_may_not(1, 0, "limits.user_jobs", "uid 1 has 2 unfinished jobs, and 2 are");
    assert_may(2, 0);
    accounts_remove(accounts, 1, 0);
    assert_may(1, 0);
}

static void the_bytes_of_a_user_are_limited(void **state)
{
    (void)state;
    accounts_set_limits(accounts, 0, 1000);
    assert_may(1, 1000);
    assert_may_not(1, 1001, "limits.user_bytes", "of 0 bytes");
    assert_may_not(1, INT64_MAX, "limits.user_bytes", "1000");
    add(1, 600);
    assert_may(1, 400);
    assert_may_not(1, 401, "limits.user_bytes", "of 600 bytes");
    assert_may(2, 401);
}

static void who_has_more_than_allowed_may_have_no_more(void **state)
{
    (void)state;
    accounts_set_limits(accounts, 0, 1000);
    add(1, 0);
    assert_may(1, 0);
    accounts_resize(accounts, 1, 0, 1001); /* as it turned out */
    assert_may_not(1, 0, "limits.user_bytes", "of 1001 bytes");
}

static void limits_may_change(void **state)
{
    (void)state;
    add(1, 10);
    accounts_set_limits(accounts, 1, 0);
    assert_may_not(1, 0, "limits.user_jobs", "1");
    accounts_set_limits(accounts, 0, 0);
    assert_may(1, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_user_has_an_account),
        TEST(without_limits_anybody_may_have_anything),
        TEST(the_number_of_jobs_is_limited),
        TEST(the_bytes_of_a_user_are_limited),
        TEST(who_has_more_than_allowed_may_have_no_more),
        TEST(limits_may_change),
    };

    return cmocka_run_group_tests_name("accounts", tests, NULL, NULL);
}
