/* SPDX-License-Identifier: MIT
 *
 * See hooks.h. A hook is a session and process group of its own. It is over when all of that group
 * is gone, and not before, so that what it leaves in the background counts and ends with its time:
 * its processes become children of the supervisor (see orphans.h), whose death is heard of. At its
 * time the group is told to end, a little later it is killed; then only its first process is waited
 * for, since one that changed its user cannot be killed.
 *
 * A hook that does not work is told in the log, each kind of failure once a minute at most.
 */
#include "daemon/hooks.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/drops.h"
#include "daemon/log.h"
#include "daemon/spawn.h"
#include "proto/limits.h"

#define KILL_SECONDS 2.0  /* from SIGTERM to SIGKILL */
#define LAST_SECONDS 0.7  /* the same when the daemon ends */
#define TELL_SECONDS 60.0 /* between two words on one kind of failure */
#define HOOK_NICE    10   /* transfers come first */
#define HOOK_PATH    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum failure { FAILED_STATUS, FAILED_SIGNAL, FAILED_TIME, FAILED_START, FAILED_COUNT };

struct run {
    struct hooks *hooks; /* NULL: the place is free */
    pid_t pid;           /* of its first process, and of the group */
    int64_t job;
    int report;
    bool ended; /* its first process: */
    int status;
    bool told, killed; /* told: to end; its time was over */
    double timeout;
    ev_timer timer;
};

struct hooks {
    struct ev_loop *loop;
    char *command, *socket;
    double timeout;
    struct run runs[XFER_HOOKS_RUNNING_MAX];
    struct waiting {
        int64_t job;
        enum job_state state;
        int object;
    } waiting[XFER_HOOKS_WAITING_MAX]; /* a ring: n from first on */
    size_t first, n, most;             /* most: that may wait */
    struct drops drops;
    struct {
        double at; /* 0: never */
        unsigned untold;
    } failures[FAILED_COUNT];

    bool closed;         /* none is started any more */
    ev_timer stop_timer; /* until then, and after that until nobody waits for what is left */
    void (*idle)(void *user);
    void *user;
};

static double seconds_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void set_timer(struct ev_loop *loop, ev_timer *timer, double seconds)
{
    ev_timer_stop(loop, timer);
    ev_now_update(loop);
    ev_timer_set(timer, seconds, 0.);
    ev_timer_start(loop, timer);
}

/* ---- failures ---------------------------------------------------------------------------------
 */

static void tell(struct hooks *h, enum failure kind, int64_t job, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void tell(struct hooks *h, enum failure kind, int64_t job, const char *fmt, ...)
{
    double now = seconds_now();
    char text[XFER_ERROR_TEXT_SIZE], more[64] = "";
    va_list args;

    if (h->failures[kind].at > 0 && now - h->failures[kind].at < TELL_SECONDS) {
        h->failures[kind].untold++;
        return;
    }
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (h->failures[kind].untold > 0)
        snprintf(more, sizeof more, " (and %u others before, in the same way)",
                 h->failures[kind].untold);
    log_job(LOG_LEVEL_WARNING, job, NULL, "the hook of job %s%s", text, more);
    h->failures[kind].at = now;
    h->failures[kind].untold = 0;
}

static void tell_result(struct run *run)
{
    struct hooks *h = run->hooks;
    long long job = (long long)run->job;
    int wrong = spawn_report(run->report);

    if (wrong != 0)
        tell(h, FAILED_START, job, "%lld could not be started: %s: %s", job, h->command,
             strerror(wrong));
    else if (run->told && h->closed)
        log_job(LOG_LEVEL_WARNING, job, NULL, "the hook of job %lld was ended: the daemon stops",
                job);
    else if (run->told)
        tell(h, FAILED_TIME, job, "%lld was ended: it had not come to an end within %g s", job,
             run->timeout);
    else if (WIFSIGNALED(run->status))
        tell(h, FAILED_SIGNAL, job, "%lld was killed by signal %d", job, WTERMSIG(run->status));
    else if (WEXITSTATUS(run->status) != 0)
        tell(h, FAILED_STATUS, job, "%lld failed with status %d", job, WEXITSTATUS(run->status));
    else
        log_debug("the hook of job %lld has ended", job);
}

/* ---- one run ----------------------------------------------------------------------------------
 */

static void next(struct hooks *h);
static void look_idle(struct hooks *h);

static bool is_group_gone(const struct run *run)
{
    return kill(-run->pid, 0) < 0 && errno == ESRCH;
}

static void look(struct run *run)
{
    struct hooks *h = run->hooks;

    if (!run->ended || (!run->killed && !is_group_gone(run)))
        return;
    ev_timer_stop(h->loop, &run->timer);
    tell_result(run);
    close(run->report);
    run->hooks = NULL;
    next(h);
    look_idle(h);
}

static void on_time(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct run *run = w->data;

    (void)revents;
    if (run->told) {
        run->killed = true;
        kill(-run->pid, SIGKILL);
        look(run);
        return;
    }
    run->told = true;
    kill(-run->pid, SIGTERM);
    set_timer(loop, &run->timer, run->hooks->closed ? LAST_SECONDS : KILL_SECONDS);
}

/* The environment of a hook, freed by free_list(). NULL: no memory. */
static char **make_environment(const struct hooks *h, const struct waiting *w)
{
    const char *home = getenv("HOME");
    char **list = calloc(6, sizeof *list);
    bool ok = list != NULL && asprintf(&list[0], "PATH=" HOOK_PATH) >= 0 &&
              asprintf(&list[1], "XFER_JOB=%lld", (long long)w->job) >= 0 &&
              asprintf(&list[2], "XFER_STATE=%s", job_state_name(w->state)) >= 0 &&
              asprintf(&list[3], "XFER_SOCKET=%s", h->socket) >= 0 &&
              (home == NULL || asprintf(&list[4], "HOME=%s", home) >= 0);

    if (ok)
        return list;
    for (size_t i = 0; list != NULL && i < 6; i++)
        free(list[i]);
    free(list);
    return NULL;
}

static void start(struct run *run, struct hooks *h, const struct waiting *w)
{
    char *argv[] = {h->command, NULL};
    char **envp = make_environment(h, w);
    struct spawn_options options = {.path = h->command,
                                    .argv = argv,
                                    .envp = envp,
                                    .death_signal = SIGTERM,
                                    .output = -1,
                                    .nice = HOOK_NICE,
                                    .input = w->object};
    struct xfer_error err = XFER_ERROR_INIT;

    *run = (struct run){.job = w->job, .report = -1, .timeout = h->timeout};
    if (envp == NULL)
        error_set(&err, XFER_NO_RESOURCES, "no memory");
    else
        run->pid = spawn_start_unwatched(&options, &run->report, &err);
    for (size_t i = 0; envp != NULL && envp[i] != NULL; i++)
        free(envp[i]);
    free(envp);
    if (run->pid <= 0) {
        tell(h, FAILED_START, w->job, "%lld could not be started: %s", (long long)w->job, err.text);
        return;
    }
    log_debug("the hook of job %lld is pid %ld", (long long)w->job, (long)run->pid);
    run->hooks = h;
    ev_timer_init(&run->timer, on_time, 0., 0.);
    run->timer.data = run;
    set_timer(h->loop, &run->timer, run->timeout);
}

/* ---- all of them ------------------------------------------------------------------------------
 */

static struct run *free_place(struct hooks *h)
{
    for (size_t i = 0; i < XFER_HOOKS_RUNNING_MAX; i++)
        if (h->runs[i].hooks == NULL)
            return &h->runs[i];
    return NULL;
}

static void forget_waiting(struct hooks *h)
{
    for (; h->n > 0; h->n--) {
        close(h->waiting[h->first].object);
        h->first = (h->first + 1) % XFER_HOOKS_WAITING_MAX;
    }
}

static void next(struct hooks *h)
{
    struct run *run;

    while (!h->closed && h->n > 0 && (run = free_place(h)) != NULL) {
        struct waiting *w = &h->waiting[h->first];

        h->first = (h->first + 1) % XFER_HOOKS_WAITING_MAX;
        h->n--;
        start(run, h, w);
        close(w->object);
    }
}

void hooks_job(struct hooks *h, int64_t job, enum job_state state, int object)
{
    if (h->closed || h->command[0] == '\0') {
        close(object);
        return;
    }
    if (h->n >= h->most) {
        drops_count(&h->drops, job);
        close(object);
        return;
    }
    h->waiting[(h->first + h->n++) % XFER_HOOKS_WAITING_MAX] =
        (struct waiting){.job = job, .state = state, .object = object};
    next(h);
}

void hooks_child(struct hooks *h, pid_t pid, int status)
{
    for (size_t i = 0; i < XFER_HOOKS_RUNNING_MAX; i++) {
        struct run *run = &h->runs[i];

        if (run->hooks == NULL)
            continue;
        if (run->pid == pid) {
            run->ended = true;
            run->status = status;
        }
        look(run); /* it may have been one of its group */
    }
}

void hooks_configure(struct hooks *h, const char *command, double timeout)
{
    char *copy = strdup(command);

    h->timeout = timeout;
    if (copy == NULL) {
        log_warning("no memory for hook.command: it stays what it was");
        return;
    }
    free(h->command);
    h->command = copy;
    if (copy[0] == '\0')
        forget_waiting(h);
}

/* ---- the end ----------------------------------------------------------------------------------
 */

static bool is_busy(const struct hooks *h)
{
    bool busy = h->n > 0;

    for (size_t i = 0; i < XFER_HOOKS_RUNNING_MAX && !busy; i++)
        busy = h->runs[i].hooks != NULL;
    return busy;
}

static void be_idle(struct hooks *h)
{
    void (*idle)(void *user) = h->idle;

    ev_timer_stop(h->loop, &h->stop_timer);
    h->idle = NULL;
    if (idle != NULL)
        idle(h->user);
}

static void look_idle(struct hooks *h)
{
    if (h->idle != NULL && !is_busy(h))
        be_idle(h);
}

static void on_stop_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct hooks *h = w->data;

    (void)loop;
    (void)revents;
    if (h->closed)
        be_idle(h);
    else
        hooks_hurry(h);
}

void hooks_hurry(struct hooks *h)
{
    if (h->closed)
        return;
    h->closed = true;
    if (h->n > 0)
        log_warning("the daemon stops: the hooks of %zu jobs are not run", h->n);
    forget_waiting(h);
    for (size_t i = 0; i < XFER_HOOKS_RUNNING_MAX; i++)
        if (h->runs[i].hooks != NULL && h->runs[i].told)
            set_timer(h->loop, &h->runs[i].timer, LAST_SECONDS);
        else if (h->runs[i].hooks != NULL)
            ev_invoke(h->loop, &h->runs[i].timer, EV_TIMER);
    set_timer(h->loop, &h->stop_timer, LAST_SECONDS + 0.3);
}

void hooks_stop(struct hooks *h, double seconds)
{
    if (!h->closed)
        set_timer(h->loop, &h->stop_timer, seconds);
}

bool hooks_wait(struct hooks *h, void (*idle)(void *user), void *user)
{
    if (!is_busy(h))
        return false;
    h->idle = idle;
    h->user = user;
    if (!ev_is_active(&h->stop_timer))
        hooks_hurry(h);
    return true;
}

/* Each that waits takes a descriptor, of which others need some too. */
static size_t most_waiting(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur / 4 >= XFER_HOOKS_WAITING_MAX)
        return XFER_HOOKS_WAITING_MAX;
    return limit.rlim_cur / 4;
}

struct hooks *hooks_create(struct ev_loop *loop, const char *socket, struct xfer_error *err)
{
    struct hooks *h = calloc(1, sizeof *h);

    if (h == NULL || (h->command = strdup("")) == NULL || (h->socket = strdup(socket)) == NULL) {
        error_set(err, XFER_NO_RESOURCES, "no memory for the hooks");
        hooks_destroy(h);
        return NULL;
    }
    h->loop = loop;
    h->most = most_waiting();
    drops_init(&h->drops, loop, "too many wait for others to end");
    ev_timer_init(&h->stop_timer, on_stop_timer, 0., 0.);
    h->stop_timer.data = h;
    return h;
}

void hooks_destroy(struct hooks *h)
{
    if (h == NULL)
        return;
    for (size_t i = 0; i < XFER_HOOKS_RUNNING_MAX; i++) {
        struct run *run = &h->runs[i];

        if (run->hooks == NULL)
            continue;
        kill(-run->pid, SIGKILL);
        ev_timer_stop(h->loop, &run->timer);
        close(run->report);
    }
    forget_waiting(h);
    if (h->loop != NULL) {
        drops_end(&h->drops);
        ev_timer_stop(h->loop, &h->stop_timer);
    }
    free(h->command);
    free(h->socket);
    free(h);
}
