/* SPDX-License-Identifier: MIT
 *
 * What of a tree may be sent, whose top may. It is gone through from the top by descriptors, so
 * where something lies is known from the directories above it, and only what these are has to be
 * compared. A directory that is xferd's own is left out as a whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/send/source_place.h"
#include "daemon/send/source_policy_impl.h"
#include "daemon/work/identity.h"

static bool begins(const char *name, const char *with)
{
    return with && with[0] && strncmp(name, with, strlen(with)) == 0;
}

static bool is_own(const struct source_policy *p, const struct source_policy_place *in,
                   const char *name, const struct stat *st)
{
    if ((in->in_store && begins(name, OWN_PREFIX)) || (in->is_shm && begins(name, SHARED_PREFIX)) ||
        (in->is_database && begins(name, p->database_name)))
        return true;
    if (S_ISDIR(st->st_mode))
        return policy_is_node(st, &p->runtime) ||
               (policy_is_node(st, &p->state) && !policy_is_node(st, &p->store));
    return policy_is_node(st, &p->database_file) || policy_is_node(st, &p->log_file) ||
           (in->config_known && st->st_dev == in->config_dev && st->st_ino == in->config_ino);
}

static bool is_in_dev(const struct source_policy *p, const struct source_policy_place *in,
                      const struct stat *st)
{
    if (in->in_shm || policy_is_node(st, &p->shm))
        return false;
    return policy_is_node(st, &p->dev) ||
           (p->dev.known && p->root.known && p->dev.dev != p->root.dev && st->st_dev == p->dev.dev);
}

int source_policy_check_in(const struct source_policy *p, const struct source_policy_place *in,
                           const char *name, const struct stat *st, const char *path,
                           struct xfer_error *err)
{
    if (!p)
        return 0;
    if (is_in_dev(p, in, st))
        return policy_refuse(p, path, POLICY_KERNELS, err);
    return is_own(p, in, name, st) ? policy_refuse(p, path, POLICY_OWN, err) : 0;
}

static int check_kernels(const struct source_policy *p, int fd, const char *path,
                         struct xfer_error *err)
{
    int kernels = source_place_is_kernels(fd);

    if (kernels < 0)
        return policy_fail(errno, path, err);
    return kernels ? policy_refuse(p, path, POLICY_KERNELS, err) : 0;
}

int source_policy_enter(const struct source_policy *p, const struct source_policy_place *in,
                        dev_t above, int fd, const struct stat *st, const char *path,
                        struct source_policy_place *place, struct xfer_error *err)
{
    struct node config;

    *place = (struct source_policy_place){.in_store = false};
    if (!p)
        return 0;
    if (st->st_dev != above && check_kernels(p, fd, path, err))
        return -1;
    config = policy_node_of(p->config);
    *place = (struct source_policy_place){
        .in_store = in->in_store || policy_is_node(st, &p->store),
        .in_shm = in->in_shm || policy_is_node(st, &p->shm),
        .is_shm = policy_is_node(st, &p->shm),
        .is_database = policy_is_node(st, &p->database_dir),
        .config_known = config.known,
        .config_dev = config.dev,
        .config_ino = config.ino,
    };
    return 0;
}

int source_policy_inside(const struct source_policy *p, int top_fd, const char *dest,
                         const char *path, char inside[XFER_LONG_PATH_SIZE], struct xfer_error *err)
{
    char proc[64], top[XFER_PATH_SIZE], to[XFER_LONG_PATH_SIZE];
    ssize_t len;
    int n;

    inside[0] = '\0';
    if (!p || !p->store_path)
        return 0;
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", top_fd);
    len = readlink(proc, top, sizeof top - 1);
    if (len < 0 || len == (ssize_t)sizeof top - 1)
        return 0;
    top[len] = '\0';
    n = snprintf(to, sizeof to, "%s/%s", strcmp(p->store_path, "/") != 0 ? p->store_path : "",
                 dest);
    if (n < 0 || (size_t)n >= sizeof to)
        return 0;
    if (strcmp(to, top) == 0) {
        error_set(err, XFER_INVALID_DESTINATION, "%s: is where it is to be sent to", path);
        return error_about(err, XFER_SIDE_SENDER, path);
    }
    if (len == 1) /* "/" */
        len = 0;
    if (strncmp(to, top, (size_t)len) == 0 && to[len] == '/')
        strcpy(inside, to + len + 1);
    return 0;
}

int source_policy_check_device(const struct source_policy *p, int dir_fd, const char *name,
                               const struct stat *st, const char *path, struct xfer_error *err)
{
    struct stat now;
    int fd, rc;

    if (!p)
        return 0;
    fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return policy_fail(errno, path, err);
    if (fstat(fd, &now)) {
        rc = policy_fail(errno, path, err);
    } else if (now.st_dev != st->st_dev || now.st_ino != st->st_ino) {
        error_set(err, XFER_SOURCE_CHANGED, "%s: was replaced while the tree was being read", path);
        rc = error_about(err, XFER_SIDE_SENDER, path);
    } else {
        rc = check_kernels(p, fd, path, err);
    }
    close(fd);
    return rc;
}

int source_policy_denied_in(const struct source_policy *p, int errnum, const char *path,
                            struct xfer_error *err)
{
    if (identity_is_assumed())
        return source_policy_denied(p, errnum, path, err);
    error_set(err, error_code_of_errno(errnum),
              "%.400s: %s: xferd reads trees as %s; with source.identity = caller, of a daemon "
              "that is root, they are read with the rights of whoever sends them",
              path, strerror(errnum), source_policy_user(p));
    err->sys_errno = errnum;
    return error_about(err, XFER_SIDE_SENDER, path);
}
