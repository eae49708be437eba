/* SPDX-License-Identifier: MIT
 *
 * Workers and strands.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/work/pool.h"

struct fixture {
    struct ev_loop *loop;
    struct pool *pool;
};

static int setup_with(void **state, unsigned threads)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct xfer_error err;

    f->loop = ev_loop_new(EVFLAG_NOSIGMASK);
    f->pool = pool_create(f->loop, threads, &err);
    assert_non_null(f->pool);
    *state = f;
    return 0;
}

static int setup(void **state)
{
    return setup_with(state, 4);
}

static int setup_one_thread(void **state)
{
    return setup_with(state, 1);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    pool_destroy(f->pool);
    ev_loop_destroy(f->loop);
    free(f);
    return 0;
}

/* A gate that works wait at until the test opens it. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    unsigned waiting;
};
#define GATE_INIT                                                     \
    {                                                                 \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0 \
    }

static void gate_pass(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->waiting++;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static void gate_open(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static void gate_await(struct gate *gate, unsigned waiting)
{
    pthread_mutex_lock(&gate->lock);
    while (gate->waiting < waiting)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

/* What ran and what was done, in order. Numbers of works. */
struct record {
    unsigned *ran, *done;
    unsigned n_ran, n_done;
};

struct item {
    struct work work; /* first */
    unsigned number;
    struct record *record;
    struct gate *gate;
    pthread_t thread;
};

static void item_run(struct work *work)
{
    struct item *item = (struct item *)work;

    if (item->gate != NULL)
        gate_pass(item->gate);
    item->thread = pthread_self();
    if (item->record != NULL)
        item->record->ran[item->record->n_ran++] =
            item->number; /* one record a strand: no lock, which the strand promises */
}

static void item_done(struct work *work)
{
    struct item *item = (struct item *)work;

    if (item->record != NULL)
        item->record->done[item->record->n_done++] = item->number;
}

static void test_done_runs_on_the_loop_thread(void **state)
{
    struct fixture *f = *state;
    struct strand *s = strand_create(f->pool);
    unsigned ran[1], done[1];
    struct record record = {ran, done, 0, 0};
    struct item item = {.work = {item_run, item_done, NULL, NULL}, .record = &record};

    strand_submit(s, &item.work);
    assert_int_equal(strand_outstanding(s), 1);
    while (record.n_done == 0)
        ev_run(f->loop, EVRUN_ONCE);
    assert_int_equal(record.n_ran, 1);
    assert_int_equal(strand_outstanding(s), 0);
    assert_false(pthread_equal(item.thread, pthread_self()));
    strand_destroy(s);
}

static void test_poll_calls_done_without_the_loop(void **state)
{
    struct fixture *f = *state;
    struct strand *s = strand_create(f->pool);
    unsigned ran[1], done[1];
    struct record record = {ran, done, 0, 0};
    struct item item = {.work = {item_run, item_done, NULL, NULL}, .record = &record};

    assert_int_equal(pool_poll(f->pool), 0);
    strand_submit(s, &item.work);
    while (pool_poll(f->pool) == 0)
        usleep(100);
    assert_int_equal(record.n_done, 1);
    strand_destroy(s);
}

#define MANY 2000

static void test_each_strand_keeps_its_order(void **state)
{
    struct fixture *f = *state;
    enum { STRANDS = 9 };
    struct strand *s[STRANDS];
    struct record record[STRANDS];
    struct item *items = calloc((size_t)STRANDS * MANY, sizeof *items);
    unsigned i, k;

    for (k = 0; k < STRANDS; k++) {
        s[k] = strand_create(f->pool);
        record[k] =
            (struct record){calloc(MANY, sizeof(unsigned)), calloc(MANY, sizeof(unsigned)), 0, 0};
    }
    for (i = 0; i < MANY; i++) {
        for (k = 0; k < STRANDS; k++) {
            struct item *item = &items[i * STRANDS + k];

            *item = (struct item){
                .work = {item_run, item_done, NULL, NULL}, .number = i, .record = &record[k]};
            strand_submit(s[k], &item->work);
        }
        if (i % 64 == 0)
            pool_poll(f->pool);
    }
    assert_true(pool_drain(f->pool, 60));
    for (k = 0; k < STRANDS; k++) {
        assert_int_equal(record[k].n_ran, MANY);
        assert_int_equal(record[k].n_done, MANY);
        for (i = 0; i < MANY; i++) {
            assert_int_equal(record[k].ran[i], i);
            assert_int_equal(record[k].done[i], i);
        }
        assert_int_equal(strand_outstanding(s[k]), 0);
        strand_destroy(s[k]);
        free(record[k].ran);
        free(record[k].done);
    }
    free(items);
}

static void test_strands_run_side_by_side(void **state)
{
    struct fixture *f = *state;
    struct gate gate = GATE_INIT;
    struct strand *s[4];
    struct item items[4];
    int i;

    for (i = 0; i < 4; i++) {
        s[i] = strand_create(f->pool);
        items[i] = (struct item){.work = {item_run, item_done, NULL, NULL}, .gate = &gate};
        strand_submit(s[i], &items[i].work);
    }
    pool_poll(f->pool);
    gate_await(&gate, 4);
    gate_open(&gate);
    assert_true(pool_drain(f->pool, 60));
    for (i = 0; i < 4; i++)
        strand_destroy(s[i]);
}

static void test_a_stuck_work_holds_one_thread_only(void **state)
{
    struct fixture *f = *state;
    struct gate gate = GATE_INIT;
    struct strand *stuck = strand_create(f->pool), *other = strand_create(f->pool);
    unsigned ran[MANY], done[MANY];
    struct record record = {ran, done, 0, 0};
    struct item *items = calloc(MANY, sizeof *items);
    struct item first = {.work = {item_run, item_done, NULL, NULL}, .gate = &gate};
    struct item behind = {.work = {item_run, item_done, NULL, NULL}, .gate = &gate};
    unsigned i;

    strand_submit(stuck, &first.work);
    strand_submit(stuck, &behind.work);
    pool_poll(f->pool);
    gate_await(&gate, 1);
    for (i = 0; i < MANY; i++) {
        items[i] = (struct item){
            .work = {item_run, item_done, NULL, NULL}, .number = i, .record = &record};
        strand_submit(other, &items[i].work);
    }
    while (record.n_done < MANY)
        ev_run(f->loop, EVRUN_ONCE);
    assert_int_equal(strand_outstanding(stuck), 2);
    gate_open(&gate);
    assert_true(pool_drain(f->pool, 60));
    strand_destroy(stuck);
    strand_destroy(other);
    free(items);
}

static void test_a_stuck_work_hides_none_that_is_done(void **state)
{
    struct fixture *f = *state;
    struct gate gate = GATE_INIT;
    struct strand *s = strand_create(f->pool);
    unsigned ran[1], done[1];
    struct record record = {ran, done, 0, 0};
    struct item before = {.work = {item_run, item_done, NULL, NULL}, .record = &record};
    struct item stuck = {.work = {item_run, item_done, NULL, NULL}, .gate = &gate};

    strand_submit(s, &before.work);
    strand_submit(s, &stuck.work);
    while (record.n_done == 0)
        ev_run(f->loop, EVRUN_ONCE);
    assert_int_equal(strand_outstanding(s), 1);
    gate_open(&gate);
    assert_true(pool_drain(f->pool, 60));
    strand_destroy(s);
}

static void test_more_strands_than_threads_all_get_their_turn(void **state)
{
    struct fixture *f = *state; /* one thread */
    struct gate gate = GATE_INIT;
    struct strand *a = strand_create(f->pool), *b = strand_create(f->pool);
    unsigned ran[MANY + 1], done[MANY + 1], n_before;
    struct record record = {ran, done, 0, 0}; /* shared by both: there is one thread */
    struct item *items = calloc(MANY, sizeof *items);
    struct item last = {
        .work = {item_run, item_done, NULL, NULL}, .number = MANY, .record = &record};
    unsigned i;

    for (i = 0; i < MANY; i++) {
        items[i] = (struct item){
            .work = {item_run, item_done, NULL, NULL}, .number = i, .record = &record};
        items[i].gate = i == 0 ? &gate : NULL;
        strand_submit(a, &items[i].work);
    }
    strand_submit(b, &last.work);
    pool_poll(f->pool);
    gate_open(&gate);
    assert_true(pool_drain(f->pool, 60));
    for (n_before = 0; ran[n_before] != MANY; n_before++)
        ;
    assert_true(n_before < MANY / 2);
    strand_destroy(a);
    strand_destroy(b);
    free(items);
}

static void test_drain_gives_up_on_what_is_stuck(void **state)
{
    struct fixture *f = *state;
    struct gate gate = GATE_INIT;
    struct strand *s = strand_create(f->pool);
    struct item item = {.work = {item_run, item_done, NULL, NULL}, .gate = &gate};

    strand_submit(s, &item.work);
    pool_poll(f->pool);
    gate_await(&gate, 1);
    assert_false(pool_drain(f->pool, 0.02));
    assert_false(pool_drain(f->pool, 0));
    gate_open(&gate);
    assert_true(pool_drain(f->pool, 60));
    strand_destroy(s);
}

static void test_drain_of_an_idle_pool_returns(void **state)
{
    struct fixture *f = *state;

    assert_true(pool_drain(f->pool, 0));
}

static void last_done(struct work *work)
{
    item_done(work);
    strand_destroy(work->strand);
}

static void test_destroy_runs_what_is_submitted(void **state)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_NOSIGMASK);
    struct xfer_error err;
    struct pool *pool = pool_create(loop, 2, &err);
    struct strand *s = strand_create(pool);
    unsigned ran[100], done[100], i;
    struct record record = {ran, done, 0, 0};
    struct item items[100];

    (void)state;
    for (i = 0; i < 100; i++) {
        items[i] = (struct item){.work = {item_run, i == 99 ? last_done : item_done, NULL, NULL},
                                 .number = i,
                                 .record = &record};
        strand_submit(s, &items[i].work);
    }
    pool_destroy(pool);
    assert_int_equal(record.n_ran, 100);
    assert_int_equal(record.n_done, 100);
    ev_loop_destroy(loop);
}

static void test_destroy_of_nothing_is_fine(void **state)
{
    (void)state;
    pool_destroy(NULL);
    strand_destroy(NULL);
}

struct chain {
    struct work work;
    struct strand *strand;
    unsigned left;
};

static void chain_run(struct work *work)
{
    (void)work;
}

static void chain_done(struct work *work)
{
    struct chain *chain = (struct chain *)work;

    if (chain->left-- > 0)
        strand_submit(chain->strand, &chain->work);
}

static void test_done_may_submit_more(void **state)
{
    struct fixture *f = *state;
    struct strand *s = strand_create(f->pool);
    struct chain chain = {{chain_run, chain_done, NULL, NULL}, s, 50};

    strand_submit(s, &chain.work);
    assert_true(pool_drain(f->pool, 60));
    assert_int_equal(chain.left, (unsigned)-1);
    strand_destroy(s);
}

static void free_done(struct work *work)
{
    free(work);
}

static void test_done_may_free_the_work(void **state)
{
    struct fixture *f = *state;
    struct strand *s = strand_create(f->pool);
    int i;

    for (i = 0; i < 100; i++) {
        struct work *work = calloc(1, sizeof *work);

        work->run = chain_run;
        work->done = free_done;
        strand_submit(s, work);
    }
    assert_true(pool_drain(f->pool, 60));
    strand_destroy(s);
}

static void test_a_work_without_done_is_not_touched_after_run(void **state)
{
    struct fixture *f = *state;
    struct strand *s = strand_create(f->pool);
    int i;

    for (i = 0; i < 100; i++) {
        struct work *work = calloc(1, sizeof *work);

        work->run = free_done;
        strand_submit(s, work);
    }
    assert_true(pool_drain(f->pool, 60));
    assert_int_equal(strand_outstanding(s), 0);
    strand_destroy(s);
}

static sigset_t seen_mask;

static void mask_run(struct work *work)
{
    (void)work;
    pthread_sigmask(SIG_BLOCK, NULL, &seen_mask);
}

static void test_signals_are_blocked_in_workers(void **state)
{
    struct fixture *f = *state;
    struct strand *s = strand_create(f->pool);
    struct work work = {mask_run, NULL, NULL, NULL};

    strand_submit(s, &work);
    assert_true(pool_drain(f->pool, 60));
    assert_true(sigismember(&seen_mask, SIGTERM));
    assert_true(sigismember(&seen_mask, SIGUSR1));
    assert_true(sigismember(&seen_mask, SIGCHLD));
    strand_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_done_runs_on_the_loop_thread, setup, teardown),
        cmocka_unit_test_setup_teardown(test_poll_calls_done_without_the_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_each_strand_keeps_its_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_strands_run_side_by_side, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_stuck_work_holds_one_thread_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_stuck_work_hides_none_that_is_done, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_strands_than_threads_all_get_their_turn,
                                        setup_one_thread, teardown),
        cmocka_unit_test_setup_teardown(test_drain_gives_up_on_what_is_stuck, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drain_of_an_idle_pool_returns, setup, teardown),
        cmocka_unit_test(test_destroy_runs_what_is_submitted),
        cmocka_unit_test(test_destroy_of_nothing_is_fine),
        cmocka_unit_test_setup_teardown(test_done_may_submit_more, setup, teardown),
        cmocka_unit_test_setup_teardown(test_done_may_free_the_work, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_work_without_done_is_not_touched_after_run, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_signals_are_blocked_in_workers, setup, teardown),
    };

    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
