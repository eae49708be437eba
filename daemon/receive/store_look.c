/* SPDX-License-Identifier: MIT
 *
 * store_look(): one directory is opened, each name in it looked at, and directories are made. On a
 * worker.
 */
#include "daemon/receive/store_look_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/receive/store_file.h"
#include "daemon/receive/store_kind.h"
#include "daemon/receive/store_tree.h"
#include "daemon/receive/store_user.h"
#include "proto/relpath.h"

/* ---- answers ---- */

static void answer(struct looking *l, uint32_t i, enum wire_looked_result result)
{
    l->looked->entries[i].result = result;
    l->looked->entries[i].code = XFER_OK;
    l->looked->entries[i].sys_errno = 0;
}

static void fail_entry(struct looking *l, uint32_t i, enum xfer_code code, int errnum)
{
    l->looked->entries[i].result = WIRE_LOOKED_FAILED;
    l->looked->entries[i].code = code;
    l->looked->entries[i].sys_errno = errnum;
}

static void fail_errno(struct looking *l, uint32_t i)
{
    fail_entry(l, i, error_code_of_errno(errno), errno);
}

static void fail_all(struct looking *l, const struct xfer_error *err)
{
    for (uint32_t i = 0; i < l->look->n; i++)
        fail_entry(l, i, err->code, err->sys_errno);
}

/* ---- all but directories ---- */

static void look_at(struct looking *l, uint32_t i)
{
    const struct wire_look_entry *e = &l->look->entries[i];
    mode_t type = e->kind == WIRE_KIND_SYMLINK ? S_IFLNK : S_IFREG;
    struct stat st;

    if (l->missing || fstatat(l->base.fd, e->name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (l->missing || errno == ENOENT)
            answer(l, i, WIRE_LOOKED_ABSENT);
        else
            fail_errno(l, i);
        return;
    }
    if (S_ISDIR(st.st_mode))
        fail_entry(l, i, XFER_IS_DIRECTORY, EISDIR);
    else if ((st.st_mode & S_IFMT) == type)
        answer(l, i,
               type == S_IFLNK ? store_look_at_link(l, e, &st) : store_look_at_file(l, e, &st));
    else if (l->look->overwrite == OVERWRITE_NEVER)
        answer(l, i, WIRE_LOOKED_KEPT);
    else if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode))
        answer(l, i, WIRE_LOOKED_DIFFERENT);
    else
        fail_entry(l, i, XFER_NOT_REGULAR, 0);
}

/* ---- directories ---- */

/* Of one that is made now: its META sets the final one. With the sticky bit: nobody but us has any
 * business with what is coming. */
static mode_t mode_for_now(const struct looking *l, const struct wire_look_entry *e)
{
    if (l->store->dir_mode_given || (l->look->preserve & PRESERVE_MODE) == 0)
        return (mode_t)l->store->dir_mode;
    return ((mode_t)e->mode | 0700) & 01777;
}

static int settle(struct looking *l, const char *name, mode_t mode)
{
    mode_t before;
    int fd = store_kind_open_directory(l->base.fd, name, &before), rc, saved;

    if (fd < 0)
        return -1;
    rc = store_path_settle(l->store, fd, mode);
    saved = errno;
    close(fd);
    errno = saved;
    return rc;
}

static void unlock(struct looking *l, const char *name)
{
    mode_t before;
    int fd = store_kind_open_directory(l->base.fd, name, &before);

    /* what can't be entered all the same is told of what is in it */
    if (fd >= 0)
        close(fd);
}

/* True: base is gone. */
static bool make_directory(struct looking *l, uint32_t i)
{
    const struct wire_look_entry *e = &l->look->entries[i];
    mode_t mode = mode_for_now(l, e);

    if (mkdirat(l->base.fd, e->name, (mode | 0700) & 01777) != 0) {
        bool gone = errno == ENOENT && store_path_gone(&l->base);

        fail_errno(l, i);
        return gone;
    }
    if (settle(l, e->name, mode) == 0) {
        answer(l, i, WIRE_LOOKED_MADE);
    } else {
        fail_errno(l, i);
        unlinkat(l->base.fd, e->name, AT_REMOVEDIR);
    }
    return false;
}

/* True: base is gone. */
static bool see_to_directory(struct looking *l, uint32_t i)
{
    const struct wire_look_entry *e = &l->look->entries[i];
    struct stat st;

    if (l->missing || fstatat(l->base.fd, e->name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (!l->missing && errno != ENOENT)
            fail_errno(l, i);
        else if (!l->look->dry)
            return make_directory(l, i);
        else
            answer(l, i, WIRE_LOOKED_MADE);
        return false;
    }
    if (!S_ISDIR(st.st_mode)) {
        fail_entry(l, i, XFER_NOT_DIRECTORY, ENOTDIR);
        return false;
    }
    if (!l->look->dry && (st.st_mode & 0700) != 0700 && st.st_uid == l->uid && l->uid != 0 &&
        (l->store->dir_mode_given || (l->look->preserve & PRESERVE_MODE)))
        unlock(l, e->name);
    answer(l, i, WIRE_LOOKED_READY);
    return false;
}

/* ---- all of it ---- */

static bool names_directories(const struct wire_look *look)
{
    for (uint32_t i = 0; i < look->n; i++)
        if (look->entries[i].kind == WIRE_KIND_DIRECTORY)
            return true;
    return false;
}

/* path: of base, beneath the root. */
static int open_base(struct looking *l, const char *path, struct xfer_error *err)
{
    char inside[XFER_PATH_SIZE + sizeof "/x"];
    bool make = !l->look->dry && names_directories(l->look);

    snprintf(inside, sizeof inside, "%s%sx", path, path[0] != '\0' ? "/" : "");
    l->missing = false;
    if (store_path_open(l->store, inside, make ? STORE_PATH_MAKE : STORE_PATH_FIND, &l->base,
                        err) == 0)
        return 0;
    if (make || err->code != XFER_NO_SUCH_FILE)
        return -1;
    l->missing = true;
    return 0;
}

/* One component, and together with base no more than what a path may have. */
static bool is_fit(const struct wire_look_entry *e, const char *path, struct xfer_error *err)
{
    size_t len = strlen(e->name);

    if (relpath_check(e->name, len, err) != 0)
        return false;
    if (strchr(e->name, '/') == NULL && strlen(path) + 1 + len < XFER_PATH_SIZE)
        return true;
    error_set(err, strchr(e->name, '/') != NULL ? XFER_INVALID_DESTINATION : XFER_NAME_TOO_LONG,
              "no name in this directory");
    return false;
}

/* True: base is gone. */
static bool look_at_all(struct looking *l, const char *path)
{
    struct xfer_error err;

    for (uint32_t i = 0; i < l->look->n; i++) {
        const struct wire_look_entry *e = &l->look->entries[i];

        if (!is_fit(e, path, &err))
            fail_entry(l, i, err.code, err.sys_errno);
        else if (e->kind != WIRE_KIND_DIRECTORY)
            look_at(l, i);
        else if (see_to_directory(l, i))
            return true;
    }
    return false;
}

/* Mode and times that it may have got. One that can't be read has its file system synced. */
static int sync_directory(struct looking *l, const char *name, struct xfer_error *err)
{
    int fd = openat(l->base.fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), rc;

    if (fd < 0)
        return syncfs(l->store->root_fd) == 0 ? 0 : store_sync_failed("the file system", err);
    rc = store_sync_dir(fd, err);
    close(fd);
    return rc;
}

/* An earlier attempt has given these their names, and directories their metadata. Whether that was
 * to last nobody knows, and nobody will ask again. */
static void sync_names(struct looking *l)
{
    struct xfer_error err;
    bool any = false, failed = false;
    uint32_t i;

    if (!l->look->since || l->look->dry)
        return;
    for (i = 0; i < l->look->n && !failed; i++) {
        enum wire_looked_result result = l->looked->entries[i].result;

        any = any || result == WIRE_LOOKED_SAME || result == WIRE_LOOKED_READY;
        failed =
            result == WIRE_LOOKED_READY && sync_directory(l, l->look->entries[i].name, &err) != 0;
    }
    if (!failed && (!any || store_path_sync(l->store, &l->base, -1, &err) == 0))
        return;
    for (i = 0; i < l->look->n; i++)
        if (l->looked->entries[i].result == WIRE_LOOKED_SAME ||
            l->looked->entries[i].result == WIRE_LOOKED_READY)
            fail_entry(l, i, err.code, err.sys_errno);
}

static void look_as_whom(struct looking *l, const char *path)
{
    struct xfer_error err;
    int tries = 0;
    bool gone;

    l->uid = identity_now();
    do {
        if (open_base(l, path, &err) != 0) {
            fail_all(l, &err);
            return;
        }
        gone = look_at_all(l, path);
        if (!gone)
            sync_names(l);
        if (!l->missing)
            store_path_close(l->store, &l->base);
        if (gone)
            store_path_pause(++tries);
    } while (gone && tries < STORE_PATH_TRIES);
}

/* As the daemon: what is known of the client and of the job. */
static int prepare(struct looking *l, const struct store_client *client, char path[XFER_PATH_SIZE],
                   struct xfer_error *err)
{
    const struct wire_look *look = l->look;
    char home[XFER_NAME_MAX + 1];

    if (store_client_path(l->store, client, look->base, home, path, err) != 0 ||
        store_client_identity(l->store, client, &l->who, err) != 0)
        return -1;
    if (home[0] != '\0' && (l->who != NULL && !look->dry && names_directories(look)
                                ? store_home_make(l->store, l->who, home, err)
                                : store_home_check(l->store, client->uid, home, err)) != 0)
        return -1;
    if (look->begin && !look->dry && store_tree_begin(l->store, look->job) != 0)
        return error_set_errno(err, errno, "can't note the beginning of job %llu",
                               (unsigned long long)look->job);
    l->began = look->since && store_tree_began(l->store, look->job, &l->began_at);
    return 0;
}

void store_look(struct store *store, const struct wire_look *look, struct wire_looked *looked)
{
    const struct store_client client = {look->caller, look->uid, look->gid, look->n_groups,
                                        look->groups};
    struct looking l = {.store = store, .look = look, .looked = looked};
    char path[XFER_PATH_SIZE];
    struct xfer_error err;

    looked->number = look->number;
    looked->n = look->n;
    if (prepare(&l, &client, path, &err) != 0 || identity_assume(l.who, &err) != 0)
        fail_all(&l, &err);
    else
        look_as_whom(&l, path);
    identity_drop();
    identity_destroy(l.who);
}
