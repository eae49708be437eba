/* SPDX-License-Identifier: MIT
 *
 * The private directory of one running daemon: the supervisor's channel, the ranks' doorbells, the
 * session files of MPI. And a place in memory for the segments that ranks on one machine share: the
 * same directory where that is on tmpfs, else one under /dev/shm.
 *
 * Several daemons of one user each have their own. Both are removed at the end; what a killed
 * daemon left, the next one removes.
 */
#ifndef XFER_DAEMON_RUNTIME_H
#define XFER_DAEMON_RUNTIME_H

#include "daemon/conf.h"
#include "proto/error.h"

struct runtime;

/* Sweep what the dead left, then make new ones. NULL on failure. */
struct runtime *runtime_create(const struct conf *conf, struct xfer_error *err);

/* Remove everything in them but the supervisor's channel: between two generations. */
void runtime_clear(struct runtime *rt);

void runtime_destroy(struct runtime *rt); /* removes both; NULL is fine */

const char *runtime_path(const struct runtime *rt);
const char *runtime_shared(const struct runtime *rt); /* where MPI may put its shared memory */
const char *runtime_handoff(
    const struct runtime *rt); /* path for the supervisor's channel; nothing is there yet */

/* For a rank whose supervisor is gone, as its last act: remove that directory, and the one in
 * memory, unless the owner lives after all. */
void runtime_sweep(const char *path);

#endif
