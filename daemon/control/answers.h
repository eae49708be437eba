/* SPDX-License-Identifier: MIT
 *
 * Replies about jobs: the job object as everybody gets it, and the replies that wait for a job.
 * Rank 0, the loop's thread.
 */
#ifndef XFER_DAEMON_CONTROL_ANSWERS_H
#define XFER_DAEMON_CONTROL_ANSWERS_H

#include <stdbool.h>

#include "daemon/control/control.h"
#include "daemon/control/reply.h"

void answers_init(struct control *c);
void answers_clear(struct control *c); /* before it goes; replies are the clients' to drop */

/* The job object as JSON text; freed by the caller. brief: without the notes of its entries, which
 * otherwise are those in memory. NULL: no memory. */
char *answers_job_text(const struct control *c, const struct job *job, bool brief);

/* Give the job object to one, at once or when its notes have been read. */
void answers_give(struct control *c, struct reply *reply, struct job *job);

/* To those who waited for the submission to be recorded. */
void answers_accepted(struct control *c, struct job *job);
/* To those who asked for what old was asked for before, with its key: old, or that it was asked for
 * something else. */
void answers_existing(struct control *c, struct job *job, struct job *old);
/* To those who wanted it tried again. why: it can't be. */
void answers_retried(struct control *c, struct job *job, const struct xfer_error *why);
/* To all who waited for its end, soon: they may be many. */
void answers_ended(struct control *c, struct job *job);
/* To these now: its end is about to be undone. */
void answers_flush(struct control *c, struct job *job);
/* Give this error to all who wait for the job. */
void answers_fail(struct job *job, const struct xfer_error *why, bool name_job);

/* Nobody waits for an answer that could be given. */
bool answers_settled(const struct control *c);

#endif
