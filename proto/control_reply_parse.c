/* SPDX-License-Identifier: MIT
 *
 * xferctl's side: what the daemon sent, from JSON text to plain structs. Members that are not known
 * here are skipped, so that an older xferctl can talk to a newer daemon; those that are known must
 * be what they are.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/control_fields.h"

static int no_memory(struct xfer_error *err)
{
    return error_set(err, XFER_NO_RESOURCES, "no memory for what the daemon sent");
}

/* The tree of an object. NULL with the error when it is anything else. */
static cJSON *parse_object(const char *json, struct xfer_error *err)
{
    cJSON *tree = json_parse_reply(json, strlen(json), err);

    if (tree && !cJSON_IsObject(tree)) {
        cJSON_Delete(tree);
        error_set(err, XFER_PROTOCOL, "what the daemon sent is no object");
        return NULL;
    }
    return tree;
}

/* A text that consists of a slice, for the caller to free. */
static char *copy_slice(const struct json_slice *slice)
{
    return strndup(slice->text, slice->len);
}

static int parse_notification(const cJSON *tree, const char *method, struct control_incoming *in,
                              struct xfer_error *err)
{
    const cJSON *params = cJSON_GetObjectItemCaseSensitive(tree, "params");

    if (strcmp(method, "transfer.event") == 0) {
        in->kind = CONTROL_EVENT;
        return json_get_fields(params, &event_fields, &in->event, err);
    }
    if (strcmp(method, "events.lost") == 0) {
        static const struct json_field list[] = {{"lost", JSON_INT64, 0, 0}};

        in->kind = CONTROL_EVENTS_LOST;
        return json_get_fields(params, &(struct json_fields){list, 1}, &in->lost, err);
    }
    return 0;
}

static int parse_tree(const cJSON *tree, struct control_incoming *in, struct xfer_error *err)
{
    const cJSON *method = cJSON_GetObjectItemCaseSensitive(tree, "method");
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(tree, "error");

    if (cJSON_IsString(method))
        return parse_notification(tree, method->valuestring, in, err);
    if (!json_integer(cJSON_GetObjectItemCaseSensitive(tree, "id"), &in->id))
        in->id = -1;
    if (error) {
        in->kind = CONTROL_ERROR;
        return error_from_tree(error, &in->error, &in->error_job, err);
    }
    if (cJSON_GetObjectItemCaseSensitive(tree, "result"))
        in->kind = CONTROL_RESULT;
    return 0;
}

/* The texts are taken out of the line as they stand there: nothing is lost by printing them again.
 */
static int take_texts(const char *line, size_t len, struct control_incoming *in,
                      struct xfer_error *err)
{
    static const char *const names[] = {[CONTROL_RESULT] = "result",
                                        [CONTROL_ERROR] = "error",
                                        [CONTROL_EVENT] = "params",
                                        [CONTROL_UNKNOWN] = NULL};
    char **target = in->kind == CONTROL_ERROR ? &in->error_text : &in->result;
    struct json_slice slice;

    if (!names[in->kind])
        return 0;
    if (!json_member(line, len, names[in->kind], &slice))
        return error_set(err, XFER_PROTOCOL, "what the daemon sent has no \"%s\"", names[in->kind]);
    *target = copy_slice(&slice);
    return *target ? 0 : no_memory(err);
}

int control_incoming_parse(const char *line, size_t len, struct control_incoming *in,
                           struct xfer_error *err)
{
    *in = (struct control_incoming){.kind = CONTROL_UNKNOWN, .id = -1};

    cJSON *tree = json_parse_reply(line, len, err);
    if (!tree)
        return -1;
    int rc = cJSON_IsObject(tree) ? parse_tree(tree, in, err) : 0;
    cJSON_Delete(tree);
    if (rc == 0)
        rc = take_texts(line, len, in, err);
    if (rc == -1)
        control_incoming_free(in);
    return rc;
}

void control_incoming_free(struct control_incoming *in)
{
    free(in->result);
    free(in->error_text);
    in->result = in->error_text = NULL;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int get_digest(const cJSON *object, struct control_job *job, struct xfer_error *err)
{
    const cJSON *digest = cJSON_GetObjectItemCaseSensitive(object, "digest");
    const char *algorithm =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(digest, "algorithm"));
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(digest, "value"));

    if (!digest || cJSON_IsNull(digest))
        return 0;
    if (!algorithm || !value)
        return error_set(err, XFER_PROTOCOL, "what the daemon sent: \"digest\" is no digest");
    if (strcmp(algorithm, DIGEST_ALGORITHM) != 0)
        return 0;
    if (strlen(value) != 2 * XFER_DIGEST_SIZE)
        return error_set(err, XFER_PROTOCOL, "what the daemon sent: the digest has not %d digits",
                         2 * XFER_DIGEST_SIZE);
    for (size_t i = 0; i < XFER_DIGEST_SIZE; i++) {
        int high = hex_digit(value[2 * i]), low = hex_digit(value[2 * i + 1]);

        if (high == -1 || low == -1)
            return error_set(err, XFER_PROTOCOL,
                             "what the daemon sent: the digest is not hexadecimal");
        job->digest[i] = (unsigned char)(high << 4 | low);
    }
    job->has_digest = true;
    return 0;
}

static int get_error(const cJSON *object, struct control_job *job, struct xfer_error *err)
{
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(object, "error");
    int64_t ignored;

    if (!error || cJSON_IsNull(error))
        return 0;
    job->error = calloc(1, sizeof(*job->error));
    if (!job->error)
        return no_memory(err);
    return error_from_tree(error, job->error, &ignored, err);
}

void control_job_free(struct control_job *job)
{
    free(job->phase);
    free(job->reason);
    free(job->source);
    free(job->dest);
    free(job->dest_host);
    free(job->dest_path);
    free(job->key);
    free(job->error);
    free(job->preserve);
    control_strings_free(&job->filter);
    control_notes_free(&job->errors);
    control_notes_free(&job->warnings);
    *job = (struct control_job){0};
}

int control_job_parse(const char *json, struct control_job *job, struct xfer_error *err)
{
    *job = (struct control_job){0};

    cJSON *tree = parse_object(json, err);
    if (!tree)
        return -1;
    int rc = json_get_fields(tree, &job_fields, job, err);
    if (rc == 0)
        rc = get_digest(tree, job, err);
    if (rc == 0)
        rc = get_error(tree, job, err);
    if (rc == 0)
        rc = notes_get(tree, "errors", &job->errors, err);
    if (rc == 0)
        rc = notes_get(tree, "warnings", &job->warnings, err);
    if (rc == 0 && (job->job <= 0 || !cJSON_GetObjectItemCaseSensitive(tree, "state")))
        rc = error_set(err, XFER_PROTOCOL, "what the daemon sent is no job");
    cJSON_Delete(tree);
    if (rc == -1)
        control_job_free(job);
    return rc;
}

int control_ping_parse(const char *json, struct control_ping *ping, struct xfer_error *err)
{
    *ping = (struct control_ping){0};

    cJSON *tree = parse_object(json, err);
    int rc = tree ? json_get_fields(tree, &ping_fields, ping, err) : -1;
    cJSON_Delete(tree);
    return rc;
}

int control_hello_parse(const char *json, struct control_hello *hello, struct xfer_error *err)
{
    const int room = (int)(sizeof(hello->ranks) / sizeof(*hello->ranks));
    const cJSON *rank;

    *hello = (struct control_hello){0};
    cJSON *tree = parse_object(json, err);
    int rc = tree ? json_get_fields(tree, &hello_fields, hello, err) : -1;
    const cJSON *ranks = cJSON_GetObjectItemCaseSensitive(tree, "ranks");
    if (rc == 0 && ranks && !cJSON_IsArray(ranks))
        rc = error_set(err, XFER_PROTOCOL, "what the daemon sent: \"ranks\" is no array");
    cJSON_ArrayForEach(rank, ranks)
    {
        if (rc == -1 || hello->n_ranks == room)
            break;
        rc = json_get_fields(rank, &rank_fields, &hello->ranks[hello->n_ranks++], err);
    }
    const cJSON *limits = cJSON_GetObjectItemCaseSensitive(tree, "limits");
    if (rc == 0)
        rc = json_get_fields(limits, &configured_fields, hello, err);
    cJSON_Delete(tree);
    return rc;
}

int control_queue_parse(const char *json, struct control_queue *queue, struct xfer_error *err)
{
    *queue = (struct control_queue){0};

    cJSON *tree = parse_object(json, err);
    int rc = tree ? json_get_fields(tree, &queue_fields, queue, err) : -1;
    cJSON_Delete(tree);
    return rc;
}

int control_limits_parse(const char *json, struct control_limits *limits, struct xfer_error *err)
{
    *limits = (struct control_limits){0};

    cJSON *tree = parse_object(json, err);
    int rc = tree ? json_get_fields(tree, &limits_fields, limits, err) : -1;
    cJSON_Delete(tree);
    return rc;
}

/* Members that a later daemon leaves out are empty. */
static int get_names(const cJSON *tree, const char *member, char names[XFER_KEY_NAMES_SIZE],
                     struct xfer_error *err)
{
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(tree, member), *item;
    size_t len = 0;

    names[0] = '\0';
    if (array && !cJSON_IsArray(array))
        return error_set(err, XFER_PROTOCOL, "what the daemon sent: \"%s\" is no array", member);
    cJSON_ArrayForEach(item, array)
    {
        if (!cJSON_IsString(item))
            return error_set(err, XFER_PROTOCOL, "what the daemon sent: \"%s\" has no names",
                             member);
        len += (size_t)snprintf(names + len, XFER_KEY_NAMES_SIZE - len, "%s%s", len > 0 ? ", " : "",
                                item->valuestring);
        if (len >= XFER_KEY_NAMES_SIZE)
            return error_set(err, XFER_PROTOCOL, "what the daemon sent: \"%s\" is too long",
                             member);
    }
    return 0;
}

int control_reload_parse(const char *json, struct control_reload *reload, struct xfer_error *err)
{
    cJSON *tree = parse_object(json, err);
    int rc = tree ? get_names(tree, "changed", reload->changed, err) : -1;

    if (rc == 0)
        rc = get_names(tree, "restart", reload->restart, err);
    cJSON_Delete(tree);
    return rc;
}

int control_stats_parse(const char *json, struct control_stats *stats, struct xfer_error *err)
{
    *stats = (struct control_stats){.store_free_bytes = -1,
                                    .store_total_bytes = -1,
                                    .attempts_started = -1,
                                    .attempts_failed = -1,
                                    .attempts_bytes = -1};

    cJSON *tree = parse_object(json, err);
    int rc = tree ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < n_stats_groups; i++) {
        const struct stats_group *g = &stats_groups[i];

        rc = json_get_fields(g->name ? cJSON_GetObjectItemCaseSensitive(tree, g->name) : tree,
                             &g->fields, stats, err);
    }
    cJSON_Delete(tree);
    return rc;
}

char *control_job_with_existing(const char *json, bool existing)
{
    struct json_slice value;
    char *text;

    if (!json_member(json, strlen(json), "existing", &value))
        return strdup(json);
    if (asprintf(&text, "%.*s%s%s", (int)(value.text - json), json, existing ? "true" : "false",
                 value.text + value.len) == -1)
        return NULL;
    return text;
}

static void free_texts(char **texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
    free(texts);
}

int control_job_list_parse(const char *json, char ***jobs, size_t *n, struct xfer_error *err)
{
    struct json_facts facts;
    struct json_slice array, element;
    size_t at = 0, count = 0, done = 0;

    if (json_scan(json, strlen(json), &facts, err) == -1) {
        err->code = XFER_PROTOCOL;
        return error_prefix(err, "what the daemon sent");
    }
    if (!json_member(json, strlen(json), "jobs", &array) || array.text[0] != '[')
        return error_set(err, XFER_PROTOCOL, "what the daemon sent is no list of jobs");
    while (json_next_element(array.text, array.len, &at, &element))
        count++;

    char **texts = calloc(count + 1, sizeof(*texts));
    if (!texts)
        return no_memory(err);
    for (at = 0; json_next_element(array.text, array.len, &at, &element); done++) {
        texts[done] = copy_slice(&element);
        if (!texts[done]) {
            free_texts(texts, done);
            return no_memory(err);
        }
    }
    *jobs = texts;
    *n = count;
    return 0;
}
