/* SPDX-License-Identifier: MIT
 *
 * Circular doubly linked lists whose links lie inside the members. A head is a link of its own; a
 * link that is on no list points at itself, so that removing it again does no harm. Allocates
 * nothing, frees nothing.
 */
#ifndef XFER_DAEMON_CONTROL_LIST_H
#define XFER_DAEMON_CONTROL_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

#define list_entry(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

/* Put in front of l; with l the head: at the end. */
static inline void list_add_before(struct list *l, struct list *link)
{
    link->next = l;
    link->prev = l->prev;
    l->prev->next = link;
    l->prev = link;
}

static inline void list_remove(struct list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

/* All of from to the end of head; from is empty then. */
static inline void list_take_all(struct list *head, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = head->prev;
    head->prev->next = from->next;
    from->prev->next = head;
    head->prev = from->prev;
    list_init(from);
}

#endif
