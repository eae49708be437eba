/* SPDX-License-Identifier: MIT
 *
 * A file with holes that is being received. As whom it is stored, on any worker.
 */
#ifndef XFER_DAEMON_RECEIVE_STORE_SPARSE_H
#define XFER_DAEMON_RECEIVE_STORE_SPARSE_H

#include "daemon/receive/store_file.h"

/* As store_write(), to the places that the map says, with the holes between them in the digest. */
int store_sparse_write(struct store_file *file, const void *data, size_t len,
                       struct xfer_error *err);

/* All that is still missing is a hole. */
int store_sparse_end(struct store_file *file, struct xfer_error *err);

#endif
