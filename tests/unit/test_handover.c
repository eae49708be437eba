/* SPDX-License-Identifier: MIT
 *
 * Files that come over the socket as open descriptors: whose they are, what of them is taken, and
 * that none is ever left open.
 */
#include "tests/unit/server_rig.h"

#include <dirent.h>
#include <sys/resource.h>

#include "daemon/control/handles.h"

static char top[64];
static int before; /* descriptors of this process at the start of the test */

static int count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static char *in_top(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", top, name);
    return path;
}

static void make(const char *name)
{
    int fd = open(in_top(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, name, strlen(name)), strlen(name));
    close(fd);
}

static int set_up(void **state)
{
    strcpy(top, "/tmp/xfer-test-XXXXXX");
    assert_non_null(mkdtemp(top));
    make("f");
    make("g");
    int rc = rig_set_up(state);
    before = count_descriptors();
    return rc;
}

static int tear_down(void **state)
{
    char command[128];

    rig_tear_down(state);
    snprintf(command, sizeof command, "rm -rf %s", top);
    return system(command);
}

/* Turns the loop until so many more are open than at the start. */
static void await_descriptors(int more)
{
    for (int i = 0; i < 20000; i++) {
        if (count_descriptors() == before + more)
            return;
        turn();
        usleep(100);
    }
    fail_msg("%d descriptors more, not %d", count_descriptors() - before, more);
}

/* Some bytes, and descriptors with them. */
static void say_with(struct peer *p, const char *text, size_t len, const int *fds, unsigned n)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(32 * sizeof(int))];
    } control = {.space = {0}};
    struct iovec iov = {(char *)text, len};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = CMSG_SPACE(n * sizeof(int))};
    struct cmsghdr *m = CMSG_FIRSTHDR(&msg);

    m->cmsg_level = SOL_SOCKET;
    m->cmsg_type = SCM_RIGHTS;
    m->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(m), fds, n * sizeof(int));
    assert_int_equal(sendmsg(p->fd, &msg, MSG_NOSIGNAL), len);
}

/* A line with that file. */
static void say_with_file(struct peer *p, const char *line, const char *name, int flags)
{
    int fd = open(name, flags | O_CLOEXEC);

    assert_true(fd >= 0);
    say_with(p, line, strlen(line), &fd, 1);
    close(fd);
}

/* source and more: of the parameters. */
static const char *submission(const char *source, const char *more)
{
    static char lines[4][512];
    static unsigned next;
    char *line = lines[next++ % 4];

    snprintf(line, sizeof lines[0],
             "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"%s\","
             "\"source_fd\":true%s}}\n",
             source, more);
    return line;
}

static int64_t submit_file(struct peer *p, const char *name, const char *more)
{
    struct control_job job;

    say_with_file(p, submission(in_top(name), more), in_top(name), O_RDONLY);
    parse_job(peer_line(p), &job);
    assert_true(job.handle);
    int64_t id = job.job;
    control_job_free(&job);
    return id;
}

static void assert_contents(int fd, const char *wanted)
{
    char bytes[64] = "";

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, bytes, sizeof bytes - 1, 0), strlen(wanted));
    assert_string_equal(bytes, wanted);
}

static struct send *await_send(uint64_t job)
{
    for (int i = 0; i < 20000 && !fake_find(&rig.sender, job); i++) {
        turn();
        usleep(100);
    }
    struct send *send = fake_find(&rig.sender, job);
    assert_non_null(send);
    return send;
}

/* As a source does whose descriptor is gone and whose path leads nowhere. */
static void lose(uint64_t job)
{
    struct xfer_error err = XFER_ERROR_INIT;

    await_send(job);
    error_set(&err, XFER_SOURCE_HANDLE_LOST, "lost");
    fake_end(&rig.sender, job, 0, &err);
    settle();
}

static const char *retry_of(int64_t job)
{
    static char line[256];

    snprintf(line, sizeof line,
             "{\"id\":1,\"method\":\"transfer.retry\",\"params\":{\"job\":%lld,\"source_fd\":true}}"
             "\n",
             (long long)job);
    return line;
}

/* ---- what is taken ---- */

static void a_file_that_came_with_a_submission_is_what_its_job_sends(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    int64_t job = submit_file(&p, "f", "");
    struct send *send = await_send((uint64_t)job);
    assert_true(send->handle);
    assert_contents(send->handle_fd, "f");
    fake_end(&rig.sender, (uint64_t)job, 1, NULL);
    await_descriptors(2); /* both ends of the connection */
    peer_close(&p);
    await_descriptors(0);
}

static void without_a_descriptor_source_fd_is_refused(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    peer_send(&p, submission("/f", ""), strlen(submission("/f", "")));
    assert_error(peer_line(&p), XFER_INVALID_PARAMS);
    assert_error(ask(&p, "{\"id\":1,\"method\":\"transfer.retry\",\"params\":{\"job\":1,\"source_"
                         "fd\":true}}"),
                 XFER_INVALID_PARAMS);
    peer_close(&p);
    await_descriptors(0);
}

static void what_is_no_file_to_be_read_is_refused(void **state)
{
    struct peer p;
    int fds[2];

    (void)state;
    peer_connect(&p);
    say_with_file(&p, submission("/f", ""), in_top("f"), O_WRONLY);
    assert_error(peer_line(&p), XFER_INVALID_PARAMS);
    say_with_file(&p, submission("/f", ""), in_top("f"), O_PATH);
    assert_error(peer_line(&p), XFER_INVALID_PARAMS);
    say_with_file(&p, submission("/f", ""), top, O_RDONLY);
    assert_error(peer_line(&p), XFER_IS_DIRECTORY);
    assert_int_equal(pipe(fds), 0);
    say_with(&p, submission("/f", ""), strlen(submission("/f", "")), fds, 1);
    assert_error(peer_line(&p), XFER_NOT_REGULAR);
    close(fds[0]);
    close(fds[1]);
    say_with_file(&p, submission("/f", ""), "/dev/null", O_RDONLY);
    assert_error(peer_line(&p), XFER_NOT_REGULAR);
    await_descriptors(2);
    submit_file(&p, "f", "");
    peer_close(&p);
}

static void what_the_policy_forbids_is_refused(void **state)
{
    struct source_policy_options options = {.roots = "/nowhere", .config = in_top("g")};
    struct xfer_error err = XFER_ERROR_INIT;
    struct peer p;

    (void)state;
    end_server();
    rig.policy = source_policy_create(&options, &err);
    assert_non_null(rig.policy);
    start_server(&rig.link);
    peer_connect(&p);
    say_with_file(&p, submission("/g", ""), in_top("g"), O_RDONLY);
    assert_error(peer_line(&p), XFER_PERMISSION_DENIED);
    say_with_file(&p, submission("/g", ""), "/proc/self/status", O_RDONLY);
    assert_error(peer_line(&p), XFER_PERMISSION_DENIED);
    submit_file(&p, "f", ""); /* though no root has it */
    peer_close(&p);
}

static void a_refused_submission_takes_no_file(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    say_with_file(&p, submission("/f", ",\"dest\":\"/abs\""), in_top("f"), O_RDONLY);
    assert_error(peer_line(&p), XFER_INVALID_DESTINATION);
    say_with_file(&p, submission("/f", ",\"nonsense\":1"), in_top("f"), O_RDONLY);
    assert_error(peer_line(&p), XFER_INVALID_PARAMS);
    say_with_file(&p, "{\n", in_top("f"), O_RDONLY);
    assert_error(peer_line(&p), XFER_PARSE_ERROR);
    await_descriptors(2);
    peer_close(&p);
}

static void a_batch_hands_over_nothing(void **state)
{
    char line[600];
    struct peer p;

    (void)state;
    peer_connect(&p);
    snprintf(line, sizeof line, "[%.*s]\n", (int)strlen(submission("/f", "")) - 1,
             submission("/f", ""));
    say_with_file(&p, line, in_top("f"), O_RDONLY);
    assert_has(peer_line(&p), "-32602");
    await_descriptors(2);
    peer_close(&p);
}

/* ---- whose it is ---- */

static void the_file_of_a_line_that_was_refused_is_not_the_next_ones(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    say_with_file(&p, "{\n", in_top("f"), O_RDONLY);
    peer_send(&p, submission("/g", ""), strlen(submission("/g", "")));
    assert_error(peer_line(&p), XFER_PARSE_ERROR);
    assert_error(peer_line(&p), XFER_INVALID_PARAMS);
    say_with_file(&p, "\n", in_top("f"), O_RDONLY); /* a blank line has one, too */
    peer_send(&p, submission("/g", ""), strlen(submission("/g", "")));
    assert_error(peer_line(&p), XFER_INVALID_PARAMS);
    await_descriptors(2);
    peer_close(&p);
}

static void a_file_that_nobody_asked_for_is_closed(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    say_with_file(&p, "{\"id\":1,\"method\":\"events.unsubscribe\"}\n", in_top("f"), O_RDONLY);
    assert_has(peer_line(&p), "result");
    await_descriptors(2);
    peer_close(&p);
}

static void of_several_files_with_one_line_the_first_counts(void **state)
{
    int fds[32];
    struct peer p;

    (void)state;
    peer_connect(&p);
    fds[0] = open(in_top("f"), O_RDONLY | O_CLOEXEC);
    for (int i = 1; i < 16; i++)
        fds[i] = open(in_top("g"), O_RDONLY | O_CLOEXEC);
    say_with(&p, submission("/f", ""), strlen(submission("/f", "")), fds, 16);
    for (int i = 0; i < 16; i++)
        close(fds[i]);
    assert_state(peer_line(&p), JOB_QUEUED);
    assert_contents(await_send(1)->handle_fd, "f");
    await_descriptors(3);
    peer_close(&p);
}

static void more_files_with_one_line_than_may_wait_are_closed(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    for (int i = 0; i < 3 * XFER_HANDLES_WAITING_MAX; i++) {
        say_with_file(&p, " ", in_top(i == 0 ? "f" : "g"), O_RDONLY);
        settle();
    }
    await_descriptors(2 + XFER_HANDLES_WAITING_MAX);
    peer_send(&p, submission("/f", ""), strlen(submission("/f", "")));
    assert_state(peer_line(&p), JOB_QUEUED);
    assert_contents(await_send(1)->handle_fd, "f");
    await_descriptors(3);
    peer_close(&p);
}

static void lines_that_come_together_have_each_its_own_file(void **state)
{
    struct peer p;

    (void)state;
    rig.sender.room_max = 100;
    peer_connect(&p);
    for (int i = 0; i < 20; i++) {
        char dest[32];

        snprintf(dest, sizeof dest, ",\"dest\":\"d%d\"", i);
        say_with_file(&p, submission("/f", dest), in_top(i % 2 ? "g" : "f"), O_RDONLY);
        if (i % 3 == 0)
            peer_say(&p, "{\"id\":2,\"method\":\"events.unsubscribe\"}");
    }
    for (int i = 0; i < 27; i++)
        assert_has(peer_line(&p), "result");
    for (int i = 0; i < 20; i++)
        assert_contents(await_send((uint64_t)i + 1)->handle_fd, i % 2 ? "g" : "f");
    peer_close(&p);
}

static void a_file_may_come_with_any_part_of_its_line(void **state)
{
    const char *line = submission("/f", "");
    size_t len = strlen(line);
    struct peer p;

    (void)state;
    rig.sender.room_max = 100;
    peer_connect(&p);
    for (size_t at = 0; at < len; at += len / 3) {
        int fd = open(in_top("f"), O_RDONLY | O_CLOEXEC);

        peer_send(&p, line, at);
        settle();
        say_with(&p, line + at, 1, &fd, 1);
        close(fd);
        settle();
        peer_send(&p, line + at + 1, len - at - 1);
        assert_state(peer_line(&p), JOB_QUEUED);
    }
    peer_close(&p);
}

/* Lines of all kinds in pieces of all sizes, each with its descriptor at one of its pieces: a job
 * has the file of its own line, or the line is refused. */
static void however_the_bytes_are_cut_no_line_gets_the_file_of_another(void **state)
{
    static const char *const others[] = {"{\n", "\n", "{\"id\":1,\"method\":\"no.such\"}\n", "[]\n",
                                         "{\"id\":1,\"method\":\"events.unsubscribe\"}\n"};
    unsigned random = 1;
    int64_t jobs = 0;
    struct peer p;

    (void)state;
    rig.sender.room_max = FAKE_STARTS_MAX;
    peer_connect(&p);
    for (int round = 0; round < 400; round++) {
        char dest[32], name = "fg"[round % 2];
        const char *line = others[round % 5];
        bool submits = rand_r(&random) % 3 > 0, answered = true;
        int fd = open(in_top(name == 'f' ? "f" : "g"), O_RDONLY | O_CLOEXEC);

        snprintf(dest, sizeof dest, ",\"dest\":\"d%d\"", round);
        if (submits)
            line = submission(name == 'f' ? "/f" : "/g", dest);
        else
            answered = round % 5 != 1;
        size_t len = strlen(line), with = rand_r(&random) % len;
        for (size_t at = 0, n; at < len; at += n) {
            n = at == with ? 1 : 1 + rand_r(&random) % (at < with ? with - at : len - at);
            if (at == with)
                say_with(&p, line + at, n, &fd, 1);
            else
                peer_send(&p, line + at, n);
            if (rand_r(&random) % 2)
                turn();
        }
        close(fd);
        if (!answered)
            continue;
        const char *answer = peer_line(&p);
        if (!submits)
            continue;
        assert_state(answer, JOB_QUEUED);
        jobs++;
        const struct send *send = await_send((uint64_t)jobs);
        assert_contents(send->handle_fd, name == 'f' ? "f" : "g");
        fake_end(&rig.sender, (uint64_t)jobs, 1, NULL);
    }
    await_descriptors(2);
    peer_close(&p);
}

static void what_comes_after_a_file_does_not_overtake_it(void **state)
{
    struct control_job job;
    struct peer p;

    (void)state;
    peer_connect(&p);
    say_with_file(&p, submission("/f", ",\"dest\":\"a\""), in_top("f"), O_RDONLY);
    peer_say(&p, "{\"id\":2,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/g\"}}");
    parse_job(peer_line(&p), &job);
    assert_int_equal(job.job, 1);
    assert_string_equal(job.dest, "a");
    control_job_free(&job);
    parse_job(peer_line(&p), &job);
    assert_int_equal(job.job, 2);
    assert_false(job.handle);
    control_job_free(&job);
    peer_close(&p);
}

/* ---- ends ---- */

static void the_files_of_a_client_that_goes_are_closed(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    say_with_file(&p, "{\"id\":1,", in_top("f"), O_RDONLY);
    await_descriptors(3);
    peer_close(&p);
    await_descriptors(0);
}

static void what_a_client_has_handed_over_and_goes_is_sent(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    say_with_file(&p, submission("/f", ""), in_top("f"), O_RDONLY);
    shutdown(p.fd, SHUT_WR);
    assert_state(peer_line(&p), JOB_QUEUED);
    assert_contents(await_send(1)->handle_fd, "f");
    peer_close(&p);
    fake_end(&rig.sender, 1, 1, NULL);
    await_descriptors(0);
}

static void a_server_that_ends_closes_them(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    for (int i = 0; i < 5; i++)
        submit_file(&p, "f", "");
    say_with_file(&p, submission("/f", ""), in_top("f"), O_RDONLY); /* not looked at yet */
    turn();
    restart_server(&rig.link);
    peer_close(&p);
    await_descriptors(0);
}

static void a_cancelled_job_has_none(void **state)
{
    struct peer p;

    (void)state;
    rig.sender.room_max = 0;
    peer_connect(&p);
    int64_t job = submit_file(&p, "f", "");
    await_descriptors(3);
    assert_state(ask_job(&p, "transfer.cancel", job), JOB_CANCELLED);
    await_descriptors(2);
    peer_close(&p);
}

static void a_key_that_was_used_takes_none(void **state)
{
    struct peer p;

    (void)state;
    rig.sender.room_max = 0;
    peer_connect(&p);
    int64_t job = submit_file(&p, "f", ",\"key\":\"k\"");
    assert_int_equal(submit_file(&p, "f", ",\"key\":\"k\""), job);
    await_descriptors(3);
    peer_close(&p);
}

static void a_descriptor_that_could_not_be_received_is_told(void **state)
{
    const char *preloaded = getenv("LD_PRELOAD");
    struct rlimit limit, low;
    struct peer p;

    (void)state;
    if (preloaded && strstr(preloaded, "vgpreload")) /* the kernel knows nothing of its limit */
        skip();
    peer_connect(&p);
    await_clients(&p, 1);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int fd = open(in_top("f"), O_RDONLY | O_CLOEXEC), next = dup(fd);
    close(next);
    low = (struct rlimit){(rlim_t)next, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    say_with(&p, submission("/f", ""), strlen(submission("/f", "")), &fd, 1);
    char *line = peer_line(&p);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    close(fd);
    assert_error(line, XFER_NO_RESOURCES);
    submit_file(&p, "f", "");
    peer_close(&p);
}

static void there_are_never_more_than_may_be(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct handles *h = handles_create(rig.pool, NULL, 2, &err);

    (void)state;
    assert_true(handles_admit(h));
    assert_true(handles_admit(h));
    assert_false(handles_admit(h));
    handles_close(h, dup(0));
    for (int i = 0; i < 20000 && handles_count(h) > 1; i++) {
        turn();
        usleep(100);
    }
    assert_true(handles_admit(h));
    handles_destroy(h);
}

/* ---- a restart ---- */

static void assert_waits_for_its_file(struct peer *p, int64_t id)
{
    struct control_job job;

    parse_job(ask_job(p, "transfer.status", id), &job);
    assert_int_equal(job.state, JOB_QUEUED);
    assert_non_null(job.reason);
    assert_non_null(strstr(job.reason, "handed over again"));
    assert_true(job.handle);
    control_job_free(&job);
}

static int64_t lose_by_restart(struct peer *p, const char *more)
{
    peer_connect(p);
    int64_t job = submit_file(p, "f", more);
    restart_server(&rig.link);
    peer_close(p);
    peer_connect(p);
    assert_int_equal(await_send((uint64_t)job)->handle_fd, -1);
    lose((uint64_t)job);
    assert_waits_for_its_file(p, job);
    return job;
}

static void a_job_whose_file_was_lost_goes_on_when_it_is_handed_over_again(void **state)
{
    struct peer p;

    (void)state;
    int64_t job = lose_by_restart(&p, "");
    say_with_file(&p, retry_of(job), in_top("f"), O_RDONLY);
    assert_has(peer_line(&p), "\"result\"");
    assert_contents(await_send((uint64_t)job)->handle_fd, "f");
    fake_end(&rig.sender, (uint64_t)job, 1, NULL);
    await_descriptors(2);
    peer_close(&p);
}

static void another_file_is_not_taken_for_it(void **state)
{
    struct peer p;

    (void)state;
    int64_t job = lose_by_restart(&p, "");
    say_with_file(&p, retry_of(job), in_top("g"), O_RDONLY);
    assert_error(peer_line(&p), XFER_SOURCE_CHANGED);
    assert_waits_for_its_file(&p, job);
    await_descriptors(2);
    peer_close(&p);
}

static void the_same_submission_again_hands_it_over_again(void **state)
{
    struct peer p;

    (void)state;
    int64_t job = lose_by_restart(&p, ",\"key\":\"k\"");
    assert_int_equal(submit_file(&p, "f", ",\"key\":\"k\""), job);
    assert_contents(await_send((uint64_t)job)->handle_fd, "f");
    fake_end(&rig.sender, (uint64_t)job, 1, NULL);
    await_descriptors(2);
    peer_close(&p);
}

static void handed_over_while_it_is_being_looked_for_it_goes_on(void **state)
{
    struct peer p;

    (void)state;
    peer_connect(&p);
    int64_t job = submit_file(&p, "f", ",\"key\":\"k\"");
    restart_server(&rig.link);
    peer_close(&p);
    peer_connect(&p);
    await_send((uint64_t)job); /* by its path */
    assert_int_equal(submit_file(&p, "f", ",\"key\":\"k\""), job);
    lose((uint64_t)job);
    assert_contents(await_send((uint64_t)job)->handle_fd, "f");
    peer_close(&p);
}

static void a_failed_one_is_retried_with_its_file(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct peer p;

    (void)state;
    peer_connect(&p);
    int64_t job = submit_file(&p, "f", ",\"retries\":0");
    await_send((uint64_t)job);
    error_set(&err, XFER_PERMISSION_DENIED, "no");
    fake_end(&rig.sender, (uint64_t)job, 0, &err);
    await_descriptors(2);
    say_with_file(&p, retry_of(job), in_top("g"), O_RDONLY);
    assert_error(peer_line(&p), XFER_SOURCE_CHANGED);
    await_descriptors(2);
    say_with_file(&p, retry_of(job), in_top("f"), O_RDONLY);
    assert_state(peer_line(&p), JOB_QUEUED);
    assert_contents(await_send((uint64_t)job)->handle_fd, "f");
    fake_end(&rig.sender, (uint64_t)job, 1, NULL);
    await_descriptors(2);
    say_with_file(&p, retry_of(job), in_top("f"), O_RDONLY);
    assert_error(peer_line(&p), XFER_INVALID_PARAMS); /* it is done */
    await_descriptors(2);
    peer_close(&p);
}

static void a_job_that_goes_by_its_path_takes_no_file(void **state)
{
    struct peer p;

    (void)state;
    rig.sender.room_max = 0;
    peer_connect(&p);
    int64_t job = submit(&p, "a");
    say_with_file(&p, retry_of(job), in_top("f"), O_RDONLY);
    assert_error(peer_line(&p), XFER_INVALID_PARAMS);
    say_with_file(&p, retry_of(99), in_top("f"), O_RDONLY);
    assert_error(peer_line(&p), XFER_NO_SUCH_JOB);
    await_descriptors(2);
    peer_close(&p);
}

#define TEST_OF_FILES(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF_FILES(a_file_that_came_with_a_submission_is_what_its_job_sends),
        TEST_OF_FILES(without_a_descriptor_source_fd_is_refused),
        TEST_OF_FILES(what_is_no_file_to_be_read_is_refused),
        TEST_OF_FILES(what_the_policy_forbids_is_refused),
        TEST_OF_FILES(a_refused_submission_takes_no_file),
        TEST_OF_FILES(a_batch_hands_over_nothing),
        TEST_OF_FILES(the_file_of_a_line_that_was_refused_is_not_the_next_ones),
        TEST_OF_FILES(a_file_that_nobody_asked_for_is_closed),
        TEST_OF_FILES(of_several_files_with_one_line_the_first_counts),
        TEST_OF_FILES(more_files_with_one_line_than_may_wait_are_closed),
        TEST_OF_FILES(lines_that_come_together_have_each_its_own_file),
        TEST_OF_FILES(a_file_may_come_with_any_part_of_its_line),
        TEST_OF_FILES(however_the_bytes_are_cut_no_line_gets_the_file_of_another),
        TEST_OF_FILES(what_comes_after_a_file_does_not_overtake_it),
        TEST_OF_FILES(the_files_of_a_client_that_goes_are_closed),
        TEST_OF_FILES(what_a_client_has_handed_over_and_goes_is_sent),
        TEST_OF_FILES(a_server_that_ends_closes_them),
        TEST_OF_FILES(a_cancelled_job_has_none),
        TEST_OF_FILES(a_key_that_was_used_takes_none),
        TEST_OF_FILES(a_descriptor_that_could_not_be_received_is_told),
        TEST_OF_FILES(there_are_never_more_than_may_be),
        TEST_OF_FILES(a_job_whose_file_was_lost_goes_on_when_it_is_handed_over_again),
        TEST_OF_FILES(another_file_is_not_taken_for_it),
        TEST_OF_FILES(the_same_submission_again_hands_it_over_again),
        TEST_OF_FILES(handed_over_while_it_is_being_looked_for_it_goes_on),
        TEST_OF_FILES(a_failed_one_is_retried_with_its_file),
        TEST_OF_FILES(a_job_that_goes_by_its_path_takes_no_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
