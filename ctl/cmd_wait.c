/* SPDX-License-Identifier: MIT
 *
 * xferctl wait: returns when the jobs have ended, with their exit code, and prints what send would
 * have printed.
 */
#include "ctl/ctl.h"
#include "ctl/follow.h"

int cmd_wait(struct ctl *ctl, const struct arguments *args)
{
    const struct follow_options options = {.purpose = FOLLOW_FOR_RESULT};
    int exit_code = 0;
    struct follow_item *items = follow_items_of_jobs(ctl, args, FOLLOW_WAIT, &exit_code);

    if (!items)
        return exit_code;
    exit_code = follow_run(ctl, &options, items, (size_t)args->n);
    follow_items_free(items, (size_t)args->n);
    return exit_code;
}
