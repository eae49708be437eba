/* SPDX-License-Identifier: MIT
 *
 * The conversation about jobs. All requests are pipelined on one connection, each reply is matched
 * by its id, which says what was asked about which item. A lost connection puts each item back to
 * the last step that is certain. A submit whose reply never came is repeated: its key makes it the
 * same job. What numbers and keys mean is up to the queue, so nothing is asked on a connection
 * before the daemon has told which queue it has.
 */
#include "ctl/follow.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/clock.h"
#include "ctl/follow_internal.h"
#include "ctl/progress.h"

#define RETRY_FIRST    0.02
#define RETRY_LONGEST  1.0
#define LOOK_FIRST     0.25 /* seconds until it is asked what the first job waits for */
#define LOOK_LONGEST   5.0
#define SIGNAL_SUBMITS 1.0  /* seconds to learn the numbers of jobs after an interrupt */
#define SIGNAL_CANCELS 10.0 /* seconds for cancelled jobs to end */

/* ---- the connection
 * ------------------------------------------------------------------------------ */

static int greet(struct follow *f, struct xfer_error *err)
{
    f->hold = HOLD_HELLO;
    f->looking = false;
    f->submits = f->waits = 0;
    if (follow_ask(f, ASK_HELLO, 0, METHOD_SYSTEM_HELLO, NULL, err))
        return -1;
    if (f->options->fail_fast && !f->peer_seen) {
        f->hold |= HOLD_STATS;
        if (follow_ask(f, ASK_STATS, 0, METHOD_SYSTEM_STATS, NULL, err))
            return -1;
    }
    if (f->events && f->n > SUBSCRIBE_EACH_MAX &&
        follow_ask(f, ASK_EVENTS, 0, METHOD_EVENTS_SUBSCRIBE, NULL, err))
        return -1;
    f->connected_once = true;
    return 0;
}

/* Back to the step before the reply that was awaited. */
static void unask(struct follow *f, struct follow_item *item)
{
    switch (item->step) {
    case FOLLOW_SUBMITTED:
        item->step = FOLLOW_SUBMIT;
        break;
    case FOLLOW_CANCELLING:
        item->step = FOLLOW_CANCEL;
        break;
    case FOLLOW_RETRYING:
        item->step = FOLLOW_RETRY;
        break;
    case FOLLOW_LOOKING:
        item->step = FOLLOW_LOOK;
        break;
    case FOLLOW_WAITING:
        item->step = f->options->submit && item->handle ? FOLLOW_LOOK : FOLLOW_WAIT;
        break;
    case FOLLOW_WAIT:
        if (f->options->submit && item->handle)
            item->step = FOLLOW_LOOK;
        return;
    default:
        return;
    }
    if (item->sent_at < session_written(f->session))
        item->unanswered = true;
}

static void connection_lost(struct follow *f)
{
    double now = clock_now();

    for (size_t i = f->first; i < f->n; i++)
        unask(f, &f->items[i]);
    f->next_submit = f->next_wait = f->first;
    f->looking = false;
    if (f->lost_at == 0) {
        f->lost_at = f->retry_at = now;
        f->retry_pause = RETRY_FIRST;
        free(f->reason); /* what is told once is told again after this */
        f->reason = NULL;
    } else {
        /* One that takes connections and closes them is not asked as fast as it can do that. */
        f->retry_at = now + f->retry_pause;
        f->retry_pause = clock_sooner(2 * f->retry_pause, RETRY_LONGEST);
    }
}

/* Until when a daemon must have answered. */
static double give_up_at(const struct follow *f)
{
    return f->lost_at > 0 && isinf(f->ctl->deadline) ? f->lost_at + CTL_RETRY_SECONDS : INFINITY;
}

/* Connect again when it is time to. -1: the daemon stays away. */
static int reconnect(struct follow *f, struct xfer_error *err)
{
    double now = clock_now();

    if (now < f->retry_at)
        return 0;
    if (session_connect(f->session, now, err) == 0)
        return greet(f, err);
    if (now >= give_up_at(f))
        return -1;
    if (now - f->lost_at >= 1)
        follow_tell_reason(f, NULL, "waiting for the daemon to come back");
    f->retry_at = now + f->retry_pause;
    f->retry_pause = clock_sooner(2 * f->retry_pause, RETRY_LONGEST);
    return 0;
}

/* ---- time and signals
 * ---------------------------------------------------------------------------- */

/* Ask what the first of the jobs waits for: the others mostly wait for the same. */
static int look(struct follow *f, struct xfer_error *err)
{
    struct follow_item *item = &f->items[f->first];

    f->look_at = clock_now() + f->look_pause;
    f->look_pause = clock_sooner(2 * f->look_pause, LOOK_LONGEST);
    if (!session_connected(f->session))
        return 0;
    if (f->looking || f->hold || item->step == FOLLOW_SUBMITTED) {
        follow_tell_reason(f, NULL, "waiting for the daemon to answer");
        return 0;
    }
    /* One that runs may be queued again when this attempt has failed. */
    if (item->step != FOLLOW_WAITING)
        return 0;
    f->looking = true;
    return follow_ask_about(f, ASK_STATUS, f->first, METHOD_TRANSFER_STATUS, err);
}

static void interrupted(struct follow *f)
{
    int number = session_signal(f->session);

    if (number == SIGWINCH) {
        progress_redraw(output_progress(f->ctl->out));
        return;
    }
    f->signal_deadline = f->signal ? clock_now() : clock_now() + SIGNAL_SUBMITS;
    f->signal = number;
    if (!f->options->cancel_on_interrupt)
        return;
    f->signal_deadline += SIGNAL_CANCELS;
    f->waits = 0; /* replies that are still to come don't stand in the way of cancelling */
    for (size_t i = f->first; i < f->n; i++) {
        struct follow_item *item = &f->items[i];
        enum follow_step step = item->step;

        if (step == FOLLOW_WAITING || step == FOLLOW_WAIT || step == FOLLOW_LOOK ||
            step == FOLLOW_LOOKING || (step == FOLLOW_SUBMIT && item->job > 0))
            follow_put_back(f, item, FOLLOW_CANCEL);
    }
}

/* After a signal: is there nothing more to be learnt? */
static bool signal_done(const struct follow *f)
{
    if (!f->signal)
        return false;
    if (!session_connected(f->session) || clock_now() >= f->signal_deadline)
        return true;
    for (size_t i = f->first; i < f->n; i++) {
        enum follow_step step = f->items[i].step;

        if (step == FOLLOW_SUBMITTED ||
            (f->options->cancel_on_interrupt && step != FOLLOW_SUBMIT && step != FOLLOW_ENDED))
            return false;
    }
    return true;
}

static bool ended_early(struct follow *f)
{
    if (signal_done(f)) {
        follow_tell_ended(f, true);
        if (f->options->purpose != FOLLOW_FOR_EVENTS)
            follow_tell_unfinished(f, "interrupted");
        return true;
    }
    if (clock_now() >= f->ctl->deadline) {
        follow_tell_ended(f, true);
        f->exit_code = error_info(XFER_TIMEOUT)->exit_code;
        follow_tell_timeout(f);
        follow_tell_unfinished(f, "the time is over");
        return true;
    }
    return false;
}

/* ---- the loop
 * ------------------------------------------------------------------------------------ */

static int do_next(struct follow *f, struct xfer_error *err)
{
    struct control_incoming in;
    double until = clock_sooner(f->ctl->deadline, clock_sooner(f->look_at, give_up_at(f)));
    int rc = 0;

    if (f->signal)
        until = clock_sooner(until, f->signal_deadline);
    if (f->busy_until > 0)
        until = clock_sooner(until, f->busy_until);
    if (!session_connected(f->session)) {
        if (reconnect(f, err))
            return -1;
        if (!session_connected(f->session))
            until = clock_sooner(until, f->retry_at);
    } else if (clock_now() >= give_up_at(f)) {
        return error_set(err, XFER_NO_DAEMON, "%s: the daemon gave no answer within %d s",
                         session_path(f->session), (int)CTL_RETRY_SECONDS);
    }
    if (follow_send_what_can_be(f, err))
        return -1;

    switch (session_next(f->session, until, &in, err)) {
    case SESSION_MESSAGE:
        rc = follow_took(f, &in, err);
        control_incoming_free(&in);
        break;
    case SESSION_SIGNAL:
        interrupted(f);
        break;
    case SESSION_LOST:
        if (err->code != XFER_NO_DAEMON)
            return -1;
        connection_lost(f);
        break;
    case SESSION_DEADLINE:
        break;
    }
    if (rc == 0 && clock_now() >= f->look_at && f->first < f->n)
        rc = look(f, err);
    return rc;
}

static int run(struct follow *f, struct xfer_error *err)
{
    f->session = session_create(f->ctl->socket, err);
    if (!f->session || session_connect(f->session, f->ctl->deadline, err) ||
        session_catch_signals(f->session, err) || greet(f, err))
        return -1;
    while (f->ended < f->n) {
        if (ended_early(f))
            return 0;
        if (do_next(f, err))
            return -1;
        follow_tell_ended(f, false);
        if (output_check(f->ctl->out, err))
            return 0; /* told at the end of the program */
    }
    return 0;
}

/* All that have not ended fail so; what ended before keeps its own exit code. Returns the code that
 * counts when there are none. */
static int fail_unfinished(struct follow *f, int exit_code)
{
    for (size_t i = f->first; i < f->n; i++)
        if (f->items[i].step != FOLLOW_ENDED)
            f->items[i].exit_code = exit_code;
    return f->ended < f->n ? 0 : exit_code;
}

int follow_run(struct ctl *ctl, const struct follow_options *options, struct follow_item *items,
               size_t n)
{
    struct follow f = {.ctl = ctl,
                       .options = options,
                       .items = items,
                       .n = n,
                       .lost_at = clock_now(),
                       .retry_pause = RETRY_FIRST,
                       .look_at = clock_now() + LOOK_FIRST,
                       .look_pause = 2 * LOOK_FIRST};
    struct xfer_error err = XFER_ERROR_INIT;

    f.events = options->purpose == FOLLOW_FOR_EVENTS ||
               (options->purpose == FOLLOW_FOR_RESULT && output_progress(ctl->out));
    if (run(&f, &err)) {
        follow_tell_ended(&f, true);
        f.exit_code = fail_unfinished(&f, ctl_fail(ctl, &err));
        if (f.connected_once)
            follow_tell_unfinished(&f, "gave up");
    }
    if (f.signal)
        f.exit_code = 128 + f.signal;
    progress_clear(output_progress(ctl->out));
    for (size_t i = 0; i < n && !f.exit_code; i++)
        f.exit_code = items[i].exit_code;
    session_destroy(f.session);
    free(f.reason);
    return f.exit_code;
}

struct follow_item *follow_items_of_jobs(struct ctl *ctl, const struct arguments *args,
                                         enum follow_step step, int *exit_code)
{
    struct follow_item *items = calloc((size_t)args->n + 1, sizeof(*items));

    if (!items) {
        output_message(ctl->out, "no memory");
        *exit_code = 1;
        return NULL;
    }
    for (int i = 0; i < args->n; i++) {
        items[i].step = step;
        *exit_code = ctl_parse_job(ctl, args->items[i], &items[i].job);
        if (*exit_code) {
            free(items);
            return NULL;
        }
    }
    return items;
}

void follow_items_free(struct follow_item *items, size_t n)
{
    for (size_t i = 0; items && i < n; i++) {
        free(items[i].source);
        free(items[i].hand);
        free(items[i].json);
        free(items[i].error);
        free(items[i].error_text);
    }
    free(items);
}
