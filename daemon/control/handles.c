/* SPDX-License-Identifier: MIT
 *
 * See handles.h. Each piece of work has a strand of its own: one that hangs holds one worker.
 *
 * The order of questions matters: a file system in user space that lets nobody in but its owner
 * says so without asking him, and is asked nothing more.
 */
#include "daemon/control/handles.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

struct handles {
    struct pool *pool;
    struct source_policy *policy;
    size_t count, max;
    size_t working; /* works that are outstanding */
    bool gone;      /* it lives for these alone */
};

struct handle_work {
    struct work work; /* must be first */
    struct strand *strand;
    struct handles *handles;
    struct source_policy *policy;
    struct handle handle;
    struct xfer_error error;
    void (*done)(void *user, const struct handle *handle, const struct xfer_error *why);
    void *user;
    char path[];
};

struct handles *handles_create(struct pool *pool, struct source_policy *policy, size_t max,
                               struct xfer_error *err)
{
    struct handles *h = calloc(1, sizeof *h);

    if (!h) {
        error_set(err, XFER_NO_RESOURCES, "no memory for files that are handed over");
        return NULL;
    }
    h->pool = pool;
    h->policy = policy;
    h->max = max;
    return h;
}

void handles_destroy(struct handles *h)
{
    if (!h)
        return;
    h->gone = true;
    if (h->working == 0)
        free(h);
}

bool handles_admit(struct handles *h)
{
    if (h->count >= h->max)
        return false;
    h->count++;
    return true;
}

size_t handles_count(const struct handles *h)
{
    return h->count;
}

/* ---- works ---- */

static struct handle_work *make_work(struct handles *h, int fd, const char *path,
                                     void (*run)(struct work *), void (*done)(struct work *))
{
    struct handle_work *w = calloc(1, sizeof *w + strlen(path) + 1);

    if (!w)
        return NULL;
    w->strand = strand_create(h->pool);
    if (!w->strand) {
        free(w);
        return NULL;
    }
    strcpy(w->path, path);
    w->work.run = run;
    w->work.done = done;
    w->handles = h;
    w->policy = h->policy;
    w->handle.fd = fd;
    h->working++;
    return w;
}

static void end_work(struct handle_work *w)
{
    struct handles *h = w->handles;

    strand_destroy(w->strand);
    free(w);
    if (--h->working == 0 && h->gone)
        free(h);
}

static void run_close(struct work *work)
{
    close(((struct handle_work *)(void *)work)->handle.fd);
}

static void closed(struct work *work)
{
    struct handle_work *w = (void *)work;

    w->handles->count--;
    end_work(w);
}

void handles_close(struct handles *h, int fd)
{
    struct handle_work *w = h->pool ? make_work(h, fd, "", run_close, closed) : NULL;

    if (w) {
        strand_submit(w->strand, &w->work);
        return;
    }
    close(fd);
    h->count--;
}

/* ---- looking ---- */

static int refuse(const struct handle_work *w, enum xfer_code code, const char *why,
                  struct xfer_error *err)
{
    error_set(err, code, "%.400s: %s", w->path, why);
    return error_about(err, XFER_SIDE_DAEMON, w->path);
}

static int look(struct handle_work *w, struct xfer_error *err)
{
    int fd = w->handle.fd;
    struct statfs fs;
    struct stat st;

    if (fstatfs(fd, &fs) == 0 && (unsigned long)fs.f_type == FUSE_SUPER_MAGIC && fs.f_bsize == 0)
        return refuse(w, XFER_PERMISSION_DENIED,
                      "lies in a file system that its user keeps from all others", err);
    if (fstat(fd, &st)) {
        error_set_errno(err, errno, "%.400s", w->path);
        return error_about(err, XFER_SIDE_DAEMON, w->path);
    }
    if (S_ISDIR(st.st_mode))
        return refuse(w, XFER_IS_DIRECTORY, "is a directory, which can be sent by its path only",
                      err);
    if (!S_ISREG(st.st_mode))
        return refuse(w, XFER_NOT_REGULAR, "is no regular file", err);
    if (w->policy && source_policy_check_handle(w->policy, fd, &st, w->path, err))
        return error_about(err, XFER_SIDE_DAEMON, w->path);
    w->handle.dev = st.st_dev;
    w->handle.ino = st.st_ino;
    w->handle.size = st.st_size;
    return 0;
}

static void run_look(struct work *work)
{
    struct handle_work *w = (void *)work;

    look(w, &w->error);
}

static void looked(struct work *work)
{
    struct handle_work *w = (void *)work;
    struct handles *h = w->handles;
    bool good = w->error.code == XFER_OK;

    if (h->gone || !good)
        handles_close(h, w->handle.fd);
    if (!h->gone)
        w->done(w->user, good ? &w->handle : NULL, good ? NULL : &w->error);
    end_work(w);
}

/* What the descriptor itself says, without asking any file system. */
static int check_flags(int fd, const char *path, struct xfer_error *err)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || (flags & O_PATH) || (flags & O_ACCMODE) == O_WRONLY) {
        error_set(err, XFER_INVALID_PARAMS,
                  "%.400s: the descriptor that was handed over is not open for reading", path);
        return error_about(err, XFER_SIDE_DAEMON, path);
    }
    return 0;
}

int handles_look(struct handles *h, int fd, const char *path,
                 void (*done)(void *user, const struct handle *handle,
                              const struct xfer_error *why),
                 void *user, struct xfer_error *err)
{
    struct handle_work *w;

    if (check_flags(fd, path, err)) {
        handles_close(h, fd);
        return -1;
    }
    w = h->pool ? make_work(h, fd, path, run_look, looked) : NULL;
    if (!w) {
        handles_close(h, fd);
        return error_set(err, XFER_NO_RESOURCES, "no memory for a file that was handed over");
    }
    w->done = done;
    w->user = user;
    strand_submit(w->strand, &w->work);
    return 0;
}
