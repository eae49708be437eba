/* SPDX-License-Identifier: MIT
 *
 * Makes system calls fail: preloaded into the ranks, it looks up each call that is listed below in
 * a table of rules, in a file that the test maps too (XFER_FAULTS names it; see proof/shim.py,
 * which has the same layout). A rule counts the calls of its kind that are about a path with a
 * certain text in it, and fails the n-th of them, or all from the n-th on; or it sends the process
 * a signal there, and the call is made if that lets it live.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define RULES     4
#define KIND_SIZE 16
#define PATH_SIZE 208

struct rule {
    _Atomic uint32_t armed; /* 0: this rule doesn't count */
    int32_t error;          /* the errno to fail with; negative: the signal to send */
    uint32_t nth;           /* the first call that fails, from 1 */
    uint32_t on;            /* and all that follow */
    uint32_t after;         /* 1 + another rule: counts only once that one has fired; 0: at once */
    _Atomic uint32_t count, fired;
    uint32_t reserved;
    char kind[KIND_SIZE];
    char path[PATH_SIZE]; /* "": any; with $ at its end: at the end of the path */
};

static struct rule *rules;

/* Under sanitizers the first calls come before constructors have run. */
static struct rule *table(void)
{
    static _Atomic int state; /* 0: not looked yet, 1: somebody looks, 2: looked */
    int seen = 0;

    if (atomic_compare_exchange_strong(&state, &seen, 1)) {
        const char *name = getenv("XFER_FAULTS");
        long fd = name != NULL ? syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC) : -1;

        if (fd >= 0) {
            void *map =
                mmap(NULL, RULES * sizeof *rules, PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, 0);

            if (map != MAP_FAILED)
                rules = map;
            syscall(SYS_close, fd);
        }
        atomic_store(&state, 2);
    }
    return atomic_load(&state) == 2 ? rules : NULL;
}

static void fd_path(int fd, char path[PATH_MAX])
{
    char link[64];
    ssize_t n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, PATH_MAX - 1);
    path[n > 0 ? n : 0] = '\0';
}

static void at_path(int at, const char *name, char path[PATH_MAX])
{
    size_t len;

    path[0] = '\0';
    if (name[0] != '/' && at != AT_FDCWD)
        fd_path(at, path);
    len = strlen(path);
    snprintf(path + len, PATH_MAX - len, "/%s", name);
}

static bool applies(const struct rule *rule, const char *kind)
{
    return atomic_load(&rule->armed) != 0 && strcmp(rule->kind, kind) == 0 &&
           (rule->after == 0 || atomic_load(&rules[rule->after - 1].fired) > 0);
}

static bool is_about(const struct rule *rule, const char *path)
{
    size_t len = strlen(rule->path), path_len = strlen(path);

    if (len > 0 && rule->path[len - 1] == '$')
        return path_len >= len - 1 && memcmp(path + path_len - (len - 1), rule->path, len - 1) == 0;
    return strstr(path, rule->path) != NULL;
}

/* name NULL: about the descriptor fd; else a name relative to it. True: errno is set, and the call
 * is not to be made. */
static bool fails(const char *kind, int fd, const char *name)
{
    int saved = errno;

    if (table() == NULL)
        return false;
    for (int i = 0; i < RULES; i++) {
        struct rule *rule = &rules[i];
        char path[PATH_MAX];
        uint32_t count;

        if (!applies(rule, kind))
            continue;
        if (name != NULL)
            at_path(fd, name, path);
        else
            fd_path(fd, path);
        if (!is_about(rule, path))
            continue;
        count = atomic_fetch_add(&rule->count, 1) + 1;
        if (count == rule->nth || (rule->on && count > rule->nth)) {
            atomic_fetch_add(&rule->fired, 1);
            if (rule->error < 0) {
                raise(-rule->error); /* this thread goes no further */
                continue;
            }
            errno = rule->error;
            return true;
        }
    }
    errno = saved;
    return false;
}

#define NEXT(name) ((__typeof__(&name))next(#name))

static void *next(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);

    if (found == NULL)
        abort();
    return found;
}

/* ---- the calls ------------------------------------------------------------------------------ */

/* DESCRIPTOR(call, kind, result, parameters, arguments): of a call about the descriptor fd */
#define DESCRIPTOR(call, kind, result, parameters, arguments) \
    result call parameters                                    \
    {                                                         \
        if (fails(kind, fd, NULL))                            \
            return -1;                                        \
        return NEXT(call) arguments;                          \
    }

DESCRIPTOR(fsync, "fsync", int, (int fd), (fd))
DESCRIPTOR(fdatasync, "fsync", int, (int fd), (fd))
DESCRIPTOR(syncfs, "fsync", int, (int fd), (fd))
DESCRIPTOR(write, "write", ssize_t, (int fd, const void *buf, size_t n), (fd, buf, n))
DESCRIPTOR(pwrite, "write", ssize_t, (int fd, const void *buf, size_t n, off_t at),
           (fd, buf, n, at))
DESCRIPTOR(pwrite64, "write", ssize_t, (int fd, const void *buf, size_t n, off64_t at),
           (fd, buf, n, at))
DESCRIPTOR(writev, "write", ssize_t, (int fd, const struct iovec *iov, int n), (fd, iov, n))
DESCRIPTOR(pread, "read", ssize_t, (int fd, void *buf, size_t n, off_t at), (fd, buf, n, at))
DESCRIPTOR(pread64, "read", ssize_t, (int fd, void *buf, size_t n, off64_t at), (fd, buf, n, at))
DESCRIPTOR(preadv2, "nowait", ssize_t,
           (int fd, const struct iovec *iov, int n, off_t at, int flags), (fd, iov, n, at, flags))
DESCRIPTOR(ftruncate, "ftruncate", int, (int fd, off_t size), (fd, size))
DESCRIPTOR(ftruncate64, "ftruncate", int, (int fd, off64_t size), (fd, size))
DESCRIPTOR(fallocate, "fallocate", int, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n))
DESCRIPTOR(fallocate64, "fallocate", int, (int fd, int mode, off64_t at, off64_t n),
           (fd, mode, at, n))
DESCRIPTOR(fchmod, "fchmod", int, (int fd, mode_t mode), (fd, mode))
DESCRIPTOR(futimens, "futimens", int, (int fd, const struct timespec times[2]), (fd, times))

ssize_t read(int fd, void *buf, size_t n)
{
    if (fails("read", fd, NULL))
        return -1;
    return NEXT(read)(fd, buf, n);
}

/* The name that counts is the one that is made. */
int renameat(int from_at, const char *from, int at, const char *name)
{
    if (fails("rename", at, name))
        return -1;
    return NEXT(renameat)(from_at, from, at, name);
}

int renameat2(int from_at, const char *from, int at, const char *name, unsigned flags)
{
    if (fails("rename", at, name))
        return -1;
    return NEXT(renameat2)(from_at, from, at, name, flags);
}

int rename(const char *from, const char *name)
{
    if (fails("rename", AT_FDCWD, name))
        return -1;
    return NEXT(rename)(from, name);
}

int linkat(int from_at, const char *from, int at, const char *name, int flags)
{
    if (fails("link", at, name))
        return -1;
    return NEXT(linkat)(from_at, from, at, name, flags);
}

int symlinkat(const char *text, int at, const char *name)
{
    if (fails("link", at, name))
        return -1;
    return NEXT(symlinkat)(text, at, name);
}

/* No disk is too full for what is there already. */
int mkdirat(int at, const char *name, mode_t mode)
{
    if (faccessat(at, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && fails("mkdir", at, name))
        return -1;
    return NEXT(mkdirat)(at, name, mode);
}

int utimensat(int at, const char *name, const struct timespec times[2], int flags)
{
    if (fails("futimens", at, name))
        return -1;
    return NEXT(utimensat)(at, name, times, flags);
}

int fstatat(int at, const char *name, struct stat *st, int flags)
{
    if (fails("stat", at, name))
        return -1;
    return NEXT(fstatat)(at, name, st, flags);
}

ssize_t getdents64(int fd, void *buf, size_t n)
{
    if (fails("readdir", fd, NULL))
        return -1;
    return NEXT(getdents64)(fd, buf, n);
}

int unlinkat(int at, const char *name, int flags)
{
    if (fails("unlink", at, name))
        return -1;
    return NEXT(unlinkat)(at, name, flags);
}

int unlink(const char *name)
{
    if (fails("unlink", AT_FDCWD, name))
        return -1;
    return NEXT(unlink)(name);
}

#define OPENAT(call)                                   \
    int call(int at, const char *name, int flags, ...) \
    {                                                  \
        mode_t mode = 0;                               \
        va_list args;                                  \
                                                       \
        va_start(args, flags);                         \
        if ((flags & (O_CREAT | O_TMPFILE)) != 0)      \
            mode = va_arg(args, mode_t);               \
        va_end(args);                                  \
        if (fails("open", at, name))                   \
            return -1;                                 \
        return NEXT(call)(at, name, flags, mode);      \
    }
OPENAT(openat)
OPENAT(openat64)

#define OPEN(call)                                \
    int call(const char *name, int flags, ...)    \
    {                                             \
        mode_t mode = 0;                          \
        va_list args;                             \
                                                  \
        va_start(args, flags);                    \
        if ((flags & (O_CREAT | O_TMPFILE)) != 0) \
            mode = va_arg(args, mode_t);          \
        va_end(args);                             \
        if (fails("open", AT_FDCWD, name))        \
            return -1;                            \
        return NEXT(call)(name, flags, mode);     \
    }
OPEN(open)
OPEN(open64)

/* openat2() has no function of its own. */
long syscall(long number, ...)
{
    long a[6];
    va_list args;

    va_start(args, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    if (number == SYS_openat2 && fails("open", (int)a[0], (const char *)a[1]))
        return -1;
    return NEXT(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
