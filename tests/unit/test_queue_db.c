/* SPDX-License-Identifier: MIT
 *
 * The queue on disk: what is recorded stays, in which order, for how long.
 */
#include "tests/unit/queue_db_fixture.h"

#include <signal.h>
#include <sys/wait.h>

static void a_new_database_is_private_and_empty(void **state)
{
    struct fixture *f = *state;
    char path[160];
    struct stat st;

    snprintf(path, sizeof path, "%s/a/b/queue.db", f->dir);
    f->options.path = path;
    umask(0);
    open_db(f);
    assert_int_equal(f->n_loaded, 0);
    assert_int_equal(f->state.last_id, 0);
    assert_int_equal(f->state.last_ended, 0);
    assert_false(f->state.paused);
    assert_int_equal(f->state.draining, 0);
    assert_int_equal(f->state.bandwidth, -1);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    snprintf(path, sizeof path, "%s/a", f->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    snprintf(path, sizeof path, "%s/a/b", f->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
}

static void the_queue_id_stays_and_is_no_other_queues(void **state)
{
    struct fixture *f = *state;
    unsigned char first[XFER_QUEUE_ID_SIZE];

    open_db(f);
    memcpy(first, f->state.queue_id, sizeof first);
    close_db(f);
    open_db(f);
    assert_memory_equal(f->state.queue_id, first, sizeof first);
    close_db(f);
    assert_int_equal(unlink(f->path), 0);
    open_db(f);
    assert_memory_not_equal(f->state.queue_id, first, sizeof first);
}

static struct queue_row *full_row(void)
{
    struct queue_row *row = ended_row(7, 3, JOB_FAILED);

    row->position = 9;
    row->owner = 4294967294U;
    row->priority = -100;
    row->overwrite = OVERWRITE_NEVER;
    row->sync = SYNC_NONE;
    row->retries = 12;
    free(row->source);
    row->source = text_copy("/\xff\x01 '\"%s\n");
    row->key = text_copy("k\xc3\xa9y");
    row->attempts = 5;
    row->failures = 4;
    row->not_before = 1.7e9 + 0.25;
    row->started_at = 1.55e9 + 0.5;
    row->bytes_total = INT64_MAX;
    row->bytes_done = 1234567890123;
    row->bytes_resumed = 77;
    row->has_digest = true;
    for (unsigned i = 0; i < XFER_DIGEST_SIZE; i++)
        row->digest[i] = (unsigned char)(i * 16);
    row->error_code = XFER_NO_SPACE;
    row->error_side = XFER_SIDE_RECEIVER;
    row->error_errno = 28;
    row->error_text = text_copy("no room");
    row->error_path = text_copy("/srv/\xfe");
    row->gid = 4294967294U;
    row->n_groups = 3;
    row->groups = calloc(3, sizeof *row->groups);
    row->groups[0] = 5;
    row->groups[2] = 0xfedcba98U;
    row->bandwidth = 1000000007;
    row->handle = true;
    row->handle_dev = UINT64_MAX;
    row->handle_ino = 1234567890123;
    row->stored = text_copy("alice/\xfd");
    row->preserve = PRESERVE_ALL;
    row->filter.list = calloc(2, sizeof(char *));
    row->filter.list[row->filter.n++] = text_copy("+ *.c");
    row->filter.list[row->filter.n++] = text_copy("- \xff");
    row->dry_run = row->one_file_system = true;
    row->list = text_copy("0f-1e-2d");
    row->tree = true;
    row->files_total = 10;
    row->files_done = 7;
    row->files_failed = 2;
    row->files_skipped = 1;
    row->errors = 2;
    row->warnings = INT64_MAX;
    return row;
}

static void assert_same(const struct queue_row *a, const struct queue_row *b)
{
    assert_non_null(a);
    assert_int_equal(a->id, b->id);
    assert_int_equal(a->position, b->position);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->ended, b->ended);
    assert_int_equal(a->owner, b->owner);
    assert_int_equal(a->priority, b->priority);
    assert_int_equal(a->overwrite, b->overwrite);
    assert_int_equal(a->sync, b->sync);
    assert_int_equal(a->retries, b->retries);
    assert_string_equal(a->source, b->source);
    assert_string_equal(a->dest, b->dest);
    assert_string_equal(a->key, b->key);
    assert_int_equal(a->attempts, b->attempts);
    assert_int_equal(a->failures, b->failures);
    assert_true(a->not_before == b->not_before);
    assert_true(a->submitted_at == b->submitted_at);
    assert_true(a->started_at == b->started_at);
    assert_true(a->finished_at == b->finished_at);
    assert_int_equal(a->bytes_total, b->bytes_total);
    assert_int_equal(a->bytes_done, b->bytes_done);
    assert_int_equal(a->bytes_resumed, b->bytes_resumed);
    assert_true(a->has_digest == b->has_digest);
    assert_memory_equal(a->digest, b->digest, XFER_DIGEST_SIZE);
    assert_int_equal(a->error_code, b->error_code);
    assert_int_equal(a->error_side, b->error_side);
    assert_int_equal(a->error_errno, b->error_errno);
    assert_string_equal(a->error_text, b->error_text);
    assert_string_equal(a->error_path, b->error_path);
    assert_int_equal(a->gid, b->gid);
    assert_int_equal(a->n_groups, b->n_groups);
    assert_memory_equal(a->groups, b->groups, (size_t)b->n_groups * sizeof *b->groups);
    assert_int_equal(a->bandwidth, b->bandwidth);
    assert_true(a->handle == b->handle);
    assert_true(a->handle_dev == b->handle_dev);
    assert_true(a->handle_ino == b->handle_ino);
    assert_string_equal(a->stored, b->stored);
    assert_int_equal(a->preserve, b->preserve);
    assert_int_equal(a->filter.n, b->filter.n);
    for (size_t i = 0; i < b->filter.n; i++)
        assert_string_equal(a->filter.list[i], b->filter.list[i]);
    assert_true(a->dry_run == b->dry_run && a->checksum == b->checksum &&
                a->one_file_system == b->one_file_system && a->tree == b->tree);
    assert_string_equal(a->list, b->list);
    assert_int_equal(a->files_total, b->files_total);
    assert_int_equal(a->files_done, b->files_done);
    assert_int_equal(a->files_failed, b->files_failed);
    assert_int_equal(a->files_skipped, b->files_skipped);
    assert_int_equal(a->errors, b->errors);
    assert_int_equal(a->warnings, b->warnings);
}

static void every_member_of_a_row_is_kept(void **state)
{
    struct fixture *f = *state;
    struct queue_row *row = full_row(), *found;

    open_db(f);
    insert(f, full_row());
    found = fetch(f, 7);
    assert_same(found, row);
    queue_row_destroy(found);
    close_db(f);
    open_db(f);
    assert_int_equal(f->n_loaded, 1);
    assert_same(f->loaded[0], row);
    queue_row_destroy(row);
}

static void an_update_changes_every_member(void **state)
{
    struct fixture *f = *state;
    struct queue_row *row = full_row(), *found;

    open_db(f);
    insert(f, new_row(7));
    update(f, full_row());
    found = fetch(f, 7);
    assert_same(found, row);
    queue_row_destroy(found);
    queue_row_destroy(row);
    update(f, new_row(7));
    found = fetch(f, 7);
    assert_int_equal(found->state, JOB_QUEUED);
    assert_false(found->has_digest);
    assert_null(found->key);
    assert_int_equal(found->error_code, XFER_OK);
    assert_null(found->error_text);
    assert_int_equal(found->n_groups, -1);
    assert_null(found->stored);
    queue_row_destroy(found);
}

static void no_groups_are_other_than_unknown_ones(void **state)
{
    struct fixture *f = *state;
    struct queue_row *row = new_row(1), *found;

    row->n_groups = 0;
    open_db(f);
    insert(f, row);
    found = fetch(f, 1);
    assert_int_equal(found->n_groups, 0);
    queue_row_destroy(found);
}

static void an_update_of_a_job_that_is_not_there_fails(void **state)
{
    struct fixture *f = *state;

    open_db(f);
    assert_int_equal(record(f, QUEUE_DB_UPDATE, new_row(1)), XFER_JOB_FORGOTTEN);
    assert_false(is_there(f, 1));
}

static void settings_are_kept(void **state)
{
    struct fixture *f = *state;
    struct request r = {
        .op = {.kind = QUEUE_DB_SETTINGS, .paused = true, .draining = 42, .bandwidth = 0}};

    open_db(f);
    give(f, &r);
    await(f, &r);
    assert_int_equal(r.op.error.code, XFER_OK);
    close_db(f);
    open_db(f);
    assert_true(f->state.paused);
    assert_int_equal(f->state.draining, 42);
    assert_int_equal(f->state.bandwidth, 0);
}

static void unfinished_jobs_are_loaded_by_position_then_the_last_finished(void **state)
{
    static const int64_t expected[] = {4, 1, 3, 7, 6};
    struct fixture *f = *state;
    struct queue_row *row;

    open_db(f);
    for (int64_t id = 1; id <= 4; id++)
        if (id != 2)
            insert(f, new_row(id));
    row = new_row(4);
    row->position = 0;
    update(f, row);
    insert(f, ended_row(2, 1, JOB_DONE));
    insert(f, ended_row(6, 3, JOB_FAILED));
    insert(f, ended_row(7, 2, JOB_DONE));
    close_db(f);
    f->recent = 2;
    open_db(f);
    assert_int_equal(f->n_loaded, 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(f->loaded[i]->id, expected[i]);
    assert_int_equal(f->state.last_id, 7);
    assert_int_equal(f->state.last_ended, 3);
    assert_int_equal(f->state.counts[JOB_DONE], 2);
    assert_int_equal(f->state.counts[JOB_FAILED], 1);
    assert_int_equal(f->state.counts[JOB_CANCELLED], 0);
}

static int refuse_row(void *user, struct queue_row *row)
{
    (void)user;
    queue_row_destroy(row);
    return -1;
}

static void a_load_that_fails_ends_the_opening(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;

    open_db(f);
    insert(f, new_row(1));
    close_db(f);
    assert_null(queue_db_open(f->loop, &f->options, 0, &f->state, refuse_row, NULL, &err));
    assert_int_equal(err.code, XFER_NO_RESOURCES);
    open_db(f);
}

/* ---- death ------------------------------------------------------------------------------------
 */

static void what_is_done_survives_a_kill(void **state)
{
    struct fixture *f = *state;
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        open_db(f);
        insert(f, new_row(1));
        insert(f, new_row(2));
        update(f, ended_row(1, 1, JOB_DONE));
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    open_db(f);
    assert_int_equal(f->n_loaded, 2);
    assert_int_equal(f->loaded[0]->id, 2);
    assert_int_equal(f->loaded[1]->id, 1);
    assert_int_equal(f->loaded[1]->state, JOB_DONE);
}

static void closing_records_what_was_given_and_gives_it_back(void **state)
{
    struct fixture *f = *state;
    struct request r[10] = {0};
    struct queue_op *op;

    open_db(f);
    for (int i = 0; i < 10; i++) {
        r[i].op.kind = i < 9 ? QUEUE_DB_INSERT : QUEUE_DB_UPDATE;
        r[i].op.lazy = i == 9;
        r[i].op.row = i < 9 ? new_row(i + 1) : ended_row(1, 1, JOB_DONE);
        give(f, &r[i]);
    }
    assert_int_equal(queue_db_pending(f->db), 10);
    op = queue_db_close(f->db, 60);
    for (int i = 0; i < 10; i++, op = op->next) {
        assert_ptr_equal(op, &r[i].op);
        assert_false(r[i].done);
        queue_row_destroy(op->row);
    }
    assert_null(op);
    open_db(f);
    assert_int_equal(f->n_loaded, 9);
    assert_int_equal(f->loaded[8]->state, JOB_DONE);
}

static void closing_leaves_no_log(void **state)
{
    struct fixture *f = *state;
    char path[160];

    open_db(f);
    insert(f, new_row(1));
    close_db(f);
    snprintf(path, sizeof path, "%s-wal", f->path);
    assert_int_not_equal(access(path, F_OK), 0);
}

/* ---- commits ----------------------------------------------------------------------------------
 */

static void operations_that_wait_together_share_a_commit(void **state)
{
    enum { N = 1000 };
    struct fixture *f = *state;
    struct request *r = calloc(N, sizeof *r), first = {.op.kind = QUEUE_DB_INSERT};
    int order = 0, before;

    open_db(f);
    before = atomic_load(&disk.log_syncs);
    pthread_mutex_lock(&disk.gate);
    first.op.row = new_row(N + 1);
    give(f, &first);
    for (int i = 0; i < N; i++) {
        r[i].op.kind = QUEUE_DB_INSERT;
        r[i].op.row = new_row(i + 1);
        r[i].order = &order;
        give(f, &r[i]);
    }
    assert_int_equal(queue_db_pending(f->db), N + 1);
    pthread_mutex_unlock(&disk.gate);
    for (int i = 0; i < N; i++) {
        await(f, &r[i]);
        assert_int_equal(r[i].op.error.code, XFER_OK);
        assert_int_equal(r[i].place, i + 1);
        queue_row_destroy(r[i].op.row);
    }
    assert_true(first.done);
    queue_row_destroy(first.op.row);
    /* the first's, the others', and one of the log's new header at most */
    assert_in_range(atomic_load(&disk.log_syncs) - before, 2, 4);
    assert_int_equal(queue_db_pending(f->db), 0);
    free(r);
}

static void a_lazy_update_goes_with_the_next_commit(void **state)
{
    struct fixture *f = *state;
    struct request lazy = {.op = {.kind = QUEUE_DB_UPDATE, .lazy = true}};
    int before;

    open_db(f);
    insert(f, new_row(1));
    before = atomic_load(&disk.log_syncs);
    lazy.op.row = ended_row(1, 1, JOB_DONE);
    give(f, &lazy);
    insert(f, new_row(2));
    assert_true(lazy.done);
    assert_int_equal(atomic_load(&disk.log_syncs) - before, 1);
    queue_row_destroy(lazy.op.row);
}

static void a_lazy_update_is_recorded_without_company_too(void **state)
{
    struct fixture *f = *state;
    struct request lazy = {.op = {.kind = QUEUE_DB_UPDATE, .lazy = true}};

    open_db(f);
    insert(f, new_row(1));
    lazy.op.row = ended_row(1, 1, JOB_DONE);
    give(f, &lazy);
    await(f, &lazy);
    assert_int_equal(lazy.op.error.code, XFER_OK);
    queue_row_destroy(lazy.op.row);
}

static void what_is_read_between_writes_is_what_was_given_before(void **state)
{
    struct fixture *f = *state;
    struct request r[5] = {{.op.kind = QUEUE_DB_INSERT},
                           {.op = {.kind = QUEUE_DB_FETCH, .id = 1}},
                           {.op.kind = QUEUE_DB_UPDATE},
                           {.op = {.kind = QUEUE_DB_LIST, .limit = 10, .state = -1}},
                           {.op.kind = QUEUE_DB_UPDATE}};

    open_db(f);
    r[0].op.row = new_row(1);
    r[2].op.row = ended_row(1, 1, JOB_FAILED);
    r[4].op.row = new_row(1);
    for (int i = 0; i < 5; i++)
        give(f, &r[i]);
    await(f, &r[4]);
    assert_non_null(r[1].op.row);
    assert_int_equal(r[1].op.row->state, JOB_QUEUED);
    assert_int_equal(r[3].op.n, 1);
    assert_int_equal(r[3].op.rows[0]->state, JOB_FAILED);
    assert_int_equal(count_finished(f), 0);
    queue_row_destroy(r[3].op.rows[0]);
    free(r[3].op.rows);
    for (int i = 0; i < 5; i++)
        queue_row_destroy(r[i].op.row);
}

static void an_operation_that_cannot_be_leaves_its_company_alone(void **state)
{
    struct fixture *f = *state;
    struct request r[4] = {{.op.kind = QUEUE_DB_INSERT},
                           {.op.kind = QUEUE_DB_INSERT},
                           {.op.kind = QUEUE_DB_INSERT},
                           {.op.kind = QUEUE_DB_INSERT}};

    open_db(f);
    r[0].op.row = new_row(1);
    r[1].op.row = new_row(1); /* the same number */
    r[2].op.row = new_row(2);
    r[2].op.row->priority = 101;
    r[3].op.row = new_row(3);
    for (int i = 0; i < 4; i++)
        give(f, &r[i]);
    await(f, &r[3]);
    assert_int_equal(r[0].op.error.code, XFER_OK);
    assert_int_equal(r[1].op.error.code, XFER_INTERNAL);
    assert_int_equal(r[2].op.error.code, XFER_INTERNAL);
    assert_non_null(strstr(r[2].op.error.text, "priority"));
    assert_int_equal(r[3].op.error.code, XFER_OK);
    for (int i = 0; i < 4; i++)
        queue_row_destroy(r[i].op.row);
    assert_true(is_there(f, 1));
    assert_false(is_there(f, 2));
    assert_true(is_there(f, 3));
}

/* ---- keys -------------------------------------------------------------------------------------
 */

static struct queue_row *keyed_row(int64_t id, uid_t owner, const char *key)
{
    struct queue_row *row = new_row(id);

    row->owner = owner;
    row->key = text_copy(key);
    return row;
}

static void a_key_that_was_used_gives_its_job(void **state)
{
    struct fixture *f = *state;
    struct request r = {.op.kind = QUEUE_DB_INSERT};
    struct queue_row *row = keyed_row(1, 5, "k");

    open_db(f);
    free(row->dest);
    row->dest = text_copy("first");
    insert(f, row);
    close_db(f);
    open_db(f);
    r.op.row = keyed_row(2, 5, "k");
    give(f, &r);
    await(f, &r);
    assert_int_equal(r.op.error.code, XFER_OK);
    assert_true(r.op.existing);
    assert_int_equal(r.op.row->id, 1);
    assert_string_equal(r.op.row->dest, "first");
    assert_false(is_there(f, 2));
    queue_row_destroy(r.op.row);
}

static void a_key_is_its_owners_alone(void **state)
{
    struct fixture *f = *state;

    open_db(f);
    insert(f, keyed_row(1, 5, "k"));
    insert(f, keyed_row(2, 6, "k"));
    insert(f, keyed_row(3, 5, "K"));
    assert_true(is_there(f, 2));
    assert_true(is_there(f, 3));
}

static void a_key_is_found_in_the_same_transaction(void **state)
{
    struct fixture *f = *state;
    struct request first = {.op.kind = QUEUE_DB_INSERT};
    struct request a = {.op.kind = QUEUE_DB_INSERT}, b = {.op.kind = QUEUE_DB_INSERT};

    open_db(f);
    first.op.row = new_row(3);
    a.op.row = keyed_row(1, 5, "k");
    b.op.row = keyed_row(2, 5, "k");
    pthread_mutex_lock(&disk.gate); /* while the first waits for the disk the others gather */
    give(f, &first);
    give(f, &a);
    give(f, &b);
    pthread_mutex_unlock(&disk.gate);
    await(f, &b);
    assert_true(first.done && a.done);
    queue_row_destroy(first.op.row);
    assert_false(a.op.existing);
    assert_true(b.op.existing);
    assert_int_equal(b.op.row->id, 1);
    assert_false(is_there(f, 2));
    queue_row_destroy(a.op.row);
    queue_row_destroy(b.op.row);
}

/* ---- lists ------------------------------------------------------------------------------------
 */

static void assert_list(struct fixture *f, struct queue_op op, const int64_t *ids, size_t n)
{
    struct request r = {.op = op};

    r.op.kind = QUEUE_DB_LIST;
    give(f, &r);
    await(f, &r);
    assert_int_equal(r.op.error.code, XFER_OK);
    assert_int_equal(r.op.n, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(r.op.rows[i]->id, ids[i]);
        queue_row_destroy(r.op.rows[i]);
    }
    free(r.op.rows);
}

#define ASSERT_LIST(f, ids, ...) \
    assert_list(f, (struct queue_op){__VA_ARGS__}, (const int64_t *)ids, sizeof(ids) / 8)

static void lists_are_in_order_and_as_narrow_as_asked_for(void **state)
{
    static const struct {
        enum job_state state;
        int64_t ended;
        uid_t owner;
    } jobs[] = {
        {JOB_DONE, 4, 1},   {JOB_FAILED, 1, 2},    {JOB_DONE, 3, 2},
        {JOB_QUEUED, 0, 1}, {JOB_CANCELLED, 2, 1}, {JOB_DONE, 5, 1},
    };
    static const int64_t all[] = {6, 1, 3, 5, 2}, two[] = {6, 1}, done[] = {6, 1, 3};
    static const int64_t ones[] = {6, 1, 5}, ones_done[] = {6, 1}, below5[] = {3, 2, 1};
    static const int64_t done_below6[] = {3, 1}, twos_below3[] = {2}, twos_done_below6[] = {3};
    struct fixture *f = *state;

    open_db(f);
    for (size_t i = 0; i < 6; i++) {
        struct queue_row *row = ended_row((int64_t)i + 1, jobs[i].ended, jobs[i].state);

        row->owner = jobs[i].owner;
        insert(f, row);
    }
    ASSERT_LIST(f, all, .state = -1, .limit = 100);
    ASSERT_LIST(f, two, .state = -1, .limit = 2);
    ASSERT_LIST(f, done, .state = JOB_DONE, .limit = 100);
    ASSERT_LIST(f, ones, .state = -1, .limit = 100, .by_owner = true, .owner = 1);
    ASSERT_LIST(f, ones_done, .state = JOB_DONE, .limit = 100, .by_owner = true, .owner = 1);
    ASSERT_LIST(f, below5, .state = -1, .limit = 100, .before = 5);
    ASSERT_LIST(f, done_below6, .state = JOB_DONE, .limit = 100, .before = 6);
    ASSERT_LIST(f, twos_below3, .state = -1, .limit = 100, .before = 3, .by_owner = true,
                .owner = 2);
    ASSERT_LIST(f, twos_done_below6, .state = JOB_DONE, .limit = 100, .before = 6, .by_owner = true,
                .owner = 2);
    assert_list(f, (struct queue_op){.state = -1, .limit = 0}, NULL, 0);
    assert_list(f, (struct queue_op){.state = JOB_QUEUED, .limit = 9}, NULL, 0);
}

static void what_is_not_there_is_fetched_as_nothing(void **state)
{
    struct fixture *f = *state;

    open_db(f);
    assert_null(fetch(f, 1));
    assert_null(fetch(f, INT64_MAX));
    assert_null(fetch(f, -1));
}

/* ---- history ----------------------------------------------------------------------------------
 */

static void the_oldest_ends_go_when_there_are_too_many(void **state)
{
    struct fixture *f = *state;
    int64_t counts[JOB_STATE_COUNT];

    f->options.keep_jobs = 3;
    open_db(f);
    insert(f, new_row(100));
    for (int64_t i = 1; i <= 10; i++) /* the higher the number, the earlier its end */
        insert(f, ended_row(i, 11 - i, i % 2 ? JOB_DONE : JOB_FAILED));
    await_finished(f, 3);
    assert_true(is_there(f, 1));
    assert_true(is_there(f, 3));
    assert_false(is_there(f, 4));
    assert_false(is_there(f, 10));
    assert_true(is_there(f, 100));
    assert_int_equal(queue_db_counts(f->db, counts), 8);
    assert_int_equal(counts[JOB_DONE], 2);
    assert_int_equal(counts[JOB_FAILED], 1);
}

static void more_than_a_slice_goes_too(void **state)
{
    enum { N = 1500 };
    struct fixture *f = *state;
    struct request *r = calloc(N, sizeof *r);

    open_db(f);
    for (int64_t i = 0; i < N; i++) {
        r[i].op.kind = QUEUE_DB_INSERT;
        r[i].op.row = ended_row(i + 1, i + 1, JOB_DONE);
        give(f, &r[i]);
    }
    for (int64_t i = 0; i < N; i++) {
        await(f, &r[i]);
        queue_row_destroy(r[i].op.row);
    }
    free(r);
    close_db(f);
    f->options.keep_jobs = 10;
    open_db(f);
    await_finished(f, 10);
    assert_false(is_there(f, N - 10));
    assert_true(is_there(f, N - 9));
}

static void old_ends_go_by_their_age(void **state)
{
    struct fixture *f = *state;
    struct queue_row *fresh = ended_row(3, 3, JOB_DONE);

    open_db(f);
    insert(f, ended_row(1, 1, JOB_DONE));
    fresh->finished_at = ev_time();
    fresh->ended = 2;
    insert(f, fresh);
    insert(f, ended_row(2, 3, JOB_DONE)); /* the clock was set back in between */
    close_db(f);
    f->options.keep_seconds = 3600;
    open_db(f);
    await_finished(f, 1);
    assert_true(is_there(f, 3));
}

static void a_job_that_ends_now_goes_when_its_time_has_come(void **state)
{
    struct fixture *f = *state;
    struct queue_row *fresh = ended_row(1, 1, JOB_DONE);

    f->options.keep_seconds = 0.2;
    open_db(f);
    fresh->finished_at = ev_time();
    insert(f, fresh);
    await_finished(f, 0);
    assert_false(is_there(f, 1));
}

static void numbers_are_never_given_twice(void **state)
{
    struct fixture *f = *state;

    f->options.keep_jobs = 0;
    open_db(f);
    insert(f, ended_row(8, 5, JOB_DONE));
    await_finished(f, 0);
    assert_false(is_there(f, 8));
    close_db(f);
    open_db(f);
    assert_int_equal(f->n_loaded, 0);
    assert_int_equal(f->state.last_id, 8);
    assert_int_equal(f->state.last_ended, 5);
}

static void the_number_of_an_end_is_not_forgotten_with_a_retry(void **state)
{
    struct fixture *f = *state;

    open_db(f);
    insert(f, ended_row(1, 5, JOB_FAILED));
    assert_int_equal(count_finished(f), 1);
    update(f, new_row(1));
    assert_int_equal(count_finished(f), 0);
    close_db(f);
    open_db(f);
    assert_int_equal(f->state.last_ended, 5);
    assert_int_equal(f->loaded[0]->state, JOB_QUEUED);
}

static void a_key_is_free_again_when_its_job_is_forgotten(void **state)
{
    struct fixture *f = *state;
    struct queue_row *row = ended_row(1, 1, JOB_DONE);

    f->options.keep_jobs = 0;
    open_db(f);
    row->key = text_copy("k");
    insert(f, row);
    await_finished(f, 0);
    insert(f, keyed_row(2, 1000, "k"));
    assert_true(is_there(f, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_database_is_private_and_empty),
        TEST(the_queue_id_stays_and_is_no_other_queues),
        TEST(every_member_of_a_row_is_kept),
        TEST(an_update_changes_every_member),
        TEST(no_groups_are_other_than_unknown_ones),
        TEST(an_update_of_a_job_that_is_not_there_fails),
        TEST(settings_are_kept),
        TEST(unfinished_jobs_are_loaded_by_position_then_the_last_finished),
        TEST(a_load_that_fails_ends_the_opening),
        TEST(what_is_done_survives_a_kill),
        TEST(closing_records_what_was_given_and_gives_it_back),
        TEST(closing_leaves_no_log),
        TEST(operations_that_wait_together_share_a_commit),
        TEST(a_lazy_update_goes_with_the_next_commit),
        TEST(a_lazy_update_is_recorded_without_company_too),
        TEST(what_is_read_between_writes_is_what_was_given_before),
        TEST(an_operation_that_cannot_be_leaves_its_company_alone),
        TEST(a_key_that_was_used_gives_its_job),
        TEST(a_key_is_its_owners_alone),
        TEST(a_key_is_found_in_the_same_transaction),
        TEST(lists_are_in_order_and_as_narrow_as_asked_for),
        TEST(what_is_not_there_is_fetched_as_nothing),
        TEST(the_oldest_ends_go_when_there_are_too_many),
        TEST(more_than_a_slice_goes_too),
        TEST(old_ends_go_by_their_age),
        TEST(a_job_that_ends_now_goes_when_its_time_has_come),
        TEST(numbers_are_never_given_twice),
        TEST(the_number_of_an_end_is_not_forgotten_with_a_retry),
        TEST(a_key_is_free_again_when_its_job_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
