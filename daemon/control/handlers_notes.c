/* SPDX-License-Identifier: MIT
 *
 * The methods that tell of the entries of a job's tree, page by page.
 */
#include "daemon/control/handlers_impl.h"
#include "proto/control_reply.h"

void handle_errors(struct control *c, struct reply *reply, const struct control_params *p)
{
    static const struct control_notes none;

    if (handlers_find_job(c, reply, METHOD_TRANSFER_ERRORS, p))
        handlers_give_text(reply, control_notes_encode(&none));
}

void handle_plan(struct control *c, struct reply *reply, const struct control_params *p)
{
    static const struct control_plan none;

    if (handlers_find_job(c, reply, METHOD_TRANSFER_PLAN, p))
        handlers_give_text(reply, control_plan_encode(&none));
}
