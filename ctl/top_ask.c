/* SPDX-License-Identifier: MIT
 *
 * xferctl top: the conversation. A turn is a question for the counters and one for the jobs, and
 * over when both are answered; a connection begins with who answers there.
 */
#include <stdlib.h>

#include "ctl/clock.h"
#include "ctl/screen.h"
#include "ctl/session.h"
#include "ctl/top_impl.h"

#define RETRY_SECONDS 0.2
#define JOBS_PLAIN    20
#define JOBS_JSON     100

enum { ASK_HELLO = 1, ASK_STATS, ASK_LIST };

/* ---- what is known
 * -------------------------------------------------------------------------------- */

static void forget_jobs(struct top *t)
{
    for (size_t i = 0; i < t->n_jobs; i++) {
        control_job_free(&t->jobs[i]);
        free(t->job_texts[i]);
    }
    free(t->jobs);
    free(t->job_texts);
    t->jobs = NULL;
    t->job_texts = NULL;
    t->n_jobs = 0;
}

static int take_jobs(struct top *t, const char *text, struct xfer_error *err)
{
    struct control_job *jobs;
    char **texts;
    size_t n, parsed = 0;

    if (control_job_list_parse(text, &texts, &n, err))
        return -1;
    jobs = calloc(n + 1, sizeof(*jobs));
    if (!jobs)
        error_set(err, XFER_NO_RESOURCES, "no memory");
    while (jobs && parsed < n && control_job_parse(texts[parsed], &jobs[parsed], err) == 0)
        parsed++;
    forget_jobs(t);
    t->jobs = jobs;
    t->job_texts = texts;
    t->n_jobs = parsed;
    for (size_t i = parsed; i < n; i++)
        free(texts[i]);
    return jobs && parsed == n ? 0 : -1;
}

void top_forget(struct top *t)
{
    forget_jobs(t);
    free(t->stats_text);
    t->stats_text = NULL;
}

/* ---- the conversation
 * ----------------------------------------------------------------------------- */

static int64_t jobs_wanted(const struct top *t)
{
    int rows, cols;

    if (!t->screen)
        return t->ctl->json ? JOBS_JSON : JOBS_PLAIN;
    screen_size(t->screen, &rows, &cols);
    return rows < XFER_LIST_MAX ? rows : XFER_LIST_MAX;
}

static int ask(struct top *t, double now, struct xfer_error *err)
{
    struct control_params params;

    control_params_init(&params);
    params.limit = jobs_wanted(t);
    params.head = true;
    t->asked = true;
    t->stats_known = t->list_known = false;
    t->next_at = now + t->interval;
    if (t->silent_since == 0)
        t->silent_since = now;
    if (!t->hello_known && session_send(t->session, ASK_HELLO, METHOD_SYSTEM_HELLO, NULL, err))
        return -1;
    return session_send(t->session, ASK_STATS, METHOD_SYSTEM_STATS, NULL, err) ||
                   session_send(t->session, ASK_LIST, METHOD_TRANSFER_LIST, &params, err)
               ? -1
               : 0;
}

static void lost(struct top *t, double now)
{
    session_disconnect(t->session);
    t->asked = false;
    t->hello_known = false;
    t->last.attempts_bytes = -1; /* the next one may count anew */
    t->next_at = now + RETRY_SECONDS;
    if (t->silent_since == 0)
        t->silent_since = now;
}

void top_ask(struct top *t, double now)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (t->asked || now < t->next_at)
        return;
    if (!session_connected(t->session) && session_connect(t->session, now, &err)) {
        lost(t, now);
        return;
    }
    if (ask(t, now, &err))
        top_fail(t, &err);
}

static int take_result(struct top *t, struct control_incoming *in, struct xfer_error *err)
{
    switch (in->id) {
    case ASK_HELLO:
        if (control_hello_parse(in->result, &t->hello, err))
            return -1;
        t->hello_known = true;
        break;
    case ASK_STATS:
        if (control_stats_parse(in->result, &t->stats, err))
            return -1;
        free(t->stats_text);
        t->stats_text = in->result;
        in->result = NULL;
        t->stats_known = true;
        break;
    case ASK_LIST:
        if (take_jobs(t, in->result, err))
            return -1;
        t->list_known = true;
        break;
    default:
        break;
    }
    return 0;
}

/* Take in what has come, without waiting for more. */
void top_take(struct top *t)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_incoming in;

    while (!t->over && session_connected(t->session)) {
        switch (session_next(t->session, clock_now(), &in, &err)) {
        case SESSION_MESSAGE:
            break;
        case SESSION_LOST:
            if (err.code != XFER_NO_DAEMON)
                top_fail(t, &err);
            else
                lost(t, clock_now());
            return;
        default:
            return;
        }
        if (in.kind == CONTROL_ERROR && in.error.code == XFER_STOPPING)
            lost(t, clock_now());
        else if (in.kind == CONTROL_ERROR)
            top_fail(t, &in.error);
        else if (in.kind == CONTROL_RESULT && take_result(t, &in, &err))
            top_fail(t, &err);
        control_incoming_free(&in);
        if (!t->over && t->asked && t->hello_known && t->stats_known && t->list_known)
            top_turn(t);
    }
}
