/* SPDX-License-Identifier: MIT
 *
 * See errands.h. Nothing is waited for: a message that the supervisor's channel has no room for is
 * dropped, and with it a hook.
 */
#include "daemon/errands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/sealed.h"

struct errands {
    struct errands_options options;
    struct server *server;
    struct reread *reread; /* NULL: a supervisor does it */
    unsigned dropped;      /* ends of jobs that could not be told */
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

static int tell_end(struct errands *e, int64_t job, enum job_state state, const char *line,
                    struct xfer_error *err)
{
    struct handoff_message m = {.kind = HANDOFF_ENDED, .pid = getpid(), .number = job};
    int result;

    if (strlen(line) > XFER_HOOK_INPUT_MAX)
        return error_set(err, XFER_NO_RESOURCES, "its job object is %zu bytes long", strlen(line));
    m.fd = sealed_make("job", line, strlen(line), err);
    if (m.fd < 0)
        return -1;
    snprintf(m.text, sizeof m.text, "%s", job_state_name(state));
    result = handoff_send(*e->options.handoff_fd, &m, err);
    close(m.fd);
    return result;
}

static void ended(void *user, int64_t job, enum job_state state, const char *line)
{
    struct errands *e = user;
    struct xfer_error err = XFER_ERROR_INIT;

    if (*e->options.handoff_fd < 0)
        return;
    if (tell_end(e, job, state, line, &err) < 0) {
        if (e->dropped++ == 0)
            log_warning("the hook of job %" PRId64 " is dropped, and may not be the last: %s", job,
                        err.text);
    } else if (e->dropped > 0) {
        log_warning("%u hooks were dropped: the supervisor did not take them", e->dropped);
        e->dropped = 0;
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
    reread_destroy(e->reread);
    free(e);
}
