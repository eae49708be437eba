/* SPDX-License-Identifier: MIT
 *
 * The supervisor's states. A generation is one run of the launcher with its ranks; there is never
 * more than one, and the next one starts only when every process of the last is dead.
 *
 *   LAUNCHING --ready--> RUNNING                                  STOPPING --all gone--> over
 *       |                   |   \--SIGTERM: STOP to rank 0---------^   |
 *       +---a death, a failure, silence, SIGTERM------> ENDING <-------+ out of time
 *                                                    (all are killed)
 *   LAUNCHING <--at once, or after PAUSING--- all dead --when stopping---> over
 *
 * One timer serves all states: for LAUNCHING the time by which the ranks must be ready, for RUNNING
 * the longest silence of rank 0, for ENDING the next look at what is left, for PAUSING the delay,
 * for STOPPING the time that the ranks have.
 */
#include "daemon/supervise.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <ev.h>

#include "daemon/backoff.h"
#include "daemon/handoff.h"
#include "daemon/launch.h"
#include "daemon/listen.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/orphans.h"
#include "daemon/ranks.h"
#include "daemon/runtime.h"

#define LAUNCH_SECONDS      20.0 /* until READY, on one host */
#define LAUNCH_SECONDS_PEER 60.0 /* with another one, which may have to be logged in to */
#define LOOK_SECONDS        0.05 /* between looks at what is left of a killed generation */
#define END_SECONDS         0.8  /* for killed processes to go away while stopping */
#define COMPLAIN_SECONDS    5.0  /* ... else */
#define FIRST_ATTEMPTS      3    /* starts without any success after which it is given up */

enum state { LAUNCHING, RUNNING, ENDING, PAUSING, STOPPING, OVER };

struct supervisor {
    const struct supervise_options *options;
    struct ev_loop *loop;
    struct listener *listener;
    struct runtime *runtime;
    struct ranks *ranks;
    struct launch_options launch;
    struct conf conf; /* for the ranks */
    char launcher[XFER_PATH_SIZE];

    enum state state;
    int64_t generation;
    pid_t launcher_pid; /* 0: not running */
    pid_t session;      /* of this generation's processes */
    double ready_at;    /* of this generation; 0: not yet */
    double ending_since;
    bool complained;
    bool was_ready; /* some generation */
    bool refused;   /* a rank said that it cannot serve */
    bool stopping;
    int attempts; /* starts so far that did not lead to READY */
    struct backoff backoff;
    int status; /* of the process */

    ev_timer timer;
    ev_child child;
    ev_signal term, intr, hup;
};

struct text {
    char text[128];
};

static void launch(struct supervisor *s);
static void look(struct supervisor *s);

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

static void finish(struct supervisor *s, int status)
{
    s->state = OVER;
    s->status = status;
    ev_break(s->loop, EVBREAK_ALL);
}

/* ---- the end of a generation ---------------------------------------------------------------- */

static void kill_all(struct supervisor *s)
{
    if (s->state != ENDING) {
        s->ending_since = seconds_now();
        s->complained = false;
    }
    s->state = ENDING;
    /* The launcher first: it would print about the others' death. */
    if (s->launcher_pid > 0)
        kill(s->launcher_pid, SIGKILL);
    ranks_kill(s->ranks);
    set_timer(s, LOOK_SECONDS);
}

static void end_generation(struct supervisor *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void end_generation(struct supervisor *s, const char *fmt, ...)
{
    char why[256];
    va_list args;

    if (s->state != LAUNCHING && s->state != RUNNING)
        return;
    va_start(args, fmt);
    vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    log_warning("%s; all ranks are ended", why);
    notify_status(why);
    kill_all(s);
    look(s);
}

/* Nothing of it runs any more. */
static void generation_over(struct supervisor *s)
{
    bool two_hosts = s->options->conf->peer_host[0] != '\0';
    double lived = -1, delay;

    ranks_expect(s->ranks, 0);
    runtime_clear(s->runtime);
    if (s->stopping) {
        finish(s, 0);
        return;
    }
    if (s->ready_at == 0)
        s->attempts++;
    if (!s->was_ready && (s->refused || (!two_hosts && s->attempts >= FIRST_ATTEMPTS))) {
        log_error("the ranks could not be started");
        finish(s, 1);
        return;
    }
    if (s->ready_at > 0)
        lived = seconds_now() - s->ready_at;
    else if (s->was_ready && !s->refused && !two_hosts)
        lived = 0; /* they have worked before: something killed these */
    delay = backoff_next(&s->backoff, lived);
    if (delay > 0)
        log_notice("the ranks are started again in %g s", delay);
    s->state = PAUSING;
    set_timer(s, delay);
}

/* Is everything gone? */
static void look(struct supervisor *s)
{
    double since;
    int left;

    if (s->state != ENDING && s->state != STOPPING)
        return;
    if (s->launcher_pid == 0) {
        left = orphans_kill(s->session);
        if (left == 0 && ranks_alive(s->ranks) == 0) {
            generation_over(s);
            return;
        }
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

/* ---- the ranks ------------------------------------------------------------------------------ */

static void on_registered(void *user, int rank)
{
    struct supervisor *s = user;
    struct handoff_message m = {
        .kind = HANDOFF_LISTENER, .generation = s->generation, .fd = listener_fd(s->listener)};
    struct xfer_error err = XFER_ERROR_INIT;

    if (rank == 0 && ranks_send(s->ranks, 0, &m, &err) < 0)
        end_generation(s, "rank 0 does not take the control socket: %s", err.text);
}

static void take_ready(struct supervisor *s, const char *text)
{
    if (s->state != LAUNCHING)
        return;
    s->state = RUNNING;
    s->ready_at = seconds_now();
    s->attempts = 0;
    set_timer(s, HANDOFF_SILENCE_SECONDS);
    if (s->was_ready)
        log_notice("ready again: generation %" PRId64 ", %s", s->generation, text);
    else
        log_announce("ready: %s", text);
    s->was_ready = true;
    notify_status(text);
    notify_ready();
}

static void on_message(void *user, int rank, const struct handoff_message *m)
{
    struct supervisor *s = user;

    switch (m->kind) {
    case HANDOFF_READY:
        if (rank == 0)
            take_ready(s, m->text);
        break;
    case HANDOFF_TICK:
        if (rank == 0 && s->state == RUNNING)
            set_timer(s, HANDOFF_SILENCE_SECONDS);
        notify_alive();
        break;
    case HANDOFF_STATUS:
        notify_status(m->text);
        break;
    case HANDOFF_FAILED:
        if (!s->refused) /* both ranks hear of a refusal, and say so */
            log_error("rank %d: %s", rank, m->text);
        s->refused = true;
        end_generation(s, "rank %d cannot serve", rank);
        break;
    default:
        log_debug("rank %d sends a message of kind %u", rank, m->kind);
    }
}

static void on_gone(void *user, int rank)
{
    struct supervisor *s = user;

    end_generation(s, "rank %d is gone", rank);
    look(s);
}

/* In front of why a start failed: with two hosts it mostly is the other one that cannot be had. */
static const char *on_the_way(const struct supervisor *s, struct text *to)
{
    const char *peer = s->options->conf->peer_host;

    to->text[0] = '\0';
    if (s->state == LAUNCHING && peer[0] != '\0')
        snprintf(to->text, sizeof to->text, "no rank on %.*s: ", (int)sizeof to->text - 16, peer);
    return to->text;
}

static void on_child(struct ev_loop *loop, ev_child *w, int revents)
{
    struct text to;
    struct supervisor *s = w->data;

    (void)loop;
    (void)revents;
    if (w->rpid == s->launcher_pid) {
        s->launcher_pid = 0;
        if (WIFSIGNALED(w->rstatus))
            end_generation(s, "%sthe MPI launcher was killed by signal %d", on_the_way(s, &to),
                           WTERMSIG(w->rstatus));
        else
            end_generation(s, "%sthe MPI launcher ended with status %d", on_the_way(s, &to),
                           WEXITSTATUS(w->rstatus));
    }
    look(s);
}

static void launch(struct supervisor *s)
{
    struct xfer_error err = XFER_ERROR_INIT;
    pid_t pid;

    s->generation++;
    s->ready_at = 0;
    s->refused = false;
    s->state = LAUNCHING;
    s->launch.generation = s->generation;
    ranks_expect(s->ranks, s->generation);
    pid = launch_start(&s->launch, &err);
    s->launcher_pid = pid > 0 ? pid : 0;
    s->session = pid > 0 ? pid : -1;
    if (pid < 0) {
        end_generation(s, "%s", err.text);
        return;
    }
    log_debug("generation %" PRId64 ": the launcher is pid %ld", s->generation, (long)pid);
    set_timer(s, s->options->conf->peer_host[0] != '\0' ? LAUNCH_SECONDS_PEER : LAUNCH_SECONDS);
}

/* ---- signals and time ----------------------------------------------------------------------- */

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct text to;
    struct supervisor *s = w->data;

    (void)loop;
    (void)revents;
    switch (s->state) {
    case LAUNCHING:
        end_generation(s, "%sthe ranks were not ready in time", on_the_way(s, &to));
        break;
    case RUNNING:
        end_generation(s, "rank 0 said nothing for %g s", HANDOFF_SILENCE_SECONDS);
        break;
    case ENDING:
        look(s);
        break;
    case PAUSING:
        launch(s);
        break;
    case STOPPING:
        log_warning("the ranks did not end in time and are killed");
        kill_all(s);
        break;
    case OVER:
        break;
    }
}

static void stop(struct supervisor *s)
{
    struct handoff_message m = {.kind = HANDOFF_STOP, .generation = s->generation, .fd = -1};
    struct xfer_error err = XFER_ERROR_INIT;

    switch (s->state) {
    case RUNNING:
        if (ranks_send(s->ranks, 0, &m, &err) == 0) {
            s->state = STOPPING;
            set_timer(s, HANDOFF_STOP_SECONDS);
            break;
        }
        /* fallthrough */
    case LAUNCHING: /* nobody was served yet */
        kill_all(s);
        look(s);
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

static void on_terminate(struct ev_loop *loop, ev_signal *w, int revents)
{
    struct supervisor *s = w->data;

    (void)loop;
    (void)revents;
    if (s->stopping) {
        if (s->state == STOPPING) {
            log_warning("told to stop a second time: the ranks are killed");
            kill_all(s);
        }
        return;
    }
    s->stopping = true;
    s->ending_since = seconds_now();
    log_info("signal %d: stopping", w->signum);
    notify_stopping();
    listener_withdraw(s->listener);
    stop(s);
}

/* What differs, by comparing what both would look like in a file. */
static bool is_same_conf(const struct conf *a, const struct conf *b)
{
    bool same = true;

    for (size_t i = 0; i < conf_keys() && same; i++) {
        char *x = conf_assignment(a, i), *y = conf_assignment(b, i);

        same = x != NULL && y != NULL && strcmp(x, y) == 0;
        free(x);
        free(y);
    }
    return same;
}

static void on_hangup(struct ev_loop *loop, ev_signal *w, int revents)
{
    struct supervisor *s = w->data;
    struct conf *conf = malloc(sizeof *conf);
    struct xfer_error err = XFER_ERROR_INIT;

    (void)loop;
    (void)revents;
    if (conf == NULL)
        return;
    if (s->options->reread(s->options->user, conf, &err) < 0)
        log_error("nothing is changed: %s", err.text);
    else if (is_same_conf(conf, s->options->conf))
        log_notice("the configuration is as it was");
    else
        log_warning("the configuration has changed; that takes effect when xferd is started again");
    free(conf);
}

/* ---- the whole ------------------------------------------------------------------------------ */

static int prepare(struct supervisor *s, struct xfer_error *err)
{
    const struct ranks_events events = {
        .registered = on_registered, .message = on_message, .gone = on_gone};
    int open_mpi;

    if (launch_find(s->launcher, &open_mpi, err) < 0)
        return -1;
    s->listener = listener_create(s->options->conf, err);
    if (s->listener == NULL)
        return -1;
    s->conf = *s->options->conf;
    if (listener_path(s->listener)[0] == '/') /* systemd's may be another than the configured one */
        snprintf(s->conf.control_socket, sizeof s->conf.control_socket, "%s",
                 listener_path(s->listener));
    s->runtime = runtime_create(s->options->conf, err);
    if (s->runtime == NULL)
        return -1;
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
    return 0;
}

static void watch(struct supervisor *s)
{
    ev_timer_init(&s->timer, on_timer, 0., 0.);
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
    orphans_adopt();
    watch(&s);
    if (prepare(&s, &err) < 0) {
        log_error("%s", err.text);
    } else {
        launch(&s);
        ev_run(s.loop, 0);
    }
    ranks_destroy(s.ranks);
    runtime_destroy(s.runtime);
    listener_destroy(s.listener);
    ev_loop_destroy(s.loop);
    return s.status;
}
