/* SPDX-License-Identifier: MIT
 *
 * The settings that can change while the daemon runs, all of them at once, from the supervisor to
 * the ranks of its host: sealed memory with "SECTION.KEY=VALUE" texts, each ended by a NUL.
 */
#ifndef XFER_DAEMON_SETTINGS_H
#define XFER_DAEMON_SETTINGS_H

#include "daemon/conf.h"
#include "proto/error.h"

/* The descriptor, the caller's; -1. */
int settings_pack(const struct conf *conf, struct xfer_error *err);

/* What can change in *conf becomes what is there; all of it or, on failure, nothing. fd stays the
 * caller's. */
int settings_take(int fd, struct conf *conf, struct xfer_error *err);

#endif
