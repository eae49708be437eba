/* SPDX-License-Identifier: MIT
 *
 * The input of a connection: bytes to lines, lines to requests, requests to whoever runs them.
 * Reading stops while there are requests to run: what a client may have here is one buffer of input
 * and one message.
 */
#include "daemon/control/client_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/control/handles.h"
#include "daemon/control/reply.h"
#include "proto/control_reply.h"

#define READ_SIZE        ((size_t)32 * 1024)
#define REQUESTS_A_SLICE 16

/* ---- descriptors ---- */

static void add_descriptor(struct client *c, int fd)
{
    struct handles *handles = c->group->handles;
    enum xfer_code why = XFER_NO_RESOURCES; /* of one that the system has dropped */

    if (fd >= 0 && (c->n_descriptors == XFER_HANDLES_WAITING_MAX || !handles)) {
        close(fd); /* one line takes one of them: these are of no use */
        return;
    }
    if (fd >= 0 && !handles_admit(handles)) {
        close(fd);
        fd = -1;
        why = XFER_TOO_BUSY;
    }
    if (c->n_descriptors == XFER_HANDLES_WAITING_MAX)
        return;
    c->descriptors[c->n_descriptors].fd = fd;
    c->descriptors[c->n_descriptors].until = c->received;
    c->descriptors[c->n_descriptors].why = why;
    c->n_descriptors++;
}

static void add_descriptors(struct client *c, struct msghdr *msg)
{
    for (struct cmsghdr *m = CMSG_FIRSTHDR(msg); m; m = CMSG_NXTHDR(msg, m)) {
        const unsigned char *data = CMSG_DATA(m);

        if (m->cmsg_level != SOL_SOCKET || m->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; at + sizeof(int) <= m->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
            int fd;

            memcpy(&fd, data + at, sizeof fd);
            add_descriptor(c, fd);
        }
    }
    if (msg->msg_flags & MSG_CTRUNC)
        add_descriptor(c, -1);
}

/* As read(). The system ends a read behind bytes that had descriptors with them, so their last byte
 * is the last one that was read. */
static ssize_t receive(struct client *c, char *space, size_t size)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(XFER_HANDLES_WAITING_MAX * sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = space, .iov_len = size};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof control};
    ssize_t n = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC);

    if (n < 0)
        return n;
    c->received += (uint64_t)n;
    add_descriptors(c, &msg);
    return n;
}

/* Those of bytes before that one. */
static void drop_descriptors(struct client *c, uint64_t position)
{
    unsigned n = 0;

    while (n < c->n_descriptors && c->descriptors[n].until <= position) {
        if (c->descriptors[n].fd >= 0)
            handles_close(c->group->handles, c->descriptors[n].fd);
        n++;
    }
    c->n_descriptors -= n;
    memmove(c->descriptors, c->descriptors + n, c->n_descriptors * sizeof *c->descriptors);
}

void client_input_drop_descriptors(struct client *c)
{
    drop_descriptors(c, UINT64_MAX);
}

/* The end of the line that was cut off last. */
static uint64_t position(const struct client *c)
{
    return c->received - lines_pending(&c->lines);
}

int client_take_descriptor(struct client *c, const char *parameter, struct xfer_error *err)
{
    int fd;

    if (c->batch)
        return error_set(err, XFER_INVALID_PARAMS, "%s: not in a batch", parameter);
    if (c->n_descriptors == 0 || c->descriptors[0].until > position(c))
        return error_set(err, XFER_INVALID_PARAMS,
                         "%s: no descriptor came with the bytes of this line", parameter);
    fd = c->descriptors[0].fd;
    if (fd < 0 && c->descriptors[0].why == XFER_TOO_BUSY)
        return error_set(err, XFER_TOO_BUSY, "as many files as possible have been handed over");
    if (fd < 0)
        return error_set(err, XFER_NO_RESOURCES,
                         "the daemon has no descriptor free for the file that was handed over");
    c->n_descriptors--;
    memmove(c->descriptors, c->descriptors + 1, c->n_descriptors * sizeof *c->descriptors);
    return fd;
}

/* ---- bytes ---- */

static void throw_away(struct client *c)
{
    char buf[16 * 1024];
    ssize_t n = read(c->fd, buf, sizeof buf);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        c->thrown_away += (size_t)n;
    if (n <= 0 || c->thrown_away > XFER_THROWN_AWAY_MAX) {
        c->eof = true;
        ev_io_stop(c->group->loop, &c->in);
        clients_want_flush(c->group, &c->links);
    }
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct client *c = w->data;
    size_t room;

    (void)revents;
    if (c->refused) {
        throw_away(c);
        return;
    }
    char *space = lines_space(&c->lines, READ_SIZE, &room);
    if (!space) {
        client_close(c);
        ev_io_stop(loop, w);
        return;
    }
    ssize_t n = receive(c, space, room < READ_SIZE ? room : READ_SIZE);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0) {
        lines_added(&c->lines, (size_t)n);
    } else {
        c->eof = true;
        if (n < 0)
            client_turn_mute(c);
    }
    ev_io_stop(loop, w);
    clients_want_work(c->group, &c->links);
}

static void on_patience(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    client_close(w->data);
}

/* ---- requests ---- */

static void refuse_line(struct client *c)
{
    struct ev_loop *loop = c->group->loop;
    struct xfer_error err = XFER_ERROR_INIT;

    error_set(&err, XFER_LINE_TOO_LONG, "a request line may have %d bytes", XFER_LINE_MAX);
    char *text = control_reply_error("null", &err, 0);
    if (!text) {
        client_close(c);
        return;
    }
    client_write_line(c, text);
    free(text);
    c->refused = true;
    client_input_drop_descriptors(c);
    client_drop_replies(c);
    lines_free(&c->lines);
    ev_now_update(loop);
    ev_timer_set(&c->patience, XFER_THROWN_AWAY_SECONDS, 0.);
    ev_timer_start(loop, &c->patience);
    if (!c->eof)
        ev_io_start(loop, &c->in);
    clients_want_flush(c->group, &c->links);
}

/* The last line counts without its LF too. */
static bool end_last_line(struct client *c)
{
    size_t room;
    char *space = lines_space(&c->lines, 1, &room);

    if (!space)
        return false;
    *space = '\n';
    lines_added(&c->lines, 1);
    return true;
}

static bool is_blank(const char *line, size_t len)
{
    return strspn(line, " \t\r") == len;
}

static bool next_message(struct client *c)
{
    char *line;
    size_t len;
    int rc;

    do {
        drop_descriptors(c, position(c));
        rc = lines_next(&c->lines, &line, &len);
        if (rc == 0 && c->eof && lines_pending(&c->lines) > 0 && end_last_line(c))
            rc = lines_next(&c->lines, &line, &len);
    } while (rc > 0 && is_blank(line, len));
    if (rc < 0)
        refuse_line(c);
    if (rc <= 0)
        return false;

    c->next = 0;
    c->message = control_message_parse(line, len);
    if (c->message && c->message->batch)
        c->batch = batch_create(c);
    if (!c->message || (c->message->batch && !c->batch)) {
        client_close(c);
        return false;
    }
    return true;
}

void client_input_end_message(struct client *c)
{
    struct batch *b = c->batch;

    control_message_free(c->message);
    c->message = NULL;
    c->batch = NULL;
    drop_descriptors(c, position(c));
    batch_release(b);
}

static void run_request(struct client *c)
{
    const struct control_request *request = &c->message->requests[c->next++];
    const char *id = request->notification ? NULL : request->id;
    struct reply *reply = reply_create(c, &c->replies, c->batch, id);
    struct xfer_error err = XFER_ERROR_INIT;

    if (!reply) {
        client_close(c);
        return;
    }
    c->owed++;
    c->group->owed++;
    if (c->owed > XFER_WAITS_MAX || c->group->owed > XFER_WAITS_ALL_MAX) {
        error_set(&err, XFER_TOO_BUSY, "too many replies are owed");
        reply_error(reply, &err, 0);
    } else if (c->batch && batch_len(c->batch) > XFER_BATCH_REPLY_MAX) {
        error_set(&err, XFER_TOO_BUSY, "the replies of this batch are too long");
        reply_error(reply, &err, 0);
    } else {
        c->group->events.request(c->group->user, reply, request);
    }
}

bool client_work(struct client_links *links)
{
    struct client *c = of_links(links);

    for (int i = 0; i < REQUESTS_A_SLICE; i++) {
        if (c->closing || c->choked || c->refused || c->held)
            return false;
        if (!c->message && !next_message(c)) {
            if (c->closing || c->refused)
                return false;
            if (c->eof)
                clients_want_flush(c->group, links);
            else
                ev_io_start(c->group->loop, &c->in);
            return false;
        }
        if (c->next < c->message->n)
            run_request(c);
        if (c->next >= c->message->n)
            client_input_end_message(c);
    }
    return true;
}

void client_input_init(struct client *c)
{
    lines_init(&c->lines, XFER_LINE_MAX);
    ev_io_init(&c->in, on_readable, c->fd, EV_READ);
    ev_init(&c->patience, on_patience);
    c->in.data = c->patience.data = c;
}
