/* SPDX-License-Identifier: MIT
 *
 * Lines out of a byte stream, cut in place in one buffer. The owner reads into it and takes lines
 * from it; it looks at every byte once, however small the pieces are in which a line comes. Not for
 * use by two threads at once.
 */
#include "proto/lines.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define KEPT_SIZE  (64 * 1024) /* a drained buffer up to this size is kept for the next line */
#define FIRST_SIZE 4096

void lines_init(struct lines *l, size_t max)
{
    *l = (struct lines){.max = max};
}

void lines_free(struct lines *l)
{
    free(l->buf);
    lines_init(l, l->max);
}

size_t lines_pending(const struct lines *l)
{
    return l->end - l->start;
}

static void move_to_front(struct lines *l)
{
    if (l->start == 0)
        return;
    memmove(l->buf, l->buf + l->start, l->end - l->start);
    l->scanned -= l->start;
    l->end -= l->start;
    l->start = 0;
}

char *lines_space(struct lines *l, size_t min, size_t *room)
{
    /* A line of max bytes may have CR and LF besides; whoever has more than that must take lines
     * first. */
    if (lines_pending(l) > l->max + 2)
        return NULL;
    if (l->start == l->end)
        l->start = l->end = l->scanned = 0;
    if (l->size - l->end < min || l->size == 0) {
        move_to_front(l);

        size_t needed = l->end + min;
        if (l->size < needed || l->size == 0) {
            size_t limit = l->max + 2 + min;
            size_t size = l->size == 0 ? FIRST_SIZE : 2 * l->size;

            if (size > limit)
                size = limit;
            if (size < needed)
                size = needed;
            if (size == 0)
                size = 1;
            char *buf = realloc(l->buf, size);
            if (!buf)
                return NULL;
            l->buf = buf;
            l->size = size;
        }
    }
    *room = l->size - l->end;
    return l->buf + l->end;
}

void lines_added(struct lines *l, size_t n)
{
    l->end += n;
}

/* Is what is here without an LF already too long to become a line? One more byte may be the CR that
 * is dropped. */
static bool too_long(const struct lines *l)
{
    size_t n = lines_pending(l);

    return n > l->max + 1 || (n == l->max + 1 && l->buf[l->end - 1] != '\r');
}

int lines_next(struct lines *l, char **line, size_t *len)
{
    char *lf = NULL;

    if (l->end > l->scanned)
        lf = memchr(l->buf + l->scanned, '\n', l->end - l->scanned);
    if (!lf) {
        l->scanned = l->end;
        if (lines_pending(l) == 0 && l->size > KEPT_SIZE)
            lines_free(l);
        return l->buf && too_long(l) ? -1 : 0;
    }

    char *begin = l->buf + l->start;
    size_t n = (size_t)(lf - begin);
    if (n > 0 && begin[n - 1] == '\r')
        n--;
    if (n > l->max) {
        /* Asked again, it must find the same LF again. */
        l->scanned = (size_t)(lf - l->buf);
        return -1;
    }
    begin[n] = '\0';
    l->start = l->scanned = (size_t)(lf - l->buf) + 1;
    *line = begin;
    *len = n;
    return 1;
}
