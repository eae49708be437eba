/* SPDX-License-Identifier: MIT
 *
 * Open files that clients hand over (SCM_RIGHTS): counted from when they come until they are
 * closed, looked at before a job may have one, and closed by workers, since both may block for as
 * long as a file system likes, and some are made by users. Rank 0, the loop's thread.
 */
#ifndef XFER_DAEMON_CONTROL_HANDLES_H
#define XFER_DAEMON_CONTROL_HANDLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/send/source_policy.h"
#include "daemon/work/pool.h"
#include "proto/error.h"

struct handles;

struct handle {
    int fd; /* open for reading, CLOEXEC */
    uint64_t dev, ino;
    int64_t size; /* when it was looked at */
};

/* At most max of them at once. Both are borrowed; the pool must outlive the last outstanding work,
 * not this. */
struct handles *handles_create(struct pool *pool, struct source_policy *policy, size_t max,
                               struct xfer_error *err);
/* What is still being looked at is closed without a word. NULL is fine. */
void handles_destroy(struct handles *h);

/* One more has come. False: there are too many, and the caller closes it. */
bool handles_admit(struct handles *h);
size_t handles_count(const struct handles *h);

/* Is this a file that may be sent, as what lies at path? done() follows on the loop's thread, with
 * the handle, which is the callee's then, or with why not (XFER_INVALID_PARAMS, _NOT_REGULAR,
 * _IS_DIRECTORY, _PERMISSION_DENIED ...). fd is taken, on failure too. Path is copied. */
int handles_look(struct handles *h, int fd, const char *path,
                 void (*done)(void *user, const struct handle *handle,
                              const struct xfer_error *why),
                 void *user, struct xfer_error *err);

void handles_close(struct handles *h, int fd); /* one that was admitted */

#endif
