/* SPDX-License-Identifier: MIT
 *
 * Names of one inode (tree_impl.h). The first that is to be sent is sent; the others wait until it
 * is stored, and are sent as names of that. Where it fails the next one takes its place. An inode
 * is remembered until all its names have been seen and are over; those with names outside of the
 * tree to the end, and with a list, which may name one twice, all. Meanwhile its number may become
 * another file's, which has another size or time: that one is not the same, and neither is one that
 * was changed between two of its names.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/send/tree_impl.h"

enum link_state { LINK_NEW, LINK_PENDING, LINK_STORED };

struct tree_link {
    struct tree_link *next; /* with the same hash */
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime;
    uint64_t seen;    /* names */
    uint64_t entries; /* of these, not over */
    enum link_state state;
    struct tree_entry *first; /* LINK_PENDING */
    struct tree_list waiting; /* for it */
    char *dest;               /* LINK_STORED: the first */
};

struct tree_links {
    struct tree_link **heads; /* size of them, a power of 2 */
    size_t size, count;
};

#define SIZE_MIN 256

struct tree_links *tree_links_create(struct xfer_error *err)
{
    struct tree_links *links = calloc(1, sizeof(*links));

    if (links)
        links->heads = calloc(SIZE_MIN, sizeof(struct tree_link *));
    if (!links || !links->heads) {
        free(links);
        error_set_errno(err, ENOMEM, "hard links");
        return NULL;
    }
    links->size = SIZE_MIN;
    return links;
}

static void free_link(struct tree_link *link)
{
    struct tree_entry *e;

    while ((e = tree_list_take(&link->waiting)))
        tree_free_entry(e);
    free(link->dest);
    free(link);
}

void tree_links_free(struct tree_links *links)
{
    if (!links)
        return;
    for (size_t i = 0; i < links->size; i++) {
        while (links->heads[i]) {
            struct tree_link *link = links->heads[i];

            links->heads[i] = link->next;
            free_link(link);
        }
    }
    free(links->heads);
    free(links);
}

/* ---- the table ---- */

static struct tree_link **head(const struct tree_links *links, dev_t dev, ino_t ino)
{
    uint64_t x = ((uint64_t)ino ^ ((uint64_t)dev << 32)) * UINT64_C(0x9e3779b97f4a7c15);

    return &links->heads[(x >> 32) & (links->size - 1)];
}

/* Without memory for it the lists become longer. */
static void grow(struct tree_links *links)
{
    struct tree_links more = {.size = links->size * 2, .count = links->count};

    more.heads = calloc(more.size, sizeof(struct tree_link *));
    if (!more.heads)
        return;
    for (size_t i = 0; i < links->size; i++) {
        while (links->heads[i]) {
            struct tree_link *link = links->heads[i];
            struct tree_link **at = head(&more, link->dev, link->ino);

            links->heads[i] = link->next;
            link->next = *at;
            *at = link;
        }
    }
    free(links->heads);
    *links = more;
}

static bool is(const struct tree_link *link, const struct stat *st)
{
    return link->dev == st->st_dev && link->ino == st->st_ino && link->size == st->st_size &&
           link->mtime.tv_sec == st->st_mtim.tv_sec && link->mtime.tv_nsec == st->st_mtim.tv_nsec;
}

static struct tree_link *find(struct tree_links *links, const struct stat *st)
{
    struct tree_link **at = head(links, st->st_dev, st->st_ino), *link = *at;

    while (link && !is(link, st))
        link = link->next;
    if (link)
        return link;
    link = calloc(1, sizeof(*link));
    if (!link)
        return NULL;
    link->dev = st->st_dev;
    link->ino = st->st_ino;
    link->size = st->st_size;
    link->mtime = st->st_mtim;
    link->next = *at;
    *at = link;
    if (++links->count > links->size)
        grow(links);
    return link;
}

static void forget(struct tree_links *links, struct tree_link *link)
{
    struct tree_link **at = head(links, link->dev, link->ino);

    while (*at != link)
        at = &(*at)->next;
    *at = link->next;
    links->count--;
    free_link(link);
}

/* ---- names ---- */

int tree_links_add(struct tree *t, struct tree_entry *e, struct xfer_error *err)
{
    if (!t->links || e->st.st_nlink < 2)
        return 0;
    e->link = find(t->links, &e->st);
    if (!e->link)
        return error_set_errno(err, ENOMEM, "%s", tree_path_of(t, e));
    e->link->seen++;
    e->link->entries++;
    return 0;
}

bool tree_links_is_other(const struct tree_entry *e)
{
    return e->link && e->link->seen > 1;
}

bool tree_links_has_first(const struct tree_entry *e)
{
    return e->link && e->link->state != LINK_NEW;
}

bool tree_links_begin(struct tree *t, struct tree_entry *e)
{
    struct tree_link *link = e->link;

    if (link->state == LINK_PENDING && link->first != e) {
        tree_list_put(&link->waiting, e);
        return false;
    }
    if (link->state == LINK_STORED) {
        e->kind = WIRE_KIND_HARDLINK;
        tree_count_bytes(t, e, 0);
        return true;
    }
    link->state = LINK_PENDING;
    link->first = e;
    if (!e->is_link_kind)
        tree_count_bytes(t, e, (int64_t)e->st.st_size);
    return true;
}

const char *tree_links_target(const struct tree_entry *e)
{
    return e->link->dest;
}

/* The first is over, or needs not be sent. Without memory for its name the next one is sent as
 * itself. */
static void settle(struct tree *t, struct tree_entry *e, bool stored)
{
    struct tree_link *link = e->link;
    struct tree_list waiting = link->waiting;

    link->first = NULL;
    link->waiting = (struct tree_list){NULL, NULL};
    link->dest = stored ? strdup(tree_dest_of(t, e)) : NULL;
    link->state = link->dest ? LINK_STORED : LINK_NEW;
    while ((e = tree_list_take(&waiting)))
        tree_ready(t, e);
}

void tree_links_is_there(struct tree *t, struct tree_entry *e)
{
    settle(t, e, true);
}

void tree_links_end(struct tree *t, struct tree_entry *e, bool stored)
{
    struct tree_link *link = e->link;

    if (link->first == e)
        settle(t, e, stored);
    e->link = NULL;
    if (--link->entries == 0 && link->seen >= (uint64_t)e->st.st_nlink && !t->list)
        forget(t->links, link);
}
