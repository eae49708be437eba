/* SPDX-License-Identifier: MIT
 *
 * Requests: what is taken, and every refusal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "proto/control_request.h"
#include "proto/limits.h"

static struct control_message *parse(const char *line)
{
    struct control_message *m = control_message_parse(line, strlen(line));

    assert_non_null(m);
    return m;
}

/* The only request of the line must be refused with this code and echo this id. */
static void refused_bytes(const char *line, size_t len, enum xfer_code code, const char *id)
{
    struct control_message *m = control_message_parse(line, len);

    assert_non_null(m);
    if (m->requests[0].error.code != code)
        fail_msg("%.200s: code %d instead of %d: %s", line, m->requests[0].error.code, code,
                 m->requests[0].error.text);
    assert_int_equal(m->n, 1);
    assert_false(m->batch);
    assert_null(m->requests[0].method);
    assert_string_equal(m->requests[0].id, id);
    assert_string_not_equal(m->requests[0].error.text, "");
    control_message_free(m);
}

static void refused(const char *line, enum xfer_code code, const char *id)
{
    refused_bytes(line, strlen(line), code, id);
}

/* The only request of the line must be good. */
static struct control_message *taken(const char *line)
{
    struct control_message *m = parse(line);

    if (m->requests[0].error.code != XFER_OK)
        fail_msg("%.200s: %s", line, m->requests[0].error.text);
    assert_int_equal(m->n, 1);
    assert_non_null(m->requests[0].method);
    return m;
}

/* A request of transfer.submit with this text behind the source. */
static void submit_line(char out[1024], const char *params)
{
    snprintf(out, 1024,
             "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"transfer.submit\",\"params\":{\"source\":"
             "\"/a\"%s}}",
             params);
}

static struct control_message *submit_taken(const char *params)
{
    char line[1024];

    submit_line(line, params);
    return taken(line);
}

static void submit_refused(const char *params)
{
    char line[1024];

    submit_line(line, params);
    refused(line, XFER_INVALID_PARAMS, "7");
}

static void params_refused(const char *method, const char *params)
{
    char line[1024];

    snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"%s\",\"params\":%s}",
             method, params);
    refused(line, XFER_INVALID_PARAMS, "7");
}

/* ---- what is taken ---- */

static void a_request_without_params_is_taken(void **state)
{
    struct control_message *m = taken("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"system.hello\"}");

    (void)state;
    assert_false(m->batch);
    assert_int_equal(m->requests[0].method->id, METHOD_SYSTEM_HELLO);
    assert_string_equal(m->requests[0].id, "1");
    assert_false(m->requests[0].notification);
    control_message_free(m);
}

static void parameters_that_are_not_given_have_their_initial_values(void **state)
{
    struct control_message *m = submit_taken("");
    const struct control_params *p = &m->requests[0].params;

    (void)state;
    assert_string_equal(p->source, "/a");
    assert_null(p->dest);
    assert_int_equal(p->overwrite, OVERWRITE_REPLACE);
    assert_int_equal(p->sync, SYNC_DEFAULT);
    assert_int_equal(p->priority, 0);
    assert_int_equal(p->retries, -1);
    assert_null(p->key);
    assert_false(p->wait);
    assert_int_equal(p->state, -1);
    assert_int_equal(p->limit, -1);
    assert_true(p->timeout < 0);
    control_message_free(m);
}

static void all_parameters_of_submit_are_taken(void **state)
{
    struct control_message *m =
        submit_taken(",\"dest\":\"d/\",\"overwrite\":\"never\",\"sync\":\"none\","
                     "\"priority\":-100,\"retries\":0,\"key\":\"n\\u00e4chtlich 7\",\"wait\":true");
    const struct control_params *p = &m->requests[0].params;

    (void)state;
    assert_string_equal(p->dest, "d/");
    assert_int_equal(p->overwrite, OVERWRITE_NEVER);
    assert_int_equal(p->sync, SYNC_NONE);
    assert_int_equal(p->priority, -100);
    assert_int_equal(p->retries, 0);
    assert_string_equal(p->key, "n\xc3\xa4"
                                "chtlich 7");
    assert_true(p->wait);
    control_message_free(m);
}

static void the_parameters_about_trees_are_taken(void **state)
{
    struct control_message *m =
        submit_taken(",\"overwrite\":\"changed\",\"checksum\":true,\"preserve\":\"+owner,acl\","
                     "\"filter\":[\"+ *.c\",\"- *\"],\"one_file_system\":true,\"dry_run\":true");
    const struct control_params *p = &m->requests[0].params;

    (void)state;
    assert_int_equal(p->overwrite, OVERWRITE_CHANGED);
    assert_true(p->checksum && p->one_file_system && p->dry_run);
    assert_int_equal(p->preserve, PRESERVE_DEFAULT | PRESERVE_OWNER | PRESERVE_ACL);
    assert_int_equal(p->filter.n, 2);
    assert_string_equal(p->filter.list[0], "+ *.c");
    assert_string_equal(p->filter.list[1], "- *");
    control_message_free(m);

    m = submit_taken(",\"overwrite\":\"newer\",\"filter\":[]");
    p = &m->requests[0].params;
    assert_int_equal(p->overwrite, OVERWRITE_NEWER);
    assert_int_equal(p->preserve, PRESERVE_DEFAULT);
    assert_int_equal(p->filter.n, 0);
    control_message_free(m);
}

static void rules_in_base64_are_any_bytes(void **state)
{
    struct control_message *m = submit_taken(",\"filter_b64\":[\"LSD/\"]");

    (void)state;
    assert_int_equal(m->requests[0].params.filter.n, 1);
    assert_string_equal(m->requests[0].params.filter.list[0], "- \xff");
    control_message_free(m);
}

static void all_parameters_of_errors_and_plan_are_taken(void **state)
{
    struct control_message *m =
        taken("{\"id\":1,\"method\":\"transfer.errors\",\"params\":{\"job\":3,\"after\":100,"
              "\"limit\":1000}}");

    (void)state;
    assert_int_equal(m->requests[0].params.job, 3);
    assert_int_equal(m->requests[0].params.after, 100);
    assert_int_equal(m->requests[0].params.limit, 1000);
    control_message_free(m);

    m = taken("{\"id\":1,\"method\":\"transfer.plan\",\"params\":{\"job\":3}}");
    assert_int_equal(m->requests[0].params.after, 0);
    assert_int_equal(m->requests[0].params.limit, -1);
    control_message_free(m);
}

static void all_parameters_of_list_and_wait_are_taken(void **state)
{
    struct control_message *m =
        taken("{\"id\":1,\"method\":\"transfer.list\",\"params\":{\"state\":\"done\","
              "\"user\":\"eva\",\"limit\":5,\"before\":12}}");

    (void)state;
    assert_int_equal(m->requests[0].params.state, JOB_DONE);
    assert_string_equal(m->requests[0].params.user, "eva");
    assert_int_equal(m->requests[0].params.limit, 5);
    assert_int_equal(m->requests[0].params.before, 12);
    control_message_free(m);

    m = taken("{\"id\":1,\"method\":\"transfer.wait\",\"params\":{\"job\":3,\"timeout\":0.25}}");
    assert_int_equal(m->requests[0].params.job, 3);
    assert_true(m->requests[0].params.timeout == 0.25);
    control_message_free(m);
}

static void white_space_around_and_inside_is_taken(void **state)
{
    (void)state;
    control_message_free(
        taken(" \t{ \"id\" : 1 ,\r\"method\" : \"system.ping\" , \"params\" : { } } "));
}

static void ids_are_echoed_as_they_were(void **state)
{
    static const char *const ids[][2] = {
        {"0", "0"},
        {"-5", "-5"},
        {"1e15", "1000000000000000"},
        {"12.0", "12"},
        {"9007199254740991", "9007199254740991"},
        {"\"a\"", "\"a\""},
        {"\"\"", "\"\""},
        {"\"q\\\"\\n\\u00e9\"", "\"q\\\"\\n\xc3\xa9\""},
        {"null", "null"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
        char line[256];

        snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"method\":\"system.ping\",\"id\":%s}",
                 ids[i][0]);
        struct control_message *m = taken(line);
        assert_string_equal(m->requests[0].id, ids[i][1]);
        assert_false(m->requests[0].notification);
        control_message_free(m);
    }
}

static void without_jsonrpc_a_request_is_always_answered(void **state)
{
    struct control_message *m = taken("{\"method\":\"system.ping\"}");

    (void)state;
    assert_false(m->requests[0].notification);
    assert_string_equal(m->requests[0].id, "null");
    control_message_free(m);
}

static void without_id_a_request_is_a_notification(void **state)
{
    struct control_message *m = taken("{\"jsonrpc\":\"2.0\",\"method\":\"system.ping\"}");

    (void)state;
    assert_true(m->requests[0].notification);
    control_message_free(m);
}

static void a_notification_with_bad_parameters_stays_one(void **state)
{
    struct control_message *m =
        parse("{\"jsonrpc\":\"2.0\",\"method\":\"system.ping\",\"params\":{\"x\":1}}");

    (void)state;
    assert_int_equal(m->requests[0].error.code, XFER_INVALID_PARAMS);
    assert_true(m->requests[0].notification);
    control_message_free(m);
}

static void an_invalid_request_is_never_a_notification(void **state)
{
    struct control_message *m = parse("{\"jsonrpc\":\"2.0\",\"method\":1}");

    (void)state;
    assert_int_equal(m->requests[0].error.code, XFER_INVALID_REQUEST);
    assert_false(m->requests[0].notification);
    control_message_free(m);
}

static void integers_may_have_an_exponent(void **state)
{
    struct control_message *m =
        taken("{\"id\":1,\"method\":\"transfer.status\",\"params\":{\"job\":1e15}}");

    (void)state;
    assert_int_equal(m->requests[0].params.job, INT64_C(1000000000000000));
    control_message_free(m);
}

static void the_largest_integer_is_taken(void **state)
{
    struct control_message *m =
        taken("{\"id\":1,\"method\":\"transfer.status\",\"params\":{\"job\":9007199254740991}}");

    (void)state;
    assert_int_equal(m->requests[0].params.job, INT64_C(9007199254740991));
    control_message_free(m);
}

static void paths_in_base64_are_any_bytes(void **state)
{
    struct control_message *m =
        taken("{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source_b64\":\"L///\","
              "\"dest_b64\":\"Cv4=\"}}");

    (void)state;
    assert_string_equal(m->requests[0].params.source, "/\xff\xff");
    assert_string_equal(m->requests[0].params.dest, "\n\xfe");
    control_message_free(m);
}

static void escapes_are_decoded(void **state)
{
    struct control_message *m = submit_taken(",\"dest\":\"\\u00e9\\ud83d\\ude00\\t\\/\\u0001\"");

    (void)state;
    assert_string_equal(m->requests[0].params.dest, "\xc3\xa9\xf0\x9f\x98\x80\t/\x01");
    control_message_free(m);
}

static void a_member_name_may_be_escaped(void **state)
{
    (void)state;
    control_message_free(taken("{\"id\":1,\"m\\u0065thod\":\"system.ping\"}"));
}

static void the_longest_path_is_taken(void **state)
{
    char line[XFER_PATH_SIZE + 200], path[XFER_PATH_SIZE];

    (void)state;
    memset(path, 'x', sizeof(path) - 1);
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    snprintf(line, sizeof(line),
             "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"%s\"}}", path);
    struct control_message *m = taken(line);
    assert_string_equal(m->requests[0].params.source, path);
    control_message_free(m);

    snprintf(line, sizeof(line),
             "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"%sx\"}}", path);
    refused(line, XFER_INVALID_PARAMS, "1");
}

/* ---- batches ---- */

static void a_batch_is_decoded_one_by_one(void **state)
{
    struct control_message *m =
        parse("[{\"id\":1,\"method\":\"system.ping\"},5,{\"id\":2,\"method\":\"no\"},"
              "{\"jsonrpc\":\"2.0\",\"method\":\"system.ping\"}]");

    (void)state;
    assert_true(m->batch);
    assert_int_equal(m->n, 4);
    assert_int_equal(m->requests[0].error.code, XFER_OK);
    assert_int_equal(m->requests[1].error.code, XFER_INVALID_REQUEST);
    assert_string_equal(m->requests[1].id, "null");
    assert_int_equal(m->requests[2].error.code, XFER_METHOD_NOT_FOUND);
    assert_string_equal(m->requests[2].id, "2");
    assert_true(m->requests[3].notification);
    control_message_free(m);
}

static void a_batch_of_one_is_a_batch(void **state)
{
    struct control_message *m = parse("[{\"id\":1,\"method\":\"system.ping\"}]");

    (void)state;
    assert_true(m->batch);
    assert_int_equal(m->n, 1);
    control_message_free(m);
}

static void an_empty_batch_is_one_invalid_request(void **state)
{
    (void)state;
    refused("[]", XFER_INVALID_REQUEST, "null");
    refused("[ ]", XFER_INVALID_REQUEST, "null");
}

static void a_batch_in_a_batch_is_an_invalid_request(void **state)
{
    struct control_message *m = parse("[[{\"id\":1,\"method\":\"system.ping\"}]]");

    (void)state;
    assert_true(m->batch);
    assert_int_equal(m->requests[0].error.code, XFER_INVALID_REQUEST);
    control_message_free(m);
}

/* An array of n times the item. */
static char *repeat(const char *item, size_t n)
{
    char *text = malloc(n * (strlen(item) + 1) + 3), *at = text;

    assert_non_null(text);
    *at++ = '[';
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            *at++ = ',';
        at = stpcpy(at, item);
    }
    strcpy(at, "]");
    return text;
}

static void the_longest_batch_is_taken_and_no_longer_one(void **state)
{
    char *line = repeat("{\"id\":1,\"method\":\"system.ping\"}", XFER_BATCH_MAX);
    struct control_message *m = parse(line);

    (void)state;
    assert_int_equal(m->n, XFER_BATCH_MAX);
    control_message_free(m);
    free(line);

    line = repeat("1", XFER_BATCH_MAX + 1);
    refused(line, XFER_INVALID_REQUEST, "null");
    free(line);
}

/* ---- texts that are no JSON ---- */

static void what_is_no_json_is_a_parse_error(void **state)
{
    static const char *const broken[] = {
        "",
        " ",
        "hello",
        "{",
        "}",
        "{\"id\":1,\"method\":\"system.ping\"",
        "{\"id\":1,\"method\":\"system.pi",
        "{\"id\":1 \"method\":\"system.ping\"}",
        "{\"id\":1,\"method\":\"system.ping\",}",
        "{\"id\" 1}",
        "{id:1}",
        "{'id':1}",
        "{1:1}",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1}",
        "{\"a\":1]",
        "nul",
        "True",
        "truefalse",
        "// {}",
        "{\"id\":NaN}",
        "{\"id\":Infinity}",
        "\xef\xbb\xbf{}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++)
        refused(broken[i], XFER_PARSE_ERROR, "null");
}

static void text_behind_the_value_is_a_parse_error(void **state)
{
    (void)state;
    refused("{\"id\":1,\"method\":\"system.ping\"} x", XFER_PARSE_ERROR, "null");
    refused("{\"id\":1,\"method\":\"system.ping\"}{}", XFER_PARSE_ERROR, "null");
    refused("{\"id\":1,\"method\":\"system.ping\"}]", XFER_PARSE_ERROR, "null");
}

static void numbers_must_be_written_as_json_wants_them(void **state)
{
    static const char *const broken[] = {"01",  "-",   "+1",   ".5",  "1.", "1e",
                                         "1e+", "0x1", "1.e1", "-01", "1_0"};

    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
        char line[64];

        snprintf(line, sizeof(line), "{\"id\":%s}", broken[i]);
        refused(line, XFER_PARSE_ERROR, "null");
    }
}

static void a_number_of_too_many_characters_is_a_parse_error(void **state)
{
    char line[256] = "{\"method\":\"system.ping\",\"id\":1.";

    (void)state;
    for (int i = 0; i < XFER_NUMBER_MAX - 2; i++)
        strcat(line, "0");
    strcat(line, "}");
    control_message_free(taken(line));
    line[strlen(line) - 1] = '0';
    strcat(line, "}");
    refused(line, XFER_PARSE_ERROR, "null");
}

static void control_characters_in_strings_are_a_parse_error(void **state)
{
    (void)state;
    refused("{\"id\":\"a\tb\"}", XFER_PARSE_ERROR, "null");
    refused("{\"id\":\"a\x1f\"}", XFER_PARSE_ERROR, "null");
}

static void broken_escapes_are_a_parse_error(void **state)
{
    static const char *const broken[] = {"\\x",     "\\",  "\\u",     "\\u12",  "\\u12g4",
                                         "\\U0041", "\\'", "\\u 041", "\\u-001"};

    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
        char line[64];

        snprintf(line, sizeof(line), "{\"id\":\"%s\"}", broken[i]);
        refused(line, XFER_PARSE_ERROR, "null");
    }
}

static void half_a_surrogate_pair_is_a_parse_error(void **state)
{
    static const char *const broken[] = {"\\ud800",        "\\udc00",        "\\ud800\\u0041",
                                         "\\ud800x",       "\\ud800\\ud800", "\\ud83d\\n",
                                         "\\ude00\\ud83d", "\\ud800\\u"};

    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
        char line[64];

        snprintf(line, sizeof(line), "{\"id\":\"%s\"}", broken[i]);
        refused(line, XFER_PARSE_ERROR, "null");
    }
}

static void invalid_utf8_is_a_parse_error(void **state)
{
    (void)state;
    refused("{\"id\":\"\xff\"}", XFER_PARSE_ERROR, "null");
    refused("{\"id\":\"\xc3\"}", XFER_PARSE_ERROR, "null");
    refused("{\"\xed\xa0\x80\":1}", XFER_PARSE_ERROR, "null");
}

static void nul_bytes_are_a_parse_error(void **state)
{
    static const char inside[] = "{\"id\":\"a\0b\"}";
    static const char behind[] = "{\"id\":1,\"method\":\"system.ping\"}\0";

    (void)state;
    refused_bytes(inside, sizeof(inside) - 1, XFER_PARSE_ERROR, "null");
    refused_bytes(behind, sizeof(behind) - 1, XFER_PARSE_ERROR, "null");
}

static void a_parse_error_says_where(void **state)
{
    struct control_message *m = parse("{\"id\":1,}");

    (void)state;
    assert_non_null(strstr(m->requests[0].error.text, "byte 8"));
    control_message_free(m);
}

static char *nested(size_t depth)
{
    char *text = malloc(2 * depth + 1);

    assert_non_null(text);
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    text[2 * depth] = '\0';
    return text;
}

static void deep_nesting_is_a_parse_error(void **state)
{
    char *line = nested(XFER_NESTING_MAX);
    struct control_message *m = parse(line);

    (void)state;
    assert_int_equal(m->requests[0].error.code, XFER_INVALID_REQUEST);
    control_message_free(m);
    free(line);

    line = nested(XFER_NESTING_MAX + 1);
    refused(line, XFER_PARSE_ERROR, "null");
    free(line);

    line = nested(100000);
    refused(line, XFER_PARSE_ERROR, "null");
    refused_bytes(line, 100000, XFER_PARSE_ERROR, "null");
    free(line);
}

static void too_many_values_are_an_invalid_request(void **state)
{
    char *line = repeat("1", XFER_VALUES_MAX);

    (void)state;
    refused(line, XFER_INVALID_REQUEST, "null");
    free(line);
}

/* ---- requests that are invalid ---- */

static void a_value_that_is_no_object_is_an_invalid_request(void **state)
{
    static const char *const values[] = {"1", "\"x\"", "true", "null", "1e999"};

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
        refused(values[i], XFER_INVALID_REQUEST, "null");
}

static void an_unknown_member_is_an_invalid_request(void **state)
{
    (void)state;
    refused("{\"id\":1,\"method\":\"system.ping\",\"extra\":1}", XFER_INVALID_REQUEST, "1");
    refused("{\"extra\":1,\"id\":\"x\",\"method\":\"system.ping\"}", XFER_INVALID_REQUEST, "\"x\"");
}

static void member_names_are_case_sensitive(void **state)
{
    (void)state;
    refused("{\"id\":1,\"Method\":\"system.ping\"}", XFER_INVALID_REQUEST, "1");
    refused("{\"id\":1,\"method\":\"System.ping\"}", XFER_METHOD_NOT_FOUND, "1");
    submit_refused(",\"Dest\":\"x\"");
}

static void a_repeated_member_is_an_invalid_request(void **state)
{
    (void)state;
    refused("{\"id\":1,\"method\":\"system.ping\",\"method\":\"system.ping\"}",
            XFER_INVALID_REQUEST, "1");
    refused("{\"id\":1,\"jsonrpc\":\"2.0\",\"jsonrpc\":\"2.0\",\"method\":\"system.ping\"}",
            XFER_INVALID_REQUEST, "1");
    refused("{\"id\":1,\"method\":\"system.ping\",\"params\":{},\"params\":{}}",
            XFER_INVALID_REQUEST, "1");
}

static void a_repeated_id_cannot_be_told(void **state)
{
    (void)state;
    refused("{\"id\":1,\"id\":2,\"method\":\"system.ping\"}", XFER_INVALID_REQUEST, "null");
    refused("{\"id\":1,\"id\":1,\"id\":1,\"method\":\"system.ping\"}", XFER_INVALID_REQUEST,
            "null");
}

static void another_version_is_an_invalid_request(void **state)
{
    static const char *const versions[] = {"\"1.0\"", "2.0",      "\"2\"",
                                           "null",    "\"2.0 \"", "\"2.0\\u0000\""};

    (void)state;
    for (size_t i = 0; i < sizeof(versions) / sizeof(*versions); i++) {
        char line[128];

        snprintf(line, sizeof(line), "{\"jsonrpc\":%s,\"id\":1,\"method\":\"system.ping\"}",
                 versions[i]);
        refused(line, XFER_INVALID_REQUEST, "1");
    }
}

static void an_id_of_another_kind_is_an_invalid_request(void **state)
{
    static const char *const ids[] = {"1.5",
                                      "true",
                                      "[]",
                                      "{}",
                                      "9007199254740992",
                                      "9007199254740993",
                                      "1e300",
                                      "1e999",
                                      "-9007199254740993",
                                      "\"\\u0000\"",
                                      "\"a\\u0000b\""};

    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
        char line[128];

        snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"system.ping\"}",
                 ids[i]);
        refused(line, XFER_INVALID_REQUEST, "null");
    }
}

static void an_id_that_is_too_long_is_an_invalid_request(void **state)
{
    char line[XFER_ID_MAX + 100], id[XFER_ID_MAX + 2];

    (void)state;
    memset(id, 'i', sizeof(id));
    snprintf(line, sizeof(line), "{\"id\":\"%.*s\",\"method\":\"system.ping\"}", XFER_ID_MAX, id);
    control_message_free(taken(line));
    snprintf(line, sizeof(line), "{\"id\":\"%.*s\",\"method\":\"system.ping\"}", XFER_ID_MAX + 1,
             id);
    refused(line, XFER_INVALID_REQUEST, "null");
}

static void a_method_that_is_no_name_is_an_invalid_request(void **state)
{
    (void)state;
    refused("{\"id\":1}", XFER_INVALID_REQUEST, "1");
    refused("{\"id\":1,\"method\":null}", XFER_INVALID_REQUEST, "1");
    refused("{\"id\":1,\"method\":[\"system.ping\"]}", XFER_INVALID_REQUEST, "1");
    refused("{\"id\":1,\"method\":\"system.ping\\u0000\"}", XFER_INVALID_REQUEST, "1");
}

static void a_nul_in_the_name_of_a_member_is_an_invalid_request(void **state)
{
    (void)state;
    refused("{\"id\":1,\"method\\u0000\":\"system.ping\"}", XFER_INVALID_REQUEST, "1");
}

static void an_unknown_method_is_not_found(void **state)
{
    (void)state;
    refused("{\"id\":1,\"method\":\"\"}", XFER_METHOD_NOT_FOUND, "1");
    refused("{\"id\":1,\"method\":\"transfer.submit2\"}", XFER_METHOD_NOT_FOUND, "1");
    refused("{\"id\":1,\"method\":\"transfer\",\"params\":[]}", XFER_METHOD_NOT_FOUND, "1");
}

static void fifty_thousand_members_are_an_invalid_request(void **state)
{
    size_t n = 50000;
    char *line = malloc(n * 16 + 64), *at = stpcpy(line, "{\"id\":3");

    (void)state;
    for (size_t i = 0; i < n; i++)
        at += sprintf(at, ",\"m%zu\":1", i);
    strcpy(at, "}");
    refused(line, XFER_INVALID_REQUEST, "3");
    free(line);
}

/* ---- parameters that are invalid ---- */

static void parameters_by_position_are_refused(void **state)
{
    (void)state;
    params_refused("system.ping", "[]");
    params_refused("transfer.status", "[1]");
}

static void params_of_another_type_are_refused(void **state)
{
    (void)state;
    params_refused("system.ping", "null");
    params_refused("system.ping", "1");
    params_refused("system.ping", "\"x\"");
}

static void an_unknown_parameter_is_refused(void **state)
{
    (void)state;
    submit_refused(",\"color\":1");
    params_refused("system.ping", "{\"job\":1}");
    params_refused("transfer.status", "{\"job\":1,\"job_b64\":\"MQ==\"}");
}

static void a_repeated_parameter_is_refused(void **state)
{
    (void)state;
    submit_refused(",\"source\":\"/a\"");
    submit_refused(",\"wait\":true,\"wait\":true");
}

static void a_path_given_twice_is_refused(void **state)
{
    (void)state;
    submit_refused(",\"source_b64\":\"L2E=\"");
    submit_refused(",\"dest_b64\":\"YQ==\",\"dest\":\"a\"");
}

static void a_missing_parameter_is_refused(void **state)
{
    (void)state;
    params_refused("transfer.submit", "{}");
    params_refused("transfer.wait", "{\"timeout\":1}");
    refused("{\"id\":7,\"method\":\"transfer.status\"}", XFER_INVALID_PARAMS, "7");
}

static void a_parameter_of_the_wrong_type_is_refused(void **state)
{
    static const char *const broken[] = {
        ",\"dest\":1",        ",\"dest\":null",     ",\"dest\":[\"x\"]", ",\"dest_b64\":5",
        ",\"wait\":1",        ",\"wait\":\"true\"", ",\"wait\":null",    ",\"priority\":\"1\"",
        ",\"priority\":{}",   ",\"overwrite\":0",   ",\"sync\":true",    ",\"priority\":true",
        ",\"retries\":\"3\"", ",\"retries\":null",  ",\"key\":7",        ",\"key\":null",
        ",\"key\":[\"a\"]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++)
        submit_refused(broken[i]);
}

static void a_fraction_is_no_integer(void **state)
{
    (void)state;
    submit_refused(",\"priority\":1.5");
    submit_refused(",\"priority\":1e-3");
    submit_refused(",\"retries\":0.5");
    params_refused("transfer.status", "{\"job\":0.9999999}");
}

static void an_integer_beyond_2_to_the_53_is_refused(void **state)
{
    (void)state;
    params_refused("transfer.status", "{\"job\":9007199254740992}");
    params_refused("transfer.status", "{\"job\":9007199254740993}");
    params_refused("transfer.status", "{\"job\":18446744073709551617}");
    params_refused("transfer.status", "{\"job\":1e300}");
    params_refused("transfer.status", "{\"job\":1e999}");
}

static void an_integer_out_of_its_range_is_refused(void **state)
{
    (void)state;
    submit_refused(",\"priority\":101");
    submit_refused(",\"priority\":-101");
    submit_refused(",\"retries\":-1");
    submit_refused(",\"retries\":1000001");
    params_refused("transfer.status", "{\"job\":0}");
    params_refused("transfer.status", "{\"job\":-1}");
    params_refused("transfer.list", "{\"limit\":1001}");
    params_refused("transfer.list", "{\"limit\":-1}");
}

static void seconds_out_of_their_range_are_refused(void **state)
{
    (void)state;
    params_refused("transfer.wait", "{\"job\":1,\"timeout\":-0.1}");
    params_refused("transfer.wait", "{\"job\":1,\"timeout\":1e999}");
    params_refused("transfer.wait", "{\"job\":1,\"timeout\":1e10}");
    params_refused("transfer.wait", "{\"job\":1,\"timeout\":\"5s\"}");
}

static void a_key_has_1_to_255_bytes(void **state)
{
    char params[512];

    (void)state;
    submit_refused(",\"key\":\"\"");
    submit_refused(",\"key\":\"a\\u0000b\"");
    submit_refused(",\"key_b64\":\"YQ==\"");
    snprintf(params, sizeof(params), ",\"key\":\"%0255d\"", 7);
    control_message_free(submit_taken(params));
    snprintf(params, sizeof(params), ",\"key\":\"%0256d\"", 7);
    submit_refused(params);
}

static void methods_without_parameters_refuse_any(void **state)
{
    static const char *const names[] = {"queue.pause", "queue.resume", "queue.drain"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        params_refused(names[i], "{\"job\":1}");
    params_refused("transfer.retry", "{}");
    params_refused("transfer.retry", "{\"job\":1,\"retries\":2}");
}

static void an_unknown_choice_is_refused(void **state)
{
    (void)state;
    submit_refused(",\"overwrite\":\"older\"");
    submit_refused(",\"overwrite\":\"Never\"");
    submit_refused(",\"sync\":\"\"");
    params_refused("transfer.list", "{\"state\":\"lost\"}");
}

static void a_checksum_goes_with_changed_only(void **state)
{
    (void)state;
    submit_refused(",\"checksum\":true");
    submit_refused(",\"checksum\":true,\"overwrite\":\"newer\"");
    submit_refused(",\"overwrite\":\"never\",\"checksum\":true");
    control_message_free(submit_taken(",\"checksum\":false,\"overwrite\":\"newer\""));
    control_message_free(submit_taken(",\"checksum\":true,\"overwrite\":\"changed\""));
}

static void what_is_to_be_preserved_goes_by_its_names(void **state)
{
    static const char *const bad[] = {
        "\"\"",      "\"mod\"",         "\"mode,\"",  "\",mode\"",  "\"Mode\"", "\"none,mode\"",
        "\"+none\"", "\"mode times\"",  "\"++mode\"", "[\"mode\"]", "7",        "\"mode,none\"",
        "\"+\"",     "\"links,modes\"", "null"};
    static const struct {
        const char *text;
        uint32_t mask;
    } good[] = {
        {"mode", PRESERVE_MODE},
        {"times,mode", PRESERVE_DEFAULT},
        {"none", 0},
        {"all", PRESERVE_ALL},
        {"+all", PRESERVE_ALL},
        {"+owner", PRESERVE_DEFAULT | PRESERVE_OWNER},
        {"links,+sparse", PRESERVE_DEFAULT | PRESERVE_LINKS | PRESERVE_SPARSE},
        {"xattr,acl,acl", PRESERVE_XATTR | PRESERVE_ACL},
    };
    char line[64];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        snprintf(line, sizeof(line), ",\"preserve\":%s", bad[i]);
        submit_refused(line);
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        snprintf(line, sizeof(line), ",\"preserve\":\"%s\"", good[i].text);
        struct control_message *m = submit_taken(line);
        assert_int_equal(m->requests[0].params.preserve, good[i].mask);
        control_message_free(m);
    }
}

static void every_set_of_what_is_preserved_goes_both_ways(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    char text[PRESERVE_TEXT_SIZE];
    uint32_t back;

    (void)state;
    for (uint32_t mask = 0; mask <= PRESERVE_ALL; mask++) {
        preserve_format(mask, text);
        assert_int_equal(preserve_parse(text, &back, &err), 0);
        assert_int_equal(back, mask);
    }
    preserve_format(PRESERVE_ALL, text);
    assert_string_equal(text, "mode,times,owner,xattr,acl,links,sparse");
    preserve_format(0, text);
    assert_string_equal(text, "none");
}

static void what_is_no_rule_is_refused(void **state)
{
    static const char *const bad[] = {"\"- a\"",        "[\"\"]",          "[\"a\"]",
                                      "[\"+a\"]",       "[\"- \"]",        "[\"- a\",\"! b\"]",
                                      "[\"- a\",null]", "[[\"- a\"]]",     "{}",
                                      "null",           "[\"- a\\u0000\"]"};
    char line[64];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        snprintf(line, sizeof(line), ",\"filter\":%s", bad[i]);
        submit_refused(line);
    }
    submit_refused(",\"filter_b64\":[\"- a\"]");
    submit_refused(",\"filter_b64\":[\"LSAA\"]");
    submit_refused(",\"filter\":[\"- a\"],\"filter_b64\":[\"LSBh\"]");
}

/* A submission with n rules of len bytes each. */
static char *line_with_rules(size_t n, size_t len)
{
    char *line = malloc(256 + n * (len + 3)), *at = line;

    assert_non_null(line);
    at += sprintf(
        at, "{\"id\":7,\"method\":\"transfer.submit\",\"params\":{\"source\":\"/a\",\"filter\":[");
    for (size_t i = 0; i < n; i++) {
        at = stpcpy(at, i > 0 ? ",\"- " : "\"- ");
        memset(at, 'x', len - 2);
        at += len - 2;
        *at++ = '"';
    }
    strcpy(at, "]}}");
    return line;
}

static void rules_are_bounded_in_number_and_bytes(void **state)
{
    char *line = line_with_rules(XFER_FILTER_RULES_MAX, 3);

    (void)state;
    control_message_free(taken(line));
    free(line);
    line = line_with_rules(XFER_FILTER_RULES_MAX + 1, 3);
    refused(line, XFER_INVALID_PARAMS, "7");
    free(line);
    line = line_with_rules(16, XFER_FILTER_SIZE / 16 - 1);
    control_message_free(taken(line));
    free(line);
    line = line_with_rules(16, XFER_FILTER_SIZE / 16);
    refused(line, XFER_INVALID_PARAMS, "7");
    free(line);
}

static void a_page_of_notes_is_bounded(void **state)
{
    (void)state;
    params_refused("transfer.errors", "{\"job\":1,\"limit\":1001}");
    params_refused("transfer.plan", "{\"job\":1,\"limit\":-1}");
    params_refused("transfer.plan", "{\"job\":1,\"after\":-1}");
    params_refused("transfer.errors", "{\"after\":1}");
    params_refused("transfer.errors", "{\"job\":1,\"before\":1}");
}

static void a_nul_in_a_parameter_is_refused(void **state)
{
    (void)state;
    submit_refused(",\"dest\":\"ok\\u0000/../x\"");
    submit_refused(",\"dest\":\"\\u0000\"");
    submit_refused(",\"dest\\u0000\":\"x\"");
    submit_refused(",\"overwrite\":\"never\\u0000\"");
    submit_refused(",\"dest_b64\":\"YQ==\\u0000\"");
    params_refused("transfer.list", "{\"user\":\"root\\u0000x\"}");
}

static void an_escaped_backslash_before_u0000_is_no_nul(void **state)
{
    struct control_message *m = submit_taken(",\"dest\":\"a\\\\u0000\"");

    (void)state;
    assert_string_equal(m->requests[0].params.dest, "a\\u0000");
    control_message_free(m);
}

static void a_nul_byte_in_base64_is_refused(void **state)
{
    (void)state;
    submit_refused(",\"dest_b64\":\"YQBi\"");
}

static void broken_base64_is_refused(void **state)
{
    (void)state;
    submit_refused(",\"dest_b64\":\"\"");
    submit_refused(",\"dest_b64\":\"YQ\"");
    submit_refused(",\"dest_b64\":\"YQ==\\n\"");
    submit_refused(",\"dest_b64\":\"Y===\"");
}

static void an_empty_path_is_refused(void **state)
{
    (void)state;
    submit_refused(",\"dest\":\"\"");
    params_refused("transfer.submit", "{\"source\":\"\"}");
}

static void a_relative_source_is_refused(void **state)
{
    (void)state;
    params_refused("transfer.submit", "{\"source\":\"a\"}");
    params_refused("transfer.submit", "{\"source\":\"./a\"}");
    params_refused("transfer.submit", "{\"source_b64\":\"YQ==\"}");
}

static void the_name_of_a_refused_parameter_is_told(void **state)
{
    struct control_message *m =
        parse("{\"id\":1,\"method\":\"system.ping\",\"params\":{\"col\\u0000or\":1}}");

    (void)state;
    assert_non_null(strstr(m->requests[0].error.text, "system.ping has no parameter"));
    control_message_free(m);
}

/* ---- the way back ---- */

/* Encodes and decodes; the caller frees the message. */
static struct control_message *there_and_back(enum method_id method, const struct control_params *p)
{
    char *line = control_request_encode(42, method, p);

    assert_non_null(line);
    size_t len = strlen(line);
    assert_int_equal(line[len - 1], '\n');
    assert_ptr_equal(strchr(line, '\n'), line + len - 1);
    struct control_message *m = control_message_parse(line, len - 1);
    free(line);
    assert_non_null(m);
    if (m->requests[0].error.code != XFER_OK)
        fail_msg("%s", m->requests[0].error.text);
    assert_int_equal(m->requests[0].method->id, method);
    assert_string_equal(m->requests[0].id, "42");
    return m;
}

static void an_encoded_submit_comes_back_the_same(void **state)
{
    char source[] = "/dir/f\xc3\xbcr \"x\"\n", dest[] = "caf\xe9", key[] = "a \"key\"";
    struct control_params p;

    (void)state;
    control_params_init(&p);
    p.source = source;
    p.dest = dest;
    p.overwrite = OVERWRITE_NEVER;
    p.sync = SYNC_BATCH;
    p.priority = 55;
    p.retries = 0;
    p.key = key;
    p.wait = true;
    struct control_message *m = there_and_back(METHOD_TRANSFER_SUBMIT, &p);
    const struct control_params *q = &m->requests[0].params;
    assert_string_equal(q->source, source);
    assert_string_equal(q->dest, dest);
    assert_int_equal(q->overwrite, OVERWRITE_NEVER);
    assert_int_equal(q->sync, SYNC_BATCH);
    assert_int_equal(q->priority, 55);
    assert_int_equal(q->retries, 0);
    assert_string_equal(q->key, key);
    assert_true(q->wait);
    control_message_free(m);
}

static void a_list_of_files_is_taken(void **state)
{
    struct control_message *m = submit_taken(",\"files\":[\"a\",\"b/c\"]");
    struct control_params copy;

    (void)state;
    assert_true(control_params_copy(&copy, &m->requests[0].params));
    control_message_free(m);
    assert_int_equal(copy.files.n, 2);
    assert_string_equal(copy.files.list[1], "b/c");
    assert_false(copy.files_fd);
    control_params_free(&copy);
    m = submit_taken(",\"files_fd\":true");
    assert_true(m->requests[0].params.files_fd);
    control_message_free(m);
    m = submit_taken(",\"files_b64\":[\"/w==\"]");
    assert_string_equal(m->requests[0].params.files.list[0], "\xff");
    control_message_free(m);
}

static void what_is_no_list_of_files_is_refused(void **state)
{
    static const char *const bad[] = {
        ",\"files\":[]",
        ",\"files\":[\"\"]",
        ",\"files\":\"a\"",
        ",\"files\":[1]",
        ",\"files_b64\":[\"LSAA\"]",
        ",\"files\":[\"a\"],\"files_b64\":[\"YQ==\"]",
        ",\"files\":[\"a\"],\"files_fd\":true",
        ",\"files\":[\"a\"],\"source_fd\":true",
        ",\"files_fd\":true,\"source_fd\":true",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        submit_refused(bad[i]);
}

/* In base64 it is decoded into a buffer. */
static void a_name_in_a_list_that_no_path_could_be_is_refused(void **state)
{
    static const char begin[] = "{\"id\":7,\"method\":\"transfer.submit\","
                                "\"params\":{\"source\":\"/a\",\"files_b64\":[\"";
    size_t len = 200000;
    char *line = malloc(sizeof(begin) + len + 4);

    (void)state;
    assert_non_null(line);
    strcpy(line, begin);
    memset(line + strlen(begin), 'Y', len);
    strcpy(line + strlen(begin) + len, "\"]}}");
    refused(line, XFER_INVALID_PARAMS, "7");
    free(line);
}

static void an_encoded_submit_of_a_tree_comes_back_the_same(void **state)
{
    char source[] = "/d", rule[] = "- *.o", other[] = "+ caf\xe9";
    char *rules[] = {rule, other};
    struct control_params p;

    (void)state;
    for (size_t n = 0; n <= 2; n++) { /* the second rule takes both to base64 */
        control_params_init(&p);
        p.source = source;
        p.overwrite = OVERWRITE_CHANGED;
        p.checksum = p.dry_run = p.one_file_system = true;
        p.preserve = n == 0 ? 0 : PRESERVE_ALL;
        p.filter = (struct control_strings){rules, n};
        struct control_message *m = there_and_back(METHOD_TRANSFER_SUBMIT, &p);
        const struct control_params *q = &m->requests[0].params;
        assert_int_equal(q->overwrite, OVERWRITE_CHANGED);
        assert_true(q->checksum && q->dry_run && q->one_file_system);
        assert_int_equal(q->preserve, p.preserve);
        assert_int_equal(q->filter.n, n);
        for (size_t i = 0; i < n; i++)
            assert_string_equal(q->filter.list[i], rules[i]);
        control_message_free(m);
    }
}

static void copied_parameters_are_the_same(void **state)
{
    struct control_message *m =
        submit_taken(",\"dest\":\"d\",\"key\":\"k\",\"filter\":[\"- a\",\"- b\"],\"dry_run\":true");
    struct control_params copy;

    (void)state;
    assert_true(control_params_copy(&copy, &m->requests[0].params));
    control_message_free(m);
    assert_string_equal(copy.source, "/a");
    assert_string_equal(copy.dest, "d");
    assert_string_equal(copy.key, "k");
    assert_null(copy.user);
    assert_true(copy.dry_run);
    assert_int_equal(copy.filter.n, 2);
    assert_string_equal(copy.filter.list[1], "- b");
    control_params_free(&copy);
    assert_int_equal(copy.filter.n, 0);
}

static void an_encoded_wait_keeps_a_timeout_of_zero(void **state)
{
    struct control_params p;

    (void)state;
    control_params_init(&p);
    p.job = 9;
    p.timeout = 0;
    struct control_message *m = there_and_back(METHOD_TRANSFER_WAIT, &p);
    assert_int_equal(m->requests[0].params.job, 9);
    assert_true(m->requests[0].params.timeout == 0);
    control_message_free(m);
}

static void an_encoded_list_keeps_a_state_of_zero(void **state)
{
    struct control_params p;

    (void)state;
    control_params_init(&p);
    p.state = JOB_QUEUED;
    p.limit = 0;
    struct control_message *m = there_and_back(METHOD_TRANSFER_LIST, &p);
    assert_int_equal(m->requests[0].params.state, JOB_QUEUED);
    assert_int_equal(m->requests[0].params.limit, 0);
    control_message_free(m);
}

static void what_was_not_set_is_not_written(void **state)
{
    char source[] = "/a";
    struct control_params p;

    (void)state;
    control_params_init(&p);
    p.source = source;
    char *line = control_request_encode(1, METHOD_TRANSFER_SUBMIT, &p);
    assert_string_equal(line, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"transfer.submit\","
                              "\"params\":{\"source\":\"/a\"}}\n");
    free(line);
}

static void every_method_has_unique_names_and_help(void **state)
{
    (void)state;
    for (int id = 0; id < METHOD_COUNT; id++) {
        const struct method_spec *m = method_get((enum method_id)id);

        assert_int_equal(m->id, id);
        assert_ptr_equal(method_find(m->name), m);
        assert_true(strlen(m->name) <= XFER_METHOD_NAME_MAX);
        assert_true(m->summary && m->result);
        assert_true(m->n_params <= 64);
        for (size_t i = 0; i < m->n_params; i++)
            assert_non_null(m->params[i].help);
    }
    assert_null(method_find("none"));
    assert_null(method_get(METHOD_COUNT));
}

static void raw_parameters_become_one_line(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    char *line =
        control_request_encode_raw(5, "system.describe", "\n{\"method\":\r\n \"a\\nb\"}\n", &err);

    (void)state;
    assert_non_null(line);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    assert_non_null(strstr(line, "\"a\\nb\""));
    struct control_message *m = control_message_parse(line, strlen(line) - 1);
    assert_int_equal(m->requests[0].error.code, XFER_OK);
    assert_string_equal(m->requests[0].params.method, "a\nb");
    control_message_free(m);
    free(line);
}

static void no_raw_parameters_are_no_params(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    char *line = control_request_encode_raw(5, "x", NULL, &err);

    (void)state;
    assert_string_equal(line, "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"x\"}\n");
    free(line);
    line = control_request_encode_raw(5, "x", "", &err);
    assert_string_equal(line, "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"x\"}\n");
    free(line);
}

static void raw_parameters_that_are_no_object_are_a_usage_error(void **state)
{
    static const char *const broken[] = {"1",     "\"x\"", "{", "{}}",
                                         "{} {}", "null",  " ", "{\"a\":\"\xff\"}"};

    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
        struct xfer_error err = XFER_ERROR_INIT;

        assert_null(control_request_encode_raw(5, "x", broken[i], &err));
        assert_int_equal(err.code, XFER_USAGE);
    }
    struct xfer_error err = XFER_ERROR_INIT;
    assert_null(control_request_encode_raw(5, "\xff", "{}", &err));
    assert_int_equal(err.code, XFER_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_without_params_is_taken),
        cmocka_unit_test(parameters_that_are_not_given_have_their_initial_values),
        cmocka_unit_test(all_parameters_of_submit_are_taken),
        cmocka_unit_test(the_parameters_about_trees_are_taken),
        cmocka_unit_test(rules_in_base64_are_any_bytes),
        cmocka_unit_test(all_parameters_of_errors_and_plan_are_taken),
        cmocka_unit_test(all_parameters_of_list_and_wait_are_taken),
        cmocka_unit_test(white_space_around_and_inside_is_taken),
        cmocka_unit_test(ids_are_echoed_as_they_were),
        cmocka_unit_test(without_jsonrpc_a_request_is_always_answered),
        cmocka_unit_test(without_id_a_request_is_a_notification),
        cmocka_unit_test(a_notification_with_bad_parameters_stays_one),
        cmocka_unit_test(an_invalid_request_is_never_a_notification),
        cmocka_unit_test(integers_may_have_an_exponent),
        cmocka_unit_test(the_largest_integer_is_taken),
        cmocka_unit_test(paths_in_base64_are_any_bytes),
        cmocka_unit_test(escapes_are_decoded),
        cmocka_unit_test(a_member_name_may_be_escaped),
        cmocka_unit_test(the_longest_path_is_taken),
        cmocka_unit_test(a_batch_is_decoded_one_by_one),
        cmocka_unit_test(a_batch_of_one_is_a_batch),
        cmocka_unit_test(an_empty_batch_is_one_invalid_request),
        cmocka_unit_test(a_batch_in_a_batch_is_an_invalid_request),
        cmocka_unit_test(the_longest_batch_is_taken_and_no_longer_one),
        cmocka_unit_test(what_is_no_json_is_a_parse_error),
        cmocka_unit_test(text_behind_the_value_is_a_parse_error),
        cmocka_unit_test(numbers_must_be_written_as_json_wants_them),
        cmocka_unit_test(a_number_of_too_many_characters_is_a_parse_error),
        cmocka_unit_test(control_characters_in_strings_are_a_parse_error),
        cmocka_unit_test(broken_escapes_are_a_parse_error),
        cmocka_unit_test(half_a_surrogate_pair_is_a_parse_error),
        cmocka_unit_test(invalid_utf8_is_a_parse_error),
        cmocka_unit_test(nul_bytes_are_a_parse_error),
        cmocka_unit_test(a_parse_error_says_where),
        cmocka_unit_test(deep_nesting_is_a_parse_error),
        cmocka_unit_test(too_many_values_are_an_invalid_request),
        cmocka_unit_test(a_value_that_is_no_object_is_an_invalid_request),
        cmocka_unit_test(an_unknown_member_is_an_invalid_request),
        cmocka_unit_test(member_names_are_case_sensitive),
        cmocka_unit_test(a_repeated_member_is_an_invalid_request),
        cmocka_unit_test(a_repeated_id_cannot_be_told),
        cmocka_unit_test(another_version_is_an_invalid_request),
        cmocka_unit_test(an_id_of_another_kind_is_an_invalid_request),
        cmocka_unit_test(an_id_that_is_too_long_is_an_invalid_request),
        cmocka_unit_test(a_method_that_is_no_name_is_an_invalid_request),
        cmocka_unit_test(a_nul_in_the_name_of_a_member_is_an_invalid_request),
        cmocka_unit_test(an_unknown_method_is_not_found),
        cmocka_unit_test(fifty_thousand_members_are_an_invalid_request),
        cmocka_unit_test(parameters_by_position_are_refused),
        cmocka_unit_test(params_of_another_type_are_refused),
        cmocka_unit_test(an_unknown_parameter_is_refused),
        cmocka_unit_test(a_repeated_parameter_is_refused),
        cmocka_unit_test(a_path_given_twice_is_refused),
        cmocka_unit_test(a_missing_parameter_is_refused),
        cmocka_unit_test(a_parameter_of_the_wrong_type_is_refused),
        cmocka_unit_test(a_fraction_is_no_integer),
        cmocka_unit_test(an_integer_beyond_2_to_the_53_is_refused),
        cmocka_unit_test(an_integer_out_of_its_range_is_refused),
        cmocka_unit_test(seconds_out_of_their_range_are_refused),
        cmocka_unit_test(a_key_has_1_to_255_bytes),
        cmocka_unit_test(methods_without_parameters_refuse_any),
        cmocka_unit_test(an_unknown_choice_is_refused),
        cmocka_unit_test(a_checksum_goes_with_changed_only),
        cmocka_unit_test(what_is_to_be_preserved_goes_by_its_names),
        cmocka_unit_test(every_set_of_what_is_preserved_goes_both_ways),
        cmocka_unit_test(what_is_no_rule_is_refused),
        cmocka_unit_test(rules_are_bounded_in_number_and_bytes),
        cmocka_unit_test(a_page_of_notes_is_bounded),
        cmocka_unit_test(a_nul_in_a_parameter_is_refused),
        cmocka_unit_test(an_escaped_backslash_before_u0000_is_no_nul),
        cmocka_unit_test(a_nul_byte_in_base64_is_refused),
        cmocka_unit_test(broken_base64_is_refused),
        cmocka_unit_test(an_empty_path_is_refused),
        cmocka_unit_test(a_relative_source_is_refused),
        cmocka_unit_test(the_name_of_a_refused_parameter_is_told),
        cmocka_unit_test(an_encoded_submit_comes_back_the_same),
        cmocka_unit_test(a_list_of_files_is_taken),
        cmocka_unit_test(what_is_no_list_of_files_is_refused),
        cmocka_unit_test(a_name_in_a_list_that_no_path_could_be_is_refused),
        cmocka_unit_test(an_encoded_submit_of_a_tree_comes_back_the_same),
        cmocka_unit_test(copied_parameters_are_the_same),
        cmocka_unit_test(an_encoded_wait_keeps_a_timeout_of_zero),
        cmocka_unit_test(an_encoded_list_keeps_a_state_of_zero),
        cmocka_unit_test(what_was_not_set_is_not_written),
        cmocka_unit_test(every_method_has_unique_names_and_help),
        cmocka_unit_test(raw_parameters_become_one_line),
        cmocka_unit_test(no_raw_parameters_are_no_params),
        cmocka_unit_test(raw_parameters_that_are_no_object_are_a_usage_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
