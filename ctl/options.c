/* SPDX-License-Identifier: MIT
 *
 * Command lines by table. Written for xferctl because its options may stand on both sides of the
 * command, and which ones exist depends on the command.
 */
#include "ctl/options.h"

#include <stdlib.h>
#include <string.h>

struct parser {
    struct arguments *args;
    int argc;
    char **argv;
    int at; /* next of argv */
    const struct option_spec *tables[2];
};

static const struct option_spec *find_long(const struct parser *p, const char *name, size_t len)
{
    for (int t = 0; t < 2; t++)
        for (const struct option_spec *o = p->tables[t]; o && o->name; o++)
            if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
                return o;
    return NULL;
}

static const struct option_spec *find_letter(const struct parser *p, char letter)
{
    for (int t = 0; t < 2; t++)
        for (const struct option_spec *o = p->tables[t]; o && o->name; o++)
            if (o->letter && o->letter == letter)
                return o;
    return NULL;
}

static void give(struct parser *p, const struct option_spec *spec, const char *value)
{
    p->args->options[p->args->n_options++] = (struct given_option){spec, value ? value : ""};
}

static int parse_long(struct parser *p, const char *text, struct xfer_error *err)
{
    const char *equals = strchr(text, '=');
    size_t len = equals ? (size_t)(equals - text) : strlen(text);
    const struct option_spec *spec = find_long(p, text, len);

    if (!spec)
        return error_set(err, XFER_USAGE, "unknown option '--%.*s'", (int)len, text);
    if (!spec->value && equals)
        return error_set(err, XFER_USAGE, "option '--%s' takes no value", spec->name);
    if (spec->value && !equals && p->at >= p->argc)
        return error_set(err, XFER_USAGE, "option '--%s' needs a value (%s)", spec->name,
                         spec->value);
    if (spec->value)
        give(p, spec, equals ? equals + 1 : p->argv[p->at++]);
    else
        give(p, spec, NULL);
    return 0;
}

/* "-q", "-qs PATH", "-sPATH" */
static int parse_letters(struct parser *p, const char *text, struct xfer_error *err)
{
    for (; *text; text++) {
        const struct option_spec *spec = find_letter(p, *text);

        if (!spec)
            return error_set(err, XFER_USAGE, "unknown option '-%c'", *text);
        if (!spec->value) {
            give(p, spec, NULL);
            continue;
        }
        if (text[1])
            give(p, spec, text + 1);
        else if (p->at < p->argc)
            give(p, spec, p->argv[p->at++]);
        else
            return error_set(err, XFER_USAGE, "option '-%c' needs a value (%s)", *text,
                             spec->value);
        return 0;
    }
    return 0;
}

int arguments_parse(struct arguments *args, int argc, char **argv, const struct option_spec *table,
                    const struct option_spec *second, int first_only, struct xfer_error *err)
{
    struct parser p = {args, argc, argv, 0, {table, second}};
    int ended = 0; /* "--" was seen */
    size_t letters = 1;

    /* Each letter of a cluster may be an option, so their number is bounded by the text. */
    for (int i = 0; i < argc; i++)
        letters += strlen(argv[i]) + 1;
    *args = (struct arguments){0};
    args->items = calloc((size_t)argc + 1, sizeof(*args->items));
    args->options = calloc(letters, sizeof(*args->options));
    if (!args->items || !args->options)
        return error_set(err, XFER_NO_RESOURCES, "no memory");

    while (p.at < argc) {
        const char *text = argv[p.at++];

        if (ended || text[0] != '-' || text[1] == '\0') {
            args->items[args->n++] = text;
            if (first_only)
                break;
        } else if (strcmp(text, "--") == 0) {
            ended = 1;
        } else if (text[1] == '-') {
            if (parse_long(&p, text + 2, err))
                return -1;
        } else if (parse_letters(&p, text + 1, err)) {
            return -1;
        }
    }
    return p.at;
}

void arguments_free(struct arguments *args)
{
    free(args->items);
    free(args->options);
    *args = (struct arguments){0};
}

const char *arguments_option(const struct arguments *args, const char *name)
{
    for (size_t i = args->n_options; i > 0; i--)
        if (strcmp(args->options[i - 1].spec->name, name) == 0)
            return args->options[i - 1].value;
    return NULL;
}
