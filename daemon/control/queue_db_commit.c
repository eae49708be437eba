/* SPDX-License-Identifier: MIT
 *
 * Operations to transactions. Runs on the queue's thread.
 *
 * A commit that fails is taken back as a whole. What told of things that have happened (UPDATE) is
 * kept and goes in front of the next transaction: with the next operation that comes, or after a
 * delay. What was only asked for fails. Lists, fetches and notes are answered all the same, from
 * what is recorded.
 */
#include "daemon/control/queue_db_impl.h"

#include <string.h>
#include <sqlite3.h>

#include "daemon/log.h"

static bool is_read(const struct queue_op *op)
{
    return op->kind == QUEUE_DB_FETCH || op->kind == QUEUE_DB_LIST || op->kind == QUEUE_DB_NOTES;
}

void queue_db_hand_back(struct queue_db *db, struct op_list *ops)
{
    pthread_mutex_lock(&db->lock);
    memcpy(db->counts, db->d.committed.counts, sizeof db->counts);
    db->oldest_ended = db->d.committed.oldest_ended;
    if (ops->head != NULL) {
        bool was_empty = db->finished.head == NULL;

        op_list_move(&db->finished, ops);
        if (was_empty && !db->stopping)
            ev_async_send(db->loop, &db->async);
    }
    pthread_mutex_unlock(&db->lock);
}

/* The job of the key in place of the one that wasn't added, in the same struct. */
static void take_found(struct queue_op *op)
{
    struct queue_row own = *op->row;

    *op->row = *op->found;
    *op->found = own;
    queue_row_destroy(op->found);
    op->found = NULL;
    op->existing = true;
}

static int run_transaction(struct queue_db *db, struct op_list *ops)
{
    int rc = database_begin(&db->d);

    for (struct queue_op *op = ops->head; op != NULL && rc == SQLITE_OK; op = op->next)
        rc = database_run(&db->d, op);
    return rc == SQLITE_OK ? database_commit(&db->d) : rc;
}

static void run_read(struct queue_db *db, struct queue_op *op)
{
    int rc = database_run(&db->d, op);

    if (rc != SQLITE_OK) {
        database_unrun(op);
        database_error(&db->d, rc, false, &op->error);
    }
}

static void is_well(struct queue_db *db)
{
    if (db->sick_since == 0)
        return;
    log_notice("queue database %s: jobs are recorded again, after %.1f seconds", db->d.path,
               queue_db_now() - db->sick_since);
    db->sick_since = db->retry_at = db->retry_delay = 0;
}

static void is_sick(struct queue_db *db, const struct xfer_error *err)
{
    double now = queue_db_now();

    if (db->sick_since == 0) {
        db->sick_since = now;
        log_error("%s; no job is accepted, and what happens to those that are there is recorded "
                  "when that is over",
                  err->text);
    }
    db->retry_delay = db->retry_delay == 0 ? QUEUE_DB_RETRY_FIRST : db->retry_delay * 2;
    if (db->retry_delay > QUEUE_DB_RETRY_LAST)
        db->retry_delay = QUEUE_DB_RETRY_LAST;
    db->retry_at = now + db->retry_delay;
}

/* Notes are worth some attempts, but not that ends of jobs, which are behind them, wait for ever:
 * it may be they who fill the disk. That older ones go is not given up. False: all of it is. */
static bool is_worth_more(const struct queue_db *db, struct queue_op *op)
{
    if (op->kind != QUEUE_DB_NOTE || ++op->tries < QUEUE_DB_NOTE_TRIES)
        return true;
    if (op->n_notes > 0)
        log_warning("queue database %s: errors and warnings of job %lld are lost: %zu", db->d.path,
                    (long long)op->id, op->n_notes);
    queue_notes_free(op->notes, op->n_notes);
    op->notes = NULL;
    op->n_notes = 0;
    return op->clear;
}

static bool is_kept(const struct queue_db *db, struct queue_op *op)
{
    return op->kind == QUEUE_DB_UPDATE || (op->kind == QUEUE_DB_NOTE && is_worth_more(db, op));
}

static void fail_batch(struct queue_db *db, struct op_list *batch, int rc)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct op_list back;
    struct queue_op *op;

    op_list_init(&back);
    database_error(&db->d, rc, false, &err);
    database_rollback(&db->d);
    is_sick(db, &err);
    while ((op = op_list_take(batch)) != NULL) {
        database_unrun(op);
        if (is_kept(db, op)) {
            op_list_append(&db->kept, op);
            continue;
        }
        if (is_read(op))
            run_read(db, op);
        else
            op->error = err;
        op_list_append(&back, op);
    }
    queue_db_hand_back(db, &back);
}

static void run_batch(struct queue_db *db, struct op_list *batch)
{
    int rc = run_transaction(db, batch);

    if (rc != SQLITE_OK) {
        fail_batch(db, batch, rc);
        return;
    }
    is_well(db);
    for (struct queue_op *op = batch->head; op != NULL; op = op->next)
        if (op->found != NULL)
            take_found(op);
    queue_db_hand_back(db, batch);
}

/* Nothing to be written: no transaction, and what is kept is not tried for it. */
static void run_reads(struct queue_db *db, struct op_list *batch)
{
    for (struct queue_op *op = batch->head; op != NULL; op = op->next)
        run_read(db, op);
    queue_db_hand_back(db, batch);
}

void queue_db_run(struct queue_db *db, struct op_list *batch)
{
    bool reads_only = true;
    struct op_list all;

    for (struct queue_op *op = batch->head; op != NULL && reads_only; op = op->next)
        reads_only = is_read(op);
    if (reads_only && (db->kept.head == NULL || queue_db_now() < db->retry_at)) {
        run_reads(db, batch);
        return;
    }
    op_list_init(&all);
    op_list_move(&all, &db->kept);
    op_list_move(&all, batch);
    run_batch(db, &all);
}
