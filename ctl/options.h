/* SPDX-License-Identifier: MIT
 *
 * Command lines by table: options may stand before and after the arguments, "--" ends them. Nothing
 * is copied: all texts are those of argv.
 */
#ifndef XFER_CTL_OPTIONS_H
#define XFER_CTL_OPTIONS_H

#include <stddef.h>

#include "proto/error.h"

struct option_spec {
    const char *name;  /* without "--"; NULL ends a table */
    char letter;       /* short form, 0: none */
    const char *value; /* what its value is called in help; NULL: it takes none */
    const char *help;  /* one line */
};

struct given_option {
    const struct option_spec *spec;
    const char *value; /* "" where it takes none */
};

struct arguments {
    int n;
    const char **items; /* the arguments that are no options */
    size_t n_options;
    struct given_option *options; /* in the order in which they were given */
};

/* Parse argv[0..argc) by two tables (the second may be NULL). With first_only nothing after the
 * first argument is looked at. Returns how many of argv were used up; -1 with XFER_USAGE. */
int arguments_parse(struct arguments *args, int argc, char **argv, const struct option_spec *table,
                    const struct option_spec *second, int first_only, struct xfer_error *err);
void arguments_free(struct arguments *args); /* frees what it owns, not the struct */

/* The value of an option (the last one wins), "" for one that takes none; NULL when it was not
 * given. */
const char *arguments_option(const struct arguments *args, const char *name);

#endif
