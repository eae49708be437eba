/* SPDX-License-Identifier: MIT
 *
 * What a rank is made of, put together at its start, before the loop runs: so all of it may block.
 * Rank 0 has the queue, the sender and the control service, rank 1 the receiving root.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/control/queue.h"
#include "daemon/control/server.h"
#include "daemon/errands.h"
#include "daemon/listen.h"
#include "daemon/log.h"
#include "daemon/rank_impl.h"
#include "daemon/receiving.h"
#include "daemon/send/sender.h"
#include "daemon/send/source_policy.h"
#include "daemon/work/pool.h"

#define HEARTBEAT     5.0  /* seconds between questions; link.timeout is two of them at least */
#define HANDSHAKE     30.0 /* seconds for it at start */
#define LOCK_WAIT     10.0 /* seconds for a former generation to leave root and queue */
#define LISTENER_WAIT 20.0
#define DIR_MODE      0755 /* of directories that no source has, unless store.dir_mode says */

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
                                            .changed = rank_apply_conf,
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
        rank_tell(r, HANDOFF_READY, ready);
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

/* The root is opened before the handshake, so that rank 0 hears when it can't be. */
static void open_store(struct rank *r, struct xfer_error *refuse)
{
    struct store_options options = {
        .root = r->conf.store_root,
        .dir_mode = r->conf.store_dir_mode >= 0 ? (unsigned)r->conf.store_dir_mode : DIR_MODE,
        .dir_mode_given = r->conf.store_dir_mode >= 0,
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

int rank_start(struct rank *r, struct xfer_error *err)
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
    r->link = link_start(r->loop, &options, &rank_link_events, r, err);
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
