/* SPDX-License-Identifier: MIT
 *
 * An error that has to wait for its turn, as small as its text: what is under way is counted in
 * thousands, and a struct xfer_error has room for the longest path.
 */
#ifndef XFER_DAEMON_SEND_KEPT_H
#define XFER_DAEMON_SEND_KEPT_H

#include "proto/error.h"

struct kept_error;

/* Never NULL: where there is no memory for it, that is what it says. Any thread. */
struct kept_error *kept_error_make(const struct xfer_error *err);
void kept_error_free(struct kept_error *kept); /* NULL is fine */

enum xfer_code kept_error_code(const struct kept_error *kept);
void kept_error_get(const struct kept_error *kept, struct xfer_error *err);

#endif
