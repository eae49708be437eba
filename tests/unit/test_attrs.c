/* SPDX-License-Identifier: MIT
 *
 * proto/attrs: pairs there and back, what is refused, and which names travel.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/attrs.h"
#include "proto/control_method.h"

#define ALL ((uint32_t)PRESERVE_ALL)

static unsigned char buf[4096];

static struct attrs_writer writer(void)
{
    return (struct attrs_writer){.buf = buf, .size = sizeof buf};
}

/* Without any check. */
static void add(struct attrs_writer *w, const char *name, const char *value)
{
    assert_int_equal(attrs_put(w, name, value, strlen(value)), 0);
}

static void refuses(const void *bytes, size_t len, uint32_t preserve, const char *why)
{
    struct xfer_error err = XFER_ERROR_INIT;

    assert_int_equal(attrs_check(bytes, len, preserve, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
    if (!strstr(err.text, why))
        fail_msg("\"%s\" says nothing of \"%s\"", err.text, why);
}

static void test_pairs_come_back_as_they_were_written(void **state)
{
    static const char *const pairs[][2] = {
        {"system.posix_acl_access", "\2"}, {"trusted.x", "trust"}, {"user.a", ""}, {"user.b", "v"}};
    struct attrs_writer w = writer();
    struct attrs_reader r;
    struct xfer_error err;
    struct attr attr;

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        add(&w, pairs[i][0], pairs[i][1]);
    assert_int_equal(attrs_check(buf, w.len, ALL, &err), 0);
    r = (struct attrs_reader){.bytes = buf, .len = w.len};
    for (unsigned i = 0; i < 4; i++) {
        assert_true(attrs_next(&r, &attr));
        assert_string_equal(attr.name, pairs[i][0]);
        assert_int_equal(attr.value_len, strlen(pairs[i][1]));
        assert_memory_equal(attr.value, pairs[i][1], attr.value_len);
    }
    assert_false(attrs_next(&r, &attr));
}

static void test_the_bytes_are_those_of_the_specification(void **state)
{
    static const unsigned char bytes[] = {6, 0, 2, 0, 0, 0, 'u', 's', 'e', 'r', '.', 'a', 'h', 'i'};
    struct attrs_writer w = writer();

    (void)state;
    add(&w, "user.a", "hi");
    assert_int_equal(w.len, sizeof bytes);
    assert_memory_equal(buf, bytes, sizeof bytes);
}

static void test_every_cut_is_refused(void **state)
{
    struct attrs_writer w = writer();
    struct xfer_error err;
    size_t first;

    (void)state;
    add(&w, "user.a", "one");
    first = w.len;
    add(&w, "user.b", "two");
    for (size_t len = 1; len < w.len; len++)
        if (len != first)
            refuses(buf, len, ALL, "midst of a pair");
    assert_int_equal(attrs_check(buf, first, ALL, &err), 0);
}

static void test_names_out_of_order_and_twice_are_refused(void **state)
{
    struct attrs_writer w = writer();

    (void)state;
    add(&w, "user.b", "");
    add(&w, "user.a", "");
    refuses(buf, w.len, ALL, "order");
    w = writer();
    add(&w, "user.a", "");
    add(&w, "user.a", "");
    refuses(buf, w.len, ALL, "order");
}

static void test_lengths_beyond_their_limits_are_refused(void **state)
{
    struct attrs_writer w = writer();

    (void)state;
    refuses(buf, 0, ALL, "number of bytes");
    refuses(buf, XFER_ATTRS_MAX + 1, ALL, "number of bytes");
    add(&w, "user.a", "");
    buf[0] = 0;
    refuses(buf, w.len, ALL, "length of a name");
    buf[1] = 1;
    refuses(buf, w.len, ALL, "length of a name");
    w = writer();
    add(&w, "user.a", "");
    buf[4] = 1;
    buf[2] = 1;
    refuses(buf, w.len, ALL, "length of a value");
}

static void test_a_name_with_a_nul_is_refused(void **state)
{
    struct attrs_writer w = writer();

    (void)state;
    add(&w, "user.a", "");
    buf[8] = '\0';
    refuses(buf, w.len, ALL, "bad name");
}

static void test_names_that_are_not_preserved_are_refused(void **state)
{
    static const char *const never[] = {"user.",
                                        "security.selinux",
                                        "security.SMACK64EXEC",
                                        "security.apparmor",
                                        "security.evm",
                                        "system.nfs4_acl",
                                        "userx",
                                        "trusted."};
    struct attrs_writer w;

    (void)state;
    for (unsigned i = 0; i < sizeof never / sizeof *never; i++) {
        w = writer();
        add(&w, never[i], "");
        refuses(buf, w.len, ALL, "not preserved");
    }
    w = writer();
    add(&w, "user.a", "");
    refuses(buf, w.len, ALL & ~(uint32_t)PRESERVE_XATTR, "not preserved");
}

static void test_lists_and_attributes_are_preserved_apart(void **state)
{
    (void)state;
    assert_true(attrs_are_of(ATTRS_ACL_ACCESS, PRESERVE_ACL));
    assert_true(attrs_are_of(ATTRS_ACL_DEFAULT, PRESERVE_ACL));
    assert_false(attrs_are_of(ATTRS_ACL_ACCESS, PRESERVE_XATTR));
    assert_false(attrs_are_of("user.a", PRESERVE_ACL));
    assert_true(attrs_are_of("user.a", PRESERVE_XATTR));
    assert_true(attrs_are_of("security.ima", PRESERVE_XATTR));
}

static void test_file_capabilities_go_with_the_owner_alone(void **state)
{
    (void)state;
    assert_false(attrs_are_of("security.capability", PRESERVE_XATTR));
    assert_true(attrs_are_of("security.capability", PRESERVE_XATTR | PRESERVE_OWNER));
}

static void test_what_does_not_fit_is_not_written(void **state)
{
    struct attrs_writer w = {.buf = buf, .size = 20};

    (void)state;
    assert_int_equal(attrs_put(&w, "user.a", "12345678", 8), 0);
    assert_int_equal(attrs_put(&w, "user.b", "", 0), -1);
    assert_int_equal(w.len, attrs_size_of("user.a", 8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs_come_back_as_they_were_written),
        cmocka_unit_test(test_the_bytes_are_those_of_the_specification),
        cmocka_unit_test(test_every_cut_is_refused),
        cmocka_unit_test(test_names_out_of_order_and_twice_are_refused),
        cmocka_unit_test(test_lengths_beyond_their_limits_are_refused),
        cmocka_unit_test(test_a_name_with_a_nul_is_refused),
        cmocka_unit_test(test_names_that_are_not_preserved_are_refused),
        cmocka_unit_test(test_lists_and_attributes_are_preserved_apart),
        cmocka_unit_test(test_file_capabilities_go_with_the_owner_alone),
        cmocka_unit_test(test_what_does_not_fit_is_not_written),
    };

    return cmocka_run_group_tests_name("attrs", tests, NULL, NULL);
}
