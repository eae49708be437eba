/* SPDX-License-Identifier: MIT
 *
 * UTF-8, base64, escaped names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "proto/text.h"

#define UTF8(s) text_is_utf8((s), sizeof(s) - 1)

static void utf8_takes_well_formed_text(void **state)
{
    (void)state;
    assert_true(UTF8(""));
    assert_true(UTF8("plain"));
    assert_true(UTF8("\xc2\x80 \xdf\xbf"));
    assert_true(UTF8("\xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf"));
    assert_true(UTF8("\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"));
    assert_true(UTF8("a\0b"));
}

static void utf8_refuses_overlong_forms(void **state)
{
    (void)state;
    assert_false(UTF8("\xc0\xaf"));
    assert_false(UTF8("\xc1\xbf"));
    assert_false(UTF8("\xe0\x9f\xbf"));
    assert_false(UTF8("\xf0\x8f\xbf\xbf"));
}

static void utf8_refuses_surrogates(void **state)
{
    (void)state;
    assert_false(UTF8("\xed\xa0\x80"));
    assert_false(UTF8("\xed\xbf\xbf"));
}

static void utf8_refuses_code_points_beyond_the_last(void **state)
{
    (void)state;
    assert_false(UTF8("\xf4\x90\x80\x80"));
    assert_false(UTF8("\xf5\x80\x80\x80"));
    assert_false(UTF8("\xff"));
}

static void utf8_refuses_what_is_cut_or_misplaced(void **state)
{
    (void)state;
    assert_false(UTF8("\x80"));
    assert_false(UTF8("\xc3"));
    assert_false(UTF8("\xe2\x82"));
    assert_false(UTF8("\xf0\x9f\x98"));
    assert_false(UTF8("\xc3(\xa9"));
}

static void base64_encodes_the_examples_of_the_rfc(void **state)
{
    static const char *const pairs[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        char *text = text_base64_encode(pairs[i][0], strlen(pairs[i][0]));

        assert_string_equal(text, pairs[i][1]);
        free(text);
    }
}

static void base64_gives_back_any_bytes(void **state)
{
    unsigned char bytes[256], back[256];
    size_t back_len;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 7 + 3);
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        char *text = text_base64_encode(bytes, len);

        assert_int_equal(text_base64_decode(text, strlen(text), back, len, &back_len), 0);
        assert_int_equal(back_len, len);
        assert_memory_equal(bytes, back, len);
        free(text);
    }
}

static void base64_refuses_what_is_not_canonical(void **state)
{
    static const char *const broken[] = {
        "Z",    "Zg",   "Zg=",   "Zg===",  "====", "A===",     "=Zg=",     "Zg=A",
        "Zh==", "Zm9=", "Zm 9v", "Zm9v\n", "Zm-_", "Zg==Zg==", "Zm9v\xff", " Zg==",
    };
    char out[32];
    size_t len;

    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++)
        assert_int_equal(text_base64_decode(broken[i], strlen(broken[i]), out, sizeof(out), &len),
                         -1);
}

static void base64_refuses_what_does_not_fit(void **state)
{
    char out[3];
    size_t len;

    (void)state;
    assert_int_equal(text_base64_decode("Zm9v", 4, out, 3, &len), 0);
    assert_int_equal(text_base64_decode("Zm9vYg==", 8, out, 3, &len), -1);
}

static void assert_escaped(const char *name, const char *expected, bool expected_mark)
{
    bool escaped = !expected_mark;
    char *text = text_escape_name(name, &escaped);

    assert_string_equal(text, expected);
    assert_true(escaped == expected_mark);
    free(text);
}

static void plain_names_stay_as_they_are(void **state)
{
    (void)state;
    assert_escaped("a b.bin", "a b.bin", false);
    assert_escaped("\xff\x01\x1b[0m", "\xff\x01\x1b[0m", false);
    assert_escaped("", "", false);
}

static void names_with_line_ends_and_backslashes_are_escaped(void **state)
{
    (void)state;
    assert_escaped("a\nb", "a\\nb", true);
    assert_escaped("a\rb", "a\\rb", true);
    assert_escaped("a\\b", "a\\\\b", true);
}

static void assert_printable(const char *name, const char *expected)
{
    char *text = text_printable(name);

    assert_string_equal(text, expected);
    free(text);
}

static void printable_shows_what_a_terminal_would_obey(void **state)
{
    (void)state;
    assert_printable("a\x1b[0m\x7f\t", "a\\x1b[0m\\x7f\\x09");
    assert_printable("a\nb\\c\r", "a\\nb\\\\c\\r");
    assert_printable("\xc2\x9b", "\\xc2\\x9b");
}

static void printable_keeps_utf8_and_shows_other_bytes(void **state)
{
    (void)state;
    assert_printable("f\xc3\xbcr \xf0\x9f\x98\x80", "f\xc3\xbcr \xf0\x9f\x98\x80");
    assert_printable("f\xfcr", "f\\xfcr");
    assert_printable("\xe2\x82", "\\xe2\\x82");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_takes_well_formed_text),
        cmocka_unit_test(utf8_refuses_overlong_forms),
        cmocka_unit_test(utf8_refuses_surrogates),
        cmocka_unit_test(utf8_refuses_code_points_beyond_the_last),
        cmocka_unit_test(utf8_refuses_what_is_cut_or_misplaced),
        cmocka_unit_test(base64_encodes_the_examples_of_the_rfc),
        cmocka_unit_test(base64_gives_back_any_bytes),
        cmocka_unit_test(base64_refuses_what_is_not_canonical),
        cmocka_unit_test(base64_refuses_what_does_not_fit),
        cmocka_unit_test(plain_names_stay_as_they_are),
        cmocka_unit_test(names_with_line_ends_and_backslashes_are_escaped),
        cmocka_unit_test(printable_shows_what_a_terminal_would_obey),
        cmocka_unit_test(printable_keeps_utf8_and_shows_other_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
