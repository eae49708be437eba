/* SPDX-License-Identifier: MIT
 *
 * The heap.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "daemon/control/heap.h"

struct thing {
    struct heap_item item;
    int number;
};

static bool lower(const struct heap_item *a, const struct heap_item *b)
{
    return heap_entry(a, const struct thing, item)->number <
           heap_entry(b, const struct thing, item)->number;
}

static int first(const struct heap *h)
{
    return heap_entry(heap_first(h), struct thing, item)->number;
}

#define N 1000
static struct thing things[N];

static void fill(struct heap *h)
{
    struct xfer_error err = XFER_ERROR_INIT;

    heap_init(h, lower);
    assert_int_equal(heap_reserve(h, N, &err), 0);
    for (int i = 0; i < N; i++) {
        things[i] = (struct thing){.number = i * 7919 % N};
        heap_add(h, &things[i].item);
    }
}

static void an_empty_heap_has_no_first(void **state)
{
    struct heap h;

    (void)state;
    heap_init(&h, lower);
    assert_null(heap_first(&h));
    heap_free(&h);
}

static void items_come_out_in_order(void **state)
{
    struct heap h;

    (void)state;
    fill(&h);
    for (int i = 0; i < N; i++) {
        struct heap_item *item = heap_first(&h);

        assert_int_equal(first(&h), i);
        heap_remove(&h, item);
        assert_int_equal(item->at, 0);
    }
    assert_null(heap_first(&h));
    heap_free(&h);
}

static void any_item_can_be_taken_out(void **state)
{
    struct heap h;
    bool gone[N] = {false};

    (void)state;
    srand(1);
    fill(&h);
    for (int left = N; left > 0; left--) {
        int i = rand() % N, lowest = 0;

        while (gone[things[i].number])
            i = (i + 1) % N;
        gone[things[i].number] = true;
        heap_remove(&h, &things[i].item);
        while (lowest < N && gone[lowest])
            lowest++;
        if (lowest < N)
            assert_int_equal(first(&h), lowest);
    }
    assert_null(heap_first(&h));
    heap_free(&h);
}

static void what_is_in_it_when_it_goes_is_in_none(void **state)
{
    struct heap h;

    (void)state;
    fill(&h);
    heap_free(&h);
    for (int i = 0; i < N; i++)
        assert_int_equal(things[i].item.at, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_heap_has_no_first),
        cmocka_unit_test(items_come_out_in_order),
        cmocka_unit_test(any_item_can_be_taken_out),
        cmocka_unit_test(what_is_in_it_when_it_goes_is_in_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
