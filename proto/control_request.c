/* SPDX-License-Identifier: MIT
 *
 * From a line to requests that may be run as they are. Runs on rank 0, on the thread of the event
 * loop; the message belongs to the caller.
 *
 * Three steps: the text as such (control_scan), the members of each request, its parameters by the
 * table of its method. Every step walks what it was given once, so a line that is full of members
 * costs no more than its length.
 */
#include "proto/control_request.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/control_json.h"
#include "proto/control_param.h"
#include "proto/filter.h"

static bool has_nul(const char *s)
{
    return strchr(s, JSON_NUL_MARK) != NULL;
}

/* Is name that of the parameter, or of its twin in base64? */
static bool is_named(const struct param_spec *spec, const char *name)
{
    size_t len = strlen(spec->name);

    if (strncmp(name, spec->name, len) != 0)
        return false;
    return name[len] == '\0' || ((spec->type == PARAM_PATH || spec->type == PARAM_STRINGS) &&
                                 strcmp(name + len, "_b64") == 0);
}

/* What no parameter can be wrong by itself. */
static int check_together(const struct control_params *p, struct xfer_error *err)
{
    if (p->checksum && p->overwrite != OVERWRITE_CHANGED)
        return error_set(err, XFER_INVALID_PARAMS,
                         "parameter \"checksum\" goes with \"overwrite\" being \"changed\" only");
    if ((p->files.n > 0) + p->files_fd + p->source_fd > 1)
        return error_set(err, XFER_INVALID_PARAMS,
                         "of the parameters \"source_fd\", \"files_fd\" and \"files\" only one "
                         "may be given");
    if (p->filter.n == 0)
        return 0;
    struct filter *filter = filter_create((const char *const *)p->filter.list, p->filter.n, err);
    if (!filter)
        return error_prefix(err, "parameter \"filter\"");
    filter_destroy(filter);
    return 0;
}

static int decode_params(const struct method_spec *method, const cJSON *params,
                         struct control_params *p, struct xfer_error *err)
{
    uint64_t given = 0; /* bit i: parameter i was there */
    const cJSON *value;

    if (params && !cJSON_IsObject(params))
        return error_set(err, XFER_INVALID_PARAMS,
                         "\"params\" must be an object: parameters go by name");
    cJSON_ArrayForEach(value, params)
    {
        size_t i = 0;

        while (i < method->n_params && !is_named(&method->params[i], value->string))
            i++;
        if (i == method->n_params)
            return error_set(err, XFER_INVALID_PARAMS, "%s has no parameter \"%.64s\"",
                             method->name, value->string);

        const struct param_spec *spec = &method->params[i];
        if (given & UINT64_C(1) << i)
            return error_set(err, XFER_INVALID_PARAMS, "parameter \"%s\" is given more than once",
                             spec->name);
        given |= UINT64_C(1) << i;
        if (param_decode(spec, value, (char *)p + spec->offset, err) == -1)
            return -1;
    }
    for (size_t i = 0; i < method->n_params; i++)
        if (method->params[i].required && !(given & UINT64_C(1) << i))
            return error_set(err, XFER_INVALID_PARAMS, "%s needs parameter \"%s\"", method->name,
                             method->params[i].name);
    return check_together(p, err);
}

/* The text of an id to echo. NULL with XFER_INVALID_REQUEST when it is none that could be. */
static char *decode_id(const cJSON *id, struct xfer_error *err)
{
    char number[32];
    char *text = NULL;
    int64_t n;

    if (cJSON_IsNull(id)) {
        text = strdup("null");
    } else if (json_integer(id, &n)) {
        snprintf(number, sizeof(number), "%" PRId64, n);
        text = strdup(number);
    } else if (cJSON_IsString(id) && strlen(id->valuestring) <= XFER_ID_MAX &&
               !has_nul(id->valuestring)) {
        text = cJSON_PrintUnformatted(id);
    } else {
        error_set(err, XFER_INVALID_REQUEST,
                  "\"id\" must be null, an integer or a string of at most %d bytes", XFER_ID_MAX);
        return NULL;
    }
    if (!text)
        error_set(err, XFER_NO_RESOURCES, "no memory for the id");
    return text;
}

enum member { MEMBER_JSONRPC, MEMBER_ID, MEMBER_METHOD, MEMBER_PARAMS, MEMBER_COUNT };

/* Finds the members of a request. Goes on after an error: the id is wanted all the same. A repeated
 * member is NULL. */
static int collect_members(const cJSON *item, const cJSON *found[MEMBER_COUNT],
                           struct xfer_error *err)
{
    static const char *const names[MEMBER_COUNT] = {"jsonrpc", "id", "method", "params"};
    unsigned seen[MEMBER_COUNT] = {0};
    const cJSON *member;
    int rc = 0;

    if (!cJSON_IsObject(item))
        return error_set(err, XFER_INVALID_REQUEST, "a request is an object");
    cJSON_ArrayForEach(member, item)
    {
        int which = 0;

        while (which < MEMBER_COUNT && strcmp(member->string, names[which]) != 0)
            which++;
        if (which == MEMBER_COUNT) {
            if (rc == 0)
                rc = error_set(err, XFER_INVALID_REQUEST, "a request has no member \"%.64s\"",
                               member->string);
            continue;
        }
        found[which] = seen[which]++ == 0 ? member : NULL;
        if (seen[which] > 1 && rc == 0)
            rc = error_set(err, XFER_INVALID_REQUEST, "member \"%s\" is given more than once",
                           names[which]);
    }
    return rc;
}

static int decode_members(const cJSON *item, struct control_request *r)
{
    const cJSON *found[MEMBER_COUNT] = {NULL};
    struct xfer_error id_error = XFER_ERROR_INIT;
    struct xfer_error *err = &r->error;

    int rc = collect_members(item, found, err);
    if (found[MEMBER_ID]) {
        r->id = decode_id(found[MEMBER_ID], &id_error);
        if (!r->id && rc == 0) {
            *err = id_error;
            rc = -1;
        }
    }
    if (rc == -1)
        return -1;

    if (found[MEMBER_JSONRPC]) {
        const char *version = cJSON_GetStringValue(found[MEMBER_JSONRPC]);

        if (!version || strcmp(version, "2.0") != 0)
            return error_set(err, XFER_INVALID_REQUEST, "\"jsonrpc\" must be \"2.0\"");
    }
    const char *name = cJSON_GetStringValue(found[MEMBER_METHOD]);
    if (!name || has_nul(name))
        return error_set(err, XFER_INVALID_REQUEST, "a request needs \"method\", a string");

    /* Only what is a request otherwise can be a notification; an invalid one is always answered. */
    r->notification = found[MEMBER_JSONRPC] && !found[MEMBER_ID];
    const struct method_spec *method = method_find(name);
    if (!method)
        return error_set(err, XFER_METHOD_NOT_FOUND, "there is no method \"%.64s\"", name);
    if (decode_params(method, found[MEMBER_PARAMS], &r->params, err) == -1)
        return -1;
    r->method = method;
    return 0;
}

/* -1 only when there is no memory for the id that every request has. */
static int decode_request(const cJSON *item, struct control_request *r)
{
    control_params_init(&r->params);
    if (decode_members(item, r) == -1)
        control_params_free(&r->params);
    if (!r->id)
        r->id = strdup("null");
    return r->id ? 0 : -1;
}

static struct control_message *message_create(size_t n, bool batch)
{
    struct control_message *m = calloc(1, sizeof(*m));

    if (!m)
        return NULL;
    m->requests = calloc(n, sizeof(*m->requests));
    if (!m->requests) {
        free(m);
        return NULL;
    }
    m->n = n;
    m->batch = batch;
    return m;
}

void control_message_free(struct control_message *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n; i++) {
        free(m->requests[i].id);
        control_params_free(&m->requests[i].params);
    }
    free(m->requests);
    free(m);
}

/* A message that is nothing but an error. */
static struct control_message *message_of_error(const struct xfer_error *err)
{
    struct control_message *m = message_create(1, false);

    if (!m)
        return NULL;
    control_params_init(&m->requests[0].params);
    m->requests[0].error = *err;
    m->requests[0].id = strdup("null");
    if (!m->requests[0].id) {
        control_message_free(m);
        return NULL;
    }
    return m;
}

static struct control_message *message_of_tree(const cJSON *tree)
{
    struct xfer_error err = XFER_ERROR_INIT;
    bool batch = cJSON_IsArray(tree);
    size_t n = batch ? (size_t)cJSON_GetArraySize(tree) : 1;

    if (n == 0) {
        error_set(&err, XFER_INVALID_REQUEST, "an empty batch");
        return message_of_error(&err);
    }
    if (n > XFER_BATCH_MAX) {
        error_set(&err, XFER_INVALID_REQUEST, "a batch of more than %d requests", XFER_BATCH_MAX);
        return message_of_error(&err);
    }

    struct control_message *m = message_create(n, batch);
    if (!m)
        return NULL;
    const cJSON *item = batch ? tree->child : tree;
    for (size_t i = 0; i < n; i++, item = item->next) {
        if (decode_request(item, &m->requests[i]) == -1) {
            control_message_free(m);
            return NULL;
        }
    }
    return m;
}

struct control_message *control_message_parse(const char *line, size_t len)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct json_facts facts;

    if (json_scan(line, len, &facts, &err) == -1)
        return message_of_error(&err);
    if (facts.values > XFER_VALUES_MAX) {
        error_set(&err, XFER_INVALID_REQUEST, "more than %d values in one line", XFER_VALUES_MAX);
        return message_of_error(&err);
    }
    cJSON *tree = json_parse(line, len, &facts);
    if (!tree)
        return NULL;
    struct control_message *m = message_of_tree(tree);
    cJSON_Delete(tree);
    return m;
}
