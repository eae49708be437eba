/* SPDX-License-Identifier: MIT
 *
 * When to poll MPI. There is no descriptor to wait on, and a blocking MPI call burns a core for
 * ever, so:
 *
 *   hot    something moved a moment ago: poll in every turn of the loop, without sleeping
 *   warm   nothing came for some tens of microseconds: sleep in short growing steps between polls
 *   idle   nothing for a millisecond: sleep until the doorbell rings, or a slow tick where there is
 * none
 *
 * Works inside the event loop: clients and workers are served in all three.
 */
#ifndef XFER_DAEMON_LINK_PACE_H
#define XFER_DAEMON_LINK_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <ev.h>

#include "daemon/link/doorbell.h"
#include "proto/error.h"

struct pace;

struct pace_client {
    int (*poll)(void *user); /* > 0: something moved; 0: nothing; -1: broken, don't call again */
    bool (*sending)(void *user);   /* own messages are on their way out: never idle */
    bool (*expecting)(void *user); /* an answer is due: without a doorbell, not idle either */
    bool (*receiving)(void *user); /* data may be on its way here */
    bool (*blocked)(void *user);   /* none can move before a chunk is given back, here or there */
};

/* bell: borrowed, NULL without. tick: seconds between polls when idle. */
struct pace *pace_create(struct ev_loop *loop, const struct pace_client *client, void *user,
                         struct doorbell *bell, double tick, struct xfer_error *err);
void pace_destroy(struct pace *pace); /* NULL is fine */

/* A message was handed to MPI: be hot, and wake the other side if it may be asleep. */
void pace_sent(struct pace *pace);

/* Be hot. */
void pace_kick(struct pace *pace);

/* Data of that many bytes came or goes. A large message takes both sides several turns. */
void pace_data(struct pace *pace, size_t len);

#endif
