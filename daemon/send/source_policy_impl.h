/* SPDX-License-Identifier: MIT
 *
 * What source_policy.c (the rules, and one source) and source_policy_tree.c (what lies beneath one)
 * share.
 */
#ifndef XFER_DAEMON_SEND_SOURCE_POLICY_IMPL_H
#define XFER_DAEMON_SEND_SOURCE_POLICY_IMPL_H

#include <pthread.h>
#include <stdbool.h>

#include "daemon/send/source_policy.h"

#define SHARED_PREFIX "xferd-" /* of where daemons keep in /dev/shm what their ranks share */
#define OWN_PREFIX    ".xfer"  /* of what the receiver keeps for itself beneath its root */

/* why something is refused */
#define POLICY_OWN     "is a file of xferd itself"
#define POLICY_KERNELS "lies in /proc, /sys, /dev or the like"

struct roots;

struct node {
    bool known;
    dev_t dev;
    ino_t ino;
};

struct source_policy {
    pthread_mutex_t mutex; /* of roots and their users, and of: */
    unsigned shares;       /* who will destroy it */
    struct roots *roots;
    char user[128]; /* "NAME (uid N)" */
    char *config;
    char *store_path;    /* links resolved; NULL: none here, or not known */
    char *database_name; /* in its directory */
    struct node database_dir, database_file, log_file, runtime, state, store;
    struct node root, dev, shm; /* "/", "/dev" and "/dev/shm" */
};

/* Unknown when nothing is there. */
struct node policy_node_of(const char *path);

static inline bool policy_is_node(const struct stat *st, const struct node *node)
{
    return node->known && st->st_dev == node->dev && st->st_ino == node->ino;
}

/* XFER_PERMISSION_DENIED, why: "is a file of xferd itself". */
int policy_refuse(const struct source_policy *p, const char *path, const char *why,
                  struct xfer_error *err);
int policy_fail(int errnum, const char *path, struct xfer_error *err);

#endif
