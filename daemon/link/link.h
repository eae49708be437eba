/* SPDX-License-Identifier: MIT
 *
 * The MPI link between the two ranks: handshake, heartbeat, stop, and the lanes on which files
 * travel. The only part of xfer that knows MPI. Everything runs on the thread that owns the event
 * loop; nothing here blocks once link_start() has returned.
 *
 * Messages are addressed to a peer's rank number, never to a constant.
 */
#ifndef XFER_DAEMON_LINK_LINK_H
#define XFER_DAEMON_LINK_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <ev.h>

#include "daemon/link/lane.h"
#include "proto/error.h"
#include "proto/wire.h"

struct link;

/* MPI_Init and MPI_Finalize. link_init() must come before any thread is started; *rank and *size
 * are set. */
int link_init(int *argc, char ***argv, int *rank, int *size, struct xfer_error *err);
int link_finalize(struct xfer_error *err);

struct link_options {
    int rank, peer;        /* own rank, and the one to talk to */
    uint32_t lanes, chunk; /* rank 0's word counts */
    unsigned char queue_id[XFER_QUEUE_ID_SIZE];
    const char *runtime; /* directory for the doorbell, or NULL for none */
    const char *root;    /* rank 1: the receiving root; rank 0: "" */
    bool caller;         /* rank 0: it says whose rights are to be used; rank 1: it uses them */
    bool per_user;       /* rank 1: each user's files are kept apart */
    const struct xfer_error
        *refuse;      /* rank 1: why it can't serve (the link is not made), or NULL */
    double heartbeat; /* seconds between questions of rank 0 */
    double handshake; /* seconds that it may take */
    double silence;   /* seconds of it after which the peer counts as gone */
};

struct link_events {          /* on the loop's thread */
    void (*stop)(void *user); /* a STOP message came in */
    void (*broken)(void *user,
                   const struct xfer_error *why); /* the link is of no more use: end the job */
    /* rank 0: the peer holds something of these jobs; rank 1: of these nothing is needed any more.
     * NULL: nobody cares */
    void (*partials)(void *user, const uint64_t *jobs, unsigned n);
    void (*forget)(void *user, const uint64_t *jobs, unsigned n);
    /* rank 1: entries of a directory that the peer asks for; each is to be answered once, by
     * link_send_looked(), in whatever order. rank 0: such an answer, with the number and as many
     * entries as a look that was sent. NULL: nobody is there, and a look breaks the link */
    void (*look)(void *user, const struct wire_look *look);
    void (*looked)(void *user, const struct wire_looked *looked);
};

/* The handshake (bounded, blocking; both ranks call it), then the lanes; the watchers are started.
 */
struct link *link_start(struct ev_loop *loop, const struct link_options *options,
                        const struct link_events *events, void *user, struct xfer_error *err);
void link_destroy(struct link *link); /* NULL is fine; outstanding requests are cancelled */

/* The other side, as it introduced itself and as of its last heartbeat. */
struct link_peer {
    int rank;
    int64_t pid;
    char host[XFER_HOST_SIZE];
    char root[XFER_PATH_SIZE];       /* of the receiving rank */
    bool caller, per_user;           /* as in the options */
    int64_t free_bytes, total_bytes; /* of the root; -1: not known */
};
const struct link_peer *link_peer(const struct link *link);

/* Rank 0's queue, also on rank 1: XFER_QUEUE_ID_SIZE bytes. */
const unsigned char *link_queue_id(const struct link *link);

unsigned link_lanes(const struct link *link);
uint32_t link_chunk(const struct link *link);
struct lane *link_lane(struct link *link, unsigned i);

/* What the receiving rank tells of its root in heartbeats from now on. */
void link_set_space(struct link *link, uint64_t free_bytes, uint64_t total_bytes);

/* A question over the link and its answer: done(user, seconds) on the loop's thread; never called
 * when the link goes first. */
int link_ping(struct link *link, void (*done)(void *user, double round_trip), void *user,
              struct xfer_error *err);

/* Rank 1 tells of which jobs it holds something; rank 0 of which it may let go. Any number of jobs:
 * sent in as many messages as that takes. */
void link_send_partials(struct link *link, const uint64_t *jobs, size_t n);
void link_send_forget(struct link *link, const uint64_t *jobs, size_t n);

/* How many more looks rank 0 may send now: at most XFER_LOOKS_MAX are unanswered, of all jobs
 * together. */
unsigned link_look_room(const struct link *link);
/* Both are copied. Rank 0: only with room; the number counts up from 1 with each look of this link.
 * Rank 1: only for a look that came, with its number and its number of entries. */
void link_send_look(struct link *link, const struct wire_look *look);
void link_send_looked(struct link *link, const struct wire_looked *looked);

/* Send STOP to the peer. */
void link_stop(struct link *link);

/* No message of ours is still on its way out. */
bool link_flushed(const struct link *link);

/* The peer broke the protocol, or MPI failed outside of a poll: events->broken follows from the
 * next poll, once. */
void link_fail(struct link *link, const struct xfer_error *why);

/* Poll once now and stay attentive: called by the lanes when they have queued a message. */
void link_kick(struct link *link);

#endif
