/* SPDX-License-Identifier: MIT
 *
 * Files into the receiving root: begin, write, commit, abort; the lock; the sweep. Each test of a
 * file runs four times, with and without O_TMPFILE and openat2().
 */
#include "tests/unit/store_fixture.h"

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    uintptr_t variant = (uintptr_t)*state;

    umask(022);
    f->options.no_tmpfile = (variant & 1) != 0;
    f->options.no_openat2 = (variant & 2) != 0;
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

/* ---- what is stored ---- */

static void test_new_file_is_stored(void **state)
{
    struct fixture *f = *state;

    put_text(f->store, "a.bin", "hello");
    holds(in_root(f, "a.bin"), "hello");
    root_has(f, 1);
}

static void test_empty_file_is_stored(void **state)
{
    struct fixture *f = *state;

    put_text(f->store, "empty", "");
    holds(in_root(f, "empty"), "");
    root_has(f, 1);
}

static void test_digest_is_canonical_xxh3_128(void **state)
{
    struct fixture *f = *state;
    /* of the empty input, as published with the algorithm */
    static const unsigned char empty[XFER_DIGEST_SIZE] = {0x99, 0xaa, 0x06, 0xd3, 0x01, 0x47,
                                                          0x98, 0xd8, 0x60, 0x01, 0xc3, 0x24,
                                                          0x46, 0x8d, 0x49, 0x7f};
    unsigned char digest[XFER_DIGEST_SIZE];
    struct xfer_error err;
    struct wire_meta meta;
    struct store_file *file;

    meta_of(&meta, "a", 0);
    file = store_begin(f->store, &meta, &err);
    assert_non_null(file);
    store_digest(file, digest);
    assert_memory_equal(digest, empty, sizeof digest);
    assert_int_equal(store_size(file), 0);
    store_abort(file, false);
}

static void test_many_writes_make_one_file(void **state)
{
    struct fixture *f = *state;
    enum { PIECE = 4099, PIECES = 300 };
    unsigned char *data = malloc(PIECE * PIECES), *back = malloc(PIECE * PIECES);
    struct xfer_error err;
    struct wire_meta meta;
    struct wire_verdict verdict;
    struct store_file *file;
    struct stat st;
    int i, fd;

    for (i = 0; i < PIECE * PIECES; i++)
        data[i] = (unsigned char)(i * 31 + i / 251);
    meta_of(&meta, "big", PIECE * PIECES);
    file = store_begin(f->store, &meta, &err);
    assert_non_null(file);
    for (i = 0; i < PIECES; i++)
        assert_int_equal(store_write(file, data + i * PIECE, PIECE, &err), 0);
    assert_int_equal(store_size(file), PIECE * PIECES);
    verdict_of(&verdict, data, PIECE * PIECES);
    assert_int_equal(store_commit(file, &verdict, NULL, &err), 0);
    fd = open(in_root(f, "big"), O_RDONLY);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, PIECE * PIECES);
    assert_int_equal(read(fd, back, PIECE * PIECES), PIECE * PIECES);
    assert_memory_equal(data, back, PIECE * PIECES);
    close(fd);
    free(data);
    free(back);
}

static void test_preallocation_leaves_no_trace_in_a_shorter_file(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;
    struct stat st;

    meta_of(&meta, "short", 4 << 20);
    assert_int_equal(put(f->store, &meta, "abc", 3, &err), 0);
    assert_int_equal(stat(in_root(f, "short"), &st), 0);
    assert_int_equal(st.st_size, 3);
    assert_true(st.st_blocks * 512 < 1 << 20);
}

static void test_mode_is_the_sources_whatever_the_umask(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct stat st;

    meta_of(&meta, "a", 1);
    meta.mode = 0776;
    assert_int_equal(put(f->store, &meta, "x", 1, &err), 0);
    assert_int_equal(stat(in_root(f, "a"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0776);
}

static void test_set_id_bits_do_not_arrive_by_themselves(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct stat st;

    meta_of(&meta, "a", 1);
    meta.mode = 07755;
    assert_int_equal(put(f->store, &meta, "x", 1, &err), 0);
    assert_int_equal(stat(in_root(f, "a"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 01755);
}

static void test_file_mode_overrides_the_sources(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct stat st;

    store_close(f->store);
    f->options.file_mode = 0666;
    f->store = store_open(&f->options, 0, &err);
    meta_of(&meta, "a", 1);
    meta.mode = 0400;
    assert_int_equal(put(f->store, &meta, "x", 1, &err), 0);
    assert_int_equal(stat(in_root(f, "a"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0666);
}

static void test_unreadable_mode_arrives(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct stat st;

    meta_of(&meta, "a", 1);
    meta.mode = 0;
    meta.sync = SYNC_FILE;
    assert_int_equal(put(f->store, &meta, "x", 1, &err), 0);
    assert_int_equal(stat(in_root(f, "a"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0);
}

static void test_modification_time_is_the_sources(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    put_text(f->store, "a", "x");
    assert_int_equal(stat(in_root(f, "a"), &st), 0);
    assert_int_equal(st.st_mtim.tv_sec, MTIME);
    assert_int_equal(st.st_mtim.tv_nsec, 987654321);
}

static void test_every_sync_mode_stores(void **state)
{
    struct fixture *f = *state;
    static const enum sync_mode modes[] = {SYNC_FILE, SYNC_BATCH, SYNC_NONE};
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;
    unsigned i, round;
    char path[32];

    for (round = 0; round < 2; round++) {
        for (i = 0; i < 3; i++) {
            snprintf(path, sizeof path, "d%u/e/f", i);
            meta_of(&meta, path, 1);
            meta.sync = modes[i];
            assert_int_equal(put(f->store, &meta, "x", 1, &err), 0);
            holds(in_root(f, path), "x");
        }
    }
    root_has(f, 3);
}

/* ---- names ---- */

static void test_missing_parents_are_made_with_dir_mode(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    store_close(f->store);
    f->options.dir_mode = 0775; /* the umask is 022 */
    f->store = store_open(&f->options, 0, &(struct xfer_error){0});
    put_text(f->store, "a/b/c", "x");
    assert_int_equal(stat(in_root(f, "a"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0775);
    assert_int_equal(stat(in_root(f, "a/b"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0775);
    root_has(f, 1);
}

static void test_parents_that_are_there_keep_their_mode(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    assert_int_equal(mkdir(in_root(f, "a"), 0700), 0);
    put_text(f->store, "a/c", "x");
    assert_int_equal(stat(in_root(f, "a"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
}

static void test_names_of_255_bytes_are_stored(void **state)
{
    struct fixture *f = *state;
    char path[600];

    memset(path, 'd', 255);
    path[255] = '/';
    memset(path + 256, 'f', 255);
    path[511] = '\0';
    put_text(f->store, path, "x");
    holds(in_root(f, path), "x");
    put_text(f->store, path, "y");
    holds(in_root(f, path), "y");
    root_has(f, 1);
}

static void test_any_bytes_are_names(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {" ",   "\n\t\r",   "\xff\xfe\x80", "-rf",      "*",   "\\",
                                        "...", "\"'`$(x)", "..x",          "\x01\x7f", "%s%n"};
    unsigned i;

    for (i = 0; i < sizeof names / sizeof *names; i++) {
        put_text(f->store, names[i], "x");
        holds(in_root(f, names[i]), "x");
    }
    root_has(f, i);
}

/* ---- what is in the way ---- */

static void test_replace_replaces(void **state)
{
    struct fixture *f = *state;
    struct stat old, new;

    make_file(in_root(f, "a"), "old and longer");
    assert_int_equal(stat(in_root(f, "a"), &old), 0);
    put_text(f->store, "a", "new");
    holds(in_root(f, "a"), "new");
    assert_int_equal(stat(in_root(f, "a"), &new), 0);
    assert_true(old.st_ino != new.st_ino);
    root_has(f, 1);
}

static void test_old_file_stays_until_commit(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct wire_verdict verdict;
    struct store_file *file;

    make_file(in_root(f, "a"), "old");
    meta_of(&meta, "a", 3);
    file = store_begin(f->store, &meta, &err);
    assert_non_null(file);
    assert_int_equal(store_write(file, "new", 3, &err), 0);
    holds(in_root(f, "a"), "old");
    verdict_of(&verdict, "new", 3);
    assert_int_equal(store_commit(file, &verdict, NULL, &err), 0);
    holds(in_root(f, "a"), "new");
}

static void test_no_name_shows_before_commit(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct store_file *file;

    meta_of(&meta, "a", 3);
    file = store_begin(f->store, &meta, &err);
    assert_int_equal(store_write(file, "new", 3, &err), 0);
    assert_int_equal(entries(f->root), 1);
    assert_int_equal(temporaries(f), f->options.no_tmpfile ? 1 : 0);
    store_abort(file, false);
    root_has(f, 0);
}

static void test_never_refuses_what_exists(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    make_file(in_root(f, "a"), "old");
    meta_of(&meta, "a", 3);
    meta.overwrite = OVERWRITE_NEVER;
    put_fails(f->store, &meta, "new", XFER_DESTINATION_EXISTS);
    holds(in_root(f, "a"), "old");
    root_has(f, 1);
}

static void test_never_refuses_a_dangling_link(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    assert_int_equal(symlink("nowhere", in_root(f, "a")), 0);
    meta_of(&meta, "a", 3);
    meta.overwrite = OVERWRITE_NEVER;
    put_fails(f->store, &meta, "new", XFER_DESTINATION_EXISTS);
    root_has(f, 1);
}

static void test_never_stores_what_is_new(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;

    meta_of(&meta, "a", 3);
    meta.overwrite = OVERWRITE_NEVER;
    meta.sync = SYNC_FILE;
    assert_int_equal(put(f->store, &meta, "new", 3, &err), 0);
    holds(in_root(f, "a"), "new");
    root_has(f, 1);
}

/* Begin, let something come to the name, then commit. */
static int put_late(struct fixture *f, enum overwrite_mode overwrite,
                    void (*meanwhile)(const char *path), struct xfer_error *err)
{
    struct wire_meta meta;
    struct wire_verdict verdict;
    struct store_file *file;

    meta_of(&meta, "a", 3);
    meta.overwrite = overwrite;
    file = store_begin(f->store, &meta, err);
    assert_non_null(file);
    assert_int_equal(store_write(file, "new", 3, err), 0);
    meanwhile(in_root(f, "a"));
    verdict_of(&verdict, "new", 3);
    return store_commit(file, &verdict, NULL, err);
}

static void come_file(const char *path)
{
    make_file(path, "other");
}

static void come_directory(const char *path)
{
    assert_int_equal(mkdir(path, 0755), 0);
}

static void come_fifo(const char *path)
{
    assert_int_equal(mkfifo(path, 0644), 0);
}

static void test_never_refuses_what_came_meanwhile(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;

    assert_int_equal(put_late(f, OVERWRITE_NEVER, come_file, &err), -1);
    assert_int_equal(err.code, XFER_DESTINATION_EXISTS);
    holds(in_root(f, "a"), "other");
    root_has(f, 1);
}

static void test_replace_replaces_what_came_meanwhile(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;

    assert_int_equal(put_late(f, OVERWRITE_REPLACE, come_file, &err), 0);
    holds(in_root(f, "a"), "new");
    root_has(f, 1);
}

static void test_directory_that_came_meanwhile_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;

    assert_int_equal(put_late(f, OVERWRITE_REPLACE, come_directory, &err), -1);
    assert_int_equal(err.code, XFER_IS_DIRECTORY);
    root_has(f, 1);
}

static void test_fifo_that_came_meanwhile_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;

    assert_int_equal(put_late(f, OVERWRITE_REPLACE, come_fifo, &err), -1);
    assert_int_equal(err.code, XFER_NOT_REGULAR);
    root_has(f, 1);
}

static void test_directory_in_the_way_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    assert_int_equal(mkdir(in_root(f, "a"), 0755), 0);
    meta_of(&meta, "a", 3);
    put_fails(f->store, &meta, "new", XFER_IS_DIRECTORY);
    meta.overwrite = OVERWRITE_NEVER;
    put_fails(f->store, &meta, "new", XFER_IS_DIRECTORY);
    root_has(f, 1);
}

static void test_fifo_in_the_way_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    struct stat st;

    assert_int_equal(mkfifo(in_root(f, "a"), 0644), 0);
    meta_of(&meta, "a", 3);
    put_fails(f->store, &meta, "new", XFER_NOT_REGULAR);
    assert_int_equal(lstat(in_root(f, "a"), &st), 0);
    assert_true(S_ISFIFO(st.st_mode));
    root_has(f, 1);
}

static void test_link_is_replaced_not_written_through(void **state)
{
    struct fixture *f = *state;
    char outside[200];
    struct stat st;

    snprintf(outside, sizeof outside, "%s/outside", f->dir);
    make_file(outside, "precious");
    assert_int_equal(symlink(outside, in_root(f, "a")), 0);
    put_text(f->store, "a", "new");
    assert_int_equal(lstat(in_root(f, "a"), &st), 0);
    assert_true(S_ISREG(st.st_mode));
    holds(in_root(f, "a"), "new");
    holds(outside, "precious");
}

static void test_hard_link_of_the_old_file_keeps_its_content(void **state)
{
    struct fixture *f = *state;
    char other[200];

    make_file(in_root(f, "a"), "old");
    snprintf(other, sizeof other, "%s/b", f->root);
    assert_int_equal(link(in_root(f, "a"), other), 0);
    put_text(f->store, "a", "new");
    holds(other, "old");
}

static void test_no_permission_is_told_before_the_first_byte(void **state)
{
    struct fixture *f = *state;
    bool root = geteuid() == 0;
    struct xfer_error err[2];
    struct wire_meta meta;
    int i;

    assert_int_equal(mkdir(in_root(f, "d"), 0755), 0);
    make_file(in_root(f, "d/old"), "old");
    assert_int_equal(chmod(in_root(f, "d"), 0555), 0);
    /* the directories of xfer itself must not be what stops it */
    if (root)
        assert_int_equal(seteuid(65534), 0);
    for (i = 0; i < 2; i++) {
        meta_of(&meta, i == 0 ? "d/new" : "d/old", 3);
        assert_null(store_begin(f->store, &meta, &err[i]));
    }
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(err[0].code, XFER_PERMISSION_DENIED);
    assert_int_equal(err[0].sys_errno, EACCES);
    assert_int_equal(err[1].code, XFER_PERMISSION_DENIED);
    assert_int_equal(chmod(in_root(f, "d"), 0755), 0);
    assert_int_equal(entries(in_root(f, "d")), 1);
    root_has(f, 1);
}

/* ---- failures leave nothing ---- */

static void test_wrong_digest_stores_nothing(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct wire_verdict verdict;
    struct store_file *file;

    make_file(in_root(f, "old"), "old");
    meta_of(&meta, "old", 3);
    file = store_begin(f->store, &meta, &err);
    assert_int_equal(store_write(file, "new", 3, &err), 0);
    verdict_of(&verdict, "nex", 3);
    assert_int_equal(store_commit(file, &verdict, NULL, &err), -1);
    assert_int_equal(err.code, XFER_DIGEST_MISMATCH);
    assert_int_equal(err.side, XFER_SIDE_RECEIVER);
    assert_string_equal(err.path, in_root(f, "old"));
    holds(in_root(f, "old"), "old");
    root_has(f, 1);
}

static void test_wrong_size_stores_nothing(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct wire_verdict verdict;
    struct store_file *file;

    meta_of(&meta, "d/a", 3);
    file = store_begin(f->store, &meta, &err);
    assert_int_equal(store_write(file, "new", 3, &err), 0);
    verdict_of(&verdict, "new", 3);
    verdict.size = 4;
    assert_int_equal(store_commit(file, &verdict, NULL, &err), -1);
    assert_int_equal(err.code, XFER_DIGEST_MISMATCH);
    root_has(f, 0);
}

static void test_missing_parents_are_made_at_the_end(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct store_file *file;

    assert_int_equal(mkdir(in_root(f, "there"), 0755), 0);
    meta_of(&meta, "there/a/b/c/file", 3);
    file = store_begin(f->store, &meta, &err);
    assert_int_equal(store_write(file, "new", 3, &err), 0);
    assert_int_equal(entries(in_root(f, "there")), 0);
    store_abort(file, false);
    assert_true(exists(in_root(f, "there")));
    assert_int_equal(entries(in_root(f, "there")), 0);
    store_abort(NULL, false);
}

static void test_parents_that_cannot_be_made_at_the_end_leave_nothing(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct wire_verdict verdict;
    struct store_file *file;

    /* on a path that was free at first there is a file in the way now */
    meta_of(&meta, "a/b/c/file", 3);
    file = store_begin(f->store, &meta, &err);
    assert_int_equal(store_write(file, "new", 3, &err), 0);
    put_text(f->store, "a/b", "x");
    verdict_of(&verdict, "new", 3);
    assert_int_equal(store_commit(file, &verdict, NULL, &err), -1);
    assert_int_equal(err.code, XFER_NOT_DIRECTORY);
    holds(in_root(f, "a/b"), "x");
    assert_int_equal(temporaries(f), 0);
}

static void test_abort_keeps_parents_that_others_use(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct store_file *file;

    meta_of(&meta, "a/b/file", 3);
    file = store_begin(f->store, &meta, &err);
    put_text(f->store, "a/other", "x");
    store_abort(file, false);
    holds(in_root(f, "a/other"), "x");
    assert_false(exists(in_root(f, "a/b")));
}

static void test_parent_removed_meanwhile_is_made_again(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;
    struct wire_verdict verdict;
    struct store_file *file;

    assert_int_equal(mkdir(in_root(f, "a"), 0755), 0);
    assert_int_equal(mkdir(in_root(f, "a/b"), 0755), 0);
    meta_of(&meta, "a/b/file", 3);
    file = store_begin(f->store, &meta, &err);
    assert_non_null(file);
    assert_int_equal(rmdir(in_root(f, "a/b")), 0);
    assert_int_equal(rmdir(in_root(f, "a")), 0);
    assert_int_equal(store_write(file, "new", 3, &err), 0);
    verdict_of(&verdict, "new", 3);
    assert_int_equal(store_commit(file, &verdict, NULL, &err), 0);
    assert_int_equal(err.code, XFER_OK);
    holds(in_root(f, "a/b/file"), "new");
    root_has(f, 1);
}

static void test_the_reserve_stays_free(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    struct xfer_error err = XFER_ERROR_INIT;

    store_close(f->store);
    f->options.reserve = XFER_JSON_INTEGER_MAX;
    f->store = store_open(&f->options, 0, &err);
    assert_non_null(f->store);
    meta_of(&meta, "d/small", 1);
    assert_null(store_begin(f->store, &meta, &err));
    assert_int_equal(err.code, XFER_NO_SPACE);
    assert_int_equal(err.sys_errno, ENOSPC);
    assert_int_equal(err.side, XFER_SIDE_RECEIVER);
    assert_non_null(strstr(err.text, "1 bytes are needed"));
    assert_non_null(strstr(err.text, "9007199254740991 are to stay so (store.reserve)"));
    meta_of(&meta, "large", 10000000);
    assert_null(store_begin(f->store, &meta, &err));
    assert_int_equal(err.code, XFER_NO_SPACE);
    root_has(f, 0);
    put_text(f->store, "empty", "");

    store_close(f->store);
    f->options.reserve = 1;
    f->store = store_open(&f->options, 0, &err);
    put_text(f->store, "small", "x");
    root_has(f, 2);
}

static void test_more_than_the_disk_has_is_refused_at_once(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    meta_of(&meta, "d/a", INT64_MAX);
    put_fails(f->store, &meta, "", XFER_NO_SPACE);
    root_has(f, 0);
}

static void test_path_that_is_not_normal_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const paths[] = {
        "../x", "/x", "a//b", "a/../b", ".", "", "a/", ".xfer/partial/x", "a/.xfer-1"};
    struct xfer_error err;
    struct wire_meta meta;
    unsigned i;

    for (i = 0; i < sizeof paths / sizeof *paths; i++) {
        meta_of(&meta, paths[i], 1);
        assert_null(store_begin(f->store, &meta, &err));
        assert_int_equal(err.code, XFER_INVALID_DESTINATION);
    }
    root_has(f, 0);
}

static void die_in_the_middle(struct fixture *f)
{
    struct xfer_error err;
    struct wire_meta meta;
    struct store_file **file = f->kept;

    f->store = store_open(&f->options, 0, &err);
    if (f->store == NULL)
        _exit(1);
    meta_of(&meta, "old", 100);
    file[0] = store_begin(f->store, &meta, &err);
    if (file[0] == NULL || store_write(file[0], "new", 3, &err) != 0)
        _exit(2);
    meta_of(&meta, "fresh", 100);
    file[1] = store_begin(f->store, &meta, &err);
    if (file[1] == NULL || store_write(file[1], "new", 3, &err) != 0)
        _exit(3);
}

static void test_death_leaves_nothing_after_the_next_start(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;

    make_file(in_root(f, "old"), "old");
    store_close(f->store);
    f->store = NULL;
    in_dying_process(die_in_the_middle, f);
    assert_true(temporaries(f) > 0);
    f->store = store_open(&f->options, 0, &err);
    assert_non_null(f->store);
    holds(in_root(f, "old"), "old");
    root_has(f, 1);
}

static void test_no_descriptor_is_left_open(void **state)
{
    struct fixture *f = *state;
    unsigned before = entries("/proc/self/fd");
    struct xfer_error err;
    struct wire_meta meta;

    put_text(f->store, "a/b/c", "x");
    put_text(f->store, "a/b/c", "y");
    meta_of(&meta, "a/b", 3);
    put_fails(f->store, &meta, "new", XFER_IS_DIRECTORY);
    meta_of(&meta, "a/b/c/d", 3);
    put_fails(f->store, &meta, "new", XFER_NOT_DIRECTORY);
    meta_of(&meta, "x/y/z", 3);
    meta.sync = SYNC_FILE;
    assert_int_equal(put(f->store, &meta, "x", 1, &err), 0);
    store_abort(store_begin(f->store, &meta, &err), false);
    assert_int_equal(entries("/proc/self/fd"), before);
}

/* ---- the root ---- */

static void test_second_opener_is_refused(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    char pid[32];

    assert_null(store_open(&f->options, 0, &err));
    assert_int_equal(err.code, XFER_TOO_BUSY);
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    assert_non_null(strstr(err.text, pid));
    assert_non_null(strstr(err.text, "root"));
}

static void hold_until_killed(const struct store_options *options, int ready)
{
    struct xfer_error err;

    if (store_open(options, 0, &err) == NULL || write(ready, "x", 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

static void test_opener_waits_for_the_former_generation(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    int ready[2], status;
    char byte;
    pid_t holder, killer;

    store_close(f->store);
    f->store = NULL;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    holder = fork();
    if (holder == 0)
        hold_until_killed(&f->options, ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    killer = fork();
    if (killer == 0) {
        usleep(50000);
        kill(holder, SIGKILL);
        _exit(0);
    }
    f->store = store_open(&f->options, 60, &err);
    assert_non_null(f->store);
    waitpid(holder, &status, 0);
    waitpid(killer, &status, 0);
    close(ready[0]);
    close(ready[1]);
}

static void test_sweep_waits_for_the_lock(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct store_file *file;

    make_file(in_root(f, "a"), "old");
    meta_of(&meta, "a", 3);
    file = store_begin(f->store, &meta, &err);
    assert_int_equal(temporaries(f), 1);
    assert_null(store_open(&f->options, 0, &err));
    assert_int_equal(temporaries(f), 1);
    store_abort(file, false);
}

static void test_root_is_made_with_its_parents(void **state)
{
    struct fixture *f = *state;
    struct store_options options = f->options;
    struct xfer_error err;
    struct store *store;
    char root[300], parent[250];
    struct stat st;

    snprintf(parent, sizeof parent, "%s/x/y", f->dir);
    snprintf(root, sizeof root, "%s/z/", parent);
    options.root = root;
    options.dir_mode = 0775;
    store = store_open(&options, 0, &err);
    assert_non_null(store);
    assert_int_equal(stat(root, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0775);
    assert_int_equal(stat(parent, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    store_close(store);
}

static void test_root_that_is_there_keeps_its_mode(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct stat st;

    store_close(f->store);
    assert_int_equal(chmod(f->root, 0750), 0);
    f->store = store_open(&f->options, 0, &err);
    assert_int_equal(stat(f->root, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0750);
}

static void test_root_may_be_reached_by_a_link(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    char link[200], real[PATH_MAX];

    store_close(f->store);
    snprintf(link, sizeof link, "%s/link", f->dir);
    assert_int_equal(symlink("root", link), 0);
    f->options.root = link;
    f->store = store_open(&f->options, 0, &err);
    assert_non_null(f->store);
    assert_non_null(realpath(f->root, real));
    assert_string_equal(store_root(f->store), real);
    put_text(f->store, "a", "x");
    holds(in_root(f, "a"), "x");
}

static void test_root_that_is_a_file_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct store_options options = f->options;
    struct xfer_error err;
    char root[200];

    snprintf(root, sizeof root, "%s/file", f->dir);
    make_file(root, "x");
    options.root = root;
    assert_null(store_open(&options, 0, &err));
    assert_int_equal(err.code, XFER_NOT_DIRECTORY);
    options.root = "relative";
    assert_null(store_open(&options, 0, &err));
    assert_int_equal(err.code, XFER_CONFIG);
}

static void test_own_directory_that_is_a_link_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    char command[400];

    store_close(f->store);
    snprintf(command, sizeof command,
             "cd '%s' && mv root/.xfer elsewhere && ln -s ../elsewhere root/.xfer", f->dir);
    assert_int_equal(system(command), 0);
    f->store = store_open(&f->options, 0, &err);
    assert_null(f->store);
    assert_int_equal(err.side, XFER_SIDE_RECEIVER);
}

static void test_own_directory_is_private(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct stat st;

    assert_int_equal(stat(in_root(f, ".xfer"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    store_close(f->store);
    assert_int_equal(chmod(in_root(f, ".xfer/partial"), 0777), 0);
    f->store = store_open(&f->options, 0, &err);
    assert_non_null(f->store);
    assert_int_equal(stat(in_root(f, ".xfer/partial"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
}

static void test_space_is_told(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    uint64_t free_bytes = 0, total = 0;

    assert_int_equal(store_space(f->store, &free_bytes, &total, &err), 0);
    assert_true(total > 0);
    assert_true(free_bytes <= total);
}

#define FILE_TEST(name) \
    {                   \
#name, name     \
    }

static const struct {
    const char *name;
    CMUnitTestFunction function;
} file_tests[] = {
    FILE_TEST(test_new_file_is_stored),
    FILE_TEST(test_empty_file_is_stored),
    FILE_TEST(test_digest_is_canonical_xxh3_128),
    FILE_TEST(test_many_writes_make_one_file),
    FILE_TEST(test_preallocation_leaves_no_trace_in_a_shorter_file),
    FILE_TEST(test_mode_is_the_sources_whatever_the_umask),
    FILE_TEST(test_set_id_bits_do_not_arrive_by_themselves),
    FILE_TEST(test_file_mode_overrides_the_sources),
    FILE_TEST(test_unreadable_mode_arrives),
    FILE_TEST(test_modification_time_is_the_sources),
    FILE_TEST(test_every_sync_mode_stores),
    FILE_TEST(test_missing_parents_are_made_with_dir_mode),
    FILE_TEST(test_parents_that_are_there_keep_their_mode),
    FILE_TEST(test_names_of_255_bytes_are_stored),
    FILE_TEST(test_any_bytes_are_names),
    FILE_TEST(test_replace_replaces),
    FILE_TEST(test_old_file_stays_until_commit),
    FILE_TEST(test_no_name_shows_before_commit),
    FILE_TEST(test_never_refuses_what_exists),
    FILE_TEST(test_never_refuses_a_dangling_link),
    FILE_TEST(test_never_stores_what_is_new),
    FILE_TEST(test_never_refuses_what_came_meanwhile),
    FILE_TEST(test_replace_replaces_what_came_meanwhile),
    FILE_TEST(test_directory_that_came_meanwhile_is_an_error),
    FILE_TEST(test_fifo_that_came_meanwhile_is_an_error),
    FILE_TEST(test_directory_in_the_way_is_an_error),
    FILE_TEST(test_fifo_in_the_way_is_an_error),
    FILE_TEST(test_link_is_replaced_not_written_through),
    FILE_TEST(test_hard_link_of_the_old_file_keeps_its_content),
    FILE_TEST(test_no_permission_is_told_before_the_first_byte),
    FILE_TEST(test_wrong_digest_stores_nothing),
    FILE_TEST(test_wrong_size_stores_nothing),
    FILE_TEST(test_missing_parents_are_made_at_the_end),
    FILE_TEST(test_parents_that_cannot_be_made_at_the_end_leave_nothing),
    FILE_TEST(test_abort_keeps_parents_that_others_use),
    FILE_TEST(test_parent_removed_meanwhile_is_made_again),
    FILE_TEST(test_the_reserve_stays_free),
    FILE_TEST(test_more_than_the_disk_has_is_refused_at_once),
    FILE_TEST(test_path_that_is_not_normal_is_refused),
    FILE_TEST(test_death_leaves_nothing_after_the_next_start),
    FILE_TEST(test_no_descriptor_is_left_open),
};

static const struct CMUnitTest root_tests[] = {
    cmocka_unit_test_setup_teardown(test_second_opener_is_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(test_opener_waits_for_the_former_generation, setup, teardown),
    cmocka_unit_test_setup_teardown(test_sweep_waits_for_the_lock, setup, teardown),
    cmocka_unit_test_setup_teardown(test_root_is_made_with_its_parents, setup, teardown),
    cmocka_unit_test_setup_teardown(test_root_that_is_there_keeps_its_mode, setup, teardown),
    cmocka_unit_test_setup_teardown(test_root_may_be_reached_by_a_link, setup, teardown),
    cmocka_unit_test_setup_teardown(test_root_that_is_a_file_is_an_error, setup, teardown),
    cmocka_unit_test_setup_teardown(test_own_directory_that_is_a_link_is_an_error, setup, teardown),
    cmocka_unit_test_setup_teardown(test_own_directory_is_private, setup, teardown),
    cmocka_unit_test_setup_teardown(test_space_is_told, setup, teardown),
};

#define N_FILE (sizeof file_tests / sizeof *file_tests)
#define N_ROOT (sizeof root_tests / sizeof *root_tests)

int main(void)
{
    static const char *const variants[] = {"", " without O_TMPFILE", " without openat2",
                                           " without both"};
    static struct CMUnitTest tests[4 * N_FILE + N_ROOT];
    static char names[4 * N_FILE][128];
    uintptr_t v;
    size_t i;

    for (v = 0; v < 4; v++) {
        for (i = 0; i < N_FILE; i++) {
            size_t k = v * N_FILE + i;

            snprintf(names[k], sizeof names[k], "%s%s", file_tests[i].name, variants[v]);
            tests[k] =
                (struct CMUnitTest){names[k], file_tests[i].function, setup, teardown, (void *)v};
        }
    }
    memcpy(tests + 4 * N_FILE, root_tests, sizeof root_tests);
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
