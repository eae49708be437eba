/* SPDX-License-Identifier: MIT
 *
 * The queue, for the files that make it up: queue.c (what is in memory), queue_open.c (from opening
 * to closing), queue_record.c (what is
 * recorded, and what follows from that), queue_lookup.c (what is read back, and the settings),
 * queue_notes.c (what is noted of entries).
 */
#ifndef XFER_DAEMON_CONTROL_QUEUE_IMPL_H
#define XFER_DAEMON_CONTROL_QUEUE_IMPL_H

#include "daemon/control/accounts.h"
#include "daemon/control/queue.h"
#include "daemon/control/queue_db.h"

#define QUEUE_BUCKETS \
    (1u << 15) /* numbers are given in sequence: the low bits spread them evenly */

enum queue_group {
    GROUP_SUBMITTED, /* not accepted yet */
    GROUP_QUEUED,
    GROUP_RUNNING,
    GROUP_RECENT,  /* finished */
    GROUP_FETCHED, /* finished, older */
    GROUP_PRUNED,  /* of the recent ones: gone from the database */
    GROUP_COUNT
};

/* An operation of the database, from its making until its done(). */
struct queue_record {
    struct queue_op op;
    struct list link; /* of queue.records */
    struct queue *queue;
    struct job *job; /* that is recorded, and what of it */
    enum job_record what;
    void (*done)(void *user, const struct xfer_error *why); /* of a fetch, or settings */
    void (*listed)(void *user, struct job *const *jobs, size_t n, const struct xfer_error *why);
    void (*noted)(void *user, const struct queue_note *notes, size_t n, bool more,
                  const struct xfer_error *why);
    size_t bytes; /* of notes that are written */
    void *user;
};

struct queue {
    struct ev_loop *loop;
    struct queue_db *db;
    unsigned char id[XFER_QUEUE_ID_SIZE];
    char *lists; /* a directory */
    bool served;
    struct queue_events events;
    void *user;
    int64_t last_id, last_position, last_ended;
    size_t unfinished;         /* submitted ones included that are not accepted yet */
    struct accounts *accounts; /* of these, but for those that are refused unless they exist */
    bool counts_bytes;
    size_t sizes[GROUP_COUNT];
    struct list groups[GROUP_COUNT];
    struct job *finger;    /* of the queued ones: where the last one was put in; or NULL */
    struct job **restored; /* in the order of position, until they are served */
    size_t n_restored, restored_size;
    bool older;     /* finished jobs may be in the database alone */
    int64_t oldest; /* end that the database still has, as of the last look */

    struct list records;
    size_t recording;  /* of these and of todo, those that somebody waits for */
    struct list todo;  /* jobs, by queue.todo */
    struct list noted; /* jobs that have ended, by queue.noted */
    size_t n_noted;
    size_t note_bytes; /* of all jobs, that are not recorded yet */
    ev_timer todo_timer;

    bool paused, draining; /* in effect */
    int64_t bandwidth;     /* -1: not set */
    bool recorded_paused, recorded_draining;
    int64_t recorded_bandwidth;
    size_t setting; /* settings under way */

    struct job *buckets[QUEUE_BUCKETS];
};

/* queue.c */
void queue_index(struct queue *q, struct job *job);
void queue_move(struct queue *q, struct job *job, enum queue_group group);
void queue_become(struct queue *q, struct job *job, enum job_state state, double now);
/* Take one that nothing refers to any more out of everything and free it. */
void queue_drop(struct queue *q, struct job *job);
/* Let go of finished jobs beyond what is kept in memory. */
void queue_prune(struct queue *q);

/* Its owner has it, or has it no more. -1: no memory. */
int queue_count_in(struct queue *q, struct job *job, struct xfer_error *err);
void queue_count_out(struct queue *q, struct job *job);

/* queue_notes.c */

/* All of the job's notes are on their way to the database. */
void queue_notes_flush(struct queue *q, struct job *job);
/* One that runs no more: they stay in memory while it is among the last. */
void queue_notes_keep(struct queue *q, struct job *job);
/* Before it is freed. */
void queue_notes_drop(struct queue *q, struct job *job);

/* queue_record.c */
void queue_record_init(struct queue *q);
void queue_record(struct queue *q, struct job *job, enum job_record what);
/* Give what is on todo now. */
void queue_record_todo(struct queue *q);
/* NULL: no memory */
struct queue_record *queue_record_make(struct queue *q, enum queue_op_kind kind);
void queue_record_give(struct queue_record *r);
/* Of those that are given: off the list, with all that is in it. */
void queue_record_free(struct queue_record *r);
void queue_record_settle(struct queue *q); /* one that was waited for is done */
/* The job of row, from memory or made of it; NULL: it can't be. */
struct job *queue_job_of_row(struct queue *q, struct queue_row *row, struct xfer_error *err);

#endif
