/* SPDX-License-Identifier: MIT
 *
 * Two ways to the parent directory of a path. The short one asks openat2() for all of it at once,
 * beneath the root and without symbolic links. Whatever that doesn't answer with a descriptor -
 * something is missing, something is in the way, the system call is filtered
 * - goes the long way: component by component, each opened relative to the one before with
 * O_NOFOLLOW. The long way is as safe as the short one, makes what is missing, and knows which
 * component is to blame.
 *
 * A directory can be removed between two steps, by a user or by another worker that takes back what
 * it had made. Then the walk begins again at the root.
 */
#include "daemon/receive/store_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "daemon/receive/store_dir.h"
#include "daemon/work/identity.h"

#define OPEN_DIR (O_PATH | O_DIRECTORY | O_CLOEXEC)
#define READ_DIR (O_RDONLY | O_DIRECTORY | O_CLOEXEC)

enum step { STEP_OK, STEP_MISSING, STEP_AGAIN, STEP_FAILED };

static int open_at_once(struct store *store, const char *path, size_t len)
{
    struct open_how how = {
        .flags = OPEN_DIR,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    char dir[XFER_PATH_SIZE];
    long fd;

    if (!atomic_load_explicit(&store->openat2, memory_order_relaxed))
        return -1;
    memcpy(dir, path, len);
    dir[len] = '\0';
    fd = syscall(SYS_openat2, store->root_fd, dir, &how, sizeof how);
    /* EPERM is how some filters say ENOSYS */
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        atomic_store_explicit(&store->openat2, false, memory_order_relaxed);
    return (int)fd;
}

/* The group first: a change of it may take bits away. */
static int set_group_and_mode(const struct store *store, int fd, const struct stat *st, mode_t mode)
{
    if (store->group_set && st->st_gid != store->group && fchown(fd, (uid_t)-1, store->group) != 0)
        return -1;
    if (fchmod(fd, mode) != 0 && !(errno == EPERM && (mode & S_ISGID)))
        return -1;
    return 0;
}

/* mkdirat() was subject to the umask, which must not be touched in a process of many threads. As
 * the daemon: a user who is no member of the group could neither give it nor let the directory pass
 * it on. */
int store_path_settle(const struct store *store, int fd, mode_t mode)
{
    const struct identity *who;
    struct stat st;
    int rc, saved;

    if (fstat(fd, &st) != 0)
        return -1;
    mode |= st.st_mode & S_ISGID; /* the group that a directory passes on is the host's business */
    if (st.st_uid != identity_now() || ((st.st_mode & 07777) == mode && !store->group_set))
        return 0;
    who = identity_pause();
    rc = set_group_and_mode(store, fd, &st, mode);
    saved = errno;
    identity_resume(who);
    errno = saved;
    return rc;
}

static int blame(int at, const char *name, int errnum, struct xfer_error *err)
{
    struct stat st;

    if ((errnum == ENOTDIR || errnum == ELOOP) &&
        fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISLNK(st.st_mode))
            return error_set(err, XFER_UNSAFE_PATH,
                             "\"%s\" on the way is a symbolic link: these are not followed", name);
        if (!S_ISDIR(st.st_mode))
            return error_set(err, XFER_NOT_DIRECTORY, "\"%s\" on the way is no directory", name);
    }
    return error_set_errno(err, errnum, "can't open directory \"%s\"", name);
}

/* Open the directory name in at. */
static enum step enter(const struct store *store, int at, const char *name,
                       enum store_path_mode mode, int *fd, bool *made, struct xfer_error *err)
{
    *made = false;
    *fd = openat(at, name, OPEN_DIR | O_NOFOLLOW);
    if (*fd >= 0)
        return STEP_OK;
    if (errno == ENOENT && mode == STORE_PATH_REACH)
        return STEP_MISSING;
    if (errno != ENOENT || mode != STORE_PATH_MAKE) {
        blame(at, name, errno, err);
        return STEP_FAILED;
    }
    if (mkdirat(at, name, store->dir_mode | 0700) != 0) {
        bool disturbed = errno == EEXIST || errno == ENOENT;

        error_set_errno(err, errno, "can't make directory \"%s\"", name);
        return disturbed ? STEP_AGAIN : STEP_FAILED;
    }
    *made = true;
    *fd = openat(at, name, READ_DIR | O_NOFOLLOW);
    if (*fd < 0) {
        bool gone = errno == ENOENT;

        blame(at, name, errno, err);
        if (!gone)
            unlinkat(at, name, AT_REMOVEDIR);
        return gone ? STEP_AGAIN : STEP_FAILED;
    }
    if (store_path_settle(store, *fd, (mode_t)store->dir_mode) != 0) {
        error_set_errno(err, errno, "can't set the mode of directory \"%s\"", name);
        close(*fd);
        unlinkat(at, name, AT_REMOVEDIR);
        return STEP_FAILED;
    }
    return STEP_OK;
}

/* first_made: the least depth at which any walk for this path made a directory */
static enum step walk(const struct store *store, const char *path, enum store_path_mode mode,
                      struct store_parent *parent, unsigned *first_made, struct xfer_error *err)
{
    enum step step = STEP_OK;
    const char *slash;

    *parent = (struct store_parent){.fd = store->root_fd};
    for (; (slash = strchr(path, '/')) != NULL; path = slash + 1) {
        char name[XFER_NAME_MAX + 1];
        size_t len = (size_t)(slash - path);
        bool made;
        int fd;

        memcpy(name, path, len);
        name[len] = '\0';
        step = enter(store, parent->fd, name, mode, &fd, &made, err);
        if (step != STEP_OK)
            break;
        if (made && parent->depth < *first_made)
            *first_made = parent->depth;
        store_path_close(store, parent);
        parent->fd = fd;
        parent->depth++;
    }
    parent->name = path;
    if (step == STEP_MISSING) {
        parent->missing = true;
        step = STEP_OK;
    }
    parent->made = parent->depth > *first_made ? parent->depth - *first_made : 0;
    return step;
}

int store_path_open(struct store *store, const char *path, enum store_path_mode mode,
                    struct store_parent *parent, struct xfer_error *err)
{
    const char *slash = strrchr(path, '/'), *p;
    struct xfer_error why; /* of a try: err is only for the last one */
    unsigned first_made = UINT_MAX;
    int tries;

    *parent = (struct store_parent){.fd = store->root_fd, .name = slash != NULL ? slash + 1 : path};
    if (slash == NULL)
        return 0;
    parent->fd = open_at_once(store, path, (size_t)(slash - path));
    if (parent->fd >= 0) {
        for (p = path; p < parent->name; p++)
            parent->depth += *p == '/';
        return 0;
    }
    for (tries = 1;; tries++) {
        enum step step = walk(store, path, mode, parent, &first_made, &why);

        if (step == STEP_OK)
            return 0;
        if (step == STEP_FAILED || tries == STORE_PATH_TRIES) {
            *err = why;
            store_path_unmake(store, path, parent);
            return -1;
        }
        store_path_close(store, parent);
        store_path_pause(tries);
    }
}

int store_path_share(struct store *store, uint64_t job, const char *path,
                     struct store_parent *parent, struct xfer_error *err)
{
    const char *slash = strrchr(path, '/'), *p;
    struct store_dir *dir;

    if (slash == NULL)
        return store_path_open(store, path, STORE_PATH_REACH, parent, err);
    dir = store_dirs_get(store->dirs, job, path, (size_t)(slash - path));
    if (dir != NULL) {
        *parent = (struct store_parent){
            .fd = store_dir_fd(dir), .name = slash + 1, .depth = 1, .shared = dir};
        for (p = path; p < slash; p++)
            parent->depth += *p == '/';
        return 0;
    }
    if (store_path_open(store, path, STORE_PATH_REACH, parent, err) != 0)
        return -1;
    if (!parent->missing)
        parent->shared = store_dirs_add(store->dirs, job, path, (size_t)(slash - path), parent->fd);
    return 0;
}

bool store_path_gone(const struct store_parent *parent)
{
    struct stat st;

    return fstat(parent->fd, &st) == 0 && st.st_nlink == 0;
}

void store_path_pause(int tries)
{
    const struct timespec pause = {0, tries * 50000L};

    if (tries > 2)
        nanosleep(&pause, NULL);
}

void store_path_close(const struct store *store, struct store_parent *parent)
{
    if (parent->shared != NULL)
        store_dir_put(parent->shared);
    else if (parent->fd >= 0 && parent->fd != store->root_fd)
        close(parent->fd);
    parent->shared = NULL;
    parent->fd = -1;
}

void store_path_unmake(const struct store *store, const char *path, struct store_parent *parent)
{
    const char *end = path;
    unsigned i;

    if (parent->fd < 0)
        return;
    /* end: behind the component that parent->fd is open on */
    for (i = 0; i < parent->depth; i++)
        end = strchr(end + (i > 0), '/');
    for (; parent->made > 0; parent->made--, parent->depth--) {
        const char *start = end;
        char name[XFER_NAME_MAX + 1];
        struct stat here, named;
        int up;

        while (start > path && start[-1] != '/')
            start--;
        memcpy(name, start, (size_t)(end - start));
        name[end - start] = '\0';
        up = openat(parent->fd, "..", OPEN_DIR);
        if (up < 0)
            break;
        /* it may have been moved or replaced: remove the very directory or nothing */
        if (fstat(parent->fd, &here) != 0 || fstatat(up, name, &named, AT_SYMLINK_NOFOLLOW) != 0 ||
            here.st_dev != named.st_dev || here.st_ino != named.st_ino ||
            unlinkat(up, name, AT_REMOVEDIR) != 0) {
            close(up);
            break;
        }
        store_path_close(store, parent);
        parent->fd = up;
        end = start > path ? start - 1 : path;
    }
    store_path_close(store, parent);
}

int store_sync_failed(const char *what, struct xfer_error *err)
{
    error_set_errno(err, errno, "can't sync %s", what);
    if (err->code != XFER_NO_SPACE)
        err->code = XFER_IO;
    return -1;
}

int store_sync_dir(int fd, struct xfer_error *err)
{
    if (fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP || errno == ENOSYS)
        return 0;
    return store_sync_failed("a directory", err);
}

int store_path_sync(const struct store *store, const struct store_parent *parent, int file_fd,
                    struct xfer_error *err)
{
    unsigned i;
    int at = parent->fd, rc = 0;

    for (i = 0; rc == 0 && i < parent->depth; i++) {
        int fd = openat(at, i == 0 ? "." : "..", READ_DIR);

        if (at != parent->fd)
            close(at);
        at = fd;
        if (fd < 0) {
            /* not readable (it may be written all the same): the whole file system then */
            if ((file_fd >= 0 && syncfs(file_fd) != 0) || syncfs(store->root_fd) != 0)
                return store_sync_failed("the file system", err);
            return 0;
        }
        rc = store_sync_dir(fd, err);
    }
    if (at != parent->fd)
        close(at);
    return rc != 0 ? rc : store_sync_dir(store->root_fd, err);
}
