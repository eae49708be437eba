/* SPDX-License-Identifier: MIT
 *
 * Extended attributes and access control lists of a file, directory or symbolic link as they travel
 * in ATTRS messages: bytes to pairs and back. The layout is specified in proto/PROTOCOL.md.
 *
 * Which names travel is decided here, for both sides: what a host's security modules put on files
 * (labels, and what is signed with a key of the host) is its own, and stays; file capabilities are
 * as mighty as set-id bits, and go only together with the owner.
 */
#ifndef XFER_PROTO_ATTRS_H
#define XFER_PROTO_ATTRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/error.h"
#include "proto/limits.h"

#define ATTRS_ACL_ACCESS  "system.posix_acl_access"
#define ATTRS_ACL_DEFAULT "system.posix_acl_default"

/* All pairs of something; len is at least 1. One piece of memory, freed by whoever has it. */
struct attrs {
    uint32_t len; /* at most XFER_ATTRS_MAX */
    unsigned char bytes[];
};

struct attr {
    char name[XFER_ATTR_NAME_MAX + 1];
    uint32_t value_len;         /* at most XFER_ATTR_VALUE_MAX */
    const unsigned char *value; /* within the bytes that were read */
};

/* Does a name belong to what is preserved? preserve: a set of enum preserve. */
bool attrs_are_of(const char *name, uint32_t preserve);
/* Are any of that set? */
bool attrs_any(uint32_t preserve);

struct attrs_writer {
    unsigned char *buf; /* XFER_ATTRS_MAX bytes, or size */
    size_t size, len;
};
/* Append one; names ascend, as strcmp() has it. -1: there is no room, and nothing was written. */
int attrs_put(struct attrs_writer *w, const char *name, const void *value, size_t value_len);
size_t attrs_size_of(const char *name, size_t value_len); /* that one takes */

/* Are these pairs as they must be, all of names that belong to preserve? -1: XFER_PROTOCOL. */
int attrs_check(const void *bytes, size_t len, uint32_t preserve, struct xfer_error *err);

/* Of bytes that were checked, or written here. */
struct attrs_reader {
    const unsigned char *bytes;
    size_t len, at;
};
struct attrs_reader attrs_read(const struct attrs *attrs);  /* NULL: none */
bool attrs_next(struct attrs_reader *r, struct attr *attr); /* false: that was all */

#endif
