/* SPDX-License-Identifier: MIT
 *
 * xferctl ping: do both ranks answer? With --timeout it tries until they do.
 */
#include <math.h>
#include <poll.h>

#include "ctl/clock.h"
#include "ctl/ctl.h"
#include "ctl/session.h"

#define RETRY_SECONDS 0.1

/* One try: 0, or -1 with the error. */
static int ping(struct ctl *ctl, struct xfer_error *err)
{
    struct session *session = session_create(ctl->socket, err);
    struct control_incoming in;
    struct control_ping reply;
    int rc = -1;

    if (!session)
        return -1;
    if (session_ask(session, METHOD_SYSTEM_PING, NULL, false, ctl->deadline, &in, err) == 0) {
        if (in.kind == CONTROL_ERROR)
            *err = in.error;
        else if (control_ping_parse(in.result, &reply, err) == 0)
            rc = reply.peer_up ? 0 : error_set(err, XFER_PEER_DOWN, "the other rank is down");
        if (rc == 0 && ctl->json)
            output_text(ctl->out, in.result);
        else if (rc == 0)
            output_line(ctl->out, "%.2f ms", reply.round_trip * 1000);
        control_incoming_free(&in);
    }
    session_destroy(session);
    return rc;
}

/* What may be otherwise a little later. */
static bool worth_another(const struct xfer_error *err)
{
    return err->code != XFER_USAGE && err->code != XFER_TIMEOUT &&
           err->code != XFER_METHOD_NOT_FOUND;
}

int cmd_ping(struct ctl *ctl, const struct arguments *args)
{
    struct xfer_error err = XFER_ERROR_INIT;

    (void)args;
    for (;;) {
        if (ping(ctl, &err) == 0)
            return 0;
        if (isinf(ctl->deadline) || !worth_another(&err))
            return ctl_fail(ctl, &err);
        if (clock_now() + RETRY_SECONDS >= ctl->deadline) {
            struct xfer_error last = err;

            poll(NULL, 0, clock_poll_timeout(ctl->deadline));
            error_set(&err, XFER_TIMEOUT, "no answer of both ranks within the time allowed: %s",
                      last.text);
            return ctl_fail(ctl, &err);
        }
        poll(NULL, 0, (int)(RETRY_SECONDS * 1000));
    }
}
