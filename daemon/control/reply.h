/* SPDX-License-Identifier: MIT
 *
 * A reply that is owed to a client, from the moment its request was taken until it is given,
 * dropped with the client, or found to be owed to nobody (a notification). Replies of a batch
 * gather until all of them are there. Rank 0, the loop's thread.
 */
#ifndef XFER_DAEMON_CONTROL_REPLY_H
#define XFER_DAEMON_CONTROL_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/control/client.h"
#include "daemon/control/list.h"
#include "proto/control_method.h"
#include "proto/error.h"

struct batch;

/* What one that can't be given at once waits for. */
enum reply_wait {
    REPLY_WAITS_ACCEPTED,
    REPLY_WAITS_ENDED,
    REPLY_WAITS_RETRIED, /* that its job waits for nothing but its turn is recorded */
    REPLY_WAITS_AGAIN,   /* its job is in between: then its request is run once more */
    REPLY_WAITS_QUEUE,   /* the database, or the queue's being empty */
    REPLY_WAITS_PONG
};

/* id NULL: a notification. batch NULL: a line of its own. owner: the client's list of its replies.
 * NULL: no memory. */
struct reply *reply_create(struct client *client, struct list *owner, struct batch *batch,
                           const char *id);

/* Give it; the reply is gone then. result: JSON text; NULL: there was no memory for it. */
void reply_result(struct reply *r, const char *result);
/* job: 0 or the number for data.job */
void reply_error(struct reply *r, const struct xfer_error *err, int64_t job);
void reply_drop(struct reply *r);

/* Keep it on that list until somebody gives it. seconds < 0: for ever; else, after that time:
 * XFER_TIMEOUT, or XFER_PEER_DOWN for REPLY_WAITS_PONG. A reply waits for one thing at a time. */
void reply_wait(struct reply *r, struct list *where, enum reply_wait what, int64_t job,
                double seconds);
enum reply_wait reply_waits_for(const struct reply *r);
int64_t reply_job(const struct reply *r); /* as of reply_wait() */
void reply_set_job(struct reply *r, int64_t job);
void reply_unwait(struct reply *r);                  /* off that list: somebody looks after it */
void reply_put(struct reply *r, struct list *where); /* and back, as it was */

/* The job that it is about was asked for before. */
void reply_set_existing(struct reply *r);
bool reply_is_existing(const struct reply *r);

/* The file that was handed over with its request, closed with the reply unless it is taken. NULL:
 * none, or it was taken. */
struct handle;
void reply_set_handle(struct reply *r, const struct handle *handle);
const struct handle *reply_handle(const struct reply *r);
int reply_take_handle(struct reply *r); /* its descriptor. There must be one */

/* The name of the list that came with its request, freed with the reply unless it is taken; taking
 * gives NULL when there is none. */
void reply_set_list(struct reply *r, char *name);
bool reply_has_list(const struct reply *r);
char *reply_take_list(struct reply *r);

/* The database was asked for the job that it is about. */
void reply_set_fetched(struct reply *r);
bool reply_is_fetched(const struct reply *r);

/* Keep the request itself, to run it again. False: no memory. Keeping it twice changes nothing. */
bool reply_keep(struct reply *r, enum method_id method, const struct control_params *p);
/* NULL: was not kept. Gone with the reply. */
const struct control_params *reply_kept(const struct reply *r, enum method_id *method);

struct client *reply_client(const struct reply *r);
struct reply *reply_of_link(struct list *link);  /* from the list of reply_wait() */
struct reply *reply_of_owner(struct list *link); /* from the client's list */

/* One is held by whoever hands out its requests, until batch_release(); it is written and freed
 * when the last reply is there too. */
struct batch *batch_create(struct client *client);
void batch_release(struct batch *b); /* NULL is fine */
size_t batch_len(const struct batch *b);

#endif
