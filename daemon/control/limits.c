/* SPDX-License-Identifier: MIT
 *
 * See limits.h. What limits.set says is a setting of the queue: so it is answered when it is
 * recorded, and holds over restarts of the ranks.
 */
#include "daemon/control/limits.h"

#include "daemon/log.h"

static void take(struct control *c, const struct conf *conf)
{
    c->limits = (struct control_limits){.bandwidth = conf->limits_bandwidth,
                                        .user_jobs = conf->limits_user_jobs,
                                        .user_bytes = conf->limits_user_bytes,
                                        .file_size = conf->limits_file_size};
    limits_apply(c);
}

void limits_init(struct control *c, const struct conf *conf)
{
    take(c, conf);
}

static void on_unset(void *user, const struct xfer_error *why)
{
    struct control *c = user;

    if (why)
        log_warning("what limits.set has said still holds: %s", why->text);
    limits_apply(c);
}

void limits_change(struct control *c, const struct conf *conf)
{
    bool other = conf->limits_bandwidth != c->limits.bandwidth;
    struct xfer_error err = XFER_ERROR_INIT;

    if (other && queue_bandwidth(c->queue) >= 0 &&
        queue_set_bandwidth(c->queue, -1, on_unset, c, &err) < 0)
        log_warning("what limits.set has said still holds: %s", err.text);
    take(c, conf);
}

void limits_now(const struct control *c, struct control_limits *limits)
{
    int64_t set = queue_bandwidth(c->queue);

    *limits = c->limits;
    if (set >= 0)
        limits->bandwidth = set;
}

void limits_apply(struct control *c)
{
    struct control_limits limits;

    limits_now(c, &limits);
    queue_set_limits(c->queue, limits.user_jobs, limits.user_bytes);
    if (c->sender)
        sender_set_limits(c->sender, limits.bandwidth, limits.file_size);
}
