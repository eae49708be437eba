/* SPDX-License-Identifier: MIT
 *
 * A field is NAME=VALUE and a line feed; or, where the value could hold one, NAME, a line feed, the
 * length of the value as 64 bits (little endian), the value, and a line feed. The datagram goes to
 * the journal's address each time, since a journal that was started anew listens at another socket
 * of that name.
 */
#include "daemon/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct out {
    char *at, *end;
    bool full;
};

static void put(struct out *o, const void *bytes, size_t n)
{
    if (n > (size_t)(o->end - o->at)) {
        o->full = true;
        return;
    }
    memcpy(o->at, bytes, n);
    o->at += n;
}

static void put_number(struct out *o, const char *name, int64_t value)
{
    char line[64];
    int n = snprintf(line, sizeof line, "%s=%" PRId64 "\n", name, value);

    put(o, line, (size_t)n);
}

static void put_bytes(struct out *o, const char *name, const char *value, size_t max)
{
    size_t len = strnlen(value, max);
    unsigned char size[8];

    for (size_t i = 0; i < sizeof size; i++)
        size[i] = (unsigned char)((uint64_t)len >> (8 * i));
    put(o, name, strlen(name));
    put(o, "\n", 1);
    put(o, size, sizeof size);
    put(o, value, len);
    put(o, "\n", 1);
}

size_t journal_encode(char *out, size_t size, const struct journal_entry *e)
{
    struct out o = {.at = out, .end = out + size};
    static const char identifier[] = "SYSLOG_IDENTIFIER=xferd\n";

    put(&o, identifier, strlen(identifier));
    put_number(&o, "SYSLOG_PID", getpid());
    put_number(&o, "PRIORITY", e->priority);
    if (e->rank >= 0)
        put_number(&o, "XFER_RANK", e->rank);
    if (e->job > 0)
        put_number(&o, "XFER_JOB", e->job);
    if (e->path != NULL)
        put_bytes(&o, "XFER_PATH", e->path, XFER_PATH_SIZE);
    put_bytes(&o, "MESSAGE", e->message, SIZE_MAX);
    return o.full ? 0 : (size_t)(o.at - out);
}

int journal_open(void)
{
    if (access(JOURNAL_SOCKET, F_OK) < 0)
        return -1;
    return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

bool journal_send(int fd, const char *where, const struct journal_entry *entry)
{
    char datagram[JOURNAL_FIELDS_SIZE + XFER_PATH_SIZE + PIPE_BUF];
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t len = journal_encode(datagram, sizeof datagram, entry);

    if (fd < 0 || len == 0 || strlen(where) >= sizeof addr.sun_path)
        return false;
    strcpy(addr.sun_path, where);
    return sendto(fd, datagram, len, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&addr,
                  sizeof addr) == (ssize_t)len;
}
