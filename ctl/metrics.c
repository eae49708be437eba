/* SPDX-License-Identifier: MIT
 *
 * The counters of a daemon for Prometheus. Each family is written in one go: HELP, TYPE, samples.
 * Counters begin at 0 with each start of rank 0, which is what a counter may do there.
 */
#include "ctl/metrics.h"

#include <stdio.h>
#include <stdlib.h>

static void family(FILE *to, const char *name, const char *type, const char *help)
{
    fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Negative: not known. */
static void integer(FILE *to, const char *name, const char *type, int64_t value, const char *help)
{
    if (value < 0)
        return;
    family(to, name, type, help);
    fprintf(to, "%s %lld\n", name, (long long)value);
}

static void gauge(FILE *to, const char *name, int64_t value, const char *help)
{
    integer(to, name, "gauge", value, help);
}

static void counter(FILE *to, const char *name, int64_t value, const char *help)
{
    integer(to, name, "counter", value, help);
}

static void seconds(FILE *to, const char *name, double value, const char *help)
{
    family(to, name, "gauge", help);
    fprintf(to, "%s %.6f\n", name, value);
}

static void labelled(FILE *to, const char *name, const char *label, const char *text, int64_t value)
{
    fprintf(to, "%s{%s=\"", name, label);
    for (; *text; text++) {
        if (*text == '\n')
            fputs("\\n", to);
        else if (*text == '\\' || *text == '"')
            fprintf(to, "\\%c", *text);
        else
            fputc(*text, to);
    }
    fprintf(to, "\"} %lld\n", (long long)value);
}

static void write_jobs(FILE *to, const struct control_stats *s)
{
    family(to, "xfer_jobs", "gauge", "Jobs in that state now; ended ones as far as they are kept.");
    for (int state = 0; state < JOB_STATE_COUNT; state++)
        labelled(to, "xfer_jobs", "state", job_state_name(state), s->jobs[state]);
    family(to, "xfer_jobs_finished_total", "counter", "Jobs that have ended, by how they ended.");
    labelled(to, "xfer_jobs_finished_total", "result", "done", s->finished_done);
    labelled(to, "xfer_jobs_finished_total", "result", "failed", s->finished_failed);
    labelled(to, "xfer_jobs_finished_total", "result", "cancelled", s->finished_cancelled);
    seconds(to, "xfer_oldest_queued_seconds", s->oldest_queued,
            "How long the oldest queued job has waited; 0 when none is queued.");
}

static void write_traffic(FILE *to, const struct control_stats *s)
{
    counter(to, "xfer_sent_bytes_total", s->sent_bytes, "Bytes of files that were stored.");
    counter(to, "xfer_sent_files_total", s->sent_files, "Files that were stored.");
    counter(to, "xfer_attempts_started_total", s->attempts_started, "Attempts that were begun.");
    counter(to, "xfer_attempts_failed_total", s->attempts_failed,
            "Attempts that failed, repeated or not.");
    counter(to, "xfer_attempts_bytes_total", s->attempts_bytes,
            "Bytes that left for the receiver, whatever became of the attempt.");
}

static void write_daemon(FILE *to, const struct control_hello *hello, const struct control_stats *s)
{
    family(to, "xfer_build_info", "gauge", "The version of the daemon; always 1.");
    labelled(to, "xfer_build_info", "version", hello->version, 1);
    seconds(to, "xfer_uptime_seconds", s->uptime, "Time since rank 0 was started.");
    if (s->generation > 0) /* else there is no supervisor that counts */
        gauge(to, "xfer_generation", s->generation,
              "How often the ranks were started, 1 at first.");
    gauge(to, "xfer_clients", s->clients, "Connections to the control socket.");
    gauge(to, "xfer_queue_paused", s->paused, "1 when no job starts.");
    gauge(to, "xfer_queue_draining", s->draining, "1 when no request is taken.");
}

static void write_peer(FILE *to, const struct control_stats *s)
{
    gauge(to, "xfer_peer_up", s->peer_up, "1 when the receiving rank is there.");
    if (s->peer_up) {
        gauge(to, "xfer_link_lanes", s->lanes, "Transfers that can run at once.");
        gauge(to, "xfer_link_chunk_bytes", s->chunk, "Bytes of one message of data.");
    }
    gauge(to, "xfer_store_free_bytes", s->store_free_bytes,
          "Free bytes of the file system with the receiving root.");
    gauge(to, "xfer_store_total_bytes", s->store_total_bytes,
          "Size of the file system with the receiving root.");
}

char *metrics_format(const struct control_hello *hello, const struct control_stats *stats)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    if (!to)
        return NULL;
    gauge(to, "xfer_up", stats != NULL, "1 when the daemon has answered.");
    if (stats) {
        write_daemon(to, hello, stats);
        write_peer(to, stats);
        write_jobs(to, stats);
        write_traffic(to, stats);
    }
    if (fclose(to) == 0)
        return text;
    free(text);
    return NULL;
}
