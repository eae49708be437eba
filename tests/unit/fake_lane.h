/* SPDX-License-Identifier: MIT
 *
 * A link without MPI: stands in for daemon/link in a test program. It takes down what the sending
 * end says and lets the test answer as the receiving rank would.
 */
#ifndef XFER_TESTS_UNIT_FAKE_LANE_H
#define XFER_TESTS_UNIT_FAKE_LANE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/link/lane.h"
#include "daemon/link/link.h"

#define FAKE_LANES      4
#define FAKE_CHUNK_SIZE ((size_t)256 * 1024)

struct lane {
    struct link *link;
    const struct lane_sender_events *events;
    void *user;

    struct chunk chunks[XFER_RING_CHUNKS];
    struct chunk *free, *leaving;
    bool wanted, awake, held;

    /* One letter a message: M, A, S, P (a map), D (once for all data in a row), E, V. */
    char said[8192];
    struct wire_meta meta; /* the last one */
    struct wire_start start;
    struct wire_map map;
    struct wire_verdict verdict;
    unsigned char *data; /* of the file that META was last about */
    size_t data_len, data_room;
};

struct link {
    struct lane lanes[FAKE_LANES];
    unsigned n;
    bool failed;
    struct xfer_error why;
    void (*on_look)(struct link *link, const struct wire_look *look); /* NULL: nobody answers */
};

/* ---- what the sender calls ---- */

unsigned link_lanes(const struct link *link)
{
    return link->n;
}

struct lane *link_lane(struct link *link, unsigned i)
{
    return &link->lanes[i];
}

void link_fail(struct link *link, const struct xfer_error *why)
{
    link->failed = true;
    link->why = *why;
}

void lane_set_sender(struct lane *lane, const struct lane_sender_events *events, void *user)
{
    lane->events = events;
    lane->user = user;
}

static inline void fake_said(struct lane *lane, char letter)
{
    size_t len = strlen(lane->said);

    if (letter == 'D' && len > 0 && lane->said[len - 1] == 'D')
        return;
    if (len + 1 >= sizeof lane->said)
        abort();
    lane->said[len] = letter;
}

void lane_send_meta(struct lane *lane, const void *msg, size_t len)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (wire_meta_decode(msg, len, &lane->meta, &err))
        abort();
    fake_said(lane, 'M');
    lane->data_len = 0;
}

void lane_send_start(struct lane *lane, const void *msg, size_t len)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (wire_start_decode(msg, len, &lane->start, &err) || lane->start.seq != lane->meta.seq)
        abort();
    fake_said(lane, 'S');
}

void lane_send_attrs(struct lane *lane, const void *msg, size_t len)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_attrs attrs;

    if (wire_attrs_decode(msg, len, &attrs, &err) || attrs.seq != lane->meta.seq)
        abort();
    fake_said(lane, 'A');
}

void lane_send_map(struct lane *lane, const void *msg, size_t len)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (wire_map_decode(msg, len, &lane->map, &err) || lane->map.seq != lane->meta.seq)
        abort();
    fake_said(lane, 'P');
}

void lane_send_chunk(struct lane *lane, struct chunk *chunk)
{
    if (chunk->len == 0)
        abort();
    if (lane->data_room - lane->data_len < chunk->len) {
        lane->data_room = 2 * lane->data_room + chunk->len;
        lane->data = realloc(lane->data, lane->data_room);
        if (!lane->data)
            abort();
    }
    memcpy(lane->data + lane->data_len, chunk->data, chunk->len);
    lane->data_len += chunk->len;
    chunk->next = lane->leaving;
    lane->leaving = chunk;
    fake_said(lane, 'D');
}

void lane_send_end(struct lane *lane, struct chunk *unused)
{
    if (unused) {
        unused->next = lane->leaving;
        lane->leaving = unused;
    }
    fake_said(lane, 'E');
}

void lane_send_verdict(struct lane *lane, const void *msg, size_t len)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (wire_verdict_decode(msg, len, &lane->verdict, &err) || lane->verdict.seq != lane->meta.seq)
        abort();
    fake_said(lane, 'V');
}

void lane_wake(struct lane *lane)
{
    lane->awake = true;
}

void lane_hold(struct lane *lane, bool held)
{
    lane->held = held;
}

struct chunk *lane_chunk_get(struct lane *lane)
{
    struct chunk *chunk = lane->free;

    if (!chunk) {
        lane->wanted = true;
        return NULL;
    }
    lane->free = chunk->next;
    chunk->len = 0;
    return chunk;
}

void lane_chunk_put(struct lane *lane, struct chunk *chunk)
{
    chunk->next = lane->free;
    lane->free = chunk;
}

void link_send_look(struct link *link, const struct wire_look *look)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_look *copy = malloc(sizeof *copy);

    if (!copy || wire_look_decode(msg, wire_look_encode(look, msg), copy, &err))
        abort();
    if (link->on_look)
        link->on_look(link, copy);
    free(copy);
}

/* ---- what the test calls ---- */

static inline struct link *fake_link(unsigned n)
{
    struct link *link = calloc(1, sizeof *link);

    if (!link)
        abort();
    link->n = n;
    for (unsigned i = 0; i < n; i++) {
        struct lane *lane = &link->lanes[i];

        lane->link = link;
        for (unsigned c = 0; c < XFER_RING_CHUNKS; c++) {
            lane->chunks[c].data = malloc(FAKE_CHUNK_SIZE);
            lane->chunks[c].size = FAKE_CHUNK_SIZE;
            lane_chunk_put(lane, &lane->chunks[c]);
        }
    }
    return link;
}

static inline void fake_link_free(struct link *link)
{
    for (unsigned i = 0; i < link->n; i++) {
        for (unsigned c = 0; c < XFER_RING_CHUNKS; c++)
            free(link->lanes[i].chunks[c].data);
        free(link->lanes[i].data);
    }
    free(link);
}

/* What was sent has left. */
static inline void fake_poll(struct link *link)
{
    for (unsigned i = 0; i < link->n && !link->failed; i++) {
        struct lane *lane = &link->lanes[i];

        while (lane->leaving) {
            struct chunk *chunk = lane->leaving;

            lane->leaving = chunk->next;
            lane_chunk_put(lane, chunk);
        }
        if (lane->awake || (lane->wanted && lane->free)) {
            lane->awake = lane->wanted = false;
            lane->events->chunk_free(lane->user);
        }
    }
}

static inline unsigned fake_free_chunks(const struct lane *lane)
{
    unsigned n = 0;

    for (const struct chunk *c = lane->free; c; c = c->next)
        n++;
    return n;
}

static inline void fake_go(struct lane *lane, const struct wire_go *go)
{
    unsigned char msg[XFER_MESSAGE_MAX];

    lane->events->go(lane->user, msg, wire_go_encode(go, msg));
}

static inline void fake_refuse(struct lane *lane, uint64_t seq, const struct xfer_error *why)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    struct wire_receipt refusal = {.seq = seq, .error = *why};

    lane->events->refusal(lane->user, msg, wire_refusal_encode(&refusal, msg));
}

/* The receipt that the last verdict deserves: stored as it says, or its own error back. */
static inline void fake_receipt_of(struct lane *lane, struct wire_receipt receipt)
{
    unsigned char msg[XFER_MESSAGE_MAX];

    receipt.seq = lane->verdict.seq;
    receipt.error = lane->verdict.error;

    if (lane->verdict.kind == WIRE_COMMIT) {
        receipt.size = lane->verdict.size;
        memcpy(receipt.digest, lane->verdict.digest, XFER_DIGEST_SIZE);
    }
    lane->events->receipt(lane->user, msg, wire_receipt_encode(&receipt, msg));
}

static inline void fake_receipt(struct lane *lane)
{
    fake_receipt_of(lane, (struct wire_receipt){.seq = 0});
}

#endif
