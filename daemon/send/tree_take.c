/* SPDX-License-Identifier: MIT
 *
 * What the walk finds becomes entries of the tree (tree_impl.h), as far as there is room for them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/send/tree_impl.h"

/* Entries ahead of those under way: enough to fill all LOOKs, twice. */
#define AHEAD_MAX (XFER_TREE_ENTRIES_MAX / 4)
/* Directories that the walk has left, and whose descriptors are needed to open what is in them. */
#define LEFT_OPEN_MAX 256
/* Bytes of attributes of directories and links: so many, and those of directories that the walk is
 * in, which can't wait. */
#define ATTRS_MAX      ((size_t)8 << 20)
#define ATTRS_MAX_DEEP ((size_t)64 << 20)

bool tree_is_full(const struct tree *t)
{
    unsigned n = t->n_entries - t->n_path;

    return n >= XFER_TREE_ENTRIES_MAX || n >= t->n_flights + AHEAD_MAX ||
           t->n_left_open >= LEFT_OPEN_MAX || (t->attrs_bytes >= ATTRS_MAX && n > 0);
}

/* ---- entries ---- */

int tree_check_name(struct tree *t, const struct tree_entry *e, struct xfer_error *err)
{
    const char *path;

    if (strncmp(e->name, ".xfer", 5) != 0)
        return 0;
    path = tree_path_of(t, e);
    error_set(err, XFER_INVALID_DESTINATION,
              "%s/%s: names that begin with \".xfer\" are xfer's own at the receiver",
              t->request.source, path);
    return error_about(err, XFER_SIDE_SENDER, path);
}

struct tree_entry *tree_entry_create(struct tree *t, struct tree_dir *dir, const char *name,
                                     const struct stat *st)
{
    size_t size = strlen(name) + 1;
    struct tree_entry *e = calloc(1, sizeof(*e) + size);
    struct xfer_error err = XFER_ERROR_INIT;

    if (!e) {
        error_set_errno(&err, ENOMEM, "%s", t->request.source);
        error_about(&err, XFER_SIDE_SENDER, t->request.source);
        tree_stop(t, &err, true);
        return NULL;
    }
    memcpy(e->name, name, size);
    e->tree = t;
    e->dir = dir;
    if (st)
        e->st = *st;
    t->n_entries++;
    dir->pending++;
    return e;
}

static void add(struct tree *t, struct tree_dir *dir, struct tree_entry *e)
{
    struct xfer_error err = XFER_ERROR_INIT;

    dir->unstarted++;
    tree_count(t, e);
    if (tree_check_name(t, e, &err) || tree_links_add(t, e, &err)) {
        tree_fail(t, e, &err);
        return;
    }
    if (!e->is_link_kind && !tree_links_is_other(e))
        tree_count_bytes(t, e, (int64_t)e->st.st_size);
    if (dir->there)
        tree_route(t, e);
    else
        tree_list_put(&dir->held, e);
}

void tree_take_attrs(struct tree *t, struct tree_entry *e, struct walk_entry *found)
{
    e->hash = found->hash;
    if (found->unsent)
        tree_warn_unsent(t, e, found->unsent);
    if (!found->attrs)
        return;
    if (t->attrs_bytes + found->attrs->len > ATTRS_MAX_DEEP) {
        tree_warn_unsent(t, e, "extended attributes: those of all directories above are too many");
        return;
    }
    e->attrs = found->attrs;
    found->attrs = NULL;
    t->attrs_bytes += e->attrs->len;
}

static void take_entry(struct tree *t, struct tree_dir *dir, struct walk_entry *found)
{
    struct tree_entry *e = tree_entry_create(t, dir, found->name, &found->st);

    if (!e)
        return;
    if (S_ISLNK(found->st.st_mode)) {
        e->kind = WIRE_KIND_SYMLINK;
        e->is_link_kind = true;
        e->target = found->target;
        found->target = NULL;
    }
    tree_take_attrs(t, e, found);
    add(t, dir, e);
}

void tree_take_single(struct tree *t, const struct stat *st, uint64_t hash)
{
    struct tree_entry *e = tree_entry_create(t, t->above, "", st);

    t->single = true;
    t->request.tree = false;
    if (!st)
        t->look_at_files = false;
    if (!e)
        return;
    e->hash = hash;
    add(t, t->above, e);
}

/* ---- what else there is ---- */

static const char *path_in(struct tree *t, const struct tree_dir *dir, const char *name)
{
    return tree_join(t->path, dir->path, name);
}

static const char *name_of(const struct stat *st)
{
    return S_ISFIFO(st->st_mode) ? "FIFO" : S_ISSOCK(st->st_mode) ? "socket" : "device";
}

static void take_special(struct tree *t, struct tree_dir *dir, const struct walk_entry *found)
{
    const char *path = path_in(t, dir, found->name);
    struct xfer_error err = XFER_ERROR_INIT;

    error_set(&err, XFER_NOT_REGULAR, "%s/%s: is a %s, of which nothing is sent", t->request.source,
              path, name_of(&found->st));
    error_about(&err, XFER_SIDE_SENDER, path);
    t->progress.files_total++;
    t->progress.files_skipped++;
    tree_moved(t);
    tree_warn(t, path, &err);
}

static void take_error(struct tree *t, struct tree_dir *dir, const struct walk_entry *found)
{
    /* a list goes on behind a path that is none, also where that has no name at all */
    if (dir && (dir->path[0] || found->name[0] || t->list))
        tree_fail_path(t, path_in(t, dir, found->name), found->error);
    else if (!dir && t->request.handle) /* why the handle is of no use is what counts */
        tree_take_single(t, NULL, 0);
    else
        tree_stop(t, found->error, true);
}

/* ---- taking ---- */

/* Of the source itself, which is no directory. */
static void take_top(struct tree *t, const struct walk_entry *found)
{
    struct xfer_error err = XFER_ERROR_INIT;

    switch (found->event) {
    case WALK_ENTRY:
        tree_take_single(t, &found->st, found->hash);
        break;
    case WALK_ERROR:
        take_error(t, NULL, found);
        break;
    default:
        error_set(&err, XFER_NOT_REGULAR, "%s: is a %s, not a regular file or a directory",
                  t->request.source, name_of(&found->st));
        error_about(&err, XFER_SIDE_SENDER, t->request.source);
        tree_stop(t, &err, true);
    }
}

static void take_one(struct tree *t, struct walk_entry *found)
{
    struct tree_dir *dir;

    if (!found->dir) {
        take_top(t, found);
        return;
    }
    if (found->event == WALK_ENTER) {
        tree_dir_entered(t, found);
        return;
    }
    dir = found->dir->user;
    if (!dir) /* it is not to be there */
        return;
    if (found->event == WALK_LEAVE)
        tree_dir_left(t, dir);
    else if (found->event == WALK_ENTRY)
        take_entry(t, dir, found);
    else if (found->event == WALK_SPECIAL)
        take_special(t, dir, found);
    else
        take_error(t, dir, found);
}

/* A list may come back to a directory. One that is to lock its owner out has to be over by then:
 * its mode would come in the midst of what is stored in it the second time. */
static bool is_early(const struct tree *t, const struct walk_entry *found)
{
    const struct tree_dir *dir = t->dirs;

    if (!t->list || t->dry_run || found->event != WALK_ENTER ||
        (found->st.st_mode & S_IRWXU) == S_IRWXU)
        return false;
    while (dir && (!dir->parent || strcmp(dir->path, found->dir->path) != 0))
        dir = dir->next;
    return dir != NULL;
}

void tree_take(struct tree *t)
{
    struct walk_entry *found;

    while (!t->stopping && !t->paused && !tree_is_full(t) &&
           (found = t->early ? t->early : walk_take(t->walk))) {
        t->early = is_early(t, found) ? found : NULL;
        if (t->early)
            return;
        take_one(t, found);
        walk_entry_free(found);
    }
}
