/* SPDX-License-Identifier: MIT
 *
 * See store_kind.h. Nothing here follows a link: what is to be changed is opened first, without
 * following, and looked at through the descriptor; a name that has come to mean something else
 * meanwhile leads to an error or another try.
 *
 * Links are made whole under a temporary name and renamed, like files; where nothing is in the way
 * a hard link has no need of that.
 */
#include "daemon/receive/store_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/receive/store_meta.h"
#include "daemon/work/identity.h"

#define OPEN_PATH (O_PATH | O_NOFOLLOW | O_CLOEXEC)
#define OPEN_DIR  (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* After a step that failed with errno. */
static int failed(const struct store_file *file, const char *what, struct xfer_error *err)
{
    error_set_errno(err, errno, "%s", what);
    return store_path_gone(&file->parent) ? 1 : -1;
}

static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* ---- directories ---- */

/* chmod() of an O_PATH descriptor */
static int change_mode(int fd, mode_t mode)
{
    char proc[32];

    snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
    return chmod(proc, mode);
}

int store_kind_open_directory(int at, const char *name, mode_t *before)
{
    struct stat st;
    int path, fd = openat(at, name, OPEN_DIR), saved;

    if (fd >= 0 && fstat(fd, &st) == 0 &&
        ((st.st_mode & 0700) == 0700 || st.st_uid != identity_now() || identity_now() == 0)) {
        *before = st.st_mode & 07777;
        return fd;
    }
    if (fd >= 0)
        close(fd);
    else if (errno != EACCES)
        return -1;
    path = openat(at, name, OPEN_PATH | O_DIRECTORY);
    if (path < 0)
        return -1;
    if (fstat(path, &st) == 0) {
        *before = st.st_mode & 07777;
        if (st.st_uid == identity_now())
            (void)!change_mode(path, *before | 0700);
        fd = openat(path, ".", OPEN_DIR);
    }
    saved = errno;
    close(path);
    errno = saved;
    return fd;
}

static int no_directory(const struct store_file *file, struct xfer_error *err)
{
    bool link = errno == ELOOP;
    struct stat st;

    /* O_DIRECTORY says ENOTDIR of links, too */
    if (fstatat(file->parent.fd, file->parent.name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        link = S_ISLNK(st.st_mode);
    error_set(err, XFER_NOT_DIRECTORY, "the destination is %s",
              link ? "a symbolic link, which is not followed" : "no directory");
    err->sys_errno = ENOTDIR;
    return -1;
}

static bool same_metadata(const struct stat *a, const struct stat *b)
{
    return a->st_mode == b->st_mode && a->st_uid == b->st_uid && a->st_gid == b->st_gid &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static int make_directory(struct store_file *file, struct xfer_error *err)
{
    int at = file->parent.fd;
    const char *name = file->parent.name;
    bool made = false;
    struct stat was, is;
    mode_t before;
    int rc = 0;

    file->fd = store_kind_open_directory(at, name, &before);
    if (file->fd < 0 && errno == ENOENT) {
        if (mkdirat(at, name, 0700) != 0) {
            rc = failed(file, "can't make the directory", err);
            return err->sys_errno == EEXIST ? 1 : rc;
        }
        made = true;
        file->fd = store_kind_open_directory(at, name, &before);
    }
    if (file->fd < 0) {
        if (errno == ENOTDIR || errno == ELOOP)
            return no_directory(file, err);
        error_set_errno(err, errno, "can't open the directory");
        return err->sys_errno == ENOENT ? 1 : -1;
    }
    if (fstat(file->fd, &was) != 0)
        rc = error_set_errno(err, errno, "can't look at the directory");
    if (rc == 0 && made &&
        store_path_settle(file->store, file->fd, (mode_t)file->store->dir_mode) != 0)
        rc = error_set_errno(err, errno, "can't set the mode of the directory");
    if (rc == 0)
        rc = store_meta_set(file, err);
    file->unchanged = rc == 0 && !made && (was.st_mode & 07777) == before &&
                      fstat(file->fd, &is) == 0 && same_metadata(&was, &is);
    if (rc != 0 && made)
        unlinkat(at, name, AT_REMOVEDIR);
    /* one that locked us out, and whose mode is not to be another */
    if (!made && (before & 0700) != 0700 &&
        store_meta_mode(file->store, true, file->preserve, file->mode, false) ==
            STORE_MODE_AS_IT_IS)
        (void)!fchmod(file->fd, before);
    return rc;
}

/* ---- symbolic links ---- */

static bool leads_to(int at, const char *name, const char *target)
{
    char there[XFER_PATH_SIZE];
    ssize_t len = readlinkat(at, name, there, sizeof there);

    return len >= 0 && (size_t)len == strlen(target) && memcmp(there, target, (size_t)len) == 0;
}

static int open_symlink(int at, const char *name)
{
    int fd = openat(at, name, OPEN_PATH);
    struct stat st;

    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISLNK(st.st_mode))) {
        close(fd);
        errno = ENOENT;
        return -1;
    }
    return fd;
}

static int new_symlink(int at, const char *name, const void *what)
{
    return symlinkat(what, at, name);
}

static int make_symlink(struct store_file *file, struct xfer_error *err)
{
    int at = file->parent.fd;
    const char *name = file->parent.name;
    enum store_target target;

    if (file->temp.at >= 0)
        return 0;
    file->fd = open_symlink(at, name);
    if (file->fd >= 0) {
        if (leads_to(file->fd, "", file->target)) {
            file->unchanged = true;
            return file->overwrite != OVERWRITE_NEVER ? store_meta_set(file, err) : 0;
        }
        close(file->fd);
        file->fd = -1;
    }
    if (store_file_target(file, &target, err) != 0)
        return -1;
    if (store_temp_make(file->store, &file->area, &file->parent, file->path, file->job, file->file,
                        new_symlink, file->target, &file->temp) != 0)
        return failed(file, "can't make a symbolic link", err);
    file->fd = open_symlink(file->temp.at, file->temp.name);
    if (file->fd < 0)
        return error_set_errno(err, errno, "can't open the symbolic link");
    return store_meta_set(file, err);
}

/* ---- hard links ---- */

struct link_target {
    int at;
    const char *name;
};

static int new_link(int at, const char *name, const void *what)
{
    const struct link_target *target = what;

    return linkat(target->at, target->name, at, name, 0);
}

static int look_at_target(const struct link_target *target, struct stat *st, struct xfer_error *err)
{
    if (fstatat(target->at, target->name, st, AT_SYMLINK_NOFOLLOW) != 0)
        return error_set_errno(err, errno, "can't look at what it is a hard link to");
    if (S_ISREG(st->st_mode) || S_ISLNK(st->st_mode))
        return 0;
    return error_set(err, XFER_NOT_REGULAR,
                     "what it is to be a hard link to is no regular file or symbolic link");
}

static int failed_link(const struct store_file *file, struct xfer_error *err)
{
    int rc = failed(file, "can't make the hard link", err);

    if (err->sys_errno == EXDEV) /* no other attempt can */
        err->code = XFER_INVALID_DESTINATION;
    return rc;
}

static int replaced(struct xfer_error *err)
{
    error_set_errno(err, EBUSY, "what it is a hard link to was replaced meanwhile");
    return 1;
}

static int link_to(struct store_file *file, const struct link_target *target,
                   struct xfer_error *err)
{
    int at = file->parent.fd;
    const char *name = file->parent.name;
    enum store_target what;
    struct stat wanted, st;

    if (look_at_target(target, &wanted, err) != 0)
        return -1;
    if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && same(&st, &wanted)) {
        file->unchanged = true;
        return 0;
    }
    if (store_file_target(file, &what, err) != 0)
        return -1;
    if (what == TARGET_NONE && new_link(at, name, target) == 0) {
        if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && same(&st, &wanted))
            return 0;
        unlinkat(at, name, 0);
        return replaced(err);
    }
    if (what == TARGET_NONE && errno != EEXIST)
        return failed_link(file, err);
    if (store_temp_make(file->store, &file->area, &file->parent, file->path, file->job, file->file,
                        new_link, target, &file->temp) != 0)
        return failed_link(file, err);
    if (fstatat(file->temp.at, file->temp.name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        same(&st, &wanted))
        return 0;
    store_temp_remove(&file->area, &file->temp);
    return replaced(err);
}

static int make_hardlink(struct store_file *file, struct xfer_error *err)
{
    struct store_parent parent;
    struct link_target target;
    int rc;

    if (file->temp.at >= 0)
        return 0;
    if (store_path_open(file->store, file->target, STORE_PATH_FIND, &parent, err) != 0)
        return error_prefix(err, "what it is a hard link to");
    target = (struct link_target){parent.fd, parent.name};
    rc = link_to(file, &target, err);
    store_path_close(file->store, &parent);
    return rc;
}

int store_kind_make(struct store_file *file, struct xfer_error *err)
{
    switch (file->kind) {
    case WIRE_KIND_DIRECTORY:
        return make_directory(file, err);
    case WIRE_KIND_SYMLINK:
        return make_symlink(file, err);
    case WIRE_KIND_HARDLINK:
        return make_hardlink(file, err);
    case WIRE_KIND_FILE:
    case WIRE_KIND_BARRIER:
        break;
    }
    return 0;
}
