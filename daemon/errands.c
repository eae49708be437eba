/* SPDX-License-Identifier: MIT
 *
 * See errands.h. Ends of jobs that the supervisor's channel has no room for wait here, up to a
 * number; what comes beyond that is dropped, and with it a hook.
 */
#include "daemon/errands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/drops.h"
#include "daemon/log.h"
#include "daemon/sealed.h"

struct errands {
    struct errands_options options;
    struct server *server;
    struct reread *reread; /* NULL: a supervisor does it */
    struct end {
        int64_t job;
        enum job_state state;
        char *line;
    } ends[XFER_HOOKS_WAITING_MAX]; /* that are to be told: a ring, n from first on */
    size_t first, n;
    ev_io writable; /* while there are some: the channel */
    struct drops drops;
};

/* ---- the configuration ------------------------------------------------------------------------
 */

static void on_read(void *user, const struct reread_changes *changes, const struct xfer_error *why)
{
    struct errands *e = user;

    if (why == NULL)
        e->options.changed(e->options.user);
    if (e->server != NULL)
        server_reloaded(e->server, changes != NULL ? changes->live : "",
                        changes != NULL ? changes->restart : "", why);
}

static int reload(void *user, struct xfer_error *err)
{
    struct errands *e = user;
    struct handoff_message m = {.kind = HANDOFF_RELOAD, .pid = getpid(), .fd = -1};

    if (e->reread != NULL)
        return reread_start(e->reread, err);
    if (*e->options.handoff_fd < 0)
        return error_set(err, XFER_STOPPING, "the supervisor is gone");
    return handoff_send(*e->options.handoff_fd, &m, err);
}

void errands_take(struct errands *e, const struct handoff_message *m)
{
    struct xfer_error why = XFER_ERROR_INIT;
    char live[sizeof m->text];
    char *restart;

    snprintf(live, sizeof live, "%s", m->text);
    if (m->number != XFER_OK) {
        error_set(&why,
                  m->number > 0 && m->number < XFER_CODE_COUNT ? (enum xfer_code)m->number
                                                               : XFER_INTERNAL,
                  "%s", live);
        server_reloaded(e->server, "", "", &why);
        return;
    }
    restart = strchr(live, '\n');
    if (restart != NULL)
        *restart++ = '\0';
    server_reloaded(e->server, live, restart != NULL ? restart : "", NULL);
}

/* ---- hooks ------------------------------------------------------------------------------------
 */

static int tell_end(struct errands *e, const struct end *end, struct xfer_error *err)
{
    struct handoff_message m = {.kind = HANDOFF_ENDED, .pid = getpid(), .number = end->job};
    size_t len = strlen(end->line);
    int result;

    if (len > XFER_HOOK_INPUT_MAX)
        return error_set(err, XFER_NO_RESOURCES, "its job object is %zu bytes long", len);
    m.fd = sealed_make("job", end->line, len, err);
    if (m.fd < 0)
        return -1;
    snprintf(m.text, sizeof m.text, "%s", job_state_name(end->state));
    result = handoff_send(*e->options.handoff_fd, &m, err);
    close(m.fd);
    return result;
}

/* False: it must wait until the supervisor has read more. */
static bool is_told(struct errands *e, const struct end *end)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (tell_end(e, end, &err) == 0)
        return true;
    if (err.code == XFER_TOO_BUSY)
        return false;
    log_debug("job %" PRId64 ": %s", end->job, err.text);
    drops_count(&e->drops, end->job);
    return true;
}

static void drop_first(struct errands *e)
{
    free(e->ends[e->first].line);
    e->first = (e->first + 1) % XFER_HOOKS_WAITING_MAX;
    e->n--;
}

static void on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct errands *e = w->data;

    (void)revents;
    while (e->n > 0 && is_told(e, &e->ends[e->first]))
        drop_first(e);
    if (e->n == 0)
        ev_io_stop(loop, w);
}

static void ended(void *user, int64_t job, enum job_state state, const char *line)
{
    struct errands *e = user;
    struct end end = {.job = job, .state = state, .line = (char *)(uintptr_t)line};

    if (*e->options.handoff_fd < 0 || (e->n == 0 && is_told(e, &end)))
        return;
    end.line = e->n < XFER_HOOKS_WAITING_MAX ? strdup(line) : NULL;
    if (end.line == NULL) {
        drops_count(&e->drops, job);
        return;
    }
    e->ends[(e->first + e->n++) % XFER_HOOKS_WAITING_MAX] = end;
    if (!ev_is_active(&e->writable)) {
        ev_io_set(&e->writable, *e->options.handoff_fd, EV_WRITE);
        ev_io_start(e->options.loop, &e->writable);
    }
}

void errands_hang_up(struct errands *e)
{
    ev_io_stop(e->options.loop, &e->writable);
    while (e->n > 0) {
        drops_count(&e->drops, e->ends[e->first].job);
        drop_first(e);
    }
}

const struct server_errands errands_of_server = {.reload = reload, .ended = ended};

/* ---- */

struct errands *errands_create(const struct errands_options *options, struct xfer_error *err)
{
    struct errands *e = calloc(1, sizeof *e);
    const struct reread_options reread = {.loop = options->loop,
                                          .pool = options->pool,
                                          .running = options->conf,
                                          .read = options->reread,
                                          .read_user = options->reread_user,
                                          .done = on_read,
                                          .user = e};

    if (e == NULL) {
        error_set(err, XFER_NO_RESOURCES, "no memory");
        return NULL;
    }
    e->options = *options;
    ev_init(&e->writable, on_writable);
    e->writable.data = e;
    drops_init(&e->drops, options->loop, "the supervisor does not take them");
    if (options->reread == NULL)
        return e;
    e->reread = reread_create(&reread, err);
    if (e->reread == NULL) {
        free(e);
        return NULL;
    }
    return e;
}

void errands_serve(struct errands *e, struct server *server)
{
    e->server = server;
}

void errands_destroy(struct errands *e)
{
    if (e == NULL)
        return;
    errands_hang_up(e);
    drops_end(&e->drops);
    reread_destroy(e->reread);
    free(e);
}
