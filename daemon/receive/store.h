/* SPDX-License-Identifier: MIT
 *
 * The receiving root on disk. Runs on the receiving rank; every function may block and is called on
 * a worker (store_open() and store_close() at start and end on the main thread). Nothing here knows
 * of MPI or of the event loop.
 *
 * What it promises: no name beneath the root ever shows part of a file; no path leads out of the
 * root, whatever links are there; set-id bits never arrive; what store_commit() said is on disk is
 * on disk.
 */
#ifndef XFER_DAEMON_RECEIVE_STORE_H
#define XFER_DAEMON_RECEIVE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/error.h"
#include "proto/wire.h"

struct store;
struct store_file;

struct store_options {
    const char *root;  /* absolute; made (0700 parents as needed, itself dir_mode) when missing */
    unsigned dir_mode; /* of directories that are made: set exactly, whatever the umask */
    int file_mode;     /* -1: the source's, but for set-id and sticky bits; else exactly this */
    bool no_openat2;   /* tests: take the component-by-component way */
    bool no_tmpfile;   /* tests: as on file systems without O_TMPFILE */
};

/* Make and open the root, take the lock that two daemons may not share (ROOT/.xfer/lock; waits up
 * to lock_wait seconds for a former generation to let go), remove what a former generation left
 * unfinished. */
struct store *store_open(const struct store_options *options, double lock_wait,
                         struct xfer_error *err);
void store_close(struct store *store); /* NULL is fine */

/* The root as an absolute path, symbolic links resolved. */
const char *store_root(const struct store *store);

/* Bytes that the daemon's user may still write, and all. Thread-safe. */
int store_space(struct store *store, uint64_t *free_bytes, uint64_t *total_bytes,
                struct xfer_error *err);

/* Begin to receive a file. Checks what can be checked before the first byte (name, parents, what is
 * in the way, overwrite, space) and opens the temporary. Missing parents are made, mostly by
 * store_commit(). NULL and *err on failure, with nothing left behind. */
struct store_file *store_begin(struct store *store, const struct wire_meta *meta,
                               struct xfer_error *err);

/* Append. The digest is kept along. */
int store_write(struct store_file *file, const void *data, size_t len, struct xfer_error *err);

/* Bytes so far and their XXH3-128 (canonical form). */
uint64_t store_size(const struct store_file *file);
void store_digest(const struct store_file *file, unsigned char digest[XFER_DIGEST_SIZE]);

/* Compare with the verdict (XFER_DIGEST_MISMATCH), set mode and times, sync as asked, give it the
 * final name, sync directories. Always frees file; on failure nothing of it is left. */
int store_commit(struct store_file *file, const struct wire_verdict *verdict,
                 struct xfer_error *err);

/* Forget it: removes the temporary, frees file. NULL is fine. */
void store_abort(struct store_file *file);

#endif
