/* SPDX-License-Identifier: MIT
 *
 * The launcher's command line and environment, and how it is started.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/launch.h"
#include "daemon/log.h"
#include "daemon/safedir.h"

struct fixture {
    struct conf conf;
    struct launch_options options;
    char dir[64];
    char launcher[128];
    char **argv;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (f == NULL)
        return -1;
    strcpy(f->dir, "/tmp/test_launch_XXXXXX");
    if (mkdtemp(f->dir) == NULL)
        return -1;
    strcpy(f->conf.store_root, "/srv/a b");
    snprintf(f->launcher, sizeof f->launcher, "%s/mpiexec", f->dir);
    f->options = (struct launch_options){
        .conf = &f->conf,
        .launcher = f->launcher,
        .open_mpi = 4,
        .program = "/sbin/xferd",
        .runtime = f->dir,
        .shared = "/dev/shm/mine",
        .handoff = "/run/h.sock",
        .generation = 5,
    };
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    int fd = open(f->dir, O_RDONLY | O_DIRECTORY);

    safedir_empty(fd, NULL);
    close(fd);
    rmdir(f->dir);
    launch_free(f->argv);
    free(f);
    return 0;
}

static void make_arguments(struct fixture *f)
{
    struct xfer_error err = XFER_ERROR_INIT;

    f->argv = launch_arguments(&f->options, &err);
    assert_non_null(f->argv);
}

static int find_from(char **list, int from, const char *word)
{
    for (int i = from; list[i] != NULL; i++)
        if (strcmp(list[i], word) == 0)
            return i;
    return -1;
}

static int find(char **list, const char *word)
{
    return find_from(list, 0, word);
}

static void assert_has(char **list, const char *word)
{
    if (find(list, word) < 0)
        fail_msg("%s is missing", word);
}

static void assert_has_not(char **list, const char *word)
{
    if (find(list, word) >= 0)
        fail_msg("%s should not be there", word);
}

/* The word behind that one. */
static void assert_setting(char **list, const char *name, const char *value)
{
    int i = find(list, name);

    if (i < 0)
        fail_msg("%s is missing", name);
    assert_string_equal(list[i + 1], value);
}

/* ---- the command line ----------------------------------------------------------------------- */

static void one_host_gets_both_ranks_by_shared_memory_alone(void **state)
{
    struct fixture *f = *state;

    make_arguments(f);
    assert_setting(f->argv, "--bind-to", "none");
    assert_setting(f->argv, "btl", "self,vader");
    assert_setting(f->argv, "btl_vader_backing_directory", "/dev/shm/mine");
    assert_setting(f->argv, "orte_tmpdir_base", f->dir);
    assert_setting(f->argv, "plm", "isolated");
    assert_setting(f->argv, "--host", "localhost:2");
    assert_setting(f->argv, "-n", "2");
    assert_setting(f->argv, "2", "/sbin/xferd");
}

static void its_ranks_get_channel_directory_generation_and_every_setting(void **state)
{
    struct fixture *f = *state;
    int program;

    make_arguments(f);
    program = find(f->argv, "/sbin/xferd");
    assert_true(find_from(f->argv, program, "--generation=5") > 0);
    assert_true(find_from(f->argv, program, "--handoff=/run/h.sock") > 0);
    assert_true(find_from(f->argv, program, "store.root=/srv/a b") > 0);
    for (size_t i = 0; i < conf_keys(); i++) {
        char *assignment = conf_assignment(&f->conf, i);
        int at = find_from(f->argv, program, assignment);

        assert_true(at > 0);
        assert_string_equal(f->argv[at - 1], "-o");
        free(assignment);
    }
}

static void two_hosts_get_a_rank_each_by_tcp(void **state)
{
    struct fixture *f = *state;
    int colon;

    strcpy(f->conf.peer_host, "10.9.0.2");
    make_arguments(f);
    colon = find(f->argv, ":");
    assert_true(colon > 0);
    assert_setting(f->argv, "btl", "self,tcp");
    assert_has(f->argv, "localhost:1");
    assert_has(f->argv, "--rank=0");
    assert_has_not(f->argv, "isolated");
    assert_has_not(f->argv, "oob_tcp_if_include");
    assert_has_not(f->argv, "orte_tmpdir_base");
    assert_true(find_from(f->argv, colon, "10.9.0.2:1") > 0);
}

static void the_other_host_is_told_its_rank_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    int colon, program;

    strcpy(f->conf.peer_host, "there");
    make_arguments(f);
    colon = find(f->argv, ":");
    program = find_from(f->argv, colon, "/sbin/xferd");
    assert_true(program > 0);
    assert_string_equal(f->argv[program + 1], "--rank=1");
    assert_null(f->argv[program + 2]);
}

static void the_other_host_is_reached_by_ssh_that_asks_nobody(void **state)
{
    struct fixture *f = *state;
    int i;

    strcpy(f->conf.peer_host, "there");
    make_arguments(f);
    i = find(f->argv, "plm_rsh_agent");
    assert_true(i > 0);
    assert_true(strncmp(f->argv[i + 1], "ssh ", 4) == 0);
    assert_non_null(strstr(f->argv[i + 1], "BatchMode=yes"));
}

static void agent_and_user_are_the_ones_configured(void **state)
{
    struct fixture *f = *state;

    strcpy(f->conf.peer_host, "there");
    strcpy(f->conf.peer_agent, "/opt/agent -q");
    strcpy(f->conf.peer_user, "mover");
    make_arguments(f);
    assert_setting(f->argv, "plm_rsh_agent", "/opt/agent -q -l mover");
}

static void rank_0_alone_is_started_without_a_launcher(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;

    strcpy(f->conf.peer_host, "there");
    f->argv = launch_alone_arguments(&f->options, &err);
    assert_non_null(f->argv);
    assert_string_equal(f->argv[0], "/sbin/xferd");
    assert_has(f->argv, "--alone");
    assert_has(f->argv, "--rank=0");
    assert_has(f->argv, "--generation=5");
    assert_has(f->argv, "--handoff=/run/h.sock");
    assert_has(f->argv, "store.root=/srv/a b");
    assert_has(f->argv, "peer.host=there");
}

static void the_other_host_is_asked_by_the_same_command(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    const char *const expected[] = {"/opt/agent", "-q", "-l", "mover", "there", "true"};

    strcpy(f->conf.peer_host, "there");
    strcpy(f->conf.peer_agent, "/opt/agent  -q");
    strcpy(f->conf.peer_user, "mover");
    f->argv = launch_probe_arguments(&f->options, &err);
    assert_non_null(f->argv);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_string_equal(f->argv[i], expected[i]);
    assert_null(f->argv[sizeof expected / sizeof expected[0]]);
}

static void without_an_agent_ssh_asks_the_other_host(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;
    int host;

    strcpy(f->conf.peer_host, "there");
    f->argv = launch_probe_arguments(&f->options, &err);
    assert_non_null(f->argv);
    assert_string_equal(f->argv[0], "ssh");
    assert_has(f->argv, "BatchMode=yes");
    host = find(f->argv, "there");
    assert_true(host > 0);
    assert_string_equal(f->argv[host + 1], "true");
    assert_null(f->argv[host + 2]);
}

static void the_launchers_own_words_on_a_death_are_for_those_who_want_details(void **state)
{
    struct fixture *f = *state;

    f->conf.log_level = LOG_LEVEL_NOTICE;
    make_arguments(f);
    assert_has(f->argv, "--quiet");
    launch_free(f->argv);
    f->conf.log_level = LOG_LEVEL_INFO;
    make_arguments(f);
    assert_has_not(f->argv, "--quiet");
}

static void another_mpi_gets_none_of_open_mpis_options(void **state)
{
    struct fixture *f = *state;

    f->options.open_mpi = 0;
    make_arguments(f);
    assert_has_not(f->argv, "--mca");
    assert_has_not(f->argv, "--host");
    assert_string_equal(f->argv[1], "-n");
    assert_string_equal(f->argv[2], "2");
    assert_string_equal(f->argv[3], "/sbin/xferd");
}

static void open_mpi_5_knows_shared_memory_by_another_name(void **state)
{
    struct fixture *f = *state;

    f->options.open_mpi = 5;
    make_arguments(f);
    assert_setting(f->argv, "btl", "self,sm");
    assert_has_not(f->argv, "orte_tmpdir_base");
}

/* ---- the environment ------------------------------------------------------------------------ */

static char **environment(struct fixture *f, const char *const *from)
{
    struct xfer_error err = XFER_ERROR_INIT;
    char **list = launch_environment(&f->options, (char *const *)(uintptr_t)from, &err);

    assert_non_null(list);
    launch_free(f->argv);
    f->argv = list;
    return list;
}

static void launchers_and_managers_around_us_leave_no_trace(void **state)
{
    static const char *const from[] = {
        "PATH=/bin", "SLURM_JOB_ID=3",  "SLURM_NODELIST=a,b",   "PMIX_NAMESPACE=x",
        "PMI_FD=4",  "PBS_NODEFILE=/x", "OMPI_UNIVERSE_SIZE=4", "PRTE_LAUNCHED=1",
        NULL};
    char **list = environment(*state, from);

    for (size_t i = 1; from[i] != NULL; i++)
        assert_has_not(list, from[i]);
    assert_has(list, "PATH=/bin");
}

static void settings_of_an_administrator_stay(void **state)
{
    static const char *const from[] = {"OMPI_MCA_btl_tcp_if_include=eth1", "PMIX_MCA_ptl=x",
                                       "PRTE_MCA_y=z", NULL};
    char **list = environment(*state, from);

    for (size_t i = 0; from[i] != NULL; i++)
        assert_has(list, from[i]);
}

static void what_systemd_said_is_not_passed_on(void **state)
{
    static const char *const from[] = {"NOTIFY_SOCKET=/run/x", "WATCHDOG_PID=1", "WATCHDOG_USEC=2",
                                       "LISTEN_FDS=1", NULL};
    char **list = environment(*state, from);

    for (size_t i = 0; from[i] != NULL; i++)
        assert_has_not(list, from[i]);
}

static void a_home_is_always_set(void **state)
{
    static const char *const with[] = {"HOME=/home/a", NULL}, *const empty[] = {"HOME=", NULL},
                             *const without[] = {NULL};
    char **list;
    int homes = 0;

    assert_has(environment(*state, with), "HOME=/home/a");
    assert_has_not(environment(*state, empty), "HOME=");
    list = environment(*state, without);
    for (size_t i = 0; list[i] != NULL; i++)
        if (strncmp(list[i], "HOME=/", 6) == 0)
            homes++;
    assert_int_equal(homes, 1);
}

static void temporary_files_go_to_the_runtime_directory(void **state)
{
    static const char *const from[] = {"TMPDIR=/elsewhere", NULL};
    struct fixture *f = *state;
    char **list = environment(f, from);
    char word[128];

    snprintf(word, sizeof word, "TMPDIR=%s", f->dir);
    assert_has(list, word);
    assert_has_not(list, from[0]);
}

static void root_is_allowed_to_run_open_mpi_and_others_need_no_leave(void **state)
{
    static const char *const from[] = {NULL};
    char **list = environment(*state, from);

    if (geteuid() == 0) {
        assert_has(list, "OMPI_ALLOW_RUN_AS_ROOT=1");
        assert_has(list, "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1");
    } else {
        assert_has_not(list, "OMPI_ALLOW_RUN_AS_ROOT=1");
    }
}

/* ---- the process ---------------------------------------------------------------------------- */

static void write_launcher(struct fixture *f, const char *text)
{
    FILE *script = fopen(f->launcher, "w");

    assert_non_null(script);
    fputs(text, script);
    assert_int_equal(fclose(script), 0);
    assert_int_equal(chmod(f->launcher, 0755), 0);
}

static int run_launcher(struct fixture *f)
{
    struct xfer_error err = XFER_ERROR_INIT;
    pid_t pid = launch_start(&f->options, &err);
    int status;

    if (pid < 0)
        fail_msg("%s", err.text);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void it_runs_in_a_session_of_its_own_with_nothing_to_read(void **state)
{
    struct fixture *f = *state;

    write_launcher(f, "#!/bin/sh\n"
                      "[ $(cut -d' ' -f6 /proc/$$/stat) = $$ ] || exit 1\n"
                      "[ /proc/self/fd/0 -ef /dev/null ] || exit 2\n"
                      "[ \"$(pwd)\" = / ] || exit 3\n"
                      "exit 40\n");
    assert_int_equal(run_launcher(f), 40);
}

static void it_gets_no_descriptors_of_ours(void **state)
{
    struct fixture *f = *state;
    int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

    write_launcher(f, "#!/bin/sh\n"
                      "for fd in /proc/$$/fd/*; do [ $fd -ef /dev/zero ] && exit 1; done\n"
                      "exit 40\n");
    assert_int_equal(run_launcher(f), 40);
    close(fd);
}

static void a_launcher_that_cannot_be_executed_is_told(void **state)
{
    struct fixture *f = *state;
    struct xfer_error err = XFER_ERROR_INIT;

    assert_int_equal(launch_start(&f->options, &err), -1);
    assert_non_null(strstr(err.text, f->launcher));
    assert_int_equal(err.sys_errno, 2);
    while (waitpid(-1, NULL, 0) > 0)
        continue;
}

static void a_launcher_that_is_not_in_path_is_told(void **state)
{
    char *saved = strdup(getenv("PATH"));
    char found[XFER_PATH_SIZE];
    struct xfer_error err = XFER_ERROR_INIT;
    int open_mpi;

    (void)state;
    if (launch_find(found, &open_mpi, &err) < 0 || found[0] != '/') {
        free(saved);
        skip();
    }
    setenv("PATH", "/nonexistent:", 1);
    if (launch_find(found, &open_mpi, &err) < 0)
        assert_non_null(strstr(err.text, "/nonexistent"));
    setenv("PATH", saved, 1);
    free(saved);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_host_gets_both_ranks_by_shared_memory_alone),
        TEST(its_ranks_get_channel_directory_generation_and_every_setting),
        TEST(two_hosts_get_a_rank_each_by_tcp),
        TEST(the_other_host_is_told_its_rank_and_nothing_else),
        TEST(the_other_host_is_reached_by_ssh_that_asks_nobody),
        TEST(agent_and_user_are_the_ones_configured),
        TEST(rank_0_alone_is_started_without_a_launcher),
        TEST(the_other_host_is_asked_by_the_same_command),
        TEST(without_an_agent_ssh_asks_the_other_host),
        TEST(the_launchers_own_words_on_a_death_are_for_those_who_want_details),
        TEST(another_mpi_gets_none_of_open_mpis_options),
        TEST(open_mpi_5_knows_shared_memory_by_another_name),
        TEST(launchers_and_managers_around_us_leave_no_trace),
        TEST(settings_of_an_administrator_stay),
        TEST(what_systemd_said_is_not_passed_on),
        TEST(a_home_is_always_set),
        TEST(temporary_files_go_to_the_runtime_directory),
        TEST(root_is_allowed_to_run_open_mpi_and_others_need_no_leave),
        TEST(it_runs_in_a_session_of_its_own_with_nothing_to_read),
        TEST(it_gets_no_descriptors_of_ours),
        TEST(a_launcher_that_cannot_be_executed_is_told),
        TEST(a_launcher_that_is_not_in_path_is_told),
    };

    return cmocka_run_group_tests_name("launch", tests, NULL, NULL);
}
