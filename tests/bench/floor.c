/* SPDX-License-Identifier: MIT
 *
 * The least that storing a large file can take: write into pages that are allocated already, from a
 * buffer that stays in the cache. Nothing is read, sent or digested.
 *
 *   floor FILE BYTES
 *
 * FILE is made, and is not to be there. Prints the seconds of the writes alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static unsigned char data[256 * 1024];

static void die(const char *what)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    long long size, at;
    double start;
    int fd;

    if (argc != 3 || (size = atoll(argv[2])) < 1) {
        fprintf(stderr, "usage: floor FILE BYTES\n");
        return 2;
    }
    memset(data, 'x', sizeof data);
    fd = open(argv[1], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        die(argv[1]);
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, size) != 0 && errno != EOPNOTSUPP)
        die("fallocate");
    start = now();
    for (at = 0; at < size;) {
        size_t n = size - at < (long long)sizeof data ? (size_t)(size - at) : sizeof data;
        ssize_t written = write(fd, data, n);

        if (written < 0)
            die("write");
        at += written;
    }
    printf("%.6f\n", now() - start);
    if (close(fd) != 0)
        die("close");
    return 0;
}
