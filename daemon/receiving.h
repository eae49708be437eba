/* SPDX-License-Identifier: MIT
 *
 * The receiving rank's work: a receiver for each lane of the link, all storing into one root; and
 * what is known to the peer of what lies there: free space, partial files.
 */
#ifndef XFER_DAEMON_RECEIVING_H
#define XFER_DAEMON_RECEIVING_H

#include <ev.h>
#include <stdint.h>

#include "daemon/link/link.h"
#include "daemon/receive/store.h"
#include "daemon/work/pool.h"

struct receiving;

/* Connect lanes and receivers, and begin to tell the peer how much space there is and of which jobs
 * something is here. All arguments are borrowed. */
struct receiving *receiving_create(struct ev_loop *loop, struct link *link, struct store *store,
                                   struct pool *pool, struct xfer_error *err);

/* The peer needs nothing of these jobs any more (link_events.forget): remove it, on a worker. */
void receiving_forget(struct receiving *r, const uint64_t *jobs, unsigned n);

/* The peer asks what is at these names (link_events.look): an answer follows. */
void receiving_look(struct receiving *r, const struct wire_look *look);

/* After pool_drain(). What is unfinished is removed, but for what can be gone on with. NULL is
 * fine.
 */
void receiving_destroy(struct receiving *r);

#endif
