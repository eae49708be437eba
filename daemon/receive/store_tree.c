/* SPDX-License-Identifier: MIT
 *
 * See store_tree.h. It isn't synced: when a crash of the machine takes it, everything is sent once
 * more.
 */
#include "daemon/receive/store_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/receive/store_partial.h"

int store_tree_begin(struct store *store, uint64_t job)
{
    char name[STORE_PARTIAL_NAME_SIZE];
    int fd;

    if (store->queue[0] == '\0')
        return 0;
    store_partial_tree(store->queue, job, name);
    fd = openat(store->area.partial_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                0600);
    if (fd < 0)
        return errno == EEXIST ? 0 : -1;
    close(fd);
    return 0;
}

bool store_tree_began(const struct store *store, uint64_t job, struct timespec *when)
{
    char name[STORE_PARTIAL_NAME_SIZE];
    struct stat st;

    if (store->queue[0] == '\0')
        return false;
    store_partial_tree(store->queue, job, name);
    if (fstatat(store->area.partial_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    *when = st.st_mtim;
    return true;
}
