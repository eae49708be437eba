/* SPDX-License-Identifier: MIT
 *
 * The channel between the supervisor and its ranks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/handoff.h"

static int ends[2];

static int make_pair(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends);
}

static int close_pair(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    return 0;
}

static void send_one(const struct handoff_message *m)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (handoff_send(ends[0], m, &err) < 0)
        fail_msg("%s", err.text);
}

/* Raw bytes, with descriptors. */
static void send_raw(const void *bytes, size_t len, const int *fds, size_t n)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(8 * sizeof(int))] = {0};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    if (n > 0) {
        struct cmsghdr *c;

        msg.msg_control = room;
        msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n * sizeof(int));
    }
    assert_int_equal(sendmsg(ends[0], &msg, 0), (ssize_t)len);
}

static void assert_refused(void)
{
    struct handoff_message m;
    struct xfer_error err = XFER_ERROR_INIT;

    assert_int_equal(handoff_receive(ends[1], &m, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
}

/* A pipe whose reading end tells whether every copy of the writing end is closed. */
static void assert_all_closed(int reader)
{
    char byte;

    assert_int_equal(read(reader, &byte, 1), 0);
}

static void a_message_arrives_as_it_was_sent(void **state)
{
    struct handoff_message out = {
        .kind = HANDOFF_READY, .rank = 0, .generation = 7, .pid = 4711, .fd = 99};
    struct handoff_message in;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    strcpy(out.text, "peer here");
    send_one(&out);
    assert_int_equal(handoff_receive(ends[1], &in, &err), 1);
    assert_int_equal(in.kind, HANDOFF_READY);
    assert_int_equal(in.generation, 7);
    assert_int_equal(in.pid, 4711);
    assert_string_equal(in.text, "peer here");
    assert_int_equal(in.fd, -1);
}

static void nothing_there_is_no_error(void **state)
{
    struct handoff_message in;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    assert_int_equal(handoff_receive(ends[1], &in, &err), 0);
}

static void a_listener_brings_its_descriptor(void **state)
{
    struct handoff_message out = {.kind = HANDOFF_LISTENER}, in;
    struct xfer_error err = XFER_ERROR_INIT;
    struct stat sent, received;

    (void)state;
    out.fd = open("/dev/null", O_RDONLY);
    send_one(&out);
    assert_int_equal(handoff_receive(ends[1], &in, &err), 1);
    assert_true(in.fd >= 0 && in.fd != out.fd);
    assert_int_equal(fstat(out.fd, &sent), 0);
    assert_int_equal(fstat(in.fd, &received), 0);
    assert_int_equal(sent.st_ino, received.st_ino);
    assert_int_equal(fcntl(in.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    close(out.fd);
    close(in.fd);
}

static void the_other_end_gone_is_told(void **state)
{
    struct handoff_message m = {.kind = HANDOFF_TICK, .fd = -1};
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    close(ends[0]);
    ends[0] = -1;
    assert_int_equal(handoff_receive(ends[1], &m, &err), -1);
    assert_int_equal(err.code, XFER_IO);
    m.kind = HANDOFF_TICK;
    assert_int_equal(handoff_send(ends[1], &m, &err), -1);
    assert_int_equal(err.code, XFER_IO);
}

static void the_last_words_of_one_who_did_not_read_are_heard(void **state)
{
    struct handoff_message out = {.kind = HANDOFF_FAILED, .fd = -1}, in;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    assert_int_equal(handoff_send(ends[1], &(struct handoff_message){.kind = HANDOFF_STOP}, &err),
                     0);
    strcpy(out.text, "the reason");
    send_one(&out);
    close(ends[0]);
    ends[0] = -1;
    assert_int_equal(handoff_receive(ends[1], &in, &err), 1);
    assert_string_equal(in.text, "the reason");
    assert_int_equal(handoff_receive(ends[1], &in, &err), -1);
    assert_int_equal(err.code, XFER_IO);
}

static void a_reader_who_does_not_read_blocks_nobody(void **state)
{
    struct handoff_message m = {.kind = HANDOFF_TICK, .fd = -1};
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    while (handoff_send(ends[0], &m, &err) == 0)
        continue;
    assert_int_equal(err.code, XFER_TOO_BUSY);
}

static void messages_of_another_size_are_refused(void **state)
{
    struct handoff_message m[2] = {{.kind = HANDOFF_TICK}};

    (void)state;
    send_raw(m, sizeof m[0] - 1, NULL, 0);
    assert_refused();
    send_raw(m, sizeof m[0] + 1, NULL, 0);
    assert_refused();
}

static void unknown_kinds_are_refused(void **state)
{
    struct handoff_message m = {.kind = 0};

    (void)state;
    send_raw(&m, sizeof m, NULL, 0);
    assert_refused();
    m.kind = HANDOFF_KINDS;
    send_raw(&m, sizeof m, NULL, 0);
    assert_refused();
}

static void descriptors_come_with_what_has_one(void **state)
{
    static const uint32_t kinds[] = {HANDOFF_LISTENER, HANDOFF_SETTINGS, HANDOFF_ENDED};

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct handoff_message out = {.kind = kinds[i], .number = INT64_C(1) << 40, .fd = ends[0]};
        struct handoff_message in;
        struct xfer_error err = XFER_ERROR_INIT;

        send_one(&out);
        assert_int_equal(handoff_receive(ends[1], &in, &err), 1);
        assert_true(in.fd >= 0 && in.fd != ends[0]);
        assert_true(in.number == INT64_C(1) << 40);
        close(in.fd);
        send_raw(&(struct handoff_message){.kind = kinds[i]}, sizeof in, NULL, 0);
        assert_refused();
    }
}

static void a_text_without_end_is_refused(void **state)
{
    struct handoff_message m = {.kind = HANDOFF_STATUS};

    (void)state;
    memset(m.text, 'x', sizeof m.text);
    send_raw(&m, sizeof m, NULL, 0);
    assert_refused();
}

static void a_listener_without_descriptor_is_refused(void **state)
{
    struct handoff_message m = {.kind = HANDOFF_LISTENER};

    (void)state;
    send_raw(&m, sizeof m, NULL, 0);
    assert_refused();
}

static void descriptors_that_are_not_due_are_refused_and_closed(void **state)
{
    struct handoff_message m = {.kind = HANDOFF_TICK};
    int p[2], fds[8];

    (void)state;
    assert_int_equal(pipe(p), 0);
    send_raw(&m, sizeof m, &p[1], 1);
    assert_refused();
    m.kind = HANDOFF_LISTENER;
    for (int i = 0; i < 8; i++)
        fds[i] = p[1];
    send_raw(&m, sizeof m, fds, 2);
    assert_refused();
    send_raw(&m, sizeof m, fds, 8);
    assert_refused();
    close(p[1]);
    assert_all_closed(p[0]);
    close(p[0]);
}

static void expecting_gives_the_message(void **state)
{
    struct handoff_message out = {.kind = HANDOFF_STOP, .fd = -1}, in;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    send_one(&out);
    assert_int_equal(handoff_expect(ends[1], HANDOFF_STOP, 10, &in, &err), 0);
}

static void expecting_refuses_another_message(void **state)
{
    struct handoff_message out = {.kind = HANDOFF_STOP, .fd = -1}, in;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    send_one(&out);
    assert_int_equal(handoff_expect(ends[1], HANDOFF_LISTENER, 10, &in, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
}

static void expecting_ends_when_time_is_over(void **state)
{
    struct handoff_message in;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    assert_int_equal(handoff_expect(ends[1], HANDOFF_LISTENER, 0.01, &in, &err), -1);
    assert_int_equal(err.code, XFER_TIMEOUT);
}

static void connecting_registers(void **state)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char dir[] = "/tmp/test_handoff_XXXXXX";
    struct handoff_message in;
    struct xfer_error err = XFER_ERROR_INIT;
    int server, client, accepted;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s/s", dir);
    assert_int_equal(handoff_connect(addr.sun_path, 1, 3, &err), -1);

    server = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(server, 1), 0);
    client = handoff_connect(addr.sun_path, 1, 3, &err);
    assert_true(client >= 0);
    assert_true(fcntl(client, F_GETFL) & O_NONBLOCK);
    assert_int_equal(fcntl(client, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    accepted = accept(server, NULL, NULL);
    assert_int_equal(handoff_expect(accepted, HANDOFF_REGISTER, 10, &in, &err), 0);
    assert_int_equal(in.rank, 1);
    assert_int_equal(in.generation, 3);
    assert_int_equal(in.pid, getpid());
    close(client);
    close(accepted);
    close(server);
    unlink(addr.sun_path);
    rmdir(dir);
}

static void a_path_that_does_not_fit_is_refused(void **state)
{
    char path[200];
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    snprintf(path, sizeof path, "/%0150d", 0);
    assert_int_equal(handoff_connect(path, 0, 1, &err), -1);
    assert_int_equal(err.code, XFER_NAME_TOO_LONG);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_pair, close_pair)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_arrives_as_it_was_sent),
        TEST(nothing_there_is_no_error),
        TEST(a_listener_brings_its_descriptor),
        TEST(the_other_end_gone_is_told),
        TEST(the_last_words_of_one_who_did_not_read_are_heard),
        TEST(a_reader_who_does_not_read_blocks_nobody),
        TEST(messages_of_another_size_are_refused),
        TEST(unknown_kinds_are_refused),
        TEST(descriptors_come_with_what_has_one),
        TEST(a_text_without_end_is_refused),
        TEST(a_listener_without_descriptor_is_refused),
        TEST(descriptors_that_are_not_due_are_refused_and_closed),
        TEST(expecting_gives_the_message),
        TEST(expecting_refuses_another_message),
        TEST(expecting_ends_when_time_is_over),
        TEST(connecting_registers),
        TEST(a_path_that_does_not_fit_is_refused),
    };

    return cmocka_run_group_tests_name("handoff", tests, NULL, NULL);
}
