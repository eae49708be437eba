/* SPDX-License-Identifier: MIT
 *
 * See notes.h. Page by page: there may be a million of them.
 */
#include "ctl/notes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/session.h"
#include "proto/text.h"

/* Paths of notes are relative to the source. */
static char *whole_path(const char *source, const char *path)
{
    char *whole = NULL;

    if (!source)
        source = "";
    if (asprintf(&whole, "%s%s%s", source, source[0] && path[0] ? "/" : "", path) < 0)
        return NULL;
    return whole;
}

/* Many texts begin with the file that they are about. */
static bool says_path(const char *message, const char *path)
{
    size_t len = strlen(path);

    return strncmp(message, path, len) == 0 && message[len] == ':';
}

char *note_line(const char *source, const struct control_note *note, bool warning)
{
    char *whole = whole_path(source, note->path ? note->path : "");
    char *path = whole ? text_printable(whole) : NULL;
    char *message = strdup(note->message ? note->message : "");
    char *line = NULL;

    if (path && message) {
        error_clean(message);
        bool said = says_path(message, path);

        if (asprintf(&line, "%s%s%s%s", warning ? "warning: " : "", said ? "" : path,
                     said ? "" : ": ", message) < 0)
            line = NULL;
    }
    free(whole);
    free(path);
    free(message);
    return line;
}

/* ---- pages ---- */

static void print_error(struct output *out, const struct control_note *note)
{
    bool escaped = false;
    char *path = output_name(out, note->path && note->path[0] ? note->path : ".", &escaped);
    char *message = strdup(note->message ? note->message : "");

    if (path && message) {
        error_clean(message);
        output_line(out, "%s%s  %s  %s  %s", escaped ? "\\" : "",
                    note->warning ? "warning" : "error", error_info(note->code)->name, path,
                    message);
    }
    free(path);
    free(message);
}

static void print_plan_entry(struct output *out, const struct control_plan_entry *entry)
{
    bool escaped = false;
    char *path = output_name(out, entry->path && entry->path[0] ? entry->path : ".", &escaped);

    if (path)
        output_line(out, "%s%s  %s  %lld  %s", escaped ? "\\" : "", entry->action, entry->type,
                    (long long)entry->size, path);
    free(path);
}

/* A page is printed; *after becomes the number of its last entry, or 0 when there is no other. */
static int errors_page(struct ctl *ctl, const char *result, int64_t *after, struct xfer_error *err)
{
    struct control_notes notes;

    if (control_notes_parse(result, &notes, err))
        return -1;
    *after = notes.more && notes.n > 0 ? notes.list[notes.n - 1].n : 0;
    for (size_t i = 0; !ctl->json && i < notes.n; i++)
        print_error(ctl->out, &notes.list[i]);
    control_notes_free(&notes);
    return 0;
}

static int plan_page(struct ctl *ctl, const char *result, int64_t *after, struct xfer_error *err)
{
    struct control_plan plan;

    if (control_plan_parse(result, &plan, err))
        return -1;
    *after = plan.more && plan.n > 0 ? plan.list[plan.n - 1].n : 0;
    for (size_t i = 0; !ctl->json && i < plan.n; i++)
        print_plan_entry(ctl->out, &plan.list[i]);
    control_plan_free(&plan);
    return 0;
}

static int print_pages(struct ctl *ctl, struct session *session, enum method_id method, int64_t job,
                       int (*page)(struct ctl *, const char *, int64_t *, struct xfer_error *))
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct control_params params;
    struct control_incoming in;
    int exit_code, rc;

    control_params_init(&params);
    params.job = job;
    do {
        exit_code = ctl_ask(ctl, session, method, &params, true, &in);
        if (exit_code)
            return exit_code;
        rc = page(ctl, in.result, &params.after, &err);
        if (rc == 0 && ctl->json)
            output_text(ctl->out, in.result);
        control_incoming_free(&in);
        if (rc)
            return ctl_fail(ctl, &err);
    } while (params.after > 0 && output_check(ctl->out, &err) == 0);
    return 0;
}

int notes_print_errors(struct ctl *ctl, struct session *session, int64_t job)
{
    return print_pages(ctl, session, METHOD_TRANSFER_ERRORS, job, errors_page);
}

int notes_print_plan(struct ctl *ctl, struct session *session, int64_t job)
{
    return print_pages(ctl, session, METHOD_TRANSFER_PLAN, job, plan_page);
}
