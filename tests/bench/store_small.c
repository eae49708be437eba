/* SPDX-License-Identifier: MIT
 *
 * Measures, and judges nothing: what it takes to store many small files, by the store alone, beside
 * plain create + write of the same files in the same run.
 *
 *   store_small [--files N] [--dirs N] [--size BYTES] [--rounds N] [--threads N] [--batch N]
 *               [--way N] [--keep] DIRECTORY
 *
 * DIRECTORY is made, and is not to be there. Each round goes into directories of its own; all are
 * removed at the very end (not with --keep), since the removal of many files disturbs what follows,
 * the next run, too. Prints a line for
 * each way: the median of the rounds in milliseconds, and its ratio to plain; the same of
 * the time of processors, which others disturb less.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "daemon/receive/store.h"
#include "daemon/receive/store_batch.h"

#define ROUNDS_MAX  99
#define BATCH_FILES 512
#define BATCH_BYTES (64 << 20)

enum way { PLAIN, NONE, PLAIN_SYNC, BATCH, WAYS };
static const char *const ways[] = {"plain create+write", "store, sync=none",
                                   "plain create+write, syncfs", "store, sync=batch"};

struct options {
    unsigned files, dirs, size, rounds, threads, batch;
    int way; /* only that one; -1: all */
    bool keep;
    const char *place;
};

struct part { /* of one thread */
    const struct options *options;
    struct store *store;
    enum way way;
    unsigned round, first, n;
    unsigned failed;
};

static unsigned char data[1 << 20];
static struct wire_verdict verdict;

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static double processor(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

static void die(const char *what)
{
    fprintf(stderr, "store_small: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void name(const struct part *p, unsigned i, char *path, size_t size)
{
    unsigned per_dir = (p->options->files + p->options->dirs - 1) / p->options->dirs;

    snprintf(path, size, "r%u-%u/d%u/f%u", p->round, (unsigned)p->way, i / per_dir, i);
}

static void plain(struct part *p, unsigned i)
{
    char path[256], whole[4096];
    int fd;

    name(p, i, path, sizeof path);
    snprintf(whole, sizeof whole, "%s/%s", p->options->place, path);
    fd = open(whole, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, data, p->options->size) != (ssize_t)p->options->size || close(fd) != 0)
        die(whole);
}

static void told(void *user, const struct store_outcome *outcome, const struct xfer_error *err)
{
    struct part *p = user;

    if (outcome == NULL && p->failed++ == 0)
        fprintf(stderr, "store_small: %s\n", err->text);
}

static void fails(struct part *p, const struct xfer_error *err)
{
    told(p, NULL, err);
}

static void store(struct part *p, unsigned i, struct store_batch *batch)
{
    static _Thread_local struct wire_meta meta;
    struct xfer_error err;
    struct store_file *file;
    int len;

    meta.seq = 1;
    meta.job = p->round + 1;
    meta.file = i;
    meta.size = p->options->size;
    meta.mtime_sec = 1234567890;
    meta.mode = 0644;
    meta.preserve = PRESERVE_MODE | PRESERVE_TIMES;
    meta.overwrite = OVERWRITE_REPLACE;
    meta.sync = p->way == BATCH ? SYNC_BATCH : SYNC_NONE;
    meta.tree = true;
    name(p, i, meta.path, sizeof meta.path);
    len = (int)strlen(meta.path);
    meta.path_len = (size_t)len;
    file = store_begin(p->store, &meta, &err);
    if (file == NULL) {
        fails(p, &err);
        return;
    }
    if (store_write(file, data, p->options->size, &err) != 0) {
        store_abort(file, false);
        fails(p, &err);
    } else if (p->way != BATCH) {
        if (store_commit(file, &verdict, NULL, &err) != 0)
            fails(p, &err);
    } else if (store_prepare(file, &verdict, &err) != 0) {
        fails(p, &err);
    } else {
        store_batch_hold(batch, file, told, p);
        if (store_batch_is_full(batch))
            store_batch_commit(batch);
    }
}

static void *run(void *arg)
{
    struct part *p = arg;
    struct store_batch *batch = NULL;
    struct xfer_error err;
    unsigned i;

    if (p->way == BATCH &&
        (batch = store_batch_create(p->store, p->options->batch, BATCH_BYTES, &err)) == NULL)
        die(err.text);
    for (i = p->first; i < p->first + p->n; i++) {
        if (p->way == PLAIN || p->way == PLAIN_SYNC)
            plain(p, i);
        else
            store(p, i, batch);
    }
    if (batch != NULL)
        store_batch_commit(batch);
    store_batch_destroy(batch);
    return NULL;
}

static void make_dirs(const struct options *o, enum way way, unsigned round)
{
    char path[4096];
    unsigned i;

    snprintf(path, sizeof path, "%s/r%u-%u", o->place, round, (unsigned)way);
    if (mkdir(path, 0755) != 0)
        die(path);
    for (i = 0; i < o->dirs; i++) {
        snprintf(path, sizeof path, "%s/r%u-%u/d%u", o->place, round, (unsigned)way, i);
        if (mkdir(path, 0755) != 0)
            die(path);
    }
}

static double one_round(const struct options *o, struct store *s, enum way way, unsigned round,
                        double *cpu)
{
    struct part parts[64];
    pthread_t threads[64];
    double start;
    unsigned i, each = (o->files + o->threads - 1) / o->threads, failed = 0;
    int root = open(o->place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    make_dirs(o, way, round);
    sync();
    start = now();
    *cpu = -processor();
    for (i = 0; i < o->threads; i++) {
        unsigned first = i * each, n = first >= o->files ? 0 : o->files - first;

        parts[i] = (struct part){.options = o,
                                 .store = s,
                                 .way = way,
                                 .round = round,
                                 .first = first,
                                 .n = n < each ? n : each};
        if (pthread_create(&threads[i], NULL, run, &parts[i]) != 0)
            die("thread");
    }
    for (i = 0; i < o->threads; i++) {
        pthread_join(threads[i], NULL);
        failed += parts[i].failed;
    }
    if (way == PLAIN_SYNC && syncfs(root) != 0)
        die("syncfs");
    close(root);
    *cpu += processor();
    if (failed > 0)
        fprintf(stderr, "store_small: %u files failed\n", failed);
    return now() - start;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static unsigned number(const char *text, unsigned max)
{
    unsigned long n = strtoul(text, NULL, 10);

    if (n < 1 || n > max) {
        fprintf(stderr, "store_small: %s: 1 .. %u\n", text, max);
        exit(2);
    }
    return (unsigned)n;
}

static void read_options(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {
        {"files", 1, NULL, 'f'},  {"dirs", 1, NULL, 'd'},    {"size", 1, NULL, 's'},
        {"rounds", 1, NULL, 'r'}, {"threads", 1, NULL, 't'}, {"batch", 1, NULL, 'b'},
        {"way", 1, NULL, 'w'},    {"keep", 0, NULL, 'k'},    {0}};
    int c;

    *o = (struct options){.files = 10000,
                          .dirs = 10,
                          .size = 4096,
                          .rounds = 5,
                          .threads = 1,
                          .batch = BATCH_FILES,
                          .way = -1};
    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c == 'f')
            o->files = number(optarg, 10000000);
        else if (c == 'd')
            o->dirs = number(optarg, 100000);
        else if (c == 's')
            o->size = number(optarg, sizeof data);
        else if (c == 'r')
            o->rounds = number(optarg, ROUNDS_MAX);
        else if (c == 't')
            o->threads = number(optarg, 64);
        else if (c == 'b')
            o->batch = number(optarg, 1000000);
        else if (c == 'w')
            o->way = (int)number(optarg, WAYS) - 1;
        else if (c == 'k')
            o->keep = true;
        else
            exit(2);
    }
    if (optind + 1 != argc || argv[optind][0] != '/') {
        fprintf(stderr, "usage: store_small [OPTION...] /DIRECTORY\n");
        exit(2);
    }
    o->place = argv[optind];
}

int main(int argc, char **argv)
{
    static double took[WAYS][ROUNDS_MAX], cpu[WAYS][ROUNDS_MAX];
    struct store_options store_options = {.dir_mode = 0755, .file_mode = -1};
    XXH128_canonical_t canonical;
    struct xfer_error err;
    struct options o;
    struct store *s;
    char command[4200];
    unsigned round, way;

    read_options(argc, argv, &o);
    if (mkdir(o.place, 0755) != 0)
        die(o.place);
    memset(data, 'x', sizeof data);
    verdict.size = o.size;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, o.size));
    memcpy(verdict.digest, canonical.digest, sizeof verdict.digest);
    store_options.root = o.place;
    s = store_open(&store_options, 0, &err);
    if (s == NULL)
        die(err.text);
    for (round = 0; round < o.rounds; round++)
        for (way = 0; way < WAYS; way++)
            if (o.way < 0 || (unsigned)o.way == way)
                took[way][round] = one_round(&o, s, way, round, &cpu[way][round]);
    store_close(s);
    for (way = 0; way < WAYS; way++) {
        unsigned base;

        if (o.way >= 0 && (unsigned)o.way != way)
            continue;
        qsort(took[way], o.rounds, sizeof(double), by_value);
        qsort(cpu[way], o.rounds, sizeof(double), by_value);
        base = way < PLAIN_SYNC ? PLAIN : PLAIN_SYNC;
        printf("%-28s %8.1f ms %5.2f   processor %8.1f ms %5.2f\n", ways[way],
               took[way][o.rounds / 2], took[way][o.rounds / 2] / took[base][o.rounds / 2],
               cpu[way][o.rounds / 2], cpu[way][o.rounds / 2] / cpu[base][o.rounds / 2]);
    }
    if (o.keep)
        return 0;
    snprintf(command, sizeof command, "rm -rf '%s'", o.place);
    return system(command) != 0;
}
