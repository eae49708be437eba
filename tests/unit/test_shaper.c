/* SPDX-License-Identifier: MIT
 *
 * daemon/send/shaper: what may go when. The clock is the test's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "daemon/send/shaper.h"

#define CHUNK ((size_t)256 * 1024)
#define FLOWS 3

static struct rig {
    double now;
    struct shaper shaper;
    struct shaper_flow flows[FLOWS];
    double sent[FLOWS];
    size_t largest, pieces; /* of all that were granted */
    size_t wants[FLOWS];    /* 0: nothing more to send */
    unsigned wakes;
} rig;

static void start(double rate)
{
    rig = (struct rig){.now = 1000};
    shaper_init(&rig.shaper, rate, rig.now);
}

static void begin(unsigned i, double own)
{
    shaper_flow_begin(&rig.flows[i], own, NULL, rig.now);
    rig.wants[i] = CHUNK;
}

/* As the pump of a lane does it. */
static void pump(unsigned i)
{
    size_t n;

    for (int k = 0; rig.wants[i] && k < 10000; k++) {
        n = shaper_take(&rig.shaper, &rig.flows[i], rig.wants[i], rig.now);
        if (n == 0)
            return;
        assert_true(n <= rig.wants[i]);
        rig.sent[i] += (double)n;
        rig.pieces++;
        if (n > rig.largest)
            rig.largest = n;
    }
}

static void wake(void)
{
    struct shaper_flow *flow;

    rig.wakes++;
    while ((flow = shaper_next(&rig.shaper, rig.now)))
        pump((unsigned)(flow - rig.flows));
}

/* As the timer does it: each wait is exactly as long as was said. */
static void run(double seconds)
{
    double end = rig.now + seconds;

    for (;;) {
        double wait = shaper_wait(&rig.shaper, rig.now);

        if (wait < 0 || rig.now + wait > end)
            break;
        rig.now += wait;
        wake();
    }
    rig.now = end;
}

static double all_sent(void)
{
    return rig.sent[0] + rig.sent[1] + rig.sent[2];
}

static void assert_near(double value, double low, double high)
{
    if (value < low || value > high)
        fail_msg("%f is not in %f .. %f", value, low, high);
}

/* ---- one ---- */

static void without_a_rate_all_goes_at_once(void **state)
{
    (void)state;
    start(0);
    begin(0, 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(shaper_take(&rig.shaper, &rig.flows[0], CHUNK, rig.now), CHUNK);
    assert_true(shaper_wait(&rig.shaper, rig.now) < 0);
}

static void the_average_is_the_rate(void **state)
{
    static const double rates[] = {1, 7, 1000, 10240, 1e6, 123456789, 1e10};

    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        double burst = rates[i] * SHAPER_BURST > 1 ? rates[i] * SHAPER_BURST : 1;

        start(rates[i]);
        begin(0, 0);
        pump(0);
        run(100);
        assert_near(all_sent(), rates[i] * 100 - burst - (double)CHUNK, rates[i] * 100 + burst + 1);
    }
}

static void never_more_than_a_burst_comes_at_once(void **state)
{
    (void)state;
    start(1e6);
    begin(0, 0);
    rig.now += 3600; /* nobody wanted anything */
    pump(0);
    assert_near(all_sent(), 1e6 * SHAPER_BURST - 1, 1e6 * SHAPER_BURST);
}

static void a_low_rate_goes_in_small_pieces(void **state)
{
    (void)state;
    start(10240);
    begin(0, 0);
    pump(0);
    rig.largest = rig.pieces = 0;
    run(10);
    assert_near((double)rig.largest, 1000, 1100);
    assert_near((double)rig.pieces, 90, 110);
    assert_true(rig.wakes < 150);
}

static void a_byte_a_second_is_a_rate(void **state)
{
    (void)state;
    start(1);
    begin(0, 0);
    pump(0);
    run(60);
    assert_near(all_sent(), 60, 61);
    assert_int_equal(rig.largest, 1);
}

static void a_high_rate_goes_in_whole_chunks(void **state)
{
    (void)state;
    start(100e6);
    begin(0, 0);
    pump(0);
    rig.sent[0] = 0;
    rig.pieces = 0;
    run(1);
    assert_near(rig.sent[0] / (double)rig.pieces, (double)CHUNK - 1, (double)CHUNK);
}

static void a_small_file_waits_for_its_own_bytes_only(void **state)
{
    (void)state;
    start(1000);
    begin(0, 0);
    pump(0);
    begin(0, 0);
    rig.wants[0] = 10;
    assert_int_equal(shaper_take(&rig.shaper, &rig.flows[0], 10, rig.now), 0);
    assert_near(shaper_wait(&rig.shaper, rig.now), 0.0, 0.0101);
}

/* ---- changes ---- */

static void a_higher_rate_counts_at_once(void **state)
{
    (void)state;
    start(1);
    begin(0, 0);
    pump(0);
    pump(0);
    assert_near(shaper_wait(&rig.shaper, rig.now), 0.9, 1.0);
    shaper_set_rate(&rig.shaper, 1e6, rig.now);
    assert_near(shaper_wait(&rig.shaper, rig.now), 0.0, 0.1001);
    rig.sent[0] = 0;
    run(1);
    assert_near(rig.sent[0], 0.7e6, 1.01e6);
}

static void no_rate_any_more_lets_all_go(void **state)
{
    (void)state;
    start(1);
    begin(0, 0);
    begin(1, 0);
    pump(0);
    pump(1);
    shaper_set_rate(&rig.shaper, 0, rig.now);
    assert_near(shaper_wait(&rig.shaper, rig.now), 0, 0);
    assert_ptr_equal(shaper_next(&rig.shaper, rig.now), &rig.flows[0]);
    assert_ptr_equal(shaper_next(&rig.shaper, rig.now), &rig.flows[1]);
    assert_null(shaper_next(&rig.shaper, rig.now));
    assert_int_equal(shaper_take(&rig.shaper, &rig.flows[0], CHUNK, rig.now), CHUNK);
}

static void a_lower_rate_cuts_what_was_saved_up(void **state)
{
    (void)state;
    start(1e9);
    begin(0, 0);
    shaper_set_rate(&rig.shaper, 1000, rig.now);
    pump(0);
    assert_near(all_sent(), 100, 1000 * SHAPER_BURST);
}

/* ---- several ---- */

static void they_take_turns(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        double rate = k ? 50e6 : 20000;

        start(rate);
        for (unsigned i = 0; i < FLOWS; i++)
            begin(i, 0);
        for (unsigned i = 0; i < FLOWS; i++)
            pump(i);
        for (unsigned i = 0; i < FLOWS; i++)
            rig.sent[i] = 0;
        run(60);
        for (unsigned i = 0; i < FLOWS; i++)
            assert_near(rig.sent[i], rate * 60 / FLOWS * 0.95, rate * 60 / FLOWS * 1.05);
    }
}

static void many_small_files_do_not_starve_a_large_one(void **state)
{
    (void)state;
    start(1e6);
    for (unsigned i = 0; i < FLOWS; i++)
        begin(i, 0);
    rig.wants[1] = rig.wants[2] = 100; /* one after the other */
    for (unsigned i = 0; i < FLOWS; i++)
        pump(i);
    rig.sent[0] = 0;
    run(10);
    assert_true(rig.sent[0] > 3e6);
    assert_true(rig.sent[1] > 0 && rig.sent[2] > 0);
}

static void who_asks_out_of_turn_keeps_its_place(void **state)
{
    (void)state;
    start(1000);
    begin(0, 0);
    begin(1, 0);
    pump(0);
    pump(1);
    assert_int_equal(shaper_take(&rig.shaper, &rig.flows[0], CHUNK, rig.now), 0);
    rig.now += 1;
    assert_ptr_equal(shaper_next(&rig.shaper, rig.now), &rig.flows[0]);
}

static void who_leaves_the_line_is_out_of_it(void **state)
{
    (void)state;
    start(1000);
    for (unsigned i = 0; i < FLOWS; i++)
        begin(i, 0);
    for (unsigned i = 0; i < FLOWS; i++)
        pump(i);
    shaper_leave(&rig.shaper, &rig.flows[1]);
    rig.now += 1;
    assert_ptr_equal(shaper_next(&rig.shaper, rig.now), &rig.flows[0]);
    assert_ptr_equal(shaper_next(&rig.shaper, rig.now), &rig.flows[2]);
    assert_null(shaper_next(&rig.shaper, rig.now));
    assert_true(shaper_wait(&rig.shaper, rig.now) < 0);
}

/* ---- rates of their own ---- */

static void a_rate_of_its_own_holds_up_no_other(void **state)
{
    (void)state;
    start(0);
    begin(0, 1000);
    begin(1, 0);
    pump(0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(shaper_take(&rig.shaper, &rig.flows[1], CHUNK, rig.now), CHUNK);
    rig.sent[0] = 0;
    run(10);
    assert_near(rig.sent[0], 9800, 10200);
}

static void both_rates_hold(void **state)
{
    (void)state;
    start(1e6);
    begin(0, 10000);
    begin(1, 0);
    begin(2, 5e6);
    for (unsigned i = 0; i < FLOWS; i++)
        pump(i);
    for (unsigned i = 0; i < FLOWS; i++)
        rig.sent[i] = 0;
    run(60);
    assert_near(rig.sent[0], 500000, 610000);
    assert_near(rig.sent[1], 26e6, 31e6);
    assert_near(rig.sent[2], 26e6, 31e6);
    assert_near(all_sent(), 58e6, 60.3e6);
}

static void the_rate_of_a_file_is_not_that_of_the_next(void **state)
{
    (void)state;
    start(0);
    begin(0, 1);
    pump(0);
    assert_true(shaper_wait(&rig.shaper, rig.now) > 0);
    shaper_leave(&rig.shaper, &rig.flows[0]);
    begin(0, 0);
    assert_int_equal(shaper_take(&rig.shaper, &rig.flows[0], CHUNK, rig.now), CHUNK);
}

static void several_files_share_the_rate_of_a_job(void **state)
{
    struct bucket job;

    (void)state;
    start(0);
    shaper_bucket_init(&job, 10e6, rig.now);
    for (unsigned i = 0; i < 2; i++) {
        shaper_flow_begin(&rig.flows[i], 0, &job, rig.now);
        rig.wants[i] = CHUNK;
        pump(i);
    }
    run(3);
    assert_near(rig.sent[0] + rig.sent[1], 29e6, 32.1e6);
    assert_near(rig.sent[0], 13e6, 18e6);
    begin(2, 0); /* of another job */
    assert_int_equal(shaper_take(&rig.shaper, &rig.flows[2], CHUNK, rig.now), CHUNK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_rate_all_goes_at_once),
        cmocka_unit_test(the_average_is_the_rate),
        cmocka_unit_test(never_more_than_a_burst_comes_at_once),
        cmocka_unit_test(a_low_rate_goes_in_small_pieces),
        cmocka_unit_test(a_byte_a_second_is_a_rate),
        cmocka_unit_test(a_high_rate_goes_in_whole_chunks),
        cmocka_unit_test(a_small_file_waits_for_its_own_bytes_only),
        cmocka_unit_test(a_higher_rate_counts_at_once),
        cmocka_unit_test(no_rate_any_more_lets_all_go),
        cmocka_unit_test(a_lower_rate_cuts_what_was_saved_up),
        cmocka_unit_test(they_take_turns),
        cmocka_unit_test(many_small_files_do_not_starve_a_large_one),
        cmocka_unit_test(who_asks_out_of_turn_keeps_its_place),
        cmocka_unit_test(who_leaves_the_line_is_out_of_it),
        cmocka_unit_test(a_rate_of_its_own_holds_up_no_other),
        cmocka_unit_test(both_rates_hold),
        cmocka_unit_test(the_rate_of_a_file_is_not_that_of_the_next),
        cmocka_unit_test(several_files_share_the_rate_of_a_job),
    };

    return cmocka_run_group_tests_name("shaper", tests, NULL, NULL);
}
