/* SPDX-License-Identifier: MIT
 *
 * Which failures are worth another attempt, and when it comes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/control/retry.h"

static const struct retry_policy policy = {.delay = 1, .delay_max = 300};

static void what_may_pass_is_tried_again(void **state)
{
    static const enum xfer_code codes[] = {XFER_NO_SPACE,     XFER_IO,      XFER_DIGEST_MISMATCH,
                                           XFER_NO_RESOURCES, XFER_STALLED, XFER_SOURCE_CHANGED};

    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        assert_int_equal(retry_kind(codes[i]), RETRY_COUNTED);
}

static void what_stays_wrong_is_not(void **state)
{
    static const enum xfer_code codes[] = {
        XFER_DESTINATION_EXISTS, XFER_NO_SUCH_FILE,  XFER_PERMISSION_DENIED, XFER_IS_DIRECTORY,
        XFER_NOT_REGULAR,        XFER_NOT_DIRECTORY, XFER_UNSAFE_PATH,       XFER_NAME_TOO_LONG,
        XFER_FILE_TOO_LARGE,     XFER_READ_ONLY,     XFER_CANCELLED,         XFER_PROTOCOL};

    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        assert_int_equal(retry_kind(codes[i]), RETRY_NEVER);
}

static void what_is_no_fault_of_the_job_does_not_count(void **state)
{
    (void)state;
    assert_int_equal(retry_kind(XFER_PEER_DOWN), RETRY_FREE);
    assert_int_equal(retry_kind(XFER_STOPPING), RETRY_FREE);
}

static void delays_double_up_to_the_longest(void **state)
{
    static const double expected[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300};

    (void)state;
    for (int64_t i = 0; i < 11; i++)
        assert_true(retry_delay(&policy, i + 1, 0.5) == expected[i]);
}

static void delays_are_spread_by_a_quarter(void **state)
{
    (void)state;
    assert_true(retry_delay(&policy, 3, 0) == 3);
    assert_true(retry_delay(&policy, 3, 0.9999) < 5);
    assert_true(retry_delay(&policy, 3, 0.9999) > 4.99);
    for (int64_t i = 1; i < 100; i++)
        assert_true(retry_delay(&policy, i, 0.9999) <= retry_longest(&policy));
}

static void a_million_failures_are_the_longest_delay_at_once(void **state)
{
    struct retry_policy none = {.delay = 0, .delay_max = 300};

    (void)state;
    assert_true(retry_delay(&policy, INT64_MAX, 0.5) == 300);
    assert_true(retry_delay(&none, INT64_MAX, 0.5) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_pass_is_tried_again),
        cmocka_unit_test(what_stays_wrong_is_not),
        cmocka_unit_test(what_is_no_fault_of_the_job_does_not_count),
        cmocka_unit_test(delays_double_up_to_the_longest),
        cmocka_unit_test(delays_are_spread_by_a_quarter),
        cmocka_unit_test(a_million_failures_are_the_longest_delay_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
