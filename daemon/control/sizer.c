/* SPDX-License-Identifier: MIT
 *
 * See sizer.h. One strand looks up one source after the other. While a look that took too long is
 * still out, no further one is made: a file system that hangs makes others wait once, not each.
 */
#include "daemon/control/sizer.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/send/source.h"
#include "daemon/work/identity.h"
#include "daemon/work/pool.h"

#define WAITING_MAX 4096 /* jobs */
#define DRAIN       0.2  /* seconds for a look at the end */

struct look {
    struct work work; /* must be first */
    struct sizer *sizer;
    struct list link; /* of those that wait */
    struct job *job;  /* NULL: it has left */
    double until;     /* monotonic */
    bool out;         /* on the worker */
    int64_t size;     /* 0: not known */
    struct source source;
    struct identity *owner; /* as whom it is looked at; NULL: as the daemon */
};

struct sizer {
    struct ev_loop *loop;
    struct source_policy *policy; /* NULL, or a share */
    bool as_owner;
    void (*sized)(void *user, struct job *job);
    void *user;
    struct pool *pool; /* made when it is first needed */
    struct strand *strand;
    struct list waiting;
    unsigned n_waiting;
    unsigned late; /* looks that are still out, and nobody waits for */
    ev_timer timer;
};

static struct look *first_of(const struct sizer *s)
{
    return list_entry(s->waiting.next, struct look, link);
}

static void look_free(struct look *look)
{
    source_free(&look->source);
    identity_destroy(look->owner);
    free(look);
}

struct job *sizer_take(struct sizer *s)
{
    if (list_empty(&s->waiting))
        return NULL;
    struct look *look = first_of(s);
    struct job *job = look->job;

    list_remove(&look->link);
    s->n_waiting--;
    look->job = NULL;
    if (look->out)
        s->late++;
    else
        look_free(look);
    return job;
}

static void settle(struct sizer *s)
{
    double now = clock_monotonic();

    while (!list_empty(&s->waiting)) {
        struct look *look = first_of(s);

        if (look->out && s->late == 0 && look->until > now)
            break;
        if (!look->out && look->size > 0)
            look->job->bytes_total = look->size;
        s->sized(s->user, sizer_take(s));
    }
    ev_timer_stop(s->loop, &s->timer);
    if (list_empty(&s->waiting))
        return;
    ev_now_update(s->loop);
    ev_timer_set(&s->timer, first_of(s)->until - now, 0.);
    ev_timer_start(s->loop, &s->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    settle(w->data);
}

static void run_look(struct work *work)
{
    struct look *look = (struct look *)(void *)work;
    struct xfer_error err = XFER_ERROR_INIT;

    if (identity_assume(look->owner, &err) < 0 || source_size(&look->source, &look->size, &err) < 0)
        look->size = 0;
    identity_drop();
}

static void done_look(struct work *work)
{
    struct look *look = (struct look *)(void *)work;
    struct sizer *s = look->sizer;

    look->out = false;
    if (look->job) {
        settle(s);
        return;
    }
    s->late--;
    look_free(look);
}

struct sizer *sizer_create(struct ev_loop *loop, struct source_policy *policy, bool as_owner,
                           void (*sized)(void *user, struct job *job), void *user,
                           struct xfer_error *err)
{
    struct sizer *s = calloc(1, sizeof *s);

    if (!s) {
        error_set(err, XFER_NO_RESOURCES, "no memory for the sizes of files");
        return NULL;
    }
    s->loop = loop;
    s->policy = policy ? source_policy_share(policy) : NULL;
    s->as_owner = as_owner;
    s->sized = sized;
    s->user = user;
    list_init(&s->waiting);
    ev_timer_init(&s->timer, on_timer, 0., 0.);
    s->timer.data = s;
    return s;
}

void sizer_destroy(struct sizer *s)
{
    if (!s)
        return;
    for (struct job *job; (job = sizer_take(s));)
        job_destroy(job);
    ev_timer_stop(s->loop, &s->timer);
    if (s->pool && !pool_drain(s->pool, DRAIN))
        return;
    strand_destroy(s->strand);
    pool_destroy(s->pool);
    source_policy_destroy(s->policy);
    free(s);
}

bool sizer_is_busy(const struct sizer *s)
{
    return s->n_waiting > 0;
}

static int make_pool(struct sizer *s, struct xfer_error *err)
{
    if (!s->pool && !(s->pool = pool_create(s->loop, 1, err)))
        return -1;
    if (!s->strand && !(s->strand = strand_create(s->pool)))
        return error_set(err, XFER_NO_RESOURCES, "no memory for the sizes of files");
    return 0;
}

static struct look *look_create(const struct sizer *s, const struct job *job,
                                struct xfer_error *err)
{
    struct look *look = calloc(1, sizeof *look);

    if (!look) {
        error_set(err, XFER_NO_RESOURCES, "no memory for the request");
        return NULL;
    }
    if (source_init(&look->source, job->source, err) < 0 ||
        (s->as_owner &&
         !(look->owner = identity_create(job->owner, job->gid, job->groups,
                                         job->n_groups > 0 ? job->n_groups : 0, err)))) {
        look_free(look);
        return NULL;
    }
    look->source.policy = s->policy;
    return look;
}

int sizer_put(struct sizer *s, struct job *job, bool look_it_up, struct xfer_error *err)
{
    struct look *look;

    if (s->n_waiting >= WAITING_MAX)
        return error_set(err, XFER_TOO_BUSY, "%d requests wait for the sizes of their files",
                         WAITING_MAX);
    if (make_pool(s, err) < 0)
        return -1;
    look = look_create(s, job, err);
    if (!look)
        return -1;
    look->sizer = s;
    look->job = job;
    look->until = clock_monotonic() + SIZER_SECONDS;
    look->work.run = run_look;
    look->work.done = done_look;
    list_init(&look->link);
    list_add_before(&s->waiting, &look->link);
    s->n_waiting++;
    look->out = look_it_up && s->late == 0;
    if (look->out)
        strand_submit(s->strand, &look->work);
    settle(s);
    return 0;
}
