/* SPDX-License-Identifier: MIT
 *
 * A queue database without a disk and without a thread: stands in for daemon/control/queue_db*.c in
 * a test program. What it is given is carried out, and told, from the loop; or, on hold, when the
 * test says so. What was recorded outlives queue_db_close(), as files do.
 */
#ifndef XFER_TESTS_UNIT_FAKE_QUEUE_DB_H
#define XFER_TESTS_UNIT_FAKE_QUEUE_DB_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control/job.h"
#include "daemon/control/queue_db.h"

#define FAKE_NOTES_MAX 4096

struct queue_db {
    struct ev_loop *loop;
    ev_timer turn; /* fed */
    struct queue_op *head, *tail;
    size_t pending;
};

static struct fake_db {
    struct queue_row **rows; /* by number */
    int64_t size, last_id, last_ended;
    int64_t counts[JOB_STATE_COUNT]; /* of rows */
    int64_t *ends;                   /* by number of the end: the job */
    int64_t n_ends, oldest;
    bool paused;
    int64_t draining;
    int64_t bandwidth_plus_1; /* so that 0 is "none recorded" */
    bool hold;                /* nothing is carried out but by fake_db_commit() */
    enum xfer_code no_more;   /* INSERTs and SETTINGS fail with it */
    int inserts, updates, fetches, lists, notings, readings;
    struct fake_note {
        int64_t job;
        struct queue_note note;
    } notes[FAKE_NOTES_MAX]; /* of all jobs, in the order in which they came */
    size_t n_notes;
    bool refuse_open;
    bool keep_none; /* finished jobs are removed at once */
    struct queue_db *open;
    int64_t keep_jobs; /* as of queue_db_keep() */
    double keep_seconds;
} fake_db;

struct queue_row *queue_row_create(void)
{
    struct queue_row *row = calloc(1, sizeof *row);

    if (!row)
        abort();
    row->preserve = PRESERVE_DEFAULT;
    return row;
}

void queue_row_destroy(struct queue_row *row)
{
    if (!row)
        return;
    free(row->source);
    free(row->dest);
    free(row->key);
    free(row->error_text);
    free(row->error_path);
    free(row->groups);
    free(row->stored);
    free(row->list);
    control_strings_free(&row->filter);
    free(row);
}

void queue_notes_free(struct queue_note *notes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(notes[i].path);
        free(notes[i].text);
    }
    free(notes);
}

static inline char *fake_text(const char *text)
{
    return text ? strdup(text) : NULL;
}

static inline struct queue_row *fake_copy(const struct queue_row *row)
{
    struct queue_row *copy = queue_row_create();

    *copy = *row;
    copy->source = fake_text(row->source);
    copy->dest = fake_text(row->dest);
    copy->key = fake_text(row->key);
    copy->error_text = fake_text(row->error_text);
    copy->error_path = fake_text(row->error_path);
    copy->stored = fake_text(row->stored);
    copy->list = fake_text(row->list);
    if (!control_strings_copy(&copy->filter, &row->filter))
        abort();
    if (row->groups) {
        copy->groups = calloc((size_t)row->n_groups, sizeof *row->groups);
        memcpy(copy->groups, row->groups, (size_t)row->n_groups * sizeof *row->groups);
    }
    return copy;
}

/* What is recorded of that job, or NULL. */
static inline struct queue_row *fake_row(int64_t id)
{
    return id >= 0 && id < fake_db.size ? fake_db.rows[id] : NULL;
}

static inline void fake_set(int64_t id, struct queue_row *row)
{
    if (id >= fake_db.size) {
        int64_t size = 2 * id + 64;

        fake_db.rows = realloc(fake_db.rows, (size_t)size * sizeof(struct queue_row *));
        if (!fake_db.rows)
            abort();
        memset(fake_db.rows + fake_db.size, 0,
               (size_t)(size - fake_db.size) * sizeof(struct queue_row *));
        fake_db.size = size;
    }
    if (fake_db.rows[id])
        fake_db.counts[fake_db.rows[id]->state]--;
    queue_row_destroy(fake_db.rows[id]);
    fake_db.rows[id] = row;
    if (row)
        fake_db.counts[row->state]++;
    if (row && row->ended >= fake_db.n_ends) {
        fake_db.ends = realloc(fake_db.ends, (size_t)(row->ended + 1) * sizeof *fake_db.ends);
        if (!fake_db.ends)
            abort();
        while (fake_db.n_ends <= row->ended)
            fake_db.ends[fake_db.n_ends++] = 0;
    }
    if (row && row->ended)
        fake_db.ends[row->ended] = id;
}

/* As pruning does. */
static inline void fake_db_remove(int64_t id)
{
    fake_set(id, NULL);
}

static inline void fake_forget_notes(int64_t job)
{
    size_t left = 0;

    for (size_t i = 0; i < fake_db.n_notes; i++) {
        struct fake_note *f = &fake_db.notes[i];

        if (job == 0 || f->job == job) {
            free(f->note.path);
            free(f->note.text);
        } else {
            fake_db.notes[left++] = *f;
        }
    }
    fake_db.n_notes = left;
}

static inline void fake_db_reset(void)
{
    fake_forget_notes(0);
    for (int64_t i = 0; i < fake_db.size; i++)
        queue_row_destroy(fake_db.rows[i]);
    free(fake_db.rows);
    free(fake_db.ends);
    memset(&fake_db, 0, sizeof fake_db);
}

static inline void fake_insert(struct queue_op *op)
{
    const struct queue_row *row = op->row;

    for (int64_t i = 1; row->key && i <= fake_db.last_id; i++) {
        const struct queue_row *old = fake_row(i);

        if (old && old->key && old->owner == row->owner && strcmp(old->key, row->key) == 0) {
            queue_row_destroy(op->row);
            op->row = fake_copy(old);
            op->existing = true;
            return;
        }
    }
    if (op->only_existing) {
        error_set(&op->error, XFER_NO_SUCH_JOB, "no such key");
        return;
    }
    fake_set(row->id, fake_copy(row));
    fake_db.last_id = row->id;
}

static inline void fake_update(struct queue_op *op)
{
    const struct queue_row *row = op->row;

    if (!fake_row(row->id)) {
        error_set(&op->error, XFER_JOB_FORGOTTEN, "not there");
        return;
    }
    if (row->ended > fake_db.last_ended)
        fake_db.last_ended = row->ended;
    fake_set(row->id, fake_copy(row));
    if (fake_db.keep_none && job_state_finished(row->state))
        fake_set(row->id, NULL);
}

static inline int fake_by_end(const void *a, const void *b)
{
    const struct queue_row *x = *(struct queue_row *const *)a, *y = *(struct queue_row *const *)b;

    return x->ended < y->ended ? 1 : -1;
}

/* All finished ones that the operation wants (NULL: all), the last to end first. */
static inline struct queue_row **fake_finished(const struct queue_op *op, size_t *n)
{
    struct queue_row **rows = calloc((size_t)fake_db.last_id + 1, sizeof(struct queue_row *));

    *n = 0;
    for (int64_t i = fake_db.last_id; i > 0; i--) {
        struct queue_row *row = fake_row(i);

        if (row && job_state_finished(row->state) &&
            (!op ||
             ((op->state < 0 || (int)row->state == op->state) &&
              (!op->by_owner || row->owner == op->owner) && (op->before == 0 || i < op->before))))
            rows[(*n)++] = row;
    }
    if (*n > 1 && !(op && op->before))
        qsort(rows, *n, sizeof(struct queue_row *), fake_by_end);
    return rows;
}

static inline void fake_list(struct queue_op *op)
{
    op->rows = fake_finished(op, &op->n);
    if ((int64_t)op->n > op->limit)
        op->n = (size_t)op->limit;
    for (size_t i = 0; i < op->n; i++)
        op->rows[i] = fake_copy(op->rows[i]);
}

static inline struct queue_note fake_note_copy(const struct queue_note *note)
{
    struct queue_note copy = *note;

    copy.path = fake_text(note->path);
    copy.text = strdup(note->text ? note->text : "");
    return copy;
}

static inline void fake_noting(struct queue_op *op)
{
    if (op->clear)
        fake_forget_notes(op->id);
    for (size_t i = 0; i < op->n_notes && fake_db.n_notes < FAKE_NOTES_MAX; i++)
        fake_db.notes[fake_db.n_notes++] =
            (struct fake_note){op->id, fake_note_copy(&op->notes[i])};
}

static inline void fake_reading(struct queue_op *op)
{
    int64_t n[TREE_PLAN + 1] = {0}, all = 0;

    op->notes = calloc(FAKE_NOTES_MAX, sizeof *op->notes);
    for (size_t i = 0; i < fake_db.n_notes; i++) {
        const struct fake_note *f = &fake_db.notes[i];

        if (f->job == op->id && op->kinds[f->note.kind] && f->note.n > op->after &&
            (op->each ? n[f->note.kind]++ : all++) < op->limit)
            op->notes[op->n_notes++] = fake_note_copy(&f->note);
    }
}

static inline void fake_run(struct queue_op *op)
{
    bool fails = fake_db.no_more && (op->kind == QUEUE_DB_INSERT || op->kind == QUEUE_DB_SETTINGS);

    op->error.code = XFER_OK;
    if (fails)
        error_set(&op->error, fake_db.no_more, "the fake has enough");
    else if (op->kind == QUEUE_DB_INSERT)
        fake_insert(op), fake_db.inserts++;
    else if (op->kind == QUEUE_DB_UPDATE)
        fake_update(op), fake_db.updates++;
    else if (op->kind == QUEUE_DB_FETCH)
        op->row = fake_row(op->id) ? fake_copy(fake_row(op->id)) : NULL, fake_db.fetches++;
    else if (op->kind == QUEUE_DB_LIST)
        fake_list(op), fake_db.lists++;
    else if (op->kind == QUEUE_DB_NOTE)
        fake_noting(op), fake_db.notings++;
    else if (op->kind == QUEUE_DB_NOTES)
        fake_reading(op), fake_db.readings++;
    else
        fake_db.paused = op->paused, fake_db.draining = op->draining,
        fake_db.bandwidth_plus_1 = op->bandwidth + 1;
}

/* Carry out, and tell of, the first. */
static inline void fake_db_commit_one(void)
{
    struct queue_db *db = fake_db.open;
    struct queue_op *op = db->head;

    db->head = op->next;
    if (!db->head)
        db->tail = NULL;
    fake_run(op);
    db->pending--;
    op->done(op);
}

/* Carry out, and tell of, what is there now. */
static inline void fake_db_commit(void)
{
    struct queue_db *db = fake_db.open;
    struct queue_op *op = db->head;

    db->head = db->tail = NULL;
    while (op) {
        struct queue_op *next = op->next;

        fake_run(op);
        db->pending--;
        op->done(op);
        op = next;
    }
}

static inline void fake_on_turn(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)w;
    (void)revents;
    if (!fake_db.hold)
        fake_db_commit();
}

static inline int fake_by_position(const void *a, const void *b)
{
    const struct queue_row *x = *(struct queue_row *const *)a, *y = *(struct queue_row *const *)b;

    return x->position < y->position ? -1 : 1;
}

static inline int fake_load(int64_t recent, struct queue_db_state *state,
                            int (*load)(void *user, struct queue_row *row), void *user)
{
    struct queue_row **rows = calloc((size_t)fake_db.last_id + 1, sizeof(struct queue_row *));
    size_t n = 0;
    int rc = 0;

    for (int64_t i = 1; i <= fake_db.last_id; i++)
        if (fake_row(i) && !job_state_finished(fake_row(i)->state))
            rows[n++] = fake_row(i);
    if (n > 1)
        qsort(rows, n, sizeof(struct queue_row *), fake_by_position);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = load(user, fake_copy(rows[i]));
    free(rows);
    rows = fake_finished(NULL, &n);
    for (size_t i = 0; i < n; i++)
        state->counts[rows[i]->state]++;
    for (size_t i = n < (size_t)recent ? n : (size_t)recent; i > 0 && rc == 0; i--)
        rc = load(user, fake_copy(rows[i - 1]));
    free(rows);
    return rc;
}

struct queue_db *queue_db_open(struct ev_loop *loop, const struct queue_db_options *options,
                               int64_t recent, struct queue_db_state *state,
                               int (*load)(void *user, struct queue_row *row), void *user,
                               struct xfer_error *err)
{
    struct queue_db *db = calloc(1, sizeof *db);

    (void)options;
    memset(state, 0, sizeof *state);
    memcpy(state->queue_id, "0123456789abcde", XFER_QUEUE_ID_SIZE);
    state->last_id = fake_db.last_id;
    state->last_ended = fake_db.last_ended;
    state->paused = fake_db.paused;
    state->draining = fake_db.draining;
    state->bandwidth = fake_db.bandwidth_plus_1 - 1;
    if (fake_db.refuse_open || !db || fake_load(recent, state, load, user) < 0) {
        free(db);
        error_set(err, XFER_CONFIG, "the fake does not open");
        return NULL;
    }
    db->loop = loop;
    ev_timer_init(&db->turn, fake_on_turn, 0., 0.);
    fake_db.open = db;
    return db;
}

struct queue_op *queue_db_close(struct queue_db *db, double seconds)
{
    struct queue_op *back;

    (void)seconds;
    if (!db)
        return NULL;
    for (struct queue_op *op = db->head; op; op = op->next)
        fake_run(op);
    back = db->head;
    ev_clear_pending(db->loop, &db->turn);
    fake_db.open = NULL;
    free(db);
    return back;
}

void queue_db_keep(struct queue_db *db, int64_t jobs, double seconds)
{
    (void)db;
    fake_db.keep_jobs = jobs;
    fake_db.keep_seconds = seconds;
}

void queue_db_give(struct queue_db *db, struct queue_op *op)
{
    op->next = NULL;
    if (db->tail)
        db->tail->next = op;
    else
        db->head = op;
    db->tail = op;
    db->pending++;
    if (!ev_is_pending(&db->turn))
        ev_feed_event(db->loop, &db->turn, EV_CUSTOM);
}

int64_t queue_db_counts(struct queue_db *db, int64_t counts[JOB_STATE_COUNT])
{
    (void)db;
    memcpy(counts, fake_db.counts, sizeof fake_db.counts);
    while (fake_db.oldest < fake_db.n_ends &&
           (!fake_row(fake_db.ends[fake_db.oldest]) ||
            fake_row(fake_db.ends[fake_db.oldest])->ended != fake_db.oldest))
        fake_db.oldest++;
    return fake_db.oldest < fake_db.n_ends ? fake_db.oldest : 0;
}

size_t queue_db_pending(const struct queue_db *db)
{
    return db->pending;
}

#endif
