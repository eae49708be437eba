/* SPDX-License-Identifier: MIT
 *
 * See walk_impl.h: the list of what is to be sent of a tree. Whoever made it may have put anything
 * there: each path is checked, and one that is none is told and passed over. On a worker.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/send/walk_impl.h"

#define BUFFER_SIZE (64 * 1024)

int walk_list_open(struct walk *w, struct xfer_error *err)
{
    w->list.buffer = malloc(BUFFER_SIZE);
    if (!w->list.buffer)
        return error_set_errno(err, ENOMEM, "the list of files");
    w->list.fd = open(w->list_path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    return w->list.fd >= 0 ? 0 : error_set_errno(err, errno, "the list of files");
}

void walk_list_close(struct walk *w)
{
    if (w->list.fd >= 0)
        close(w->list.fd);
    w->list.fd = -1;
    free(w->list.buffer);
    w->list.buffer = NULL;
}

static int refuse(struct walk *w, enum xfer_code code, const char *why)
{
    error_set(&w->err, code, "list of files: \"%.400s\" %s", w->list.path, why);
    return error_about(&w->err, XFER_SIDE_SENDER, w->list.path);
}

/* Without repeated '/' and "." components, in place. */
static int normalize(struct walk *w)
{
    const char *at = w->list.path;
    char *to = w->list.path;

    if (*at == '\0')
        return refuse(w, XFER_INVALID_PARAMS, "is empty");
    if (*at == '/')
        return refuse(w, XFER_INVALID_PARAMS, "is absolute: it must be relative to the source");
    for (size_t len; *at; at += len) {
        at += strspn(at, "/");
        len = strcspn(at, "/");
        if (len == 2 && at[0] == '.' && at[1] == '.')
            return refuse(w, XFER_INVALID_PARAMS,
                          "has a \"..\" component: it must stay in the source");
    }
    at = w->list.path;
    for (size_t len; *at; at += len) {
        at += strspn(at, "/");
        len = strcspn(at, "/");
        if (len == 0 || (len == 1 && at[0] == '.'))
            continue;
        if (to > w->list.path)
            *to++ = '/';
        memmove(to, at, len);
        to += len;
    }
    *to = '\0';
    return 1;
}

/* 1: more is there; 0: the end; -1 */
static int fill(struct walk *w)
{
    struct walk_list *l = &w->list;
    ssize_t n;

    do
        n = read(l->fd, l->buffer, BUFFER_SIZE);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        error_set_errno(&w->err, errno, "the list of files");
        return -1;
    }
    l->at = 0;
    l->filled = (size_t)n;
    l->read += n;
    return n > 0;
}

/* Nothing of it is read any more. */
static int give_up(struct walk *w)
{
    walk_list_close(w);
    w->list.path[0] = '\0';
    return error_about(&w->err, XFER_SIDE_SENDER, "");
}

static int end(struct walk *w)
{
    bool cut = w->list.len > 0 || w->list.too_long;

    w->list.path[w->list.len] = '\0';
    walk_list_close(w);
    return cut ? refuse(w, XFER_INVALID_PARAMS, "is not ended by a NUL: the list is not whole") : 0;
}

int walk_list_next(struct walk *w)
{
    struct walk_list *l = &w->list;
    size_t left, len, room;
    const char *nul;

    if (l->fd < 0)
        return 0;
    if (l->at == l->filled) {
        int rc = fill(w);

        if (rc < 0)
            return give_up(w);
        if (rc == 0)
            return end(w);
        if (l->read > XFER_FILES_LIST_MAX) {
            error_set(&w->err, XFER_INVALID_PARAMS,
                      "the list of files is longer than %lld bytes: the rest of it is not sent",
                      (long long)XFER_FILES_LIST_MAX);
            return give_up(w);
        }
    }
    left = l->filled - l->at;
    nul = memchr(l->buffer + l->at, '\0', left);
    len = nul ? (size_t)(nul - (l->buffer + l->at)) : left;
    room = sizeof l->path - 1 - l->len;
    memcpy(l->path + l->len, l->buffer + l->at, len < room ? len : room);
    l->too_long |= len > room;
    l->len += len < room ? len : room;
    l->at += len + (nul != NULL);
    if (!nul)
        return 2;
    l->path[l->len] = '\0';
    l->len = 0;
    if (l->too_long) {
        l->too_long = false;
        return refuse(w, XFER_NAME_TOO_LONG, "is longer than a path may be");
    }
    return normalize(w);
}
