/* SPDX-License-Identifier: MIT
 *
 * Partial files that outlive their attempt, so that the next one goes on with them. They lie where
 * temporaries lie, under the name QUEUE-JOB-FILE: the queue in hex, the other two decimal. Whoever
 * has one open holds a flock() on it; nobody else writes or removes it meanwhile. Any worker.
 */
#ifndef XFER_DAEMON_RECEIVE_STORE_PARTIAL_H
#define XFER_DAEMON_RECEIVE_STORE_PARTIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/receive/store_impl.h"
#include "daemon/receive/store_path.h"
#include "daemon/receive/store_temp.h"

#define STORE_PARTIAL_NAME_SIZE 80

struct store_partial {
    char queue[2 * XFER_QUEUE_ID_SIZE + 1];
    uint64_t job, file;
    bool tree; /* it is no file's, but says when the job's tree was begun (store_tree.h) */
};

/* The name of such a one. */
void store_partial_tree(const char *queue, uint64_t job, char name[STORE_PARTIAL_NAME_SIZE]);

/* Is this such a name? Exactly one name leads to each struct. */
bool store_partial_parse(const char *name, struct store_partial *partial);

/* The one of this file where it would be made for a target in parent. Returns the descriptor, open
 * for reading and writing, locked; -1 with errno set: ENOENT, EWOULDBLOCK when somebody has it
 * open. What lies there and isn't ours alone is removed. */
int store_partial_find(struct store *store, const struct store_area *area,
                       const struct store_parent *parent, const char *path, uint64_t job,
                       uint64_t file, struct store_temp *temp);

/* A new empty one, mode 0600, in the place of an old one. As store_partial_find(); path is the
 * target's, for the record. */
int store_partial_create(struct store *store, const struct store_area *area,
                         const struct store_parent *parent, const char *path, uint64_t job,
                         uint64_t file, struct store_temp *temp);

/* Remove what has this name, in both places, unless somebody has it open. True: nothing has it any
 * more. */
bool store_partial_remove(struct store *store, const struct store_area *area, const char *name);

/* The same for the one of this file. */
bool store_partial_drop(struct store *store, const struct store_area *area, uint64_t job,
                        uint64_t file);

/* Where does the temporary lie that the record beside/NAME is about? */
enum store_beside {
    BESIDE_FOUND,  /* in that directory: parent is open */
    BESIDE_GONE,   /* nowhere: the directory isn't there, or this is no record */
    BESIDE_UNKNOWN /* it can't be reached now, perhaps later */
};
enum store_beside store_partial_beside(struct store *store, const struct store_area *area,
                                       const char *name, struct store_parent *parent);

#endif
