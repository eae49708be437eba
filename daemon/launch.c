/* SPDX-License-Identifier: MIT
 *
 * The launcher, rank 0 alone, and the question to the other host, as children of the supervisor.
 *
 * Open MPI on one host: no binding to cores (it would put both threads of a rank on one), shared
 * memory alone, copied without the system call that containers deny, its files in our own
 * directories, no search for resource managers or remote shells. "localhost:2" makes two ranks fit
 * on one core and keeps a default host file out. On two hosts: TCP alone, and nothing of our
 * directories, which the other host does not have.
 *
 * Rank 0, and rank 1 on this host, are given the settings in effect one by one, so that a file that
 * changes under a running daemon, or an environment that does, cannot set the two at odds. A rank
 * on another host reads its own configuration.
 */
#include "daemon/launch.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/spawn.h"

#ifndef XFER_MPIEXEC
#define XFER_MPIEXEC "mpiexec"
#endif
#ifndef XFER_OPEN_MPI
#define XFER_OPEN_MPI 4
#endif

/* Bytes of a message through shared memory, with what Open MPI puts before it, up to which it needs
 * no agreement: its own 4096 just miss the smallest chunk and the commonest file. */
#define EAGER_LIMIT "8192"
/* Bytes of the pieces of larger ones: of its own 32768 each costs both sides a turn. */
#define PIECE_SIZE "262144"

#define SSH "ssh -o BatchMode=yes -o ConnectTimeout=10"

extern char **environ;

/* ---- lists of words ------------------------------------------------------------------------- */

struct words {
    char **list;
    size_t n, size;
    bool failed;
};

static void take_word(struct words *w, char *word)
{
    if (w->n + 2 > w->size) {
        size_t size = w->size > 0 ? 2 * w->size : 64;
        char **list = realloc(w->list, size * sizeof *list);

        if (list == NULL) {
            free(word);
            w->failed = true;
            return;
        }
        w->list = list;
        w->size = size;
    }
    if (word == NULL) {
        w->failed = true;
        return;
    }
    w->list[w->n++] = word;
    w->list[w->n] = NULL;
}

static void add_word(struct words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add_word(struct words *w, const char *fmt, ...)
{
    va_list args;
    char *word;
    int n;

    va_start(args, fmt);
    n = vasprintf(&word, fmt, args);
    va_end(args);
    take_word(w, n >= 0 ? word : NULL);
}

static void add_setting(struct words *w, const char *name, const char *value)
{
    add_word(w, "--mca");
    add_word(w, "%s", name);
    add_word(w, "%s", value);
}

void launch_free(char **list)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++)
        free(list[i]);
    free(list);
}

static char **finish(struct words *w, struct xfer_error *err)
{
    if (!w->failed)
        return w->list;
    launch_free(w->list);
    error_set(err, XFER_NO_RESOURCES, "no memory for the launcher's arguments");
    return NULL;
}

/* ---- the command line ----------------------------------------------------------------------- */

/* xferd with its private arguments; rank -1: the launcher says which. */
static void add_program(struct words *w, const struct launch_options *o, int rank)
{
    add_word(w, "%s", o->program);
    if (rank >= 0)
        add_word(w, "--rank=%d", rank);
    if (rank == 1)
        return;
    add_word(w, "--generation=%" PRId64, o->generation);
    add_word(w, "--handoff=%s", o->handoff);
    add_word(w, "--runtime=%s", o->runtime);
    /* not to be read: so that it is never sent */
    if (o->conf->file[0] == '/')
        add_word(w, "-c%s", o->conf->file);
    for (size_t i = 0; i < conf_keys(); i++) {
        add_word(w, "-o");
        take_word(w, conf_assignment(o->conf, i));
    }
}

/* Open MPI takes it apart at blanks, without any quoting. */
static void write_agent(char *to, size_t size, const struct conf *conf)
{
    bool as_user = conf->peer_user[0] != '\0';

    snprintf(to, size, "%s%s%s", conf->peer_agent[0] != '\0' ? conf->peer_agent : SSH,
             as_user ? " -l " : "", conf->peer_user);
}

static void add_open_mpi(struct words *w, const struct launch_options *o)
{
    bool two_hosts = o->conf->peer_host[0] != '\0';
    const char *memory = o->open_mpi >= 5 ? "sm" : "vader";
    char agent[sizeof o->conf->peer_agent + sizeof o->conf->peer_user + 8];
    char text[64];

    add_word(w, "--bind-to");
    add_word(w, "none");
    add_setting(w, "pml", "ob1");
    if (two_hosts) {
        add_setting(w, "btl", "self,tcp");
        write_agent(agent, sizeof agent, o->conf);
        add_setting(w, "plm_rsh_agent", agent);
        return;
    }
    snprintf(text, sizeof text, "self,%s", memory);
    add_setting(w, "btl", text);
    snprintf(text, sizeof text, "btl_%s_backing_directory", memory);
    add_setting(w, text, o->shared);
    if (o->open_mpi >= 5) /* of its new runtime only TMPDIR is asked */
        return;
    if (o->conf->log_level <
        LOG_LEVEL_INFO) /* its words on each death of a rank, of which we have our own */
        add_word(w, "--quiet");
    add_setting(w, "btl_vader_single_copy_mechanism", "none");
    add_setting(w, "btl_vader_eager_limit", EAGER_LIMIT);
    add_setting(w, "btl_vader_max_send_size", PIECE_SIZE);
    add_setting(w, "orte_tmpdir_base", o->runtime);
    add_setting(w, "plm", "isolated");
    add_setting(w, "oob_tcp_if_include", "lo");
}

static void add_host(struct words *w, const struct launch_options *o, const char *host, int ranks)
{
    if (o->open_mpi > 0) {
        add_word(w, "--host");
        add_word(w, "%s:%d", host, ranks);
    } else if (o->conf->peer_host[0] != '\0') {
        add_word(w, "-hosts");
        add_word(w, "%s", host);
    }
    add_word(w, "-n");
    add_word(w, "%d", ranks);
}

char **launch_arguments(const struct launch_options *o, struct xfer_error *err)
{
    struct words w = {.list = NULL};

    add_word(&w, "%s",
             XFER_MPIEXEC); /* Open MPI takes a path here for its prefix on the other host */
    if (o->open_mpi > 0)
        add_open_mpi(&w, o);
    else if (o->conf->peer_agent[0] != '\0') {
        add_word(&w, "-launcher-exec");
        add_word(&w, "%s", o->conf->peer_agent);
    }
    if (o->conf->peer_host[0] == '\0') {
        add_host(&w, o, "localhost", 2);
        add_program(&w, o, -1);
    } else {
        add_host(&w, o, "localhost", 1);
        add_program(&w, o, 0);
        add_word(&w, ":");
        add_host(&w, o, o->conf->peer_host, 1);
        add_program(&w, o, 1);
    }
    return finish(&w, err);
}

char **launch_alone_arguments(const struct launch_options *o, struct xfer_error *err)
{
    struct words w = {.list = NULL};

    add_program(&w, o, 0);
    add_word(&w, "--alone");
    return finish(&w, err);
}

char **launch_probe_arguments(const struct launch_options *o, struct xfer_error *err)
{
    struct words w = {.list = NULL};
    char agent[sizeof o->conf->peer_agent + sizeof o->conf->peer_user + 8];
    char *rest;

    write_agent(agent, sizeof agent, o->conf);
    for (char *word = strtok_r(agent, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
        add_word(&w, "%s", word);
    add_word(&w, "%s", o->conf->peer_host);
    add_word(&w, "true");
    return finish(&w, err);
}

/* ---- the environment ------------------------------------------------------------------------ */

/* What a launcher or a resource manager around us left there would be taken for the new ranks' own;
 * what systemd told us is not meant for them; and some we set ourselves. */
static bool is_dropped(const char *variable)
{
    static const char *const prefixes[] = {
        "OMPI_COMM_WORLD_",
        "OMPI_UNIVERSE_",
        "OMPI_ALLOW_RUN_AS_ROOT",
        "PMIX_",
        "PMI_",
        "PMI2_",
        "PRTE_",
        "HYDRA_",
        "HYDI_",
        "SLURM_",
        "SLURMD_",
        "PBS_",
        "LSB_",
        "PE_HOSTFILE=",
        "COBALT_",
        "FLUX_",
        "NOTIFY_SOCKET=",
        "LISTEN_",
        "WATCHDOG_",
        "TMPDIR=",
        LOG_PREFIX_VARIABLE "=",
    };

    if (strncmp(variable, "PMIX_MCA_", 9) == 0 || strncmp(variable, "PRTE_MCA_", 9) == 0)
        return false; /* an administrator's settings */
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (strncmp(variable, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

char **launch_environment(const struct launch_options *o, char *const *from, struct xfer_error *err)
{
    struct words w = {.list = NULL};
    bool home = false;

    for (size_t i = 0; from[i] != NULL; i++) {
        if (is_dropped(from[i]))
            continue;
        if (strncmp(from[i], "HOME=", 5) == 0 && from[i][5] != '\0')
            home = true;
        else if (strncmp(from[i], "HOME=", 5) == 0)
            continue;
        add_word(&w, "%s", from[i]);
    }
    if (!home) { /* while a reload asks on a worker */
        struct passwd room, *pw = NULL;
        char text[4096];

        if (getpwuid_r(geteuid(), &room, text, sizeof text, &pw) != 0)
            pw = NULL;
        add_word(&w, "HOME=%s", pw != NULL ? pw->pw_dir : o->runtime);
    }
    add_word(&w, "TMPDIR=%s", o->runtime);
    if (geteuid() == 0) {
        add_word(&w, "OMPI_ALLOW_RUN_AS_ROOT=1");
        add_word(&w, "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1");
    }
    if (log_has_prefix())
        add_word(&w, LOG_PREFIX_VARIABLE "=1");
    return finish(&w, err);
}

/* ---- the processes -------------------------------------------------------------------------- */

int launch_find(char path[XFER_PATH_SIZE], int *open_mpi, struct xfer_error *err)
{
    const char *search = getenv("PATH");

    *open_mpi = XFER_OPEN_MPI;
    if (strchr(XFER_MPIEXEC, '/') != NULL) {
        snprintf(path, XFER_PATH_SIZE, "%s", XFER_MPIEXEC);
        if (access(path, X_OK) < 0)
            return error_set_errno(err, errno, "the MPI launcher %s", path);
        return 0;
    }
    if (search == NULL || search[0] == '\0')
        search = "/usr/local/bin:/usr/bin:/bin";
    for (const char *dir = search; *dir != '\0'; dir += strspn(dir, ":")) {
        size_t len = strcspn(dir, ":");

        if (len > 0 &&
            (size_t)snprintf(path, XFER_PATH_SIZE, "%.*s/%s", (int)len, dir, XFER_MPIEXEC) <
                XFER_PATH_SIZE &&
            access(path, X_OK) == 0)
            return 0;
        dir += len;
    }
    return error_set(err, XFER_CONFIG,
                     "the MPI launcher " XFER_MPIEXEC " is not in PATH (%s): is MPI installed?",
                     search);
}

static pid_t start(const char *path, char **argv, const struct launch_options *o, int death_signal,
                   int output, struct xfer_error *err)
{
    char **envp = argv != NULL ? launch_environment(o, environ, err) : NULL;
    struct spawn_options options = {
        .path = path, .argv = argv, .envp = envp, .death_signal = death_signal, .output = output};
    pid_t pid = envp != NULL ? spawn_start(&options, err) : -1;

    launch_free(argv);
    launch_free(envp);
    return pid;
}

pid_t launch_start(const struct launch_options *o, struct xfer_error *err)
{
    /* Open MPI passes SIGUSR2 on to the ranks, for which it is a time limit (see main.c), and lets
     * them end in order; a SIGTERM would end them without. But a launcher that waits for another
     * host answers to nothing less. */
    int signum = o->conf->peer_host[0] != '\0' || o->open_mpi == 0 ? SIGTERM : SIGUSR2;

    return start(o->launcher, launch_arguments(o, err), o, signum, -1, err);
}

pid_t launch_start_alone(const struct launch_options *o, struct xfer_error *err)
{
    return start(o->program, launch_alone_arguments(o, err), o, SIGUSR2, -1, err);
}

pid_t launch_start_probe(const struct launch_options *o, int output, struct xfer_error *err)
{
    char **argv = launch_probe_arguments(o, err);

    return start(argv != NULL ? argv[0] : "", argv, o, SIGTERM, output, err);
}
