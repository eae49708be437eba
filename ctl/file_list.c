/* SPDX-License-Identifier: MIT
 *
 * See file_list.h. Whether lines or NULs end the paths is known only when all has been read, so it
 * is copied first: into memory, or, where it is long, into a temporary file.
 */
#include "ctl/file_list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/limits.h"

#define BUFFER_SIZE (64 * 1024)
#define MEMORY_MAX  (16 << 20) /* bytes that are kept in memory */

struct copy {
    const char *name; /* for people */
    int to;
    bool in_memory;
    int64_t len;
    bool has_nul;
    char last;
    char buffer[BUFFER_SIZE];
};

static int put(struct copy *c, const char *bytes, size_t len, int64_t at, struct xfer_error *err)
{
    while (len > 0) {
        ssize_t n = pwrite(c->to, bytes, len, at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, errno, "a temporary file for %s", c->name);
        bytes += n;
        len -= (size_t)n;
        at += n;
    }
    return 0;
}

static ssize_t get(int fd, char *buffer, int64_t at)
{
    ssize_t n;

    do
        n = at < 0 ? read(fd, buffer, BUFFER_SIZE) : pread(fd, buffer, BUFFER_SIZE, at);
    while (n < 0 && errno == EINTR);
    return n;
}

static int make_temporary(void)
{
    const char *directory = getenv("TMPDIR");
    char name[XFER_PATH_SIZE];
    int fd;

    if (!directory || directory[0] != '/')
        directory = "/tmp";
    fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    snprintf(name, sizeof(name), "%s/xferctl-XXXXXX", directory);
    fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0)
        unlink(name);
    return fd;
}

static int leave_memory(struct copy *c, struct xfer_error *err)
{
    int memory = c->to, rc = 0;
    char *bytes = malloc(BUFFER_SIZE);
    ssize_t n = 0;

    c->to = bytes ? make_temporary() : -1;
    c->in_memory = false;
    if (c->to < 0)
        rc = error_set_errno(err, errno, "a temporary file for %s", c->name);
    for (int64_t at = 0; rc == 0 && (n = get(memory, bytes, at)) > 0; at += n)
        rc = put(c, bytes, (size_t)n, at, err);
    if (rc == 0 && n < 0)
        rc = error_set_errno(err, errno, "%s", c->name);
    free(bytes);
    close(memory);
    return rc;
}

static int copy_all(struct copy *c, int from, struct xfer_error *err)
{
    ssize_t n;

    while ((n = get(from, c->buffer, -1)) > 0) {
        if (c->len + n > XFER_FILES_LIST_MAX)
            return error_set(err, XFER_USAGE, "%s is longer than %lld bytes", c->name,
                             (long long)XFER_FILES_LIST_MAX);
        if (c->in_memory && c->len + n > MEMORY_MAX && leave_memory(c, err))
            return -1;
        if (put(c, c->buffer, (size_t)n, c->len, err))
            return -1;
        c->has_nul = c->has_nul || memchr(c->buffer, '\0', (size_t)n);
        c->last = c->buffer[n - 1];
        c->len += n;
    }
    return n < 0 ? error_set_errno(err, errno, "%s", c->name) : 0;
}

/* In place: what is written is never more than what has been read, but for the last NUL. */
static int end_lines(struct copy *c, struct xfer_error *err)
{
    int64_t from = 0, to = 0;
    char last = '\0';
    ssize_t n;

    while ((n = get(c->to, c->buffer, from)) > 0) {
        size_t len = 0;

        from += n;
        for (ssize_t i = 0; i < n; i++) {
            char b = c->buffer[i] == '\n' ? '\0' : c->buffer[i];

            if (b != '\0' || last != '\0')
                c->buffer[len++] = b;
            last = b;
        }
        if (put(c, c->buffer, len, to, err))
            return -1;
        to += (int64_t)len;
    }
    if (n < 0 || ftruncate(c->to, to))
        return error_set_errno(err, errno, "%s", c->name);
    c->len = to;
    c->last = last;
    return 0;
}

static int make(struct copy *c, int from, struct xfer_error *err)
{
    struct stat st;

    if (fstat(from, &st))
        return error_set_errno(err, errno, "%s", c->name);
    if (S_ISDIR(st.st_mode))
        return error_set(err, XFER_USAGE, "%s is a directory, not a list of files", c->name);
    c->to = memfd_create("xfer-files", MFD_CLOEXEC);
    c->in_memory = c->to >= 0;
    if (c->to < 0 && (c->to = make_temporary()) < 0)
        return error_set_errno(err, errno, "a temporary file for %s", c->name);
    if (copy_all(c, from, err) || (!c->has_nul && end_lines(c, err)))
        return -1;
    if (c->len == 0)
        return error_set(err, XFER_USAGE, "%s names no file", c->name);
    return c->last == '\0' ? 0 : put(c, "", 1, c->len, err);
}

int file_list_open(const char *name, struct xfer_error *err)
{
    bool standard = strcmp(name, "-") == 0;
    int from = standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY), to = -1;
    struct copy *c = malloc(sizeof(*c));

    if (!c) {
        error_set(err, XFER_NO_RESOURCES, "no memory");
    } else if (from < 0) {
        error_set_errno(err, errno, "%s", name);
    } else {
        *c = (struct copy){.name = standard ? "standard input" : name, .to = -1};
        if (make(c, from, err) == 0)
            to = c->to;
        else if (c->to >= 0)
            close(c->to);
    }
    if (to < 0)
        error_prefix(err, "--files-from");
    if (!standard && from >= 0)
        close(from);
    free(c);
    return to;
}
