/* SPDX-License-Identifier: MIT
 *
 * Processes of the ranks that are left when their launcher is gone.
 */
#ifndef XFER_DAEMON_ORPHANS_H
#define XFER_DAEMON_ORPHANS_H

#include <sys/types.h>

/* From now on this process becomes the parent of descendants whose own parent dies. */
void orphans_adopt(void);

/* SIGKILL to all children that belong to that session, and how many there are (dead ones that
 * nobody waited for yet included). */
int orphans_kill(pid_t session);

#endif
