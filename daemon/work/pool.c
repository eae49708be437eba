/* SPDX-License-Identifier: MIT
 *
 * I/O workers. The loop's thread submits and calls done(); workers run. What one wake-up of a
 * thread costs is about what it costs to store a small file, so that few of them is what all this
 * is about.
 *
 * What is submitted in one turn of the loop is handed over together at its end, or when it is much.
 * A strand with work is in one of two states: on the list of ready strands, or held by one worker,
 * which takes some of its works at a time and runs them in sequence. What is submitted meanwhile is
 * appended and wakes nobody. A worker without a strand lies on a stack of idle ones, the one that
 * worked last on top, and waits on a semaphore of its own, so that a new strand wakes exactly one
 * and always a warm one. Threads are never ended before pool_destroy().
 *
 * A work that was run goes to one stack without a lock, before the next one is run: a loop that
 * polls sees it at once. One that sleeps is woken once for all that is there, when the worker has
 * come to the end of its strand, or when the first of them has waited for a moment. The work that
 * follows may hang, so that nobody wakes it: as long as anything is outstanding the loop looks now
 * and then by itself. A work without done() isn't touched after its run().
 */
#include "daemon/work/pool.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

/* So many works of a strand a worker takes at a time, and then lets another ready strand go first.
 */
#define STRAND_BURST 16
/* So many submitted works don't wait for the end of the loop's turn. */
#define HAND_OVER 16
/* So long may a work that is done wait for others of its strand. */
#define GATHER_NS 200000
/* Seconds between the loop's own looks, and at most, when there was nothing to be seen. */
#define LOOK_EVERY     0.002
#define LOOK_EVERY_MAX 0.1

struct work_list {
    struct work *head, *tail;
};

struct strand {
    struct pool *pool;
    struct work_list works;
    struct strand *next;     /* on the list of ready strands */
    bool scheduled;          /* on that list or held by a worker */
    bool doomed;             /* to be freed by that worker */
    atomic_uint outstanding; /* submitted, not yet done() */
};

struct worker {
    struct pool *pool;
    pthread_t thread;
    sem_t wake;
    struct worker *next_idle;
};

struct pool {
    struct ev_loop *loop;
    ev_async async;
    ev_prepare turn_begins, turn_ends;
    ev_timer look; /* runs while anything is outstanding */
    /* the loop thread's own: */
    struct work_list submitted; /* not handed over yet */
    unsigned n_submitted;
    struct work_list due; /* done() is to be called */

    _Atomic(struct work *) finished; /* the last one first */
    atomic_bool told;                /* of them: the loop is on its way */
    _Atomic int64_t first_finished;  /* since when it isn't empty: nanoseconds */
    atomic_ulong unfinished;         /* submitted, not yet run */
    atomic_bool draining;

    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t drained;
    struct strand *ready_head, *ready_tail;
    struct worker *idle;
    bool stopping;
    unsigned n_threads, threads_max;
    struct worker workers[XFER_WORKERS_MAX];
};

static int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

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

/* ---- on a worker ---- */

/* Wake the loop, unless it is on its way. */
static void tell(struct pool *pool)
{
    if (atomic_load(&pool->finished) != NULL && !atomic_exchange(&pool->told, true))
        ev_async_send(pool->loop, &pool->async);
}

static void push_finished(struct pool *pool, struct work *work)
{
    struct work *before = atomic_load(&pool->finished);
    int64_t now = now_ns();

    do {
        if (before == NULL)
            atomic_store(&pool->first_finished, now);
        work->next = before;
    } while (!atomic_compare_exchange_weak(&pool->finished, &before, work));
    if (now - atomic_load(&pool->first_finished) > GATHER_NS)
        tell(pool);
}

/* What follows a run(). The work may be gone when it has no done(). */
static void finish(struct pool *pool, struct strand *strand, struct work *work, bool has_done)
{
    if (has_done)
        push_finished(pool, work);
    else
        atomic_fetch_sub(&strand->outstanding, 1);
    atomic_fetch_sub(&pool->unfinished, 1);
    if (atomic_load(&pool->draining)) {
        pthread_mutex_lock(&pool->lock);
        pthread_cond_signal(&pool->drained);
        pthread_mutex_unlock(&pool->lock);
    }
}

/* Run works of this strand until it has none, or has had its turn. With the lock held, but for
 * those. */
static void run_strand(struct pool *pool, struct strand *strand)
{
    while (strand->works.head != NULL) {
        struct work_list burst = {NULL, NULL};
        struct work *work;

        for (unsigned n = 0; n < STRAND_BURST && (work = take(&strand->works)) != NULL; n++)
            append(&burst, work);
        pthread_mutex_unlock(&pool->lock);
        while ((work = take(&burst)) != NULL) {
            bool has_done = work->done != NULL;

            work->run(work);
            finish(pool, strand, work, has_done);
        }
        pthread_mutex_lock(&pool->lock);
        if (strand->works.head != NULL && pool->ready_head != NULL) {
            push_ready(pool, strand);
            return;
        }
    }
    tell(pool);
    strand->scheduled = false;
    if (strand->doomed)
        free(strand);
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
        self->next_idle = pool->idle;
        pool->idle = self;
        pthread_mutex_unlock(&pool->lock);
        while (sem_wait(&self->wake) != 0 && errno == EINTR)
            ;
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* ---- threads ---- */

/* With the lock held, or before there are threads. An errno value. */
static int start_thread(struct pool *pool)
{
    struct worker *worker = &pool->workers[pool->n_threads];
    sigset_t all, old;
    int rc;

    worker->pool = pool;
    if (sem_init(&worker->wake, 0, 0) != 0)
        return errno;
    /* a new thread inherits the mask: it must never be the one that a signal of the process is
     * delivered to */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&worker->thread, NULL, worker_main, worker);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0) {
        sem_destroy(&worker->wake);
        return rc;
    }
    pthread_setname_np(worker->thread, "xfer-io");
    pool->n_threads++;
    return 0;
}

/* With the lock held: one that is to be woken when it is no longer held, or started; NULL: none. */
static struct worker *take_idle(struct pool *pool)
{
    struct worker *worker = pool->idle;

    if (worker != NULL)
        pool->idle = worker->next_idle;
    else if (pool->n_threads < pool->threads_max)
        start_thread(pool); /* when it fails the others will come to it */
    return worker;
}

/* ---- on the loop's thread ---- */

static void hand_over(struct pool *pool)
{
    struct worker *wake[HAND_OVER];
    struct work *work;
    unsigned n = 0;

    if (pool->n_submitted == 0)
        return;
    pool->n_submitted = 0;
    pthread_mutex_lock(&pool->lock);
    while ((work = take(&pool->submitted)) != NULL) {
        struct strand *strand = work->strand;

        append(&strand->works, work);
        if (strand->scheduled)
            continue;
        strand->scheduled = true;
        push_ready(pool, strand);
        wake[n] = take_idle(pool);
        n += wake[n] != NULL;
    }
    pthread_mutex_unlock(&pool->lock);
    while (n > 0)
        sem_post(&wake[--n]->wake);
}

static void on_turn_ends(struct ev_loop *loop, ev_prepare *w, int revents)
{
    (void)loop;
    (void)revents;
    hand_over(w->data);
}

/* Call the done()s that are due. */
static unsigned dispatch(struct pool *pool)
{
    struct work *work, *next, *list = NULL;
    unsigned n = 0;

    atomic_store(&pool->told, false);
    /* the last one is the first of that stack */
    for (work = atomic_exchange(&pool->finished, NULL); work != NULL; work = next) {
        next = work->next;
        work->next = list;
        list = work;
    }
    for (; list != NULL; list = next) {
        next = list->next;
        append(&pool->due, list);
        n++;
    }
    if (atomic_load(&pool->unfinished) == 0)
        ev_timer_stop(pool->loop, &pool->look);
    /* taken one by one: a done() that drains goes on with the rest in the right order */
    while ((work = take(&pool->due)) != NULL) {
        atomic_fetch_sub(&work->strand->outstanding, 1);
        work->done(work);
    }
    return n;
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)revents;
    if (dispatch(timer->data) == 0) {
        timer->repeat = timer->repeat * 2 < LOOK_EVERY_MAX ? timer->repeat * 2 : LOOK_EVERY_MAX;
        if (ev_is_active(timer))
            ev_timer_again(loop, timer);
    }
}

static void async_cb(struct ev_loop *loop, ev_async *async, int revents)
{
    (void)loop;
    (void)revents;
    dispatch(async->data);
}

unsigned pool_poll(struct pool *pool)
{
    hand_over(pool);
    if (atomic_load_explicit(&pool->finished, memory_order_relaxed) == NULL)
        return 0;
    return dispatch(pool);
}

static void on_turn_begins(struct ev_loop *loop, ev_prepare *w, int revents)
{
    (void)loop;
    (void)revents;
    pool_poll(w->data);
}

/* Between these two everybody else has his turn before the loop waits. */
static void start_watchers(struct pool *pool)
{
    ev_async_init(&pool->async, async_cb);
    ev_async_start(pool->loop, &pool->async);
    ev_prepare_init(&pool->turn_begins, on_turn_begins);
    ev_set_priority(&pool->turn_begins, EV_MAXPRI);
    ev_prepare_start(pool->loop, &pool->turn_begins);
    ev_prepare_init(&pool->turn_ends, on_turn_ends);
    ev_set_priority(&pool->turn_ends, EV_MINPRI);
    ev_prepare_start(pool->loop, &pool->turn_ends);
    ev_init(&pool->look, on_look);
    pool->async.data = pool->turn_begins.data = pool->turn_ends.data = pool->look.data = pool;
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
    pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->drained, &attr);
    pthread_condattr_destroy(&attr);
    start_watchers(pool);

    /* one at least must be there: the rest is only for speed, and may fail to start later */
    rc = start_thread(pool);
    if (rc != 0) {
        pool_destroy(pool);
        error_set_errno(err, rc, "can't start a worker thread");
        return NULL;
    }
    return pool;
}

/* With the lock held: does a drain still have to wait? */
static bool nothing_to_do(struct pool *pool)
{
    return atomic_load(&pool->unfinished) > 0 && atomic_load(&pool->finished) == NULL;
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
        hand_over(pool);
        pthread_mutex_lock(&pool->lock);
        atomic_store(&pool->draining, true);
        while (rc == 0 && nothing_to_do(pool))
            rc = pthread_cond_timedwait(&pool->drained, &pool->lock, &until);
        atomic_store(&pool->draining, false);
        all_done = atomic_load(&pool->unfinished) == 0 && atomic_load(&pool->finished) == NULL;
        pthread_mutex_unlock(&pool->lock);
    }
    return all_done;
}

void pool_destroy(struct pool *pool)
{
    struct worker *worker;
    unsigned i;

    if (pool == NULL)
        return;
    while (!pool_drain(pool, 3600))
        ;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    while ((worker = pool->idle) != NULL) {
        pool->idle = worker->next_idle;
        sem_post(&worker->wake);
    }
    pthread_mutex_unlock(&pool->lock);
    for (i = 0; i < pool->n_threads; i++) {
        pthread_join(pool->workers[i].thread, NULL);
        sem_destroy(&pool->workers[i].wake);
    }
    ev_async_stop(pool->loop, &pool->async);
    ev_prepare_stop(pool->loop, &pool->turn_begins);
    ev_prepare_stop(pool->loop, &pool->turn_ends);
    ev_timer_stop(pool->loop, &pool->look);
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
    struct pool *pool;
    bool held;

    if (strand == NULL)
        return;
    pool = strand->pool;
    pthread_mutex_lock(&pool->lock);
    /* the worker that ran its last work may still be about to put it down */
    held = strand->doomed = strand->scheduled;
    pthread_mutex_unlock(&pool->lock);
    if (!held)
        free(strand);
}

void strand_submit(struct strand *strand, struct work *work)
{
    struct pool *pool = strand->pool;

    work->strand = strand;
    atomic_fetch_add(&strand->outstanding, 1);
    atomic_fetch_add(&pool->unfinished, 1);
    append(&pool->submitted, work);
    if (++pool->n_submitted == HAND_OVER)
        hand_over(pool);
    if (!ev_is_active(&pool->look)) {
        pool->look.repeat = LOOK_EVERY;
        ev_timer_again(pool->loop, &pool->look);
    }
}

unsigned strand_outstanding(const struct strand *strand)
{
    return atomic_load(&strand->outstanding);
}
