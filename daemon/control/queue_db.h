/* SPDX-License-Identifier: MIT
 *
 * The queue on disk: an SQLite database with one row a job, and a thread that owns it. Whatever is
 * asked of it comes as an operation; operations that are there together share one commit (WAL, full
 * sync), and done() is called on the loop's thread only after it. Operations are carried out in the
 * order in which they were given.
 *
 * The database is locked for as long as it is open (locking_mode=EXCLUSIVE: no shared memory, so
 * network file systems do too).
 */
#ifndef XFER_DAEMON_CONTROL_QUEUE_DB_H
#define XFER_DAEMON_CONTROL_QUEUE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <ev.h>

#include "daemon/send/source_policy.h"
#include "daemon/send/tree.h"
#include "proto/control_method.h"
#include "proto/error.h"

struct queue_db;

/* What is behind its path in that of the directory with the lists of its jobs. The names of all
 * begin with the id of their queue in hex. */
#define QUEUE_DB_LISTS SOURCE_POLICY_LISTS

/* A job as it is recorded. Strings are owned by the row. A running job is recorded as queued: what
 * counts after a death is that it has not ended. */
struct queue_row {
    int64_t id;
    int64_t position; /* in the order of submission: its id, unless it was retried after its end */
    enum job_state state; /* JOB_QUEUED, or how it ended */
    int64_t ended;        /* number of its end: grows from end to end; 0: not yet */
    uid_t owner;
    int priority;
    enum overwrite_mode overwrite;
    enum sync_mode sync;
    int64_t retries;
    char *source, *dest; /* raw bytes */
    char *key;           /* NULL: none */
    int64_t attempts;    /* started so often */
    int64_t failures;    /* of these, so many count against retries */
    double not_before;   /* Unix time; 0: at once */
    double submitted_at, started_at, finished_at;
    int64_t bytes_total, bytes_done, bytes_resumed;
    bool has_digest;
    unsigned char digest[XFER_DIGEST_SIZE];
    enum xfer_code error_code; /* XFER_OK: none. Recorded by its name, not its number */
    enum xfer_side error_side;
    int error_errno;
    char *error_text, *error_path; /* NULL: "" */
    gid_t gid;
    gid_t *groups;     /* supplementary ones; NULL: there are none, or they are not known */
    int n_groups;      /* at most XFER_GROUPS_MAX; -1: not known */
    int64_t bandwidth; /* bytes a second; 0: as fast as it goes */
    bool handle;       /* the source was handed over as a descriptor: of this file */
    uint64_t handle_dev, handle_ino;
    char *stored; /* beneath the receiving root, raw bytes; NULL: as dest says */
    uint32_t preserve;
    struct control_strings filter;
    bool dry_run, checksum, one_file_system;
    char *list; /* name of a file in the directory of lists; NULL: none */
    bool tree;
    int64_t files_total, files_done, files_failed, files_skipped;
    int64_t errors, warnings; /* of its notes, those that were not kept included */
};
struct queue_row *queue_row_create(void);      /* all zero, no groups known; NULL: no memory */
void queue_row_destroy(struct queue_row *row); /* with its strings; NULL is fine */

struct queue_db_options {
    const char *path;    /* absolute; its directory is made (0700) where it is missing */
    double lock_wait;    /* seconds for a former generation to let go */
    int64_t keep_jobs;   /* finished jobs beyond that number are removed, the oldest ends first */
    double keep_seconds; /* and those that ended longer ago; negative: however long ago */
};

/* What is noted of an entry of a job's tree. Kinds and actions are recorded by their numbers. */
struct queue_note {
    int64_t n; /* grows within the job, from 1 */
    enum tree_note_kind kind;
    char *path;          /* raw bytes, may be "" */
    enum xfer_code code; /* of errors and warnings, by name: */
    enum xfer_side side;
    int sys_errno;
    char *text;
    enum tree_action action; /* of plans: */
    char type;
    int64_t size;
};
void queue_notes_free(struct queue_note *notes, size_t n); /* with their strings; NULL is fine */

/* What was in it when it was opened. */
struct queue_db_state {
    unsigned char queue_id[XFER_QUEUE_ID_SIZE]; /* made with the database */
    int64_t last_id;                            /* the highest that was ever given */
    int64_t last_ended;                         /* the number of the last end */
    int64_t counts[JOB_STATE_COUNT];            /* finished jobs by state */
    bool paused;
    /* what QUEUE_DB_SETTINGS recorded last */
    int64_t draining;  /* 0 at first */
    int64_t bandwidth; /* -1 at first */
};

/* Open it, make or migrate it, and read. load(user, row) is called for each unfinished job in the
 * order of position, then for the newest recent finished ones, oldest end first; it takes over the
 * row; -1 ends the opening. Blocks; before the loop runs. Errors say what is wrong and what to do,
 * and name the file: damaged, no database of xfer, from a newer version (XFER_CONFIG), read-only
 * (XFER_READ_ONLY), locked by another daemon (XFER_TOO_BUSY, with its process id where that can be
 * told), and what the system says. */
struct queue_db *queue_db_open(struct ev_loop *loop, const struct queue_db_options *options,
                               int64_t recent, struct queue_db_state *state,
                               int (*load)(void *user, struct queue_row *row), void *user,
                               struct xfer_error *err);

/* Carries out what was given, without calling any done(), gives up after seconds when the disk
 * hangs (the thread and the database are left alone then, the process is about to end). NULL is
 * fine. Returns the operations whose done() was not called, by next: the caller's again, to be
 * freed; NULL when there are none or when they are still in the hands of the thread. Not from
 * within a done(). */
struct queue_op *queue_db_close(struct queue_db *db, double seconds);

/* keep_jobs and keep_seconds of queue_db_options, anew. */
void queue_db_keep(struct queue_db *db, int64_t jobs, double seconds);

enum queue_op_kind {
    /* Add row. If its owner has used its key before: nothing is added, and row becomes the job of
     * that key (existing = true). */
    QUEUE_DB_INSERT,
    /* Record row over the one with its id. One whose id is not there: XFER_JOB_FORGOTTEN (it was
     * finished, and removed meanwhile). */
    QUEUE_DB_UPDATE,
    /* Record paused, draining and bandwidth. */
    QUEUE_DB_SETTINGS,
    /* Read the job id into row, NULL when there is none (any more). */
    QUEUE_DB_FETCH,
    /* Read up to limit finished jobs into rows. Those with a lower number than before, the highest
     * first; without before (0) the last to end first. state -1: any; by_owner: only owner's. */
    QUEUE_DB_LIST,
    /* Forget the notes of the job id (clear), then add these. A few failures are borne as those of
     * an UPDATE are; then these notes are given up, for the sake of what comes after them. */
    QUEUE_DB_NOTE,
    /* Read notes of the job id whose number is higher than after: the first limit of these kinds
     * together, or (each) the first limit of each kind. */
    QUEUE_DB_NOTES
};

/* The caller's until given and again from done() on. What is in row and rows belongs to whoever has
 * the operation. */
struct queue_op {
    enum queue_op_kind kind;
    /* On the loop's thread, when it is on disk or has failed for good. */
    void (*done)(struct queue_op *op);
    void *user;
    struct xfer_error error; /* set before done(): code XFER_OK, or why not */

    struct queue_row *row;
    /* INSERT: only look for the job of the key. There is none: XFER_NO_SUCH_JOB, nothing is added
     */
    bool only_existing;
    bool existing;           /* of INSERT, set */
    struct queue_row *found; /* the database's own while it has the operation */
    /* UPDATE, SETTINGS, NOTE: not worth a commit of its own: goes with the next one, or after a
     * short while */
    bool lazy;
    bool paused; /* SETTINGS */
    int64_t draining, bandwidth;
    int64_t id;            /* FETCH */
    int64_t before, limit; /* LIST */
    int state;
    bool by_owner;
    uid_t owner;
    struct queue_row *
        *rows; /* of LIST, set: n of them, array and rows to be freed by who has the operation */
    size_t n;
    /* of NOTE; of NOTES, set: n_notes of them, as rows is */
    struct queue_note *notes;
    size_t n_notes;
    bool clear;     /* NOTE */
    unsigned tries; /* of that, so many failed */
    int64_t after;  /* NOTES */
    bool kinds[TREE_PLAN + 1];
    bool each;

    struct queue_op *next;
};

/* When a commit fails (disk full, I/O error): INSERTs and SETTINGS fail at once and are surely not
 * recorded later; UPDATEs, which tell what has already happened, are kept and tried again with
 * growing delays (and with each further write) until they are recorded; what comes after them goes
 * on behind them. FETCH, LIST and NOTES are answered from what is recorded. A failure is logged
 * once, and its end too. */
void queue_db_give(struct queue_db *db, struct queue_op *op);

/* Finished jobs are removed all the time: counts by state, as of the last commit. Returns the
 * number of the oldest end that is still there, 0 when there is none. */
int64_t queue_db_counts(struct queue_db *db, int64_t counts[JOB_STATE_COUNT]);

/* Operations that were given and are not done. */
size_t queue_db_pending(const struct queue_db *db);

#endif
