/* SPDX-License-Identifier: MIT
 *
 * Databases that are not what they should be: each is refused with a reason, and left as it was;
 * older ones are brought up to date.
 */
#include "tests/unit/queue_db_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

/* Change the database with SQLite's own means. */
static void sql(const char *path, const char *text)
{
    sqlite3 *db;
    char *why = NULL;

    assert_int_equal(
        sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, disk.real->zName),
        SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s", why);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void write_file(const char *path, long at, const void *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, n, at), n);
    close(fd);
}

static char *read_file(const char *path, size_t *n)
{
    char *bytes;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    *n = (size_t)st.st_size;
    bytes = malloc(*n + 1);
    assert_non_null(bytes);
    assert_int_equal(read(fd, bytes, *n), st.st_size);
    close(fd);
    return bytes;
}

/* Opening fails so, names the file, says that, and changes nothing. */
static void assert_refused(struct fixture *f, enum xfer_code code, const char *says)
{
    struct xfer_error err = XFER_ERROR_INIT;
    size_t n_before, n_after;
    char *before = read_file(f->path, &n_before), *after;

    assert_int_equal(try_open(f, &err), -1);
    assert_int_equal(err.code, code);
    assert_int_equal(err.side, XFER_SIDE_DAEMON);
    assert_string_equal(err.path, f->path);
    assert_non_null(strstr(err.text, f->path));
    assert_non_null(strstr(err.text, says));
    after = read_file(f->path, &n_after);
    assert_int_equal(n_before, n_after);
    assert_memory_equal(before, after, n_before);
    free(before);
    free(after);
}

/* A database with these jobs, closed. */
static void make(struct fixture *f, int64_t n_jobs)
{
    open_db(f);
    for (int64_t id = 1; id <= n_jobs; id++)
        insert(f, id % 2 ? new_row(id) : ended_row(id, id, JOB_DONE));
    close_db(f);
}

/* ---- not ours ---------------------------------------------------------------------------------
 */

static void one_of_a_newer_version_is_refused(void **state)
{
    struct fixture *f = *state;

    make(f, 1);
    sql(f->path, "PRAGMA user_version = 1000");
    assert_refused(f, XFER_CONFIG, "use the newer xferd");
}

static void another_programs_is_refused(void **state)
{
    struct fixture *f = *state;

    sql(f->path, "PRAGMA application_id = 17; CREATE TABLE t (x)");
    assert_refused(f, XFER_CONFIG, "another program");
}

static void one_with_tables_of_no_known_program_is_refused(void **state)
{
    struct fixture *f = *state;

    sql(f->path, "CREATE TABLE jobs (x); INSERT INTO jobs VALUES (1)");
    assert_refused(f, XFER_CONFIG, "another program");
}

static void a_text_is_refused(void **state)
{
    struct fixture *f = *state;
    char text[5000];

    memset(text, 'x', sizeof text);
    write_file(f->path, 0, text, sizeof text);
    assert_refused(f, XFER_CONFIG, "move it and its -wal file away");
}

static void a_directory_is_refused(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;

    assert_int_equal(mkdir(f->path, 0700), 0);
    assert_int_equal(try_open(f, &err), -1);
    assert_int_equal(err.code, XFER_IS_DIRECTORY);
    assert_non_null(strstr(err.text, f->path));
    rmdir(f->path);
}

static void what_is_no_file_is_refused(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;

    assert_int_equal(mkfifo(f->path, 0600), 0);
    assert_int_equal(try_open(f, &err), -1);
    assert_int_equal(err.code, XFER_NOT_REGULAR);
}

static void a_relative_path_is_refused(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;

    f->options.path = "queue.db";
    assert_int_equal(try_open(f, &err), -1);
    assert_int_equal(err.code, XFER_CONFIG);
}

static void a_path_that_is_too_long_is_refused(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    char path[XFER_PATH_SIZE + 10];

    memset(path, 'x', sizeof path - 1);
    for (size_t i = 0; i < sizeof path; i += 100)
        path[i] = '/';
    path[sizeof path - 1] = '\0';
    f->options.path = path;
    assert_int_equal(try_open(f, &err), -1);
    assert_int_equal(err.code, XFER_NAME_TOO_LONG);
}

/* ---- damage -----------------------------------------------------------------------------------
 */

static void a_broken_header_is_refused(void **state)
{
    struct fixture *f = *state;

    make(f, 1);
    write_file(f->path, 0, "\0\0\0\0", 4);
    assert_refused(f, XFER_CONFIG, "damaged");
}

static void a_broken_page_is_refused(void **state)
{
    struct fixture *f = *state;
    char noise[4096];
    size_t n;

    make(f, 200);
    free(read_file(f->path, &n));
    memset(noise, 0x5a, sizeof noise);
    for (size_t page = 1; page < n / sizeof noise; page += 3) {
        char *whole = read_file(f->path, &n);

        write_file(f->path, (long)(page * sizeof noise), noise, sizeof noise);
        assert_refused(f, XFER_CONFIG, "damaged");
        write_file(f->path, 0, whole, n);
        free(whole);
    }
}

static void a_file_that_was_cut_is_refused(void **state)
{
    struct fixture *f = *state;
    size_t n;

    make(f, 200);
    free(read_file(f->path, &n));
    assert_int_equal(truncate(f->path, (off_t)(n - 4096)), 0);
    assert_refused(f, XFER_CONFIG, "damaged");
}

static void a_value_that_cannot_be_is_refused(void **state)
{
    static const struct {
        const char *column, *value;
    } bad[] = {
        {"id", "-1"},
        {"position", "-1"},
        {"position", "'x'"},
        {"state", "1"},
        {"state", "2"}, /* done, but without an end */
        {"state", "9"},
        {"owner", "-1"},
        {"owner", "4294967296"},
        {"priority", "101"},
        {"priority", "4294967296"},
        {"overwrite", "4"},
        {"sync", "4"},
        {"retries", "-1"},
        {"source", "'text'"},
        {"source", "x''"},
        {"source", "x'2f610062'"},
        {"source", "zeroblob(100) || randomblob(5000)"},
        {"dest", "7"},
        {"key", "x'61'"},
        {"key", "''"},
        {"key", "printf('%300d', 1)"},
        {"attempts", "-1"},
        {"failures", "1.5"},
        {"not_before", "-1"},
        {"not_before", "9e999"},
        {"submitted_at", "'x'"},
        {"started_at", "-1"},
        {"finished_at", "1e13"},
        {"bytes_total", "-1"},
        {"bytes_done", "-1"},
        {"bytes_resumed", "-1"},
        {"digest", "x'00'"},
        {"error_errno", "-1"},
        {"error_text", "printf('%2000d', 1)"},
        {"error_path", "5"},
        {"preserve", "128"},
        {"filter", "x'2d2061'"}, /* no NUL at its end */
        {"filter", "x'2d20610000'"},
        {"filter", "x''"},
        {"filter", "'- a'"},
        {"flags", "8"},
        {"list", "x'61'"},
        {"tree", "2"},
        {"files_total", "-1"},
        {"files_done", "-1"},
        {"files_failed", "'x'"},
        {"files_skipped", "-1"},
        {"errors", "-1"},
        {"warnings", "1.5"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char change[200];

        make(f, 1);
        snprintf(change, sizeof change, "UPDATE jobs SET %s = %s", bad[i].column, bad[i].value);
        sql(f->path, change);
        assert_refused(f, XFER_CONFIG, bad[i].column);
        assert_int_equal(unlink(f->path), 0);
    }
}

static void a_finished_job_that_cannot_be_is_told_when_it_is_read(void **state)
{
    struct fixture *f = *state;
    struct request r = {.op = {.kind = QUEUE_DB_FETCH, .id = 2}};

    make(f, 2);
    sql(f->path, "UPDATE jobs SET sync = 5 WHERE id = 2");
    f->recent = 0;
    open_db(f);
    give(f, &r);
    await(f, &r);
    assert_int_equal(r.op.error.code, XFER_IO);
    assert_null(r.op.row);
    assert_non_null(strstr(r.op.error.text, "sync of job 2"));
    assert_true(is_there(f, 1));
}

static void a_lost_job_number_is_refused(void **state)
{
    struct fixture *f = *state;

    make(f, 3);
    sql(f->path, "UPDATE sqlite_sequence SET seq = 2");
    assert_refused(f, XFER_CONFIG, "last job number");
}

static void a_lost_queue_id_is_refused(void **state)
{
    struct fixture *f = *state;

    make(f, 1);
    sql(f->path, "DELETE FROM meta WHERE name = 'queue_id'");
    assert_refused(f, XFER_CONFIG, "queue id");
}

static void a_log_without_its_database_is_refused(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    char log[160];

    snprintf(log, sizeof log, "%s-wal", f->path);
    write_file(log, 0, "jobs", 4);
    assert_int_equal(try_open(f, &err), -1);
    assert_int_equal(err.code, XFER_CONFIG);
    assert_non_null(strstr(err.text, log));
    assert_int_equal(access(log, F_OK), 0);
    assert_int_not_equal(access(f->path, F_OK), 0);
}

static void an_empty_file_becomes_a_database(void **state)
{
    struct fixture *f = *state;

    write_file(f->path, 0, "", 0);
    open_db(f);
    insert(f, new_row(1));
}

/* ---- disks and rights -------------------------------------------------------------------------
 */

/* In a child: what the opening says as somebody else. The exit status is the code. */
static enum xfer_code open_as_nobody(struct fixture *f)
{
    struct xfer_error err = XFER_ERROR_INIT;
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(255);
        if (try_open(f, &err) == 0)
            _exit(254);
        _exit(strstr(err.text, f->path) != NULL ? (int)err.code : 253);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return (enum xfer_code)WEXITSTATUS(status);
}

static void one_that_may_not_be_written_is_refused(void **state)
{
    struct fixture *f = *state;

    make(f, 1);
    assert_int_equal(chmod(f->dir, 0755), 0);
    assert_int_equal(chmod(f->path, 0444), 0);
    assert_int_equal(open_as_nobody(f), XFER_PERMISSION_DENIED);
}

static void one_in_a_directory_that_may_not_be_written_is_refused(void **state)
{
    struct fixture *f = *state;

    make(f, 1);
    assert_int_equal(chmod(f->path, 0666), 0);
    assert_int_equal(chmod(f->dir, 0555), 0);
    assert_int_equal(open_as_nobody(f), XFER_READ_ONLY);
    chmod(f->dir, 0755);
}

static void one_that_cannot_be_made_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(chmod(f->dir, 0555), 0);
    assert_int_equal(open_as_nobody(f), XFER_PERMISSION_DENIED);
    chmod(f->dir, 0755);
}

static void one_on_a_read_only_file_system_is_refused(void **state)
{
    struct fixture *f = *state;
    int status;
    pid_t pid;

    make(f, 1);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct xfer_error err = XFER_ERROR_INIT;

        if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0 ||
            mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount(f->dir, f->dir, "none", MS_BIND, NULL) != 0 ||
            mount("none", f->dir, "none", MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) != 0)
            _exit(255);
        _exit(try_open(f, &err) == 0 ? 254 : (int)err.code);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 255)
        skip();
    assert_int_equal(WEXITSTATUS(status), XFER_READ_ONLY);
}

static void a_full_disk_is_told(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;

    atomic_store(&disk.fail_main_writes, 1000);
    assert_int_equal(try_open(f, &err), -1);
    assert_int_equal(err.code, XFER_NO_SPACE);
    assert_non_null(strstr(err.text, "make room"));
    disk_heal();
    open_db(f); /* what was left half made is no harm */
}

/* ---- locked -----------------------------------------------------------------------------------
 */

struct holder {
    pid_t pid;
    int to, from;
};

/* Another process has it open until it is told. */
static void start_holder(struct fixture *f, struct holder *h)
{
    int to[2], from[2];
    char c;

    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    h->pid = fork();
    assert_true(h->pid >= 0);
    if (h->pid == 0) {
        close(to[1]);
        open_db(f);
        if (write(from[1], "x", 1) != 1 || read(to[0], &c, 1) < 0)
            _exit(1);
        usleep(200000); /* that the other one really has to wait */
        _exit(0);
    }
    close(to[0]);
    close(from[1]);
    h->to = to[1];
    h->from = from[0];
    assert_int_equal(read(h->from, &c, 1), 1);
}

static void end_holder(struct holder *h)
{
    int status;

    close(h->to);
    close(h->from);
    assert_int_equal(waitpid(h->pid, &status, 0), h->pid);
}

static void one_that_another_daemon_has_is_refused_with_its_process_id(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    struct holder h;
    char pid[40];

    make(f, 1);
    start_holder(f, &h);
    assert_int_equal(try_open(f, &err), -1);
    assert_int_equal(err.code, XFER_TOO_BUSY);
    snprintf(pid, sizeof pid, "process %ld:", (long)h.pid);
    assert_non_null(strstr(err.text, pid));
    assert_non_null(strstr(err.text, f->path));
    end_holder(&h);
    open_db(f);
    assert_int_equal(f->n_loaded, 1);
}

static void a_former_daemon_is_waited_for(void **state)
{
    struct fixture *f = *state;
    struct holder h;

    start_holder(f, &h);
    f->options.lock_wait = 60;
    assert_int_equal(write(h.to, "x", 1), 1);
    open_db(f);
    end_holder(&h);
}

static void two_that_make_the_same_database_do_not_hinder_each_other(void **state)
{
    struct fixture *f = *state;
    pid_t pids[4];

    f->options.lock_wait = 60;
    for (int i = 0; i < 4; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            open_db(f);
            insert(f, new_row(i + 1));
            close_db(f);
            _exit(0);
        }
    }
    for (int i = 0; i < 4; i++) {
        int status;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    open_db(f);
    assert_int_equal(f->n_loaded, 4);
}

/* ---- older ones -------------------------------------------------------------------------------
 */

/* How the third version differs from the first. */
static const char since_version_1[] =
    "CREATE INDEX jobs_unfinished ON jobs (position) WHERE ended = 0;"
    "CREATE INDEX jobs_ended ON jobs (ended) WHERE ended > 0;"
    "CREATE INDEX jobs_state ON jobs (state) WHERE ended > 0;"
    "CREATE INDEX jobs_state_ended ON jobs (state, ended) WHERE ended > 0;"
    "CREATE INDEX jobs_owner ON jobs (owner, state) WHERE ended > 0;"
    "CREATE INDEX jobs_owner_ended ON jobs (owner, state, ended) WHERE ended > 0;"
    "ALTER TABLE jobs ADD COLUMN gid INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN groups BLOB;"
    "ALTER TABLE jobs ADD COLUMN bandwidth INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN handle INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN handle_dev INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN handle_ino INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE jobs ADD COLUMN stored BLOB;"
    "UPDATE jobs SET gid = 7, groups = x'05000000', bandwidth = 9, stored = x'61' WHERE id = 6;"
    "PRAGMA user_version = 3;";

/* As the first version made it, with two jobs. */
static const char version_1[] =
    "CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, position INTEGER NOT NULL,"
    " state INTEGER NOT NULL, ended INTEGER NOT NULL, owner INTEGER NOT NULL,"
    " priority INTEGER NOT NULL, overwrite INTEGER NOT NULL, sync INTEGER NOT NULL,"
    " retries INTEGER NOT NULL, source BLOB NOT NULL, dest BLOB NOT NULL, key TEXT,"
    " attempts INTEGER NOT NULL, failures INTEGER NOT NULL, not_before REAL NOT NULL,"
    " submitted_at REAL NOT NULL, started_at REAL NOT NULL, finished_at REAL NOT NULL,"
    " bytes_total INTEGER NOT NULL, bytes_done INTEGER NOT NULL, bytes_resumed INTEGER NOT NULL,"
    " digest BLOB, error TEXT, error_side TEXT, error_errno INTEGER NOT NULL, error_text TEXT,"
    " error_path BLOB);"
    "CREATE UNIQUE INDEX jobs_key ON jobs (owner, key) WHERE key IS NOT NULL;"
    "INSERT INTO meta VALUES ('queue_id', x'000102030405060708090a0b0c0d0e0f'), ('paused', 1),"
    " ('draining', 3), ('last_ended', 44);"
    "INSERT INTO jobs VALUES (5, 5, 0, 0, 1000, 7, 1, 2, 3, x'2f61', x'62', 'k', 1, 1, 1.5, 2.5,"
    " 3.5, 0, 9, 8, 7, NULL, 'NoSpace', 'receiver', 28, 'no room', x'2f63');"
    "INSERT INTO jobs VALUES (6, 6, 2, 40, 1000, 0, 0, 0, 3, x'2f64', x'65', NULL, 1, 0, 0, 2.5,"
    " 3.5, 4.5, 9, 9, 0, zeroblob(16), NULL, NULL, 0, NULL, NULL);"
    "INSERT INTO jobs SELECT 20, 20, state, 41, owner, priority, overwrite, sync, retries, source,"
    " dest, key, attempts, failures, not_before, submitted_at, started_at, finished_at,"
    " bytes_total, bytes_done, bytes_resumed, digest, error, error_side, error_errno, error_text,"
    " error_path FROM jobs WHERE id = 6;"
    "DELETE FROM jobs WHERE id = 20;"
    "PRAGMA application_id = 2019976562;"
    "PRAGMA user_version = 1;";

static void assert_as_in_version_1(struct fixture *f)
{
    assert_int_equal(f->n_loaded, 2);
    assert_int_equal(f->loaded[0]->id, 5);
    assert_int_equal(f->loaded[0]->priority, 7);
    assert_int_equal(f->loaded[0]->error_code, XFER_NO_SPACE);
    assert_string_equal(f->loaded[0]->key, "k");
    assert_int_equal(f->loaded[0]->n_groups, -1);
    assert_false(f->loaded[0]->handle);
    assert_null(f->loaded[0]->stored);
    assert_int_equal(f->loaded[1]->id, 6);
    assert_int_equal(f->loaded[1]->state, JOB_DONE);
    assert_true(f->loaded[1]->has_digest);
    assert_int_equal(f->state.counts[JOB_DONE], 1);
    assert_int_equal(f->state.last_id, 20);
    assert_int_equal(f->state.last_ended, 44);
    assert_int_equal(f->state.queue_id[15], 15);
    assert_true(f->state.paused);
    assert_int_equal(f->state.draining, 3);
}

static void an_older_one_is_brought_up_to_date(void **state)
{
    struct fixture *f = *state;

    sql(f->path, version_1);
    open_db(f);
    assert_as_in_version_1(f);
    update(f, ended_row(5, 45, JOB_DONE));
    close_db(f);
    open_db(f);
    assert_int_equal(f->n_loaded, 2);
    assert_int_equal(f->state.counts[JOB_DONE], 2);
}

static void one_of_before_trees_is_brought_up_to_date(void **state)
{
    struct fixture *f = *state;
    struct request r = {.op = {.kind = QUEUE_DB_NOTE, .id = 6, .n_notes = 1}};

    sql(f->path, version_1);
    sql(f->path, since_version_1);
    open_db(f);
    assert_int_equal(f->n_loaded, 2);
    assert_int_equal(f->loaded[1]->gid, 7);
    assert_int_equal(f->loaded[1]->n_groups, 1);
    assert_string_equal(f->loaded[1]->stored, "a");
    for (int i = 0; i < 2; i++) {
        const struct queue_row *row = f->loaded[i];

        assert_int_equal(row->preserve, PRESERVE_DEFAULT);
        assert_int_equal(row->filter.n, 0);
        assert_false(row->dry_run || row->checksum || row->one_file_system || row->tree);
        assert_null(row->list);
        assert_int_equal(row->files_total + row->errors + row->warnings, 0);
    }
    r.op.notes = calloc(1, sizeof *r.op.notes);
    r.op.notes[0].n = 1;
    r.op.notes[0].path = text_copy("a");
    r.op.notes[0].text = text_copy("why");
    give(f, &r);
    await(f, &r);
    assert_int_equal(r.op.error.code, XFER_OK);
    queue_notes_free(r.op.notes, 1);
}

static void a_migration_that_fails_leaves_the_old_one(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;

    sql(f->path, version_1);
    atomic_store(&disk.fail_writes, 1000);
    assert_int_equal(try_open(f, &err), -1);
    assert_int_equal(err.code, XFER_NO_SPACE);
    disk_heal();
    open_db(f);
    assert_as_in_version_1(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_of_a_newer_version_is_refused),
        TEST(another_programs_is_refused),
        TEST(one_with_tables_of_no_known_program_is_refused),
        TEST(a_text_is_refused),
        TEST(a_directory_is_refused),
        TEST(what_is_no_file_is_refused),
        TEST(a_relative_path_is_refused),
        TEST(a_path_that_is_too_long_is_refused),
        TEST(a_broken_header_is_refused),
        TEST(a_broken_page_is_refused),
        TEST(a_file_that_was_cut_is_refused),
        TEST(a_value_that_cannot_be_is_refused),
        TEST(a_finished_job_that_cannot_be_is_told_when_it_is_read),
        TEST(a_lost_job_number_is_refused),
        TEST(a_lost_queue_id_is_refused),
        TEST(a_log_without_its_database_is_refused),
        TEST(an_empty_file_becomes_a_database),
        TEST(one_that_may_not_be_written_is_refused),
        TEST(one_in_a_directory_that_may_not_be_written_is_refused),
        TEST(one_that_cannot_be_made_is_refused),
        TEST(one_on_a_read_only_file_system_is_refused),
        TEST(a_full_disk_is_told),
        TEST(one_that_another_daemon_has_is_refused_with_its_process_id),
        TEST(a_former_daemon_is_waited_for),
        TEST(two_that_make_the_same_database_do_not_hinder_each_other),
        TEST(an_older_one_is_brought_up_to_date),
        TEST(one_of_before_trees_is_brought_up_to_date),
        TEST(a_migration_that_fails_leaves_the_old_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
