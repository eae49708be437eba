/* SPDX-License-Identifier: MIT
 *
 * Names become numbers once, at start. Later only numbers are compared, those that the kernel gives
 * for the peer: user, group, and (since Linux 4.13) all its groups.
 */
#include "daemon/control/admins.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GROUPS_MAX   65536 /* NGROUPS_MAX of Linux */
#define GROUPS_USUAL 64

#define ALWAYS_ADMINS 2 /* root and the daemon's user, the first of uids */

struct admins {
    uid_t *uids;
    gid_t *gids;
    size_t n_uids, n_gids;
};

static bool parse_number(const char *text, unsigned *number)
{
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno || *end || value >= 0xffffffffUL) /* the last one means "none" to the kernel */
        return false;
    *number = (unsigned)value;
    return true;
}

static int add_admin(struct admins *a, const char *name, struct xfer_error *err)
{
    unsigned number;

    if (name[0] == '@') {
        if (!parse_number(name + 1, &number)) {
            struct group *gr = getgrnam(name + 1);
            if (!gr)
                return error_set(err, XFER_CONFIG, "control.admins: there is no group \"%s\"",
                                 name + 1);
            number = gr->gr_gid;
        }
        a->gids[a->n_gids++] = number;
        return 0;
    }
    if (!parse_number(name, &number)) {
        struct passwd *pw = getpwnam(name);
        if (!pw)
            return error_set(err, XFER_CONFIG, "control.admins: there is no user \"%s\"", name);
        number = pw->pw_uid;
    }
    a->uids[a->n_uids++] = number;
    return 0;
}

struct admins *admins_create(const char *text, struct xfer_error *err)
{
    size_t most = strlen(text) / 2 + 3;
    struct admins *a = calloc(1, sizeof *a);
    char *copy = strdup(text), *rest = copy;

    if (!a || !copy)
        goto no_memory;
    a->uids = calloc(most, sizeof *a->uids);
    a->gids = calloc(most, sizeof *a->gids);
    if (!a->uids || !a->gids)
        goto no_memory;
    a->uids[a->n_uids++] = 0;
    a->uids[a->n_uids++] = geteuid();
    for (char *name; (name = strsep(&rest, " \t,"));)
        if (name[0] && add_admin(a, name, err) < 0)
            goto fail;
    free(copy);
    return a;

no_memory:
    error_set(err, XFER_NO_RESOURCES, "no memory for the list of administrators");
fail:
    free(copy);
    admins_destroy(a);
    return NULL;
}

void admins_destroy(struct admins *a)
{
    if (!a)
        return;
    free(a->uids);
    free(a->gids);
    free(a);
}

int admins_resolve(const char *text, char *numbers, size_t size, struct xfer_error *err)
{
    struct admins *a = admins_create(text, err);
    size_t len = 0;

    if (!a)
        return -1;
    memset(numbers, 0, size);
    for (size_t i = 0; i < a->n_uids + a->n_gids && len < size; i++) {
        bool is_user = i < a->n_uids;

        if (i < ALWAYS_ADMINS)
            continue;
        len += (size_t)snprintf(numbers + len, size - len, "%s%s%u", len > 0 ? " " : "",
                                is_user ? "" : "@",
                                (unsigned)(is_user ? a->uids[i] : a->gids[i - a->n_uids]));
    }
    admins_destroy(a);
    if (len >= size)
        return error_set(err, XFER_CONFIG,
                         "control.admins: as numbers they are longer than %zu bytes: name a group",
                         size - 1);
    return 0;
}

static bool has_gid(const struct admins *a, gid_t gid)
{
    for (size_t i = 0; i < a->n_gids; i++)
        if (a->gids[i] == gid)
            return true;
    return false;
}

static bool has_peer_group(const struct admins *a, int fd)
{
    gid_t few[GROUPS_USUAL], *groups = few, *many = NULL;
    socklen_t len = sizeof few;
    bool found = false;
    int rc = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len);

    if (rc < 0 && errno == ERANGE && len <= GROUPS_MAX * sizeof(gid_t)) {
        groups = many = malloc(len);
        if (!many)
            return false;
        rc = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len);
    }
    for (size_t i = 0; rc == 0 && i < len / sizeof(gid_t) && !found; i++)
        found = has_gid(a, groups[i]);
    free(many);
    return found;
}

int admins_identify(const struct admins *a, int fd, uid_t *uid, bool *admin, struct xfer_error *err)
{
    struct ucred cred;
    socklen_t len = sizeof cred;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        return error_set_errno(err, errno, "who is connected");
    if (len != sizeof cred || cred.uid == (uid_t)-1)
        return error_set(err, XFER_PERMISSION_DENIED, "the kernel does not tell who is connected");
    *uid = cred.uid;
    *admin = false;
    for (size_t i = 0; i < a->n_uids && !*admin; i++)
        *admin = a->uids[i] == cred.uid;
    if (!*admin && a->n_gids > 0)
        *admin = has_gid(a, cred.gid) || has_peer_group(a, fd);
    return 0;
}

int admins_find_user(const char *name, uid_t *uid, struct xfer_error *err)
{
    struct passwd *pw;
    unsigned number;

    if (parse_number(name, &number)) {
        *uid = number;
        return 0;
    }
    FILE *f = fopen("/etc/passwd", "re");
    if (!f)
        return error_set_errno(err, errno, "/etc/passwd");
    while ((pw = fgetpwent(f)) && strcmp(pw->pw_name, name) != 0)
        ;
    fclose(f);
    if (!pw)
        return error_set(err, XFER_INVALID_PARAMS, "/etc/passwd has no user \"%s\": give the uid",
                         name);
    *uid = pw->pw_uid;
    return 0;
}
