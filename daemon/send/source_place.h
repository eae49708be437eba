/* SPDX-License-Identifier: MIT
 *
 * Where an opened file really lies: not by which name it was asked for, but by which directories
 * the kernel says that it hangs. On the sending rank; the calls may block and are made on a worker.
 */
#ifndef XFER_DAEMON_SEND_SOURCE_PLACE_H
#define XFER_DAEMON_SEND_SOURCE_PLACE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "proto/limits.h"

enum source_place_result {
    PLACE_FOUND,
    PLACE_GONE,        /* it has no name any more */
    PLACE_MOVED,       /* it is being moved about right now */
    PLACE_UNREACHABLE, /* no way leads to it from this process's root */
    PLACE_DENIED,      /* one does, which this process may not go */
    PLACE_FAILED       /* errno says why it can't be told */
};

/* One directory on the way, the root first, and at last the file itself. name: in its directory;
 * "" for the root. */
typedef void source_place_visit(void *user, const char *name, const struct stat *st, bool last);

/* Go to the file that fd (O_PATH is enough, st: its fstat()) is, by its real path, through nothing
 * but directories, and visit each. The visits may come again from the root when it moves meanwhile.
 * real: its path, also where it could not be reached, "" when there is none. */
enum source_place_result source_place_find(int fd, const struct stat *st, source_place_visit *visit,
                                           void *user, char real[XFER_PATH_SIZE]);

/* The last directory that is there on the way to path, where nothing is found: O_PATH, and what
 * path is looked for in. -1: that can't be told, or a symbolic link leads on from there. */
int source_place_nearest(const char *path, struct stat *st);

/* The path that the kernel tells, as a text alone. false: none. */
bool source_place_text(int fd, char real[XFER_PATH_SIZE]);

/* Is path that directory or beneath it? By whole components. */
bool source_place_beneath(const char *path, const char *directory);

/* A file system in which files are no files but what the kernel tells, or takes. 1, 0, or -1 with
 * errno. */
int source_place_is_kernels(int fd);

#endif
