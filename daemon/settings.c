/* SPDX-License-Identifier: MIT
 *
 * See settings.h. The texts are those that launch.c gives the ranks at their start, so there is one
 * way to write a setting and one to read it.
 */
#include "daemon/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/sealed.h"
#include "proto/limits.h"

int settings_pack(const struct conf *conf, struct xfer_error *err)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    bool ok = out != NULL;
    int fd = -1;

    for (size_t i = 0; ok && i < conf_keys(); i++) {
        char *assignment;

        if (!conf_is_live(i))
            continue;
        assignment = conf_assignment(conf, i);
        ok = assignment != NULL && fwrite(assignment, strlen(assignment) + 1, 1, out) == 1;
        free(assignment);
    }
    if (out != NULL && fclose(out) != 0)
        ok = false;
    if (ok)
        fd = sealed_make("settings", text, len, err);
    else
        error_set(err, XFER_NO_RESOURCES, "no memory for the settings");
    free(text);
    return fd;
}

static int take_each(const char *text, size_t len, struct conf *conf, struct xfer_error *err)
{
    if (len > 0 && text[len - 1] != '\0')
        return error_set(err, XFER_PROTOCOL, "the settings are cut off");
    for (size_t at = 0; at < len; at += strlen(text + at) + 1)
        if (conf_set(conf, text + at, err) < 0)
            return -1;
    return 0;
}

int settings_take(int fd, struct conf *conf, struct xfer_error *err)
{
    size_t len;
    char *text = sealed_read(fd, XFER_SETTINGS_MAX, &len, err);
    struct conf *fresh = text != NULL ? malloc(sizeof *fresh) : NULL;
    int result = -1;

    if (fresh != NULL) {
        *fresh = *conf;
        result = take_each(text, len, fresh, err);
        if (result == 0)
            conf_copy_live(conf, fresh);
    } else if (text != NULL) {
        error_set(err, XFER_NO_RESOURCES, "no memory for the settings");
    }
    free(fresh);
    free(text);
    return result;
}
