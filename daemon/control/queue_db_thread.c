/* SPDX-License-Identifier: MIT
 *
 * The thread: it waits for operations, and between them it removes finished jobs beyond the
 * history's bounds, a slice at a time, and makes checkpoints. When nothing is to be done it sleeps
 * until something is given or the oldest finished job is too old.
 */
#include "daemon/control/queue_db_impl.h"

#include <math.h>
#include <string.h>
#include <sqlite3.h>

#include "daemon/log.h"

#define BATCH_MAX       2000 /* operations in one transaction */
#define LAZY_SECONDS    0.02
#define PRUNE_TOGETHER  1.0  /* jobs over the bound wait so long for others */
#define PRUNE_BESIDE    0.1  /* between slices while there are operations */
#define PRUNE_AGAIN     60.0 /* after one that failed, and between those by age */
#define LOG_FRAMES      1000 /* checkpoint when there is nothing else to do */
#define LOG_FRAMES_BUSY 4000 /* or at once */

double queue_db_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double wall_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct timespec queue_db_at(double t)
{
    struct timespec at = {.tv_sec = (time_t)t};

    at.tv_nsec = (long)((t - (double)at.tv_sec) * 1e9);
    return at;
}

bool queue_db_is_lazy(const struct queue_op *op)
{
    return op->lazy && (op->kind == QUEUE_DB_UPDATE || op->kind == QUEUE_DB_SETTINGS ||
                        op->kind == QUEUE_DB_NOTE);
}

static int64_t jobs_over(const struct queue_db *db)
{
    const int64_t *n = db->d.committed.counts;

    return n[JOB_DONE] + n[JOB_FAILED] + n[JOB_CANCELLED] - db->keep_jobs;
}

static double together_by_age(const struct queue_db *db)
{
    double t = db->keep_seconds / 10;

    return t > PRUNE_AGAIN ? PRUNE_AGAIN : t < PRUNE_BESIDE ? PRUNE_BESIDE : t;
}

/* When finished jobs are to be removed (monotonic; INFINITY: not that one can tell). */
static double prune_time(struct queue_db *db, double now)
{
    double by_number = INFINITY, by_age = INFINITY;
    int64_t over = jobs_over(db);

    if (over <= 0)
        db->over_since = 0;
    else if (db->over_since == 0)
        db->over_since = now;
    if (over >= QUEUE_DB_PRUNE_SLICE)
        by_number = now;
    else if (over > 0)
        by_number = db->over_since + PRUNE_TOGETHER;
    if (db->keep_seconds >= 0 && db->d.committed.oldest_ended != 0) {
        double left = db->d.committed.oldest_finish + db->keep_seconds - wall_clock();

        /* looked at again each hour: the clock may be set */
        by_age = now + (left < 0 ? 0 : left > 3600 ? 3600 : left);
        if (by_age < db->age_not_before)
            by_age = db->age_not_before;
    }
    if (by_number > by_age)
        by_number = by_age;
    return by_number < db->slice_at ? db->slice_at : by_number;
}

static void prune(struct queue_db *db, double now, bool is_busy)
{
    int64_t over = jobs_over(db);
    struct op_list none;
    int rc;

    op_list_init(&none);
    if (over > 0) {
        rc = database_prune_number(&db->d, over);
        db->over_since = 0;
    } else {
        rc = database_prune_age(&db->d, wall_clock() - db->keep_seconds);
        if (over - jobs_over(db) < QUEUE_DB_PRUNE_SLICE)
            db->age_not_before = now + together_by_age(db);
    }
    if (rc != SQLITE_OK || (over > 0 && jobs_over(db) == over))
        db->slice_at = now + PRUNE_AGAIN; /* whatever it is, not again at once */
    else
        db->slice_at = is_busy ? now + PRUNE_BESIDE : 0;
    if (rc != SQLITE_OK && !db->prune_failed)
        log_warning("queue database %s: old finished jobs cannot be removed: %s", db->d.path,
                    sqlite3_errstr(rc));
    db->prune_failed = rc != SQLITE_OK;
    queue_db_hand_back(db, &none);
}

static void checkpoint(struct queue_db *db, double now, bool is_busy)
{
    if (db->d.wal_frames < (is_busy ? LOG_FRAMES_BUSY : LOG_FRAMES) ||
        now < db->checkpoint_not_before)
        return;
    /* when it fails the log grows: operations will tell when that is no longer possible */
    if (wal_checkpoint(&db->d) != SQLITE_OK)
        db->checkpoint_not_before = now + QUEUE_DB_RETRY_LAST;
}

/* With the lock held: when there is something to be done. */
static double work_time(struct queue_db *db, double now)
{
    double t = db->sick_since == 0 ? prune_time(db, now) : INFINITY;

    if (db->n_urgent > 0 || db->stopping)
        return now;
    if (db->kept.head != NULL && t > db->retry_at)
        t = db->retry_at;
    if (db->given.head != NULL) {
        double lazy = db->lazy_since + LAZY_SECONDS;

        if (lazy < db->retry_at)
            lazy = db->retry_at;
        if (t > lazy)
            t = lazy;
    }
    return t;
}

/* With the lock held. */
static void take_new_keep(struct queue_db *db)
{
    if (!db->new_keep)
        return;
    db->new_keep = false;
    db->keep_jobs = db->new_keep_jobs;
    db->keep_seconds = db->new_keep_seconds;
    db->age_not_before = 0;
}

static void wait_for_work(struct queue_db *db)
{
    for (;;) {
        double now = queue_db_now(), t;

        take_new_keep(db);
        t = work_time(db, now);
        if (t <= now)
            return;
        if (isinf(t)) {
            pthread_cond_wait(&db->wake, &db->lock);
        } else {
            struct timespec until = queue_db_at(t);

            pthread_cond_timedwait(&db->wake, &db->lock, &until);
        }
    }
}

/* With the lock held. The lazy ones go along with the others, and alone when they have waited. */
static void take_given(struct queue_db *db, struct op_list *batch, double now)
{
    size_t n = 0;

    if (db->n_urgent == 0 && !db->stopping && now < db->lazy_since + LAZY_SECONDS &&
        !(db->kept.head != NULL && now >= db->retry_at))
        return;
    while (db->given.head != NULL && n++ < BATCH_MAX) {
        struct queue_op *op = op_list_take(&db->given);

        if (!queue_db_is_lazy(op))
            db->n_urgent--;
        op_list_append(batch, op);
    }
}

/* The lock is held but for the work. */
static void work(struct queue_db *db)
{
    double now = queue_db_now();
    struct op_list batch;
    bool is_busy;

    op_list_init(&batch);
    take_given(db, &batch, now);
    pthread_mutex_unlock(&db->lock);

    if (batch.head != NULL || (db->kept.head != NULL && now >= db->retry_at))
        queue_db_run(db, &batch);

    pthread_mutex_lock(&db->lock);
    is_busy = db->n_urgent > 0;
    pthread_mutex_unlock(&db->lock);
    now = queue_db_now();
    if (db->sick_since == 0 && prune_time(db, now) <= now)
        prune(db, now, is_busy);
    checkpoint(db, now, is_busy);

    pthread_mutex_lock(&db->lock);
}

/* With the lock held: the last ones, as long as there is time. */
static void finish(struct queue_db *db)
{
    while (db->given.head != NULL || db->kept.head != NULL) {
        double now = queue_db_now();

        if (db->kept.head != NULL && db->given.head == NULL && now < db->retry_at) {
            struct timespec pause = queue_db_at(QUEUE_DB_RETRY_FIRST);

            if (now >= db->stop_until)
                break;
            pthread_mutex_unlock(&db->lock);
            nanosleep(&pause, NULL);
            db->retry_at = 0;
            pthread_mutex_lock(&db->lock);
        }
        work(db);
    }
}

void *queue_db_thread(void *arg)
{
    struct queue_db *db = arg;

    pthread_mutex_lock(&db->lock);
    while (!db->stopping) {
        wait_for_work(db);
        if (!db->stopping)
            work(db);
    }
    finish(db);
    pthread_mutex_unlock(&db->lock);

    database_close(&db->d); /* with the last checkpoint */

    pthread_mutex_lock(&db->lock);
    db->ended = true;
    pthread_cond_signal(&db->ended_cond);
    pthread_mutex_unlock(&db->lock);
    return NULL;
}
