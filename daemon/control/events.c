/* SPDX-License-Identifier: MIT
 *
 * Each event that is published gets the next number, and its job moves to the end of one list,
 * which is so ordered by the number of each job's last event. A subscriber to all jobs is one
 * number on this list: what it has been told. When it can't be written to it stays behind; what it
 * finds later, going on along the list, are the latest states of what changed meanwhile, and a gap
 * in the numbers is the events that it missed. A snapshot is the same walk from the beginning.
 *
 * A subscriber to single jobs has a watch on each, with how many events of that job it has been
 * told.
 */
#include "daemon/control/events.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "proto/control_reply.h"

/* One a second is left for the event of the end. */
#define INTERVAL (1.0 / (XFER_EVENTS_PER_SECOND - 1))

struct events {
    struct ev_loop *loop;
    int64_t published;
    struct list jobs; /* by events.link */
    struct list due;  /* by events.due */
    struct list subscribers;
    ev_timer timer;
};

struct subscriber {
    struct list link;
    struct client *client;
    bool all;
    int64_t told;     /* number of the last event that it was told or let pass */
    int64_t snapshot; /* up to this number a finished job is no news, and a gap is no loss */
    struct job *next; /* the first on the list that it was not told; NULL: none */
    int64_t lost;
    struct list watches, late; /* late: those with an event to be told */
    size_t n_watches;
};

struct watch {
    struct list of_subscriber, of_job, late;
    struct subscriber *subscriber;
    struct job *job;
    int64_t told; /* of the job's publications */
    bool once;    /* all events come anyway: this is for the first answer */
};

static bool has_room(const struct subscriber *s)
{
    return client_unsent(s->client) < XFER_OUTPUT_HIGH;
}

/* Texts are made once, however many are told. */
static void write_event(struct client *client, const struct job *job, char **text)
{
    struct control_event ev;

    if (!*text) {
        job_to_event(job, job->events.published, clock_monotonic(), &ev);
        *text = control_event_encode(&ev);
    }
    if (*text)
        client_write(client, *text, strlen(*text));
    else
        client_close(client);
}

static struct job *next_job(const struct events *e, const struct job *job)
{
    struct list *next = job->events.link.next;

    return next == &e->jobs ? NULL : list_entry(next, struct job, events.link);
}

static void tell_all(struct subscriber *s, const struct job *job, char **text)
{
    int64_t number = job->events.published;
    int64_t known = s->told > s->snapshot ? s->told : s->snapshot;

    if (number > known)
        s->lost += number - known - 1;
    s->told = number;
    write_event(s->client, job, text);
}

static void watch_end(struct watch *w)
{
    w->subscriber->n_watches--;
    list_remove(&w->of_subscriber);
    list_remove(&w->of_job);
    list_remove(&w->late);
    free(w);
}

static void tell_watch(struct watch *w, const struct job *job, char **text)
{
    w->subscriber->lost += job->events.publications - w->told - 1;
    w->told = job->events.publications;
    list_remove(&w->late);
    write_event(w->subscriber->client, job, text);
    if (w->once || job_state_finished(job->state))
        watch_end(w);
}

static void tell_lost(struct subscriber *s)
{
    if (s->lost == 0 || !has_room(s))
        return;
    char *text = control_events_lost_encode(s->lost);
    if (!text)
        return;
    client_write(s->client, text, strlen(text));
    free(text);
    s->lost = 0;
}

void events_publish(struct events *e, struct job *job)
{
    char *text = NULL;

    for (struct list *at = e->subscribers.next; at != &e->subscribers; at = at->next) {
        struct subscriber *s = list_entry(at, struct subscriber, link);

        if (s->next == job)
            s->next = next_job(e, job);
    }
    list_remove(&job->events.due);
    list_remove(&job->events.link);
    list_add_before(&e->jobs, &job->events.link);
    job->events.published = ++e->published;
    job->events.publications++;
    job->events.published_at = clock_monotonic();

    for (struct list *at = e->subscribers.next; at != &e->subscribers; at = at->next) {
        struct subscriber *s = list_entry(at, struct subscriber, link);

        if (!s->all || s->next)
            continue;
        if (has_room(s)) {
            tell_all(s, job, &text);
            tell_lost(s);
        } else {
            s->next = job;
        }
    }
    for (struct list *at = job->events.watches.next, *next; at != &job->events.watches; at = next) {
        struct watch *w = list_entry(at, struct watch, of_job);

        next = at->next;
        if (has_room(w->subscriber))
            tell_watch(w, job, &text);
        else if (list_empty(&w->late))
            list_add_before(&w->subscriber->late, &w->late);
    }
    free(text);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct events *e = w->data;
    double now = clock_monotonic(), soonest = INTERVAL;
    struct list due;

    (void)revents;
    list_init(&due);
    list_take_all(&due, &e->due);
    while (!list_empty(&due)) {
        struct job *job = list_entry(due.next, struct job, events.due);
        double left = job->events.published_at + INTERVAL - now;

        list_remove(&job->events.due);
        if (left <= 0.001) {
            events_publish(e, job);
        } else {
            list_add_before(&e->due, &job->events.due);
            if (left < soonest)
                soonest = left;
        }
    }
    if (!list_empty(&e->due)) {
        ev_timer_set(w, soonest, 0.);
        ev_timer_start(loop, w);
    }
}

void events_changed(struct events *e, struct job *job)
{
    if (list_empty(&e->subscribers) || !list_empty(&job->events.due) || job->queue.ending)
        return;
    double left = job->events.published_at + INTERVAL - clock_monotonic();
    if (left <= 0) {
        events_publish(e, job);
        return;
    }
    list_add_before(&e->due, &job->events.due);
    if (!ev_is_active(&e->timer) || ev_timer_remaining(e->loop, &e->timer) > left) {
        ev_timer_stop(e->loop, &e->timer);
        ev_timer_set(&e->timer, left, 0.);
        ev_timer_start(e->loop, &e->timer);
    }
}

void events_forget(struct events *e, struct job *job)
{
    for (struct list *at = e->subscribers.next; at != &e->subscribers; at = at->next) {
        struct subscriber *s = list_entry(at, struct subscriber, link);

        if (s->all && s->next && job->events.published > s->told &&
            job->events.published > s->snapshot) {
            log_notice("a subscriber of uid %u is cut off: it has not read for too long",
                       (unsigned)client_uid(s->client));
            client_close(s->client);
        }
        if (s->next == job)
            s->next = next_job(e, job);
    }
    while (!list_empty(&job->events.watches)) {
        struct watch *w = list_entry(job->events.watches.next, struct watch, of_job);

        log_notice("a subscriber of uid %u is cut off: it has not read for too long",
                   (unsigned)client_uid(w->subscriber->client));
        client_close(w->subscriber->client);
        watch_end(w);
    }
    list_remove(&job->events.due);
    list_remove(&job->events.link);
}

static struct subscriber *get_subscriber(struct events *e, struct client *client,
                                         struct xfer_error *err)
{
    struct subscriber *s = client_subscriber(client);

    if (s)
        return s;
    s = calloc(1, sizeof *s);
    if (!s) {
        error_set(err, XFER_NO_RESOURCES, "no memory for another subscription");
        return NULL;
    }
    s->client = client;
    list_init(&s->watches);
    list_init(&s->late);
    list_init(&s->link);
    list_add_before(&e->subscribers, &s->link);
    client_set_subscriber(client, s);
    return s;
}

static struct watch *get_watch(struct subscriber *s, struct job *job, struct xfer_error *err)
{
    for (struct list *at = job->events.watches.next; at != &job->events.watches; at = at->next) {
        struct watch *w = list_entry(at, struct watch, of_job);

        if (w->subscriber == s)
            return w;
    }
    if (s->n_watches >= XFER_WATCHES_MAX) {
        error_set(err, XFER_TOO_BUSY, "%d jobs are watched already: subscribe to all",
                  XFER_WATCHES_MAX);
        return NULL;
    }
    struct watch *w = calloc(1, sizeof *w);
    if (!w) {
        error_set(err, XFER_NO_RESOURCES, "no memory for another subscription");
        return NULL;
    }
    w->subscriber = s;
    w->job = job;
    list_init(&w->of_subscriber);
    list_init(&w->of_job);
    list_init(&w->late);
    list_add_before(&s->watches, &w->of_subscriber);
    list_add_before(&job->events.watches, &w->of_job);
    s->n_watches++;
    return w;
}

int events_subscribe(struct events *e, struct client *client, struct job *job,
                     struct xfer_error *err)
{
    struct subscriber *s = get_subscriber(e, client, err);

    if (!s)
        return -1;
    if (job) {
        struct watch *w = get_watch(s, job, err);

        if (!w)
            return -1;
        w->told = job->events.publications - 1;
        w->once = s->all;
        if (list_empty(&w->late))
            list_add_before(&s->late, &w->late);
        return 0;
    }
    if (s->all && s->next) /* its first snapshot, or what it missed, is still to come */
        return 0;
    while (!list_empty(&s->watches))
        watch_end(list_entry(s->watches.next, struct watch, of_subscriber));
    s->all = true;
    s->told = 0;
    s->snapshot = e->published;
    s->next = list_empty(&e->jobs) ? NULL : list_entry(e->jobs.next, struct job, events.link);
    return 0;
}

void events_unsubscribe(struct events *e, struct client *client)
{
    struct subscriber *s = client_subscriber(client);

    if (!s)
        return;
    while (!list_empty(&s->watches))
        watch_end(list_entry(s->watches.next, struct watch, of_subscriber));
    list_remove(&s->link);
    client_set_subscriber(client, NULL);
    free(s);
    if (list_empty(&e->subscribers)) {
        ev_timer_stop(e->loop, &e->timer);
        while (!list_empty(&e->due))
            list_remove(e->due.next);
    }
}

void events_pump(struct events *e, struct client *client)
{
    struct subscriber *s = client_subscriber(client);

    if (!s)
        return;
    while (s->next && has_room(s)) {
        struct job *job = s->next;
        char *text = NULL;

        s->next = next_job(e, job);
        if (job->events.published <= s->snapshot && job_state_finished(job->state))
            continue;
        tell_all(s, job, &text);
        free(text);
    }
    while (!list_empty(&s->late) && has_room(s)) {
        struct watch *w = list_entry(s->late.next, struct watch, late);
        char *text = NULL;

        tell_watch(w, w->job, &text);
        free(text);
    }
    tell_lost(s);
}

struct events *events_create(struct ev_loop *loop, struct xfer_error *err)
{
    struct events *e = calloc(1, sizeof *e);

    if (!e) {
        error_set(err, XFER_NO_RESOURCES, "no memory for subscriptions");
        return NULL;
    }
    e->loop = loop;
    list_init(&e->jobs);
    list_init(&e->due);
    list_init(&e->subscribers);
    ev_init(&e->timer, on_timer);
    e->timer.data = e;
    return e;
}

void events_destroy(struct events *e)
{
    if (!e)
        return;
    while (!list_empty(&e->subscribers))
        events_unsubscribe(e, list_entry(e->subscribers.next, struct subscriber, link)->client);
    while (!list_empty(&e->jobs))
        list_remove(e->jobs.next);
    ev_timer_stop(e->loop, &e->timer);
    free(e);
}
