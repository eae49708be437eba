/* SPDX-License-Identifier: MIT
 *
 * An attempt begins. What can be one file is tried as one; what can't, or was found to be a
 * directory before, is a tree from the beginning.
 */
#include <stdio.h>
#include <stdlib.h>

#include "daemon/control/scheduler_impl.h"

static struct run *make_run(struct scheduler *s, struct job *job)
{
    struct run *run = calloc(1, sizeof *run);

    if (!run)
        return NULL;
    run->scheduler = s;
    run->job = job;
    run->id = job->id;
    run->phase = SEND_OPENING;
    /* of a tree that has ended without success the receiver keeps when it began */
    run->again = job->attempts > 0 || job->restored;
    list_init(&run->link);
    return run;
}

static void began(struct scheduler *s, struct job *job)
{
    s->counts.started++;
    scheduler_unready(s, job);
    job_progress(job, send_phase_name(SEND_OPENING), 0, -1, clock_monotonic());
    queue_note_begin(s->queue, job);
    queue_start(s->queue, job);
}

static void groups_unknown(const struct job *job, struct xfer_error *err)
{
    error_set(err, XFER_PERMISSION_DENIED,
              "the groups of uid %u were not recorded with this job, and source.identity = caller "
              "needs them: 'xferctl retry' by that user records them",
              (unsigned)job->owner);
    error_about(err, XFER_SIDE_SENDER, job->source);
}

static struct send_request request_of(const struct scheduler *s, const struct job *job)
{
    return (struct send_request){
        .job = (uint64_t)job->id,
        .source = job->source,
        .dest = job->dest,
        .overwrite = job->overwrite,
        .sync = job->sync,
        .bandwidth = job->bandwidth,
        .again = job->attempts > job->settled || job->restored,
        .handle = job->handle,
        .handle_dev = job->handle_dev,
        .handle_ino = job->handle_ino,
        .handle_fd = job->handle_fd,
        .uid = job->owner,
        .gid = job->gid,
        .groups = job->groups,
        .n_groups = job->n_groups > 0 ? job->n_groups : 0,
        .as_owner = s->options.as_owner,
        .preserve = job->preserve,
    };
}

static int make_filter(struct run *run, struct xfer_error *err)
{
    const struct control_strings *rules = &run->job->filter;

    if (rules->n == 0)
        return 0;
    run->filter = filter_create((const char *const *)rules->list, rules->n, err);
    return run->filter ? 0 : -1;
}

/* Of its list; "": it has none. */
static void list_path(const struct scheduler *s, const struct job *job, char path[XFER_PATH_SIZE])
{
    path[0] = '\0';
    if (job->list)
        snprintf(path, XFER_PATH_SIZE, "%s/%s", queue_lists(s->queue), job->list);
}

static int start_tree(struct run *run, struct xfer_error *err)
{
    struct scheduler *s = run->scheduler;
    const struct job *job = run->job;
    char list[XFER_PATH_SIZE];
    struct tree_request request = {
        .file = request_of(s, job),
        .list = job->list ? list : NULL,
        .dry_run = job->dry_run,
        .checksum = job->checksum,
        .one_file_system = job->one_file_system,
    };

    list_path(s, job, list);
    if (make_filter(run, err) < 0)
        return -1;
    request.file.again = run->again;
    request.filter = run->filter;
    run->tree = tree_start(s->options.sender, &request, &run_tree_events, run, err);
    if (!run->tree)
        return -1;
    s->trees++;
    return 0;
}

static void is_tree(struct job *job)
{
    job->tree = job->walking = true;
    job->files_total = job->files_done = job->files_failed = job->files_skipped = 0;
    job->bytes_total = 0;
}

int run_become_tree(struct run *run, struct xfer_error *err)
{
    struct scheduler *s = run->scheduler;

    is_tree(run->job);
    run->quiet = 0;
    if (start_tree(run, err) < 0)
        return -1;
    s->events.changed(s->user, run->job);
    return 0;
}

static int start(struct run *run, struct xfer_error *err)
{
    struct scheduler *s = run->scheduler;
    struct job *job = run->job;

    if (s->options.as_owner && job->n_groups < 0) {
        groups_unknown(job, err);
        return -1;
    }
    if (job->tree || !job_is_plain(job))
        return start_tree(run, err);

    struct send_request request = request_of(s, job);
    run->send = sender_start(s->options.sender, &request, &run_send_events, run, err);
    return run->send ? 0 : -1;
}

bool scheduler_start(struct scheduler *s, struct job *job)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct run *run = make_run(s, job);

    if (!run)
        error_set(&err, XFER_NO_RESOURCES, "no memory to start the transfer");
    if (!run || start(run, &err) < 0) {
        run_free(run);
        /* the end of another makes room */
        if (s->running > 0 && retry_kind(err.code) != RETRY_NEVER)
            return false;
        began(s, job);
        scheduler_attempt_failed(s, job, &err, retry_kind(err.code));
        return true;
    }
    job->schedule.run = run;
    list_add_before(&s->runs, &run->link);
    s->running++;
    if (s->options.stall_timeout > 0 && !ev_is_active(&s->tick))
        ev_timer_again(s->loop, &s->tick);
    began(s, job);
    if (run->tree)
        is_tree(job);
    s->events.changed(s->user, job);
    return true;
}
