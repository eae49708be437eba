/* SPDX-License-Identifier: MIT
 *
 * Puts the parts together: connections to clients, requests to handlers. And the orderly end.
 */
#include "daemon/control/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/control/acceptor.h"
#include "daemon/control/admins.h"
#include "daemon/control/answers.h"
#include "daemon/control/handlers.h"
#include "daemon/control/handover.h"
#include "daemon/control/limits.h"
#include "daemon/control/pending.h"
#include "daemon/control/server_impl.h"
#include "daemon/log.h"
#include "proto/control_reply.h"

/* Descriptors that clients don't get: files are to be opened however many connections there are. */
#define DESCRIPTORS_KEPT 256

/* ---- connections ---- */

static void refuse_connection(const struct server *s, int fd)
{
    struct xfer_error err = XFER_ERROR_INIT;

    error_set(&err, XFER_TOO_BUSY, "there are %zu connections already", s->clients_max);
    char *text = control_reply_error("null", &err, 0);
    if (text) {
        struct iovec parts[] = {{text, strlen(text)}, {(char *)"\n", 1}};
        struct msghdr msg = {.msg_iov = parts, .msg_iovlen = 2};

        (void)!sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    free(text);
    close(fd);
}

static void on_connected(void *user, int fd)
{
    struct server *s = user;
    struct xfer_error err = XFER_ERROR_INIT;
    uid_t uid;
    bool admin;

    if (clients_count(s->control.clients) >= s->clients_max) {
        refuse_connection(s, fd);
        return;
    }
    if (admins_identify(s->admins, fd, &uid, &admin, &err) < 0) {
        log_warning("a connection is refused: %s", err.text);
        close(fd);
    } else if (clients_add(s->control.clients, fd, uid, admin, &err) < 0) {
        log_warning("a connection is refused: %s", err.text);
    }
}

static void on_request(void *user, struct reply *reply, const struct control_request *request)
{
    struct server *s = user;

    handlers_run(&s->control, reply, request);
}

static void on_drained(void *user, struct client *client)
{
    struct server *s = user;

    events_pump(s->control.events, client);
}

static void on_closed(void *user, struct client *client)
{
    struct server *s = user;

    events_unsubscribe(s->control.events, client);
    if (s->acceptor)
        acceptor_resume(s->acceptor);
}

/* ---- the end ---- */

void server_look_stopped(struct server *s)
{
    struct control *c = &s->control;

    if (!c->stopping || !s->done || ev_is_active(&s->stopped))
        return;
    if (!s->given_up && (scheduler_running(c->scheduler) > 0 || !queue_settled(c->queue) ||
                         !answers_settled(c) || clients_unsent(c->clients) > 0))
        return;
    ev_timer_set(&s->stopped, 0., 0.);
    ev_timer_start(c->loop, &s->stopped);
}

static void on_written(void *user)
{
    server_look_stopped(user);
}

static void on_stopped(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct server *s = w->data;
    void (*done)(void *user) = s->done;

    (void)revents;
    ev_timer_stop(loop, &s->stop_timer);
    s->done = NULL;
    done(s->user); /* may destroy the server */
}

/* Those that run, and requests that are being recorded, get a true answer soon. */
static void fail_waits_for_queued(struct control *c, const struct xfer_error *why)
{
    for (struct job *job = queue_next(c->queue, JOB_QUEUED, NULL); job;
         job = queue_next(c->queue, JOB_QUEUED, job))
        if (!job->queue.ending)
            answers_fail(job, why, true);
}

static void on_stop_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct server *s = w->data;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)loop;
    (void)revents;
    server_set_stopping(&err);
    clients_fail(s->control.clients, &err);
    s->given_up = true;
    server_look_stopped(s);
}

void server_stop(struct server *s, double seconds, void (*done)(void *user), void *user)
{
    struct control *c = &s->control;
    struct xfer_error err = XFER_ERROR_INIT;

    if (c->stopping)
        return;
    c->stopping = true;
    s->done = done;
    s->user = user;
    acceptor_destroy(s->acceptor);
    s->acceptor = NULL;
    server_set_stopping(&err);
    pinger_fail(c->pinger, &err);
    reloader_fail(c->reloader, &err);
    pendings_fail(c, &err);
    while (!list_empty(&c->drains))
        reply_error(reply_of_link(c->drains.next), &err, 0);
    fail_waits_for_queued(c, &err);
    for (struct job *job; (job = sizer_take(c->sizer));) {
        handover_close(c, job);
        handover_drop_list(c, job);
        answers_fail(job, &err, false);
        job_destroy(job);
    }
    scheduler_stop(c->scheduler, &err);
    ev_now_update(c->loop);
    ev_timer_set(&s->stop_timer, seconds > 0 ? seconds : 0, 0.);
    ev_timer_start(c->loop, &s->stop_timer);
    server_look_stopped(s);
}

/* ---- */

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            log_info("the limit of descriptors stays as it was: %s", strerror(errno));
    }
}

static size_t most_clients(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
        limit.rlim_cur >= XFER_CLIENTS_MAX + DESCRIPTORS_KEPT)
        return XFER_CLIENTS_MAX;
    return limit.rlim_cur >= 2 * DESCRIPTORS_KEPT ? limit.rlim_cur - DESCRIPTORS_KEPT
                                                  : limit.rlim_cur / 2;
}

static void on_sized(void *user, struct job *job)
{
    handlers_admit(user, job);
}

/* Of what clients and files leave; where that is little, a part of what is kept for files. */
static size_t most_handles(size_t clients)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
        limit.rlim_cur >= clients + DESCRIPTORS_KEPT + XFER_HANDLES_MAX)
        return XFER_HANDLES_MAX;
    if (limit.rlim_cur > clients + DESCRIPTORS_KEPT + DESCRIPTORS_KEPT / 4)
        return limit.rlim_cur - clients - DESCRIPTORS_KEPT;
    return (limit.rlim_cur - clients) / 4;
}

static int make_parts(struct server *s, const struct server_options *o, struct xfer_error *err)
{
    static const struct clients_events clients_events = {on_request, on_drained, on_closed,
                                                         on_written};
    struct control *c = &s->control;
    struct scheduler_options scheduler_options = {
        .sender = o->link ? o->sender : NULL,
        .handle_wait = XFER_HANDLE_SECONDS,
        .paused = queue_paused(o->queue),
        .as_owner = o->conf->source_identity == IDENTITY_CALLER,
    };

    if (!(s->admins = admins_create(o->conf->control_admins, err)) ||
        !(c->sizer = sizer_create(o->loop, o->policy, c->as_owner, on_sized, c, err)) ||
        !(c->scheduler = scheduler_create(o->loop, c->queue, &scheduler_options,
                                          &server_scheduler_events, s, err)) ||
        !(c->events = events_create(o->loop, err)) || !(c->pinger = pinger_create(o->link, err)) ||
        !(c->reloader = reloader_create(o->errands, o->errands_user, err)) ||
        !(c->clients = clients_create(o->loop, &clients_events, s, err)) ||
        !(c->handles = handles_create(o->pool, o->policy, s->handles_max, err)) ||
        !(c->lists = lists_create(queue_lists(c->queue), queue_id(c->queue), o->pool, err)))
        return -1;
    server_apply_conf(s, o->conf);
    if (queue_serve(c->queue, &server_queue_events, s, err) < 0 ||
        !(s->acceptor = acceptor_create(o->loop, o->listen_fd, on_connected, s, err)))
        return -1;
    clients_set_handles(c->clients, c->handles);
    if (queue_paused(c->queue))
        log_notice("the queue is paused: %zu jobs wait for it to be resumed",
                   queue_count(c->queue, JOB_QUEUED));
    return 0;
}

struct server *server_create(const struct server_options *o, struct xfer_error *err)
{
    struct server *s = calloc(1, sizeof *s);
    struct control *c;

    if (!s) {
        error_set(err, XFER_NO_RESOURCES, "no memory for the control service");
        return NULL;
    }
    c = &s->control;
    c->loop = o->loop;
    c->link = o->link;
    c->generation = o->generation;
    c->started = clock_monotonic();
    c->queue = o->queue;
    c->sender = o->link ? o->sender : NULL;
    limits_init(c, o->conf);
    s->errands = o->errands;
    s->errands_user = o->errands_user;
    c->as_owner = o->conf->source_identity == IDENTITY_CALLER;
    memcpy(c->host, o->host, sizeof c->host);
    memcpy(c->peer_host, o->conf->peer_host[0] ? o->conf->peer_host : o->host, sizeof c->peer_host);
    answers_init(c);
    pendings_init(c);
    list_init(&c->drains);
    ev_timer_init(&s->stop_timer, on_stop_timer, 0., 0.);
    ev_timer_init(&s->stopped, on_stopped, 0., 0.);
    s->stop_timer.data = s->stopped.data = s;
    raise_descriptor_limit();
    s->clients_max = most_clients();
    s->handles_max = most_handles(s->clients_max);
    if (getrandom(c->boot_id, sizeof c->boot_id, 0) != (ssize_t)sizeof c->boot_id) {
        error_set_errno(err, errno, "random bytes");
        server_destroy(s);
        return NULL;
    }
    if (make_parts(s, o, err) < 0) {
        server_destroy(s);
        return NULL;
    }
    return s;
}

void server_destroy(struct server *s)
{
    if (!s)
        return;
    struct control *c = &s->control;

    acceptor_destroy(s->acceptor);
    s->acceptor = NULL;
    clients_destroy(c->clients);
    sizer_destroy(c->sizer);
    scheduler_destroy(c->scheduler);
    events_destroy(c->events);
    pinger_destroy(c->pinger);
    reloader_destroy(c->reloader);
    handles_destroy(c->handles);
    lists_destroy(c->lists);
    admins_destroy(s->admins);
    answers_clear(c);
    pendings_clear(c);
    ev_timer_stop(c->loop, &s->stop_timer);
    ev_timer_stop(c->loop, &s->stopped);
    free(s);
}
