/* SPDX-License-Identifier: MIT
 *
 * One file on its way through a receiver: what its works do on a worker, and what they leave for
 * the loop's thread. Made and freed by the receiver.
 *
 * Hundreds of a lane wait for their receipt at the same time, so it is small: the message META is
 * kept as it came, until the file is begun, and is decoded where it is needed; texts are kept only
 * where there are any.
 *
 * Members marked "strand" are touched only by run()s; a done() reads what its own run() has left in
 * its own work. All else is the loop's.
 */
#ifndef XFER_DAEMON_RECEIVE_INCOMING_H
#define XFER_DAEMON_RECEIVE_INCOMING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/receive/store.h"
#include "daemon/receive/store_batch.h"
#include "daemon/work/pool.h"
#include "proto/attrs.h"
#include "proto/wire.h"

struct receiver;
struct write;
struct failure; /* an error in as many bytes as its texts take */

struct incoming {
    struct receiver *receiver;
    struct incoming *next; /* the receiver's, while it waits for its receipt */
    struct store *store;
    struct store_batch *batch; /* of the lane */
    uint64_t seq, size;        /* as META says */
    bool asks;                 /* so it does: GO, then START */
    uint32_t preserve;
    uint32_t attrs_size, attrs_came; /* bytes: as META says, and so far */
    struct attrs *attrs;             /* the loop's until all have come, then of "end"; NULL: none */
    bool sparse;                     /* MAP says to where data belongs: */
    bool more_maps;                  /* another one follows the data of this */
    uint64_t map_left;               /* bytes of data of it that are still to come */
    uint64_t mapped;                 /* up to which byte of the file */
    atomic_bool given_up;            /* works that take long may stop */
    const atomic_bool *stopped;      /* the same, of all: the receiver's */
    bool barrier;                    /* it is no file at all */
    bool batched;                    /* it is stored with others: its receipt waits for them */
    uint64_t came;                   /* up to which byte: from START and all DATA messages */
    bool begun;                      /* the work "begin" was submitted */
    bool answered;                   /* GO was sent, or a refusal instead */
    bool unstarted;                  /* START has come, the work "start" is still to be submitted */
    bool refused;                    /* a refusal was sent: data is dropped */
    bool too_much;                   /* more came than META had said */
    uint32_t copied;                 /* bytes of it that the receiver has copied */
    bool ended;                      /* the verdict has come: a refusal would be too late */
    bool last; /* of its batch: nothing that is to join it can come before it is committed */
    struct write *held;
    struct work begin, start, end;
    struct wire_go *go; /* left by "begin" for its done(), which takes down what START may say */
    struct {
        enum wire_offer kind;
        uint64_t size, block;
    } offered;
    atomic_bool hurry; /* "begin" may stop reading: nobody waits for the offer any more */
    uint64_t offset;   /* of START; for "start" */
    bool begin_failed; /* left by "begin" for its done() */
    bool start_failed; /* left by "start" for its done() */
    struct {           /* the verdict */
        enum wire_verdict_kind kind;
        bool keep;
        uint64_t size;
        unsigned char digest[XFER_DIGEST_SIZE];
        struct failure *why; /* of WIRE_ABORT */
    } verdict;
    bool joined;     /* left by "end" for its done(): it was held by the batch */
    bool committed;  /* the same: nothing is held any more */
    uint64_t stored; /* left by "end", or by another's that has committed it: bytes */
    unsigned char digest[XFER_DIGEST_SIZE]; /* the same */
    bool unchanged;
    char *warning;         /* NULL: none */
    char *stored_path;     /* the same; NULL: META's */
    struct failure *error; /* strand, then its done()s; NULL: none. Not changed after it was set */
    struct store_file *file; /* strand; NULL before it is begun, when it failed or is held */
    void *meta;              /* strand; the message, freed after "end" */
    size_t meta_len;
    char path[]; /* META's */
};

struct write {
    struct work work;
    struct incoming *incoming;
    void *chunk; /* NULL: data is a copy, behind this */
    const void *data;
    size_t len;
    bool failed; /* it was this write that failed */
    unsigned char copy[];
};

struct map {
    struct work work;
    struct incoming *incoming;
    bool failed; /* it was this map that failed */
    bool more;
    uint32_t n;
    struct wire_extent pieces[];
};

/* From a message; NULL and *err: it is broken, or there is no memory. The works have their run()s,
 * their done()s are the caller's to set. */
struct incoming *incoming_create(struct store *store, struct store_batch *batch, const void *msg,
                                 size_t len, struct xfer_error *err);
void incoming_free(struct incoming *in); /* the struct, when its file is NULL */

/* A chunk that is to be written, or a copy of it. NULL: no memory. */
struct write *incoming_write(struct incoming *in, void *chunk, const void *data, size_t len);
struct write *incoming_write_copy(struct incoming *in, const void *data, size_t len);

/* All that is to be done with a file that has come as a whole, its held write included, in the one
 * work "end". */
void incoming_do_at_once(struct incoming *in);

/* A map: takes down what data is to follow. 0; -1: broken. */
int incoming_add_map(struct incoming *in, const struct wire_map *map, struct xfer_error *err);
/* The work that gives it to the store; NULL: no memory. */
struct map *incoming_map(struct incoming *in, const struct wire_map *map);

/* The next bytes of its attributes. 1: these were the last; 0; -1: broken. */
int incoming_add_attrs(struct incoming *in, const struct wire_attrs *piece, struct xfer_error *err);

/* "begin" has ended: GO as it is to be sent. NULL: there is none, or it was taken before. The
 * caller frees it. */
struct wire_go *incoming_take_go(struct incoming *in);

/* May START say this? */
bool incoming_may_start(const struct incoming *in, uint64_t offset);

/* The verdict has come. */
void incoming_decide(struct incoming *in, const struct wire_verdict *verdict);

/* Why it failed. */
void incoming_error(const struct incoming *in, struct xfer_error *err);
void incoming_error_too_much(const struct incoming *in, struct xfer_error *err);

/* As it is to be sent, when all is done. */
void incoming_receipt(const struct incoming *in, struct wire_receipt *receipt);

#endif
