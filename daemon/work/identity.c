/* SPDX-License-Identifier: MIT
 *
 * See identity.h. In Linux every thread has its own credentials. The C library's setgroups() and
 * its like change those of all threads, so the system call is made directly; setfsuid() and
 * setfsgid() have no such extra. Neither of these two tells of failure: each call is followed by
 * one that can't succeed and returns what holds now.
 *
 * Order: the groups first, while this still may; the user last. The way back is the other way
 * round. CAP_SETUID and CAP_SETGID are no file system capabilities and stay in effect throughout,
 * which is what lets a thread come back; nothing but the calls of this file makes use of them.
 *
 * What a thread is at present is kept in a variable of that thread: it only says what the kernel
 * knows as well.
 */
#include "daemon/work/identity.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "daemon/log.h"
#include "proto/limits.h"

#ifdef SYS_setgroups32
#define SET_GROUPS SYS_setgroups32
#else
#define SET_GROUPS SYS_setgroups
#endif

#define BACK_TRIES    200 /* of what only fails for want of memory */
#define BACK_PAUSE_NS 10000000L

struct identity {
    uid_t uid;
    gid_t gid;
    int n;
    gid_t groups[];
};

struct capabilities {
    uint64_t effective, permitted, inheritable;
};

#define CAP(n) (UINT64_C(1) << (n))

static const struct needed {
    unsigned number;
    const char *name;
} needed[] = {{CAP_CHOWN, "CAP_CHOWN"},
              {CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE"},
              {CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"},
              {CAP_FOWNER, "CAP_FOWNER"},
              {CAP_FSETID, "CAP_FSETID"},
              {CAP_SETGID, "CAP_SETGID"},
              {CAP_SETUID, "CAP_SETUID"}};
#define NEEDED (sizeof needed / sizeof needed[0])

static struct identity *own;                         /* set once, by identity_prepare() */
static _Thread_local const struct identity *current; /* NULL: the daemon */

struct identity *identity_create(uid_t uid, gid_t gid, const gid_t *groups, int n,
                                 struct xfer_error *err)
{
    struct identity *who = malloc(sizeof *who + (size_t)n * sizeof *groups);

    if (who == NULL) {
        error_set(err, XFER_NO_RESOURCES, "no memory for the groups of uid %u", (unsigned)uid);
        return NULL;
    }
    who->uid = uid;
    who->gid = gid;
    who->n = n;
    if (n > 0)
        memcpy(who->groups, groups, (size_t)n * sizeof *groups);
    return who;
}

void identity_destroy(struct identity *who)
{
    free(who);
}

uid_t identity_uid(const struct identity *who)
{
    return who->uid;
}

gid_t identity_gid(const struct identity *who)
{
    return who->gid;
}

const gid_t *identity_groups(const struct identity *who, int *n)
{
    *n = who->n;
    return who->groups;
}

/* ---- at the start ---- */

static int get_capabilities(struct capabilities *caps)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};

    if (syscall(SYS_capget, &header, data) != 0)
        return -1;
    caps->effective = data[0].effective | (uint64_t)data[1].effective << 32;
    caps->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    caps->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
    return 0;
}

static int set_capabilities(const struct capabilities *caps)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)caps->effective,
         .permitted = (uint32_t)caps->permitted,
         .inheritable = (uint32_t)caps->inheritable},
        {.effective = (uint32_t)(caps->effective >> 32),
         .permitted = (uint32_t)(caps->permitted >> 32),
         .inheritable = (uint32_t)(caps->inheritable >> 32)},
    };

    return (int)syscall(SYS_capset, &header, data);
}

static uint64_t all_needed(void)
{
    uint64_t all = 0;

    for (size_t i = 0; i < NEEDED; i++)
        all |= CAP(needed[i].number);
    return all;
}

int identity_check(struct xfer_error *err)
{
    struct capabilities caps;
    int bits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);

    if (geteuid() != 0)
        return error_set(err, XFER_CONFIG, "needs a daemon that is root: this one is uid %u",
                         (unsigned)geteuid());
    if (get_capabilities(&caps) != 0) {
        error_set_errno(err, errno, "capabilities");
        err->code = XFER_CONFIG;
        return -1;
    }
    for (size_t i = 0; i < NEEDED; i++)
        if ((caps.permitted & CAP(needed[i].number)) == 0)
            return error_set(err, XFER_CONFIG,
                             "needs %s, which this process may not have (see "
                             "xferd.conf(5) for all that it needs)",
                             needed[i].name);
    /* then a user would keep root's capabilities */
    if (bits < 0 || (bits & SECBIT_NO_SETUID_FIXUP) != 0)
        return error_set(err, XFER_CONFIG,
                         "the securebit no-setuid-fixup is set, with which a "
                         "change of the user changes no rights");
    return 0;
}

static void drop_bounding_set(uint64_t keep)
{
    for (unsigned cap = 0; cap < 64; cap++)
        if ((keep & CAP(cap)) == 0 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1)
            prctl(PR_CAPBSET_DROP, cap, 0, 0, 0); /* without CAP_SETPCAP it stays: it counts only
                                                     for programs, and none is started */
}

static int remember_own(struct xfer_error *err)
{
    int n = getgroups(0, NULL);
    gid_t *groups = n >= 0 ? malloc((size_t)(n + 1) * sizeof *groups) : NULL;

    if (groups == NULL || getgroups(n, groups) != n) {
        error_set_errno(err, errno, "the daemon's own groups");
        free(groups);
        return -1;
    }
    if (own == NULL)
        own = identity_create(geteuid(), getegid(), groups, n, err);
    free(groups);
    return own != NULL ? 0 : -1;
}

/* ---- in a worker ---- */

static bool set_user(uid_t uid)
{
    setfsuid(uid);
    return (uid_t)setfsuid((uid_t)-1) == uid;
}

static bool set_group(gid_t gid)
{
    setfsgid(gid);
    return (gid_t)setfsgid((gid_t)-1) == gid;
}

static bool set_groups(const struct identity *who)
{
    return syscall(SET_GROUPS, (size_t)who->n, who->groups) == 0;
}

static bool try_back(void)
{
    return set_user(own->uid) && set_group(own->gid) && set_groups(own);
}

/* To go on as a user where the daemon is meant, or the other way round, would be worse than to end:
 * what is on disk is such that the next generation goes on. */
static void broken(const char *what)
{
    log_error("a worker can't %s: ending at once", what);
    abort();
}

static void go_back(void)
{
    const struct timespec pause = {0, BACK_PAUSE_NS};

    for (int i = 0; !try_back(); i++) {
        if (i == BACK_TRIES)
            broken("take back the daemon's identity");
        nanosleep(&pause, NULL);
    }
    current = NULL;
}

int identity_assume(const struct identity *who, struct xfer_error *err)
{
    int errnum;

    if (who == NULL)
        return 0;
    if (own == NULL || current != NULL)
        return error_set(err, XFER_INTERNAL, "identity of uid %u out of turn", (unsigned)who->uid);
    if (set_groups(who)) {
        errno = EPERM; /* the other two say nothing */
        if (set_group(who->gid) && set_user(who->uid)) {
            current = who;
            return 0;
        }
        errnum = errno;
        go_back();
    } else {
        errnum = errno;
    }
    error_set_errno(err, errnum, "can't act as uid %u", (unsigned)who->uid);
    if (err->code != XFER_NO_RESOURCES)
        err->code = XFER_PERMISSION_DENIED;
    return -1;
}

void identity_drop(void)
{
    if (current != NULL)
        go_back();
}

const struct identity *identity_pause(void)
{
    const struct identity *who = current;

    identity_drop();
    return who;
}

void identity_resume(const struct identity *who)
{
    struct xfer_error err;

    if (identity_assume(who, &err) != 0)
        broken("take on again the identity that it had");
}

bool identity_is_assumed(void)
{
    return current != NULL;
}

uid_t identity_now(void)
{
    return current != NULL ? current->uid : geteuid();
}

/* ---- the start, once more ---- */

struct trial {
    bool succeeded;
    struct xfer_error error;
};

static void *try_somebody(void *arg)
{
    struct trial *trial = arg;
    const struct identity nobody = {.uid = 65534, .gid = 65534};

    /* the way back first */
    errno = EPERM;
    if (!try_back()) {
        error_set_errno(&trial->error, errno, "the daemon's own identity");
        return NULL;
    }
    trial->succeeded = identity_assume(&nobody, &trial->error) == 0;
    identity_drop();
    return NULL;
}

/* Filters of system calls may forbid it to root, too. In a thread that ends with it: whoever has
 * been somebody else gets no signal when its parent dies. */
static int try_out(struct xfer_error *err)
{
    struct trial trial = {.succeeded = false};
    pthread_t thread;
    int rc = pthread_create(&thread, NULL, try_somebody, &trial);

    if (rc != 0)
        return error_set_errno(err, rc, "a thread to try it out");
    pthread_join(thread, NULL);
    if (trial.succeeded)
        return 0;
    return error_set(err, XFER_CONFIG,
                     "this process may not take on the identity of a user (setgroups, setfsgid, "
                     "setfsuid; a filter of system calls, or a user namespace?): %s",
                     trial.error.text);
}

int identity_prepare(struct xfer_error *err)
{
    struct capabilities caps = {.effective = all_needed(), .permitted = all_needed()}, now;

    if (identity_check(err) != 0 || remember_own(err) != 0)
        return -1;
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    drop_bounding_set(all_needed());
    /* where there is nothing to give up the call may be forbidden */
    if ((get_capabilities(&now) != 0 || memcmp(&now, &caps, sizeof caps) != 0) &&
        set_capabilities(&caps) != 0) {
        error_set_errno(err, errno, "capabilities can't be given up");
        err->code = XFER_CONFIG;
        return -1;
    }
    return try_out(err);
}
