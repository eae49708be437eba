/* SPDX-License-Identifier: MIT
 *
 * The ranks on this machine as the supervisor knows them: each connects to the channel and
 * registers; from then on its messages are passed on, its death is noticed, and it can be ended for
 * certain. Runs on the supervisor's loop.
 */
#ifndef XFER_DAEMON_RANKS_H
#define XFER_DAEMON_RANKS_H

#include <stdbool.h>
#include <stdint.h>
#include <ev.h>

#include "daemon/handoff.h"
#include "proto/error.h"

struct ranks;

struct ranks_events {
    void (*registered)(void *user, int rank);
    /* m->fd, where there is one, is closed after it, unless it was taken and set to -1. */
    void (*message)(void *user, int rank, struct handoff_message *m);
    /* It died, or hung up first and died then: told twice in that case; see ranks_alive(). */
    void (*gone)(void *user, int rank);
};

/* Listens at that path, which must not exist. events: copied. NULL on failure. */
struct ranks *ranks_create(struct ev_loop *loop, const char *path,
                           const struct ranks_events *events, void *user, struct xfer_error *err);
void ranks_destroy(struct ranks *ranks); /* NULL is fine */

/* Forget the ranks of before; from now on only those of that generation may register. */
void ranks_expect(struct ranks *ranks, int64_t generation);

/* To the registered rank; -1 when there is none. */
int ranks_send(struct ranks *ranks, int rank, const struct handoff_message *m,
               struct xfer_error *err);

/* SIGKILL to all registered ranks. */
void ranks_kill(struct ranks *ranks);

/* Processes of registered ranks that are not dead yet. */
int ranks_alive(const struct ranks *ranks);

#endif
