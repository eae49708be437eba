/* SPDX-License-Identifier: MIT
 *
 * Filter rules and paths as they come. The input is cut at its NULs: the first text is a path,
 * those that follow are rules. A pattern of no more than 12 tokens is also matched by going back
 * and forth, which must find the same.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/filter.h"
#include "proto/wild.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

#define BIT(set, i) ((set)[(i) / WILD_WORD] >> (i) % WILD_WORD & 1)

static bool slowly(const struct wild *wild, size_t token, const char *text)
{
    const uint64_t *stars = wild->sets, *long_stars = wild->sets + wild->words;
    const uint64_t *kind = wild->sets + (2 + wild->kind[(unsigned char)*text]) * wild->words;

    if (token == wild->tokens)
        return *text == '\0';
    if (BIT(stars, token))
        return slowly(wild, token + 1, text) ||
               (*text && (*text != '/' || BIT(long_stars, token)) && slowly(wild, token, text + 1));
    return *text && BIT(kind, token) && slowly(wild, token + 1, text + 1);
}

static void compare(const char *pattern, const char *text)
{
    uint64_t at[WILD_WORDS_MAX] = {0};
    struct wild wild;
    const char *why;

    if (strlen(pattern) >= XFER_PATH_SIZE || wild_parse(&wild, pattern, &why))
        return;
    check(wild.tokens <= strlen(pattern) && wild.words <= WILD_WORDS_MAX);
    if (wild.tokens <= 12 && strlen(text) <= 24) {
        wild_begin(&wild, at);
        for (const char *c = text; *c; c++)
            wild_step(&wild, at, (unsigned char)*c);
        check(wild_is_at_end(&wild, at) == slowly(&wild, 0, text));
    }
    wild_free(&wild);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    const char *rules[16];
    struct xfer_error err;
    struct filter *f;
    size_t n = 0;

    check(text);
    memcpy(text, data, size);
    text[size] = '\0';
    for (const char *at = text + strlen(text) + 1; at < text + size && n < 16;
         at += strlen(at) + 1) {
        rules[n++] = at;
        compare(at, text);
    }
    f = filter_create(rules, n, &err);
    if (f) {
        filter_passes(f, text, false);
        filter_passes(f, text, true);
    } else {
        check(err.code == XFER_INVALID_PARAMS && err.text[0] != '\0');
    }
    filter_destroy(f);
    free(text);
    return 0;
}
