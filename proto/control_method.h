/* SPDX-License-Identifier: MIT
 *
 * The methods of the control socket and their parameters, as one table. Decoding, dispatch and
 * introspection (system.list_methods, system.describe) all read this table, so none of them can
 * disagree.
 */
#ifndef XFER_PROTO_CONTROL_METHOD_H
#define XFER_PROTO_CONTROL_METHOD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/error.h"
#include "proto/limits.h"

enum method_id {
    METHOD_SYSTEM_HELLO,
    METHOD_SYSTEM_LIST_METHODS,
    METHOD_SYSTEM_DESCRIBE,
    METHOD_SYSTEM_PING,
    METHOD_SYSTEM_STATS,
    METHOD_TRANSFER_SUBMIT,
    METHOD_TRANSFER_STATUS,
    METHOD_TRANSFER_LIST,
    METHOD_TRANSFER_WAIT,
    METHOD_TRANSFER_CANCEL,
    METHOD_TRANSFER_RETRY,
    METHOD_TRANSFER_ERRORS,
    METHOD_TRANSFER_PLAN,
    METHOD_QUEUE_PAUSE,
    METHOD_QUEUE_RESUME,
    METHOD_QUEUE_DRAIN,
    METHOD_LIMITS_GET,
    METHOD_LIMITS_SET,
    METHOD_DAEMON_RELOAD,
    METHOD_EVENTS_SUBSCRIBE,
    METHOD_EVENTS_UNSUBSCRIBE,
    METHOD_COUNT
};

enum overwrite_mode {
    OVERWRITE_REPLACE,
    OVERWRITE_NEVER,
    OVERWRITE_CHANGED, /* what has another size or modification time */
    OVERWRITE_NEWER    /* what is older */
};                     /* numbers travel in META: append only */
enum preserve {        /* bits; travel in META */
                PRESERVE_MODE = 1,
                PRESERVE_TIMES = 2,
                PRESERVE_OWNER = 4,
                PRESERVE_XATTR = 8,
                PRESERVE_ACL = 16,
                PRESERVE_LINKS = 32,
                PRESERVE_SPARSE = 64,
                PRESERVE_ALL = 127,
                PRESERVE_DEFAULT = PRESERVE_MODE | PRESERVE_TIMES
};
enum sync_mode {
    SYNC_FILE,
    SYNC_BATCH,
    SYNC_NONE,
    SYNC_DEFAULT /* as the receiver's store.sync says; never said by a name */
};               /* the same */
enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_DONE, JOB_FAILED, JOB_CANCELLED, JOB_STATE_COUNT };

const char *overwrite_mode_name(enum overwrite_mode m);
const char *sync_mode_name(enum sync_mode m);
const char *job_state_name(enum job_state s);
/* -1 when the name is none */
int overwrite_mode_by_name(const char *name);
int sync_mode_by_name(const char *name);
int job_state_by_name(const char *name);

/* A set of enum preserve as text: names separated by commas. On the way in also "all", "none" (by
 * itself), and "+NAME", by which the default is meant too; in no order, and a name may come again.
 * XFER_INVALID_PARAMS names what is wrong. */
#define PRESERVE_TEXT_SIZE 64
int preserve_parse(const char *text, uint32_t *mask, struct xfer_error *err);
/* The names in a fixed order; "none" of an empty set. */
void preserve_format(uint32_t mask, char text[PRESERVE_TEXT_SIZE]);

/* Texts of raw bytes, of which none is empty. */
struct control_strings {
    char **list; /* NULL where there are none */
    size_t n;
};

/* One struct for the parameters of all methods: what was not given has the value of
 * control_params_init(). Strings are owned by the struct and never contain NUL bytes. source and
 * dest are raw bytes (given as text or as NAME_b64). */
struct control_params {
    char *source;
    char *dest; /* NULL: not given */
    char *method;
    char *user;     /* NULL: not given */
    char *key;      /* NULL: not given */
    int64_t job;    /* 0: not given */
    int64_t limit;  /* -1: not given */
    int64_t before; /* 0: not given */
    int64_t priority;
    int64_t retries;   /* -1: not given */
    int64_t bandwidth; /* bytes a second, 0: none; -1: not given */
    int64_t after;     /* number of a note */
    struct control_strings filter;
    struct control_strings files; /* what of source is sent, paths relative to it; none: all */
    uint32_t preserve;            /* of enum preserve */
    double timeout;               /* seconds; negative: not given, wait for ever */
    int overwrite;                /* enum overwrite_mode */
    int sync;                     /* enum sync_mode; SYNC_DEFAULT: not given */
    int state;                    /* enum job_state; -1: not given */
    bool wait;
    bool head;      /* of the list */
    bool source_fd; /* a descriptor comes with the request */
    bool files_fd;  /* the same: of a list as files, each path ended by a NUL */
    bool dry_run, checksum, one_file_system;
};
void control_params_init(struct control_params *p);
void control_params_free(struct control_params *p); /* frees what it owns, leaves it initialised */
/* false: no memory, and nothing is there to be freed */
bool control_params_copy(struct control_params *to, const struct control_params *from);
void control_strings_free(struct control_strings *s);
bool control_strings_copy(struct control_strings *to, const struct control_strings *from);

enum param_type {
    PARAM_BOOL,    /* bool */
    PARAM_INTEGER, /* int64_t within min..max */
    PARAM_SECONDS, /* double, 0 or more */
    PARAM_STRING,  /* char *, UTF-8, 1..max bytes */
    PARAM_PATH,    /* char *, raw bytes 1..XFER_PATH_SIZE-1; its twin NAME_b64 carries any bytes but
                      NUL */
    PARAM_CHOICE,  /* int, index into choices */
    PARAM_LIST,    /* uint32_t, bits by index into choices; more of it: preserve_parse() */
    PARAM_STRINGS  /* struct control_strings: min to max_items, of max bytes with a NUL for each, of
                      XFER_FILTER_SIZE one; its twin NAME_b64 carries any bytes but NUL */
};

struct param_spec {
    const char *name;
    enum param_type type;
    size_t offset; /* in struct control_params */
    bool required;
    bool absolute; /* PARAM_PATH only: must begin with '/' */
    int64_t min, max;
    int64_t max_items;          /* PARAM_STRINGS only */
    const char *const *choices; /* NULL-terminated, PARAM_CHOICE and PARAM_LIST only */
    const char *help;           /* one line */
};

struct method_spec {
    enum method_id id;
    const char *name;
    const char *summary; /* one line */
    const char *result;  /* one line */
    const struct param_spec *params;
    size_t n_params;
};

/* NULL when there is none of that name / id */
const struct method_spec *method_find(const char *name);
const struct method_spec *method_get(enum method_id id);

#endif
