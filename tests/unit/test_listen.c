/* SPDX-License-Identifier: MIT
 *
 * Taking the control socket: from nobody who lives, in no directory that others control, and never
 * wider than asked for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/listen.h"
#include "daemon/safedir.h"

struct fixture {
    char dir[64];
    struct conf conf;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (f == NULL)
        return -1;
    strcpy(f->dir, "/tmp/test_listen_XXXXXX");
    if (mkdtemp(f->dir) == NULL)
        return -1;
    snprintf(f->conf.control_socket, sizeof f->conf.control_socket, "%s/s", f->dir);
    f->conf.control_mode = 0600;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    int fd = open(f->dir, O_RDONLY | O_DIRECTORY);

    safedir_empty(fd, NULL);
    close(fd);
    rmdir(f->dir);
    free(f);
    return 0;
}

static struct listener *take(struct fixture *f)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct listener *l = listener_create(&f->conf, &err);

    if (l == NULL)
        fail_msg("%s", err.text);
    return l;
}

static void refuse(struct fixture *f, enum xfer_code code, const char *says)
{
    struct xfer_error err = XFER_ERROR_INIT;

    assert_null(listener_create(&f->conf, &err));
    if (strstr(err.text, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, says);
    assert_int_equal(err.code, code);
}

static struct sockaddr_un address(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", path);
    return addr;
}

/* A socket of that name, listening or (dead) not. */
static int occupy(const char *path, int type)
{
    struct sockaddr_un addr = address(path);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static bool answers(const char *path)
{
    struct sockaddr_un addr = address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes = connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0;

    close(fd);
    return yes;
}

static bool exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

static void clients_can_connect_before_anybody_accepts(void **state)
{
    struct fixture *f = *state;
    struct listener *l = take(f);

    assert_true(answers(f->conf.control_socket));
    assert_string_equal(listener_path(l), f->conf.control_socket);
    assert_true(fcntl(listener_fd(l), F_GETFL) & O_NONBLOCK);
    assert_int_equal(fcntl(listener_fd(l), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    listener_destroy(l);
}

static void the_socket_has_the_mode_asked_for_whatever_the_umask(void **state)
{
    struct fixture *f = *state;
    mode_t mask = umask(0027);
    struct stat st;
    struct listener *l;

    f->conf.control_mode = 0666;
    l = take(f);
    umask(mask);
    assert_int_equal(stat(f->conf.control_socket, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0666);
    listener_destroy(l);
}

static void taking_it_leaves_the_umask_alone(void **state)
{
    struct fixture *f = *state;
    mode_t mask = umask(0031);
    struct listener *l = take(f);

    assert_int_equal(umask(mask), 0031);
    listener_destroy(l);
}

static void at_the_end_nothing_is_left(void **state)
{
    struct fixture *f = *state;
    char lock[128];
    struct listener *l = take(f);

    snprintf(lock, sizeof lock, "%s/s.lock", f->dir);
    assert_true(exists(lock));
    listener_destroy(l);
    assert_false(exists(f->conf.control_socket));
    assert_false(exists(lock));
}

static void withdrawing_removes_the_name_and_keeps_the_lock(void **state)
{
    struct fixture *f = *state;
    struct listener *l = take(f);

    listener_withdraw(l);
    assert_false(exists(f->conf.control_socket));
    refuse(f, XFER_TOO_BUSY, "already served");
    listener_destroy(l);
}

static void a_second_daemon_is_told_who_serves(void **state)
{
    struct fixture *f = *state;
    struct listener *l = take(f);
    char says[64];

    snprintf(says, sizeof says, "already served by pid %ld", (long)getpid());
    refuse(f, XFER_TOO_BUSY, says);
    assert_true(answers(f->conf.control_socket));
    listener_destroy(l);
}

static void a_live_owner_without_lock_keeps_the_socket(void **state)
{
    struct fixture *f = *state;
    int fd = occupy(f->conf.control_socket, SOCK_STREAM);

    refuse(f, XFER_TOO_BUSY, "already served");
    assert_true(answers(f->conf.control_socket));
    close(fd);
}

static void a_stale_socket_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct listener *l;

    close(occupy(f->conf.control_socket, SOCK_STREAM));
    assert_false(answers(f->conf.control_socket));
    l = take(f);
    assert_true(answers(f->conf.control_socket));
    listener_destroy(l);
}

static void a_file_of_that_name_is_left_alone(void **state)
{
    struct fixture *f = *state;

    close(open(f->conf.control_socket, O_WRONLY | O_CREAT, 0600));
    refuse(f, XFER_CONFIG, "no socket");
    assert_true(exists(f->conf.control_socket));
}

static void a_link_of_that_name_is_not_followed(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(symlink("elsewhere", f->conf.control_socket), 0);
    refuse(f, XFER_CONFIG, "no socket");
    assert_true(exists(f->conf.control_socket));
}

static void a_link_in_place_of_the_lock_is_not_followed(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    char lock[128], target[128];

    snprintf(lock, sizeof lock, "%s/s.lock", f->dir);
    snprintf(target, sizeof target, "%s/target", f->dir);
    assert_int_equal(symlink(target, lock), 0);
    assert_null(listener_create(&f->conf, &err));
    assert_non_null(strstr(err.text, "s.lock"));
    assert_false(exists(target));
}

static void another_socket_that_took_the_name_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct listener *l = take(f);
    int fd;

    assert_int_equal(unlink(f->conf.control_socket), 0);
    fd = occupy(f->conf.control_socket, SOCK_STREAM);
    listener_destroy(l);
    assert_true(answers(f->conf.control_socket));
    close(fd);
}

static void a_missing_directory_is_made_for_the_owner_alone(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    char dir[128];
    struct listener *l;

    snprintf(dir, sizeof dir, "%s/a/b", f->dir);
    snprintf(f->conf.control_socket, sizeof f->conf.control_socket, "%s/s", dir);
    l = take(f);
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    listener_destroy(l);
}

static void a_directory_that_everybody_may_write_to_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(chmod(f->dir, 0777), 0);
    refuse(f, XFER_PERMISSION_DENIED, "written by everybody");
    assert_int_equal(chmod(f->dir, 01777), 0);
    listener_destroy(take(f));
}

static void a_directory_of_somebody_else_is_refused(void **state)
{
    struct fixture *f = *state;

    if (geteuid() != 0)
        skip();
    assert_int_equal(chown(f->dir, 12345, (gid_t)-1), 0);
    refuse(f, XFER_PERMISSION_DENIED, "uid 12345");
}

static void a_path_that_does_not_fit_is_refused_with_its_length(void **state)
{
    struct fixture *f = *state;

    snprintf(f->conf.control_socket, sizeof f->conf.control_socket, "/tmp/%0120d", 0);
    refuse(f, XFER_CONFIG, "125 bytes");
}

static void an_unknown_group_is_refused_and_nothing_is_left(void **state)
{
    struct fixture *f = *state;

    strcpy(f->conf.control_group, "no-such-group-here");
    refuse(f, XFER_CONFIG, "no-such-group-here");
    assert_false(exists(f->conf.control_socket));
}

/* In a child, since descriptor 3 may be in use here. The status tells what went wrong. */
static int in_child_with_passed_socket(struct fixture *f, int type, const char *count)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        struct xfer_error err = XFER_ERROR_INIT;
        char number[32];
        struct listener *l;
        int fd = occupy(f->conf.control_socket, type);

        if (fd != 3 && dup2(fd, 3) < 0)
            _exit(10);
        snprintf(number, sizeof number, "%ld", (long)getpid());
        setenv("LISTEN_PID", number, 1);
        setenv("LISTEN_FDS", count, 1);
        l = listener_create(&f->conf, &err);
        if (l == NULL)
            _exit(1);
        if (listener_fd(l) != 3 || strcmp(listener_path(l), f->conf.control_socket) != 0 ||
            getenv("LISTEN_FDS") != NULL || !(fcntl(3, F_GETFD) & FD_CLOEXEC))
            _exit(11);
        listener_destroy(l);
        _exit(exists(f->conf.control_socket) ? 0 : 12);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    unlink(f->conf.control_socket);
    return WEXITSTATUS(status);
}

static void the_socket_that_systemd_passed_is_taken_and_its_name_left(void **state)
{
    assert_int_equal(in_child_with_passed_socket(*state, SOCK_STREAM, "1"), 0);
}

static void what_systemd_passed_must_be_one_stream_socket(void **state)
{
    assert_int_equal(in_child_with_passed_socket(*state, SOCK_SEQPACKET, "1"), 1);
    assert_int_equal(in_child_with_passed_socket(*state, SOCK_STREAM, "2"), 1);
}

static void a_socket_passed_to_another_process_is_not_taken(void **state)
{
    struct fixture *f = *state;
    struct listener *l;

    setenv("LISTEN_PID", "1", 1);
    setenv("LISTEN_FDS", "1", 1);
    l = take(f);
    assert_true(answers(f->conf.control_socket));
    listener_destroy(l);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(clients_can_connect_before_anybody_accepts),
        TEST(the_socket_has_the_mode_asked_for_whatever_the_umask),
        TEST(taking_it_leaves_the_umask_alone),
        TEST(at_the_end_nothing_is_left),
        TEST(withdrawing_removes_the_name_and_keeps_the_lock),
        TEST(a_second_daemon_is_told_who_serves),
        TEST(a_live_owner_without_lock_keeps_the_socket),
        TEST(a_stale_socket_is_replaced),
        TEST(a_file_of_that_name_is_left_alone),
        TEST(a_link_of_that_name_is_not_followed),
        TEST(a_link_in_place_of_the_lock_is_not_followed),
        TEST(another_socket_that_took_the_name_is_left_alone),
        TEST(a_missing_directory_is_made_for_the_owner_alone),
        TEST(a_directory_that_everybody_may_write_to_is_refused),
        TEST(a_directory_of_somebody_else_is_refused),
        TEST(a_path_that_does_not_fit_is_refused_with_its_length),
        TEST(an_unknown_group_is_refused_and_nothing_is_left),
        TEST(the_socket_that_systemd_passed_is_taken_and_its_name_left),
        TEST(what_systemd_passed_must_be_one_stream_socket),
        TEST(a_socket_passed_to_another_process_is_not_taken),
    };

    return cmocka_run_group_tests_name("listen", tests, NULL, NULL);
}
