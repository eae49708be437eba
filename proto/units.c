/* SPDX-License-Identifier: MIT
 *
 * Sizes and durations, read and written digit by digit: the same in every locale, exact where that
 * can be had. Pure functions.
 */
#include "proto/units.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "proto/limits.h"

#define FRACTION_DIGITS 18

/* A decimal number: whole + fraction / scale. */
struct decimal {
    uint64_t whole;
    uint64_t fraction, scale;
    bool zero; /* no digit but 0 was there */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads DIGITS[.DIGITS] at *text and leaves *text behind it; false when there is none. What is
 * beyond max is only known to be beyond it (and fits all the same): units tell how much it is. */
static bool read_decimal(const char **text, uint64_t max, struct decimal *d)
{
    const char *s = *text;

    *d = (struct decimal){.scale = 1, .zero = true};
    if (!is_digit(*s))
        return false;
    for (; is_digit(*s); s++) {
        if (d->whole <= max)
            d->whole = d->whole * 10 + (uint64_t)(*s - '0');
        d->zero = d->zero && *s == '0';
    }
    if (*s == '.') {
        s++;
        if (!is_digit(*s))
            return false;
        for (int n = 0; is_digit(*s); s++, n++) {
            d->zero = d->zero && *s == '0';
            if (n < FRACTION_DIGITS) {
                d->fraction = d->fraction * 10 + (uint64_t)(*s - '0');
                d->scale *= 10;
            }
        }
    }
    *text = s;
    return true;
}

int units_parse_size(const char *text, int64_t *bytes, struct xfer_error *err)
{
    static const struct {
        const char *name;
        uint64_t factor;
    } suffixes[] = {
        {"", 1},
        {"K", UINT64_C(1) << 10},
        {"M", UINT64_C(1) << 20},
        {"G", UINT64_C(1) << 30},
        {"T", UINT64_C(1) << 40},
        {"KB", UINT64_C(1000)},
        {"MB", UINT64_C(1000000)},
        {"GB", UINT64_C(1000000000)},
        {"TB", UINT64_C(1000000000000)},
    };
    const char *rest = text;
    struct decimal d;

    if (!read_decimal(&rest, (uint64_t)XFER_INTEGER_MAX, &d))
        return error_set(
            err, XFER_USAGE,
            "\"%.64s\" is no size: a number, then nothing, K, M, G, T, KB, MB, GB or TB", text);
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
        if (strcmp(rest, suffixes[i].name) != 0)
            continue;

        unsigned __int128 n = (unsigned __int128)d.whole * suffixes[i].factor +
                              (unsigned __int128)d.fraction * suffixes[i].factor / d.scale;
        if (n > (unsigned __int128)XFER_INTEGER_MAX)
            return error_set(err, XFER_USAGE, "\"%.64s\" is too large for a size", text);
        /* 0 means "no cap" for rates: less than a byte must not become that. */
        if (n == 0 && !d.zero)
            return error_set(err, XFER_USAGE, "\"%.64s\" is less than one byte", text);
        *bytes = (int64_t)n;
        return 0;
    }
    return error_set(err, XFER_USAGE,
                     "\"%.64s\" is no size: the unit may be K, M, G, T, KB, MB, GB or TB", text);
}

int units_parse_duration(const char *text, double *seconds, struct xfer_error *err)
{
    static const struct {
        const char *name;
        double factor;
    } suffixes[] = {{"", 1}, {"ms", 0.001}, {"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}};
    const char *rest = text;
    struct decimal d;

    if (!read_decimal(&rest, (uint64_t)XFER_SECONDS_MAX * 1000, &d))
        return error_set(err, XFER_USAGE,
                         "\"%.64s\" is no duration: a number, then nothing, ms, s, min, h or d",
                         text);
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
        if (strcmp(rest, suffixes[i].name) != 0)
            continue;

        double v = ((double)d.whole + (double)d.fraction / (double)d.scale) * suffixes[i].factor;
        if (v > (double)XFER_SECONDS_MAX)
            return error_set(err, XFER_USAGE, "\"%.64s\" is longer than ten years", text);
        *seconds = v;
        return 0;
    }
    return error_set(err, XFER_USAGE,
                     "\"%.64s\" is no duration: the unit may be ms, s, min, h or d", text);
}

void units_format_size(int64_t bytes, char *out, size_t out_size)
{
    static const char *const names[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;

    if (bytes < 0) {
        snprintf(out, out_size, "?");
        return;
    }
    if (bytes < 1024) {
        snprintf(out, out_size, "%" PRId64 " B", bytes);
        return;
    }
    /* In tenths of the unit, rounded: 1023.96 KiB is 1.0 MiB. */
    unsigned __int128 size = (unsigned __int128)bytes * 10;
    unsigned __int128 factor = 1024;
    while ((size + factor / 2) / factor >= 10240) {
        factor *= 1024;
        unit++;
    }
    uint64_t tenths = (uint64_t)((size + factor / 2) / factor);
    snprintf(out, out_size, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10, tenths % 10, names[unit]);
}

void units_format_duration(double seconds, char *out, size_t out_size)
{
    if (!isfinite(seconds) || seconds < 0 || seconds > (double)XFER_INTEGER_MAX) {
        snprintf(out, out_size, "?");
        return;
    }
    if (seconds < 59.95) {
        unsigned tenths = (unsigned)(seconds * 10 + 0.5);

        snprintf(out, out_size, "%u.%u s", tenths / 10, tenths % 10);
        return;
    }
    uint64_t s = (uint64_t)(seconds + 0.5);
    if (s < 3600)
        snprintf(out, out_size, "%" PRIu64 ":%02" PRIu64, s / 60, s % 60);
    else
        snprintf(out, out_size, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600, s / 60 % 60,
                 s % 60);
}
