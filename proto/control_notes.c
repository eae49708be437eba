/* SPDX-License-Identifier: MIT
 *
 * What a job tells of the entries of its tree, as JSON and back: errors and warnings, in the job
 * object and page by page (transfer.errors), and the plan of a dry run (transfer.plan). Decoding
 * copies; what an encoder is given stays the caller's.
 */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "proto/control_fields.h"

#define F(member, kind)                                           \
    {                                                             \
#member, (kind), offsetof(struct control_note, member), 0 \
    }
static const struct json_field note_list[] = {F(n, JSON_INT64)};
static const struct json_field reason_list[] = {
    F(path, JSON_PATH),
    F(message, JSON_STRING),
};
#undef F
static const struct json_field errno_list[] = {
    {"errno", JSON_INT, offsetof(struct control_note, sys_errno), 0},
};

#define F(member, kind)                                                 \
    {                                                                   \
#member, (kind), offsetof(struct control_plan_entry, member), 0 \
    }
static const struct json_field entry_list[] = {
    F(n, JSON_INT64),   F(action, JSON_STRING), F(type, JSON_STRING),
    F(path, JSON_PATH), F(size, JSON_INT64),
};
#undef F

#define FIELDS(list)                           \
    {                                          \
        (list), sizeof(list) / sizeof(*(list)) \
    }
static const struct json_fields note_fields = FIELDS(note_list);
static const struct json_fields reason_fields = FIELDS(reason_list);
static const struct json_fields errno_fields = FIELDS(errno_list);
static const struct json_fields entry_fields = FIELDS(entry_list);

static void free_note(struct control_note *note)
{
    free(note->path);
    free(note->message);
}

void control_notes_free(struct control_notes *notes)
{
    for (size_t i = 0; i < notes->n; i++)
        free_note(&notes->list[i]);
    free(notes->list);
    *notes = (struct control_notes){0};
}

void control_plan_free(struct control_plan *plan)
{
    for (size_t i = 0; i < plan->n; i++) {
        free(plan->list[i].action);
        free(plan->list[i].type);
        free(plan->list[i].path);
    }
    free(plan->list);
    *plan = (struct control_plan){0};
}

/* ---- to JSON ---- */

static bool add_reason(cJSON *object, const struct control_note *note)
{
    const char *side = error_side_name(note->side);

    return json_add_fields(object, &reason_fields, note) &&
           json_add_text(object, "name", error_info(note->code)->name) &&
           (note->sys_errno == 0 || json_add_fields(object, &errno_fields, note)) &&
           (!side || json_add_text(object, "side", side));
}

bool notes_add(cJSON *object, const char *name, const struct control_notes *notes)
{
    cJSON *array = cJSON_AddArrayToObject(object, name);
    bool ok = array != NULL;

    for (size_t i = 0; ok && i < notes->n; i++) {
        cJSON *item = json_append_object(array);

        ok = item && add_reason(item, &notes->list[i]);
    }
    return ok;
}

char *control_notes_encode(const struct control_notes *notes)
{
    cJSON *object = cJSON_CreateObject();
    cJSON *array = cJSON_AddArrayToObject(object, "errors");
    bool ok = array != NULL;

    for (size_t i = 0; ok && i < notes->n; i++) {
        const struct control_note *note = &notes->list[i];
        cJSON *item = json_append_object(array);

        ok = item && json_add_fields(item, &note_fields, note) &&
             json_add_text(item, "kind", note->warning ? "warning" : "error") &&
             add_reason(item, note);
    }
    return json_finish(object, ok && cJSON_AddBoolToObject(object, "more", notes->more));
}

char *control_plan_encode(const struct control_plan *plan)
{
    cJSON *object = cJSON_CreateObject();
    cJSON *array = cJSON_AddArrayToObject(object, "entries");
    bool ok = array != NULL;

    for (size_t i = 0; ok && i < plan->n; i++) {
        cJSON *item = json_append_object(array);

        ok = item && json_add_fields(item, &entry_fields, &plan->list[i]);
    }
    return json_finish(object, ok && cJSON_AddBoolToObject(object, "more", plan->more));
}

/* ---- and back ---- */

static int get_reason(const cJSON *item, struct control_note *note, struct xfer_error *err)
{
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "name"));
    const char *side = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "side"));

    if (!cJSON_IsObject(item))
        return error_set(err, XFER_PROTOCOL, "what the daemon sent: a note is no object");
    note->code = name ? error_code_by_name(name) : XFER_INTERNAL;
    note->side = side ? error_side_by_name(side) : XFER_SIDE_NONE;
    if (json_get_fields(item, &errno_fields, note, err) == -1)
        return -1;
    return json_get_fields(item, &reason_fields, note, err);
}

static int get_numbered(const cJSON *item, struct control_note *note, struct xfer_error *err)
{
    const char *kind = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "kind"));

    if (get_reason(item, note, err) == -1)
        return -1;
    note->warning = kind && strcmp(kind, "warning") == 0;
    return json_get_fields(item, &note_fields, note, err);
}

/* Room for the items of an array. NULL: with the error. */
static void *make_room(const cJSON *array, const char *name, size_t size, struct xfer_error *err)
{
    if (!cJSON_IsArray(array)) {
        error_set(err, XFER_PROTOCOL, "what the daemon sent: \"%s\" is no array", name);
        return NULL;
    }
    void *list = calloc((size_t)cJSON_GetArraySize(array) + 1, size);
    if (!list)
        error_set(err, XFER_NO_RESOURCES, "no memory for what the daemon sent");
    return list;
}

static int get_notes(const cJSON *array, const char *name, struct control_notes *notes,
                     int (*get)(const cJSON *item, struct control_note *note,
                                struct xfer_error *err),
                     struct xfer_error *err)
{
    const cJSON *item;

    notes->list = make_room(array, name, sizeof(*notes->list), err);
    if (!notes->list)
        return -1;
    cJSON_ArrayForEach(item, array)
    {
        if (get(item, &notes->list[notes->n++], err) == -1)
            return -1;
    }
    return 0;
}

int notes_get(const cJSON *object, const char *name, struct control_notes *notes,
              struct xfer_error *err)
{
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(object, name);

    return array ? get_notes(array, name, notes, get_reason, err) : 0;
}

static int get_more(const cJSON *tree, bool *more, struct xfer_error *err)
{
    static const struct json_field list[] = {{"more", JSON_BOOL, 0, 0}};

    return json_get_fields(tree, &(struct json_fields){list, 1}, more, err);
}

int control_notes_parse(const char *json, struct control_notes *notes, struct xfer_error *err)
{
    *notes = (struct control_notes){0};

    cJSON *tree = json_parse_reply(json, strlen(json), err);
    if (!tree)
        return -1;
    int rc = get_notes(cJSON_GetObjectItemCaseSensitive(tree, "errors"), "errors", notes,
                       get_numbered, err);
    if (rc == 0)
        rc = get_more(tree, &notes->more, err);
    cJSON_Delete(tree);
    if (rc == -1)
        control_notes_free(notes);
    return rc;
}

int control_plan_parse(const char *json, struct control_plan *plan, struct xfer_error *err)
{
    *plan = (struct control_plan){0};

    cJSON *tree = json_parse_reply(json, strlen(json), err);
    if (!tree)
        return -1;
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(tree, "entries"), *item;
    int rc = 0;
    plan->list = make_room(array, "entries", sizeof(*plan->list), err);
    if (!plan->list)
        rc = -1;
    cJSON_ArrayForEach(item, array)
    {
        if (rc == 0 && !cJSON_IsObject(item))
            rc = error_set(err, XFER_PROTOCOL, "what the daemon sent: an entry is no object");
        if (rc == 0)
            rc = json_get_fields(item, &entry_fields, &plan->list[plan->n++], err);
    }
    if (rc == 0)
        rc = get_more(tree, &plan->more, err);
    cJSON_Delete(tree);
    if (rc == -1)
        control_plan_free(plan);
    return rc;
}
