/* SPDX-License-Identifier: MIT
 *
 * The methods about jobs.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "daemon/control/answers.h"
#include "daemon/control/handlers_impl.h"
#include "daemon/control/handover.h"
#include "daemon/control/job_list.h"
#include "daemon/control/requester.h"
#include "proto/relpath.h"

static void refuse(struct control *c, struct job *job, const struct xfer_error *why)
{
    handover_close(c, job);
    handover_drop_list(c, job);
    answers_fail(job, why, false);
    job_destroy(job);
}

void handlers_admit(struct control *c, struct job *job)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (queue_admit(c->queue, job, &err) < 0)
        refuse(c, job, &err);
}

/* Where sizes count, all go the same way: they come to the queue in the order in which they were
 * asked for. */
static void size_or_admit(struct control *c, struct job *job)
{
    bool look = queue_counts_bytes(c->queue) && !job->queue.unlimited && !job->handle &&
                job->bytes_total == 0;
    struct xfer_error err = XFER_ERROR_INIT;

    if (!look && !sizer_is_busy(c->sizer))
        handlers_admit(c, job);
    else if (sizer_put(c->sizer, job, look, &err) < 0)
        refuse(c, job, &err);
}

static void drop_list(struct control *c, char *list)
{
    if (list)
        lists_remove(c->lists, list);
    free(list);
}

/* All that came with the request is there. */
static void submit(struct control *c, struct reply *reply, const struct control_params *p,
                   const char *dest)
{
    const struct handle *handle = reply_handle(reply);
    char *list = reply_take_list(reply);
    struct xfer_error err = XFER_ERROR_INIT;
    struct requester who;

    if (requester_identify(client_fd(reply_client(reply)), c->as_owner, &who, &err) < 0) {
        drop_list(c, list);
        reply_error(reply, &err, 0);
        return;
    }
    struct job_spec spec = {
        .source = p->source,
        .dest = dest,
        .key = p->key,
        .owner = client_uid(reply_client(reply)),
        .unlimited = client_is_admin(reply_client(reply)),
        .bandwidth = p->bandwidth > 0 ? p->bandwidth : 0,
        .gid = who.gid,
        .groups = who.groups,
        .n_groups = who.n_groups,
        .priority = (int)p->priority,
        .overwrite = p->overwrite,
        .sync = p->sync,
        .retries = p->retries >= 0 ? p->retries : c->retries,
        .default_retries = p->retries < 0,
        .preserve = p->preserve,
        .filter = p->filter,
        .dry_run = p->dry_run,
        .checksum = p->checksum,
        .one_file_system = p->one_file_system,
        .list = list,
    };
    if (handle) {
        spec.handle = true;
        spec.handle_dev = handle->dev;
        spec.handle_ino = handle->ino;
        spec.size = handle->size;
    }
    struct job *job = queue_draft(c->queue, &spec, &err);

    requester_free(&who);
    if (!job) {
        drop_list(c, list);
        reply_error(reply, &err, 0);
        return;
    }
    free(list);
    if (handle)
        job->handle_fd = reply_take_handle(reply);
    /* Nobody hears of its number before it is recorded. */
    reply_wait(reply, &job->replies, p->wait ? REPLY_WAITS_ENDED : REPLY_WAITS_ACCEPTED, 0, -1);
    size_or_admit(c, job);
}

void handle_submit(struct control *c, struct reply *reply, const struct control_params *p)
{
    struct xfer_error err = XFER_ERROR_INIT;
    char dest[XFER_PATH_SIZE];

    if (relpath_resolve(p->source, p->dest, dest, &err) < 0) {
        reply_error(reply, &err, 0);
        return;
    }
    if (!handover_ready(c, reply, METHOD_TRANSFER_SUBMIT, p) ||
        !handover_list_ready(c, reply, METHOD_TRANSFER_SUBMIT, p))
        return;
    submit(c, reply, p, dest);
}

void handle_status(struct control *c, struct reply *reply, const struct control_params *p)
{
    struct job *job = handlers_find_job(c, reply, METHOD_TRANSFER_STATUS, p);

    if (job)
        answers_give(c, reply, job);
}

void handle_list(struct control *c, struct reply *reply, const struct control_params *p)
{
    job_list_give(c, reply, p);
}

/* Run the request again when it is recorded what the job is to become. */
static void keep_until_settled(struct reply *reply, enum method_id method,
                               const struct control_params *p, struct job *job)
{
    if (handlers_keep(reply, method, p))
        reply_wait(reply, &job->replies, REPLY_WAITS_AGAIN, job->id, p->timeout);
}

void handle_wait(struct control *c, struct reply *reply, const struct control_params *p)
{
    struct job *job = handlers_find_job(c, reply, METHOD_TRANSFER_WAIT, p);

    if (!job)
        return;
    if (job->queue.reviving)
        keep_until_settled(reply, METHOD_TRANSFER_WAIT, p, job);
    else if (job_state_finished(job->state))
        answers_give(c, reply, job);
    else
        reply_wait(reply, &job->replies, REPLY_WAITS_ENDED, job->id, p->timeout);
}

/* False: the reply has been given. */
static bool may_change(struct reply *reply, const struct job *job)
{
    const struct client *client = reply_client(reply);
    struct xfer_error err = XFER_ERROR_INIT;

    if (client_uid(client) == job->owner || client_is_admin(client))
        return true;
    error_set(&err, XFER_PERMISSION_DENIED, "job %" PRId64 " belongs to uid %u", job->id,
              (unsigned)job->owner);
    reply_error(reply, &err, job->id);
    return false;
}

void handle_cancel(struct control *c, struct reply *reply, const struct control_params *p)
{
    struct job *job = handlers_find_job(c, reply, METHOD_TRANSFER_CANCEL, p);
    struct xfer_error err = XFER_ERROR_INIT;

    if (!job || !may_change(reply, job))
        return;
    if (job->queue.reviving) {
        keep_until_settled(reply, METHOD_TRANSFER_CANCEL, p, job);
        return;
    }
    if (job_state_finished(job->state)) {
        answers_give(c, reply, job);
        return;
    }
    if (!job->queue.ending) {
        bool waits = job->state == JOB_QUEUED;

        error_set(&err, XFER_CANCELLED, "cancelled by uid %u",
                  (unsigned)client_uid(reply_client(reply)));
        scheduler_cancel(c->scheduler, job, &err);
        if (waits)
            queue_end(c->queue, job, JOB_CANCELLED, &err);
    }
    reply_wait(reply, &job->replies, REPLY_WAITS_ENDED, job->id, -1);
}

/* Whoever may have the job run again must not have it send what only he can read. False: the reply
 * has been given. */
static bool may_hand_over(struct reply *reply, const struct job *job)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (client_uid(reply_client(reply)) != job->owner)
        error_set(&err, XFER_PERMISSION_DENIED,
                  "job %" PRId64 " belongs to uid %u, who alone hands over its source", job->id,
                  (unsigned)job->owner);
    else if (!job->handle)
        error_set(&err, XFER_INVALID_PARAMS,
                  "source_fd: job %" PRId64 " does not send a file that was handed over", job->id);
    else
        return true;
    reply_error(reply, &err, job->id);
    return false;
}

/* The owner's groups may be others by now. Those of anybody else are never lent to the job. */
static int renew_rights(const struct control *c, const struct client *client, struct job *job,
                        struct xfer_error *err)
{
    struct requester who;
    int rc;

    if (client_uid(client) != job->owner || job->queue.reviving)
        return 0;
    if (requester_identify(client_fd(client), c->as_owner, &who, err) < 0)
        return -1;
    rc = job_set_groups(job, who.groups, who.n_groups);
    if (rc == 0)
        job->gid = who.gid;
    else
        error_set(err, XFER_NO_RESOURCES, "no memory for the groups of uid %u",
                  (unsigned)job->owner);
    requester_free(&who);
    return rc;
}

static void revive(struct control *c, struct reply *reply, struct job *job)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (job->state == JOB_DONE) {
        error_set(&err, XFER_INVALID_PARAMS, "job %" PRId64 " is done: nothing is left to try",
                  job->id);
        reply_error(reply, &err, job->id);
        return;
    }
    if (reply_handle(reply) && !handover_attach(c, reply, job, &err)) {
        reply_error(reply, &err, job->id);
        return;
    }
    if (renew_rights(c, reply_client(reply), job, &err) < 0 ||
        queue_revive(c->queue, job, client_is_admin(reply_client(reply)), &err) < 0) {
        handover_close(c, job);
        reply_error(reply, &err, job->id);
        return;
    }
    answers_flush(c, job);
    reply_wait(reply, &job->replies, REPLY_WAITS_RETRIED, job->id, -1);
}

void handle_retry(struct control *c, struct reply *reply, const struct control_params *p)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (!handover_ready(c, reply, METHOD_TRANSFER_RETRY, p))
        return;
    struct job *job = handlers_find_job(c, reply, METHOD_TRANSFER_RETRY, p);

    if (!job || !may_change(reply, job) || (p->source_fd && !may_hand_over(reply, job)))
        return;
    if (!job->queue.ending && !job_state_finished(job->state) && reply_handle(reply) &&
        !handover_attach(c, reply, job, &err)) {
        reply_error(reply, &err, job->id);
        return;
    }
    if (job->queue.ending) {
        keep_until_settled(reply, METHOD_TRANSFER_RETRY, p, job);
    } else if (job_state_finished(job->state)) {
        revive(c, reply, job);
    } else if (job->state == JOB_QUEUED && job->not_before > 0) {
        queue_hurry(c->queue, job);
        scheduler_hurry(c->scheduler, job);
        reply_wait(reply, &job->replies, REPLY_WAITS_RETRIED, job->id, -1);
    } else {
        answers_give(c, reply, job);
    }
}
