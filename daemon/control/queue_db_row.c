/* SPDX-License-Identifier: MIT
 *
 * A job as a row and back. File names are blobs, whatever their bytes; states, overwrite and sync
 * are numbers that never change their meaning; errors go by their names. A database is a file that
 * anybody may have had in hands: reading checks every type, and every value by the same rules by
 * which it was written.
 */
#include "daemon/control/queue_db_impl.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sqlite3.h>

#include "proto/text.h"

_Static_assert(JOB_QUEUED == 0 && JOB_DONE == 2 && JOB_FAILED == 3 && JOB_CANCELLED == 4,
               "job states are recorded by these numbers");
_Static_assert(OVERWRITE_REPLACE == 0 && OVERWRITE_NEVER == 1 && OVERWRITE_CHANGED == 2 &&
                   OVERWRITE_NEWER == 3 && SYNC_FILE == 0 && SYNC_BATCH == 1 && SYNC_NONE == 2,
               "these are recorded by number too");
_Static_assert(PRESERVE_MODE == 1 && PRESERVE_DEFAULT == 3 && PRESERVE_ALL == 127,
               "and this by its bits");

#define FLAG_DRY_RUN         1
#define FLAG_CHECKSUM        2
#define FLAG_ONE_FILE_SYSTEM 4

/* ---- writing ----------------------------------------------------------------------------------
 */

struct writer {
    sqlite3_stmt *st;
    int column, rc;
};

static void note(struct writer *w, int rc)
{
    if (w->rc == SQLITE_OK)
        w->rc = rc;
}

static void put_integer(struct writer *w, int64_t value)
{
    note(w, sqlite3_bind_int64(w->st, ++w->column, value));
}

static void put_time(struct writer *w, double value)
{
    note(w, sqlite3_bind_double(w->st, ++w->column, value));
}

static void put_text(struct writer *w, const char *text)
{
    note(w, sqlite3_bind_text(w->st, ++w->column, text, -1, SQLITE_STATIC)); /* NULL as well */
}

static void put_bytes(struct writer *w, const void *bytes, size_t n)
{
    if (bytes == NULL)
        note(w, sqlite3_bind_null(w->st, ++w->column));
    else if (n == 0)
        note(w, sqlite3_bind_zeroblob(w->st, ++w->column, 0));
    else
        note(w, sqlite3_bind_blob(w->st, ++w->column, bytes, (int)n, SQLITE_STATIC));
}

static void put_path(struct writer *w, const char *path)
{
    put_bytes(w, path, path != NULL ? strlen(path) : 0);
}

/* As little-endian numbers of 32 bits. SQLite copies them. */
static void put_groups(struct writer *w, const struct queue_row *row)
{
    unsigned char bytes[4 * XFER_GROUPS_MAX];

    if (row->n_groups < 0) {
        put_bytes(w, NULL, 0);
        return;
    }
    for (int i = 0; i < row->n_groups; i++)
        for (int k = 0; k < 4; k++)
            bytes[4 * i + k] = (unsigned char)(row->groups[i] >> 8 * k);
    note(w, sqlite3_bind_blob(w->st, ++w->column, bytes, 4 * row->n_groups, SQLITE_TRANSIENT));
}

/* The rules, each with its NUL. SQLite takes the bytes over. */
static void put_filter(struct writer *w, const struct control_strings *filter)
{
    size_t size = 0;
    char *bytes, *at;

    for (size_t i = 0; i < filter->n; i++)
        size += strlen(filter->list[i]) + 1;
    if (size == 0) {
        put_bytes(w, NULL, 0);
        return;
    }
    bytes = at = malloc(size);
    if (bytes == NULL) {
        w->column++;
        note(w, SQLITE_NOMEM);
        return;
    }
    for (size_t i = 0; i < filter->n; i++)
        at = stpcpy(at, filter->list[i]) + 1;
    note(w, sqlite3_bind_blob(w->st, ++w->column, bytes, (int)size, free));
}

static int flags_of(const struct queue_row *row)
{
    return (row->dry_run ? FLAG_DRY_RUN : 0) | (row->checksum ? FLAG_CHECKSUM : 0) |
           (row->one_file_system ? FLAG_ONE_FILE_SYSTEM : 0);
}

int queue_row_bind(sqlite3_stmt *st, const struct queue_row *row)
{
    struct writer w = {.st = st, .rc = SQLITE_OK};

    put_integer(&w, row->id);
    put_integer(&w, row->position);
    put_integer(&w, row->state);
    put_integer(&w, row->ended);
    put_integer(&w, row->owner);
    put_integer(&w, row->priority);
    put_integer(&w, row->overwrite);
    put_integer(&w, row->sync);
    put_integer(&w, row->retries);
    put_path(&w, row->source);
    put_path(&w, row->dest);
    put_text(&w, row->key);
    put_integer(&w, row->attempts);
    put_integer(&w, row->failures);
    put_time(&w, row->not_before);
    put_time(&w, row->submitted_at);
    put_time(&w, row->started_at);
    put_time(&w, row->finished_at);
    put_integer(&w, row->bytes_total);
    put_integer(&w, row->bytes_done);
    put_integer(&w, row->bytes_resumed);
    put_bytes(&w, row->has_digest ? row->digest : NULL, sizeof row->digest);
    put_text(&w, row->error_code != XFER_OK ? error_info(row->error_code)->name : NULL);
    put_text(&w, error_side_name(row->error_side));
    put_integer(&w, row->error_errno);
    put_text(&w, row->error_text);
    put_path(&w, row->error_path);
    put_integer(&w, row->gid);
    put_groups(&w, row);
    put_integer(&w, row->bandwidth);
    put_integer(&w, row->handle);
    put_integer(&w, (int64_t)row->handle_dev);
    put_integer(&w, (int64_t)row->handle_ino);
    put_path(&w, row->stored);
    put_integer(&w, row->preserve);
    put_filter(&w, &row->filter);
    put_integer(&w, flags_of(row));
    put_text(&w, row->list);
    put_integer(&w, row->tree);
    put_integer(&w, row->files_total);
    put_integer(&w, row->files_done);
    put_integer(&w, row->files_failed);
    put_integer(&w, row->files_skipped);
    put_integer(&w, row->errors);
    put_integer(&w, row->warnings);
    return w.rc;
}

/* ---- reading ----------------------------------------------------------------------------------
 */

struct reader {
    sqlite3_stmt *st;
    int column;
    const char *fault; /* the first column that is wrong */
    bool no_memory;
};

/* Go on to the next column, which must have one of the types. false: it is NULL, or wrong. */
static bool get(struct reader *r, int *column, int type, int other_type, bool may_be_null)
{
    int is;

    *column = r->column++;
    is = sqlite3_column_type(r->st, *column);
    if (is == type || is == other_type)
        return true;
    if ((is != SQLITE_NULL || !may_be_null) && r->fault == NULL)
        r->fault = sqlite3_column_name(r->st, *column);
    return false;
}

static int64_t get_integer(struct reader *r, int64_t min, int64_t max)
{
    int64_t value;
    int column;

    if (!get(r, &column, SQLITE_INTEGER, SQLITE_INTEGER, false))
        return min;
    value = sqlite3_column_int64(r->st, column);
    if (value >= min && value <= max)
        return value;
    if (r->fault == NULL)
        r->fault = sqlite3_column_name(r->st, column);
    return min;
}

static double get_time(struct reader *r)
{
    int column;

    return get(r, &column, SQLITE_FLOAT, SQLITE_INTEGER, false)
               ? sqlite3_column_double(r->st, column)
               : 0;
}

/* A copy. NULL: it was NULL, or is wrong, or there is no memory. */
static char *get_string(struct reader *r, int type, bool may_be_null)
{
    const char *bytes;
    char *copy;
    size_t n;
    int column;

    if (!get(r, &column, type, type, may_be_null))
        return NULL;
    bytes = sqlite3_column_blob(r->st, column);
    n = (size_t)sqlite3_column_bytes(r->st, column);
    if (n > 0 && bytes == NULL) {
        r->no_memory = true;
        return NULL;
    }
    if (n >= XFER_PATH_SIZE || (n > 0 && memchr(bytes, '\0', n) != NULL) ||
        (n > 0 && type == SQLITE_TEXT && !text_is_utf8(bytes, n))) {
        if (r->fault == NULL)
            r->fault = sqlite3_column_name(r->st, column);
        return NULL;
    }
    copy = malloc(n + 1);
    if (copy == NULL) {
        r->no_memory = true;
        return NULL;
    }
    if (n > 0)
        memcpy(copy, bytes, n);
    copy[n] = '\0';
    return copy;
}

static void get_digest(struct reader *r, struct queue_row *row)
{
    int column;

    if (!get(r, &column, SQLITE_BLOB, SQLITE_BLOB, true))
        return;
    if (sqlite3_column_bytes(r->st, column) == XFER_DIGEST_SIZE) {
        row->has_digest = true;
        memcpy(row->digest, sqlite3_column_blob(r->st, column), XFER_DIGEST_SIZE);
    } else if (r->fault == NULL) {
        r->fault = sqlite3_column_name(r->st, column);
    }
}

static void get_groups(struct reader *r, struct queue_row *row)
{
    const unsigned char *bytes;
    int column, n;

    if (!get(r, &column, SQLITE_BLOB, SQLITE_BLOB, true))
        return;
    n = sqlite3_column_bytes(r->st, column);
    if (n % 4 != 0 || n > 4 * XFER_GROUPS_MAX) {
        if (r->fault == NULL)
            r->fault = sqlite3_column_name(r->st, column);
        return;
    }
    row->n_groups = n / 4;
    if (n == 0)
        return;
    bytes = sqlite3_column_blob(r->st, column);
    row->groups = calloc((size_t)row->n_groups, sizeof *row->groups);
    if (bytes == NULL || row->groups == NULL) {
        r->no_memory = true;
        return;
    }
    for (int i = 0; i < n; i++)
        row->groups[i / 4] |= (gid_t)bytes[i] << 8 * (i % 4);
}

static void get_error(struct reader *r, struct queue_row *row)
{
    char *code = get_string(r, SQLITE_TEXT, true);
    char *side = get_string(r, SQLITE_TEXT, true);

    row->error_code = code != NULL ? error_code_by_name(code) : XFER_OK;
    row->error_side = side != NULL ? error_side_by_name(side) : XFER_SIDE_NONE;
    free(code);
    free(side);
    row->error_errno = (int)get_integer(r, 0, INT_MAX);
    row->error_text = get_string(r, SQLITE_TEXT, true);
    if (row->error_text != NULL)
        error_clean(row->error_text);
    row->error_path = get_string(r, SQLITE_BLOB, true);
}

static void get_filter(struct reader *r, struct control_strings *filter)
{
    const char *bytes;
    int column, n, rules = 0;

    if (!get(r, &column, SQLITE_BLOB, SQLITE_BLOB, true))
        return;
    bytes = sqlite3_column_blob(r->st, column);
    n = sqlite3_column_bytes(r->st, column);
    if (n == 0 || n > XFER_FILTER_SIZE || bytes == NULL || bytes[n - 1] != '\0') {
        if (r->fault == NULL)
            r->fault = sqlite3_column_name(r->st, column);
        return;
    }
    for (int i = 0; i < n; i++)
        rules += bytes[i] == '\0';
    filter->list = calloc((size_t)rules, sizeof(char *));
    if (filter->list == NULL) {
        r->no_memory = true;
        return;
    }
    for (const char *at = bytes; at < bytes + n; at += strlen(at) + 1) {
        filter->list[filter->n] = strdup(at);
        if (filter->list[filter->n] == NULL) {
            r->no_memory = true;
            return;
        }
        filter->n++;
    }
}

static void get_flags(struct reader *r, struct queue_row *row)
{
    int64_t flags = get_integer(r, 0, FLAG_DRY_RUN | FLAG_CHECKSUM | FLAG_ONE_FILE_SYSTEM);

    row->dry_run = flags & FLAG_DRY_RUN;
    row->checksum = flags & FLAG_CHECKSUM;
    row->one_file_system = flags & FLAG_ONE_FILE_SYSTEM;
}

struct queue_row *queue_row_read(sqlite3_stmt *st, int *rc, const char **fault)
{
    struct reader r = {.st = st};
    struct queue_row *row = queue_row_create();

    if (row == NULL) {
        *rc = SQLITE_NOMEM;
        return NULL;
    }
    row->id = get_integer(&r, 1, XFER_JSON_INTEGER_MAX);
    row->position = get_integer(&r, 0, XFER_JSON_INTEGER_MAX);
    row->state = (enum job_state)get_integer(&r, 0, JOB_STATE_COUNT - 1);
    row->ended = get_integer(&r, 0, XFER_JSON_INTEGER_MAX);
    row->owner = (uid_t)get_integer(&r, 0, UINT32_MAX);
    row->priority = (int)get_integer(&r, INT_MIN, INT_MAX);
    row->overwrite = (enum overwrite_mode)get_integer(&r, 0, OVERWRITE_NEWER);
    row->sync = (enum sync_mode)get_integer(&r, 0, SYNC_DEFAULT);
    row->retries = get_integer(&r, 0, XFER_RETRIES_MAX);
    row->source = get_string(&r, SQLITE_BLOB, false);
    row->dest = get_string(&r, SQLITE_BLOB, false);
    row->key = get_string(&r, SQLITE_TEXT, true);
    row->attempts = get_integer(&r, 0, XFER_JSON_INTEGER_MAX);
    row->failures = get_integer(&r, 0, XFER_JSON_INTEGER_MAX);
    row->not_before = get_time(&r);
    row->submitted_at = get_time(&r);
    row->started_at = get_time(&r);
    row->finished_at = get_time(&r);
    row->bytes_total = get_integer(&r, 0, INT64_MAX);
    row->bytes_done = get_integer(&r, 0, INT64_MAX);
    row->bytes_resumed = get_integer(&r, 0, INT64_MAX);
    get_digest(&r, row);
    get_error(&r, row);
    row->gid = (gid_t)get_integer(&r, 0, UINT32_MAX);
    get_groups(&r, row);
    row->bandwidth = get_integer(&r, 0, XFER_JSON_INTEGER_MAX);
    row->handle = get_integer(&r, 0, 1) != 0;
    row->handle_dev = (uint64_t)get_integer(&r, INT64_MIN, INT64_MAX);
    row->handle_ino = (uint64_t)get_integer(&r, INT64_MIN, INT64_MAX);
    row->stored = get_string(&r, SQLITE_BLOB, true);
    row->preserve = (uint32_t)get_integer(&r, 0, PRESERVE_ALL);
    get_filter(&r, &row->filter);
    get_flags(&r, row);
    row->list = get_string(&r, SQLITE_TEXT, true);
    row->tree = get_integer(&r, 0, 1) != 0;
    row->files_total = get_integer(&r, 0, INT64_MAX);
    row->files_done = get_integer(&r, 0, INT64_MAX);
    row->files_failed = get_integer(&r, 0, INT64_MAX);
    row->files_skipped = get_integer(&r, 0, INT64_MAX);
    row->errors = get_integer(&r, 0, INT64_MAX);
    row->warnings = get_integer(&r, 0, INT64_MAX);

    if (r.fault == NULL && !r.no_memory)
        r.fault = queue_row_fault(row);
    if (r.fault == NULL && !r.no_memory)
        return row;
    queue_row_destroy(row);
    *rc = r.no_memory ? SQLITE_NOMEM : SQLITE_CORRUPT;
    *fault = r.fault;
    return NULL;
}
