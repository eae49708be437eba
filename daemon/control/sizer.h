/* SPDX-License-Identifier: MIT
 *
 * Between the request and the queue, where it counts how large files are: jobs that are not yet
 * submitted wait here until their source's size is known, or SIZER_SECONDS have passed, and leave
 * in the order in which they came. Known is the size of what may be sent alone, as whom it will be
 * sent: of anything else the user must not hear. A source that hangs hangs on a thread of its own.
 * Rank 0, the loop's thread.
 */
#ifndef XFER_DAEMON_CONTROL_SIZER_H
#define XFER_DAEMON_CONTROL_SIZER_H

#include <stdbool.h>
#include <ev.h>

#include "daemon/control/job.h"
#include "daemon/send/source_policy.h"
#include "proto/error.h"

#define SIZER_SECONDS 2.0

struct sizer;

/* policy: what may be sent; NULL: everything. as_owner: with the rights of the job's owner. sized:
 * job->bytes_total is set where the size could be told. The job is the callee's then. */
struct sizer *sizer_create(struct ev_loop *loop, struct source_policy *policy, bool as_owner,
                           void (*sized)(void *user, struct job *job), void *user,
                           struct xfer_error *err);
/* Jobs that wait here are freed; nobody waits for them any more. What hangs is left alone: the
 * process is about to end. NULL is fine. */
void sizer_destroy(struct sizer *s);

/* Jobs wait here, behind which others belong. */
bool sizer_is_busy(const struct sizer *s);

/* Take the job in. look: its size is to be looked up. On failure it stays the caller's:
 * XFER_TOO_BUSY, XFER_NO_RESOURCES. */
int sizer_put(struct sizer *s, struct job *job, bool look, struct xfer_error *err);

/* The first of those that wait, taken out; NULL: none does. For the orderly end. */
struct job *sizer_take(struct sizer *s);

#endif
