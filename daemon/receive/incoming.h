/* SPDX-License-Identifier: MIT
 *
 * One file on its way through a receiver: what its works do on a worker, and what they leave for
 * the loop's thread. Made and freed by the receiver.
 *
 * Members marked "strand" are touched only by run()s; a done() reads what its own run() has left in
 * its own work. All else is the loop's.
 */
#ifndef XFER_DAEMON_RECEIVE_INCOMING_H
#define XFER_DAEMON_RECEIVE_INCOMING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/receive/store.h"
#include "daemon/work/pool.h"
#include "proto/wire.h"

struct receiver;
struct write;

struct incoming {
    struct receiver *receiver;
    struct store *store;
    struct wire_meta meta;
    struct wire_verdict verdict;
    uint64_t came;  /* up to which byte: from START and all DATA messages */
    bool begun;     /* the work "begin" was submitted */
    bool answered;  /* GO was sent, or a refusal instead */
    bool unstarted; /* START has come, the work "start" is still to be submitted */
    bool refused;   /* a refusal was sent: data is dropped */
    bool too_much;  /* more came than META had said */
    bool ended;     /* the verdict has come: a refusal would be too late */
    struct write *held;
    struct work begin, start, end;
    struct wire_go *go;          /* NULL: it doesn't ask; filled in by "begin" for its done() */
    atomic_bool hurry;           /* "begin" may stop reading: nobody waits for the offer any more */
    uint64_t offset;             /* of START; for "start" */
    bool begin_failed;           /* left by "begin" for its done() */
    bool start_failed;           /* left by "start" for its done() */
    struct wire_receipt receipt; /* left by "end" for its done() */
    struct store_file *file;     /* strand; NULL before it is begun and when it failed */
    struct xfer_error error;     /* strand; why it failed. Not changed after it was set */
};

struct write {
    struct work work;
    struct incoming *incoming;
    void *chunk;
    const void *data;
    size_t len;
    bool failed; /* it was this write that failed */
};

/* From a message; NULL and *err: it is broken, or there is no memory. The works have their run()s,
 * their done()s are the caller's to set. */
struct incoming *incoming_create(struct store *store, const void *msg, size_t len,
                                 struct xfer_error *err);
void incoming_free(struct incoming *in); /* the struct, when its file is NULL */

struct write *incoming_write(struct incoming *in, void *chunk, const void *data, size_t len);

/* May START say this? */
bool incoming_may_start(const struct incoming *in, uint64_t offset);

void incoming_error_too_much(const struct incoming *in, struct xfer_error *err);

#endif
