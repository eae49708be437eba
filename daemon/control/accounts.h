/* SPDX-License-Identifier: MIT
 *
 * What users have in the queue: how many jobs, how many bytes in them, and whether they may have
 * more. Knows nothing of jobs: the queue tells what comes and goes. Rank 0, the loop's thread.
 */
#ifndef XFER_DAEMON_CONTROL_ACCOUNTS_H
#define XFER_DAEMON_CONTROL_ACCOUNTS_H

#include <stdint.h>
#include <sys/types.h>

#include "proto/error.h"

struct accounts;

struct accounts *accounts_create(struct xfer_error *err);
void accounts_destroy(struct accounts *a); /* NULL is fine */

/* 0: none. They are looked at by accounts_check() alone. */
void accounts_set_limits(struct accounts *a, int64_t jobs, int64_t bytes);

/* May this user have one more job, of so many bytes (0: that is not known)? XFER_USER_LIMIT with
 * the limit and what there is. */
int accounts_check(const struct accounts *a, uid_t uid, int64_t bytes, struct xfer_error *err);

/* A job comes, whatever the limits say; changes its size; goes. bytes: 0 or more. */
int accounts_add(struct accounts *a, uid_t uid, int64_t bytes, struct xfer_error *err);
void accounts_resize(struct accounts *a, uid_t uid, int64_t from, int64_t to);
void accounts_remove(struct accounts *a, uid_t uid, int64_t bytes);

int64_t accounts_jobs(const struct accounts *a, uid_t uid);
int64_t accounts_bytes(const struct accounts *a, uid_t uid); /* INT64_MAX: or more */

#endif
