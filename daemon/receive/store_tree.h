/* SPDX-License-Identifier: MIT
 *
 * When did the work of a job on a tree begin? An empty file among the daemon's own temporaries,
 * QUEUE-JOB-tree, tells by its modification time, until nothing of the job is needed any more. No
 * user can make one or change it: it says what another attempt may leave out. As the daemon, on any
 * worker.
 */
#ifndef XFER_DAEMON_RECEIVE_STORE_TREE_H
#define XFER_DAEMON_RECEIVE_STORE_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "daemon/receive/store_impl.h"

/* It begins now, unless it has begun. -1 with errno set. */
int store_tree_begin(struct store *store, uint64_t job);

/* False when that isn't known. */
bool store_tree_began(const struct store *store, uint64_t job, struct timespec *when);

#endif
