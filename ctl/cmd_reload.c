/* SPDX-License-Identifier: MIT
 *
 * xferctl reload: has the daemon read its configuration again, and tells what came of it.
 */
#include "ctl/ctl.h"
#include "ctl/session.h"

static int tell(struct ctl *ctl, const char *result)
{
    struct control_reload reload;
    struct xfer_error err = XFER_ERROR_INIT;

    if (ctl->json) {
        output_text(ctl->out, result);
        return 0;
    }
    if (control_reload_parse(result, &reload, &err))
        return ctl_fail(ctl, &err);
    error_clean(reload.changed);
    error_clean(reload.restart);
    if (reload.changed[0])
        output_line(ctl->out, "changed: %s", reload.changed);
    if (reload.restart[0])
        output_line(ctl->out, "takes effect when xferd is started again: %s", reload.restart);
    if (!reload.changed[0] && !reload.restart[0])
        output_line(ctl->out, "the configuration is as it was");
    return 0;
}

int cmd_reload(struct ctl *ctl, const struct arguments *args)
{
    struct control_incoming in;
    int exit_code = 0;
    struct session *session = ctl_session(ctl, &exit_code);

    (void)args;
    if (!session)
        return exit_code;
    exit_code = ctl_ask(ctl, session, METHOD_DAEMON_RELOAD, NULL, true, &in);
    if (!exit_code) {
        exit_code = tell(ctl, in.result);
        control_incoming_free(&in);
    }
    session_destroy(session);
    return exit_code;
}
