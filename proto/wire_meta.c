/* SPDX-License-Identifier: MIT
 *
 * See wire.h: META, the first message of whatever goes over a lane.
 */
#include <assert.h>
#include <string.h>

#include "proto/relpath.h"
#include "proto/wire.h"
#include "proto/wire_bytes.h"

/* flags */
#define META_ASK    0x0001u
#define META_CALLER 0x0002u
#define META_SPARSE 0x0004u
#define META_TREE   0x0008u
#define META_ALL    0x000fu

#define BARRIER_PATH "."

/* All fields of fixed size, all groups, two paths. */
_Static_assert(WIRE_HEADER_SIZE + 70 + 4 * XFER_GROUPS_MAX + 2 * (2 + XFER_PATH_SIZE - 1) <=
                   XFER_MESSAGE_MAX,
               "the largest META is a message");

static unsigned meta_flags(const struct wire_meta *m)
{
    return (m->ask ? META_ASK : 0) | (m->caller ? META_CALLER : 0) | (m->sparse ? META_SPARSE : 0) |
           (m->tree ? META_TREE : 0);
}

size_t wire_meta_encode(const struct wire_meta *m, void *buf)
{
    struct wire_writer w = wire_begin(buf, WIRE_META, m->seq);

    assert(m->path_len < XFER_PATH_SIZE && m->target_len < XFER_PATH_SIZE);
    wire_put_uint(&w, m->job, 8);
    wire_put_uint(&w, m->file, 8);
    wire_put_uint(&w, m->size, 8);
    wire_put_uint(&w, (uint64_t)m->mtime_sec, 8);
    wire_put_uint(&w, m->mtime_nsec, 4);
    wire_put_uint(&w, m->mode, 4);
    wire_put_uint(&w, m->overwrite, 1);
    wire_put_uint(&w, m->sync, 1);
    wire_put_uint(&w, meta_flags(m), 2);
    wire_put_uint(&w, m->kind, 2);
    wire_put_uint(&w, m->preserve, 2);
    wire_put_uint(&w, m->file_uid, 4);
    wire_put_uint(&w, m->file_gid, 4);
    wire_put_uint(&w, m->attrs_size, 4);
    wire_put_owner(&w, m->uid, m->gid, m->groups, m->n_groups);
    wire_put_uint(&w, m->path_len, 2);
    wire_put_bytes(&w, m->path, m->path_len);
    wire_put_uint(&w, m->target_len, 2);
    wire_put_bytes(&w, m->target, m->target_len);
    return wire_finish(&w);
}

/* A path beneath the receiving root. */
static int check_path(const char *path, size_t len, struct xfer_error *err)
{
    if (relpath_check(path, len, err) == 0)
        return 0;
    error_prefix(err, "metadata");
    err->code = XFER_PROTOCOL;
    return -1;
}

static int check_numbers(const struct wire_meta *m, struct xfer_error *err)
{
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
    if (m->preserve & ~(uint32_t)PRESERVE_ALL)
        return wire_bad(err, WIRE_META, "set of what is preserved");
    if (!wire_is_id(m->file_uid) || !wire_is_id(m->file_gid))
        return wire_bad(err, WIRE_META, "owner of the file");
    if (m->attrs_size > XFER_ATTRS_MAX)
        return wire_bad(err, WIRE_META, "size of the attributes");
    return 0;
}

/* What only some kinds have. */
static int check_kind(const struct wire_meta *m, struct xfer_error *err)
{
    bool file = m->kind == WIRE_KIND_FILE, barrier = m->kind == WIRE_KIND_BARRIER;
    bool link = m->kind == WIRE_KIND_SYMLINK || m->kind == WIRE_KIND_HARDLINK;

    if (m->size > 0 && !file)
        return wire_bad(err, WIRE_META, "file size: only files have one");
    if (m->ask && !file)
        return wire_bad(err, WIRE_META, "option: only of a file may be asked");
    if (m->sparse && !(file && m->preserve & PRESERVE_SPARSE))
        return wire_bad(err, WIRE_META, "option: only a file may have holes, where they matter");
    if (m->attrs_size > 0 &&
        (m->kind > WIRE_KIND_SYMLINK || !(m->preserve & (PRESERVE_XATTR | PRESERVE_ACL))))
        return wire_bad(err, WIRE_META, "size of the attributes: there can be none");
    if (link != (m->target_len > 0))
        return wire_bad(err, WIRE_META, "target: links have one, and nothing else");
    if (m->kind == WIRE_KIND_HARDLINK && check_path(m->target, m->target_len, err))
        return -1;
    if (barrier)
        return strcmp(m->path, BARRIER_PATH) == 0 ? 0 : wire_bad(err, WIRE_META, "path");
    return check_path(m->path, m->path_len, err);
}

int wire_meta_decode(const void *buf, size_t len, struct wire_meta *m, struct xfer_error *err)
{
    const struct wire_owner owner = {&m->uid, &m->gid, &m->n_groups, m->groups};
    struct wire_reader r;
    uint64_t overwrite, sync, flags, kind;

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
    kind = wire_get_uint(&r, 2);
    m->preserve = (uint32_t)wire_get_uint(&r, 2);
    m->file_uid = (uint32_t)wire_get_uint(&r, 4);
    m->file_gid = (uint32_t)wire_get_uint(&r, 4);
    m->attrs_size = (uint32_t)wire_get_uint(&r, 4);
    if (wire_get_owner(&r, WIRE_META, &owner, err))
        return -1;
    m->path_len = m->target_len = 0;
    if (wire_get_string(&r, m->path, sizeof(m->path), &m->path_len))
        return wire_bad(err, WIRE_META, "path");
    if (wire_get_string(&r, m->target, sizeof(m->target), &m->target_len))
        return wire_bad(err, WIRE_META, "target");
    if (wire_close(&r, WIRE_META, err) || check_numbers(m, err))
        return -1;
    if (overwrite > OVERWRITE_NEWER || sync > SYNC_DEFAULT || (flags & ~(uint64_t)META_ALL))
        return wire_bad(err, WIRE_META, "option");
    if (kind > WIRE_KIND_BARRIER)
        return wire_bad(err, WIRE_META, "kind");
    m->overwrite = (enum overwrite_mode)overwrite;
    m->sync = (enum sync_mode)sync;
    m->kind = (enum wire_kind)kind;
    m->ask = flags & META_ASK;
    m->caller = flags & META_CALLER;
    m->sparse = flags & META_SPARSE;
    m->tree = flags & META_TREE;
    if (m->n_groups > 0 && !m->caller)
        return wire_bad(err, WIRE_META, "number of groups");
    return check_kind(m, err);
}
