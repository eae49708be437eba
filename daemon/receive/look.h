/* SPDX-License-Identifier: MIT
 *
 * Answers the LOOKs of the sending rank, in their order. On the loop's thread of the receiving
 * rank; the disk is touched on a strand of its own, so that a file that hangs holds no LOOK.
 */
#ifndef XFER_DAEMON_RECEIVE_LOOK_H
#define XFER_DAEMON_RECEIVE_LOOK_H

#include "daemon/receive/store.h"
#include "daemon/work/pool.h"
#include "proto/wire.h"

struct looker;

/* On the loop's thread; looked is the caller's again afterwards. */
typedef void (*looker_answer)(void *user, const struct wire_looked *looked);

struct looker *looker_create(struct store *store, struct pool *pool, looker_answer answer,
                             void *user, struct xfer_error *err);

/* Copied. Whoever calls sees to it that no more than XFER_LOOKS_MAX are unanswered. Without memory
 * it is answered at once: everything has failed. */
void looker_look(struct looker *looker, const struct wire_look *look);

/* After pool_drain(), or waits: what is outstanding is done and not answered. NULL is fine. */
void looker_destroy(struct looker *looker);

#endif
