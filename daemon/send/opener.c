/* SPDX-License-Identifier: MIT
 *
 * Opens files on workers, and reads the small ones whole. Rank 0; what is not said to be of the
 * worker runs on the loop's thread. For each piece of work two threads are woken, which costs as
 * much as opening a small file: so those of a tree, where none of them is waited for by itself, are
 * gathered into one. One that hangs in it then holds up the others that came with it.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "daemon/send/send_impl.h"

#define TOGETHER 32

struct opener {
    struct work work;
    struct strand *strand;
    struct opener *next; /* idle */
    struct openers *home;
    unsigned n;
    struct send *sends[TOGETHER];
};

static void opener_free(struct opener *opener)
{
    strand_destroy(opener->strand);
    free(opener);
}

static struct opener *opener_get(struct openers *o)
{
    struct opener *opener = o->idle;

    if (opener) {
        o->idle = opener->next;
        return opener;
    }
    opener = calloc(1, sizeof(*opener));
    if (!opener)
        return NULL;
    opener->home = o;
    opener->strand = strand_create(o->pool);
    if (!opener->strand) {
        free(opener);
        return NULL;
    }
    return opener;
}

/* ---- on a worker ---- */

static void open_one(struct send *send)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (source_open(&send->source, &err)) {
        source_close(&send->source);
        send_work_failed(send, &err);
    }
    if (send->source.fd < 0)
        source_leave(&send->source);
}

static void run_open(struct work *work)
{
    struct opener *opener = (struct opener *)((char *)work - offsetof(struct opener, work));
    struct send_owner *who = NULL;
    struct xfer_error err = XFER_ERROR_INIT;
    bool assumed = false;

    for (unsigned i = 0; i < opener->n; i++) {
        struct send *send = opener->sends[i];

        if (!assumed || send->owner != who) {
            if (assumed)
                send_disk_end();
            assumed = send_disk_begin(send, &err) == 0;
            who = send->owner;
        }
        if (assumed)
            open_one(send);
        else
            send_work_failed(send, &err);
    }
    if (assumed)
        send_disk_end();
}

/* ---- on the loop's thread ---- */

/* All of them are of one sender, which is gone for all or for none. */
static void opened(struct work *work)
{
    struct opener *opener = (struct opener *)((char *)work - offsetof(struct opener, work));
    struct sender *s = opener->sends[0]->sender;
    struct openers *home = opener->home;

    for (unsigned i = 0; i < opener->n; i++) {
        struct send *send = opener->sends[i];

        send->working = false;
        if (s)
            sender_opened(s, send);
        else
            send_free(send);
    }
    opener->n = 0;
    if (!s) {
        opener_free(opener);
        return;
    }
    opener->next = home->idle;
    home->idle = opener;
}

static void submit(struct opener *opener)
{
    opener->work.run = run_open;
    opener->work.done = opened;
    strand_submit(opener->strand, &opener->work);
}

void openers_submit(struct openers *o)
{
    struct opener *opener = o->gathering;

    o->gathering = NULL;
    if (opener)
        submit(opener);
}

int openers_open(struct openers *o, struct send *send, bool later, struct xfer_error *err)
{
    struct opener *opener = later ? o->gathering : NULL;

    if (!opener)
        opener = opener_get(o);
    if (!opener)
        return error_set_errno(err, ENOMEM, "transfer");
    opener->sends[opener->n++] = send;
    send->working = true;
    if (!later) {
        submit(opener);
        return 0;
    }
    o->gathering = opener;
    if (opener->n == TOGETHER)
        openers_submit(o);
    return 0;
}

void openers_free(struct openers *o)
{
    struct opener *opener;

    if (o->gathering) {
        for (unsigned i = 0; i < o->gathering->n; i++)
            o->gathering->sends[i]->working = false;
        o->gathering->next = o->idle;
        o->idle = o->gathering;
    }
    while ((opener = o->idle)) {
        o->idle = opener->next;
        opener_free(opener);
    }
}
