/* SPDX-License-Identifier: MIT
 *
 * The queue: all jobs of this daemon, by number and by state, and the record of what became of
 * them. Rank 0, the loop's thread.
 *
 * A submission and every change of state are recorded. What may be told to the outside only when it
 * is recorded (that a job was accepted, that it has ended) is told by the queue through its events,
 * never from inside the call that asked for it: a queue that writes to a disk answers later, and so
 * does this one, which keeps all in memory.
 */
#ifndef XFER_DAEMON_CONTROL_QUEUE_H
#define XFER_DAEMON_CONTROL_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ev.h>

#include "daemon/control/job.h"
#include "proto/error.h"

struct queue;

struct queue_events {
    /* The submission is recorded: the job can be found from now on. With why: it could not be; the
     * job is freed right after. */
    void (*accepted)(void *user, struct job *job, const struct xfer_error *why);
    /* The end is recorded; the job has its last state now. */
    void (*ended)(void *user, struct job *job);
    /* One of the oldest finished jobs is freed right after this. */
    void (*forgotten)(void *user, struct job *job);
};

struct queue *queue_create(struct ev_loop *loop, const struct queue_events *events, void *user,
                           struct xfer_error *err);
void queue_destroy(struct queue *q); /* NULL is fine; frees all jobs without a word */

/* A new job with the next number; accepted() follows. NULL: XFER_QUEUE_FULL, XFER_NO_RESOURCES. */
struct job *queue_submit(struct queue *q, const struct job_spec *spec, struct xfer_error *err);

/* It runs now (at once; recorded in passing). */
void queue_start(struct queue *q, struct job *job);
/* It doesn't run any more and waits again. */
void queue_requeue(struct queue *q, struct job *job);
/* It has ended so. why is kept with the job (NULL: no error). ended() follows; until then it keeps
 * its old state. Once a job. */
void queue_end(struct queue *q, struct job *job, enum job_state state,
               const struct xfer_error *why);

/* XFER_NO_SUCH_JOB for a number never given, XFER_JOB_FORGOTTEN for one that was pruned. */
struct job *queue_find(const struct queue *q, int64_t id, struct xfer_error *err);

size_t queue_count(const struct queue *q, enum job_state state);
/* Nothing is being recorded. */
bool queue_settled(const struct queue *q);

/* The jobs one after the other: NULL begins, NULL is the end. The group is the state, JOB_DONE for
 * all finished ones: queued by number, running by start, finished by end. queue_previous() is the
 * same from the last to the first. */
struct job *queue_next(const struct queue *q, enum job_state group, const struct job *after);
struct job *queue_previous(const struct queue *q, enum job_state group, const struct job *before);

#endif
