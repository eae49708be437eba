/* SPDX-License-Identifier: MIT
 *
 * The methods about the daemon itself.
 */
#include "daemon/control/handlers_impl.h"
#include "daemon/control/reloader.h"
#include "daemon/log.h"

void handle_reload(struct control *c, struct reply *reply, const struct control_params *p)
{
    (void)p;
    if (!handlers_is_admin(reply))
        return;
    log_info("a reload is asked for by uid %u", (unsigned)client_uid(reply_client(reply)));
    reloader_ask(c->reloader, reply);
}
