/* SPDX-License-Identifier: MIT
 *
 * A conversation with the daemon: requests out, replies and events in, over one connection that may
 * break and be made again. Never blocks but in poll(), never longer than it is told.
 */
#ifndef XFER_CTL_SESSION_H
#define XFER_CTL_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/control_method.h"
#include "proto/control_reply.h"
#include "proto/error.h"

struct session;

/* option: -s or NULL. Finds the socket, doesn't connect. NULL on error. */
struct session *session_create(const char *option, struct xfer_error *err);
void session_destroy(struct session *s); /* NULL is fine */

const char *session_path(const struct session *s);

/* From now on SIGINT, SIGTERM and SIGWINCH don't act by themselves: session_next() tells of them.
 */
int session_catch_signals(struct session *s, struct xfer_error *err);

/* Connect once; where the queue of connections is full this is tried until the deadline
 * (clock_now()). Errors of locate_connect(). */
int session_connect(struct session *s, double deadline, struct xfer_error *err);
bool session_connected(const struct session *s);
int session_fd(const struct session *s); /* to poll for input; -1: not connected */
void session_disconnect(struct session *s);

/* Queue a request; id is the caller's to choose. params NULL: none. Nothing is written before
 * session_next(). */
int session_send(struct session *s, int64_t id, enum method_id method,
                 const struct control_params *params, struct xfer_error *err);
int session_send_raw(struct session *s, int64_t id, const char *method, const char *params,
                     struct xfer_error *err);

/* The same with an open descriptor that is handed over with the request (-1: none); it is taken, on
 * failure too, and closed when it has left or the connection has gone. At most
 * SESSION_DESCRIPTORS_MAX may wait at once. */
#define SESSION_DESCRIPTORS_MAX 64
int session_send_with(struct session *s, int64_t id, enum method_id method,
                      const struct control_params *params, int fd, struct xfer_error *err);
unsigned session_descriptors(const struct session *s); /* how many do */

/* Bytes of requests on this connection: queued so far, and handed to the kernel so far. A request
 * whose beginning (queued before it was sent) is not below "written" was surely not received. They
 * keep their values until the next session_connect(). */
uint64_t session_queued(const struct session *s);
uint64_t session_written(const struct session *s);

enum session_event {
    SESSION_MESSAGE, /* *in is filled; the caller frees it */
    SESSION_DEADLINE,
    SESSION_SIGNAL, /* see session_signal() */
    SESSION_LOST /* the connection is gone, err says how; requests without reply are lost with it */
};
/* The next thing that happens. Without a connection only signals and the deadline (clock_now(), may
 * be infinite). */
enum session_event session_next(struct session *s, double deadline, struct control_incoming *in,
                                struct xfer_error *err);
int session_signal(const struct session *s); /* the last one */

/* The simple way for one request: connect where that is needed, ask, wait for the reply; it may be
 * an error of the daemon (in->kind). again: ask again when the connection breaks or the daemon is
 * stopping, for CTL_RETRY_SECONDS or until the deadline. Without a deadline (infinite) the reply
 * must come within that time. XFER_TIMEOUT: the deadline passed. */
int session_ask(struct session *s, enum method_id method, const struct control_params *params,
                bool again, double deadline, struct control_incoming *in, struct xfer_error *err);

#endif
