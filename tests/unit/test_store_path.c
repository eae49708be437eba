/* SPDX-License-Identifier: MIT
 *
 * No way leads out of the receiving root. Each test runs with openat2() and on the way without it.
 */
#include "tests/unit/store_fixture.h"

#include <pthread.h>

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    umask(022);
    f->options.no_openat2 = *state != NULL;
    fixture_create(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_destroy(*state);
    free(*state);
    return 0;
}

/* A directory beside the root that must stay empty. */
static const char *outside(const struct fixture *f)
{
    static char path[200];

    snprintf(path, sizeof path, "%s/outside", f->dir);
    if (!exists(path))
        assert_int_equal(mkdir(path, 0777), 0);
    return path;
}

static void refused(struct fixture *f, const char *path, enum xfer_code code)
{
    struct wire_meta meta;

    meta_of(&meta, path, 1);
    put_fails(f->store, &meta, "x", code);
    assert_int_equal(temporaries(f), 0);
    assert_int_equal(entries(outside(f)), 0);
}

static void test_absolute_link_as_parent_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(symlink(outside(f), in_root(f, "out")), 0);
    refused(f, "out/a", XFER_UNSAFE_PATH);
}

static void test_relative_link_as_parent_is_refused(void **state)
{
    struct fixture *f = *state;

    outside(f);
    assert_int_equal(symlink("../outside", in_root(f, "out")), 0);
    refused(f, "out/a", XFER_UNSAFE_PATH);
}

static void test_link_within_the_root_is_refused_too(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mkdir(in_root(f, "dir"), 0755), 0);
    assert_int_equal(symlink("dir", in_root(f, "link")), 0);
    refused(f, "link/a", XFER_UNSAFE_PATH);
    assert_int_equal(entries(in_root(f, "dir")), 0);
}

static void test_link_deeper_down_is_refused(void **state)
{
    struct fixture *f = *state;

    put_text(f->store, "a/b/c/file", "x");
    assert_int_equal(symlink(outside(f), in_root(f, "a/b/out")), 0);
    refused(f, "a/b/out/a", XFER_UNSAFE_PATH);
    refused(f, "a/b/out/new/deep/a", XFER_UNSAFE_PATH);
}

static void test_dangling_link_as_parent_is_refused(void **state)
{
    struct fixture *f = *state;
    char target[300];

    snprintf(target, sizeof target, "%s/nothing", outside(f));
    assert_int_equal(symlink(target, in_root(f, "out")), 0);
    refused(f, "out/a", XFER_UNSAFE_PATH);
}

static void test_link_to_itself_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(symlink("loop", in_root(f, "loop")), 0);
    refused(f, "loop/a", XFER_UNSAFE_PATH);
}

static void test_link_to_proc_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(symlink("/proc/self/cwd", in_root(f, "proc")), 0);
    refused(f, "proc/a", XFER_UNSAFE_PATH);
}

static void test_link_that_comes_while_a_file_is_written_leads_nowhere(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;
    struct wire_verdict verdict;
    struct store_file *file;
    char moved[300];

    assert_int_equal(mkdir(in_root(f, "dir"), 0755), 0);
    meta_of(&meta, "dir/a", 1);
    file = store_begin(f->store, &meta, &err);
    assert_non_null(file);
    snprintf(moved, sizeof moved, "%s/moved", f->root);
    assert_int_equal(rename(in_root(f, "dir"), moved), 0);
    assert_int_equal(symlink(outside(f), in_root(f, "dir")), 0);
    assert_int_equal(store_write(file, "x", 1, &err), 0);
    verdict_of(&verdict, "x", 1);
    assert_int_equal(store_commit(file, &verdict, NULL, &err), 0);
    holds(in_root(f, "moved/a"), "x");
    assert_int_equal(entries(outside(f)), 0);
}

static void test_link_that_comes_where_a_directory_was_missing_leads_nowhere(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;
    struct wire_verdict verdict;
    struct store_file *file;

    meta_of(&meta, "dir/a", 1);
    file = store_begin(f->store, &meta, &err);
    assert_non_null(file);
    assert_int_equal(symlink(outside(f), in_root(f, "dir")), 0);
    assert_int_equal(store_write(file, "x", 1, &err), 0);
    verdict_of(&verdict, "x", 1);
    assert_int_equal(store_commit(file, &verdict, NULL, &err), -1);
    assert_int_equal(err.code, XFER_UNSAFE_PATH);
    assert_int_equal(entries(outside(f)), 0);
    assert_int_equal(temporaries(f), 0);
}

static void test_abort_removes_no_directory_that_came_meanwhile(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct store_file *file;

    meta_of(&meta, "dir/a", 1);
    file = store_begin(f->store, &meta, &err);
    assert_non_null(file);
    assert_int_equal(mkdir(in_root(f, "dir"), 0755), 0);
    store_abort(file, false);
    assert_true(exists(in_root(f, "dir")));
}

static void test_file_as_parent_is_refused(void **state)
{
    struct fixture *f = *state;

    put_text(f->store, "file", "x");
    refused(f, "file/a", XFER_NOT_DIRECTORY);
    refused(f, "file/new/a", XFER_NOT_DIRECTORY);
    holds(in_root(f, "file"), "x");
}

static void test_fifo_as_parent_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mkfifo(in_root(f, "fifo"), 0644), 0);
    refused(f, "fifo/a", XFER_NOT_DIRECTORY);
}

static void test_what_was_made_on_the_way_is_removed_after_a_refusal(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;

    /* the directories come first, and then there is no space */
    meta_of(&meta, "new/deep/a", INT64_MAX);
    assert_null(store_begin(f->store, &meta, &err));
    assert_int_equal(entries(f->root), 1);
    refused(f, "\xff/.xfer", XFER_INVALID_DESTINATION);
    assert_int_equal(entries(f->root), 1);
}

static void test_longest_path_is_stored(void **state)
{
    struct fixture *f = *state;
    char path[XFER_PATH_SIZE];
    size_t i;
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;
    unsigned round;

    /* 2047 directories of one byte and a file: 4095 bytes */
    for (i = 0; i < sizeof path - 1; i++)
        path[i] = i % 2 == 0 ? 'd' : '/';
    path[sizeof path - 1] = '\0';
    for (round = 0; round < 2; round++) {
        meta_of(&meta, path, 1);
        meta.sync = round == 0 ? SYNC_FILE : SYNC_NONE;
        assert_int_equal(meta.path_len, XFER_PATH_SIZE - 1);
        if (put(f->store, &meta, "x", 1, &err) != 0)
            fail_msg("%s", err.text);
    }
    meta.overwrite = OVERWRITE_NEVER;
    assert_null(store_begin(f->store, &meta, &err));
    assert_int_equal(err.code, XFER_DESTINATION_EXISTS);
    assert_int_equal(temporaries(f), 0);
}

static void test_long_names_all_the_way_are_stored(void **state)
{
    struct fixture *f = *state;
    char path[XFER_PATH_SIZE];

    memset(path, 'n', sizeof path);
    for (size_t i = 255; i < sizeof path; i += 256)
        path[i] = '/';
    path[sizeof path - 1] = '\0';
    put_text(f->store, path, "x");
    put_text(f->store, path, "y");
    assert_int_equal(temporaries(f), 0);
}

static void test_longest_path_aborted_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    char path[XFER_PATH_SIZE];
    struct xfer_error err;
    struct wire_meta meta;

    for (size_t i = 0; i < sizeof path - 1; i++)
        path[i] = i % 2 == 0 ? 'd' : '/';
    path[sizeof path - 1] = '\0';
    meta_of(&meta, path, 1);
    store_abort(store_begin(f->store, &meta, &err), false);
    assert_int_equal(entries(f->root), 1);
}

/* Several workers make and take back the same directories: none of them may fail by another's
 * doing. */
struct racer {
    struct fixture *f;
    unsigned number;
    unsigned failed;
    struct xfer_error err;
};

#define RACERS 4
#define ROUNDS 200

static void *race(void *arg)
{
    struct racer *racer = arg;
    struct wire_meta meta = {.job = racer->number + 1, .mode = 0644, .sync = SYNC_NONE};
    struct wire_verdict verdict = {.kind = WIRE_COMMIT, .size = 1};
    XXH128_canonical_t canonical;
    unsigned i;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits("x", 1));
    memcpy(verdict.digest, canonical.digest, sizeof verdict.digest);
    for (i = 0; i < ROUNDS; i++) {
        struct store_file *file;

        meta.path_len =
            (size_t)snprintf(meta.path, sizeof meta.path, "a/b/c/%u-%u", racer->number, i);
        meta.size = 1;
        file = store_begin(racer->f->store, &meta, &racer->err);
        if (file == NULL || store_write(file, "x", 1, &racer->err) != 0) {
            racer->failed++;
            store_abort(file, false);
        } else if (racer->number % 2 == 0) {
            store_abort(file, false);
        } else if (store_commit(file, &verdict, NULL, &racer->err) != 0) {
            racer->failed++;
        } else {
            char path[XFER_PATH_SIZE + 400];

            /* empty again, so that there is something to be made and taken back */
            snprintf(path, sizeof path, "%s/%s", racer->f->root, meta.path);
            unlink(path);
            snprintf(path, sizeof path, "%s/a/b/c", racer->f->root);
            rmdir(path);
        }
    }
    return NULL;
}

static void test_workers_in_the_same_new_directories_do_not_disturb_each_other(void **state)
{
    struct fixture *f = *state;
    struct racer racers[RACERS];
    pthread_t threads[RACERS];
    unsigned i;

    for (i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){.f = f, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (i = 0; i < RACERS; i++)
        pthread_join(threads[i], NULL);
    for (i = 0; i < RACERS; i++)
        if (racers[i].failed > 0)
            fail_msg("%u of %u failed, the last one: %s", racers[i].failed, ROUNDS,
                     racers[i].err.text);
    assert_int_equal(temporaries(f), 0);
}

/* ---- files of a tree, which share their directory ---- */

static int put_in_tree(struct fixture *f, uint64_t job, const char *path, const char *text,
                       struct xfer_error *err)
{
    struct wire_meta meta;

    meta_of(&meta, path, strlen(text));
    meta.job = job;
    meta.tree = true;
    return put(f->store, &meta, text, strlen(text), err);
}

static void test_tree_makes_a_directory_again_that_was_removed(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;

    assert_int_equal(mkdir(in_root(f, "d"), 0755), 0);
    assert_int_equal(put_in_tree(f, 1000, "d/a", "first", &err), 0);
    assert_int_equal(unlink(in_root(f, "d/a")), 0);
    assert_int_equal(rmdir(in_root(f, "d")), 0);
    assert_int_equal(put_in_tree(f, 1000, "d/b", "second", &err), 0);
    holds(in_root(f, "d/b"), "second");
}

static unsigned descriptors_of(const char *path)
{
    DIR *dir = opendir("/proc/self/fd");
    char target[PATH_MAX];
    struct dirent *e;
    unsigned n = 0;

    assert_non_null(dir);
    while ((e = readdir(dir)) != NULL) {
        ssize_t len = readlinkat(dirfd(dir), e->d_name, target, sizeof target);

        n += len == (ssize_t)strlen(path) && memcmp(target, path, (size_t)len) == 0;
    }
    closedir(dir);
    return n;
}

static void test_tree_does_not_keep_its_directories_open(void **state)
{
    static const struct timespec pause = {.tv_nsec = 1000000};
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;

    assert_int_equal(mkdir(in_root(f, "d"), 0755), 0);
    assert_int_equal(put_in_tree(f, 1000, "d/a", "x", &err), 0);
    for (unsigned i = 0; i < 60000 && descriptors_of(in_root(f, "d")) > 0; i++) {
        nanosleep(&pause, NULL);
        store_rest(f->store);
    }
    assert_int_equal(descriptors_of(in_root(f, "d")), 0);
    assert_int_equal(put_in_tree(f, 1000, "d/b", "y", &err), 0);
    holds(in_root(f, "d/b"), "y");
}

/* A directory that all have found empty so far: nobody looks first, and the link tells. */
static void test_tree_finds_what_is_in_the_way(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;
    char from[2 * PATH_MAX];

    for (unsigned i = 0; i < 2; i++) { /* then it is known that it isn't */
        uint64_t job = 1000 + i;

        assert_int_equal(mkdir(in_root(f, "d"), 0755), 0);
        assert_int_equal(put_in_tree(f, job, "d/first", "1", &err), 0);
        make_file(in_root(f, "d/file"), "old");
        assert_int_equal(mkdir(in_root(f, "d/dir"), 0755), 0);
        if (i == 1)
            assert_int_equal(put_in_tree(f, job, "d/first", "2", &err), 0);
        assert_int_equal(put_in_tree(f, job, "d/dir", "x", &err), -1);
        assert_int_equal(err.code, XFER_IS_DIRECTORY);
        meta_of(&meta, "d/file", 3);
        meta.job = job;
        meta.tree = true;
        meta.overwrite = OVERWRITE_NEVER;
        assert_int_equal(put(f->store, &meta, "new", 3, &err), -1);
        assert_int_equal(err.code, XFER_DESTINATION_EXISTS);
        holds(in_root(f, "d/file"), "old");
        assert_int_equal(put_in_tree(f, job, "d/file", "new", &err), 0);
        holds(in_root(f, "d/file"), "new");
        assert_int_equal(temporaries(f), 0);
        snprintf(from, sizeof from, "%s", in_root(f, "d"));
        assert_int_equal(rename(from, in_root(f, i == 0 ? "d0" : "d1")), 0);
    }
}

static void test_tree_of_another_job_goes_to_the_directory_of_that_name(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    char from[2 * PATH_MAX];

    assert_int_equal(mkdir(in_root(f, "d"), 0755), 0);
    assert_int_equal(put_in_tree(f, 1000, "d/a", "first", &err), 0);
    snprintf(from, sizeof from, "%s", in_root(f, "d"));
    assert_int_equal(rename(from, in_root(f, "moved")), 0);
    assert_int_equal(mkdir(in_root(f, "d"), 0755), 0);
    assert_int_equal(put_in_tree(f, 1001, "d/a", "second", &err), 0);
    holds(in_root(f, "d/a"), "second");
    holds(in_root(f, "moved/a"), "first");
}

static void test_tree_of_another_job_follows_no_link_that_came(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    char from[2 * PATH_MAX];

    assert_int_equal(mkdir(in_root(f, "d"), 0755), 0);
    assert_int_equal(put_in_tree(f, 1000, "d/a", "first", &err), 0);
    snprintf(from, sizeof from, "%s", in_root(f, "d"));
    assert_int_equal(rename(from, in_root(f, "moved")), 0);
    assert_int_equal(symlink("moved", from), 0);
    assert_int_equal(put_in_tree(f, 1001, "d/b", "second", &err), -1);
    assert_int_equal(err.code, XFER_UNSAFE_PATH);
}

static void test_many_directories_of_a_tree_in_turn(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    char path[64], text[16];

    for (unsigned i = 0; i < 100; i++) {
        snprintf(path, sizeof path, "d%u/e%u/f%u", i % 20, i % 5, i);
        snprintf(text, sizeof text, "%u", i);
        assert_int_equal(put_in_tree(f, 1000, path, text, &err), 0);
    }
    for (unsigned i = 0; i < 100; i++) {
        snprintf(path, sizeof path, "d%u/e%u/f%u", i % 20, i % 5, i);
        snprintf(text, sizeof text, "%u", i);
        holds(in_root(f, path), text);
    }
}

#define PATH_TEST(name) \
    {                   \
#name, name     \
    }

static const struct {
    const char *name;
    CMUnitTestFunction function;
} path_tests[] = {
    PATH_TEST(test_absolute_link_as_parent_is_refused),
    PATH_TEST(test_relative_link_as_parent_is_refused),
    PATH_TEST(test_link_within_the_root_is_refused_too),
    PATH_TEST(test_link_deeper_down_is_refused),
    PATH_TEST(test_dangling_link_as_parent_is_refused),
    PATH_TEST(test_link_to_itself_is_refused),
    PATH_TEST(test_link_to_proc_is_refused),
    PATH_TEST(test_link_that_comes_while_a_file_is_written_leads_nowhere),
    PATH_TEST(test_link_that_comes_where_a_directory_was_missing_leads_nowhere),
    PATH_TEST(test_abort_removes_no_directory_that_came_meanwhile),
    PATH_TEST(test_file_as_parent_is_refused),
    PATH_TEST(test_fifo_as_parent_is_refused),
    PATH_TEST(test_what_was_made_on_the_way_is_removed_after_a_refusal),
    PATH_TEST(test_longest_path_is_stored),
    PATH_TEST(test_long_names_all_the_way_are_stored),
    PATH_TEST(test_longest_path_aborted_leaves_nothing),
    PATH_TEST(test_tree_makes_a_directory_again_that_was_removed),
    PATH_TEST(test_tree_does_not_keep_its_directories_open),
    PATH_TEST(test_tree_finds_what_is_in_the_way),
    PATH_TEST(test_tree_of_another_job_goes_to_the_directory_of_that_name),
    PATH_TEST(test_tree_of_another_job_follows_no_link_that_came),
    PATH_TEST(test_many_directories_of_a_tree_in_turn),
    PATH_TEST(test_workers_in_the_same_new_directories_do_not_disturb_each_other),
};

#define N (sizeof path_tests / sizeof *path_tests)

int main(void)
{
    static struct CMUnitTest tests[2 * N];
    static char names[2 * N][160];
    size_t i;

    for (i = 0; i < 2 * N; i++) {
        snprintf(names[i], sizeof names[i], "%s%s", path_tests[i % N].name,
                 i < N ? "" : " without openat2");
        tests[i] = (struct CMUnitTest){names[i], path_tests[i % N].function, setup, teardown,
                                       i < N ? NULL : (void *)1};
    }
    return cmocka_run_group_tests_name("store_path", tests, NULL, NULL);
}
