/* SPDX-License-Identifier: MIT
 *
 * The receiving end of a lane, with the test in the place of the link.
 */
#include "tests/unit/store_fixture.h"

#include <ev.h>
#include <sys/resource.h>
#include <sys/xattr.h>

#include "daemon/receive/look.h"
#include "daemon/receive/receiver.h"
#include "proto/attrs.h"

#define ANSWERS_MAX 2048
#define BATCH_FILES 5
#define BATCH_BYTES 1000

/* of the tests that ask */
#define QUEUE      "0123456789abcdef"
#define RESUME_MIN 1000
#define BLOCK      400
#define SIZE       2100
#define PARTIAL    ".xfer/partial/30313233343536373839616263646566-7-1"

enum answer_kind { RECEIPT, REFUSAL, GO };

struct answer {
    enum answer_kind kind;
    struct wire_receipt msg;
};

struct lane {
    struct fixture fixture;
    struct ev_loop *loop;
    struct pool *pool;
    struct receiver *receiver;
    struct answer *answers;
    struct wire_go go; /* the last one */
    unsigned n_answers, n_released, n_given;
    uint64_t seq;
};

static void on_receipt(void *user, const void *msg, size_t len)
{
    struct lane *lane = user;
    struct xfer_error err;

    assert_true(lane->n_answers < ANSWERS_MAX);
    lane->answers[lane->n_answers].kind = RECEIPT;
    assert_int_equal(wire_receipt_decode(msg, len, &lane->answers[lane->n_answers++].msg, &err), 0);
}

static void on_refusal(void *user, const void *msg, size_t len)
{
    struct lane *lane = user;
    struct xfer_error err;

    assert_true(lane->n_answers < ANSWERS_MAX);
    lane->answers[lane->n_answers].kind = REFUSAL;
    assert_int_equal(wire_refusal_decode(msg, len, &lane->answers[lane->n_answers++].msg, &err), 0);
}

static void on_go(void *user, const void *msg, size_t len)
{
    struct lane *lane = user;
    struct xfer_error err;

    assert_true(lane->n_answers < ANSWERS_MAX);
    assert_int_equal(wire_go_decode(msg, len, &lane->go, &err), 0);
    lane->answers[lane->n_answers].kind = GO;
    lane->answers[lane->n_answers].msg.error.code = XFER_OK;
    lane->answers[lane->n_answers++].msg.seq = lane->go.seq;
}

static void on_release(void *user, void *chunk)
{
    struct lane *lane = user;

    /* whoever still reads it finds out under a sanitizer */
    free(chunk);
    lane->n_released++;
}

static const struct receiver_out out = {on_receipt, on_refusal, on_go, on_release};

static int setup(void **state)
{
    struct lane *lane = calloc(1, sizeof *lane);
    struct xfer_error err;

    umask(022);
    if (*state != NULL) {
        lane->fixture.options.resume_min = RESUME_MIN;
        lane->fixture.options.resume_block = BLOCK;
    }
    fixture_create(&lane->fixture);
    store_set_queue(lane->fixture.store, (const unsigned char *)QUEUE);
    lane->answers = calloc(ANSWERS_MAX, sizeof *lane->answers);
    lane->loop = ev_loop_new(EVFLAG_NOSIGMASK);
    lane->pool = pool_create(lane->loop, 2, &err);
    lane->receiver =
        receiver_create(lane->fixture.store, lane->pool, lane->loop,
                        &(struct receiver_batch){BATCH_FILES, BATCH_BYTES}, &out, lane, &err);
    assert_non_null(lane->receiver);
    *state = lane;
    return 0;
}

static int teardown(void **state)
{
    struct lane *lane = *state;

    receiver_destroy(lane->receiver);
    pool_destroy(lane->pool);
    ev_loop_destroy(lane->loop);
    fixture_destroy(&lane->fixture);
    free(lane->answers);
    free(lane);
    return 0;
}

/* ---- the sender's part ---- */

static int try_meta(struct lane *lane, uint64_t seq, const char *path, uint64_t size,
                    enum overwrite_mode overwrite, struct xfer_error *err)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    struct wire_meta meta;

    meta_of(&meta, path, size);
    meta.seq = seq;
    meta.overwrite = overwrite;
    return receiver_meta(lane->receiver, msg, wire_meta_encode(&meta, msg), err);
}

static int try_data(struct lane *lane, const void *data, size_t len, struct xfer_error *err)
{
    void *chunk = malloc(len);
    int rc;

    memcpy(chunk, data, len);
    rc = receiver_data(lane->receiver, chunk, chunk, len, err);
    if (rc == 0)
        lane->n_given++;
    else
        free(chunk);
    return rc;
}

static int try_verdict(struct lane *lane, const struct wire_verdict *verdict,
                       struct xfer_error *err)
{
    unsigned char msg[XFER_MESSAGE_MAX];

    return receiver_verdict(lane->receiver, msg, wire_verdict_encode(verdict, msg), err);
}

static void meta(struct lane *lane, const char *path, uint64_t size)
{
    assert_int_equal(
        try_meta(lane, ++lane->seq, path, size, OVERWRITE_REPLACE, &(struct xfer_error){0}), 0);
}

static void data(struct lane *lane, const void *bytes, size_t len)
{
    assert_int_equal(try_data(lane, bytes, len, &(struct xfer_error){0}), 0);
}

static void end(struct lane *lane)
{
    assert_int_equal(receiver_end(lane->receiver, &(struct xfer_error){0}), 0);
}

static void commit(struct lane *lane, const void *bytes, size_t len)
{
    struct wire_verdict verdict;

    verdict_of(&verdict, bytes, len);
    verdict.seq = lane->seq;
    assert_int_equal(try_verdict(lane, &verdict, &(struct xfer_error){0}), 0);
}

static void abort_file(struct lane *lane, enum xfer_code code)
{
    struct wire_verdict verdict = {.seq = lane->seq, .kind = WIRE_ABORT};

    error_set(&verdict.error, code, "given up");
    verdict.error.side = XFER_SIDE_SENDER;
    assert_int_equal(try_verdict(lane, &verdict, &(struct xfer_error){0}), 0);
}

static void whole_file(struct lane *lane, const char *path, const char *text)
{
    meta(lane, path, strlen(text));
    if (text[0] != '\0')
        data(lane, text, strlen(text));
    end(lane);
    commit(lane, text, strlen(text));
}

/* Until so many answers have come. */
static void await_answers(struct lane *lane, unsigned n)
{
    while (lane->n_answers < n)
        ev_run(lane->loop, EVRUN_ONCE);
}

/* All that was asked for has been done. */
static void await_rest(struct lane *lane)
{
    assert_true(pool_drain(lane->pool, 60));
    assert_int_equal(receiver_unfinished(lane->receiver), 0);
    assert_int_equal(lane->n_released, lane->n_given);
}

static const struct wire_receipt *answer_is(struct lane *lane, unsigned i, enum answer_kind kind,
                                            uint64_t seq, enum xfer_code code)
{
    const struct answer *a = &lane->answers[i];

    assert_true(i < lane->n_answers);
    assert_int_equal(a->kind, kind);
    assert_int_equal(a->msg.seq, seq);
    if (a->msg.error.code != code)
        fail_msg("%s instead of %s: %s", error_info(a->msg.error.code)->name,
                 error_info(code)->name, a->msg.error.text);
    return &a->msg;
}

static const char *at(struct lane *lane, const char *name)
{
    return in_root(&lane->fixture, name);
}

/* ---- the ordinary way ---- */

static void test_file_gets_a_receipt_with_size_and_digest(void **state)
{
    struct lane *lane = *state;
    struct wire_verdict verdict;
    const struct wire_receipt *receipt;

    whole_file(lane, "a", "hello");
    await_answers(lane, 1);
    receipt = answer_is(lane, 0, RECEIPT, 1, XFER_OK);
    assert_int_equal(receipt->size, 5);
    verdict_of(&verdict, "hello", 5);
    assert_memory_equal(receipt->digest, verdict.digest, XFER_DIGEST_SIZE);
    holds(at(lane, "a"), "hello");
    await_rest(lane);
    root_has(&lane->fixture, 1);
}

static void test_empty_file_gets_a_receipt(void **state)
{
    struct lane *lane = *state;

    whole_file(lane, "a", "");
    await_answers(lane, 1);
    answer_is(lane, 0, RECEIPT, 1, XFER_OK);
    holds(at(lane, "a"), "");
    await_rest(lane);
}

static void test_file_of_many_chunks_arrives_whole(void **state)
{
    struct lane *lane = *state;
    enum { CHUNK = 4096, CHUNKS = 100 };
    char *bytes = malloc(CHUNK * CHUNKS + 1);
    struct stat st;
    int i;

    for (i = 0; i < CHUNK * CHUNKS + 1; i++)
        bytes[i] = (char)(i * 7 + i / 4096);
    meta(lane, "big", CHUNK * CHUNKS + 1);
    for (i = 0; i < CHUNKS; i++)
        data(lane, bytes + i * CHUNK, CHUNK);
    data(lane, bytes + CHUNK * CHUNKS, 1);
    end(lane);
    commit(lane, bytes, CHUNK * CHUNKS + 1);
    await_answers(lane, 1);
    answer_is(lane, 0, RECEIPT, 1, XFER_OK);
    assert_int_equal(stat(at(lane, "big"), &st), 0);
    assert_int_equal(st.st_size, CHUNK * CHUNKS + 1);
    await_rest(lane);
    free(bytes);
}

static void test_small_file_in_several_chunks_arrives_whole(void **state)
{
    struct lane *lane = *state;

    meta(lane, "a", 9);
    data(lane, "abc", 3);
    data(lane, "def", 3);
    data(lane, "ghi", 3);
    end(lane);
    commit(lane, "abcdefghi", 9);
    await_answers(lane, 1);
    answer_is(lane, 0, RECEIPT, 1, XFER_OK);
    holds(at(lane, "a"), "abcdefghi");
    await_rest(lane);
}

static void kind(struct lane *lane, enum wire_kind kind, const char *path, const char *target)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    struct xfer_error err;
    struct wire_meta meta;

    meta_of(&meta, path, 0);
    meta.seq = ++lane->seq;
    meta.kind = kind;
    meta.target_len = strlen(target);
    memcpy(meta.target, target, meta.target_len + 1);
    if (receiver_meta(lane->receiver, msg, wire_meta_encode(&meta, msg), &err) < 0)
        fail_msg("%s", err.text);
    end(lane);
    commit(lane, "", 0);
}

static void test_all_kinds_get_receipts(void **state)
{
    struct lane *lane = *state;

    kind(lane, WIRE_KIND_DIRECTORY, "d", "");
    whole_file(lane, "d/a", "x");
    kind(lane, WIRE_KIND_SYMLINK, "d/s", "a");
    kind(lane, WIRE_KIND_HARDLINK, "d/h", "d/a");
    kind(lane, WIRE_KIND_BARRIER, ".", "");
    kind(lane, WIRE_KIND_SYMLINK, "d/s", "a");
    kind(lane, WIRE_KIND_DIRECTORY, "d/a", "");
    await_answers(lane, 7);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(answer_is(lane, i, RECEIPT, i + 1, XFER_OK)->unchanged, i == 5);
    answer_is(lane, 6, RECEIPT, 7, XFER_NOT_DIRECTORY);
    holds(at(lane, "d/h"), "x");
    await_rest(lane);
    root_has(&lane->fixture, 1);
}

static void test_receipt_tells_what_could_not_be_preserved(void **state)
{
    struct lane *lane = *state;
    bool root = geteuid() == 0;
    unsigned char msg[XFER_MESSAGE_MAX];
    struct xfer_error err;
    struct wire_meta meta;

    if (root) {
        assert_int_equal(chown(lane->fixture.root, 64001, 64001), 0);
        assert_int_equal(seteuid(64001), 0);
    }
    meta_of(&meta, "a", 0);
    meta.seq = ++lane->seq;
    meta.preserve |= PRESERVE_OWNER;
    meta.file_uid = meta.file_gid = 0;
    assert_int_equal(receiver_meta(lane->receiver, msg, wire_meta_encode(&meta, msg), &err), 0);
    end(lane);
    commit(lane, "", 0);
    await_answers(lane, 1);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_string_equal(answer_is(lane, 0, RECEIPT, 1, XFER_OK)->warning,
                        "owner: Operation not permitted");
    await_rest(lane);
}

struct looked_at {
    struct lane *lane;
    unsigned n;
};

static void on_looked(void *user, const struct wire_looked *looked)
{
    struct looked_at *at = user;

    assert_int_equal(looked->number, ++at->n);
    assert_int_equal(looked->n, 1);
    assert_int_equal(looked->entries[0].result, WIRE_LOOKED_MADE);
}

static void test_looks_are_answered_in_their_order(void **state)
{
    struct lane *lane = *state;
    struct looked_at looked_at = {.lane = lane};
    struct xfer_error err;
    struct wire_look *look = calloc(1, sizeof *look);
    struct looker *looker =
        looker_create(lane->fixture.store, lane->pool, on_looked, &looked_at, &err);

    assert_non_null(looker);
    look->job = look->n = 1;
    look->entries[0].kind = WIRE_KIND_DIRECTORY;
    for (unsigned i = 1; i <= XFER_LOOKS_MAX; i++) {
        look->number = i;
        snprintf(look->entries[0].name, sizeof look->entries[0].name, "d%u", i);
        looker_look(looker, look);
    }
    while (looked_at.n < XFER_LOOKS_MAX)
        ev_run(lane->loop, EVRUN_ONCE);
    /* what is outstanding at the end is done, and nobody told */
    snprintf(look->entries[0].name, sizeof look->entries[0].name, "last");
    look->number = 99;
    looker_look(looker, look);
    looker_destroy(looker);
    assert_int_equal(looked_at.n, XFER_LOOKS_MAX);
    assert_true(exists(at(lane, "last")));
    root_has(&lane->fixture, XFER_LOOKS_MAX + 1);
    looker_destroy(NULL);
    free(look);
}

static void test_chunks_come_back_before_the_verdict(void **state)
{
    struct lane *lane = *state;
    static char bytes[100 << 10];

    meta(lane, "a", sizeof bytes * 2);
    data(lane, bytes, sizeof bytes);
    data(lane, bytes, sizeof bytes);
    while (lane->n_released < 2)
        ev_run(lane->loop, EVRUN_ONCE);
    assert_int_equal(receiver_unfinished(lane->receiver), 1);
}

static void test_at_most_one_chunk_is_held_back(void **state)
{
    struct lane *lane = *state;
    unsigned i;

    meta(lane, "a", 1000);
    for (i = 0; i < 10; i++)
        data(lane, "x", 1);
    while (lane->n_released < 10)
        ev_run(lane->loop, EVRUN_ONCE);
}

static void test_receipts_keep_the_order_of_the_files(void **state)
{
    struct lane *lane = *state;
    unsigned i;

    /* all ahead of the first receipt; sizes, failures and aborts mixed */
    for (i = 1; i <= XFER_LANE_FILES_MAX; i++) {
        char path[32];

        snprintf(path, sizeof path, "d%u/f%u", i % 3, i);
        if (i % 5 == 0) {
            meta(lane, path, 3);
            data(lane, "abc", 3);
            end(lane);
            abort_file(lane, XFER_CANCELLED);
        } else {
            whole_file(lane, path, i % 2 == 0 ? "text" : "");
        }
    }
    assert_int_equal(receiver_unfinished(lane->receiver), XFER_LANE_FILES_MAX);
    await_answers(lane, XFER_LANE_FILES_MAX);
    for (i = 1; i <= XFER_LANE_FILES_MAX; i++)
        answer_is(lane, i - 1, RECEIPT, i, i % 5 == 0 ? XFER_CANCELLED : XFER_OK);
    await_rest(lane);
    assert_int_equal(lane->n_answers, XFER_LANE_FILES_MAX);
}

static void test_next_file_begins_before_the_receipt_of_the_last(void **state)
{
    struct lane *lane = *state;

    whole_file(lane, "a", "first");
    meta(lane, "b", 6);
    data(lane, "second", 6);
    await_answers(lane, 1);
    assert_int_equal(receiver_unfinished(lane->receiver), 1);
    end(lane);
    commit(lane, "second", 6);
    await_answers(lane, 2);
    answer_is(lane, 1, RECEIPT, 2, XFER_OK);
    await_rest(lane);
}

static void test_same_file_twice_in_a_row_keeps_the_last(void **state)
{
    struct lane *lane = *state;

    whole_file(lane, "a", "first");
    whole_file(lane, "a", "second");
    await_answers(lane, 2);
    holds(at(lane, "a"), "second");
    await_rest(lane);
}

/* ---- failures ---- */

static void test_file_that_cannot_begin_is_refused_then_answered(void **state)
{
    struct lane *lane = *state;
    static char bytes[4096];
    const struct wire_receipt *answer;
    unsigned i;

    assert_int_equal(mkdir(at(lane, "dir"), 0755), 0);
    meta(lane, "dir", 1 << 20);
    await_answers(lane, 1);
    answer = answer_is(lane, 0, REFUSAL, 1, XFER_IS_DIRECTORY);
    assert_int_equal(answer->error.side, XFER_SIDE_RECEIVER);
    assert_string_equal(answer->error.path, at(lane, "dir"));
    /* what is still under way is dropped at once */
    for (i = 0; i < 10; i++) {
        data(lane, bytes, sizeof bytes);
        assert_int_equal(lane->n_released, i + 1);
    }
    end(lane);
    abort_file(lane, XFER_IS_DIRECTORY);
    await_answers(lane, 2);
    answer = answer_is(lane, 1, RECEIPT, 1, XFER_IS_DIRECTORY);
    assert_int_equal(answer->error.side, XFER_SIDE_RECEIVER);
    await_rest(lane);
    assert_int_equal(lane->n_answers, 2);
}

static void test_refusal_after_data_has_come_drops_all_of_it(void **state)
{
    struct lane *lane = *state;
    static char bytes[70000];

    assert_int_equal(mkdir(at(lane, "dir"), 0755), 0);
    meta(lane, "dir", 3 * sizeof bytes);
    data(lane, bytes, sizeof bytes);
    data(lane, bytes, sizeof bytes);
    await_answers(lane, 1);
    answer_is(lane, 0, REFUSAL, 1, XFER_IS_DIRECTORY);
    data(lane, bytes, sizeof bytes);
    end(lane);
    commit(lane, bytes, sizeof bytes);
    await_answers(lane, 2);
    answer_is(lane, 1, RECEIPT, 1, XFER_IS_DIRECTORY);
    await_rest(lane);
    assert_int_equal(lane->n_answers, 2);
}

static void test_small_file_that_cannot_begin_gets_its_receipt(void **state)
{
    struct lane *lane = *state;

    assert_int_equal(mkdir(at(lane, "dir"), 0755), 0);
    whole_file(lane, "dir", "text");
    await_answers(lane, 1);
    answer_is(lane, 0, RECEIPT, 1, XFER_IS_DIRECTORY);
    await_rest(lane);
    assert_int_equal(lane->n_answers, 1);
}

static void test_lane_goes_on_after_a_refusal(void **state)
{
    struct lane *lane = *state;

    assert_int_equal(mkdir(at(lane, "dir"), 0755), 0);
    whole_file(lane, "dir", "text");
    whole_file(lane, "a", "text");
    await_answers(lane, 2);
    answer_is(lane, 0, RECEIPT, 1, XFER_IS_DIRECTORY);
    answer_is(lane, 1, RECEIPT, 2, XFER_OK);
    holds(at(lane, "a"), "text");
    await_rest(lane);
}

static void test_existing_destination_is_kept_with_never(void **state)
{
    struct lane *lane = *state;

    make_file(at(lane, "a"), "old");
    assert_int_equal(try_meta(lane, ++lane->seq, "a", 3, OVERWRITE_NEVER, &(struct xfer_error){0}),
                     0);
    data(lane, "new", 3);
    end(lane);
    commit(lane, "new", 3);
    await_answers(lane, 1);
    answer_is(lane, 0, RECEIPT, 1, XFER_DESTINATION_EXISTS);
    holds(at(lane, "a"), "old");
    await_rest(lane);
}

static void test_abort_keeps_the_senders_error_and_stores_nothing(void **state)
{
    struct lane *lane = *state;
    const struct wire_receipt *receipt;

    meta(lane, "d/a", 100);
    data(lane, "abc", 3);
    end(lane);
    abort_file(lane, XFER_SOURCE_CHANGED);
    await_answers(lane, 1);
    receipt = answer_is(lane, 0, RECEIPT, 1, XFER_SOURCE_CHANGED);
    assert_int_equal(receipt->error.side, XFER_SIDE_SENDER);
    assert_string_equal(receipt->error.text, "given up");
    assert_int_equal(receipt->size, 0);
    await_rest(lane);
    root_has(&lane->fixture, 0);
}

static void test_wrong_digest_stores_nothing(void **state)
{
    struct lane *lane = *state;

    meta(lane, "a", 3);
    data(lane, "abc", 3);
    end(lane);
    commit(lane, "abd", 3);
    await_answers(lane, 1);
    answer_is(lane, 0, RECEIPT, 1, XFER_DIGEST_MISMATCH);
    await_rest(lane);
    root_has(&lane->fixture, 0);
}

static void test_missing_bytes_store_nothing(void **state)
{
    struct lane *lane = *state;

    meta(lane, "a", 6);
    data(lane, "abc", 3);
    end(lane);
    commit(lane, "abcdef", 6);
    await_answers(lane, 1);
    answer_is(lane, 0, RECEIPT, 1, XFER_DIGEST_MISMATCH);
    await_rest(lane);
    root_has(&lane->fixture, 0);
}

static void test_more_bytes_than_announced_are_refused(void **state)
{
    struct lane *lane = *state;
    const struct wire_receipt *answer;

    meta(lane, "a", 5);
    data(lane, "abc", 3);
    data(lane, "def", 3);
    assert_int_equal(lane->n_answers, 1);
    answer = answer_is(lane, 0, REFUSAL, 1, XFER_SOURCE_CHANGED);
    assert_int_equal(answer->error.side, XFER_SIDE_SENDER);
    data(lane, "g", 1);
    end(lane);
    commit(lane, "abcdefg", 7);
    await_answers(lane, 2);
    answer_is(lane, 1, RECEIPT, 1, XFER_SOURCE_CHANGED);
    await_rest(lane);
    assert_int_equal(lane->n_answers, 2);
    root_has(&lane->fixture, 0);
}

static void test_data_for_an_empty_file_is_refused(void **state)
{
    struct lane *lane = *state;

    meta(lane, "a", 0);
    data(lane, "a", 1);
    end(lane);
    commit(lane, "a", 1);
    await_answers(lane, 2);
    answer_is(lane, 0, REFUSAL, 1, XFER_SOURCE_CHANGED);
    answer_is(lane, 1, RECEIPT, 1, XFER_SOURCE_CHANGED);
    await_rest(lane);
    root_has(&lane->fixture, 0);
}

static void test_write_that_fails_is_refused(void **state)
{
    struct lane *lane = *state;
    static char bytes[100 << 10];
    struct rlimit old, small;

    /* a limit on the size of files stands for a full disk; it also stops preallocation, which is
     * why the file is small */
    (void)getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 120 << 10;
    meta(lane, "a", 2 * sizeof bytes);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    data(lane, bytes, sizeof bytes);
    data(lane, bytes, sizeof bytes);
    await_answers(lane, 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    answer_is(lane, 0, REFUSAL, 1, XFER_FILE_TOO_LARGE);
    end(lane);
    commit(lane, bytes, sizeof bytes);
    await_answers(lane, 2);
    answer_is(lane, 1, RECEIPT, 1, XFER_FILE_TOO_LARGE);
    await_rest(lane);
    root_has(&lane->fixture, 0);
}

/* ---- broken protocol ---- */

static void test_messages_out_of_turn_break_the_lane(void **state)
{
    struct lane *lane = *state;
    struct wire_verdict verdict;
    struct xfer_error err;

    verdict_of(&verdict, "", 0);
    assert_int_equal(try_data(lane, "x", 1, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
    assert_int_equal(receiver_end(lane->receiver, &err), -1);
    assert_int_equal(try_verdict(lane, &verdict, &err), -1);
    meta(lane, "a", 3);
    assert_int_equal(try_meta(lane, 2, "b", 3, OVERWRITE_REPLACE, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
    assert_int_equal(try_verdict(lane, &verdict, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
    end(lane);
    assert_int_equal(try_data(lane, "x", 1, &err), -1);
    assert_int_equal(receiver_end(lane->receiver, &err), -1);
    assert_int_equal(try_meta(lane, 2, "b", 3, OVERWRITE_REPLACE, &err), -1);
    assert_int_equal(lane->n_answers, 0);
}

/* ---- attributes ---- */

static int try_meta_with(struct lane *lane, const char *path, uint32_t attrs_size,
                         struct xfer_error *err)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    struct wire_meta meta;

    meta_of(&meta, path, 1);
    meta.seq = ++lane->seq;
    meta.preserve |= PRESERVE_XATTR;
    meta.attrs_size = attrs_size;
    return receiver_meta(lane->receiver, msg, wire_meta_encode(&meta, msg), err);
}

static int try_attrs(struct lane *lane, uint64_t seq, uint32_t offset, const void *data,
                     uint32_t len, struct xfer_error *err)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    struct wire_attrs attrs = {.seq = seq, .offset = offset, .len = len, .data = data};
    int rc = receiver_attrs(lane->receiver, msg, wire_attrs_encode(&attrs, msg), err);

    memset(msg, 'x', sizeof msg);
    return rc;
}

/* Attributes of that many bytes, one of them. */
static void one_attr(unsigned char *bytes, size_t size)
{
    struct attrs_writer w = {.buf = bytes, .size = size};
    static const char value[XFER_ATTR_VALUE_MAX];

    assert_int_equal(attrs_put(&w, "user.a", value, size - attrs_size_of("user.a", 0)), 0);
    assert_int_equal(w.len, size);
}

static void test_attributes_come_in_pieces(void **state)
{
    struct lane *lane = *state;
    unsigned char bytes[2000];
    struct xfer_error err;

    one_attr(bytes, sizeof bytes);
    assert_int_equal(try_meta_with(lane, "a", sizeof bytes, &err), RECEIVER_ATTRS);
    assert_int_equal(try_attrs(lane, 1, 0, bytes, 1, &err), RECEIVER_ATTRS);
    assert_int_equal(try_attrs(lane, 1, 1, bytes + 1, 1000, &err), RECEIVER_ATTRS);
    assert_int_equal(try_attrs(lane, 1, 1001, bytes + 1001, 999, &err), RECEIVER_DATA);
    data(lane, "x", 1);
    end(lane);
    commit(lane, "x", 1);
    await_answers(lane, 1);
    if (answer_is(lane, 0, RECEIPT, 1, XFER_OK)->warning[0] == '\0')
        assert_int_equal(getxattr(at(lane, "a"), "user.a", NULL, 0), 2000 - 12);
    await_rest(lane);
}

static void test_attributes_of_what_is_given_up_come_to_nothing(void **state)
{
    struct lane *lane = *state;
    unsigned char bytes[100];
    struct xfer_error err;

    one_attr(bytes, sizeof bytes);
    assert_int_equal(try_meta_with(lane, "a", sizeof bytes, &err), RECEIVER_ATTRS);
    assert_int_equal(try_attrs(lane, 1, 0, bytes, sizeof bytes, &err), RECEIVER_DATA);
    end(lane);
    abort_file(lane, XFER_CANCELLED);
    await_answers(lane, 1);
    answer_is(lane, 0, RECEIPT, 1, XFER_CANCELLED);
    await_rest(lane);
    root_has(&lane->fixture, 0);
}

static void breaks(struct lane *lane, int rc, const struct xfer_error *err)
{
    assert_int_equal(rc, -1);
    assert_int_equal(err->code, XFER_PROTOCOL);
    assert_true(lane->n_answers == 0);
}

static void test_attributes_with_a_gap_break_the_lane(void **state)
{
    struct lane *lane = *state;
    unsigned char bytes[100];
    struct xfer_error err;

    one_attr(bytes, sizeof bytes);
    assert_int_equal(try_meta_with(lane, "a", sizeof bytes, &err), RECEIVER_ATTRS);
    breaks(lane, try_attrs(lane, 1, 1, bytes, 10, &err), &err);
    breaks(lane, try_attrs(lane, 2, 0, bytes, 10, &err), &err);
    assert_int_equal(try_attrs(lane, 1, 0, bytes, 10, &err), RECEIVER_ATTRS);
    breaks(lane, try_attrs(lane, 1, 0, bytes, 10, &err), &err);
    breaks(lane, try_attrs(lane, 1, 10, bytes, 91, &err), &err);
    breaks(lane, try_data(lane, "x", 1, &err), &err);
}

static void test_broken_attributes_break_the_lane(void **state)
{
    struct lane *lane = *state;
    unsigned char bytes[100];
    struct xfer_error err;

    one_attr(bytes, sizeof bytes);
    bytes[0]++;
    assert_int_equal(try_meta_with(lane, "a", sizeof bytes, &err), RECEIVER_ATTRS);
    breaks(lane, try_attrs(lane, 1, 0, bytes, sizeof bytes, &err), &err);
}

static void test_attributes_of_no_file_break_the_lane(void **state)
{
    struct lane *lane = *state;
    unsigned char bytes[100];
    struct xfer_error err;

    one_attr(bytes, sizeof bytes);
    breaks(lane, try_attrs(lane, 1, 0, bytes, 10, &err), &err);
    meta(lane, "a", 1);
    breaks(lane, try_attrs(lane, 1, 0, bytes, 10, &err), &err);
}

static void test_too_many_attributes_of_unanswered_files_break_the_lane(void **state)
{
    struct lane *lane = *state;
    static const char value[XFER_ATTR_VALUE_MAX];
    unsigned char *bytes = malloc(XFER_ATTRS_MAX);
    struct attrs_writer w = {.buf = bytes, .size = XFER_ATTRS_MAX};
    struct xfer_error err;
    char name[16];

    for (unsigned i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "user.%u", i);
        assert_int_equal(attrs_put(&w, name, value, XFER_ATTRS_MAX / 8 - 12), 0);
    }
    for (unsigned n = 0; n < XFER_ATTRS_LANE_MAX / XFER_ATTRS_MAX; n++) {
        assert_int_equal(try_meta_with(lane, "a", XFER_ATTRS_MAX, &err), RECEIVER_ATTRS);
        for (uint32_t at = 0, len; at < w.len; at += len) {
            len = XFER_ATTRS_MAX - at < XFER_ATTRS_PIECE ? XFER_ATTRS_MAX - at : XFER_ATTRS_PIECE;
            assert_true(try_attrs(lane, lane->seq, at, bytes + at, len, &err) >= 0);
        }
        end(lane);
        abort_file(lane, XFER_CANCELLED);
    }
    breaks(lane, try_meta_with(lane, "a", 100, &err), &err);
    assert_true(pool_drain(lane->pool, 60));
    free(bytes);
}

/* ---- holes ---- */

static int try_meta_of_holes(struct lane *lane, const char *path, uint64_t size,
                             struct xfer_error *err)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    struct wire_meta meta;

    meta_of(&meta, path, size);
    meta.seq = ++lane->seq;
    meta.preserve |= PRESERVE_SPARSE;
    meta.sparse = true;
    return receiver_meta(lane->receiver, msg, wire_meta_encode(&meta, msg), err);
}

/* Of two pieces; an offset of 0: of none, one. */
static int try_map(struct lane *lane, bool more, uint64_t one, uint64_t two, struct xfer_error *err)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    struct wire_map map = {.seq = lane->seq, .more = more, .n = two ? 2 : one ? 1 : 0};

    map.extents[0] = (struct wire_extent){one, 2};
    map.extents[1] = (struct wire_extent){two, 3};
    return receiver_map(lane->receiver, msg, wire_map_encode(&map, msg), err);
}

static int data_then(struct lane *lane, const char *text)
{
    void *chunk = strdup(text);
    struct xfer_error err;

    lane->n_given++;
    return receiver_data(lane->receiver, chunk, chunk, strlen(text), &err);
}

static void test_data_goes_where_the_maps_say(void **state)
{
    static const char whole[30] = "\0\0\0ab\0\0\0cde\0fg\0\0\0\0\0\0hij";
    struct lane *lane = *state;
    struct xfer_error err;
    char there[40];
    int fd;

    assert_int_equal(try_meta_of_holes(lane, "a", sizeof whole, &err), RECEIVER_MAP);
    assert_int_equal(try_map(lane, true, 3, 8, &err), RECEIVER_DATA);
    assert_int_equal(data_then(lane, "abc"), RECEIVER_DATA);
    assert_int_equal(data_then(lane, "de"), RECEIVER_MAP);
    assert_int_equal(try_map(lane, false, 12, 20, &err), RECEIVER_DATA);
    assert_int_equal(data_then(lane, "fghij"), RECEIVER_DATA);
    end(lane);
    commit(lane, whole, sizeof whole);
    await_answers(lane, 1);
    assert_int_equal(answer_is(lane, 0, RECEIPT, 1, XFER_OK)->size, sizeof whole);
    fd = open(at(lane, "a"), O_RDONLY);
    assert_int_equal(read(fd, there, sizeof there), sizeof whole);
    close(fd);
    assert_memory_equal(there, whole, sizeof whole);
    await_rest(lane);
}

static void test_file_of_one_hole_gets_a_receipt(void **state)
{
    static const char whole[10000];
    struct lane *lane = *state;
    struct xfer_error err;

    assert_int_equal(try_meta_of_holes(lane, "a", sizeof whole, &err), RECEIVER_MAP);
    assert_int_equal(try_map(lane, false, 0, 0, &err), RECEIVER_DATA);
    end(lane);
    commit(lane, whole, sizeof whole);
    await_answers(lane, 1);
    assert_int_equal(answer_is(lane, 0, RECEIPT, 1, XFER_OK)->size, sizeof whole);
    await_rest(lane);
}

static void test_file_with_holes_that_is_given_up_leaves_nothing(void **state)
{
    struct lane *lane = *state;
    struct xfer_error err;

    assert_int_equal(try_meta_of_holes(lane, "a", (uint64_t)1 << 60, &err), RECEIVER_MAP);
    assert_int_equal(try_map(lane, false, (uint64_t)1 << 59, 0, &err), RECEIVER_DATA);
    assert_int_equal(data_then(lane, "ab"), RECEIVER_DATA);
    end(lane);
    abort_file(lane, XFER_CANCELLED);
    await_answers(lane, 1);
    answer_is(lane, 0, RECEIPT, 1, XFER_CANCELLED);
    await_rest(lane);
    root_has(&lane->fixture, 0);
}

static void test_destroy_waits_for_no_large_hole(void **state)
{
    struct lane *lane = *state;
    struct xfer_error err;

    assert_int_equal(try_meta_of_holes(lane, "a", (uint64_t)1 << 60, &err), RECEIVER_MAP);
    assert_int_equal(try_map(lane, false, 0, 0, &err), RECEIVER_DATA);
    end(lane);
    commit(lane, "", 0);
    receiver_destroy(lane->receiver);
    lane->receiver = NULL;
    assert_int_equal(lane->n_answers, 0);
    root_has(&lane->fixture, 0);
}

static void test_maps_that_are_wrong_break_the_lane(void **state)
{
    struct lane *lane = *state;
    struct xfer_error err;

    assert_int_equal(try_meta_of_holes(lane, "a", 30, &err), RECEIVER_MAP);
    breaks(lane, try_data(lane, "x", 1, &err), &err);
    breaks(lane, try_map(lane, false, 3, 28, &err), &err);
    assert_int_equal(try_map(lane, true, 3, 8, &err), RECEIVER_DATA);
    breaks(lane, try_map(lane, false, 20, 0, &err), &err);
    breaks(lane, try_data(lane, "123456", 6, &err), &err);
    assert_int_equal(data_then(lane, "12345"), RECEIVER_MAP);
    breaks(lane, try_map(lane, false, 10, 0, &err), &err);
    breaks(lane, receiver_end(lane->receiver, &err), &err);
    assert_true(pool_drain(lane->pool, 60));
}

static void test_metadata_with_a_wrong_number_breaks_the_lane(void **state)
{
    struct lane *lane = *state;
    struct xfer_error err;

    assert_int_equal(try_meta(lane, 2, "a", 3, OVERWRITE_REPLACE, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
    whole_file(lane, "a", "x");
    assert_int_equal(try_meta(lane, 1, "a", 3, OVERWRITE_REPLACE, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
    assert_int_equal(try_meta(lane, 3, "a", 3, OVERWRITE_REPLACE, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
    assert_int_equal(try_meta(lane, 2, "a", 3, OVERWRITE_REPLACE, &err), 0);
    assert_true(pool_drain(lane->pool, 60));
}

static void test_verdict_with_a_wrong_number_breaks_the_lane(void **state)
{
    struct lane *lane = *state;
    struct wire_verdict verdict;
    struct xfer_error err;

    meta(lane, "a", 0);
    end(lane);
    verdict_of(&verdict, "", 0);
    verdict.seq = 2;
    assert_int_equal(try_verdict(lane, &verdict, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
}

static void test_garbage_breaks_the_lane(void **state)
{
    struct lane *lane = *state;
    struct xfer_error err;

    assert_int_equal(receiver_meta(lane->receiver, "garbage", 7, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
    meta(lane, "a", 0);
    end(lane);
    assert_int_equal(receiver_verdict(lane->receiver, "", 0, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
}

static void test_too_many_unanswered_files_break_the_lane(void **state)
{
    struct lane *lane = *state;
    struct xfer_error err;
    unsigned i;

    for (i = 0; i < XFER_LANE_FILES_MAX; i++)
        whole_file(lane, "a", "x");
    assert_int_equal(try_meta(lane, lane->seq + 1, "b", 1, OVERWRITE_REPLACE, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
    await_answers(lane, 1);
    assert_int_equal(try_meta(lane, lane->seq + 1, "b", 1, OVERWRITE_REPLACE, &err), 0);
    assert_true(pool_drain(lane->pool, 60));
}

/* ---- files that ask ---- */

static char bytes[SIZE];

static void fill(void)
{
    int i;

    for (i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 31 + i / 251 + 1);
}

static void ask(struct lane *lane, const char *path, uint64_t size, enum overwrite_mode overwrite)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    struct wire_meta meta;

    fill();
    meta_of(&meta, path, size);
    meta.seq = ++lane->seq;
    meta.job = 7;
    meta.file = 1;
    meta.ask = true;
    meta.overwrite = overwrite;
    assert_int_equal(
        receiver_meta(lane->receiver, msg, wire_meta_encode(&meta, msg), &(struct xfer_error){0}),
        RECEIVER_START);
}

static int try_start(struct lane *lane, uint64_t seq, uint64_t offset, struct xfer_error *err)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    struct wire_start m = {.seq = seq, .offset = offset};

    return receiver_start(lane->receiver, msg, wire_start_encode(&m, msg), err);
}

static void start(struct lane *lane, uint64_t offset)
{
    assert_int_equal(try_start(lane, lane->seq, offset, &(struct xfer_error){0}), 0);
}

static void give_up(struct lane *lane, bool keep)
{
    struct wire_verdict verdict = {.seq = lane->seq, .kind = WIRE_ABORT, .keep = keep};

    error_set(&verdict.error, XFER_STOPPING, "given up");
    end(lane);
    assert_int_equal(try_verdict(lane, &verdict, &(struct xfer_error){0}), 0);
}

/* An attempt that ended after so many bytes, before the lane was there. */
static void leave_partial(struct lane *lane, size_t len)
{
    struct xfer_error err;
    struct wire_meta meta;
    struct store_file *file;

    fill();
    meta_of(&meta, "a", SIZE);
    meta.job = 7;
    meta.file = 1;
    file = store_begin(lane->fixture.store, &meta, &err);
    assert_non_null(file);
    assert_int_equal(store_write(file, bytes, len, &err), 0);
    store_abort(file, true);
}

static void partial_has(struct lane *lane, off_t size)
{
    struct stat st;

    assert_int_equal(stat(at(lane, PARTIAL), &st), 0);
    assert_int_equal(st.st_size, size);
}

static void is_whole(struct lane *lane, const char *name)
{
    char back[SIZE + 1];
    int fd = open(at(lane, name), O_RDONLY);

    assert_true(fd >= 0);
    assert_int_equal(read(fd, back, sizeof back), SIZE);
    assert_memory_equal(back, bytes, SIZE);
    close(fd);
}

static void test_question_is_answered_at_once(void **state)
{
    struct lane *lane = *state;
    const struct wire_receipt *receipt;
    struct wire_verdict verdict;

    /* small ones are not held back for it */
    ask(lane, "small", 3, OVERWRITE_NEVER);
    await_answers(lane, 1);
    answer_is(lane, 0, GO, 1, XFER_OK);
    assert_int_equal(lane->go.offer, WIRE_OFFER_NOTHING);
    start(lane, 0);
    data(lane, "abc", 3);
    end(lane);
    commit(lane, "abc", 3);
    ask(lane, "a", SIZE, OVERWRITE_REPLACE);
    await_answers(lane, 3);
    answer_is(lane, 1, RECEIPT, 1, XFER_OK);
    answer_is(lane, 2, GO, 2, XFER_OK);
    start(lane, 0);
    data(lane, bytes, 1000);
    data(lane, bytes + 1000, SIZE - 1000);
    end(lane);
    commit(lane, bytes, SIZE);
    await_answers(lane, 4);
    receipt = answer_is(lane, 3, RECEIPT, 2, XFER_OK);
    assert_int_equal(receipt->size, SIZE);
    verdict_of(&verdict, bytes, SIZE);
    assert_memory_equal(receipt->digest, verdict.digest, XFER_DIGEST_SIZE);
    holds(at(lane, "small"), "abc");
    is_whole(lane, "a");
    await_rest(lane);
    assert_int_equal(lane->n_answers, 4);
    root_has(&lane->fixture, 2);
}

static void test_partial_file_is_offered_and_gone_on_with(void **state)
{
    struct lane *lane = *state;
    const struct wire_receipt *receipt;
    struct wire_verdict verdict;
    unsigned i;

    leave_partial(lane, 950);
    ask(lane, "a", SIZE, OVERWRITE_REPLACE);
    await_answers(lane, 1);
    answer_is(lane, 0, GO, 1, XFER_OK);
    assert_int_equal(lane->go.offer, WIRE_OFFER_PARTIAL);
    assert_int_equal(lane->go.size, 950);
    assert_int_equal(lane->go.block, BLOCK);
    assert_int_equal(lane->go.n, 3);
    for (i = 0; i < 3; i++) {
        verdict_of(&verdict, bytes + i * BLOCK, i < 2 ? BLOCK : 150);
        assert_memory_equal(lane->go.digests[i], verdict.digest, XFER_DIGEST_SIZE);
    }
    start(lane, 800);
    data(lane, bytes + 800, SIZE - 800);
    end(lane);
    commit(lane, bytes, SIZE);
    await_answers(lane, 2);
    receipt = answer_is(lane, 1, RECEIPT, 1, XFER_OK);
    assert_int_equal(receipt->size, SIZE);
    verdict_of(&verdict, bytes, SIZE);
    assert_memory_equal(receipt->digest, verdict.digest, XFER_DIGEST_SIZE);
    is_whole(lane, "a");
    await_rest(lane);
    root_has(&lane->fixture, 1);
}

static void test_partial_file_that_is_all_of_it_needs_no_data(void **state)
{
    struct lane *lane = *state;

    leave_partial(lane, SIZE);
    ask(lane, "a", SIZE, OVERWRITE_REPLACE);
    await_answers(lane, 1);
    start(lane, SIZE);
    end(lane);
    commit(lane, bytes, SIZE);
    await_answers(lane, 2);
    answer_is(lane, 1, RECEIPT, 1, XFER_OK);
    is_whole(lane, "a");
    await_rest(lane);
    root_has(&lane->fixture, 1);
}

static void test_stored_file_needs_no_data(void **state)
{
    struct lane *lane = *state;
    const struct wire_receipt *receipt;
    struct wire_verdict verdict;

    whole_file(lane, "a", "here already");
    ask(lane, "a", 12, OVERWRITE_NEVER);
    await_answers(lane, 2);
    answer_is(lane, 1, GO, 2, XFER_OK);
    assert_int_equal(lane->go.offer, WIRE_OFFER_STORED);
    assert_int_equal(lane->go.size, 12);
    start(lane, 12);
    end(lane);
    commit(lane, "here already", 12);
    await_answers(lane, 3);
    receipt = answer_is(lane, 2, RECEIPT, 2, XFER_OK);
    assert_int_equal(receipt->size, 12);
    verdict_of(&verdict, "here already", 12);
    assert_memory_equal(receipt->digest, verdict.digest, XFER_DIGEST_SIZE);
    holds(at(lane, "a"), "here already");
    await_rest(lane);
    root_has(&lane->fixture, 1);
}

static void test_question_that_fails_is_refused_instead(void **state)
{
    struct lane *lane = *state;

    make_file(at(lane, "f"), "x");
    ask(lane, "f/a", SIZE, OVERWRITE_REPLACE);
    await_answers(lane, 1);
    answer_is(lane, 0, REFUSAL, 1, XFER_NOT_DIRECTORY);
    start(lane, 0);
    give_up(lane, false);
    whole_file(lane, "b", "next");
    await_answers(lane, 3);
    answer_is(lane, 1, RECEIPT, 1, XFER_NOT_DIRECTORY);
    answer_is(lane, 2, RECEIPT, 2, XFER_OK);
    await_rest(lane);
    assert_int_equal(lane->n_answers, 3);
}

static void test_refused_question_is_told_even_when_nobody_waited(void **state)
{
    struct lane *lane = *state;

    make_file(at(lane, "f"), "x");
    ask(lane, "f/a", SIZE, OVERWRITE_REPLACE);
    start(lane, 0);
    give_up(lane, true);
    await_answers(lane, 2);
    answer_is(lane, 0, REFUSAL, 1, XFER_NOT_DIRECTORY);
    answer_is(lane, 1, RECEIPT, 1, XFER_NOT_DIRECTORY);
    await_rest(lane);
    assert_int_equal(lane->n_answers, 2);
}

static void test_start_that_fails_is_refused(void **state)
{
    struct lane *lane = *state;

    make_file(at(lane, "a"), "old");
    ask(lane, "a", SIZE, OVERWRITE_NEVER);
    await_answers(lane, 1);
    answer_is(lane, 0, GO, 1, XFER_OK);
    assert_int_equal(lane->go.offer, WIRE_OFFER_NOTHING);
    start(lane, 0);
    data(lane, bytes, 1000);
    await_answers(lane, 2);
    answer_is(lane, 1, REFUSAL, 1, XFER_DESTINATION_EXISTS);
    data(lane, bytes + 1000, SIZE - 1000);
    end(lane);
    commit(lane, bytes, SIZE);
    await_answers(lane, 3);
    answer_is(lane, 2, RECEIPT, 1, XFER_DESTINATION_EXISTS);
    holds(at(lane, "a"), "old");
    await_rest(lane);
    root_has(&lane->fixture, 1);
}

static void test_start_that_fails_drops_the_partial_file(void **state)
{
    struct lane *lane = *state;

    leave_partial(lane, 950);
    assert_int_equal(mkdir(at(lane, "a"), 0755), 0);
    ask(lane, "a", SIZE, OVERWRITE_REPLACE);
    await_answers(lane, 1);
    start(lane, 950);
    end(lane);
    commit(lane, bytes, SIZE);
    await_answers(lane, 2);
    answer_is(lane, 1, RECEIPT, 1, XFER_IS_DIRECTORY);
    await_rest(lane);
    root_has(&lane->fixture, 1);
}

static void test_abort_keeps_what_can_be_gone_on_with(void **state)
{
    struct lane *lane = *state;

    ask(lane, "a", SIZE, OVERWRITE_REPLACE);
    await_answers(lane, 1);
    start(lane, 0);
    data(lane, bytes, 1300);
    give_up(lane, true);
    await_answers(lane, 2);
    answer_is(lane, 1, RECEIPT, 1, XFER_STOPPING);
    await_rest(lane);
    partial_has(lane, 1300);
    ask(lane, "a", SIZE, OVERWRITE_REPLACE);
    await_answers(lane, 3);
    assert_int_equal(lane->go.size, 1300);
    start(lane, 1300);
    data(lane, bytes + 1300, 400);
    give_up(lane, true);
    await_answers(lane, 4);
    await_rest(lane);
    partial_has(lane, 1700);
}

static void test_abort_keeps_also_what_was_not_asked_for(void **state)
{
    struct lane *lane = *state;

    meta(lane, "a", SIZE);
    data(lane, bytes, 1300);
    give_up(lane, true);
    await_answers(lane, 1);
    await_rest(lane);
    assert_int_equal(temporaries(&lane->fixture), 1);
}

static void test_abort_that_does_not_keep_leaves_nothing(void **state)
{
    struct lane *lane = *state;

    leave_partial(lane, 950);
    ask(lane, "a", SIZE, OVERWRITE_REPLACE);
    await_answers(lane, 1);
    start(lane, 800);
    data(lane, bytes + 800, 100);
    give_up(lane, false);
    await_answers(lane, 2);
    await_rest(lane);
    root_has(&lane->fixture, 0);
}

static void test_start_of_who_gives_up_cuts_nothing(void **state)
{
    struct lane *lane = *state;

    leave_partial(lane, 950);
    ask(lane, "a", SIZE, OVERWRITE_REPLACE);
    await_answers(lane, 1);
    start(lane, 0);
    give_up(lane, true);
    await_answers(lane, 2);
    answer_is(lane, 1, RECEIPT, 1, XFER_STOPPING);
    await_rest(lane);
    partial_has(lane, 950);
}

static void test_start_before_the_answer_is_fine(void **state)
{
    struct lane *lane = *state;

    leave_partial(lane, 950);
    ask(lane, "a", SIZE, OVERWRITE_REPLACE);
    start(lane, 0);
    give_up(lane, true);
    await_answers(lane, 2);
    answer_is(lane, 0, GO, 1, XFER_OK);
    answer_is(lane, 1, RECEIPT, 1, XFER_STOPPING);
    await_rest(lane);
    partial_has(lane, 950);
    ask(lane, "a", SIZE, OVERWRITE_REPLACE);
    start(lane, 0);
    data(lane, bytes, SIZE);
    end(lane);
    commit(lane, bytes, SIZE);
    await_answers(lane, 4);
    answer_is(lane, 2, GO, 2, XFER_OK);
    answer_is(lane, 3, RECEIPT, 2, XFER_OK);
    is_whole(lane, "a");
    await_rest(lane);
    assert_int_equal(lane->n_answers, 4);
    root_has(&lane->fixture, 1);
}

static void test_bytes_before_the_start_count(void **state)
{
    struct lane *lane = *state;

    leave_partial(lane, 950);
    ask(lane, "a", SIZE, OVERWRITE_REPLACE);
    await_answers(lane, 1);
    start(lane, 800);
    data(lane, bytes, SIZE - 800 + 1);
    assert_int_equal(lane->n_answers, 2);
    answer_is(lane, 1, REFUSAL, 1, XFER_SOURCE_CHANGED);
    end(lane);
    commit(lane, bytes, SIZE);
    await_answers(lane, 3);
    answer_is(lane, 2, RECEIPT, 1, XFER_SOURCE_CHANGED);
    await_rest(lane);
    assert_int_equal(lane->n_answers, 3);
    root_has(&lane->fixture, 0);
}

static void test_too_much_before_the_answer_is_refused_once(void **state)
{
    struct lane *lane = *state;

    ask(lane, "a", 3, OVERWRITE_NEVER);
    start(lane, 0);
    data(lane, "abcd", 4);
    assert_int_equal(lane->n_answers, 1);
    answer_is(lane, 0, REFUSAL, 1, XFER_SOURCE_CHANGED);
    end(lane);
    commit(lane, "abcd", 4);
    await_answers(lane, 2);
    answer_is(lane, 1, RECEIPT, 1, XFER_SOURCE_CHANGED);
    await_rest(lane);
    assert_int_equal(lane->n_answers, 2);
    root_has(&lane->fixture, 0);
}

static void test_wrong_digest_drops_the_partial_file(void **state)
{
    struct lane *lane = *state;

    leave_partial(lane, 950);
    ask(lane, "a", SIZE, OVERWRITE_REPLACE);
    await_answers(lane, 1);
    start(lane, 950);
    data(lane, bytes, SIZE - 950);
    end(lane);
    commit(lane, bytes, SIZE);
    await_answers(lane, 2);
    answer_is(lane, 1, RECEIPT, 1, XFER_DIGEST_MISMATCH);
    await_rest(lane);
    root_has(&lane->fixture, 0);
}

static void test_start_out_of_turn_breaks_the_lane(void **state)
{
    struct lane *lane = *state;
    struct xfer_error err;
    struct wire_verdict verdict;

    assert_int_equal(try_start(lane, 1, 0, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
    meta(lane, "b", SIZE);
    assert_int_equal(try_start(lane, 1, 0, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
    end(lane);
    commit(lane, "", 0);
    /* and what comes before it */
    ask(lane, "a", SIZE, OVERWRITE_REPLACE);
    assert_int_equal(try_data(lane, "x", 1, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
    assert_int_equal(receiver_end(lane->receiver, &err), -1);
    verdict_of(&verdict, "", 0);
    verdict.seq = 2;
    assert_int_equal(try_verdict(lane, &verdict, &err), -1);
    assert_int_equal(try_meta(lane, 3, "c", 1, OVERWRITE_REPLACE, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
    start(lane, 0);
    assert_int_equal(try_start(lane, 2, 0, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
    assert_true(pool_drain(lane->pool, 60));
}

static void test_start_that_says_nonsense_breaks_the_lane(void **state)
{
    struct lane *lane = *state;
    static const uint64_t offsets[] = {1, 399, 949, 951, 1200, SIZE, INT64_MAX};
    struct xfer_error err;
    unsigned i;

    leave_partial(lane, 950);
    ask(lane, "a", SIZE, OVERWRITE_REPLACE);
    /* nothing is known yet */
    assert_int_equal(try_start(lane, 1, 400, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
    await_answers(lane, 1);
    for (i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        assert_int_equal(try_start(lane, 1, offsets[i], &err), -1);
        assert_int_equal(err.code, XFER_PROTOCOL);
    }
    assert_int_equal(try_start(lane, 2, 0, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
    assert_int_equal(receiver_start(lane->receiver, "garbage", 7, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
    assert_int_equal(try_start(lane, 1, 400, &err), 0);
}

static void test_part_of_a_stored_file_is_no_start(void **state)
{
    struct lane *lane = *state;
    struct xfer_error err;
    int fd;

    fill();
    fd = open(at(lane, "a"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(write(fd, bytes, SIZE), SIZE);
    close(fd);
    ask(lane, "a", SIZE, OVERWRITE_REPLACE);
    await_answers(lane, 1);
    assert_int_equal(lane->go.offer, WIRE_OFFER_STORED);
    assert_int_equal(try_start(lane, 1, BLOCK, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
}

static void test_start_after_a_refusal_is_at_zero(void **state)
{
    struct lane *lane = *state;
    struct xfer_error err;

    make_file(at(lane, "f"), "x");
    ask(lane, "f/a", SIZE, OVERWRITE_REPLACE);
    await_answers(lane, 1);
    answer_is(lane, 0, REFUSAL, 1, XFER_NOT_DIRECTORY);
    assert_int_equal(try_start(lane, 1, 400, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
    assert_int_equal(try_start(lane, 1, 0, &err), 0);
}

/* ---- batches ---- */

static void tree_meta(struct lane *lane, enum wire_kind kind, const char *path, uint64_t size,
                      enum sync_mode sync)
{
    unsigned char msg[XFER_MESSAGE_MAX];
    struct wire_meta meta;

    meta_of(&meta, path, size);
    meta.kind = kind;
    meta.seq = ++lane->seq;
    meta.sync = sync;
    meta.tree = true;
    assert_int_equal(
        receiver_meta(lane->receiver, msg, wire_meta_encode(&meta, msg), &(struct xfer_error){0}),
        0);
}

static void batched(struct lane *lane, const char *path, const char *text)
{
    tree_meta(lane, WIRE_KIND_FILE, path, strlen(text), SYNC_BATCH);
    if (text[0] != '\0')
        data(lane, text, strlen(text));
    end(lane);
    commit(lane, text, strlen(text));
}

static void barrier(struct lane *lane)
{
    tree_meta(lane, WIRE_KIND_BARRIER, ".", 0, SYNC_DEFAULT);
    end(lane);
    commit(lane, "", 0);
}

/* It has gone as far as it goes without a commit. */
static void come_to_rest(struct lane *lane)
{
    assert_true(pool_drain(lane->pool, 60));
    assert_int_equal(lane->n_released, lane->n_given);
}

static void test_files_of_a_batch_wait_for_each_other(void **state)
{
    struct lane *lane = *state;
    char path[16];

    for (unsigned i = 1; i < BATCH_FILES; i++) {
        snprintf(path, sizeof path, "f%u", i);
        batched(lane, path, "text");
    }
    come_to_rest(lane);
    assert_int_equal(lane->n_answers, 0);
    assert_int_equal(receiver_unfinished(lane->receiver), BATCH_FILES - 1);
    root_has(&lane->fixture, 0);
    batched(lane, "last", "text");
    await_rest(lane);
    assert_int_equal(lane->n_answers, BATCH_FILES);
    for (unsigned i = 1; i <= BATCH_FILES; i++)
        assert_int_equal(answer_is(lane, i - 1, RECEIPT, i, XFER_OK)->size, 4);
    root_has(&lane->fixture, BATCH_FILES);
}

static void test_many_bytes_are_a_batch(void **state)
{
    struct lane *lane = *state;
    static char text[BATCH_BYTES + 1];

    memset(text, 'x', BATCH_BYTES);
    batched(lane, "a", "text");
    batched(lane, "b", text);
    await_rest(lane);
    answer_is(lane, 0, RECEIPT, 1, XFER_OK);
    answer_is(lane, 1, RECEIPT, 2, XFER_OK);
}

static void test_barrier_commits_and_is_answered_last(void **state)
{
    struct lane *lane = *state;

    batched(lane, "a", "text");
    batched(lane, "b", "text");
    barrier(lane);
    await_rest(lane);
    assert_int_equal(lane->n_answers, 3);
    answer_is(lane, 0, RECEIPT, 1, XFER_OK);
    answer_is(lane, 1, RECEIPT, 2, XFER_OK);
    assert_int_equal(answer_is(lane, 2, RECEIPT, 3, XFER_OK)->size, 0);
    root_has(&lane->fixture, 2);
}

static void test_barrier_alone_is_answered(void **state)
{
    struct lane *lane = *state;

    barrier(lane);
    barrier(lane);
    await_rest(lane);
    answer_is(lane, 0, RECEIPT, 1, XFER_OK);
    answer_is(lane, 1, RECEIPT, 2, XFER_OK);
    root_has(&lane->fixture, 0);
}

static void test_barrier_that_is_given_up_commits_all_the_same(void **state)
{
    struct lane *lane = *state;

    batched(lane, "a", "text");
    tree_meta(lane, WIRE_KIND_BARRIER, ".", 0, SYNC_DEFAULT);
    end(lane);
    abort_file(lane, XFER_CANCELLED);
    await_rest(lane);
    answer_is(lane, 0, RECEIPT, 1, XFER_OK);
    answer_is(lane, 1, RECEIPT, 2, XFER_CANCELLED);
}

static void test_data_of_a_barrier_is_refused(void **state)
{
    struct lane *lane = *state;

    tree_meta(lane, WIRE_KIND_BARRIER, ".", 0, SYNC_DEFAULT);
    data(lane, "x", 1);
    end(lane);
    commit(lane, "x", 1);
    await_rest(lane);
    answer_is(lane, 0, REFUSAL, 1, XFER_SOURCE_CHANGED);
    answer_is(lane, 1, RECEIPT, 1, XFER_SOURCE_CHANGED);
}

static void test_file_of_no_batch_commits_those_before_it(void **state)
{
    static const enum sync_mode modes[] = {SYNC_FILE, SYNC_NONE};
    struct lane *lane = *state;

    for (unsigned i = 0; i < 2; i++) {
        batched(lane, "a", "text");
        tree_meta(lane, WIRE_KIND_FILE, "b", 3, modes[i]);
        data(lane, "abc", 3);
        end(lane);
        commit(lane, "abc", 3);
        await_rest(lane);
        answer_is(lane, 2 * i, RECEIPT, 2 * i + 1, XFER_OK);
        answer_is(lane, 2 * i + 1, RECEIPT, 2 * i + 2, XFER_OK);
    }
}

static void test_abort_commits_those_before_it(void **state)
{
    struct lane *lane = *state;

    batched(lane, "a", "text");
    tree_meta(lane, WIRE_KIND_FILE, "b", 3, SYNC_BATCH);
    end(lane);
    abort_file(lane, XFER_CANCELLED);
    await_rest(lane);
    answer_is(lane, 0, RECEIPT, 1, XFER_OK);
    answer_is(lane, 1, RECEIPT, 2, XFER_CANCELLED);
    root_has(&lane->fixture, 1);
}

static void test_failure_in_a_batch_waits_for_its_turn(void **state)
{
    struct lane *lane = *state;

    assert_int_equal(mkdir(at(lane, "dir"), 0755), 0);
    batched(lane, "a", "text");
    batched(lane, "dir", "text");
    tree_meta(lane, WIRE_KIND_FILE, "b", 3, SYNC_BATCH);
    data(lane, "abc", 3);
    end(lane);
    commit(lane, "abd", 3);
    come_to_rest(lane);
    assert_int_equal(lane->n_answers, 0);
    barrier(lane);
    await_rest(lane);
    answer_is(lane, 0, RECEIPT, 1, XFER_OK);
    answer_is(lane, 1, RECEIPT, 2, XFER_IS_DIRECTORY);
    answer_is(lane, 2, RECEIPT, 3, XFER_DIGEST_MISMATCH);
    answer_is(lane, 3, RECEIPT, 4, XFER_OK);
    root_has(&lane->fixture, 2);
}

static void test_failure_with_nothing_before_it_is_told_at_once(void **state)
{
    struct lane *lane = *state;

    assert_int_equal(mkdir(at(lane, "dir"), 0755), 0);
    batched(lane, "dir", "text");
    await_rest(lane);
    answer_is(lane, 0, RECEIPT, 1, XFER_IS_DIRECTORY);
}

static void test_name_that_is_taken_fails_that_file_alone(void **state)
{
    struct lane *lane = *state;

    batched(lane, "a", "text");
    batched(lane, "b", "text");
    come_to_rest(lane);
    assert_int_equal(mkdir(at(lane, "a"), 0755), 0);
    barrier(lane);
    await_rest(lane);
    assert_string_equal(answer_is(lane, 0, RECEIPT, 1, XFER_IS_DIRECTORY)->error.path,
                        at(lane, "a"));
    answer_is(lane, 1, RECEIPT, 2, XFER_OK);
}

static void test_batch_of_a_silent_sender_is_committed(void **state)
{
    struct lane *lane = *state;

    batched(lane, "a", "text");
    batched(lane, "b", "text");
    await_answers(lane, 2);
    answer_is(lane, 0, RECEIPT, 1, XFER_OK);
    answer_is(lane, 1, RECEIPT, 2, XFER_OK);
    await_rest(lane);
}

static void test_full_window_is_committed(void **state)
{
    struct lane *lane = *state;
    struct receiver_batch batch = {2 * XFER_LANE_FILES_MAX, BATCH_BYTES * XFER_LANE_FILES_MAX};
    char path[16];

    receiver_destroy(lane->receiver);
    lane->receiver = receiver_create(lane->fixture.store, lane->pool, lane->loop, &batch, &out,
                                     lane, &(struct xfer_error){0});
    for (unsigned i = 1; i <= XFER_LANE_FILES_MAX; i++) {
        snprintf(path, sizeof path, "f%u", i);
        batched(lane, path, "text");
    }
    await_rest(lane);
    assert_int_equal(lane->n_answers, XFER_LANE_FILES_MAX);
    for (unsigned i = 1; i <= XFER_LANE_FILES_MAX; i++)
        answer_is(lane, i - 1, RECEIPT, i, XFER_OK);
}

static void test_destroy_forgets_what_waits_for_its_batch(void **state)
{
    struct lane *lane = *state;

    make_file(at(lane, "old"), "old");
    batched(lane, "a", "text");
    batched(lane, "old", "text");
    come_to_rest(lane);
    receiver_destroy(lane->receiver);
    lane->receiver = NULL;
    assert_int_equal(lane->n_answers, 0);
    holds(at(lane, "old"), "old");
    root_has(&lane->fixture, 1);
}

/* ---- the end ---- */

static void destroy_in_the_middle(struct lane *lane)
{
    unsigned answers = lane->n_answers, released = lane->n_released;

    receiver_destroy(lane->receiver);
    lane->receiver = NULL;
    assert_int_equal(lane->n_answers, answers);
    assert_int_equal(lane->n_released, released);
    assert_int_equal(temporaries(&lane->fixture), 0);
}

/* The link's part: chunks that were never released go with the ring. */
static void *forgotten_chunk(struct lane *lane, size_t len)
{
    void *chunk = calloc(1, len);

    assert_int_equal(receiver_data(lane->receiver, chunk, chunk, len, &(struct xfer_error){0}), 0);
    return chunk;
}

static void test_destroy_removes_what_is_unfinished(void **state)
{
    struct lane *lane = *state;
    void *chunk;

    make_file(at(lane, "old"), "old");
    meta(lane, "old", 1 << 20);
    chunk = forgotten_chunk(lane, 100 << 10);
    destroy_in_the_middle(lane);
    free(chunk);
    holds(at(lane, "old"), "old");
    root_has(&lane->fixture, 1);
}

static void test_destroy_forgets_what_is_held_back(void **state)
{
    struct lane *lane = *state;
    void *chunk;

    meta(lane, "d/small", 4);
    chunk = forgotten_chunk(lane, 3);
    destroy_in_the_middle(lane);
    free(chunk);
    root_has(&lane->fixture, 0);
}

static void test_destroy_forgets_what_is_copied(void **state)
{
    struct lane *lane = *state;

    meta(lane, "d/small", 3);
    forgotten_chunk(lane, 3); /* given back at once */
    assert_int_equal(lane->n_released, 1);
    destroy_in_the_middle(lane);
    root_has(&lane->fixture, 0);
}

static void test_destroy_lets_a_decided_file_finish(void **state)
{
    struct lane *lane = *state;

    meta(lane, "a", 3);
    forgotten_chunk(lane, 3); /* given back at once */
    end(lane);
    commit(lane, "\0\0\0", 3);
    destroy_in_the_middle(lane);
    root_has(&lane->fixture, 1);
}

static void test_destroy_keeps_what_can_be_gone_on_with(void **state)
{
    struct lane *lane = *state;
    void *chunk;

    ask(lane, "a", SIZE, OVERWRITE_REPLACE);
    await_answers(lane, 1);
    start(lane, 0);
    chunk = forgotten_chunk(lane, 1300);
    receiver_destroy(lane->receiver);
    lane->receiver = NULL;
    free(chunk);
    partial_has(lane, 1300);
}

static void test_destroy_while_it_is_asked_changes_nothing(void **state)
{
    struct lane *lane = *state;

    leave_partial(lane, 950);
    ask(lane, "a", SIZE, OVERWRITE_REPLACE);
    receiver_destroy(lane->receiver);
    lane->receiver = NULL;
    assert_int_equal(lane->n_answers, 0);
    partial_has(lane, 950);
}

static void test_destroy_of_nothing_is_fine(void **state)
{
    (void)state;
    receiver_destroy(NULL);
}

#define LANE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define ASK_TEST(name)  cmocka_unit_test_prestate_setup_teardown(name, setup, teardown, (void *)1)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LANE_TEST(test_file_gets_a_receipt_with_size_and_digest),
        LANE_TEST(test_empty_file_gets_a_receipt),
        LANE_TEST(test_file_of_many_chunks_arrives_whole),
        LANE_TEST(test_small_file_in_several_chunks_arrives_whole),
        LANE_TEST(test_all_kinds_get_receipts),
        LANE_TEST(test_receipt_tells_what_could_not_be_preserved),
        LANE_TEST(test_looks_are_answered_in_their_order),
        LANE_TEST(test_chunks_come_back_before_the_verdict),
        LANE_TEST(test_at_most_one_chunk_is_held_back),
        LANE_TEST(test_receipts_keep_the_order_of_the_files),
        LANE_TEST(test_next_file_begins_before_the_receipt_of_the_last),
        LANE_TEST(test_same_file_twice_in_a_row_keeps_the_last),
        LANE_TEST(test_file_that_cannot_begin_is_refused_then_answered),
        LANE_TEST(test_refusal_after_data_has_come_drops_all_of_it),
        LANE_TEST(test_small_file_that_cannot_begin_gets_its_receipt),
        LANE_TEST(test_lane_goes_on_after_a_refusal),
        LANE_TEST(test_existing_destination_is_kept_with_never),
        LANE_TEST(test_abort_keeps_the_senders_error_and_stores_nothing),
        LANE_TEST(test_wrong_digest_stores_nothing),
        LANE_TEST(test_missing_bytes_store_nothing),
        LANE_TEST(test_more_bytes_than_announced_are_refused),
        LANE_TEST(test_data_for_an_empty_file_is_refused),
        LANE_TEST(test_write_that_fails_is_refused),
        LANE_TEST(test_messages_out_of_turn_break_the_lane),
        LANE_TEST(test_attributes_come_in_pieces),
        LANE_TEST(test_attributes_of_what_is_given_up_come_to_nothing),
        LANE_TEST(test_attributes_with_a_gap_break_the_lane),
        LANE_TEST(test_broken_attributes_break_the_lane),
        LANE_TEST(test_attributes_of_no_file_break_the_lane),
        LANE_TEST(test_too_many_attributes_of_unanswered_files_break_the_lane),
        LANE_TEST(test_data_goes_where_the_maps_say),
        LANE_TEST(test_file_of_one_hole_gets_a_receipt),
        LANE_TEST(test_file_with_holes_that_is_given_up_leaves_nothing),
        LANE_TEST(test_destroy_waits_for_no_large_hole),
        LANE_TEST(test_maps_that_are_wrong_break_the_lane),
        LANE_TEST(test_metadata_with_a_wrong_number_breaks_the_lane),
        LANE_TEST(test_verdict_with_a_wrong_number_breaks_the_lane),
        LANE_TEST(test_garbage_breaks_the_lane),
        LANE_TEST(test_too_many_unanswered_files_break_the_lane),
        LANE_TEST(test_files_of_a_batch_wait_for_each_other),
        LANE_TEST(test_many_bytes_are_a_batch),
        LANE_TEST(test_barrier_commits_and_is_answered_last),
        LANE_TEST(test_barrier_alone_is_answered),
        LANE_TEST(test_barrier_that_is_given_up_commits_all_the_same),
        LANE_TEST(test_data_of_a_barrier_is_refused),
        LANE_TEST(test_file_of_no_batch_commits_those_before_it),
        LANE_TEST(test_abort_commits_those_before_it),
        LANE_TEST(test_failure_in_a_batch_waits_for_its_turn),
        LANE_TEST(test_failure_with_nothing_before_it_is_told_at_once),
        LANE_TEST(test_name_that_is_taken_fails_that_file_alone),
        LANE_TEST(test_batch_of_a_silent_sender_is_committed),
        LANE_TEST(test_full_window_is_committed),
        LANE_TEST(test_destroy_forgets_what_waits_for_its_batch),
        LANE_TEST(test_destroy_removes_what_is_unfinished),
        LANE_TEST(test_destroy_forgets_what_is_held_back),
        LANE_TEST(test_destroy_forgets_what_is_copied),
        LANE_TEST(test_destroy_lets_a_decided_file_finish),
        ASK_TEST(test_question_is_answered_at_once),
        ASK_TEST(test_partial_file_is_offered_and_gone_on_with),
        ASK_TEST(test_partial_file_that_is_all_of_it_needs_no_data),
        ASK_TEST(test_stored_file_needs_no_data),
        ASK_TEST(test_question_that_fails_is_refused_instead),
        ASK_TEST(test_refused_question_is_told_even_when_nobody_waited),
        ASK_TEST(test_start_that_fails_is_refused),
        ASK_TEST(test_start_that_fails_drops_the_partial_file),
        ASK_TEST(test_abort_keeps_what_can_be_gone_on_with),
        ASK_TEST(test_abort_keeps_also_what_was_not_asked_for),
        ASK_TEST(test_abort_that_does_not_keep_leaves_nothing),
        ASK_TEST(test_start_of_who_gives_up_cuts_nothing),
        ASK_TEST(test_start_before_the_answer_is_fine),
        ASK_TEST(test_bytes_before_the_start_count),
        ASK_TEST(test_too_much_before_the_answer_is_refused_once),
        ASK_TEST(test_wrong_digest_drops_the_partial_file),
        ASK_TEST(test_start_out_of_turn_breaks_the_lane),
        ASK_TEST(test_start_that_says_nonsense_breaks_the_lane),
        ASK_TEST(test_part_of_a_stored_file_is_no_start),
        ASK_TEST(test_start_after_a_refusal_is_at_zero),
        ASK_TEST(test_destroy_keeps_what_can_be_gone_on_with),
        ASK_TEST(test_destroy_while_it_is_asked_changes_nothing),
        cmocka_unit_test(test_destroy_of_nothing_is_fine),
    };

    return cmocka_run_group_tests_name("receiver", tests, NULL, NULL);
}
