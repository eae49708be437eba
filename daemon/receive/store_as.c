/* SPDX-License-Identifier: MIT
 *
 * See store_as.h. Whoever is remembered has a reference; what a user's groups are says each file,
 * so another set of groups is another entry.
 */
#include "daemon/receive/store_as.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/receive/store_user.h"

#define KEPT 8

struct store_as {
    atomic_uint references;
    struct identity *who;
    struct store_area area;
};

struct store_as_kept {
    pthread_mutex_t lock;
    struct store_as *as[KEPT];
    unsigned next; /* to be replaced */
};

struct store_as_kept *store_as_kept_create(void)
{
    struct store_as_kept *kept = calloc(1, sizeof *kept);

    if (kept != NULL)
        pthread_mutex_init(&kept->lock, NULL);
    return kept;
}

void store_as_kept_destroy(struct store_as_kept *kept)
{
    if (kept == NULL)
        return;
    for (unsigned i = 0; i < KEPT; i++)
        store_as_put(kept->as[i]);
    pthread_mutex_destroy(&kept->lock);
    free(kept);
}

static bool is(const struct store_as *as, uid_t uid, gid_t gid, const gid_t *groups, int n)
{
    const gid_t *its;
    int its_n;

    if (as == NULL || identity_uid(as->who) != uid || identity_gid(as->who) != gid)
        return false;
    its = identity_groups(as->who, &its_n);
    return its_n == n && (n == 0 || memcmp(its, groups, (size_t)n * sizeof *groups) == 0);
}

/* Nobody but an administrator removes it. */
static bool is_gone(const struct store_as *as)
{
    struct stat st;

    return fstat(as->area.partial_fd, &st) != 0 || st.st_nlink == 0 ||
           fstat(as->area.beside_fd, &st) != 0 || st.st_nlink == 0;
}

static struct store_as *find(struct store_as_kept *kept, uid_t uid, gid_t gid, const gid_t *groups,
                             int n)
{
    struct store_as *found = NULL, *gone = NULL;
    unsigned i;

    pthread_mutex_lock(&kept->lock);
    for (i = 0; i < KEPT && !is(kept->as[i], uid, gid, groups, n); i++)
        ;
    if (i < KEPT && is_gone(kept->as[i])) {
        gone = kept->as[i];
        kept->as[i] = NULL;
    } else if (i < KEPT) {
        found = kept->as[i];
        atomic_fetch_add(&found->references, 1);
    }
    pthread_mutex_unlock(&kept->lock);
    store_as_put(gone);
    return found;
}

static void keep(struct store_as_kept *kept, struct store_as *as)
{
    struct store_as *before;

    atomic_fetch_add(&as->references, 1);
    pthread_mutex_lock(&kept->lock);
    before = kept->as[kept->next];
    kept->as[kept->next] = as;
    kept->next = (kept->next + 1) % KEPT;
    pthread_mutex_unlock(&kept->lock);
    store_as_put(before);
}

struct store_as *store_as_get(struct store *store, uid_t uid, gid_t gid, const gid_t *groups, int n,
                              struct xfer_error *err)
{
    struct store_as *as = find(store->as, uid, gid, groups, n);

    if (as != NULL)
        return as;
    as = calloc(1, sizeof *as);
    if (as == NULL) {
        error_set(err, XFER_NO_RESOURCES, "no memory for the identity of uid %u", (unsigned)uid);
        return NULL;
    }
    as->who = identity_create(uid, gid, groups, n, err);
    if (as->who == NULL || store_area_of_user(store, as->who, &as->area, err) != 0) {
        identity_destroy(as->who);
        free(as);
        return NULL;
    }
    atomic_init(&as->references, 1);
    keep(store->as, as);
    return as;
}

void store_as_put(struct store_as *as)
{
    if (as == NULL || atomic_fetch_sub(&as->references, 1) > 1)
        return;
    store_area_close(&as->area);
    identity_destroy(as->who);
    free(as);
}

const struct identity *store_as_identity(const struct store_as *as)
{
    return as->who;
}

const struct store_area *store_as_area(const struct store_as *as)
{
    return &as->area;
}
