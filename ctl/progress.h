/* SPDX-License-Identifier: MIT
 *
 * The progress bar: one line on stderr, redrawn in place at most ten times a second, only ever on a
 * terminal.
 */
#ifndef XFER_CTL_PROGRESS_H
#define XFER_CTL_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress;

struct progress_state {
    int64_t bytes_done, bytes_total;
    double rate;               /* bytes a second; 0: not known */
    size_t jobs_done, jobs;    /* shown when jobs is more than 1 */
    int64_t files_done, files; /* shown when there are more than jobs */
    bool growing;              /* bytes_total and files: so far */
};

struct progress *progress_create(void);    /* NULL: no memory */
void progress_destroy(struct progress *p); /* NULL is fine; takes the bar away */

/* All of these do nothing when p is NULL. */
void progress_update(struct progress *p, const struct progress_state *state);
void progress_redraw(struct progress *p); /* the terminal has another size */
void progress_clear(struct progress *p);  /* until the next update */

/* The text of the bar for a terminal of that width, without control characters. Returns its length.
 */
size_t progress_format(const struct progress_state *state, size_t width, char *out, size_t size);

#endif
