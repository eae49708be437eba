/* SPDX-License-Identifier: MIT
 *
 * See backoff.h. What was of use is started again at once for as long as there are tokens; they
 * come back with the time in which it was of use. What never was, or dies too often, waits: twice
 * as long each time, until it has lived for a while.
 */
#include "daemon/backoff.h"

#define TOKENS            10.0
#define SECONDS_PER_TOKEN 2.0 /* a start takes about 0.3 s of a core */
#define DELAY_FIRST       0.25
#define DELAY_MAX         30.0
#define STABLE_SECONDS    30.0

void backoff_init(struct backoff *b)
{
    *b = (struct backoff){.delay = 0, .tokens = TOKENS};
}

double backoff_next(struct backoff *b, double lived)
{
    if (lived > 0)
        b->tokens += lived / SECONDS_PER_TOKEN;
    if (b->tokens > TOKENS)
        b->tokens = TOKENS;
    if (lived >= STABLE_SECONDS)
        b->delay = 0;
    if (lived >= 0 && b->tokens >= 1) {
        b->tokens -= 1;
        return 0;
    }
    b->delay = b->delay > 0 ? 2 * b->delay : DELAY_FIRST;
    if (b->delay > DELAY_MAX)
        b->delay = DELAY_MAX;
    return b->delay;
}
