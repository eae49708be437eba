/* SPDX-License-Identifier: MIT
 *
 * What is noted of the entries of a job, in the queue: counted, recorded in order and in bounds,
 * read back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <ev.h>

#include "daemon/control/job_notes.h"
#include "daemon/control/queue.h"
#include "tests/unit/fake_queue_db.h"

static struct rig {
    struct queue *queue;
    struct ev_loop *loop;
    int room; /* so often told */
    struct job *room_of;
    int ended;
} rig;

static int on_restored(void *user, struct job *job, struct xfer_error *err)
{
    (void)user;
    (void)job;
    (void)err;
    return 0;
}

static void on_accepted(void *user, struct job *job, const struct xfer_error *why)
{
    (void)user;
    (void)job;
    assert_null(why);
}

static void on_existing(void *user, struct job *job, struct job *old)
{
    (void)user;
    (void)job;
    (void)old;
}

static void on_job(void *user, struct job *job)
{
    (void)user;
    (void)job;
}

static void on_revived(void *user, struct job *job, const struct xfer_error *why)
{
    on_accepted(user, job, why);
}

static void on_settled(void *user)
{
    (void)user;
}

static void on_ended(void *user, struct job *job)
{
    (void)user;
    (void)job;
    rig.ended++;
}

static void on_note_room(void *user, struct job *job)
{
    (void)user;
    rig.room++;
    rig.room_of = job;
}

static void open_queue(void)
{
    static const struct queue_events events = {.restored = on_restored,
                                               .accepted = on_accepted,
                                               .existing = on_existing,
                                               .ended = on_ended,
                                               .hurried = on_job,
                                               .revived = on_revived,
                                               .forgotten = on_job,
                                               .settled = on_settled,
                                               .note_room = on_note_room};
    struct queue_options options = {.path = "/nowhere"};
    struct xfer_error err = XFER_ERROR_INIT;

    rig.queue = queue_open(rig.loop, &options, &err);
    assert_non_null(rig.queue);
    assert_int_equal(queue_serve(rig.queue, &events, NULL, &err), 0);
}

static int set_up(void **state)
{
    (void)state;
    memset(&rig, 0, sizeof rig);
    rig.loop = ev_loop_new(0);
    open_queue();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    queue_close(rig.queue, 1);
    ev_loop_destroy(rig.loop);
    fake_db_reset();
    return 0;
}

static void turn(void)
{
    ev_run(rig.loop, EVRUN_NOWAIT);
}

/* One that runs. */
static struct job *run_job(void)
{
    struct job_spec spec = {.source = "/a", .dest = "a", .preserve = PRESERVE_DEFAULT};
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = queue_submit(rig.queue, &spec, &err);

    assert_non_null(job);
    turn();
    queue_note_begin(rig.queue, job);
    queue_start(rig.queue, job);
    return job;
}

static bool note(struct job *job, enum tree_note_kind kind, const char *path)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct tree_note n = {.kind = kind, .path = path, .error = &err, .action = TREE_SEND};

    error_set(&err, XFER_NO_SUCH_FILE, "gone");
    return queue_note(rig.queue, job, &n);
}

static struct page {
    int calls;
    size_t n;
    int64_t first, last;
    char path[64]; /* of the first */
    bool more;
    enum xfer_code code;
} page;

static void on_page(void *user, const struct queue_note *notes, size_t n, bool more,
                    const struct xfer_error *why)
{
    (void)user;
    page.calls++;
    page.n = n;
    page.first = n > 0 ? notes[0].n : 0;
    page.last = n > 0 ? notes[n - 1].n : 0;
    snprintf(page.path, sizeof page.path, "%s", n > 0 ? notes[0].path : "");
    page.more = more;
    page.code = why ? why->code : XFER_OK;
}

static void read_page(struct job *job, bool plan, int64_t after, int64_t limit)
{
    struct xfer_error err = XFER_ERROR_INIT;

    memset(&page, 0, sizeof page);
    assert_int_equal(queue_read_notes(rig.queue, job, plan, after, limit, on_page, NULL, &err), 0);
    assert_int_equal(page.calls, 0);
    turn();
    assert_int_equal(page.calls, 1);
    assert_int_equal(page.code, XFER_OK);
}

static void notes_are_counted_and_the_first_of_them_are_kept_in_memory(void **state)
{
    struct job *job = run_job();
    char path[32];

    (void)state;
    assert_null(job->notes);
    for (int i = 0; i < XFER_NOTES_SHOWN + 20; i++) {
        snprintf(path, sizeof path, "e%d", i);
        assert_true(note(job, TREE_ERROR, path));
    }
    assert_true(note(job, TREE_WARNING, "w"));
    assert_true(note(job, TREE_PLAN, "p"));
    assert_int_equal(job->errors, XFER_NOTES_SHOWN + 20);
    assert_int_equal(job->warnings, 1);
    assert_int_equal(job->notes->errors.n, XFER_NOTES_SHOWN);
    assert_string_equal(job->notes->errors.list[1].path, "e1");
    assert_string_equal(job->notes->errors.list[1].message, "gone");
    assert_int_equal(job->notes->warnings.n, 1);
    assert_string_equal(job->notes->warnings.list[0].path, "w");
    assert_false(job_lacks_notes(job));
}

static void a_job_without_notes_writes_none(void **state)
{
    struct job *job = run_job();

    (void)state;
    queue_end(rig.queue, job, JOB_DONE, NULL);
    turn();
    assert_int_equal(rig.ended, 1);
    assert_int_equal(fake_db.notings, 0);
    assert_null(job->notes);
    assert_false(job_lacks_notes(job));
}

static void all_notes_are_recorded_before_the_end_is(void **state)
{
    struct job *job = run_job();

    (void)state;
    fake_db.hold = true;
    note(job, TREE_ERROR, "a");
    note(job, TREE_WARNING, "b");
    queue_end(rig.queue, job, JOB_FAILED, NULL);
    turn();
    assert_int_equal(rig.ended, 0);
    assert_int_equal(fake_db.n_notes, 0);
    fake_db_commit();
    assert_int_equal(rig.ended, 1);
    assert_int_equal(fake_db.n_notes, 2);
    assert_int_equal(fake_row(job->id)->errors, 1);
    assert_int_equal(fake_row(job->id)->warnings, 1);
    fake_db.hold = false;
}

static void a_page_of_a_job_that_runs_has_all_so_far(void **state)
{
    struct job *job = run_job();

    (void)state;
    note(job, TREE_ERROR, "a");
    note(job, TREE_PLAN, "b");
    note(job, TREE_WARNING, "c");
    read_page(job, false, 0, 10);
    assert_int_equal(page.n, 2);
    assert_int_equal(page.first, 1);
    assert_int_equal(page.last, 3);
    assert_string_equal(page.path, "a");
    assert_false(page.more);
    read_page(job, false, 0, 1);
    assert_int_equal(page.n, 1);
    assert_true(page.more);
    read_page(job, false, 1, 1);
    assert_int_equal(page.first, 3);
    assert_false(page.more);
    read_page(job, true, 0, 1000);
    assert_int_equal(page.n, 1);
    assert_string_equal(page.path, "b");
    read_page(job, false, 0, 0);
    assert_int_equal(page.n, 0);
}

static void an_attempt_begins_without_the_notes_of_the_last_one(void **state)
{
    struct xfer_error why = XFER_ERROR_INIT;
    struct job *job = run_job();

    (void)state;
    note(job, TREE_ERROR, "a");
    note(job, TREE_PLAN, "b");
    error_set(&why, XFER_INCOMPLETE, "1 of 2");
    queue_requeue(rig.queue, job, 0, &why);
    turn();
    read_page(job, false, 0, 10);
    assert_int_equal(page.n, 1); /* until then */
    assert_int_equal(job->notes->errors.n, 1);

    queue_note_begin(rig.queue, job);
    queue_start(rig.queue, job);
    assert_int_equal(job->errors, 0);
    assert_null(job->notes);
    note(job, TREE_WARNING, "c");
    read_page(job, false, 0, 10);
    assert_int_equal(page.n, 1);
    assert_string_equal(page.path, "c");
    read_page(job, true, 0, 10);
    assert_int_equal(page.n, 0);
}

static void an_attempt_after_a_death_begins_without_notes_too(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = run_job();
    int64_t id = job->id;

    (void)state;
    note(job, TREE_ERROR, "a");
    read_page(job, false, 0, 10);
    queue_close(rig.queue, 1);
    open_queue();
    job = queue_find(rig.queue, id, &err);
    assert_int_equal(job->state, JOB_QUEUED);
    read_page(job, false, 0, 10);
    assert_int_equal(page.n, 1);
    queue_note_begin(rig.queue, job);
    queue_start(rig.queue, job);
    read_page(job, false, 0, 10);
    assert_int_equal(page.n, 0);
}

static int loaded;

static void on_loaded(void *user, const struct xfer_error *why)
{
    (void)user;
    assert_null(why);
    loaded++;
}

static void after_a_restart_the_first_notes_are_brought_back_when_asked_for(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = run_job();
    int64_t id = job->id;

    (void)state;
    loaded = 0;
    note(job, TREE_ERROR, "a");
    note(job, TREE_WARNING, "b");
    queue_end(rig.queue, job, JOB_FAILED, NULL);
    turn();
    queue_close(rig.queue, 1);
    open_queue();
    job = queue_find(rig.queue, id, &err);
    assert_int_equal(job->errors, 1);
    assert_int_equal(job->warnings, 1);
    assert_true(job_lacks_notes(job));
    assert_int_equal(queue_load_notes(rig.queue, job, on_loaded, NULL, &err), 0);
    assert_int_equal(queue_load_notes(rig.queue, job, on_loaded, NULL, &err), 0);
    turn();
    assert_int_equal(loaded, 2);
    assert_false(job_lacks_notes(job));
    assert_int_equal(job->notes->errors.n, 1);
    assert_string_equal(job->notes->errors.list[0].path, "a");
    assert_int_equal(job->notes->errors.list[0].code, XFER_NO_SUCH_FILE);
    assert_int_equal(job->notes->warnings.n, 1);
    assert_string_equal(job->notes->warnings.list[0].path, "b");
}

static void of_many_jobs_that_have_ended_only_the_last_keep_them_in_memory(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    int with_notes = 0;

    (void)state;
    for (int i = 0; i < 150; i++) {
        struct job *job = run_job();

        note(job, TREE_ERROR, "a");
        queue_end(rig.queue, job, JOB_FAILED, NULL);
        turn();
    }
    for (int64_t id = 1; id <= 150; id++)
        with_notes += queue_find(rig.queue, id, &err)->notes != NULL;
    assert_int_equal(with_notes, 100);
    assert_true(job_lacks_notes(queue_find(rig.queue, 1, &err)));
    assert_false(job_lacks_notes(queue_find(rig.queue, 150, &err)));
}

static void who_makes_too_many_is_told_to_wait_until_they_are_recorded(void **state)
{
    struct job *job = run_job();
    char path[2048];
    int n = 0;

    (void)state;
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    fake_db.hold = true;
    while (note(job, TREE_PLAN, path))
        assert_true(++n < 2000); /* 4 MiB of paths */
    assert_int_equal(rig.room, 0);
    note(job, TREE_PLAN, path); /* what comes all the same is kept too */
    fake_db_commit();
    assert_int_equal(rig.room, 1);
    assert_ptr_equal(rig.room_of, job);
    fake_db.hold = false;
    assert_true(note(job, TREE_PLAN, "a"));
    read_page(job, true, n, 10);
    assert_int_equal(page.n, 3);
}

static void who_was_told_to_wait_is_told_when_that_is_over(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = run_job();
    char path[2048];

    (void)state;
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    fake_db.hold = true;
    for (int i = 0; i < 50; i++)
        assert_true(note(job, TREE_PLAN, path));
    assert_int_equal(queue_read_notes(rig.queue, job, true, 0, 1, on_page, NULL, &err), 0);
    while (note(job, TREE_PLAN, path))
        ;
    fake_db_commit_one(); /* these 50: there is room again, but not much */
    assert_int_equal(fake_db.n_notes, 50);
    assert_int_equal(rig.room, 0);
    assert_false(note(job, TREE_PLAN, "a"));
    fake_db_commit();
    assert_int_equal(rig.room, 1);
    assert_true(note(job, TREE_PLAN, "b"));
    fake_db.hold = false;
}

static void one_that_had_to_wait_may_end(void **state)
{
    struct job *job = run_job();
    char path[2048];

    (void)state;
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    fake_db.hold = true;
    while (note(job, TREE_ERROR, path))
        ;
    queue_end(rig.queue, job, JOB_FAILED, NULL);
    fake_db_commit();
    assert_int_equal(rig.ended, 1);
    fake_db.hold = false;
}

static void beyond_the_maximum_they_are_only_counted(void **state)
{
    struct job *job = run_job();

    (void)state;
    note(job, TREE_ERROR, "a");
    job->queue.last_note = XFER_NOTES_MAX - 1;
    assert_true(note(job, TREE_ERROR, "last"));
    assert_true(note(job, TREE_ERROR, "more"));
    assert_true(note(job, TREE_WARNING, "more"));
    assert_int_equal(job->errors, 3);
    assert_int_equal(job->warnings, 1);
    read_page(job, false, 0, 10);
    assert_int_equal(page.n, 2);
    assert_int_equal(page.last, XFER_NOTES_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(notes_are_counted_and_the_first_of_them_are_kept_in_memory),
        TEST(a_job_without_notes_writes_none),
        TEST(all_notes_are_recorded_before_the_end_is),
        TEST(a_page_of_a_job_that_runs_has_all_so_far),
        TEST(an_attempt_begins_without_the_notes_of_the_last_one),
        TEST(an_attempt_after_a_death_begins_without_notes_too),
        TEST(after_a_restart_the_first_notes_are_brought_back_when_asked_for),
        TEST(of_many_jobs_that_have_ended_only_the_last_keep_them_in_memory),
        TEST(who_makes_too_many_is_told_to_wait_until_they_are_recorded),
        TEST(who_was_told_to_wait_is_told_when_that_is_over),
        TEST(one_that_had_to_wait_may_end),
        TEST(beyond_the_maximum_they_are_only_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
