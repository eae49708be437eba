/* SPDX-License-Identifier: MIT
 *
 * xferctl call: any method of the socket, its parameters and its result as they are.
 */
#include "ctl/ctl.h"
#include "ctl/session.h"

/* A request of any kind must not be made twice, and may take long (transfer.wait): no second try,
 * and no limit of time but --timeout. */
static int call(struct ctl *ctl, struct session *session, const char *method, const char *params,
                struct control_incoming *in, struct xfer_error *err)
{
    if (session_connect(session, ctl->deadline, err) ||
        session_send_raw(session, 1, method, params, err))
        return -1;
    for (;;) {
        switch (session_next(session, ctl->deadline, in, err)) {
        case SESSION_MESSAGE:
            if (in->kind == CONTROL_RESULT || in->kind == CONTROL_ERROR)
                return 0;
            control_incoming_free(in);
            break;
        case SESSION_DEADLINE:
            return error_set(err, XFER_TIMEOUT, "no answer within the time allowed");
        case SESSION_LOST:
            return error_prefix(err, "no answer to %s, which may have been done", method);
        case SESSION_SIGNAL:
            break;
        }
    }
}

int cmd_call(struct ctl *ctl, const struct arguments *args)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_incoming in;
    int exit_code = 0;
    struct session *session = ctl_session(ctl, &exit_code);

    if (!session)
        return exit_code;
    if (call(ctl, session, args->items[0], args->n > 1 ? args->items[1] : NULL, &in, &err)) {
        exit_code = ctl_fail(ctl, &err);
    } else {
        if (in.kind == CONTROL_ERROR) {
            exit_code = error_info(in.error.code)->exit_code;
            output_failure(ctl->out, &in.error, in.error_text, in.error_job, NULL, exit_code);
        } else {
            output_text(ctl->out, in.result);
        }
        control_incoming_free(&in);
    }
    session_destroy(session);
    return exit_code;
}
