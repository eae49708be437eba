/* SPDX-License-Identifier: MIT
 *
 * One lane of the sending rank: the files that were given to it, one after the other, each as META,
 * DATA..., END, VERDICT. The next file begins while the receipts of the ones before are still due;
 * at most XFER_LANE_FILES_MAX are unanswered.
 *
 * stream_pump() is the heart: it goes on as far as chunks, page cache and window allow, and is
 * called again whenever one of them gives way: a chunk has left, a worker has read, a receipt came.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/send/send_impl.h"

struct stream {
    struct link *link;
    struct lane *lane;
    struct send_queue waiting;    /* nothing of them has left yet */
    struct send *current;         /* META has left, VERDICT has not */
    struct send_queue unanswered; /* VERDICT has left: receipts come in this order */
    uint64_t last_seq;
    bool pumping;
};

static void stream_pump(struct stream *stream);

static void on_receipt(void *user, const void *msg, size_t len);
static void on_refusal(void *user, const void *msg, size_t len);
static void on_chunk_free(void *user);

static const struct lane_sender_events lane_events = {on_receipt, on_refusal, on_chunk_free};

struct stream *stream_create(struct link *link, struct lane *lane, struct xfer_error *err)
{
    struct stream *stream = calloc(1, sizeof(*stream));

    if (!stream) {
        error_set_errno(err, ENOMEM, "stream");
        return NULL;
    }
    stream->link = link;
    stream->lane = lane;
    lane_set_sender(lane, &lane_events, stream);
    return stream;
}

void stream_destroy(struct stream *stream)
{
    free(stream);
}

uint64_t stream_bytes(const struct stream *stream)
{
    uint64_t bytes = 0;

    if (stream->current)
        bytes += (uint64_t)stream->current->source.st.st_size - stream->current->offset;
    for (const struct send *s = stream->waiting.first; s; s = s->queue_next)
        bytes += (uint64_t)s->source.st.st_size;
    return bytes;
}

/* ---- messages out ---- */

static void send_meta(struct stream *stream, struct send *send)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    const struct stat *st = &send->source.st;
    struct wire_meta meta = {
        .seq = ++stream->last_seq,
        .job = send->job,
        .file = send->file,
        .size = (uint64_t)st->st_size,
        .mtime_sec = st->st_mtim.tv_sec,
        .mtime_nsec = (uint32_t)st->st_mtim.tv_nsec,
        .mode = st->st_mode & 07777,
        .overwrite = send->overwrite,
        .sync = send->sync,
        .path_len = strlen(send->dest),
    };

    memcpy(meta.path, send->dest, meta.path_len + 1);
    send->seq = meta.seq;
    lane_send_meta(stream->lane, msg, wire_meta_encode(&meta, msg));
    XXH3_128bits_reset(send->hash);
    stream->current = send;
    send->phase = SEND_SENDING;
    send_progress(send);
}

static void send_chunk(struct stream *stream, struct send *send, struct chunk *chunk, size_t len)
{
    chunk->len = len;
    XXH3_128bits_update(send->hash, chunk->data, len);
    send->offset += len;
    lane_send_chunk(stream->lane, chunk);
    send_progress(send);
}

static void send_verdict(struct stream *stream, struct send *send)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    XXH128_canonical_t digest;
    struct wire_verdict verdict = {
        .seq = send->seq, .kind = send->stopping ? WIRE_ABORT : WIRE_COMMIT, .size = send->offset};

    XXH128_canonicalFromHash(&digest, XXH3_128bits_digest(send->hash));
    memcpy(verdict.digest, digest.digest, sizeof(verdict.digest));
    memcpy(send->result.digest, digest.digest, sizeof(send->result.digest));
    send->result.size = send->offset;
    if (send->stopping)
        verdict.error = send->why;
    lane_send_end(stream->lane);
    lane_send_verdict(stream->lane, msg, wire_verdict_encode(&verdict, msg));
    send_queue_put(&stream->unanswered, send);
    stream->current = NULL;
    send->phase = SEND_STORING;
    send_progress(send);
}

/* ---- disk work ---- */

static void run_read(struct work *work)
{
    struct send *send = send_of_work(work);
    struct chunk *chunk = send->chunk;

    if (source_read(&send->source, chunk->data + send->chunk_fill, chunk->len - send->chunk_fill,
                    send->offset + send->chunk_fill, &send->work_error))
        chunk->len = 0;
}

static void done_read(struct work *work)
{
    struct send *send = send_of_work(work);
    struct chunk *chunk = send->chunk;

    send->working = false;
    send->chunk = NULL;
    if (send->work_error.code != XFER_OK && !send->stopping) {
        send->stopping = true;
        send->why = send->work_error;
    }
    if (send->stopping)
        lane_chunk_put(send->stream->lane, chunk);
    else
        send_chunk(send->stream, send, chunk, chunk->len);
    stream_pump(send->stream);
}

static void run_check(struct work *work)
{
    struct send *send = send_of_work(work);

    source_check(&send->source, &send->work_error);
}

static void done_check(struct work *work)
{
    struct send *send = send_of_work(work);

    send->working = false;
    send->checked = true;
    if (send->work_error.code != XFER_OK && !send->stopping) {
        send->stopping = true;
        send->why = send->work_error;
    }
    stream_pump(send->stream);
}

/* ---- the pump ---- */

/* The next chunk of the current file: true when it has left, false when a worker reads it. */
static bool next_chunk(struct stream *stream, struct send *send, struct chunk *chunk)
{
    uint64_t left = (uint64_t)send->source.st.st_size - send->offset;
    size_t want = left < chunk->size ? (size_t)left : chunk->size, have;

    if (send->source.whole) {
        memcpy(chunk->data, send->source.whole + send->offset, want);
        have = want;
    } else {
        have = source_read_now(&send->source, chunk->data, want, send->offset);
    }
    if (have == want) {
        send_chunk(stream, send, chunk, want);
        return true;
    }
    send->chunk = chunk;
    send->chunk_fill = have;
    chunk->len = want;
    send_work(send, run_read, done_read);
    return false;
}

/* One step of the current file: true when another may follow at once. */
static bool step(struct stream *stream, struct send *send)
{
    struct chunk *chunk;

    if (send->working)
        return false;
    if (send->stopping) {
        send_verdict(stream, send);
        return true;
    }
    if (send->offset < (uint64_t)send->source.st.st_size) {
        chunk = lane_chunk_get(stream->lane);
        return chunk && next_chunk(stream, send, chunk);
    }
    if (!send->checked && !send->source.whole) {
        send_work(send, run_check, done_check);
        return false;
    }
    send_verdict(stream, send);
    return true;
}

static void stream_pump(struct stream *stream)
{
    bool more = true;

    if (stream->pumping) /* progress handlers may come back here */
        return;
    stream->pumping = true;
    while (more) {
        if (stream->current)
            more = step(stream, stream->current);
        else if (stream->waiting.first && stream->unanswered.count < XFER_LANE_FILES_MAX)
            send_meta(stream, send_queue_take(&stream->waiting));
        else
            more = false;
    }
    stream->pumping = false;
}

void stream_add(struct stream *stream, struct send *send)
{
    send->stream = stream;
    send->phase = SEND_WAITING;
    send_queue_put(&stream->waiting, send);
    send_progress(send);
    stream_pump(stream);
}

static void run_nothing(struct work *work)
{
    (void)work;
}

static void done_stop(struct work *work)
{
    struct send *send = send_of_work(work);

    send->working = false;
    send->result.error = send->why;
    send_finish(send);
}

static void done_pump(struct work *work)
{
    struct send *send = send_of_work(work);

    send->working = false;
    stream_pump(send->stream);
}

void stream_stop(struct stream *stream, struct send *send)
{
    if (send->phase == SEND_WAITING) {
        send_queue_remove(&stream->waiting, send);
        /* through a worker only so that the end is not told from inside the caller's call */
        send_work(send, run_nothing, done_stop);
    } else if (send == stream->current && !send->working) {
        send_work(send, run_nothing, done_pump);
    }
}

/* ---- messages in ---- */

static void protocol_error(struct stream *stream, struct xfer_error *err)
{
    err->code = XFER_PROTOCOL;
    link_fail(stream->link, err);
}

static void settle(struct send *send, const struct wire_receipt *receipt)
{
    struct xfer_error *e = &send->result.error;

    if (send->stopping) {
        *e = send->why;
    } else if (receipt->error.code != XFER_OK) {
        *e = receipt->error;
    } else if (receipt->size != send->result.size ||
               memcmp(receipt->digest, send->result.digest, XFER_DIGEST_SIZE) != 0) {
        error_set(e, XFER_DIGEST_MISMATCH,
                  "%s: what the receiver stored has another size or digest", send->dest);
        error_about(e, XFER_SIDE_RECEIVER, send->dest);
    }
}

static void on_receipt(void *user, const void *msg, size_t len)
{
    struct stream *stream = user;
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_receipt receipt;
    struct send *send = stream->unanswered.first;

    if (wire_receipt_decode(msg, len, &receipt, &err)) {
        protocol_error(stream, &err);
        return;
    }
    if (!send || send->seq != receipt.seq) {
        error_set(&err, XFER_PROTOCOL, "receipt for file %llu of the lane, but file %llu is due",
                  (unsigned long long)receipt.seq, send ? (unsigned long long)send->seq : 0ULL);
        protocol_error(stream, &err);
        return;
    }
    send_queue_take(&stream->unanswered);
    settle(send, &receipt);
    send_finish(send);
    stream_pump(stream);
}

/* Only a hint: it may come too late, even after the receipt. */
static void on_refusal(void *user, const void *msg, size_t len)
{
    struct stream *stream = user;
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_receipt refusal;
    struct send *send = stream->current;

    if (wire_refusal_decode(msg, len, &refusal, &err)) {
        protocol_error(stream, &err);
        return;
    }
    if (!send || send->seq != refusal.seq || send->stopping)
        return;
    send->stopping = true;
    send->why = refusal.error;
    stream_pump(stream);
}

static void on_chunk_free(void *user)
{
    stream_pump(user);
}
