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
    groups = identity_groups(send->owner->who, &n);
    for (int i = 0; i < n; i++)
        meta->groups[i] = groups[i];
    meta->n_groups = (uint32_t)n;
}

static bool must_ask(const struct send *send)
{
    return send->compare || (send->again && (send->source.st.st_size >= XFER_RESUME_MIN ||
                                             send->overwrite == OVERWRITE_NEVER));
}

static void send_attrs(struct stream *stream, struct send *send)
{
    const struct attrs *attrs = send->source.attrs;
    unsigned char msg[XFER_MESSAGE_MAX];
    struct wire_attrs piece = {.seq = send->seq};

    if (!attrs)
        return;
    for (uint32_t at = 0; at < attrs->len; at += piece.len) {
        piece.offset = at;
        piece.len = attrs->len - at < XFER_ATTRS_PIECE ? attrs->len - at : XFER_ATTRS_PIECE;
        piece.data = attrs->bytes + at;
        lane_send_attrs(stream->lane, msg, wire_attrs_encode(&piece, msg));
    }
    send->attrs_len = attrs->len;
    stream->attrs_bytes += attrs->len;
    source_drop_attrs(&send->source);
}

void stream_send_meta(struct stream *stream, struct send *send)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    const struct stat *st = &send->source.st;
    struct wire_meta meta; /* large, and most of it is nobody's: not cleared */

    meta.seq = send->seq = ++stream->last_seq;
    meta.job = send->job;
    meta.file = send->file;
    meta.size = (uint64_t)st->st_size;
    meta.mtime_sec = st->st_mtim.tv_sec;
    meta.mtime_nsec = (uint32_t)st->st_mtim.tv_nsec;
    meta.mode = st->st_mode & 07777;
    meta.kind = send->kind;
    meta.preserve = send->preserve;
    meta.file_uid = st->st_uid;
    meta.file_gid = st->st_gid;
    meta.attrs_size = send->source.attrs ? send->source.attrs->len : 0;
    meta.sparse = send->source.holes;
    meta.tree = send->tree;
    meta.overwrite = send->overwrite;
    meta.sync = send->sync;
    meta.ask = send->kind == WIRE_KIND_FILE && must_ask(send);
    meta.path_len = strlen(send->dest);
    memcpy(meta.path, send->dest, meta.path_len + 1);
    meta.target_len = send->target ? strlen(send->target) : 0;
    memcpy(meta.target, send->target ? send->target : "", meta.target_len + 1);
    add_owner(&meta, send);
    send->asked = meta.ask;
    send->started = !meta.ask;
    lane_send_meta(stream->lane, msg, wire_meta_encode(&meta, msg));
    send_attrs(stream, send);
    if (send->kind == WIRE_KIND_BARRIER)
        stream->held_job = 0;
    XXH3_128bits_reset(stream->hash);
    stream->backed = false;
    stream->current = send;
    stream->slow += send_is_slow(send);
    throttle_begin(stream->throttle, &stream->flow, send->bandwidth, send->rate);
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
    XXH3_128bits_update(stream->hash, chunk->data, len);
    send->offset += len;
    lane_send_chunk(stream->lane, chunk);
    stream->backed = true;
    send_progress(send);
}

static bool may_be_held_back(const struct send *send)
{
    return send->kind != WIRE_KIND_BARRIER &&
           (send->sync == SYNC_BATCH || (send->sync == SYNC_DEFAULT && send->tree));
}

static void send_verdict(struct stream *stream, struct send *send)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    XXH128_canonical_t digest;
    struct wire_verdict verdict;

    verdict.seq = send->seq;
    verdict.kind = send->stopping ? WIRE_ABORT : WIRE_COMMIT;
    verdict.keep = send->stopping && send->keep;
    verdict.size = send->offset;
    XXH128_canonicalFromHash(&digest, XXH3_128bits_digest(stream->hash));
    memcpy(verdict.digest, digest.digest, sizeof(verdict.digest));
    memcpy(send->digest, digest.digest, sizeof(send->digest));
    verdict.error = (struct xfer_error)XFER_ERROR_INIT;
    if (send->stopping)
        kept_error_get(send->why, &verdict.error);
    lane_send_end(stream->lane, stream->unused);
    stream->unused = NULL;
    lane_send_verdict(stream->lane, msg, wire_verdict_encode(&verdict, msg));
}

void stream_send_verdict(struct stream *stream, struct send *send)
{
    send_verdict(stream, send);
    send_queue_put(&stream->unanswered, send);
    stream->current = NULL;
    stream->slow -= send_is_slow(send);
    throttle_leave(stream->throttle, &stream->flow);
    lane_hold(stream->lane, false);
    send->decided = true;
    if (send->stopping) {
        stream->aborted++;
        if (send->chunk)
            stream->lent++;
        send_recount(send);
        return;
    }
    if (may_be_held_back(send))
        stream->held_job = send->job;
    source_forget(&send->source);
    sparse_destroy(send->sparse);
    send->sparse = NULL;
    send_set_phase(send, SEND_STORING);
}

/* ---- messages in ---- */

static void protocol_error(struct stream *stream, struct xfer_error *err)
{
    err->code = XFER_PROTOCOL;
    link_fail(stream->link, err);
}

static void fill_result(const struct send *send, const struct wire_receipt *receipt,
                        struct send_result *result)
{
    result->error.code = XFER_OK;
    result->size = send->offset;
    result->resumed = send->resumed;
    memcpy(result->digest, send->digest, sizeof(result->digest));
    result->stored[0] = result->warning[0] = '\0';
    result->unchanged = false;
    result->unsent = send->source.unsent;
    if (receipt->error.code != XFER_OK) {
        result->error = receipt->error;
    } else if (receipt->size != send->offset ||
               memcmp(receipt->digest, send->digest, XFER_DIGEST_SIZE) != 0) {
        error_set(&result->error, XFER_DIGEST_MISMATCH,
                  "%s: what the receiver stored has another size or digest", send->dest);
        error_about(&result->error, XFER_SIDE_RECEIVER, send->dest);
    } else {
        strcpy(result->stored, receipt->stored);
        strcpy(result->warning, receipt->warning);
        result->unchanged = receipt->unchanged;
    }
}

static void settle(struct stream *stream, struct send *send, const struct wire_receipt *receipt)
{
    struct sender *sender = send->sender;
    bool barrier = send->kind == WIRE_KIND_BARRIER;
    struct send_result result;

    if (send->stopping) {
        stream->aborted--;
        send_finish(send);
        return;
    }
    fill_result(send, receipt, &result);
    send_done(send, &result);
    if (barrier)
        sender_barrier_done(sender, stream);
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
    stream->attrs_bytes -= send->attrs_len;
    if (!stream->unanswered.first)
        stream->held_job = 0;
    settle(stream, send, &receipt);
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
