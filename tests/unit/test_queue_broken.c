/* SPDX-License-Identifier: MIT */
/* A queue in which somebody astray has written over the next message: every get says so at once,
 * whatever its timeout, and takes nothing; who puts is none the worse. */
#include <mproc/error.h>
#include <mproc/queue.h>
#include <mproc/shared.h>

#include "chan/queue.h"
#include "chan/ring_segment.h"
#include "support/shared.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static mp_queue *q;
static size_t used;

static int teardown(void **state)
{
    (void)state;
    mp_queue_free(q);
    q = NULL;
    return bytes_in_use() == used ? mp_shared_check(NULL) : -1;
}

/* A queue with two messages, behind some that have gone. */
static void make(int on_death)
{
    char gone[1000];
    used = bytes_before();
    assert_int_equal(mp_queue_new(&q, .on_death = on_death), 0);
    for (int i = 0; i < 3; i++) {
        memset(gone, i, sizeof gone);
        assert_int_equal(mp_queue_put(q, gone, sizeof gone, 0), 0);
        assert_int_equal(mp_queue_get(q, gone, sizeof gone, 0), sizeof gone);
        assert_int_equal(mp_queue_task_done(q), 0);
    }
    assert_int_equal(mp_queue_put(q, "one", 4, 0), 0);
    assert_int_equal(mp_queue_put(q, "two", 4, 0), 0);
}

static uint64_t *next_header(void)
{
    mp__ring *r = &q->ring;
    mp__ring_segment *s =
        mp__ring_segment_at(r, mp__ring_distance_in(mp__load_relaxed(&r->head_segment)));
    uint32_t unit = mp__ring_unpack(mp__load_relaxed(&r->head)).unit;
    return &s->unit[(unit - mp__load_relaxed(&s->first)) & (mp__load_relaxed(&s->units) - 1)];
}

static void check_all_calls(double timeout)
{
    char text[8];
    size_t n;
    void *copy;
    const void *message;
    mp_bytes places[2] = {{text, 0, sizeof text}, {text, 0, sizeof text}};
    assert_int_equal(mp_queue_get(q, text, sizeof text, timeout), MP_EBROKEN);
    assert_int_equal(mp_queue_get_sized(q, text, sizeof text, &n, timeout), MP_EBROKEN);
    assert_int_equal(n, 0);
    assert_int_equal(mp_queue_get_exact(q, text, 4, timeout), MP_EBROKEN);
    assert_int_equal(mp_queue_get_alloc(q, &copy, &n, timeout), MP_EBROKEN);
    assert_null(copy);
    assert_int_equal(mp_queue_get_many(q, places, 2, timeout), MP_EBROKEN);
    assert_int_equal(mp_queue_take(q, &message, &n, timeout), MP_EBROKEN);
    assert_null(message);
}

static const double timeouts[] = {0, 0.01, MP_FOREVER};

/* With this header, and then the right one again. */
static void try_header(uint32_t kind, size_t length)
{
    char text[8];
    uint64_t *header = next_header(), right = mp__ring_header(header);
    mp__ring_set_header(header, kind, length, 0);
    for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++)
        check_all_calls(timeouts[i]);
    assert_int_equal(mp_queue_size(q), 2);
    assert_int_equal(mp_queue_put(q, "new", 4, 0), 0);
    assert_int_equal(mp_queue_close(q), 0); /* which says nothing about the ring */
    check_all_calls(MP_FOREVER);
    __atomic_store_n(header, right, __ATOMIC_RELAXED);
    static const char *const all[] = {"one", "two", "new"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(mp_queue_get(q, text, sizeof text, 0), 4);
        assert_string_equal(text, all[i]);
        assert_int_equal(mp_queue_task_done(q), 0);
    }
    assert_int_equal(mp_queue_get(q, text, sizeof text, 0), MP_ECLOSED);
    mp_queue_free(q);
    q = NULL;
}

static const struct {
    uint32_t kind;
    size_t length;
} nonsense[] = {
    {MP__RING_BYTES, MP__RING_INLINE_MOST + 1},
    {MP__RING_BYTES, MP__RING_LENGTH_MASK},
    {MP__RING_NOTE, MP__RING_LENGTH_MASK},
    {MP__RING_BLOCK, 0},
    {MP__RING_BLOCK, sizeof(mp__ring_reference) + 1},
    {MP__RING_BLOCK + 1, 4},
    {MP__RING_FILLER - 1, 0},
};

static void test_no_record(void **state)
{
    (void)state;
    for (int how = MP_LOSE; how <= MP_REDELIVER; how++)
        for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++) {
            make(how);
            try_header(nonsense[i].kind, nonsense[i].length);
        }
    make(MP_REDELIVER); /* where all are blocks */
    try_header(MP__RING_BYTES, 4);
}

/* A filler leads to the segment's beginning, where there is another. */
static void test_filler_without_end(void **state)
{
    (void)state;
    make(MP_LOSE);
    mp__ring *r = &q->ring;
    mp__ring_segment *s =
        mp__ring_segment_at(r, mp__ring_distance_in(mp__load_relaxed(&r->head_segment)));
    mp__ring_set_header(&s->unit[0], MP__RING_FILLER, 0, 0);
    try_header(MP__RING_FILLER, 0);
}

/* What comes before it is got as ever. */
static void test_the_second_of_many(void **state)
{
    (void)state;
    char text[2][8];
    mp_bytes places[2] = {{text[0], 0, 8}, {text[1], 0, 8}};
    make(MP_LOSE);
    uint64_t *header = next_header() + mp__ring_units(4), right = mp__ring_header(header);
    mp__ring_set_header(header, MP__RING_FILLER - 1, 4, 0);
    assert_int_equal(mp_queue_get_many(q, places, 2, MP_FOREVER), 1);
    assert_string_equal(text[0], "one");
    assert_int_equal(mp_queue_get_many(q, places, 2, MP_FOREVER), MP_EBROKEN);
    __atomic_store_n(header, right, __ATOMIC_RELAXED);
    assert_int_equal(mp_queue_get_many(q, places, 2, MP_FOREVER), 1);
    assert_string_equal(text[0], "two");
}

static int get_broken(void *arg)
{
    (void)arg;
    char text[8];
    CHECK(mp_queue_get(q, text, sizeof text, MP_FOREVER) == MP_EBROKEN);
    return 0;
}

/* Those who sleep are told, too: one when a message comes, and it tells the next. */
static void test_sleepers(void **state)
{
    (void)state;
    char text[8];
    pid_t child[3];
    make(MP_LOSE);
    assert_int_equal(mp_queue_get(q, text, sizeof text, 0), 4);
    assert_int_equal(mp_queue_get(q, text, sizeof text, 0), 4);
    for (int i = 0; i < 3; i++) {
        child[i] = child_start(get_broken, NULL);
        until_asleep(child[i]);
    }
    mp__ring_batch batch = mp__ring_put_begin(&q->ring);
    mp__ring_message m = {MP__RING_BYTES, "bad", 4, NULL};
    mp__queue_lock_put_for_sure(q);
    assert_int_equal(mp__ring_add(&q->ring, &batch, &m), 0);
    uint64_t *header = next_header(), right = mp__ring_header(header);
    mp__ring_set_header(header, MP__RING_FILLER - 1, 4, 0);
    mp__ring_publish(&q->ring, &batch);
    mp__mutex_unlock(&q->ring.put_lock);
    mp__sleepers_wake(&q->not_empty, 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(child_end(child[i]), 0);
    __atomic_store_n(header, right, __ATOMIC_RELAXED);
    assert_int_equal(mp_queue_get(q, text, sizeof text, 0), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_no_record, teardown),
        cmocka_unit_test_teardown(test_filler_without_end, teardown),
        cmocka_unit_test_teardown(test_the_second_of_many, teardown),
        cmocka_unit_test_teardown(test_sleepers, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
