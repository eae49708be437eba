/* SPDX-License-Identifier: MIT
 *
 * A connection is, at any moment, read (input watcher on), on the list of those with requests to
 * run, or choked by its own output; besides, it may owe replies and have output to write. All ends
 * of its life meet in client_flush(), which alone says that it is done with.
 */
#include "daemon/control/client.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/control/admins.h"
#include "daemon/control/client_impl.h"
#include "daemon/control/reply.h"
#include "daemon/log.h"

#define OUTPUT_LOW (XFER_OUTPUT_HIGH / 2)

uid_t client_uid(const struct client *c)
{
    return c->uid;
}

void client_set_admin(struct client_links *links, const struct admins *admins)
{
    struct client *c = (struct client *)links;
    struct xfer_error err = XFER_ERROR_INIT;
    uid_t uid;

    if (admins_identify(admins, c->fd, &uid, &c->admin, &err) < 0)
        c->admin = false;
}

int client_fd(const struct client *c)
{
    return c->fd;
}

bool client_is_admin(const struct client *c)
{
    return c->admin;
}

bool client_is_mute(const struct client *c)
{
    return c->mute;
}

struct ev_loop *client_loop(const struct client *c)
{
    return c->group->loop;
}

struct subscriber *client_subscriber(const struct client *c)
{
    return c->subscriber;
}

void client_set_subscriber(struct client *c, struct subscriber *s)
{
    c->subscriber = s;
}

struct handles *client_handles(const struct client *c)
{
    return c->group->handles;
}

void client_hold(struct client *c)
{
    c->held = true;
}

void client_release(struct client *c)
{
    c->held = false;
    clients_want_work(c->group, &c->links);
}

size_t client_unsent(const struct client *c)
{
    return outbuf_len(&c->output);
}

void client_close(struct client *c)
{
    c->closing = true;
    clients_want_flush(c->group, &c->links);
}

void client_answered(struct client *c)
{
    c->owed--;
    c->group->owed--;
    clients_want_flush(c->group, &c->links);
}

static void drop_output(struct client *c)
{
    c->group->unsent -= outbuf_len(&c->output);
    outbuf_free(&c->output);
}

void client_write(struct client *c, const char *data, size_t len)
{
    if (c->closing || c->mute || c->refused)
        return;
    if (outbuf_add(&c->output, data, len) < 0) {
        client_close(c);
        return;
    }
    c->group->unsent += len;
    if (outbuf_len(&c->output) >= XFER_OUTPUT_HIGH) {
        c->choked = true;
        if (c->group->unsent > XFER_OUTPUT_ALL_MAX) {
            log_warning("a client of uid %u is cut off: unsent replies fill the memory",
                        (unsigned)c->uid);
            client_close(c);
            return;
        }
    }
    clients_want_flush(c->group, &c->links);
}

void client_write_line(struct client *c, const char *text)
{
    client_write(c, text, strlen(text));
    client_write(c, "\n", 1);
}

void client_drop_replies(struct client *c)
{
    while (!list_empty(&c->replies))
        reply_drop(reply_of_owner(c->replies.next));
}

void client_fail(struct client_links *links, const struct xfer_error *why)
{
    struct client *c = of_links(links);

    while (!list_empty(&c->replies)) {
        struct reply *r = reply_of_owner(c->replies.next);

        reply_error(r, why, reply_job(r));
    }
}

void client_turn_mute(struct client *c)
{
    c->mute = true;
    c->choked = false;
    drop_output(c);
    ev_io_stop(c->group->loop, &c->out);
    clients_want_work(c->group, &c->links);
}

void client_gone(struct client_links *links)
{
    client_close(of_links(links));
}

static void on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct client *c = w->data;

    (void)loop;
    (void)revents;
    clients_want_flush(c->group, &c->links);
}

static bool write_some(struct client *c)
{
    size_t before = outbuf_len(&c->output);
    int rc = outbuf_write(&c->output, c->fd);

    c->group->unsent -= before - outbuf_len(&c->output);
    return rc == 0;
}

static bool flush_refused(struct client *c)
{
    if (outbuf_len(&c->output) > 0)
        return false;
    if (!c->shut) {
        shutdown(c->fd, SHUT_WR);
        c->shut = true;
    }
    return c->eof;
}

static bool all_run(const struct client *c)
{
    return c->eof && !c->held && !c->message && list_empty(&c->links.work) &&
           lines_pending(&c->lines) == 0;
}

bool client_flush(struct client_links *links)
{
    struct client *c = of_links(links);
    struct clients *g = c->group;

    if (c->closing)
        return true;
    if (outbuf_len(&c->output) > 0 && !write_some(c)) {
        if (c->refused)
            return true;
        client_turn_mute(c);
    }
    if (outbuf_len(&c->output) > 0)
        ev_io_start(g->loop, &c->out);
    else
        ev_io_stop(g->loop, &c->out);
    if (c->refused)
        return flush_refused(c);
    if (outbuf_len(&c->output) <= OUTPUT_LOW) {
        if (c->choked) {
            c->choked = false;
            clients_want_work(g, links);
        }
        g->events.drained(g->user, c);
    }
    if (!all_run(c))
        return false;
    if (c->mute || (c->owed == 0 && outbuf_len(&c->output) == 0))
        return true;
    if (!c->watched)
        c->watched = hangup_watch(g->hangup, c->fd, links) == 0;
    return false;
}

struct client_links *client_create(struct clients *g, int fd, uid_t uid, bool admin)
{
    struct client *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    list_init(&c->links.all);
    list_init(&c->links.work);
    list_init(&c->links.flush);
    list_init(&c->replies);
    c->group = g;
    c->fd = fd;
    c->uid = uid;
    c->admin = admin;
    client_input_init(c);
    ev_io_init(&c->out, on_writable, fd, EV_WRITE);
    c->out.data = c;
    ev_io_start(g->loop, &c->in);
    return &c->links;
}

void client_destroy(struct client_links *links)
{
    struct client *c = of_links(links);
    struct clients *g = c->group;

    c->closing = true;
    g->events.closed(g->user, c);
    client_drop_replies(c);
    if (c->message)
        client_input_end_message(c);
    client_input_drop_descriptors(c);
    if (c->watched)
        hangup_forget(g->hangup, c->fd);
    ev_io_stop(g->loop, &c->in);
    ev_io_stop(g->loop, &c->out);
    ev_timer_stop(g->loop, &c->patience);
    drop_output(c);
    lines_free(&c->lines);
    list_remove(&links->all);
    list_remove(&links->work);
    list_remove(&links->flush);
    close(c->fd);
    free(c);
}
