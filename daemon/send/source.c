/* SPDX-License-Identifier: MIT
 *
 * See source.h. One struct belongs to one struct send; its calls are never made by two threads at
 * once, because they are works of one strand, and the loop reads only while none is outstanding.
 */
#include "daemon/send/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daemon/send/source_way.h"
#include "daemon/send/walk.h"
#include "daemon/work/xattr.h"
#include "proto/control_method.h"

int source_init(struct source *s, const char *path, struct xfer_error *err)
{
    *s = (struct source){.fd = -1, .given = -1};
    s->path = strdup(path);
    return s->path ? 0 : error_set_errno(err, ENOMEM, "source");
}

int source_give(struct source *s, uint64_t dev, uint64_t ino, int fd, struct xfer_error *err)
{
    s->handle = true;
    s->handle_dev = dev;
    s->handle_ino = ino;
    if (fd < 0)
        return 0;
    s->given = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return s->given >= 0 ? 0 : error_set_errno(err, errno, "the descriptor of %s", s->path);
}

static int fail(struct source *s, int errnum, struct xfer_error *err)
{
    return source_way_fail(s->policy, errnum, s->path, err);
}

int source_in(struct source *s, struct walk_dir *dir, const char *name, const struct stat *seen,
              struct xfer_error *err)
{
    s->name = strdup(name);
    if (!s->name)
        return error_set_errno(err, ENOMEM, "source");
    s->dir = walk_dir_share(dir);
    s->seen = *seen;
    return 0;
}

static int changed(struct source *s, const char *how, struct xfer_error *err)
{
    error_set(err, XFER_SOURCE_CHANGED, "%s: %s while it was being sent", s->path, how);
    return error_about(err, XFER_SIDE_SENDER, s->path);
}

static int open_regular(struct source *s, struct xfer_error *err)
{
    char proc[64];
    int path_fd = source_way_open(s->policy, s->path, false, &s->st, NULL, err), saved;

    if (path_fd < 0)
        return -1;
    snprintf(proc, sizeof(proc), "/proc/self/fd/%d", path_fd);
    s->fd = open(proc, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    saved = errno;
    close(path_fd);
    return s->fd < 0 ? fail(s, saved, err) : 0;
}

/* Files of /proc and the like tell a size of 0 and have contents: they must not arrive as empty
 * ones. */
static int check_empty(struct source *s, struct xfer_error *err)
{
    char byte;
    ssize_t n = pread(s->fd, &byte, 1, 0);

    if (n == 0)
        return 0;
    if (n < 0)
        return fail(s, errno, err);
    if (source_check(s, err)) /* it grew just now */
        return -1;
    error_set(err, XFER_NOT_REGULAR,
              "%s: tells a size of 0 but has contents, like the files of /proc", s->path);
    return error_about(err, XFER_SIDE_SENDER, s->path);
}

static int read_whole(struct source *s, struct xfer_error *err)
{
    size_t size = (size_t)s->st.st_size;

    s->whole = malloc(size + 1);
    if (!s->whole)
        return error_set_errno(err, ENOMEM, "%s", s->path);
    if (source_read(s, s->whole, size, 0, err) || (size == 0 && check_empty(s, err)) ||
        source_check(s, err))
        return -1;
    source_close(s);
    return 0;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_unchanged(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_mode == b->st_mode &&
           a->st_size == b->st_size && same_time(&a->st_mtim, &b->st_mtim) &&
           same_time(&a->st_ctim, &b->st_ctim);
}

static bool seems_sparse(const struct source *s, const struct stat *st)
{
    return (s->preserve & PRESERVE_SPARSE) && st->st_size / 512 > st->st_blocks;
}

/* A small file of a tree, just opened. When it is in the end still what the walk saw, it was all
 * the time, and nobody needs to ask in between: a change of its name, too, is one of its inode.
 * (Nothing else than a regular file has anything to be read at an offset.) False: it is not, or
 * can't be read; nothing has happened, and the long way will tell. */
static bool read_as_seen(struct source *s)
{
    size_t size = (size_t)s->seen.st_size;
    struct xfer_error why;
    struct stat now;

    if (size == 0 || size > SOURCE_WHOLE_MAX || attrs_any(s->preserve) || seems_sparse(s, &s->seen))
        return false;
    s->whole = malloc(size);
    if (s->whole && source_read(s, s->whole, size, 0, &why) == 0 && fstat(s->fd, &now) == 0 &&
        is_unchanged(&now, &s->seen)) {
        s->st = now;
        return true;
    }
    free(s->whole);
    s->whole = NULL;
    return false;
}

/* Errors by which the path does not lead to the file that was handed over. */
static bool is_lost_by(enum xfer_code code)
{
    switch (code) {
    case XFER_PERMISSION_DENIED:
    case XFER_NO_SUCH_FILE:
    case XFER_NOT_DIRECTORY:
    case XFER_UNSAFE_PATH:
    case XFER_NAME_TOO_LONG:
    case XFER_IS_DIRECTORY:
    case XFER_NOT_REGULAR:
        return true;
    default:
        return false;
    }
}

static int lost(struct source *s, const char *cure, struct xfer_error *err)
{
    error_set(
        err, XFER_SOURCE_HANDLE_LOST,
        "%.400s: was handed over as an open file, which a restart of xferd (as %s) has lost, and "
        "%s",
        s->path, source_policy_user(s->policy), cure);
    return error_about(err, XFER_SIDE_SENDER, s->path);
}

/* The descriptor that was handed over, or after a restart the same file by its path. */
static int open_handle(struct source *s, struct xfer_error *err)
{
    s->fd = s->given;
    s->given = -1;
    if (s->fd >= 0)
        return 0;
    if (open_regular(s, err)) {
        if (is_lost_by(err->code))
            return lost(s, "xferd can't open it itself: 'xferctl retry' hands it over again", err);
        return -1;
    }
    if (s->st.st_dev == s->handle_dev && s->st.st_ino == s->handle_ino)
        return 0;
    source_close(s);
    return lost(s, "its path leads to another file now: send that one anew", err);
}

static int replaced(struct source *s, struct xfer_error *err)
{
    error_set(err, XFER_SOURCE_CHANGED, "%s: was replaced or removed since the tree was read",
              s->path);
    return error_about(err, XFER_SIDE_SENDER, s->path);
}

/* The walk has found that it may be sent, and there the inode is what counts; only what xferd has
 * become since is looked at once more. */
static int open_in(struct source *s, struct xfer_error *err)
{
    s->fd = openat(s->dir->fd, s->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (s->fd < 0 && (errno == ENOENT || errno == ELOOP || errno == ENXIO))
        return replaced(s, err);
    if (s->fd < 0 && (errno == EACCES || errno == EPERM))
        return source_policy_denied_in(s->policy, errno, s->path, err);
    if (s->fd < 0)
        return fail(s, errno, err);
    if (!read_as_seen(s) && fstat(s->fd, &s->st))
        return fail(s, errno, err);
    if (s->st.st_dev != s->seen.st_dev || s->st.st_ino != s->seen.st_ino || !S_ISREG(s->st.st_mode))
        return replaced(s, err);
    return source_policy_check_in(s->policy, &s->dir->place, s->name, &s->st, s->path, err);
}

static int open_by_path(struct source *s, struct xfer_error *err)
{
    if (s->handle ? open_handle(s, err) : open_regular(s, err))
        return -1;
    return fstat(s->fd, &s->st) ? fail(s, errno, err) : 0;
}

/* They are what they were when it was opened, or source_check() will tell: its change time. */
static void read_attrs(struct source *s)
{
    struct xfer_error why = XFER_ERROR_INIT;

    if (attrs_any(s->preserve) && xattr_collect(s->fd, s->preserve, &s->attrs, &why))
        s->unsent = strdup(why.text);
}

int source_open(struct source *s, struct xfer_error *err)
{
    if (s->dir ? open_in(s, err) : open_by_path(s, err))
        return -1;
    if (s->whole) {
        source_close(s);
        return 0;
    }
    read_attrs(s);
    s->holes = seems_sparse(s, &s->st);
    if (s->st.st_size <= SOURCE_WHOLE_MAX && !s->holes)
        return read_whole(s, err);
    (void)posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return 0;
}

int source_size(struct source *s, int64_t *size, struct xfer_error *err)
{
    if (open_regular(s, err))
        return -1;
    if (fstat(s->fd, &s->st)) {
        fail(s, errno, err);
        source_close(s);
        return -1;
    }
    *size = s->st.st_size;
    source_close(s);
    return 0;
}

size_t source_read_now(struct source *s, void *buf, size_t len, uint64_t offset)
{
    struct iovec iov = {.iov_base = buf, .iov_len = len};
    ssize_t n;

    if (s->no_nowait)
        return 0;
    n = preadv2(s->fd, &iov, 1, (off_t)offset, RWF_NOWAIT);
    if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL))
        s->no_nowait = true;
    return n > 0 ? (size_t)n : 0;
}

int source_read(struct source *s, void *buf, size_t len, uint64_t offset, struct xfer_error *err)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = pread(s->fd, (char *)buf + done, len - done, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(s, errno, err);
        if (n == 0)
            return changed(s, "became shorter", err);
        done += (size_t)n;
    }
    return 0;
}

/* What its name tells is all that there is to ask, as long as that is the same inode. */
static int stat_in(struct source *s, struct stat *now, struct xfer_error *err)
{
    if (fstatat(s->dir->fd, s->name, now, AT_SYMLINK_NOFOLLOW)) {
        if (errno != ENOENT && errno != ENOTDIR)
            return fail(s, errno, err);
        return changed(s, "was replaced or removed", err);
    }
    if (now->st_dev != s->st.st_dev || now->st_ino != s->st.st_ino)
        return changed(s, "was replaced or removed", err);
    return 0;
}

int source_check(struct source *s, struct xfer_error *err)
{
    struct stat now, named;

    if (s->dir) {
        if (stat_in(s, &now, err))
            return -1;
    } else if (fstat(s->fd, &now)) {
        return fail(s, errno, err);
    }
    if (now.st_size != s->st.st_size)
        return changed(s, now.st_size > s->st.st_size ? "grew" : "became shorter", err);
    /* Of one that was handed over the name says nothing, and the daemon need not find it. */
    if (!s->handle && !s->dir &&
        (stat(s->path, &named) || named.st_dev != now.st_dev || named.st_ino != now.st_ino))
        return changed(s, "was replaced or removed", err);
    if (!same_time(&now.st_mtim, &s->st.st_mtim) || !same_time(&now.st_ctim, &s->st.st_ctim))
        return changed(s, "was changed", err);
    return 0;
}

void source_close(struct source *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

void source_leave(struct source *s)
{
    walk_dir_release(s->dir);
    free(s->name);
    s->dir = NULL;
    s->name = NULL;
}

void source_forget(struct source *s)
{
    source_leave(s);
    free(s->whole);
    s->whole = NULL;
    source_drop_attrs(s);
}

void source_drop_attrs(struct source *s)
{
    free(s->attrs);
    s->attrs = NULL;
}

void source_free(struct source *s)
{
    source_close(s);
    if (s->given >= 0)
        close(s->given);
    s->given = -1;
    source_forget(s);
    free(s->unsent);
    s->unsent = NULL;
    free(s->path);
    s->path = NULL;
}
