/* SPDX-License-Identifier: MIT
 *
 * xferctl errors and xferctl plan: what became of the single entries of a tree, and what a dry run
 * would do with them.
 */
#include "ctl/ctl.h"
#include "ctl/notes.h"
#include "ctl/session.h"

static int run(struct ctl *ctl, const struct arguments *args,
               int (*print)(struct ctl *, struct session *, int64_t))
{
    struct session *session;
    int exit_code;
    int64_t job;

    exit_code = ctl_parse_job(ctl, args->items[0], &job);
    if (exit_code)
        return exit_code;
    session = ctl_session(ctl, &exit_code);
    if (!session)
        return exit_code;
    exit_code = print(ctl, session, job);
    session_destroy(session);
    return exit_code;
}

int cmd_errors(struct ctl *ctl, const struct arguments *args)
{
    return run(ctl, args, notes_print_errors);
}

int cmd_plan(struct ctl *ctl, const struct arguments *args)
{
    return run(ctl, args, notes_print_plan);
}
