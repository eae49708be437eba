/* SPDX-License-Identifier: MIT
 *
 * LOOKs: directories that are made, and what is said of everything else. Each test runs with
 * openat2() and on the way without it.
 */
#include "tests/unit/resume_fixture.h"

#include "daemon/receive/store_tree.h"

#define TREE  HEX "-7-tree"
#define OWNER 64001

static struct wire_look look;
static struct wire_looked looked;

static void look_in(const char *base)
{
    memset(&look, 0, sizeof look);
    look.number = 3;
    look.job = JOB;
    look.overwrite = OVERWRITE_CHANGED;
    look.preserve = PRESERVE_DEFAULT;
    snprintf(look.base, sizeof look.base, "%s", base);
}

static struct wire_look_entry *add(enum wire_kind kind, const char *name)
{
    struct wire_look_entry *e = &look.entries[look.n++];

    e->kind = kind;
    e->mode = kind == WIRE_KIND_DIRECTORY ? 0755 : 0644;
    e->mtime_sec = MTIME;
    e->mtime_nsec = 987654321;
    snprintf(e->name, sizeof e->name, "%s", name);
    return e;
}

static void add_file(const char *name, uint64_t size)
{
    add(WIRE_KIND_FILE, name)->size = size;
}

static void add_link(const char *name, const char *target)
{
    add(WIRE_KIND_SYMLINK, name)->hash = XXH3_64bits(target, strlen(target));
}

static const char *result_name(enum wire_looked_result result)
{
    static const char *const names[] = {"?",    "ABSENT",  "SAME", "METADATA", "DIFFERENT",
                                        "KEPT", "COMPARE", "MADE", "READY",    "FAILED"};

    return names[(unsigned)result < sizeof names / sizeof *names ? result : 0];
}

static void is(uint32_t i, enum wire_looked_result result)
{
    if (looked.entries[i].result != result)
        fail_msg("%s: %s instead of %s (%s)", look.entries[i].name,
                 result_name(looked.entries[i].result), result_name(result),
                 error_info(looked.entries[i].code)->name);
    if (result != WIRE_LOOKED_FAILED)
        assert_int_equal(looked.entries[i].code, XFER_OK);
}

static void run_look(struct fixture *f)
{
    memset(&looked, 0xff, sizeof looked);
    store_look(f->store, &look, &looked);
    assert_int_equal(looked.number, look.number);
    assert_int_equal(looked.n, look.n);
}

/* Of a LOOK of one entry. */
static void says(struct fixture *f, enum wire_looked_result result)
{
    run_look(f);
    is(0, result);
}

static void fails(struct fixture *f, enum xfer_code code, int sys_errno)
{
    says(f, WIRE_LOOKED_FAILED);
    assert_int_equal(looked.entries[0].code, code);
    assert_int_equal(looked.entries[0].sys_errno, sys_errno);
}

static mode_t mode_of(const struct fixture *f, const char *name)
{
    struct stat st;

    assert_int_equal(lstat(in_root(f, name), &st), 0);
    return st.st_mode & 07777;
}

static void set_mtime(const struct fixture *f, const char *name, time_t sec, long nsec)
{
    const struct timespec times[2] = {{0, UTIME_OMIT}, {sec, nsec}};

    assert_int_equal(utimensat(AT_FDCWD, in_root(f, name), times, AT_SYMLINK_NOFOLLOW), 0);
}

/* The work of job JOB begins now; what is there is from before. */
static void begin(struct fixture *f)
{
    struct timespec began;
    struct stat st;
    char probe[300];

    snprintf(probe, sizeof probe, "%s/probe", f->dir);
    assert_int_equal(store_tree_begin(f->store, JOB), 0);
    assert_true(store_tree_began(f->store, JOB, &began));
    /* the clock of file systems moves in steps: the note must be later than what was before */
    do {
        struct timespec times[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};

        make_file(probe, "");
        assert_int_equal(stat(probe, &st), 0);
        assert_int_equal(utimensat(AT_FDCWD, in_partial(f, TREE), times, 0), 0);
    } while (st.st_ctim.tv_sec == began.tv_sec && st.st_ctim.tv_nsec == began.tv_nsec);
}

/* ---- directories ---- */

static void directories_are_made_with_the_parents_of_their_base(void **state)
{
    struct fixture *f = *state;

    look_in("a/b");
    add(WIRE_KIND_DIRECTORY, "c")->mode = 0511;
    add(WIRE_KIND_DIRECTORY, "d")->mode = 07077;
    add_file("file", 1);
    run_look(f);
    is(0, WIRE_LOOKED_MADE);
    is(1, WIRE_LOOKED_MADE);
    is(2, WIRE_LOOKED_ABSENT);
    assert_int_equal(mode_of(f, "a"), 0755);
    assert_int_equal(mode_of(f, "a/b"), 0755);
    assert_int_equal(mode_of(f, "a/b/c"), 0711);
    assert_int_equal(mode_of(f, "a/b/d"), 01777);
    run_look(f);
    is(0, WIRE_LOOKED_READY);
    is(1, WIRE_LOOKED_READY);
}

static void directories_are_made_right_in_the_root(void **state)
{
    struct fixture *f = *state;

    look_in("");
    add(WIRE_KIND_DIRECTORY, "a");
    says(f, WIRE_LOOKED_MADE);
    says(f, WIRE_LOOKED_READY);
    root_has(f, 1);
}

static void directory_modes_are_those_of_the_configuration_or_without_preservation(void **state)
{
    struct fixture *f = *state;

    look_in("");
    look.preserve = PRESERVE_TIMES;
    add(WIRE_KIND_DIRECTORY, "a")->mode = 0777;
    says(f, WIRE_LOOKED_MADE);
    assert_int_equal(mode_of(f, "a"), 0755);
    f->options.dir_mode = 02770;
    f->options.dir_mode_given = true;
    reopen(f);
    look_in("");
    add(WIRE_KIND_DIRECTORY, "b")->mode = 0700;
    says(f, WIRE_LOOKED_MADE);
    assert_int_equal(mode_of(f, "b"), 02770);
}

static void what_is_in_the_way_of_a_directory_fails_it_alone(void **state)
{
    struct fixture *f = *state;

    make_file(in_root(f, "file"), "x");
    assert_int_equal(symlink(".", in_root(f, "link")), 0);
    look_in("");
    add(WIRE_KIND_DIRECTORY, "file");
    add(WIRE_KIND_DIRECTORY, "link");
    add(WIRE_KIND_DIRECTORY, "new");
    fails(f, XFER_NOT_DIRECTORY, ENOTDIR);
    is(1, WIRE_LOOKED_FAILED);
    assert_int_equal(looked.entries[1].code, XFER_NOT_DIRECTORY);
    is(2, WIRE_LOOKED_MADE);
}

static void what_is_in_the_way_of_the_base_fails_all(void **state)
{
    struct fixture *f = *state;

    make_file(in_root(f, "file"), "x");
    assert_int_equal(symlink(f->dir, in_root(f, "link")), 0);
    look_in("file/a");
    add(WIRE_KIND_DIRECTORY, "new");
    add_file("b", 1);
    fails(f, XFER_NOT_DIRECTORY, 0);
    is(1, WIRE_LOOKED_FAILED);
    look_in("link/a");
    add(WIRE_KIND_DIRECTORY, "new");
    fails(f, XFER_UNSAFE_PATH, 0);
    look_in("link");
    add_file("root", 1);
    fails(f, XFER_UNSAFE_PATH, 0);
}

static void names_that_are_none_are_refused(void **state)
{
    static const char *const names[] = {"", ".", "..", "a/b", "/", ".xfer", ".xfer-1"};
    struct fixture *f = *state;
    unsigned i;

    look_in("");
    for (i = 0; i < sizeof names / sizeof *names; i++)
        add(i % 2 == 0 ? WIRE_KIND_DIRECTORY : WIRE_KIND_FILE, names[i]);
    run_look(f);
    for (i = 0; i < look.n; i++) {
        is(i, WIRE_LOOKED_FAILED);
        assert_int_equal(looked.entries[i].code, XFER_INVALID_DESTINATION);
    }
    root_has(f, 0);
    look_in("../a");
    add(WIRE_KIND_DIRECTORY, "b");
    fails(f, XFER_INVALID_DESTINATION, 0);
}

static void a_dry_look_changes_nothing(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mkdir(in_root(f, "there"), 0500), 0);
    look_in("");
    look.dry = look.begin = true;
    add(WIRE_KIND_DIRECTORY, "there");
    add(WIRE_KIND_DIRECTORY, "new");
    run_look(f);
    is(0, WIRE_LOOKED_READY);
    is(1, WIRE_LOOKED_MADE);
    look_in("new/sub");
    look.dry = true;
    add(WIRE_KIND_DIRECTORY, "c");
    add_file("a", 1);
    run_look(f);
    is(0, WIRE_LOOKED_MADE);
    is(1, WIRE_LOOKED_ABSENT);
    assert_int_equal(mode_of(f, "there"), 0500);
    root_has(f, 1);
}

static void nothing_is_made_for_files_alone(void **state)
{
    struct fixture *f = *state;

    look_in("a/b");
    add_file("file", 1);
    says(f, WIRE_LOOKED_ABSENT);
    root_has(f, 0);
}

/* ---- files ---- */

static void changed_compares_size_and_time(void **state)
{
    struct fixture *f = *state;

    put_text(f->store, "d/a", "x");
    put_text(f->store, "d/larger", "xx");
    put_text(f->store, "d/later", "x");
    set_mtime(f, "d/later", MTIME, 987654322);
    look_in("d");
    add_file("a", 1);
    add_file("larger", 1);
    add_file("later", 1);
    add_file("absent", 1);
    run_look(f);
    is(0, WIRE_LOOKED_SAME);
    is(1, WIRE_LOOKED_DIFFERENT);
    is(2, WIRE_LOOKED_DIFFERENT);
    is(3, WIRE_LOOKED_ABSENT);
    look.preserve = 0; /* as rsync does */
    run_look(f);
    is(0, WIRE_LOOKED_SAME);
    is(2, WIRE_LOOKED_DIFFERENT);
}

static void a_file_system_may_keep_less_of_a_time(void **state)
{
    static const long kept[] = {987654300, 987654000, 987000000, 980000000, 0};
    struct fixture *f = *state;
    unsigned i;

    put_text(f->store, "a", "x");
    look_in("");
    add_file("a", 1);
    for (i = 0; i < sizeof kept / sizeof *kept; i++) {
        set_mtime(f, "a", MTIME, kept[i]);
        says(f, WIRE_LOOKED_SAME);
    }
    set_mtime(f, "a", MTIME, 987654200);
    says(f, WIRE_LOOKED_DIFFERENT);
    set_mtime(f, "a", MTIME + 1, 0);
    says(f, WIRE_LOOKED_DIFFERENT);
}

static void replace_takes_nothing_for_the_same(void **state)
{
    struct fixture *f = *state;

    put_text(f->store, "a", "x");
    look_in("");
    look.overwrite = OVERWRITE_REPLACE;
    add_file("a", 1);
    says(f, WIRE_LOOKED_DIFFERENT);
}

static void never_keeps_all_but_directories(void **state)
{
    struct fixture *f = *state;

    put_text(f->store, "a", "x");
    assert_int_equal(symlink("a", in_root(f, "link")), 0);
    assert_int_equal(mkfifo(in_root(f, "fifo"), 0600), 0);
    assert_int_equal(mkdir(in_root(f, "dir"), 0700), 0);
    look_in("");
    look.overwrite = OVERWRITE_NEVER;
    look.checksum = true;
    add_file("a", 1);
    add_file("link", 1);
    add_file("fifo", 1);
    add_link("link", "a");
    add_link("a", "b");
    add_file("new", 1);
    add_file("dir", 1);
    run_look(f);
    for (unsigned i = 0; i < 5; i++)
        is(i, WIRE_LOOKED_KEPT);
    is(5, WIRE_LOOKED_ABSENT);
    is(6, WIRE_LOOKED_FAILED);
}

static void newer_keeps_what_is_as_new(void **state)
{
    struct fixture *f = *state;

    put_text(f->store, "same", "x");
    put_text(f->store, "equal", "xx");
    put_text(f->store, "newer", "x");
    set_mtime(f, "newer", MTIME + 1, 0);
    put_text(f->store, "older", "x");
    set_mtime(f, "older", MTIME, 1);
    look_in("");
    look.overwrite = OVERWRITE_NEWER;
    add_file("same", 1);
    add_file("equal", 1);
    add_file("newer", 1);
    add_file("older", 1);
    run_look(f);
    is(0, WIRE_LOOKED_SAME);
    is(1, WIRE_LOOKED_KEPT);
    is(2, WIRE_LOOKED_KEPT);
    is(3, WIRE_LOOKED_DIFFERENT);
    look.checksum = true;
    run_look(f);
    is(0, WIRE_LOOKED_COMPARE);
    is(1, WIRE_LOOKED_KEPT);
    is(2, WIRE_LOOKED_KEPT);
    is(3, WIRE_LOOKED_COMPARE);
}

static void checksum_compares_what_has_the_size(void **state)
{
    struct fixture *f = *state;

    put_text(f->store, "a", "x");
    put_text(f->store, "later", "x");
    set_mtime(f, "later", MTIME + 1, 0);
    put_text(f->store, "larger", "xx");
    look_in("");
    look.checksum = true;
    add_file("a", 1);
    add_file("later", 1);
    add_file("larger", 1);
    run_look(f);
    is(0, WIRE_LOOKED_COMPARE);
    is(1, WIRE_LOOKED_COMPARE);
    is(2, WIRE_LOOKED_DIFFERENT);
}

static void another_type_is_different_or_in_the_way(void **state)
{
    struct fixture *f = *state;

    put_text(f->store, "a", "x");
    assert_int_equal(symlink("a", in_root(f, "link")), 0);
    set_mtime(f, "link", MTIME + 1, 0);
    assert_int_equal(mkfifo(in_root(f, "fifo"), 0600), 0);
    assert_int_equal(mkdir(in_root(f, "dir"), 0700), 0);
    look_in("");
    look.overwrite = OVERWRITE_NEWER;
    add_file("link", 1);
    add_link("a", "b");
    add_file("fifo", 1);
    add_file("dir", 1);
    add_link("dir", "b");
    run_look(f);
    is(0, WIRE_LOOKED_DIFFERENT);
    is(1, WIRE_LOOKED_DIFFERENT);
    is(2, WIRE_LOOKED_FAILED);
    assert_int_equal(looked.entries[2].code, XFER_NOT_REGULAR);
    is(3, WIRE_LOOKED_FAILED);
    assert_int_equal(looked.entries[3].code, XFER_IS_DIRECTORY);
    is(4, WIRE_LOOKED_FAILED);
}

static void another_mode_is_metadata_where_it_is_preserved(void **state)
{
    struct fixture *f = *state;

    put_text(f->store, "a", "x");
    look_in("");
    add_file("a", 1);
    look.entries[0].mode = 0600;
    says(f, WIRE_LOOKED_METADATA);
    look.preserve = PRESERVE_TIMES;
    says(f, WIRE_LOOKED_SAME);
    look.preserve = PRESERVE_DEFAULT;
    look.entries[0].mode = 06644; /* as it would come out */
    says(f, WIRE_LOOKED_SAME);
    f->options.file_mode = 0644;
    reopen(f);
    look.entries[0].mode = 0777;
    says(f, WIRE_LOOKED_SAME);
}

static void another_owner_is_metadata_where_it_could_be_given(void **state)
{
    struct fixture *f = *state;

    put_text(f->store, "a", "x");
    look_in("");
    add_file("a", 1);
    look.entries[0].uid = OWNER;
    look.entries[0].gid = getegid();
    look.entries[0].mode = 04644;
    says(f, WIRE_LOOKED_SAME);
    look.preserve |= PRESERVE_OWNER;
    if (geteuid() != 0) { /* it would be sent again each time */
        look.entries[0].mode = 0644;
        says(f, WIRE_LOOKED_SAME);
        return;
    }
    says(f, WIRE_LOOKED_METADATA);
    assert_int_equal(chown(in_root(f, "a"), OWNER, getegid()), 0);
    says(f, WIRE_LOOKED_METADATA);
    assert_int_equal(chmod(in_root(f, "a"), 04644), 0);
    says(f, WIRE_LOOKED_SAME);
}

/* ---- links ---- */

static void links_are_compared_by_what_they_say(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(symlink("target", in_root(f, "a")), 0);
    look_in("");
    add_link("a", "target");
    add_link("a", "other");
    run_look(f);
    is(0, WIRE_LOOKED_METADATA); /* its time */
    is(1, WIRE_LOOKED_DIFFERENT);
    set_mtime(f, "a", MTIME, 987654321);
    run_look(f);
    is(0, WIRE_LOOKED_SAME);
    set_mtime(f, "a", MTIME + 1, 0);
    look.overwrite = OVERWRITE_NEWER;
    look.preserve = 0;
    run_look(f);
    is(0, WIRE_LOOKED_SAME);
    is(1, WIRE_LOOKED_DIFFERENT);
    look.overwrite = OVERWRITE_REPLACE;
    run_look(f);
    is(0, WIRE_LOOKED_DIFFERENT);
}

/* ---- another attempt ---- */

static void only_what_came_since_the_job_began_is_the_same(void **state)
{
    static const enum overwrite_mode modes[] = {OVERWRITE_REPLACE, OVERWRITE_NEVER};
    static const enum wire_looked_result before[] = {WIRE_LOOKED_DIFFERENT, WIRE_LOOKED_KEPT};
    struct fixture *f = *state;
    unsigned i;

    put_text(f->store, "d/old", "x");
    assert_int_equal(symlink("target", in_root(f, "d/oldlink")), 0);
    begin(f);
    put_text(f->store, "d/new", "x");
    assert_int_equal(symlink("target", in_root(f, "d/newlink")), 0);
    set_mtime(f, "d/newlink", MTIME, 987654321);
    put_text(f->store, "d/larger", "xx");
    look_in("d");
    look.since = true;
    add_file("old", 1);
    add_link("oldlink", "target");
    add_file("larger", 1);
    add_file("new", 1);
    add_link("newlink", "target");
    add_file("absent", 1);
    for (i = 0; i < 2; i++) {
        look.overwrite = modes[i];
        run_look(f);
        is(0, before[i]);
        is(1, before[i]);
        is(2, before[i]);
        is(3, WIRE_LOOKED_SAME);
        is(4, WIRE_LOOKED_SAME);
        is(5, WIRE_LOOKED_ABSENT);
    }
    look.overwrite = OVERWRITE_CHANGED; /* says itself what is the same */
    run_look(f);
    is(0, WIRE_LOOKED_SAME);
    is(3, WIRE_LOOKED_SAME);
}

static void without_a_note_of_the_beginning_nothing_is_the_same(void **state)
{
    struct fixture *f = *state;

    put_text(f->store, "a", "x");
    look_in("");
    look.since = true;
    look.overwrite = OVERWRITE_REPLACE;
    add_file("a", 1);
    says(f, WIRE_LOOKED_DIFFERENT);
}

static void the_first_beginning_counts(void **state)
{
    struct fixture *f = *state;
    struct timespec first, second;

    look_in("");
    look.begin = true;
    add_file("a", 1);
    says(f, WIRE_LOOKED_ABSENT);
    assert_true(store_tree_began(f->store, JOB, &first));
    begin(f);
    assert_true(store_tree_began(f->store, JOB, &first));
    says(f, WIRE_LOOKED_ABSENT);
    assert_true(store_tree_began(f->store, JOB, &second));
    assert_memory_equal(&first, &second, sizeof first);
}

static void the_note_is_listed_kept_and_forgotten(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    const uint64_t job = JOB, other = JOB + 1;
    uint64_t *jobs;
    size_t n;

    assert_int_equal(store_tree_begin(f->store, JOB), 0);
    leave_partial(f, "a", 1200);
    reopen(f);
    assert_true(exists(in_partial(f, TREE)));
    assert_int_equal(store_partials(f->store, &jobs, &n, &err), 0);
    assert_int_equal(n, 1);
    assert_int_equal(jobs[0], JOB);
    free(jobs);
    store_forget(f->store, &other, 1);
    assert_true(exists(in_partial(f, TREE)));
    store_forget(f->store, &job, 1);
    assert_int_equal(temporaries(f), 0);
}

static void another_queues_note_is_not_ours(void **state)
{
    struct fixture *f = *state;
    struct timespec when;

    make_file(in_partial(f, OTHER "-7-tree"), "");
    reopen(f);
    assert_true(exists(in_partial(f, OTHER "-7-tree")));
    assert_false(store_tree_began(f->store, JOB, &when));
}

int main(void)
{
    static const struct resume_test tests[] = {
        RESUME_TEST(directories_are_made_with_the_parents_of_their_base),
        RESUME_TEST(directories_are_made_right_in_the_root),
        RESUME_TEST(directory_modes_are_those_of_the_configuration_or_without_preservation),
        RESUME_TEST(what_is_in_the_way_of_a_directory_fails_it_alone),
        RESUME_TEST(what_is_in_the_way_of_the_base_fails_all),
        RESUME_TEST(names_that_are_none_are_refused),
        RESUME_TEST(a_dry_look_changes_nothing),
        RESUME_TEST(nothing_is_made_for_files_alone),
        RESUME_TEST(changed_compares_size_and_time),
        RESUME_TEST(a_file_system_may_keep_less_of_a_time),
        RESUME_TEST(replace_takes_nothing_for_the_same),
        RESUME_TEST(never_keeps_all_but_directories),
        RESUME_TEST(newer_keeps_what_is_as_new),
        RESUME_TEST(checksum_compares_what_has_the_size),
        RESUME_TEST(another_type_is_different_or_in_the_way),
        RESUME_TEST(another_mode_is_metadata_where_it_is_preserved),
        RESUME_TEST(another_owner_is_metadata_where_it_could_be_given),
        RESUME_TEST(links_are_compared_by_what_they_say),
        RESUME_TEST(only_what_came_since_the_job_began_is_the_same),
        RESUME_TEST(without_a_note_of_the_beginning_nothing_is_the_same),
        RESUME_TEST(the_first_beginning_counts),
        RESUME_TEST(the_note_is_listed_kept_and_forgotten),
        RESUME_TEST(another_queues_note_is_not_ours),
    };

    return run_resume_tests("store: looks", tests, sizeof tests / sizeof *tests);
}
