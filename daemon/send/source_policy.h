/* SPDX-License-Identifier: MIT
 *
 * What may be sent. A source that is named by its path is opened with the daemon's rights, so
 * anybody who may submit could have anything sent that the daemon can read: it must lie beneath
 * source.roots, be none of the daemon's own files, and no file that the kernel makes up. A source
 * that was handed over as an open descriptor need not lie beneath the roots: whoever opened it
 * could read it.
 *
 * On the sending rank. The checks may block and are made on workers, several at once; the roots may
 * change at any time.
 */
#ifndef XFER_DAEMON_SEND_SOURCE_POLICY_H
#define XFER_DAEMON_SEND_SOURCE_POLICY_H

#include <sys/stat.h>

#include "proto/error.h"

struct source_policy;

struct source_policy_options { /* NULL: there is none */
    const char *roots;         /* as source.roots: absolute paths, separated by ':' */
    const char *database;      /* of the queue, open by now, with the files beside it */
    const char *config;        /* file */
    const char *runtime;       /* directory: all that is in it */
    const char *state;         /* directory: all that is in it, but for: */
    const char *store;         /* receiving root on this host; of it what begins with ".xfer" */
};

/* At start, before the loop runs: asks for the name of the daemon's user, and where its directories
 * are. */
struct source_policy *source_policy_create(const struct source_policy_options *options,
                                           struct xfer_error *err);
/* One more who destroys it: for whom a check may outlast all others. */
struct source_policy *source_policy_share(struct source_policy *p);
void source_policy_destroy(struct source_policy *p); /* no check is under way; NULL is fine */

/* From the next check on; never blocks. The empty list: nothing is opened by a path. XFER_CONFIG
 * (no list of absolute paths), XFER_NO_RESOURCES: nothing has changed. */
int source_policy_set_roots(struct source_policy *p, const char *roots, struct xfer_error *err);

/* Is it to be told nothing of what lies elsewhere, not even whether it is there, or what kind of
 * file that is? */
bool source_policy_is_narrow(struct source_policy *p);

/* May this be sent, which path has led to? fd: O_PATH is enough; st: its fstat(). Else
 * XFER_PERMISSION_DENIED, or how it failed. */
int source_policy_check(struct source_policy *p, int fd, const struct stat *st, const char *path,
                        struct xfer_error *err);
/* Nothing could be reached at path, with that errno: may that be told? XFER_PERMISSION_DENIED when
 * not, as for what is there and not beneath the roots; else the error that it is. */
int source_policy_missing(struct source_policy *p, int errnum, const char *path,
                          struct xfer_error *err);
/* And this, which was handed over as what lies at path? */
int source_policy_check_handle(struct source_policy *p, int fd, const struct stat *st,
                               const char *path, struct xfer_error *err);

/* The daemon's user, as "NAME (uid N)". p may be NULL. */
const char *source_policy_user(const struct source_policy *p);

/* What the system refused as EACCES or EPERM: says to whom, and what to do about it. p may be NULL.
 */
int source_policy_denied(const struct source_policy *p, int errnum, const char *path,
                         struct xfer_error *err);

#endif
