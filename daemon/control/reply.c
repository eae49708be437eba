/* SPDX-License-Identifier: MIT
 *
 * Replies on two lists: of their client, that drops them when it goes, and of what they wait for (a
 * job, the peer's answer), which gives them. Neither side needs to know whether the other is still
 * there.
 */
#include "daemon/control/reply.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <ev.h>

#include "daemon/control/handles.h"
#include "daemon/control/outbuf.h"
#include "proto/control_reply.h"

struct batch {
    struct client *client;
    struct outbuf text; /* "[REPLY,REPLY" */
    size_t open;        /* replies that are owed, and the one who hands out the requests */
};

struct reply {
    struct list of_client, where;
    struct client *client;
    struct batch *batch;
    enum reply_wait what;
    int64_t job;
    bool existing;
    struct control_params *kept; /* NULL, or the request of this method */
    enum method_id method;
    bool fetched;
    bool has_handle;
    struct handle handle;
    char *list;
    ev_timer timer;
    bool notification;
    char id[];
};

struct batch *batch_create(struct client *client)
{
    struct batch *b = calloc(1, sizeof *b);

    if (b) {
        b->client = client;
        b->open = 1;
    }
    return b;
}

void batch_release(struct batch *b)
{
    if (!b || --b->open > 0)
        return;
    if (outbuf_len(&b->text) > 0) {
        if (outbuf_add(&b->text, "]\n", 2) == 0)
            client_write(b->client, b->text.buf, outbuf_len(&b->text));
        else
            client_close(b->client);
    }
    outbuf_free(&b->text);
    free(b);
}

size_t batch_len(const struct batch *b)
{
    return outbuf_len(&b->text);
}

static void batch_add(struct batch *b, const char *text)
{
    if (outbuf_add(&b->text, outbuf_len(&b->text) == 0 ? "[" : ",", 1) < 0 ||
        outbuf_add(&b->text, text, strlen(text)) < 0)
        client_close(b->client);
}

static void on_timeout(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct reply *r = w->data;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)loop;
    (void)revents;
    if (r->what == REPLY_WAITS_PONG)
        error_set(&err, XFER_PEER_DOWN, "the other rank does not answer");
    else
        error_set(&err, XFER_TIMEOUT, "job %" PRId64 " has not ended yet", r->job);
    reply_error(r, &err, r->job);
}

struct reply *reply_create(struct client *client, struct list *owner, struct batch *batch,
                           const char *id)
{
    size_t len = id ? strlen(id) : 0;
    struct reply *r = calloc(1, sizeof *r + len + 1);

    if (!r)
        return NULL;
    r->client = client;
    r->batch = batch;
    if (batch)
        batch->open++;
    r->notification = id == NULL;
    if (id)
        memcpy(r->id, id, len);
    list_init(&r->of_client);
    list_init(&r->where);
    list_add_before(owner, &r->of_client);
    ev_init(&r->timer, on_timeout);
    r->timer.data = r;
    return r;
}

void reply_drop(struct reply *r)
{
    struct client *client = r->client;

    list_remove(&r->of_client);
    list_remove(&r->where);
    ev_timer_stop(client_loop(client), &r->timer);
    batch_release(r->batch);
    if (r->kept)
        control_params_free(r->kept);
    free(r->kept);
    if (r->has_handle)
        handles_close(client_handles(client), r->handle.fd);
    free(r->list);
    free(r);
    client_answered(client);
}

/* text: freed here */
static void give(struct reply *r, char *text)
{
    if (r->notification)
        ;
    else if (!text)
        client_close(r->client);
    else if (r->batch)
        batch_add(r->batch, text);
    else
        client_write_line(r->client, text);
    free(text);
    reply_drop(r);
}

void reply_result(struct reply *r, const char *result)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (result) {
        give(r, r->notification ? NULL : control_reply_result(r->id, result));
    } else {
        error_set(&err, XFER_NO_RESOURCES, "no memory for the result");
        reply_error(r, &err, 0);
    }
}

void reply_error(struct reply *r, const struct xfer_error *err, int64_t job)
{
    give(r, r->notification ? NULL : control_reply_error(r->id, err, job));
}

void reply_wait(struct reply *r, struct list *where, enum reply_wait what, int64_t job,
                double seconds)
{
    struct ev_loop *loop = client_loop(r->client);

    r->what = what;
    r->job = job;
    list_remove(&r->where);
    list_add_before(where, &r->where);
    ev_timer_stop(loop, &r->timer);
    if (seconds >= 0) {
        /* The loop's idea of now may be older than the request. */
        ev_now_update(loop);
        ev_timer_set(&r->timer, seconds, 0.);
        ev_timer_start(loop, &r->timer);
    }
}

enum reply_wait reply_waits_for(const struct reply *r)
{
    return r->what;
}

int64_t reply_job(const struct reply *r)
{
    return r->job;
}

void reply_set_job(struct reply *r, int64_t job)
{
    r->job = job;
}

void reply_unwait(struct reply *r)
{
    list_remove(&r->where);
}

void reply_put(struct reply *r, struct list *where)
{
    list_add_before(where, &r->where);
}

void reply_set_existing(struct reply *r)
{
    r->existing = true;
}

bool reply_is_existing(const struct reply *r)
{
    return r->existing;
}

void reply_set_fetched(struct reply *r)
{
    r->fetched = true;
}

bool reply_is_fetched(const struct reply *r)
{
    return r->fetched;
}

void reply_set_handle(struct reply *r, const struct handle *handle)
{
    r->handle = *handle;
    r->has_handle = true;
}

const struct handle *reply_handle(const struct reply *r)
{
    return r->has_handle ? &r->handle : NULL;
}

int reply_take_handle(struct reply *r)
{
    r->has_handle = false;
    return r->handle.fd;
}

void reply_set_list(struct reply *r, char *name)
{
    r->list = name;
}

bool reply_has_list(const struct reply *r)
{
    return r->list != NULL;
}

char *reply_take_list(struct reply *r)
{
    char *name = r->list;

    r->list = NULL;
    return name;
}

bool reply_keep(struct reply *r, enum method_id method, const struct control_params *p)
{
    if (r->kept)
        return true;
    struct control_params *kept = malloc(sizeof *kept);
    if (!kept)
        return false;
    if (!control_params_copy(kept, p)) {
        free(kept);
        return false;
    }
    r->kept = kept;
    r->method = method;
    return true;
}

const struct control_params *reply_kept(const struct reply *r, enum method_id *method)
{
    *method = r->method;
    return r->kept;
}

struct client *reply_client(const struct reply *r)
{
    return r->client;
}

struct reply *reply_of_link(struct list *link)
{
    return list_entry(link, struct reply, where);
}

struct reply *reply_of_owner(struct list *link)
{
    return list_entry(link, struct reply, of_client);
}
