/* SPDX-License-Identifier: MIT
 *
 * Directories for sockets and private files, and their removal. Used at start, at the end, and
 * between two generations of ranks by the supervisor, or by rank 0 where there is no supervisor.
 * Everything is done beneath open descriptors.
 */
#include "daemon/safedir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 64

/* mkdir -p. What is there already is taken as it is. */
static int make_all(const char *path, mode_t mode, struct xfer_error *err)
{
    char part[XFER_PATH_SIZE];
    size_t len = strlen(path);

    if (len >= sizeof part)
        return error_set(err, XFER_NAME_TOO_LONG, "%s: too long", path);
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        part[i] = '\0';
        if (mkdir(part, mode) < 0 && errno != EEXIST &&
            !(i < len && (errno == EROFS || errno == EACCES)))
            return error_set_errno(err, errno, "directory %s cannot be made", part);
        part[i] = i < len ? '/' : '\0';
    }
    return 0;
}

int safedir_ensure(const char *path, mode_t mode, bool own_only, struct xfer_error *err)
{
    struct stat link, st;
    uid_t uid = geteuid();

    if (stat(path, &st) < 0) {
        if (errno != ENOENT)
            return error_set_errno(err, errno, "%s", path);
        if (make_all(path, mode, err) < 0)
            return -1;
    }
    /* A link put in place by somebody else would lead us where that one wants. */
    if (lstat(path, &link) < 0 || stat(path, &st) < 0)
        return error_set_errno(err, errno, "%s", path);
    if (!S_ISDIR(st.st_mode))
        return error_set(err, XFER_NOT_DIRECTORY, "%s is no directory", path);
    if ((link.st_uid != uid && link.st_uid != 0) || (st.st_uid != uid && st.st_uid != 0))
        return error_set(
            err, XFER_PERMISSION_DENIED, "%s belongs to uid %lu, who could put anything there",
            path, (unsigned long)(st.st_uid != uid && st.st_uid != 0 ? st.st_uid : link.st_uid));
    if (own_only && (st.st_uid != uid || (st.st_mode & 0022) != 0))
        return error_set(err, XFER_PERMISSION_DENIED,
                         "%s is not this user's alone (uid %lu, mode %04o)", path,
                         (unsigned long)st.st_uid, (unsigned)st.st_mode & 07777);
    if ((st.st_mode & 0002) != 0 && (st.st_mode & S_ISVTX) == 0)
        return error_set(err, XFER_PERMISSION_DENIED, "%s can be written by everybody (mode %04o)",
                         path, (unsigned)st.st_mode & 07777);
    return 0;
}

static int empty(int dirfd, const char *keep, int depth)
{
    int own =
        openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* with an offset of its own */
    DIR *dir = own >= 0 ? fdopendir(own) : NULL;
    struct dirent *e;
    int result = 0;

    if (dir == NULL) {
        if (own >= 0)
            close(own);
        return -1;
    }
    while ((e = readdir(dir)) != NULL) {
        int sub;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            (keep != NULL && strcmp(e->d_name, keep) == 0))
            continue;
        if (unlinkat(dirfd, e->d_name, 0) == 0 || errno == ENOENT)
            continue;
        sub = depth < DEPTH_MAX
                  ? openat(dirfd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                  : -1;
        if (sub < 0) {
            result = -1;
            continue;
        }
        if (empty(sub, NULL, depth + 1) < 0)
            result = -1;
        close(sub);
        if (unlinkat(dirfd, e->d_name, AT_REMOVEDIR) < 0 && errno != ENOENT)
            result = -1;
    }
    closedir(dir);
    return result;
}

int safedir_empty(int dirfd, const char *keep)
{
    return empty(dirfd, keep, 0);
}
