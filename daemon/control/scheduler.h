/* SPDX-License-Identifier: MIT
 *
 * Which job starts next, and its way over the sender: by priority, then by number, but never before
 * an earlier job with the same or a nested destination has ended. Rank 0, the loop's thread. Jobs
 * belong to the queue, which is told of starts and ends.
 */
#ifndef XFER_DAEMON_CONTROL_SCHEDULER_H
#define XFER_DAEMON_CONTROL_SCHEDULER_H

#include <stdbool.h>
#include <ev.h>

#include "daemon/control/job.h"
#include "daemon/control/queue.h"
#include "daemon/send/sender.h"
#include "proto/error.h"

struct scheduler;

struct scheduler_events {
    /* State, phase or counters of a job that has not ended changed. */
    void (*changed)(void *user, struct job *job);
};

/* sender NULL: nothing ever starts. */
struct scheduler *scheduler_create(struct ev_loop *loop, struct queue *queue, struct sender *sender,
                                   const struct scheduler_events *events, void *user,
                                   struct xfer_error *err);
/* NULL is fine. With jobs on the sender: it must be destroyed next, before the loop runs again. */
void scheduler_destroy(struct scheduler *s);

/* A queued job that is to run when its turn comes; later numbers come later. Starting happens from
 * the loop, never inside a call. */
int scheduler_add(struct scheduler *s, struct job *job, struct xfer_error *err);
/* Stop one that runs: its end follows (queue_end()), or had already come. One that waits is only
 * taken back: the caller ends it. */
void scheduler_cancel(struct scheduler *s, struct job *job, const struct xfer_error *why);
/* Its end is recorded: whoever waited for it may go on. */
void scheduler_remove(struct scheduler *s, struct job *job);

/* Start no more; stop what runs. A run that ends with the code of why is no end of its job, which
 * is queued again. */
void scheduler_stop(struct scheduler *s, const struct xfer_error *why);
unsigned scheduler_running(const struct scheduler *s);

/* The job that it waits for, or NULL. */
const struct job *scheduler_blocker(const struct scheduler *s, const struct job *job);

#endif
