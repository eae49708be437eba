/* SPDX-License-Identifier: MIT
 *
 * See looks.h.
 */
#include "daemon/send/looks.h"

#include <errno.h>
#include <stdlib.h>

struct question {
    uint64_t number; /* 0: free */
    struct looks_client *client;
    void *what;
    uint32_t n;
    enum wire_kind kinds[XFER_LOOK_ENTRIES_MAX];
};

struct looks {
    struct link *link;
    uint64_t last;
    struct question questions[XFER_LOOKS_MAX];
    struct looks_client *first, *end;
    bool asking;
    struct wire_look look; /* the one that is put together */
};

struct looks *looks_create(struct link *link, struct xfer_error *err)
{
    struct looks *looks = calloc(1, sizeof(*looks));

    if (!looks)
        error_set_errno(err, ENOMEM, "sender");
    else
        looks->link = link;
    return looks;
}

void looks_destroy(struct looks *looks)
{
    free(looks);
}

/* ---- turns ---- */

static void put(struct looks *looks, struct looks_client *client)
{
    client->waits = true;
    client->next = NULL;
    if (looks->end)
        looks->end->next = client;
    else
        looks->first = client;
    looks->end = client;
}

static struct looks_client *take(struct looks *looks)
{
    struct looks_client *client = looks->first;

    looks->first = client->next;
    if (!looks->first)
        looks->end = NULL;
    client->waits = false;
    return client;
}

void looks_leave(struct looks *looks, struct looks_client *client)
{
    struct looks_client *prev = NULL;

    if (!client->waits)
        return;
    for (struct looks_client *c = looks->first; c != client; c = c->next)
        prev = c;
    if (prev)
        prev->next = client->next;
    else
        looks->first = client->next;
    if (looks->end == client)
        looks->end = prev;
    client->waits = false;
}

/* ---- questions ---- */

static struct question *find(struct looks *looks, uint64_t number)
{
    for (unsigned i = 0; i < XFER_LOOKS_MAX; i++)
        if (looks->questions[i].number == number)
            return &looks->questions[i];
    return NULL;
}

static void ask(struct looks *looks, struct question *q, struct looks_client *client, void *what)
{
    struct wire_look *look = &looks->look;

    look->number = q->number = ++looks->last;
    q->client = client;
    q->what = what;
    q->n = look->n;
    for (uint32_t i = 0; i < look->n; i++)
        q->kinds[i] = look->entries[i].kind;
    client->unanswered++;
    link_send_look(looks->link, look);
}

static void go_on(struct looks *looks)
{
    struct question *q;
    void *what;

    if (looks->asking)
        return;
    looks->asking = true;
    while (looks->first && (q = find(looks, 0))) {
        struct looks_client *client = take(looks);

        if (!client->fill(client, &looks->look, &what))
            continue;
        ask(looks, q, client, what);
        if (!client->waits)
            put(looks, client);
    }
    looks->asking = false;
}

void looks_want(struct looks *looks, struct looks_client *client)
{
    if (!client->waits)
        put(looks, client);
    go_on(looks);
}

/* ---- answers ---- */

static bool fits(enum wire_kind kind, enum wire_looked_result result)
{
    bool of_directory = result == WIRE_LOOKED_MADE || result == WIRE_LOOKED_READY;

    return result == WIRE_LOOKED_FAILED || of_directory == (kind == WIRE_KIND_DIRECTORY);
}

void looks_answered(struct looks *looks, const struct wire_looked *answer)
{
    struct question *q = answer->number > 0 ? find(looks, answer->number) : NULL;
    bool good = q && q->n == answer->n;
    struct xfer_error err = XFER_ERROR_INIT;
    struct looks_client *client;

    for (uint32_t i = 0; good && i < answer->n; i++)
        good = fits(q->kinds[i], answer->entries[i].result);
    if (!good) {
        error_set(&err, XFER_PROTOCOL, "an answer about names that was not asked for");
        link_fail(looks->link, &err);
        return;
    }
    client = q->client;
    q->number = 0;
    client->unanswered--;
    client->looked(client, q->what, answer);
    go_on(looks);
}
