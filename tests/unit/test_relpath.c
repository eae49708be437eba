/* SPDX-License-Identifier: MIT
 *
 * proto/relpath: what a destination may be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/relpath.h"

static void expect(const char *source, const char *dest, const char *result)
{
    struct xfer_error err = XFER_ERROR_INIT;
    char out[XFER_PATH_SIZE];

    if (relpath_resolve(source, dest, out, &err))
        fail_msg("%s: %s", dest, err.text);
    assert_string_equal(out, result);
    assert_int_equal(relpath_check(out, strlen(out), &err), 0);
}

static void refuse(const char *source, const char *dest, enum xfer_code code)
{
    struct xfer_error err = XFER_ERROR_INIT;
    char out[XFER_PATH_SIZE];

    if (relpath_resolve(source, dest, out, &err) == 0)
        fail_msg("\"%s\" became \"%s\"", dest, out);
    assert_int_equal(err.code, code);
    assert_true(strlen(err.text) > 0);
}

static void without_a_destination_the_own_name_is_used(void **state)
{
    (void)state;
    expect("/data/a.bin", NULL, "a.bin");
    expect("/data/a.bin", "", "a.bin");
    expect("/data/a.bin///", NULL, "a.bin");
}

static void a_trailing_slash_makes_it_a_directory(void **state)
{
    (void)state;
    expect("/data/a.bin", "in/", "in/a.bin");
    expect("/data/a.bin", "in", "in");
    expect("/data/a.bin", "./", "a.bin");
}

static void repeated_slashes_and_dots_are_dropped(void **state)
{
    (void)state;
    expect("/x", "a//b/./c", "a/b/c");
    expect("/x", "./a", "a");
}

static void leaving_the_root_is_refused(void **state)
{
    (void)state;
    refuse("/x", "/etc/passwd", XFER_INVALID_DESTINATION);
    refuse("/x", "..", XFER_INVALID_DESTINATION);
    refuse("/x", "../x", XFER_INVALID_DESTINATION);
    refuse("/x", "a/../../x", XFER_INVALID_DESTINATION);
    refuse("/x", "a/..", XFER_INVALID_DESTINATION);
}

static void names_of_xfer_itself_are_refused(void **state)
{
    (void)state;
    refuse("/x", ".xfer", XFER_INVALID_DESTINATION);
    refuse("/x", "a/.xfer-1", XFER_INVALID_DESTINATION);
    refuse("/d/.xfer", NULL, XFER_INVALID_DESTINATION);
    expect("/x", "a/.xfe", "a/.xfe");
    expect("/x", "xfer", "xfer");
}

static void a_source_without_a_name_needs_a_destination(void **state)
{
    (void)state;
    refuse("/", NULL, XFER_INVALID_DESTINATION);
    refuse("/a/..", NULL, XFER_INVALID_DESTINATION);
    refuse("/a/.", "d/", XFER_INVALID_DESTINATION);
    expect("/a/..", "d", "d");
}

static void nothing_but_dots_and_slashes_is_refused(void **state)
{
    (void)state;
    refuse("/x", ".", XFER_INVALID_DESTINATION);
}

static void any_other_byte_is_a_name(void **state)
{
    char name[256] = "/d/";
    size_t n = 3;

    (void)state;
    for (int c = 1; c < 128; c++)
        if (c != '/')
            name[n++] = (char)c;
    name[n] = '\0';
    expect(name, NULL, name + 3);
    expect("/d/\xff\xfe", NULL, "\xff\xfe");
    expect("/d/...", NULL, "...");
}

static void components_up_to_255_bytes_fit(void **state)
{
    char name[300] = "/";

    (void)state;
    memset(name + 1, 'n', 255);
    name[256] = '\0';
    expect(name, NULL, name + 1);
    name[256] = 'n';
    name[257] = '\0';
    refuse(name, NULL, XFER_NAME_TOO_LONG);
}

static void paths_up_to_4095_bytes_fit(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    char path[XFER_PATH_SIZE + 1];

    (void)state;
    for (size_t i = 0; i < sizeof(path); i++)
        path[i] = i % 2 ? '/' : 'a';
    assert_int_equal(relpath_check(path, XFER_PATH_SIZE - 1, &err), 0);
    path[XFER_PATH_SIZE - 1] = 'b';
    assert_int_equal(relpath_check(path, XFER_PATH_SIZE, &err), -1);
    assert_int_equal(err.code, XFER_NAME_TOO_LONG);
}

static void the_check_refuses_what_is_not_normal(void **state)
{
    static const char *const wrong[] = {"",    "/",  "/a",     "a/",    "a//b",     "./a",
                                        "a/.", "..", "a/../b", ".xfer", "a/.xfer/b"};
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (relpath_check(wrong[i], strlen(wrong[i]), &err) == 0)
            fail_msg("\"%s\" passed", wrong[i]);
    assert_int_equal(relpath_check("a\0b", 3, &err), -1);
}

static void same_and_nested_destinations_conflict(void **state)
{
    (void)state;
    assert_true(relpath_conflict("a", "a"));
    assert_true(relpath_conflict("a", "a/b"));
    assert_true(relpath_conflict("a/b", "a"));
    assert_true(relpath_conflict("a/b", "a/b/c/d"));
    assert_false(relpath_conflict("a", "ab"));
    assert_false(relpath_conflict("a/b", "a/c"));
    assert_false(relpath_conflict("a/bc", "a/b"));
    assert_false(relpath_conflict("a-b", "a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_destination_the_own_name_is_used),
        cmocka_unit_test(a_trailing_slash_makes_it_a_directory),
        cmocka_unit_test(repeated_slashes_and_dots_are_dropped),
        cmocka_unit_test(leaving_the_root_is_refused),
        cmocka_unit_test(names_of_xfer_itself_are_refused),
        cmocka_unit_test(a_source_without_a_name_needs_a_destination),
        cmocka_unit_test(nothing_but_dots_and_slashes_is_refused),
        cmocka_unit_test(any_other_byte_is_a_name),
        cmocka_unit_test(components_up_to_255_bytes_fit),
        cmocka_unit_test(paths_up_to_4095_bytes_fit),
        cmocka_unit_test(the_check_refuses_what_is_not_normal),
        cmocka_unit_test(same_and_nested_destinations_conflict),
    };

    return cmocka_run_group_tests_name("relpath", tests, NULL, NULL);
}
