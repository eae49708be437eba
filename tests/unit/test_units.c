/* SPDX-License-Identifier: MIT
 *
 * Sizes and durations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <math.h>
#include <cmocka.h>

#include "proto/limits.h"
#include "proto/units.h"

static void assert_size(const char *text, int64_t expected)
{
    struct xfer_error err = XFER_ERROR_INIT;
    int64_t bytes = -1;

    if (units_parse_size(text, &bytes, &err) == -1)
        fail_msg("%s: %s", text, err.text);
    assert_int_equal(bytes, expected);
}

static void assert_no_size(const char *text)
{
    struct xfer_error err = XFER_ERROR_INIT;
    int64_t bytes = -1;

    if (units_parse_size(text, &bytes, &err) == 0)
        fail_msg("\"%s\" was taken", text);
    assert_int_equal(err.code, XFER_USAGE);
    assert_int_equal(bytes, -1);
}

static void sizes_without_a_unit_are_bytes(void **state)
{
    (void)state;
    assert_size("0", 0);
    assert_size("1", 1);
    assert_size("007", 7);
    assert_size("9007199254740992", XFER_INTEGER_MAX);
}

static void single_letters_are_powers_of_1024(void **state)
{
    (void)state;
    assert_size("1K", 1024);
    assert_size("1M", 1048576);
    assert_size("3G", INT64_C(3) << 30);
    assert_size("2T", INT64_C(2) << 40);
}

static void units_with_b_are_powers_of_1000(void **state)
{
    (void)state;
    assert_size("1KB", 1000);
    assert_size("10MB", 10000000);
    assert_size("1GB", 1000000000);
    assert_size("1TB", INT64_C(1000000000000));
}

static void fractions_are_exact(void **state)
{
    (void)state;
    assert_size("1.5K", 1536);
    assert_size("0.5G", 536870912);
    assert_size("1.1KB", 1100);
    assert_size("0.000001MB", 1);
    assert_size("1.000000000000000000000000000000K", 1024);
}

static void less_than_a_byte_is_not_zero(void **state)
{
    (void)state;
    assert_no_size("0.5");
    assert_no_size("0.0001K");
    assert_size("0.0K", 0);
}

static void sizes_beyond_the_largest_integer_are_refused(void **state)
{
    (void)state;
    assert_no_size("9007199254740993");
    assert_no_size("8193T");
    assert_size("8192T", XFER_INTEGER_MAX);
    assert_no_size("99999999999999999999999999");
    assert_no_size("18446744073709551617");
}

static void what_is_no_size_is_refused(void **state)
{
    static const char *const broken[] = {"",     " 1",  "1 ",   "-1",  "+1",  "1.",  ".5",
                                         "1k",   "1Kb", "1KiB", "1 K", "K",   "1e3", "1P",
                                         "0x10", "1,5", "1..5", "1KK", "inf", "1B"};

    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++)
        assert_no_size(broken[i]);
}

static void assert_duration(const char *text, double expected)
{
    struct xfer_error err = XFER_ERROR_INIT;
    double seconds = -1;

    if (units_parse_duration(text, &seconds, &err) == -1)
        fail_msg("%s: %s", text, err.text);
    assert_true(fabs(seconds - expected) < 1e-9);
}

static void assert_no_duration(const char *text)
{
    struct xfer_error err = XFER_ERROR_INIT;
    double seconds = -1;

    if (units_parse_duration(text, &seconds, &err) == 0)
        fail_msg("\"%s\" was taken", text);
    assert_int_equal(err.code, XFER_USAGE);
}

static void durations_have_units(void **state)
{
    (void)state;
    assert_duration("10", 10);
    assert_duration("10s", 10);
    assert_duration("0", 0);
    assert_duration("250ms", 0.25);
    assert_duration("5min", 300);
    assert_duration("1.5h", 5400);
    assert_duration("2d", 172800);
    assert_duration("3650d", (double)XFER_SECONDS_MAX);
}

static void what_is_no_duration_is_refused(void **state)
{
    static const char *const broken[] = {"",    "s",    "-1",    "1m",
                                         "1 s", "1sec", "1.s",   "1h30min",
                                         "nan", "1e3",  "3651d", "99999999999999999999"};

    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++)
        assert_no_duration(broken[i]);
}

static void assert_told(int rc, const struct xfer_error *err, const char *says)
{
    assert_int_equal(rc, -1);
    if (!strstr(err->text, says))
        fail_msg("\"%s\" does not say \"%s\"", err->text, says);
}

static void what_is_too_much_is_told_as_that_however_long_the_number(void **state)
{
    static const char *const long_times[] = {"3651d", "99999999999999d",
                                             "99999999999999999999999ms"};
    static const char *const large[] = {"9000000000000000T", "99999999999999999999999999999999"};
    struct xfer_error err = XFER_ERROR_INIT;
    double seconds;
    int64_t bytes;

    (void)state;
    for (size_t i = 0; i < sizeof(long_times) / sizeof(*long_times); i++)
        assert_told(units_parse_duration(long_times[i], &seconds, &err), &err,
                    "longer than ten years");
    for (size_t i = 0; i < sizeof(large) / sizeof(*large); i++)
        assert_told(units_parse_size(large[i], &bytes, &err), &err, "too large");
    assert_told(units_parse_duration("99999999999999999999y", &seconds, &err), &err, "no duration");
}

static void assert_size_text(int64_t bytes, const char *expected)
{
    char text[16];

    units_format_size(bytes, text, sizeof(text));
    assert_string_equal(text, expected);
}

static void sizes_are_formatted_with_one_decimal(void **state)
{
    (void)state;
    assert_size_text(0, "0 B");
    assert_size_text(1023, "1023 B");
    assert_size_text(1024, "1.0 KiB");
    assert_size_text(INT64_C(3) << 29, "1.5 GiB");
    assert_size_text(1048575, "1.0 MiB");
    assert_size_text(1023 * 1024, "1023.0 KiB");
    assert_size_text(INT64_MAX, "8.0 EiB");
    assert_size_text(-1, "?");
}

static void assert_duration_text(double seconds, const char *expected)
{
    char text[24];

    units_format_duration(seconds, text, sizeof(text));
    assert_string_equal(text, expected);
}

static void durations_are_formatted_like_a_clock(void **state)
{
    (void)state;
    assert_duration_text(0, "0.0 s");
    assert_duration_text(0.4, "0.4 s");
    assert_duration_text(59.94, "59.9 s");
    assert_duration_text(59.96, "1:00");
    assert_duration_text(65, "1:05");
    assert_duration_text(3599.6, "1:00:00");
    assert_duration_text(7800, "2:10:00");
    assert_duration_text(360000, "100:00:00");
    assert_duration_text(-1, "?");
    assert_duration_text(INFINITY, "?");
    assert_duration_text(NAN, "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_without_a_unit_are_bytes),
        cmocka_unit_test(single_letters_are_powers_of_1024),
        cmocka_unit_test(units_with_b_are_powers_of_1000),
        cmocka_unit_test(fractions_are_exact),
        cmocka_unit_test(less_than_a_byte_is_not_zero),
        cmocka_unit_test(sizes_beyond_the_largest_integer_are_refused),
        cmocka_unit_test(what_is_no_size_is_refused),
        cmocka_unit_test(durations_have_units),
        cmocka_unit_test(what_is_no_duration_is_refused),
        cmocka_unit_test(what_is_too_much_is_told_as_that_however_long_the_number),
        cmocka_unit_test(sizes_are_formatted_with_one_decimal),
        cmocka_unit_test(durations_are_formatted_like_a_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
