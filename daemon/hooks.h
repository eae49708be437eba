/* SPDX-License-Identifier: MIT
 *
 * The hook: a program of the administrator that the supervisor runs after each job, with the job
 * object on its standard input. Nothing of a transfer waits for it: a few run at once, some wait
 * for their turn in the order of the ends, and what comes beyond that is dropped. The loop's
 * thread of the supervisor.
 */
#ifndef XFER_DAEMON_HOOKS_H
#define XFER_DAEMON_HOOKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <ev.h>

#include "proto/control_method.h"
#include "proto/error.h"

struct hooks;

/* socket: the control socket, for the hooks' environment (copied). */
struct hooks *hooks_create(struct ev_loop *loop, const char *socket, struct xfer_error *err);
/* NULL is fine. What runs is killed. */
void hooks_destroy(struct hooks *h);

/* From the next start of one on. command: absolute path, or "": what waits is forgotten. timeout:
 * seconds. */
void hooks_configure(struct hooks *h, const char *command, double timeout);

/* A job has ended so. object: its job object (sealed memory), taken. */
void hooks_job(struct hooks *h, int64_t job, enum job_state state, int object);

/* Some child of this process has ended, and was waited for. */
void hooks_child(struct hooks *h, pid_t pid, int status);

/* The daemon is about to end: those that run or wait, and those that still come, have so many
 * seconds. */
void hooks_stop(struct hooks *h, double seconds);
/* That time is over: what waits is dropped, what runs is told to end, and killed a little later. */
void hooks_hurry(struct hooks *h);
/* No job ends any more. False: no hook runs or waits. True: idle(user) is called from the loop when
 * that is so, or a second after their time at the latest. */
bool hooks_wait(struct hooks *h, void (*idle)(void *user), void *user);

/* Is that a program that nobody but root and the daemon's user can put another in place of, or make
 * where there is none? XFER_CONFIG. Looks at files: may block. */
int hooks_check(const char *command, struct xfer_error *err);

#endif
