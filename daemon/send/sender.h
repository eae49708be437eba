/* SPDX-License-Identifier: MIT
 *
 * Sends files: from a path on this machine over a lane to the receiving rank, up to its receipt.
 * Runs on the sending rank, on the loop's thread; opening and reading go to workers. One struct
 * send is one file; jobs are the business of control/.
 */
#ifndef XFER_DAEMON_SEND_SENDER_H
#define XFER_DAEMON_SEND_SENDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <ev.h>

#include "daemon/link/link.h"
#include "daemon/work/pool.h"
#include "proto/control_method.h"
#include "proto/error.h"
#include "proto/wire.h"

struct attrs;
struct bucket;
struct sender;
struct send;
struct walk_dir;

enum send_phase {
    SEND_OPENING,
    SEND_WAITING,   /* for a lane */
    SEND_VERIFYING, /* what the receiver holds of an earlier attempt is compared */
    SEND_SENDING,
    SEND_STORING,
    SEND_ASKING /* between waiting and verifying: the receiver looks what it holds. It reads all of
                   that, and nothing is heard until it has: no progress is no fault */
};
/* "opening", "waiting", "verifying" (SEND_ASKING too), "sending", "storing" */
const char *send_phase_name(enum send_phase phase);

struct send_request {
    uint64_t job, file;
    const char *source; /* absolute path; copied */
    const char *dest;   /* relpath normal form; copied */
    enum overwrite_mode overwrite;
    enum sync_mode sync;
    int64_t bandwidth; /* bytes a second, 0: as fast as it goes */
    bool again;  /* an earlier attempt, perhaps of a former generation, may have left something */
    bool handle; /* the source was handed over as an open file, of this inode: */
    uint64_t handle_dev, handle_ino;
    int handle_fd; /* copied; -1: it is lost, and the path may lead to the same file */
    uid_t uid;     /* whose file it is to be, with */
    gid_t gid;
    const gid_t *groups; /* n_groups, copied */
    int n_groups;
    bool as_owner;     /* and with whose rights it is read */
    uint32_t preserve; /* of enum preserve */

    /* An entry of a tree; else kind is WIRE_KIND_FILE and dir NULL. */
    bool tree;
    enum wire_kind kind;
    struct walk_dir *dir;  /* a file is opened in it, by name, without following links; shared */
    const char *name;      /* source then only names it to people; copied */
    const struct stat *st; /* as the walk saw it: mode, owner and times of what is no file, inode of
                              a file; copied */
    const char *target;    /* of a symbolic or a hard link; copied */
    struct attrs *attrs;   /* of a directory or a symbolic link; taken over by sender_start() that
                              succeeds. NULL: none */
    struct bucket *rate;   /* of the whole job (bandwidth counts not); borrowed; NULL: none */
    bool compare; /* what is there may have the same content: then it is not sent, however small */
};

struct send_result {
    struct xfer_error error; /* code XFER_OK: stored under its final name, digests agree */
    uint64_t size;           /* of the whole file */
    uint64_t resumed;        /* of it, bytes that were there already and were not sent again */
    unsigned char digest[XFER_DIGEST_SIZE];
    char stored[XFER_PATH_SIZE];        /* under which name beneath the root; "": under dest */
    bool unchanged;                     /* it was there like that already */
    char warning[XFER_ERROR_TEXT_SIZE]; /* what could not be preserved, and why; "": nothing */
    const char *unsent; /* why attributes could not be read, and did not go; NULL: they could */
};

struct send_progress {
    enum send_phase phase;
    int64_t bytes_done;    /* resumed ones included */
    int64_t bytes_total;   /* -1 while it is not known */
    int64_t bytes_resumed; /* there already */
};

struct send_events {
    /* Phase or counters changed; at most once a chunk. While verifying: a piece has been compared,
     * which changes none of them but is a sign of life. */
    void (*progress)(void *user, const struct send_progress *progress);
    /* The end, exactly once, never from inside sender_start() or sender_cancel(). struct send is
     * gone afterwards. */
    void (*done)(void *user, const struct send_result *result);
};

struct sender *sender_create(struct ev_loop *loop, struct link *link, struct pool *pool,
                             struct xfer_error *err);
/* What may be sent from now on; borrowed. NULL, as at first: everything. */
struct source_policy;
void sender_set_policy(struct sender *s, struct source_policy *policy);
/* Only when sender_active() is 0 or the link is gone: unfinished sends are dropped without done().
 * NULL is fine. */
void sender_destroy(struct sender *s);

/* Bytes a second of all files together, and the largest size of one; 0: none. At any time: the rate
 * counts at once, the size for what is opened from now on. */
void sender_set_limits(struct sender *s, int64_t bandwidth, int64_t file_size);

/* How many more files may be started now (bounds what is opened ahead; what waits for its receipt
 * does not count). Another makes room when all of it has left. */
unsigned sender_room(const struct sender *s);
unsigned sender_active(const struct sender *s);

/* Begin a file. NULL: no room or no memory. One of a tree may be opened only with those that follow
 * it, or with sender_go(). progress() may be called from inside. */
struct send *sender_start(struct sender *s, const struct send_request *request,
                          const struct send_events *events, void *user, struct xfer_error *err);

void sender_go(struct sender *s);

/* What the receiver holds back of the files that have left (sync=batch), it is to commit now. */
void sender_flush(struct sender *s);

/* The receiver's answer to a LOOK. */
void sender_looked(struct sender *s, const struct wire_looked *answer);

/* Stop early: done() follows with that code and text, unless the file was already told to be
 * stored, in which case its true result follows. keep: another attempt may go on with what the
 * receiver has got. A second call changes nothing. */
void sender_cancel(struct send *send, const struct xfer_error *why, bool keep);

/* It has bytes to send and waits until its rate, or that of all, lets them go: no progress is no
 * fault then. */
bool sender_is_throttled(const struct send *send);

#endif
