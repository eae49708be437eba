/* SPDX-License-Identifier: MIT
 *
 * xferctl stats: the counters of the daemon, for people, as JSON, or for Prometheus; the latter
 * also into a file for node_exporter, which tells that the daemon is away, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/metrics.h"
#include "ctl/session.h"

const struct option_spec cmd_stats_options[] = {
    {"prometheus", 0, NULL, "in the text format of Prometheus"},
    {"textfile", 0, "PATH", "the same into a file, which is replaced as a whole"},
    {NULL},
};

#define TEXTFILE_MODE 0644 /* node_exporter runs as somebody else */

static void print_stats(struct output *out, const struct control_stats *s)
{
    const struct {
        const char *name;
        int64_t value;
    } counters[] = {
        {"uptime_seconds", (int64_t)s->uptime},
        {"generation", s->generation},
        {"peer_up", s->peer_up},
        {"paused", s->paused},
        {"draining", s->draining},
        {"clients", s->clients},
        {"lanes", s->lanes},
        {"chunk_bytes", s->chunk},
        {"jobs_queued", s->jobs[JOB_QUEUED]},
        {"jobs_running", s->jobs[JOB_RUNNING]},
        {"jobs_done", s->jobs[JOB_DONE]},
        {"jobs_failed", s->jobs[JOB_FAILED]},
        {"jobs_cancelled", s->jobs[JOB_CANCELLED]},
        {"finished_done", s->finished_done},
        {"finished_failed", s->finished_failed},
        {"finished_cancelled", s->finished_cancelled},
        {"oldest_queued_seconds", (int64_t)s->oldest_queued},
        {"sent_bytes", s->sent_bytes},
        {"sent_files", s->sent_files},
        {"attempts_started", s->attempts_started},
        {"attempts_failed", s->attempts_failed},
        {"attempts_bytes", s->attempts_bytes},
        {"store_free_bytes", s->store_free_bytes},
        {"store_total_bytes", s->store_total_bytes},
    };

    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
        if (counters[i].value >= 0) /* else it is not known */
            output_line(out, "%-22s %lld", counters[i].name, (long long)counters[i].value);
}

/* ---- the text file
 * ------------------------------------------------------------------------------- */

static int write_all(int fd, const char *text)
{
    size_t len = strlen(text);

    while (len > 0) {
        ssize_t n = write(fd, text, len);

        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

static int write_temporary(int fd, const char *text)
{
    int failed = write_all(fd, text) || fchmod(fd, TEXTFILE_MODE);
    int saved = errno;

    if (close(fd) && !failed)
        return -1;
    errno = saved;
    return failed ? -1 : 0;
}

/* A new file takes the name of the old one: whoever reads sees either, never a part. The temporary
 * name does not end as those do that node_exporter reads. */
static int replace_file(const char *path, const char *text, struct xfer_error *err)
{
    char temporary[XFER_PATH_SIZE + 8];
    struct stat st;
    int fd, saved;

    if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return error_set(err, XFER_IO, "%s: is no regular file, and stays as it is", path);
    snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "%s: a file beside it", path);
    if (write_temporary(fd, text) == 0 && rename(temporary, path) == 0)
        return 0;
    saved = errno;
    unlink(temporary);
    return error_set_errno(err, saved, "%s", path);
}

/* exit_code: of what went wrong so far, which counts for more. */
static int give_textfile(struct ctl *ctl, const char *path, const char *text, int exit_code)
{
    struct xfer_error err = XFER_ERROR_INIT;
    int own = 0;

    if (!text)
        error_set(&err, XFER_NO_RESOURCES, "no memory");
    if (!text || replace_file(path, text, &err))
        own = ctl_fail(ctl, &err);
    return exit_code ? exit_code : own;
}

/* ---- the command
 * --------------------------------------------------------------------------------- */

static int tell_metrics(struct ctl *ctl, const char *text)
{
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len = text ? strlen(text) : 0;

    if (!text) {
        error_set(&err, XFER_NO_RESOURCES, "no memory");
        return ctl_fail(ctl, &err);
    }
    output_line(ctl->out, "%.*s", (int)len - 1, text); /* it adds the last LF */
    return 0;
}

/* The metrics of a daemon that answers: *text, or NULL without memory. */
static int ask_metrics(struct ctl *ctl, struct session *session, char **text)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_incoming hello_in, stats_in;
    struct control_hello hello;
    struct control_stats stats;
    int exit_code = ctl_ask(ctl, session, METHOD_SYSTEM_HELLO, NULL, true, &hello_in);

    if (exit_code)
        return exit_code;
    exit_code = ctl_ask(ctl, session, METHOD_SYSTEM_STATS, NULL, true, &stats_in);
    if (!exit_code) {
        if (control_hello_parse(hello_in.result, &hello, &err) ||
            control_stats_parse(stats_in.result, &stats, &err))
            exit_code = ctl_fail(ctl, &err);
        else
            *text = metrics_format(&hello, &stats);
        control_incoming_free(&stats_in);
    }
    control_incoming_free(&hello_in);
    return exit_code;
}

static int give_metrics(struct ctl *ctl, const char *path)
{
    int exit_code = 0;
    char *text = NULL;
    struct session *session = ctl_session(ctl, &exit_code);

    if (session)
        exit_code = ask_metrics(ctl, session, &text);
    session_destroy(session);
    if (path) {
        if (exit_code)
            text = metrics_format(NULL, NULL);
        exit_code = give_textfile(ctl, path, text, exit_code);
    } else if (!exit_code) {
        exit_code = tell_metrics(ctl, text);
    }
    free(text);
    return exit_code;
}

static int give_counters(struct ctl *ctl)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_incoming in;
    struct control_stats stats;
    int exit_code = 0;
    struct session *session = ctl_session(ctl, &exit_code);

    if (!session)
        return exit_code;
    exit_code = ctl_ask(ctl, session, METHOD_SYSTEM_STATS, NULL, true, &in);
    if (!exit_code) {
        if (ctl->json)
            output_text(ctl->out, in.result);
        else if (control_stats_parse(in.result, &stats, &err))
            exit_code = ctl_fail(ctl, &err);
        else
            print_stats(ctl->out, &stats);
        control_incoming_free(&in);
    }
    session_destroy(session);
    return exit_code;
}

int cmd_stats(struct ctl *ctl, const struct arguments *args)
{
    const char *path = arguments_option(args, "textfile");

    if (!path && !arguments_option(args, "prometheus"))
        return give_counters(ctl);
    if (ctl->json)
        return ctl_usage(ctl, "the format of Prometheus is no JSON: --json does not go with it");
    if (path && (*path == '\0' || strlen(path) >= XFER_PATH_SIZE))
        return ctl_usage(ctl, "--textfile is a path of 1 to %d bytes", XFER_PATH_SIZE - 1);
    return give_metrics(ctl, path);
}
