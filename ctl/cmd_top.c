/* SPDX-License-Identifier: MIT
 *
 * xferctl top: the daemon and its jobs, again and again. On a terminal it takes the whole screen;
 * elsewhere it prints a block of lines, or with --json one value, an interval.
 *
 * Each turn asks for the counters and for as many jobs as can be shown, not before the last turn
 * is answered: a busy daemon is not asked more often than it can answer. All signals come through a
 * descriptor, so that the terminal is given back whatever ends this.
 */
#include <errno.h>
#include <langinfo.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "ctl/clock.h"
#include "ctl/ctl.h"
#include "ctl/screen.h"
#include "ctl/session.h"
#include "ctl/top_impl.h"
#include "proto/units.h"

const struct option_spec cmd_top_options[] = {
    {"interval", 0, "DURATION", "time from one look to the next (default: 1s)"},
    {"iterations", 'n', "N", "end after so many looks"},
    {NULL},
};

#define INTERVAL_MIN   0.1
#define INTERVAL_MAX   86400.0
#define ITERATIONS_MAX 1000000000

void top_finish(struct top *t, int exit_code)
{
    t->over = true;
    t->exit_code = exit_code;
}

/* The terminal goes first, so that the message stays on it. */
void top_fail(struct top *t, const struct xfer_error *err)
{
    if (t->screen)
        screen_leave(t->screen);
    top_finish(t, ctl_fail(t->ctl, err));
}

/* ---- signals and keys
 * ----------------------------------------------------------------------------- */

static void signal_set(sigset_t *set)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT};

    sigemptyset(set);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaddset(set, numbers[i]);
}

static int catch_signals(struct top *t, struct xfer_error *err)
{
    sigset_t set;

    signal_set(&set);
    if (sigprocmask(SIG_BLOCK, &set, NULL))
        return error_set_errno(err, errno, "sigprocmask");
    t->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return t->signal_fd < 0 ? error_set_errno(err, errno, "signalfd") : 0;
}

/* Stop as one would who has no screen to give back; here it goes on after SIGCONT. */
static void stop_here(struct top *t)
{
    sigset_t set;

    if (t->screen)
        screen_leave(t->screen);
    sigemptyset(&set);
    sigaddset(&set, SIGTSTP);
    kill(getpid(), SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static void take_signal(struct top *t, int number)
{
    switch (number) {
    case SIGTSTP:
        stop_here(t);
        /* fall through */
    case SIGCONT:
        if (t->screen)
            screen_enter(t->screen);
        /* A daemon is not to be given up because nobody has listened to it. */
        if (t->silent_since > 0)
            t->silent_since = clock_now();
        top_redraw(t);
        break;
    case SIGWINCH:
        top_redraw(t);
        break;
    default:
        top_finish(t, 128 + number);
    }
}

static void take_signals(struct top *t)
{
    struct signalfd_siginfo info;

    while (!t->over && read(t->signal_fd, &info, sizeof(info)) == sizeof(info))
        take_signal(t, (int)info.ssi_signo);
}

/* False: there will be no more keys. That none is there (any more) means nothing. */
static bool take_keys(struct top *t, const struct pollfd *from)
{
    char keys[64];
    ssize_t n = read(from->fd, keys, sizeof(keys));

    if (n > 0 && (memchr(keys, 'q', (size_t)n) || memchr(keys, 'Q', (size_t)n)))
        top_finish(t, 0);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN;
    return n > 0 || !(from->revents & (POLLHUP | POLLERR));
}

/* ---- the loop
 * ------------------------------------------------------------------------------------- */

static double wake_at(const struct top *t)
{
    double at = t->ctl->deadline;

    if (!t->asked)
        at = clock_sooner(at, t->next_at);
    if (t->silent_since > 0 && !t->waiting)
        at = clock_sooner(at, t->silent_since + TOP_PATIENCE);
    if (t->silent_since > 0)
        at = clock_sooner(at, t->silent_since + CTL_RETRY_SECONDS + 0.01);
    return at;
}

static void run(struct top *t)
{
    bool keys = true;

    if (t->screen)
        screen_enter(t->screen);
    while (!t->over) {
        struct pollfd fds[3];

        top_ask(t, clock_now());
        top_take(t); /* writes what is asked, too */
        if (t->over)
            break;
        fds[0] = (struct pollfd){.fd = t->signal_fd, .events = POLLIN};
        fds[1] = (struct pollfd){.fd = session_fd(t->session), .events = POLLIN};
        fds[2] = (struct pollfd){.fd = t->screen && keys ? screen_keys(t->screen) : -1,
                                 .events = POLLIN};
        if (poll(fds, 3, clock_poll_timeout(wake_at(t))) < 0)
            continue;
        if (fds[0].revents)
            take_signals(t);
        if (fds[2].revents && !t->over)
            keys = take_keys(t, &fds[2]);
        if (!t->over)
            top_take(t);
        if (!t->over && clock_now() >= t->ctl->deadline)
            top_finish(t, error_info(XFER_TIMEOUT)->exit_code);
        if (!t->over)
            top_look_silent(t, clock_now());
    }
}

static int parse_options(struct top *t, const struct arguments *args)
{
    struct xfer_error err = XFER_ERROR_INIT;
    const char *value;
    char *end;

    if ((value = arguments_option(args, "interval"))) {
        if (units_parse_duration(value, &t->interval, &err))
            return ctl_usage(t->ctl, "--interval: %s", err.text);
        if (t->interval < INTERVAL_MIN || t->interval > INTERVAL_MAX)
            return ctl_usage(t->ctl, "--interval is a duration from 0.1s to 1d, not '%s'", value);
    }
    if ((value = arguments_option(args, "iterations"))) {
        errno = 0;
        t->left = strtol(value, &end, 10);
        if (*value < '0' || *value > '9' || *end || errno || t->left < 1 ||
            t->left > ITERATIONS_MAX)
            return ctl_usage(t->ctl, "--iterations is a number from 1 to %d, not '%s'",
                             ITERATIONS_MAX, value);
    }
    return 0;
}

int cmd_top(struct ctl *ctl, const struct arguments *args)
{
    struct top t = {.ctl = ctl,
                    .signal_fd = -1,
                    .interval = 1,
                    .left = -1,
                    .utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0};
    struct xfer_error err = XFER_ERROR_INIT;
    int exit_code = parse_options(&t, args);

    if (exit_code)
        return exit_code;
    t.session = ctl_session(ctl, &exit_code);
    if (!t.session)
        return exit_code;
    /* Before the screen is taken: that there is no daemon needs none. */
    if (session_connect(t.session, ctl->deadline, &err) || catch_signals(&t, &err) ||
        (!ctl->json && output_is_terminal(ctl->out) &&
         !(t.screen = screen_create(t.signal_fd, &err))))
        top_fail(&t, &err);
    else
        run(&t);
    screen_destroy(t.screen);
    session_destroy(t.session);
    if (t.signal_fd >= 0)
        close(t.signal_fd);
    top_forget(&t);
    return t.exit_code;
}
