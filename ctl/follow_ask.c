/* SPDX-License-Identifier: MIT
 *
 * The requests about the followed jobs and what is done with their replies. All are pipelined on
 * one connection; each reply is matched by its id, which says what was asked about which item.
 */
#include <stdlib.h>
#include <string.h>

#include "ctl/follow_internal.h"

#define SUBMITS_AT_ONCE 256  /* replies awaited */
#define WAITS_AT_ONCE   4096 /* the same; well below XFER_WAITS_MAX */
#define KIND_BITS       3    /* of an id: enum request_kind; the others are the index of the item */

int follow_ask(struct follow *f, enum request_kind kind, size_t index, enum method_id method,
               const struct control_params *params, struct xfer_error *err)
{
    return session_send(f->session, ((int64_t)index << KIND_BITS) | kind, method, params, err);
}

int follow_ask_about(struct follow *f, enum request_kind kind, size_t index, enum method_id method,
                     struct xfer_error *err)
{
    struct control_params params;

    control_params_init(&params);
    params.job = f->items[index].job;
    return follow_ask(f, kind, index, method, &params, err);
}

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

static void end_as_lost(struct follow *f, struct follow_item *item)
{
    struct xfer_error err = XFER_ERROR_INIT;

    error_set(&err, XFER_NO_SUCH_JOB, "was lost in a restart of the daemon");
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

/* ---- what is sent
 * -------------------------------------------------------------------------------- */

static int send_submits(struct follow *f, struct xfer_error *err)
{
    for (; f->next_submit < f->n && f->submits < SUBMITS_AT_ONCE; f->next_submit++) {
        struct follow_item *item = &f->items[f->next_submit];
        struct control_params params;

        if (item->step != FOLLOW_SUBMIT)
            continue;
        params = *f->options->submit;
        params.source = item->source;
        item->sent_at = session_queued(f->session);
        if (follow_ask(f, ASK_SUBMIT, f->next_submit, METHOD_TRANSFER_SUBMIT, &params, err))
            return -1;
        item->step = FOLLOW_SUBMITTED;
        f->submits++;
    }
    return 0;
}

/* Follow that job from now on: first the events, so that none is missed. */
static int send_wait(struct follow *f, size_t index, struct xfer_error *err)
{
    if (f->events && f->n <= SUBSCRIBE_EACH_MAX &&
        follow_ask_about(f, ASK_EVENTS, index, METHOD_EVENTS_SUBSCRIBE, err))
        return -1;
    f->items[index].step = FOLLOW_WAITING;
    f->waits++;
    return follow_ask_about(f, ASK_WAIT, index, METHOD_TRANSFER_WAIT, err);
}

static int send_waits(struct follow *f, struct xfer_error *err)
{
    for (; f->next_wait < f->n && f->waits < WAITS_AT_ONCE; f->next_wait++) {
        struct follow_item *item = &f->items[f->next_wait];

        if (item->step == FOLLOW_WAIT) {
            if (send_wait(f, f->next_wait, err))
                return -1;
        } else if (item->step == FOLLOW_CANCEL) {
            if (follow_ask_about(f, ASK_CANCEL, f->next_wait, METHOD_TRANSFER_CANCEL, err))
                return -1;
            item->step = FOLLOW_CANCELLING;
            f->waits++;
        } else if (item->step == FOLLOW_SUBMIT || item->step == FOLLOW_SUBMITTED) {
            break;
        }
    }
    return 0;
}

int follow_send_what_can_be(struct follow *f, struct xfer_error *err)
{
    if (f->hold || !session_connected(f->session))
        return 0;
    if (!f->signal && send_submits(f, err))
        return -1;
    return send_waits(f, err);
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

static void took_hello(struct follow *f, const char *result)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_hello hello;

    if (control_hello_parse(result, &hello, &err))
        return;
    /* Numbers of another queue mean other jobs, perhaps somebody else's. */
    if (f->queue_id[0] && strcmp(f->queue_id, hello.queue_id) != 0)
        for (size_t i = 0; i < f->n; i++)
            if (f->items[i].step != FOLLOW_ENDED && f->items[i].job > 0)
                end_as_lost(f, &f->items[i]);
    memcpy(f->queue_id, hello.queue_id, sizeof(f->queue_id));
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
    if (f->hold || f->waits >= WAITS_AT_ONCE) {
        follow_put_back(f, item, FOLLOW_WAIT);
        return 0;
    }
    return send_wait(f, index, err);
}

/* Keep the object of a job that is not followed any further. */
static void end_with_job(struct follow *f, struct follow_item *item, const struct control_job *job,
                         const char *json)
{
    free(item->json);
    item->json = strdup(json);
    if (f->options->purpose == FOLLOW_FOR_ID)
        end_item(f, item, 0);
    else if (item->exit_code && job->state == JOB_CANCELLED)
        end_item(f, item, item->exit_code); /* cancelled for --fail-fast */
    else
        end_item(f, item, exit_code_of(f, job));
}

static int took_job(struct follow *f, enum request_kind kind, size_t index, const char *result,
                    struct xfer_error *err)
{
    struct follow_item *item = &f->items[index];
    struct control_job job;
    int rc = 0;

    if (control_job_parse(result, &job, err))
        return -1;
    if (kind == ASK_SUBMIT)
        item->job = job.job;
    follow_tell_progress(f, item, job.bytes_done, job.bytes_total, job.rate, job.state);
    if (kind == ASK_STATUS) {
        if (job.state == JOB_QUEUED)
            follow_tell_reason(f, item, job.reason);
        if (job.state == JOB_QUEUED && f->options->fail_fast)
            rc = follow_ask(f, ASK_STATS, 0, METHOD_SYSTEM_STATS, NULL, err);
    } else if (final_state(job.state) || f->options->purpose == FOLLOW_FOR_ID) {
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

    if (in->error.code == XFER_STOPPING) {
        /* Not taken, or not yet ended: this connection will close, the next one may serve. */
        f->hold = HOLD_CLOSE;
        follow_put_back(f, item, item->step - 1); /* from awaited to to-be-asked */
    } else if (kind == ASK_CANCEL && f->signal) {
        /* It may have ended just before. */
        follow_put_back(f, item, FOLLOW_WAIT);
    } else if (in->error.code == XFER_NO_SUCH_JOB && item->survived) {
        end_as_lost(f, item);
    } else {
        follow_end_with_error(f, item, &in->error, in->error_text,
                              error_info(in->error.code)->exit_code);
    }
}

static int took_reply(struct follow *f, const struct control_incoming *in, struct xfer_error *err)
{
    static const enum follow_step expected[] = {[ASK_SUBMIT] = FOLLOW_SUBMITTED,
                                                [ASK_WAIT] = FOLLOW_WAITING,
                                                [ASK_CANCEL] = FOLLOW_CANCELLING};
    enum request_kind kind = (enum request_kind)(in->id & ((1 << KIND_BITS) - 1));
    size_t index = (size_t)(in->id >> KIND_BITS);
    bool good = in->kind == CONTROL_RESULT;

    if (in->id < 0) {
        *err = in->error;
        return error_prefix(err, "the daemon refused a request");
    }
    if (index >= f->n)
        return 0;

    switch (kind) {
    case ASK_HELLO:
        if (f->hold == HOLD_HELLO)
            f->hold = HOLD_NOT;
        if (good)
            took_hello(f, in->result);
        return 0;
    case ASK_STATS:
        if (f->hold == HOLD_STATS)
            f->hold = HOLD_NOT;
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
        follow_tell_progress(f, item, in->event.bytes_done, in->event.bytes_total, in->event.rate,
                             in->event.state);
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
