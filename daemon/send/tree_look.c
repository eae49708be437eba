/* SPDX-License-Identifier: MIT
 *
 * What the receiver has of a tree already (tree_impl.h). Entries that have to be asked about lie in
 * lists of their directories; each question takes as many of one directory as there are and as have
 * room. Directories are asked about always, which makes them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/send/tree_impl.h"
#include "proto/xxh.h"

/* ---- what must be asked ---- */

static bool needs_look(const struct tree *t, const struct tree_entry *e)
{
    bool kept = t->request.overwrite == OVERWRITE_NEVER || t->request.overwrite == OVERWRITE_NEWER;

    if (e->self)
        return true;
    if (e->dir->fresh || !t->look_at_files)
        return false;
    if (t->single && !t->dry_run)
        return t->request.overwrite != OVERWRITE_REPLACE && t->request.overwrite != OVERWRITE_NEVER;
    /* another name of what is sent anyway costs no more than the question */
    return kept || t->dry_run || !tree_links_has_first(e);
}

static void put_asking(struct tree *t, struct tree_dir *dir)
{
    if (dir->asking)
        return;
    dir->asking = true;
    dir->queue_next = NULL;
    if (t->asking_last)
        t->asking_last->queue_next = dir;
    else
        t->asking = dir;
    t->asking_last = dir;
}

void tree_route(struct tree *t, struct tree_entry *e)
{
    if (needs_look(t, e)) {
        tree_list_put(&e->dir->look, e);
        put_asking(t, e->dir);
        tree_kick(t);
    } else if (t->dry_run) {
        tree_plan(t, e, TREE_SEND);
        tree_end(t, e, TREE_END_PLANNED);
    } else {
        tree_ready(t, e);
    }
}

/* ---- questions ---- */

static void set_base(struct tree *t, const struct tree_dir *dir, struct wire_look *look)
{
    const char *dest = t->request.dest, *slash = strrchr(dest, '/');
    int len = slash ? (int)(slash - dest) : 0;

    if (dir == t->above)
        snprintf(look->base, sizeof(look->base), "%.*s", len, dest);
    else
        snprintf(look->base, sizeof(look->base), "%s%s%s", dest, dir->path[0] ? "/" : "",
                 dir->path);
}

static void begin_look(struct tree *t, struct tree_dir *dir, struct wire_look *look)
{
    const struct send_request *r = &t->request;

    look->job = r->job;
    look->overwrite = r->overwrite;
    look->preserve = r->preserve;
    look->dry = t->dry_run;
    look->begin = dir == t->above && !r->again && !t->dry_run && !t->single;
    look->since = r->again && !t->dry_run;
    look->checksum = t->checksum;
    look->caller = r->as_owner;
    look->uid = r->uid;
    look->gid = r->gid;
    look->n_groups = r->as_owner ? (uint32_t)r->n_groups : 0;
    for (uint32_t i = 0; i < look->n_groups; i++)
        look->groups[i] = r->groups[i];
    set_base(t, dir, look);
    look->n = 0;
}

static const char *name_of(const struct tree *t, const struct tree_entry *e)
{
    const char *slash = strrchr(t->request.dest, '/');

    if (e->dir != t->above)
        return e->name;
    return slash ? slash + 1 : t->request.dest;
}

static void add_entry(struct wire_look *look, const struct tree_entry *e, const char *name)
{
    struct wire_look_entry *entry = &look->entries[look->n++];

    entry->kind = e->self           ? WIRE_KIND_DIRECTORY
                  : e->is_link_kind ? WIRE_KIND_SYMLINK
                                    : WIRE_KIND_FILE;
    entry->mode = e->st.st_mode & 07777;
    entry->uid = e->st.st_uid;
    entry->gid = e->st.st_gid;
    entry->size = entry->kind == WIRE_KIND_FILE ? (uint64_t)e->st.st_size : 0;
    entry->mtime_sec = e->st.st_mtim.tv_sec;
    entry->mtime_nsec = (uint32_t)e->st.st_mtim.tv_nsec;
    entry->hash = e->target ? XXH3_64bits(e->target, strlen(e->target)) : e->hash;
    strcpy(entry->name, name);
}

static struct tree_dir *take_asking(struct tree *t)
{
    struct tree_dir *dir = t->asking;

    if (dir) {
        t->asking = dir->queue_next;
        if (!t->asking)
            t->asking_last = NULL;
        dir->asking = false;
    }
    return dir;
}

static bool fill(struct looks_client *client, struct wire_look *look, void **what)
{
    struct tree *t = tree_of_looks(client);
    struct tree_dir *dir = t->stopping ? NULL : take_asking(t);
    struct tree_list asked = {NULL, NULL};
    struct tree_entry *e;

    if (!dir)
        return false;
    begin_look(t, dir, look);
    while ((e = dir->look.first) && wire_look_has_room(look, strlen(name_of(t, e)))) {
        tree_list_take(&dir->look);
        add_entry(look, e, name_of(t, e));
        tree_list_put(&asked, e);
    }
    if (dir->look.first)
        put_asking(t, dir);
    *what = asked.first;
    return true;
}

/* ---- answers ---- */

/* NULL: the number of the error tells more. */
static const char *reason(enum xfer_code code, int sys_errno)
{
    switch (code) {
    case XFER_DESTINATION_EXISTS:
        return "the destination exists";
    case XFER_IS_DIRECTORY:
        return "there is a directory at the destination, and none is sent";
    case XFER_NOT_DIRECTORY:
        return "there is no directory at the destination, but something else";
    default:
        return sys_errno ? NULL : error_info(code)->name;
    }
}

static void explain(struct tree *t, const struct tree_entry *e, enum xfer_code code, int sys_errno,
                    struct xfer_error *err)
{
    const char *dest = tree_dest_of(t, e), *why = reason(code, sys_errno);

    if (why)
        error_set(err, code, "%s: %s", dest, why);
    else
        error_set_errno(err, sys_errno, "%s", dest);
    err->code = code;
    err->sys_errno = sys_errno;
    error_about(err, XFER_SIDE_RECEIVER, dest);
}

static void failed(struct tree *t, struct tree_entry *e, enum xfer_code code, int sys_errno)
{
    struct xfer_error err;

    explain(t, e, code, sys_errno, &err);
    if (e->dir == t->above) {
        tree_stop(t, &err, true);
        if (!e->self) /* its directory has it */
            tree_free_entry(e);
    } else if (e->self)
        tree_dir_failed(t, e->self, &err);
    else
        tree_fail(t, e, &err);
}

static void is_directory(struct tree *t, struct tree_entry *e, bool made)
{
    if (t->dry_run)
        tree_plan(t, e, made ? TREE_MAKE : TREE_KEEP);
    tree_dir_there(t, e->self, made);
}

static void is_same(struct tree *t, struct tree_entry *e)
{
    if (t->dry_run)
        tree_plan(t, e, TREE_KEEP);
    else if (e->link && tree_links_has_first(e)) { /* but perhaps it is another inode */
        tree_ready(t, e);
        return;
    } else if (e->link)
        tree_links_is_there(t, e);
    tree_end(t, e, TREE_END_SKIPPED);
}

static void goes(struct tree *t, struct tree_entry *e, enum tree_action action)
{
    if (!t->dry_run) {
        tree_ready(t, e);
        return;
    }
    tree_plan(t, e, action);
    tree_end(t, e, TREE_END_PLANNED);
}

static void answered(struct tree *t, struct tree_entry *e, enum wire_looked_result result)
{
    bool replaces = t->request.overwrite == OVERWRITE_REPLACE;

    switch (result) {
    case WIRE_LOOKED_MADE:
    case WIRE_LOOKED_READY:
        is_directory(t, e, result == WIRE_LOOKED_MADE);
        return;
    case WIRE_LOOKED_ABSENT:
        goes(t, e, TREE_SEND);
        return;
    case WIRE_LOOKED_SAME:
        if (replaces && (!t->request.again || t->dry_run))
            goes(t, e, TREE_REPLACE);
        else
            is_same(t, e);
        return;
    case WIRE_LOOKED_METADATA:
        /* the content is compared, and not sent where it is the same */
        e->compare = !replaces && e->kind == WIRE_KIND_FILE;
        goes(t, e, replaces ? TREE_REPLACE : TREE_SET);
        return;
    case WIRE_LOOKED_KEPT:
        if (t->single && t->request.overwrite == OVERWRITE_NEVER) {
            failed(t, e, XFER_DESTINATION_EXISTS, EEXIST);
            return;
        }
        if (t->dry_run)
            tree_plan(t, e, TREE_KEEP);
        tree_end(t, e, TREE_END_SKIPPED);
        return;
    case WIRE_LOOKED_COMPARE:
        e->compare = true;
        goes(t, e, TREE_REPLACE);
        return;
    case WIRE_LOOKED_DIFFERENT:
    case WIRE_LOOKED_FAILED:
        goes(t, e, TREE_REPLACE);
        return;
    }
}

static void looked(struct looks_client *client, void *what, const struct wire_looked *answer)
{
    struct tree *t = tree_of_looks(client);
    struct tree_entry *next = what;

    for (uint32_t i = 0; i < answer->n; i++) {
        struct tree_entry *e = next;

        next = e->next;
        e->next = NULL;
        if (t->stopping) {
            if (!e->self) /* its directory has it */
                tree_free_entry(e);
        } else if (answer->entries[i].result == WIRE_LOOKED_FAILED) {
            failed(t, e, answer->entries[i].code, answer->entries[i].sys_errno);
        } else {
            answered(t, e, answer->entries[i].result);
        }
    }
    tree_kick(t);
}

void tree_looks_init(struct looks_client *client)
{
    client->fill = fill;
    client->looked = looked;
}
