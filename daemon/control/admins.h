/* SPDX-License-Identifier: MIT
 *
 * Who is on the other end of a connection, and is it an administrator: root, the daemon's own user,
 * and whom control.admins names.
 */
#ifndef XFER_DAEMON_CONTROL_ADMINS_H
#define XFER_DAEMON_CONTROL_ADMINS_H

#include <stdbool.h>
#include <sys/types.h>

#include "proto/error.h"

struct admins;

/* text: user names, uids or @groups, separated by blanks or commas. Looks names up, which may
 * block: at start only. XFER_CONFIG on a name that is not known. */
struct admins *admins_create(const char *text, struct xfer_error *err);
void admins_destroy(struct admins *a); /* NULL is fine */

/* The same list with numbers for names, to be written in size bytes: for admins_create() where
 * nothing may block. XFER_CONFIG also when it is too long. */
int admins_resolve(const char *text, char *numbers, size_t size, struct xfer_error *err);

/* The peer of a connected Unix socket as the kernel vouches for it: its user at the time of
 * connect(), and whether it is an administrator. Never blocks. */
int admins_identify(const struct admins *a, int fd, uid_t *uid, bool *admin,
                    struct xfer_error *err);

/* The uid that a user name or digits stand for, by what /etc/passwd says: never asks a service that
 * might be slow. */
int admins_find_user(const char *name, uid_t *uid, struct xfer_error *err);

#endif
