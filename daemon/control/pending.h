/* SPDX-License-Identifier: MIT
 *
 * A question to the database for the sake of a request. The client may go while it is out, and its
 * reply with it; the question stays until it is answered. Rank 0, the loop's thread.
 */
#ifndef XFER_DAEMON_CONTROL_PENDING_H
#define XFER_DAEMON_CONTROL_PENDING_H

#include "daemon/control/control.h"
#include "daemon/control/reply.h"

struct pending;

/* The reply waits, for so many seconds (negative: for ever), and is about that job (0: none). NULL:
 * no memory; the reply is given then. */
struct pending *pending_create(struct control *c, struct reply *reply, int64_t job, double seconds);
struct control *pending_control(const struct pending *p);
/* The answer is there: the reply, to be given or to wait for something else. NULL: it is owed to
 * nobody any more. The pending is gone. */
struct reply *pending_end(struct pending *p);
/* The question could not even be asked. */
void pending_fail(struct pending *p, const struct xfer_error *why);

void pendings_init(struct control *c);
/* Give all those replies as that error. */
void pendings_fail(struct control *c, const struct xfer_error *why);
/* Before control goes; no answer comes any more. */
void pendings_clear(struct control *c);

#endif
