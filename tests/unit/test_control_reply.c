/* SPDX-License-Identifier: MIT
 *
 * Replies and notifications: the text that is written, and that xferctl reads the same out of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <cmocka.h>

#include "proto/control_reply.h"
#include "proto/control_scan.h"

static void assert_holds(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("%s is not in %s", part, text);
}

static void assert_json(const char *text)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct json_facts facts;

    assert_non_null(text);
    assert_null(strchr(text, '\n'));
    if (json_scan(text, strlen(text), &facts, &err) == -1)
        fail_msg("%s: %s", text, err.text);
}

/* Borrowed strings, as the daemon has them. */
static char phase[] = "sending", reason[] = "waiting for tag", source[] = "/data/a b\n",
            dest[] = "in/a";
static char host[] = "node1", path[] = "/srv/in/a", key[] = "k1", raw_source[] = "/data/\xff\xfe",
            empty[] = "";

static struct control_job example(void)
{
    struct control_job job = {
        .job = 12,
        .state = JOB_RUNNING,
        .phase = phase,
        .reason = reason,
        .source = source,
        .dest = dest,
        .dest_host = host,
        .dest_path = path,
        .bytes_total = INT64_C(1000000000000000),
        .bytes_done = 5,
        .bytes_resumed = 1,
        .files_total = 4,
        .files_done = 1,
        .files_failed = 2,
        .files_skipped = 3,
        .rate = 1234.5,
        .has_digest = true,
        .attempts = 2,
        .retries = 1000000,
        .not_before = 1700000000.25,
        .priority = -7,
        .key = key,
        .existing = true,
        .submitted_at = 1700000000.123456,
        .started_at = 1700000001,
        .finished_at = 0,
        .uid = 1000,
        .exit_code = 6,
    };

    for (int i = 0; i < XFER_DIGEST_SIZE; i++)
        job.digest[i] = (unsigned char)(i * 17);
    return job;
}

static void a_job_comes_back_the_same(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT, why = XFER_ERROR_INIT;
    struct control_job job = example(), back;

    (void)state;
    error_set(&why, XFER_DESTINATION_EXISTS, "it is there");
    why.sys_errno = 17;
    error_about(&why, XFER_SIDE_RECEIVER, "/srv/\xff");
    job.error = &why;
    char *text = control_job_encode(&job);
    assert_json(text);
    assert_int_equal(control_job_parse(text, &back, &err), 0);
    free(text);

    assert_int_equal(back.job, 12);
    assert_int_equal(back.state, JOB_RUNNING);
    assert_string_equal(back.phase, phase);
    assert_string_equal(back.reason, reason);
    assert_string_equal(back.source, source);
    assert_string_equal(back.dest, dest);
    assert_string_equal(back.dest_host, host);
    assert_string_equal(back.dest_path, path);
    assert_int_equal(back.bytes_total, INT64_C(1000000000000000));
    assert_int_equal(back.bytes_done, 5);
    assert_int_equal(back.bytes_resumed, 1);
    assert_int_equal(back.files_total, 4);
    assert_int_equal(back.files_done, 1);
    assert_int_equal(back.files_failed, 2);
    assert_int_equal(back.files_skipped, 3);
    assert_true(back.rate == 1234.5);
    assert_true(back.has_digest);
    assert_memory_equal(back.digest, job.digest, XFER_DIGEST_SIZE);
    assert_int_equal(back.attempts, 2);
    assert_int_equal(back.retries, 1000000);
    assert_true(back.not_before == 1700000000.25);
    assert_int_equal(back.priority, -7);
    assert_string_equal(back.key, key);
    assert_true(back.existing);
    assert_true(fabs(back.submitted_at - 1700000000.123456) < 2e-6);
    assert_true(back.started_at == 1700000001);
    assert_true(back.finished_at == 0);
    assert_int_equal(back.uid, 1000);
    assert_int_equal(back.exit_code, 6);
    assert_int_equal(back.error->code, XFER_DESTINATION_EXISTS);
    assert_int_equal(back.error->side, XFER_SIDE_RECEIVER);
    assert_int_equal(back.error->sys_errno, 17);
    assert_string_equal(back.error->text, "it is there");
    assert_string_equal(back.error->path, "/srv/\xff");
    control_job_free(&back);
}

static void a_job_of_a_tree_comes_back_the_same(void **state)
{
    static char list[] = "mode,owner", rule[] = "- *.o", bad[] = "a/b\xff", top[] = "",
                why[] = "why", other[] = "no such thing here";
    char *rules[] = {rule};
    struct control_note errors[] = {
        {.path = bad,
         .code = XFER_NO_SUCH_FILE,
         .side = XFER_SIDE_SENDER,
         .sys_errno = 2,
         .message = why},
        {.path = top, .code = XFER_IO, .message = other},
    };
    struct control_note warnings[] = {
        {.path = bad,
         .code = XFER_PERMISSION_DENIED,
         .side = XFER_SIDE_RECEIVER,
         .sys_errno = 1,
         .message = why},
    };
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_job job = example(), back;

    (void)state;
    job.walking = job.dry_run = job.checksum = job.one_file_system = true;
    job.preserve = list;
    job.filter = (struct control_strings){rules, 1};
    job.errors = (struct control_notes){.list = errors, .n = 2};
    job.warnings = (struct control_notes){.list = warnings, .n = 1};
    job.warnings_total = 17;
    char *text = control_job_encode(&job);
    assert_json(text);
    assert_int_equal(control_job_parse(text, &back, &err), 0);
    free(text);
    assert_true(back.walking && back.dry_run && back.checksum && back.one_file_system);
    assert_string_equal(back.preserve, list);
    assert_int_equal(back.filter.n, 1);
    assert_string_equal(back.filter.list[0], rule);
    assert_int_equal(back.errors.n, 2);
    assert_string_equal(back.errors.list[0].path, bad);
    assert_int_equal(back.errors.list[0].code, XFER_NO_SUCH_FILE);
    assert_int_equal(back.errors.list[0].side, XFER_SIDE_SENDER);
    assert_int_equal(back.errors.list[0].sys_errno, 2);
    assert_string_equal(back.errors.list[0].message, why);
    assert_string_equal(back.errors.list[1].path, "");
    assert_int_equal(back.errors.list[1].code, XFER_IO);
    assert_int_equal(back.errors.list[1].side, XFER_SIDE_NONE);
    assert_int_equal(back.errors.list[1].sys_errno, 0);
    assert_int_equal(back.warnings.n, 1);
    assert_int_equal(back.warnings.list[0].side, XFER_SIDE_RECEIVER);
    assert_int_equal(back.warnings_total, 17);
    control_job_free(&back);
}

static void a_page_of_errors_comes_back_the_same(void **state)
{
    static char bad[] = "\xff\xfe", good[] = "x", why[] = "why";
    struct control_note list[] = {
        {.n = 7, .path = bad, .code = XFER_SOURCE_CHANGED, .message = why},
        {.n = 9,
         .warning = true,
         .path = good,
         .code = XFER_NOT_REGULAR,
         .side = XFER_SIDE_SENDER,
         .message = why},
    };
    struct control_notes page = {.list = list, .n = 2, .more = true}, back;
    struct xfer_error err = XFER_ERROR_INIT;
    char *text = control_notes_encode(&page);

    (void)state;
    assert_json(text);
    assert_holds(text, "\"path_b64\":");
    assert_holds(text, "\"kind\":\"error\"");
    assert_holds(text, "\"kind\":\"warning\"");
    assert_holds(text, "\"name\":\"SourceChanged\"");
    assert_int_equal(control_notes_parse(text, &back, &err), 0);
    free(text);
    assert_true(back.more);
    assert_int_equal(back.n, 2);
    assert_int_equal(back.list[0].n, 7);
    assert_false(back.list[0].warning);
    assert_string_equal(back.list[0].path, bad);
    assert_int_equal(back.list[1].n, 9);
    assert_true(back.list[1].warning);
    assert_int_equal(back.list[1].code, XFER_NOT_REGULAR);
    assert_int_equal(back.list[1].side, XFER_SIDE_SENDER);
    control_notes_free(&back);
}

static void a_page_of_a_plan_comes_back_the_same(void **state)
{
    static char send[] = "send", keep[] = "keep", file[] = "file", link[] = "link", a[] = "d/a",
                b[] = "\xff";
    struct control_plan_entry list[] = {
        {.n = 1, .action = send, .type = file, .path = a, .size = INT64_C(1) << 50},
        {.n = 2, .action = keep, .type = link, .path = b},
    };
    struct control_plan page = {.list = list, .n = 2}, back;
    struct xfer_error err = XFER_ERROR_INIT;
    char *text = control_plan_encode(&page);

    (void)state;
    assert_json(text);
    assert_int_equal(control_plan_parse(text, &back, &err), 0);
    free(text);
    assert_false(back.more);
    assert_int_equal(back.n, 2);
    assert_int_equal(back.list[0].n, 1);
    assert_string_equal(back.list[0].action, send);
    assert_string_equal(back.list[0].type, file);
    assert_string_equal(back.list[0].path, a);
    assert_int_equal(back.list[0].size, INT64_C(1) << 50);
    assert_string_equal(back.list[1].action, keep);
    assert_string_equal(back.list[1].type, link);
    assert_string_equal(back.list[1].path, b);
    control_plan_free(&back);
}

static void broken_pages_are_a_protocol_error(void **state)
{
    static const char *const errors[] = {"[]",
                                         "{}",
                                         "{\"errors\":{}}",
                                         "{\"errors\":[1]}",
                                         "{\"errors\":[{\"path\":1}]}",
                                         "{\"errors\":[{\"n\":\"1\"}]}",
                                         "{\"errors\":[],\"more\":1}"};
    static const char *const plans[] = {"[]",
                                        "{}",
                                        "{\"entries\":7}",
                                        "{\"entries\":[\"x\"]}",
                                        "{\"entries\":[{\"size\":null}]}",
                                        "{\"entries\":[{\"action\":3}]}",
                                        "{\"entries\":[],\"more\":null}"};
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_notes notes;
    struct control_plan plan;

    (void)state;
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        assert_int_equal(control_notes_parse(errors[i], &notes, &err), -1);
        assert_int_equal(err.code, XFER_PROTOCOL);
        assert_null(notes.list);
    }
    for (size_t i = 0; i < sizeof(plans) / sizeof(*plans); i++) {
        assert_int_equal(control_plan_parse(plans[i], &plan, &err), -1);
        assert_int_equal(err.code, XFER_PROTOCOL);
        assert_null(plan.list);
    }
}

static void a_destination_beneath_a_long_root_comes_back(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_job job = example(), back;
    char long_path[2 * (XFER_PATH_SIZE - 1) + 1];

    (void)state;
    for (int c = 'a'; c != 0; c = c == 'a' ? 0xff : 0) { /* as text and as base64 */
        memset(long_path, c, sizeof long_path - 1);
        long_path[sizeof long_path - 1] = '\0';
        job.dest_path = long_path;
        char *text = control_job_encode(&job);
        assert_int_equal(control_job_parse(text, &back, &err), 0);
        free(text);
        assert_string_equal(back.dest_path, long_path);
        control_job_free(&back);
    }
}

static void a_job_has_every_member_of_the_protocol(void **state)
{
    static const char *const names[] = {
        "job",           "state",       "phase",      "reason",       "source",
        "dest",          "dest_host",   "dest_path",  "bytes_total",  "bytes_done",
        "bytes_resumed", "files_total", "files_done", "files_failed", "files_skipped",
        "rate",          "digest",      "attempts",   "retries",      "not_before",
        "priority",      "key",         "existing",   "submitted_at", "started_at",
        "finished_at",   "uid",         "handle",     "exit_code",    "error",
        "warnings",      "bandwidth",   "errors",     "walking",      "warnings_total",
        "preserve",      "filter",      "dry_run",    "checksum",     "one_file_system",
        "files_from",
    };
    struct control_job job = {.job = 1};
    char *text = control_job_encode(&job);
    struct json_slice value;

    (void)state;
    assert_json(text);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (!json_member(text, strlen(text), names[i], &value))
            fail_msg("no member %s in %s", names[i], text);
    free(text);
}

static void what_a_job_has_not_is_null(void **state)
{
    struct control_job job = {.job = 1,
                              .state = JOB_QUEUED,
                              .phase = phase,
                              .source = source,
                              .dest = dest,
                              .dest_host = empty};
    char *text = control_job_encode(&job);

    (void)state;
    assert_holds(text, "\"reason\":null");
    assert_holds(text, "\"digest\":null");
    assert_holds(text, "\"not_before\":null");
    assert_holds(text, "\"key\":null");
    assert_holds(text, "\"started_at\":null");
    assert_holds(text, "\"finished_at\":null");
    assert_holds(text, "\"error\":null");
    assert_holds(text, "\"warnings\":[]");
    assert_holds(text, "\"dest_path\":\"\"");
    free(text);
}

static void a_queued_job_tells_why_its_last_attempt_failed(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT, why = XFER_ERROR_INIT;
    struct control_job job = example(), back;

    (void)state;
    error_set(&why, XFER_NO_SPACE, "no space left");
    job.state = JOB_QUEUED;
    job.exit_code = 0;
    job.error = &why;
    char *text = control_job_encode(&job);
    assert_json(text);
    assert_int_equal(control_job_parse(text, &back, &err), 0);
    free(text);
    assert_int_equal(back.state, JOB_QUEUED);
    assert_int_equal(back.exit_code, 0);
    assert_non_null(back.error);
    assert_int_equal(back.error->code, XFER_NO_SPACE);
    control_job_free(&back);
}

static void integers_are_printed_as_integers(void **state)
{
    struct control_job job = example();

    (void)state;
    job.bytes_done = XFER_INTEGER_MAX - 1;
    job.bytes_resumed = INT64_MAX;
    char *text = control_job_encode(&job);
    assert_holds(text, "\"bytes_total\":1000000000000000,");
    assert_holds(text, "\"bytes_done\":9007199254740991,");
    assert_holds(text, "\"bytes_resumed\":9007199254740991,");
    free(text);
}

static void numbers_are_finite_and_short(void **state)
{
    static const struct {
        double rate;
        const char *text;
    } cases[] = {
        {0, "\"rate\":0,"},
        {0.1, "\"rate\":0.1,"},
        {1234.5678915, "\"rate\":1234.567892,"},
        {-2.5, "\"rate\":-2.5,"},
        {-1e-9, "\"rate\":0,"},
        {100, "\"rate\":100,"},
        {3e15, "\"rate\":3000000000000000,"},
        {1e300, "\"rate\":9007199254740991,"},
        {-1e300, "\"rate\":-9007199254740991,"},
        {INFINITY, "\"rate\":0,"},
        {NAN, "\"rate\":0,"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct control_job job = example();

        job.rate = cases[i].rate;
        char *text = control_job_encode(&job);
        assert_json(text);
        assert_holds(text, cases[i].text);
        free(text);
    }
}

static void a_digest_is_hexadecimal(void **state)
{
    struct control_job job = example();
    char *text = control_job_encode(&job);

    (void)state;
    assert_holds(
        text,
        "\"digest\":{\"algorithm\":\"xxh128\",\"value\":\"00112233445566778899aabbccddeeff\"}");
    free(text);
}

static void a_path_that_is_no_utf8_travels_in_base64(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_job job = example(), back;

    (void)state;
    job.source = raw_source;
    char *text = control_job_encode(&job);
    assert_json(text);
    assert_holds(text, "\"source_b64\":\"L2RhdGEv//4=\"");
    assert_null(strstr(text, "\"source\":"));
    assert_int_equal(control_job_parse(text, &back, &err), 0);
    assert_string_equal(back.source, raw_source);
    control_job_free(&back);
    free(text);
}

static void text_that_is_no_utf8_is_cleaned(void **state)
{
    char bad[] = "a\xff";
    struct control_job job = example();

    (void)state;
    job.reason = bad;
    char *text = control_job_encode(&job);
    assert_json(text);
    assert_holds(text, "\"reason\":\"a?\"");
    free(text);
}

static void unknown_members_of_a_job_are_skipped(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_job job;

    (void)state;
    assert_int_equal(
        control_job_parse(
            "{\"new\":[{}],\"job\":3,\"state\":\"done\",\"digest\":{\"algorithm\":\"new\","
            "\"value\":\"1\"}}",
            &job, &err),
        0);
    assert_int_equal(job.job, 3);
    assert_int_equal(job.state, JOB_DONE);
    assert_false(job.has_digest);
    assert_string_equal(job.source, "");
    assert_string_equal(job.phase, "");
    assert_null(job.reason);
    control_job_free(&job);
}

static void a_broken_job_is_a_protocol_error(void **state)
{
    static const char *const broken[] = {
        "",
        "[]",
        "{}",
        "{\"job\":1}",
        "{\"job\":\"1\",\"state\":\"done\"}",
        "{\"job\":1.5,\"state\":\"done\"}",
        "{\"job\":1,\"state\":\"lost\"}",
        "{\"job\":1,\"state\":2}",
        "{\"job\":1,\"state\":\"done\",\"phase\":1}",
        "{\"job\":1,\"state\":\"done\",\"phase\":null}",
        "{\"job\":1,\"state\":\"done\",\"rate\":\"1\"}",
        "{\"job\":1,\"state\":\"done\",\"rate\":1e999}",
        "{\"job\":1,\"state\":\"done\",\"existing\":1}",
        "{\"job\":1,\"state\":\"done\",\"exit_code\":1e10}",
        "{\"job\":1,\"state\":\"done\",\"source_b64\":\"x\"}",
        "{\"job\":1,\"state\":\"done\",\"source_b64\":\"YQBi\"}",
        "{\"job\":1,\"state\":\"done\",\"source\":\"a\\u0000b\"}",
        "{\"job\":1,\"state\":\"done\",\"digest\":\"x\"}",
        "{\"job\":1,\"state\":\"done\",\"digest\":{\"algorithm\":\"xxh128\",\"value\":\"00\"}}",
        ("{\"job\":1,\"state\":\"done\",\"digest\":{\"algorithm\":\"xxh128\",\"value\":"
         "\"0011223344556677889 aabbccddeeff\"}}"),
        "{\"job\":1,\"state\":\"done\",\"error\":1}",
        "{\"job\":1,\"state\":\"done\",\"error\":{}}",
        "{\"job\":1,\"state\":\"done\",\"key\":1}",
        "{\"job\":1,\"state\":\"done\"} x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
        struct xfer_error err = XFER_ERROR_INIT;
        struct control_job job;

        if (control_job_parse(broken[i], &job, &err) == 0)
            fail_msg("%s was taken", broken[i]);
        assert_int_equal(err.code, XFER_PROTOCOL);
    }
}

static void assert_existing(const char *json, bool existing, const char *expected)
{
    char *text = control_job_with_existing(json, existing);

    assert_string_equal(text, expected);
    free(text);
}

static void whether_a_job_existed_can_be_put_into_its_text(void **state)
{
    (void)state;
    assert_existing("{\"job\":1,\"existing\":false,\"n\":1e0}", true,
                    "{\"job\":1,\"existing\":true,\"n\":1e0}");
    assert_existing("{\"existing\" : true }", false, "{\"existing\" : false }");
    assert_existing("{\"existing\":true}", true, "{\"existing\":true}");
    /* only the member itself, and none is added */
    assert_existing("{\"key\":\"existing\",\"error\":{\"existing\":false}}", true,
                    "{\"key\":\"existing\",\"error\":{\"existing\":false}}");
}

static void a_list_of_jobs_comes_back_as_texts(void **state)
{
    char a[] = "{\"job\":1,\"state\":\"done\",\"x\":\"]},{\"}", b[] = "{\"job\":2}";
    char *const jobs[] = {a, b};
    struct xfer_error err = XFER_ERROR_INIT;
    char **back;
    size_t n;

    (void)state;
    char *text = control_job_list_encode(jobs, 2);
    assert_json(text);
    assert_int_equal(control_job_list_parse(text, &back, &n, &err), 0);
    assert_int_equal(n, 2);
    assert_string_equal(back[0], a);
    assert_string_equal(back[1], b);
    free(back[0]);
    free(back[1]);
    free(back);
    free(text);
}

static void an_empty_list_of_jobs_comes_back_empty(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    char **back;
    size_t n;

    (void)state;
    char *text = control_job_list_encode(NULL, 0);
    assert_string_equal(text, "{\"jobs\":[]}");
    assert_int_equal(control_job_list_parse(text, &back, &n, &err), 0);
    assert_int_equal(n, 0);
    free(back);
    free(text);
}

static void a_broken_list_of_jobs_is_a_protocol_error(void **state)
{
    static const char *const broken[] = {
        "", "{}", "[]", "{\"jobs\":{}}", "{\"jobs\":[}", "{\"jobs\":null}"};

    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
        struct xfer_error err = XFER_ERROR_INIT;
        char **back;
        size_t n;

        assert_int_equal(control_job_list_parse(broken[i], &back, &n, &err), -1);
        assert_int_equal(err.code, XFER_PROTOCOL);
    }
}

static void hello_comes_back_the_same(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_hello hello = {.version = "1.2.3",
                                  .api = CONTROL_API,
                                  .queue_id = "00ff",
                                  .boot_id = "aa",
                                  .n_ranks = 2,
                                  .ranks = {{0, "here", 11}, {1, "there", 12}},
                                  .jobs_finished_kept = 77},
                         back;

    (void)state;
    char *text = control_hello_encode(&hello);
    assert_json(text);
    assert_int_equal(control_hello_parse(text, &back, &err), 0);
    assert_string_equal(back.version, "1.2.3");
    assert_int_equal(back.api, CONTROL_API);
    assert_string_equal(back.queue_id, "00ff");
    assert_string_equal(back.boot_id, "aa");
    assert_int_equal(back.n_ranks, 2);
    assert_int_equal(back.ranks[1].rank, 1);
    assert_string_equal(back.ranks[1].host, "there");
    assert_int_equal(back.ranks[1].pid, 12);
    assert_int_equal(back.jobs_finished_kept, 77);
    assert_holds(text, "\"server\":\"xferd\"");
    assert_holds(text, "\"submit.overwrite\"");
    assert_holds(text, "\"submit.key\"");
    assert_holds(text, "\"submit.retries\"");
    assert_holds(text, "\"line_bytes\":1048576");
    assert_holds(text, "\"jobs_finished_kept\":77");
    free(text);
}

static void more_ranks_than_there_is_room_for_are_skipped(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_hello hello;

    (void)state;
    assert_int_equal(
        control_hello_parse("{\"ranks\":[{},{},{},{},{},{},{},{},{},{}]}", &hello, &err), 0);
    assert_int_equal(hello.n_ranks, 8);
    assert_int_equal(control_hello_parse("{\"ranks\":7}", &hello, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
}

static void ping_comes_back_the_same(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_ping ping = {.peer_up = true, .round_trip = 0.000123}, back;

    (void)state;
    char *text = control_ping_encode(&ping);
    assert_string_equal(text, "{\"peer_up\":true,\"round_trip\":0.000123}");
    assert_int_equal(control_ping_parse(text, &back, &err), 0);
    assert_true(back.peer_up);
    assert_true(fabs(back.round_trip - 0.000123) < 1e-9);
    free(text);
}

static void the_limits_come_back_the_same(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_limits limits = {XFER_JSON_INTEGER_MAX, 5, 1000000, 42}, back;

    (void)state;
    char *text = control_limits_encode(&limits);
    assert_string_equal(text, "{\"bandwidth\":9007199254740991,\"user_jobs\":5,"
                              "\"user_bytes\":1000000,\"file_size\":42}");
    assert_int_equal(control_limits_parse(text, &back, &err), 0);
    free(text);
    assert_memory_equal(&back, &limits, sizeof back);
    assert_int_equal(control_limits_parse("{\"bandwidth\":\"1\"}", &back, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
}

static void the_state_of_the_queue_comes_back_the_same(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_queue queue = {.paused = true, .queued = 12, .running = 3}, back;

    (void)state;
    char *text = control_queue_encode(&queue);
    assert_string_equal(text, "{\"paused\":true,\"draining\":false,\"queued\":12,\"running\":3}");
    assert_int_equal(control_queue_parse(text, &back, &err), 0);
    free(text);
    assert_true(back.paused);
    assert_false(back.draining);
    assert_int_equal(back.queued, 12);
    assert_int_equal(back.running, 3);

    queue = (struct control_queue){.draining = true};
    text = control_queue_encode(&queue);
    assert_int_equal(control_queue_parse(text, &back, &err), 0);
    free(text);
    assert_false(back.paused);
    assert_true(back.draining);
}

static void a_broken_state_of_the_queue_is_a_protocol_error(void **state)
{
    static const char *const broken[] = {"",
                                         "[]",
                                         "{\"paused\":1}",
                                         "{\"draining\":null}",
                                         "{\"queued\":\"1\"}",
                                         "{\"running\":0.5}"};

    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
        struct xfer_error err = XFER_ERROR_INIT;
        struct control_queue queue;

        if (control_queue_parse(broken[i], &queue, &err) == 0)
            fail_msg("%s was taken", broken[i]);
        assert_int_equal(err.code, XFER_PROTOCOL);
    }
}

static void what_a_reload_has_changed_comes_back_the_same(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_reload back;

    (void)state;
    char *text = control_reload_encode("queue.retries, log.level", "link.lanes");
    assert_string_equal(
        text, "{\"changed\":[\"queue.retries\",\"log.level\"],\"restart\":[\"link.lanes\"]}");
    assert_int_equal(control_reload_parse(text, &back, &err), 0);
    free(text);
    assert_string_equal(back.changed, "queue.retries, log.level");
    assert_string_equal(back.restart, "link.lanes");

    text = control_reload_encode("", "");
    assert_int_equal(control_reload_parse(text, &back, &err), 0);
    free(text);
    assert_string_equal(back.changed, "");
    assert_string_equal(back.restart, "");
    assert_int_equal(control_reload_parse("{\"more\":1}", &back, &err), 0);
    assert_string_equal(back.changed, "");
}

static void a_broken_reload_is_a_protocol_error(void **state)
{
    static const char *const broken[] = {"", "[]", "{\"changed\":1}", "{\"changed\":\"a\"}",
                                         "{\"changed\":[],\"restart\":[1]}"};
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_reload reload;
    char *name, *text;

    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
        if (control_reload_parse(broken[i], &reload, &err) == 0)
            fail_msg("%s was taken", broken[i]);
        assert_int_equal(err.code, XFER_PROTOCOL);
    }
    name = malloc(XFER_KEY_NAMES_SIZE + 1);
    assert_non_null(name);
    memset(name, 'x', XFER_KEY_NAMES_SIZE);
    name[XFER_KEY_NAMES_SIZE] = '\0';
    text = control_reload_encode("", name);
    err.code = XFER_OK;
    assert_int_equal(control_reload_parse(text, &reload, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
    free(text);
    free(name);
}

static void stats_come_back_the_same(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_stats stats = {.uptime = 5.5,
                                  .peer_up = true,
                                  .peer_host = "there",
                                  .store_root = "/srv/\xff",
                                  .store_free_bytes = 10,
                                  .store_total_bytes = -1,
                                  .lanes = 4,
                                  .chunk = 262144,
                                  .jobs = {1, 2, 3, 4, 5},
                                  .clients = 6,
                                  .finished_done = 7,
                                  .finished_failed = 8,
                                  .finished_cancelled = 9,
                                  .sent_bytes = 10,
                                  .sent_files = 11,
                                  .attempts_started = 12,
                                  .attempts_failed = 13,
                                  .attempts_bytes = 14,
                                  .oldest_queued = 1.5,
                                  .generation = 3,
                                  .paused = true},
                         back;

    (void)state;
    char *text = control_stats_encode(&stats);
    assert_json(text);
    assert_holds(text, "\"total_bytes\":null");
    assert_holds(text, "\"queue\":{\"paused\":true,\"draining\":false}");
    assert_int_equal(control_stats_parse(text, &back, &err), 0);
    free(text);
    assert_true(back.uptime == 5.5 && back.peer_up && back.oldest_queued == 1.5);
    assert_string_equal(back.peer_host, "there");
    assert_string_equal(back.store_root, "/srv/\xff");
    assert_int_equal(back.store_free_bytes, 10);
    assert_int_equal(back.store_total_bytes, -1);
    assert_int_equal(back.lanes, 4);
    assert_int_equal(back.chunk, 262144);
    assert_memory_equal(back.jobs, stats.jobs, sizeof(stats.jobs));
    assert_int_equal(back.clients, 6);
    assert_int_equal(back.finished_done, 7);
    assert_int_equal(back.finished_failed, 8);
    assert_int_equal(back.finished_cancelled, 9);
    assert_int_equal(back.sent_bytes, 10);
    assert_int_equal(back.sent_files, 11);
    assert_int_equal(back.attempts_started, 12);
    assert_int_equal(back.attempts_failed, 13);
    assert_int_equal(back.attempts_bytes, 14);
    assert_int_equal(back.generation, 3);
    assert_true(back.paused);
    assert_false(back.draining);
}

static void stats_of_an_older_daemon_leave_open_what_it_does_not_tell(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_stats back;

    (void)state;
    assert_int_equal(control_stats_parse("{\"uptime\":1,\"store\":{\"root\":\"/r\"}}", &back, &err),
                     0);
    assert_int_equal(back.store_free_bytes, -1);
    assert_int_equal(back.store_total_bytes, -1);
    assert_int_equal(back.attempts_started, -1);
    assert_int_equal(back.attempts_failed, -1);
    assert_int_equal(back.attempts_bytes, -1);
}

static void the_list_of_methods_names_all(void **state)
{
    char *text = control_list_methods_encode();

    (void)state;
    assert_json(text);
    for (int id = 0; id < METHOD_COUNT; id++)
        assert_holds(text, method_get((enum method_id)id)->name);
    free(text);
}

static void every_method_can_be_described(void **state)
{
    (void)state;
    for (int id = 0; id < METHOD_COUNT; id++) {
        const struct method_spec *m = method_get((enum method_id)id);
        char *text = control_describe_encode(m);

        assert_json(text);
        for (size_t i = 0; i < m->n_params; i++)
            assert_holds(text, m->params[i].name);
        free(text);
    }
}

static void a_description_tells_type_range_and_choices(void **state)
{
    char *text = control_describe_encode(method_get(METHOD_TRANSFER_SUBMIT));

    (void)state;
    assert_holds(text, "\"type\":\"path\",\"required\":true,\"max_bytes\":4095,\"or\":\"source_"
                       "b64\",\"absolute\":true");
    assert_holds(text, "\"choices\":[\"replace\",\"never\",\"changed\",\"newer\"]");
    assert_holds(text, "\"min\":-100,\"max\":100");
    free(text);
}

/* ---- lines ---- */

static void parse_line(char *line, struct control_incoming *in)
{
    struct xfer_error err = XFER_ERROR_INIT;

    assert_non_null(line);
    if (control_incoming_parse(line, strlen(line), in, &err) == -1)
        fail_msg("%s: %s", line, err.text);
    free(line);
}

static void a_result_is_taken_out_as_it_stands(void **state)
{
    struct control_incoming in;

    (void)state;
    parse_line(control_reply_result("7", "{\"a\":1e15, \"b\":\"]\\\"}\"}"), &in);
    assert_int_equal(in.kind, CONTROL_RESULT);
    assert_int_equal(in.id, 7);
    assert_string_equal(in.result, "{\"a\":1e15, \"b\":\"]\\\"}\"}");
    control_incoming_free(&in);
}

static void results_of_every_type_are_taken(void **state)
{
    static const char *const results[] = {"null", "12", "\"x\"", "true", "[]"};

    (void)state;
    for (size_t i = 0; i < sizeof(results) / sizeof(*results); i++) {
        struct control_incoming in;

        parse_line(control_reply_result("null", results[i]), &in);
        assert_int_equal(in.kind, CONTROL_RESULT);
        assert_int_equal(in.id, -1);
        assert_string_equal(in.result, results[i]);
        control_incoming_free(&in);
    }
}

static void every_error_comes_back_the_same(void **state)
{
    (void)state;
    for (int code = XFER_OK + 1; code < XFER_CODE_COUNT; code++) {
        struct xfer_error err = XFER_ERROR_INIT;
        struct control_incoming in;

        error_set(&err, (enum xfer_code)code, "f\xc3\xbcr \"people\"");
        err.sys_errno = code;
        error_about(&err, XFER_SIDE_SENDER, "/x");
        parse_line(control_reply_error("3", &err, 12), &in);
        assert_int_equal(in.kind, CONTROL_ERROR);
        assert_int_equal(in.id, 3);
        assert_int_equal(in.error.code, code);
        assert_string_equal(in.error.text, err.text);
        assert_int_equal(in.error.sys_errno, code);
        assert_int_equal(in.error.side, XFER_SIDE_SENDER);
        assert_string_equal(in.error.path, "/x");
        assert_int_equal(in.error_job, 12);
        assert_json(in.error_text);
        control_incoming_free(&in);
    }
}

static void an_error_object_has_what_the_contract_names(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    error_set(&err, XFER_DESTINATION_EXISTS, "there");
    err.sys_errno = 17;
    error_about(&err, XFER_SIDE_RECEIVER, "/srv/x");
    char *text = control_error_encode(&err, 12);
    assert_string_equal(
        text, "{\"code\":-32010,\"message\":\"there\",\"data\":{\"name\":\"DestinationExists\","
              "\"errno\":17,"
              "\"side\":\"receiver\",\"path\":\"/srv/x\",\"retryable\":false,\"job\":12}}");
    free(text);
}

static void what_an_error_has_not_is_left_out(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    error_set(&err, XFER_PARSE_ERROR, "no");
    char *text = control_error_encode(&err, 0);
    assert_string_equal(text, "{\"code\":-32700,\"message\":\"no\",\"data\":{\"name\":"
                              "\"ParseError\",\"retryable\":false}}");
    free(text);
}

static void an_unknown_error_keeps_its_number_and_message(void **state)
{
    struct control_incoming in;

    (void)state;
    parse_line(strdup("{\"id\":1,\"error\":{\"code\":-32601,\"message\":\"m\"}}"), &in);
    assert_int_equal(in.error.code, XFER_METHOD_NOT_FOUND);
    assert_string_equal(in.error.text, "m");
    control_incoming_free(&in);

    parse_line(
        strdup("{\"id\":1,\"error\":{\"code\":-1,\"message\":\"m\",\"data\":{\"name\":\"Ok\"}}}"),
        &in);
    assert_int_equal(in.error.code, XFER_INTERNAL);
    control_incoming_free(&in);

    parse_line(strdup("{\"id\":1,\"error\":{\"code\":-32010,\"message\":\"m\",\"data\":{\"name\":"
                      "\"New\",\"side\":\"moon\"}}}"),
               &in);
    assert_int_equal(in.error.code, XFER_DESTINATION_EXISTS);
    assert_int_equal(in.error.side, XFER_SIDE_NONE);
    control_incoming_free(&in);
}

static void a_very_long_message_is_cut(void **state)
{
    char message[3 * XFER_ERROR_TEXT_SIZE], line[4 * XFER_ERROR_TEXT_SIZE];
    struct control_incoming in;

    (void)state;
    memset(message, 'm', sizeof(message));
    snprintf(line, sizeof(line), "{\"id\":1,\"error\":{\"code\":-1,\"message\":\"%.*s\"}}",
             (int)sizeof(message), message);
    parse_line(strdup(line), &in);
    assert_int_equal(strlen(in.error.text), XFER_ERROR_TEXT_SIZE - 1);
    control_incoming_free(&in);
}

static void an_event_comes_back_the_same(void **state)
{
    struct control_event ev = {.seq = 9,
                               .job = 3,
                               .state = JOB_DONE,
                               .phase = "done",
                               .bytes_done = 1,
                               .bytes_total = 2,
                               .files_done = 3,
                               .files_total = 4,
                               .files_failed = 6,
                               .files_skipped = 7,
                               .walking = true,
                               .rate = 5.5};
    struct control_incoming in;
    char *line = control_event_encode(&ev);

    (void)state;
    assert_int_equal(line[strlen(line) - 1], '\n');
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    parse_line(line, &in);
    assert_int_equal(in.kind, CONTROL_EVENT);
    assert_int_equal(in.event.seq, 9);
    assert_int_equal(in.event.job, 3);
    assert_int_equal(in.event.state, JOB_DONE);
    assert_string_equal(in.event.phase, "done");
    assert_int_equal(in.event.bytes_done, 1);
    assert_int_equal(in.event.bytes_total, 2);
    assert_int_equal(in.event.files_done, 3);
    assert_int_equal(in.event.files_total, 4);
    assert_int_equal(in.event.files_failed, 6);
    assert_int_equal(in.event.files_skipped, 7);
    assert_true(in.event.walking);
    assert_true(in.event.rate == 5.5);
    assert_json(in.result);
    control_incoming_free(&in);
}

static void lost_events_are_told(void **state)
{
    struct control_incoming in;

    (void)state;
    parse_line(control_events_lost_encode(17), &in);
    assert_int_equal(in.kind, CONTROL_EVENTS_LOST);
    assert_int_equal(in.lost, 17);
    control_incoming_free(&in);
}

static void subscribing_is_confirmed(void **state)
{
    char *on = control_subscribed_encode(true), *off = control_subscribed_encode(false);

    (void)state;
    assert_string_equal(on, "{\"subscribed\":true}");
    assert_string_equal(off, "{\"subscribed\":false}");
    free(on);
    free(off);
}

static void lines_of_other_kinds_are_unknown(void **state)
{
    static const char *const lines[] = {"[]", "{}", "1", "{\"method\":\"news\",\"params\":{}}",
                                        "{\"id\":1}"};

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        struct control_incoming in;

        parse_line(strdup(lines[i]), &in);
        assert_int_equal(in.kind, CONTROL_UNKNOWN);
        control_incoming_free(&in);
    }
}

static void broken_lines_are_a_protocol_error(void **state)
{
    static const char *const lines[] = {
        "",
        "{",
        "{\"id\":1,\"result\":1}}",
        "{\"id\":1,\"error\":5}",
        "{\"id\":1,\"error\":{\"code\":1}}",
        "{\"id\":1,\"error\":{\"code\":\"x\",\"message\":\"m\"}}",
        "{\"id\":1,\"error\":{\"code\":1,\"message\":\"m\",\"data\":{\"errno\":\"x\"}}}",
        "{\"id\":1,\"error\":{\"code\":1,\"message\":\"m\",\"data\":{\"path\":5}}}",
        "{\"method\":\"transfer.event\"}",
        "{\"method\":\"transfer.event\",\"params\":{\"job\":\"x\"}}",
        ("{\"method\":\"transfer.event\",\"params\":{\"phase\":"
         "\"0123456789012345678901234567890123456789\"}}"),
        "{\"id\":1,\"result\":\"\\u0000\"}",
        "{\"id\":1,\"result\":\"\xff\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
        struct xfer_error err = XFER_ERROR_INIT;
        struct control_incoming in;

        if (control_incoming_parse(lines[i], strlen(lines[i]), &in, &err) == 0)
            fail_msg("%s was taken", lines[i]);
        assert_int_equal(err.code, XFER_PROTOCOL);
    }
}

static void names_of_states_and_modes_go_both_ways(void **state)
{
    (void)state;
    for (int s = 0; s < JOB_STATE_COUNT; s++)
        assert_int_equal(job_state_by_name(job_state_name((enum job_state)s)), s);
    for (int m = OVERWRITE_REPLACE; m <= OVERWRITE_NEWER; m++)
        assert_int_equal(overwrite_mode_by_name(overwrite_mode_name((enum overwrite_mode)m)), m);
    assert_int_equal(sync_mode_by_name(sync_mode_name(SYNC_NONE)), SYNC_NONE);
    assert_int_equal(job_state_by_name("x"), -1);
    assert_int_equal(overwrite_mode_by_name(""), -1);
    assert_int_equal(sync_mode_by_name("files"), -1);
}

/* The text of proto/PROTOCOL.md; skips the test where the sources are not known. */
static char *protocol_document(void)
{
    const char *top = getenv("top_srcdir");
    char file[4096];
    char *text = NULL;
    size_t size = 0;

    if (!top)
        skip();
    snprintf(file, sizeof(file), "%s/proto/PROTOCOL.md", top);
    FILE *f = fopen(file, "r");
    if (!f)
        fail_msg("%s cannot be opened", file);
    assert_true(getdelim(&text, &size, '\0', f) > 0);
    fclose(f);
    return text;
}

static void the_document_lists_every_error_as_it_is(void **state)
{
    char *text = protocol_document();

    (void)state;
    for (int code = XFER_OK + 1; code < XFER_CODE_COUNT; code++) {
        const struct xfer_error_info *info = error_info((enum xfer_code)code);
        char row[128];

        snprintf(row, sizeof(row), "\n| `%s` | %d | %d | %s | ", info->name, info->rpc_code,
                 info->exit_code, info->retryable ? "yes" : "no");
        if (!strstr(text, row))
            fail_msg("PROTOCOL.md has no row %s", row + 1);
    }
    free(text);
}

static void the_document_lists_every_method(void **state)
{
    char *text = protocol_document();

    (void)state;
    for (int id = 0; id < METHOD_COUNT; id++) {
        char row[128];

        snprintf(row, sizeof(row), "\n| `%s` | ", method_get((enum method_id)id)->name);
        if (!strstr(text, row))
            fail_msg("PROTOCOL.md has no row %s", row + 1);
    }
    free(text);
}

static void the_document_tells_every_limit_of_hello(void **state)
{
    struct control_hello hello = {.version = "1", .jobs_finished_kept = 100000};
    char *text = protocol_document(), *encoded = control_hello_encode(&hello);
    struct json_slice limits;

    (void)state;
    assert_true(json_member(encoded, strlen(encoded), "limits", &limits));
    for (char *at = (char *)limits.text + 1; *at == '"';) {
        char *name = at + 1, *end = strchr(name, '"'), part[128];

        snprintf(part, sizeof(part), "`%.*s` %ld", (int)(end - name), name,
                 strtol(end + 2, &at, 10));
        if (!strstr(text, part))
            fail_msg("PROTOCOL.md does not say %s", part);
        at += *at == ',';
    }
    free(encoded);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_comes_back_the_same),
        cmocka_unit_test(a_job_of_a_tree_comes_back_the_same),
        cmocka_unit_test(a_page_of_errors_comes_back_the_same),
        cmocka_unit_test(a_page_of_a_plan_comes_back_the_same),
        cmocka_unit_test(broken_pages_are_a_protocol_error),
        cmocka_unit_test(a_destination_beneath_a_long_root_comes_back),
        cmocka_unit_test(a_job_has_every_member_of_the_protocol),
        cmocka_unit_test(what_a_job_has_not_is_null),
        cmocka_unit_test(a_queued_job_tells_why_its_last_attempt_failed),
        cmocka_unit_test(integers_are_printed_as_integers),
        cmocka_unit_test(numbers_are_finite_and_short),
        cmocka_unit_test(a_digest_is_hexadecimal),
        cmocka_unit_test(a_path_that_is_no_utf8_travels_in_base64),
        cmocka_unit_test(text_that_is_no_utf8_is_cleaned),
        cmocka_unit_test(unknown_members_of_a_job_are_skipped),
        cmocka_unit_test(a_broken_job_is_a_protocol_error),
        cmocka_unit_test(whether_a_job_existed_can_be_put_into_its_text),
        cmocka_unit_test(a_list_of_jobs_comes_back_as_texts),
        cmocka_unit_test(an_empty_list_of_jobs_comes_back_empty),
        cmocka_unit_test(a_broken_list_of_jobs_is_a_protocol_error),
        cmocka_unit_test(hello_comes_back_the_same),
        cmocka_unit_test(more_ranks_than_there_is_room_for_are_skipped),
        cmocka_unit_test(ping_comes_back_the_same),
        cmocka_unit_test(the_limits_come_back_the_same),
        cmocka_unit_test(the_state_of_the_queue_comes_back_the_same),
        cmocka_unit_test(a_broken_state_of_the_queue_is_a_protocol_error),
        cmocka_unit_test(what_a_reload_has_changed_comes_back_the_same),
        cmocka_unit_test(a_broken_reload_is_a_protocol_error),
        cmocka_unit_test(stats_come_back_the_same),
        cmocka_unit_test(stats_of_an_older_daemon_leave_open_what_it_does_not_tell),
        cmocka_unit_test(the_list_of_methods_names_all),
        cmocka_unit_test(every_method_can_be_described),
        cmocka_unit_test(a_description_tells_type_range_and_choices),
        cmocka_unit_test(a_result_is_taken_out_as_it_stands),
        cmocka_unit_test(results_of_every_type_are_taken),
        cmocka_unit_test(every_error_comes_back_the_same),
        cmocka_unit_test(an_error_object_has_what_the_contract_names),
        cmocka_unit_test(what_an_error_has_not_is_left_out),
        cmocka_unit_test(an_unknown_error_keeps_its_number_and_message),
        cmocka_unit_test(a_very_long_message_is_cut),
        cmocka_unit_test(an_event_comes_back_the_same),
        cmocka_unit_test(lost_events_are_told),
        cmocka_unit_test(subscribing_is_confirmed),
        cmocka_unit_test(lines_of_other_kinds_are_unknown),
        cmocka_unit_test(broken_lines_are_a_protocol_error),
        cmocka_unit_test(names_of_states_and_modes_go_both_ways),
        cmocka_unit_test(the_document_lists_every_error_as_it_is),
        cmocka_unit_test(the_document_lists_every_method),
        cmocka_unit_test(the_document_tells_every_limit_of_hello),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
