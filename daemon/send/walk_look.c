/* SPDX-License-Identifier: MIT
 *
 * See walk_impl.h: one entry of a directory. It is looked at without following anything; a
 * directory is then opened in the one above it, and is what was looked at, or the entry has been
 * replaced meanwhile. On a worker.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/send/walk_impl.h"

#define OPEN_DIRECTORY (O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct walk_dir *walk_make_dir(struct walk_dir *parent, int fd, const struct stat *st,
                               const char *path)
{
    size_t len = strlen(path);
    struct walk_dir *dir = calloc(1, sizeof *dir + len + 1);

    if (!dir) {
        close(fd);
        return NULL;
    }
    atomic_init(&dir->references, 1);
    dir->parent = parent ? walk_dir_share(parent) : NULL;
    dir->fd = fd;
    dir->st = *st;
    memcpy(dir->path, path, len + 1);
    return dir;
}

static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static void fail_found(struct walk *w, const struct walk_found *f, int errnum)
{
    if (errnum != ENOENT || f->way != WALK_BENEATH) /* else it is as if it had gone before */
        walk_fail(w, f->dir, f->told, errnum);
}

static void tell_replaced(struct walk *w, const struct walk_found *f)
{
    walk_refuse(w, f->dir, f->told, XFER_SOURCE_CHANGED,
                "was replaced while the tree was being read");
}

static void tell_link(struct walk *w, const struct walk_found *f)
{
    char target[XFER_PATH_SIZE];
    ssize_t n = readlinkat(f->dir->fd, f->name, target, sizeof target);
    struct walk_entry *entry;
    char *copy;

    if (n < 0 && errno == EINVAL) {
        tell_replaced(w, f);
    } else if (n < 0) {
        fail_found(w, f, errno);
    } else if (n == 0 || (size_t)n == sizeof target) {
        walk_refuse(w, f->dir, f->told, n ? XFER_NAME_TOO_LONG : XFER_IO,
                    n ? "the target of this symbolic link is longer than a path may be"
                      : "this symbolic link has no target");
    } else {
        target[n] = '\0';
        copy = strdup(target);
        if (!copy) {
            walk_tell_no_memory(w);
            return;
        }
        entry = walk_tell(w, WALK_ENTRY, f->dir, f->name, &f->st);
        if (!entry) {
            free(copy);
            return;
        }
        entry->target = copy;
        walk_tell_attrs(w, entry, -1);
    }
}

/* What the directory is in which it is (a loop of mounts)? */
static bool is_above(const struct walk_dir *dir, const struct stat *st)
{
    for (; dir; dir = dir->parent)
        if (same(&dir->st, st))
            return true;
    return false;
}

/* As it was looked at. -1: that has been told. */
static int open_directory(struct walk *w, struct walk_found *f, bool other)
{
    struct stat now;
    int fd = openat(f->dir->fd, f->name, O_RDONLY | OPEN_DIRECTORY);

    if (fd < 0 && other)
        fd = openat(f->dir->fd, f->name, O_PATH | OPEN_DIRECTORY);
    if (fd < 0) {
        if (errno == ELOOP || errno == ENOTDIR)
            tell_replaced(w, f);
        else
            fail_found(w, f, errno);
        return -1;
    }
    if (fstat(fd, &now)) {
        walk_fail(w, f->dir, f->told, errno);
        close(fd);
        return -1;
    }
    /* Opening may have mounted something there. */
    if (!same(&now, &f->st) &&
        (fstatat(f->dir->fd, f->name, &f->st, AT_SYMLINK_NOFOLLOW) || !same(&now, &f->st))) {
        tell_replaced(w, f);
        close(fd);
        return -1;
    }
    f->st = now;
    return fd;
}

static bool is_other(const struct walk *w, const struct stat *st)
{
    const struct walk_dir *top = w->level->dir;

    while (top->parent)
        top = top->parent;
    return w->one_file_system && st->st_dev != top->st.st_dev;
}

static void enter(struct walk *w, struct walk_found *f)
{
    struct source_policy_place place;
    struct walk_dir *dir;
    int fd = open_directory(w, f, is_other(w, &f->st));

    if (fd < 0)
        return;
    if (is_above(f->dir, &f->st)) {
        walk_refuse(w, f->dir, f->told, XFER_UNSAFE_PATH,
                    "is a directory that it lies in itself: a loop of mounts");
        close(fd);
        return;
    }
    if (source_policy_enter(w->policy, &f->dir->place, f->dir->st.st_dev, fd, &f->st, w->whole,
                            &place, &w->err)) {
        walk_tell_error(w, f->dir, f->told);
        close(fd);
        return;
    }
    dir = walk_make_dir(f->dir, fd, &f->st, w->path);
    if (!dir) {
        walk_tell_no_memory(w);
        return;
    }
    dir->place = place;
    walk_push(w, dir,
              f->way == WALK_PASSAGE ? LEVEL_PASSES
              : is_other(w, &f->st)  ? LEVEL_LEAVES
                                     : LEVEL_READS);
}

/* A device within which files are files need not be looked at again. */
static int check_device(struct walk *w, const struct walk_found *f)
{
    if (f->st.st_dev == f->dir->st.st_dev ||
        (w->good_device_known && f->st.st_dev == w->good_device))
        return 0;
    if (source_policy_check_device(w->policy, f->dir->fd, f->name, &f->st, w->whole, &w->err))
        return -1;
    w->good_device = f->st.st_dev;
    w->good_device_known = true;
    return 0;
}

static void tell_other(struct walk *w, struct walk_found *f)
{
    bool file = S_ISREG(f->st.st_mode);
    struct walk_entry *entry =
        walk_tell(w, file ? WALK_ENTRY : WALK_SPECIAL, f->dir, f->name, &f->st);

    if (entry && file)
        walk_tell_attrs(w, entry, -1);
}

static void tell_found(struct walk *w, struct walk_found *f)
{
    if (source_policy_check_in(w->policy, &f->dir->place, f->name, &f->st, w->whole, &w->err)) {
        walk_tell_error(w, f->dir, f->told);
    } else if (S_ISDIR(f->st.st_mode) && w->inside[0] && strcmp(w->path, w->inside) == 0) {
        walk_refuse(w, f->dir, f->told, XFER_INVALID_DESTINATION,
                    "is where this tree is sent to: it does not go into itself");
    } else if (S_ISDIR(f->st.st_mode)) {
        enter(w, f);
    } else if (f->way == WALK_PASSAGE) {
        walk_refuse(w, f->dir, f->told, XFER_NOT_DIRECTORY,
                    S_ISLNK(f->st.st_mode)
                        ? "is a symbolic link, which is not followed to what the list names in it"
                        : "is no directory, and the list names something in it");
    } else if (check_device(w, f)) {
        walk_tell_error(w, f->dir, f->told);
    } else if (S_ISLNK(f->st.st_mode)) {
        tell_link(w, f);
    } else {
        tell_other(w, f);
    }
}

/* -1: too long for the path of an entry; it is whole all the same. */
static int make_path(struct walk *w, const struct walk_dir *dir, const char *name)
{
    int n = snprintf(w->path, sizeof w->path, "%s%s%s", dir->path, dir->path[0] ? "/" : "", name);

    snprintf(w->whole, sizeof w->whole, "%.*s/%s", (int)w->source_len, w->source, w->path);
    return n >= 0 && (size_t)n <= w->path_max ? 0 : -1;
}

static bool passes(const struct walk *w, enum walk_way way, bool is_directory)
{
    return way == WALK_PASSAGE || filter_passes(w->filter, w->path, is_directory);
}

void walk_look(struct walk *w, struct walk_found *f, unsigned char type)
{
    bool too_long = make_path(w, f->dir, f->name) != 0;

    if (type != DT_UNKNOWN && !passes(w, f->way, type == DT_DIR))
        return;
    if (fstatat(f->dir->fd, f->name, &f->st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)) {
        fail_found(w, f, errno);
        return;
    }
    if ((type == DT_UNKNOWN || (type == DT_DIR) != S_ISDIR(f->st.st_mode)) &&
        !passes(w, f->way, S_ISDIR(f->st.st_mode)))
        return;
    if (too_long || strlen(f->name) > XFER_NAME_MAX)
        walk_refuse(w, f->dir, f->told, XFER_NAME_TOO_LONG,
                    "its path is longer than can be stored at the receiver");
    else if (strncmp(f->name, ".xfer", 5) == 0 && !(w->policy && f->dir->place.in_store))
        walk_refuse(w, f->dir, f->told, XFER_INVALID_DESTINATION,
                    "names that begin with \".xfer\" are xfer's own and can't be stored");
    else
        tell_found(w, f);
}
