/* SPDX-License-Identifier: MIT
 *
 * The beginning of a struct store_file, before anything is done beneath the root: where it goes, as
 * whom it is stored, and where its temporary may lie meanwhile. On a worker, as the daemon.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/receive/store_as.h"
#include "daemon/receive/store_file.h"
#include "daemon/receive/store_user.h"
#include "proto/relpath.h"

static int check_client(const struct store *store, const struct store_client *client,
                        struct xfer_error *err)
{
    if (!store->as_caller || client->caller)
        return 0;
    return error_set(
        err, XFER_PERMISSION_DENIED,
        "it is to be stored with the rights of its sender (store.identity = caller on "
        "the receiving host), but the sending host does not tell whose these are: that "
        "takes source.identity = caller there");
}

int store_client_path(struct store *store, const struct store_client *client, const char *path,
                      char home[XFER_NAME_MAX + 1], char out[XFER_PATH_SIZE],
                      struct xfer_error *err)
{
    int len;

    home[0] = '\0';
    if (path[0] != '\0' && relpath_check(path, strlen(path), err) != 0)
        return -1;
    if (check_client(store, client, err) != 0 ||
        (store->per_user && store_names_find(store->names, client->uid, home, err) != 0))
        return -1;
    len = snprintf(out, XFER_PATH_SIZE, "%s%s%s", home,
                   home[0] != '\0' && path[0] != '\0' ? "/" : "", path);
    if (len >= XFER_PATH_SIZE)
        return error_set(err, XFER_NAME_TOO_LONG,
                         "longer than %d bytes in the directory of its user", XFER_PATH_SIZE - 1);
    return 0;
}

int store_client_identity(const struct store *store, const struct store_client *client,
                          struct identity **who, struct xfer_error *err)
{
    gid_t groups[XFER_GROUPS_MAX];

    *who = NULL;
    if (!store->as_caller)
        return 0;
    for (uint32_t i = 0; i < client->n_groups; i++)
        groups[i] = client->groups[i];
    *who = identity_create(client->uid, client->gid, groups, (int)client->n_groups, err);
    return *who != NULL ? 0 : -1;
}

enum sync_mode store_sync_of(const struct store *store, const struct wire_meta *meta)
{
    enum sync_mode sync = meta->sync == SYNC_DEFAULT ? store->sync : meta->sync;

    if (sync == SYNC_BATCH && !meta->tree)
        return SYNC_FILE;
    return sync == SYNC_FILE && meta->sync == SYNC_DEFAULT && meta->tree ? SYNC_BATCH : sync;
}

static struct store_file *create(struct store *store, const struct wire_meta *meta,
                                 const char *path, const char *target, struct xfer_error *err)
{
    size_t len = strlen(path), target_len = strlen(target);
    struct store_file *file = calloc(1, sizeof *file + len + 1 + target_len + 1);

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
    file->tree = meta->tree;
    file->resumable =
        meta->kind == WIRE_KIND_FILE && meta->size >= store->resume_min && store->queue[0] != '\0';
    file->sparse = meta->sparse;
    file->offer.kind = WIRE_OFFER_NOTHING;
    file->kind = meta->kind;
    file->preserve = meta->preserve;
    file->mode = (mode_t)meta->mode;
    file->owner_uid = meta->file_uid;
    file->owner_gid = meta->file_gid;
    file->mtime.tv_sec = (time_t)meta->mtime_sec;
    file->mtime.tv_nsec = (long)meta->mtime_nsec;
    file->overwrite = meta->overwrite;
    file->sync = store_sync_of(store, meta);
    memcpy(file->path, path, len);
    file->target = file->path + len + 1;
    memcpy(file->path + len + 1, target, target_len);
    return file;
}

/* Whatever of it only the daemon can make. */
static int provide(struct store_file *file, const struct store_client *client, const char *home,
                   struct xfer_error *err)
{
    gid_t groups[XFER_GROUPS_MAX];

    if (!file->store->as_caller)
        return home[0] != '\0' ? store_home_check(file->store, client->uid, home, err) : 0;
    for (uint32_t i = 0; i < client->n_groups; i++)
        groups[i] = client->groups[i];
    file->as =
        store_as_get(file->store, client->uid, client->gid, groups, (int)client->n_groups, err);
    if (file->as == NULL)
        return -1;
    file->who = store_as_identity(file->as);
    file->area = *store_as_area(file->as);
    return home[0] != '\0' ? store_home_make(file->store, file->who, home, err) : 0;
}

/* What a link leads to: whatever it says, but for hard links. */
static int find_target(struct store *store, const struct wire_meta *meta,
                       const struct store_client *client, char out[XFER_PATH_SIZE],
                       struct xfer_error *err)
{
    char home[XFER_NAME_MAX + 1];

    out[0] = '\0';
    if (meta->kind == WIRE_KIND_SYMLINK)
        memcpy(out, meta->target, strlen(meta->target) + 1);
    if (meta->kind != WIRE_KIND_HARDLINK)
        return 0;
    if (meta->target[0] == '\0')
        return error_set(err, XFER_INVALID_DESTINATION, "a hard link to nothing");
    return store_client_path(store, client, meta->target, home, out, err);
}

struct store_file *store_file_new(struct store *store, const struct wire_meta *meta,
                                  struct xfer_error *err)
{
    const struct store_client client = {meta->caller, meta->uid, meta->gid, meta->n_groups,
                                        meta->groups};
    char path[XFER_PATH_SIZE], target[XFER_PATH_SIZE], home[XFER_NAME_MAX + 1] = "";
    struct store_file *file = NULL;

    if (meta->kind == WIRE_KIND_BARRIER) {
        file = create(store, meta, ".", "", err);
        if (file == NULL)
            store_file_blame(store, ".", err);
        else
            file->sync = SYNC_NONE;
        return file;
    }
    if (relpath_check(meta->path, meta->path_len, err) != 0 ||
        store_client_path(store, &client, meta->path, home, path, err) != 0 ||
        find_target(store, meta, &client, target, err) != 0 ||
        (file = create(store, meta, path, target, err)) == NULL) {
        store_file_blame(store, meta->path, err);
        return NULL;
    }
    if (provide(file, &client, home, err) != 0) {
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
