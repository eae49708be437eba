/* SPDX-License-Identifier: MIT
 *
 * Working with somebody else's rights. A worker takes on the file system identity of a user (user,
 * group, supplementary groups) for one piece of disk work, and is the daemon's again afterwards.
 * All of it belongs to that one thread: what others do meanwhile, they do as the daemon.
 *
 * Only for a daemon that is root. The capabilities that make root mighty over files follow the file
 * system user by themselves; all others are given up at the start by identity_prepare().
 */
#ifndef XFER_DAEMON_WORK_IDENTITY_H
#define XFER_DAEMON_WORK_IDENTITY_H

#include <stdbool.h>
#include <sys/types.h>

#include "proto/error.h"

struct identity;

/* groups: n supplementary ones, 0 .. XFER_GROUPS_MAX; copied. NULL: no memory. */
struct identity *identity_create(uid_t uid, gid_t gid, const gid_t *groups, int n,
                                 struct xfer_error *err);
void identity_destroy(struct identity *who); /* NULL is fine */

uid_t identity_uid(const struct identity *who);
gid_t identity_gid(const struct identity *who);
const gid_t *identity_groups(const struct identity *who, int *n);

/* May this process do it? XFER_CONFIG and what is missing. */
int identity_check(struct xfer_error *err);

/* Make ready, once and before there are threads: gives up for good every capability that this does
 * not take, and takes down who the daemon itself is. As identity_check(). */
int identity_prepare(struct xfer_error *err);

/* Be that user from now on, in this thread. NULL: stay the daemon, which never fails. On failure
 * (XFER_PERMISSION_DENIED, XFER_NO_RESOURCES) this thread is still the daemon. Not while it is
 * somebody already. */
int identity_assume(const struct identity *who, struct xfer_error *err);
/* Be the daemon again. What can't be undone ends the process. Fine when it is. */
void identity_drop(void);

/* Be the daemon for a moment, in the middle of it. */
const struct identity *identity_pause(void);
void identity_resume(const struct identity *who);

/* Is this thread somebody else now? */
bool identity_is_assumed(void);
/* To whom belongs what this thread makes? */
uid_t identity_now(void);

#endif
