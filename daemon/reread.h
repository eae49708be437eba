/* SPDX-License-Identifier: MIT
 *
 * SIGHUP: are the settings still those that the daemon runs with?
 */
#ifndef XFER_DAEMON_REREAD_H
#define XFER_DAEMON_REREAD_H

#include "daemon/conf.h"
#include "proto/error.h"

/* Logs what a start now would make of them. reread: as in struct supervise_options. */
void reread_tell(const struct conf *running,
                 int (*reread)(void *user, struct conf *conf, struct xfer_error *err), void *user);

#endif
