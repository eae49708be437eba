/* SPDX-License-Identifier: MIT
 *
 * What sender.c (which files, on which lane) and stream.c (one lane) share.
 */
#ifndef XFER_DAEMON_SEND_SEND_IMPL_H
#define XFER_DAEMON_SEND_SEND_IMPL_H

#include <xxhash.h>

#include "daemon/send/sender.h"
#include "daemon/send/source.h"
#include "proto/wire.h"

struct stream; /* one lane */

/* One file on its way. Lists: of the sender (all), of a stream (waiting, then unanswered). */
struct send {
    struct sender *sender;
    struct send *prev, *next; /* all sends of the sender */
    struct send *queue_next;  /* in the stream's waiting or unanswered queue */

    uint64_t job, file;
    char dest[XFER_PATH_SIZE];
    enum overwrite_mode overwrite;
    enum sync_mode sync;
    const struct send_events *events;
    void *user;

    enum send_phase phase;
    struct stream *stream; /* from SEND_WAITING on */
    struct source source;
    struct strand *strand;
    struct work work; /* the one outstanding piece of disk work */
    bool working;
    struct xfer_error work_error;

    uint64_t seq;        /* in its lane, once META has left */
    uint64_t offset;     /* bytes handed to the lane */
    struct chunk *chunk; /* being filled by a worker */
    size_t chunk_fill;   /* bytes of it that were there before */
    XXH3_state_t *hash;
    bool checked;          /* the source was unchanged at the end */
    bool stopping;         /* no more data: an abort follows, or an end without META */
    struct xfer_error why; /* of stopping */
    struct send_result result;
};

/* sender.c */
void send_progress(struct send *send);
/* Hand disk work to the worker: run there, then done here. */
void send_work(struct send *send, void (*run)(struct work *), void (*done)(struct work *));
struct send *send_of_work(struct work *work);
/* The end of it: result is set. Tells, then frees when the source is closed. Not from inside a call
 * of the owner. */
void send_finish(struct send *send);

struct send_queue {
    struct send *first, *last;
    unsigned count;
};
void send_queue_put(struct send_queue *q, struct send *send);
struct send *send_queue_take(struct send_queue *q);
void send_queue_remove(struct send_queue *q, struct send *send);

/* stream.c */
struct stream *stream_create(struct link *link, struct lane *lane, struct xfer_error *err);
void stream_destroy(struct stream *stream);
void stream_add(struct stream *stream, struct send *send);
/* A send of this stream that should stop: begins the abort, or takes it out when nothing of it has
 * left. */
void stream_stop(struct stream *stream, struct send *send);
uint64_t stream_bytes(const struct stream *stream); /* still to be sent */

#endif
