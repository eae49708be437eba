/* SPDX-License-Identifier: MIT
 *
 * Replies wait on one list; who asks while a question is out gets its answer too. A question can't
 * be taken back, so what the link is given is the pinger, never a reply, which may be gone when the
 * answer comes.
 */
#include "daemon/control/pinger.h"

#include <stdlib.h>

#include "proto/control_reply.h"

struct pinger {
    struct link *link;
    bool asked;
    struct list waiting;
};

static void on_pong(void *user, double round_trip)
{
    struct pinger *p = user;
    struct control_ping ping = {.peer_up = true, .round_trip = round_trip};
    char *text = control_ping_encode(&ping);

    p->asked = false;
    while (!list_empty(&p->waiting))
        reply_result(reply_of_link(p->waiting.next), text);
    free(text);
}

struct pinger *pinger_create(struct link *link, struct xfer_error *err)
{
    struct pinger *p = calloc(1, sizeof *p);

    if (!p) {
        error_set(err, XFER_NO_RESOURCES, "no memory");
        return NULL;
    }
    p->link = link;
    list_init(&p->waiting);
    return p;
}

void pinger_destroy(struct pinger *p)
{
    free(p);
}

void pinger_fail(struct pinger *p, const struct xfer_error *why)
{
    while (!list_empty(&p->waiting))
        reply_error(reply_of_link(p->waiting.next), why, 0);
}

void pinger_ask(struct pinger *p, struct reply *reply)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (!p->link) {
        error_set(&err, XFER_PEER_DOWN, "the other rank is not there");
        reply_error(reply, &err, 0);
        return;
    }
    reply_wait(reply, &p->waiting, REPLY_WAITS_PONG, 0, XFER_PING_SECONDS);
    if (p->asked)
        return;
    if (link_ping(p->link, on_pong, p, &err) < 0)
        pinger_fail(p, &err);
    else
        p->asked = true;
}
