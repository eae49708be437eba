/* SPDX-License-Identifier: MIT
 *
 * See store_sweep.h. Beside a target, the file and its record belong together: each is removed when
 * the other is gone or can't be meant. Partial files of other queues are never touched: their
 * daemon may come back.
 */
#include "daemon/receive/store_sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/receive/store_partial.h"
#include "daemon/receive/store_path.h"
#include "daemon/receive/store_temp.h"
#include "daemon/receive/store_user.h"

/* Call for each entry of the directory, until one says that it is enough. -1 with errno set. */
static int each_entry(struct store *store, const struct store_area *area, int dir_fd,
                      int (*entry)(struct store *store, const struct store_area *area,
                                   const char *name, void *user),
                      void *user)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;
    int rc = 0;

    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    while (rc == 0 && (errno = 0, e = readdir(dir)) != NULL)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            rc = entry(store, area, e->d_name, user);
    if (rc == 0 && errno != 0)
        rc = -1;
    closedir(dir);
    return rc;
}

/* ---- at start ---- */

static int sweep_partial(struct store *store, const struct store_area *area, const char *name,
                         void *user)
{
    struct store_partial partial;
    struct stat st;

    (void)user;
    if (store_partial_parse(name, &partial) &&
        fstatat(area->partial_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)) {
        if (!partial.tree)
            atomic_store_explicit(&store->kept, true, memory_order_relaxed);
    } else {
        unlinkat(area->partial_fd, name, 0);
    }
    return 0;
}

static int sweep_beside(struct store *store, const struct store_area *area, const char *name,
                        void *user)
{
    char temp_name[sizeof STORE_BESIDE_PREFIX + XFER_NAME_MAX];
    struct store_partial partial;
    struct store_parent parent;
    struct stat st;
    bool gone = false;

    (void)user;
    snprintf(temp_name, sizeof temp_name, "%s%s", STORE_BESIDE_PREFIX, name);
    switch (store_partial_beside(store, area, name, &parent)) {
    case BESIDE_FOUND:
        if (fstatat(parent.fd, temp_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            gone = errno == ENOENT;
        else if (area->of_user && st.st_uid != area->uid)
            gone = true; /* who may write in that directory has put it there */
        else if (!store_partial_parse(name, &partial) || !S_ISREG(st.st_mode))
            gone = unlinkat(parent.fd, temp_name, 0) == 0;
        store_path_close(store, &parent);
        break;
    case BESIDE_GONE:
        gone = true;
        break;
    case BESIDE_UNKNOWN: /* what may be reachable again tomorrow keeps its record */
        break;
    }
    if (gone)
        unlinkat(area->beside_fd, name, 0);
    else
        atomic_store_explicit(&store->kept, true, memory_order_relaxed);
    return 0;
}

static int sweep_area(struct store *store, const struct store_area *area, void *user)
{
    each_entry(store, area, area->partial_fd, sweep_partial, user);
    each_entry(store, area, area->beside_fd, sweep_beside, user);
    return 0;
}

static int sweep_own(struct store *store, const struct store_area *area, const char *name,
                     void *user)
{
    (void)area;
    (void)user;
    if (strncmp(name, STORE_HOME_PREFIX, strlen(STORE_HOME_PREFIX)) == 0)
        unlinkat(store->own_fd, name, AT_REMOVEDIR);
    return 0;
}

void store_sweep(struct store *store)
{
    store_area_each(store, sweep_area, NULL);
    each_entry(store, NULL, store->own_fd, sweep_own, NULL);
}

/* ---- what is here ---- */

struct census {
    uint64_t *jobs; /* of our queue */
    size_t n, size;
    uint64_t others, others_bytes; /* files of other queues */
};

static int count(struct census *c, const struct store *store, const struct store_partial *partial,
                 const struct stat *st)
{
    if (strcmp(partial->queue, store->queue) != 0) {
        c->others++;
        c->others_bytes += (uint64_t)st->st_size;
        return 0;
    }
    if (c->n == c->size) {
        size_t size = c->size > 0 ? 2 * c->size : 16;
        uint64_t *jobs = reallocarray(c->jobs, size, sizeof *jobs);

        if (jobs == NULL)
            return -1;
        c->jobs = jobs;
        c->size = size;
    }
    c->jobs[c->n++] = partial->job;
    return 0;
}

static int count_partial(struct store *store, const struct store_area *area, const char *name,
                         void *user)
{
    struct store_partial partial;
    struct stat st;

    if (!store_partial_parse(name, &partial) ||
        fstatat(area->partial_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    return count(user, store, &partial, &st);
}

static int count_beside(struct store *store, const struct store_area *area, const char *name,
                        void *user)
{
    char temp_name[STORE_TEMP_NAME_SIZE];
    struct store_partial partial;
    struct store_parent parent;
    struct stat st = {.st_size = 0};

    if (!store_partial_parse(name, &partial))
        return 0;
    snprintf(temp_name, sizeof temp_name, "%s%s", STORE_BESIDE_PREFIX, name);
    if (store_partial_beside(store, area, name, &parent) == BESIDE_FOUND) {
        if (fstatat(parent.fd, temp_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            st.st_size = 0;
        store_path_close(store, &parent);
    }
    return count(user, store, &partial, &st);
}

static int count_area(struct store *store, const struct store_area *area, void *user)
{
    return each_entry(store, area, area->partial_fd, count_partial, user) != 0 ||
                   each_entry(store, area, area->beside_fd, count_beside, user) != 0
               ? -1
               : 0;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

int store_partials(struct store *store, uint64_t **jobs, size_t *n, struct xfer_error *err)
{
    struct census c = {.n = 0};
    size_t i, once = 0;

    if (store_area_each(store, count_area, &c) != 0) {
        error_set_errno(err, errno, "can't list the partial files in %s", store->root);
        free(c.jobs);
        return error_about(err, XFER_SIDE_RECEIVER, store->root);
    }
    if (c.n > 0)
        qsort(c.jobs, c.n, sizeof *c.jobs, by_number);
    for (i = 0; i < c.n; i++)
        if (i == 0 || c.jobs[i] != c.jobs[i - 1])
            c.jobs[once++] = c.jobs[i];
    if (c.others > 0)
        log_notice("receiving root %s: %llu partial file%s of other queues, %llu bytes, left as "
                   "they are in " STORE_OWN_DIR "/" STORE_PARTIAL_DIR " and beside their targets",
                   store->root, (unsigned long long)c.others, c.others > 1 ? "s" : "",
                   (unsigned long long)c.others_bytes);
    *jobs = c.jobs;
    *n = once;
    return 0;
}

/* ---- what is needed no longer ---- */

struct forgotten {
    const uint64_t *jobs;
    size_t n;
};

static int forget_entry(struct store *store, const struct store_area *area, const char *name,
                        void *user)
{
    const struct forgotten *f = user;
    struct store_partial partial;
    size_t i;

    if (!store_partial_parse(name, &partial) || strcmp(partial.queue, store->queue) != 0)
        return 0;
    for (i = 0; i < f->n && f->jobs[i] != partial.job; i++)
        ;
    if (i < f->n)
        store_partial_remove(store, area, name);
    return 0;
}

static int forget_area(struct store *store, const struct store_area *area, void *user)
{
    each_entry(store, area, area->partial_fd, forget_entry, user);
    each_entry(store, area, area->beside_fd, forget_entry, user);
    return 0;
}

void store_forget(struct store *store, const uint64_t *jobs, size_t n)
{
    struct forgotten f = {jobs, n};

    store_area_each(store, forget_area, &f);
}
