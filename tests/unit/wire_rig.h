/* SPDX-License-Identifier: MIT
 *
 * For the tests of proto/wire: a buffer for messages, and what is done to each of them.
 */
#ifndef XFER_TESTS_UNIT_WIRE_RIG_H
#define XFER_TESTS_UNIT_WIRE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/wire.h"

/* One byte more, for a message that is too long. */
static unsigned char buf[XFER_MESSAGE_MAX + 1];

typedef int decode_any(const void *msg, size_t len);

/* Exact copies on the heap, so that a sanitizer sees every byte read beyond the end. */
static inline void torment(decode_any *decode, size_t len)
{
    for (size_t n = 0; n < len; n++) {
        unsigned char *cut = malloc(n ? n : 1);

        memcpy(cut, buf, n);
        assert_int_equal(decode(cut, n), -1);
        if (n >= 12) { /* the length field made to agree: still too short for what it holds */
            cut[8] = (unsigned char)n;
            cut[9] = (unsigned char)(n >> 8);
            assert_int_equal(decode(cut, n), -1);
        }
        free(cut);
    }
    for (size_t n = 0; n < len; n++) {
        unsigned char *copy = malloc(len);

        for (int bit = 0; bit < 8; bit++) {
            memcpy(copy, buf, len);
            copy[n] ^= (unsigned char)(1 << bit);
            if (n < 16 &&
                decode(copy, len) == 0) /* all of the header but the sequence number is fixed */
                fail_msg("byte %zu changed and still accepted", n);
            (void)decode(copy, len);
        }
        free(copy);
    }
    buf[len] = 0;
    assert_int_equal(decode(buf, len + 1), -1);
}

#endif
