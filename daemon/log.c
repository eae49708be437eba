/* SPDX-License-Identifier: MIT
 *
 * The log: formatted on the caller's stack, made printable, written with one system call that
 * cannot wait. Every process of the daemon has one; any thread may call. Nothing is allocated,
 * nothing is locked.
 *
 * The ranks' stderr is a pipe to the launcher, which passes lines on unchanged; so what tells that
 * the end of it is the journal comes to them in the environment (LOG_PREFIX_VARIABLE).
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

/* A pipe takes up to PIPE_BUF bytes at once or not at all, and poll() says whether there is room
 * for as much. */
#define LINE_SIZE PIPE_BUF

static struct {
    char who[32];
    atomic_int level;
    bool prefix; /* "<N>" in front of each line */
    bool socket; /* stderr is one */
} log_state = {.who = "xferd", .level = LOG_LEVEL_NOTICE};

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

void log_init(const char *who)
{
    struct stat st;
    const char *prefix = getenv(LOG_PREFIX_VARIABLE);

    snprintf(log_state.who, sizeof log_state.who, "%s", who);
    if (fstat(STDERR_FILENO, &st) < 0)
        return;
    log_state.socket = S_ISSOCK(st.st_mode);
    log_state.prefix = stderr_is_journal(&st) || (prefix != NULL && strcmp(prefix, "1") == 0);
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

static void log_line(enum log_level level, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));

static void log_line(enum log_level level, const char *fmt, va_list args)
{
    char line[LINE_SIZE];
    size_t len = 0;
    int saved = errno;

    if (log_state.prefix)
        len = (size_t)snprintf(line, sizeof line, "<%d>", levels[level].priority);
    len += (size_t)snprintf(line + len, sizeof line - len, "%s: %s", log_state.who,
                            levels[level].word);
    vsnprintf(line + len, sizeof line - len - 1, fmt, args);
    error_clean(line);
    len = strlen(line);
    line[len++] = '\n';
    write_line(line, len);
    errno = saved;
}

static bool is_wanted(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&log_state.level, memory_order_relaxed);
}

void log_announce(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    log_line(LOG_LEVEL_NOTICE, fmt, args);
    va_end(args);
}

#define LOG_FUNCTION(name, level)   \
    void name(const char *fmt, ...) \
    {                               \
        va_list args;               \
                                    \
        if (!is_wanted(level))      \
            return;                 \
        va_start(args, fmt);        \
        log_line(level, fmt, args); \
        va_end(args);               \
    }

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING)
LOG_FUNCTION(log_notice, LOG_LEVEL_NOTICE)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
