/* SPDX-License-Identifier: MIT
 *
 * A lane: a communicator of its own on which one file after the other goes in the sequence META
 * (tag 1), DATA (tag 2) ..., the empty message (tag 2), VERDICT (tag 3). Where META says so, ATTRS
 * (tag 8) ... come before the data; where it asks, GO (tag 6) comes back and then START (tag 7);
 * and MAP (tag 9) before data that has its places. A lane has a sending end on rank 0 and a
 * receiving end on rank 1, each with a ring of chunk buffers. It carries messages; what they say is
 * the business of send/ and receive/, and so it is the receiver who knows what comes next.
 */
#ifndef XFER_DAEMON_LINK_LANE_H
#define XFER_DAEMON_LINK_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/error.h"

struct lane;

struct chunk { /* a buffer of the ring; data is page-aligned, size bytes */
    unsigned char *data;
    size_t size;
    size_t len;         /* bytes in it */
    struct chunk *next; /* for whoever holds it */
};

/* The sending end (rank 0). */
struct lane_sender_events {
    void (*receipt)(void *user, const void *msg, size_t len);
    void (*refusal)(void *user, const void *msg, size_t len);
    void (*go)(void *user, const void *msg, size_t len);
    /* lane_chunk_get() would now give one after it had given NULL; or lane_wake() was called */
    void (*chunk_free)(void *user);
};
void lane_set_sender(struct lane *lane, const struct lane_sender_events *events, void *user);

/* Queue messages; they leave in this order. All but chunks are copied. */
void lane_send_meta(struct lane *lane, const void *msg, size_t len);
void lane_send_chunk(struct lane *lane,
                     struct chunk *chunk); /* len >= 1; the lane owns it until it has left */
void lane_send_attrs(struct lane *lane, const void *msg, size_t len);
void lane_send_start(struct lane *lane, const void *msg, size_t len);
void lane_send_map(struct lane *lane, const void *msg, size_t len);
/* unused: a chunk that comes back when the other side has taken the end; else NULL. Of a file
 * without data that is all that keeps its sender from running ahead. */
void lane_send_end(struct lane *lane, struct chunk *unused);
void lane_send_verdict(struct lane *lane, const void *msg, size_t len);

/* chunk_free is called from the next poll, whatever there is: for what must not happen inside the
 * caller's own call. */
void lane_wake(struct lane *lane);

/* The file that is being sent is held back by its sender, or (false) is no longer: meanwhile
 * nothing is expected of the other side for it. (A refusal is heard when something moves.) */
void lane_hold(struct lane *lane, bool held);

struct chunk *lane_chunk_get(struct lane *lane);             /* NULL: none free now */
void lane_chunk_put(struct lane *lane, struct chunk *chunk); /* unused, back */

/* The receiving end (rank 1). Messages are delivered strictly in the order of the sequence. meta,
 * attrs, start, map and data say what comes next: an enum lane_next. -1 from a handler breaks the
 * link. */
enum lane_next { LANE_DATA, LANE_ATTRS, LANE_START, LANE_MAP }; /* DATA: or the end */
struct lane_receiver_events {
    int (*meta)(void *user, const void *msg, size_t len, struct xfer_error *err);
    int (*attrs)(void *user, const void *msg, size_t len, struct xfer_error *err);
    int (*start)(void *user, const void *msg, size_t len, struct xfer_error *err);
    int (*map)(void *user, const void *msg, size_t len, struct xfer_error *err);
    int (*data)(void *user, struct chunk *chunk,
                struct xfer_error *err); /* the handler owns it until lane_chunk_release() */
    int (*end)(void *user, struct xfer_error *err);
    int (*verdict)(void *user, const void *msg, size_t len, struct xfer_error *err);
};
void lane_set_receiver(struct lane *lane, const struct lane_receiver_events *events, void *user);
void lane_chunk_release(struct lane *lane, struct chunk *chunk);
void lane_send_receipt(struct lane *lane, const void *msg, size_t len); /* copied */
void lane_send_refusal(struct lane *lane, const void *msg, size_t len); /* copied */
void lane_send_go(struct lane *lane, const void *msg, size_t len);      /* copied */

#endif
