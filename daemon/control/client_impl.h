/* SPDX-License-Identifier: MIT
 *
 * A connection, for the two files that make it up: client.c (its life and its output) and
 * client_input.c (what it sends).
 */
#ifndef XFER_DAEMON_CONTROL_CLIENT_IMPL_H
#define XFER_DAEMON_CONTROL_CLIENT_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <ev.h>

#include "daemon/control/clients_impl.h"
#include "daemon/control/outbuf.h"
#include "proto/control_request.h"
#include "proto/lines.h"

struct client {
    struct client_links links; /* must be first */
    struct clients *group;
    int fd;
    uid_t uid;
    bool admin;
    bool eof;     /* no more input will come */
    bool mute;    /* no more output can go */
    bool choked;  /* too much output waits */
    bool refused; /* its last line was too long: input is thrown away */
    bool closing;
    bool held;    /* its next request must wait */
    bool shut;    /* we said that no more output comes */
    bool watched; /* by hangup */
    ev_io in, out;
    ev_timer patience; /* for a refused one */
    size_t thrown_away;
    struct lines lines;
    uint64_t received; /* bytes of input so far */
    struct {
        int fd;         /* -1: it was lost: */
        uint64_t until; /* it came with the last of so many bytes */
        enum xfer_code why;
    } descriptors[XFER_HANDLES_WAITING_MAX];
    unsigned n_descriptors;
    struct control_message *message; /* of which requests are still to be run */
    size_t next;
    struct batch *batch; /* of that message */
    struct outbuf output;
    struct list replies;
    size_t owed;
    struct subscriber *subscriber;
};

static inline struct client *of_links(struct client_links *links)
{
    return (struct client *)(void *)links;
}

/* client_input.c: its input watcher and its patience are made (not started), its message is
 * dropped. */
void client_input_init(struct client *c);
void client_input_end_message(struct client *c);
void client_input_drop_descriptors(struct client *c); /* all of them */

/* client.c: all that is owed is forgotten; nothing can be written any more. */
void client_drop_replies(struct client *c);
void client_turn_mute(struct client *c);

#endif
