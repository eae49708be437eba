/* SPDX-License-Identifier: MIT
 *
 * What is done with the replies to the requests of follow_ask.c, and with events. Each reply is
 * matched by its id.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/clock.h"
#include "ctl/follow_internal.h"

#define BUSY_SECONDS 0.5 /* until a file is handed over that could not be */

/* ---- ends
 * ---------------------------------------------------------------------------------------- */

static void end_item(struct follow *f, struct follow_item *item, int exit_code)
{
    item->step = FOLLOW_ENDED;
    item->exit_code = exit_code;
    f->ended++;
}

void follow_end_with_error(struct follow *f, struct follow_item *item, const struct xfer_error *err,
                           const char *error_text, int exit_code)
{
    item->error = malloc(sizeof(*item->error));
    if (item->error)
        *item->error = *err;
    item->error_text = error_text ? strdup(error_text) : NULL;
    end_item(f, item, exit_code);
}

/* The daemon that came back knows nothing of what the former one had. */
static void end_as_lost(struct follow *f, struct follow_item *item, const char *why)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (item->job > 0)
        error_set(&err, XFER_NO_SUCH_JOB, "was lost in a restart of the daemon: %s", why);
    else
        error_set(&err, XFER_NO_DAEMON, "not known whether it was queued: %s", why);
    follow_end_with_error(f, item, &err, NULL, 1);
}

static bool final_state(enum job_state state)
{
    return state == JOB_DONE || state == JOB_FAILED || state == JOB_CANCELLED;
}

static int exit_code_of(const struct follow *f, const struct control_job *job)
{
    if (f->options->purpose == FOLLOW_FOR_CANCEL)
        return job->state == JOB_CANCELLED ? 0 : 1;
    if (job->state == JOB_DONE)
        return 0;
    if (job->exit_code > 0 && job->exit_code < 126)
        return job->exit_code;
    return error_info(job->state == JOB_CANCELLED ? XFER_CANCELLED : XFER_INTERNAL)->exit_code;
}

/* ---- what comes
 * ---------------------------------------------------------------------------------- */

/* Go over the items again from here: this one was put back to an earlier step. */
void follow_put_back(struct follow *f, struct follow_item *item, enum follow_step step)
{
    size_t index = (size_t)(item - f->items);

    item->step = step;
    if (step == FOLLOW_SUBMIT && index < f->next_submit)
        f->next_submit = index;
    if (index < f->next_wait)
        f->next_wait = index;
}

static int took_hello(struct follow *f, const struct control_incoming *in, struct xfer_error *err)
{
    struct control_hello hello;

    if (in->kind == CONTROL_ERROR) {
        if (in->error.code == XFER_STOPPING) {
            f->hold |= HOLD_CLOSE;
            return 0;
        }
        *err = in->error;
        return error_prefix(err, "the daemon refused a request");
    }
    if (control_hello_parse(in->result, &hello, err))
        return -1;
    f->hold &= ~(unsigned)HOLD_HELLO;
    f->lost_at = 0;
    f->hand_over = strcmp(hello.identity, "daemon") == 0 && hello.uid != (int64_t)geteuid();
    /* Numbers of another queue mean other jobs, perhaps somebody else's, and a key that is new
     * there would make a second job. */
    if (f->queue_id[0] && strcmp(f->queue_id, hello.queue_id) != 0)
        for (size_t i = f->first; i < f->n; i++) {
            struct follow_item *item = &f->items[i];

            if (item->step != FOLLOW_ENDED && (item->job > 0 || item->unanswered))
                end_as_lost(f, item, "it came back with another queue");
        }
    memcpy(f->queue_id, hello.queue_id, sizeof(f->queue_id));
    return 0;
}

static int took_stats(struct follow *f, const char *result, struct xfer_error *err)
{
    struct control_stats stats;

    if (control_stats_parse(result, &stats, err))
        return -1;
    if (stats.peer_up) {
        f->peer_seen = true;
        return 0;
    }
    if (!f->peer_seen)
        return error_set(err, XFER_PEER_DOWN, "the other rank is down");

    for (size_t i = f->first; i < f->n; i++) {
        struct follow_item *item = &f->items[i];

        if (item->step != FOLLOW_WAITING || item->state != JOB_QUEUED || item->exit_code)
            continue;
        output_notice(f->ctl->out, "job %lld is cancelled: the other rank is down",
                      (long long)item->job);
        item->exit_code = error_info(XFER_PEER_DOWN)->exit_code;
        if (follow_ask_about(f, ASK_CANCEL, i, METHOD_TRANSFER_CANCEL, err))
            return -1;
    }
    return 0;
}

/* The job is there and has not ended: on to its next step. */
static int go_on(struct follow *f, enum request_kind kind, size_t index, struct xfer_error *err)
{
    struct follow_item *item = &f->items[index];

    if (kind == ASK_SUBMIT && f->signal && f->options->cancel_on_interrupt) {
        follow_put_back(f, item, FOLLOW_CANCEL);
        return 0;
    }
    follow_put_back(f, item, FOLLOW_WAIT);
    if (f->hold || f->waits >= FOLLOW_WAITS_AT_ONCE)
        return 0;
    return follow_send_about(f, index, err);
}

/* Does this end with the object, whatever it says? */
static bool job_is_enough(const struct follow *f)
{
    return f->options->purpose == FOLLOW_FOR_ID || f->options->purpose == FOLLOW_FOR_RETRY;
}

/* Keep the object of a job that is not followed any further. */
static void end_with_job(struct follow *f, struct follow_item *item, const struct control_job *job,
                         const char *json)
{
    free(item->json);
    /* Only the answer to the submit tells whether the job was there before: not that to a wait, nor
     * that to a submit that was repeated and so may have met the job of the first. */
    item->json = item->answered ? control_job_with_existing(json, item->existing) : strdup(json);
    if (job_is_enough(f))
        end_item(f, item, 0);
    else if (item->exit_code && job->state == JOB_CANCELLED)
        end_item(f, item, item->exit_code); /* cancelled for --fail-fast */
    else
        end_item(f, item, exit_code_of(f, job));
}

/* What to do about a job that may hang on a file. */
static int took_look(struct follow *f, size_t index, const struct control_job *job,
                     const char *result, struct xfer_error *err)
{
    struct follow_item *item = &f->items[index];

    if (!f->options->submit) { /* retry: the file is handed over with it, by whom it was before */
        if (job->handle && job->state != JOB_DONE && job->uid == (int64_t)geteuid() &&
            job->source) {
            free(item->hand);
            item->hand = strdup(job->source);
        }
        follow_put_back(f, item, FOLLOW_RETRY);
    } else if (final_state(job->state)) {
        end_with_job(f, item, job, result);
    } else if (job->handle) { /* the same submission again hands it over, and does nothing else */
        item->unanswered = true;
        follow_put_back(f, item, FOLLOW_SUBMIT);
    } else {
        return go_on(f, ASK_LOOK, index, err);
    }
    return 0;
}

static int took_job(struct follow *f, enum request_kind kind, size_t index, const char *result,
                    struct xfer_error *err)
{
    struct follow_item *item = &f->items[index];
    struct control_job job;
    int rc = 0;

    if (control_job_parse(result, &job, err))
        return -1;
    if (kind == ASK_SUBMIT) {
        if (item->job == 0 && !item->unanswered) {
            item->answered = true;
            item->existing = job.existing;
        }
        item->job = job.job;
    }
    item->known = true;
    item->handle = job.handle;
    follow_tell_progress(f, item,
                         &(struct follow_progress){
                             .bytes_done = job.bytes_done,
                             .bytes_total = job.bytes_total,
                             .files_ended = job.files_done + job.files_failed + job.files_skipped,
                             .files_total = job.files_total,
                             .walking = job.walking,
                             .rate = job.rate,
                             .state = job.state});
    if (kind == ASK_SUBMIT)
        follow_tell_handle(f, item);
    if (kind == ASK_LOOK) {
        rc = took_look(f, index, &job, result, err);
    } else if (kind == ASK_STATUS) {
        if (job.state == JOB_QUEUED)
            follow_tell_reason(f, item, job.reason);
        if (job.state == JOB_QUEUED && f->options->fail_fast)
            rc = follow_ask(f, ASK_STATS, 0, METHOD_SYSTEM_STATS, NULL, err);
    } else if (final_state(job.state) || job_is_enough(f)) {
        end_with_job(f, item, &job, result);
    } else {
        rc = go_on(f, kind, index, err);
    }
    control_job_free(&job);
    return rc;
}

static void took_error(struct follow *f, enum request_kind kind, size_t index,
                       const struct control_incoming *in)
{
    struct follow_item *item = &f->items[index];
    int exit_code = error_info(in->error.code)->exit_code;

    if (in->error.code == XFER_STOPPING) {
        /* This connection will close, the next one may serve. */
        f->hold |= HOLD_CLOSE;
        item->unanswered = true;
        follow_put_back(f, item, item->step - 1); /* from awaited to to-be-asked */
    } else if (kind == ASK_SUBMIT && in->error.code == XFER_TOO_BUSY && f->hand_over &&
               f->options->purpose == FOLLOW_FOR_RESULT) {
        /* The end of others makes room for its file. */
        f->busy_until = clock_now() + BUSY_SECONDS;
        follow_tell_reason(f, NULL, in->error.text);
        follow_put_back(f, item, FOLLOW_SUBMIT);
    } else if (kind == ASK_CANCEL && f->signal) {
        /* It may have ended just before. */
        follow_put_back(f, item, FOLLOW_WAIT);
    } else if (in->error.code == XFER_NO_SUCH_JOB && item->known) {
        end_as_lost(f, item, "it is no longer in the queue");
    } else if (kind == ASK_SUBMIT && item->unanswered && error_info(in->error.code)->retryable) {
        /* That no job could be added now does not say that none was before. */
        end_as_lost(f, item, in->error.text);
    } else if (kind == ASK_RETRY && in->error.code == XFER_INVALID_PARAMS) {
        /* It is done, perhaps by the retry whose reply was lost. */
        if (item->unanswered)
            end_item(f, item, 0);
        else
            follow_end_with_error(f, item, &in->error, in->error_text, 1);
    } else {
        follow_end_with_error(f, item, &in->error, in->error_text, exit_code);
    }
}

static int took_reply(struct follow *f, const struct control_incoming *in, struct xfer_error *err)
{
    static const enum follow_step expected[] = {[ASK_SUBMIT] = FOLLOW_SUBMITTED,
                                                [ASK_WAIT] = FOLLOW_WAITING,
                                                [ASK_CANCEL] = FOLLOW_CANCELLING,
                                                [ASK_RETRY] = FOLLOW_RETRYING,
                                                [ASK_LOOK] = FOLLOW_LOOKING};
    enum request_kind kind = (enum request_kind)(in->id & ((1 << FOLLOW_KIND_BITS) - 1));
    size_t index = (size_t)(in->id >> FOLLOW_KIND_BITS);
    bool good = in->kind == CONTROL_RESULT;

    if (in->id < 0) {
        *err = in->error;
        return error_prefix(err, "the daemon refused a request");
    }
    if (index >= f->n)
        return 0;

    switch (kind) {
    case ASK_HELLO:
        return took_hello(f, in, err);
    case ASK_STATS:
        f->hold &= ~(unsigned)HOLD_STATS;
        return good ? took_stats(f, in->result, err) : 0;
    case ASK_STATUS:
        f->looking = false;
        return good ? took_job(f, kind, index, in->result, err) : 0;
    case ASK_SUBMIT:
        if (f->submits > 0)
            f->submits--;
        break;
    case ASK_WAIT:
    case ASK_CANCEL:
    case ASK_RETRY:
    case ASK_LOOK:
        /* A cancel may go beside a wait, which then tells the end. */
        if (f->items[index].step == expected[kind] && f->waits > 0)
            f->waits--;
        break;
    default:
        return 0;
    }
    if (f->items[index].step != expected[kind])
        return 0;
    if (good)
        return took_job(f, kind, index, in->result, err);
    took_error(f, kind, index, in);
    return 0;
}

static void took_event(struct follow *f, const struct control_incoming *in)
{
    for (size_t i = f->first; i < f->n; i++) {
        struct follow_item *item = &f->items[i];

        if (item->job != in->event.job || item->step == FOLLOW_ENDED)
            continue;
        item->known = true;
        follow_tell_progress(f, item,
                             &(struct follow_progress){.bytes_done = in->event.bytes_done,
                                                       .bytes_total = in->event.bytes_total,
                                                       .files_ended = in->event.files_done +
                                                                      in->event.files_failed +
                                                                      in->event.files_skipped,
                                                       .files_total = in->event.files_total,
                                                       .walking = in->event.walking,
                                                       .rate = in->event.rate,
                                                       .state = in->event.state});
        follow_tell_event(f, item, &in->event, in->result);
    }
}

int follow_took(struct follow *f, const struct control_incoming *in, struct xfer_error *err)
{
    switch (in->kind) {
    case CONTROL_RESULT:
    case CONTROL_ERROR:
        return took_reply(f, in, err);
    case CONTROL_EVENT:
        took_event(f, in);
        return 0;
    case CONTROL_EVENTS_LOST:
        if (f->options->purpose == FOLLOW_FOR_EVENTS)
            output_notice(f->ctl->out, "%lld events were lost", (long long)in->lost);
        return 0;
    default:
        return 0;
    }
}
