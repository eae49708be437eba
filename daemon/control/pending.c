/* SPDX-License-Identifier: MIT
 *
 * See pending.h: a list with room for one reply, from which that takes itself when its client goes.
 */
#include "daemon/control/pending.h"

#include <stdlib.h>

struct pending {
    struct control *control;
    struct list link;
    struct list reply;
};

struct pending *pending_create(struct control *c, struct reply *reply, int64_t job, double seconds)
{
    struct pending *p = calloc(1, sizeof *p);
    struct xfer_error err = XFER_ERROR_INIT;

    if (!p) {
        error_set(&err, XFER_NO_RESOURCES, "no memory for the request");
        reply_error(reply, &err, job);
        return NULL;
    }
    p->control = c;
    list_init(&p->link);
    list_init(&p->reply);
    list_add_before(&c->pendings, &p->link);
    reply_wait(reply, &p->reply, REPLY_WAITS_QUEUE, job, seconds);
    return p;
}

struct control *pending_control(const struct pending *p)
{
    return p->control;
}

struct reply *pending_end(struct pending *p)
{
    struct reply *reply = list_empty(&p->reply) ? NULL : reply_of_link(p->reply.next);

    if (reply)
        reply_unwait(reply);
    list_remove(&p->link);
    free(p);
    return reply;
}

void pending_fail(struct pending *p, const struct xfer_error *why)
{
    struct reply *reply = pending_end(p);

    if (reply)
        reply_error(reply, why, reply_job(reply));
}

void pendings_init(struct control *c)
{
    list_init(&c->pendings);
}

void pendings_fail(struct control *c, const struct xfer_error *why)
{
    for (struct list *at = c->pendings.next; at != &c->pendings; at = at->next) {
        struct pending *p = list_entry(at, struct pending, link);

        if (!list_empty(&p->reply)) {
            struct reply *reply = reply_of_link(p->reply.next);

            reply_error(reply, why, reply_job(reply));
        }
    }
}

void pendings_clear(struct control *c)
{
    while (!list_empty(&c->pendings))
        pending_end(list_entry(c->pendings.next, struct pending, link));
}
