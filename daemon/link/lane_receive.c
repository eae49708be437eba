/* SPDX-License-Identifier: MIT
 *
 * The receiving end of a lane, see lane.h.
 *
 * Messages match in the order in which they were sent, but they complete in another (an empty end
 * was seen complete before the chunks ahead of it). So data receives are retired in the order in
 * which they were posted, and only the one message that may come next is looked at: which one, the
 * handlers say. Where a MAP is due, chunks that belong to it may have come already; they stay in
 * the ring until the MAP was taken.
 */
#include "daemon/link/lane_ends.h"
#include "daemon/link/mpi_error.h"
#include "proto/wire.h"

int lane_post_chunk(struct lane *lane, struct chunk *chunk, struct xfer_error *err)
{
    unsigned i = (lane->posted_first + lane->posted_count) % XFER_RING_CHUNKS;

    lane->posted[i].chunk = chunk;
    if (mpi_check(MPI_Irecv(chunk->data, (int)chunk->size, MPI_BYTE, lane->peer, WIRE_TAG_DATA,
                            lane->comm, &lane->posted[i].request.mpi),
                  "MPI_Irecv", err))
        return -1;
    lane->posted_count++;
    return 0;
}

void lane_set_receiver(struct lane *lane, const struct lane_receiver_events *events, void *user)
{
    lane->receiver = events;
    lane->receiver_user = user;
}

void lane_chunk_release(struct lane *lane, struct chunk *chunk)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (lane_post_chunk(lane, chunk, &err))
        link_fail(lane->link, &err);
    else
        link_kick(lane->link);
}

void lane_send_receipt(struct lane *lane, const void *msg, size_t len)
{
    lane_send_message(lane, WIRE_TAG_RECEIPT, msg, len);
}

void lane_send_refusal(struct lane *lane, const void *msg, size_t len)
{
    lane_send_message(lane, WIRE_TAG_REFUSAL, msg, len);
}

void lane_send_go(struct lane *lane, const void *msg, size_t len)
{
    lane_send_message(lane, WIRE_TAG_GO, msg, len);
}

/* A message of this mailbox may come next. */
static int take_message(struct lane *lane, int which,
                        int (*handler)(void *, const void *, size_t, struct xfer_error *),
                        struct xfer_error *err)
{
    static const enum expect nexts[] = {[LANE_DATA] = EXPECT_DATA,
                                        [LANE_ATTRS] = EXPECT_ATTRS,
                                        [LANE_START] = EXPECT_START,
                                        [LANE_MAP] = EXPECT_MAP};
    size_t len;
    int tag, n = mailbox_take(&lane->in[which], &len, &tag, err);

    if (n <= 0)
        return n;
    n = handler(lane->receiver_user, lane->in[which].buf, len, err);
    if (n < 0 || mailbox_post(&lane->in[which], err))
        return -1;
    lane->expect = which == IN_VERDICT ? EXPECT_META : nexts[n];
    return 1;
}

static int take_data(struct lane *lane, struct xfer_error *err)
{
    struct chunk *chunk = lane->posted[lane->posted_first].chunk;
    size_t len;
    int tag, n;

    if (lane->posted_count == 0)
        return 0; /* all of them are being written */
    n = request_take(&lane->posted[lane->posted_first].request, &len, &tag, err);
    if (n <= 0)
        return n;
    chunk->len = len;
    lane->posted_first = (lane->posted_first + 1) % XFER_RING_CHUNKS;
    lane->posted_count--;
    if (len > 0) {
        int next;

        link_data(lane->link, chunk->len);
        next = lane->receiver->data(lane->receiver_user, chunk, err);

        if (next == LANE_MAP)
            lane->expect = EXPECT_MAP;
        return next < 0 ? -1 : 1;
    }
    lane->expect = EXPECT_VERDICT;
    if (lane_post_chunk(lane, chunk, err) || lane->receiver->end(lane->receiver_user, err))
        return -1;
    return 1;
}

static int take_next(struct lane *lane, struct xfer_error *err)
{
    const struct lane_receiver_events *receiver = lane->receiver;

    switch (lane->expect) {
    case EXPECT_META:
        return take_message(lane, IN_META, receiver->meta, err);
    case EXPECT_ATTRS:
        return take_message(lane, IN_ATTRS, receiver->attrs, err);
    case EXPECT_START:
        return take_message(lane, IN_START, receiver->start, err);
    case EXPECT_MAP:
        return take_message(lane, IN_MAP, receiver->map, err);
    case EXPECT_DATA:
        return take_data(lane, err);
    case EXPECT_VERDICT:
        return take_message(lane, IN_VERDICT, receiver->verdict, err);
    }
    return 0;
}

int lane_take_received(struct lane *lane, struct xfer_error *err)
{
    int n, found = 0;

    /* each is posted again by that, and comes again only after another look */
    while ((n = take_next(lane, err)) > 0)
        found = 1;
    return n < 0 ? -1 : found;
}
