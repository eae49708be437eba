/* SPDX-License-Identifier: MIT
 *
 * A file with holes, as it goes over a lane: maps of where its data lies, each followed by the
 * bytes of its pieces. Holes are not read and not sent; in the digest they are zeros.
 *
 * All of it is done on a worker in steps of bounded length: looking for the next map's pieces,
 * digesting so and so much of a hole, filling a chunk (from several small pieces, where these lie
 * close together). The digest runs on in a copy meanwhile, because the lane may go on without a
 * worker that hangs. After each step the loop's thread takes down how far it has come.
 *
 * What changes while it is mapped changes the file's times, and is found at its end.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/send/stream_impl.h"

#define ZEROS_LOOP   ((uint64_t)64 * 1024)        /* of a hole that the loop's thread digests */
#define ZEROS_SMALL  ((uint64_t)256 * 1024)       /* of one that a chunk may reach across */
#define ZEROS_WORKER ((uint64_t)64 * 1024 * 1024) /* of one in one piece of work */

struct sparse {
    struct wire_map map; /* the one whose pieces are sent; the worker's while it looks for more */
    bool due;            /* a MAP is to follow; the loop's always */
    uint32_t at;         /* piece of it that comes next, or is sent */
    uint64_t scanned;    /* up to where the file is known; the worker's as the map is */
    XXH3_state_t *hash;  /* these are the worker's: */
    uint64_t reached;
    uint32_t reached_piece;
};

void sparse_destroy(struct sparse *sp)
{
    if (!sp)
        return;
    XXH3_freeState(sp->hash);
    free(sp);
}

static struct sparse *create(const struct send *send)
{
    struct sparse *sp = calloc(1, sizeof(*sp));

    if (!sp)
        return NULL;
    sp->hash = XXH3_createState();
    sp->scanned = send->offset;
    sp->due = true;
    if (sp->hash)
        return sp;
    free(sp);
    return NULL;
}

static void digest_zeros(XXH3_state_t *hash, uint64_t n)
{
    static const unsigned char zeros[64 * 1024];

    for (uint64_t piece; n > 0; n -= piece) {
        piece = n < sizeof(zeros) ? n : sizeof(zeros);
        XXH3_128bits_update(hash, zeros, (size_t)piece);
    }
}

static uint64_t end_of(const struct wire_extent *e)
{
    return e->offset + e->length;
}

static bool is_used_up(const struct sparse *sp)
{
    return sp->at == sp->map.n;
}

/* ---- the next map ---- */

static void send_map(struct stream *stream, const struct wire_map *map)
{
    unsigned char msg[XFER_MESSAGE_MAX];

    lane_send_map(stream->lane, msg, wire_map_encode(map, msg));
}

/* 1; 0: there is no more data; -1 with errno set. File systems that know of no holes have none. */
static int find_data(int fd, uint64_t from, uint64_t size, struct wire_extent *e)
{
    off_t begin = lseek(fd, (off_t)from, SEEK_DATA), end;

    if (begin < 0 && (errno == EINVAL || errno == EOPNOTSUPP))
        begin = (off_t)from;
    if (begin < 0)
        return errno == ENXIO ? 0 : -1;
    if ((uint64_t)begin >= size)
        return 0;
    end = lseek(fd, begin, SEEK_HOLE);
    e->offset = (uint64_t)begin;
    e->length = end > begin && (uint64_t)end < size ? (uint64_t)(end - begin) : size - e->offset;
    return 1;
}

static int scan(struct send *send, struct xfer_error *err)
{
    struct sparse *sp = send->sparse;
    uint64_t size = (uint64_t)send->source.st.st_size;
    int found = 1;

    while (sp->map.n < XFER_MAP_MAX && sp->scanned < size && found > 0) {
        struct wire_extent *e = &sp->map.extents[sp->map.n];

        found = find_data(send->source.fd, sp->scanned, size, e);
        if (found > 0) {
            sp->map.n++;
            sp->scanned = end_of(e);
        }
    }
    if (found < 0) {
        error_set_errno(err, errno, "%s: can't look for holes", send->source.path);
        return error_about(err, XFER_SIDE_SENDER, send->source.path);
    }
    if (found == 0)
        sp->scanned = size;
    sp->map.more = sp->scanned < size;
    return 0;
}

static void run_scan(struct work *work)
{
    struct send *send = send_of_work(work);
    struct xfer_error err;

    if (send_disk_begin(send, &err) || scan(send, &err))
        send_work_failed(send, &err);
    send_disk_end();
}

static void was_scanned(struct send *send)
{
    struct sparse *sp = send->sparse;

    if (stream_came_late(send))
        return;
    stream_stop_if_failed(send);
    if (!send->stopping) {
        send_map(send->stream, &sp->map);
        sp->due = false;
        send_progress(send); /* nothing to count, but a sign of life */
    }
    stream_pump(send->stream);
}

static void start_scan(struct send *send)
{
    struct sparse *sp = send->sparse;

    sp->map.seq = send->seq;
    sp->map.n = sp->at = 0;
    send_work(send, run_scan, was_scanned);
}

/* ---- holes ---- */

static void run_zeros(struct work *work)
{
    struct send *send = send_of_work(work);
    struct sparse *sp = send->sparse;

    digest_zeros(sp->hash, sp->reached - send->offset);
}

/* What the worker has done counts. */
static void take_over(struct send *send)
{
    struct sparse *sp = send->sparse;

    XXH3_copyState(send->stream->hash, sp->hash);
    send->offset = sp->reached;
    sp->at = sp->reached_piece;
    sp->due = sp->map.more && is_used_up(sp);
}

static void was_zeroed(struct send *send)
{
    if (stream_came_late(send))
        return;
    take_over(send);
    send_progress(send);
    stream_pump(send->stream);
}

/* Up to there is a hole. True when it has been passed. */
static bool pass_hole(struct stream *stream, struct send *send, uint64_t to)
{
    struct sparse *sp = send->sparse;
    uint64_t n = to - send->offset;

    if (n <= ZEROS_LOOP) {
        digest_zeros(stream->hash, n);
        send->offset = to;
        send_progress(send);
        return true;
    }
    XXH3_copyState(sp->hash, stream->hash);
    sp->reached = n < ZEROS_WORKER ? to : send->offset + ZEROS_WORKER;
    sp->reached_piece = sp->at;
    send_work(send, run_zeros, was_zeroed);
    return false;
}

/* ---- data ---- */

/* Bytes of data, at most max, that one chunk can have: no large hole is between them. */
static size_t reach(const struct sparse *sp, uint64_t offset, size_t max)
{
    uint64_t bytes = 0;

    for (uint32_t i = sp->at; i < sp->map.n && bytes < max; i++) {
        const struct wire_extent *e = &sp->map.extents[i];

        if (e->offset > offset && e->offset - offset > ZEROS_SMALL)
            break;
        bytes += end_of(e) - (offset > e->offset ? offset : e->offset);
        offset = end_of(e);
    }
    return bytes < max ? (size_t)bytes : max;
}

static int fill(struct send *send, struct xfer_error *err)
{
    struct sparse *sp = send->sparse;
    struct chunk *chunk = send->chunk;

    for (size_t done = 0, n; done < chunk->len; done += n) {
        const struct wire_extent *e = &sp->map.extents[sp->reached_piece];

        if (sp->reached < e->offset) {
            digest_zeros(sp->hash, e->offset - sp->reached);
            sp->reached = e->offset;
        }
        n = chunk->len - done;
        if (n > end_of(e) - sp->reached)
            n = (size_t)(end_of(e) - sp->reached);
        if (source_read(&send->source, chunk->data + done, n, sp->reached, err))
            return -1;
        XXH3_128bits_update(sp->hash, chunk->data + done, n);
        sp->reached += n;
        if (sp->reached == end_of(e))
            sp->reached_piece++;
    }
    return 0;
}

static void run_fill(struct work *work)
{
    struct send *send = send_of_work(work);
    struct xfer_error err;

    if (send_disk_begin(send, &err) || fill(send, &err))
        send_work_failed(send, &err);
    send_disk_end();
}

static void was_filled(struct send *send)
{
    struct chunk *chunk = send->chunk;

    if (stream_came_late(send))
        return;
    send->chunk = NULL;
    stream_stop_if_failed(send);
    if (send->stopping) {
        lane_chunk_put(send->stream->lane, chunk);
    } else {
        take_over(send);
        lane_send_chunk(send->stream->lane, chunk);
        send->stream->backed = true;
        send_progress(send);
    }
    stream_pump(send->stream);
}

static void start_fill(struct stream *stream, struct send *send)
{
    struct sparse *sp = send->sparse;
    struct chunk *chunk = lane_chunk_get(stream->lane);
    size_t want;

    if (!chunk)
        return;
    want = throttle_take(stream->throttle, &stream->flow, reach(sp, send->offset, chunk->size));
    lane_hold(stream->lane, want == 0);
    if (want == 0) {
        lane_chunk_put(stream->lane, chunk);
        return;
    }
    XXH3_copyState(sp->hash, stream->hash);
    sp->reached = send->offset;
    sp->reached_piece = sp->at;
    send->chunk = chunk;
    send->chunk_fill = 0;
    chunk->len = want;
    send_work(send, run_fill, was_filled);
}

/* ---- all of it ---- */

bool stream_sparse_is_over(const struct send *send)
{
    return send->sparse && !send->sparse->due && is_used_up(send->sparse) &&
           send->offset == (uint64_t)send->source.st.st_size;
}

bool stream_sparse_step(struct stream *stream, struct send *send)
{
    struct sparse *sp = send->sparse;
    struct xfer_error err = XFER_ERROR_INIT;
    uint64_t next;

    if (!sp) {
        sp = send->sparse = create(send);
        if (!sp) {
            error_set_errno(&err, ENOMEM, "%s", send->source.path);
            send_stop(send, &err, true);
            return true;
        }
    }
    if (sp->due) {
        start_scan(send);
        return false;
    }
    next = is_used_up(sp) ? (uint64_t)send->source.st.st_size : sp->map.extents[sp->at].offset;
    if (send->offset < next && (is_used_up(sp) || next - send->offset > ZEROS_SMALL))
        return pass_hole(stream, send, next);
    start_fill(stream, send);
    return false;
}

void stream_sparse_abort(struct stream *stream, struct send *send)
{
    const struct wire_map none = {.seq = send->seq};

    if (!send->sparse || send->sparse->due)
        send_map(stream, &none);
}
