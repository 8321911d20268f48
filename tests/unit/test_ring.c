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

/* As chan/put.c prepares a message: a long one in a block. */
static bool prepare(mp__ring_message *m, const void *data, size_t length)
{
    *m = (mp__ring_message){MP__RING_BYTES, data, length, NULL};
    if (length <= MP__RING_INLINE_MOST)
        return true;
    mp__ring_block *block = mp_shared_alloc(sizeof *block + length);
    if (block == NULL)
        return false;
    memcpy(block->data, data, length);
    *m = (mp__ring_message){MP__RING_BLOCK, NULL, length, block};
    return true;
}

static int add(mp__ring_batch *batch, uint64_t number)
{
    mp__ring_message m;
    fill(buffer, number);
    if (!prepare(&m, buffer, length_of(number)))
        return MP_ENOMEM;
    int rc = mp__ring_add(r, batch, &m);
    if (rc < 0)
        mp_shared_free(m.block);
    return rc;
}

static int put_batch(uint64_t number, int count)
{
    int rc = 0, done = 0;
    mp__mutex_lock(&r->put_lock);
    mp__ring_batch batch = mp__ring_put_begin(r);
    while (done < count && (rc = add(&batch, number + (uint64_t)done)) == 0)
        done++;
    mp__ring_publish(r, &batch);
    mp__mutex_unlock(&r->put_lock);
    return rc == 0 || rc == MP_EFULL ? done : -1;
}

/* Puts up to `count` messages from `number` on as one batch, or as several where a new segment is
 * needed; returns how many, or -1 for an error. */
static int put(uint64_t number, int count)
{
    int done = 0, n;
    do {
        n = put_batch(number + (uint64_t)done, count - done);
        done += n;
    } while (n > 0 && done < count);
    return n < 0 ? -1 : done;
}

static bool is_message(const mp__ring_message *m, uint64_t number)
{
    static unsigned char got[32768];
    fill(expected, number);
    if (m->length != length_of(number))
        return false;
    if ((m->kind == MP__RING_BLOCK) != (m->length > MP__RING_INLINE_MOST))
        return false;
    mp__ring_copy(got, m);
    return memcmp(got, expected, m->length) == 0;
}

/* Takes one message; false if there is none, or if it is not `number`. */
static bool get(uint64_t number)
{
    mp__ring_view v;
    if (!mp__ring_look(r, &v))
        return false;
    bool right = is_message(&v.message, number) && mp__ring_viewed(&v) == 1;
    right = right && mp__ring_is_current(r, &v) && mp__ring_take(r, &v);
    if (v.message.kind == MP__RING_BLOCK)
        mp_shared_free(v.message.block);
    return right;
}

/* Takes up to `most` messages at once; returns how many, or -1 if they are not those from `number`
 * on. */
static int get_many(uint64_t number, int most)
{
    mp__ring_block *blocks[64];
    mp__ring_view v;
    int n = 0;
    for (bool there = mp__ring_look(r, &v); there; there = n < most && mp__ring_look_on(r, &v)) {
        if (!is_message(&v.message, number + (uint64_t)n))
            return -1;
        blocks[n++] = v.message.kind == MP__RING_BLOCK ? v.message.block : NULL;
    }
    if (n == 0)
        return 0;
    if (mp__ring_viewed(&v) != (uint32_t)n || !mp__ring_take(r, &v))
        return -1;
    for (int i = 0; i < n; i++)
        mp_shared_free(blocks[i]);
    return n;
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
            int got = 1;
            for (; n > 0 && out < in && got > 0; n -= got) {
                got = random_below(s, 2) == 0 ? (int)get(out) : get_many(out, n < 64 ? n : 64);
                assert_in_range(got, 1, n);
                for (int i = 0; i < got; i++)
                    bytes -= weight(out++);
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
    /* A segment's first member is the position at which it began. */
    uint32_t *first = (uint32_t *)(void *)((char *)r + r->tail_segment);
    assert_int_equal(*first, 0);
    *first = unit;
    uint64_t position = (uint64_t)count << 32 | unit;
    mp__store_seq(&r->head, position);
    mp__store_seq(&r->tail, position);
    mp__store_seq(&r->tail_seen, position);
    r->head_seen = position;
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
        mp__store_seq(&r->tail_seen, position);
        r->head_seen = position;
        assert_int_equal(put(0, 4), 4);
        for (uint64_t i = 0; i < 4; i++)
            assert_true(get(i));
    }
}

/* A fixed ring goes round in its one segment for ever. */
static void put_one_sized(size_t length, int byte)
{
    memset(buffer, byte, length);
    mp__mutex_lock(&r->put_lock);
    mp__ring_batch batch = mp__ring_put_begin(r);
    mp__ring_message m = {MP__RING_BYTES, buffer, length, NULL};
    assert_int_equal(mp__ring_add(r, &batch, &m), 0);
    mp__ring_publish(r, &batch);
    mp__mutex_unlock(&r->put_lock);
}

static void get_one_sized(size_t length, int byte)
{
    mp__ring_view v;
    assert_true(mp__ring_look(r, &v));
    assert_int_equal(v.message.length, length);
    mp__ring_copy(expected, &v.message);
    memset(buffer, byte, length);
    assert_memory_equal(expected, buffer, length);
    assert_true(mp__ring_take(r, &v));
}

static void test_fixed(void **state)
{
    (void)state;
    enum { BYTES = 16384 };
    static const uint32_t from[] = {0, INT32_MAX - 3000, UINT32_MAX - 3000, UINT32_C(1) << 31};
    mp__ring *other = r;
    for (int i = 0; i < 4; i++) {
        r = common(MP__RING_FIXED_SIZE(BYTES));
        mp__ring_init_fixed(r, BYTES);
        uint64_t position = (uint64_t)7 << 32 | (from[i] & ~7u);
        mp__store_seq(&r->head, position);
        mp__store_seq(&r->tail, position);
        mp__store_seq(&r->tail_seen, position);
        r->head_seen = position;
        for (size_t n = 0; n < (size_t)fewer(20000); n++) {
            put_one_sized(n % 3000, (int)(n % 251));
            if (n >= 2)
                get_one_sized((n - 2) % 3000, (int)((n - 2) % 251));
        }
        munmap(r, MP__RING_FIXED_SIZE(BYTES));
    }
    r = other;
}

static int run(int (*step)(void))
{
    return child_end(child_start((int (*)(void *))(void (*)(void))step, NULL));
}

/* Takes the lock and dies after so much of a put. */
static int die_before_publishing(void)
{
    mp__mutex_lock(&r->put_lock);
    mp__ring_batch batch = mp__ring_put_begin(r);
    mp__ring_message m = {MP__RING_BYTES, "lost", 4, NULL};
    for (int i = 0; i < 100; i++)
        CHECK(mp__ring_add(r, &batch, &m) == 0);
    kill(getpid(), SIGKILL);
    return 1;
}

static void lock_after_death(void)
{
    assert_true(mp__mutex_lock(&r->put_lock));
    mp__ring_repair(r);
    mp__mutex_unlock(&r->put_lock);
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
        lock_after_death();
        assert_int_equal(put(0, 3), 3); /* its bytes do not count */
        for (uint64_t i = 0; i < 3; i++)
            assert_true(get(i));
    }
}

/* Room runs out: a segment is linked, but not yet the tail when the producer dies. */
static int die_linking(void)
{
    mp__mutex_lock(&r->put_lock);
    int64_t before = r->tail_segment;
    mp__ring_batch batch = mp__ring_put_begin(r);
    for (uint64_t i = 0; r->tail_segment == before; i++) {
        int rc = add(&batch, i);
        if (rc == MP_EFULL) {
            mp__ring_publish(r, &batch);
            rc = add(&batch, i);
        }
        CHECK(rc == 0);
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
    lock_after_death();
    assert_int_equal(put(there, 1000), 1000);
    for (uint32_t i = 0; i < 1000; i++)
        assert_true(get(there + i));
}

/* A producer dies between its three stores of a sum: bytes count if and only if the message is
 * there. */
static int die_counting(void *arg)
{
    int stores = *(int *)arg;
    mp__mutex_lock(&r->put_lock);
    mp__ring_batch batch = mp__ring_put_begin(r);
    CHECK(add(&batch, 1) == 0);
    r->pending_bytes = batch.bytes;
    if (stores > 0)
        r->pending_tail = (uint64_t)batch.at.count << 32 | batch.at.unit;
    if (stores > 1)
        mp__store_seq(&r->tail, r->pending_tail);
    if (stores > 2)
        r->put_bytes = batch.bytes;
    kill(getpid(), SIGKILL);
    return 1;
}

static void test_death_counting(void **state)
{
    (void)state;
    for (int stores = 0; stores < 4; stores++) {
        remake(0, weight(0) + weight(1) + weight(2));
        assert_int_equal(put(0, 1), 1);
        assert_int_equal(child_end(child_start(die_counting, &stores)), -SIGKILL);
        assert_int_equal(mp__ring_size(r), 1 + (stores > 1));
        lock_after_death();
        uint64_t in = mp__ring_size(r);
        assert_int_equal(put(in, 3), 3 - in); /* as many as fit */
        for (uint64_t i = 0; i < 3; i++)
            assert_true(get(i));
        assert_int_equal(put(3, 1), weight(3) <= r->capacity);
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
        TEST(test_histories),
        TEST(test_wrap_around),
        TEST(test_old_segment),
        TEST(test_fixed),
        TEST(test_death_before_publishing),
        TEST(test_death_linking),
        TEST(test_death_counting),
        TEST(test_unlimited_backlog),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
