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
#include "proto/wire.h"

#include <assert.h>
#include <string.h>

#include "proto/relpath.h"

#define MAGIC 0x72656678u /* "xfer" */

/* ---- bytes ---- */

struct writer {
    unsigned char *buf;
    size_t len;
};

static void put_uint(struct writer *w, uint64_t v, unsigned bytes)
{
    assert(w->len + bytes <= XFER_MESSAGE_MAX);
    for (unsigned i = 0; i < bytes; i++)
        w->buf[w->len++] = (unsigned char)(v >> (8 * i));
}

static void put_bytes(struct writer *w, const void *bytes, size_t len)
{
    assert(w->len + len <= XFER_MESSAGE_MAX);
    memcpy(w->buf + w->len, bytes, len);
    w->len += len;
}

struct reader {
    const unsigned char *buf;
    size_t len, at;
    bool short_of; /* something was read beyond the end: all values since are 0 */
};

static uint64_t get_uint(struct reader *r, unsigned bytes)
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

static const unsigned char *get_bytes(struct reader *r, size_t len)
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
    [WIRE_META] = "metadata",       [WIRE_VERDICT] = "verdict", [WIRE_RECEIPT] = "receipt",
    [WIRE_REFUSAL] = "refusal",     [WIRE_HELLO] = "hello",     [WIRE_STOP] = "stop",
    [WIRE_HEARTBEAT] = "heartbeat",
};

static struct writer begin(void *buf, enum wire_type type, uint64_t seq)
{
    struct writer w = {.buf = buf};

    put_uint(&w, MAGIC, 4);
    put_uint(&w, WIRE_VERSION, 1);
    put_uint(&w, type, 1);
    put_uint(&w, 0, 2);
    put_uint(&w, 0, 4); /* the length, known at the end */
    put_uint(&w, 0, 4);
    put_uint(&w, seq, 8);
    return w;
}

static size_t finish(struct writer *w)
{
    struct writer length = {.buf = w->buf, .len = 8};

    put_uint(&length, w->len, 4);
    return w->len;
}

static int open_message(struct reader *r, const void *buf, size_t len, enum wire_type type,
                        uint64_t *seq, struct xfer_error *err)
{
    const char *name = type_names[type];
    uint64_t magic, version, got_type, zero1, length, zero2;

    *r = (struct reader){.buf = buf, .len = len};
    if (len > XFER_MESSAGE_MAX)
        return error_set(err, XFER_PROTOCOL, "%s of %zu bytes: at most %d are allowed", name, len,
                         XFER_MESSAGE_MAX);
    magic = get_uint(r, 4);
    version = get_uint(r, 1);
    got_type = get_uint(r, 1);
    zero1 = get_uint(r, 2);
    length = get_uint(r, 4);
    zero2 = get_uint(r, 4);
    *seq = get_uint(r, 8);
    if (r->short_of)
        return error_set(err, XFER_PROTOCOL, "%s of %zu bytes: shorter than its header", name, len);
    if (magic != MAGIC)
        return error_set(err, XFER_PROTOCOL, "%s: not a message of xfer", name);
    if (version != WIRE_VERSION)
        return error_set(err, XFER_PROTOCOL, "%s of version %u: this side speaks version %d", name,
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

static int close_message(const struct reader *r, enum wire_type type, struct xfer_error *err)
{
    if (r->short_of)
        return error_set(err, XFER_PROTOCOL, "%s of %zu bytes: too short for what it holds",
                         type_names[type], r->len);
    if (r->at != r->len)
        return error_set(err, XFER_PROTOCOL, "%s of %zu bytes: %zu too many", type_names[type],
                         r->len, r->len - r->at);
    return 0;
}

static int bad(struct xfer_error *err, enum wire_type type, const char *what)
{
    return error_set(err, XFER_PROTOCOL, "%s: bad %s", type_names[type], what);
}

/* ---- parts that several messages have ---- */

/* u16 length, then the bytes; never a NUL among them */
static void put_string(struct writer *w, const char *s, size_t max)
{
    size_t len = strnlen(s, max);

    put_uint(w, len, 2);
    put_bytes(w, s, len);
}

static int get_string(struct reader *r, char *out, size_t out_size, size_t *out_len)
{
    size_t len = get_uint(r, 2);
    const unsigned char *p;

    out[0] = '\0';
    if (len >= out_size)
        return -1;
    p = get_bytes(r, len);
    if (!p)
        return 0; /* close_message() tells */
    if (memchr(p, '\0', len))
        return -1;
    memcpy(out, p, len);
    out[len] = '\0';
    if (out_len)
        *out_len = len;
    return 0;
}

/* u16 code, u8 side, u8 zero, u32 errno, text, path; all zero when there is none */
static void put_error(struct writer *w, const struct xfer_error *e, bool with_path)
{
    bool any = e->code != XFER_OK;

    put_uint(w, any ? e->code : 0, 2);
    put_uint(w, any ? e->side : 0, 1);
    put_uint(w, 0, 1);
    put_uint(w, any ? (uint32_t)e->sys_errno : 0, 4);
    put_string(w, any ? e->text : "", XFER_ERROR_TEXT_SIZE - 1);
    put_string(w, any && with_path ? e->path : "", XFER_PATH_SIZE - 1);
}

static int get_error(struct reader *r, struct xfer_error *e)
{
    uint64_t code = get_uint(r, 2), side = get_uint(r, 1), zero = get_uint(r, 1),
             errnum = get_uint(r, 4);

    *e = (struct xfer_error)XFER_ERROR_INIT;
    if (code >= XFER_CODE_COUNT || side >= XFER_SIDE_COUNT || zero || errnum > INT32_MAX)
        return -1;
    e->code = (enum xfer_code)code;
    e->side = (enum xfer_side)side;
    e->sys_errno = (int)errnum;
    if (get_string(r, e->text, sizeof(e->text), NULL) ||
        get_string(r, e->path, sizeof(e->path), NULL))
        return -1;
    error_clean(e->text);
    return 0;
}

static void get_digest(struct reader *r, unsigned char digest[XFER_DIGEST_SIZE])
{
    const unsigned char *p = get_bytes(r, XFER_DIGEST_SIZE);

    memset(digest, 0, XFER_DIGEST_SIZE);
    if (p)
        memcpy(digest, p, XFER_DIGEST_SIZE);
}

/* ---- META ---- */

size_t wire_meta_encode(const struct wire_meta *m, void *buf)
{
    struct writer w = begin(buf, WIRE_META, m->seq);

    assert(m->path_len < XFER_PATH_SIZE);
    put_uint(&w, m->job, 8);
    put_uint(&w, m->file, 8);
    put_uint(&w, m->size, 8);
    put_uint(&w, (uint64_t)m->mtime_sec, 8);
    put_uint(&w, m->mtime_nsec, 4);
    put_uint(&w, m->mode, 4);
    put_uint(&w, m->overwrite, 1);
    put_uint(&w, m->sync, 1);
    put_uint(&w, 0, 2); /* flags: none yet */
    put_uint(&w, m->path_len, 2);
    put_bytes(&w, m->path, m->path_len);
    return finish(&w);
}

int wire_meta_decode(const void *buf, size_t len, struct wire_meta *m, struct xfer_error *err)
{
    struct reader r;
    uint64_t overwrite, sync, flags;

    if (open_message(&r, buf, len, WIRE_META, &m->seq, err))
        return -1;
    m->job = get_uint(&r, 8);
    m->file = get_uint(&r, 8);
    m->size = get_uint(&r, 8);
    m->mtime_sec = (int64_t)get_uint(&r, 8);
    m->mtime_nsec = (uint32_t)get_uint(&r, 4);
    m->mode = (uint32_t)get_uint(&r, 4);
    overwrite = get_uint(&r, 1);
    sync = get_uint(&r, 1);
    flags = get_uint(&r, 2);
    m->path_len = 0;
    if (get_string(&r, m->path, sizeof(m->path), &m->path_len))
        return bad(err, WIRE_META, "path");
    if (close_message(&r, WIRE_META, err))
        return -1;
    if (m->seq == 0)
        return bad(err, WIRE_META, "sequence number");
    if (m->job == 0 || m->job > XFER_INTEGER_MAX)
        return bad(err, WIRE_META, "job number");
    if (m->size > XFER_FILE_SIZE_MAX)
        return bad(err, WIRE_META, "file size");
    if (m->mtime_nsec >= 1000000000)
        return bad(err, WIRE_META, "modification time");
    if (m->mode > 07777)
        return bad(err, WIRE_META, "mode");
    if (overwrite > OVERWRITE_NEVER || sync > SYNC_NONE || flags)
        return bad(err, WIRE_META, "option");
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
    struct writer w = begin(buf, WIRE_VERDICT, m->seq);

    put_uint(&w, m->kind, 4);
    put_uint(&w, 0, 4);
    put_uint(&w, m->size, 8);
    put_bytes(&w, m->digest, XFER_DIGEST_SIZE);
    put_error(&w, &m->error, false);
    return finish(&w);
}

int wire_verdict_decode(const void *buf, size_t len, struct wire_verdict *m, struct xfer_error *err)
{
    struct reader r;
    uint64_t kind, zero;

    if (open_message(&r, buf, len, WIRE_VERDICT, &m->seq, err))
        return -1;
    kind = get_uint(&r, 4);
    zero = get_uint(&r, 4);
    m->size = get_uint(&r, 8);
    get_digest(&r, m->digest);
    if (get_error(&r, &m->error))
        return bad(err, WIRE_VERDICT, "error");
    if (close_message(&r, WIRE_VERDICT, err))
        return -1;
    if ((kind != WIRE_COMMIT && kind != WIRE_ABORT) || zero)
        return bad(err, WIRE_VERDICT, "kind");
    if (m->seq == 0)
        return bad(err, WIRE_VERDICT, "sequence number");
    if (m->size > XFER_FILE_SIZE_MAX)
        return bad(err, WIRE_VERDICT, "size");
    if ((kind == WIRE_ABORT) != (m->error.code != XFER_OK))
        return bad(err, WIRE_VERDICT, "error: it goes with an abort and nothing else");
    m->kind = (enum wire_verdict_kind)kind;
    return 0;
}

/* ---- RECEIPT and REFUSAL ---- */

static size_t receipt_encode(const struct wire_receipt *m, enum wire_type type, void *buf)
{
    struct writer w = begin(buf, type, m->seq);

    put_uint(&w, m->size, 8);
    put_bytes(&w, m->digest, XFER_DIGEST_SIZE);
    put_error(&w, &m->error, true);
    return finish(&w);
}

static int receipt_decode(const void *buf, size_t len, enum wire_type type, struct wire_receipt *m,
                          struct xfer_error *err)
{
    struct reader r;

    if (open_message(&r, buf, len, type, &m->seq, err))
        return -1;
    m->size = get_uint(&r, 8);
    get_digest(&r, m->digest);
    if (get_error(&r, &m->error))
        return bad(err, type, "error");
    if (close_message(&r, type, err))
        return -1;
    if (m->seq == 0)
        return bad(err, type, "sequence number");
    if (m->size > XFER_FILE_SIZE_MAX)
        return bad(err, type, "size");
    if (type == WIRE_REFUSAL && m->error.code == XFER_OK)
        return bad(err, type, "error: there is none");
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

/* ---- HELLO ---- */

size_t wire_hello_encode(const struct wire_hello *m, void *buf)
{
    struct writer w = begin(buf, WIRE_HELLO, 0);

    put_uint(&w, m->version, 4);
    put_uint(&w, m->lanes, 4);
    put_uint(&w, m->chunk, 4);
    put_uint(&w, m->window, 4);
    put_uint(&w, m->pid, 8);
    put_bytes(&w, m->queue_id, XFER_QUEUE_ID_SIZE);
    put_string(&w, m->host, XFER_HOST_SIZE - 1);
    put_string(&w, m->root, XFER_PATH_SIZE - 1);
    put_string(&w, m->doorbell, XFER_PATH_SIZE - 1);
    put_error(&w, &m->error, true);
    return finish(&w);
}

int wire_hello_decode(const void *buf, size_t len, struct wire_hello *m, struct xfer_error *err)
{
    struct reader r;
    uint64_t seq;
    const unsigned char *id;

    if (open_message(&r, buf, len, WIRE_HELLO, &seq, err))
        return -1;
    m->version = (uint32_t)get_uint(&r, 4);
    m->lanes = (uint32_t)get_uint(&r, 4);
    m->chunk = (uint32_t)get_uint(&r, 4);
    m->window = (uint32_t)get_uint(&r, 4);
    m->pid = get_uint(&r, 8);
    id = get_bytes(&r, XFER_QUEUE_ID_SIZE);
    if (id)
        memcpy(m->queue_id, id, XFER_QUEUE_ID_SIZE);
    if (get_string(&r, m->host, sizeof(m->host), NULL))
        return bad(err, WIRE_HELLO, "host");
    if (get_string(&r, m->root, sizeof(m->root), NULL))
        return bad(err, WIRE_HELLO, "root");
    if (get_string(&r, m->doorbell, sizeof(m->doorbell), NULL))
        return bad(err, WIRE_HELLO, "doorbell");
    if (get_error(&r, &m->error))
        return bad(err, WIRE_HELLO, "error");
    if (close_message(&r, WIRE_HELLO, err))
        return -1;
    if (m->version == 0)
        return bad(err, WIRE_HELLO, "version");
    if (m->lanes == 0 || m->lanes > XFER_LANES_MAX)
        return bad(err, WIRE_HELLO, "number of lanes");
    if (m->chunk < XFER_CHUNK_MIN || m->chunk > XFER_CHUNK_MAX)
        return bad(err, WIRE_HELLO, "chunk size");
    if (m->window == 0 || m->window > XFER_LANE_FILES_MAX)
        return bad(err, WIRE_HELLO, "window");
    if (m->pid > INT32_MAX)
        return bad(err, WIRE_HELLO, "pid");
    return 0;
}

/* ---- HEARTBEAT, STOP ---- */

size_t wire_heartbeat_encode(const struct wire_heartbeat *m, void *buf)
{
    struct writer w = begin(buf, WIRE_HEARTBEAT, 0);

    put_uint(&w, m->number, 8);
    put_uint(&w, m->answer, 4);
    put_uint(&w, 0, 4);
    put_uint(&w, m->free_bytes, 8);
    put_uint(&w, m->total_bytes, 8);
    return finish(&w);
}

int wire_heartbeat_decode(const void *buf, size_t len, struct wire_heartbeat *m,
                          struct xfer_error *err)
{
    struct reader r;
    uint64_t seq, answer, zero;

    if (open_message(&r, buf, len, WIRE_HEARTBEAT, &seq, err))
        return -1;
    m->number = get_uint(&r, 8);
    answer = get_uint(&r, 4);
    zero = get_uint(&r, 4);
    m->free_bytes = get_uint(&r, 8);
    m->total_bytes = get_uint(&r, 8);
    if (close_message(&r, WIRE_HEARTBEAT, err))
        return -1;
    if (answer > 1 || zero)
        return bad(err, WIRE_HEARTBEAT, "direction");
    m->answer = answer;
    return 0;
}

size_t wire_stop_encode(const struct wire_stop *m, void *buf)
{
    struct writer w = begin(buf, WIRE_STOP, 0);

    put_uint(&w, m->reserved, 4);
    return finish(&w);
}

int wire_stop_decode(const void *buf, size_t len, struct wire_stop *m, struct xfer_error *err)
{
    struct reader r;
    uint64_t seq;

    if (open_message(&r, buf, len, WIRE_STOP, &seq, err))
        return -1;
    m->reserved = (uint32_t)get_uint(&r, 4);
    if (close_message(&r, WIRE_STOP, err))
        return -1;
    return 0;
}
