/* SPDX-License-Identifier: MIT
 *
 * xferctl cancel: returns when the jobs have ended. A job that ended in another way meanwhile is an
 * error, one that was cancelled before is none.
 */
#include "ctl/ctl.h"
#include "ctl/follow.h"

int cmd_cancel(struct ctl *ctl, const struct arguments *args)
{
    const struct follow_options options = {.purpose = FOLLOW_FOR_CANCEL};
    int exit_code = 0;
    struct follow_item *items = follow_items_of_jobs(ctl, args, FOLLOW_CANCEL, &exit_code);

    if (!items)
        return exit_code;
    exit_code = follow_run(ctl, &options, items, (size_t)args->n);
    follow_items_free(items, (size_t)args->n);
    return exit_code;
}
