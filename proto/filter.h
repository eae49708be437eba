/* SPDX-License-Identifier: MIT
 *
 * What of a tree is sent: include and exclude rules in the manner of rsync's filter rules (see
 * rsync(1), "PATTERN MATCHING RULES"; the subset is named in xferctl(1)). Pure code: the daemon
 * matches with it, xferctl only checks.
 *
 * A rule is "+ PATTERN" (send) or "- PATTERN" (leave out); the first that matches counts, and what
 * none matches is sent. Of a directory that is left out nothing is looked at.
 */
#ifndef XFER_PROTO_FILTER_H
#define XFER_PROTO_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/error.h"

struct filter;

/* n rules, 0 .. XFER_FILTER_RULES_MAX, of XFER_FILTER_SIZE bytes together. NULL:
 * XFER_INVALID_PARAMS with the rule and what is wrong with it, XFER_NO_RESOURCES. */
struct filter *filter_create(const char *const *rules, size_t n, struct xfer_error *err);
/* One more who destroys it; NULL is fine. On any thread. */
struct filter *filter_share(const struct filter *f);
void filter_destroy(struct filter *f); /* the last one frees; NULL is fine */

/* Is it to be sent? path: relative to the top of the tree, no leading or trailing '/'; f NULL: yes.
 * That the directories above it are is for the caller to know. Thread-safe. */
bool filter_passes(const struct filter *f, const char *path, bool is_directory);

#endif
