/* SPDX-License-Identifier: MIT
 *
 * See incoming.h. The works of a file, in the order of its strand: begin, start where it asks,
 * writes, end. Each finds file NULL when one before it has failed.
 */
#include "daemon/receive/incoming.h"

#include <stdlib.h>
#include <string.h>

/* ---- errors ---- */

struct failure {
    enum xfer_code code;
    enum xfer_side side;
    int sys_errno;
    size_t text_size;
    char text_and_path[]; /* both with their NUL */
};

/* Where there is no memory for it. */
static struct failure no_memory = {.code = XFER_NO_RESOURCES, .side = XFER_SIDE_RECEIVER};

static struct failure *failure_keep(const struct xfer_error *err)
{
    size_t text = strlen(err->text) + 1, path = strlen(err->path) + 1;
    struct failure *f = malloc(sizeof *f + text + path);

    if (f == NULL)
        return &no_memory;
    *f = (struct failure){
        .code = err->code, .side = err->side, .sys_errno = err->sys_errno, .text_size = text};
    memcpy(f->text_and_path, err->text, text);
    memcpy(f->text_and_path + text, err->path, path);
    return f;
}

static void failure_tell(const struct failure *f, struct xfer_error *err)
{
    if (f == &no_memory) {
        error_set(err, f->code, "no memory for what went wrong with a file");
        err->side = f->side;
        return;
    }
    err->code = f->code;
    err->side = f->side;
    err->sys_errno = f->sys_errno;
    memcpy(err->text, f->text_and_path, f->text_size);
    memcpy(err->path, f->text_and_path + f->text_size, strlen(f->text_and_path + f->text_size) + 1);
}

static void failure_free(struct failure *f)
{
    if (f != &no_memory)
        free(f);
}

/* ---- works ---- */

static void begin_run(struct work *work)
{
    struct incoming *in = (struct incoming *)((char *)work - offsetof(struct incoming, begin));
    struct wire_meta meta;
    struct xfer_error err;

    if (wire_meta_decode(in->meta, in->meta_len, &meta, &err) == 0) {
        if (in->go != NULL)
            in->file = store_ask(in->store, &meta, &in->hurry, in->go, &err);
        else
            in->file = store_begin(in->store, &meta, &err);
    }
    in->begin_failed = in->file == NULL;
    if (in->file != NULL)
        store_stop_by(in->file, &in->given_up, in->stopped);
    if (in->begin_failed)
        in->error = failure_keep(&err);
}

/* After a step that failed. */
static void give_up(struct incoming *in, const struct xfer_error *err)
{
    in->error = failure_keep(err);
    store_abort(in->file, false);
    in->file = NULL;
}

static void start_run(struct work *work)
{
    struct incoming *in = (struct incoming *)((char *)work - offsetof(struct incoming, start));
    struct xfer_error err;

    if (in->file == NULL || store_start(in->file, in->offset, &err) == 0)
        return;
    in->start_failed = true;
    give_up(in, &err);
}

static void write_run(struct work *work)
{
    struct write *write = (struct write *)work;
    struct incoming *in = write->incoming;
    struct xfer_error err;

    if (in->file == NULL || store_write(in->file, write->data, write->len, &err) == 0)
        return;
    write->failed = true;
    give_up(in, &err);
}

static void map_run(struct work *work)
{
    struct map *map = (struct map *)work;
    struct incoming *in = map->incoming;
    struct xfer_error err;

    if (in->file == NULL || store_map(in->file, map->pieces, map->n, map->more, &err) == 0)
        return;
    map->failed = true;
    give_up(in, &err);
}

static void forget(struct incoming *in)
{
    store_abort(in->file, in->verdict.keep && !in->too_much);
    in->file = NULL;
    if (in->too_much) {
        struct xfer_error err;

        incoming_error_too_much(in, &err);
        in->error = failure_keep(&err);
    } else {
        in->error = in->verdict.why;
        in->verdict.why = NULL;
    }
}

/* Also of the batch that it was part of. */
static void told(void *user, const struct store_outcome *outcome, const struct xfer_error *err)
{
    struct incoming *in = user;

    if (outcome == NULL) {
        in->error = failure_keep(err);
        return;
    }
    in->unchanged = outcome->unchanged;
    if (outcome->warning[0] != '\0')
        in->warning = strdup(outcome->warning);
}

static void store(struct incoming *in)
{
    struct store_file *file = in->file;
    struct store_outcome outcome;
    struct wire_verdict verdict;
    struct xfer_error err;

    verdict.size = in->verdict.size;
    memcpy(verdict.digest, in->verdict.digest, sizeof verdict.digest);
    store_end(file);
    in->stored = store_size(file);
    store_digest(file, in->digest);
    if (strcmp(store_path(file), in->path) != 0)
        in->stored_path = strdup(store_path(file));
    store_set_attrs(file, in->attrs);
    in->attrs = NULL;
    in->file = NULL;
    if (!in->batched) {
        told(in, store_commit(file, &verdict, &outcome, &err) == 0 ? &outcome : NULL, &err);
    } else if (store_prepare(file, &verdict, &err) == 0) {
        in->joined = true;
        store_batch_hold(in->batch, file, told, in);
    } else {
        told(in, NULL, &err);
    }
}

static void end_run(struct work *work)
{
    struct incoming *in = (struct incoming *)((char *)work - offsetof(struct incoming, end));

    /* receipts keep their order: what is told at once can't wait for others */
    if (!in->batched)
        store_batch_commit(in->batch);
    if (in->file != NULL || in->barrier) {
        if (in->verdict.kind == WIRE_ABORT || in->too_much)
            forget(in);
        else if (!in->barrier)
            store(in);
    }
    in->committed = !in->batched || in->last || store_batch_is_full(in->batch);
    if (in->committed)
        store_batch_commit(in->batch);
}

/* ---- life ---- */

struct incoming *incoming_create(struct store *store, struct store_batch *batch, const void *msg,
                                 size_t len, struct xfer_error *err)
{
    struct wire_meta meta;
    struct incoming *in;

    if (wire_meta_decode(msg, len, &meta, err) != 0)
        return NULL;
    in = calloc(1, sizeof *in + meta.path_len + 1);
    if (in == NULL || (in->meta = malloc(len)) == NULL ||
        (meta.attrs_size > 0 &&
         (in->attrs = malloc(sizeof *in->attrs + meta.attrs_size)) == NULL) ||
        (meta.ask && (in->go = malloc(sizeof *in->go)) == NULL)) {
        if (in != NULL)
            incoming_free(in);
        error_set(err, XFER_NO_RESOURCES, "no memory for a file");
        return NULL;
    }
    memcpy(in->meta, msg, len);
    in->meta_len = len;
    memcpy(in->path, meta.path, meta.path_len);
    in->store = store;
    in->batch = batch;
    in->seq = meta.seq;
    in->size = meta.size;
    in->asks = meta.ask;
    in->preserve = meta.preserve;
    in->attrs_size = meta.attrs_size;
    in->sparse = meta.sparse;
    in->barrier = meta.kind == WIRE_KIND_BARRIER;
    in->batched = !in->barrier && store_sync_of(store, &meta) == SYNC_BATCH;
    atomic_init(&in->hurry, false);
    atomic_init(&in->given_up, false);
    in->begin = (struct work){.run = begin_run};
    in->start = (struct work){.run = start_run};
    in->end = (struct work){.run = end_run};
    return in;
}

void incoming_free(struct incoming *in)
{
    free(in->go);
    free(in->held);
    free(in->meta);
    free(in->attrs);
    free(in->stored_path);
    free(in->warning);
    failure_free(in->verdict.why);
    failure_free(in->error);
    free(in);
}

int incoming_add_attrs(struct incoming *in, const struct wire_attrs *piece, struct xfer_error *err)
{
    if (piece->offset != in->attrs_came || piece->len > in->attrs_size - in->attrs_came)
        return error_set(err, XFER_PROTOCOL,
                         "%u bytes of attributes at byte %u of %u, where byte %u was expected",
                         piece->len, piece->offset, in->attrs_size, in->attrs_came);
    memcpy(in->attrs->bytes + in->attrs_came, piece->data, piece->len);
    in->attrs_came += piece->len;
    if (in->attrs_came < in->attrs_size)
        return 0;
    in->attrs->len = in->attrs_size;
    return attrs_check(in->attrs->bytes, in->attrs_size, in->preserve, err) != 0 ? -1 : 1;
}

struct write *incoming_write(struct incoming *in, void *chunk, const void *data, size_t len)
{
    struct write *write = malloc(sizeof *write);

    if (write != NULL)
        *write = (struct write){
            .work = {.run = write_run}, .incoming = in, .chunk = chunk, .data = data, .len = len};
    return write;
}

struct write *incoming_write_copy(struct incoming *in, const void *data, size_t len)
{
    struct write *write = malloc(sizeof *write + len);

    if (write == NULL)
        return NULL;
    *write =
        (struct write){.work = {.run = write_run}, .incoming = in, .data = write->copy, .len = len};
    memcpy(write->copy, data, len);
    return write;
}

static void all_run(struct work *work)
{
    struct incoming *in = (struct incoming *)((char *)work - offsetof(struct incoming, end));

    begin_run(&in->begin);
    if (in->held != NULL)
        write_run(&in->held->work);
    end_run(work);
}

void incoming_do_at_once(struct incoming *in)
{
    in->end.run = all_run;
}

int incoming_add_map(struct incoming *in, const struct wire_map *map, struct xfer_error *err)
{
    uint64_t from = in->mapped > in->offset ? in->mapped : in->offset;

    if (map->n > 0) {
        const struct wire_extent *last = &map->extents[map->n - 1];

        if (map->extents[0].offset < from || last->offset + last->length > in->size)
            return error_set(err, XFER_PROTOCOL,
                             "a map of bytes %llu to %llu, where it may be of %llu to %llu",
                             (unsigned long long)map->extents[0].offset,
                             (unsigned long long)(last->offset + last->length),
                             (unsigned long long)from, (unsigned long long)in->size);
        in->mapped = last->offset + last->length;
    }
    for (uint32_t i = 0; i < map->n; i++)
        in->map_left += map->extents[i].length;
    in->more_maps = map->more;
    return 0;
}

struct map *incoming_map(struct incoming *in, const struct wire_map *map)
{
    struct map *work = malloc(sizeof *work + map->n * sizeof map->extents[0]);

    if (work == NULL)
        return NULL;
    *work = (struct map){.work = {.run = map_run}, .incoming = in, .more = map->more, .n = map->n};
    memcpy(work->pieces, map->extents, map->n * sizeof map->extents[0]);
    return work;
}

struct wire_go *incoming_take_go(struct incoming *in)
{
    struct wire_go *go = in->go;

    if (go == NULL)
        return NULL;
    go->seq = in->seq;
    in->offered.kind = go->offer;
    in->offered.size = go->size;
    in->offered.block = go->block;
    in->go = NULL;
    return go;
}

bool incoming_may_start(const struct incoming *in, uint64_t offset)
{
    if (offset == 0)
        return true;
    /* before GO was sent the sender can't know of anything */
    if (!in->answered || in->begin_failed || offset > in->offered.size)
        return false;
    return offset == in->offered.size ||
           (in->offered.kind == WIRE_OFFER_PARTIAL && offset % in->offered.block == 0);
}

void incoming_decide(struct incoming *in, const struct wire_verdict *verdict)
{
    in->verdict.kind = verdict->kind;
    in->verdict.keep = verdict->keep;
    in->verdict.size = verdict->size;
    memcpy(in->verdict.digest, verdict->digest, sizeof in->verdict.digest);
    if (verdict->kind == WIRE_ABORT)
        in->verdict.why = failure_keep(&verdict->error);
    in->ended = true;
}

/* ---- what is told ---- */

void incoming_error(const struct incoming *in, struct xfer_error *err)
{
    failure_tell(in->error, err);
}

void incoming_error_too_much(const struct incoming *in, struct xfer_error *err)
{
    error_set(err, XFER_SOURCE_CHANGED, "more data came than the %llu bytes that were announced",
              (unsigned long long)in->size);
    error_about(err, XFER_SIDE_SENDER, in->path);
}

void incoming_receipt(const struct incoming *in, struct wire_receipt *receipt)
{
    receipt->seq = in->seq;
    receipt->size = 0;
    receipt->stored[0] = receipt->warning[0] = '\0';
    receipt->unchanged = false;
    receipt->error.code = XFER_OK;
    if (in->error != NULL) {
        memset(receipt->digest, 0, sizeof receipt->digest);
        incoming_error(in, &receipt->error);
        return;
    }
    receipt->size = in->stored;
    receipt->unchanged = in->unchanged;
    if (in->warning != NULL)
        memcpy(receipt->warning, in->warning, strlen(in->warning) + 1);
    memcpy(receipt->digest, in->digest, sizeof receipt->digest);
    if (in->stored_path != NULL)
        memcpy(receipt->stored, in->stored_path, strlen(in->stored_path) + 1);
}
