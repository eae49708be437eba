/* SPDX-License-Identifier: MIT
 *
 * What each method does. Parameters were checked by the decoder, so a handler looks only at what it
 * alone can know. Nothing here blocks; what takes time is waited for by the reply, not by the
 * function.
 */
#include "daemon/control/handlers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/control/answers.h"
#include "daemon/control/job_list.h"
#include "proto/control_reply.h"
#include "proto/relpath.h"

typedef void handler(struct control *c, struct reply *reply, const struct control_params *p);

static void give_text(struct reply *reply, char *text)
{
    reply_result(reply, text);
    free(text);
}

static void hex(const unsigned char *bytes, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static void system_hello(struct control *c, struct reply *reply, const struct control_params *p)
{
    struct control_hello hello = {.version = PACKAGE_VERSION, .api = CONTROL_API, .n_ranks = 1};

    (void)p;
    hex(c->queue_id, sizeof c->queue_id, hello.queue_id);
    hex(c->boot_id, sizeof c->boot_id, hello.boot_id);
    hello.ranks[0].pid = getpid();
    memcpy(hello.ranks[0].host, c->host, sizeof c->host);
    if (c->link) {
        const struct link_peer *peer = link_peer(c->link);

        hello.ranks[1].rank = peer->rank;
        hello.ranks[1].pid = peer->pid;
        memcpy(hello.ranks[1].host, peer->host, sizeof peer->host);
        hello.n_ranks = 2;
    }
    give_text(reply, control_hello_encode(&hello));
}

static void system_list_methods(struct control *c, struct reply *reply,
                                const struct control_params *p)
{
    (void)c;
    (void)p;
    give_text(reply, control_list_methods_encode());
}

static void system_describe(struct control *c, struct reply *reply, const struct control_params *p)
{
    const struct method_spec *method = method_find(p->method);
    struct xfer_error err = XFER_ERROR_INIT;

    (void)c;
    if (method) {
        give_text(reply, control_describe_encode(method));
        return;
    }
    error_set(&err, XFER_INVALID_PARAMS, "there is no method \"%s\"", p->method);
    reply_error(reply, &err, 0);
}

static void system_ping(struct control *c, struct reply *reply, const struct control_params *p)
{
    (void)p;
    pinger_ask(c->pinger, reply);
}

static void system_stats(struct control *c, struct reply *reply, const struct control_params *p)
{
    struct control_stats stats = {
        .uptime = clock_monotonic() - c->started,
        .peer_up = c->link != NULL,
        .store_free_bytes = -1,
        .store_total_bytes = -1,
        .clients = (int64_t)clients_count(c->clients),
        .finished_done = c->ended[JOB_DONE],
        .finished_failed = c->ended[JOB_FAILED],
        .finished_cancelled = c->ended[JOB_CANCELLED],
        .sent_bytes = c->sent_bytes,
        .sent_files = c->sent_files,
        .generation = c->generation,
    };
    const struct job *oldest = queue_next(c->queue, JOB_QUEUED, NULL);

    (void)p;
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        stats.jobs[i] = (int64_t)queue_count(c->queue, i);
    if (oldest) {
        double age = clock_unix() - oldest->submitted_at;

        stats.oldest_queued = age > 0 ? age : 0;
    }
    snprintf(stats.peer_host, sizeof stats.peer_host, "%s", c->peer_host);
    if (c->link) {
        const struct link_peer *peer = link_peer(c->link);

        memcpy(stats.peer_host, peer->host, sizeof stats.peer_host);
        memcpy(stats.store_root, peer->root, sizeof stats.store_root);
        stats.store_free_bytes = peer->free_bytes;
        stats.store_total_bytes = peer->total_bytes;
        stats.lanes = link_lanes(c->link);
        stats.chunk = link_chunk(c->link);
    }
    give_text(reply, control_stats_encode(&stats));
}

static void transfer_submit(struct control *c, struct reply *reply, const struct control_params *p)
{
    struct xfer_error err = XFER_ERROR_INIT;
    char dest[XFER_PATH_SIZE];

    if (relpath_resolve(p->source, p->dest, dest, &err) < 0) {
        reply_error(reply, &err, 0);
        return;
    }
    struct job_spec spec = {
        .source = p->source,
        .dest = dest,
        .owner = client_uid(reply_client(reply)),
        .priority = (int)p->priority,
        .overwrite = p->overwrite,
        .sync = p->sync,
    };
    struct job *job = queue_submit(c->queue, &spec, &err);
    if (job)
        reply_wait(reply, &job->replies, p->wait ? REPLY_WAITS_ENDED : REPLY_WAITS_ACCEPTED,
                   job->id, -1);
    else
        reply_error(reply, &err, 0);
}

/* The job of the request, or NULL: the reply has been given then. */
static struct job *find_job(struct control *c, struct reply *reply, const struct control_params *p)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = queue_find(c->queue, p->job, &err);

    if (!job)
        reply_error(reply, &err, p->job);
    return job;
}

static void transfer_status(struct control *c, struct reply *reply, const struct control_params *p)
{
    struct job *job = find_job(c, reply, p);

    if (job)
        answers_give(c, reply, job);
}

static void transfer_list(struct control *c, struct reply *reply, const struct control_params *p)
{
    struct xfer_error err = XFER_ERROR_INIT;
    char *text = job_list_text(c, p, &err);

    if (text)
        give_text(reply, text);
    else
        reply_error(reply, &err, 0);
}

static void transfer_wait(struct control *c, struct reply *reply, const struct control_params *p)
{
    struct job *job = find_job(c, reply, p);

    if (!job)
        return;
    if (job_state_finished(job->state))
        answers_give(c, reply, job);
    else
        reply_wait(reply, &job->replies, REPLY_WAITS_ENDED, job->id, p->timeout);
}

static void transfer_cancel(struct control *c, struct reply *reply, const struct control_params *p)
{
    struct job *job = find_job(c, reply, p);
    struct xfer_error err = XFER_ERROR_INIT;

    if (!job)
        return;
    uid_t uid = client_uid(reply_client(reply));
    if (uid != job->owner && !client_is_admin(reply_client(reply))) {
        error_set(&err, XFER_PERMISSION_DENIED, "job %" PRId64 " belongs to uid %u", job->id,
                  (unsigned)job->owner);
        reply_error(reply, &err, job->id);
        return;
    }
    if (job_state_finished(job->state)) {
        answers_give(c, reply, job);
        return;
    }
    if (!job->queue.ending) {
        bool waits = job->state == JOB_QUEUED;

        error_set(&err, XFER_CANCELLED, "cancelled by uid %u", (unsigned)uid);
        scheduler_cancel(c->scheduler, job, &err);
        if (waits)
            queue_end(c->queue, job, JOB_CANCELLED, &err);
    }
    reply_wait(reply, &job->replies, REPLY_WAITS_ENDED, job->id, -1);
}

static void events_subscribe_handler(struct control *c, struct reply *reply,
                                     const struct control_params *p)
{
    struct client *client = reply_client(reply);
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = NULL;

    if (p->job) {
        job = find_job(c, reply, p);
        if (!job)
            return;
    }
    if (events_subscribe(c->events, client, job, &err) < 0) {
        reply_error(reply, &err, p->job);
        return;
    }
    give_text(reply, control_subscribed_encode(true));
    events_pump(c->events, client);
}

static void events_unsubscribe_handler(struct control *c, struct reply *reply,
                                       const struct control_params *p)
{
    (void)p;
    events_unsubscribe(c->events, reply_client(reply));
    give_text(reply, control_subscribed_encode(false));
}

static handler *const handlers[METHOD_COUNT] = {
    [METHOD_SYSTEM_HELLO] = system_hello,
    [METHOD_SYSTEM_LIST_METHODS] = system_list_methods,
    [METHOD_SYSTEM_DESCRIBE] = system_describe,
    [METHOD_SYSTEM_PING] = system_ping,
    [METHOD_SYSTEM_STATS] = system_stats,
    [METHOD_TRANSFER_SUBMIT] = transfer_submit,
    [METHOD_TRANSFER_STATUS] = transfer_status,
    [METHOD_TRANSFER_LIST] = transfer_list,
    [METHOD_TRANSFER_WAIT] = transfer_wait,
    [METHOD_TRANSFER_CANCEL] = transfer_cancel,
    [METHOD_EVENTS_SUBSCRIBE] = events_subscribe_handler,
    [METHOD_EVENTS_UNSUBSCRIBE] = events_unsubscribe_handler,
};

/* Whether it does more than answer. */
static bool has_effect(enum method_id method)
{
    return method == METHOD_TRANSFER_SUBMIT || method == METHOD_TRANSFER_CANCEL;
}

void handlers_run(struct control *c, struct reply *reply, const struct control_request *request)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (request->error.code != XFER_OK) {
        reply_error(reply, &request->error, 0);
    } else if (c->stopping) {
        error_set(&err, XFER_STOPPING, "the daemon is stopping");
        reply_error(reply, &err, 0);
    } else if (client_is_mute(reply_client(reply)) && !has_effect(request->method->id)) {
        reply_drop(reply); /* thousands of questions may be left of one who has gone */
    } else {
        handlers[request->method->id](c, reply, &request->params);
    }
}
