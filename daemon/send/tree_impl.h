/* SPDX-License-Identifier: MIT
 *
 * What the parts of a tree's attempt share: tree.c (its life), tree_take.c (what the walk finds),
 * tree_look.c (what the receiver has of it), tree_links.c (names of one inode), tree_send.c (what
 * is sent) and tree_count.c (what is told). All on the loop's thread.
 *
 * The way of an entry: taken from the walk; held until its directory is there; looked at, where
 * that is needed; as one more name of an inode it waits until the first is stored; ready; under
 * way; over. A directory is an entry of the one above it, up to its own LOOK, and again when all
 * that is in it is over.
 */
#ifndef XFER_DAEMON_SEND_TREE_IMPL_H
#define XFER_DAEMON_SEND_TREE_IMPL_H

#include <ev.h>
#include <stddef.h>

#include "daemon/send/sender_impl.h"
#include "daemon/send/shaper.h"
#include "daemon/send/tree.h"
#include "daemon/send/walk.h"

struct tree_links;
struct tree_link;

struct tree_entry {
    struct tree_entry *next;                      /* in a list, see below */
    struct tree_entry *flight_prev, *flight_next; /* of those under way */
    struct tree *tree;
    struct tree_dir *dir;   /* in which it lies; NULL: a directory whose META has begun */
    struct tree_dir *self;  /* of a directory */
    struct send *send;      /* under way */
    struct tree_link *link; /* of a file with other names; else NULL */
    enum wire_kind kind;
    bool is_link_kind;     /* a symbolic link, also where it goes as another name */
    bool counted;          /* in files_total */
    bool begun;            /* it needs its directory no more to be opened */
    bool compare;          /* the receiver can't tell whether it is the same */
    bool ahead;            /* not all of it has left */
    int64_t bytes;         /* of it in bytes_total */
    int64_t done, resumed; /* of these in bytes_done, bytes_resumed */
    struct stat st;
    char *target;        /* of a symbolic link */
    struct attrs *attrs; /* of all but files, until it is sent */
    uint64_t hash;       /* of a file's */
    char name[];         /* "" with the source itself */
};

struct tree_list {
    struct tree_entry *first, *last;
};

struct tree_dir {
    struct tree_dir *prev, *next; /* all of the tree */
    struct tree_dir *queue_next;  /* of those with something to look at, or to be dropped */
    struct tree_dir *parent;      /* NULL: it is the one above the tree */
    struct tree_entry *entry;     /* it, in that */
    struct walk_dir *walk_dir;    /* until the walk has left it and all in it has begun */
    bool there;                   /* it has been made, or was there */
    bool fresh;                   /* it was made, and is empty */
    bool left;                    /* by the walk */
    bool asking;                  /* it is in the queue */
    unsigned pending;   /* entries in it that are not over; directories, whose META has not begun */
    unsigned unstarted; /* of these, those that are still to be opened */
    struct tree_list held; /* not there: all that is in it so far */
    struct tree_list look; /* to be looked at */
    char path[];           /* relative to the top: "" or "a/b" */
};

struct tree {
    struct sender *sender;
    struct sender_tree room; /* embedded: the sender tells of room */
    struct looks_client looks;
    const struct tree_events *events;
    void *user;

    /* what is asked for */
    struct send_request request; /* strings and groups are the tree's own */
    char *list;
    const struct filter *filter;
    bool dry_run, checksum, one_file_system;
    bool look_at_files; /* of directories that were there */
    struct bucket rate;

    /* where the source was handed over as an open file: what that is */
    struct strand *strand;
    struct work work;
    struct stat handle_st;
    uint64_t handle_hash; /* of its attributes */
    int handle_errno;

    /* what there is of it */
    struct walk *walk;
    struct walk_entry *early; /* found, and taken when what is in its way is over */
    struct tree_dir *dirs;    /* all */
    struct tree_dir *above;   /* in which the source is an entry */
    struct tree_dir *asking, *asking_last;
    struct tree_list ready;     /* to be sent */
    struct tree_entry *flights; /* under way */
    struct tree_links *links;   /* NULL: they are not preserved */
    unsigned n_entries;         /* all in memory */
    unsigned n_path;            /* of these, directories that the walk is in */
    unsigned n_flights, n_ahead;
    unsigned n_left_open; /* directories that the walk has left, and that are open */
    size_t attrs_bytes;   /* of all entries */

    /* the state of it */
    ev_prepare prepare; /* the pump is to run, and */
    ev_idle idle;       /* without delay */
    ev_timer telling;   /* progress is to be told */
    bool kicked;        /* it is to run (again) */
    bool paused;        /* by note() */
    bool single;        /* the source is a file */
    bool starting;      /* a worker is at the handle */
    bool stopping;
    struct kept_error *why;   /* of stopping */
    struct kept_error *first; /* error of an entry */
    bool retryable;
    struct tree_progress progress;
    bool top_is_there; /* the source itself has been stored: */
    unsigned char digest[XFER_DIGEST_SIZE];
    char stored[XFER_PATH_SIZE];
    char source[XFER_LONG_PATH_SIZE];
    char path[XFER_LONG_PATH_SIZE], dest[XFER_LONG_PATH_SIZE]; /* of whatever is at hand */
};

static inline struct tree *tree_of_looks(struct looks_client *client)
{
    return (struct tree *)((char *)client - offsetof(struct tree, looks));
}

static inline void tree_list_put(struct tree_list *list, struct tree_entry *e)
{
    e->next = NULL;
    if (list->last)
        list->last->next = e;
    else
        list->first = e;
    list->last = e;
}

static inline struct tree_entry *tree_list_take(struct tree_list *list)
{
    struct tree_entry *e = list->first;

    if (e) {
        list->first = e->next;
        if (!list->first)
            list->last = NULL;
    }
    return e;
}

/* tree.c */
void tree_kick(struct tree *t); /* look what can be done, soon */
/* No more is begun, all that is under way is cancelled, for this reason. */
void tree_stop(struct tree *t, const struct xfer_error *why, bool keep);
void tree_free_entry(struct tree_entry *e);          /* one in no list; tells nobody */
struct attrs *tree_give_attrs(struct tree_entry *e); /* the caller's from now on */
/* "a/b", or the one that is not empty. */
const char *tree_join(char out[XFER_LONG_PATH_SIZE], const char *above, const char *below);
/* Where it is to go; relative to the source. Both last until the next such call. */
const char *tree_dest_of(struct tree *t, const struct tree_entry *e);
const char *tree_path_of(struct tree *t, const struct tree_entry *e);

/* tree_take.c */
/* Take from the walk what there is room for. */
void tree_take(struct tree *t);
bool tree_is_full(const struct tree *t); /* nothing is taken until something is over */
/* The source is a file. st NULL: nothing is known of it, and nothing is to be asked about it. */
void tree_take_single(struct tree *t, const struct stat *st, uint64_t hash);
/* It has the attributes of what was found, where there is room for them. */
void tree_take_attrs(struct tree *t, struct tree_entry *e, struct walk_entry *found);
/* In that directory; in no list. NULL: no memory, and the tree is stopped. */
struct tree_entry *tree_entry_create(struct tree *t, struct tree_dir *dir, const char *name,
                                     const struct stat *st);
/* May the receiver have such a name? XFER_INVALID_DESTINATION */
int tree_check_name(struct tree *t, const struct tree_entry *e, struct xfer_error *err);

/* tree_dir.c */
struct tree_dir *tree_dir_create(struct tree *t, struct tree_dir *parent, const char *path);
void tree_dir_free(struct tree *t, struct tree_dir *dir);
void tree_dir_entered(struct tree *t, struct walk_entry *found);
void tree_dir_left(struct tree *t, struct tree_dir *dir);
/* Its LOOK was answered; or it can't be there, and so nothing of it. */
void tree_dir_there(struct tree *t, struct tree_dir *dir, bool fresh);
void tree_dir_failed(struct tree *t, struct tree_dir *dir, const struct xfer_error *why);
void tree_dir_begun_one(struct tree *t, struct tree_dir *dir);
void tree_dir_ended_one(struct tree *t, struct tree_dir *dir);
/* Its META has begun. */
void tree_dir_begun(struct tree *t, struct tree_dir *dir);

/* tree_look.c */
void tree_looks_init(struct looks_client *client);
/* Its directory is there: look at it, or send it. */
void tree_route(struct tree *t, struct tree_entry *e);

/* tree_links.c */
struct tree_links *tree_links_create(struct xfer_error *err);
void tree_links_free(struct tree_links *links); /* NULL is fine */
/* Sets link, where it has other names that count. -1: no memory. */
int tree_links_add(struct tree *t, struct tree_entry *e, struct xfer_error *err);
bool tree_links_is_other(const struct tree_entry *e); /* a name of it was seen before */
/* Is another name of it to be sent, or there? */
bool tree_links_has_first(const struct tree_entry *e);
/* It is to be sent: as itself, or as another name (sets kind and target). False: once another is
 * stored tree_ready() is called for it. */
bool tree_links_begin(struct tree *t, struct tree_entry *e);
const char *tree_links_target(const struct tree_entry *e); /* of another name */
/* It is there as it is to be, and needs not be sent. */
void tree_links_is_there(struct tree *t, struct tree_entry *e);
/* It is over. */
void tree_links_end(struct tree *t, struct tree_entry *e, bool stored);

/* tree_send.c */
void tree_ready(struct tree *t, struct tree_entry *e); /* it is to be sent */
void tree_start_ready(struct tree *t);

/* tree_count.c */
enum tree_end { TREE_END_STORED, TREE_END_SKIPPED, TREE_END_PLANNED, TREE_END_DROPPED };
void tree_count(struct tree *t, struct tree_entry *e);
void tree_count_bytes(struct tree *t, struct tree_entry *e, int64_t bytes);
void tree_count_progress(struct tree *t, struct tree_entry *e, int64_t done, int64_t resumed);
/* It is over like that: counts it, tells whom it concerns, and frees it. */
void tree_end(struct tree *t, struct tree_entry *e, enum tree_end end);
void tree_fail(struct tree *t, struct tree_entry *e, const struct xfer_error *why);
/* What the walk could not read: why is about path. */
void tree_fail_path(struct tree *t, const char *path, const struct xfer_error *why);
void tree_warn(struct tree *t, const char *path, const struct xfer_error *why);
void tree_warn_unsent(struct tree *t, const struct tree_entry *e, const char *text);
void tree_plan(struct tree *t, const struct tree_entry *e, enum tree_action action);
void tree_moved(struct tree *t); /* progress is to be told, soon */
void tree_fill_progress(const struct tree *t, struct tree_progress *progress);

#endif
