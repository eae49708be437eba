/* SPDX-License-Identifier: MIT
 *
 * What the daemon tells about itself: greeting, limits, methods. All of it is read from the tables
 * and limits that are enforced, so that it can't say anything else than what holds.
 */
#include <cjson/cJSON.h>
#include <stdio.h>

#include "proto/control_fields.h"

static const struct {
    const char *name;
    int64_t value;
} limits[] = {
    {"line_bytes", XFER_LINE_MAX},
    {"nesting", XFER_NESTING_MAX},
    {"values", XFER_VALUES_MAX},
    {"number_characters", XFER_NUMBER_MAX},
    {"integer", XFER_JSON_INTEGER_MAX},
    {"batch", XFER_BATCH_MAX},
    {"id_bytes", XFER_ID_MAX},
    {"path_bytes", XFER_PATH_SIZE - 1},
    {"name_bytes", XFER_NAME_MAX},
    {"clients", XFER_CLIENTS_MAX},
    {"open_replies", XFER_WAITS_MAX},
    {"batch_reply_bytes", XFER_BATCH_REPLY_MAX},
    {"watched_jobs", XFER_WATCHES_MAX},
    {"list", XFER_LIST_MAX},
    {"events_per_second", XFER_EVENTS_PER_SECOND},
    {"jobs_unfinished", XFER_JOBS_UNFINISHED_MAX},
    {"key_bytes", XFER_KEY_MAX},
    {"retries", XFER_RETRIES_MAX},
    {"filter_rules", XFER_FILTER_RULES_MAX},
    {"filter_bytes", XFER_FILTER_SIZE},
    {"notes", XFER_NOTES_MAX},
    {"notes_shown", XFER_NOTES_SHOWN},
    {"notes_page", XFER_NOTES_PAGE},
};

static const char *const type_names[] = {
    [PARAM_BOOL] = "boolean",  [PARAM_INTEGER] = "integer", [PARAM_SECONDS] = "seconds",
    [PARAM_STRING] = "string", [PARAM_PATH] = "path",       [PARAM_CHOICE] = "choice",
    [PARAM_LIST] = "list",     [PARAM_STRINGS] = "strings",
};

static bool append_string(cJSON *array, const char *s)
{
    cJSON *item = cJSON_CreateString(s);

    return item && cJSON_AddItemToArray(array, item);
}

/* One feature for each parameter of transfer.submit, since these are what grows. */
static bool add_features(cJSON *object)
{
    const struct method_spec *submit = method_get(METHOD_TRANSFER_SUBMIT);
    cJSON *array = cJSON_AddArrayToObject(object, "features");
    bool ok = array && append_string(array, "batch") && append_string(array, "events");

    for (size_t i = 0; ok && i < submit->n_params; i++) {
        char name[64];

        snprintf(name, sizeof(name), "submit.%s", submit->params[i].name);
        ok = append_string(array, name);
    }
    return ok;
}

static bool add_limits(cJSON *object, const struct control_hello *hello)
{
    cJSON *all = cJSON_AddObjectToObject(object, "limits");
    bool ok = all != NULL;

    for (size_t i = 0; ok && i < sizeof(limits) / sizeof(*limits); i++)
        ok = json_add_integer(all, limits[i].name, limits[i].value);
    return ok && json_add_fields(all, &configured_fields, hello);
}

char *control_hello_encode(const struct control_hello *hello)
{
    cJSON *object = cJSON_CreateObject();
    bool ok =
        json_add_text(object, "server", "xferd") && json_add_fields(object, &hello_fields, hello);

    cJSON *ranks = ok ? cJSON_AddArrayToObject(object, "ranks") : NULL;
    ok = ranks != NULL;
    for (int i = 0; ok && i < hello->n_ranks; i++)
        ok = json_add_fields(json_append_object(ranks), &rank_fields, &hello->ranks[i]);
    return json_finish(object, ok && add_features(object) && add_limits(object, hello));
}

char *control_list_methods_encode(void)
{
    cJSON *object = cJSON_CreateObject();
    cJSON *array = cJSON_AddArrayToObject(object, "methods");
    bool ok = array != NULL;

    for (int id = 0; ok && id < METHOD_COUNT; id++) {
        const struct method_spec *m = method_get((enum method_id)id);
        cJSON *item = json_append_object(array);

        ok = json_add_text(item, "name", m->name) && json_add_text(item, "summary", m->summary);
    }
    return json_finish(object, ok);
}

static bool add_choices(cJSON *item, const struct param_spec *spec)
{
    cJSON *choices = cJSON_AddArrayToObject(item, "choices");
    bool ok = choices != NULL;

    for (int i = 0; ok && spec->choices[i]; i++)
        ok = append_string(choices, spec->choices[i]);
    return ok;
}

static bool add_twin(cJSON *item, const struct param_spec *spec)
{
    char twin[64];

    snprintf(twin, sizeof(twin), "%s_b64", spec->name);
    return json_add_text(item, "or", twin);
}

/* What a value must be, besides its type. */
static bool add_range(cJSON *item, const struct param_spec *spec)
{
    switch (spec->type) {
    case PARAM_INTEGER:
    case PARAM_SECONDS:
        return json_add_integer(item, "min", spec->min) && json_add_integer(item, "max", spec->max);
    case PARAM_STRING:
        return json_add_integer(item, "max_bytes", spec->max);
    case PARAM_PATH:
        return json_add_integer(item, "max_bytes", spec->max) && add_twin(item, spec) &&
               cJSON_AddBoolToObject(item, "absolute", spec->absolute);
    case PARAM_CHOICE:
        return add_choices(item, spec);
    case PARAM_LIST:
        return json_add_integer(item, "max_bytes", spec->max) && add_choices(item, spec);
    case PARAM_STRINGS:
        return json_add_integer(item, "min_items", spec->min) &&
               json_add_integer(item, "max_items", spec->max_items) &&
               json_add_integer(item, "max_bytes", spec->max) && add_twin(item, spec);
    case PARAM_BOOL:
        return true;
    }
    return true;
}

char *control_describe_encode(const struct method_spec *method)
{
    cJSON *object = cJSON_CreateObject();
    bool ok = json_add_text(object, "name", method->name) &&
              json_add_text(object, "summary", method->summary) &&
              json_add_text(object, "result", method->result);
    cJSON *array = ok ? cJSON_AddArrayToObject(object, "params") : NULL;

    ok = array != NULL;
    for (size_t i = 0; ok && i < method->n_params; i++) {
        const struct param_spec *spec = &method->params[i];
        cJSON *item = json_append_object(array);

        ok = json_add_text(item, "name", spec->name) &&
             json_add_text(item, "type", type_names[spec->type]) &&
             cJSON_AddBoolToObject(item, "required", spec->required) && add_range(item, spec) &&
             json_add_text(item, "help", spec->help);
    }
    return json_finish(object, ok);
}
