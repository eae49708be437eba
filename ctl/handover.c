/* SPDX-License-Identifier: MIT
 *
 * See handover.h. What it is must be known before it is really opened: opening a FIFO waits,
 * opening a tape rewinds it.
 */
#include "ctl/handover.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int handover_open(const char *path)
{
    char proc[64];
    struct stat st;
    int looked = open(path, O_PATH | O_CLOEXEC), fd = -1;

    if (looked < 0)
        return -1;
    if (fstat(looked, &st) == 0 && S_ISREG(st.st_mode)) {
        snprintf(proc, sizeof(proc), "/proc/self/fd/%d", looked);
        fd = open(proc, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    }
    close(looked);
    return fd;
}
