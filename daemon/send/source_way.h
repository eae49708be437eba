/* SPDX-License-Identifier: MIT
 *
 * The way to a source by its path. On the sending rank; may block and is called on a worker.
 */
#ifndef XFER_DAEMON_SEND_SOURCE_WAY_H
#define XFER_DAEMON_SEND_SOURCE_WAY_H

#include <stdbool.h>
#include <sys/stat.h>

#include "daemon/send/source_policy.h"
#include "proto/error.h"

/* To a regular file, or with trees also to a directory, links followed: an O_PATH descriptor. It
 * may be sent (policy NULL: everything may). place, of a directory, unless NULL: all 0 before. */
int source_way_open(struct source_policy *policy, const char *path, bool trees, struct stat *st,
                    struct source_policy_place *place, struct xfer_error *err);

/* What the system said about path. */
int source_way_fail(struct source_policy *policy, int errnum, const char *path,
                    struct xfer_error *err);

#endif
