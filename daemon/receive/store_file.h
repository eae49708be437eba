/* SPDX-License-Identifier: MIT
 *
 * A file between store_begin() and store_commit() or store_abort(). One worker at a time.
 */
#ifndef XFER_DAEMON_RECEIVE_STORE_FILE_H
#define XFER_DAEMON_RECEIVE_STORE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>
#include <xxhash.h>

#include "daemon/receive/store_impl.h"
#include "daemon/receive/store_path.h"
#include "daemon/receive/store_temp.h"

struct store_file {
    struct store *store;
    struct store_parent parent;
    struct store_temp temp; /* temp.at is -1 while the file has no name at all (O_TMPFILE) */
    int fd;
    uint64_t job, file;
    uint64_t size;         /* bytes so far */
    uint64_t preallocated; /* bytes of disk that were asked for */
    XXH3_state_t *digest;
    mode_t mode;
    struct timespec mtime;
    enum overwrite_mode overwrite;
    enum sync_mode sync;
    char path[]; /* relative to the root */
};

enum store_target { TARGET_NONE, TARGET_REPLACEABLE };

/* What is at the target's name? -1 when it is in the way. */
int store_file_target(const struct store_file *file, enum store_target *target,
                      struct xfer_error *err);

/* This is the receiver's error about the path beneath the root. Always -1. */
int store_file_blame(const struct store *store, const char *path, struct xfer_error *err);

/* Close everything, remove the temporary and the directories that were made for it, free file. NULL
 * is fine. */
void store_file_discard(struct store_file *file);

/* Close and free what is left of a file that has its name. */
void store_file_free(struct store_file *file);

#endif
