/* SPDX-License-Identifier: MIT
 *
 * The channel between supervisor and ranks: one seqpacket message a struct, so that there is
 * nothing to reassemble. Both ends run the same binary; what comes in is checked all the same,
 * since the socket is a name in the file system.
 *
 * Used by the supervisor's loop and by each rank's loop thread; keeps no state of its own.
 */
#include "daemon/handoff.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Does a descriptor come along? */
static bool has_descriptor(uint32_t kind)
{
    return kind == HANDOFF_LISTENER || kind == HANDOFF_SETTINGS || kind == HANDOFF_ENDED;
}

int handoff_connect(const char *path, int rank, int64_t generation, struct xfer_error *err)
{
    struct handoff_message hello = {.kind = HANDOFF_REGISTER,
                                    .rank = rank,
                                    .generation = generation,
                                    .pid = getpid(),
                                    .fd = -1};
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof addr.sun_path)
        return error_set(err, XFER_NAME_TOO_LONG,
                         "%s: longer than the %zu bytes of a Unix socket's path", path,
                         sizeof addr.sun_path - 1);
    memcpy(addr.sun_path, path, strlen(path) + 1);

    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set_errno(err, errno, "no socket to the supervisor");
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0) {
        error_set_errno(err, errno, "the supervisor is not to be reached at %s", path);
        goto failed;
    }
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        error_set_errno(err, errno, "the supervisor's socket");
        goto failed;
    }
    if (handoff_send(fd, &hello, err) < 0)
        goto failed;
    return fd;

failed:
    close(fd);
    return -1;
}

int handoff_send(int fd, const struct handoff_message *m, struct xfer_error *err)
{
    struct handoff_message out = *m;
    struct iovec iov = {.iov_base = &out, .iov_len = sizeof out};
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {.room = {0}};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;

    out.text[sizeof out.text - 1] = '\0';
    out.fd = -1; /* descriptors mean nothing on the other side: it goes as SCM_RIGHTS */
    if (has_descriptor(m->kind)) {
        struct cmsghdr *c;

        msg.msg_control = control.room;
        msg.msg_controllen = sizeof control.room;
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof m->fd);
        memcpy(CMSG_DATA(c), &m->fd, sizeof m->fd);
    }
    do
        n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN))
        return error_set(err, XFER_TOO_BUSY,
                         "the other end of the supervisor's channel does not read");
    if (n < 0) {
        int saved = errno;

        error_set_errno(err, saved, "the supervisor's channel");
        err->code = XFER_IO;
        return -1;
    }
    return 0;
}

/* The descriptor that came along, or -1; *extra when there was more than that one. All others are
 * closed. */
static int take_descriptor(struct msghdr *msg, bool *extra)
{
    int taken = -1;

    *extra = false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        size_t bytes = c->cmsg_len - CMSG_LEN(0);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; at + sizeof(int) <= bytes; at += sizeof(int)) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + at, sizeof fd);
            if (taken < 0) {
                taken = fd;
            } else {
                close(fd);
                *extra = true;
            }
        }
    }
    return taken;
}

int handoff_receive(int fd, struct handoff_message *m, struct xfer_error *err)
{
    struct iovec iov = {.iov_base = m, .iov_len = sizeof *m};
    union {
        char room[CMSG_SPACE(4 * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.room,
                         .msg_controllen = sizeof control.room};
    bool extra, reset = false;
    int taken;
    ssize_t n;

    /* An end that left something unread is told of first, once; behind it lie its last words. */
    for (;;) {
        n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n >= 0 || (errno != EINTR && (errno != ECONNRESET || reset)))
            break;
        reset = reset || errno == ECONNRESET;
    }
    if (n < 0 && (errno == EAGAIN))
        return 0;
    if (n < 0) {
        int saved = errno;

        error_set_errno(err, saved, "the supervisor's channel");
        err->code = XFER_IO;
        return -1;
    }
    taken = take_descriptor(&msg, &extra);
    if (n == 0) {
        error_set(err, XFER_IO, "the other end of the supervisor's channel is gone");
        goto refused;
    }
    if ((size_t)n != sizeof *m || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || extra ||
        memchr(m->text, '\0', sizeof m->text) == NULL || m->kind < HANDOFF_REGISTER ||
        m->kind >= HANDOFF_KINDS || has_descriptor(m->kind) != (taken >= 0)) {
        error_set(err, XFER_PROTOCOL,
                  "a message on the supervisor's channel that is none of its own");
        goto refused;
    }
    m->fd = taken;
    return 1;

refused:
    if (taken >= 0)
        close(taken);
    return -1;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int handoff_expect(int fd, enum handoff_kind kind, double seconds, struct handoff_message *m,
                   struct xfer_error *err)
{
    double deadline = now() + seconds;

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        double left = deadline - now();
        int r = handoff_receive(fd, m, err);

        if (r < 0)
            return -1;
        if (r > 0 && m->kind == kind)
            return 0;
        if (r > 0) {
            if (m->fd >= 0)
                close(m->fd);
            return error_set(err, XFER_PROTOCOL,
                             "the supervisor's channel: message %u where %u was due", m->kind,
                             (unsigned)kind);
        }
        if (left <= 0)
            return error_set(err, XFER_TIMEOUT, "the supervisor said nothing for %g s", seconds);
        if (poll(&p, 1, (int)(left * 1000) + 1) < 0 && errno != EINTR)
            return error_set_errno(err, errno, "the supervisor's channel");
    }
}
