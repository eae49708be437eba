/* SPDX-License-Identifier: MIT
 *
 * Jobs that are trees: when an attempt is one, and what comes of it; with trees that send nothing.
 */
#include "daemon/control/job_notes.h"
#include "tests/unit/scheduler_rig.h"

static void give(const struct job *job, enum xfer_code code, enum xfer_side side)
{
    struct xfer_error err = XFER_ERROR_INIT;

    error_set(&err, code, "/a");
    error_about(&err, side, "/a");
    fake_end(&rig.sender, (uint64_t)job->id, 0, &err);
    settle();
}

/* Its source is found to be a directory. */
static struct tree *become_tree(const struct job *job)
{
    give(job, XFER_IS_DIRECTORY, XFER_SIDE_SENDER);
    return fake_tree((uint64_t)job->id);
}

/* One that runs as a tree. */
static struct job *submit_tree(const char *dest, int64_t retries)
{
    struct job *job = submit_with_retries(dest, retries);

    assert_non_null(become_tree(job));
    return job;
}

static struct job *submit_spec(struct job_spec spec)
{
    struct xfer_error err = XFER_ERROR_INIT;

    spec.source = "/a";
    spec.dest = "a";
    struct job *job = queue_submit(rig.queue, &spec, &err);
    assert_non_null(job);
    settle();
    return job;
}

static void end_tree(const struct job *job, struct tree_result result)
{
    fake_tree_end((uint64_t)job->id, result);
    settle();
}

static struct tree_result incomplete(bool retryable)
{
    struct tree_result result = {.retryable = retryable,
                                 .progress = {.files_total = 3,
                                              .files_done = 1,
                                              .files_failed = 1,
                                              .files_skipped = 1,
                                              .bytes_done = 10,
                                              .bytes_total = 10}};

    error_set(&result.error, XFER_INCOMPLETE, "1 of 3 entries could not be sent");
    return result;
}

/* ---- what is a tree ---- */

static void a_source_that_is_a_directory_goes_on_as_a_tree(void **state)
{
    struct job *job = submit_with_retries("a", 0);

    (void)state;
    assert_non_null(fake_find(&rig.sender, (uint64_t)job->id));
    struct tree *tree = become_tree(job);
    assert_non_null(tree);
    assert_string_equal(tree->request.file.source, "/a");
    assert_string_equal(tree->request.file.dest, "a");
    assert_false(tree->request.file.again);
    assert_int_equal(job->state, JOB_RUNNING);
    assert_int_equal(job->attempts, 1);
    assert_true(job->tree && job->walking);
    assert_int_equal(scheduler_running(rig.scheduler), 1);
    assert_int_equal(scheduler_counts(rig.scheduler)->started, 1);

    end_tree(job, (struct tree_result){.progress = {.files_total = 2, .files_done = 2}});
    assert_int_equal(job->state, JOB_DONE);
    assert_false(job->has_digest);
    assert_int_equal(job->files_done, 2);
    assert_int_equal(scheduler_running(rig.scheduler), 0);
    assert_true(fake_row(job->id)->tree);
}

static void a_directory_where_the_file_is_to_go_is_no_tree(void **state)
{
    struct job *job = submit_with_retries("a", 0);

    (void)state;
    give(job, XFER_IS_DIRECTORY, XFER_SIDE_RECEIVER);
    assert_int_equal(fake_trees.started, 0);
    assert_int_equal(job->state, JOB_FAILED);
    assert_int_equal(job_error_code(job), XFER_IS_DIRECTORY);
}

static void what_was_handed_over_is_no_tree(void **state)
{
    struct job *job = submit_spec((struct job_spec){.handle = true, .n_groups = -1});

    (void)state;
    give(job, XFER_IS_DIRECTORY, XFER_SIDE_SENDER);
    assert_int_equal(fake_trees.started, 0);
    assert_int_equal(job->state, JOB_FAILED);
}

static void what_one_send_cannot_do_is_a_tree_from_the_beginning(void **state)
{
    char rule[] = "- *.o", *rules[] = {rule};
    const struct job_spec specs[] = {
        {.overwrite = OVERWRITE_CHANGED, .checksum = true},
        {.overwrite = OVERWRITE_NEWER},
        {.dry_run = true},
        {.filter = {rules, 1}, .one_file_system = true},
        {.list = "/list"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        struct job *job = submit_spec(specs[i]);
        const struct tree *tree = fake_tree((uint64_t)job->id);

        assert_non_null(tree);
        assert_int_equal(tree->request.file.overwrite, specs[i].overwrite);
        assert_true(tree->request.checksum == specs[i].checksum);
        assert_true(tree->request.dry_run == specs[i].dry_run);
        assert_true(tree->request.one_file_system == specs[i].one_file_system);
        assert_true((tree->request.filter != NULL) == (specs[i].filter.n > 0));
        assert_true((tree->request.list != NULL) == (specs[i].list != NULL));
        end_tree(job, (struct tree_result){.error = {.code = XFER_OK}});
        assert_int_equal(job->state, JOB_DONE);
    }
    assert_int_equal(rig.sender.n_starts, 0);
}

static void a_single_file_that_ran_as_a_tree_has_a_digest(void **state)
{
    struct job *job = submit_spec((struct job_spec){.overwrite = OVERWRITE_NEWER});
    struct tree_result result = {.single = true,
                                 .stored = "ann/a",
                                 .progress = {.files_total = 1, .files_done = 1, .bytes_done = 5}};

    (void)state;
    memset(result.digest, 0xcd, sizeof result.digest);
    end_tree(job, result);
    assert_true(job->has_digest);
    assert_int_equal(job->digest[3], 0xcd);
    assert_string_equal(job->stored, "ann/a");
    assert_int_equal(job->bytes_done, 5);
}

/* ---- on its way ---- */

static void its_counters_are_those_of_the_job(void **state)
{
    struct job *job = submit_tree("a", 0);
    struct tree_progress p = {.walking = true,
                              .phase = SEND_SENDING,
                              .bytes_done = 100,
                              .bytes_total = 300,
                              .bytes_resumed = 40,
                              .files_total = 10,
                              .files_done = 4,
                              .files_failed = 2,
                              .files_skipped = 1};

    (void)state;
    fake_tree_progress((uint64_t)job->id, &p);
    assert_true(job->walking);
    assert_string_equal(job_phase(job), "sending");
    assert_int_equal(job->bytes_done, 100);
    assert_int_equal(job->bytes_total, 300);
    assert_int_equal(job->bytes_resumed, 40);
    assert_int_equal(job->files_total, 10);
    assert_int_equal(job->files_done, 4);
    assert_int_equal(job->files_failed, 2);
    assert_int_equal(job->files_skipped, 1);
    assert_int_equal(scheduler_counts(rig.scheduler)->bytes, 60);
    assert_int_equal(scheduler_counts(rig.scheduler)->tree_files, 4);
    p.walking = false;
    p.files_done = 7;
    fake_tree_progress((uint64_t)job->id, &p);
    assert_false(job->walking);
    end_tree(job, (struct tree_result){.progress = p});
    assert_int_equal(scheduler_counts(rig.scheduler)->tree_files, 7);
    assert_int_equal(scheduler_counts(rig.scheduler)->tree_bytes, 60);
}

static void a_dry_run_stores_nothing_that_could_be_counted(void **state)
{
    struct job *job = submit_spec((struct job_spec){.dry_run = true});

    (void)state;
    end_tree(job, (struct tree_result){
                      .progress = {.files_total = 3, .files_done = 3, .bytes_done = 9}});
    assert_int_equal(job->state, JOB_DONE);
    assert_int_equal(scheduler_counts(rig.scheduler)->tree_files, 0);
    assert_int_equal(scheduler_counts(rig.scheduler)->tree_bytes, 0);
}

static void what_it_notes_is_the_jobs(void **state)
{
    struct job *job = submit_tree("a", 0);

    (void)state;
    assert_true(fake_tree_note((uint64_t)job->id, TREE_ERROR, "d/f", XFER_PERMISSION_DENIED, "no"));
    assert_true(fake_tree_note((uint64_t)job->id, TREE_WARNING, "d/p", XFER_NOT_REGULAR, "a FIFO"));
    assert_int_equal(job->errors, 1);
    assert_int_equal(job->warnings, 1);
    end_tree(job, incomplete(false));
    assert_int_equal(job->state, JOB_FAILED);
    assert_int_equal(fake_db.n_notes, 2);
    assert_string_equal(fake_db.notes[0].note.path, "d/f");
    assert_int_equal(fake_db.notes[0].note.code, XFER_PERMISSION_DENIED);
    assert_string_equal(job->notes->warnings.list[0].message, "a FIFO");
}

static void a_warning_about_a_single_file_is_noted_too(void **state)
{
    struct job *job = submit_with_retries("a", 0);

    (void)state;
    rig.sender.warning = "its owner can't be set";
    end(job);
    assert_int_equal(job->state, JOB_DONE);
    assert_int_equal(job->warnings, 1);
    assert_string_equal(job->notes->warnings.list[0].path, "");
    assert_string_equal(job->notes->warnings.list[0].message, "its owner can't be set");
}

static void one_that_notes_too_much_waits_until_it_is_recorded(void **state)
{
    struct job *job = submit_tree("a", 0);
    struct tree *tree = fake_tree((uint64_t)job->id);
    char path[2048];

    (void)state;
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    fake_db.hold = true;
    while (fake_tree_note((uint64_t)job->id, TREE_PLAN, path, XFER_OK, ""))
        ;
    assert_int_equal(tree->went_on, 0);
    fake_db_commit();
    assert_int_equal(tree->went_on, 1);
    fake_db.hold = false;
    end_tree(job, (struct tree_result){.error = {.code = XFER_OK}});
    assert_int_equal(job->state, JOB_DONE);
}

static void other_jobs_start_when_it_leaves_room(void **state)
{
    struct job *job = submit_tree("a", 0), *other;
    struct tree_progress p = {.phase = SEND_SENDING};

    (void)state;
    rig.sender.room_max = 0; /* all of it is the tree's */
    other = submit_with_retries("b", 0);
    fake_tree_progress((uint64_t)job->id, &p);
    settle();
    assert_int_equal(other->state, JOB_QUEUED);
    rig.sender.room_max = 1;
    fake_tree_progress((uint64_t)job->id, &p);
    settle();
    assert_int_equal(other->state, JOB_RUNNING);
}

static void only_so_many_trees_run_at_the_same_time(void **state)
{
    struct job *trees[XFER_TREES_MAX], *late, *later, *file;
    char dest[16];

    (void)state;
    rig.sender.room_max = 100;
    for (int i = 0; i < XFER_TREES_MAX; i++) {
        snprintf(dest, sizeof dest, "t%d", i);
        trees[i] = submit_tree(dest, 0);
    }
    late = submit_with_retries("late", 0);
    become_tree(late);
    assert_int_equal(fake_trees.started, XFER_TREES_MAX);
    assert_int_equal(late->state, JOB_QUEUED);
    assert_true(late->tree);
    later = submit_spec((struct job_spec){.overwrite = OVERWRITE_NEWER, .priority = 1});
    assert_int_equal(later->state, JOB_QUEUED);
    file = submit_with_retries("file", 0); /* of these there may be more */
    assert_int_equal(file->state, JOB_RUNNING);

    end_tree(trees[3], incomplete(false));
    assert_int_equal(later->state, JOB_RUNNING);
    assert_int_equal(late->state, JOB_QUEUED);
    end_tree(trees[0], incomplete(false));
    assert_int_equal(late->state, JOB_RUNNING);
    assert_int_equal(late->attempts, 1);
    assert_non_null(fake_tree((uint64_t)late->id));
}

static void one_that_waits_for_other_trees_can_be_cancelled(void **state)
{
    struct job *trees[XFER_TREES_MAX], *late;
    char dest[16];

    (void)state;
    rig.sender.room_max = 100;
    for (int i = 0; i < XFER_TREES_MAX; i++) {
        snprintf(dest, sizeof dest, "t%d", i);
        trees[i] = submit_tree(dest, 0);
    }
    late = submit_with_retries("late", 0);
    become_tree(late);
    cancel(late);
    settle();
    assert_int_equal(late->state, JOB_CANCELLED);
    end_tree(trees[0], incomplete(false));
    assert_int_equal(fake_trees.started, XFER_TREES_MAX);
}

/* ---- how it ends ---- */

static void one_that_is_incomplete_is_tried_again_where_that_may_help(void **state)
{
    (void)state;
    restart(0, 0);
    struct job *job = submit_tree("a", 1);
    fake_tree_note((uint64_t)job->id, TREE_ERROR, "f", XFER_SOURCE_CHANGED, "changed");
    end_tree(job, incomplete(true));
    await(job, JOB_RUNNING);
    assert_int_equal(job->failures, 1);
    assert_int_equal(rig.sender.n_starts, 1); /* it is known what it is */
    assert_true(fake_tree((uint64_t)job->id)->request.file.again);
    assert_int_equal(job->errors, 0);
    assert_null(job->notes);
    assert_int_equal(fake_db.n_notes, 0);

    end_tree(job, incomplete(true));
    assert_int_equal(job->state, JOB_FAILED);
    assert_int_equal(job_error_code(job), XFER_INCOMPLETE);
    assert_int_equal(job->files_failed, 1);
    assert_int_equal(job->files_done, 1);
    assert_int_equal(job->files_skipped, 1);
    assert_int_equal(job->attempts, 2);
}

static void one_that_is_incomplete_for_good_fails_at_once(void **state)
{
    struct job *job = submit_tree("a", 5);

    (void)state;
    end_tree(job, incomplete(false));
    assert_int_equal(job->state, JOB_FAILED);
    assert_int_equal(job_error_code(job), XFER_INCOMPLETE);
    assert_int_equal(scheduler_counts(rig.scheduler)->failed, 1);
}

static void one_that_is_retried_after_its_end_sends_what_is_missing(void **state)
{
    struct job *job = submit_tree("a", 0);
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    end_tree(job, incomplete(false));
    assert_int_equal(queue_revive(rig.queue, job, false, &err), 0);
    settle();
    assert_int_equal(job->state, JOB_RUNNING);
    assert_true(fake_tree((uint64_t)job->id)->request.file.again);
}

static void after_a_death_it_goes_on_as_a_tree(void **state)
{
    struct job *job = submit_spec((struct job_spec){
        .overwrite = OVERWRITE_CHANGED, .preserve = PRESERVE_ALL, .bandwidth = 1000});
    int64_t id = job->id;

    (void)state;
    settle();
    restart(1, 0);
    settle();
    const struct tree *tree = fake_tree((uint64_t)id);
    assert_non_null(tree);
    assert_true(tree->request.file.again);
    assert_int_equal(tree->request.file.overwrite, OVERWRITE_CHANGED);
    assert_int_equal(tree->request.file.preserve, PRESERVE_ALL);
    assert_int_equal(tree->request.file.bandwidth, 1000);
}

static void one_that_cannot_begin_fails(void **state)
{
    struct job *job = submit_with_retries("a", 0);

    (void)state;
    fake_trees.broken = true;
    become_tree(job);
    assert_int_equal(job->state, JOB_FAILED);
    assert_int_equal(job_error_code(job), XFER_NO_RESOURCES);
    assert_int_equal(scheduler_running(rig.scheduler), 0);
    fake_trees.broken = false;
}

static void one_that_is_cancelled_ends_when_all_of_it_has(void **state)
{
    struct job *job = submit_tree("a", 3);
    const struct tree *tree = fake_tree((uint64_t)job->id);

    (void)state;
    cancel(job);
    assert_int_equal(tree->why.code, XFER_CANCELLED);
    assert_false(tree->keep);
    assert_int_equal(job->state, JOB_RUNNING);
    assert_string_equal(job_phase(job), "cancelling");
    end_tree(job, (struct tree_result){.error = {.code = XFER_OK}});
    assert_int_equal(job->state, JOB_CANCELLED);
}

static void one_that_is_cancelled_before_it_is_known_what_it_is_ends(void **state)
{
    struct job *job = submit_with_retries("a", 3);

    (void)state;
    cancel(job);
    become_tree(job);
    assert_int_equal(fake_trees.started, 0);
    assert_int_equal(job->state, JOB_CANCELLED);
}

static void a_stop_leaves_it_to_the_next_generation(void **state)
{
    struct job *job = submit_tree("a", 0), *other = submit_with_retries("b", 0);
    struct xfer_error why = XFER_ERROR_INIT;

    (void)state;
    error_set(&why, XFER_STOPPING, "stopping");
    scheduler_stop(rig.scheduler, &why);
    assert_int_equal(fake_tree((uint64_t)job->id)->why.code, XFER_STOPPING);
    assert_true(fake_tree((uint64_t)job->id)->keep);
    end_tree(job, (struct tree_result){.error = {.code = XFER_OK}});
    assert_int_equal(job->state, JOB_QUEUED);
    become_tree(other);
    assert_int_equal(fake_trees.started, 1);
    assert_int_equal(other->state, JOB_QUEUED);
    assert_int_equal(other->failures, 0);
}

/* ---- one that hangs ---- */

static void one_in_which_nothing_moves_has_stalled(void **state)
{
    (void)state;
    restart(0, 0.02);
    struct job *job = submit_tree("a", 1);
    struct tree *tree = fake_tree((uint64_t)job->id);
    await(job, JOB_QUEUED);
    assert_int_equal(job_error_code(job), XFER_STALLED);
    assert_int_equal(tree->why.code, XFER_STALLED);
    assert_true(tree->keep);
    assert_non_null(job->schedule.stuck);
    fake_tree_note((uint64_t)job->id, TREE_ERROR, "f", XFER_IO, "late");
    fake_tree_progress((uint64_t)job->id, &(struct tree_progress){.files_done = 3});
    assert_int_equal(job->errors, 0);
    assert_int_equal(fake_trees.started, 1);
    end_tree(job, (struct tree_result){.error = {.code = XFER_OK}});
    await(job, JOB_RUNNING);
    assert_int_equal(fake_trees.started, 2);
}

/* Until the one without excuse has stalled, and some more. */
static void let_another_stall(void)
{
    struct job *other = submit_with_retries("other", 0);

    await(other, JOB_FAILED);
    for (int i = 0; i < 20; i++)
        ev_run(rig.loop, EVRUN_NOWAIT), ev_sleep(0.005);
}

static void one_that_waits_for_its_rate_has_not(void **state)
{
    (void)state;
    restart(0, 0.02);
    struct job *job = submit_tree("a", 0);
    fake_tree((uint64_t)job->id)->throttled = true;
    let_another_stall();
    assert_int_equal(job->state, JOB_RUNNING);
}

static void nor_one_that_waits_for_its_notes(void **state)
{
    char path[2048];

    (void)state;
    restart(0, 0.02);
    struct job *job = submit_tree("a", 0), *other = submit_with_retries("other", 0);
    settle();
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    fake_db.hold = true;
    while (fake_tree_note((uint64_t)job->id, TREE_PLAN, path, XFER_OK, ""))
        ;
    while (!other->queue.ending)
        ev_run(rig.loop, EVRUN_ONCE);
    for (int i = 0; i < 20; i++)
        ev_run(rig.loop, EVRUN_NOWAIT), ev_sleep(0.005);
    assert_int_equal(job->state, JOB_RUNNING);
    assert_false(job->queue.ending);
    fake_db.hold = false;
    fake_db_commit();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_source_that_is_a_directory_goes_on_as_a_tree),
        TEST(a_directory_where_the_file_is_to_go_is_no_tree),
        TEST(what_was_handed_over_is_no_tree),
        TEST(what_one_send_cannot_do_is_a_tree_from_the_beginning),
        TEST(a_single_file_that_ran_as_a_tree_has_a_digest),
        TEST(its_counters_are_those_of_the_job),
        TEST(a_dry_run_stores_nothing_that_could_be_counted),
        TEST(what_it_notes_is_the_jobs),
        TEST(a_warning_about_a_single_file_is_noted_too),
        TEST(one_that_notes_too_much_waits_until_it_is_recorded),
        TEST(other_jobs_start_when_it_leaves_room),
        TEST(only_so_many_trees_run_at_the_same_time),
        TEST(one_that_waits_for_other_trees_can_be_cancelled),
        TEST(one_that_is_incomplete_is_tried_again_where_that_may_help),
        TEST(one_that_is_incomplete_for_good_fails_at_once),
        TEST(one_that_is_retried_after_its_end_sends_what_is_missing),
        TEST(after_a_death_it_goes_on_as_a_tree),
        TEST(one_that_cannot_begin_fails),
        TEST(one_that_is_cancelled_ends_when_all_of_it_has),
        TEST(one_that_is_cancelled_before_it_is_known_what_it_is_ends),
        TEST(a_stop_leaves_it_to_the_next_generation),
        TEST(one_in_which_nothing_moves_has_stalled),
        TEST(one_that_waits_for_its_rate_has_not),
        TEST(nor_one_that_waits_for_its_notes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
