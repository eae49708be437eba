/* SPDX-License-Identifier: MIT
 *
 * sd_notify(3), spoken by the supervisor alone: the ranks get an environment without NOTIFY_SOCKET.
 * A message that does not arrive is of no concern to the transfers, so results are not looked at.
 */
#include "daemon/notify.h"

#ifdef HAVE_LIBSYSTEMD

#include <inttypes.h>
#include <stdint.h>
#include <systemd/sd-daemon.h>
#include <time.h>

void notify_ready(void)
{
    sd_notify(0, "READY=1");
}

/* With Type=notify-reload the time tells systemd which READY=1 belongs to its request. */
void notify_reloading(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
               (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000);
}

void notify_stopping(void)
{
    sd_notify(0, "STOPPING=1\nSTATUS=stopping");
}

void notify_status(const char *text)
{
    sd_notifyf(0, "STATUS=%s", text);
}

void notify_alive(void)
{
    sd_notify(0, "WATCHDOG=1");
}

double notify_watchdog(void)
{
    uint64_t usec = 0;

    return sd_watchdog_enabled(0, &usec) > 0 ? (double)usec / 1e6 : 0;
}

#else

void notify_ready(void)
{
}

void notify_reloading(void)
{
}

void notify_stopping(void)
{
}

void notify_status(const char *text)
{
    (void)text;
}

void notify_alive(void)
{
}

double notify_watchdog(void)
{
    return 0;
}

#endif
