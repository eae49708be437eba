/* SPDX-License-Identifier: MIT
 *
 * sd_notify(3), spoken by the supervisor alone: the ranks get an environment without NOTIFY_SOCKET.
 * A message that does not arrive is of no concern to the transfers, so results are not looked at.
 */
#include "daemon/notify.h"

#ifdef HAVE_LIBSYSTEMD

#include <stdint.h>
#include <systemd/sd-daemon.h>

void notify_ready(void)
{
    sd_notify(0, "READY=1");
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
