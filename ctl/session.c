/* SPDX-License-Identifier: MIT
 *
 * A conversation with the daemon. Signals come through a descriptor, so that poll() waits for them
 * and nothing races.
 */
#include "ctl/session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctl/clock.h"
#include "ctl/locate.h"
#include "proto/control_request.h"
#include "proto/limits.h"
#include "proto/lines.h"

#define READ_SIZE (64 * 1024)

struct session {
    char path[XFER_PATH_SIZE];
    bool found;    /* nobody named it */
    int fd;        /* -1: not connected */
    int signal_fd; /* -1: signals act by themselves */
    int signal;
    struct lines in;
    bool ended; /* end of input was seen; whole lines may still be there */
    char *out;
    size_t out_start, out_end, out_size;
    uint64_t queued, written;
    struct {
        int fd;
        uint64_t begin, end; /* of its line, among the bytes that were queued */
    } descriptors[SESSION_DESCRIPTORS_MAX];
    unsigned n_descriptors;
};

struct session *session_create(const char *option, struct xfer_error *err)
{
    struct session *s = calloc(1, sizeof(*s));

    if (!s) {
        error_set(err, XFER_NO_RESOURCES, "no memory");
        return NULL;
    }
    s->fd = s->signal_fd = -1;
    lines_init(&s->in, XFER_REPLY_MAX);
    if (locate_socket(option, s->path, &s->found, err)) {
        session_destroy(s);
        return NULL;
    }
    return s;
}

void session_destroy(struct session *s)
{
    if (!s)
        return;
    session_disconnect(s);
    if (s->signal_fd >= 0)
        close(s->signal_fd);
    lines_free(&s->in);
    free(s->out);
    free(s);
}

const char *session_path(const struct session *s)
{
    return s->path;
}

int session_catch_signals(struct session *s, struct xfer_error *err)
{
    sigset_t set;

    if (s->signal_fd >= 0)
        return 0;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGWINCH);
    if (sigprocmask(SIG_BLOCK, &set, NULL))
        return error_set_errno(err, errno, "sigprocmask");
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->signal_fd < 0)
        return error_set_errno(err, errno, "signalfd");
    return 0;
}

int session_connect(struct session *s, double deadline, struct xfer_error *err)
{
    session_disconnect(s);
    s->queued = s->written = 0;
    for (;;) {
        struct pollfd waiting = {.fd = s->signal_fd, .events = POLLIN};

        s->fd = locate_connect(s->path, s->found, err);
        if (s->fd >= 0)
            return 0;
        if (err->code != XFER_TOO_BUSY || clock_now() >= deadline)
            return -1;
        /* There is nothing to wait on for room in the queue of connections. */
        if (poll(&waiting, 1, 5) > 0)
            return -1;
    }
}

bool session_connected(const struct session *s)
{
    return s->fd >= 0;
}

int session_fd(const struct session *s)
{
    return s->fd;
}

static void drop_descriptors(struct session *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        close(s->descriptors[i].fd);
    s->n_descriptors -= n;
    memmove(s->descriptors, s->descriptors + n, s->n_descriptors * sizeof(*s->descriptors));
}

unsigned session_descriptors(const struct session *s)
{
    return s->n_descriptors;
}

void session_disconnect(struct session *s)
{
    drop_descriptors(s, s->n_descriptors);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    lines_free(&s->in);
    lines_init(&s->in, XFER_REPLY_MAX);
    s->ended = false;
    s->out_start = s->out_end = 0;
}

uint64_t session_queued(const struct session *s)
{
    return s->queued;
}

uint64_t session_written(const struct session *s)
{
    return s->written;
}

int session_signal(const struct session *s)
{
    return s->signal;
}

static int append(struct session *s, const char *line, struct xfer_error *err)
{
    size_t len = strlen(line);

    if (s->out_start > 0 && s->out_end + len > s->out_size) {
        memmove(s->out, s->out + s->out_start, s->out_end - s->out_start);
        s->out_end -= s->out_start;
        s->out_start = 0;
    }
    if (s->out_end + len > s->out_size) {
        size_t size = 2 * (s->out_end + len) + 1024;
        char *bigger = realloc(s->out, size);

        if (!bigger)
            return error_set(err, XFER_NO_RESOURCES, "no memory");
        s->out = bigger;
        s->out_size = size;
    }
    memcpy(s->out + s->out_end, line, len);
    s->out_end += len;
    s->queued += len;
    return 0;
}

int session_send(struct session *s, int64_t id, enum method_id method,
                 const struct control_params *params, struct xfer_error *err)
{
    return session_send_with(s, id, method, params, -1, err);
}

int session_send_with(struct session *s, int64_t id, enum method_id method,
                      const struct control_params *params, int fd, struct xfer_error *err)
{
    uint64_t begin = s->queued;
    struct control_params none;
    char *line;
    int rc;

    control_params_init(&none);
    line = control_request_encode(id, method, params ? params : &none);
    if (fd >= 0 && s->n_descriptors == SESSION_DESCRIPTORS_MAX)
        rc = error_set(err, XFER_INTERNAL, "too many files are to be handed over at once");
    else
        rc = line ? append(s, line, err) : error_set(err, XFER_NO_RESOURCES, "no memory");
    free(line);
    if (fd >= 0 && rc) {
        close(fd);
    } else if (fd >= 0) {
        s->descriptors[s->n_descriptors].fd = fd;
        s->descriptors[s->n_descriptors].begin = begin;
        s->descriptors[s->n_descriptors].end = s->queued;
        s->n_descriptors++;
    }
    return rc;
}

int session_send_raw(struct session *s, int64_t id, const char *method, const char *params,
                     struct xfer_error *err)
{
    char *line = control_request_encode_raw(id, method, params, err);
    int rc = line ? append(s, line, err) : -1;

    free(line);
    return rc;
}

/* The bytes that may go at once, and the descriptor that goes with them: one that belongs to a line
 * goes with bytes of that line alone. */
static ssize_t write_piece(struct session *s, size_t len)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.space = {0}};
    struct iovec iov = {.iov_base = s->out + s->out_start, .iov_len = len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    bool with = s->n_descriptors > 0 && s->descriptors[0].begin == s->written;
    ssize_t n;

    if (with) {
        struct cmsghdr *m;

        msg.msg_control = &control;
        msg.msg_controllen = sizeof(control.space);
        m = CMSG_FIRSTHDR(&msg);
        m->cmsg_level = SOL_SOCKET;
        m->cmsg_type = SCM_RIGHTS;
        m->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(m), &s->descriptors[0].fd, sizeof(int));
        iov.iov_len = (size_t)(s->descriptors[0].end - s->written);
    } else if (s->n_descriptors > 0) {
        iov.iov_len = (size_t)(s->descriptors[0].begin - s->written);
    }
    n = sendmsg(s->fd, &msg, MSG_NOSIGNAL);
    /* It has left with the first of these bytes. */
    if (n > 0 && with)
        drop_descriptors(s, 1);
    return n;
}

/* A connection that takes nothing more may still hold replies: reading tells when it is gone. */
static void write_some(struct session *s)
{
    while (s->out_start < s->out_end) {
        ssize_t n = write_piece(s, s->out_end - s->out_start);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            break;
        s->out_start += (size_t)n;
        s->written += (uint64_t)n;
    }
    drop_descriptors(s, s->n_descriptors);
    s->out_start = s->out_end = 0;
}

static int read_some(struct session *s, struct xfer_error *err)
{
    size_t room;
    char *space = lines_space(&s->in, READ_SIZE, &room);
    ssize_t n;

    if (!space)
        return error_set(err, XFER_NO_RESOURCES, "no memory");
    do
        n = recv(s->fd, space, room, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n < 0)
        return error_set(err, XFER_NO_DAEMON, "the connection to the daemon broke: %s",
                         strerror(errno));
    if (n == 0)
        s->ended = true;
    else
        lines_added(&s->in, (size_t)n);
    return 0;
}

/* 1: *in is filled, 0: no whole line is there, -1: what came is no reply. */
static int take_line(struct session *s, struct control_incoming *in, struct xfer_error *err)
{
    char *line;
    size_t len;
    int rc = lines_next(&s->in, &line, &len);

    if (rc < 0)
        return error_set(err, XFER_PROTOCOL, "the daemon sent a line that is too long");
    if (rc == 0)
        return 0;
    if (control_incoming_parse(line, len, in, err))
        return error_prefix(err, "an answer of the daemon is not understood");
    return 1;
}

static enum session_event lost(struct session *s)
{
    session_disconnect(s);
    return SESSION_LOST;
}

/* poll() until something can be done. fds: [0] the signals, [1] the connection. */
static void wait_for(struct session *s, double deadline, struct pollfd fds[2])
{
    fds[0] = (struct pollfd){.fd = s->signal_fd, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = s->fd, .events = POLLIN};
    if (s->out_start < s->out_end)
        fds[1].events |= POLLOUT;
    if (poll(fds, 2, clock_poll_timeout(deadline)) < 0)
        fds[0].revents = fds[1].revents = 0;
}

enum session_event session_next(struct session *s, double deadline, struct control_incoming *in,
                                struct xfer_error *err)
{
    /* The usual request fits in the socket: no need to ask poll() first. */
    if (s->fd >= 0)
        write_some(s);

    for (;;) {
        struct pollfd fds[2];
        struct signalfd_siginfo info;
        int rc = s->fd >= 0 ? take_line(s, in, err) : 0;

        if (rc > 0)
            return SESSION_MESSAGE;
        if (rc < 0)
            return lost(s);
        if (s->ended) {
            error_set(err, XFER_NO_DAEMON, "the daemon closed the connection");
            return lost(s);
        }

        wait_for(s, deadline, fds);
        if (fds[0].revents && read(s->signal_fd, &info, sizeof(info)) == sizeof(info)) {
            s->signal = (int)info.ssi_signo;
            return SESSION_SIGNAL;
        }
        if (fds[1].revents & POLLOUT)
            write_some(s);
        if (fds[1].revents) {
            if (read_some(s, err))
                return lost(s);
        } else if (clock_now() >= deadline) {
            return SESSION_DEADLINE;
        }
    }
}
