/* SPDX-License-Identifier: MIT
 *
 * The terminal as a whole: taken over, drawn on frame by frame, and given back as it was. A handful
 * of control sequences that every terminal since the VT100 knows, no library.
 */
#ifndef XFER_CTL_SCREEN_H
#define XFER_CTL_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/error.h"

struct screen;

/* Standard output must be a terminal; keys come from standard input where that is one. Nothing is
 * changed yet. interrupt_fd: drawing gives up when it can be read (signals). NULL on error. */
struct screen *screen_create(int interrupt_fd, struct xfer_error *err);
void screen_destroy(struct screen *s); /* NULL is fine; gives the terminal back */

/* Take it over and give it back; each does nothing where that is so already. Keys then come one by
 * one, unseen; those that make signals still do. */
void screen_enter(struct screen *s);
void screen_leave(struct screen *s);

/* At least 1 each. */
void screen_size(const struct screen *s, int *rows, int *cols);

/* Where keys are read, or -1. */
int screen_keys(const struct screen *s);

/* Lines of text, each ended by LF: they must be no longer than the screen and hold no control
 * characters but for colours. The rest of the screen becomes empty. -1: the terminal is gone. */
int screen_draw(struct screen *s, const char *lines, struct xfer_error *err);

#endif
