/* SPDX-License-Identifier: MIT
 *
 * proto/filter: which rules are taken, what they mean, and that they mean the same to rsync: a
 * small tree is listed by rsync and by this, with patterns as people write them and with random
 * ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/filter.h"

static struct filter *make(const char *const *rules, size_t n)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct filter *f = filter_create(rules, n, &err);

    if (!f)
        fail_msg("%s", err.text);
    return f;
}

/* With that one rule to leave out: what is left out? A path that ends in '/' is a directory's. */
static bool hits(const char *pattern, const char *path)
{
    char rule[XFER_PATH_SIZE + 2], copy[XFER_PATH_SIZE];
    const char *rules[] = {rule};
    size_t len = strlen(path);
    bool is_directory = path[len - 1] == '/', passes;
    struct filter *f;

    snprintf(rule, sizeof rule, "- %s", pattern);
    snprintf(copy, sizeof copy, "%.*s", (int)(len - is_directory), path);
    f = make(rules, 1);
    passes = filter_passes(f, copy, is_directory);
    filter_destroy(f);
    return !passes;
}

static void refuse(const char *rule, const char *why)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct filter *f = filter_create(&rule, 1, &err);

    filter_destroy(f);
    if (f)
        fail_msg("\"%s\" was taken", rule);
    assert_int_equal(err.code, XFER_INVALID_PARAMS);
    if (!strstr(err.text, why))
        fail_msg("\"%s\" says nothing of \"%s\"", err.text, why);
}

static void without_rules_everything_passes(void **state)
{
    struct filter *f = make(NULL, 0);

    (void)state;
    assert_true(filter_passes(NULL, "a", false));
    assert_true(filter_passes(f, "a/b", true));
    filter_destroy(f);
    filter_destroy(NULL);
}

static void the_first_rule_that_matches_counts(void **state)
{
    static const char *const rules[] = {"+ keep.o", "- *.o", "+ *"};
    struct filter *f = make(rules, 3);

    (void)state;
    assert_true(filter_passes(f, "d/keep.o", false));
    assert_false(filter_passes(f, "d/x.o", false));
    assert_true(filter_passes(f, "d/x.c", false));
    filter_destroy(f);
}

static void a_pattern_without_slash_is_about_the_last_component(void **state)
{
    (void)state;
    assert_true(hits("b", "a/b"));
    assert_true(hits("*.c", "a/b/x.c"));
    assert_false(hits("b", "b/c"));
    assert_false(hits("b", "ab"));
}

static void a_slash_in_front_means_the_top(void **state)
{
    (void)state;
    assert_true(hits("/b", "b"));
    assert_false(hits("/b", "a/b"));
    assert_true(hits("/a/*", "a/b"));
    assert_false(hits("/a/*", "a/b/c"));
}

static void a_slash_inside_means_the_end_of_the_path(void **state)
{
    (void)state;
    assert_true(hits("a/b", "x/a/b"));
    assert_false(hits("a/b", "xa/b"));
    assert_false(hits("a/b", "a/b/c"));
    assert_true(hits("?/b", "x/a/b"));
    assert_false(hits("?/b", "b"));
}

static void a_slash_at_the_end_means_directories(void **state)
{
    (void)state;
    assert_true(hits("b/", "a/b/"));
    assert_false(hits("b/", "a/b"));
}

static void two_stars_pass_slashes(void **state)
{
    (void)state;
    assert_true(hits("/a/**", "a/b/c"));
    assert_false(hits("/a/**", "a/"));
    assert_true(hits("/a/***", "a/"));
    assert_false(hits("/a/***", "a"));
    assert_true(hits("**/c", "c"));
    assert_true(hits("a/**/c", "x/a/y/z/c"));
    assert_false(hits("*/c", "c"));
}

static void sets_of_characters_have_ranges_and_classes(void **state)
{
    (void)state;
    assert_true(hits("[a-c]x", "bx"));
    assert_false(hits("[!a-c]x", "bx"));
    assert_true(hits("[^a-c]x", "dx"));
    assert_true(hits("[[:digit:]_]", "7"));
    assert_false(hits("[![:digit:]]", "7"));
    assert_true(hits("[]]", "]"));
    assert_true(hits("[a\\]]", "]"));
    assert_true(hits("[-a]", "-"));
    assert_false(hits("a[/]b", "a/b"));
    assert_false(hits("a[!x]b", "a/b"));
}

static void a_backslash_escapes_only_where_there_are_wildcards(void **state)
{
    (void)state;
    assert_true(hits("a\\b", "a\\b"));
    assert_true(hits("a\\*", "a*"));
    assert_false(hits("a\\*", "ab"));
    assert_true(hits("a\\b*", "abc"));
}

static void bytes_above_127_are_characters(void **state)
{
    (void)state;
    assert_true(hits("?\xff*", "\x80\xff"));
    assert_true(hits("[\x80-\xff]", "\xc3"));
}

static void what_else_rsync_has_is_refused_by_name(void **state)
{
    (void)state;
    refuse("!", "clear");
    refuse("clear", "clear");
    refuse(". file", "merge");
    refuse("merge file", "merge");
    refuse(": file", "dir-merge");
    refuse("dir-merge file", "dir-merge");
    refuse("H x", "hide");
    refuse("S x", "show");
    refuse("P x", "protect");
    refuse("R x", "risk");
    refuse("exclude x", "exclude");
    refuse("include x", "include");
    refuse("-! x", "modifiers");
    refuse("-x", "modifiers");
    refuse("+_x", "modifiers");
    refuse("x", "neither");
    refuse("", "neither");
}

static void patterns_that_match_nothing_are_refused(void **state)
{
    (void)state;
    refuse("-", "no pattern");
    refuse("- ", "no pattern");
    refuse("- /", "no pattern");
    refuse("- a[b", "without ']'");
    refuse("- a[]", "without ']'");
    refuse("- [[:digit:]", "without ']'");
    refuse("- [[:nothing:]]", "class");
    refuse("- *\\", "escapes nothing");
}

static void too_many_or_too_long_rules_are_refused(void **state)
{
    static const char *many[XFER_FILTER_RULES_MAX + 1];
    static char long_rule[XFER_PATH_SIZE + 3], half[XFER_FILTER_SIZE / 32];
    struct xfer_error err;

    (void)state;
    for (size_t i = 0; i <= XFER_FILTER_RULES_MAX; i++)
        many[i] = "- x";
    assert_null(filter_create(many, XFER_FILTER_RULES_MAX + 1, &err));
    assert_non_null(strstr(err.text, "1001 filter rules"));
    memset(long_rule, 'x', sizeof long_rule - 1);
    memcpy(long_rule, "- ", 2);
    refuse(long_rule, "4096 bytes");
    long_rule[sizeof long_rule - 2] = '\0';
    filter_destroy(make((const char *const[]){long_rule}, 1));
    memset(half, 'y', sizeof half - 1);
    memcpy(half, "- ", 2);
    for (size_t i = 0; i < 33; i++)
        many[i] = half;
    assert_null(filter_create(many, 33, &err));
    assert_non_null(strstr(err.text, "bytes together"));
}

/* With backtracking this would take for ever. */
static void a_pattern_of_many_stars_is_matched_in_bounded_time(void **state)
{
    char pattern[2001] = "", path[XFER_PATH_SIZE];

    (void)state;
    for (size_t i = 0; i < 500; i++)
        memcpy(pattern + 4 * i, i % 2 ? "*a?*" : "**a?", 5);
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    path[2000] = '/';
    assert_true(hits(pattern, path));
    path[sizeof path - 2] = 'b';
    memcpy(pattern + 1996, "[c]", 4);
    assert_false(hits(pattern, path));
}

/* ---- compared with rsync ---- */

#define PATHS_MAX 400

static char top[64];
static bool have_rsync;
static struct {
    char path[64];
    bool is_directory, shown;
} all[PATHS_MAX];
static size_t n_all;

static void add(const char *path, bool is_directory)
{
    char full[256];

    assert_true(n_all < PATHS_MAX);
    snprintf(all[n_all].path, sizeof all[0].path, "%s", path);
    all[n_all++].is_directory = is_directory;
    snprintf(full, sizeof full, "%s/from/%s", top, path);
    if (is_directory) {
        assert_int_equal(mkdir(full, 0755), 0);
    } else {
        FILE *file = fopen(full, "we");

        assert_non_null(file);
        fclose(file);
    }
}

/* Names of few letters, so that random patterns match them. */
static void fill(const char *dir, int depth)
{
    static const char *const names[] = {"a", "b", "ab", "b.a", "-"};
    static const char *const dirs[] = {"d", "a1", "bb"};
    char path[64];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%.40s%s", dir, names[i]);
        add(path, false);
    }
    for (size_t i = 0; depth > 0 && i < sizeof dirs / sizeof dirs[0]; i++) {
        snprintf(path, sizeof path, "%.40s%s", dir, dirs[i]);
        add(path, true);
        strcat(path, "/");
        fill(path, depth - 1);
    }
}

static int set_up(void **state)
{
    char path[128];

    (void)state;
    strcpy(top, "/tmp/xfer-test-XXXXXX");
    assert_non_null(mkdtemp(top));
    snprintf(path, sizeof path, "%s/from", top);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(path, sizeof path, "%s/to", top);
    assert_int_equal(mkdir(path, 0755), 0);
    fill("", 3);
    have_rsync = system("rsync --version >/dev/null 2>&1") == 0;
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", top);
    return system(command);
}

static void ask_rsync(const char *const *rules, size_t n)
{
    const char *argv[64] = {"rsync", "-a", "-n", "--out-format=%n"};
    char from[80], to[80], line[256];
    int out[2], status;
    size_t argc = 4;
    FILE *names;
    pid_t pid;

    assert_true(n < 25);
    for (size_t i = 0; i < n; i++) {
        argv[argc++] = "-f";
        argv[argc++] = rules[i];
    }
    snprintf(from, sizeof from, "%s/from/", top);
    snprintf(to, sizeof to, "%s/to/", top);
    argv[argc++] = from;
    argv[argc] = to;
    assert_int_equal(pipe(out), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(out[1]);
        execvp(argv[0], (char **)(uintptr_t)argv);
        _exit(127);
    }
    close(out[1]);
    for (size_t i = 0; i < n_all; i++)
        all[i].shown = false;
    names = fdopen(out[0], "r");
    while (fgets(line, sizeof line, names)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] && line[strlen(line) - 1] == '/')
            line[strlen(line) - 1] = '\0';
        for (size_t i = 0; i < n_all; i++)
            all[i].shown |= strcmp(all[i].path, line) == 0;
    }
    fclose(names);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* What is in a directory that is left out is not looked at. */
static bool is_sent(const struct filter *f, size_t i)
{
    char above[64];

    for (const char *slash = all[i].path; (slash = strchr(slash, '/')); slash++) {
        snprintf(above, sizeof above, "%.*s", (int)(slash - all[i].path), all[i].path);
        if (!filter_passes(f, above, true))
            return false;
    }
    return filter_passes(f, all[i].path, all[i].is_directory);
}

static void compare(const char *const *rules, size_t n)
{
    struct filter *f = make(rules, n);
    char text[1024] = "";

    for (size_t i = 0; i < n; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "'%s' ", rules[i]);
    ask_rsync(rules, n);
    for (size_t i = 0; i < n_all; i++)
        if (is_sent(f, i) != all[i].shown)
            fail_msg("%s: %s is %ssent by rsync", text, all[i].path, all[i].shown ? "" : "not ");
    filter_destroy(f);
}

static void rsync_agrees_about_patterns_as_people_write_them(void **state)
{
    static const char *const patterns[] = {
        "a",     "*.a",       "/a",     "/d",      "d/",     "a/",          "/d/",         "d/a",
        "/d/a",  "d/*",       "/d/*",   "d/**",    "/d/**",  "d/***",       "/d/***",      "**/a",
        "**a",   "a**",       "d/**/a", "**/d/**", "***",    "*/a",         "*/*/a",       "/*/a",
        "?",     "??",        "[ab]",   "[!ab]",   "[^a-b]", "[[:alpha:]]", "[[:punct:]]", "\\a",
        "\\*",   "a\\b*",     "*\\.a",  "d/b.a/",  "bb/d*",  "**/",         "*/",          "/*",
        "/**",   "b.*",       "d//a",   "d//",     "//d",    "*a*/**b",     "*/**",        "d/*/**",
        "[]-]",  "/d/a1/***", "***/a",  "/**/a",   "?/**",   "[a-]",        "a1/**/***",   "\\**",
        "\\***", "/\\**/a",   "[a/]*",  "-",       " a",     "d/[!x]*",
    };
    char rule[2][64];
    const char *rules[] = {rule[0], rule[1]};

    (void)state;
    if (!have_rsync)
        skip();
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        snprintf(rule[0], sizeof rule[0], "- %s", patterns[i]);
        compare(rules, 1);
    }
    snprintf(rule[0], sizeof rule[0], "+ */");
    snprintf(rule[1], sizeof rule[1], "- *");
    compare(rules, 2);
}

static uint64_t random_state;

static unsigned pick(unsigned n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(random_state >> 33) % n;
}

static void make_rule(char rule[64])
{
    static const char *const pieces[] = {"a",  "b",     "d",    "1",     ".",   "-",           "/",
                                         "/",  "*",     "*",    "**",    "***", "?",           "\\",
                                         "bb", "[a-b]", "[!a]", "[]a-]", "a1",  "[[:alnum:]/]"};

    strcpy(rule, pick(4) ? "- " : "+ ");
    if (pick(3) == 0)
        strcat(rule, "/");
    for (unsigned i = pick(4) + 1; i > 0; i--)
        strcat(rule, pieces[pick(sizeof pieces / sizeof pieces[0])]);
    if (pick(4) == 0)
        strcat(rule, "/");
}

/* XFER_FILTER_ROUNDS: how many lists of rules; XFER_FILTER_SEED: which. */
static void rsync_agrees_about_random_patterns(void **state)
{
    const char *rounds = getenv("XFER_FILTER_ROUNDS"), *seed = getenv("XFER_FILTER_SEED");
    char rule[6][64];
    const char *rules[6];

    (void)state;
    if (!have_rsync)
        skip();
    random_state = seed ? strtoull(seed, NULL, 10) : 1;
    for (long i = rounds ? atol(rounds) : 30; i > 0; i--) {
        unsigned n = pick(6) + 1;

        for (unsigned k = 0; k < n; k++) {
            struct xfer_error err;
            struct filter *f = NULL;

            rules[k] = rule[k];
            while (!f) {
                make_rule(rule[k]);
                f = filter_create(&rules[k], 1, &err);
            }
            filter_destroy(f);
        }
        compare(rules, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_rules_everything_passes),
        cmocka_unit_test(the_first_rule_that_matches_counts),
        cmocka_unit_test(a_pattern_without_slash_is_about_the_last_component),
        cmocka_unit_test(a_slash_in_front_means_the_top),
        cmocka_unit_test(a_slash_inside_means_the_end_of_the_path),
        cmocka_unit_test(a_slash_at_the_end_means_directories),
        cmocka_unit_test(two_stars_pass_slashes),
        cmocka_unit_test(sets_of_characters_have_ranges_and_classes),
        cmocka_unit_test(a_backslash_escapes_only_where_there_are_wildcards),
        cmocka_unit_test(bytes_above_127_are_characters),
        cmocka_unit_test(what_else_rsync_has_is_refused_by_name),
        cmocka_unit_test(patterns_that_match_nothing_are_refused),
        cmocka_unit_test(too_many_or_too_long_rules_are_refused),
        cmocka_unit_test(a_pattern_of_many_stars_is_matched_in_bounded_time),
        cmocka_unit_test(rsync_agrees_about_patterns_as_people_write_them),
        cmocka_unit_test(rsync_agrees_about_random_patterns),
    };

    return cmocka_run_group_tests_name("filter", tests, set_up, tear_down);
}
