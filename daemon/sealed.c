/* SPDX-License-Identifier: MIT
 *
 * See sealed.h: memfd_create(2), sealed against writing, growing and shrinking.
 */
#include "daemon/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

int sealed_make(const char *name, const void *bytes, size_t len, struct xfer_error *err)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return error_set_errno(err, errno, "no memory for %s", name);
    for (size_t done = 0; done < len;) {
        ssize_t n = pwrite(fd, (const char *)bytes + done, len - done, (off_t)done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            error_set_errno(err, n < 0 ? errno : EIO, "no memory for %s", name);
            goto failed;
        }
        done += (size_t)n;
    }
    if (fcntl(fd, F_ADD_SEALS, SEALS) < 0) {
        error_set_errno(err, errno, "memory for %s", name);
        goto failed;
    }
    return fd;

failed:
    close(fd);
    return -1;
}

int sealed_check(int fd, size_t max, size_t *len, struct xfer_error *err)
{
    int seals = fcntl(fd, F_GET_SEALS);
    struct stat st;

    if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0)
        return error_set(err, XFER_PROTOCOL, "what came is no sealed memory");
    if (st.st_size < 0 || (uint64_t)st.st_size > max)
        return error_set(err, XFER_PROTOCOL, "what came is %lld bytes long, more than %zu",
                         (long long)st.st_size, max);
    *len = (size_t)st.st_size;
    return 0;
}

char *sealed_read(int fd, size_t max, size_t *len, struct xfer_error *err)
{
    char *text;

    if (sealed_check(fd, max, len, err) < 0)
        return NULL;
    text = malloc(*len + 1);
    if (text == NULL) {
        error_set(err, XFER_NO_RESOURCES, "no memory for %zu bytes", *len);
        return NULL;
    }
    for (size_t done = 0; done < *len;) {
        ssize_t n = pread(fd, text + done, *len - done, (off_t)done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            error_set_errno(err, n < 0 ? errno : EIO, "sealed memory");
            free(text);
            return NULL;
        }
        done += (size_t)n;
    }
    text[*len] = '\0';
    return text;
}
