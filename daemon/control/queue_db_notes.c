/* SPDX-License-Identifier: MIT
 *
 * What is noted of the entries of a job's tree: written in batches, read in pages, by the key (job,
 * kind, number). A job that is removed takes its notes along (a trigger). Runs on the queue's
 * thread.
 */
#include "daemon/control/queue_db_impl.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sqlite3.h>

_Static_assert(TREE_ERROR == 0 && TREE_WARNING == 1 && TREE_PLAN == 2 && TREE_SEND == 0 &&
                   TREE_REPLACE == 1 && TREE_MAKE == 2 && TREE_SET == 3 && TREE_KEEP == 4,
               "these are recorded by number");

void queue_notes_free(struct queue_note *notes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(notes[i].path);
        free(notes[i].text);
    }
    free(notes);
}

/* ---- writing ----------------------------------------------------------------------------------
 */

static int forget(struct database *d, int64_t job)
{
    sqlite3_bind_int64(d->statements[ST_FORGET_NOTES], 1, job);
    return database_step(d, ST_FORGET_NOTES);
}

static int add(struct database *d, int64_t job, const struct queue_note *note)
{
    sqlite3_stmt *st = d->statements[ST_ADD_NOTE];
    int rc;

    sqlite3_bind_int64(st, 1, job);
    sqlite3_bind_int64(st, 2, note->kind);
    sqlite3_bind_int64(st, 3, note->n);
    if (note->path[0] != '\0')
        sqlite3_bind_blob(st, 4, note->path, (int)strlen(note->path), SQLITE_STATIC);
    else
        sqlite3_bind_zeroblob(st, 4, 0);
    sqlite3_bind_text(st, 5, note->kind != TREE_PLAN ? error_info(note->code)->name : NULL, -1,
                      SQLITE_STATIC);
    sqlite3_bind_text(st, 6, error_side_name(note->side), -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 7, note->sys_errno);
    sqlite3_bind_text(st, 8, note->text, -1, SQLITE_STATIC); /* NULL as well */
    sqlite3_bind_int64(st, 9, note->action);
    sqlite3_bind_int64(st, 10, note->type);
    sqlite3_bind_int64(st, 11, note->size);
    rc = database_step(d, ST_ADD_NOTE);
    sqlite3_clear_bindings(st); /* the note may be freed */
    return rc;
}

int database_note(struct database *d, struct queue_op *op)
{
    int rc = op->clear ? forget(d, op->id) : SQLITE_OK;

    for (size_t i = 0; i < op->n_notes && rc == SQLITE_OK; i++)
        rc = add(d, op->id, &op->notes[i]);
    return rc;
}

/* ---- reading ----------------------------------------------------------------------------------
 */

static char *copy_of(sqlite3_stmt *st, int column)
{
    const char *bytes = sqlite3_column_blob(st, column);
    size_t n = (size_t)sqlite3_column_bytes(st, column);
    char *copy = malloc(n + 1);

    if (copy == NULL)
        return NULL;
    if (n > 0)
        memcpy(copy, bytes, n);
    copy[n] = '\0';
    return copy;
}

static int64_t bounded(sqlite3_stmt *st, int column, int64_t min, int64_t max)
{
    int64_t value = sqlite3_column_int64(st, column);

    return value < min ? min : value > max ? max : value;
}

/* Whatever stands there becomes a note that can be told: it concerns nothing but itself. */
static int read_note(sqlite3_stmt *st, struct queue_note *note)
{
    const char *code = (const char *)sqlite3_column_text(st, 3);
    const char *side = (const char *)sqlite3_column_text(st, 4);

    note->kind = (enum tree_note_kind)bounded(st, 0, TREE_ERROR, TREE_PLAN);
    note->n = bounded(st, 1, 0, XFER_JSON_INTEGER_MAX);
    note->code = code != NULL ? error_code_by_name(code) : XFER_OK;
    note->side = side != NULL ? error_side_by_name(side) : XFER_SIDE_NONE;
    note->sys_errno = (int)bounded(st, 5, 0, INT_MAX);
    note->action = (enum tree_action)bounded(st, 7, TREE_SEND, TREE_KEEP);
    note->type = (char)bounded(st, 8, 0, 'z');
    note->size = bounded(st, 9, 0, INT64_MAX);
    note->path = copy_of(st, 2);
    note->text = copy_of(st, 6);
    if (note->path == NULL || note->text == NULL)
        return SQLITE_NOMEM;
    error_clean(note->text);
    return SQLITE_OK;
}

static int read_kind(struct database *d, struct queue_op *op, int kind)
{
    sqlite3_stmt *st = d->statements[ST_NOTES];
    int rc;

    sqlite3_bind_int64(st, 1, op->id);
    sqlite3_bind_int64(st, 2, kind);
    sqlite3_bind_int64(st, 3, op->after);
    sqlite3_bind_int64(st, 4, op->limit);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        rc = read_note(st, &op->notes[op->n_notes++]);
        if (rc != SQLITE_OK)
            break;
    }
    sqlite3_reset(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int lowest_first(const void *a, const void *b)
{
    int64_t x = ((const struct queue_note *)a)->n, y = ((const struct queue_note *)b)->n;

    return x < y ? -1 : x > y;
}

/* Each kind is in order by itself. */
static void merge(struct queue_op *op)
{
    if (op->n_notes > 1)
        qsort(op->notes, op->n_notes, sizeof *op->notes, lowest_first);
    while ((int64_t)op->n_notes > op->limit) {
        struct queue_note *last = &op->notes[--op->n_notes];

        free(last->path);
        free(last->text);
    }
}

int database_notes(struct database *d, struct queue_op *op)
{
    size_t kinds = 0;
    int rc = SQLITE_OK;

    for (int kind = 0; kind <= TREE_PLAN; kind++)
        kinds += op->kinds[kind];
    if (op->limit < 0 || op->limit > XFER_NOTES_PAGE + 1) {
        error_set(&op->error, XFER_INTERNAL, "a page of %lld notes", (long long)op->limit);
        return SQLITE_OK;
    }
    op->notes = calloc(kinds * (size_t)op->limit + 1, sizeof *op->notes);
    if (op->notes == NULL)
        return SQLITE_NOMEM;
    for (int kind = 0; kind <= TREE_PLAN && rc == SQLITE_OK; kind++)
        if (op->kinds[kind])
            rc = read_kind(d, op, kind);
    if (rc == SQLITE_OK && !op->each)
        merge(op);
    return rc;
}
