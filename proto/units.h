/* SPDX-License-Identifier: MIT
 *
 * Sizes, rates and durations as people write them, on the command line and in the config alike.
 */
#ifndef XFER_PROTO_UNITS_H
#define XFER_PROTO_UNITS_H

#include <stddef.h>
#include <stdint.h>

#include "proto/error.h"

/* Bytes (or bytes a second): digits with an optional fraction, then nothing, K M G T (1024-based)
 * or KB MB GB TB (1000-based). 0 .. XFER_INTEGER_MAX. XFER_USAGE on anything else. */
int units_parse_size(const char *text, int64_t *bytes, struct xfer_error *err);

/* Seconds: a number with optional fraction, then nothing, ms, s, min, h or d. 0 .. 10 years.
 * XFER_USAGE on anything else. */
int units_parse_duration(const char *text, double *seconds, struct xfer_error *err);

/* "1.5 GiB", "512 B": for people. out: at least 16 bytes. */
void units_format_size(int64_t bytes, char *out, size_t out_size);

/* "0.4 s", "1:05", "2:10:00": for people. out: at least 24 bytes. */
void units_format_duration(double seconds, char *out, size_t out_size);

#endif
