/* SPDX-License-Identifier: MIT
 *
 * A job may be waited for by tens of thousands: their replies go onto one list when it has ended,
 * and from there some a turn.
 */
#include "daemon/control/answers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ANSWERS_A_TURN 256
#define REASON_SIZE    (XFER_HOST_SIZE + 64)

static const char *reason_for(const struct control *c, const struct job *job, char *buf)
{
    if (job->state != JOB_QUEUED || job->queue.ending)
        return NULL;
    if (c->stopping)
        return "the daemon is stopping";
    if (!c->link) {
        snprintf(buf, REASON_SIZE, "waiting for %s: the other rank is down", c->peer_host);
        return buf;
    }
    const struct job *blocker = scheduler_blocker(c->scheduler, job);
    if (blocker) {
        snprintf(buf, REASON_SIZE, "waiting for job %" PRId64 ": the same or a nested destination",
                 blocker->id);
        return buf;
    }
    return job->schedule.heap_at ? "waiting for other transfers" : NULL;
}

char *answers_job_text(const struct control *c, const struct job *job)
{
    const struct link_peer *peer = c->link ? link_peer(c->link) : NULL;
    char buf[REASON_SIZE];
    struct job_view view = {
        .host = peer ? peer->host : "",
        .root = peer ? peer->root : "",
        .reason = reason_for(c, job, buf),
        .now = clock_monotonic(),
    };
    return job_encode(job, &view);
}

void answers_give(const struct control *c, struct reply *reply, const struct job *job)
{
    char *text = answers_job_text(c, job);

    reply_result(reply, text);
    free(text);
}

void answers_accepted(struct control *c, struct job *job)
{
    for (struct list *at = job->replies.next, *next; at != &job->replies; at = next) {
        struct reply *r = reply_of_link(at);

        next = at->next;
        if (reply_waits_for(r) == REPLY_WAITS_ACCEPTED)
            answers_give(c, r, job);
    }
}

static void on_turn(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct control *c = w->data;
    struct xfer_error err = XFER_ERROR_INIT;
    int64_t last = 0;
    char *text = NULL;

    (void)revents;
    for (int i = 0; i < ANSWERS_A_TURN && !list_empty(&c->answers); i++) {
        struct reply *r = reply_of_link(c->answers.next);
        int64_t id = reply_job(r);
        const struct job *job = queue_find(c->queue, id, &err);

        if (!job) {
            reply_error(r, &err, id);
            continue;
        }
        if (id != last) {
            free(text);
            text = answers_job_text(c, job);
            last = id;
        }
        reply_result(r, text);
    }
    free(text);
    if (!list_empty(&c->answers)) {
        ev_timer_stop(loop, w);
        ev_timer_set(w, 0., 0.);
        ev_timer_start(loop, w);
    }
}

void answers_init(struct control *c)
{
    list_init(&c->answers);
    ev_timer_init(&c->answers_turn, on_turn, 0., 0.);
    c->answers_turn.data = c;
}

void answers_clear(struct control *c)
{
    ev_timer_stop(c->loop, &c->answers_turn);
    ev_clear_pending(c->loop, &c->answers_turn);
}

void answers_ended(struct control *c, struct job *job)
{
    if (list_empty(&job->replies))
        return;
    list_take_all(&c->answers, &job->replies);
    if (!ev_is_active(&c->answers_turn) && !ev_is_pending(&c->answers_turn))
        ev_feed_event(c->loop, &c->answers_turn, EV_CUSTOM);
}

void answers_fail(struct job *job, const struct xfer_error *why, bool name_job)
{
    while (!list_empty(&job->replies))
        reply_error(reply_of_link(job->replies.next), why, name_job ? job->id : 0);
}

bool answers_settled(const struct control *c)
{
    return list_empty(&c->answers);
}
