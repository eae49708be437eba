/* SPDX-License-Identifier: MIT
 *
 * Between the JSON library and the codecs. The library prints 1e15 as 1e+15 and depends on the
 * locale where it prints fractions: numbers are therefore written here.
 */
#include "proto/control_json.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/text.h"

cJSON *json_parse(const char *text, size_t len, const struct json_facts *facts)
{
    if (!facts->has_nul)
        return cJSON_ParseWithLength(text, len);

    char *marked = malloc(len);
    if (!marked)
        return NULL;
    memcpy(marked, text, len);
    json_mark_nul(marked, len);
    cJSON *tree = cJSON_ParseWithLength(marked, len);
    free(marked);
    return tree;
}

cJSON *json_parse_reply(const char *text, size_t len, struct xfer_error *err)
{
    struct json_facts facts;

    if (json_scan(text, len, &facts, err) == -1) {
        err->code = XFER_PROTOCOL;
        error_prefix(err, "what the daemon sent");
        return NULL;
    }
    if (facts.has_nul) {
        error_set(err, XFER_PROTOCOL, "what the daemon sent holds a NUL character");
        return NULL;
    }
    cJSON *tree = json_parse(text, len, &facts);
    if (!tree)
        error_set(err, XFER_NO_RESOURCES, "no memory for what the daemon sent");
    return tree;
}

char *json_finish(cJSON *tree, bool ok)
{
    char *text = ok && tree ? cJSON_PrintUnformatted(tree) : NULL;

    cJSON_Delete(tree);
    return text;
}

bool json_integer(const cJSON *item, int64_t *value)
{
    if (!cJSON_IsNumber(item))
        return false;

    double d = item->valuedouble;
    if (!(d >= -(double)XFER_JSON_INTEGER_MAX && d <= (double)XFER_JSON_INTEGER_MAX))
        return false;
    *value = (int64_t)d;
    return (double)*value == d;
}

bool json_add_integer(cJSON *object, const char *name, int64_t value)
{
    char text[32];

    if (value > XFER_JSON_INTEGER_MAX)
        value = XFER_JSON_INTEGER_MAX;
    if (value < -XFER_JSON_INTEGER_MAX)
        value = -XFER_JSON_INTEGER_MAX;
    snprintf(text, sizeof(text), "%" PRId64, value);
    return cJSON_AddRawToObject(object, name, text) != NULL;
}

/* Beyond this there is no room for six decimals in an integer, nor any use for them. */
#define FRACTIONS_BELOW 1e12

bool json_add_number(cJSON *object, const char *name, double value)
{
    char text[48];

    if (!isfinite(value))
        value = 0;

    double size = value < 0 ? -value : value;
    if (size >= FRACTIONS_BELOW) {
        bool most = size >= (double)XFER_JSON_INTEGER_MAX;
        int64_t whole = most ? XFER_JSON_INTEGER_MAX : (int64_t)size;

        return json_add_integer(object, name, value < 0 ? -whole : whole);
    }

    uint64_t millionths = (uint64_t)(size * 1e6 + 0.5);
    int n = snprintf(text, sizeof(text), "%s%" PRIu64 ".%06" PRIu64,
                     value < 0 && millionths > 0 ? "-" : "", millionths / 1000000,
                     millionths % 1000000);
    while (text[n - 1] == '0')
        text[--n] = '\0';
    if (text[n - 1] == '.')
        text[--n] = '\0';
    return cJSON_AddRawToObject(object, name, text) != NULL;
}

bool json_add_text(cJSON *object, const char *name, const char *text)
{
    if (!text)
        return cJSON_AddNullToObject(object, name) != NULL;
    if (text_is_utf8(text, strlen(text)))
        return cJSON_AddStringToObject(object, name, text) != NULL;

    char *clean = strdup(text);
    if (!clean)
        return false;
    error_clean(clean);
    bool ok = cJSON_AddStringToObject(object, name, clean) != NULL;
    free(clean);
    return ok;
}

static void twin_name(char out[64], const char *name)
{
    snprintf(out, 64, "%s_b64", name);
}

bool json_add_path(cJSON *object, const char *name, const char *path)
{
    size_t len = strlen(path);
    char twin[64];

    if (text_is_utf8(path, len))
        return cJSON_AddStringToObject(object, name, path) != NULL;

    char *b64 = text_base64_encode(path, len);
    if (!b64)
        return false;
    twin_name(twin, name);
    bool ok = cJSON_AddStringToObject(object, twin, b64) != NULL;
    free(b64);
    return ok;
}

cJSON *json_append_object(cJSON *array)
{
    cJSON *item = cJSON_CreateObject();

    if (!item || !cJSON_AddItemToArray(array, item)) {
        cJSON_Delete(item);
        return NULL;
    }
    return item;
}

bool json_add_strings(cJSON *object, const char *name, const struct control_strings *s)
{
    bool b64 = false;
    char twin[64];

    for (size_t i = 0; i < s->n && !b64; i++)
        b64 = !text_is_utf8(s->list[i], strlen(s->list[i]));
    twin_name(twin, name);
    cJSON *array = cJSON_AddArrayToObject(object, b64 ? twin : name);
    bool ok = array != NULL;
    for (size_t i = 0; i < s->n && ok; i++) {
        char *text = b64 ? text_base64_encode(s->list[i], strlen(s->list[i])) : s->list[i];
        cJSON *item = text ? cJSON_CreateString(text) : NULL;

        ok = item && cJSON_AddItemToArray(array, item);
        if (b64)
            free(text);
    }
    return ok;
}

static bool add_field(cJSON *object, const struct json_field *f, const void *at)
{
    switch (f->kind) {
    case JSON_INT64:
        return json_add_integer(object, f->name, *(const int64_t *)at);
    case JSON_INT:
        return json_add_integer(object, f->name, *(const int *)at);
    case JSON_INT64_OR_NULL:
        if (*(const int64_t *)at < 0)
            return json_add_text(object, f->name, NULL);
        return json_add_integer(object, f->name, *(const int64_t *)at);
    case JSON_BOOL:
        return cJSON_AddBoolToObject(object, f->name, *(const bool *)at) != NULL;
    case JSON_NUMBER:
        return json_add_number(object, f->name, *(const double *)at);
    case JSON_TIME:
        if (*(const double *)at == 0)
            return json_add_text(object, f->name, NULL);
        return json_add_number(object, f->name, *(const double *)at);
    case JSON_STRING:
        return json_add_text(object, f->name, *(char *const *)at ? *(char *const *)at : "");
    case JSON_STRING_OR_NULL:
        return json_add_text(object, f->name, *(char *const *)at);
    case JSON_PATH:
        return json_add_path(object, f->name, *(char *const *)at ? *(char *const *)at : "");
    case JSON_TEXT_BUFFER:
        return json_add_text(object, f->name, at);
    case JSON_PATH_BUFFER:
        return json_add_path(object, f->name, at);
    case JSON_STRINGS:
        return json_add_strings(object, f->name, at);
    case JSON_STATE:
        return json_add_text(object, f->name, job_state_name(*(const enum job_state *)at));
    }
    return false;
}

bool json_add_fields(cJSON *object, const struct json_fields *fields, const void *base)
{
    for (size_t i = 0; i < fields->n; i++)
        if (!add_field(object, &fields->list[i], (const char *)base + fields->list[i].offset))
            return false;
    return true;
}

static int wrong(const struct json_field *f, const char *expected, struct xfer_error *err)
{
    return error_set(err, XFER_PROTOCOL, "what the daemon sent: \"%s\" is not %s", f->name,
                     expected);
}

static int copy_string(const char *value, char **target, struct xfer_error *err)
{
    char *copy = strdup(value);

    if (!copy)
        return error_set(err, XFER_NO_RESOURCES, "no memory for what the daemon sent");
    free(*target);
    *target = copy;
    return 0;
}

static int copy_buffer(const struct json_field *f, const char *value, size_t len, char *target,
                       struct xfer_error *err)
{
    if (len >= f->size)
        return wrong(f, "short enough", err);
    memcpy(target, value, len);
    target[len] = '\0';
    return 0;
}

/* A path is there under its own name or under that of its twin. *found: false when under neither.
 */
static int get_path(const cJSON *object, const struct json_field *f, char path[XFER_LONG_PATH_SIZE],
                    bool *found, struct xfer_error *err)
{
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(object, f->name);
    char twin[64];
    size_t len;

    *found = true;
    if (text) {
        const char *value = cJSON_GetStringValue(text);

        if (!value || strlen(value) >= XFER_LONG_PATH_SIZE)
            return wrong(f, "a path", err);
        strcpy(path, value);
        return 0;
    }

    twin_name(twin, f->name);
    const cJSON *b64 = cJSON_GetObjectItemCaseSensitive(object, twin);
    if (!b64) {
        *found = false;
        return 0;
    }
    const char *value = cJSON_GetStringValue(b64);
    if (!value ||
        text_base64_decode(value, strlen(value), path, XFER_LONG_PATH_SIZE - 1, &len) == -1 ||
        memchr(path, 0, len))
        return wrong(f, "a path in base64", err);
    path[len] = '\0';
    return 0;
}

static int get_path_field(const cJSON *object, const struct json_field *f, void *at,
                          struct xfer_error *err)
{
    char path[XFER_LONG_PATH_SIZE];
    bool found;

    if (get_path(object, f, path, &found, err) == -1)
        return -1;
    if (f->kind == JSON_PATH)
        return copy_string(found ? path : "", at, err);
    return found ? copy_buffer(f, path, strlen(path), at, err) : 0;
}

static char *get_string_item(const cJSON *item, bool b64)
{
    const char *value = cJSON_GetStringValue(item);

    if (!value || !b64)
        return value ? strdup(value) : NULL;

    size_t size = strlen(value), len;
    char *bytes = malloc(size + 1);
    if (bytes && (text_base64_decode(value, strlen(value), bytes, size, &len) == -1 ||
                  memchr(bytes, 0, len))) {
        free(bytes);
        return NULL;
    }
    if (bytes)
        bytes[len] = '\0';
    return bytes;
}

static int get_strings_field(const cJSON *object, const struct json_field *f,
                             struct control_strings *s, struct xfer_error *err)
{
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(object, f->name), *item;
    bool b64 = !array;
    char twin[64];

    twin_name(twin, f->name);
    if (b64)
        array = cJSON_GetObjectItemCaseSensitive(object, twin);
    if (!array)
        return 0;
    if (!cJSON_IsArray(array))
        return wrong(f, "an array of strings", err);
    control_strings_free(s);
    s->list = calloc((size_t)cJSON_GetArraySize(array) + 1, sizeof(char *));
    if (!s->list)
        return error_set(err, XFER_NO_RESOURCES, "no memory for what the daemon sent");
    cJSON_ArrayForEach(item, array)
    {
        char *text = get_string_item(item, b64);

        if (!text)
            return wrong(f, "an array of strings", err);
        s->list[s->n++] = text;
    }
    return 0;
}

static int get_integer_field(const struct json_field *f, const cJSON *item, void *at,
                             struct xfer_error *err)
{
    int64_t value;

    if (f->kind == JSON_INT64_OR_NULL && cJSON_IsNull(item)) {
        *(int64_t *)at = -1;
        return 0;
    }
    if (!json_integer(item, &value))
        return wrong(f, "an integer", err);
    if (f->kind != JSON_INT) {
        *(int64_t *)at = value;
        return 0;
    }
    if (value < INT_MIN || value > INT_MAX)
        return wrong(f, "a small integer", err);
    *(int *)at = (int)value;
    return 0;
}

static int get_number_field(const struct json_field *f, const cJSON *item, double *at,
                            struct xfer_error *err)
{
    if (f->kind == JSON_TIME && cJSON_IsNull(item)) {
        *at = 0;
        return 0;
    }
    if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble))
        return wrong(f, "a number", err);
    *at = item->valuedouble;
    return 0;
}

static int get_string_field(const struct json_field *f, const cJSON *item, void *at,
                            struct xfer_error *err)
{
    const char *value = cJSON_GetStringValue(item);

    if (f->kind == JSON_STRING_OR_NULL && cJSON_IsNull(item))
        return 0;
    if (!value)
        return wrong(f, "a string", err);
    if (f->kind == JSON_TEXT_BUFFER)
        return copy_buffer(f, value, strlen(value), at, err);
    return copy_string(value, at, err);
}

static int get_field(const cJSON *object, const struct json_field *f, void *at,
                     struct xfer_error *err)
{
    if (f->kind == JSON_PATH || f->kind == JSON_PATH_BUFFER)
        return get_path_field(object, f, at, err);
    if (f->kind == JSON_STRINGS)
        return get_strings_field(object, f, at, err);

    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, f->name);
    if (!item)
        return f->kind == JSON_STRING ? copy_string("", at, err) : 0;

    switch (f->kind) {
    case JSON_INT64:
    case JSON_INT:
    case JSON_INT64_OR_NULL:
        return get_integer_field(f, item, at, err);
    case JSON_BOOL:
        if (!cJSON_IsBool(item))
            return wrong(f, "true or false", err);
        *(bool *)at = cJSON_IsTrue(item);
        return 0;
    case JSON_NUMBER:
    case JSON_TIME:
        return get_number_field(f, item, at, err);
    case JSON_STATE: {
        int state = cJSON_IsString(item) ? job_state_by_name(item->valuestring) : -1;

        if (state == -1)
            return wrong(f, "the state of a job", err);
        *(enum job_state *)at = (enum job_state)state;
        return 0;
    }
    default:
        return get_string_field(f, item, at, err);
    }
}

int json_get_fields(const cJSON *object, const struct json_fields *fields, void *base,
                    struct xfer_error *err)
{
    for (size_t i = 0; i < fields->n; i++)
        if (get_field(object, &fields->list[i], (char *)base + fields->list[i].offset, err) == -1)
            return -1;
    return 0;
}
