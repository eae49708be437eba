/* SPDX-License-Identifier: MIT
 *
 * What link.c (the link while it runs), link_control.c (its messages that belong to no lane) and
 * handshake.c (how it comes about) share.
 */
#ifndef XFER_DAEMON_LINK_LINK_IMPL_H
#define XFER_DAEMON_LINK_LINK_IMPL_H

#include "daemon/link/doorbell.h"
#include "daemon/link/lane_impl.h"
#include "daemon/link/link.h"
#include "daemon/link/mailbox.h"
#include "daemon/link/outbox.h"
#include "daemon/link/pace.h"
#include "daemon/link/requests.h"

struct ping;

struct link {
    struct ev_loop *loop;
    struct link_options options;
    const struct link_events *events;
    void *user;

    struct outbox control;
    struct mailbox in; /* of all control messages */

    struct lane **lanes;
    unsigned n_lanes;
    struct requests requests;
    struct doorbell *bell;
    struct pace *pace;
    struct link_peer peer;
    uint32_t chunk;
    unsigned char queue_id[XFER_QUEUE_ID_SIZE]; /* rank 0's */

    struct ev_timer heartbeat;
    bool heard;      /* a sign of life since the heartbeat timer's last turn */
    double silent;   /* seconds without one, in turns of that timer */
    uint64_t number; /* of the question under way, 0: none */
    uint64_t last_number;
    double asked_at;
    struct ping *pings, *pings_next; /* told by the answer under way; by the one after it */
    uint64_t free_bytes, total_bytes;

    struct {
        uint64_t number; /* 0: none */
        uint32_t n;
    } looks[XFER_LOOKS_MAX]; /* that are not answered yet: by us (rank 1) or to us (rank 0) */
    unsigned n_looks;
    uint64_t last_look;

    bool failed, told;
    struct xfer_error why;
};

/* Meet the other rank, make the doorbell where both are on one machine, agree on the terms, and
 * take down who the other is. Both ranks call it; it blocks, but no longer than options.handshake.
 */
int handshake(struct link *link, struct xfer_error *err);

/* link_control.c: take what has come, send what waits: > 0 something moved, 0 nothing, -1. */
int link_take_control(struct link *link, struct xfer_error *err);
void link_ask(struct link *link); /* a question that the other rank answers */
void link_drop_pings(struct link *link);

double link_clock(void); /* seconds, monotonic */

#endif
