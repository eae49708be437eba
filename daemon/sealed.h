/* SPDX-License-Identifier: MIT
 *
 * Texts that are handed from one process to another as a descriptor: memory that nobody can change
 * any more, of any length, and nothing that could block. Any thread; no state.
 */
#ifndef XFER_DAEMON_SEALED_H
#define XFER_DAEMON_SEALED_H

#include <stddef.h>

#include "proto/error.h"

/* The descriptor (CLOEXEC, read from its beginning), the caller's; -1. name: for whoever looks into
 * /proc. */
int sealed_make(const char *name, const void *bytes, size_t len, struct xfer_error *err);

/* What is in it, len bytes and a NUL, freed by the caller. NULL with XFER_PROTOCOL: no sealed
 * memory, or more than max bytes. fd stays the caller's. */
char *sealed_read(int fd, size_t max, size_t *len, struct xfer_error *err);

/* 0; -1 with XFER_PROTOCOL as for sealed_read(). */
int sealed_check(int fd, size_t max, size_t *len, struct xfer_error *err);

#endif
