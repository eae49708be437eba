/* SPDX-License-Identifier: MIT
 *
 * The text of the progress bar: what it counts, and what it does not promise while totals grow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ctl/progress.h"

static char line[257];

static const char *format(const struct progress_state *state, size_t width)
{
    size_t len = progress_format(state, width, line, sizeof(line));

    assert_int_equal(len, strlen(line));
    return line;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in: %s", part, text);
}

static void assert_lacks(const char *text, const char *part)
{
    if (strstr(text, part))
        fail_msg("\"%s\" is in: %s", part, text);
}

static void test_one_file_is_told_by_its_bytes(void **state)
{
    struct progress_state s = {
        .bytes_done = 512, .bytes_total = 1024, .rate = 256, .files = 1, .jobs = 1};

    (void)state;
    assert_has(format(&s, 120), " 50%");
    assert_has(line, "512 B / 1.0 KiB ");
    assert_has(line, "ETA 2.0 s");
    assert_lacks(line, "files");
    assert_lacks(line, "jobs");
}

static void test_files_of_a_tree_are_counted(void **state)
{
    struct progress_state s = {
        .bytes_done = 10, .bytes_total = 100, .files_done = 3, .files = 30, .jobs = 1};

    (void)state;
    assert_has(format(&s, 120), "  3/30 files");
    assert_has(line, " 10%");
}

static void test_totals_that_grow_are_marked_and_nothing_is_said_of_the_end(void **state)
{
    struct progress_state s = {.bytes_done = 10,
                               .bytes_total = 100,
                               .rate = 10,
                               .files_done = 3,
                               .files = 30,
                               .growing = true,
                               .jobs = 1};

    (void)state;
    assert_has(format(&s, 120), "  3/30+ files");
    assert_has(line, "/ 100 B+ ");
    assert_has(line, "ETA - ");
    s.growing = false;
    assert_has(format(&s, 120), "ETA 9.0 s");
    assert_lacks(line, "+");
}

static void test_a_total_that_grows_takes_the_bar_back_and_never_beyond_its_ends(void **state)
{
    struct progress_state s = {.bytes_done = 100, .bytes_total = 100, .growing = true, .jobs = 1};

    (void)state;
    assert_has(format(&s, 120), "100%");
    s.bytes_total = 1000;
    assert_has(format(&s, 120), " 10%");
    s.bytes_total = 50;
    assert_has(format(&s, 120), "100%");
}

static void test_trees_of_empty_files_advance_by_their_files(void **state)
{
    struct progress_state s = {.files_done = 5, .files = 20, .jobs = 1};

    (void)state;
    assert_has(format(&s, 120), " 25%");
}

static void test_no_line_is_wider_than_the_terminal(void **state)
{
    struct progress_state s = {.bytes_done = INT64_MAX / 2,
                               .bytes_total = INT64_MAX,
                               .rate = 1e12,
                               .files_done = INT64_MAX / 2,
                               .files = INT64_MAX,
                               .growing = true,
                               .jobs_done = 99999,
                               .jobs = 100000};

    (void)state;
    for (size_t width = 1; width <= 256; width++) {
        format(&s, width);
        assert_true(strlen(line) < width);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_file_is_told_by_its_bytes),
        cmocka_unit_test(test_files_of_a_tree_are_counted),
        cmocka_unit_test(test_totals_that_grow_are_marked_and_nothing_is_said_of_the_end),
        cmocka_unit_test(test_a_total_that_grows_takes_the_bar_back_and_never_beyond_its_ends),
        cmocka_unit_test(test_trees_of_empty_files_advance_by_their_files),
        cmocka_unit_test(test_no_line_is_wider_than_the_terminal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
