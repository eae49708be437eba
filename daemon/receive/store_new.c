/* SPDX-License-Identifier: MIT
 *
 * The beginning of a struct store_file, before anything is done beneath the root: where it goes, as
 * whom it is stored, and where its temporary may lie meanwhile. On a worker, as the daemon.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/receive/store_file.h"
#include "daemon/receive/store_user.h"
#include "proto/relpath.h"

static int check_requester(const struct store *store, const struct wire_meta *meta,
                           struct xfer_error *err)
{
    if (!store->as_caller || meta->caller)
        return 0;
    return error_set(
        err, XFER_PERMISSION_DENIED,
        "it is to be stored with the rights of its sender (store.identity = caller on "
        "the receiving host), but the sending host does not tell whose these are: that "
        "takes source.identity = caller there");
}

/* Beneath the root. home: the directory that each user has, or "". */
static int find_path(struct store *store, const struct wire_meta *meta,
                     char home[XFER_NAME_MAX + 1], char path[XFER_PATH_SIZE],
                     struct xfer_error *err)
{
    int len;

    home[0] = '\0';
    if (store->per_user && store_names_find(store->names, meta->uid, home, err) != 0)
        return -1;
    len = snprintf(path, XFER_PATH_SIZE, "%s%s%s", home, home[0] != '\0' ? "/" : "", meta->path);
    if (len >= XFER_PATH_SIZE)
        return error_set(err, XFER_NAME_TOO_LONG,
                         "longer than %d bytes in the directory of its user", XFER_PATH_SIZE - 1);
    return relpath_check(path, (size_t)len, err);
}

static struct store_file *create(struct store *store, const struct wire_meta *meta,
                                 const char *path, struct xfer_error *err)
{
    size_t len = strlen(path);
    struct store_file *file = calloc(1, sizeof *file + len + 1);

    if (file == NULL || (file->digest = XXH3_createState()) == NULL) {
        free(file);
        error_set(err, XFER_NO_RESOURCES, "no memory for a file");
        return NULL;
    }
    XXH3_128bits_reset(file->digest);
    file->store = store;
    file->area = store->area;
    file->fd = file->parent.fd = file->temp.at = -1;
    file->job = meta->job;
    file->file = meta->file;
    file->whole = meta->size;
    file->resumable = meta->size >= store->resume_min && store->queue[0] != '\0';
    file->offer.kind = WIRE_OFFER_NOTHING;
    file->mode =
        store->file_mode >= 0 ? (mode_t)store->file_mode & 0777 : (mode_t)meta->mode & 0777;
    file->mtime.tv_sec = (time_t)meta->mtime_sec;
    file->mtime.tv_nsec = (long)meta->mtime_nsec;
    file->overwrite = meta->overwrite;
    file->sync = meta->sync == SYNC_DEFAULT ? store->sync : meta->sync;
    memcpy(file->path, path, len);
    return file;
}

/* Whatever of it only the daemon can make. */
static int provide(struct store_file *file, const struct wire_meta *meta, const char *home,
                   struct xfer_error *err)
{
    gid_t groups[XFER_GROUPS_MAX];

    if (!file->store->as_caller)
        return home[0] != '\0' ? store_home_check(file->store, meta->uid, home, err) : 0;
    for (uint32_t i = 0; i < meta->n_groups; i++)
        groups[i] = meta->groups[i];
    file->who = identity_create(meta->uid, meta->gid, groups, (int)meta->n_groups, err);
    if (file->who == NULL || store_area_of_user(file->store, file->who, &file->area, err) != 0)
        return -1;
    return home[0] != '\0' ? store_home_make(file->store, file->who, home, err) : 0;
}

struct store_file *store_file_new(struct store *store, const struct wire_meta *meta,
                                  struct xfer_error *err)
{
    char path[XFER_PATH_SIZE], home[XFER_NAME_MAX + 1];
    struct store_file *file;

    if (relpath_check(meta->path, meta->path_len, err) != 0 ||
        check_requester(store, meta, err) != 0 || find_path(store, meta, home, path, err) != 0 ||
        (file = create(store, meta, path, err)) == NULL) {
        store_file_blame(store, meta->path, err);
        return NULL;
    }
    if (provide(file, meta, home, err) != 0) {
        store_file_blame(store, file->path, err);
        store_file_free(file);
        return NULL;
    }
    return file;
}

const char *store_path(const struct store_file *file)
{
    return file->path;
}
