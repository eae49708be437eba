/* SPDX-License-Identifier: MIT
 *
 * Which socket xferctl talks to. A user's own places lie partly in directories where others may
 * write, so what is found there counts only when it belongs to that user or to root.
 */
#include "ctl/locate.h"

#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/places.h"

static const char *variable(const char *name)
{
    return getenv(name);
}

static bool trusted(const struct stat *st)
{
    return st->st_uid == geteuid() || st->st_uid == 0;
}

/* NULL when a socket to be used is there, else what is wrong. */
static const char *look_at(const char *path, bool must_own)
{
    char dir[XFER_PATH_SIZE];
    const char *slash = strrchr(path, '/');
    struct stat st, dir_st;

    if (lstat(path, &st))
        return errno == ENOENT ? "not there" : strerror(errno);
    if (!must_own)
        return NULL;
    if (!S_ISSOCK(st.st_mode))
        return "no socket";
    if (!trusted(&st))
        return "belongs to another user";
    snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    if (lstat(dir, &dir_st))
        return strerror(errno);
    if (!S_ISDIR(dir_st.st_mode))
        return "its directory is none";
    if (!trusted(&dir_st) || (dir_st.st_mode & S_IWOTH))
        return "others may write to its directory";
    return NULL;
}

static int copy_path(const char *from, char path[XFER_PATH_SIZE], struct xfer_error *err)
{
    if (*from == '\0')
        return error_set(err, XFER_USAGE, "the path of the socket is empty");
    if (strlen(from) >= XFER_PATH_SIZE)
        return error_set(err, XFER_USAGE, "the path of the socket is too long");
    strcpy(path, from);
    return 0;
}

int locate_socket(const char *option, char path[XFER_PATH_SIZE], bool *found,
                  struct xfer_error *err)
{
    char places[PLACES_SOCKETS_MAX][XFER_PATH_SIZE];
    bool must_own[PLACES_SOCKETS_MAX];
    char tried[XFER_ERROR_TEXT_SIZE] = "";
    size_t used = 0;
    const char *set = getenv("XFER_SOCKET");
    int n;

    *found = false;
    if (option)
        return copy_path(option, path, err);
    if (set && *set)
        return copy_path(set, path, err);

    n = places_sockets(places, must_own, geteuid(), variable);
    for (int i = 0; i < n; i++) {
        const char *wrong = look_at(places[i], must_own[i]);

        if (!wrong) {
            *found = true;
            return copy_path(places[i], path, err);
        }
        if (used < sizeof(tried))
            used += (size_t)snprintf(tried + used, sizeof(tried) - used, "%s%s (%s)",
                                     i > 0 ? ", " : "", places[i], wrong);
    }
    return error_set(err, XFER_NO_DAEMON,
                     "no daemon found (start xferd, or name its socket with -s); tried %s", tried);
}

static void append(struct xfer_error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void append(struct xfer_error *err, const char *fmt, ...)
{
    size_t len = strlen(err->text);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(err->text + len, sizeof(err->text) - len, fmt, ap);
    va_end(ap);
    error_clean(err->text);
}

/* The daemon may be at a place that comes later, behind a socket that a dead one left. */
static void tell_other_sockets(const char *path, struct xfer_error *err)
{
    char places[PLACES_SOCKETS_MAX][XFER_PATH_SIZE];
    bool must_own[PLACES_SOCKETS_MAX];
    int n = places_sockets(places, must_own, geteuid(), variable), others = 0;
    struct stat st;

    for (int i = 0; i < n; i++)
        if (strcmp(places[i], path) != 0 && !look_at(places[i], must_own[i]) &&
            stat(places[i], &st) == 0 && S_ISSOCK(st.st_mode))
            append(err, "%s%s", others++ ? ", " : "; there is also ", places[i]);
    if (others)
        append(err, " (-s PATH or XFER_SOCKET chooses one)");
}

/* connect() says the same of all that nobody listens at. */
static void refused(const char *path, bool found, struct xfer_error *err)
{
    struct stat st;
    bool known = stat(path, &st) == 0;

    error_set(err, XFER_NO_DAEMON, "%s: %s", path,
              known && S_ISDIR(st.st_mode)     ? "is a directory, not a socket"
              : known && !S_ISSOCK(st.st_mode) ? "is no socket"
                                               : "no daemon listens there");
    if (found)
        tell_other_sockets(path, err);
}

static void denied(const char *path, struct xfer_error *err)
{
    struct stat st;
    struct group *group;

    error_set_errno(err, EACCES, "%s", path);
    if (stat(path, &st) || !S_ISSOCK(st.st_mode) || !(st.st_mode & S_IWGRP))
        return;
    group = getgrgid(st.st_gid);
    if (group)
        append(err, "; members of group %s may connect", group->gr_name);
    else
        append(err, "; members of group %lu may connect", (unsigned long)st.st_gid);
}

int locate_connect(const char *path, bool found, struct xfer_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof(address.sun_path))
        return error_set(err, XFER_USAGE, "%s: too long for a socket (at most %zu bytes)", path,
                         sizeof(address.sun_path) - 1);
    strcpy(address.sun_path, path);

    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set_errno(err, errno, "socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;

    switch (errno) {
    case EAGAIN:
        error_set(err, XFER_TOO_BUSY, "%s: too many connections wait there", path);
        break;
    case EACCES:
    case EPERM:
        denied(path, err);
        break;
    case ECONNREFUSED:
        refused(path, found, err);
        break;
    default:
        error_set(err, XFER_NO_DAEMON, "no daemon at %s: %s", path, strerror(errno));
        break;
    }
    close(fd);
    return -1;
}
