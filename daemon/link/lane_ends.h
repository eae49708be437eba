/* SPDX-License-Identifier: MIT
 *
 * What lane.c (a lane's life, its sending end) and lane_receive.c (its receiving end) share. One
 * struct for both ends; an end uses its half of it.
 */
#ifndef XFER_DAEMON_LINK_LANE_ENDS_H
#define XFER_DAEMON_LINK_LANE_ENDS_H

#include "daemon/link/lane_impl.h"
#include "daemon/link/mailbox.h"
#include "daemon/link/outbox.h"

enum expect { EXPECT_META, EXPECT_ATTRS, EXPECT_START, EXPECT_MAP, EXPECT_DATA, EXPECT_VERDICT };

struct lane {
    struct link *link;
    MPI_Comm comm;
    int peer;
    enum lane_end end;
    struct outbox outbox;
    struct chunk chunks[XFER_RING_CHUNKS];
    unsigned char *ring;
    size_t ring_size;

    /* sending */
    const struct lane_sender_events *sender;
    void *sender_user;
    struct chunk *free_chunks;
    bool wants_chunk;
    bool awake;          /* chunk_free is to be called, whatever there is */
    unsigned files_open; /* META sent, receipt not here */
    bool held;           /* the last of these */

    /* receiving */
    const struct lane_receiver_events *receiver;
    void *receiver_user;
    enum expect expect;
    struct {
        struct request request;
        struct chunk *chunk;
    } posted[XFER_RING_CHUNKS]; /* a queue: first, count */
    unsigned posted_first, posted_count;

    unsigned n_in;
    struct mailbox in[]; /* of the sending end; of the receiving one */
};

enum { IN_RECEIPT, IN_REFUSAL, IN_GO, SENDER_MAILBOXES };
enum { IN_META, IN_ATTRS, IN_START, IN_MAP, IN_VERDICT, RECEIVER_MAILBOXES };

/* Offer a chunk of the receiving end to MPI, for the data that comes after all that was offered
 * before. */
int lane_post_chunk(struct lane *lane, struct chunk *chunk, struct xfer_error *err);
/* Take what has come, as far as it may come next: > 0 something had, 0 nothing, -1. */
int lane_take_received(struct lane *lane, struct xfer_error *err);

/* Queue a copy of a message. */
void lane_send_message(struct lane *lane, int tag, const void *msg, size_t len);

#endif
