/* SPDX-License-Identifier: MIT
 *
 * proto/error: the table is whole and consistent, texts are made safe.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "proto/error.h"
#include "proto/text.h"

static void every_code_has_a_name_of_its_own_that_leads_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < XFER_CODE_COUNT; i++) {
        assert_non_null(error_info((enum xfer_code)i)->name);
        assert_int_equal(error_code_by_name(error_info((enum xfer_code)i)->name), i);
    }
}

static void every_failure_has_an_exit_code_other_than_success(void **state)
{
    (void)state;
    for (unsigned i = XFER_OK + 1; i < XFER_CODE_COUNT; i++) {
        assert_in_range(error_info((enum xfer_code)i)->exit_code, 1, 124);
        assert_true(error_info((enum xfer_code)i)->rpc_code < 0);
    }
}

static void the_exit_codes_of_the_contract(void **state)
{
    static const struct {
        enum xfer_code code;
        int exit_code;
    } expected[] = {
        {XFER_INVALID_PARAMS, 2},  {XFER_NO_DAEMON, 3},    {XFER_PERMISSION_DENIED, 4},
        {XFER_NO_SUCH_JOB, 5},     {XFER_NO_SUCH_FILE, 5}, {XFER_DESTINATION_EXISTS, 6},
        {XFER_DIGEST_MISMATCH, 7}, {XFER_NO_SPACE, 8},     {XFER_PEER_DOWN, 9},
        {XFER_CANCELLED, 10},      {XFER_TIMEOUT, 124},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_int_equal(error_info(expected[i].code)->exit_code, expected[i].exit_code);
    assert_int_equal(error_info(XFER_DESTINATION_EXISTS)->rpc_code, -32010);
}

static void an_unknown_number_is_an_internal_error(void **state)
{
    (void)state;
    assert_string_equal(error_info((enum xfer_code)9999)->name, "InternalError");
    assert_string_equal(error_info((enum xfer_code) - 1)->name, "InternalError");
}

static void sides_lead_back(void **state)
{
    (void)state;
    assert_null(error_side_name(XFER_SIDE_NONE));
    for (int i = XFER_SIDE_NONE + 1; i < XFER_SIDE_COUNT; i++)
        assert_int_equal(error_side_by_name(error_side_name((enum xfer_side)i)), i);
    assert_int_equal(error_side_by_name("moon"), XFER_SIDE_NONE);
}

static void setting_returns_minus_one_and_clears_the_rest(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    error_about(&err, XFER_SIDE_SENDER, "/x");
    assert_int_equal(error_set(&err, XFER_IO, "no %s", "luck"), -1);
    assert_string_equal(err.text, "no luck");
    assert_string_equal(err.path, "");
    assert_int_equal(err.side, XFER_SIDE_NONE);
}

static void errno_chooses_the_code_and_is_kept(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    assert_int_equal(error_set_errno(&err, ENOSPC, "%s", "/a"), -1);
    assert_int_equal(err.code, XFER_NO_SPACE);
    assert_int_equal(err.sys_errno, ENOSPC);
    assert_string_equal(err.text, "/a: No space left on device");
}

static void the_reason_survives_a_name_of_any_length(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    char name[XFER_PATH_SIZE];

    (void)state;
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    error_set_errno(&err, EACCES, "%s", name);
    assert_non_null(strstr(err.text, "Permission denied"));
}

static void context_goes_in_front(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    error_set(&err, XFER_IO, "inner");
    assert_int_equal(error_prefix(&err, "outer %d", 1), -1);
    assert_string_equal(err.text, "outer 1: inner");
    assert_int_equal(err.code, XFER_IO);
}

static void context_of_any_length_leaves_the_reason_whole(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    char name[XFER_PATH_SIZE];

    (void)state;
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    for (size_t len = 0; len < 2 * XFER_ERROR_TEXT_SIZE; len++) {
        error_set(&err, XFER_IO, "the reason");
        error_prefix(&err, "%.*s", (int)len, name);
        assert_string_equal(err.text + strlen(err.text) - strlen(": the reason"), ": the reason");
        assert_true(strlen(err.text) < XFER_ERROR_TEXT_SIZE);
    }
    memcpy(err.text, name, sizeof(err.text) - 1);
    err.text[sizeof(err.text) - 1] = '\0';
    error_prefix(&err, "context");
    assert_true(strlen(err.text) < XFER_ERROR_TEXT_SIZE);
}

static void control_characters_never_reach_the_text(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    error_set(&err, XFER_IO,
              "a\033[2Jb\nc\x7f"
              "d\xc2\x9b"
              "31m");
    assert_string_equal(err.text, "a?[2Jb?c?d??31m");
}

static void invalid_utf8_never_reaches_the_text(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    error_set(&err, XFER_IO, "caf\xe9 \xff");
    assert_string_equal(err.text, "caf? ?");
    error_set(&err, XFER_IO, "caf\xc3\xa9");
    assert_string_equal(err.text, "caf\xc3\xa9");
}

static void a_text_that_is_cut_stays_utf8(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    char text[2 * XFER_ERROR_TEXT_SIZE];

    (void)state;
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'a', sizeof(text));
        for (size_t i = shift; i + 3 < sizeof(text); i += 3)
            memcpy(text + i, "\xe2\x82\xac", 3);
        text[sizeof(text) - 3] = '\0';
        error_set(&err, XFER_IO, "%s", text);
        assert_true(text_is_utf8(err.text, strlen(err.text)));
        assert_true(strlen(err.text) > XFER_ERROR_TEXT_SIZE - 8);
        assert_null(strchr(err.text, '?'));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_name_of_its_own_that_leads_back),
        cmocka_unit_test(every_failure_has_an_exit_code_other_than_success),
        cmocka_unit_test(the_exit_codes_of_the_contract),
        cmocka_unit_test(an_unknown_number_is_an_internal_error),
        cmocka_unit_test(sides_lead_back),
        cmocka_unit_test(setting_returns_minus_one_and_clears_the_rest),
        cmocka_unit_test(errno_chooses_the_code_and_is_kept),
        cmocka_unit_test(the_reason_survives_a_name_of_any_length),
        cmocka_unit_test(context_goes_in_front),
        cmocka_unit_test(context_of_any_length_leaves_the_reason_whole),
        cmocka_unit_test(control_characters_never_reach_the_text),
        cmocka_unit_test(invalid_utf8_never_reaches_the_text),
        cmocka_unit_test(a_text_that_is_cut_stays_utf8),
    };

    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
