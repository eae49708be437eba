/* SPDX-License-Identifier: MIT
 *
 * The file to send, opened by whoever runs xferctl, for a daemon that runs as somebody else.
 */
#ifndef XFER_CTL_HANDOVER_H
#define XFER_CTL_HANDOVER_H

/* A descriptor of the regular file at path, for reading; it is never waited for a FIFO, and no
 * device is opened. -1: there is none, or it may not be read: the daemon will say which. */
int handover_open(const char *path);

#endif
