/* SPDX-License-Identifier: MIT
 *
 * What the files of queue_db share: the database without the thread. A struct database is used by
 * one thread at a time: by the one that opens the queue, then by the queue's own.
 *
 * SQLite's result codes are passed on as they are (rc); database_error() makes them an error.
 */
#ifndef XFER_DAEMON_CONTROL_QUEUE_DB_IMPL_H
#define XFER_DAEMON_CONTROL_QUEUE_DB_IMPL_H

#include <pthread.h>
#include <time.h>

#include "daemon/control/queue_db.h"

#define QUEUE_DB_APPLICATION_ID 0x78666572 /* "xfer" */
#define QUEUE_DB_PRUNE_SLICE    300        /* rows that are removed in one commit at most */
#define QUEUE_DB_RETRY_FIRST    0.1        /* seconds after a commit that failed; then doubled */
#define QUEUE_DB_RETRY_LAST     10.0
#define QUEUE_DB_NOTE_TRIES     5 /* failed commits after which notes are given up */

/* The schema of version k is made by the first k of these. A step that was released never changes.
 */
extern const char *const queue_db_steps[];
extern const int queue_db_version;

struct sqlite3;
struct sqlite3_stmt;

enum statement {
    ST_BEGIN,
    ST_COMMIT,
    ST_ROLLBACK,
    ST_INSERT,
    ST_UPDATE,
    ST_FETCH,
    ST_FIND_KEY,
    ST_FIND_STATE,
    ST_SET,
    ST_LIST_BY_END,
    ST_LIST_BY_END_OWNER,
    ST_LIST_BY_ID,
    ST_LIST_BY_ID_OWNER,
    ST_OLDEST,
    ST_PRUNE_NUMBER,
    ST_PRUNE_AGE,
    ST_FORGET_NOTES,
    ST_ADD_NOTE,
    ST_NOTES,
    ST_COUNT
};

/* What is known of the finished jobs without asking. */
struct database_tally {
    int64_t counts[JOB_STATE_COUNT];
    int64_t last_ended;   /* the highest number of an end that ever was */
    int64_t oldest_ended; /* the lowest that is there; 0: none */
    double oldest_finish; /* the earliest finish among the first QUEUE_DB_PRUNE_SLICE ends */
};

struct database {
    struct sqlite3 *sql;
    char path[XFER_PATH_SIZE];
    struct sqlite3_stmt *statements[ST_COUNT];
    int step_errno; /* of the last step that failed: SQLite itself tells it of some calls only */
    struct database_tally tally;     /* with what the transaction has done so far */
    struct database_tally committed; /* without */

    int64_t page_size;
    int64_t wal_frames;           /* in the log after the last commit */
    unsigned char wal_header[32]; /* of the log at that time */
    bool wal_known;               /* are these two right? */
    bool wal_unclean;             /* a failed commit may still lie behind them */
};

struct op_list {
    struct queue_op *head, **end;
};

struct queue_db {
    struct database d; /* the thread's own, as what follows */
    int64_t keep_jobs;
    double keep_seconds;
    struct op_list kept;                      /* UPDATEs of commits that failed */
    double retry_at, retry_delay, sick_since; /* monotonic; 0: all is well */
    double over_since;                        /* more jobs than are kept; 0: no */
    double age_not_before, slice_at;
    double checkpoint_not_before;
    bool prune_failed;

    struct ev_loop *loop; /* the loop thread's own */
    ev_async async;
    struct op_list due; /* done() is to be called */
    size_t pending;

    pthread_t thread;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t wake, ended_cond;
    struct op_list given, finished;
    size_t n_urgent;   /* of those given */
    double lazy_since; /* since when one of the others waits */
    bool stopping, ended;
    double stop_until;
    int64_t new_keep_jobs; /* keep_jobs and keep_seconds as they are to be */
    double new_keep_seconds;
    bool new_keep;
    int64_t counts[JOB_STATE_COUNT], oldest_ended;
};

/* queue_db_open.c */

/* Open, check, make, migrate. err->code is XFER_TOO_BUSY when somebody else has it locked. */
int database_open(struct database *d, const char *path, struct xfer_error *err);
/* Everything that queue_db_open() tells. */
int database_read(struct database *d, int64_t recent, struct queue_db_state *state,
                  int (*load)(void *user, struct queue_row *row), void *user,
                  struct xfer_error *err);
/* Fine half-open. */
void database_close(struct database *d);

/* queue_db_place.c: the file before SQLite sees it */

/* Make the directories and an empty file where they are missing; see that it may be used. */
int database_place(const char *path, struct xfer_error *err);
/* Which process has it locked? 0: can't be told. Not while this process has it open: closing a
 * descriptor gives up all its locks. */
pid_t database_holder(const char *path);

/* queue_db_sql.c */

int database_prepare(struct database *d);
/* Begin, end. A commit or rollback that has failed is rolled back, and seen to that it does not
 * come back. */
int database_begin(struct database *d);
int database_commit(struct database *d);
void database_rollback(struct database *d);

/* Carry out one operation. What concerns it alone is told in op->error; anything else is the rc.
 * Nothing is kept of what was read for it when it is run again. */
int database_run(struct database *d, struct queue_op *op);
/* Forget what a run has left in op. */
void database_unrun(struct queue_op *op);

/* One value of the table meta. */
int database_set(struct database *d, const char *name, int64_t value);
/* Run a statement whose rows, if any, don't matter. */
int database_step(struct database *d, enum statement which);

/* Call load() for all rows of st, whose columns are queue_row_columns. 0 or -1. */
int database_load(struct database *d, struct sqlite3_stmt *st,
                  int (*load)(void *user, struct queue_row *row), void *user,
                  struct xfer_error *err);

/* queue_db_tally.c: the finished jobs */

/* Count them when the database is opened. */
int database_read_tally(struct database *d);
/* One of that state has come (by 1) or gone (-1). */
void tally_one(struct database *d, int64_t state, int by);
/* A row has been written, one that has ended or not. */
void tally_end(struct database *d, const struct queue_row *row);
/* The end of that number is no longer there: numbers go on where they were all the same. */
int tally_end_goes(struct database *d, int64_t ended);

/* Remove the oldest ends: so many (number), or those of the first QUEUE_DB_PRUNE_SLICE that
 * finished before that time (age). A transaction of its own. */
int database_prune_number(struct database *d, int64_t n);
int database_prune_age(struct database *d, double before);

/* queue_db_wal.c: the write-ahead log */

void wal_watch(struct database *d);     /* after opening, when the log is empty */
void wal_committed(struct database *d); /* after each commit */
void wal_clean(struct database *d);     /* after a commit that failed */
int wal_checkpoint(struct database *d);

/* queue_db_check.c, queue_db_row.c */

/* All columns, in the order in which queue_row_bind() counts them from 1. */
extern const char queue_row_columns[];
#define QUEUE_ROW_COLUMNS 45

/* What in it no row may be: the name of a column, or NULL. */
const char *queue_row_fault(const struct queue_row *row);
/* The strings are not copied: row must outlive the statement's run. */
int queue_row_bind(struct sqlite3_stmt *st, const struct queue_row *row);
/* The row that the statement stands at. NULL: *rc is SQLITE_NOMEM, or SQLITE_CORRUPT and *fault the
 * name of the column. */
struct queue_row *queue_row_read(struct sqlite3_stmt *st, int *rc, const char **fault);

/* queue_db_notes.c: operations about notes, as database_run() */

int database_note(struct database *d, struct queue_op *op);
int database_notes(struct database *d, struct queue_op *op);

/* queue_db_lists.c: files that jobs name */

/* Remove those of this queue that no job names; from now on take down what goes with its job. */
int database_sweep_lists(struct database *d, const unsigned char id[XFER_QUEUE_ID_SIZE],
                         struct xfer_error *err);
/* Remove those of the jobs that the last commit has removed. */
void database_forget_lists(struct database *d);

/* queue_db_error.c */

/* From rc and what the connection knows of it. opening: with advice for who starts the daemon; else
 * for who reads a reply or the log. Returns -1. */
int database_error(struct database *d, int rc, bool opening, struct xfer_error *err);
/* "PATH is damaged: HOW", with that advice. Returns -1. */
int database_damaged(const char *path, const char *how, struct xfer_error *err);

/* queue_db_thread.c: what the thread waits for */

void *queue_db_thread(void *db);
double queue_db_now(void); /* monotonic */
struct timespec queue_db_at(double time);
/* Not worth a commit of its own? */
bool queue_db_is_lazy(const struct queue_op *op);

/* queue_db_commit.c: operations to transactions */

/* Carry these out, after those that are kept, and hand them back. */
void queue_db_run(struct queue_db *db, struct op_list *ops);
/* To the loop's thread, with the counts as of now. */
void queue_db_hand_back(struct queue_db *db, struct op_list *ops);

/* queue_db_list.c */

void op_list_init(struct op_list *list);
void op_list_append(struct op_list *list, struct queue_op *op);
struct queue_op *op_list_take(struct op_list *list); /* the first; NULL: none */
void op_list_move(struct op_list *to, struct op_list *from);

#endif
