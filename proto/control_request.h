/* SPDX-License-Identifier: MIT
 *
 * Requests of the control socket: JSON-RPC 2.0 lines to plain structs and back. All that can be
 * wrong with a request is found here, before any effect.
 */
#ifndef XFER_PROTO_CONTROL_REQUEST_H
#define XFER_PROTO_CONTROL_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/control_method.h"
#include "proto/error.h"

struct control_request {
    char *id;          /* JSON text to echo; "null" when it had none or it could not be told */
    bool notification; /* no reply is owed: "jsonrpc" was there and "id" was not */
    const struct method_spec *method; /* NULL when error says why it can't run */
    struct control_params params;
    struct xfer_error
        error; /* code XFER_OK: run it; else: answer with this (unless a notification) */
};

struct control_message {
    bool batch; /* answered as one array */
    size_t n;   /* 1 unless a batch */
    struct control_request *requests;
};

/* Decode one line. Always gives a message: what cannot be parsed is a message of one request that
 * has the error (XFER_PARSE_ERROR, XFER_INVALID_REQUEST for [] ...). NULL only when there is no
 * memory. */
struct control_message *control_message_parse(const char *line, size_t len);
void control_message_free(struct control_message *m); /* NULL is fine */

/* The other direction, for xferctl: a request line, LF included, that the caller frees. Only
 * parameters that differ from control_params_init() are written; paths go as text or as NAME_b64.
 * NULL: no memory. */
char *control_request_encode(int64_t id, enum method_id method,
                             const struct control_params *params);

/* A request of any method with parameters as raw JSON (NULL or "": none). XFER_USAGE when params is
 * not a JSON object or array. */
char *control_request_encode_raw(int64_t id, const char *method, const char *params,
                                 struct xfer_error *err);

#endif
