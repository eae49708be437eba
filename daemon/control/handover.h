/* SPDX-License-Identifier: MIT
 *
 * Requests with source_fd: the descriptor that came with a request is looked at before the request
 * is run, and then belongs to its reply, later to a job. Rank 0, the loop's thread.
 */
#ifndef XFER_DAEMON_CONTROL_HANDOVER_H
#define XFER_DAEMON_CONTROL_HANDOVER_H

#include <stdbool.h>

#include "daemon/control/control.h"
#include "daemon/control/reply.h"

/* May the request go on? True: it wants no descriptor, or its reply has it. False: the reply has
 * been given, or the request is run again later; until then nothing more of its client is run. */
bool handover_ready(struct control *c, struct reply *reply, enum method_id method,
                    const struct control_params *p);

/* The job, which hangs on a descriptor, gets that of the reply, unless it has one. False: that is
 * another file (XFER_SOURCE_CHANGED). */
bool handover_attach(struct control *c, struct reply *reply, struct job *job,
                     struct xfer_error *err);
/* The same for the descriptor of a submission that was made before, of which only job is left. */
void handover_move(struct control *c, struct job *from, struct job *job);

/* The job needs it no more. */
void handover_close(struct control *c, struct job *job);

#endif
