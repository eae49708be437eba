/* SPDX-License-Identifier: MIT
 *
 * How fast files may be sent: a token bucket for all of them together, one for each file that has a
 * rate of its own or for all files of a job that has one, and the line of those that wait. Pure:
 * the time is passed in, in seconds of a clock that never goes back; nothing here looks at one.
 * Rates are bytes a second, 0 for none.
 *
 * Over any time t no more than rate * t + rate * SHAPER_BURST bytes are granted. A low rate is
 * granted in small pieces, about as many a second as SHAPER_PIECE says, so that it is smooth. Those
 * that wait for the common rate take turns, a piece a turn.
 */
#ifndef XFER_DAEMON_SEND_SHAPER_H
#define XFER_DAEMON_SEND_SHAPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHAPER_BURST 0.2 /* seconds of the rate (but a byte at least) that may be saved up */
#define SHAPER_PIECE 0.1 /* seconds of the rate for which a piece waits, unless it is smaller */

struct bucket {
    double rate;   /* 0: never empty */
    double tokens; /* bytes */
    double at;     /* when that was so */
};

/* Whoever sends one file after the other; embedded there. */
struct shaper_flow {
    struct bucket own;        /* of its present file */
    struct bucket *shared;    /* instead: of several flows; borrowed; NULL: none */
    struct shaper_flow *next; /* in the line */
    size_t want;              /* what it waits for there */
    bool waits;               /* it is in the line */
    bool turn;                /* its turn has come: the others stand behind */
};

struct shaper {
    struct bucket all;
    struct shaper_flow *first, *last;
};

void shaper_init(struct shaper *s, double rate, double now);
/* What was saved up is cut to what may be saved up now. */
void shaper_set_rate(struct shaper *s, double rate, double now);
bool shaper_has_rate(const struct shaper *s);

void shaper_bucket_init(struct bucket *b, double rate, double now);

/* Its next file, at a rate of its own or (shared, until shaper_leave()) at that of several. The
 * flow may not be in the line. */
void shaper_flow_begin(struct shaper_flow *flow, double rate, struct bucket *shared, double now);
bool shaper_flow_has_rate(const struct shaper_flow *flow);

/* How many of want bytes (1 or more) may go now. 0: none, and the flow is in the line. */
size_t shaper_take(struct shaper *s, struct shaper_flow *flow, size_t want, double now);
/* It does not wait any more. */
void shaper_leave(struct shaper *s, struct shaper_flow *flow);

/* The first of the line that may go on, taken out of it: its next shaper_take() grants something.
 * NULL: none may yet. */
struct shaper_flow *shaper_next(struct shaper *s, double now);
/* Seconds until that may find one; negative: the line is empty. */
double shaper_wait(const struct shaper *s, double now);

#endif
