/* SPDX-License-Identifier: MIT
 *
 * The scheduler, for the files that make it up: scheduler.c (which job is next), scheduler_start.c
 * (an attempt of it begins), scheduler_run.c (what comes of that).
 */
#ifndef XFER_DAEMON_CONTROL_SCHEDULER_IMPL_H
#define XFER_DAEMON_CONTROL_SCHEDULER_IMPL_H

#include "daemon/control/destinations.h"
#include "daemon/control/scheduler.h"
#include "daemon/send/tree.h"
#include "proto/filter.h"

#define STALL_TICKS 4 /* looks at each run in the time in which it may do nothing */

struct run {
    struct scheduler *scheduler;
    struct job *job;       /* NULL: it has ended, and left this stuck */
    int64_t id;            /* of the job */
    struct send *send;     /* either this: a file; */
    struct tree *tree;     /* or this */
    struct filter *filter; /* of the tree; NULL: none */
    bool again;            /* something may be there of an attempt before */
    struct list link;
    bool stuck;
    bool noting;    /* the tree waits until more of its notes are recorded */
    bool cancelled; /* by somebody: */
    struct xfer_error why;
    bool stopped; /* because all are */
    enum send_phase phase;
    unsigned quiet; /* so many ticks without a sign of life */
    int64_t moved;  /* bytes that are counted already */
    int64_t files;  /* and files */
};

struct scheduler {
    struct ev_loop *loop;
    struct queue *queue;
    struct scheduler_options options;
    struct scheduler_events events;
    void *user;
    struct destinations *destinations;
    size_t jobs; /* that were added: room for all of them is in each heap */
    struct heap ready, ready_trees, delayed;
    unsigned trees;    /* of those that run */
    struct list again; /* by schedule.waiting */
    struct list runs, stuck;
    unsigned running;
    struct scheduler_counts counts;
    uint64_t random;
    double handles_until; /* monotonic: then descriptors that were lost are */
    bool stopping;
    enum xfer_code stop_code;
    ev_timer turn; /* fed for this turn of the loop, started for the next */
    ev_timer wake; /* for the first of the delayed ones */
    ev_timer tick; /* while something runs: does it? */
};

/* scheduler.c: something may be able to start; a job waits for its turn, its time, or another;
 * which one would start next (NULL: none may); one that starts waits no more. */
void scheduler_kick(struct scheduler *s);
struct job *scheduler_next(const struct scheduler *s);
void scheduler_unready(struct scheduler *s, struct job *job);
void scheduler_place(struct scheduler *s, struct job *job);

/* scheduler_start.c: begin with the first of those that may start. False: nothing can for now. */
bool scheduler_start(struct scheduler *s, struct job *job);
/* The run's source is no file: it goes on as a tree. */
int run_become_tree(struct run *run, struct xfer_error *err);

/* scheduler_run.c */
extern const struct send_events run_send_events;
extern const struct tree_events run_tree_events;
void run_cancel(struct run *run, const struct xfer_error *why, bool keep);
void run_free(struct run *run); /* NULL is fine */
void scheduler_attempt_failed(struct scheduler *s, struct job *job, const struct xfer_error *why,
                              enum retry_kind kind);
void scheduler_run_init(struct scheduler *s);
void scheduler_run_free(struct scheduler *s);

#endif
