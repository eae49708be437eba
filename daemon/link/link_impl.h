/* SPDX-License-Identifier: MIT
 *
 * What link.c (the link while it runs) and handshake.c (how it comes about) share.
 */
#ifndef XFER_DAEMON_LINK_LINK_IMPL_H
#define XFER_DAEMON_LINK_LINK_IMPL_H

#include "daemon/link/doorbell.h"
#include "daemon/link/lane_impl.h"
#include "daemon/link/link.h"
#include "daemon/link/outbox.h"
#include "daemon/link/pace.h"

struct ping;

struct link {
    struct ev_loop *loop;
    struct link_options options;
    const struct link_events *events;
    void *user;

    struct outbox control;
    MPI_Request in_request;
    unsigned char in[XFER_MESSAGE_MAX];

    struct lane **lanes;
    unsigned n_lanes;
    struct doorbell *bell;
    struct pace *pace;
    struct link_peer peer;
    uint32_t chunk;

    struct ev_timer heartbeat;
    bool heard;      /* a sign of life since the heartbeat timer's last turn */
    double silent;   /* seconds without one, in turns of that timer */
    uint64_t number; /* of the question under way, 0: none */
    uint64_t last_number;
    double asked_at;
    struct ping *pings, *pings_next; /* told by the answer under way; by the one after it */
    uint64_t free_bytes, total_bytes;

    bool failed, told;
    struct xfer_error why;
};

/* Meet the other rank, make the doorbell where both are on one machine, agree on the terms, and
 * take down who the other is. Both ranks call it; it blocks, but no longer than options.handshake.
 */
int handshake(struct link *link, struct xfer_error *err);

double link_clock(void); /* seconds, monotonic */

#endif
