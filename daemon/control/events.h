/* SPDX-License-Identifier: MIT
 *
 * Subscriptions: who is told what becomes of jobs. Rank 0, the loop's thread.
 *
 * - A job has at most XFER_EVENTS_PER_SECOND events a second; the one of its end is told at once.
 * - A client that reads too slowly gets the latest state of each job when there is room again, and
 * is told how many events it missed. An end is never left out: whoever has not been told of an end
 * when the job is forgotten is disconnected.
 * - What waits for a slow client is not stored: memory doesn't grow with what it misses.
 */
#ifndef XFER_DAEMON_CONTROL_EVENTS_H
#define XFER_DAEMON_CONTROL_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ev.h>

#include "daemon/control/client.h"
#include "daemon/control/job.h"
#include "proto/error.h"

struct events;

struct events *events_create(struct ev_loop *loop, struct xfer_error *err);
void events_destroy(struct events *e); /* NULL is fine; before the queue is destroyed */

/* A new job, or one that has ended: told at once. */
void events_publish(struct events *e, struct job *job);
/* Counters, phase or state of an unfinished job changed: told when its turn has come. */
void events_changed(struct events *e, struct job *job);
/* The job is about to be freed. */
void events_forget(struct events *e, struct job *job);

/* job NULL: all jobs, first each unfinished one; else that one, finished or not. XFER_TOO_BUSY,
 * XFER_NO_RESOURCES. */
int events_subscribe(struct events *e, struct client *client, struct job *job,
                     struct xfer_error *err);
void events_unsubscribe(struct events *e, struct client *client);
/* There is room in the client's output. */
void events_pump(struct events *e, struct client *client);

#endif
