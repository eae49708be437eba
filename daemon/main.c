/* SPDX-License-Identifier: MIT
 *
 * xferd: reads the command line and the configuration, then becomes what it is: the supervisor, or
 * one of the ranks.
 *
 * A rank is known by the private arguments of the supervisor, else by what an MPI launcher leaves
 * in the environment.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/conf.h"
#include "daemon/control/admins.h"
#include "daemon/hooks.h"
#include "daemon/log.h"
#include "daemon/rank.h"
#include "daemon/supervise.h"
#include "daemon/work/identity.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

#define EXIT_USAGE 2
#define DESCRIPTORS \
    65536 /* enough for all clients; more only makes launchers slow that close every one */
#define ASSIGNMENTS_MAX   256
#define RANK_LEFT_SECONDS 5

enum role { ROLE_SUPERVISOR, ROLE_RANK, ROLE_REFUSED };

struct arguments {
    const char *file; /* -c; NULL: the usual place */
    char file_path[PATH_MAX];
    bool had_file;                            /* in the usual place, when it was read first */
    const char *assignments[ASSIGNMENTS_MAX]; /* -o */
    size_t n_assignments;
    bool check_config;
    bool is_rank; /* by private arguments */
    bool serves;  /* the names of users and groups are to be those of this host */
    struct rank_options rank;
};

static const char usage[] =
    "usage: xferd [-c FILE] [-o SECTION.KEY=VALUE]... [--check-config] [--version] [--help]\n";

static int wrong_usage(void)
{
    fputs(usage, stderr);
    return EXIT_USAGE;
}

/* What was printed counts only if it could be written. */
static int end_of_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_SUCCESS;
    log_error("standard output: %s", strerror(errno));
    return EXIT_FAILURE;
}

static void print_help(void)
{
    fputs(usage, stdout);
    fputs("\n"
          "Moves files between two MPI ranks; xferctl(1) says which. Started plainly, xferd starts "
          "the ranks and looks\n"
          "after them; started by an MPI launcher (mpiexec -n 2 xferd) it is one of them.\n"
          "\n"
          "  -c FILE               read this configuration instead of the usual one\n"
          "  -o SECTION.KEY=VALUE  a setting, in place of the file's\n"
          "  --check-config        print the settings in effect, or what is wrong with them, and "
          "exit\n"
          "  --version             print the version and exit\n"
          "  --help                print this and exit\n"
          "\n"
          "Settings:\n",
          stdout);
    conf_list_keys(stdout);
}

/* ---- the command line ----------------------------------------------------------------------- */

enum {
    OPT_CHECK = 256,
    OPT_VERSION,
    OPT_RANK,
    OPT_HANDOFF,
    OPT_RUNTIME,
    OPT_GENERATION,
    OPT_ALONE
};

static bool parse_whole(const char *text, long long max, long long *value)
{
    char *end;

    errno = 0;
    *value = strtoll(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *value <= max;
}

/* Later the working directory is another. Links stay: what they lead to may be another then. */
static void make_absolute(struct arguments *a)
{
    char here[PATH_MAX];

    if (a->file == NULL || a->file[0] == '/' || getcwd(here, sizeof here) == NULL ||
        (size_t)snprintf(a->file_path, sizeof a->file_path, "%s/%s", here, a->file) >=
            sizeof a->file_path)
        return;
    a->file = a->file_path;
}

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct arguments *a)
{
    static const struct option options[] = {
        {"check-config", no_argument, NULL, OPT_CHECK},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, OPT_VERSION},
        /* the supervisor's own, see launch.c */
        {"rank", required_argument, NULL, OPT_RANK},
        {"handoff", required_argument, NULL, OPT_HANDOFF},
        {"runtime", required_argument, NULL, OPT_RUNTIME},
        {"generation", required_argument, NULL, OPT_GENERATION},
        {"alone", no_argument, NULL, OPT_ALONE},
        {NULL, 0, NULL, 0},
    };
    long long number;
    int opt;

    while ((opt = getopt_long(argc, argv, "c:o:h", options, NULL)) != -1) {
        switch (opt) {
        case 'c':
            a->file = optarg;
            break;
        case 'o':
            if (a->n_assignments == ASSIGNMENTS_MAX) {
                log_error("more than %d -o options", ASSIGNMENTS_MAX);
                return EXIT_USAGE;
            }
            a->assignments[a->n_assignments++] = optarg;
            break;
        case OPT_CHECK:
            a->check_config = true;
            break;
        case 'h':
            print_help();
            return end_of_output();
        case OPT_VERSION:
            puts("xferd " PACKAGE_VERSION);
            return end_of_output();
        case OPT_RANK:
            if (!parse_whole(optarg, INT_MAX, &number))
                return wrong_usage();
            a->is_rank = true;
            a->rank.expected_rank = (int)number;
            break;
        case OPT_HANDOFF:
            a->is_rank = true;
            a->rank.handoff = optarg;
            break;
        case OPT_RUNTIME:
            a->rank.runtime = optarg;
            break;
        case OPT_GENERATION:
            if (!parse_whole(optarg, INT64_MAX, &number))
                return wrong_usage();
            a->rank.generation = number;
            break;
        case OPT_ALONE:
            a->is_rank = true;
            a->rank.alone = true;
            break;
        default:
            return wrong_usage();
        }
    }
    if (optind < argc) {
        log_error("what is \"%s\"? xferd takes options alone", argv[optind]);
        return wrong_usage();
    }
    make_absolute(a);
    return -1;
}

/* What this host knows of names and files. In the settings of a daemon administrators become
 * numbers here, since who asks them later must not ask a directory service. */
static int check_host(struct conf *conf, bool resolve, struct xfer_error *err)
{
    char numbers[sizeof conf->control_admins];
    gid_t gid;

    if (conf_group(conf, &gid, err) < 0 ||
        admins_resolve(conf->control_admins, numbers, sizeof numbers, err) < 0 ||
        hooks_check(conf->hook_command, err) < 0)
        return -1;
    if (resolve)
        memcpy(conf->control_admins, numbers, sizeof numbers);
    return 0;
}

/* The ranks here have no other rights than this process. */
static int check_rights(const struct conf *conf, struct xfer_error *err)
{
    bool store = conf->store_identity == IDENTITY_CALLER && conf->peer_host[0] == '\0';
    bool source = conf->source_identity == IDENTITY_CALLER;

    if ((!source && !store) || identity_check(err) == 0)
        return 0;
    return error_prefix(err, "%s.identity = caller", source ? "source" : "store");
}

/* must_exist: also the file in the usual place. */
static int read_settings(const struct arguments *a, bool must_exist, struct conf *conf,
                         struct xfer_error *err)
{
    if (conf_init(conf, err) < 0)
        return -1;
    const char *file = a->file != NULL ? a->file : conf->places.config;

    snprintf(conf->file, sizeof conf->file, "%s", file);
    /* A rank on the supervisor's host is told everything by it. */
    if (a->rank.handoff == NULL) {
        if (file[0] != '\0' && conf_read_file(conf, file, a->file != NULL || must_exist, err) < 0)
            return -1;
    }
    for (size_t i = 0; i < a->n_assignments; i++)
        if (conf_set(conf, a->assignments[i], err) < 0)
            return error_prefix(err, "-o");
    if (conf_check(conf, err) < 0)
        return -1;
    return a->serves ? check_host(conf, !a->check_config, err) : 0;
}

/* For a reload, on a worker. A file that is gone then is being written, or was removed by mistake:
 * it does not mean the defaults. */
static int reread_settings(void *user, struct conf *conf, struct xfer_error *err)
{
    const struct arguments *a = user;

    return read_settings(a, a->had_file, conf, err);
}

/* ---- who am I? ------------------------------------------------------------------------------ */

static enum role role_of(struct arguments *a)
{
    static const char *const ranks[] = {"PMIX_RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK"};
    const char *tasks = getenv("SLURM_STEP_NUM_TASKS");
    long long number;

    for (size_t i = 0; i < sizeof ranks / sizeof ranks[0]; i++) {
        const char *text = getenv(ranks[i]);

        if (text == NULL)
            continue;
        if (!a->is_rank || a->rank.expected_rank < 0)
            a->rank.expected_rank = parse_whole(text, INT_MAX, &number) ? (int)number : -1;
        return ROLE_RANK;
    }
    if (a->is_rank || getenv("PMI_SIZE") != NULL)
        return ROLE_RANK;
    if (tasks == NULL)
        tasks = getenv("SLURM_NTASKS");
    if (tasks != NULL && parse_whole(tasks, INT_MAX, &number) && number > 1) {
        log_error("one of %lld Slurm tasks, but nothing says which rank: srun needs --mpi=pmix or "
                  "--mpi=pmi2. (To start a "
                  "daemon of its own here, unset SLURM_NTASKS and SLURM_STEP_NUM_TASKS.)",
                  number);
        return ROLE_REFUSED;
    }
    return ROLE_SUPERVISOR;
}

/* ---- the process ---------------------------------------------------------------------------- */

/* A file that is opened later must not become standard output. */
static int open_standard_descriptors(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

static void set_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void on_supervisor_dead(int signum)
{
    (void)signum;
    alarm(RANK_LEFT_SECONDS);
}

/* A rank learns from the end of its channel that the supervisor is dead, and ends in order. The
 * launcher's SIGUSR2 (for a lone rank 0 the kernel's) says the same to a rank whose loop hangs:
 * SIGALRM ends it then. Set before MPI_Init. */
static void limit_orphan(void)
{
    struct sigaction act = {.sa_handler = on_supervisor_dead, .sa_flags = SA_RESTART};

    sigaction(SIGUSR2, &act, NULL);
}

static int supervise(const struct conf *conf, struct arguments *a)
{
    struct supervise_options options = {.conf = conf, .reread = reread_settings, .user = a};
    char program[XFER_PATH_SIZE];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);

    if (n <= 0) {
        log_error("/proc/self/exe: %s", n < 0 ? strerror(errno) : "empty");
        return EXIT_FAILURE;
    }
    program[n] = '\0';
    options.program = program;
    if (chdir("/") < 0)
        log_debug("/ is no place to be: %s", strerror(errno));
    return supervise_run(&options);
}

int main(int argc, char **argv)
{
    static struct conf conf;
    static struct arguments arguments = {.rank = {.expected_rank = -1}};
    struct xfer_error err = XFER_ERROR_INIT;
    enum role role;
    int status;

    if (open_standard_descriptors() < 0)
        return EXIT_FAILURE;
    log_init(-1);
    status = parse(argc, argv, &arguments);
    if (status >= 0)
        return status;
    role = role_of(&arguments);
    if (role == ROLE_REFUSED && !arguments.check_config)
        return EXIT_USAGE;
    if (role == ROLE_RANK)
        log_init(arguments.rank.expected_rank);

    /* A rank of a supervisor is told what that one has found good. */
    arguments.serves = arguments.check_config || role == ROLE_SUPERVISOR ||
                       (arguments.rank.handoff == NULL && arguments.rank.expected_rank == 0);
    if (read_settings(&arguments, false, &conf, &err) < 0) {
        log_error("%s", err.text);
        return EXIT_USAGE;
    }
    arguments.had_file = access(conf.places.config, F_OK) == 0;
    if (arguments.check_config) {
        conf_write(&conf, stdout);
        return end_of_output();
    }
    if (role == ROLE_SUPERVISOR && check_rights(&conf, &err) < 0) {
        log_error("%s", err.text);
        return EXIT_USAGE;
    }
    log_set_level((enum log_level)conf.log_level);
    signal(SIGPIPE, SIG_IGN);
    set_descriptor_limit();
    if (role == ROLE_RANK && arguments.rank.handoff != NULL)
        limit_orphan();
    if (role == ROLE_RANK && arguments.rank.handoff == NULL) {
        arguments.rank.reread = reread_settings;
        arguments.rank.reread_user = &arguments;
    }
    if (role == ROLE_RANK)
        return rank_run(&argc, &argv, &conf, &arguments.rank);
    return supervise(&conf, &arguments);
}
