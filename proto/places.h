/* SPDX-License-Identifier: MIT
 *
 * Where things are when nobody says otherwise. Daemon and xferctl must agree on these, so they
 * stand here. Pure: looks at the environment and the uid that it is given, never at the disk.
 */
#ifndef XFER_PROTO_PLACES_H
#define XFER_PROTO_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "proto/limits.h"

struct places {
    bool service;                /* the service's places, not a user's own */
    char config[XFER_PATH_SIZE]; /* the service's need not exist either; "" when there is no home */
    char runtime[XFER_PATH_SIZE]; /* directory of the control socket */
    char socket[XFER_PATH_SIZE];
    char queue[XFER_PATH_SIZE];
    char incoming[XFER_PATH_SIZE];
};

/* The places of a daemon of that uid. env(NAME) gives a variable or NULL (getenv in the programs, a
 * table in tests); home is the home directory to use when HOME is unset, or NULL. The service is
 * uid 0 or a daemon that was given RUNTIME_DIRECTORY. RUNTIME_DIRECTORY and STATE_DIRECTORY
 * (systemd), when set, stand in for /run/xfer and /var/lib/xfer (first of a ':' list). Returns 0;
 * -1 when a path does not fit or there is neither HOME nor home. */
int places_daemon(struct places *p, uid_t uid, const char *(*env)(const char *name),
                  const char *home);

/* Sockets to look for on behalf of xferctl of that uid, best first: XFER_SOCKET alone when set;
 * else for root /run/xfer/control.sock; for others $XDG_RUNTIME_DIR/xfer/control.sock,
 * /run/user/UID/xfer/control.sock, /tmp/xfer-UID/control.sock, then /run/xfer/control.sock.
 * must_own[i]: a socket there counts only if that uid (or root) owns it and its directory. Returns
 * how many were written (at most 4). Repeated paths are left out. */
#define PLACES_SOCKETS_MAX 4
int places_sockets(char out[PLACES_SOCKETS_MAX][XFER_PATH_SIZE], bool must_own[PLACES_SOCKETS_MAX],
                   uid_t uid, const char *(*env)(const char *name));

#endif
