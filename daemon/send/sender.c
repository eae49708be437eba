/* SPDX-License-Identifier: MIT
 *
 * See sender.h: which files are under way, and on which lane each goes. A file is opened on a
 * worker first; its size then decides: files up to XFER_SMALL_FILE may take any lane, larger ones
 * all but lane 0, so that one lane is always quick; files with a rate of their own neither that nor
 * the last one, so that they hold up none but each other.
 */
#include "daemon/send/sender.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/send/send_impl.h"
#include "daemon/send/throttle.h"

/* Large files, and those with a rate of their own, that were opened and wait for a lane do not use
 * up the room of small ones; each holds a descriptor. */
#define PARKED_MAX 512

struct sender {
    struct link *link;
    struct pool *pool;
    struct throttle *throttle;
    int64_t file_size; /* at most; 0: any */
    struct source_policy *policy;
    struct stream *streams[XFER_LANES_MAX];
    unsigned n_streams;
    struct send *all;
    unsigned active;
    unsigned parked; /* of these, large or slow ones that are opened and wait for a lane */
};

static const char *const phases[] = {
    [SEND_OPENING] = "opening", [SEND_WAITING] = "waiting", [SEND_VERIFYING] = "verifying",
    [SEND_SENDING] = "sending", [SEND_STORING] = "storing", [SEND_ASKING] = "verifying"};

const char *send_phase_name(enum send_phase phase)
{
    return phases[phase];
}

/* ---- queues ---- */

void send_queue_put(struct send_queue *q, struct send *send)
{
    send->queue_next = NULL;
    if (q->last)
        q->last->queue_next = send;
    else
        q->first = send;
    q->last = send;
    q->count++;
}

struct send *send_queue_take(struct send_queue *q)
{
    struct send *send = q->first;

    send_queue_remove(q, send);
    return send;
}

void send_queue_remove(struct send_queue *q, struct send *send)
{
    struct send *prev = NULL, *s = q->first;

    for (; s && s != send; s = s->queue_next)
        prev = s;
    if (!s)
        return;
    if (prev)
        prev->queue_next = send->queue_next;
    else
        q->first = send->queue_next;
    if (q->last == send)
        q->last = prev;
    send->queue_next = NULL;
    q->count--;
}

/* ---- one send ---- */

void send_progress(struct send *send)
{
    struct send_progress progress = {
        .phase = send->phase,
        .bytes_done = (int64_t)send->offset,
        .bytes_total = send->phase == SEND_OPENING ? -1 : (int64_t)send->source.st.st_size,
        .bytes_resumed = (int64_t)send->result.resumed,
    };

    send->events->progress(send->user, &progress);
}

static void set_parked(struct send *send, bool parked)
{
    if (parked && !send->parked)
        send->sender->parked++;
    if (!parked && send->parked)
        send->sender->parked--;
    send->parked = parked;
}

void send_set_phase(struct send *send, enum send_phase phase)
{
    send->phase = phase;
    set_parked(send, phase == SEND_WAITING &&
                         (send->source.st.st_size > XFER_SMALL_FILE || send->bandwidth > 0));
    send_progress(send);
}

void send_stop(struct send *send, const struct xfer_error *why, bool keep)
{
    if (send->stopping)
        return;
    send->stopping = true;
    send->keep = keep;
    send->why = *why;
}

struct send *send_of_work(struct work *work)
{
    return (struct send *)((char *)work - offsetof(struct send, work));
}

int send_disk_begin(struct send *send)
{
    return identity_assume(send->owner, &send->work_error);
}

void send_disk_end(void)
{
    identity_drop();
}

static void done_work(struct work *work);

void send_work(struct send *send, void (*run)(struct work *), void (*then)(struct send *))
{
    send->work.run = run;
    send->work.done = done_work;
    send->then = then;
    send->working = true;
    send->work_error.code = XFER_OK;
    strand_submit(send->strand, &send->work);
}

static void send_free(struct send *send)
{
    struct sender *s = send->sender;

    if (s) {
        if (send->prev)
            send->prev->next = send->next;
        else if (s->all == send)
            s->all = send->next;
        if (send->next)
            send->next->prev = send->prev;
    }
    verify_destroy(send->verify);
    source_free(&send->source);
    strand_destroy(send->strand);
    identity_destroy(send->owner);
    XXH3_freeState(send->hash);
    free(send);
}

static void run_close(struct work *work)
{
    source_close(&send_of_work(work)->source);
}

static void finish(struct send *send)
{
    set_parked(send, false);
    send->sender->active--;
    send->events->done(send->user, &send->result);
    if (send->source.fd >= 0)
        send_work(send, run_close, send_free); /* close() may block too */
    else
        send_free(send);
}

void send_finish(struct send *send)
{
    send->answered = true;
    if (!send->working) /* else done_work() comes to it */
        finish(send);
}

static void done_work(struct work *work)
{
    struct send *send = send_of_work(work);

    send->working = false;
    if (!send->sender)
        send_free(send);
    else
        send->then(send);
}

/* ---- opening, and the choice of a lane ---- */

static bool is_better(const struct stream *a, const struct stream *b)
{
    if (stream_burden(a) != stream_burden(b))
        return stream_burden(a) < stream_burden(b);
    return stream_bytes(a) < stream_bytes(b);
}

/* A file with a rate of its own may hold its lane for as long as its owner likes, so the last lane
 * is none of theirs either. */
static struct stream *choose_stream(const struct sender *s, uint64_t size, bool slow)
{
    unsigned first = s->n_streams > 1 && (size > XFER_SMALL_FILE || slow) ? 1 : 0;
    unsigned end = s->n_streams > 2 && slow ? s->n_streams - 1 : s->n_streams;
    struct stream *best = s->streams[first];

    for (unsigned i = first + 1; i < end; i++)
        if (is_better(s->streams[i], best))
            best = s->streams[i];
    return best;
}

static void run_open(struct work *work)
{
    struct send *send = send_of_work(work);

    if (send_disk_begin(send) == 0)
        source_open(&send->source, &send->work_error);
    send_disk_end();
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

static void opened(struct send *send)
{
    if (send->stopping || send->work_error.code != XFER_OK ||
        check_size(send, &send->work_error) < 0) {
        send->result.error = send->stopping ? send->why : send->work_error;
        send_finish(send);
        return;
    }
    stream_add(choose_stream(send->sender, (uint64_t)send->source.st.st_size, send->bandwidth > 0),
               send);
}

struct send *sender_start(struct sender *s, const struct send_request *request,
                          const struct send_events *events, void *user, struct xfer_error *err)
{
    struct send *send;

    if (sender_room(s) == 0) {
        error_set(err, XFER_TOO_BUSY, "as many files as possible are under way");
        return NULL;
    }
    if (strlen(request->dest) >= sizeof(send->dest)) {
        error_set(err, XFER_NAME_TOO_LONG, "destination is longer than %d bytes",
                  XFER_PATH_SIZE - 1);
        return NULL;
    }
    send = calloc(1, sizeof(*send));
    if (!send) {
        error_set_errno(err, ENOMEM, "transfer");
        return NULL;
    }
    send->sender = s;
    send->job = request->job;
    send->file = request->file;
    send->overwrite = request->overwrite;
    send->sync = request->sync;
    send->bandwidth = request->bandwidth;
    send->again = request->again;
    send->uid = request->uid;
    send->gid = request->gid;
    send->events = events;
    send->user = user;
    send->phase = SEND_OPENING;
    strcpy(send->dest, request->dest);
    send->hash = XXH3_createState();
    send->strand = strand_create(s->pool);
    if (request->as_owner)
        send->owner =
            identity_create(request->uid, request->gid, request->groups, request->n_groups, err);
    if (source_init(&send->source, request->source, err) || !send->hash || !send->strand ||
        (request->as_owner && !send->owner)) {
        error_set_errno(err, ENOMEM, "transfer");
        send_free(send);
        return NULL;
    }
    send->source.policy = s->policy;
    if (request->handle && source_give(&send->source, request->handle_dev, request->handle_ino,
                                       request->handle_fd, err)) {
        send_free(send);
        return NULL;
    }
    send->next = s->all;
    if (s->all)
        s->all->prev = send;
    s->all = send;
    s->active++;
    send_work(send, run_open, opened);
    return send;
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

/* ---- the sender ---- */

void sender_set_limits(struct sender *s, int64_t bandwidth, int64_t file_size)
{
    throttle_set_rate(s->throttle, bandwidth);
    s->file_size = file_size;
}

void sender_looked(struct sender *s, const struct wire_looked *looked)
{
    (void)s;
    (void)looked;
}

struct sender *sender_create(struct ev_loop *loop, struct link *link, struct pool *pool,
                             struct xfer_error *err)
{
    struct sender *s = calloc(1, sizeof(*s));

    if (!s) {
        error_set_errno(err, ENOMEM, "sender");
        return NULL;
    }
    s->link = link;
    s->pool = pool;
    s->throttle = throttle_create(loop, stream_go, err);
    if (!s->throttle) {
        sender_destroy(s);
        return NULL;
    }
    for (unsigned i = 0; i < link_lanes(link); i++) {
        s->streams[i] = stream_create(link, link_lane(link, i), s->throttle, err);
        if (!s->streams[i]) {
            sender_destroy(s);
            return NULL;
        }
        s->n_streams++;
    }
    return s;
}

void sender_set_policy(struct sender *s, struct source_policy *policy)
{
    s->policy = policy;
}

void sender_destroy(struct sender *s)
{
    struct send *send, *next;

    if (!s)
        return;
    for (send = s->all; send; send = next) {
        next = send->next;
        /* A worker that hangs in it still uses it. */
        if (send->working)
            send->sender = NULL;
        else
            send_free(send);
    }
    for (unsigned i = 0; i < s->n_streams; i++)
        stream_destroy(s->streams[i]);
    throttle_destroy(s->throttle);
    free(s);
}

unsigned sender_active(const struct sender *s)
{
    return s->active;
}

unsigned sender_room(const struct sender *s)
{
    unsigned limit = s->n_streams * XFER_LANE_AHEAD_MAX;

    if (s->parked >= PARKED_MAX || s->active - s->parked >= limit)
        return 0;
    return limit - (s->active - s->parked);
}
