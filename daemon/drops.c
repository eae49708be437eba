/* SPDX-License-Identifier: MIT
 *
 * See drops.h.
 */
#include "daemon/drops.h"

#include "daemon/log.h"

#define TELL_SECONDS 60.0

static void tell(struct drops *d)
{
    log_warning("%u more hook%s dropped: %s", d->more, d->more == 1 ? " was" : "s were", d->why);
    d->more = 0;
}

static void on_time(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct drops *d = w->data;

    (void)revents;
    if (d->more > 0)
        tell(d);
    else
        ev_timer_stop(loop, w);
}

void drops_init(struct drops *d, struct ev_loop *loop, const char *why)
{
    *d = (struct drops){.loop = loop, .why = why};
    ev_timer_init(&d->timer, on_time, TELL_SECONDS, TELL_SECONDS);
    d->timer.data = d;
}

void drops_count(struct drops *d, int64_t job)
{
    if (ev_is_active(&d->timer)) {
        d->more++;
        return;
    }
    log_job(LOG_LEVEL_WARNING, job, NULL, "the hook of job %lld is dropped: %s", (long long)job,
            d->why);
    ev_now_update(d->loop);
    ev_timer_again(d->loop, &d->timer);
}

void drops_end(struct drops *d)
{
    if (d->more > 0)
        tell(d);
    ev_timer_stop(d->loop, &d->timer);
}
