/* SPDX-License-Identifier: MIT
 *
 * One lane of the receiving rank, on the loop's thread; what touches the disk are works on the
 * lane's strand. For each file these are one that begins it, one a chunk, and one that ends it
 * (commit or abort, then the receipt). They are submitted as the messages come, without waiting for
 * one another: the next file begins while the one before is still being synced, and since a strand
 * keeps the order, receipts go out in the order of the METAs.
 *
 * Who owns what: members of struct incoming marked "strand" are touched only by run()s; a done()
 * reads what its own run() has left in its own work. All else is the loop's. An incoming is freed
 * with its last work.
 *
 * A small file's begin and its first chunk are held back until its verdict or a second chunk has
 * come, so that the file costs one wake-up of a worker instead of three. One chunk at most is held,
 * which any ring can spare.
 */
#include "daemon/receive/receiver.h"

#include <stdlib.h>
#include <string.h>

#include "proto/limits.h"
#include "proto/wire.h"

/* Files of that size or less are held back. */
#define HOLD_MAX (64 * 1024)

enum stage {
    STAGE_META,
    STAGE_DATA,
    STAGE_VERDICT
}; /* which message comes next; DATA: or the end */

struct incoming {
    struct receiver *receiver;
    struct wire_meta meta;
    struct wire_verdict verdict;
    uint64_t came; /* bytes of all DATA messages */
    bool begun;    /* the work "begin" was submitted */
    bool refused;  /* a refusal was sent: data is dropped */
    bool too_much; /* more came than META had said */
    bool ended;    /* the verdict has come: a refusal would be too late */
    struct write *held;
    struct work begin, end;
    bool begin_failed;           /* left by "begin" for its done() */
    struct wire_receipt receipt; /* left by "end" for its done() */
    struct store_file *file;     /* strand; NULL before it is begun and when it failed */
    struct xfer_error error;     /* strand; why it failed. Not changed after it was set */
};

struct write {
    struct work work;
    struct incoming *incoming;
    void *chunk;
    const void *data;
    size_t len;
    bool failed; /* it was this write that failed */
};

struct receiver {
    struct store *store;
    struct pool *pool;
    struct strand *strand;
    struct receiver_out out;
    void *user;
    enum stage stage;
    struct incoming *current; /* not in STAGE_META */
    uint64_t last_seq;
    unsigned unfinished;
    bool closing; /* nobody is there to be answered */
};

/* ---- on the worker ---- */

static void begin_run(struct work *work)
{
    struct incoming *in = (struct incoming *)((char *)work - offsetof(struct incoming, begin));

    in->file = store_begin(in->receiver->store, &in->meta, &in->error);
    in->begin_failed = in->file == NULL;
}

static void write_run(struct work *work)
{
    struct write *write = (struct write *)work;
    struct incoming *in = write->incoming;

    if (in->file == NULL)
        return;
    if (store_write(in->file, write->data, write->len, &in->error) != 0) {
        write->failed = true;
        store_abort(in->file);
        in->file = NULL;
    }
}

static void error_too_much(const struct incoming *in, struct xfer_error *err)
{
    error_set(err, XFER_SOURCE_CHANGED, "more data came than the %llu bytes that were announced",
              (unsigned long long)in->meta.size);
    error_about(err, XFER_SIDE_SENDER, in->meta.path);
}

static void end_run(struct work *work)
{
    struct incoming *in = (struct incoming *)((char *)work - offsetof(struct incoming, end));
    struct wire_receipt *receipt = &in->receipt;

    receipt->seq = in->meta.seq;
    receipt->size = 0;
    memset(receipt->digest, 0, sizeof receipt->digest);
    receipt->error.code = XFER_OK;
    if (in->file == NULL) {
        receipt->error = in->error;
        return;
    }
    if (in->verdict.kind == WIRE_ABORT || in->too_much) {
        store_abort(in->file);
        if (in->too_much)
            error_too_much(in, &receipt->error);
        else
            receipt->error = in->verdict.error;
    } else {
        uint64_t size = store_size(in->file);

        store_digest(in->file, receipt->digest);
        if (store_commit(in->file, &in->verdict, &receipt->error) == 0)
            receipt->size = size;
        else
            memset(receipt->digest, 0, sizeof receipt->digest);
    }
    in->file = NULL;
}

/* ---- on the loop's thread ---- */

static void refuse(struct incoming *in, const struct xfer_error *why)
{
    struct receiver *r = in->receiver;
    unsigned char msg[XFER_MESSAGE_MAX];
    struct wire_receipt refusal = {.seq = in->meta.seq, .error = *why};

    if (in->refused)
        return;
    in->refused = true;
    if (!r->closing && !in->ended)
        r->out.refusal(r->user, msg, wire_refusal_encode(&refusal, msg));
}

static void begin_done(struct work *work)
{
    struct incoming *in = (struct incoming *)((char *)work - offsetof(struct incoming, begin));

    if (in->begin_failed)
        refuse(in, &in->error);
}

static void write_done(struct work *work)
{
    struct write *write = (struct write *)work;
    struct receiver *r = write->incoming->receiver;

    if (!r->closing)
        r->out.release(r->user, write->chunk);
    if (write->failed)
        refuse(write->incoming, &write->incoming->error);
    free(write);
}

static void end_done(struct work *work)
{
    struct incoming *in = (struct incoming *)((char *)work - offsetof(struct incoming, end));
    struct receiver *r = in->receiver;
    unsigned char msg[XFER_MESSAGE_MAX];

    r->unfinished--;
    if (!r->closing)
        r->out.receipt(r->user, msg, wire_receipt_encode(&in->receipt, msg));
    free(in);
}

/* Submit what was held back. */
static void let_go(struct receiver *r, struct incoming *in)
{
    if (!in->begun) {
        in->begun = true;
        strand_submit(r->strand, &in->begin);
    }
    if (in->held != NULL) {
        struct write *write = in->held;

        in->held = NULL;
        strand_submit(r->strand, &write->work);
    }
}

static int out_of_turn(struct receiver *r, const char *what, struct xfer_error *err)
{
    static const char *const expected[] = {"metadata", "data or the end of a file", "a verdict"};

    return error_set(err, XFER_PROTOCOL, "%s came where %s was expected", what, expected[r->stage]);
}

int receiver_meta(struct receiver *r, const void *msg, size_t len, struct xfer_error *err)
{
    struct incoming *in;

    if (r->stage != STAGE_META)
        return out_of_turn(r, "metadata", err);
    if (r->unfinished >= XFER_LANE_FILES_MAX)
        return error_set(err, XFER_PROTOCOL, "more than %d files of a lane await their receipt",
                         XFER_LANE_FILES_MAX);
    in = malloc(sizeof *in);
    if (in == NULL)
        return error_set(err, XFER_NO_RESOURCES, "no memory for a file");
    if (wire_meta_decode(msg, len, &in->meta, err) != 0) {
        free(in);
        return -1;
    }
    if (in->meta.seq != r->last_seq + 1) {
        error_set(err, XFER_PROTOCOL, "metadata has number %llu, %llu was expected",
                  (unsigned long long)in->meta.seq, (unsigned long long)r->last_seq + 1);
        free(in);
        return -1;
    }
    in->receiver = r;
    in->came = 0;
    in->begun = in->refused = in->too_much = in->ended = in->begin_failed = false;
    in->held = NULL;
    in->file = NULL;
    in->error.code = XFER_OK;
    in->begin = (struct work){.run = begin_run, .done = begin_done};
    in->end = (struct work){.run = end_run, .done = end_done};
    r->last_seq = in->meta.seq;
    r->current = in;
    r->unfinished++;
    r->stage = STAGE_DATA;
    if (in->meta.size > HOLD_MAX)
        let_go(r, in);
    return 0;
}

int receiver_data(struct receiver *r, void *chunk, const void *data, size_t len,
                  struct xfer_error *err)
{
    struct incoming *in = r->current;
    struct write *write;

    if (r->stage != STAGE_DATA)
        return out_of_turn(r, "data", err);
    if (len > in->meta.size - in->came && !in->too_much) {
        struct xfer_error why;

        in->too_much = true;
        error_too_much(in, &why);
        refuse(in, &why);
    }
    if (in->refused) {
        r->out.release(r->user, chunk);
        return 0;
    }
    in->came += len;
    write = malloc(sizeof *write);
    if (write == NULL)
        return error_set(err, XFER_NO_RESOURCES, "no memory for a chunk");
    *write = (struct write){.work = {.run = write_run, .done = write_done},
                            .incoming = in,
                            .chunk = chunk,
                            .data = data,
                            .len = len};
    if (!in->begun && in->held == NULL) {
        in->held = write;
        return 0;
    }
    let_go(r, in);
    strand_submit(r->strand, &write->work);
    return 0;
}

int receiver_end(struct receiver *r, struct xfer_error *err)
{
    if (r->stage != STAGE_DATA)
        return out_of_turn(r, "the end of a file", err);
    r->stage = STAGE_VERDICT;
    return 0;
}

int receiver_verdict(struct receiver *r, const void *msg, size_t len, struct xfer_error *err)
{
    struct incoming *in = r->current;

    if (r->stage != STAGE_VERDICT)
        return out_of_turn(r, "a verdict", err);
    if (wire_verdict_decode(msg, len, &in->verdict, err) != 0)
        return -1;
    if (in->verdict.seq != in->meta.seq)
        return error_set(err, XFER_PROTOCOL, "verdict has number %llu, %llu was expected",
                         (unsigned long long)in->verdict.seq, (unsigned long long)in->meta.seq);
    in->ended = true;
    r->current = NULL;
    r->stage = STAGE_META;
    let_go(r, in);
    strand_submit(r->strand, &in->end);
    return 0;
}

unsigned receiver_unfinished(const struct receiver *r)
{
    return r->unfinished;
}

struct receiver *receiver_create(struct store *store, struct pool *pool,
                                 const struct receiver_out *out, void *user, struct xfer_error *err)
{
    struct receiver *r = calloc(1, sizeof *r);

    if (r == NULL || (r->strand = strand_create(pool)) == NULL) {
        free(r);
        error_set(err, XFER_NO_RESOURCES, "no memory for a receiver");
        return NULL;
    }
    r->store = store;
    r->pool = pool;
    r->out = *out;
    r->user = user;
    return r;
}

void receiver_destroy(struct receiver *r)
{
    if (r == NULL)
        return;
    r->closing = true;
    if (r->current != NULL) {
        struct incoming *in = r->current;

        /* what is held was never begun: there is nothing on the disk to be removed */
        free(in->held);
        if (in->begun) {
            in->verdict.kind = WIRE_ABORT;
            in->verdict.error = (struct xfer_error)XFER_ERROR_INIT;
            in->ended = true;
            strand_submit(r->strand, &in->end);
        } else {
            free(in);
        }
    }
    /* done()s of other strands are called as well meanwhile, but a work of theirs that is stuck
     * doesn't hold us */
    while (strand_outstanding(r->strand) > 0)
        pool_drain(r->pool, 0.01);
    strand_destroy(r->strand);
    free(r);
}
