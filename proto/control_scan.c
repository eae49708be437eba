/* SPDX-License-Identifier: MIT
 *
 * The strict look at JSON text that comes before the JSON library: the library takes control
 * characters in strings, leading zeros and text behind the value, cuts strings at an escaped NUL
 * and recurses into what is nested. The scanner keeps what is open on a stack of its own, of fixed
 * size.
 */
#include "proto/control_scan.h"

#include <string.h>

#include "proto/limits.h"
#include "proto/text.h"

struct scan {
    const char *text;
    size_t len, at;
    struct json_facts *facts;
    struct xfer_error *err;
    size_t depth;
    char open[XFER_NESTING_MAX]; /* '{' or '[' */
};

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_space(int c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The byte at the place of the scan; -1 at the end. */
static int look(const struct scan *s)
{
    return s->at < s->len ? (unsigned char)s->text[s->at] : -1;
}

static void skip_space(struct scan *s)
{
    while (is_space(look(s)))
        s->at++;
}

static int wrong(struct scan *s, const char *expected)
{
    int c = look(s);

    if (c == -1)
        return error_set(s->err, XFER_PARSE_ERROR,
                         "not JSON: ends at byte %zu where %s is expected", s->at, expected);
    if (c == 0)
        return error_set(s->err, XFER_PARSE_ERROR, "not JSON: a NUL byte at byte %zu", s->at);
    return error_set(s->err, XFER_PARSE_ERROR, "not JSON: byte %zu is not %s", s->at, expected);
}

/* Four hexadecimal digits at offset at; -1 when they are not there. */
static int hex4(const struct scan *s, size_t at)
{
    int v = 0;

    if (at + 4 > s->len)
        return -1;
    for (size_t i = at; i < at + 4; i++) {
        int c = s->text[i];

        if (is_digit(c))
            v = v * 16 + c - '0';
        else if (c >= 'a' && c <= 'f')
            v = v * 16 + c - 'a' + 10;
        else if (c >= 'A' && c <= 'F')
            v = v * 16 + c - 'A' + 10;
        else
            return -1;
    }
    return v;
}

/* At the backslash of an escape. */
static int scan_escape(struct scan *s)
{
    size_t begin = s->at++;
    int c = look(s);

    if (c != 'u') {
        if (c <= 0 || !strchr("\"\\/bfnrt", c))
            return wrong(s, "an escape");
        s->at++;
        return 0;
    }
    int v = hex4(s, begin + 2);
    if (v == -1)
        return error_set(s->err, XFER_PARSE_ERROR, "not JSON: \\u without four digits at byte %zu",
                         begin);
    s->at = begin + 6;
    if (v == 0)
        s->facts->has_nul = true;
    if (v < 0xd800 || v > 0xdfff)
        return 0;

    bool pair =
        v < 0xdc00 && s->len - s->at >= 6 && s->text[s->at] == '\\' && s->text[s->at + 1] == 'u';
    int low = pair ? hex4(s, s->at + 2) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return error_set(s->err, XFER_PARSE_ERROR, "not JSON: half a surrogate pair at byte %zu",
                         begin);
    s->at += 6;
    return 0;
}

static int scan_string(struct scan *s)
{
    if (look(s) != '"')
        return wrong(s, "a string");
    s->at++;
    for (;;) {
        int c = look(s);

        if (c == '"') {
            s->at++;
            return 0;
        }
        if (c == -1)
            return wrong(s, "the end of a string");
        if (c == '\\') {
            if (scan_escape(s) == -1)
                return -1;
            continue;
        }
        if (c < 0x20)
            return wrong(s, "a character of a string: it needs an escape");

        size_t n = text_utf8_length(s->text + s->at, s->len - s->at);
        if (n == 0)
            return error_set(s->err, XFER_PARSE_ERROR, "not JSON: invalid UTF-8 at byte %zu",
                             s->at);
        s->at += n;
    }
}

static int scan_digits(struct scan *s)
{
    if (!is_digit(look(s)))
        return wrong(s, "a digit");
    while (is_digit(look(s)))
        s->at++;
    return 0;
}

static int scan_number(struct scan *s)
{
    size_t begin = s->at;

    if (look(s) == '-')
        s->at++;
    if (look(s) == '0')
        s->at++;
    else if (scan_digits(s) == -1)
        return -1;
    if (look(s) == '.') {
        s->at++;
        if (scan_digits(s) == -1)
            return -1;
    }
    if (look(s) == 'e' || look(s) == 'E') {
        s->at++;
        if (look(s) == '+' || look(s) == '-')
            s->at++;
        if (scan_digits(s) == -1)
            return -1;
    }
    if (s->at - begin > XFER_NUMBER_MAX)
        return error_set(s->err, XFER_PARSE_ERROR,
                         "the number at byte %zu is longer than %d characters", begin,
                         XFER_NUMBER_MAX);
    return 0;
}

static int scan_literal(struct scan *s, const char *literal)
{
    for (const char *l = literal; *l != '\0'; l++, s->at++)
        if (look(s) != *l)
            return wrong(s, "a value");
    return 0;
}

static int open_level(struct scan *s)
{
    if (s->depth == XFER_NESTING_MAX)
        return error_set(s->err, XFER_PARSE_ERROR, "nested deeper than %d at byte %zu",
                         XFER_NESTING_MAX, s->at);
    s->open[s->depth++] = s->text[s->at++];
    return 0;
}

/* The name of a member and the colon. */
static int scan_name(struct scan *s)
{
    skip_space(s);
    if (look(s) != '"')
        return wrong(s, "the name of a member");
    if (scan_string(s) == -1)
        return -1;
    skip_space(s);
    if (look(s) != ':')
        return wrong(s, "a colon");
    s->at++;
    return 0;
}

/* From the start of a value to its end or, where it is an array or object that is not empty, to the
 * start of the first value in it. */
static int begin_value(struct scan *s, bool *ended)
{
    skip_space(s);
    s->facts->values++;
    *ended = true;

    int c = look(s);
    switch (c) {
    case '{':
    case '[':
        if (open_level(s) == -1)
            return -1;
        skip_space(s);
        if (look(s) == (c == '{' ? '}' : ']')) {
            s->at++;
            s->depth--;
            return 0;
        }
        *ended = false;
        return c == '{' ? scan_name(s) : 0;
    case '"':
        return scan_string(s);
    case 't':
        return scan_literal(s, "true");
    case 'f':
        return scan_literal(s, "false");
    case 'n':
        return scan_literal(s, "null");
    default:
        return is_digit(c) || c == '-' ? scan_number(s) : wrong(s, "a value");
    }
}

/* From the end of a value to the start of the next one. *ended: that was the last, depth is 0. */
static int end_value(struct scan *s, bool *ended)
{
    for (;;) {
        *ended = s->depth == 0;
        if (*ended)
            return 0;
        skip_space(s);

        int c = look(s);
        bool object = s->open[s->depth - 1] == '{';
        if (c == ',') {
            s->at++;
            return object ? scan_name(s) : 0;
        }
        if (c != (object ? '}' : ']'))
            return wrong(s, object ? "a comma or }" : "a comma or ]");
        s->at++;
        s->depth--;
    }
}

int json_scan(const char *text, size_t len, struct json_facts *facts, struct xfer_error *err)
{
    struct scan s = {.text = text, .len = len, .facts = facts, .err = err};
    bool ended = false;

    *facts = (struct json_facts){0};
    while (!ended) {
        if (begin_value(&s, &ended) == -1)
            return -1;
        if (ended && end_value(&s, &ended) == -1)
            return -1;
    }
    skip_space(&s);
    if (s.at != len)
        return wrong(&s, "the end: one value is all that a line holds");
    return 0;
}

void json_mark_nul(char *text, size_t len)
{
    static const char escape[] = "\\u0000";
    const size_t n = sizeof(escape) - 1;

    for (size_t i = 0; i < len;) {
        if (text[i] != '\\') {
            i++;
        } else if (len - i >= n && memcmp(text + i, escape, n) == 0) {
            memset(text + i, JSON_NUL_MARK, n);
            i += n;
        } else {
            i += 2;
        }
    }
}

static void skip_string(struct scan *s)
{
    for (s->at++; s->at < s->len && s->text[s->at] != '"'; s->at++)
        if (s->text[s->at] == '\\')
            s->at++;
    s->at++;
}

static void skip_value(struct scan *s)
{
    size_t depth = 0;

    do {
        int c = look(s);

        if (c == '"') {
            skip_string(s);
        } else {
            if (c == '{' || c == '[')
                depth++;
            else if (c == '}' || c == ']')
                depth--;
            s->at++;
        }
    } while (depth > 0 && s->at < s->len);
    /* What is left of a number or a literal; behind a string or a bracket this takes nothing. */
    while (look(s) != -1 && !is_space(look(s)) && !strchr(",:]}", look(s)))
        s->at++;
}

static struct json_slice take_value(struct scan *s)
{
    skip_space(s);
    size_t begin = s->at;
    skip_value(s);
    return (struct json_slice){.text = s->text + begin, .len = s->at - begin};
}

bool json_member(const char *text, size_t len, const char *name, struct json_slice *value)
{
    struct scan s = {.text = text, .len = len};
    size_t name_len = strlen(name);

    skip_space(&s);
    if (look(&s) != '{')
        return false;
    do {
        s.at++;
        skip_space(&s);
        if (look(&s) != '"')
            return false;
        struct json_slice found = take_value(&s);
        skip_space(&s);
        s.at++; /* the colon */
        *value = take_value(&s);
        if (found.len == name_len + 2 && memcmp(found.text + 1, name, name_len) == 0)
            return true;
        skip_space(&s);
    } while (look(&s) == ',');
    return false;
}

bool json_next_element(const char *text, size_t len, size_t *at, struct json_slice *value)
{
    struct scan s = {.text = text, .len = len, .at = *at};

    skip_space(&s);
    if (look(&s) != (*at == 0 ? '[' : ','))
        return false;
    s.at++;
    skip_space(&s);
    if (look(&s) == ']')
        return false;
    *value = take_value(&s);
    *at = s.at;
    return true;
}
