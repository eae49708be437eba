/* SPDX-License-Identifier: MIT
 *
 * See rank.h. What both ranks have in common: signals before MPI_Init (it would miss them
 * otherwise), the supervisor's channel, the link, the loop, and the end in order: rank 0 first lets
 * its transfers come to an end, then tells rank 1 to stop by a message, and both finalize MPI.
 * Where order is impossible (the link broke, a disk hangs) the process just ends: everything on
 * disk is written so that this is safe, and finalizing MPI would hang.
 */
#include "daemon/rank_impl.h"

#include <errno.h>
#include <malloc.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/control/queue.h"
#include "daemon/control/server.h"
#include "daemon/errands.h"
#include "daemon/listen.h"
#include "daemon/log.h"
#include "daemon/receiving.h"
#include "daemon/runtime.h"
#include "daemon/send/sender.h"
#include "daemon/send/source_policy.h"
#include "daemon/settings.h"
#include "daemon/work/identity.h"
#include "daemon/work/pool.h"

#define RECORD_LAST    0.8 /* seconds for the queue to record what it has not yet */
#define TICK           5.0 /* seconds between signs of life to the supervisor */
#define STOP_TRANSFERS 2.5 /* seconds for transfers to come to an end */
#define STOP_FLUSH     0.5
#define STOP_HARD      5 /* whole seconds until the process ends in any case */

/* ---- the supervisor ---- */

void rank_tell(struct rank *r, enum handoff_kind kind, const char *text)
{
    struct handoff_message m = {.kind = kind,
                                .rank = r->rank,
                                .generation = r->options->generation,
                                .pid = getpid(),
                                .fd = -1};
    struct xfer_error err = XFER_ERROR_INIT;

    if (r->handoff_fd < 0)
        return;
    snprintf(m.text, sizeof(m.text), "%s", text);
    if (handoff_send(r->handoff_fd, &m, &err))
        log_debug("%s", err.text);
}

static int fail(struct rank *r, const struct xfer_error *err)
{
    if (r->handoff_fd >= 0)
        rank_tell(r, HANDOFF_FAILED, err->text); /* who says it aloud */
    else
        log_error("%s", err->text);
    return 1;
}

static void stop(struct rank *r, const char *why);

/* What can change in r->conf has changed. */
void rank_apply_conf(void *user)
{
    struct rank *r = user;
    struct xfer_error err = XFER_ERROR_INIT;

    log_set_level((enum log_level)r->conf.log_level);
    if (r->policy && source_policy_set_roots(r->policy, r->conf.source_roots, &err) < 0)
        log_error("source.roots stays as it was: %s", err.text);
    if (r->server)
        server_apply_conf(r->server, &r->conf);
}

static void take_settings(struct rank *r, const struct handoff_message *m)
{
    struct handoff_message applied = {.kind = HANDOFF_APPLIED,
                                      .rank = r->rank,
                                      .generation = r->options->generation,
                                      .pid = getpid(),
                                      .number = m->number,
                                      .fd = -1};
    struct xfer_error err = XFER_ERROR_INIT;

    if (settings_take(m->fd, &r->conf, &err) < 0)
        log_error("new settings do not hold here: %s", err.text);
    else
        rank_apply_conf(r);
    log_debug("settings %lld hold", (long long)m->number);
    if (handoff_send(r->handoff_fd, &applied, &err))
        log_debug("%s", err.text);
}

static void on_handoff(struct ev_loop *loop, struct ev_io *w, int revents)
{
    struct rank *r = w->data;
    struct handoff_message m;
    struct xfer_error err = XFER_ERROR_INIT;
    int n;

    (void)revents;
    while ((n = handoff_receive(r->handoff_fd, &m, &err)) > 0) {
        if (m.kind == HANDOFF_STOP)
            stop(r, "the supervisor asked for it");
        else if (m.kind == HANDOFF_SETTINGS)
            take_settings(r, &m);
        else if (m.kind == HANDOFF_RELOADED && r->errands)
            errands_take(r->errands, &m);
        if (m.fd >= 0)
            close(m.fd);
    }
    if (n == 0)
        return;
    ev_io_stop(loop, w);
    ev_timer_stop(loop, &r->tick);
    if (r->errands)
        errands_hang_up(r->errands);
    close(r->handoff_fd);
    r->handoff_fd = -1;
    r->orphaned = true;
    stop(r, "the supervisor is gone");
}

static void on_tick(struct ev_loop *loop, struct ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    rank_tell(w->data, HANDOFF_TICK, "");
}

static void watch_handoff(struct rank *r)
{
    if (r->handoff_fd < 0)
        return;
    ev_io_init(&r->handoff, on_handoff, r->handoff_fd, EV_READ);
    r->handoff.data = r;
    ev_io_start(r->loop, &r->handoff);
    if (r->rank == 0) {
        ev_timer_init(&r->tick, on_tick, TICK, TICK);
        r->tick.data = r;
        ev_timer_start(r->loop, &r->tick);
    }
}

/* ---- the end in order ---- */

static void on_flushed(struct ev_loop *loop, struct ev_prepare *w, int revents)
{
    struct rank *r = w->data;

    (void)revents;
    if (!r->link || link_flushed(r->link))
        ev_break(loop, EVBREAK_ALL);
}

static void on_flush_limit(struct ev_loop *loop, struct ev_timer *w, int revents)
{
    struct rank *r = w->data;

    (void)revents;
    r->broken = true; /* what was not taken by now will not be */
    ev_break(loop, EVBREAK_ALL);
}

/* Nothing is under way any more: let the last messages out, then leave the loop. */
static void leave(struct rank *r)
{
    if (r->leaving == LEAVING)
        return;
    r->leaving = LEAVING;
    ev_prepare_init(&r->flushed, on_flushed);
    r->flushed.data = r;
    ev_prepare_start(r->loop, &r->flushed);
    ev_timer_init(&r->flush_limit, on_flush_limit, STOP_FLUSH, 0.);
    r->flush_limit.data = r;
    ev_timer_start(r->loop, &r->flush_limit);
    if (r->link)
        link_kick(r->link);
}

static void on_server_stopped(void *user)
{
    struct rank *r = user;

    if (r->link)
        link_stop(r->link);
    leave(r);
}

/* May be called again, and by whatever wants the end. */
static void stop(struct rank *r, const char *why)
{
    if (r->leaving != STAY)
        return;
    log_info("stopping: %s", why);
    r->leaving = STOPPING;
    alarm(STOP_HARD); /* SIGALRM ends the process, whatever hangs */
    if (r->rank == 1) {
        link_stop(r->link); /* rank 0 orders the end */
        return;
    }
    server_stop(r->server, STOP_TRANSFERS, on_server_stopped, r);
    /* Where the supervisor is gone nobody may wait in vain at its socket. */
    if (r->orphaned && !r->listener) {
        close(r->listen_fd);
        r->listen_fd = -1;
    }
}

static void on_link_stop(void *user)
{
    struct rank *r = user;

    if (r->rank == 0) {
        stop(r, "the other rank asked for it");
        return;
    }
    alarm(STOP_HARD);
    leave(r);
}

static void on_link_broken(void *user, const struct xfer_error *why)
{
    struct rank *r = user;

    if (r->leaving == STAY)
        fail(r, why);
    r->broken = true;
    ev_break(r->loop, EVBREAK_ALL);
}

static void on_link_partials(void *user, const uint64_t *jobs, unsigned n)
{
    struct rank *r = user;

    if (r->server)
        server_partials(r->server, jobs, n);
}

static void on_link_forget(void *user, const uint64_t *jobs, unsigned n)
{
    struct rank *r = user;

    if (r->receiving)
        receiving_forget(r->receiving, jobs, n);
}

static void on_link_look(void *user, const struct wire_look *look)
{
    struct rank *r = user;

    if (r->receiving)
        receiving_look(r->receiving, look);
}

static void on_link_looked(void *user, const struct wire_looked *looked)
{
    struct rank *r = user;

    if (r->sender)
        sender_looked(r->sender, looked);
}

const struct link_events rank_link_events = {
    .stop = on_link_stop,
    .broken = on_link_broken,
    .partials = on_link_partials,
    .forget = on_link_forget,
    .look = on_link_look,
    .looked = on_link_looked,
};

/* ---- signals ---- */

static void on_signal(struct ev_loop *loop, struct ev_signal *w, int revents)
{
    char why[32];

    (void)loop;
    (void)revents;
    snprintf(why, sizeof(why), "signal %d", w->signum);
    stop(w->data, why);
}

static void watch_signals(struct rank *r)
{
    static const int stops[] = {SIGTERM, SIGINT, SIGUSR1};

    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN); /* the supervisor's business */
    for (unsigned i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
        ev_signal_init(&r->signals[i], on_signal, stops[i]);
        r->signals[i].data = r;
        ev_signal_start(r->loop, &r->signals[i]);
        ev_unref(r->loop);
    }
}

/* ---- from start to end ---- */

static bool acts_for_others(const struct conf *conf)
{
    return conf->source_identity == IDENTITY_CALLER || conf->store_identity == IDENTITY_CALLER;
}

static int check_place(struct rank *r, int size, struct xfer_error *err)
{
    if (size != 2)
        return error_set(
            err, XFER_CONFIG,
            "started as %d rank%s: xferd needs exactly two (mpiexec -n 2 xferd, or just xferd)",
            size, size == 1 ? "" : "s");
    if (r->options->expected_rank >= 0 && r->options->expected_rank != r->rank)
        return error_set(err, XFER_CONFIG, "the launcher said rank %d, MPI says rank %d",
                         r->options->expected_rank, r->rank);
    return 0;
}

/* Everything in order: 0. A worker that hangs, or messages that nobody takes: -1, just leave. */
static int wind_up(struct rank *r)
{
    struct xfer_error err = XFER_ERROR_INIT;

    sender_destroy(r->sender); /* what hangs on a worker must not tell those who go next */
    server_destroy(r->server);
    errands_destroy(r->errands);
    queue_close(r->queue, RECORD_LAST);
    listener_destroy(r->listener);
    if ((r->pool && !pool_drain(r->pool, 1.0)) || (r->handles && !pool_drain(r->handles, 0.5)))
        return -1;
    receiving_destroy(r->receiving);
    pool_destroy(r->pool);
    pool_destroy(r->handles);
    source_policy_destroy(r->policy);
    store_close(r->store);
    link_destroy(r->link);
    if (!r->options->alone && link_finalize(&err)) {
        log_warning("%s", err.text);
        return -1;
    }
    return 0;
}

/* Small blocks come and go by the thousand, and many are freed by another thread than the one that
 * asked for them. The top of a heap would be given back to the kernel and asked for again all
 * the time, page by page, and giving it back interrupts all other threads. */
static void keep_memory(void)
{
#ifdef M_TOP_PAD
    mallopt(M_TOP_PAD, 256 * 1024);
    mallopt(M_TRIM_THRESHOLD, 2 * 1024 * 1024);
    mallopt(M_MMAP_THRESHOLD, 512 * 1024);
#endif
}

int rank_run(int *argc, char ***argv, const struct conf *conf, const struct rank_options *options)
{
    struct rank r = {.conf = *conf,
                     .options = options,
                     .handoff_fd = -1,
                     .listen_fd = -1,
                     .rank = options->expected_rank};
    struct xfer_error err = XFER_ERROR_INIT;
    int size = 0;

    keep_memory();
    r.loop = ev_default_loop(EVFLAG_NOENV);
    if (!r.loop) {
        log_error("the event loop could not be made");
        return 1;
    }
    watch_signals(&r);
    if (options->handoff) {
        r.handoff_fd =
            handoff_connect(options->handoff, options->expected_rank, options->generation, &err);
        if (r.handoff_fd < 0)
            return fail(&r, &err);
    }
    /* before MPI starts its threads: what is given up must be given up by all */
    if (acts_for_others(conf) && identity_prepare(&err)) {
        r.unprepared = err;
        err = (struct xfer_error)XFER_ERROR_INIT;
    }
    if (options->alone)
        r.rank = 0;
    else if (link_init(argc, argv, &r.rank, &size, &err))
        return fail(&r, &err);
    log_init(r.rank);
    if (!options->alone && check_place(&r, size, &err)) {
        /* every rank says so to itself; one says it aloud */
        if (r.rank == 0)
            fail(&r, &err);
        link_finalize(&err);
        return 2;
    }
    if (rank_start(&r, &err)) {
        fail(&r, &err);
        _exit(1); /* the other rank may wait for this one: MPI_Finalize would too */
    }
    watch_handoff(&r);
    ev_run(r.loop, 0);
    if (r.broken || wind_up(&r)) {
        if (r.orphaned && options->runtime)
            runtime_sweep(options->runtime);
        _exit(1);
    }
    if (r.orphaned && options->runtime)
        runtime_sweep(options->runtime);
    return 0;
}
