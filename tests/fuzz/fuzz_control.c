/* SPDX-License-Identifier: MIT
 *
 * The codec of the control socket fed with anything: as a request line to the daemon, as a line and
 * as results to xferctl. Whatever comes, there is an answer that is JSON, and what was taken can be
 * written and read again.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/control_reply.h"
#include "proto/control_request.h"
#include "proto/control_scan.h"
#include "proto/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static bool same(const char *a, const char *b)
{
    return (!a && !b) || (a && b && strcmp(a, b) == 0);
}

static bool same_strings(const struct control_strings *a, const struct control_strings *b)
{
    bool all = a->n == b->n;

    for (size_t i = 0; all && i < a->n; i++)
        all = same(a->list[i], b->list[i]);
    return all;
}

static void check_answer(const struct control_request *r)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_incoming in;
    char *text = r->error.code == XFER_OK ? control_reply_result(r->id, "{}")
                                          : control_reply_error(r->id, &r->error, 0);

    check(text && !strchr(text, '\n'));
    check(control_incoming_parse(text, strlen(text), &in, &err) == 0);
    check(in.kind == (r->error.code == XFER_OK ? CONTROL_RESULT : CONTROL_ERROR));
    check(r->error.code == XFER_OK || in.error.code == r->error.code);
    control_incoming_free(&in);
    free(text);
}

static void check_way_back(const struct control_request *r)
{
    const struct control_params *p = &r->params;
    char *line = control_request_encode(1, r->method->id, p);

    check(line && line[strlen(line) - 1] == '\n');
    struct control_message *m = control_message_parse(line, strlen(line) - 1);
    check(m && m->n == 1 && m->requests[0].error.code == XFER_OK);
    const struct control_params *q = &m->requests[0].params;
    check(m->requests[0].method == r->method);
    check(same(p->source, q->source) && same(p->dest, q->dest) && same(p->method, q->method) &&
          same(p->user, q->user) && same(p->key, q->key));
    check(p->job == q->job && p->limit == q->limit && p->before == q->before &&
          p->priority == q->priority && p->retries == q->retries && p->overwrite == q->overwrite &&
          p->sync == q->sync && p->state == q->state && p->wait == q->wait &&
          p->bandwidth == q->bandwidth && p->source_fd == q->source_fd && p->head == q->head);
    check(p->preserve == q->preserve && p->after == q->after && p->dry_run == q->dry_run &&
          p->checksum == q->checksum && p->one_file_system == q->one_file_system &&
          same_strings(&p->filter, &q->filter));
    control_message_free(m);
    free(line);
}

static void check_params(const struct control_params *p)
{
    check(!p->source || p->source[0] == '/');
    check(!p->source || strlen(p->source) < XFER_PATH_SIZE);
    check(!p->dest || (p->dest[0] != '\0' && strlen(p->dest) < XFER_PATH_SIZE));
    check(!p->user || text_is_utf8(p->user, strlen(p->user)));
    check(!p->key || (text_is_utf8(p->key, strlen(p->key)) && strlen(p->key) <= XFER_KEY_MAX));
    check(p->bandwidth >= -1 && p->bandwidth <= XFER_JSON_INTEGER_MAX);
    check(p->retries >= -1 && p->retries <= XFER_RETRIES_MAX);
    check(p->job >= 0 && p->job <= XFER_JSON_INTEGER_MAX);
    check(p->preserve <= PRESERVE_ALL && p->filter.n <= XFER_FILTER_RULES_MAX);
    check(!p->checksum || p->overwrite == OVERWRITE_CHANGED);
    size_t bytes = 0;
    for (size_t i = 0; i < p->filter.n; i++) {
        check(p->filter.list[i][0] != '\0');
        bytes += strlen(p->filter.list[i]);
    }
    check(bytes <= XFER_FILTER_SIZE);
}

static void fuzz_request(const char *line, size_t len)
{
    struct control_message *m = control_message_parse(line, len);

    check(m && m->n >= 1 && (m->batch || m->n == 1));
    for (size_t i = 0; i < m->n; i++) {
        const struct control_request *r = &m->requests[i];

        check((r->method != NULL) == (r->error.code == XFER_OK));
        check(text_is_utf8(r->error.text, strlen(r->error.text)));
        check_params(&r->params);
        check_answer(r);
        if (r->method)
            check_way_back(r);
    }
    control_message_free(m);
}

static void fuzz_job(const char *text)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_job job, again;

    if (control_job_parse(text, &job, &err) == -1)
        return;
    char *encoded = control_job_encode(&job);
    check(encoded && control_job_parse(encoded, &again, &err) == 0);
    check(job.job == again.job && job.state == again.state && job.retries == again.retries &&
          same(job.source, again.source) && same(job.dest_path, again.dest_path) &&
          same(job.key, again.key) && same(job.preserve, again.preserve) &&
          same_strings(&job.filter, &again.filter) && job.errors.n == again.errors.n &&
          job.warnings.n == again.warnings.n);
    free(encoded);
    control_job_free(&job);
    control_job_free(&again);
}

static void fuzz_pages(const char *text)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_notes notes, notes_again;
    struct control_plan plan, plan_again;

    if (control_notes_parse(text, &notes, &err) == 0) {
        char *encoded = control_notes_encode(&notes);

        check(encoded && control_notes_parse(encoded, &notes_again, &err) == 0);
        check(notes.n == notes_again.n && notes.more == notes_again.more);
        for (size_t i = 0; i < notes.n; i++)
            check(same(notes.list[i].path, notes_again.list[i].path));
        free(encoded);
        control_notes_free(&notes);
        control_notes_free(&notes_again);
    }
    if (control_plan_parse(text, &plan, &err) == 0) {
        char *encoded = control_plan_encode(&plan);

        check(encoded && control_plan_parse(encoded, &plan_again, &err) == 0);
        check(plan.n == plan_again.n && plan.more == plan_again.more);
        free(encoded);
        control_plan_free(&plan);
        control_plan_free(&plan_again);
    }
}

static void fuzz_replies(const char *text, size_t len)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_incoming in;
    struct control_hello hello;
    struct control_stats stats;
    struct control_ping ping;
    struct control_queue queue;
    struct control_reload reload;
    char **jobs;
    size_t n;

    if (control_incoming_parse(text, len, &in, &err) == 0)
        control_incoming_free(&in);
    fuzz_job(text);
    fuzz_pages(text);
    control_hello_parse(text, &hello, &err);
    control_stats_parse(text, &stats, &err);
    control_ping_parse(text, &ping, &err);
    control_queue_parse(text, &queue, &err);
    control_reload_parse(text, &reload, &err);
    if (control_job_list_parse(text, &jobs, &n, &err) == 0) {
        for (size_t i = 0; i < n; i++) {
            struct json_facts facts;

            check(json_scan(jobs[i], strlen(jobs[i]), &facts, &err) == 0);
            free(jobs[i]);
        }
        free(jobs);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xfer_error err = XFER_ERROR_INIT;
    /* A copy of the exact length shows a read behind the end. */
    char *line = malloc(size + 1);

    check(line != NULL);
    memcpy(line, data, size);
    line[size] = '\0';
    fuzz_replies(line, size);
    char *raw = control_request_encode_raw(1, "x", line, &err);
    check(!raw || strchr(raw, '\n') == raw + strlen(raw) - 1);
    free(raw);
    free(line);

    line = malloc(size > 0 ? size : 1);
    check(line != NULL);
    memcpy(line, data, size);
    fuzz_request(line, size);
    free(line);
    return 0;
}
