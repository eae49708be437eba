/* SPDX-License-Identifier: MIT
 *
 * See walk.h: the loop's side. The worker gets pieces of work, each bounded by what may wait, by a
 * number and by time, on a strand of the walk's own; one piece at most is under way. What it tells
 * is handed over as a whole when the piece is done. A walk that is destroyed meanwhile is freed
 * when its worker has come back, on the strand, for closing directories is not the loop's business.
 */
#include "daemon/send/walk.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/send/walk_impl.h"

struct walk_dir *walk_dir_share(struct walk_dir *dir)
{
    atomic_fetch_add_explicit(&dir->references, 1, memory_order_relaxed);
    return dir;
}

void walk_dir_release(struct walk_dir *dir)
{
    while (dir && atomic_fetch_sub_explicit(&dir->references, 1, memory_order_acq_rel) == 1) {
        struct walk_dir *parent = dir->parent;

        close(dir->fd);
        free(dir);
        dir = parent;
    }
}

void walk_entry_free(struct walk_entry *entry)
{
    walk_dir_release(entry->dir);
    free(entry->target);
    free(entry->attrs);
    free(entry->unsent);
    free(entry->error);
    free(entry);
}

unsigned walk_weight(const struct walk_entry *entry)
{
    unsigned attrs = entry->attrs ? entry->attrs->len / WALK_WEIGHT_BYTES : 0;

    return attrs + (entry->event == WALK_ENTER   ? WALK_WEIGHT_ENTER
                    : entry->event == WALK_ERROR ? WALK_WEIGHT_ERROR
                                                 : 1);
}

static void free_entries(struct walk_entry *entry)
{
    while (entry) {
        struct walk_entry *next = entry->next;

        walk_entry_free(entry);
        entry = next;
    }
}

/* ---- its end ---- */

static void close_all(struct walk *w)
{
    walk_leave_all(w);
    walk_list_close(w);
    free_entries(w->first);
    free_entries(w->told_first);
    w->first = w->told_first = NULL;
}

static void free_walk(struct walk *w)
{
    strand_destroy(w->strand);
    source_policy_destroy(w->policy);
    identity_destroy(w->who);
    if (w->spare)
        walk_entry_free(w->spare);
    filter_destroy(w->filter);
    free(w->list_path);
    free(w->dest);
    free(w->source);
    free(w);
}

static struct walk *walk_of(struct work *work)
{
    return (struct walk *)((char *)work - offsetof(struct walk, work));
}

static void run_close(struct work *work)
{
    close_all(walk_of(work));
}

static void done_close(struct work *work)
{
    free_walk(walk_of(work));
}

static void submit_close(struct walk *w)
{
    w->work = (struct work){.run = run_close, .done = done_close};
    strand_submit(w->strand, &w->work);
}

void walk_destroy(struct walk *w)
{
    if (!w)
        return;
    w->gone = true;
    atomic_store(&w->stop, true);
    if (!w->working)
        submit_close(w);
}

/* ---- its course ---- */

static void submit_piece(struct walk *w);

static void run_piece(struct work *work)
{
    walk_read(walk_of(work));
}

static void done_piece(struct work *work)
{
    struct walk *w = walk_of(work);
    bool news = w->told_first || w->over;

    w->working = false;
    if (w->gone) {
        submit_close(w);
        return;
    }
    for (struct walk_entry *e = w->told_first; e; e = e->next)
        w->waiting += walk_weight(e);
    if (w->last)
        w->last->next = w->told_first;
    else
        w->first = w->told_first;
    if (w->told_last)
        w->last = w->told_last;
    w->told_first = w->told_last = NULL;
    w->ended = w->over;
    submit_piece(w);
    if (news)
        w->ready(w->user);
}

/* Not for each single entry that is taken: a trip to the worker is dear. */
static void submit_piece(struct walk *w)
{
    unsigned room = w->waiting < w->want ? w->want - w->waiting : 0;

    if (w->working || w->ended || room == 0 || room < w->want / 2)
        return;
    w->working = true;
    w->room = room;
    w->work = (struct work){.run = run_piece, .done = done_piece};
    strand_submit(w->strand, &w->work);
}

void walk_want(struct walk *w, unsigned n)
{
    w->want = n;
    submit_piece(w);
}

struct walk_entry *walk_take(struct walk *w)
{
    struct walk_entry *entry = w->first;

    if (!entry)
        return NULL;
    w->first = entry->next;
    if (!w->first)
        w->last = NULL;
    entry->next = NULL;
    w->waiting -= walk_weight(entry);
    submit_piece(w);
    return entry;
}

bool walk_ended(const struct walk *w)
{
    return w->ended && !w->first;
}

/* ---- its beginning ---- */

static int take_options(struct walk *w, const struct walk_options *o, struct xfer_error *err)
{
    w->source = strdup(o->source);
    w->list_path = o->list ? strdup(o->list) : NULL;
    w->dest = o->dest ? strdup(o->dest) : NULL;
    w->spare = calloc(1, sizeof *w->spare + 1);
    if (w->spare)
        w->spare->error = malloc(sizeof *w->spare->error);
    if (!w->source || !w->spare || !w->spare->error || (o->list && !w->list_path) ||
        (o->dest && !w->dest))
        return error_set_errno(err, ENOMEM, "a walk");
    w->source_len = strlen(w->source);
    while (w->source_len > 0 && w->source[w->source_len - 1] == '/')
        w->source_len--;
    w->filter = filter_share(o->filter);
    w->one_file_system = o->one_file_system;
    w->preserve = o->preserve;
    w->hash_files = o->hash_files;
    w->path_max = o->path_max < XFER_PATH_SIZE - 1 ? o->path_max : XFER_PATH_SIZE - 1;
    w->policy = o->policy ? source_policy_share(o->policy) : NULL;
    if (o->who) {
        int n;
        const gid_t *groups = identity_groups(o->who, &n);

        w->who = identity_create(identity_uid(o->who), identity_gid(o->who), groups, n, err);
        if (!w->who)
            return -1;
    }
    return 0;
}

struct walk *walk_create(struct pool *pool, const struct walk_options *options,
                         void (*ready)(void *user), void *user, struct xfer_error *err)
{
    struct walk *w = calloc(1, sizeof *w);

    if (!w) {
        error_set_errno(err, ENOMEM, "a walk");
        return NULL;
    }
    w->ready = ready;
    w->user = user;
    w->list.fd = -1;
    atomic_init(&w->stop, false);
    w->strand = strand_create(pool);
    if (!w->strand) {
        error_set_errno(err, ENOMEM, "a walk");
        free_walk(w);
        return NULL;
    }
    if (take_options(w, options, err)) {
        free_walk(w);
        return NULL;
    }
    return w;
}
