/* SPDX-License-Identifier: MIT
 *
 * The store as it works for others: as whom META says, with their temporaries where these are
 * theirs. Needs root; what it gives up in the beginning stays given up.
 */
#include "tests/unit/resume_fixture.h"

#include "daemon/receive/store_file.h"
#include "daemon/work/identity.h"

#define USER       64001
#define OTHER_USER 64002
#define TEAM       64010

static bool ready;

static int group_setup(void **state)
{
    struct xfer_error err;

    (void)state;
    ready = identity_prepare(&err) == 0;
    return 0;
}

static int setup_identity(void **state)
{
    struct fixture *f;

    if (setup(state) != 0)
        return -1;
    f = *state;
    f->options.as_caller = true;
    if (ready)
        reopen(f);
    return chmod(f->root, 01777);
}

static void need_root(void)
{
    if (!ready)
        skip();
}

static void meta_as(struct wire_meta *meta, uid_t uid, const char *path, uint64_t size)
{
    meta_of(meta, path, size);
    meta->caller = true;
    meta->uid = meta->gid = uid;
}

static void belongs(const struct fixture *f, const char *name, uid_t uid, gid_t gid, mode_t mode)
{
    struct stat st;

    assert_int_equal(lstat(in_root(f, name), &st), 0);
    assert_int_equal(st.st_uid, uid);
    assert_int_equal(st.st_gid, gid);
    assert_int_equal(st.st_mode & 07777, mode);
}

static void puts_as(struct fixture *f, uid_t uid, const char *path, const char *text)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;

    meta_as(&meta, uid, path, strlen(text));
    if (put(f->store, &meta, text, strlen(text), &err) != 0)
        fail_msg("%s", err.text);
    assert_false(identity_is_assumed());
}

static void files_and_directories_are_the_users(void **state)
{
    struct fixture *f = *state;

    need_root();
    puts_as(f, USER, "d/e/a", "new");
    puts_as(f, USER, "d/e/a", "newer");
    belongs(f, "d", USER, USER, 0755);
    belongs(f, "d/e", USER, USER, 0755);
    belongs(f, "d/e/a", USER, USER, 0644);
}

static void the_same_without_nameless_files_and_openat2(void **state)
{
    struct fixture *f = *state;

    need_root();
    f->options.no_tmpfile = f->options.no_openat2 = true;
    reopen(f);
    files_and_directories_are_the_users(state);
}

static void what_does_not_say_whose_it_is_is_refused(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    need_root();
    meta_of(&meta, "a", 3);
    meta.uid = USER;
    put_fails(f->store, &meta, "new", XFER_PERMISSION_DENIED);
    assert_false(identity_is_assumed());
}

static void groups_of_the_user_count(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;

    need_root();
    assert_int_equal(mkdir(in_root(f, "team"), 0770), 0);
    assert_int_equal(chown(in_root(f, "team"), 0, TEAM), 0);
    assert_int_equal(chmod(in_root(f, "team"), 0770), 0);
    meta_as(&meta, USER, "team/a", 3);
    put_fails(f->store, &meta, "new", XFER_PERMISSION_DENIED);
    meta.n_groups = 1;
    meta.groups[0] = TEAM;
    assert_int_equal(put(f->store, &meta, "new", 3, &err), 0);
    belongs(f, "team/a", USER, USER, 0644);
}

static void anothers_file_is_not_replaced(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    need_root();
    puts_as(f, USER, "a", "old");
    meta_as(&meta, OTHER_USER, "a", 3);
    put_fails(f->store, &meta, "new", XFER_PERMISSION_DENIED);
    belongs(f, "a", USER, USER, 0644);
}

/* A file of USER's that ends after so many bytes. */
static void leave_partial_of(struct fixture *f, const char *path, size_t len)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;
    struct store_file *file;

    asking(&meta, path);
    meta.caller = true;
    meta.uid = meta.gid = USER;
    file = store_begin(f->store, &meta, &err);
    if (file == NULL)
        fail_msg("%s", err.text);
    assert_int_equal(store_write(file, data, len, &err), 0);
    store_abort(file, true);
    assert_false(identity_is_assumed());
}

static void a_partial_file_is_the_users_and_gone_on_with(void **state)
{
    struct fixture *f = *state;
    struct store_file *file;
    struct wire_meta meta;
    struct wire_go go;

    need_root();
    leave_partial_of(f, "d/a", 1000);
    belongs(f, ".xfer/users/64001", USER, USER, 0700);
    belongs(f, ".xfer/users/64001/partial/" NAME, USER, USER, 0600);
    reopen(f);
    asking(&meta, "d/a");
    meta.caller = true;
    meta.uid = meta.gid = USER;
    file = ask(f, &meta, &go);
    assert_int_equal(go.offer, WIRE_OFFER_PARTIAL);
    assert_int_equal(go.size, 1000);
    start(file, 1000);
    finishes(file, 1000);
    belongs(f, "d/a", USER, USER, 0644);
}

static void a_partial_file_is_offered_to_no_other_user(void **state)
{
    struct fixture *f = *state;
    struct store_file *file;
    struct wire_meta meta;
    struct wire_go go;

    need_root();
    leave_partial_of(f, "a", 1000);
    asking(&meta, "a");
    meta.caller = true;
    meta.uid = meta.gid = OTHER_USER;
    file = ask(f, &meta, &go);
    assert_int_equal(go.offer, WIRE_OFFER_NOTHING);
    store_abort(file, false);
}

static void a_stored_file_is_offered_to_its_owner_alone(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct store_file *file;
    struct wire_meta meta;
    struct wire_go go;

    need_root();
    asking(&meta, "a");
    meta.caller = true;
    meta.uid = meta.gid = USER;
    assert_int_equal(put(f->store, &meta, data, SIZE, &err), 0);
    file = ask(f, &meta, &go);
    assert_int_equal(go.offer, WIRE_OFFER_STORED);
    store_abort(file, false);
    meta.uid = meta.gid = OTHER_USER;
    file = ask(f, &meta, &go);
    assert_int_equal(go.offer, WIRE_OFFER_NOTHING);
    store_abort(file, false);
}

static void users_partial_files_are_counted_and_forgotten(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    const uint64_t job = JOB;
    uint64_t *jobs;
    struct stat st;
    size_t n;

    need_root();
    leave_partial_of(f, "a", 1000);
    assert_int_equal(store_partials(f->store, &jobs, &n, &err), 0);
    assert_int_equal(n, 1);
    assert_int_equal(jobs[0], JOB);
    free(jobs);
    store_forget(f->store, &job, 1);
    assert_int_equal(lstat(in_root(f, ".xfer/users/64001/partial/" NAME), &st), -1);
    assert_int_equal(store_partials(f->store, &jobs, &n, &err), 0);
    assert_int_equal(n, 0);
    free(jobs);
}

static void who_stores_as_the_daemon_again_sweeps_and_forgets_them(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    const uint64_t job = JOB;
    uint64_t *jobs;
    size_t n;

    need_root();
    leave_partial_of(f, "a", 1000);
    make_file(in_root(f, ".xfer/users/64001/partial/7-1.0"), "left");
    f->options.as_caller = false;
    reopen(f);
    assert_int_equal(access(in_root(f, ".xfer/users/64001/partial/7-1.0"), F_OK), -1);
    assert_int_equal(store_partials(f->store, &jobs, &n, &err), 0);
    assert_int_equal(n, 1);
    free(jobs);
    store_forget(f->store, &job, 1);
    assert_int_equal(store_partials(f->store, &jobs, &n, &err), 0);
    assert_int_equal(n, 0);
    free(jobs);
}

static void a_place_that_is_another_users_is_not_used(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    need_root();
    assert_int_equal(mkdir(in_root(f, ".xfer/users/64001"), 0700), 0);
    assert_int_equal(chown(in_root(f, ".xfer/users/64001"), OTHER_USER, OTHER_USER), 0);
    meta_as(&meta, USER, "a", 3);
    put_fails(f->store, &meta, "new", XFER_PERMISSION_DENIED);
}

/* ---- trees ---- */

static void kind_as(struct wire_meta *meta, enum wire_kind kind, uid_t uid, const char *path,
                    const char *target)
{
    meta_as(meta, uid, path, 0);
    meta->kind = kind;
    meta->target_len = strlen(target);
    memcpy(meta->target, target, meta->target_len + 1);
}

static void is_made(struct fixture *f, const struct wire_meta *meta, const char *text,
                    const char *warning)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct store_file *file = store_begin(f->store, meta, &err);
    struct store_outcome outcome;
    struct wire_verdict verdict;

    if (file == NULL || (text[0] != '\0' && store_write(file, text, strlen(text), &err) != 0))
        fail_msg("%s", err.text);
    verdict_of(&verdict, text, strlen(text));
    if (store_commit(file, &verdict, &outcome, &err) != 0)
        fail_msg("%s", err.text);
    assert_string_equal(outcome.warning, warning);
    assert_false(identity_is_assumed());
}

static void links_and_directories_are_the_users(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    struct stat st;

    need_root();
    puts_as(f, USER, "file", "x");
    puts_as(f, USER, "other", "x");
    kind_as(&meta, WIRE_KIND_DIRECTORY, USER, "d", "");
    meta.mode = 01750;
    is_made(f, &meta, "", "");
    belongs(f, "d", USER, USER, 01750);
    kind_as(&meta, WIRE_KIND_SYMLINK, USER, "d/link", "file");
    is_made(f, &meta, "", "");
    belongs(f, "d/link", USER, USER, 0777);
    kind_as(&meta, WIRE_KIND_HARDLINK, USER, "other", "file");
    is_made(f, &meta, "", "");
    assert_int_equal(lstat(in_root(f, "file"), &st), 0);
    assert_int_equal(st.st_nlink, 2);
    assert_int_equal(entries(in_root(f, ".xfer/users/64001/partial")), 0);
}

static void a_user_changes_no_directory_of_another(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct store_outcome outcome;
    struct wire_verdict verdict;
    struct store_file *file;
    struct wire_meta meta;

    need_root();
    kind_as(&meta, WIRE_KIND_DIRECTORY, USER, "d", "");
    is_made(f, &meta, "", "");
    belongs(f, "d", USER, USER, 0644);
    assert_int_equal(chmod(in_root(f, "d"), 0755), 0);
    kind_as(&meta, WIRE_KIND_DIRECTORY, OTHER_USER, "d", "");
    meta.mtime_sec++;
    file = store_begin(f->store, &meta, &err);
    assert_non_null(file);
    verdict_of(&verdict, "", 0);
    assert_int_equal(store_commit(file, &verdict, &outcome, &err), 0);
    assert_string_equal(outcome.warning,
                        "mode: Operation not permitted; times: Operation not permitted");
    belongs(f, "d", USER, USER, 0755);
    kind_as(&meta, WIRE_KIND_SYMLINK, OTHER_USER, "d/link", "x");
    file = store_begin(f->store, &meta, &err);
    assert_non_null(file);
    fails_with(store_commit(file, &verdict, &outcome, &err), &err, XFER_PERMISSION_DENIED);
    assert_int_equal(entries(in_root(f, "d")), 0);
}

static void an_owner_that_a_user_cannot_give_is_a_warning(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    need_root();
    meta_as(&meta, USER, "a", 3);
    meta.preserve |= PRESERVE_OWNER;
    meta.mode = 07755;
    meta.file_uid = OTHER_USER;
    meta.file_gid = TEAM;
    is_made(f, &meta, "new", "owner: Operation not permitted");
    belongs(f, "a", USER, USER, 01755);
    meta.n_groups = 1;
    meta.groups[0] = TEAM;
    is_made(f, &meta, "new", "owner: Operation not permitted");
    belongs(f, "a", USER, TEAM, 01755);
    meta.file_uid = USER;
    is_made(f, &meta, "new", "");
    belongs(f, "a", USER, TEAM, 07755);
}

static void a_configured_group_is_a_directorys_and_a_links(void **state)
{
    const gid_t team = TEAM;
    struct fixture *f = *state;
    struct wire_meta meta;

    need_root();
    f->options.group = &team;
    f->options.dir_mode = 02750;
    f->options.dir_mode_given = true;
    reopen(f);
    kind_as(&meta, WIRE_KIND_DIRECTORY, USER, "d", "");
    is_made(f, &meta, "", "");
    belongs(f, "d", USER, TEAM, 02750);
    kind_as(&meta, WIRE_KIND_SYMLINK, USER, "link", "x");
    is_made(f, &meta, "", "");
    belongs(f, "link", USER, TEAM, 0777);
}

static struct wire_look look;
static struct wire_looked looked;

static void look_as(uid_t uid, const char *base, enum wire_kind kind, const char *name)
{
    memset(&look, 0, sizeof look);
    look.job = JOB;
    look.caller = true;
    look.uid = look.gid = uid;
    look.preserve = PRESERVE_DEFAULT;
    snprintf(look.base, sizeof look.base, "%s", base);
    look.n = 1;
    look.entries[0].kind = kind;
    look.entries[0].mode = 0500;
    snprintf(look.entries[0].name, sizeof look.entries[0].name, "%s", name);
}

static void says(struct fixture *f, enum wire_looked_result result)
{
    store_look(f->store, &look, &looked);
    assert_int_equal(looked.entries[0].result, result);
    assert_false(identity_is_assumed());
}

static void fails(struct fixture *f, enum xfer_code code)
{
    says(f, WIRE_LOOKED_FAILED);
    assert_int_equal(looked.entries[0].code, code);
}

static void a_look_makes_the_users_directories(void **state)
{
    struct fixture *f = *state;

    need_root();
    look_as(USER, "a/b", WIRE_KIND_DIRECTORY, "c");
    says(f, WIRE_LOOKED_MADE);
    belongs(f, "a", USER, USER, 0755);
    belongs(f, "a/b/c", USER, USER, 0700);
    look_as(OTHER_USER, "a/b", WIRE_KIND_DIRECTORY, "c");
    says(f, WIRE_LOOKED_READY);
    look_as(OTHER_USER, "a/b", WIRE_KIND_DIRECTORY, "d");
    fails(f, XFER_PERMISSION_DENIED);
    look_as(OTHER_USER, "a/b/c", WIRE_KIND_FILE, "secret");
    fails(f, XFER_PERMISSION_DENIED);
    look_as(USER, "", WIRE_KIND_FILE, "a");
    look.caller = false;
    fails(f, XFER_PERMISSION_DENIED);
}

static void a_directory_that_locks_its_owner_out_is_opened_for_the_time_being(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    need_root();
    kind_as(&meta, WIRE_KIND_DIRECTORY, USER, "d", "");
    meta.mode = 0;
    is_made(f, &meta, "", "");
    belongs(f, "d", USER, USER, 0);
    look_as(USER, "", WIRE_KIND_DIRECTORY, "d");
    look.preserve = PRESERVE_TIMES; /* no META would lock it again */
    says(f, WIRE_LOOKED_READY);
    belongs(f, "d", USER, USER, 0);
    look.preserve = PRESERVE_DEFAULT;
    says(f, WIRE_LOOKED_READY);
    belongs(f, "d", USER, USER, 0700);
    puts_as(f, USER, "d/a", "new");
    is_made(f, &meta, "", "");
    belongs(f, "d", USER, USER, 0);
    /* META alone */
    meta.mode = 0311;
    is_made(f, &meta, "", "");
    belongs(f, "d", USER, USER, 0311);
    meta.preserve = PRESERVE_TIMES;
    is_made(f, &meta, "", "");
    belongs(f, "d", USER, USER, 0311);
}

static void the_note_of_the_beginning_is_the_daemons(void **state)
{
    struct fixture *f = *state;

    need_root();
    look_as(USER, "", WIRE_KIND_FILE, "a");
    look.begin = true;
    says(f, WIRE_LOOKED_ABSENT);
    belongs(f, ".xfer/partial/" HEX "-7-tree", 0, 0, 0600);
}

static void trees_of_users_lie_in_their_directories(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    need_root();
    f->options.per_user = true;
    reopen(f);
    assert_int_equal(chmod(f->root, 0755), 0);
    look_as(USER, "", WIRE_KIND_DIRECTORY, "d");
    look.dry = true;
    says(f, WIRE_LOOKED_MADE);
    root_has(f, 0);
    look.dry = false;
    says(f, WIRE_LOOKED_MADE);
    belongs(f, "64001", USER, USER, 0755);
    belongs(f, "64001/d", USER, USER, 0700);
    puts_as(f, USER, "d/a", "new");
    kind_as(&meta, WIRE_KIND_HARDLINK, USER, "d/b", "d/a");
    is_made(f, &meta, "", "");
    holds(in_root(f, "64001/d/b"), "new");
    look_as(USER, "d", WIRE_KIND_FILE, "a");
    says(f, WIRE_LOOKED_DIFFERENT);
    look_as(OTHER_USER, "d", WIRE_KIND_FILE, "a");
    says(f, WIRE_LOOKED_ABSENT);
    root_has(f, 1);
}

/* ---- what is configured ---- */

static void sync_is_what_the_job_says_or_else_the_store(void **state)
{
    static const struct {
        enum sync_mode store, meta;
        bool tree;
        enum sync_mode result;
    } cases[] = {
        {SYNC_NONE, SYNC_DEFAULT, false, SYNC_NONE},  {SYNC_NONE, SYNC_DEFAULT, true, SYNC_NONE},
        {SYNC_FILE, SYNC_DEFAULT, false, SYNC_FILE},  {SYNC_BATCH, SYNC_DEFAULT, false, SYNC_FILE},
        {SYNC_BATCH, SYNC_DEFAULT, true, SYNC_BATCH}, {SYNC_NONE, SYNC_FILE, true, SYNC_FILE},
        {SYNC_NONE, SYNC_BATCH, true, SYNC_BATCH},    {SYNC_NONE, SYNC_BATCH, false, SYNC_FILE},
        {SYNC_FILE, SYNC_NONE, true, SYNC_NONE}, /* the default is one that fits */
        {SYNC_FILE, SYNC_DEFAULT, true, SYNC_BATCH},
    };
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;

    f->options.as_caller = false;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct store_file *file;
        struct wire_meta meta;

        f->options.sync = cases[i].store;
        reopen(f);
        meta_of(&meta, "a", 3);
        meta.sync = cases[i].meta;
        meta.tree = cases[i].tree;
        assert_int_equal(store_sync_of(f->store, &meta), cases[i].result);
        file = store_begin(f->store, &meta, &err);
        assert_non_null(file);
        assert_int_equal(file->sync, cases[i].result);
        store_abort(file, false);
    }
}

static void the_configured_group_is_given(void **state)
{
    const gid_t team = TEAM;
    struct fixture *f = *state;

    need_root();
    f->options.group = &team;
    f->options.dir_mode = 02750;
    reopen(f);
    puts_as(f, USER, "d/a", "new");
    puts_as(f, USER, "d/a", "newer");
    belongs(f, "d", USER, TEAM, 02750);
    belongs(f, "d/a", USER, TEAM, 0644);
}

static void a_users_directory_is_made_whole(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct store_file *file;
    struct wire_meta meta;

    need_root();
    f->options.per_user = true;
    f->options.dir_mode = 0711;
    reopen(f);
    assert_int_equal(chmod(f->root, 0755), 0);
    meta_as(&meta, USER, "d/a", 3);
    file = store_begin(f->store, &meta, &err);
    if (file == NULL)
        fail_msg("%s", err.text);
    assert_string_equal(store_path(file), "64001/d/a");
    store_abort(file, false);
    belongs(f, "64001", USER, USER, 0711);
    puts_as(f, USER, "d/a", "new");
    belongs(f, "64001/d/a", USER, USER, 0644);
}

static void a_path_that_becomes_too_long_is_refused(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;

    f->options.as_caller = false;
    f->options.per_user = true;
    reopen(f);
    meta_of(&meta, "a", 3);
    meta.uid = USER;
    meta.path_len = XFER_PATH_SIZE - 3;
    for (size_t i = 0; i < meta.path_len; i++)
        meta.path[i] = i % 2 == 1 ? '/' : 'a';
    meta.path[meta.path_len] = '\0';
    assert_null(store_begin(f->store, &meta, &err));
    assert_int_equal(err.code, XFER_NAME_TOO_LONG);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_identity, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_and_directories_are_the_users),
        TEST(the_same_without_nameless_files_and_openat2),
        TEST(what_does_not_say_whose_it_is_is_refused),
        TEST(groups_of_the_user_count),
        TEST(anothers_file_is_not_replaced),
        TEST(a_partial_file_is_the_users_and_gone_on_with),
        TEST(a_partial_file_is_offered_to_no_other_user),
        TEST(a_stored_file_is_offered_to_its_owner_alone),
        TEST(users_partial_files_are_counted_and_forgotten),
        TEST(who_stores_as_the_daemon_again_sweeps_and_forgets_them),
        TEST(a_place_that_is_another_users_is_not_used),
        TEST(links_and_directories_are_the_users),
        TEST(a_user_changes_no_directory_of_another),
        TEST(an_owner_that_a_user_cannot_give_is_a_warning),
        TEST(a_configured_group_is_a_directorys_and_a_links),
        TEST(a_look_makes_the_users_directories),
        TEST(a_directory_that_locks_its_owner_out_is_opened_for_the_time_being),
        TEST(the_note_of_the_beginning_is_the_daemons),
        TEST(trees_of_users_lie_in_their_directories),
        TEST(sync_is_what_the_job_says_or_else_the_store),
        TEST(the_configured_group_is_given),
        TEST(a_users_directory_is_made_whole),
        TEST(a_path_that_becomes_too_long_is_refused),
    };

    return cmocka_run_group_tests_name("store: for others", tests, group_setup, NULL);
}
