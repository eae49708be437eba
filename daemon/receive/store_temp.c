/* SPDX-License-Identifier: MIT
 *
 * A temporary with a name lies in ROOT/.xfer/partial, which nobody else may enter and which is
 * emptied at start. Where no rename leads from there to the target (another mount), it lies beside
 * the target as .xfer-NAME, and ROOT/.xfer/beside/NAME is made first: a symbolic link whose text is
 * the target's directory relative to the root ("." for the root). It is never followed, only read:
 * made in one step it cannot be half written. The text is walked like any path of a user when it is
 * swept.
 *
 * The record isn't synced: a crash of the daemon leaves nothing, a crash of the machine may leave a
 * .xfer- file on the other mount.
 */
#include "daemon/receive/store_temp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/relpath.h"

/* Names that were left over and couldn't be swept are stepped over. */
#define NAMES_MAX 1000

int store_temp_mount(int fd, struct store_mount *mount)
{
    struct statx st;

    if (statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_TYPE | STATX_MNT_ID, &st) != 0)
        return -1;
    mount->dev = ((uint64_t)st.stx_dev_major << 32) | st.stx_dev_minor;
    mount->id = (st.stx_mask & STATX_MNT_ID) ? st.stx_mnt_id : 0;
    return 0;
}

bool store_temp_reaches(const struct store *store, int dir_fd)
{
    struct store_mount mount;

    if (atomic_load_explicit(&store->beside_only, memory_order_relaxed))
        return false;
    return dir_fd == store->root_fd ||
           (store_temp_mount(dir_fd, &mount) == 0 && mount.dev == store->partial_mount.dev &&
            mount.id == store->partial_mount.id);
}

static int record(const struct store *store, const struct store_temp *temp, const char *path)
{
    const char *slash = strrchr(path, '/');
    char dir[XFER_PATH_SIZE] = ".";

    if (slash != NULL) {
        memcpy(dir, path, (size_t)(slash - path));
        dir[slash - path] = '\0';
    }
    return symlinkat(dir, store->beside_fd, temp->name + strlen(STORE_BESIDE_PREFIX));
}

static void unrecord(const struct store *store, const struct store_temp *temp)
{
    if (temp->beside)
        unlinkat(store->beside_fd, temp->name + strlen(STORE_BESIDE_PREFIX), 0);
}

/* nameless: -1, or the file to link. Returns the descriptor of the new file, or 0 when nameless was
 * linked; -1 with errno set. */
static int create(struct store *store, int nameless, const struct store_parent *parent,
                  const char *path, uint64_t job, uint64_t file, struct store_temp *temp)
{
    int i, rc, saved;

    temp->beside = !store_temp_reaches(store, parent->fd);
    temp->at = temp->beside ? parent->fd : store->partial_fd;
    for (i = 0; i < NAMES_MAX; i++) {
        unsigned n = atomic_fetch_add_explicit(&store->counter, 1, memory_order_relaxed);

        snprintf(temp->name, sizeof temp->name, "%s%" PRIu64 "-%" PRIu64 ".%u",
                 temp->beside ? STORE_BESIDE_PREFIX : "", job, file, n);
        if (temp->beside && record(store, temp, path) != 0) {
            if (errno == EEXIST)
                continue;
            break;
        }
        if (nameless >= 0)
            rc = store_temp_link_as(nameless, temp->at, temp->name);
        else
            rc = openat(temp->at, temp->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                        0600);
        if (rc >= 0)
            return rc;
        saved = errno;
        /* what is there under this name was not made by us now: its record must stay with it */
        if (saved == EEXIST)
            continue;
        unrecord(store, temp);
        errno = saved;
        break;
    }
    temp->at = -1;
    return -1;
}

int store_temp_open(struct store *store, const struct store_parent *parent, const char *path,
                    uint64_t job, uint64_t file, struct store_temp *temp)
{
    return create(store, -1, parent, path, job, file, temp);
}

int store_temp_link(struct store *store, int fd, const struct store_parent *parent,
                    const char *path, uint64_t job, uint64_t file, struct store_temp *temp)
{
    int rc = create(store, fd, parent, path, job, file, temp);

    if (rc < 0 && errno == EXDEV && !temp->beside) {
        atomic_store_explicit(&store->beside_only, true, memory_order_relaxed);
        rc = create(store, fd, parent, path, job, file, temp);
    }
    return rc;
}

int store_temp_link_as(int fd, int at, const char *name)
{
    char proc[32];

    snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, proc, at, name, AT_SYMLINK_FOLLOW);
}

void store_temp_remove(const struct store *store, struct store_temp *temp)
{
    if (temp->at >= 0 && (unlinkat(temp->at, temp->name, 0) == 0 || errno == ENOENT))
        unrecord(store, temp);
    temp->at = -1;
}

void store_temp_renamed(const struct store *store, struct store_temp *temp)
{
    unrecord(store, temp);
    temp->at = -1;
}

/* Call for each entry of the directory. */
static void each_entry(struct store *store, int dir_fd,
                       void (*entry)(struct store *store, const char *name))
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;

    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((e = readdir(dir)) != NULL)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            entry(store, e->d_name);
    closedir(dir);
}

static void sweep_partial(struct store *store, const char *name)
{
    unlinkat(store->partial_fd, name, 0);
}

static void sweep_beside(struct store *store, const char *name)
{
    char path[2 * XFER_PATH_SIZE], temp_name[sizeof STORE_BESIDE_PREFIX + XFER_NAME_MAX];
    struct store_parent parent = {.fd = -1};
    struct xfer_error err;
    ssize_t len = readlinkat(store->beside_fd, name, path, XFER_PATH_SIZE - 1);
    bool gone = true;

    snprintf(temp_name, sizeof temp_name, "%s%s", STORE_BESIDE_PREFIX, name);
    if (len == 1 && path[0] == '.') {
        gone = unlinkat(store->root_fd, temp_name, 0) == 0 || errno == ENOENT;
    } else if (len > 0 && relpath_check(path, (size_t)len, &err) == 0) {
        memcpy(path + len, "/x", sizeof "/x");
        if (store_path_open(store, path, STORE_PATH_FIND, &parent, &err) == 0)
            gone = unlinkat(parent.fd, temp_name, 0) == 0 || errno == ENOENT;
        else
            /* what may be reachable again tomorrow keeps its record */
            gone = err.code == XFER_NO_SUCH_FILE || err.code == XFER_NOT_DIRECTORY ||
                   err.code == XFER_UNSAFE_PATH;
        store_path_close(store, &parent);
    }
    if (gone)
        unlinkat(store->beside_fd, name, 0);
}

void store_temp_sweep(struct store *store)
{
    each_entry(store, store->partial_fd, sweep_partial);
    each_entry(store, store->beside_fd, sweep_beside);
}
