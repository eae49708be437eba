/* SPDX-License-Identifier: MIT
 *
 * daemon/work/identity: a thread takes on a user, and only that thread, and is itself again
 * afterwards. Needs root, and capabilities that a test can give away.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/work/identity.h"

#define USER  64001
#define GROUP 64003
#define TEAM  64010

static bool ready;
static char dir[128];

/* What is given up stays given up: whatever needs more comes first, in children. */
static int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");
    struct xfer_error err;

    (void)state;
    snprintf(dir, sizeof dir, "%s/xfer-identity-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chmod(dir, 0777), 0);
    ready = geteuid() == 0 && identity_check(&err) == 0;
    return 0;
}

static int tear_down(void **state)
{
    char command[200];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static void prepare(void)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (!ready)
        skip();
    if (identity_prepare(&err) != 0)
        fail_msg("%s", err.text);
}

static struct identity *somebody(void)
{
    const gid_t groups[] = {TEAM};
    struct xfer_error err;
    struct identity *who = identity_create(USER, GROUP, groups, 1, &err);

    assert_non_null(who);
    return who;
}

static const char *in_dir(const char *name)
{
    static char path[200];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void make(const char *name, mode_t mode, gid_t gid)
{
    int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(fchown(fd, 0, gid), 0);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

/* Called by several threads at once. */
static bool opens(const char *name)
{
    char path[200];
    int fd, saved;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    saved = errno;
    if (fd >= 0)
        close(fd);
    errno = saved;
    return fd >= 0;
}

/* What it says in a child that has changed itself before; "" when it may. */
static void refused_after(void (*change)(void), const char *expected)
{
    char text[XFER_ERROR_TEXT_SIZE] = "";
    int pipe_fds[2], status;
    ssize_t n;
    pid_t pid;

    if (!ready)
        skip();
    assert_int_equal(pipe(pipe_fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct xfer_error err = XFER_ERROR_INIT;

        change();
        if (identity_prepare(&err) == 0)
            snprintf(err.text, sizeof err.text, "it was allowed");
        else if (err.code != XFER_CONFIG)
            snprintf(err.text, sizeof err.text, "another error");
        _exit(write(pipe_fds[1], err.text, strlen(err.text)) < 0);
    }
    close(pipe_fds[1]);
    n = read(pipe_fds[0], text, sizeof text - 1);
    assert_true(n >= 0);
    close(pipe_fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (strstr(text, expected) == NULL)
        fail_msg("\"%s\" says nothing of \"%s\"", text, expected);
}

static void become_user(void)
{
    if (setresuid(USER, USER, USER) != 0)
        _exit(1);
}

static void lose_setuid_fixup(void)
{
    if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) != 0)
        _exit(1);
}

static void who_is_not_root_is_refused(void **state)
{
    (void)state;
    refused_after(become_user, "root");
}

static void who_would_keep_all_capabilities_is_refused(void **state)
{
    (void)state;
    refused_after(lose_setuid_fixup, "no-setuid-fixup");
}

static void what_is_made_belongs_to_the_user(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct identity *who;
    struct stat st;
    int fd;

    (void)state;
    prepare();
    who = somebody();
    assert_int_equal(identity_assume(who, &err), 0);
    assert_true(identity_is_assumed());
    assert_int_equal(identity_now(), USER);
    fd = open(in_dir("made"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    identity_drop();
    assert_false(identity_is_assumed());
    assert_int_equal(identity_now(), 0);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    close(fd);
    assert_int_equal(st.st_uid, USER);
    assert_int_equal(st.st_gid, GROUP);
    identity_destroy(who);
}

static void rights_are_those_of_user_and_groups(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct identity *who;

    (void)state;
    prepare();
    make("secret", 0600, 0);
    make("of-group", 0640, GROUP);
    make("of-team", 0640, TEAM);
    make("of-root-group", 0640, 0);
    who = somebody();
    assert_int_equal(identity_assume(who, &err), 0);
    assert_false(opens("secret"));
    assert_int_equal(errno, EACCES);
    assert_true(opens("of-group"));
    assert_true(opens("of-team"));
    assert_false(opens("of-root-group"));
    assert_int_equal(chown(in_dir("made"), 0, 0), -1);
    identity_drop();
    assert_true(opens("secret"));
    assert_int_equal(chown(in_dir("secret"), USER, USER), 0);
    assert_int_equal(chown(in_dir("secret"), 0, 0), 0);
    identity_destroy(who);
}

static void for_a_moment_it_is_the_daemon_again(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    const struct identity *paused;
    struct identity *who;

    (void)state;
    prepare();
    make("secret", 0600, 0);
    who = somebody();
    assert_int_equal(identity_assume(who, &err), 0);
    paused = identity_pause();
    assert_ptr_equal(paused, who);
    assert_int_equal(identity_now(), 0);
    assert_true(opens("secret"));
    identity_resume(paused);
    assert_int_equal(identity_now(), USER);
    assert_false(opens("secret"));
    identity_drop();
    assert_null(identity_pause());
    identity_resume(NULL);
    assert_true(opens("secret"));
    identity_destroy(who);
}

static void nobody_is_the_daemon_itself(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    assert_int_equal(identity_assume(NULL, &err), 0);
    assert_false(identity_is_assumed());
    assert_int_equal(identity_now(), geteuid());
    identity_drop();
}

static void one_is_taken_on_after_the_other(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct identity *who;

    (void)state;
    prepare();
    who = somebody();
    assert_int_equal(identity_assume(who, &err), 0);
    assert_int_equal(identity_assume(who, &err), -1);
    assert_int_equal(err.code, XFER_INTERNAL);
    identity_drop();
    identity_destroy(who);
}

static void the_most_groups_can_be_taken_on(void **state)
{
    gid_t groups[XFER_GROUPS_MAX];
    struct xfer_error err = XFER_ERROR_INIT;
    struct identity *who;
    int n;

    (void)state;
    prepare();
    for (int i = 0; i < XFER_GROUPS_MAX; i++)
        groups[i] = 70000U + (gid_t)i;
    make("of-last", 0640, groups[XFER_GROUPS_MAX - 1]);
    who = identity_create(USER, GROUP, groups, XFER_GROUPS_MAX, &err);
    assert_non_null(who);
    assert_memory_equal(identity_groups(who, &n), groups, sizeof groups);
    assert_int_equal(n, XFER_GROUPS_MAX);
    assert_int_equal(identity_assume(who, &err), 0);
    assert_true(opens("of-last"));
    identity_drop();
    identity_destroy(who);
}

/* ---- threads ---- */

#define THREADS 4
#define ROUNDS  200

struct thread {
    pthread_t id;
    uid_t uid; /* 0: stays root */
    bool wrong;
};

static void *run(void *arg)
{
    struct thread *t = arg;
    struct xfer_error err;
    struct identity *who = identity_create(t->uid, t->uid, NULL, 0, &err);

    for (int i = 0; i < ROUNDS && who != NULL; i++) {
        if (t->uid != 0 && identity_assume(who, &err) != 0)
            t->wrong = true;
        if ((uid_t)setfsuid((uid_t)-1) != t->uid || (gid_t)setfsgid((gid_t)-1) != t->uid ||
            opens("secret") != (t->uid == 0))
            t->wrong = true;
        identity_drop();
        if ((uid_t)setfsuid((uid_t)-1) != 0 || !opens("secret"))
            t->wrong = true;
    }
    identity_destroy(who);
    return NULL;
}

static void no_thread_changes_another(void **state)
{
    struct thread threads[THREADS] = {{.uid = USER}, {.uid = 0}, {.uid = USER + 1}, {.uid = 0}};

    (void)state;
    prepare();
    make("secret", 0600, 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i].id, NULL, run, &threads[i]), 0);
    for (int i = 0; i < ROUNDS; i++)
        assert_true(opens("secret"));
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i].id, NULL);
        assert_false(threads[i].wrong);
    }
}

static void capabilities_that_are_not_needed_are_gone(void **state)
{
    char line[200];
    unsigned seen = 0;
    FILE *f;

    (void)state;
    prepare();
    f = fopen("/proc/self/status", "re");
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, "CapPrm:", 7) == 0 || strncmp(line, "CapEff:", 7) == 0) {
            assert_string_equal(line + 8, "00000000000000df\n");
            seen++;
        }
        if (strncmp(line, "CapInh:", 7) == 0 || strncmp(line, "CapAmb:", 7) == 0) {
            assert_string_equal(line + 8, "0000000000000000\n");
            seen++;
        }
    }
    fclose(f);
    assert_int_equal(seen, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_the_daemon_itself),
        cmocka_unit_test(who_is_not_root_is_refused),
        cmocka_unit_test(who_would_keep_all_capabilities_is_refused),
        cmocka_unit_test(what_is_made_belongs_to_the_user),
        cmocka_unit_test(rights_are_those_of_user_and_groups),
        cmocka_unit_test(for_a_moment_it_is_the_daemon_again),
        cmocka_unit_test(one_is_taken_on_after_the_other),
        cmocka_unit_test(the_most_groups_can_be_taken_on),
        cmocka_unit_test(no_thread_changes_another),
        cmocka_unit_test(capabilities_that_are_not_needed_are_gone),
    };

    return cmocka_run_group_tests_name("identity", tests, set_up, tear_down);
}
