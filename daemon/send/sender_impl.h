/* SPDX-License-Identifier: MIT
 *
 * What sender.c (starting), sender_life.c (life, room, limits) and looks.c (questions about names)
 * share, and what trees need of it.
 */
#ifndef XFER_DAEMON_SEND_SENDER_IMPL_H
#define XFER_DAEMON_SEND_SENDER_IMPL_H

#include "daemon/send/looks.h"
#include "daemon/send/send_impl.h"

/* A tree: embedded there. */
struct sender_tree {
    struct sender_tree *prev, *next;
    void (*room)(struct sender_tree *tree); /* there may be room now; starts nothing by itself */
};

struct sender {
    struct ev_loop *loop;
    struct link *link;
    struct pool *pool;
    struct throttle *throttle;
    int64_t file_size; /* at most; 0: any */
    struct source_policy *policy;
    struct stream *streams[XFER_LANES_MAX];
    unsigned n_streams;
    struct send_lists lists;
    struct openers openers;
    struct send_owner *owner; /* of the last file */
    struct looks *looks;
    struct sender_tree *trees;
    unsigned n_trees;
};

void sender_join(struct sender *s, struct sender_tree *tree);
void sender_part(struct sender *s, struct sender_tree *tree);
/* How many more files a tree may start that has so many under way that have not left: trees share
 * three quarters of the room, so that a file by itself never waits for them. */
unsigned sender_tree_room(const struct sender *s, unsigned ahead);

#endif
