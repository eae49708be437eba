/* SPDX-License-Identifier: MIT
 *
 * Extended attributes and access control lists on disk, for both ranks: what one reads as
 * attributes to send, the other reads in the same way to compare. On a worker, as whom it is done:
 * what is not user.* nor a list is root's alone.
 */
#ifndef XFER_DAEMON_WORK_XATTR_H
#define XFER_DAEMON_WORK_XATTR_H

#include <stddef.h>
#include <stdint.h>

#include "proto/attrs.h"
#include "proto/error.h"

/* All that belongs to preserve. *out is the caller's, NULL: there are none, also where the file
 * system has none at all. -1: they can't be read or have too many bytes; the text says why, as what
 * follows a name. fd may be an O_PATH one, also of a symbolic link. */
int xattr_collect(int fd, uint32_t preserve, struct attrs **out, struct xfer_error *err);
/* Of what is called name in a directory (O_PATH is enough); it is neither opened nor followed. */
int xattr_collect_at(int dir_fd, const char *name, uint32_t preserve, struct attrs **out,
                     struct xfer_error *err);

/* XXH3-64 of the bytes; 0: there are none. */
uint64_t xattr_hash(const struct attrs *attrs);

/* -1 with errno set. fd may be an O_PATH one. */
int xattr_set(int fd, const char *name, const void *value, size_t len);
int xattr_remove(int fd, const char *name);

#endif
