/* SPDX-License-Identifier: MIT
 *
 * A file between store_begin() or store_ask() and store_commit() or store_abort(). One worker at a
 * time.
 */
#ifndef XFER_DAEMON_RECEIVE_STORE_FILE_H
#define XFER_DAEMON_RECEIVE_STORE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include "daemon/receive/store_batch.h"
#include "daemon/receive/store_impl.h"
#include "daemon/receive/store_path.h"
#include "daemon/receive/store_temp.h"
#include "daemon/work/identity.h"
#include "proto/attrs.h"
#include "proto/xxh.h"

struct store_offer { /* from store_ask() to store_start() */
    enum wire_offer kind;
    uint64_t size, block;
    XXH3_state_t **states; /* of the file up to the end of each block: n; NULL: none */
    unsigned n;
};

struct store_file {
    struct store *store;
    struct store_area area;     /* where its temporary lies: borrowed */
    struct store_as *as;        /* whose these two are; NULL: the daemon's */
    const struct identity *who; /* as whom everything beneath the root is done; NULL: the daemon */
    struct store_parent parent;
    struct store_temp temp; /* temp.at is -1 while the file has no name at all (O_TMPFILE) */
    int fd;
    uint64_t job, file;
    uint64_t whole;        /* bytes that it will have */
    uint64_t size;         /* bytes so far */
    uint64_t preallocated; /* up to which byte disk was asked for */
    uint64_t written_back; /* up to which byte the disk was told to begin */
    bool sparse;           /* maps say where data belongs: */
    bool last_map;         /* no other follows */
    bool cut;              /* stopped in the midst of a hole: nothing more is written */
    struct wire_extent *pieces;
    uint32_t n_pieces, piece; /* the one that is written next */
    const atomic_bool *stop[2];
    bool tree;        /* others of its job go where it goes */
    bool resumable;   /* of a size that makes a partial file worth keeping */
    bool stored;      /* it is the file under the final name already: fd only reads */
    struct stat seen; /* of such a file, when it was offered */
    struct store_offer offer;
    XXH3_state_t *digest;
    enum wire_kind kind;
    uint32_t preserve;
    mode_t mode;         /* of the source; what becomes of it says store_meta_mode() */
    struct attrs *attrs; /* of the source; NULL: none */
    uid_t owner_uid;
    gid_t owner_gid;
    struct timespec mtime;
    enum overwrite_mode overwrite;
    enum sync_mode sync;
    bool unchanged;          /* it was there like that already */
    char *warning;           /* what could not be preserved; NULL: nothing */
    bool apart;              /* in a batch: no sync of the root's file system covers it */
    struct store_file *next; /* in a batch */
    store_batch_told *told;
    void *user;
    const char
        *target; /* of a link, behind path: that of a hard link is relative to the root, too */
    char path[]; /* relative to the root */
};

enum store_target { TARGET_NONE, TARGET_REPLACEABLE };

/* As the daemon: check name and path, find out as whom it is stored and where its temporary goes.
 * On failure *err is blamed on the file. */
struct store_file *store_file_new(struct store *store, const struct wire_meta *meta,
                                  struct xfer_error *err);

/* Who sends, as META and LOOK tell. */
struct store_client {
    bool caller;
    uid_t uid;
    gid_t gid;
    uint32_t n_groups;
    const uint32_t *groups;
};

/* Where does what the client calls so lie beneath the root? home: the directory that each user has,
 * or "". path: in relpath normal form, or "" for where all of the client's lies. -1 when the store
 * needs to know more of the client. */
int store_client_path(struct store *store, const struct store_client *client, const char *path,
                      char home[XFER_NAME_MAX + 1], char out[XFER_PATH_SIZE],
                      struct xfer_error *err);
/* As whom is it stored? *who is NULL for the daemon, and the caller's to destroy. */
int store_client_identity(const struct store *store, const struct store_client *client,
                          struct identity **who, struct xfer_error *err);

/* This could not be preserved. */
void store_file_warn(struct store_file *file, const char *what, int errnum);

/* outcome: NULL is fine */
void store_outcome(const struct store_file *file, struct store_outcome *outcome);

/* Be in this thread from now on as whom it is stored, up to identity_drop(). -1: it still is the
 * daemon; *err is blamed on the file. */
int store_file_enter(const struct store_file *file, struct xfer_error *err);

/* As whom it is stored: open the last directory of the path that is there. */
int store_file_reach(struct store_file *file, struct xfer_error *err);

/* Check what can be checked before the first byte, open a temporary unless there is one (a partial
 * file), reserve the space that is missing from file->size on. */
int store_file_place(struct store_file *file, struct xfer_error *err);

/* Is there room for so many bytes, and for what is to stay free? */
int store_file_check_free(const struct store_file *file, uint64_t bytes, struct xfer_error *err);

/* Free the states of an offer. */
void store_offer_free(struct store_offer *offer);

/* What is at the target's name? -1 when it is in the way. */
int store_file_target(const struct store_file *file, enum store_target *target,
                      struct xfer_error *err);

/* This is the receiver's error about the path beneath the root. Always -1. */
int store_file_blame(const struct store *store, const char *path, struct xfer_error *err);

/* Close everything, remove the temporary and the directories that were made for it, free file. NULL
 * is fine. */
void store_file_discard(struct store_file *file);

/* As whom it is stored, after its content was synced as asked: give it its final name. */
int store_file_name(struct store_file *file, struct xfer_error *err);
/* What gives it its name and, of a directory, what it has itself: to the disk. */
int store_file_sync_above(const struct store_file *file, struct xfer_error *err);
/* A directory that is as it was when it was last synced. */
bool store_file_is_synced(const struct store_file *file);
/* Is it on another file system than the root, or is a sync of that not to be relied on? */
bool store_file_is_apart(const struct store_file *file);
/* Its directory could not be synced. */
void store_file_unname(const struct store_file *file);

/* Close and free what is left of a file that has its name. */
void store_file_free(struct store_file *file);

#endif
