/* SPDX-License-Identifier: MIT
 *
 * See walk_impl.h: the worker's side. The directories that have been entered and not left are a
 * stack; each is read as far as it was, from where the kernel has got to, so that no directory is
 * ever held as a whole. One step tells one entry at most.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/send/source_way.h"
#include "daemon/send/walk_impl.h"

#define STEPS_MAX   1024 /* of one piece of work */
#define STEPS_TIMED 32   /* between two looks at the clock */
#define PIECE_NS    4000000
#define BUFFER_SIZE ((size_t)32 * 1024)
#define BUFFER_DEEP ((size_t)4 * 1024) /* of the many directories of deep trees */
#define DEEP        32

/* ---- levels ---- */

void walk_push(struct walk *w, struct walk_dir *dir, int state)
{
    struct walk_level *level = calloc(1, sizeof *level);
    struct walk_entry *entry;

    if (!level) {
        walk_dir_release(dir);
        walk_tell_no_memory(w);
        return;
    }
    level->dir = dir;
    level->state = state;
    level->above = w->level;
    level->depth = w->level ? w->level->depth + 1 : 0;
    w->level = level;
    entry = walk_tell(w, WALK_ENTER, dir, "", &dir->st);
    if (entry)
        walk_tell_attrs(w, entry, dir->fd);
}

static void pop(struct walk *w)
{
    struct walk_level *level = w->level;

    w->level = level->above;
    walk_dir_release(level->dir);
    free(level->buffer);
    free(level);
}

static void leave(struct walk *w)
{
    walk_tell(w, WALK_LEAVE, w->level->dir, "", NULL);
    pop(w);
}

void walk_leave_all(struct walk *w)
{
    while (w->level)
        pop(w);
}

/* ---- reading a directory ---- */

static bool is_dots(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* It has been read, or can't be. */
static void end_directory(struct walk *w)
{
    struct walk_level *level = w->level;

    if (w->list_path && !level->above)
        level->state = LEVEL_PASSES; /* the list may name more in the top */
    else
        level->state = LEVEL_LEAVES;
}

/* More entries into the buffer. False: there are none. */
static bool fill(struct walk *w)
{
    struct walk_level *level = w->level;
    ssize_t n;

    if (!level->buffer) {
        level->size = level->depth < DEEP ? BUFFER_SIZE : BUFFER_DEEP;
        level->buffer = malloc(level->size);
        if (!level->buffer) {
            walk_tell_no_memory(w);
            return false;
        }
    }
    n = getdents64(level->dir->fd, level->buffer, level->size);
    level->at = 0;
    level->filled = n > 0 ? (size_t)n : 0;
    if (n > 0)
        return true;
    if (n < 0 && errno != ENOENT) { /* else it was removed */
        int errnum = errno;

        snprintf(w->whole, sizeof w->whole, "%.*s/%s", (int)w->source_len, w->source,
                 level->dir->path);
        walk_fail(w, level->dir, "", errnum);
    }
    end_directory(w);
    return false;
}

static void read_on(struct walk *w)
{
    struct walk_level *level = w->level;
    const struct dirent64 *entry;
    struct walk_found found = {.dir = level->dir, .way = WALK_BENEATH};

    if (level->at >= level->filled && !fill(w))
        return;
    /* The kernel aligns them. */
    entry = (const struct dirent64 *)(const void *)(level->buffer + level->at);
    level->at += entry->d_reclen;
    if (is_dots(entry->d_name))
        return;
    found.name = found.told = entry->d_name;
    walk_look(w, &found, entry->d_type);
}

/* ---- going through a list ---- */

/* What of path lies beneath dir; NULL: it does not. */
static const char *rest_beneath(const char *dir, const char *path)
{
    size_t len = strlen(dir);

    if (len == 0)
        return path;
    return strncmp(dir, path, len) == 0 && path[len] == '/' ? path + len + 1 : NULL;
}

static struct walk_dir *top_of(const struct walk *w)
{
    struct walk_dir *dir = w->level->dir;

    while (dir->parent)
        dir = dir->parent;
    return dir;
}

/* One component of the way to list.path. */
static void go_on(struct walk *w)
{
    const char *rest = rest_beneath(w->level->dir->path, w->list.path);
    struct walk_level *before = w->level;
    char name[XFER_PATH_SIZE];
    struct walk_found found = {.dir = w->level->dir, .name = name, .told = rest};
    size_t len;

    if (!rest) {
        leave(w);
        return;
    }
    if (*rest == '\0') { /* the top itself */
        w->going = false;
        w->level->state = LEVEL_READS;
        w->level->at = w->level->filled = 0;
        (void)lseek(w->level->dir->fd, 0, SEEK_SET);
        return;
    }
    len = strcspn(rest, "/");
    memcpy(name, rest, len);
    name[len] = '\0';
    found.way = rest[len] ? WALK_PASSAGE : WALK_LISTED;
    walk_look(w, &found, DT_UNKNOWN);
    /* Where it can't be entered the rest of the way can't be gone. */
    if (found.way == WALK_LISTED || w->level == before)
        w->going = false;
}

static void follow_list(struct walk *w)
{
    if (w->going) {
        go_on(w);
        return;
    }
    switch (walk_list_next(w)) {
    case 1:
        w->going = true;
        break;
    case 0: /* of each level in turn */
        leave(w);
        break;
    case -1:
        walk_tell_error(w, top_of(w), w->list.path);
        break;
    default:
        break;
    }
}

/* ---- */

/* The last component of the source's path. */
static const char *own_name(const struct walk *w)
{
    const char *slash = strrchr(w->source, '/');

    return slash ? slash + 1 : w->source;
}

/* The source is no directory. */
static void tell_file(struct walk *w, int path_fd, const struct stat *st)
{
    struct walk_entry *entry;

    w->over = true;
    if (w->list_path) {
        walk_refuse(w, NULL, "", XFER_NOT_DIRECTORY,
                    "is a file, and there is a list of what in it is to be sent");
        return;
    }
    entry = walk_tell(w, WALK_ENTRY, NULL, own_name(w), st);
    if (entry)
        walk_tell_attrs(w, entry, path_fd);
}

static void begin(struct walk *w)
{
    struct source_policy_place place = {.in_store = false};
    struct walk_dir *dir;
    struct stat st;
    int path_fd, fd, saved;

    w->begun = true;
    path_fd = source_way_open(w->policy, w->source, true, &st, &place, &w->err);
    if (path_fd < 0) {
        walk_tell_end(w);
        return;
    }
    snprintf(w->whole, sizeof w->whole, "%s", w->source);
    if (!S_ISDIR(st.st_mode)) {
        tell_file(w, path_fd, &st);
        close(path_fd);
        return;
    }
    fd = openat(path_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    saved = errno;
    close(path_fd);
    if (fd < 0) {
        walk_fail(w, NULL, "", saved);
        w->over = true;
        return;
    }
    if (w->dest &&
        source_policy_inside(w->policy, fd, w->dest, w->source, w->inside, &w->err) != 0) {
        close(fd);
        walk_tell_end(w);
        return;
    }
    dir = walk_make_dir(NULL, fd, &st, "");
    if (!dir) {
        walk_tell_no_memory(w);
        return;
    }
    dir->place = place;
    walk_push(w, dir, w->list_path ? LEVEL_PASSES : LEVEL_READS);
}

static void step(struct walk *w)
{
    if (!w->begun)
        begin(w);
    else if (w->level->state == LEVEL_READS)
        read_on(w);
    else if (w->level->state == LEVEL_PASSES)
        follow_list(w);
    else
        leave(w);
    if (!w->level)
        w->over = true;
}

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

void walk_read(struct walk *w)
{
    int64_t until = now_ns() + PIECE_NS;

    if (!w->begun && w->list_path && walk_list_open(w, &w->err)) {
        walk_tell_end(w);
        return;
    }
    if (identity_assume(w->who, &w->err)) {
        walk_tell_end(w);
        return;
    }
    for (unsigned n = 1; n <= STEPS_MAX && w->room > 0 && !w->over && !atomic_load(&w->stop); n++) {
        step(w);
        if (n % STEPS_TIMED == 0 && now_ns() > until)
            break;
    }
    identity_drop();
}
