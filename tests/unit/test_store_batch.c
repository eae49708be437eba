/* SPDX-License-Identifier: MIT
 *
 * Files that become durable together. The system calls that matter are taken down in their order,
 * and made to fail: this program's own come before those of the C library.
 */
#include "tests/unit/store_fixture.h"

#include <dlfcn.h>

#include "daemon/receive/store_batch.h"
#include "daemon/receive/store_impl.h"

#define FILES_MAX 8

static char trace[4096]; /* a letter a call: c(ontent of all), f(ile), n(ame), d(irectory) */
static unsigned fail_syncfs, fail_dir, fail_times; /* the n-th from now on; 0: none */
static int fail_errno;

#define NEXT(call) ((__typeof__(&call))dlsym(RTLD_NEXT, #call))

static void note(char what)
{
    size_t len = strlen(trace);

    assert_true(len + 1 < sizeof trace);
    trace[len] = what;
    trace[len + 1] = '\0';
}

static bool fails(unsigned *countdown)
{
    if (*countdown == 0 || --*countdown > 0)
        return false;
    errno = fail_errno;
    return true;
}

int syncfs(int fd)
{
    note('c');
    return fails(&fail_syncfs) ? -1 : NEXT(syncfs)(fd);
}

int fsync(int fd)
{
    struct stat st;
    bool dir = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);

    note(dir ? 'd' : 'f');
    return dir && fails(&fail_dir) ? -1 : NEXT(fsync)(fd);
}

int futimens(int fd, const struct timespec times[2])
{
    return fails(&fail_times) ? -1 : NEXT(futimens)(fd, times);
}

int linkat(int from_at, const char *from, int at, const char *name, int flags)
{
    note('n');
    return NEXT(linkat)(from_at, from, at, name, flags);
}

int renameat(int from_at, const char *from, int at, const char *name)
{
    note('n');
    return NEXT(renameat)(from_at, from, at, name);
}

int renameat2(int from_at, const char *from, int at, const char *name, unsigned flags)
{
    note('n');
    return NEXT(renameat2)(from_at, from, at, name, flags);
}

/* ---- */

struct rig {
    struct fixture fixture;
    struct store_batch *batch;
    unsigned told; /* how many */
    enum xfer_code codes[FILES_MAX * 10];
    char warnings[FILES_MAX * 10][XFER_ERROR_TEXT_SIZE];
    struct xfer_error last;
};

struct one {
    struct rig *rig;
    unsigned number;
};

static struct one ones[FILES_MAX * 10];

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct xfer_error err;

    umask(022);
    fixture_create(&rig->fixture);
    rig->batch = store_batch_create(rig->fixture.store, FILES_MAX, 1000, &err);
    assert_non_null(rig->batch);
    trace[0] = '\0';
    fail_syncfs = fail_dir = fail_times = 0;
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    store_batch_destroy(rig->batch);
    fixture_destroy(&rig->fixture);
    free(rig);
    return 0;
}

static void told(void *user, const struct store_outcome *outcome, const struct xfer_error *err)
{
    struct one *one = user;
    struct rig *rig = one->rig;

    note('t');
    rig->told++;
    rig->codes[one->number] = outcome == NULL ? err->code : XFER_OK;
    if (outcome == NULL)
        rig->last = *err;
    else
        memcpy(rig->warnings[one->number], outcome->warning, XFER_ERROR_TEXT_SIZE);
}

static void hold_with(struct rig *rig, unsigned number, enum wire_kind kind, const char *path,
                      const char *target, uint32_t preserve)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_verdict verdict;
    struct store_file *file;
    struct wire_meta meta;

    meta_of(&meta, path, 0);
    meta.kind = kind;
    meta.mode = 0711;
    meta.preserve = preserve;
    meta.sync = SYNC_BATCH;
    meta.tree = true;
    meta.target_len = strlen(target);
    memcpy(meta.target, target, meta.target_len + 1);
    file = store_begin(rig->fixture.store, &meta, &err);
    if (file == NULL)
        fail_msg("%s", err.text);
    verdict_of(&verdict, "", 0);
    assert_int_equal(store_prepare(file, &verdict, &err), 0);
    ones[number] = (struct one){rig, number};
    store_batch_hold(rig->batch, file, told, &ones[number]);
}

static void hold_kind(struct rig *rig, unsigned number, enum wire_kind kind, const char *path,
                      const char *target)
{
    hold_with(rig, number, kind, path, target, PRESERVE_DEFAULT);
}

static void hold(struct rig *rig, unsigned number, const char *path, const char *text,
                 enum overwrite_mode overwrite)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_verdict verdict;
    struct store_file *file;
    struct wire_meta meta;

    meta_of(&meta, path, strlen(text));
    meta.preserve = PRESERVE_MODE | PRESERVE_TIMES;
    meta.sync = SYNC_BATCH;
    meta.tree = true;
    meta.overwrite = overwrite;
    file = store_begin(rig->fixture.store, &meta, &err);
    if (file == NULL)
        fail_msg("%s", err.text);
    assert_int_equal(store_write(file, text, strlen(text), &err), 0);
    verdict_of(&verdict, text, strlen(text));
    assert_int_equal(store_prepare(file, &verdict, &err), 0);
    ones[number] = (struct one){rig, number};
    store_batch_hold(rig->batch, file, told, &ones[number]);
}

static const char *at(struct rig *rig, const char *name)
{
    return in_root(&rig->fixture, name);
}

static void test_names_come_after_content_and_receipts_after_directories(void **state)
{
    struct rig *rig = *state;

    make_file(at(rig, "old"), "old");
    assert_int_equal(mkdir(at(rig, "d"), 0755), 0);
    hold(rig, 0, "a", "first", OVERWRITE_REPLACE);
    hold(rig, 1, "d/b", "second", OVERWRITE_NEVER);
    hold(rig, 2, "old", "new", OVERWRITE_REPLACE);
    hold(rig, 3, "new/dir/c", "fourth", OVERWRITE_REPLACE);
    assert_string_equal(trace, "");
    assert_false(exists(at(rig, "a")));
    assert_false(exists(at(rig, "new")));
    holds(at(rig, "old"), "old");
    store_batch_commit(rig->batch);
    holds(at(rig, "a"), "first");
    holds(at(rig, "d/b"), "second");
    holds(at(rig, "old"), "new");
    holds(at(rig, "new/dir/c"), "fourth");
    assert_int_equal(rig->told, 4);
    assert_int_equal(strspn(trace, "c"), 1);
    assert_int_equal(strspn(trace + 1, "n"), 4);
    /* the root (for a and old), d and the root, new/dir and new and the root */
    assert_string_equal(trace + 5, "ddddddtttt");
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(rig->codes[i], XFER_OK);
    assert_int_equal(temporaries(&rig->fixture), 0);
}

static void test_names_are_given_in_the_order_of_arrival(void **state)
{
    struct rig *rig = *state;

    hold(rig, 0, "a", "first", OVERWRITE_REPLACE);
    hold(rig, 1, "a", "second", OVERWRITE_REPLACE);
    store_batch_commit(rig->batch);
    holds(at(rig, "a"), "second");
    assert_int_equal(rig->told, 2);
    root_has(&rig->fixture, 1);
}

static void test_commit_of_nothing_syncs_nothing(void **state)
{
    struct rig *rig = *state;

    store_batch_commit(rig->batch);
    assert_string_equal(trace, "");
}

static void test_batch_is_full_by_number_or_bytes(void **state)
{
    struct rig *rig = *state;
    char text[1001], name[8];

    for (unsigned i = 0; i < FILES_MAX; i++) {
        assert_false(store_batch_is_full(rig->batch));
        snprintf(name, sizeof name, "f%u", i);
        hold(rig, i, name, "x", OVERWRITE_REPLACE);
    }
    assert_true(store_batch_is_full(rig->batch));
    store_batch_commit(rig->batch);
    assert_false(store_batch_is_full(rig->batch));
    memset(text, 'x', 1000);
    text[1000] = '\0';
    hold(rig, 0, "large", text, OVERWRITE_REPLACE);
    assert_true(store_batch_is_full(rig->batch));
}

static void test_sync_that_fails_gives_no_name(void **state)
{
    static const struct {
        int error;
        enum xfer_code code;
    } cases[] = {
        {EIO, XFER_IO}, {ENOSPC, XFER_NO_SPACE}, {EDQUOT, XFER_NO_SPACE}, {EBADF, XFER_IO}};
    struct rig *rig = *state;

    make_file(at(rig, "old"), "old");
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        trace[0] = '\0';
        rig->told = 0;
        hold(rig, 0, "d/a", "first", OVERWRITE_REPLACE);
        hold(rig, 1, "old", "new", OVERWRITE_REPLACE);
        fail_syncfs = 1;
        fail_errno = cases[i].error;
        store_batch_commit(rig->batch);
        assert_string_equal(trace, "ctt");
        assert_int_equal(rig->codes[0], cases[i].code);
        assert_int_equal(rig->codes[1], cases[i].code);
        assert_int_equal(rig->last.side, XFER_SIDE_RECEIVER);
        assert_int_equal(rig->last.sys_errno, cases[i].error);
        assert_string_equal(rig->last.path, at(rig, "old"));
        holds(at(rig, "old"), "old");
        root_has(&rig->fixture, 1);
    }
    /* and the next one is as good as any */
    hold(rig, 0, "d/a", "first", OVERWRITE_REPLACE);
    store_batch_commit(rig->batch);
    assert_int_equal(rig->codes[0], XFER_OK);
    holds(at(rig, "d/a"), "first");
}

static void test_file_that_gets_no_name_fails_alone(void **state)
{
    struct rig *rig = *state;

    hold(rig, 0, "a", "first", OVERWRITE_REPLACE);
    hold(rig, 1, "b", "second", OVERWRITE_REPLACE);
    hold(rig, 2, "c", "third", OVERWRITE_NEVER);
    hold(rig, 3, "d", "fourth", OVERWRITE_REPLACE);
    assert_int_equal(mkdir(at(rig, "b"), 0755), 0);
    make_file(at(rig, "c"), "somebody's");
    store_batch_commit(rig->batch);
    assert_int_equal(rig->told, 4);
    assert_int_equal(rig->codes[0], XFER_OK);
    assert_int_equal(rig->codes[1], XFER_IS_DIRECTORY);
    assert_int_equal(rig->codes[2], XFER_DESTINATION_EXISTS);
    assert_int_equal(rig->codes[3], XFER_OK);
    holds(at(rig, "a"), "first");
    holds(at(rig, "c"), "somebody's");
    holds(at(rig, "d"), "fourth");
    root_has(&rig->fixture, 4);
}

static void test_directory_that_is_not_synced_stores_nothing(void **state)
{
    struct rig *rig = *state;

    hold(rig, 0, "a", "first", OVERWRITE_NEVER);
    hold(rig, 1, "b", "second", OVERWRITE_NEVER);
    fail_dir = 1;
    fail_errno = EIO;
    store_batch_commit(rig->batch);
    assert_int_equal(rig->codes[0], XFER_IO);
    assert_int_equal(rig->codes[1], XFER_IO);
    root_has(&rig->fixture, 0);
}

static void test_many_directories_are_synced_at_once(void **state)
{
    struct rig *rig = *state;
    char name[32];

    for (unsigned i = 0; i < FILES_MAX * 10; i++) {
        snprintf(name, sizeof name, "d%u/f", i);
        hold(rig, i, name, "x", OVERWRITE_REPLACE);
    }
    store_batch_commit(rig->batch);
    assert_int_equal(rig->told, FILES_MAX * 10);
    assert_null(strchr(trace, 'd'));
    assert_string_equal(strrchr(trace, 'n') + 1 + strspn(strrchr(trace, 'n') + 1, "c"),
                        strchr(trace, 't'));
    assert_int_equal(strspn(strrchr(trace, 'n') + 1, "c"), 1);
    root_has(&rig->fixture, FILES_MAX * 10);
}

static void test_kernel_that_does_not_tell_syncs_each_file(void **state)
{
    struct rig *rig = *state;

    rig->fixture.store->syncfs_tells = false;
    hold(rig, 0, "a", "first", OVERWRITE_REPLACE);
    hold(rig, 1, "b", "second", OVERWRITE_REPLACE);
    store_batch_commit(rig->batch);
    assert_null(strchr(trace, 'c'));
    assert_string_equal(trace, "fnfndtdt");
    assert_int_equal(rig->codes[0], XFER_OK);
}

static void test_what_cannot_be_kept_is_told_with_the_name(void **state)
{
    struct rig *rig = *state;

    fail_times = 1;
    fail_errno = EIO;
    hold(rig, 0, "a", "first", OVERWRITE_REPLACE);
    hold(rig, 1, "b", "second", OVERWRITE_REPLACE);
    store_batch_commit(rig->batch);
    assert_int_equal(rig->codes[0], XFER_OK);
    assert_non_null(strstr(rig->warnings[0], "times"));
    assert_string_equal(rig->warnings[1], "");
    holds(at(rig, "a"), "first");
}

static void test_directories_and_links_take_their_turn(void **state)
{
    struct rig *rig = *state;
    struct stat st, other;

    assert_int_equal(mkdir(at(rig, "d"), 0755), 0);
    hold(rig, 0, "d/a", "text", OVERWRITE_REPLACE);
    hold_kind(rig, 1, WIRE_KIND_SYMLINK, "d/s", "anywhere");
    hold_kind(rig, 2, WIRE_KIND_HARDLINK, "d/h", "d/a");
    hold_kind(rig, 3, WIRE_KIND_DIRECTORY, "d", "");
    hold_kind(rig, 4, WIRE_KIND_DIRECTORY, "e", "");
    assert_string_equal(trace, "");
    assert_false(exists(at(rig, "d/s")));
    assert_false(exists(at(rig, "e")));
    store_batch_commit(rig->batch);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(rig->codes[i], XFER_OK);
    assert_int_equal(lstat(at(rig, "d/s"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(lstat(at(rig, "d/h"), &st), 0);
    assert_int_equal(lstat(at(rig, "d/a"), &other), 0);
    assert_int_equal(st.st_ino, other.st_ino);
    /* after its entries */
    assert_int_equal(stat(at(rig, "d"), &st), 0);
    assert_int_equal(st.st_mtim.tv_sec, MTIME);
    assert_int_equal(st.st_mode & 07777, 0711);
    assert_int_equal(strspn(trace, "c"), 1);
    /* d with the root, e, and the root */
    assert_string_equal(strchr(trace, 'd'), "ddddttttt");
}

static void test_directory_whose_metadata_is_not_synced_is_not_told(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(mkdir(at(rig, "d"), 0755), 0);
    hold_kind(rig, 0, WIRE_KIND_DIRECTORY, "d", "");
    fail_dir = 1;
    fail_errno = EIO;
    store_batch_commit(rig->batch);
    assert_int_equal(rig->codes[0], XFER_IO);
    assert_true(exists(at(rig, "d")));
}

static void test_directories_that_are_as_they_should_be_are_told_without_a_sync(void **state)
{
    struct rig *rig = *state;

    hold_kind(rig, 0, WIRE_KIND_DIRECTORY, "d", "");
    store_batch_commit(rig->batch);
    assert_non_null(strchr(trace, 'd'));
    trace[0] = '\0';
    hold_kind(rig, 1, WIRE_KIND_DIRECTORY, "d", "");
    store_batch_commit(rig->batch);
    assert_string_equal(trace, "t");
    assert_int_equal(rig->codes[1], XFER_OK);
}

static void test_directories_that_a_look_has_made_are_synced_without_times_too(void **state)
{
    struct wire_look *look = calloc(1, sizeof *look);
    struct rig *rig = *state;
    struct wire_looked looked;

    assert_non_null(look);
    look->number = look->job = look->n = 1;
    look->preserve = PRESERVE_MODE;
    look->entries[0].kind = WIRE_KIND_DIRECTORY;
    look->entries[0].mode = 0711;
    strcpy(look->entries[0].name, "d");
    store_look(rig->fixture.store, look, &looked);
    assert_int_equal(looked.entries[0].result, WIRE_LOOKED_MADE);
    assert_string_equal(trace, "");
    hold_with(rig, 0, WIRE_KIND_DIRECTORY, "d", "", PRESERVE_MODE);
    store_batch_commit(rig->batch);
    assert_string_equal(trace, "ddt"); /* it, and the root */
    free(look);
}

static void test_destroy_leaves_nothing(void **state)
{
    struct rig *rig = *state;

    make_file(at(rig, "old"), "old");
    hold(rig, 0, "d/a", "first", OVERWRITE_REPLACE);
    hold(rig, 1, "old", "new", OVERWRITE_REPLACE);
    store_batch_destroy(rig->batch);
    rig->batch = NULL;
    assert_int_equal(rig->told, 0);
    holds(at(rig, "old"), "old");
    root_has(&rig->fixture, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_names_come_after_content_and_receipts_after_directories),
        TEST(test_names_are_given_in_the_order_of_arrival),
        TEST(test_commit_of_nothing_syncs_nothing),
        TEST(test_batch_is_full_by_number_or_bytes),
        TEST(test_sync_that_fails_gives_no_name),
        TEST(test_file_that_gets_no_name_fails_alone),
        TEST(test_directory_that_is_not_synced_stores_nothing),
        TEST(test_many_directories_are_synced_at_once),
        TEST(test_kernel_that_does_not_tell_syncs_each_file),
        TEST(test_what_cannot_be_kept_is_told_with_the_name),
        TEST(test_directories_and_links_take_their_turn),
        TEST(test_directory_whose_metadata_is_not_synced_is_not_told),
        TEST(test_directories_that_are_as_they_should_be_are_told_without_a_sync),
        TEST(test_directories_that_a_look_has_made_are_synced_without_times_too),
        TEST(test_destroy_leaves_nothing),
    };

    return cmocka_run_group_tests_name("store: batch", tests, NULL, NULL);
}
