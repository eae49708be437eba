/* SPDX-License-Identifier: MIT
 *
 * Which job starts next, its way over the sender, a file or a tree, and what becomes of it then: by
 * priority, then by position, but never before an earlier job with the same or a nested destination
 * has ended. A failed attempt that is worth another goes back to wait for its time, and keeps its
 * place. Rank 0, the loop's thread. Jobs belong to the queue, which is told of starts and ends.
 */
#ifndef XFER_DAEMON_CONTROL_SCHEDULER_H
#define XFER_DAEMON_CONTROL_SCHEDULER_H

#include <stdbool.h>
#include <ev.h>

#include "daemon/control/job.h"
#include "daemon/control/queue.h"
#include "daemon/control/retry.h"
#include "daemon/send/sender.h"
#include "proto/error.h"

struct scheduler;

struct scheduler_options {
    struct sender *sender; /* NULL: nothing ever starts */
    struct retry_policy retry;
    double stall_timeout; /* seconds without a byte after which an attempt has failed; 0: never */
    double handle_wait;   /* seconds from now on in which lost descriptors are waited for */
    bool paused;
    bool as_owner; /* sources are read with the rights of the job's owner */
};

/* Since the start. */
struct scheduler_counts {
    int64_t started; /* attempts */
    int64_t failed;  /* those that failed; not those that were cut short or cancelled */
    int64_t bytes;   /* of files, that left for the receiver, whatever became of them */
    /* Of trees: what was stored of their files, whatever became of the whole. */
    int64_t tree_files, tree_bytes;
};

struct scheduler_events {
    /* State, phase or counters of a job that has not ended changed. */
    void (*changed)(void *user, struct job *job);
    /* An attempt that hung is over at last, after the end of its job: what the receiver has kept of
     * it is of no use, unless the job may be tried again. */
    void (*left)(void *user, int64_t job);
};

struct scheduler *scheduler_create(struct ev_loop *loop, struct queue *queue,
                                   const struct scheduler_options *options,
                                   const struct scheduler_events *events, void *user,
                                   struct xfer_error *err);
/* NULL is fine. With jobs on the sender: it must be destroyed next, before the loop runs again. */
void scheduler_destroy(struct scheduler *s);

/* A queued job that is to run when its turn comes, or its time (not_before); higher positions come
 * later. Starting happens from the loop, never inside a call. */
int scheduler_add(struct scheduler *s, struct job *job, struct xfer_error *err);
/* Stop one that runs: its end follows (queue_end()), or had already come. One that waits is only
 * taken back: the caller ends it. */
void scheduler_cancel(struct scheduler *s, struct job *job, const struct xfer_error *why);
/* There is room for notes of its entries again. */
void scheduler_go_on(struct scheduler *s, struct job *job);
/* Its not_before counts no more. */
void scheduler_hurry(struct scheduler *s, struct job *job);
/* Its end is recorded: whoever waited for it may go on. */
void scheduler_remove(struct scheduler *s, struct job *job);

/* For attempts that fail from now on. */
void scheduler_set_retry(struct scheduler *s, const struct retry_policy *policy);
/* From now on, also for what runs; it is given the whole time. */
void scheduler_set_stall_timeout(struct scheduler *s, double seconds);

/* Start none until that is over; what runs goes on. */
void scheduler_pause(struct scheduler *s, bool paused);

/* Start no more; stop what runs, so that another attempt can go on with what there is. A run that
 * ends with the code of why is no end of its job, which is queued again. */
void scheduler_stop(struct scheduler *s, const struct xfer_error *why);
/* Those that are stuck for good are not counted. */
unsigned scheduler_running(const struct scheduler *s);
const struct scheduler_counts *scheduler_counts(const struct scheduler *s);

/* The job that it waits for, or NULL. */
const struct job *scheduler_blocker(const struct scheduler *s, const struct job *job);

#endif
