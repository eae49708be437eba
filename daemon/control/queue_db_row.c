/* SPDX-License-Identifier: MIT
 *
 * A job as a row and back. File names are blobs, whatever their bytes; states, overwrite and sync
 * are numbers that never change their meaning; errors go by their names. A database is a file that
 * anybody may have had in hands: reading checks every type, and every value by the same rules by
 * which it was written.
 */
#include "daemon/control/queue_db_impl.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sqlite3.h>

#include "proto/text.h"

_Static_assert(JOB_QUEUED == 0 && JOB_DONE == 2 && JOB_FAILED == 3 && JOB_CANCELLED == 4,
               "job states are recorded by these numbers");
_Static_assert(OVERWRITE_REPLACE == 0 && OVERWRITE_NEVER == 1 && OVERWRITE_CHANGED == 2 &&
                   OVERWRITE_NEWER == 3 && SYNC_FILE == 0 && SYNC_BATCH == 1 && SYNC_NONE == 2,
               "these are recorded by number too");

#define TIME_MAX 1e12 /* Unix seconds; beyond it something is wrong */

struct queue_row *queue_row_create(void)
{
    struct queue_row *row = calloc(1, sizeof *row);

    if (row != NULL)
        row->n_groups = -1;
    return row;
}

void queue_row_destroy(struct queue_row *row)
{
    if (row == NULL)
        return;
    free(row->source);
    free(row->dest);
    free(row->key);
    free(row->error_text);
    free(row->error_path);
    free(row->groups);
    free(row->stored);
    free(row);
}

static bool within(int64_t value, int64_t min, int64_t max)
{
    return value >= min && value <= max;
}

static bool length_within(const char *text, size_t min, size_t max)
{
    size_t len = text != NULL ? strnlen(text, max + 1) : 0;

    return len >= min && len <= max;
}

static bool is_time(double t)
{
    return isfinite(t) && t >= 0 && t <= TIME_MAX;
}

static bool state_and_end_agree(const struct queue_row *row)
{
    if (row->state == JOB_QUEUED)
        return row->ended == 0;
    return within((int64_t)row->state, JOB_DONE, JOB_CANCELLED) &&
           within(row->ended, 1, XFER_JSON_INTEGER_MAX);
}

const char *queue_row_fault(const struct queue_row *row)
{
    const struct {
        const char *column;
        bool good;
    } checks[] = {
        {"id", within(row->id, 1, XFER_JSON_INTEGER_MAX)},
        {"position", within(row->position, 0, XFER_JSON_INTEGER_MAX)},
        {"state", state_and_end_agree(row)},
        {"priority", within(row->priority, -XFER_PRIORITY_MAX, XFER_PRIORITY_MAX)},
        {"overwrite", within((int64_t)row->overwrite, OVERWRITE_REPLACE, OVERWRITE_NEWER)},
        {"sync", within((int64_t)row->sync, SYNC_FILE, SYNC_DEFAULT)},
        {"retries", within(row->retries, 0, XFER_RETRIES_MAX)},
        {"source", length_within(row->source, 1, XFER_PATH_SIZE - 1)},
        {"dest", row->dest != NULL && length_within(row->dest, 0, XFER_PATH_SIZE - 1)},
        {"key", row->key == NULL || length_within(row->key, 1, XFER_KEY_MAX)},
        {"attempts", within(row->attempts, 0, XFER_JSON_INTEGER_MAX)},
        {"failures", within(row->failures, 0, XFER_JSON_INTEGER_MAX)},
        {"not_before", is_time(row->not_before)},
        {"submitted_at", is_time(row->submitted_at)},
        {"started_at", is_time(row->started_at)},
        {"finished_at", is_time(row->finished_at)},
        {"bytes_total", row->bytes_total >= 0},
        {"bytes_done", row->bytes_done >= 0},
        {"bytes_resumed", row->bytes_resumed >= 0},
        {"error", within((int64_t)row->error_code, XFER_OK, XFER_CODE_COUNT - 1)},
        {"error_side", within((int64_t)row->error_side, XFER_SIDE_NONE, XFER_SIDE_COUNT - 1)},
        {"error_errno", row->error_errno >= 0},
        {"error_text", length_within(row->error_text, 0, XFER_ERROR_TEXT_SIZE - 1)},
        {"error_path", length_within(row->error_path, 0, XFER_PATH_SIZE - 1)},
        {"groups", within(row->n_groups, -1, XFER_GROUPS_MAX)},
        {"bandwidth", within(row->bandwidth, 0, XFER_JSON_INTEGER_MAX)},
        {"stored", row->stored == NULL || length_within(row->stored, 1, XFER_PATH_SIZE - 1)},
    };

    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        if (!checks[i].good)
            return checks[i].column;
    return NULL;
}

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

    if (r.fault == NULL && !r.no_memory)
        r.fault = queue_row_fault(row);
    if (r.fault == NULL && !r.no_memory)
        return row;
    queue_row_destroy(row);
    *rc = r.no_memory ? SQLITE_NOMEM : SQLITE_CORRUPT;
    *fault = r.fault;
    return NULL;
}
