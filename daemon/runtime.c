/* SPDX-License-Identifier: MIT
 *
 * Private directories with random names, each locked (flock on the directory itself) by the
 * supervisor for life. So a directory whose lock can be had belongs to nobody any more. There is no
 * moment in which a new one could be mistaken for a dead one: who makes it looks, once it has the
 * lock, whether the name is still its own, and else makes another.
 */
#include "daemon/runtime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/safedir.h"

#define PREFIX        "xferd-"
#define CHANNEL       "handoff.sock"
#define SHARED_BASE   "/dev/shm"
#define SHARED_LINK   "shared"           /* names the directory in memory, for whoever sweeps */
#define SHARED_NEEDED (64 * 1024 * 1024) /* free bytes of a tmpfs that is to hold the segments */

struct place {
    int fd; /* locked; -1: not made */
    char path[XFER_PATH_SIZE];
};

struct runtime {
    struct place own, shared; /* shared.fd -1: the own one serves */
    char handoff[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* ---- one directory -------------------------------------------------------------------------- */

static bool is_same(int fd, const char *path)
{
    struct stat open_one, named;

    return fstat(fd, &open_one) == 0 && lstat(path, &named) == 0 &&
           open_one.st_dev == named.st_dev && open_one.st_ino == named.st_ino;
}

static int place_make(struct place *place, const char *base, const char *prefix,
                      struct xfer_error *err)
{
    for (int tries = 0; tries < 100; tries++) {
        if ((size_t)snprintf(place->path, sizeof place->path, "%s/%sXXXXXX", base, prefix) >=
            sizeof place->path)
            return error_set(err, XFER_NAME_TOO_LONG, "%s: too long", base);
        if (mkdtemp(place->path) == NULL)
            return error_set_errno(err, errno, "no private directory in %s", base);
        place->fd = open(place->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (place->fd >= 0 && flock(place->fd, LOCK_EX | LOCK_NB) == 0 &&
            is_same(place->fd, place->path))
            return 0;
        if (place->fd >= 0)
            close(place->fd);
        place->fd = -1;
    }
    return error_set(err, XFER_NO_RESOURCES, "no private directory in %s: each was gone at once",
                     base);
}

static void place_remove(struct place *place)
{
    if (place->fd < 0)
        return;
    if (is_same(place->fd, place->path) &&
        (safedir_empty(place->fd, NULL) < 0 || rmdir(place->path) < 0))
        log_warning("%s could not be removed wholly", place->path);
    close(place->fd);
    place->fd = -1;
}

/* Remove it when it is ours and its owner is dead. */
static void place_sweep(int basefd, const char *name)
{
    int fd = openat(basefd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0) {
        safedir_empty(fd, NULL);
        unlinkat(basefd, name, AT_REMOVEDIR);
    }
    close(fd);
}

static void sweep_base(const char *base, const char *prefix)
{
    DIR *dir = opendir(base);
    struct dirent *e;

    if (dir == NULL)
        return;
    while ((e = readdir(dir)) != NULL)
        if (strncmp(e->d_name, prefix, strlen(prefix)) == 0)
            place_sweep(dirfd(dir), e->d_name);
    closedir(dir);
}

/* ---- the two of a daemon -------------------------------------------------------------------- */

static void shared_prefix(char *out, size_t size)
{
    snprintf(out, size, PREFIX "%lu-", (unsigned long)geteuid());
}

static bool is_roomy_tmpfs(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC &&
           (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize >= SHARED_NEEDED;
}

static int make_own(struct runtime *rt, const struct conf *conf, const char *base,
                    struct xfer_error *err)
{
    if (strlen(base) + sizeof "/" PREFIX "XXXXXX/" CHANNEL > sizeof rt->handoff)
        return error_set(err, XFER_NAME_TOO_LONG,
                         "%s: too long for the path of a Unix socket in it", base);
    if (safedir_ensure(base, conf->places.service ? 0755 : 0700, true, err) < 0)
        return -1;
    sweep_base(base, PREFIX);
    if (place_make(&rt->own, base, PREFIX, err) < 0)
        return -1;
    snprintf(rt->handoff, sizeof rt->handoff, "%.*s/" CHANNEL,
             (int)(sizeof rt->handoff - sizeof "/" CHANNEL), rt->own.path);
    return 0;
}

static void link_shared(const struct runtime *rt)
{
    if (rt->shared.fd >= 0 &&
        symlinkat(strrchr(rt->shared.path, '/') + 1, rt->own.fd, SHARED_LINK) < 0)
        log_debug("%s/" SHARED_LINK " could not be made", rt->own.path);
}

/* Without a place in memory the segments lie on disk, which is slower but right. */
static void make_shared(struct runtime *rt)
{
    struct xfer_error ignored = XFER_ERROR_INIT;
    char prefix[64];

    shared_prefix(prefix, sizeof prefix);
    sweep_base(SHARED_BASE, prefix);
    if (!is_roomy_tmpfs(rt->own.fd) && place_make(&rt->shared, SHARED_BASE, prefix, &ignored) == 0)
        link_shared(rt);
}

struct runtime *runtime_create(const struct conf *conf, struct xfer_error *err)
{
    struct runtime *rt = calloc(1, sizeof *rt);
    struct xfer_error second = XFER_ERROR_INIT;
    char fallback[64];

    if (rt == NULL) {
        error_set(err, XFER_NO_RESOURCES, "no memory");
        return NULL;
    }
    rt->own.fd = -1;
    rt->shared.fd = -1;
    if (make_own(rt, conf, conf->places.runtime, err) < 0) {
        snprintf(fallback, sizeof fallback, "/tmp/xfer-%lu", (unsigned long)geteuid());
        if (strcmp(fallback, conf->places.runtime) == 0 ||
            make_own(rt, conf, fallback, &second) < 0) {
            runtime_destroy(rt);
            return NULL;
        }
        log_info("%s: %s is used in its place", err->text, fallback);
    }
    make_shared(rt);
    return rt;
}

void runtime_clear(struct runtime *rt)
{
    if (rt->shared.fd >= 0)
        safedir_empty(rt->shared.fd, NULL);
    safedir_empty(rt->own.fd, CHANNEL);
    link_shared(rt);
}

void runtime_destroy(struct runtime *rt)
{
    if (rt == NULL)
        return;
    place_remove(&rt->shared);
    place_remove(&rt->own);
    free(rt);
}

const char *runtime_path(const struct runtime *rt)
{
    return rt->own.path;
}

const char *runtime_shared(const struct runtime *rt)
{
    return rt->shared.fd >= 0 ? rt->shared.path : rt->own.path;
}

const char *runtime_handoff(const struct runtime *rt)
{
    return rt->handoff;
}

static void sweep_path(const char *path)
{
    char base[XFER_PATH_SIZE];
    char *slash;
    int fd;

    snprintf(base, sizeof base, "%s", path);
    slash = strrchr(base, '/');
    if (slash == NULL || slash == base)
        return;
    *slash = '\0';
    fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    place_sweep(fd, slash + 1);
    close(fd);
}

/* Of what a dying process has, a connection to it may break a little before its locks are free. */
static void sweep_dying(const char *path)
{
    const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};

    for (int looks = 25; looks > 0; looks--) {
        sweep_path(path);
        if (looks == 1 || access(path, F_OK) < 0)
            return;
        nanosleep(&pause, NULL);
    }
}

void runtime_sweep(const char *path)
{
    char link[XFER_PATH_SIZE], name[XFER_NAME_MAX + 1],
        shared[sizeof SHARED_BASE + XFER_NAME_MAX + 2], prefix[64];
    ssize_t n;

    shared_prefix(prefix, sizeof prefix);
    if (snprintf(link, sizeof link, "%s/" SHARED_LINK, path) < (int)sizeof link) {
        n = readlink(link, name, sizeof name - 1);
        if (n > 0) {
            name[n] = '\0';
            snprintf(shared, sizeof shared, SHARED_BASE "/%s", name);
            if (strncmp(name, prefix, strlen(prefix)) == 0 && strchr(name, '/') == NULL)
                sweep_dying(shared);
        }
    }
    sweep_dying(path);
}
