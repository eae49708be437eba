/* SPDX-License-Identifier: MIT
 *
 * Lines that fit. Whatever is no plain visible character becomes a question mark: control
 * characters, bytes that are no UTF-8, and the invisible ones that reorder text or hide in it.
 */
#include "ctl/pen.h"

#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "proto/text.h"

#define COMBINING_MAX 2 /* on top of one character */

/* Direction marks, joiners, invisible operators: what has no width, and a meaning nevertheless. */
static bool is_hidden(wchar_t c)
{
    return c == 0xad || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
           c >= 0xe0000;
}

/* The next character of the text, as it is to be written: its bytes, columns; step: how far to go
 * on. False at the end. combining: how many have come in a row. */
static bool next(const struct pen *p, const char *text, int *combining, const char **bytes,
                 size_t *len, int *width, size_t *step)
{
    size_t n = text_utf8_length(text, strnlen(text, 4));
    mbstate_t state = {0};
    wchar_t c = 0;

    if (!*text)
        return false;
    *step = n ? n : 1;
    *bytes = text;
    *len = *step;
    *width = 1;
    if (n == 1 && *text >= 0x20 && *text != 0x7f) {
        *combining = 0;
        return true;
    }
    if (p->utf8 && n > 1 && mbrtowc(&c, text, n, &state) == n && !is_hidden(c))
        *width = wcwidth(c);
    else
        *width = -1;
    if (*width > 0)
        *combining = 0;
    if (*width == 0 && ++*combining > COMBINING_MAX)
        *len = 0;
    if (*width < 0) {
        *bytes = "?";
        *len = 1;
        *width = 1;
    }
    return true;
}

int pen_width(const struct pen *p, const char *text)
{
    const char *bytes;
    size_t len, step;
    int width, sum = 0, combining = 0;

    for (; next(p, text, &combining, &bytes, &len, &width, &step) && sum < INT_MAX / 2;
         text += step)
        sum += width;
    return sum;
}

/* At most so many columns. */
static void write_cut(struct pen *p, const char *style, const char *text, int most)
{
    const char *bytes;
    size_t len, step;
    int width, combining = 0;
    bool styled = p->color && style && *text;

    if (p->cols > 0 && most > p->cols - p->used)
        most = p->cols - p->used;
    if (styled)
        fprintf(p->to, "\033[%sm", style);
    for (; next(p, text, &combining, &bytes, &len, &width, &step) && width <= most; text += step) {
        fwrite(bytes, 1, len, p->to);
        most -= width;
        p->used += width;
    }
    if (styled)
        fputs("\033[m", p->to);
}

void pen_text(struct pen *p, const char *style, const char *text)
{
    write_cut(p, style, text, INT_MAX);
}

void pen_format(struct pen *p, const char *style, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    if (text)
        pen_text(p, style, text);
    free(text);
}

void pen_to(struct pen *p, int column)
{
    if (p->cols > 0 && column > p->cols)
        column = p->cols;
    for (; p->used < column; p->used++)
        fputc(' ', p->to);
}

void pen_cell(struct pen *p, const char *style, const char *text, int width, bool right)
{
    int begin = p->used, needed = pen_width(p, text);

    if (right && needed < width)
        pen_to(p, begin + width - needed);
    write_cut(p, style, text, width);
    pen_to(p, begin + width);
}

void pen_end(struct pen *p)
{
    fputc('\n', p->to);
    p->used = 0;
}
