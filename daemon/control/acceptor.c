/* SPDX-License-Identifier: MIT
 *
 * The listening socket stays readable while connections wait that can't be taken, so the watcher is
 * stopped for a pause; else the loop would spin.
 */
#include "daemon/control/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/log.h"

#define ACCEPTS_A_TURN 32
#define PAUSE_SECONDS  1.0

struct acceptor {
    struct ev_loop *loop;
    int fd;
    void (*connected)(void *user, int fd);
    void *user;
    ev_io io;
    ev_timer pause;
    bool said; /* that it pauses */
};

static void on_connection(struct ev_loop *loop, ev_io *w, int revents)
{
    struct acceptor *a = w->data;

    (void)revents;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        int fd = accept4(a->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            a->connected(a->user, fd);
            continue;
        }
        if (errno == EAGAIN) {
            a->said = false; /* nobody waits any more: what comes next is news */
            return;
        }
        if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO)
            continue;
        if (!a->said)
            log_warning("no connection can be taken: %s", strerror(errno));
        a->said = true;
        ev_io_stop(loop, w);
        ev_timer_set(&a->pause, PAUSE_SECONDS, 0.);
        ev_timer_start(loop, &a->pause);
        return;
    }
}

static void on_pause_over(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    acceptor_resume(w->data);
}

struct acceptor *acceptor_create(struct ev_loop *loop, int listen_fd,
                                 void (*connected)(void *user, int fd), void *user,
                                 struct xfer_error *err)
{
    struct acceptor *a = calloc(1, sizeof *a);

    if (!a) {
        error_set(err, XFER_NO_RESOURCES, "no memory to accept connections");
        return NULL;
    }
    int flags = fcntl(listen_fd, F_GETFL);
    if (flags < 0 || fcntl(listen_fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        error_set_errno(err, errno, "the listening socket");
        free(a);
        return NULL;
    }
    a->loop = loop;
    a->fd = listen_fd;
    a->connected = connected;
    a->user = user;
    ev_io_init(&a->io, on_connection, listen_fd, EV_READ);
    ev_init(&a->pause, on_pause_over);
    a->io.data = a->pause.data = a;
    ev_io_start(loop, &a->io);
    return a;
}

void acceptor_destroy(struct acceptor *a)
{
    if (!a)
        return;
    ev_io_stop(a->loop, &a->io);
    ev_timer_stop(a->loop, &a->pause);
    free(a);
}

void acceptor_resume(struct acceptor *a)
{
    ev_timer_stop(a->loop, &a->pause);
    ev_io_start(a->loop, &a->io);
}
