/* SPDX-License-Identifier: MIT
 *
 * The destinations of unfinished jobs as a treap (a search tree kept flat by random weights), one
 * place a path, with the jobs of that path in the order of their positions. Paths are kept with NUL
 * in place of '/', below every other byte, so that whatever lies under a path stands right behind
 * it, in one piece. Each place knows the earliest and the latest job of its subtree.
 * - Is there an earlier job below a path? A walk down to that piece, with the subtrees' earliest
 * and latest.
 * - Above it? The nearest ancestor that is here is a common beginning of the path and its
 * predecessor in the order, so a few walks find it, however deep the path is. All of this takes as
 * many steps as the tree is deep, and no memory beyond one place a path.
 */
#include "daemon/control/destinations.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SEPARATOR         '\0'
#define NEAREST_ANCESTORS 8

struct place {
    struct place *left, *right;
    struct job *first, *last; /* of this subtree */
    struct list jobs;         /* by position; never empty */
    size_t len;
    uint32_t weight;
    char path[]; /* len bytes */
};

struct destinations {
    struct place *root;
    uint64_t random;
};

static int compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

    return order ? order : a_len < b_len ? -1 : a_len > b_len;
}

/* Is its path strictly below dir? */
static bool is_below(const struct place *p, const char *dir, size_t len)
{
    return p->len > len && p->path[len] == SEPARATOR && memcmp(p->path, dir, len) == 0;
}

static struct job *first_of(const struct place *p)
{
    return list_entry(p->jobs.next, struct job, schedule.of_place);
}

static struct job *last_of(const struct place *p)
{
    return list_entry(p->jobs.prev, struct job, schedule.of_place);
}

static struct job *earlier(struct job *a, struct job *b)
{
    return !a ? b : !b ? a : a->position < b->position ? a : b;
}

static struct job *later(struct job *a, struct job *b)
{
    return !a ? b : !b ? a : a->position > b->position ? a : b;
}

static void update(struct place *p)
{
    p->first = first_of(p);
    p->last = last_of(p);
    if (p->left) {
        p->first = earlier(p->first, p->left->first);
        p->last = later(p->last, p->left->last);
    }
    if (p->right) {
        p->first = earlier(p->first, p->right->first);
        p->last = later(p->last, p->right->last);
    }
}

static void update_path(struct place *p, const struct place *target)
{
    if (p != target) {
        int order = compare(target->path, target->len, p->path, p->len);

        update_path(order < 0 ? p->left : p->right, target);
    }
    update(p);
}

static struct place *rotate(struct place *p, struct place *up)
{
    if (up == p->left) {
        p->left = up->right;
        up->right = p;
    } else {
        p->right = up->left;
        up->left = p;
    }
    update(p);
    update(up);
    return up;
}

static struct place *insert(struct place *root, struct place *new)
{
    if (!root) {
        update(new);
        return new;
    }
    if (compare(new->path, new->len, root->path, root->len) < 0) {
        root->left = insert(root->left, new);
        if (root->left->weight > root->weight)
            return rotate(root, root->left);
    } else {
        root->right = insert(root->right, new);
        if (root->right->weight > root->weight)
            return rotate(root, root->right);
    }
    update(root);
    return root;
}

static struct place *merge(struct place *left, struct place *right)
{
    if (!left || !right)
        return left ? left : right;
    if (left->weight > right->weight) {
        left->right = merge(left->right, right);
        update(left);
        return left;
    }
    right->left = merge(left, right->left);
    update(right);
    return right;
}

static struct place *cut(struct place *root, const struct place *gone)
{
    if (root == gone)
        return merge(root->left, root->right);
    if (compare(gone->path, gone->len, root->path, root->len) < 0)
        root->left = cut(root->left, gone);
    else
        root->right = cut(root->right, gone);
    update(root);
    return root;
}

/* The place of the greatest path that is not beyond path[0..len), or with strictly: that is before
 * it. */
static struct place *find_floor(struct place *p, const char *path, size_t len, bool strictly)
{
    struct place *best = NULL;

    while (p) {
        int order = compare(p->path, p->len, path, len);

        if (order < 0 || (order == 0 && !strictly)) {
            best = p;
            p = p->right;
        } else {
            p = p->left;
        }
    }
    return best;
}

static struct place *find(struct place *root, const char *path, size_t len)
{
    struct place *p = find_floor(root, path, len, false);

    return p && p->len == len && memcmp(p->path, path, len) == 0 ? p : NULL;
}

/* How much of path[0..len) is, component by component, also the beginning of p's path. */
static size_t common_components(const struct place *p, const char *path, size_t len)
{
    size_t i = 0, end = 0;

    while (i < len && i < p->len && path[i] == p->path[i]) {
        if (path[i] == SEPARATOR)
            end = i;
        i++;
    }
    if ((i == len || path[i] == SEPARATOR) && (i == p->len || p->path[i] == SEPARATOR))
        end = i;
    return end;
}

/* The nearest place strictly above path[0..len). */
static struct place *nearest_ancestor(struct place *root, const char *path, size_t len)
{
    struct place *p = find_floor(root, path, len, true);

    while (p) {
        size_t common = common_components(p, path, len);

        if (common == 0)
            return NULL;
        if (common == p->len)
            return p;
        p = find_floor(root, path, common, false);
    }
    return NULL;
}

struct span {
    struct job *first, *last;
};

static void add_place(struct span *s, const struct place *p)
{
    s->first = earlier(s->first, first_of(p));
    s->last = later(s->last, last_of(p));
}

static void add_subtree(struct span *s, const struct place *p)
{
    if (p) {
        s->first = earlier(s->first, p->first);
        s->last = later(s->last, p->last);
    }
}

/* The earliest and the latest job strictly below path[0..len). */
static struct span span_below(const struct place *p, const char *path, size_t len)
{
    struct span s = {NULL, NULL};

    while (p && !is_below(p, path, len))
        p = compare(p->path, p->len, path, len) <= 0 ? p->right : p->left;
    if (!p)
        return s;
    add_place(&s, p);
    for (const struct place *l = p->left; l;) {
        if (is_below(l, path, len)) {
            add_place(&s, l);
            add_subtree(&s, l->right);
            l = l->left;
        } else {
            l = l->right;
        }
    }
    for (const struct place *r = p->right; r;) {
        if (is_below(r, path, len)) {
            add_place(&s, r);
            add_subtree(&s, r->left);
            r = r->right;
        } else {
            r = r->left;
        }
    }
    return s;
}

struct destinations *destinations_create(struct xfer_error *err)
{
    struct destinations *d = calloc(1, sizeof *d);

    if (!d) {
        error_set(err, XFER_NO_RESOURCES, "no memory for the destinations of jobs");
        return NULL;
    }
    /* Unknown to users, who could otherwise choose names that make the tree a list. */
    if (getrandom(&d->random, sizeof d->random, GRND_NONBLOCK) != (ssize_t)sizeof d->random)
        d->random = (uint64_t)(clock_monotonic() * 1e9);
    d->random |= 1;
    return d;
}

static void let_go(struct place *p)
{
    if (!p)
        return;
    let_go(p->left);
    let_go(p->right);
    while (!list_empty(&p->jobs)) {
        struct job *job = first_of(p);

        list_remove(&job->schedule.of_place);
        list_remove(&job->schedule.waiting);
        job->schedule.place = NULL;
    }
    free(p);
}

void destinations_destroy(struct destinations *d)
{
    if (!d)
        return;
    let_go(d->root);
    free(d);
}

static uint32_t random_weight(struct destinations *d)
{
    d->random ^= d->random << 13;
    d->random ^= d->random >> 7;
    d->random ^= d->random << 17;
    return (uint32_t)(d->random >> 32);
}

static void add_to_place(struct place *p, struct job *job)
{
    assert(list_empty(&p->jobs) || last_of(p)->position < job->position);
    list_add_before(&p->jobs, &job->schedule.of_place);
    job->schedule.place = p;
}

int destinations_add(struct destinations *d, struct job *job, struct xfer_error *err)
{
    char path[XFER_PATH_SIZE];
    size_t len = strlen(job->dest);

    if (len >= sizeof path)
        return error_set(err, XFER_NAME_TOO_LONG, "the destination is too long");
    for (size_t i = 0; i < len; i++)
        path[i] = job->dest[i] == '/' ? SEPARATOR : job->dest[i];

    struct place *p = find(d->root, path, len);
    if (p) {
        add_to_place(p, job);
        update_path(d->root, p);
        return 0;
    }
    p = calloc(1, sizeof *p + len);
    if (!p)
        return error_set(err, XFER_NO_RESOURCES, "no memory for another destination");
    p->len = len;
    memcpy(p->path, path, len);
    p->weight = random_weight(d);
    list_init(&p->jobs);
    add_to_place(p, job);
    d->root = insert(d->root, p);
    return 0;
}

/* Of jobs in a row from first to last: one that is earlier than position. */
static struct job *before(struct job *first, struct job *last, int64_t position)
{
    if (last && last->position < position)
        return last;
    return first && first->position < position ? first : NULL;
}

struct job *destinations_blocker(const struct destinations *d, const struct job *job)
{
    const struct place *own = job->schedule.place;
    struct job *found = NULL;

    if (!own)
        return NULL;
    if (job->schedule.of_place.prev != &own->jobs)
        found = list_entry(job->schedule.of_place.prev, struct job, schedule.of_place);
    const struct place *p = nearest_ancestor(d->root, own->path, own->len);
    for (int i = 0; p && (i < NEAREST_ANCESTORS || !found); i++) {
        found = later(found, before(first_of(p), last_of(p), job->position));
        p = nearest_ancestor(d->root, p->path, p->len);
    }
    struct span below = span_below(d->root, own->path, own->len);
    return later(found, before(below.first, below.last, job->position));
}

void destinations_remove(struct destinations *d, struct job *job, struct list *again)
{
    struct place *p = job->schedule.place;

    if (!p)
        return;
    list_remove(&job->schedule.waiting);
    if (job->schedule.of_place.prev != &p->jobs) {
        /* Whoever waited for this one conflicts just as well with the one before it. */
        struct job *previous =
            list_entry(job->schedule.of_place.prev, struct job, schedule.of_place);
        list_take_all(&previous->schedule.waiters, &job->schedule.waiters);
    } else {
        list_take_all(again, &job->schedule.waiters);
    }
    if (p->jobs.next->next ==
        &p->jobs) { /* the last one: the place goes while its list still holds it */
        d->root = cut(d->root, p);
        list_remove(&job->schedule.of_place);
        free(p);
    } else {
        list_remove(&job->schedule.of_place);
        update_path(d->root, p);
    }
    job->schedule.place = NULL;
}
