/* SPDX-License-Identifier: MIT
 *
 * How the link comes about (PROTOCOL.md, "Start"): the ranks meet, say hello, and rank 0's terms
 * hold or rank 1 says why it can't serve. Before the event loop runs; the only part of the link
 * that waits.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/link/link_impl.h"
#include "daemon/link/mpi_error.h"

#define HANDSHAKE_STEP_NS     100000
#define HANDSHAKE_STEP_MAX_NS 5000000

/* The only waits of the link: at start, with a deadline, sleeping between looks. */
static int wait_request(MPI_Request *request, MPI_Status *status, double deadline, const char *what,
                        struct xfer_error *err)
{
    struct timespec step = {.tv_nsec = HANDSHAKE_STEP_NS};
    int done = 0;

    for (;;) {
        if (mpi_check(MPI_Test(request, &done, status), what, err))
            return -1;
        if (done)
            return 0;
        if (link_clock() > deadline)
            return error_set(err, XFER_PEER_DOWN, "%s: the other rank did not answer in time",
                             what);
        nanosleep(&step, NULL);
        if (step.tv_nsec < HANDSHAKE_STEP_MAX_NS)
            step.tv_nsec *= 2;
    }
}

/* Collective calls spin until all are there, and the other rank may still wait for its root. */
static int meet(double deadline, struct xfer_error *err)
{
    MPI_Request request;

    if (mpi_check(MPI_Ibarrier(MPI_COMM_WORLD, &request), "MPI_Ibarrier", err))
        return -1;
    return wait_request(&request, MPI_STATUS_IGNORE, deadline, "start", err);
}

static int send_hello(struct link *link, const struct wire_hello *hello, double deadline,
                      struct xfer_error *err)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    size_t len = wire_hello_encode(hello, msg);
    MPI_Request request;

    if (mpi_check(MPI_Isend(msg, (int)len, MPI_BYTE, link->options.peer, WIRE_TAG_HELLO,
                            MPI_COMM_WORLD, &request),
                  "MPI_Isend", err))
        return -1;
    return wait_request(&request, MPI_STATUS_IGNORE, deadline, "hello", err);
}

static int receive_hello(struct link *link, struct wire_hello *hello, double deadline,
                         struct xfer_error *err)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    MPI_Request request;
    MPI_Status status;
    int count = 0;

    if (mpi_check(MPI_Irecv(msg, sizeof(msg), MPI_BYTE, link->options.peer, WIRE_TAG_HELLO,
                            MPI_COMM_WORLD, &request),
                  "MPI_Irecv", err) ||
        wait_request(&request, &status, deadline, "hello", err) ||
        mpi_check(MPI_Get_count(&status, MPI_BYTE, &count), "MPI_Get_count", err))
        return -1;
    return wire_hello_decode(msg, (size_t)count, hello, err);
}

/* A bell only where both ranks share a machine. */
static int make_bell(struct link *link, struct xfer_error *err)
{
    MPI_Comm shared;
    int size = 0;

    if (mpi_check(
            MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &shared),
            "MPI_Comm_split_type", err) ||
        mpi_check(MPI_Comm_size(shared, &size), "MPI_Comm_size", err))
        return -1;
    MPI_Comm_free(&shared);
    if (size < 2)
        return 0;
    link->bell = doorbell_create(link->options.runtime, link->options.rank, err);
    return link->bell ? 0 : -1;
}

static void introduce(const struct link *link, struct wire_hello *hello)
{
    memset(hello, 0, sizeof(*hello));
    hello->version = WIRE_VERSION;
    hello->lanes = link->options.lanes;
    hello->chunk = link->options.chunk;
    hello->window = XFER_LANE_FILES_MAX;
    hello->pid = (uint64_t)getpid();
    memcpy(hello->queue_id, link->options.queue_id, sizeof(hello->queue_id));
    hello->caller = link->options.caller;
    hello->per_user = link->options.per_user;
    if (gethostname(hello->host, sizeof(hello->host) - 1))
        snprintf(hello->host, sizeof(hello->host), "unknown");
    snprintf(hello->root, sizeof(hello->root), "%s", link->options.root ? link->options.root : "");
    if (link->bell)
        snprintf(hello->doorbell, sizeof(hello->doorbell), "%s", doorbell_path(link->bell));
}

static void remember_peer(struct link *link, const struct wire_hello *hello)
{
    link->peer.rank = link->options.peer;
    link->peer.pid = (int64_t)hello->pid;
    memcpy(link->peer.host, hello->host, sizeof(link->peer.host));
    memcpy(link->peer.root, hello->root, sizeof(link->peer.root));
    link->peer.caller = hello->caller;
    link->peer.per_user = hello->per_user;
    link->peer.free_bytes = link->peer.total_bytes = -1;
}

static int check_memory(uint32_t lanes, uint32_t chunk, struct xfer_error *err)
{
    int64_t need = (int64_t)lanes * chunk * XFER_RING_CHUNKS;

    if (need <= XFER_RING_MEMORY_MAX)
        return 0;
    return error_set(
        err, XFER_CONFIG,
        "%u lanes with %d chunks of %u bytes are more memory than allowed (%lld bytes)", lanes,
        XFER_RING_CHUNKS, chunk, (long long)XFER_RING_MEMORY_MAX);
}

static int handshake_offer(struct link *link, double deadline, struct xfer_error *err)
{
    struct wire_hello mine, theirs;

    introduce(link, &mine);
    if (send_hello(link, &mine, deadline, err) || receive_hello(link, &theirs, deadline, err))
        return -1;
    if (theirs.error.code != XFER_OK) {
        *err = theirs.error;
        return -1;
    }
    if (theirs.version != WIRE_VERSION || theirs.lanes != mine.lanes ||
        theirs.chunk != mine.chunk || theirs.window != mine.window)
        return error_set(err, XFER_PROTOCOL, "hello: the other rank answered with other terms");
    remember_peer(link, &theirs);
    memcpy(link->queue_id, mine.queue_id, sizeof(link->queue_id));
    link->chunk = mine.chunk;
    link->n_lanes = mine.lanes;
    if (link->bell && !theirs.doorbell[0])
        return error_set(err, XFER_PROTOCOL, "hello: the other rank has no doorbell");
    return link->bell ? doorbell_connect(link->bell, theirs.doorbell, err) : 0;
}

static int handshake_answer(struct link *link, double deadline, struct xfer_error *err)
{
    struct wire_hello mine, theirs;
    struct xfer_error why = XFER_ERROR_INIT;

    introduce(link, &mine);
    if (receive_hello(link, &theirs, deadline, err))
        return -1;
    mine.lanes = theirs.lanes;
    mine.chunk = theirs.chunk;
    mine.window = theirs.window;
    if (link->options.refuse)
        why = *link->options.refuse;
    else if (theirs.version < WIRE_VERSION)
        error_set(&why, XFER_PROTOCOL, "hello: rank %d speaks version %u, this one %d",
                  link->options.peer, theirs.version, WIRE_VERSION);
    else if (check_memory(theirs.lanes, theirs.chunk, &why) == 0 && link->bell)
        doorbell_connect(link->bell, theirs.doorbell, &why);
    mine.error = why;
    if (send_hello(link, &mine, deadline, err))
        return -1;
    if (why.code != XFER_OK) {
        *err = why;
        return -1;
    }
    remember_peer(link, &theirs);
    memcpy(link->queue_id, theirs.queue_id, sizeof(link->queue_id));
    link->chunk = theirs.chunk;
    link->n_lanes = theirs.lanes;
    return 0;
}

int handshake(struct link *link, struct xfer_error *err)
{
    double deadline = link_clock() + link->options.handshake;

    if (link->options.rank == 0 && check_memory(link->options.lanes, link->options.chunk, err))
        return -1;
    if (meet(deadline, err) || make_bell(link, err))
        return -1;
    return link->options.rank == 0 ? handshake_offer(link, deadline, err)
                                   : handshake_answer(link, deadline, err);
}
