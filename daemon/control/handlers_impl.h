/* SPDX-License-Identifier: MIT
 *
 * The methods, for the files that they are in: handlers.c (which is which; system and events),
 * handlers_transfer.c, handlers_notes.c, handlers_queue.c, handlers_limits.c, handlers_daemon.c. A
 * handler gives the reply or has it wait; p may be gone with the reply.
 */
#ifndef XFER_DAEMON_CONTROL_HANDLERS_IMPL_H
#define XFER_DAEMON_CONTROL_HANDLERS_IMPL_H

#include "daemon/control/handlers.h"

/* text: freed; NULL: there was no memory for it */
void handlers_give_text(struct reply *reply, char *text);

/* The job of the request. NULL: the reply has been given, or the request waits until it is known
 * whether there is such a job, and is run again. */
struct job *handlers_find_job(struct control *c, struct reply *reply, enum method_id method,
                              const struct control_params *p);
/* False: no memory; the reply has been given. */
bool handlers_keep(struct reply *reply, enum method_id method, const struct control_params *p);

/* False: who asks is no administrator; the reply has been given. */
bool handlers_is_admin(struct reply *reply);

void handle_submit(struct control *c, struct reply *reply, const struct control_params *p);
void handle_status(struct control *c, struct reply *reply, const struct control_params *p);
void handle_list(struct control *c, struct reply *reply, const struct control_params *p);
void handle_wait(struct control *c, struct reply *reply, const struct control_params *p);
void handle_cancel(struct control *c, struct reply *reply, const struct control_params *p);
void handle_retry(struct control *c, struct reply *reply, const struct control_params *p);
void handle_errors(struct control *c, struct reply *reply, const struct control_params *p);
void handle_plan(struct control *c, struct reply *reply, const struct control_params *p);

void handle_pause(struct control *c, struct reply *reply, const struct control_params *p);
void handle_resume(struct control *c, struct reply *reply, const struct control_params *p);
void handle_drain(struct control *c, struct reply *reply, const struct control_params *p);

void handle_limits_get(struct control *c, struct reply *reply, const struct control_params *p);
void handle_limits_set(struct control *c, struct reply *reply, const struct control_params *p);
void handle_reload(struct control *c, struct reply *reply, const struct control_params *p);

#endif
