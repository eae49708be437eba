/* SPDX-License-Identifier: MIT
 *
 * One connection of the control socket: lines in, bounded replies out. Rank 0, the loop's thread. A
 * client is never freed inside a call of others: it is marked, and goes at the end of the turn (see
 * clients.h).
 *
 * - Output is gathered through a turn of the loop and written at its end. Above XFER_OUTPUT_HIGH
 * unsent bytes nothing more is read or run for that client until half of it has gone.
 * - End of input: what is there is run, what is owed is given, then the connection closes. It says
 * nothing about jobs.
 * - A client that can't be written to any more is mute: what it had sent is still run, unless it
 * only asks; replies are dropped, then it closes.
 * - Descriptors that come along belong to the line with whose last bytes they came, and are closed
 * when that has been run and has not taken them.
 * - A line that is too long: the error is its last reply; more input is thrown away, bounded in
 * bytes and time.
 */
#ifndef XFER_DAEMON_CONTROL_CLIENT_H
#define XFER_DAEMON_CONTROL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <ev.h>

#include "proto/error.h"

struct client;
struct handles;
struct subscriber;

/* Append to its output. Without memory for it the client is closed. */
void client_write(struct client *c, const char *data, size_t len);
void client_write_line(struct client *c, const char *text); /* and an LF */
size_t client_unsent(const struct client *c);

/* Close it at the end of this turn, with whatever is not written yet. */
void client_close(struct client *c);

uid_t client_uid(const struct client *c);
int client_fd(const struct client *c); /* to ask the kernel about the other end */
bool client_is_admin(const struct client *c);
bool client_is_mute(const struct client *c);
struct ev_loop *client_loop(const struct client *c);

/* What events/ keeps of it: NULL at first; whoever sets it clears it when told that the client has
 * closed. */
struct subscriber *client_subscriber(const struct client *c);
void client_set_subscriber(struct client *c, struct subscriber *s);

/* The descriptor that came with the line that is being run: the caller's, to be closed by
 * handles_close(). -1: none did (XFER_INVALID_PARAMS), or it could not be taken. */
int client_take_descriptor(struct client *c, const char *parameter, struct xfer_error *err);
struct handles *client_handles(const struct client *c);

/* Run none of its requests until it is released: what comes next must not overtake. */
void client_hold(struct client *c);
void client_release(struct client *c);

/* A reply that it was owed is gone (from reply.c). */
void client_answered(struct client *c);

#endif
