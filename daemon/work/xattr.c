/* SPDX-License-Identifier: MIT
 *
 * See xattr.h. The calls for descriptors refuse O_PATH ones; these are reached through /proc, whose
 * link leads to the very inode, be it a symbolic link.
 */
#include "daemon/work/xattr.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <xxhash.h>

#include "daemon/work/identity.h"

#define LIST_MAX  (64 * 1024) /* as Linux has it */
#define LIST_FEW  1024
#define TRIES_MAX 16 /* while somebody changes them */

/* Whose attributes. */
struct of {
    int fd;
    bool by_path, follow;
    char path[sizeof "/proc/self/fd/2147483647/" + XFER_NAME_MAX];
};

static void use_path(struct of *of)
{
    snprintf(of->path, sizeof of->path, "/proc/self/fd/%d", of->fd);
    of->by_path = of->follow = true;
}

static ssize_t list(struct of *of, char *buf, size_t size)
{
    ssize_t n;

    if (!of->by_path) {
        n = flistxattr(of->fd, buf, size);
        if (n >= 0 || errno != EBADF)
            return n;
        use_path(of);
    }
    return of->follow ? listxattr(of->path, buf, size) : llistxattr(of->path, buf, size);
}

static ssize_t get(const struct of *of, const char *name, void *buf, size_t size)
{
    if (!of->by_path)
        return fgetxattr(of->fd, name, buf, size);
    return of->follow ? getxattr(of->path, name, buf, size) : lgetxattr(of->path, name, buf, size);
}

/* ---- their names ---- */

/* *names is to be freed where it is not few. -1 with errno set. */
static ssize_t list_all(struct of *of, char few[LIST_FEW], char **names)
{
    ssize_t n = list(of, few, LIST_FEW);

    *names = few;
    if (n >= 0)
        return n;
    if (errno == ENOTSUP)
        return 0;
    if (errno != ERANGE)
        return -1;
    *names = malloc(LIST_MAX);
    if (!*names) {
        *names = few;
        errno = ENOMEM;
        return -1;
    }
    return list(of, *names, LIST_MAX);
}

static bool is_wanted(const char *name, uint32_t preserve)
{
    bool of_all = strncmp(name, "user.", 5) == 0 || strncmp(name, "system.", 7) == 0;

    return attrs_are_of(name, preserve) && (of_all || identity_now() == 0);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Those that count, in order. NULL: no memory, or there are none (*n is 0). */
static const char **pick(const char *names, size_t len, uint32_t preserve, size_t *n)
{
    const char **picked = NULL;
    size_t count = 0;

    *n = 0;
    for (size_t at = 0; at < len; at += strlen(names + at) + 1)
        count += is_wanted(names + at, preserve);
    if (count == 0)
        return NULL;
    picked = malloc(count * sizeof *picked);
    *n = count;
    if (!picked)
        return NULL;
    count = 0;
    for (size_t at = 0; at < len; at += strlen(names + at) + 1)
        if (is_wanted(names + at, preserve))
            picked[count++] = names + at;
    qsort(picked, count, sizeof *picked, compare);
    return picked;
}

/* ---- their values ---- */

struct collected {
    struct attrs *attrs;
    size_t room;
    struct attrs_writer writer;
};

static int too_many(struct xfer_error *err)
{
    return error_set(err, XFER_FILE_TOO_LARGE,
                     "extended attributes: more than the %d bytes that can be sent",
                     XFER_ATTRS_MAX);
}

/* So many bytes more. */
static int make_room(struct collected *c, size_t more, struct xfer_error *err)
{
    size_t room = c->writer.len + more;
    struct attrs *attrs;

    if (room > XFER_ATTRS_MAX)
        return too_many(err);
    if (room <= c->room)
        return 0;
    if (room > 4096) /* one that has many has more */
        room = room < XFER_ATTRS_MAX / 2 ? 2 * room : XFER_ATTRS_MAX;
    attrs = realloc(c->attrs, sizeof *attrs + room);
    if (!attrs)
        return error_set_errno(err, ENOMEM, "extended attributes");
    c->attrs = attrs;
    c->room = c->writer.size = room;
    c->writer.buf = attrs->bytes;
    return 0;
}

static int collect_one(struct of *of, const char *name, struct collected *c, struct xfer_error *err)
{
    unsigned char few[256], *value = few;
    ssize_t len = get(of, name, few, sizeof few);
    int rc = 0;

    for (int tries = 0; len < 0 && errno == ERANGE && tries < TRIES_MAX; tries++) {
        if (value == few && !(value = malloc(XFER_ATTR_VALUE_MAX)))
            return error_set_errno(err, ENOMEM, "xattr %s", name);
        len = get(of, name, value, XFER_ATTR_VALUE_MAX);
    }
    if (len >= 0)
        rc = make_room(c, attrs_size_of(name, (size_t)len), err) ||
             attrs_put(&c->writer, name, value, (size_t)len);
    else if (errno != ENODATA) /* it was removed meanwhile */
        rc = error_set_errno(err, errno, "xattr %s", name);
    if (value != few)
        free(value);
    return rc ? -1 : 0;
}

static int collect(struct of *of, uint32_t preserve, struct attrs **out, struct xfer_error *err)
{
    char few[LIST_FEW], *names;
    ssize_t len = list_all(of, few, &names);
    struct collected c = {.attrs = NULL};
    const char **picked = NULL;
    size_t n = 0;
    int rc = 0;

    *out = NULL;
    if (len < 0)
        rc = error_set_errno(err, errno, "extended attributes");
    else
        picked = pick(names, (size_t)len, preserve, &n);
    if (n > 0 && !picked)
        rc = error_set_errno(err, ENOMEM, "extended attributes");
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = collect_one(of, picked[i], &c, err);
    if (rc == 0 && c.writer.len > 0) {
        c.attrs->len = (uint32_t)c.writer.len;
        *out = c.attrs;
    } else {
        free(c.attrs);
    }
    free(picked);
    if (names != few)
        free(names);
    return rc;
}

int xattr_collect(int fd, uint32_t preserve, struct attrs **out, struct xfer_error *err)
{
    struct of of = {.fd = fd};

    return collect(&of, preserve, out, err);
}

int xattr_collect_at(int dir_fd, const char *name, uint32_t preserve, struct attrs **out,
                     struct xfer_error *err)
{
    struct of of = {.by_path = true};

    snprintf(of.path, sizeof of.path, "/proc/self/fd/%d/%s", dir_fd, name);
    return collect(&of, preserve, out, err);
}

uint64_t xattr_hash(const struct attrs *attrs)
{
    uint64_t hash = attrs ? XXH3_64bits(attrs->bytes, attrs->len) : 0;

    return attrs && hash == 0 ? 1 : hash;
}

/* ---- changing them ---- */

int xattr_set(int fd, const char *name, const void *value, size_t len)
{
    struct of of = {.fd = fd};
    int rc = fsetxattr(fd, name, value, len, 0);

    if (rc == 0 || errno != EBADF)
        return rc;
    use_path(&of);
    return setxattr(of.path, name, value, len, 0);
}

int xattr_remove(int fd, const char *name)
{
    struct of of = {.fd = fd};
    int rc = fremovexattr(fd, name);

    if (rc == 0 || errno != EBADF)
        return rc;
    use_path(&of);
    return removexattr(of.path, name);
}
