/* SPDX-License-Identifier: MIT
 *
 * A doorbell between two ranks on one machine: MPI has no descriptor to wait on, so an idle rank
 * sleeps until the other, having sent something, rings. A datagram socket on either side, and a
 * page of memory that tells the other whether it is asleep; both are known by a path only until
 * both sides are connected.
 */
#ifndef XFER_DAEMON_LINK_DOORBELL_H
#define XFER_DAEMON_LINK_DOORBELL_H

#include <stdbool.h>

#include "proto/error.h"

struct doorbell;

/* Bind a socket and make the page in directory dir (NULL: a new one under TMPDIR or /tmp). */
struct doorbell *doorbell_create(const char *dir, int rank, struct xfer_error *err);
void doorbell_destroy(struct doorbell *bell); /* NULL is fine */

/* The path that the other side connects to. */
const char *doorbell_path(const struct doorbell *bell);

/* Connect to the other side's path. */
int doorbell_connect(struct doorbell *bell, const char *path, struct xfer_error *err);

/* Both sides are connected: the names are not needed any more. */
void doorbell_unlink(struct doorbell *bell);

int doorbell_fd(const struct doorbell *bell); /* readable: it rang */
void doorbell_clear(struct doorbell *bell);   /* after it rang */

/* This side is about to sleep, or awake again. What the other sent before it could know of that is
 * there to be seen now: look once more, and only then sleep. */
void doorbell_sleep(struct doorbell *bell, bool asleep);
/* Something was sent: ring if the other side is asleep and nobody has rung since. Never blocks.
 * True when it rang. */
bool doorbell_wake(struct doorbell *bell);
/* The same, whatever is known of the other side. */
void doorbell_ring(struct doorbell *bell);

#endif
