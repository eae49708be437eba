/* SPDX-License-Identifier: MIT
 *
 * An epoll set of its own inside the loop: EPOLLHUP is reported without being asked for, and so,
 * other than with the loop's own watchers, without the end of input, which is there all the time.
 * Edge-triggered, so that a hang-up is told once.
 */
#include "daemon/control/hangup.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

struct hangup {
    struct ev_loop *loop;
    int fd;
    ev_io io;
    void (*gone)(void *user, void *subject);
    void *user;
};

static void on_event(struct ev_loop *loop, ev_io *w, int revents)
{
    struct hangup *h = w->data;
    struct epoll_event ev;

    (void)loop;
    (void)revents;
    /* One at a time: gone() may forget others. What is left is reported again. */
    if (epoll_wait(h->fd, &ev, 1, 0) == 1)
        h->gone(h->user, ev.data.ptr);
}

struct hangup *hangup_create(struct ev_loop *loop, void (*gone)(void *user, void *subject),
                             void *user, struct xfer_error *err)
{
    struct hangup *h = calloc(1, sizeof *h);

    if (!h) {
        error_set(err, XFER_NO_RESOURCES, "no memory to watch connections");
        return NULL;
    }
    h->loop = loop;
    h->gone = gone;
    h->user = user;
    h->fd = epoll_create1(EPOLL_CLOEXEC);
    if (h->fd < 0) {
        error_set_errno(err, errno, "epoll_create1");
        free(h);
        return NULL;
    }
    ev_io_init(&h->io, on_event, h->fd, EV_READ);
    h->io.data = h;
    ev_io_start(loop, &h->io);
    return h;
}

void hangup_destroy(struct hangup *h)
{
    if (!h)
        return;
    ev_io_stop(h->loop, &h->io);
    close(h->fd);
    free(h);
}

int hangup_watch(struct hangup *h, int fd, void *subject)
{
    struct epoll_event ev = {.events = EPOLLET, .data = {.ptr = subject}};

    return epoll_ctl(h->fd, EPOLL_CTL_ADD, fd, &ev);
}

void hangup_forget(struct hangup *h, int fd)
{
    epoll_ctl(h->fd, EPOLL_CTL_DEL, fd, NULL);
}
