/* SPDX-License-Identifier: MIT
 *
 * The queue: the jobs of this daemon, by number and by state, and the record of what became of
 * them. Rank 0, the loop's thread.
 *
 * All unfinished jobs are in memory; of the finished ones the last XFER_JOBS_RECENT to end, and up
 * to XFER_JOBS_FETCHED older ones that somebody asked for. The database (queue_db.h) has them all,
 * and when it forgets one, the queue does: it is not found any more, though it may stay in memory
 * for subscribers that have yet to be told of its end.
 *
 * What may be told to the outside only when it is recorded (that a job was accepted, that it has
 * ended) is told by the queue through its events, never from inside the call that asked for it.
 */
#ifndef XFER_DAEMON_CONTROL_QUEUE_H
#define XFER_DAEMON_CONTROL_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ev.h>

#include "daemon/control/job.h"
#include "daemon/send/tree.h"
#include "proto/error.h"

struct queue;
struct queue_note; /* see queue_db.h */

struct queue_options {
    const char *path;     /* of the database; absolute */
    double lock_wait;     /* seconds for a former generation to let go of it */
    int64_t keep_jobs;    /* finished ones that are kept */
    double keep_seconds;  /* and how long; negative: however long */
    bool same_supervisor; /* the ranks were restarted, not the daemon: a drain goes on, and what was
                             set of the bandwidth holds */
};

/* Open the database and take up what is in it; blocks, before the loop runs. It is locked until
 * queue_close(). */
struct queue *queue_open(struct ev_loop *loop, const struct queue_options *options,
                         struct xfer_error *err);
/* Records what is not recorded yet, gives up after so many seconds, and frees all jobs without a
 * word. Whoever was told of events must be gone, and what waits on jobs with it. NULL is fine. */
void queue_close(struct queue *q, double seconds);

/* keep_jobs and keep_seconds of queue_options, anew: what is beyond them goes soon. */
void queue_keep(struct queue *q, int64_t jobs, double seconds);

/* XFER_QUEUE_ID_SIZE bytes; made with the database. */
const unsigned char *queue_id(const struct queue *q);

struct queue_events {
    /* An unfinished job that was there when the queue was opened. -1: queue_serve() fails. */
    int (*restored)(void *user, struct job *job, struct xfer_error *err);
    /* The submission is recorded: the job can be found from now on. With why: it could not be; the
     * job is freed right after. */
    void (*accepted)(void *user, struct job *job, const struct xfer_error *why);
    /* Its owner has used its key before, for the job old. job is freed right after. */
    void (*existing)(void *user, struct job *job, struct job *old);
    /* The end is recorded; the job has its last state now. */
    void (*ended)(void *user, struct job *job);
    /* queue_hurry() is recorded. */
    void (*hurried)(void *user, struct job *job);
    /* queue_revive() is recorded: the job is queued again. With why: it could not be. */
    void (*revived)(void *user, struct job *job, const struct xfer_error *why);
    /* A finished job leaves the memory: it is freed right after this. */
    void (*forgotten)(void *user, struct job *job);
    /* Nothing is being recorded any more. */
    void (*settled)(void *user);
    /* queue_note() has said that it is enough: now there is room again. */
    void (*note_room)(void *user, struct job *job);
};

/* Where the lists of jobs (job.list) lie: a directory beside the database. Those that no job names
 * were removed when it was opened, the others are when their jobs are. */
const char *queue_lists(const struct queue *q);

/* From now on these are told; first restored(), for each in the order of position, during the
 * call. Once. */
int queue_serve(struct queue *q, const struct queue_events *events, void *user,
                struct xfer_error *err);

/* What a user may have of unfinished jobs, and of bytes in them; 0: any. For what comes from now
 * on.
 */
void queue_set_limits(struct queue *q, int64_t user_jobs, int64_t user_bytes);
/* The sizes of files count: who submits had better know them. */
bool queue_counts_bytes(const struct queue *q);
/* The size of the job's file (bytes_total) may be another than before. */
void queue_resize(struct queue *q, struct job *job);

/* A new job with the next number; accepted() or existing() follows. NULL: XFER_DRAINING,
 * XFER_QUEUE_FULL, XFER_USER_LIMIT, XFER_NO_RESOURCES. */
struct job *queue_submit(struct queue *q, const struct job_spec *spec, struct xfer_error *err);
/* The same in two steps, between which the job has no number and is the caller's, who may set its
 * bytes_total, and destroys it if it may not come. */
struct job *queue_draft(const struct queue *q, const struct job_spec *spec, struct xfer_error *err);
int queue_admit(struct queue *q, struct job *job, struct xfer_error *err);

/* It runs now (at once; recorded in passing). */
void queue_start(struct queue *q, struct job *job);
/* It doesn't run any more and waits again, until not_before (Unix time; 0: it need not). why: of
 * that attempt, kept with the job; NULL: nothing was wrong. */
void queue_requeue(struct queue *q, struct job *job, double not_before,
                   const struct xfer_error *why);
/* A queued job need not wait for its time any more. hurried() follows, unless its end does. */
void queue_hurry(struct queue *q, struct job *job);
/* It has ended so. why is kept with the job (NULL: no error). ended() follows; until then it keeps
 * its old state. Once a life of a job. */
void queue_end(struct queue *q, struct job *job, enum job_state state,
               const struct xfer_error *why);
/* One that failed or was cancelled is to be queued again, behind all others. revived() follows;
 * until then it keeps its old state. Does nothing when that is under way. unlimited: see job_spec.
 * -1: XFER_DRAINING, XFER_QUEUE_FULL, XFER_USER_LIMIT, XFER_NO_RESOURCES. */
int queue_revive(struct queue *q, struct job *job, bool unlimited, struct xfer_error *err);

/* What is noted of entries of a job. An attempt begins: what was noted of former ones is forgotten.
 */
void queue_note_begin(struct queue *q, struct job *job);
/* Note it, and count it, of one that runs. It is recorded before the end of the job is, but for
 * what is beyond XFER_NOTES_MAX. False: much is not recorded yet; note_room() follows, unless the
 * job ends. */
bool queue_note(struct queue *q, struct job *job, const struct tree_note *note);
/* Read up to limit of them (at most XFER_NOTES_PAGE) with higher numbers than after, the lowest
 * first: of its plan, or else errors and warnings. done() gets what it may borrow; more: there are
 * others behind them. */
int queue_read_notes(struct queue *q, struct job *job, bool plan, int64_t after, int64_t limit,
                     void (*done)(void *user, const struct queue_note *notes, size_t n, bool more,
                                  const struct xfer_error *why),
                     void *user, struct xfer_error *err);
/* Bring the first ones (job_lacks_notes()) back into memory, if the job is still there when they
 * have come. */
int queue_load_notes(struct queue *q, struct job *job,
                     void (*done)(void *user, const struct xfer_error *why), void *user,
                     struct xfer_error *err);

/* What the database has forgotten meanwhile is not found any more, and queue_next() does not come
 * by it. Frees nothing. */
void queue_follow(struct queue *q);
/* One that is in memory. XFER_NO_SUCH_JOB for a number never given, XFER_JOB_FORGOTTEN for any
 * other: queue_fetch() may bring it. */
struct job *queue_find(const struct queue *q, int64_t id, struct xfer_error *err);
/* Look in the database, then done(): queue_find() tells whether it was there. why: it can't be
 * read. */
int queue_fetch(struct queue *q, int64_t id, void (*done)(void *user, const struct xfer_error *why),
                void *user, struct xfer_error *err);

/* Finished jobs out of the database, as of transfer.list: those with lower numbers than before, the
 * highest first, or with before 0 the last to end first. done() gets those that queue_next() does
 * not come by; they are freed after it. */
struct queue_filter {
    int state; /* -1: any */
    bool by_owner;
    uid_t owner;
    int64_t before, limit;
};
int queue_list(struct queue *q, const struct queue_filter *filter,
               void (*done)(void *user, struct job *const *jobs, size_t n,
                            const struct xfer_error *why),
               void *user, struct xfer_error *err);
/* There may be finished jobs in the database that are not among those of queue_next(). */
bool queue_has_older(const struct queue *q);

/* Settings outlive the daemon (see queue_options for drains and the bandwidth). They hold from the
 * call on; done() tells when they are recorded, or why they could not be: the former ones hold
 * again then. */
bool queue_paused(const struct queue *q);
bool queue_draining(const struct queue *q);
int queue_set(struct queue *q, bool paused, bool draining,
              void (*done)(void *user, const struct xfer_error *why), void *user,
              struct xfer_error *err);

/* Bytes a second, as it was set; -1: it was not, and the configuration counts. */
int64_t queue_bandwidth(const struct queue *q);
int queue_set_bandwidth(struct queue *q, int64_t bandwidth,
                        void (*done)(void *user, const struct xfer_error *why), void *user,
                        struct xfer_error *err);

/* Of unfinished jobs: in memory and accepted. Of finished ones: in the database. */
size_t queue_count(const struct queue *q, enum job_state state);
/* Those included that are not accepted yet, or about to be queued again. */
size_t queue_unfinished(const struct queue *q);
/* Nothing is being recorded, but for what nobody waits for. */
bool queue_settled(const struct queue *q);

/* The jobs one after the other: NULL begins, NULL is the end. The group is the state, JOB_DONE for
 * all finished ones that have not been fetched: queued by number, running by start, finished by
 * end. queue_previous() is the same from the last to the first. */
struct job *queue_next(const struct queue *q, enum job_state group, const struct job *after);
struct job *queue_previous(const struct queue *q, enum job_state group, const struct job *before);
/* The same for those that are not accepted yet. */
struct job *queue_next_submitted(const struct queue *q, const struct job *after);

#endif
