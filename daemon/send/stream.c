/* SPDX-License-Identifier: MIT
 *
 * One lane of the sending rank: the files that were given to it, one after the other, each as META,
 * DATA..., END, VERDICT. The next file begins while the receipts of the ones before are still due;
 * at most XFER_LANE_FILES_MAX are unanswered. Where something of a file may be there already, META
 * asks; the lane then waits for GO and sends START before the data.
 *
 * stream_pump() is the heart: it goes on as far as chunks, page cache, window and throttle allow,
 * and is called again whenever one of them gives way: a chunk has left, a worker has read, a
 * receipt came, bytes may go again. A file that is stopping is aborted even while a worker is at
 * it: the worker may hang, the lane must not.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/send/stream_impl.h"

struct stream *stream_create(struct link *link, struct lane *lane, struct throttle *throttle,
                             struct xfer_error *err)
{
    struct stream *stream = calloc(1, sizeof(*stream));

    if (!stream) {
        error_set_errno(err, ENOMEM, "stream");
        return NULL;
    }
    stream->hash = XXH3_createState();
    if (!stream->hash) {
        free(stream);
        error_set_errno(err, ENOMEM, "stream");
        return NULL;
    }
    stream->link = link;
    stream->lane = lane;
    stream->throttle = throttle;
    lane_set_sender(lane, &stream_lane_events, stream);
    return stream;
}

void stream_destroy(struct stream *stream)
{
    if (!stream)
        return;
    XXH3_freeState(stream->hash);
    free(stream);
}

/* A file is some work for the receiver, however small it is. */
#define FILE_LOAD ((uint64_t)16 * 1024)

uint64_t stream_load(const struct stream *stream)
{
    const struct send *current = stream->current;
    uint64_t files = (uint64_t)stream->waiting.count + stream->unanswered.count;

    return stream->waiting_bytes + files * FILE_LOAD +
           (current ? (uint64_t)current->source.st.st_size - current->offset : 0);
}

unsigned stream_burden(const struct stream *stream)
{
    return stream->aborted + stream->lent + stream->slow;
}

bool stream_is_throttled(const struct stream *stream, const struct send *send)
{
    return stream->current == send && stream->flow.waits;
}

void stream_go(struct shaper_flow *flow)
{
    stream_pump((struct stream *)((char *)flow - offsetof(struct stream, flow)));
}

/* ---- disk work ---- */

/* A worker is back. True: the file was aborted meanwhile, and that was all. */
bool stream_came_late(struct send *send)
{
    if (!send->decided)
        return false;
    if (send->chunk) {
        lane_chunk_put(send->stream->lane, send->chunk);
        send->stream->lent--;
    }
    send->chunk = NULL;
    if (send->answered)
        send_finish(send);
    return true;
}

/* What a source that can't be read leaves at the receiver is still good; what one leaves that is
 * another file now is not. */
void stream_stop_if_failed(struct send *send)
{
    struct xfer_error err;

    if (!send->work_error)
        return;
    kept_error_get(send->work_error, &err);
    send_stop(send, &err, err.code != XFER_SOURCE_CHANGED);
}

static void run_read(struct work *work)
{
    struct send *send = send_of_work(work);
    struct chunk *chunk = send->chunk;
    struct xfer_error err;

    if (send_disk_begin(send, &err) ||
        source_read(&send->source, chunk->data + send->chunk_fill, chunk->len - send->chunk_fill,
                    send->offset + send->chunk_fill, &err))
        send_work_failed(send, &err);
    send_disk_end();
}

static void was_read(struct send *send)
{
    struct chunk *chunk = send->chunk;

    if (stream_came_late(send))
        return;
    send->chunk = NULL;
    stream_stop_if_failed(send);
    if (send->stopping)
        lane_chunk_put(send->stream->lane, chunk);
    else
        stream_send_chunk(send->stream, send, chunk, chunk->len);
    stream_pump(send->stream);
}

static void run_check(struct work *work)
{
    struct send *send = send_of_work(work);
    struct xfer_error err;

    if (send_disk_begin(send, &err) || source_check(&send->source, &err))
        send_work_failed(send, &err);
    send_disk_end();
}

static void was_checked(struct send *send)
{
    if (stream_came_late(send))
        return;
    send->checked = true;
    stream_stop_if_failed(send);
    stream_pump(send->stream);
}

static void run_verify(struct work *work)
{
    struct send *send = send_of_work(work);
    struct xfer_error err;

    if (send_disk_begin(send, &err) || verify_run(send->verify, &send->source, &err))
        send_work_failed(send, &err);
    send_disk_end();
}

static void was_compared(struct send *send)
{
    if (stream_came_late(send))
        return;
    stream_stop_if_failed(send);
    if (!send->stopping) {
        verify_took(send->verify, send->stream->hash);
        send_progress(send); /* nothing to count, but a sign of life */
    }
    stream_pump(send->stream);
}

/* ---- the pump ---- */

/* What was read whole is compared where it lies. */
static void compare_now(struct stream *stream, struct send *send)
{
    struct xfer_error none;

    while (verify_more(send->verify)) {
        verify_run(send->verify, &send->source, &none);
        verify_took(send->verify, stream->hash);
    }
}

/* The receiver has made its offer, or has not yet. True when START has left. */
static bool next_comparison(struct stream *stream, struct send *send)
{
    uint64_t offset;

    if (!send->verify)
        return false;
    if (send->source.whole) {
        compare_now(stream, send);
    } else if (verify_more(send->verify)) {
        send_work(send, run_verify, was_compared);
        return false;
    }
    offset = verify_offset(send->verify);
    if (offset == 0)
        XXH3_128bits_reset(stream->hash);
    stream_send_start(stream, send, offset);
    verify_destroy(send->verify);
    send->verify = NULL;
    send->offset = send->resumed = offset;
    send_set_phase(send, SEND_SENDING);
    return true;
}

/* The next chunk of the current file: true when it has left, false when a worker reads it or it is
 * too early. */
static bool next_chunk(struct stream *stream, struct send *send, struct chunk *chunk)
{
    uint64_t left = (uint64_t)send->source.st.st_size - send->offset;
    size_t want = left < chunk->size ? (size_t)left : chunk->size, have;

    want = throttle_take(stream->throttle, &stream->flow, want);
    lane_hold(stream->lane, want == 0);
    if (want == 0) {
        lane_chunk_put(stream->lane, chunk);
        return false;
    }
    if (send->source.whole) {
        memcpy(chunk->data, send->source.whole + send->offset, want);
        have = want;
    } else {
        have = source_read_now(&send->source, chunk->data, want, send->offset);
    }
    if (have == want) {
        stream_send_chunk(stream, send, chunk, want);
        return true;
    }
    send->chunk = chunk;
    send->chunk_fill = have;
    chunk->len = want;
    send_work(send, run_read, was_read);
    return false;
}

static void send_abort(struct stream *stream, struct send *send)
{
    /* START has to come even so. It cuts what the receiver has, unless all of it is to stay. */
    if (!send->started)
        stream_send_start(stream, send, send->keep && send->verify ? verify_all(send->verify) : 0);
    if (send->source.holes)
        stream_sparse_abort(stream, send);
    stream_send_verdict(stream, send);
}

/* One step of the current file: true when another may follow at once. */
static bool step(struct stream *stream, struct send *send)
{
    struct chunk *chunk;

    if (send->stopping) {
        send_abort(stream, send);
        return true;
    }
    if (send->working)
        return false;
    if (!send->started)
        return next_comparison(stream, send);
    if (send->source.holes && !stream_sparse_is_over(send))
        return stream_sparse_step(stream, send);
    if (send->offset < (uint64_t)send->source.st.st_size) {
        chunk = lane_chunk_get(stream->lane);
        return chunk && next_chunk(stream, send, chunk);
    }
    if (!send->checked && !send->source.whole) {
        send_work(send, run_check, was_checked);
        return false;
    }
    if (!stream->backed) {
        stream->unused = lane_chunk_get(stream->lane);
        if (!stream->unused)
            return false;
    }
    stream_send_verdict(stream, send);
    return true;
}

static struct send *take_waiting(struct stream *stream, struct send *send)
{
    send_queue_remove(&stream->waiting, send);
    stream->waiting_bytes -= (uint64_t)send->source.st.st_size;
    stream->slow -= send_is_slow(send);
    return send;
}

/* What the receiver has to keep of the unanswered ones is bounded. */
static bool has_room(const struct stream *stream, const struct send *send)
{
    uint32_t attrs = send->source.attrs ? send->source.attrs->len : 0;

    return stream->unanswered.count < XFER_LANE_FILES_MAX &&
           stream->attrs_bytes + attrs <= XFER_ATTRS_LANE_MAX;
}

void stream_pump(struct stream *stream)
{
    bool more = true;

    if (stream->pumping) /* progress handlers may come back here */
        return;
    stream->pumping = true;
    while (more) {
        if (stream->dropped.first)
            send_finish(send_queue_take(&stream->dropped));
        else if (stream->current)
            more = step(stream, stream->current);
        else if (stream->waiting.first && has_room(stream, stream->waiting.first))
            stream_send_meta(stream, take_waiting(stream, stream->waiting.first));
        else
            more = false;
    }
    stream->pumping = false;
}

void stream_add(struct stream *stream, struct send *send)
{
    send->stream = stream;
    send_queue_put(&stream->waiting, send);
    stream->waiting_bytes += (uint64_t)send->source.st.st_size;
    stream->slow += send_is_slow(send);
    send_set_phase(send, SEND_WAITING);
    stream_pump(stream);
}

void stream_stop(struct stream *stream, struct send *send)
{
    if (send->phase == SEND_WAITING)
        send_queue_put(&stream->dropped, take_waiting(stream, send));
    lane_wake(stream->lane);
}

/* ---- barriers ---- */

void stream_add_barrier(struct stream *stream, struct send *send)
{
    send->stream = stream;
    stream->barrier = true;
    send_queue_put_first(&stream->waiting, send);
    send_set_phase(send, SEND_WAITING);
    stream_pump(stream);
}

uint64_t stream_needs_barrier(struct stream *stream)
{
    if (!stream->barrier)
        return stream->held_job;
    stream->barrier_is_short = stream->held_job > 0;
    return 0;
}

bool stream_barrier_done(struct stream *stream)
{
    bool more = stream->barrier_is_short && stream->held_job > 0;

    stream->barrier = stream->barrier_is_short = false;
    return more;
}
