/* SPDX-License-Identifier: MIT
 *
 * See source_way.h. What it is must be known before it is really opened: opening a FIFO waits,
 * opening a tape rewinds it. What was looked at is then what is opened, whatever becomes of its
 * name.
 */
#include "daemon/send/source_way.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/work/identity.h"

int source_way_fail(struct source_policy *policy, int errnum, const char *path,
                    struct xfer_error *err)
{
    if (errnum == EACCES || errnum == EPERM)
        return source_policy_denied(policy, errnum, path, err);
    error_set_errno(err, errnum, "%s", path);
    return error_about(err, XFER_SIDE_SENDER, path);
}

static int check_type(const char *path, const struct stat *st, bool trees, struct xfer_error *err)
{
    if (S_ISREG(st->st_mode) || (trees && S_ISDIR(st->st_mode)))
        return 0;
    if (S_ISDIR(st->st_mode))
        error_set(err, XFER_IS_DIRECTORY, "%s: is a directory, not a regular file", path);
    else
        error_set(err, XFER_NOT_REGULAR, "%s: is a %s, not a regular file", path,
                  S_ISFIFO(st->st_mode)   ? "FIFO"
                  : S_ISSOCK(st->st_mode) ? "socket"
                                          : "device");
    return error_about(err, XFER_SIDE_SENDER, path);
}

static int check_allowed(struct source_policy *policy, const char *path, int fd, bool trees,
                         const struct stat *st, struct source_policy_place *place,
                         struct xfer_error *err)
{
    bool narrow = policy && source_policy_is_narrow(policy);

    if (narrow && source_policy_check_top(policy, fd, st, path, place, err))
        return -1;
    if (check_type(path, st, trees, err))
        return -1;
    return narrow || !policy ? 0 : source_policy_check_top(policy, fd, st, path, place, err);
}

/* With somebody else's rights no way may lead through the descriptors of this process, which other
 * users' files are among: such a link skips the directories on the way. */
static int open_place(const char *path)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS};

    if (!identity_is_assumed())
        return open(path, O_PATH | O_CLOEXEC);
    return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

/* That no way leads there also tells something of what lies there. */
static int fail_place(struct source_policy *policy, const char *path, int errnum,
                      struct xfer_error *err)
{
    bool of_path = errnum == ENOENT || errnum == ENOTDIR || errnum == ELOOP ||
                   errnum == ENAMETOOLONG || errnum == EACCES || errnum == EPERM;

    if (of_path && policy && source_policy_is_narrow(policy))
        return source_policy_missing(policy, errnum, path, err);
    return source_way_fail(policy, errnum, path, err);
}

int source_way_open(struct source_policy *policy, const char *path, bool trees, struct stat *st,
                    struct source_policy_place *place, struct xfer_error *err)
{
    int fd = open_place(path), saved;

    if (fd < 0)
        return fail_place(policy, path, errno, err);
    if (fstat(fd, st)) {
        saved = errno;
        close(fd);
        return source_way_fail(policy, saved, path, err);
    }
    if (check_allowed(policy, path, fd, trees, st, place, err)) {
        close(fd);
        return -1;
    }
    return fd;
}
