/* SPDX-License-Identifier: MIT
 *
 * Lists of files that clients give with their jobs: each is copied into a file of its own beside
 * the queue's database, and is on disk with its directory before the job is recorded. A list has a
 * name, which is what the job keeps; it tells the content, too. What removes them when their job
 * has gone is the database (queue_db_lists.c). Rank 0, the loop's thread; the work is done by
 * workers.
 */
#ifndef XFER_DAEMON_CONTROL_LISTS_H
#define XFER_DAEMON_CONTROL_LISTS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/work/pool.h"
#include "proto/control_method.h"
#include "proto/error.h"

struct lists;

/* directory: absolute, made (0700) with the first list; id: of the queue. The pool is borrowed, and
 * must outlive the last outstanding work, not this; NULL: none can be taken. */
struct lists *lists_create(const char *directory, const unsigned char id[XFER_QUEUE_ID_SIZE],
                           struct pool *pool, struct xfer_error *err);
/* Nothing is told of what is still being copied. NULL is fine. */
void lists_destroy(struct lists *l);

/* Copy a list: out of fd (from its beginning, whatever its offset), or with fd -1 files. done()
 * follows on the loop's thread, with fd, which stays the caller's, and with the name, which is the
 * callee's (free()), or with why not: XFER_INVALID_PARAMS (not a regular file open for reading,
 * empty, longer than XFER_FILES_LIST_MAX, not ended by a NUL), or what the disk says. */
int lists_take(struct lists *l, int fd, const struct control_strings *files,
               void (*done)(void *user, int fd, char *name, const struct xfer_error *why),
               void *user, struct xfer_error *err);

/* One whose job will not be. */
void lists_remove(struct lists *l, const char *name);

/* Do they say the same? Either may be NULL: no list. */
bool lists_same(const char *a, const char *b);

#endif
