/* SPDX-License-Identifier: MIT
 *
 * The usual binary heap in an array: before an item's parent nothing of its children goes.
 */
#include "daemon/control/heap.h"

#include <assert.h>
#include <stdlib.h>

void heap_init(struct heap *h, bool (*before)(const struct heap_item *, const struct heap_item *))
{
    *h = (struct heap){.before = before};
}

void heap_free(struct heap *h)
{
    for (size_t i = 0; i < h->n; i++)
        h->items[i]->at = 0;
    free(h->items);
    h->items = NULL;
    h->n = h->size = 0;
}

int heap_reserve(struct heap *h, size_t n, struct xfer_error *err)
{
    size_t size = h->size ? h->size : 64;

    if (n <= h->size)
        return 0;
    while (size < n)
        size *= 2;
    struct heap_item **items = realloc(h->items, size * sizeof(struct heap_item *));
    if (!items)
        return error_set(err, XFER_NO_RESOURCES, "no memory for another waiting job");
    h->items = items;
    h->size = size;
    return 0;
}

struct heap_item *heap_first(const struct heap *h)
{
    return h->n ? h->items[0] : NULL;
}

static void put(struct heap *h, size_t i, struct heap_item *item)
{
    h->items[i] = item;
    item->at = i + 1;
}

/* The place i is free: bring item there, or to where it belongs above or below. */
static void sift(struct heap *h, size_t i, struct heap_item *item)
{
    while (i > 0 && h->before(item, h->items[(i - 1) / 2])) {
        put(h, i, h->items[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * i + 1;

        if (child + 1 < h->n && h->before(h->items[child + 1], h->items[child]))
            child++;
        if (child >= h->n || !h->before(h->items[child], item))
            break;
        put(h, i, h->items[child]);
        i = child;
    }
    put(h, i, item);
}

void heap_add(struct heap *h, struct heap_item *item)
{
    assert(item->at == 0 && h->n < h->size);
    h->n++;
    sift(h, h->n - 1, item);
}

void heap_remove(struct heap *h, struct heap_item *item)
{
    size_t i = item->at - 1;

    assert(item->at > 0 && i < h->n && h->items[i] == item);
    struct heap_item *last = h->items[--h->n];
    item->at = 0;
    if (last != item)
        sift(h, i, last);
}
