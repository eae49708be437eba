/* SPDX-License-Identifier: MIT
 *
 * What may be sent: each way around source.roots and to the daemon's own files and the kernel's is
 * tried. What needs mounts runs in a process with a mount namespace of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "daemon/send/source.h"
#include "daemon/send/source_policy.h"
#include "daemon/send/walk.h"

static char top[64]; /* the test's directory, and the working directory */
static struct source_policy *policy;
static void (*between)(void); /* done once, after the look at a source and before it is opened */

/* The policy asks by this where a file is, in between. */
ssize_t readlink(const char *path, char *buf, size_t size)
{
    void (*now)(void) = between;

    between = NULL;
    if (now)
        now();
    return syscall(SYS_readlinkat, AT_FDCWD, path, buf, size);
}

static char *in_top(const char *name)
{
    static char paths[8][128];
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof paths[0], "%s/%s", top, name);
    return path;
}

static void make(const char *name, const char *contents)
{
    int fd = open(in_top(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, contents, strlen(contents)), strlen(contents));
    close(fd);
}

static void make_dir(const char *name)
{
    assert_int_equal(mkdir(in_top(name), 0755), 0);
}

static void make_policy(const struct source_policy_options *options)
{
    struct xfer_error err = XFER_ERROR_INIT;

    source_policy_destroy(policy);
    policy = source_policy_create(options, &err);
    if (!policy)
        fail_msg("%s", err.text);
}

static void allow(const char *roots)
{
    make_policy(&(struct source_policy_options){.roots = roots});
}

static int set_up(void **state)
{
    (void)state;
    strcpy(top, "/tmp/xfer-test-XXXXXX");
    assert_non_null(mkdtemp(top));
    assert_int_equal(chmod(top, 0755), 0);
    between = NULL;
    allow("/");
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    source_policy_destroy(policy);
    policy = NULL;
    snprintf(command, sizeof command, "rm -rf %s", top);
    return system(command);
}

/* The code with which opening ends; contents: what is read then. */
static enum xfer_code outcome(const char *path, char contents[64], struct xfer_error *err)
{
    struct source s;

    *err = (struct xfer_error)XFER_ERROR_INIT;
    assert_int_equal(source_init(&s, path, err), 0);
    s.policy = policy;
    if (source_open(&s, err) == 0)
        snprintf(contents, 64, "%.*s", (int)s.st.st_size, s.whole);
    source_free(&s);
    return err->code;
}

static void assert_sent(const char *path, const char *wanted)
{
    struct xfer_error err;
    char contents[64];

    if (outcome(path, contents, &err) != XFER_OK)
        fail_msg("%s", err.text);
    assert_string_equal(contents, wanted);
}

static void assert_refused(const char *path)
{
    struct xfer_error err;
    char contents[64];

    if (outcome(path, contents, &err) != XFER_PERMISSION_DENIED)
        fail_msg("%s: %s", path, err.code == XFER_OK ? contents : err.text);
    assert_string_equal(err.path, path);
    assert_int_equal(err.side, XFER_SIDE_SENDER);
}

static void assert_fails(const char *path, enum xfer_code code)
{
    struct xfer_error err;
    char contents[64];

    if (outcome(path, contents, &err) != code)
        fail_msg("%s: %s", path, err.text);
}

/* ---- roots ---- */

static void only_what_is_beneath_a_root_is_opened(void **state)
{
    (void)state;
    make_dir("a");
    make_dir("b");
    make("a/f", "in a");
    make("b/f", "in b");
    make("f", "beside");
    allow(in_top("a"));
    assert_sent(in_top("a/f"), "in a");
    assert_refused(in_top("b/f"));
    assert_refused(in_top("f"));
    assert_refused(in_top("a/../f"));
}

static void a_root_is_no_prefix_of_names(void **state)
{
    (void)state;
    make_dir("a");
    make_dir("ab");
    make("ab/f", "in ab");
    allow(in_top("a"));
    assert_refused(in_top("ab/f"));
    allow(in_top("a/"));
    assert_refused(in_top("ab/f"));
}

static void several_roots_are_all_good(void **state)
{
    char roots[256];

    (void)state;
    make_dir("a");
    make_dir("b");
    make_dir("c");
    make("a/f", "in a");
    make("b/f", "in b");
    make("c/f", "in c");
    snprintf(roots, sizeof roots, "%s:%s:%s", in_top("none"), in_top("a"), in_top("b"));
    allow(roots);
    assert_sent(in_top("a/f"), "in a");
    assert_sent(in_top("b/f"), "in b");
    assert_refused(in_top("c/f"));
}

static void a_link_that_leads_out_of_the_roots_is_refused(void **state)
{
    (void)state;
    make_dir("a");
    make("f", "outside");
    assert_int_equal(symlink("../f", in_top("a/link")), 0);
    assert_int_equal(symlink("..", in_top("a/up")), 0);
    allow(in_top("a"));
    assert_refused(in_top("a/link"));
    assert_refused(in_top("a/up/f"));
}

static void a_link_that_leads_into_a_root_is_followed(void **state)
{
    (void)state;
    make_dir("a");
    make("a/f", "in a");
    assert_int_equal(symlink("a/f", in_top("link")), 0);
    allow(in_top("a"));
    assert_sent(in_top("link"), "in a");
}

static void a_root_may_be_a_symbolic_link(void **state)
{
    (void)state;
    make_dir("real");
    make("real/f", "there");
    make("f", "beside");
    assert_int_equal(symlink("real", in_top("root")), 0);
    allow(in_top("root"));
    assert_sent(in_top("root/f"), "there");
    assert_sent(in_top("real/f"), "there");
    assert_refused(in_top("f"));
    /* and lead elsewhere later */
    make_dir("other");
    make("other/f", "elsewhere");
    assert_int_equal(unlink(in_top("root")), 0);
    assert_int_equal(symlink("other", in_top("root")), 0);
    assert_sent(in_top("root/f"), "elsewhere");
    assert_refused(in_top("real/f"));
}

static void a_root_that_was_replaced_is_the_new_directory(void **state)
{
    (void)state;
    make_dir("a");
    make("a/f", "old");
    allow(in_top("a"));
    assert_sent(in_top("a/f"), "old");
    assert_int_equal(rename(in_top("a"), in_top("was-a")), 0);
    make_dir("a");
    make("a/f", "new");
    assert_sent(in_top("a/f"), "new");
    assert_refused(in_top("was-a/f"));
}

static void without_roots_nothing_is_opened(void **state)
{
    (void)state;
    make("f", "x");
    allow("");
    assert_refused(in_top("f"));
}

static void outside_of_the_roots_not_even_the_kind_is_told(void **state)
{
    (void)state;
    make_dir("a");
    make_dir("d");
    assert_int_equal(mkfifo(in_top("fifo"), 0644), 0);
    allow(in_top("a"));
    assert_refused(in_top("d"));
    assert_refused(in_top("fifo"));
    allow("/");
    assert_fails(in_top("d"), XFER_IS_DIRECTORY);
    assert_fails(in_top("fifo"), XFER_NOT_REGULAR);
}

/* The code and the text of the refusal, with the path left out. */
static const char *refusal(const char *path)
{
    static char texts[2][XFER_ERROR_TEXT_SIZE];
    static unsigned next;
    struct xfer_error err;
    char contents[64], *text = texts[next++ % 2];

    assert_int_equal(outcome(path, contents, &err), XFER_PERMISSION_DENIED);
    assert_int_equal(err.sys_errno, 0);
    assert_memory_equal(err.text, path, strlen(path));
    strcpy(text, err.text + strlen(path));
    return text;
}

static void outside_of_the_roots_not_even_what_is_there_is_told(void **state)
{
    static const char *const nowhere[] = {"none",        "none/f",        "f/none",
                                          "a/../none",   "a/to-none",     "a/to-none/f",
                                          "a/to-f/none", "a/to-top/none", "a/circle"};
    (void)state;
    make_dir("a");
    make("f", "x");
    make("a/f", "x");
    assert_int_equal(symlink("../none", in_top("a/to-none")), 0);
    assert_int_equal(symlink("../f", in_top("a/to-f")), 0);
    assert_int_equal(symlink("..", in_top("a/to-top")), 0);
    assert_int_equal(symlink("circle", in_top("a/circle")), 0);
    allow(in_top("a"));
    for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++)
        assert_string_equal(refusal(in_top(nowhere[i])), refusal(in_top("f")));
    assert_fails(in_top("a/none"), XFER_NO_SUCH_FILE);
    assert_fails(in_top("a/none/f"), XFER_NO_SUCH_FILE);
    assert_fails(in_top("none/../a/f"), XFER_PERMISSION_DENIED);
    assert_fails(in_top("a/f/x"), XFER_NOT_DIRECTORY);
    assert_fails(in_top("a/to-top/a/none"), XFER_NO_SUCH_FILE);
}

static void roots_change_at_any_time(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    make("f", "x");
    assert_int_equal(source_policy_set_roots(policy, "/usr", &err), 0);
    assert_refused(in_top("f"));
    assert_int_equal(source_policy_set_roots(policy, "relative", &err), -1);
    assert_int_equal(err.code, XFER_CONFIG);
    assert_refused(in_top("f"));
    assert_int_equal(source_policy_set_roots(policy, top, &err), 0);
    assert_sent(in_top("f"), "x");
}

static void *change_roots(void *until)
{
    struct xfer_error err = XFER_ERROR_INIT;

    while (!__atomic_load_n((int *)until, __ATOMIC_RELAXED)) {
        assert_int_equal(source_policy_set_roots(policy, top, &err), 0);
        assert_int_equal(source_policy_set_roots(policy, "/usr:/tmp", &err), 0);
    }
    return NULL;
}

static void roots_change_while_sources_are_opened(void **state)
{
    pthread_t thread;
    int done = 0;

    (void)state;
    make("f", "x");
    assert_int_equal(pthread_create(&thread, NULL, change_roots, &done), 0);
    for (int i = 0; i < 2000; i++)
        assert_sent(in_top("f"), "x");
    __atomic_store_n(&done, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
}

/* ---- the kernel's files ---- */

static void files_of_the_kernel_are_never_sent(void **state)
{
    (void)state;
    assert_refused("/proc/self/status");
    assert_refused("/proc/self/environ");
    assert_refused("/proc/sys/kernel/ostype");
    if (access("/sys/kernel/uevent_seqnum", R_OK) == 0) /* a chroot may have none */
        assert_refused("/sys/kernel/uevent_seqnum");
    allow("/:/proc:/sys");
    assert_refused("/proc/self/status");
}

static void a_link_into_proc_is_refused(void **state)
{
    (void)state;
    make_dir("a");
    assert_int_equal(symlink("/proc/self/environ", in_top("a/link")), 0);
    assert_refused(in_top("a/link"));
    allow(in_top("a"));
    assert_refused(in_top("a/link"));
}

static void what_a_path_through_proc_leads_to_is_what_counts(void **state)
{
    char path[128];

    (void)state;
    make("f", "x");
    snprintf(path, sizeof path, "/proc/self/root%s", in_top("f"));
    assert_sent(path, "x");
    allow("/usr");
    assert_refused(path);
    allow(top);
    assert_sent(path, "x");
    allow("/proc");
    assert_refused(path);
}

static void a_descriptor_of_the_daemon_is_no_way_to_a_file(void **state)
{
    char path[64];
    int fd;

    (void)state;
    make_dir("a");
    make_dir("b");
    make("b/f", "x");
    fd = open(in_top("b/f"), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    assert_sent(path, "x"); /* it could be opened by its own name just as well */
    allow(in_top("a"));
    assert_refused(path);
    allow("/");
    assert_int_equal(unlink(in_top("b/f")), 0);
    assert_fails(path, XFER_NO_SUCH_FILE);
    close(fd);
}

static void
a_file_behind_a_directory_that_may_not_be_entered_is_not_reached_by_a_descriptor(void **state)
{
    struct xfer_error err;
    char path[64], contents[64];
    int fd;

    (void)state;
    if (geteuid() != 0)
        skip();
    make_dir("closed");
    make("closed/f", "secret");
    assert_int_equal(chmod(in_top("closed"), 0700), 0);
    fd = open(in_top("closed/f"), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    snprintf(path, sizeof path, "/proc/thread-self/fd/%d", fd);
    assert_int_equal(seteuid(65534), 0);
    enum xfer_code code = outcome(path, contents, &err);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(code, XFER_PERMISSION_DENIED);
    close(fd);
}

static void devices_are_refused_and_shared_memory_is_not(void **state)
{
    char path[] = "/dev/shm/xfer-test-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_fails("/dev/null", XFER_NOT_REGULAR);
    if (fd < 0)
        skip();
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
    assert_sent(path, "x");
    unlink(path);
}

static void memory_that_ranks_share_is_never_sent(void **state)
{
    char dir[] = "/dev/shm/xferd-test-XXXXXX", path[64];

    (void)state;
    if (!mkdtemp(dir))
        skip();
    snprintf(path, sizeof path, "%s/segment", dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(symlink(path, in_top("link")), 0);
    assert_refused(path);
    assert_refused(in_top("link"));
    unlink(path);
    rmdir(dir);
}

/* ---- the daemon's own ---- */

static void use_own(void)
{
    char database[128], config[128], runtime[128], state[128], store[128];

    snprintf(database, sizeof database, "%s", in_top("q/queue.db"));
    snprintf(config, sizeof config, "%s", in_top("etc/xferd.conf"));
    snprintf(runtime, sizeof runtime, "%s", in_top("run"));
    snprintf(state, sizeof state, "%s", in_top("lib"));
    snprintf(store, sizeof store, "%s", in_top("lib/incoming"));
    make_dir("q");
    make_dir("etc");
    make_dir("run");
    make_dir("lib");
    make_dir("lib/incoming");
    make_dir("lib/incoming/.xfer");
    make("q/queue.db", "db");
    make("q/queue.db-wal", "wal");
    make("q/other", "other");
    make("etc/xferd.conf", "conf");
    make("etc/hosts", "hosts");
    make("run/f", "f");
    make("lib/key", "key");
    make("lib/incoming/f", "came");
    make("lib/incoming/.xfer/f", "part");
    make("lib/incoming/.xfer-7", "part");
    make_policy(&(struct source_policy_options){.roots = "/",
                                                .database = database,
                                                .config = config,
                                                .runtime = runtime,
                                                .state = state,
                                                .store = store});
}

static void the_queue_is_never_sent(void **state)
{
    (void)state;
    use_own();
    assert_refused(in_top("q/queue.db"));
    assert_refused(in_top("q/queue.db-wal"));
    make("q/queue.db-journal", "journal");
    make("q/queue.db.old", "old");
    assert_refused(in_top("q/queue.db-journal"));
    assert_refused(in_top("q/queue.db.old"));
    assert_sent(in_top("q/other"), "other");
}

static void no_other_name_of_the_queue_is_a_way_around(void **state)
{
    (void)state;
    use_own();
    assert_int_equal(link(in_top("q/queue.db"), in_top("hard")), 0);
    assert_int_equal(link(in_top("q/queue.db-wal"), in_top("hard-wal")), 0);
    assert_int_equal(symlink("q/queue.db", in_top("soft")), 0);
    assert_int_equal(symlink("q", in_top("dir")), 0);
    assert_refused(in_top("hard"));
    assert_refused(in_top("hard-wal"));
    assert_refused(in_top("soft"));
    assert_refused(in_top("dir/queue.db"));
}

static void the_configuration_is_never_sent(void **state)
{
    (void)state;
    use_own();
    assert_int_equal(link(in_top("etc/xferd.conf"), in_top("hard")), 0);
    assert_refused(in_top("etc/xferd.conf"));
    assert_refused(in_top("hard"));
    assert_sent(in_top("etc/hosts"), "hosts");
    /* one that was written anew is the configuration */
    make("etc/new", "new");
    assert_int_equal(rename(in_top("etc/new"), in_top("etc/xferd.conf")), 0);
    assert_refused(in_top("etc/xferd.conf"));
}

static void state_and_runtime_are_never_sent_but_what_was_received_is(void **state)
{
    (void)state;
    use_own();
    assert_refused(in_top("run/f"));
    assert_refused(in_top("lib/key"));
    assert_sent(in_top("lib/incoming/f"), "came");
    assert_refused(in_top("lib/incoming/.xfer/f"));
    assert_refused(in_top("lib/incoming/.xfer-7"));
}

/* ---- races and mounts ---- */

static void swap_for_own(void)
{
    assert_int_equal(rename(in_top("q/queue.db"), in_top("f")), 0);
}

static void swap_for_link(void)
{
    assert_int_equal(unlink(in_top("a/f")), 0);
    assert_int_equal(symlink("../f", in_top("a/f")), 0);
}

static void swap_directory(void)
{
    assert_int_equal(rename(in_top("a"), in_top("was-a")), 0);
    assert_int_equal(symlink("b", in_top("a")), 0);
}

static void a_name_that_is_swapped_after_the_look_does_not_matter(void **state)
{
    struct xfer_error err;
    char contents[64];

    (void)state;
    use_own();
    make("f", "mine");
    between = swap_for_own;
    assert_int_equal(outcome(in_top("f"), contents, &err), XFER_SOURCE_CHANGED);
    assert_refused(in_top("f")); /* by the next attempt */
}

static void remove_it(void)
{
    assert_int_equal(unlink(in_top("f")), 0);
}

static void replace_it(void)
{
    make("g", "new");
    assert_int_equal(rename(in_top("g"), in_top("f")), 0);
}

static void a_file_that_is_replaced_after_the_look_is_not_told_as_missing(void **state)
{
    struct xfer_error err;
    char contents[64];

    (void)state;
    allow("/");
    make("f", "old");
    between = replace_it;
    assert_int_equal(outcome(in_top("f"), contents, &err), XFER_SOURCE_CHANGED);
    assert_sent(in_top("f"), "new");
    between = remove_it;
    assert_int_equal(outcome(in_top("f"), contents, &err), XFER_NO_SUCH_FILE);
}

static void a_link_that_is_put_in_place_after_the_look_is_not_followed(void **state)
{
    struct xfer_error err;
    char contents[64] = "";

    (void)state;
    make_dir("a");
    make("a/f", "inside");
    make("f", "outside");
    allow(in_top("a"));
    between = swap_for_link;
    if (outcome(in_top("a/f"), contents, &err) == XFER_OK)
        assert_string_equal(contents, "inside");
    assert_refused(in_top("a/f"));
}

static void a_directory_that_is_swapped_after_the_look_does_not_matter(void **state)
{
    struct xfer_error err;
    char contents[64];

    (void)state;
    make_dir("a");
    make_dir("b");
    make("a/f", "inside");
    make("b/f", "outside");
    allow(in_top("a"));
    between = swap_directory;
    assert_int_equal(outcome(in_top("a/f"), contents, &err), XFER_SOURCE_CHANGED);
    assert_int_equal(unlink(in_top("a")), 0);
    assert_int_equal(rename(in_top("was-a"), in_top("a")), 0);
    assert_sent(in_top("a/f"), "inside");
}

/* In a process with mounts of its own. */
static void with_mounts(void (*run)(void))
{
    int status;

    if (geteuid() != 0)
        skip();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) || mount("none", "/", "none", MS_REC | MS_PRIVATE, ""))
            _exit(77);
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* In that process a failure is an exit status. */
static void need(bool holds, int line)
{
    if (!holds) {
        fprintf(stderr, "line %d does not hold\n", line);
        _exit(1);
    }
}
#define NEED(condition) need(condition, __LINE__)

static enum xfer_code code_of(const char *path)
{
    struct xfer_error err;
    char contents[64];

    return outcome(path, contents, &err);
}

static void bind_proc_elsewhere(void)
{
    NEED(mount("/proc", in_top("m"), "none", MS_BIND | MS_REC, "") == 0);
    NEED(code_of(in_top("m/self/environ")) == XFER_PERMISSION_DENIED);
    NEED(code_of(in_top("m/version")) == XFER_PERMISSION_DENIED);
}

static void proc_mounted_elsewhere_is_refused(void **state)
{
    (void)state;
    make_dir("m");
    with_mounts(bind_proc_elsewhere);
}

static void bind_own_elsewhere(void)
{
    NEED(mount(in_top("q"), in_top("m"), "none", MS_BIND, "") == 0);
    NEED(code_of(in_top("m/queue.db")) == XFER_PERMISSION_DENIED);
    NEED(code_of(in_top("m/other")) == XFER_OK);
    NEED(mount(in_top("lib"), in_top("m"), "none", MS_BIND, "") == 0);
    NEED(code_of(in_top("m/key")) == XFER_PERMISSION_DENIED);
    NEED(code_of(in_top("m/incoming/.xfer/f")) == XFER_PERMISSION_DENIED);
    NEED(code_of(in_top("m/incoming/f")) == XFER_OK);
}

static void the_daemons_own_mounted_elsewhere_is_refused(void **state)
{
    (void)state;
    use_own();
    make_dir("m");
    with_mounts(bind_own_elsewhere);
}

/* Another process shows by its mounts something else at a path that would be allowed. */
static void in_another_namespace(void)
{
    char path[128], byte;
    int pipes[2][2];

    NEED(pipe(pipes[0]) == 0 && pipe(pipes[1]) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(pipes[1][1]);
        NEED(unshare(CLONE_NEWNS) == 0);
        NEED(mount(in_top("secret"), in_top("a"), "none", MS_BIND, "") == 0);
        NEED(write(pipes[0][1], "x", 1) == 1);
        _exit(read(pipes[1][0], &byte, 1) != 0);
    }
    NEED(read(pipes[0][0], &byte, 1) == 1);
    snprintf(path, sizeof path, "/proc/%d/root%s", (int)pid, in_top("a/f"));
    NEED(code_of(path) == XFER_PERMISSION_DENIED);
    allow("/");
    NEED(code_of(path) == XFER_PERMISSION_DENIED);
    NEED(code_of(in_top("a/f")) == XFER_OK);
    close(pipes[1][1]);
    waitpid(pid, NULL, 0);
}

static void what_another_mount_namespace_shows_is_refused(void **state)
{
    (void)state;
    make_dir("a");
    make_dir("secret");
    make("a/f", "open");
    make("secret/f", "secret");
    allow(in_top("a"));
    with_mounts(in_another_namespace);
}

/* ---- words ---- */

static void a_refusal_names_the_daemons_user_and_the_way_out(void **state)
{
    struct xfer_error err;
    char contents[64], uid[32];

    (void)state;
    snprintf(uid, sizeof uid, "uid %u", (unsigned)geteuid());
    make("f", "x");
    allow("/usr");
    outcome(in_top("f"), contents, &err);
    assert_non_null(strstr(err.text, uid));
    assert_non_null(strstr(err.text, "source.roots"));
    assert_non_null(strstr(err.text, "xferctl send"));
    outcome("/proc/self/status", contents, &err);
    assert_non_null(strstr(err.text, uid));
}

static void a_file_that_may_not_be_read_names_them_too(void **state)
{
    struct xfer_error err;
    char contents[64];

    (void)state;
    make("f", "x");
    assert_int_equal(chmod(in_top("f"), 0), 0);
    if (geteuid() == 0)
        assert_int_equal(seteuid(65534), 0);
    allow("/");
    outcome(in_top("f"), contents, &err);
    if (getuid() == 0)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(err.code, XFER_PERMISSION_DENIED);
    assert_int_equal(err.sys_errno, EACCES);
    assert_non_null(strstr(err.text, "Permission denied"));
    assert_non_null(strstr(err.text, "xferctl send"));
    assert_non_null(strstr(err.text, "uid "));
}

/* ---- files that were handed over ---- */

/* fd -1: it was lost. */
static enum xfer_code given(const char *path, const struct stat *st, int fd, char contents[64])
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct source s;

    assert_int_equal(source_init(&s, path, &err), 0);
    s.policy = policy;
    assert_int_equal(source_give(&s, st->st_dev, st->st_ino, fd, &err), 0);
    if (source_open(&s, &err) == 0)
        snprintf(contents, 64, "%.*s", (int)s.st.st_size, s.whole);
    source_free(&s);
    if (err.code == XFER_SOURCE_HANDLE_LOST)
        assert_string_equal(err.path, path);
    return err.code;
}

static void what_was_handed_over_is_read_wherever_it_lies(void **state)
{
    char contents[64];
    struct stat st;
    int fd;

    (void)state;
    make("f", "mine");
    fd = open(in_top("f"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(fstat(fd, &st), 0);
    allow("/usr");
    assert_int_equal(given(in_top("none"), &st, fd, contents), XFER_OK);
    assert_string_equal(contents, "mine");
    /* and again, for another attempt */
    assert_int_equal(given(in_top("none"), &st, fd, contents), XFER_OK);
    close(fd);
}

static void what_was_handed_over_and_lost_is_opened_again_where_that_is_allowed(void **state)
{
    char contents[64];
    struct stat st;

    (void)state;
    make("f", "mine");
    assert_int_equal(stat(in_top("f"), &st), 0);
    assert_int_equal(given(in_top("f"), &st, -1, contents), XFER_OK);
    assert_string_equal(contents, "mine");
    allow("/usr");
    assert_int_equal(given(in_top("f"), &st, -1, contents), XFER_SOURCE_HANDLE_LOST);
    allow("/");
    assert_int_equal(given(in_top("none"), &st, -1, contents), XFER_SOURCE_HANDLE_LOST);
}

static void another_file_at_its_path_is_not_taken_for_what_was_handed_over(void **state)
{
    char contents[64];
    struct stat st;

    (void)state;
    make("f", "mine");
    make("g", "other");
    assert_int_equal(stat(in_top("f"), &st), 0);
    assert_int_equal(given(in_top("g"), &st, -1, contents), XFER_SOURCE_HANDLE_LOST);
}

static enum xfer_code check_handle(const char *path, int flags)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct stat st;
    int fd = open(path, flags | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    source_policy_check_handle(policy, fd, &st, "/somewhere", &err);
    close(fd);
    return err.code;
}

static void handing_over_is_no_way_to_the_daemons_own_or_the_kernels_files(void **state)
{
    (void)state;
    use_own();
    make("f", "mine");
    assert_int_equal(link(in_top("q/queue.db"), in_top("hard")), 0);
    assert_int_equal(check_handle(in_top("f"), O_RDONLY), XFER_OK);
    assert_int_equal(check_handle(in_top("q/queue.db"), O_RDONLY), XFER_PERMISSION_DENIED);
    assert_int_equal(check_handle(in_top("hard"), O_RDONLY), XFER_PERMISSION_DENIED);
    assert_int_equal(check_handle(in_top("lib/incoming/.xfer/f"), O_RDONLY),
                     XFER_PERMISSION_DENIED);
    assert_int_equal(check_handle("/proc/self/status", O_RDONLY), XFER_PERMISSION_DENIED);
    if (access("/sys/kernel/uevent_seqnum", R_OK) == 0)
        assert_int_equal(check_handle("/sys/kernel/uevent_seqnum", O_RDONLY),
                         XFER_PERMISSION_DENIED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

/* ---- files of a tree ---- */

/* As a walk would: the directory that path is, and name in it. */
static struct walk_dir *open_dir(const char *path)
{
    struct walk_dir *dir = calloc(1, sizeof *dir + 1);

    assert_non_null(dir);
    atomic_init(&dir->references, 1);
    dir->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir->fd >= 0);
    assert_int_equal(fstat(dir->fd, &dir->st), 0);
    return dir;
}

/* The source t/f, seen by a walk, before change is made to it. */
static void see(struct source *s, void (*change)(void))
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct walk_dir *dir;
    struct stat st;

    make_dir("t");
    make("t/f", "contents");
    make("other", "others");
    dir = open_dir(in_top("t"));
    assert_int_equal(fstatat(dir->fd, "f", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(source_init(s, in_top("t/f"), &err), 0);
    s->policy = policy;
    assert_int_equal(source_in(s, dir, "f", &st, &err), 0);
    walk_dir_release(dir); /* the source has its own */
    if (change)
        change();
}

static void assert_changed_after(void (*change)(void))
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct source s;

    see(&s, change);
    assert_int_equal(source_open(&s, &err), -1);
    assert_int_equal(err.code, XFER_SOURCE_CHANGED);
    assert_string_equal(err.path, in_top("t/f"));
    assert_int_equal(err.side, XFER_SIDE_SENDER);
    source_free(&s);
}

static void move_tree(void)
{
    assert_int_equal(rename(in_top("t"), in_top("moved")), 0);
    make_dir("t");
    make("t/f", "another");
}

static void a_file_of_a_tree_is_opened_where_the_walk_saw_it(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct source s;

    (void)state;
    see(&s, move_tree);
    if (source_open(&s, &err))
        fail_msg("%s", err.text);
    assert_int_equal(s.st.st_size, 8);
    assert_memory_equal(s.whole, "contents", 8);
    source_free(&s);
}

static void write_into(const char *text)
{
    FILE *f = fopen(in_top("t/f"), "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void grow(void)
{
    write_into("more contents");
}

static void shrink(void)
{
    write_into("less");
}

static void rewrite(void)
{
    write_into("CONTENTS");
}

/* What counts is that it stays as it is from then on. */
static void a_file_of_a_tree_is_sent_as_it_was_opened(void **state)
{
    static const struct {
        void (*change)(void);
        const char *text;
    } cases[] = {{grow, "more contents"}, {shrink, "less"}, {rewrite, "CONTENTS"}};
    struct xfer_error err = XFER_ERROR_INIT;
    struct source s;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        see(&s, cases[i].change);
        if (source_open(&s, &err))
            fail_msg("%s", err.text);
        assert_int_equal(s.st.st_size, strlen(cases[i].text));
        assert_memory_equal(s.whole, cases[i].text, strlen(cases[i].text));
        assert_int_equal(s.fd, -1);
        source_free(&s);
        assert_int_equal(unlink(in_top("t/f")), 0);
        assert_int_equal(rmdir(in_top("t")), 0);
    }
}

static void remove_file(void)
{
    assert_int_equal(unlink(in_top("t/f")), 0);
}

static void a_file_of_a_tree_that_is_gone_has_changed(void **state)
{
    (void)state;
    assert_changed_after(remove_file);
}

static void replace_by_other(void)
{
    assert_int_equal(rename(in_top("other"), in_top("t/f")), 0);
}

static void another_file_in_its_place_is_not_sent(void **state)
{
    (void)state;
    assert_changed_after(replace_by_other);
}

static void replace_by_link(void)
{
    assert_int_equal(rename(in_top("t/f"), in_top("t/real")), 0);
    assert_int_equal(symlink("real", in_top("t/f")), 0);
}

static void a_link_in_its_place_is_not_followed(void **state)
{
    (void)state;
    assert_changed_after(replace_by_link);
}

static void replace_by_fifo(void)
{
    assert_int_equal(unlink(in_top("t/f")), 0);
    assert_int_equal(mkfifo(in_top("t/f"), 0644), 0);
}

static void a_fifo_in_its_place_is_not_waited_for(void **state)
{
    (void)state;
    assert_changed_after(replace_by_fifo);
}

static void replace_by_directory(void)
{
    assert_int_equal(unlink(in_top("t/f")), 0);
    make_dir("t/f");
}

static void a_directory_in_its_place_is_no_file(void **state)
{
    (void)state;
    assert_changed_after(replace_by_directory);
}

static void a_file_of_a_tree_is_checked_at_the_end(void **state)
{
    static void (*const changes[])(void) = {remove_file, replace_by_other, replace_by_link};
    struct xfer_error err = XFER_ERROR_INIT;
    struct source s;
    char command[160];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        see(&s, NULL);
        assert_int_equal(truncate(in_top("t/f"), SOURCE_WHOLE_MAX + 1), 0);
        assert_int_equal(source_open(&s, &err), 0);
        assert_int_equal(source_check(&s, &err), 0);
        changes[i]();
        assert_int_equal(source_check(&s, &err), -1);
        assert_int_equal(err.code, XFER_SOURCE_CHANGED);
        source_free(&s);
        snprintf(command, sizeof command, "rm -rf %s/t %s/other", top, top);
        assert_int_equal(system(command), 0);
    }
    see(&s, NULL);
    assert_int_equal(truncate(in_top("t/f"), SOURCE_WHOLE_MAX + 1), 0);
    assert_int_equal(source_open(&s, &err), 0);
    assert_int_equal(truncate(in_top("t/f"), SOURCE_WHOLE_MAX + 2), 0);
    assert_int_equal(source_check(&s, &err), -1);
    assert_non_null(strstr(err.text, "grew"));
    source_free(&s);
}

static void what_became_the_queue_since_the_walk_is_not_sent(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct source s;

    (void)state;
    see(&s, NULL);
    make_policy(&(struct source_policy_options){.roots = "/", .database = in_top("t/f")});
    s.policy = policy;
    assert_int_equal(source_open(&s, &err), -1);
    assert_int_equal(err.code, XFER_PERMISSION_DENIED);
    source_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_what_is_beneath_a_root_is_opened),
        TEST(a_root_is_no_prefix_of_names),
        TEST(several_roots_are_all_good),
        TEST(a_link_that_leads_out_of_the_roots_is_refused),
        TEST(a_link_that_leads_into_a_root_is_followed),
        TEST(a_root_may_be_a_symbolic_link),
        TEST(a_root_that_was_replaced_is_the_new_directory),
        TEST(without_roots_nothing_is_opened),
        TEST(outside_of_the_roots_not_even_the_kind_is_told),
        TEST(outside_of_the_roots_not_even_what_is_there_is_told),
        TEST(roots_change_at_any_time),
        TEST(roots_change_while_sources_are_opened),
        TEST(files_of_the_kernel_are_never_sent),
        TEST(a_link_into_proc_is_refused),
        TEST(what_a_path_through_proc_leads_to_is_what_counts),
        TEST(a_descriptor_of_the_daemon_is_no_way_to_a_file),
        TEST(a_file_behind_a_directory_that_may_not_be_entered_is_not_reached_by_a_descriptor),
        TEST(devices_are_refused_and_shared_memory_is_not),
        TEST(memory_that_ranks_share_is_never_sent),
        TEST(the_queue_is_never_sent),
        TEST(no_other_name_of_the_queue_is_a_way_around),
        TEST(the_configuration_is_never_sent),
        TEST(state_and_runtime_are_never_sent_but_what_was_received_is),
        TEST(a_name_that_is_swapped_after_the_look_does_not_matter),
        TEST(a_file_that_is_replaced_after_the_look_is_not_told_as_missing),
        TEST(a_link_that_is_put_in_place_after_the_look_is_not_followed),
        TEST(a_directory_that_is_swapped_after_the_look_does_not_matter),
        TEST(proc_mounted_elsewhere_is_refused),
        TEST(the_daemons_own_mounted_elsewhere_is_refused),
        TEST(what_another_mount_namespace_shows_is_refused),
        TEST(a_refusal_names_the_daemons_user_and_the_way_out),
        TEST(a_file_that_may_not_be_read_names_them_too),
        TEST(what_was_handed_over_is_read_wherever_it_lies),
        TEST(what_was_handed_over_and_lost_is_opened_again_where_that_is_allowed),
        TEST(another_file_at_its_path_is_not_taken_for_what_was_handed_over),
        TEST(handing_over_is_no_way_to_the_daemons_own_or_the_kernels_files),
        TEST(a_file_of_a_tree_is_opened_where_the_walk_saw_it),
        TEST(a_file_of_a_tree_is_sent_as_it_was_opened),
        TEST(a_file_of_a_tree_that_is_gone_has_changed),
        TEST(another_file_in_its_place_is_not_sent),
        TEST(a_link_in_its_place_is_not_followed),
        TEST(a_fifo_in_its_place_is_not_waited_for),
        TEST(a_directory_in_its_place_is_no_file),
        TEST(a_file_of_a_tree_is_checked_at_the_end),
        TEST(what_became_the_queue_since_the_walk_is_not_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
