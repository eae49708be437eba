/* SPDX-License-Identifier: MIT
 *
 * The parts of store_look(). On a worker, as whom it is looked.
 */
#ifndef XFER_DAEMON_RECEIVE_STORE_LOOK_IMPL_H
#define XFER_DAEMON_RECEIVE_STORE_LOOK_IMPL_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include "daemon/receive/store_impl.h"
#include "daemon/receive/store_path.h"
#include "daemon/work/identity.h"
#include "proto/wire.h"

struct looking {
    struct store *store;
    const struct wire_look *look;
    struct wire_looked *looked;
    struct identity *who;
    struct store_parent base;
    bool missing; /* base isn't there */
    bool began;   /* it is known when the job began: */
    struct timespec began_at;
    uid_t uid; /* as whom we look */
};

/* What is said of a regular file or a symbolic link where the same is to go. st: of what is there.
 */
enum wire_looked_result store_look_at_file(const struct looking *l, const struct wire_look_entry *e,
                                           const struct stat *st);
enum wire_looked_result store_look_at_link(const struct looking *l, const struct wire_look_entry *e,
                                           const struct stat *st);

#endif
