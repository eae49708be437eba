/* SPDX-License-Identifier: MIT
 *
 * The receiver tells by GO what it has of a file: digests of blocks, from the beginning. They are
 * compared with what lies here, and the first block that differs is where the transfer goes on.
 *
 * Two digests run along: of the block, and of everything so far. The latter is copied out at the
 * end of each block that agrees, so the digest of the whole file goes on from there without reading
 * anything twice.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/send/send_impl.h"

/* Bytes that one trip to a worker compares, at most: so often is the file looked after. */
#define PIECE ((uint64_t)16 * 1024 * 1024)
/* Bytes of one read: they are digested twice while they are in the cache. */
#define READ_SIZE ((size_t)256 * 1024)

struct verify {
    struct wire_go offer;
    uint64_t at;       /* compared, or about to be */
    uint64_t verified; /* of it, in blocks that agree */
    bool differs;
    XXH3_state_t *block, *whole; /* of the block so far; of [0, at) */
    unsigned char *buf;
};

struct verify *verify_create(const struct wire_go *offer)
{
    struct verify *v = calloc(1, sizeof(*v));

    if (!v)
        return NULL;
    v->offer = *offer;
    v->block = XXH3_createState();
    v->whole = XXH3_createState();
    v->buf = malloc(READ_SIZE);
    if (!v->block || !v->whole || !v->buf) {
        verify_destroy(v);
        return NULL;
    }
    XXH3_128bits_reset(v->block);
    XXH3_128bits_reset(v->whole);
    return v;
}

void verify_destroy(struct verify *v)
{
    if (!v)
        return;
    XXH3_freeState(v->block);
    XXH3_freeState(v->whole);
    free(v->buf);
    free(v);
}

bool verify_more(const struct verify *v)
{
    return !v->differs && v->at < v->offer.size;
}

uint64_t verify_offset(const struct verify *v)
{
    /* a stored file is the file or it is not: its beginning is of no use */
    return v->offer.offer == WIRE_OFFER_STORED && v->differs ? 0 : v->verified;
}

uint64_t verify_all(const struct verify *v)
{
    return v->offer.offer == WIRE_OFFER_PARTIAL ? v->offer.size : 0;
}

static uint64_t block_end(const struct verify *v)
{
    uint64_t begin = v->verified, left = v->offer.size - begin;

    return begin + (left < v->offer.block ? left : v->offer.block);
}

static void compare(struct verify *v)
{
    uint64_t index = v->verified / v->offer.block;
    XXH128_canonical_t digest;

    XXH128_canonicalFromHash(&digest, XXH3_128bits_digest(v->block));
    v->differs = memcmp(digest.digest, v->offer.digests[index], XFER_DIGEST_SIZE) != 0;
}

int verify_run(struct verify *v, struct source *source, struct xfer_error *err)
{
    uint64_t end = block_end(v), stop = end - v->at < PIECE ? end : v->at + PIECE;

    while (v->at < stop) {
        size_t n = stop - v->at < READ_SIZE ? (size_t)(stop - v->at) : READ_SIZE;
        const unsigned char *bytes = v->buf;

        if (source->whole)
            bytes = source->whole + v->at;
        else if (source_read(source, v->buf, n, v->at, err))
            return -1;
        XXH3_128bits_update(v->block, bytes, n);
        XXH3_128bits_update(v->whole, bytes, n);
        v->at += n;
    }
    if (v->at == end)
        compare(v);
    return 0;
}

void verify_took(struct verify *v, XXH3_state_t *hash)
{
    if (v->differs || v->at != block_end(v))
        return;
    v->verified = v->at;
    XXH3_copyState(hash, v->whole);
    XXH3_128bits_reset(v->block);
}
