/* SPDX-License-Identifier: MIT
 *
 * The launcher, as a child of the supervisor.
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
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "daemon/log.h"

#ifndef XFER_MPIEXEC
#define XFER_MPIEXEC "mpiexec"
#endif
#ifndef XFER_OPEN_MPI
#define XFER_OPEN_MPI 4
#endif

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
    for (size_t i = 0; i < conf_keys(); i++) {
        add_word(w, "-o");
        take_word(w, conf_assignment(o->conf, i));
    }
}

static void add_agent(struct words *w, const struct conf *conf)
{
    const char *agent = conf->peer_agent[0] != '\0' ? conf->peer_agent : SSH;

    add_word(w, "--mca");
    add_word(w, "plm_rsh_agent");
    if (conf->peer_user[0] != '\0')
        add_word(w, "%s -l %s", agent, conf->peer_user);
    else
        add_word(w, "%s", agent);
}

static void add_open_mpi(struct words *w, const struct launch_options *o)
{
    bool two_hosts = o->conf->peer_host[0] != '\0';
    const char *memory = o->open_mpi >= 5 ? "sm" : "vader";
    char text[64];

    add_word(w, "--bind-to");
    add_word(w, "none");
    add_setting(w, "pml", "ob1");
    if (two_hosts) {
        add_setting(w, "btl", "self,tcp");
        add_agent(w, o->conf);
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
    if (!home) {
        const struct passwd *pw = getpwuid(geteuid());

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

/* ---- the process ---------------------------------------------------------------------------- */

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

/* In the child: nothing that could take a lock. Does not return. */
static void execute(const struct launch_options *o, char **argv, char **envp, pid_t parent,
                    int report)
{
    /* What it gets when this process dies. Open MPI passes SIGUSR2 on to the ranks, for which it is
     * a time limit (see main.c), and lets them end in order; a SIGTERM would end them without. But
     * a launcher that waits for another host answers to nothing less. */
    int signum = o->conf->peer_host[0] != '\0' || o->open_mpi == 0 ? SIGTERM : SIGUSR2;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    sigset_t none;
    int saved;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setsid(); /* Ctrl-C at the terminal is for the supervisor alone, and no remote shell can ask for
                 a password there */
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0 ||
        chdir("/") < 0)
        goto failed;
    if (prctl(PR_SET_PDEATHSIG, signum) < 0)
        goto failed;
    if (getppid() != parent)
        _exit(1);
    execve(o->launcher, argv, envp);

failed:
    saved = errno;
    if (write(report, &saved, sizeof saved) < 0)
        _exit(126);
    _exit(127);
}

pid_t launch_start(const struct launch_options *o, struct xfer_error *err)
{
    char **argv = launch_arguments(o, err);
    char **envp = argv != NULL ? launch_environment(o, environ, err) : NULL;
    pid_t parent = getpid(), pid = -1;
    int report[2] = {-1, -1};
    int wrong = 0;

    if (envp == NULL)
        goto out;
    if (pipe2(report, O_CLOEXEC) < 0) {
        error_set_errno(err, errno, "no pipe to the launcher");
        goto out;
    }
    pid = fork();
    if (pid == 0)
        execute(o, argv, envp, parent, report[1]);
    if (pid < 0) {
        error_set_errno(err, errno, "no process for the launcher");
        goto out;
    }
    close(report[1]);
    report[1] = -1;
    if (read(report[0], &wrong, sizeof wrong) == (ssize_t)sizeof wrong) {
        pid = -1; /* the event loop reaps it */
        error_set_errno(err, wrong, "%s could not be started", o->launcher);
    }

out:
    if (report[0] >= 0)
        close(report[0]);
    if (report[1] >= 0)
        close(report[1]);
    launch_free(argv);
    launch_free(envp);
    return pid;
}
