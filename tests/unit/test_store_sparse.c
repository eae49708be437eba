/* SPDX-License-Identifier: MIT
 *
 * The store: files with holes, as maps and data come, and what is on disk then.
 */
#include "tests/unit/resume_fixture.h"

#define PAGE  4096
#define WHOLE ((size_t)64 * PAGE)

static unsigned char bytes[WHOLE]; /* the file as it is to be */

static struct store_file *begin(struct fixture *f, const char *path, uint64_t size)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct store_file *file;
    struct wire_meta meta;

    memset(bytes, 0, sizeof bytes);
    meta_of(&meta, path, size);
    meta.preserve |= PRESERVE_SPARSE;
    meta.sparse = true;
    file = store_begin(f->store, &meta, &err);
    if (file == NULL)
        fail_msg("%s", err.text);
    return file;
}

static void map(struct store_file *file, const struct wire_extent *pieces, uint32_t n, bool more)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (store_map(file, pieces, n, more, &err) != 0)
        fail_msg("%s", err.text);
}

/* The data of these pieces, in chunks of that size. */
static void give(struct store_file *file, const struct wire_extent *pieces, uint32_t n,
                 size_t chunk)
{
    unsigned char *all = malloc(WHOLE);
    size_t len = 0;
    struct xfer_error err;

    for (uint32_t i = 0; i < n; i++) {
        memset(bytes + pieces[i].offset, 'a' + (int)i, pieces[i].length);
        memcpy(all + len, bytes + pieces[i].offset, pieces[i].length);
        len += pieces[i].length;
    }
    for (size_t at = 0; at < len; at += chunk)
        assert_int_equal(store_write(file, all + at, chunk < len - at ? chunk : len - at, &err), 0);
    free(all);
}

static void commits(struct store_file *file, size_t size)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_verdict verdict;

    verdict_of(&verdict, bytes, size);
    store_end(file);
    assert_int_equal(store_size(file), size);
    if (store_commit(file, &verdict, NULL, &err) != 0)
        fail_msg("%s", err.text);
}

/* With as much on disk as that, or a bit more. */
static void is(const struct fixture *f, const char *path, size_t size, size_t taken)
{
    unsigned char *there = malloc(WHOLE + 1);
    int fd = open(in_root(f, path), O_RDONLY);
    struct stat st;

    assert_true(fd >= 0);
    assert_int_equal(read(fd, there, WHOLE + 1), size);
    assert_int_equal(fstat(fd, &st), 0);
    close(fd);
    assert_memory_equal(there, bytes, size);
    assert_true((size_t)st.st_blocks * 512 <= taken + 2 * PAGE);
    free(there);
}

static void pieces_go_where_the_map_says(void **state)
{
    struct fixture *f = *state;

    static const struct wire_extent pieces[] = {
        {PAGE, PAGE}, {10 * PAGE, 100}, {20 * PAGE, 3 * PAGE}};

    for (size_t chunk = 100; chunk <= 5 * PAGE; chunk *= 7) {
        struct store_file *file = begin(f, "a", WHOLE);

        map(file, pieces, 3, false);
        give(file, pieces, 3, chunk);
        commits(file, WHOLE);
        is(f, "a", WHOLE, 5 * PAGE);
    }
}

static void maps_follow_each_other(void **state)
{
    struct fixture *f = *state;

    static const struct wire_extent pieces[] = {{0, PAGE}, {10 * PAGE, PAGE}};
    static const struct wire_extent more[] = {{11 * PAGE, 10}, {63 * PAGE, PAGE}};
    struct store_file *file = begin(f, "a", WHOLE);

    map(file, pieces, 2, true);
    give(file, pieces, 2, PAGE);
    map(file, more, 2, false);
    give(file, more, 2, PAGE);
    commits(file, WHOLE);
    is(f, "a", WHOLE, 4 * PAGE);
}

static void a_file_may_be_one_hole(void **state)
{
    struct fixture *f = *state;

    struct store_file *file = begin(f, "a", WHOLE);

    commits(file, WHOLE);
    is(f, "a", WHOLE, 0);
    file = begin(f, "b", WHOLE - 1);
    map(file, NULL, 0, false);
    commits(file, WHOLE - 1);
    is(f, "b", WHOLE - 1, 0);
}

static void pieces_that_are_missing_store_nothing(void **state)
{
    struct fixture *f = *state;

    static const struct wire_extent pieces[] = {{0, PAGE}, {10 * PAGE, PAGE}};
    struct store_file *file = begin(f, "a", WHOLE);
    struct wire_verdict verdict;
    struct xfer_error err;

    map(file, pieces, 2, false);
    give(file, pieces, 1, PAGE);
    verdict_of(&verdict, bytes, WHOLE);
    store_end(file);
    assert_int_equal(store_commit(file, &verdict, NULL, &err), -1);
    assert_int_equal(err.code, XFER_DIGEST_MISMATCH);
    root_has(f, 0);
}

static void data_beyond_the_map_is_refused(void **state)
{
    struct fixture *f = *state;

    static const struct wire_extent pieces[] = {{0, PAGE}};
    struct store_file *file = begin(f, "a", WHOLE);
    struct xfer_error err;

    map(file, pieces, 1, true);
    give(file, pieces, 1, PAGE);
    assert_int_equal(store_write(file, "x", 1, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
    store_abort(file, false);
    root_has(f, 0);
}

static void a_hole_that_nobody_waits_for_is_left(void **state)
{
    struct fixture *f = *state;

    static const struct wire_extent pieces[] = {{(uint64_t)1 << 60, 1}};
    struct store_file *file = begin(f, "a", INT64_MAX);
    atomic_bool stop;
    struct wire_verdict verdict;
    struct xfer_error err;

    atomic_init(&stop, true);
    store_stop_by(file, NULL, &stop);
    map(file, pieces, 1, false);
    assert_int_equal(store_write(file, "x", 1, &err), 0);
    verdict_of(&verdict, "", 0);
    assert_int_equal(store_commit(file, &verdict, NULL, &err), -1);
    assert_int_equal(err.code, XFER_STOPPING);
    root_has(f, 0);
}

int main(void)
{
    static const struct resume_test tests[] = {
        RESUME_TEST(pieces_go_where_the_map_says),
        RESUME_TEST(maps_follow_each_other),
        RESUME_TEST(a_file_may_be_one_hole),
        RESUME_TEST(pieces_that_are_missing_store_nothing),
        RESUME_TEST(data_beyond_the_map_is_refused),
        RESUME_TEST(a_hole_that_nobody_waits_for_is_left),
    };

    return run_resume_tests("store: holes", tests, sizeof tests / sizeof *tests);
}
