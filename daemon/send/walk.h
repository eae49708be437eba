/* SPDX-License-Identifier: MIT
 *
 * Walks a tree that is to be sent, on a worker, as a stream: what was found is taken by the loop's
 * thread, and the walk goes on only as far as it is asked to, so that ten million entries need no
 * memory for ten million. Directories are opened beneath the top by descriptors, without following
 * links; each stays open until nobody needs it any more.
 *
 * The order: a directory is entered, then what is in it follows, subdirectories in its midst and
 * each as a whole, then it is left. What the filter leaves out does not appear, and neither does
 * what has vanished when it is looked at. A directory that can't be opened, or may not be sent, is
 * an error in the one above it, and is not entered.
 *
 * The calls are made on the loop's thread, but for those of struct walk_dir.
 */
#ifndef XFER_DAEMON_SEND_WALK_H
#define XFER_DAEMON_SEND_WALK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "daemon/send/source_policy.h"
#include "daemon/work/identity.h"
#include "daemon/work/pool.h"
#include "proto/attrs.h"
#include "proto/error.h"
#include "proto/filter.h"

struct walk;

/* A directory of the tree. Shared by the walk, its entries and whatever is opened in it later, on
 * any thread. */
struct walk_dir {
    atomic_uint references;
    struct walk_dir *parent; /* a reference; NULL: the top */
    int fd;                  /* to open what is in it; with one_file_system perhaps only O_PATH */
    struct stat st;
    struct source_policy_place place; /* for checks of what is in it */
    void *user;                       /* the loop's thread's own, NULL at first */
    char path[];                      /* relative to the top: "" or "a/b" */
};
struct walk_dir *walk_dir_share(struct walk_dir *dir);
void walk_dir_release(struct walk_dir *dir); /* the last one closes; NULL is fine */

enum walk_event {
    WALK_ENTER,   /* the directory dir; it lies in dir->parent */
    WALK_ENTRY,   /* a regular file or a symbolic link in dir */
    WALK_SPECIAL, /* in dir: FIFO, socket or device, of which nothing is sent */
    WALK_LEAVE,   /* the directory dir: all that is in it has been told */
    WALK_ERROR    /* name in dir ("": dir itself) could not be read, or may not be sent. dir NULL:
                     nothing can be, and the walk has ended, directories that were not left or not */
};
struct walk_entry {
    struct walk_entry *next; /* for whoever has it */
    enum walk_event event;
    struct walk_dir
        *dir;       /* a reference. NULL: the source itself is no directory, or can't be read */
    struct stat st; /* of WALK_ENTRY, WALK_SPECIAL; WALK_ENTER: as dir->st; not followed */
    char *target;   /* of a symbolic link; else NULL */
    struct attrs *attrs;      /* of a symbolic link, and WALK_ENTER; NULL: there are none */
    uint64_t hash;            /* of a file's, where these are hashed; 0: there are none */
    char *unsent;             /* why they can't be read, and it goes without; NULL: they can */
    struct xfer_error *error; /* of WALK_ERROR; else NULL. About the whole path, which names it */
    char name[];              /* one component; "" with WALK_ENTER, WALK_LEAVE. WALK_ERROR about a
                                 path of the list: what of it could not be reached in dir */
};
void walk_entry_free(struct walk_entry *entry); /* releases dir */

struct walk_options {
    const char *source;           /* absolute; links on the way and at its end are followed */
    struct source_policy *policy; /* shared, see source_policy.h; NULL: everything may be sent */
    const struct identity *who;   /* as whom it is read, copied; NULL: as the daemon */
    const struct filter *filter;  /* shared; NULL: everything */
    const char *dest; /* where it goes beneath the receiving root: a tree is not sent into itself;
                         NULL: elsewhere */
    bool one_file_system; /* other file systems' directories are told, but not their content */
    uint32_t preserve;    /* of enum preserve: which attributes are read */
    bool hash_files;      /* those of files, too */
    const char *list; /* path of a file with what is to be sent of source, NULL: all of it; copied.
                         It is read as the daemon. Paths relative to source, each ended by NUL. A
                         directory is sent with all that is in it; those above a path are entered,
                         too, whatever the filter says of them */
    size_t path_max;  /* longest path of an entry, without NUL: longer ones are errors */
};
/* Nothing begins yet. ready: something can be taken, or the walk has ended. Never from inside
 * another call; the walk may be destroyed in it. */
struct walk *walk_create(struct pool *pool, const struct walk_options *options,
                         void (*ready)(void *user), void *user, struct xfer_error *err);
/* Stops it; what hangs in it frees itself when it comes back. NULL is fine. */
void walk_destroy(struct walk *walk);

/* Up to n entries may wait to be taken from now on. (Directories count for more, for each of them
 * has a descriptor, and so do errors, which are large. Of those that have been taken the taker
 * bounds the number.) */
void walk_want(struct walk *walk, unsigned n);
/* The next one, the caller's. NULL: none is there now. */
struct walk_entry *walk_take(struct walk *walk);
/* All has been taken. */
bool walk_ended(const struct walk *walk);

#endif
