/* SPDX-License-Identifier: MIT
 *
 * See shaper.h. Tokens are never negative: a piece is granted when there is enough for it, or for
 * as much of it as the rate brings in SHAPER_PIECE seconds.
 */
#include "daemon/send/shaper.h"

static double capacity(const struct bucket *b)
{
    double burst = b->rate * SHAPER_BURST;

    return burst > 1 ? burst : 1;
}

static void fill(struct bucket *b, double now)
{
    if (now > b->at)
        b->tokens += (now - b->at) * b->rate;
    if (b->tokens > capacity(b))
        b->tokens = capacity(b);
    b->at = now;
}

static void set_rate(struct bucket *b, double rate, double now)
{
    bool had = b->rate > 0;

    fill(b, now);
    b->rate = rate;
    if (!had || b->tokens > capacity(b))
        b->tokens = capacity(b);
}

/* For how many tokens it waits that wants so many bytes. */
static double piece(const struct bucket *b, double want)
{
    double most = b->rate * SHAPER_PIECE;

    if (most < 1)
        most = 1;
    return want < most ? want : most;
}

static bool has(const struct bucket *b, double tokens, double now)
{
    double passed = now > b->at ? now - b->at : 0;

    /* a nanosecond early: what is lost in fractions must not keep anybody waiting */
    return b->rate <= 0 || b->tokens + (passed + 1e-9) * b->rate + 1e-6 >= tokens;
}

static double seconds_until(const struct bucket *b, double tokens, double now)
{
    return has(b, tokens, now) ? 0 : (tokens - b->tokens) / b->rate - (now - b->at);
}

void shaper_init(struct shaper *s, double rate, double now)
{
    *s = (struct shaper){.all = {.at = now}};
    set_rate(&s->all, rate, now);
}

void shaper_set_rate(struct shaper *s, double rate, double now)
{
    set_rate(&s->all, rate, now);
}

bool shaper_has_rate(const struct shaper *s)
{
    return s->all.rate > 0;
}

void shaper_bucket_init(struct bucket *b, double rate, double now)
{
    *b = (struct bucket){.at = now};
    set_rate(b, rate, now);
}

void shaper_flow_begin(struct shaper_flow *flow, double rate, struct bucket *shared, double now)
{
    flow->shared = shared;
    shaper_bucket_init(&flow->own, rate, now);
}

static struct bucket *bucket_of(struct shaper_flow *flow)
{
    return flow->shared ? flow->shared : &flow->own;
}

static const struct bucket *bucket_in(const struct shaper_flow *flow)
{
    return flow->shared ? flow->shared : &flow->own;
}

bool shaper_flow_has_rate(const struct shaper_flow *flow)
{
    return bucket_in(flow)->rate > 0;
}

/* ---- the line ---- */

static void put_last(struct shaper *s, struct shaper_flow *flow)
{
    flow->waits = true;
    flow->next = NULL;
    if (s->last)
        s->last->next = flow;
    else
        s->first = flow;
    s->last = flow;
}

void shaper_leave(struct shaper *s, struct shaper_flow *flow)
{
    struct shaper_flow *prev = NULL;

    flow->turn = false;
    if (!flow->waits)
        return;
    for (struct shaper_flow *f = s->first; f && f != flow; f = f->next)
        prev = f;
    if (prev)
        prev->next = flow->next;
    else
        s->first = flow->next;
    if (s->last == flow)
        s->last = prev;
    flow->next = NULL;
    flow->waits = false;
}

/* ---- whose turn it is ---- */

static bool is_ready_itself(const struct shaper_flow *flow, double now)
{
    const struct bucket *b = bucket_in(flow);

    return has(b, piece(b, (double)flow->want), now);
}

/* The first of the line that waits for nothing but the common rate. No other overtakes it, however
 * little that wants: else many small files would keep a large one waiting for ever. */
static struct shaper_flow *head(const struct shaper *s, double now)
{
    struct shaper_flow *flow = s->first;

    while (flow && !is_ready_itself(flow, now))
        flow = flow->next;
    return flow;
}

struct shaper_flow *shaper_next(struct shaper *s, double now)
{
    struct shaper_flow *flow = head(s, now);

    if (!flow || !has(&s->all, piece(&s->all, (double)flow->want), now))
        return NULL;
    shaper_leave(s, flow);
    flow->turn = true;
    return flow;
}

double shaper_wait(const struct shaper *s, double now)
{
    const struct shaper_flow *first = head(s, now);
    double wait = first ? seconds_until(&s->all, piece(&s->all, (double)first->want), now) : -1;

    for (const struct shaper_flow *f = s->first; f; f = f->next) {
        const struct bucket *b = bucket_in(f);
        double own = seconds_until(b, piece(b, (double)f->want), now);

        if (own > 0 && (wait < 0 || own < wait))
            wait = own;
    }
    return wait;
}

/* ---- tokens ---- */

static size_t at_most(const struct bucket *b, size_t n)
{
    if (b->rate <= 0 || b->tokens >= (double)n)
        return n;
    return b->tokens > 1 ? (size_t)b->tokens : 1;
}

/* Others of the same rate wait for their turn. */
static bool is_overtaking(const struct shaper *s, const struct shaper_flow *flow)
{
    const struct shaper_flow *f = flow->shared ? s->first : NULL;

    while (f && f->shared != flow->shared)
        f = f->next;
    return f != NULL;
}

size_t shaper_take(struct shaper *s, struct shaper_flow *flow, size_t want, double now)
{
    struct bucket *own = bucket_of(flow);
    bool turn = flow->turn;

    flow->turn = false;
    flow->want = want;
    fill(own, now);
    fill(&s->all, now);
    if (flow->waits) /* it asks out of turn, and keeps its place */
        turn = head(s, now) == flow;
    else if (!turn)
        turn = !is_overtaking(s, flow) && (s->all.rate <= 0 || !head(s, now));
    if (!turn || !is_ready_itself(flow, now) || !has(&s->all, piece(&s->all, (double)want), now)) {
        if (!flow->waits)
            put_last(s, flow);
        return 0;
    }
    shaper_leave(s, flow);
    size_t n = at_most(&s->all, at_most(own, want));
    s->all.tokens -= s->all.rate > 0 ? (double)n : 0;
    own->tokens -= own->rate > 0 ? (double)n : 0;
    return n;
}
