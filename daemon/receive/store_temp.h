/* SPDX-License-Identifier: MIT
 *
 * Temporaries that have a name. Any worker.
 */
#ifndef XFER_DAEMON_RECEIVE_STORE_TEMP_H
#define XFER_DAEMON_RECEIVE_STORE_TEMP_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/receive/store_impl.h"
#include "daemon/receive/store_path.h"
#include "proto/error.h"

#define STORE_TEMP_NAME_SIZE 96

struct store_temp {
    int at;      /* the directory that it is in: borrowed; -1: there is none */
    bool beside; /* in the target's directory, recorded */
    bool lasts;  /* a partial file: another attempt can go on with it (store_partial.h) */
    char name[STORE_TEMP_NAME_SIZE];
};

/* Can what lies in partial/ be renamed into this directory? */
bool store_temp_reaches(const struct store *store, const struct store_area *area, int dir_fd);

/* A new empty file, mode 0600, for a target in parent: in partial/ where a rename from there can
 * reach parent, else beside the target. Path is the target's, for the record. Returns the
 * descriptor, open for writing; -1 with errno set. */
int store_temp_open(struct store *store, const struct store_area *area,
                    const struct store_parent *parent, const char *path, uint64_t job,
                    uint64_t file, struct store_temp *temp);

/* Give the nameless file fd (O_TMPFILE) such a name. 0; -1 with errno set. */
int store_temp_link(struct store *store, const struct store_area *area, int fd,
                    const struct store_parent *parent, const char *path, uint64_t job,
                    uint64_t file, struct store_temp *temp);

/* Make something else under such a name: make() is called like linkat() and all of these, and says
 * EEXIST to be given another name. 0; -1 with errno set. */
int store_temp_make(struct store *store, const struct store_area *area,
                    const struct store_parent *parent, const char *path, uint64_t job,
                    uint64_t file, int (*make)(int at, const char *name, const void *what),
                    const void *what, struct store_temp *temp);

/* Remove its name, if it has one, and its record. */
void store_temp_remove(const struct store_area *area, struct store_temp *temp);

/* The name is gone (it was renamed): only the record is left to be removed. */
void store_temp_renamed(const struct store_area *area, struct store_temp *temp);

/* The record of a temporary beside its target: made before the file, removed after it. path is the
 * target's. 0; -1 with errno set. */
int store_temp_record(const struct store_area *area, const struct store_temp *temp,
                      const char *path);
void store_temp_unrecord(const struct store_area *area, const struct store_temp *temp);

/* linkat() of a nameless file. -1 with errno set. */
int store_temp_link_as(int fd, int at, const char *name);

/* Which mount a directory is on. */
int store_temp_mount(int fd, struct store_mount *mount);

#endif
