/* SPDX-License-Identifier: MIT
 *
 * What sender.c (which files, on which lane), stream.c (one lane) and verify.c (what the receiver
 * has of a file already) share.
 */
#ifndef XFER_DAEMON_SEND_SEND_IMPL_H
#define XFER_DAEMON_SEND_SEND_IMPL_H

#include <xxhash.h>

#include "daemon/send/sender.h"
#include "daemon/send/source.h"
#include "daemon/work/identity.h"
#include "proto/wire.h"

struct stream; /* one lane */
struct shaper_flow;
struct throttle;
struct verify;

/* One file on its way. Lists: of the sender (all), of a stream (waiting, then unanswered).
 *
 * A worker may hang in it at any time. The file can be aborted all the same: its END and VERDICT
 * leave, and it is unanswered like any other. So it ends when both are there, the receipt and the
 * worker. */
struct send {
    struct sender *sender; /* NULL: the sender is gone, and only the worker is still to come back */
    struct send *prev, *next; /* all sends of the sender */
    struct send *queue_next;  /* in one of the stream's queues */

    uint64_t job, file;
    char dest[XFER_PATH_SIZE];
    enum overwrite_mode overwrite;
    enum sync_mode sync;
    int64_t bandwidth; /* 0: as fast as it goes */
    bool again;
    uid_t uid;
    gid_t gid;
    struct identity *owner; /* as whom the worker reads; NULL: as the daemon */
    const struct send_events *events;
    void *user;

    enum send_phase phase;
    bool parked;           /* counted as such by the sender */
    struct stream *stream; /* from SEND_WAITING on */
    struct source source;
    struct strand *strand;
    struct work work; /* the one outstanding piece of disk work */
    bool working;
    void (*then)(struct send *); /* what follows it */
    struct xfer_error work_error;

    uint64_t seq;          /* in its lane, once META has left */
    bool asked, started;   /* META asked; START has left, or is not needed */
    struct verify *verify; /* between GO and START */
    uint64_t offset;       /* bytes handed to the lane, or there already */
    struct chunk *chunk;   /* being filled by a worker */
    size_t chunk_fill;     /* bytes of it that were there before */
    XXH3_state_t *hash;    /* of [0, offset) */
    bool checked;          /* the source was unchanged at the end */
    bool stopping;         /* no more data: an abort follows, or an end without META */
    bool keep;             /* the receiver is to keep what it has got */
    struct xfer_error why; /* of stopping */
    bool decided;          /* VERDICT has left */
    bool answered;         /* nothing more comes of it from the lane: result is set */
    struct send_result result;
};

/* sender.c */
void send_progress(struct send *send);
void send_set_phase(struct send *send, enum send_phase phase);
/* No more data, for this reason. What was first counts. */
void send_stop(struct send *send, const struct xfer_error *why, bool keep);
/* On a worker, around what it does to the source: as whom the request says. begin: -1 when that
 * can't be, work_error is set. */
int send_disk_begin(struct send *send);
void send_disk_end(void);
/* Hand disk work to the worker: run there, then what follows here. */
void send_work(struct send *send, void (*run)(struct work *), void (*then)(struct send *));
struct send *send_of_work(struct work *work);
/* The end of it: result is set. Tells when the worker is there, then frees when the source is
 * closed. Not from inside a call of the owner. */
void send_finish(struct send *send);

struct send_queue {
    struct send *first, *last;
    unsigned count;
};
void send_queue_put(struct send_queue *q, struct send *send);
struct send *send_queue_take(struct send_queue *q);
void send_queue_remove(struct send_queue *q, struct send *send);

/* stream.c */
struct stream *stream_create(struct link *link, struct lane *lane, struct throttle *throttle,
                             struct xfer_error *err);
void stream_destroy(struct stream *stream);
void stream_add(struct stream *stream, struct send *send);
/* A send of this stream is stopping: from the next poll on it is aborted, or taken out when nothing
 * of it has left. */
void stream_stop(struct stream *stream, struct send *send);
void stream_go(struct shaper_flow *flow); /* of the throttle: its turn has come */
bool stream_is_throttled(const struct stream *stream, const struct send *send);
uint64_t stream_bytes(const struct stream *stream); /* still to be sent */
/* Files that may hold up others for long: aborted ones that it is not yet rid of, and those with a
 * rate of their own. */
unsigned stream_burden(const struct stream *stream);

/* verify.c: the receiver's offer against the bytes of the file. On the loop's thread. */
struct verify *verify_create(const struct wire_go *offer); /* NULL: no memory */
void verify_destroy(struct verify *verify); /* not while a worker is at it; NULL is fine */
bool verify_more(const struct verify *verify);
/* When there is no more: where to go on; the digest of all before it is in hash. */
uint64_t verify_offset(const struct verify *verify);
/* Compares the next piece, on a worker. -1: it can't be read. Else verify_took() follows, on the
 * loop's thread. */
int verify_run(struct verify *verify, struct source *source, struct xfer_error *err);
void verify_took(struct verify *verify, XXH3_state_t *hash);
/* The offset that leaves to the receiver all that it has. */
uint64_t verify_all(const struct verify *verify);

#endif
