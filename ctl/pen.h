/* SPDX-License-Identifier: MIT
 *
 * Writes lines that fit: counts columns, cuts what is too long, and lets no character through that
 * a terminal would obey or that would turn the text around.
 */
#ifndef XFER_CTL_PEN_H
#define XFER_CTL_PEN_H

#include <stdbool.h>
#include <stdio.h>

struct pen {
    FILE *to;
    int cols;   /* 0: no bound */
    int used;   /* of this line */
    bool color; /* styles are heeded */
    bool utf8;  /* other characters than ASCII are let through */
};

/* style: the numbers of an SGR sequence ("31;1"), or NULL. */
void pen_text(struct pen *p, const char *style, const char *text);
void pen_format(struct pen *p, const char *style, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The text in exactly width columns: cut, or filled up with blanks, in front where right is set. */
void pen_cell(struct pen *p, const char *style, const char *text, int width, bool right);
/* Blanks up to that column, counted from 0. */
void pen_to(struct pen *p, int column);
void pen_end(struct pen *p);

/* Columns that the text takes. */
int pen_width(const struct pen *p, const char *text);

#endif
