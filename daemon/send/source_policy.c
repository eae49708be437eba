/* SPDX-License-Identifier: MIT
 *
 * See source_policy.h. Directories and files are known by device and inode, so neither links nor
 * other names lead around a check. Those of the daemon's own directories are taken at the start,
 * and so are the queue's files, which it keeps open; those of the roots and of the configuration
 * are looked up at each check, for they may be replaced.
 */
#include "daemon/send/source_policy_impl.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/send/source_place.h"
#include "daemon/work/identity.h"

struct roots { /* never changes; freed by the last who uses it */
    unsigned users;
    bool all; /* "/" is among them */
    size_t n;
    char *paths[]; /* all in one text, which paths[n] is */
};

/* ---- roots ---- */

static struct roots *roots_parse(const char *text, struct xfer_error *err)
{
    size_t n = *text ? 1 : 0;
    struct roots *r;
    char *copy, *at;

    for (const char *s = text; *s; s++)
        n += *s == ':';
    r = calloc(1, sizeof *r + (n + 1) * sizeof(char *));
    copy = strdup(text);
    if (!r || !copy) {
        free(r);
        free(copy);
        error_set(err, XFER_NO_RESOURCES, "no memory for source.roots");
        return NULL;
    }
    r->users = 1;
    r->n = n;
    at = copy;
    for (size_t i = 0; i < n; i++)
        r->paths[i] = strsep(&at, ":");
    r->paths[n] = copy;
    for (size_t i = 0; i < n; i++) {
        if (r->paths[i][0] != '/') {
            error_set(err, XFER_CONFIG, "\"%s\" is no absolute path", r->paths[i]);
            free(copy);
            free(r);
            return NULL;
        }
        if (strspn(r->paths[i], "/") == strlen(r->paths[i]))
            r->all = true;
    }
    return r;
}

/* Who reads with his own rights needs no roots. */
static const struct roots everywhere = {.all = true};

static struct roots *roots_take(struct source_policy *p)
{
    struct roots *r;

    pthread_mutex_lock(&p->mutex);
    r = p->roots;
    r->users++;
    pthread_mutex_unlock(&p->mutex);
    return r;
}

static void roots_leave(struct source_policy *p, struct roots *r)
{
    bool last;

    pthread_mutex_lock(&p->mutex);
    last = --r->users == 0;
    pthread_mutex_unlock(&p->mutex);
    if (!last)
        return;
    free(r->paths[r->n]);
    free(r);
}

int source_policy_set_roots(struct source_policy *p, const char *roots, struct xfer_error *err)
{
    struct roots *now = roots_parse(roots, err), *before;

    if (!now)
        return -1;
    pthread_mutex_lock(&p->mutex);
    before = p->roots;
    p->roots = now;
    pthread_mutex_unlock(&p->mutex);
    if (before)
        roots_leave(p, before);
    return 0;
}

bool source_policy_is_narrow(struct source_policy *p)
{
    struct roots *r = roots_take(p);
    bool narrow = !r->all && !identity_is_assumed();

    roots_leave(p, r);
    return narrow;
}

/* ---- making one ---- */

struct node policy_node_of(const char *path)
{
    struct node node = {.known = false};
    struct stat st;

    if (path && *path && stat(path, &st) == 0)
        node = (struct node){true, st.st_dev, st.st_ino};
    return node;
}

static struct node directory_of(const char *path)
{
    char directory[XFER_PATH_SIZE];
    const char *slash = path ? strrchr(path, '/') : NULL;

    if (!slash || (size_t)(slash - path) + 1 >= sizeof directory)
        return (struct node){.known = false};
    snprintf(directory, sizeof directory, "%.*s/", (int)(slash - path), path);
    return policy_node_of(directory);
}

/* False: no memory. */
static bool take_database(struct source_policy *p, const char *path)
{
    const char *slash = strrchr(path, '/');
    char log[XFER_PATH_SIZE + 8];

    snprintf(log, sizeof log, "%s-wal", path);
    p->database_dir = directory_of(path);
    p->database_file = policy_node_of(path);
    p->log_file = policy_node_of(log);
    p->database_name = strdup(slash ? slash + 1 : path);
    return p->database_name != NULL;
}

struct source_policy *source_policy_create(const struct source_policy_options *o,
                                           struct xfer_error *err)
{
    struct source_policy *p = calloc(1, sizeof *p);
    const struct passwd *pw = getpwuid(geteuid());

    if (!p) {
        error_set(err, XFER_NO_RESOURCES, "no memory for the rules of sources");
        return NULL;
    }
    pthread_mutex_init(&p->mutex, NULL);
    p->shares = 1;
    snprintf(p->user, sizeof p->user, "%s%s%lu%s", pw ? pw->pw_name : "", pw ? " (uid " : "uid ",
             (unsigned long)geteuid(), pw ? ")" : "");
    p->config = o->config ? strdup(o->config) : NULL;
    if ((o->database && !take_database(p, o->database)) || (o->config && !p->config)) {
        error_set(err, XFER_NO_RESOURCES, "no memory for the rules of sources");
        source_policy_destroy(p);
        return NULL;
    }
    if (source_policy_set_roots(p, o->roots ? o->roots : "/", err)) {
        error_prefix(err, "source.roots");
        source_policy_destroy(p);
        return NULL;
    }
    p->root = policy_node_of("/");
    p->dev = policy_node_of("/dev");
    p->shm = policy_node_of("/dev/shm");
    p->runtime = policy_node_of(o->runtime);
    p->state = policy_node_of(o->state);
    p->store = policy_node_of(o->store);
    p->store_path = o->store ? realpath(o->store, NULL) : NULL;
    return p;
}

struct source_policy *source_policy_share(struct source_policy *p)
{
    pthread_mutex_lock(&p->mutex);
    p->shares++;
    pthread_mutex_unlock(&p->mutex);
    return p;
}

void source_policy_destroy(struct source_policy *p)
{
    bool last;

    if (!p)
        return;
    pthread_mutex_lock(&p->mutex);
    last = --p->shares == 0;
    pthread_mutex_unlock(&p->mutex);
    if (!last)
        return;
    if (p->roots)
        roots_leave(p, p->roots);
    pthread_mutex_destroy(&p->mutex);
    free(p->database_name);
    free(p->config);
    free(p->store_path);
    free(p);
}

/* ---- what is refused ---- */

#define CURE "another user who can read it hands it over with 'xferctl send'"

const char *source_policy_user(const struct source_policy *p)
{
    return p ? p->user : "its own user";
}

int source_policy_denied(const struct source_policy *p, int errnum, const char *path,
                         struct xfer_error *err)
{
    if (identity_is_assumed())
        error_set(err, error_code_of_errno(errnum), "%.400s: %s, for uid %lu who asked for it",
                  path, strerror(errnum), (unsigned long)identity_now());
    else
        error_set(err, error_code_of_errno(errnum), "%.400s: %s: xferd reads it as %s; " CURE, path,
                  strerror(errnum), source_policy_user(p));
    err->sys_errno = errnum;
    return error_about(err, XFER_SIDE_SENDER, path);
}

int policy_refuse(const struct source_policy *p, const char *path, const char *why,
                  struct xfer_error *err)
{
    error_set(err, XFER_PERMISSION_DENIED, "%.400s: %s, which xferd (as %s) never sends", path, why,
              p->user);
    return error_about(err, XFER_SIDE_SENDER, path);
}

static int refuse_outside(const struct source_policy *p, const char *path, struct xfer_error *err)
{
    error_set(
        err, XFER_PERMISSION_DENIED,
        "%.400s: leads to nothing beneath source.roots, where alone xferd (as %s) opens files "
        "itself; " CURE,
        path, p->user);
    return error_about(err, XFER_SIDE_SENDER, path);
}

int policy_fail(int errnum, const char *path, struct xfer_error *err)
{
    error_set_errno(err, errnum, "%s", path);
    return error_about(err, XFER_SIDE_SENDER, path);
}

/* ---- where it lies ---- */

struct look {
    struct source_policy *policy;
    const struct roots *roots;
    struct node *root_nodes; /* of roots; NULL: not wanted */
    bool in_root, in_runtime, in_state, in_store, in_database_dir, in_shm;
    bool own; /* beneath the store, beside the database, or in memory that is shared */
};

/* Of a directory that happens to begin so only that of the lists is meant. */
static bool is_beside_database(const struct source_policy *p, const char *name, bool last)
{
    size_t len = strlen(p->database_name);

    return len > 0 && strncmp(name, p->database_name, len) == 0 &&
           (last || strcmp(name + len, SOURCE_POLICY_LISTS) == 0);
}

static void visit(void *user, const char *name, const struct stat *st, bool last)
{
    struct look *look = user;
    struct source_policy *p = look->policy;

    if (name[0] == '\0') {
        look->in_root = look->in_runtime = look->in_state = look->in_store = false;
        look->in_database_dir = look->in_shm = look->own = false;
    }
    if (look->in_store && strncmp(name, OWN_PREFIX, strlen(OWN_PREFIX)) == 0)
        look->own = true;
    if (look->in_database_dir && is_beside_database(p, name, last))
        look->own = true;
    /* Files of others pass through there. */
    if (look->in_shm && strncmp(name, SHARED_PREFIX, strlen(SHARED_PREFIX)) == 0)
        look->own = true;
    look->in_shm = policy_is_node(st, &p->shm);
    look->in_database_dir = policy_is_node(st, &p->database_dir);
    look->in_runtime |= policy_is_node(st, &p->runtime);
    look->in_state |= policy_is_node(st, &p->state);
    look->in_store |= policy_is_node(st, &p->store);
    for (size_t i = 0; look->root_nodes && i < look->roots->n; i++)
        look->in_root |= policy_is_node(st, &look->root_nodes[i]);
}

/* By device and inode: another name of it is the same file. The configuration may be written anew
 * at any time; the queue keeps its files open. */
static bool is_own_file(const struct source_policy *p, const struct stat *st)
{
    struct node config = policy_node_of(p->config);

    return policy_is_node(st, &config) || policy_is_node(st, &p->database_file) ||
           policy_is_node(st, &p->log_file);
}

/* Devices and what lies beside them; but /dev/shm is a place for files. */
static bool is_in_dev(const struct source_policy *p, const char *real, const struct stat *st)
{
    if (source_place_beneath(real, "/dev/shm"))
        return false;
    return source_place_beneath(real, "/dev") ||
           (p->dev.known && p->root.known && p->dev.dev != p->root.dev && st->st_dev == p->dev.dev);
}

/* Neither what the kernel makes up nor what is the daemon's own. */
static int check_kind(struct source_policy *p, int fd, const struct stat *st, const char *real,
                      const char *path, struct xfer_error *err)
{
    int kernels = source_place_is_kernels(fd);

    if (kernels < 0)
        return policy_fail(errno, path, err);
    if (kernels || source_place_beneath(real, "/proc") || source_place_beneath(real, "/sys") ||
        is_in_dev(p, real, st))
        return policy_refuse(p, path, POLICY_KERNELS, err);
    if (is_own_file(p, st))
        return policy_refuse(p, path, POLICY_OWN, err);
    return 0;
}

static int check_found(struct source_policy *p, const struct look *look, const char *path,
                       struct xfer_error *err)
{
    if (!look->roots->all && !look->in_root)
        return refuse_outside(p, path, err);
    if (look->own || look->in_runtime || (look->in_state && !look->in_store))
        return policy_refuse(p, path, POLICY_OWN, err);
    return 0;
}

/* It was there a moment ago. What has its name now is for another attempt to look at. */
static int fail_gone(const struct stat *st, const char *path, struct xfer_error *err)
{
    struct stat now;

    if (stat(path, &now) || (now.st_dev == st->st_dev && now.st_ino == st->st_ino))
        return policy_fail(ENOENT, path, err);
    error_set(err, XFER_SOURCE_CHANGED, "%s: was replaced while it was being opened", path);
    return error_about(err, XFER_SIDE_SENDER, path);
}

/* Where it is not, source.roots tells nothing of it. */
static int check_place(struct source_policy *p, struct look *look, int fd, const struct stat *st,
                       const char *path, struct source_policy_place *place, struct xfer_error *err)
{
    char real[XFER_PATH_SIZE];

    switch (source_place_find(fd, st, visit, look, real)) {
    case PLACE_FOUND:
        break;
    case PLACE_GONE:
        return fail_gone(st, path, err);
    case PLACE_MOVED:
        error_set(err, XFER_SOURCE_CHANGED, "%s: was moved while it was being opened", path);
        return error_about(err, XFER_SIDE_SENDER, path);
    case PLACE_UNREACHABLE:
        return policy_refuse(p, path, "lies where no path of this system leads", err);
    case PLACE_DENIED:
        return source_policy_denied(p, EACCES, path, err);
    case PLACE_FAILED:
        return policy_fail(errno, path, err);
    }
    if (check_found(p, look, path, err))
        return -1;
    if (check_kind(p, fd, st, real, path, err))
        return -1;
    if (place) {
        struct node config = policy_node_of(p->config);

        *place = (struct source_policy_place){.in_store = look->in_store,
                                              .in_shm = source_place_beneath(real, "/dev/shm"),
                                              .is_shm = look->in_shm,
                                              .is_database = look->in_database_dir,
                                              .config_known = config.known,
                                              .config_dev = config.dev,
                                              .config_ino = config.ino};
    }
    return 0;
}

int source_policy_check_top(struct source_policy *p, int fd, const struct stat *st,
                            const char *path, struct source_policy_place *place,
                            struct xfer_error *err)
{
    struct roots *roots = roots_take(p);
    struct look look = {.policy = p, .roots = identity_is_assumed() ? &everywhere : roots};
    int rc;

    if (!look.roots->all && roots->n > 0) {
        look.root_nodes = calloc(roots->n, sizeof *look.root_nodes);
        if (!look.root_nodes) {
            roots_leave(p, roots);
            return policy_fail(ENOMEM, path, err);
        }
        for (size_t i = 0; i < roots->n; i++)
            look.root_nodes[i] = policy_node_of(roots->paths[i]);
    }
    rc = check_place(p, &look, fd, st, path, place, err);
    free(look.root_nodes);
    roots_leave(p, roots);
    return rc;
}

int source_policy_check(struct source_policy *p, int fd, const struct stat *st, const char *path,
                        struct xfer_error *err)
{
    return source_policy_check_top(p, fd, st, path, NULL, err);
}

int source_policy_missing(struct source_policy *p, int errnum, const char *path,
                          struct xfer_error *err)
{
    struct stat st;
    int fd = source_place_nearest(path, &st);
    bool beneath = fd >= 0 && source_policy_check(p, fd, &st, path, err) == 0;

    if (fd >= 0)
        close(fd);
    if (!beneath)
        return refuse_outside(p, path, err);
    return errnum == EACCES || errnum == EPERM ? source_policy_denied(p, errnum, path, err)
                                               : policy_fail(errnum, path, err);
}

/* The way to it is the business of whoever opened it, and may be none of this process; where one is
 * told it is looked at. */
int source_policy_check_handle(struct source_policy *p, int fd, const struct stat *st,
                               const char *path, struct xfer_error *err)
{
    struct look look = {.policy = p, .roots = &everywhere};
    char real[XFER_PATH_SIZE];

    if (source_place_find(fd, st, visit, &look, real) == PLACE_FOUND &&
        check_found(p, &look, path, err))
        return -1;
    return check_kind(p, fd, st, real, path, err);
}
