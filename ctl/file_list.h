/* SPDX-License-Identifier: MIT
 *
 * A list of files out of a file or of standard input, as the daemon takes it.
 */
#ifndef XFER_CTL_FILE_LIST_H
#define XFER_CTL_FILE_LIST_H

#include "proto/error.h"

/* name: a file, or "-" for standard input. Returns a descriptor, the caller's, of a nameless file
 * with the paths, each ended by a NUL. Where the list has no NUL its lines are the paths, empty
 * ones left out. -1: it can't be read, is a directory, empty, or longer than XFER_FILES_LIST_MAX.
 */
int file_list_open(const char *name, struct xfer_error *err);

#endif
