/* SPDX-License-Identifier: MIT
 *
 * What stream.c (the order of things on a lane) and stream_messages.c (the messages) share.
 */
#ifndef XFER_DAEMON_SEND_STREAM_IMPL_H
#define XFER_DAEMON_SEND_STREAM_IMPL_H

#include "daemon/send/send_impl.h"
#include "daemon/send/throttle.h"

struct stream {
    struct link *link;
    struct lane *lane;
    struct throttle *throttle;    /* of all streams */
    struct shaper_flow flow;      /* of the current file */
    XXH3_state_t *hash;           /* of [0, offset) of it */
    struct send_queue waiting;    /* nothing of them has left yet */
    struct send_queue dropped;    /* nor ever will: they are over */
    struct send *current;         /* META has left, VERDICT has not */
    struct send_queue unanswered; /* VERDICT has left: receipts come in this order */
    uint64_t waiting_bytes;
    uint32_t attrs_bytes; /* of attributes of the unanswered ones, and the current one */
    unsigned slow;        /* files with a rate of their own, the waiting ones and the current one */
    unsigned aborted;     /* among the unanswered */
    unsigned lent;        /* chunks that workers hold which hang in aborted files */
    uint64_t last_seq;
    uint64_t held_job;     /* of which files may be held back at the receiver; 0: none are */
    bool backed;           /* a chunk of the current file has left */
    struct chunk *unused;  /* else one that goes with its end */
    bool barrier;          /* one is on its way */
    bool barrier_is_short; /* another is asked for behind it */
    bool pumping;
};

/* stream.c: go on as far as possible. */
void stream_pump(struct stream *stream);
/* A worker is back. True: the file was aborted meanwhile, and that was all. */
bool stream_came_late(struct send *send);
/* What it was at may have failed. */
void stream_stop_if_failed(struct send *send);

/* sparse.c: of a file with holes, after START. One step: true when another may follow at once. */
bool stream_sparse_step(struct stream *stream, struct send *send);
bool stream_sparse_is_over(const struct send *send); /* all maps and bytes have left */
void stream_sparse_abort(struct stream *stream, struct send *send); /* the MAP that is due */

/* stream_messages.c: each says what it says and takes down that it has been said. */
extern const struct lane_sender_events stream_lane_events;
void stream_send_meta(struct stream *stream, struct send *send); /* it is the current one */
void stream_send_start(struct stream *stream, struct send *send, uint64_t offset);
void stream_send_chunk(struct stream *stream, struct send *send, struct chunk *chunk, size_t len);
/* END and VERDICT: an abort where it is stopping. No file is current any more. */
void stream_send_verdict(struct stream *stream, struct send *send);

#endif
