/* SPDX-License-Identifier: MIT
 *
 * See wire.h: LOOK and LOOKED, with which rank 0 asks for many entries of a directory at once.
 */
#include <assert.h>
#include <string.h>

#include "proto/relpath.h"
#include "proto/wire.h"
#include "proto/wire_bytes.h"

/* flags */
#define LOOK_DRY      0x0001u
#define LOOK_BEGIN    0x0002u
#define LOOK_SINCE    0x0004u
#define LOOK_CHECKSUM 0x0008u
#define LOOK_CALLER   0x0010u
#define LOOK_ALL      0x001fu

#define LOOK_FIXED  36 /* bytes of a LOOK beyond header, groups, base and entries */
#define ENTRY_FIXED 42 /* bytes of an entry beyond its name */

_Static_assert(WIRE_HEADER_SIZE + LOOK_FIXED + 4 * XFER_GROUPS_MAX + XFER_PATH_SIZE - 1 +
                       ENTRY_FIXED + XFER_NAME_MAX <=
                   XFER_MESSAGE_MAX,
               "one entry has room in any LOOK");
_Static_assert(WIRE_HEADER_SIZE + 16 + 8 * XFER_LOOK_ENTRIES_MAX <= XFER_MESSAGE_MAX,
               "the largest LOOKED is a message");

/* ---- LOOK ---- */

static unsigned look_flags(const struct wire_look *m)
{
    return (m->dry ? LOOK_DRY : 0) | (m->begin ? LOOK_BEGIN : 0) | (m->since ? LOOK_SINCE : 0) |
           (m->checksum ? LOOK_CHECKSUM : 0) | (m->caller ? LOOK_CALLER : 0);
}

bool wire_look_has_room(const struct wire_look *m, size_t name_len)
{
    size_t used = WIRE_HEADER_SIZE + LOOK_FIXED + 4 * (size_t)m->n_groups + strlen(m->base);

    if (m->n >= XFER_LOOK_ENTRIES_MAX || name_len > XFER_NAME_MAX)
        return false;
    for (uint32_t i = 0; i < m->n; i++)
        used += ENTRY_FIXED + strlen(m->entries[i].name);
    return used + ENTRY_FIXED + name_len <= XFER_MESSAGE_MAX;
}

size_t wire_look_encode(const struct wire_look *m, void *buf)
{
    struct wire_writer w = wire_begin(buf, WIRE_LOOK, 0);

    assert(m->n <= XFER_LOOK_ENTRIES_MAX);
    wire_put_uint(&w, m->number, 8);
    wire_put_uint(&w, m->job, 8);
    wire_put_uint(&w, m->overwrite, 2);
    wire_put_uint(&w, m->preserve, 2);
    wire_put_uint(&w, look_flags(m), 2);
    wire_put_uint(&w, m->n, 2);
    wire_put_owner(&w, m->uid, m->gid, m->groups, m->n_groups);
    wire_put_string(&w, m->base, XFER_PATH_SIZE - 1);
    for (uint32_t i = 0; i < m->n; i++) {
        const struct wire_look_entry *e = &m->entries[i];

        wire_put_uint(&w, e->kind, 2);
        wire_put_uint(&w, e->mode, 2);
        wire_put_uint(&w, e->uid, 4);
        wire_put_uint(&w, e->gid, 4);
        wire_put_uint(&w, e->kind == WIRE_KIND_FILE ? e->size : 0, 8);
        wire_put_uint(&w, (uint64_t)e->mtime_sec, 8);
        wire_put_uint(&w, e->mtime_nsec, 4);
        wire_put_uint(&w, e->hash, 8);
        wire_put_string(&w, e->name, XFER_NAME_MAX);
    }
    return wire_finish(&w);
}

static int get_entry(struct wire_reader *r, struct wire_look_entry *e, struct xfer_error *err)
{
    uint64_t kind = wire_get_uint(r, 2);
    size_t name_len = 0;
    struct xfer_error why;

    e->mode = (uint32_t)wire_get_uint(r, 2);
    e->uid = (uint32_t)wire_get_uint(r, 4);
    e->gid = (uint32_t)wire_get_uint(r, 4);
    e->size = wire_get_uint(r, 8);
    e->mtime_sec = (int64_t)wire_get_uint(r, 8);
    e->mtime_nsec = (uint32_t)wire_get_uint(r, 4);
    e->hash = wire_get_uint(r, 8);
    if (wire_get_string(r, e->name, sizeof(e->name), &name_len))
        return wire_bad(err, WIRE_LOOK, "name");
    if (r->short_of)
        return wire_close(r, WIRE_LOOK, err);
    if (kind > WIRE_KIND_SYMLINK)
        return wire_bad(err, WIRE_LOOK, "kind");
    e->kind = (enum wire_kind)kind;
    if (e->mode > 07777)
        return wire_bad(err, WIRE_LOOK, "mode");
    if (!wire_is_id(e->uid) || !wire_is_id(e->gid))
        return wire_bad(err, WIRE_LOOK, "owner of an entry");
    if (e->size > XFER_FILE_SIZE_MAX || (e->size > 0 && e->kind != WIRE_KIND_FILE))
        return wire_bad(err, WIRE_LOOK, "file size");
    if (e->mtime_nsec >= 1000000000)
        return wire_bad(err, WIRE_LOOK, "modification time");
    if (memchr(e->name, '/', name_len) || relpath_check(e->name, name_len, &why))
        return wire_bad(err, WIRE_LOOK, "name");
    return 0;
}

static int check_look(const struct wire_look *m, size_t base_len, struct xfer_error *err)
{
    struct xfer_error why;

    if (m->number == 0)
        return wire_bad(err, WIRE_LOOK, "number");
    if (m->job == 0 || m->job > XFER_INTEGER_MAX)
        return wire_bad(err, WIRE_LOOK, "job number");
    if (m->preserve & ~(uint32_t)PRESERVE_ALL)
        return wire_bad(err, WIRE_LOOK, "set of what is preserved");
    if (base_len > 0 && relpath_check(m->base, base_len, &why))
        return wire_bad(err, WIRE_LOOK, "directory");
    return 0;
}

int wire_look_decode(const void *buf, size_t len, struct wire_look *m, struct xfer_error *err)
{
    const struct wire_owner owner = {&m->uid, &m->gid, &m->n_groups, m->groups};
    struct wire_reader r;
    uint64_t overwrite, flags;
    size_t base_len = 0;

    if (wire_open_control(&r, buf, len, WIRE_LOOK, err))
        return -1;
    m->number = wire_get_uint(&r, 8);
    m->job = wire_get_uint(&r, 8);
    overwrite = wire_get_uint(&r, 2);
    m->preserve = (uint32_t)wire_get_uint(&r, 2);
    flags = wire_get_uint(&r, 2);
    m->n = (uint32_t)wire_get_uint(&r, 2);
    if (wire_get_owner(&r, WIRE_LOOK, &owner, err))
        return -1;
    if (wire_get_string(&r, m->base, sizeof(m->base), &base_len))
        return wire_bad(err, WIRE_LOOK, "directory");
    if (m->n > XFER_LOOK_ENTRIES_MAX)
        return wire_bad(err, WIRE_LOOK, "number of entries");
    for (uint32_t i = 0; i < m->n; i++)
        if (get_entry(&r, &m->entries[i], err))
            return -1;
    if (wire_close(&r, WIRE_LOOK, err) || check_look(m, base_len, err))
        return -1;
    if (m->n == 0)
        return wire_bad(err, WIRE_LOOK, "number of entries");
    if (overwrite > OVERWRITE_NEWER || (flags & ~(uint64_t)LOOK_ALL))
        return wire_bad(err, WIRE_LOOK, "option");
    m->overwrite = (enum overwrite_mode)overwrite;
    m->dry = flags & LOOK_DRY;
    m->begin = flags & LOOK_BEGIN;
    m->since = flags & LOOK_SINCE;
    m->checksum = flags & LOOK_CHECKSUM;
    m->caller = flags & LOOK_CALLER;
    if (m->n_groups > 0 && !m->caller)
        return wire_bad(err, WIRE_LOOK, "number of groups");
    return 0;
}

/* ---- LOOKED ---- */

size_t wire_looked_encode(const struct wire_looked *m, void *buf)
{
    struct wire_writer w = wire_begin(buf, WIRE_LOOKED, 0);

    assert(m->n <= XFER_LOOK_ENTRIES_MAX);
    wire_put_uint(&w, m->number, 8);
    wire_put_uint(&w, m->n, 4);
    wire_put_uint(&w, 0, 4);
    for (uint32_t i = 0; i < m->n; i++) {
        wire_put_uint(&w, m->entries[i].result, 2);
        wire_put_uint(&w, m->entries[i].code, 2);
        wire_put_uint(&w, (uint32_t)m->entries[i].sys_errno, 4);
    }
    return wire_finish(&w);
}

int wire_looked_decode(const void *buf, size_t len, struct wire_looked *m, struct xfer_error *err)
{
    struct wire_reader r;
    uint64_t zero;

    if (wire_open_control(&r, buf, len, WIRE_LOOKED, err))
        return -1;
    m->number = wire_get_uint(&r, 8);
    m->n = (uint32_t)wire_get_uint(&r, 4);
    zero = wire_get_uint(&r, 4);
    if (m->n > XFER_LOOK_ENTRIES_MAX)
        return wire_bad(err, WIRE_LOOKED, "number of entries");
    for (uint32_t i = 0; i < m->n; i++) {
        uint64_t result = wire_get_uint(&r, 2), code = wire_get_uint(&r, 2);
        uint64_t errnum = wire_get_uint(&r, 4);

        if (r.short_of)
            return wire_close(&r, WIRE_LOOKED, err);
        if (result < WIRE_LOOKED_ABSENT || result > WIRE_LOOKED_FAILED)
            return wire_bad(err, WIRE_LOOKED, "result");
        if (code >= XFER_CODE_COUNT || errnum > INT32_MAX ||
            (result == WIRE_LOOKED_FAILED) != (code != XFER_OK) || (errnum > 0 && code == XFER_OK))
            return wire_bad(err, WIRE_LOOKED, "error: it goes with a failure and nothing else");
        m->entries[i].result = (enum wire_looked_result)result;
        m->entries[i].code = (enum xfer_code)code;
        m->entries[i].sys_errno = (int)errnum;
    }
    if (wire_close(&r, WIRE_LOOKED, err))
        return -1;
    if (m->number == 0)
        return wire_bad(err, WIRE_LOOKED, "number");
    if (m->n == 0 || zero)
        return wire_bad(err, WIRE_LOOKED, "number of entries");
    return 0;
}
