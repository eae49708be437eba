/* SPDX-License-Identifier: MIT
 *
 * See spawn.h. What goes wrong between fork and exec is told by a pipe that the exec closes.
 */
#include "daemon/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* In the child: nothing that could take a lock. Does not return. */
static void execute(const struct spawn_options *o, pid_t parent, int report)
{
    int input = o->input > 0 ? o->input : open("/dev/null", O_RDONLY | O_CLOEXEC);
    int output = o->output >= 0 ? o->output : STDERR_FILENO;
    sigset_t none;
    int saved;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setsid(); /* Ctrl-C at the terminal is for the supervisor alone, and no remote shell can ask for
                 a password there */
    if (input < 0 || dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(output, STDERR_FILENO) < 0 || chdir("/") < 0)
        goto failed;
    if (prctl(PR_SET_PDEATHSIG, o->death_signal) < 0)
        goto failed;
    if (o->nice > 0)
        setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + o->nice);
    if (getppid() != parent)
        _exit(1);
    execvpe(o->path, o->argv, o->envp);

failed:
    saved = errno;
    if (write(report, &saved, sizeof saved) < 0)
        _exit(126);
    _exit(127);
}

pid_t spawn_start_unwatched(const struct spawn_options *o, int *report, struct xfer_error *err)
{
    pid_t parent = getpid(), pid;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set_errno(err, errno, "no pipe to %s", o->path);
    pid = fork();
    if (pid == 0)
        execute(o, parent, ends[1]);
    if (pid < 0)
        error_set_errno(err, errno, "no process for %s", o->path);
    close(ends[1]);
    if (pid < 0)
        close(ends[0]);
    else
        *report = ends[0];
    return pid;
}

int spawn_report(int report)
{
    int wrong = 0;

    return read(report, &wrong, sizeof wrong) == (ssize_t)sizeof wrong ? wrong : 0;
}

pid_t spawn_start(const struct spawn_options *o, struct xfer_error *err)
{
    int report, wrong;
    pid_t pid = spawn_start_unwatched(o, &report, err);

    if (pid < 0)
        return -1;
    wrong = spawn_report(report);
    if (wrong != 0) {
        pid = -1; /* the event loop reaps it */
        error_set_errno(err, wrong, "%s could not be started", o->path);
    }
    close(report);
    return pid;
}
