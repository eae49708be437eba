/* SPDX-License-Identifier: MIT
 *
 * One file on its way (send_impl.h): its counters, its disk work and its end.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/send/send_impl.h"

/* ---- queues ---- */

void send_queue_put(struct send_queue *q, struct send *send)
{
    send->queue_next = NULL;
    send->queue_prev = q->last;
    if (q->last)
        q->last->queue_next = send;
    else
        q->first = send;
    q->last = send;
    q->count++;
}

void send_queue_put_first(struct send_queue *q, struct send *send)
{
    send->queue_prev = NULL;
    send->queue_next = q->first;
    if (q->first)
        q->first->queue_prev = send;
    else
        q->last = send;
    q->first = send;
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
    if (send->queue_prev)
        send->queue_prev->queue_next = send->queue_next;
    else
        q->first = send->queue_next;
    if (send->queue_next)
        send->queue_next->queue_prev = send->queue_prev;
    else
        q->last = send->queue_prev;
    send->queue_prev = send->queue_next = NULL;
    q->count--;
}

/* ---- what it has come to ---- */

void send_progress(struct send *send)
{
    struct send_progress progress = {
        .phase = send->phase,
        .bytes_done = (int64_t)send->offset,
        .bytes_total = send->phase == SEND_OPENING ? -1 : (int64_t)send->source.st.st_size,
        .bytes_resumed = (int64_t)send->resumed,
    };

    send->events->progress(send->user, &progress);
}

static void set_parked(struct send *send, bool parked)
{
    struct send_lists *lists = sender_lists(send->sender);

    if (parked == send->parked)
        return;
    send->parked = parked;
    if (parked)
        lists->parked++;
    else
        lists->parked--;
}

static void set_ahead(struct send *send, bool ahead)
{
    if (ahead == send->ahead)
        return;
    send->ahead = ahead;
    if (ahead) {
        sender_lists(send->sender)->ahead++;
    } else {
        sender_lists(send->sender)->ahead--;
        sender_made_room(send->sender);
    }
}

void send_recount(struct send *send)
{
    set_parked(send, send->phase == SEND_WAITING && !send->tree &&
                         (send->source.st.st_size > XFER_SMALL_FILE || send_is_slow(send)));
    /* one that hangs takes the room of another until it is done with */
    set_ahead(send, !send->parked && send->kind != WIRE_KIND_BARRIER &&
                        (!send->decided || send->working));
}

void send_set_phase(struct send *send, enum send_phase phase)
{
    send->phase = (unsigned char)phase;
    send_recount(send);
    send_progress(send);
}

void send_stop(struct send *send, const struct xfer_error *why, bool keep)
{
    if (send->stopping)
        return;
    send->stopping = true;
    send->keep = keep;
    send->why = kept_error_make(why);
}

/* ---- disk work ---- */

struct send *send_of_work(struct work *work)
{
    return (struct send *)((char *)work - offsetof(struct send, work));
}

int send_disk_begin(const struct send *send, struct xfer_error *err)
{
    return identity_assume(send->owner ? send->owner->who : NULL, err);
}

void send_disk_end(void)
{
    identity_drop();
}

void send_work_failed(struct send *send, const struct xfer_error *err)
{
    kept_error_free(send->work_error);
    send->work_error = kept_error_make(err);
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

void send_work(struct send *send, void (*run)(struct work *), void (*then)(struct send *))
{
    send->work.run = run;
    send->work.done = done_work;
    send->then = then;
    send->working = true;
    strand_submit(send->strand, &send->work);
}

/* ---- its end ---- */

struct send_owner *send_owner_share(struct send_owner *owner)
{
    if (owner)
        owner->users++;
    return owner;
}

void send_owner_release(struct send_owner *owner)
{
    if (!owner || --owner->users > 0)
        return;
    identity_destroy(owner->who);
    free(owner);
}

void send_free(struct send *send)
{
    struct sender *s = send->sender;

    if (s) {
        if (send->prev)
            send->prev->next = send->next;
        else if (sender_lists(s)->all == send)
            sender_lists(s)->all = send->next;
        if (send->next)
            send->next->prev = send->prev;
    }
    verify_destroy(send->verify);
    sparse_destroy(send->sparse);
    source_free(&send->source);
    strand_destroy(send->strand);
    send_owner_release(send->owner);
    kept_error_free(send->work_error);
    kept_error_free(send->why);
    free(send);
}

static void run_close(struct work *work)
{
    source_close(&send_of_work(work)->source);
}

void send_done(struct send *send, const struct send_result *result)
{
    set_parked(send, false);
    set_ahead(send, false);
    sender_lists(send->sender)->active--;
    send->events->done(send->user, result);
    if (send->source.fd >= 0 && send->strand)
        send_work(send, run_close, send_free); /* close() may block too */
    else
        send_free(send);
}

void send_finish(struct send *send)
{
    struct send_result result;

    send->answered = true;
    if (send->working) /* came_late() comes to it */
        return;
    result.size = send->offset;
    result.resumed = send->resumed;
    memcpy(result.digest, send->digest, sizeof(result.digest));
    result.stored[0] = result.warning[0] = '\0';
    result.unchanged = false;
    result.unsent = NULL;
    kept_error_get(send->why, &result.error);
    send_done(send, &result);
}
