/* SPDX-License-Identifier: MIT
 *
 * The end of a file, on a worker: verdict, metadata, sync, final name, sync of directories, in this
 * order. Up to the name everything can fail without a trace; after it only the sync of directories
 * can. Of a file that is part of a batch this is the beginning, store_prepare(), and the name; the
 * syncs between and after them are those of the batch (store_batch.c).
 */
#include "daemon/receive/store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/receive/store_dir.h"
#include "daemon/receive/store_kind.h"
#include "daemon/receive/store_meta.h"
#include "daemon/receive/store_sparse.h"

enum step { STEP_OK, STEP_AGAIN, STEP_FAILED };

static int compare(const struct store_file *file, const struct wire_verdict *verdict,
                   struct xfer_error *err)
{
    unsigned char digest[XFER_DIGEST_SIZE];

    if (verdict->size != file->size)
        return error_set(err, XFER_DIGEST_MISMATCH, "%llu bytes were sent, %llu came",
                         (unsigned long long)verdict->size, (unsigned long long)file->size);
    if (file->kind != WIRE_KIND_FILE) /* there is nothing to have one of */
        return 0;
    store_digest(file, digest);
    if (memcmp(digest, verdict->digest, sizeof digest) != 0)
        return error_set(err, XFER_DIGEST_MISMATCH,
                         "the digest of what came is not the digest of what was sent");
    return 0;
}

static int set_metadata(struct store_file *file, struct xfer_error *err)
{
    if (file->kind != WIRE_KIND_FILE) /* set as it is made */
        return 0;
    /* what was reserved and not used must go back */
    if (file->preallocated > file->size && ftruncate(file->fd, (off_t)file->size) != 0)
        return error_set_errno(err, errno, "can't set the size");
    if (store_meta_set(file, err) != 0)
        return -1;
    store_set_attrs(file, NULL); /* it may wait for long */
    return 0;
}

/* A sync that failed says that data is lost, whatever the number: only another attempt helps. */
static int sync_file(struct store_file *file, struct xfer_error *err)
{
    if (file->kind != WIRE_KIND_FILE || file->sync == SYNC_NONE || fsync(file->fd) == 0)
        return 0;
    return store_sync_failed("the file", err);
}

/* Network file systems tell at close() that data could not be written: not after the file has its
 * name. A sync has told it already, and a file without a name needs its descriptor to get one. (One
 * of a batch needs it no more when it has a name, and there are many.) */
static int close_early(struct store_file *file, struct xfer_error *err)
{
    int fd;

    if (file->temp.at < 0 || file->sync == SYNC_FILE)
        return 0;
    /* another descriptor tells as well, and the first one keeps the lock of a partial file */
    fd = file->sync == SYNC_NONE || file->temp.lasts ? fcntl(file->fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (fd < 0) {
        fd = file->fd;
        file->fd = -1;
    }
    if (close(fd) != 0 && errno != EINTR)
        return error_set_errno(err, errno, "can't write");
    return 0;
}

/* After a step that failed with errno. */
static enum step failed_step(const struct store_file *file, const char *what,
                             struct xfer_error *err)
{
    error_set_errno(err, errno, "%s", what);
    return store_path_gone(&file->parent) ? STEP_AGAIN : STEP_FAILED;
}

/* Rename over whatever may be replaced. */
static enum step name_by_rename(struct store_file *file, struct xfer_error *err)
{
    enum store_target target;

    if (store_file_target(file, &target, err) != 0)
        return STEP_FAILED;
    if (renameat(file->temp.at, file->temp.name, file->parent.fd, file->parent.name) != 0) {
        if (errno == EXDEV && !file->temp.beside) {
            /* bind mounts of old kernels, project quotas: the next attempt goes the other way from
             * the beginning */
            atomic_store_explicit(&file->store->beside_only, true, memory_order_relaxed);
            error_set_errno(err, EXDEV, "the destination can't be reached by a rename from .xfer");
            err->code = XFER_IO;
            return STEP_FAILED;
        }
        return failed_step(file, "can't give the file its name", err);
    }
    store_temp_renamed(&file->area, &file->temp);
    return STEP_OK;
}

/* The name must not exist, and no other may come between. */
static enum step name_exclusively(struct store_file *file, struct xfer_error *err)
{
    int rc = renameat2(file->temp.at, file->temp.name, file->parent.fd, file->parent.name,
                       RENAME_NOREPLACE);

    if (rc == 0) {
        store_temp_renamed(&file->area, &file->temp);
        return STEP_OK;
    }
    if (errno == ENOSYS || errno == EINVAL || errno == EPERM) {
        rc = linkat(file->temp.at, file->temp.name, file->parent.fd, file->parent.name, 0);
        if (rc == 0) {
            store_temp_remove(&file->area, &file->temp);
            return STEP_OK;
        }
    }
    if (errno == EEXIST) {
        error_set(err, XFER_DESTINATION_EXISTS, "the destination exists");
        err->sys_errno = EEXIST;
        return STEP_FAILED;
    }
    return failed_step(file, "can't give the file its name", err);
}

/* A file without any name: link it, unless something has come to that name meanwhile. */
static enum step name_by_link(struct store_file *file, struct xfer_error *err)
{
    enum store_target target;

    if (store_temp_link_as(file->fd, file->parent.fd, file->parent.name) == 0)
        return STEP_OK;
    if (errno != EEXIST)
        return failed_step(file, "can't give the file its name", err);
    if (store_file_target(file, &target, err) != 0)
        return STEP_FAILED;
    if (target == TARGET_NONE) {
        error_set_errno(err, EBUSY, "the destination comes and goes");
        return STEP_AGAIN;
    }
    if (store_temp_link(file->store, &file->area, file->fd, &file->parent, file->path, file->job,
                        file->file, &file->temp) != 0)
        return failed_step(file, "can't give the file a temporary name", err);
    return name_by_rename(file, err);
}

static enum step name_temporary(struct store_file *file, struct xfer_error *err)
{
    return file->overwrite == OVERWRITE_NEVER ? name_exclusively(file, err)
                                              : name_by_rename(file, err);
}

/* A directory, or a link. */
static enum step name_kind(struct store_file *file, struct xfer_error *err)
{
    int rc = store_kind_make(file, err);
    struct store_temp temp = file->temp;
    enum step step;

    if (rc != 0)
        return rc > 0 ? STEP_AGAIN : STEP_FAILED;
    if (temp.at < 0)
        return STEP_OK;
    step = name_temporary(file, err);
    /* a rename of one name of a file to another name of it does nothing */
    if (step == STEP_OK && file->kind == WIRE_KIND_HARDLINK)
        unlinkat(temp.at, temp.name, 0);
    return step;
}

static enum step name_once(struct store_file *file, struct xfer_error *err)
{
    if (file->kind != WIRE_KIND_FILE)
        return name_kind(file, err);
    return file->temp.at < 0 ? name_by_link(file, err) : name_temporary(file, err);
}

static int name_file(struct store_file *file, struct xfer_error *err)
{
    struct store *store = file->store;
    int tries;

    if (file->parent.missing) {
        store_path_close(store, &file->parent);
        if (store_path_open(store, file->path, STORE_PATH_MAKE, &file->parent, err) != 0)
            return -1;
    }
    for (tries = 1;; tries++) {
        enum step step = name_once(file, err);

        if (step == STEP_OK)
            return 0;
        if (step == STEP_FAILED || tries == STORE_PATH_TRIES)
            return -1;
        store_path_pause(tries);
        /* a temporary in a directory that is gone is gone too */
        if (file->temp.at == file->parent.fd)
            return -1;
        store_path_unmake(store, file->path, &file->parent);
        if (store_path_open(store, file->path, STORE_PATH_MAKE, &file->parent, err) != 0)
            return -1;
    }
}

/* It can't be told whether the name lasts; where it was new it can be taken back, so that another
 * attempt finds it free. */
void store_file_unname(const struct store_file *file)
{
    if (!file->stored && !file->unchanged && file->overwrite == OVERWRITE_NEVER)
        unlinkat(file->parent.fd, file->parent.name, 0);
}

/* Is the file that was offered still the one under the name, and with what was read? */
static int still_there(const struct store_file *file, struct xfer_error *err)
{
    struct stat st;

    if (fstatat(file->parent.fd, file->parent.name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        st.st_dev == file->seen.st_dev && st.st_ino == file->seen.st_ino &&
        (uint64_t)st.st_size == file->size)
        return 0;
    return error_set(err, XFER_IO, "the destination was replaced while it was compared");
}

static int unchanged(const struct store_file *file, struct xfer_error *err)
{
    struct stat st;

    if (fstat(file->fd, &st) == 0 && st.st_mtim.tv_sec == file->seen.st_mtim.tv_sec &&
        st.st_mtim.tv_nsec == file->seen.st_mtim.tv_nsec)
        return 0;
    return error_set(err, XFER_IO, "the destination was changed while it was compared");
}

static int prepare(struct store_file *file, const struct wire_verdict *verdict,
                   struct xfer_error *err)
{
    if (file->sparse && !file->stored && store_sparse_end(file, err) != 0)
        return -1;
    if (compare(file, verdict, err) != 0)
        return -1;
    if (!file->stored)
        return set_metadata(file, err);
    if (unchanged(file, err) != 0 || still_there(file, err) != 0)
        return -1;
    return file->overwrite != OVERWRITE_NEVER ? set_metadata(file, err) : 0;
}

int store_file_name(struct store_file *file, struct xfer_error *err)
{
    return file->stored ? still_there(file, err) : name_file(file, err);
}

/* What another attempt may have done is synced by store_look(). One that a LOOK of this one has
 * made is told apart by its times alone, where it gets any. */
bool store_file_is_synced(const struct store_file *file)
{
    return file->kind == WIRE_KIND_DIRECTORY && file->unchanged &&
           (file->preserve & PRESERVE_TIMES);
}

int store_file_sync_above(const struct store_file *file, struct xfer_error *err)
{
    if (store_file_is_synced(file))
        return 0;
    if (file->kind == WIRE_KIND_DIRECTORY && store_sync_dir(file->fd, err) != 0)
        return -1;
    return store_path_sync(file->store, &file->parent,
                           file->kind == WIRE_KIND_SYMLINK ? -1 : file->fd, err);
}

/* One that an earlier attempt has given its name: whether that was to last nobody knows. It is
 * synced as if it were new. */
static int commit(struct store_file *file, const struct wire_verdict *verdict,
                  struct xfer_error *err)
{
    if (prepare(file, verdict, err) != 0 || sync_file(file, err) != 0 ||
        close_early(file, err) != 0 || store_file_name(file, err) != 0)
        return -1;
    if (file->sync == SYNC_NONE || store_file_sync_above(file, err) == 0)
        return 0;
    store_file_unname(file);
    return -1;
}

/* A temporary is either in the directory that it is for or where a rename reaches that. */
bool store_file_is_apart(const struct store_file *file)
{
    const struct store *store = file->store;
    struct stat st;

    if (!store->syncfs_tells)
        return true;
    if (file->parent.shared != NULL)
        return store_dir_device(file->parent.shared) != store->dev;
    return fstat(file->parent.fd, &st) != 0 || st.st_dev != store->dev;
}

static int prepare_for_batch(struct store_file *file, const struct wire_verdict *verdict,
                             struct xfer_error *err)
{
    if (prepare(file, verdict, err) != 0)
        return -1;
    file->apart = store_file_is_apart(file);
    return file->apart ? 0 : close_early(file, err);
}

/* As whom it is stored; frees file when that failed. */
static int run(struct store_file *file, const struct wire_verdict *verdict,
               int (*step)(struct store_file *, const struct wire_verdict *, struct xfer_error *),
               struct xfer_error *err)
{
    struct xfer_error why; /* also that of steps which another try made good */
    int rc;

    if (store_file_enter(file, err) != 0) {
        store_file_free(file);
        return -1;
    }
    rc = step(file, verdict, &why);
    if (rc != 0) {
        *err = why;
        store_file_blame(file->store, file->path, err);
        store_file_discard(file);
    }
    identity_drop();
    return rc;
}

int store_prepare(struct store_file *file, const struct wire_verdict *verdict,
                  struct xfer_error *err)
{
    return run(file, verdict, prepare_for_batch, err);
}

int store_commit(struct store_file *file, const struct wire_verdict *verdict,
                 struct store_outcome *outcome, struct xfer_error *err)
{
    int rc = run(file, verdict, commit, err);

    if (rc == 0) {
        store_outcome(file, outcome);
        store_file_free(file);
    }
    return rc;
}
