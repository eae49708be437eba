/* SPDX-License-Identifier: MIT
 *
 * See reread.h. What differs is found by comparing what both would look like in a file.
 */
#include "daemon/reread.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"

static bool is_same_conf(const struct conf *a, const struct conf *b)
{
    bool same = true;

    for (size_t i = 0; i < conf_keys() && same; i++) {
        char *x = conf_assignment(a, i), *y = conf_assignment(b, i);

        same = x != NULL && y != NULL && strcmp(x, y) == 0;
        free(x);
        free(y);
    }
    return same;
}

void reread_tell(const struct conf *running,
                 int (*reread)(void *user, struct conf *conf, struct xfer_error *err), void *user)
{
    struct conf *conf = malloc(sizeof *conf);
    struct xfer_error err = XFER_ERROR_INIT;

    if (conf == NULL)
        return;
    if (reread(user, conf, &err) < 0)
        log_error("nothing is changed: %s", err.text);
    else if (is_same_conf(conf, running))
        log_notice("the configuration is as it was");
    else
        log_warning("the configuration has changed; that takes effect when xferd is started again");
    free(conf);
}
