/* SPDX-License-Identifier: MIT
 *
 * The control messages of a link that runs: heartbeats (and the pings that ride on them), stop, of
 * which jobs rank 1 holds something, looks and their answers.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/link/link_impl.h"

struct ping {
    struct ping *next;
    void (*done)(void *user, double round_trip);
    void *user;
};

static void control_send(struct link *link, int tag, const void *msg, size_t len)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (outbox_send(&link->control, tag, msg, len, &err))
        link_fail(link, &err);
    else
        link_sent(link);
}

static void send_heartbeat(struct link *link, uint64_t number, bool answer)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    struct wire_heartbeat beat = {.number = number,
                                  .answer = answer,
                                  .free_bytes = link->free_bytes,
                                  .total_bytes = link->total_bytes};

    control_send(link, WIRE_TAG_HEARTBEAT, msg, wire_heartbeat_encode(&beat, msg));
}

void link_ask(struct link *link)
{
    link->number = ++link->last_number;
    link->asked_at = link_clock();
    send_heartbeat(link, link->number, false);
}

static int64_t known(uint64_t bytes)
{
    return bytes > INT64_MAX ? -1 : (int64_t)bytes;
}

static int on_heartbeat(struct link *link, const void *msg, size_t len, struct xfer_error *err)
{
    struct wire_heartbeat beat;
    struct ping *ping, *next;
    double round_trip;

    if (wire_heartbeat_decode(msg, len, &beat, err))
        return -1;
    link->peer.free_bytes = known(beat.free_bytes);
    link->peer.total_bytes = known(beat.total_bytes);
    if (!beat.answer) {
        send_heartbeat(link, beat.number, true);
        return 0;
    }
    if (beat.number != link->number)
        return error_set(err, XFER_PROTOCOL, "heartbeat: an answer to no question");
    round_trip = link_clock() - link->asked_at;
    link->number = 0;
    ping = link->pings;
    link->pings = link->pings_next;
    link->pings_next = NULL;
    if (link->pings)
        link_ask(link);
    for (; ping; ping = next) {
        next = ping->next;
        ping->done(ping->user, round_trip);
        free(ping);
    }
    return 0;
}

static int on_jobs(struct link *link, int tag, const void *msg, size_t len, struct xfer_error *err)
{
    bool partials = tag == WIRE_TAG_PARTIALS;
    void (*told)(void *, const uint64_t *, unsigned) =
        partials ? link->events->partials : link->events->forget;
    struct wire_jobs jobs;

    if (partials ? wire_partials_decode(msg, len, &jobs, err)
                 : wire_forget_decode(msg, len, &jobs, err))
        return -1;
    if (told)
        told(link->user, jobs.jobs, jobs.n);
    return 0;
}

/* ---- looks ---- */

static bool add_look(struct link *link, const struct wire_look *look)
{
    if (look->number != link->last_look + 1 || link->n_looks >= XFER_LOOKS_MAX)
        return false;
    link->last_look = look->number;
    for (unsigned i = 0; i < XFER_LOOKS_MAX; i++) {
        if (link->looks[i].number == 0) {
            link->looks[i].number = look->number;
            link->looks[i].n = look->n;
            link->n_looks++;
            return true;
        }
    }
    return false;
}

static bool remove_look(struct link *link, const struct wire_looked *looked)
{
    for (unsigned i = 0; i < XFER_LOOKS_MAX; i++) {
        if (link->looks[i].number == looked->number) {
            link->looks[i].number = 0;
            link->n_looks--;
            return link->looks[i].n == looked->n;
        }
    }
    return false;
}

static int on_look(struct link *link, const void *msg, size_t len, struct xfer_error *err)
{
    struct wire_look look;

    if (wire_look_decode(msg, len, &look, err))
        return -1;
    if (link->n_looks >= XFER_LOOKS_MAX)
        return error_set(err, XFER_PROTOCOL, "more than %d looks are unanswered", XFER_LOOKS_MAX);
    if (!add_look(link, &look))
        return error_set(err, XFER_PROTOCOL, "look has number %llu, %llu was expected",
                         (unsigned long long)look.number, (unsigned long long)link->last_look + 1);
    if (!link->events->look)
        return error_set(err, XFER_PROTOCOL, "a look came, and nobody is there for it");
    link->events->look(link->user, &look);
    return 0;
}

static int on_looked(struct link *link, const void *msg, size_t len, struct xfer_error *err)
{
    struct wire_looked looked;

    if (wire_looked_decode(msg, len, &looked, err))
        return -1;
    if (!remove_look(link, &looked))
        return error_set(err, XFER_PROTOCOL, "an answer to no look, or with other entries");
    if (link->events->looked)
        link->events->looked(link->user, &looked);
    return 0;
}

unsigned link_look_room(const struct link *link)
{
    return XFER_LOOKS_MAX - link->n_looks;
}

void link_send_look(struct link *link, const struct wire_look *look)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    bool added = add_look(link, look);

    assert(added);
    (void)added;
    control_send(link, WIRE_TAG_LOOK, msg, wire_look_encode(look, msg));
}

void link_send_looked(struct link *link, const struct wire_looked *looked)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    bool removed = remove_look(link, looked);

    assert(removed);
    (void)removed;
    control_send(link, WIRE_TAG_LOOKED, msg, wire_looked_encode(looked, msg));
}

/* ---- what comes ---- */

/* What goes one way only: not to us? */
static bool is_misled(const struct link *link, int tag)
{
    bool to_0 = tag == WIRE_TAG_PARTIALS || tag == WIRE_TAG_LOOKED;
    bool to_1 = tag == WIRE_TAG_FORGET || tag == WIRE_TAG_LOOK;

    return link->options.rank == 0 ? to_1 : to_0;
}

static int on_control(struct link *link, int tag, const void *msg, size_t len,
                      struct xfer_error *err)
{
    struct wire_stop stop;

    if (is_misled(link, tag))
        return error_set(err, XFER_PROTOCOL, "a control message with tag %d for rank %d", tag,
                         link->options.rank);
    switch (tag) {
    case WIRE_TAG_HEARTBEAT:
        return on_heartbeat(link, msg, len, err);
    case WIRE_TAG_STOP:
        if (wire_stop_decode(msg, len, &stop, err))
            return -1;
        link->events->stop(link->user);
        return 0;
    case WIRE_TAG_PARTIALS:
    case WIRE_TAG_FORGET:
        return on_jobs(link, tag, msg, len, err);
    case WIRE_TAG_LOOK:
        return on_look(link, msg, len, err);
    case WIRE_TAG_LOOKED:
        return on_looked(link, msg, len, err);
    default:
        return error_set(err, XFER_PROTOCOL, "a control message with tag %d", tag);
    }
}

int link_take_control(struct link *link, struct xfer_error *err)
{
    struct chunk *none;
    size_t len;
    int n, tag, found = 0;

    while (outbox_take(&link->control, &none))
        found = 1;
    n = mailbox_take(&link->in, &len, &tag, err);
    if (n <= 0)
        return n < 0 ? -1 : found;
    if (on_control(link, tag, link->in.buf, len, err) || mailbox_post(&link->in, err))
        return -1;
    link_heard(link);
    return 1;
}

/* ---- from outside ---- */

int link_ping(struct link *link, void (*done)(void *user, double round_trip), void *user,
              struct xfer_error *err)
{
    struct ping *ping;

    if (link->failed)
        return error_set(err, XFER_PEER_DOWN, "%s", link->why.text);
    ping = malloc(sizeof(*ping));
    if (!ping)
        return error_set_errno(err, ENOMEM, "ping");
    ping->done = done;
    ping->user = user;
    /* A question that is already under way would give this one too short a time. */
    if (link->number != 0) {
        ping->next = link->pings_next;
        link->pings_next = ping;
    } else {
        ping->next = link->pings;
        link->pings = ping;
        link_ask(link);
    }
    return 0;
}

void link_stop(struct link *link)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    struct wire_stop stop = {0};

    control_send(link, WIRE_TAG_STOP, msg, wire_stop_encode(&stop, msg));
}

void link_drop_pings(struct link *link)
{
    struct ping *ping, *next;

    for (int i = 0; i < 2; i++) {
        for (ping = i == 0 ? link->pings : link->pings_next; ping; ping = next) {
            next = ping->next;
            free(ping);
        }
    }
    link->pings = link->pings_next = NULL;
}

static void send_jobs(struct link *link, int tag, const uint64_t *jobs, size_t n)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    struct wire_jobs m;
    size_t len;

    for (; n > 0; jobs += m.n, n -= m.n) {
        m.n = n < XFER_JOB_LIST_MAX ? (uint32_t)n : XFER_JOB_LIST_MAX;
        memcpy(m.jobs, jobs, m.n * sizeof(*jobs));
        len =
            tag == WIRE_TAG_PARTIALS ? wire_partials_encode(&m, msg) : wire_forget_encode(&m, msg);
        control_send(link, tag, msg, len);
    }
}

void link_send_partials(struct link *link, const uint64_t *jobs, size_t n)
{
    send_jobs(link, WIRE_TAG_PARTIALS, jobs, n);
}

void link_send_forget(struct link *link, const uint64_t *jobs, size_t n)
{
    send_jobs(link, WIRE_TAG_FORGET, jobs, n);
}
