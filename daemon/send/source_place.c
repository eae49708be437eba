/* SPDX-License-Identifier: MIT
 *
 * See source_place.h. A path may lead anywhere: over symbolic links, /proc/PID/root,
 * /proc/PID/fd/N, into another mount namespace. What counts is where it has led: the kernel tells
 * the path of an open descriptor, and that path is gone along once more, component by component and
 * without following anything. Only when the same inode lies at its end has it been told right: for
 * a file of another mount namespace the kernel tells a path that would be one there.
 */
#include "daemon/send/source_place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#define TRIES 3

/* Those that <linux/magic.h> lacks, or lacks in older versions. */
#define CONFIGFS    0x62656570
#define FUSE_CTL    0x65735543
#define MQUEUE      0x19800202
#define NFSD        0x6e667364
#define RPC_PIPEFS  0x67596969
#define RESCTRL     0x7655821
#define SOCKET_FS   0x534f434b
#define PIPE_FS     0x50495045
#define ANON_INODES 0x09041934
#define NAMESPACES  0x6e736673
#define BPF_FS      0xcafe4a11
#define BINFMT      0x42494e4d
#define SECRET_MEM  0x5345434d
#define PID_FS      0x50494446

int source_place_is_kernels(int fd)
{
    static const unsigned long magics[] = {
        PROC_SUPER_MAGIC,
        SYSFS_MAGIC,
        DEBUGFS_MAGIC,
        TRACEFS_MAGIC,
        SECURITYFS_MAGIC,
        CGROUP_SUPER_MAGIC,
        CGROUP2_SUPER_MAGIC,
        SELINUX_MAGIC,
        SMACK_MAGIC,
        DEVPTS_SUPER_MAGIC,
        EFIVARFS_MAGIC,
        PSTOREFS_MAGIC,
        CONFIGFS,
        FUSE_CTL,
        MQUEUE,
        NFSD,
        RPC_PIPEFS,
        RESCTRL,
        SOCKET_FS,
        PIPE_FS,
        ANON_INODES,
        NAMESPACES,
        BPF_FS,
        BINFMT,
        SECRET_MEM,
        PID_FS,
    };
    struct statfs fs;

    if (fstatfs(fd, &fs))
        return -1;
    for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++)
        if (((unsigned long)fs.f_type & 0xffffffff) == magics[i])
            return 1;
    return 0;
}

bool source_place_beneath(const char *path, const char *directory)
{
    size_t len = strlen(directory);

    while (len > 0 && directory[len - 1] == '/')
        len--;
    return strncmp(path, directory, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* Without what its end is called; an absolute path stays one. */
static size_t cut_last(char *path, size_t len)
{
    while (len > 1 && path[len - 1] != '/')
        len--;
    path[len] = '\0';
    return len;
}

int source_place_nearest(const char *path, struct stat *st)
{
    char at[XFER_PATH_SIZE];
    size_t len = strlen(path);

    if (len == 0 || len >= sizeof at || path[0] != '/')
        return -1;
    memcpy(at, path, len + 1);
    for (;;) {
        int fd;

        while (len > 1 && at[len - 1] == '/')
            at[--len] = '\0';
        if (len == 1 || (lstat(at, st) == 0 && S_ISLNK(st->st_mode)))
            return -1;
        len = cut_last(at, len);
        fd = open(at, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0 && fstat(fd, st) == 0)
            return fd;
        if (fd >= 0)
            close(fd);
    }
}

bool source_place_text(int fd, char real[XFER_PATH_SIZE])
{
    char proc[64];
    ssize_t n;

    snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
    n = readlink(proc, real, XFER_PATH_SIZE);
    if (n >= XFER_PATH_SIZE)
        errno = ENAMETOOLONG;
    if (n <= 0 || n >= XFER_PATH_SIZE)
        n = -1;
    real[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* Along the path without following anything: 1 when it leads to that inode, 0 when to another or
 * nowhere, -1 with errno. */
static int go_along(const char *real, const struct stat *st, source_place_visit *visit, void *user)
{
    int dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), next, saved, rc = -1;
    const char *at = real, *end;
    struct stat now;
    char name[XFER_NAME_MAX + 1];

    if (dir < 0 || fstat(dir, &now))
        goto out;
    visit(user, "", &now, false);
    for (at += strspn(at, "/"); *at; at = end + strspn(end, "/")) {
        end = strchrnul(at, '/');
        if ((size_t)(end - at) >= sizeof name) {
            errno = ENAMETOOLONG;
            goto out;
        }
        memcpy(name, at, (size_t)(end - at));
        name[end - at] = '\0';
        next = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            goto out;
        close(dir);
        dir = next;
        if (fstat(dir, &now))
            goto out;
        visit(user, name, &now, *end == '\0');
    }
    rc = now.st_dev == st->st_dev && now.st_ino == st->st_ino;
out:
    saved = errno;
    if (dir >= 0)
        close(dir);
    errno = saved;
    return rc;
}

static bool is_nowhere(int errnum)
{
    return errnum == ENOENT || errnum == ENOTDIR || errnum == ELOOP || errnum == ENAMETOOLONG;
}

enum source_place_result source_place_find(int fd, const struct stat *st, source_place_visit *visit,
                                           void *user, char real[XFER_PATH_SIZE])
{
    char before[XFER_PATH_SIZE] = "";
    struct stat now;

    for (int i = 0; i < TRIES; i++) {
        int rc;

        if (!source_place_text(fd, real))
            return is_nowhere(errno) ? PLACE_UNREACHABLE : PLACE_FAILED;
        if (real[0] != '/')
            return PLACE_UNREACHABLE;
        if (fstat(fd, &now) == 0 && now.st_nlink == 0)
            return PLACE_GONE;
        rc = go_along(real, st, visit, user);
        if (rc == 1)
            return PLACE_FOUND;
        if (rc < 0 && !is_nowhere(errno))
            return errno == EACCES || errno == EPERM ? PLACE_DENIED : PLACE_FAILED;
        if (i > 0 && strcmp(before, real) == 0)
            return PLACE_UNREACHABLE;
        memcpy(before, real, sizeof before);
    }
    return PLACE_MOVED;
}
