/* SPDX-License-Identifier: MIT
 *
 * What is no regular file: directories, symbolic and hard links. As whom it is stored, on any
 * worker.
 */
#ifndef XFER_DAEMON_RECEIVE_STORE_KIND_H
#define XFER_DAEMON_RECEIVE_STORE_KIND_H

#include "daemon/receive/store_file.h"

/* Make what META says in file->parent, with its metadata. 0: it has its name, or file->temp is to
 * be given it. 1: something has changed meanwhile, try again. -1. In all but the first case *err
 * says why. */
int store_kind_make(struct store_file *file, struct xfer_error *err);

/* Open the directory to read it and to set its metadata. One of ours that locks us out is made
 * u+rwx for that; its mode before is left in *before. -1 with errno set: ELOOP for a symbolic link,
 * ENOTDIR for what else is no directory. */
int store_kind_open_directory(int at, const char *name, mode_t *before);

#endif
