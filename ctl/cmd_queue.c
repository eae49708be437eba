/* SPDX-License-Identifier: MIT
 *
 * xferctl pause, resume and drain: what the queue as a whole does. pause and resume are over at
 * once; drain waits until no job is left, over restarts of the daemon, which it asks anew.
 */
#include <math.h>
#include <signal.h>
#include <string.h>

#include "ctl/clock.h"
#include "ctl/ctl.h"
#include "ctl/session.h"

#define RETRY_FIRST   0.02
#define RETRY_LONGEST 1.0
#define LOOK_FIRST    0.25 /* seconds until it is told how many jobs are left */
#define LOOK_LONGEST  10.0

enum { ID_DRAIN = 1, ID_STATS = 2 };

static int ask(struct ctl *ctl, enum method_id method)
{
    struct control_incoming in;
    int exit_code = 0;
    struct session *session = ctl_session(ctl, &exit_code);

    if (!session)
        return exit_code;
    exit_code = ctl_ask(ctl, session, method, NULL, true, &in);
    if (!exit_code) {
        if (ctl->json)
            output_text(ctl->out, in.result);
        control_incoming_free(&in);
    }
    session_destroy(session);
    return exit_code;
}

int cmd_pause(struct ctl *ctl, const struct arguments *args)
{
    (void)args;
    return ask(ctl, METHOD_QUEUE_PAUSE);
}

int cmd_resume(struct ctl *ctl, const struct arguments *args)
{
    (void)args;
    return ask(ctl, METHOD_QUEUE_RESUME);
}

struct drain {
    struct ctl *ctl;
    struct session *session;
    bool asked;   /* the daemon may have begun */
    bool looking; /* the question how many jobs are left is open */
    double look_at, look_pause;
    int64_t told;   /* so many jobs were told of last; -1: that no daemon answers */
    double lost_at; /* since when no daemon has answered; 0: one does */
    double retry_at, retry_pause;
    bool over;
    int exit_code;
};

static int begin(struct drain *d, struct xfer_error *err)
{
    d->looking = true;
    d->asked = true;
    if (session_send(d->session, ID_DRAIN, METHOD_QUEUE_DRAIN, NULL, err))
        return -1;
    return session_send(d->session, ID_STATS, METHOD_SYSTEM_STATS, NULL, err);
}

static void lost(struct drain *d)
{
    double now = clock_now();

    session_disconnect(d->session);
    if (d->lost_at == 0) {
        d->lost_at = d->retry_at = now;
        d->retry_pause = RETRY_FIRST;
    } else {
        d->retry_at = now + d->retry_pause;
        d->retry_pause = clock_sooner(2 * d->retry_pause, RETRY_LONGEST);
    }
}

static double give_up_at(const struct drain *d)
{
    return d->lost_at > 0 && isinf(d->ctl->deadline) ? d->lost_at + CTL_RETRY_SECONDS : INFINITY;
}

static int reconnect(struct drain *d, struct xfer_error *err)
{
    double now = clock_now();

    if (now < d->retry_at)
        return 0;
    if (session_connect(d->session, now, err) == 0)
        return begin(d, err);
    if (now >= give_up_at(d))
        return -1;
    d->retry_at = now + d->retry_pause;
    d->retry_pause = clock_sooner(2 * d->retry_pause, RETRY_LONGEST);
    return 0;
}

static void tell_left(struct drain *d, int64_t jobs, bool paused)
{
    if (jobs > 0 && jobs != d->told)
        output_notice(d->ctl->out, "draining: %swaiting for %lld job%s to end",
                      paused ? "the queue is paused, too (only 'xferctl resume' ends that); " : "",
                      (long long)jobs, jobs == 1 ? "" : "s");
    d->told = jobs;
}

static int took_queue(struct drain *d, const char *result, struct xfer_error *err)
{
    struct control_queue queue;

    if (control_queue_parse(result, &queue, err))
        return -1;
    d->over = true;
    if (d->ctl->json)
        output_text(d->ctl->out, result);
    if (queue.draining)
        return 0;
    d->exit_code = 1;
    if (!d->ctl->json)
        output_message(d->ctl->out, "draining was ended by a resume; %lld jobs are left",
                       (long long)(queue.queued + queue.running));
    return 0;
}

static int took(struct drain *d, const struct control_incoming *in, struct xfer_error *err)
{
    struct control_stats stats;

    if (in->kind == CONTROL_ERROR && in->error.code == XFER_STOPPING) {
        lost(d);
        return 0;
    }
    if (in->kind == CONTROL_ERROR) {
        d->over = true;
        d->exit_code = error_info(in->error.code)->exit_code;
        output_failure(d->ctl->out, &in->error, in->error_text, 0, NULL, d->exit_code);
        return 0;
    }
    if (in->kind != CONTROL_RESULT)
        return 0;
    d->lost_at = 0;
    if (in->id == ID_DRAIN)
        return took_queue(d, in->result, err);
    d->looking = false;
    if (control_stats_parse(in->result, &stats, err))
        return -1;
    tell_left(d, stats.jobs[JOB_QUEUED] + stats.jobs[JOB_RUNNING], stats.paused);
    return 0;
}

static int look(struct drain *d, struct xfer_error *err)
{
    d->look_at = clock_now() + d->look_pause;
    d->look_pause = clock_sooner(2 * d->look_pause, LOOK_LONGEST);
    if (!session_connected(d->session) || d->looking) {
        if (d->told != -1)
            output_notice(d->ctl->out, "waiting for the daemon to answer");
        d->told = -1;
        return 0;
    }
    d->looking = true;
    return session_send(d->session, ID_STATS, METHOD_SYSTEM_STATS, NULL, err);
}

static void ended_early(struct drain *d, const char *why, int exit_code)
{
    struct xfer_error err = XFER_ERROR_INIT;

    d->over = true;
    d->exit_code = exit_code;
    if (!d->asked)
        error_set(&err, XFER_TIMEOUT, "%s: nothing was asked", why);
    else
        error_set(&err, XFER_TIMEOUT, "%s: draining goes on; 'xferctl resume' ends it", why);
    if (exit_code == error_info(XFER_TIMEOUT)->exit_code)
        output_failure(d->ctl->out, &err, NULL, 0, NULL, exit_code);
    else
        output_message(d->ctl->out, "%s", err.text);
}

static int do_next(struct drain *d, struct xfer_error *err)
{
    struct control_incoming in;
    double until = clock_sooner(d->ctl->deadline, clock_sooner(d->look_at, give_up_at(d)));
    int rc = 0;

    if (!session_connected(d->session)) {
        if (reconnect(d, err))
            return -1;
        if (!session_connected(d->session))
            until = clock_sooner(until, d->retry_at);
    } else if (clock_now() >= give_up_at(d)) {
        return error_set(err, XFER_NO_DAEMON, "%s: the daemon gave no answer within %d s",
                         session_path(d->session), (int)CTL_RETRY_SECONDS);
    }
    switch (session_next(d->session, until, &in, err)) {
    case SESSION_MESSAGE:
        rc = took(d, &in, err);
        control_incoming_free(&in);
        break;
    case SESSION_SIGNAL:
        if (session_signal(d->session) != SIGWINCH)
            ended_early(d, "interrupted", 128 + session_signal(d->session));
        break;
    case SESSION_LOST:
        if (err->code != XFER_NO_DAEMON)
            return -1;
        lost(d);
        break;
    case SESSION_DEADLINE:
        break;
    }
    if (rc == 0 && !d->over && clock_now() >= d->look_at)
        rc = look(d, err);
    return rc;
}

static int run(struct drain *d, struct xfer_error *err)
{
    d->session = session_create(d->ctl->socket, err);
    if (!d->session || session_connect(d->session, d->ctl->deadline, err) ||
        session_catch_signals(d->session, err))
        return -1;
    if (clock_now() < d->ctl->deadline && begin(d, err))
        return -1;
    while (!d->over) {
        if (clock_now() >= d->ctl->deadline)
            ended_early(d, "the time is over", error_info(XFER_TIMEOUT)->exit_code);
        else if (do_next(d, err))
            return -1;
    }
    return 0;
}

int cmd_drain(struct ctl *ctl, const struct arguments *args)
{
    struct drain d = {.ctl = ctl,
                      .look_at = clock_now() + LOOK_FIRST,
                      .look_pause = 2 * LOOK_FIRST,
                      .lost_at = clock_now(),
                      .retry_pause = RETRY_FIRST};
    struct xfer_error err = XFER_ERROR_INIT;

    (void)args;
    if (run(&d, &err))
        d.exit_code = ctl_fail(ctl, &err);
    session_destroy(d.session);
    return d.exit_code;
}
