/* SPDX-License-Identifier: MIT
 *
 * The messages of one lane of the sending rank, out and in.
 */
#include <errno.h>
#include <string.h>

#include "daemon/send/stream_impl.h"

/* ---- messages out ---- */

static void add_owner(struct wire_meta *meta, const struct send *send)
{
    const gid_t *groups;
    int n;

    meta->uid = send->uid;
    meta->gid = send->gid;
    meta->caller = send->owner != NULL;
    meta->n_groups = 0;
    if (!send->owner)
        return;
    groups = identity_groups(send->owner, &n);
    for (int i = 0; i < n; i++)
        meta->groups[i] = groups[i];
    meta->n_groups = (uint32_t)n;
}

void stream_send_meta(struct stream *stream, struct send *send)
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
        .ask =
            send->again && (st->st_size >= XFER_RESUME_MIN || send->overwrite == OVERWRITE_NEVER),
        .path_len = strlen(send->dest),
    };

    memcpy(meta.path, send->dest, meta.path_len + 1);
    add_owner(&meta, send);
    send->seq = meta.seq;
    send->asked = meta.ask;
    send->started = !meta.ask;
    lane_send_meta(stream->lane, msg, wire_meta_encode(&meta, msg));
    XXH3_128bits_reset(send->hash);
    stream->current = send;
    stream->slow += send->bandwidth > 0;
    throttle_begin(stream->throttle, &stream->flow, send->bandwidth, NULL);
    send_set_phase(send, meta.ask ? SEND_ASKING : SEND_SENDING);
}

void stream_send_start(struct stream *stream, struct send *send, uint64_t offset)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    struct wire_start start = {.seq = send->seq, .offset = offset};

    lane_send_start(stream->lane, msg, wire_start_encode(&start, msg));
    send->started = true;
}

void stream_send_chunk(struct stream *stream, struct send *send, struct chunk *chunk, size_t len)
{
    chunk->len = len;
    XXH3_128bits_update(send->hash, chunk->data, len);
    send->offset += len;
    lane_send_chunk(stream->lane, chunk);
    send_progress(send);
}

void stream_send_verdict(struct stream *stream, struct send *send)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    XXH128_canonical_t digest;
    struct wire_verdict verdict = {
        .seq = send->seq,
        .kind = send->stopping ? WIRE_ABORT : WIRE_COMMIT,
        .keep = send->stopping && send->keep,
        .size = send->offset,
    };

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
    stream->slow -= send->bandwidth > 0;
    throttle_leave(stream->throttle, &stream->flow);
    lane_hold(stream->lane, false);
    send->decided = true;
    if (!send->stopping) {
        send_set_phase(send, SEND_STORING);
        return;
    }
    stream->aborted++;
    if (send->chunk)
        stream->lent++;
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
    } else {
        memcpy(send->result.stored, receipt->stored, sizeof(send->result.stored));
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
    if (send->stopping)
        stream->aborted--;
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
    if (!send || send->seq != refusal.seq)
        return;
    send_stop(send, &refusal.error, false);
    stream_pump(stream);
}

/* The file may be over already. */
static void on_go(void *user, const void *msg, size_t len)
{
    struct stream *stream = user;
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_go go;
    struct send *send = stream->current;
    uint64_t size;

    if (wire_go_decode(msg, len, &go, &err)) {
        protocol_error(stream, &err);
        return;
    }
    if (!send || send->seq != go.seq)
        return;
    size = (uint64_t)send->source.st.st_size;
    if (send->started || send->verify) {
        error_set(&err, XFER_PROTOCOL, "go-ahead for file %llu of the lane, which waits for none",
                  (unsigned long long)go.seq);
        protocol_error(stream, &err);
        return;
    }
    if (go.size > size || (go.offer == WIRE_OFFER_STORED && go.size != size)) {
        error_set(&err, XFER_PROTOCOL, "go-ahead: an offer of %llu bytes for a file of %llu",
                  (unsigned long long)go.size, (unsigned long long)size);
        protocol_error(stream, &err);
        return;
    }
    send->verify = verify_create(&go);
    if (!send->verify) {
        error_set_errno(&err, ENOMEM, "%s", send->dest);
        send_stop(send, &err, true);
    }
    send_set_phase(send, SEND_VERIFYING);
    stream_pump(stream);
}

static void on_chunk_free(void *user)
{
    stream_pump(user);
}

const struct lane_sender_events stream_lane_events = {on_receipt, on_refusal, on_go, on_chunk_free};
