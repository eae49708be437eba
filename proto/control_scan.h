/* SPDX-License-Identifier: MIT
 *
 * JSON text looked at before anything is built from it: is it exactly one JSON value (RFC 8259),
 * well-formed down to UTF-8 and surrogate pairs, not nested too deeply? And parts of a good text,
 * found without building anything. No recursion, one pass, nothing allocated.
 */
#ifndef XFER_PROTO_CONTROL_SCAN_H
#define XFER_PROTO_CONTROL_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/error.h"

struct json_facts {
    size_t values; /* how many there are: numbers, strings, literals, arrays, objects; names of
                      members not counted */
    bool has_nul;  /* some string or name holds the escape of the NUL character */
};

/* XFER_PARSE_ERROR says what is wrong and where (bytes from 0). */
int json_scan(const char *text, size_t len, struct json_facts *facts, struct xfer_error *err);

/* The functions below are for texts that json_scan() found good. */

/* Write the bytes JSON_NUL_MARK, which no good text holds, over every escape of NUL, so that it
 * can't go unnoticed in the strings that a parser makes of this text. */
#define JSON_NUL_MARK '\xff'
void json_mark_nul(char *text, size_t len);

struct json_slice {
    const char *text;
    size_t len;
};

/* The value of the first member of that name (written without escapes) of the object text[0..len);
 * false when there is none or the text is no object. */
bool json_member(const char *text, size_t len, const char *name, struct json_slice *value);

/* The elements of the array text[0..len) one after the other: *at is 0 at first. False at the end,
 * or when it is no array. */
bool json_next_element(const char *text, size_t len, size_t *at, struct json_slice *value);

#endif
