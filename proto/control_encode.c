/* SPDX-License-Identifier: MIT
 *
 * Requests as xferctl writes them: the way back from the plain struct, by the same table that
 * decodes them.
 */
#include "proto/control_request.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/control_json.h"
#include "proto/text.h"

static bool add_list(cJSON *object, const char *name, uint32_t mask)
{
    char text[PRESERVE_TEXT_SIZE];

    preserve_format(mask, text);
    return json_add_text(object, name, text);
}

/* Adds the parameter unless it is what it would be without. */
static bool add_param(cJSON *object, const struct param_spec *spec, const void *value,
                      const void *initial)
{
    switch (spec->type) {
    case PARAM_BOOL:
        return *(const bool *)value == *(const bool *)initial ||
               cJSON_AddBoolToObject(object, spec->name, *(const bool *)value) != NULL;
    case PARAM_INTEGER:
        return *(const int64_t *)value == *(const int64_t *)initial ||
               json_add_integer(object, spec->name, *(const int64_t *)value);
    case PARAM_SECONDS:
        return *(const double *)value < 0 ||
               json_add_number(object, spec->name, *(const double *)value);
    case PARAM_STRING:
        return !*(char *const *)value || json_add_text(object, spec->name, *(char *const *)value);
    case PARAM_PATH:
        return !*(char *const *)value || json_add_path(object, spec->name, *(char *const *)value);
    case PARAM_CHOICE:
        return *(const int *)value == *(const int *)initial ||
               json_add_text(object, spec->name, spec->choices[*(const int *)value]);
    case PARAM_LIST:
        return *(const uint32_t *)value == *(const uint32_t *)initial ||
               add_list(object, spec->name, *(const uint32_t *)value);
    case PARAM_STRINGS:
        return ((const struct control_strings *)value)->n == 0 ||
               json_add_strings(object, spec->name, value);
    }
    return false;
}

static char *line_of(char *text)
{
    char *line = NULL;

    if (text && asprintf(&line, "%s\n", text) == -1)
        line = NULL;
    free(text);
    return line;
}

char *control_request_encode(int64_t id, enum method_id method, const struct control_params *params)
{
    const struct method_spec *spec = method_get(method);
    struct control_params initial;
    cJSON *request = cJSON_CreateObject();

    control_params_init(&initial);
    bool ok = cJSON_AddStringToObject(request, "jsonrpc", "2.0") &&
              json_add_integer(request, "id", id) &&
              cJSON_AddStringToObject(request, "method", spec->name);
    cJSON *object = spec->n_params > 0 ? cJSON_AddObjectToObject(request, "params") : NULL;
    for (size_t i = 0; ok && i < spec->n_params; i++) {
        size_t offset = spec->params[i].offset;

        ok = object && add_param(object, &spec->params[i], (const char *)params + offset,
                                 (const char *)&initial + offset);
    }
    return line_of(json_finish(request, ok));
}

/* The raw parameters as the value of "params": checked, and on one line. NULL with the error. */
static char *raw_params(const char *params, struct xfer_error *err)
{
    struct json_facts facts;
    size_t len = strlen(params);

    if (json_scan(params, len, &facts, err) == -1) {
        err->code = XFER_USAGE;
        error_prefix(err, "the parameters");
        return NULL;
    }
    size_t begin = strspn(params, " \t\r\n");
    if (params[begin] != '{' && params[begin] != '[') {
        error_set(err, XFER_USAGE, "the parameters must be a JSON object");
        return NULL;
    }
    char *text = strdup(params);
    if (!text) {
        error_set(err, XFER_NO_RESOURCES, "no memory");
        return NULL;
    }
    /* Line ends stand between values only: in strings they would not be JSON. */
    for (char *s = text; *s != '\0'; s++)
        if (*s == '\n' || *s == '\r')
            *s = ' ';
    return text;
}

char *control_request_encode_raw(int64_t id, const char *method, const char *params,
                                 struct xfer_error *err)
{
    cJSON *request = NULL;
    char *text = NULL, *line = NULL;

    if (!text_is_utf8(method, strlen(method))) {
        error_set(err, XFER_USAGE, "the name of the method is not UTF-8");
        return NULL;
    }
    if (params && params[0] != '\0') {
        text = raw_params(params, err);
        if (!text)
            return NULL;
    }

    request = cJSON_CreateObject();
    bool ok = cJSON_AddStringToObject(request, "jsonrpc", "2.0") &&
              json_add_integer(request, "id", id) &&
              cJSON_AddStringToObject(request, "method", method) &&
              (!text || cJSON_AddRawToObject(request, "params", text));
    line = line_of(json_finish(request, ok));
    free(text);
    if (!line)
        error_set(err, XFER_NO_RESOURCES, "no memory");
    return line;
}
