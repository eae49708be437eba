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

#include "daemon/control/heap.h"
#include "daemon/control/list.h"
#include "proto/control_method.h"
#include "proto/control_reply.h"
#include "proto/error.h"

struct run;
struct place;
struct job_notes;
struct job_error;

/* What is asked for. source: absolute; dest: relpath normal form; key: NULL for none; list: name of
 * the list of what is sent of source (see lists.h), NULL: all of it. They are copied, and so are
 * groups and filter.
 */
struct job_spec {
    const char *source, *dest, *key, *list;
    uid_t owner;
    gid_t gid;
    const gid_t *groups; /* supplementary ones: n_groups */
    int n_groups;        /* -1: not known */
    int64_t bandwidth;   /* bytes a second, 0: as fast as it goes */
    int64_t size;        /* of the source, 0: not known yet */
    bool unlimited;      /* who asks may have as many jobs and bytes as they like */
    bool handle;         /* the source is a descriptor that was handed over: of this file */
    uint64_t handle_dev, handle_ino;
    int priority;
    enum overwrite_mode overwrite;
    enum sync_mode sync;
    int64_t retries;
    bool default_retries; /* nobody asked for that number */
    uint32_t preserve;    /* of enum preserve */
    struct control_strings filter;
    bool dry_run, checksum, one_file_system;
};

/* What of a job is on its way into the database, or is to go there. A later one says all that an
 * earlier one would have said. */
enum job_record {
    JOB_RECORD_NONE,
    JOB_RECORD_SUBMITTED,
    JOB_RECORD_STARTED, /* nothing waits for these two */
    JOB_RECORD_WAITS,
    JOB_RECORD_HURRIED,
    JOB_RECORD_ENDED,
    JOB_RECORD_REVIVED /* an ended one is to be queued again */
};

struct job {
    int64_t id;
    int64_t position;     /* among jobs that may not overtake each other */
    int64_t ended;        /* number of its end, 0: not yet */
    enum job_state state; /* changed by job_become() only */
    char *source, *dest;
    char *key;    /* or NULL */
    char *stored; /* beneath the receiving root, as the receiver said; NULL: as dest */
    char *list;   /* see job_spec */
    uid_t owner;
    gid_t gid;
    gid_t *groups; /* NULL: none, or not known */
    int n_groups;  /* -1: not known */
    int64_t bandwidth;
    bool handle;
    uint64_t handle_dev, handle_ino;
    int handle_fd; /* that descriptor, or -1; see handover.h */
    int priority;
    enum overwrite_mode overwrite;
    enum sync_mode sync;
    uint32_t preserve;
    struct control_strings filter;
    bool dry_run, checksum, one_file_system;
    bool tree; /* it was, or is, run as one: what is counted of its files is told by that */
    int64_t retries;
    bool default_retries; /* of one that was just submitted: nobody asked for that number */
    int64_t attempts;     /* so often started */
    int64_t settled;      /* of these, so many were over, and known to be, before it was retried */
    bool unheard;         /* one of them may have stored it without a word of that */
    int64_t failures;     /* attempts that count against retries */
    double not_before;    /* of a queued job: Unix time; 0: at once */
    bool restored;        /* it was there when the queue was opened: may have been started before */
    double submitted_at, started_at, finished_at; /* Unix time; 0: not yet */
    const char *phase;                            /* of a running job; static text */
    int64_t bytes_done, bytes_total;              /* total 0: not known yet */
    int64_t bytes_resumed;                        /* of the bytes done: there already */
    int64_t files_total, files_done, files_failed, files_skipped; /* of a tree */
    bool walking;                                                 /* these totals still grow */
    int64_t errors, warnings; /* noted of the last attempt, or of this one, so far */
    struct job_notes *notes;  /* the first of them; NULL: there are none, or not in memory */
    double rate, rate_at;     /* smoothed; of which monotonic time */
    int64_t rate_bytes;       /* bytes_done at rate_at */
    bool has_digest;
    unsigned char digest[XFER_DIGEST_SIZE];
    struct job_error *error; /* NULL: none */

    struct list replies; /* struct reply: who waits for it */

    struct { /* queue */
        struct list link;
        struct job *next_of_bucket;
        bool unlimited; /* of one that is submitted: see job_spec */
        bool counted;   /* among what its owner has, with so many bytes: */
        int64_t counted_bytes;
        struct list todo;     /* what is to be recorded could not be, or is in no hurry */
        enum job_record what; /* of that */
        enum xfer_code
            refused;        /* of one that is submitted: only if its key is known; XFER_OK: no */
        bool ending;        /* its end was given to the queue */
        enum job_state end; /* then: how and when it ends, and which end that is */
        double end_at;
        int64_t end_number;
        bool reviving; /* it has ended and is to be queued again: */
        int64_t position;
        int group; /* of the queue's lists, while it is on one */

        struct queue_note *notes; /* n_notes that are not given to the database yet */
        size_t n_notes;
        size_t note_bytes; /* of these, and of those that are not recorded yet */
        int64_t last_note; /* number of the last one of this attempt */
        bool notes_full;   /* who makes them was told to wait */
        struct list noted; /* its notes are in memory, and it runs no more */
    } queue;

    struct { /* scheduler and its destinations */
        struct place *place;
        struct list of_place;  /* jobs of the same destination, by position */
        struct list waiters;   /* jobs that look again when this one has ended */
        struct list waiting;   /* the link of a waiter */
        bool blocked;          /* by an earlier job */
        struct heap_item heap; /* among those that may start, or wait for their time */
        bool delayed;          /* that one, then: */
        double due;            /* monotonic */
        struct run *run;       /* on the sender */
        struct run *stuck;     /* a former attempt that is still there */
    } schedule;

    struct list answered; /* answers: it has ended, and its replies are being given */

    struct {                  /* events */
        struct list link;     /* by published */
        int64_t published;    /* number of its last publication */
        int64_t publications; /* how many it had */
        double published_at;  /* monotonic */
        struct list due;      /* a change waits to be told */
        struct list watches;  /* subscribers to this job alone */
    } events;
};

struct job *job_new(void); /* all zero, on no list; NULL: no memory */
struct job *job_create(int64_t id, const struct job_spec *spec, double now, struct xfer_error *err);
void job_destroy(struct job *job); /* NULL is fine; it must be on no list */

/* Copies them. n -1: not known. -1: no memory, nothing has changed. */
int job_set_groups(struct job *job, const gid_t *groups, int n);

/* How it is recorded now (see queue_db.h), NULL: no memory; and back: the strings are taken out of
 * row, which stays the caller's. job_row.c */
struct queue_row;
struct queue_row *job_to_row(const struct job *job);
struct job *job_from_row(struct queue_row *row, struct xfer_error *err);

/* Does one that is submitted now ask for the same as another did? A number of retries or a
 * sync that it leaves to the configuration asks for nothing, and neither do the user's groups. */
bool job_is_same_request(const struct job *now, const struct job *then);

/* Can one send do it, if the source turns out to be a regular file? */
bool job_is_plain(const struct job *job);

/* Some errors and warnings of it are not in memory. */
bool job_lacks_notes(const struct job *job);

/* The table of transitions. */
bool job_may_become(enum job_state from, enum job_state to);
/* Change the state; anything that the table forbids is a bug. now: Unix time. */
void job_become(struct job *job, enum job_state state, double now);

bool job_state_finished(enum job_state state);

/* Keep an error with the job, or none (NULL). Out of memory: its code is kept without text. */
void job_set_error(struct job *job, const struct xfer_error *err);
/* XFER_OK when there is none */
enum xfer_code job_error_code(const struct job *job);
const char *job_error_text(const struct job *job); /* "" when there is none */
/* A copy. There must be one. */
void job_get_error(const struct job *job, struct xfer_error *err);

/* What the sender tells of it. now: monotonic. total < 0: not known. */
void job_progress(struct job *job, const char *phase, int64_t done, int64_t total, double now);
/* bytes a second; of a running job smoothed, of a finished one its average */
double job_rate(const struct job *job, double now);

const char *job_phase(const struct job *job);

/* What the job object says beyond the job itself. */
struct job_view {
    const char *host, *root; /* of the receiver; "" while not known */
    const char *reason;      /* why it waits, or NULL */
    bool existing;           /* the answer to a request that was made before */
    bool brief;              /* without the notes of single entries */
    double now;              /* monotonic */
};
/* The job object as JSON text; freed by the caller. NULL: no memory. */
char *job_encode(const struct job *job, const struct job_view *view);

void job_to_event(const struct job *job, int64_t seq, double now, struct control_event *ev);

/* Seconds of the two clocks. */
double clock_unix(void);
double clock_monotonic(void);

#endif
