/* SPDX-License-Identifier: MIT
 *
 * Two lists are worked off, each by a watcher that is fed when the list gets its first member, so
 * it runs in the same turn of the loop, and started as a timer of 0 seconds when something is left
 * over, so that everything else comes in between. Neither runs while the lists are empty. Writing
 * has the lower priority: replies of one turn leave together.
 */
#include "daemon/control/clients.h"

#include <stdlib.h>
#include <unistd.h>

#include "daemon/control/clients_impl.h"
#include "daemon/control/job.h"

#define TURN_SECONDS 0.002 /* requests run no longer than that in a turn, but for the last one */

static void feed(struct clients *g, ev_timer *w)
{
    if (!ev_is_active(w) && !ev_is_pending(w))
        ev_feed_event(g->loop, w, EV_CUSTOM);
}

static void next_turn(struct clients *g, ev_timer *w)
{
    ev_timer_stop(g->loop, w);
    ev_timer_set(w, 0., 0.);
    ev_timer_start(g->loop, w);
}

void clients_want_work(struct clients *g, struct client_links *c)
{
    if (list_empty(&c->work)) {
        list_add_before(&g->work, &c->work);
        feed(g, &g->work_turn);
    }
}

void clients_want_flush(struct clients *g, struct client_links *c)
{
    if (list_empty(&c->flush)) {
        list_add_before(&g->flush, &c->flush);
        feed(g, &g->flush_turn);
    }
}

static void on_work(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct clients *g = w->data;
    double end = clock_monotonic() + TURN_SECONDS;

    (void)loop;
    (void)revents;
    ev_timer_stop(loop, w);
    while (!list_empty(&g->work)) {
        struct client_links *c = list_entry(g->work.next, struct client_links, work);

        list_remove(&c->work);
        if (client_work(c) && list_empty(&c->work))
            list_add_before(&g->work, &c->work);
        if (clock_monotonic() >= end)
            break;
    }
    if (!list_empty(&g->work))
        next_turn(g, w);
}

static void on_flush(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct clients *g = w->data;
    struct list now;

    (void)revents;
    ev_timer_stop(loop, w);
    list_init(&now);
    list_take_all(&now, &g->flush);
    while (!list_empty(&now)) {
        struct client_links *c = list_entry(now.next, struct client_links, flush);

        list_remove(&c->flush);
        if (client_flush(c)) {
            g->count--;
            client_destroy(c);
        }
    }
    /* Events that found room again were fed like anything else; they may wait for the next turn. */
    if (!list_empty(&g->flush)) {
        ev_clear_pending(loop, w);
        next_turn(g, w);
    }
    g->events.written(g->user);
}

static void on_gone(void *user, void *subject)
{
    (void)user;
    client_gone(subject);
}

struct clients *clients_create(struct ev_loop *loop, const struct clients_events *events,
                               void *user, struct xfer_error *err)
{
    struct clients *g = calloc(1, sizeof *g);

    if (!g) {
        error_set(err, XFER_NO_RESOURCES, "no memory for the list of clients");
        return NULL;
    }
    g->loop = loop;
    g->events = *events;
    g->user = user;
    list_init(&g->all);
    list_init(&g->work);
    list_init(&g->flush);
    ev_timer_init(&g->work_turn, on_work, 0., 0.);
    g->work_turn.data = g;
    ev_timer_init(&g->flush_turn, on_flush, 0., 0.);
    g->flush_turn.data = g;
    ev_set_priority(&g->flush_turn, EV_MINPRI);
    g->hangup = hangup_create(loop, on_gone, g, err);
    if (!g->hangup) {
        clients_destroy(g);
        return NULL;
    }
    return g;
}

void clients_destroy(struct clients *g)
{
    if (!g)
        return;
    while (!list_empty(&g->all)) {
        g->count--;
        client_destroy(list_entry(g->all.next, struct client_links, all));
    }
    ev_timer_stop(g->loop, &g->work_turn);
    ev_clear_pending(g->loop, &g->work_turn);
    ev_timer_stop(g->loop, &g->flush_turn);
    ev_clear_pending(g->loop, &g->flush_turn);
    hangup_destroy(g->hangup);
    free(g);
}

void clients_set_handles(struct clients *g, struct handles *handles)
{
    g->handles = handles;
}

int clients_add(struct clients *g, int fd, uid_t uid, bool admin, struct xfer_error *err)
{
    struct client_links *c = client_create(g, fd, uid, admin);

    if (!c) {
        close(fd);
        return error_set(err, XFER_NO_RESOURCES, "no memory for another client");
    }
    list_add_before(&g->all, &c->all);
    g->count++;
    return 0;
}

void clients_set_admins(struct clients *g, const struct admins *admins)
{
    for (struct list *at = g->all.next; at != &g->all; at = at->next)
        client_set_admin(list_entry(at, struct client_links, all), admins);
}

void clients_fail(struct clients *g, const struct xfer_error *why)
{
    for (struct list *at = g->all.next; at != &g->all; at = at->next)
        client_fail(list_entry(at, struct client_links, all), why);
}

size_t clients_count(const struct clients *g)
{
    return g->count;
}

size_t clients_unsent(const struct clients *g)
{
    return g->unsent;
}
