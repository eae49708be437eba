/* SPDX-License-Identifier: MIT
 *
 * What lies in partial/ and beside/ while nobody has it open: after a start, and when the sending
 * rank needs it no longer (store_partials(), store_forget()).
 */
#ifndef XFER_DAEMON_RECEIVE_STORE_SWEEP_H
#define XFER_DAEMON_RECEIVE_STORE_SWEEP_H

#include "daemon/receive/store_impl.h"

/* Remove what a former generation left and nobody can go on with. Main thread, with the root's lock
 * held. */
void store_sweep(struct store *store);

#endif
