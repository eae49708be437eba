/* SPDX-License-Identifier: MIT
 *
 * Who waits for the configuration to be read again. Rank 0, the loop's thread.
 */
#ifndef XFER_DAEMON_CONTROL_RELOADER_H
#define XFER_DAEMON_CONTROL_RELOADER_H

#include "daemon/control/reply.h"
#include "daemon/control/server.h"
#include "proto/error.h"

struct reloader;

/* errands: what has it done, and its user; NULL: nobody can. NULL: no memory. */
struct reloader *reloader_create(const struct server_errands *errands, void *user,
                                 struct xfer_error *err);
void reloader_destroy(struct reloader *r); /* NULL is fine; replies are the clients' to drop */

/* Have it read after this, then give the reply. */
void reloader_ask(struct reloader *r, struct reply *reply);
/* As of server_reloaded(). */
void reloader_done(struct reloader *r, const char *changed, const char *restart,
                   const struct xfer_error *why);
/* Give all replies as that error. */
void reloader_fail(struct reloader *r, const struct xfer_error *why);

#endif
