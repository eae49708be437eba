/* SPDX-License-Identifier: MIT
 *
 * What rank 0 says on the control socket, from plain structs to JSON text: the objects by the
 * tables of control_fields, and the frames around them. Runs on the thread of the event loop; texts
 * belong to the caller.
 */
#include "proto/control_reply.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/control_fields.h"

char *control_error_encode(const struct xfer_error *err, int64_t job)
{
    return json_finish(error_to_tree(err, job), true);
}

/* Takes the value, also where it fails. */
static bool add_item(cJSON *object, const char *name, cJSON *value)
{
    if (value && cJSON_AddItemToObject(object, name, value))
        return true;
    cJSON_Delete(value);
    return false;
}

static bool add_digest(cJSON *object, const struct control_job *job)
{
    char hex[2 * XFER_DIGEST_SIZE + 1];

    if (!job->has_digest)
        return json_add_text(object, "digest", NULL);
    for (size_t i = 0; i < XFER_DIGEST_SIZE; i++)
        snprintf(hex + 2 * i, 3, "%02x", job->digest[i]);

    cJSON *digest = cJSON_AddObjectToObject(object, "digest");
    return digest && json_add_text(digest, "algorithm", DIGEST_ALGORITHM) &&
           json_add_text(digest, "value", hex);
}

char *control_job_encode(const struct control_job *job)
{
    cJSON *object = cJSON_CreateObject();
    bool ok = object && json_add_fields(object, &job_fields, job) && add_digest(object, job);

    if (ok && job->error)
        ok = add_item(object, "error", error_to_tree(job->error, job->job));
    else if (ok)
        ok = json_add_text(object, "error", NULL);
    return json_finish(object, ok && notes_add(object, "errors", &job->errors) &&
                                   notes_add(object, "warnings", &job->warnings));
}

char *control_job_list_encode(char *const *jobs, size_t n)
{
    static const char begin[] = "{\"jobs\":[", end[] = "]}";
    size_t size = sizeof(begin) + sizeof(end);

    for (size_t i = 0; i < n; i++)
        size += strlen(jobs[i]) + 1;
    char *text = malloc(size);
    if (!text)
        return NULL;

    char *at = stpcpy(text, begin);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            *at++ = ',';
        at = stpcpy(at, jobs[i]);
    }
    strcpy(at, end);
    return text;
}

static char *encode(const struct json_fields *fields, const void *base)
{
    cJSON *object = cJSON_CreateObject();

    return json_finish(object, json_add_fields(object, fields, base));
}

char *control_ping_encode(const struct control_ping *ping)
{
    return encode(&ping_fields, ping);
}

char *control_queue_encode(const struct control_queue *queue)
{
    return encode(&queue_fields, queue);
}

char *control_limits_encode(const struct control_limits *limits)
{
    return encode(&limits_fields, limits);
}

/* The names between ", " as an array. */
static bool add_names(cJSON *object, const char *member, const char *names)
{
    cJSON *array = cJSON_AddArrayToObject(object, member);
    bool ok = array != NULL;

    while (ok && *names != '\0') {
        size_t len = strcspn(names, ",");
        char *name = strndup(names, len);
        cJSON *item = name ? cJSON_CreateString(name) : NULL;

        free(name);
        ok = item && cJSON_AddItemToArray(array, item);
        if (!ok)
            cJSON_Delete(item);
        names += len;
        names += strspn(names, ", ");
    }
    return ok;
}

char *control_reload_encode(const char *changed, const char *restart)
{
    cJSON *object = cJSON_CreateObject();

    return json_finish(object, object && add_names(object, "changed", changed) &&
                                   add_names(object, "restart", restart));
}

char *control_stats_encode(const struct control_stats *stats)
{
    cJSON *object = cJSON_CreateObject();
    bool ok = object != NULL;

    for (size_t i = 0; ok && i < n_stats_groups; i++) {
        const struct stats_group *g = &stats_groups[i];

        ok = json_add_fields(g->name ? cJSON_AddObjectToObject(object, g->name) : object,
                             &g->fields, stats);
    }
    return json_finish(object, ok);
}

char *control_subscribed_encode(bool on)
{
    return strdup(on ? "{\"subscribed\":true}" : "{\"subscribed\":false}");
}

char *control_event_encode(const struct control_event *ev)
{
    char *params = encode(&event_fields, ev), *line = NULL;

    if (params &&
        asprintf(&line, "{\"jsonrpc\":\"2.0\",\"method\":\"transfer.event\",\"params\":%s}\n",
                 params) == -1)
        line = NULL;
    free(params);
    return line;
}

char *control_events_lost_encode(int64_t lost)
{
    char *line;

    if (asprintf(&line,
                 "{\"jsonrpc\":\"2.0\",\"method\":\"events.lost\",\"params\":{\"lost\":%" PRId64
                 "}}\n",
                 lost) == -1)
        return NULL;
    return line;
}

char *control_reply_result(const char *id, const char *result)
{
    char *text;

    if (asprintf(&text, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%s}", id, result) == -1)
        return NULL;
    return text;
}

char *control_reply_error(const char *id, const struct xfer_error *err, int64_t job)
{
    char *error = control_error_encode(err, job), *text = NULL;

    if (error && asprintf(&text, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"error\":%s}", id, error) == -1)
        text = NULL;
    free(error);
    return text;
}
