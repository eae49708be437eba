/* SPDX-License-Identifier: MIT
 *
 * The methods about the queue as a whole: administrators pause, resume and drain it. Each is
 * answered when it is recorded; a drain when no job is left besides, or when it is resumed.
 */
#include "daemon/control/handlers_impl.h"
#include "daemon/control/pending.h"
#include "daemon/log.h"
#include "proto/control_reply.h"

static void give_queue(struct control *c, struct reply *reply)
{
    struct control_queue queue = {
        .paused = queue_paused(c->queue),
        .draining = queue_draining(c->queue),
        .queued = (int64_t)queue_count(c->queue, JOB_QUEUED),
        .running = (int64_t)queue_count(c->queue, JOB_RUNNING),
    };

    handlers_give_text(reply, control_queue_encode(&queue));
}

void handlers_look_drained(struct control *c)
{
    if (queue_draining(c->queue) && queue_unfinished(c->queue) > 0)
        return;
    while (!list_empty(&c->drains))
        give_queue(c, reply_of_link(c->drains.next));
}

bool handlers_is_admin(struct reply *reply)
{
    const struct client *client = reply_client(reply);
    struct xfer_error err = XFER_ERROR_INIT;

    if (client_is_admin(client))
        return true;
    error_set(
        &err, XFER_PERMISSION_DENIED,
        "uid %u is no administrator of this daemon (root, its own user and control.admins are)",
        (unsigned)client_uid(client));
    reply_error(reply, &err, 0);
    return false;
}

static void wait_until_empty(struct control *c, struct reply *reply)
{
    reply_wait(reply, &c->drains, REPLY_WAITS_QUEUE, 0, -1);
}

static void recorded(struct pending *pending, const struct xfer_error *why,
                     void (*answer)(struct control *c, struct reply *reply))
{
    struct control *c = pending_control(pending);

    if (why) {
        pending_fail(pending, why);
    } else {
        struct reply *reply = pending_end(pending);

        if (reply)
            answer(c, reply);
    }
    scheduler_pause(c->scheduler, queue_paused(c->queue));
    handlers_look_drained(c);
}

static void on_set(void *user, const struct xfer_error *why)
{
    recorded(user, why, give_queue);
}

static void on_set_to_drain(void *user, const struct xfer_error *why)
{
    recorded(user, why, wait_until_empty);
}

/* what: has been done then */
static void set(struct control *c, struct reply *reply, const char *what, bool paused,
                bool draining, void (*done)(void *user, const struct xfer_error *why))
{
    unsigned uid = (unsigned)client_uid(reply_client(reply));
    struct xfer_error err = XFER_ERROR_INIT;

    if (!handlers_is_admin(reply))
        return;
    struct pending *pending = pending_create(c, reply, 0, -1);
    if (!pending)
        return;
    if (queue_set(c->queue, paused, draining, done, pending, &err) < 0) {
        pending_fail(pending, &err);
        return;
    }
    log_notice("queue %s by uid %u", what, uid);
    scheduler_pause(c->scheduler, queue_paused(c->queue));
}

void handle_pause(struct control *c, struct reply *reply, const struct control_params *p)
{
    (void)p;
    set(c, reply, "paused", true, queue_draining(c->queue), on_set);
}

void handle_resume(struct control *c, struct reply *reply, const struct control_params *p)
{
    (void)p;
    set(c, reply, "resumed", false, false, on_set);
}

void handle_drain(struct control *c, struct reply *reply, const struct control_params *p)
{
    (void)p;
    set(c, reply, "drained", queue_paused(c->queue), true, on_set_to_drain);
}
