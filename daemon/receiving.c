/* SPDX-License-Identifier: MIT
 *
 * See receiving.h. The glue between link/ and receive/, which know nothing of each other: the link
 * delivers chunks, the receiver takes bytes and gives chunks back.
 */
#include "daemon/receiving.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "daemon/log.h"
#include "daemon/receive/look.h"
#include "daemon/receive/receiver.h"

#define SPACE_EVERY 5.0 /* seconds between looks at the free space */

/* What a batch of a lane holds at most. Half of the window: while one half is synced the other
 * comes in. */
#define BATCH_FILES      (XFER_LANE_FILES_MAX / 2)
#define BATCH_BYTES      (64 << 20)
#define DESCRIPTORS_KEPT 256 /* for all else */

struct lane_receiver {
    struct lane *lane;
    struct receiver *receiver;
};

struct forget {
    struct work work;
    struct store *store;
    unsigned n;
    uint64_t jobs[];
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
    struct strand *sweeping; /* of what follows: to remove a large file takes its time */
    struct work census;
    uint64_t *partials; /* left by census */
    size_t n_partials;
    struct looker *looker;
    unsigned n_lanes;
    struct lane_receiver lanes[XFER_LANES_MAX];
};

/* ---- link -> receiver ---- */

/* What the receiver says comes next, or -1, as the lane has it. */
static int to_lane(int next)
{
    static const enum lane_next nexts[] = {[RECEIVER_DATA] = LANE_DATA,
                                           [RECEIVER_ATTRS] = LANE_ATTRS,
                                           [RECEIVER_START] = LANE_START,
                                           [RECEIVER_MAP] = LANE_MAP};

    return next < 0 ? -1 : (int)nexts[next];
}

static int on_meta(void *user, const void *msg, size_t len, struct xfer_error *err)
{
    struct lane_receiver *l = user;

    return to_lane(receiver_meta(l->receiver, msg, len, err));
}

static int on_attrs(void *user, const void *msg, size_t len, struct xfer_error *err)
{
    struct lane_receiver *l = user;

    return to_lane(receiver_attrs(l->receiver, msg, len, err));
}

static int on_start(void *user, const void *msg, size_t len, struct xfer_error *err)
{
    struct lane_receiver *l = user;

    return to_lane(receiver_start(l->receiver, msg, len, err));
}

static int on_map(void *user, const void *msg, size_t len, struct xfer_error *err)
{
    struct lane_receiver *l = user;

    return to_lane(receiver_map(l->receiver, msg, len, err));
}

static int on_data(void *user, struct chunk *chunk, struct xfer_error *err)
{
    struct lane_receiver *l = user;

    return to_lane(receiver_data(l->receiver, chunk, chunk->data, chunk->len, err));
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

static const struct lane_receiver_events lane_events = {on_meta, on_attrs, on_start,  on_map,
                                                        on_data, on_end,   on_verdict};

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

static void out_go(void *user, const void *msg, size_t len)
{
    struct lane_receiver *l = user;

    lane_send_go(l->lane, msg, len);
}

static void out_release(void *user, void *chunk)
{
    struct lane_receiver *l = user;

    lane_chunk_release(l->lane, chunk);
}

static const struct receiver_out receiver_out = {out_receipt, out_refusal, out_go, out_release};

/* ---- free space ---- */

static void look(struct receiving *r)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (store_space(r->store, &r->free_bytes, &r->total_bytes, &err))
        r->free_bytes = r->total_bytes = UINT64_MAX;
}

static void run_look(struct work *work)
{
    struct receiving *r = (struct receiving *)((char *)work - offsetof(struct receiving, work));

    store_rest(r->store);
    look(r);
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

/* ---- partial files ---- */

static void run_census(struct work *work)
{
    struct receiving *r = (struct receiving *)((char *)work - offsetof(struct receiving, census));
    struct xfer_error err;

    if (store_partials(r->store, &r->partials, &r->n_partials, &err) != 0)
        log_warning("%s", err.text);
}

static void done_census(struct work *work)
{
    struct receiving *r = (struct receiving *)((char *)work - offsetof(struct receiving, census));

    if (r->n_partials > 0)
        link_send_partials(r->link, r->partials, r->n_partials);
    free(r->partials);
    r->partials = NULL;
    r->n_partials = 0;
}

static void run_forget(struct work *work)
{
    struct forget *f = (struct forget *)work;

    store_forget(f->store, f->jobs, f->n);
}

static void done_forget(struct work *work)
{
    free(work);
}

void receiving_forget(struct receiving *r, const uint64_t *jobs, unsigned n)
{
    struct forget *f = malloc(sizeof *f + n * sizeof *jobs);

    if (f == NULL) {
        log_warning("no memory: partial files of %u jobs stay until the next start", n);
        return;
    }
    *f = (struct forget){
        .work = {.run = run_forget, .done = done_forget}, .store = r->store, .n = n};
    memcpy(f->jobs, jobs, n * sizeof *jobs);
    strand_submit(r->sweeping, &f->work);
}

/* ---- looks ---- */

static void answer_look(void *user, const struct wire_looked *looked)
{
    struct receiving *r = user;

    link_send_looked(r->link, looked);
}

void receiving_look(struct receiving *r, const struct wire_look *look)
{
    looker_look(r->looker, look);
}

/* ---- life ---- */

/* A file that is held takes two descriptors: its own, which is its only way to a name, and one of
 * its directory. */
static unsigned batch_files(unsigned lanes)
{
    struct rlimit limit;
    rlim_t each;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 1;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0 && getrlimit(RLIMIT_NOFILE, &limit) < 0)
            return 1;
    }
    if (limit.rlim_cur <= DESCRIPTORS_KEPT)
        return 1;
    each = (limit.rlim_cur - DESCRIPTORS_KEPT) / lanes / 2;
    if (each < BATCH_FILES)
        log_info("%llu descriptors make batches of %llu files only",
                 (unsigned long long)limit.rlim_cur, (unsigned long long)(each > 0 ? each : 1));
    return each > BATCH_FILES ? BATCH_FILES : each > 0 ? (unsigned)each : 1;
}

struct receiving *receiving_create(struct ev_loop *loop, struct link *link, struct store *store,
                                   struct pool *pool, struct xfer_error *err)
{
    struct receiving *r = calloc(1, sizeof(*r));
    struct receiver_batch batch = {batch_files(link_lanes(link)), BATCH_BYTES};

    if (!r) {
        error_set_errno(err, ENOMEM, "receiver");
        return NULL;
    }
    r->loop = loop;
    r->link = link;
    r->store = store;
    r->work = (struct work){.run = run_look, .done = done_look};
    r->census = (struct work){.run = run_census, .done = done_census};
    ev_timer_init(&r->timer, on_timer, SPACE_EVERY, SPACE_EVERY);
    r->timer.data = r;
    store_set_queue(store, link_queue_id(link));
    r->strand = strand_create(pool);
    r->sweeping = strand_create(pool);
    if (!r->strand || !r->sweeping) {
        error_set_errno(err, ENOMEM, "receiver");
        goto fail;
    }
    r->looker = looker_create(store, pool, answer_look, r, err);
    if (!r->looker)
        goto fail;
    for (unsigned i = 0; i < link_lanes(link); i++) {
        struct lane_receiver *l = &r->lanes[i];

        l->lane = link_lane(link, i);
        l->receiver = receiver_create(store, pool, loop, &batch, &receiver_out, l, err);
        if (!l->receiver)
            goto fail;
        r->n_lanes++;
        lane_set_receiver(l->lane, &lane_events, l);
    }
    look(r); /* at start there is time: the first answer should know */
    link_set_space(link, r->free_bytes, r->total_bytes);
    ev_timer_start(loop, &r->timer);
    strand_submit(r->sweeping, &r->census);
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
    looker_destroy(r->looker);
    strand_destroy(r->strand);
    strand_destroy(r->sweeping);
    free(r->partials);
    free(r);
}
