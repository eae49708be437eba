/* SPDX-License-Identifier: MIT
 *
 * Default places of daemon and xferctl.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "proto/places.h"

/* The environment of a test: NAME, VALUE, NAME, VALUE, ..., NULL. */
static const char *const *environment;

static const char *env(const char *name)
{
    for (const char *const *e = environment; *e; e += 2)
        if (strcmp(e[0], name) == 0)
            return e[1];
    return NULL;
}

#define ENVIRONMENT(...)                \
    environment = (const char *const[]) \
    {                                   \
        __VA_ARGS__, NULL               \
    }

static void root_has_the_places_of_the_service(void **state)
{
    struct places p;

    (void)state;
    ENVIRONMENT("HOME", "/root", "XDG_RUNTIME_DIR", "/run/user/0", "XDG_STATE_HOME", "/elsewhere");
    assert_int_equal(places_daemon(&p, 0, env, "/root"), 0);
    assert_true(p.service);
    assert_string_equal(p.config, "/etc/xfer/xferd.conf");
    assert_string_equal(p.runtime, "/run/xfer");
    assert_string_equal(p.socket, "/run/xfer/control.sock");
    assert_string_equal(p.queue, "/var/lib/xfer/queue.db");
    assert_string_equal(p.incoming, "/var/lib/xfer/incoming");
}

static void a_runtime_directory_of_systemd_makes_the_service(void **state)
{
    struct places p;

    (void)state;
    ENVIRONMENT("RUNTIME_DIRECTORY", "/run/other:/run/more", "STATE_DIRECTORY", "/srv/state");
    assert_int_equal(places_daemon(&p, 990, env, NULL), 0);
    assert_true(p.service);
    assert_string_equal(p.socket, "/run/other/control.sock");
    assert_string_equal(p.queue, "/srv/state/queue.db");
    assert_string_equal(p.incoming, "/srv/state/incoming");
}

static void a_user_has_places_of_its_own(void **state)
{
    struct places p;

    (void)state;
    ENVIRONMENT("HOME", "/home/u", "XDG_RUNTIME_DIR", "/run/user/1000");
    assert_int_equal(places_daemon(&p, 1000, env, NULL), 0);
    assert_false(p.service);
    assert_string_equal(p.config, "/home/u/.config/xfer/xferd.conf");
    assert_string_equal(p.runtime, "/run/user/1000/xfer");
    assert_string_equal(p.socket, "/run/user/1000/xfer/control.sock");
    assert_string_equal(p.queue, "/home/u/.local/state/xfer/queue.db");
    assert_string_equal(p.incoming, "/home/u/.local/state/xfer/incoming");
}

static void the_xdg_variables_are_followed(void **state)
{
    struct places p;

    (void)state;
    ENVIRONMENT("HOME", "/home/u", "XDG_CONFIG_HOME", "/c", "XDG_STATE_HOME", "/s");
    assert_int_equal(places_daemon(&p, 1000, env, NULL), 0);
    assert_string_equal(p.config, "/c/xfer/xferd.conf");
    assert_string_equal(p.queue, "/s/xfer/queue.db");
    assert_string_equal(p.incoming, "/s/xfer/incoming");
}

static void without_a_runtime_directory_the_socket_is_under_tmp(void **state)
{
    struct places p;

    (void)state;
    ENVIRONMENT("HOME", "/home/u", "XDG_RUNTIME_DIR", "");
    assert_int_equal(places_daemon(&p, 1000, env, NULL), 0);
    assert_string_equal(p.runtime, "/tmp/xfer-1000");
    assert_string_equal(p.socket, "/tmp/xfer-1000/control.sock");
}

static void relative_and_empty_variables_are_ignored(void **state)
{
    struct places p;

    (void)state;
    ENVIRONMENT("HOME", "here", "XDG_CONFIG_HOME", "c", "XDG_STATE_HOME", "", "XDG_RUNTIME_DIR",
                "run");
    assert_int_equal(places_daemon(&p, 1000, env, "/home/passwd"), 0);
    assert_string_equal(p.config, "/home/passwd/.config/xfer/xferd.conf");
    assert_string_equal(p.queue, "/home/passwd/.local/state/xfer/queue.db");
    assert_string_equal(p.runtime, "/tmp/xfer-1000");
}

static void without_a_home_only_a_state_directory_helps(void **state)
{
    struct places p;

    (void)state;
    ENVIRONMENT("XDG_RUNTIME_DIR", "/run/user/1000");
    assert_int_equal(places_daemon(&p, 1000, env, NULL), -1);
    ENVIRONMENT("XDG_STATE_HOME", "/s");
    assert_int_equal(places_daemon(&p, 1000, env, NULL), 0);
    assert_string_equal(p.config, "");
}

static void a_path_that_does_not_fit_is_an_error(void **state)
{
    static char home[XFER_PATH_SIZE];
    struct places p;

    (void)state;
    memset(home, 'h', sizeof(home) - 1);
    home[0] = '/';
    ENVIRONMENT("HOME", home);
    assert_int_equal(places_daemon(&p, 1000, env, NULL), -1);
}

static void a_socket_that_was_named_is_the_only_one(void **state)
{
    char out[PLACES_SOCKETS_MAX][XFER_PATH_SIZE];
    bool must_own[PLACES_SOCKETS_MAX];

    (void)state;
    ENVIRONMENT("XFER_SOCKET", "there.sock", "XDG_RUNTIME_DIR", "/run/user/1000");
    assert_int_equal(places_sockets(out, must_own, 1000, env), 1);
    assert_string_equal(out[0], "there.sock");
    assert_false(must_own[0]);
}

static void root_looks_only_at_the_service(void **state)
{
    char out[PLACES_SOCKETS_MAX][XFER_PATH_SIZE];
    bool must_own[PLACES_SOCKETS_MAX];

    (void)state;
    ENVIRONMENT("XDG_RUNTIME_DIR", "/run/user/1000");
    assert_int_equal(places_sockets(out, must_own, 0, env), 1);
    assert_string_equal(out[0], "/run/xfer/control.sock");
    assert_false(must_own[0]);
}

static void a_user_looks_at_its_own_sockets_first(void **state)
{
    char out[PLACES_SOCKETS_MAX][XFER_PATH_SIZE];
    bool must_own[PLACES_SOCKETS_MAX];

    (void)state;
    ENVIRONMENT("XDG_RUNTIME_DIR", "/my/run");
    assert_int_equal(places_sockets(out, must_own, 1000, env), 4);
    assert_string_equal(out[0], "/my/run/xfer/control.sock");
    assert_string_equal(out[1], "/run/user/1000/xfer/control.sock");
    assert_string_equal(out[2], "/tmp/xfer-1000/control.sock");
    assert_string_equal(out[3], "/run/xfer/control.sock");
    assert_true(must_own[0] && must_own[1] && must_own[2]);
    assert_false(must_own[3]);
}

static void no_socket_is_listed_twice(void **state)
{
    char out[PLACES_SOCKETS_MAX][XFER_PATH_SIZE];
    bool must_own[PLACES_SOCKETS_MAX];

    (void)state;
    ENVIRONMENT("XDG_RUNTIME_DIR", "/run/user/1000");
    assert_int_equal(places_sockets(out, must_own, 1000, env), 3);
    assert_string_equal(out[0], "/run/user/1000/xfer/control.sock");
    assert_string_equal(out[1], "/tmp/xfer-1000/control.sock");
    assert_string_equal(out[2], "/run/xfer/control.sock");
}

static void the_daemon_listens_where_xferctl_looks(void **state)
{
    char out[PLACES_SOCKETS_MAX][XFER_PATH_SIZE];
    bool must_own[PLACES_SOCKETS_MAX];
    struct places p;

    (void)state;
    ENVIRONMENT("HOME", "/home/u");
    assert_int_equal(places_daemon(&p, 1000, env, NULL), 0);
    assert_int_equal(places_sockets(out, must_own, 1000, env), 3);
    assert_string_equal(out[1], p.socket);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_has_the_places_of_the_service),
        cmocka_unit_test(a_runtime_directory_of_systemd_makes_the_service),
        cmocka_unit_test(a_user_has_places_of_its_own),
        cmocka_unit_test(the_xdg_variables_are_followed),
        cmocka_unit_test(without_a_runtime_directory_the_socket_is_under_tmp),
        cmocka_unit_test(relative_and_empty_variables_are_ignored),
        cmocka_unit_test(without_a_home_only_a_state_directory_helps),
        cmocka_unit_test(a_path_that_does_not_fit_is_an_error),
        cmocka_unit_test(a_socket_that_was_named_is_the_only_one),
        cmocka_unit_test(root_looks_only_at_the_service),
        cmocka_unit_test(a_user_looks_at_its_own_sockets_first),
        cmocka_unit_test(no_socket_is_listed_twice),
        cmocka_unit_test(the_daemon_listens_where_xferctl_looks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
