/* SPDX-License-Identifier: MIT
 *
 * The loop's side. Its thread gives operations and calls their done(); the queue's own takes all
 * that are there, carries them out in one transaction, and hands them back when it is committed.
 * While it waits for the disk the next ones gather: the slower the disk, the more share a commit.
 * One mutex guards the lists; nothing slow is done under it.
 */
#include "daemon/control/queue_db_impl.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"

#define LOCK_PAUSE 20000 /* microseconds, to 40000 */

static void async_cb(struct ev_loop *loop, ev_async *async, int revents)
{
    struct queue_db *db = async->data;
    struct queue_op *op;

    (void)loop;
    (void)revents;
    pthread_mutex_lock(&db->lock);
    op_list_move(&db->due, &db->finished);
    pthread_mutex_unlock(&db->lock);
    while ((op = op_list_take(&db->due)) != NULL) {
        db->pending--;
        op->done(op);
    }
}

static int start_thread(struct queue_db *db, struct xfer_error *err)
{
    sigset_t all, old;
    int rc;

    /* a new thread inherits the mask: it must never be the one that a signal of the process is
     * delivered to */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&db->thread, NULL, queue_db_thread, db);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0)
        return error_set_errno(err, rc, "can't start the thread of the queue database");
    pthread_setname_np(db->thread, "xfer-db");
    return 0;
}

static int open_locked(struct database *d, const struct queue_db_options *options,
                       struct xfer_error *err)
{
    double until = queue_db_now() + options->lock_wait;
    pid_t pid;

    if (database_place(options->path, err) < 0)
        return -1;
    while (database_open(d, options->path, err) < 0) {
        database_close(d);
        if (err->code != XFER_TOO_BUSY)
            return -1;
        if (queue_db_now() >= until) {
            pid = database_holder(options->path);
            if (pid != 0)
                error_set(err, XFER_TOO_BUSY,
                          "queue database %s is in use by process %ld: stop the xferd that it "
                          "belongs to, or give "
                          "queue.database another path",
                          options->path, (long)pid);
            else
                error_set(err, XFER_TOO_BUSY,
                          "queue database %s is in use by another process: stop that one, or give "
                          "queue.database another path",
                          options->path);
            return -1;
        }
        usleep(LOCK_PAUSE + (useconds_t)((unsigned)getpid() * 7919U % LOCK_PAUSE));
    }
    return 0;
}

static void destroy(struct queue_db *db)
{
    pthread_cond_destroy(&db->ended_cond);
    pthread_cond_destroy(&db->wake);
    pthread_mutex_destroy(&db->lock);
    free(db);
}

static struct queue_db *create(struct ev_loop *loop, const struct queue_db_options *options)
{
    struct queue_db *db = calloc(1, sizeof *db);
    pthread_condattr_t attr;

    if (db == NULL)
        return NULL;
    db->loop = loop;
    db->keep_jobs = options->keep_jobs;
    db->keep_seconds = options->keep_seconds;
    db->new_keep_jobs = options->keep_jobs;
    db->new_keep_seconds = options->keep_seconds;
    op_list_init(&db->kept);
    op_list_init(&db->due);
    op_list_init(&db->given);
    op_list_init(&db->finished);
    pthread_mutex_init(&db->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&db->wake, &attr);
    pthread_cond_init(&db->ended_cond, &attr);
    pthread_condattr_destroy(&attr);
    ev_async_init(&db->async, async_cb);
    db->async.data = db;
    return db;
}

struct queue_db *queue_db_open(struct ev_loop *loop, const struct queue_db_options *options,
                               int64_t recent, struct queue_db_state *state,
                               int (*load)(void *user, struct queue_row *row), void *user,
                               struct xfer_error *err)
{
    struct queue_db *db = create(loop, options);

    memset(state, 0, sizeof *state);
    if (db == NULL) {
        error_set(err, XFER_NO_RESOURCES, "no memory for the queue database");
        return NULL;
    }
    if (open_locked(&db->d, options, err) < 0 ||
        database_read(&db->d, recent, state, load, user, err) < 0) {
        error_about(err, XFER_SIDE_DAEMON, options->path);
        database_close(&db->d);
        destroy(db);
        return NULL;
    }
    memcpy(db->counts, db->d.committed.counts, sizeof db->counts);
    db->oldest_ended = db->d.committed.oldest_ended;
    ev_async_start(loop, &db->async);
    if (start_thread(db, err) < 0) {
        ev_async_stop(loop, &db->async);
        database_close(&db->d);
        destroy(db);
        return NULL;
    }
    return db;
}

struct queue_op *queue_db_close(struct queue_db *db, double seconds)
{
    struct timespec until;
    struct op_list back;
    double now;
    int rc = 0;

    if (db == NULL)
        return NULL;
    if (!(seconds < XFER_SECONDS_MAX))
        seconds = XFER_SECONDS_MAX;
    pthread_mutex_lock(&db->lock);
    db->stopping = true;
    now = queue_db_now();
    db->stop_until = now + seconds / 2; /* the rest is for the end of the last attempt */
    until = queue_db_at(now + seconds);
    pthread_cond_signal(&db->wake);
    while (!db->ended && rc == 0)
        rc = pthread_cond_timedwait(&db->ended_cond, &db->lock, &until);
    rc = db->ended ? 0 : -1;
    pthread_mutex_unlock(&db->lock);
    ev_async_stop(db->loop, &db->async);
    if (rc < 0) {
        log_error("queue database %s: the disk hangs, the last changes may not be recorded",
                  db->d.path);
        pthread_detach(db->thread);
        return NULL;
    }
    pthread_join(db->thread, NULL);

    op_list_init(&back);
    op_list_move(&back, &db->due);
    op_list_move(&back, &db->finished);
    for (struct queue_op *op = db->kept.head; op != NULL; op = op->next)
        error_set(&op->error, XFER_IO, "could not be recorded");
    op_list_move(&back, &db->kept);
    destroy(db);
    return back.head;
}

void queue_db_keep(struct queue_db *db, int64_t jobs, double seconds)
{
    pthread_mutex_lock(&db->lock);
    if (jobs != db->new_keep_jobs || seconds != db->new_keep_seconds) {
        db->new_keep_jobs = jobs;
        db->new_keep_seconds = seconds;
        db->new_keep = true;
        pthread_cond_signal(&db->wake);
    }
    pthread_mutex_unlock(&db->lock);
}

void queue_db_give(struct queue_db *db, struct queue_op *op)
{
    bool wake;

    op->error.code = XFER_OK;
    op->existing = false;
    op->found = NULL;
    op->rows = NULL;
    op->n = 0;
    if (op->kind == QUEUE_DB_FETCH)
        op->row = NULL;
    if (op->kind == QUEUE_DB_NOTES) {
        op->notes = NULL;
        op->n_notes = 0;
    }
    op->tries = 0;
    db->pending++;
    pthread_mutex_lock(&db->lock);
    if (queue_db_is_lazy(op)) {
        wake = db->given.head == NULL;
        if (wake)
            db->lazy_since = queue_db_now();
    } else {
        wake = db->n_urgent++ == 0;
    }
    op_list_append(&db->given, op);
    if (wake)
        pthread_cond_signal(&db->wake);
    pthread_mutex_unlock(&db->lock);
}

int64_t queue_db_counts(struct queue_db *db, int64_t counts[JOB_STATE_COUNT])
{
    int64_t oldest;

    pthread_mutex_lock(&db->lock);
    memcpy(counts, db->counts, sizeof db->counts);
    oldest = db->oldest_ended;
    pthread_mutex_unlock(&db->lock);
    return oldest;
}

size_t queue_db_pending(const struct queue_db *db)
{
    return db->pending;
}
