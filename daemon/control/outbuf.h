/* SPDX-License-Identifier: MIT
 *
 * Bytes that wait to be written to a socket. Used by one thread.
 */
#ifndef XFER_DAEMON_CONTROL_OUTBUF_H
#define XFER_DAEMON_CONTROL_OUTBUF_H

#include <stddef.h>

struct outbuf {
    char *buf;
    size_t start, end, size; /* [start,end) waits */
};

/* An outbuf of zeros is an empty one. */
void outbuf_free(struct outbuf *o); /* makes it empty again */
size_t outbuf_len(const struct outbuf *o);

/* 0; -1: no memory, nothing was added. */
int outbuf_add(struct outbuf *o, const char *data, size_t len);

/* Write what the socket takes: 0, or -1 with errno. Never blocks, never raises SIGPIPE. */
int outbuf_write(struct outbuf *o, int fd);

#endif
