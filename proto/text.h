/* SPDX-License-Identifier: MIT
 *
 * File names are bytes. How they get into texts: UTF-8 where they are, base64 in JSON where they
 * are not, escaped on output lines.
 */
#ifndef XFER_PROTO_TEXT_H
#define XFER_PROTO_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Is s[0..len) well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, nothing above
 * U+10FFFF)? */
bool text_is_utf8(const char *s, size_t len);

/* Length of the well-formed UTF-8 sequence (same rules) at the start of s[0..len): 1..4, or 0 when
 * there is none. */
size_t text_utf8_length(const char *s, size_t len);

/* RFC 4648 section 4, with padding. Returns a NUL-terminated string that the caller frees; NULL: no
 * memory. */
char *text_base64_encode(const void *bytes, size_t len);

/* The reverse; strict (alphabet, padding, no white space, no stray bits). out has room for out_size
 * bytes; *out_len is set. Returns 0, or -1 when it is no base64 or does not fit. */
int text_base64_decode(const char *s, size_t len, void *out, size_t out_size, size_t *out_len);

/* A name as one line of output, the way xxhsum prints names: a name with a backslash, LF or CR gets
 * "\\", "\n", "\r" for these, and *escaped tells that the line must begin with a backslash. Bytes
 * are otherwise kept, so that the name can be read back. Returns a string that the caller frees;
 * NULL: no memory. */
char *text_escape_name(const char *name, bool *escaped);

/* The same for a terminal, where also other control characters and invalid UTF-8 become \xHH. For
 * messages, not for data. */
char *text_printable(const char *name);

#endif
