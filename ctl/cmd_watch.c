/* SPDX-License-Identifier: MIT
 *
 * xferctl watch: what happens to some jobs until they have ended, or to all for as long as it runs.
 */
#include <math.h>
#include <poll.h>

#include "ctl/clock.h"
#include "ctl/ctl.h"
#include "ctl/follow.h"
#include "ctl/follow_internal.h"
#include "ctl/session.h"

#define RETRY_MILLISECONDS 200

/* One connection's worth of events. Returns when it breaks, when the time is over, or when nobody
 * reads any more. */
static enum session_event follow_all(struct ctl *ctl, struct session *session,
                                     struct xfer_error *err)
{
    struct xfer_error full = XFER_ERROR_INIT;

    for (;;) {
        struct control_incoming in;
        enum session_event event = session_next(session, ctl->deadline, &in, err);

        if (event != SESSION_MESSAGE)
            return event;
        if (in.kind == CONTROL_EVENT && ctl->json)
            output_text(ctl->out, in.result);
        else if (in.kind == CONTROL_EVENT)
            follow_tell_event_line(ctl->out, &in.event);
        else if (in.kind == CONTROL_EVENTS_LOST)
            output_notice(ctl->out, "%lld events were lost", (long long)in.lost);
        else if (in.kind == CONTROL_ERROR)
            *err = in.error;
        event = in.kind == CONTROL_ERROR ? SESSION_LOST : SESSION_MESSAGE;
        control_incoming_free(&in);
        if (event == SESSION_LOST || output_check(ctl->out, &full))
            return event;
        if (clock_now() >= ctl->deadline)
            return SESSION_DEADLINE;
    }
}

static int watch_all(struct ctl *ctl, struct session *session)
{
    struct xfer_error err = XFER_ERROR_INIT;
    double lost_at = -INFINITY; /* the first connection must come at once */

    for (;;) {
        if (session_connect(session, ctl->deadline, &err) == 0) {
            if (session_send(session, 1, METHOD_EVENTS_SUBSCRIBE, NULL, &err))
                return ctl_fail(ctl, &err);
            switch (follow_all(ctl, session, &err)) {
            case SESSION_LOST:
                if (err.code != XFER_NO_DAEMON && err.code != XFER_STOPPING)
                    return ctl_fail(ctl, &err);
                lost_at = clock_now();
                break;
            case SESSION_DEADLINE:
                return error_info(XFER_TIMEOUT)->exit_code;
            default:
                return 1; /* standard output is gone, which is told at the end of the program */
            }
        }
        if (clock_now() >= ctl->deadline)
            return error_info(XFER_TIMEOUT)->exit_code;
        if (isinf(lost_at) || (isinf(ctl->deadline) && clock_now() - lost_at > CTL_RETRY_SECONDS))
            return ctl_fail(ctl, &err);
        poll(NULL, 0, RETRY_MILLISECONDS);
    }
}

int cmd_watch(struct ctl *ctl, const struct arguments *args)
{
    const struct follow_options options = {.purpose = FOLLOW_FOR_EVENTS};
    struct follow_item *items;
    struct session *session;
    int exit_code = 0;

    if (args->n == 0) {
        session = ctl_session(ctl, &exit_code);
        if (session)
            exit_code = watch_all(ctl, session);
        session_destroy(session);
        return exit_code;
    }
    items = follow_items_of_jobs(ctl, args, FOLLOW_WAIT, &exit_code);
    if (!items)
        return exit_code;
    exit_code = follow_run(ctl, &options, items, (size_t)args->n);
    follow_items_free(items, (size_t)args->n);
    return exit_code;
}
