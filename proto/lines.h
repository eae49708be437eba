/* SPDX-License-Identifier: MIT
 *
 * A byte stream cut into lines at LF (one CR before it is dropped), with a bound on the length of a
 * line. Used on both ends of the control socket. Does no I/O itself.
 */
#ifndef XFER_PROTO_LINES_H
#define XFER_PROTO_LINES_H

#include <stddef.h>

struct lines {
    char *buf;
    size_t start, end, scanned,
        size;   /* [start,end) is unread; no LF before scanned; size allocated */
    size_t max; /* longest line, LF not counted */
};

/* max: as above. Allocates nothing yet. lines_free() makes it empty again. */
void lines_init(struct lines *l, size_t max);
void lines_free(struct lines *l);

/* Room for at least min bytes to read into: *room tells how many there are. NULL: no memory, or
 * more than max + 2 bytes are pending: call lines_next() until it gives no more before asking for
 * room. So the buffer never grows beyond max + min + a little; it shrinks again when it is drained.
 * Call lines_added() with what was really read. */
char *lines_space(struct lines *l, size_t min, size_t *room);
void lines_added(struct lines *l, size_t n);

/* The next whole line: 1 and *line (NUL-terminated in place, valid until the next call of
 * lines_next() or lines_space()), its length in *len (may hold NUL bytes: compare with strlen); 0
 * when there is none yet; -1 when the line is longer than max. */
int lines_next(struct lines *l, char **line, size_t *len);

/* Bytes held that are not yet a whole line. */
size_t lines_pending(const struct lines *l);

#endif
