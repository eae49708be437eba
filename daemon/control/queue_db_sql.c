/* SPDX-License-Identifier: MIT
 *
 * The statements, and the operations made of them. All are prepared once and used again; the
 * INDEXED BY make it an error at the start when one could not use the index that was made for it.
 *
 * Each operation writes with one statement, and a statement that fails by itself (a constraint)
 * leaves nothing behind, so one bad operation needs no savepoint to leave the others of its
 * transaction alone.
 */
#include "daemon/control/queue_db_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sqlite3.h>

#define COLUMNS                                                                                   \
    "id, position, state, ended, owner, priority, overwrite, sync, retries, source, dest, key, "  \
    "attempts, failures, not_before, submitted_at, started_at, finished_at, bytes_total, "        \
    "bytes_done, bytes_resumed, digest, error, error_side, error_errno, error_text, error_path, " \
    "gid, groups, bandwidth, handle, handle_dev, handle_ino, stored, preserve, filter, flags, "   \
    "list, tree, "                                                                                \
    "files_total, files_done, files_failed, files_skipped, errors, warnings"

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

/* the first that ended, so many that looking at them costs nothing */
#define FIRST_ENDS                                                    \
    "(SELECT id, ended, finished_at FROM jobs INDEXED BY jobs_ended " \
    "WHERE ended > 0 ORDER BY ended LIMIT " TEXT(QUEUE_DB_PRUNE_SLICE) ")"

const char queue_row_columns[] = COLUMNS;

static const char *const texts[ST_COUNT] = {
    [ST_BEGIN] = "BEGIN IMMEDIATE",
    [ST_COMMIT] = "COMMIT",
    [ST_ROLLBACK] = "ROLLBACK",
    [ST_INSERT] = "INSERT INTO jobs (" COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, "
                  "?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, "
                  "?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, "
                  "?43, ?44, ?45)",
    [ST_UPDATE] =
        "UPDATE jobs SET position = ?2, state = ?3, ended = ?4, owner = ?5, priority = ?6, "
        "overwrite = ?7, sync = ?8, retries = ?9, source = ?10, dest = ?11, key = ?12, "
        "attempts = ?13, failures = ?14, not_before = ?15, submitted_at = ?16, started_at = ?17, "
        "finished_at = ?18, bytes_total = ?19, bytes_done = ?20, bytes_resumed = ?21, "
        "digest = ?22, error = ?23, error_side = ?24, error_errno = ?25, error_text = ?26, "
        "error_path = ?27, gid = ?28, groups = ?29, bandwidth = ?30, handle = ?31, "
        "handle_dev = ?32, handle_ino = ?33, stored = ?34, preserve = ?35, filter = ?36, "
        "flags = ?37, list = ?38, tree = ?39, files_total = ?40, files_done = ?41, "
        "files_failed = ?42, files_skipped = ?43, errors = ?44, warnings = ?45 WHERE id = ?1",
    [ST_FETCH] = "SELECT " COLUMNS " FROM jobs WHERE id = ?1",
    [ST_FIND_KEY] = "SELECT id FROM jobs INDEXED BY jobs_key WHERE owner = ?1 AND key = ?2",
    [ST_FIND_STATE] = "SELECT state, ended FROM jobs WHERE id = ?1",
    [ST_SET] = "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)",
    [ST_LIST_BY_END] = "SELECT id, ended FROM jobs INDEXED BY jobs_state_ended "
                       "WHERE ended > 0 AND state = ?1 ORDER BY ended DESC LIMIT ?2",
    [ST_LIST_BY_END_OWNER] =
        "SELECT id, ended FROM jobs INDEXED BY jobs_owner_ended "
        "WHERE ended > 0 AND state = ?1 AND owner = ?4 ORDER BY ended DESC LIMIT ?2",
    [ST_LIST_BY_ID] = "SELECT id, id FROM jobs INDEXED BY jobs_state "
                      "WHERE ended > 0 AND state = ?1 AND id < ?3 ORDER BY id DESC LIMIT ?2",
    [ST_LIST_BY_ID_OWNER] =
        "SELECT id, id FROM jobs INDEXED BY jobs_owner "
        "WHERE ended > 0 AND state = ?1 AND owner = ?4 AND id < ?3 ORDER BY id DESC LIMIT ?2",
    [ST_OLDEST] = "SELECT min(ended), min(finished_at) FROM " FIRST_ENDS,
    [ST_PRUNE_NUMBER] = "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs INDEXED BY jobs_ended "
                        "WHERE ended > 0 ORDER BY ended LIMIT ?1) RETURNING state",
    [ST_PRUNE_AGE] = "DELETE FROM jobs WHERE id IN (SELECT id FROM " FIRST_ENDS
                     " WHERE finished_at < ?1) RETURNING state",
    [ST_FORGET_NOTES] = "DELETE FROM job_notes WHERE job = ?1",
    [ST_ADD_NOTE] = "INSERT OR REPLACE INTO job_notes (job, kind, n, path, error, error_side, "
                    "error_errno, error_text, action, type, size) VALUES (?1, ?2, ?3, ?4, ?5, ?6, "
                    "?7, ?8, ?9, ?10, ?11)",
    [ST_NOTES] = "SELECT kind, n, path, error, error_side, error_errno, error_text, action, type, "
                 "size FROM job_notes WHERE job = ?1 AND kind = ?2 AND n > ?3 ORDER BY n LIMIT ?4",
};

int database_prepare(struct database *d)
{
    for (int i = 0; i < ST_COUNT; i++) {
        int rc = sqlite3_prepare_v3(d->sql, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                    &d->statements[i], NULL);
        if (rc != SQLITE_OK)
            return rc;
    }
    return SQLITE_OK;
}

/* ---- transactions -----------------------------------------------------------------------------
 */

int database_step(struct database *d, enum statement which)
{
    sqlite3_stmt *st = d->statements[which];
    int rc;

    errno = 0;
    do
        rc = sqlite3_step(st);
    while (rc == SQLITE_ROW);
    d->step_errno = rc != SQLITE_DONE ? errno : 0;
    sqlite3_reset(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int database_begin(struct database *d)
{
    if (d->wal_unclean)
        wal_clean(d);
    return database_step(d, ST_BEGIN);
}

int database_commit(struct database *d)
{
    int rc = database_step(d, ST_COMMIT);

    if (rc != SQLITE_OK)
        return rc;
    wal_committed(d);
    d->committed = d->tally;
    return SQLITE_OK;
}

void database_rollback(struct database *d)
{
    /* some errors have done it already */
    if (!sqlite3_get_autocommit(d->sql))
        database_step(d, ST_ROLLBACK);
    d->tally = d->committed;
    wal_clean(d);
}

int database_set(struct database *d, const char *name, int64_t value)
{
    sqlite3_stmt *st = d->statements[ST_SET];

    sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 2, value);
    return database_step(d, ST_SET);
}

/* ---- operations -------------------------------------------------------------------------------
 */

static bool concerns_it_alone(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_RANGE:
        return true;
    default:
        return false;
    }
}

/* A write of one row. */
static int write_row(struct database *d, enum statement which, struct queue_op *op)
{
    sqlite3_stmt *st = d->statements[which];
    int rc = queue_row_bind(st, op->row);

    if (rc == SQLITE_OK)
        rc = database_step(d, which);
    if (concerns_it_alone(rc)) {
        error_set(&op->error, XFER_INTERNAL, "job %lld cannot be recorded: %s",
                  (long long)op->row->id, sqlite3_errmsg(d->sql));
        rc = SQLITE_OK;
    }
    sqlite3_clear_bindings(st); /* the row may be freed */
    return rc;
}

static bool refuse_bad_row(struct queue_op *op)
{
    const char *fault = queue_row_fault(op->row);

    if (fault == NULL)
        return false;
    error_set(&op->error, XFER_INTERNAL, "job %lld cannot be recorded: its %s is out of range",
              (long long)op->row->id, fault);
    return true;
}

/* NULL with SQLITE_OK: there is none, or it is damaged and the error says so. */
static int fetch(struct database *d, int64_t id, struct queue_row **row, struct xfer_error *err)
{
    sqlite3_stmt *st = d->statements[ST_FETCH];
    const char *fault = NULL;
    int rc;

    *row = NULL;
    sqlite3_bind_int64(st, 1, id);
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        rc = SQLITE_OK;
        *row = queue_row_read(st, &rc, &fault);
    } else if (rc == SQLITE_DONE) {
        rc = SQLITE_OK;
    }
    sqlite3_reset(st);
    if (fault != NULL) {
        error_set(err, XFER_IO, "queue database %s is damaged: %s of job %lld is out of range",
                  d->path, fault, (long long)id);
        error_about(err, XFER_SIDE_DAEMON, d->path);
        rc = SQLITE_OK;
    }
    return rc;
}

static int find_key(struct database *d, struct queue_op *op)
{
    sqlite3_stmt *st = d->statements[ST_FIND_KEY];
    int64_t id = 0;
    int rc;

    sqlite3_bind_int64(st, 1, op->row->owner);
    sqlite3_bind_text(st, 2, op->row->key, -1, SQLITE_STATIC);
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        id = sqlite3_column_int64(st, 0);
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    if (rc != SQLITE_ROW)
        return rc == SQLITE_DONE ? SQLITE_OK : rc;
    return fetch(d, id, &op->found, &op->error);
}

static int insert(struct database *d, struct queue_op *op)
{
    int rc = SQLITE_OK;

    if (refuse_bad_row(op))
        return SQLITE_OK;
    if (op->row->key != NULL)
        rc = find_key(d, op);
    if (rc != SQLITE_OK || op->error.code != XFER_OK || op->found != NULL)
        return rc;
    if (op->only_existing) {
        error_set(&op->error, XFER_NO_SUCH_JOB, "there is no job of that key");
        return SQLITE_OK;
    }
    rc = write_row(d, ST_INSERT, op);
    if (rc == SQLITE_OK && op->error.code == XFER_OK)
        tally_end(d, op->row);
    return rc;
}

static int update(struct database *d, struct queue_op *op)
{
    sqlite3_stmt *st = d->statements[ST_FIND_STATE];
    int64_t state, ended;
    int rc;

    if (refuse_bad_row(op))
        return SQLITE_OK;
    sqlite3_bind_int64(st, 1, op->row->id);
    rc = sqlite3_step(st);
    state = sqlite3_column_int64(st, 0);
    ended = sqlite3_column_int64(st, 1);
    sqlite3_reset(st);
    if (rc == SQLITE_DONE) {
        error_set(&op->error, XFER_JOB_FORGOTTEN, "job %lld is no longer recorded",
                  (long long)op->row->id);
        return SQLITE_OK;
    }
    if (rc != SQLITE_ROW)
        return rc;
    rc = write_row(d, ST_UPDATE, op);
    if (rc != SQLITE_OK || op->error.code != XFER_OK)
        return rc;
    if (ended != 0) {
        tally_one(d, state, -1);
        if (ended != op->row->ended)
            rc = tally_end_goes(d, ended);
    }
    tally_end(d, op->row);
    return rc;
}

static int settings(struct database *d, struct queue_op *op)
{
    int rc = database_set(d, "paused", op->paused);

    if (rc == SQLITE_OK)
        rc = database_set(d, "draining", op->draining);
    return rc == SQLITE_OK ? database_set(d, "bandwidth", op->bandwidth) : rc;
}

struct listed {
    int64_t id, by;
};

static int highest_first(const void *a, const void *b)
{
    int64_t x = ((const struct listed *)a)->by, y = ((const struct listed *)b)->by;

    return x < y ? 1 : x > y ? -1 : 0;
}

/* Each state has its own part of an index in the right order: up to limit of each are merged. */
static int choose(struct database *d, const struct queue_op *op, struct listed *all, size_t *n)
{
    sqlite3_stmt *st =
        d->statements[op->before != 0 ? op->by_owner ? ST_LIST_BY_ID_OWNER : ST_LIST_BY_ID
                      : op->by_owner  ? ST_LIST_BY_END_OWNER
                                      : ST_LIST_BY_END];
    int rc = SQLITE_DONE;

    for (int state = JOB_DONE; state <= JOB_CANCELLED && rc == SQLITE_DONE; state++) {
        if (op->state >= 0 && op->state != state)
            continue;
        sqlite3_bind_int64(st, 1, state);
        sqlite3_bind_int64(st, 2, op->limit);
        if (op->before != 0)
            sqlite3_bind_int64(st, 3, op->before);
        if (op->by_owner)
            sqlite3_bind_int64(st, 4, op->owner);
        while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
            all[*n].id = sqlite3_column_int64(st, 0);
            all[(*n)++].by = sqlite3_column_int64(st, 1);
        }
        sqlite3_reset(st);
    }
    qsort(all, *n, sizeof *all, highest_first);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int list(struct database *d, struct queue_op *op)
{
    size_t limit = op->limit > 0 ? (size_t)op->limit : 0, n = 0;
    struct listed *all;
    int rc;

    if (limit > 2 * XFER_LIST_MAX) {
        error_set(&op->error, XFER_INTERNAL, "a list of %zu jobs", limit);
        return SQLITE_OK;
    }
    all = calloc(3 * limit + 1, sizeof *all);
    op->rows = calloc(limit + 1, sizeof(struct queue_row *));
    if (all == NULL || op->rows == NULL) {
        free(all);
        error_set(&op->error, XFER_NO_RESOURCES, "no memory for the list");
        return SQLITE_OK;
    }
    rc = choose(d, op, all, &n);
    for (size_t i = 0; rc == SQLITE_OK && i < n && op->n < limit; i++) {
        rc = fetch(d, all[i].id, &op->rows[op->n], &op->error);
        if (rc == SQLITE_OK && op->error.code != XFER_OK)
            break;
        if (rc == SQLITE_OK && op->rows[op->n] != NULL)
            op->n++;
    }
    free(all);
    return rc;
}

void database_unrun(struct queue_op *op)
{
    queue_row_destroy(op->found);
    op->found = NULL;
    if (op->kind == QUEUE_DB_FETCH) {
        queue_row_destroy(op->row);
        op->row = NULL;
    }
    for (size_t i = 0; i < op->n; i++)
        queue_row_destroy(op->rows[i]);
    free(op->rows);
    op->rows = NULL;
    op->n = 0;
    if (op->kind == QUEUE_DB_NOTES) {
        queue_notes_free(op->notes, op->n_notes);
        op->notes = NULL;
        op->n_notes = 0;
    }
    op->error.code = XFER_OK;
}

int database_run(struct database *d, struct queue_op *op)
{
    database_unrun(op);
    switch (op->kind) {
    case QUEUE_DB_INSERT:
        return insert(d, op);
    case QUEUE_DB_UPDATE:
        return update(d, op);
    case QUEUE_DB_SETTINGS:
        return settings(d, op);
    case QUEUE_DB_FETCH:
        return fetch(d, op->id, &op->row, &op->error);
    case QUEUE_DB_LIST:
        return list(d, op);
    case QUEUE_DB_NOTE:
        return database_note(d, op);
    case QUEUE_DB_NOTES:
        return database_notes(d, op);
    }
    error_set(&op->error, XFER_INTERNAL, "no such operation of the queue database");
    return SQLITE_OK;
}

int database_load(struct database *d, sqlite3_stmt *st,
                  int (*load)(void *user, struct queue_row *row), void *user,
                  struct xfer_error *err)
{
    char how[64];
    int rc;

    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        const char *fault = NULL;
        int64_t id = sqlite3_column_int64(st, 0);
        struct queue_row *row = queue_row_read(st, &rc, &fault);

        if (fault != NULL) {
            snprintf(how, sizeof how, "%s of job %lld is out of range", fault, (long long)id);
            return database_damaged(d->path, how, err);
        }
        if (row == NULL)
            return database_error(d, rc, true, err);
        if (load(user, row) < 0)
            return error_set(err, XFER_NO_RESOURCES, "no memory for the queue");
    }
    return rc == SQLITE_DONE ? 0 : database_error(d, rc, true, err);
}
