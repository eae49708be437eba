/* SPDX-License-Identifier: MIT
 *
 * See look.h. One work each, freed when it is answered.
 */
#include "daemon/receive/look.h"

#include <errno.h>
#include <stdlib.h>

struct looks {
    struct store *store;
    struct pool *pool;
    struct strand *strand;
    looks_answer answer; /* NULL: nobody is there to be answered */
    void *user;
};

struct look {
    struct work work;
    struct looks *looks;
    struct wire_look look;
    struct wire_looked looked;
};

static void run(struct work *work)
{
    struct look *l = (struct look *)work;

    store_look(l->looks->store, &l->look, &l->looked);
}

static void done(struct work *work)
{
    struct look *l = (struct look *)work;

    if (l->looks->answer != NULL)
        l->looks->answer(l->looks->user, &l->looked);
    free(l);
}

static void fail_all(struct looks *looks, const struct wire_look *look)
{
    struct wire_looked looked = {.number = look->number, .n = look->n};

    for (uint32_t i = 0; i < look->n; i++) {
        looked.entries[i].result = WIRE_LOOKED_FAILED;
        looked.entries[i].code = XFER_NO_RESOURCES;
        looked.entries[i].sys_errno = ENOMEM;
    }
    looks->answer(looks->user, &looked);
}

void looks_look(struct looks *looks, const struct wire_look *look)
{
    struct look *l = malloc(sizeof *l);

    if (l == NULL) {
        fail_all(looks, look);
        return;
    }
    l->work = (struct work){.run = run, .done = done};
    l->looks = looks;
    l->look = *look;
    strand_submit(looks->strand, &l->work);
}

struct looks *looks_create(struct store *store, struct pool *pool, looks_answer answer, void *user,
                           struct xfer_error *err)
{
    struct looks *looks = calloc(1, sizeof *looks);

    if (looks == NULL || (looks->strand = strand_create(pool)) == NULL) {
        free(looks);
        error_set(err, XFER_NO_RESOURCES, "no memory for a receiver");
        return NULL;
    }
    looks->store = store;
    looks->pool = pool;
    looks->answer = answer;
    looks->user = user;
    return looks;
}

void looks_destroy(struct looks *looks)
{
    if (looks == NULL)
        return;
    looks->answer = NULL;
    while (strand_outstanding(looks->strand) > 0)
        pool_drain(looks->pool, 0.01);
    strand_destroy(looks->strand);
    free(looks);
}
