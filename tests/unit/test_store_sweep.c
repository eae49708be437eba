/* SPDX-License-Identifier: MIT
 *
 * Names of partial files; what stays of them after a death, and what is removed at start or when
 * the sending rank says so.
 */
#include "tests/unit/resume_fixture.h"

#include "daemon/receive/store_partial.h"

/* ---- names ---- */

static void test_names_are_parsed(void **state)
{
    struct store_partial p;

    (void)state;
    assert_true(store_partial_parse(HEX "-7-1", &p));
    assert_string_equal(p.queue, HEX);
    assert_int_equal(p.job, 7);
    assert_int_equal(p.file, 1);
    assert_true(store_partial_parse(OTHER "-18446744073709551615-18446744073709551615", &p));
    assert_true(p.job == UINT64_MAX && p.file == UINT64_MAX);
    assert_true(store_partial_parse(HEX "-1-0", &p));
}

static const char *const wrong_names[] = {"",
                                          "7-1.0",
                                          "probe",
                                          HEX,
                                          HEX "-",
                                          HEX "-7",
                                          HEX "-7-",
                                          HEX "--7-1",
                                          HEX "-7-1.0",
                                          HEX "-7-1-1",
                                          HEX "-07-1",
                                          HEX "-7-01",
                                          HEX "-7- 1",
                                          HEX "-7-+1",
                                          HEX "-+7-1",
                                          HEX "-18446744073709551616-1",
                                          HEX "-7-99999999999999999999999999999999999999999999",
                                          "0" HEX "-7-1",
                                          "0011-7-1",
                                          "00112233445566778899AABBCCDDEEFF-7-1",
                                          "0011223344556677889900aabbccddeg-7-1"};

static void test_other_names_are_not(void **state)
{
    struct store_partial p;
    unsigned i;

    (void)state;
    for (i = 0; i < sizeof wrong_names / sizeof *wrong_names; i++)
        if (store_partial_parse(wrong_names[i], &p))
            fail_msg("\"%s\"", wrong_names[i]);
}

/* ---- death, sweep, forget ---- */

static void die_in_the_middle(struct fixture *f)
{
    struct xfer_error err;
    struct wire_meta meta;

    f->store = store_open(&f->options, 0, &err);
    if (f->store == NULL)
        _exit(1);
    store_set_queue(f->store, queue_id);
    asking(&meta, "d/a");
    f->kept[0] = store_begin(f->store, &meta, &err);
    if (f->kept[0] == NULL || store_write(f->kept[0], data, 950, &err) != 0)
        _exit(2);
}

static void test_death_leaves_what_can_be_gone_on_with(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;

    store_close(f->store);
    f->store = NULL;
    in_dying_process(die_in_the_middle, f);
    reopen(f);
    asking(&meta, "d/a");
    file = ask(f, &meta, &go);
    assert_int_equal(go.offer, WIRE_OFFER_PARTIAL);
    assert_int_equal(go.size, 950);
    start(file, 950);
    finishes(file, 950);
    is_whole(f, "d/a");
    root_has(f, 1);
}

static void test_sweep_removes_all_but_partial_files_of_jobs(void **state)
{
    struct fixture *f = *state;
    unsigned i;

    leave_partial(f, "a", 950);
    make_file(in_partial(f, OTHER "-7-1"), "another queue's");
    for (i = 1; i < sizeof wrong_names / sizeof *wrong_names; i++)
        make_file(in_partial(f, wrong_names[i]), "x");
    assert_int_equal(symlink("/etc/passwd", in_partial(f, HEX "-8-1")), 0);
    reopen(f);
    assert_int_equal(entries(in_root(f, ".xfer/partial")), 2);
    assert_int_equal(length_of(in_partial(f, NAME)), 950);
    holds(in_partial(f, OTHER "-7-1"), "another queue's");
}

static void test_sweep_keeps_records_and_files_beside_that_belong_together(void **state)
{
    struct fixture *f = *state;

    /* as where the target is on another mount */
    assert_int_equal(mkdir(in_root(f, "d"), 0755), 0);
    make_file(in_root(f, "d/.xfer-" NAME), "kept");
    assert_int_equal(symlink("d", in_root(f, ".xfer/beside/" NAME)), 0);
    make_file(in_root(f, ".xfer-" OTHER "-1-1"), "kept too");
    assert_int_equal(symlink(".", in_root(f, ".xfer/beside/" OTHER "-1-1")), 0);
    /* its file is gone; its directory is gone; it is no record; its file is none */
    assert_int_equal(symlink("d", in_root(f, ".xfer/beside/" HEX "-8-1")), 0);
    assert_int_equal(symlink("e", in_root(f, ".xfer/beside/" HEX "-9-1")), 0);
    make_file(in_root(f, ".xfer/beside/" HEX "-10-1"), "d");
    assert_int_equal(symlink("/etc/passwd", in_root(f, "d/.xfer-" HEX "-11-1")), 0);
    assert_int_equal(symlink("d", in_root(f, ".xfer/beside/" HEX "-11-1")), 0);
    /* and one that nobody can go on with */
    make_file(in_root(f, "d/.xfer-7-1.0"), "x");
    assert_int_equal(symlink("d", in_root(f, ".xfer/beside/7-1.0")), 0);
    reopen(f);
    assert_int_equal(entries(in_root(f, ".xfer/beside")), 2);
    assert_int_equal(entries(in_root(f, "d")), 1);
    holds(in_root(f, "d/.xfer-" NAME), "kept");
    holds(in_root(f, ".xfer-" OTHER "-1-1"), "kept too");
}

static void test_partials_are_those_of_the_queue_each_job_once(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    uint64_t *jobs;
    size_t n;

    assert_int_equal(store_partials(f->store, &jobs, &n, &err), 0);
    assert_int_equal(n, 0);
    free(jobs);
    make_file(in_partial(f, HEX "-300-1"), "x");
    make_file(in_partial(f, HEX "-7-2"), "x");
    leave_partial(f, "a", 950);
    make_file(in_partial(f, OTHER "-5-1"), "x");
    make_file(in_partial(f, "8-1.0"), "x");
    assert_int_equal(mkdir(in_root(f, "d"), 0755), 0);
    make_file(in_root(f, "d/.xfer-" HEX "-7-3"), "x");
    assert_int_equal(symlink("d", in_root(f, ".xfer/beside/" HEX "-7-3")), 0);
    make_file(in_root(f, "d/.xfer-" HEX "-20-1"), "x");
    assert_int_equal(symlink("d", in_root(f, ".xfer/beside/" HEX "-20-1")), 0);
    assert_int_equal(store_partials(f->store, &jobs, &n, &err), 0);
    assert_int_equal(n, 3);
    assert_int_equal(jobs[0], 7);
    assert_int_equal(jobs[1], 20);
    assert_int_equal(jobs[2], 300);
    free(jobs);
}

static void test_partials_may_be_many(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err;
    uint64_t *jobs;
    size_t n, i;

    for (i = 1; i <= 100; i++) {
        char name[80];

        snprintf(name, sizeof name, HEX "-%zu-1", i);
        make_file(in_partial(f, name), "x");
    }
    assert_int_equal(store_partials(f->store, &jobs, &n, &err), 0);
    assert_int_equal(n, 100);
    for (i = 0; i < n; i++)
        assert_int_equal(jobs[i], i + 1);
    free(jobs);
}

static void test_partials_of_other_queues_are_told_in_the_log(void **state)
{
    struct fixture *f = *state;
    char path[200], text[2048];
    int saved = dup(2), fd;
    struct xfer_error err;
    uint64_t *jobs;
    size_t n;
    ssize_t len;

    make_file(in_partial(f, OTHER "-5-1"), "12345");
    assert_int_equal(mkdir(in_root(f, "d"), 0755), 0);
    make_file(in_root(f, "d/.xfer-" OTHER "-7-3"), "123");
    assert_int_equal(symlink("d", in_root(f, ".xfer/beside/" OTHER "-7-3")), 0);
    snprintf(path, sizeof path, "%s/log", f->dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    dup2(fd, 2);
    assert_int_equal(store_partials(f->store, &jobs, &n, &err), 0);
    dup2(saved, 2);
    close(saved);
    len = pread(fd, text, sizeof text - 1, 0);
    close(fd);
    text[len > 0 ? len : 0] = '\0';
    assert_int_equal(n, 0);
    free(jobs);
    assert_non_null(strstr(text, "2 partial files of other queues, 8 bytes"));
}

static void test_forget_removes_the_files_of_those_jobs_only(void **state)
{
    struct fixture *f = *state;
    static const uint64_t jobs[] = {5, 7, 9};

    leave_partial(f, "a", 950);
    make_file(in_partial(f, HEX "-7-2"), "x");
    make_file(in_partial(f, HEX "-77-1"), "x");
    make_file(in_partial(f, OTHER "-7-1"), "x");
    make_file(in_partial(f, "7-1.0"), "x");
    assert_int_equal(mkdir(in_root(f, "d"), 0755), 0);
    make_file(in_root(f, "d/.xfer-" HEX "-9-3"), "x");
    assert_int_equal(symlink("d", in_root(f, ".xfer/beside/" HEX "-9-3")), 0);
    make_file(in_root(f, "d/.xfer-" HEX "-10-1"), "x");
    assert_int_equal(symlink("d", in_root(f, ".xfer/beside/" HEX "-10-1")), 0);
    make_file(in_root(f, "d/.xfer-" OTHER "-9-3"), "x");
    assert_int_equal(symlink("d", in_root(f, ".xfer/beside/" OTHER "-9-3")), 0);
    store_forget(f->store, jobs, 3);
    assert_int_equal(entries(in_root(f, ".xfer/partial")), 3);
    assert_true(exists(in_partial(f, HEX "-77-1")));
    assert_true(exists(in_partial(f, OTHER "-7-1")));
    assert_int_equal(entries(in_root(f, ".xfer/beside")), 2);
    assert_int_equal(entries(in_root(f, "d")), 2);
    assert_true(exists(in_root(f, "d/.xfer-" HEX "-10-1")));
    assert_true(exists(in_root(f, "d/.xfer-" OTHER "-9-3")));
}

static void test_forget_skips_what_is_being_written(void **state)
{
    struct fixture *f = *state;
    static const uint64_t jobs[] = {JOB};
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;
    struct store_file *file;

    asking(&meta, "a");
    file = store_begin(f->store, &meta, &err);
    assert_int_equal(store_write(file, data, SIZE, &err), 0);
    store_forget(f->store, jobs, 1);
    assert_int_equal(length_of(in_partial(f, NAME)), SIZE);
    finishes(file, SIZE);
    is_whole(f, "a");
    leave_partial(f, "b", 950);
    store_forget(f->store, jobs, 1);
    root_has(f, 1);
}

static void test_forget_never_touches_what_was_stored(void **state)
{
    struct fixture *f = *state;
    static const uint64_t jobs[] = {JOB};
    struct wire_meta meta;
    struct wire_go go;
    struct store_file *file;

    leave_partial(f, "a", 950);
    asking(&meta, "a");
    file = ask(f, &meta, &go);
    start(file, 950);
    finishes(file, 950);
    store_forget(f->store, jobs, 1);
    is_whole(f, "a");
    root_has(f, 1);
}

int main(void)
{
    static const struct resume_test tests[] = {
        RESUME_TEST(test_names_are_parsed),
        RESUME_TEST(test_other_names_are_not),
        RESUME_TEST(test_death_leaves_what_can_be_gone_on_with),
        RESUME_TEST(test_sweep_removes_all_but_partial_files_of_jobs),
        RESUME_TEST(test_sweep_keeps_records_and_files_beside_that_belong_together),
        RESUME_TEST(test_partials_are_those_of_the_queue_each_job_once),
        RESUME_TEST(test_partials_may_be_many),
        RESUME_TEST(test_partials_of_other_queues_are_told_in_the_log),
        RESUME_TEST(test_forget_removes_the_files_of_those_jobs_only),
        RESUME_TEST(test_forget_skips_what_is_being_written),
        RESUME_TEST(test_forget_never_touches_what_was_stored),
    };

    return run_resume_tests("store_sweep", tests, sizeof tests / sizeof *tests);
}
