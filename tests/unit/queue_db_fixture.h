/* SPDX-License-Identifier: MIT
 *
 * A queue's database in a directory of its own, what was loaded from it, and operations that are
 * waited for.
 */
#ifndef XFER_TESTS_QUEUE_DB_FIXTURE_H
#define XFER_TESTS_QUEUE_DB_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include <ev.h>

#include "daemon/control/queue_db.h"
#include "daemon/safedir.h"
#include "tests/unit/queue_db_vfs.h"

#include <fcntl.h>

#define SECONDS_AT_MOST 120 /* then something hangs */
#define LOADED_MAX      2000

struct fixture {
    char dir[64], path[128];
    struct ev_loop *loop;
    struct queue_db_options options;
    struct queue_db_state state;
    struct queue_db *db;
    struct queue_row *loaded[LOADED_MAX];
    size_t n_loaded;
    int64_t recent;
};

static inline int keep_loaded(void *user, struct queue_row *row)
{
    struct fixture *f = user;

    assert_true(f->n_loaded < LOADED_MAX);
    f->loaded[f->n_loaded++] = row;
    return 0;
}

static inline void forget_loaded(struct fixture *f)
{
    while (f->n_loaded > 0)
        queue_row_destroy(f->loaded[--f->n_loaded]);
}

static inline int try_open(struct fixture *f, struct xfer_error *err)
{
    forget_loaded(f);
    f->db = queue_db_open(f->loop, &f->options, f->recent, &f->state, keep_loaded, f, err);
    return f->db != NULL ? 0 : -1;
}

static inline void open_db(struct fixture *f)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (try_open(f, &err) < 0)
        fail_msg("%s", err.text);
}

static inline void close_db(struct fixture *f)
{
    assert_null(queue_db_close(f->db, 60));
    f->db = NULL;
}

static inline int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    alarm(SECONDS_AT_MOST);
    disk_install();
    snprintf(f->dir, sizeof f->dir, "%s", "/tmp/xfer-test-db-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/queue.db", f->dir);
    f->loop = ev_loop_new(0);
    f->options = (struct queue_db_options){.path = f->path, .keep_jobs = 1000, .keep_seconds = -1};
    f->recent = 100;
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    int fd;

    disk_heal();
    queue_db_close(f->db, 60);
    forget_loaded(f);
    ev_loop_destroy(f->loop);
    fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        safedir_empty(fd, NULL);
        close(fd);
    }
    rmdir(f->dir);
    free(f);
    return 0;
}

/* ---- operations -------------------------------------------------------------------------------
 */

struct request {
    struct queue_op op;
    bool done;
    int *order, place; /* the how manieth to be done */
};

static inline void on_done(struct queue_op *op)
{
    struct request *r = op->user;

    assert_false(r->done);
    r->done = true;
    if (r->order != NULL)
        r->place = ++*r->order;
}

static inline void give(struct fixture *f, struct request *r)
{
    r->op.done = on_done;
    r->op.user = r;
    queue_db_give(f->db, &r->op);
}

static inline void await(struct fixture *f, struct request *r)
{
    while (!r->done)
        ev_run(f->loop, EVRUN_ONCE);
}

static inline char *text_copy(const char *text)
{
    char *copy = strdup(text);

    assert_non_null(copy);
    return copy;
}

/* A queued job. */
static inline struct queue_row *new_row(int64_t id)
{
    struct queue_row *row = queue_row_create();

    assert_non_null(row);
    row->id = row->position = id;
    row->owner = 1000;
    row->retries = 3;
    row->source = text_copy("/data/a");
    row->dest = text_copy("a");
    row->submitted_at = 1.5e9;
    return row;
}

static inline struct queue_row *ended_row(int64_t id, int64_t ended, enum job_state state)
{
    struct queue_row *row = new_row(id);

    row->state = state;
    row->ended = ended;
    row->finished_at = 1.6e9 + (double)ended;
    return row;
}

/* Record it, and free it. What went wrong, or XFER_OK. */
static inline enum xfer_code record(struct fixture *f, enum queue_op_kind kind,
                                    struct queue_row *row)
{
    struct request r = {.op = {.kind = kind, .row = row}};

    give(f, &r);
    await(f, &r);
    queue_row_destroy(r.op.row);
    return r.op.error.code;
}

static inline void insert(struct fixture *f, struct queue_row *row)
{
    assert_int_equal(record(f, QUEUE_DB_INSERT, row), XFER_OK);
}

static inline void update(struct fixture *f, struct queue_row *row)
{
    assert_int_equal(record(f, QUEUE_DB_UPDATE, row), XFER_OK);
}

/* To be freed. NULL: there is none. */
static inline struct queue_row *fetch(struct fixture *f, int64_t id)
{
    struct request r = {.op = {.kind = QUEUE_DB_FETCH, .id = id}};

    give(f, &r);
    await(f, &r);
    assert_int_equal(r.op.error.code, XFER_OK);
    return r.op.row;
}

static inline bool is_there(struct fixture *f, int64_t id)
{
    struct queue_row *row = fetch(f, id);
    bool there = row != NULL;

    queue_row_destroy(row);
    return there;
}

static inline int64_t count_finished(struct fixture *f)
{
    int64_t n[JOB_STATE_COUNT];

    queue_db_counts(f->db, n);
    return n[JOB_DONE] + n[JOB_FAILED] + n[JOB_CANCELLED];
}

static inline void await_finished(struct fixture *f, int64_t n)
{
    while (count_finished(f) != n)
        usleep(1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
