/* SPDX-License-Identifier: MIT
 *
 * What the tests of partial files and of files that are stored already share. Blocks are small
 * here: a few hundred bytes are many of them.
 */
#ifndef XFER_TESTS_UNIT_RESUME_FIXTURE_H
#define XFER_TESTS_UNIT_RESUME_FIXTURE_H

#include "tests/unit/store_fixture.h"

#define BLOCK 400
#define SIZE  2100 /* five blocks and a quarter */
#define JOB   7
#define HEX   "00112233445566778899aabbccddeeff"
#define NAME  HEX "-7-1"
#define OTHER "ffeeddccbbaa99887766554433221100"

static const unsigned char queue_id[XFER_QUEUE_ID_SIZE] = {
    0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
static unsigned char data[SIZE];

static inline void reopen(struct fixture *f)
{
    struct xfer_error err = XFER_ERROR_INIT;

    store_close(f->store);
    f->store = store_open(&f->options, 0, &err);
    if (f->store == NULL)
        fail_msg("%s", err.text);
    store_set_queue(f->store, queue_id);
}

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    unsigned i;

    umask(022);
    for (i = 0; i < SIZE; i++)
        data[i] = (unsigned char)(i * 31 + i / 251 + 1);
    f->options.no_openat2 = *state != NULL;
    f->options.resume_min = 1000;
    f->options.resume_block = BLOCK;
    fixture_create(f);
    store_set_queue(f->store, queue_id);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    fixture_destroy(*state);
    free(*state);
    return 0;
}

static inline void asking(struct wire_meta *meta, const char *path)
{
    meta_of(meta, path, SIZE);
    meta->job = JOB;
    meta->file = 1;
    meta->ask = true;
}

/* An attempt that ends after so many bytes. */
static inline void leave_partial(struct fixture *f, const char *path, size_t len)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct wire_meta meta;
    struct store_file *file;

    asking(&meta, path);
    file = store_begin(f->store, &meta, &err);
    if (file == NULL)
        fail_msg("%s", err.text);
    assert_int_equal(store_write(file, data, len, &err), 0);
    store_abort(file, true);
}

static inline struct store_file *ask(struct fixture *f, const struct wire_meta *meta,
                                     struct wire_go *go)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct store_file *file = store_ask(f->store, meta, NULL, go, &err);

    if (file == NULL)
        fail_msg("%s", err.text);
    return file;
}

static inline void start(struct store_file *file, uint64_t offset)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (store_start(file, offset, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(store_size(file), offset);
}

/* The rest of it from offset on, and the verdict. */
static inline int finish(struct store_file *file, uint64_t offset, struct xfer_error *err)
{
    struct wire_verdict verdict;

    if (offset < SIZE && store_write(file, data + offset, SIZE - offset, err) != 0) {
        store_abort(file, false);
        return -1;
    }
    verdict_of(&verdict, data, SIZE);
    return store_commit(file, &verdict, NULL, err);
}

static inline void finishes(struct store_file *file, uint64_t offset)
{
    struct xfer_error err = XFER_ERROR_INIT;

    if (finish(file, offset, &err) != 0)
        fail_msg("%s", err.text);
}

static inline void fails_with(int rc, const struct xfer_error *err, enum xfer_code code)
{
    assert_int_equal(rc, -1);
    if (err->code != code)
        fail_msg("%s instead of %s: %s", error_info(err->code)->name, error_info(code)->name,
                 err->text);
    assert_int_equal(err->side, XFER_SIDE_RECEIVER);
}

static inline void is_whole(const struct fixture *f, const char *name)
{
    unsigned char back[SIZE + 1];
    int fd = open(in_root(f, name), O_RDONLY | O_NOFOLLOW);

    assert_true(fd >= 0);
    assert_int_equal(read(fd, back, sizeof back), SIZE);
    assert_memory_equal(back, data, SIZE);
    close(fd);
}

static inline void make_whole(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, SIZE), SIZE);
    close(fd);
}

static inline const char *in_partial(const struct fixture *f, const char *name)
{
    char path[400];

    snprintf(path, sizeof path, ".xfer/partial/%s", name);
    return in_root(f, path);
}

static inline off_t length_of(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 ? st.st_size : -1;
}

static inline void digest_of(const void *bytes, size_t len, unsigned char digest[XFER_DIGEST_SIZE])
{
    struct wire_verdict verdict;

    verdict_of(&verdict, bytes, len);
    memcpy(digest, verdict.digest, XFER_DIGEST_SIZE);
}

/* How many blocks from the beginning on are those of data? */
static inline unsigned agreeing(const struct wire_go *go)
{
    unsigned i;

    for (i = 0; i < go->n; i++) {
        uint64_t from = i * go->block,
                 len = go->size - from < go->block ? go->size - from : go->block;
        unsigned char digest[XFER_DIGEST_SIZE];

        digest_of(data + from, len, digest);
        if (memcmp(digest, go->digests[i], sizeof digest) != 0)
            break;
    }
    return i;
}

static inline void offers_nothing(const struct wire_go *go)
{
    assert_int_equal(go->offer, WIRE_OFFER_NOTHING);
    assert_int_equal(go->size, 0);
    assert_int_equal(go->block, 0);
    assert_int_equal(go->n, 0);
}

struct resume_test {
    const char *name;
    CMUnitTestFunction function;
};

#define RESUME_TEST(name) \
    {                     \
#name, name       \
    }

/* Each test twice, with and without openat2(). At most 64 tests. */
static inline int run_resume_tests(const char *group, const struct resume_test *list, size_t n)
{
    static struct CMUnitTest tests[128];
    static char names[128][160];
    size_t i;

    assert_true(2 * n <= 128);
    for (i = 0; i < 2 * n; i++) {
        snprintf(names[i], sizeof names[i], "%s%s", list[i % n].name,
                 i < n ? "" : " without openat2");
        tests[i] = (struct CMUnitTest){names[i], list[i % n].function, setup, teardown,
                                       i < n ? NULL : (void *)1};
    }
    return cmocka_run_group_tests_name(group, tests, NULL, NULL); /* ignores empty ones */
}

#endif
