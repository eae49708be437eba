/* SPDX-License-Identifier: MIT
 *
 * The one error of xfer: made where something fails, carried unchanged from rank 1 to rank 0 to the
 * JSON reply to the exit code of xferctl.
 *
 * Convention: a function that can fail returns int 0 / -1 (or a pointer / NULL) and takes a struct
 * xfer_error as its last argument, never NULL; it is written only on failure. error_set*() always
 * return -1 so that "return error_set(...)" reads as one step. Callers add context on the way up
 * with error_prefix().
 */
#ifndef XFER_PROTO_ERROR_H
#define XFER_PROTO_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/limits.h"

/* What happened. The numeric values travel between ranks and are never reused; append only. */
enum xfer_code {
    XFER_OK = 0,
    XFER_PARSE_ERROR = 1,
    XFER_INVALID_REQUEST = 2,
    XFER_METHOD_NOT_FOUND = 3,
    XFER_INVALID_PARAMS = 4,
    XFER_INTERNAL = 5,
    XFER_NO_SUCH_JOB = 6,
    XFER_JOB_FORGOTTEN = 7,
    XFER_PERMISSION_DENIED = 8,
    XFER_DRAINING = 9,
    XFER_QUEUE_FULL = 10,
    XFER_TOO_BUSY = 11,
    XFER_TIMEOUT = 12,
    XFER_LINE_TOO_LONG = 13,
    XFER_DESTINATION_EXISTS = 14,
    XFER_NO_SUCH_FILE = 15,
    XFER_IS_DIRECTORY = 16,
    XFER_NOT_REGULAR = 17,
    XFER_NOT_DIRECTORY = 18,
    XFER_NO_SPACE = 19,
    XFER_DIGEST_MISMATCH = 20,
    XFER_SOURCE_CHANGED = 21,
    XFER_INVALID_DESTINATION = 22,
    XFER_UNSAFE_PATH = 23,
    XFER_NAME_TOO_LONG = 24,
    XFER_FILE_TOO_LARGE = 25,
    XFER_IO = 26,
    XFER_PEER_DOWN = 27,
    XFER_CANCELLED = 28,
    XFER_STOPPING = 29,
    XFER_READ_ONLY = 30,
    XFER_NO_RESOURCES = 31,
    XFER_PROTOCOL = 32,
    XFER_NO_DAEMON = 33,
    XFER_CONFIG = 34,
    XFER_USAGE = 35,
    XFER_KEY_CONFLICT = 36,
    XFER_STALLED = 37,
    XFER_SOURCE_HANDLE_LOST = 38,
    XFER_USER_LIMIT = 39,
    XFER_INCOMPLETE = 40,
    XFER_CODE_COUNT
};

/* Where it happened. */
enum xfer_side {
    XFER_SIDE_NONE,
    XFER_SIDE_CLIENT,
    XFER_SIDE_DAEMON,
    XFER_SIDE_SENDER,
    XFER_SIDE_RECEIVER,
    XFER_SIDE_COUNT
};

struct xfer_error {
    enum xfer_code code;
    enum xfer_side side;
    int sys_errno;                   /* 0: no system call was to blame */
    char text[XFER_ERROR_TEXT_SIZE]; /* for people: one line of valid UTF-8 without control
                                        characters */
    char path[XFER_PATH_SIZE];       /* the file it is about, raw bytes; "" when about none */
};

#define XFER_ERROR_INIT \
    {                   \
        .code = XFER_OK \
    }

/* Fixed facts of a code. error_info() of a number that is no code gives those of XFER_INTERNAL. */
struct xfer_error_info {
    const char *name; /* data.name of the socket: "DestinationExists" */
    int rpc_code;     /* JSON-RPC error number */
    int exit_code;    /* of xferctl */
    bool retryable;   /* another attempt may succeed without anybody changing the request */
};
const struct xfer_error_info *error_info(enum xfer_code code);

/* The code of that data.name; XFER_INTERNAL when there is none. */
enum xfer_code error_code_by_name(const char *name);

/* "sender", "receiver", ... ; NULL for XFER_SIDE_NONE. The reverse gives XFER_SIDE_NONE for unknown
 * text. */
const char *error_side_name(enum xfer_side side);
enum xfer_side error_side_by_name(const char *name);

/* Set code and text, clear the rest. The formatted text is made printable (error_clean()). Returns
 * -1. */
int error_set(struct xfer_error *err, enum xfer_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same from an errno value: the code is chosen by it, ": strerror" is appended. Returns -1. */
int error_set_errno(struct xfer_error *err, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Which code an errno value means for a file operation. */
enum xfer_code error_code_of_errno(int errnum);

/* Put "CONTEXT: " in front of the text. Returns -1. */
int error_prefix(struct xfer_error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Record the file it is about (cut at XFER_PATH_SIZE - 1) and the side. Return -1. */
int error_about(struct xfer_error *err, enum xfer_side side, const char *path);

/* Replace what must not reach a terminal or a JSON text in place: control characters and invalid
 * UTF-8 become '?'. */
void error_clean(char *text);

#endif
