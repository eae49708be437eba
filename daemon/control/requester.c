/* SPDX-License-Identifier: MIT
 *
 * See requester.h. The kernel gives the number of bytes that it would need when there is too little
 * room.
 */
#include "daemon/control/requester.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "proto/limits.h"

#define GROUPS_USUAL 64

static int too_many(const struct ucred *cred, bool needed, struct requester *who, size_t n,
                    struct xfer_error *err)
{
    who->n_groups = -1;
    if (!needed)
        return 0;
    return error_set(err, XFER_PERMISSION_DENIED,
                     "uid %u is in %zu groups: no job is done with the rights of more than %d",
                     (unsigned)cred->uid, n, XFER_GROUPS_MAX);
}

int requester_identify(int fd, bool needed, struct requester *who, struct xfer_error *err)
{
    struct ucred cred;
    socklen_t len = sizeof cred;
    int rc = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);

    *who = (struct requester){.n_groups = -1};
    if (rc < 0)
        return error_set_errno(err, errno, "who is connected");
    who->gid = cred.gid;
    who->groups = malloc(GROUPS_USUAL * sizeof *who->groups);
    len = GROUPS_USUAL * sizeof *who->groups;
    rc = who->groups ? getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, who->groups, &len) : -1;
    if (rc < 0 && who->groups && errno == ERANGE) {
        requester_free(who);
        if (len > XFER_GROUPS_MAX * sizeof *who->groups)
            return too_many(&cred, needed, who, len / sizeof *who->groups, err);
        who->groups = malloc(len);
        rc = who->groups ? getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, who->groups, &len) : -1;
    }
    if (rc < 0 && !needed) {
        requester_free(who);
        return 0;
    }
    if (rc < 0) {
        error_set_errno(err, who->groups ? errno : ENOMEM, "the groups of uid %u",
                        (unsigned)cred.uid);
        requester_free(who);
        return -1;
    }
    who->n_groups = (int)(len / sizeof *who->groups);
    return 0;
}

void requester_free(struct requester *who)
{
    free(who->groups);
    who->groups = NULL;
}
