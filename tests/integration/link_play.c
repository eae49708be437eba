/* SPDX-License-Identifier: MIT
 *
 * Both ends of a link without a daemon around them: link_play SCENARIO DIRECTORY, started as two
 * ranks by link.bats. Each rank prints what it saw, one line with "RANK: " in front. DIRECTORY is
 * for the doorbells.
 *
 * Lane messages are played with bytes that say what comes next: their first is a letter of
 * next_of().
 */
#include <mpi.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/link/link.h"

#define CHUNK XFER_CHUNK_MIN

static struct play {
    struct ev_loop *loop;
    struct link *link;
    struct lane *lane;
    const char *scenario;
    int rank;

    char said[256]; /* rank 1: a letter for each message that came */
    size_t n_said;
    struct chunk *kept; /* rank 1: not released */
    unsigned sent, pings;
    struct wire_look looks[XFER_LOOKS_MAX]; /* rank 1 */
    unsigned n_looks;
    struct ev_prepare flushed; /* rank 0 */
} play;

static void tell(const char *fmt, ...)
{
    va_list args;

    printf("%d: ", play.rank);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\n");
    fflush(stdout);
}

static void die(const char *what, const struct xfer_error *err)
{
    tell("%s: %s", what, err->text);
    _exit(1);
}

static bool is(const char *scenario)
{
    return strcmp(play.scenario, scenario) == 0;
}

/* ---- rank 1 ---- */

static void saw(char letter)
{
    if (play.n_said + 1 < sizeof play.said)
        play.said[play.n_said++] = letter;
}

static int next_of(char letter)
{
    switch (letter) {
    case 'a':
        return LANE_ATTRS;
    case 's':
        return LANE_START;
    case 'p':
        return LANE_MAP;
    default:
        return LANE_DATA;
    }
}

static int on_meta(void *user, const void *msg, size_t len, struct xfer_error *err)
{
    (void)user;
    (void)len;
    (void)err;
    saw('m');
    return next_of(*(const char *)msg);
}

static int on_attrs(void *user, const void *msg, size_t len, struct xfer_error *err)
{
    (void)user;
    (void)len;
    (void)err;
    saw('a');
    return next_of(*(const char *)msg);
}

static int on_start(void *user, const void *msg, size_t len, struct xfer_error *err)
{
    (void)user;
    (void)len;
    (void)err;
    saw('s');
    return next_of(*(const char *)msg);
}

static int on_map(void *user, const void *msg, size_t len, struct xfer_error *err)
{
    (void)user;
    (void)len;
    (void)err;
    saw('p');
    return next_of(*(const char *)msg);
}

static int on_data(void *user, struct chunk *chunk, struct xfer_error *err)
{
    int next = next_of((char)chunk->data[0]);

    (void)user;
    (void)err;
    saw('d');
    if (is("slow") && play.sent == 0) {
        chunk->next = play.kept;
        play.kept = chunk;
    } else {
        lane_chunk_release(play.lane, chunk);
    }
    return next;
}

static int on_end(void *user, struct xfer_error *err)
{
    (void)user;
    (void)err;
    saw('e');
    return 0;
}

static int on_verdict(void *user, const void *msg, size_t len, struct xfer_error *err)
{
    (void)user;
    (void)msg;
    (void)len;
    (void)err;
    saw('v');
    tell("%s", play.said);
    lane_send_receipt(play.lane, "r", 1);
    return 0;
}

static const struct lane_receiver_events receiver_events = {
    .meta = on_meta,
    .attrs = on_attrs,
    .start = on_start,
    .map = on_map,
    .data = on_data,
    .end = on_end,
    .verdict = on_verdict,
};

/* In "slow": take all that was kept, and keep nothing more. */
static void on_forget(void *user, const uint64_t *jobs, unsigned n)
{
    struct chunk *chunk, *next;

    (void)user;
    (void)jobs;
    (void)n;
    play.sent = 1;
    for (chunk = play.kept; chunk; chunk = next) {
        next = chunk->next;
        lane_chunk_release(play.lane, chunk);
    }
}

static void answer(const struct wire_look *look)
{
    struct wire_looked looked = {.number = look->number, .n = look->n};

    for (uint32_t i = 0; i < look->n; i++)
        looked.entries[i].result =
            strcmp(look->entries[i].name, "there") == 0 ? WIRE_LOOKED_SAME : WIRE_LOOKED_ABSENT;
    link_send_looked(play.link, &looked);
}

/* The last one first, once there are as many as may be. */
static void on_look(void *user, const struct wire_look *look)
{
    (void)user;
    play.looks[play.n_looks++] = *look;
    if (play.n_looks < XFER_LOOKS_MAX || is("too many looks"))
        return;
    while (play.n_looks > 0)
        answer(&play.looks[--play.n_looks]);
}

/* ---- rank 0 ---- */

static void leave_when_flushed(struct ev_loop *loop, struct ev_prepare *w, int revents)
{
    (void)w;
    (void)revents;
    if (link_flushed(play.link))
        ev_break(loop, EVBREAK_ALL);
}

static void over(void)
{
    link_stop(play.link);
    ev_prepare_start(play.loop, &play.flushed);
}

static void on_receipt(void *user, const void *msg, size_t len)
{
    (void)user;
    (void)msg;
    (void)len;
    over();
}

static void ignore(void *user, const void *msg, size_t len)
{
    (void)user;
    (void)msg;
    (void)len;
}

/* A chunk of that many bytes, after which that may come. */
static bool send_chunk(char next, size_t len)
{
    struct chunk *chunk = lane_chunk_get(play.lane);

    if (!chunk)
        return false;
    memset(chunk->data, next, len);
    chunk->len = len;
    lane_send_chunk(play.lane, chunk);
    play.sent++;
    return true;
}

static void send_small_chunks(void *user)
{
    (void)user;
    if (is("slow"))
        while (send_chunk('d', 1))
            ;
}

static const struct lane_sender_events sender_events = {
    .receipt = on_receipt, .refusal = ignore, .go = ignore, .chunk_free = send_small_chunks};

static void on_looked(void *user, const struct wire_looked *looked)
{
    (void)user;
    tell("look %llu: %u entries, first %d, last %d, room %u", (unsigned long long)looked->number,
         looked->n, looked->entries[0].result, looked->entries[looked->n - 1].result,
         link_look_room(play.link));
    if (link_look_room(play.link) == XFER_LOOKS_MAX)
        over();
}

/* Long messages, which take their time, and short chunks right behind them. */
static void play_order(void)
{
    static char big[XFER_MESSAGE_MAX];

    lane_send_meta(play.lane, memset(big, 'a', sizeof big), sizeof big);
    lane_send_attrs(play.lane, memset(big, 'a', sizeof big), sizeof big);
    lane_send_attrs(play.lane, memset(big, 's', sizeof big), sizeof big);
    lane_send_start(play.lane, memset(big, 'p', sizeof big), sizeof big);
    lane_send_map(play.lane, memset(big, 'd', sizeof big), sizeof big);
    send_chunk('d', 1);
    send_chunk('p', CHUNK);
    lane_send_map(play.lane, memset(big, 'd', sizeof big), sizeof big);
    send_chunk('p', 1);
    lane_send_map(play.lane, memset(big, 'd', sizeof big), sizeof big);
    send_chunk('d', 1);
    lane_send_end(play.lane, NULL);
    lane_send_verdict(play.lane, memset(big, 'v', sizeof big), sizeof big);
}

/* Any number of these round trips is time for a chunk to leave. */
static void on_pong(void *user, double round_trip)
{
    struct xfer_error err;
    uint64_t job = 1;

    (void)user;
    (void)round_trip;
    send_small_chunks(NULL);
    if (++play.pings < 100) {
        if (link_ping(play.link, on_pong, NULL, &err))
            die("ping", &err);
        return;
    }
    tell("%u chunks have left", play.sent);
    play.scenario = "slow, but on its way again";
    link_send_forget(play.link, &job, 1);
    lane_send_end(play.lane, NULL);
    lane_send_verdict(play.lane, "v", 1);
}

static void play_slow(void)
{
    struct xfer_error err;

    lane_send_meta(play.lane, "d", 1);
    if (link_ping(play.link, on_pong, NULL, &err))
        die("ping", &err);
}

static struct wire_look *a_look(uint64_t number)
{
    static struct wire_look look;

    look = (struct wire_look){.number = number, .job = 1, .n = (uint32_t)number};
    for (uint32_t i = 0; i < look.n; i++)
        strcpy(look.entries[i].name, i == 0 ? "there" : "away");
    return &look;
}

/* ---- both ---- */

/* Past the link, as a peer that doesn't know the rules. */
static void send_raw(int tag, const void *msg, size_t len)
{
    MPI_Send(msg, (int)len, MPI_BYTE, 1 - play.rank, tag, MPI_COMM_WORLD);
}

static void send_raw_look(uint64_t number)
{
    unsigned char msg[XFER_MESSAGE_MAX];

    send_raw(WIRE_TAG_LOOK, msg, wire_look_encode(a_look(number), msg));
}

static void send_raw_looked(uint64_t number)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    struct wire_looked looked = {.number = number, .n = 2};

    looked.entries[0].result = looked.entries[1].result = WIRE_LOOKED_ABSENT;
    send_raw(WIRE_TAG_LOOKED, msg, wire_looked_encode(&looked, msg));
}

static void play_rank_0(void)
{
    lane_set_sender(play.lane, &sender_events, NULL);
    if (is("order")) {
        play_order();
    } else if (is("slow")) {
        play_slow();
    } else if (is("looks")) {
        for (uint64_t n = 1; n <= XFER_LOOKS_MAX; n++)
            link_send_look(play.link, a_look(n));
        tell("room %u", link_look_room(play.link));
    } else if (is("too many looks")) {
        for (uint64_t n = 1; n <= XFER_LOOKS_MAX + 1; n++)
            send_raw_look(n);
    } else if (is("a look out of turn")) {
        send_raw_look(2);
    } else if (is("an answer for rank 1")) {
        send_raw_looked(1);
    } else if (is("an answer with other entries")) {
        link_send_look(play.link, a_look(1));
    }
}

static void play_rank_1(void)
{
    lane_set_receiver(play.lane, &receiver_events, NULL);
    if (is("a look for rank 0"))
        send_raw_look(1);
    else if (is("an answer to no look") || is("an answer with other entries"))
        send_raw_looked(1);
}

/* Ordered by rank 0, which needs no answer to it. */
static void on_stop(void *user)
{
    (void)user;
    ev_break(play.loop, EVBREAK_ALL);
}

static void on_broken(void *user, const struct xfer_error *why)
{
    (void)user;
    tell("broken: %s", why->text);
    _exit(0);
}

static const struct link_events events = {.stop = on_stop,
                                          .broken = on_broken,
                                          .forget = on_forget,
                                          .look = on_look,
                                          .looked = on_looked};

int main(int argc, char **argv)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct link_options options = {
        .lanes = 1, .chunk = CHUNK, .root = "", .heartbeat = 5, .handshake = 60, .silence = 60};
    int size;

    if (link_init(&argc, &argv, &play.rank, &size, &err))
        die("link_init", &err);
    if (argc != 3 || size != 2)
        return 2;
    play.scenario = argv[1];
    options.runtime = argv[2];
    options.rank = play.rank;
    options.peer = 1 - play.rank;
    play.loop = ev_default_loop(0);
    ev_prepare_init(&play.flushed, leave_when_flushed);
    play.link = link_start(play.loop, &options, &events, NULL, &err);
    if (!play.link)
        die("link_start", &err);
    play.lane = link_lane(play.link, 0);
    if (play.rank == 0)
        play_rank_0();
    else
        play_rank_1();
    ev_run(play.loop, 0);
    link_destroy(play.link);
    if (link_finalize(&err))
        die("link_finalize", &err);
    return 0;
}
