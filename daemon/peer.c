/* SPDX-License-Identifier: MIT
 *
 * See peer.h. That the other host is away, and that it is back, is logged once each, with the last
 * line that the first failing question left; the others' output is read and dropped.
 */
#include "daemon/peer.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/log.h"

#define PAUSE_FIRST 0.5 /* seconds between two questions; doubles */
#define PAUSE_MAX   15.0

struct peer {
    struct peer_options options;
    bool away; /* and that was logged */
    double pause;
    bool overdue; /* the question that is out took too long */
    pid_t pid;    /* of the question; 0: none is out */
    int fd;       /* what it says, -1: nothing (any more) */
    char line[256];
    size_t len;     /* of the line that has not ended yet */
    char said[256]; /* the last one that has, and was not empty */
    ev_timer timer; /* until the next question, or its limit */
    ev_child child;
    ev_io readable;
};

static const char *host_of(const struct peer *p)
{
    return p->options.launch->conf->peer_host;
}

static void set_timer(struct peer *p, double seconds)
{
    ev_timer_stop(p->options.loop, &p->timer);
    ev_timer_set(&p->timer, seconds, 0.);
    ev_now_update(p->options.loop);
    ev_timer_start(p->options.loop, &p->timer);
}

/* ---- what it says --------------------------------------------------------------------------- */

static void end_line(struct peer *p)
{
    if (p->len > 0)
        snprintf(p->said, sizeof p->said, "%.*s", (int)p->len, p->line);
    p->len = 0;
}

static void take(struct peer *p, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\n' || text[i] == '\r')
            end_line(p);
        else if (p->len < sizeof p->line - 1 && (p->len > 0 || text[i] != ' '))
            p->line[p->len++] = isprint((unsigned char)text[i]) ? text[i] : '?';
    }
}

static void stop_reading(struct peer *p)
{
    if (p->fd < 0)
        return;
    ev_io_stop(p->options.loop, &p->readable);
    close(p->fd);
    p->fd = -1;
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct peer *p = w->data;
    char text[4096];
    ssize_t n = read(p->fd, text, sizeof text);

    (void)loop;
    (void)revents;
    if (n > 0)
        take(p, text, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        stop_reading(p);
}

/* What is in the pipe when it has ended; who else holds the other end is not waited for. */
static void read_rest(struct peer *p)
{
    char text[4096];
    ssize_t n;

    for (int i = 0; i < 64 && p->fd >= 0 && (n = read(p->fd, text, sizeof text)) > 0; i++)
        take(p, text, (size_t)n);
    end_line(p);
    stop_reading(p);
}

/* ---- the question --------------------------------------------------------------------------- */

static void answered(struct peer *p)
{
    if (p->away)
        log_notice("%s answers again", host_of(p));
    p->away = false;
    p->pause = 0;
    p->options.due(p->options.user);
}

static void unanswered(struct peer *p, const char *why)
{
    if (p->away)
        log_debug("%s does not answer: %s", host_of(p), why);
    else
        log_warning("%s does not answer: %s; requests are taken and wait for it", host_of(p), why);
    p->away = true;
    p->pause = p->pause > 0 ? 2 * p->pause : PAUSE_FIRST;
    if (p->pause > PAUSE_MAX)
        p->pause = PAUSE_MAX;
    set_timer(p, p->pause);
}

static void on_child(struct ev_loop *loop, ev_child *w, int revents)
{
    struct peer *p = w->data;
    char why[64];

    (void)revents;
    ev_child_stop(loop, w);
    ev_timer_stop(loop, &p->timer);
    p->pid = 0;
    read_rest(p);
    if (WIFEXITED(w->rstatus) && WEXITSTATUS(w->rstatus) == 0) {
        answered(p);
        return;
    }
    if (p->overdue)
        snprintf(why, sizeof why, "no word within %g s", p->options.limit);
    else if (WIFSIGNALED(w->rstatus))
        snprintf(why, sizeof why, "the agent was killed by signal %d", WTERMSIG(w->rstatus));
    else
        snprintf(why, sizeof why, "the agent ended with status %d", WEXITSTATUS(w->rstatus));
    unanswered(p, p->said[0] != '\0' && !p->overdue ? p->said : why);
}

static void ask(struct peer *p)
{
    struct xfer_error err = XFER_ERROR_INIT;
    int out[2];

    if (pipe2(out, O_CLOEXEC) < 0) {
        unanswered(p, strerror(errno));
        return;
    }
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    p->said[0] = '\0';
    p->len = 0;
    p->overdue = false;
    p->pid = launch_start_probe(p->options.launch, out[1], &err);
    close(out[1]);
    if (p->pid < 0) {
        close(out[0]);
        p->pid = 0;
        unanswered(p, err.text);
        return;
    }
    p->fd = out[0];
    ev_io_set(&p->readable, p->fd, EV_READ);
    ev_io_start(p->options.loop, &p->readable);
    ev_child_set(&p->child, p->pid, 0);
    ev_child_start(p->options.loop, &p->child);
    set_timer(p, p->options.limit);
}

/* It leads a session, and so a group, of its own; nobody but the loop waits for it, so the number
 * is still its own. */
static void end_question(struct peer *p)
{
    if (p->pid > 0)
        kill(-p->pid, SIGKILL);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct peer *p = w->data;

    (void)loop;
    (void)revents;
    if (p->pid > 0) {
        p->overdue = true;
        end_question(p);
    } else if (host_of(p)[0] == '\0') {
        p->options.due(p->options.user);
    } else {
        ask(p);
    }
}

/* ---- from outside --------------------------------------------------------------------------- */

struct peer *peer_create(const struct peer_options *options, struct xfer_error *err)
{
    struct peer *p = calloc(1, sizeof *p);

    if (p == NULL) {
        error_set(err, XFER_NO_RESOURCES, "no memory");
        return NULL;
    }
    p->options = *options;
    p->fd = -1;
    ev_timer_init(&p->timer, on_timer, 0., 0.);
    ev_child_init(&p->child, on_child, 0, 0);
    ev_io_init(&p->readable, on_readable, -1, EV_READ);
    p->timer.data = p->child.data = p->readable.data = p;
    return p;
}

void peer_destroy(struct peer *p)
{
    if (p == NULL)
        return;
    peer_cancel(p);
    free(p);
}

void peer_wait(struct peer *p, double delay)
{
    peer_cancel(p);
    p->pause = 0;
    set_timer(p, delay);
}

void peer_cancel(struct peer *p)
{
    end_question(p);
    p->pid = 0;
    ev_child_stop(p->options.loop, &p->child);
    ev_timer_stop(p->options.loop, &p->timer);
    stop_reading(p);
}
