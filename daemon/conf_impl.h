/* SPDX-License-Identifier: MIT
 *
 * The configuration, for the files that make it up: conf.c (the table of keys), conf_value.c (text
 * to value and back), conf_file.c (the INI file), conf_check.c (what only shows when all is read).
 */
#ifndef XFER_DAEMON_CONF_IMPL_H
#define XFER_DAEMON_CONF_IMPL_H

#include "daemon/conf.h"

#define CONF_KEYS_MAX 64

enum conf_type {
    TYPE_PATH,    /* text, an absolute path */
    TYPE_PROGRAM, /* the same, or empty */
    TYPE_PATHS,   /* absolute paths separated by ':', or empty */
    TYPE_TEXT,    /* anything that fits */
    TYPE_MODE,    /* octal, int */
    TYPE_SOURCE,  /* the same, or "source" as -1 */
    TYPE_COUNT,   /* int64_t */
    TYPE_SIZE,    /* int64_t, with units */
    TYPE_TIME,    /* double, seconds, with units */
    TYPE_LEVEL,   /* enum log_level, int */
    TYPE_CHOICE,  /* one of choices, as its index, int */
    TYPE_BOOL,    /* yes or no, bool */
};

/* When does a change in the file count? */
enum conf_effect { AT_START, LIVE };

struct conf_key {
    const char *section, *name;
    enum conf_type type;
    size_t offset, size;
    int64_t min, max; /* of numbers; the bits allowed in a mode */
    const char *help;
    enum conf_effect effect;
    const char *const *choices; /* ended by NULL */
};

/* The i-th of conf_keys(). */
const struct conf_key *conf_key(size_t i);
/* Which one is it? */
size_t conf_key_index(const struct conf_key *key);
/* The key, or NULL with an error. The section need not end in a NUL. */
const struct conf_key *conf_find_key(const char *section, size_t section_len, const char *name,
                                     struct xfer_error *err);

/* XFER_CONFIG where the text is no value of that key. */
int conf_set_value(struct conf *conf, const struct conf_key *key, const char *value,
                   struct xfer_error *err);
/* As it would be written in a file. */
void conf_format_value(const struct conf *conf, const struct conf_key *key, char *out, size_t size);

#endif
