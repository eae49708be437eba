/* SPDX-License-Identifier: MIT
 *
 * See accounts.h. Only users who have jobs have an account. Sizes are what files say of themselves,
 * up to INT64_MAX each, so sums have 128 bits.
 */
#include "daemon/control/accounts.h"

#include <assert.h>
#include <stdlib.h>

#define BUCKETS 256u

struct account {
    struct account *next;
    uid_t uid;
    int64_t jobs;
    __int128 bytes;
};

struct accounts {
    int64_t jobs_max, bytes_max;
    struct account *buckets[BUCKETS];
};

struct accounts *accounts_create(struct xfer_error *err)
{
    struct accounts *a = calloc(1, sizeof *a);

    if (!a)
        error_set(err, XFER_NO_RESOURCES, "no memory for the users' accounts");
    return a;
}

void accounts_destroy(struct accounts *a)
{
    if (!a)
        return;
    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct account *at = a->buckets[i], *next; at; at = next) {
            next = at->next;
            free(at);
        }
    free(a);
}

void accounts_set_limits(struct accounts *a, int64_t jobs, int64_t bytes)
{
    a->jobs_max = jobs;
    a->bytes_max = bytes;
}

static const struct account *find(const struct accounts *a, uid_t uid)
{
    const struct account *at = a->buckets[uid % BUCKETS];

    while (at && at->uid != uid)
        at = at->next;
    return at;
}

static struct account **place_of(struct accounts *a, uid_t uid)
{
    struct account **at = &a->buckets[uid % BUCKETS];

    while (*at && (*at)->uid != uid)
        at = &(*at)->next;
    return at;
}

int64_t accounts_jobs(const struct accounts *a, uid_t uid)
{
    const struct account *at = find(a, uid);

    return at ? at->jobs : 0;
}

int64_t accounts_bytes(const struct accounts *a, uid_t uid)
{
    const struct account *at = find(a, uid);

    return !at ? 0 : at->bytes > INT64_MAX ? INT64_MAX : (int64_t)at->bytes;
}

int accounts_check(const struct accounts *a, uid_t uid, int64_t bytes, struct xfer_error *err)
{
    const struct account *at = find(a, uid);
    int64_t jobs = at ? at->jobs : 0;
    __int128 all = (at ? at->bytes : 0) + bytes;

    if (a->jobs_max > 0 && jobs >= a->jobs_max) {
        error_set(err, XFER_USER_LIMIT,
                  "uid %u has %lld unfinished job%s, and %lld are allowed (limits.user_jobs)",
                  (unsigned)uid, (long long)jobs, jobs == 1 ? "" : "s", (long long)a->jobs_max);
        err->side = XFER_SIDE_DAEMON;
        return -1;
    }
    /* the size of a file that the user may have no access to is not told */
    if (a->bytes_max > 0 && all > a->bytes_max) {
        error_set(err, XFER_USER_LIMIT,
                  "uid %u has unfinished jobs of %lld bytes together, and with this one they would "
                  "have more than the %lld that are allowed (limits.user_bytes)",
                  (unsigned)uid, (long long)accounts_bytes(a, uid), (long long)a->bytes_max);
        err->side = XFER_SIDE_DAEMON;
        return -1;
    }
    return 0;
}

int accounts_add(struct accounts *a, uid_t uid, int64_t bytes, struct xfer_error *err)
{
    struct account **at = place_of(a, uid);

    if (!*at) {
        *at = calloc(1, sizeof **at);
        if (!*at)
            return error_set(err, XFER_NO_RESOURCES, "no memory for the account of a user");
        (*at)->uid = uid;
    }
    (*at)->jobs++;
    (*at)->bytes += bytes;
    return 0;
}

void accounts_resize(struct accounts *a, uid_t uid, int64_t from, int64_t to)
{
    struct account *at = *place_of(a, uid);

    assert(at && at->bytes >= from);
    at->bytes += (__int128)to - from;
}

void accounts_remove(struct accounts *a, uid_t uid, int64_t bytes)
{
    struct account **place = place_of(a, uid), *at = *place;

    assert(at && at->jobs > 0 && at->bytes >= bytes);
    at->bytes -= bytes;
    if (--at->jobs > 0)
        return;
    *place = at->next;
    free(at);
}
