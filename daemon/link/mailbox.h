/* SPDX-License-Identifier: MIT
 *
 * One receive for messages with one tag (MPI_ANY_TAG: with any), posted again after each of them.
 */
#ifndef XFER_DAEMON_LINK_MAILBOX_H
#define XFER_DAEMON_LINK_MAILBOX_H

#include <mpi.h>
#include <stddef.h>

#include "daemon/link/requests.h"
#include "proto/error.h"
#include "proto/limits.h"

struct mailbox {
    MPI_Comm comm;
    int peer, tag;
    struct request request;
    unsigned char buf[XFER_MESSAGE_MAX];
};

void mailbox_init(struct mailbox *m, MPI_Comm comm, int peer, int tag);
int mailbox_post(struct mailbox *m, struct xfer_error *err);

/* The message that came, if the last look at its request found one: 1, its length and its tag; 0;
 * -1. Post it again when the message has been used. */
int mailbox_take(struct mailbox *m, size_t *len, int *tag, struct xfer_error *err);

#endif
