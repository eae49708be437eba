/* SPDX-License-Identifier: MIT
 *
 * See filter.h. As in rsync a pattern without wildcards is compared as it is, backslashes too, and
 * what decides where a pattern may begin is the text of the pattern: its slashes and "**" count
 * wherever they stand.
 */
#include "proto/filter.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/wild.h"

enum where {
    WHOLE,        /* the path from its beginning */
    LAST,         /* its last components, as many as the pattern has */
    ANY_COMPONENT /* from the beginning of any component on, to the end */
};

struct rule {
    bool send;
    bool directories; /* only these match */
    enum where where;
    unsigned components; /* of LAST */
    bool slash_before;   /* the path is matched as if a '/' stood before it, */
    bool slash_after;    /* that of a directory as if one stood behind it */
    char *literal;       /* it has no wildcards: this text. Else: */
    struct wild wild;
};

struct filter {
    atomic_uint shares;
    size_t n;
    struct rule rules[];
};

/* ---- rules ---- */

static bool begins_with_word(const char *rule, const char *word)
{
    size_t len = strlen(word);

    return strncmp(rule, word, len) == 0 && (rule[len] < 'a' || rule[len] > 'z');
}

/* Those of rsync that are none here, so that nobody takes them for patterns. */
static const char *name_of_other(const char *rule)
{
    static const char *const words[] = {"clear",   "merge", "dir-merge", "hide",   "show",
                                        "protect", "risk",  "include",   "exclude"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (begins_with_word(rule, words[i]))
            return words[i];
    switch (rule[0]) {
    case '!':
        return "clear (!)";
    case '.':
        return "merge (.)";
    case ':':
        return "dir-merge (:)";
    case 'H':
        return "hide (H)";
    case 'S':
        return "show (S)";
    case 'P':
        return "protect (P)";
    case 'R':
        return "risk (R)";
    default:
        return NULL;
    }
}

static int refuse(const char *rule, const char *why, struct xfer_error *err)
{
    return error_set(err, XFER_INVALID_PARAMS, "filter rule \"%.200s\": %s", rule, why);
}

static int refuse_other(const char *rule, struct xfer_error *err)
{
    const char *other = name_of_other(rule);

    if (rule[0] == '+' || rule[0] == '-')
        return refuse(rule, "a space must follow the sign: modifiers are not supported", err);
    if (!other)
        return refuse(rule, "is neither \"+ PATTERN\" nor \"- PATTERN\"", err);
    return error_set(err, XFER_INVALID_PARAMS,
                     "filter rule \"%.200s\": rules of the kind %s are not supported, only "
                     "\"+ PATTERN\" and \"- PATTERN\"",
                     rule, other);
}

static unsigned count(const char *text, char c)
{
    unsigned n = 0;

    for (; *text; text++)
        n += *text == c;
    return n;
}

/* Where it may begin, as its text says. */
static void place(struct rule *rule, const char *pattern, bool wild)
{
    unsigned slashes = count(pattern, '/');
    const char *stars = wild ? strstr(pattern, "**") : NULL;
    size_t len = strlen(pattern);

    rule->slash_before = stars == pattern;
    rule->slash_after = stars && len >= 3 && strcmp(pattern + len - 3, "***") == 0;
    rule->components = slashes + 1;
    if (pattern[0] == '/' || stars == pattern)
        rule->where = WHOLE;
    else
        rule->where = stars ? ANY_COMPONENT : LAST;
}

/* pattern: without the '/' that says that it is about directories. */
static int compile(struct rule *rule, const char *whole, char *pattern, struct xfer_error *err)
{
    bool wild = strpbrk(pattern, "*[?") != NULL;
    const char *why;

    place(rule, pattern, wild);
    if (pattern[0] == '/')
        pattern++;
    if (!wild) {
        rule->literal = strdup(pattern);
        return rule->literal ? 0 : error_set_errno(err, ENOMEM, "filter rules");
    }
    if (wild_parse(&rule->wild, pattern, &why) == 0)
        return 0;
    return why ? refuse(whole, why, err) : error_set_errno(err, ENOMEM, "filter rules");
}

static int parse_rule(struct rule *rule, const char *text, struct xfer_error *err)
{
    char pattern[XFER_PATH_SIZE];
    size_t len;

    if ((text[0] != '+' && text[0] != '-') || (text[1] != ' ' && text[1] != '\0'))
        return refuse_other(text, err);
    len = text[1] ? strlen(text + 2) : 0;
    if (len == 0 || strcmp(text + 2, "/") == 0)
        return refuse(text, "has no pattern", err);
    if (len >= sizeof pattern)
        return error_set(err, XFER_INVALID_PARAMS,
                         "filter rule \"%.200s...\": has a pattern of %zu bytes, at most %zu are "
                         "possible",
                         text, len, sizeof pattern - 1);
    memcpy(pattern, text + 2, len + 1);
    rule->send = text[0] == '+';
    rule->directories = pattern[len - 1] == '/';
    if (rule->directories)
        pattern[len - 1] = '\0';
    return compile(rule, text, pattern, err);
}

struct filter *filter_create(const char *const *rules, size_t n, struct xfer_error *err)
{
    struct filter *f;
    size_t size = 0;

    if (n > XFER_FILTER_RULES_MAX) {
        error_set(err, XFER_INVALID_PARAMS, "%zu filter rules, at most %d are possible", n,
                  XFER_FILTER_RULES_MAX);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        size += strlen(rules[i]);
    if (size > XFER_FILTER_SIZE) {
        error_set(err, XFER_INVALID_PARAMS,
                  "filter rules of %zu bytes together, at most %d are possible", size,
                  XFER_FILTER_SIZE);
        return NULL;
    }
    f = calloc(1, sizeof *f + n * sizeof f->rules[0]);
    if (!f) {
        error_set_errno(err, ENOMEM, "filter rules");
        return NULL;
    }
    atomic_init(&f->shares, 1);
    for (; f->n < n; f->n++) {
        if (parse_rule(&f->rules[f->n], rules[f->n], err)) {
            filter_destroy(f);
            return NULL;
        }
    }
    return f;
}

struct filter *filter_share(const struct filter *f)
{
    struct filter *shared = (struct filter *)f; /* but for the count it never changes */

    if (shared)
        atomic_fetch_add(&shared->shares, 1);
    return shared;
}

void filter_destroy(struct filter *f)
{
    if (!f || atomic_fetch_sub(&f->shares, 1) > 1)
        return;
    for (size_t i = 0; i < f->n; i++) {
        free(f->rules[i].literal);
        wild_free(&f->rules[i].wild);
    }
    free(f);
}

static bool matches_wild(const struct rule *rule, const char *path, bool is_directory)
{
    uint64_t at[WILD_WORDS_MAX];
    bool alive = true;

    memset(at, 0, rule->wild.words * sizeof *at);
    wild_begin(&rule->wild, at);
    if (rule->slash_before)
        alive = wild_step(&rule->wild, at, '/');
    for (const char *c = path; *c && (alive || rule->where == ANY_COMPONENT); c++) {
        if (alive)
            alive = wild_step(&rule->wild, at, (unsigned char)*c);
        if (*c == '/' && rule->where == ANY_COMPONENT) {
            wild_begin(&rule->wild, at);
            alive = true;
        }
    }
    if (alive && is_directory && rule->slash_after)
        wild_step(&rule->wild, at, '/');
    return wild_is_at_end(&rule->wild, at);
}

/* The last n components; NULL: there are less. */
static const char *last_components(const char *path, unsigned n)
{
    const char *at = path + strlen(path);

    for (; at > path; at--)
        if (at[-1] == '/' && --n == 0)
            return at;
    return n == 1 ? path : NULL;
}

static bool matches(const struct rule *rule, const char *path, bool is_directory)
{
    if (rule->directories && !is_directory)
        return false;
    if (rule->where == LAST)
        path = last_components(path, rule->components);
    if (!path)
        return false;
    return rule->literal ? strcmp(rule->literal, path) == 0
                         : matches_wild(rule, path, is_directory);
}

bool filter_passes(const struct filter *f, const char *path, bool is_directory)
{
    for (size_t i = 0; f && i < f->n; i++)
        if (matches(&f->rules[i], path, is_directory))
            return f->rules[i].send;
    return true;
}
