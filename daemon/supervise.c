/* SPDX-License-Identifier: MIT
 *
 * The supervisor as a process: what it has, and what it hears of ranks, children and signals. What
 * follows from that is decided in supervise_states.c.
 */
#include "daemon/supervise_impl.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/orphans.h"
#include "daemon/sealed.h"

#define PROBE_SECONDS 20.0 /* until the other host must have answered */

/* ---- the ranks ------------------------------------------------------------------------------ */

static void on_registered(void *user, int rank)
{
    struct supervisor *s = user;
    struct handoff_message m = {
        .kind = HANDOFF_LISTENER, .generation = s->now.number, .fd = listener_fd(s->listener)};
    struct xfer_error err = XFER_ERROR_INIT;

    if (rank == 0 && ranks_send(s->ranks, 0, &m, &err) < 0)
        states_end(s, "rank 0 does not take the control socket: %s", err.text);
    else
        reload_registered(s, rank);
}

static void tell_ready(struct supervisor *s, const char *text)
{
    if (!s->was_ready)
        log_announce("ready: %s", text);
    else if (!s->now.alone)
        log_notice("ready again: generation %" PRId64 ", %s", s->now.number, text);
    else if (!s->alone_told)
        log_notice("rank 0 takes requests alone: generation %" PRId64 ", %s", s->now.number, text);
    s->alone_told = s->now.alone;
    notify_status(text);
    notify_ready();
    notify_alive(); /* from now on that is up to rank 0 */
}

static void take_ready(struct supervisor *s, const char *text)
{
    if (!states_ready(s))
        return;
    s->refusals[s->now.alone].text[0] = '\0';
    tell_ready(s, text);
    s->was_ready = true;
}

/* Both ranks hear of a refusal, and say so; and there may be one after each pause. */
static void take_refusal(struct supervisor *s, int rank, const char *text)
{
    struct refusal *last = &s->refusals[s->now.alone];

    if (!s->now.refused) {
        s->now.repeated = strcmp(last->text, text) == 0;
        if (!s->now.repeated)
            log_error("rank %d: %s", rank, text);
        snprintf(last->text, sizeof last->text, "%s", text);
    }
    s->now.refused = true;
    states_end(s, "rank %d cannot serve", rank);
}

/* A job has ended. */
static void take_end(struct supervisor *s, struct handoff_message *m)
{
    int state = job_state_by_name(m->text);
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len;

    if (state < 0 || m->number <= 0 || sealed_check(m->fd, XFER_HOOK_INPUT_MAX, &len, &err) < 0) {
        log_warning("rank 0 tells of a job %" PRId64 " that cannot be: %s", m->number, err.text);
        return;
    }
    hooks_job(s->hooks, m->number, state, m->fd);
    m->fd = -1;
}

static void on_message(void *user, int rank, struct handoff_message *m)
{
    struct supervisor *s = user;

    switch (m->kind) {
    case HANDOFF_READY:
        if (rank == 0)
            take_ready(s, m->text);
        break;
    case HANDOFF_TICK:
        if (rank != 0)
            break;
        states_alive(s);
        notify_alive();
        break;
    case HANDOFF_STATUS:
        notify_status(m->text);
        break;
    case HANDOFF_FAILED:
        take_refusal(s, rank, m->text);
        break;
    case HANDOFF_RELOAD:
        if (rank == 0)
            reload_wanted(s, true);
        break;
    case HANDOFF_APPLIED:
        reload_applied(s, rank, m->number);
        break;
    case HANDOFF_ENDED:
        if (rank == 0)
            take_end(s, m);
        break;
    default:
        log_debug("rank %d sends a message of kind %u", rank, m->kind);
    }
}

static void on_gone(void *user, int rank)
{
    struct supervisor *s = user;

    if (rank == 0 || rank == 1)
        reload_gone(s, rank);
    states_end(s, "rank %d is gone", rank);
    states_look(s);
}

static void on_child(struct ev_loop *loop, ev_child *w, int revents)
{
    struct supervisor *s = w->data;
    const char *name = s->now.alone ? "rank 0" : "the MPI launcher";

    (void)loop;
    (void)revents;
    if (w->rpid == s->now.process) {
        s->now.process = 0;
        if (WIFSIGNALED(w->rstatus))
            states_end(s, "%s%s was killed by signal %d", states_aim(s), name,
                       WTERMSIG(w->rstatus));
        else
            states_end(s, "%s%s ended with status %d", states_aim(s), name,
                       WEXITSTATUS(w->rstatus));
    }
    hooks_child(s->hooks, w->rpid, w->rstatus);
    states_look(s);
}

/* ---- systemd's watchdog --------------------------------------------------------------------- */

/* A rank 0 that serves gives the signs of life. Until there is one, which may take as long as the
 * other host does, it is enough that this loop turns: each state has an end of its own. */
static void on_alive(struct ev_loop *loop, ev_timer *w, int revents)
{
    const struct supervisor *s = w->data;

    (void)loop;
    (void)revents;
    if (s->state != RUNNING)
        notify_alive();
}

static void feed_watchdog(struct supervisor *s)
{
    double interval = notify_watchdog();

    ev_timer_init(&s->alive, on_alive, interval / 4, interval / 4);
    s->alive.data = s;
    if (interval > 0)
        ev_timer_start(s->loop, &s->alive);
}

/* ---- signals -------------------------------------------------------------------------------- */

static void on_terminate(struct ev_loop *loop, ev_signal *w, int revents)
{
    struct supervisor *s = w->data;

    (void)loop;
    (void)revents;
    if (s->stopping) {
        states_stop_now(s);
        return;
    }
    log_info("signal %d: stopping", w->signum);
    notify_stopping();
    listener_withdraw(s->listener);
    states_stop(s);
}

static void on_hangup(struct ev_loop *loop, ev_signal *w, int revents)
{
    (void)loop;
    (void)revents;
    reload_wanted(w->data, false);
}

/* ---- the whole ------------------------------------------------------------------------------ */

static int prepare(struct supervisor *s, struct xfer_error *err)
{
    const struct ranks_events events = {
        .registered = on_registered, .message = on_message, .gone = on_gone};
    const struct peer_options peer = {.loop = s->loop,
                                      .launch = &s->launch,
                                      .limit = PROBE_SECONDS,
                                      .due = states_due,
                                      .user = s};
    const struct reread_options reread = {.loop = s->loop,
                                          .running = &s->running,
                                          .read = s->options->reread,
                                          .read_user = s->options->user,
                                          .done = reload_read,
                                          .user = s};
    int open_mpi;

    if (launch_find(s->launcher, &open_mpi, err) < 0)
        return -1;
    s->listener = listener_create(s->options->conf, err);
    if (s->listener == NULL)
        return -1;
    s->running = s->conf = *s->options->conf;
    if (listener_path(s->listener)[0] == '/') /* systemd's may be another than the configured one */
        snprintf(s->conf.control_socket, sizeof s->conf.control_socket, "%s",
                 listener_path(s->listener));
    s->runtime = runtime_create(s->options->conf, err);
    if (s->runtime == NULL)
        return -1;
    if (s->conf.peer_host[0] != '\0')
        snprintf(s->aim, sizeof s->aim, "no rank on %s: ", s->conf.peer_host);
    s->ranks = ranks_create(s->loop, runtime_handoff(s->runtime), &events, s, err);
    if (s->ranks == NULL)
        return -1;
    s->launch = (struct launch_options){
        .conf = &s->conf,
        .launcher = s->launcher,
        .open_mpi = open_mpi,
        .program = s->options->program,
        .runtime = runtime_path(s->runtime),
        .shared = runtime_shared(s->runtime),
        .handoff = runtime_handoff(s->runtime),
    };
    s->hooks = hooks_create(s->loop, s->conf.control_socket, err);
    s->reread = reread_create(&reread, err);
    if (s->hooks == NULL || s->reread == NULL)
        return -1;
    reload_take_over(s);
    s->peer = peer_create(&peer, err);
    return s->peer != NULL ? 0 : -1;
}

static void watch(struct supervisor *s)
{
    ev_timer_init(&s->timer, states_on_timer, 0., 0.);
    ev_child_init(&s->child, on_child, 0, 0);
    ev_signal_init(&s->term, on_terminate, SIGTERM);
    ev_signal_init(&s->intr, on_terminate, SIGINT);
    ev_signal_init(&s->hup, on_hangup, SIGHUP);
    s->timer.data = s->child.data = s->term.data = s->intr.data = s->hup.data = s;
    ev_child_start(s->loop, &s->child);
    ev_signal_start(s->loop, &s->term);
    ev_signal_start(s->loop, &s->intr);
    ev_signal_start(s->loop, &s->hup);
}

int supervise_run(const struct supervise_options *options)
{
    struct supervisor s = {.options = options, .status = 1};
    struct xfer_error err = XFER_ERROR_INIT;

    s.loop = ev_default_loop(EVFLAG_AUTO);
    if (s.loop == NULL) {
        log_error("no event loop");
        return 1;
    }
    backoff_init(&s.backoff);
    backoff_init(&s.alone_backoff);
    orphans_adopt();
    watch(&s);
    feed_watchdog(&s);
    if (prepare(&s, &err) < 0) {
        log_error("%s", err.text);
    } else {

        states_start(&s, false);
        ev_run(s.loop, 0);
    }
    peer_destroy(s.peer);
    reread_destroy(s.reread);
    hooks_destroy(s.hooks);
    ranks_destroy(s.ranks);
    runtime_destroy(s.runtime);
    listener_destroy(s.listener);
    ev_loop_destroy(s.loop);
    return s.status;
}
