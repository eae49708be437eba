/* SPDX-License-Identifier: MIT
 *
 * See kept.h. Text and path, each with its NUL, stand one after the other.
 */
#include "daemon/send/kept.h"

#include <stdlib.h>
#include <string.h>

struct kept_error {
    enum xfer_code code;
    enum xfer_side side;
    int sys_errno;
    size_t text_size;
    char text[];
};

/* Has no text of its own, and is never freed. */
static struct kept_error no_memory = {.code = XFER_NO_RESOURCES, .side = XFER_SIDE_SENDER};

struct kept_error *kept_error_make(const struct xfer_error *err)
{
    size_t text_size = strlen(err->text) + 1, path_size = strlen(err->path) + 1;
    struct kept_error *kept = malloc(sizeof(*kept) + text_size + path_size);

    if (!kept)
        return &no_memory;
    kept->code = err->code;
    kept->side = err->side;
    kept->sys_errno = err->sys_errno;
    kept->text_size = text_size;
    memcpy(kept->text, err->text, text_size);
    memcpy(kept->text + text_size, err->path, path_size);
    return kept;
}

void kept_error_free(struct kept_error *kept)
{
    if (kept != &no_memory)
        free(kept);
}

enum xfer_code kept_error_code(const struct kept_error *kept)
{
    return kept->code;
}

void kept_error_get(const struct kept_error *kept, struct xfer_error *err)
{
    if (kept == &no_memory) {
        error_set(err, XFER_NO_RESOURCES, "no memory to say what went wrong");
        err->side = XFER_SIDE_SENDER;
        return;
    }
    err->code = kept->code;
    err->side = kept->side;
    err->sys_errno = kept->sys_errno;
    strcpy(err->text, kept->text);
    strcpy(err->path, kept->text + kept->text_size);
}
