/* SPDX-License-Identifier: MIT
 *
 * A rank, for the files that make it up: rank.c (its life and its end) and rank_start.c (what rank
 * 0 and rank 1 are made of).
 */
#ifndef XFER_DAEMON_RANK_IMPL_H
#define XFER_DAEMON_RANK_IMPL_H

#include <ev.h>
#include <stdbool.h>

#include "daemon/conf.h"
#include "daemon/handoff.h"
#include "daemon/link/link.h"
#include "daemon/rank.h"
#include "proto/error.h"

enum leaving { STAY, STOPPING, LEAVING };

struct rank {
    struct conf conf; /* in effect */
    const struct rank_options *options;
    struct ev_loop *loop;
    int rank;
    int handoff_fd; /* -1: no supervisor, or it is gone */
    bool orphaned;  /* it was there and is gone */
    struct link *link;
    struct pool *pool;

    /* rank 0 */
    struct pool *handles; /* workers for what clients hand over: it may hang, and files go on */
    struct listener *listener; /* only without supervisor */
    int listen_fd;
    struct queue *queue;
    struct source_policy *policy;
    struct sender *sender;
    struct errands *errands;
    struct server *server;

    /* rank 1 */
    struct store *store;
    struct receiving *receiving;

    struct xfer_error unprepared; /* why it can't act for others; XFER_OK: it can, or need not */

    enum leaving leaving;
    bool broken;
    struct ev_signal signals[3];
    struct ev_io handoff;
    struct ev_timer tick, flush_limit;
    struct ev_prepare flushed;
};

/* rank.c: a message to the supervisor, if there is one; for struct errands_options; for the link.
 */
void rank_tell(struct rank *r, enum handoff_kind kind, const char *text);
void rank_apply_conf(void *rank);
extern const struct link_events rank_link_events;

/* rank_start.c: everything up to the first turn of the loop. What is there after a failure is left
 * to the end of the process. */
int rank_start(struct rank *r, struct xfer_error *err);

#endif
