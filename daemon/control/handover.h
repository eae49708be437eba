/* SPDX-License-Identifier: MIT
 *
 * Requests with source_fd: the descriptor that came with a request is looked at before the request
 * is run, and then belongs to its reply, later to a job. Those with a list of files: it is copied
 * before, and its name goes the same way. Rank 0, the loop's thread.
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

/* The same for the list of files, if there is to be one. */
bool handover_list_ready(struct control *c, struct reply *reply, enum method_id method,
                         const struct control_params *p);
/* The job will not be: its list goes, if it has one. */
void handover_drop_list(struct control *c, const struct job *job);

/* The job, which hangs on a descriptor, gets that of the reply, unless it has one. False: that is
 * another file (XFER_SOURCE_CHANGED). */
bool handover_attach(struct control *c, struct reply *reply, struct job *job,
                     struct xfer_error *err);
/* The same for the descriptor of a submission that was made before, of which only job is left. */
void handover_move(struct control *c, struct job *from, struct job *job);

/* The job needs it no more. */
void handover_close(struct control *c, struct job *job);

#endif
