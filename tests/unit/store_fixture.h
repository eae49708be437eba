/* SPDX-License-Identifier: MIT
 *
 * What the tests of the store share: a root in a directory of its own, files put into it, a look at
 * what is there.
 */
#ifndef XFER_TESTS_UNIT_STORE_FIXTURE_H
#define XFER_TESTS_UNIT_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#include "daemon/receive/store.h"

#define MTIME 1234567890

struct fixture {
    char dir[128];
    char root[160];
    struct store_options options;
    struct store *store;
    struct store_file *kept[3]; /* for who dies: not lost to a leak checker */
};

static inline void fixture_create(struct fixture *f)
{
    const char *tmp = getenv("TMPDIR");
    struct xfer_error err;

    snprintf(f->dir, sizeof f->dir, "%s/xfer-store-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(chmod(f->dir, 0755), 0);
    snprintf(f->root, sizeof f->root, "%s/root", f->dir);
    f->options.root = f->root;
    f->options.dir_mode = 0755;
    f->options.file_mode = -1;
    f->store = store_open(&f->options, 0, &err);
    assert_non_null(f->store);
}

static inline void fixture_destroy(struct fixture *f)
{
    char command[200];

    store_close(f->store);
    snprintf(command, sizeof command, "rm -rf '%s'", f->dir);
    assert_int_equal(system(command), 0);
}

static inline const char *in_root(const struct fixture *f, const char *name)
{
    static char path[2 * PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", f->root, name);
    return path;
}

static inline void meta_of(struct wire_meta *meta, const char *path, uint64_t size)
{
    static uint64_t job;

    *meta = (struct wire_meta){.seq = 1,
                               .job = ++job,
                               .size = size,
                               .mtime_sec = MTIME,
                               .mtime_nsec = 987654321,
                               .mode = 0644,
                               .preserve = PRESERVE_DEFAULT};
    meta->overwrite = OVERWRITE_REPLACE;
    meta->sync = SYNC_NONE;
    meta->path_len = strlen(path);
    assert_true(meta->path_len < sizeof meta->path);
    memcpy(meta->path, path, meta->path_len + 1);
}

static inline void verdict_of(struct wire_verdict *verdict, const void *data, size_t len)
{
    XXH128_canonical_t canonical;

    *verdict = (struct wire_verdict){.seq = 1, .kind = WIRE_COMMIT, .size = len};
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, len));
    memcpy(verdict->digest, canonical.digest, sizeof canonical.digest);
}

/* The whole way of a file. */
static inline int put(struct store *store, const struct wire_meta *meta, const void *data,
                      size_t len, struct xfer_error *err)
{
    struct store_file *file = store_begin(store, meta, err);
    struct wire_verdict verdict;

    if (file == NULL)
        return -1;
    if (len > 0 && store_write(file, data, len, err) != 0) {
        store_abort(file, false);
        return -1;
    }
    verdict_of(&verdict, data, len);
    return store_commit(file, &verdict, NULL, err);
}

static inline void put_text(struct store *store, const char *path, const char *text)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;

    meta_of(&meta, path, strlen(text));
    if (put(store, &meta, text, strlen(text), &err) != 0)
        fail_msg("%s: %s", path, err.text);
}

/* Expect that it fails with that code, about that path, on the receiver's side. */
static inline void put_fails(struct store *store, const struct wire_meta *meta, const char *text,
                             enum xfer_code code)
{
    struct xfer_error err = XFER_ERROR_INIT;
    char path[2 * XFER_PATH_SIZE];

    snprintf(path, sizeof path, "%s/%s", store_root(store), meta->path);
    if (strlen(path) >= XFER_PATH_SIZE)
        snprintf(path, sizeof path, "%s", meta->path);
    assert_int_equal(put(store, meta, text, strlen(text), &err), -1);
    if (err.code != code)
        fail_msg("%s instead of %s: %s", error_info(err.code)->name, error_info(code)->name,
                 err.text);
    assert_int_equal(err.side, XFER_SIDE_RECEIVER);
    assert_string_equal(err.path, path);
    assert_true(err.text[0] != '\0');
}

static inline void make_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static inline void holds(const char *path, const char *text)
{
    char buf[256];
    int fd = open(path, O_RDONLY | O_NOFOLLOW);
    ssize_t n;

    if (fd < 0)
        fail_msg("%s: %s", path, strerror(errno));
    n = read(fd, buf, sizeof buf - 1);
    close(fd);
    assert_true(n >= 0);
    buf[n] = '\0';
    assert_string_equal(buf, text);
}

static inline bool exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

static inline unsigned entries(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *e;
    unsigned n = 0;

    assert_non_null(dir);
    while ((e = readdir(dir)) != NULL)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(dir);
    return n;
}

/* Named temporaries, wherever they may be known. */
static inline unsigned temporaries(const struct fixture *f)
{
    return entries(in_root(f, ".xfer/partial")) + entries(in_root(f, ".xfer/beside"));
}

/* The root holds that many entries besides .xfer, and no temporary. */
static inline void root_has(const struct fixture *f, unsigned n)
{
    assert_int_equal(entries(f->root), n + 1);
    assert_int_equal(temporaries(f), 0);
}

/* Run it in a process that is then gone without a farewell. */
static inline void in_dying_process(void (*function)(struct fixture *f), struct fixture *f)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        function(f);
        kill(getpid(), SIGKILL);
        _exit(255);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

#endif
