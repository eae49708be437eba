/* SPDX-License-Identifier: MIT
 *
 * See reloader.h. One reading is asked for at a time. Who comes while it is under way waits for the
 * next one: the file may have been written since that began.
 */
#include "daemon/control/reloader.h"

#include <stdlib.h>

#include "proto/control_reply.h"

struct reloader {
    const struct server_errands *errands;
    void *user;
    bool asked;          /* a reading is under way, for: */
    struct list waiting; /* replies */
    struct list late;    /* those that have come since */
};

struct reloader *reloader_create(const struct server_errands *errands, void *user,
                                 struct xfer_error *err)
{
    struct reloader *r = calloc(1, sizeof *r);

    if (!r) {
        error_set(err, XFER_NO_RESOURCES, "no memory");
        return NULL;
    }
    r->errands = errands;
    r->user = user;
    list_init(&r->waiting);
    list_init(&r->late);
    return r;
}

void reloader_destroy(struct reloader *r)
{
    free(r);
}

static void fail_list(struct list *replies, const struct xfer_error *why)
{
    while (!list_empty(replies))
        reply_error(reply_of_link(replies->next), why, 0);
}

static void ask(struct reloader *r)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (r->errands->reload(r->user, &err) < 0)
        fail_list(&r->waiting, &err);
    else
        r->asked = true;
}

void reloader_ask(struct reloader *r, struct reply *reply)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (!r->errands) {
        error_set(&err, XFER_INTERNAL, "nobody can read the configuration again");
        reply_error(reply, &err, 0);
        return;
    }
    reply_wait(reply, r->asked ? &r->late : &r->waiting, REPLY_WAITS_QUEUE, 0, -1);
    if (!r->asked)
        ask(r);
}

void reloader_done(struct reloader *r, const char *changed, const char *restart,
                   const struct xfer_error *why)
{
    char *text;

    if (!r->asked) /* by somebody who has been here before */
        return;
    r->asked = false;
    if (why) {
        fail_list(&r->waiting, why);
    } else {
        text = control_reload_encode(changed, restart);
        while (!list_empty(&r->waiting))
            reply_result(reply_of_link(r->waiting.next), text);
        free(text);
    }
    if (list_empty(&r->late))
        return;
    list_take_all(&r->waiting, &r->late);
    ask(r);
}

void reloader_fail(struct reloader *r, const struct xfer_error *why)
{
    fail_list(&r->waiting, why);
    fail_list(&r->late, why);
}
