/* SPDX-License-Identifier: MIT
 *
 * The rule of destination paths, as text. The receiver applies relpath_check() to what the sender
 * says, however carefully the sender made it.
 */
#include "proto/relpath.h"

#include <string.h>

static int check_component(const char *name, size_t len, struct xfer_error *err)
{
    if (len == 0)
        return error_set(err, XFER_INVALID_DESTINATION, "destination has an empty component");
    if (len > XFER_NAME_MAX)
        return error_set(err, XFER_NAME_TOO_LONG,
                         "destination has a component of %zu bytes, at most %d are possible", len,
                         XFER_NAME_MAX);
    if (len == 1 && name[0] == '.')
        return error_set(err, XFER_INVALID_DESTINATION, "destination has a \".\" component");
    if (len == 2 && name[0] == '.' && name[1] == '.')
        return error_set(
            err, XFER_INVALID_DESTINATION,
            "destination has a \"..\" component: it must stay beneath the receiving root");
    if (len >= 5 && memcmp(name, ".xfer", 5) == 0)
        return error_set(
            err, XFER_INVALID_DESTINATION,
            "destination has a component that begins with \".xfer\": these are xfer's own");
    return 0;
}

int relpath_check(const char *path, size_t len, struct xfer_error *err)
{
    size_t start = 0;

    if (len == 0)
        return error_set(err, XFER_INVALID_DESTINATION, "destination is empty");
    if (len >= XFER_PATH_SIZE)
        return error_set(err, XFER_NAME_TOO_LONG,
                         "destination has %zu bytes, at most %d are possible", len,
                         XFER_PATH_SIZE - 1);
    if (memchr(path, '\0', len))
        return error_set(err, XFER_INVALID_DESTINATION, "destination has a NUL byte");
    if (path[0] == '/')
        return error_set(err, XFER_INVALID_DESTINATION,
                         "destination is absolute: it must be relative to the receiving root");
    for (;;) {
        const char *slash = memchr(path + start, '/', len - start);
        size_t end = slash ? (size_t)(slash - path) : len;

        if (check_component(path + start, end - start, err))
            return -1;
        if (!slash)
            return 0;
        start = end + 1;
    }
}

/* Append the components of path to out, without repeated '/' and "." components. */
static int append(char *out, size_t *used, const char *path, size_t len, struct xfer_error *err)
{
    size_t i = 0;

    while (i < len) {
        size_t end;

        while (i < len && path[i] == '/')
            i++;
        end = i;
        while (end < len && path[end] != '/')
            end++;
        if (end > i && !(end - i == 1 && path[i] == '.')) {
            if (*used + (*used > 0) + (end - i) >= XFER_PATH_SIZE)
                return error_set(err, XFER_NAME_TOO_LONG, "destination is longer than %d bytes",
                                 XFER_PATH_SIZE - 1);
            if (*used > 0)
                out[(*used)++] = '/';
            memcpy(out + *used, path + i, end - i);
            *used += end - i;
        }
        i = end;
    }
    out[*used] = '\0';
    return 0;
}

/* The file's own name: the last component of the source. */
static int own_name(const char *source, const char **name, size_t *len, struct xfer_error *err)
{
    size_t end = strlen(source), start;

    while (end > 0 && source[end - 1] == '/')
        end--;
    start = end;
    while (start > 0 && source[start - 1] != '/')
        start--;
    *name = source + start;
    *len = end - start;
    if (*len == 0 || (*len == 1 && (*name)[0] == '.') || (*len == 2 && memcmp(*name, "..", 2) == 0))
        return error_set(err, XFER_INVALID_DESTINATION,
                         "the last component of the source is no name for the destination: say "
                         "which one to use (--to, or dest)");
    return 0;
}

int relpath_resolve(const char *source, const char *dest, char out[XFER_PATH_SIZE],
                    struct xfer_error *err)
{
    size_t used = 0, dest_len = dest ? strlen(dest) : 0;
    const char *name;
    size_t name_len;

    out[0] = '\0';
    if (dest_len > 0 && dest[0] == '/')
        return error_set(err, XFER_INVALID_DESTINATION,
                         "destination is absolute: it must be relative to the receiving root");
    if (append(out, &used, dest ? dest : "", dest_len, err))
        return -1;
    if (dest_len == 0 || dest[dest_len - 1] == '/') {
        if (own_name(source, &name, &name_len, err) || append(out, &used, name, name_len, err))
            return -1;
    }
    return relpath_check(out, used, err);
}

bool relpath_conflict(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (!*a && (!*b || *b == '/')) || (!*b && *a == '/');
}
