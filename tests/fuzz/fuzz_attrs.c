/* SPDX-License-Identifier: MIT
 *
 * Attributes as they come in ATTRS messages. The first byte says what is preserved; what is taken
 * is read and written again, which must give the same bytes.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/attrs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct attrs_reader reader;
    struct attrs_writer writer;
    struct xfer_error err;
    struct attr attr;

    if (size == 0)
        return 0;
    reader = (struct attrs_reader){.bytes = data + 1, .len = size - 1};
    if (attrs_check(data + 1, size - 1, data[0], &err)) {
        check(err.code == XFER_PROTOCOL && err.text[0] != '\0');
        return 0;
    }
    writer = (struct attrs_writer){.buf = malloc(size - 1), .size = size - 1};
    check(writer.buf);
    while (attrs_next(&reader, &attr)) {
        check(attrs_are_of(attr.name, data[0]));
        check(attrs_put(&writer, attr.name, attr.value, attr.value_len) == 0);
    }
    check(writer.len == size - 1 && memcmp(writer.buf, data + 1, size - 1) == 0);
    free(writer.buf);
    return 0;
}
