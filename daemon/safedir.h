/* SPDX-License-Identifier: MIT
 *
 * Directories in which nobody else can put things in our way, and the removal of what is in them.
 */
#ifndef XFER_DAEMON_SAFEDIR_H
#define XFER_DAEMON_SAFEDIR_H

#include <stdbool.h>
#include <sys/types.h>

#include "proto/error.h"

/* Make the directory with that mode where it is missing, its missing parents too; then require that
 * it belongs to this uid or to root, and that others may not write to it, or only under the rule of
 * the sticky bit. own_only: also that it belongs to this uid alone and that nobody else may write
 * to it at all. */
int safedir_ensure(const char *path, mode_t mode, bool own_only, struct xfer_error *err);

/* Remove everything under the open directory, but for the entries with that name (NULL: none) right
 * under it. Links are removed, never followed. 0, or -1 when something is left. The descriptor
 * stays open. */
int safedir_empty(int dirfd, const char *keep);

#endif
