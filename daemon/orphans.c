/* SPDX-License-Identifier: MIT
 *
 * The launcher is started in a session of its own, which its ranks and helpers stay in. When it is
 * killed, they become children of the supervisor, who finds them by that session: also those that
 * had no time to register. Children of other sessions (of whatever was this process before it
 * became xferd, or adopted as process 1 of a container) are left alone.
 */
#include "daemon/orphans.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

void orphans_adopt(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L);
}

int orphans_kill(pid_t session)
{
    char path[64];
    FILE *children;
    long pid;
    int n = 0;

    if (session <= 0)
        return 0;
    snprintf(path, sizeof path, "/proc/self/task/%ld/children", (long)getpid());
    children = fopen(path, "re");
    if (children ==
        NULL) /* a kernel without it: registered ranks are still found by their pidfds */
        return 0;
    while (fscanf(children, "%ld", &pid) == 1) {
        /* The pid is still that child's: nobody but this process waits for it. */
        if (getsid((pid_t)pid) != session)
            continue;
        kill((pid_t)pid, SIGKILL);
        n++;
    }
    fclose(children);
    return n;
}
