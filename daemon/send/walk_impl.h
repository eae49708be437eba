/* SPDX-License-Identifier: MIT
 *
 * What walk.c (the loop's side) and the worker's side share: walk_read.c (pieces of work, and
 * directories), walk_look.c (one entry), walk_list.c (the list of what is to be sent) and
 * walk_tell.c.
 */
#ifndef XFER_DAEMON_SEND_WALK_IMPL_H
#define XFER_DAEMON_SEND_WALK_IMPL_H

#include "daemon/send/walk.h"
#include "proto/limits.h"

/* What an entry counts among those that may wait. */
#define WALK_WEIGHT_ENTER 4
#define WALK_WEIGHT_ERROR 8
#define WALK_WEIGHT_BYTES 4096 /* of attributes: one more */
unsigned walk_weight(const struct walk_entry *entry);

/* A directory that has not been left. */
struct walk_level {
    struct walk_level *above;
    struct walk_dir *dir;
    enum {
        LEVEL_READS,  /* what is in it is told */
        LEVEL_PASSES, /* what the list names in it is */
        LEVEL_LEAVES  /* nothing (more) is */
    } state;
    unsigned depth;
    char *buffer; /* of its entries, as the kernel gives them; NULL at first */
    size_t at, filled, size;
};

struct walk_list {
    int fd; /* -1: none */
    char *buffer;
    size_t at, filled;
    int64_t read;
    char path[XFER_PATH_SIZE]; /* the one that is gone to; or the beginning of the next */
    size_t len;
    bool too_long;
};

struct walk {
    /* the loop's */
    struct strand *strand;
    struct work work;
    void (*ready)(void *user);
    void *user;
    unsigned want, waiting; /* by weight */
    struct walk_entry *first, *last;
    bool working, ended, gone;

    /* never change */
    char *source;
    size_t source_len; /* without '/' at its end */
    struct source_policy *policy;
    struct identity *who;
    struct filter *filter; /* shared */
    bool one_file_system, hash_files;
    uint32_t preserve;
    char *list_path;
    char *dest;
    size_t path_max;

    atomic_bool stop; /* it is destroyed: no need to go on */

    /* the worker's, and between two pieces of work the loop's */
    unsigned room; /* by weight; what is told takes from it */
    struct walk_entry *told_first, *told_last;
    bool begun, over;
    struct walk_level *level;         /* the innermost */
    char inside[XFER_LONG_PATH_SIZE]; /* where that lies in the tree; "": it does not */
    dev_t good_device;                /* of files, in which they are files */
    bool good_device_known;
    struct walk_list list;
    bool going;               /* list.path is gone to */
    struct walk_entry *spare; /* with an error: for when there is no memory */
    struct xfer_error err;
    char path[XFER_LONG_PATH_SIZE];                   /* relative to the top */
    char whole[XFER_LONG_PATH_SIZE + XFER_PATH_SIZE]; /* for messages */
};

/* walk_read.c */
void walk_read(struct walk *walk);      /* a piece of work */
void walk_leave_all(struct walk *walk); /* closes, tells nothing */
/* dir is entered, and from now on the innermost; takes the reference. */
void walk_push(struct walk *walk, struct walk_dir *dir, int state);

/* walk_look.c */
enum walk_way {
    WALK_BENEATH, /* found in a directory that is read */
    WALK_LISTED,  /* named by the list */
    WALK_PASSAGE  /* above something that is */
};

struct walk_found {
    struct walk_dir *dir; /* in which it is */
    const char *name;
    const char *told; /* as what of dir errors name it */
    enum walk_way way;
    struct stat st;
};
/* Tells what there is to tell of it, and enters it. type: as the directory says, or DT_UNKNOWN. */
void walk_look(struct walk *walk, struct walk_found *found, unsigned char type);
/* Takes fd. NULL: no memory. */
struct walk_dir *walk_make_dir(struct walk_dir *parent, int fd, const struct stat *st,
                               const char *path);

/* walk_tell.c. NULL: there was no memory, and the walk is over. */
struct walk_entry *walk_tell(struct walk *walk, enum walk_event event, struct walk_dir *dir,
                             const char *name, const struct stat *st);
/* What was told has these attributes (fd: of it, O_PATH is enough; -1: it is called name in
 * dir). */
void walk_tell_attrs(struct walk *walk, struct walk_entry *entry, int fd);
/* walk->err is of name in dir. */
void walk_tell_error(struct walk *walk, struct walk_dir *dir, const char *name);
/* walk->err: nothing (more) can be read. */
void walk_tell_end(struct walk *walk);
/* Nothing else can be told any more, and this must be. */
void walk_tell_no_memory(struct walk *walk);
/* That is wrong with walk->whole, which is name in dir. */
void walk_fail(struct walk *walk, struct walk_dir *dir, const char *name, int errnum);
void walk_refuse(struct walk *walk, struct walk_dir *dir, const char *name, enum xfer_code code,
                 const char *why);

/* walk_list.c */
int walk_list_open(struct walk *walk, struct xfer_error *err);
void walk_list_close(struct walk *walk);
/* The next path, into list.path: without what means nothing; "" is the top. 1; 0: there is none;
 * 2: call again; -1: walk->err is about list.path. */
int walk_list_next(struct walk *walk);

#endif
