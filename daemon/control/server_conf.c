/* SPDX-License-Identifier: MIT
 *
 * The settings of the control service that can change while it runs: one function for each part
 * that has some, called at the start and after each reload with all of them. What has not changed
 * must not be noticed.
 */
#include "daemon/control/admins.h"
#include "daemon/control/limits.h"
#include "daemon/control/server_impl.h"
#include "daemon/log.h"

/* Those who are connected already, too, are what they would be if they connected now. The list has
 * numbers for names here, so nothing blocks. */
static void apply_admins(struct server *s, const struct conf *conf)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct admins *admins = admins_create(conf->control_admins, &err);

    if (!admins) {
        log_error("the administrators stay who they were: %s", err.text);
        return;
    }
    admins_destroy(s->admins);
    s->admins = admins;
    clients_set_admins(s->control.clients, admins);
}

static void apply_history(struct server *s, const struct conf *conf)
{
    s->control.finished_kept = conf->queue_history;
    queue_keep(s->control.queue, conf->queue_history, conf->queue_history_time);
}

/* For jobs that are submitted from now on, and attempts that fail from now on. */
static void apply_retries(struct server *s, const struct conf *conf)
{
    const struct retry_policy policy = {.delay = conf->queue_retry_delay,
                                        .delay_max = conf->queue_retry_delay_max};

    s->control.retries = conf->queue_retries;
    scheduler_set_retry(s->control.scheduler, &policy);
}

static void apply_stall_timeout(struct server *s, const struct conf *conf)
{
    scheduler_set_stall_timeout(s->control.scheduler, conf->queue_stall_timeout);
}

static void apply_hook(struct server *s, const struct conf *conf)
{
    s->hooked = s->errands && conf->hook_command[0] != '\0';
}

static void apply_limits(struct server *s, const struct conf *conf)
{
    limits_change(&s->control, conf);
}

static void (*const appliers[])(struct server *s, const struct conf *conf) = {
    apply_admins, apply_history, apply_retries, apply_stall_timeout, apply_hook, apply_limits,
};

void server_apply_conf(struct server *s, const struct conf *conf)
{
    for (size_t i = 0; i < sizeof appliers / sizeof appliers[0]; i++)
        appliers[i](s, conf);
}

void server_reloaded(struct server *s, const char *changed, const char *restart,
                     const struct xfer_error *why)
{
    reloader_done(s->control.reloader, changed, restart, why);
}
