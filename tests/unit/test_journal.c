/* SPDX-License-Identifier: MIT
 *
 * Entries of the journal: which fields there are, byte by byte, and that a journal that does not
 * take them is not waited for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <limits.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/journal.h"

static void assert_fields(const char *got, size_t n, const char *rest, size_t n_rest)
{
    char head[64];
    int n_head =
        snprintf(head, sizeof head, "SYSLOG_IDENTIFIER=xferd\nSYSLOG_PID=%ld\n", (long)getpid());

    assert_int_equal(n, (size_t)n_head + n_rest);
    assert_memory_equal(got, head, (size_t)n_head);
    assert_memory_equal(got + n_head, rest, n_rest);
}

static void what_is_not_known_has_no_field(void **state)
{
    static const char want[] = "PRIORITY=4\nMESSAGE\n\5\0\0\0\0\0\0\0hello\n";
    const struct journal_entry e = {.priority = 4, .rank = -1, .message = "hello"};
    char out[256];

    (void)state;
    assert_fields(out, journal_encode(out, sizeof out, &e), want, sizeof want - 1);
}

static void job_and_path_are_fields_of_their_own(void **state)
{
    static const char want[] = "PRIORITY=6\nXFER_RANK=0\nXFER_JOB=9007199254740991\n"
                               "XFER_PATH\n\4\0\0\0\0\0\0\0/a\nb\nMESSAGE\n\2\0\0\0\0\0\0\0hi\n";
    const struct journal_entry e = {.priority = 6,
                                    .rank = 0,
                                    .job = INT64_C(9007199254740991),
                                    .path = "/a\nb",
                                    .message = "hi"};
    char out[256];

    (void)state;
    assert_fields(out, journal_encode(out, sizeof out, &e), want, sizeof want - 1);
}

static void the_longest_entry_fits(void **state)
{
    char path[XFER_PATH_SIZE + 1], message[PIPE_BUF + 1],
        out[JOURNAL_FIELDS_SIZE + XFER_PATH_SIZE + PIPE_BUF];
    const struct journal_entry e = {
        .priority = 7, .rank = INT_MAX, .job = INT64_MAX, .path = path, .message = message};

    (void)state;
    memset(path, 'p', sizeof path - 1);
    memset(message, 'm', sizeof message - 1);
    path[sizeof path - 1] = message[sizeof message - 1] = '\0';
    assert_true(journal_encode(out, sizeof out, &e) > XFER_PATH_SIZE + PIPE_BUF);
}

static void what_does_not_fit_is_refused(void **state)
{
    const struct journal_entry e = {.priority = 4, .rank = -1, .message = "hello"};
    char out[256];
    size_t n = journal_encode(out, sizeof out, &e);

    (void)state;
    assert_true(n > 0);
    assert_int_equal(journal_encode(out, n, &e), n);
    for (size_t size = 0; size < n; size++)
        assert_int_equal(journal_encode(out, size, &e), 0);
}

static void a_journal_that_does_not_read_is_not_waited_for(void **state)
{
    const struct journal_entry e = {.priority = 4, .rank = -1, .message = "hello"};
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char dir[] = "/tmp/test_journal_XXXXXX", got[256];
    int to = socket(AF_UNIX, SOCK_DGRAM, 0), from = socket(AF_UNIX, SOCK_DGRAM, 0), taken = 0;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s/socket", dir);
    assert_false(journal_send(from, addr.sun_path, &e)); /* nobody is there */
    assert_int_equal(bind(to, (struct sockaddr *)&addr, sizeof addr), 0);
    while (journal_send(from, addr.sun_path, &e))
        taken++;
    assert_true(taken > 0);
    assert_int_equal(recv(to, got, sizeof got, 0), journal_encode(got, sizeof got, &e));
    assert_true(journal_send(from, addr.sun_path, &e));
    assert_false(journal_send(-1, addr.sun_path, &e));
    unlink(addr.sun_path);
    rmdir(dir);
    close(from);
    close(to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_known_has_no_field),
        cmocka_unit_test(job_and_path_are_fields_of_their_own),
        cmocka_unit_test(the_longest_entry_fits),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(a_journal_that_does_not_read_is_not_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
