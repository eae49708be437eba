/* SPDX-License-Identifier: MIT
 *
 * See throttle.h. One timer, for the first of those that wait.
 */
#include "daemon/send/throttle.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

/* No sooner again: a high rate brings several pieces in that time, and what is due meanwhile is
 * saved up. */
#define WAIT_MIN 0.002 /* seconds */

struct throttle {
    struct ev_loop *loop;
    struct shaper shaper;
    void (*go)(struct shaper_flow *flow);
    ev_timer timer;
};

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void start_timer(struct throttle *t, double seconds)
{
    ev_timer_stop(t->loop, &t->timer);
    ev_now_update(t->loop);
    ev_timer_set(&t->timer, seconds, 0.);
    ev_timer_start(t->loop, &t->timer);
}

static void wait_for_first(struct throttle *t)
{
    double wait = shaper_wait(&t->shaper, now());

    if (wait >= 0)
        start_timer(t, wait > WAIT_MIN ? wait : WAIT_MIN);
    else
        ev_timer_stop(t->loop, &t->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct throttle *t = w->data;
    struct shaper_flow *flow;

    (void)loop;
    (void)revents;
    while ((flow = shaper_next(&t->shaper, now())))
        t->go(flow);
    wait_for_first(t);
}

struct throttle *throttle_create(struct ev_loop *loop, void (*go)(struct shaper_flow *flow),
                                 struct xfer_error *err)
{
    struct throttle *t = calloc(1, sizeof *t);

    if (!t) {
        error_set_errno(err, ENOMEM, "throttle");
        return NULL;
    }
    t->loop = loop;
    t->go = go;
    shaper_init(&t->shaper, 0, now());
    ev_timer_init(&t->timer, on_timer, 0., 0.);
    t->timer.data = t;
    return t;
}

void throttle_destroy(struct throttle *t)
{
    if (!t)
        return;
    ev_timer_stop(t->loop, &t->timer);
    free(t);
}

void throttle_set_rate(struct throttle *t, int64_t rate)
{
    shaper_set_rate(&t->shaper, (double)rate, now());
    if (ev_is_active(&t->timer))
        start_timer(t, 0);
}

void throttle_bucket(struct bucket *b, int64_t rate)
{
    shaper_bucket_init(b, (double)rate, now());
}

void throttle_begin(struct throttle *t, struct shaper_flow *flow, int64_t rate,
                    struct bucket *shared)
{
    shaper_leave(&t->shaper, flow);
    shaper_flow_begin(flow, (double)rate, shared, now());
}

size_t throttle_take(struct throttle *t, struct shaper_flow *flow, size_t want)
{
    size_t n;

    if (!shaper_has_rate(&t->shaper) && !shaper_flow_has_rate(flow)) { /* nearly always */
        shaper_leave(&t->shaper, flow);
        return want;
    }
    n = shaper_take(&t->shaper, flow, want, now());
    if (n == 0)
        wait_for_first(t);
    return n;
}

void throttle_leave(struct throttle *t, struct shaper_flow *flow)
{
    shaper_leave(&t->shaper, flow);
}
