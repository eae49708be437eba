/* SPDX-License-Identifier: MIT
 *
 * With whose rights a job is to be done: the groups of whoever is at the other end of a connection,
 * as the kernel vouches for them, of the time when it was made. Rank 0, the loop's thread; never
 * blocks.
 */
#ifndef XFER_DAEMON_CONTROL_REQUESTER_H
#define XFER_DAEMON_CONTROL_REQUESTER_H

#include <stdbool.h>
#include <sys/types.h>

#include "proto/error.h"

struct requester {
    gid_t gid;
    gid_t *groups; /* supplementary ones: n_groups; NULL: none */
    int n_groups;  /* -1: more than XFER_GROUPS_MAX, or not told */
};

/* needed: more groups than a job can keep are refused (XFER_PERMISSION_DENIED). */
int requester_identify(int fd, bool needed, struct requester *who, struct xfer_error *err);
void requester_free(struct requester *who);

#endif
