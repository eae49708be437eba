/* SPDX-License-Identifier: MIT
 *
 * A buffer that grows by doubling, is written from the front, and gives its memory back when it is
 * empty after having been large.
 */
#include "daemon/control/outbuf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define KEPT_SIZE (16 * 1024)

void outbuf_free(struct outbuf *o)
{
    free(o->buf);
    *o = (struct outbuf){NULL, 0, 0, 0};
}

size_t outbuf_len(const struct outbuf *o)
{
    return o->end - o->start;
}

int outbuf_add(struct outbuf *o, const char *data, size_t len)
{
    if (len > o->size - o->end && o->start > 0 && o->start >= o->size / 2) {
        memmove(o->buf, o->buf + o->start, o->end - o->start);
        o->end -= o->start;
        o->start = 0;
    }
    if (len > o->size - o->end) {
        size_t size = o->size ? o->size : 1024;

        while (size - o->end < len)
            size *= 2;
        char *buf = realloc(o->buf, size);
        if (!buf)
            return -1;
        o->buf = buf;
        o->size = size;
    }
    memcpy(o->buf + o->end, data, len);
    o->end += len;
    return 0;
}

int outbuf_write(struct outbuf *o, int fd)
{
    while (o->start < o->end) {
        ssize_t n = send(fd, o->buf + o->start, o->end - o->start, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0) {
            if (errno == EINTR)
                continue;
            return errno == EAGAIN ? 0 : -1;
        }
        o->start += (size_t)n;
    }
    o->start = o->end = 0;
    if (o->size > KEPT_SIZE)
        outbuf_free(o);
    return 0;
}
