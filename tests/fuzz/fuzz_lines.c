/* SPDX-License-Identifier: MIT
 *
 * The cutting of lines, compared with cutting the whole input at once. The first two bytes choose
 * the longest line and the size of the pieces, the rest is the stream.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* The next line of the stream at *at, as it must be: the same results as lines_next(). */
static int expected(const uint8_t *stream, size_t size, size_t *at, size_t max,
                    const uint8_t **line, size_t *len)
{
    const uint8_t *begin = stream + *at;
    const uint8_t *lf = size > *at ? memchr(begin, '\n', size - *at) : NULL;

    *len = lf ? (size_t)(lf - begin) : size - *at;
    if (*len > 0 && begin[*len - 1] == '\r' && (lf || *len == max + 1))
        --*len;
    if (*len > max)
        return -1;
    if (!lf)
        return 0;
    *line = begin;
    *at = (size_t)(lf - stream) + 1;
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lines l;
    size_t taken = 0;

    if (size < 2)
        return 0;
    size_t max = data[0], piece = data[1] % 16 + 1;
    const uint8_t *stream = data + 2;
    size -= 2;

    lines_init(&l, max);
    for (size_t fed = 0; fed < size;) {
        size_t room, n = size - fed < piece ? size - fed : piece;
        char *at = lines_space(&l, n, &room), *line;
        const uint8_t *want = NULL;
        size_t len, want_len;
        int rc;

        check(at && room >= n);
        memcpy(at, stream + fed, n);
        lines_added(&l, n);
        fed += n;
        do {
            rc = lines_next(&l, &line, &len);
            check(rc == expected(stream, fed, &taken, max, &want, &want_len));
            check(rc != 1 ||
                  (len == want_len && memcmp(line, want, len) == 0 && line[len] == '\0'));
        } while (rc == 1);
        if (rc == -1)
            break;
        check(lines_pending(&l) == fed - taken);
        check(l.size <= max + 2 + piece + 4096);
    }
    lines_free(&l);
    return 0;
}
