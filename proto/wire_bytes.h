/* SPDX-License-Identifier: MIT
 *
 * What all messages between the ranks are made of: little-endian numbers, the header, strings and
 * errors. For wire.c, wire_meta.c, wire_look.c and wire_control.c alone.
 */
#ifndef XFER_PROTO_WIRE_BYTES_H
#define XFER_PROTO_WIRE_BYTES_H

#include "proto/wire.h"

struct wire_writer {
    unsigned char *buf;
    size_t len;
};

/* The header; the message is complete after wire_finish(), which returns its length. */
struct wire_writer wire_begin(void *buf, enum wire_type type, uint64_t seq);
size_t wire_finish(struct wire_writer *w);
void wire_put_uint(struct wire_writer *w, uint64_t v, unsigned bytes);
void wire_put_bytes(struct wire_writer *w, const void *bytes, size_t len);
/* u16 length, then the bytes; never a NUL among them */
void wire_put_string(struct wire_writer *w, const char *s, size_t max);
/* u16 code, u8 side, u8 zero, u32 errno, text, path; all zero when there is none */
void wire_put_error(struct wire_writer *w, const struct xfer_error *e, bool with_path);
/* u32 uid, u32 gid, u16 number of groups, u32 each of them */
void wire_put_owner(struct wire_writer *w, uint32_t uid, uint32_t gid, const uint32_t *groups,
                    uint32_t n_groups);

struct wire_reader {
    const unsigned char *buf;
    size_t len, at;
    bool short_of; /* something was read beyond the end: all values since are 0 */
};

/* The header is as it must be; wire_close(): all that was read was there, and nothing is left. */
int wire_open(struct wire_reader *r, const void *buf, size_t len, enum wire_type type,
              uint64_t *seq, struct xfer_error *err);
int wire_close(const struct wire_reader *r, enum wire_type type, struct xfer_error *err);
uint64_t wire_get_uint(struct wire_reader *r, unsigned bytes);
const unsigned char *wire_get_bytes(struct wire_reader *r, size_t len);
void wire_get_digest(struct wire_reader *r, unsigned char digest[XFER_DIGEST_SIZE]);
/* -1: not what it may be. What is too short is told by wire_close(). */
int wire_get_string(struct wire_reader *r, char *out, size_t out_size, size_t *out_len);
int wire_get_error(struct wire_reader *r, struct xfer_error *e);

/* Whose rights are used: uid, gid, and at most XFER_GROUPS_MAX groups. */
struct wire_owner {
    uint32_t *uid, *gid, *n_groups, *groups;
};
int wire_get_owner(struct wire_reader *r, enum wire_type type, const struct wire_owner *owner,
                   struct xfer_error *err);
/* 2^32 - 1 means "no change" to the calls that take them. */
static inline bool wire_is_id(uint32_t id)
{
    return id != UINT32_MAX;
}

/* A message of the control communicator, which is about no file. */
int wire_open_control(struct wire_reader *r, const void *buf, size_t len, enum wire_type type,
                      struct xfer_error *err);

/* "TYPE: bad WHAT", -1 */
int wire_bad(struct xfer_error *err, enum wire_type type, const char *what);

#endif
