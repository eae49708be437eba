/* SPDX-License-Identifier: MIT
 *
 * Trees that send nothing: stands in for daemon/send/tree.c in a test program, beside the fake
 * sender. They begin when told to and end when the test says so.
 */
#ifndef XFER_TESTS_UNIT_FAKE_TREE_H
#define XFER_TESTS_UNIT_FAKE_TREE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/send/tree.h"

struct tree {
    struct tree *next;
    uint64_t job;
    struct tree_request request; /* its texts were the job's */
    const struct tree_events *events;
    void *user;
    struct xfer_error why; /* of the cancel; code XFER_OK: none */
    bool keep;
    bool throttled;
    int went_on; /* so often */
};

static struct fake_trees {
    struct tree *all;
    int started;
    bool broken; /* tree_start() fails */
} fake_trees;

const char *tree_action_name(enum tree_action action)
{
    static const char *const names[] = {"send", "replace", "make", "set", "keep"};

    return names[action];
}

struct tree *tree_start(struct sender *s, const struct tree_request *request,
                        const struct tree_events *events, void *user, struct xfer_error *err)
{
    (void)s;
    if (fake_trees.broken) {
        error_set(err, XFER_NO_RESOURCES, "the fake is broken");
        return NULL;
    }
    struct tree *tree = calloc(1, sizeof *tree);
    if (!tree)
        abort();
    tree->job = request->file.job;
    tree->request = *request;
    tree->events = events;
    tree->user = user;
    tree->next = fake_trees.all;
    fake_trees.all = tree;
    fake_trees.started++;
    return tree;
}

void tree_cancel(struct tree *tree, const struct xfer_error *why, bool keep)
{
    tree->why = *why;
    tree->keep = keep;
}

void tree_go_on(struct tree *tree)
{
    tree->went_on++;
}

bool tree_is_throttled(const struct tree *tree)
{
    return tree->throttled;
}

static inline struct tree *fake_tree(uint64_t job)
{
    struct tree *tree = fake_trees.all;

    while (tree && tree->job != job)
        tree = tree->next;
    return tree;
}

static inline void fake_tree_progress(uint64_t job, const struct tree_progress *progress)
{
    struct tree *tree = fake_tree(job);

    tree->events->progress(tree->user, progress);
}

static inline bool fake_tree_note(uint64_t job, enum tree_note_kind kind, const char *path,
                                  enum xfer_code code, const char *text)
{
    struct tree *tree = fake_tree(job);
    struct xfer_error err = XFER_ERROR_INIT;
    struct tree_note note = {
        .kind = kind, .path = path, .error = &err, .action = TREE_REPLACE, .type = 'f', .size = 7};

    error_set(&err, code, "%s", text);
    error_about(&err, XFER_SIDE_SENDER, path);
    return tree->events->note(tree->user, &note);
}

/* It ends so; or if it was cancelled and there is no other error: with the reason of that. */
static inline void fake_tree_end(uint64_t job, struct tree_result result)
{
    struct tree **at = &fake_trees.all;

    while ((*at)->job != job)
        at = &(*at)->next;
    struct tree *tree = *at;
    *at = tree->next;
    if (result.error.code == XFER_OK && tree->why.code != XFER_OK)
        result.error = tree->why;
    tree->events->done(tree->user, &result);
    free(tree);
}

static inline void fake_drop_trees(void)
{
    while (fake_trees.all) {
        struct tree *tree = fake_trees.all;

        fake_trees.all = tree->next;
        free(tree);
    }
    memset(&fake_trees, 0, sizeof fake_trees);
}

#endif
