/* SPDX-License-Identifier: MIT
 *
 * See tree.h: the life of an attempt. Whatever happens to it (the walk has found something, an
 * answer came, a file has left or is over) only asks for the pump, which runs once before the loop
 * would wait: so what comes together is done together, and nothing is done inside of a call of
 * somebody else.
 */
#include "daemon/send/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/send/throttle.h"
#include "daemon/send/tree_impl.h"
#include "daemon/work/xattr.h"

#define TREES_MAX \
    (4 * XFER_TREES_MAX) /* at once, those that hang and are over for their jobs included */
#define WAITING_MAX 1024 /* entries that the walk finds ahead */

/* ---- its memory ---- */

struct attrs *tree_give_attrs(struct tree_entry *e)
{
    struct attrs *attrs = e->attrs;

    if (attrs)
        e->tree->attrs_bytes -= attrs->len;
    e->attrs = NULL;
    return attrs;
}

void tree_free_entry(struct tree_entry *e)
{
    free(tree_give_attrs(e));
    e->tree->n_entries--;
    free(e->target);
    free(e);
}

static void free_list(struct tree_list *list)
{
    struct tree_entry *e;

    while ((e = tree_list_take(list)))
        if (!e->self) /* its directory has it */
            tree_free_entry(e);
}

static void free_dirs(struct tree *t)
{
    for (struct tree_dir *dir = t->dirs; dir; dir = dir->next) {
        free_list(&dir->held);
        free_list(&dir->look);
    }
    while (t->dirs) {
        if (t->dirs->entry)
            tree_free_entry(t->dirs->entry);
        tree_dir_free(t, t->dirs);
    }
}

static void free_tree(struct tree *t)
{
    struct sender *s = t->sender;

    walk_destroy(t->walk);
    if (t->early)
        walk_entry_free(t->early);
    free_list(&t->ready);
    free_dirs(t);
    tree_links_free(t->links);
    looks_leave(s->looks, &t->looks);
    sender_part(s, &t->room);
    ev_prepare_stop(s->loop, &t->prepare);
    ev_idle_stop(s->loop, &t->idle);
    ev_timer_stop(s->loop, &t->telling);
    kept_error_free(t->why);
    kept_error_free(t->first);
    strand_destroy(t->strand);
    if (t->request.handle_fd >= 0)
        close(t->request.handle_fd);
    free((char *)t->request.source);
    free((char *)t->request.dest);
    free((gid_t *)t->request.groups);
    free(t->list);
    free(t);
}

/* snprintf() is slow for what is done ten thousand times a second. */
const char *tree_join(char out[XFER_LONG_PATH_SIZE], const char *above, const char *below)
{
    size_t n = strnlen(above, XFER_PATH_SIZE - 1), m = strnlen(below, XFER_PATH_SIZE - 1);

    memcpy(out, above, n);
    if (n > 0 && m > 0)
        out[n++] = '/';
    memcpy(out + n, below, m);
    out[n + m] = '\0';
    return out;
}

const char *tree_path_of(struct tree *t, const struct tree_entry *e)
{
    if (e->self)
        return e->self->path;
    return tree_join(t->path, e->dir->path, e->name);
}

const char *tree_dest_of(struct tree *t, const struct tree_entry *e)
{
    return tree_join(t->dest, t->request.dest, tree_path_of(t, e));
}

/* ---- its end ---- */

void tree_stop(struct tree *t, const struct xfer_error *why, bool keep)
{
    struct tree_entry *next;

    if (t->stopping)
        return;
    t->stopping = true;
    t->why = kept_error_make(why);
    walk_destroy(t->walk);
    t->walk = NULL;
    for (struct tree_entry *e = t->flights; e; e = next) {
        next = e->flight_next;
        if (e->send)
            sender_cancel(e->send, why, keep);
    }
    tree_kick(t);
}

static void set_error(const struct tree *t, struct xfer_error *err)
{
    struct xfer_error first;
    const struct tree_progress *p = &t->progress;

    if (t->why) {
        kept_error_get(t->why, err);
        return;
    }
    if (p->files_failed == 0)
        return;
    kept_error_get(t->first, &first);
    error_set(err, XFER_INCOMPLETE, "%lld of %lld entries could not be sent, the first: %s",
              (long long)p->files_failed, (long long)p->files_total, first.text);
    error_about(err, first.side, first.path);
}

static bool is_over(const struct tree *t)
{
    if (t->n_flights > 0 || t->looks.unanswered > 0 || t->starting)
        return false;
    return t->stopping || (t->n_entries == 0 && (!t->walk || walk_ended(t->walk)));
}

static void finish(struct tree *t)
{
    struct tree_result result = {.retryable = t->retryable};
    const struct tree_events *events = t->events;
    void *user = t->user;

    set_error(t, &result.error);
    tree_fill_progress(t, &result.progress);
    result.single = t->single && t->top_is_there;
    memcpy(result.digest, t->digest, sizeof(result.digest));
    strcpy(result.stored, t->stored);
    free_tree(t);
    events->done(user, &result);
}

/* ---- the pump ---- */

/* Nothing can be done before something is stored that the receiver may hold back. */
static bool waits_for_receipts(const struct tree *t)
{
    bool no_more = !t->walk || walk_ended(t->walk) || t->early || tree_is_full(t);

    if (t->stopping)
        return t->n_flights > 0;
    return t->n_flights > 0 && t->n_ahead == 0 && !t->ready.first && !t->asking &&
           t->looks.unanswered == 0 && (no_more || t->paused);
}

static void pump(struct tree *t)
{
    if (!t->stopping && t->walk)
        tree_take(t);
    if (!t->stopping && t->asking)
        looks_want(t->sender->looks, &t->looks);
    if (!t->stopping)
        tree_start_ready(t);
    if (waits_for_receipts(t))
        sender_flush(t->sender);
}

static void on_prepare(struct ev_loop *loop, ev_prepare *w, int revents)
{
    struct tree *t = w->data;

    (void)revents;
    do {
        t->kicked = false;
        pump(t);
    } while (t->kicked && !is_over(t));
    ev_prepare_stop(loop, &t->prepare);
    ev_idle_stop(loop, &t->idle);
    if (is_over(t))
        finish(t);
}

static void on_idle(struct ev_loop *loop, ev_idle *w, int revents)
{
    (void)loop;
    (void)w;
    (void)revents;
}

void tree_kick(struct tree *t)
{
    t->kicked = true;
    ev_prepare_start(t->sender->loop, &t->prepare);
    ev_idle_start(t->sender->loop, &t->idle);
}

static void on_telling(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct tree *t = w->data;
    struct tree_progress progress;

    (void)loop;
    (void)revents;
    tree_fill_progress(t, &progress);
    t->events->progress(t->user, &progress);
}

static void on_walk(void *user)
{
    tree_kick(user);
}

static void on_room(struct sender_tree *room)
{
    struct tree *t = (struct tree *)((char *)room - offsetof(struct tree, room));

    if (t->ready.first)
        tree_kick(t);
}

/* ---- its beginning ---- */

static int copy_request(struct tree *t, const struct tree_request *r, struct xfer_error *err)
{
    struct send_request *own = &t->request;

    *own = r->file;
    own->source = strdup(r->file.source);
    own->dest = strdup(r->file.dest);
    own->groups = NULL;
    own->handle_fd = -1;
    own->tree = true;
    own->dir = NULL;
    own->name = own->target = NULL;
    own->attrs = NULL;
    own->st = NULL;
    if (r->file.n_groups > 0) {
        size_t size = (size_t)r->file.n_groups * sizeof(gid_t);
        gid_t *groups = malloc(size);

        own->groups = groups ? memcpy(groups, r->file.groups, size) : NULL;
    }
    t->list = r->list ? strdup(r->list) : NULL;
    if (!own->source || !own->dest || (r->list && !t->list) ||
        (r->file.n_groups > 0 && !own->groups))
        return error_set_errno(err, ENOMEM, "transfer");
    if (r->file.handle && r->file.handle_fd >= 0) {
        own->handle_fd = fcntl(r->file.handle_fd, F_DUPFD_CLOEXEC, 0);
        if (own->handle_fd < 0)
            return error_set_errno(err, errno, "the descriptor of %s", own->source);
    }
    return 0;
}

static void run_stat(struct work *work)
{
    struct tree *t = (struct tree *)((char *)work - offsetof(struct tree, work));

    struct xfer_error why;
    struct attrs *attrs;

    t->handle_errno = fstat(t->request.handle_fd, &t->handle_st) ? errno : 0;
    if (!t->handle_errno && t->look_at_files && attrs_any(t->request.preserve) &&
        xattr_collect(t->request.handle_fd, t->request.preserve, &attrs, &why) == 0) {
        t->handle_hash = xattr_hash(attrs);
        free(attrs);
    }
}

static void done_stat(struct work *work)
{
    struct tree *t = (struct tree *)((char *)work - offsetof(struct tree, work));

    t->starting = false;
    if (!t->stopping) /* what is wrong with it comes out when it is read */
        tree_take_single(t, t->handle_errno ? NULL : &t->handle_st, t->handle_hash);
    tree_kick(t);
}

static int start_handle(struct tree *t, struct xfer_error *err)
{
    t->strand = strand_create(t->sender->pool);
    if (!t->strand)
        return error_set_errno(err, ENOMEM, "transfer");
    t->work = (struct work){.run = run_stat, .done = done_stat};
    t->starting = true;
    strand_submit(t->strand, &t->work);
    return 0;
}

static int start_walk(struct tree *t, struct xfer_error *err)
{
    const struct send_request *r = &t->request;
    struct identity *who = NULL;
    struct walk_options options = {
        .source = r->source,
        .policy = t->sender->policy,
        .filter = t->filter,
        .dest = r->dest,
        .one_file_system = t->one_file_system,
        .preserve = r->preserve,
        .hash_files = t->look_at_files,
        .list = t->list,
        .path_max = XFER_PATH_SIZE - 2 - strlen(r->dest), /* a '/' between them, and a NUL */
    };

    if (r->as_owner) {
        who = identity_create(r->uid, r->gid, r->groups, r->n_groups, err);
        if (!who)
            return -1;
    }
    options.who = who;
    t->walk = walk_create(t->sender->pool, &options, on_walk, t, err);
    identity_destroy(who);
    if (!t->walk)
        return -1;
    walk_want(t->walk, WAITING_MAX);
    return 0;
}

static int begin(struct tree *t, const struct tree_request *r, struct xfer_error *err)
{
    if (copy_request(t, r, err))
        return -1;
    throttle_bucket(&t->rate, r->file.bandwidth);
    t->above = tree_dir_create(t, NULL, "");
    if (!t->above)
        return error_set_errno(err, ENOMEM, "transfer");
    t->above->there = true;
    if (r->file.preserve & PRESERVE_LINKS) {
        t->links = tree_links_create(err);
        if (!t->links)
            return -1;
    }
    return t->request.handle_fd >= 0 ? start_handle(t, err) : start_walk(t, err);
}

struct tree *tree_start(struct sender *s, const struct tree_request *request,
                        const struct tree_events *events, void *user, struct xfer_error *err)
{
    struct tree *t;

    if (s->n_trees >= TREES_MAX) {
        error_set(err, XFER_TOO_BUSY, "as many trees as possible are under way");
        return NULL;
    }
    t = calloc(1, sizeof(*t));
    if (!t) {
        error_set_errno(err, ENOMEM, "transfer");
        return NULL;
    }
    t->sender = s;
    t->events = events;
    t->user = user;
    t->filter = request->filter;
    t->dry_run = request->dry_run;
    t->checksum = request->checksum;
    t->one_file_system = request->one_file_system;
    t->look_at_files =
        request->dry_run || request->file.again || request->file.overwrite != OVERWRITE_REPLACE;
    t->request.handle_fd = -1;
    t->room.room = on_room;
    tree_looks_init(&t->looks);
    ev_prepare_init(&t->prepare, on_prepare);
    ev_idle_init(&t->idle, on_idle);
    ev_init(&t->telling, on_telling);
    t->prepare.data = t->telling.data = t;
    sender_join(s, &t->room);
    if (begin(t, request, err)) {
        free_tree(t);
        return NULL;
    }
    return t;
}

/* ---- from outside ---- */

void tree_cancel(struct tree *t, const struct xfer_error *why, bool keep)
{
    tree_stop(t, why, keep);
}

void tree_go_on(struct tree *t)
{
    t->paused = false;
    tree_kick(t);
}

bool tree_is_throttled(const struct tree *t)
{
    for (const struct tree_entry *e = t->flights; e; e = e->flight_next)
        if (e->send && sender_is_throttled(e->send))
            return true;
    return false;
}
