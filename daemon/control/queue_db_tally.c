/* SPDX-License-Identifier: MIT
 *
 * The history: how many finished jobs there are, and the removal of the oldest. They are counted
 * when the queue is opened and from then on along with what is done to them.
 */
#include "daemon/control/queue_db_impl.h"

#include <sqlite3.h>

static int read_oldest(struct database *d)
{
    sqlite3_stmt *st = d->statements[ST_OLDEST];
    int rc = sqlite3_step(st);

    if (rc == SQLITE_ROW) {
        d->tally.oldest_ended = sqlite3_column_int64(st, 0); /* NULL reads as 0 */
        d->tally.oldest_finish = sqlite3_column_double(st, 1);
    }
    sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int database_read_tally(struct database *d)
{
    sqlite3_stmt *st;
    int rc = sqlite3_prepare_v2(d->sql,
                                "SELECT state, count(*) FROM jobs INDEXED BY jobs_state "
                                "WHERE ended > 0 GROUP BY state",
                                -1, &st, NULL);

    if (rc != SQLITE_OK)
        return rc;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        int64_t state = sqlite3_column_int64(st, 0);

        if (state < JOB_DONE || state > JOB_CANCELLED) {
            sqlite3_finalize(st);
            return SQLITE_CORRUPT;
        }
        d->tally.counts[state] = sqlite3_column_int64(st, 1);
    }
    sqlite3_finalize(st);
    if (rc != SQLITE_DONE)
        return rc;
    rc = read_oldest(d);
    d->committed = d->tally;
    return rc;
}

static bool has_ended(int64_t state)
{
    return state >= JOB_DONE && state <= JOB_CANCELLED;
}

void tally_one(struct database *d, int64_t state, int by)
{
    if (has_ended(state))
        d->tally.counts[state] += by;
}

void tally_end(struct database *d, const struct queue_row *row)
{
    if (row->ended == 0)
        return;
    tally_one(d, row->state, 1);
    if (d->tally.last_ended < row->ended)
        d->tally.last_ended = row->ended;
    if (d->tally.oldest_ended == 0 || row->ended < d->tally.oldest_ended) {
        d->tally.oldest_ended = row->ended;
        d->tally.oldest_finish = row->finished_at;
    }
}

int tally_end_goes(struct database *d, int64_t ended)
{
    int rc = SQLITE_OK;

    if (ended == d->tally.last_ended)
        rc = database_set(d, "last_ended", ended);
    if (rc == SQLITE_OK && ended == d->tally.oldest_ended)
        rc = read_oldest(d);
    return rc;
}

static int remove_rows(struct database *d, sqlite3_stmt *st)
{
    int rc;

    while ((rc = sqlite3_step(st)) == SQLITE_ROW)
        tally_one(d, sqlite3_column_int64(st, 0), -1);
    sqlite3_reset(st);
    if (rc != SQLITE_DONE)
        return rc;
    rc = database_set(d, "last_ended", d->tally.last_ended);
    return rc == SQLITE_OK ? read_oldest(d) : rc;
}

static int prune(struct database *d, enum statement which)
{
    int rc = database_begin(d);

    if (rc == SQLITE_OK)
        rc = remove_rows(d, d->statements[which]);
    if (rc == SQLITE_OK)
        rc = database_commit(d);
    if (rc != SQLITE_OK)
        database_rollback(d);
    else
        database_forget_lists(d);
    return rc;
}

int database_prune_number(struct database *d, int64_t n)
{
    sqlite3_bind_int64(d->statements[ST_PRUNE_NUMBER], 1,
                       n < QUEUE_DB_PRUNE_SLICE ? n : QUEUE_DB_PRUNE_SLICE);
    return prune(d, ST_PRUNE_NUMBER);
}

int database_prune_age(struct database *d, double before)
{
    sqlite3_bind_double(d->statements[ST_PRUNE_AGE], 1, before);
    return prune(d, ST_PRUNE_AGE);
}
