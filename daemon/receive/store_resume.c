/* SPDX-License-Identifier: MIT
 *
 * A file whose META asks: what is here of it is read and offered as digests of its blocks, and gone
 * on with where the sender says. On a worker; it reads as much as there is.
 *
 * Nothing is remembered about a partial file but its bytes. They were written in order, so its
 * length says how many there should be; whether they are what was written, and still what the
 * source holds, only the sender can tell, by the digests.
 *
 * The digest of the whole goes on from the end of the last block that is right: its state there is
 * kept, so that nothing is read twice.
 */
#include "daemon/receive/store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/receive/store_partial.h"
#include "daemon/work/identity.h"

#define READ_SIZE ((size_t)256 * 1024)

struct reading {
    struct store_file *file;
    const atomic_bool *stop;
    unsigned char *buf;
    XXH3_state_t *all, *one; /* of all so far, of this block */
    struct wire_go *go;
};

static uint64_t block_of(const struct store *store, uint64_t size)
{
    uint64_t block = store->resume_block;

    while (size / block + (size % block != 0) > XFER_OFFER_BLOCKS_MAX)
        block *= 2;
    return block;
}

static void canonical(const XXH3_state_t *state, unsigned char digest[XFER_DIGEST_SIZE])
{
    XXH128_canonical_t c;

    XXH128_canonicalFromHash(&c, XXH3_128bits_digest(state));
    memcpy(digest, c.digest, XFER_DIGEST_SIZE);
}

static int read_block(struct reading *r, uint64_t from, uint64_t to)
{
    XXH3_128bits_reset(r->one);
    while (from < to) {
        size_t want = to - from < READ_SIZE ? (size_t)(to - from) : READ_SIZE;
        ssize_t n = pread(r->file->fd, r->buf, want, (off_t)from);

        if (r->stop != NULL && atomic_load_explicit(r->stop, memory_order_relaxed))
            return -1;
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        XXH3_128bits_update(r->all, r->buf, (size_t)n);
        XXH3_128bits_update(r->one, r->buf, (size_t)n);
        from += (uint64_t)n;
    }
    return 0;
}

static int read_blocks(struct reading *r, uint64_t size, uint64_t block)
{
    struct store_offer *offer = &r->file->offer;
    uint64_t at;

    XXH3_128bits_reset(r->all);
    for (at = 0; at < size; at += block) {
        if (read_block(r, at, block < size - at ? at + block : size) != 0)
            return -1;
        offer->states[offer->n] = XXH3_createState();
        if (offer->states[offer->n] == NULL)
            return -1;
        XXH3_copyState(offer->states[offer->n], r->all);
        canonical(r->one, r->go->digests[offer->n++]);
        if (size - at <= block)
            break; /* at + block may be more than there are numbers */
    }
    return 0;
}

/* Fill in *go and the file's own offer; both remain "nothing" when not all could be read. */
static int offer(struct store_file *file, enum wire_offer kind, uint64_t size,
                 const atomic_bool *stop, struct wire_go *go)
{
    uint64_t block = block_of(file->store, size);
    struct reading r = {.file = file,
                        .stop = stop,
                        .buf = malloc(READ_SIZE),
                        .all = XXH3_createState(),
                        .one = XXH3_createState(),
                        .go = go};
    int rc = -1;

    file->offer.states = calloc(XFER_OFFER_BLOCKS_MAX, sizeof(XXH3_state_t *));
    if (r.buf != NULL && r.all != NULL && r.one != NULL && file->offer.states != NULL)
        rc = read_blocks(&r, size, block);
    if (rc == 0) {
        file->offer.kind = go->offer = kind;
        file->offer.size = go->size = size;
        file->offer.block = go->block = block;
        go->n = file->offer.n;
    } else {
        store_offer_free(&file->offer);
    }
    free(r.buf);
    XXH3_freeState(r.all);
    XXH3_freeState(r.one);
    return rc;
}

/* Open the partial file, if there is one. */
static int find_partial(struct store_file *file, uint64_t *size)
{
    struct stat st;

    if (!file->resumable)
        return -1;
    file->fd = store_partial_find(file->store, &file->area, &file->parent, file->path, file->job,
                                  file->file, &file->temp);
    if (file->fd < 0)
        return -1;
    if (fstat(file->fd, &st) == 0 &&
        ((uint64_t)st.st_size <= file->whole || ftruncate(file->fd, (off_t)file->whole) == 0)) {
        *size = (uint64_t)st.st_size < file->whole ? (uint64_t)st.st_size : file->whole;
        return 0;
    }
    *size = 0;
    return 0;
}

/* May the file under the final name be the one that an earlier attempt stored? What a whole
 * transfer would replace by a file of our own, or of the source's owner, must be that; and what it
 * would replace by one without other names, must have none, unless these are preserved as well.
 * (Root's files may have been given those names by somebody who is after a change of their mode.)
 */
static bool plausible(const struct store_file *file, const struct stat *st)
{
    bool theirs = (file->preserve & PRESERVE_OWNER) && st->st_uid == file->owner_uid;
    bool ours = st->st_uid == identity_now();

    if (!S_ISREG(st->st_mode) || (uint64_t)st->st_size != file->whole)
        return false;
    if (file->overwrite == OVERWRITE_NEVER)
        return true;
    if (st->st_nlink == 1)
        return ours || theirs;
    return (file->preserve & PRESERVE_LINKS) && (theirs || (ours && identity_now() != 0));
}

static int find_stored(struct store_file *file)
{
    /* first without opening it: that alone does something to devices */
    if (file->parent.missing ||
        fstatat(file->parent.fd, file->parent.name, &file->seen, AT_SYMLINK_NOFOLLOW) != 0 ||
        !plausible(file, &file->seen))
        return -1;
    file->fd = openat(file->parent.fd, file->parent.name,
                      O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (file->fd < 0)
        return -1;
    if (fstat(file->fd, &file->seen) == 0 && plausible(file, &file->seen))
        return 0;
    close(file->fd);
    file->fd = -1;
    return -1;
}

static bool stopped(const atomic_bool *stop)
{
    return stop != NULL && atomic_load_explicit(stop, memory_order_relaxed);
}

static void look(struct store_file *file, const atomic_bool *stop, struct wire_go *go)
{
    uint64_t size = 0;

    if (find_partial(file, &size) == 0) {
        if (size == 0 || offer(file, WIRE_OFFER_PARTIAL, size, stop, go) == 0 || stopped(stop))
            return;
        /* it can't be read: better a new one */
        store_temp_remove(&file->area, &file->temp);
        close(file->fd);
        file->fd = -1;
        return;
    }
    if (find_stored(file) == 0 && offer(file, WIRE_OFFER_STORED, file->whole, stop, go) != 0) {
        close(file->fd);
        file->fd = -1;
    }
}

struct store_file *store_ask(struct store *store, const struct wire_meta *meta,
                             const atomic_bool *stop, struct wire_go *go, struct xfer_error *err)
{
    struct store_file *file = store_file_new(store, meta, err);

    go->offer = WIRE_OFFER_NOTHING;
    go->size = go->block = 0;
    go->n = 0;
    if (file == NULL || store_file_enter(file, err) != 0) {
        store_file_free(file);
        return NULL;
    }
    if (store_file_reach(file, err) == 0) {
        if (file->kind == WIRE_KIND_FILE)
            look(file, stop, go);
    } else {
        store_file_blame(store, file->path, err);
        store_file_discard(file);
        file = NULL;
    }
    identity_drop();
    return file;
}

static bool was_offered(const struct store_offer *offer, uint64_t offset)
{
    return offset == 0 || (offer->kind != WIRE_OFFER_NOTHING && offset <= offer->size &&
                           (offset == offer->size || offset % offer->block == 0));
}

/* The digest goes on from the end of the last block before offset. */
static void take_digest(struct store_file *file, uint64_t offset)
{
    const struct store_offer *offer = &file->offer;

    if (offset > 0)
        XXH3_copyState(
            file->digest,
            offer->states[offset == offer->size ? offer->n - 1 : offset / offer->block - 1]);
    file->size = offset;
}

static int start(struct store_file *file, uint64_t offset, struct xfer_error *err)
{
    if (!was_offered(&file->offer, offset))
        return error_set(err, XFER_PROTOCOL, "byte %llu to start at was not offered",
                         (unsigned long long)offset);
    if (file->offer.kind == WIRE_OFFER_STORED && offset == file->whole) {
        take_digest(file, offset);
        file->stored = file->unchanged = true;
        return 0;
    }
    if (file->offer.kind == WIRE_OFFER_STORED) {
        if (offset > 0)
            return error_set(err, XFER_PROTOCOL, "a stored file is taken whole or not at all");
        close(file->fd);
        file->fd = -1;
    }
    if (file->temp.at >= 0) {
        take_digest(file, offset);
        if (ftruncate(file->fd, (off_t)offset) != 0 || lseek(file->fd, (off_t)offset, SEEK_SET) < 0)
            return error_set_errno(err, errno, "can't cut the partial file");
    }
    return store_file_place(file, err);
}

int store_start(struct store_file *file, uint64_t offset, struct xfer_error *err)
{
    int rc = store_file_enter(file, err);

    if (rc == 0 && (rc = start(file, offset, err)) != 0)
        store_file_blame(file->store, file->path, err);
    identity_drop();
    store_offer_free(&file->offer);
    return rc;
}
