/* SPDX-License-Identifier: MIT
 *
 * The receiving root on disk. Runs on the receiving rank; every function may block and is called on
 * a worker (store_open() and store_close() at start and end on the main thread). Nothing here knows
 * of MPI or of the event loop.
 *
 * What it promises: no name beneath the root ever shows part of a file; no path leads out of the
 * root, whatever links are there; set-id bits arrive only together with their owner; what
 * store_commit() said is on disk is on disk; with as_caller nothing beneath the root is touched
 * that the user could not touch.
 */
#ifndef XFER_DAEMON_RECEIVE_STORE_H
#define XFER_DAEMON_RECEIVE_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/error.h"
#include "proto/wire.h"

struct attrs;
struct store;
struct store_file;

struct store_options {
    const char *root;    /* absolute; made (0700 parents as needed, itself dir_mode) when missing */
    unsigned dir_mode;   /* of directories that are made: set exactly, whatever the umask */
    bool dir_mode_given; /* also of those of a tree; else these are as the source's where asked */
    int file_mode;       /* -1: as META says; else exactly this */
    uint64_t reserve;    /* bytes that stay free: what would take of them is not begun */
    bool as_caller;      /* with the rights of the user whom META names, to whom it then belongs */
    bool per_user;       /* beneath a directory for each user */
    const gid_t *group;  /* of files and directories that are made; NULL: as it comes */
    enum sync_mode sync; /* of files whose META leaves it to us */
    bool no_openat2;     /* tests: take the component-by-component way */
    bool no_tmpfile;     /* tests: as on file systems without O_TMPFILE */
    uint64_t resume_min; /* tests: instead of XFER_RESUME_MIN; 0: that */
    uint64_t resume_block; /* tests: instead of XFER_RESUME_BLOCK; 0: that */
};

/* Make and open the root, take the lock that two daemons may not share (ROOT/.xfer/lock; waits up
 * to lock_wait seconds for a former generation to let go), remove what a former generation left
 * unfinished and nobody can go on with. Partial files of jobs stay. */
struct store *store_open(const struct store_options *options, double lock_wait,
                         struct xfer_error *err);
void store_close(struct store *store); /* NULL is fine */

/* The queue of the sending rank, XFER_QUEUE_ID_SIZE bytes: job numbers belong to it. Before the
 * first file. */
void store_set_queue(struct store *store, const unsigned char *queue_id);

/* The jobs of that queue of which partial files are here, or the note of when a tree was begun,
 * each once. *jobs is freed by the caller. May block. */
int store_partials(struct store *store, uint64_t **jobs, size_t *n, struct xfer_error *err);
/* Remove that of these jobs, but for partial files that are being written. May block. */
void store_forget(struct store *store, const uint64_t *jobs, size_t n);

/* The root as an absolute path, symbolic links resolved. */
const char *store_root(const struct store *store);

/* Bytes that the daemon's user may still write, and all. Thread-safe. */
int store_space(struct store *store, uint64_t *free_bytes, uint64_t *total_bytes,
                struct xfer_error *err);

/* Close what is open only for files that might have come meanwhile: who wants to unmount what lies
 * beneath the root need not wait for others. Thread-safe; may block. Now and then. */
void store_rest(struct store *store);

/* Make the directories of a LOOK (unless it is dry), and say of everything else what is there:
 * *looked is filled in. Never follows a link. May block.
 *
 * A directory that is there and locks us out is made u+rwx when it is ours and its META will set
 * the mode. Times are compared whether or not they are preserved, as by rsync, to the precision
 * that the file system has kept. Owner and group count where they are preserved and could be
 * changed, modes where they are preserved and as they would come out. "since" counts with
 * OVERWRITE_REPLACE and OVERWRITE_NEVER, which else take nothing for the same; what counts as the
 * same then has its name on disk. */
void store_look(struct store *store, const struct wire_look *look, struct wire_looked *looked);

/* Begin to receive a file, or whatever META's kind says: all but files are looked at and made by
 * store_commit() alone. A directory is made or, where it is there, given its metadata. A symbolic
 * link replaces what a file would, unless it leads there already. A hard link is made to a file or
 * symbolic link beneath the root. A barrier is nothing.
 *
 * Checks what can be checked before the first byte (name, parents, what is
 * in the way, overwrite, space) and opens the temporary. Missing parents are made, mostly by
 * store_commit(). NULL and *err on failure, with nothing left behind. */
struct store_file *store_begin(struct store *store, const struct wire_meta *meta,
                               struct xfer_error *err);

/* The same for a file whose META asks: what is here of it? *go is filled in (but for seq): the
 * beginning of it in a partial file of the same job, queue and name; else, under the final name, a
 * regular file of the same size; else nothing. That a name is taken which may not be replaced shows
 * at store_start() only. Reads all that it offers, until stop (NULL: never) becomes true: then
 * nothing is offered, and what is here stays as it is. */
struct store_file *store_ask(struct store *store, const struct wire_meta *meta,
                             const atomic_bool *stop, struct wire_go *go, struct xfer_error *err);
/* Go on after store_ask() at this offset: with the partial file cut to it; with the stored file,
 * when it is all of it (then store_commit() counts it as stored, if the verdict agrees); from the
 * beginning, as store_begin() does. XFER_PROTOCOL for an offset that was not offered. On failure
 * the file is still to be given to store_abort(). */
int store_start(struct store_file *file, uint64_t offset, struct xfer_error *err);

/* What the file is to have of extended attributes and access control lists. Takes attrs, which were
 * checked; NULL is fine. Before store_commit(). */
void store_set_attrs(struct store_file *file, struct attrs *attrs);

/* Of a file whose META says that it is sparse: where what is written from now on belongs, when all
 * pieces of the map before have been written. Copied; they ascend, the first not before
 * store_size(), the last within the file's size. more: another map follows. What no piece names is
 * a hole. On failure the file is still to be given to store_abort(). */
int store_map(struct store_file *file, const struct wire_extent *pieces, uint32_t n, bool more,
              struct xfer_error *err);
/* It is not to be stored when one of these becomes true; looked at within holes. Borrowed. */
void store_stop_by(struct store_file *file, const atomic_bool *one, const atomic_bool *other);

/* No more maps and data come: the hole at its end, if any, counts. */
void store_end(struct store_file *file);

/* Append. The digest is kept along. */
int store_write(struct store_file *file, const void *data, size_t len, struct xfer_error *err);

/* Bytes so far, those of store_start() and holes included, and their XXH3-128 (canonical form). */
uint64_t store_size(const struct store_file *file);
void store_digest(const struct store_file *file, unsigned char digest[XFER_DIGEST_SIZE]);

/* Where it goes beneath the root, which is not META's path with per_user. Valid as long as file. */
const char *store_path(const struct store_file *file);

/* What is to be told of what is stored. */
struct store_outcome {
    bool unchanged;                     /* it was there like that already */
    char warning[XFER_ERROR_TEXT_SIZE]; /* what could not be preserved, and why; "": nothing */
};

/* Compare with the verdict (XFER_DIGEST_MISMATCH), set owner, mode and times as asked, sync as
 * asked, give it the final name, sync directories. Always frees file; on failure nothing of it is
 * left. outcome (NULL: nobody asks) is filled in on success. */
int store_commit(struct store_file *file, const struct wire_verdict *verdict,
                 struct store_outcome *outcome, struct xfer_error *err);

/* How durable is this file to be when it is told that it is stored? A batch is for files of trees
 * alone: never SYNC_DEFAULT. */
enum sync_mode store_sync_of(const struct store *store, const struct wire_meta *meta);

/* The beginning of store_commit() for a file whose sync is SYNC_BATCH: all but syncs and name. The
 * file then goes to store_batch_hold(). On failure it is freed, and nothing of it is left. */
int store_prepare(struct store_file *file, const struct wire_verdict *verdict,
                  struct xfer_error *err);

/* Forget it, frees file. The temporary is removed, but with keep and where it can be gone on with
 * (files of XFER_RESUME_MIN bytes or more). NULL is fine. */
void store_abort(struct store_file *file, bool keep);

#endif
