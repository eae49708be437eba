/* SPDX-License-Identifier: MIT
 *
 * The INI syntax is inih's: "[section]", "key = value", comments after '#' or ';' at the start of a
 * line and after " ;" behind a value. Lines are counted in the reader, because inih tells its
 * handler of no line number unless it was built to.
 */
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/conf_impl.h"
#include "proto/limits.h"

struct reading {
    FILE *file;
    const char *path;
    struct conf *conf;
    int line;                /* of what was read last */
    int seen[CONF_KEYS_MAX]; /* line of each key, 0: not there */
    int failed;              /* line of the error in *err, 0: none */
    struct xfer_error *err;
};

static void fail(struct reading *r)
{
    r->failed = r->line;
    error_prefix(r->err, "%s:%d", r->path, r->line);
}

/* For inih: one whole line, without leading blanks, which would make it the continuation of
 * another; NULL at the end. */
static char *read_line(char *out, int size, void *user)
{
    struct reading *r = user;
    size_t len = 0;
    int c;

    if (r->failed > 0)
        return NULL;
    do
        c = getc(r->file);
    while (c == ' ' || c == '\t');
    if (c == EOF)
        return NULL;
    r->line++;
    for (; c != '\n' && c != EOF; c = getc(r->file)) {
        if (c == '\0') {
            error_set(r->err, XFER_CONFIG, "a NUL byte");
            fail(r);
            return NULL;
        }
        if (len + 3 > (size_t)size) {
            error_set(r->err, XFER_CONFIG, "a line longer than %d bytes", size - 2);
            fail(r);
            return NULL;
        }
        out[len++] = (char)c;
    }
    out[len++] = '\n';
    out[len] = '\0';
    return out;
}

/* For inih: 1 is success. */
static int take_pair(void *user, const char *section, const char *name, const char *value)
{
    struct reading *r = user;
    const struct conf_key *key;

    if (r->failed > 0)
        return 0;
    key = conf_find_key(section, strlen(section), name, r->err);
    if (key == NULL)
        goto failed;
    if (r->seen[conf_key_index(key)] > 0) {
        error_set(r->err, XFER_CONFIG, "key %s.%s was there already, in line %d", section, name,
                  r->seen[conf_key_index(key)]);
        goto failed;
    }
    r->seen[conf_key_index(key)] = r->line;
    if (conf_set_value(r->conf, key, value != NULL ? value : "", r->err) < 0) {
        error_prefix(r->err, "%s.%s", section, name);
        goto failed;
    }
    return 1;

failed:
    fail(r);
    return 0;
}

/* Where inih can be told at run time (as Debian's can), lines may be as long as a path. Else its
 * own 200 bytes hold. */
static void allow_long_lines(void)
{
#if HAVE_DECL_INI_MAX_LINE && HAVE_DECL_INI_USE_STACK && HAVE_DECL_INI_INITIAL_ALLOC
    ini_use_stack = false;
    ini_max_line = XFER_PATH_SIZE + 256;
    ini_initial_alloc = XFER_PATH_SIZE + 256;
#endif
}

/* A FIFO would be waited for, and the daemon with it. */
static FILE *open_file(const char *path, struct xfer_error *err)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;
    FILE *file = NULL;

    if (fd < 0 || fstat(fd, &st) != 0)
        error_set_errno(err, errno, "%s", path);
    else if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode)) /* /dev/null is an empty one */
        error_set(err, XFER_CONFIG, "%s: is no regular file", path);
    else if ((file = fdopen(fd, "r")) == NULL)
        error_set_errno(err, errno, "%s", path);
    if (file == NULL) {
        err->code = XFER_CONFIG;
        if (fd >= 0)
            close(fd);
    }
    return file;
}

int conf_read_file(struct conf *conf, const char *path, bool must_exist, struct xfer_error *err)
{
    struct reading r = {.path = path, .conf = conf, .err = err};
    struct xfer_error why = XFER_ERROR_INIT;
    int wrong;

    r.file = open_file(path, &why);
    if (r.file == NULL && why.sys_errno == ENOENT && !must_exist)
        return 0;
    if (r.file == NULL) {
        *err = why;
        return -1;
    }
    allow_long_lines();
    wrong = ini_parse_stream(read_line, &r, take_pair, &r);
    if (ferror(r.file)) {
        error_set_errno(err, errno != 0 ? errno : EIO, "%s", path);
        err->code = XFER_CONFIG;
        wrong = -1;
    } else if (wrong > 0 && (r.failed == 0 || wrong < r.failed)) {
        error_set(err, XFER_CONFIG, "%s:%d: neither [section] nor key = value", path, wrong);
    } else if (wrong < 0) {
        error_set(err, XFER_CONFIG, "%s: no memory to read it", path);
    }
    fclose(r.file);
    return wrong == 0 && r.failed == 0 ? 0 : -1;
}
