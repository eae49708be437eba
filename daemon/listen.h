/* SPDX-License-Identifier: MIT
 *
 * The control socket as a name in the file system: taken at start, held for life, given back at the
 * end. By the supervisor; by rank 0 where there is none.
 */
#ifndef XFER_DAEMON_LISTEN_H
#define XFER_DAEMON_LISTEN_H

#include "daemon/conf.h"
#include "proto/error.h"

struct listener;

/* The socket that systemd passed to this process, else conf->control_socket, which is bound.
 * Refused: a path that does not fit, a directory that others control, a name under which somebody
 * listens or which is no socket. NULL on failure. */
struct listener *listener_create(const struct conf *conf, struct xfer_error *err);

/* Remove the name, if it is still this socket's; connections made already are unaffected. Not with
 * systemd's socket. */
void listener_withdraw(struct listener *listener);

/* The same, and close, and give up the lock. NULL is fine. */
void listener_destroy(struct listener *listener);

int listener_fd(
    const struct listener *listener); /* listening, non-blocking, CLOEXEC; stays the listener's */
const char *listener_path(const struct listener *listener);

#endif
