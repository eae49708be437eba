/* SPDX-License-Identifier: MIT
 *
 * What is no regular file: directories, symbolic and hard links, barriers; and what of the source's
 * owner, mode and times arrives. Each test runs with openat2() and on the way without it.
 */
#include "tests/unit/resume_fixture.h"

#define OWNER 64001
#define TEAM  64010

static void kind_of(struct wire_meta *meta, enum wire_kind kind, const char *path,
                    const char *target)
{
    meta_of(meta, path, 0);
    meta->kind = kind;
    meta->sync = SYNC_FILE;
    meta->target_len = strlen(target);
    memcpy(meta->target, target, meta->target_len + 1);
}

/* The whole way; what is told of it is left in *outcome. */
static int make_it(struct fixture *f, const struct wire_meta *meta, struct store_outcome *outcome,
                   struct xfer_error *err)
{
    struct store_file *file = store_begin(f->store, meta, err);
    struct wire_verdict verdict;

    if (file == NULL)
        return -1;
    verdict_of(&verdict, "", 0);
    return store_commit(file, &verdict, outcome, err);
}

static void makes(struct fixture *f, const struct wire_meta *meta, bool unchanged,
                  const char *warning)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct store_outcome outcome;

    if (make_it(f, meta, &outcome, &err) != 0)
        fail_msg("%s: %s", meta->path, err.text);
    assert_int_equal(outcome.unchanged, unchanged);
    assert_string_equal(outcome.warning, warning);
    assert_int_equal(temporaries(f), 0);
}

static void refuses(struct fixture *f, const struct wire_meta *meta, enum xfer_code code)
{
    struct xfer_error err = XFER_ERROR_INIT;

    fails_with(make_it(f, meta, NULL, &err), &err, code);
    assert_string_equal(err.path, in_root(f, meta->path));
    assert_int_equal(temporaries(f), 0);
}

static struct stat look(const struct fixture *f, const char *name)
{
    struct stat st;

    if (lstat(in_root(f, name), &st) != 0)
        fail_msg("%s: %s", name, strerror(errno));
    return st;
}

static void has_mode(const struct fixture *f, const char *name, mode_t mode)
{
    assert_int_equal(look(f, name).st_mode & 07777, mode);
}

static void has_mtime(const struct fixture *f, const char *name)
{
    struct stat st = look(f, name);

    assert_int_equal(st.st_mtim.tv_sec, MTIME);
    assert_int_equal(st.st_mtim.tv_nsec, 987654321);
}

static void leads_to(const struct fixture *f, const char *name, const char *target)
{
    char there[PATH_MAX];
    ssize_t len = readlink(in_root(f, name), there, sizeof there - 1);

    assert_true(len >= 0);
    there[len] = '\0';
    assert_string_equal(there, target);
}

static void need_root(void)
{
    if (geteuid() != 0)
        skip();
}

/* ---- directories ---- */

static void a_directory_is_made_with_its_parents(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    kind_of(&meta, WIRE_KIND_DIRECTORY, "a/b/c", "");
    meta.mode = 0710;
    makes(f, &meta, false, "");
    has_mode(f, "a", 0755);
    has_mode(f, "a/b", 0755);
    has_mode(f, "a/b/c", 0710);
    has_mtime(f, "a/b/c");
}

static void a_directory_that_is_there_gets_its_metadata_and_keeps_its_content(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    put_text(f->store, "d/file", "x");
    kind_of(&meta, WIRE_KIND_DIRECTORY, "d", "");
    meta.mode = 01777;
    makes(f, &meta, false, "");
    has_mode(f, "d", 01777);
    has_mtime(f, "d");
    holds(in_root(f, "d/file"), "x");
}

static void a_directory_that_is_as_it_is_to_be_is_unchanged(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    struct stat before, after;

    kind_of(&meta, WIRE_KIND_DIRECTORY, "a", "");
    meta.mode = 0555;
    makes(f, &meta, false, "");
    before = look(f, "a");
    makes(f, &meta, geteuid() == 0, "");
    after = look(f, "a");
    if (geteuid() == 0)
        assert_memory_equal(&before.st_ctim, &after.st_ctim, sizeof before.st_ctim);
    meta.mode = 0755;
    makes(f, &meta, false, "");
    makes(f, &meta, true, "");
    meta.mtime_nsec++;
    makes(f, &meta, false, "");
}

static void a_directory_of_any_mode_gets_another(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    mode_t mode;

    kind_of(&meta, WIRE_KIND_DIRECTORY, "d", "");
    for (mode = 0; mode <= 01777; mode += 0111) {
        meta.mode = mode;
        makes(f, &meta, false, "");
        has_mode(f, "d", mode);
    }
    chmod(in_root(f, "d"), 0700);
}

static void mode_and_times_of_a_directory_stay_where_they_are_not_asked_for(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    assert_int_equal(mkdir(in_root(f, "d"), 0700), 0);
    assert_int_equal(chmod(in_root(f, "d"), 0511), 0);
    kind_of(&meta, WIRE_KIND_DIRECTORY, "d", "");
    meta.preserve = 0;
    meta.mode = 0777;
    makes(f, &meta, geteuid() == 0, "");
    has_mode(f, "d", 0511);
    assert_true(look(f, "d").st_mtim.tv_sec != MTIME);
    kind_of(&meta, WIRE_KIND_DIRECTORY, "new", "");
    meta.preserve = 0;
    makes(f, &meta, false, "");
    has_mode(f, "new", 0755);
}

static void configured_directory_modes_win(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    f->options.dir_mode = 02750;
    f->options.dir_mode_given = true;
    reopen(f);
    kind_of(&meta, WIRE_KIND_DIRECTORY, "d", "");
    meta.mode = 0777;
    makes(f, &meta, false, "");
    has_mode(f, "d", 02750);
}

static void a_directory_keeps_the_set_group_id_bit_that_it_was_given_here(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    assert_int_equal(mkdir(in_root(f, "d"), 0700), 0);
    assert_int_equal(chmod(in_root(f, "d"), 02755), 0);
    kind_of(&meta, WIRE_KIND_DIRECTORY, "d/e", "");
    meta.mode = 04700;
    makes(f, &meta, false, "");
    has_mode(f, "d/e", 02700);
}

static void a_file_in_the_way_of_a_directory_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    put_text(f->store, "a", "x");
    kind_of(&meta, WIRE_KIND_DIRECTORY, "a", "");
    refuses(f, &meta, XFER_NOT_DIRECTORY);
    holds(in_root(f, "a"), "x");
}

static void a_link_in_the_way_of_a_directory_is_not_followed(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    assert_int_equal(mkdir(in_root(f, "there"), 0700), 0);
    assert_int_equal(symlink("there", in_root(f, "a")), 0);
    kind_of(&meta, WIRE_KIND_DIRECTORY, "a", "");
    meta.mode = 0777;
    refuses(f, &meta, XFER_NOT_DIRECTORY);
    has_mode(f, "there", 0700);
    kind_of(&meta, WIRE_KIND_DIRECTORY, "a/b", "");
    refuses(f, &meta, XFER_UNSAFE_PATH);
    assert_int_equal(entries(in_root(f, "there")), 0);
}

/* ---- symbolic links ---- */

static void a_symbolic_link_is_made_as_it_is(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    kind_of(&meta, WIRE_KIND_SYMLINK, "a/link", "../../outside\n\xff");
    makes(f, &meta, false, "");
    leads_to(f, "a/link", "../../outside\n\xff");
    has_mtime(f, "a/link");
}

static void a_symbolic_link_replaces_a_file_or_another_link(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    put_text(f->store, "a", "x");
    kind_of(&meta, WIRE_KIND_SYMLINK, "a", "b");
    makes(f, &meta, false, "");
    leads_to(f, "a", "b");
    kind_of(&meta, WIRE_KIND_SYMLINK, "a", "c");
    makes(f, &meta, false, "");
    leads_to(f, "a", "c");
    root_has(f, 1);
}

static void a_symbolic_link_that_is_there_is_unchanged_but_for_its_time(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    struct stat before;

    put_text(f->store, "file", "x");
    assert_int_equal(symlink("file", in_root(f, "a")), 0);
    before = look(f, "a");
    kind_of(&meta, WIRE_KIND_SYMLINK, "a", "file");
    makes(f, &meta, true, "");
    assert_int_equal(look(f, "a").st_ino, before.st_ino);
    has_mtime(f, "a");
}

static void a_symbolic_link_replaces_nothing_when_told_so(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    put_text(f->store, "a", "x");
    kind_of(&meta, WIRE_KIND_SYMLINK, "a", "b");
    meta.overwrite = OVERWRITE_NEVER;
    refuses(f, &meta, XFER_DESTINATION_EXISTS);
    holds(in_root(f, "a"), "x");
    kind_of(&meta, WIRE_KIND_SYMLINK, "new", "b");
    meta.overwrite = OVERWRITE_NEVER;
    makes(f, &meta, false, "");
}

static void a_directory_in_the_way_of_a_link_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    put_text(f->store, "file", "x");
    assert_int_equal(mkdir(in_root(f, "a"), 0700), 0);
    kind_of(&meta, WIRE_KIND_SYMLINK, "a", "file");
    refuses(f, &meta, XFER_IS_DIRECTORY);
    kind_of(&meta, WIRE_KIND_HARDLINK, "a", "file");
    refuses(f, &meta, XFER_IS_DIRECTORY);
}

/* ---- hard links ---- */

static void same_file(const struct fixture *f, const char *a, const char *b)
{
    assert_int_equal(look(f, a).st_ino, look(f, b).st_ino);
}

static void a_hard_link_is_made(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    put_text(f->store, "d/file", "x");
    kind_of(&meta, WIRE_KIND_HARDLINK, "e/link", "d/file");
    makes(f, &meta, false, "");
    same_file(f, "d/file", "e/link");
}

static void a_hard_link_that_is_there_is_unchanged(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    put_text(f->store, "file", "x");
    kind_of(&meta, WIRE_KIND_HARDLINK, "link", "file");
    meta.overwrite = OVERWRITE_NEVER;
    makes(f, &meta, false, "");
    makes(f, &meta, true, "");
    root_has(f, 2);
}

static void a_hard_link_replaces_a_file_and_leaves_no_third_name(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    put_text(f->store, "file", "x");
    put_text(f->store, "link", "other");
    kind_of(&meta, WIRE_KIND_HARDLINK, "link", "file");
    meta.overwrite = OVERWRITE_NEVER;
    refuses(f, &meta, XFER_DESTINATION_EXISTS);
    meta.overwrite = OVERWRITE_REPLACE;
    makes(f, &meta, false, "");
    same_file(f, "file", "link");
    assert_int_equal(look(f, "file").st_nlink, 2);
}

static void a_symbolic_link_may_have_two_names(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    put_text(f->store, "file", "x");
    assert_int_equal(symlink("file", in_root(f, "a")), 0);
    kind_of(&meta, WIRE_KIND_HARDLINK, "b", "a");
    makes(f, &meta, false, "");
    same_file(f, "a", "b");
    assert_int_equal(look(f, "file").st_nlink, 1);
}

static void a_hard_link_to_what_is_not_there_or_no_file_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    kind_of(&meta, WIRE_KIND_HARDLINK, "a", "d/missing");
    refuses(f, &meta, XFER_NO_SUCH_FILE);
    assert_int_equal(mkdir(in_root(f, "d"), 0700), 0);
    refuses(f, &meta, XFER_NO_SUCH_FILE);
    kind_of(&meta, WIRE_KIND_HARDLINK, "a", "d");
    refuses(f, &meta, XFER_NOT_REGULAR);
    assert_int_equal(mkfifo(in_root(f, "d/fifo"), 0600), 0);
    kind_of(&meta, WIRE_KIND_HARDLINK, "a", "d/fifo");
    refuses(f, &meta, XFER_NOT_REGULAR);
    assert_false(exists(in_root(f, "a")));
}

static void a_hard_link_leads_no_way_out(void **state)
{
    static const char *const targets[] = {"../secret", "/etc/passwd", "", ".xfer/lock", "a//b"};
    struct fixture *f = *state;
    char secret[200];
    struct wire_meta meta;
    unsigned i;

    snprintf(secret, sizeof secret, "%s/secret", f->dir);
    make_file(secret, "x");
    for (i = 0; i < sizeof targets / sizeof *targets; i++) {
        kind_of(&meta, WIRE_KIND_HARDLINK, "a", targets[i]);
        refuses(f, &meta, XFER_INVALID_DESTINATION);
    }
    assert_int_equal(symlink(f->dir, in_root(f, "out")), 0);
    kind_of(&meta, WIRE_KIND_HARDLINK, "a", "out/secret");
    refuses(f, &meta, XFER_UNSAFE_PATH);
    assert_false(exists(in_root(f, "a")));
}

/* ---- and the rest ---- */

static void a_barrier_is_nothing(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    kind_of(&meta, WIRE_KIND_BARRIER, ".", "");
    makes(f, &meta, false, "");
    root_has(f, 0);
}

static void what_asks_and_is_no_file_is_offered_nothing(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_verdict verdict;
    struct store_file *file;
    struct wire_meta meta;
    struct wire_go go;

    make_file(in_root(f, "a"), "");
    kind_of(&meta, WIRE_KIND_SYMLINK, "a", "b");
    meta.ask = true;
    file = ask(f, &meta, &go);
    offers_nothing(&go);
    start(file, 0);
    verdict_of(&verdict, "", 0);
    assert_int_equal(store_commit(file, &verdict, NULL, &err), 0);
    leads_to(f, "a", "b");
}

static void what_is_given_up_leaves_nothing(void **state)
{
    static const enum wire_kind kinds[] = {WIRE_KIND_DIRECTORY, WIRE_KIND_SYMLINK,
                                           WIRE_KIND_HARDLINK, WIRE_KIND_BARRIER};
    struct fixture *f = *state;
    struct xfer_error err;
    struct store_file *file;
    struct wire_meta meta;
    unsigned i;

    for (i = 0; i < 4; i++) {
        kind_of(&meta, kinds[i], kinds[i] == WIRE_KIND_BARRIER ? "." : "a/b", "c");
        file = store_begin(f->store, &meta, &err);
        assert_non_null(file);
        store_abort(file, true);
    }
    root_has(f, 0);
}

/* ---- metadata ---- */

static void puts_with(struct fixture *f, struct wire_meta *meta, const char *path, uint32_t mode,
                      uint32_t preserve, const char *warning)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct store_outcome outcome;
    struct wire_verdict verdict;
    struct store_file *file;

    meta_of(meta, path, 1);
    meta->mode = mode;
    meta->preserve = preserve;
    meta->file_uid = OWNER;
    meta->file_gid = TEAM;
    file = store_begin(f->store, meta, &err);
    if (file == NULL || store_write(file, "x", 1, &err) != 0)
        fail_msg("%s", err.text);
    verdict_of(&verdict, "x", 1);
    assert_int_equal(store_commit(file, &verdict, &outcome, &err), 0);
    assert_false(outcome.unchanged);
    assert_string_equal(outcome.warning, warning);
}

static void what_is_not_asked_for_is_not_taken_over(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    umask(027);
    reopen(f);
    umask(022);
    puts_with(f, &meta, "a", 0777, 0, "");
    has_mode(f, "a", 0640);
    assert_true(look(f, "a").st_mtim.tv_sec != MTIME);
    assert_int_equal(look(f, "a").st_uid, geteuid());
    f->options.file_mode = 0604;
    reopen(f);
    puts_with(f, &meta, "b", 0777, PRESERVE_TIMES, "");
    has_mode(f, "b", 0604);
    has_mtime(f, "b");
}

static void set_id_bits_arrive_with_their_owner_alone(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    need_root();
    puts_with(f, &meta, "a", 07711, PRESERVE_DEFAULT, "");
    has_mode(f, "a", 01711);
    puts_with(f, &meta, "b", 07711, PRESERVE_DEFAULT | PRESERVE_OWNER, "");
    has_mode(f, "b", 07711);
    assert_int_equal(look(f, "b").st_uid, OWNER);
    assert_int_equal(look(f, "b").st_gid, TEAM);
}

static void every_mode_arrives_for_root(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    mode_t mode;

    need_root();
    for (mode = 0; mode <= 07777; mode += 0421) {
        puts_with(f, &meta, "a", mode, PRESERVE_DEFAULT | PRESERVE_OWNER, "");
        has_mode(f, "a", mode);
        kind_of(&meta, WIRE_KIND_DIRECTORY, "d", "");
        meta.mode = mode;
        meta.preserve |= PRESERVE_OWNER;
        meta.file_uid = OWNER;
        meta.file_gid = TEAM;
        makes(f, &meta, false, "");
        has_mode(f, "d", mode);
        assert_int_equal(look(f, "d").st_uid, OWNER);
    }
}

static void a_configured_group_wins_and_takes_the_set_id_bits_with_it(void **state)
{
    const gid_t group = TEAM + 1;
    struct fixture *f = *state;
    struct wire_meta meta;

    need_root();
    f->options.group = &group;
    reopen(f);
    puts_with(f, &meta, "a", 06711, PRESERVE_DEFAULT | PRESERVE_OWNER, "");
    has_mode(f, "a", 0711);
    assert_int_equal(look(f, "a").st_uid, OWNER);
    assert_int_equal(look(f, "a").st_gid, TEAM + 1);
}

static void the_owner_of_a_link_is_set(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    need_root();
    put_text(f->store, "file", "x");
    kind_of(&meta, WIRE_KIND_SYMLINK, "a", "file");
    meta.preserve |= PRESERVE_OWNER;
    meta.file_uid = OWNER;
    meta.file_gid = TEAM;
    makes(f, &meta, false, "");
    assert_int_equal(look(f, "a").st_uid, OWNER);
    meta.file_uid = OWNER + 1;
    makes(f, &meta, true, "");
    assert_int_equal(look(f, "a").st_uid, OWNER + 1);
    assert_int_equal(look(f, "a").st_gid, TEAM);
    assert_int_equal(look(f, "file").st_uid, 0);
}

static void an_owner_that_is_none_is_a_warning(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct store_outcome outcome;
    struct wire_meta meta;

    need_root();
    kind_of(&meta, WIRE_KIND_DIRECTORY, "a", "");
    meta.mode = 06755;
    meta.preserve |= PRESERVE_OWNER;
    meta.file_uid = meta.file_gid = UINT32_MAX;
    assert_int_equal(make_it(f, &meta, &outcome, &err), 0);
    assert_string_equal(outcome.warning, "owner: Invalid argument");
    has_mode(f, "a", 0755);
}

int main(void)
{
    static const struct resume_test tests[] = {
        RESUME_TEST(a_directory_is_made_with_its_parents),
        RESUME_TEST(a_directory_that_is_there_gets_its_metadata_and_keeps_its_content),
        RESUME_TEST(a_directory_that_is_as_it_is_to_be_is_unchanged),
        RESUME_TEST(a_directory_of_any_mode_gets_another),
        RESUME_TEST(mode_and_times_of_a_directory_stay_where_they_are_not_asked_for),
        RESUME_TEST(configured_directory_modes_win),
        RESUME_TEST(a_directory_keeps_the_set_group_id_bit_that_it_was_given_here),
        RESUME_TEST(a_file_in_the_way_of_a_directory_is_an_error),
        RESUME_TEST(a_link_in_the_way_of_a_directory_is_not_followed),
        RESUME_TEST(a_symbolic_link_is_made_as_it_is),
        RESUME_TEST(a_symbolic_link_replaces_a_file_or_another_link),
        RESUME_TEST(a_symbolic_link_that_is_there_is_unchanged_but_for_its_time),
        RESUME_TEST(a_symbolic_link_replaces_nothing_when_told_so),
        RESUME_TEST(a_directory_in_the_way_of_a_link_is_an_error),
        RESUME_TEST(a_hard_link_is_made),
        RESUME_TEST(a_hard_link_that_is_there_is_unchanged),
        RESUME_TEST(a_hard_link_replaces_a_file_and_leaves_no_third_name),
        RESUME_TEST(a_symbolic_link_may_have_two_names),
        RESUME_TEST(a_hard_link_to_what_is_not_there_or_no_file_is_an_error),
        RESUME_TEST(a_hard_link_leads_no_way_out),
        RESUME_TEST(a_barrier_is_nothing),
        RESUME_TEST(what_asks_and_is_no_file_is_offered_nothing),
        RESUME_TEST(what_is_given_up_leaves_nothing),
        RESUME_TEST(what_is_not_asked_for_is_not_taken_over),
        RESUME_TEST(set_id_bits_arrive_with_their_owner_alone),
        RESUME_TEST(every_mode_arrives_for_root),
        RESUME_TEST(a_configured_group_wins_and_takes_the_set_id_bits_with_it),
        RESUME_TEST(the_owner_of_a_link_is_set),
        RESUME_TEST(an_owner_that_is_none_is_a_warning),
    };

    return run_resume_tests("store: kinds", tests, sizeof tests / sizeof *tests);
}
