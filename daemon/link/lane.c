/* SPDX-License-Identifier: MIT
 *
 * See lane.h. One struct for both ends; an end uses its half of it.
 *
 * Receiving: messages match in the order in which they were sent, but they complete in another (an
 * empty end was seen complete before the chunks ahead of it). So data receives are retired in the
 * order in which they were posted, and only the one message that the sequence META, (START,)
 * DATA..., END, VERDICT allows next is looked at.
 */
#include "daemon/link/lane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "daemon/link/lane_impl.h"
#include "daemon/link/mailbox.h"
#include "daemon/link/mpi_error.h"
#include "daemon/link/outbox.h"
#include "proto/wire.h"

enum expect { EXPECT_META, EXPECT_START, EXPECT_DATA, EXPECT_VERDICT };

struct lane {
    struct link *link;
    MPI_Comm comm;
    int peer;
    enum lane_end end;
    struct outbox outbox;
    struct chunk chunks[XFER_RING_CHUNKS];
    unsigned char *ring;
    size_t ring_size;

    /* sending */
    const struct lane_sender_events *sender;
    void *sender_user;
    struct chunk *free_chunks;
    bool wants_chunk;
    bool awake;          /* chunk_free is to be called, whatever there is */
    unsigned files_open; /* META sent, receipt not here */
    bool held;           /* the last of these */

    /* receiving */
    const struct lane_receiver_events *receiver;
    void *receiver_user;
    enum expect expect;
    struct {
        MPI_Request request;
        struct chunk *chunk;
    } posted[XFER_RING_CHUNKS]; /* a queue: first, count */
    unsigned posted_first, posted_count;

    struct mailbox in[3]; /* receipt, refusal and go, or meta, start and verdict */
};

enum { IN_RECEIPT = 0, IN_REFUSAL = 1, IN_GO = 2, IN_META = 0, IN_START = 1, IN_VERDICT = 2 };
#define MAILBOXES 3

/* ---- life ---- */

static int post_chunk(struct lane *lane, struct chunk *chunk, struct xfer_error *err)
{
    unsigned i = (lane->posted_first + lane->posted_count) % XFER_RING_CHUNKS;

    lane->posted[i].chunk = chunk;
    if (mpi_check(MPI_Irecv(chunk->data, (int)chunk->size, MPI_BYTE, lane->peer, WIRE_TAG_DATA,
                            lane->comm, &lane->posted[i].request),
                  "MPI_Irecv", err))
        return -1;
    lane->posted_count++;
    return 0;
}

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
    static const int tags[][MAILBOXES] = {
        [LANE_SENDING] = {WIRE_TAG_RECEIPT, WIRE_TAG_REFUSAL, WIRE_TAG_GO},
        [LANE_RECEIVING] = {WIRE_TAG_META, WIRE_TAG_START, WIRE_TAG_VERDICT}};
    struct lane *lane = calloc(1, sizeof(*lane));

    if (!lane) {
        error_set_errno(err, ENOMEM, "lane");
        return NULL;
    }
    lane->link = link;
    lane->comm = comm;
    lane->peer = peer;
    lane->end = end;
    outbox_init(&lane->outbox, comm, peer);
    for (unsigned i = 0; i < MAILBOXES; i++) {
        mailbox_init(&lane->in[i], comm, peer, tags[end][i]);
    }
    if (make_ring(lane, chunk, err))
        goto fail;
    for (unsigned i = 0; i < MAILBOXES; i++)
        if (mailbox_post(&lane->in[i], err))
            goto fail;
    for (unsigned i = 0; i < XFER_RING_CHUNKS; i++) {
        if (end == LANE_SENDING)
            lane_chunk_put(lane, &lane->chunks[i]);
        else if (post_chunk(lane, &lane->chunks[i], err))
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
    for (unsigned i = 0; i < MAILBOXES; i++)
        mailbox_cancel(&lane->in[i].request);
    for (unsigned i = 0; i < lane->posted_count; i++)
        mailbox_cancel(&lane->posted[(lane->posted_first + i) % XFER_RING_CHUNKS].request);
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

bool lane_expecting(const struct lane *lane)
{
    if (lane->end == LANE_SENDING)
        return lane->files_open > (lane->held ? 1 : 0);
    return lane->expect != EXPECT_META;
}

static void send_message(struct lane *lane, int tag, const void *msg, size_t len)
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
    send_message(lane, WIRE_TAG_META, msg, len);
}

void lane_send_chunk(struct lane *lane, struct chunk *chunk)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (outbox_send_chunk(&lane->outbox, WIRE_TAG_DATA, chunk, &err))
        link_fail(lane->link, &err);
    else
        link_sent(lane->link);
}

void lane_send_start(struct lane *lane, const void *msg, size_t len)
{
    send_message(lane, WIRE_TAG_START, msg, len);
}

void lane_send_end(struct lane *lane)
{
    send_message(lane, WIRE_TAG_DATA, NULL, 0);
}

void lane_send_verdict(struct lane *lane, const void *msg, size_t len)
{
    send_message(lane, WIRE_TAG_VERDICT, msg, len);
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

static int poll_outgoing(struct lane *lane, struct xfer_error *err)
{
    struct chunk *chunk;
    int n, found = 0;

    while ((n = outbox_poll(&lane->outbox, &chunk, err)) > 0) {
        found = 1;
        if (chunk)
            lane_chunk_put(lane, chunk);
    }
    if (n < 0)
        return -1;
    if (lane->awake || (lane->wants_chunk && lane->free_chunks)) {
        lane->awake = lane->wants_chunk = false;
        found = 1;
        if (lane->sender)
            lane->sender->chunk_free(lane->sender_user);
    }
    return found;
}

static int poll_sender(struct lane *lane, struct xfer_error *err)
{
    size_t len;
    int n, tag, found = 0;

    for (int i = 0; i < MAILBOXES; i++) {
        n = mailbox_poll(&lane->in[i], &len, &tag, err);
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

/* ---- the receiving end ---- */

void lane_set_receiver(struct lane *lane, const struct lane_receiver_events *events, void *user)
{
    lane->receiver = events;
    lane->receiver_user = user;
}

void lane_chunk_release(struct lane *lane, struct chunk *chunk)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (post_chunk(lane, chunk, &err))
        link_fail(lane->link, &err);
    else
        link_kick(lane->link);
}

void lane_send_receipt(struct lane *lane, const void *msg, size_t len)
{
    send_message(lane, WIRE_TAG_RECEIPT, msg, len);
}

void lane_send_refusal(struct lane *lane, const void *msg, size_t len)
{
    send_message(lane, WIRE_TAG_REFUSAL, msg, len);
}

void lane_send_go(struct lane *lane, const void *msg, size_t len)
{
    send_message(lane, WIRE_TAG_GO, msg, len);
}

/* A message of this mailbox may come next. The handler says which of two may follow it. */
static int poll_mailbox(struct lane *lane, int which, enum expect next, enum expect next_if_1,
                        int (*handler)(void *, const void *, size_t, struct xfer_error *),
                        struct xfer_error *err)
{
    size_t len;
    int tag, n = mailbox_poll(&lane->in[which], &len, &tag, err);

    if (n <= 0)
        return n;
    n = handler(lane->receiver_user, lane->in[which].buf, len, err);
    if (n < 0 || mailbox_post(&lane->in[which], err))
        return -1;
    lane->expect = n > 0 ? next_if_1 : next;
    return 1;
}

static int poll_data(struct lane *lane, struct xfer_error *err)
{
    MPI_Status status;
    struct chunk *chunk;
    int done = 0, count = 0;

    if (lane->posted_count == 0)
        return 0; /* all of them are being written */
    if (mpi_check(MPI_Test(&lane->posted[lane->posted_first].request, &done, &status),
                  "MPI_Test of data", err))
        return -1;
    if (!done)
        return 0;
    if (mpi_check(MPI_Get_count(&status, MPI_BYTE, &count), "MPI_Get_count", err))
        return -1;
    chunk = lane->posted[lane->posted_first].chunk;
    chunk->len = (size_t)count;
    lane->posted_first = (lane->posted_first + 1) % XFER_RING_CHUNKS;
    lane->posted_count--;
    if (count > 0)
        return lane->receiver->data(lane->receiver_user, chunk, err) ? -1 : 1;
    lane->expect = EXPECT_VERDICT;
    if (post_chunk(lane, chunk, err) || lane->receiver->end(lane->receiver_user, err))
        return -1;
    return 1;
}

static int poll_receiver(struct lane *lane, struct xfer_error *err)
{
    switch (lane->expect) {
    case EXPECT_META:
        return poll_mailbox(lane, IN_META, EXPECT_DATA, EXPECT_START, lane->receiver->meta, err);
    case EXPECT_START:
        return poll_mailbox(lane, IN_START, EXPECT_DATA, EXPECT_DATA, lane->receiver->start, err);
    case EXPECT_DATA:
        return poll_data(lane, err);
    case EXPECT_VERDICT:
        return poll_mailbox(lane, IN_VERDICT, EXPECT_META, EXPECT_META, lane->receiver->verdict,
                            err);
    }
    return 0;
}

int lane_poll(struct lane *lane, struct xfer_error *err)
{
    int in = 0, out = poll_outgoing(lane, err);

    if (out < 0)
        return -1;
    if (lane->end == LANE_SENDING ? lane->sender != NULL : lane->receiver != NULL)
        in = lane->end == LANE_SENDING ? poll_sender(lane, err) : poll_receiver(lane, err);
    if (in > 0)
        link_heard(lane->link);
    return in < 0 ? -1 : in + out;
}
