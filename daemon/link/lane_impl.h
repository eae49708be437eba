/* SPDX-License-Identifier: MIT
 *
 * What the link needs of its lanes, beyond what lane.h offers to the sender and the receiver.
 */
#ifndef XFER_DAEMON_LINK_LANE_IMPL_H
#define XFER_DAEMON_LINK_LANE_IMPL_H

#include <mpi.h>

#include "daemon/link/lane.h"
#include "daemon/link/link.h"
#include "daemon/link/requests.h"

enum lane_end { LANE_SENDING, LANE_RECEIVING };

/* One end of a lane to that peer on comm (borrowed). Posts its first receives. */
struct lane *lane_create(struct link *link, MPI_Comm comm, int peer, enum lane_end end,
                         uint32_t chunk, struct xfer_error *err);
void lane_destroy(struct lane *lane); /* cancels what is posted; NULL is fine */

/* Have all looked at that may have come or gone. */
void lane_add_requests(struct lane *lane, struct requests *requests);

/* Take what has come or gone by the last look: > 0 something had, 0 nothing, -1 the link is broken.
 * Calls the lane's handlers. */
int lane_take(struct lane *lane, struct xfer_error *err);

/* Messages of this end that have not left yet. */
unsigned lane_outgoing(const struct lane *lane);

/* The other end owes a message (receipt; or data, end and verdict of a file that was begun). */
bool lane_expecting(const struct lane *lane);

/* Data may be on its way to this end. */
bool lane_receiving(const struct lane *lane);

/* All its chunks are on their way to the other end, or with who writes them. */
bool lane_blocked(const struct lane *lane);

/* Called by a lane when it handed a message to MPI; implemented by the link. */
void link_sent(struct link *link);

/* The same when a chunk of so many bytes is on its way, or has come. */
void link_data(struct link *link, size_t len);

/* Called by a lane when a message came in: the other side lives. */
void link_heard(struct link *link);

#endif
