/* SPDX-License-Identifier: MIT
 *
 * Every maximum that xfer enforces, in one place.
 *
 * A length or a number that comes from outside (socket, peer, config file) is compared with one of
 * these before it is used or allocated.
 */
#ifndef XFER_PROTO_LIMITS_H
#define XFER_PROTO_LIMITS_H

#include <stdint.h>

#define XFER_INTEGER_MAX      ((int64_t)1 << 53) /* largest integer that JSON readers keep exactly */
#define XFER_JSON_INTEGER_MAX (XFER_INTEGER_MAX - 1)      /* in JSON: 2^53 may have been 2^53 + 1 */
#define XFER_SECONDS_MAX      (INT64_C(10) * 365 * 86400) /* any duration */

/* names and texts, in bytes, the terminating NUL included */
#define XFER_PATH_SIZE 4096 /* a path: PATH_MAX of Linux */
#define XFER_LONG_PATH_SIZE \
    (2 * XFER_PATH_SIZE)         /* a root and a path beneath it, in what is only told */
#define XFER_NAME_MAX        255 /* one component, without NUL: NAME_MAX of Linux */
#define XFER_HOST_SIZE       256
#define XFER_ERROR_TEXT_SIZE 1024
#define XFER_QUEUE_ID_SIZE   16  /* raw bytes */
#define XFER_DIGEST_SIZE     16  /* XXH3-128, canonical (big endian) form */
#define XFER_KEY_MAX         255 /* bytes of a submission's key */

/* the control socket */
#define XFER_LINE_MAX        (1024 * 1024) /* one request line, without its LF */
#define XFER_NESTING_MAX     64            /* arrays and objects inside each other */
#define XFER_BATCH_MAX       1024          /* requests in one batch */
#define XFER_VALUES_MAX      (128 * 1024)  /* JSON values in one line: bounds what its tree takes */
#define XFER_NUMBER_MAX      63            /* characters of a JSON number */
#define XFER_ID_MAX          256           /* bytes of a request's id where it is a string */
#define XFER_METHOD_NAME_MAX 64            /* bytes of a method's name */
#define XFER_CLIENTS_MAX     2048          /* connections at once */
#define XFER_OUTPUT_HIGH     (256 * 1024) /* unsent reply bytes at which a client is no longer read */
#define XFER_WAITS_MAX       65536        /* replies owed to one client */
#define XFER_WAITS_ALL_MAX   (256 * 1024) /* replies owed to all clients */
#define XFER_WATCHES_MAX     1024         /* jobs that one client subscribes to one by one */
#define XFER_BATCH_REPLY_MAX (4 << 20)    /* bytes of replies; the rest of a batch is refused */
#define XFER_OUTPUT_ALL_MAX \
    (512 << 20) /* unsent bytes of all: those above their mark are cut off */
#define XFER_THROWN_AWAY_MAX     (16 << 20) /* input dropped after a line that was too long */
#define XFER_THROWN_AWAY_SECONDS 5          /* and for how long */
#define XFER_PING_SECONDS        5          /* for the other rank's answer */
#define XFER_LIST_FINISHED       20         /* finished jobs in one transfer.list without a limit */
#define XFER_LIST_BYTES_MAX      (16 << 20) /* of one transfer.list: what doesn't fit is left out */
#define XFER_LIST_MAX            1000       /* jobs in one transfer.list */
#define XFER_REPLY_MAX           (64 * 1024 * 1024) /* one line that xferctl accepts: a list of jobs */
#define XFER_EVENTS_PER_SECOND   5                  /* of one job, to one subscriber */
#define XFER_HANDLES_MAX         8192 /* open files that clients have handed over, at once */
#define XFER_HANDLES_WAITING_MAX 16   /* of one client, whose request is not complete yet */
#define XFER_HANDLE_SECONDS      30   /* after a start: for those that it has lost to come again */
#define XFER_HANDLE_WORKERS      16   /* threads for what they need */

/* the queue */
#define XFER_GROUPS_MAX          1024 /* supplementary groups of a user that are kept with a job */
#define XFER_JOBS_UNFINISHED_MAX 100000
#define XFER_JOBS_FINISHED_MAX   INT64_C(100000000) /* that may be configured to be kept */
#define XFER_JOBS_RECENT         10000 /* finished ones in memory: so far may a reader be behind */
#define XFER_JOBS_LOADED         1000  /* of them, after a start */
#define XFER_JOBS_FETCHED        1000  /* older ones that somebody asked for */
#define XFER_PRIORITY_MAX        100
#define XFER_RETRIES_MAX         1000000

/* the link */
#define XFER_LANES_MAX       64
#define XFER_CHUNK_MIN       (4 * 1024)
#define XFER_CHUNK_MAX       (16 * 1024 * 1024)
#define XFER_RING_CHUNKS     8                  /* chunk buffers of a lane, on either side */
#define XFER_LANE_FILES_MAX  1024               /* files of a lane that await their receipt */
#define XFER_LANE_AHEAD_MAX  32                 /* files opened for a lane */
#define XFER_MESSAGE_MAX     (16 * 1024)        /* any message that is not data */
#define XFER_RING_MEMORY_MAX ((int64_t)1 << 30) /* chunk buffers of all lanes of one rank */
#define XFER_SMALL_FILE \
    (1024 * 1024) /* files up to this size may use the lane that large ones never get */
#define XFER_FILE_SIZE_MAX INT64_MAX
#define XFER_RESUME_MIN \
    (16 * 1024 * 1024) /* files of that size or more leave a partial one that is gone on with */
#define XFER_RESUME_BLOCK     (64 * 1024 * 1024) /* bytes of one digest of it, at least */
#define XFER_OFFER_BLOCKS_MAX 512  /* digests in one offer: larger files have larger blocks */
#define XFER_JOB_LIST_MAX     1024 /* job numbers in one message between the ranks */

/* trees */
#define XFER_ATTRS_MAX        (512 * 1024) /* bytes of all extended attributes of one file */
#define XFER_ATTRS_PIECE      (12 * 1024)  /* of them in one message */
#define XFER_ATTR_NAME_MAX    255          /* of one of them, as Linux has it */
#define XFER_ATTR_VALUE_MAX   (64 * 1024)
#define XFER_ATTRS_LANE_MAX   (16 << 20)  /* of all files of a lane that are unanswered */
#define XFER_MAP_MAX          900         /* pieces of a file with holes in one message */
#define XFER_LOOK_ENTRIES_MAX 128         /* entries of one LOOK */
#define XFER_LOOKS_MAX        8           /* unanswered LOOKs */
#define XFER_FILTER_RULES_MAX 1000        /* include and exclude rules of a job */
#define XFER_FILTER_SIZE      (64 * 1024) /* bytes of them all */
#define XFER_TREES_MAX        8           /* trees that are sent at the same time */
#define XFER_TREE_ENTRIES_MAX 8192        /* entries of a tree in memory, beyond directories */
#define XFER_NOTES_SHOWN      100         /* errors, and warnings, in a job object */
#define XFER_NOTES_MAX        1000000     /* that are kept of a job */
#define XFER_NOTES_PAGE       1000        /* in one transfer.errors */
#define XFER_FILES_LIST_MAX   ((int64_t)4 << 30) /* bytes of a list of files */
#define XFER_FILES_LINE_ITEMS 100000             /* paths in one that comes with its request */
#define XFER_FILES_LINE_MAX   1000000            /* bytes of these */

/* settings, and hooks */
#define XFER_KEY_NAMES_SIZE    2048 /* bytes of the names of all keys, with ", " between them */
#define XFER_SETTINGS_MAX      (256 * 1024) /* bytes of all settings that can change live */
#define XFER_HOOK_INPUT_MAX    (256 * 1024) /* bytes of a job object that is given to a hook */
#define XFER_HOOKS_RUNNING_MAX 4            /* at once */
#define XFER_HOOKS_WAITING_MAX 1000         /* ends of jobs that wait for their hook */

/* the workers */
#define XFER_WORKERS_MAX 64

#endif
