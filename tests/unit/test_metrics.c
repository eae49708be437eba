/* SPDX-License-Identifier: MIT
 *
 * The text format of Prometheus, where it takes more than a running daemon to show it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ctl/metrics.h"

static const struct control_stats all_known = {.uptime = 1.5,
                                               .generation = 2,
                                               .peer_up = true,
                                               .lanes = 4,
                                               .chunk = 262144,
                                               .store_free_bytes = 9007199254740991,
                                               .store_total_bytes = 0};

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in:\n%s", part, text);
}

static void assert_lacks(const char *text, const char *part)
{
    if (strstr(text, part))
        fail_msg("\"%s\" is in:\n%s", part, text);
}

static void a_version_is_escaped(void **state)
{
    static const struct control_hello hello = {.version = "1\"2\\3\n4"};
    char *text = metrics_format(&hello, &all_known);

    (void)state;
    assert_has(text, "\nxfer_build_info{version=\"1\\\"2\\\\3\\n4\"} 1\n");
    free(text);
}

static void numbers_are_exact(void **state)
{
    static const struct control_hello hello = {.version = "1"};
    char *text = metrics_format(&hello, &all_known);

    (void)state;
    assert_has(text, "\nxfer_store_free_bytes 9007199254740991\n");
    assert_has(text, "\nxfer_store_total_bytes 0\n");
    assert_has(text, "\nxfer_uptime_seconds 1.500000\n");
    assert_has(text, "\nxfer_generation 2\n");
    free(text);
}

static void what_is_not_known_is_left_out(void **state)
{
    static const struct control_hello hello = {.version = "1"};
    static const struct control_stats stats = {.store_free_bytes = -1,
                                               .store_total_bytes = -1,
                                               .attempts_started = -1,
                                               .attempts_failed = -1,
                                               .attempts_bytes = -1};
    char *text = metrics_format(&hello, &stats);

    (void)state;
    assert_lacks(text, "xfer_store");
    assert_lacks(text, "xfer_attempts");
    assert_lacks(text, "xfer_generation");
    assert_lacks(text, "xfer_link");
    assert_has(text, "\nxfer_peer_up 0\n");
    free(text);
}

static void without_a_daemon_there_is_one_metric(void **state)
{
    char *text = metrics_format(NULL, NULL);

    (void)state;
    assert_string_equal(text, "# HELP xfer_up 1 when the daemon has answered.\n"
                              "# TYPE xfer_up gauge\n"
                              "xfer_up 0\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_version_is_escaped),
        cmocka_unit_test(numbers_are_exact),
        cmocka_unit_test(what_is_not_known_is_left_out),
        cmocka_unit_test(without_a_daemon_there_is_one_metric),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
