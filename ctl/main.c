/* SPDX-License-Identifier: MIT
 *
 * xferctl: the command line of xfer. Finds the command in a table, parses what it takes, runs it,
 * and sees to it that what could not be written is told.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/clock.h"
#include "ctl/ctl.h"
#include "ctl/session.h"
#include "proto/units.h"

const struct option_spec ctl_options[] = {
    {"socket", 's', "PATH", "the daemon's control socket"},
    {"json", 0, NULL, "print JSON, one value a line"},
    {"quiet", 'q', NULL, "no progress, no notices; errors are still told"},
    {"timeout", 0, "DURATION", "wait no longer than that (10s, 5min, 1h); then exit 124"},
    {"color", 0, "WHEN", "auto, always or never"},
    {"help", 'h', NULL, "tell how it is used"},
    {"version", 0, NULL, "print the version"},
    {NULL},
};

const struct command ctl_commands[] = {
    {"send", "SOURCE...", "copy files and directories to the receiving host", cmd_send_options, 1,
     -1, cmd_send},
    {"status", "[JOB]", "one job in full, or the state of the daemon", NULL, 0, 1, cmd_status},
    {"list", "", "unfinished jobs and the last finished ones", cmd_list_options, 0, 0, cmd_list},
    {"errors", "JOB", "all that was wrong with single files of a tree", NULL, 1, 1, cmd_errors},
    {"plan", "JOB", "what a dry run would do with each file", NULL, 1, 1, cmd_plan},
    {"wait", "JOB...", "return when these jobs have ended", NULL, 1, -1, cmd_wait},
    {"watch", "[JOB]...", "follow these jobs, or all", NULL, 0, -1, cmd_watch},
    {"cancel", "JOB...", "cancel jobs", NULL, 1, -1, cmd_cancel},
    {"retry", "JOB...", "start jobs again that failed, were cancelled or wait", NULL, 1, -1,
     cmd_retry},
    {"pause", "", "take requests, but start no job", NULL, 0, 0, cmd_pause},
    {"resume", "", "end a pause or a drain", NULL, 0, 0, cmd_resume},
    {"drain", "", "take no more requests; return when no job is left", NULL, 0, 0, cmd_drain},
    {"limit", "[RATE]", "show the limits, or set the bandwidth of all jobs together", NULL, 0, 1,
     cmd_limit},
    {"reload", "", "have the daemon read its configuration again", NULL, 0, 0, cmd_reload},
    {"ping", "", "do both ranks answer?", NULL, 0, 0, cmd_ping},
    {"stats", "", "counters of the daemon", cmd_stats_options, 0, 0, cmd_stats},
    {"top", "", "the daemon and its jobs, live", cmd_top_options, 0, 0, cmd_top},
    {"call", "METHOD [PARAMS-JSON]", "call any method of the socket", NULL, 1, 2, cmd_call},
    {"socket", "", "print the socket that would be used", NULL, 0, 0, cmd_socket},
    {"version", "", "print the version", NULL, 0, 0, cmd_version},
    {"help", "[COMMAND]", "tell how a command is used", NULL, 0, 1, cmd_help},
    {NULL},
};

const struct command *ctl_command_find(const char *name)
{
    for (const struct command *c = ctl_commands; c->name; c++)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

int ctl_fail(struct ctl *ctl, const struct xfer_error *err)
{
    int exit_code = error_info(err->code)->exit_code;

    output_failure(ctl->out, err, NULL, 0, NULL, exit_code);
    return exit_code;
}

int ctl_usage(struct ctl *ctl, const char *fmt, ...)
{
    struct xfer_error err = XFER_ERROR_INIT;
    char text[XFER_ERROR_TEXT_SIZE];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    error_set(&err, XFER_USAGE, "%s", text);
    return ctl_fail(ctl, &err);
}

struct session *ctl_session(struct ctl *ctl, int *exit_code)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct session *session = session_create(ctl->socket, &err);

    if (!session)
        *exit_code = ctl_fail(ctl, &err);
    return session;
}

int ctl_ask(struct ctl *ctl, struct session *session, enum method_id method,
            const struct control_params *params, bool again, struct control_incoming *in)
{
    struct xfer_error err = XFER_ERROR_INIT;
    int exit_code;

    if (session_ask(session, method, params, again, ctl->deadline, in, &err))
        return ctl_fail(ctl, &err);
    if (in->kind != CONTROL_ERROR)
        return 0;
    exit_code = error_info(in->error.code)->exit_code;
    output_failure(ctl->out, &in->error, in->error_text, in->error_job, NULL, exit_code);
    control_incoming_free(in);
    return exit_code;
}

int ctl_parse_job(struct ctl *ctl, const char *text, int64_t *job)
{
    char *end;
    long long value;

    errno = 0;
    value = strtoll(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || value <= 0 || value > XFER_INTEGER_MAX)
        return ctl_usage(ctl, "'%s' is no job: jobs are positive numbers", text);
    *job = value;
    return 0;
}

/* A descriptor 0 to 2 that is missing would be given to the socket, and then written to. */
static void fill_standard_descriptors(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

/* The options that hold for every command. 0, or the exit code of a usage error that was told. */
static int take_options(struct ctl *ctl, const struct arguments *args)
{
    static const char *const modes[] = {"auto", "always", "never"};
    struct xfer_error err = XFER_ERROR_INIT;
    const char *value;

    if ((value = arguments_option(args, "socket")))
        ctl->socket = value;
    if (arguments_option(args, "json"))
        ctl->json = true;
    if (arguments_option(args, "quiet"))
        ctl->quiet = true;
    if ((value = arguments_option(args, "timeout"))) {
        if (units_parse_duration(value, &ctl->timeout, &err))
            return ctl_usage(ctl, "--timeout: %s", err.text);
        ctl->deadline = clock_now() + ctl->timeout;
    }
    if ((value = arguments_option(args, "color"))) {
        size_t i = 0;

        while (i < 3 && strcmp(modes[i], value) != 0)
            i++;
        if (i == 3)
            return ctl_usage(ctl, "--color is auto, always or never, not '%s'", value);
        ctl->color = (enum color_mode)i;
    }
    return 0;
}

/* Output starts with what is known before the command line is: usage errors need one, too. */
static int renew_output(struct ctl *ctl)
{
    output_destroy(ctl->out);
    ctl->out = output_create(ctl->json, ctl->quiet, ctl->color);
    if (ctl->out)
        return 0;
    fputs("xferctl: no memory\n", stderr);
    return 1;
}

static int run_command(struct ctl *ctl, const struct command *command, const struct arguments *args)
{
    if (arguments_option(args, "help")) {
        struct arguments name = {.n = 1, .items = (const char *[]){command->name}};

        return cmd_help(ctl, &name);
    }
    if (arguments_option(args, "version"))
        return cmd_version(ctl, &(struct arguments){0});
    if (args->n < command->min_arguments) {
        char missing[32];
        size_t n = 0;

        for (; isupper((unsigned char)command->arguments[n]) && n < sizeof(missing) - 1; n++)
            missing[n] = (char)tolower((unsigned char)command->arguments[n]);
        missing[n] = '\0';
        return ctl_usage(ctl, "%s: no %s given; usage: xferctl %s [OPTION]... %s", command->name,
                         missing, command->name, command->arguments);
    }
    if (command->max_arguments >= 0 && args->n > command->max_arguments)
        return ctl_usage(ctl, "%s: unexpected argument '%s'", command->name,
                         args->items[command->max_arguments]);
    return command->run(ctl, args);
}

/* front: options before the command; the rest of argv follows it. */
static int dispatch(struct ctl *ctl, const struct arguments *front, int argc, char **argv)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct arguments args;
    const struct command *command;
    int exit_code;

    if (front->n == 0) {
        if (arguments_option(front, "help"))
            return cmd_help(ctl, front);
        if (arguments_option(front, "version"))
            return cmd_version(ctl, front);
        return ctl_usage(ctl, "no command is given; 'xferctl help' tells what there is");
    }
    command = ctl_command_find(front->items[0]);
    if (!command)
        return ctl_usage(ctl, "unknown command '%s'; 'xferctl help' tells what there is",
                         front->items[0]);

    if (arguments_parse(&args, argc, argv, ctl_options, command->options, 0, &err) < 0) {
        exit_code = ctl_usage(ctl, "%s: %s", command->name, err.text);
    } else {
        exit_code = take_options(ctl, &args);
        if (!exit_code)
            exit_code = renew_output(ctl);
        if (!exit_code && arguments_option(front, "help"))
            exit_code = cmd_help(ctl, front);
        else if (!exit_code)
            exit_code = run_command(ctl, command, &args);
    }
    arguments_free(&args);
    return exit_code;
}

int main(int argc, char **argv)
{
    struct ctl ctl = {.timeout = -1, .deadline = INFINITY};
    struct xfer_error err = XFER_ERROR_INIT;
    struct arguments front = {0};
    int exit_code, used;

    fill_standard_descriptors();
    setlocale(LC_CTYPE, "");
    signal(SIGPIPE, SIG_IGN);
    if (renew_output(&ctl))
        return 1;

    if (argc > 0)
        argc--, argv++;
    used = arguments_parse(&front, argc, argv, ctl_options, NULL, 1, &err);
    if (used < 0) {
        exit_code = ctl_fail(&ctl, &err);
    } else {
        exit_code = take_options(&ctl, &front);
        if (!exit_code)
            exit_code = renew_output(&ctl);
        if (!exit_code)
            exit_code = dispatch(&ctl, &front, argc - used, argv + used);
    }
    arguments_free(&front);

    if (output_check(ctl.out, &err)) {
        output_message(ctl.out, "%s", err.text);
        exit_code = 1;
    }
    output_destroy(ctl.out);
    return exit_code;
}
