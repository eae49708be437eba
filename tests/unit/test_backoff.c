/* SPDX-License-Identifier: MIT
 *
 * Delays before the ranks are started again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/backoff.h"

static void deaths_far_apart_are_made_up_for_at_once(void **state)
{
    struct backoff b;

    (void)state;
    backoff_init(&b);
    for (int i = 0; i < 100; i++)
        assert_true(backoff_next(&b, 3) == 0);
}

static void a_few_deaths_in_a_row_are_made_up_for_at_once(void **state)
{
    struct backoff b;

    (void)state;
    backoff_init(&b);
    for (int i = 0; i < 10; i++)
        assert_true(backoff_next(&b, 0.1) == 0);
    assert_true(backoff_next(&b, 0.1) == 0.25);
    assert_true(backoff_next(&b, 0.1) == 0.5);
}

static void starts_that_never_succeed_wait_from_the_first_on(void **state)
{
    struct backoff b;

    (void)state;
    backoff_init(&b);
    assert_true(backoff_next(&b, -1) == 0.25);
    assert_true(backoff_next(&b, -1) == 0.5);
    assert_true(backoff_next(&b, -1) == 1);
}

static void delays_grow_to_a_bound(void **state)
{
    struct backoff b;
    double last = 0;

    (void)state;
    backoff_init(&b);
    for (int i = 0; i < 50; i++) {
        double delay = backoff_next(&b, -1);

        assert_true(delay >= last);
        assert_true(delay <= 30);
        last = delay;
    }
    assert_true(last == 30);
}

static void a_long_life_ends_a_row_of_growing_delays(void **state)
{
    struct backoff b;

    (void)state;
    backoff_init(&b);
    for (int i = 0; i < 10; i++)
        backoff_next(&b, -1);
    assert_true(backoff_next(&b, 60) == 0);
    assert_true(backoff_next(&b, -1) == 0.25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deaths_far_apart_are_made_up_for_at_once),
        cmocka_unit_test(a_few_deaths_in_a_row_are_made_up_for_at_once),
        cmocka_unit_test(starts_that_never_succeed_wait_from_the_first_on),
        cmocka_unit_test(delays_grow_to_a_bound),
        cmocka_unit_test(a_long_life_ends_a_row_of_growing_delays),
    };

    return cmocka_run_group_tests_name("backoff", tests, NULL, NULL);
}
