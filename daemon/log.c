/* SPDX-License-Identifier: MIT
 *
 * The log: formatted on the caller's stack, made printable, written with one system call that
 * cannot wait. Every process of the daemon has one; any thread may call. Nothing is allocated,
 * nothing is locked.
 *
 * The ranks' stderr is a pipe to the launcher, which passes lines on unchanged; so what tells that
 * the end of it is the journal comes to them in the environment (LOG_PREFIX_VARIABLE). A rank on
 * another host does not have that, and its lines come by way of the launcher.
 */
#include "daemon/log.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/journal.h"

/* A pipe takes up to PIPE_BUF bytes at once or not at all, and poll() says whether there is room
 * for as much. */
#define LINE_SIZE PIPE_BUF

static struct {
    char who[32];
    int rank; /* -1: none */
    atomic_int level;
    bool prefix; /* "<N>" in front of each line */
    bool socket; /* stderr is one */
    int journal; /* -1: stderr alone */
} log_state = {.who = "xferd", .rank = -1, .level = LOG_LEVEL_NOTICE, .journal = -1};

static const struct {
    const char *name;
    int priority; /* of syslog(3), after which sd-daemon(3)'s prefixes are numbered */
    const char *word;
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", 3, ""},   [LOG_LEVEL_WARNING] = {"warning", 4, "warning: "},
    [LOG_LEVEL_NOTICE] = {"notice", 5, ""}, [LOG_LEVEL_INFO] = {"info", 6, ""},
    [LOG_LEVEL_DEBUG] = {"debug", 7, ""},
};

static bool stderr_is_journal(const struct stat *st)
{
    const char *stream = getenv("JOURNAL_STREAM");
    uintmax_t dev, ino;

    return stream != NULL && sscanf(stream, "%ju:%ju", &dev, &ino) == 2 && st->st_dev == dev &&
           st->st_ino == ino;
}

void log_init(int rank)
{
    struct stat st;
    const char *prefix = getenv(LOG_PREFIX_VARIABLE);

    log_state.rank = rank;
    snprintf(log_state.who, sizeof log_state.who, rank < 0 ? "xferd" : "xferd[%d]", rank);
    if (fstat(STDERR_FILENO, &st) < 0)
        return;
    log_state.socket = S_ISSOCK(st.st_mode);
    log_state.prefix = stderr_is_journal(&st) || (prefix != NULL && strcmp(prefix, "1") == 0);
    if (log_state.prefix && log_state.journal < 0)
        log_state.journal = journal_open();
}

bool log_has_prefix(void)
{
    return log_state.prefix;
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&log_state.level, (int)level, memory_order_relaxed);
}

int log_level_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
        if (strcmp(name, levels[i].name) == 0)
            return (int)i;
    return -1;
}

const char *log_level_name(int level)
{
    if (level < 0 || (size_t)level >= sizeof levels / sizeof levels[0])
        return "unknown";
    return levels[level].name;
}

static void write_line(const char *line, size_t len)
{
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    ssize_t n;

    if (log_state.socket)
        n = send(STDERR_FILENO, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    else if (poll(&room, 1, 0) == 1 && (room.revents & POLLOUT))
        n = write(STDERR_FILENO, line, len);
    else
        n = -1;
    (void)n; /* there is nobody to tell */
}

struct about {
    int64_t job;
    const char *path;
};

static void log_line(enum log_level level, const struct about *about, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));

static void log_line(enum log_level level, const struct about *about, const char *fmt, va_list args)
{
    struct journal_entry entry = {.priority = levels[level].priority,
                                  .rank = log_state.rank,
                                  .job = about->job,
                                  .path = about->path};
    char line[LINE_SIZE];
    size_t len = 0, text;
    int saved = errno;

    if (log_state.prefix)
        len = (size_t)snprintf(line, sizeof line, "<%d>", levels[level].priority);
    len += (size_t)snprintf(line + len, sizeof line - len, "%s: %s", log_state.who,
                            levels[level].word);
    text = len;
    vsnprintf(line + len, sizeof line - len - 1, fmt, args);
    error_clean(line);
    entry.message = line + text;
    if (log_state.journal < 0 || !journal_send(log_state.journal, JOURNAL_SOCKET, &entry)) {
        len = strlen(line);
        line[len++] = '\n';
        write_line(line, len);
    }
    errno = saved;
}

static const struct about nothing = {.job = 0};

static bool is_wanted(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&log_state.level, memory_order_relaxed);
}

void log_announce(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    log_line(LOG_LEVEL_NOTICE, &nothing, fmt, args);
    va_end(args);
}

void log_job(enum log_level level, int64_t job, const char *path, const char *fmt, ...)
{
    const struct about about = {.job = job, .path = path};
    va_list args;

    if (!is_wanted(level))
        return;
    va_start(args, fmt);
    log_line(level, &about, fmt, args);
    va_end(args);
}

#define LOG_FUNCTION(name, level)             \
    void name(const char *fmt, ...)           \
    {                                         \
        va_list args;                         \
                                              \
        if (!is_wanted(level))                \
            return;                           \
        va_start(args, fmt);                  \
        log_line(level, &nothing, fmt, args); \
        va_end(args);                         \
    }

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING)
LOG_FUNCTION(log_notice, LOG_LEVEL_NOTICE)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
