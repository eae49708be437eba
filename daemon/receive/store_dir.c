/* SPDX-License-Identifier: MIT
 *
 * See store_dir.h. A small table, guarded by one lock that is held for some comparisons; who is in
 * it has a reference.
 */
#include "daemon/receive/store_dir.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define KEPT 8 /* lanes store side by side, mostly into the same few */
#define MOMENT_NS \
    50000000 /* of the walk there: as long as a file takes from its beginning to its name */

struct store_dir {
    atomic_uint references;
    int fd;
    dev_t dev;
    bool passes_group;
    gid_t gid;
    atomic_bool occupied;
    uint64_t job;
    int64_t opened; /* nanoseconds */
    size_t len;
    char path[];
};

struct store_dirs {
    pthread_mutex_t lock;
    struct store_dir *kept[KEPT];
    unsigned next; /* to be replaced */
};

static int64_t now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

struct store_dirs *store_dirs_create(void)
{
    struct store_dirs *dirs = calloc(1, sizeof *dirs);

    if (dirs != NULL)
        pthread_mutex_init(&dirs->lock, NULL);
    return dirs;
}

void store_dirs_destroy(struct store_dirs *dirs)
{
    if (dirs == NULL)
        return;
    for (unsigned i = 0; i < KEPT; i++)
        store_dir_put(dirs->kept[i]);
    pthread_mutex_destroy(&dirs->lock);
    free(dirs);
}

static bool is(const struct store_dir *dir, uint64_t job, const char *path, size_t len)
{
    return dir != NULL && dir->job == job && dir->len == len && memcmp(dir->path, path, len) == 0;
}

/* It may have another name by now: it is looked for again. */
static bool is_old(const struct store_dir *dir)
{
    return now() - dir->opened >= MOMENT_NS;
}

struct store_dir *store_dirs_get(struct store_dirs *dirs, uint64_t job, const char *path,
                                 size_t len)
{
    struct store_dir *found = NULL;
    unsigned i;

    pthread_mutex_lock(&dirs->lock);
    for (i = 0; i < KEPT && !is(dirs->kept[i], job, path, len); i++)
        ;
    if (i < KEPT) {
        found = dirs->kept[i];
        atomic_fetch_add(&found->references, 1);
    }
    pthread_mutex_unlock(&dirs->lock);
    if (found == NULL || !is_old(found))
        return found;
    pthread_mutex_lock(&dirs->lock);
    if (dirs->kept[i] == found) {
        dirs->kept[i] = NULL;
        store_dir_put(found);
    }
    pthread_mutex_unlock(&dirs->lock);
    store_dir_put(found);
    return NULL;
}

struct store_dir *store_dirs_add(struct store_dirs *dirs, uint64_t job, const char *path,
                                 size_t len, int fd)
{
    struct store_dir *dir = malloc(sizeof *dir + len), *before;
    struct stat st;
    unsigned i;

    if (dir == NULL || fstat(fd, &st) != 0) {
        free(dir);
        return NULL;
    }
    *dir = (struct store_dir){.references = 2,
                              .fd = fd,
                              .dev = st.st_dev,
                              .passes_group = (st.st_mode & S_ISGID) != 0,
                              .gid = st.st_gid,
                              .job = job,
                              .opened = now(),
                              .len = len};
    memcpy(dir->path, path, len);
    pthread_mutex_lock(&dirs->lock);
    for (i = 0; i < KEPT && !is(dirs->kept[i], job, path, len); i++)
        ;
    if (i == KEPT)
        for (i = 0; i < KEPT && dirs->kept[i] != NULL; i++)
            ;
    if (i == KEPT) {
        i = dirs->next;
        dirs->next = (dirs->next + 1) % KEPT;
    }
    before = dirs->kept[i];
    dirs->kept[i] = dir;
    pthread_mutex_unlock(&dirs->lock);
    store_dir_put(before);
    return dir;
}

void store_dir_put(struct store_dir *dir)
{
    if (dir == NULL || atomic_fetch_sub(&dir->references, 1) > 1)
        return;
    close(dir->fd);
    free(dir);
}

void store_dirs_expire(struct store_dirs *dirs)
{
    struct store_dir *old[KEPT] = {NULL};

    pthread_mutex_lock(&dirs->lock);
    for (unsigned i = 0; i < KEPT; i++) {
        if (dirs->kept[i] == NULL || !is_old(dirs->kept[i]))
            continue;
        old[i] = dirs->kept[i];
        dirs->kept[i] = NULL;
    }
    pthread_mutex_unlock(&dirs->lock);
    for (unsigned i = 0; i < KEPT; i++)
        store_dir_put(old[i]);
}

int store_dir_fd(const struct store_dir *dir)
{
    return dir->fd;
}

dev_t store_dir_device(const struct store_dir *dir)
{
    return dir->dev;
}

bool store_dir_group(const struct store_dir *dir, gid_t *gid)
{
    *gid = dir->gid;
    return dir->passes_group;
}

void store_dir_set_occupied(struct store_dir *dir)
{
    atomic_store_explicit(&dir->occupied, true, memory_order_relaxed);
}

bool store_dir_is_occupied(const struct store_dir *dir)
{
    return atomic_load_explicit(&dir->occupied, memory_order_relaxed);
}
