/* SPDX-License-Identifier: MIT
 *
 * Follows jobs to their ends: submits them where they are yet to be, cancels or retries them where
 * that is asked, waits, shows progress, prints each when its turn has come, and survives restarts
 * of the daemon meanwhile. send, wait, watch, cancel and retry are all made of it.
 */
#ifndef XFER_CTL_FOLLOW_H
#define XFER_CTL_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/ctl.h"

enum follow_step {
    FOLLOW_SUBMIT,     /* to be submitted */
    FOLLOW_SUBMITTED,  /* the reply is awaited */
    FOLLOW_CANCEL,     /* to be cancelled */
    FOLLOW_CANCELLING, /* the reply is awaited */
    FOLLOW_LOOK,       /* does it hang on a file that is to be handed over? To be asked */
    FOLLOW_LOOKING,    /* the reply is awaited */
    FOLLOW_RETRY,      /* to be started again */
    FOLLOW_RETRYING,   /* the reply is awaited */
    FOLLOW_WAIT,       /* its end is to be waited for */
    FOLLOW_WAITING,    /* the reply is awaited */
    FOLLOW_ENDED       /* has an object or an error, and an exit code */
};

#define FOLLOW_KEY_SIZE (XFER_KEY_MAX + 1)

struct follow_item {
    char *source; /* absolute path; NULL for a job that is named by its number. Owned. */
    char key[FOLLOW_KEY_SIZE]; /* of its submit, which may so be repeated */
    int64_t job;               /* 0: not yet known */
    enum follow_step step;
    uint64_t sent_at;         /* where its submit begins among the bytes of the connection */
    char *json;               /* the job object as it came, but for "existing"; NULL: none */
    struct xfer_error *error; /* why there is no object */
    char *error_text;         /* the same as the daemon sent it, or NULL */
    int exit_code;
    bool handle;          /* the job hangs on a file that was handed over */
    char *hand;           /* retry: path of the file to be handed over, or NULL. Owned. */
    bool known;           /* the daemon has told of this job */
    bool answered;        /* its submit was, at the first time of asking */
    bool existing;        /* and that answer said that the job was there before */
    bool unanswered;      /* the connection broke after a request for it had left, which may have
                             been carried out */
    enum job_state state; /* as last heard */
    int64_t bytes_done, bytes_total;
    int64_t files_ended, files_total; /* of a tree: its entries */
    bool walking;                     /* these totals still grow */
    double rate;
    char told[48]; /* watch: state and phase that were told last */
};

enum follow_purpose {
    FOLLOW_FOR_RESULT, /* send, wait: print each job as it has ended */
    FOLLOW_FOR_ID,     /* send --no-wait: print each job as it is queued */
    FOLLOW_FOR_CANCEL, /* cancel: print failures alone */
    FOLLOW_FOR_RETRY,  /* retry: the same, without waiting for the end */
    FOLLOW_FOR_EVENTS  /* watch: print what happens */
};

struct follow_options {
    enum follow_purpose purpose;
    const struct control_params
        *submit; /* what the submits have in common: source and key are filled in */
    bool list;   /* each is submitted with a copy of list_fd, a list of files; the caller's */
    int list_fd;
    bool fail_fast;
    bool cancel_on_interrupt;
};

/* Run until all items have ended, or until the time is over, a signal comes or the daemon stays
 * away. Returns the exit code. The items are the caller's. */
int follow_run(struct ctl *ctl, const struct follow_options *options, struct follow_item *items,
               size_t n);

/* Items for jobs that are named by numbers: NULL after telling why and setting *exit_code. */
struct follow_item *follow_items_of_jobs(struct ctl *ctl, const struct arguments *args,
                                         enum follow_step step, int *exit_code);
void follow_items_free(struct follow_item *items, size_t n); /* NULL is fine */

#endif
