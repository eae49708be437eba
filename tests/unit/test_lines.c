/* SPDX-License-Identifier: MIT
 *
 * Cutting a byte stream into lines.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "proto/lines.h"

static void feed(struct lines *l, const char *bytes, size_t len)
{
    size_t room;
    char *at = lines_space(l, len, &room);

    assert_non_null(at);
    assert_true(room >= len);
    memcpy(at, bytes, len);
    lines_added(l, len);
}

static void feed_text(struct lines *l, const char *text)
{
    feed(l, text, strlen(text));
}

static void assert_line(struct lines *l, const char *expected)
{
    char *line;
    size_t len;

    assert_int_equal(lines_next(l, &line, &len), 1);
    assert_string_equal(line, expected);
    assert_int_equal(len, strlen(expected));
}

static void assert_none(struct lines *l, int expected)
{
    char *line;
    size_t len;

    assert_int_equal(lines_next(l, &line, &len), expected);
}

static void lines_are_cut_at_lf(void **state)
{
    struct lines l;

    (void)state;
    lines_init(&l, 100);
    feed_text(&l, "one\ntwo\n\nthree\n");
    assert_line(&l, "one");
    assert_line(&l, "two");
    assert_line(&l, "");
    assert_line(&l, "three");
    assert_none(&l, 0);
    lines_free(&l);
}

static void one_cr_before_the_lf_is_dropped(void **state)
{
    struct lines l;

    (void)state;
    lines_init(&l, 100);
    feed_text(&l, "one\r\ntwo\r\r\n\r\nthr\ree\n");
    assert_line(&l, "one");
    assert_line(&l, "two\r");
    assert_line(&l, "");
    assert_line(&l, "thr\ree");
    lines_free(&l);
}

static void a_line_may_come_byte_by_byte(void **state)
{
    static const char text[] = "hello\r\nworld\n";
    struct lines l;

    (void)state;
    lines_init(&l, 100);
    for (size_t i = 0; i < 6; i++) {
        feed(&l, text + i, 1);
        assert_none(&l, 0);
    }
    feed(&l, text + 6, 1);
    assert_line(&l, "hello");
    feed_text(&l, text + 7);
    assert_line(&l, "world");
    lines_free(&l);
}

static void a_line_may_hold_nul_bytes(void **state)
{
    struct lines l;
    char *line;
    size_t len;

    (void)state;
    lines_init(&l, 100);
    feed(&l, "a\0b\n", 4);
    assert_int_equal(lines_next(&l, &line, &len), 1);
    assert_int_equal(len, 3);
    assert_memory_equal(line, "a\0b", 4);
    lines_free(&l);
}

static void the_longest_line_is_taken_with_lf_and_with_crlf(void **state)
{
    struct lines l;

    (void)state;
    lines_init(&l, 4);
    feed_text(&l, "1234\n");
    assert_line(&l, "1234");
    feed_text(&l, "1234\r");
    assert_none(&l, 0);
    feed_text(&l, "\n");
    assert_line(&l, "1234");
    lines_free(&l);
}

static void a_longer_line_is_refused_and_stays_refused(void **state)
{
    struct lines l;

    (void)state;
    lines_init(&l, 4);
    feed_text(&l, "ok\n12345\nok\n");
    assert_line(&l, "ok");
    assert_none(&l, -1);
    assert_none(&l, -1);
    lines_free(&l);
}

static void a_longer_line_is_refused_before_its_end_has_come(void **state)
{
    struct lines l;

    (void)state;
    lines_init(&l, 4);
    feed_text(&l, "12345");
    assert_none(&l, -1);
    lines_free(&l);
    feed_text(&l, "1234\r5");
    assert_none(&l, -1);
    lines_free(&l);
}

static void the_buffer_is_bounded(void **state)
{
    struct lines l;
    size_t room;

    (void)state;
    lines_init(&l, 1000);
    for (int i = 0; i < 1002; i++)
        feed(&l, "x", 1);
    assert_non_null(lines_space(&l, 500, &room));
    assert_true(l.size <= 1000 + 2 + 500 + 4096);
    memset(lines_space(&l, 1, &room), 'x', 1);
    lines_added(&l, 1);
    assert_null(lines_space(&l, 1, &room));
    assert_none(&l, -1);
    lines_free(&l);
}

static void a_large_buffer_is_given_back_when_drained(void **state)
{
    static char text[300000];
    struct lines l;
    char *line;
    size_t len;

    (void)state;
    lines_init(&l, sizeof(text));
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\n';
    feed(&l, text, sizeof(text));
    assert_int_equal(lines_next(&l, &line, &len), 1);
    assert_int_equal(len, sizeof(text) - 1);
    assert_none(&l, 0);
    assert_int_equal(l.size, 0);
    feed_text(&l, "next\n");
    assert_line(&l, "next");
    lines_free(&l);
}

static void what_is_no_line_yet_is_pending(void **state)
{
    struct lines l;

    (void)state;
    lines_init(&l, 100);
    assert_int_equal(lines_pending(&l), 0);
    feed_text(&l, "one\ntw");
    assert_line(&l, "one");
    assert_int_equal(lines_pending(&l), 2);
    feed_text(&l, "o\n");
    assert_line(&l, "two");
    assert_int_equal(lines_pending(&l), 0);
    lines_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_cut_at_lf),
        cmocka_unit_test(one_cr_before_the_lf_is_dropped),
        cmocka_unit_test(a_line_may_come_byte_by_byte),
        cmocka_unit_test(a_line_may_hold_nul_bytes),
        cmocka_unit_test(the_longest_line_is_taken_with_lf_and_with_crlf),
        cmocka_unit_test(a_longer_line_is_refused_and_stays_refused),
        cmocka_unit_test(a_longer_line_is_refused_before_its_end_has_come),
        cmocka_unit_test(the_buffer_is_bounded),
        cmocka_unit_test(a_large_buffer_is_given_back_when_drained),
        cmocka_unit_test(what_is_no_line_yet_is_pending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
