/* SPDX-License-Identifier: MIT
 *
 * What a tree tells (tree_impl.h): counters, notes, and how each entry ends.
 *
 * What has been counted as done stays so. What will not be done is taken from the totals, so that
 * done and total meet in the end, however it ends.
 */
#include <string.h>

#include "daemon/send/tree_impl.h"

#define TELL_AFTER 0.02 /* seconds: thousands of small files a second are told of together */

/* ---- counters ---- */

void tree_moved(struct tree *t)
{
    if (ev_is_active(&t->telling))
        return;
    ev_timer_set(&t->telling, TELL_AFTER, 0.);
    ev_timer_start(t->sender->loop, &t->telling);
}

void tree_count(struct tree *t, struct tree_entry *e)
{
    e->counted = true;
    t->progress.files_total++;
    tree_moved(t);
}

void tree_count_bytes(struct tree *t, struct tree_entry *e, int64_t bytes)
{
    t->progress.bytes_total += bytes - e->bytes;
    e->bytes = bytes;
}

void tree_count_progress(struct tree *t, struct tree_entry *e, int64_t done, int64_t resumed)
{
    t->progress.bytes_done += done - e->done;
    t->progress.bytes_resumed += resumed - e->resumed;
    e->done = done;
    e->resumed = resumed;
    tree_moved(t);
}

void tree_fill_progress(const struct tree *t, struct tree_progress *progress)
{
    *progress = t->progress;
    progress->walking = t->walk && !walk_ended(t->walk);
    if (t->paused)
        progress->phase = SEND_WAITING;
    else if (t->n_ahead > 0)
        progress->phase = SEND_SENDING;
    else if (t->n_flights > 0)
        progress->phase = SEND_STORING;
    else if (t->looks.unanswered > 0)
        progress->phase = SEND_ASKING;
    else
        progress->phase = SEND_OPENING;
}

/* ---- notes ---- */

static void tell(struct tree *t, const struct tree_note *note)
{
    if (!t->events->note(t->user, note))
        t->paused = true;
}

void tree_warn(struct tree *t, const char *path, const struct xfer_error *why)
{
    struct tree_note note = {.kind = TREE_WARNING, .path = path, .error = why};

    tell(t, &note);
}

/* It goes without something. */
void tree_warn_unsent(struct tree *t, const struct tree_entry *e, const char *text)
{
    const char *path = tree_path_of(t, e);
    struct xfer_error err = XFER_ERROR_INIT;

    error_set(&err, XFER_PERMISSION_DENIED, "%s", text);
    error_about(&err, XFER_SIDE_SENDER, path);
    tree_warn(t, path, &err);
}

void tree_plan(struct tree *t, const struct tree_entry *e, enum tree_action action)
{
    struct tree_note note = {
        .kind = TREE_PLAN,
        .path = tree_path_of(t, e),
        .action = action,
        .type = e->self           ? 'd'
                : e->is_link_kind ? 'l'
                                  : 'f',
        .size = e->self || e->is_link_kind ? 0 : (int64_t)e->st.st_size,
    };

    tell(t, &note);
}

const char *tree_action_name(enum tree_action action)
{
    static const char *const names[] = {[TREE_SEND] = "send",
                                        [TREE_REPLACE] = "replace",
                                        [TREE_MAKE] = "make",
                                        [TREE_SET] = "set",
                                        [TREE_KEEP] = "keep"};

    return names[action];
}

static void note_error(struct tree *t, const char *path, const struct xfer_error *why)
{
    struct tree_note note = {.kind = TREE_ERROR, .path = path, .error = why};

    if (!t->first)
        t->first = kept_error_make(why);
    if (error_info(why->code)->retryable)
        t->retryable = true;
    t->progress.files_failed++;
    tree_moved(t);
    tell(t, &note);
}

void tree_fail_path(struct tree *t, const char *path, const struct xfer_error *why)
{
    t->progress.files_total++;
    note_error(t, path, why);
}

/* ---- ends ---- */

static void is_over(struct tree *t, struct tree_entry *e)
{
    struct tree_dir *dir = e->dir;
    bool begun = e->begun || e->self;

    tree_free_entry(e);
    if (dir && !begun)
        tree_dir_begun_one(t, dir);
    if (dir)
        tree_dir_ended_one(t, dir);
    tree_kick(t);
}

void tree_end(struct tree *t, struct tree_entry *e, enum tree_end end)
{
    switch (end) {
    case TREE_END_STORED:
        tree_count_progress(t, e, e->bytes, e->resumed);
        t->progress.files_done += e->counted;
        break;
    case TREE_END_SKIPPED:
        if (t->dry_run)
            tree_count_bytes(t, e, 0);
        tree_count_progress(t, e, e->bytes, e->resumed + e->bytes - e->done);
        t->progress.files_skipped += e->counted;
        break;
    case TREE_END_PLANNED:
        t->progress.files_done += e->counted;
        tree_moved(t);
        break;
    case TREE_END_DROPPED:
        tree_count_bytes(t, e, e->done);
        t->progress.files_total -= e->counted;
        tree_moved(t);
        break;
    }
    if (e->link)
        tree_links_end(t, e, end == TREE_END_STORED);
    is_over(t, e);
}

void tree_fail(struct tree *t, struct tree_entry *e, const struct xfer_error *why)
{
    tree_count_bytes(t, e, e->done);
    t->progress.files_total += !e->counted;
    note_error(t, tree_path_of(t, e), why);
    if (e->link)
        tree_links_end(t, e, false);
    is_over(t, e);
}
