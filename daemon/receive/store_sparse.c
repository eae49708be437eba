/* SPDX-License-Identifier: MIT
 *
 * See store_sparse.h. file->size is up to where the file is digested; on disk it may be shorter,
 * since a hole is made by what is written after it, or by the size that the file gets at its end.
 * So what lies there is always the beginning of the file, as it is of one without holes.
 *
 * The next hole is digested as soon as what is before it is written: the sender is at it at the
 * same time. A hole may be larger than anybody can wait for, so that can be stopped; then nothing
 * more is written.
 */
#include "daemon/receive/store_sparse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_EVERY ((uint64_t)16 * 1024 * 1024) /* bytes of a hole */

static bool is_stopped(const atomic_bool *stop)
{
    return stop != NULL && atomic_load_explicit(stop, memory_order_relaxed);
}

static void pass_hole(struct store_file *file, uint64_t to)
{
    static const unsigned char zeros[64 * 1024];
    uint64_t looked = file->size;

    while (file->size < to && !file->cut) {
        uint64_t n = to - file->size < sizeof zeros ? to - file->size : sizeof zeros;

        XXH3_128bits_update(file->digest, zeros, (size_t)n);
        file->size += n;
        if (file->size - looked >= LOOK_EVERY) {
            looked = file->size;
            file->cut = is_stopped(file->stop[0]) || is_stopped(file->stop[1]);
        }
    }
}

static uint64_t end_of(const struct wire_extent *e)
{
    return e->offset + e->length;
}

/* To the next piece, or when there is none, to the end. */
static void go_on(struct store_file *file)
{
    if (file->piece < file->n_pieces)
        pass_hole(file, file->pieces[file->piece].offset);
    else if (file->last_map)
        pass_hole(file, file->whole);
}

static int write_at(struct store_file *file, const unsigned char *p, size_t len,
                    struct xfer_error *err)
{
    while (len > 0) {
        ssize_t n = pwrite(file->fd, p, len, (off_t)file->size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, errno, "can't write");
        XXH3_128bits_update(file->digest, p, (size_t)n);
        file->size += (uint64_t)n;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

int store_sparse_write(struct store_file *file, const void *data, size_t len,
                       struct xfer_error *err)
{
    const unsigned char *p = data;

    go_on(file);
    while (len > 0 && !file->cut) {
        const struct wire_extent *e = &file->pieces[file->piece];
        size_t n = len;

        if (file->piece == file->n_pieces)
            return error_set(err, XFER_PROTOCOL, "data came that belongs nowhere");
        if (n > end_of(e) - file->size)
            n = (size_t)(end_of(e) - file->size);
        if (write_at(file, p, n, err) != 0)
            return -1;
        p += n;
        len -= n;
        if (file->size == end_of(e))
            file->piece++;
        go_on(file);
    }
    return 0;
}

void store_end(struct store_file *file)
{
    if (file->sparse && !file->stored && file->piece == file->n_pieces)
        pass_hole(file, file->whole);
}

int store_sparse_end(struct store_file *file, struct xfer_error *err)
{
    store_end(file);
    if (file->cut)
        return error_set(err, XFER_STOPPING, "stopped in the midst of a hole");
    if (file->size == file->whole && ftruncate(file->fd, (off_t)file->whole) != 0)
        return error_set_errno(err, errno, "can't set the size");
    return 0;
}

static int add_map(struct store_file *file, const struct wire_extent *pieces, uint32_t n, bool more,
                   struct xfer_error *err)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < n; i++)
        bytes += pieces[i].length;
    if (store_file_check_free(file, bytes, err) != 0)
        return -1;
    free(file->pieces);
    file->piece = file->n_pieces = 0;
    file->last_map = !more;
    file->pieces = n > 0 ? malloc(n * sizeof *pieces) : NULL;
    if (n > 0 && file->pieces == NULL)
        return error_set(err, XFER_NO_RESOURCES, "no memory for a map");
    if (n > 0)
        memcpy(file->pieces, pieces, n * sizeof *pieces);
    file->n_pieces = n;
    if (!file->stored)
        go_on(file);
    return 0;
}

int store_map(struct store_file *file, const struct wire_extent *pieces, uint32_t n, bool more,
              struct xfer_error *err)
{
    if (add_map(file, pieces, n, more, err) == 0)
        return 0;
    return store_file_blame(file->store, file->path, err);
}

void store_stop_by(struct store_file *file, const atomic_bool *one, const atomic_bool *other)
{
    file->stop[0] = one;
    file->stop[1] = other;
}
