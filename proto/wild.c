/* SPDX-License-Identifier: MIT
 *
 * See wild.h. Characters that the same tokens match are of one kind; for each kind there is the set
 * of the tokens that match it, as bits.
 */
#include "proto/wild.h"

#include <stdlib.h>
#include <string.h>

#define WORD WILD_WORD

/* The sets. */
enum { STARS, LONG_STARS, FIRST_KIND };

static uint64_t *set_of(const struct wild *wild, size_t which)
{
    return wild->sets + which * wild->words;
}

static void put(uint64_t *set, size_t i)
{
    set[i / WORD] |= UINT64_C(1) << i % WORD;
}

/* ---- a set of characters ---- */

struct characters {
    uint64_t bits[4];
};

static bool has(const struct characters *set, unsigned char c)
{
    return set->bits[c / WORD] >> c % WORD & 1;
}

static bool between(int c, int first, int last)
{
    return c >= first && c <= last;
}

/* In ASCII, whatever the locale says: both sides must agree. */
static bool is_of_class(const char *name, int c)
{
    bool lower = between(c, 'a', 'z'), upper = between(c, 'A', 'Z'), digit = between(c, '0', '9');
    bool graph = between(c, 0x21, 0x7e), alnum = lower || upper || digit;
    const struct {
        const char *name;
        bool holds;
    } classes[] = {
        {"alnum", alnum},
        {"alpha", lower || upper},
        {"blank", c == ' ' || c == '\t'},
        {"cntrl", c < 0x20 || c == 0x7f},
        {"digit", digit},
        {"graph", graph},
        {"lower", lower},
        {"print", graph || c == ' '},
        {"punct", graph && !alnum},
        {"space", c == ' ' || between(c, '\t', '\r')},
        {"upper", upper},
        {"xdigit", digit || between(c, 'a', 'f') || between(c, 'A', 'F')},
    };

    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (strcmp(name, classes[i].name) == 0)
            return classes[i].holds;
    return false;
}

static bool is_class(const char *name)
{
    static const char *const samples = "a0 \t!\x01";

    for (const char *c = samples; *c; c++)
        if (is_of_class(name, *c))
            return true;
    return is_of_class(name, 'A');
}

/* at: behind "[:" in a set. The length of the name and of the ":]" behind it; 0: this is no class.
 */
static size_t class_name(const char *at, char name[8])
{
    size_t len = strcspn(at, "]");

    if (at[len] == '\0' || len < 1 || at[len - 1] != ':')
        return 0;
    len--;
    memcpy(name, at, len < 7 ? len : 7);
    name[len < 7 ? len : 7] = '\0';
    return len + 2;
}

/* One character of a set, or the end of a range. NULL: the pattern ends. */
static const char *read_member(const char *p, unsigned char *c)
{
    if (*p == '\\')
        p++;
    *c = (unsigned char)*p;
    return *p ? p + 1 : NULL;
}

/* p: behind '['. Behind the ']' that ends it; NULL: what is wrong with it is in why. */
static const char *parse_set(const char *p, struct characters *set, const char **why)
{
    bool negated = *p == '!' || *p == '^', first = true;
    unsigned char c, before = 0; /* what a range may begin with */
    char name[8];

    *why = "has a '[' without ']'";
    memset(set, 0, sizeof *set);
    for (p += negated; *p != ']' || first; first = false) {
        size_t len = p[0] == '[' && p[1] == ':' ? class_name(p + 2, name) : 0;

        if (*p == '-' && before && p[1] && p[1] != ']') {
            p = read_member(p + 1, &c);
            if (!p)
                return NULL;
            for (unsigned i = before; i <= c; i++)
                put(set->bits, i);
            before = 0;
        } else if (len > 0) {
            *why = "has a class of characters that is not known";
            if (!is_class(name))
                return NULL;
            *why = "has a '[' without ']'";
            for (int i = 0; i < 256; i++)
                if (is_of_class(name, i))
                    put(set->bits, (size_t)i);
            p += 2 + len;
            before = 0;
        } else {
            p = read_member(p, &before);
            if (!p)
                return NULL;
            put(set->bits, before);
        }
    }
    for (size_t i = 0; negated && i < 4; i++)
        set->bits[i] = ~set->bits[i];
    set->bits['/' / WORD] &= ~(UINT64_C(1) << '/' % WORD);
    return p + 1;
}

/* ---- tokens ---- */

struct token {
    enum { CHARACTERS, STAR, LONG_STAR } type;
    struct characters set;
};

/* Room for one each byte of the pattern. How many; -1: what is wrong is in why. */
static int parse_tokens(const char *p, struct token *tokens, const char **why)
{
    int n = 0;

    while (*p) {
        struct token *t = &tokens[n++];

        memset(t, 0, sizeof *t);
        if (*p == '*') {
            size_t stars = strspn(p, "*");

            t->type = stars > 1 ? LONG_STAR : STAR;
            p += stars;
        } else if (*p == '?') {
            memset(&t->set, 0xff, sizeof t->set);
            t->set.bits['/' / WORD] &= ~(UINT64_C(1) << '/' % WORD);
            p++;
        } else if (*p == '[') {
            p = parse_set(p + 1, &t->set, why);
            if (!p)
                return -1;
        } else {
            p += *p == '\\';
            *why = "ends in a '\\' that escapes nothing";
            if (!*p)
                return -1;
            put(t->set.bits, (unsigned char)*p++);
        }
    }
    return n;
}

/* False: no memory. */
static bool make_sets(struct wild *wild, const struct token *tokens, size_t n)
{
    uint64_t *fitting;
    size_t kinds = 0;

    wild->tokens = n;
    wild->words = n / WORD + 1;
    wild->sets = calloc((FIRST_KIND + 256) * wild->words, sizeof *wild->sets);
    if (!wild->sets)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (tokens[i].type != CHARACTERS)
            put(set_of(wild, STARS), i);
        if (tokens[i].type == LONG_STAR)
            put(set_of(wild, LONG_STARS), i);
    }
    for (unsigned c = 0; c < 256; c++) {
        uint64_t *set = set_of(wild, FIRST_KIND + kinds);
        size_t kind = 0;

        memset(set, 0, wild->words * sizeof *set);
        for (size_t i = 0; i < n; i++)
            if (tokens[i].type == CHARACTERS && has(&tokens[i].set, (unsigned char)c))
                put(set, i);
        while (memcmp(set_of(wild, FIRST_KIND + kind), set, wild->words * sizeof *set) != 0)
            kind++;
        wild->kind[c] = (unsigned char)kind;
        kinds += kind == kinds;
    }
    fitting = realloc(wild->sets, (FIRST_KIND + kinds) * wild->words * sizeof *fitting);
    if (fitting)
        wild->sets = fitting;
    return true;
}

int wild_parse(struct wild *wild, const char *pattern, const char **why)
{
    struct token *tokens = malloc((strlen(pattern) + 1) * sizeof *tokens);
    int n;

    *why = NULL;
    if (!tokens)
        return -1;
    n = parse_tokens(pattern, tokens, why);
    if (n >= 0) {
        *why = NULL;
        n = make_sets(wild, tokens, (size_t)n) ? 0 : -1;
    }
    free(tokens);
    return n;
}

void wild_free(struct wild *wild)
{
    free(wild->sets);
    wild->sets = NULL;
}

/* ---- matching ---- */

/* The places that it may have reached, and, past every star, those behind it: a star matches the
 * empty text, too. No two stars are neighbours. */
static void pass_stars(const struct wild *wild, uint64_t *at)
{
    const uint64_t *stars = set_of(wild, STARS);
    uint64_t carry = 0;

    for (size_t i = 0; i < wild->words; i++) {
        uint64_t over = at[i] & stars[i];

        at[i] |= over << 1 | carry;
        carry = over >> (WORD - 1);
    }
}

bool wild_step(const struct wild *wild, uint64_t *at, unsigned char c)
{
    const uint64_t *stay = set_of(wild, c == '/' ? LONG_STARS : STARS);
    const uint64_t *go = set_of(wild, FIRST_KIND + wild->kind[c]);
    uint64_t carry = 0, any = 0;

    for (size_t i = 0; i < wild->words; i++) {
        uint64_t over = at[i] & go[i];

        at[i] = (at[i] & stay[i]) | over << 1 | carry;
        carry = over >> (WORD - 1);
        any |= at[i];
    }
    if (any)
        pass_stars(wild, at);
    return any != 0;
}

void wild_begin(const struct wild *wild, uint64_t *at)
{
    at[0] |= 1;
    pass_stars(wild, at);
}

bool wild_is_at_end(const struct wild *wild, const uint64_t *at)
{
    return at[wild->tokens / WORD] >> wild->tokens % WORD & 1;
}
