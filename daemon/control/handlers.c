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

#include "daemon/control/handlers_impl.h"
#include "daemon/control/pending.h"
#include "proto/control_reply.h"

typedef void handler(struct control *c, struct reply *reply, const struct control_params *p);

void handlers_give_text(struct reply *reply, char *text)
{
    reply_result(reply, text);
    free(text);
}

/* ---- jobs that are not in memory ---- */

static void on_fetched(void *user, const struct xfer_error *why)
{
    struct control *c = pending_control(user);

    if (why) {
        pending_fail(user, why);
        return;
    }
    struct reply *reply = pending_end(user);
    if (reply)
        handlers_again(c, reply);
}

static void fetch(struct control *c, struct reply *reply, const struct control_params *p)
{
    struct xfer_error err = XFER_ERROR_INIT;
    int64_t job = p->job;
    struct pending *pending = pending_create(c, reply, job, p->timeout);

    if (pending && queue_fetch(c->queue, job, on_fetched, pending, &err) < 0)
        pending_fail(pending, &err);
}

struct job *handlers_find_job(struct control *c, struct reply *reply, enum method_id method,
                              const struct control_params *p)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job;

    queue_follow(c->queue);
    job = queue_find(c->queue, p->job, &err);
    if (job)
        return job;
    if (err.code != XFER_JOB_FORGOTTEN || reply_is_fetched(reply)) {
        reply_error(reply, &err, p->job);
    } else if (handlers_keep(reply, method, p)) {
        reply_set_fetched(reply);
        fetch(c, reply, p);
    }
    return NULL;
}

/* ---- system ---- */

static void hex(const unsigned char *bytes, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static void system_hello(struct control *c, struct reply *reply, const struct control_params *p)
{
    struct control_hello hello = {.version = PACKAGE_VERSION, .api = CONTROL_API, .n_ranks = 1};

    (void)p;
    hello.uid = geteuid();
    strcpy(hello.identity, c->as_owner ? "caller" : "daemon");
    hello.jobs_finished_kept = c->finished_kept;
    hex(queue_id(c->queue), XFER_QUEUE_ID_SIZE, hello.queue_id);
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
    handlers_give_text(reply, control_hello_encode(&hello));
}

static void system_list_methods(struct control *c, struct reply *reply,
                                const struct control_params *p)
{
    (void)c;
    (void)p;
    handlers_give_text(reply, control_list_methods_encode());
}

static void system_describe(struct control *c, struct reply *reply, const struct control_params *p)
{
    const struct method_spec *method = method_find(p->method);
    struct xfer_error err = XFER_ERROR_INIT;

    (void)c;
    if (method) {
        handlers_give_text(reply, control_describe_encode(method));
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
        .paused = queue_paused(c->queue),
        .draining = queue_draining(c->queue),
    };
    const struct scheduler_counts *counts = scheduler_counts(c->scheduler);
    const struct job *oldest = queue_next(c->queue, JOB_QUEUED, NULL);

    (void)p;
    stats.sent_bytes += counts->tree_bytes;
    stats.sent_files += counts->tree_files;
    stats.attempts_started = counts->started;
    stats.attempts_failed = counts->failed;
    stats.attempts_bytes = counts->bytes;
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
    handlers_give_text(reply, control_stats_encode(&stats));
}

/* ---- events ---- */

static void events_subscribe_handler(struct control *c, struct reply *reply,
                                     const struct control_params *p)
{
    struct client *client = reply_client(reply);
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = NULL;

    if (p->job) {
        job = handlers_find_job(c, reply, METHOD_EVENTS_SUBSCRIBE, p);
        if (!job)
            return;
    }
    if (events_subscribe(c->events, client, job, &err) < 0) {
        reply_error(reply, &err, p->job);
        return;
    }
    handlers_give_text(reply, control_subscribed_encode(true));
    events_pump(c->events, client);
}

static void events_unsubscribe_handler(struct control *c, struct reply *reply,
                                       const struct control_params *p)
{
    (void)p;
    events_unsubscribe(c->events, reply_client(reply));
    handlers_give_text(reply, control_subscribed_encode(false));
}

static handler *const handlers[METHOD_COUNT] = {
    [METHOD_SYSTEM_HELLO] = system_hello,
    [METHOD_SYSTEM_LIST_METHODS] = system_list_methods,
    [METHOD_SYSTEM_DESCRIBE] = system_describe,
    [METHOD_SYSTEM_PING] = system_ping,
    [METHOD_SYSTEM_STATS] = system_stats,
    [METHOD_TRANSFER_SUBMIT] = handle_submit,
    [METHOD_TRANSFER_STATUS] = handle_status,
    [METHOD_TRANSFER_LIST] = handle_list,
    [METHOD_TRANSFER_WAIT] = handle_wait,
    [METHOD_TRANSFER_CANCEL] = handle_cancel,
    [METHOD_TRANSFER_RETRY] = handle_retry,
    [METHOD_TRANSFER_ERRORS] = handle_errors,
    [METHOD_TRANSFER_PLAN] = handle_plan,
    [METHOD_QUEUE_PAUSE] = handle_pause,
    [METHOD_QUEUE_RESUME] = handle_resume,
    [METHOD_QUEUE_DRAIN] = handle_drain,
    [METHOD_LIMITS_GET] = handle_limits_get,
    [METHOD_LIMITS_SET] = handle_limits_set,
    [METHOD_DAEMON_RELOAD] = handle_reload,
    [METHOD_EVENTS_SUBSCRIBE] = events_subscribe_handler,
    [METHOD_EVENTS_UNSUBSCRIBE] = events_unsubscribe_handler,
};

/* Whether it does more than answer. */
static bool has_effect(enum method_id method)
{
    switch (method) {
    case METHOD_TRANSFER_SUBMIT:
    case METHOD_TRANSFER_CANCEL:
    case METHOD_TRANSFER_RETRY:
    case METHOD_QUEUE_PAUSE:
    case METHOD_QUEUE_RESUME:
    case METHOD_QUEUE_DRAIN:
    case METHOD_LIMITS_SET:
    case METHOD_DAEMON_RELOAD:
        return true;
    default:
        return false;
    }
}

static void run(struct control *c, struct reply *reply, enum method_id method,
                const struct control_params *p)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (c->stopping) {
        error_set(&err, XFER_STOPPING, "the daemon is stopping");
        reply_error(reply, &err, 0);
    } else if (client_is_mute(reply_client(reply)) && !has_effect(method)) {
        reply_drop(reply); /* thousands of questions may be left of one who has gone */
    } else {
        handlers[method](c, reply, p);
    }
}

bool handlers_keep(struct reply *reply, enum method_id method, const struct control_params *p)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (reply_keep(reply, method, p))
        return true;
    error_set(&err, XFER_NO_RESOURCES, "no memory for the request");
    reply_error(reply, &err, p->job);
    return false;
}

void handlers_again(struct control *c, struct reply *reply)
{
    enum method_id method;
    const struct control_params *p = reply_kept(reply, &method);

    run(c, reply, method, p);
}

void handlers_run(struct control *c, struct reply *reply, const struct control_request *request)
{
    if (request->error.code != XFER_OK)
        reply_error(reply, &request->error, 0);
    else
        run(c, reply, request->method->id, &request->params);
}
