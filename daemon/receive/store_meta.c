/* SPDX-License-Identifier: MIT
 *
 * See store_meta.h. The order matters: a change of owner or group takes set-id bits and file
 * capabilities away, what needs write permission (attributes do) comes before the mode, a mode that
 * is configured limits an access list that came, and everything changes times.
 *
 * Set-id bits say "as this user" and "as this group": they are set only where that is the owner
 * they were meant for, and whoever configures a group for all doesn't mean that.
 */
#include "daemon/receive/store_meta.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/receive/store_attrs.h"
#include "daemon/receive/store_dir.h"
#include "daemon/work/identity.h"

#define SET_ID  (S_ISUID | S_ISGID)
#define NOBODY  ((uid_t)-1) /* chown() takes it for "as it is" */
#define NOGROUP ((gid_t)-1)

mode_t store_meta_mode(const struct store *store, bool directory, uint32_t preserve, mode_t sent,
                       bool owned)
{
    if (directory && store->dir_mode_given)
        return (mode_t)store->dir_mode;
    if (!directory && store->file_mode >= 0)
        return (mode_t)store->file_mode & 0777;
    if ((preserve & PRESERVE_MODE) == 0)
        return directory ? STORE_MODE_AS_IT_IS : 0666 & ~store->umask;
    return sent & 07777 & ~(mode_t)(owned ? 0 : SET_ID);
}

static int change_owner(int fd, uid_t uid, gid_t gid)
{
    return fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
}

/* As the daemon, which may give away what the user may not: no more than what the system gives to
 * whatever the user makes in that directory, or the configuration to whatever is made. */
static int change_group(const struct store_file *file, gid_t gid)
{
    const struct identity *who = identity_pause();
    int rc = change_owner(file->fd, NOBODY, gid), saved = errno;

    identity_resume(who);
    errno = saved;
    return rc;
}

/* A temporary comes from another directory than the one whose group it is to have. */
static int set_group(const struct store_file *file, struct xfer_error *err)
{
    const struct store *store = file->store;
    gid_t gid = store->group;
    struct stat st, dir;

    if (!store->group_set && file->parent.shared != NULL) {
        if (!store_dir_group(file->parent.shared, &gid))
            return 0;
    } else if (!store->group_set) {
        if (fstat(file->parent.fd, &dir) != 0 || (dir.st_mode & S_ISGID) == 0)
            return 0;
        gid = dir.st_gid;
    }
    if (fstat(file->fd, &st) == 0 && (st.st_gid == gid || change_group(file, gid) == 0))
        return 0;
    if (errno == EPERM && !store->group_set) /* a daemon that is no member */
        return 0;
    return error_set_errno(err, errno, "can't set the group %u", (unsigned)gid);
}

/* Are owner and group those of the source now? */
static bool set_owner(struct store_file *file, const struct stat *st)
{
    bool any_group = file->store->group_set;
    gid_t gid = any_group ? NOGROUP : file->owner_gid;

    if (file->owner_uid == NOBODY || file->owner_gid == NOGROUP) {
        store_file_warn(file, "owner", EINVAL);
        return false;
    }
    if ((st->st_uid != file->owner_uid || (!any_group && st->st_gid != gid)) &&
        change_owner(file->fd, file->owner_uid, gid) != 0) {
        store_file_warn(file, "owner", errno);
        if (!any_group && st->st_gid != gid)
            (void)!change_owner(file->fd, NOBODY, gid); /* members may do that much */
        return false;
    }
    return !any_group;
}

/* That a directory passes its group on is what the host wants, not the user, who may be no member.
 */
static int change_mode(const struct store_file *file, const struct stat *st, mode_t mode)
{
    const struct identity *who;
    int rc, saved;

    if (!S_ISDIR(st->st_mode) || (mode & S_ISGID) == 0 || st->st_uid != identity_now())
        return fchmod(file->fd, mode);
    who = identity_pause();
    rc = fchmod(file->fd, mode);
    saved = errno;
    identity_resume(who);
    errno = saved;
    return rc;
}

static void set_mode(struct store_file *file, const struct stat *st, bool owned)
{
    bool directory = S_ISDIR(st->st_mode);
    mode_t mode = store_meta_mode(file->store, directory, file->preserve, file->mode, owned);

    if (mode == STORE_MODE_AS_IT_IS)
        return;
    /* the group that a directory passes on is the host's business, unless the source's is here */
    if (directory && !owned)
        mode |= st->st_mode & S_ISGID;
    /* as it was made, mostly; a change of owner takes nothing away but set-id bits */
    if ((st->st_mode & 07777) == mode && (directory || (mode & ~(mode_t)0777) == 0))
        return;
    if (change_mode(file, st, mode) != 0)
        store_file_warn(file, "mode", errno);
}

static int set_times(const struct store_file *file)
{
    const struct timespec times[2] = {{0, UTIME_OMIT}, file->mtime};

    if (file->kind != WIRE_KIND_SYMLINK)
        return futimens(file->fd, times);
    return utimensat(file->fd, "", times, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
}

static bool has_time(const struct store_file *file, const struct stat *st)
{
    return st->st_mtim.tv_sec == file->mtime.tv_sec && st->st_mtim.tv_nsec == file->mtime.tv_nsec;
}

/* An access list says what the mode would, where nobody else does. */
static bool is_said_by_list(const struct store_file *file)
{
    return file->kind == WIRE_KIND_FILE && !(file->preserve & PRESERVE_MODE) &&
           file->store->file_mode < 0;
}

int store_meta_set(struct store_file *file, struct xfer_error *err)
{
    bool owned = false, listed;
    struct stat st;

    /* a directory has it since it was made */
    if (file->kind != WIRE_KIND_DIRECTORY && set_group(file, err) != 0)
        return -1;
    if (fstat(file->fd, &st) != 0)
        return error_set_errno(err, errno, "can't look at it");
    if (file->preserve & PRESERVE_OWNER)
        owned = set_owner(file, &st);
    listed = store_attrs_set(file, owned);
    /* a new owner takes bits away, a list may give some */
    if ((file->preserve & (PRESERVE_OWNER | PRESERVE_ACL)) && fstat(file->fd, &st) != 0)
        return error_set_errno(err, errno, "can't look at it");
    if (file->kind != WIRE_KIND_SYMLINK && !(listed && is_said_by_list(file)))
        set_mode(file, &st, owned);
    if ((file->preserve & PRESERVE_TIMES) && !has_time(file, &st) && set_times(file) != 0)
        store_file_warn(file, "times", errno);
    return 0;
}
