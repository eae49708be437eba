/* SPDX-License-Identifier: MIT
 *
 * The configuration: one table of keys from which the file, the -o options, the effective settings
 * that --check-config prints, and the list of keys in --help are all made. To add a key: a member
 * of struct conf, its default in conf_init(), a line in the table, its paragraph in
 * xferd.conf(5), and its lines in the example, xferd.conf.
 */
#include "daemon/conf_impl.h"

#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "proto/control_method.h"
#include "proto/limits.h"

static const char *const identities[] = {
    [IDENTITY_DAEMON] = "daemon", [IDENTITY_CALLER] = "caller", NULL};
static const char *const syncs[] = {
    [SYNC_FILE] = "file", [SYNC_BATCH] = "batch", [SYNC_NONE] = "none", NULL};

#define MEMBER(m) offsetof(struct conf, m), sizeof(((struct conf *)0)->m)

static const struct conf_key keys[] = {
    {"control", "socket", TYPE_PATH, MEMBER(control_socket), 0, 0,
     "the socket on which requests come"},
    {"control", "mode", TYPE_MODE, MEMBER(control_mode), 0, 0777, "its permissions, octal"},
    {"control", "group", TYPE_TEXT, MEMBER(control_group), 0, 0, "its group, by name or number"},
    {"control", "admins", TYPE_TEXT, MEMBER(control_admins), 0, 0,
     "who may do what owners may: users, uids, @groups", LIVE},
    {"queue", "database", TYPE_PATH, MEMBER(queue_database), 0, 0, "where the jobs are kept"},
    {"queue", "history", TYPE_COUNT, MEMBER(queue_history), 0, XFER_JOBS_FINISHED_MAX,
     "how many finished jobs are remembered", LIVE},
    {"queue", "history_time", TYPE_TIME, MEMBER(queue_history_time), 0, XFER_SECONDS_MAX,
     "how long they are remembered", LIVE},
    {"queue", "retries", TYPE_COUNT, MEMBER(queue_retries), 0, XFER_RETRIES_MAX,
     "how often a failed attempt is repeated where that may help", LIVE},
    {"queue", "retry_delay", TYPE_TIME, MEMBER(queue_retry_delay), 0, XFER_SECONDS_MAX,
     "pause before the first repetition; doubles from one to the next", LIVE},
    {"queue", "retry_delay_max", TYPE_TIME, MEMBER(queue_retry_delay_max), 0, XFER_SECONDS_MAX,
     "the longest of these pauses", LIVE},
    {"queue", "stall_timeout", TYPE_TIME, MEMBER(queue_stall_timeout), 0, XFER_SECONDS_MAX,
     "time without a byte after which an attempt has failed; 0: never", LIVE},
    {"source", "roots", TYPE_PATHS, MEMBER(source_roots), 0, 0,
     "where the daemon opens files to send: absolute paths, separated by ':'", LIVE},
    {"source", "identity", TYPE_CHOICE, MEMBER(source_identity), 0, 0,
     "with whose rights sources are opened: daemon or caller", AT_START, identities},
    {"store", "root", TYPE_PATH, MEMBER(store_root), 0, 0, "the receiving root"},
    {"store", "dir_mode", TYPE_SOURCE, MEMBER(store_dir_mode), 0, 07777,
     "of directories that are made, octal, or \"source\""},
    {"store", "file_mode", TYPE_SOURCE, MEMBER(store_file_mode), 0, 0777,
     "of received files, octal, or \"source\""},
    {"store", "identity", TYPE_CHOICE, MEMBER(store_identity), 0, 0,
     "with whose rights files are stored: daemon or caller", AT_START, identities},
    {"store", "group", TYPE_TEXT, MEMBER(store_group), 0, 0,
     "the group of what is made, by name or number; empty: as it comes"},
    {"store", "per_user", TYPE_BOOL, MEMBER(store_per_user), 0, 0,
     "yes: what a user sends lies in a directory of that name"},
    {"store", "sync", TYPE_CHOICE, MEMBER(store_sync), 0, 0,
     "what is on disk when a job is done that doesn't say: file, batch or none", AT_START, syncs},
    {"store", "reserve", TYPE_SIZE, MEMBER(store_reserve), 0, XFER_JSON_INTEGER_MAX,
     "bytes that stay free where files are stored"},
    {"limits", "bandwidth", TYPE_SIZE, MEMBER(limits_bandwidth), 0, XFER_JSON_INTEGER_MAX,
     "bytes that are sent a second, of all jobs together; 0: no limit", LIVE},
    {"limits", "user_jobs", TYPE_COUNT, MEMBER(limits_user_jobs), 0, XFER_JOBS_UNFINISHED_MAX,
     "unfinished jobs that a user may have; 0: no limit", LIVE},
    {"limits", "user_bytes", TYPE_SIZE, MEMBER(limits_user_bytes), 0, XFER_JSON_INTEGER_MAX,
     "bytes that these may have together; 0: no limit", LIVE},
    {"limits", "file_size", TYPE_SIZE, MEMBER(limits_file_size), 0, XFER_JSON_INTEGER_MAX,
     "bytes that a file may have; 0: no limit", LIVE},
    {"peer", "host", TYPE_TEXT, MEMBER(peer_host), 0, 0, "the receiving host; empty: this one"},
    {"peer", "user", TYPE_TEXT, MEMBER(peer_user), 0, 0, "the user to be there"},
    {"peer", "agent", TYPE_TEXT, MEMBER(peer_agent), 0, 0, "the command to get there"},
    {"link", "lanes", TYPE_COUNT, MEMBER(link_lanes), 1, XFER_LANES_MAX, "transfers at once"},
    {"link", "chunk", TYPE_SIZE, MEMBER(link_chunk), XFER_CHUNK_MIN, XFER_CHUNK_MAX,
     "bytes of one data message"},
    {"link", "timeout", TYPE_COUNT, MEMBER(link_timeout), 10, 3600,
     "seconds of silence after which the other rank counts as gone"},
    {"log", "level", TYPE_LEVEL, MEMBER(log_level), 0, 0, "error, warning, notice, info or debug",
     LIVE},
    {"hook", "command", TYPE_PROGRAM, MEMBER(hook_command), 0, 0,
     "a program that is run after each job; empty: none", LIVE},
    {"hook", "timeout", TYPE_TIME, MEMBER(hook_timeout), 0, 86400, "how long it may take", LIVE},
};
#define KEYS (sizeof keys / sizeof keys[0])
_Static_assert(KEYS <= CONF_KEYS_MAX, "one place a key");

static const char *environment(const char *name)
{
    return getenv(name);
}

int conf_init(struct conf *conf, struct xfer_error *err)
{
    const struct passwd *pw = getpwuid(geteuid());

    memset(conf, 0, sizeof *conf);
    if (places_daemon(&conf->places, geteuid(), environment, pw != NULL ? pw->pw_dir : NULL) < 0) {
        /* Who has no home may still name every place; else conf_check() complains. */
        if (places_daemon(&conf->places, geteuid(), environment, "/") < 0)
            return error_set(err, XFER_CONFIG,
                             "the paths of the home or XDG directories are too long");
        conf->places.config[0] = conf->places.queue[0] = conf->places.incoming[0] = '\0';
    }

    memcpy(conf->control_socket, conf->places.socket, sizeof conf->control_socket);
    memcpy(conf->queue_database, conf->places.queue, sizeof conf->queue_database);
    memcpy(conf->source_roots, "/", sizeof "/");
    memcpy(conf->store_root, conf->places.incoming, sizeof conf->store_root);
    conf->control_mode = conf->places.service ? 0660 : 0600;
    if (conf->places.service && getgrnam("xfer") != NULL)
        memcpy(conf->control_group, "xfer", sizeof "xfer");
    conf->store_dir_mode = -1;
    conf->store_file_mode = -1;
    conf->link_lanes = 4;
    conf->link_chunk = 256 * 1024;
    conf->link_timeout = 30;
    conf->queue_history = 100000;
    conf->queue_history_time = 30 * 86400;
    conf->queue_retries = 3;
    conf->queue_retry_delay = 1;
    conf->queue_retry_delay_max = 300;
    conf->queue_stall_timeout = 60;
    conf->log_level = LOG_LEVEL_NOTICE;
    conf->hook_timeout = 30;
    return 0;
}

/* The key, or NULL with an error. Names need not end in a NUL. */
const struct conf_key *conf_find_key(const char *section, size_t section_len, const char *name,
                                     struct xfer_error *err)
{
    bool section_known = false;

    for (size_t i = 0; i < KEYS; i++) {
        if (strlen(keys[i].section) != section_len ||
            memcmp(keys[i].section, section, section_len) != 0)
            continue;
        section_known = true;
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
    }
    if (section_known)
        error_set(err, XFER_CONFIG, "unknown key %.*s.%s", (int)section_len, section, name);
    else if (section_len == 0)
        error_set(err, XFER_CONFIG, "key %s stands before any [section]", name);
    else
        error_set(err, XFER_CONFIG, "unknown section %.*s (key %s)", (int)section_len, section,
                  name);
    return NULL;
}

/* ---- options -------------------------------------------------------------------------------- */

int conf_set(struct conf *conf, const char *assignment, struct xfer_error *err)
{
    const char *equals = strchr(assignment, '=');
    const char *dot = strchr(assignment, '.');
    const struct conf_key *key;
    char name[64];

    if (equals == NULL || dot == NULL || dot > equals || dot == assignment || dot + 1 == equals)
        return error_set(err, XFER_CONFIG, "\"%s\" is not of the form SECTION.KEY=VALUE",
                         assignment);
    if ((size_t)(equals - dot) > sizeof name)
        return error_set(err, XFER_CONFIG, "unknown key %.*s", (int)(equals - assignment),
                         assignment);
    memcpy(name, dot + 1, (size_t)(equals - dot - 1));
    name[equals - dot - 1] = '\0';

    key = conf_find_key(assignment, (size_t)(dot - assignment), name, err);
    if (key == NULL)
        return -1;
    if (conf_set_value(conf, key, equals + 1, err) < 0)
        return error_prefix(err, "%s.%s", key->section, key->name);
    return 0;
}

char *conf_assignment(const struct conf *conf, size_t i)
{
    char value[XFER_PATH_SIZE];
    char *assignment;

    if (i >= KEYS)
        return NULL;
    conf_format_value(conf, &keys[i], value, sizeof value);
    if (asprintf(&assignment, "%s.%s=%s", keys[i].section, keys[i].name, value) < 0)
        return NULL;
    return assignment;
}

size_t conf_keys(void)
{
    return KEYS;
}

const struct conf_key *conf_key(size_t i)
{
    return &keys[i];
}

size_t conf_key_index(const struct conf_key *key)
{
    return (size_t)(key - keys);
}

bool conf_is_live(size_t i)
{
    return i < KEYS && keys[i].effect == LIVE;
}

void conf_name(size_t i, char name[CONF_NAME_SIZE])
{
    name[0] = '\0';
    if (i < KEYS)
        snprintf(name, CONF_NAME_SIZE, "%s.%s", keys[i].section, keys[i].name);
}

/* By what would stand in a file: what lies behind the end of a text is no difference. */
bool conf_is_same(const struct conf *a, const struct conf *b, size_t i)
{
    char x[XFER_PATH_SIZE], y[XFER_PATH_SIZE];

    conf_format_value(a, &keys[i], x, sizeof x);
    conf_format_value(b, &keys[i], y, sizeof y);
    return strcmp(x, y) == 0;
}

void conf_copy_live(struct conf *to, const struct conf *from)
{
    for (size_t i = 0; i < KEYS; i++)
        if (keys[i].effect == LIVE)
            memcpy((char *)to + keys[i].offset, (const char *)from + keys[i].offset, keys[i].size);
}

void conf_write(const struct conf *conf, FILE *out)
{
    for (size_t i = 0; i < KEYS; i++) {
        char value[XFER_PATH_SIZE];

        if (i == 0 || strcmp(keys[i].section, keys[i - 1].section) != 0)
            fprintf(out, "%s[%s]\n", i == 0 ? "" : "\n", keys[i].section);
        conf_format_value(conf, &keys[i], value, sizeof value);
        fprintf(out, "%s =%s%s\n", keys[i].name, *value != '\0' ? " " : "", value);
    }
}

void conf_list_keys(FILE *out)
{
    for (size_t i = 0; i < KEYS; i++)
        fprintf(out, "  %s.%-*s %s\n", keys[i].section, (int)(22 - strlen(keys[i].section)),
                keys[i].name, keys[i].help);
}
