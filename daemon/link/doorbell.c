/* SPDX-License-Identifier: MIT
 *
 * See doorbell.h. The sockets are reached through /proc/self/fd/N/NAME, so that a long directory
 * name does not run into the 108 bytes of sockaddr_un. The page is a file beside the socket. Owned
 * by the link.
 */
#include "daemon/link/doorbell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PAGE_SUFFIX ".page"

struct page { /* of the side that it tells of */
    atomic_bool asleep;
};

struct doorbell {
    int fd;
    struct page *own, *other;     /* other: NULL before doorbell_connect() */
    char path[XFER_PATH_SIZE];    /* "" once unlinked */
    char own_dir[XFER_PATH_SIZE]; /* made here, to be removed again; else "" */
};

static int split(const char *path, int *dir_fd, const char **name, struct xfer_error *err)
{
    char dir[XFER_PATH_SIZE];
    const char *slash = strrchr(path, '/');

    if (!slash || slash == path || (size_t)(slash - path) >= sizeof(dir))
        return error_set(err, XFER_PROTOCOL, "doorbell: \"%s\" is no usable path", path);
    memcpy(dir, path, (size_t)(slash - path));
    dir[slash - path] = '\0';
    *name = slash + 1;
    *dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*dir_fd < 0)
        return error_set_errno(err, errno, "doorbell: %s", dir);
    return 0;
}

/* bind() or connect() to a path of any length */
static int attach(int fd, const char *path, int (*call)(int, const struct sockaddr *, socklen_t),
                  struct xfer_error *err)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    const char *name;
    int dir_fd, n, rc = 0;

    if (split(path, &dir_fd, &name, err))
        return -1;
    n = snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", dir_fd, name);
    if (n < 0 || (size_t)n >= sizeof(addr.sun_path))
        rc = error_set(err, XFER_PROTOCOL, "doorbell: the name of %s is too long", path);
    else if (call(fd, (struct sockaddr *)&addr, sizeof(addr)))
        rc = error_set_errno(err, errno, "doorbell: %s", path);
    close(dir_fd);
    return rc;
}

static int make_dir(struct doorbell *bell, struct xfer_error *err)
{
    const char *tmp = getenv("TMPDIR");

    if (!tmp || tmp[0] != '/' || strlen(tmp) > XFER_PATH_SIZE / 2)
        tmp = "/tmp";
    snprintf(bell->own_dir, sizeof(bell->own_dir), "%s/xferd-bell-XXXXXX", tmp);
    if (!mkdtemp(bell->own_dir)) {
        error_set_errno(err, errno, "doorbell: %s", bell->own_dir);
        bell->own_dir[0] = '\0';
        return -1;
    }
    return 0;
}

/* The page beside the socket of that path. make: it must not be there; else it must. */
static struct page *map_page(const char *path, bool make, struct xfer_error *err)
{
    char name[XFER_NAME_MAX + 1];
    const char *socket_name;
    struct page *page = MAP_FAILED;
    int dir_fd, fd;

    if (split(path, &dir_fd, &socket_name, err))
        return NULL;
    snprintf(name, sizeof(name), "%s" PAGE_SUFFIX, socket_name);
    fd =
        openat(dir_fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | (make ? O_CREAT | O_EXCL : 0), 0600);
    if (fd >= 0 && (!make || ftruncate(fd, sizeof(*page)) == 0))
        page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        error_set_errno(err, errno, "doorbell: %s" PAGE_SUFFIX, path);
    if (fd >= 0)
        close(fd);
    close(dir_fd);
    return page != MAP_FAILED ? page : NULL;
}

static void unmap_page(struct page *page)
{
    if (page)
        munmap(page, sizeof(*page));
}

struct doorbell *doorbell_create(const char *dir, int rank, struct xfer_error *err)
{
    struct doorbell *bell = calloc(1, sizeof(*bell));
    int n;

    if (!bell) {
        error_set_errno(err, ENOMEM, "doorbell");
        return NULL;
    }
    bell->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bell->fd < 0) {
        error_set_errno(err, errno, "doorbell: socket");
        goto fail;
    }
    if (!dir) {
        if (make_dir(bell, err))
            goto fail;
        dir = bell->own_dir;
    }
    n = snprintf(bell->path, sizeof(bell->path), "%s/bell-%d-%ld", dir, rank, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof(bell->path)) {
        bell->path[0] = '\0';
        error_set(err, XFER_NAME_TOO_LONG, "doorbell: %s is too long", dir);
        goto fail;
    }
    if (attach(bell->fd, bell->path, bind, err)) {
        bell->path[0] = '\0';
        goto fail;
    }
    bell->own = map_page(bell->path, true, err);
    if (!bell->own)
        goto fail;
    return bell;
fail:
    doorbell_destroy(bell);
    return NULL;
}

void doorbell_unlink(struct doorbell *bell)
{
    char page[XFER_PATH_SIZE + sizeof(PAGE_SUFFIX)];

    if (bell->path[0]) {
        unlink(bell->path);
        snprintf(page, sizeof(page), "%s" PAGE_SUFFIX, bell->path);
        unlink(page);
    }
    bell->path[0] = '\0';
    if (bell->own_dir[0])
        rmdir(bell->own_dir);
    bell->own_dir[0] = '\0';
}

void doorbell_destroy(struct doorbell *bell)
{
    int saved = errno;

    if (!bell)
        return;
    doorbell_unlink(bell);
    if (bell->fd >= 0)
        close(bell->fd);
    unmap_page(bell->own);
    unmap_page(bell->other);
    free(bell);
    errno = saved;
}

const char *doorbell_path(const struct doorbell *bell)
{
    return bell->path;
}

int doorbell_connect(struct doorbell *bell, const char *path, struct xfer_error *err)
{
    if (attach(bell->fd, path, connect, err))
        return -1;
    bell->other = map_page(path, false, err);
    return bell->other ? 0 : -1;
}

int doorbell_fd(const struct doorbell *bell)
{
    return bell->fd;
}

void doorbell_ring(struct doorbell *bell)
{
    ssize_t n = send(bell->fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);

    (void)n; /* full: it rings already; refused: the peer is gone, which the supervisor notices */
}

void doorbell_sleep(struct doorbell *bell, bool asleep)
{
    atomic_store(&bell->own->asleep, asleep);
    atomic_thread_fence(memory_order_seq_cst);
}

bool doorbell_wake(struct doorbell *bell)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&bell->other->asleep, memory_order_relaxed) ||
        !atomic_exchange(&bell->other->asleep, false))
        return false;
    doorbell_ring(bell);
    return true;
}

void doorbell_clear(struct doorbell *bell)
{
    char c[8];

    while (recv(bell->fd, c, sizeof(c), MSG_DONTWAIT) >= 0)
        ;
}
