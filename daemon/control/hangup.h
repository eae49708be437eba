/* SPDX-License-Identifier: MIT
 *
 * Tells when the other end of a socket is gone for good, for sockets that are neither read (their
 * input has ended) nor written (nothing is ready for them). Uses no timer and costs nothing while
 * nobody leaves. Rank 0, the loop's thread.
 */
#ifndef XFER_DAEMON_CONTROL_HANGUP_H
#define XFER_DAEMON_CONTROL_HANGUP_H

#include <ev.h>

#include "proto/error.h"

struct hangup;

/* gone(user, subject): once; the socket is watched no more then. */
struct hangup *hangup_create(struct ev_loop *loop, void (*gone)(void *user, void *subject),
                             void *user, struct xfer_error *err);
void hangup_destroy(struct hangup *h); /* NULL is fine */

/* 0; -1 when the kernel has no room: it goes unnoticed then until something is written. */
int hangup_watch(struct hangup *h, int fd, void *subject);
void hangup_forget(struct hangup *h, int fd);

#endif
