/* SPDX-License-Identifier: MIT
 *
 * Which job has to wait for which: jobs with the same or nested destinations (relpath_conflict())
 * run in the order of their positions, which is that of their submission. Holds every unfinished
 * job. Rank 0, the loop's thread; jobs are borrowed.
 *
 * A job never knows all that stand before it, only one: the latest earlier job that conflicts. When
 * that one has gone it looks again. So the end of a job costs as much as there are jobs that waited
 * just for it, and a thousand jobs for one destination form a chain.
 */
#ifndef XFER_DAEMON_CONTROL_DESTINATIONS_H
#define XFER_DAEMON_CONTROL_DESTINATIONS_H

#include "daemon/control/job.h"
#include "proto/error.h"

struct destinations;

struct destinations *destinations_create(struct xfer_error *err);
void destinations_destroy(struct destinations *d); /* NULL is fine; lets go of all jobs */

/* Jobs come with ascending positions; one that comes back after its end has a new one. */
int destinations_add(struct destinations *d, struct job *job, struct xfer_error *err);

/* An earlier job here that conflicts, the latest one as a rule, or NULL. */
struct job *destinations_blocker(const struct destinations *d, const struct job *job);

/* Take a job out. Those that waited for it and may be free now are appended to *again (linked by
 * schedule.waiting). Fine for a job that is not here. */
void destinations_remove(struct destinations *d, struct job *job, struct list *again);

#endif
