/* SPDX-License-Identifier: MIT
 *
 * The store: extended attributes and access control lists, as they come, as they are set, and as
 * what is there is compared with them.
 */
#include "tests/unit/store_fixture.h"

#include <sys/xattr.h>

#include "daemon/work/xattr.h"
#include "proto/attrs.h"

#define WITH (PRESERVE_DEFAULT | PRESERVE_XATTR | PRESERVE_ACL)

/* u::rw- u:1:r-- g::r-- m::r-- o::--- as the kernel keeps it */
static const unsigned char list[] = {
    2, 0, 0,   0,   1,   0,   6,  0, 255, 255, 255, 255, 2,   0,   4,  0, 1, 0, 0,   0,   4,   0,
    4, 0, 255, 255, 255, 255, 16, 0, 4,   0,   255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255};

static bool supported;

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    umask(022);
    fixture_create(f);
    make_file(in_root(f, "probe"), "");
    supported = setxattr(in_root(f, "probe"), "user.probe", "", 0, 0) == 0 &&
                setxattr(in_root(f, "probe"), ATTRS_ACL_ACCESS, list, sizeof list, 0) == 0;
    unlink(in_root(f, "probe"));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_destroy(*state);
    free(*state);
    return 0;
}

struct pair {
    const char *name;
    const void *value;
    size_t len;
};

static struct attrs *pack(const struct pair *pairs, size_t n)
{
    struct attrs *attrs = malloc(sizeof *attrs + 4096);
    struct attrs_writer w = {.buf = attrs->bytes, .size = 4096};

    for (size_t i = 0; i < n; i++)
        assert_int_equal(attrs_put(&w, pairs[i].name, pairs[i].value, pairs[i].len), 0);
    attrs->len = (uint32_t)w.len;
    if (n > 0)
        return attrs;
    free(attrs);
    return NULL;
}

static void store(struct fixture *f, struct wire_meta *meta, const struct pair *pairs, size_t n,
                  const char *warning)
{
    struct xfer_error err = XFER_ERROR_INIT;
    struct store_file *file;
    struct store_outcome outcome;
    struct wire_verdict verdict;
    struct attrs *attrs = pack(pairs, n);

    file = store_begin(f->store, meta, &err);
    if (file == NULL)
        fail_msg("%s", err.text);
    store_set_attrs(file, attrs);
    verdict_of(&verdict, "", 0);
    if (store_commit(file, &verdict, &outcome, &err) != 0)
        fail_msg("%s", err.text);
    assert_string_equal(outcome.warning, warning);
}

static void meta_with(struct wire_meta *meta, const char *path)
{
    meta_of(meta, path, 0);
    meta->preserve = WITH;
}

static void has(const struct fixture *f, const char *path, const char *name, const char *value)
{
    char there[64];
    ssize_t n = lgetxattr(in_root(f, path), name, there, sizeof there);

    if (n < 0)
        fail_msg("%s: %s: %s", path, name, strerror(errno));
    assert_int_equal(n, strlen(value));
    assert_memory_equal(there, value, (size_t)n);
}

static void has_not(const struct fixture *f, const char *path, const char *name)
{
    assert_int_equal(lgetxattr(in_root(f, path), name, NULL, 0), -1);
    assert_int_equal(errno, ENODATA);
}

static mode_t mode_of(const struct fixture *f, const char *path)
{
    struct stat st;

    assert_int_equal(lstat(in_root(f, path), &st), 0);
    return st.st_mode & 07777;
}

static void give(const struct fixture *f, const char *path, const char *name, const void *value,
                 size_t len)
{
    assert_int_equal(setxattr(in_root(f, path), name, value, len, 0), 0);
}

static const struct pair two[] = {{"user.a", "one", 3}, {"user.b", "", 0}};
static const struct pair listed[] = {{ATTRS_ACL_ACCESS, list, sizeof list}};

#define REQUIRE_XATTRS() \
    if (!supported)      \
    skip()

static void test_attributes_of_a_file_arrive(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    REQUIRE_XATTRS();
    meta_with(&meta, "d/a");
    meta.mode = 0444; /* they need write permission, it must not be in the way */
    store(f, &meta, two, 2, "");
    has(f, "d/a", "user.a", "one");
    has(f, "d/a", "user.b", "");
    assert_int_equal(mode_of(f, "d/a"), 0444);
}

static void test_a_list_arrives_with_its_mode(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    REQUIRE_XATTRS();
    meta_with(&meta, "a");
    meta.mode = 0640;
    store(f, &meta, listed, 1, "");
    assert_int_equal(mode_of(f, "a"), 0640);
    assert_int_equal(getxattr(in_root(f, "a"), ATTRS_ACL_ACCESS, NULL, 0), sizeof list);
}

static void test_a_list_says_the_mode_that_is_not_preserved(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    REQUIRE_XATTRS();
    meta_with(&meta, "a");
    meta.preserve = PRESERVE_ACL;
    store(f, &meta, listed, 1, "");
    assert_int_equal(mode_of(f, "a"), 0640);
}

static void test_a_list_that_the_directory_passes_on_is_taken_away(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    REQUIRE_XATTRS();
    assert_int_equal(mkdir(in_root(f, "d"), 0755), 0);
    give(f, "d", ATTRS_ACL_DEFAULT, list, sizeof list);
    meta_with(&meta, "d/a");
    store(f, &meta, NULL, 0, "");
    has_not(f, "d/a", ATTRS_ACL_ACCESS);
    assert_int_equal(mode_of(f, "d/a"), 0644);
}

static void test_a_directory_loses_what_the_source_has_not(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    REQUIRE_XATTRS();
    assert_int_equal(mkdir(in_root(f, "d"), 0755), 0);
    give(f, "d", "user.a", "other", 5);
    give(f, "d", "user.0", "old", 3);
    give(f, "d", "user.z", "old", 3);
    give(f, "d", ATTRS_ACL_DEFAULT, list, sizeof list);
    meta_with(&meta, "d");
    meta.kind = WIRE_KIND_DIRECTORY;
    meta.mode = 0750;
    store(f, &meta, two, 2, "");
    has(f, "d", "user.a", "one");
    has(f, "d", "user.b", "");
    has_not(f, "d", "user.0");
    has_not(f, "d", "user.z");
    has_not(f, "d", ATTRS_ACL_DEFAULT);
    assert_int_equal(mode_of(f, "d"), 0750);
}

static void test_what_is_not_preserved_stays_as_it_is(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    REQUIRE_XATTRS();
    assert_int_equal(mkdir(in_root(f, "d"), 0755), 0);
    give(f, "d", "user.0", "old", 3);
    give(f, "d", ATTRS_ACL_DEFAULT, list, sizeof list);
    meta_with(&meta, "d");
    meta.kind = WIRE_KIND_DIRECTORY;
    meta.preserve = PRESERVE_DEFAULT | PRESERVE_XATTR;
    store(f, &meta, two, 2, "");
    has_not(f, "d", "user.0");
    assert_int_equal(getxattr(in_root(f, "d"), ATTRS_ACL_DEFAULT, NULL, 0), sizeof list);
    meta.preserve = PRESERVE_DEFAULT;
    store(f, &meta, NULL, 0, "");
    has(f, "d", "user.a", "one");
}

static void test_what_cannot_be_set_is_a_warning(void **state)
{
    static const struct pair broken[] = {{ATTRS_ACL_ACCESS, "x", 1}, {"user.a", "one", 3}};
    struct fixture *f = *state;
    struct wire_meta meta;

    REQUIRE_XATTRS();
    meta_with(&meta, "a");
    store(f, &meta, broken, 2, "access control list: Invalid argument");
    has(f, "a", "user.a", "one");
}

static void test_a_link_has_no_user_attributes(void **state)
{
    struct fixture *f = *state;
    struct wire_meta meta;

    REQUIRE_XATTRS();
    meta_with(&meta, "l");
    meta.kind = WIRE_KIND_SYMLINK;
    meta.target_len = 1;
    strcpy(meta.target, "x");
    store(f, &meta, two, 1, "xattr user.a: Operation not permitted");
}

static void test_roots_attributes_arrive_also_of_links(void **state)
{
    static const struct pair trusted[] = {{"trusted.a", "one", 3}};
    struct fixture *f = *state;
    struct wire_meta meta;

    REQUIRE_XATTRS();
    make_file(in_root(f, "probe"), "");
    if (setxattr(in_root(f, "probe"), "trusted.a", "", 0, 0) != 0)
        skip();
    meta_with(&meta, "l");
    meta.kind = WIRE_KIND_SYMLINK;
    meta.target_len = 5;
    strcpy(meta.target, "probe");
    store(f, &meta, trusted, 1, "");
    has(f, "l", "trusted.a", "one");
    has(f, "probe", "trusted.a", "");
}

static void test_file_capabilities_need_the_owner(void **state)
{
    /* version 2, cap_net_raw+ep */
    static const unsigned char caps[] = {1, 0, 0, 2, 0, 32, 0, 0, 0, 0,
                                         0, 0, 0, 0, 0, 0,  0, 0, 0, 0};
    static const struct pair capable[] = {{"security.capability", caps, sizeof caps}};
    struct fixture *f = *state;
    struct wire_meta meta;
    gid_t group = 1;

    REQUIRE_XATTRS();
    if (geteuid() != 0)
        skip();
    meta_with(&meta, "a");
    meta.preserve |= PRESERVE_OWNER;
    store(f, &meta, capable, 1, "");
    assert_int_equal(getxattr(in_root(f, "a"), "security.capability", NULL, 0), sizeof caps);
    store_close(f->store);
    f->options.group = &group;
    f->store = store_open(&f->options, 0, &(struct xfer_error){0});
    assert_non_null(f->store);
    meta_with(&meta, "b");
    meta.preserve |= PRESERVE_OWNER;
    store(f, &meta, capable, 1, "");
    has_not(f, "b", "security.capability");
}

/* ---- LOOK ---- */

static enum wire_looked_result looked(struct fixture *f, const char *name, uint64_t hash,
                                      uint32_t preserve)
{
    static struct wire_look look;
    static struct wire_looked answer;
    struct wire_look_entry *e = &look.entries[0];

    memset(&look, 0, sizeof look);
    look.number = look.job = 1;
    look.overwrite = OVERWRITE_CHANGED;
    look.preserve = preserve;
    look.n = 1;
    e->mode = 0644;
    e->mtime_sec = MTIME;
    e->mtime_nsec = 987654321;
    e->hash = hash;
    strcpy(e->name, name);
    store_look(f->store, &look, &answer);
    return answer.entries[0].result;
}

static void test_a_look_compares_attributes(void **state)
{
    struct fixture *f = *state;
    struct attrs *attrs;
    struct wire_meta meta;
    uint64_t hash;

    REQUIRE_XATTRS();
    attrs = pack(two, 2);
    hash = xattr_hash(attrs);
    free(attrs);
    meta_with(&meta, "a");
    store(f, &meta, two, 2, "");
    assert_int_equal(looked(f, "a", hash, WITH), WIRE_LOOKED_SAME);
    assert_int_equal(looked(f, "a", 0, WITH), WIRE_LOOKED_METADATA);
    assert_int_equal(looked(f, "a", hash + 1, WITH), WIRE_LOOKED_METADATA);
    assert_int_equal(looked(f, "a", 0, PRESERVE_DEFAULT), WIRE_LOOKED_SAME);
    meta_with(&meta, "b");
    store(f, &meta, NULL, 0, "");
    assert_int_equal(looked(f, "b", 0, WITH), WIRE_LOOKED_SAME);
    assert_int_equal(looked(f, "b", hash, WITH), WIRE_LOOKED_METADATA);
}

/* ---- both sides ---- */

static void test_what_is_collected_is_in_order_and_complete(void **state)
{
    struct fixture *f = *state;
    struct attrs *attrs, *wanted, *other;
    struct xfer_error err;
    struct wire_meta meta;
    int fd;

    REQUIRE_XATTRS();
    wanted = pack(two, 2);
    meta_with(&meta, "a");
    store(f, &meta, NULL, 0, "");
    give(f, "a", "user.b", "", 0);
    give(f, "a", "user.a", "one", 3);
    fd = open(in_root(f, "a"), O_RDONLY);
    assert_int_equal(xattr_collect(fd, WITH, &attrs, &err), 0);
    close(fd);
    assert_int_equal(attrs->len, wanted->len);
    assert_memory_equal(attrs->bytes, wanted->bytes, wanted->len);
    fd = open(f->root, O_PATH);
    assert_int_equal(xattr_collect_at(fd, "a", WITH, &other, &err), 0);
    close(fd);
    assert_int_equal(xattr_hash(attrs), xattr_hash(other));
    free(attrs);
    free(other);
    free(wanted);
}

static void test_values_of_any_length_are_collected(void **state)
{
    struct fixture *f = *state;
    struct attrs *attrs;
    struct xfer_error err;
    struct attrs_reader r;
    struct attr attr;
    char value[2000];
    int fd;

    REQUIRE_XATTRS();
    memset(value, 'v', sizeof value);
    make_file(in_root(f, "a"), "");
    give(f, "a", "user.big", value, sizeof value);
    fd = open(in_root(f, "a"), O_RDONLY);
    assert_int_equal(xattr_collect(fd, WITH, &attrs, &err), 0);
    close(fd);
    r = attrs_read(attrs);
    assert_true(attrs_next(&r, &attr));
    assert_int_equal(attr.value_len, sizeof value);
    assert_memory_equal(attr.value, value, sizeof value);
    free(attrs);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(attributes_of_a_file_arrive),
        TEST(a_list_arrives_with_its_mode),
        TEST(a_list_says_the_mode_that_is_not_preserved),
        TEST(a_list_that_the_directory_passes_on_is_taken_away),
        TEST(a_directory_loses_what_the_source_has_not),
        TEST(what_is_not_preserved_stays_as_it_is),
        TEST(what_cannot_be_set_is_a_warning),
        TEST(a_link_has_no_user_attributes),
        TEST(roots_attributes_arrive_also_of_links),
        TEST(file_capabilities_need_the_owner),
        TEST(a_look_compares_attributes),
        TEST(what_is_collected_is_in_order_and_complete),
        TEST(values_of_any_length_are_collected),
    };

    return cmocka_run_group_tests_name("store: attributes", tests, NULL, NULL);
}
