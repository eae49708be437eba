/* SPDX-License-Identifier: MIT
 *
 * The methods about the limits: everybody may see them, administrators set the bandwidth.
 */
#include <inttypes.h>

#include "daemon/control/handlers_impl.h"
#include "daemon/control/limits.h"
#include "daemon/control/pending.h"
#include "daemon/log.h"

static void give_limits(struct control *c, struct reply *reply)
{
    struct control_limits limits;

    limits_now(c, &limits);
    handlers_give_text(reply, control_limits_encode(&limits));
}

void handle_limits_get(struct control *c, struct reply *reply, const struct control_params *p)
{
    (void)p;
    give_limits(c, reply);
}

static void on_set(void *user, const struct xfer_error *why)
{
    struct control *c = pending_control(user);

    if (why) {
        pending_fail(user, why);
    } else {
        struct reply *reply = pending_end(user);

        if (reply)
            give_limits(c, reply);
    }
    limits_apply(c); /* what could not be recorded does not hold */
}

void handle_limits_set(struct control *c, struct reply *reply, const struct control_params *p)
{
    unsigned uid = (unsigned)client_uid(reply_client(reply));
    struct xfer_error err = XFER_ERROR_INIT;
    int64_t bandwidth = p->bandwidth;

    if (!handlers_is_admin(reply))
        return;
    struct pending *pending = pending_create(c, reply, 0, -1);
    if (!pending)
        return;
    if (queue_set_bandwidth(c->queue, bandwidth, on_set, pending, &err) < 0) {
        pending_fail(pending, &err);
        return;
    }
    log_notice("bandwidth set to %" PRId64 " bytes a second by uid %u", bandwidth, uid);
    limits_apply(c);
}
