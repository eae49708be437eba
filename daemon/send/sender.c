/* SPDX-License-Identifier: MIT
 *
 * See sender.h: which files are under way, and on which lane each goes. A file is opened on a
 * worker first; its size then decides: files up to XFER_SMALL_FILE may take any lane, larger ones
 * all but lane 0, so that one lane is always quick; files with a rate of their own neither that nor
 * the last one, so that they hold up none but each other. What is no file is opened nowhere; of a
 * tree it takes any lane but for directories, whose order counts: theirs is lane 0.
 */
#include "daemon/send/sender.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/send/send_impl.h"
#include "daemon/send/sender_impl.h"
#include "daemon/send/throttle.h"

static const char *const phases[] = {
    [SEND_OPENING] = "opening", [SEND_WAITING] = "waiting", [SEND_VERIFYING] = "verifying",
    [SEND_SENDING] = "sending", [SEND_STORING] = "storing", [SEND_ASKING] = "verifying"};

const char *send_phase_name(enum send_phase phase)
{
    return phases[phase];
}

struct send_lists *sender_lists(struct sender *s)
{
    return &s->lists;
}

/* ---- the choice of a lane ---- */

static bool is_better(const struct stream *a, const struct stream *b)
{
    if (stream_burden(a) != stream_burden(b))
        return stream_burden(a) < stream_burden(b);
    return stream_load(a) < stream_load(b);
}

/* A file with a rate of its own may hold its lane for as long as its owner likes, so the last lane
 * is none of theirs either. */
static struct stream *choose_stream(const struct sender *s, const struct send *send)
{
    bool slow = send_is_slow(send), large = send->source.st.st_size > XFER_SMALL_FILE;
    unsigned first = s->n_streams > 1 && (large || slow) ? 1 : 0;
    unsigned end = s->n_streams > 2 && slow ? s->n_streams - 1 : s->n_streams;
    struct stream *best = s->streams[first];

    if (send->kind == WIRE_KIND_DIRECTORY)
        return s->streams[0];
    for (unsigned i = first + 1; i < end; i++)
        if (is_better(s->streams[i], best))
            best = s->streams[i];
    return best;
}

static int check_size(const struct send *send, struct xfer_error *err)
{
    int64_t most = send->sender->file_size, size = send->source.st.st_size;

    if (most == 0 || size <= most)
        return 0;
    error_set(err, XFER_FILE_TOO_LARGE,
              "%s: has %lld bytes, and a file may have %lld at most (limits.file_size)",
              send->source.path, (long long)size, (long long)most);
    return error_about(err, XFER_SIDE_SENDER, send->source.path);
}

void sender_opened(struct sender *s, struct send *send)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (send->work_error) {
        kept_error_get(send->work_error, &err);
    } else if (check_size(send, &err) == 0 && send->source.fd >= 0) {
        send->strand = strand_create(s->pool);
        if (!send->strand)
            error_set_errno(&err, ENOMEM, "%s", send->source.path);
    }
    if (err.code != XFER_OK)
        send_stop(send, &err, false);
    if (send->stopping)
        send_finish(send);
    else
        stream_add(choose_stream(s, send), send);
}

/* ---- starting ---- */

static bool is_same_owner(const struct send_owner *owner, const struct send_request *r)
{
    const gid_t *groups;
    int n;

    if (!owner || identity_uid(owner->who) != r->uid || identity_gid(owner->who) != r->gid)
        return false;
    groups = identity_groups(owner->who, &n);
    return n == r->n_groups && (n == 0 || memcmp(groups, r->groups, n * sizeof(*groups)) == 0);
}

/* The last one is at hand: thousands of files of a tree follow each other. */
static struct send_owner *find_owner(struct sender *s, const struct send_request *r,
                                     struct xfer_error *err)
{
    struct send_owner *owner;

    if (is_same_owner(s->owner, r))
        return send_owner_share(s->owner);
    owner = calloc(1, sizeof(*owner));
    if (!owner) {
        error_set_errno(err, ENOMEM, "transfer");
        return NULL;
    }
    owner->users = 1;
    owner->who = identity_create(r->uid, r->gid, r->groups, r->n_groups, err);
    if (!owner->who) {
        free(owner);
        return NULL;
    }
    send_owner_release(s->owner);
    s->owner = send_owner_share(owner);
    return owner;
}

static struct send *make_send(struct sender *s, const struct send_request *r,
                              const struct send_events *events, void *user)
{
    size_t dest_size = strlen(r->dest) + 1, target_size = r->target ? strlen(r->target) + 1 : 0;
    struct send *send = calloc(1, sizeof(*send) + dest_size + target_size);

    if (!send)
        return NULL;
    send->sender = s;
    send->job = r->job;
    send->file = r->file;
    send->dest = memcpy(send->text, r->dest, dest_size);
    if (r->target)
        send->target = memcpy(send->text + dest_size, r->target, target_size);
    send->preserve = r->preserve;
    send->kind = (unsigned char)r->kind;
    send->overwrite = (unsigned char)r->overwrite;
    send->sync = (unsigned char)r->sync;
    send->phase = SEND_OPENING;
    send->bandwidth = r->rate ? 0 : r->bandwidth;
    send->rate = r->rate;
    send->uid = r->uid;
    send->gid = r->gid;
    send->tree = r->tree;
    send->again = r->again;
    send->compare = r->compare;
    send->events = events;
    send->user = user;
    send->source.fd = send->source.given = -1;
    return send;
}

/* A file is opened; of all else the walk has said what there is to say. */
static int prepare(struct send *send, const struct send_request *r, struct xfer_error *err)
{
    struct sender *s = send->sender;

    if (r->as_owner) {
        send->owner = find_owner(s, r, err);
        if (!send->owner)
            return -1;
    }
    if (r->kind != WIRE_KIND_FILE) {
        if (r->st)
            send->source.st = *r->st;
        send->source.st.st_size = 0;
        send->checked = true;
        return 0;
    }
    if (source_init(&send->source, r->source, err))
        return -1;
    send->source.preserve = r->preserve;
    send->source.policy = s->policy;
    if (r->handle)
        return source_give(&send->source, r->handle_dev, r->handle_ino, r->handle_fd, err);
    return r->dir ? source_in(&send->source, r->dir, r->name, r->st, err) : 0;
}

static void list_send(struct sender *s, struct send *send)
{
    send->next = s->lists.all;
    if (s->lists.all)
        s->lists.all->prev = send;
    s->lists.all = send;
    s->lists.active++;
    if (send->kind == WIRE_KIND_BARRIER)
        return;
    send->ahead = true;
    s->lists.ahead++;
}

struct send *sender_start(struct sender *s, const struct send_request *request,
                          const struct send_events *events, void *user, struct xfer_error *err)
{
    struct send *send;

    if (sender_room(s) == 0) {
        error_set(err, XFER_TOO_BUSY, "as many files as possible are under way");
        return NULL;
    }
    if (strlen(request->dest) >= XFER_PATH_SIZE) {
        error_set(err, XFER_NAME_TOO_LONG, "destination is longer than %d bytes",
                  XFER_PATH_SIZE - 1);
        return NULL;
    }
    send = make_send(s, request, events, user);
    if (!send) {
        error_set_errno(err, ENOMEM, "transfer");
        return NULL;
    }
    if (prepare(send, request, err) ||
        (request->kind == WIRE_KIND_FILE && openers_open(&s->openers, send, request->tree, err))) {
        send_free(send);
        return NULL;
    }
    list_send(s, send);
    if (request->kind != WIRE_KIND_FILE) {
        send->source.attrs = request->attrs;
        stream_add(choose_stream(s, send), send);
    }
    return send;
}

void sender_go(struct sender *s)
{
    openers_submit(&s->openers);
}

void sender_cancel(struct send *send, const struct xfer_error *why, bool keep)
{
    if (send->stopping || send->decided)
        return;
    send_stop(send, why, keep);
    if (send->stream)
        stream_stop(send->stream, send);
}

bool sender_is_throttled(const struct send *send)
{
    return send->stream && stream_is_throttled(send->stream, send);
}

/* ---- barriers ---- */

static void no_progress(void *user, const struct send_progress *progress)
{
    (void)user;
    (void)progress;
}

static void no_end(void *user, const struct send_result *result)
{
    (void)user;
    (void)result;
}

/* Without memory for it the receiver waits until its own time is up. */
static void flush(struct sender *s, struct stream *stream)
{
    static const struct send_events events = {no_progress, no_end};
    struct send_request request = {.dest = ".", .kind = WIRE_KIND_BARRIER};
    struct send *send;

    request.job = stream_needs_barrier(stream);
    if (request.job == 0)
        return;
    send = make_send(s, &request, &events, NULL);
    if (!send)
        return;
    send->checked = true;
    list_send(s, send);
    stream_add_barrier(stream, send);
}

void sender_flush(struct sender *s)
{
    for (unsigned i = 0; i < s->n_streams; i++)
        flush(s, s->streams[i]);
}

void sender_barrier_done(struct sender *s, struct stream *stream)
{
    if (stream_barrier_done(stream))
        flush(s, stream);
}
