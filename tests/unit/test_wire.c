/* SPDX-License-Identifier: MIT
 *
 * proto/wire: what is encoded comes back, and nothing else is accepted. Every decoder is fed each
 * of its messages cut at every length and with every byte changed. What is for trees alone is in
 * test_wire_tree.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/wire_rig.h"

static struct wire_meta a_meta(void)
{
    struct wire_meta m = {.seq = 7,
                          .job = 12,
                          .file = 3,
                          .size = 5000000000,
                          .mtime_sec = -5,
                          .mtime_nsec = 999999999,
                          .mode = 0644,
                          .overwrite = OVERWRITE_NEVER,
                          .sync = SYNC_NONE,
                          .uid = 1000,
                          .gid = 100,
                          .file_uid = 1001,
                          .file_gid = 101,
                          .preserve = PRESERVE_DEFAULT};

    strcpy(m.path, "dir/na\xff"
                   "me\n");
    m.path_len = strlen(m.path);
    return m;
}

static void set_error(struct xfer_error *e)
{
    error_set(e, XFER_NO_SPACE, "disk full");
    e->sys_errno = 28;
    error_about(e, XFER_SIDE_RECEIVER, "dir/x");
}

static void metadata_comes_back(void **state)
{
    struct wire_meta m = a_meta(), got;
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len = wire_meta_encode(&m, buf);

    (void)state;
    assert_int_equal(wire_meta_decode(buf, len, &got, &err), 0);
    assert_int_equal(got.seq, m.seq);
    assert_int_equal(got.job, m.job);
    assert_int_equal(got.file, m.file);
    assert_int_equal(got.size, m.size);
    assert_int_equal(got.mtime_sec, m.mtime_sec);
    assert_int_equal(got.mtime_nsec, m.mtime_nsec);
    assert_int_equal(got.mode, m.mode);
    assert_int_equal(got.overwrite, m.overwrite);
    assert_int_equal(got.sync, m.sync);
    assert_false(got.ask);
    assert_false(got.caller);
    assert_int_equal(got.uid, 1000);
    assert_int_equal(got.gid, 100);
    assert_int_equal(got.n_groups, 0);
    assert_int_equal(got.kind, WIRE_KIND_FILE);
    assert_int_equal(got.preserve, PRESERVE_MODE | PRESERVE_TIMES);
    assert_int_equal(got.file_uid, 1001);
    assert_int_equal(got.file_gid, 101);
    assert_int_equal(got.attrs_size, 0);
    assert_false(got.sparse);
    assert_false(got.tree);
    assert_string_equal(got.path, m.path);
    assert_string_equal(got.target, "");
    assert_int_equal(got.target_len, 0);
}

static void metadata_may_tell_of_attributes_and_holes(void **state)
{
    struct wire_meta m = a_meta(), got;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    m.preserve = PRESERVE_ALL;
    m.attrs_size = XFER_ATTRS_MAX;
    m.sparse = m.tree = true;
    assert_int_equal(wire_meta_decode(buf, wire_meta_encode(&m, buf), &got, &err), 0);
    assert_int_equal(got.preserve, PRESERVE_ALL);
    assert_int_equal(got.attrs_size, XFER_ATTRS_MAX);
    assert_true(got.sparse);
    assert_true(got.tree);
    assert_false(got.ask);
}

static struct wire_meta a_meta_of(enum wire_kind kind, const char *target)
{
    struct wire_meta m = a_meta();

    m.kind = kind;
    m.size = 0;
    strcpy(m.target, target);
    m.target_len = strlen(target);
    if (kind == WIRE_KIND_BARRIER) {
        strcpy(m.path, ".");
        m.path_len = 1;
    }
    return m;
}

static void metadata_may_be_about_what_is_no_file(void **state)
{
    static const struct {
        enum wire_kind kind;
        const char *target;
    } kinds[] = {{WIRE_KIND_DIRECTORY, ""},
                 {WIRE_KIND_SYMLINK, "/../a//b/.xfer\xff"},
                 {WIRE_KIND_HARDLINK, "a/b"},
                 {WIRE_KIND_BARRIER, ""}};
    struct wire_meta m, got;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        m = a_meta_of(kinds[i].kind, kinds[i].target);
        assert_int_equal(wire_meta_decode(buf, wire_meta_encode(&m, buf), &got, &err), 0);
        assert_int_equal(got.kind, kinds[i].kind);
        assert_int_equal(got.target_len, strlen(kinds[i].target));
        assert_string_equal(got.target, kinds[i].target);
        assert_string_equal(got.path, m.path);
    }
}

static void what_only_some_kinds_have_is_refused_of_the_others(void **state)
{
    struct wire_meta m, got;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
#define REFUSED(kind, target, change)                                                       \
    do {                                                                                    \
        m = a_meta_of(kind, target);                                                        \
        change;                                                                             \
        assert_int_equal(wire_meta_decode(buf, wire_meta_encode(&m, buf), &got, &err), -1); \
        assert_int_equal(err.code, XFER_PROTOCOL);                                          \
    } while (0)
    REFUSED(WIRE_KIND_DIRECTORY, "", m.size = 1);
    REFUSED(WIRE_KIND_SYMLINK, "x", m.size = 1);
    REFUSED(WIRE_KIND_HARDLINK, "x", m.size = 1);
    REFUSED(WIRE_KIND_BARRIER, "", m.size = 1);
    REFUSED(WIRE_KIND_DIRECTORY, "", m.ask = true);
    REFUSED(WIRE_KIND_BARRIER, "", m.ask = true);
    REFUSED(WIRE_KIND_FILE, "x", );
    REFUSED(WIRE_KIND_DIRECTORY, "x", );
    REFUSED(WIRE_KIND_BARRIER, "x", );
    REFUSED(WIRE_KIND_SYMLINK, "", );
    REFUSED(WIRE_KIND_HARDLINK, "", );
    REFUSED(WIRE_KIND_SYMLINK, "a", m.target[0] = '\0'); /* a NUL inside */
    REFUSED(WIRE_KIND_HARDLINK, "../a", );
    REFUSED(WIRE_KIND_HARDLINK, "/a", );
    REFUSED(WIRE_KIND_HARDLINK, ".xfer/a", );
    REFUSED(WIRE_KIND_BARRIER, "", strcpy(m.path, "a"));
    REFUSED(WIRE_KIND_FILE, "", strcpy(m.path, "."); m.path_len = 1);
    REFUSED(WIRE_KIND_DIRECTORY, "", strcpy(m.path, "."); m.path_len = 1);
    REFUSED(WIRE_KIND_DIRECTORY, "", m.preserve = PRESERVE_ALL; m.sparse = true);
    REFUSED(WIRE_KIND_FILE, "", m.preserve = PRESERVE_ALL & ~PRESERVE_SPARSE; m.sparse = true);
    REFUSED(WIRE_KIND_HARDLINK, "x", m.preserve = PRESERVE_ALL; m.attrs_size = 1);
    REFUSED(WIRE_KIND_BARRIER, "", m.preserve = PRESERVE_ALL; m.attrs_size = 1);
    REFUSED(WIRE_KIND_FILE, "", m.attrs_size = 1);
#undef REFUSED
}

static void metadata_may_leave_sync_to_the_receiver(void **state)
{
    struct wire_meta m = a_meta(), got;
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len;

    (void)state;
    m.sync = SYNC_DEFAULT;
    len = wire_meta_encode(&m, buf);
    assert_int_equal(wire_meta_decode(buf, len, &got, &err), 0);
    assert_int_equal(got.sync, SYNC_DEFAULT);
    buf[65] = SYNC_DEFAULT + 1;
    assert_int_equal(wire_meta_decode(buf, len, &got, &err), -1);
}

static void metadata_may_carry_all_groups_of_its_owner(void **state)
{
    struct wire_meta m = a_meta(), got;
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len;

    (void)state;
    m.caller = true;
    m.n_groups = XFER_GROUPS_MAX;
    for (unsigned i = 0; i < m.n_groups; i++)
        m.groups[i] = 4294900000U + i;
    m.path_len = XFER_PATH_SIZE - 1;
    for (size_t i = 0; i < m.path_len; i++)
        m.path[i] = i % 200 == 199 ? '/' : 'p';
    m.path[m.path_len] = '\0';
    m.kind = WIRE_KIND_SYMLINK;
    m.size = 0;
    m.preserve = PRESERVE_ALL;
    m.attrs_size = XFER_ATTRS_MAX;
    m.target_len = XFER_PATH_SIZE - 1;
    memset(m.target, 't', m.target_len);
    m.target[m.target_len] = '\0';
    len = wire_meta_encode(&m, buf);
    assert_true(len <= XFER_MESSAGE_MAX);
    assert_int_equal(wire_meta_decode(buf, len, &got, &err), 0);
    assert_true(got.caller);
    assert_int_equal(got.n_groups, m.n_groups);
    assert_memory_equal(got.groups, m.groups, sizeof m.groups);
    assert_string_equal(got.path, m.path);
    assert_string_equal(got.target, m.target);
}

static void an_owner_that_nobody_can_be_is_refused(void **state)
{
    struct wire_meta m, got;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
#define REFUSED(change)                                                                     \
    do {                                                                                    \
        m = a_meta();                                                                       \
        m.caller = true;                                                                    \
        m.n_groups = 2;                                                                     \
        change;                                                                             \
        assert_int_equal(wire_meta_decode(buf, wire_meta_encode(&m, buf), &got, &err), -1); \
        assert_int_equal(err.code, XFER_PROTOCOL);                                          \
    } while (0)
    REFUSED(m.uid = UINT32_MAX);
    REFUSED(m.gid = UINT32_MAX);
    REFUSED(m.groups[1] = UINT32_MAX);
    REFUSED(m.caller = false);
#undef REFUSED
}

static void more_groups_than_allowed_are_refused(void **state)
{
    struct wire_meta m = a_meta(), got;
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len;

    (void)state;
    m.caller = true;
    len = wire_meta_encode(&m, buf);
    buf[92] = (XFER_GROUPS_MAX + 1) & 0xff;
    buf[93] = (XFER_GROUPS_MAX + 1) >> 8;
    assert_int_equal(wire_meta_decode(buf, len, &got, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
    assert_non_null(strstr(err.text, "groups"));
}

static void metadata_may_ask(void **state)
{
    struct wire_meta m = a_meta(), got;
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len;

    (void)state;
    m.ask = true;
    len = wire_meta_encode(&m, buf);
    assert_int_equal(buf[66], 1);
    assert_int_equal(buf[67], 0);
    assert_int_equal(wire_meta_decode(buf, len, &got, &err), 0);
    assert_true(got.ask);
}

static void flags_that_nobody_knows_are_refused(void **state)
{
    struct wire_meta m = a_meta(), got;
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len;

    (void)state;
    for (unsigned bit = 4; bit < 16; bit++) {
        len = wire_meta_encode(&m, buf);
        buf[66 + bit / 8] = (unsigned char)(1U << bit % 8);
        assert_int_equal(wire_meta_decode(buf, len, &got, &err), -1);
        assert_int_equal(err.code, XFER_PROTOCOL);
    }
}

/* The layout is a promise to the other side: bytes, not structs. */
static void metadata_has_the_specified_layout(void **state)
{
    static const unsigned char expected[] = {
        'x',  'f',  'e',  'r',  3,    1,    0,    0,    117,  0,   0,   0,    0,   0, 0,
        0,    7,    0,    0,    0,    0,    0,    0,    0,       /* header */
        12,   0,    0,    0,    0,    0,    0,    0,             /* job */
        3,    0,    0,    0,    0,    0,    0,    0,             /* file */
        0x00, 0xf2, 0x05, 0x2a, 0x01, 0,    0,    0,             /* size 5e9 */
        0xfb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,          /* mtime -5 */
        0xff, 0xc9, 0x9a, 0x3b,                                  /* 999999999 */
        0xa4, 0x01, 0,    0,                                     /* mode 0644 */
        1,    2,    14,   0,                                     /* never, none, flags */
        0,    0,    67,   0,                                     /* file; mode, times, sparse */
        0xe9, 3,    0,    0,    101,  0,    0,    0,             /* uid 1001, gid 101 of the file */
        0,    0,    0,    0,                                     /* no attributes */
        0xe8, 3,    0,    0,                                     /* uid 1000 */
        100,  0,    0,    0,                                     /* gid 100 */
        2,    0,    7,    0,    0,    0,    0,    1,    0,    0, /* groups 7, 256 */
        11,   0,    'd',  'i',  'r',  '/',  'n',  'a',  0xff, 'm', 'e', '\n', 'x', 0, 0};
    struct wire_meta m = a_meta();
    size_t len;

    (void)state;
    m.size = 0x12a05f200;
    m.caller = m.sparse = m.tree = true;
    m.preserve |= PRESERVE_SPARSE;
    m.n_groups = 2;
    m.groups[0] = 7;
    m.groups[1] = 256;
    strcat(m.path, "x");
    m.path_len = strlen(m.path);
    len = wire_meta_encode(&m, buf);
    assert_int_equal(len, sizeof(expected));
    assert_memory_equal(buf, expected, sizeof(expected));
}

static void a_message_says_its_own_length(void **state)
{
    struct wire_meta m = a_meta();
    size_t len = wire_meta_encode(&m, buf);

    (void)state;
    assert_int_equal(buf[8] | buf[9] << 8 | buf[10] << 16, len);
}

static void verdict_comes_back(void **state)
{
    struct wire_verdict m = {.seq = 1, .kind = WIRE_ABORT, .size = 10, .digest = {1, 2, 3}}, got;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    set_error(&m.error);
    assert_int_equal(wire_verdict_decode(buf, wire_verdict_encode(&m, buf), &got, &err), 0);
    assert_int_equal(got.kind, WIRE_ABORT);
    assert_int_equal(got.size, 10);
    assert_memory_equal(got.digest, m.digest, XFER_DIGEST_SIZE);
    assert_int_equal(got.error.code, XFER_NO_SPACE);
    assert_int_equal(got.error.sys_errno, 28);
    assert_string_equal(got.error.text, "disk full");
    assert_string_equal(got.error.path, "");
    assert_false(got.keep);
}

static void an_abort_may_keep_what_has_come(void **state)
{
    struct wire_verdict m = {.seq = 1, .kind = WIRE_ABORT, .keep = true}, got;
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len;

    (void)state;
    set_error(&m.error);
    len = wire_verdict_encode(&m, buf);
    assert_int_equal(buf[28], 1);
    assert_int_equal(wire_verdict_decode(buf, len, &got, &err), 0);
    assert_true(got.keep);
    buf[28] = 2;
    assert_int_equal(wire_verdict_decode(buf, len, &got, &err), -1);
    buf[28] = 0;
    buf[31] = 1;
    assert_int_equal(wire_verdict_decode(buf, len, &got, &err), -1);
}

static void a_commit_that_keeps_is_refused(void **state)
{
    struct wire_verdict m = {.seq = 1, .kind = WIRE_COMMIT, .keep = true}, got;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    assert_int_equal(wire_verdict_decode(buf, wire_verdict_encode(&m, buf), &got, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
}

static void a_commit_with_an_error_is_refused(void **state)
{
    struct wire_verdict m = {.seq = 1, .kind = WIRE_COMMIT}, got;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    set_error(&m.error);
    assert_int_equal(wire_verdict_decode(buf, wire_verdict_encode(&m, buf), &got, &err), -1);
    m.kind = WIRE_ABORT;
    m.error.code = XFER_OK;
    assert_int_equal(wire_verdict_decode(buf, wire_verdict_encode(&m, buf), &got, &err), -1);
}

static void receipt_and_refusal_come_back_and_are_not_confused(void **state)
{
    struct wire_receipt m = {.seq = 3, .size = 1}, got;
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len;

    (void)state;
    len = wire_receipt_encode(&m, buf);
    assert_int_equal(wire_receipt_decode(buf, len, &got, &err), 0);
    assert_int_equal(got.error.code, XFER_OK);
    assert_int_equal(wire_refusal_decode(buf, len, &got, &err), -1);
    len = wire_refusal_encode(&m, buf);
    assert_int_equal(wire_refusal_decode(buf, len, &got, &err),
                     -1); /* a refusal without a reason */
    set_error(&m.error);
    len = wire_refusal_encode(&m, buf);
    assert_int_equal(wire_refusal_decode(buf, len, &got, &err), 0);
    assert_string_equal(got.error.path, "dir/x");
    assert_int_equal(got.error.side, XFER_SIDE_RECEIVER);
}

static void where_there_is_no_error_nothing_is_said_of_it(void **state)
{
    struct wire_receipt m = {.seq = 3, .size = 1}, got;
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len;

    (void)state;
    set_error(&m.error);
    len = wire_receipt_encode(&m, buf);
    buf[48] = 0; /* the code */
    assert_int_equal(wire_receipt_decode(buf, len, &got, &err), -1);
    m.error.code = XFER_OK;
    len = wire_receipt_encode(&m, buf);
    assert_int_equal(wire_receipt_decode(buf, len, &got, &err), 0);
    buf[50] = XFER_SIDE_SENDER;
    assert_int_equal(wire_receipt_decode(buf, len, &got, &err), -1);
    buf[50] = 0;
    buf[52] = 5; /* errno */
    assert_int_equal(wire_receipt_decode(buf, len, &got, &err), -1);
}

static struct wire_go a_go(void)
{
    struct wire_go m = {.seq = 4, .offer = WIRE_OFFER_PARTIAL, .size = 2500, .block = 1000, .n = 3};

    for (unsigned i = 0; i < m.n; i++)
        memset(m.digests[i], (int)(0xa0 + i), XFER_DIGEST_SIZE);
    return m;
}

static void go_ahead_comes_back(void **state)
{
    struct wire_go m = a_go(), got;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    assert_int_equal(wire_go_decode(buf, wire_go_encode(&m, buf), &got, &err), 0);
    assert_int_equal(got.seq, 4);
    assert_int_equal(got.offer, WIRE_OFFER_PARTIAL);
    assert_int_equal(got.size, 2500);
    assert_int_equal(got.block, 1000);
    assert_int_equal(got.n, 3);
    assert_memory_equal(got.digests, m.digests, 3 * XFER_DIGEST_SIZE);
}

static void go_ahead_has_the_specified_layout(void **state)
{
    static const unsigned char expected[] = {
        'x',  'f',  'e',  'r',  3,    8,    0,    0,    64, 0, 0, 0,
        0,    0,    0,    0,    4,    0,    0,    0,    0,  0, 0, 0, /* header */
        2,    0,    0,    0,    1,    0,    0,    0,                 /* partial, one block */
        0xe8, 3,    0,    0,    0,    0,    0,    0,                 /* size */
        0,    0,    0,    4,    0,    0,    0,    0,                 /* block: 64 MiB */
        0xa0, 0xa0, 0xa0, 0xa0, 0xa0, 0xa0, 0xa0, 0xa0,              /* digest */
        0xa0, 0xa0, 0xa0, 0xa0, 0xa0, 0xa0, 0xa0, 0xa0};
    struct wire_go m = a_go();
    size_t len;

    (void)state;
    m.size = 1000;
    m.block = XFER_RESUME_BLOCK;
    m.n = 1;
    len = wire_go_encode(&m, buf);
    assert_int_equal(len, sizeof(expected));
    assert_memory_equal(buf, expected, sizeof(expected));
}

static void offers_of_nothing_and_of_an_empty_file_come_back(void **state)
{
    struct wire_go m = {.seq = 1, .offer = WIRE_OFFER_NOTHING}, got;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    assert_int_equal(wire_go_decode(buf, wire_go_encode(&m, buf), &got, &err), 0);
    assert_int_equal(got.offer, WIRE_OFFER_NOTHING);
    assert_int_equal(got.n, 0);
    m.offer = WIRE_OFFER_STORED;
    m.block = XFER_RESUME_BLOCK;
    assert_int_equal(wire_go_decode(buf, wire_go_encode(&m, buf), &got, &err), 0);
    assert_int_equal(got.offer, WIRE_OFFER_STORED);
    assert_int_equal(got.size, 0);
}

static void offers_that_do_not_add_up_are_refused(void **state)
{
    struct wire_go m, got;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
#define REFUSED(change)                                                                 \
    do {                                                                                \
        m = a_go();                                                                     \
        change;                                                                         \
        assert_int_equal(wire_go_decode(buf, wire_go_encode(&m, buf), &got, &err), -1); \
        assert_int_equal(err.code, XFER_PROTOCOL);                                      \
    } while (0)
    REFUSED(m.seq = 0);
    REFUSED(m.offer = (enum wire_offer)0);
    REFUSED(m.offer = (enum wire_offer)4);
    REFUSED(m.offer = WIRE_OFFER_NOTHING); /* with size, block and digests */
    REFUSED(m.offer = WIRE_OFFER_NOTHING; m.n = 0; m.block = 0);
    REFUSED(m.offer = WIRE_OFFER_NOTHING; m.n = 0; m.size = 0);
    REFUSED(m.n = 2);
    REFUSED(m.n = 4);
    REFUSED(m.size = 2000);
    REFUSED(m.size = 3001);
    REFUSED(m.size = 0);
    REFUSED(m.block = 0);
    REFUSED(m.block = UINT64_MAX);
    REFUSED(m.size = UINT64_MAX; m.block = UINT64_MAX; m.n = 1);
    REFUSED(m.size = (uint64_t)INT64_MAX + 1; m.block = INT64_MAX; m.n = 2);
#undef REFUSED
}

static void more_blocks_than_an_offer_may_have_are_refused(void **state)
{
    static unsigned char big[XFER_MESSAGE_MAX + XFER_DIGEST_SIZE];
    struct wire_go m = {.seq = 1,
                        .offer = WIRE_OFFER_PARTIAL,
                        .size = XFER_OFFER_BLOCKS_MAX,
                        .block = 1,
                        .n = XFER_OFFER_BLOCKS_MAX},
                   got;
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len = wire_go_encode(&m, big);

    (void)state;
    assert_int_equal(wire_go_decode(big, len, &got, &err), 0); /* the most that it may have */
    len += XFER_DIGEST_SIZE;
    big[8] = (unsigned char)len;
    big[9] = (unsigned char)(len >> 8);
    big[28]++; /* blocks */
    big[32]++; /* size */
    assert_int_equal(wire_go_decode(big, len, &got, &err), -1);
    assert_non_null(strstr(err.text, "number of blocks"));
}

static void start_comes_back(void **state)
{
    struct wire_start m = {.seq = 9, .offset = INT64_MAX}, got;
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len = wire_start_encode(&m, buf);

    (void)state;
    assert_int_equal(len, 32);
    assert_int_equal(buf[5], 9);
    assert_int_equal(wire_start_decode(buf, len, &got, &err), 0);
    assert_int_equal(got.seq, 9);
    assert_true(got.offset == INT64_MAX);
    m.offset++;
    assert_int_equal(wire_start_decode(buf, wire_start_encode(&m, buf), &got, &err), -1);
    m.offset = 0;
    m.seq = 0;
    assert_int_equal(wire_start_decode(buf, wire_start_encode(&m, buf), &got, &err), -1);
}

static struct wire_jobs some_jobs(uint32_t n)
{
    struct wire_jobs m = {.n = n};

    for (uint32_t i = 0; i < n; i++)
        m.jobs[i] = (uint64_t)XFER_INTEGER_MAX - i;
    return m;
}

static void partials_and_forget_come_back_and_are_not_confused(void **state)
{
    struct wire_jobs m = some_jobs(XFER_JOB_LIST_MAX), got;
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len = wire_partials_encode(&m, buf);

    (void)state;
    assert_int_equal(buf[5], 10);
    assert_int_equal(len, 32 + 8 * XFER_JOB_LIST_MAX);
    assert_int_equal(wire_partials_decode(buf, len, &got, &err), 0);
    assert_int_equal(got.n, XFER_JOB_LIST_MAX);
    assert_memory_equal(got.jobs, m.jobs, sizeof(m.jobs));
    assert_int_equal(wire_forget_decode(buf, len, &got, &err), -1);
    len = wire_forget_encode(&m, buf);
    assert_int_equal(buf[5], 11);
    assert_int_equal(wire_forget_decode(buf, len, &got, &err), 0);
    assert_int_equal(got.n, XFER_JOB_LIST_MAX);
    assert_int_equal(wire_partials_decode(buf, len, &got, &err), -1);
}

static void job_lists_out_of_range_are_refused(void **state)
{
    struct wire_jobs m = some_jobs(0), got;
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len;

    (void)state;
    assert_int_equal(wire_forget_decode(buf, wire_forget_encode(&m, buf), &got, &err), -1);
    m = some_jobs(2);
    m.jobs[1] = 0;
    assert_int_equal(wire_forget_decode(buf, wire_forget_encode(&m, buf), &got, &err), -1);
    m.jobs[1] = (uint64_t)XFER_INTEGER_MAX + 1;
    assert_int_equal(wire_forget_decode(buf, wire_forget_encode(&m, buf), &got, &err), -1);
    m = some_jobs(XFER_JOB_LIST_MAX);
    len = wire_forget_encode(&m, buf) + 8;
    memcpy(buf + len - 8, buf + 32, 8);
    buf[8] = (unsigned char)len;
    buf[9] = (unsigned char)(len >> 8);
    buf[24]++;
    assert_int_equal(wire_forget_decode(buf, len, &got, &err), -1);
    assert_non_null(strstr(err.text, "number of jobs"));
}

static void a_receipt_may_tell_where_the_file_lies(void **state)
{
    struct wire_receipt m = {.seq = 3, .size = 1, .stored = "ann/a/b"}, got;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    assert_int_equal(wire_receipt_decode(buf, wire_receipt_encode(&m, buf), &got, &err), 0);
    assert_string_equal(got.stored, "ann/a/b");
    strcpy(m.stored, "ann/../b");
    assert_int_equal(wire_receipt_decode(buf, wire_receipt_encode(&m, buf), &got, &err), -1);
    strcpy(m.stored, "ann/b");
    set_error(&m.error);
    assert_int_equal(wire_receipt_decode(buf, wire_receipt_encode(&m, buf), &got, &err), -1);
    assert_int_equal(wire_refusal_decode(buf, wire_refusal_encode(&m, buf), &got, &err), -1);
    m.stored[0] = '\0';
    assert_int_equal(wire_receipt_decode(buf, wire_receipt_encode(&m, buf), &got, &err), 0);
}

static void a_receipt_may_say_that_nothing_changed_or_warn(void **state)
{
    struct wire_receipt m = {.seq = 3, .unchanged = true, .warning = "owner: \x1b[1m"}, got;
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len;

    (void)state;
    len = wire_receipt_encode(&m, buf);
    assert_int_equal(wire_receipt_decode(buf, len, &got, &err), 0);
    assert_true(got.unchanged);
    assert_string_equal(got.warning, "owner: ?[1m");
    buf[len - 2 - strlen(m.warning) - 2] = 2; /* the flags */
    assert_int_equal(wire_receipt_decode(buf, len, &got, &err), -1);
    m.unchanged = false;
    m.warning[0] = '\0';
    assert_int_equal(wire_receipt_decode(buf, wire_receipt_encode(&m, buf), &got, &err), 0);
    assert_false(got.unchanged);
    assert_string_equal(got.warning, "");
}

static void a_receipt_of_what_failed_neither_warns_nor_says_that_nothing_changed(void **state)
{
    struct wire_receipt m = {.seq = 3, .unchanged = true}, got;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    set_error(&m.error);
    assert_int_equal(wire_receipt_decode(buf, wire_receipt_encode(&m, buf), &got, &err), -1);
    assert_int_equal(wire_refusal_decode(buf, wire_refusal_encode(&m, buf), &got, &err), -1);
    m.unchanged = false;
    strcpy(m.warning, "x");
    assert_int_equal(wire_receipt_decode(buf, wire_receipt_encode(&m, buf), &got, &err), -1);
    assert_int_equal(wire_refusal_decode(buf, wire_refusal_encode(&m, buf), &got, &err), -1);
}

static struct wire_hello a_hello(void)
{
    struct wire_hello m = {.version = 1, .lanes = 4, .chunk = 262144, .window = 32, .pid = 99};

    memset(m.queue_id, 0xab, sizeof(m.queue_id));
    strcpy(m.host, "node1");
    strcpy(m.root, "/srv/in");
    strcpy(m.doorbell, "/run/x/bell");
    return m;
}

static void hello_comes_back(void **state)
{
    struct wire_hello m = a_hello(), got;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    assert_int_equal(wire_hello_decode(buf, wire_hello_encode(&m, buf), &got, &err), 0);
    assert_string_equal(got.host, "node1");
    assert_string_equal(got.root, "/srv/in");
    assert_string_equal(got.doorbell, "/run/x/bell");
    assert_int_equal(got.lanes, 4);
    assert_memory_equal(got.queue_id, m.queue_id, sizeof(m.queue_id));
}

static void hello_says_whose_rights_are_used_and_who_knows_the_place(void **state)
{
    struct wire_hello m = a_hello(), got;
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len;

    (void)state;
    m.caller = true;
    assert_int_equal(wire_hello_decode(buf, wire_hello_encode(&m, buf), &got, &err), 0);
    assert_true(got.caller);
    assert_false(got.per_user);
    m.caller = false;
    m.per_user = true;
    len = wire_hello_encode(&m, buf);
    assert_int_equal(wire_hello_decode(buf, len, &got, &err), 0);
    assert_false(got.caller);
    assert_true(got.per_user);
    buf[64] = 4;
    assert_int_equal(wire_hello_decode(buf, len, &got, &err), -1);
}

static void hello_with_terms_out_of_range_is_refused(void **state)
{
    struct wire_hello m, got;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
#define REFUSED(change)                                                                       \
    do {                                                                                      \
        m = a_hello();                                                                        \
        change;                                                                               \
        assert_int_equal(wire_hello_decode(buf, wire_hello_encode(&m, buf), &got, &err), -1); \
        assert_int_equal(err.code, XFER_PROTOCOL);                                            \
    } while (0)
    REFUSED(m.version = 0);
    REFUSED(m.lanes = 0);
    REFUSED(m.lanes = XFER_LANES_MAX + 1);
    REFUSED(m.chunk = XFER_CHUNK_MIN - 1);
    REFUSED(m.chunk = XFER_CHUNK_MAX + 1);
    REFUSED(m.window = 0);
    REFUSED(m.window = XFER_LANE_FILES_MAX + 1);
    REFUSED(m.pid = UINT64_MAX);
#undef REFUSED
}

static void the_largest_messages_fit(void **state)
{
    struct wire_hello m = a_hello(), got;
    struct wire_receipt receipt = {.seq = 1}, got_receipt;
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len;

    (void)state;
    memset(m.host, 'h', sizeof(m.host) - 1);
    memset(m.root, 'r', sizeof(m.root) - 1);
    memset(m.doorbell, 'd', sizeof(m.doorbell) - 1);
    m.host[sizeof(m.host) - 1] = m.root[sizeof(m.root) - 1] = m.doorbell[sizeof(m.doorbell) - 1] =
        '\0';
    memset(receipt.stored, 's', 200);
    for (unsigned i = 200; i < XFER_PATH_SIZE - 1; i++)
        receipt.stored[i] = i % 200 == 0 ? '/' : 's';
    memset(receipt.warning, 'w', sizeof(receipt.warning) - 1);
    len = wire_receipt_encode(&receipt, buf);
    assert_int_equal(wire_receipt_decode(buf, len, &got_receipt, &err), 0);
    assert_string_equal(got_receipt.stored, receipt.stored);
    assert_string_equal(got_receipt.warning, receipt.warning);
    set_error(&m.error);
    memset(m.error.text, 't', sizeof(m.error.text) - 1);
    memset(m.error.path, 'p', sizeof(m.error.path) - 1);
    m.error.text[sizeof(m.error.text) - 1] = m.error.path[sizeof(m.error.path) - 1] = '\0';
    assert_int_equal(wire_hello_decode(buf, wire_hello_encode(&m, buf), &got, &err), 0);
    assert_string_equal(got.root, m.root);
    assert_string_equal(got.error.path, m.error.path);
}

static void metadata_out_of_range_is_refused(void **state)
{
    struct wire_meta m, got;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
#define REFUSED(change)                                                                     \
    do {                                                                                    \
        m = a_meta();                                                                       \
        change;                                                                             \
        assert_int_equal(wire_meta_decode(buf, wire_meta_encode(&m, buf), &got, &err), -1); \
        assert_int_equal(err.code, XFER_PROTOCOL);                                          \
    } while (0)
    REFUSED(m.seq = 0);
    REFUSED(m.job = 0);
    REFUSED(m.job = (uint64_t)XFER_INTEGER_MAX + 1);
    REFUSED(m.size = UINT64_MAX);
    REFUSED(m.mtime_nsec = 1000000000);
    REFUSED(m.mode = 010000);
    REFUSED(m.overwrite = (enum overwrite_mode)(OVERWRITE_NEWER + 1));
    REFUSED(m.sync = (enum sync_mode)(SYNC_DEFAULT + 1));
    REFUSED(m.kind = (enum wire_kind)(WIRE_KIND_BARRIER + 1));
    REFUSED(m.preserve = PRESERVE_ALL + 1);
    REFUSED(m.file_uid = UINT32_MAX);
    REFUSED(m.file_gid = UINT32_MAX);
    REFUSED(m.preserve = PRESERVE_ALL; m.attrs_size = XFER_ATTRS_MAX + 1);
    REFUSED(m.path_len = 0);
    REFUSED(strcpy(m.path, "../etc"); m.path_len = 6);
    REFUSED(strcpy(m.path, "/etc"); m.path_len = 4);
    REFUSED(strcpy(m.path, "a/.xfer"); m.path_len = 7);
    REFUSED(m.path[1] = '\0'); /* a NUL inside */
#undef REFUSED
}

static void heartbeat_and_stop_come_back(void **state)
{
    struct wire_heartbeat m = {.number = 5,
                               .answer = true,
                               .free_bytes = 1,
                               .total_bytes = UINT64_MAX},
                          got;
    struct wire_stop s = {0}, got_stop;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    assert_int_equal(wire_heartbeat_decode(buf, wire_heartbeat_encode(&m, buf), &got, &err), 0);
    assert_int_equal(got.number, 5);
    assert_true(got.answer);
    assert_true(got.total_bytes == UINT64_MAX);
    assert_int_equal(wire_stop_decode(buf, wire_stop_encode(&s, buf), &got_stop, &err), 0);
}

static int any_meta(const void *msg, size_t len)
{
    struct wire_meta m;
    struct xfer_error err = XFER_ERROR_INIT;

    return wire_meta_decode(msg, len, &m, &err);
}

static int any_verdict(const void *msg, size_t len)
{
    struct wire_verdict m;
    struct xfer_error err = XFER_ERROR_INIT;

    return wire_verdict_decode(msg, len, &m, &err);
}

static int any_receipt(const void *msg, size_t len)
{
    struct wire_receipt m;
    struct xfer_error err = XFER_ERROR_INIT;

    return wire_receipt_decode(msg, len, &m, &err);
}

static int any_hello(const void *msg, size_t len)
{
    struct wire_hello m;
    struct xfer_error err = XFER_ERROR_INIT;

    return wire_hello_decode(msg, len, &m, &err);
}

static int any_heartbeat(const void *msg, size_t len)
{
    struct wire_heartbeat m;
    struct xfer_error err = XFER_ERROR_INIT;

    return wire_heartbeat_decode(msg, len, &m, &err);
}

static int any_go(const void *msg, size_t len)
{
    struct wire_go m;
    struct xfer_error err = XFER_ERROR_INIT;

    return wire_go_decode(msg, len, &m, &err);
}

static int any_start(const void *msg, size_t len)
{
    struct wire_start m;
    struct xfer_error err = XFER_ERROR_INIT;

    return wire_start_decode(msg, len, &m, &err);
}

static int any_jobs(const void *msg, size_t len)
{
    struct wire_jobs m;
    struct xfer_error err = XFER_ERROR_INIT;

    return wire_partials_decode(msg, len, &m, &err);
}

static int any_stop(const void *msg, size_t len)
{
    struct wire_stop m;
    struct xfer_error err = XFER_ERROR_INIT;

    return wire_stop_decode(msg, len, &m, &err);
}

static void cut_and_changed_messages_are_refused(void **state)
{
    struct wire_meta meta = a_meta();
    struct wire_verdict verdict = {.seq = 1, .kind = WIRE_ABORT};
    struct wire_receipt receipt = {.seq = 1};
    struct wire_hello hello = a_hello();
    struct wire_heartbeat beat = {.number = 1};
    struct wire_stop stop = {0};
    struct wire_go go = a_go();
    struct wire_start start = {.seq = 1, .offset = 1000};
    struct wire_jobs jobs = some_jobs(3);

    (void)state;
    set_error(&verdict.error);
    set_error(&receipt.error);
    torment(any_meta, wire_meta_encode(&meta, buf));
    torment(any_verdict, wire_verdict_encode(&verdict, buf));
    torment(any_receipt, wire_receipt_encode(&receipt, buf));
    torment(any_hello, wire_hello_encode(&hello, buf));
    torment(any_heartbeat, wire_heartbeat_encode(&beat, buf));
    torment(any_stop, wire_stop_encode(&stop, buf));
    torment(any_go, wire_go_encode(&go, buf));
    torment(any_start, wire_start_encode(&start, buf));
    torment(any_jobs, wire_partials_encode(&jobs, buf));
}

static void what_is_about_no_file_has_no_sequence_number(void **state)
{
    struct wire_hello hello = a_hello();
    struct wire_heartbeat beat = {.number = 1};
    struct wire_stop stop = {0};
    struct wire_jobs jobs = some_jobs(1);
    size_t len;

    (void)state;
    len = wire_hello_encode(&hello, buf);
    buf[16] = 1;
    assert_int_equal(any_hello(buf, len), -1);
    len = wire_heartbeat_encode(&beat, buf);
    buf[16] = 1;
    assert_int_equal(any_heartbeat(buf, len), -1);
    len = wire_stop_encode(&stop, buf);
    buf[16] = 1;
    assert_int_equal(any_stop(buf, len), -1);
    len = wire_partials_encode(&jobs, buf);
    buf[16] = 1;
    assert_int_equal(any_jobs(buf, len), -1);
}

static void another_version_is_named(void **state)
{
    struct wire_stop s = {0};
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len = wire_stop_encode(&s, buf);

    (void)state;
    buf[4] = 9;
    assert_int_equal(wire_stop_decode(buf, len, &s, &err), -1);
    assert_non_null(strstr(err.text, "version 9"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metadata_comes_back),
        cmocka_unit_test(metadata_may_ask),
        cmocka_unit_test(metadata_may_tell_of_attributes_and_holes),
        cmocka_unit_test(metadata_may_be_about_what_is_no_file),
        cmocka_unit_test(what_only_some_kinds_have_is_refused_of_the_others),
        cmocka_unit_test(flags_that_nobody_knows_are_refused),
        cmocka_unit_test(metadata_has_the_specified_layout),
        cmocka_unit_test(a_message_says_its_own_length),
        cmocka_unit_test(verdict_comes_back),
        cmocka_unit_test(an_abort_may_keep_what_has_come),
        cmocka_unit_test(a_commit_that_keeps_is_refused),
        cmocka_unit_test(a_commit_with_an_error_is_refused),
        cmocka_unit_test(metadata_may_leave_sync_to_the_receiver),
        cmocka_unit_test(metadata_may_carry_all_groups_of_its_owner),
        cmocka_unit_test(an_owner_that_nobody_can_be_is_refused),
        cmocka_unit_test(more_groups_than_allowed_are_refused),
        cmocka_unit_test(receipt_and_refusal_come_back_and_are_not_confused),
        cmocka_unit_test(a_receipt_may_tell_where_the_file_lies),
        cmocka_unit_test(a_receipt_may_say_that_nothing_changed_or_warn),
        cmocka_unit_test(a_receipt_of_what_failed_neither_warns_nor_says_that_nothing_changed),
        cmocka_unit_test(where_there_is_no_error_nothing_is_said_of_it),
        cmocka_unit_test(go_ahead_comes_back),
        cmocka_unit_test(go_ahead_has_the_specified_layout),
        cmocka_unit_test(offers_of_nothing_and_of_an_empty_file_come_back),
        cmocka_unit_test(offers_that_do_not_add_up_are_refused),
        cmocka_unit_test(more_blocks_than_an_offer_may_have_are_refused),
        cmocka_unit_test(start_comes_back),
        cmocka_unit_test(partials_and_forget_come_back_and_are_not_confused),
        cmocka_unit_test(job_lists_out_of_range_are_refused),
        cmocka_unit_test(hello_comes_back),
        cmocka_unit_test(hello_with_terms_out_of_range_is_refused),
        cmocka_unit_test(hello_says_whose_rights_are_used_and_who_knows_the_place),
        cmocka_unit_test(the_largest_messages_fit),
        cmocka_unit_test(metadata_out_of_range_is_refused),
        cmocka_unit_test(heartbeat_and_stop_come_back),
        cmocka_unit_test(cut_and_changed_messages_are_refused),
        cmocka_unit_test(what_is_about_no_file_has_no_sequence_number),
        cmocka_unit_test(another_version_is_named),
    };

    return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
