/* SPDX-License-Identifier: MIT
 *
 * What a file, directory or link has besides its content: owner, group, attributes, mode, times. As
 * whom it is stored, on any worker.
 */
#ifndef XFER_DAEMON_RECEIVE_STORE_META_H
#define XFER_DAEMON_RECEIVE_STORE_META_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/receive/store_file.h"

#define STORE_MODE_AS_IT_IS ((mode_t)-1)

/* Which permission bits a file or a directory gets whose source has sent. owned: owner and group
 * were asked for and are those of the source, without which set-id bits are dropped. What is
 * configured wins. STORE_MODE_AS_IT_IS: of a directory whose mode was not asked for. */
mode_t store_meta_mode(const struct store *store, bool directory, uint32_t preserve, mode_t sent,
                       bool owned);

/* Set on file->fd, which may be an O_PATH one of a symbolic link, what META asked for. What can't
 * be preserved becomes the file's warning; -1 is only for the configured group. */
int store_meta_set(struct store_file *file, struct xfer_error *err);

#endif
