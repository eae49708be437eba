/* SPDX-License-Identifier: MIT
 *
 * A control service on a Unix socket in a directory of its own, with a sender and a link that are
 * played by the test, and its clients, all on one thread: waiting for a client's line turns the
 * loop.
 */
#ifndef XFER_TESTS_UNIT_SERVER_RIG_H
#define XFER_TESTS_UNIT_SERVER_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include <ev.h>

#include "daemon/control/server.h"
#include "daemon/send/source_policy.h"
#include "daemon/work/pool.h"
#include "proto/control_reply.h"
#include "proto/lines.h"
#include "tests/unit/fake_queue_db.h"
#include "tests/unit/fake_sender.h"

struct link {
    struct link_peer peer;
    void (*pong)(void *user, double round_trip);
    void *pong_user;
    int pings;
    uint64_t forgotten[16]; /* jobs of FORGET */
    size_t n_forgotten;
};

const struct link_peer *link_peer(const struct link *link)
{
    return &link->peer;
}

unsigned link_lanes(const struct link *link)
{
    (void)link;
    return 4;
}

uint32_t link_chunk(const struct link *link)
{
    (void)link;
    return 262144;
}

int link_ping(struct link *link, void (*done)(void *user, double round_trip), void *user,
              struct xfer_error *err)
{
    (void)err;
    link->pings++;
    link->pong = done;
    link->pong_user = user;
    return 0;
}

void link_send_forget(struct link *link, const uint64_t *jobs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        link->forgotten[link->n_forgotten++ % 16] = jobs[i];
}

static struct rig {
    struct ev_loop *loop;
    struct conf conf;
    struct link link;
    struct sender sender;
    struct queue *queue;
    struct pool *pool;
    struct source_policy *policy; /* NULL; the test may set it */
    struct server *server;
    int listen_fd;
    char dir[64], socket[96];
    bool stopped;
    const struct server_errands *errands; /* NULL: none */
} rig;

struct peer { /* a client */
    int fd;
    struct lines lines;
    bool eof;
};

static inline void turn(void)
{
    ev_run(rig.loop, EVRUN_NOWAIT);
}

static inline void settle(void)
{
    for (int i = 0; i < 6; i++)
        turn();
}

static inline void start_server(struct link *link)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct queue_options queue_options = {.path = "/nowhere"};
    struct server_options options = {.loop = rig.loop,
                                     .conf = &rig.conf,
                                     .listen_fd = rig.listen_fd,
                                     .link = link,
                                     .sender = &rig.sender,
                                     .pool = rig.pool,
                                     .policy = rig.policy,
                                     .generation = 3,
                                     .errands = rig.errands,
                                     .host = "hosta"};

    rig.queue = queue_open(rig.loop, &queue_options, &err);
    assert_non_null(rig.queue);
    options.queue = rig.queue;
    rig.server = server_create(&options, &err);
    assert_non_null(rig.server);
}

static inline void end_server(void)
{
    server_destroy(rig.server);
    queue_close(rig.queue, 1);
    fake_drop_all(&rig.sender);
}

/* As after the death of the rank: what is recorded is there again. */
static inline void restart_server(struct link *link)
{
    end_server();
    start_server(link);
}

static inline int rig_set_up(void **state)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    (void)state;
    memset(&rig, 0, sizeof rig);
    strcpy(rig.dir, "/tmp/xfer-test-XXXXXX");
    assert_non_null(mkdtemp(rig.dir));
    assert_int_equal(chmod(rig.dir, 0711), 0);
    snprintf(rig.socket, sizeof rig.socket, "%s/s", rig.dir);
    strcpy(addr.sun_path, rig.socket);
    rig.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(rig.listen_fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(chmod(rig.socket, 0666), 0);
    assert_int_equal(listen(rig.listen_fd, 4096), 0);
    struct xfer_error err = XFER_ERROR_INIT;
    rig.loop = ev_loop_new(0);
    rig.pool = pool_create(rig.loop, 4, &err);
    assert_non_null(rig.pool);
    rig.sender.room_max = 2;
    rig.conf.queue_retry_delay = rig.conf.queue_retry_delay_max = 1e6;
    rig.conf.queue_history = 100000;
    rig.link.peer = (struct link_peer){.rank = 1,
                                       .pid = 4711,
                                       .host = "hostb",
                                       .root = "/srv/in",
                                       .free_bytes = 1000,
                                       .total_bytes = 2000};
    start_server(&rig.link);
    return 0;
}

static inline int rig_tear_down(void **state)
{
    (void)state;
    end_server();
    pool_destroy(rig.pool);
    source_policy_destroy(rig.policy);
    fake_db_reset();
    ev_loop_destroy(rig.loop);
    close(rig.listen_fd);
    unlink(rig.socket);
    rmdir(rig.dir);
    return 0;
}

/* ---- clients ---- */

static inline void peer_connect(struct peer *p)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    strcpy(addr.sun_path, rig.socket);
    p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(p->fd >= 0);
    p->eof = false;
    lines_init(&p->lines, 256 * 1024 * 1024);
    assert_int_equal(connect(p->fd, (struct sockaddr *)&addr, sizeof addr), 0);
}

static inline void peer_close(struct peer *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    lines_free(&p->lines);
}

/* Write all, turning the loop while the socket is full. */
static inline void peer_send(struct peer *p, const char *text, size_t len)
{
    int idle = 0;

    while (len > 0) {
        ssize_t n = send(p->fd, text, len, MSG_NOSIGNAL);

        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            assert_true(idle++ < 100000); /* the server has stopped reading for good */
            turn();
            continue;
        }
        idle = 0;
        text += n;
        len -= (size_t)n;
    }
}

static inline void peer_say(struct peer *p, const char *line)
{
    peer_send(p, line, strlen(line));
    peer_send(p, "\n", 1);
}

/* What is there now; false: nothing. */
static inline bool peer_read(struct peer *p)
{
    size_t room;
    char *at = lines_space(&p->lines, 65536, &room);
    assert_non_null(at);
    ssize_t n = recv(p->fd, at, room, 0);

    if (n < 0) {
        if (errno == EAGAIN)
            return false;
        n = 0; /* a reset is an end too */
    }
    if (n == 0)
        p->eof = true;
    lines_added(&p->lines, (size_t)n);
    return true;
}

/* The next line, or NULL at the end of input. Turns the loop until it comes. */
static inline char *peer_line(struct peer *p)
{
    char *line;
    size_t len;

    for (int i = 0; i < 200000; i++) {
        if (lines_next(&p->lines, &line, &len) > 0)
            return line;
        if (p->eof)
            return NULL;
        turn();
        if (!peer_read(p) && i > 10)
            usleep(100);
    }
    fail_msg("no line came");
    return NULL;
}

static inline char *ask(struct peer *p, const char *line)
{
    peer_say(p, line);
    return peer_line(p);
}

/* Nothing comes, however often the loop turns. */
static inline void assert_silent(struct peer *p)
{
    char *line;
    size_t len;

    settle();
    while (!p->eof && peer_read(p))
        ;
    assert_int_equal(lines_next(&p->lines, &line, &len), 0);
}

static inline void assert_has(const char *line, const char *part)
{
    if (!line || !strstr(line, part))
        fail_msg("\"%s\" lacks \"%s\"", line ? line : "(end of input)", part);
}

static inline void parse(const char *line, struct control_incoming *in)
{
    struct xfer_error err = XFER_ERROR_INIT;

    assert_non_null(line);
    if (control_incoming_parse(line, strlen(line), in, &err) < 0)
        fail_msg("%s: %s", err.text, line);
}

/* The job object of a reply; to be freed. */
static inline void parse_job(const char *line, struct control_job *job)
{
    struct control_incoming in;
    struct xfer_error err = XFER_ERROR_INIT;

    parse(line, &in);
    if (in.kind != CONTROL_RESULT)
        fail_msg("no result: %s", line);
    assert_int_equal(control_job_parse(in.result, job, &err), 0);
    control_incoming_free(&in);
}

static inline void assert_state(const char *line, enum job_state state)
{
    struct control_job job;

    parse_job(line, &job);
    assert_int_equal(job.state, state);
    control_job_free(&job);
}

static inline void assert_error(const char *line, enum xfer_code code)
{
    struct control_incoming in;

    parse(line, &in);
    if (in.kind != CONTROL_ERROR || in.error.code != code)
        fail_msg("not %s: %s", error_info(code)->name, line);
    control_incoming_free(&in);
}

static inline int64_t submit(struct peer *p, const char *dest)
{
    char line[256];
    struct control_job job;

    snprintf(line, sizeof line,
             "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/data/"
             "f\",\"dest\":\"%s\"}}",
             dest);
    parse_job(ask(p, line), &job);
    assert_int_equal(job.state, JOB_QUEUED);
    int64_t id = job.job;
    control_job_free(&job);
    return id;
}

/* A call with {"job":N}. */
static inline char *ask_job(struct peer *p, const char *method, int64_t job)
{
    char line[256];

    snprintf(line, sizeof line, "{\"id\":1,\"method\":\"%s\",\"params\":{\"job\":%lld}}", method,
             (long long)job);
    return ask(p, line);
}

static inline void stats(struct peer *p, struct control_stats *out)
{
    struct control_incoming in;
    struct xfer_error err = XFER_ERROR_INIT;

    parse(ask(p, "{\"id\":1,\"method\":\"system.stats\"}"), &in);
    assert_int_equal(in.kind, CONTROL_RESULT);
    assert_int_equal(control_stats_parse(in.result, out, &err), 0);
    control_incoming_free(&in);
}

/* Turns the loop until so many clients are connected. */
static inline void await_clients(struct peer *p, int64_t n)
{
    static struct control_stats s;

    for (int i = 0; i < 1000; i++) {
        stats(p, &s);
        if (s.clients == n)
            return;
    }
    fail_msg("%lld clients, not %lld", (long long)s.clients, (long long)n);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

#endif
