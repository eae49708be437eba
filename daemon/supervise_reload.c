/* SPDX-License-Identifier: MIT
 *
 * The supervisor's reload: read the configuration again, take over what can change, have the ranks
 * take it over, and tell whoever asked. One after the other: a request that comes in the middle of
 * one is for another, which begins when that is over, since it may be about a file that was written
 * after the reading. It does not matter how many come meanwhile.
 *
 * Ranks are started with the settings that rank 0 has applied last, and sent what has come since
 * when they register: so rank 0 sees each change, as what limits.set has said must end with some,
 * even if it came while no rank was there. One that dies in the middle of a reload is not waited
 * for. So whatever state the ranks are in, the settings hold for those that serve, and for all that
 * come.
 */
#include "daemon/supervise_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/settings.h"

static void begin(struct supervisor *s);

/* ---- the end of one ---------------------------------------------------------------------------
 */

static void answer(struct supervisor *s)
{
    struct handoff_message m = {
        .kind = HANDOFF_RELOADED, .generation = s->now.number, .number = s->reload.code, .fd = -1};
    struct xfer_error err = XFER_ERROR_INIT;

    memcpy(m.text, s->reload.text, sizeof m.text);
    if (ranks_send(s->ranks, 0, &m, &err) < 0)
        log_info("rank 0 is not told of the reload: %s", err.text);
}

static void conclude(struct supervisor *s)
{
    s->reload.phase = RELOAD_NONE;
    if (s->reload.asked)
        answer(s);
    s->reload.asked = false;
    if (s->was_ready && !s->stopping)
        notify_ready();
    if (!s->reload.again)
        return;
    s->reload.again = false;
    s->reload.asked = s->reload.asked_again;
    s->reload.asked_again = false;
    begin(s);
}

static void fail(struct supervisor *s, const struct xfer_error *why)
{
    s->reload.code = why->code;
    snprintf(s->reload.text, sizeof s->reload.text, "%s", why->text);
    conclude(s);
}

/* ---- the ranks --------------------------------------------------------------------------------
 */

/* True: it will tell that it has applied them. */
static bool send_settings(struct supervisor *s, int rank, int fd)
{
    struct handoff_message m = {.kind = HANDOFF_SETTINGS,
                                .generation = s->now.number,
                                .number = s->reload.number,
                                .fd = fd};
    struct xfer_error err = XFER_ERROR_INIT;

    if (ranks_send(s->ranks, rank, &m, &err) == 0)
        return true;
    if (err.code != XFER_PEER_DOWN) /* it begins anew, with them */
        states_end(s, "rank %d does not take new settings: %s", rank, err.text);
    return false;
}

static void send_all(struct supervisor *s)
{
    struct xfer_error err = XFER_ERROR_INIT;
    int fd = settings_pack(&s->running, &err);

    if (fd < 0) {
        states_end(s, "the ranks cannot be given new settings: %s", err.text);
        return;
    }
    for (int rank = 0; rank < 2; rank++)
        if (send_settings(s, rank, fd))
            s->reload.awaited |= 1U << rank;
    close(fd);
    if (s->conf.peer_host[0] != '\0')
        log_info("what of it concerns rank 1 on %s: that one reads its own host's configuration "
                 "when it is started again",
                 s->conf.peer_host);
}

void reload_registered(struct supervisor *s, int rank)
{
    struct xfer_error err = XFER_ERROR_INIT;
    int fd;

    if (s->reload.number == s->reload.launched)
        return;
    fd = settings_pack(&s->running, &err);
    if (fd < 0) {
        states_end(s, "rank %d cannot be given new settings: %s", rank, err.text);
        return;
    }
    send_settings(s, rank, fd);
    close(fd);
}

static void no_longer_awaited(struct supervisor *s, int rank)
{
    s->reload.awaited &= ~(1U << rank);
    if (s->reload.phase == RELOAD_APPLYING && s->reload.awaited == 0)
        conclude(s);
}

void reload_applied(struct supervisor *s, int rank, int64_t number)
{
    if (number != s->reload.number)
        return;
    if (rank == 0) {
        conf_copy_live(&s->conf, &s->running);
        s->reload.applied = number;
    }
    no_longer_awaited(s, rank);
}

void reload_gone(struct supervisor *s, int rank)
{
    if (rank == 0)
        s->reload.asked = s->reload.asked_again = false;
    no_longer_awaited(s, rank);
}

/* ---- the reading ------------------------------------------------------------------------------
 */

void reload_take_over(struct supervisor *s)
{
    log_set_level((enum log_level)s->running.log_level);
    hooks_configure(s->hooks, s->running.hook_command, s->running.hook_timeout);
}

void reload_read(void *user, const struct reread_changes *changes, const struct xfer_error *why)
{
    struct supervisor *s = user;

    if (why != NULL) {
        fail(s, why);
        return;
    }
    s->reload.code = XFER_OK;
    if ((size_t)snprintf(s->reload.text, sizeof s->reload.text, "%s\n%s", changes->live,
                         changes->restart) >= sizeof s->reload.text)
        log_error("the names of all keys are too long to be told");
    s->reload.phase = RELOAD_APPLYING;
    if (changes->live[0] != '\0') {
        reload_take_over(s);
        s->reload.number++;
        send_all(s);
    }
    if (s->reload.awaited == 0)
        conclude(s);
}

static void begin(struct supervisor *s)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (s->stopping)
        return;
    s->reload.phase = RELOAD_READING;
    s->reload.awaited = 0;
    if (s->was_ready)
        notify_reloading();
    if (reread_start(s->reread, &err) == 0)
        return;
    log_error("the configuration cannot be read again: %s", err.text);
    fail(s, &err);
}

void reload_wanted(struct supervisor *s, bool by_rank)
{
    if (s->reload.phase != RELOAD_NONE) {
        s->reload.again = true;
        s->reload.asked_again = s->reload.asked_again || by_rank;
        return;
    }
    s->reload.asked = by_rank;
    begin(s);
}
