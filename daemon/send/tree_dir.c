/* SPDX-License-Identifier: MIT
 *
 * The directories of a tree (tree_impl.h). One is asked for in a LOOK of the one above it as soon
 * as that is there, and what is in it is held meanwhile. When the walk has left it and all that is
 * in it is over, its META goes, before that of the one above it and on the same lane. One that
 * can't be made is dropped with all that is in it, level by level and not by recursion: a tree may
 * be two thousand deep.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/send/tree_impl.h"

struct tree_dir *tree_dir_create(struct tree *t, struct tree_dir *parent, const char *path)
{
    size_t size = strlen(path) + 1;
    struct tree_dir *dir = calloc(1, sizeof(*dir) + size);

    if (!dir)
        return NULL;
    memcpy(dir->path, path, size);
    dir->parent = parent;
    dir->next = t->dirs;
    if (t->dirs)
        t->dirs->prev = dir;
    t->dirs = dir;
    return dir;
}

static void close_dir(struct tree *t, struct tree_dir *dir)
{
    if (!dir->walk_dir)
        return;
    if (dir->left)
        t->n_left_open--;
    dir->walk_dir->user = NULL;
    walk_dir_release(dir->walk_dir);
    dir->walk_dir = NULL;
}

void tree_dir_free(struct tree *t, struct tree_dir *dir)
{
    close_dir(t, dir);
    if (dir->prev)
        dir->prev->next = dir->next;
    else
        t->dirs = dir->next;
    if (dir->next)
        dir->next->prev = dir->prev;
    free(dir);
}

/* ---- beginning ---- */

/* "": the source itself */
static const char *last_component(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static struct tree_dir *make(struct tree *t, struct tree_dir *parent, struct walk_entry *found)
{
    struct tree_dir *dir = tree_dir_create(t, parent, found->dir->path);
    struct xfer_error err = XFER_ERROR_INIT;

    if (!dir) {
        error_set_errno(&err, ENOMEM, "%s", t->request.source);
        error_about(&err, XFER_SIDE_SENDER, t->request.source);
        tree_stop(t, &err, true);
        return NULL;
    }
    dir->entry = tree_entry_create(t, parent, last_component(dir->path), &found->st);
    if (!dir->entry) {
        tree_dir_free(t, dir);
        return NULL;
    }
    dir->entry->kind = WIRE_KIND_DIRECTORY;
    dir->entry->self = dir;
    tree_take_attrs(t, dir->entry, found);
    dir->walk_dir = walk_dir_share(found->dir);
    found->dir->user = dir;
    t->n_path++;
    return dir;
}

void tree_dir_entered(struct tree *t, struct walk_entry *found)
{
    struct walk_dir *above = found->dir->parent;
    struct tree_dir *parent = above ? above->user : t->above;
    struct tree_dir *dir = parent ? make(t, parent, found) : NULL;
    struct xfer_error err;

    if (!dir) /* it is in one that is not to be there */
        return;
    if (tree_check_name(t, dir->entry, &err))
        tree_dir_failed(t, dir, &err);
    else if (parent->there)
        tree_route(t, dir->entry);
    else
        tree_list_put(&parent->held, dir->entry);
}

void tree_dir_there(struct tree *t, struct tree_dir *dir, bool fresh)
{
    struct tree_list held = dir->held;
    struct tree_entry *e;

    dir->there = true;
    dir->fresh = fresh;
    dir->held = (struct tree_list){NULL, NULL};
    dir->pending++; /* it is not over in the midst of this */
    while ((e = tree_list_take(&held)))
        tree_route(t, e);
    tree_dir_ended_one(t, dir);
}

/* ---- what can't be there ---- */

static void drop_in(struct tree *t, struct tree_dir *dir, struct tree_dir **below)
{
    struct tree_entry *e;

    while ((e = tree_list_take(&dir->held))) {
        if (!e->self) {
            tree_end(t, e, TREE_END_DROPPED);
            continue;
        }
        e->self->queue_next = *below;
        *below = e->self;
        tree_free_entry(e);
    }
}

static void drop(struct tree *t, struct tree_dir *dir)
{
    struct tree_dir *below = NULL;

    dir->queue_next = NULL;
    while (dir) {
        drop_in(t, dir, &below);
        t->n_path -= !dir->left;
        tree_dir_free(t, dir);
        dir = below;
        if (below)
            below = below->queue_next;
    }
}

void tree_dir_failed(struct tree *t, struct tree_dir *dir, const struct xfer_error *why)
{
    struct tree_entry *e = dir->entry;

    e->self = NULL;
    e->begun = true;
    drop(t, dir);
    tree_fail(t, e, why);
}

/* ---- its end ---- */

void tree_dir_left(struct tree *t, struct tree_dir *dir)
{
    dir->left = true;
    t->n_path--;
    t->n_left_open++;
    if (dir->unstarted == 0)
        close_dir(t, dir);
    dir->pending++;
    tree_dir_ended_one(t, dir);
}

void tree_dir_begun_one(struct tree *t, struct tree_dir *dir)
{
    if (--dir->unstarted == 0 && dir->left)
        close_dir(t, dir);
}

void tree_dir_ended_one(struct tree *t, struct tree_dir *dir)
{
    struct tree_dir *parent = dir->parent;

    if (--dir->pending > 0 || !dir->left || !dir->there)
        return;
    if (!t->dry_run) {
        tree_ready(t, dir->entry);
        return;
    }
    /* level by level */
    while (dir->pending == 0 && dir->left && dir->there && parent) {
        tree_free_entry(dir->entry);
        tree_dir_free(t, dir);
        dir = parent;
        parent = dir->parent;
        dir->pending--;
    }
}

void tree_dir_begun(struct tree *t, struct tree_dir *dir)
{
    dir->entry->dir = NULL;
    tree_dir_ended_one(t, dir->parent);
}
