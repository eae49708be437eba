/* SPDX-License-Identifier: MIT
 *
 * See rank.h. What both ranks have in common: signals before MPI_Init (it would miss them
 * otherwise), the supervisor's channel, the link, the loop, and the end in order: rank 0 first lets
 * its transfers come to an end, then tells rank 1 to stop by a message, and both finalize MPI.
 * Where order is impossible (the link broke, a disk hangs) the process just ends: everything on
 * disk is written so that this is safe, and finalizing MPI would hang.
 */
#include "daemon/rank.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/control/queue.h"
#include "daemon/control/server.h"
#include "daemon/errands.h"
#include "daemon/handoff.h"
#include "daemon/link/link.h"
#include "daemon/listen.h"
#include "daemon/log.h"
#include "daemon/receiving.h"
#include "daemon/runtime.h"
#include "daemon/send/sender.h"
#include "daemon/send/source_policy.h"
#include "daemon/settings.h"
#include "daemon/work/identity.h"
#include "daemon/work/pool.h"

#define HEARTBEAT      5.0  /* seconds between questions; link.timeout is two of them at least */
#define HANDSHAKE      30.0 /* seconds for it at start */
#define LOCK_WAIT      10.0 /* seconds for a former generation to leave root and queue */
#define LISTENER_WAIT  20.0
#define RECORD_LAST    0.8 /* seconds for the queue to record what it has not yet */
#define TICK           5.0 /* seconds between signs of life to the supervisor */
#define STOP_TRANSFERS 2.5 /* seconds for transfers to come to an end */
#define STOP_FLUSH     0.5
#define STOP_HARD      5 /* whole seconds until the process ends in any case */

enum leaving { STAY, STOPPING, LEAVING };

struct rank {
    struct conf conf; /* in effect */
    const struct rank_options *options;
    struct ev_loop *loop;
    int rank;
    int handoff_fd; /* -1: no supervisor, or it is gone */
    bool orphaned;  /* it was there and is gone */
    struct link *link;
    struct pool *pool;

    /* rank 0 */
    struct pool *handles; /* workers for what clients hand over: it may hang, and files go on */
    struct listener *listener; /* only without supervisor */
    int listen_fd;
    struct queue *queue;
    struct source_policy *policy;
    struct sender *sender;
    struct errands *errands;
    struct server *server;

    /* rank 1 */
    struct store *store;
    struct receiving *receiving;

    struct xfer_error unprepared; /* why it can't act for others; XFER_OK: it can, or need not */

    enum leaving leaving;
    bool broken;
    struct ev_signal signals[3];
    struct ev_io handoff;
    struct ev_timer tick, flush_limit;
    struct ev_prepare flushed;
};

/* ---- the supervisor ---- */

static void tell(struct rank *r, enum handoff_kind kind, const char *text)
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
        tell(r, HANDOFF_FAILED, err->text); /* who says it aloud */
    else
        log_error("%s", err->text);
    return 1;
}

static void stop(struct rank *r, const char *why);

/* What can change in r->conf has changed. */
static void apply_conf(void *user)
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
        apply_conf(r);
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
    tell(w->data, HANDOFF_TICK, "");
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

static const struct link_events link_events = {
    .stop = on_link_stop,
    .broken = on_link_broken,
    .partials = on_link_partials,
    .forget = on_link_forget,
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

/* ---- the two roles ---- */

static int take_listener(struct rank *r, struct xfer_error *err)
{
    struct handoff_message m;

    if (r->handoff_fd >= 0) {
        if (handoff_expect(r->handoff_fd, HANDOFF_LISTENER, LISTENER_WAIT, &m, err))
            return -1;
        r->listen_fd = m.fd;
        return 0;
    }
    r->listener = listener_create(&r->conf, err);
    if (!r->listener)
        return -1;
    r->listen_fd = listener_fd(r->listener);
    return 0;
}

/* What there is to be told when it serves. */
static int describe(const struct rank *r, char **text)
{
    const struct link_peer *peer = r->link ? link_peer(r->link) : NULL;

    if (peer)
        return asprintf(text, "socket %s, peer %s, receiving root %s", r->conf.control_socket,
                        peer->host, peer->root);
    if (r->conf.peer_host[0])
        return asprintf(text, "socket %s, peer %s away", r->conf.control_socket, r->conf.peer_host);
    return asprintf(text, "socket %s, the other rank down", r->conf.control_socket);
}

static int make_errands(struct rank *r, struct xfer_error *err)
{
    const struct errands_options options = {.handoff_fd = &r->handoff_fd,
                                            .loop = r->loop,
                                            .pool = r->pool,
                                            .conf = &r->conf,
                                            .reread = r->options->reread,
                                            .reread_user = r->options->reread_user,
                                            .changed = apply_conf,
                                            .user = r};

    r->errands = errands_create(&options, err);
    if (r->errands && r->handoff_fd < 0 && r->conf.hook_command[0])
        log_warning("hook.command: no hook is run, since an MPI launcher has started this daemon "
                    "and not xferd itself");
    return r->errands ? 0 : -1;
}

/* Its own files are not for others. */
static int make_policy(struct rank *r, struct xfer_error *err)
{
    char state[XFER_PATH_SIZE];
    const struct link_peer *peer = r->link ? link_peer(r->link) : NULL;
    const bool one_host = r->conf.peer_host[0] == '\0';
    struct source_policy_options options = {
        .roots = r->conf.source_roots,
        .database = r->conf.queue_database,
        .config = r->conf.file,
        .runtime = r->options->runtime,
        .store = !one_host ? NULL
                 : peer    ? peer->root
                           : r->conf.store_root,
    };

    /* A user's own daemon has its files among the user's others. */
    if (r->conf.places.service && r->conf.places.queue[0] == '/') {
        snprintf(state, sizeof(state), "%s", r->conf.places.queue);
        *strrchr(state, '/') = '\0';
        options.state = state;
    }
    r->policy = source_policy_create(&options, err);
    return r->policy ? 0 : -1;
}

/* Where the two hosts don't fit together. */
static void warn_of_identity(const struct rank *r)
{
    const struct link_peer *peer = r->link ? link_peer(r->link) : NULL;

    if (peer && peer->caller && r->conf.source_identity != IDENTITY_CALLER)
        log_warning("store.identity = caller on %s, but source.identity = daemon here: nothing can "
                    "be stored there",
                    peer->host);
}

/* Without a link what it is asked to send waits. */
static int start_sending(struct rank *r, struct xfer_error *err)
{
    struct server_options options = {.loop = r->loop,
                                     .conf = &r->conf,
                                     .link = r->link,
                                     .queue = r->queue,
                                     .generation = r->options->generation};
    char *ready;

    warn_of_identity(r);
    if (make_policy(r, err))
        return -1;
    if (r->link && !(r->sender = sender_create(r->loop, r->link, r->pool, err)))
        return -1;
    if (r->sender)
        sender_set_policy(r->sender, r->policy);
    if (take_listener(r, err))
        return -1;
    if (make_errands(r, err))
        return -1;
    options.errands = &errands_of_server;
    options.errands_user = r->errands;
    options.listen_fd = r->listen_fd;
    options.sender = r->sender;
    options.policy = r->policy;
    r->handles = pool_create(r->loop, XFER_HANDLE_WORKERS, err);
    if (!r->handles)
        return -1;
    options.pool = r->handles;
    if (gethostname(options.host, sizeof(options.host) - 1))
        snprintf(options.host, sizeof(options.host), "unknown");
    r->server = server_create(&options, err);
    if (!r->server)
        return -1;
    errands_serve(r->errands, r->server);
    if (describe(r, &ready) < 0)
        return error_set_errno(err, ENOMEM, "ready");
    error_clean(ready);
    if (r->handoff_fd >= 0)
        tell(r, HANDOFF_READY, ready);
    else
        fprintf(stderr, "xferd: ready: %s\n", ready);
    free(ready);
    return 0;
}

static int start_receiving(struct rank *r, struct xfer_error *err)
{
    r->receiving = receiving_create(r->loop, r->link, r->store, r->pool, err);
    return r->receiving ? 0 : -1;
}

static bool acts_for_others(const struct conf *conf)
{
    return conf->source_identity == IDENTITY_CALLER || conf->store_identity == IDENTITY_CALLER;
}

/* The root is opened before the handshake, so that rank 0 hears when it can't be. */
static void open_store(struct rank *r, struct xfer_error *refuse)
{
    struct store_options options = {.root = r->conf.store_root,
                                    .dir_mode = (unsigned)r->conf.store_dir_mode,
                                    .file_mode = r->conf.store_file_mode,
                                    .reserve = (uint64_t)r->conf.store_reserve,
                                    .as_caller = r->conf.store_identity == IDENTITY_CALLER,
                                    .per_user = r->conf.store_per_user,
                                    .sync = (enum sync_mode)r->conf.store_sync};
    gid_t group;

    if (options.as_caller && r->unprepared.code != XFER_OK) {
        *refuse = r->unprepared;
        error_prefix(refuse, "store.identity = caller");
        return;
    }
    if (conf_store_group(&r->conf, &group, refuse))
        return;
    if (r->conf.store_group[0])
        options.group = &group;
    r->store = store_open(&options, LOCK_WAIT, refuse);
}

/* Before the handshake, which tells the other rank whose queue this is. */
static int open_queue(struct rank *r, struct xfer_error *err)
{
    struct queue_options options = {.path = r->conf.queue_database,
                                    .lock_wait = LOCK_WAIT,
                                    .keep_jobs = r->conf.queue_history,
                                    .keep_seconds = r->conf.queue_history_time,
                                    .same_supervisor = r->options->generation > 1};

    r->queue = queue_open(r->loop, &options, err);
    return r->queue ? 0 : -1;
}

static int start(struct rank *r, struct xfer_error *err)
{
    struct xfer_error refuse = XFER_ERROR_INIT;
    struct link_options options = {.rank = r->rank,
                                   .peer = 1 - r->rank,
                                   .lanes = (uint32_t)r->conf.link_lanes,
                                   .chunk = (uint32_t)r->conf.link_chunk,
                                   .runtime = r->options->runtime,
                                   .heartbeat = HEARTBEAT,
                                   .handshake = HANDSHAKE,
                                   .silence = (double)r->conf.link_timeout};

    if (r->rank == 0) {
        options.caller = r->conf.source_identity == IDENTITY_CALLER;
        if (options.caller && r->unprepared.code != XFER_OK) {
            *err = r->unprepared;
            return error_prefix(err, "source.identity = caller");
        }
        if (open_queue(r, err) < 0)
            return -1;
        memcpy(options.queue_id, queue_id(r->queue), XFER_QUEUE_ID_SIZE);
    }
    if (r->rank == 1) {
        open_store(r, &refuse);
        options.root = r->store ? store_root(r->store) : "";
        options.refuse = r->store ? NULL : &refuse;
        options.caller = r->conf.store_identity == IDENTITY_CALLER;
        options.per_user = r->conf.store_per_user;
    }
    if (r->options->alone)
        return start_sending(r, err);
    r->link = link_start(r->loop, &options, &link_events, r, err);
    if (!r->link)
        return -1;
    r->pool =
        pool_create(r->loop,
                    2 * link_lanes(r->link) + 2 > XFER_WORKERS_MAX ? XFER_WORKERS_MAX
                                                                   : 2 * link_lanes(r->link) + 2,
                    err);
    if (!r->pool)
        return -1;
    return r->rank == 0 ? start_sending(r, err) : start_receiving(r, err);
}

/* ---- from start to end ---- */

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

int rank_run(int *argc, char ***argv, const struct conf *conf, const struct rank_options *options)
{
    struct rank r = {.conf = *conf,
                     .options = options,
                     .handoff_fd = -1,
                     .listen_fd = -1,
                     .rank = options->expected_rank};
    struct xfer_error err = XFER_ERROR_INIT;
    int size = 0;

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
    if (start(&r, &err)) {
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
