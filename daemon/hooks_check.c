/* SPDX-License-Identifier: MIT
 *
 * Whose word is the hook's? It runs with the daemon's rights, so whoever can change it, or put
 * another in its place, has them. Every step of its path is looked at, and of where links lead to:
 * who can change a link, or make what is not there yet, decides as well.
 */
#include "daemon/hooks.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 40 /* as the kernel has it */

static bool is_ours(const struct stat *st)
{
    return st->st_uid == 0 || st->st_uid == geteuid();
}

static int refuse(const char *path, const char *why, struct xfer_error *err)
{
    return error_set(err, XFER_CONFIG, "hook.command: %s %s: it would run with the daemon's rights",
                     path, why);
}

static int check_file(const char *path, const struct stat *st, struct xfer_error *err)
{
    if (!S_ISREG(st->st_mode))
        return error_set(err, XFER_CONFIG, "hook.command: %s is no file", path);
    if (!is_ours(st))
        return refuse(path, "belongs to another user", err);
    if (st->st_mode & (S_IWGRP | S_IWOTH))
        return refuse(path, "can be written to by its group or by others", err);
    return 0;
}

/* Groups are let be: that /usr/local belongs to one is common. */
static int check_directory(const char *path, const struct stat *st, bool may_be_sticky,
                           struct xfer_error *err)
{
    if (!is_ours(st))
        return refuse(path, "belongs to another user", err);
    if ((st->st_mode & S_IWOTH) && !(may_be_sticky && (st->st_mode & S_ISVTX)))
        return refuse(path, "can be written to by others", err);
    return 0;
}

struct walk {
    char at[PATH_MAX];   /* a directory on no link, "" for the root */
    char rest[PATH_MAX]; /* from there */
    unsigned links;
};

static int too_long(const char *path, struct xfer_error *err)
{
    return error_set(err, XFER_CONFIG, "hook.command: %s leads to a path that is too long", path);
}

/* The next step, as a path: 1. 0: there is none. */
static int step(struct walk *w, char *path, size_t size, struct xfer_error *err)
{
    char *name = w->rest + strspn(w->rest, "/"), *end = name + strcspn(name, "/");
    int n = snprintf(path, size, "%s/%.*s", w->at, (int)(end - name), name);

    memmove(w->rest, end, strlen(end) + 1);
    if (n < 0 || (size_t)n >= size)
        return too_long(w->at, err);
    return path[n - 1] != '/';
}

/* As look(). */
static int follow(struct walk *w, const char *path, struct xfer_error *err)
{
    char target[PATH_MAX], rest[PATH_MAX];
    ssize_t n = readlink(path, target, sizeof target - 1);

    if (n <= 0 || ++w->links > LINKS_MAX)
        return 0;
    target[n] = '\0';
    if ((size_t)snprintf(rest, sizeof rest, "%s%s", target, w->rest) >= sizeof rest)
        return too_long(path, err);
    memcpy(w->rest, rest, strlen(rest) + 1);
    if (target[0] == '/')
        w->at[0] = '\0';
    return 1;
}

/* 1: go on; 0: that was all; -1: refused. */
static int look(struct walk *w, const char *path, struct xfer_error *err)
{
    struct stat st;

    if (lstat(path, &st) < 0) { /* whoever may write there can make it */
        const char *there = w->at[0] != '\0' ? w->at : "/";

        return lstat(there, &st) == 0 ? check_directory(there, &st, false, err) : 0;
    }
    if (S_ISLNK(st.st_mode))
        return is_ours(&st) ? follow(w, path, err) : refuse(path, "belongs to another user", err);
    if (!S_ISDIR(st.st_mode))
        return w->rest[0] == '\0' ? check_file(path, &st, err) : 0;
    if (check_directory(path, &st, true, err) < 0)
        return -1;
    memcpy(w->at, path, strlen(path) + 1);
    return 1;
}

int hooks_check(const char *command, struct xfer_error *err)
{
    struct walk w = {.at = ""};
    char path[PATH_MAX];
    struct stat st;
    int more;

    if (command[0] == '\0')
        return 0;
    if ((size_t)snprintf(w.rest, sizeof w.rest, "%s", command) >= sizeof w.rest)
        return too_long(command, err);
    if (lstat("/", &st) == 0 && check_directory("/", &st, true, err) < 0)
        return -1;
    while ((more = step(&w, path, sizeof path, err)) > 0)
        if ((more = look(&w, path, err)) <= 0)
            return more;
    return more < 0 ? -1 : error_set(err, XFER_CONFIG, "hook.command: %s is no file", command);
}
