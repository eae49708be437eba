/* SPDX-License-Identifier: MIT
 *
 * A receiving root with other file systems in it, small ones and read-only ones. Runs in a mount
 * namespace of its own (and a user namespace where it isn't root); where that is not allowed all of
 * it is skipped.
 */
#include "tests/unit/store_fixture.h"

#include <sched.h>
#include <sys/mount.h>

static bool can_mount;

static void write_to(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    if (write(fd, text, strlen(text)) < 0)
        can_mount = false;
    close(fd);
}

static int enter_namespace(void **state)
{
    unsigned uid = geteuid(), gid = getegid();
    char map[64];

    (void)state;
    if (unshare(uid == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return 0;
    if (uid != 0) {
        write_to("/proc/self/setgroups", "deny");
        snprintf(map, sizeof map, "%u %u 1", uid, uid);
        write_to("/proc/self/uid_map", map);
        snprintf(map, sizeof map, "%u %u 1", gid, gid);
        write_to("/proc/self/gid_map", map);
    }
    can_mount = mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
                mount("tmpfs", "/mnt", "tmpfs", 0, "size=1m") == 0 && umount("/mnt") == 0;
    return 0;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    umask(022);
    f->options.no_tmpfile = *state != NULL;
    fixture_create(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    umount2(in_root(f, "m"), MNT_DETACH);
    fixture_destroy(f);
    free(f);
    return 0;
}

/* ROOT/m becomes a tmpfs of 1 MiB. */
static void mount_small(struct fixture *f)
{
    if (!can_mount)
        skip();
    assert_int_equal(mkdir(in_root(f, "m"), 0755), 0);
    assert_int_equal(mount("tmpfs", in_root(f, "m"), "tmpfs", 0, "size=1m"), 0);
}

/* ROOT/m becomes ROOT/d once more, by another mount of the same file system. */
static void mount_bind(struct fixture *f, unsigned long flags)
{
    char from[300];

    if (!can_mount)
        skip();
    snprintf(from, sizeof from, "%s/d", f->root);
    assert_int_equal(mkdir(from, 0755), 0);
    assert_int_equal(mkdir(in_root(f, "m"), 0755), 0);
    make_file(in_root(f, "d/a"), "old");
    assert_int_equal(mount(from, in_root(f, "m"), "none", MS_BIND, NULL), 0);
    if (flags != 0)
        assert_int_equal(mount("none", in_root(f, "m"), "none", MS_REMOUNT | MS_BIND | flags, NULL),
                         0);
}

static void test_file_larger_than_the_disk_is_refused_at_once(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    mount_small(f);
    meta_of(&meta, "m/d/a", 2 << 20);
    put_fails(f->store, &meta, "", XFER_NO_SPACE);
    assert_int_equal(entries(in_root(f, "m")), 0);
    root_has(f, 1);
}

static void test_disk_that_fills_up_fails_the_write_and_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct store_file *file[8];
    static char piece[200 << 10];
    int i, written = 0;

    mount_small(f);
    /* each alone would fit, and none is large enough to be reserved */
    for (i = 0; i < 8; i++) {
        char path[32];

        snprintf(path, sizeof path, "m/f%d", i);
        meta_of(&meta, path, sizeof piece);
        file[i] = store_begin(f->store, &meta, &err);
        assert_non_null(file[i]);
    }
    for (i = 0; i < 8; i++) {
        if (store_write(file[i], piece, sizeof piece, &err) == 0) {
            written++;
        } else {
            assert_int_equal(err.code, XFER_NO_SPACE);
            assert_int_equal(err.side, XFER_SIDE_RECEIVER);
        }
    }
    assert_in_range(written, 3, 5);
    for (i = 0; i < 8; i++)
        store_abort(file[i], false);
    assert_int_equal(entries(in_root(f, "m")), 0);
    root_has(f, 1);
    meta_of(&meta, "m/again", 900 << 10);
    file[0] = store_begin(f->store, &meta, &err);
    assert_non_null(file[0]);
    store_abort(file[0], false);
}

static void test_space_is_that_of_the_root(void **state)
{
    struct fixture *f = *state;
    struct store_options options = f->options;
    struct xfer_error err;
    struct store *store;
    uint64_t free_bytes, total;

    mount_small(f);
    options.root = in_root(f, "m");
    store = store_open(&options, 0, &err);
    assert_non_null(store);
    assert_int_equal(store_space(store, &free_bytes, &total, &err), 0);
    assert_int_equal(total, 1 << 20);
    assert_in_range(free_bytes, 1, 1 << 20);
    store_close(store);
}

static void test_new_file_on_another_mount_is_stored(void **state)
{
    struct fixture *f = *state;

    mount_small(f);
    put_text(f->store, "m/a", "x");
    put_text(f->store, "m/d/a", "y");
    holds(in_root(f, "m/a"), "x");
    holds(in_root(f, "m/d/a"), "y");
    assert_int_equal(entries(in_root(f, "m")), 2);
    root_has(f, 1);
}

static void test_file_on_another_mount_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;

    mount_small(f);
    make_file(in_root(f, "m/a"), "old");
    meta_of(&meta, "m/a", 3);
    meta.sync = SYNC_FILE;
    assert_int_equal(put(f->store, &meta, "new", 3, &err), 0);
    holds(in_root(f, "m/a"), "new");
    assert_int_equal(entries(in_root(f, "m")), 1);
    root_has(f, 1);
}

static void test_never_holds_on_another_mount(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;
    struct wire_verdict verdict;
    struct store_file *file;

    mount_small(f);
    meta_of(&meta, "m/a", 3);
    meta.overwrite = OVERWRITE_NEVER;
    file = store_begin(f->store, &meta, &err);
    assert_int_equal(store_write(file, "new", 3, &err), 0);
    make_file(in_root(f, "m/a"), "old");
    verdict_of(&verdict, "new", 3);
    assert_int_equal(store_commit(file, &verdict, NULL, &err), -1);
    assert_int_equal(err.code, XFER_DESTINATION_EXISTS);
    assert_int_equal(entries(in_root(f, "m")), 1);
    root_has(f, 1);
}

static void test_file_on_another_mount_of_the_same_file_system_is_replaced(void **state)
{
    struct fixture *f = *state;

    mount_bind(f, 0);
    put_text(f->store, "m/a", "new");
    holds(in_root(f, "d/a"), "new");
    assert_int_equal(entries(in_root(f, "d")), 1);
    root_has(f, 2);
}

static void test_name_that_came_meanwhile_on_another_mount_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;
    struct wire_verdict verdict;
    struct store_file *file;

    mount_bind(f, 0);
    meta_of(&meta, "m/b", 3);
    file = store_begin(f->store, &meta, &err);
    assert_int_equal(store_write(file, "new", 3, &err), 0);
    make_file(in_root(f, "m/b"), "other");
    verdict_of(&verdict, "new", 3);
    assert_int_equal(store_commit(file, &verdict, NULL, &err), 0);
    holds(in_root(f, "d/b"), "new");
    assert_int_equal(entries(in_root(f, "d")), 2);
    root_has(f, 2);
}

static void link_of(struct wire_meta *meta, enum wire_kind kind, const char *path,
                    const char *target)
{
    meta_of(meta, path, 0);
    meta->kind = kind;
    meta->target_len = strlen(target);
    memcpy(meta->target, target, meta->target_len + 1);
}

static void test_links_on_another_mount_are_replaced(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct stat a, b;

    mount_small(f);
    put_text(f->store, "m/a", "x");
    put_text(f->store, "m/b", "y");
    link_of(&meta, WIRE_KIND_HARDLINK, "m/b", "m/a");
    assert_int_equal(put(f->store, &meta, "", 0, &err), 0);
    assert_int_equal(stat(in_root(f, "m/a"), &a), 0);
    assert_int_equal(stat(in_root(f, "m/b"), &b), 0);
    assert_int_equal(a.st_ino, b.st_ino);
    link_of(&meta, WIRE_KIND_SYMLINK, "m/b", "a");
    assert_int_equal(put(f->store, &meta, "", 0, &err), 0);
    assert_int_equal(lstat(in_root(f, "m/b"), &b), 0);
    assert_true(S_ISLNK(b.st_mode));
    assert_int_equal(entries(in_root(f, "m")), 2);
    root_has(f, 1);
}

static void test_no_hard_link_leads_to_another_mount(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    mount_small(f);
    put_text(f->store, "m/a", "x");
    put_text(f->store, "b", "y");
    link_of(&meta, WIRE_KIND_HARDLINK, "b", "m/a");
    put_fails(f->store, &meta, "", XFER_INVALID_DESTINATION);
    holds(in_root(f, "b"), "y");
    link_of(&meta, WIRE_KIND_HARDLINK, "m/b", "b");
    put_fails(f->store, &meta, "", XFER_INVALID_DESTINATION);
    assert_int_equal(entries(in_root(f, "m")), 1);
    root_has(f, 2);
}

static void test_read_only_mount_is_told_before_the_first_byte(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;

    mount_bind(f, MS_RDONLY);
    meta_of(&meta, "m/a", 3);
    assert_null(store_begin(f->store, &meta, &err));
    assert_int_equal(err.code, XFER_READ_ONLY);
    meta_of(&meta, "m/new", 3);
    assert_null(store_begin(f->store, &meta, &err));
    assert_int_equal(err.code, XFER_READ_ONLY);
    meta_of(&meta, "m/new/new", 3);
    assert_null(store_begin(f->store, &meta, &err));
    assert_int_equal(err.code, XFER_READ_ONLY);
    root_has(f, 2);
}

static void die_on_the_mount(struct fixture *f)
{
    struct xfer_error err;
    struct wire_meta meta;
    struct store_file **file = f->kept;
    const char *const paths[] = {"m/a", "m/d/a", "m/d/new"};
    int i;

    f->store = store_open(&f->options, 0, &err);
    if (f->store == NULL)
        _exit(1);
    for (i = 0; i < 3; i++) {
        meta_of(&meta, paths[i], 3);
        file[i] = store_begin(f->store, &meta, &err);
        if (file[i] == NULL || store_write(file[i], "new", 3, &err) != 0)
            _exit(2);
    }
}

static void test_death_leaves_nothing_on_another_mount_after_the_next_start(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;

    mount_small(f);
    make_file(in_root(f, "m/a"), "old");
    assert_int_equal(mkdir(in_root(f, "m/d"), 0755), 0);
    make_file(in_root(f, "m/d/a"), "old");
    store_close(f->store);
    f->store = NULL;
    in_dying_process(die_on_the_mount, f);
    assert_true(entries(in_root(f, "m")) > 2);
    assert_true(entries(in_root(f, "m/d")) > 1);
    f->store = store_open(&f->options, 0, &err);
    assert_non_null(f->store);
    holds(in_root(f, "m/a"), "old");
    holds(in_root(f, "m/d/a"), "old");
    assert_int_equal(entries(in_root(f, "m")), 2);
    assert_int_equal(entries(in_root(f, "m/d")), 1);
    root_has(f, 1);
}

/* ---- partial files beside their target ---- */

#define HEX  "00000000000000000000000000000000"
#define NAME HEX "-7-1"

static const unsigned char queue_id[XFER_QUEUE_ID_SIZE];
static unsigned char bytes[900 << 10];

static void open_for_resume(struct fixture *f)
{
    struct xfer_error err = XFER_ERROR_INIT;
    unsigned i;

    for (i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 4096);
    store_close(f->store);
    f->options.resume_min = 1000;
    f->options.resume_block = 64 << 10;
    f->store = store_open(&f->options, 0, &err);
    if (f->store == NULL)
        fail_msg("%s", err.text);
    store_set_queue(f->store, queue_id);
}

static void asking(struct wire_meta *meta, const char *path)
{
    meta_of(meta, path, sizeof bytes);
    meta->job = 7;
    meta->file = 1;
    meta->ask = true;
}

static void leave_partial(struct fixture *f, const char *path, size_t len)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;
    struct store_file *file;

    asking(&meta, path);
    file = store_begin(f->store, &meta, &err);
    if (file == NULL)
        fail_msg("%s", err.text);
    assert_int_equal(store_write(file, bytes, len, &err), 0);
    store_abort(file, true);
}

static void goes_on(struct fixture *f, const char *path, size_t from)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_verdict verdict;
    struct wire_meta meta;
    struct store_file *file;
    struct wire_go go;
    struct stat st;

    asking(&meta, path);
    meta.sync = SYNC_FILE;
    file = store_ask(f->store, &meta, NULL, &go, &err);
    assert_non_null(file);
    assert_int_equal(go.offer, WIRE_OFFER_PARTIAL);
    assert_int_equal(go.size, from);
    if (store_start(file, from, &err) != 0 ||
        store_write(file, bytes + from, sizeof bytes - from, &err) != 0)
        fail_msg("%s", err.text);
    verdict_of(&verdict, bytes, sizeof bytes);
    if (store_commit(file, &verdict, NULL, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(stat(in_root(f, path), &st), 0);
    assert_int_equal(st.st_size, sizeof bytes);
    assert_int_equal(st.st_mtim.tv_sec, MTIME);
    root_has(f, 1);
}

static void test_partial_on_another_mount_is_gone_on_with(void **state)
{
    struct fixture *f = *state;

    mount_small(f);
    open_for_resume(f);
    leave_partial(f, "m/d/a", 600 << 10);
    assert_true(exists(in_root(f, "m/d/.xfer-" NAME)));
    assert_true(exists(in_root(f, ".xfer/beside/" NAME)));
    assert_int_equal(temporaries(f), 1);
    open_for_resume(f);
    /* of what is free 300 KiB are enough */
    goes_on(f, "m/d/a", 600 << 10);
    assert_int_equal(entries(in_root(f, "m/d")), 1);
}

static void test_partial_without_its_record_gets_one(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;
    struct wire_go go;

    mount_small(f);
    open_for_resume(f);
    leave_partial(f, "m/a", 600 << 10);
    assert_int_equal(unlink(in_root(f, ".xfer/beside/" NAME)), 0);
    asking(&meta, "m/a");
    store_abort(store_ask(f->store, &meta, NULL, &go, &err), true);
    assert_int_equal(go.size, 600 << 10);
    assert_true(exists(in_root(f, ".xfer/beside/" NAME)));
}

static void test_partial_of_others_on_another_mount_is_not_gone_on_with(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;
    struct wire_go go;
    unsigned i;

    mount_small(f);
    open_for_resume(f);
    asking(&meta, "m/a");
    for (i = 0; i < 3; i++) {
        char target[300];

        snprintf(target, sizeof target, "%s/m/target", f->root);
        make_file(target, "precious");
        if (i == 0)
            assert_int_equal(symlink("target", in_root(f, "m/.xfer-" NAME)), 0);
        else if (i == 1)
            assert_int_equal(link(target, in_root(f, "m/.xfer-" NAME)), 0);
        else
            make_file(in_root(f, "m/.xfer-" NAME), "open to others");
        store_abort(store_ask(f->store, &meta, NULL, &go, &err), true);
        assert_int_equal(go.offer, WIRE_OFFER_NOTHING);
        leave_partial(f, "m/a", 1000);
        holds(target, "precious");
        store_forget(f->store, &meta.job, 1);
        assert_false(exists(in_root(f, "m/.xfer-" NAME)));
        root_has(f, 1);
    }
}

static void test_old_partial_on_another_mount_is_replaced(void **state)
{
    struct fixture *f = *state;

    mount_small(f);
    open_for_resume(f);
    leave_partial(f, "m/a", 600 << 10);
    leave_partial(f, "m/a", 500 << 10);
    assert_int_equal(temporaries(f), 1);
    goes_on(f, "m/a", 500 << 10);
}

static void test_partial_on_another_mount_is_forgotten_with_its_record(void **state)
{
    struct fixture *f = *state;
    static const uint64_t job = 7;
    struct xfer_error err;
    uint64_t *jobs;
    size_t n;

    mount_small(f);
    open_for_resume(f);
    leave_partial(f, "m/a", 600 << 10);
    assert_int_equal(store_partials(f->store, &jobs, &n, &err), 0);
    assert_int_equal(n, 1);
    assert_int_equal(jobs[0], 7);
    free(jobs);
    store_forget(f->store, &job, 1);
    assert_int_equal(entries(in_root(f, "m")), 0);
    root_has(f, 1);
}

static void test_record_of_a_directory_that_is_gone_goes_too(void **state)
{
    struct fixture *f = *state;

    mount_small(f);
    open_for_resume(f);
    leave_partial(f, "m/d/a", 600 << 10);
    assert_int_equal(umount2(in_root(f, "m"), MNT_DETACH), 0);
    open_for_resume(f);
    root_has(f, 1);
}

static void test_partial_that_went_with_its_directory_is_not_stored(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_verdict verdict;
    struct wire_meta meta;
    struct store_file *file;
    struct wire_go go;

    mount_small(f);
    open_for_resume(f);
    leave_partial(f, "m/d/a", 600 << 10);
    asking(&meta, "m/d/a");
    file = store_ask(f->store, &meta, NULL, &go, &err);
    assert_int_equal(go.size, 600 << 10);
    assert_int_equal(unlink(in_root(f, "m/d/.xfer-" NAME)), 0);
    assert_int_equal(rmdir(in_root(f, "m/d")), 0);
    verdict_of(&verdict, bytes, sizeof bytes);
    if (store_start(file, 600 << 10, &err) != 0) {
        store_abort(file, false);
    } else {
        assert_int_equal(store_write(file, bytes + (600 << 10), 300 << 10, &err), 0);
        assert_int_equal(store_commit(file, &verdict, NULL, &err), -1);
    }
    assert_int_equal(err.side, XFER_SIDE_RECEIVER);
    assert_int_equal(entries(in_root(f, "m")), 0);
    root_has(f, 1);
}

static void test_full_disk_fails_the_start_and_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    struct wire_meta meta;
    struct store_file *file;
    struct wire_go go;
    int fd;

    mount_small(f);
    open_for_resume(f);
    leave_partial(f, "m/a", 500 << 10);
    fd = open(in_root(f, "m/other"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(write(fd, bytes, 300 << 10), 300 << 10);
    close(fd);
    asking(&meta, "m/a");
    file = store_ask(f->store, &meta, NULL, &go, &err);
    assert_int_equal(go.size, 500 << 10);
    assert_int_equal(store_start(file, 500 << 10, &err), -1);
    assert_int_equal(err.code, XFER_NO_SPACE);
    assert_int_equal(err.side, XFER_SIDE_RECEIVER);
    store_abort(file, false);
    assert_int_equal(entries(in_root(f, "m")), 1);
    root_has(f, 1);
}

static void test_disk_that_fills_up_leaves_no_partial(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;
    struct store_file *file;

    mount_small(f);
    open_for_resume(f);
    asking(&meta, "m/a");
    meta.size = 200 << 10; /* not reserved */
    file = store_begin(f->store, &meta, &err);
    assert_int_equal(store_write(file, bytes, sizeof bytes, &err), 0);
    assert_int_equal(store_write(file, bytes, sizeof bytes, &err), -1);
    assert_int_equal(err.code, XFER_NO_SPACE);
    store_abort(file, false);
    assert_int_equal(entries(in_root(f, "m")), 0);
    root_has(f, 1);
}

#define MOUNT_TEST(name) \
    {                    \
#name, name      \
    }

static const struct {
    const char *name;
    CMUnitTestFunction function;
} mount_tests[] = {
    MOUNT_TEST(test_file_larger_than_the_disk_is_refused_at_once),
    MOUNT_TEST(test_disk_that_fills_up_fails_the_write_and_leaves_nothing),
    MOUNT_TEST(test_space_is_that_of_the_root),
    MOUNT_TEST(test_new_file_on_another_mount_is_stored),
    MOUNT_TEST(test_file_on_another_mount_is_replaced),
    MOUNT_TEST(test_never_holds_on_another_mount),
    MOUNT_TEST(test_file_on_another_mount_of_the_same_file_system_is_replaced),
    MOUNT_TEST(test_name_that_came_meanwhile_on_another_mount_is_replaced),
    MOUNT_TEST(test_links_on_another_mount_are_replaced),
    MOUNT_TEST(test_no_hard_link_leads_to_another_mount),
    MOUNT_TEST(test_read_only_mount_is_told_before_the_first_byte),
    MOUNT_TEST(test_death_leaves_nothing_on_another_mount_after_the_next_start),
    MOUNT_TEST(test_partial_on_another_mount_is_gone_on_with),
    MOUNT_TEST(test_partial_without_its_record_gets_one),
    MOUNT_TEST(test_partial_of_others_on_another_mount_is_not_gone_on_with),
    MOUNT_TEST(test_old_partial_on_another_mount_is_replaced),
    MOUNT_TEST(test_partial_on_another_mount_is_forgotten_with_its_record),
    MOUNT_TEST(test_record_of_a_directory_that_is_gone_goes_too),
    MOUNT_TEST(test_partial_that_went_with_its_directory_is_not_stored),
    MOUNT_TEST(test_full_disk_fails_the_start_and_leaves_nothing),
    MOUNT_TEST(test_disk_that_fills_up_leaves_no_partial),
};

#define N (sizeof mount_tests / sizeof *mount_tests)

int main(void)
{
    static struct CMUnitTest tests[2 * N];
    static char names[2 * N][160];
    size_t i;

    for (i = 0; i < 2 * N; i++) {
        snprintf(names[i], sizeof names[i], "%s%s", mount_tests[i % N].name,
                 i < N ? "" : " without O_TMPFILE");
        tests[i] = (struct CMUnitTest){names[i], mount_tests[i % N].function, setup, teardown,
                                       i < N ? NULL : (void *)1};
    }
    return cmocka_run_group_tests_name("store_mounts", tests, enter_namespace, NULL);
}
