/* SPDX-License-Identifier: MIT
 *
 * See lane.h: the life of a lane, and its sending end (the receiving one is in lane_receive.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "daemon/link/lane_ends.h"
#include "proto/wire.h"

/* ---- life ---- */

static int make_ring(struct lane *lane, uint32_t chunk, struct xfer_error *err)
{
    lane->ring_size = (size_t)chunk * XFER_RING_CHUNKS;
    lane->ring =
        mmap(NULL, lane->ring_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (lane->ring == MAP_FAILED) {
        lane->ring = NULL;
        return error_set_errno(err, errno, "chunk buffers of %zu bytes", lane->ring_size);
    }
    for (unsigned i = 0; i < XFER_RING_CHUNKS; i++)
        lane->chunks[i] = (struct chunk){.data = lane->ring + (size_t)i * chunk, .size = chunk};
    return 0;
}

struct lane *lane_create(struct link *link, MPI_Comm comm, int peer, enum lane_end end,
                         uint32_t chunk, struct xfer_error *err)
{
    static const int tags[][RECEIVER_MAILBOXES] = {
        [LANE_SENDING] = {WIRE_TAG_RECEIPT, WIRE_TAG_REFUSAL, WIRE_TAG_GO},
        [LANE_RECEIVING] = {WIRE_TAG_META, WIRE_TAG_ATTRS, WIRE_TAG_START, WIRE_TAG_MAP,
                            WIRE_TAG_VERDICT}};
    unsigned n_in = end == LANE_SENDING ? SENDER_MAILBOXES : RECEIVER_MAILBOXES;
    struct lane *lane = calloc(1, sizeof(*lane) + n_in * sizeof(lane->in[0]));

    if (!lane) {
        error_set_errno(err, ENOMEM, "lane");
        return NULL;
    }
    lane->link = link;
    lane->comm = comm;
    lane->peer = peer;
    lane->end = end;
    outbox_init(&lane->outbox, comm, peer);
    lane->n_in = n_in;
    for (unsigned i = 0; i < n_in; i++)
        mailbox_init(&lane->in[i], comm, peer, tags[end][i]);
    if (make_ring(lane, chunk, err))
        goto fail;
    for (unsigned i = 0; i < n_in; i++)
        if (mailbox_post(&lane->in[i], err))
            goto fail;
    for (unsigned i = 0; i < XFER_RING_CHUNKS; i++) {
        if (end == LANE_SENDING)
            lane_chunk_put(lane, &lane->chunks[i]);
        else if (lane_post_chunk(lane, &lane->chunks[i], err))
            goto fail;
    }
    return lane;
fail:
    lane_destroy(lane);
    return NULL;
}

/* Those that somebody else holds: MPI on its way out, or a worker that hangs in a read or a write.
 */
static bool chunks_lent(const struct lane *lane)
{
    unsigned here = lane->posted_count;

    for (const struct chunk *chunk = lane->free_chunks; chunk; chunk = chunk->next)
        here++;
    return here < XFER_RING_CHUNKS;
}

void lane_destroy(struct lane *lane)
{
    bool lent;

    if (!lane)
        return;
    for (unsigned i = 0; i < lane->n_in; i++)
        request_cancel(&lane->in[i].request);
    for (unsigned i = 0; i < lane->posted_count; i++)
        request_cancel(&lane->posted[(lane->posted_first + i) % XFER_RING_CHUNKS].request);
    lent = chunks_lent(lane) || lane->outbox.count > 0;
    outbox_abandon(&lane->outbox);
    /* A chunk that somebody still reads from or writes to must stay where it is; the process is
     * about to end. */
    if (lane->ring && !lent)
        munmap(lane->ring, lane->ring_size);
    free(lane);
}

unsigned lane_outgoing(const struct lane *lane)
{
    return lane->outbox.count;
}

bool lane_receiving(const struct lane *lane)
{
    return lane->end == LANE_RECEIVING && lane->expect == EXPECT_DATA;
}

bool lane_blocked(const struct lane *lane)
{
    if (lane->end == LANE_RECEIVING)
        return lane->expect == EXPECT_DATA && lane->posted_count == 0;
    return lane->free_chunks == NULL && lane->outbox.count > 0;
}

bool lane_expecting(const struct lane *lane)
{
    if (lane->end == LANE_SENDING)
        return lane->files_open > (lane->held ? 1 : 0);
    return lane->expect != EXPECT_META;
}

void lane_send_message(struct lane *lane, int tag, const void *msg, size_t len)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (outbox_send(&lane->outbox, tag, msg, len, &err))
        link_fail(lane->link, &err);
    else
        link_sent(lane->link);
}

/* ---- the sending end ---- */

void lane_set_sender(struct lane *lane, const struct lane_sender_events *events, void *user)
{
    lane->sender = events;
    lane->sender_user = user;
}

void lane_send_meta(struct lane *lane, const void *msg, size_t len)
{
    lane->files_open++;
    lane_send_message(lane, WIRE_TAG_META, msg, len);
}

void lane_send_chunk(struct lane *lane, struct chunk *chunk)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (outbox_send_chunk(&lane->outbox, WIRE_TAG_DATA, chunk, &err))
        link_fail(lane->link, &err);
    else
        link_sent(lane->link);
    link_data(lane->link, chunk->len);
}

void lane_send_start(struct lane *lane, const void *msg, size_t len)
{
    lane_send_message(lane, WIRE_TAG_START, msg, len);
}

void lane_send_attrs(struct lane *lane, const void *msg, size_t len)
{
    lane_send_message(lane, WIRE_TAG_ATTRS, msg, len);
}

void lane_send_map(struct lane *lane, const void *msg, size_t len)
{
    lane_send_message(lane, WIRE_TAG_MAP, msg, len);
}

void lane_send_end(struct lane *lane, struct chunk *unused)
{
    if (!unused) {
        lane_send_message(lane, WIRE_TAG_DATA, NULL, 0);
        return;
    }
    unused->len = 0;
    lane_send_chunk(lane, unused);
}

void lane_send_verdict(struct lane *lane, const void *msg, size_t len)
{
    lane_send_message(lane, WIRE_TAG_VERDICT, msg, len);
}

struct chunk *lane_chunk_get(struct lane *lane)
{
    struct chunk *chunk = lane->free_chunks;

    if (!chunk) {
        lane->wants_chunk = true;
        return NULL;
    }
    lane->free_chunks = chunk->next;
    chunk->next = NULL;
    chunk->len = 0;
    return chunk;
}

void lane_chunk_put(struct lane *lane, struct chunk *chunk)
{
    chunk->next = lane->free_chunks;
    lane->free_chunks = chunk;
    /* Whoever waits for one is told from the next poll: not from inside the call that gave it back.
     */
    if (lane->wants_chunk)
        link_kick(lane->link);
}

void lane_wake(struct lane *lane)
{
    lane->awake = true;
    link_kick(lane->link);
}

void lane_hold(struct lane *lane, bool held)
{
    lane->held = held;
}

static int take_outgoing(struct lane *lane)
{
    struct chunk *chunk;
    int found = 0;

    while (outbox_take(&lane->outbox, &chunk)) {
        found = 1;
        if (chunk)
            lane_chunk_put(lane, chunk);
    }
    if (lane->awake || (lane->wants_chunk && lane->free_chunks)) {
        lane->awake = lane->wants_chunk = false;
        found = 1;
        if (lane->sender)
            lane->sender->chunk_free(lane->sender_user);
    }
    return found;
}

static int take_answers(struct lane *lane, struct xfer_error *err)
{
    size_t len;
    int n, tag, found = 0;

    for (unsigned i = 0; i < lane->n_in; i++) {
        n = mailbox_take(&lane->in[i], &len, &tag, err);
        if (n < 0)
            return -1;
        if (n == 0)
            continue;
        found = 1;
        if (i == IN_RECEIPT) {
            if (lane->files_open == 0)
                return error_set(err, XFER_PROTOCOL, "a receipt came for no file");
            lane->files_open--;
            lane->sender->receipt(lane->sender_user, lane->in[i].buf, len);
        } else if (i == IN_REFUSAL) {
            lane->sender->refusal(lane->sender_user, lane->in[i].buf, len);
        } else {
            lane->sender->go(lane->sender_user, lane->in[i].buf, len);
        }
        if (mailbox_post(&lane->in[i], err))
            return -1;
    }
    return found;
}

void lane_add_requests(struct lane *lane, struct requests *requests)
{
    unsigned data = lane->posted_count < REQUESTS_AHEAD ? lane->posted_count : REQUESTS_AHEAD;

    outbox_add(&lane->outbox, requests);
    for (unsigned i = 0; i < lane->n_in; i++)
        requests_add(requests, &lane->in[i].request);
    for (unsigned i = 0; i < data; i++)
        requests_add(requests, &lane->posted[(lane->posted_first + i) % XFER_RING_CHUNKS].request);
}

int lane_take(struct lane *lane, struct xfer_error *err)
{
    int in = 0, out = take_outgoing(lane);

    if (lane->end == LANE_SENDING ? lane->sender != NULL : lane->receiver != NULL)
        in = lane->end == LANE_SENDING ? take_answers(lane, err) : lane_take_received(lane, err);
    if (in > 0)
        link_heard(lane->link);
    return in < 0 ? -1 : in + out;
}
