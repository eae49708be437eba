/* SPDX-License-Identifier: MIT
 *
 * The members of the objects that come back over the control socket, as tables that the encoders
 * and the decoders share.
 */
#ifndef XFER_PROTO_CONTROL_FIELDS_H
#define XFER_PROTO_CONTROL_FIELDS_H

#include "proto/control_json.h"
#include "proto/control_reply.h"

#define DIGEST_ALGORITHM "xxh128"

/* Of struct control_job; digest, error, errors and warnings are not in it. */
extern const struct json_fields job_fields;
extern const struct json_fields event_fields;  /* struct control_event */
extern const struct json_fields ping_fields;   /* struct control_ping */
extern const struct json_fields queue_fields;  /* struct control_queue */
extern const struct json_fields limits_fields; /* struct control_limits */
extern const struct json_fields hello_fields;  /* struct control_hello without ranks and limits */
extern const struct json_fields configured_fields; /* those of its limits that can be configured */
extern const struct json_fields rank_fields;       /* struct control_rank */

/* struct control_stats: a group is a member that is an object, or with the name NULL the outer
 * object itself. */
struct stats_group {
    const char *name;
    struct json_fields fields;
};
extern const struct stats_group stats_groups[];
extern const size_t n_stats_groups;

/* Members of a job object: the array of notes of that name, without numbers. */
bool notes_add(struct cJSON *object, const char *name, const struct control_notes *notes);
int notes_get(const struct cJSON *object, const char *name, struct control_notes *notes,
              struct xfer_error *err);

/* The error object. NULL: no memory. The caller deletes it. */
struct cJSON *error_to_tree(const struct xfer_error *e, int64_t job);
/* e: the error that it tells of; *job: data.job or 0. */
int error_from_tree(const struct cJSON *tree, struct xfer_error *e, int64_t *job,
                    struct xfer_error *err);

#endif
