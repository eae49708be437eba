/* SPDX-License-Identifier: MIT
 *
 * What systemd is told, when it started us and libsystemd is there; else nothing happens.
 */
#ifndef XFER_DAEMON_NOTIFY_H
#define XFER_DAEMON_NOTIFY_H

void notify_ready(void);
void notify_reloading(void); /* until the next notify_ready() */
void notify_stopping(void);
void notify_status(const char *text); /* one line for "systemctl status" */
void notify_alive(void);              /* the watchdog, where one was asked for */
double notify_watchdog(void);         /* it wants such a sign every so many seconds; 0: never */

#endif
