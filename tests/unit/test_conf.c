/* SPDX-License-Identifier: MIT
 *
 * The configuration: what a file and an option may say, and how what they may not say is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "daemon/conf.h"
#include "daemon/log.h"

static char path[] = "/tmp/test_conf_XXXXXX";

static int make_file(void **state)
{
    int fd;

    (void)state;
    memcpy(path + strlen(path) - 6, "XXXXXX", 6);
    fd = mkstemp(path);
    if (fd < 0)
        return -1;
    return close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_bytes(const char *text, size_t len)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static struct conf *fresh(void)
{
    struct conf *conf = test_malloc(sizeof *conf);
    struct xfer_error err = XFER_ERROR_INIT;

    setenv("HOME", "/home/somebody", 1);
    if (conf_init(conf, &err) < 0)
        fail_msg("%s", err.text);
    return conf;
}

static void accept_file(struct conf *conf, const char *text)
{
    struct xfer_error err = XFER_ERROR_INIT;

    write_bytes(text, strlen(text));
    if (conf_read_file(conf, path, true, &err) < 0)
        fail_msg("%s", err.text);
}

/* The file is refused, and the error is "PATH:LINE: ... says ...". */
static void refuse_bytes(const char *text, size_t len, int line, const char *says)
{
    struct conf *conf = fresh();
    struct xfer_error err = XFER_ERROR_INIT;
    char start[64];

    write_bytes(text, len);
    assert_int_equal(conf_read_file(conf, path, true, &err), -1);
    assert_int_equal(err.code, XFER_CONFIG);
    snprintf(start, sizeof start, "%s:%d: ", path, line);
    if (strncmp(err.text, start, strlen(start)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", err.text, start);
    if (strstr(err.text, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, says);
    test_free(conf);
}

static void refuse_file(const char *text, int line, const char *says)
{
    refuse_bytes(text, strlen(text), line, says);
}

static void refuse_option(const char *option, const char *says)
{
    struct conf *conf = fresh();
    struct xfer_error err = XFER_ERROR_INIT;

    assert_int_equal(conf_set(conf, option, &err), -1);
    assert_int_equal(err.code, XFER_CONFIG);
    if (strstr(err.text, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, says);
    test_free(conf);
}

static void accept_option(struct conf *conf, const char *option)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (conf_set(conf, option, &err) < 0)
        fail_msg("%s", err.text);
}

static void check_refuses(const char *option, const char *says)
{
    struct conf *conf = fresh();
    struct xfer_error err = XFER_ERROR_INIT;

    accept_option(conf, option);
    assert_int_equal(conf_check(conf, &err), -1);
    assert_int_equal(err.code, XFER_CONFIG);
    if (strstr(err.text, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, says);
    test_free(conf);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void without_a_file_defaults_hold_and_pass_the_check(void **state)
{
    struct conf *conf = fresh();
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    assert_int_equal(conf_check(conf, &err), 0);
    assert_string_equal(conf->control_socket, conf->places.socket);
    assert_string_equal(conf->store_root, conf->places.incoming);
    assert_string_equal(conf->peer_host, "");
    assert_int_equal(conf->link_lanes, 4);
    assert_int_equal(conf->link_chunk, 256 * 1024);
    assert_int_equal(conf->link_timeout, 30);
    assert_int_equal(conf->store_dir_mode, -1);
    assert_int_equal(conf->store_file_mode, -1);
    assert_int_equal(conf->log_level, LOG_LEVEL_NOTICE);
    test_free(conf);
}

static void the_service_shares_its_socket_with_a_group_and_a_user_does_not(void **state)
{
    struct conf *conf = fresh();

    (void)state;
    assert_int_equal(conf->control_mode, conf->places.service ? 0660 : 0600);
    test_free(conf);
}

static void a_file_sets_keys_of_every_type(void **state)
{
    struct conf *conf = fresh();

    (void)state;
    accept_file(conf, "# of a test\n"
                      "[control]\nsocket = /run/a.sock\nmode = 0600\nadmins = root, @wheel\n"
                      "; more\n\n[store]\nroot: /srv/with blanks\nfile_mode = 640\n"
                      "[link]\nlanes=7\nchunk = 1M\n[log]\nlevel = debug\n");
    assert_string_equal(conf->control_socket, "/run/a.sock");
    assert_int_equal(conf->control_mode, 0600);
    assert_string_equal(conf->control_admins, "root, @wheel");
    assert_string_equal(conf->store_root, "/srv/with blanks");
    assert_int_equal(conf->store_file_mode, 0640);
    assert_int_equal(conf->link_lanes, 7);
    assert_int_equal(conf->link_chunk, 1024 * 1024);
    assert_int_equal(conf->log_level, LOG_LEVEL_DEBUG);
    test_free(conf);
}

static void an_indented_line_is_a_line_of_its_own(void **state)
{
    struct conf *conf = fresh();

    (void)state;
    accept_file(conf, "[peer]\n  host = there\n\tuser = somebody\n");
    assert_string_equal(conf->peer_host, "there");
    assert_string_equal(conf->peer_user, "somebody");
    test_free(conf);
}

static void a_comment_may_stand_behind_a_value(void **state)
{
    struct conf *conf = fresh();

    (void)state;
    accept_file(conf, "[peer]\nhost = there ; not here\n");
    assert_string_equal(conf->peer_host, "there");
    test_free(conf);
}

static void a_last_line_without_its_end_counts(void **state)
{
    struct conf *conf = fresh();

    (void)state;
    accept_file(conf, "[link]\nlanes = 3");
    assert_int_equal(conf->link_lanes, 3);
    test_free(conf);
}

static void an_unknown_key_is_told_with_its_line(void **state)
{
    (void)state;
    refuse_file("[link]\nlanes = 1\n\nlanez = 2\n", 4, "unknown key link.lanez");
}

static void an_unknown_section_is_told_with_its_line(void **state)
{
    (void)state;
    refuse_file("[links]\n\nlanes = 1\n", 3, "unknown section links");
}

static void the_first_of_several_mistakes_is_told(void **state)
{
    (void)state;
    refuse_file("[link]\nno pair\nlanez = 2\n", 2, "neither");
    refuse_file("[link]\nlanez = 2\nno pair\n", 2, "lanez");
}

static void a_repeated_key_is_refused(void **state)
{
    (void)state;
    refuse_file("[link]\nlanes = 1\n[log]\nlevel = info\n[link]\nlanes = 2\n", 6, "in line 2");
}

static void a_key_before_any_section_is_refused(void **state)
{
    (void)state;
    refuse_file("lanes = 1\n", 1, "before any [section]");
}

static void a_section_without_its_end_is_refused(void **state)
{
    (void)state;
    refuse_file("\n[link\nlanes = 1\n", 2, "neither");
}

static void bad_values_are_told_with_line_and_key(void **state)
{
    (void)state;
    refuse_file("[link]\nlanes = 0\n", 2, "link.lanes");
    refuse_file("[link]\nlanes = 65\n", 2, "1 to 64");
    refuse_file("[link]\nlanes = 99999999999999999999\n", 2, "link.lanes");
    refuse_file("[link]\nlanes = -1\n", 2, "link.lanes");
    refuse_file("[link]\nlanes = \n", 2, "link.lanes");
    refuse_file("[link]\nchunk = 1K\n", 2, "link.chunk");
    refuse_file("[link]\nchunk = many\n", 2, "link.chunk");
    refuse_file("[control]\nmode = 0668\n", 2, "control.mode");
    refuse_file("[control]\nmode = 4600\n", 2, "beyond 0777");
    refuse_file("[store]\nfile_mode = u=rw\n", 2, "store.file_mode");
    refuse_file("[log]\nlevel = loud\n", 2, "log.level");
}

static void a_nul_byte_is_refused(void **state)
{
    static const char text[] = "[peer]\nhost = a\0b\n";

    (void)state;
    refuse_bytes(text, sizeof text - 1, 2, "NUL");
}

static void a_line_without_end_is_refused(void **state)
{
    static char text[3 * XFER_PATH_SIZE];

    (void)state;
    memset(text, 'x', sizeof text);
    memcpy(text, "[store]\nroot = /", 16);
    refuse_bytes(text, sizeof text, 2, "a line longer than");
}

static void a_value_that_does_not_fit_is_refused(void **state)
{
    char text[64 + XFER_HOST_SIZE];

    (void)state;
    snprintf(text, sizeof text, "peer.host=%0*d", XFER_HOST_SIZE, 0);
    refuse_option(text, "longer than 255 bytes");
}

static void a_missing_file_is_an_error_only_if_it_was_named(void **state)
{
    struct conf *conf = fresh();
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    assert_int_equal(conf_read_file(conf, "/nonexistent/xferd.conf", false, &err), 0);
    assert_int_equal(conf_read_file(conf, "/nonexistent/xferd.conf", true, &err), -1);
    assert_int_equal(err.code, XFER_CONFIG);
    assert_non_null(strstr(err.text, "/nonexistent/xferd.conf"));
    test_free(conf);
}

static void what_is_no_file_is_refused_and_not_waited_for(void **state)
{
    struct conf *conf = fresh();
    struct xfer_error err = XFER_ERROR_INIT;
    char fifo[] = "/tmp/test_conf_fifo_XXXXXX";

    (void)state;
    assert_non_null(mkdtemp(fifo));
    assert_int_equal(conf_read_file(conf, fifo, false, &err), -1);
    assert_int_equal(err.code, XFER_CONFIG);
    assert_int_equal(rmdir(fifo), 0);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(conf_read_file(conf, fifo, false, &err), -1);
    assert_int_equal(err.code, XFER_CONFIG);
    assert_non_null(strstr(err.text, fifo));
    assert_int_equal(unlink(fifo), 0);
    assert_int_equal(conf_read_file(conf, "/dev/null", true, &err), 0);
    test_free(conf);
}

static void an_option_overrides_the_file_and_the_last_one_counts(void **state)
{
    struct conf *conf = fresh();

    (void)state;
    accept_file(conf, "[link]\nlanes = 2\n");
    accept_option(conf, "link.lanes=3");
    accept_option(conf, "link.lanes=5");
    assert_int_equal(conf->link_lanes, 5);
    test_free(conf);
}

static void an_option_takes_its_value_as_it_is(void **state)
{
    struct conf *conf = fresh();

    (void)state;
    accept_option(conf, "store.root=/a.b=c ; d ");
    assert_string_equal(conf->store_root, "/a.b=c ; d ");
    accept_option(conf, "control.group=");
    assert_string_equal(conf->control_group, "");
    test_free(conf);
}

static void options_of_the_wrong_form_are_refused(void **state)
{
    static const char *const wrong[] = {"",         "x",       "link.lanes", "lanes=1",
                                        ".lanes=1", "link.=1", "=",          "a=b.c"};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        refuse_option(wrong[i], "SECTION.KEY=VALUE");
}

static void options_with_unknown_names_are_refused(void **state)
{
    char long_name[300];

    (void)state;
    refuse_option("link.lanez=1", "unknown key link.lanez");
    refuse_option("lin.lanes=1", "unknown section lin");
    snprintf(long_name, sizeof long_name, "link.%0200d=1", 0);
    refuse_option(long_name, "unknown key");
}

static void paths_must_be_absolute(void **state)
{
    (void)state;
    refuse_option("control.socket=s", "control.socket: \"s\" is no absolute path");
    refuse_option("queue.database=q", "queue.database");
    refuse_option("store.root=", "store.root");
    refuse_file("[store]\n\nroot = in/here\n", 3, "store.root: \"in/here\" is no absolute path");
}

static void roots_of_sources_are_a_list_of_absolute_paths(void **state)
{
    struct conf *conf = fresh();

    (void)state;
    assert_string_equal(conf->source_roots, "/");
    accept_option(conf, "source.roots=/srv/a:/srv/b");
    assert_string_equal(conf->source_roots, "/srv/a:/srv/b");
    accept_option(conf, "source.roots=");
    assert_string_equal(conf->source_roots, "");
    refuse_option("source.roots=srv", "\"srv\" is no absolute path");
    refuse_option("source.roots=/a:b:/c", "\"b\" is no absolute path");
    refuse_option("source.roots=/a:", "\"\" is no absolute path");
    refuse_option("source.roots=/a::/b", "\"\" is no absolute path");
    test_free(conf);
}

static void a_group_is_a_name_or_a_number(void **state)
{
    struct conf *conf = fresh();
    struct xfer_error err = XFER_ERROR_INIT;
    gid_t gid;

    (void)state;
    accept_option(conf, "control.group=");
    assert_int_equal(conf_group(conf, &gid, &err), 0);
    assert_int_equal(gid, (gid_t)-1);
    accept_option(conf, "control.group=root");
    assert_int_equal(conf_group(conf, &gid, &err), 0);
    assert_int_equal(gid, 0);
    accept_option(conf, "control.group=7");
    assert_int_equal(conf_group(conf, &gid, &err), 0);
    assert_int_equal(gid, 7);
    accept_option(conf, "control.group=no-such-group");
    assert_int_equal(conf_group(conf, &gid, &err), -1);
    assert_int_equal(err.code, XFER_CONFIG);
    test_free(conf);
}

static void a_socket_path_must_fit_into_an_address(void **state)
{
    char option[256];
    struct conf *conf = fresh();
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    snprintf(option, sizeof option, "control.socket=/%0106d", 0);
    accept_option(conf, option);
    assert_int_equal(conf_check(conf, &err), 0);
    snprintf(option, sizeof option, "control.socket=/%0107d", 0);
    check_refuses(option, "108 bytes");
    test_free(conf);
}

static void words_for_the_launcher_must_be_plain(void **state)
{
    (void)state;
    check_refuses("peer.host=-x", "peer.host");
    check_refuses("peer.host=a,b", "peer.host");
    check_refuses("peer.host=a:2", "peer.host");
    check_refuses("peer.user=a b", "peer.user");
    check_refuses("peer.agent=ssh:rsh", "peer.agent");
}

static void directories_must_be_usable_by_the_receiver(void **state)
{
    (void)state;
    check_refuses("store.dir_mode=0555", "store.dir_mode");
}

static void all_assignments_together_make_the_same_settings(void **state)
{
    struct conf *a = fresh(), *b = fresh();

    (void)state;
    accept_option(a, "store.root=/odd; name");
    accept_option(a, "store.file_mode=0640");
    accept_option(a, "link.chunk=64K");
    accept_option(a, "peer.host=there");
    accept_option(a, "log.level=error");
    for (size_t i = 0; i < conf_keys(); i++) {
        char *assignment = conf_assignment(a, i);

        assert_non_null(assignment);
        accept_option(b, assignment);
        free(assignment);
    }
    assert_memory_equal(a, b, sizeof *a);
    assert_null(conf_assignment(a, conf_keys()));
    test_free(a);
    test_free(b);
}

static void the_settings_in_effect_are_a_valid_file(void **state)
{
    struct conf *a = fresh(), *b = fresh();
    struct xfer_error err = XFER_ERROR_INIT;
    FILE *f = fopen(path, "w");

    (void)state;
    accept_option(a, "link.lanes=9");
    accept_option(a, "store.dir_mode=2775");
    conf_write(a, f);
    assert_int_equal(fclose(f), 0);
    if (conf_read_file(b, path, true, &err) < 0)
        fail_msg("%s", err.text);
    assert_memory_equal(a, b, sizeof *a);
    test_free(a);
    test_free(b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_file, remove_file)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_file_defaults_hold_and_pass_the_check),
        TEST(the_service_shares_its_socket_with_a_group_and_a_user_does_not),
        TEST(a_file_sets_keys_of_every_type),
        TEST(an_indented_line_is_a_line_of_its_own),
        TEST(a_comment_may_stand_behind_a_value),
        TEST(a_last_line_without_its_end_counts),
        TEST(an_unknown_key_is_told_with_its_line),
        TEST(an_unknown_section_is_told_with_its_line),
        TEST(the_first_of_several_mistakes_is_told),
        TEST(a_repeated_key_is_refused),
        TEST(a_key_before_any_section_is_refused),
        TEST(a_section_without_its_end_is_refused),
        TEST(bad_values_are_told_with_line_and_key),
        TEST(a_nul_byte_is_refused),
        TEST(a_line_without_end_is_refused),
        TEST(a_value_that_does_not_fit_is_refused),
        TEST(a_missing_file_is_an_error_only_if_it_was_named),
        TEST(what_is_no_file_is_refused_and_not_waited_for),
        TEST(an_option_overrides_the_file_and_the_last_one_counts),
        TEST(an_option_takes_its_value_as_it_is),
        TEST(options_of_the_wrong_form_are_refused),
        TEST(options_with_unknown_names_are_refused),
        TEST(paths_must_be_absolute),
        TEST(roots_of_sources_are_a_list_of_absolute_paths),
        TEST(a_group_is_a_name_or_a_number),
        TEST(a_socket_path_must_fit_into_an_address),
        TEST(words_for_the_launcher_must_be_plain),
        TEST(directories_must_be_usable_by_the_receiver),
        TEST(all_assignments_together_make_the_same_settings),
        TEST(the_settings_in_effect_are_a_valid_file),
    };

    return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
