/* SPDX-License-Identifier: MIT
 *
 * Commits that fail: what was asked for fails and does not come back, what has happened is recorded
 * when that is possible again.
 *
 * "The machine goes down" is a copy of the files as they are: what a next opening would find.
 */
#include "tests/unit/queue_db_fixture.h"

#include <fcntl.h>

static void copy_file(const char *from, const char *to)
{
    char bytes[65536];
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t n;

    assert_true(in >= 0 && out >= 0);
    while ((n = read(in, bytes, sizeof bytes)) > 0)
        assert_int_equal(write(out, bytes, (size_t)n), n);
    close(in);
    close(out);
}

/* Open what would be found if the machine went down now, in place of the one that is open. */
static void crash(struct fixture *f)
{
    char log[160], copy[128], copy_log[160];

    snprintf(log, sizeof log, "%s-wal", f->path);
    snprintf(copy, sizeof copy, "%s/copy.db", f->dir);
    snprintf(copy_log, sizeof copy_log, "%s-wal", copy);
    copy_file(f->path, copy);
    copy_file(log, copy_log);
    disk_heal();
    close_db(f);
    snprintf(f->path, sizeof f->path, "%s", copy);
    open_db(f);
}

/* Frames in the log, so that there is something to be lost. */
static void insert_some(struct fixture *f, int64_t first, int64_t n)
{
    for (int64_t id = first; id < first + n; id++)
        insert(f, new_row(id));
}

static void a_submission_fails_when_the_disk_is_full(void **state)
{
    struct fixture *f = *state;
    struct request r = {.op = {.kind = QUEUE_DB_INSERT}};

    open_db(f);
    insert_some(f, 1, 3);
    atomic_store(&disk.fail_writes, 1);
    r.op.row = new_row(4);
    give(f, &r);
    await(f, &r);
    assert_int_equal(r.op.error.code, XFER_NO_SPACE);
    assert_int_equal(r.op.error.side, XFER_SIDE_DAEMON);
    assert_non_null(strstr(r.op.error.text, f->path));
    queue_row_destroy(r.op.row);
    crash(f);
    assert_int_equal(f->n_loaded, 3);
}

static void a_setting_fails_when_the_disk_is_full(void **state)
{
    struct fixture *f = *state;
    struct request r = {.op = {.kind = QUEUE_DB_SETTINGS, .paused = true}};

    open_db(f);
    insert_some(f, 1, 3);
    atomic_store(&disk.fail_writes, 1);
    give(f, &r);
    await(f, &r);
    assert_int_equal(r.op.error.code, XFER_NO_SPACE);
    crash(f);
    assert_false(f->state.paused);
}

static void a_submission_that_failed_at_the_last_moment_does_not_come_back(void **state)
{
    struct fixture *f = *state;

    open_db(f);
    insert_some(f, 1, 3);
    atomic_store(&disk.fail_syncs, 1);
    assert_int_equal(record(f, QUEUE_DB_INSERT, new_row(4)), XFER_IO);
    crash(f);
    assert_int_equal(f->n_loaded, 3);
}

static void nor_does_the_first_one(void **state)
{
    struct fixture *f = *state;

    open_db(f);
    insert_some(f, 1, 3);
    close_db(f);
    open_db(f);                        /* with an empty log */
    atomic_store(&disk.pass_syncs, 1); /* its header */
    atomic_store(&disk.fail_syncs, 1);
    assert_int_equal(record(f, QUEUE_DB_INSERT, new_row(4)), XFER_IO);
    crash(f);
    assert_int_equal(f->n_loaded, 3);
}

static void nor_one_that_failed_after_a_checkpoint(void **state)
{
    enum { N = 1500 };
    struct fixture *f = *state;
    struct request *r = calloc(N, sizeof *r);
    int before;

    open_db(f);
    before = atomic_load(&disk.main_syncs);
    pthread_mutex_lock(&disk.gate); /* all but the first in one commit: one checkpoint after it */
    for (int64_t i = 0; i < N; i++) {
        struct queue_row *row = new_row(i + 1);

        row->error_code = XFER_IO;
        row->error_path = malloc(4000); /* a page each */
        assert_non_null(row->error_path);
        memset(row->error_path, 'x', 3999);
        row->error_path[3999] = '\0';
        r[i].op.kind = QUEUE_DB_INSERT;
        r[i].op.row = row;
        give(f, &r[i]);
    }
    pthread_mutex_unlock(&disk.gate);
    for (int64_t i = 0; i < N; i++) {
        await(f, &r[i]);
        assert_int_equal(r[i].op.error.code, XFER_OK);
        queue_row_destroy(r[i].op.row);
    }
    free(r);
    while (atomic_load(&disk.main_syncs) == before)
        usleep(1000);
    assert_true(is_there(f, 1)); /* the checkpoint is over: operations are carried out again */
    atomic_store(&disk.pass_syncs, 1);
    atomic_store(&disk.fail_syncs, 1);
    assert_int_equal(record(f, QUEUE_DB_INSERT, new_row(N + 1)), XFER_IO);
    assert_true(is_there(f, N));
    crash(f);
    assert_int_equal(f->n_loaded, N);
}

static void nor_one_that_could_not_be_taken_out_at_first(void **state)
{
    struct fixture *f = *state;

    open_db(f);
    insert_some(f, 1, 3);
    atomic_store(&disk.fail_syncs, 1);
    atomic_store(&disk.fail_truncates, 1);
    assert_int_equal(record(f, QUEUE_DB_INSERT, new_row(4)), XFER_IO);
    atomic_store(&disk.fail_writes, 1);
    assert_int_equal(record(f, QUEUE_DB_INSERT, new_row(5)), XFER_NO_SPACE);
    crash(f);
    assert_int_equal(f->n_loaded, 3);
}

static void an_end_is_recorded_when_the_disk_is_well_again(void **state)
{
    struct fixture *f = *state;
    struct request end = {.op = {.kind = QUEUE_DB_UPDATE}};
    struct queue_row *row;

    open_db(f);
    insert_some(f, 1, 3);
    atomic_store(&disk.fail_writes, 3);
    end.op.row = ended_row(1, 1, JOB_DONE);
    give(f, &end);
    await(f, &end);
    assert_int_equal(end.op.error.code, XFER_OK);
    assert_int_equal(atomic_load(&disk.fail_writes), 0);
    queue_row_destroy(end.op.row);
    row = fetch(f, 1);
    assert_int_equal(row->state, JOB_DONE);
    queue_row_destroy(row);
    crash(f);
    assert_int_equal(f->state.counts[JOB_DONE], 1);
}

static void an_end_goes_in_front_of_the_next_submission(void **state)
{
    struct fixture *f = *state;
    struct request end = {.op = {.kind = QUEUE_DB_UPDATE}};
    int order = 0;
    struct request next = {.op = {.kind = QUEUE_DB_INSERT}};

    open_db(f);
    insert_some(f, 1, 2);
    atomic_store(&disk.fail_writes, 1000000);
    end.op.row = ended_row(1, 1, JOB_DONE);
    end.order = next.order = &order;
    give(f, &end);
    assert_int_equal(record(f, QUEUE_DB_INSERT, new_row(3)), XFER_NO_SPACE);
    assert_false(end.done);
    assert_int_equal(queue_db_pending(f->db), 1);
    disk_heal();
    next.op.row = new_row(4);
    give(f, &next);
    await(f, &next);
    assert_true(end.done);
    assert_int_equal(end.place, 1);
    assert_int_equal(next.op.error.code, XFER_OK);
    queue_row_destroy(end.op.row);
    queue_row_destroy(next.op.row);
    assert_false(is_there(f, 3));
    assert_true(is_there(f, 4));
}

static void what_is_recorded_can_be_read_while_the_disk_is_full(void **state)
{
    struct fixture *f = *state;
    struct request end = {.op = {.kind = QUEUE_DB_UPDATE}};
    struct request list = {.op = {.kind = QUEUE_DB_LIST, .limit = 5, .state = -1}};
    struct queue_row *row;

    open_db(f);
    insert_some(f, 1, 2);
    insert(f, ended_row(3, 1, JOB_FAILED));
    atomic_store(&disk.fail_writes, 1000000);
    end.op.row = ended_row(1, 2, JOB_DONE);
    give(f, &end);
    give(f, &list);
    await(f, &list);
    assert_int_equal(list.op.error.code, XFER_OK);
    assert_int_equal(list.op.n, 1);
    assert_int_equal(list.op.rows[0]->id, 3);
    queue_row_destroy(list.op.rows[0]);
    free(list.op.rows);
    row = fetch(f, 1);
    assert_int_equal(row->state, JOB_QUEUED);
    queue_row_destroy(row);
    assert_false(end.done);
    assert_int_equal(count_finished(f), 1);
    disk_heal();
    await(f, &end);
    queue_row_destroy(end.op.row);
    assert_int_equal(count_finished(f), 2);
}

static void a_key_whose_submission_failed_is_free(void **state)
{
    struct fixture *f = *state;
    struct queue_row *a = new_row(4), *b = new_row(5);

    open_db(f);
    insert_some(f, 1, 3);
    a->key = text_copy("k");
    b->key = text_copy("k");
    atomic_store(&disk.fail_syncs, 1);
    assert_int_equal(record(f, QUEUE_DB_INSERT, a), XFER_IO);
    insert(f, b);
    assert_false(is_there(f, 4));
    assert_true(is_there(f, 5));
}

/* An INSERT that has found its key in a transaction that fails is what it was before. */
static void a_job_found_in_vain_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct request end = {.op = {.kind = QUEUE_DB_UPDATE}}, r = {.op = {.kind = QUEUE_DB_INSERT}};
    struct queue_row *first = new_row(1);

    open_db(f);
    first->key = text_copy("k");
    insert(f, first);
    insert(f, new_row(2));
    atomic_store(&disk.fail_writes, 1000000);
    end.op.row = ended_row(2, 1, JOB_DONE);
    r.op.row = new_row(3);
    r.op.row->key = text_copy("k");
    give(f, &end);
    give(f, &r);
    await(f, &r);
    assert_int_equal(r.op.error.code, XFER_NO_SPACE);
    assert_false(r.op.existing);
    assert_int_equal(r.op.row->id, 3);
    assert_null(r.op.found);
    disk_heal();
    await(f, &end);
    queue_row_destroy(r.op.row);
    queue_row_destroy(end.op.row);
}

static void closing_tells_what_could_not_be_recorded(void **state)
{
    struct fixture *f = *state;
    struct request end = {.op = {.kind = QUEUE_DB_UPDATE}};
    struct queue_op *op;

    open_db(f);
    insert_some(f, 1, 2);
    atomic_store(&disk.fail_writes, 1000000);
    end.op.row = ended_row(1, 1, JOB_DONE);
    give(f, &end);
    op = queue_db_close(f->db, 2);
    f->db = NULL;
    assert_ptr_equal(op, &end.op);
    assert_null(op->next);
    assert_int_not_equal(op->error.code, XFER_OK);
    queue_row_destroy(op->row);
    disk_heal();
    open_db(f);
    assert_int_equal(f->n_loaded, 2);
}

static void closing_tries_again_what_has_happened(void **state)
{
    struct fixture *f = *state;
    struct request end = {.op = {.kind = QUEUE_DB_UPDATE}};
    struct queue_op *op;

    open_db(f);
    insert_some(f, 1, 2);
    atomic_store(&disk.fail_writes, 2);
    end.op.row = ended_row(1, 1, JOB_DONE);
    give(f, &end);
    op = queue_db_close(f->db, 60);
    f->db = NULL;
    assert_ptr_equal(op, &end.op);
    assert_int_equal(op->error.code, XFER_OK);
    queue_row_destroy(op->row);
    open_db(f);
    assert_int_equal(f->state.counts[JOB_DONE], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_submission_fails_when_the_disk_is_full),
        TEST(a_setting_fails_when_the_disk_is_full),
        TEST(a_submission_that_failed_at_the_last_moment_does_not_come_back),
        TEST(nor_does_the_first_one),
        TEST(nor_one_that_failed_after_a_checkpoint),
        TEST(nor_one_that_could_not_be_taken_out_at_first),
        TEST(an_end_is_recorded_when_the_disk_is_well_again),
        TEST(an_end_goes_in_front_of_the_next_submission),
        TEST(what_is_recorded_can_be_read_while_the_disk_is_full),
        TEST(a_key_whose_submission_failed_is_free),
        TEST(a_job_found_in_vain_changes_nothing),
        TEST(closing_tells_what_could_not_be_recorded),
        TEST(closing_tries_again_what_has_happened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
