/* SPDX-License-Identifier: MIT
 *
 * Commands that need no daemon: socket, version, help.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/locate.h"
#include "proto/text.h"

int cmd_socket(struct ctl *ctl, const struct arguments *args)
{
    struct xfer_error err = XFER_ERROR_INIT;
    char path[XFER_PATH_SIZE];
    char *json;
    bool found;

    (void)args;
    if (locate_socket(ctl->socket, path, &found, &err))
        return ctl_fail(ctl, &err);
    if (!ctl->json) {
        output_text(ctl->out, path);
        return 0;
    }
    if (text_is_utf8(path, strlen(path))) {
        json = output_json_string(path);
        if (json)
            output_line(ctl->out, "{\"socket\":%s}", json);
    } else {
        json = text_base64_encode(path, strlen(path));
        if (json)
            output_line(ctl->out, "{\"socket_b64\":\"%s\"}", json);
    }
    free(json);
    return json ? 0 : 1;
}

int cmd_version(struct ctl *ctl, const struct arguments *args)
{
    (void)args;
    if (ctl->json)
        output_line(ctl->out, "{\"version\":\"%s\"}", PACKAGE_VERSION);
    else
        output_line(ctl->out, "xferctl %s", PACKAGE_VERSION);
    return 0;
}

static void print_options(struct output *out, const struct option_spec *table)
{
    for (const struct option_spec *o = table; o && o->name; o++) {
        char left[64], letter[8] = "    ";

        if (o->letter)
            snprintf(letter, sizeof(letter), "-%c, ", o->letter);
        snprintf(left, sizeof(left), "%s--%s%s%s", letter, o->name, o->value ? " " : "",
                 o->value ? o->value : "");
        output_line(out, "  %-28s %s", left, o->help);
    }
}

static void print_overview(struct output *out)
{
    output_line(out, "usage: xferctl [OPTION]... COMMAND [ARGUMENT]...");
    output_line(out, "%s", "");
    for (const struct command *c = ctl_commands; c->name; c++) {
        char left[64];

        snprintf(left, sizeof(left), "%s %s", c->name, c->arguments);
        output_line(out, "  %-28s %s", left, c->summary);
    }
    output_line(out, "%s", "");
    print_options(out, ctl_options);
    output_line(out, "%s", "");
    output_line(out,
                "'xferctl help COMMAND' tells the options of a command; all is in xferctl(1).");
}

int cmd_help(struct ctl *ctl, const struct arguments *args)
{
    const struct command *command;

    if (args->n == 0) {
        print_overview(ctl->out);
        return 0;
    }
    command = ctl_command_find(args->items[0]);
    if (!command)
        return ctl_usage(ctl, "unknown command '%s'; 'xferctl help' tells what there is",
                         args->items[0]);

    output_line(ctl->out, "usage: xferctl %s [OPTION]...%s%s", command->name,
                *command->arguments ? " " : "", command->arguments);
    output_line(ctl->out, "%s", "");
    output_line(ctl->out, "%s: %s", command->name, command->summary);
    output_line(ctl->out, "%s", "");
    if (command->options) {
        print_options(ctl->out, command->options);
        output_line(ctl->out, "%s", "");
    }
    print_options(ctl->out, ctl_options);
    return 0;
}
