/* SPDX-License-Identifier: MIT
 *
 * See reread.h. A reading may hang for long (a directory service that does not answer); then all
 * that hangs is that reload. What is compared are values, so a file that was only rearranged has
 * not changed; and what waits for a restart is named each time, until that has come.
 */
#include "daemon/reread.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"

#define END_SECONDS 0.2 /* for a reading to end when the process does */

struct reread {
    struct reread_options options;
    struct work work;
    struct pool *own; /* NULL: not needed so far, or somebody else's is used */
    struct strand *strand;
    bool busy, left;   /* left: nobody waits for it any more */
    struct conf fresh; /* the worker's while busy, as what follows */
    struct xfer_error error;
    int result;
};

/* ---- what is another --------------------------------------------------------------------------
 */

static void add_name(char *names, const char *name)
{
    size_t len = strlen(names);

    snprintf(names + len, XFER_KEY_NAMES_SIZE - len, "%s%s", len > 0 ? ", " : "", name);
}

void reread_compare(const struct conf *running, const struct conf *fresh,
                    struct reread_changes *changes)
{
    char name[CONF_NAME_SIZE];

    changes->live[0] = changes->restart[0] = '\0';
    for (size_t i = 0; i < conf_keys(); i++) {
        if (conf_is_same(running, fresh, i))
            continue;
        conf_name(i, name);
        add_name(conf_is_live(i) ? changes->live : changes->restart, name);
    }
}

static void tell(const struct reread_changes *changes)
{
    if (changes->live[0] != '\0')
        log_notice("the configuration has changed: %s", changes->live);
    if (changes->restart[0] != '\0')
        log_warning("takes effect when xferd is started again: %s", changes->restart);
    if (changes->live[0] == '\0' && changes->restart[0] == '\0')
        log_notice("the configuration is as it was");
}

/* ---- the reading ------------------------------------------------------------------------------
 */

static struct reread *of(struct work *work)
{
    return (struct reread *)(void *)((char *)work - offsetof(struct reread, work));
}

static void run(struct work *work)
{
    struct reread *r = of(work);

    r->error = (struct xfer_error)XFER_ERROR_INIT;
    r->result = r->options.read(r->options.read_user, &r->fresh, &r->error);
}

static void done(struct work *work)
{
    struct reread *r = of(work);
    struct reread_changes changes;

    r->busy = false;
    if (r->left) {
        strand_destroy(r->strand);
        free(r);
        return;
    }
    if (r->result < 0) {
        log_error("nothing is changed: %s", r->error.text);
        r->options.done(r->options.user, NULL, &r->error);
        return;
    }
    reread_compare(r->options.running, &r->fresh, &changes);
    tell(&changes);
    conf_copy_live(r->options.running, &r->fresh);
    r->options.done(r->options.user, &changes, NULL);
}

struct reread *reread_create(const struct reread_options *options, struct xfer_error *err)
{
    struct reread *r = calloc(1, sizeof *r);

    if (r == NULL) {
        error_set(err, XFER_NO_RESOURCES, "no memory");
        return NULL;
    }
    r->options = *options;
    r->work = (struct work){.run = run, .done = done};
    return r;
}

int reread_start(struct reread *r, struct xfer_error *err)
{
    struct pool *pool = r->options.pool;

    if (pool == NULL && r->own == NULL)
        r->own = pool_create(r->options.loop, 1, err);
    if (pool == NULL)
        pool = r->own;
    if (pool == NULL)
        return -1;
    if (r->strand == NULL)
        r->strand = strand_create(pool);
    if (r->strand == NULL)
        return error_set(err, XFER_NO_RESOURCES, "no memory to read the configuration");
    r->work.strand = r->strand;
    r->busy = true;
    strand_submit(r->strand, &r->work);
    return 0;
}

bool reread_is_busy(const struct reread *r)
{
    return r->busy;
}

void reread_destroy(struct reread *r)
{
    if (r == NULL)
        return;
    if (r->busy && r->own == NULL) {
        r->left = true;
        return;
    }
    if (r->busy) {
        struct pool *own = r->own;

        r->left = true;
        if (pool_drain(own, END_SECONDS))
            pool_destroy(own);
        return;
    }
    strand_destroy(r->strand);
    pool_destroy(r->own);
    free(r);
}
