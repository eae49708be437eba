/* SPDX-License-Identifier: MIT
 *
 * One attempt to send a tree, or a file of which must be asked first whether it is to be sent: the
 * walk (walk.h), what the receiver has already (LOOK), and one send (sender.h) for each entry that
 * goes. Runs on the sending rank, on the loop's thread; jobs are the business of control/.
 *
 * A directory is made (by a LOOK) before anything in it is sent, and gets its mode and times (by a
 * META of its own) when all that is in it is there. An entry that fails is told and left; the rest
 * goes on.
 */
#ifndef XFER_DAEMON_SEND_TREE_H
#define XFER_DAEMON_SEND_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/send/sender.h"
#include "proto/filter.h"

struct tree;

struct tree_request {
    struct send_request file;    /* of the whole: source, dest, and what holds for all; copied */
    const struct filter *filter; /* borrowed until done(); NULL: everything */
    const char *list;            /* see walk.h; copied; NULL: none */
    bool dry_run;                /* change nothing, tell what would be done */
    bool checksum;               /* OVERWRITE_CHANGED: by content, not by time */
    bool one_file_system;
};

struct tree_progress {
    bool walking; /* the totals still grow */
    enum send_phase phase;
    int64_t bytes_done, bytes_total, bytes_resumed;
    /* Of all that is no directory; and of directories, those that failed. total is the sum of the
     * other three when all is over. */
    int64_t files_total, files_done, files_failed, files_skipped;
};

enum tree_note_kind {
    TREE_ERROR,   /* of an entry that was not sent: counted in files_failed */
    TREE_WARNING, /* of one that was sent, or that nothing is ever sent of */
    TREE_PLAN     /* of a dry run */
};
enum tree_action { TREE_SEND, TREE_REPLACE, TREE_MAKE, TREE_SET, TREE_KEEP };
/* "send", "replace" (another is there), "make" (a directory), "set" (only mode and the like),
 * "keep" (nothing is to be done) */
const char *tree_action_name(enum tree_action action);

struct tree_note {
    enum tree_note_kind kind;
    const char *path;               /* relative to the source; "" the source itself */
    const struct xfer_error *error; /* of errors and warnings */
    enum tree_action action;        /* of plans: */
    char type;                      /* 'f', 'd', 'l' */
    int64_t size;
};

struct tree_result {
    struct xfer_error error; /* XFER_OK: all was stored; XFER_INCOMPLETE: all but files_failed
                                entries; else why it ended early */
    bool retryable;          /* XFER_INCOMPLETE: of some of these another attempt may help */
    struct tree_progress progress;
    bool single; /* the source is a regular file, and it was sent: */
    unsigned char digest[XFER_DIGEST_SIZE];
    char stored[XFER_PATH_SIZE]; /* of the top, as in struct send_result */
};

struct tree_events {
    /* Something moved. */
    void (*progress)(void *user, const struct tree_progress *progress);
    /* false: take no more for now, until tree_go_on() */
    bool (*note)(void *user, const struct tree_note *note);
    /* The end, exactly once, never from inside tree_start() or tree_cancel(). struct tree is gone
     * afterwards. */
    void (*done)(void *user, const struct tree_result *result);
};

/* NULL: no room or no memory. */
struct tree *tree_start(struct sender *s, const struct tree_request *request,
                        const struct tree_events *events, void *user, struct xfer_error *err);
/* Stop early: done() follows with that code and text when all that is under way has ended. */
void tree_cancel(struct tree *tree, const struct xfer_error *why, bool keep);
void tree_go_on(struct tree *tree);
/* As sender_is_throttled(): no progress is no fault now. */
bool tree_is_throttled(const struct tree *tree);

#endif
