/* SPDX-License-Identifier: MIT
 *
 * xferctl retry: returns when the daemon has recorded that the jobs are to run again. A job that is
 * queued or runs anyway is no error, one that is done is.
 */
#include "ctl/ctl.h"
#include "ctl/follow.h"

int cmd_retry(struct ctl *ctl, const struct arguments *args)
{
    const struct follow_options options = {.purpose = FOLLOW_FOR_RETRY};
    int exit_code = 0;
    struct follow_item *items = follow_items_of_jobs(ctl, args, FOLLOW_LOOK, &exit_code);

    if (!items)
        return exit_code;
    exit_code = follow_run(ctl, &options, items, (size_t)args->n);
    follow_items_free(items, (size_t)args->n);
    return exit_code;
}
