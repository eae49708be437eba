/* SPDX-License-Identifier: MIT
 *
 * See store_user.h. The directory service may be slow, or away for a while: what it said holds for
 * some minutes, and that it can't be asked is never taken for "no such user", which would put the
 * files of one user into two places.
 */
#include "daemon/receive/store_user.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/receive/store_temp.h"
#include "proto/relpath.h"

#define READ_DIR      (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define NAMES_KEPT    256
#define NAMES_SECONDS 300
#define RECORD_MAX    (1024 * 1024) /* bytes of one answer of the directory service */

static int fail(const struct store *store, int errnum, const char *what, struct xfer_error *err)
{
    error_set_errno(err, errnum, "%s", what);
    return error_about(err, XFER_SIDE_RECEIVER, store->root);
}

/* ---- areas ---- */

/* One that was made and not yet given away, before a death, is still the daemon's. */
static int give(int fd, const struct identity *owner)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return -1;
    if (st.st_uid != identity_uid(owner)) {
        if (st.st_uid != geteuid()) {
            errno = EPERM;
            return -1;
        }
        if (fchown(fd, identity_uid(owner), identity_gid(owner)) != 0)
            return -1;
    }
    return (st.st_mode & 07777) == 0700 ? 0 : fchmod(fd, 0700);
}

/* -1 with errno */
static int open_dir(int at, const char *name, const struct identity *owner)
{
    int fd, saved;

    if (owner != NULL && mkdirat(at, name, 0700) != 0 && errno != EEXIST)
        return -1;
    fd = openat(at, name, READ_DIR);
    if (fd >= 0 && owner != NULL && give(fd, owner) != 0) {
        saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

int store_area_open(struct store *store, int at, const struct identity *owner,
                    struct store_area *area, struct xfer_error *err)
{
    int saved;

    area->beside_fd = -1;
    area->partial_fd = open_dir(at, STORE_PARTIAL_DIR, owner);
    if (area->partial_fd >= 0 && (area->beside_fd = open_dir(at, STORE_BESIDE_DIR, owner)) >= 0 &&
        store_temp_mount(area->partial_fd, &area->mount) == 0)
        return 0;
    saved = errno;
    store_area_close(area);
    return fail(store, saved, "can't open a place for unfinished files in .xfer", err);
}

void store_area_close(struct store_area *area)
{
    if (area->partial_fd >= 0)
        close(area->partial_fd);
    if (area->beside_fd >= 0)
        close(area->beside_fd);
    area->partial_fd = area->beside_fd = -1;
}

static int open_of_user(struct store *store, const char *name, uid_t uid,
                        const struct identity *owner, struct store_area *area,
                        struct xfer_error *err)
{
    int fd = open_dir(store->users_fd, name, owner), rc;

    *area = (struct store_area){.partial_fd = -1, .beside_fd = -1, .uid = uid, .of_user = true};
    if (fd < 0)
        return fail(store, errno, "can't open a place for the user's unfinished files in .xfer",
                    err);
    rc = store_area_open(store, fd, owner, area, err);
    close(fd);
    return rc;
}

int store_area_of_user(struct store *store, const struct identity *owner, struct store_area *area,
                       struct xfer_error *err)
{
    char name[16];

    snprintf(name, sizeof name, "%u", (unsigned)identity_uid(owner));
    return open_of_user(store, name, identity_uid(owner), owner, area, err);
}

static bool is_number(const char *name, uid_t *uid)
{
    char again[16];

    if (!isdigit((unsigned char)name[0]))
        return false;
    *uid = (uid_t)strtoul(name, NULL, 10);
    snprintf(again, sizeof again, "%u", (unsigned)*uid);
    return strcmp(name, again) == 0;
}

int store_area_each(struct store *store,
                    int (*visit)(struct store *store, const struct store_area *area, void *user),
                    void *user)
{
    int rc = visit(store, &store->area, user), fd;
    struct dirent *e;
    DIR *dir;

    if (store->users_fd < 0)
        return rc;
    fd = openat(store->users_fd, ".", READ_DIR);
    dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    while (rc == 0 && (errno = 0, e = readdir(dir)) != NULL) {
        struct store_area area;
        struct xfer_error err;
        uid_t uid;

        if (!is_number(e->d_name, &uid) ||
            open_of_user(store, e->d_name, uid, NULL, &area, &err) != 0)
            continue;
        rc = visit(store, &area, user);
        store_area_close(&area);
    }
    if (rc == 0 && errno != 0)
        rc = -1;
    closedir(dir);
    return rc;
}

/* ---- names ---- */

struct store_names {
    pthread_mutex_t lock;
    struct {
        uid_t uid;
        time_t until; /* 0: nothing is known */
        char name[XFER_NAME_MAX + 1];
    } kept[NAMES_KEPT];
};

struct store_names *store_names_create(void)
{
    struct store_names *names = calloc(1, sizeof *names);

    if (names != NULL)
        pthread_mutex_init(&names->lock, NULL);
    return names;
}

void store_names_destroy(struct store_names *names)
{
    if (names == NULL)
        return;
    pthread_mutex_destroy(&names->lock);
    free(names);
}

/* By name, or else by uid. An errno value; *found is NULL or pw, whose strings are in *buf, which
 * the caller frees. */
static int ask(uid_t uid, const char *name, struct passwd *pw, char **buf, struct passwd **found)
{
    size_t size = 1024;
    int rc;

    for (;; size *= 2) {
        char *larger = realloc(*buf, size);

        if (larger == NULL)
            return ENOMEM;
        *buf = larger;
        rc = name != NULL ? getpwnam_r(name, pw, *buf, size, found)
                          : getpwuid_r(uid, pw, *buf, size, found);
        if (rc == EINTR)
            continue;
        if (rc != ERANGE || size >= RECORD_MAX)
            break;
    }
    if (rc == ENOENT || rc == ESRCH || rc == EBADF || rc == EPERM) { /* some say "none" like this */
        *found = NULL;
        return 0;
    }
    return rc;
}

/* One component that nothing else is called: what looks like a number may be another user's. */
static bool is_fit(const char *name)
{
    struct xfer_error err;

    return name[0] != '.' && strchr(name, '/') == NULL && strlen(name) <= XFER_NAME_MAX &&
           strspn(name, "0123456789") != strlen(name) &&
           relpath_check(name, strlen(name), &err) == 0;
}

static int look_up(uid_t uid, char name[XFER_NAME_MAX + 1], struct xfer_error *err)
{
    struct passwd pw, *found = NULL;
    char *buf = NULL;
    int rc = ask(uid, NULL, &pw, &buf, &found);

    snprintf(name, XFER_NAME_MAX + 1, "%u", (unsigned)uid);
    if (rc == 0 && found != NULL && is_fit(found->pw_name)) {
        char candidate[XFER_NAME_MAX + 1];

        snprintf(candidate, sizeof candidate, "%s", found->pw_name);
        /* two users of one name must not meet */
        rc = ask(uid, candidate, &pw, &buf, &found);
        if (rc == 0 && found != NULL && found->pw_uid == uid)
            memcpy(name, candidate, sizeof candidate);
    }
    free(buf);
    if (rc == 0)
        return 0;
    error_set_errno(err, rc, "can't look up the name of uid %u", (unsigned)uid);
    if (err->code != XFER_NO_RESOURCES)
        err->code = XFER_IO;
    return -1;
}

static time_t now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec + 1;
}

int store_names_find(struct store_names *names, uid_t uid, char name[XFER_NAME_MAX + 1],
                     struct xfer_error *err)
{
    unsigned i = (unsigned)uid % NAMES_KEPT;
    bool known;

    pthread_mutex_lock(&names->lock);
    known = names->kept[i].uid == uid && names->kept[i].until > now();
    if (known)
        memcpy(name, names->kept[i].name, XFER_NAME_MAX + 1);
    pthread_mutex_unlock(&names->lock);
    if (known)
        return 0;
    if (look_up(uid, name, err) != 0)
        return -1;
    pthread_mutex_lock(&names->lock);
    names->kept[i].uid = uid;
    names->kept[i].until = now() + NAMES_SECONDS;
    snprintf(names->kept[i].name, sizeof names->kept[i].name, "%s", name);
    pthread_mutex_unlock(&names->lock);
    return 0;
}

/* ---- directories ---- */

static int make_whole(struct store *store, const struct identity *owner, const char *temp)
{
    struct stat root;
    gid_t gid = store->group_set ? store->group : identity_gid(owner);
    mode_t mode = (mode_t)store->dir_mode;
    int fd, rc;

    if (fstat(store->root_fd, &root) != 0 || mkdirat(store->own_fd, temp, 0700) != 0)
        return -1;
    if (root.st_mode & S_ISGID) {
        mode |= S_ISGID;
        if (!store->group_set)
            gid = root.st_gid;
    }
    fd = openat(store->own_fd, temp, READ_DIR);
    if (fd < 0)
        return -1;
    rc = fchown(fd, identity_uid(owner), gid) == 0 && fchmod(fd, mode) == 0 ? 0 : -1;
    close(fd);
    return rc;
}

/* 1: nothing is there. */
static int look_at_home(const struct store *store, uid_t uid, const char *name,
                        struct xfer_error *err)
{
    struct stat st;

    if (fstatat(store->root_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return 1;
    /* what is no directory is in the way to everything in it */
    if (!S_ISDIR(st.st_mode) || st.st_uid == uid || st.st_uid == geteuid() || st.st_uid == 0)
        return 0;
    error_set(err, XFER_PERMISSION_DENIED,
              "the directory of uid %u beneath the receiving root belongs to uid %u, who could "
              "take away what is stored in it",
              (unsigned)uid, (unsigned)st.st_uid);
    return error_about(err, XFER_SIDE_RECEIVER, store->root);
}

int store_home_check(const struct store *store, uid_t uid, const char *name, struct xfer_error *err)
{
    return look_at_home(store, uid, name, err) < 0 ? -1 : 0;
}

int store_home_make(struct store *store, const struct identity *owner, const char *name,
                    struct xfer_error *err)
{
    char temp[64];
    int rc, saved, home = look_at_home(store, identity_uid(owner), name, err);

    if (home != 1)
        return home;
    snprintf(temp, sizeof temp, STORE_HOME_PREFIX "%u-%u", (unsigned)identity_uid(owner),
             atomic_fetch_add_explicit(&store->counter, 1, memory_order_relaxed));
    rc = make_whole(store, owner, temp);
    if (rc == 0)
        rc = renameat2(store->own_fd, temp, store->root_fd, name, RENAME_NOREPLACE);
    if (rc != 0 && (errno == EINVAL || errno == ENOSYS))
        rc = renameat(store->own_fd, temp, store->root_fd, name); /* only ever over an empty one */
    saved = errno;
    if (rc != 0)
        unlinkat(store->own_fd, temp, AT_REMOVEDIR);
    if (rc == 0)
        return 0;
    if (saved == EEXIST || saved == ENOTEMPTY)
        return store_home_check(store, identity_uid(owner), name, err);
    return fail(store, saved, "can't make the user's directory", err);
}
