/* SPDX-License-Identifier: MIT
 *
 * What all control codecs share: text to a tree and back, members of every kind that the protocol
 * has, and tables that map the members of an object to the fields of a struct, for both directions.
 *
 * The json_add_*() return false when there is no memory or the object is NULL, so that they chain
 * with &&. The json_get_*() leave the target alone when the member is missing, and fail with
 * XFER_PROTOCOL when it has the wrong type.
 */
#ifndef XFER_PROTO_CONTROL_JSON_H
#define XFER_PROTO_CONTROL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/control_method.h"
#include "proto/control_scan.h"
#include "proto/error.h"

struct cJSON;

/* The tree of a text that json_scan() found good; strings in which NUL was escaped hold
 * JSON_NUL_MARK. NULL: no memory. The caller deletes it. */
struct cJSON *json_parse(const char *text, size_t len, const struct json_facts *facts);

/* The same for text that need not be good, from the daemon: NULL with XFER_PROTOCOL or
 * XFER_NO_RESOURCES. */
struct cJSON *json_parse_reply(const char *text, size_t len, struct xfer_error *err);

/* The text of the tree, on one line; the tree is deleted. NULL when there is no memory, or ok is
 * false. */
char *json_finish(struct cJSON *tree, bool ok);

/* An integer within +-XFER_JSON_INTEGER_MAX in *value; false when the item is none. */
bool json_integer(const struct cJSON *item, int64_t *value);

/* Integers beyond XFER_JSON_INTEGER_MAX are cut to it. */
bool json_add_integer(struct cJSON *object, const char *name, int64_t value);
/* With up to six decimals; what is not finite becomes 0. */
bool json_add_number(struct cJSON *object, const char *name, double value);
/* NULL becomes null. Text that is not UTF-8 is cleaned (error_clean()). */
bool json_add_text(struct cJSON *object, const char *name, const char *text);
/* Bytes: as NAME where they are UTF-8, else as NAME_b64. */
bool json_add_path(struct cJSON *object, const char *name, const char *path);
/* An array: NAME where all are UTF-8, else NAME_b64. */
bool json_add_strings(struct cJSON *object, const char *name, const struct control_strings *s);
/* A new object at the end of the array, which owns it. NULL: no memory. */
struct cJSON *json_append_object(struct cJSON *array);

enum json_kind {
    JSON_INT64,          /* int64_t */
    JSON_INT,            /* int */
    JSON_INT64_OR_NULL,  /* int64_t; negative is null */
    JSON_BOOL,           /* bool */
    JSON_NUMBER,         /* double */
    JSON_TIME,           /* double; 0 is null */
    JSON_STRING,         /* char *; never null */
    JSON_STRING_OR_NULL, /* char *; NULL is null */
    JSON_PATH,           /* char *, raw bytes; never null */
    JSON_TEXT_BUFFER,    /* char[size] */
    JSON_PATH_BUFFER,    /* char[size], raw bytes */
    JSON_STRINGS,        /* struct control_strings; never null */
    JSON_STATE           /* enum job_state */
};

struct json_field {
    const char *name;
    enum json_kind kind;
    size_t offset;
    size_t size; /* of buffers */
};

struct json_fields {
    const struct json_field *list;
    size_t n;
};

bool json_add_fields(struct cJSON *object, const struct json_fields *fields, const void *base);

/* Strings are allocated for the struct, also on failure: free it either way. A string that must not
 * be null becomes "". */
int json_get_fields(const struct cJSON *object, const struct json_fields *fields, void *base,
                    struct xfer_error *err);

#endif
