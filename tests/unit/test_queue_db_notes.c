/* SPDX-License-Identifier: MIT
 *
 * What is noted of the entries of a job, on disk: kept, read in pages, and gone with its job.
 */
#include "tests/unit/queue_db_fixture.h"

#include <sqlite3.h>

static struct queue_note make_note(int64_t n, enum tree_note_kind kind, const char *path)
{
    return (struct queue_note){.n = n,
                               .kind = kind,
                               .path = text_copy(path),
                               .code = kind == TREE_PLAN ? XFER_OK : XFER_NO_SUCH_FILE,
                               .side = kind == TREE_PLAN ? XFER_SIDE_NONE : XFER_SIDE_SENDER,
                               .sys_errno = kind == TREE_PLAN ? 0 : 2,
                               .text = kind == TREE_PLAN ? NULL : text_copy("gone"),
                               .action = TREE_KEEP,
                               .type = 'f',
                               .size = 17};
}

/* n notes of that kind, numbered from first on. */
static struct request noting(int64_t job, bool clear, int64_t first, size_t n,
                             enum tree_note_kind kind)
{
    struct request r = {.op = {.kind = QUEUE_DB_NOTE, .id = job, .clear = clear}};
    char path[32];

    r.op.notes = calloc(n + 1, sizeof *r.op.notes);
    for (; r.op.n_notes < n; r.op.n_notes++) {
        snprintf(path, sizeof path, "p%d", (int)(first + (int64_t)r.op.n_notes));
        r.op.notes[r.op.n_notes] = make_note(first + (int64_t)r.op.n_notes, kind, path);
    }
    return r;
}

static enum xfer_code finish(struct fixture *f, struct request *r)
{
    await(f, r);
    queue_notes_free(r->op.notes, r->op.n_notes);
    return r->op.error.code;
}

static void write_notes(struct fixture *f, int64_t job, int64_t first, size_t n,
                        enum tree_note_kind kind)
{
    struct request r = noting(job, false, first, n, kind);

    give(f, &r);
    assert_int_equal(finish(f, &r), XFER_OK);
}

static struct request reading(int64_t job, bool plan, int64_t after, int64_t limit)
{
    struct request r = {.op = {.kind = QUEUE_DB_NOTES, .id = job, .after = after, .limit = limit}};

    r.op.kinds[TREE_PLAN] = plan;
    r.op.kinds[TREE_ERROR] = r.op.kinds[TREE_WARNING] = !plan;
    return r;
}

/* The notes have these numbers, up to one that is 0. */
static void assert_numbers(struct fixture *f, struct request r, const int64_t *numbers)
{
    size_t n = 0;

    give(f, &r);
    await(f, &r);
    assert_int_equal(r.op.error.code, XFER_OK);
    for (; numbers[n] != 0; n++) {
        assert_true(n < r.op.n_notes);
        assert_int_equal(r.op.notes[n].n, numbers[n]);
    }
    assert_int_equal(r.op.n_notes, n);
    queue_notes_free(r.op.notes, r.op.n_notes);
}

#define NUMBERS(...) ((const int64_t[]){__VA_ARGS__, 0})
#define NOTHING      ((const int64_t[]){0})

static int64_t count_rows(struct fixture *f)
{
    sqlite3_stmt *st;
    sqlite3 *db;

    assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READWRITE, disk.real->zName),
                     SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM job_notes", -1, &st, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return n;
}

static void every_member_of_a_note_is_kept(void **state)
{
    struct fixture *f = *state;
    struct request r = {.op = {.kind = QUEUE_DB_NOTE, .id = 1}}, back = reading(1, false, 0, 10);
    const struct queue_note *note;

    open_db(f);
    insert(f, new_row(1));
    r.op.notes = calloc(3, sizeof *r.op.notes);
    r.op.notes[0] = make_note(1, TREE_ERROR, "");
    r.op.notes[1] = make_note(2, TREE_WARNING, "a/\xff\n");
    r.op.notes[1].code = XFER_NOT_REGULAR;
    r.op.notes[1].side = XFER_SIDE_RECEIVER;
    r.op.notes[1].sys_errno = 0;
    r.op.notes[2] = make_note(3, TREE_PLAN, "b");
    r.op.notes[2].action = TREE_MAKE;
    r.op.notes[2].type = 'd';
    r.op.notes[2].size = INT64_MAX;
    r.op.n_notes = 3;
    give(f, &r);
    assert_int_equal(finish(f, &r), XFER_OK);
    close_db(f);
    open_db(f);

    give(f, &back);
    await(f, &back);
    assert_int_equal(back.op.n_notes, 2);
    note = &back.op.notes[0];
    assert_int_equal(note->kind, TREE_ERROR);
    assert_int_equal(note->n, 1);
    assert_string_equal(note->path, "");
    assert_int_equal(note->code, XFER_NO_SUCH_FILE);
    assert_int_equal(note->side, XFER_SIDE_SENDER);
    assert_int_equal(note->sys_errno, 2);
    assert_string_equal(note->text, "gone");
    note = &back.op.notes[1];
    assert_int_equal(note->kind, TREE_WARNING);
    assert_string_equal(note->path, "a/\xff\n");
    assert_int_equal(note->code, XFER_NOT_REGULAR);
    assert_int_equal(note->side, XFER_SIDE_RECEIVER);
    queue_notes_free(back.op.notes, back.op.n_notes);

    back = reading(1, true, 0, 10);
    give(f, &back);
    await(f, &back);
    assert_int_equal(back.op.n_notes, 1);
    note = &back.op.notes[0];
    assert_int_equal(note->kind, TREE_PLAN);
    assert_int_equal(note->action, TREE_MAKE);
    assert_int_equal(note->type, 'd');
    assert_int_equal(note->size, INT64_MAX);
    assert_string_equal(note->path, "b");
    queue_notes_free(back.op.notes, back.op.n_notes);
}

static void pages_go_on_where_the_last_one_ended(void **state)
{
    struct fixture *f = *state;

    open_db(f);
    insert(f, new_row(1));
    insert(f, new_row(2));
    write_notes(f, 1, 1, 2, TREE_ERROR);
    write_notes(f, 1, 3, 1, TREE_WARNING);
    write_notes(f, 1, 4, 1, TREE_PLAN);
    write_notes(f, 1, 5, 1, TREE_ERROR);
    write_notes(f, 1, 6, 1, TREE_WARNING);
    write_notes(f, 2, 1, 1, TREE_ERROR);
    assert_numbers(f, reading(1, false, 0, 10), NUMBERS(1, 2, 3, 5, 6));
    assert_numbers(f, reading(1, false, 0, 3), NUMBERS(1, 2, 3));
    assert_numbers(f, reading(1, false, 3, 3), NUMBERS(5, 6));
    assert_numbers(f, reading(1, false, 2, 1), NUMBERS(3));
    assert_numbers(f, reading(1, false, 6, 3), NOTHING);
    assert_numbers(f, reading(1, false, 0, 0), NOTHING);
    assert_numbers(f, reading(1, true, 0, 10), NUMBERS(4));
    assert_numbers(f, reading(2, false, 0, 10), NUMBERS(1));
    assert_numbers(f, reading(3, false, 0, 10), NOTHING);
}

static void the_first_of_each_kind_can_be_read(void **state)
{
    struct fixture *f = *state;
    struct request r = reading(1, false, 0, 2);

    open_db(f);
    insert(f, new_row(1));
    write_notes(f, 1, 1, 5, TREE_ERROR);
    write_notes(f, 1, 6, 3, TREE_WARNING);
    r.op.each = true;
    assert_numbers(f, r, NUMBERS(1, 2, 6, 7));
}

static void notes_of_an_attempt_replace_those_of_the_last_one(void **state)
{
    struct fixture *f = *state;
    struct request r = noting(1, true, 1, 2, TREE_WARNING);

    open_db(f);
    insert(f, new_row(1));
    insert(f, new_row(2));
    write_notes(f, 1, 1, 5, TREE_ERROR);
    write_notes(f, 1, 6, 1, TREE_PLAN);
    write_notes(f, 2, 1, 1, TREE_ERROR);
    give(f, &r);
    assert_int_equal(finish(f, &r), XFER_OK);
    assert_numbers(f, reading(1, false, 0, 10), NUMBERS(1, 2));
    assert_numbers(f, reading(1, true, 0, 10), NOTHING);
    assert_numbers(f, reading(2, false, 0, 10), NUMBERS(1));
}

static void notes_go_with_their_job(void **state)
{
    struct fixture *f = *state;

    open_db(f);
    for (int64_t id = 1; id <= 4; id++) {
        insert(f, new_row(id));
        write_notes(f, id, 1, 3, id % 2 ? TREE_ERROR : TREE_PLAN);
        update(f, ended_row(id, id, JOB_FAILED));
    }
    queue_db_keep(f->db, 1, -1);
    await_finished(f, 1);
    assert_numbers(f, reading(1, false, 0, 10), NOTHING);
    assert_numbers(f, reading(4, true, 0, 10), NUMBERS(1, 2, 3));
    close_db(f);
    assert_int_equal(count_rows(f), 3);
}

static void notes_are_read_after_what_was_written_before(void **state)
{
    struct fixture *f = *state;
    struct request w = noting(1, false, 1, 3, TREE_ERROR);

    open_db(f);
    insert(f, new_row(1));
    w.op.lazy = true;
    give(f, &w);
    assert_numbers(f, reading(1, false, 0, 10), NUMBERS(1, 2, 3));
    assert_int_equal(finish(f, &w), XFER_OK);
}

static void a_page_that_is_too_large_is_refused(void **state)
{
    struct fixture *f = *state;
    struct request r = reading(1, false, 0, XFER_NOTES_PAGE + 2);

    open_db(f);
    give(f, &r);
    await(f, &r);
    assert_int_equal(r.op.error.code, XFER_INTERNAL);
}

/* ---- a disk that fails ------------------------------------------------------------------------
 */

static void notes_survive_a_short_failure_and_come_before_the_end(void **state)
{
    struct fixture *f = *state;
    struct request w = noting(1, false, 1, 3, TREE_ERROR);

    open_db(f);
    insert(f, new_row(1));
    atomic_store(&disk.fail_writes, 2);
    give(f, &w);
    update(f, ended_row(1, 1, JOB_FAILED));
    assert_true(w.done);
    assert_int_equal(finish(f, &w), XFER_OK);
    assert_numbers(f, reading(1, false, 0, 10), NUMBERS(1, 2, 3));
}

static void notes_are_given_up_rather_than_the_end_of_their_job(void **state)
{
    struct fixture *f = *state;
    struct request w = noting(1, false, 1, 3, TREE_ERROR);

    open_db(f);
    insert(f, new_row(1));
    atomic_store(&disk.fail_writes, 1000000);
    give(f, &w);
    assert_int_not_equal(finish(f, &w), XFER_OK);
    disk_heal();
    update(f, ended_row(1, 1, JOB_FAILED));
    assert_numbers(f, reading(1, false, 0, 10), NOTHING);
}

static void that_older_notes_go_is_not_given_up(void **state)
{
    struct fixture *f = *state;
    struct request w = noting(1, true, 1, 3, TREE_ERROR),
                   other = noting(2, false, 1, 1, TREE_ERROR);

    open_db(f);
    insert(f, new_row(1));
    write_notes(f, 1, 7, 1, TREE_ERROR);
    atomic_store(&disk.fail_writes, 1000000);
    give(f, &w);
    give(f, &other);
    assert_int_not_equal(finish(f, &other), XFER_OK);
    assert_false(w.done);
    disk_heal();
    assert_int_equal(finish(f, &w), XFER_OK);
    assert_numbers(f, reading(1, false, 0, 10), NOTHING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_member_of_a_note_is_kept),
        TEST(pages_go_on_where_the_last_one_ended),
        TEST(the_first_of_each_kind_can_be_read),
        TEST(notes_of_an_attempt_replace_those_of_the_last_one),
        TEST(notes_go_with_their_job),
        TEST(notes_are_read_after_what_was_written_before),
        TEST(a_page_that_is_too_large_is_refused),
        TEST(notes_survive_a_short_failure_and_come_before_the_end),
        TEST(notes_are_given_up_rather_than_the_end_of_their_job),
        TEST(that_older_notes_go_is_not_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
