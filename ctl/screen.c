/* SPDX-License-Identifier: MIT
 *
 * The terminal. It is written through a descriptor of its own, which does not block: a terminal
 * that was stopped (Ctrl-S), or is slow, must not keep signals from being heeded. Setting
 * O_NONBLOCK on standard output itself would set it for the shell, too.
 */
#include "ctl/screen.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "ctl/clock.h"

#define ROWS_DEFAULT  24
#define COLS_DEFAULT  80
#define LEAVE_SECONDS 1.0 /* for a terminal that takes nothing to be given back */

struct screen {
    int out;  /* opened here */
    int keys; /* standard input, or -1 */
    int interrupt_fd;
    bool entered;
    bool keys_changed;
    struct termios before;
};

struct screen *screen_create(int interrupt_fd, struct xfer_error *err)
{
    struct screen *s = calloc(1, sizeof(*s));
    const char *name = ttyname(STDOUT_FILENO);

    if (!s) {
        error_set(err, XFER_NO_RESOURCES, "no memory");
        return NULL;
    }
    s->interrupt_fd = interrupt_fd;
    s->keys = isatty(STDIN_FILENO) ? STDIN_FILENO : -1;
    s->out = name ? open(name, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
    if (s->out < 0) /* as under su, whose terminal may not be opened */
        s->out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (s->out < 0) {
        error_set_errno(err, errno, "the terminal");
        free(s);
        return NULL;
    }
    return s;
}

void screen_destroy(struct screen *s)
{
    if (!s)
        return;
    screen_leave(s);
    close(s->out);
    free(s);
}

/* 0: all was written, 1: it was given up for a signal or the time, -1: errno says what. */
static int write_text(struct screen *s, const char *text, int interrupt_fd, double deadline)
{
    size_t len = strlen(text);

    while (len > 0) {
        struct pollfd fds[2] = {{.fd = s->out, .events = POLLOUT},
                                {.fd = interrupt_fd, .events = POLLIN}};
        ssize_t n = write(s->out, text, len);

        if (n >= 0) {
            text += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN) {
            poll(fds, 2, clock_poll_timeout(deadline));
            if (fds[1].revents || clock_now() >= deadline)
                return 1;
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

static void set_keys(struct screen *s, const struct termios *to)
{
    while (tcsetattr(s->keys, TCSANOW, to) && errno == EINTR)
        ;
}

void screen_enter(struct screen *s)
{
    struct termios raw;

    if (s->entered)
        return;
    s->entered = true;
    if (s->keys >= 0 && tcgetattr(s->keys, &s->before) == 0) {
        raw = s->before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        /* No read may wait: Ctrl-C takes back keys of which poll() has told already. */
        raw.c_cc[VMIN] = 0;
        raw.c_cc[VTIME] = 0;
        set_keys(s, &raw);
        s->keys_changed = true;
    }
    write_text(s, "\033[?1049h\033[?25l\033[2J", -1, clock_now() + LEAVE_SECONDS);
}

void screen_leave(struct screen *s)
{
    if (!s->entered)
        return;
    s->entered = false;
    write_text(s, "\033[m\033[?25h\033[?1049l", -1, clock_now() + LEAVE_SECONDS);
    if (s->keys_changed)
        set_keys(s, &s->before);
    s->keys_changed = false;
}

void screen_size(const struct screen *s, int *rows, int *cols)
{
    struct winsize size;

    *rows = ROWS_DEFAULT;
    *cols = COLS_DEFAULT;
    if (ioctl(s->out, TIOCGWINSZ, &size))
        return;
    if (size.ws_row > 0)
        *rows = size.ws_row;
    if (size.ws_col > 0)
        *cols = size.ws_col;
}

int screen_keys(const struct screen *s)
{
    return s->entered ? s->keys : -1;
}

int screen_draw(struct screen *s, const char *lines, struct xfer_error *err)
{
    char *frame = NULL;
    size_t size;
    FILE *to = open_memstream(&frame, &size);
    int row = 1, rc;

    if (!to)
        return error_set(err, XFER_NO_RESOURCES, "no memory");
    /* Each line is placed, and emptied before it is written: text that reaches into the last column
     * could lose its end afterwards. The last one takes all below it along. */
    for (const char *end; (end = strchr(lines, '\n')); lines = end + 1)
        fprintf(to, "\033[%d;1H\033[%c%.*s", row++, end[1] ? 'K' : 'J', (int)(end - lines), lines);
    if (fclose(to)) {
        free(frame);
        return error_set(err, XFER_NO_RESOURCES, "no memory");
    }
    rc = write_text(s, frame, s->interrupt_fd, INFINITY);
    free(frame);
    return rc < 0 ? error_set_errno(err, errno, "the terminal") : 0;
}
