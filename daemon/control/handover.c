/* SPDX-License-Identifier: MIT
 *
 * See handover.h.
 */
#include "daemon/control/handover.h"

#include <inttypes.h>
#include <stdlib.h>

#include "daemon/control/handlers_impl.h"
#include "daemon/control/pending.h"

static void on_looked(void *user, const struct handle *handle, const struct xfer_error *why)
{
    struct control *c = pending_control(user);
    struct reply *reply = pending_end(user);

    if (!reply) { /* its client has gone, or the daemon stops */
        if (handle)
            handles_close(c->handles, handle->fd);
        return;
    }
    client_release(reply_client(reply));
    if (why) {
        reply_error(reply, why, reply_job(reply));
    } else {
        reply_set_handle(reply, handle);
        handlers_again(c, reply);
    }
}

bool handover_ready(struct control *c, struct reply *reply, enum method_id method,
                    const struct control_params *p)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct client *client = reply_client(reply);
    const char *path = p->source ? p->source : "the file that was handed over";
    struct pending *pending;
    int fd;

    if (!p->source_fd || reply_handle(reply))
        return true;
    fd = client_take_descriptor(client, "source_fd", &err);
    if (fd < 0) {
        reply_error(reply, &err, p->job);
        return false;
    }
    if (!handlers_keep(reply, method, p)) {
        handles_close(c->handles, fd);
        return false;
    }
    pending = pending_create(c, reply, p->job, -1);
    if (!pending) {
        handles_close(c->handles, fd);
        return false;
    }
    if (handles_look(c->handles, fd, path, on_looked, pending, &err) < 0)
        pending_fail(pending, &err);
    else
        client_hold(client);
    return false;
}

static void on_list_taken(void *user, int fd, char *name, const struct xfer_error *why)
{
    struct control *c = pending_control(user);
    struct reply *reply = pending_end(user);

    if (fd >= 0)
        handles_close(c->handles, fd);
    if (!reply) { /* its client has gone, or the daemon stops */
        if (name)
            lists_remove(c->lists, name);
        free(name);
        return;
    }
    client_release(reply_client(reply));
    if (why) {
        reply_error(reply, why, 0);
    } else {
        reply_set_list(reply, name);
        handlers_again(c, reply);
    }
}

bool handover_list_ready(struct control *c, struct reply *reply, enum method_id method,
                         const struct control_params *p)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct client *client = reply_client(reply);
    struct pending *pending;
    int fd = -1;

    if ((!p->files_fd && p->files.n == 0) || reply_has_list(reply))
        return true;
    if (p->files_fd && (fd = client_take_descriptor(client, "files_fd", &err)) < 0) {
        reply_error(reply, &err, 0);
        return false;
    }
    pending = handlers_keep(reply, method, p) ? pending_create(c, reply, 0, -1) : NULL;
    if (pending && lists_take(c->lists, fd, &p->files, on_list_taken, pending, &err) == 0) {
        client_hold(client);
        return false;
    }
    if (fd >= 0)
        handles_close(c->handles, fd);
    if (pending)
        pending_fail(pending, &err);
    return false;
}

void handover_drop_list(struct control *c, const struct job *job)
{
    if (job->list)
        lists_remove(c->lists, job->list);
}

static void wake(struct control *c, struct job *job)
{
    if (job->state != JOB_QUEUED || !job->schedule.delayed ||
        job_error_code(job) != XFER_SOURCE_HANDLE_LOST)
        return;
    queue_hurry(c->queue, job);
    scheduler_hurry(c->scheduler, job);
}

bool handover_attach(struct control *c, struct reply *reply, struct job *job,
                     struct xfer_error *err)
{
    const struct handle *handle = reply_handle(reply);

    (void)c;
    if (handle->dev != job->handle_dev || handle->ino != job->handle_ino) {
        error_set(err, XFER_SOURCE_CHANGED,
                  "job %" PRId64 " sends another file than the one that was handed over now: %s "
                  "was replaced; send it anew",
                  job->id, job->source);
        error_about(err, XFER_SIDE_DAEMON, job->source);
        return false;
    }
    if (job->handle_fd < 0)
        job->handle_fd = reply_take_handle(reply);
    return true;
}

void handover_move(struct control *c, struct job *from, struct job *job)
{
    bool waits = !job->queue.ending && (job->queue.reviving || !job_state_finished(job->state));

    if (from->handle_fd >= 0 && waits && job->handle && job->handle_fd < 0 &&
        job->handle_dev == from->handle_dev && job->handle_ino == from->handle_ino &&
        job_is_same_request(from, job)) {
        job->handle_fd = from->handle_fd;
        from->handle_fd = -1;
        wake(c, job);
    }
    handover_close(c, from);
}

void handover_close(struct control *c, struct job *job)
{
    if (job->handle_fd < 0)
        return;
    handles_close(c->handles, job->handle_fd);
    job->handle_fd = -1;
}
