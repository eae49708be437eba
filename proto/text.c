/* SPDX-License-Identifier: MIT
 *
 * UTF-8, base64 and escaped names: how bytes become text. Pure functions, usable from any thread;
 * returned strings are the caller's to free.
 */
#include "proto/text.h"

#include <stdlib.h>
#include <string.h>

static bool continues(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

size_t text_utf8_length(const char *s, size_t len)
{
    const unsigned char *u = (const unsigned char *)s;

    if (len == 0)
        return 0;
    if (u[0] < 0x80)
        return 1;
    if (u[0] < 0xc2 || u[0] > 0xf4)
        return 0;
    if (u[0] < 0xe0)
        return len >= 2 && continues(u[1]) ? 2 : 0;
    if (u[0] < 0xf0) {
        if (len < 3 || !continues(u[1]) || !continues(u[2]))
            return 0;
        bool overlong = u[0] == 0xe0 && u[1] < 0xa0;
        bool surrogate = u[0] == 0xed && u[1] >= 0xa0;
        return overlong || surrogate ? 0 : 3;
    }
    if (len < 4 || !continues(u[1]) || !continues(u[2]) || !continues(u[3]))
        return 0;
    bool overlong = u[0] == 0xf0 && u[1] < 0x90;
    bool beyond = u[0] == 0xf4 && u[1] >= 0x90;
    return overlong || beyond ? 0 : 4;
}

bool text_is_utf8(const char *s, size_t len)
{
    while (len > 0) {
        size_t n = text_utf8_length(s, len);

        if (n == 0)
            return false;
        s += n;
        len -= n;
    }
    return true;
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *text_base64_encode(const void *bytes, size_t len)
{
    const unsigned char *in = bytes;

    if (len > SIZE_MAX / 2)
        return NULL;
    char *out = malloc((len + 2) / 3 * 4 + 1);
    if (!out)
        return NULL;

    char *o = out;
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        unsigned v = (unsigned)in[i] << 16;

        if (n > 1)
            v |= (unsigned)in[i + 1] << 8;
        if (n > 2)
            v |= in[i + 2];
        *o++ = base64_digits[v >> 18];
        *o++ = base64_digits[v >> 12 & 63];
        *o++ = n > 1 ? base64_digits[v >> 6 & 63] : '=';
        *o++ = n > 2 ? base64_digits[v & 63] : '=';
    }
    *o = '\0';
    return out;
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    if (c == '/')
        return 63;
    return -1;
}

int text_base64_decode(const char *s, size_t len, void *out, size_t out_size, size_t *out_len)
{
    unsigned char *o = out;
    size_t pad = 0;

    if (len % 4 != 0)
        return -1;
    if (len > 0 && s[len - 1] == '=')
        pad = s[len - 2] == '=' ? 2 : 1;

    size_t n = len / 4 * 3 - pad;
    if (n > out_size)
        return -1;

    size_t digits = len - pad, done = 0;
    unsigned v = 0;
    for (size_t i = 0; i < digits; i++) {
        int d = base64_value(s[i]);

        if (d < 0)
            return -1;
        v = v << 6 | (unsigned)d;
        if (i % 4 != 0)
            o[done++] = (unsigned char)(v >> (6 - 2 * (i % 4)));
        if (i % 4 == 3)
            v = 0;
    }
    /* The last digit before padding begins one byte more than there is; its bits must say nothing.
     */
    if (pad != 0 && (v & (pad == 1 ? 3u : 15u)) != 0)
        return -1;
    *out_len = done;
    return 0;
}

/* LF, CR and the backslash itself are written as two characters wherever names are escaped. */
static char escape_letter(char c)
{
    switch (c) {
    case '\\':
        return '\\';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    default:
        return '\0';
    }
}

char *text_escape_name(const char *name, bool *escaped)
{
    size_t extra = 0;

    for (const char *s = name; *s != '\0'; s++)
        if (escape_letter(*s) != '\0')
            extra++;
    char *out = malloc(strlen(name) + extra + 1);
    if (!out)
        return NULL;
    if (escaped)
        *escaped = extra > 0;

    char *o = out;
    for (const char *s = name; *s != '\0'; s++) {
        char letter = escape_letter(*s);

        if (letter != '\0') {
            *o++ = '\\';
            *o++ = letter;
        } else {
            *o++ = *s;
        }
    }
    *o = '\0';
    return out;
}

/* C0, DEL and the two-byte C1 controls, which some terminals obey like their escape sequences. */
static bool is_control(const unsigned char *s, size_t n)
{
    return (n == 1 && (s[0] < 0x20 || s[0] == 0x7f)) || (n == 2 && s[0] == 0xc2 && s[1] < 0xa0);
}

char *text_printable(const char *name)
{
    static const char hex[] = "0123456789abcdef";
    size_t len = strlen(name);

    if (len > SIZE_MAX / 4 - 1)
        return NULL;
    char *out = malloc(4 * len + 1);
    if (!out)
        return NULL;

    char *o = out;
    for (size_t i = 0; i < len;) {
        size_t n = text_utf8_length(name + i, len - i);
        char letter = escape_letter(name[i]);

        if (letter != '\0') {
            *o++ = '\\';
            *o++ = letter;
            i++;
        } else if (n == 0 || is_control((const unsigned char *)name + i, n)) {
            for (size_t k = 0; k < (n == 0 ? 1 : n); k++, i++) {
                unsigned char c = (unsigned char)name[i];

                *o++ = '\\';
                *o++ = 'x';
                *o++ = hex[c >> 4];
                *o++ = hex[c & 15];
            }
        } else {
            memcpy(o, name + i, n);
            o += n;
            i += n;
        }
    }
    *o = '\0';
    return out;
}
