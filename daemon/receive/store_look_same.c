/* SPDX-License-Identifier: MIT
 *
 * Of store_look(): is what is there what is to be there? Nothing is opened, and nothing changed.
 *
 * What is the same is told by size and modification time, as rsync does. Only what an earlier
 * attempt of the same job has stored itself may be left out of one that replaces everything: its
 * change time tells, which nobody can set back to before the job began without the clock.
 */
#include "daemon/receive/store_look_impl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/receive/store_meta.h"
#include "daemon/work/xattr.h"
#include "proto/xxh.h"

/* A file system may keep less of a time than was set. */
static bool same_time(const struct timespec *there, const struct wire_look_entry *e)
{
    static const long steps[] = {1, 100, 1000, 1000000, 10000000, 1000000000};

    if ((int64_t)there->tv_sec != e->mtime_sec)
        return false;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (there->tv_nsec == (long)e->mtime_nsec - (long)e->mtime_nsec % steps[i])
            return true;
    return false;
}

static bool not_before(const struct timespec *a, int64_t sec, long nsec)
{
    return (int64_t)a->tv_sec != sec ? (int64_t)a->tv_sec > sec : a->tv_nsec >= nsec;
}

/* Has this job stored it, for all that can be told? */
static bool is_ours(const struct looking *l, const struct stat *st)
{
    return l->look->since && l->began &&
           not_before(&st->st_ctim, l->began_at.tv_sec, l->began_at.tv_nsec);
}

static bool is_member(const struct looking *l, gid_t gid)
{
    gid_t own[XFER_GROUPS_MAX];
    const gid_t *groups = own;
    int n;

    if (l->who != NULL) {
        groups = identity_groups(l->who, &n);
        if (identity_gid(l->who) == gid)
            return true;
    } else {
        n = getgroups(XFER_GROUPS_MAX, own);
        if (getegid() == gid)
            return true;
    }
    for (int i = 0; i < n; i++)
        if (groups[i] == gid)
            return true;
    return false;
}

/* Would it be given to somebody else? *owned: it is the source's owner's and group's. What can't be
 * changed doesn't count: it would be sent again each time. */
static bool owner_differs(const struct looking *l, const struct wire_look_entry *e,
                          const struct stat *st, bool *owned)
{
    bool any_group = l->store->group_set;
    bool same_uid = st->st_uid == e->uid, same_gid = any_group || st->st_gid == e->gid;

    *owned = false;
    if ((l->look->preserve & PRESERVE_OWNER) == 0)
        return false;
    *owned = same_uid && same_gid && !any_group;
    if (l->uid == 0)
        return !same_uid || !same_gid;
    return !same_gid && st->st_uid == l->uid && is_member(l, e->gid);
}

/* Do the extended attributes, of which e->hash tells? */
static bool attrs_differ(const struct looking *l, const struct wire_look_entry *e)
{
    uint32_t preserve = l->look->preserve;
    struct attrs *there;
    struct xfer_error err;
    bool differ;

    /* a mode that is configured changes the lists that came */
    if (!attrs_any(preserve) || ((preserve & PRESERVE_ACL) && l->store->file_mode >= 0))
        return false;
    if (xattr_collect_at(l->base.fd, e->name, preserve, &there, &err) != 0)
        return true;
    differ = xattr_hash(there) != e->hash;
    free(there);
    return differ;
}

static enum wire_looked_result same_but(bool metadata)
{
    return metadata ? WIRE_LOOKED_METADATA : WIRE_LOOKED_SAME;
}

static enum wire_looked_result same_file(const struct looking *l, const struct wire_look_entry *e,
                                         const struct stat *st)
{
    bool owned, differs = owner_differs(l, e, st, &owned);
    mode_t mode = store_meta_mode(l->store, false, l->look->preserve, (mode_t)e->mode, owned);

    if ((l->look->preserve & PRESERVE_MODE) && (st->st_mode & 07777) != mode)
        differs = true;
    return same_but(differs || attrs_differ(l, e));
}

static enum wire_looked_result same_link(const struct looking *l, const struct wire_look_entry *e,
                                         const struct stat *st)
{
    bool owned, differs = owner_differs(l, e, st, &owned);

    return same_but(differs ||
                    ((l->look->preserve & PRESERVE_TIMES) && !same_time(&st->st_mtim, e)));
}

enum wire_looked_result store_look_at_file(const struct looking *l, const struct wire_look_entry *e,
                                           const struct stat *st)
{
    bool same_size = (uint64_t)st->st_size == e->size, alike = same_time(&st->st_mtim, e);
    enum wire_looked_result same = same_size && alike ? same_file(l, e, st) : WIRE_LOOKED_DIFFERENT;

    if (l->look->checksum && l->look->overwrite != OVERWRITE_NEVER)
        same = same_size ? WIRE_LOOKED_COMPARE : WIRE_LOOKED_DIFFERENT;
    switch (l->look->overwrite) {
    case OVERWRITE_NEVER:
        return is_ours(l, st) && same_size && alike ? WIRE_LOOKED_SAME : WIRE_LOOKED_KEPT;
    case OVERWRITE_REPLACE:
        return is_ours(l, st) ? same : WIRE_LOOKED_DIFFERENT;
    case OVERWRITE_CHANGED:
        break;
    case OVERWRITE_NEWER:
        if (alike)
            return same_size ? same : WIRE_LOOKED_KEPT;
        if (not_before(&st->st_mtim, e->mtime_sec, (long)e->mtime_nsec))
            return WIRE_LOOKED_KEPT;
        return l->look->checksum ? same : WIRE_LOOKED_DIFFERENT;
    }
    return same;
}

static bool leads_there(const struct looking *l, const struct wire_look_entry *e)
{
    char target[XFER_PATH_SIZE];
    ssize_t len = readlinkat(l->base.fd, e->name, target, sizeof target);

    return len >= 0 && XXH3_64bits(target, (size_t)len) == e->hash;
}

/* Times of links say nothing about what they lead to. */
enum wire_looked_result store_look_at_link(const struct looking *l, const struct wire_look_entry *e,
                                           const struct stat *st)
{
    bool counts = l->look->overwrite == OVERWRITE_CHANGED ||
                  l->look->overwrite == OVERWRITE_NEWER || is_ours(l, st);

    if (counts && leads_there(l, e))
        return l->look->overwrite == OVERWRITE_NEVER ? WIRE_LOOKED_SAME : same_link(l, e, st);
    return l->look->overwrite == OVERWRITE_NEVER ? WIRE_LOOKED_KEPT : WIRE_LOOKED_DIFFERENT;
}
