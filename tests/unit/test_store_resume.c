/* SPDX-License-Identifier: MIT
 *
 * Partial files that another attempt goes on with.
 */
#include "tests/unit/resume_fixture.h"

#include <sys/file.h>

/* ---- what is kept ---- */

static void test_large_file_is_kept_under_its_name(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    leave_partial(f, "d/a", 950);
    assert_int_equal(entries(in_root(f, ".xfer/partial")), 1);
    assert_int_equal(lstat(in_partial(f, NAME), &st), 0);
    assert_int_equal(st.st_size, 950);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_false(exists(in_root(f, "d")));
}

static void test_small_file_is_not_kept(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct store_file *file;

    make_file(in_root(f, "a"), "old"); /* so that it has a temporary name */
    asking(&meta, "a");
    meta.size = 999;
    file = store_begin(f->store, &meta, &err);
    assert_int_equal(store_write(file, data, 500, &err), 0);
    store_abort(file, true);
    root_has(f, 1);
}

static void test_file_of_an_unknown_queue_is_not_kept(void **state)
{
    struct fixture *f = *state;

    store_close(f->store);
    f->store = store_open(&f->options, 0, &(struct xfer_error){0});
    leave_partial(f, "a", 950);
    root_has(f, 0);
}

static void test_empty_partial_is_not_kept(void **state)
{
    struct fixture *f = *state;

    leave_partial(f, "a", 0);
    root_has(f, 0);
}

static void test_abort_that_does_not_keep_removes_it(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct store_file *file;
    struct wire_go go;

    asking(&meta, "a");
    file = store_begin(f->store, &meta, &err);
    assert_int_equal(store_write(file, data, 950, &err), 0);
    store_abort(file, false);
    root_has(f, 0);
    leave_partial(f, "a", 950);
    store_abort(ask(f, &meta, &go), false);
    root_has(f, 0);
}

static void test_reserved_space_goes_back_when_it_is_kept(void **state)
{
    struct fixture *f = *state;
    static char mebibyte[1 << 20];
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;
    struct store_file *file;
    struct wire_go go;
    struct stat st;
    blkcnt_t reserved;

    asking(&meta, "a");
    meta.size = 8 << 20;
    file = store_begin(f->store, &meta, &err);
    assert_non_null(file);
    assert_int_equal(store_write(file, mebibyte, sizeof mebibyte, &err), 0);
    assert_int_equal(stat(in_partial(f, NAME), &st), 0);
    assert_int_equal(st.st_size, sizeof mebibyte);
    reserved = st.st_blocks;
    store_abort(file, true);
    assert_int_equal(stat(in_partial(f, NAME), &st), 0);
    assert_int_equal(st.st_size, sizeof mebibyte);
    assert_true(st.st_blocks * 512 < 2 << 20);
    /* and is reserved again */
    file = ask(f, &meta, &go);
    start(file, sizeof mebibyte);
    assert_int_equal(stat(in_partial(f, NAME), &st), 0);
    assert_int_equal(st.st_size, sizeof mebibyte);
    assert_int_equal(st.st_blocks, reserved);
    store_abort(file, false);
}

static void test_attempt_that_does_not_ask_starts_over(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;
    struct store_file *file;

    leave_partial(f, "a", 950);
    asking(&meta, "a");
    file = store_begin(f->store, &meta, &err);
    assert_non_null(file);
    assert_int_equal(length_of(in_partial(f, NAME)), 0);
    assert_int_equal(temporaries(f), 1);
    finishes(file, 0);
    is_whole(f, "a");
    root_has(f, 1);
}

static void test_link_in_its_place_is_replaced(void **state)
{
    struct fixture *f = *state;
    char outside[200];

    snprintf(outside, sizeof outside, "%s/outside", f->dir);
    make_file(outside, "precious");
    assert_int_equal(symlink(outside, in_partial(f, NAME)), 0);
    leave_partial(f, "a", 950);
    assert_int_equal(length_of(in_partial(f, NAME)), 950);
    holds(outside, "precious");
}

static void test_source_that_became_small_drops_the_old_partial(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;

    leave_partial(f, "a", 950);
    asking(&meta, "a");
    meta.size = 3;
    assert_int_equal(put(f->store, &meta, "new", 3, &err), 0);
    holds(in_root(f, "a"), "new");
    root_has(f, 1);
}

/* ---- going on ---- */

static void test_every_cut_is_gone_on_with_from_every_block(void **state)
{
    struct fixture *f = *state;
    static const size_t cuts[] = {1, 399, 400, 401, 950, 1200, 2000, 2099, SIZE};
    struct wire_meta meta;
    struct wire_go go;
    unsigned i, k;

    asking(&meta, "a");
    for (i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        unsigned n = (unsigned)((cuts[i] + BLOCK - 1) / BLOCK);

        for (k = 0; k <= n; k++) {
            uint64_t offset = k < n ? k * BLOCK : cuts[i];
            struct store_file *file;

            leave_partial(f, "a", cuts[i]);
            file = ask(f, &meta, &go);
            assert_int_equal(go.offer, WIRE_OFFER_PARTIAL);
            assert_int_equal(go.size, cuts[i]);
            assert_int_equal(go.block, BLOCK);
            assert_int_equal(go.n, n);
            assert_int_equal(agreeing(&go), n);
            start(file, offset);
            assert_int_equal(length_of(in_partial(f, NAME)), offset);
            finishes(file, offset);
            is_whole(f, "a");
            root_has(f, 1);
        }
    }
}

static void test_digest_goes_on_from_where_it_starts(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;
    unsigned char digest[XFER_DIGEST_SIZE], expected[XFER_DIGEST_SIZE];

    leave_partial(f, "a", 950);
    asking(&meta, "a");
    file = ask(f, &meta, &go);
    start(file, 800);
    store_digest(file, digest);
    digest_of(data, 800, expected);
    assert_memory_equal(digest, expected, sizeof digest);
    store_abort(file, false);
}

static void test_damaged_block_shows_in_its_digest(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    struct wire_go go;
    unsigned k;

    asking(&meta, "a");
    for (k = 0; k < 5; k++) {
        struct store_file *file;
        int fd;

        leave_partial(f, "a", 2000);
        fd = open(in_partial(f, NAME), O_WRONLY);
        assert_int_equal(pwrite(fd, "\xff\xfe", 2, k * BLOCK + 17), 2);
        close(fd);
        file = ask(f, &meta, &go);
        assert_int_equal(go.n, 5);
        assert_int_equal(agreeing(&go), k);
        start(file, k * BLOCK);
        finishes(file, k * BLOCK);
        is_whole(f, "a");
    }
}

static void test_damage_that_is_gone_on_with_is_never_stored(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;
    int fd;

    leave_partial(f, "a", 950);
    fd = open(in_partial(f, NAME), O_WRONLY);
    assert_int_equal(pwrite(fd, "\xff\xfe", 2, 500), 2);
    close(fd);
    asking(&meta, "a");
    file = ask(f, &meta, &go);
    start(file, 950);
    fails_with(finish(file, 950, &err), &err, XFER_DIGEST_MISMATCH);
    root_has(f, 0);
}

static void test_length_without_bytes_shows_in_the_digests(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;

    /* as after a loss of power: the length arrived on the disk, the bytes did not */
    leave_partial(f, "a", 900);
    assert_int_equal(truncate(in_partial(f, NAME), 1900), 0);
    asking(&meta, "a");
    file = ask(f, &meta, &go);
    assert_int_equal(go.size, 1900);
    assert_int_equal(agreeing(&go), 2);
    start(file, 800);
    finishes(file, 800);
    is_whole(f, "a");
    root_has(f, 1);
}

static void test_partial_longer_than_the_source_is_cut_before_it_is_offered(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;

    leave_partial(f, "a", SIZE);
    assert_int_equal(truncate(in_partial(f, NAME), 10 * SIZE), 0);
    asking(&meta, "a");
    file = ask(f, &meta, &go);
    assert_int_equal(go.size, SIZE);
    assert_int_equal(agreeing(&go), 6);
    assert_int_equal(length_of(in_partial(f, NAME)), SIZE);
    start(file, SIZE);
    finishes(file, SIZE);
    is_whole(f, "a");
}

static void test_blocks_grow_until_they_fit_into_an_offer(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;

    f->options.resume_block = 1;
    reopen(f);
    leave_partial(f, "a", SIZE);
    asking(&meta, "a");
    file = ask(f, &meta, &go);
    assert_int_equal(go.block, 8);
    assert_int_equal(go.n, 263);
    assert_int_equal(agreeing(&go), 263);
    start(file, 2096);
    finishes(file, 2096);
    is_whole(f, "a");
    leave_partial(f, "a", XFER_OFFER_BLOCKS_MAX);
    store_abort(ask(f, &meta, &go), false);
    assert_int_equal(go.block, 1);
    assert_int_equal(go.n, XFER_OFFER_BLOCKS_MAX);
    assert_int_equal(agreeing(&go), XFER_OFFER_BLOCKS_MAX);
}

static void test_nothing_is_offered_where_nothing_is(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;

    asking(&meta, "d/a");
    file = ask(f, &meta, &go);
    offers_nothing(&go);
    start(file, 0);
    finishes(file, 0);
    is_whole(f, "d/a");
    root_has(f, 1);
}

static void test_partial_of_another_file_is_not_offered(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    struct wire_go go;

    leave_partial(f, "a", 950);
    asking(&meta, "a");
    meta.job = JOB + 1;
    store_abort(ask(f, &meta, &go), false);
    offers_nothing(&go);
    meta.job = JOB;
    meta.file = 2;
    store_abort(ask(f, &meta, &go), false);
    offers_nothing(&go);
    assert_int_equal(length_of(in_partial(f, NAME)), 950);
}

static void test_byte_that_was_not_offered_is_no_start(void **state)
{
    struct fixture *f = *state;
    static const uint64_t offsets[] = {1, 399, 401, 949, 951, 1200, SIZE, UINT64_MAX};
    struct xfer_error err;
    struct wire_meta meta;
    struct wire_go go;
    unsigned i;

    asking(&meta, "a");
    for (i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        struct store_file *file;

        leave_partial(f, "a", 950);
        file = ask(f, &meta, &go);
        fails_with(store_start(file, offsets[i], &err), &err, XFER_PROTOCOL);
        store_abort(file, false);
    }
    root_has(f, 0);
}

static void test_partial_that_is_not_started_stays_whole(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    struct wire_go go;

    leave_partial(f, "a", 950);
    asking(&meta, "a");
    store_abort(ask(f, &meta, &go), true);
    assert_int_equal(length_of(in_partial(f, NAME)), 950);
}

static void test_nobody_waits_for_an_offer_that_is_stopped(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    atomic_bool stop = true;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;

    leave_partial(f, "a", 950);
    asking(&meta, "a");
    file = store_ask(f->store, &meta, &stop, &go, &err);
    assert_non_null(file);
    offers_nothing(&go);
    store_abort(file, true);
    assert_int_equal(length_of(in_partial(f, NAME)), 950);
    file = store_ask(f->store, &meta, &stop, &go, &err);
    start(file, 0);
    finishes(file, 0);
    is_whole(f, "a");
    root_has(f, 1);
}

static void test_partial_goes_through_many_attempts(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;
    size_t at = 300;

    asking(&meta, "a");
    leave_partial(f, "a", at);
    while (at + 350 < SIZE) {
        reopen(f);
        file = ask(f, &meta, &go);
        assert_int_equal(go.size, at);
        assert_int_equal(agreeing(&go), go.n);
        start(file, at);
        assert_int_equal(store_write(file, data + at, 350, &err), 0);
        store_abort(file, true);
        at += 350;
    }
    file = ask(f, &meta, &go);
    start(file, at);
    finishes(file, at);
    is_whole(f, "a");
    root_has(f, 1);
}

/* ---- it ends as a whole transfer does ---- */

static void test_mode_and_times_are_the_sources(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;
    struct stat st;

    leave_partial(f, "a", 950);
    asking(&meta, "a");
    meta.mode = 06751;
    file = ask(f, &meta, &go);
    start(file, 950);
    finishes(file, 950);
    assert_int_equal(stat(in_root(f, "a"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0751);
    assert_int_equal(st.st_mtim.tv_sec, MTIME);
    assert_int_equal(st.st_mtim.tv_nsec, 987654321);
}

static void test_old_file_is_replaced_at_the_end(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;

    make_file(in_root(f, "a"), "old");
    leave_partial(f, "a", 950);
    asking(&meta, "a");
    file = ask(f, &meta, &go);
    start(file, 800);
    holds(in_root(f, "a"), "old");
    finishes(file, 800);
    is_whole(f, "a");
    root_has(f, 1);
}

static void test_missing_parents_are_made_at_the_end(void **state)
{
    struct fixture *f = *state;
    static const enum sync_mode modes[] = {SYNC_FILE, SYNC_BATCH, SYNC_NONE};
    struct stat st;
    unsigned i;

    f->options.dir_mode = 0775;
    reopen(f);
    for (i = 0; i < 3; i++) {
        char path[32];
        struct wire_meta meta;
        struct wire_go go;
        struct store_file *file;

        snprintf(path, sizeof path, "d%u/e/f", i);
        leave_partial(f, path, 950);
        asking(&meta, path);
        meta.sync = modes[i];
        file = ask(f, &meta, &go);
        start(file, 950);
        assert_int_equal(entries(f->root), i + 1);
        finishes(file, 950);
        is_whole(f, path);
        path[2] = '\0';
        assert_int_equal(stat(in_root(f, path), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0775);
    }
    root_has(f, 3);
}

static void test_parent_removed_meanwhile_is_made_again(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;

    assert_int_equal(mkdir(in_root(f, "d"), 0755), 0);
    leave_partial(f, "d/a", 950);
    asking(&meta, "d/a");
    file = ask(f, &meta, &go);
    assert_int_equal(rmdir(in_root(f, "d")), 0);
    start(file, 950);
    finishes(file, 950);
    is_whole(f, "d/a");
    root_has(f, 1);
}

static void test_never_shows_at_the_start(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;

    make_file(in_root(f, "a"), "old");
    asking(&meta, "a");
    meta.overwrite = OVERWRITE_NEVER;
    file = ask(f, &meta, &go);
    offers_nothing(&go);
    fails_with(store_start(file, 0, &err), &err, XFER_DESTINATION_EXISTS);
    store_abort(file, false);
    holds(in_root(f, "a"), "old");
    root_has(f, 1);
}

static void test_never_refuses_what_came_between_attempts(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;

    leave_partial(f, "a", 950);
    make_file(in_root(f, "a"), "other");
    asking(&meta, "a");
    meta.overwrite = OVERWRITE_NEVER;
    file = ask(f, &meta, &go);
    assert_int_equal(go.offer, WIRE_OFFER_PARTIAL);
    fails_with(store_start(file, 950, &err), &err, XFER_DESTINATION_EXISTS);
    store_abort(file, false);
    holds(in_root(f, "a"), "other");
    root_has(f, 1);
}

static void test_never_refuses_what_came_after_the_start(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;

    leave_partial(f, "a", 950);
    asking(&meta, "a");
    meta.overwrite = OVERWRITE_NEVER;
    file = ask(f, &meta, &go);
    start(file, 950);
    make_file(in_root(f, "a"), "other");
    fails_with(finish(file, 950, &err), &err, XFER_DESTINATION_EXISTS);
    holds(in_root(f, "a"), "other");
    root_has(f, 1);
}

static void test_never_stores_what_is_new(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;

    leave_partial(f, "a", 950);
    asking(&meta, "a");
    meta.overwrite = OVERWRITE_NEVER;
    meta.sync = SYNC_FILE;
    file = ask(f, &meta, &go);
    start(file, 950);
    finishes(file, 950);
    is_whole(f, "a");
    root_has(f, 1);
}

static void test_directory_in_the_way_shows_at_the_start(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;

    leave_partial(f, "a", 950);
    assert_int_equal(mkdir(in_root(f, "a"), 0755), 0);
    asking(&meta, "a");
    file = ask(f, &meta, &go);
    fails_with(store_start(file, 950, &err), &err, XFER_IS_DIRECTORY);
    assert_string_equal(err.path, in_root(f, "a"));
    store_abort(file, false);
    root_has(f, 1);
}

static void test_link_on_the_way_fails_the_question(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct wire_go go;

    assert_int_equal(symlink("/tmp", in_root(f, "d")), 0);
    asking(&meta, "d/a");
    assert_null(store_ask(f->store, &meta, NULL, &go, &err));
    assert_int_equal(err.code, XFER_UNSAFE_PATH);
    asking(&meta, "../a");
    assert_null(store_ask(f->store, &meta, NULL, &go, &err));
    assert_int_equal(err.code, XFER_INVALID_DESTINATION);
}

/* ---- locks ---- */

static void test_open_partial_is_left_to_who_has_it(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *first, *second;

    asking(&meta, "a");
    first = store_begin(f->store, &meta, &err);
    assert_int_equal(store_write(first, data, 950, &err), 0);
    second = ask(f, &meta, &go);
    offers_nothing(&go);
    start(second, 0);
    assert_int_equal(temporaries(f), 2);
    finishes(second, 0);
    is_whole(f, "a");
    assert_int_equal(length_of(in_partial(f, NAME)), 950);
    store_abort(first, false);
    root_has(f, 1);
}

static void test_second_attempt_beside_an_open_one_is_not_kept(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;
    struct store_file *first;

    asking(&meta, "a");
    first = store_begin(f->store, &meta, &err);
    assert_int_equal(store_write(first, data, 950, &err), 0);
    leave_partial(f, "a", 1200);
    assert_int_equal(temporaries(f), 1);
    store_abort(first, true);
    assert_int_equal(length_of(in_partial(f, NAME)), 950);
}

static void test_partial_is_locked_from_the_offer_on(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;
    int fd;

    leave_partial(f, "a", 950);
    fd = open(in_partial(f, NAME), O_RDONLY);
    asking(&meta, "a");
    file = ask(f, &meta, &go);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
    assert_int_equal(errno, EWOULDBLOCK);
    store_abort(file, true);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    close(fd);
}

static void test_no_descriptor_is_left_open(void **state)
{
    struct fixture *f = *state;
    unsigned before = entries("/proc/self/fd");
    struct xfer_error err;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;
    uint64_t job = JOB, *jobs;
    size_t n;

    leave_partial(f, "d/a", 950);
    leave_partial(f, "d/a", 950);
    asking(&meta, "d/a");
    store_abort(ask(f, &meta, &go), true);
    assert_int_equal(store_partials(f->store, &jobs, &n, &err), 0);
    free(jobs);
    file = ask(f, &meta, &go);
    start(file, 950);
    finishes(file, 950);
    store_abort(ask(f, &meta, &go), true);
    file = ask(f, &meta, &go);
    start(file, SIZE);
    finishes(file, SIZE);
    file = ask(f, &meta, &go);
    start(file, 0);
    store_abort(file, true);
    leave_partial(f, "d/a", 950);
    store_forget(f->store, &job, 1);
    assert_int_equal(entries("/proc/self/fd"), before);
    root_has(f, 1);
}

int main(void)
{
    static const struct resume_test tests[] = {
        RESUME_TEST(test_large_file_is_kept_under_its_name),
        RESUME_TEST(test_small_file_is_not_kept),
        RESUME_TEST(test_file_of_an_unknown_queue_is_not_kept),
        RESUME_TEST(test_empty_partial_is_not_kept),
        RESUME_TEST(test_abort_that_does_not_keep_removes_it),
        RESUME_TEST(test_reserved_space_goes_back_when_it_is_kept),
        RESUME_TEST(test_attempt_that_does_not_ask_starts_over),
        RESUME_TEST(test_link_in_its_place_is_replaced),
        RESUME_TEST(test_source_that_became_small_drops_the_old_partial),
        RESUME_TEST(test_every_cut_is_gone_on_with_from_every_block),
        RESUME_TEST(test_digest_goes_on_from_where_it_starts),
        RESUME_TEST(test_damaged_block_shows_in_its_digest),
        RESUME_TEST(test_damage_that_is_gone_on_with_is_never_stored),
        RESUME_TEST(test_length_without_bytes_shows_in_the_digests),
        RESUME_TEST(test_partial_longer_than_the_source_is_cut_before_it_is_offered),
        RESUME_TEST(test_blocks_grow_until_they_fit_into_an_offer),
        RESUME_TEST(test_nothing_is_offered_where_nothing_is),
        RESUME_TEST(test_partial_of_another_file_is_not_offered),
        RESUME_TEST(test_byte_that_was_not_offered_is_no_start),
        RESUME_TEST(test_partial_that_is_not_started_stays_whole),
        RESUME_TEST(test_nobody_waits_for_an_offer_that_is_stopped),
        RESUME_TEST(test_partial_goes_through_many_attempts),
        RESUME_TEST(test_mode_and_times_are_the_sources),
        RESUME_TEST(test_old_file_is_replaced_at_the_end),
        RESUME_TEST(test_missing_parents_are_made_at_the_end),
        RESUME_TEST(test_parent_removed_meanwhile_is_made_again),
        RESUME_TEST(test_never_shows_at_the_start),
        RESUME_TEST(test_never_refuses_what_came_between_attempts),
        RESUME_TEST(test_never_refuses_what_came_after_the_start),
        RESUME_TEST(test_never_stores_what_is_new),
        RESUME_TEST(test_directory_in_the_way_shows_at_the_start),
        RESUME_TEST(test_link_on_the_way_fails_the_question),
        RESUME_TEST(test_open_partial_is_left_to_who_has_it),
        RESUME_TEST(test_second_attempt_beside_an_open_one_is_not_kept),
        RESUME_TEST(test_partial_is_locked_from_the_offer_on),
        RESUME_TEST(test_no_descriptor_is_left_open),
    };

    return run_resume_tests("store_resume", tests, sizeof tests / sizeof *tests);
}
