/* SPDX-License-Identifier: MIT
 *
 * What the methods work with: the parts of the control service, put together by server.c.
 */
#ifndef XFER_DAEMON_CONTROL_CONTROL_H
#define XFER_DAEMON_CONTROL_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <ev.h>

#include "daemon/control/clients.h"
#include "daemon/control/events.h"
#include "daemon/control/handles.h"
#include "daemon/control/list.h"
#include "daemon/control/lists.h"
#include "daemon/control/pinger.h"
#include "daemon/control/queue.h"
#include "daemon/control/reloader.h"
#include "daemon/control/scheduler.h"
#include "daemon/control/sizer.h"
#include "daemon/link/link.h"
#include "daemon/send/sender.h"
#include "proto/control_reply.h"
#include "proto/limits.h"

struct control {
    struct ev_loop *loop;
    struct link *link;              /* NULL: no peer */
    char host[XFER_HOST_SIZE];      /* own name */
    char peer_host[XFER_HOST_SIZE]; /* whom jobs wait for while there is no link */
    unsigned char boot_id[XFER_QUEUE_ID_SIZE];
    int64_t finished_kept;        /* as configured */
    int64_t retries;              /* of jobs whose request says nothing of them */
    struct control_limits limits; /* as configured: of the bandwidth the queue may know better */
    struct sender *sender;        /* NULL: no peer */
    int64_t generation;
    bool as_owner;  /* jobs are done with the rights of their owners */
    double started; /* monotonic */
    bool stopping;

    struct queue *queue;
    struct sizer *sizer;
    struct scheduler *scheduler;
    struct events *events;
    struct clients *clients;
    struct handles *handles;
    struct lists *lists;
    struct pinger *pinger;
    struct reloader *reloader;

    struct list answers; /* jobs that have ended and whose replies are to be given */
    ev_timer answers_turn;
    struct list pendings; /* what the database was asked for by requests */
    struct list drains;   /* replies that are given when no job is left */

    int64_t ended[JOB_STATE_COUNT]; /* since the start */
    int64_t sent_bytes, sent_files; /* of jobs that were one file */
};

#endif
