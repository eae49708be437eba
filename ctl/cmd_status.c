/* SPDX-License-Identifier: MIT
 *
 * xferctl status: one job in full, or the state of the daemon.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/ctl.h"
#include "ctl/session.h"
#include "proto/text.h"
#include "proto/units.h"

/* ---- one job
 * ------------------------------------------------------------------------------------- */

static void row(struct output *out, const char *label, const char *text)
{
    char *shown = text_printable(text);

    if (shown)
        output_line(out, "%-13s %s", label, shown);
    free(shown);
}

static void row_size(struct output *out, const char *label, int64_t bytes)
{
    char size[24];

    units_format_size(bytes, size, sizeof(size));
    output_line(out, "%-13s %lld (%s)", label, (long long)bytes, size);
}

/* A rate that is set. */
static void row_rate(struct output *out, const char *label, int64_t rate)
{
    char size[24];

    units_format_size(rate, size, sizeof(size));
    if (rate > 0)
        output_line(out, "%-13s at most %lld bytes a second (%s/s)", label, (long long)rate, size);
}

static void row_time(struct output *out, const char *label, double unix_time)
{
    time_t seconds = (time_t)unix_time;
    struct tm tm;
    char text[64];

    if (unix_time <= 0 || !localtime_r(&seconds, &tm) ||
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S %z", &tm) == 0)
        return;
    output_line(out, "%-13s %s", label, text);
}

static void print_digest(struct output *out, const struct control_job *job)
{
    char hex[2 * XFER_DIGEST_SIZE + 1];

    for (size_t i = 0; i < XFER_DIGEST_SIZE; i++)
        sprintf(hex + 2 * i, "%02x", job->digest[i]);
    output_line(out, "%-13s xxh128:%s", "digest", hex);
}

static void print_destination(struct output *out, const struct control_job *job)
{
    char *host = text_printable(job->dest_host ? job->dest_host : "");
    char *path = text_printable(job->dest_path ? job->dest_path : "");

    if (host && path && *host && *path)
        output_line(out, "%-13s %s:%s", "destination", host, path);
    else
        row(out, "destination", job->dest ? job->dest : "");
    free(host);
    free(path);
}

/* Of so many: those that were cut short by a restart come on top of what is allowed. */
static void print_attempts(struct output *out, const struct control_job *job)
{
    int64_t allowed = job->retries + 1;

    if (job->attempts <= allowed)
        output_line(out, "%-13s %lld of %lld", "attempts", (long long)job->attempts,
                    (long long)allowed);
    else
        output_line(out, "%-13s %lld, of which %lld may fail", "attempts", (long long)job->attempts,
                    (long long)allowed);
}

/* Of one file its bytes say it all. */
static void print_files(struct output *out, const struct control_job *job)
{
    if (job->files_total < 2 && !job->walking && job->files_failed + job->files_skipped == 0)
        return;
    output_line(out, "%-13s %lld%s, %lld done, %lld skipped, %lld failed", "files",
                (long long)job->files_total, job->walking ? " so far" : "",
                (long long)job->files_done, (long long)job->files_skipped,
                (long long)job->files_failed);
}

/* What was asked for beyond the usual. */
static void print_request(struct output *out, const struct control_job *job)
{
    if (job->preserve)
        row(out, "preserve", job->preserve);
    for (size_t i = 0; i < job->filter.n; i++)
        row(out, i ? "" : "filter", job->filter.list[i]);
    if (job->files_from)
        row(out, "files from", "a list");
    if (job->checksum)
        row(out, "checksum", "yes");
    if (job->one_file_system)
        row(out, "file systems", "one");
    if (job->dry_run)
        row(out, "dry run", "yes: nothing is changed");
}

static void print_notes(struct output *out, const struct control_job *job)
{
    if (job->errors.n > 0)
        output_line(out, "%-13s %lld: 'xferctl errors %lld' tells them", "failed files",
                    (long long)job->files_failed, (long long)job->job);
    if (job->warnings_total > 0)
        output_line(out, "%-13s %lld: 'xferctl errors %lld' tells them", "warnings",
                    (long long)job->warnings_total, (long long)job->job);
}

static void print_job(struct output *out, const struct control_job *job)
{
    bool ended = job->state != JOB_QUEUED && job->state != JOB_RUNNING;
    char state[64], rate[24];

    output_line(out, "%-13s %lld", "job", (long long)job->job);
    output_line(out, "%-13s %s", "state", output_state(out, job->state, 0, state, sizeof(state)));
    if (job->phase && *job->phase && strcmp(job->phase, job_state_name(job->state)) != 0)
        row(out, "phase", job->phase);
    if (job->reason && *job->reason)
        row(out, "reason", job->reason);
    row(out, "source", job->source ? job->source : "");
    print_destination(out, job);
    row_size(out, "bytes total", job->bytes_total);
    row_size(out, "bytes done", job->bytes_done);
    if (job->bytes_resumed > 0)
        row_size(out, "resumed", job->bytes_resumed);
    print_files(out, job);
    units_format_size((int64_t)job->rate, rate, sizeof(rate));
    if (job->rate > 0)
        output_line(out, "%-13s %s/s", "rate", rate);
    if (job->has_digest)
        print_digest(out, job);
    print_attempts(out, job);
    output_line(out, "%-13s %lld", "priority", (long long)job->priority);
    row_rate(out, "bandwidth", job->bandwidth);
    print_request(out, job);
    if (job->key)
        row(out, "key", job->key);
    output_line(out, "%-13s %lld", "uid", (long long)job->uid);
    row_time(out, "submitted", job->submitted_at);
    row_time(out, "next attempt", job->not_before);
    row_time(out, "started", job->started_at);
    row_time(out, "finished", job->finished_at);
    if (job->error) {
        if (ended)
            output_line(out, "%-13s %d", "exit code", job->exit_code);
        row(out, ended ? "error" : "last error", error_info(job->error->code)->name);
        row(out, "message", job->error->text);
    }
    print_notes(out, job);
}

static int status_job(struct ctl *ctl, struct session *session, const char *text)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_params params;
    struct control_incoming in;
    struct control_job job;
    int exit_code;

    control_params_init(&params);
    exit_code = ctl_parse_job(ctl, text, &params.job);
    if (!exit_code)
        exit_code = ctl_ask(ctl, session, METHOD_TRANSFER_STATUS, &params, true, &in);
    if (exit_code)
        return exit_code;
    if (ctl->json) {
        output_text(ctl->out, in.result);
    } else if (control_job_parse(in.result, &job, &err)) {
        exit_code = ctl_fail(ctl, &err);
    } else {
        print_job(ctl->out, &job);
        control_job_free(&job);
    }
    control_incoming_free(&in);
    return exit_code;
}

/* ---- the daemon
 * ---------------------------------------------------------------------------------- */

static void print_link(struct output *out, const struct control_stats *stats)
{
    char *host = text_printable(stats->peer_host[0] ? stats->peer_host : "the other rank");
    char chunk[24];

    units_format_size(stats->chunk, chunk, sizeof(chunk));
    if (stats->peer_up)
        output_line(out, "%-13s up to %s, %lld lanes, chunks of %s", "link", host ? host : "",
                    (long long)stats->lanes, chunk);
    else
        output_line(out, "%-13s down: waiting for %s", "link", host ? host : "");
    free(host);
}

static void print_root(struct output *out, const struct control_stats *stats)
{
    char *root = text_printable(stats->store_root);
    char free_size[24], total[24];

    units_format_size(stats->store_free_bytes, free_size, sizeof(free_size));
    units_format_size(stats->store_total_bytes, total, sizeof(total));
    if (root && *root && stats->store_free_bytes >= 0)
        output_line(out, "%-13s %s, %lld bytes free (%s of %s)", "receives in", root,
                    (long long)stats->store_free_bytes, free_size, total);
    else if (root && *root)
        output_line(out, "%-13s %s", "receives in", root);
    else
        output_line(out, "%-13s not known while the link is down", "receives in");
    free(root);
}

static void print_daemon(struct output *out, const char *socket, const struct control_hello *hello,
                         const struct control_stats *stats, const struct control_limits *limits)
{
    char *version = text_printable(hello->version);
    char uptime[32];

    units_format_duration(stats->uptime, uptime, sizeof(uptime));
    output_line(out, "%-13s %s, up %s, start %lld of its ranks", "daemon", version ? version : "",
                uptime, (long long)stats->generation);
    free(version);
    row(out, "socket", socket);
    for (int i = 0; i < hello->n_ranks; i++) {
        char *host = text_printable(hello->ranks[i].host);

        output_line(out, "rank %-8d %s, process %lld", hello->ranks[i].rank, host ? host : "",
                    (long long)hello->ranks[i].pid);
        free(host);
    }
    print_link(out, stats);
    row_rate(out, "bandwidth", limits->bandwidth);
    output_line(out, "%-13s %lld queued, %lld running, %lld done, %lld failed, %lld cancelled",
                "jobs", (long long)stats->jobs[JOB_QUEUED], (long long)stats->jobs[JOB_RUNNING],
                (long long)stats->jobs[JOB_DONE], (long long)stats->jobs[JOB_FAILED],
                (long long)stats->jobs[JOB_CANCELLED]);
    if (stats->paused)
        output_line(out, "%-13s paused: no job starts; 'xferctl resume' ends it", "queue");
    if (stats->draining)
        output_line(out, "%-13s draining: no request is taken; 'xferctl resume' ends it", "queue");
    print_root(out, stats);
}

static int tell_daemon(struct ctl *ctl, struct session *session,
                       const struct control_incoming in[3])
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_hello hello;
    struct control_stats stats;
    struct control_limits limits;

    if (control_hello_parse(in[0].result, &hello, &err) ||
        control_stats_parse(in[1].result, &stats, &err) ||
        control_limits_parse(in[2].result, &limits, &err))
        return ctl_fail(ctl, &err);
    if (ctl->json)
        output_line(ctl->out, "{\"hello\":%s,\"stats\":%s,\"limits\":%s}", in[0].result,
                    in[1].result, in[2].result);
    else
        print_daemon(ctl->out, session_path(session), &hello, &stats, &limits);
    return stats.peer_up ? 0 : error_info(XFER_PEER_DOWN)->exit_code;
}

static int status_daemon(struct ctl *ctl, struct session *session)
{
    static const enum method_id methods[] = {METHOD_SYSTEM_HELLO, METHOD_SYSTEM_STATS,
                                             METHOD_LIMITS_GET};
    struct control_incoming in[3];
    int n = 0, exit_code = 0;

    while (n < 3 && !exit_code) {
        exit_code = ctl_ask(ctl, session, methods[n], NULL, true, &in[n]);
        n += !exit_code;
    }
    if (!exit_code)
        exit_code = tell_daemon(ctl, session, in);
    while (n > 0)
        control_incoming_free(&in[--n]);
    return exit_code;
}

int cmd_status(struct ctl *ctl, const struct arguments *args)
{
    int exit_code = 0;
    int64_t job;
    struct session *session;

    if (args->n > 0 && (exit_code = ctl_parse_job(ctl, args->items[0], &job)))
        return exit_code;
    session = ctl_session(ctl, &exit_code);
    if (!session)
        return exit_code;
    exit_code =
        args->n > 0 ? status_job(ctl, session, args->items[0]) : status_daemon(ctl, session);
    session_destroy(session);
    return exit_code;
}
