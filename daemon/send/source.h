/* SPDX-License-Identifier: MIT
 *
 * A file that is being sent, as it lies on disk. All but source_read_now() may block and are called
 * on a worker.
 */
#ifndef XFER_DAEMON_SEND_SOURCE_H
#define XFER_DAEMON_SEND_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "daemon/send/source_policy.h"
#include "proto/attrs.h"
#include "proto/error.h"

/* Files up to this size are read, checked and closed as they are opened: one trip to a worker
 * instead of three. */
#define SOURCE_WHOLE_MAX (64 * 1024)

struct walk_dir;

struct source {
    char *path;
    struct source_policy *policy; /* borrowed; NULL: everything may be sent */
    bool handle;                  /* it was handed over as an open file, of this inode: */
    uint64_t handle_dev, handle_ino;
    int given;            /* that descriptor; -1: it was lost, and path may lead to the same file */
    struct walk_dir *dir; /* shared: it is opened there, as name; NULL: by its path */
    char *name;
    struct stat seen;     /* what the walk saw there */
    int fd;               /* -1: closed */
    struct stat st;       /* as it was opened */
    unsigned char *whole; /* all st.st_size bytes, already checked; NULL for larger files */
    bool no_nowait;       /* this file system can't tell what would block */
    bool holes;           /* it seems to have some, and they are to be preserved */
    uint32_t preserve;    /* of enum preserve: what of it is to be read as it is opened */
    struct attrs *attrs;  /* that; NULL: there are none */
    char *unsent;         /* why they could not be read, and it goes without; NULL: they could */
};

/* Path is copied. Opens nothing yet. -1: no memory. */
int source_init(struct source *s, const char *path, struct xfer_error *err);

/* It was handed over: fd is copied (-1: there is none any more). After source_init(). -1:
 * XFER_NO_RESOURCES. */
int source_give(struct source *s, uint64_t dev, uint64_t ino, int fd, struct xfer_error *err);

/* It is a file of a tree, which a walk has seen in dir as a regular file of that inode; path only
 * names it to people. dir is shared, name copied. After source_init(). -1: no memory. */
int source_in(struct source *s, struct walk_dir *dir, const char *name, const struct stat *seen,
              struct xfer_error *err);

/* Open it: a regular file only, and nothing is done to anything else on the way (a FIFO is not
 * waited for, a device not opened). Links in path are followed; where they lead must be allowed
 * (source_policy.h). One that was handed over is only read, and never opened by another right than
 * its giver's; when its descriptor is lost and path does not lead to the same inode, or may not be
 * opened: XFER_SOURCE_HANDLE_LOST. One in a tree is opened there without following links; what is
 * not what the walk saw any more: XFER_SOURCE_CHANGED. */
int source_open(struct source *s, struct xfer_error *err);

/* Its size, of what may be opened by its path; it is closed again. As source_open(), but for
 * handles and what is in trees. */
int source_size(struct source *s, int64_t *size, struct xfer_error *err);

/* Read from the page cache, at once or not at all: bytes, 0 when it would block or that can't be
 * told. */
size_t source_read_now(struct source *s, void *buf, size_t len, uint64_t offset);

/* Read exactly len bytes. XFER_SOURCE_CHANGED when the file ends before. */
int source_read(struct source *s, void *buf, size_t len, uint64_t offset, struct xfer_error *err);

/* Is it still the file that was opened, unchanged? XFER_SOURCE_CHANGED when not. */
int source_check(struct source *s, struct xfer_error *err);

void source_close(struct source *s); /* may be called again */

/* It will not be opened or checked any more: lets go of the directory. */
void source_leave(struct source *s);
/* Nor are its bytes needed, where they were read whole, and attributes. */
void source_forget(struct source *s);
void source_drop_attrs(struct source *s);

/* Frees memory; closes too. */
void source_free(struct source *s);

#endif
