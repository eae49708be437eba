/* SPDX-License-Identifier: MIT
 *
 * Takes connections from the listening socket, a few a turn of the loop. When descriptors or memory
 * run out it pauses, until somebody leaves or a second has passed. Rank 0, the loop's thread.
 */
#ifndef XFER_DAEMON_CONTROL_ACCEPTOR_H
#define XFER_DAEMON_CONTROL_ACCEPTOR_H

#include <ev.h>

#include "proto/error.h"

struct acceptor;

/* listen_fd stays the caller's; it is made non-blocking. connected() owns fd (non-blocking,
 * CLOEXEC). Starts at once. */
struct acceptor *acceptor_create(struct ev_loop *loop, int listen_fd,
                                 void (*connected)(void *user, int fd), void *user,
                                 struct xfer_error *err);
void acceptor_destroy(struct acceptor *a); /* NULL is fine */

/* A descriptor came free: no need to pause any longer. */
void acceptor_resume(struct acceptor *a);

#endif
