/* SPDX-License-Identifier: MIT
 *
 * See lists.h. A name is ID-RANDOM-DIGEST in hex; while it is being written, ID-RANDOM. Each piece
 * of work has a strand of its own: what a client hands over may lie in a file system that hangs.
 */
#include "daemon/control/lists.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <xxhash.h>

#include "proto/limits.h"

#define RANDOM_SIZE 16
#define NAME_SIZE   (2 * XFER_QUEUE_ID_SIZE + 1 + 2 * RANDOM_SIZE + 1 + 2 * XFER_DIGEST_SIZE + 1)
#define BUFFER_SIZE (256 * 1024)

struct lists {
    struct pool *pool;
    char prefix[2 * XFER_QUEUE_ID_SIZE + 2];
    size_t working; /* works that are outstanding */
    bool gone;      /* it lives for these alone */
    char directory[];
};

struct list_work {
    struct work work; /* must be first */
    struct strand *strand;
    struct lists *lists;
    int fd;
    struct control_strings files;
    struct xfer_error error;
    char name[NAME_SIZE];
    void (*done)(void *user, int fd, char *name, const struct xfer_error *why);
    void *user;
};

static void hex(char *to, const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        snprintf(to + 2 * i, 3, "%02x", bytes[i]);
}

struct lists *lists_create(const char *directory, const unsigned char id[XFER_QUEUE_ID_SIZE],
                           struct pool *pool, struct xfer_error *err)
{
    struct lists *l = calloc(1, sizeof *l + strlen(directory) + 1);

    if (!l) {
        error_set(err, XFER_NO_RESOURCES, "no memory for lists of files");
        return NULL;
    }
    l->pool = pool;
    hex(l->prefix, id, XFER_QUEUE_ID_SIZE);
    strcat(l->prefix, "-");
    strcpy(l->directory, directory);
    return l;
}

void lists_destroy(struct lists *l)
{
    if (!l)
        return;
    l->gone = true;
    if (l->working == 0)
        free(l);
}

bool lists_same(const char *a, const char *b)
{
    const char *x, *y;

    if (!a || !b)
        return a == b;
    x = strrchr(a, '-');
    y = strrchr(b, '-');
    return strcmp(x ? x : a, y ? y : b) == 0;
}

/* ---- works ---- */

static struct list_work *make_work(struct lists *l, void (*run)(struct work *),
                                   void (*done)(struct work *))
{
    struct list_work *w = l->pool ? calloc(1, sizeof *w) : NULL;

    if (!w)
        return NULL;
    w->strand = strand_create(l->pool);
    if (!w->strand) {
        free(w);
        return NULL;
    }
    w->work.run = run;
    w->work.done = done;
    w->lists = l;
    w->fd = -1;
    l->working++;
    return w;
}

static void end_work(struct list_work *w)
{
    struct lists *l = w->lists;

    strand_destroy(w->strand);
    control_strings_free(&w->files);
    free(w);
    if (--l->working == 0 && l->gone)
        free(l);
}

/* ---- copying, on a worker ---- */

struct copy {
    int to;
    XXH3_state_t *digest;
    int64_t bytes;
    char last;
};

static int refuse(const char *why, struct xfer_error *err)
{
    return error_set(err, XFER_INVALID_PARAMS, "the list of files %s", why);
}

static int put(struct copy *c, const char *bytes, size_t len, struct xfer_error *err)
{
    if (len == 0)
        return 0;
    c->bytes += (int64_t)len;
    if (c->bytes > XFER_FILES_LIST_MAX) {
        error_set(err, XFER_INVALID_PARAMS, "the list of files is longer than %lld bytes",
                  (long long)XFER_FILES_LIST_MAX);
        return -1;
    }
    XXH3_128bits_update(c->digest, bytes, len);
    c->last = bytes[len - 1];
    for (ssize_t n; len > 0; bytes += n, len -= (size_t)n) {
        n = write(c->to, bytes, len);
        if (n < 0 && errno == EINTR)
            n = 0;
        else if (n < 0)
            return error_set_errno(err, errno, "the list of files cannot be kept");
    }
    return 0;
}

/* A file system in user space that lets nobody in but its owner says so without asking him, and is
 * asked nothing more. */
static int check(int fd, struct xfer_error *err)
{
    int flags = fcntl(fd, F_GETFL);
    struct statfs fs;
    struct stat st;

    if (flags < 0 || (flags & O_PATH) || (flags & O_ACCMODE) == O_WRONLY)
        return refuse("that was handed over is not open for reading", err);
    if (fstatfs(fd, &fs) == 0 && (unsigned long)fs.f_type == FUSE_SUPER_MAGIC && fs.f_bsize == 0)
        return refuse("lies in a file system that its user keeps from all others", err);
    if (fstat(fd, &st) < 0)
        return error_set_errno(err, errno, "the list of files that was handed over");
    return S_ISREG(st.st_mode) ? 0 : refuse("that was handed over is no regular file", err);
}

static int copy_file(struct copy *c, int fd, struct xfer_error *err)
{
    char *buffer = malloc(BUFFER_SIZE);
    int rc = buffer ? check(fd, err) : error_set_errno(err, ENOMEM, "the list of files");

    while (rc == 0) {
        ssize_t n = pread(fd, buffer, BUFFER_SIZE, c->bytes);

        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            break;
        rc = n < 0 ? error_set_errno(err, errno, "the list of files cannot be read")
                   : put(c, buffer, (size_t)n, err);
    }
    free(buffer);
    return rc;
}

static int copy_strings(struct copy *c, const struct control_strings *files, struct xfer_error *err)
{
    FILE *all;
    char *text = NULL;
    size_t len;
    int rc;

    all = open_memstream(&text, &len);
    for (size_t i = 0; all && i < files->n; i++)
        fwrite(files->list[i], 1, strlen(files->list[i]) + 1, all);
    if (!all || fclose(all) != 0)
        rc = error_set_errno(err, ENOMEM, "the list of files");
    else
        rc = put(c, text, len, err);
    free(text);
    return rc;
}

static int finish(struct list_work *w, int dir, struct copy *c, struct xfer_error *err)
{
    char final[NAME_SIZE + 2 * XFER_DIGEST_SIZE];
    XXH128_canonical_t digest;
    int len;

    if (c->bytes == 0)
        return refuse("is empty", err);
    if (c->last != '\0')
        return refuse("is not ended by a NUL: it is not whole", err);
    XXH128_canonicalFromHash(&digest, XXH3_128bits_digest(c->digest));
    len = snprintf(final, sizeof final, "%s-", w->name);
    hex(final + len, digest.digest, sizeof digest.digest);
    if (fdatasync(c->to) < 0 || renameat(dir, w->name, dir, final) < 0 || fsync(dir) < 0)
        return error_set_errno(err, errno, "the list of files cannot be kept");
    memcpy(w->name, final, strlen(final) + 1);
    return 0;
}

static int open_directory(const struct lists *l, struct xfer_error *err)
{
    char *slash, *above = strdup(l->directory);
    int dir, up = -1;

    if (!above)
        return error_set_errno(err, ENOMEM, "the list of files");
    slash = strrchr(above, '/');
    slash[slash == above] = '\0';
    if (mkdir(l->directory, 0700) == 0 &&
        ((up = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 || fsync(up) < 0))
        dir = error_set_errno(err, errno, "%.400s", above);
    else if ((dir = open(l->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)) < 0)
        error_set_errno(err, errno, "%.400s", l->directory);
    if (up >= 0)
        close(up);
    free(above);
    return dir;
}

static int keep(struct list_work *w, int dir, struct xfer_error *err)
{
    unsigned char random[RANDOM_SIZE];
    struct copy c = {.to = -1};
    int rc;

    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return error_set_errno(err, errno, "random bytes");
    strcpy(w->name, w->lists->prefix);
    hex(w->name + strlen(w->name), random, sizeof random);
    c.to = openat(dir, w->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (c.to < 0)
        return error_set_errno(err, errno, "%.400s/%s", w->lists->directory, w->name);
    c.digest = XXH3_createState();
    if (c.digest)
        XXH3_128bits_reset(c.digest);
    rc = !c.digest    ? error_set_errno(err, ENOMEM, "the list of files")
         : w->fd >= 0 ? copy_file(&c, w->fd, err)
                      : copy_strings(&c, &w->files, err);
    if (rc == 0)
        rc = finish(w, dir, &c, err);
    if (rc < 0)
        unlinkat(dir, w->name, 0);
    XXH3_freeState(c.digest);
    close(c.to);
    return rc;
}

static void run_take(struct work *work)
{
    struct list_work *w = (void *)work;
    int dir = open_directory(w->lists, &w->error);

    if (dir >= 0) {
        keep(w, dir, &w->error);
        close(dir);
    }
    if (w->error.code != XFER_OK && w->error.side == XFER_SIDE_NONE)
        w->error.side = XFER_SIDE_DAEMON;
}

static void taken(struct work *work)
{
    struct list_work *w = (void *)work;
    struct xfer_error *err = &w->error;
    char *name = err->code == XFER_OK ? strdup(w->name) : NULL;

    if (!name && err->code == XFER_OK)
        error_set(err, XFER_NO_RESOURCES, "no memory for a list of files");
    if (!w->lists->gone) {
        w->done(w->user, w->fd, name, name ? NULL : err);
    } else {
        free(name); /* the next start removes it */
        if (w->fd >= 0)
            close(w->fd);
    }
    end_work(w);
}

int lists_take(struct lists *l, int fd, const struct control_strings *files,
               void (*done)(void *user, int fd, char *name, const struct xfer_error *why),
               void *user, struct xfer_error *err)
{
    struct list_work *w = make_work(l, run_take, taken);

    if (!w)
        return error_set(err, XFER_NO_RESOURCES, "no memory for a list of files");
    if (fd < 0 && !control_strings_copy(&w->files, files)) {
        end_work(w);
        return error_set(err, XFER_NO_RESOURCES, "no memory for a list of files");
    }
    w->fd = fd;
    w->done = done;
    w->user = user;
    strand_submit(w->strand, &w->work);
    return 0;
}

/* ---- removing ---- */

static void run_remove(struct work *work)
{
    struct list_work *w = (void *)work;
    int dir = open(w->lists->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return;
    unlinkat(dir, w->name, 0);
    close(dir);
}

static void removed(struct work *work)
{
    end_work((void *)work);
}

void lists_remove(struct lists *l, const char *name)
{
    struct list_work *w = make_work(l, run_remove, removed);

    if (!w) /* the next start removes it */
        return;
    snprintf(w->name, sizeof w->name, "%s", name);
    strand_submit(w->strand, &w->work);
}
