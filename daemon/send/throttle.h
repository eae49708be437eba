/* SPDX-License-Identifier: MIT
 *
 * The shaper (shaper.h) with the clock and the timer that it does not have: wakes those that wait
 * for it. Rank 0, the loop's thread. Nothing runs while nobody waits.
 */
#ifndef XFER_DAEMON_SEND_THROTTLE_H
#define XFER_DAEMON_SEND_THROTTLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ev.h>

#include "daemon/send/shaper.h"
#include "proto/error.h"

struct throttle;

/* go: it may go on, and asks again; never from inside throttle_take(). */
struct throttle *throttle_create(struct ev_loop *loop, void (*go)(struct shaper_flow *flow),
                                 struct xfer_error *err);
void throttle_destroy(struct throttle *t); /* NULL is fine */

/* Bytes a second of all together, 0: none. Who waits looks again in the next turn of the loop. */
void throttle_set_rate(struct throttle *t, int64_t rate);

/* See shaper.h. */
void throttle_bucket(struct bucket *b, int64_t rate);
void throttle_begin(struct throttle *t, struct shaper_flow *flow, int64_t rate,
                    struct bucket *shared);
size_t throttle_take(struct throttle *t, struct shaper_flow *flow, size_t want);
void throttle_leave(struct throttle *t, struct shaper_flow *flow);

#endif
