/* SPDX-License-Identifier: MIT
 *
 * The life of the receiving root: made, opened, locked, swept; its free space. Main thread of the
 * receiving rank, but for store_space() and store_rest().
 *
 * The lock is a flock() on ROOT/.xfer/lock, held until the process ends however it ends. A new
 * generation waits for it before it removes what the former left: until then all that is the
 * other's.
 */
#include "daemon/receive/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/receive/store_as.h"
#include "daemon/receive/store_dir.h"
#include "daemon/receive/store_impl.h"
#include "daemon/receive/store_path.h"
#include "daemon/receive/store_sweep.h"
#include "daemon/receive/store_temp.h"
#include "daemon/receive/store_user.h"

#define READ_DIR     (O_RDONLY | O_DIRECTORY | O_CLOEXEC)
#define LOCK_POLL_NS 10000000L
#define LOCK_TELL    1.0 /* seconds; a former generation is gone by then */

static int fail(struct xfer_error *err, const char *path, const char *what)
{
    error_set_errno(err, errno, "receiving root: can't %s %s", what, path);
    return error_about(err, XFER_SIDE_RECEIVER, path);
}

/* The new entry of a directory that was just made must last as long as what is stored in it. */
static void sync_above(const char *path, size_t len)
{
    char dir[XFER_PATH_SIZE] = "/";
    int fd;

    if (len > 0)
        memcpy(dir, path, len);
    dir[len > 0 ? len : 1] = '\0';
    fd = open(dir, READ_DIR);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

/* The root may contain symbolic links: who configures it is trusted. */
static int make_root(const struct store_options *options, bool *made, struct xfer_error *err)
{
    char path[XFER_PATH_SIZE];
    size_t len = strlen(options->root), i;

    *made = false;
    if (options->root[0] != '/' || len >= sizeof path) {
        error_set(err, XFER_CONFIG, "receiving root must be an absolute path of less than %d bytes",
                  XFER_PATH_SIZE);
        return error_about(err, XFER_SIDE_RECEIVER, options->root);
    }
    memcpy(path, options->root, len + 1);
    while (len > 1 && path[len - 1] == '/')
        path[--len] = '\0';
    for (i = 1; i <= len; i++) {
        char end = path[i];

        if (end != '/' && end != '\0')
            continue;
        path[i] = '\0';
        if (mkdir(path, 0700) == 0) {
            size_t above = i;

            while (above > 0 && path[above] != '/')
                above--;
            sync_above(path, above);
            *made = i == len;
        } else if (errno != EEXIST && errno != EISDIR) {
            int saved = errno;
            struct stat st;

            /* some file systems refuse before they look */
            if (stat(path, &st) != 0) {
                errno = saved;
                return fail(err, path, "make directory");
            }
        }
        path[i] = end;
    }
    return 0;
}

static int open_root(struct store *store, const struct store_options *options,
                     struct xfer_error *err)
{
    char resolved[PATH_MAX];
    bool made;

    if (make_root(options, &made, err) != 0)
        return -1;
    if (realpath(options->root, resolved) == NULL)
        return fail(err, options->root, "resolve");
    snprintf(store->root, sizeof store->root, "%s", resolved);
    store->root_fd = open(store->root, READ_DIR | O_NOFOLLOW);
    if (store->root_fd < 0)
        return fail(err, store->root, "open");
    /* that it can't be given is told by try_group() */
    if (made && options->group != NULL)
        (void)!fchown(store->root_fd, (uid_t)-1, *options->group);
    if (made && fchmod(store->root_fd, options->dir_mode) != 0)
        return fail(err, store->root, "set the mode of");
    return 0;
}

/* One of xfer's own directories: 0700, and nobody else's, since what lies in it gets its name
 * without another look. */
static int open_own(struct store *store, int at, const char *name, int *fd, struct xfer_error *err)
{
    struct stat st, root;

    if (mkdirat(at, name, 0700) != 0 && errno != EEXIST)
        return fail(err, store->root, "make .xfer in");
    *fd = openat(at, name, READ_DIR | O_NOFOLLOW);
    if (*fd < 0 || fstat(*fd, &st) != 0 || fstat(store->root_fd, &root) != 0)
        return fail(err, store->root, "open .xfer in");
    if (st.st_uid != geteuid() && st.st_uid != root.st_uid) {
        error_set(err, XFER_PERMISSION_DENIED,
                  "receiving root: .xfer in %s belongs to another user (uid %u)", store->root,
                  (unsigned)st.st_uid);
        return error_about(err, XFER_SIDE_RECEIVER, store->root);
    }
    if ((st.st_mode & 077) && fchmod(*fd, 0700) != 0)
        return fail(err, store->root, "set the mode of .xfer in");
    return 0;
}

/* Only where users' files are stored, or were before: these have left something perhaps. */
static int open_users(struct store *store, struct xfer_error *err)
{
    struct stat st;

    if (!store->as_caller &&
        fstatat(store->own_fd, STORE_USERS_DIR, &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
        return 0;
    return open_own(store, store->own_fd, STORE_USERS_DIR, &store->users_fd, err);
}

static int lock_held(struct store *store, struct xfer_error *err)
{
    char holder[32];
    ssize_t n = pread(store->lock_fd, holder, sizeof holder - 1, 0);
    long pid;

    holder[n > 0 ? n : 0] = '\0';
    pid = strtol(holder, NULL, 10);
    if (pid > 0)
        error_set(err, XFER_TOO_BUSY, "receiving root %s is in use by another xferd (process %ld)",
                  store->root, pid);
    else
        error_set(err, XFER_TOO_BUSY, "receiving root %s is in use by another xferd", store->root);
    return error_about(err, XFER_SIDE_RECEIVER, store->root);
}

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int take_lock(struct store *store, double wait, struct xfer_error *err)
{
    const struct timespec pause = {0, LOCK_POLL_NS};
    double until = now() + wait;
    bool told = false;
    char pid[32];
    int n;

    store->lock_fd = openat(store->own_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (store->lock_fd < 0)
        return fail(err, store->root, "open .xfer/lock in");
    while (flock(store->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return fail(err, store->root, "lock .xfer/lock in");
        if (now() >= until)
            return lock_held(store, err);
        if (!told && now() >= until - wait + LOCK_TELL) {
            told = true;
            lock_held(store, err);
            log_notice("%s: waiting for it", err->text);
        }
        nanosleep(&pause, NULL);
    }
    /* only a courtesy to whoever finds it locked: a full disk may have no room for it */
    n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (pwrite(store->lock_fd, pid, (size_t)n, 0) != n)
        n = 0;
    if (ftruncate(store->lock_fd, n) != 0)
        log_debug("receiving root %s: .xfer/lock can't be cut: %s", store->root, strerror(errno));
    return 0;
}

/* File systems without O_TMPFILE, old kernels, a root without /proc: find out once. */
static bool tmpfile_works(struct store *store)
{
    int fd = openat(store->area.partial_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    bool works;

    if (fd < 0)
        return false;
    works = store_temp_link_as(fd, store->area.partial_fd, "probe") == 0;
    unlinkat(store->area.partial_fd, "probe", 0);
    close(fd);
    return works;
}

/* Since Linux 5.8; before, it said only that the device could not be reached. */
static bool syncfs_tells(void)
{
    struct utsname name;
    unsigned major, minor;

    return uname(&name) == 0 && sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
           (major > 5 || (major == 5 && minor >= 8));
}

/* A daemon that is neither root nor a member must hear of it now, not with the first file. */
static int try_group(struct store *store, struct xfer_error *err)
{
    int fd =
        openat(store->area.partial_fd, "probe", O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    int rc = fd >= 0 ? fchown(fd, (uid_t)-1, store->group) : -1;

    if (rc != 0) {
        error_set_errno(err, errno,
                        "store.group: uid %u can't give files in the receiving root %s to group %u",
                        (unsigned)geteuid(), store->root, (unsigned)store->group);
        if (err->code == XFER_PERMISSION_DENIED)
            err->code = XFER_CONFIG;
        error_about(err, XFER_SIDE_RECEIVER, store->root);
    }
    if (fd >= 0)
        close(fd);
    unlinkat(store->area.partial_fd, "probe", 0);
    return rc;
}

struct store *store_open(const struct store_options *options, double lock_wait,
                         struct xfer_error *err)
{
    struct store *store = calloc(1, sizeof *store);
    struct stat st;

    if (store == NULL) {
        error_set(err, XFER_NO_RESOURCES, "receiving root: no memory");
        return NULL;
    }
    store->root_fd = store->own_fd = store->lock_fd = store->users_fd = -1;
    store->area.partial_fd = store->area.beside_fd = -1;
    store->dir_mode = options->dir_mode;
    store->dir_mode_given = options->dir_mode_given;
    /* it can't be asked without being set; the stricter one does no harm to what others make now */
    store->umask = umask(077);
    umask(store->umask);
    store->file_mode = options->file_mode;
    store->reserve = options->reserve;
    store->as_caller = options->as_caller;
    store->per_user = options->per_user;
    store->sync = options->sync;
    store->group_set = options->group != NULL;
    store->group = store->group_set ? *options->group : 0;
    atomic_init(&store->openat2, !options->no_openat2);
    atomic_init(&store->beside_only, false);
    atomic_init(&store->kept, false);
    atomic_init(&store->counter, 0);
    store->resume_min = options->resume_min > 0 ? options->resume_min : XFER_RESUME_MIN;
    store->resume_block = options->resume_block > 0 ? options->resume_block : XFER_RESUME_BLOCK;
    if (open_root(store, options, err) != 0 ||
        open_own(store, store->root_fd, STORE_OWN_DIR, &store->own_fd, err) != 0 ||
        take_lock(store, lock_wait, err) != 0 ||
        open_own(store, store->own_fd, STORE_PARTIAL_DIR, &store->area.partial_fd, err) != 0 ||
        open_own(store, store->own_fd, STORE_BESIDE_DIR, &store->area.beside_fd, err) != 0 ||
        open_users(store, err) != 0)
        goto failed;
    if (store_temp_mount(store->area.partial_fd, &store->area.mount) != 0 ||
        fstat(store->root_fd, &st) != 0) {
        fail(err, store->root, "examine");
        goto failed;
    }
    store->dev = st.st_dev;
    store->syncfs_tells = syncfs_tells();
    store->names = store_names_create();
    store->as = store_as_kept_create();
    store->dirs = store_dirs_create();
    if (store->names == NULL || store->as == NULL || store->dirs == NULL) {
        error_set(err, XFER_NO_RESOURCES, "receiving root: no memory");
        goto failed;
    }
    if (store->group_set && try_group(store, err) != 0)
        goto failed;
    store_sweep(store);
    atomic_init(&store->tmpfile, !options->no_tmpfile && tmpfile_works(store));
    return store;
failed:
    store_close(store);
    return NULL;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    if (store->area.beside_fd >= 0)
        close(store->area.beside_fd);
    if (store->area.partial_fd >= 0)
        close(store->area.partial_fd);
    if (store->users_fd >= 0)
        close(store->users_fd);
    if (store->own_fd >= 0)
        close(store->own_fd);
    if (store->root_fd >= 0)
        close(store->root_fd);
    if (store->lock_fd >= 0)
        close(store->lock_fd); /* last: it lets others in */
    store_names_destroy(store->names);
    store_as_kept_destroy(store->as);
    store_dirs_destroy(store->dirs);
    free(store);
}

void store_set_queue(struct store *store, const unsigned char *queue_id)
{
    unsigned i;

    for (i = 0; i < XFER_QUEUE_ID_SIZE; i++)
        snprintf(store->queue + 2 * i, 3, "%02x", queue_id[i]);
}

const char *store_root(const struct store *store)
{
    return store->root;
}

int store_space(struct store *store, uint64_t *free_bytes, uint64_t *total_bytes,
                struct xfer_error *err)
{
    struct statvfs vfs;

    if (fstatvfs(store->root_fd, &vfs) != 0)
        return fail(err, store->root, "ask for the free space of");
    *free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    *total_bytes = (uint64_t)vfs.f_blocks * vfs.f_frsize;
    return 0;
}

void store_rest(struct store *store)
{
    store_dirs_expire(store->dirs);
}
