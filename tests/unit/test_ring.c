/* SPDX-License-Identifier: MIT */
/* The ring by itself: long random histories against a simple model, positions that wrap around, and
 * the states that a death between two steps leaves, made by hand. */
#include "chan/ring.h"

#include "support/shared.h"

#include <mproc/error.h>
#include <mproc/shared.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static mp__ring *r;
static size_t used;

static int setup(void **state)
{
    (void)state;
    used = bytes_in_use();
    r = mp_shared_alloc(sizeof *r);
    return r == NULL ? -1 : mp__ring_init(r, 0, 0);
}

static int teardown(void **state)
{
    (void)state;
    mp__ring_fini(r);
    mp_shared_free(r);
    if (bytes_in_use() != used)
        return -1;
    return mp_shared_check(NULL);
}

static void remake(uint32_t maxsize, uint64_t capacity)
{
    mp__ring_fini(r);
    assert_int_equal(mp__ring_init(r, maxsize, capacity), 0);
}

/* The bytes of message `number` follow from it, so the model has to keep its number alone. */
static size_t length_of(uint64_t number)
{
    random_state s = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    switch (random_next(&s) % 16) {
    case 0:
        return 0;
    case 1:
        return 3000 + random_below(&s, 1097);
    case 2:
        return 4097 + random_below(&s, 20000);
    case 3:
        return random_below(&s, 4097);
    default:
        return random_below(&s, 100);
    }
}

static void fill(unsigned char *bytes, uint64_t number)
{
    for (size_t i = 0; i < length_of(number); i++)
        bytes[i] = (unsigned char)(number * 31 + i * 7);
}

static unsigned char buffer[32768], expected[32768];

/* Puts up to `count` messages from `number` on as one batch; returns how many, or -1 for an
 * error. */
static int put(uint64_t number, int count)
{
    int rc = 0, done = 0;
    mp__mutex_lock(&r->put_lock);
    mp__ring_position at = mp__ring_put_begin(r);
    for (; done < count && rc == 0; done += rc == 0) {
        fill(buffer, number + (uint64_t)done);
        mp__ring_message m = {buffer, length_of(number + (uint64_t)done), NULL};
        if (mp__ring_prepare(&m) < 0)
            return -1;
        rc = mp__ring_add(r, &at, &m);
        if (rc < 0)
            mp_shared_free(m.block);
    }
    mp__ring_publish(r, at);
    mp__mutex_unlock(&r->put_lock);
    return rc == 0 || rc == MP_EFULL ? done : -1;
}

/* Takes one message; false if there is none, or if it is not `number`. */
static bool get(uint64_t number)
{
    mp__ring_message m;
    mp__mutex_lock(&r->get_lock);
    bool right = mp__ring_peek(r, &m);
    if (right) {
        fill(expected, number);
        right = m.length == length_of(number) && memcmp(m.data, expected, m.length) == 0 &&
                (m.block != NULL) == (m.length > MP__RING_INLINE_MOST);
        mp__ring_consume(r, &m);
        mp_shared_free(m.block);
    }
    mp__mutex_unlock(&r->get_lock);
    return right;
}

static uint64_t weight(uint64_t number)
{
    return length_of(number) + 8;
}

/* A random history. The model: messages [out, in), and their bytes. */
static void history(uint32_t maxsize, uint64_t capacity, random_state *s, int steps)
{
    uint64_t in = 0, out = 0, bytes = 0;
    remake(maxsize, capacity);
    for (int step = 0; step < steps; step++) {
        int n = 1 + (int)random_below(s, random_below(s, 8) == 0 ? 200 : 4);
        if (random_below(s, 1000) < 500) {
            int fit = 0;
            uint64_t b = bytes;
            while (fit < n && (maxsize == 0 || in + (uint64_t)fit - out < maxsize) &&
                   (capacity == 0 || b + weight(in + (uint64_t)fit) <= capacity))
                b += weight(in + (uint64_t)fit++);
            assert_int_equal(put(in, n), fit);
            in += (uint64_t)fit;
            bytes = b;
        } else {
            for (; n > 0 && out < in; n--, out++) {
                bytes -= weight(out);
                assert_true(get(out));
            }
            if (out == in)
                assert_false(get(out));
        }
        assert_int_equal(mp__ring_size(r), in - out);
    }
    while (out < in)
        assert_true(get(out++));
}

static void test_histories(void **state)
{
    (void)state;
    random_state s = random_start("test_histories");
    for (int i = 0; i < 3; i++) {
        history(0, 0, &s, fewer(6000));
        history(1 + random_below(&s, 40), 0, &s, fewer(6000));
        history(0, 30000 + random_below(&s, 100000), &s, fewer(6000));
        history(1 + random_below(&s, 400), 30000 + random_below(&s, 100000), &s, fewer(6000));
    }
}

/* Both counters just before they wrap around, and the segment with them. */
static void jump(uint32_t count, uint32_t unit)
{
    uint64_t *first = (uint64_t *)(void *)r->head_segment; /* its first member is `first` */
    assert_int_equal((uint32_t)*first, 0);
    *(uint32_t *)(void *)first = unit;
    uint64_t position = (uint64_t)count << 32 | unit;
    mp__store_seq(&r->head, position);
    mp__store_seq(&r->tail, position);
    r->head_seen = r->tail_seen = position;
}

static void test_wrap_around(void **state)
{
    (void)state;
    static const uint32_t before[] = {UINT32_MAX, UINT32_MAX - 50, INT32_MAX, INT32_MAX - 400};
    for (int bound = 0; bound < 2; bound++)
        for (int i = 0; i < 4; i++) {
            remake(bound ? 50 : 0, bound ? 100000 : 0);
            jump(before[i], before[i] - 1000);
            uint64_t in = 0, out = 0;
            for (int k = 0; k < 2000; k++) {
                int n = put(in, 3);
                assert_in_range(n, 0, 3);
                in += (uint64_t)n;
                while (out < in && (n < 3 || k % 8 == 7))
                    assert_true(get(out++));
            }
            assert_int_equal(mp__ring_size(r), in - out);
            while (out < in)
                assert_true(get(out++));
        }
}

/* One segment that has been gone round for more than half of the range of positions. */
static void test_old_segment(void **state)
{
    (void)state;
    uint32_t half = UINT32_C(1) << 31;
    for (uint32_t unit = half - 4000; unit != half + 4000; unit += 8) {
        uint64_t position = (uint64_t)7 << 32 | unit;
        remake(0, 0);
        mp__store_seq(&r->head, position);
        mp__store_seq(&r->tail, position);
        r->head_seen = r->tail_seen = position;
        assert_int_equal(put(0, 4), 4);
        for (uint64_t i = 0; i < 4; i++)
            assert_true(get(i));
    }
}

static int run(int (*step)(void))
{
    return child_end(child_start((int (*)(void *))(void (*)(void))step, NULL));
}

/* Takes the lock and dies after so much of a put. */
static int die_before_publishing(void)
{
    mp__mutex_lock(&r->put_lock);
    mp__ring_position at = mp__ring_put_begin(r);
    mp__ring_message m = {"lost", 4, NULL};
    for (int i = 0; i < 100; i++)
        CHECK(mp__ring_add(r, &at, &m) == 0);
    kill(getpid(), SIGKILL);
    return 1;
}

static void lock_after_death(mp__mutex *m, void (*repair)(mp__ring *))
{
    assert_true(mp__mutex_lock(m));
    repair(r);
    mp__mutex_unlock(m);
}

static void test_death_before_publishing(void **state)
{
    (void)state;
    for (int limited = 0; limited < 2; limited++) {
        uint64_t capacity = weight(0) + weight(1) + weight(2);
        assert_true(capacity >= 100 * 12);
        remake(0, limited ? capacity : 0);
        assert_int_equal(run(die_before_publishing), -SIGKILL);
        assert_int_equal(mp__ring_size(r), 0);
        lock_after_death(&r->put_lock, mp__ring_repair_put);
        assert_int_equal(put(0, 3), 3); /* its bytes do not count */
        for (uint64_t i = 0; i < 3; i++)
            assert_true(get(i));
    }
}

/* Room runs out: a segment is linked, but not yet the tail when the producer dies. */
static int die_linking(void)
{
    mp__mutex_lock(&r->put_lock);
    mp__ring_segment *before = r->tail_segment;
    mp__ring_position at = mp__ring_put_begin(r);
    for (uint64_t i = 0; r->tail_segment == before; i++) {
        fill(buffer, i);
        mp__ring_message m = {buffer, length_of(i), NULL};
        CHECK(mp__ring_prepare(&m) == 0 && mp__ring_add(r, &at, &m) == 0);
    }
    r->tail_segment = before; /* and the last message was not published */
    kill(getpid(), SIGKILL);
    return 1;
}

static void test_death_linking(void **state)
{
    (void)state;
    assert_int_equal(run(die_linking), -SIGKILL);
    uint32_t there = mp__ring_size(r);
    assert_true(there > 0);
    for (uint32_t i = 0; i < there; i++)
        assert_true(get(i));
    assert_false(get(there));
    lock_after_death(&r->put_lock, mp__ring_repair_put);
    assert_int_equal(put(there, 1000), 1000);
    for (uint32_t i = 0; i < 1000; i++)
        assert_true(get(there + i));
}

/* A consumer moves head and dies before it has counted the bytes. */
static int die_counting(void)
{
    mp__ring_message m;
    mp__mutex_lock(&r->get_lock);
    CHECK(mp__ring_peek(r, &m));
    uint64_t got = mp__load_relaxed(&r->got_bytes);
    mp__ring_consume(r, &m);
    mp__store_relaxed(&r->got_bytes, got);
    kill(getpid(), SIGKILL);
    return 1;
}

static void test_death_counting(void **state)
{
    (void)state;
    for (int reader = 0; reader < 2; reader++) {
        remake(0, 3000 + 4096);
        uint64_t n = 1;
        while (length_of(n) < 3000 || length_of(n) > MP__RING_INLINE_MOST)
            n++;
        int first = put(n, 1);
        assert_int_equal(first, 1);
        assert_int_equal(run(die_counting), -SIGKILL);
        assert_int_equal(mp__ring_size(r), 0);
        if (reader) /* a consumer comes first, and sees to it */
            lock_after_death(&r->get_lock, mp__ring_repair_get);
        assert_int_equal(put(n, 1), 1); /* else a producer must find out by itself */
        assert_int_equal(put(n, 2), weight(n) * 2 <= 3000 + 4096);
    }
}

static void test_unlimited_backlog(void **state)
{
    (void)state;
    uint64_t n = (uint64_t)fewer(60000);
    for (uint64_t i = 0; i < n; i += 100)
        assert_int_equal(put(i, 100), 100);
    assert_int_equal(mp__ring_size(r), n / 100 * 100 + (n % 100 != 0 ? 100 : 0));
    uint64_t all = mp__ring_size(r);
    for (uint64_t i = 0; i < all; i++)
        assert_true(get(i));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_histories),         TEST(test_wrap_around),
        TEST(test_old_segment),       TEST(test_death_before_publishing),
        TEST(test_death_linking),     TEST(test_death_counting),
        TEST(test_unlimited_backlog),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
