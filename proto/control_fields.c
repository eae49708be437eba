/* SPDX-License-Identifier: MIT
 *
 * Which member stands for which field: data, no code. The job object is specified field by field in
 * PROTOCOL.md.
 */
#include "proto/control_fields.h"

#define FIELDS(list)                           \
    {                                          \
        (list), sizeof(list) / sizeof(*(list)) \
    }

#define F(member, kind)                                          \
    {                                                            \
#member, (kind), offsetof(struct control_job, member), 0 \
    }
static const struct json_field job_list[] = {
    F(job, JSON_INT64),
    F(state, JSON_STATE),
    F(phase, JSON_STRING),
    F(reason, JSON_STRING_OR_NULL),
    F(source, JSON_PATH),
    F(dest, JSON_PATH),
    F(dest_host, JSON_STRING),
    F(dest_path, JSON_PATH),
    F(bytes_total, JSON_INT64),
    F(bytes_done, JSON_INT64),
    F(bytes_resumed, JSON_INT64),
    F(files_total, JSON_INT64),
    F(files_done, JSON_INT64),
    F(files_failed, JSON_INT64),
    F(files_skipped, JSON_INT64),
    F(rate, JSON_NUMBER),
    F(attempts, JSON_INT64),
    F(retries, JSON_INT64),
    F(not_before, JSON_TIME),
    F(priority, JSON_INT64),
    F(key, JSON_STRING_OR_NULL),
    F(existing, JSON_BOOL),
    F(submitted_at, JSON_TIME),
    F(started_at, JSON_TIME),
    F(finished_at, JSON_TIME),
    F(uid, JSON_INT64),
    F(handle, JSON_BOOL),
    F(exit_code, JSON_INT),
    F(bandwidth, JSON_INT64),
    F(walking, JSON_BOOL),
    F(preserve, JSON_STRING),
    F(filter, JSON_STRINGS),
    F(dry_run, JSON_BOOL),
    F(checksum, JSON_BOOL),
    F(one_file_system, JSON_BOOL),
    F(files_from, JSON_BOOL),
    F(warnings_total, JSON_INT64),
};
const struct json_fields job_fields = FIELDS(job_list);
#undef F

#define F(member, kind)                                          \
    {                                                            \
#member, (kind), offsetof(struct control_event, member), \
            sizeof(((struct control_event *)0)->member)          \
    }
static const struct json_field event_list[] = {
    F(seq, JSON_INT64),          F(job, JSON_INT64),           F(state, JSON_STATE),
    F(phase, JSON_TEXT_BUFFER),  F(bytes_done, JSON_INT64),    F(bytes_total, JSON_INT64),
    F(files_done, JSON_INT64),   F(files_total, JSON_INT64),   F(rate, JSON_NUMBER),
    F(files_failed, JSON_INT64), F(files_skipped, JSON_INT64), F(walking, JSON_BOOL),
};
const struct json_fields event_fields = FIELDS(event_list);
#undef F

#define F(member, kind)                                           \
    {                                                             \
#member, (kind), offsetof(struct control_ping, member), 0 \
    }
static const struct json_field ping_list[] = {F(peer_up, JSON_BOOL), F(round_trip, JSON_NUMBER)};
const struct json_fields ping_fields = FIELDS(ping_list);
#undef F

#define F(member, kind)                                            \
    {                                                              \
#member, (kind), offsetof(struct control_queue, member), 0 \
    }
static const struct json_field queue_list[] = {
    F(paused, JSON_BOOL),
    F(draining, JSON_BOOL),
    F(queued, JSON_INT64),
    F(running, JSON_INT64),
};
const struct json_fields queue_fields = FIELDS(queue_list);
#undef F

#define F(member, kind)                                             \
    {                                                               \
#member, (kind), offsetof(struct control_limits, member), 0 \
    }
static const struct json_field limits_list[] = {
    F(bandwidth, JSON_INT64),
    F(user_jobs, JSON_INT64),
    F(user_bytes, JSON_INT64),
    F(file_size, JSON_INT64),
};
const struct json_fields limits_fields = FIELDS(limits_list);
#undef F

#define F(member, kind)                                          \
    {                                                            \
#member, (kind), offsetof(struct control_hello, member), \
            sizeof(((struct control_hello *)0)->member)          \
    }
static const struct json_field hello_list[] = {
    F(version, JSON_TEXT_BUFFER),
    F(api, JSON_INT),
    F(uid, JSON_INT64),
    F(identity, JSON_TEXT_BUFFER),
    F(queue_id, JSON_TEXT_BUFFER),
    F(boot_id, JSON_TEXT_BUFFER),
};
const struct json_fields hello_fields = FIELDS(hello_list);
static const struct json_field configured_list[] = {F(jobs_finished_kept, JSON_INT64)};
const struct json_fields configured_fields = FIELDS(configured_list);
#undef F

#define F(member, kind)                                         \
    {                                                           \
#member, (kind), offsetof(struct control_rank, member), \
            sizeof(((struct control_rank *)0)->member)          \
    }
static const struct json_field rank_list[] = {F(rank, JSON_INT), F(host, JSON_TEXT_BUFFER),
                                              F(pid, JSON_INT64)};
const struct json_fields rank_fields = FIELDS(rank_list);
#undef F

#define F(name, member, kind)                                 \
    {                                                         \
        name, (kind), offsetof(struct control_stats, member), \
            sizeof(((struct control_stats *)0)->member)       \
    }
static const struct json_field stats_list[] = {
    F("uptime", uptime, JSON_NUMBER),
    F("generation", generation, JSON_INT64),
    F("clients", clients, JSON_INT64),
    F("oldest_queued", oldest_queued, JSON_NUMBER),
};
static const struct json_field peer_list[] = {F("up", peer_up, JSON_BOOL),
                                              F("host", peer_host, JSON_TEXT_BUFFER)};
static const struct json_field store_list[] = {
    F("root", store_root, JSON_PATH_BUFFER),
    F("free_bytes", store_free_bytes, JSON_INT64_OR_NULL),
    F("total_bytes", store_total_bytes, JSON_INT64_OR_NULL),
};
static const struct json_field link_list[] = {F("lanes", lanes, JSON_INT64),
                                              F("chunk", chunk, JSON_INT64)};
static const struct json_field paused_list[] = {F("paused", paused, JSON_BOOL),
                                                F("draining", draining, JSON_BOOL)};
static const struct json_field jobs_list[] = {
    F("queued", jobs[JOB_QUEUED], JSON_INT64),       F("running", jobs[JOB_RUNNING], JSON_INT64),
    F("done", jobs[JOB_DONE], JSON_INT64),           F("failed", jobs[JOB_FAILED], JSON_INT64),
    F("cancelled", jobs[JOB_CANCELLED], JSON_INT64),
};
static const struct json_field finished_list[] = {
    F("done", finished_done, JSON_INT64),
    F("failed", finished_failed, JSON_INT64),
    F("cancelled", finished_cancelled, JSON_INT64),
};
static const struct json_field sent_list[] = {F("bytes", sent_bytes, JSON_INT64),
                                              F("files", sent_files, JSON_INT64)};
static const struct json_field attempts_list[] = {
    F("started", attempts_started, JSON_INT64),
    F("failed", attempts_failed, JSON_INT64),
    F("bytes", attempts_bytes, JSON_INT64),
};
#undef F

const struct stats_group stats_groups[] = {
    {NULL, FIELDS(stats_list)},          {"peer", FIELDS(peer_list)},
    {"store", FIELDS(store_list)},       {"link", FIELDS(link_list)},
    {"queue", FIELDS(paused_list)},      {"jobs", FIELDS(jobs_list)},
    {"finished", FIELDS(finished_list)}, {"sent", FIELDS(sent_list)},
    {"attempts", FIELDS(attempts_list)},
};
const size_t n_stats_groups = sizeof(stats_groups) / sizeof(*stats_groups);
