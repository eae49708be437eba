/* SPDX-License-Identifier: MIT
 *
 * What the parts of follow share: follow.c is the conversation, follow_ask.c what is sent when,
 * follow_take.c what is done with what comes, follow_tell.c what people are told.
 */
#ifndef XFER_CTL_FOLLOW_INTERNAL_H
#define XFER_CTL_FOLLOW_INTERNAL_H

#include "ctl/follow.h"
#include "ctl/session.h"

/* Why nothing is sent at the moment: bits. */
enum follow_hold {
    HOLD_HELLO = 1, /* whose queue is it: are numbers and keys still what they were? */
    HOLD_STATS = 2, /* --fail-fast: is the other rank there? */
    HOLD_CLOSE = 4  /* the daemon takes nothing more on this connection */
};

struct follow {
    struct ctl *ctl;
    const struct follow_options *options;
    struct session *session;
    struct follow_item *items;
    size_t n;

    size_t first;                  /* all before it have ended and were printed */
    size_t ended;                  /* how many have ended */
    size_t next_submit, next_wait; /* all before them are beyond that step */
    size_t submits, waits;         /* replies awaited */

    bool hand_over;    /* the daemon is another user: it gets files opened */
    bool warned;       /* of what that means */
    double busy_until; /* it takes no more of them for now */

    bool events;   /* progress is wanted */
    unsigned hold; /* enum follow_hold */
    bool connected_once;
    bool peer_seen; /* --fail-fast: it was there at the start */
    char queue_id[2 * XFER_QUEUE_ID_SIZE + 1];

    double lost_at; /* since when no daemon has answered; 0: one does */
    double retry_at, retry_pause;
    double look_at, look_pause; /* when to ask next what the first job waits for */
    bool looking;               /* that question is open */
    char *reason;               /* what was told last that they wait for */

    int signal;             /* that ends all this, or 0 */
    double signal_deadline; /* until when replies are still taken in after it */

    int64_t sum_done, sum_total;  /* bytes of all items */
    int64_t sum_ended, sum_files; /* their files */
    size_t walking;               /* of how many the totals still grow */
    double sum_rate;              /* of those that run */
    int exit_code;                /* of an early end; 0: that of the items */
};

/* What a request is for. */
enum request_kind {
    ASK_HELLO,
    ASK_STATS,
    ASK_SUBMIT,
    ASK_WAIT,
    ASK_CANCEL,
    ASK_RETRY,
    ASK_STATUS,
    ASK_EVENTS,
    ASK_LOOK
};

#define FOLLOW_KIND_BITS     4 /* of an id: enum request_kind; the others are the index of the item */
#define FOLLOW_WAITS_AT_ONCE 4096 /* replies awaited; well below XFER_WAITS_MAX */
#define SUBSCRIBE_EACH_MAX   64   /* jobs; beyond it one subscription to everything is less */

/* Queue a request about an item (by its index), with parameters or with its job number alone. */
int follow_ask(struct follow *f, enum request_kind kind, size_t index, enum method_id method,
               const struct control_params *params, struct xfer_error *err);
/* The same with a file that is handed over; fd is taken. */
int follow_ask_with(struct follow *f, enum request_kind kind, size_t index, enum method_id method,
                    const struct control_params *params, int fd, struct xfer_error *err);
int follow_ask_about(struct follow *f, enum request_kind kind, size_t index, enum method_id method,
                     struct xfer_error *err);
/* The request that is due about a job. */
int follow_send_about(struct follow *f, size_t index, struct xfer_error *err);
/* Queue all that is due: submits, cancels, retries, waits. */
int follow_send_what_can_be(struct follow *f, struct xfer_error *err);
/* Act on what came. -1: none of this can go on. */
int follow_took(struct follow *f, const struct control_incoming *in, struct xfer_error *err);
/* An item goes back to an earlier step. */
void follow_put_back(struct follow *f, struct follow_item *item, enum follow_step step);
/* An item ends without an object. */
void follow_end_with_error(struct follow *f, struct follow_item *item, const struct xfer_error *err,
                           const char *error_text, int exit_code);

/* Progress of one item, from an event or a job object. */
struct follow_progress {
    int64_t bytes_done, bytes_total;
    int64_t files_ended, files_total;
    bool walking;
    double rate;
    enum job_state state;
};
void follow_tell_progress(struct follow *f, struct follow_item *item,
                          const struct follow_progress *now);
/* Print what has ended and whose turn has come; all: also behind items that have not. */
void follow_tell_ended(struct follow *f, bool all);
/* What the jobs wait for, once. */
void follow_tell_reason(struct follow *f, const struct follow_item *item, const char *reason);
/* With --json: a failure for each that has not ended in time. */
void follow_tell_timeout(struct follow *f);
/* send --no-wait: what becomes of files that were handed over, once. */
void follow_tell_handle(struct follow *f, const struct follow_item *item);
/* The jobs that go on although this program ends: why ("interrupted", "the time is over"). */
void follow_tell_unfinished(struct follow *f, const char *why);
/* watch: an event. */
void follow_tell_event(struct follow *f, struct follow_item *item, const struct control_event *ev,
                       const char *json);

/* "JOB  STATE  BYTES  DIGEST  SOURCE -> HOST:/PATH" of a job that has ended. */
void follow_tell_job(struct output *out, const struct control_job *job);

/* An event as a line of text. */
void follow_tell_event_line(struct output *out, const struct control_event *ev);

#endif
