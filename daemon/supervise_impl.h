/* SPDX-License-Identifier: MIT
 *
 * The supervisor's inside: supervise.c brings it what happens, supervise_states.c decides what
 * follows, supervise_reload.c has the configuration read again.
 */
#ifndef XFER_DAEMON_SUPERVISE_IMPL_H
#define XFER_DAEMON_SUPERVISE_IMPL_H

#include <stdbool.h>
#include <ev.h>

#include "daemon/backoff.h"
#include "daemon/generation.h"
#include "daemon/handoff.h"
#include "daemon/hooks.h"
#include "daemon/launch.h"
#include "daemon/listen.h"
#include "daemon/peer.h"
#include "daemon/ranks.h"
#include "daemon/reread.h"
#include "daemon/runtime.h"
#include "daemon/supervise.h"

enum state { LAUNCHING, RUNNING, ENDING, PAUSING, STOPPING, OVER };

struct supervisor {
    const struct supervise_options *options;
    struct ev_loop *loop;
    struct listener *listener;
    struct runtime *runtime;
    struct ranks *ranks;
    struct peer *peer;
    struct launch_options launch;
    struct conf running; /* what is in effect */
    struct conf conf;    /* the same as far as rank 0 has applied it: ranks start with that */
    struct hooks *hooks;
    char launcher[XFER_PATH_SIZE];
    char aim[XFER_HOST_SIZE + 16]; /* see states_aim() */

    enum state state;
    struct generation now; /* the present one, or the last */
    double ending_since;
    bool complained;
    bool was_ready;  /* some generation */
    bool both_due;   /* the next one is both ranks */
    bool alone_told; /* that rank 0 serves alone */
    bool stopping;
    double told_delay; /* the last one; at its longest it stays the same */
    int attempts;      /* starts of both so far that did not lead to READY */
    struct backoff backoff, alone_backoff;
    struct refusal {
        char text[sizeof(((struct handoff_message *)0)->text)];
    } refusals[2]; /* the last one that was logged, of both ranks and of rank 0 alone */
    int status;    /* of the process */

    struct reread *reread;
    struct {
        enum { RELOAD_NONE, RELOAD_READING, RELOAD_APPLYING } phase;
        bool asked;              /* by rank 0, who waits for the answer */
        bool again, asked_again; /* another one is wanted after this, by rank 0 too */
        unsigned awaited;        /* a bit for each rank that has to apply the settings */
        int64_t number;          /* of the settings */
        int64_t applied;         /* of those that rank 0 has applied last */
        int64_t launched;        /* of those that the present ranks were started with */
        enum xfer_code code;     /* the answer */
        char text[sizeof(((struct handoff_message *)0)->text)];
    } reload;

    ev_timer timer, alive;
    ev_child child;
    ev_signal term, intr, hup;
};

/* Start the next generation, when nothing is left of the last. */
void states_start(struct supervisor *s, bool alone);
/* Rank 0 serves: true, unless nobody waits for that (any more). */
bool states_ready(struct supervisor *s);
/* Rank 0 has given a sign of life. */
void states_alive(struct supervisor *s);
/* Something is wrong with the present generation: all of it is ended. Nothing where that is being
 * done, or asked for, already. */
void states_end(struct supervisor *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Some process has gone: was it the last? */
void states_look(struct supervisor *s);
/* Both ranks can be started; for struct peer_options. */
void states_due(void *supervisor);
/* For the timer. */
void states_on_timer(struct ev_loop *loop, ev_timer *w, int revents);
/* The end of all, in order; and when that is asked for a second time, at once. */
void states_stop(struct supervisor *s);
void states_stop_now(struct supervisor *s);

/* Somebody wants the configuration read again: rank 0 does, or a signal does. */
void reload_wanted(struct supervisor *s, bool by_rank);
/* For struct reread_options. */
void reload_read(void *supervisor, const struct reread_changes *changes,
                 const struct xfer_error *why);
/* What of s->running concerns the supervisor itself holds from now on. */
void reload_take_over(struct supervisor *s);
/* What ranks do. */
void reload_registered(struct supervisor *s, int rank);
void reload_applied(struct supervisor *s, int rank, int64_t number);
void reload_gone(struct supervisor *s, int rank);

/* In front of why a start failed: with two hosts it mostly is the other one that cannot be had. */
const char *states_aim(const struct supervisor *s);

#endif
