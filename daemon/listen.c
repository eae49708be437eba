/* SPDX-License-Identifier: MIT
 *
 * Taking the control socket, step by step: a safe directory; a lock beside the socket (PATH.lock,
 * by flock, for life), so that of two daemons that start at once one wins; whoever answers at the
 * old socket is alive and keeps it; a socket that nobody answers at is stale and is removed;
 * anything else that bears the name is left alone. It is bound with no permissions for others, and
 * gets group and mode after.
 */
#include "daemon/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/safedir.h"

#define BACKLOG    4096 /* the kernel takes less where somaxconn says so */
#define SYSTEMD_FD 3

/* For the ranks of a dead supervisor: how long they may take to end, and looks a second. */
#define LEFT_SECONDS 7
#define LEFT_LOOKS   50

struct listener {
    int fd, lock;
    bool inherited; /* systemd's: its name is none of our business */
    bool left;      /* who had the lock before died without giving it back */
    bool bound;     /* the name in the file system is ours: dev, ino */
    dev_t dev;
    ino_t ino;
    char path[XFER_PATH_SIZE];
    char lock_path[XFER_PATH_SIZE];
};

static int set_flags(int fd, struct xfer_error *err)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return error_set_errno(err, errno, "the control socket");
    return 0;
}

/* ---- systemd's ------------------------------------------------------------------------------ */

/* How many descriptors systemd passed to this very process. */
static int passed_descriptors(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    int n = 0;

    if (pid != NULL && count != NULL && strtol(pid, NULL, 10) == (long)getpid())
        n = atoi(count);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return n;
}

static int take_passed(struct listener *l, int count, struct xfer_error *err)
{
    struct sockaddr_un addr;
    socklen_t addr_len = sizeof addr, len;
    int domain = 0, type = 0, accepts = 0;

    if (count != 1)
        return error_set(err, XFER_CONFIG, "systemd passed %d sockets, and one is due", count);
    l->inherited = true;
    l->fd = SYSTEMD_FD;
    len = sizeof(int);
    if (getsockopt(l->fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 ||
        getsockopt(l->fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
        getsockopt(l->fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &len) < 0)
        return error_set_errno(err, errno, "the socket that systemd passed");
    if (domain != AF_UNIX || type != SOCK_STREAM || !accepts)
        return error_set(err, XFER_CONFIG,
                         "systemd passed something else than a listening Unix stream socket");
    memset(&addr, 0, sizeof addr);
    if (getsockname(l->fd, (struct sockaddr *)&addr, &addr_len) == 0 &&
        addr_len > sizeof addr.sun_family)
        snprintf(l->path, sizeof l->path, "%.*s", (int)sizeof addr.sun_path, addr.sun_path);
    return set_flags(l->fd, err);
}

/* ---- our own -------------------------------------------------------------------------------- */

static int ensure_directory(const struct conf *conf, const char *path, struct xfer_error *err)
{
    char dir[XFER_PATH_SIZE];
    char *slash;

    snprintf(dir, sizeof dir, "%s", path);
    slash = strrchr(dir, '/');
    slash[slash == dir ? 1 : 0] = '\0';
    return safedir_ensure(dir, conf->places.service ? 0755 : 0700, false, err);
}

/* "" or " by pid N", whatever the holder wrote there. */
static void describe_holder(int lock, char *out, size_t size)
{
    char text[32];
    ssize_t n = pread(lock, text, sizeof text - 1, 0);
    long pid;

    out[0] = '\0';
    if (n <= 0)
        return;
    text[n] = '\0';
    pid = strtol(text, NULL, 10);
    if (pid > 0)
        snprintf(out, size, " by pid %ld", pid);
}

static int take_lock(struct listener *l, struct xfer_error *err)
{
    for (;;) {
        struct stat held, named;
        char holder[64];

        l->lock = open(l->lock_path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
        if (l->lock < 0)
            return error_set_errno(err, errno, "%s", l->lock_path);
        if (flock(l->lock, LOCK_EX | LOCK_NB) < 0) {
            int saved = errno;

            describe_holder(l->lock, holder, sizeof holder);
            close(l->lock);
            l->lock = -1;
            if (saved == EWOULDBLOCK)
                return error_set(err, XFER_TOO_BUSY, "%s is already served%s", l->path, holder);
            return error_set_errno(err, saved, "%s", l->lock_path);
        }
        /* The last holder removes the name before it lets go: only a lock that still bears the name
         * counts. */
        if (fstat(l->lock, &held) == 0 && lstat(l->lock_path, &named) == 0 &&
            held.st_dev == named.st_dev && held.st_ino == named.st_ino) {
            l->left = held.st_size > 0;
            break;
        }
        close(l->lock);
        l->lock = -1;
    }
    if (ftruncate(l->lock, 0) < 0 || dprintf(l->lock, "%ld\n", (long)getpid()) < 0)
        return error_set_errno(err, errno, "%s", l->lock_path);
    return 0;
}

/* Clears the name of a dead socket. */
static int remove_stale(const char *path, const struct sockaddr_un *addr, struct xfer_error *err)
{
    struct stat st;
    int fd, result, saved;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : error_set_errno(err, errno, "%s", path);
    if (!S_ISSOCK(st.st_mode))
        return error_set(err, XFER_CONFIG, "%s is there already and is no socket; it is left alone",
                         path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set_errno(err, errno, "no socket");
    result = connect(fd, (const struct sockaddr *)addr, sizeof *addr);
    saved = errno;
    close(fd);
    if (result == 0 || saved == EAGAIN || saved == EINPROGRESS)
        return error_set(err, XFER_TOO_BUSY, "%s is already served by another process", path);
    if (saved == ENOENT)
        return 0;
    if (saved != ECONNREFUSED)
        return error_set_errno(err, saved, "%s: the socket that is there cannot be tried", path);
    if (unlink(path) < 0 && errno != ENOENT)
        return error_set_errno(err, errno, "%s: the stale socket cannot be removed", path);
    return 0;
}

/* The ranks of a killed supervisor need a moment to end; until then they hold its socket. */
static int clear_name(const struct listener *l, const struct sockaddr_un *addr,
                      struct xfer_error *err)
{
    const struct timespec pause = {.tv_nsec = 1000000000 / LEFT_LOOKS};

    for (int looks = l->left ? LEFT_SECONDS * LEFT_LOOKS : 1;; looks--) {
        struct xfer_error why = XFER_ERROR_INIT;

        if (remove_stale(l->path, addr, &why) == 0)
            return 0;
        if (why.code != XFER_TOO_BUSY || looks <= 1) {
            *err = why;
            return -1;
        }
        nanosleep(&pause, NULL);
    }
}

static int set_access(const struct listener *l, const struct conf *conf, struct xfer_error *err)
{
    gid_t gid;

    if (conf_group(conf, &gid, err) < 0)
        return -1;
    if (gid != (gid_t)-1) {
        if (lchown(l->path, (uid_t)-1, gid) < 0)
            return error_set_errno(err, errno, "%s cannot be given to the group %s", l->path,
                                   conf->control_group);
    } else if (conf->places.service && strcmp(l->path, conf->places.socket) == 0) {
        log_warning("there is no group xfer: only root can use %s", l->path);
    }
    if (chmod(l->path, (mode_t)conf->control_mode) < 0)
        return error_set_errno(err, errno, "the mode of %s", l->path);
    return 0;
}

static int bind_own(struct listener *l, const struct conf *conf, struct xfer_error *err)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct stat st;
    mode_t mask;
    int result;

    if (strlen(conf->control_socket) >= sizeof addr.sun_path)
        return error_set(
            err, XFER_CONFIG, "%s: %zu bytes, and the path of a Unix socket has at most %zu",
            conf->control_socket, strlen(conf->control_socket), sizeof addr.sun_path - 1);
    memcpy(l->path, conf->control_socket, sizeof l->path);
    memcpy(addr.sun_path, l->path, strlen(l->path) + 1);
    snprintf(l->lock_path, sizeof l->lock_path, "%.*s.lock", (int)sizeof addr.sun_path, l->path);

    if (ensure_directory(conf, l->path, err) < 0 || take_lock(l, err) < 0 ||
        clear_name(l, &addr, err) < 0)
        return -1;

    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        return error_set_errno(err, errno, "no socket");
    mask = umask(0177);
    result = bind(l->fd, (struct sockaddr *)&addr, sizeof addr);
    umask(mask);
    if (result < 0 || lstat(l->path, &st) < 0)
        return error_set_errno(err, errno, "%s", l->path);
    l->bound = true;
    l->dev = st.st_dev;
    l->ino = st.st_ino;

    if (set_access(l, conf, err) < 0)
        return -1;
    if (listen(l->fd, BACKLOG) < 0)
        return error_set_errno(err, errno, "%s", l->path);
    return 0;
}

/* ---- life ----------------------------------------------------------------------------------- */

struct listener *listener_create(const struct conf *conf, struct xfer_error *err)
{
    struct listener *l = calloc(1, sizeof *l);
    int passed = passed_descriptors();

    if (l == NULL) {
        error_set(err, XFER_NO_RESOURCES, "no memory");
        return NULL;
    }
    l->fd = -1;
    l->lock = -1;
    if ((passed > 0 ? take_passed(l, passed, err) : bind_own(l, conf, err)) < 0) {
        listener_destroy(l);
        return NULL;
    }
    return l;
}

void listener_withdraw(struct listener *l)
{
    struct stat st;

    if (l->bound && lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
        unlink(l->path);
    l->bound = false;
}

void listener_destroy(struct listener *l)
{
    if (l == NULL)
        return;
    listener_withdraw(l);
    if (l->fd >= 0)
        close(l->fd);
    if (l->lock >= 0) {
        unlink(l->lock_path); /* while it is held: see take_lock() */
        close(l->lock);
    }
    free(l);
}

int listener_fd(const struct listener *l)
{
    return l->fd;
}

const char *listener_path(const struct listener *l)
{
    return l->path;
}
