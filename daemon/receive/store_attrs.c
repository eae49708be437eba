/* SPDX-License-Identifier: MIT
 *
 * See store_attrs.h. Both sides are in the order of their names: one walk along both finds what is
 * to be set and what is to be removed, and what is there already is not touched. A new file may
 * have a list, too: its directory passes one on.
 */
#include "daemon/receive/store_attrs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/work/xattr.h"
#include "proto/control_method.h"

static void warn(struct store_file *file, const char *name)
{
    char what[XFER_ATTR_NAME_MAX + sizeof "xattr "];
    int errnum = errno;

    if (strcmp(name, ATTRS_ACL_ACCESS) == 0)
        strcpy(what, "access control list");
    else if (strcmp(name, ATTRS_ACL_DEFAULT) == 0)
        strcpy(what, "default access control list");
    else
        snprintf(what, sizeof what, "xattr %s", name);
    store_file_warn(file, what, errnum);
}

static bool set(struct store_file *file, const struct attr *attr)
{
    if (xattr_set(file->fd, attr->name, attr->value, attr->value_len) == 0)
        return true;
    warn(file, attr->name);
    return false;
}

static void take_away(struct store_file *file, const struct attr *attr)
{
    if (xattr_remove(file->fd, attr->name) != 0 && errno != ENODATA)
        warn(file, attr->name);
}

static bool next(struct attrs_reader *r, struct attr *attr, uint32_t preserve)
{
    while (attrs_next(r, attr))
        if (attrs_are_of(attr->name, preserve))
            return true;
    return false;
}

static bool same_value(const struct attr *a, const struct attr *b)
{
    return a->value_len == b->value_len &&
           (a->value_len == 0 || memcmp(a->value, b->value, a->value_len) == 0);
}

static bool is_list(const struct attr *attr)
{
    return strcmp(attr->name, ATTRS_ACL_ACCESS) == 0;
}

static bool merge(struct store_file *file, uint32_t preserve, const struct attrs *there)
{
    struct attrs_reader wanted_at = attrs_read(file->attrs), there_at = attrs_read(there);
    struct attr wanted, has;
    bool more = next(&wanted_at, &wanted, preserve), old = attrs_next(&there_at, &has);
    bool listed = false;

    while (more || old) {
        int order = !old ? -1 : !more ? 1 : strcmp(wanted.name, has.name);

        if (order > 0) {
            take_away(file, &has);
        } else {
            bool is = (order == 0 && same_value(&wanted, &has)) || set(file, &wanted);

            listed = listed || (is && is_list(&wanted));
        }
        if (order >= 0)
            old = attrs_next(&there_at, &has);
        if (order <= 0)
            more = next(&wanted_at, &wanted, preserve);
    }
    return listed;
}

bool store_attrs_set(struct store_file *file, bool owned)
{
    uint32_t preserve = owned ? file->preserve : file->preserve & ~(uint32_t)PRESERVE_OWNER;
    struct attrs *there = NULL;
    struct xfer_error err;
    bool listed;

    if (!attrs_any(file->preserve))
        return false;
    /* what is there can't be told apart then, and all is set anew */
    if (xattr_collect(file->fd, file->preserve, &there, &err) != 0)
        there = NULL;
    listed = merge(file, preserve, there);
    free(there);
    return listed;
}
