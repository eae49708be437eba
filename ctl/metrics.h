/* SPDX-License-Identifier: MIT
 *
 * The counters of a daemon in the text format of Prometheus (version 0.0.4): seconds and bytes, and
 * no label whose values grow in number with the jobs.
 */
#ifndef XFER_CTL_METRICS_H
#define XFER_CTL_METRICS_H

#include "proto/control_reply.h"

/* The whole exposition, which the caller frees; NULL: no memory. What the daemon does not know, or
 * did not tell, is left out. Without stats (NULL, as is hello then) it is xfer_up 0 alone. */
char *metrics_format(const struct control_hello *hello, const struct control_stats *stats);

#endif
