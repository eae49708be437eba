/* SPDX-License-Identifier: MIT
 *
 * The simple way to ask the daemon: one request and its reply, over a connection that may have to
 * be made more than once.
 */
#include <math.h>
#include <poll.h>
#include <stddef.h>

#include "ctl/clock.h"
#include "ctl/ctl.h"
#include "ctl/session.h"

#define RETRY_FIRST   0.02 /* seconds before connecting again, doubled up to ... */
#define RETRY_LONGEST 1.0

/* Wait for the reply of that id; other messages are dropped. */
static enum session_event await_reply(struct session *s, int64_t id, double deadline,
                                      struct control_incoming *in, struct xfer_error *err)
{
    for (;;) {
        enum session_event event = session_next(s, deadline, in, err);

        if (event != SESSION_MESSAGE)
            return event;
        if ((in->kind == CONTROL_RESULT || in->kind == CONTROL_ERROR) &&
            (in->id == id || in->id < 0))
            return event;
        control_incoming_free(in);
    }
}

int session_ask(struct session *s, enum method_id method, const struct control_params *params,
                bool again, double deadline, struct control_incoming *in, struct xfer_error *err)
{
    const int64_t id = 1;
    double give_up = isinf(deadline) ? clock_now() + CTL_RETRY_SECONDS : deadline;
    double pause = RETRY_FIRST;
    bool was_connected = session_connected(s);

    for (;;) {
        if (!session_connected(s) && session_connect(s, give_up, err)) {
            if (!was_connected || err->code == XFER_USAGE)
                return -1;
        } else {
            was_connected = true;
            if (session_send(s, id, method, params, err))
                return -1;
            switch (await_reply(s, id, give_up, in, err)) {
            case SESSION_MESSAGE:
                if (!again || in->kind != CONTROL_ERROR || in->error.code != XFER_STOPPING)
                    return 0;
                *err = in->error;
                control_incoming_free(in);
                session_disconnect(s);
                break;
            case SESSION_LOST:
                if (!again || err->code != XFER_NO_DAEMON)
                    return -1;
                break;
            case SESSION_DEADLINE:
                session_disconnect(s);
                if (isinf(deadline))
                    return error_set(err, XFER_NO_DAEMON,
                                     "%s: the daemon gave no answer within %d s", session_path(s),
                                     (int)CTL_RETRY_SECONDS);
                return error_set(err, XFER_TIMEOUT, "no answer within the time allowed");
            case SESSION_SIGNAL:
                break;
            }
        }
        if (clock_now() + pause >= give_up)
            return isinf(deadline) ? -1
                                   : error_set(err, XFER_TIMEOUT,
                                               "no daemon came back within the time allowed");
        poll(NULL, 0, (int)(pause * 1000));
        pause = clock_sooner(pause * 2, RETRY_LONGEST);
    }
}
