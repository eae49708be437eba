/* SPDX-License-Identifier: MIT
 *
 * The methods that tell of the entries of a job's tree, page by page, as the database has them.
 */
#include <stdlib.h>

#include "daemon/control/handlers_impl.h"
#include "daemon/control/pending.h"
#include "daemon/control/queue_db.h"
#include "proto/control_reply.h"

static const char *type_name(char type)
{
    return type == 'd' ? "directory" : type == 'l' ? "link" : "file";
}

/* The texts stay those of the notes. */
static char *encode_errors(const struct queue_note *notes, size_t n, bool more)
{
    struct control_note *list = calloc(n + 1, sizeof *list);
    char *text = NULL;

    for (size_t i = 0; list && i < n; i++)
        list[i] = (struct control_note){.n = notes[i].n,
                                        .warning = notes[i].kind == TREE_WARNING,
                                        .path = notes[i].path,
                                        .code = notes[i].code,
                                        .side = notes[i].side,
                                        .sys_errno = notes[i].sys_errno,
                                        .message = notes[i].text};
    if (list)
        text = control_notes_encode(&(struct control_notes){.list = list, .n = n, .more = more});
    free(list);
    return text;
}

static char *encode_plan(const struct queue_note *notes, size_t n, bool more)
{
    struct control_plan_entry *list = calloc(n + 1, sizeof *list);
    char *text = NULL;

    for (size_t i = 0; list && i < n; i++)
        list[i] = (struct control_plan_entry){.n = notes[i].n,
                                              .action = (char *)tree_action_name(notes[i].action),
                                              .type = (char *)type_name(notes[i].type),
                                              .path = notes[i].path,
                                              .size = notes[i].size};
    if (list)
        text = control_plan_encode(&(struct control_plan){.list = list, .n = n, .more = more});
    free(list);
    return text;
}

static void give(void *pending, char *text, const struct xfer_error *why)
{
    struct reply *reply;

    if (why) {
        pending_fail(pending, why);
    } else {
        reply = pending_end(pending);
        if (reply)
            reply_result(reply, text);
    }
    free(text);
}

static void on_errors(void *user, const struct queue_note *notes, size_t n, bool more,
                      const struct xfer_error *why)
{
    give(user, why ? NULL : encode_errors(notes, n, more), why);
}

static void on_plan(void *user, const struct queue_note *notes, size_t n, bool more,
                    const struct xfer_error *why)
{
    give(user, why ? NULL : encode_plan(notes, n, more), why);
}

static void tell(struct control *c, struct reply *reply, enum method_id method,
                 const struct control_params *p)
{
    bool plan = method == METHOD_TRANSFER_PLAN;
    struct xfer_error err = XFER_ERROR_INIT;
    struct job *job = handlers_find_job(c, reply, method, p);

    if (!job)
        return;
    int64_t after = p->after, limit = p->limit >= 0 ? p->limit : XFER_NOTES_PAGE;
    struct pending *pending = pending_create(c, reply, job->id, -1);

    if (pending && queue_read_notes(c->queue, job, plan, after, limit, plan ? on_plan : on_errors,
                                    pending, &err) < 0)
        pending_fail(pending, &err);
}

void handle_errors(struct control *c, struct reply *reply, const struct control_params *p)
{
    tell(c, reply, METHOD_TRANSFER_ERRORS, p);
}

void handle_plan(struct control *c, struct reply *reply, const struct control_params *p)
{
    tell(c, reply, METHOD_TRANSFER_PLAN, p);
}
