/* SPDX-License-Identifier: MIT
 *
 * struct xfer_error as the error object of a reply, and back. data.name is what tells errors apart;
 * the number is shared by some.
 */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "proto/control_fields.h"

cJSON *error_to_tree(const struct xfer_error *e, int64_t job)
{
    const struct xfer_error_info *info = error_info(e->code);
    const char *side = error_side_name(e->side);
    cJSON *tree = cJSON_CreateObject();

    bool ok =
        json_add_integer(tree, "code", info->rpc_code) && json_add_text(tree, "message", e->text);
    cJSON *data = ok ? cJSON_AddObjectToObject(tree, "data") : NULL;
    ok = data && json_add_text(data, "name", info->name) &&
         (e->sys_errno == 0 || json_add_integer(data, "errno", e->sys_errno)) &&
         (!side || json_add_text(data, "side", side)) &&
         (e->path[0] == '\0' || json_add_path(data, "path", e->path)) &&
         cJSON_AddBoolToObject(data, "retryable", info->retryable) &&
         (job == 0 || json_add_integer(data, "job", job));
    if (!ok) {
        cJSON_Delete(tree);
        return NULL;
    }
    return tree;
}

/* For an error without a name that is known here: the number may still tell. */
static enum xfer_code code_by_number(int64_t number)
{
    for (int code = XFER_OK + 1; code < XFER_CODE_COUNT; code++)
        if (error_info((enum xfer_code)code)->rpc_code == number)
            return (enum xfer_code)code;
    return XFER_INTERNAL;
}

int error_from_tree(const cJSON *tree, struct xfer_error *e, int64_t *job, struct xfer_error *err)
{
    static const struct json_field code_list[] = {{"code", JSON_INT64, 0, 0}};
    static const struct json_field data_list[] = {
        {"errno", JSON_INT, offsetof(struct xfer_error, sys_errno), 0},
        {"path", JSON_PATH_BUFFER, offsetof(struct xfer_error, path), sizeof(e->path)},
    };
    static const struct json_field job_list[] = {{"job", JSON_INT64, 0, 0}};
    int64_t number = 0;

    if (!cJSON_IsObject(tree))
        return error_set(err, XFER_PROTOCOL, "what the daemon sent: \"error\" is not an object");
    const char *message = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, "message"));
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(tree, "data");
    if (!message)
        return error_set(err, XFER_PROTOCOL, "what the daemon sent: an error without a message");
    if (json_get_fields(tree, &(struct json_fields){code_list, 1}, &number, err) == -1)
        return -1;

    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(data, "name"));
    const char *side = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(data, "side"));
    enum xfer_code code = name ? error_code_by_name(name) : XFER_INTERNAL;
    if (code == XFER_OK ||
        (code == XFER_INTERNAL && (!name || strcmp(name, error_info(code)->name) != 0)))
        code = code_by_number(number);
    error_set(e, code, "%s", message);
    if (side)
        e->side = error_side_by_name(side);

    *job = 0;
    if (json_get_fields(data, &(struct json_fields){data_list, 2}, e, err) == -1)
        return -1;
    return json_get_fields(data, &(struct json_fields){job_list, 1}, job, err);
}
