/* SPDX-License-Identifier: MIT
 *
 * I/O workers. The loop's thread submits and calls done(); workers run. One mutex guards everything
 * that both sides touch; it is held for a few instructions, once for each work on either side.
 *
 * A strand with work is in one of two states: on the list of ready strands, or held by one worker,
 * which runs its works in sequence. What is submitted meanwhile is appended and wakes nobody. A
 * worker without a strand lies on a stack of idle ones, the one that worked last on top, and waits
 * on a condition of its own, so that a new strand wakes exactly one and always a warm one. Threads
 * are never ended before pool_destroy().
 *
 * Finished works go to one list, in the order in which they ended; the loop is woken only when that
 * list was empty. A work without done() isn't touched after its run().
 */
#include "daemon/work/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

/* A worker that has run so many works of one strand lets another ready strand go first. */
#define STRAND_BURST 16

struct work_list {
    struct work *head, *tail;
};

struct strand {
    struct pool *pool;
    struct work_list works;
    struct strand *next;  /* on the list of ready strands */
    bool scheduled;       /* on that list or held by a worker */
    unsigned outstanding; /* submitted, not yet done() */
};

struct worker {
    struct pool *pool;
    pthread_t thread;
    pthread_cond_t wake;
    bool woken;
    struct worker *next_idle;
};

struct pool {
    struct ev_loop *loop;
    ev_async async;
    struct work_list due; /* the loop thread's own: done() is to be called */

    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t drained;
    struct strand *ready_head, *ready_tail;
    struct worker *idle;
    struct work_list finished;
    atomic_bool any_finished; /* is there anything on that list? A look without the lock. */
    unsigned long unfinished; /* submitted, not yet run */
    bool draining, stopping;
    unsigned n_threads, threads_max;
    struct worker workers[XFER_WORKERS_MAX];
};

static void append(struct work_list *list, struct work *work)
{
    work->next = NULL;
    if (list->tail != NULL)
        list->tail->next = work;
    else
        list->head = work;
    list->tail = work;
}

static struct work *take(struct work_list *list)
{
    struct work *work = list->head;

    if (work != NULL) {
        list->head = work->next;
        if (list->head == NULL)
            list->tail = NULL;
    }
    return work;
}

static void push_ready(struct pool *pool, struct strand *strand)
{
    strand->next = NULL;
    if (pool->ready_tail != NULL)
        pool->ready_tail->next = strand;
    else
        pool->ready_head = strand;
    pool->ready_tail = strand;
}

static struct strand *pop_ready(struct pool *pool)
{
    struct strand *strand = pool->ready_head;

    if (strand != NULL) {
        pool->ready_head = strand->next;
        if (pool->ready_head == NULL)
            pool->ready_tail = NULL;
    }
    return strand;
}

/* With the lock held: what follows a run(). The work may be gone when it has no done(). */
static void finish(struct pool *pool, struct strand *strand, struct work *work, bool has_done)
{
    if (has_done) {
        bool was_empty = pool->finished.head == NULL;

        append(&pool->finished, work);
        if (was_empty) {
            atomic_store_explicit(&pool->any_finished, true, memory_order_release);
            ev_async_send(pool->loop, &pool->async);
        }
    } else {
        strand->outstanding--;
    }
    pool->unfinished--;
    if (pool->draining)
        pthread_cond_signal(&pool->drained);
}

/* With the lock held: run works of this strand until it has none or has had its turn. */
static void run_strand(struct pool *pool, struct strand *strand)
{
    unsigned turn = 0;

    while (strand->works.head != NULL) {
        if (turn++ == STRAND_BURST) {
            if (pool->ready_head != NULL) {
                push_ready(pool, strand);
                return;
            }
            turn = 0;
        }
        struct work *work = take(&strand->works);
        bool has_done = work->done != NULL;

        pthread_mutex_unlock(&pool->lock);
        work->run(work);
        pthread_mutex_lock(&pool->lock);
        finish(pool, strand, work, has_done);
    }
    strand->scheduled = false;
}

static void *worker_main(void *arg)
{
    struct worker *self = arg;
    struct pool *pool = self->pool;

    pthread_mutex_lock(&pool->lock);
    for (;;) {
        struct strand *strand = pop_ready(pool);

        if (strand != NULL) {
            run_strand(pool, strand);
            continue;
        }
        if (pool->stopping)
            break;
        self->woken = false;
        self->next_idle = pool->idle;
        pool->idle = self;
        while (!self->woken)
            pthread_cond_wait(&self->wake, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* With the lock held. */
static void wake_idle(struct pool *pool)
{
    struct worker *worker = pool->idle;

    pool->idle = worker->next_idle;
    worker->woken = true;
    pthread_cond_signal(&worker->wake);
}

/* With the lock held, or before there are threads. An errno value. */
static int start_thread(struct pool *pool)
{
    struct worker *worker = &pool->workers[pool->n_threads];
    sigset_t all, old;
    int rc;

    worker->pool = pool;
    rc = pthread_cond_init(&worker->wake, NULL);
    if (rc != 0)
        return rc;
    /* a new thread inherits the mask: it must never be the one that a signal of the process is
     * delivered to */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&worker->thread, NULL, worker_main, worker);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0) {
        pthread_cond_destroy(&worker->wake);
        return rc;
    }
    pthread_setname_np(worker->thread, "xfer-io");
    pool->n_threads++;
    return 0;
}

/* Call the done()s that are due. */
static unsigned dispatch(struct pool *pool)
{
    struct work *work;
    unsigned n = 0;

    pthread_mutex_lock(&pool->lock);
    if (pool->finished.head != NULL) {
        if (pool->due.tail != NULL)
            pool->due.tail->next = pool->finished.head;
        else
            pool->due.head = pool->finished.head;
        pool->due.tail = pool->finished.tail;
        pool->finished.head = pool->finished.tail = NULL;
        atomic_store_explicit(&pool->any_finished, false, memory_order_relaxed);
        for (work = pool->due.head; work != NULL; work = work->next)
            n++;
    }
    pthread_mutex_unlock(&pool->lock);

    /* taken one by one: a done() that drains goes on with the rest in the right order */
    while ((work = take(&pool->due)) != NULL) {
        pthread_mutex_lock(&pool->lock);
        work->strand->outstanding--;
        pthread_mutex_unlock(&pool->lock);
        work->done(work);
    }
    return n;
}

static void async_cb(struct ev_loop *loop, ev_async *async, int revents)
{
    (void)loop;
    (void)revents;
    dispatch(async->data);
}

unsigned pool_poll(struct pool *pool)
{
    if (!atomic_load_explicit(&pool->any_finished, memory_order_acquire))
        return 0;
    return dispatch(pool);
}

struct pool *pool_create(struct ev_loop *loop, unsigned threads_max, struct xfer_error *err)
{
    struct pool *pool = calloc(1, sizeof *pool);
    pthread_condattr_t attr;
    int rc;

    if (pool == NULL) {
        error_set(err, XFER_NO_RESOURCES, "no memory for workers");
        return NULL;
    }
    if (threads_max < 1)
        threads_max = 1;
    if (threads_max > XFER_WORKERS_MAX)
        threads_max = XFER_WORKERS_MAX;
    pool->loop = loop;
    pool->threads_max = threads_max;
    atomic_init(&pool->any_finished, false);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->drained, &attr);
    pthread_condattr_destroy(&attr);
    ev_async_init(&pool->async, async_cb);
    pool->async.data = pool;
    ev_async_start(loop, &pool->async);

    /* one at least must be there: the rest is only for speed, and may fail to start later */
    rc = start_thread(pool);
    if (rc != 0) {
        pool_destroy(pool);
        error_set_errno(err, rc, "can't start a worker thread");
        return NULL;
    }
    return pool;
}

bool pool_drain(struct pool *pool, double seconds)
{
    struct timespec until;
    bool all_done = false;
    int rc = 0;

    /* ten years stand for ever */
    if (!(seconds < 3.15e8))
        seconds = 3.15e8;
    if (seconds < 0)
        seconds = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)seconds;
    until.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }

    while (!all_done && rc == 0) {
        dispatch(pool);
        pthread_mutex_lock(&pool->lock);
        pool->draining = true;
        while (rc == 0 && pool->unfinished > 0 && pool->finished.head == NULL)
            rc = pthread_cond_timedwait(&pool->drained, &pool->lock, &until);
        pool->draining = false;
        all_done = pool->unfinished == 0 && pool->finished.head == NULL;
        pthread_mutex_unlock(&pool->lock);
    }
    return all_done;
}

void pool_destroy(struct pool *pool)
{
    unsigned i;

    if (pool == NULL)
        return;
    while (!pool_drain(pool, 3600))
        ;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    while (pool->idle != NULL)
        wake_idle(pool);
    pthread_mutex_unlock(&pool->lock);
    for (i = 0; i < pool->n_threads; i++) {
        pthread_join(pool->workers[i].thread, NULL);
        pthread_cond_destroy(&pool->workers[i].wake);
    }
    ev_async_stop(pool->loop, &pool->async);
    pthread_cond_destroy(&pool->drained);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

struct strand *strand_create(struct pool *pool)
{
    struct strand *strand = calloc(1, sizeof *strand);

    if (strand != NULL)
        strand->pool = pool;
    return strand;
}

void strand_destroy(struct strand *strand)
{
    if (strand == NULL)
        return;
    /* the worker that ran its last work may still be about to put it down */
    pthread_mutex_lock(&strand->pool->lock);
    pthread_mutex_unlock(&strand->pool->lock);
    free(strand);
}

void strand_submit(struct strand *strand, struct work *work)
{
    struct pool *pool = strand->pool;

    work->strand = strand;
    pthread_mutex_lock(&pool->lock);
    append(&strand->works, work);
    strand->outstanding++;
    pool->unfinished++;
    if (!strand->scheduled) {
        strand->scheduled = true;
        push_ready(pool, strand);
        if (pool->idle != NULL)
            wake_idle(pool);
        else if (pool->n_threads < pool->threads_max)
            start_thread(pool); /* when it fails the others will come to it */
    }
    pthread_mutex_unlock(&pool->lock);
}

unsigned strand_outstanding(const struct strand *strand)
{
    unsigned n;

    pthread_mutex_lock(&strand->pool->lock);
    n = strand->outstanding;
    pthread_mutex_unlock(&strand->pool->lock);
    return n;
}
