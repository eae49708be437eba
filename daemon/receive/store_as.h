/* SPDX-License-Identifier: MIT
 *
 * As whom files are stored, with store.identity = caller: a user's identity and place for
 * temporaries. Files of one user come in hundreds, and hundreds of them wait for their batch: they
 * share it. Any worker, as the daemon.
 */
#ifndef XFER_DAEMON_RECEIVE_STORE_AS_H
#define XFER_DAEMON_RECEIVE_STORE_AS_H

#include <sys/types.h>

#include "daemon/receive/store_impl.h"
#include "daemon/work/identity.h"
#include "proto/error.h"

struct store_as;

/* The last few are remembered. Each get needs a put. */
struct store_as *store_as_get(struct store *store, uid_t uid, gid_t gid, const gid_t *groups, int n,
                              struct xfer_error *err);
void store_as_put(struct store_as *as); /* NULL is fine */

const struct identity *store_as_identity(const struct store_as *as);
const struct store_area *store_as_area(const struct store_as *as);

struct store_as_kept *store_as_kept_create(void); /* NULL: no memory */
void store_as_kept_destroy(struct store_as_kept *kept);

#endif
