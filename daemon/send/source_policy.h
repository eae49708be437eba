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

#include <stdbool.h>
#include <sys/stat.h>

#include "proto/error.h"

struct source_policy;

#define SOURCE_POLICY_LISTS ".lists" /* the directory beside the database: its name and this */

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

/* ---- trees (source_policy_tree.c) ----
 *
 * What lies beneath a directory that may be sent may be sent, but for the daemon's own and the
 * kernel's: these checks need no way to it. p may be NULL: everything may be sent. */

/* Of a directory: what matters for what is in it. */
struct source_policy_place {
    bool in_store, in_shm;    /* it, or it is beneath */
    bool is_shm, is_database; /* it itself */
    bool config_known;        /* as it was when the directory was entered: */
    dev_t config_dev;
    ino_t config_ino;
};

/* As source_policy_check(), of a directory that is to be sent with all that is in it. */
int source_policy_check_top(struct source_policy *p, int fd, const struct stat *st,
                            const char *path, struct source_policy_place *place,
                            struct xfer_error *err);
/* What is called name in a directory, of which st tells: no system call is made. */
int source_policy_check_in(const struct source_policy *p, const struct source_policy_place *in,
                           const char *name, const struct stat *st, const char *path,
                           struct xfer_error *err);
/* A directory in one on device above, opened as fd; after source_policy_check_in(). */
int source_policy_enter(const struct source_policy *p, const struct source_policy_place *in,
                        dev_t above, int fd, const struct stat *st, const char *path,
                        struct source_policy_place *place, struct xfer_error *err);
/* What is no directory, and lies on another device than its directory dir_fd. */
int source_policy_check_device(const struct source_policy *p, int dir_fd, const char *name,
                               const struct stat *st, const char *path, struct xfer_error *err);
/* As source_policy_denied(). */
int source_policy_denied_in(const struct source_policy *p, int errnum, const char *path,
                            struct xfer_error *err);

/* ---- */

/* Where in the tree with this top (its descriptor) does dest lie, beneath the receiving root of
 * this host? Its path relative to the top into inside; "" when it does not. -1: it is the top
 * itself, XFER_INVALID_DESTINATION. p may be NULL. */
int source_policy_inside(const struct source_policy *p, int top_fd, const char *dest,
                         const char *path, char inside[XFER_LONG_PATH_SIZE],
                         struct xfer_error *err);

/* The daemon's user, as "NAME (uid N)". p may be NULL. */
const char *source_policy_user(const struct source_policy *p);

/* What the system refused as EACCES or EPERM: says to whom, and what to do about it. p may be NULL.
 */
int source_policy_denied(const struct source_policy *p, int errnum, const char *path,
                         struct xfer_error *err);

#endif
