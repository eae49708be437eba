/* SPDX-License-Identifier: MIT
 *
 * Extended attributes and access control lists of what is stored. As whom it is stored, on any
 * worker.
 */
#ifndef XFER_DAEMON_RECEIVE_STORE_ATTRS_H
#define XFER_DAEMON_RECEIVE_STORE_ATTRS_H

#include <stdbool.h>

#include "daemon/receive/store_file.h"

/* Give file->fd (which may be an O_PATH one) those of file->attrs, and take away what else there is
 * of the preserved kinds. owned: it has the owner of the source, without which nothing comes that
 * is as mighty as a set-id bit. What can't be done becomes the file's warning. True when it now has
 * the access list of the source, which has one. */
bool store_attrs_set(struct store_file *file, bool owned);

#endif
