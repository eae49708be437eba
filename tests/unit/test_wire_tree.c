/* SPDX-License-Identifier: MIT
 *
 * proto/wire: the messages that trees need: attributes, maps of files with holes, looks and their
 * answers. As test_wire.c.
 */
#include "tests/unit/wire_rig.h"

/* ---- ATTRS ---- */

static const unsigned char some_bytes[XFER_ATTRS_PIECE] = {'a', 0, 0xff, 'z'};

static void attributes_come_back(void **state)
{
    struct wire_attrs m = {.seq = 5, .offset = 1000, .len = 4, .data = some_bytes}, got;
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len = wire_attrs_encode(&m, buf);

    (void)state;
    assert_int_equal(buf[5], 12);
    assert_int_equal(len, 36);
    assert_int_equal(wire_attrs_decode(buf, len, &got, &err), 0);
    assert_int_equal(got.seq, 5);
    assert_int_equal(got.offset, 1000);
    assert_int_equal(got.len, 4);
    assert_memory_equal(got.data, some_bytes, 4);
    assert_ptr_equal(got.data, buf + 32);
}

static void the_largest_piece_of_attributes_fits_and_may_be_the_last(void **state)
{
    struct wire_attrs m = {.seq = 5,
                           .offset = XFER_ATTRS_MAX - XFER_ATTRS_PIECE,
                           .len = XFER_ATTRS_PIECE,
                           .data = some_bytes},
                      got;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    assert_int_equal(wire_attrs_decode(buf, wire_attrs_encode(&m, buf), &got, &err), 0);
    assert_int_equal(got.len, XFER_ATTRS_PIECE);
    m.offset++;
    assert_int_equal(wire_attrs_decode(buf, wire_attrs_encode(&m, buf), &got, &err), -1);
    assert_non_null(strstr(err.text, "offset"));
    m.offset = UINT32_MAX;
    assert_int_equal(wire_attrs_decode(buf, wire_attrs_encode(&m, buf), &got, &err), -1);
}

static void attributes_out_of_range_are_refused(void **state)
{
    struct wire_attrs m = {.seq = 0, .len = 4, .data = some_bytes}, got;
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len;

    (void)state;
    assert_int_equal(wire_attrs_decode(buf, wire_attrs_encode(&m, buf), &got, &err), -1);
    m.seq = 1;
    m.len = 0;
    assert_int_equal(wire_attrs_decode(buf, wire_attrs_encode(&m, buf), &got, &err), -1);
    assert_int_equal(err.code, XFER_PROTOCOL);
    m.len = XFER_ATTRS_PIECE;
    len = wire_attrs_encode(&m, buf) + 1;
    buf[8]++; /* the length of the message, and that of the bytes */
    buf[28]++;
    assert_int_equal(wire_attrs_decode(buf, len, &got, &err), -1);
    assert_non_null(strstr(err.text, "number of bytes"));
}

/* ---- MAP ---- */

static struct wire_map a_map(void)
{
    return (struct wire_map){
        .seq = 9, .more = true, .n = 3, .extents = {{0, 4096}, {4096, 1}, {1 << 20, 5000}}};
}

static void a_map_comes_back(void **state)
{
    struct wire_map m = a_map(), got;
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len = wire_map_encode(&m, buf);

    (void)state;
    assert_int_equal(buf[5], 13);
    assert_int_equal(len, 32 + 3 * 16);
    assert_int_equal(wire_map_decode(buf, len, &got, &err), 0);
    assert_int_equal(got.seq, 9);
    assert_true(got.more);
    assert_int_equal(got.n, 3);
    assert_memory_equal(got.extents, m.extents, 3 * sizeof(m.extents[0]));
}

static void a_file_may_be_one_hole(void **state)
{
    struct wire_map m = {.seq = 1}, got;
    struct xfer_error err = XFER_ERROR_INIT;

    (void)state;
    assert_int_equal(wire_map_decode(buf, wire_map_encode(&m, buf), &got, &err), 0);
    assert_int_equal(got.n, 0);
    assert_false(got.more);
}

static void the_largest_map_fits(void **state)
{
    struct wire_map m = {.seq = 1, .n = XFER_MAP_MAX}, got;
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len;

    (void)state;
    for (uint32_t i = 0; i < m.n; i++)
        m.extents[i] = (struct wire_extent){(uint64_t)i << 50, 1};
    len = wire_map_encode(&m, buf);
    assert_int_equal(wire_map_decode(buf, len, &got, &err), 0);
    assert_int_equal(got.n, XFER_MAP_MAX);
    memcpy(buf + len, buf + len - 16, 16);
    len += 16;
    buf[8] = (unsigned char)len;
    buf[9] = (unsigned char)(len >> 8);
    buf[28]++;
    assert_int_equal(wire_map_decode(buf, len, &got, &err), -1);
    assert_non_null(strstr(err.text, "number of pieces"));
}

static void maps_that_can_not_be_are_refused(void **state)
{
    struct wire_map m, got;
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len;

    (void)state;
#define REFUSED(change)                                                                   \
    do {                                                                                  \
        m = a_map();                                                                      \
        change;                                                                           \
        assert_int_equal(wire_map_decode(buf, wire_map_encode(&m, buf), &got, &err), -1); \
        assert_int_equal(err.code, XFER_PROTOCOL);                                        \
    } while (0)
    REFUSED(m.seq = 0);
    REFUSED(m.n = 0);                    /* and more to follow */
    REFUSED(m.extents[1].offset = 4095); /* overlaps */
    REFUSED(m.extents[1].length = 0);    /* empty */
    REFUSED(m.extents[2].offset = 0);    /* before the others */
    REFUSED(m.extents[2].offset = 4096); /* the same again */
    REFUSED(m.extents[2].offset = (uint64_t)INT64_MAX + 1);
    REFUSED(m.extents[2].offset = UINT64_MAX);
    REFUSED(m.extents[2].length = UINT64_MAX);
    REFUSED(m.extents[2].length = (uint64_t)INT64_MAX - (1 << 20) + 1);
    REFUSED(m.extents[0].length = UINT64_MAX; m.extents[1].offset = UINT64_MAX);
#undef REFUSED
    m = a_map();
    m.extents[2].length = (uint64_t)INT64_MAX - (1 << 20);
    len = wire_map_encode(&m, buf);
    assert_int_equal(wire_map_decode(buf, len, &got, &err), 0);
    buf[24] = 2;
    assert_int_equal(wire_map_decode(buf, len, &got, &err), -1);
}

/* ---- LOOK ---- */

static struct wire_look look, got_look; /* large */

static void an_entry(struct wire_look *m, enum wire_kind kind, const char *name)
{
    struct wire_look_entry *e = &m->entries[m->n++];

    *e = (struct wire_look_entry){.kind = kind,
                                  .mode = 04755,
                                  .uid = 7,
                                  .gid = 8,
                                  .size = kind == WIRE_KIND_FILE ? 1000 : 0,
                                  .mtime_sec = -1,
                                  .mtime_nsec = 5,
                                  .hash = 0xfedcba9876543210};
    strcpy(e->name, name);
}

static struct wire_look *a_look(void)
{
    memset(&look, 0, sizeof(look));
    look.number = 3;
    look.job = 12;
    look.overwrite = OVERWRITE_NEWER;
    look.preserve = PRESERVE_ALL;
    look.uid = 1000;
    look.gid = 100;
    strcpy(look.base, "some/where");
    an_entry(&look, WIRE_KIND_FILE, "file");
    an_entry(&look, WIRE_KIND_DIRECTORY, "\xff\n");
    an_entry(&look, WIRE_KIND_SYMLINK, "...");
    return &look;
}

static int look_again(void)
{
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len = wire_look_encode(&look, buf);
    int result = wire_look_decode(buf, len, &got_look, &err);

    if (result)
        assert_int_equal(err.code, XFER_PROTOCOL);
    return result;
}

static void a_look_comes_back(void **state)
{
    const struct wire_look *m = a_look();

    (void)state;
    assert_int_equal(look_again(), 0);
    assert_int_equal(buf[5], 14);
    assert_int_equal(got_look.number, 3);
    assert_int_equal(got_look.job, 12);
    assert_int_equal(got_look.overwrite, OVERWRITE_NEWER);
    assert_int_equal(got_look.preserve, PRESERVE_ALL);
    assert_false(got_look.dry || got_look.begin || got_look.since || got_look.checksum ||
                 got_look.caller);
    assert_int_equal(got_look.uid, 1000);
    assert_int_equal(got_look.gid, 100);
    assert_int_equal(got_look.n_groups, 0);
    assert_string_equal(got_look.base, "some/where");
    assert_int_equal(got_look.n, 3);
    for (unsigned i = 0; i < 3; i++) {
        const struct wire_look_entry *a = &m->entries[i], *b = &got_look.entries[i];

        assert_int_equal(b->kind, a->kind);
        assert_int_equal(b->mode, 04755);
        assert_int_equal(b->uid, 7);
        assert_int_equal(b->gid, 8);
        assert_int_equal(b->size, a->size);
        assert_int_equal(b->mtime_sec, -1);
        assert_int_equal(b->mtime_nsec, 5);
        assert_true(b->hash == 0xfedcba9876543210);
        assert_string_equal(b->name, a->name);
    }
}

static void a_look_has_the_specified_layout(void **state)
{
    static const unsigned char expected[] = {
        'x',  'f',  'e',  'r',  3,    14,   0,    0,    116, 0,  0, 0,
        0,    0,    0,    0,    0,    0,    0,    0,    0,   0,  0, 0, /* header */
        3,    0,    0,    0,    0,    0,    0,    0,                   /* number */
        12,   0,    0,    0,    0,    0,    0,    0,                   /* job */
        3,    0,    127,  0,    0x1f, 0,    1,    0, /* newer, all, flags, one entry */
        0xe8, 3,    0,    0,    100,  0,    0,    0, /* owner */
        1,    0,    9,    0,    0,    0,             /* one group */
        2,    0,    'd',  '/',                       /* base */
        0,    0,    0xed, 9,    7,    0,    0,    0,    8,   0,  0, 0, /* file, 04755, uid, gid */
        0xe8, 3,    0,    0,    0,    0,    0,    0,                   /* size */
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 5,   0,  0, 0, /* times */
        0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe,                /* hash */
        8,    0,    'f',  'i',  'l',  'e',  'n',  'a',  'm', 'e'};
    struct wire_look *m = a_look();

    (void)state;
    m->n = 0;
    an_entry(m, WIRE_KIND_FILE, "filename");
    m->dry = m->begin = m->since = m->checksum = m->caller = true;
    m->n_groups = 1;
    m->groups[0] = 9;
    strcpy(m->base, "d/");
    assert_int_equal(wire_look_encode(m, buf), sizeof(expected));
    assert_memory_equal(buf, expected, sizeof(expected));
    strcpy(m->base, "dd");
    assert_int_equal(look_again(), 0);
    assert_true(got_look.dry && got_look.begin && got_look.since && got_look.checksum &&
                got_look.caller);
    assert_int_equal(got_look.groups[0], 9);
}

static void the_flags_of_a_look_are_told_apart(void **state)
{
    struct wire_look *m = a_look();
    bool *flags[] = {&m->dry, &m->begin, &m->since, &m->checksum, &m->caller};
    const bool *got[] = {&got_look.dry, &got_look.begin, &got_look.since, &got_look.checksum,
                         &got_look.caller};
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len;

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        *flags[i] = true;
        assert_int_equal(look_again(), 0);
        *flags[i] = false;
        for (unsigned j = 0; j < 5; j++)
            assert_int_equal(*got[j], j == i);
    }
    for (unsigned bit = 5; bit < 16; bit++) {
        len = wire_look_encode(m, buf);
        buf[44 + bit / 8] |= (unsigned char)(1U << bit % 8);
        assert_int_equal(wire_look_decode(buf, len, &got_look, &err), -1);
    }
}

static void a_look_at_the_root_itself_comes_back(void **state)
{
    (void)state;
    a_look()->base[0] = '\0';
    assert_int_equal(look_again(), 0);
    assert_string_equal(got_look.base, "");
}

static void the_size_of_what_is_no_file_is_not_told(void **state)
{
    (void)state;
    a_look()->entries[1].size = 4096;
    assert_int_equal(look_again(), 0);
    assert_int_equal(got_look.entries[1].size, 0);
}

static void looks_out_of_range_are_refused(void **state)
{
    struct wire_look *m;

    (void)state;
#define REFUSED(change)                     \
    do {                                    \
        m = a_look();                       \
        change;                             \
        assert_int_equal(look_again(), -1); \
    } while (0)
    REFUSED(m->number = 0);
    REFUSED(m->job = 0);
    REFUSED(m->job = (uint64_t)XFER_INTEGER_MAX + 1);
    REFUSED(m->overwrite = (enum overwrite_mode)(OVERWRITE_NEWER + 1));
    REFUSED(m->preserve = PRESERVE_ALL + 1);
    REFUSED(m->uid = UINT32_MAX);
    REFUSED(m->gid = UINT32_MAX);
    REFUSED(m->n_groups = 1); /* without caller */
    REFUSED(m->caller = true; m->n_groups = 1; m->groups[0] = UINT32_MAX);
    REFUSED(strcpy(m->base, "/a"));
    REFUSED(strcpy(m->base, "a/"));
    REFUSED(strcpy(m->base, "."));
    REFUSED(strcpy(m->base, "a/../b"));
    REFUSED(strcpy(m->base, "a/.xfer/b"));
    REFUSED(m->n = 0);
    REFUSED(m->entries[2].kind = WIRE_KIND_HARDLINK);
    REFUSED(m->entries[2].kind = WIRE_KIND_BARRIER);
    REFUSED(m->entries[2].mode = 010000);
    REFUSED(m->entries[2].uid = UINT32_MAX);
    REFUSED(m->entries[2].gid = UINT32_MAX);
    REFUSED(m->entries[0].size = (uint64_t)INT64_MAX + 1);
    REFUSED(m->entries[2].mtime_nsec = 1000000000);
    REFUSED(m->entries[2].name[0] = '\0');
    REFUSED(strcpy(m->entries[2].name, "."));
    REFUSED(strcpy(m->entries[2].name, ".."));
    REFUSED(strcpy(m->entries[2].name, "/"));
    REFUSED(strcpy(m->entries[2].name, "a/b"));
    REFUSED(strcpy(m->entries[2].name, ".xfer"));
    REFUSED(strcpy(m->entries[2].name, ".xfer-1"));
#undef REFUSED
}

static void more_groups_or_entries_than_allowed_are_refused(void **state)
{
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len;

    (void)state;
    a_look();
    len = wire_look_encode(&look, buf);
    buf[46] = XFER_LOOK_ENTRIES_MAX + 1;
    assert_int_equal(wire_look_decode(buf, len, &got_look, &err), -1);
    assert_non_null(strstr(err.text, "number of entries"));
    len = wire_look_encode(&look, buf);
    buf[56] = (XFER_GROUPS_MAX + 1) & 0xff;
    buf[57] = (XFER_GROUPS_MAX + 1) >> 8;
    assert_int_equal(wire_look_decode(buf, len, &got_look, &err), -1);
    assert_non_null(strstr(err.text, "groups"));
}

/* Fill a look with entries of such names as long as there is room. */
static uint32_t fill(struct wire_look *m, size_t name_len)
{
    char name[XFER_NAME_MAX + 1] = "";

    memset(name, 'n', name_len);
    m->n = 0;
    while (wire_look_has_room(m, name_len))
        an_entry(m, WIRE_KIND_FILE, name);
    return m->n;
}

static void a_look_takes_what_it_has_room_for(void **state)
{
    struct wire_look *m = a_look();
    size_t len;

    (void)state;
    assert_int_equal(fill(m, 1), XFER_LOOK_ENTRIES_MAX);
    assert_int_equal(look_again(), 0);
    assert_int_equal(got_look.n, XFER_LOOK_ENTRIES_MAX);

    m->caller = true;
    m->n_groups = XFER_GROUPS_MAX;
    for (size_t i = 0; i < XFER_PATH_SIZE - 1; i++)
        m->base[i] = i % 200 == 199 ? '/' : 'p';
    m->base[XFER_PATH_SIZE - 1] = '\0';
    assert_in_range(fill(m, XFER_NAME_MAX), 1, XFER_LOOK_ENTRIES_MAX - 1);
    assert_false(wire_look_has_room(m, XFER_NAME_MAX));
    len = wire_look_encode(m, buf);
    assert_in_range(len, XFER_MESSAGE_MAX - 42 - XFER_NAME_MAX + 1, XFER_MESSAGE_MAX);
    assert_int_equal(look_again(), 0);

    /* to the last byte */
    len = XFER_MESSAGE_MAX - len;
    if (len >= 43) {
        assert_true(wire_look_has_room(m, len - 42));
        assert_false(wire_look_has_room(m, len - 41));
    }
}

static void a_name_that_is_too_long_has_no_room(void **state)
{
    (void)state;
    assert_true(wire_look_has_room(a_look(), XFER_NAME_MAX));
    assert_false(wire_look_has_room(a_look(), XFER_NAME_MAX + 1));
}

/* ---- LOOKED ---- */

static struct wire_looked a_looked(void)
{
    struct wire_looked m = {.number = 3, .n = 9};

    for (unsigned i = 0; i < m.n; i++)
        m.entries[i].result = (enum wire_looked_result)(i + 1);
    m.entries[8].code = XFER_IS_DIRECTORY;
    m.entries[8].sys_errno = 21;
    return m;
}

static void the_answer_to_a_look_comes_back(void **state)
{
    struct wire_looked m = a_looked(), got;
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len = wire_looked_encode(&m, buf);

    (void)state;
    assert_int_equal(buf[5], 15);
    assert_int_equal(len, 40 + 9 * 8);
    assert_int_equal(wire_looked_decode(buf, len, &got, &err), 0);
    assert_int_equal(got.number, 3);
    assert_int_equal(got.n, 9);
    for (unsigned i = 0; i < 9; i++) {
        assert_int_equal(got.entries[i].result, i + 1);
        assert_int_equal(got.entries[i].code, m.entries[i].code);
        assert_int_equal(got.entries[i].sys_errno, m.entries[i].sys_errno);
    }
}

static void answers_to_looks_out_of_range_are_refused(void **state)
{
    struct wire_looked m, got;
    struct xfer_error err = XFER_ERROR_INIT;
    size_t len;

    (void)state;
#define REFUSED(change)                                                                         \
    do {                                                                                        \
        m = a_looked();                                                                         \
        change;                                                                                 \
        assert_int_equal(wire_looked_decode(buf, wire_looked_encode(&m, buf), &got, &err), -1); \
        assert_int_equal(err.code, XFER_PROTOCOL);                                              \
    } while (0)
    REFUSED(m.number = 0);
    REFUSED(m.n = 0);
    REFUSED(m.entries[0].result = (enum wire_looked_result)0);
    REFUSED(m.entries[0].result = (enum wire_looked_result)(WIRE_LOOKED_FAILED + 1));
    REFUSED(m.entries[0].code = XFER_IO);
    REFUSED(m.entries[0].sys_errno = 5);
    REFUSED(m.entries[8].code = XFER_OK);
    REFUSED(m.entries[8].code = XFER_CODE_COUNT);
    REFUSED(m.entries[8].sys_errno = -1);
#undef REFUSED
    m = a_looked();
    len = wire_looked_encode(&m, buf);
    buf[32] = XFER_LOOK_ENTRIES_MAX + 1;
    assert_int_equal(wire_looked_decode(buf, len, &got, &err), -1);
    assert_non_null(strstr(err.text, "number of entries"));
    len = wire_looked_encode(&m, buf);
    buf[36] = 1;
    assert_int_equal(wire_looked_decode(buf, len, &got, &err), -1);
}

/* ---- all of them ---- */

static int any_attrs(const void *msg, size_t len)
{
    struct wire_attrs m;
    struct xfer_error err = XFER_ERROR_INIT;

    return wire_attrs_decode(msg, len, &m, &err);
}

static int any_map(const void *msg, size_t len)
{
    struct wire_map m;
    struct xfer_error err = XFER_ERROR_INIT;

    return wire_map_decode(msg, len, &m, &err);
}

static int any_look(const void *msg, size_t len)
{
    struct xfer_error err = XFER_ERROR_INIT;

    return wire_look_decode(msg, len, &got_look, &err);
}

static int any_looked(const void *msg, size_t len)
{
    struct wire_looked m;
    struct xfer_error err = XFER_ERROR_INIT;

    return wire_looked_decode(msg, len, &m, &err);
}

static void cut_and_changed_messages_are_refused(void **state)
{
    struct wire_attrs attrs = {.seq = 5, .offset = 1000, .len = 4, .data = some_bytes};
    struct wire_map map = a_map();
    struct wire_looked looked = a_looked();

    (void)state;
    torment(any_attrs, wire_attrs_encode(&attrs, buf));
    torment(any_map, wire_map_encode(&map, buf));
    torment(any_look, wire_look_encode(a_look(), buf));
    torment(any_looked, wire_looked_encode(&looked, buf));
}

static void what_is_about_no_file_has_no_sequence_number(void **state)
{
    struct wire_looked looked = a_looked();
    size_t len;

    (void)state;
    len = wire_look_encode(a_look(), buf);
    buf[16] = 1;
    assert_int_equal(any_look(buf, len), -1);
    len = wire_looked_encode(&looked, buf);
    buf[16] = 1;
    assert_int_equal(any_looked(buf, len), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_come_back),
        cmocka_unit_test(the_largest_piece_of_attributes_fits_and_may_be_the_last),
        cmocka_unit_test(attributes_out_of_range_are_refused),
        cmocka_unit_test(a_map_comes_back),
        cmocka_unit_test(a_file_may_be_one_hole),
        cmocka_unit_test(the_largest_map_fits),
        cmocka_unit_test(maps_that_can_not_be_are_refused),
        cmocka_unit_test(a_look_comes_back),
        cmocka_unit_test(a_look_has_the_specified_layout),
        cmocka_unit_test(the_flags_of_a_look_are_told_apart),
        cmocka_unit_test(a_look_at_the_root_itself_comes_back),
        cmocka_unit_test(the_size_of_what_is_no_file_is_not_told),
        cmocka_unit_test(looks_out_of_range_are_refused),
        cmocka_unit_test(more_groups_or_entries_than_allowed_are_refused),
        cmocka_unit_test(a_look_takes_what_it_has_room_for),
        cmocka_unit_test(a_name_that_is_too_long_has_no_room),
        cmocka_unit_test(the_answer_to_a_look_comes_back),
        cmocka_unit_test(answers_to_looks_out_of_range_are_refused),
        cmocka_unit_test(cut_and_changed_messages_are_refused),
        cmocka_unit_test(what_is_about_no_file_has_no_sequence_number),
    };

    return cmocka_run_group_tests_name("wire_tree", tests, NULL, NULL);
}
