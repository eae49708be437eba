/* SPDX-License-Identifier: MIT
 *
 * Files of one lane that become durable together: sync=batch. Each is complete but for its name
 * (store_prepare()) and is held, in the order in which they came, until the batch is committed: one
 * sync of the file system for what is in them, then all get their names in that order, then the
 * directories are synced. Only then is any of them told to be stored.
 *
 * One worker at a time.
 */
#ifndef XFER_DAEMON_RECEIVE_STORE_BATCH_H
#define XFER_DAEMON_RECEIVE_STORE_BATCH_H

#include <stdbool.h>

#include "proto/error.h"

struct store;
struct store_batch;
struct store_file;
struct store_outcome;

/* How it went. outcome is NULL when the file is not stored: then err says why. */
typedef void store_batch_told(void *user, const struct store_outcome *outcome,
                              const struct xfer_error *err);

/* Before the first write of what it is to hold: a sync tells only of what fails from now on. On
 * failure NULL and *err. files_max, bytes_max: what makes it full. */
struct store_batch *store_batch_create(struct store *store, unsigned files_max, uint64_t bytes_max,
                                       struct xfer_error *err);
/* What is held is forgotten, as by store_abort(); nobody is told. NULL is fine. */
void store_batch_destroy(struct store_batch *batch);

/* Takes the file. told is called from store_batch_commit(). path, size and digest of the file can
 * be asked for until then. */
void store_batch_hold(struct store_batch *batch, struct store_file *file, store_batch_told *told,
                      void *user);
bool store_batch_is_full(const struct store_batch *batch);

/* All files that are held are told when it returns; it holds none then. One that can't get its name
 * fails alone; a sync that fails, fails all that it was for. */
void store_batch_commit(struct store_batch *batch);

#endif
