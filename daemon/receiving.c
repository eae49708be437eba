/* SPDX-License-Identifier: MIT
 *
 * See receiving.h. The glue between link/ and receive/, which know nothing of each other: the link
 * delivers chunks, the receiver takes bytes and gives chunks back.
 */
#include "daemon/receiving.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "daemon/receive/receiver.h"

#define SPACE_EVERY 5.0 /* seconds between looks at the free space */

struct lane_receiver {
    struct lane *lane;
    struct receiver *receiver;
};

struct receiving {
    struct ev_loop *loop;
    struct link *link;
    struct store *store;
    struct ev_timer timer;
    struct strand *strand; /* of the look at the free space, which may hang like any other */
    struct work work;
    bool looking;
    uint64_t free_bytes, total_bytes;
    unsigned n_lanes;
    struct lane_receiver lanes[XFER_LANES_MAX];
};

/* ---- link -> receiver ---- */

static int on_meta(void *user, const void *msg, size_t len, struct xfer_error *err)
{
    struct lane_receiver *l = user;

    return receiver_meta(l->receiver, msg, len, err);
}

static int on_data(void *user, struct chunk *chunk, struct xfer_error *err)
{
    struct lane_receiver *l = user;

    return receiver_data(l->receiver, chunk, chunk->data, chunk->len, err);
}

static int on_end(void *user, struct xfer_error *err)
{
    struct lane_receiver *l = user;

    return receiver_end(l->receiver, err);
}

static int on_verdict(void *user, const void *msg, size_t len, struct xfer_error *err)
{
    struct lane_receiver *l = user;

    return receiver_verdict(l->receiver, msg, len, err);
}

static const struct lane_receiver_events lane_events = {on_meta, on_data, on_end, on_verdict};

/* ---- receiver -> link ---- */

static void out_receipt(void *user, const void *msg, size_t len)
{
    struct lane_receiver *l = user;

    lane_send_receipt(l->lane, msg, len);
}

static void out_refusal(void *user, const void *msg, size_t len)
{
    struct lane_receiver *l = user;

    lane_send_refusal(l->lane, msg, len);
}

static void out_release(void *user, void *chunk)
{
    struct lane_receiver *l = user;

    lane_chunk_release(l->lane, chunk);
}

static const struct receiver_out receiver_out = {out_receipt, out_refusal, out_release};

/* ---- free space ---- */

static void look(struct receiving *r)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (store_space(r->store, &r->free_bytes, &r->total_bytes, &err))
        r->free_bytes = r->total_bytes = UINT64_MAX;
}

static void run_look(struct work *work)
{
    look((struct receiving *)((char *)work - offsetof(struct receiving, work)));
}

static void done_look(struct work *work)
{
    struct receiving *r = (struct receiving *)((char *)work - offsetof(struct receiving, work));

    r->looking = false;
    link_set_space(r->link, r->free_bytes, r->total_bytes);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
    struct receiving *r = w->data;

    (void)loop;
    (void)revents;
    if (r->looking)
        return;
    r->looking = true;
    strand_submit(r->strand, &r->work);
}

/* ---- life ---- */

struct receiving *receiving_create(struct ev_loop *loop, struct link *link, struct store *store,
                                   struct pool *pool, struct xfer_error *err)
{
    struct receiving *r = calloc(1, sizeof(*r));

    if (!r) {
        error_set_errno(err, ENOMEM, "receiver");
        return NULL;
    }
    r->loop = loop;
    r->link = link;
    r->store = store;
    r->work = (struct work){.run = run_look, .done = done_look};
    ev_timer_init(&r->timer, on_timer, SPACE_EVERY, SPACE_EVERY);
    r->timer.data = r;
    r->strand = strand_create(pool);
    if (!r->strand) {
        error_set_errno(err, ENOMEM, "receiver");
        goto fail;
    }
    for (unsigned i = 0; i < link_lanes(link); i++) {
        struct lane_receiver *l = &r->lanes[i];

        l->lane = link_lane(link, i);
        l->receiver = receiver_create(store, pool, &receiver_out, l, err);
        if (!l->receiver)
            goto fail;
        r->n_lanes++;
        lane_set_receiver(l->lane, &lane_events, l);
    }
    look(r); /* at start there is time: the first answer should know */
    link_set_space(link, r->free_bytes, r->total_bytes);
    ev_timer_start(loop, &r->timer);
    return r;
fail:
    receiving_destroy(r);
    return NULL;
}

void receiving_destroy(struct receiving *r)
{
    if (!r)
        return;
    ev_timer_stop(r->loop, &r->timer);
    for (unsigned i = 0; i < r->n_lanes; i++)
        receiver_destroy(r->lanes[i].receiver);
    strand_destroy(r->strand);
    free(r);
}
