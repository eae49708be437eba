/* SPDX-License-Identifier: MIT
 *
 * Choosing is cheap (pointers), telling is not (a text a job), so the choice is complete before the
 * first text is made.
 */
#include "daemon/control/job_list.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/control/admins.h"
#include "daemon/control/answers.h"
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

static void choose_finished(struct choice *ch, const struct queue *q)
{
    for (const struct job *job = queue_previous(q, JOB_DONE, NULL); job && ch->n < ch->max;
         job = queue_previous(q, JOB_DONE, job))
        if (wanted(ch, job))
            ch->jobs[ch->n++] = job;
}

static int by_number_down(const void *a, const void *b)
{
    const struct job *x = *(const struct job *const *)a, *y = *(const struct job *const *)b;

    return x->id < y->id ? 1 : x->id > y->id ? -1 : 0;
}

static int choose_finished_by_number(struct choice *ch, const struct queue *q,
                                     struct xfer_error *err)
{
    size_t n = 0, all = queue_count(q, JOB_DONE) + queue_count(q, JOB_FAILED) +
                        queue_count(q, JOB_CANCELLED);
    const struct job **jobs = calloc(all + 1, sizeof(struct job *));

    if (!jobs)
        return error_set(err, XFER_NO_RESOURCES, "no memory for the list");
    for (const struct job *job = queue_next(q, JOB_DONE, NULL); job && n < all;
         job = queue_next(q, JOB_DONE, job))
        if (wanted(ch, job))
            jobs[n++] = job;
    qsort(jobs, n, sizeof(struct job *), by_number_down);
    for (size_t i = 0; i < n && ch->n < ch->max; i++)
        ch->jobs[ch->n++] = jobs[i];
    free(jobs);
    return 0;
}

static int choose(struct choice *ch, const struct queue *q, struct xfer_error *err)
{
    int state = ch->p->state;

    if (state < 0 || state == JOB_RUNNING)
        choose_running(ch, q);
    if (state < 0 || state == JOB_QUEUED)
        choose_queued(ch, q);
    if (state >= 0 && !job_state_finished(state))
        return 0;
    if (ch->p->limit < 0 && ch->max - ch->n > XFER_LIST_FINISHED)
        ch->max = ch->n + XFER_LIST_FINISHED;
    if (ch->p->before)
        return choose_finished_by_number(ch, q, err);
    choose_finished(ch, q);
    return 0;
}

char *job_list_text(const struct control *c, const struct control_params *p, struct xfer_error *err)
{
    struct choice ch = {.p = p, .max = XFER_LIST_MAX};
    char **texts = NULL, *result = NULL;
    size_t n = 0, bytes = 0;

    if (p->user) {
        if (admins_find_user(p->user, &ch.user, err) < 0)
            return NULL;
        ch.by_user = true;
    }
    if (p->limit >= 0 && (size_t)p->limit < ch.max)
        ch.max = (size_t)p->limit;
    if (choose(&ch, c->queue, err) < 0)
        return NULL;

    texts = calloc(ch.n + 1, sizeof(char *));
    while (texts && n < ch.n && bytes < XFER_LIST_BYTES_MAX &&
           (texts[n] = answers_job_text(c, ch.jobs[n])))
        bytes += strlen(texts[n++]);
    if (texts && (n == ch.n || bytes >= XFER_LIST_BYTES_MAX))
        result = control_job_list_encode(texts, n);
    if (!result)
        error_set(err, XFER_NO_RESOURCES, "no memory for the list");
    while (n > 0)
        free(texts[--n]);
    free(texts);
    return result;
}
