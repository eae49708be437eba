/* SPDX-License-Identifier: MIT
 *
 * See store_partial.h. A name can lead to another file, or to none, by the time that its lock is
 * there: a lock counts only when the name still leads to what was locked.
 *
 * Beside a target others may have put a file under such a name, or made a link to it: only what
 * belongs to us, has no other name, and was never open to others is gone on with.
 */
#include "daemon/receive/store_partial.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/work/identity.h"
#include "proto/relpath.h"

/* Each try removes what was in the way; somebody who always puts it back gets his way. */
#define CREATE_TRIES 3

static void format(const char *queue, uint64_t job, uint64_t file,
                   char name[STORE_PARTIAL_NAME_SIZE])
{
    snprintf(name, STORE_PARTIAL_NAME_SIZE, "%s-%" PRIu64 "-%" PRIu64, queue, job, file);
}

void store_partial_tree(const char *queue, uint64_t job, char name[STORE_PARTIAL_NAME_SIZE])
{
    snprintf(name, STORE_PARTIAL_NAME_SIZE, "%s-%" PRIu64 "-tree", queue, job);
}

bool store_partial_parse(const char *name, struct store_partial *partial)
{
    char again[STORE_PARTIAL_NAME_SIZE];
    size_t digits = sizeof partial->queue - 1;
    char *end;

    if (strspn(name, "0123456789abcdef") != digits || name[digits] != '-' ||
        !isdigit((unsigned char)name[digits + 1]))
        return false;
    memcpy(partial->queue, name, digits);
    partial->queue[digits] = '\0';
    partial->job = strtoull(name + digits + 1, &end, 10);
    partial->tree = strcmp(end, "-tree") == 0;
    partial->file = 0;
    if (partial->tree) {
        store_partial_tree(partial->queue, partial->job, again);
        return strcmp(name, again) == 0;
    }
    if (*end != '-' || !isdigit((unsigned char)end[1]))
        return false;
    partial->file = strtoull(end + 1, NULL, 10);
    format(partial->queue, partial->job, partial->file, again);
    return strcmp(name, again) == 0;
}

/* -1 with errno set: ENOENT also when the name went to something else, EWOULDBLOCK when it is
 * locked. */
static int lock(int fd, int at, const char *name, struct stat *st)
{
    struct stat named;

    if (flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, st) != 0 ||
        fstatat(at, name, &named, AT_SYMLINK_NOFOLLOW) != 0)
        return -1;
    if (named.st_dev == st->st_dev && named.st_ino == st->st_ino)
        return 0;
    errno = ENOENT;
    return -1;
}

static void close_quietly(int fd)
{
    int saved = errno;

    close(fd);
    errno = saved;
}

static int open_locked(int at, const char *name, struct stat *st)
{
    int fd = openat(at, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd >= 0 && lock(fd, at, name, st) != 0) {
        close_quietly(fd);
        fd = -1;
    }
    return fd;
}

static void place(const struct store *store, const struct store_area *area,
                  const struct store_parent *parent, uint64_t job, uint64_t file,
                  struct store_temp *temp)
{
    char name[STORE_PARTIAL_NAME_SIZE];

    format(store->queue, job, file, name);
    temp->lasts = true;
    temp->beside = !store_temp_reaches(store, area, parent->fd);
    temp->at = temp->beside ? parent->fd : area->partial_fd;
    snprintf(temp->name, sizeof temp->name, "%s%s", temp->beside ? STORE_BESIDE_PREFIX : "", name);
}

/* One that was made before keeps its record. */
static bool record(const struct store_area *area, const struct store_temp *temp, const char *path)
{
    return !temp->beside || store_temp_record(area, temp, path) == 0 || errno == EEXIST;
}

int store_partial_find(struct store *store, const struct store_area *area,
                       const struct store_parent *parent, const char *path, uint64_t job,
                       uint64_t file, struct store_temp *temp)
{
    struct stat st;
    int fd;

    place(store, area, parent, job, file, temp);
    fd = open_locked(temp->at, temp->name, &st);
    if (fd >= 0 && (!S_ISREG(st.st_mode) || st.st_uid != identity_now() || st.st_nlink != 1 ||
                    (st.st_mode & 077) != 0 || !record(area, temp, path))) {
        store_temp_remove(area, temp);
        close(fd);
        fd = -1;
        errno = ENOENT;
    }
    if (fd < 0)
        temp->at = -1;
    return fd;
}

int store_partial_create(struct store *store, const struct store_area *area,
                         const struct store_parent *parent, const char *path, uint64_t job,
                         uint64_t file, struct store_temp *temp)
{
    struct stat st;
    int i, fd, saved;

    place(store, area, parent, job, file, temp);
    for (i = 0; i < CREATE_TRIES; i++) {
        if (!record(area, temp, path))
            break;
        fd = openat(temp->at, temp->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0) {
            /* the record again: it may have been taken away while there was no file to it */
            if (lock(fd, temp->at, temp->name, &st) == 0 && record(area, temp, path))
                return fd;
            if (errno != EWOULDBLOCK && errno != ENOENT) {
                saved = errno;
                store_temp_remove(area, temp);
                close(fd);
                errno = saved;
                break;
            }
            close_quietly(fd); /* somebody is removing it */
        } else if (errno != EEXIST) {
            saved = errno;
            store_temp_unrecord(area, temp);
            errno = saved;
            break;
        } else if (!store_partial_drop(store, area, job, file)) {
            errno = EEXIST;
            break;
        }
    }
    temp->at = -1;
    temp->lasts = false;
    return -1;
}

/* Is nothing there any more? Of a user's area, whom the directory may belong to in which it lies:
 * what isn't that user's is nothing. */
static bool remove_at(const struct store_area *area, int at, const char *name)
{
    struct stat st;
    bool gone;
    int fd;

    if (area->of_user) {
        if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            return errno == ENOENT;
        if (st.st_uid != area->uid)
            return true;
    }
    fd = open_locked(at, name, &st);
    if (fd >= 0) {
        gone = unlinkat(at, name, 0) == 0 || errno == ENOENT;
        close(fd);
        return gone;
    }
    /* a link, or what can't be opened: that isn't being written by us */
    if (errno == ELOOP || errno == EACCES)
        return unlinkat(at, name, 0) == 0;
    return errno == ENOENT;
}

enum store_beside store_partial_beside(struct store *store, const struct store_area *area,
                                       const char *name, struct store_parent *parent)
{
    char path[XFER_PATH_SIZE + sizeof "/x"];
    struct xfer_error err;
    ssize_t len = readlinkat(area->beside_fd, name, path, XFER_PATH_SIZE - 1);

    *parent = (struct store_parent){.fd = -1};
    if (len == 1 && path[0] == '.') {
        parent->fd = store->root_fd;
        return BESIDE_FOUND;
    }
    if (len < 0 && errno != ENOENT && errno != EINVAL)
        return BESIDE_UNKNOWN;
    if (len <= 0 || relpath_check(path, (size_t)len, &err) != 0)
        return BESIDE_GONE;
    memcpy(path + len, "/x", sizeof "/x");
    if (store_path_open(store, path, STORE_PATH_FIND, parent, &err) == 0)
        return BESIDE_FOUND;
    return err.code == XFER_NO_SUCH_FILE || err.code == XFER_NOT_DIRECTORY ||
                   err.code == XFER_UNSAFE_PATH
               ? BESIDE_GONE
               : BESIDE_UNKNOWN;
}

bool store_partial_remove(struct store *store, const struct store_area *area, const char *name)
{
    char temp_name[STORE_TEMP_NAME_SIZE];
    struct store_parent parent;
    bool gone = false;

    snprintf(temp_name, sizeof temp_name, "%s%s", STORE_BESIDE_PREFIX, name);
    switch (store_partial_beside(store, area, name, &parent)) {
    case BESIDE_FOUND:
        gone = remove_at(area, parent.fd, temp_name);
        store_path_close(store, &parent);
        break;
    case BESIDE_GONE:
        gone = true;
        break;
    case BESIDE_UNKNOWN:
        break;
    }
    if (gone)
        unlinkat(area->beside_fd, name, 0);
    return remove_at(area, area->partial_fd, name) && gone;
}

bool store_partial_drop(struct store *store, const struct store_area *area, uint64_t job,
                        uint64_t file)
{
    char name[STORE_PARTIAL_NAME_SIZE];

    format(store->queue, job, file, name);
    return store_partial_remove(store, area, name);
}
