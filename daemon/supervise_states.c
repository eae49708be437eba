/* SPDX-License-Identifier: MIT
 *
 * The supervisor's states. A generation is one run of the launcher with both ranks, or of rank 0
 * alone; there is never more than one, and the next one starts only when every process of the last
 * is dead.
 *
 *   LAUNCHING --ready--> RUNNING --STOP to rank 0--> STOPPING --all gone--> over, or the next
 *       |                   |                           |
 *       +---a death, a failure, silence, SIGTERM--> ENDING (all are killed) <--out of time
 *                                                     |
 *   LAUNCHING <--at once, or after PAUSING--- all dead --when stopping---> over
 *
 * Rank 0 alone takes requests, which wait, for as long as both cannot be had: while a pause between
 * two starts lasts, and with two hosts until the other one answers (see peer.h). Then it is stopped
 * in order, since it holds the queue, and both are started. It may be started as soon as the daemon
 * was ready once, or, with two hosts, after the first attempt; before that, what fails is a failure
 * to start.
 *
 * One timer serves all states: for LAUNCHING the time by which the ranks must be ready, for RUNNING
 * the longest silence of rank 0, for ENDING the next look at what is left, for PAUSING the time
 * until rank 0 is started alone, for STOPPING the time that the ranks have. When both are due is
 * the peer's own.
 */
#include "daemon/supervise_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/orphans.h"

#define LAUNCH_SECONDS       20.0 /* until READY, on one host */
#define LAUNCH_SECONDS_PEER  60.0 /* with another one, which may have to be logged in to */
#define LAUNCH_SECONDS_FIRST 10.0 /* ... when nobody has served yet */
#define ALONE_SECONDS        0.3  /* gaps up to this are not worth a rank 0 alone */
#define LOOK_SECONDS         0.05 /* between looks at what is left of a killed generation */
#define END_SECONDS          0.8  /* for killed processes to go away while stopping */
#define COMPLAIN_SECONDS     5.0  /* ... else */
#define HOOK_SECONDS         3.5  /* for hooks to come to an end while stopping */
#define FIRST_ATTEMPTS       3    /* starts without any success after which it is given up */

/* For how long things take: unlike the loop's, this clock is never set. */
static double seconds_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void set_timer(struct supervisor *s, double seconds)
{
    ev_timer_stop(s->loop, &s->timer);
    ev_timer_set(&s->timer, seconds, 0.);
    ev_now_update(s->loop);
    ev_timer_start(s->loop, &s->timer);
}

static void leave(void *user)
{
    struct supervisor *s = user;

    ev_break(s->loop, EVBREAK_ALL);
}

static void finish(struct supervisor *s, int status)
{
    s->state = OVER;
    s->status = status;
    ev_timer_stop(s->loop, &s->timer);
    if (!hooks_wait(s->hooks, leave, s))
        leave(s);
}

/* ---- the end of a generation ---------------------------------------------------------------- */

static void kill_all(struct supervisor *s)
{
    if (s->state != ENDING) {
        s->ending_since = seconds_now();
        s->complained = false;
    }
    s->state = ENDING;
    generation_kill(&s->now, s->ranks);
    set_timer(s, LOOK_SECONDS);
}

void states_end(struct supervisor *s, const char *fmt, ...)
{
    char why[256];
    va_list args;

    if (s->state != LAUNCHING && s->state != RUNNING)
        return;
    va_start(args, fmt);
    vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    if (s->now.refused && s->now.repeated)
        log_info("%s", why);
    else
        log_warning("%s%s", why, s->now.alone ? "" : "; all ranks are ended");
    notify_status(why);
    kill_all(s);
    states_look(s);
}

static bool has_two_hosts(const struct supervisor *s)
{
    return s->conf.peer_host[0] != '\0';
}

const char *states_aim(const struct supervisor *s)
{
    return s->state == LAUNCHING && !s->now.alone ? s->aim : "";
}

/* The delay before both are started, and whether somebody serves until then. */
static void pause_both(struct supervisor *s, double lived)
{
    double delay;

    if (lived < 0 && s->was_ready && !s->now.refused && !has_two_hosts(s))
        lived = 0; /* they have worked before: something killed these */
    delay = backoff_next(&s->backoff, lived);
    if (delay > 0 && delay != s->told_delay && !has_two_hosts(s))
        log_notice("the ranks are started again in %g s", delay);
    s->told_delay = delay;
    s->state = PAUSING;
    peer_wait(s->peer, delay);
    if (has_two_hosts(s))
        set_timer(s, lived > 0 ? ALONE_SECONDS : 0);
    else if (delay > ALONE_SECONDS && s->was_ready)
        set_timer(s, 0);
    else
        ev_timer_stop(s->loop, &s->timer);
}

static void pause_alone(struct supervisor *s, double lived)
{
    double delay = backoff_next(&s->alone_backoff, lived);

    if (delay > 0)
        log_info("rank 0 is started again in %g s", delay);
    s->state = PAUSING;
    set_timer(s, delay);
}

/* Nothing of it runs any more. */
static void generation_over(struct supervisor *s)
{
    double lived = s->now.ready_at > 0 ? seconds_now() - s->now.ready_at : -1;

    ranks_expect(s->ranks, 0);
    runtime_clear(s->runtime);
    if (s->stopping) {
        finish(s, 0);
        return;
    }
    if (s->both_due) {
        states_start(s, false);
        return;
    }
    if (!s->now.alone && s->now.ready_at == 0)
        s->attempts++;
    if (!s->was_ready && (s->now.refused || (!has_two_hosts(s) && s->attempts >= FIRST_ATTEMPTS))) {
        log_error("the ranks could not be started");
        finish(s, 1);
        return;
    }
    if (s->now.alone)
        pause_alone(s, lived);
    else
        pause_both(s, lived);
}

/* Is everything gone? */
void states_look(struct supervisor *s)
{
    double since;

    if (s->state != ENDING && s->state != STOPPING)
        return;
    if (generation_is_gone(&s->now, s->ranks)) {
        generation_over(s);
        return;
    }
    if (s->state != ENDING)
        return;
    since = seconds_now() - s->ending_since;
    if (s->stopping && since > END_SECONDS) {
        log_warning("killed processes have not gone away yet");
        finish(s, 0);
        return;
    }
    if (since > COMPLAIN_SECONDS && !s->complained) {
        log_warning("killed processes of the last ranks do not go away: is a file system stuck?");
        s->complained = true;
    }
    set_timer(s, LOOK_SECONDS);
}

/* ---- the beginning of the next one ----------------------------------------------------------- */

static double launch_limit(const struct supervisor *s)
{
    if (s->now.alone || !has_two_hosts(s))
        return LAUNCH_SECONDS;
    return s->was_ready ? LAUNCH_SECONDS_PEER : LAUNCH_SECONDS_FIRST;
}

void states_start(struct supervisor *s, bool alone)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (!alone)
        s->both_due = false;
    s->state = LAUNCHING;
    s->reload.launched = s->reload.applied;
    if (generation_start(&s->now, &s->launch, s->ranks, alone, &err) < 0)
        states_end(s, "%s", err.text);
    else
        set_timer(s, launch_limit(s));
}

bool states_ready(struct supervisor *s)
{
    if (s->state != LAUNCHING)
        return false;
    s->state = RUNNING;
    s->now.ready_at = seconds_now();
    if (!s->now.alone)
        s->attempts = 0;
    set_timer(s, HANDOFF_SILENCE_SECONDS);
    return true;
}

void states_alive(struct supervisor *s)
{
    if (s->state == RUNNING)
        set_timer(s, HANDOFF_SILENCE_SECONDS);
}

/* To rank 0, which sees to the rest. */
static void stop_in_order(struct supervisor *s)
{
    struct handoff_message m = {.kind = HANDOFF_STOP, .generation = s->now.number, .fd = -1};
    struct xfer_error err = XFER_ERROR_INIT;

    if (ranks_send(s->ranks, 0, &m, &err) < 0) {
        kill_all(s);
        states_look(s);
        return;
    }
    s->state = STOPPING;
    set_timer(s, HANDOFF_STOP_SECONDS);
}

/* Both ranks can be had, as far as one can know: rank 0 alone makes room. */
void states_due(void *user)
{
    struct supervisor *s = user;

    s->both_due = true;
    switch (s->state) {
    case PAUSING:
        states_start(s, false);
        break;
    case LAUNCHING: /* nobody was served yet */
        kill_all(s);
        states_look(s);
        break;
    case RUNNING:
        stop_in_order(s);
        break;
    case ENDING:
    case STOPPING:
    case OVER:
        break;
    }
}

/* ---- time, and the end ----------------------------------------------------------------------- */

void states_on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct supervisor *s = w->data;

    (void)loop;
    (void)revents;
    switch (s->state) {
    case LAUNCHING:
        states_end(s, "%sthe ranks were not ready in time", states_aim(s));
        break;
    case RUNNING:
        states_end(s, "rank 0 said nothing for %g s", HANDOFF_SILENCE_SECONDS);
        break;
    case ENDING:
        states_look(s);
        break;
    case PAUSING:
        states_start(s, true);
        break;
    case STOPPING:
        log_warning("the ranks did not end in time and are killed");
        kill_all(s);
        break;
    case OVER:
        break;
    }
}

void states_stop(struct supervisor *s)
{
    s->stopping = true;
    s->ending_since = seconds_now();
    hooks_stop(s->hooks, HOOK_SECONDS);
    peer_cancel(s->peer);
    switch (s->state) {
    case RUNNING:
        stop_in_order(s);
        break;
    case LAUNCHING: /* nobody was served yet */
        kill_all(s);
        states_look(s);
        break;
    case PAUSING:
        finish(s, 0);
        break;
    case ENDING:
    case STOPPING:
    case OVER:
        break;
    }
}

void states_stop_now(struct supervisor *s)
{
    hooks_hurry(s->hooks);
    if (s->state != STOPPING)
        return;
    log_warning("told to stop a second time: the ranks are killed");
    kill_all(s);
}
