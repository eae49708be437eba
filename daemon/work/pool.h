/* SPDX-License-Identifier: MIT
 *
 * I/O workers: threads for whatever may block, so that the thread that owns MPI and libev never
 * does.
 *
 * Work is done on a strand: the works of one strand run one after the other in the order of
 * submission, works of different strands side by side. So a file's open, writes and commit need no
 * lock of their own, and a file that hangs holds one thread, not more. Threads are started when
 * they are needed, up to a maximum. run() is called on a worker, done() later on the loop's thread,
 * in the order in which the works of a strand ended.
 */
#ifndef XFER_DAEMON_WORK_POOL_H
#define XFER_DAEMON_WORK_POOL_H

#include <stdbool.h>
#include <ev.h>

#include "proto/error.h"

struct pool;
struct strand;

struct work { /* embed it in what the work is about; it is the caller's until submitted and again
                 from done() on */
    void (*run)(struct work *work);
    void (*done)(struct work *work); /* may free it, may submit more; NULL: nobody needs to know (it
                                        must outlive run()) */
    struct strand *strand;
    struct work *next;
};

/* At most threads_max (1 .. XFER_WORKERS_MAX) threads. Their signals are all blocked. */
struct pool *pool_create(struct ev_loop *loop, unsigned threads_max, struct xfer_error *err);

/* Waits for what is running, runs what was submitted, calls the outstanding done()s, ends the
 * threads. NULL is fine. */
void pool_destroy(struct pool *pool);

/* Does the same for what is outstanding, but gives up after that many seconds: false when something
 * is stuck. Threads stay. */
bool pool_drain(struct pool *pool, double seconds);

/* Without a round through the loop: have what was submitted run, and call the done()s that are due
 * now. Costs next to nothing when there are none. How many were called. */
unsigned pool_poll(struct pool *pool);

struct strand *strand_create(struct pool *pool); /* NULL: no memory */
void strand_destroy(
    struct strand *strand); /* only when none of its works is outstanding; NULL is fine */

/* It is run when the loop's turn ends, so that what is submitted together wakes a worker once. On
 * the loop's thread. */
void strand_submit(struct strand *strand, struct work *work);

/* Works submitted and not yet done(). */
unsigned strand_outstanding(const struct strand *strand);

#endif
