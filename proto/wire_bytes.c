/* SPDX-License-Identifier: MIT
 *
 * The byte layout of PROTOCOL.md, "The link". Every message begins with
 *
 *   0  u32  magic "xfer"      4  u8 version   5  u8 type   6  u16 zero
 *   8  u32  length of the whole message       12 u32 zero
 *   16 u64  sequence number of the file in its lane; 0 where the message is about none
 *
 * Little-endian throughout. A cursor that remembers that it ran out stands between the fields and
 * the buffer, so each decoder reads like its table in PROTOCOL.md and checks once at the end that
 * nothing is missing and nothing left.
 */
#include "proto/wire_bytes.h"

#include <assert.h>
#include <string.h>

#define MAGIC 0x72656678u /* "xfer" */

/* ---- bytes ---- */

void wire_put_uint(struct wire_writer *w, uint64_t v, unsigned bytes)
{
    assert(w->len + bytes <= XFER_MESSAGE_MAX);
    for (unsigned i = 0; i < bytes; i++)
        w->buf[w->len++] = (unsigned char)(v >> (8 * i));
}

void wire_put_bytes(struct wire_writer *w, const void *bytes, size_t len)
{
    assert(w->len + len <= XFER_MESSAGE_MAX);
    memcpy(w->buf + w->len, bytes, len);
    w->len += len;
}

uint64_t wire_get_uint(struct wire_reader *r, unsigned bytes)
{
    uint64_t v = 0;

    if (r->short_of || r->len - r->at < bytes) {
        r->short_of = true;
        return 0;
    }
    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)r->buf[r->at++] << (8 * i);
    return v;
}

const unsigned char *wire_get_bytes(struct wire_reader *r, size_t len)
{
    const unsigned char *p = r->buf + r->at;

    if (r->short_of || r->len - r->at < len) {
        r->short_of = true;
        return NULL;
    }
    r->at += len;
    return p;
}

/* ---- header ---- */

static const char *const type_names[] = {
    [WIRE_META] = "metadata",
    [WIRE_VERDICT] = "verdict",
    [WIRE_RECEIPT] = "receipt",
    [WIRE_REFUSAL] = "refusal",
    [WIRE_HELLO] = "hello",
    [WIRE_STOP] = "stop",
    [WIRE_HEARTBEAT] = "heartbeat",
    [WIRE_GO] = "go-ahead",
    [WIRE_START] = "start",
    [WIRE_PARTIALS] = "partials",
    [WIRE_FORGET] = "forget",
    [WIRE_ATTRS] = "attributes",
    [WIRE_MAP] = "map",
    [WIRE_LOOK] = "look",
    [WIRE_LOOKED] = "answer to a look",
};

struct wire_writer wire_begin(void *buf, enum wire_type type, uint64_t seq)
{
    struct wire_writer w = {.buf = buf};

    wire_put_uint(&w, MAGIC, 4);
    wire_put_uint(&w, WIRE_VERSION, 1);
    wire_put_uint(&w, type, 1);
    wire_put_uint(&w, 0, 2);
    wire_put_uint(&w, 0, 4); /* the length, known at the end */
    wire_put_uint(&w, 0, 4);
    wire_put_uint(&w, seq, 8);
    return w;
}

size_t wire_finish(struct wire_writer *w)
{
    struct wire_writer length = {.buf = w->buf, .len = 8};

    wire_put_uint(&length, w->len, 4);
    return w->len;
}

int wire_open(struct wire_reader *r, const void *buf, size_t len, enum wire_type type,
              uint64_t *seq, struct xfer_error *err)
{
    const char *name = type_names[type];
    uint64_t magic, version, got_type, zero1, length, zero2;

    *r = (struct wire_reader){.buf = buf, .len = len};
    if (len > XFER_MESSAGE_MAX)
        return error_set(err, XFER_PROTOCOL, "%s of %zu bytes: at most %d are allowed", name, len,
                         XFER_MESSAGE_MAX);
    magic = wire_get_uint(r, 4);
    version = wire_get_uint(r, 1);
    got_type = wire_get_uint(r, 1);
    zero1 = wire_get_uint(r, 2);
    length = wire_get_uint(r, 4);
    zero2 = wire_get_uint(r, 4);
    *seq = wire_get_uint(r, 8);
    if (r->short_of)
        return error_set(err, XFER_PROTOCOL, "%s of %zu bytes: shorter than its header", name, len);
    if (magic != MAGIC)
        return error_set(err, XFER_PROTOCOL, "%s: not a message of xfer", name);
    if (version != WIRE_VERSION)
        return error_set(
            err, XFER_PROTOCOL,
            "%s of version %u: this side speaks version %d (the other host has another xfer)", name,
            (unsigned)version, WIRE_VERSION);
    if (got_type != (uint64_t)type)
        return error_set(err, XFER_PROTOCOL, "%s expected, but the message has type %u", name,
                         (unsigned)got_type);
    if (length != len)
        return error_set(err, XFER_PROTOCOL, "%s of %zu bytes says that it has %u", name, len,
                         (unsigned)length);
    if (zero1 || zero2)
        return error_set(err, XFER_PROTOCOL, "%s: reserved bits are set", name);
    return 0;
}

int wire_open_control(struct wire_reader *r, const void *buf, size_t len, enum wire_type type,
                      struct xfer_error *err)
{
    uint64_t seq;

    if (wire_open(r, buf, len, type, &seq, err))
        return -1;
    return seq == 0 ? 0 : wire_bad(err, type, "sequence number: there is none");
}

int wire_close(const struct wire_reader *r, enum wire_type type, struct xfer_error *err)
{
    if (r->short_of)
        return error_set(err, XFER_PROTOCOL, "%s of %zu bytes: too short for what it holds",
                         type_names[type], r->len);
    if (r->at != r->len)
        return error_set(err, XFER_PROTOCOL, "%s of %zu bytes: %zu too many", type_names[type],
                         r->len, r->len - r->at);
    return 0;
}

int wire_bad(struct xfer_error *err, enum wire_type type, const char *what)
{
    return error_set(err, XFER_PROTOCOL, "%s: bad %s", type_names[type], what);
}

/* ---- parts that several messages have ---- */

void wire_put_string(struct wire_writer *w, const char *s, size_t max)
{
    size_t len = strnlen(s, max);

    wire_put_uint(w, len, 2);
    wire_put_bytes(w, s, len);
}

int wire_get_string(struct wire_reader *r, char *out, size_t out_size, size_t *out_len)
{
    size_t len = wire_get_uint(r, 2);
    const unsigned char *p;

    out[0] = '\0';
    if (len >= out_size)
        return -1;
    p = wire_get_bytes(r, len);
    if (!p)
        return 0; /* wire_close() tells */
    if (memchr(p, '\0', len))
        return -1;
    memcpy(out, p, len);
    out[len] = '\0';
    if (out_len)
        *out_len = len;
    return 0;
}

void wire_put_error(struct wire_writer *w, const struct xfer_error *e, bool with_path)
{
    bool any = e->code != XFER_OK;

    wire_put_uint(w, any ? e->code : 0, 2);
    wire_put_uint(w, any ? e->side : 0, 1);
    wire_put_uint(w, 0, 1);
    wire_put_uint(w, any ? (uint32_t)e->sys_errno : 0, 4);
    wire_put_string(w, any ? e->text : "", XFER_ERROR_TEXT_SIZE - 1);
    wire_put_string(w, any && with_path ? e->path : "", XFER_PATH_SIZE - 1);
}

int wire_get_error(struct wire_reader *r, struct xfer_error *e)
{
    uint64_t code = wire_get_uint(r, 2), side = wire_get_uint(r, 1), zero = wire_get_uint(r, 1),
             errnum = wire_get_uint(r, 4);

    *e = (struct xfer_error)XFER_ERROR_INIT;
    if (code >= XFER_CODE_COUNT || side >= XFER_SIDE_COUNT || zero || errnum > INT32_MAX)
        return -1;
    e->code = (enum xfer_code)code;
    e->side = (enum xfer_side)side;
    e->sys_errno = (int)errnum;
    if (wire_get_string(r, e->text, sizeof(e->text), NULL) ||
        wire_get_string(r, e->path, sizeof(e->path), NULL))
        return -1;
    if (code == XFER_OK && (side || errnum || e->text[0] || e->path[0]))
        return -1;
    error_clean(e->text);
    return 0;
}

void wire_get_digest(struct wire_reader *r, unsigned char digest[XFER_DIGEST_SIZE])
{
    const unsigned char *p = wire_get_bytes(r, XFER_DIGEST_SIZE);

    memset(digest, 0, XFER_DIGEST_SIZE);
    if (p)
        memcpy(digest, p, XFER_DIGEST_SIZE);
}

void wire_put_owner(struct wire_writer *w, uint32_t uid, uint32_t gid, const uint32_t *groups,
                    uint32_t n_groups)
{
    assert(n_groups <= XFER_GROUPS_MAX);
    wire_put_uint(w, uid, 4);
    wire_put_uint(w, gid, 4);
    wire_put_uint(w, n_groups, 2);
    for (uint32_t i = 0; i < n_groups; i++)
        wire_put_uint(w, groups[i], 4);
}

int wire_get_owner(struct wire_reader *r, enum wire_type type, const struct wire_owner *owner,
                   struct xfer_error *err)
{
    uint32_t n;
    bool good;

    *owner->uid = (uint32_t)wire_get_uint(r, 4);
    *owner->gid = (uint32_t)wire_get_uint(r, 4);
    *owner->n_groups = n = (uint32_t)wire_get_uint(r, 2);
    if (n > XFER_GROUPS_MAX)
        return wire_bad(err, type, "number of groups");
    good = wire_is_id(*owner->uid) && wire_is_id(*owner->gid);
    for (uint32_t i = 0; i < n; i++) {
        owner->groups[i] = (uint32_t)wire_get_uint(r, 4);
        good = good && wire_is_id(owner->groups[i]);
    }
    return good ? 0 : wire_bad(err, type, "owner");
}
