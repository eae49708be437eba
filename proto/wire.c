/* SPDX-License-Identifier: MIT
 *
 * See wire.h: the messages of the lanes. Those of the control communicator are in wire_control.c.
 */
#include "proto/wire.h"

#include <assert.h>
#include <string.h>

#include "proto/relpath.h"
#include "proto/wire_bytes.h"

/* ---- META ---- */

/* flags */
#define META_ASK    0x0001u
#define META_CALLER 0x0002u

static unsigned meta_flags(const struct wire_meta *m)
{
    return (m->ask ? META_ASK : 0) | (m->caller ? META_CALLER : 0);
}

size_t wire_meta_encode(const struct wire_meta *m, void *buf)
{
    struct wire_writer w = wire_begin(buf, WIRE_META, m->seq);

    assert(m->path_len < XFER_PATH_SIZE && m->n_groups <= XFER_GROUPS_MAX);
    wire_put_uint(&w, m->job, 8);
    wire_put_uint(&w, m->file, 8);
    wire_put_uint(&w, m->size, 8);
    wire_put_uint(&w, (uint64_t)m->mtime_sec, 8);
    wire_put_uint(&w, m->mtime_nsec, 4);
    wire_put_uint(&w, m->mode, 4);
    wire_put_uint(&w, m->overwrite, 1);
    wire_put_uint(&w, m->sync, 1);
    wire_put_uint(&w, meta_flags(m), 2);
    wire_put_uint(&w, m->uid, 4);
    wire_put_uint(&w, m->gid, 4);
    wire_put_uint(&w, m->n_groups, 2);
    for (uint32_t i = 0; i < m->n_groups; i++)
        wire_put_uint(&w, m->groups[i], 4);
    wire_put_uint(&w, m->path_len, 2);
    wire_put_bytes(&w, m->path, m->path_len);
    return wire_finish(&w);
}

/* 2^32 - 1 means "no change" to the calls that take them. */
static bool is_id(uint32_t id)
{
    return id != UINT32_MAX;
}

static int get_owner(struct wire_reader *r, struct wire_meta *m, struct xfer_error *err)
{
    bool good;

    m->uid = (uint32_t)wire_get_uint(r, 4);
    m->gid = (uint32_t)wire_get_uint(r, 4);
    m->n_groups = (uint32_t)wire_get_uint(r, 2);
    if (m->n_groups > XFER_GROUPS_MAX)
        return wire_bad(err, WIRE_META, "number of groups");
    good = is_id(m->uid) && is_id(m->gid);
    for (uint32_t i = 0; i < m->n_groups; i++) {
        m->groups[i] = (uint32_t)wire_get_uint(r, 4);
        good = good && is_id(m->groups[i]);
    }
    return good ? 0 : wire_bad(err, WIRE_META, "owner");
}

int wire_meta_decode(const void *buf, size_t len, struct wire_meta *m, struct xfer_error *err)
{
    struct wire_reader r;
    uint64_t overwrite, sync, flags;

    if (wire_open(&r, buf, len, WIRE_META, &m->seq, err))
        return -1;
    m->job = wire_get_uint(&r, 8);
    m->file = wire_get_uint(&r, 8);
    m->size = wire_get_uint(&r, 8);
    m->mtime_sec = (int64_t)wire_get_uint(&r, 8);
    m->mtime_nsec = (uint32_t)wire_get_uint(&r, 4);
    m->mode = (uint32_t)wire_get_uint(&r, 4);
    overwrite = wire_get_uint(&r, 1);
    sync = wire_get_uint(&r, 1);
    flags = wire_get_uint(&r, 2);
    if (get_owner(&r, m, err))
        return -1;
    m->path_len = 0;
    if (wire_get_string(&r, m->path, sizeof(m->path), &m->path_len))
        return wire_bad(err, WIRE_META, "path");
    if (wire_close(&r, WIRE_META, err))
        return -1;
    if (m->seq == 0)
        return wire_bad(err, WIRE_META, "sequence number");
    if (m->job == 0 || m->job > XFER_INTEGER_MAX)
        return wire_bad(err, WIRE_META, "job number");
    if (m->size > XFER_FILE_SIZE_MAX)
        return wire_bad(err, WIRE_META, "file size");
    if (m->mtime_nsec >= 1000000000)
        return wire_bad(err, WIRE_META, "modification time");
    if (m->mode > 07777)
        return wire_bad(err, WIRE_META, "mode");
    if (overwrite > OVERWRITE_NEVER || sync > SYNC_DEFAULT ||
        (flags & ~(uint64_t)(META_ASK | META_CALLER)))
        return wire_bad(err, WIRE_META, "option");
    m->ask = flags & META_ASK;
    m->caller = flags & META_CALLER;
    if (m->n_groups > 0 && !m->caller)
        return wire_bad(err, WIRE_META, "number of groups");
    m->overwrite = (enum overwrite_mode)overwrite;
    m->sync = (enum sync_mode)sync;
    if (relpath_check(m->path, m->path_len, err)) {
        error_prefix(err, "metadata");
        err->code = XFER_PROTOCOL;
        return -1;
    }
    return 0;
}

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

static size_t receipt_encode(const struct wire_receipt *m, enum wire_type type, void *buf)
{
    struct wire_writer w = wire_begin(buf, type, m->seq);

    wire_put_uint(&w, m->size, 8);
    wire_put_bytes(&w, m->digest, XFER_DIGEST_SIZE);
    wire_put_error(&w, &m->error, true);
    wire_put_string(&w, m->stored, XFER_PATH_SIZE - 1);
    return wire_finish(&w);
}

/* Only of a file that is stored, and by the rule of paths. */
static bool may_be_stored(const struct wire_receipt *m, size_t len)
{
    struct xfer_error err;

    return len == 0 || (m->error.code == XFER_OK && relpath_check(m->stored, len, &err) == 0);
}

static int receipt_decode(const void *buf, size_t len, enum wire_type type, struct wire_receipt *m,
                          struct xfer_error *err)
{
    struct wire_reader r;
    size_t stored_len = 0;

    if (wire_open(&r, buf, len, type, &m->seq, err))
        return -1;
    m->size = wire_get_uint(&r, 8);
    wire_get_digest(&r, m->digest);
    if (wire_get_error(&r, &m->error))
        return wire_bad(err, type, "error");
    if (wire_get_string(&r, m->stored, sizeof(m->stored), &stored_len))
        return wire_bad(err, type, "path");
    if (wire_close(&r, type, err))
        return -1;
    if (!may_be_stored(m, stored_len))
        return wire_bad(err, type, "path");
    if (m->seq == 0)
        return wire_bad(err, type, "sequence number");
    if (m->size > XFER_FILE_SIZE_MAX)
        return wire_bad(err, type, "size");
    if (type == WIRE_REFUSAL && m->error.code == XFER_OK)
        return wire_bad(err, type, "error: there is none");
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
