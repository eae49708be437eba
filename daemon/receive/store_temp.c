/* SPDX-License-Identifier: MIT
 *
 * A temporary with a name lies in ROOT/.xfer/partial, which nobody else may enter. Where no rename
 * leads from there to the target (another mount), it lies beside the target as .xfer-NAME, and
 * ROOT/.xfer/beside/NAME is made first: a symbolic link whose text is the target's directory
 * relative to the root ("." for the root). It is never followed, only read: made in one step it
 * cannot be half written. The text is walked like any path of a user when it is swept.
 *
 * The record isn't synced: a crash of the daemon leaves nothing, a crash of the machine may leave a
 * .xfer- file on the other mount.
 */
#include "daemon/receive/store_temp.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

bool store_temp_reaches(const struct store *store, const struct store_area *area, int dir_fd)
{
    struct store_mount mount;

    if (atomic_load_explicit(&store->beside_only, memory_order_relaxed))
        return false;
    return dir_fd == store->root_fd || (store_temp_mount(dir_fd, &mount) == 0 &&
                                        mount.dev == area->mount.dev && mount.id == area->mount.id);
}

int store_temp_record(const struct store_area *area, const struct store_temp *temp,
                      const char *path)
{
    const char *slash = strrchr(path, '/');
    char dir[XFER_PATH_SIZE] = ".";

    if (slash != NULL) {
        memcpy(dir, path, (size_t)(slash - path));
        dir[slash - path] = '\0';
    }
    return symlinkat(dir, area->beside_fd, temp->name + strlen(STORE_BESIDE_PREFIX));
}

void store_temp_unrecord(const struct store_area *area, const struct store_temp *temp)
{
    if (temp->beside)
        unlinkat(area->beside_fd, temp->name + strlen(STORE_BESIDE_PREFIX), 0);
}

/* What make() returned; -1 with errno set. */
static int create(struct store *store, const struct store_area *area,
                  const struct store_parent *parent, const char *path, uint64_t job, uint64_t file,
                  int (*make)(int at, const char *name, const void *what), const void *what,
                  struct store_temp *temp)
{
    int i, rc, saved;

    temp->lasts = false;
    temp->beside = !store_temp_reaches(store, area, parent->fd);
    temp->at = temp->beside ? parent->fd : area->partial_fd;
    for (i = 0; i < NAMES_MAX; i++) {
        unsigned n = atomic_fetch_add_explicit(&store->counter, 1, memory_order_relaxed);

        snprintf(temp->name, sizeof temp->name, "%s%" PRIu64 "-%" PRIu64 ".%u",
                 temp->beside ? STORE_BESIDE_PREFIX : "", job, file, n);
        if (temp->beside && store_temp_record(area, temp, path) != 0) {
            if (errno == EEXIST)
                continue;
            break;
        }
        rc = make(temp->at, temp->name, what);
        if (rc >= 0)
            return rc;
        saved = errno;
        /* what is there under this name was not made by us now: its record must stay with it */
        if (saved == EEXIST)
            continue;
        store_temp_unrecord(area, temp);
        errno = saved;
        break;
    }
    temp->at = -1;
    return -1;
}

static int make_file(int at, const char *name, const void *what)
{
    (void)what;
    return openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

int store_temp_open(struct store *store, const struct store_area *area,
                    const struct store_parent *parent, const char *path, uint64_t job,
                    uint64_t file, struct store_temp *temp)
{
    return create(store, area, parent, path, job, file, make_file, NULL, temp);
}

int store_temp_make(struct store *store, const struct store_area *area,
                    const struct store_parent *parent, const char *path, uint64_t job,
                    uint64_t file, int (*make)(int at, const char *name, const void *what),
                    const void *what, struct store_temp *temp)
{
    return create(store, area, parent, path, job, file, make, what, temp) < 0 ? -1 : 0;
}

static int make_link(int at, const char *name, const void *what)
{
    return store_temp_link_as(*(const int *)what, at, name);
}

int store_temp_link(struct store *store, const struct store_area *area, int fd,
                    const struct store_parent *parent, const char *path, uint64_t job,
                    uint64_t file, struct store_temp *temp)
{
    int rc = create(store, area, parent, path, job, file, make_link, &fd, temp);

    if (rc < 0 && errno == EXDEV && !temp->beside) {
        atomic_store_explicit(&store->beside_only, true, memory_order_relaxed);
        rc = create(store, area, parent, path, job, file, make_link, &fd, temp);
    }
    return rc;
}

/* The way through /proc takes a walk more, which the other saves: but that one is for root, and
 * since Linux 6.10 for whoever has opened the file himself. Where it isn't allowed it says ENOENT.
 */
int store_temp_link_as(int fd, int at, const char *name)
{
    char proc[32];

    if (linkat(fd, "", at, name, AT_EMPTY_PATH) == 0)
        return 0;
    if (errno != ENOENT && errno != EINVAL && errno != EPERM)
        return -1;
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, proc, at, name, AT_SYMLINK_FOLLOW);
}

void store_temp_remove(const struct store_area *area, struct store_temp *temp)
{
    if (temp->at >= 0 && (unlinkat(temp->at, temp->name, 0) == 0 || errno == ENOENT))
        store_temp_unrecord(area, temp);
    temp->at = -1;
}

void store_temp_renamed(const struct store_area *area, struct store_temp *temp)
{
    store_temp_unrecord(area, temp);
    temp->at = -1;
}
