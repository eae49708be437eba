/* SPDX-License-Identifier: MIT
 *
 * From a relative path to the descriptor of its parent directory, never out of the root. Any
 * worker.
 */
#ifndef XFER_DAEMON_RECEIVE_STORE_PATH_H
#define XFER_DAEMON_RECEIVE_STORE_PATH_H

#include <stdbool.h>

#include "daemon/receive/store_impl.h"
#include "proto/error.h"

struct store_parent {
    int fd;           /* O_PATH, or the root's own; -1: none */
    unsigned depth;   /* directories between the root and the name: 0 when the parent is the root */
    unsigned made;    /* how many of these, the last ones, were made on the way */
    const char *name; /* the last component; points into the path */
    struct store_dir *shared; /* whose fd it is; NULL: its own */
    bool missing;             /* fd is the last directory that is there, name all that follows */
};

/* What about directories on the way that are missing? */
enum store_path_mode {
    STORE_PATH_FIND,  /* fail: XFER_NO_SUCH_FILE */
    STORE_PATH_REACH, /* go as far as they are there */
    STORE_PATH_MAKE   /* make them */
};

/* path is in relpath normal form and must outlive parent. On
 * failure nothing is open and what was made is removed again. Errors: XFER_UNSAFE_PATH for a
 * symbolic link on the way, XFER_NOT_DIRECTORY for what else is no directory. */
int store_path_open(struct store *store, const char *path, enum store_path_mode mode,
                    struct store_parent *parent, struct xfer_error *err);

/* The same as far as it is there (STORE_PATH_REACH), shared with other files of a tree. */
int store_path_share(struct store *store, uint64_t job, const char *path,
                     struct store_parent *parent, struct xfer_error *err);

void store_path_close(const struct store *store, struct store_parent *parent); /* twice is fine */

/* Give a directory that was just made its mode (with what the system has added of set-group-id) and
 * store.group. As whom it was made; -1 with errno set. */
int store_path_settle(const struct store *store, int fd, mode_t mode);

/* Remove the directories that were made for it, as far as they are empty, and close it. */
void store_path_unmake(const struct store *store, const char *path, struct store_parent *parent);

/* Was the parent removed since it was opened? Calls relative to it then fail with ENOENT, and some
 * with EPERM: open it again. */
bool store_path_gone(const struct store_parent *parent);

/* How often that is done before the disturbance counts as an error, and a pause that grows with the
 * number of tries so far: those who disturb each other must not do so in step. */
#define STORE_PATH_TRIES 64
void store_path_pause(int tries);

/* fsync the parent and all directories above it up to the root. file_fd: some file in the same file
 * system, for directories that may not be read; -1: none is at hand. */
int store_path_sync(const struct store *store, const struct store_parent *parent, int file_fd,
                    struct xfer_error *err);

/* The error of a sync that set errno: whatever the number, what was written is lost, and only
 * another attempt helps; that there is no room is worth telling. Always -1. */
int store_sync_failed(const char *what, struct xfer_error *err);

/* fsync a directory; file systems that can't do that for directories are fine. */
int store_sync_dir(int fd, struct xfer_error *err);

#endif
