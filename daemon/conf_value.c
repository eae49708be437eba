/* SPDX-License-Identifier: MIT
 *
 * What stands in a file or after -o, to what is meant by it, and back.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/conf_impl.h"
#include "daemon/log.h"
#include "proto/units.h"

static int parse_mode(const char *value, const struct conf_key *key, int *mode,
                      struct xfer_error *err)
{
    char *end;
    unsigned long n;

    errno = 0;
    n = strtoul(value, &end, 8);
    if (value[0] < '0' || value[0] > '7' || *end != '\0' || errno != 0)
        return error_set(err, XFER_CONFIG, "\"%s\" is no octal number", value);
    if ((n & ~(unsigned long)key->max) != 0)
        return error_set(err, XFER_CONFIG, "%s has bits beyond %04lo", value,
                         (unsigned long)key->max);
    *mode = (int)n;
    return 0;
}

static int parse_count(const char *value, int64_t *number, struct xfer_error *err)
{
    char *end;

    errno = 0;
    *number = strtoll(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || errno != 0)
        return error_set(err, XFER_CONFIG, "\"%s\" is no whole number", value);
    return 0;
}

static int parse_number(const char *value, const struct conf_key *key, int64_t *number,
                        struct xfer_error *err)
{
    int64_t n;

    if (key->type == TYPE_SIZE) {
        if (units_parse_size(value, &n, err) < 0) {
            err->code = XFER_CONFIG;
            return -1;
        }
    } else if (parse_count(value, &n, err) < 0) {
        return -1;
    }
    if (n < key->min || n > key->max)
        return error_set(err, XFER_CONFIG, "%s is outside of %lld to %lld", value,
                         (long long)key->min, (long long)key->max);
    *number = n;
    return 0;
}

static int parse_time(const char *value, const struct conf_key *key, double *seconds,
                      struct xfer_error *err)
{
    double n;

    if (units_parse_duration(value, &n, err) < 0) {
        err->code = XFER_CONFIG;
        return -1;
    }
    if (n < (double)key->min || n > (double)key->max)
        return error_set(err, XFER_CONFIG, "%s is outside of %lld to %lld seconds", value,
                         (long long)key->min, (long long)key->max);
    *seconds = n;
    return 0;
}

static int parse_choice(const char *value, const struct conf_key *key, int *choice,
                        struct xfer_error *err)
{
    char all[128] = "";
    size_t len = 0;

    for (int i = 0; key->choices[i] != NULL; i++) {
        if (strcmp(value, key->choices[i]) == 0) {
            *choice = i;
            return 0;
        }
        len += (size_t)snprintf(all + len, sizeof all - len, "%s%s", i > 0 ? ", " : "",
                                key->choices[i]);
        if (len >= sizeof all)
            len = sizeof all - 1;
    }
    return error_set(err, XFER_CONFIG, "\"%s\" is none of %s", value, all);
}

static int parse_bool(const char *value, bool *on, struct xfer_error *err)
{
    *on = strcmp(value, "yes") == 0;
    if (!*on && strcmp(value, "no") != 0)
        return error_set(err, XFER_CONFIG, "\"%s\" is neither yes nor no", value);
    return 0;
}

static int check_paths(const char *value, struct xfer_error *err)
{
    for (const char *path = value; *value != '\0'; path++) {
        size_t len = strcspn(path, ":");

        if (path[0] != '/')
            return error_set(err, XFER_CONFIG, "\"%.*s\" is no absolute path", (int)len, path);
        path += len;
        if (*path == '\0')
            break;
    }
    return 0;
}

int conf_set_value(struct conf *conf, const struct conf_key *key, const char *value,
                   struct xfer_error *err)
{
    char *place = (char *)conf + key->offset;
    int level;

    switch (key->type) {
    case TYPE_PATH:
    case TYPE_PROGRAM:
        if (value[0] != '/' && (key->type == TYPE_PATH || value[0] != '\0'))
            return error_set(err, XFER_CONFIG, "\"%s\" is no absolute path", value);
        /* fallthrough */
    case TYPE_PATHS:
        if (key->type == TYPE_PATHS && check_paths(value, err) < 0)
            return -1;
        /* fallthrough */
    case TYPE_TEXT:
        if (strlen(value) >= key->size)
            return error_set(err, XFER_CONFIG, "longer than %zu bytes", key->size - 1);
        memset(place, 0, key->size);
        memcpy(place, value, strlen(value));
        return 0;
    case TYPE_SOURCE:
        if (strcmp(value, "source") == 0) {
            *(int *)(void *)place = -1;
            return 0;
        }
        return parse_mode(value, key, (int *)(void *)place, err);
    case TYPE_MODE:
        return parse_mode(value, key, (int *)(void *)place, err);
    case TYPE_COUNT:
    case TYPE_SIZE:
        return parse_number(value, key, (int64_t *)(void *)place, err);
    case TYPE_TIME:
        return parse_time(value, key, (double *)(void *)place, err);
    case TYPE_CHOICE:
        return parse_choice(value, key, (int *)(void *)place, err);
    case TYPE_BOOL:
        return parse_bool(value, (bool *)(void *)place, err);
    case TYPE_LEVEL:
        level = log_level_by_name(value);
        if (level < 0)
            return error_set(err, XFER_CONFIG,
                             "\"%s\" is none of error, warning, notice, info, debug", value);
        *(int *)(void *)place = level;
        return 0;
    }
    return error_set(err, XFER_INTERNAL, "a key without a type");
}

/* The value as it would be written in a file. */
void conf_format_value(const struct conf *conf, const struct conf_key *key, char *out, size_t size)
{
    const char *place = (const char *)conf + key->offset;

    switch (key->type) {
    case TYPE_PATH:
    case TYPE_PROGRAM:
    case TYPE_PATHS:
    case TYPE_TEXT:
        snprintf(out, size, "%s", place);
        return;
    case TYPE_SOURCE:
        if (*(const int *)(const void *)place < 0) {
            snprintf(out, size, "source");
            return;
        }
        /* fallthrough */
    case TYPE_MODE:
        snprintf(out, size, "%04o", *(const unsigned *)(const void *)place);
        return;
    case TYPE_COUNT:
    case TYPE_SIZE:
        snprintf(out, size, "%lld", (long long)*(const int64_t *)(const void *)place);
        return;
    case TYPE_TIME:
        snprintf(out, size, "%.3fs", *(const double *)(const void *)place);
        return;
    case TYPE_CHOICE:
        snprintf(out, size, "%s", key->choices[*(const int *)(const void *)place]);
        return;
    case TYPE_BOOL:
        snprintf(out, size, "%s", *(const bool *)(const void *)place ? "yes" : "no");
        return;
    case TYPE_LEVEL:
        snprintf(out, size, "%s", log_level_name(*(const int *)(const void *)place));
        return;
    }
}
