/* SPDX-License-Identifier: MIT
 *
 * The daemon's configuration: built-in defaults, then the INI file, then -o SECTION.KEY=VALUE, one
 * table of keys for all three. Read at start, and again when a reload is asked for (reread.h); the
 * ranks on this machine are told by the supervisor what it has read.
 */
#ifndef XFER_DAEMON_CONF_H
#define XFER_DAEMON_CONF_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "proto/error.h"
#include "proto/places.h"

#define CONF_NAME_SIZE 64 /* "SECTION.KEY" and its NUL */
enum conf_identity { IDENTITY_DAEMON, IDENTITY_CALLER };

struct conf {
    struct places places;      /* the defaults that it started from */
    char file[XFER_PATH_SIZE]; /* what it is read from, there or not; "": nothing. No key */

    char control_socket[XFER_PATH_SIZE];
    int control_mode;        /* default 0660 for the service, 0600 for a private daemon */
    char control_group[256]; /* "" : leave it; default "xfer" for the service when that group exists
                              */
    char control_admins[4096]; /* user names, uids or @groups, blank- or comma-separated */

    char queue_database[XFER_PATH_SIZE];
    int64_t queue_history;        /* finished jobs that are kept, default 100000 */
    double queue_history_time;    /* seconds that they are kept, default 30 days */
    int64_t queue_retries;        /* of jobs that say nothing themselves, default 3 */
    double queue_retry_delay;     /* seconds before the first retry, default 1 */
    double queue_retry_delay_max; /* the delays double up to this, default 5 minutes */
    double queue_stall_timeout; /* seconds without a byte after which an attempt fails, default 60;
                                   0: never */

    char source_roots[XFER_PATH_SIZE]; /* absolute paths separated by ':', default "/" */
    int source_identity; /* enum conf_identity: with whose rights sources are opened */

    char store_root[XFER_PATH_SIZE];
    int store_dir_mode;    /* -1: from the source, 0755 where there is none */
    int store_file_mode;   /* -1: from the source */
    int store_identity;    /* enum conf_identity: with whose rights files are stored */
    char store_group[256]; /* of what is made: a name or a number; "": as it comes */
    bool store_per_user;   /* each beneath a directory of the sender's name */
    int store_sync;        /* enum sync_mode: of jobs that don't say */
    int64_t store_reserve; /* bytes that stay free on its file system, default 0 */

    int64_t
        limits_bandwidth; /* bytes a second of all jobs together; these are 0 for none, default */
    int64_t limits_user_jobs;  /* unfinished jobs of a user */
    int64_t limits_user_bytes; /* bytes of these together */
    int64_t limits_file_size;  /* bytes of a file */

    char peer_host[XFER_HOST_SIZE]; /* "": both ranks on this machine */
    char peer_user[256];
    char peer_agent[XFER_PATH_SIZE]; /* command in place of ssh */

    int64_t link_lanes;   /* 1 .. XFER_LANES_MAX, default 4 */
    int64_t link_chunk;   /* XFER_CHUNK_MIN .. XFER_CHUNK_MAX, default 256 KiB */
    int64_t link_timeout; /* seconds of silence, 10 .. 3600, default 30 */

    int log_level; /* enum log_level, default notice */

    char hook_command[XFER_PATH_SIZE]; /* a program that is run after each job; "": none */
    double hook_timeout;               /* seconds that it may take, default 30 */
};

/* Defaults for this process (uid, environment). */
int conf_init(struct conf *conf, struct xfer_error *err);

/* Read an INI file: XFER_CONFIG with "FILE:LINE: ..." on an unknown section or key, a repeated key,
 * or a bad value. A missing file is an error only with must_exist. */
int conf_read_file(struct conf *conf, const char *path, bool must_exist, struct xfer_error *err);

/* One "SECTION.KEY=VALUE". XFER_CONFIG names it. */
int conf_set(struct conf *conf, const char *assignment, struct xfer_error *err);

/* What only shows when all is read: no place missing, socket path short enough for a sockaddr_un,
 * ...
 */
int conf_check(const struct conf *conf, struct xfer_error *err);

/* The group of the socket, (gid_t)-1 for none. XFER_CONFIG on a name that is not known. Asks the
 * directory service: for whoever serves the socket, who need not be on this host. */
int conf_group(const struct conf *conf, gid_t *gid, struct xfer_error *err);
/* The same for store.group, on the receiving host. */
int conf_store_group(const struct conf *conf, gid_t *gid, struct xfer_error *err);

/* The settings in effect, as an INI file that says the same; and one line of help a key. */
void conf_write(const struct conf *conf, FILE *out);
void conf_list_keys(FILE *out);

/* How many keys there are, and the i-th as "SECTION.KEY=VALUE" (freed by the caller; NULL: no
 * memory, or no such key): all of them given to conf_set() make the same settings elsewhere. */
size_t conf_keys(void);
char *conf_assignment(const struct conf *conf, size_t i);
/* Can the i-th change while the daemon runs? Else a change counts at the next start. */
bool conf_is_live(size_t i);
/* Its "SECTION.KEY". */
void conf_name(size_t i, char name[CONF_NAME_SIZE]);
/* Has it the same value in both? */
bool conf_is_same(const struct conf *a, const struct conf *b, size_t i);
/* What can change while the daemon runs, from one to the other. */
void conf_copy_live(struct conf *to, const struct conf *from);

#endif
