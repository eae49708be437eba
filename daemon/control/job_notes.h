/* SPDX-License-Identifier: MIT
 *
 * The first errors and warnings of a job's entries, as its job object tells them. Rank 0, the
 * loop's thread. Most jobs have none.
 */
#ifndef XFER_DAEMON_CONTROL_JOB_NOTES_H
#define XFER_DAEMON_CONTROL_JOB_NOTES_H

#include "proto/control_reply.h"
#include "proto/error.h"

struct job_notes { /* up to XFER_NOTES_SHOWN of each */
    struct control_notes errors, warnings;
};

void job_notes_free(struct job_notes *notes); /* NULL is fine */
/* One more; copied. *notes: made where it is NULL. Beyond XFER_NOTES_SHOWN, and without memory, it
 * is dropped. */
void job_notes_add(struct job_notes **notes, const struct control_note *note);

#endif
