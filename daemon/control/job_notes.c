/* SPDX-License-Identifier: MIT
 *
 * See job_notes.h. The arrays have room for all from the beginning: who has an error often has a
 * hundred.
 */
#include "daemon/control/job_notes.h"

#include <stdlib.h>
#include <string.h>

void job_notes_free(struct job_notes *notes)
{
    if (!notes)
        return;
    control_notes_free(&notes->errors);
    control_notes_free(&notes->warnings);
    free(notes);
}

static void append(struct control_notes *list, const struct control_note *note)
{
    struct control_note copy = *note;

    if (list->n >= XFER_NOTES_SHOWN)
        return;
    if (!list->list && !(list->list = calloc(XFER_NOTES_SHOWN, sizeof *list->list)))
        return;
    copy.path = strdup(note->path);
    copy.message = strdup(note->message);
    if (copy.path && copy.message) {
        list->list[list->n++] = copy;
        return;
    }
    free(copy.path);
    free(copy.message);
}

void job_notes_add(struct job_notes **notes, const struct control_note *note)
{
    if (!*notes && !(*notes = calloc(1, sizeof **notes)))
        return;
    append(note->warning ? &(*notes)->warnings : &(*notes)->errors, note);
}
