/* SPDX-License-Identifier: MIT
 *
 * A doorbell between two ranks on one machine: MPI has no descriptor to wait on, so an idle rank
 * sleeps until the other, having sent something after a silence, rings. A datagram socket on either
 * side, known by a path only until both are connected.
 */
#ifndef XFER_DAEMON_LINK_DOORBELL_H
#define XFER_DAEMON_LINK_DOORBELL_H

#include <stdbool.h>

#include "proto/error.h"

struct doorbell;

/* Bind a socket in directory dir (NULL: a new one under TMPDIR or /tmp). */
struct doorbell *doorbell_create(const char *dir, int rank, struct xfer_error *err);
void doorbell_destroy(struct doorbell *bell); /* NULL is fine */

/* The path that the other side connects to. */
const char *doorbell_path(const struct doorbell *bell);

/* Connect to the other side's path. */
int doorbell_connect(struct doorbell *bell, const char *path, struct xfer_error *err);

/* Both sides are connected: the name is not needed any more. */
void doorbell_unlink(struct doorbell *bell);

int doorbell_fd(const struct doorbell *bell); /* readable: it rang */
void doorbell_ring(
    struct doorbell *bell); /* never blocks; a bell that still rings need not ring again */
void doorbell_clear(struct doorbell *bell); /* after it rang */

#endif
