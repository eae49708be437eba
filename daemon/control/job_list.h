/* SPDX-License-Identifier: MIT
 *
 * transfer.list: which jobs, and in which order.
 *
 * The running ones in the order of their start, the queued ones by number, then the finished ones,
 * the last to end first. limit is for all of them together; without it there are up to
 * XFER_LIST_FINISHED finished ones. Never more than XFER_LIST_MAX, or XFER_LIST_BYTES_MAX. Where
 * there are too many queued ones, those with the highest numbers are told, with head those with the
 * lowest. With before, finished ones come by number, the highest first, so that a reader can go on
 * with the lowest that it got.
 */
#ifndef XFER_DAEMON_CONTROL_JOB_LIST_H
#define XFER_DAEMON_CONTROL_JOB_LIST_H

#include "daemon/control/control.h"
#include "daemon/control/reply.h"
#include "proto/control_method.h"

/* {"jobs":[...]}, at once or when the database has told what memory doesn't know. */
void job_list_give(struct control *c, struct reply *reply, const struct control_params *p);

#endif
