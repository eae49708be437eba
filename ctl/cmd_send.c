/* SPDX-License-Identifier: MIT
 *
 * xferctl send: one job for each source. All that can be wrong with the command line is found
 * before the first request is made.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/file_list.h"
#include "ctl/follow.h"
#include "ctl/notes.h"
#include "ctl/session.h"
#include "proto/filter.h"
#include "proto/relpath.h"
#include "proto/text.h"
#include "proto/units.h"

const struct option_spec cmd_send_options[] = {
    {"to", 0, "DEST", "name under the receiving root; with '/' at its end, a directory there"},
    {"no-wait", 0, NULL, "print the number of the job, don't wait for its end"},
    {"overwrite", 0, "MODE",
     "of what is there: replace all (the default), never any, only what has changed, or is newer"},
    {"checksum", 0, NULL, "what has changed is told by content, not by size and time"},
    {"preserve", 0, "LIST",
     "mode,times (the default), owner, xattr, acl, links, sparse; all, none; +X adds"},
    {"include", 0, "PATTERN", "send what matches, whatever a later --exclude says"},
    {"exclude", 0, "PATTERN", "leave out what matches, unless an earlier --include does"},
    {"files-from", 0, "FILE",
     "send only what this lists of the one SOURCE, a path a line or ended by NUL; -: from stdin"},
    {"one-file-system", 'x', NULL, "leave out what is mounted in a directory"},
    {"dry-run", 'n', NULL, "tell what would be done, and change nothing"},
    {"sync", 0, "MODE",
     "when it is safe on disk: file, batch or none (default: as the receiver has it)"},
    {"priority", 0, "N", "-100 to 100, higher goes first (default: 0)"},
    {"bwlimit", 0, "RATE", "send at most so many bytes a second (10M, 500KB; 0, the default: any)"},
    {"retries", 0, "N", "how often a failed attempt is repeated where that may help"},
    {"key", 0, "KEY", "your own name for this request: given again, it is the same job"},
    {"fail-fast", 0, NULL, "fail at once when the other rank is down"},
    {"cancel-on-interrupt", 0, NULL, "an interrupt cancels the job, too"},
    {NULL},
};

static int parse_number(const char *text, long min, long max, int64_t *number)
{
    char *end;
    long value;

    errno = 0;
    value = strtol(text, &end, 10);
    if (end == text || *end || errno || value < min || value > max ||
        strspn(text, "+-0123456789") != strlen(text))
        return -1;
    *number = value;
    return 0;
}

/* What means something else than a pattern to rsync's options of these names. */
static bool is_rule(const char *pattern)
{
    return strcmp(pattern, "!") == 0 ||
           ((pattern[0] == '+' || pattern[0] == '-') && pattern[1] == ' ');
}

/* --include and --exclude in their order, as rules. */
static int make_filter(const struct arguments *args, struct control_strings *filter,
                       struct xfer_error *err)
{
    struct filter *checked;

    for (size_t i = 0; i < args->n_options; i++) {
        const struct given_option *given = &args->options[i];
        bool include = strcmp(given->spec->name, "include") == 0;
        char **list, *rule;

        if (!include && strcmp(given->spec->name, "exclude") != 0)
            continue;
        if (is_rule(given->value))
            return error_set(err, XFER_USAGE,
                             "--%s is a pattern, not a rule: '%s' (in rsync it would be one)",
                             given->spec->name, given->value);
        list = realloc(filter->list, (filter->n + 1) * sizeof(*list));
        if (!list)
            return error_set(err, XFER_NO_RESOURCES, "no memory");
        filter->list = list;
        if (asprintf(&rule, "%c %s", include ? '+' : '-', given->value) < 0)
            return error_set(err, XFER_NO_RESOURCES, "no memory");
        filter->list[filter->n++] = rule;
    }
    checked = filter_create((const char *const *)filter->list, filter->n, err);
    if (!checked && err->code == XFER_INVALID_PARAMS)
        err->code = XFER_USAGE;
    if (!checked)
        return -1;
    filter_destroy(checked);
    return 0;
}

/* 0, or the exit code of a usage error that was told. dest is borrowed from args. */
static int parse_options(struct ctl *ctl, const struct arguments *args,
                         struct control_params *params, const char **dest)
{
    struct xfer_error err = XFER_ERROR_INIT;
    const char *value;

    if ((value = arguments_option(args, "overwrite"))) {
        params->overwrite = overwrite_mode_by_name(value);
        if (params->overwrite < 0)
            return ctl_usage(ctl, "--overwrite is replace, never, changed or newer, not '%s'",
                             value);
    }
    params->checksum = arguments_option(args, "checksum") != NULL;
    if (params->checksum && params->overwrite != OVERWRITE_CHANGED)
        return ctl_usage(ctl, "--checksum goes with --overwrite=changed");
    params->one_file_system = arguments_option(args, "one-file-system") != NULL;
    params->dry_run = arguments_option(args, "dry-run") != NULL;
    if ((value = arguments_option(args, "preserve")) &&
        preserve_parse(value, &params->preserve, &err))
        return ctl_usage(ctl, "--%s", err.text); /* which names it */
    if (make_filter(args, &params->filter, &err))
        return ctl_fail(ctl, &err);
    if ((value = arguments_option(args, "sync"))) {
        params->sync = sync_mode_by_name(value);
        if (params->sync < 0)
            return ctl_usage(ctl, "--sync is file, batch or none, not '%s'", value);
    }
    if ((value = arguments_option(args, "priority")) &&
        parse_number(value, -XFER_PRIORITY_MAX, XFER_PRIORITY_MAX, &params->priority))
        return ctl_usage(ctl, "--priority is a whole number from -%d to %d, not '%s'",
                         XFER_PRIORITY_MAX, XFER_PRIORITY_MAX, value);
    if ((value = arguments_option(args, "bwlimit")) &&
        units_parse_size(value, &params->bandwidth, &err))
        return ctl_usage(ctl, "--bwlimit: %s", err.text);
    if ((value = arguments_option(args, "retries")) &&
        parse_number(value, 0, XFER_RETRIES_MAX, &params->retries))
        return ctl_usage(ctl, "--retries is a whole number from 0 to %d, not '%s'",
                         XFER_RETRIES_MAX, value);
    if ((value = arguments_option(args, "key"))) {
        if (*value == '\0' || strlen(value) > XFER_KEY_MAX || !text_is_utf8(value, strlen(value)))
            return ctl_usage(ctl, "--key is a text of 1 to %d bytes", XFER_KEY_MAX);
        if (args->n > 1)
            return ctl_usage(ctl, "--key is for one source: each job has a key of its own");
    }
    if (arguments_option(args, "files-from") && args->n != 1)
        return ctl_usage(ctl, "--files-from is for one source: a directory, to which its paths are "
                              "relative");
    *dest = arguments_option(args, "to");
    if (*dest && **dest == '\0')
        return ctl_usage(ctl, "--to is empty");
    if (*dest && args->n > 1 && (*dest)[strlen(*dest) - 1] != '/')
        return ctl_usage(ctl, "--to '%s' must end in '/' where several sources are sent", *dest);
    return 0;
}

/* The absolute path of a source, links not resolved, without '/' at its end. NULL after
 * error_set(). */
static char *absolute(const char *source, const char *cwd, struct xfer_error *err)
{
    char path[XFER_PATH_SIZE];
    char *copy;
    size_t len;
    int n;

    if (*source == '\0') {
        error_set(err, XFER_USAGE, "a source is empty");
        return NULL;
    }
    if (*source != '/' && (!cwd || *cwd != '/')) {
        error_set(err, XFER_USAGE, "the current directory cannot be told: name '%s' from '/' on",
                  source);
        return NULL;
    }
    if (*source == '/')
        n = snprintf(path, sizeof(path), "%s", source);
    else
        n = snprintf(path, sizeof(path), "%s/%s", strcmp(cwd, "/") ? cwd : "", source);
    len = n > 0 ? (size_t)n : 0;
    if (len >= sizeof(path)) {
        error_set(err, XFER_USAGE, "the path of a source is too long (at most %d bytes)",
                  XFER_PATH_SIZE - 1);
        return NULL;
    }
    while (len > 1 && path[len - 1] == '/')
        path[--len] = '\0';
    copy = strdup(path);
    if (!copy)
        error_set(err, XFER_NO_RESOURCES, "no memory");
    return copy;
}

struct target {
    char *dest;
    const char *source;
};

static int compare_targets(const void *a, const void *b)
{
    return strcmp(((const struct target *)a)->dest, ((const struct target *)b)->dest);
}

/* Where each would arrive: may that be, and no two at one place? */
static int check_targets(const struct follow_item *items, size_t n, const char *dest,
                         struct xfer_error *err)
{
    struct target *targets = calloc(n, sizeof(*targets));
    int rc = targets ? 0 : error_set(err, XFER_NO_RESOURCES, "no memory");

    for (size_t i = 0; rc == 0 && i < n; i++) {
        char path[XFER_PATH_SIZE];

        if (relpath_resolve(items[i].source, dest, path, err)) {
            error_prefix(err, "%s", items[i].source);
            err->code = XFER_USAGE; /* found in the command line: exit 2 whatever it is */
            rc = -1;
        } else {
            targets[i] = (struct target){strdup(path), items[i].source};
            if (!targets[i].dest)
                rc = error_set(err, XFER_NO_RESOURCES, "no memory");
        }
    }
    if (rc == 0)
        qsort(targets, n, sizeof(*targets), compare_targets);
    for (size_t i = 1; rc == 0 && i < n; i++)
        if (strcmp(targets[i - 1].dest, targets[i].dest) == 0)
            rc = error_set(err, XFER_USAGE, "'%s' and '%s' would both become '%s'",
                           targets[i - 1].source, targets[i].source, targets[i].dest);
    for (size_t i = 0; targets && i < n; i++)
        free(targets[i].dest);
    free(targets);
    return rc;
}

/* The user's key or, without one, a key that is nobody else's: a submit whose reply was lost can be
 * repeated either way. */
static int make_key(const char *given, char key[FOLLOW_KEY_SIZE], struct xfer_error *err)
{
    unsigned char random[16];
    size_t len;

    if (given) {
        snprintf(key, FOLLOW_KEY_SIZE, "%s", given);
        return 0;
    }
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return error_set_errno(err, errno, "getrandom");
    len = (size_t)sprintf(key, "xferctl-");
    for (size_t i = 0; i < sizeof(random); i++)
        len += (size_t)sprintf(key + len, "%02x", random[i]);
    return 0;
}

static int make_items(const struct arguments *args, struct follow_item *items, const char *dest,
                      struct xfer_error *err)
{
    const char *key = arguments_option(args, "key");
    char *cwd = getcwd(NULL, 0);
    int rc = 0;

    for (int i = 0; rc == 0 && i < args->n; i++) {
        items[i].source = absolute(args->items[i], cwd, err);
        if (!items[i].source || make_key(key, items[i].key, err))
            rc = -1;
    }
    free(cwd);
    return rc ? rc : check_targets(items, (size_t)args->n, dest, err);
}

/* As ls does it, before what belongs to one of several. */
static void print_heading(struct output *out, const char *source, bool again)
{
    bool escaped = false;
    char *name = output_name(out, source, &escaped);

    if (name)
        output_line(out, "%s%s%s:", again ? "\n" : "", escaped ? "\\" : "", name);
    free(name);
}

/* Of dry runs that have ended. The exit code is that of the jobs unless it was 0. */
static int print_plans(struct ctl *ctl, const struct follow_item *items, size_t n, int exit_code)
{
    int failed = 0;
    struct session *session = ctl_session(ctl, &failed);

    for (size_t i = 0; session && !failed && i < n; i++) {
        if (items[i].step != FOLLOW_ENDED || items[i].job <= 0)
            continue;
        if (n > 1 && !ctl->json)
            print_heading(ctl->out, items[i].source, i > 0);
        failed = notes_print_plan(ctl, session, items[i].job);
    }
    session_destroy(session);
    return exit_code ? exit_code : failed;
}

static int take_list(const struct arguments *args, struct follow_options *options,
                     struct xfer_error *err)
{
    const char *name = arguments_option(args, "files-from");

    if (!name)
        return 0;
    options->list_fd = file_list_open(name, err);
    options->list = options->list_fd >= 0;
    return options->list ? 0 : -1;
}

int cmd_send(struct ctl *ctl, const struct arguments *args)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_params params;
    struct follow_options options = {
        .purpose = arguments_option(args, "no-wait") ? FOLLOW_FOR_ID : FOLLOW_FOR_RESULT,
        .submit = &params,
        .fail_fast = arguments_option(args, "fail-fast"),
        .cancel_on_interrupt = arguments_option(args, "cancel-on-interrupt"),
    };
    struct follow_item *items;
    const char *dest = NULL;
    int exit_code;

    control_params_init(&params);
    exit_code = parse_options(ctl, args, &params, &dest);
    if (exit_code) {
        control_strings_free(&params.filter);
        return exit_code;
    }

    items = calloc((size_t)args->n, sizeof(*items));
    if (!items)
        error_set(&err, XFER_NO_RESOURCES, "no memory");
    if (!items || make_items(args, items, dest, &err) || take_list(args, &options, &err)) {
        exit_code = ctl_fail(ctl, &err);
    } else {
        params.dest = (char *)dest; /* borrowed: params is not freed as a whole */
        exit_code = follow_run(ctl, &options, items, (size_t)args->n);
        if (params.dry_run && options.purpose == FOLLOW_FOR_RESULT)
            exit_code = print_plans(ctl, items, (size_t)args->n, exit_code);
    }
    if (options.list)
        close(options.list_fd);
    control_strings_free(&params.filter);
    follow_items_free(items, (size_t)args->n);
    return exit_code;
}
