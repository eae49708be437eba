/* SPDX-License-Identifier: MIT
 *
 * A job: one requested transfer from its submission until it is forgotten. Lives on rank 0, on the
 * loop's thread. The queue makes and frees it; scheduler, events and replies hang what they keep of
 * a job into the parts that are named after them.
 */
#ifndef XFER_DAEMON_CONTROL_JOB_H
#define XFER_DAEMON_CONTROL_JOB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/control/list.h"
#include "proto/control_method.h"
#include "proto/control_reply.h"
#include "proto/error.h"

struct run;
struct place;
struct job_error;

/* What is asked for. source: absolute; dest: relpath normal form; both are copied. */
struct job_spec {
    const char *source, *dest;
    uid_t owner;
    int priority;
    enum overwrite_mode overwrite;
    enum sync_mode sync;
};

enum job_record { JOB_RECORD_NONE, JOB_RECORD_SUBMITTED, JOB_RECORD_ENDED };

struct job {
    int64_t id;
    enum job_state state; /* changed by job_become() only */
    char *source, *dest;
    uid_t owner;
    int priority;
    enum overwrite_mode overwrite;
    enum sync_mode sync;
    int64_t attempts;
    double submitted_at, started_at, finished_at; /* Unix time; 0: not yet */
    const char *phase;                            /* of a running job; static text */
    int64_t bytes_done, bytes_total;              /* total 0: not known yet */
    double rate, rate_at;                         /* smoothed; of which monotonic time */
    int64_t rate_bytes;                           /* bytes_done at rate_at */
    bool has_digest;
    unsigned char digest[XFER_DIGEST_SIZE];
    struct job_error *error; /* NULL: none */

    struct list replies; /* struct reply: who waits for it */

    struct { /* queue */
        struct list link;
        struct job *next_of_bucket, *next_record;
        enum job_record record; /* being recorded now */
        bool ending;            /* its end was given to the queue */
        enum job_state end;     /* then: how it ends */
    } queue;

    struct { /* scheduler and its destinations */
        struct place *place;
        struct list of_place; /* jobs of the same destination, by id */
        struct list waiters;  /* jobs that look again when this one has ended */
        struct list waiting;  /* the link of a waiter */
        bool blocked;         /* by an earlier job */
        size_t heap_at;       /* 1 + index among those that may start; 0: not there */
        struct run *run;      /* on the sender */
    } schedule;

    struct {                  /* events */
        struct list link;     /* by published */
        int64_t published;    /* number of its last publication */
        int64_t publications; /* how many it had */
        double published_at;  /* monotonic */
        struct list due;      /* a change waits to be told */
        struct list watches;  /* subscribers to this job alone */
    } events;
};

struct job *job_create(int64_t id, const struct job_spec *spec, double now, struct xfer_error *err);
void job_destroy(struct job *job); /* NULL is fine; it must be on no list */

/* The table of transitions. */
bool job_may_become(enum job_state from, enum job_state to);
/* Change the state; anything that the table forbids is a bug. now: Unix time. */
void job_become(struct job *job, enum job_state state, double now);

bool job_state_finished(enum job_state state);

/* Keep an error with the job, or none (NULL). Out of memory: its code is kept without text. */
void job_set_error(struct job *job, const struct xfer_error *err);
/* XFER_OK when there is none */
enum xfer_code job_error_code(const struct job *job);

/* What the sender tells of it. now: monotonic. total < 0: not known. */
void job_progress(struct job *job, const char *phase, int64_t done, int64_t total, double now);
/* bytes a second; of a running job smoothed, of a finished one its average */
double job_rate(const struct job *job, double now);

const char *job_phase(const struct job *job);

/* What the job object says beyond the job itself. */
struct job_view {
    const char *host, *root; /* of the receiver; "" while not known */
    const char *reason;      /* why it waits, or NULL */
    double now;              /* monotonic */
};
/* The job object as JSON text; freed by the caller. NULL: no memory. */
char *job_encode(const struct job *job, const struct job_view *view);

void job_to_event(const struct job *job, int64_t seq, double now, struct control_event *ev);

/* Seconds of the two clocks. */
double clock_unix(void);
double clock_monotonic(void);

#endif
