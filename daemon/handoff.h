/* SPDX-License-Identifier: MIT
 *
 * The private channel between the supervisor and its ranks on this machine: a Unix seqpacket socket
 * in the runtime directory. mpiexec closes all descriptors, so the ranks connect to it by a path
 * that they are given. Small fixed messages, one struct each way, same binary on both ends.
 *
 *   rank -> supervisor
 *     REGISTER {generation, rank, pid}, READY {text}, TICK {}, STATUS {text}, FAILED {text}
 *     RELOAD {}             rank 0 was asked to have the configuration reread; one at a time
 *     APPLIED {number}      the SETTINGS of that number hold
 *     ENDED {number, text}  of rank 0: a job has ended, its number, state, and (by SCM_RIGHTS)
 *                           sealed memory with the job object
 *   supervisor -> rank
 *     LISTENER              rank 0 only; the listening socket by SCM_RIGHTS
 *     SETTINGS {number}     settings.h, by SCM_RIGHTS; each number is higher than the last one's
 *     RELOADED {number, text}
 *                           answers RELOAD, when the settings hold everywhere: number 0 and the
 *                           names of both kinds of struct reread_changes, with an LF between them;
 *                           else an error's code and text
 *     STOP {}
 *
 * End of file on the rank's side: the supervisor is gone; the rank ends in order, by itself.
 */
#ifndef XFER_DAEMON_HANDOFF_H
#define XFER_DAEMON_HANDOFF_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/error.h"

enum handoff_kind {
    HANDOFF_REGISTER = 1,
    HANDOFF_LISTENER,
    HANDOFF_READY,
    HANDOFF_TICK,
    HANDOFF_STATUS,
    HANDOFF_FAILED,
    HANDOFF_STOP,
    HANDOFF_RELOAD,
    HANDOFF_SETTINGS,
    HANDOFF_APPLIED,
    HANDOFF_RELOADED,
    HANDOFF_ENDED,
    HANDOFF_KINDS
};

/* Rank 0 sends TICK this often from READY on; one that is silent for HANDOFF_SILENCE is taken for
 * hung and ended. */
#define HANDOFF_TICK_SECONDS    5.0
#define HANDOFF_SILENCE_SECONDS 30.0

/* From STOP until all ranks must be gone; after that they are killed. */
#define HANDOFF_STOP_SECONDS 4.0

struct handoff_message {
    uint32_t kind; /* enum handoff_kind */
    int32_t rank;
    int64_t generation;
    int64_t pid;
    int64_t number;
    char text[XFER_KEY_NAMES_SIZE];
    int fd; /* LISTENER, SETTINGS, ENDED: the descriptor, owned by the receiver of it; else -1 */
};

/* The rank's end: connect (blocking, at start) and register. Returns the descriptor (CLOEXEC, then
 * non-blocking), or -1. */
int handoff_connect(const char *path, int rank, int64_t generation, struct xfer_error *err);

/* Send one message: 0; -1 with XFER_TOO_BUSY when the other side doesn't read, XFER_IO otherwise.
 * Never blocks once connected. */
int handoff_send(int fd, const struct handoff_message *m, struct xfer_error *err);

/* Receive one: 1 and *m; 0: nothing there now; -1: the other side is gone or broke the rules. */
int handoff_receive(int fd, struct handoff_message *m, struct xfer_error *err);

/* Blocking wait, at start only, for one message of that kind: others are an error. seconds: bound.
 */
int handoff_expect(int fd, enum handoff_kind kind, double seconds, struct handoff_message *m,
                   struct xfer_error *err);

#endif
