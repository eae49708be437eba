/* SPDX-License-Identifier: MIT
 *
 * See incoming.h. The works of a file, in the order of its strand: begin, start where it asks,
 * writes, end. Each finds file NULL when one before it has failed.
 */
#include "daemon/receive/incoming.h"

#include <stdlib.h>
#include <string.h>

static void begin_run(struct work *work)
{
    struct incoming *in = (struct incoming *)((char *)work - offsetof(struct incoming, begin));

    if (in->go != NULL)
        in->file = store_ask(in->store, &in->meta, &in->hurry, in->go, &in->error);
    else
        in->file = store_begin(in->store, &in->meta, &in->error);
    in->begin_failed = in->file == NULL;
}

static void start_run(struct work *work)
{
    struct incoming *in = (struct incoming *)((char *)work - offsetof(struct incoming, start));

    if (in->file == NULL || store_start(in->file, in->offset, &in->error) == 0)
        return;
    in->start_failed = true;
    store_abort(in->file, false);
    in->file = NULL;
}

static void write_run(struct work *work)
{
    struct write *write = (struct write *)work;
    struct incoming *in = write->incoming;

    if (in->file == NULL)
        return;
    if (store_write(in->file, write->data, write->len, &in->error) != 0) {
        write->failed = true;
        store_abort(in->file, false);
        in->file = NULL;
    }
}

static void forget_result(struct wire_receipt *receipt)
{
    receipt->size = 0;
    receipt->stored[0] = receipt->warning[0] = '\0';
    receipt->unchanged = false;
    memset(receipt->digest, 0, sizeof receipt->digest);
}

static void end_run(struct work *work)
{
    struct incoming *in = (struct incoming *)((char *)work - offsetof(struct incoming, end));
    struct wire_receipt *receipt = &in->receipt;
    struct store_outcome outcome;

    receipt->seq = in->meta.seq;
    forget_result(receipt);
    receipt->error.code = XFER_OK;
    if (in->file == NULL) {
        receipt->error = in->error;
        return;
    }
    if (in->verdict.kind == WIRE_ABORT || in->too_much) {
        store_abort(in->file, in->verdict.keep && !in->too_much);
        if (in->too_much)
            incoming_error_too_much(in, &receipt->error);
        else
            receipt->error = in->verdict.error;
    } else {
        uint64_t size = store_size(in->file);

        store_digest(in->file, receipt->digest);
        if (strcmp(store_path(in->file), in->meta.path) != 0)
            memcpy(receipt->stored, store_path(in->file), strlen(store_path(in->file)) + 1);
        if (store_commit(in->file, &in->verdict, &outcome, &receipt->error) == 0) {
            receipt->size = size;
            receipt->unchanged = outcome.unchanged;
            memcpy(receipt->warning, outcome.warning, sizeof receipt->warning);
        } else {
            forget_result(receipt);
        }
    }
    in->file = NULL;
}

struct incoming *incoming_create(struct store *store, const void *msg, size_t len,
                                 struct xfer_error *err)
{
    struct incoming *in = malloc(sizeof *in);

    if (in == NULL) {
        error_set(err, XFER_NO_RESOURCES, "no memory for a file");
        return NULL;
    }
    in->go = NULL;
    if (wire_meta_decode(msg, len, &in->meta, err) != 0) {
        incoming_free(in);
        return NULL;
    }
    if (in->meta.ask && (in->go = malloc(sizeof *in->go)) == NULL) {
        error_set(err, XFER_NO_RESOURCES, "no memory for a file");
        incoming_free(in);
        return NULL;
    }
    /* one by one: clearing all these paths would cost a small file more than that */
    in->receiver = NULL;
    in->store = store;
    in->came = in->offset = 0;
    in->begun = in->answered = in->unstarted = in->refused = in->too_much = in->ended = false;
    in->begin_failed = in->start_failed = false;
    in->held = NULL;
    in->file = NULL;
    in->error.code = XFER_OK;
    in->verdict.keep = false;
    atomic_init(&in->hurry, false);
    in->begin = (struct work){.run = begin_run};
    in->start = (struct work){.run = start_run};
    in->end = (struct work){.run = end_run};
    return in;
}

void incoming_free(struct incoming *in)
{
    free(in->go);
    free(in);
}

struct write *incoming_write(struct incoming *in, void *chunk, const void *data, size_t len)
{
    struct write *write = malloc(sizeof *write);

    if (write != NULL)
        *write = (struct write){
            .work = {.run = write_run}, .incoming = in, .chunk = chunk, .data = data, .len = len};
    return write;
}

bool incoming_may_start(const struct incoming *in, uint64_t offset)
{
    const struct wire_go *go = in->go;

    if (offset == 0)
        return true;
    /* before GO was sent the sender can't know of anything */
    if (!in->answered || in->begin_failed || offset > go->size)
        return false;
    return offset == go->size || (go->offer == WIRE_OFFER_PARTIAL && offset % go->block == 0);
}

void incoming_error_too_much(const struct incoming *in, struct xfer_error *err)
{
    error_set(err, XFER_SOURCE_CHANGED, "more data came than the %llu bytes that were announced",
              (unsigned long long)in->meta.size);
    error_about(err, XFER_SIDE_SENDER, in->meta.path);
}
