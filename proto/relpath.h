/* SPDX-License-Identifier: MIT
 *
 * Destination paths: always relative to the receiving root, never able to name anything outside it.
 *
 * The normal form: at least one component, components of 1 to XFER_NAME_MAX bytes joined by single
 * '/', no leading or trailing '/', no "." or "..", no component that begins with ".xfer", at most
 * XFER_PATH_SIZE - 1 bytes, no NUL. Any other byte is allowed. This is about the text alone; what
 * links on disk do is the store's business.
 */
#ifndef XFER_PROTO_RELPATH_H
#define XFER_PROTO_RELPATH_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/error.h"

/* Is path[0..len) in normal form? XFER_INVALID_DESTINATION (or XFER_NAME_TOO_LONG) with the reason.
 */
int relpath_check(const char *path, size_t len, struct xfer_error *err);

/* The normal form of the destination that a user asked for.
 * source: the absolute path that is sent; its last component is the file's own name (a trailing '/'
 * means nothing). dest: NULL or "": the own name right under the root; ending in '/': the own name
 * in that directory; else the new name. Repeated '/' and "." components are dropped; an absolute
 * path, ".." and
 * ".xfer*" are refused. out: XFER_PATH_SIZE bytes. */
int relpath_resolve(const char *source, const char *dest, char out[XFER_PATH_SIZE],
                    struct xfer_error *err);

/* Would two normal paths disturb each other: the same, or one an ancestor of the other? */
bool relpath_conflict(const char *a, const char *b);

#endif
