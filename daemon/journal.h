/* SPDX-License-Identifier: MIT
 *
 * An entry of systemd's journal, in its native protocol: fields in one datagram. Any thread, any
 * rank; keeps no state.
 */
#ifndef XFER_DAEMON_JOURNAL_H
#define XFER_DAEMON_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* Room for the fields around message and path. */
#define JOURNAL_FIELDS_SIZE 256

struct journal_entry {
    int priority; /* of syslog(3) */
    int rank;     /* -1: none */
    int64_t job;  /* 0: none */
    const char *message;
    const char *path; /* bytes of a file name, of which XFER_PATH_SIZE are kept; NULL: none */
};

/* Writes the datagram; returns its length, or 0 where size does not do. */
size_t journal_encode(char *out, size_t size, const struct journal_entry *entry);

/* A socket to send from, -1: there is no journal. CLOEXEC. */
int journal_open(void);

/* False when the journal does not take it at once. where: JOURNAL_SOCKET, but for tests. A message
 * has PIPE_BUF bytes at most. */
bool journal_send(int fd, const char *where, const struct journal_entry *entry);

#endif
