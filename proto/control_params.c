/* SPDX-License-Identifier: MIT
 *
 * The parameters of a request as a struct of their own: made, copied, freed. Runs on either side of
 * the socket.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/control_method.h"

void control_params_init(struct control_params *p)
{
    *p = (struct control_params){
        .limit = -1,
        .retries = -1,
        .bandwidth = -1,
        .timeout = -1,
        .overwrite = OVERWRITE_REPLACE,
        .sync = SYNC_DEFAULT,
        .state = -1,
        .preserve = PRESERVE_DEFAULT,
    };
}

void control_params_free(struct control_params *p)
{
    free(p->source);
    free(p->dest);
    free(p->method);
    free(p->user);
    free(p->key);
    control_strings_free(&p->filter);
    control_strings_free(&p->files);
    control_params_init(p);
}

static bool copy_text(char **to, const char *from)
{
    *to = from ? strdup(from) : NULL;
    return !from || *to;
}

bool control_params_copy(struct control_params *to, const struct control_params *from)
{
    *to = *from;
    to->source = to->dest = to->method = to->user = to->key = NULL;
    to->filter = to->files = (struct control_strings){0};
    if (copy_text(&to->source, from->source) && copy_text(&to->dest, from->dest) &&
        copy_text(&to->method, from->method) && copy_text(&to->user, from->user) &&
        copy_text(&to->key, from->key) && control_strings_copy(&to->filter, &from->filter) &&
        control_strings_copy(&to->files, &from->files))
        return true;
    control_params_free(to);
    return false;
}

void control_strings_free(struct control_strings *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->list[i]);
    free(s->list);
    *s = (struct control_strings){0};
}

bool control_strings_copy(struct control_strings *to, const struct control_strings *from)
{
    *to = (struct control_strings){0};
    if (from->n == 0)
        return true;
    to->list = calloc(from->n, sizeof(char *));
    if (!to->list)
        return false;
    for (; to->n < from->n; to->n++) {
        to->list[to->n] = strdup(from->list[to->n]);
        if (!to->list[to->n]) {
            control_strings_free(to);
            return false;
        }
    }
    return true;
}
