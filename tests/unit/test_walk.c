/* SPDX-License-Identifier: MIT
 *
 * daemon/send/walk: what is told of a tree and in which order, and what is refused in it. What
 * needs mounts runs in a process with a mount namespace of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <ev.h>

#include "daemon/send/walk.h"

#define USER 64001

static char top[64]; /* the test's directory */
static struct ev_loop *loop;
static struct pool *pool;

/* A directory hangs like one of a dead server: it says so, and comes back when it is told to. */
static atomic_bool hangs;
static int tell_hanging, wait_released;
static bool hanging_still; /* what is outstanding can't be waited for */

ssize_t getdents64(int fd, void *buf, size_t size)
{
    char byte;

    if (atomic_load(&hangs) &&
        (write(tell_hanging, "x", 1) != 1 || read(wait_released, &byte, 1) != 1))
        abort();
    return syscall(SYS_getdents64, fd, buf, size);
}

/* ---- trees ---- */

static char *in_top(const char *name)
{
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof paths[0], "%s/%s", top, name);
    return path;
}

static void make(const char *name)
{
    int fd = open(in_top(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
}

static void make_dir(const char *name)
{
    assert_int_equal(mkdir(in_top(name), 0755), 0);
}

static void make_link(const char *name, const char *target)
{
    assert_int_equal(symlink(target, in_top(name)), 0);
}

static void make_list(const char *text, size_t len)
{
    int fd = open(in_top("list"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    close(fd);
}

static int remove_top(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", top);
    return system(command);
}

/* Without threads: for a test that forks. */
static int set_up_alone(void **state)
{
    (void)state;
    strcpy(top, "/tmp/xfer-test-XXXXXX");
    assert_non_null(mkdtemp(top));
    assert_int_equal(chmod(top, 0755), 0);
    make_dir("t");
    loop = NULL;
    pool = NULL;
    return 0;
}

static void make_pool(void)
{
    struct xfer_error err;

    loop = ev_loop_new(EVFLAG_AUTO);
    pool = pool_create(loop, 4, &err);
    if (!pool)
        abort();
}

static int set_up(void **state)
{
    set_up_alone(state);
    make_pool();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pool_destroy(pool);
    if (loop)
        ev_loop_destroy(loop);
    return remove_top();
}

/* ---- walks ---- */

static char told[64 * 1024]; /* a line for each entry, as it came; errors with their code */
static char texts[64 * 1024];
static char within[4096]; /* the directory that was entered and not left */
static unsigned n_told;

static void on_ready(void *user)
{
    (void)user;
    ev_break(loop, EVBREAK_ONE);
}

static struct walk_options options(void)
{
    static char source[128];

    snprintf(source, sizeof source, "%s/t", top);
    return (struct walk_options){.source = source, .path_max = 4000};
}

static struct walk *start(const struct walk_options *o, unsigned want)
{
    struct xfer_error err;
    struct walk *w = walk_create(pool, o, on_ready, NULL, &err);

    assert_non_null(w);
    told[0] = texts[0] = within[0] = '\0';
    n_told = 0;
    walk_want(w, want);
    return w;
}

/* NULL: it has ended. */
static struct walk_entry *take(struct walk *w)
{
    for (;;) {
        struct walk_entry *e = walk_take(w);

        if (e || walk_ended(w))
            return e;
        ev_run(loop, 0);
    }
}

static void check_order(const struct walk_entry *e)
{
    const char *path = e->dir ? e->dir->path : "";
    char *slash;

    if (e->event == WALK_ENTER) {
        if (e->dir->parent)
            assert_string_equal(e->dir->parent->path, within);
        snprintf(within, sizeof within, "%s", path);
    } else if (e->dir) {
        assert_string_equal(path, within);
    }
    if (e->event == WALK_LEAVE) {
        slash = strrchr(within, '/');
        *(slash ? slash : within) = '\0';
    }
}

static void note(const struct walk_entry *e)
{
    static const char *const events[] = {"enter", "entry", "special", "leave", "error"};
    size_t used = strlen(told);
    const char *dir = e->dir ? e->dir->path : "-";

    check_order(e);
    n_told++;
    if (used < sizeof told - 5000)
        snprintf(told + used, sizeof told - used, "%s %s%s%s%s%s%s%s\n", events[e->event], dir,
                 dir[0] && e->name[0] ? "/" : "", e->name, e->target ? " -> " : "",
                 e->target ? e->target : "", e->error ? " " : "",
                 e->error ? error_info(e->error->code)->name : "");
    used = strlen(texts);
    if (e->error && used < sizeof texts - 2000)
        snprintf(texts + used, sizeof texts - used, "%s\n", e->error->text);
    if (e->event == WALK_ENTRY && !e->target)
        assert_true(S_ISREG(e->st.st_mode));
}

static void walk_all(const struct walk_options *o, unsigned want)
{
    struct walk *w = start(o, want);
    struct walk_entry *e;

    while ((e = take(w))) {
        note(e);
        walk_entry_free(e);
    }
    walk_destroy(w);
    if (!hanging_still)
        assert_true(pool_drain(pool, 60));
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines, sorted: the order within a directory is the system's. */
static void assert_told(const char *expected)
{
    static char sorted[sizeof told], copy[sizeof told];
    char *lines[256], *at = copy, *line;
    size_t n = 0;

    memcpy(copy, told, sizeof told);
    sorted[0] = '\0';
    while ((line = strsep(&at, "\n")) && *line && n < 256)
        lines[n++] = line;
    qsort(lines, n, sizeof lines[0], by_text);
    for (size_t i = 0; i < n; i++) {
        strcat(sorted, lines[i]);
        strcat(sorted, "\n");
    }
    assert_string_equal(sorted, expected);
}

static void tells(const struct walk_options *o, const char *expected)
{
    walk_all(o, 100);
    assert_told(expected);
}

static void assert_says(const char *text)
{
    if (!strstr(texts, text))
        fail_msg("\"%s\" says nothing of \"%s\"", texts, text);
}

/* ---- what is told ---- */

static void a_tree_is_told_from_the_top_down(void **state)
{
    struct walk_options o = options();

    (void)state;
    make_dir("t/a");
    make("t/a/f");
    walk_all(&o, 100);
    assert_string_equal(told, "enter \nenter a\nentry a/f\nleave a\nleave \n");
}

static void with_room_for_one_at_a_time_it_is_the_same(void **state)
{
    struct walk_options o = options();

    (void)state;
    make_dir("t/a");
    make_dir("t/a/b");
    make("t/a/b/f");
    walk_all(&o, 1);
    assert_string_equal(told, "enter \nenter a\nenter a/b\nentry a/b/f\nleave a/b\nleave a\n"
                              "leave \n");
}

static void empty_directories_are_told(void **state)
{
    struct walk_options o = options();

    (void)state;
    tells(&o, "enter \nleave \n");
    make_dir("t/e");
    tells(&o, "enter \nenter e\nleave \nleave e\n");
}

static void odd_names_are_names(void **state)
{
    struct walk_options o = options();

    (void)state;
    make("t/new\nline");
    make("t/\xff\xfe");
    make("t/ ");
    make("t/...");
    make("t/-rf");
    make("t/.x");
    walk_all(&o, 100);
    assert_int_equal(n_told, 8);
    assert_non_null(strstr(told, "entry new\nline\n"));
    assert_non_null(strstr(told, "entry \xff\xfe\n"));
    assert_non_null(strstr(told, "entry ...\n"));
}

static void links_are_told_and_not_followed(void **state)
{
    struct walk_options o = options();

    (void)state;
    make_dir("t/d");
    make("t/d/f");
    make_link("t/dangling", "nowhere");
    make_link("t/to-dir", "d");
    make_link("t/to-top", "../t");
    make_link("t/self", "self");
    tells(&o, "enter \nenter d\nentry d/f\nentry dangling -> nowhere\nentry self -> self\n"
              "entry to-dir -> d\nentry to-top -> ../t\nleave \nleave d\n");
}

static void the_longest_target_is_told(void **state)
{
    struct walk_options o = options();
    char target[XFER_PATH_SIZE];

    (void)state;
    memset(target, 'x', sizeof target - 1);
    target[sizeof target - 1] = '\0';
    make_link("t/l", target);
    walk_all(&o, 100);
    assert_non_null(strstr(told, target));
}

static void special_files_are_told_as_such(void **state)
{
    struct walk_options o = options();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_int_equal(mkfifo(in_top("t/fifo"), 0644), 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/t/socket", top);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    tells(&o, "enter \nleave \nspecial fifo\nspecial socket\n");
    close(fd);
}

static void what_the_filter_leaves_out_is_not_told(void **state)
{
    static const char *const rules[] = {"+ keep.o", "- *.o", "- /out/"};
    struct walk_options o = options();
    struct xfer_error err;
    struct filter *filter = filter_create(rules, 3, &err);

    (void)state;
    make("t/a.o");
    make("t/keep.o");
    make_dir("t/out");
    make("t/out/x");
    make_dir("t/d");
    make_dir("t/d/out");
    make("t/d/b.o");
    o.filter = filter;
    tells(&o, "enter \nenter d\nenter d/out\nentry keep.o\nleave \nleave d\nleave d/out\n");
    filter_destroy(filter);
}

static void ten_thousand_entries_wait_few_at_a_time(void **state)
{
    struct walk_options o = options();
    struct walk *w;
    struct walk_entry *e;
    unsigned n = 0;
    char name[32];

    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "t/file-%u", i);
        make(name);
    }
    w = start(&o, 16);
    while ((e = take(w))) {
        /* Whatever the worker does now, no more than 16 can be taken without the loop. */
        assert_true(pool_drain(pool, 60));
        n++;
        walk_entry_free(e);
        if (n % 100 == 0) {
            unsigned waiting = 0;

            walk_want(w, 0);
            assert_true(pool_drain(pool, 60));
            while ((e = walk_take(w))) {
                walk_entry_free(e);
                waiting++;
            }
            assert_true(waiting <= 16);
            n += waiting;
            walk_want(w, 16);
        }
    }
    assert_int_equal(n, 10002);
    walk_destroy(w);
}

static void a_walk_may_be_destroyed_before_it_begins(void **state)
{
    struct walk_options o = options();
    struct xfer_error err;

    (void)state;
    walk_destroy(walk_create(pool, &o, on_ready, NULL, &err));
    walk_destroy(NULL);
}

static void a_walk_may_be_destroyed_in_the_middle(void **state)
{
    struct walk_options o = options();
    struct walk *w;
    struct walk_entry *e;
    char name[32];

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "t/d%u", i);
        make_dir(name);
    }
    for (unsigned i = 1; i < 20; i++) {
        w = start(&o, i * 3);
        for (unsigned k = 0; k < i; k++) {
            e = take(w);
            if (k + 1 < i)
                walk_entry_free(e);
        }
        walk_destroy(w); /* perhaps while its worker is at it */
        walk_entry_free(e);
    }
    assert_true(pool_drain(pool, 60));
}

static void a_directory_that_hangs_holds_nobody_up(void **state)
{
    struct walk_options o = options();
    int hanging[2], released[2];
    struct walk *w;
    char byte;

    (void)state;
    make("t/f");
    assert_int_equal(pipe(hanging), 0);
    assert_int_equal(pipe(released), 0);
    tell_hanging = hanging[1];
    wait_released = released[0];
    atomic_store(&hangs, true);
    w = start(&o, 100);
    pool_poll(pool);
    assert_int_equal(read(hanging[0], &byte, 1), 1);
    walk_destroy(w);
    assert_false(pool_drain(pool, 0));
    atomic_store(&hangs, false);
    hanging_still = true;
    walk_all(&o, 100); /* by another worker */
    hanging_still = false;
    assert_string_equal(told, "enter \nentry f\nleave \n");
    assert_int_equal(write(released[1], "x", 1), 1);
    assert_true(pool_drain(pool, 60));
    for (int i = 0; i < 2; i++) {
        close(hanging[i]);
        close(released[i]);
    }
}

static void a_directory_outlives_the_walk_while_it_is_held(void **state)
{
    struct walk_options o = options();
    struct walk *w;
    struct walk_entry *e;
    struct walk_dir *dir = NULL;
    struct stat st;

    (void)state;
    make_dir("t/a");
    make_dir("t/a/b");
    make("t/a/b/f");
    w = start(&o, 100);
    while ((e = take(w))) {
        if (e->event == WALK_ENTRY)
            dir = walk_dir_share(e->dir);
        walk_entry_free(e);
    }
    walk_destroy(w);
    assert_true(pool_drain(pool, 60));
    assert_int_equal(fstatat(dir->fd, "f", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_string_equal(dir->parent->path, "a");
    walk_dir_release(dir);
}

/* ---- the source itself ---- */

static void a_file_is_one_entry_in_no_directory(void **state)
{
    struct walk_options o = options();

    (void)state;
    make("t/f");
    o.source = in_top("t/f");
    tells(&o, "entry -/f\n");
}

static void a_link_to_the_source_is_followed(void **state)
{
    struct walk_options o = options();

    (void)state;
    make("t/f");
    make_link("l", "t");
    o.source = in_top("l");
    tells(&o, "enter \nentry f\nleave \n");
    o.source = in_top("l/");
    tells(&o, "enter \nentry f\nleave \n");
}

static void a_source_that_is_none_is_an_error(void **state)
{
    struct walk_options o = options();

    (void)state;
    o.source = in_top("nothing");
    tells(&o, "error - NoSuchFile\n");
    assert_int_equal(mkfifo(in_top("fifo"), 0644), 0);
    o.source = in_top("fifo");
    tells(&o, "error - NotRegular\n");
    o.source = "/proc/self/fdinfo";
    o.policy = source_policy_create(&(struct source_policy_options){.roots = "/"},
                                    &(struct xfer_error){0});
    tells(&o, "error - PermissionDenied\n");
    source_policy_destroy(o.policy);
}

/* ---- errors of entries ---- */

static void names_that_are_xfers_own_are_errors(void **state)
{
    struct walk_options o = options();

    (void)state;
    make("t/.xfer-x");
    make_dir("t/.xfer");
    make("t/.xfer/inside");
    make("t/f");
    tells(&o, "enter \nentry f\nerror .xfer InvalidDestination\n"
              "error .xfer-x InvalidDestination\nleave \n");
    assert_says("xfer's own");
}

static void paths_that_are_too_long_are_errors(void **state)
{
    struct walk_options o = options();

    (void)state;
    make_dir("t/dir");
    make("t/dir/abc");
    make("t/dir/abcd");
    make("t/long-name");
    make_dir("t/long-dir");
    make("t/long-dir/f");
    o.path_max = 7;
    tells(&o, "enter \nenter dir\nentry dir/abc\nerror dir/abcd NameTooLong\n"
              "error long-dir NameTooLong\nerror long-name NameTooLong\nleave \nleave dir\n");
}

static void the_deepest_tree_is_walked(void **state)
{
    struct walk_options o = options();
    struct rlimit limit;
    int fd = open(in_top("t"), O_RDONLY | O_DIRECTORY | O_CLOEXEC), next;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < 2200)
        skip();
    for (unsigned i = 0; i < 2010; i++) {
        assert_int_equal(mkdirat(fd, "d", 0755), 0);
        next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(fd);
        fd = next;
    }
    close(fd);
    walk_all(&o, 8192); /* 2000 levels are 3999 bytes */
    assert_int_equal(n_told, 2 * 2001 + 1);
    assert_says("longer than can be stored");
}

static void without_descriptors_an_entry_fails_and_the_walk_goes_on(void **state)
{
    struct walk_options o = options();
    struct rlimit limit, low;

    (void)state;
    make_dir("t/d");
    make("t/f");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    low.rlim_cur = (rlim_t)open("/", O_RDONLY | O_CLOEXEC);
    close((int)low.rlim_cur);
    low.rlim_cur += 2; /* the top needs two for a moment */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    make_dir("t/d/e");
    make_dir("t/d/e/g");
    walk_all(&o, 100);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_told("enter \nenter d\nentry f\nerror d/e NoResources\nleave \nleave d\n");
}

/* ---- what changes meanwhile ---- */

/* Up to the entering of t/a, with the walk not further than that. */
static struct walk *walk_into_a(const struct walk_options *o)
{
    struct walk *w = start(o, 1);
    struct walk_entry *e;
    bool there = false;

    while (!there) {
        e = take(w);
        assert_non_null(e);
        there = e->event == WALK_ENTER && strcmp(e->dir->path, "a") == 0;
        note(e);
        walk_want(w, there ? 0 : 1);
        walk_entry_free(e);
    }
    return w;
}

static void walk_on(struct walk *w)
{
    struct walk_entry *e;

    walk_want(w, 100);
    while ((e = take(w))) {
        note(e);
        walk_entry_free(e);
    }
    walk_destroy(w);
    assert_true(pool_drain(pool, 60));
}

static void a_directory_that_becomes_a_link_leads_nowhere_else(void **state)
{
    struct walk_options o = options();
    struct walk *w;

    (void)state;
    make_dir("secret");
    make("secret/file");
    make_dir("t/a");
    make_dir("t/a/b");
    make("t/a/b/mine");
    w = start(&o, 0);
    walk_want(w, 1);
    walk_entry_free(take(w)); /* the top */
    assert_true(pool_drain(pool, 60));
    assert_int_equal(rename(in_top("t/a"), in_top("moved")), 0);
    make_link("t/a", "../secret");
    walk_on(w);
    assert_null(strstr(told, "file"));
}

static void what_is_entered_is_read_wherever_its_name_leads(void **state)
{
    struct walk_options o = options();
    struct walk *w;

    (void)state;
    make_dir("secret");
    make_dir("secret/b");
    make("secret/b/file");
    make_dir("t/a");
    make_dir("t/a/b");
    make("t/a/b/mine");
    w = walk_into_a(&o);
    assert_int_equal(rename(in_top("t/a"), in_top("moved")), 0);
    make_link("t/a", "../secret");
    walk_on(w);
    assert_null(strstr(told, "file"));
}

static void what_has_vanished_is_not_told(void **state)
{
    struct walk_options o = options();
    struct walk *w;

    (void)state;
    make_dir("t/a");
    make("t/a/f");
    w = walk_into_a(&o);
    assert_int_equal(unlink(in_top("t/a/f")), 0);
    assert_int_equal(rmdir(in_top("t/a")), 0);
    walk_on(w);
    assert_null(strstr(told, "error"));
    assert_non_null(strstr(told, "leave a\n"));
}

/* ---- users ---- */

static struct identity *somebody(void)
{
    struct xfer_error err;

    if (geteuid() != 0 || identity_prepare(&err))
        return NULL;
    /* valgrind has not got the call by which a source is reached as somebody */
    if (syscall(SYS_openat2, -1, NULL, NULL, 0) && errno == ENOSYS)
        return NULL;
    return identity_create(USER, USER, NULL, 0, &err);
}

static void a_user_is_told_what_he_may_read(void **state)
{
    struct walk_options o = options();
    struct identity *who = somebody();

    (void)state;
    if (!who)
        skip();
    make_dir("t/open");
    make("t/open/f");
    make_dir("t/closed");
    make("t/closed/f");
    assert_int_equal(chmod(in_top("t/closed"), 0700), 0);
    make_dir("t/blind");
    make("t/blind/f");
    assert_int_equal(chmod(in_top("t/blind"), 0744), 0);
    o.who = who;
    tells(&o, "enter \nenter blind\nenter open\nentry open/f\nerror blind/f PermissionDenied\n"
              "error closed PermissionDenied\nleave \nleave blind\nleave open\n");
    assert_says("for uid 64001");
    identity_destroy(who);
}

static void what_the_daemon_may_not_read_tells_of_the_way_out(void **state)
{
    pid_t pid;
    int status;

    (void)state;
    if (geteuid() != 0)
        skip();
    make_dir("t/closed");
    assert_int_equal(chmod(in_top("t/closed"), 0700), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct walk_options o = options();
        struct walk *w;
        struct walk_entry *e;
        bool good = false;

        if (setresuid(USER, USER, USER))
            _exit(2);
        make_pool();
        w = start(&o, 100);
        while ((e = take(w))) {
            good |= e->error && strstr(e->error->text, "uid 64001") == NULL &&
                    strstr(e->error->text, "source.identity = caller");
            walk_entry_free(e);
        }
        _exit(good ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* ---- the daemon's own ---- */

static void the_daemons_own_files_are_left_out(void **state)
{
    struct walk_options o = options();
    struct xfer_error err;

    (void)state;
    make_dir("t/state");
    make("t/state/x");
    make_dir("t/run");
    make("t/run/x");
    make_dir("t/etc");
    make("t/etc/conf");
    make("t/etc/other");
    make_dir("t/db");
    make("t/db/queue.db");
    make("t/db/queue.db-shm");
    make("t/db/mine");
    make_dir("t/store");
    make_dir("t/store/.xfer");
    make("t/store/got");
    assert_int_equal(link(in_top("t/db/queue.db"), in_top("t/alias")), 0);
    o.policy =
        source_policy_create(&(struct source_policy_options){.roots = top,
                                                             .state = in_top("t/state"),
                                                             .runtime = in_top("t/run"),
                                                             .config = in_top("t/etc/conf"),
                                                             .database = in_top("t/db/queue.db"),
                                                             .store = in_top("t/store")},
                             &err);
    assert_non_null(o.policy);
    tells(&o, "enter \nenter db\nenter etc\nenter store\nentry db/mine\nentry etc/other\n"
              "entry store/got\nerror alias PermissionDenied\nerror db/queue.db PermissionDenied\n"
              "error db/queue.db-shm PermissionDenied\nerror etc/conf PermissionDenied\n"
              "error run PermissionDenied\nerror state PermissionDenied\n"
              "error store/.xfer PermissionDenied\nleave \nleave db\nleave etc\nleave store\n");
    assert_says("file of xferd itself");
    source_policy_destroy(o.policy);
}

static void a_tree_beneath_the_store_is_the_receivers_without_its_own(void **state)
{
    struct walk_options o = options();
    struct xfer_error err;

    (void)state;
    make_dir("t/in");
    make("t/in/got");
    make("t/in/.xfer-x");
    o.source = in_top("t/in");
    o.policy = source_policy_create(
        &(struct source_policy_options){.roots = "/", .state = top, .store = in_top("t")}, &err);
    tells(&o, "enter \nentry got\nerror .xfer-x PermissionDenied\nleave \n");
    source_policy_destroy(o.policy);
}

static void a_tree_does_not_go_into_itself(void **state)
{
    struct walk_options o = options();
    struct xfer_error err;

    (void)state;
    make_dir("t/in");
    make_dir("t/in/to");
    make_dir("t/in/to/here");
    make("t/in/to/here/got");
    make_dir("t/here");
    make("t/here/f");
    o.policy = source_policy_create(
        &(struct source_policy_options){.roots = "/", .store = in_top("t/in")}, &err);
    /* only what is at that very place */
    o.dest = "to/here";
    tells(&o, "enter \nenter here\nenter in\nenter in/to\nentry here/f\n"
              "error in/to/here InvalidDestination\nleave \nleave here\nleave in\n"
              "leave in/to\n");
    o.dest = "elsewhere/here";
    tells(&o, "enter \nenter here\nenter in\nenter in/to\nenter in/to/here\nentry here/f\n"
              "entry in/to/here/got\nleave \nleave here\nleave in\nleave in/to\n"
              "leave in/to/here\n");
    /* nor onto itself */
    o.source = in_top("t/in/to");
    o.dest = "to";
    tells(&o, "error - InvalidDestination\n");
    assert_says("is where it is to be sent to");
    source_policy_destroy(o.policy);
}

static void outside_of_the_roots_no_tree_is_walked(void **state)
{
    struct walk_options o = options();
    struct xfer_error err;

    (void)state;
    make_dir("root");
    o.policy = source_policy_create(&(struct source_policy_options){.roots = in_top("root")}, &err);
    tells(&o, "error - PermissionDenied\n");
    assert_says("source.roots");
    source_policy_destroy(o.policy);
}

/* ---- mounts ---- */

/* In a child with mounts of its own. */
static void with_mounts(void (*run)(void))
{
    int status;
    pid_t pid;

    if (geteuid() != 0)
        skip();
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) || mount("none", "/", "none", MS_REC | MS_PRIVATE, ""))
            _exit(77);
        make_pool();
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

/* cmocka's own assertions would go on in the child with the parent's tests. */
static void need_told(const struct walk_options *o, const char *line, bool wanted)
{
    walk_all(o, 100);
    if ((strstr(told, line) != NULL) != wanted) {
        fprintf(stderr, "%s: %s in\n%s%s", line, wanted ? "not" : "is", told, texts);
        _exit(1);
    }
}

static void mount_tmpfs(void)
{
    struct walk_options o = options();

    if (mount("none", in_top("t/m"), "tmpfs", 0, "size=64k"))
        _exit(77);
    make("t/m/f");
    need_told(&o, "entry m/f\n", true);
    o.one_file_system = true;
    need_told(&o, "enter m\nleave m\n", true);
    make_list("m\0m/f", 6);
    o.list = in_top("list");
    need_told(&o, "entry m/f\n", true);
    umount(in_top("t/m"));
}

static void another_file_system_is_told_but_not_its_content(void **state)
{
    (void)state;
    make_dir("t/m");
    with_mounts(mount_tmpfs);
}

static void bind_loop(void)
{
    struct walk_options o = options();

    if (mount(in_top("t"), in_top("t/d/loop"), "none", MS_BIND, ""))
        _exit(77);
    need_told(&o, "error d/loop UnsafePath\n", true);
    need_told(&o, "enter d/loop", false);
    umount(in_top("t/d/loop"));
}

static void a_loop_of_mounts_ends(void **state)
{
    (void)state;
    make_dir("t/d");
    make_dir("t/d/loop");
    with_mounts(bind_loop);
}

static void bind_kernels(void)
{
    struct walk_options o = options();
    struct xfer_error err;

    o.policy = source_policy_create(&(struct source_policy_options){.roots = "/"}, &err);
    if (mount("/proc", in_top("t/proc"), "none", MS_BIND | MS_REC, "") ||
        mount("/dev", in_top("t/dev"), "none", MS_BIND, "") ||
        mount("/proc/version", in_top("t/version"), "none", MS_BIND, ""))
        _exit(77);
    need_told(&o, "error proc PermissionDenied\n", true);
    need_told(&o, "error dev PermissionDenied\n", true);
    need_told(&o, "error version PermissionDenied\n", true);
    need_told(&o, "entry f\n", true);
    umount2(in_top("t/proc"), MNT_DETACH);
    umount(in_top("t/dev"));
    umount(in_top("t/version"));
    source_policy_destroy(o.policy);
}

static void files_of_the_kernel_are_left_out(void **state)
{
    (void)state;
    make_dir("t/proc");
    make_dir("t/dev");
    make("t/version");
    make("t/f");
    with_mounts(bind_kernels);
}

/* ---- lists ---- */

#define LIST(text) make_list(text, sizeof text - 1)

static struct walk_options listed(void)
{
    struct walk_options o = options();

    o.list = in_top("list");
    return o;
}

static void a_list_is_told_in_its_order(void **state)
{
    struct walk_options o = listed();

    (void)state;
    make_dir("t/a");
    make_dir("t/a/b");
    make("t/a/b/2");
    make("t/a/1");
    make("t/other");
    make("t/0");
    LIST("a/b/2\0a/1\0./0\0a//1/\0");
    walk_all(&o, 100);
    assert_string_equal(told, "enter \nenter a\nenter a/b\nentry a/b/2\nleave a/b\nentry a/1\n"
                              "leave a\nentry 0\nenter a\nentry a/1\nleave a\nleave \n");
}

static void a_directory_of_the_list_is_sent_whole(void **state)
{
    struct walk_options o = listed();

    (void)state;
    make_dir("t/a");
    make_dir("t/a/b");
    make("t/a/b/2");
    make("t/other");
    LIST("a\0a/b/2\0");
    walk_all(&o, 100);
    assert_string_equal(told, "enter \nenter a\nenter a/b\nentry a/b/2\nleave a/b\nleave a\n"
                              "enter a\nenter a/b\nentry a/b/2\nleave a/b\nleave a\nleave \n");
}

static void the_source_itself_may_be_in_the_list(void **state)
{
    struct walk_options o = listed();

    (void)state;
    make_dir("t/a");
    make("t/a/1");
    LIST("a/1\0.\0a/1\0./\0");
    walk_all(&o, 100);
    assert_string_equal(told, "enter \nenter a\nentry a/1\nleave a\nenter a\nentry a/1\nleave a\n"
                              "enter a\nentry a/1\nleave a\nenter a\nentry a/1\nleave a\nleave \n");
}

static void an_empty_list_is_the_top_alone(void **state)
{
    struct walk_options o = listed();

    (void)state;
    make("t/f");
    LIST("");
    tells(&o, "enter \nleave \n");
}

static void what_is_no_path_of_the_source_is_an_error_by_name(void **state)
{
    struct walk_options o = listed();

    (void)state;
    make("t/f");
    LIST("/etc/passwd\0../x\0a/../f\0\0gone\0gone/too\0f/x\0f\0");
    walk_all(&o, 100);
    assert_string_equal(told, "enter \nerror /etc/passwd InvalidParams\nerror ../x InvalidParams\n"
                              "error a/../f InvalidParams\nerror  InvalidParams\n"
                              "error gone NoSuchFile\nerror gone/too NoSuchFile\n"
                              "error f/x NotDirectory\nentry f\nleave \n");
    assert_says("absolute");
    assert_says("\"..\"");
    assert_says("is empty");
}

static void links_in_paths_of_the_list_are_not_followed(void **state)
{
    struct walk_options o = listed();

    (void)state;
    make_dir("secret");
    make("secret/f");
    make_link("t/l", "../secret");
    LIST("l/f\0l\0");
    walk_all(&o, 100);
    assert_string_equal(told, "enter \nerror l/f NotDirectory\nentry l -> ../secret\nleave \n");
    assert_says("symbolic link");
}

static void the_filter_is_about_what_is_listed_not_about_what_is_above(void **state)
{
    static const char *const rules[] = {"+ *.c", "- *"};
    struct walk_options o = listed();
    struct xfer_error err;
    struct filter *filter = filter_create(rules, 2, &err);

    (void)state;
    make_dir("t/a");
    make("t/a/x.c");
    make("t/a/x.h");
    LIST("a/x.c\0a/x.h\0");
    o.filter = filter;
    walk_all(&o, 100);
    assert_string_equal(told, "enter \nenter a\nentry a/x.c\nleave a\nleave \n");
    filter_destroy(filter);
}

static void a_list_that_is_cut_is_told(void **state)
{
    struct walk_options o = listed();

    (void)state;
    make("t/f");
    LIST("f\0f");
    tells(&o, "enter \nentry f\nerror f InvalidParams\nleave \n");
    assert_says("not whole");
}

static void a_path_of_the_list_that_is_too_long_is_passed_over(void **state)
{
    static char text[300000];
    struct walk_options o = listed();

    (void)state;
    make("t/f");
    memset(text, 'x', sizeof text);
    text[250000] = '\0';
    memcpy(text + sizeof text - 3, "\0f", 3);
    make_list(text, sizeof text);
    walk_all(&o, 100);
    assert_int_equal(n_told, 5); /* two of them too long */
    assert_non_null(strstr(told, "entry f\nleave \n"));
}

static void without_its_list_a_walk_fails(void **state)
{
    struct walk_options o = listed();

    (void)state;
    tells(&o, "error - NoSuchFile\n");
    make("t/f");
    LIST("f\0");
    o.source = in_top("t/f");
    tells(&o, "error - NotDirectory\n");
}

static void a_user_need_not_be_able_to_read_the_list(void **state)
{
    struct walk_options o = listed();
    struct identity *who = somebody();

    (void)state;
    if (!who)
        skip();
    make("t/f");
    LIST("f\0");
    o.who = who;
    tells(&o, "enter \nentry f\nleave \n");
    identity_destroy(who);
}

#define TEST(name)  cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define ALONE(name) cmocka_unit_test_setup_teardown(name, set_up_alone, tear_down)

int main(void)
{
    /* Those that become somebody come last: what is given up then stays given up. */
    const struct CMUnitTest tests[] = {
        TEST(a_tree_is_told_from_the_top_down),
        TEST(with_room_for_one_at_a_time_it_is_the_same),
        TEST(empty_directories_are_told),
        TEST(odd_names_are_names),
        TEST(links_are_told_and_not_followed),
        TEST(the_longest_target_is_told),
        TEST(special_files_are_told_as_such),
        TEST(what_the_filter_leaves_out_is_not_told),
        TEST(ten_thousand_entries_wait_few_at_a_time),
        TEST(a_walk_may_be_destroyed_before_it_begins),
        TEST(a_walk_may_be_destroyed_in_the_middle),
        TEST(a_directory_that_hangs_holds_nobody_up),
        TEST(a_directory_outlives_the_walk_while_it_is_held),
        TEST(a_file_is_one_entry_in_no_directory),
        TEST(a_link_to_the_source_is_followed),
        TEST(a_source_that_is_none_is_an_error),
        TEST(names_that_are_xfers_own_are_errors),
        TEST(paths_that_are_too_long_are_errors),
        TEST(the_deepest_tree_is_walked),
        TEST(without_descriptors_an_entry_fails_and_the_walk_goes_on),
        TEST(a_directory_that_becomes_a_link_leads_nowhere_else),
        TEST(what_is_entered_is_read_wherever_its_name_leads),
        TEST(what_has_vanished_is_not_told),
        TEST(the_daemons_own_files_are_left_out),
        TEST(a_tree_beneath_the_store_is_the_receivers_without_its_own),
        TEST(a_tree_does_not_go_into_itself),
        TEST(outside_of_the_roots_no_tree_is_walked),
        ALONE(another_file_system_is_told_but_not_its_content),
        ALONE(a_loop_of_mounts_ends),
        ALONE(files_of_the_kernel_are_left_out),
        TEST(a_list_is_told_in_its_order),
        TEST(a_directory_of_the_list_is_sent_whole),
        TEST(the_source_itself_may_be_in_the_list),
        TEST(an_empty_list_is_the_top_alone),
        TEST(what_is_no_path_of_the_source_is_an_error_by_name),
        TEST(links_in_paths_of_the_list_are_not_followed),
        TEST(the_filter_is_about_what_is_listed_not_about_what_is_above),
        TEST(a_list_that_is_cut_is_told),
        TEST(a_path_of_the_list_that_is_too_long_is_passed_over),
        TEST(without_its_list_a_walk_fails),
        ALONE(what_the_daemon_may_not_read_tells_of_the_way_out),
        TEST(a_user_is_told_what_he_may_read),
        TEST(a_user_need_not_be_able_to_read_the_list),
    };

    return cmocka_run_group_tests_name("walk", tests, NULL, NULL);
}
