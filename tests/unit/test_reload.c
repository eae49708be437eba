/* SPDX-License-Identifier: MIT
 *
 * What a reload is made of: what differs between two configurations, the settings on their way to
 * the ranks, and a reading on a worker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <ev.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/handoff.h"
#include "daemon/reread.h"
#include "daemon/sealed.h"
#include "daemon/settings.h"

static struct conf running, fresh;

static int make_confs(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    assert_int_equal(conf_init(&running, &err), 0);
    fresh = running;
    return 0;
}

static void set(struct conf *conf, const char *assignment)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (conf_set(conf, assignment, &err) < 0)
        fail_msg("%s", err.text);
}

/* ---- what differs ---- */

static void what_is_the_same_is_not_named(void **state)
{
    struct reread_changes changes;

    (void)state;
    memset(running.peer_user + 1, 'x', 8); /* behind the text's end */
    reread_compare(&running, &fresh, &changes);
    assert_string_equal(changes.live, "");
    assert_string_equal(changes.restart, "");
}

static void what_differs_is_named_by_when_it_counts(void **state)
{
    struct reread_changes changes;

    (void)state;
    set(&fresh, "link.lanes=7");
    set(&fresh, "queue.retries=9");
    set(&fresh, "control.admins=1000");
    set(&fresh, "peer.host=other");
    reread_compare(&running, &fresh, &changes);
    assert_string_equal(changes.live, "control.admins, queue.retries");
    assert_string_equal(changes.restart, "peer.host, link.lanes");
}

static void the_names_of_all_keys_find_room_in_a_message(void **state)
{
    size_t len = 0;

    (void)state;
    for (size_t i = 0; i < conf_keys(); i++) {
        char name[CONF_NAME_SIZE];

        conf_name(i, name);
        assert_non_null(strchr(name, '.'));
        len += strlen(name) + 2;
    }
    assert_true(len < sizeof(((struct handoff_message *)0)->text));
}

static void only_live_keys_are_copied(void **state)
{
    (void)state;
    set(&fresh, "link.lanes=7");
    set(&fresh, "queue.history=9");
    set(&fresh, "log.level=debug");
    set(&fresh, "hook.command=/bin/true");
    conf_copy_live(&running, &fresh);
    for (size_t i = 0; i < conf_keys(); i++) {
        char name[CONF_NAME_SIZE];

        conf_name(i, name);
        if (!conf_is_same(&running, &fresh, i))
            assert_string_equal(name, "link.lanes");
    }
    assert_int_equal(running.link_lanes, 4);
}

/* ---- on the way to the ranks ---- */

static void settings_arrive_as_they_are(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    char admins[sizeof fresh.control_admins + 32] = "control.admins=";
    int fd;

    (void)state;
    while (strlen(admins) < sizeof fresh.control_admins - 20)
        strcat(admins, "@1000, ");
    set(&fresh, admins);
    set(&fresh, "queue.retry_delay=20ms");
    set(&fresh, "hook.command=/usr/bin/a b=c");
    set(&fresh, "link.lanes=7");
    fd = settings_pack(&fresh, &err);
    assert_true(fd >= 0);
    assert_int_equal(settings_take(fd, &running, &err), 0);
    close(fd);
    assert_string_equal(running.control_admins, fresh.control_admins);
    assert_string_equal(running.hook_command, "/usr/bin/a b=c");
    assert_true(running.queue_retry_delay == 0.02);
    assert_int_equal(running.link_lanes, 4);
}

/* These bytes as settings: refused, and nothing is changed. */
static void refused(const char *bytes, size_t len, enum xfer_code code)
{
    struct xfer_error err = XFER_ERROR_INIT;
    int fd = sealed_make("settings", bytes, len, &err);

    assert_true(fd >= 0);
    assert_int_equal(settings_take(fd, &running, &err), -1);
    assert_int_equal(err.code, code);
    assert_int_equal(running.queue_retries, 3);
    close(fd);
}

static void settings_that_are_wrong_change_nothing(void **state)
{
    static const char unknown[] = "queue.retries=9\0queue.none=1";
    static const char wrong[] = "queue.retries=9\0queue.history=x";
    static const char cut[] = "queue.retries=9";

    (void)state;
    refused(unknown, sizeof unknown, XFER_CONFIG);
    refused(wrong, sizeof wrong, XFER_CONFIG);
    refused(cut, sizeof cut - 1, XFER_PROTOCOL);
}

static void settings_that_are_too_long_are_refused(void **state)
{
    size_t len = XFER_SETTINGS_MAX + 1;
    char *bytes = calloc(1, len);

    (void)state;
    assert_non_null(bytes);
    refused(bytes, len, XFER_PROTOCOL);
    free(bytes);
}

static void memory_that_is_not_sealed_is_refused(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    int fd = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING), null;
    size_t len;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(sealed_check(fd, 100, &len, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
    close(fd);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_int_equal(settings_take(null, &running, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
    close(null);
}

static void sealed_memory_is_read_from_its_beginning_and_never_written(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    int fd = sealed_make("text", "abc", 3, &err);
    char c;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(read(fd, &c, 1), 1);
    assert_int_equal(c, 'a');
    assert_int_equal(write(fd, "x", 1), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
}

/* ---- the reading ---- */

static struct {
    struct ev_loop *loop;
    pthread_t reader; /* the thread that read */
    bool fail;
    int done;
    struct reread_changes changes;
    struct xfer_error why;
} t;

static int read_fresh(void *user, struct conf *conf, struct xfer_error *err)
{
    (void)user;
    t.reader = pthread_self();
    *conf = fresh;
    return t.fail ? error_set(err, XFER_CONFIG, "file:3: bad") : 0;
}

static void on_done(void *user, const struct reread_changes *changes, const struct xfer_error *why)
{
    (void)user;
    t.done++;
    t.why.code = XFER_OK;
    if (why)
        t.why = *why;
    else
        t.changes = *changes;
    ev_break(t.loop, EVBREAK_ALL);
}

static struct reread *make_reread(struct pool *pool)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct reread_options options = {
        .pool = pool, .running = &running, .read = read_fresh, .done = on_done};
    struct reread *r;

    memset(&t, 0, sizeof t);
    options.loop = t.loop = ev_default_loop(0);
    r = reread_create(&options, &err);
    assert_non_null(r);
    return r;
}

static void read_now(struct reread *r)
{
    struct xfer_error err = XFER_ERROR_INIT;

    assert_int_equal(reread_start(r, &err), 0);
    assert_true(reread_is_busy(r));
    assert_int_equal(t.done, 0);
    ev_run(t.loop, 0);
    assert_int_equal(t.done, 1);
    assert_false(reread_is_busy(r));
    assert_false(pthread_equal(t.reader, pthread_self()));
    t.done = 0;
}

static void a_reading_takes_over_what_is_live(void **state)
{
    struct reread *r = make_reread(NULL);

    (void)state;
    set(&fresh, "queue.retries=9");
    set(&fresh, "link.lanes=7");
    read_now(r);
    assert_string_equal(t.changes.live, "queue.retries");
    assert_string_equal(t.changes.restart, "link.lanes");
    assert_int_equal(running.queue_retries, 9);
    assert_int_equal(running.link_lanes, 4);
    read_now(r);
    assert_string_equal(t.changes.live, "");
    assert_string_equal(t.changes.restart, "link.lanes");
    reread_destroy(r);
}

static void a_reading_that_fails_changes_nothing(void **state)
{
    struct reread *r = make_reread(NULL);

    (void)state;
    set(&fresh, "queue.retries=9");
    t.fail = true;
    read_now(r);
    assert_int_equal(t.why.code, XFER_CONFIG);
    assert_string_equal(t.why.text, "file:3: bad");
    assert_int_equal(running.queue_retries, 3);
    t.fail = false;
    read_now(r);
    assert_int_equal(t.why.code, XFER_OK);
    assert_int_equal(running.queue_retries, 9);
    reread_destroy(r);
}

static void an_end_in_the_middle_of_a_reading_is_in_order(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct reread *r = make_reread(NULL);
    struct pool *pool;

    (void)state;
    assert_int_equal(reread_start(r, &err), 0);
    reread_destroy(r);
    pool = pool_create(t.loop, 1, &err);
    assert_non_null(pool);
    r = make_reread(pool);
    assert_int_equal(reread_start(r, &err), 0);
    reread_destroy(r);
    pool_destroy(pool);
    assert_int_equal(t.done, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_the_same_is_not_named, make_confs),
        cmocka_unit_test_setup(what_differs_is_named_by_when_it_counts, make_confs),
        cmocka_unit_test(the_names_of_all_keys_find_room_in_a_message),
        cmocka_unit_test_setup(only_live_keys_are_copied, make_confs),
        cmocka_unit_test_setup(settings_arrive_as_they_are, make_confs),
        cmocka_unit_test_setup(settings_that_are_wrong_change_nothing, make_confs),
        cmocka_unit_test_setup(settings_that_are_too_long_are_refused, make_confs),
        cmocka_unit_test_setup(memory_that_is_not_sealed_is_refused, make_confs),
        cmocka_unit_test(sealed_memory_is_read_from_its_beginning_and_never_written),
        cmocka_unit_test_setup(a_reading_takes_over_what_is_live, make_confs),
        cmocka_unit_test_setup(a_reading_that_fails_changes_nothing, make_confs),
        cmocka_unit_test_setup(an_end_in_the_middle_of_a_reading_is_in_order, make_confs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
