/* SPDX-License-Identifier: MIT
 *
 * The methods: one function each, found by the number of the method. Rank 0, the loop's thread.
 */
#ifndef XFER_DAEMON_CONTROL_HANDLERS_H
#define XFER_DAEMON_CONTROL_HANDLERS_H

#include "daemon/control/control.h"
#include "daemon/control/reply.h"
#include "proto/control_request.h"

/* Run a request; the reply is given, or waits for what it needs. */
void handlers_run(struct control *c, struct reply *reply, const struct control_request *request);

/* Run the one that was kept with its reply (reply_keep()) from the start. */
void handlers_again(struct control *c, struct reply *reply);

/* Jobs, or a drain, have come to an end: tell those who wait for the last one. */
void handlers_look_drained(struct control *c);

/* A job that was asked for comes to the queue now, or is refused and freed. */
void handlers_admit(struct control *c, struct job *job);

#endif
