/* SPDX-License-Identifier: MIT
 *
 * The news of jobs, from where they are made to all whom they concern: what the queue has recorded
 * and what the scheduler sees, to scheduler, receiver, subscribers and replies.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control/answers.h"
#include "daemon/control/handlers.h"
#include "daemon/control/handover.h"
#include "daemon/control/server_impl.h"
#include "daemon/log.h"

void server_set_stopping(struct xfer_error *err)
{
    error_set(err, XFER_STOPPING, "the daemon is stopping");
}

static int on_restored(void *user, struct job *job, struct xfer_error *err)
{
    struct server *s = user;

    events_publish(s->control.events, job);
    return scheduler_add(s->control.scheduler, job, err);
}

static void on_accepted(void *user, struct job *job, const struct xfer_error *why)
{
    struct server *s = user;
    struct control *c = &s->control;
    struct xfer_error err = XFER_ERROR_INIT;

    if (why) {
        handover_close(c, job);
        handover_drop_list(c, job);
        answers_fail(job, why, false);
        handlers_look_drained(c);
        return;
    }
    answers_accepted(c, job);
    events_publish(c->events, job);
    if (scheduler_add(c->scheduler, job, &err) < 0)
        queue_end(c->queue, job, JOB_FAILED, &err);
    if (c->stopping) {
        server_set_stopping(&err);
        answers_fail(job, &err, true);
    }
}

static void on_existing(void *user, struct job *job, struct job *old)
{
    struct server *s = user;
    struct control *c = &s->control;
    struct xfer_error err = XFER_ERROR_INIT;

    handover_move(c, job, old);
    handover_drop_list(c, job);
    answers_existing(c, job, old);
    if (c->stopping && old->state == JOB_QUEUED) {
        server_set_stopping(&err);
        answers_fail(old, &err, true);
    }
    handlers_look_drained(c);
}

static void on_changed(void *user, struct job *job)
{
    struct server *s = user;
    struct xfer_error err = XFER_ERROR_INIT;

    queue_resize(s->control.queue, job);
    events_changed(s->control.events, job);
    if (s->control.stopping && job->state == JOB_QUEUED) {
        server_set_stopping(&err);
        answers_fail(job, &err, true);
        server_look_stopped(s);
    }
}

/* A tree that failed may be tried again: what the receiver keeps of it, when it began, tells then
 * what is missing. */
static bool may_go_on(const struct job *job)
{
    return job->tree && job->state == JOB_FAILED;
}

static void on_left(void *user, int64_t number)
{
    const struct server *s = user;
    struct xfer_error err = XFER_ERROR_INIT;
    const struct job *job = queue_find(s->control.queue, number, &err);
    uint64_t id = (uint64_t)number;

    if (s->control.link && !(job && may_go_on(job)))
        link_send_forget(s->control.link, &id, 1);
}

/* Nothing that the receiver may hold of it is of use any more. */
static void forget_partial(struct control *c, const struct job *job)
{
    uint64_t id = (uint64_t)job->id;

    if (!c->link || may_go_on(job))
        return;
    /* a start that was followed at once by a death is not counted */
    if (job->restored ||
        (job->state == JOB_DONE && !job->tree ? job->attempts > 1 : job->attempts > 0))
        link_send_forget(c->link, &id, 1);
}

static void log_end(const struct job *job)
{
    if (job->state == JOB_FAILED)
        log_job(LOG_LEVEL_WARNING, job->id, job->source, "job %" PRId64 " failed: %s", job->id,
                job_error_text(job));
    else if (job->state == JOB_CANCELLED)
        log_job(LOG_LEVEL_INFO, job->id, job->source, "job %" PRId64 " was cancelled: %s", job->id,
                job->source);
    else
        log_job(LOG_LEVEL_INFO, job->id, job->source,
                "job %" PRId64 " is done: %s, %" PRId64 " bytes", job->id, job->source,
                job->bytes_done);
}

static void tell_hook(struct server *s, const struct job *job)
{
    char *text, *line;

    if (!s->hooked)
        return;
    text = answers_job_text(&s->control, job, false);
    if (text && strlen(text) >= XFER_HOOK_INPUT_MAX) {
        free(text);
        text = answers_job_text(&s->control, job, true);
    }
    if (!text || asprintf(&line, "%s\n", text) < 0)
        line = NULL;
    if (line)
        s->errands->ended(s->errands_user, job->id, job->state, line);
    else
        log_warning("the hook of job %" PRId64 " is dropped: no memory", job->id);
    free(line);
    free(text);
}

static void on_ended(void *user, struct job *job)
{
    struct server *s = user;
    struct control *c = &s->control;

    c->ended[job->state]++;
    if (job->state == JOB_DONE && !job->tree) {
        c->sent_files++;
        c->sent_bytes += job->bytes_done;
    }
    log_end(job);
    scheduler_remove(c->scheduler, job);
    handover_close(c, job);
    forget_partial(c, job);
    events_publish(c->events, job);
    answers_ended(c, job);
    tell_hook(s, job);
    handlers_look_drained(c);
    server_look_stopped(s);
}

static void on_hurried(void *user, struct job *job)
{
    struct server *s = user;

    events_changed(s->control.events, job);
    answers_retried(&s->control, job, NULL);
}

static void on_revived(void *user, struct job *job, const struct xfer_error *why)
{
    struct server *s = user;
    struct control *c = &s->control;
    struct xfer_error err = XFER_ERROR_INIT;

    if (why) {
        handover_close(c, job);
        answers_retried(c, job, why);
        handlers_look_drained(c);
        return;
    }
    if (scheduler_add(c->scheduler, job, &err) < 0)
        queue_end(c->queue, job, JOB_FAILED, &err);
    events_publish(c->events, job);
    answers_retried(c, job, NULL);
    if (c->stopping) {
        server_set_stopping(&err);
        answers_fail(job, &err, true);
    }
}

static void on_forgotten(void *user, struct job *job)
{
    struct server *s = user;
    uint64_t id = (uint64_t)job->id;

    events_forget(s->control.events, job);
    if (s->control.link && may_go_on(job))
        link_send_forget(s->control.link, &id, 1);
}

static void on_note_room(void *user, struct job *job)
{
    struct server *s = user;

    scheduler_go_on(s->control.scheduler, job);
}

static void on_settled(void *user)
{
    server_look_stopped(user);
}

const struct queue_events server_queue_events = {
    .restored = on_restored,
    .accepted = on_accepted,
    .existing = on_existing,
    .ended = on_ended,
    .hurried = on_hurried,
    .revived = on_revived,
    .forgotten = on_forgotten,
    .settled = on_settled,
    .note_room = on_note_room,
};

const struct scheduler_events server_scheduler_events = {.changed = on_changed, .left = on_left};

void server_partials(struct server *s, const uint64_t *jobs, unsigned n)
{
    struct control *c = &s->control;
    struct xfer_error err = XFER_ERROR_INIT;
    uint64_t gone[XFER_JOB_LIST_MAX];
    size_t n_gone = 0;

    for (unsigned i = 0; i < n; i++) {
        const struct job *job =
            jobs[i] <= XFER_JSON_INTEGER_MAX ? queue_find(c->queue, (int64_t)jobs[i], &err) : NULL;

        if (job && (!job_state_finished(job->state) || job->queue.reviving || may_go_on(job)))
            continue;
        gone[n_gone++] = jobs[i];
        if (n_gone == XFER_JOB_LIST_MAX || i + 1 == n) {
            link_send_forget(c->link, gone, n_gone);
            n_gone = 0;
        }
    }
    if (n_gone > 0)
        link_send_forget(c->link, gone, n_gone);
}
