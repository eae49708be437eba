/* SPDX-License-Identifier: MIT
 *
 * xferctl limit: show the limits, or set the bandwidth.
 */
#include <stdio.h>

#include "ctl/ctl.h"
#include "ctl/session.h"
#include "proto/units.h"

static void print_size(struct output *out, const char *label, int64_t bytes, const char *per)
{
    char size[24];

    units_format_size(bytes, size, sizeof(size));
    if (bytes > 0)
        output_line(out, "%-13s %lld (%s%s)", label, (long long)bytes, size, per);
    else
        output_line(out, "%-13s none", label);
}

static void print_limits(struct output *out, const struct control_limits *limits)
{
    print_size(out, "bandwidth", limits->bandwidth, "/s");
    if (limits->user_jobs > 0)
        output_line(out, "%-13s %lld", "jobs a user", (long long)limits->user_jobs);
    if (limits->user_bytes > 0)
        print_size(out, "bytes a user", limits->user_bytes, "");
    if (limits->file_size > 0)
        print_size(out, "bytes a file", limits->file_size, "");
}

static int tell(struct ctl *ctl, const char *result)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_limits limits;

    if (ctl->json)
        output_text(ctl->out, result);
    else if (control_limits_parse(result, &limits, &err))
        return ctl_fail(ctl, &err);
    else
        print_limits(ctl->out, &limits);
    return 0;
}

int cmd_limit(struct ctl *ctl, const struct arguments *args)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_params params;
    struct control_incoming in;
    struct session *session;
    int exit_code = 0;

    control_params_init(&params);
    if (args->n > 0 && units_parse_size(args->items[0], &params.bandwidth, &err))
        return ctl_usage(ctl, "limit: %s", err.text);
    session = ctl_session(ctl, &exit_code);
    if (!session)
        return exit_code;
    exit_code = ctl_ask(ctl, session, args->n > 0 ? METHOD_LIMITS_SET : METHOD_LIMITS_GET, &params,
                        true, &in);
    if (!exit_code) {
        exit_code = tell(ctl, in.result);
        control_incoming_free(&in);
    }
    session_destroy(session);
    return exit_code;
}
