/* SPDX-License-Identifier: MIT
 *
 * What sender.c (which files, on which lane), send.c (one file), opener.c (opening them), stream.c
 * (one lane) and verify.c (what the receiver has of a file already) share.
 */
#ifndef XFER_DAEMON_SEND_SEND_IMPL_H
#define XFER_DAEMON_SEND_SEND_IMPL_H

#include "daemon/send/kept.h"
#include "daemon/send/sender.h"
#include "daemon/send/source.h"
#include "daemon/work/identity.h"
#include "proto/wire.h"
#include "proto/xxh.h"

struct stream; /* one lane */
struct opener;
struct shaper_flow;
struct sparse;
struct throttle;
struct verify;

/* As whom files are read: shared by all that one user sends in a row. The loop's thread. */
struct send_owner {
    unsigned users;
    struct identity *who;
};

/* One file on its way. Lists: of the sender (all), of a stream (waiting, then unanswered). Up to
 * XFER_LANE_FILES_MAX of them in each lane wait for their receipts, so what is large in it is gone
 * by then.
 *
 * A worker may hang in it at any time. The file can be aborted all the same: its END and VERDICT
 * leave, and it is unanswered like any other. So it ends when both are there, the receipt and the
 * worker. */
struct send {
    struct sender *sender; /* NULL: the sender is gone, and only the worker is still to come back */
    struct send *prev, *next;             /* all sends of the sender */
    struct send *queue_prev, *queue_next; /* in one of the stream's queues */

    uint64_t job, file;
    const char *dest, *target; /* in text; target NULL: it is no link */
    uint32_t preserve;
    unsigned char kind, overwrite, sync, phase; /* of their enums */
    int64_t bandwidth;                          /* 0: as fast as it goes */
    struct bucket *rate; /* of its job, instead; borrowed from who started it */
    uid_t uid;
    gid_t gid;
    struct send_owner *owner; /* as whom the worker reads; NULL: as the daemon */
    const struct send_events *events;
    void *user;
    struct stream *stream; /* from SEND_WAITING on */

    struct source source;          /* of what is no file only st, with a size of 0 */
    struct strand *strand;         /* NULL: no worker is needed once it is open */
    struct work work;              /* the one outstanding piece of disk work, but for opening it */
    void (*then)(struct send *);   /* what follows it */
    struct kept_error *work_error; /* of that, NULL: none; the worker's while it works */

    uint64_t seq;                           /* in its lane, once META has left */
    uint64_t offset;                        /* bytes handed to the lane, or there already */
    uint64_t resumed;                       /* there already */
    uint32_t attrs_len;                     /* bytes of attributes that have left */
    struct verify *verify;                  /* between GO and START */
    struct sparse *sparse;                  /* of a file with holes, after START */
    struct chunk *chunk;                    /* being filled by a worker */
    size_t chunk_fill;                      /* bytes of it that were there before */
    struct kept_error *why;                 /* of stopping */
    unsigned char digest[XFER_DIGEST_SIZE]; /* once VERDICT has left */

    bool tree, again, compare; /* of the request */
    bool parked, ahead;        /* counted as such by the sender */
    bool working;
    bool asked, started; /* META asked; START has left, or is not needed */
    bool checked;        /* the source was unchanged at the end */
    bool stopping;       /* no more data: an abort follows, or an end without META */
    bool keep;           /* the receiver is to keep what it has got */
    bool decided;        /* VERDICT has left */
    bool answered;       /* stopping, and nothing more comes of it from the lane */

    char text[];
};

/* Has it a rate that is not that of all? Such files may hold up others for long. */
static inline bool send_is_slow(const struct send *send)
{
    return send->bandwidth > 0 || send->rate;
}

/* send.c */
void send_progress(struct send *send);
void send_set_phase(struct send *send, enum send_phase phase);
void send_recount(struct send *send); /* VERDICT has left: it may have made room */
/* No more data, for this reason. What was first counts. */
void send_stop(struct send *send, const struct xfer_error *why, bool keep);
/* On a worker, around what it does to the source: as whom the request says. begin: -1 when that
 * can't be. */
int send_disk_begin(const struct send *send, struct xfer_error *err);
void send_disk_end(void);
void send_work_failed(struct send *send, const struct xfer_error *err);
/* Hand disk work to the worker: run there, then what follows here. Only with a strand. */
void send_work(struct send *send, void (*run)(struct work *), void (*then)(struct send *));
struct send *send_of_work(struct work *work);
/* The end of one that is stopping. Tells when the worker is there, then frees when the source is
 * closed. Neither this nor send_done() from inside a call of the owner. */
void send_finish(struct send *send);
/* The end of one that no worker is at. */
void send_done(struct send *send, const struct send_result *result);
void send_free(struct send *send);
struct send_owner *send_owner_share(struct send_owner *owner); /* NULL is fine */
void send_owner_release(struct send_owner *owner);             /* the same */

struct send_queue {
    struct send *first, *last;
    unsigned count;
};
void send_queue_put(struct send_queue *q, struct send *send);
void send_queue_put_first(struct send_queue *q, struct send *send);
struct send *send_queue_take(struct send_queue *q);
void send_queue_remove(struct send_queue *q, struct send *send); /* which is in it */

/* sender.c */
struct send_lists {
    struct send *all;
    unsigned active;
    unsigned ahead;  /* of these, those that have not left and are not parked */
    unsigned parked; /* large or slow ones that are opened and wait for a lane */
};
struct send_lists *sender_lists(struct sender *s);
/* One of them takes no room any more. */
void sender_made_room(struct sender *s);
/* It was opened, or (work_error) could not be. */
void sender_opened(struct sender *s, struct send *send);
/* A barrier of that lane has its receipt. */
void sender_barrier_done(struct sender *s, struct stream *stream);

/* opener.c: opens files on workers, several of a tree in one go. */
struct openers {
    struct pool *pool;
    struct opener *idle;
    struct opener *gathering; /* not yet submitted */
};
/* It is opened, sender_opened() follows. later: only when more have come or openers_submit() is
 * called. -1: no memory. */
int openers_open(struct openers *o, struct send *send, bool later, struct xfer_error *err);
void openers_submit(struct openers *o);
/* No worker is at what was gathered; what is at work frees itself. */
void openers_free(struct openers *o);

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
uint64_t stream_load(const struct stream *stream); /* still to be sent, and to be stored */
/* Files that may hold up others for long: aborted ones that it is not yet rid of, and those with a
 * rate of their own. */
unsigned stream_burden(const struct stream *stream);
/* The receiver may hold back files of this lane, and no barrier is on its way: the job of one of
 * them. 0: not so; where one is on its way that comes too early for some, stream_barrier_done()
 * will be true. */
uint64_t stream_needs_barrier(struct stream *stream);
void stream_add_barrier(struct stream *stream, struct send *send); /* ahead of all that waits */
bool stream_barrier_done(struct stream *stream);                   /* its receipt is here */

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

/* sparse.c: not while a worker is at it; NULL is fine. */
void sparse_destroy(struct sparse *sparse);

#endif
