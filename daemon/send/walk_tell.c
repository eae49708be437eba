/* SPDX-License-Identifier: MIT
 *
 * See walk_impl.h: the worker tells what it has found.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/send/source_way.h"
#include "daemon/send/walk_impl.h"
#include "daemon/work/xattr.h"

static void put(struct walk *w, struct walk_entry *entry)
{
    unsigned weight = walk_weight(entry);

    if (w->told_last)
        w->told_last->next = entry;
    else
        w->told_first = entry;
    w->told_last = entry;
    w->room -= weight < w->room ? weight : w->room;
}

void walk_tell_no_memory(struct walk *w)
{
    struct walk_entry *entry = w->spare;

    w->over = true;
    w->spare = NULL;
    if (!entry)
        return;
    error_set_errno(entry->error, ENOMEM, "reading %s", w->source);
    error_about(entry->error, XFER_SIDE_SENDER, w->source);
    entry->event = WALK_ERROR;
    put(w, entry);
}

struct walk_entry *walk_tell(struct walk *w, enum walk_event event, struct walk_dir *dir,
                             const char *name, const struct stat *st)
{
    size_t len = strlen(name);
    struct walk_entry *entry = calloc(1, sizeof *entry + len + 1);

    if (!entry) {
        walk_tell_no_memory(w);
        return NULL;
    }
    entry->event = event;
    entry->dir = dir ? walk_dir_share(dir) : NULL;
    if (st)
        entry->st = *st;
    memcpy(entry->name, name, len + 1);
    put(w, entry);
    return entry;
}

/* All files are only hashed: those that go are opened, and read then. */
void walk_tell_attrs(struct walk *w, struct walk_entry *entry, int fd)
{
    bool file = S_ISREG(entry->st.st_mode);
    struct xfer_error why = XFER_ERROR_INIT;
    unsigned weight = walk_weight(entry), more;
    int rc;

    if (!attrs_any(w->preserve) || (file && !w->hash_files))
        return;
    rc = fd >= 0 ? xattr_collect(fd, w->preserve, &entry->attrs, &why)
                 : xattr_collect_at(entry->dir->fd, entry->name, w->preserve, &entry->attrs, &why);
    if (rc) {
        if (!file)
            entry->unsent = strdup(why.text);
        return;
    }
    if (file) {
        entry->hash = xattr_hash(entry->attrs);
        free(entry->attrs);
        entry->attrs = NULL;
    }
    more = walk_weight(entry) - weight;
    w->room -= more < w->room ? more : w->room;
}

void walk_tell_error(struct walk *w, struct walk_dir *dir, const char *name)
{
    struct xfer_error *error = malloc(sizeof *error);
    struct walk_entry *entry;

    if (!error) {
        walk_tell_no_memory(w);
        return;
    }
    *error = w->err;
    entry = walk_tell(w, WALK_ERROR, dir, name, NULL);
    if (entry)
        entry->error = error;
    else
        free(error);
}

void walk_tell_end(struct walk *w)
{
    walk_tell_error(w, NULL, "");
    w->over = true;
}

void walk_fail(struct walk *w, struct walk_dir *dir, const char *name, int errnum)
{
    if (errnum == EACCES || errnum == EPERM)
        source_policy_denied_in(w->policy, errnum, w->whole, &w->err);
    else
        source_way_fail(w->policy, errnum, w->whole, &w->err);
    walk_tell_error(w, dir, name);
}

void walk_refuse(struct walk *w, struct walk_dir *dir, const char *name, enum xfer_code code,
                 const char *why)
{
    error_set(&w->err, code, "%.400s: %s", w->whole, why);
    error_about(&w->err, XFER_SIDE_SENDER, w->whole);
    walk_tell_error(w, dir, name);
}
