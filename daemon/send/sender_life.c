/* SPDX-License-Identifier: MIT
 *
 * See sender.h: the sender's own life, its limits, and its room.
 */
#include <errno.h>
#include <stdlib.h>

#include "daemon/send/sender_impl.h"
#include "daemon/send/throttle.h"

/* Large files, and those with a rate of their own, that were opened and wait for a lane do not use
 * up the room of small ones; each holds a descriptor. Those of trees do: there are always more. */
#define PARKED_MAX 512

struct sender *sender_create(struct ev_loop *loop, struct link *link, struct pool *pool,
                             struct xfer_error *err)
{
    struct sender *s = calloc(1, sizeof(*s));

    if (!s) {
        error_set_errno(err, ENOMEM, "sender");
        return NULL;
    }
    s->loop = loop;
    s->link = link;
    s->pool = s->openers.pool = pool;
    s->throttle = throttle_create(loop, stream_go, err);
    s->looks = looks_create(link, err);
    if (!s->throttle || !s->looks) {
        sender_destroy(s);
        return NULL;
    }
    for (unsigned i = 0; i < link_lanes(link); i++) {
        s->streams[i] = stream_create(link, link_lane(link, i), s->throttle, err);
        if (!s->streams[i]) {
            sender_destroy(s);
            return NULL;
        }
        s->n_streams++;
    }
    return s;
}

void sender_destroy(struct sender *s)
{
    struct send *send, *next;

    if (!s)
        return;
    openers_free(&s->openers);
    for (send = s->lists.all; send; send = next) {
        next = send->next;
        /* A worker that hangs in it still uses it. */
        if (send->working)
            send->sender = NULL;
        else
            send_free(send);
    }
    for (unsigned i = 0; i < s->n_streams; i++)
        stream_destroy(s->streams[i]);
    send_owner_release(s->owner);
    looks_destroy(s->looks);
    throttle_destroy(s->throttle);
    free(s);
}

void sender_set_policy(struct sender *s, struct source_policy *policy)
{
    s->policy = policy;
}

void sender_set_limits(struct sender *s, int64_t bandwidth, int64_t file_size)
{
    throttle_set_rate(s->throttle, bandwidth);
    s->file_size = file_size;
}

void sender_looked(struct sender *s, const struct wire_looked *answer)
{
    looks_answered(s->looks, answer);
}

/* ---- room ---- */

unsigned sender_active(const struct sender *s)
{
    return s->lists.active;
}

unsigned sender_room(const struct sender *s)
{
    unsigned limit = s->n_streams * XFER_LANE_AHEAD_MAX;

    if (s->lists.parked >= PARKED_MAX || s->lists.ahead >= limit)
        return 0;
    return limit - s->lists.ahead;
}

unsigned sender_tree_room(const struct sender *s, unsigned ahead)
{
    unsigned limit = s->n_streams * XFER_LANE_AHEAD_MAX, kept = limit / 4, room = sender_room(s);
    unsigned share = (limit - kept) / (s->n_trees > 0 ? s->n_trees : 1), left;

    if (share == 0)
        share = 1;
    left = ahead < share ? share - ahead : 0;
    room = room > kept ? room - kept : 0;
    return room < left ? room : left;
}

void sender_made_room(struct sender *s)
{
    for (struct sender_tree *tree = s->trees; tree; tree = tree->next)
        tree->room(tree);
}

void sender_join(struct sender *s, struct sender_tree *tree)
{
    tree->prev = NULL;
    tree->next = s->trees;
    if (s->trees)
        s->trees->prev = tree;
    s->trees = tree;
    s->n_trees++;
}

void sender_part(struct sender *s, struct sender_tree *tree)
{
    if (tree->prev)
        tree->prev->next = tree->next;
    else
        s->trees = tree->next;
    if (tree->next)
        tree->next->prev = tree->prev;
    s->n_trees--;
}
