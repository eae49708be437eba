/* SPDX-License-Identifier: MIT
 *
 * Whose word is the hook's? It runs with the daemon's rights, so whoever can change it, or put
 * another in its place, has them. Every step of its path is looked at, as it is after all links.
 */
#include "daemon/hooks.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_ours(const struct stat *st)
{
    return st->st_uid == 0 || st->st_uid == geteuid();
}

static int refuse(const char *path, const char *why, struct xfer_error *err)
{
    return error_set(err, XFER_CONFIG, "hook.command: %s %s: it would run with the daemon's rights",
                     path, why);
}

static int check_file(const char *path, struct xfer_error *err)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return 0; /* it went away: no hook, for as long */
    if (!S_ISREG(st.st_mode))
        return error_set(err, XFER_CONFIG, "hook.command: %s is no file", path);
    if (!is_ours(&st))
        return refuse(path, "belongs to another user", err);
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return refuse(path, "can be written to by its group or by others", err);
    return 0;
}

/* Groups are let be: that /usr/local belongs to one is common. */
static int check_directory(const char *path, struct xfer_error *err)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return 0;
    if (!is_ours(&st))
        return refuse(path, "belongs to another user", err);
    if ((st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX))
        return refuse(path, "can be written to by others", err);
    return 0;
}

static int check_all(char *path, struct xfer_error *err)
{
    if (check_file(path, err) < 0)
        return -1;
    for (char *slash; (slash = strrchr(path, '/')) != path;) {
        *slash = '\0';
        if (check_directory(path, err) < 0)
            return -1;
    }
    return check_directory("/", err);
}

int hooks_check(const char *command, struct xfer_error *err)
{
    char *path = command[0] != '\0' ? realpath(command, NULL) : NULL;
    int result = path != NULL ? check_all(path, err) : 0;

    free(path);
    return result;
}
