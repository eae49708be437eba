/* SPDX-License-Identifier: MIT
 *
 * The value of one parameter: from JSON into its place in struct control_params, by its entry in
 * the table of methods. All bounds are checked here, before anything is kept.
 */
#include "proto/control_param.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/control_json.h"
#include "proto/text.h"

static bool has_nul(const char *s)
{
    return strchr(s, JSON_NUL_MARK) != NULL;
}

static int set_string(const char *name, char **target, const char *value, struct xfer_error *err)
{
    free(*target);
    *target = strdup(value);
    return *target ? 0 : error_set(err, XFER_NO_RESOURCES, "no memory for parameter \"%s\"", name);
}

/* The string of a parameter, 1 to max bytes of it; NULL with the error when it is anything else. */
static const char *string_of(const char *name, const cJSON *value, int64_t max,
                             struct xfer_error *err)
{
    const char *s = cJSON_GetStringValue(value);

    if (!s) {
        error_set(err, XFER_INVALID_PARAMS, "parameter \"%s\" must be a string", name);
        return NULL;
    }
    if (has_nul(s)) {
        error_set(err, XFER_INVALID_PARAMS, "parameter \"%s\" holds a NUL character", name);
        return NULL;
    }
    if (s[0] == '\0' || strlen(s) > (uint64_t)max) {
        error_set(err, XFER_INVALID_PARAMS, "parameter \"%s\" must have 1 to %" PRId64 " bytes",
                  name, max);
        return NULL;
    }
    return s;
}

/* The bytes of a string in base64: 1 to max of them in out, which has room for one more. */
static int bytes_of(const char *name, const cJSON *value, int64_t max, char *out,
                    struct xfer_error *err)
{
    const char *s = string_of(name, value, XFER_LINE_MAX, err);
    size_t len;

    if (!s)
        return -1;
    if (text_base64_decode(s, strlen(s), out, (size_t)max, &len) == -1)
        return error_set(err, XFER_INVALID_PARAMS,
                         "parameter \"%s\" must be base64 of at most %" PRId64 " bytes", name, max);
    if (memchr(out, '\0', len))
        return error_set(err, XFER_INVALID_PARAMS, "parameter \"%s\" holds a NUL byte", name);
    out[len] = '\0';
    return 0;
}

static int set_path(const struct param_spec *spec, const char *name, const cJSON *value, bool b64,
                    char **target, struct xfer_error *err)
{
    char path[XFER_PATH_SIZE];
    const char *s = path;

    if (b64) {
        if (bytes_of(name, value, spec->max, path, err) == -1)
            return -1;
    } else {
        s = string_of(name, value, spec->max, err);
        if (!s)
            return -1;
    }
    if (spec->absolute && s[0] != '/')
        return error_set(err, XFER_INVALID_PARAMS, "parameter \"%s\" must be an absolute path",
                         name);
    return set_string(name, target, s, err);
}

static int set_choice(const struct param_spec *spec, const cJSON *value, int *target,
                      struct xfer_error *err)
{
    const char *s = cJSON_GetStringValue(value);
    char all[256] = "";
    size_t len = 0;

    for (int i = 0; spec->choices[i]; i++) {
        if (s && strcmp(s, spec->choices[i]) == 0) {
            *target = i;
            return 0;
        }
        int n =
            snprintf(all + len, sizeof(all) - len, "%s%s", i == 0 ? "" : ", ", spec->choices[i]);
        if (n > 0 && (size_t)n < sizeof(all) - len)
            len += (size_t)n;
    }
    return error_set(err, XFER_INVALID_PARAMS, "parameter \"%s\" must be one of: %s", spec->name,
                     all);
}

static int set_list(const struct param_spec *spec, const cJSON *value, uint32_t *target,
                    struct xfer_error *err)
{
    const char *s = string_of(spec->name, value, spec->max, err);

    return s ? preserve_parse(s, target, err) : -1;
}

/* left: bytes that may still come. NULL with the error. */
static char *strings_item(const char *name, const cJSON *item, bool b64, int64_t left,
                          struct xfer_error *err)
{
    char bytes[XFER_FILTER_SIZE + 1];
    const char *s = bytes;

    if (left > XFER_FILTER_SIZE)
        left = XFER_FILTER_SIZE;
    if (left < 1) {
        error_set(err, XFER_INVALID_PARAMS, "parameter \"%s\" has too many bytes", name);
        return NULL;
    }
    if (b64 ? bytes_of(name, item, left, bytes, err) == -1
            : !(s = string_of(name, item, left, err)))
        return NULL;
    char *copy = strdup(s);
    if (!copy)
        error_set(err, XFER_NO_RESOURCES, "no memory for parameter \"%s\"", name);
    return copy;
}

static int set_strings(const struct param_spec *spec, const char *name, const cJSON *value,
                       bool b64, struct control_strings *target, struct xfer_error *err)
{
    int64_t left = spec->max;
    const cJSON *item;

    if (!cJSON_IsArray(value))
        return error_set(err, XFER_INVALID_PARAMS, "parameter \"%s\" must be an array of strings",
                         name);
    int n = cJSON_GetArraySize(value);
    if (n > spec->max_items)
        return error_set(err, XFER_INVALID_PARAMS,
                         "parameter \"%s\" has more than %" PRId64 " strings", name,
                         spec->max_items);
    if (n < spec->min)
        return error_set(err, XFER_INVALID_PARAMS, "parameter \"%s\" is an empty list", name);
    if (n == 0)
        return 0;
    target->list = calloc((size_t)n, sizeof(char *));
    if (!target->list)
        return error_set(err, XFER_NO_RESOURCES, "no memory for parameter \"%s\"", name);
    cJSON_ArrayForEach(item, value)
    {
        char *s = strings_item(name, item, b64, left - 1, err);

        if (!s)
            return -1;
        target->list[target->n++] = s;
        left -= (int64_t)strlen(s) + 1;
    }
    return 0;
}

int param_decode(const struct param_spec *spec, const cJSON *value, void *target,
                 struct xfer_error *err)
{
    int64_t n;

    switch (spec->type) {
    case PARAM_BOOL:
        if (!cJSON_IsBool(value))
            return error_set(err, XFER_INVALID_PARAMS, "parameter \"%s\" must be true or false",
                             spec->name);
        *(bool *)target = cJSON_IsTrue(value);
        return 0;
    case PARAM_INTEGER:
        if (!json_integer(value, &n) || n < spec->min || n > spec->max)
            return error_set(err, XFER_INVALID_PARAMS,
                             "parameter \"%s\" must be an integer from %" PRId64 " to %" PRId64,
                             spec->name, spec->min, spec->max);
        *(int64_t *)target = n;
        return 0;
    case PARAM_SECONDS:
        if (!cJSON_IsNumber(value) ||
            !(value->valuedouble >= 0 && value->valuedouble <= (double)spec->max))
            return error_set(err, XFER_INVALID_PARAMS,
                             "parameter \"%s\" must be a number from 0 to %" PRId64, spec->name,
                             spec->max);
        *(double *)target = value->valuedouble;
        return 0;
    case PARAM_STRING: {
        const char *s = string_of(spec->name, value, spec->max, err);

        return s ? set_string(spec->name, target, s, err) : -1;
    }
    case PARAM_PATH:
        return set_path(spec, value->string, value, strcmp(value->string, spec->name) != 0, target,
                        err);
    case PARAM_CHOICE:
        return set_choice(spec, value, target, err);
    case PARAM_LIST:
        return set_list(spec, value, target, err);
    case PARAM_STRINGS:
        return set_strings(spec, value->string, value, strcmp(value->string, spec->name) != 0,
                           target, err);
    }
    return error_set(err, XFER_INTERNAL, "parameter \"%s\" has no type", spec->name);
}
