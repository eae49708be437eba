/* SPDX-License-Identifier: MIT
 *
 * Choosing is cheap (pointers), telling is not (a text a job), so the choice is complete before the
 * first text is made.
 *
 * Unfinished jobs, and the last ones to end, are in memory. Where these are not enough the database
 * is asked for as many finished ones as are wanted, and when they have come everything is chosen
 * anew: a job that is in memory by then is what it is there.
 */
#include "daemon/control/job_list.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/control/admins.h"
#include "daemon/control/answers.h"
#include "daemon/control/handlers_impl.h"
#include "daemon/control/pending.h"
#include "proto/control_reply.h"

struct choice {
    const struct control_params *p;
    bool by_user;
    uid_t user;
    const struct job *jobs[XFER_LIST_MAX];
    size_t n, max;
};

static bool wanted(const struct choice *ch, const struct job *job)
{
    return (ch->p->state < 0 || (int)job->state == ch->p->state) &&
           (!ch->by_user || job->owner == ch->user) &&
           (ch->p->before == 0 || job->id < ch->p->before);
}

static void choose_running(struct choice *ch, const struct queue *q)
{
    for (const struct job *job = queue_next(q, JOB_RUNNING, NULL); job && ch->n < ch->max;
         job = queue_next(q, JOB_RUNNING, job))
        if (wanted(ch, job))
            ch->jobs[ch->n++] = job;
}

static void choose_queued(struct choice *ch, const struct queue *q)
{
    size_t first = ch->n;

    if (ch->p->head) {
        for (const struct job *job = queue_next(q, JOB_QUEUED, NULL); job && ch->n < ch->max;
             job = queue_next(q, JOB_QUEUED, job))
            if (wanted(ch, job))
                ch->jobs[ch->n++] = job;
        return;
    }
    for (const struct job *job = queue_previous(q, JOB_QUEUED, NULL); job && ch->n < ch->max;
         job = queue_previous(q, JOB_QUEUED, job))
        if (wanted(ch, job))
            ch->jobs[ch->n++] = job;
    for (size_t i = first, j = ch->n; i + 1 < j; i++, j--) {
        const struct job *job = ch->jobs[i];

        ch->jobs[i] = ch->jobs[j - 1];
        ch->jobs[j - 1] = job;
    }
}

/* How many finished ones there may be, after all others. */
static size_t choose_unfinished(struct choice *ch, const struct queue *q)
{
    int state = ch->p->state;

    if (state < 0 || state == JOB_RUNNING)
        choose_running(ch, q);
    if (state < 0 || state == JOB_QUEUED)
        choose_queued(ch, q);
    if (state >= 0 && !job_state_finished(state))
        return 0;
    size_t left = ch->max - ch->n;
    return ch->p->limit < 0 && left > XFER_LIST_FINISHED ? XFER_LIST_FINISHED : left;
}

static int by_number_down(const void *a, const void *b)
{
    const struct job *x = *(const struct job *const *)a, *y = *(const struct job *const *)b;

    return x->id < y->id ? 1 : x->id > y->id ? -1 : 0;
}

static int by_end_down(const void *a, const void *b)
{
    const struct job *x = *(const struct job *const *)a, *y = *(const struct job *const *)b;

    return x->ended < y->ended ? 1 : x->ended > y->ended ? -1 : 0;
}

/* Up to most finished ones of those in memory and of others. False: no memory. */
static bool choose_finished(struct choice *ch, const struct queue *q, size_t most,
                            struct job *const *others, size_t n_others)
{
    const struct job **jobs;
    size_t n = n_others;

    for (const struct job *job = queue_next(q, JOB_DONE, NULL); job;
         job = queue_next(q, JOB_DONE, job))
        n += wanted(ch, job);
    jobs = calloc(n + 1, sizeof(struct job *));
    if (!jobs)
        return false;
    n = 0;
    for (const struct job *job = queue_next(q, JOB_DONE, NULL); job;
         job = queue_next(q, JOB_DONE, job))
        if (wanted(ch, job))
            jobs[n++] = job;
    for (size_t i = 0; i < n_others; i++)
        jobs[n++] = others[i];
    qsort(jobs, n, sizeof(struct job *), ch->p->before ? by_number_down : by_end_down);
    for (size_t i = 0; i < n && i < most; i++)
        ch->jobs[ch->n++] = jobs[i];
    free(jobs);
    return true;
}

static char *encode(const struct control *c, const struct choice *ch)
{
    char **texts = calloc(ch->n + 1, sizeof(char *)), *result = NULL;
    size_t n = 0, bytes = 0;

    while (texts && n < ch->n && bytes < XFER_LIST_BYTES_MAX &&
           (texts[n] = answers_job_text(c, ch->jobs[n], true)))
        bytes += strlen(texts[n++]);
    if (texts && (n == ch->n || bytes >= XFER_LIST_BYTES_MAX))
        result = control_job_list_encode(texts, n);
    while (n > 0)
        free(texts[--n]);
    free(texts);
    return result;
}

static int begin(struct choice *ch, const struct control_params *p, struct xfer_error *err)
{
    *ch = (struct choice){.p = p, .max = XFER_LIST_MAX};
    if (p->user) {
        if (admins_find_user(p->user, &ch->user, err) < 0)
            return -1;
        ch->by_user = true;
    }
    if (p->limit >= 0 && (size_t)p->limit < ch->max)
        ch->max = (size_t)p->limit;
    return 0;
}

static void on_listed(void *user, struct job *const *jobs, size_t n, const struct xfer_error *why)
{
    struct control *c = pending_control(user);
    struct xfer_error err = XFER_ERROR_INIT;
    struct choice ch;
    enum method_id method;

    if (why) {
        pending_fail(user, why);
        return;
    }
    struct reply *reply = pending_end(user);
    if (!reply)
        return;
    if (begin(&ch, reply_kept(reply, &method), &err) < 0) {
        reply_error(reply, &err, 0);
        return;
    }
    size_t most = choose_unfinished(&ch, c->queue);
    bool chosen = choose_finished(&ch, c->queue, most, jobs, n);
    handlers_give_text(reply, chosen ? encode(c, &ch) : NULL);
}

static void ask(struct control *c, struct reply *reply, const struct choice *ch, size_t most)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct queue_filter filter = {.state = ch->p->state,
                                  .by_owner = ch->by_user,
                                  .owner = ch->user,
                                  .before = ch->p->before,
                                  .limit = (int64_t)most};

    if (!handlers_keep(reply, METHOD_TRANSFER_LIST, ch->p))
        return;
    struct pending *pending = pending_create(c, reply, 0, -1);
    if (pending && queue_list(c->queue, &filter, on_listed, pending, &err) < 0)
        pending_fail(pending, &err);
}

void job_list_give(struct control *c, struct reply *reply, const struct control_params *p)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct choice ch;

    if (begin(&ch, p, &err) < 0) {
        reply_error(reply, &err, 0);
        return;
    }
    queue_follow(c->queue);
    size_t most = choose_unfinished(&ch, c->queue), unfinished = ch.n;
    bool chosen = choose_finished(&ch, c->queue, most, NULL, 0);
    /* By number, older ends may come before later ones. */
    bool enough =
        most == 0 || !queue_has_older(c->queue) || (ch.n - unfinished == most && p->before == 0);
    if (enough || !chosen)
        handlers_give_text(reply, chosen ? encode(c, &ch) : NULL);
    else
        ask(c, reply, &ch, most);
}
