/* SPDX-License-Identifier: MIT
 *
 * The settings as a whole, and what this host knows of the names in them.
 */
#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/conf_impl.h"

static const char *key_text(const struct conf *conf, const struct conf_key *key)
{
    return (const char *)conf + key->offset;
}

/* What ends up as a word on a launcher's command line, where it must not be taken for an option or
 * a list. */
static bool is_plain_word(const char *word)
{
    return word[0] != '-' && strpbrk(word, ",;'\"\\ \t\r\n") == NULL;
}

int conf_check(const struct conf *conf, struct xfer_error *err)
{
    for (size_t i = 0; i < conf_keys(); i++)
        if (conf_key(i)->type == TYPE_PATH && key_text(conf, conf_key(i))[0] == '\0')
            return error_set(err, XFER_CONFIG,
                             "%s.%s is not set, and uid %lu has no home directory (set HOME)",
                             conf_key(i)->section, conf_key(i)->name, (unsigned long)geteuid());

    if (strlen(conf->control_socket) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return error_set(
            err, XFER_CONFIG,
            "control.socket: %zu bytes, and the path of a Unix socket has at most %zu: %s",
            strlen(conf->control_socket), sizeof(((struct sockaddr_un *)0)->sun_path) - 1,
            conf->control_socket);
    if (conf->control_socket[strlen(conf->control_socket) - 1] == '/')
        return error_set(err, XFER_CONFIG, "control.socket: %s names a directory",
                         conf->control_socket);
    if (conf->store_dir_mode >= 0 && (conf->store_dir_mode & 0700) != 0700)
        return error_set(
            err, XFER_CONFIG,
            "store.dir_mode: %04o would lock the receiver itself out (0700 is the least)",
            (unsigned)conf->store_dir_mode);
    if (!is_plain_word(conf->peer_host) || strchr(conf->peer_host, ':') != NULL)
        return error_set(err, XFER_CONFIG, "peer.host: \"%s\" is no host name or IPv4 address",
                         conf->peer_host);
    if (conf->queue_retry_delay > conf->queue_retry_delay_max)
        return error_set(err, XFER_CONFIG, "queue.retry_delay: longer than queue.retry_delay_max");
    if (strpbrk(conf->peer_agent, ":\n") != NULL)
        return error_set(err, XFER_CONFIG, "peer.agent: a ':' in it would separate two agents: %s",
                         conf->peer_agent);
    if (!is_plain_word(conf->peer_user))
        return error_set(err, XFER_CONFIG, "peer.user: \"%s\" is no user name", conf->peer_user);
    if (conf->hook_timeout <= 0)
        return error_set(err, XFER_CONFIG, "hook.timeout: no program ends in no time");
    return 0;
}

static int find_group(const char *key, const char *name, gid_t *gid, struct xfer_error *err)
{
    const struct group *group;
    char *end;
    unsigned long n;

    *gid = (gid_t)-1;
    if (name[0] == '\0')
        return 0;
    group = getgrnam(name);
    if (group != NULL) {
        *gid = group->gr_gid;
        return 0;
    }
    errno = 0;
    n = strtoul(name, &end, 10);
    if (name[0] < '0' || name[0] > '9' || *end != '\0' || errno != 0 || n >= (gid_t)-1)
        return error_set(err, XFER_CONFIG, "%s: there is no group \"%s\"", key, name);
    *gid = (gid_t)n;
    return 0;
}

int conf_group(const struct conf *conf, gid_t *gid, struct xfer_error *err)
{
    return find_group("control.group", conf->control_group, gid, err);
}

int conf_store_group(const struct conf *conf, gid_t *gid, struct xfer_error *err)
{
    return find_group("store.group", conf->store_group, gid, err);
}
