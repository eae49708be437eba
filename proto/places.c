/* SPDX-License-Identifier: MIT
 *
 * The default places, computed from a uid and an environment alone. Everything is written into the
 * caller's struct.
 */
#include "proto/places.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SERVICE_RUNTIME "/run/xfer"
#define SERVICE_STATE   "/var/lib/xfer"
#define SERVICE_CONFIG  "/etc/xfer/xferd.conf"
#define SOCKET_NAME     "control.sock"

static int put(char out[XFER_PATH_SIZE], const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static int put(char out[XFER_PATH_SIZE], const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(out, XFER_PATH_SIZE, fmt, ap);
    va_end(ap);
    if (n >= 0 && n < XFER_PATH_SIZE)
        return 0;
    out[0] = '\0';
    return -1;
}

/* An empty variable counts as unset everywhere here. */
static const char *variable(const char *(*env)(const char *name), const char *name)
{
    const char *value = env(name);

    return value && value[0] != '\0' ? value : NULL;
}

/* A variable that names a directory; a relative one is ignored, as the XDG base directory
 * specification wants it. */
static const char *directory(const char *(*env)(const char *name), const char *name)
{
    const char *value = variable(env, name);

    return value && value[0] == '/' ? value : NULL;
}

/* systemd's variables may list several directories; the first is the one to use. */
static int put_first(char out[XFER_PATH_SIZE], const char *list, const char *otherwise)
{
    if (!list)
        return put(out, "%s", otherwise);
    size_t len = strcspn(list, ":");
    if (len >= XFER_PATH_SIZE)
        return -1;
    return put(out, "%.*s", (int)len, list);
}

static int service_places(struct places *p, const char *(*env)(const char *name))
{
    char state[XFER_PATH_SIZE];

    if (put_first(state, directory(env, "STATE_DIRECTORY"), SERVICE_STATE) == -1 ||
        put_first(p->runtime, directory(env, "RUNTIME_DIRECTORY"), SERVICE_RUNTIME) == -1)
        return -1;
    if (put(p->config, "%s", SERVICE_CONFIG) == -1 ||
        put(p->socket, "%s/%s", p->runtime, SOCKET_NAME) == -1 ||
        put(p->queue, "%s/queue.db", state) == -1 || put(p->incoming, "%s/incoming", state) == -1)
        return -1;
    return 0;
}

static int private_runtime(char out[XFER_PATH_SIZE], uid_t uid,
                           const char *(*env)(const char *name))
{
    const char *runtime = directory(env, "XDG_RUNTIME_DIR");

    if (runtime)
        return put(out, "%s/xfer", runtime);
    return put(out, "/tmp/xfer-%lu", (unsigned long)uid);
}

static int private_places(struct places *p, uid_t uid, const char *(*env)(const char *name),
                          const char *home)
{
    const char *config = directory(env, "XDG_CONFIG_HOME");
    const char *state = directory(env, "XDG_STATE_HOME");
    const char *own_home = directory(env, "HOME");
    char base[XFER_PATH_SIZE];

    if (own_home)
        home = own_home;

    if (config) {
        if (put(p->config, "%s/xfer/xferd.conf", config) == -1)
            return -1;
    } else if (home && put(p->config, "%s/.config/xfer/xferd.conf", home) == -1) {
        return -1;
    }

    if (!state && !home)
        return -1;
    if ((state ? put(base, "%s/xfer", state) : put(base, "%s/.local/state/xfer", home)) == -1)
        return -1;
    if (put(p->queue, "%s/queue.db", base) == -1 || put(p->incoming, "%s/incoming", base) == -1)
        return -1;

    if (private_runtime(p->runtime, uid, env) == -1 ||
        put(p->socket, "%s/%s", p->runtime, SOCKET_NAME) == -1)
        return -1;
    return 0;
}

int places_daemon(struct places *p, uid_t uid, const char *(*env)(const char *name),
                  const char *home)
{
    *p = (struct places){.service = uid == 0 || variable(env, "RUNTIME_DIRECTORY") != NULL};
    return p->service ? service_places(p, env) : private_places(p, uid, env, home);
}

struct found {
    char (*out)[XFER_PATH_SIZE];
    bool *must_own;
    int n;
};

/* Takes up the path that was just written to the next free place, unless it is known. */
static void keep(struct found *f, int written, bool must_own)
{
    if (written == -1)
        return;
    for (int i = 0; i < f->n; i++)
        if (strcmp(f->out[i], f->out[f->n]) == 0)
            return;
    f->must_own[f->n++] = must_own;
}

int places_sockets(char out[PLACES_SOCKETS_MAX][XFER_PATH_SIZE], bool must_own[PLACES_SOCKETS_MAX],
                   uid_t uid, const char *(*env)(const char *name))
{
    struct found f = {.out = out, .must_own = must_own};
    const char *told = variable(env, "XFER_SOCKET");

    if (told) {
        keep(&f, put(out[f.n], "%s", told), false);
        return f.n;
    }
    if (uid != 0) {
        const char *runtime = directory(env, "XDG_RUNTIME_DIR");

        if (runtime)
            keep(&f, put(out[f.n], "%s/xfer/%s", runtime, SOCKET_NAME), true);
        keep(&f, put(out[f.n], "/run/user/%lu/xfer/%s", (unsigned long)uid, SOCKET_NAME), true);
        keep(&f, put(out[f.n], "/tmp/xfer-%lu/%s", (unsigned long)uid, SOCKET_NAME), true);
    }
    keep(&f, put(out[f.n], "%s/%s", SERVICE_RUNTIME, SOCKET_NAME), false);
    return f.n;
}
