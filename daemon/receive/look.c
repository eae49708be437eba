/* SPDX-License-Identifier: MIT
 *
 * See look.h. One work each, freed when it is answered.
 */
#include "daemon/receive/look.h"

#include <errno.h>
#include <stdlib.h>

struct looker {
    struct store *store;
    struct pool *pool;
    struct strand *strand;
    looker_answer answer; /* NULL: nobody is there to be answered */
    void *user;
};

struct look {
    struct work work;
    struct looker *looker;
    struct wire_look look;
    struct wire_looked looked;
};

static void run(struct work *work)
{
    struct look *l = (struct look *)work;

    store_look(l->looker->store, &l->look, &l->looked);
}

static void done(struct work *work)
{
    struct look *l = (struct look *)work;

    if (l->looker->answer != NULL)
        l->looker->answer(l->looker->user, &l->looked);
    free(l);
}

static void fail_all(struct looker *looker, const struct wire_look *look)
{
    struct wire_looked looked = {.number = look->number, .n = look->n};

    for (uint32_t i = 0; i < look->n; i++) {
        looked.entries[i].result = WIRE_LOOKED_FAILED;
        looked.entries[i].code = XFER_NO_RESOURCES;
        looked.entries[i].sys_errno = ENOMEM;
    }
    looker->answer(looker->user, &looked);
}

void looker_look(struct looker *looker, const struct wire_look *look)
{
    struct look *l = malloc(sizeof *l);

    if (l == NULL) {
        fail_all(looker, look);
        return;
    }
    l->work = (struct work){.run = run, .done = done};
    l->looker = looker;
    l->look = *look;
    strand_submit(looker->strand, &l->work);
}

struct looker *looker_create(struct store *store, struct pool *pool, looker_answer answer,
                             void *user, struct xfer_error *err)
{
    struct looker *looker = calloc(1, sizeof *looker);

    if (looker == NULL || (looker->strand = strand_create(pool)) == NULL) {
        free(looker);
        error_set(err, XFER_NO_RESOURCES, "no memory for a receiver");
        return NULL;
    }
    looker->store = store;
    looker->pool = pool;
    looker->answer = answer;
    looker->user = user;
    return looker;
}

void looker_destroy(struct looker *looker)
{
    if (looker == NULL)
        return;
    looker->answer = NULL;
    while (strand_outstanding(looker->strand) > 0)
        pool_drain(looker->pool, 0.01);
    strand_destroy(looker->strand);
    free(looker);
}
