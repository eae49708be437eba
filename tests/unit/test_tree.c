/* SPDX-License-Identifier: MIT
 *
 * daemon/send/tree: what becomes of a tree. It is a real one, walked for real; the receiving rank
 * is a model (fake_receiver.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include <cmocka.h>

#include "daemon/send/tree.h"
#include "tests/unit/fake_receiver.h"

#define PATIENCE  60 /* seconds that nothing here should take */
#define NOTES_MAX 64

/* ---- the tree ---- */

static char top[64];

static const char *at(const char *path)
{
    static char buf[4][8192];
    static unsigned i;

    i = (i + 1) % 4;
    snprintf(buf[i], sizeof buf[i], "%s%s%s", top, path[0] ? "/" : "", path);
    return buf[i];
}

static void make_dir(const char *path)
{
    assert_int_equal(mkdir(at(path), 0755), 0);
}

static void set_time(const char *path, time_t when)
{
    struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};

    assert_int_equal(utimensat(AT_FDCWD, at(path), times, AT_SYMLINK_NOFOLLOW), 0);
}

static void make_file(const char *path, const char *content)
{
    int fd = open(at(path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    size_t len = strlen(content);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, len), len);
    assert_int_equal(close(fd), 0);
    set_time(path, 1000);
}

/* ---- the rig ---- */

struct told {
    enum tree_note_kind kind;
    enum xfer_code code;
    enum tree_action action;
    char type;
    char path[256], text[256];
};

static struct rig {
    struct ev_loop *loop;
    struct pool *pool;
    struct link *link;
    struct sender *sender;
    struct tree_request request;
    struct tree *tree;
    bool inside, done, holds_notes;
    struct tree_result result;
    struct tree_progress last;
    unsigned progress;
    struct told told[NOTES_MAX];
    unsigned n_told;
} rig;

static void on_progress(void *user, const struct tree_progress *p)
{
    (void)user;
    assert_false(rig.done);
    assert_true(p->bytes_done <= p->bytes_total || rig.request.dry_run);
    assert_true(p->files_done + p->files_failed + p->files_skipped <= p->files_total);
    assert_true(p->bytes_done >= rig.last.bytes_done);
    rig.last = *p;
    rig.progress++;
}

static bool on_note(void *user, const struct tree_note *note)
{
    struct told *told = &rig.told[rig.n_told++];

    (void)user;
    assert_true(rig.n_told < NOTES_MAX);
    told->kind = note->kind;
    told->action = note->action;
    told->type = note->type;
    snprintf(told->path, sizeof told->path, "%s", note->path);
    if (note->error) {
        told->code = note->error->code;
        snprintf(told->text, sizeof told->text, "%.250s", note->error->text);
    }
    return !rig.holds_notes;
}

static void on_done(void *user, const struct tree_result *result)
{
    (void)user;
    assert_false(rig.inside);
    assert_false(rig.done);
    rig.done = true;
    rig.result = *result;
}

static const struct tree_events events = {on_progress, on_note, on_done};

static int start_rig(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    memset(&rig, 0, sizeof rig);
    strcpy(top, "/tmp/xfer-test-tree-XXXXXX");
    assert_non_null(mkdtemp(top));
    rig.loop = ev_loop_new(EVFLAG_AUTO);
    rig.pool = pool_create(rig.loop, 4, &err);
    rig.link = fake_link(FAKE_LANES);
    assert_non_null(rig.pool);
    rig.sender = rig.link->sender = sender_create(rig.loop, rig.link, rig.pool, &err);
    assert_non_null(rig.sender);
    rig.request.file = (struct send_request){.job = 7,
                                             .source = top,
                                             .dest = "d/t",
                                             .overwrite = OVERWRITE_REPLACE,
                                             .sync = SYNC_DEFAULT,
                                             .preserve = PRESERVE_DEFAULT,
                                             .handle_fd = -1,
                                             .uid = 1000,
                                             .gid = 100};
    return 0;
}

static void end_rig(void)
{
    assert_true(pool_drain(rig.pool, PATIENCE));
    sender_destroy(rig.sender);
    pool_destroy(rig.pool);
    fake_link_free(rig.link);
    ev_loop_destroy(rig.loop);
}

static int stop_rig(void **state)
{
    char command[128];

    (void)state;
    end_rig();
    snprintf(command, sizeof command, "rm -rf '%s'", top);
    return system(command);
}

static void turn(void)
{
    static const struct timespec pause = {.tv_nsec = 20000};

    ev_run(rig.loop, EVRUN_NOWAIT);
    fake_poll(rig.link);
    nanosleep(&pause, NULL);
}

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

#define WAIT(condition)                                 \
    do {                                                \
        double until_ = now() + PATIENCE;               \
        while (!(condition)) {                          \
            if (now() > until_)                         \
                fail_msg("%s: never true", #condition); \
            turn();                                     \
        }                                               \
    } while (0)

/* What could happen by itself does, and after that nothing moves. */
static void settle(void)
{
    for (int quiet = 0; quiet < 300; quiet++)
        turn();
}

static void start(void)
{
    struct xfer_error err = XFER_ERROR_INIT;

    rig.done = false;
    rig.n_told = 0;
    rig.last = (struct tree_progress){0};
    rig.inside = true;
    rig.tree = tree_start(rig.sender, &rig.request, &events, NULL, &err);
    rig.inside = false;
    assert_non_null(rig.tree);
}

static void run(void)
{
    start();
    WAIT(rig.done);
    assert_false(rig.link->failed);
    assert_int_equal(sender_active(rig.sender), 0);
}

static void run_well(void)
{
    const struct tree_progress *p = &rig.result.progress;

    run();
    assert_string_equal(rig.result.error.text, "");
    assert_int_equal(rig.result.error.code, XFER_OK);
    assert_false(p->walking);
    assert_int_equal(p->files_failed, 0);
    assert_int_equal(p->files_total, p->files_done + p->files_skipped);
    if (!rig.request.dry_run)
        assert_int_equal(p->bytes_done, p->bytes_total);
}

static void forget_log(void)
{
    for (unsigned i = 0; i < rig.link->n_log; i++)
        free(rig.link->log[i]);
    rig.link->n_log = 0;
    rig.link->files = rig.link->bytes = rig.link->looked_entries = 0;
}

static void assert_before(const char *first, const char *then)
{
    int a = fake_logged(rig.link, first), b = fake_logged(rig.link, then);

    if (a < 0 || b < 0 || a >= b)
        fail_msg("%s (%d) is not before %s (%d)", first, a, then, b);
}

static void assert_counts(int64_t total, int64_t done, int64_t failed, int64_t skipped)
{
    const struct tree_progress *p = &rig.result.progress;

    assert_int_equal(p->files_total, total);
    assert_int_equal(p->files_done, done);
    assert_int_equal(p->files_failed, failed);
    assert_int_equal(p->files_skipped, skipped);
}

static const struct told *note_of(const char *path)
{
    for (unsigned i = 0; i < rig.n_told; i++)
        if (strcmp(rig.told[i].path, path) == 0)
            return &rig.told[i];
    fail_msg("nothing was told of %s", path);
    return NULL;
}

static struct node *node(const char *path)
{
    struct node *n = fake_node(rig.link, path);

    if (!n)
        fail_msg("%s is not there", path);
    return n;
}

static void make_small_tree(void)
{
    make_dir("a");
    make_dir("a/b");
    make_dir("empty");
    make_file("f", "one");
    make_file("a/g", "same");
    make_file("a/b/h", "three");
    assert_int_equal(symlink("nowhere/at all", at("a/l")), 0);
}

/* ---- order ---- */

static void everything_arrives(void **state)
{
    (void)state;
    make_small_tree();
    run_well();
    assert_counts(4, 4, 0, 0);
    assert_int_equal(rig.result.progress.bytes_total, 12);
    assert_int_equal(node("d/t")->kind, WIRE_KIND_DIRECTORY);
    assert_int_equal(node("d/t/empty")->kind, WIRE_KIND_DIRECTORY);
    assert_int_equal(node("d/t/a/b/h")->size, 5);
    assert_int_equal(node("d/t/a/l")->kind, WIRE_KIND_SYMLINK);
    assert_string_equal(node("d/t/a/l")->target, "nowhere/at all");
    assert_int_equal(node("d/t/f")->mtime, 1000);
    assert_false(rig.result.single);
    assert_int_equal(rig.n_told, 0);
}

static void a_directory_is_made_before_what_is_in_it(void **state)
{
    (void)state;
    make_small_tree();
    run_well();
    assert_before("MADE d/t", "MADE d/t/a");
    assert_before("MADE d/t", "META d/t/f");
    assert_before("MADE d/t/a", "MADE d/t/a/b");
    assert_before("MADE d/t/a/b", "META d/t/a/b/h");
}

static void a_directory_is_finished_after_what_is_in_it(void **state)
{
    (void)state;
    make_small_tree();
    run_well();
    assert_before("STORED d/t/a/b/h", "META d/t/a/b");
    assert_before("STORED d/t/a/g", "META d/t/a");
    assert_before("STORED d/t/a/l", "META d/t/a");
    assert_before("META d/t/a/b", "META d/t/a");
    assert_before("META d/t/a", "META d/t");
    assert_before("META d/t/empty", "META d/t");
    assert_true(fake_logged(rig.link, "STORED d/t") == (int)rig.link->n_log - 1);
}

static void directories_get_their_mode_and_time(void **state)
{
    (void)state;
    make_small_tree();
    assert_int_equal(chmod(at("a"), 01750), 0);
    set_time("a", -5);
    run_well();
    assert_int_equal(node("d/t/a")->mode, 01750);
    assert_int_equal(node("d/t/a")->mtime, -5);
}

static void an_empty_tree_is_a_directory(void **state)
{
    (void)state;
    run_well();
    assert_counts(0, 0, 0, 0);
    assert_int_equal(node("d/t")->kind, WIRE_KIND_DIRECTORY);
}

static void the_receiving_root_may_be_the_place(void **state)
{
    (void)state;
    make_small_tree();
    rig.request.file.dest = "t";
    run_well();
    assert_non_null(node("t/a/b/h"));
    assert_true(fake_logged(rig.link, "MADE t") == 0);
}

static void files_of_new_directories_are_not_asked_about(void **state)
{
    (void)state;
    make_small_tree();
    rig.request.file.overwrite = OVERWRITE_CHANGED;
    run_well();
    assert_int_equal(rig.link->looked_entries, 4); /* directories */
}

static void the_first_attempt_begins_and_a_second_looks_since_then(void **state)
{
    (void)state;
    run_well();
    assert_true(rig.link->last_look.begin);
    assert_false(rig.link->last_look.since);
    rig.request.file.again = true;
    run_well();
    assert_false(rig.link->last_look.begin);
    assert_true(rig.link->last_look.since);
}

/* ---- what fails ---- */

static void one_that_fails_does_not_keep_the_others_back(void **state)
{
    struct rule *rule = fake_add_rule(rig.link, "d/t/a/g");

    (void)state;
    make_small_tree();
    error_set(&rule->error, XFER_NO_SPACE, "g: no space");
    run();
    assert_int_equal(rig.result.error.code, XFER_INCOMPLETE);
    assert_string_equal(rig.result.error.text,
                        "1 of 4 entries could not be sent, the first: g: no space");
    assert_int_equal(rig.result.retryable, error_info(XFER_NO_SPACE)->retryable);
    assert_counts(4, 3, 1, 0);
    assert_int_equal(rig.result.progress.bytes_done, rig.result.progress.bytes_total);
    assert_int_equal(rig.n_told, 1);
    assert_int_equal(note_of("a/g")->kind, TREE_ERROR);
    assert_int_equal(note_of("a/g")->code, XFER_NO_SPACE);
    assert_non_null(node("d/t/a/b/h"));
    assert_before("META d/t/a", "META d/t");
}

static void what_was_stored_may_have_warnings(void **state)
{
    (void)state;
    make_small_tree();
    fake_add_rule(rig.link, "d/t/f")->warning = "f: its owner can't be set";
    run_well();
    assert_counts(4, 4, 0, 0);
    assert_int_equal(note_of("f")->kind, TREE_WARNING);
    assert_string_equal(note_of("f")->text, "f: its owner can't be set");
}

static void special_files_are_warned_of(void **state)
{
    (void)state;
    make_file("f", "x");
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    run_well();
    assert_counts(2, 1, 0, 1);
    assert_int_equal(note_of("fifo")->kind, TREE_WARNING);
    assert_int_equal(note_of("fifo")->code, XFER_NOT_REGULAR);
    assert_non_null(strstr(note_of("fifo")->text, "FIFO"));
}

static void a_file_in_the_place_of_a_directory_fails_that_one(void **state)
{
    (void)state;
    make_small_tree();
    fake_add(rig.link, "d/t", WIRE_KIND_DIRECTORY);
    fake_add(rig.link, "d/t/a", WIRE_KIND_FILE);
    run();
    assert_int_equal(rig.result.error.code, XFER_INCOMPLETE);
    assert_counts(2, 1, 1, 0); /* f; and of a only itself */
    assert_int_equal(rig.n_told, 1);
    assert_int_equal(note_of("a")->code, XFER_NOT_DIRECTORY);
    assert_int_equal(rig.result.progress.bytes_total, 3);
    assert_int_equal(fake_logged(rig.link, "META d/t/a"), -1);
    assert_null(fake_node(rig.link, "d/t/a/b"));
    assert_non_null(node("d/t/f"));
    assert_before("META d/t/empty", "META d/t");
}

static void a_directory_that_cannot_be_made_is_left_out_with_all_in_it(void **state)
{
    (void)state;
    make_small_tree();
    fake_add_rule(rig.link, "d/t/a")->look_code = XFER_READ_ONLY;
    run();
    assert_counts(2, 1, 1, 0);
    assert_int_equal(note_of("a")->code, XFER_READ_ONLY);
}

static void the_whole_fails_where_its_top_cannot_be_made(void **state)
{
    (void)state;
    make_small_tree();
    fake_add_rule(rig.link, "d/t")->look_code = XFER_NOT_DIRECTORY;
    run();
    assert_int_equal(rig.result.error.code, XFER_NOT_DIRECTORY);
    assert_string_equal(rig.result.error.path, "d/t");
    assert_int_equal(fake_logged(rig.link, "META d/t/f"), -1);
}

static void the_whole_fails_where_its_source_is_not_there(void **state)
{
    (void)state;
    rig.request.file.source = at("nothing");
    run();
    assert_int_equal(rig.result.error.code, XFER_NO_SUCH_FILE);
    assert_int_equal(rig.link->n_log, 0);
}

static void the_whole_fails_with_the_peer(void **state)
{
    struct rule *rule = fake_add_rule(rig.link, "d/t/f");

    (void)state;
    make_small_tree();
    error_set(&rule->error, XFER_PEER_DOWN, "gone");
    run();
    assert_int_equal(rig.result.error.code, XFER_PEER_DOWN);
    assert_string_equal(rig.result.error.text, "gone");
}

static void names_of_the_receiver_itself_fail(void **state)
{
    (void)state;
    make_dir(".xfer");
    make_file(".xfer/f", "x");
    make_file(".xfer-x", "x");
    make_file("f", "x");
    run();
    assert_int_equal(rig.result.error.code, XFER_INCOMPLETE);
    assert_counts(3, 1, 2, 0);
    assert_int_equal(note_of(".xfer")->code, XFER_INVALID_DESTINATION);
    assert_int_equal(note_of(".xfer-x")->code, XFER_INVALID_DESTINATION);
}

static void paths_that_become_too_long_fail(void **state)
{
    char path[XFER_PATH_SIZE], dest[XFER_PATH_SIZE];
    size_t n = 0;

    (void)state;
    while (n < 1000) {
        n += (size_t)snprintf(path + n, sizeof path - n, "%s%0100d", n ? "/" : "", 0);
        make_dir(path);
    }
    n = 0;
    while (n < 3100)
        n += (size_t)snprintf(dest + n, sizeof dest - n, "%s%0100d", n ? "/" : "", 1);
    rig.request.file.dest = dest;
    run();
    assert_int_equal(rig.result.error.code, XFER_INCOMPLETE);
    assert_counts(1, 0, 1, 0);
    assert_int_equal(rig.told[0].code, XFER_NAME_TOO_LONG);
}

/* ---- what is there already ---- */

static void a_second_attempt_sends_only_what_is_missing(void **state)
{
    struct rule *rule = fake_add_rule(rig.link, "d/t/a/g");

    (void)state;
    make_small_tree();
    error_set(&rule->error, XFER_IO, "broken");
    run();
    rule->error.code = XFER_OK;
    forget_log();
    rig.request.file.again = true;
    run_well();
    assert_counts(4, 1, 0, 3);
    assert_int_equal(rig.link->files, 1);
    assert_int_equal(rig.link->bytes, 4);
    assert_true(fake_logged(rig.link, "META d/t/f") < 0);
    assert_before("STORED d/t/a/g", "META d/t/a");
    assert_int_equal(rig.result.progress.bytes_resumed, 8);
}

static void a_file_has_its_own_number_in_each_attempt(void **state)
{
    static const char *const files[] = {"d/t/f", "d/t/a/g", "d/t/a/b/h"};
    uint64_t numbers[3];

    (void)state;
    make_small_tree();
    run_well();
    for (unsigned i = 0; i < 3; i++) {
        numbers[i] = node(files[i])->file;
        for (unsigned j = 0; j < i; j++)
            assert_int_not_equal(numbers[i], numbers[j]);
    }
    rig.request.file.again = true;
    for (unsigned i = 0; i < 3; i++) {
        node(files[i])->of_this_job = false; /* it alone is sent */
        node(files[i])->file = 0;
        run_well();
        assert_int_equal(node(files[i])->file, numbers[i]);
    }
}

static void what_was_there_before_the_job_is_no_work_of_it(void **state)
{
    (void)state;
    make_small_tree();
    run_well();
    node("d/t/f")->of_this_job = false;
    forget_log();
    rig.request.file.again = true;
    run_well();
    assert_counts(4, 1, 0, 3);
    assert_true(fake_logged(rig.link, "META d/t/f") >= 0);
}

static void another_attempt_asks_for_what_is_on_disk_however_it_replaces(void **state)
{
    static const enum overwrite_mode modes[] = {OVERWRITE_REPLACE, OVERWRITE_NEVER,
                                                OVERWRITE_CHANGED, OVERWRITE_NEWER};

    (void)state;
    make_small_tree();
    for (unsigned i = 0; i < sizeof modes / sizeof *modes; i++) {
        rig.request.file.overwrite = modes[i];
        rig.request.file.again = false;
        run_well();
        assert_false(rig.link->last_look.since);
        rig.request.file.again = true;
        run_well();
        assert_true(rig.link->last_look.since);
    }
}

static void changed_sends_only_what_differs(void **state)
{
    (void)state;
    make_small_tree();
    run_well();
    make_file("f", "longer");
    set_time("a/g", 2000);
    forget_log();
    rig.request.file.overwrite = OVERWRITE_CHANGED;
    run_well();
    assert_counts(4, 2, 0, 2);
    assert_int_equal(rig.link->files, 2);
    assert_int_equal(node("d/t/f")->size, 6);
    assert_int_equal(node("d/t/a/g")->mtime, 2000);
}

static void another_mode_counts_as_changed(void **state)
{
    (void)state;
    make_small_tree();
    run_well();
    assert_int_equal(chmod(at("f"), 0600), 0);
    rig.request.file.overwrite = OVERWRITE_CHANGED;
    run_well();
    assert_counts(4, 1, 0, 3);
    assert_int_equal(node("d/t/f")->mode, 0600);
}

static void never_leaves_what_is_there(void **state)
{
    (void)state;
    make_small_tree();
    run_well();
    make_file("f", "longer");
    make_file("new", "new");
    rig.request.file.overwrite = OVERWRITE_NEVER;
    run_well();
    assert_counts(5, 1, 0, 4);
    assert_int_equal(node("d/t/f")->size, 3);
    assert_int_equal(node("d/t/new")->size, 3);
}

static void never_counts_one_that_came_meanwhile_as_skipped(void **state)
{
    struct rule *rule = fake_add_rule(rig.link, "d/t/f");

    (void)state;
    make_small_tree();
    error_set(&rule->error, XFER_DESTINATION_EXISTS, "there");
    rig.request.file.overwrite = OVERWRITE_NEVER;
    run_well();
    assert_counts(4, 3, 0, 1);
}

static void newer_replaces_only_what_is_older(void **state)
{
    (void)state;
    make_small_tree();
    run_well();
    set_time("f", 2000);
    set_time("a/g", 500);
    rig.request.file.overwrite = OVERWRITE_NEWER;
    run_well();
    assert_counts(4, 1, 0, 3);
    assert_int_equal(node("d/t/f")->mtime, 2000);
    assert_int_equal(node("d/t/a/g")->mtime, 1000);
}

static void with_a_checksum_the_content_is_compared(void **state)
{
    (void)state;
    make_small_tree();
    run_well();
    set_time("f", 2000);
    set_time("a/g", 2000); /* its content is what the fake offers */
    forget_log();
    rig.link->offers = true;
    rig.request.file.overwrite = OVERWRITE_CHANGED;
    rig.request.checksum = true;
    run_well();
    assert_counts(4, 2, 0, 2); /* f and h are sent, l is the same by its target */
    assert_int_equal(rig.link->bytes, 8);
    assert_int_equal(rig.result.progress.bytes_resumed, 4);
}

static void symbolic_links_to_elsewhere_count_by_their_target(void **state)
{
    (void)state;
    make_small_tree();
    run_well();
    rig.request.file.overwrite = OVERWRITE_CHANGED;
    run_well();
    assert_counts(4, 0, 0, 4);
}

/* ---- dry runs ---- */

static void assert_plan(const char *path, char type, enum tree_action action)
{
    const struct told *told = note_of(path);

    assert_int_equal(told->kind, TREE_PLAN);
    assert_int_equal(told->type, type);
    if (told->action != action)
        fail_msg("%s: %s", path, tree_action_name(told->action));
}

static void a_dry_run_changes_nothing_and_tells_the_plan(void **state)
{
    (void)state;
    make_small_tree();
    rig.request.dry_run = true;
    run_well();
    assert_int_equal(rig.link->n_nodes, 0);
    assert_int_equal(rig.link->n_log, 0);
    assert_int_equal(rig.n_told, 8);
    assert_plan("", 'd', TREE_MAKE);
    assert_plan("a", 'd', TREE_MAKE);
    assert_plan("a/l", 'l', TREE_SEND);
    assert_plan("a/b/h", 'f', TREE_SEND);
    assert_counts(4, 4, 0, 0);
    assert_int_equal(rig.result.progress.bytes_total, 12);
    assert_int_equal(rig.result.progress.bytes_done, 0);
}

static void a_dry_run_tells_what_would_be_replaced_and_kept(void **state)
{
    (void)state;
    make_small_tree();
    run_well();
    make_file("f", "longer");
    make_file("new", "new");
    assert_int_equal(chmod(at("a/g"), 0600), 0);
    forget_log();
    rig.request.dry_run = true;
    rig.request.file.overwrite = OVERWRITE_CHANGED;
    run_well();
    assert_int_equal(rig.link->n_log, 0);
    assert_plan("f", 'f', TREE_REPLACE);
    assert_plan("new", 'f', TREE_SEND);
    assert_plan("a/g", 'f', TREE_SET);
    assert_plan("a/b/h", 'f', TREE_KEEP);
    assert_plan("a", 'd', TREE_KEEP);
    assert_counts(5, 3, 0, 2);
    assert_int_equal(rig.result.progress.bytes_total, 13);
}

/* ---- hard links ---- */

static void make_links(void)
{
    make_dir("a");
    make_file("a/one", "same");
    assert_int_equal(link(at("a/one"), at("a/two")), 0);
    assert_int_equal(link(at("a/one"), at("three")), 0);
}

static unsigned inode(const char *path)
{
    return node(path)->inode;
}

static void names_of_one_inode_are_sent_once(void **state)
{
    (void)state;
    make_links();
    rig.request.file.preserve |= PRESERVE_LINKS;
    run_well();
    assert_counts(3, 3, 0, 0);
    assert_int_equal(rig.link->files, 1);
    assert_int_equal(rig.link->bytes, 4);
    assert_int_equal(rig.result.progress.bytes_total, 4);
    assert_int_equal(inode("d/t/a/one"), inode("d/t/a/two"));
    assert_int_equal(inode("d/t/a/one"), inode("d/t/three"));
}

static void they_wait_for_the_first_even_where_it_is_held_back(void **state)
{
    (void)state;
    make_links();
    rig.request.file.preserve |= PRESERVE_LINKS;
    rig.link->batch = true;
    run_well();
    assert_int_equal(rig.link->files, 1);
    assert_int_equal(inode("d/t/a/one"), inode("d/t/three"));
}

static void without_links_each_name_is_a_file(void **state)
{
    (void)state;
    make_links();
    run_well();
    assert_int_equal(rig.link->files, 3);
    assert_int_equal(rig.result.progress.bytes_total, 12);
}

static void where_the_first_name_fails_the_next_is_sent(void **state)
{
    (void)state;
    make_links();
    rig.request.file.preserve |= PRESERVE_LINKS;
    for (int i = 0; i < 2; i++) {
        struct rule *rule = fake_add_rule(rig.link, i == 0 ? "d/t/a/one" : "d/t/three");

        error_set(&rule->error, XFER_IO, "broken");
    }
    run();
    assert_int_equal(rig.result.error.code, XFER_INCOMPLETE);
    assert_counts(3, 1, 2, 0);
    assert_int_equal(node("d/t/a/two")->kind, WIRE_KIND_FILE);
    assert_int_equal(rig.result.progress.bytes_done, rig.result.progress.bytes_total);
}

static void links_that_are_there_send_nothing(void **state)
{
    (void)state;
    make_links();
    rig.request.file.preserve |= PRESERVE_LINKS;
    run_well();
    forget_log();
    rig.request.file.overwrite = OVERWRITE_CHANGED;
    run_well();
    assert_counts(3, 0, 0, 3);
    assert_int_equal(rig.link->files, 0);
}

static void names_outside_of_the_tree_do_not_matter(void **state)
{
    (void)state;
    make_dir("a");
    make_dir("b");
    make_file("a/f", "same");
    assert_int_equal(link(at("a/f"), at("b/f")), 0);
    rig.request.file.source = at("a");
    rig.request.file.preserve |= PRESERVE_LINKS;
    run_well();
    assert_counts(1, 1, 0, 0);
}

/* What is to be sent is what will be written to it, once it is closed. */
static FILE *begin_list(void)
{
    static char list[96];
    FILE *out;

    snprintf(list, sizeof list, "%s", at("list"));
    out = fopen(list, "w");
    assert_non_null(out);
    rig.request.list = list;
    return out;
}

/* The two with so many others between them that the second is not found before the first is over.
 */
static void list_far_apart(const char *first, size_t size, const char *second)
{
    FILE *out = begin_list();

    fwrite(first, 1, size, out);
    for (unsigned i = 0; i < 16000; i++)
        fwrite("pad", 1, sizeof "pad", out);
    fwrite(second, 1, strlen(second) + 1, out);
    assert_int_equal(fclose(out), 0);
    make_file("t/pad", "x");
    rig.link->keeps_log = false;
    rig.request.file.source = at("t");
    rig.request.file.preserve |= PRESERVE_LINKS;
}

static void an_inode_that_is_another_file_by_then_is_no_other_name_of_it(void **state)
{
    (void)state;
    make_dir("t");
    make_file("t/one", "same");
    assert_int_equal(link(at("t/one"), at("outside")), 0);
    list_far_apart("one", sizeof "one", "two");
    start();
    WAIT(fake_node(rig.link, "d/t/one"));
    rig.link->silent = true;
    assert_int_equal(unlink(at("outside")), 0);
    assert_int_equal(unlink(at("t/one")), 0);
    make_file("t/two", "another"); /* most file systems give it the number */
    assert_int_equal(link(at("t/two"), at("outside")), 0);
    rig.link->silent = false;
    WAIT(rig.done);
    assert_int_equal(rig.result.error.code, XFER_OK);
    assert_int_equal(node("d/t/two")->size, strlen("another"));
}

static void a_name_that_is_listed_twice_is_no_other_name(void **state)
{
    static const char twice[] = "one\0one";

    (void)state;
    make_dir("t");
    make_file("t/one", "same");
    assert_int_equal(link(at("t/one"), at("t/two")), 0);
    list_far_apart(twice, sizeof twice, "two");
    run_well();
    assert_int_equal(inode("d/t/one"), inode("d/t/two"));
}

/* ---- lists ---- */

static void list_these(const char *text, size_t size)
{
    FILE *out = begin_list();

    fwrite(text, 1, size, out);
    assert_int_equal(fclose(out), 0);
}

static void an_empty_path_in_a_list_fails_by_itself(void **state)
{
    static const char text[] = "f\0\0a/g";

    (void)state;
    make_small_tree();
    list_these(text, sizeof text);
    run();
    assert_int_equal(rig.result.error.code, XFER_INCOMPLETE);
    assert_counts(3, 2, 1, 0);
    assert_non_null(strstr(note_of("")->text, "is empty"));
    assert_int_equal(node("d/t/a/g")->size, 4);
}

static void a_directory_that_locks_out_is_over_before_a_list_comes_back_to_it(void **state)
{
    static const char text[] = "a/g\0f\0a/b/h\0f\0a/l\0f\0a/b";
    bool batch[] = {false, true};

    (void)state;
    make_small_tree();
    list_these(text, sizeof text);
    assert_int_equal(chmod(at("a"), 0555), 0);
    for (unsigned i = 0; i < 2; i++) {
        rig.link->batch = batch[i];
        forget_log();
        run_well();
        assert_before("META d/t/a/g", "STORED d/t/a");
        assert_before("STORED d/t/a", "META d/t/a/b/h");
        assert_before("META d/t/a/b/h", "META d/t/a/l");
        assert_int_equal(node("d/t/a")->mode, 0555);
    }
    assert_int_equal(chmod(at("a"), 0755), 0);
}

/* ---- a file by itself ---- */

static void a_file_is_a_tree_of_its_own(void **state)
{
    XXH128_canonical_t digest;

    (void)state;
    make_file("f", "same");
    rig.request.file.source = at("f");
    rig.request.file.overwrite = OVERWRITE_CHANGED;
    run_well();
    assert_true(rig.result.single);
    assert_counts(1, 1, 0, 0);
    assert_int_equal(node("d/t")->size, 4);
    XXH128_canonicalFromHash(&digest, XXH3_128bits("same", 4));
    assert_memory_equal(rig.result.digest, digest.digest, XFER_DIGEST_SIZE);
    run_well();
    assert_false(rig.result.single);
    assert_counts(1, 0, 0, 1);
}

static void a_file_that_is_not_to_be_replaced_is_an_error_of_the_whole(void **state)
{
    struct rule *rule = fake_add_rule(rig.link, "d/t");

    (void)state;
    make_file("f", "same");
    rig.request.file.source = at("f");
    rig.request.file.overwrite = OVERWRITE_NEVER;
    error_set(&rule->error, XFER_DESTINATION_EXISTS, "there");
    run();
    assert_int_equal(rig.result.error.code, XFER_DESTINATION_EXISTS);
}

static void a_file_that_was_handed_over_is_read_by_its_descriptor(void **state)
{
    struct stat st;
    int fd;

    (void)state;
    make_file("f", "same");
    fd = open(at("f"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(unlink(at("f")), 0);
    rig.request.file.source = at("f");
    rig.request.file.overwrite = OVERWRITE_NEWER;
    rig.request.file.handle = true;
    rig.request.file.handle_dev = st.st_dev;
    rig.request.file.handle_ino = st.st_ino;
    rig.request.file.handle_fd = fd;
    start();
    assert_int_equal(close(fd), 0);
    WAIT(rig.done);
    assert_int_equal(rig.result.error.code, XFER_OK);
    assert_int_equal(node("d/t")->size, 4);
}

static void a_handle_that_is_lost_is_told_so(void **state)
{
    (void)state;
    rig.request.file.source = at("f");
    rig.request.file.overwrite = OVERWRITE_NEWER;
    rig.request.file.handle = true;
    run();
    assert_int_equal(rig.result.error.code, XFER_SOURCE_HANDLE_LOST);
}

static void a_dry_run_of_a_file_tells_one_line(void **state)
{
    (void)state;
    make_file("f", "same");
    rig.request.file.source = at("f");
    rig.request.dry_run = true;
    run_well();
    assert_int_equal(rig.n_told, 1);
    assert_plan("", 'f', TREE_SEND);
    assert_int_equal(rig.link->n_nodes, 0);
}

/* ---- many ---- */

static void make_many(unsigned dirs, unsigned files)
{
    char path[64];

    for (unsigned d = 0; d < dirs; d++) {
        snprintf(path, sizeof path, "d%u", d);
        make_dir(path);
        for (unsigned f = 0; f < files; f++) {
            snprintf(path, sizeof path, "d%u/f%u", d, f);
            assert_int_equal(mknod(at(path), S_IFREG | 0644, 0), 0);
        }
    }
}

static void what_is_under_way_is_bounded(void **state)
{
    size_t before, during;
    unsigned waiting = 0;

    (void)state;
    make_many(10, 1000);
    rig.link->keeps_log = false;
    rig.link->batch = true;
    before = mallinfo2().uordblks;
    start();
    for (unsigned i = 0; i < FAKE_LANES; i++)
        rig.link->lanes[i].max_due = 0;
    WAIT(rig.link->lanes[0].n_due > 0);
    rig.link->silent = true;
    for (int quiet = 0; quiet < 1000; quiet++)
        turn();
    during = mallinfo2().uordblks;
    for (unsigned i = 0; i < FAKE_LANES; i++)
        waiting += rig.link->lanes[i].n_due;
    assert_true(waiting <= FAKE_LANES * XFER_LANE_FILES_MAX);
    assert_true(during - before < (size_t)12 << 20);
    rig.link->silent = false;
    WAIT(rig.done);
    assert_int_equal(rig.result.error.code, XFER_OK);
    assert_counts(10000, 10000, 0, 0);
    for (unsigned i = 0; i < FAKE_LANES; i++)
        assert_true(rig.link->lanes[i].max_due <= XFER_LANE_FILES_MAX);
    assert_true(rig.link->max_looks <= XFER_LOOKS_MAX);
}

static void a_second_run_asks_in_large_questions(void **state)
{
    (void)state;
    make_many(2, 1000);
    rig.link->keeps_log = false;
    run_well();
    rig.request.file.overwrite = OVERWRITE_CHANGED;
    rig.link->files = 0;
    run_well();
    assert_counts(2000, 0, 0, 2000);
    assert_int_equal(rig.link->files, 0);
    assert_true(rig.link->max_looks <= XFER_LOOKS_MAX);
}

static void what_is_held_back_is_called_for_at_the_end(void **state)
{
    (void)state;
    make_small_tree();
    rig.link->batch = true;
    run_well();
    assert_before("META d/t/f", "BARRIER");
    assert_before("BARRIER", "META d/t/a/b");
    assert_before("META d/t/a", "META d/t");
}

static void nothing_is_called_for_where_nothing_is_held_back(void **state)
{
    (void)state;
    make_small_tree();
    rig.request.file.sync = SYNC_NONE;
    run_well();
    assert_int_equal(fake_logged(rig.link, "BARRIER"), -1);
}

static void many_directories_are_no_problem(void **state)
{
    char path[64];

    (void)state;
    for (int i = 0; i < 3000; i++) {
        snprintf(path, sizeof path, "d%d", i);
        make_dir(path);
        if (i % 2)
            continue;
        snprintf(path, sizeof path, "d%d/f", i);
        make_file(path, "x");
    }
    rig.link->keeps_log = false;
    rig.link->batch = true;
    run_well();
    assert_counts(1500, 1500, 0, 0);
    assert_int_equal(rig.link->n_nodes, 4501);
}

static void so_are_deep_ones(void **state)
{
    char path[XFER_PATH_SIZE] = "";
    size_t n = 0;

    (void)state;
    while (n < 1500) {
        n += (size_t)snprintf(path + n, sizeof path - n, "%sx", n ? "/" : "");
        make_dir(path);
    }
    rig.link->keeps_log = false;
    run_well();
    assert_int_equal(rig.link->n_nodes, 752);
}

/* ---- stopping ---- */

static void cancel(enum xfer_code code)
{
    struct xfer_error why = XFER_ERROR_INIT;

    error_set(&why, code, "the test says so");
    rig.inside = true;
    tree_cancel(rig.tree, &why, false);
    rig.inside = false;
}

static void it_can_be_stopped_at_once(void **state)
{
    (void)state;
    make_small_tree();
    start();
    cancel(XFER_CANCELLED);
    WAIT(rig.done);
    assert_int_equal(rig.result.error.code, XFER_CANCELLED);
    assert_string_equal(rig.result.error.text, "the test says so");
}

static void it_can_be_stopped_in_its_midst(void **state)
{
    (void)state;
    make_many(10, 200);
    rig.link->keeps_log = false;
    rig.link->batch = true;
    start();
    WAIT(rig.link->files >= 100);
    cancel(XFER_CANCELLED);
    WAIT(rig.done);
    assert_int_equal(rig.result.error.code, XFER_CANCELLED);
    assert_true(rig.link->files < 2000);
    assert_int_equal(sender_active(rig.sender), 0);
}

static void it_ends_only_when_all_has_ended(void **state)
{
    (void)state;
    make_small_tree();
    rig.link->silent = true;
    start();
    WAIT(rig.link->n_looks > 0);
    cancel(XFER_CANCELLED);
    settle();
    assert_false(rig.done);
    rig.link->silent = false;
    WAIT(rig.done);
    assert_int_equal(rig.result.error.code, XFER_CANCELLED);
}

/* ---- notes ---- */

static void it_waits_until_its_notes_are_taken(void **state)
{
    (void)state;
    make_many(1, 3000);
    for (int i = 0; i < 5; i++) {
        char path[16];

        snprintf(path, sizeof path, "fifo%d", i);
        assert_int_equal(mkfifo(at(path), 0600), 0);
    }
    rig.link->keeps_log = false;
    rig.holds_notes = true;
    start();
    for (unsigned told = 1; told <= 5; told++) {
        WAIT(rig.n_told == told);
        settle();
        assert_int_equal(rig.n_told, told);
        assert_false(rig.done);
        tree_go_on(rig.tree);
    }
    WAIT(rig.done);
    assert_counts(3005, 3000, 0, 5);
}

/* ---- attributes ---- */

static void give(const char *path, const char *name, const char *value)
{
    if (setxattr(at(path), name, value, strlen(value), 0) != 0)
        skip();
}

static void attributes_follow_the_meta_of_what_has_them(void **state)
{
    (void)state;
    make_small_tree();
    give("a/b/h", "user.a", "x");
    give("a", "user.b", "y");
    rig.request.file.preserve = PRESERVE_DEFAULT | PRESERVE_XATTR | PRESERVE_ACL;
    run_well();
    assert_before("META d/t/a/b/h", "ATTRS d/t/a/b/h");
    assert_before("META d/t/a", "ATTRS d/t/a");
    assert_before("STORED d/t/a/b/h", "ATTRS d/t/a");
    assert_int_equal(fake_logged(rig.link, "ATTRS d/t/f"), -1);
    assert_int_equal(fake_logged(rig.link, "ATTRS d/t/a/b"), -1);
}

static void attributes_that_are_not_asked_for_stay(void **state)
{
    (void)state;
    make_small_tree();
    give("a", "user.b", "y");
    run_well();
    assert_int_equal(fake_logged(rig.link, "ATTRS d/t/a"), -1);
}

/* ---- rates ---- */

static void the_rate_of_a_job_is_that_of_all_its_files(void **state)
{
    double begin = now();
    char content[3001];

    (void)state;
    memset(content, 'x', 3000);
    content[3000] = '\0';
    for (int i = 0; i < 4; i++) {
        char path[16];

        snprintf(path, sizeof path, "f%d", i);
        make_file(path, content);
    }
    rig.request.file.bandwidth = 20000; /* of 12000 bytes 4000 go at once */
    start();
    WAIT(tree_is_throttled(rig.tree));
    WAIT(rig.done);
    assert_int_equal(rig.result.error.code, XFER_OK);
    assert_true(now() - begin > 0.35);
}

#define T(test) cmocka_unit_test_setup_teardown(test, start_rig, stop_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(everything_arrives),
        T(a_directory_is_made_before_what_is_in_it),
        T(a_directory_is_finished_after_what_is_in_it),
        T(directories_get_their_mode_and_time),
        T(an_empty_tree_is_a_directory),
        T(the_receiving_root_may_be_the_place),
        T(files_of_new_directories_are_not_asked_about),
        T(the_first_attempt_begins_and_a_second_looks_since_then),
        T(one_that_fails_does_not_keep_the_others_back),
        T(what_was_stored_may_have_warnings),
        T(special_files_are_warned_of),
        T(a_file_in_the_place_of_a_directory_fails_that_one),
        T(a_directory_that_cannot_be_made_is_left_out_with_all_in_it),
        T(the_whole_fails_where_its_top_cannot_be_made),
        T(the_whole_fails_where_its_source_is_not_there),
        T(the_whole_fails_with_the_peer),
        T(names_of_the_receiver_itself_fail),
        T(paths_that_become_too_long_fail),
        T(a_second_attempt_sends_only_what_is_missing),
        T(a_file_has_its_own_number_in_each_attempt),
        T(what_was_there_before_the_job_is_no_work_of_it),
        T(another_attempt_asks_for_what_is_on_disk_however_it_replaces),
        T(changed_sends_only_what_differs),
        T(another_mode_counts_as_changed),
        T(never_leaves_what_is_there),
        T(never_counts_one_that_came_meanwhile_as_skipped),
        T(newer_replaces_only_what_is_older),
        T(with_a_checksum_the_content_is_compared),
        T(symbolic_links_to_elsewhere_count_by_their_target),
        T(a_dry_run_changes_nothing_and_tells_the_plan),
        T(a_dry_run_tells_what_would_be_replaced_and_kept),
        T(names_of_one_inode_are_sent_once),
        T(they_wait_for_the_first_even_where_it_is_held_back),
        T(without_links_each_name_is_a_file),
        T(where_the_first_name_fails_the_next_is_sent),
        T(links_that_are_there_send_nothing),
        T(names_outside_of_the_tree_do_not_matter),
        T(an_inode_that_is_another_file_by_then_is_no_other_name_of_it),
        T(a_name_that_is_listed_twice_is_no_other_name),
        T(an_empty_path_in_a_list_fails_by_itself),
        T(a_directory_that_locks_out_is_over_before_a_list_comes_back_to_it),
        T(a_file_is_a_tree_of_its_own),
        T(a_file_that_is_not_to_be_replaced_is_an_error_of_the_whole),
        T(a_file_that_was_handed_over_is_read_by_its_descriptor),
        T(a_handle_that_is_lost_is_told_so),
        T(a_dry_run_of_a_file_tells_one_line),
        T(what_is_under_way_is_bounded),
        T(a_second_run_asks_in_large_questions),
        T(what_is_held_back_is_called_for_at_the_end),
        T(nothing_is_called_for_where_nothing_is_held_back),
        T(many_directories_are_no_problem),
        T(so_are_deep_ones),
        T(it_can_be_stopped_at_once),
        T(it_can_be_stopped_in_its_midst),
        T(it_ends_only_when_all_has_ended),
        T(it_waits_until_its_notes_are_taken),
        T(attributes_follow_the_meta_of_what_has_them),
        T(attributes_that_are_not_asked_for_stay),
        T(the_rate_of_a_job_is_that_of_all_its_files),
    };

    return cmocka_run_group_tests_name("tree", tests, NULL, NULL);
}
