/* SPDX-License-Identifier: MIT
 *
 * Opening: look before anything is written, refuse what isn't ours, then the lock, the log, the
 * schema. Nothing is ever deleted or overwritten: who has a database that can't be used decides
 * what becomes of it.
 *
 * The lock comes with the first read (locking_mode=EXCLUSIVE) and is tried anew with a new
 * connection each time: two that make the same new database at once would else hold each other's
 * shared lock for ever.
 */
#include "daemon/control/queue_db_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sqlite3.h>

#define SMALL_PAGES 4096 /* checked whole at each start: some 20 ms */

void database_close(struct database *d)
{
    for (int i = 0; i < ST_COUNT; i++) {
        sqlite3_finalize(d->statements[i]);
        d->statements[i] = NULL;
    }
    sqlite3_close(d->sql);
    d->sql = NULL;
}

static int execute(struct database *d, const char *text, struct xfer_error *err)
{
    int rc = sqlite3_exec(d->sql, text, NULL, NULL, NULL);

    return rc == SQLITE_OK ? 0 : database_error(d, rc, true, err);
}

/* The first column of the first row. */
static int ask_integer(struct database *d, const char *text, int64_t *value, struct xfer_error *err)
{
    sqlite3_stmt *st;
    int rc = sqlite3_prepare_v2(d->sql, text, -1, &st, NULL);

    if (rc == SQLITE_OK) {
        rc = sqlite3_step(st);
        if (rc == SQLITE_ROW)
            *value = sqlite3_column_int64(st, 0);
        else if (rc == SQLITE_DONE)
            *value = 0;
        sqlite3_finalize(st);
    }
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : database_error(d, rc, true, err);
}

/* Does the first row say so? If not, *text becomes its last line. */
static int ask_whether(struct database *d, const char *question, const char *answer, char *text,
                       size_t size, struct xfer_error *err)
{
    sqlite3_stmt *st;
    int rc = sqlite3_prepare_v2(d->sql, question, -1, &st, NULL), same = 0;

    if (rc == SQLITE_OK) {
        rc = sqlite3_step(st);
        if (rc == SQLITE_ROW) {
            const char *said = (const char *)sqlite3_column_text(st, 0);

            const char *line = said != NULL ? strrchr(said, '\n') : NULL;

            snprintf(text, size, "%s", line != NULL ? line + 1 : said != NULL ? said : "");
            same = strcmp(text, answer) == 0;
        }
        sqlite3_finalize(st);
    }
    return rc == SQLITE_ROW ? same : database_error(d, rc, true, err);
}

static int connect_file(struct database *d, struct xfer_error *err)
{
    int rc = sqlite3_open_v2(d->path, &d->sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

    if (rc != SQLITE_OK)
        return database_error(d, rc, true, err);
    sqlite3_extended_result_codes(d->sql, 1);
    if (sqlite3_db_readonly(d->sql, "main") == 1)
        return database_error(d, SQLITE_READONLY, true, err);
    /* until it is known to be ours it is left as it was, its log too */
    sqlite3_db_config(d->sql, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_db_config(d->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return execute(d,
                   "PRAGMA locking_mode = EXCLUSIVE;"
                   "PRAGMA trusted_schema = OFF;"
                   "PRAGMA cell_size_check = ON;"
                   "PRAGMA temp_store = MEMORY;"
                   "PRAGMA cache_size = -8192;"
                   "PRAGMA synchronous = FULL;",
                   err);
}

/* Whose is it? Reading takes the lock where there is a log already. */
static int check_identity(struct database *d, int64_t *version, bool *is_new,
                          struct xfer_error *err)
{
    int64_t application, objects;

    if (ask_integer(d, "PRAGMA application_id", &application, err) < 0 ||
        ask_integer(d, "PRAGMA user_version", version, err) < 0 ||
        ask_integer(d, "SELECT count(*) FROM sqlite_master", &objects, err) < 0)
        return -1;
    *is_new = application == 0 && *version == 0 && objects == 0;
    if (*is_new)
        return 0;
    if (application != QUEUE_DB_APPLICATION_ID)
        return error_set(err, XFER_CONFIG,
                         "queue database %s belongs to another program (application id %" PRId64
                         "): give queue.database another path",
                         d->path, application);
    if (*version > queue_db_version)
        return error_set(err, XFER_CONFIG,
                         "queue database %s is from a newer xferd (schema %" PRId64
                         ", this one knows up to %d): use the newer xferd, or move it and its -wal "
                         "file away for an empty queue (its jobs wait in it until then)",
                         d->path, *version, queue_db_version);
    if (*version < 1)
        return database_damaged(d->path, "it has no schema version", err);
    return 0;
}

static int use_log(struct database *d, struct xfer_error *err)
{
    char mode[32];
    int is_wal = ask_whether(d, "PRAGMA journal_mode = WAL", "wal", mode, sizeof mode, err);

    if (is_wal < 0)
        return -1;
    if (!is_wal)
        return error_set(err, XFER_CONFIG,
                         "queue database %s: its file system is not fit for a write-ahead log "
                         "(journal mode is \"%s\"): give queue.database another path",
                         d->path, mode);
    return 0;
}

static int migrate(struct database *d, int64_t version, struct xfer_error *err)
{
    char last[128];

    /* also where nothing is missing: from here on the lock is ours, and it can be written */
    if (execute(d, "BEGIN IMMEDIATE", err) < 0)
        return -1;
    for (int64_t i = version; i < queue_db_version; i++)
        if (execute(d, queue_db_steps[i], err) < 0)
            return -1;
    snprintf(last, sizeof last, "PRAGMA application_id = %d; PRAGMA user_version = %d;",
             QUEUE_DB_APPLICATION_ID, queue_db_version);
    if (version < queue_db_version && execute(d, last, err) < 0)
        return -1;
    return execute(d, "COMMIT", err);
}

/* A small one is looked at whole. A large one would take seconds: there what is read is checked. */
static int check_pages(struct database *d, struct xfer_error *err)
{
    char how[256];
    int64_t pages;
    int good;

    if (ask_integer(d, "PRAGMA page_count", &pages, err) < 0 ||
        ask_integer(d, "PRAGMA page_size", &d->page_size, err) < 0)
        return -1;
    if (pages > SMALL_PAGES)
        return 0;
    good = ask_whether(d, "PRAGMA quick_check(1)", "ok", how, sizeof how, err);
    return good == 0 ? database_damaged(d->path, how, err) : good < 0 ? -1 : 0;
}

/* What a former life left in the log goes into the database: the log begins empty. */
static int empty_log(struct database *d, struct xfer_error *err)
{
    int rc = sqlite3_wal_checkpoint_v2(d->sql, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);

    if (rc != SQLITE_OK)
        return database_error(d, rc, true, err);
    wal_watch(d);
    return 0;
}

int database_open(struct database *d, const char *path, struct xfer_error *err)
{
    int64_t version;
    bool is_new;
    int rc;

    memset(d, 0, sizeof *d);
    snprintf(d->path, sizeof d->path, "%s", path);
    if (connect_file(d, err) < 0 || check_identity(d, &version, &is_new, err) < 0 ||
        use_log(d, err) < 0)
        return -1;
    /* looked at again: now nobody else can change it */
    if (check_identity(d, &version, &is_new, err) < 0 || check_pages(d, err) < 0 ||
        migrate(d, version, err) < 0 || empty_log(d, err) < 0)
        return -1;
    sqlite3_db_config(d->sql, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    rc = database_prepare(d);
    return rc == SQLITE_OK ? 0 : database_error(d, rc, true, err);
}

/* ---- what is in it ----------------------------------------------------------------------------
 */

static int read_meta(struct database *d, struct queue_db_state *state, struct xfer_error *err)
{
    int64_t paused, last_ended, highest_ended, highest_id;
    sqlite3_stmt *st;
    bool has_id;
    int rc;

    if (ask_integer(d, "SELECT value FROM meta WHERE name = 'paused'", &paused, err) < 0 ||
        ask_integer(d, "SELECT value FROM meta WHERE name = 'draining'", &state->draining, err) <
            0 ||
        ask_integer(d, "SELECT coalesce((SELECT value FROM meta WHERE name = 'bandwidth'), -1)",
                    &state->bandwidth, err) < 0 ||
        ask_integer(d, "SELECT value FROM meta WHERE name = 'last_ended'", &last_ended, err) < 0 ||
        ask_integer(d, "SELECT max(ended) FROM jobs INDEXED BY jobs_ended WHERE ended > 0",
                    &highest_ended, err) < 0 ||
        ask_integer(d, "SELECT seq FROM sqlite_sequence WHERE name = 'jobs'", &state->last_id,
                    err) < 0 ||
        ask_integer(d, "SELECT max(id) FROM jobs", &highest_id, err) < 0)
        return -1;
    rc =
        sqlite3_prepare_v2(d->sql, "SELECT value FROM meta WHERE name = 'queue_id'", -1, &st, NULL);
    if (rc != SQLITE_OK)
        return database_error(d, rc, true, err);
    has_id = sqlite3_step(st) == SQLITE_ROW && sqlite3_column_type(st, 0) == SQLITE_BLOB &&
             sqlite3_column_bytes(st, 0) == XFER_QUEUE_ID_SIZE;
    if (has_id)
        memcpy(state->queue_id, sqlite3_column_blob(st, 0), XFER_QUEUE_ID_SIZE);
    sqlite3_finalize(st);

    if (!has_id)
        return database_damaged(d->path, "it has no queue id", err);
    if (state->last_id < highest_id || state->last_id > XFER_JSON_INTEGER_MAX)
        return database_damaged(d->path, "its last job number is out of range", err);
    state->last_ended = highest_ended > last_ended ? highest_ended : last_ended;
    if (state->last_ended < 0 || state->last_ended > XFER_JSON_INTEGER_MAX)
        return database_damaged(d->path, "its last end is out of range", err);
    state->paused = paused != 0;
    return 0;
}

/* text: with %s for the columns and %lld for the limit */
static int load_jobs(struct database *d, const char *text, int64_t limit,
                     int (*load)(void *user, struct queue_row *row), void *user,
                     struct xfer_error *err)
{
    sqlite3_stmt *st;
    char *full = sqlite3_mprintf(text, queue_row_columns, (long long)limit);
    int rc = full != NULL ? sqlite3_prepare_v2(d->sql, full, -1, &st, NULL) : SQLITE_NOMEM;

    sqlite3_free(full);
    if (rc != SQLITE_OK)
        return database_error(d, rc, true, err);
    rc = database_load(d, st, load, user, err);
    sqlite3_finalize(st);
    return rc;
}

int database_read(struct database *d, int64_t recent, struct queue_db_state *state,
                  int (*load)(void *user, struct queue_row *row), void *user,
                  struct xfer_error *err)
{
    int rc;

    if (read_meta(d, state, err) < 0)
        return -1;
    rc = database_read_tally(d);
    if (rc != SQLITE_OK)
        return database_error(d, rc, true, err);
    if (database_sweep_lists(d, state->queue_id, err) < 0)
        return -1;
    d->tally.last_ended = d->committed.last_ended = state->last_ended;
    memcpy(state->counts, d->tally.counts, sizeof state->counts);
    if (load_jobs(d,
                  "SELECT %s FROM jobs INDEXED BY jobs_unfinished WHERE ended = 0 "
                  "ORDER BY position, id LIMIT %lld",
                  -1, load, user, err) < 0)
        return -1;
    return load_jobs(d,
                     "SELECT %s FROM jobs WHERE id IN (SELECT id FROM jobs INDEXED BY jobs_ended "
                     "WHERE ended > 0 ORDER BY ended DESC LIMIT %lld) ORDER BY ended",
                     recent > 0 ? recent : 0, load, user, err);
}
