/* SPDX-License-Identifier: MIT
 *
 * Files that an earlier attempt has stored already.
 */
#include "tests/unit/resume_fixture.h"

/* ---- stored already ---- */

static void test_stored_file_is_offered_and_gets_mode_and_times(void **state)
{
    struct fixture *f = *state;
    static const enum sync_mode modes[] = {SYNC_FILE, SYNC_BATCH, SYNC_NONE};
    struct stat before, after;
    unsigned i;

    assert_int_equal(mkdir(in_root(f, "d"), 0755), 0);
    for (i = 0; i < 3; i++) {
        struct wire_meta meta;
        struct wire_go go;
        struct store_file *file;

        make_whole(in_root(f, "d/a"));
        assert_int_equal(chmod(in_root(f, "d/a"), 0600), 0);
        assert_int_equal(stat(in_root(f, "d/a"), &before), 0);
        asking(&meta, "d/a");
        meta.sync = modes[i];
        file = ask(f, &meta, &go);
        assert_int_equal(go.offer, WIRE_OFFER_STORED);
        assert_int_equal(go.size, SIZE);
        assert_int_equal(go.block, BLOCK);
        assert_int_equal(go.n, 6);
        assert_int_equal(agreeing(&go), 6);
        start(file, SIZE);
        finishes(file, SIZE);
        assert_int_equal(stat(in_root(f, "d/a"), &after), 0);
        assert_int_equal(after.st_ino, before.st_ino);
        assert_int_equal(after.st_mode & 07777, 0644);
        assert_int_equal(after.st_mtim.tv_sec, MTIME);
        assert_int_equal(after.st_mtim.tv_nsec, 987654321);
        is_whole(f, "d/a");
    }
    root_has(f, 1);
}

static void test_stored_file_is_left_as_it_is_with_never(void **state)
{
    struct fixture *f = *state;
    struct stat before, after;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;

    make_whole(in_root(f, "a"));
    assert_int_equal(chmod(in_root(f, "a"), 0604), 0);
    assert_int_equal(stat(in_root(f, "a"), &before), 0);
    asking(&meta, "a");
    meta.overwrite = OVERWRITE_NEVER;
    meta.sync = SYNC_FILE;
    file = ask(f, &meta, &go);
    assert_int_equal(go.offer, WIRE_OFFER_STORED);
    start(file, SIZE);
    finishes(file, SIZE);
    assert_int_equal(stat(in_root(f, "a"), &after), 0);
    assert_int_equal(after.st_ino, before.st_ino);
    assert_int_equal(after.st_mode & 07777, 0604);
    assert_int_equal(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
    root_has(f, 1);
}

static void test_small_and_empty_files_are_offered_too(void **state)
{
    struct fixture *f = *state;
    static const char *const texts[] = {"", "text"};
    struct xfer_error err = XFER_ERROR_INIT;
    unsigned i;

    for (i = 0; i < 2; i++) {
        size_t len = strlen(texts[i]);
        struct wire_verdict verdict;
        struct store_file *file;
        struct wire_meta meta;
        struct wire_go go;

        make_file(in_root(f, "a"), texts[i]);
        asking(&meta, "a");
        meta.size = len;
        meta.overwrite = OVERWRITE_NEVER;
        file = ask(f, &meta, &go);
        assert_int_equal(go.offer, WIRE_OFFER_STORED);
        assert_int_equal(go.size, len);
        assert_int_equal(go.n, len > 0);
        start(file, len);
        verdict_of(&verdict, texts[i], len);
        assert_int_equal(store_commit(file, &verdict, NULL, &err), 0);
        holds(in_root(f, "a"), texts[i]);
    }
    root_has(f, 1);
}

static void test_other_content_is_replaced_from_the_beginning(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;
    int fd;

    make_whole(in_root(f, "a"));
    fd = open(in_root(f, "a"), O_WRONLY);
    assert_int_equal(pwrite(fd, "\xff\xfe", 2, 1300), 2);
    close(fd);
    asking(&meta, "a");
    file = ask(f, &meta, &go);
    assert_int_equal(go.offer, WIRE_OFFER_STORED);
    assert_int_equal(agreeing(&go), 3);
    start(file, 0);
    finishes(file, 0);
    is_whole(f, "a");
    root_has(f, 1);
}

static void test_other_content_is_in_the_way_with_never(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;

    make_whole(in_root(f, "a"));
    asking(&meta, "a");
    meta.overwrite = OVERWRITE_NEVER;
    file = ask(f, &meta, &go);
    fails_with(store_start(file, 0, &err), &err, XFER_DESTINATION_EXISTS);
    store_abort(file, false);
    is_whole(f, "a");
    root_has(f, 1);
}

static void test_stored_file_is_taken_whole_or_not_at_all(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;

    make_whole(in_root(f, "a"));
    asking(&meta, "a");
    file = ask(f, &meta, &go);
    fails_with(store_start(file, BLOCK, &err), &err, XFER_PROTOCOL);
    store_abort(file, true);
    is_whole(f, "a");
    root_has(f, 1);
}

static void test_abort_leaves_a_stored_file(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;

    make_whole(in_root(f, "a"));
    asking(&meta, "a");
    store_abort(ask(f, &meta, &go), false);
    file = ask(f, &meta, &go);
    start(file, SIZE);
    store_abort(file, false);
    is_whole(f, "a");
    root_has(f, 1);
}

static void test_partial_comes_before_a_stored_file(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    struct wire_go go;

    make_whole(in_root(f, "a"));
    leave_partial(f, "a", 950);
    asking(&meta, "a");
    store_abort(ask(f, &meta, &go), true);
    assert_int_equal(go.offer, WIRE_OFFER_PARTIAL);
    assert_int_equal(go.size, 950);
}

static void test_what_is_no_plain_file_of_that_size_is_not_offered(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"longer", "shorter", "link", "fifo", "dir", "two names"};
    struct wire_meta meta;
    struct wire_go go;
    char path[300];
    unsigned i;

    make_whole(in_root(f, "longer"));
    assert_int_equal(truncate(in_root(f, "longer"), SIZE + 1), 0);
    make_whole(in_root(f, "shorter"));
    assert_int_equal(truncate(in_root(f, "shorter"), SIZE - 1), 0);
    make_whole(in_root(f, "whole"));
    assert_int_equal(symlink("whole", in_root(f, "link")), 0);
    assert_int_equal(mkfifo(in_root(f, "fifo"), 0644), 0);
    assert_int_equal(mkdir(in_root(f, "dir"), 0755), 0);
    snprintf(path, sizeof path, "%s/two names", f->root);
    assert_int_equal(link(in_root(f, "whole"), path), 0);
    for (i = 0; i < sizeof names / sizeof *names; i++) {
        asking(&meta, names[i]);
        store_abort(ask(f, &meta, &go), false);
        if (go.offer != WIRE_OFFER_NOTHING)
            fail_msg("%s", names[i]);
    }
}

static void test_fifo_is_no_empty_file(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    struct wire_go go;

    assert_int_equal(mkfifo(in_root(f, "a"), 0644), 0);
    asking(&meta, "a");
    meta.size = 0;
    meta.overwrite = OVERWRITE_NEVER;
    store_abort(ask(f, &meta, &go), false);
    offers_nothing(&go);
}

static void test_file_that_cannot_be_read_is_not_offered(void **state)
{
    struct fixture *f = *state;
    bool root = geteuid() == 0;
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;

    make_whole(in_root(f, "a"));
    assert_int_equal(chmod(in_root(f, "a"), 0), 0);
    asking(&meta, "a");
    meta.overwrite = OVERWRITE_NEVER;
    if (root)
        assert_int_equal(seteuid(65534), 0);
    file = store_ask(f->store, &meta, NULL, &go, &err);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_non_null(file);
    offers_nothing(&go);
    store_abort(file, false);
}

static void test_file_of_somebody_else_is_replaced_not_changed(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    struct wire_go go;

    if (geteuid() != 0)
        skip();
    make_whole(in_root(f, "a"));
    assert_int_equal(chown(in_root(f, "a"), 65534, 65534), 0);
    asking(&meta, "a");
    store_abort(ask(f, &meta, &go), false);
    offers_nothing(&go);
    /* which with "never" is not done to it in any case */
    meta.overwrite = OVERWRITE_NEVER;
    store_abort(ask(f, &meta, &go), false);
    assert_int_equal(go.offer, WIRE_OFFER_STORED);
}

static void test_stored_file_that_is_replaced_meanwhile_fails(void **state)
{
    struct fixture *f = *state;
    enum overwrite_mode modes[] = {OVERWRITE_REPLACE, OVERWRITE_NEVER};
    unsigned i;

    for (i = 0; i < 2; i++) {
        struct xfer_error err;
        struct wire_meta meta;
        struct wire_go go;
        struct store_file *file;

        make_whole(in_root(f, "a"));
        asking(&meta, "a");
        meta.overwrite = modes[i];
        file = ask(f, &meta, &go);
        start(file, SIZE);
        assert_int_equal(unlink(in_root(f, "a")), 0);
        make_file(in_root(f, "a"), "other");
        fails_with(finish(file, SIZE, &err), &err, XFER_IO);
        assert_true(error_info(err.code)->retryable);
        holds(in_root(f, "a"), "other");
    }
    root_has(f, 1);
}

static void test_stored_file_that_went_to_another_name_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;
    struct stat st;
    char other[300];

    make_whole(in_root(f, "a"));
    asking(&meta, "a");
    file = ask(f, &meta, &go);
    start(file, SIZE);
    snprintf(other, sizeof other, "%s/b", f->root);
    assert_int_equal(rename(in_root(f, "a"), other), 0);
    fails_with(finish(file, SIZE, &err), &err, XFER_IO);
    assert_int_equal(stat(other, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    root_has(f, 1);
}

static void test_stored_file_that_is_changed_meanwhile_fails(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;
    const struct timespec times[2] = {{0, UTIME_OMIT}, {1, 0}};

    make_whole(in_root(f, "a"));
    asking(&meta, "a");
    file = ask(f, &meta, &go);
    start(file, SIZE);
    assert_int_equal(utimensat(AT_FDCWD, in_root(f, "a"), times, 0), 0);
    fails_with(finish(file, SIZE, &err), &err, XFER_IO);
}

static void test_stored_file_that_is_not_the_verdicts_fails(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct wire_go go;
    struct wire_verdict verdict;
    struct store_file *file;
    struct stat st;

    make_whole(in_root(f, "a"));
    asking(&meta, "a");
    file = ask(f, &meta, &go);
    start(file, SIZE);
    verdict_of(&verdict, data, SIZE);
    verdict.digest[3] ^= 1;
    fails_with(store_commit(file, &verdict, NULL, &err), &err, XFER_DIGEST_MISMATCH);
    is_whole(f, "a");
    assert_int_equal(stat(in_root(f, "a"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    root_has(f, 1);
}

static void test_death_between_link_and_unlink_is_a_stored_file(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;
    char path[300];

    /* where there is no rename without replacing */
    leave_partial(f, "a", SIZE);
    snprintf(path, sizeof path, "%s/a", f->root);
    assert_int_equal(link(in_partial(f, NAME), path), 0);
    reopen(f);
    asking(&meta, "a");
    meta.overwrite = OVERWRITE_NEVER;
    file = ask(f, &meta, &go);
    assert_int_equal(go.offer, WIRE_OFFER_STORED);
    start(file, SIZE);
    finishes(file, SIZE);
    is_whole(f, "a");
    root_has(f, 1);
}

int main(void)
{
    static const struct resume_test tests[] = {
        RESUME_TEST(test_stored_file_is_offered_and_gets_mode_and_times),
        RESUME_TEST(test_stored_file_is_left_as_it_is_with_never),
        RESUME_TEST(test_small_and_empty_files_are_offered_too),
        RESUME_TEST(test_other_content_is_replaced_from_the_beginning),
        RESUME_TEST(test_other_content_is_in_the_way_with_never),
        RESUME_TEST(test_stored_file_is_taken_whole_or_not_at_all),
        RESUME_TEST(test_abort_leaves_a_stored_file),
        RESUME_TEST(test_partial_comes_before_a_stored_file),
        RESUME_TEST(test_what_is_no_plain_file_of_that_size_is_not_offered),
        RESUME_TEST(test_fifo_is_no_empty_file),
        RESUME_TEST(test_file_that_cannot_be_read_is_not_offered),
        RESUME_TEST(test_file_of_somebody_else_is_replaced_not_changed),
        RESUME_TEST(test_stored_file_that_is_replaced_meanwhile_fails),
        RESUME_TEST(test_stored_file_that_went_to_another_name_is_left_alone),
        RESUME_TEST(test_stored_file_that_is_changed_meanwhile_fails),
        RESUME_TEST(test_stored_file_that_is_not_the_verdicts_fails),
        RESUME_TEST(test_death_between_link_and_unlink_is_a_stored_file),
    };

    return run_resume_tests("store_stored", tests, sizeof tests / sizeof *tests);
}
