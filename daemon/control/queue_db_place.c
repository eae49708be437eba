/* SPDX-License-Identifier: MIT
 *
 * The file of the queue before SQLite sees it: SQLite would make it with whatever mode, open it
 * read-only where it can't write, and throw away a log whose database is gone. Runs while the queue
 * is opened, and never while this process has the database open (closing any descriptor of a file
 * gives up all locks that the process has on it).
 */
#include "daemon/control/queue_db_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/safedir.h"

/* SQLite's locks on a file: the pending byte, the reserved one and the shared ones after them. */
#define LOCK_FIRST 0x40000000
#define LOCK_BYTES 512

/* DIR of "DIR/name" */
static void parent_of(const char *path, char parent[XFER_PATH_SIZE])
{
    size_t len = (size_t)(strrchr(path, '/') - path);

    if (len == 0)
        len = 1;
    memcpy(parent, path, len);
    parent[len] = '\0';
}

/* Make an entry of a directory survive a power failure. */
static int sync_directory(const char *path, struct xfer_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

    if (fd < 0)
        return error_set_errno(err, errno, "directory %s cannot be opened", path);
    rc = fsync(fd);
    close(fd);
    /* some file systems have no such thing for directories */
    if (rc < 0 && errno != EINVAL)
        return error_set_errno(err, errno, "directory %s cannot be synced", path);
    return 0;
}

static int make_directories(const char *path, struct xfer_error *err)
{
    char part[XFER_PATH_SIZE], parent[XFER_PATH_SIZE];
    struct stat st;

    memcpy(part, path, strlen(path) + 1);
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (stat(part, &st) < 0) {
            if (errno != ENOENT)
                return error_set_errno(err, errno, "%s", part);
            if (mkdir(part, 0700) == 0) {
                parent_of(part, parent);
                if (sync_directory(parent, err) < 0)
                    return -1;
            } else if (errno != EEXIST) {
                return error_set_errno(err, errno, "directory %s cannot be made", part);
            }
        }
        *slash = '/';
    }
    parent_of(path, parent);
    return safedir_ensure(parent, 0700, false, err);
}

/* A log without its database holds jobs that SQLite would delete. */
static int refuse_lone_log(const char *path, struct xfer_error *err)
{
    char log[XFER_PATH_SIZE + 8];
    struct stat st;

    snprintf(log, sizeof log, "%s-wal", path);
    if (stat(log, &st) < 0 || st.st_size == 0)
        return 0;
    return error_set(
        err, XFER_CONFIG,
        "%s is missing or empty, but its log %s is there: bring back the database that "
        "belongs to it, or move the log away too (the jobs in it are lost then)",
        path, log);
}

static int check_file(const char *path, int fd, struct xfer_error *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return error_set_errno(err, errno, "cannot be looked at");
    if (!S_ISREG(st.st_mode))
        return error_set(err, XFER_NOT_REGULAR, "is no regular file");
    return st.st_size == 0 ? refuse_lone_log(path, err) : 0;
}

static int make_file(const char *path, struct xfer_error *err)
{
    char parent[XFER_PATH_SIZE];
    int fd;

    if (refuse_lone_log(path, err) < 0)
        return -1;
    fd = open(path, O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot be made");
    close(fd);
    parent_of(path, parent);
    return sync_directory(parent, err);
}

static int place(const char *path, struct xfer_error *err)
{
    int fd, rc;

    if (make_directories(path, err) < 0)
        return -1;
    fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC); /* a FIFO must not hold us */
    if (fd < 0 && errno == ENOENT)
        return make_file(path, err);
    if (fd < 0 && errno == EROFS)
        return error_set(err, XFER_READ_ONLY,
                         "is on a read-only file system: put it on one that can be written");
    if (fd < 0 && errno == EACCES)
        return error_set(err, XFER_PERMISSION_DENIED, "let this user (uid %lu) write to it",
                         (unsigned long)geteuid());
    if (fd < 0)
        return error_set_errno(err, errno, "cannot be opened");
    rc = check_file(path, fd, err);
    close(fd);
    return rc;
}

int database_place(const char *path, struct xfer_error *err)
{
    if (path[0] != '/' || path[strlen(path) - 1] == '/')
        return error_set(err, XFER_CONFIG, "queue database %s: not the absolute path of a file",
                         path);
    if (strlen(path) + sizeof "-journal" > XFER_PATH_SIZE)
        return error_set(err, XFER_NAME_TOO_LONG, "queue database %s: too long", path);
    if (place(path, err) == 0)
        return 0;
    if (err->code == XFER_NO_SUCH_FILE)
        err->code = XFER_CONFIG; /* that one is for a job's files */
    return error_prefix(err, "queue database %s", path);
}

pid_t database_holder(const char *path)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCK_FIRST, .l_len = LOCK_BYTES};
    int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    pid_t pid = 0;

    if (fd < 0)
        return 0;
    if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0)
        pid = lock.l_pid;
    close(fd);
    return pid;
}
