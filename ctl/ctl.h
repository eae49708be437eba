/* SPDX-License-Identifier: MIT
 *
 * What the commands of xferctl share: the table of commands, the options that all of them take, and
 * how one of them fails. A command is a function that gets its arguments parsed and returns the
 * exit code.
 */
#ifndef XFER_CTL_CTL_H
#define XFER_CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl/options.h"
#include "ctl/output.h"
#include "proto/control_method.h"
#include "proto/control_reply.h"
#include "proto/error.h"

struct session;

#define CTL_RETRY_SECONDS 30.0 /* how long a daemon that is gone, or silent, is given */

struct ctl {
    const char *socket; /* -s, or NULL */
    bool json;
    bool quiet;
    enum color_mode color;
    double timeout;  /* --timeout in seconds; negative: none */
    double deadline; /* its end by clock_now(), or infinite */
    struct output *out;
};

struct command {
    const char *name;
    const char *arguments;             /* for the synopsis */
    const char *summary;               /* one line */
    const struct option_spec *options; /* its own; NULL: none */
    int min_arguments, max_arguments;  /* max -1: any number */
    int (*run)(struct ctl *ctl, const struct arguments *args);
};

/* All commands, ended by one without a name. */
extern const struct command ctl_commands[];
/* Options that every command takes. */
extern const struct option_spec ctl_options[];

/* NULL when there is none of that name. */
const struct command *ctl_command_find(const char *name);

/* Tell an error (as JSON with --json); gives the exit code that belongs to it. */
int ctl_fail(struct ctl *ctl, const struct xfer_error *err);
/* The same for a mistake of the caller: exit code 2. */
int ctl_usage(struct ctl *ctl, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A session for this command, not yet connected; NULL after telling why and setting *exit_code. */
struct session *ctl_session(struct ctl *ctl, int *exit_code);

/* One request and its result: 0 with *in to be freed by the caller, else the exit code of a failure
 * that was told. again: the request may be repeated when the connection breaks before the reply. */
int ctl_ask(struct ctl *ctl, struct session *session, enum method_id method,
            const struct control_params *params, bool again, struct control_incoming *in);

/* A job number as an argument: 0, or the exit code of a usage error that was told. */
int ctl_parse_job(struct ctl *ctl, const char *text, int64_t *job);

int cmd_call(struct ctl *ctl, const struct arguments *args);
int cmd_cancel(struct ctl *ctl, const struct arguments *args);
int cmd_drain(struct ctl *ctl, const struct arguments *args);
int cmd_errors(struct ctl *ctl, const struct arguments *args);
int cmd_help(struct ctl *ctl, const struct arguments *args);
int cmd_limit(struct ctl *ctl, const struct arguments *args);
int cmd_list(struct ctl *ctl, const struct arguments *args);
int cmd_pause(struct ctl *ctl, const struct arguments *args);
int cmd_ping(struct ctl *ctl, const struct arguments *args);
int cmd_plan(struct ctl *ctl, const struct arguments *args);
int cmd_reload(struct ctl *ctl, const struct arguments *args);
int cmd_resume(struct ctl *ctl, const struct arguments *args);
int cmd_retry(struct ctl *ctl, const struct arguments *args);
int cmd_send(struct ctl *ctl, const struct arguments *args);
int cmd_socket(struct ctl *ctl, const struct arguments *args);
int cmd_stats(struct ctl *ctl, const struct arguments *args);
int cmd_status(struct ctl *ctl, const struct arguments *args);
int cmd_top(struct ctl *ctl, const struct arguments *args);
int cmd_version(struct ctl *ctl, const struct arguments *args);
int cmd_wait(struct ctl *ctl, const struct arguments *args);
int cmd_watch(struct ctl *ctl, const struct arguments *args);

extern const struct option_spec cmd_send_options[];
extern const struct option_spec cmd_list_options[];
extern const struct option_spec cmd_stats_options[];
extern const struct option_spec cmd_top_options[];

#endif
