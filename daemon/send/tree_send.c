/* SPDX-License-Identifier: MIT
 *
 * What of a tree is sent (tree_impl.h): one send for each entry that is ready, as room allows.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/send/tree_impl.h"
#include "proto/xxh.h"

/* Files are begun together, so that a worker that is woken has several to open. */
#define TOGETHER 32

void tree_ready(struct tree *t, struct tree_entry *e)
{
    if (e->link && !tree_links_begin(t, e))
        return;
    tree_list_put(&t->ready, e);
    tree_kick(t);
}

/* ---- under way ---- */

static void has_left(struct tree *t, struct tree_entry *e)
{
    if (!e->ahead)
        return;
    e->ahead = false;
    t->n_ahead--;
    tree_kick(t);
}

static void on_progress(void *user, const struct send_progress *p)
{
    struct tree_entry *e = user;
    struct tree *t = e->tree;

    if (e->kind == WIRE_KIND_FILE && p->bytes_total >= 0) {
        tree_count_bytes(t, e, p->bytes_total);
        tree_count_progress(t, e, p->bytes_done, p->bytes_resumed);
    }
    if (p->phase == SEND_STORING)
        has_left(t, e);
    tree_moved(t);
}

static void leave_flight(struct tree *t, struct tree_entry *e)
{
    if (e->flight_prev)
        e->flight_prev->flight_next = e->flight_next;
    else
        t->flights = e->flight_next;
    if (e->flight_next)
        e->flight_next->flight_prev = e->flight_prev;
    t->n_flights--;
    has_left(t, e);
    tree_kick(t);
}

static bool ends_all(enum xfer_code code)
{
    return code == XFER_PEER_DOWN || code == XFER_STOPPING || code == XFER_CANCELLED ||
           code == XFER_PROTOCOL;
}

static void keep_top(struct tree *t, const struct send_result *result)
{
    t->top_is_there = true;
    strcpy(t->stored, result->stored);
    memcpy(t->digest, result->digest, sizeof(t->digest));
}

static bool is_top(const struct tree *t, const struct tree_entry *e)
{
    return e->self ? e->self->parent == t->above : e->dir == t->above;
}

static void warn(struct tree *t, const struct tree_entry *e, const char *text)
{
    const char *path = tree_path_of(t, e);
    struct xfer_error err = XFER_ERROR_INIT;

    error_set(&err, XFER_PERMISSION_DENIED, "%s", text);
    error_about(&err, XFER_SIDE_RECEIVER, path);
    tree_warn(t, path, &err);
}

static void stored(struct tree *t, struct tree_entry *e, const struct send_result *result)
{
    struct tree_dir *self = e->self;

    if (is_top(t, e))
        keep_top(t, result);
    if (result->unsent)
        tree_warn_unsent(t, e, result->unsent);
    if (result->warning[0])
        warn(t, e, result->warning);
    if (result->unchanged && e->kind != WIRE_KIND_HARDLINK && e->link)
        tree_links_is_there(t, e);
    tree_end(t, e, result->unchanged ? TREE_END_SKIPPED : TREE_END_STORED);
    if (self)
        tree_dir_free(t, self);
}

static void failed(struct tree *t, struct tree_entry *e, const struct xfer_error *why)
{
    struct tree_dir *self = e->self;

    if (ends_all(why->code) || (t->single && is_top(t, e))) {
        tree_stop(t, why, true);
        if (!self)
            tree_free_entry(e);
        return;
    }
    if (why->code == XFER_DESTINATION_EXISTS && t->request.overwrite == OVERWRITE_NEVER)
        tree_end(t, e, TREE_END_SKIPPED);
    else
        tree_fail(t, e, why);
    if (self)
        tree_dir_free(t, self);
}

static void on_done(void *user, const struct send_result *result)
{
    struct tree_entry *e = user;
    struct tree *t = e->tree;

    leave_flight(t, e);
    if (t->stopping) {
        if (!e->self) /* its directory has it */
            tree_free_entry(e);
    } else if (result->error.code == XFER_OK) {
        stored(t, e, result);
    } else {
        failed(t, e, &result->error);
    }
}

/* ---- starting ---- */

static const char *source_of(struct tree *t, const struct tree_entry *e)
{
    return tree_join(t->source, t->request.source, tree_path_of(t, e));
}

/* The same in each attempt, whatever is sent before it: what is there of a large file is found by
 * it. (Where two of a job have the same one goes without.) */
static uint64_t number_of(struct tree *t, const struct tree_entry *e)
{
    const char *path = tree_path_of(t, e);

    return t->single ? 0 : XXH3_64bits(path, strlen(path));
}

static const char *target_of(const struct tree_entry *e)
{
    if (e->kind == WIRE_KIND_HARDLINK)
        return tree_links_target(e);
    return e->kind == WIRE_KIND_SYMLINK ? e->target : NULL;
}

static void start(struct tree *t, struct tree_entry *e)
{
    static const struct send_events events = {on_progress, on_done};
    struct send_request request = t->request;
    struct xfer_error err = XFER_ERROR_INIT;
    struct tree_dir *dir = e->dir;

    request.file = number_of(t, e);
    request.source = source_of(t, e);
    request.dest = tree_dest_of(t, e);
    request.kind = e->kind;
    request.target = target_of(e);
    request.rate = t->rate.rate > 0 ? &t->rate : NULL;
    request.compare = e->compare;
    if (!t->single) {
        request.dir = dir->walk_dir;
        request.name = e->name;
        request.st = &e->st;
    }
    request.attrs = e->kind != WIRE_KIND_HARDLINK ? tree_give_attrs(e) : NULL;
    e->ahead = true;
    t->n_ahead++;
    t->n_flights++;
    e->flight_prev = NULL;
    e->flight_next = t->flights;
    if (t->flights)
        t->flights->flight_prev = e;
    t->flights = e;
    e->send = sender_start(t->sender, &request, &events, e, &err);
    if (!e->send) {
        free(request.attrs);
        leave_flight(t, e);
        failed(t, e, &err);
        return;
    }
    if (e->self) {
        tree_dir_begun(t, e->self);
    } else {
        e->begun = true;
        tree_dir_begun_one(t, dir);
    }
}

void tree_start_ready(struct tree *t)
{
    unsigned room, enough;

    if (!t->ready.first)
        return;
    room = sender_tree_room(t->sender, t->n_ahead);
    enough = (room + t->n_ahead) / 2;
    if (room < (enough < TOGETHER ? enough : TOGETHER))
        return;
    for (; room > 0 && t->ready.first && !t->stopping; room--)
        start(t, tree_list_take(&t->ready));
    sender_go(t->sender);
}
