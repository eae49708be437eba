/* SPDX-License-Identifier: MIT
 *
 * The requests about the followed jobs. All are pipelined on one connection; the id of each says
 * what is asked about which item.
 */
#include <errno.h>
#include <fcntl.h>

#include "ctl/clock.h"
#include "ctl/follow_internal.h"
#include "ctl/handover.h"

#define SUBMITS_AT_ONCE 256 /* replies awaited */

int follow_ask(struct follow *f, enum request_kind kind, size_t index, enum method_id method,
               const struct control_params *params, struct xfer_error *err)
{
    return follow_ask_with(f, kind, index, method, params, -1, err);
}

int follow_ask_with(struct follow *f, enum request_kind kind, size_t index, enum method_id method,
                    const struct control_params *params, int fd, struct xfer_error *err)
{
    return session_send_with(f->session, ((int64_t)index << FOLLOW_KIND_BITS) | kind, method,
                             params, fd, err);
}

int follow_ask_about(struct follow *f, enum request_kind kind, size_t index, enum method_id method,
                     struct xfer_error *err)
{
    struct control_params params;

    control_params_init(&params);
    params.job = f->items[index].job;
    return follow_ask(f, kind, index, method, &params, err);
}

/* Files are opened no sooner than they can leave. */
static bool room_for_file(const struct follow *f)
{
    return !f->hand_over || session_descriptors(f->session) < SESSION_DESCRIPTORS_MAX;
}

static int send_submits(struct follow *f, struct xfer_error *err)
{
    if (clock_now() < f->busy_until)
        return 0;
    f->busy_until = 0;
    for (; f->next_submit < f->n && f->submits < SUBMITS_AT_ONCE; f->next_submit++) {
        struct follow_item *item = &f->items[f->next_submit];
        struct control_params params;
        int fd = -1;

        if (item->step != FOLLOW_SUBMIT)
            continue;
        if (!room_for_file(f))
            break;
        params = *f->options->submit;
        params.source = item->source;
        params.key = item->key;
        if (f->options->list) {
            fd = fcntl(f->options->list_fd, F_DUPFD_CLOEXEC, 0);
            if (fd < 0)
                return error_set_errno(err, errno, "the list of files");
        } else if (f->hand_over) {
            fd = handover_open(item->source);
        }
        params.files_fd = f->options->list;
        params.source_fd = fd >= 0 && !params.files_fd;
        item->sent_at = session_queued(f->session);
        if (follow_ask_with(f, ASK_SUBMIT, f->next_submit, METHOD_TRANSFER_SUBMIT, &params, fd,
                            err))
            return -1;
        item->step = FOLLOW_SUBMITTED;
        f->submits++;
    }
    return 0;
}

int follow_send_about(struct follow *f, size_t index, struct xfer_error *err)
{
    static const struct {
        enum request_kind kind;
        enum method_id method;
    } requests[] = {[FOLLOW_CANCEL] = {ASK_CANCEL, METHOD_TRANSFER_CANCEL},
                    [FOLLOW_LOOK] = {ASK_LOOK, METHOD_TRANSFER_STATUS},
                    [FOLLOW_RETRY] = {ASK_RETRY, METHOD_TRANSFER_RETRY},
                    [FOLLOW_WAIT] = {ASK_WAIT, METHOD_TRANSFER_WAIT}};
    struct follow_item *item = &f->items[index];
    struct control_params params;
    int fd = -1;

    if (item->step == FOLLOW_LOOK && !f->hand_over)
        item->step = f->options->submit ? FOLLOW_WAIT : FOLLOW_RETRY;
    enum follow_step step = item->step;

    /* First the events, so that none is missed. */
    if (step == FOLLOW_WAIT && f->events && f->n <= SUBSCRIBE_EACH_MAX &&
        follow_ask_about(f, ASK_EVENTS, index, METHOD_EVENTS_SUBSCRIBE, err))
        return -1;
    item->sent_at = session_queued(f->session);
    item->step = step + 1; /* from to-be-asked to awaited */
    f->waits++;
    if (step == FOLLOW_RETRY && item->hand && f->hand_over)
        fd = handover_open(item->hand);
    control_params_init(&params);
    params.job = item->job;
    params.source_fd = fd >= 0;
    return follow_ask_with(f, requests[step].kind, index, requests[step].method, &params, fd, err);
}

static int send_waits(struct follow *f, struct xfer_error *err)
{
    for (; f->next_wait < f->n && f->waits < FOLLOW_WAITS_AT_ONCE; f->next_wait++) {
        enum follow_step step = f->items[f->next_wait].step;

        if (step == FOLLOW_SUBMIT || step == FOLLOW_SUBMITTED)
            break;
        if (step == FOLLOW_RETRY && !room_for_file(f))
            break;
        if ((step == FOLLOW_CANCEL || step == FOLLOW_RETRY || step == FOLLOW_WAIT ||
             step == FOLLOW_LOOK) &&
            follow_send_about(f, f->next_wait, err))
            return -1;
    }
    return 0;
}

int follow_send_what_can_be(struct follow *f, struct xfer_error *err)
{
    if (f->hold || !session_connected(f->session))
        return 0;
    if (!f->signal && send_submits(f, err))
        return -1;
    return send_waits(f, err);
}
