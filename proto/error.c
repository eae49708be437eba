/* SPDX-License-Identifier: MIT
 *
 * One table gives every error its name, its JSON-RPC number, the exit code of xferctl and whether
 * another attempt is worth it; PROTOCOL.md lists the same.
 */
#include "proto/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/text.h"

static const struct xfer_error_info infos[XFER_CODE_COUNT] = {
    [XFER_OK] = {"Ok", 0, 0, false},
    [XFER_PARSE_ERROR] = {"ParseError", -32700, 2, false},
    [XFER_INVALID_REQUEST] = {"InvalidRequest", -32600, 2, false},
    [XFER_METHOD_NOT_FOUND] = {"MethodNotFound", -32601, 2, false},
    [XFER_INVALID_PARAMS] = {"InvalidParams", -32602, 2, false},
    [XFER_INTERNAL] = {"InternalError", -32603, 1, false},
    [XFER_NO_SUCH_JOB] = {"NoSuchJob", -32001, 5, false},
    [XFER_JOB_FORGOTTEN] = {"JobForgotten", -32002, 5, false},
    [XFER_PERMISSION_DENIED] = {"PermissionDenied", -32003, 4, false},
    [XFER_DRAINING] = {"Draining", -32004, 1, true},
    [XFER_QUEUE_FULL] = {"QueueFull", -32005, 1, true},
    [XFER_TOO_BUSY] = {"TooBusy", -32006, 1, true},
    [XFER_TIMEOUT] = {"Timeout", -32007, 124, false},
    [XFER_LINE_TOO_LONG] = {"LineTooLong", -32008, 2, false},
    [XFER_DESTINATION_EXISTS] = {"DestinationExists", -32010, 6, false},
    [XFER_NO_SUCH_FILE] = {"NoSuchFile", -32011, 5, false},
    [XFER_IS_DIRECTORY] = {"IsDirectory", -32012, 1, false},
    [XFER_NOT_REGULAR] = {"NotRegular", -32013, 1, false},
    [XFER_NOT_DIRECTORY] = {"NotDirectory", -32014, 1, false},
    [XFER_NO_SPACE] = {"NoSpace", -32015, 8, true},
    [XFER_DIGEST_MISMATCH] = {"DigestMismatch", -32016, 7, true},
    [XFER_SOURCE_CHANGED] = {"SourceChanged", -32017, 1, true},
    [XFER_INVALID_DESTINATION] = {"InvalidDestination", -32602, 2, false},
    [XFER_UNSAFE_PATH] = {"UnsafePath", -32018, 4, false},
    [XFER_NAME_TOO_LONG] = {"NameTooLong", -32019, 1, false},
    [XFER_FILE_TOO_LARGE] = {"FileTooLarge", -32020, 1, false},
    [XFER_IO] = {"IOError", -32021, 1, true},
    [XFER_PEER_DOWN] = {"PeerDown", -32022, 9, true},
    [XFER_CANCELLED] = {"Cancelled", -32023, 10, false},
    [XFER_STOPPING] = {"Stopping", -32024, 1, true},
    [XFER_READ_ONLY] = {"ReadOnly", -32025, 1, false},
    [XFER_NO_RESOURCES] = {"NoResources", -32026, 1, true},
    [XFER_PROTOCOL] = {"ProtocolError", -32027, 1, false},
    [XFER_NO_DAEMON] = {"NoDaemon", -32028, 3, true},
    [XFER_CONFIG] = {"BadConfig", -32029, 2, false},
    [XFER_USAGE] = {"Usage", -32030, 2, false},
    [XFER_KEY_CONFLICT] = {"KeyConflict", -32031, 2, false},
    [XFER_STALLED] = {"Stalled", -32032, 1, true},
    [XFER_SOURCE_HANDLE_LOST] = {"SourceHandleLost", -32033, 1, false},
    [XFER_USER_LIMIT] = {"UserLimit", -32034, 1, true},
    [XFER_INCOMPLETE] = {"Incomplete", -32035, 1, false},
};

static const char *const sides[XFER_SIDE_COUNT] = {
    [XFER_SIDE_CLIENT] = "client",
    [XFER_SIDE_DAEMON] = "daemon",
    [XFER_SIDE_SENDER] = "sender",
    [XFER_SIDE_RECEIVER] = "receiver",
};

const struct xfer_error_info *error_info(enum xfer_code code)
{
    if ((unsigned)code >= XFER_CODE_COUNT)
        code = XFER_INTERNAL;
    return &infos[code];
}

enum xfer_code error_code_by_name(const char *name)
{
    for (unsigned i = 0; i < XFER_CODE_COUNT; i++)
        if (strcmp(infos[i].name, name) == 0)
            return (enum xfer_code)i;
    return XFER_INTERNAL;
}

const char *error_side_name(enum xfer_side side)
{
    return (unsigned)side < XFER_SIDE_COUNT ? sides[side] : NULL;
}

enum xfer_side error_side_by_name(const char *name)
{
    for (unsigned i = 0; i < XFER_SIDE_COUNT; i++)
        if (sides[i] && strcmp(sides[i], name) == 0)
            return (enum xfer_side)i;
    return XFER_SIDE_NONE;
}

void error_clean(char *text)
{
    size_t len = strlen(text);
    bool utf8 = text_is_utf8(text, len);

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        /* C1 controls are two bytes in UTF-8, 0xc2 and then 0x80 to 0x9f: a terminal obeys them
         * too. */
        bool c1 = c == 0xc2 && (unsigned char)text[i + 1] < 0xa0;

        if (c < 0x20 || c == 0x7f || (!utf8 && c >= 0x80))
            text[i] = '?';
        else if (c1)
            text[i] = text[i + 1] = '?';
    }
}

/* vsnprintf may cut in the middle of a character: drop the broken tail so that the text stays
 * UTF-8. */
static void drop_broken_tail(char *text)
{
    size_t len = strlen(text);

    for (unsigned i = 0; i < 4 && len > 0 && !text_is_utf8(text, len); i++) {
        size_t cut = len - 1 - i;

        if (len <= i)
            return;
        if (text_is_utf8(text, cut)) {
            text[cut] = '\0';
            return;
        }
    }
}

__attribute__((format(printf, 2, 0))) static void set_text(struct xfer_error *err, const char *fmt,
                                                           va_list ap)
{
    int n = vsnprintf(err->text, sizeof(err->text), fmt, ap);

    if (n >= (int)sizeof(err->text))
        drop_broken_tail(err->text);
    error_clean(err->text);
}

static void reset(struct xfer_error *err, enum xfer_code code)
{
    err->code = code;
    err->side = XFER_SIDE_NONE;
    err->sys_errno = 0;
    err->path[0] = '\0';
}

int error_set(struct xfer_error *err, enum xfer_code code, const char *fmt, ...)
{
    va_list ap;

    reset(err, code);
    va_start(ap, fmt);
    set_text(err, fmt, ap);
    va_end(ap);
    return -1;
}

int error_set_errno(struct xfer_error *err, int errnum, const char *fmt, ...)
{
    char text[XFER_ERROR_TEXT_SIZE];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    error_set(err, error_code_of_errno(errnum), "%.*s: %s", XFER_ERROR_TEXT_SIZE - 128, text,
              strerror(errnum));
    err->sys_errno = errnum;
    return -1;
}

int error_prefix(struct xfer_error *err, const char *fmt, ...)
{
    char context[XFER_ERROR_TEXT_SIZE];
    size_t text_size = strlen(err->text) + 1, len;
    size_t room = sizeof(err->text) - text_size; /* for the context and ": " */
    va_list ap;

    if (room <= 2)
        return -1; /* what happened matters more than where */
    va_start(ap, fmt);
    vsnprintf(context, room - 1, fmt, ap);
    va_end(ap);
    drop_broken_tail(context);
    error_clean(context);
    len = strlen(context);
    memmove(err->text + len + 2, err->text, text_size);
    memcpy(err->text, context, len);
    memcpy(err->text + len, ": ", 2);
    return -1;
}

int error_about(struct xfer_error *err, enum xfer_side side, const char *path)
{
    err->side = side;
    snprintf(err->path, sizeof(err->path), "%s", path);
    return -1;
}

enum xfer_code error_code_of_errno(int errnum)
{
    switch (errnum) {
    case ENOENT:
        return XFER_NO_SUCH_FILE;
    case EACCES:
    case EPERM:
        return XFER_PERMISSION_DENIED;
    case EEXIST:
        return XFER_DESTINATION_EXISTS;
    case EISDIR:
        return XFER_IS_DIRECTORY;
    case ENOTDIR:
        return XFER_NOT_DIRECTORY;
    case ENOSPC:
    case EDQUOT:
        return XFER_NO_SPACE;
    case ELOOP:
    case EXDEV:
        return XFER_UNSAFE_PATH;
    case ENAMETOOLONG:
        return XFER_NAME_TOO_LONG;
    case EFBIG:
    case EOVERFLOW:
        return XFER_FILE_TOO_LARGE;
    case EROFS:
        return XFER_READ_ONLY;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return XFER_NO_RESOURCES;
    default:
        return XFER_IO;
    }
}
