/* SPDX-License-Identifier: MIT
 *
 * One lane of the receiving rank, on the loop's thread; what touches the disk are works on the
 * lane's strand (incoming.c). For each file these are one that begins it, one a chunk, and one that
 * ends it (commit or abort, then the receipt). They are submitted as the messages come, without
 * waiting for one another: the next file begins while the one before is still being synced, and
 * since a strand keeps the order, receipts go out in the order of the METAs.
 *
 * An incoming is freed with its last work, or, when it joined a batch, after the one that commits
 * it: until then it waits in a queue here. Since the strand keeps the order, a done() that tells of
 * a commit finds in that queue just those that are committed.
 *
 * A small file's begin and its first chunk are held back until its verdict or a second chunk has
 * come, so that the file costs one wake-up of a worker instead of three. One chunk at most is held,
 * which any ring can spare. One that comes in a single chunk is copied, as long as not too much is,
 * and is one work: so the ring is free at once, and what wakes up once finds many files to do.
 *
 * A file that asks begins at once. What START says is done on the disk only when data or a verdict
 * to store it follows: a sender that gives up starts at 0, and what is here of the file must not be
 * cut for that.
 */
#include "daemon/receive/receiver.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/receive/incoming.h"
#include "proto/limits.h"
#include "proto/wire.h"

/* Files of that size or less are held back. */
#define HOLD_MAX (64 * 1024)
/* Bytes of them that are copied, of a lane. */
#define COPIES_MAX (256 << 10)

#define BATCH_SECONDS 1.0 /* a silent sender may wait for receipts */

enum stage {
    STAGE_META,
    STAGE_ATTRS,
    STAGE_START,
    STAGE_MAP,
    STAGE_DATA,
    STAGE_VERDICT
}; /* which message comes next; DATA: or the end */

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
    uint32_t attrs_bytes; /* of attributes of these */
    uint32_t copied;      /* bytes of these, from the ring */
    bool closing;         /* nobody is there to be answered */
    atomic_bool stopped;  /* the same, for works that take long */
    struct store_batch *batch;
    struct incoming *waiting, **waiting_end; /* for its commit, in the order of their METAs */
    struct ev_loop *loop;
    struct ev_timer overdue; /* runs while there are such */
    struct work commit, discard;
    bool committing; /* the work "commit" is submitted */
};

/* ---- what is told ---- */

static void refuse(struct incoming *in, const struct xfer_error *why)
{
    struct receiver *r = in->receiver;
    unsigned char msg[XFER_MESSAGE_MAX];
    struct wire_receipt refusal = {.seq = in->seq, .error = *why};

    if (in->refused)
        return;
    in->refused = true;
    /* one that comes too late is sent only where it stands for GO */
    if (!r->closing && (!in->ended || (in->asks && !in->answered)))
        r->out.refusal(r->user, msg, wire_refusal_encode(&refusal, msg));
    in->answered = true;
}

static void refuse_failed(struct incoming *in)
{
    struct xfer_error why;

    incoming_error(in, &why);
    refuse(in, &why);
}

static void answer(struct receiver *r, struct incoming *in)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    struct wire_receipt receipt;

    r->unfinished--;
    r->attrs_bytes -= in->attrs_size;
    if (!r->closing) {
        incoming_receipt(in, &receipt);
        r->out.receipt(r->user, msg, wire_receipt_encode(&receipt, msg));
    }
    incoming_free(in);
}

/* All that wait were committed. */
static void answer_waiting(struct receiver *r)
{
    struct incoming *in;

    ev_timer_stop(r->loop, &r->overdue);
    while ((in = r->waiting) != NULL) {
        r->waiting = in->next;
        if (r->waiting == NULL)
            r->waiting_end = &r->waiting;
        answer(r, in);
    }
}

/* ---- works that are done ---- */

static void begin_done(struct work *work)
{
    struct incoming *in = (struct incoming *)((char *)work - offsetof(struct incoming, begin));
    struct wire_go *go = incoming_take_go(in);

    if (in->begin_failed) {
        refuse_failed(in);
    } else if (go != NULL && !in->answered) {
        struct receiver *r = in->receiver;
        unsigned char msg[XFER_MESSAGE_MAX];

        in->answered = true;
        if (!r->closing)
            r->out.go(r->user, msg, wire_go_encode(go, msg));
    }
    free(go);
}

static void start_done(struct work *work)
{
    struct incoming *in = (struct incoming *)((char *)work - offsetof(struct incoming, start));

    if (in->start_failed)
        refuse_failed(in);
}

static void write_done(struct work *work)
{
    struct write *write = (struct write *)work;
    struct receiver *r = write->incoming->receiver;

    if (!r->closing && write->chunk != NULL)
        r->out.release(r->user, write->chunk);
    if (write->failed)
        refuse_failed(write->incoming);
    free(write);
}

static void map_done(struct work *work)
{
    struct map *map = (struct map *)work;

    if (map->failed)
        refuse_failed(map->incoming);
    free(map);
}

static void end_done(struct work *work)
{
    struct incoming *in = (struct incoming *)((char *)work - offsetof(struct incoming, end));
    struct receiver *r = in->receiver;
    bool committed = in->committed;

    r->copied -= in->copied;
    in->copied = 0;
    /* by the thread that has them: memory that goes back to another one's costs a wait */
    free(in->meta);
    free(in->held);
    in->meta = NULL;
    in->held = NULL;
    /* what failed, and has none before it, needs no commit */
    if (r->waiting == NULL && !in->joined) {
        answer(r, in);
        return;
    }
    in->next = NULL;
    *r->waiting_end = in;
    r->waiting_end = &in->next;
    if (committed)
        answer_waiting(r);
    else if (!ev_is_active(&r->overdue) && !r->closing) {
        ev_timer_set(&r->overdue, BATCH_SECONDS, 0.);
        ev_timer_start(r->loop, &r->overdue);
    }
}

/* ---- a batch that is due ---- */

static void commit_run(struct work *work)
{
    struct receiver *r = (struct receiver *)((char *)work - offsetof(struct receiver, commit));

    store_batch_commit(r->batch);
}

static void commit_done(struct work *work)
{
    struct receiver *r = (struct receiver *)((char *)work - offsetof(struct receiver, commit));

    r->committing = false;
    answer_waiting(r);
}

static void on_overdue(struct ev_loop *loop, struct ev_timer *w, int revents)
{
    struct receiver *r = w->data;

    (void)loop;
    (void)revents;
    if (r->committing)
        return;
    r->committing = true;
    strand_submit(r->strand, &r->commit);
}

static void discard_run(struct work *work)
{
    struct receiver *r = (struct receiver *)((char *)work - offsetof(struct receiver, discard));

    store_batch_destroy(r->batch);
    r->batch = NULL;
}

/* ---- the messages ---- */

/* Submit what was held back. */
static void let_go(struct receiver *r, struct incoming *in)
{
    if (!in->begun) {
        in->begun = true;
        strand_submit(r->strand, &in->begin);
    }
    if (in->unstarted) {
        in->unstarted = false;
        strand_submit(r->strand, &in->start);
    }
    if (in->held != NULL) {
        struct write *write = in->held;

        in->held = NULL;
        strand_submit(r->strand, &write->work);
    }
}

static int out_of_turn(struct receiver *r, const char *what, struct xfer_error *err)
{
    static const char *const expected[] = {
        "metadata", "attributes", "the start of a file", "a map", "data or the end of a file",
        "a verdict"};

    return error_set(err, XFER_PROTOCOL, "%s came where %s was expected", what, expected[r->stage]);
}

static int expect(struct receiver *r, enum stage stage)
{
    static const enum receiver_next nexts[] = {[STAGE_ATTRS] = RECEIVER_ATTRS,
                                               [STAGE_START] = RECEIVER_START,
                                               [STAGE_MAP] = RECEIVER_MAP,
                                               [STAGE_DATA] = RECEIVER_DATA};

    r->stage = stage;
    return (int)nexts[stage];
}

static int after_start(struct receiver *r)
{
    return expect(r, r->current->sparse ? STAGE_MAP : STAGE_DATA);
}

static int after_attrs(struct receiver *r)
{
    return r->current->asks ? expect(r, STAGE_START) : after_start(r);
}

int receiver_meta(struct receiver *r, const void *msg, size_t len, struct xfer_error *err)
{
    struct incoming *in;

    if (r->stage != STAGE_META)
        return out_of_turn(r, "metadata", err);
    if (r->unfinished >= XFER_LANE_FILES_MAX)
        return error_set(err, XFER_PROTOCOL, "more than %d files of a lane await their receipt",
                         XFER_LANE_FILES_MAX);
    in = incoming_create(r->store, r->batch, msg, len, err);
    if (in == NULL)
        return -1;
    if (in->seq != r->last_seq + 1) {
        error_set(err, XFER_PROTOCOL, "metadata has number %llu, %llu was expected",
                  (unsigned long long)in->seq, (unsigned long long)r->last_seq + 1);
        incoming_free(in);
        return -1;
    }
    if (in->attrs_size > XFER_ATTRS_LANE_MAX - r->attrs_bytes) {
        error_set(err, XFER_PROTOCOL,
                  "more than %d bytes of attributes of a lane await their receipt",
                  XFER_ATTRS_LANE_MAX);
        incoming_free(in);
        return -1;
    }
    in->receiver = r;
    in->stopped = &r->stopped;
    in->begin.done = begin_done;
    in->start.done = start_done;
    in->end.done = end_done;
    r->last_seq = in->seq;
    r->current = in;
    r->unfinished++;
    r->attrs_bytes += in->attrs_size;
    if (in->barrier)
        in->begun = true;
    else if (in->asks || in->sparse || in->size > HOLD_MAX)
        let_go(r, in);
    return in->attrs_size > 0 ? expect(r, STAGE_ATTRS) : after_attrs(r);
}

int receiver_attrs(struct receiver *r, const void *msg, size_t len, struct xfer_error *err)
{
    struct incoming *in = r->current;
    struct wire_attrs piece;
    int rc;

    if (r->stage != STAGE_ATTRS)
        return out_of_turn(r, "attributes", err);
    if (wire_attrs_decode(msg, len, &piece, err) != 0)
        return -1;
    if (piece.seq != in->seq)
        return error_set(err, XFER_PROTOCOL, "attributes have number %llu, %llu was expected",
                         (unsigned long long)piece.seq, (unsigned long long)in->seq);
    rc = incoming_add_attrs(in, &piece, err);
    if (rc < 0)
        return -1;
    return rc == 0 ? expect(r, STAGE_ATTRS) : after_attrs(r);
}

int receiver_start(struct receiver *r, const void *msg, size_t len, struct xfer_error *err)
{
    struct incoming *in = r->current;
    struct wire_start start;

    if (r->stage != STAGE_START)
        return out_of_turn(r, "the start of a file", err);
    if (wire_start_decode(msg, len, &start, err) != 0)
        return -1;
    if (start.seq != in->seq)
        return error_set(err, XFER_PROTOCOL, "start has number %llu, %llu was expected",
                         (unsigned long long)start.seq, (unsigned long long)in->seq);
    if (!incoming_may_start(in, start.offset))
        return error_set(err, XFER_PROTOCOL, "start at byte %llu, which was not offered",
                         (unsigned long long)start.offset);
    atomic_store_explicit(&in->hurry, true, memory_order_relaxed);
    in->offset = in->came = start.offset;
    in->unstarted = true;
    return after_start(r);
}

int receiver_map(struct receiver *r, const void *msg, size_t len, struct xfer_error *err)
{
    struct incoming *in = r->current;
    struct wire_map map;
    struct map *work;

    if (r->stage != STAGE_MAP)
        return out_of_turn(r, "a map", err);
    if (wire_map_decode(msg, len, &map, err) != 0)
        return -1;
    if (map.seq != in->seq)
        return error_set(err, XFER_PROTOCOL, "map has number %llu, %llu was expected",
                         (unsigned long long)map.seq, (unsigned long long)in->seq);
    if (incoming_add_map(in, &map, err) != 0)
        return -1;
    /* one without pieces may stand for an abort, and the end knows what is missing */
    if (map.n == 0 || in->refused)
        return expect(r, STAGE_DATA);
    work = incoming_map(in, &map);
    if (work == NULL)
        return error_set(err, XFER_NO_RESOURCES, "no memory for a map");
    work->work.done = map_done;
    let_go(r, in);
    strand_submit(r->strand, &work->work);
    return expect(r, STAGE_DATA);
}

/* Which message comes after that many bytes of data. */
static int after_data(struct receiver *r, size_t len)
{
    struct incoming *in = r->current;

    if (in->sparse) {
        in->map_left -= len;
        if (in->map_left == 0 && in->more_maps)
            return expect(r, STAGE_MAP);
    }
    return RECEIVER_DATA;
}

int receiver_data(struct receiver *r, void *chunk, const void *data, size_t len,
                  struct xfer_error *err)
{
    struct incoming *in = r->current;
    struct write *write;
    bool hold, copy;

    if (r->stage != STAGE_DATA)
        return out_of_turn(r, "data", err);
    if (in->sparse && len > in->map_left)
        return error_set(err, XFER_PROTOCOL, "%zu bytes came, where a map had %llu left", len,
                         (unsigned long long)in->map_left);
    if (!in->sparse && len > in->size - in->came && !in->too_much) {
        struct xfer_error why;

        in->too_much = true;
        incoming_error_too_much(in, &why);
        refuse(in, &why);
    }
    if (in->refused) {
        r->out.release(r->user, chunk);
        return after_data(r, len);
    }
    in->came += len;
    hold = !in->begun && in->held == NULL;
    copy = hold && len == in->size && len <= COPIES_MAX - r->copied;
    write = copy ? incoming_write_copy(in, data, len) : incoming_write(in, chunk, data, len);
    if (write == NULL)
        return error_set(err, XFER_NO_RESOURCES, "no memory for a chunk");
    write->work.done = write_done;
    if (copy) {
        in->copied = (uint32_t)len;
        r->copied += in->copied;
        r->out.release(r->user, chunk);
    }
    if (hold) {
        in->held = write;
        return after_data(r, len);
    }
    let_go(r, in);
    strand_submit(r->strand, &write->work);
    return after_data(r, len);
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
    struct wire_verdict verdict;

    if (r->stage != STAGE_VERDICT)
        return out_of_turn(r, "a verdict", err);
    if (wire_verdict_decode(msg, len, &verdict, err) != 0)
        return -1;
    if (verdict.seq != in->seq)
        return error_set(err, XFER_PROTOCOL, "verdict has number %llu, %llu was expected",
                         (unsigned long long)verdict.seq, (unsigned long long)in->seq);
    incoming_decide(in, &verdict);
    r->current = NULL;
    r->stage = STAGE_META;
    if (verdict.kind == WIRE_ABORT || in->refused)
        in->unstarted = false;
    if (verdict.kind == WIRE_ABORT)
        atomic_store_explicit(&in->given_up, true, memory_order_relaxed);
    /* the sender may have no room for another */
    in->last = verdict.kind == WIRE_ABORT || r->unfinished >= XFER_LANE_FILES_MAX ||
               r->attrs_bytes > XFER_ATTRS_LANE_MAX - XFER_ATTRS_MAX;
    if (!in->begun && !in->barrier && (in->held == NULL || in->held->chunk == NULL)) {
        in->begun = true;
        incoming_do_at_once(in);
    } else {
        let_go(r, in);
    }
    strand_submit(r->strand, &in->end);
    return 0;
}

unsigned receiver_unfinished(const struct receiver *r)
{
    return r->unfinished;
}

struct receiver *receiver_create(struct store *store, struct pool *pool, struct ev_loop *loop,
                                 const struct receiver_batch *batch, const struct receiver_out *out,
                                 void *user, struct xfer_error *err)
{
    struct receiver *r = calloc(1, sizeof *r);

    if (r == NULL || (r->strand = strand_create(pool)) == NULL) {
        free(r);
        error_set(err, XFER_NO_RESOURCES, "no memory for a receiver");
        return NULL;
    }
    r->store = store;
    r->pool = pool;
    r->loop = loop;
    r->out = *out;
    r->user = user;
    r->waiting_end = &r->waiting;
    ev_init(&r->overdue, on_overdue);
    r->overdue.data = r;
    r->commit = (struct work){.run = commit_run, .done = commit_done};
    r->discard = (struct work){.run = discard_run};
    r->batch = store_batch_create(store, batch->files, batch->bytes, err);
    if (r->batch == NULL) {
        receiver_destroy(r);
        return NULL;
    }
    return r;
}

/* What is held was never begun: there is nothing on the disk to be removed. */
static void drop_current(struct receiver *r)
{
    struct incoming *in = r->current;

    free(in->held);
    in->held = NULL;
    if (in->begun && !in->barrier) {
        struct wire_verdict verdict = {.kind = WIRE_ABORT, .keep = true};

        atomic_store_explicit(&in->hurry, true, memory_order_relaxed);
        incoming_decide(in, &verdict);
        strand_submit(r->strand, &in->end);
    } else {
        incoming_free(in);
    }
}

void receiver_destroy(struct receiver *r)
{
    struct incoming *in;

    if (r == NULL)
        return;
    r->closing = true;
    atomic_store_explicit(&r->stopped, true, memory_order_relaxed);
    ev_timer_stop(r->loop, &r->overdue);
    if (r->current != NULL)
        drop_current(r);
    strand_submit(r->strand, &r->discard);
    /* done()s of other strands are called as well meanwhile, but a work of theirs that is stuck
     * doesn't hold us */
    while (strand_outstanding(r->strand) > 0)
        pool_drain(r->pool, 0.01);
    while ((in = r->waiting) != NULL) {
        r->waiting = in->next;
        incoming_free(in);
    }
    strand_destroy(r->strand);
    free(r);
}
