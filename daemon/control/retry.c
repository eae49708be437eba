/* SPDX-License-Identifier: MIT
 *
 * See retry.h.
 */
#include "daemon/control/retry.h"

#define JITTER 0.25

enum retry_kind retry_kind(enum xfer_code code)
{
    if (code == XFER_PEER_DOWN || code == XFER_STOPPING)
        return RETRY_FREE;
    return error_info(code)->retryable ? RETRY_COUNTED : RETRY_NEVER;
}

double retry_delay(const struct retry_policy *policy, int64_t failures, double random)
{
    double delay = policy->delay;

    while (--failures > 0 && delay > 0 && delay < policy->delay_max)
        delay *= 2;
    if (delay > policy->delay_max)
        delay = policy->delay_max;
    return delay * (1 - JITTER + 2 * JITTER * random);
}

double retry_longest(const struct retry_policy *policy)
{
    return policy->delay_max * (1 + JITTER);
}
