/* SPDX-License-Identifier: MIT
 *
 * See wire.h: the messages of the lanes but META (wire_meta.c). Those of the control communicator
 * are in wire_control.c and wire_look.c.
 */
#include "proto/wire.h"

#include <assert.h>
#include <string.h>

#include "proto/relpath.h"
#include "proto/wire_bytes.h"

/* ---- VERDICT ---- */

size_t wire_verdict_encode(const struct wire_verdict *m, void *buf)
{
    struct wire_writer w = wire_begin(buf, WIRE_VERDICT, m->seq);

    wire_put_uint(&w, m->kind, 4);
    wire_put_uint(&w, m->keep, 4);
    wire_put_uint(&w, m->size, 8);
    wire_put_bytes(&w, m->digest, XFER_DIGEST_SIZE);
    wire_put_error(&w, &m->error, false);
    return wire_finish(&w);
}

int wire_verdict_decode(const void *buf, size_t len, struct wire_verdict *m, struct xfer_error *err)
{
    struct wire_reader r;
    uint64_t kind, keep;

    if (wire_open(&r, buf, len, WIRE_VERDICT, &m->seq, err))
        return -1;
    kind = wire_get_uint(&r, 4);
    keep = wire_get_uint(&r, 4);
    m->size = wire_get_uint(&r, 8);
    wire_get_digest(&r, m->digest);
    if (wire_get_error(&r, &m->error))
        return wire_bad(err, WIRE_VERDICT, "error");
    if (wire_close(&r, WIRE_VERDICT, err))
        return -1;
    if (kind != WIRE_COMMIT && kind != WIRE_ABORT)
        return wire_bad(err, WIRE_VERDICT, "kind");
    if (keep > 1 || (keep && kind != WIRE_ABORT))
        return wire_bad(err, WIRE_VERDICT, "keep: it goes with an abort and nothing else");
    if (m->seq == 0)
        return wire_bad(err, WIRE_VERDICT, "sequence number");
    if (m->size > XFER_FILE_SIZE_MAX)
        return wire_bad(err, WIRE_VERDICT, "size");
    if ((kind == WIRE_ABORT) != (m->error.code != XFER_OK))
        return wire_bad(err, WIRE_VERDICT, "error: it goes with an abort and nothing else");
    m->kind = (enum wire_verdict_kind)kind;
    m->keep = keep;
    return 0;
}

/* ---- RECEIPT and REFUSAL ---- */

/* flags */
#define RECEIPT_UNCHANGED 0x0001u

static size_t receipt_encode(const struct wire_receipt *m, enum wire_type type, void *buf)
{
    struct wire_writer w = wire_begin(buf, type, m->seq);

    wire_put_uint(&w, m->size, 8);
    wire_put_bytes(&w, m->digest, XFER_DIGEST_SIZE);
    wire_put_error(&w, &m->error, true);
    wire_put_string(&w, m->stored, XFER_PATH_SIZE - 1);
    wire_put_uint(&w, m->unchanged ? RECEIPT_UNCHANGED : 0, 2);
    wire_put_string(&w, m->warning, XFER_ERROR_TEXT_SIZE - 1);
    return wire_finish(&w);
}

static int receipt_check(const struct wire_receipt *m, enum wire_type type, size_t stored_len,
                         uint64_t flags, struct xfer_error *err)
{
    bool failed = m->error.code != XFER_OK;
    struct xfer_error why;

    if (m->seq == 0)
        return wire_bad(err, type, "sequence number");
    if (m->size > XFER_FILE_SIZE_MAX)
        return wire_bad(err, type, "size");
    if (type == WIRE_REFUSAL && !failed)
        return wire_bad(err, type, "error: there is none");
    if (stored_len > 0 && (failed || relpath_check(m->stored, stored_len, &why)))
        return wire_bad(err, type, "path");
    if ((flags & ~(uint64_t)RECEIPT_UNCHANGED) || (flags && failed))
        return wire_bad(err, type, "option");
    if (m->warning[0] && failed)
        return wire_bad(err, type, "warning: it goes with what was stored and nothing else");
    return 0;
}

static int receipt_decode(const void *buf, size_t len, enum wire_type type, struct wire_receipt *m,
                          struct xfer_error *err)
{
    struct wire_reader r;
    size_t stored_len = 0;
    uint64_t flags;

    if (wire_open(&r, buf, len, type, &m->seq, err))
        return -1;
    m->size = wire_get_uint(&r, 8);
    wire_get_digest(&r, m->digest);
    if (wire_get_error(&r, &m->error))
        return wire_bad(err, type, "error");
    if (wire_get_string(&r, m->stored, sizeof(m->stored), &stored_len))
        return wire_bad(err, type, "path");
    flags = wire_get_uint(&r, 2);
    if (wire_get_string(&r, m->warning, sizeof(m->warning), NULL))
        return wire_bad(err, type, "warning");
    if (wire_close(&r, type, err) || receipt_check(m, type, stored_len, flags, err))
        return -1;
    m->unchanged = flags & RECEIPT_UNCHANGED;
    error_clean(m->warning);
    return 0;
}

size_t wire_receipt_encode(const struct wire_receipt *m, void *buf)
{
    return receipt_encode(m, WIRE_RECEIPT, buf);
}

size_t wire_refusal_encode(const struct wire_receipt *m, void *buf)
{
    return receipt_encode(m, WIRE_REFUSAL, buf);
}

int wire_receipt_decode(const void *buf, size_t len, struct wire_receipt *m, struct xfer_error *err)
{
    return receipt_decode(buf, len, WIRE_RECEIPT, m, err);
}

int wire_refusal_decode(const void *buf, size_t len, struct wire_receipt *m, struct xfer_error *err)
{
    return receipt_decode(buf, len, WIRE_REFUSAL, m, err);
}

/* ---- GO, START ---- */

/* Do n blocks of that many bytes make up that size, and is nothing really nothing? */
static bool offer_fits(uint64_t offer, uint64_t size, uint64_t block, uint64_t n)
{
    if (offer == WIRE_OFFER_NOTHING)
        return size == 0 && block == 0 && n == 0;
    if (offer != WIRE_OFFER_PARTIAL && offer != WIRE_OFFER_STORED)
        return false;
    return size <= XFER_FILE_SIZE_MAX && block >= 1 && block <= XFER_FILE_SIZE_MAX &&
           n <= XFER_OFFER_BLOCKS_MAX && n == size / block + (size % block != 0);
}

size_t wire_go_encode(const struct wire_go *m, void *buf)
{
    struct wire_writer w = wire_begin(buf, WIRE_GO, m->seq);

    assert(m->n <= XFER_OFFER_BLOCKS_MAX);
    wire_put_uint(&w, m->offer, 4);
    wire_put_uint(&w, m->n, 4);
    wire_put_uint(&w, m->size, 8);
    wire_put_uint(&w, m->block, 8);
    wire_put_bytes(&w, m->digests, (size_t)m->n * XFER_DIGEST_SIZE);
    return wire_finish(&w);
}

int wire_go_decode(const void *buf, size_t len, struct wire_go *m, struct xfer_error *err)
{
    struct wire_reader r;
    uint64_t offer;

    if (wire_open(&r, buf, len, WIRE_GO, &m->seq, err))
        return -1;
    offer = wire_get_uint(&r, 4);
    m->n = (uint32_t)wire_get_uint(&r, 4);
    m->size = wire_get_uint(&r, 8);
    m->block = wire_get_uint(&r, 8);
    if (m->n > XFER_OFFER_BLOCKS_MAX)
        return wire_bad(err, WIRE_GO, "number of blocks");
    for (uint32_t i = 0; i < m->n; i++)
        wire_get_digest(&r, m->digests[i]);
    if (wire_close(&r, WIRE_GO, err))
        return -1;
    if (m->seq == 0)
        return wire_bad(err, WIRE_GO, "sequence number");
    if (!offer_fits(offer, m->size, m->block, m->n))
        return wire_bad(err, WIRE_GO, "offer");
    m->offer = (enum wire_offer)offer;
    return 0;
}

size_t wire_start_encode(const struct wire_start *m, void *buf)
{
    struct wire_writer w = wire_begin(buf, WIRE_START, m->seq);

    wire_put_uint(&w, m->offset, 8);
    return wire_finish(&w);
}

int wire_start_decode(const void *buf, size_t len, struct wire_start *m, struct xfer_error *err)
{
    struct wire_reader r;

    if (wire_open(&r, buf, len, WIRE_START, &m->seq, err))
        return -1;
    m->offset = wire_get_uint(&r, 8);
    if (wire_close(&r, WIRE_START, err))
        return -1;
    if (m->seq == 0)
        return wire_bad(err, WIRE_START, "sequence number");
    if (m->offset > XFER_FILE_SIZE_MAX)
        return wire_bad(err, WIRE_START, "offset");
    return 0;
}

/* ---- ATTRS ---- */

size_t wire_attrs_encode(const struct wire_attrs *m, void *buf)
{
    struct wire_writer w = wire_begin(buf, WIRE_ATTRS, m->seq);

    assert(m->len <= XFER_ATTRS_PIECE);
    wire_put_uint(&w, m->offset, 4);
    wire_put_uint(&w, m->len, 4);
    wire_put_bytes(&w, m->data, m->len);
    return wire_finish(&w);
}

int wire_attrs_decode(const void *buf, size_t len, struct wire_attrs *m, struct xfer_error *err)
{
    struct wire_reader r;

    if (wire_open(&r, buf, len, WIRE_ATTRS, &m->seq, err))
        return -1;
    m->offset = (uint32_t)wire_get_uint(&r, 4);
    m->len = (uint32_t)wire_get_uint(&r, 4);
    if (m->len > XFER_ATTRS_PIECE)
        return wire_bad(err, WIRE_ATTRS, "number of bytes");
    m->data = wire_get_bytes(&r, m->len);
    if (wire_close(&r, WIRE_ATTRS, err))
        return -1;
    if (m->seq == 0)
        return wire_bad(err, WIRE_ATTRS, "sequence number");
    if (m->len == 0)
        return wire_bad(err, WIRE_ATTRS, "number of bytes");
    if (m->offset > XFER_ATTRS_MAX - m->len)
        return wire_bad(err, WIRE_ATTRS, "offset");
    return 0;
}

/* ---- MAP ---- */

size_t wire_map_encode(const struct wire_map *m, void *buf)
{
    struct wire_writer w = wire_begin(buf, WIRE_MAP, m->seq);

    assert(m->n <= XFER_MAP_MAX);
    wire_put_uint(&w, m->more, 4);
    wire_put_uint(&w, m->n, 4);
    for (uint32_t i = 0; i < m->n; i++) {
        wire_put_uint(&w, m->extents[i].offset, 8);
        wire_put_uint(&w, m->extents[i].length, 8);
    }
    return wire_finish(&w);
}

/* One after the other, not empty, and none beyond what a file can have. */
static bool extents_ascend(const struct wire_map *m)
{
    uint64_t end = 0;

    for (uint32_t i = 0; i < m->n; i++) {
        const struct wire_extent *e = &m->extents[i];

        if (e->offset < end || e->length == 0 || e->offset > XFER_FILE_SIZE_MAX ||
            e->length > XFER_FILE_SIZE_MAX - e->offset)
            return false;
        end = e->offset + e->length;
    }
    return true;
}

int wire_map_decode(const void *buf, size_t len, struct wire_map *m, struct xfer_error *err)
{
    struct wire_reader r;
    uint64_t more;

    if (wire_open(&r, buf, len, WIRE_MAP, &m->seq, err))
        return -1;
    more = wire_get_uint(&r, 4);
    m->n = (uint32_t)wire_get_uint(&r, 4);
    if (m->n > XFER_MAP_MAX)
        return wire_bad(err, WIRE_MAP, "number of pieces");
    for (uint32_t i = 0; i < m->n; i++) {
        m->extents[i].offset = wire_get_uint(&r, 8);
        m->extents[i].length = wire_get_uint(&r, 8);
    }
    if (wire_close(&r, WIRE_MAP, err))
        return -1;
    if (m->seq == 0)
        return wire_bad(err, WIRE_MAP, "sequence number");
    if (more > 1)
        return wire_bad(err, WIRE_MAP, "option");
    if (more && m->n == 0)
        return wire_bad(err, WIRE_MAP, "number of pieces: there are none, and more to follow");
    if (!extents_ascend(m))
        return wire_bad(err, WIRE_MAP, "pieces");
    m->more = more;
    return 0;
}
