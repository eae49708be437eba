/* SPDX-License-Identifier: MIT
 *
 * A heap: the item that goes before all others, at once. Items are members of other structs, as the
 * links of list.h are; each knows where it lies, so that any of them can be taken out.
 */
#ifndef XFER_DAEMON_CONTROL_HEAP_H
#define XFER_DAEMON_CONTROL_HEAP_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/error.h"

struct heap_item {
    size_t at; /* 1 + index; 0: in no heap */
};

struct heap {
    bool (*before)(const struct heap_item *a, const struct heap_item *b);
    struct heap_item **items;
    size_t n, size;
};

#define heap_entry(item, type, member) ((type *)(void *)((char *)(item)-offsetof(type, member)))

void heap_init(struct heap *h, bool (*before)(const struct heap_item *, const struct heap_item *));
void heap_free(struct heap *h);

/* Room for n items: adding that many can't fail then. */
int heap_reserve(struct heap *h, size_t n, struct xfer_error *err);

struct heap_item *heap_first(const struct heap *h); /* NULL: empty */
void heap_add(struct heap *h, struct heap_item *item);
void heap_remove(struct heap *h, struct heap_item *item); /* it must be in h */

#endif
