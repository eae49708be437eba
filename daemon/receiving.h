/* SPDX-License-Identifier: MIT
 *
 * The receiving rank's work: a receiver for each lane of the link, all storing into one root.
 */
#ifndef XFER_DAEMON_RECEIVING_H
#define XFER_DAEMON_RECEIVING_H

#include <ev.h>

#include "daemon/link/link.h"
#include "daemon/receive/store.h"
#include "daemon/work/pool.h"

struct receiving;

/* Connect lanes and receivers, and begin to tell the peer how much space there is. All arguments
 * are borrowed. */
struct receiving *receiving_create(struct ev_loop *loop, struct link *link, struct store *store,
                                   struct pool *pool, struct xfer_error *err);

/* After pool_drain(). What is unfinished is removed. NULL is fine. */
void receiving_destroy(struct receiving *r);

#endif
