/* SPDX-License-Identifier: MIT
 *
 * The table of methods. A method that is not here does not exist: neither for the decoder nor for
 * the dispatcher nor for introspection. A parameter belongs to a method by standing in its list.
 */
#include "proto/control_method.h"

#include <string.h>

static const char *const overwrite_names[] = {[OVERWRITE_REPLACE] = "replace",
                                              [OVERWRITE_NEVER] = "never",
                                              [OVERWRITE_CHANGED] = "changed",
                                              [OVERWRITE_NEWER] = "newer",
                                              NULL};
static const char *const sync_names[] = {
    [SYNC_FILE] = "file", [SYNC_BATCH] = "batch", [SYNC_NONE] = "none", NULL};
static const char *const state_names[] = {
    [JOB_QUEUED] = "queued", [JOB_RUNNING] = "running",     [JOB_DONE] = "done",
    [JOB_FAILED] = "failed", [JOB_CANCELLED] = "cancelled", [JOB_STATE_COUNT] = NULL};

/* In the order of their bits. */
static const char *const preserve_names[] = {"mode", "times", "owner",  "xattr",
                                             "acl",  "links", "sparse", NULL};

#define PRESERVE_MAX 255 /* bytes of its text */

static int by_name(const char *const *names, const char *name)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

const char *overwrite_mode_name(enum overwrite_mode m)
{
    return overwrite_names[m];
}

const char *sync_mode_name(enum sync_mode m)
{
    return sync_names[m];
}

const char *job_state_name(enum job_state s)
{
    return state_names[s];
}

int overwrite_mode_by_name(const char *name)
{
    return by_name(overwrite_names, name);
}

int sync_mode_by_name(const char *name)
{
    return by_name(sync_names, name);
}

int job_state_by_name(const char *name)
{
    return by_name(state_names, name);
}

/* The bits of a word of len bytes; 0: it is none. */
static uint32_t preserve_word(const char *word, size_t len)
{
    if (len == strlen("all") && strncmp(word, "all", len) == 0)
        return PRESERVE_ALL;
    for (int i = 0; preserve_names[i]; i++)
        if (strlen(preserve_names[i]) == len && strncmp(word, preserve_names[i], len) == 0)
            return UINT32_C(1) << i;
    return 0;
}

int preserve_parse(const char *text, uint32_t *mask, struct xfer_error *err)
{
    uint32_t all = 0;

    if (strcmp(text, "none") == 0) {
        *mask = 0;
        return 0;
    }
    for (const char *at = text, *word; at; at = *at == ',' ? at + 1 : NULL) {
        bool add = *at == '+';

        word = at + add;
        at = word + strcspn(word, ",");
        uint32_t bits = preserve_word(word, (size_t)(at - word));
        if (bits == 0)
            return error_set(err, XFER_INVALID_PARAMS,
                             "preserve: \"%.*s\" is none of mode, times, owner, xattr, acl, links, "
                             "sparse, all (none stands by itself)",
                             (int)(at - word > 64 ? 64 : at - word), word);
        all |= bits | (add ? PRESERVE_DEFAULT : 0);
    }
    *mask = all;
    return 0;
}

void preserve_format(uint32_t mask, char text[PRESERVE_TEXT_SIZE])
{
    char *at = text;

    for (int i = 0; preserve_names[i]; i++)
        if (mask & UINT32_C(1) << i) {
            if (at > text)
                *at++ = ',';
            at = stpcpy(at, preserve_names[i]);
        }
    if (at == text)
        strcpy(text, "none");
}

#define FIELD(name) .offset = offsetof(struct control_params, name)
#define JOB_RANGE   .min = 1, .max = XFER_JSON_INTEGER_MAX
#define JOB_REQUIRED                                                                   \
    {                                                                                  \
        .name = "job", .type = PARAM_INTEGER, FIELD(job), .required = true, JOB_RANGE, \
        .help = "the number of the job"                                                \
    }

static const struct param_spec describe_params[] = {
    {.name = "method",
     .type = PARAM_STRING,
     FIELD(method),
     .required = true,
     .max = XFER_METHOD_NAME_MAX,
     .help = "the name of the method"},
};

static const struct param_spec submit_params[] = {
    {.name = "source",
     .type = PARAM_PATH,
     FIELD(source),
     .required = true,
     .absolute = true,
     .max = XFER_PATH_SIZE - 1,
     .help = "absolute path of the file or directory to send, on the host of rank 0"},
    {.name = "source_fd",
     .type = PARAM_BOOL,
     FIELD(source_fd),
     .help =
         "read the file from the descriptor that comes with this line instead of opening source"},
    {.name = "dest",
     .type = PARAM_PATH,
     FIELD(dest),
     .max = XFER_PATH_SIZE - 1,
     .help = "path under the receiving root; with a trailing / the directory to put the source in; "
             "without it the root"},
    {.name = "overwrite",
     .type = PARAM_CHOICE,
     FIELD(overwrite),
     .choices = overwrite_names,
     .help =
         "what to do where a file exists: replace it, leave it, or replace it if it has another "
         "size or time, or if it is older; replace unless given"},
    {.name = "checksum",
     .type = PARAM_BOOL,
     FIELD(checksum),
     .help = "with overwrite changed: what has another content is replaced, whatever its time"},
    {.name = "preserve",
     .type = PARAM_LIST,
     FIELD(preserve),
     .max = PRESERVE_MAX,
     .choices = preserve_names,
     .help = "what is kept of each file, separated by commas; mode,times unless given, and +NAME "
             "adds to these"},
    {.name = "filter",
     .type = PARAM_STRINGS,
     FIELD(filter),
     .max = XFER_FILTER_SIZE,
     .max_items = XFER_FILTER_RULES_MAX,
     .help =
         "what of a directory is sent, \"+ PATTERN\", and is not, \"- PATTERN\": the first that "
         "matches counts"},
    {.name = "files",
     .type = PARAM_STRINGS,
     FIELD(files),
     .min = 1,
     .max = XFER_FILES_LINE_MAX,
     .max_items = XFER_FILES_LINE_ITEMS,
     .help = "send only these of the directory, paths relative to it, and what is in them"},
    {.name = "files_fd",
     .type = PARAM_BOOL,
     FIELD(files_fd),
     .help = "such a list, each path ended by a NUL, is read from the descriptor that comes with "
             "this line"},
    {.name = "one_file_system",
     .type = PARAM_BOOL,
     FIELD(one_file_system),
     .help = "send nothing of file systems that are mounted in the directory"},
    {.name = "dry_run",
     .type = PARAM_BOOL,
     FIELD(dry_run),
     .help = "change nothing, and tell with transfer.plan what would be done"},
    {.name = "sync",
     .type = PARAM_CHOICE,
     FIELD(sync),
     .choices = sync_names,
     .help =
         "how durable the file is when the job is done; the receiver's store.sync unless given"},
    {.name = "priority",
     .type = PARAM_INTEGER,
     FIELD(priority),
     .min = -XFER_PRIORITY_MAX,
     .max = XFER_PRIORITY_MAX,
     .help = "jobs of higher priority start first; 0 unless given"},
    {.name = "retries",
     .type = PARAM_INTEGER,
     FIELD(retries),
     .min = 0,
     .max = XFER_RETRIES_MAX,
     .help = "how often a failed attempt is repeated where that may help; unless given what the "
             "daemon is configured to"},
    {.name = "key",
     .type = PARAM_STRING,
     FIELD(key),
     .max = XFER_KEY_MAX,
     .help = "the submitter's own name for this request: given again, it returns the same job"},
    {.name = "bandwidth",
     .type = PARAM_INTEGER,
     FIELD(bandwidth),
     .min = 0,
     .max = XFER_JSON_INTEGER_MAX,
     .help = "at most so many bytes of it are sent a second; 0, as unless given: no such limit"},
    {.name = "wait",
     .type = PARAM_BOOL,
     FIELD(wait),
     .help = "answer when the job has ended instead of at once"},
};

static const struct param_spec job_params[] = {JOB_REQUIRED};

static const struct param_spec retry_params[] = {
    JOB_REQUIRED,
    {.name = "source_fd",
     .type = PARAM_BOOL,
     FIELD(source_fd),
     .help = "the descriptor that comes with this line is the file that the job sends"},
};

#define NOTES_PARAMS                                                                            \
    JOB_REQUIRED,                                                                               \
        {.name = "after",                                                                       \
         .type = PARAM_INTEGER,                                                                 \
         FIELD(after),                                                                          \
         .min = 0,                                                                              \
         .max = XFER_JSON_INTEGER_MAX,                                                          \
         .help = "only those with a higher number"},                                            \
    {                                                                                           \
        .name = "limit", .type = PARAM_INTEGER, FIELD(limit), .min = 0, .max = XFER_NOTES_PAGE, \
        .help = "at most so many; 1000 unless given"                                            \
    }

static const struct param_spec errors_params[] = {NOTES_PARAMS};

static const struct param_spec plan_params[] = {NOTES_PARAMS};

static const struct param_spec list_params[] = {
    {.name = "state",
     .type = PARAM_CHOICE,
     FIELD(state),
     .choices = state_names,
     .help = "only jobs in this state"},
    {.name = "user",
     .type = PARAM_STRING,
     FIELD(user),
     .max = 255,
     .help = "only jobs of this user: a name, or a uid in digits"},
    {.name = "limit",
     .type = PARAM_INTEGER,
     FIELD(limit),
     .min = 0,
     .max = XFER_LIST_MAX,
     .help =
         "at most so many jobs; unless given the unfinished ones and the last 20 finished ones"},
    {.name = "before",
     .type = PARAM_INTEGER,
     FIELD(before),
     JOB_RANGE,
     .help = "only jobs with a lower number"},
    {.name = "head",
     .type = PARAM_BOOL,
     FIELD(head),
     .help = "where there are too many queued ones, those with the lowest numbers"},
};

static const struct param_spec wait_params[] = {
    JOB_REQUIRED,
    {.name = "timeout",
     .type = PARAM_SECONDS,
     FIELD(timeout),
     .max = XFER_SECONDS_MAX,
     .help = "answer after so many seconds at the latest, with an error; never unless given"},
};

static const struct param_spec limits_params[] = {
    {.name = "bandwidth",
     .type = PARAM_INTEGER,
     FIELD(bandwidth),
     .required = true,
     .min = 0,
     .max = XFER_JSON_INTEGER_MAX,
     .help = "at most so many bytes are sent a second, of all jobs together; 0: no such limit"},
};

static const struct param_spec subscribe_params[] = {
    {.name = "job",
     .type = PARAM_INTEGER,
     FIELD(job),
     JOB_RANGE,
     .help = "only events of this job"},
};

#define PARAMS(list) .params = (list), .n_params = sizeof(list) / sizeof(*(list))

static const struct method_spec methods[METHOD_COUNT] = {
    [METHOD_SYSTEM_HELLO] =
        {.id = METHOD_SYSTEM_HELLO,
         .name = "system.hello",
         .summary = "who answers: version, ranks, limits",
         .result = "{server, version, api, features[], queue_id, boot_id, ranks[], limits{}}"},
    [METHOD_SYSTEM_LIST_METHODS] = {.id = METHOD_SYSTEM_LIST_METHODS,
                                    .name = "system.list_methods",
                                    .summary = "all methods",
                                    .result = "{methods:[{name, summary}]}"},
    [METHOD_SYSTEM_DESCRIBE] =
        {.id = METHOD_SYSTEM_DESCRIBE,
         .name = "system.describe",
         .summary = "one method with its parameters",
         .result = "{name, summary, result, params:[{name, type, required, help, ...}]}",
         PARAMS(describe_params)},
    [METHOD_SYSTEM_PING] = {.id = METHOD_SYSTEM_PING,
                            .name = "system.ping",
                            .summary = "does the other rank answer, and how soon",
                            .result = "{peer_up, round_trip}"},
    [METHOD_SYSTEM_STATS] =
        {.id = METHOD_SYSTEM_STATS,
         .name = "system.stats",
         .summary = "counters and gauges of the daemon",
         .result =
             "{uptime, generation, clients, peer{}, store{}, link{}, queue{}, jobs{}, finished{}, "
             "sent{}, oldest_queued}"},
    [METHOD_TRANSFER_SUBMIT] = {.id = METHOD_TRANSFER_SUBMIT,
                                .name = "transfer.submit",
                                .summary = "queue a file or a directory for sending",
                                .result =
                                    "the job object, at once; with wait when the job has ended",
                                PARAMS(submit_params)},
    [METHOD_TRANSFER_STATUS] = {.id = METHOD_TRANSFER_STATUS,
                                .name = "transfer.status",
                                .summary = "one job as it is now",
                                .result = "the job object",
                                PARAMS(job_params)},
    [METHOD_TRANSFER_LIST] = {.id = METHOD_TRANSFER_LIST,
                              .name = "transfer.list",
                              .summary = "the unfinished jobs and the last finished ones",
                              .result = "{jobs:[job object]}",
                              PARAMS(list_params)},
    [METHOD_TRANSFER_WAIT] = {.id = METHOD_TRANSFER_WAIT,
                              .name = "transfer.wait",
                              .summary = "answer when the job has ended",
                              .result = "the job object",
                              PARAMS(wait_params)},
    [METHOD_TRANSFER_CANCEL] = {.id = METHOD_TRANSFER_CANCEL,
                                .name = "transfer.cancel",
                                .summary = "end a job that has not ended yet",
                                .result = "the job object",
                                PARAMS(job_params)},
    [METHOD_TRANSFER_RETRY] = {.id = METHOD_TRANSFER_RETRY,
                               .name = "transfer.retry",
                               .summary = "start a job again that failed, was cancelled or waits "
                                          "for its next attempt",
                               .result = "the job object",
                               PARAMS(retry_params)},
    [METHOD_TRANSFER_ERRORS] =
        {.id = METHOD_TRANSFER_ERRORS,
         .name = "transfer.errors",
         .summary = "what of a job's files could not be sent, or not be kept, by its last attempt",
         .result = "{errors:[{n, kind, path, name, errno, side, message}], more}",
         PARAMS(errors_params)},
    [METHOD_TRANSFER_PLAN] = {.id = METHOD_TRANSFER_PLAN,
                              .name = "transfer.plan",
                              .summary = "what a job with dry_run would do",
                              .result = "{entries:[{n, action, type, path, size}], more}",
                              PARAMS(plan_params)},
    [METHOD_QUEUE_PAUSE] = {.id = METHOD_QUEUE_PAUSE,
                            .name = "queue.pause",
                            .summary = "take requests, start no job",
                            .result = "{paused, draining, queued, running}"},
    [METHOD_QUEUE_RESUME] = {.id = METHOD_QUEUE_RESUME,
                             .name = "queue.resume",
                             .summary = "end a pause or a drain",
                             .result = "{paused, draining, queued, running}"},
    [METHOD_QUEUE_DRAIN] = {.id = METHOD_QUEUE_DRAIN,
                            .name = "queue.drain",
                            .summary = "take no more requests; answer when no job is left",
                            .result = "{paused, draining, queued, running}"},
    [METHOD_LIMITS_GET] =
        {
            .id = METHOD_LIMITS_GET,
            .name = "limits.get",
            .summary = "what is allowed of bandwidth, jobs and bytes",
            .result = "{bandwidth, user_jobs, user_bytes, file_size}",
        },
    [METHOD_LIMITS_SET] = {.id = METHOD_LIMITS_SET,
                           .name = "limits.set",
                           .summary = "limit the bandwidth until the daemon is started anew",
                           .result = "{bandwidth, user_jobs, user_bytes, file_size}",
                           PARAMS(limits_params)},
    [METHOD_DAEMON_RELOAD] = {.id = METHOD_DAEMON_RELOAD,
                              .name = "daemon.reload",
                              .summary = "read the configuration again",
                              .result = "{changed:[key], restart:[key]}"},
    [METHOD_EVENTS_SUBSCRIBE] = {.id = METHOD_EVENTS_SUBSCRIBE,
                                 .name = "events.subscribe",
                                 .summary = "send transfer.event notifications on this connection",
                                 .result = "{subscribed:true}",
                                 PARAMS(subscribe_params)},
    [METHOD_EVENTS_UNSUBSCRIBE] = {.id = METHOD_EVENTS_UNSUBSCRIBE,
                                   .name = "events.unsubscribe",
                                   .summary = "send no more of them",
                                   .result = "{subscribed:false}"},
};

const struct method_spec *method_find(const char *name)
{
    for (size_t i = 0; i < METHOD_COUNT; i++)
        if (strcmp(methods[i].name, name) == 0)
            return &methods[i];
    return NULL;
}

const struct method_spec *method_get(enum method_id id)
{
    return (unsigned)id < METHOD_COUNT ? &methods[id] : NULL;
}
