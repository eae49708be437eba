/* SPDX-License-Identifier: MIT
 *
 * Begin, write, abort. Runs on a worker, one at a time for each file; the store is shared by all.
 *
 * A large file is received into a partial file, which another attempt can go on with, and is
 * renamed at the end. A smaller one whose target doesn't exist is made without a name (O_TMPFILE,
 * in the target's own directory) and linked at the end: nothing is left of it whatever happens.
 * What replaces something, or is on a file system without O_TMPFILE, has a temporary name and is
 * renamed.
 *
 * Directories that are missing are made at the very end, so that a file that fails, or whose daemon
 * dies, leaves none: until then the file has no name in the last directory that is there, or one in
 * partial/. Only a temporary beside its target needs them at once.
 *
 * The directory of the target is kept open from the first check to the last rename. Another worker
 * that takes back a directory that it had made may remove it as long as it is empty; whoever then
 * says ENOENT walks again.
 */
#include "daemon/receive/store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "daemon/receive/store_as.h"
#include "daemon/receive/store_dir.h"
#include "daemon/receive/store_meta.h"
#include "daemon/receive/store_partial.h"
#include "daemon/receive/store_sparse.h"

/* From here on it is worth a system call to have the blocks in one piece and to know at once that
 * there are too few. */
#define PREALLOCATE_MIN (256 * 1024)

/* Bytes after which the disk is told to begin. */
#define WRITE_BACK_STEP (8 << 20)

/* Up to this size a file is worth less than a look at its name. */
#define LINK_FIRST_MAX (64 * 1024)

static int in_the_way(enum xfer_code code, int errnum, const char *what, struct xfer_error *err)
{
    error_set(err, code, "%s", what);
    err->sys_errno = errnum;
    return -1;
}

int store_file_target(const struct store_file *file, enum store_target *target,
                      struct xfer_error *err)
{
    struct stat st;

    *target = TARGET_NONE;
    if (fstatat(file->parent.fd, file->parent.name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT)
            return 0;
        return error_set_errno(err, errno, "can't look at the destination");
    }
    if (file->parent.shared != NULL)
        store_dir_set_occupied(file->parent.shared);
    if (S_ISDIR(st.st_mode))
        return in_the_way(XFER_IS_DIRECTORY, EISDIR, "the destination is a directory", err);
    if (file->overwrite == OVERWRITE_NEVER)
        return in_the_way(XFER_DESTINATION_EXISTS, EEXIST, "the destination exists", err);
    /* a link is replaced, never written through; pipes and devices are there for a reason */
    if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
        return error_set(err, XFER_NOT_REGULAR, "the destination exists and is no regular file");
    *target = TARGET_REPLACEABLE;
    return 0;
}

/* O_TMPFILE says these where it can't. */
static bool no_tmpfile_here(int errnum)
{
    return errnum == EOPNOTSUPP || errnum == EISDIR || errnum == EINVAL || errnum == ENOSYS;
}

static int failed_open(const struct store_file *file, const char *what, struct xfer_error *err)
{
    error_set_errno(err, errno, "%s", what);
    return store_path_gone(&file->parent) ? 1 : -1;
}

static int open_named(struct store_file *file)
{
    int fd = -1;

    if (file->resumable)
        fd = store_partial_create(file->store, &file->area, &file->parent, file->path, file->job,
                                  file->file, &file->temp);
    /* what can't be had, another attempt may have open: that one will come to nothing */
    if (fd < 0)
        fd = store_temp_open(file->store, &file->area, &file->parent, file->path, file->job,
                             file->file, &file->temp);
    return fd;
}

/* What is in the way of a file is to be known before much of it has come. One that comes in one
 * piece anyhow, and into a directory of which nothing else is known than that all names were free,
 * is told of it by the link at its end. */
static bool looks_first(const struct store_file *file)
{
    return file->parent.shared == NULL || file->whole > LINK_FIRST_MAX ||
           store_dir_is_occupied(file->parent.shared);
}

/* 0, 1 when the directory is gone, -1. */
static int open_temporary(struct store_file *file, struct xfer_error *err)
{
    enum store_target target = TARGET_NONE;

    if (!file->parent.missing && looks_first(file) && store_file_target(file, &target, err) != 0)
        return -1;
    if (target == TARGET_NONE && !file->resumable &&
        atomic_load_explicit(&file->store->tmpfile, memory_order_relaxed)) {
        /* nobody can open it before it has its name: with its mode from the beginning it needs no
         * change later, unless the umask takes of it */
        file->fd =
            openat(file->parent.fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC,
                   store_meta_mode(file->store, false, file->preserve, file->mode, false) & 0777);
        if (file->fd >= 0)
            return 0;
        if (!no_tmpfile_here(errno))
            return failed_open(file, "can't create a file in the destination's directory", err);
    }
    /* partial/ is always writable: whether the target's directory is must not show only at the end
     */
    if (faccessat(file->parent.fd, ".", W_OK | X_OK, AT_EACCESS) != 0)
        return failed_open(file, "can't write to the destination's directory", err);
    if (file->temp.at >= 0)
        return 0;
    if (file->parent.missing && !store_temp_reaches(file->store, &file->area, file->parent.fd)) {
        store_path_close(file->store, &file->parent);
        if (store_path_open(file->store, file->path, STORE_PATH_MAKE, &file->parent, err) != 0)
            return -1;
    }
    file->fd = open_named(file);
    return file->fd >= 0 ? 0 : failed_open(file, "can't create a temporary file", err);
}

/* Is there room for so many bytes, and the reserve besides? Asked of the file system that the file
 * is on, each time: that takes a microsecond, and no memory of it is right for long. */
static int check_free(const struct store_file *file, uint64_t size, struct xfer_error *err)
{
    uint64_t reserve = file->store->reserve, bytes;
    struct statvfs vfs;

    if (fstatvfs(file->fd, &vfs) != 0 || vfs.f_blocks == 0)
        return 0;
    bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    if (size <= bytes && reserve <= bytes - size)
        return 0;
    if (reserve == 0)
        error_set(err, XFER_NO_SPACE, "no space: %llu bytes are needed, %llu are free",
                  (unsigned long long)size, (unsigned long long)bytes);
    else
        error_set(err, XFER_NO_SPACE,
                  "no space: %llu bytes are needed, %llu are free, of which %llu are to stay so "
                  "(store.reserve)",
                  (unsigned long long)size, (unsigned long long)bytes, (unsigned long long)reserve);
    err->sys_errno = ENOSPC;
    return -1;
}

int store_file_check_free(const struct store_file *file, uint64_t bytes, struct xfer_error *err)
{
    if (bytes >= PREALLOCATE_MIN || (bytes > 0 && file->store->reserve > 0))
        return check_free(file, bytes, err);
    return 0;
}

/* Ask for the disk space. KEEP_SIZE: the length of a file must say how much of it is there. */
static int preallocate(struct store_file *file, struct xfer_error *err)
{
    uint64_t size = file->whole - file->size;
    int rc;

    if (file->sparse) /* its maps will say how much it takes */
        return 0;
    /* fallocate() would fill the disk before it finds out */
    if (store_file_check_free(file, size, err) != 0)
        return -1;
    if (size < PREALLOCATE_MIN)
        return 0;
    do
        rc = fallocate(file->fd, FALLOC_FL_KEEP_SIZE, (off_t)file->size, (off_t)size);
    while (rc != 0 && errno == EINTR);
    if (rc == 0)
        file->preallocated = file->whole;
    else if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
        return error_set_errno(err, errno, "can't reserve %llu bytes", (unsigned long long)size);
    return 0;
}

int store_file_blame(const struct store *store, const char *path, struct xfer_error *err)
{
    char whole[XFER_LONG_PATH_SIZE];

    snprintf(whole, sizeof whole, "%s/%s", strcmp(store->root, "/") != 0 ? store->root : "", path);
    error_prefix(err, "%s", whole);
    return error_about(err, XFER_SIDE_RECEIVER, strlen(whole) < XFER_PATH_SIZE ? whole : path);
}

int store_file_reach(struct store_file *file, struct xfer_error *err)
{
    struct store *store = file->store;

    /* of an attempt at which the source was larger */
    if (!file->resumable && store->queue[0] != '\0' &&
        atomic_load_explicit(&store->kept, memory_order_relaxed))
        store_partial_drop(store, &file->area, file->job, file->file);
    if (file->tree)
        return store_path_share(store, file->job, file->path, &file->parent, err);
    return store_path_open(store, file->path, STORE_PATH_REACH, &file->parent, err);
}

static int walk_again(struct store_file *file, int tries, struct xfer_error *err)
{
    store_path_pause(tries);
    store_path_unmake(file->store, file->path, &file->parent);
    return store_path_open(file->store, file->path, STORE_PATH_REACH, &file->parent, err);
}

int store_file_place(struct store_file *file, struct xfer_error *err)
{
    int tries = 0, rc;

    if (file->kind != WIRE_KIND_FILE)
        return 0;
    rc = open_temporary(file, err);
    /* a partial file that lies in a directory that is gone is gone too */
    while (rc > 0 && ++tries < STORE_PATH_TRIES && file->temp.at != file->parent.fd) {
        if (walk_again(file, tries, err) != 0)
            return -1;
        rc = open_temporary(file, err);
    }
    return rc == 0 ? preallocate(file, err) : -1;
}

struct store_file *store_begin(struct store *store, const struct wire_meta *meta,
                               struct xfer_error *err)
{
    struct store_file *file = store_file_new(store, meta, err);

    if (file == NULL || store_file_enter(file, err) != 0) {
        store_file_free(file);
        return NULL;
    }
    if (store_file_reach(file, err) != 0 || store_file_place(file, err) != 0) {
        store_file_blame(store, file->path, err);
        store_file_discard(file);
        file = NULL;
    }
    identity_drop();
    return file;
}

int store_file_enter(const struct store_file *file, struct xfer_error *err)
{
    return identity_assume(file->who, err) == 0 ? 0
                                                : store_file_blame(file->store, file->path, err);
}

static int write_all(struct store_file *file, const void *data, size_t len, struct xfer_error *err)
{
    const unsigned char *p = data;

    while (len > 0) {
        ssize_t n = write(file->fd, p, len);

        if (n < 0) {
            if (errno == EINTR)
                continue;
            error_set_errno(err, errno, "can't write");
            return store_file_blame(file->store, file->path, err);
        }
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

static int write_sparse(struct store_file *file, const void *data, size_t len,
                        struct xfer_error *err)
{
    if (store_sparse_write(file, data, len, err) == 0)
        return 0;
    return store_file_blame(file->store, file->path, err);
}

/* What is to be synced in the end is on its way by then. Where that can't be had it is only slower,
 * and what went wrong is told by the sync. */
static void begin_writeback(struct store_file *file)
{
    if (file->sync == SYNC_NONE || file->size - file->written_back < WRITE_BACK_STEP)
        return;
    (void)sync_file_range(file->fd, (off_t)file->written_back,
                          (off_t)(file->size - file->written_back), SYNC_FILE_RANGE_WRITE);
    file->written_back = file->size;
}

int store_write(struct store_file *file, const void *data, size_t len, struct xfer_error *err)
{
    int rc = store_file_enter(file, err);

    /* whose quota it is counted for, and who may use up what is kept in reserve, is decided here */
    if (rc == 0 && file->sparse)
        rc = write_sparse(file, data, len, err);
    else if (rc == 0)
        rc = write_all(file, data, len, err);
    identity_drop();
    if (rc != 0 || file->sparse)
        return rc;
    XXH3_128bits_update(file->digest, data, len);
    file->size += len;
    begin_writeback(file);
    return 0;
}

uint64_t store_size(const struct store_file *file)
{
    return file->size;
}

void store_digest(const struct store_file *file, unsigned char digest[XFER_DIGEST_SIZE])
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(file->digest));
    memcpy(digest, canonical.digest, XFER_DIGEST_SIZE);
}

void store_set_attrs(struct store_file *file, struct attrs *attrs)
{
    free(file->attrs);
    file->attrs = attrs;
}

void store_file_warn(struct store_file *file, const char *what, int errnum)
{
    char *before = file->warning;

    if (before != NULL && strlen(before) >= XFER_ERROR_TEXT_SIZE) /* nobody would hear of it */
        return;

    /* without memory it is lost, but for what was said before */
    if (asprintf(&file->warning, "%s%s%s: %s", before != NULL ? before : "",
                 before != NULL ? "; " : "", what, strerror(errnum)) < 0)
        file->warning = before;
    else
        free(before);
}

void store_outcome(const struct store_file *file, struct store_outcome *outcome)
{
    if (outcome == NULL)
        return;
    outcome->unchanged = file->unchanged;
    snprintf(outcome->warning, sizeof outcome->warning, "%s",
             file->warning != NULL ? file->warning : "");
}

void store_offer_free(struct store_offer *offer)
{
    unsigned i;

    for (i = 0; offer->states != NULL && i < offer->n; i++)
        XXH3_freeState(offer->states[i]);
    free(offer->states);
    offer->states = NULL;
    offer->n = 0;
}

void store_file_free(struct store_file *file)
{
    if (file == NULL)
        return;
    if (file->fd >= 0)
        close(file->fd);
    store_path_close(file->store, &file->parent);
    store_as_put(file->as);
    store_offer_free(&file->offer);
    XXH3_freeState(file->digest);
    free(file->warning);
    free(file->attrs);
    free(file->pieces);
    free(file);
}

void store_file_discard(struct store_file *file)
{
    if (file == NULL)
        return;
    store_temp_remove(&file->area, &file->temp);
    store_path_unmake(file->store, file->path, &file->parent);
    store_file_free(file);
}

static void keep_partial(struct store_file *file)
{
    struct stat st;

    if (file->temp.at < 0 || !file->temp.lasts || fstat(file->fd, &st) != 0 || st.st_size == 0)
        return;
    /* who knows when it is gone on with: what was reserved goes back */
    if (file->preallocated > 0 && ftruncate(file->fd, st.st_size) != 0)
        file->preallocated = 0;
    atomic_store_explicit(&file->store->kept, true, memory_order_relaxed);
    file->temp.at = -1;
}

void store_abort(struct store_file *file, bool keep)
{
    struct xfer_error err;

    if (file == NULL)
        return;
    /* what may not be touched stays, and is swept at the next start */
    if (store_file_enter(file, &err) != 0) {
        store_file_free(file);
        return;
    }
    if (keep)
        keep_partial(file);
    store_file_discard(file);
    identity_drop();
}
