/* SPDX-License-Identifier: MIT
 *
 * The messages between the ranks other than file data: bytes to structs and back. The layout is
 * specified in proto/PROTOCOL.md; every field is little-endian at a fixed offset. Decoding checks
 * everything (length, version, type, every inner length against what is there, ranges, the path
 * rule) before the struct is filled.
 */
#ifndef XFER_PROTO_WIRE_H
#define XFER_PROTO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/control_method.h"
#include "proto/error.h"
#include "proto/limits.h"

#define WIRE_VERSION     3
#define WIRE_HEADER_SIZE 24

/* MPI tags. On a lane's communicator: */
enum wire_tag {
    WIRE_TAG_META = 1,    /* rank 0 -> rank 1 */
    WIRE_TAG_DATA = 2,    /* rank 0 -> rank 1; the empty message is the end of the file */
    WIRE_TAG_VERDICT = 3, /* rank 0 -> rank 1 */
    WIRE_TAG_RECEIPT = 4, /* rank 1 -> rank 0 */
    WIRE_TAG_REFUSAL =
        5,              /* rank 1 -> rank 0: hint to stop early; the receipt follows all the same */
    WIRE_TAG_GO = 6,    /* rank 1 -> rank 0: what is there of a file whose META asked */
    WIRE_TAG_START = 7, /* rank 0 -> rank 1: from where on it is sent; follows such a META */
    WIRE_TAG_ATTRS =
        8,            /* rank 0 -> rank 1: extended attributes; follow a META that announces them */
    WIRE_TAG_MAP = 9, /* rank 0 -> rank 1: where the data of a file with holes belongs */
    /* on the control communicator: */
    WIRE_TAG_HELLO = 16,     /* both ways, once, before the lanes exist */
    WIRE_TAG_HEARTBEAT = 17, /* both ways: a question and its answer */
    WIRE_TAG_STOP = 18,      /* both ways: rank 1 asks for an end, rank 0 orders it */
    WIRE_TAG_PARTIALS = 19,  /* rank 1 -> rank 0: jobs of which it holds something */
    WIRE_TAG_FORGET = 20,    /* rank 0 -> rank 1: jobs of which nothing is needed any more */
    WIRE_TAG_LOOK = 21,  /* rank 0 -> rank 1: make these directories, look what is at these names */
    WIRE_TAG_LOOKED = 22 /* rank 1 -> rank 0: its answer */
};

/* The type byte of the header says again what the tag says. */
enum wire_type {
    WIRE_META = 1,
    WIRE_VERDICT,
    WIRE_RECEIPT,
    WIRE_REFUSAL,
    WIRE_HELLO,
    WIRE_HEARTBEAT,
    WIRE_STOP,
    WIRE_GO,
    WIRE_START,
    WIRE_PARTIALS,
    WIRE_FORGET,
    WIRE_ATTRS,
    WIRE_MAP,
    WIRE_LOOK,
    WIRE_LOOKED
};

/* What a META, or an entry of a LOOK, is about. Only of a file there is data; the others have an
 * END and a VERDICT all the same. */
enum wire_kind {
    WIRE_KIND_FILE = 0,
    WIRE_KIND_DIRECTORY = 1, /* META: mode, times and all of one whose content is complete; it is
                                made where it is missing */
    WIRE_KIND_SYMLINK = 2,   /* to target, whatever that is */
    WIRE_KIND_HARDLINK = 3,  /* to target, which is stored already: a path like META's own */
    WIRE_KIND_BARRIER = 4    /* nothing (path "."): what this lane holds back for a batch is to be
                                committed now */
};

/* Of every lane message: seq counts the files of that lane from 1; META sets it, all else of that
 * file repeats it. */

struct wire_meta {
    uint64_t seq;
    uint64_t job;  /* 1 .. XFER_INTEGER_MAX */
    uint64_t file; /* which file of the job: 0, or of a tree any number, the same in each attempt */
    uint64_t size; /* bytes that the sender means to send, 0 .. INT64_MAX */
    int64_t mtime_sec;
    uint32_t mtime_nsec; /* < 1e9 */
    uint32_t mode;       /* 0 .. 07777 */
    enum wire_kind kind;
    uint32_t preserve;           /* of enum preserve */
    uint32_t file_uid, file_gid; /* of the source; counts with PRESERVE_OWNER */
    uint32_t attrs_size;         /* bytes in the ATTRS messages that follow, 0: none do; at most
                                    XFER_ATTRS_MAX */
    bool sparse;                 /* MAP messages say where the data belongs */
    bool tree;                   /* it is part of a tree: SYNC_DEFAULT may be a batch */
    enum overwrite_mode overwrite;
    enum sync_mode sync;
    bool
        ask; /* an earlier attempt may have left something: rank 1 sends one GO, rank 0 one START */
    bool caller;       /* it was read with the rights of the owner, and may be stored with them */
    uint32_t uid, gid; /* the owner, neither is 2^32 - 1 */
    uint32_t n_groups; /* supplementary ones, at most XFER_GROUPS_MAX; 0 without caller */
    uint32_t groups[XFER_GROUPS_MAX];
    size_t path_len;
    char path[XFER_PATH_SIZE]; /* relpath normal form, NUL-terminated in the struct only */
    size_t target_len;
    char target[XFER_PATH_SIZE]; /* of a symbolic link: any bytes but NUL; of a hard link: like path
                                  */
};

enum wire_verdict_kind { WIRE_COMMIT = 1, WIRE_ABORT = 2 };
struct wire_verdict {
    uint64_t seq;
    enum wire_verdict_kind kind;
    bool keep;     /* with WIRE_ABORT: another attempt may go on with what has come */
    uint64_t size; /* bytes sent */
    unsigned char digest[XFER_DIGEST_SIZE];
    struct xfer_error
        error; /* why, with WIRE_ABORT: code, side, errno, text (the path is not carried) */
};

/* Also the layout of a refusal, whose error is never XFER_OK. */
struct wire_receipt {
    uint64_t seq;
    uint64_t size; /* bytes stored */
    unsigned char digest[XFER_DIGEST_SIZE];
    struct xfer_error
        error; /* code XFER_OK: stored under its final name, as durable as META's sync asked */
    char stored[XFER_PATH_SIZE]; /* that name beneath the root, relpath normal form; "": META's
                                    path, or nothing was stored */
    bool unchanged;              /* it was there like that already */
    char warning[XFER_ERROR_TEXT_SIZE]; /* what could not be preserved of one that was stored, and
                                           why; "": nothing */
};

/* The next bytes of META's attrs_size, see proto/attrs.h. */
struct wire_attrs {
    uint64_t seq;
    uint32_t offset, len;      /* 1 .. XFER_ATTRS_PIECE, no gaps */
    const unsigned char *data; /* decoded: within the message */
};

/* The next pieces of a file with holes, ascending, none of them empty, none beyond META's size.
 * Their bytes come next, END or another MAP after them. The first MAP comes after META (ATTRS,
 * START), also when there is no data at all. */
struct wire_extent {
    uint64_t offset, length;
};
struct wire_map {
    uint64_t seq;
    bool more;  /* another MAP follows the data of this one */
    uint32_t n; /* 0 .. XFER_MAP_MAX; 0 only without more */
    struct wire_extent extents[XFER_MAP_MAX];
};

/* Entries of one directory: directories are made (unless dry), all else is only looked at. On the
 * control communicator; the numbers count up from 1, at most XFER_LOOKS_MAX are unanswered. */
struct wire_look_entry {
    enum wire_kind kind; /* WIRE_KIND_FILE, _DIRECTORY or _SYMLINK */
    uint32_t mode, uid, gid;
    uint64_t size; /* of a file */
    int64_t mtime_sec;
    uint32_t mtime_nsec;
    uint64_t hash; /* of a file: XXH3-64 of its ATTRS, 0: none are sent; of a symbolic link: of its
                      target */
    char name[XFER_NAME_MAX + 1]; /* one component */
};
struct wire_look {
    uint64_t number;
    uint64_t job;
    enum overwrite_mode overwrite;
    uint32_t preserve;
    bool dry;      /* change nothing */
    bool begin;    /* the job begins for the first time: what changes from now on is its work */
    bool since;    /* only what has changed since then may count as the same */
    bool checksum; /* times say nothing: what has the same size is to be compared */
    bool caller;   /* the rest as in META */
    uint32_t uid, gid, n_groups;
    uint32_t groups[XFER_GROUPS_MAX];
    char base[XFER_PATH_SIZE]; /* the directory, relpath normal form; "": the receiving root. With
                                  its missing parents it is made for a directory in it */
    uint32_t n;                /* 1 .. XFER_LOOK_ENTRIES_MAX */
    struct wire_look_entry entries[XFER_LOOK_ENTRIES_MAX];
};
/* Does another entry with a name of that many bytes fit into the message? */
bool wire_look_has_room(const struct wire_look *m, size_t name_len);

enum wire_looked_result {
    WIRE_LOOKED_ABSENT = 1,
    WIRE_LOOKED_SAME = 2,      /* it is there, as it is to be */
    WIRE_LOOKED_METADATA = 3,  /* its content is, but mode, owner or attributes are not */
    WIRE_LOOKED_DIFFERENT = 4, /* another is there, and may be replaced */
    WIRE_LOOKED_KEPT = 5,      /* another is there, and is not to be replaced (never, newer) */
    WIRE_LOOKED_COMPARE = 6,   /* with checksum: one of the same size is there */
    WIRE_LOOKED_MADE = 7,      /* the directory was made, or (dry) would be: it is empty */
    WIRE_LOOKED_READY = 8,     /* the directory was there */
    WIRE_LOOKED_FAILED = 9     /* it can't be stored: code and errno say why */
};
struct wire_looked {
    uint64_t number;
    uint32_t n; /* as in the LOOK */
    struct {
        enum wire_looked_result result;
        enum xfer_code code; /* of WIRE_LOOKED_FAILED, else XFER_OK */
        int sys_errno;
    } entries[XFER_LOOK_ENTRIES_MAX];
};

/* What rank 1 has of a file: digests of consecutive blocks from its beginning, the last one may be
 * shorter. */
enum wire_offer {
    WIRE_OFFER_NOTHING = 1,
    WIRE_OFFER_PARTIAL = 2, /* the beginning, in a temporary */
    WIRE_OFFER_STORED = 3   /* a file of META's size under the final name */
};
struct wire_go {
    uint64_t seq;
    enum wire_offer offer;
    uint64_t size;  /* bytes there, at most META's size; 0 with nothing */
    uint64_t block; /* bytes of a block; 0 with nothing */
    uint32_t n;     /* blocks: size / block, rounded up, at most XFER_OFFER_BLOCKS_MAX */
    unsigned char digests[XFER_OFFER_BLOCKS_MAX][XFER_DIGEST_SIZE];
};

struct wire_start {
    uint64_t seq;
    uint64_t offset; /* the first byte that is sent: at most what GO offered, and a multiple of its
                        block or all of it. 0 also where no GO was waited for */
};

/* PARTIALS and FORGET */
struct wire_jobs {
    uint32_t n; /* 1 .. XFER_JOB_LIST_MAX */
    uint64_t jobs[XFER_JOB_LIST_MAX];
};

struct wire_hello {
    uint32_t version; /* highest that the sender of this speaks; rank 1 answers with the one to use
                         or an error */
    uint32_t lanes, chunk, window; /* rank 0 decides, rank 1 repeats; window: files of a lane that
                                      await their receipt */
    uint64_t pid;
    unsigned char queue_id[XFER_QUEUE_ID_SIZE];
    bool caller;   /* rank 0: it says whose rights are to be used; rank 1: it uses them */
    bool per_user; /* rank 1: only its receipts tell where a file lies */
    char host[XFER_HOST_SIZE];
    char root[XFER_PATH_SIZE];     /* rank 1: absolute receiving root; rank 0: "" */
    char doorbell[XFER_PATH_SIZE]; /* path of its datagram socket; "": none */
    struct xfer_error error;       /* rank 1: why it can't serve; code XFER_OK: it can */
};

struct wire_heartbeat {
    uint64_t number;
    bool answer;
    uint64_t free_bytes,
        total_bytes; /* of the receiving root, in rank 1's messages; UINT64_MAX: not known */
};

struct wire_stop {
    uint32_t reserved;
};

/* Encoders write into buf (at least XFER_MESSAGE_MAX bytes) and return the length; the structs must
 * be valid (broken ones are a bug, caught by assert). Texts and paths of errors that are too long
 * are cut. */
size_t wire_meta_encode(const struct wire_meta *m, void *buf);
size_t wire_verdict_encode(const struct wire_verdict *m, void *buf);
size_t wire_receipt_encode(const struct wire_receipt *m, void *buf);
size_t wire_refusal_encode(const struct wire_receipt *m, void *buf);
size_t wire_hello_encode(const struct wire_hello *m, void *buf);
size_t wire_heartbeat_encode(const struct wire_heartbeat *m, void *buf);
size_t wire_stop_encode(const struct wire_stop *m, void *buf);
size_t wire_go_encode(const struct wire_go *m, void *buf);
size_t wire_start_encode(const struct wire_start *m, void *buf);
size_t wire_partials_encode(const struct wire_jobs *m, void *buf);
size_t wire_forget_encode(const struct wire_jobs *m, void *buf);
size_t wire_attrs_encode(const struct wire_attrs *m, void *buf);
size_t wire_map_encode(const struct wire_map *m, void *buf);
size_t wire_look_encode(const struct wire_look *m, void *buf);
size_t wire_looked_encode(const struct wire_looked *m, void *buf);

/* Decoders: 0, or -1 with XFER_PROTOCOL and what is wrong. */
int wire_meta_decode(const void *buf, size_t len, struct wire_meta *m, struct xfer_error *err);
int wire_verdict_decode(const void *buf, size_t len, struct wire_verdict *m,
                        struct xfer_error *err);
int wire_receipt_decode(const void *buf, size_t len, struct wire_receipt *m,
                        struct xfer_error *err);
int wire_refusal_decode(const void *buf, size_t len, struct wire_receipt *m,
                        struct xfer_error *err);
int wire_hello_decode(const void *buf, size_t len, struct wire_hello *m, struct xfer_error *err);
int wire_heartbeat_decode(const void *buf, size_t len, struct wire_heartbeat *m,
                          struct xfer_error *err);
int wire_stop_decode(const void *buf, size_t len, struct wire_stop *m, struct xfer_error *err);
int wire_go_decode(const void *buf, size_t len, struct wire_go *m, struct xfer_error *err);
int wire_start_decode(const void *buf, size_t len, struct wire_start *m, struct xfer_error *err);
int wire_partials_decode(const void *buf, size_t len, struct wire_jobs *m, struct xfer_error *err);
int wire_forget_decode(const void *buf, size_t len, struct wire_jobs *m, struct xfer_error *err);
int wire_attrs_decode(const void *buf, size_t len, struct wire_attrs *m, struct xfer_error *err);
int wire_map_decode(const void *buf, size_t len, struct wire_map *m, struct xfer_error *err);
int wire_look_decode(const void *buf, size_t len, struct wire_look *m, struct xfer_error *err);
int wire_looked_decode(const void *buf, size_t len, struct wire_looked *m, struct xfer_error *err);

#endif
