/* SPDX-License-Identifier: MIT
 *
 * A job may be waited for by tens of thousands: when it has ended it goes onto a list, and its
 * replies are given from there, some a turn. It stays in memory until they all are.
 */
#include "daemon/control/answers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "daemon/control/handlers.h"
#include "daemon/control/pending.h"

#define ANSWERS_A_TURN 256
#define REASON_SIZE    (XFER_HOST_SIZE + XFER_ERROR_TEXT_SIZE + 128)

static void tell_next_attempt(const struct job *job, char *buf)
{
    time_t at = (time_t)job->not_before;
    const char *text = job_error_text(job);
    char clock[16] = "";
    struct tm tm;

    if (localtime_r(&at, &tm))
        strftime(clock, sizeof clock, "%H:%M:%S", &tm);
    snprintf(buf, REASON_SIZE,
             "waiting for its next attempt, %" PRId64 " of %" PRId64 ", at %s%s%s",
             job->failures + 1, job->retries + 1, clock, text[0] ? ": " : "", text);
}

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
    if (queue_paused(c->queue))
        return "the queue is paused";
    const struct job *blocker = scheduler_blocker(c->scheduler, job);
    if (blocker) {
        snprintf(buf, REASON_SIZE, "waiting for job %" PRId64 ": the same or a nested destination",
                 blocker->id);
        return buf;
    }
    if (job->schedule.stuck)
        return "waiting for the last attempt, which is stuck in I/O";
    if (job->schedule.delayed && job_error_code(job) == XFER_SOURCE_HANDLE_LOST)
        return "waiting for its source to be handed over again, which a restart has lost";
    if (job->schedule.delayed) {
        tell_next_attempt(job, buf);
        return buf;
    }
    return job->schedule.heap.at ? "waiting for other transfers" : NULL;
}

/* Where each user's files are kept apart only the receiver knows under which name. */
static bool place_is_known(const struct link_peer *peer, const struct job *job)
{
    return !peer->per_user || job->stored || job->state == JOB_DONE;
}

static char *job_text(const struct control *c, const struct job *job, bool existing, bool brief)
{
    const struct link_peer *peer = c->link ? link_peer(c->link) : NULL;
    char buf[REASON_SIZE];
    struct job_view view = {
        .host = peer ? peer->host : "",
        .root = peer && place_is_known(peer, job) ? peer->root : "",
        .reason = reason_for(c, job, buf),
        .now = clock_monotonic(),
        .existing = existing,
        .brief = brief,
    };
    return job_encode(job, &view);
}

char *answers_job_text(const struct control *c, const struct job *job, bool brief)
{
    return job_text(c, job, false, brief);
}

static void give_now(const struct control *c, struct reply *reply, const struct job *job)
{
    char *text = job_text(c, job, reply_is_existing(reply), false);

    reply_result(reply, text);
    free(text);
}

/* The job may have gone while its notes were read. */
static void on_loaded(void *user, const struct xfer_error *why)
{
    struct control *c = pending_control(user);
    struct xfer_error err = XFER_ERROR_INIT;

    if (why) {
        pending_fail(user, why);
        return;
    }
    struct reply *reply = pending_end(user);
    if (!reply)
        return;
    const struct job *job = queue_find(c->queue, reply_job(reply), &err);
    if (job)
        give_now(c, reply, job);
    else
        reply_error(reply, &err, reply_job(reply));
}

void answers_give(struct control *c, struct reply *reply, struct job *job)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct pending *pending;

    if (!job_lacks_notes(job) || job->state == JOB_RUNNING) {
        give_now(c, reply, job);
        return;
    }
    pending = pending_create(c, reply, job->id, -1);
    if (pending && queue_load_notes(c->queue, job, on_loaded, pending, &err) < 0)
        pending_fail(pending, &err);
}

void answers_accepted(struct control *c, struct job *job)
{
    for (struct list *at = job->replies.next, *next; at != &job->replies; at = next) {
        struct reply *r = reply_of_link(at);

        next = at->next;
        reply_set_job(r, job->id);
        if (reply_waits_for(r) == REPLY_WAITS_ACCEPTED)
            answers_give(c, r, job);
    }
}

void answers_existing(struct control *c, struct job *job, struct job *old)
{
    bool same = job_is_same_request(job, old);
    struct xfer_error err = XFER_ERROR_INIT;

    error_set(&err, XFER_KEY_CONFLICT,
              "the key was given before, for job %" PRId64 ", with another request", old->id);
    while (!list_empty(&job->replies)) {
        struct reply *r = reply_of_link(job->replies.next);

        reply_set_existing(r);
        if (!same)
            reply_error(r, &err, old->id);
        else if (reply_waits_for(r) == REPLY_WAITS_ENDED && !job_state_finished(old->state))
            reply_wait(r, &old->replies, REPLY_WAITS_ENDED, old->id, -1);
        else
            answers_give(c, r, old);
    }
}

void answers_retried(struct control *c, struct job *job, const struct xfer_error *why)
{
    struct list now;

    list_init(&now);
    list_take_all(&now, &job->replies);
    while (!list_empty(&now)) {
        struct reply *r = reply_of_link(now.next);
        enum reply_wait what = reply_waits_for(r);

        reply_unwait(r);
        if (what == REPLY_WAITS_AGAIN) {
            handlers_again(c, r);
        } else if (what != REPLY_WAITS_RETRIED) {
            reply_put(r, &job->replies);
        } else if (why) {
            reply_error(r, why, job->id);
        } else {
            answers_give(c, r, job);
        }
    }
}

static void give_ended(struct control *c, struct job *job, struct reply *r, char **text)
{
    if (reply_waits_for(r) == REPLY_WAITS_AGAIN) {
        reply_unwait(r);
        handlers_again(c, r);
        return;
    }
    if (reply_is_existing(r) || job_lacks_notes(job)) {
        answers_give(c, r, job);
        return;
    }
    if (!*text)
        *text = job_text(c, job, false, false);
    reply_result(r, *text);
}

/* What is run again may take the job off the list of those that have ended. */
static void give_some(struct control *c, struct job *job, int *left)
{
    char *text = NULL;

    while (!list_empty(&job->answered) && !list_empty(&job->replies) && (*left)-- > 0)
        give_ended(c, job, reply_of_link(job->replies.next), &text);
    free(text);
    if (list_empty(&job->replies))
        list_remove(&job->answered);
}

static void on_turn(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct control *c = w->data;
    int left = ANSWERS_A_TURN;

    (void)revents;
    while (left > 0 && !list_empty(&c->answers)) {
        give_some(c, list_entry(c->answers.next, struct job, answered), &left);
    }
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
    while (!list_empty(&c->answers))
        list_remove(c->answers.next);
}

void answers_ended(struct control *c, struct job *job)
{
    if (list_empty(&job->replies))
        return;
    list_remove(&job->answered);
    list_add_before(&c->answers, &job->answered);
    if (!ev_is_active(&c->answers_turn) && !ev_is_pending(&c->answers_turn))
        ev_feed_event(c->loop, &c->answers_turn, EV_CUSTOM);
}

void answers_flush(struct control *c, struct job *job)
{
    char *text = NULL;

    if (list_empty(&job->answered))
        return;
    list_remove(&job->answered);
    for (struct list *at = job->replies.next, *next; at != &job->replies; at = next) {
        struct reply *r = reply_of_link(at);

        next = at->next;
        if (reply_waits_for(r) != REPLY_WAITS_AGAIN)
            give_ended(c, job, r, &text);
    }
    free(text);
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
