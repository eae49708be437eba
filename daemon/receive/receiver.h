/* SPDX-License-Identifier: MIT
 *
 * What the receiving rank does with the messages of one lane, in their order: META, DATA..., END,
 * VERDICT, then the next META; where META asks, a GO goes out and START comes before the data; what
 * META says of attributes and holes comes before it too. Runs
 * on the loop's thread; disk work goes to a strand. No MPI in it: messages come in by calls and go
 * out by the functions of struct receiver_out, so that tests can play the link.
 *
 * Every META gets exactly one receipt, in the order of the METAs. A file that fails early is told
 * at once by a refusal; its data is then dropped until its END and VERDICT.
 *
 * Files of a batch (sync=batch) get theirs together: when there are enough of them, when the sender
 * can or will send no more (its window is full, a META of kind BARRIER, a file that is in no batch,
 * an abort), or a second after the first.
 */
#ifndef XFER_DAEMON_RECEIVE_RECEIVER_H
#define XFER_DAEMON_RECEIVE_RECEIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ev.h>

#include "daemon/receive/store.h"
#include "daemon/work/pool.h"
#include "proto/error.h"

struct receiver; /* one lane of one sending rank */

/* How it answers. All are called on the loop's thread. user is the argument of receiver_create().
 */
struct receiver_out {
    /* a message to the sender: encoded bytes, copied before it returns */
    void (*receipt)(void *user, const void *msg, size_t len);
    void (*refusal)(void *user, const void *msg, size_t len);
    void (*go)(void *user, const void *msg, size_t len);
    /* the chunk given to receiver_data() is no longer needed */
    void (*release)(void *user, void *chunk);
};

/* What makes a batch full. */
struct receiver_batch {
    unsigned files; /* each takes a descriptor or two meanwhile */
    uint64_t bytes;
};

/* loop: of the thread that calls. batch is copied. */
struct receiver *receiver_create(struct store *store, struct pool *pool, struct ev_loop *loop,
                                 const struct receiver_batch *batch, const struct receiver_out *out,
                                 void *user, struct xfer_error *err);

/* Forget all that is unfinished or waits for its batch (on the workers: its temporaries are
 * removed, but what another attempt can go on with stays). Only after pool_drain() or while no work
 * is outstanding, or else it waits for the strand. NULL is fine. */
void receiver_destroy(struct receiver *r);

/* Which message comes next, as meta, attrs, start, map and data tell; after them END, VERDICT and
 * META have their fixed places. */
enum receiver_next {
    RECEIVER_DATA, /* or END */
    RECEIVER_START,
    RECEIVER_ATTRS,
    RECEIVER_MAP
};

/* The messages, in the order of the lane. -1: the other side broke the protocol, which is fatal to
 * the link. msg is gone when they return. data: [0,len) of it stays the receiver's until
 * release(user, chunk). len > 0. */
int receiver_meta(struct receiver *r, const void *msg, size_t len, struct xfer_error *err);
int receiver_attrs(struct receiver *r, const void *msg, size_t len, struct xfer_error *err);
int receiver_start(struct receiver *r, const void *msg, size_t len, struct xfer_error *err);
int receiver_map(struct receiver *r, const void *msg, size_t len, struct xfer_error *err);
int receiver_data(struct receiver *r, void *chunk, const void *data, size_t len,
                  struct xfer_error *err);
int receiver_end(struct receiver *r, struct xfer_error *err);
int receiver_verdict(struct receiver *r, const void *msg, size_t len, struct xfer_error *err);

/* Begun (META seen) and not yet answered by a receipt. */
unsigned receiver_unfinished(const struct receiver *r);

#endif
