/* SPDX-License-Identifier: MIT
 *
 * See generation.h. A number counts for the ranks' registration, and tells rank 0 whether this
 * daemon has served before: so it grows only from one that served.
 */
#include "daemon/generation.h"

#include <signal.h>

#include "daemon/log.h"
#include "daemon/orphans.h"

int generation_start(struct generation *g, struct launch_options *launch, struct ranks *ranks,
                     bool alone, struct xfer_error *err)
{
    int64_t number = g->number == 0 || g->ready_at > 0 ? g->number + 1 : g->number;
    pid_t pid;

    *g = (struct generation){.number = number, .alone = alone};
    launch->generation = number;
    ranks_expect(ranks, number);
    pid = alone ? launch_start_alone(launch, err) : launch_start(launch, err);
    g->process = pid > 0 ? pid : 0;
    g->session = pid > 0 ? pid : -1;
    if (pid < 0)
        return -1;
    log_debug("generation %lld: %s is pid %ld", (long long)number,
              alone ? "rank 0 alone" : "the launcher", (long)pid);
    return 0;
}

void generation_kill(struct generation *g, struct ranks *ranks)
{
    /* The launcher first: it would print about the others' death. */
    if (g->process > 0)
        kill(g->process, SIGKILL);
    ranks_kill(ranks);
}

bool generation_is_gone(const struct generation *g, const struct ranks *ranks)
{
    return g->process == 0 && orphans_kill(g->session) == 0 && ranks_alive(ranks) == 0;
}
