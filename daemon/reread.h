/* SPDX-License-Identifier: MIT
 *
 * The configuration read again while the daemon runs: by the supervisor, or where there is none by
 * rank 0. Reading, and looking up names, happens on a worker; the rest on the loop's thread.
 */
#ifndef XFER_DAEMON_REREAD_H
#define XFER_DAEMON_REREAD_H

#include <stdbool.h>
#include <ev.h>

#include "daemon/conf.h"
#include "daemon/work/pool.h"
#include "proto/error.h"

/* The settings as they would be at a start now. Runs on a worker, one at a time. */
typedef int reread_function(void *user, struct conf *conf, struct xfer_error *err);

/* Keys whose value in the file is another than that in effect: names as in "link.lanes", separated
 * by ", ". */
struct reread_changes {
    char live[XFER_KEY_NAMES_SIZE];    /* they can change now */
    char restart[XFER_KEY_NAMES_SIZE]; /* they count at the next start */
};
void reread_compare(const struct conf *running, const struct conf *fresh,
                    struct reread_changes *changes);

struct reread;

struct reread_options {
    struct ev_loop *loop;
    struct pool *pool;    /* NULL: a worker of its own, from the first time on */
    struct conf *running; /* what is in effect; what is live in it changes before done() */
    reread_function *read;
    void *read_user;
    /* Read, compared, taken over and told in the log; or nothing of it, and why. */
    void (*done)(void *user, const struct reread_changes *changes, const struct xfer_error *why);
    void *user;
};

struct reread *reread_create(const struct reread_options *options, struct xfer_error *err);
/* NULL is fine. What hangs in a reading is left behind: the process is about to end then. */
void reread_destroy(struct reread *r);

/* Begin; done() follows, never from within. Not while one is under way. */
int reread_start(struct reread *r, struct xfer_error *err);
bool reread_is_busy(const struct reread *r);

#endif
