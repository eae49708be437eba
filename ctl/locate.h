/* SPDX-License-Identifier: MIT
 *
 * Which socket xferctl talks to: -s, XFER_SOCKET, or the first place where a daemon's socket is.
 */
#ifndef XFER_CTL_LOCATE_H
#define XFER_CTL_LOCATE_H

#include <stdbool.h>

#include "proto/error.h"
#include "proto/limits.h"

/* option: -s or NULL. Writes the path; *found: nobody named it, it is the first that exists.
 * XFER_NO_DAEMON names all places that were tried and what was wrong with them. */
int locate_socket(const char *option, char path[XFER_PATH_SIZE], bool *found,
                  struct xfer_error *err);

/* Connect: a nonblocking, close-on-exec descriptor, or -1. XFER_NO_DAEMON: nobody is there (where
 * the path was found, the other sockets there are are named);
 * XFER_TOO_BUSY: there is no room at this moment; XFER_PERMISSION_DENIED; XFER_USAGE: the path is
 * too long for a socket. */
int locate_connect(const char *path, bool found, struct xfer_error *err);

#endif
