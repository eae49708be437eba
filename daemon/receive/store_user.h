/* SPDX-License-Identifier: MIT
 *
 * What the store has for each user: a place for temporaries (store.identity = caller), a name and a
 * directory (store.per_user). All calls are made as the daemon, on any worker.
 */
#ifndef XFER_DAEMON_RECEIVE_STORE_USER_H
#define XFER_DAEMON_RECEIVE_STORE_USER_H

#include <sys/types.h>

#include "daemon/receive/store_impl.h"
#include "daemon/work/identity.h"
#include "proto/error.h"

/* Open partial/ and beside/ in at, which is the daemon's or a user's. owner: make them where they
 * are missing, and see to it that they are that user's alone; NULL: as they are. On failure nothing
 * is open. */
int store_area_open(struct store *store, int at, const struct identity *owner,
                    struct store_area *area, struct xfer_error *err);
void store_area_close(struct store_area *area); /* twice is fine; one all zero is not */

/* Those of a user, made where they are missing. */
int store_area_of_user(struct store *store, const struct identity *owner, struct store_area *area,
                       struct xfer_error *err);

/* Call for the daemon's and for each user's, until one says that it is enough. -1 with errno: they
 * can't be listed. */
int store_area_each(struct store *store,
                    int (*visit)(struct store *store, const struct store_area *area, void *user),
                    void *user);

struct store_names *store_names_create(void); /* NULL: no memory */
void store_names_destroy(struct store_names *names);

/* The name of this user's directory: its name on this host, or its number where it has none that is
 * fit and its own. -1: that can't be told now. */
int store_names_find(struct store_names *names, uid_t uid, char name[XFER_NAME_MAX + 1],
                     struct xfer_error *err);

/* May what is there under that name beneath the root be the user's directory?
 * XFER_PERMISSION_DENIED when it is a directory of another user but the daemon's and root; that
 * nothing is there is fine. */
int store_home_check(const struct store *store, uid_t uid, const char *name,
                     struct xfer_error *err);

/* Make the directory of that name beneath the root and give it to the user, unless something is
 * there, which is checked. It has that name only when it is all that it is to be. */
int store_home_make(struct store *store, const struct identity *owner, const char *name,
                    struct xfer_error *err);

#endif
