/* SPDX-License-Identifier: MIT
 *
 * What was wrong with single entries of a tree, and what a dry run would do, as lines for people;
 * and all of them, from the daemon.
 */
#ifndef XFER_CTL_NOTES_H
#define XFER_CTL_NOTES_H

#include "ctl/ctl.h"

/* "PATH: why", without control characters, for stderr. The caller frees; NULL: no memory. */
char *note_line(const char *source, const struct control_note *note, bool warning);

/* Print all that transfer.errors, or transfer.plan, tells of the job: data on stdout, one a line;
 * with --json a page a line. Returns the exit code; a failure was told. */
int notes_print_errors(struct ctl *ctl, struct session *session, int64_t job);
int notes_print_plan(struct ctl *ctl, struct session *session, int64_t job);

#endif
