/* SPDX-License-Identifier: MIT
 *
 * daemon/send: what goes over a lane for a file, and what becomes of it. The lanes are fakes; the
 * files are real, but reading them can be made to hang or to fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include <cmocka.h>

#include "daemon/send/sender.h"
#include "tests/unit/fake_lane.h"

#define BLOCK     ((size_t)4 * 1024 * 1024)
#define BIG_SIZE  (XFER_RESUME_MIN + BLOCK + 123) /* five blocks and a bit */
#define PATIENCE  120                             /* seconds that nothing here should take */
#define SENDS_MAX 64

/* ---- reading, with faults ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static off_t hang_from, fail_from; /* reads from there on; -1: none */
static unsigned hanging;
static bool slow_cache = true; /* no read is answered from the page cache */
static uint32_t preserve;
static bool as_owner; /* files are read with the rights of their owner */

ssize_t pread(int fd, void *buf, size_t len, off_t offset)
{
    bool fails;

    pthread_mutex_lock(&lock);
    while (hang_from >= 0 && offset >= hang_from) {
        hanging++;
        pthread_cond_wait(&changed, &lock);
        hanging--;
    }
    fails = fail_from >= 0 && offset >= fail_from;
    pthread_mutex_unlock(&lock);
    if (fails) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pread64, fd, buf, len, offset);
}

ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
    (void)flags;
    (void)n;
    if (slow_cache) {
        errno = EAGAIN;
        return -1;
    }
    return syscall(SYS_pread64, fd, iov->iov_base, iov->iov_len, offset);
}

static void set_faults(off_t hang, off_t fail)
{
    pthread_mutex_lock(&lock);
    hang_from = hang;
    fail_from = fail;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static bool is_hanging(void)
{
    bool yes;

    pthread_mutex_lock(&lock);
    yes = hanging > 0;
    pthread_mutex_unlock(&lock);
    return yes;
}

/* ---- files ---- */

static char dir[] = "/tmp/xfer-test-stream-XXXXXX";
static char big_path[128], copy_path[128], small_path[128], empty_path[128];
static unsigned char *big; /* the bytes of the big file */
static const char small[] = "a small file\n";

static void write_file(const char *path, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    for (size_t done = 0; done < len;) {
        ssize_t n = write(fd, (const char *)bytes + done, len - done);

        assert_true(n > 0);
        done += (size_t)n;
    }
    assert_int_equal(close(fd), 0);
}

static int make_files(void **state)
{
    uint64_t x = 88172645463325252U;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(big_path, sizeof big_path, "%s/big", dir);
    snprintf(copy_path, sizeof copy_path, "%s/copy", dir);
    snprintf(small_path, sizeof small_path, "%s/small", dir);
    snprintf(empty_path, sizeof empty_path, "%s/empty", dir);
    big = malloc(BIG_SIZE + 8);
    assert_non_null(big);
    for (size_t i = 0; i < BIG_SIZE; i += 8) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(big + i, &x, 8);
    }
    write_file(big_path, big, BIG_SIZE);
    write_file(small_path, small, strlen(small));
    write_file(empty_path, "", 0);
    return 0;
}

static int remove_files(void **state)
{
    char holes[128];

    (void)state;
    snprintf(holes, sizeof holes, "%s/holes", dir);
    unlink(holes);
    unlink(big_path);
    unlink(copy_path);
    unlink(small_path);
    unlink(empty_path);
    free(big);
    return rmdir(dir);
}

static void digest_of(const void *bytes, size_t len, unsigned char digest[XFER_DIGEST_SIZE])
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, len));
    memcpy(digest, canonical.digest, XFER_DIGEST_SIZE);
}

/* ---- the rig ---- */

struct outcome { /* what was told of a send */
    struct send *send;
    unsigned progress;
    struct send_progress last;
    bool done;
    struct send_result result;
};

static struct rig {
    struct ev_loop *loop;
    struct pool *pool;
    struct link *link;
    struct sender *sender;
    struct outcome outcomes[SENDS_MAX];
    unsigned n;
    bool inside;       /* of a call that done() must not come from */
    int64_t bandwidth; /* of what is started */
} rig;

static void on_progress(void *user, const struct send_progress *progress)
{
    struct outcome *o = user;

    assert_false(o->done);
    o->progress++;
    o->last = *progress;
}

static void on_done(void *user, const struct send_result *result)
{
    struct outcome *o = user;

    assert_false(o->done);
    assert_false(rig.inside);
    o->done = true;
    o->result = *result;
}

static const struct send_events events = {on_progress, on_done};

static void start_rig(unsigned lanes)
{
    struct xfer_error err = XFER_ERROR_INIT;

    preserve = PRESERVE_DEFAULT;
    memset(&rig, 0, sizeof rig);
    set_faults(-1, -1);
    slow_cache = true;
    as_owner = false;
    rig.loop = ev_loop_new(EVFLAG_AUTO);
    rig.pool = pool_create(rig.loop, 8, &err);
    rig.link = fake_link(lanes);
    assert_non_null(rig.pool);
    rig.sender = sender_create(rig.loop, rig.link, rig.pool, &err);
    assert_non_null(rig.sender);
}

static int one_lane(void **state)
{
    (void)state;
    start_rig(1);
    return 0;
}

static int three_lanes(void **state)
{
    (void)state;
    start_rig(3);
    return 0;
}

static int stop_rig(void **state)
{
    (void)state;
    set_faults(-1, -1);
    assert_true(pool_drain(rig.pool, PATIENCE));
    sender_destroy(rig.sender);
    pool_destroy(rig.pool);
    fake_link_free(rig.link);
    ev_loop_destroy(rig.loop);
    return 0;
}

static void turn(void)
{
    static const struct timespec pause = {.tv_nsec = 100000};

    ev_run(rig.loop, EVRUN_NOWAIT);
    fake_poll(rig.link);
    nanosleep(&pause, NULL);
}

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

#define WAIT(condition)                                 \
    do {                                                \
        double until_ = now() + PATIENCE;               \
        while (!(condition)) {                          \
            if (now() > until_)                         \
                fail_msg("%s: never true", #condition); \
            turn();                                     \
        }                                               \
    } while (0)

/* What could happen by itself does, and after that nothing moves. */
static void settle(void)
{
    for (int quiet = 0; quiet < 50; quiet++)
        turn();
}

static struct outcome *start_file(const char *path, bool again, enum overwrite_mode overwrite)
{
    struct outcome *o = &rig.outcomes[rig.n++];
    struct xfer_error err = XFER_ERROR_INIT;
    struct send_request request = {
        .job = rig.n,
        .source = path,
        .dest = "dest",
        .overwrite = overwrite,
        .sync = SYNC_FILE,
        .bandwidth = rig.bandwidth,
        .again = again,
        .uid = 1000,
        .gid = 100,
        .as_owner = as_owner,
        .preserve = preserve,
    };

    rig.inside = true;
    o->send = sender_start(rig.sender, &request, &events, o, &err);
    rig.inside = false;
    assert_non_null(o->send);
    return o;
}

static struct outcome *start_again(const char *path)
{
    return start_file(path, true, OVERWRITE_REPLACE);
}

static void cancel(struct outcome *o, enum xfer_code code, bool keep)
{
    struct xfer_error why = XFER_ERROR_INIT;

    error_set(&why, code, "the test says so");
    rig.inside = true;
    sender_cancel(o->send, &why, keep);
    rig.inside = false;
}

static struct lane *lane(unsigned i)
{
    return &rig.link->lanes[i];
}

static bool said(unsigned i, const char *what)
{
    return strcmp(lane(i)->said, what) == 0;
}

/* An offer of the first size bytes of the big file. */
static struct wire_go offer_of(enum wire_offer offer, size_t size)
{
    struct wire_go go = {.seq = lane(0)->meta.seq, .offer = offer, .size = size, .block = BLOCK};

    for (size_t at = 0; at < size; at += BLOCK)
        digest_of(big + at, size - at < BLOCK ? size - at : BLOCK, go.digests[go.n++]);
    return go;
}

static struct wire_go no_offer(void)
{
    return (struct wire_go){.seq = lane(0)->meta.seq, .offer = WIRE_OFFER_NOTHING};
}

/* The big file is there when what was offered and what was sent are put together. */
static void assert_big_arrived(struct outcome *o, uint64_t offset)
{
    unsigned char digest[XFER_DIGEST_SIZE];
    const struct lane *l = lane(0);

    digest_of(big, BIG_SIZE, digest);
    assert_int_equal(l->start.offset, offset);
    assert_int_equal(l->data_len, BIG_SIZE - offset);
    if (l->data_len > 0)
        assert_memory_equal(l->data, big + offset, l->data_len);
    assert_int_equal(l->verdict.kind, WIRE_COMMIT);
    assert_int_equal(l->verdict.size, BIG_SIZE);
    assert_memory_equal(l->verdict.digest, digest, sizeof digest);
    assert_int_equal(o->last.phase, SEND_STORING);
    assert_int_equal(o->last.bytes_done, BIG_SIZE);
    assert_int_equal(o->last.bytes_resumed, offset);
    fake_receipt(lane(0));
    WAIT(o->done);
    assert_int_equal(o->result.error.code, XFER_OK);
    assert_int_equal(o->result.size, BIG_SIZE);
    assert_int_equal(o->result.resumed, offset);
    assert_memory_equal(o->result.digest, digest, sizeof digest);
    assert_false(rig.link->failed);
}

static void assert_aborted(unsigned i, enum xfer_code code, bool keep)
{
    assert_int_equal(lane(i)->verdict.kind, WIRE_ABORT);
    assert_int_equal(lane(i)->verdict.error.code, code);
    assert_int_equal(lane(i)->verdict.keep, keep);
}

/* ---- files with holes ---- */

#define HOLES_SIZE ((size_t)3 << 20)

/* Data of n pages at every other page from 1 MiB on. False: holes are not to be had here. */
static bool make_holes(char path[128], unsigned n)
{
    char page[4096];
    struct stat st;
    int fd;

    preserve = PRESERVE_DEFAULT | PRESERVE_SPARSE;
    snprintf(path, 128, "%s/holes", dir);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    memset(page, 'p', sizeof page);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(pwrite(fd, page, sizeof page, (1 << 20) + 2 * 4096 * (off_t)i), 4096);
    assert_int_equal(ftruncate(fd, (off_t)HOLES_SIZE + 2 * 4096 * (off_t)n), 0);
    assert_int_equal(fstat(fd, &st), 0);
    close(fd);
    return st.st_blocks <= 8 * (blkcnt_t)n + 64;
}

static void has_whole_digest(const struct outcome *o, const char *path)
{
    unsigned char *bytes = malloc(o->result.size);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    XXH128_canonical_t digest;

    assert_int_equal(read(fd, bytes, o->result.size), o->result.size);
    close(fd);
    XXH128_canonicalFromHash(&digest, XXH3_128bits(bytes, o->result.size));
    assert_memory_equal(o->result.digest, digest.digest, sizeof digest.digest);
    free(bytes);
}

static void holes_are_not_sent(void **state)
{
    struct outcome *o;
    char path[128];

    (void)state;
    if (!make_holes(path, 3))
        skip();
    o = start_file(path, false, OVERWRITE_REPLACE);
    WAIT(said(0, "MPDEV"));
    assert_true(lane(0)->meta.sparse);
    assert_int_equal(lane(0)->map.n, 3);
    assert_false(lane(0)->map.more);
    assert_int_equal(lane(0)->map.extents[1].offset, (1 << 20) + 2 * 4096);
    assert_int_equal(lane(0)->map.extents[1].length, 4096);
    assert_int_equal(lane(0)->data_len, 3 * 4096);
    assert_int_equal(lane(0)->verdict.size, HOLES_SIZE + 3 * 2 * 4096);
    fake_receipt(lane(0));
    WAIT(o->done);
    assert_int_equal(o->result.error.code, XFER_OK);
    has_whole_digest(o, path);
}

static void a_file_that_is_one_hole_has_an_empty_map(void **state)
{
    struct outcome *o;
    char path[128];

    (void)state;
    if (!make_holes(path, 0))
        skip();
    o = start_file(path, false, OVERWRITE_REPLACE);
    WAIT(said(0, "MPEV"));
    assert_int_equal(lane(0)->map.n, 0);
    fake_receipt(lane(0));
    WAIT(o->done);
    has_whole_digest(o, path);
}

static void many_pieces_take_several_maps(void **state)
{
    struct outcome *o;
    char path[128];

    (void)state;
    if (!make_holes(path, XFER_MAP_MAX + 5))
        skip();
    o = start_file(path, false, OVERWRITE_REPLACE);
    WAIT(said(0, "MPDPDEV"));
    assert_int_equal(lane(0)->map.n, 5);
    assert_int_equal(lane(0)->data_len, (XFER_MAP_MAX + 5) * 4096);
    fake_receipt(lane(0));
    WAIT(o->done);
    has_whole_digest(o, path);
}

static void a_file_without_holes_has_no_map(void **state)
{
    struct outcome *o;

    (void)state;
    preserve = PRESERVE_DEFAULT | PRESERVE_SPARSE;
    o = start_file(big_path, false, OVERWRITE_REPLACE);
    WAIT(said(0, "MDEV"));
    assert_false(lane(0)->meta.sparse);
    assert_big_arrived(o, 0);
}

static void who_gives_up_sends_the_map_that_is_due(void **state)
{
    struct outcome *o;
    char path[128];

    (void)state;
    if (!make_holes(path, 3))
        skip();
    o = start_file(path, true, OVERWRITE_NEVER); /* which asks, and nobody answers */
    WAIT(said(0, "M"));
    cancel(o, XFER_CANCELLED, false);
    WAIT(said(0, "MSPEV"));
    assert_int_equal(lane(0)->map.n, 0);
    assert_aborted(0, XFER_CANCELLED, false);
    fake_receipt(lane(0));
    WAIT(o->done);
}

static void who_hangs_in_a_piece_gives_up_without_another_map(void **state)
{
    struct outcome *o;
    char path[128];

    (void)state;
    if (!make_holes(path, 3))
        skip();
    set_faults(0, -1);
    o = start_file(path, false, OVERWRITE_REPLACE);
    WAIT(is_hanging());
    cancel(o, XFER_CANCELLED, false);
    WAIT(said(0, "MPEV"));
    assert_int_equal(lane(0)->map.n, 3);
    fake_receipt(lane(0));
    set_faults(-1, -1);
    WAIT(o->done);
    assert_int_equal(fake_free_chunks(lane(0)), XFER_RING_CHUNKS);
}

static void all_of_a_file_with_holes_may_be_there(void **state)
{
    struct outcome *o;
    struct wire_go *go = calloc(1, sizeof *go);
    unsigned char *bytes = calloc(1, HOLES_SIZE);
    XXH128_canonical_t digest;
    char path[128];

    (void)state;
    if (!make_holes(path, 0))
        skip();
    o = start_file(path, true, OVERWRITE_NEVER);
    WAIT(said(0, "M"));
    XXH128_canonicalFromHash(&digest, XXH3_128bits(bytes, HOLES_SIZE));
    *go = (struct wire_go){.seq = lane(0)->meta.seq,
                           .offer = WIRE_OFFER_STORED,
                           .size = HOLES_SIZE,
                           .block = XFER_RESUME_BLOCK,
                           .n = 1};
    memcpy(go->digests[0], digest.digest, sizeof digest.digest);
    fake_go(lane(0), go);
    WAIT(said(0, "MSPEV"));
    assert_int_equal(lane(0)->start.offset, HOLES_SIZE);
    assert_int_equal(lane(0)->map.n, 0);
    fake_receipt(lane(0));
    WAIT(o->done);
    assert_int_equal(o->result.resumed, HOLES_SIZE);
    free(bytes);
    free(go);
}

/* ---- a file that nobody has begun before ---- */

static void a_file_goes_as_metadata_data_end_and_verdict(void **state)
{
    struct outcome *o = start_file(big_path, false, OVERWRITE_REPLACE);

    (void)state;
    WAIT(said(0, "MDEV"));
    assert_false(lane(0)->meta.ask);
    assert_int_equal(lane(0)->meta.size, BIG_SIZE);
    assert_big_arrived(o, 0);
}

static void metadata_says_whose_file_it_is(void **state)
{
    struct outcome *o = start_file(big_path, false, OVERWRITE_REPLACE);

    (void)state;
    WAIT(said(0, "MDEV"));
    assert_int_equal(lane(0)->meta.uid, 1000);
    assert_int_equal(lane(0)->meta.gid, 100);
    assert_false(lane(0)->meta.caller);
    assert_int_equal(lane(0)->meta.n_groups, 0);
    assert_big_arrived(o, 0);
}

static void a_user_as_whom_it_cannot_be_read_gets_an_error(void **state)
{
    struct outcome *o;

    (void)state;
    as_owner = true; /* and nothing was prepared for that */
    o = start_file(big_path, false, OVERWRITE_REPLACE);
    WAIT(o->done);
    assert_int_equal(o->result.error.code, XFER_INTERNAL);
}

static void what_is_in_the_page_cache_goes_without_a_worker(void **state)
{
    struct outcome *o;

    (void)state;
    slow_cache = false;
    set_faults(1, -1); /* a worker would hang, but for the first read */
    o = start_file(big_path, false, OVERWRITE_REPLACE);
    WAIT(said(0, "MDEV"));
    assert_big_arrived(o, 0);
}

static void an_empty_file_has_no_data(void **state)
{
    struct outcome *o = start_file(empty_path, false, OVERWRITE_REPLACE);

    (void)state;
    WAIT(said(0, "MEV"));
    fake_receipt(lane(0));
    WAIT(o->done);
    assert_int_equal(o->result.error.code, XFER_OK);
    assert_int_equal(o->result.size, 0);
}

static void done_is_told_with_the_receipt_and_not_before(void **state)
{
    struct outcome *o = start_file(small_path, false, OVERWRITE_REPLACE);

    (void)state;
    WAIT(said(0, "MDEV"));
    settle();
    assert_false(o->done);
    assert_int_equal(sender_active(rig.sender), 1);
    fake_receipt(lane(0));
    WAIT(o->done);
    assert_int_equal(sender_active(rig.sender), 0);
}

static void a_receipt_with_another_digest_is_no_success(void **state)
{
    struct outcome *o = start_file(small_path, false, OVERWRITE_REPLACE);

    (void)state;
    WAIT(said(0, "MDEV"));
    lane(0)->verdict.digest[0] ^= 1;
    fake_receipt(lane(0));
    WAIT(o->done);
    assert_int_equal(o->result.error.code, XFER_DIGEST_MISMATCH);
}

static void a_receipt_for_another_file_breaks_the_link(void **state)
{
    (void)state;
    start_file(small_path, false, OVERWRITE_REPLACE);
    WAIT(said(0, "MDEV"));
    lane(0)->verdict.seq++;
    fake_receipt(lane(0));
    assert_true(rig.link->failed);
    assert_int_equal(rig.link->why.code, XFER_PROTOCOL);
}

static void files_do_not_wait_for_the_receipts_of_others(void **state)
{
    (void)state;
    for (int i = 1; i <= SENDS_MAX && i <= XFER_LANE_FILES_MAX; i++) {
        start_file(small_path, false, OVERWRITE_REPLACE);
        WAIT(lane(0)->verdict.seq == (uint64_t)i);
    }
}

static void files_that_wait_for_their_receipts_take_no_room(void **state)
{
    unsigned room = sender_room(rig.sender);

    (void)state;
    for (int i = 0; i < 5; i++)
        start_file(small_path, false, OVERWRITE_REPLACE);
    assert_int_equal(sender_room(rig.sender), room - 5);
    WAIT(lane(0)->verdict.seq == 5);
    assert_int_equal(sender_room(rig.sender), room);
    assert_int_equal(sender_active(rig.sender), 5);
}

/* ---- asking ---- */

static void a_small_file_that_may_be_replaced_is_sent_anew(void **state)
{
    (void)state;
    start_again(small_path);
    WAIT(said(0, "MDEV"));
    assert_false(lane(0)->meta.ask);
}

static void a_large_file_asks_and_waits(void **state)
{
    struct outcome *o = start_again(big_path);

    (void)state;
    WAIT(said(0, "M"));
    settle();
    assert_true(said(0, "M"));
    assert_true(lane(0)->meta.ask);
    assert_int_equal(o->last.phase, SEND_ASKING);
    assert_int_equal(o->last.bytes_done, 0);
    assert_int_equal(o->last.bytes_total, BIG_SIZE);
}

static void where_nothing_is_all_of_it_is_sent(void **state)
{
    struct outcome *o = start_again(big_path);
    struct wire_go go;

    (void)state;
    WAIT(said(0, "M"));
    go = no_offer();
    fake_go(lane(0), &go);
    WAIT(said(0, "MSDEV"));
    assert_big_arrived(o, 0);
}

static void a_partial_file_is_gone_on_with(void **state)
{
    struct outcome *o = start_again(big_path);
    struct wire_go go;

    (void)state;
    WAIT(said(0, "M"));
    go = offer_of(WIRE_OFFER_PARTIAL, 3 * BLOCK);
    fake_go(lane(0), &go);
    WAIT(said(0, "MSDEV"));
    assert_big_arrived(o, 3 * BLOCK);
}

static void a_last_block_that_is_shorter_counts_too(void **state)
{
    struct outcome *o = start_again(big_path);
    struct wire_go go;

    (void)state;
    WAIT(said(0, "M"));
    go = offer_of(WIRE_OFFER_PARTIAL, 2 * BLOCK + 77777);
    fake_go(lane(0), &go);
    WAIT(said(0, "MSDEV"));
    assert_big_arrived(o, 2 * BLOCK + 77777);
}

static void blocks_larger_than_a_piece_are_compared_whole(void **state)
{
    struct outcome *o = start_again(big_path);
    struct wire_go go;

    (void)state;
    WAIT(said(0, "M"));
    go = (struct wire_go){.seq = 1, .offer = WIRE_OFFER_PARTIAL, .n = 1};
    go.size = go.block = BIG_SIZE - 5;
    digest_of(big, BIG_SIZE - 5, go.digests[0]);
    fake_go(lane(0), &go);
    WAIT(said(0, "MSDEV"));
    assert_big_arrived(o, BIG_SIZE - 5);
}

static void it_goes_on_at_the_first_block_that_differs(void **state)
{
    struct outcome *o = start_again(big_path);
    struct wire_go go;

    (void)state;
    WAIT(said(0, "M"));
    go = offer_of(WIRE_OFFER_PARTIAL, 4 * BLOCK);
    go.digests[2][15] ^= 1; /* and the block after it agrees again */
    fake_go(lane(0), &go);
    WAIT(said(0, "MSDEV"));
    assert_big_arrived(o, 2 * BLOCK);
}

static void it_starts_over_where_the_first_block_differs(void **state)
{
    struct outcome *o = start_again(big_path);
    struct wire_go go;

    (void)state;
    WAIT(said(0, "M"));
    go = offer_of(WIRE_OFFER_PARTIAL, 4 * BLOCK);
    go.digests[0][0] ^= 1;
    fake_go(lane(0), &go);
    WAIT(said(0, "MSDEV"));
    assert_big_arrived(o, 0);
}

static void a_partial_file_that_is_complete_needs_no_data(void **state)
{
    struct outcome *o = start_again(big_path);
    struct wire_go go;

    (void)state;
    WAIT(said(0, "M"));
    go = offer_of(WIRE_OFFER_PARTIAL, BIG_SIZE);
    fake_go(lane(0), &go);
    WAIT(said(0, "MSEV"));
    assert_big_arrived(o, BIG_SIZE);
}

static void a_stored_file_that_agrees_needs_no_data(void **state)
{
    struct outcome *o = start_again(big_path);
    struct wire_go go;

    (void)state;
    WAIT(said(0, "M"));
    go = offer_of(WIRE_OFFER_STORED, BIG_SIZE);
    fake_go(lane(0), &go);
    WAIT(said(0, "MSEV"));
    assert_big_arrived(o, BIG_SIZE);
}

static void a_stored_file_that_differs_anywhere_is_of_no_use(void **state)
{
    struct outcome *o = start_again(big_path);
    struct wire_go go;

    (void)state;
    WAIT(said(0, "M"));
    go = offer_of(WIRE_OFFER_STORED, BIG_SIZE);
    go.digests[go.n - 1][3] ^= 1;
    fake_go(lane(0), &go);
    WAIT(said(0, "MSDEV"));
    assert_big_arrived(o, 0);
}

static void a_small_file_that_may_not_be_replaced_is_compared(void **state)
{
    struct outcome *o = start_file(small_path, true, OVERWRITE_NEVER);
    struct wire_go go = {
        .seq = 1, .offer = WIRE_OFFER_STORED, .size = strlen(small), .block = BLOCK, .n = 1};

    (void)state;
    WAIT(said(0, "M"));
    assert_true(lane(0)->meta.ask);
    digest_of(small, strlen(small), go.digests[0]);
    fake_go(lane(0), &go);
    WAIT(said(0, "MSEV"));
    assert_int_equal(lane(0)->start.offset, strlen(small));
    fake_receipt(lane(0));
    WAIT(o->done);
    assert_int_equal(o->result.error.code, XFER_OK);
    assert_int_equal(o->result.resumed, strlen(small));
}

static void so_is_an_empty_one(void **state)
{
    struct outcome *o = start_file(empty_path, true, OVERWRITE_NEVER);
    struct wire_go go = {.seq = 1, .offer = WIRE_OFFER_STORED, .block = BLOCK};

    (void)state;
    WAIT(said(0, "M"));
    fake_go(lane(0), &go);
    WAIT(said(0, "MSEV"));
    assert_int_equal(lane(0)->start.offset, 0);
    fake_receipt(lane(0));
    WAIT(o->done);
    assert_int_equal(o->result.error.code, XFER_OK);
}

static void comparing_shows_signs_of_life(void **state)
{
    struct outcome *o = start_again(big_path);
    struct wire_go go;
    unsigned before;

    (void)state;
    WAIT(said(0, "M"));
    set_faults(3 * (off_t)BLOCK, -1);
    before = o->progress;
    go = offer_of(WIRE_OFFER_PARTIAL, BIG_SIZE);
    fake_go(lane(0), &go);
    assert_int_equal(o->last.phase, SEND_VERIFYING);
    WAIT(o->progress == before + 4);
    assert_int_equal(o->last.phase, SEND_VERIFYING);
    assert_int_equal(o->last.bytes_done, 0);
}

static void offers_that_can_not_be_break_the_link(void **state)
{
    struct wire_go go;

    (void)state;
    start_again(big_path);
    WAIT(said(0, "M"));
    go = (struct wire_go){.seq = 1, .offer = WIRE_OFFER_PARTIAL, .size = BIG_SIZE + 1, .n = 1};
    go.block = BIG_SIZE + 1;
    fake_go(lane(0), &go);
    assert_true(rig.link->failed);
    assert_int_equal(rig.link->why.code, XFER_PROTOCOL);
    rig.link->failed = false;
    go.offer = WIRE_OFFER_STORED;
    go.size = BIG_SIZE - 1;
    fake_go(lane(0), &go);
    assert_true(rig.link->failed);
}

static void a_second_offer_breaks_the_link(void **state)
{
    struct wire_go go;

    (void)state;
    start_again(big_path);
    WAIT(said(0, "M"));
    go = no_offer();
    fake_go(lane(0), &go);
    assert_false(rig.link->failed);
    fake_go(lane(0), &go);
    assert_true(rig.link->failed);
}

static void so_does_one_that_comes_while_the_first_is_compared(void **state)
{
    struct wire_go go;

    (void)state;
    start_again(big_path);
    WAIT(said(0, "M"));
    set_faults(0, -1);
    go = offer_of(WIRE_OFFER_PARTIAL, BLOCK);
    fake_go(lane(0), &go);
    assert_false(rig.link->failed);
    fake_go(lane(0), &go);
    assert_true(rig.link->failed);
}

static void an_offer_that_was_not_asked_for_breaks_the_link(void **state)
{
    struct wire_go go;

    (void)state;
    set_faults(1, -1);
    start_file(big_path, false, OVERWRITE_REPLACE);
    WAIT(said(0, "MD") && is_hanging());
    go = no_offer();
    fake_go(lane(0), &go);
    assert_true(rig.link->failed);
}

/* ---- early ends ---- */

static void a_refusal_may_come_instead_of_an_offer(void **state)
{
    struct outcome *o = start_again(big_path);
    struct xfer_error why = XFER_ERROR_INIT;

    (void)state;
    WAIT(said(0, "M"));
    error_set(&why, XFER_DESTINATION_EXISTS, "it is there");
    fake_refuse(lane(0), 1, &why);
    WAIT(said(0, "MSEV"));
    assert_int_equal(lane(0)->start.offset, 0);
    assert_aborted(0, XFER_DESTINATION_EXISTS, false);
    assert_false(o->done);
    fake_receipt(lane(0));
    WAIT(o->done);
    assert_int_equal(o->result.error.code, XFER_DESTINATION_EXISTS);
}

static void a_refusal_does_not_hide_that_it_was_cancelled(void **state)
{
    struct outcome *o = start_again(big_path);
    struct xfer_error why = XFER_ERROR_INIT;

    (void)state;
    WAIT(said(0, "M"));
    error_set(&why, XFER_NO_SPACE, "full");
    cancel(o, XFER_CANCELLED, false);
    fake_refuse(lane(0), 1, &why);
    WAIT(said(0, "MSEV"));
    fake_receipt(lane(0));
    WAIT(o->done);
    assert_int_equal(o->result.error.code, XFER_CANCELLED);
}

static void cancelled_while_it_waits_for_an_offer(void **state)
{
    struct outcome *o = start_again(big_path), *next;
    struct wire_go go;

    (void)state;
    WAIT(said(0, "M"));
    go = offer_of(WIRE_OFFER_PARTIAL, 3 * BLOCK);
    cancel(o, XFER_CANCELLED, false);
    WAIT(said(0, "MSEV"));
    assert_int_equal(lane(0)->start.offset, 0);
    assert_aborted(0, XFER_CANCELLED, false);
    fake_go(lane(0), &go); /* too late */
    next = start_again(big_path);
    WAIT(said(0, "MSEVM"));
    fake_go(lane(0), &go); /* even later, and another file waits for its own */
    settle();
    assert_true(said(0, "MSEVM"));
    assert_false(rig.link->failed);
    fake_receipt(lane(0));
    WAIT(o->done);
    assert_int_equal(o->result.error.code, XFER_CANCELLED);
    assert_false(next->done);
}

static void stopped_while_it_compares_it_leaves_all_that_is_there(void **state)
{
    struct outcome *o = start_again(big_path);
    struct wire_go go;

    (void)state;
    WAIT(said(0, "M"));
    set_faults(0, -1);
    go = offer_of(WIRE_OFFER_PARTIAL, 3 * BLOCK + 9);
    fake_go(lane(0), &go);
    WAIT(is_hanging());
    cancel(o, XFER_STOPPING, true);
    WAIT(said(0, "MSEV"));
    assert_int_equal(lane(0)->start.offset, 3 * BLOCK + 9);
    assert_aborted(0, XFER_STOPPING, true);
    fake_receipt(lane(0));
    settle();
    assert_false(o->done); /* the worker is still in it */
    set_faults(-1, -1);
    WAIT(o->done);
    assert_int_equal(o->result.error.code, XFER_STOPPING);
    assert_int_equal(o->result.resumed, 0);
}

static void cancelled_while_it_compares_it_leaves_nothing(void **state)
{
    struct outcome *o = start_again(big_path);
    struct wire_go go;

    (void)state;
    WAIT(said(0, "M"));
    set_faults(0, -1);
    go = offer_of(WIRE_OFFER_PARTIAL, 3 * BLOCK);
    fake_go(lane(0), &go);
    WAIT(is_hanging());
    cancel(o, XFER_CANCELLED, false);
    WAIT(said(0, "MSEV"));
    assert_int_equal(lane(0)->start.offset, 0);
    assert_aborted(0, XFER_CANCELLED, false);
}

static void a_read_that_hangs_holds_up_its_own_file_only(void **state)
{
    struct outcome *o, *next;

    (void)state;
    set_faults((off_t)BLOCK, -1);
    o = start_file(big_path, false, OVERWRITE_REPLACE);
    WAIT(said(0, "MD") && o->last.bytes_done == (int64_t)BLOCK);
    next = start_file(small_path, false, OVERWRITE_REPLACE);
    settle();
    assert_true(said(0, "MD"));
    cancel(o, XFER_STALLED, true);
    WAIT(said(0, "MDEVMDEV"));
    assert_int_equal(lane(0)->data_len, strlen(small));
    lane(0)->verdict =
        (struct wire_verdict){.seq = 1, .kind = WIRE_ABORT, .error = {.code = XFER_STALLED}};
    fake_receipt(lane(0));
    settle();
    assert_false(o->done);
    assert_false(next->done);
    assert_int_equal(fake_free_chunks(lane(0)), XFER_RING_CHUNKS - 1);
    set_faults(-1, -1);
    WAIT(o->done);
    assert_int_equal(o->result.error.code, XFER_STALLED);
    assert_int_equal(fake_free_chunks(lane(0)), XFER_RING_CHUNKS);
}

static void an_abort_tells_whether_to_keep(void **state)
{
    struct outcome *o;

    (void)state;
    set_faults((off_t)BLOCK, -1);
    o = start_file(big_path, false, OVERWRITE_REPLACE);
    WAIT(said(0, "MD") && o->last.bytes_done == (int64_t)BLOCK);
    cancel(o, XFER_STALLED, true);
    cancel(o, XFER_CANCELLED, false); /* what was first counts */
    WAIT(said(0, "MDEV"));
    assert_aborted(0, XFER_STALLED, true);
    assert_int_equal(o->last.phase, SEND_SENDING);
    assert_false(o->done);
}

static void the_worker_may_be_back_before_the_receipt(void **state)
{
    struct outcome *o;

    (void)state;
    set_faults((off_t)BLOCK, -1);
    o = start_file(big_path, false, OVERWRITE_REPLACE);
    WAIT(said(0, "MD") && o->last.bytes_done == (int64_t)BLOCK);
    cancel(o, XFER_STALLED, true);
    WAIT(said(0, "MDEV"));
    set_faults(-1, -1);
    WAIT(fake_free_chunks(lane(0)) == XFER_RING_CHUNKS);
    settle();
    assert_true(said(0, "MDEV"));
    assert_false(o->done);
    fake_receipt(lane(0));
    WAIT(o->done);
    assert_int_equal(o->result.error.code, XFER_STALLED);
}

static void what_can_not_be_read_leaves_what_was_sent(void **state)
{
    struct outcome *o;

    (void)state;
    set_faults(-1, (off_t)BLOCK);
    o = start_file(big_path, false, OVERWRITE_REPLACE);
    WAIT(said(0, "MDEV"));
    assert_aborted(0, XFER_IO, true);
    fake_receipt(lane(0));
    WAIT(o->done);
    assert_int_equal(o->result.error.code, XFER_IO);
    assert_int_equal(o->result.error.sys_errno, EIO);
    assert_int_equal(o->result.error.side, XFER_SIDE_SENDER);
}

static void what_can_not_be_compared_leaves_what_is_there(void **state)
{
    struct outcome *o = start_again(big_path);
    struct wire_go go;

    (void)state;
    WAIT(said(0, "M"));
    set_faults(-1, (off_t)BLOCK);
    go = offer_of(WIRE_OFFER_PARTIAL, 4 * BLOCK);
    fake_go(lane(0), &go);
    WAIT(said(0, "MSEV"));
    assert_int_equal(lane(0)->start.offset, 4 * BLOCK);
    assert_aborted(0, XFER_IO, true);
    fake_receipt(lane(0));
    WAIT(o->done);
    assert_int_equal(o->result.error.code, XFER_IO);
}

static void a_source_that_changed_leaves_nothing(void **state)
{
    struct outcome *o;

    (void)state;
    write_file(copy_path, big, BIG_SIZE);
    set_faults((off_t)BLOCK, -1);
    o = start_file(copy_path, false, OVERWRITE_REPLACE);
    WAIT(said(0, "MD") && o->last.bytes_done == (int64_t)BLOCK);
    assert_int_equal(truncate(copy_path, (off_t)BLOCK + 1), 0);
    set_faults(-1, -1);
    WAIT(said(0, "MDEV"));
    assert_aborted(0, XFER_SOURCE_CHANGED, false);
    fake_receipt(lane(0));
    WAIT(o->done);
    assert_int_equal(o->result.error.code, XFER_SOURCE_CHANGED);
}

static void a_file_that_waits_for_its_lane_never_gets_there(void **state)
{
    struct outcome *first, *second;

    (void)state;
    first = start_again(big_path);
    WAIT(said(0, "M"));
    second = start_file(small_path, false, OVERWRITE_REPLACE);
    WAIT(second->last.phase == SEND_WAITING && second->progress > 0);
    cancel(second, XFER_CANCELLED, false);
    WAIT(second->done);
    assert_int_equal(second->result.error.code, XFER_CANCELLED);
    assert_true(said(0, "M"));
    assert_false(first->done);
}

static void a_file_that_is_being_opened_never_gets_to_a_lane(void **state)
{
    struct outcome *o;

    (void)state;
    set_faults(0, -1);
    o = start_file(small_path, false, OVERWRITE_REPLACE);
    WAIT(is_hanging());
    cancel(o, XFER_STALLED, true);
    settle();
    assert_false(o->done);
    set_faults(-1, -1);
    WAIT(o->done);
    assert_int_equal(o->result.error.code, XFER_STALLED);
    assert_true(said(0, ""));
}

static void what_was_told_to_be_stored_is_no_longer_cancelled(void **state)
{
    struct outcome *o = start_file(small_path, false, OVERWRITE_REPLACE);

    (void)state;
    WAIT(said(0, "MDEV"));
    cancel(o, XFER_CANCELLED, false);
    settle();
    fake_receipt(lane(0));
    WAIT(o->done);
    assert_int_equal(o->result.error.code, XFER_OK);
}

static void a_source_that_is_not_there_never_gets_to_a_lane(void **state)
{
    struct outcome *o = start_again("/nonexistent/file");

    (void)state;
    WAIT(o->done);
    assert_int_equal(o->result.error.code, XFER_NO_SUCH_FILE);
    assert_true(said(0, ""));
}

/* A worker that hangs outlives the sender (checked by the sanitizers). */
static void a_sender_may_go_while_a_worker_hangs(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    set_faults((off_t)BLOCK, -1);
    start_file(big_path, false, OVERWRITE_REPLACE);
    WAIT(said(0, "MD") && is_hanging());
    sender_destroy(rig.sender);
    set_faults(-1, -1);
    assert_true(pool_drain(rig.pool, PATIENCE));
    rig.sender = sender_create(rig.loop, rig.link, rig.pool, &err);
    assert_non_null(rig.sender);
}

/* ---- limits ---- */

static void a_rate_of_all_holds_a_file_back_until_it_is_lifted(void **state)
{
    struct outcome *o;

    (void)state;
    sender_set_limits(rig.sender, 1, 0);
    o = start_file(small_path, false, OVERWRITE_REPLACE);
    WAIT(sender_is_throttled(o->send));
    assert_true(said(0, "MD"));
    assert_true(lane(0)->data_len < strlen(small));
    assert_int_equal(fake_free_chunks(lane(0)), XFER_RING_CHUNKS);
    assert_true(lane(0)->held);
    sender_set_limits(rig.sender, 0, 0);
    WAIT(said(0, "MDEV"));
    assert_false(lane(0)->held);
    assert_false(sender_is_throttled(o->send));
    assert_int_equal(lane(0)->data_len, strlen(small));
    assert_memory_equal(lane(0)->data, small, strlen(small));
    fake_receipt(lane(0));
    WAIT(o->done);
    assert_int_equal(o->result.error.code, XFER_OK);
}

static void a_higher_rate_does_not_wait_for_what_was_due_at_the_old_one(void **state)
{
    struct outcome *o;

    (void)state;
    sender_set_limits(rig.sender, 1, 0);
    o = start_file(big_path, false, OVERWRITE_REPLACE);
    WAIT(sender_is_throttled(o->send));
    sender_set_limits(rig.sender, (int64_t)1 << 40, 0);
    WAIT(said(0, "MDEV"));
    assert_int_equal(lane(0)->data_len, BIG_SIZE);
    assert_memory_equal(lane(0)->data, big, BIG_SIZE);
}

static void a_rate_of_its_own_is_that_of_one_file(void **state)
{
    struct outcome *slow, *fast;

    (void)state;
    rig.bandwidth = 1;
    slow = start_file(small_path, false, OVERWRITE_REPLACE);
    WAIT(sender_is_throttled(slow->send));
    assert_true(said(1, "MD"));
    rig.bandwidth = 0;
    fast = start_file(small_path, false, OVERWRITE_REPLACE);
    WAIT(said(0, "MDEV"));
    assert_false(sender_is_throttled(fast->send));
    fake_receipt(lane(0));
    WAIT(fast->done);
    assert_false(slow->done);
}

static void a_file_that_is_held_back_can_be_stopped(void **state)
{
    struct outcome *o, *next;

    (void)state;
    rig.bandwidth = 1;
    o = start_file(small_path, false, OVERWRITE_REPLACE);
    WAIT(sender_is_throttled(o->send)); /* else the next one may be opened before it */
    rig.bandwidth = 0;
    next = start_file(small_path, false, OVERWRITE_REPLACE);
    WAIT(next->last.phase == SEND_WAITING);
    assert_true(sender_is_throttled(o->send));
    assert_false(sender_is_throttled(next->send));
    cancel(o, XFER_CANCELLED, false);
    WAIT(said(0, "MDEVMDEV")); /* and the next one has its own rate: none */
    assert_false(lane(0)->held);
    assert_false(sender_is_throttled(next->send));
}

static void slow_files_leave_the_first_and_the_last_lane_alone(void **state)
{
    (void)state;
    rig.bandwidth = 1;
    start_file(big_path, false, OVERWRITE_REPLACE);
    for (int i = 0; i < 4; i++)
        start_file(small_path, false, OVERWRITE_REPLACE);
    WAIT(said(1, "MD"));
    settle();
    assert_true(said(0, "") && said(2, ""));
    rig.bandwidth = 0;
    start_again(big_path);
    start_file(small_path, false, OVERWRITE_REPLACE);
    WAIT(said(2, "M") && said(0, "MDEV"));
}

static void slow_files_that_wait_take_no_room(void **state)
{
    unsigned room = sender_room(rig.sender);

    (void)state;
    rig.bandwidth = 1;
    for (int i = 0; i < 5; i++)
        start_file(small_path, false, OVERWRITE_REPLACE);
    WAIT(sender_room(rig.sender) == room - 1); /* the one that is current */
}

static void a_file_of_more_bytes_than_allowed_never_gets_to_a_lane(void **state)
{
    struct outcome *o;

    (void)state;
    sender_set_limits(rig.sender, 0, BIG_SIZE - 1);
    o = start_file(big_path, false, OVERWRITE_REPLACE);
    WAIT(o->done);
    assert_int_equal(o->result.error.code, XFER_FILE_TOO_LARGE);
    assert_int_equal(o->result.error.side, XFER_SIDE_SENDER);
    assert_string_equal(o->result.error.path, big_path);
    assert_non_null(strstr(o->result.error.text, "limits.file_size"));
    assert_true(said(0, ""));
    sender_set_limits(rig.sender, 0, BIG_SIZE);
    start_file(big_path, false, OVERWRITE_REPLACE);
    WAIT(said(0, "MDEV"));
}

/* ---- which lane, and how many ---- */

static void large_files_leave_the_first_lane_alone(void **state)
{
    (void)state;
    start_again(big_path);
    start_again(big_path);
    WAIT(said(1, "M") && said(2, "M"));
    start_file(small_path, false, OVERWRITE_REPLACE);
    WAIT(said(0, "MDEV"));
}

static void lanes_that_are_not_rid_of_an_aborted_file_are_avoided(void **state)
{
    struct outcome *first = start_again(big_path), *other;

    (void)state;
    WAIT(said(1, "M"));
    cancel(first, XFER_STALLED, true);
    WAIT(said(1, "MSEV"));
    other = start_again(big_path);
    WAIT(said(2, "M"));
    start_again(big_path); /* behind the other one: the idle lane owes a receipt */
    settle();
    assert_true(said(1, "MSEV"));
    assert_false(other->done);
    fake_receipt(lane(1));
    WAIT(first->done);
    start_again(big_path);
    WAIT(said(1, "MSEVM"));
}

static void a_lane_with_a_read_that_hangs_is_avoided(void **state)
{
    struct outcome *first;

    (void)state;
    set_faults((off_t)BLOCK, -1);
    first = start_file(big_path, false, OVERWRITE_REPLACE);
    WAIT(said(1, "MD") && first->last.bytes_done == (int64_t)BLOCK);
    cancel(first, XFER_STALLED, true);
    WAIT(said(1, "MDEV"));
    fake_receipt(lane(1));
    start_again(big_path);
    start_again(big_path);
    WAIT(said(2, "M"));
    settle();
    assert_true(said(1, "MDEV"));
    assert_false(first->done);
    set_faults(-1, -1);
    WAIT(first->done);
    start_again(big_path);
    WAIT(said(1, "MDEVM"));
}

static void large_files_that_wait_take_no_room(void **state)
{
    unsigned room = sender_room(rig.sender);

    (void)state;
    start_again(big_path);
    WAIT(said(0, "M"));
    for (int i = 0; i < 5; i++)
        start_again(big_path);
    assert_int_equal(sender_room(rig.sender), room - 6);
    WAIT(sender_room(rig.sender) == room - 1); /* the one that is current */
    cancel(&rig.outcomes[5], XFER_CANCELLED, false);
    WAIT(rig.outcomes[5].done);
    assert_int_equal(sender_room(rig.sender), room - 1);
    cancel(&rig.outcomes[0], XFER_CANCELLED, false);
    WAIT(said(0, "MSEVM"));
    assert_int_equal(sender_room(rig.sender), room - 1);
    lane(0)->verdict =
        (struct wire_verdict){.seq = 1, .kind = WIRE_ABORT, .error = {.code = XFER_CANCELLED}};
    fake_receipt(lane(0));
    WAIT(rig.outcomes[0].done);
    assert_int_equal(sender_room(rig.sender), room - 1);
}

/* ---- what trees need ---- */

static struct outcome *start_request(struct send_request request)
{
    struct outcome *o = &rig.outcomes[rig.n++];
    struct xfer_error err = XFER_ERROR_INIT;

    request.job = rig.n;
    request.handle_fd = -1;
    if (!request.dest)
        request.dest = "dest";
    rig.inside = true;
    o->send = sender_start(rig.sender, &request, &events, o, &err);
    rig.inside = false;
    assert_non_null(o->send);
    return o;
}

static struct outcome *start_of_tree(const char *path, enum sync_mode sync)
{
    return start_request((struct send_request){.source = path, .sync = sync, .tree = true});
}

static void what_is_no_file_goes_without_being_opened(void **state)
{
    struct stat st = {.st_mode = S_IFDIR | 01755,
                      .st_size = 4096,
                      .st_uid = 11,
                      .st_gid = 12,
                      .st_mtim = {.tv_sec = -7, .tv_nsec = 9}};
    struct outcome *o = start_request((struct send_request){
        .kind = WIRE_KIND_DIRECTORY, .st = &st, .preserve = PRESERVE_ALL, .tree = true});

    (void)state;
    assert_true(said(0, "MEV"));
    assert_int_equal(lane(0)->meta.kind, WIRE_KIND_DIRECTORY);
    assert_int_equal(lane(0)->meta.mode, 01755);
    assert_int_equal(lane(0)->meta.size, 0);
    assert_int_equal(lane(0)->meta.mtime_sec, -7);
    assert_int_equal(lane(0)->meta.mtime_nsec, 9);
    assert_int_equal(lane(0)->meta.file_uid, 11);
    assert_int_equal(lane(0)->meta.file_gid, 12);
    assert_int_equal(lane(0)->meta.preserve, PRESERVE_ALL);
    assert_true(lane(0)->meta.tree);
    fake_receipt(lane(0));
    WAIT(o->done);
    assert_int_equal(o->result.error.code, XFER_OK);
}

static void what_has_no_data_does_not_run_ahead_of_the_receiver(void **state)
{
    struct stat st = {.st_mode = S_IFDIR | 0755};
    char all[3 * XFER_RING_CHUNKS + 4] = "";

    (void)state;
    for (int i = 0; i <= XFER_RING_CHUNKS; i++)
        start_request((struct send_request){.kind = WIRE_KIND_DIRECTORY, .st = &st});
    for (int i = 0; i < XFER_RING_CHUNKS; i++)
        strcat(all, "MEV");
    strcat(all, "M");
    assert_true(said(0, all)); /* the end of the last waits until an earlier one was taken */
    strcat(all, "EV");
    WAIT(said(0, all));
}

static void links_have_targets(void **state)
{
    struct stat st = {.st_mode = S_IFLNK | 0777, .st_size = 2};

    (void)state;
    start_request((struct send_request){.kind = WIRE_KIND_SYMLINK, .st = &st, .target = "to"});
    assert_true(said(0, "MEV"));
    assert_int_equal(lane(0)->meta.size, 0);
    assert_string_equal(lane(0)->meta.target, "to");
    start_request((struct send_request){.kind = WIRE_KIND_HARDLINK, .st = &st, .target = "d/f"});
    assert_int_equal(lane(0)->meta.kind, WIRE_KIND_HARDLINK);
    assert_string_equal(lane(0)->meta.target, "d/f");
}

static void directories_keep_their_order(void **state)
{
    struct stat st = {.st_mode = S_IFDIR | 0755};
    char dest[16];

    (void)state;
    for (int i = 0; i < 5; i++) {
        snprintf(dest, sizeof dest, "d%d", i);
        start_request((struct send_request){.kind = WIRE_KIND_DIRECTORY, .st = &st, .dest = dest});
        assert_string_equal(lane(0)->meta.path, dest);
    }
    assert_true(said(1, ""));
}

static void a_receipt_may_tell_of_warnings_and_that_nothing_changed(void **state)
{
    struct outcome *o = start_file(small_path, false, OVERWRITE_REPLACE);

    (void)state;
    WAIT(said(0, "MDEV"));
    fake_receipt_of(lane(0), (struct wire_receipt){.unchanged = true, .warning = "no owner"});
    WAIT(o->done);
    assert_int_equal(o->result.error.code, XFER_OK);
    assert_true(o->result.unchanged);
    assert_string_equal(o->result.warning, "no owner");
}

static void one_that_may_be_there_is_compared_however_small(void **state)
{
    struct wire_go go = {.offer = WIRE_OFFER_STORED, .size = strlen(small), .block = 4096, .n = 1};
    struct outcome *o = start_request((struct send_request){.source = small_path, .compare = true});

    (void)state;
    WAIT(said(0, "M"));
    assert_true(lane(0)->meta.ask);
    go.seq = lane(0)->meta.seq;
    digest_of(small, strlen(small), go.digests[0]);
    fake_go(lane(0), &go);
    WAIT(said(0, "MSEV"));
    assert_int_equal(lane(0)->start.offset, strlen(small));
    fake_receipt(lane(0));
    WAIT(o->done);
    assert_int_equal(o->result.error.code, XFER_OK);
    assert_int_equal(o->result.resumed, strlen(small));
}

static void files_of_a_tree_are_opened_together(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        start_of_tree(small_path, SYNC_NONE);
    settle();
    assert_true(said(0, ""));
    sender_go(rig.sender);
    WAIT(lane(0)->verdict.seq == 5);
}

static void one_of_them_that_fails_is_alone_with_that(void **state)
{
    struct outcome *o[3];

    (void)state;
    o[0] = start_of_tree(small_path, SYNC_NONE);
    o[1] = start_of_tree("/nonexistent/file", SYNC_NONE);
    o[2] = start_of_tree(empty_path, SYNC_NONE);
    sender_go(rig.sender);
    WAIT(o[1]->done && lane(0)->verdict.seq == 2);
    assert_int_equal(o[1]->result.error.code, XFER_NO_SUCH_FILE);
    assert_false(o[0]->done || o[2]->done);
}

static void a_sender_may_go_while_files_are_gathered(void **state)
{
    (void)state;
    start_of_tree(small_path, SYNC_NONE);
}

static void held_back(unsigned n, enum sync_mode sync)
{
    for (unsigned i = 0; i < n; i++)
        start_of_tree(small_path, sync);
    sender_go(rig.sender);
    WAIT(lane(0)->verdict.seq == n);
}

static void what_is_held_back_is_called_for(void **state)
{
    (void)state;
    held_back(2, SYNC_BATCH);
    sender_flush(rig.sender);
    assert_true(said(0, "MDEVMDEVMEV"));
    assert_int_equal(lane(0)->meta.kind, WIRE_KIND_BARRIER);
    assert_string_equal(lane(0)->meta.path, ".");
}

static void so_it_is_where_the_receiver_decides_for_trees(void **state)
{
    (void)state;
    held_back(1, SYNC_DEFAULT);
    sender_flush(rig.sender);
    assert_true(said(0, "MDEVMEV"));
}

static void what_is_not_held_back_is_not_called_for(void **state)
{
    (void)state;
    held_back(1, SYNC_FILE);
    sender_flush(rig.sender);
    assert_true(said(0, "MDEV"));
}

static void nor_is_what_has_its_receipt(void **state)
{
    (void)state;
    held_back(1, SYNC_BATCH);
    fake_receipt(lane(0));
    sender_flush(rig.sender);
    assert_true(said(0, "MDEV"));
}

static void one_call_at_a_time_is_enough(void **state)
{
    (void)state;
    held_back(1, SYNC_BATCH);
    sender_flush(rig.sender);
    sender_flush(rig.sender);
    assert_true(said(0, "MDEVMEV"));
    start_of_tree(small_path, SYNC_BATCH);
    sender_go(rig.sender);
    WAIT(said(0, "MDEVMEVMDEV"));
    sender_flush(rig.sender); /* the first may come too early for that */
    assert_true(said(0, "MDEVMEVMDEV"));
    lane(0)->verdict = (struct wire_verdict){.seq = 1, .kind = WIRE_COMMIT, .size = strlen(small)};
    digest_of(small, strlen(small), lane(0)->verdict.digest);
    fake_receipt(lane(0));
    lane(0)->verdict = (struct wire_verdict){.seq = 2, .kind = WIRE_COMMIT};
    digest_of("", 0, lane(0)->verdict.digest);
    fake_receipt(lane(0));
    WAIT(said(0, "MDEVMEVMDEVMEV"));
    assert_int_equal(lane(0)->meta.kind, WIRE_KIND_BARRIER);
}

static void phases_have_names(void **state)
{
    (void)state;
    assert_string_equal(send_phase_name(SEND_OPENING), "opening");
    assert_string_equal(send_phase_name(SEND_WAITING), "waiting");
    assert_string_equal(send_phase_name(SEND_VERIFYING), "verifying");
    assert_string_equal(send_phase_name(SEND_SENDING), "sending");
    assert_string_equal(send_phase_name(SEND_STORING), "storing");
    assert_string_equal(send_phase_name(SEND_ASKING), "verifying");
}

#define ONE(test)   cmocka_unit_test_setup_teardown(test, one_lane, stop_rig)
#define THREE(test) cmocka_unit_test_setup_teardown(test, three_lanes, stop_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(holes_are_not_sent),
        ONE(a_file_that_is_one_hole_has_an_empty_map),
        ONE(many_pieces_take_several_maps),
        ONE(a_file_without_holes_has_no_map),
        ONE(who_gives_up_sends_the_map_that_is_due),
        ONE(who_hangs_in_a_piece_gives_up_without_another_map),
        ONE(all_of_a_file_with_holes_may_be_there),
        ONE(a_file_goes_as_metadata_data_end_and_verdict),
        ONE(metadata_says_whose_file_it_is),
        ONE(a_user_as_whom_it_cannot_be_read_gets_an_error),
        ONE(what_is_in_the_page_cache_goes_without_a_worker),
        ONE(an_empty_file_has_no_data),
        ONE(done_is_told_with_the_receipt_and_not_before),
        ONE(a_receipt_with_another_digest_is_no_success),
        ONE(a_receipt_for_another_file_breaks_the_link),
        ONE(files_do_not_wait_for_the_receipts_of_others),
        ONE(files_that_wait_for_their_receipts_take_no_room),
        ONE(a_small_file_that_may_be_replaced_is_sent_anew),
        ONE(a_large_file_asks_and_waits),
        ONE(where_nothing_is_all_of_it_is_sent),
        ONE(a_partial_file_is_gone_on_with),
        ONE(a_last_block_that_is_shorter_counts_too),
        ONE(blocks_larger_than_a_piece_are_compared_whole),
        ONE(it_goes_on_at_the_first_block_that_differs),
        ONE(it_starts_over_where_the_first_block_differs),
        ONE(a_partial_file_that_is_complete_needs_no_data),
        ONE(a_stored_file_that_agrees_needs_no_data),
        ONE(a_stored_file_that_differs_anywhere_is_of_no_use),
        ONE(a_small_file_that_may_not_be_replaced_is_compared),
        ONE(so_is_an_empty_one),
        ONE(comparing_shows_signs_of_life),
        ONE(offers_that_can_not_be_break_the_link),
        ONE(a_second_offer_breaks_the_link),
        ONE(so_does_one_that_comes_while_the_first_is_compared),
        ONE(an_offer_that_was_not_asked_for_breaks_the_link),
        ONE(a_refusal_may_come_instead_of_an_offer),
        ONE(a_refusal_does_not_hide_that_it_was_cancelled),
        ONE(cancelled_while_it_waits_for_an_offer),
        ONE(stopped_while_it_compares_it_leaves_all_that_is_there),
        ONE(cancelled_while_it_compares_it_leaves_nothing),
        ONE(a_read_that_hangs_holds_up_its_own_file_only),
        ONE(an_abort_tells_whether_to_keep),
        ONE(the_worker_may_be_back_before_the_receipt),
        ONE(what_can_not_be_read_leaves_what_was_sent),
        ONE(what_can_not_be_compared_leaves_what_is_there),
        ONE(a_source_that_changed_leaves_nothing),
        ONE(a_file_that_waits_for_its_lane_never_gets_there),
        ONE(a_file_that_is_being_opened_never_gets_to_a_lane),
        ONE(what_was_told_to_be_stored_is_no_longer_cancelled),
        ONE(a_source_that_is_not_there_never_gets_to_a_lane),
        ONE(a_sender_may_go_while_a_worker_hangs),
        ONE(a_rate_of_all_holds_a_file_back_until_it_is_lifted),
        ONE(a_higher_rate_does_not_wait_for_what_was_due_at_the_old_one),
        THREE(a_rate_of_its_own_is_that_of_one_file),
        ONE(a_file_that_is_held_back_can_be_stopped),
        THREE(slow_files_leave_the_first_and_the_last_lane_alone),
        ONE(slow_files_that_wait_take_no_room),
        ONE(a_file_of_more_bytes_than_allowed_never_gets_to_a_lane),
        THREE(large_files_leave_the_first_lane_alone),
        THREE(lanes_that_are_not_rid_of_an_aborted_file_are_avoided),
        THREE(a_lane_with_a_read_that_hangs_is_avoided),
        ONE(large_files_that_wait_take_no_room),
        ONE(what_is_no_file_goes_without_being_opened),
        ONE(what_has_no_data_does_not_run_ahead_of_the_receiver),
        ONE(links_have_targets),
        THREE(directories_keep_their_order),
        ONE(a_receipt_may_tell_of_warnings_and_that_nothing_changed),
        ONE(one_that_may_be_there_is_compared_however_small),
        ONE(files_of_a_tree_are_opened_together),
        ONE(one_of_them_that_fails_is_alone_with_that),
        ONE(a_sender_may_go_while_files_are_gathered),
        ONE(what_is_held_back_is_called_for),
        ONE(so_it_is_where_the_receiver_decides_for_trees),
        ONE(what_is_not_held_back_is_not_called_for),
        ONE(nor_is_what_has_its_receipt),
        ONE(one_call_at_a_time_is_enough),
        cmocka_unit_test(phases_have_names),
    };

    return cmocka_run_group_tests_name("stream", tests, make_files, remove_files);
}
