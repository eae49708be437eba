/* SPDX-License-Identifier: MIT
 *
 * Directories of a tree that were just opened: hundreds of files go into the same one, one after
 * the other, and each would walk there from the root and keep a descriptor of its own.
 *
 * Only for files of one job, and for a moment: whoever moves a directory and then sends to its name
 * reaches the new one. Any worker.
 */
#ifndef XFER_DAEMON_RECEIVE_STORE_DIR_H
#define XFER_DAEMON_RECEIVE_STORE_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct store_dir;
struct store_dirs;

struct store_dirs *store_dirs_create(void); /* NULL: no memory */
void store_dirs_destroy(struct store_dirs *dirs);

/* What this job has opened at that path, [0,len), lately; it may have been removed since. NULL:
 * open it. Each get needs a put. */
struct store_dir *store_dirs_get(struct store_dirs *dirs, uint64_t job, const char *path,
                                 size_t len);
/* It was opened: fd belongs to the result, which is as good as one from store_dirs_get(). NULL: no
 * memory, fd is still the caller's. */
struct store_dir *store_dirs_add(struct store_dirs *dirs, uint64_t job, const char *path,
                                 size_t len, int fd);
void store_dir_put(struct store_dir *dir);
/* Let go of those that nobody gets any more. May block. */
void store_dirs_expire(struct store_dirs *dirs);

int store_dir_fd(const struct store_dir *dir);
dev_t store_dir_device(const struct store_dir *dir);
/* The group that it passes on, as it was when it was opened; false: it passes none on. */
bool store_dir_group(const struct store_dir *dir, gid_t *gid);

/* A name in it that was to be new was taken. From then on it pays to look first. */
void store_dir_set_occupied(struct store_dir *dir);
bool store_dir_is_occupied(const struct store_dir *dir);

#endif
