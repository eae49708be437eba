/* SPDX-License-Identifier: MIT
 *
 * Registered ranks: a connection and a pidfd each. The pid is what the kernel says of the other end
 * of the connection, never what the message says; the pidfd is opened while that connection stands,
 * so that the pid is still that process's.
 */
#include "daemon/ranks.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/log.h"

#define CONNECTIONS_MAX 16

struct member {
    struct ranks *ranks; /* NULL: the place is free */
    int rank;            /* -1: not registered yet */
    pid_t pid;
    int fd, pidfd; /* -1: none (any more) */
    bool told;     /* that it is gone */
    ev_io readable, dead;
};

struct ranks {
    struct ev_loop *loop;
    struct ranks_events events;
    void *user;
    int64_t generation;
    int fd;
    ev_io acceptable;
    struct member members[CONNECTIONS_MAX];
};

/* glibc has wrappers for these since 2.36 only. */
static int open_process(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static int signal_process(int pidfd, int signum)
{
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signum, NULL, 0);
}

static void close_connection(struct member *m)
{
    if (m->fd < 0)
        return;
    ev_io_stop(m->ranks->loop, &m->readable);
    close(m->fd);
    m->fd = -1;
}

static void release(struct member *m)
{
    if (m->ranks == NULL)
        return;
    close_connection(m);
    if (m->pidfd >= 0) {
        ev_io_stop(m->ranks->loop, &m->dead);
        close(m->pidfd);
    }
    m->ranks = NULL;
}

static void tell_gone(struct member *m)
{
    if (m->told || m->rank < 0)
        return;
    m->told = true;
    m->ranks->events.gone(m->ranks->user, m->rank);
}

static struct member *find(struct ranks *ranks, int rank)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (ranks->members[i].ranks != NULL && ranks->members[i].rank == rank)
            return &ranks->members[i];
    return NULL;
}

static void on_dead(struct ev_loop *loop, ev_io *w, int revents);

static int enroll(struct member *m, const struct handoff_message *hello)
{
    struct ranks *ranks = m->ranks;

    if (hello->kind != HANDOFF_REGISTER || hello->generation != ranks->generation ||
        hello->rank < 0 || find(ranks, hello->rank) != NULL) {
        log_debug("pid %ld of generation %lld does not register as rank %d", (long)m->pid,
                  (long long)hello->generation, hello->rank);
        return -1;
    }
    m->pidfd = open_process(m->pid);
    if (m->pidfd < 0 && errno == ESRCH)
        return -1;
    m->rank = hello->rank;
    if (m->pidfd >= 0) { /* else its connection alone tells */
        ev_io_init(&m->dead, on_dead, m->pidfd, EV_READ);
        m->dead.data = m;
        ev_io_start(ranks->loop, &m->dead);
    }
    log_debug("rank %d is pid %ld", m->rank, (long)m->pid);
    ranks->events.registered(ranks->user, m->rank);
    return 0;
}

static void drain(struct member *m)
{
    for (;;) {
        struct handoff_message in;
        struct xfer_error err = XFER_ERROR_INIT;
        int r = handoff_receive(m->fd, &in, &err);

        if (r == 0)
            return;
        if (r < 0 || (m->rank < 0 && enroll(m, &in) < 0)) {
            if (r > 0 && in.fd >= 0)
                close(in.fd);
            close_connection(m);
            if (m->rank < 0)
                release(m);
            else
                tell_gone(m);
            return;
        }
        if (in.kind != HANDOFF_REGISTER)
            m->ranks->events.message(m->ranks->user, m->rank, &in);
        if (in.fd >= 0)
            close(in.fd);
        if (m->ranks == NULL || m->fd < 0) /* the callback may have ended the generation */
            return;
    }
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop;
    (void)revents;
    drain(w->data);
}

/* Its last words may still be in the channel. */
static void on_dead(struct ev_loop *loop, ev_io *w, int revents)
{
    struct member *m = w->data;

    (void)revents;
    ev_io_stop(loop, &m->dead);
    close(m->pidfd);
    m->pidfd = -1;
    if (m->fd >= 0)
        drain(m);
    else
        m->told = false; /* that it hung up; that it is dead is news */
    if (m->ranks != NULL)
        tell_gone(m);
}

static struct member *free_place(struct ranks *ranks)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (ranks->members[i].ranks == NULL)
            return &ranks->members[i];
    return NULL;
}

static void on_acceptable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct ranks *ranks = w->data;
    struct member *m;
    struct ucred peer;
    socklen_t len = sizeof peer;
    int fd = accept4(ranks->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)revents;
    if (fd < 0)
        return;
    m = free_place(ranks);
    if (m == NULL || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
        peer.uid != geteuid()) {
        close(fd);
        return;
    }
    *m = (struct member){.ranks = ranks, .rank = -1, .pid = peer.pid, .fd = fd, .pidfd = -1};
    ev_io_init(&m->readable, on_readable, fd, EV_READ);
    m->readable.data = m;
    ev_io_start(loop, &m->readable);
}

struct ranks *ranks_create(struct ev_loop *loop, const char *path,
                           const struct ranks_events *events, void *user, struct xfer_error *err)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct ranks *ranks = calloc(1, sizeof *ranks);

    if (ranks == NULL) {
        error_set(err, XFER_NO_RESOURCES, "no memory");
        return NULL;
    }
    *ranks = (struct ranks){.loop = loop, .events = *events, .user = user, .fd = -1};
    if (strlen(path) >= sizeof addr.sun_path) {
        error_set(err, XFER_NAME_TOO_LONG, "%s: too long for a Unix socket", path);
        goto failed;
    }
    memcpy(addr.sun_path, path, strlen(path) + 1);
    ranks->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (ranks->fd < 0 || bind(ranks->fd, (struct sockaddr *)&addr, sizeof addr) < 0 ||
        listen(ranks->fd, CONNECTIONS_MAX) < 0) {
        error_set_errno(err, errno, "the channel to the ranks, %s", path);
        goto failed;
    }
    ev_io_init(&ranks->acceptable, on_acceptable, ranks->fd, EV_READ);
    ranks->acceptable.data = ranks;
    ev_io_start(loop, &ranks->acceptable);
    return ranks;

failed:
    ranks_destroy(ranks);
    return NULL;
}

void ranks_destroy(struct ranks *ranks)
{
    if (ranks == NULL)
        return;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        release(&ranks->members[i]);
    if (ranks->fd >= 0) {
        ev_io_stop(ranks->loop, &ranks->acceptable);
        close(ranks->fd);
    }
    free(ranks);
}

void ranks_expect(struct ranks *ranks, int64_t generation)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        release(&ranks->members[i]);
    ranks->generation = generation;
}

int ranks_send(struct ranks *ranks, int rank, const struct handoff_message *message,
               struct xfer_error *err)
{
    struct member *m = find(ranks, rank);

    if (m == NULL || m->fd < 0)
        return error_set(err, XFER_PEER_DOWN, "rank %d is not there", rank);
    return handoff_send(m->fd, message, err);
}

void ranks_kill(struct ranks *ranks)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        struct member *m = &ranks->members[i];

        if (m->ranks == NULL || m->rank < 0)
            continue;
        if (m->pidfd >= 0)
            signal_process(m->pidfd, SIGKILL);
        else if (m->fd >=
                 0) /* no pidfds here: as long as the connection stands the pid is its own */
            kill(m->pid, SIGKILL);
    }
}

int ranks_alive(const struct ranks *ranks)
{
    int alive = 0;

    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        const struct member *m = &ranks->members[i];

        if (m->ranks != NULL && m->rank >= 0 && (m->pidfd >= 0 || m->fd >= 0))
            alive++;
    }
    return alive;
}
