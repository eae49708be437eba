/* SPDX-License-Identifier: MIT
 *
 * A sender that sends nothing: stands in for daemon/send/sender.c in a test program. Transfers
 * begin when told to and end when the test says so.
 */
#ifndef XFER_TESTS_UNIT_FAKE_SENDER_H
#define XFER_TESTS_UNIT_FAKE_SENDER_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/send/sender.h"
#include "tests/unit/fake_tree.h"

#define FAKE_STARTS_MAX 4096

struct send {
    struct send *next;
    struct sender *sender;
    uint64_t job;
    const struct send_events *events;
    void *user;
    struct xfer_error why; /* of the cancel; code XFER_OK: none */
    bool keep;
    bool again; /* of the request */
    int64_t bandwidth;
    bool throttled;
    bool handle;
    int handle_fd;
    uid_t uid;
    gid_t gid;
    bool as_owner;
    int n_groups;
};

struct sender {
    unsigned room_max, active;
    struct send *sends;
    uint64_t starts[FAKE_STARTS_MAX]; /* the jobs, in the order in which they began */
    size_t n_starts;
    void (*on_start)(uint64_t job); /* NULL: none */
    bool broken;                    /* sender_start() fails */
    int64_t bandwidth, file_size;   /* the limits that it was told */
    const char *stored;             /* what the receiver tells of the place; NULL: nothing */
    const char *warning;            /* and of what was not kept; the same */
};

const char *send_phase_name(enum send_phase phase)
{
    static const char *const names[] = {"opening", "waiting", "verifying",
                                        "sending", "storing", "verifying"};

    return names[phase];
}

unsigned sender_room(const struct sender *s)
{
    return s->room_max > s->active ? s->room_max - s->active : 0;
}

unsigned sender_active(const struct sender *s)
{
    return s->active;
}

struct send *sender_start(struct sender *s, const struct send_request *request,
                          const struct send_events *events, void *user, struct xfer_error *err)
{
    if (s->broken) {
        error_set(err, XFER_NO_RESOURCES, "the fake is broken");
        return NULL;
    }
    struct send *send = calloc(1, sizeof *send);
    if (!send)
        abort();
    if (s->on_start)
        s->on_start(request->job);
    send->sender = s;
    send->job = request->job;
    send->again = request->again;
    send->bandwidth = request->bandwidth;
    send->handle = request->handle;
    send->handle_fd = request->handle_fd;
    send->uid = request->uid;
    send->gid = request->gid;
    send->as_owner = request->as_owner;
    send->n_groups = request->n_groups;
    send->events = events;
    send->user = user;
    send->next = s->sends;
    s->sends = send;
    s->active++;
    s->starts[s->n_starts++ % FAKE_STARTS_MAX] = request->job;
    return send;
}

void sender_cancel(struct send *send, const struct xfer_error *why, bool keep)
{
    send->why = *why;
    send->keep = keep;
}

bool sender_is_throttled(const struct send *send)
{
    return send->throttled;
}

void sender_set_limits(struct sender *s, int64_t bandwidth, int64_t file_size)
{
    s->bandwidth = bandwidth;
    s->file_size = file_size;
}

static inline struct send *fake_find(const struct sender *s, uint64_t job)
{
    struct send *send = s->sends;

    while (send && send->job != job)
        send = send->next;
    return send;
}

static inline void fake_phase(struct sender *s, uint64_t job, enum send_phase phase, int64_t done,
                              int64_t total)
{
    struct send *send = fake_find(s, job);
    struct send_progress progress = {.phase = phase, .bytes_done = done, .bytes_total = total};

    send->events->progress(send->user, &progress);
}

static inline void fake_progress(struct sender *s, uint64_t job, int64_t done, int64_t total)
{
    fake_phase(s, job, SEND_SENDING, done, total);
}

/* The transfer ends with that error (NULL: stored, of that size), or if it was cancelled and no
 * error is given: with the reason of that. */
static inline void fake_end(struct sender *s, uint64_t job, uint64_t size,
                            const struct xfer_error *err)
{
    struct send_result result = {.size = size};
    struct send **at = &s->sends;

    while ((*at)->job != job)
        at = &(*at)->next;
    struct send *send = *at;
    *at = send->next;
    s->active--;
    memset(result.digest, 0xab, sizeof result.digest);
    if (s->stored)
        snprintf(result.stored, sizeof result.stored, "%s", s->stored);
    if (s->warning)
        snprintf(result.warning, sizeof result.warning, "%s", s->warning);
    if (err)
        result.error = *err;
    else if (send->why.code != XFER_OK)
        result.error = send->why;
    send->events->done(send->user, &result);
    free(send);
}

static inline void fake_drop_all(struct sender *s)
{
    while (s->sends) {
        struct send *send = s->sends;

        s->sends = send->next;
        free(send);
    }
    s->active = 0;
    fake_drop_trees();
}

#endif
