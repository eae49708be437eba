/* SPDX-License-Identifier: MIT
 *
 * What the parts of the store share: the open root. All of it is fixed once store_open() has
 * returned, but for the atomics, which any worker may change.
 */
#ifndef XFER_DAEMON_RECEIVE_STORE_IMPL_H
#define XFER_DAEMON_RECEIVE_STORE_IMPL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/receive/store.h"

/* On disk, beneath the root. relpath_check() refuses names of users that begin like these. */
#define STORE_OWN_DIR     ".xfer"   /* 0700: the lock and the two directories */
#define STORE_PARTIAL_DIR "partial" /* temporaries, and partial files of jobs */
#define STORE_BESIDE_DIR \
    "beside" /* a symbolic link for each temporary that lies beside its target */
#define STORE_USERS_DIR                                                      \
    "users" /* a directory of each user as whom files are stored: its number \
             */
#define STORE_HOME_PREFIX   "home-" /* a user's directory that is being made, see per_user */
#define STORE_BESIDE_PREFIX ".xfer-"

struct store_as_kept;
struct store_dirs;
struct store_names;

struct store_mount { /* two directories with the same can rename into each other, as far as can be
                        told beforehand */
    uint64_t dev, id;
};

/* Where temporaries lie and are recorded. The daemon's own, and one of each user as whom files are
 * stored: it belongs to that user, whose thread works in it, but no way leads there. */
struct store_area {
    int partial_fd, beside_fd;
    struct store_mount mount; /* of partial/ */
    uid_t uid;                /* to whom all that is in it belongs, if it is a user's */
    bool of_user;
};

struct store {
    char root[XFER_PATH_SIZE];
    int root_fd, own_fd, lock_fd;
    dev_t dev;              /* of the root */
    bool syncfs_tells;      /* this kernel's syncfs() says what could not be written */
    int users_fd;           /* -1: there never were any */
    struct store_area area; /* the daemon's */
    bool as_caller, per_user, group_set;
    gid_t group; /* of what is made */
    enum sync_mode sync;
    struct store_names *names;
    struct store_as_kept *as;
    struct store_dirs *dirs;
    unsigned dir_mode;
    bool dir_mode_given;
    int file_mode;
    mode_t umask; /* of the daemon when it started */
    uint64_t reserve;
    uint64_t resume_min, resume_block;
    char queue[2 * XFER_QUEUE_ID_SIZE + 1]; /* in hex; "" before store_set_queue() */
    atomic_bool openat2;                    /* this kernel lets us */
    atomic_bool tmpfile;                    /* O_TMPFILE and linkat() of it work in the root */
    atomic_bool beside_only; /* a rename from partial/ said EXDEV where nothing had announced it */
    atomic_bool kept;        /* there may be partial files that nobody has open */
    atomic_uint counter;     /* makes names of temporaries unique */
};

#endif
