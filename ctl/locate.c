/* SPDX-License-Identifier: MIT
 *
 * Which socket xferctl talks to. A user's own places lie partly in directories where others may
 * write, so what is found there counts only when it belongs to that user or to root.
 */
#include "ctl/locate.h"

#include <errno.h>
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

int locate_socket(const char *option, char path[XFER_PATH_SIZE], struct xfer_error *err)
{
    char places[PLACES_SOCKETS_MAX][XFER_PATH_SIZE];
    bool must_own[PLACES_SOCKETS_MAX];
    char tried[XFER_ERROR_TEXT_SIZE] = "";
    size_t used = 0;
    const char *set = getenv("XFER_SOCKET");
    int n;

    if (option)
        return copy_path(option, path, err);
    if (set && *set)
        return copy_path(set, path, err);

    n = places_sockets(places, must_own, geteuid(), variable);
    for (int i = 0; i < n; i++) {
        const char *wrong = look_at(places[i], must_own[i]);

        if (!wrong)
            return copy_path(places[i], path, err);
        if (used < sizeof(tried))
            used += (size_t)snprintf(tried + used, sizeof(tried) - used, "%s%s (%s)",
                                     i > 0 ? ", " : "", places[i], wrong);
    }
    return error_set(err, XFER_NO_DAEMON, "no daemon found; tried %s", tried);
}

int locate_connect(const char *path, struct xfer_error *err)
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
        error_set_errno(err, EACCES, "%s", path);
        break;
    case ECONNREFUSED:
        error_set(err, XFER_NO_DAEMON, "%s: no daemon listens there", path);
        break;
    default:
        error_set(err, XFER_NO_DAEMON, "no daemon at %s: %s", path, strerror(errno));
        break;
    }
    close(fd);
    return -1;
}
