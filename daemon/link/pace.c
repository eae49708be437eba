/* SPDX-License-Identifier: MIT
 *
 * The poll sits in a prepare watcher: it runs once in each turn of the loop, right before the loop
 * would block. What differs between the states is only how long the loop may then block: an idle
 * watcher keeps it from blocking at all, a timerfd bounds it (libev's own timers are no finer than
 * a millisecond).
 *
 * The bell is only for one who is idle, and who says so before he looks for the last time: what was
 * sent until then is found by that look, and who sends later sees that he has to ring. A large
 * message needs both sides to poll until it is through: its sender stays awake as long as it has
 * not left, and rings again now and then.
 */
#include "daemon/link/pace.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define US 1000LL
#define MS (1000 * US)

#define HOT_FOR  (200 * US) /* after the last progress */
#define STEP_MIN (20 * US)  /* first sleep of the warm state */
/* The same two where messages are small, which wait for no answer and can be taken by the dozen, or
 * where both ranks share one machine. */
#define HOT_SPARE  (5 * US)
#define STEP_SPARE (80 * US)
#define STEP_MAX   (500 * US) /* longest one */
#define LONG_STEP  (5 * MS)   /* the same while nothing but an answer is due: after long silence */
#define LONG_PART  8          /* ... but no longer than that part of it */
#define IDLE_AFTER (1 * MS)   /* of silence */
#define PIECES_AFTER \
    (5 * MS) /* the same where pieces of a message may come: its sender rings again */
#define RING_AGAIN \
    (1 * MS) /* a message that does not leave: first repeat of the bell, doubled each time */
#define RING_AGAIN_MAX (64 * MS)
#define SMALL          (8 * 1024) /* bytes: up to Open MPI's eager limit, as launch.c sets it */
#define NOTHING_HOT    8          /* polls in one turn of a hot loop that find nothing */
#define ROUNDS_MAX     64         /* polls in one turn of the loop while they find something */

struct pace {
    struct ev_loop *loop;
    struct pace_client client;
    void *user;
    struct doorbell *bell;
    int64_t tick;
    int timer_fd;
    struct ev_prepare prepare;
    struct ev_idle spin;
    struct ev_io timer, rang;
    int64_t last_progress, step, step_max, ring_gap, last_ring;
    bool kicked, broken, asleep, small;
};

static int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 * MS + ts.tv_nsec;
}

static void sleep_at_most(struct pace *p, int64_t ns)
{
    struct itimerspec spec = {
        .it_value = {.tv_sec = ns / (1000 * MS), .tv_nsec = ns % (1000 * MS)}};

    ev_idle_stop(p->loop, &p->spin);
    timerfd_settime(p->timer_fd, 0, &spec, NULL);
}

/* Poll as long as it finds something, a bounded number of times: clients want their turn too. An
 * MPI test looks first and progresses after, so "nothing" counts only the second time; when that is
 * where the loop would go around at once, only after some more, which cost less than such a turn.
 */
static int poll_rounds(struct pace *p)
{
    int found = 0, nothing = 0, enough = ev_is_active(&p->spin) ? NOTHING_HOT : 2;

    for (int i = 0; i < ROUNDS_MAX && nothing < enough; i++) {
        int n = p->client.poll(p->user);

        if (n < 0)
            return -1;
        if (n > 0)
            nothing = 0, found = 1;
        else
            nothing++;
    }
    return found;
}

static void ring_again(struct pace *p, int64_t now)
{
    if (!p->bell || now - p->last_ring < p->ring_gap || now - p->last_progress < p->ring_gap)
        return;
    doorbell_ring(p->bell);
    p->last_ring = now;
    if (p->ring_gap < RING_AGAIN_MAX)
        p->ring_gap *= 2;
}

/* Is a nap better than sleep? Who can be woken needs one at most: only the pieces of a large
 * message come without a bell. */
static bool may_nap(const struct pace *p, int64_t quiet)
{
    if (!p->bell)
        return quiet < IDLE_AFTER;
    return p->step == STEP_SPARE ||
           (!p->small && quiet < PIECES_AFTER && p->client.receiving(p->user));
}

/* Is the processor better left to who works? The workers of both ranks want it, and others. */
static bool is_sparing(const struct pace *p)
{
    return p->small || p->bell;
}

static void set_asleep(struct pace *p, bool asleep)
{
    if (!p->bell || p->asleep == asleep)
        return;
    p->asleep = asleep;
    doorbell_sleep(p->bell, asleep);
}

/* One look, and how long it may be to the next: nanoseconds, 0 for none at all, -1 for ever. */
static int64_t look(struct pace *p)
{
    int64_t now, quiet;
    int found = poll_rounds(p);
    bool awake;

    if (found < 0) {
        p->broken = true;
        return -1;
    }
    now = now_ns();
    if (found || p->kicked) {
        p->last_progress = now;
        p->step = is_sparing(p) ? STEP_SPARE : STEP_MIN;
        p->kicked = false;
        if (found)
            p->ring_gap = RING_AGAIN;
        if (p->bell && !p->small)
            doorbell_wake(p->bell);
    }
    quiet = now - p->last_progress;
    /* where nothing can move it is left to them at once */
    if (quiet < (is_sparing(p) ? HOT_SPARE : HOT_FOR) && !(p->bell && p->client.blocked(p->user)))
        return 0;
    p->step_max = STEP_MAX;
    awake = p->client.sending(p->user);
    if (awake) {
        ring_again(p, now);
    } else if (!p->bell) {
        awake = p->client.expecting(p->user);
        if (quiet / LONG_PART > STEP_MAX)
            p->step_max = quiet / LONG_PART < LONG_STEP ? quiet / LONG_PART : LONG_STEP;
    }
    return awake || may_nap(p, quiet) ? p->step : p->tick;
}

/* Is who sleeps so long to be woken? A nap in the middle of many small messages is there to find
 * more of them. */
static bool wants_bell(const struct pace *p, int64_t ns)
{
    return p->bell && ns > 0 && (ns == p->tick || !p->small);
}

static void on_prepare(struct ev_loop *loop, struct ev_prepare *w, int revents)
{
    struct pace *p = w->data;
    int64_t ns;

    (void)loop;
    (void)revents;
    if (p->broken)
        return;
    set_asleep(p, false);
    ns = look(p);
    if (wants_bell(p, ns)) {
        set_asleep(p, true);
        ns = look(p); /* what came before the other side could know */
        if (!wants_bell(p, ns))
            set_asleep(p, false);
    }
    if (ns == 0) {
        ev_idle_start(p->loop, &p->spin);
        return;
    }
    sleep_at_most(p, ns > 0 ? ns : 0);
    if (ns > 0 && ns < p->tick)
        p->step = ns * 2 < p->step_max ? ns * 2 : p->step_max;
}

static void on_timer(struct ev_loop *loop, struct ev_io *w, int revents)
{
    uint64_t count;
    ssize_t n = read(w->fd, &count, sizeof(count));

    (void)n; /* the wake-up is all that matters */
    (void)loop;
    (void)revents;
}

static void on_spin(struct ev_loop *loop, struct ev_idle *w, int revents)
{
    (void)loop;
    (void)w;
    (void)revents;
}

static void on_rang(struct ev_loop *loop, struct ev_io *w, int revents)
{
    struct pace *p = w->data;

    (void)loop;
    (void)revents;
    doorbell_clear(p->bell);
    pace_kick(p);
}

struct pace *pace_create(struct ev_loop *loop, const struct pace_client *client, void *user,
                         struct doorbell *bell, double tick, struct xfer_error *err)
{
    struct pace *p = calloc(1, sizeof(*p));

    if (!p) {
        error_set_errno(err, ENOMEM, "pace");
        return NULL;
    }
    p->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (p->timer_fd < 0) {
        error_set_errno(err, errno, "timerfd_create");
        free(p);
        return NULL;
    }
    p->loop = loop;
    p->client = *client;
    p->user = user;
    p->bell = bell;
    p->tick = (int64_t)(tick * 1e9);
    p->ring_gap = RING_AGAIN;
    p->kicked = true;
    ev_prepare_init(&p->prepare, on_prepare);
    ev_idle_init(&p->spin, on_spin);
    ev_io_init(&p->timer, on_timer, p->timer_fd, EV_READ);
    p->prepare.data = p->timer.data = p->spin.data = p;
    ev_prepare_start(loop, &p->prepare);
    ev_io_start(loop, &p->timer);
    if (bell) {
        ev_io_init(&p->rang, on_rang, doorbell_fd(bell), EV_READ);
        p->rang.data = p;
        ev_io_start(loop, &p->rang);
    }
    return p;
}

void pace_destroy(struct pace *p)
{
    if (!p)
        return;
    ev_prepare_stop(p->loop, &p->prepare);
    ev_idle_stop(p->loop, &p->spin);
    ev_io_stop(p->loop, &p->timer);
    if (p->bell)
        ev_io_stop(p->loop, &p->rang);
    close(p->timer_fd);
    free(p);
}

void pace_sent(struct pace *p)
{
    if (p->bell && doorbell_wake(p->bell))
        p->last_ring = now_ns();
    p->kicked = true;
}

void pace_kick(struct pace *p)
{
    p->kicked = true;
}

void pace_data(struct pace *p, size_t len)
{
    p->small = len <= SMALL;
}
