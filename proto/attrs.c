/* SPDX-License-Identifier: MIT
 *
 * See attrs.h. Each pair is a 2-byte length of the name, a 4-byte length of the value, the name,
 * the value. Since names ascend, the same attributes are always the same bytes.
 */
#include "proto/attrs.h"

#include <string.h>

#include "proto/control_method.h"

#define FIXED 6

static bool begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

static bool is_in(const char *name, const char *space)
{
    return begins(name, space) && name[strlen(space)] != '\0';
}

static bool is_hosts_own(const char *name)
{
    return begins(name, "security.selinux") || begins(name, "security.apparmor") ||
           begins(name, "security.SMACK64") || strcmp(name, "security.evm") == 0;
}

bool attrs_any(uint32_t preserve)
{
    return preserve & (PRESERVE_XATTR | PRESERVE_ACL);
}

bool attrs_are_of(const char *name, uint32_t preserve)
{
    if (strcmp(name, ATTRS_ACL_ACCESS) == 0 || strcmp(name, ATTRS_ACL_DEFAULT) == 0)
        return preserve & PRESERVE_ACL;
    if (!(preserve & PRESERVE_XATTR))
        return false;
    if (strcmp(name, "security.capability") == 0)
        return preserve & PRESERVE_OWNER;
    return is_in(name, "user.") || is_in(name, "trusted.") ||
           (is_in(name, "security.") && !is_hosts_own(name));
}

/* ---- writing ---- */

static void put_uint(unsigned char *to, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (unsigned char)(v >> (8 * i));
}

size_t attrs_size_of(const char *name, size_t value_len)
{
    return FIXED + strlen(name) + value_len;
}

int attrs_put(struct attrs_writer *w, const char *name, const void *value, size_t value_len)
{
    size_t name_len = strlen(name), size = attrs_size_of(name, value_len);
    unsigned char *to = w->buf + w->len;

    if (name_len > XFER_ATTR_NAME_MAX || value_len > XFER_ATTR_VALUE_MAX || size > w->size - w->len)
        return -1;
    put_uint(to, name_len, 2);
    put_uint(to + 2, value_len, 4);
    memcpy(to + FIXED, name, name_len);
    if (value_len > 0)
        memcpy(to + FIXED + name_len, value, value_len);
    w->len += size;
    return 0;
}

/* ---- reading ---- */

static uint32_t get_uint(const unsigned char *from, unsigned bytes)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < bytes; i++)
        v |= (uint32_t)from[i] << (8 * i);
    return v;
}

struct attrs_reader attrs_read(const struct attrs *attrs)
{
    return (struct attrs_reader){.bytes = attrs ? attrs->bytes : NULL,
                                 .len = attrs ? attrs->len : 0};
}

/* NULL, or what is wrong with the pair at r->at. */
static const char *get_pair(struct attrs_reader *r, struct attr *attr)
{
    const unsigned char *from = r->bytes + r->at;
    size_t left = r->len - r->at, name_len;

    if (left < FIXED)
        return "end in the midst of a pair";
    name_len = get_uint(from, 2);
    attr->value_len = get_uint(from + 2, 4);
    left -= FIXED;
    if (name_len == 0 || name_len > XFER_ATTR_NAME_MAX)
        return "length of a name";
    if (attr->value_len > XFER_ATTR_VALUE_MAX)
        return "length of a value";
    if (name_len > left || attr->value_len > left - name_len)
        return "end in the midst of a pair";
    if (memchr(from + FIXED, '\0', name_len))
        return "name";
    memcpy(attr->name, from + FIXED, name_len);
    attr->name[name_len] = '\0';
    attr->value = from + FIXED + name_len;
    r->at += FIXED + name_len + attr->value_len;
    return NULL;
}

bool attrs_next(struct attrs_reader *r, struct attr *attr)
{
    return r->at < r->len && !get_pair(r, attr);
}

int attrs_check(const void *bytes, size_t len, uint32_t preserve, struct xfer_error *err)
{
    struct attrs_reader r = {.bytes = bytes, .len = len};
    char last[XFER_ATTR_NAME_MAX + 1] = "";
    struct attr attr;
    const char *wrong = NULL;

    if (len == 0 || len > XFER_ATTRS_MAX)
        wrong = "number of bytes";
    while (!wrong && r.at < len) {
        wrong = get_pair(&r, &attr);
        if (!wrong && strcmp(attr.name, last) <= 0)
            wrong = "order of names";
        if (!wrong && !attrs_are_of(attr.name, preserve))
            wrong = "name of what is not preserved";
        if (!wrong)
            memcpy(last, attr.name, sizeof last);
    }
    return wrong ? error_set(err, XFER_PROTOCOL, "attributes: bad %s", wrong) : 0;
}
