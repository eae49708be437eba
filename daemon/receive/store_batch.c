/* SPDX-License-Identifier: MIT
 *
 * See store_batch.h. The order is what it is about: at a power loss no name may be there whose
 * content is not, and nothing may be missing that was told to be stored.
 *
 * syncfs() tells of each error in writing once to each descriptor that was open before; the batch
 * has one of its own, so that what one lane was told the others are told, too. It covers one file
 * system: what lies on another one beneath the root is synced file by file, directory by directory,
 * in the same order. So is everything where the kernel's syncfs() keeps its errors to itself.
 *
 * A few directories are synced one by one, which waits for nothing that others write; many by the
 * whole file system again.
 */
#include "daemon/receive/store_batch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/receive/store_file.h"

#define DIRS_MAX 32 /* that are synced one by one */

struct store_batch {
    struct store *store;
    int fd; /* of the root, for syncfs() */
    unsigned files_max;
    uint64_t bytes_max;
    struct store_file *first, **end;
    unsigned files;
    uint64_t bytes;
    bool content; /* some of them have any */
};

/* Directories that are to last, and what leads to them. */
struct dirs {
    unsigned n;
    bool too_many;
    struct {
        dev_t dev;
        ino_t ino;
        const struct store_file *file; /* whose parent it is, or which it is itself */
        bool itself;
    } known[DIRS_MAX];
    const struct store_dir *last; /* added */
};

static void empty(struct store_batch *batch)
{
    batch->first = NULL;
    batch->end = &batch->first;
    batch->files = 0;
    batch->bytes = 0;
    batch->content = false;
}

struct store_batch *store_batch_create(struct store *store, unsigned files_max, uint64_t bytes_max,
                                       struct xfer_error *err)
{
    struct store_batch *batch = malloc(sizeof *batch);

    if (batch == NULL) {
        error_set(err, XFER_NO_RESOURCES, "no memory for a batch of files");
        return NULL;
    }
    *batch = (struct store_batch){.store = store, .files_max = files_max, .bytes_max = bytes_max};
    empty(batch);
    batch->fd = openat(store->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (batch->fd < 0) {
        error_set_errno(err, errno, "can't open the receiving root to sync it");
        error_about(err, XFER_SIDE_RECEIVER, store->root);
        free(batch);
        return NULL;
    }
    return batch;
}

void store_batch_destroy(struct store_batch *batch)
{
    struct store_file *file;

    if (batch == NULL)
        return;
    while ((file = batch->first) != NULL) {
        batch->first = file->next;
        store_abort(file, false);
    }
    close(batch->fd);
    free(batch);
}

void store_batch_hold(struct store_batch *batch, struct store_file *file, store_batch_told *told,
                      void *user)
{
    /* as large as all the rest of it */
    XXH3_freeState(file->digest);
    file->digest = NULL;
    file->told = told;
    file->user = user;
    file->next = NULL;
    *batch->end = file;
    batch->end = &file->next;
    batch->files++;
    batch->bytes += file->size;
    batch->content |= file->kind == WIRE_KIND_FILE;
}

bool store_batch_is_full(const struct store_batch *batch)
{
    return batch->files >= batch->files_max || batch->bytes >= batch->bytes_max;
}

/* ---- commit ---- */

static void fail_file(struct store_file *file, const struct xfer_error *why)
{
    struct xfer_error err = *why;

    store_file_blame(file->store, file->path, &err);
    file->told(file->user, NULL, &err);
    store_abort(file, false);
}

/* NULL when it failed; then it was told. */
static struct store_file *sync_content(struct store_file *file, const struct xfer_error *lost)
{
    struct xfer_error err;

    if (file->apart ? file->kind != WIRE_KIND_FILE || fsync(file->fd) == 0 : lost == NULL)
        return file;
    if (file->apart)
        store_sync_failed("the file", &err);
    fail_file(file, file->apart ? &err : lost);
    return NULL;
}

/* As whom it is stored. */
static int name(struct store_file *file, struct xfer_error *err)
{
    if (store_file_name(file, err) != 0)
        return -1;
    file->apart = store_file_is_apart(file);
    return 0;
}

/* As *now, which becomes as whom it is stored: a change of identity takes longer than a name. */
static struct store_file *give_name(struct store_file *file, const struct identity **now)
{
    struct xfer_error err, why;

    if (*now != file->who) {
        identity_drop();
        *now = NULL;
        if (store_file_enter(file, &err) != 0) {
            file->told(file->user, NULL, &err);
            store_file_free(file);
            return NULL;
        }
        *now = file->who;
    }
    if (name(file, &why) != 0) {
        store_file_blame(file->store, file->path, &why);
        file->told(file->user, NULL, &why);
        store_file_discard(file);
        file = NULL;
    }
    return file;
}

static void add(struct dirs *dirs, const struct store_file *file, bool itself)
{
    struct stat st;
    unsigned i;

    if (dirs->too_many)
        return;
    dirs->too_many = fstat(itself ? file->fd : file->parent.fd, &st) != 0;
    for (i = dirs->n; i > 0 && !dirs->too_many; i--)
        if (dirs->known[i - 1].ino == st.st_ino && dirs->known[i - 1].dev == st.st_dev)
            return;
    dirs->too_many |= dirs->n == DIRS_MAX;
    if (dirs->too_many)
        return;
    dirs->known[dirs->n].dev = st.st_dev;
    dirs->known[dirs->n].ino = st.st_ino;
    dirs->known[dirs->n].file = file;
    dirs->known[dirs->n++].itself = itself;
}

/* What it takes for its name, and of a directory for mode and times, to last. */
static void add_dirs(struct dirs *dirs, const struct store_file *file)
{
    if (store_file_is_synced(file))
        return;
    if (file->kind == WIRE_KIND_DIRECTORY)
        add(dirs, file, true);
    if (file->parent.shared != NULL && file->parent.shared == dirs->last)
        return;
    dirs->last = file->parent.shared;
    add(dirs, file, false);
}

/* What all files but those that lie apart have in common. */
static int sync_dirs(const struct store_batch *batch, const struct dirs *dirs,
                     struct xfer_error *err)
{
    unsigned i;

    if (dirs->too_many)
        return syncfs(batch->fd) == 0 ? 0 : store_sync_failed("the file system", err);
    for (i = 0; i < dirs->n; i++) {
        const struct store_file *file = dirs->known[i].file;

        if ((dirs->known[i].itself
                 ? store_sync_dir(file->fd, err)
                 : store_path_sync(batch->store, &file->parent, batch->fd, err)) != 0)
            return -1;
    }
    return 0;
}

static void end_file(struct store_file *file, const struct xfer_error *lost)
{
    struct store_outcome outcome;
    struct xfer_error err;

    if (file->apart)
        lost = store_file_sync_above(file, &err) != 0 ? &err : NULL;
    if (lost != NULL) {
        store_file_unname(file);
        fail_file(file, lost);
        return;
    }
    store_outcome(file, &outcome);
    file->told(file->user, &outcome, NULL);
    store_file_free(file);
}

void store_batch_commit(struct store_batch *batch)
{
    struct store_file *file = batch->first, *next, *named = NULL, **end = &named;
    struct dirs dirs = {.n = 0};
    const struct identity *now = NULL;
    struct xfer_error err, *lost = NULL;
    bool content = batch->content;

    if (file == NULL)
        return;
    empty(batch);
    if (content && batch->store->syncfs_tells && syncfs(batch->fd) != 0) {
        store_sync_failed("the file system", &err);
        lost = &err;
    }
    for (; file != NULL; file = next) {
        next = file->next;
        if (file->apart || lost != NULL) {
            identity_drop();
            now = NULL;
            file = sync_content(file, lost);
        }
        if (file != NULL)
            file = give_name(file, &now);
        if (file == NULL)
            continue;
        if (!file->apart)
            add_dirs(&dirs, file);
        *end = file;
        end = &file->next;
    }
    identity_drop();
    *end = NULL;
    lost = sync_dirs(batch, &dirs, &err) != 0 ? &err : NULL;
    for (file = named; file != NULL; file = next) {
        next = file->next;
        end_file(file, lost);
    }
}
