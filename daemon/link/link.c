/* SPDX-License-Identifier: MIT
 *
 * See link.h. Control messages (handshake.c, link_control.c) use the world communicator, each lane
 * a duplicate of it. All sends and receives are nonblocking; link_poll() looks at them as often as
 * the pace says. A failure found anywhere is kept and told once through events->broken from the
 * next poll, so that nobody is called back from inside a call of his own.
 */
#include "daemon/link/link.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "daemon/link/link_impl.h"
#include "daemon/link/mpi_error.h"

#define TICK_WITH_BELL 1.0   /* seconds: only a safety net */
#define TICK_RECEIVER  0.005 /* without a bell */
#define TICK_SENDER    1.0   /* without a bell: nothing comes unasked */

double link_clock(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- MPI itself ---- */

int link_init(int *argc, char ***argv, int *rank, int *size, struct xfer_error *err)
{
    int provided = MPI_THREAD_SINGLE;

    if (mpi_check(MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided), "MPI_Init", err))
        return -1;
    if (provided < MPI_THREAD_FUNNELED)
        return error_set(err, XFER_PEER_DOWN,
                         "this MPI library does not support threads (MPI_THREAD_FUNNELED)");
    if (mpi_check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN),
                  "MPI_Comm_set_errhandler", err) ||
        mpi_check(MPI_Comm_rank(MPI_COMM_WORLD, rank), "MPI_Comm_rank", err) ||
        mpi_check(MPI_Comm_size(MPI_COMM_WORLD, size), "MPI_Comm_size", err))
        return -1;
    return 0;
}

int link_finalize(struct xfer_error *err)
{
    return mpi_check(MPI_Finalize(), "MPI_Finalize", err);
}

/* ---- polling ---- */

static int tell_broken(struct link *link)
{
    if (!link->told) {
        link->told = true;
        ev_timer_stop(link->loop, &link->heartbeat);
        link->events->broken(link->user, &link->why);
    }
    return -1;
}

static int link_poll(void *user)
{
    struct link *link = user;
    struct xfer_error err = XFER_ERROR_INIT;
    int found;

    if (link->failed)
        return tell_broken(link);
    requests_add(&link->requests, &link->in.request);
    outbox_add(&link->control, &link->requests);
    for (unsigned i = 0; i < link->n_lanes; i++)
        lane_add_requests(link->lanes[i], &link->requests);
    found = requests_look(&link->requests, &err) ? -1 : link_take_control(link, &err);
    for (unsigned i = 0; i < link->n_lanes && found >= 0; i++) {
        int n = lane_take(link->lanes[i], &err);

        found = n < 0 ? -1 : found + n;
    }
    if (found < 0)
        link_fail(link, &err);
    if (link->failed)
        return tell_broken(link);
    return found;
}

static bool link_sending(void *user)
{
    return !link_flushed(user);
}

static bool link_receiving(void *user)
{
    struct link *link = user;

    for (unsigned i = 0; i < link->n_lanes; i++)
        if (lane_receiving(link->lanes[i]))
            return true;
    return false;
}

static bool link_blocked(void *user)
{
    struct link *link = user;
    bool blocked = false;

    for (unsigned i = 0; i < link->n_lanes; i++) {
        if (lane_blocked(link->lanes[i]))
            blocked = true;
        else if (lane_receiving(link->lanes[i]) || lane_outgoing(link->lanes[i]) > 0)
            return false;
    }
    return blocked;
}

static bool link_expecting(void *user)
{
    struct link *link = user;

    if (link->number != 0 || (link->options.rank == 0 && link->n_looks > 0))
        return true;
    for (unsigned i = 0; i < link->n_lanes; i++)
        if (lane_expecting(link->lanes[i]))
            return true;
    return false;
}

static void on_heartbeat_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
    struct link *link = w->data;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)loop;
    (void)revents;
    /* Counted in turns of this timer, not by the clock: a rank that was itself stopped for a while
     * must look first before it blames the other. */
    link->silent += link->options.heartbeat;
    if (link->heard)
        link->silent = 0;
    link->heard = false;
    if (link->silent >= link->options.silence) {
        error_set(&err, XFER_PEER_DOWN, "nothing was heard of rank %d on %s for %.0f s",
                  link->options.peer, link->peer.host, link->silent);
        link_fail(link, &err);
        pace_kick(link->pace);
    } else if (link->number == 0 && link->options.rank == 0) {
        link_ask(link);
    }
}

/* ---- life ---- */

static int make_lanes(struct link *link, struct xfer_error *err)
{
    enum lane_end end = link->options.rank == 0 ? LANE_SENDING : LANE_RECEIVING;

    link->lanes = calloc(link->n_lanes, sizeof(*link->lanes));
    if (!link->lanes)
        return error_set_errno(err, ENOMEM, "lanes");
    for (unsigned i = 0; i < link->n_lanes; i++) {
        MPI_Comm comm;

        if (mpi_check(MPI_Comm_dup(MPI_COMM_WORLD, &comm), "MPI_Comm_dup", err))
            return -1;
        link->lanes[i] = lane_create(link, comm, link->options.peer, end, link->chunk, err);
        if (!link->lanes[i])
            return -1;
    }
    return 0;
}

struct link *link_start(struct ev_loop *loop, const struct link_options *options,
                        const struct link_events *events, void *user, struct xfer_error *err)
{
    static const struct pace_client client = {link_poll, link_sending, link_expecting,
                                              link_receiving, link_blocked};
    struct link *link = calloc(1, sizeof(*link));
    double tick;

    if (!link) {
        error_set_errno(err, ENOMEM, "link");
        return NULL;
    }
    link->loop = loop;
    link->options = *options;
    link->events = events;
    link->user = user;
    mailbox_init(&link->in, MPI_COMM_WORLD, options->peer, MPI_ANY_TAG);
    link->free_bytes = link->total_bytes = UINT64_MAX;
    outbox_init(&link->control, MPI_COMM_WORLD, options->peer);
    ev_timer_init(&link->heartbeat, on_heartbeat_timer, 0., options->heartbeat);
    link->heartbeat.data = link;

    if (handshake(link, err) || make_lanes(link, err) || mailbox_post(&link->in, err))
        goto fail;
    tick = link->bell ? TICK_WITH_BELL : options->rank == 0 ? TICK_SENDER : TICK_RECEIVER;
    link->pace = pace_create(loop, &client, link, link->bell, tick, err);
    if (!link->pace)
        goto fail;
    if (link->bell)
        doorbell_unlink(link->bell);
    link->heard = true; /* the hello: silence is counted from here */
    ev_timer_start(loop, &link->heartbeat);
    return link;
fail:
    link_destroy(link);
    return NULL;
}

void link_destroy(struct link *link)
{
    if (!link)
        return;
    ev_timer_stop(link->loop, &link->heartbeat);
    pace_destroy(link->pace);
    request_cancel(&link->in.request);
    outbox_abandon(&link->control);
    for (unsigned i = 0; link->lanes && i < link->n_lanes; i++)
        lane_destroy(link->lanes[i]);
    free(link->lanes);
    doorbell_destroy(link->bell);
    link_drop_pings(link);
    free(link);
}

void link_fail(struct link *link, const struct xfer_error *why)
{
    if (link->failed)
        return;
    link->failed = true;
    link->why = *why;
    if (link->pace)
        pace_kick(link->pace);
}

/* ---- the rest of the interface ---- */

const struct link_peer *link_peer(const struct link *link)
{
    return &link->peer;
}

const unsigned char *link_queue_id(const struct link *link)
{
    return link->queue_id;
}

unsigned link_lanes(const struct link *link)
{
    return link->n_lanes;
}

uint32_t link_chunk(const struct link *link)
{
    return link->chunk;
}

struct lane *link_lane(struct link *link, unsigned i)
{
    return i < link->n_lanes ? link->lanes[i] : NULL;
}

void link_set_space(struct link *link, uint64_t free_bytes, uint64_t total_bytes)
{
    link->free_bytes = free_bytes;
    link->total_bytes = total_bytes;
}

bool link_flushed(const struct link *link)
{
    if (link->control.count > 0)
        return false;
    for (unsigned i = 0; i < link->n_lanes; i++)
        if (lane_outgoing(link->lanes[i]) > 0)
            return false;
    return true;
}

void link_sent(struct link *link)
{
    if (link->pace)
        pace_sent(link->pace);
}

void link_data(struct link *link, size_t len)
{
    if (link->pace)
        pace_data(link->pace, len);
}

void link_heard(struct link *link)
{
    link->heard = true;
}

void link_kick(struct link *link)
{
    if (link->pace)
        pace_kick(link->pace);
}
