/* SPDX-License-Identifier: MIT
 *
 * A pattern with wildcards: `*` (not '/'), `**` (anything), `?`, `[...]` (neither matches '/'), and
 * `\` before a character that stands for itself. It becomes a row of tokens, one for each
 * character of the text that it matches or for a run of stars, and a text is matched by the set of
 * all places that it may have reached among them, a bit each. So the work is at most the length of
 * the text times that of the pattern (in words of 64), whatever both look like.
 */
#ifndef XFER_PROTO_WILD_H
#define XFER_PROTO_WILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"

#define WILD_WORD      64
#define WILD_WORDS_MAX (XFER_PATH_SIZE / WILD_WORD + 1)

struct wild {
    size_t tokens, words; /* words: of each set of tokens, and of the end */
    uint64_t *sets;       /* NULL: none */
    unsigned char kind[256];
};

/* pattern: less than XFER_PATH_SIZE bytes. -1: why says what is wrong with it; NULL: no memory. */
int wild_parse(struct wild *wild, const char *pattern, const char **why);
void wild_free(struct wild *wild);

/* at: wild->words words, all 0 at first; WILD_WORDS_MAX are enough. The text begins here (too). */
void wild_begin(const struct wild *wild, uint64_t *at);
/* The next character. False: nothing is reached any more. */
bool wild_step(const struct wild *wild, uint64_t *at, unsigned char c);
/* The text ends here: does it match? */
bool wild_is_at_end(const struct wild *wild, const uint64_t *at);

#endif
