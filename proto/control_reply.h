/* SPDX-License-Identifier: MIT
 *
 * What comes back over the control socket: plain structs to JSON text and back. The daemon encodes
 * and xferctl decodes with the same structs. Encoders return JSON text on one line without LF that
 * the caller frees, or NULL when there is no memory. Integers are printed as integers (never
 * 1e+15). A path that is not UTF-8 appears as NAME_b64 instead of NAME. Decoders ignore members
 * that they don't know, and fail with XFER_PROTOCOL on a wrong type of one they do.
 */
#ifndef XFER_PROTO_CONTROL_REPLY_H
#define XFER_PROTO_CONTROL_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/control_method.h"
#include "proto/error.h"

#define CONTROL_API 1

/* What was wrong with an entry of a tree: it could not be sent, or, where that is a warning, was
 * sent and something of it could not be kept, or is nothing that is ever sent. */
struct control_note {
    int64_t n;    /* its number in the job, from 1; 0 in a job object, which doesn't tell it */
    bool warning; /* as n */
    char *path;   /* raw bytes, relative to the source; "" the source itself */
    enum xfer_code code;
    enum xfer_side side;
    int sys_errno; /* 0: no system call was to blame */
    char *message;
};
struct control_notes { /* what transfer.errors answers. Owned and borrowed as in a job */
    struct control_note *list;
    size_t n;
    bool more; /* there are some with higher numbers */
};
void control_notes_free(struct control_notes *notes);
struct control_plan_entry {
    int64_t n;
    char *action; /* "send", "replace", "make", "set", "keep" */
    char *type;   /* "file", "directory", "link" */
    char *path;   /* as of a note */
    int64_t size; /* bytes of a file */
};
struct control_plan { /* what transfer.plan answers */
    struct control_plan_entry *list;
    size_t n;
    bool more;
};
void control_plan_free(struct control_plan *plan);

/* The job object. Strings are borrowed when it is encoded and owned by the struct when decoded
 * (control_job_free()). */
struct control_job {
    int64_t job;
    enum job_state state;
    char *phase;  /* "queued", "opening", "sending", "storing", "done" ...: finer than the state */
    char *reason; /* why it waits, or NULL */
    char *source, *dest;         /* raw bytes; dest in normal form, relative */
    char *dest_host, *dest_path; /* where the receiver puts it; "" while not known */
    int64_t bytes_total, bytes_done, bytes_resumed;
    int64_t files_total, files_done, files_failed, files_skipped;
    bool walking; /* the totals still grow */
    double rate;  /* bytes a second, of the running or the whole transfer */
    bool has_digest;
    unsigned char digest[XFER_DIGEST_SIZE]; /* {"algorithm":"xxh128","value":HEX} */
    int64_t attempts;                       /* how often it was started */
    int64_t retries;                        /* how many failed attempts are repeated */
    double not_before;                      /* Unix time; 0: none (null) */
    int64_t priority;
    int64_t bandwidth; /* bytes a second, as submitted; 0: none */
    char *key;         /* or NULL */
    bool existing;
    double submitted_at, started_at, finished_at; /* Unix time; 0: not yet (null) */
    int64_t uid;
    bool handle;    /* it hangs on a descriptor that was handed over */
    char *preserve; /* as of preserve_format() */
    struct control_strings filter;
    bool dry_run, checksum, one_file_system;
    bool files_from;          /* only what a list says is sent */
    int exit_code;            /* of xferctl for this job; 0 until it has ended */
    struct xfer_error *error; /* why it ended, or why its last attempt failed; or NULL */
    /* The first ones; how many errors there are is files_failed. */
    struct control_notes errors, warnings;
    int64_t warnings_total;
};
void control_job_free(struct control_job *job); /* frees members, not the struct */

struct control_rank {
    int rank;
    char host[XFER_HOST_SIZE];
    int64_t pid;
};
struct control_hello {
    char version[32];
    int api;
    int64_t uid;       /* of the daemon */
    char identity[16]; /* with whose rights files are opened: "daemon" or "caller"; "": not told */
    char queue_id[2 * XFER_QUEUE_ID_SIZE + 1]; /* hex */
    char boot_id[2 * XFER_QUEUE_ID_SIZE + 1];  /* hex; new at every start of rank 0 */
    int n_ranks;
    struct control_rank ranks[8];
    int64_t jobs_finished_kept; /* limits.jobs_finished_kept: as configured */
    /* the other limits{} and features[] are written from proto/limits.h and the method table */
};
struct control_ping {
    bool peer_up;
    double round_trip; /* seconds, over the link and back */
};
struct control_stats {
    double uptime; /* seconds */
    bool peer_up;
    char peer_host[XFER_HOST_SIZE];
    char store_root[XFER_PATH_SIZE];
    int64_t store_free_bytes, store_total_bytes; /* -1: not known */
    int64_t lanes, chunk;
    int64_t jobs[JOB_STATE_COUNT]; /* now in that state (finished ones: as kept) */
    int64_t clients;
    int64_t finished_done, finished_failed, finished_cancelled; /* since the start */
    int64_t sent_bytes, sent_files; /* receipts "stored" since the start */
    /* Since the start; -1: not known, of an older daemon (when decoded). Bytes are those that left
     * for the receiver, whatever became of the attempt. */
    int64_t attempts_started, attempts_failed, attempts_bytes;
    double oldest_queued;  /* seconds; 0: none */
    int64_t generation;    /* how often the ranks were started, 1 at first */
    bool paused, draining; /* the queue */
};
struct control_queue { /* what the queue.* methods answer */
    bool paused, draining;
    int64_t queued, running; /* jobs */
};
struct control_limits {            /* what the limits.* methods answer; 0: none */
    int64_t bandwidth;             /* bytes a second of all jobs together, as it is now */
    int64_t user_jobs, user_bytes; /* unfinished jobs of a user, and their bytes */
    int64_t file_size;             /* bytes of a file */
};
struct control_reload { /* what daemon.reload answers: names of keys, separated by ", " */
    char changed[XFER_KEY_NAMES_SIZE];
    char restart[XFER_KEY_NAMES_SIZE];
};
struct control_event { /* params of the notification transfer.event */
    int64_t seq;
    int64_t job;
    enum job_state state;
    char phase[32];
    int64_t bytes_done, bytes_total, files_done, files_total, files_failed, files_skipped;
    bool walking;
    double rate;
};

char *control_job_encode(const struct control_job *job);
char *control_job_list_encode(char *const *jobs,
                              size_t n); /* {"jobs":[...]} of encoded job objects */
char *control_notes_encode(const struct control_notes *notes);
char *control_plan_encode(const struct control_plan *plan);
char *control_hello_encode(const struct control_hello *hello);
char *control_ping_encode(const struct control_ping *ping);
char *control_stats_encode(const struct control_stats *stats);
char *control_queue_encode(const struct control_queue *queue);
char *control_limits_encode(const struct control_limits *limits);
char *control_reload_encode(const char *changed, const char *restart);
char *control_list_methods_encode(void);
char *control_describe_encode(const struct method_spec *method);
char *control_subscribed_encode(bool on); /* {"subscribed":true} */
/* The whole params of notifications: one line with LF. lost: how many events were dropped for this
 * reader. */
char *control_event_encode(const struct control_event *ev);
char *control_events_lost_encode(int64_t lost);

/* {"jsonrpc":"2.0","id":ID,"result":RESULT} and {"jsonrpc":"2.0","id":ID,"error":{...}}, without
 * LF: the server joins a batch or appends the LF. id, result: JSON texts. job: 0 or the number for
 * data.job. */
char *control_reply_result(const char *id, const char *result);
char *control_reply_error(const char *id, const struct xfer_error *err, int64_t job);

/* The error object alone: {"code":..,"message":..,"data":{..}} */
char *control_error_encode(const struct xfer_error *err, int64_t job);

/* xferctl's side: one line that came from the daemon. */
enum control_incoming_kind {
    CONTROL_RESULT,
    CONTROL_ERROR,
    CONTROL_EVENT,
    CONTROL_EVENTS_LOST,
    CONTROL_UNKNOWN
};
struct control_incoming {
    enum control_incoming_kind kind;
    int64_t id;   /* of result and error; -1: null */
    char *result; /* JSON text; CONTROL_RESULT, and for CONTROL_EVENT the params object */
    struct xfer_error error; /* CONTROL_ERROR */
    int64_t error_job;       /* data.job or 0 */
    char *error_text;        /* the error object as JSON text; CONTROL_ERROR */
    struct control_event event;
    int64_t lost;
};
int control_incoming_parse(const char *line, size_t len, struct control_incoming *in,
                           struct xfer_error *err);
void control_incoming_free(struct control_incoming *in);

/* Decode results. */
int control_job_parse(const char *json, struct control_job *job, struct xfer_error *err);
int control_notes_parse(const char *json, struct control_notes *notes, struct xfer_error *err);
int control_plan_parse(const char *json, struct control_plan *plan, struct xfer_error *err);
int control_hello_parse(const char *json, struct control_hello *hello, struct xfer_error *err);
int control_ping_parse(const char *json, struct control_ping *ping, struct xfer_error *err);
int control_stats_parse(const char *json, struct control_stats *stats, struct xfer_error *err);
int control_queue_parse(const char *json, struct control_queue *queue, struct xfer_error *err);
int control_limits_parse(const char *json, struct control_limits *limits, struct xfer_error *err);
int control_reload_parse(const char *json, struct control_reload *reload, struct xfer_error *err);
/* The text of a job object that control_job_parse() took, with that value of "existing" and
 * otherwise byte by byte the same; one without that member stays as it is. The caller frees it;
 * NULL: no memory. */
char *control_job_with_existing(const char *json, bool existing);
/* The job objects of {"jobs":[...]} as JSON texts: *jobs is an array of *n strings, each and the
 * array freed by the caller. */
int control_job_list_parse(const char *json, char ***jobs, size_t *n, struct xfer_error *err);

#endif
