/* SPDX-License-Identifier: MIT
 *
 * The configuration: one table of keys from which the file, the -o options, the effective settings
 * that --check-config prints, and the list of keys in --help are all made. To add a key: a member
 * of struct conf, its default in conf_init(), a line in the table, its paragraph in
 * xferd.conf(5), and its lines in the example, xferd.conf.
 *
 * The INI syntax is inih's: "[section]", "key = value", comments after '#' or ';' at the start of a
 * line and after " ;" behind a value. Lines are counted in the reader, because inih tells its
 * handler of no line number unless it was built to.
 */
#include "daemon/conf.h"

#include <errno.h>
#include <grp.h>
#include <ini.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/log.h"
#include "proto/control_method.h"
#include "proto/limits.h"
#include "proto/units.h"

enum type {
    TYPE_PATH,    /* text, an absolute path */
    TYPE_PROGRAM, /* the same, or empty */
    TYPE_PATHS,   /* absolute paths separated by ':', or empty */
    TYPE_TEXT,    /* anything that fits */
    TYPE_MODE,    /* octal, int */
    TYPE_SOURCE,  /* the same, or "source" as -1 */
    TYPE_COUNT,   /* int64_t */
    TYPE_SIZE,    /* int64_t, with units */
    TYPE_TIME,    /* double, seconds, with units */
    TYPE_LEVEL,   /* enum log_level, int */
    TYPE_CHOICE,  /* one of choices, as its index, int */
    TYPE_BOOL,    /* yes or no, bool */
};

/* When does a change in the file count? */
enum effect { AT_START, LIVE };

static const char *const identities[] = {
    [IDENTITY_DAEMON] = "daemon", [IDENTITY_CALLER] = "caller", NULL};
static const char *const syncs[] = {
    [SYNC_FILE] = "file", [SYNC_BATCH] = "batch", [SYNC_NONE] = "none", NULL};

#define MEMBER(m) offsetof(struct conf, m), sizeof(((struct conf *)0)->m)

static const struct key {
    const char *section, *name;
    enum type type;
    size_t offset, size;
    int64_t min, max; /* of numbers; the bits allowed in a mode */
    const char *help;
    enum effect effect;
    const char *const *choices; /* ended by NULL */
} keys[] = {
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
    {"store", "dir_mode", TYPE_MODE, MEMBER(store_dir_mode), 0, 07777,
     "of directories that are made, octal"},
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
    conf->store_dir_mode = 0755;
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

static int parse_mode(const char *value, const struct key *key, int *mode, struct xfer_error *err)
{
    char *end;
    unsigned long n;

    errno = 0;
    n = strtoul(value, &end, 8);
    if (value[0] < '0' || value[0] > '7' || *end != '\0' || errno != 0)
        return error_set(err, XFER_CONFIG, "\"%s\" is no octal number", value);
    if ((n & ~(unsigned long)key->max) != 0)
        return error_set(err, XFER_CONFIG, "%s has bits beyond %04lo", value,
                         (unsigned long)key->max);
    *mode = (int)n;
    return 0;
}

static int parse_count(const char *value, int64_t *number, struct xfer_error *err)
{
    char *end;

    errno = 0;
    *number = strtoll(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || errno != 0)
        return error_set(err, XFER_CONFIG, "\"%s\" is no whole number", value);
    return 0;
}

static int parse_number(const char *value, const struct key *key, int64_t *number,
                        struct xfer_error *err)
{
    int64_t n;

    if (key->type == TYPE_SIZE) {
        if (units_parse_size(value, &n, err) < 0) {
            err->code = XFER_CONFIG;
            return -1;
        }
    } else if (parse_count(value, &n, err) < 0) {
        return -1;
    }
    if (n < key->min || n > key->max)
        return error_set(err, XFER_CONFIG, "%s is outside of %lld to %lld", value,
                         (long long)key->min, (long long)key->max);
    *number = n;
    return 0;
}

static int parse_time(const char *value, const struct key *key, double *seconds,
                      struct xfer_error *err)
{
    double n;

    if (units_parse_duration(value, &n, err) < 0) {
        err->code = XFER_CONFIG;
        return -1;
    }
    if (n < (double)key->min || n > (double)key->max)
        return error_set(err, XFER_CONFIG, "%s is outside of %lld to %lld seconds", value,
                         (long long)key->min, (long long)key->max);
    *seconds = n;
    return 0;
}

static int parse_choice(const char *value, const struct key *key, int *choice,
                        struct xfer_error *err)
{
    char all[128] = "";
    size_t len = 0;

    for (int i = 0; key->choices[i] != NULL; i++) {
        if (strcmp(value, key->choices[i]) == 0) {
            *choice = i;
            return 0;
        }
        len += (size_t)snprintf(all + len, sizeof all - len, "%s%s", i > 0 ? ", " : "",
                                key->choices[i]);
        if (len >= sizeof all)
            len = sizeof all - 1;
    }
    return error_set(err, XFER_CONFIG, "\"%s\" is none of %s", value, all);
}

static int parse_bool(const char *value, bool *on, struct xfer_error *err)
{
    *on = strcmp(value, "yes") == 0;
    if (!*on && strcmp(value, "no") != 0)
        return error_set(err, XFER_CONFIG, "\"%s\" is neither yes nor no", value);
    return 0;
}

static int check_paths(const char *value, struct xfer_error *err)
{
    for (const char *path = value; *value != '\0'; path++) {
        size_t len = strcspn(path, ":");

        if (path[0] != '/')
            return error_set(err, XFER_CONFIG, "\"%.*s\" is no absolute path", (int)len, path);
        path += len;
        if (*path == '\0')
            break;
    }
    return 0;
}

static int set_value(struct conf *conf, const struct key *key, const char *value,
                     struct xfer_error *err)
{
    char *place = (char *)conf + key->offset;
    int level;

    switch (key->type) {
    case TYPE_PATH:
    case TYPE_PROGRAM:
        if (value[0] != '/' && (key->type == TYPE_PATH || value[0] != '\0'))
            return error_set(err, XFER_CONFIG, "\"%s\" is no absolute path", value);
        /* fallthrough */
    case TYPE_PATHS:
        if (key->type == TYPE_PATHS && check_paths(value, err) < 0)
            return -1;
        /* fallthrough */
    case TYPE_TEXT:
        if (strlen(value) >= key->size)
            return error_set(err, XFER_CONFIG, "longer than %zu bytes", key->size - 1);
        memset(place, 0, key->size);
        memcpy(place, value, strlen(value));
        return 0;
    case TYPE_SOURCE:
        if (strcmp(value, "source") == 0) {
            *(int *)(void *)place = -1;
            return 0;
        }
        return parse_mode(value, key, (int *)(void *)place, err);
    case TYPE_MODE:
        return parse_mode(value, key, (int *)(void *)place, err);
    case TYPE_COUNT:
    case TYPE_SIZE:
        return parse_number(value, key, (int64_t *)(void *)place, err);
    case TYPE_TIME:
        return parse_time(value, key, (double *)(void *)place, err);
    case TYPE_CHOICE:
        return parse_choice(value, key, (int *)(void *)place, err);
    case TYPE_BOOL:
        return parse_bool(value, (bool *)(void *)place, err);
    case TYPE_LEVEL:
        level = log_level_by_name(value);
        if (level < 0)
            return error_set(err, XFER_CONFIG,
                             "\"%s\" is none of error, warning, notice, info, debug", value);
        *(int *)(void *)place = level;
        return 0;
    }
    return error_set(err, XFER_INTERNAL, "a key without a type");
}

/* The key, or NULL with an error. Names need not end in a NUL. */
static const struct key *find_key(const char *section, size_t section_len, const char *name,
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

/* ---- the file ------------------------------------------------------------------------------- */

struct reading {
    FILE *file;
    const char *path;
    struct conf *conf;
    int line;       /* of what was read last */
    int seen[KEYS]; /* line of each key, 0: not there */
    int failed;     /* line of the error in *err, 0: none */
    struct xfer_error *err;
};

static void fail(struct reading *r)
{
    r->failed = r->line;
    error_prefix(r->err, "%s:%d", r->path, r->line);
}

/* For inih: one whole line, without leading blanks, which would make it the continuation of
 * another; NULL at the end. */
static char *read_line(char *out, int size, void *user)
{
    struct reading *r = user;
    size_t len = 0;
    int c;

    if (r->failed > 0)
        return NULL;
    do
        c = getc(r->file);
    while (c == ' ' || c == '\t');
    if (c == EOF)
        return NULL;
    r->line++;
    for (; c != '\n' && c != EOF; c = getc(r->file)) {
        if (c == '\0') {
            error_set(r->err, XFER_CONFIG, "a NUL byte");
            fail(r);
            return NULL;
        }
        if (len + 3 > (size_t)size) {
            error_set(r->err, XFER_CONFIG, "a line longer than %d bytes", size - 2);
            fail(r);
            return NULL;
        }
        out[len++] = (char)c;
    }
    out[len++] = '\n';
    out[len] = '\0';
    return out;
}

/* For inih: 1 is success. */
static int take_pair(void *user, const char *section, const char *name, const char *value)
{
    struct reading *r = user;
    const struct key *key;

    if (r->failed > 0)
        return 0;
    key = find_key(section, strlen(section), name, r->err);
    if (key == NULL)
        goto failed;
    if (r->seen[key - keys] > 0) {
        error_set(r->err, XFER_CONFIG, "key %s.%s was there already, in line %d", section, name,
                  r->seen[key - keys]);
        goto failed;
    }
    r->seen[key - keys] = r->line;
    if (set_value(r->conf, key, value != NULL ? value : "", r->err) < 0) {
        error_prefix(r->err, "%s.%s", section, name);
        goto failed;
    }
    return 1;

failed:
    fail(r);
    return 0;
}

/* Where inih can be told at run time (as Debian's can), lines may be as long as a path. Else its
 * own 200 bytes hold. */
static void allow_long_lines(void)
{
#if HAVE_DECL_INI_MAX_LINE && HAVE_DECL_INI_USE_STACK && HAVE_DECL_INI_INITIAL_ALLOC
    ini_use_stack = false;
    ini_max_line = XFER_PATH_SIZE + 256;
    ini_initial_alloc = XFER_PATH_SIZE + 256;
#endif
}

int conf_read_file(struct conf *conf, const char *path, bool must_exist, struct xfer_error *err)
{
    struct reading r = {.path = path, .conf = conf, .err = err};
    int wrong;

    r.file = fopen(path, "re");
    if (r.file == NULL) {
        if (errno == ENOENT && !must_exist)
            return 0;
        error_set_errno(err, errno, "%s", path);
        err->code = XFER_CONFIG;
        return -1;
    }
    allow_long_lines();
    wrong = ini_parse_stream(read_line, &r, take_pair, &r);
    if (ferror(r.file)) {
        error_set_errno(err, errno != 0 ? errno : EIO, "%s", path);
        err->code = XFER_CONFIG;
        wrong = -1;
    } else if (wrong > 0 && (r.failed == 0 || wrong < r.failed)) {
        error_set(err, XFER_CONFIG, "%s:%d: neither [section] nor key = value", path, wrong);
    } else if (wrong < 0) {
        error_set(err, XFER_CONFIG, "%s: no memory to read it", path);
    }
    fclose(r.file);
    return wrong == 0 && r.failed == 0 ? 0 : -1;
}

/* ---- options -------------------------------------------------------------------------------- */

int conf_set(struct conf *conf, const char *assignment, struct xfer_error *err)
{
    const char *equals = strchr(assignment, '=');
    const char *dot = strchr(assignment, '.');
    const struct key *key;
    char name[64];

    if (equals == NULL || dot == NULL || dot > equals || dot == assignment || dot + 1 == equals)
        return error_set(err, XFER_CONFIG, "\"%s\" is not of the form SECTION.KEY=VALUE",
                         assignment);
    if ((size_t)(equals - dot) > sizeof name)
        return error_set(err, XFER_CONFIG, "unknown key %.*s", (int)(equals - assignment),
                         assignment);
    memcpy(name, dot + 1, (size_t)(equals - dot - 1));
    name[equals - dot - 1] = '\0';

    key = find_key(assignment, (size_t)(dot - assignment), name, err);
    if (key == NULL)
        return -1;
    if (set_value(conf, key, equals + 1, err) < 0)
        return error_prefix(err, "%s.%s", key->section, key->name);
    return 0;
}

/* ---- all of it together -----------------------------------------------------------------------
 */

static const char *key_text(const struct conf *conf, const struct key *key)
{
    return (const char *)conf + key->offset;
}

/* What ends up as a word on a launcher's command line, where it must not be taken for an option or
 * a list. */
static bool is_plain_word(const char *word)
{
    return word[0] != '-' && strpbrk(word, ",;'\"\\ \t\r\n") == NULL;
}

int conf_check(const struct conf *conf, struct xfer_error *err)
{
    for (size_t i = 0; i < KEYS; i++)
        if (keys[i].type == TYPE_PATH && key_text(conf, &keys[i])[0] == '\0')
            return error_set(err, XFER_CONFIG,
                             "%s.%s is not set, and uid %lu has no home directory (set HOME)",
                             keys[i].section, keys[i].name, (unsigned long)geteuid());

    if (strlen(conf->control_socket) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return error_set(
            err, XFER_CONFIG,
            "control.socket: %zu bytes, and the path of a Unix socket has at most %zu: %s",
            strlen(conf->control_socket), sizeof(((struct sockaddr_un *)0)->sun_path) - 1,
            conf->control_socket);
    if (conf->control_socket[strlen(conf->control_socket) - 1] == '/')
        return error_set(err, XFER_CONFIG, "control.socket: %s names a directory",
                         conf->control_socket);
    if ((conf->store_dir_mode & 0700) != 0700)
        return error_set(
            err, XFER_CONFIG,
            "store.dir_mode: %04o would lock the receiver itself out (0700 is the least)",
            (unsigned)conf->store_dir_mode);
    if (!is_plain_word(conf->peer_host) || strchr(conf->peer_host, ':') != NULL)
        return error_set(err, XFER_CONFIG, "peer.host: \"%s\" is no host name or IPv4 address",
                         conf->peer_host);
    if (conf->queue_retry_delay > conf->queue_retry_delay_max)
        return error_set(err, XFER_CONFIG, "queue.retry_delay: longer than queue.retry_delay_max");
    if (strpbrk(conf->peer_agent, ":\n") != NULL)
        return error_set(err, XFER_CONFIG, "peer.agent: a ':' in it would separate two agents: %s",
                         conf->peer_agent);
    if (!is_plain_word(conf->peer_user))
        return error_set(err, XFER_CONFIG, "peer.user: \"%s\" is no user name", conf->peer_user);
    if (conf->hook_timeout <= 0)
        return error_set(err, XFER_CONFIG, "hook.timeout: no program ends in no time");
    return 0;
}

static int find_group(const char *key, const char *name, gid_t *gid, struct xfer_error *err)
{
    const struct group *group;
    char *end;
    unsigned long n;

    *gid = (gid_t)-1;
    if (name[0] == '\0')
        return 0;
    group = getgrnam(name);
    if (group != NULL) {
        *gid = group->gr_gid;
        return 0;
    }
    errno = 0;
    n = strtoul(name, &end, 10);
    if (name[0] < '0' || name[0] > '9' || *end != '\0' || errno != 0 || n >= (gid_t)-1)
        return error_set(err, XFER_CONFIG, "%s: there is no group \"%s\"", key, name);
    *gid = (gid_t)n;
    return 0;
}

int conf_group(const struct conf *conf, gid_t *gid, struct xfer_error *err)
{
    return find_group("control.group", conf->control_group, gid, err);
}

int conf_store_group(const struct conf *conf, gid_t *gid, struct xfer_error *err)
{
    return find_group("store.group", conf->store_group, gid, err);
}

/* The value as it would be written in a file. */
static void format_value(const struct conf *conf, const struct key *key, char *out, size_t size)
{
    const char *place = (const char *)conf + key->offset;

    switch (key->type) {
    case TYPE_PATH:
    case TYPE_PROGRAM:
    case TYPE_PATHS:
    case TYPE_TEXT:
        snprintf(out, size, "%s", place);
        return;
    case TYPE_SOURCE:
        if (*(const int *)(const void *)place < 0) {
            snprintf(out, size, "source");
            return;
        }
        /* fallthrough */
    case TYPE_MODE:
        snprintf(out, size, "%04o", *(const unsigned *)(const void *)place);
        return;
    case TYPE_COUNT:
    case TYPE_SIZE:
        snprintf(out, size, "%lld", (long long)*(const int64_t *)(const void *)place);
        return;
    case TYPE_TIME:
        snprintf(out, size, "%.3fs", *(const double *)(const void *)place);
        return;
    case TYPE_CHOICE:
        snprintf(out, size, "%s", key->choices[*(const int *)(const void *)place]);
        return;
    case TYPE_BOOL:
        snprintf(out, size, "%s", *(const bool *)(const void *)place ? "yes" : "no");
        return;
    case TYPE_LEVEL:
        snprintf(out, size, "%s", log_level_name(*(const int *)(const void *)place));
        return;
    }
}

char *conf_assignment(const struct conf *conf, size_t i)
{
    char value[XFER_PATH_SIZE];
    char *assignment;

    if (i >= KEYS)
        return NULL;
    format_value(conf, &keys[i], value, sizeof value);
    if (asprintf(&assignment, "%s.%s=%s", keys[i].section, keys[i].name, value) < 0)
        return NULL;
    return assignment;
}

size_t conf_keys(void)
{
    return KEYS;
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

    format_value(a, &keys[i], x, sizeof x);
    format_value(b, &keys[i], y, sizeof y);
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
        format_value(conf, &keys[i], value, sizeof value);
        fprintf(out, "%s =%s%s\n", keys[i].name, *value != '\0' ? " " : "", value);
    }
}

void conf_list_keys(FILE *out)
{
    for (size_t i = 0; i < KEYS; i++)
        fprintf(out, "  %s.%-*s %s\n", keys[i].section, (int)(22 - strlen(keys[i].section)),
                keys[i].name, keys[i].help);
}
