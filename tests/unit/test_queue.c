/* SPDX-License-Identifier: MIT */
/* The queue, seen from one process and from calm others: codes, sizes, order, limits, closing. What
 * deaths do to it is in test_crash.c. */
#include <mproc/error.h>
#include <mproc/queue.h>
#include <mproc/shared.h>

#include "support/shared.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MIB ((size_t)1 << 20)

static mp_queue *q;
static word *words;
static size_t used;

static int setup(void **state)
{
    (void)state;
    words = common(4096);
    used = bytes_before();
    return words == NULL ? -1 : mp_queue_new(&q);
}

static int teardown(void **state)
{
    (void)state;
    mp_queue_free(q);
    munmap((void *)words, 4096);
    if (bytes_in_use() != used)
        return -1;
    return mp_shared_check(NULL);
}

static void remake(int maxsize, size_t capacity)
{
    mp_queue_free(q);
    assert_int_equal(mp_queue_new(&q, .maxsize = maxsize, .capacity = capacity), 0);
}

static void test_bad_arguments(void **state)
{
    (void)state;
    char buffer[8];
    size_t length;
    void *data;
    mp_bytes one = {buffer, 1, 8}, bad = {NULL, 1, 8};
    mp_queue *none = calloc(1, 4096);
    mp_queue *wrong[] = {NULL, none};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mp_queue_put(wrong[i], "", 1, 0), MP_EINVAL);
        assert_int_equal(mp_queue_get(wrong[i], buffer, 8, 0), MP_EINVAL);
        assert_int_equal(mp_queue_get_sized(wrong[i], buffer, 8, &length, 0), MP_EINVAL);
        assert_int_equal(mp_queue_get_exact(wrong[i], buffer, 8, 0), MP_EINVAL);
        assert_int_equal(mp_queue_get_alloc(wrong[i], &data, &length, 0), MP_EINVAL);
        assert_int_equal(mp_queue_put_many(wrong[i], &one, 1, 0), MP_EINVAL);
        assert_int_equal(mp_queue_get_many(wrong[i], &one, 1, 0), MP_EINVAL);
        assert_int_equal(mp_queue_size(wrong[i]), MP_EINVAL);
        assert_true(mp_queue_empty(wrong[i]));
        assert_false(mp_queue_full(wrong[i]));
        assert_int_equal(mp_queue_close(wrong[i]), MP_EINVAL);
        mp_queue_free(wrong[i]);
    }
    free(none);
    assert_int_equal(mp_queue_put(q, NULL, 1, 0), MP_EINVAL);
    assert_int_equal(mp_queue_put(q, "", 1, NAN), MP_EINVAL);
    assert_int_equal(mp_queue_get(q, NULL, 1, 0), MP_EINVAL);
    assert_int_equal(mp_queue_get(q, buffer, 8, NAN), MP_EINVAL);
    assert_int_equal(mp_queue_get_sized(q, buffer, 8, NULL, 0), MP_EINVAL);
    assert_int_equal(mp_queue_get_exact(q, NULL, 8, 0), MP_EINVAL);
    assert_int_equal(mp_queue_get_alloc(q, NULL, &length, 0), MP_EINVAL);
    assert_int_equal(mp_queue_get_alloc(q, &data, NULL, 0), MP_EINVAL);
    assert_int_equal(mp_queue_get_alloc(q, &data, &length, NAN), MP_EINVAL);
    assert_int_equal(mp_queue_put_many(q, &one, -1, 0), MP_EINVAL);
    assert_int_equal(mp_queue_put_many(q, NULL, 1, 0), MP_EINVAL);
    assert_int_equal(mp_queue_put_many(q, &bad, 1, 0), MP_EINVAL);
    assert_int_equal(mp_queue_put_many(q, &one, 1, NAN), MP_EINVAL);
    assert_int_equal(mp_queue_put_many(q, NULL, 0, 0), 0);
    assert_int_equal(mp_queue_get_many(q, &one, -1, 0), MP_EINVAL);
    assert_int_equal(mp_queue_get_many(q, NULL, 1, 0), MP_EINVAL);
    assert_int_equal(mp_queue_get_many(q, &bad, 1, 0), MP_EINVAL);
    assert_int_equal(mp_queue_get_many(q, NULL, 0, 0), 0);
    assert_int_equal(mp_queue_size(q), 0);
}

static void test_tries_and_deadlines(void **state)
{
    (void)state;
    char buffer[8];
    mp_bytes one = {buffer, 1, 8};
    size_t length = 9;
    void *data = buffer;
    remake(1, 0);
    static const double timeouts[] = {0, -1, -INFINITY, 0.12};
    for (size_t i = 0; i < 4; i++) {
        double t = timeouts[i], start = seconds();
        assert_int_equal(mp_queue_get(q, buffer, 8, t), MP_EEMPTY);
        assert_true(seconds() - start >= t && seconds() - start < LONG / 2);
        assert_int_equal(mp_queue_get_sized(q, buffer, 8, &length, t), MP_EEMPTY);
        assert_int_equal(length, 0);
        assert_int_equal(mp_queue_get_exact(q, buffer, 8, t), MP_EEMPTY);
        assert_int_equal(mp_queue_get_alloc(q, &data, &length, t), MP_EEMPTY);
        assert_null(data);
        assert_int_equal(mp_queue_get_many(q, &one, 1, t), MP_EEMPTY);
        assert_int_equal(mp_queue_put(q, "x", 1, t), 0);
        start = seconds();
        assert_int_equal(mp_queue_put(q, "y", 1, t), MP_EFULL);
        assert_true(seconds() - start >= t && seconds() - start < LONG / 2);
        assert_int_equal(mp_queue_put_many(q, &one, 1, t), MP_EFULL);
        assert_int_equal(mp_queue_get(q, buffer, 8, t), 1);
        assert_int_equal(buffer[0], 'x');
    }
}

/* A limit of bytes: exact, 8 for each message, honoured with its deadline. */
static void test_capacity(void **state)
{
    (void)state;
    char buffer[5000] = {0};
    remake(0, 1000);
    assert_int_equal(mp_queue_put(q, buffer, 993, 0), MP_EMSGSIZE);
    assert_int_equal(mp_queue_put(q, buffer, 5000, 0), MP_EMSGSIZE);
    assert_int_equal(mp_queue_put(q, buffer, SIZE_MAX, 0), MP_EMSGSIZE);
    assert_int_equal(mp_queue_put(q, buffer, 992, 0), 0);
    assert_int_equal(mp_queue_put(q, NULL, 0, 0), MP_EFULL);
    assert_int_equal(mp_queue_get(q, buffer, 5000, 0), 992);
    for (int i = 0; i < 10; i++)
        assert_int_equal(mp_queue_put(q, buffer, 92, 0), 0);
    double start = seconds();
    assert_int_equal(mp_queue_put(q, NULL, 0, 0.12), MP_EFULL);
    assert_true(seconds() - start >= 0.12 && seconds() - start < LONG / 2);
    assert_false(mp_queue_full(q)); /* that is said of maxsize */
    assert_int_equal(mp_queue_get(q, buffer, 5000, 0), 92);
    for (int i = 0; i < 12; i++)
        assert_int_equal(mp_queue_put(q, NULL, 0, 0), 0);
    assert_int_equal(mp_queue_put(q, NULL, 0, 0), MP_EFULL);
    assert_int_equal(mp_queue_size(q), 21);
    remake(0, 10 * MIB); /* blocks count with their own length */
    char *large = calloc(1, 4 * MIB);
    assert_int_equal(mp_queue_put(q, large, 4 * MIB, 0), 0);
    assert_int_equal(mp_queue_put(q, large, 4 * MIB, 0), 0);
    assert_int_equal(mp_queue_put(q, large, 4 * MIB, 0), MP_EFULL);
    assert_int_equal(mp_queue_get(q, large, 4 * MIB, 0), 4 * MIB);
    assert_int_equal(mp_queue_put(q, large, 4 * MIB, 0), 0);
    free(large);
}

static void test_sizes(void **state)
{
    (void)state;
    unsigned char *in = malloc(16 * MIB), *out = malloc(16 * MIB);
    for (size_t i = 0; i < 16 * MIB; i++)
        in[i] = (unsigned char)(i * 2654435761u >> 11);
    static const size_t size[] = {0,    1,    7,    8,     9,     4088,    4095,    4096,
                                  4097, 8192, 8193, 65535, 65536, 1 << 20, 5 << 20, 16 << 20};
    size_t count = fewer(2) == 2 ? 16 : 14, needed;
    for (size_t i = 0; i < count; i++)
        assert_int_equal(mp_queue_put(q, in + i, size[i] - (i && i == count - 1 ? i : 0), 0), 0);
    for (size_t i = 0; i < count; i++) {
        size_t length = size[i] - (i && i == count - 1 ? i : 0);
        for (int k = 0; k < 2 && length > 0; k++) { /* too small: it stays, and tells */
            assert_int_equal(mp_queue_get(q, out, length - 1, 0), MP_EMSGSIZE);
            assert_int_equal(mp_queue_get_sized(q, out, 0, &needed, LONG), MP_EMSGSIZE);
            assert_int_equal(needed, length);
        }
        memset(out, 0, length);
        assert_int_equal(mp_queue_get_sized(q, out, length, &needed, 0), length);
        assert_int_equal(needed, length);
        assert_memory_equal(out, in + i, length);
    }
    free(in);
    free(out);
}

static void test_get_alloc(void **state)
{
    (void)state;
    void *data;
    size_t length;
    char big[10000];
    memset(big, 'b', sizeof big);
    assert_int_equal(mp_queue_put(q, NULL, 0, 0), 0);
    assert_int_equal(mp_queue_put(q, big, 256, 0), 0);
    assert_int_equal(mp_queue_put(q, big, 257, 0), 0);
    assert_int_equal(mp_queue_put(q, big, sizeof big, 0), 0);
    static const size_t expected[] = {0, 256, 257, sizeof big};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(mp_queue_get_alloc(q, &data, &length, LONG), 0);
        assert_non_null(data);
        assert_int_equal(length, expected[i]);
        assert_memory_equal(data, big, length);
        free(data);
    }
}

static void test_typed(void **state)
{
    (void)state;
    struct point {
        double x, y;
    } p = {1, 2}, back;
    long l;
    int i;
    assert_int_equal(MP_PUT(q, 42, LONG), 0);
    assert_int_equal(MP_PUT(q, p, LONG), 0);
    assert_int_equal(MP_PUT(q, 7L, LONG), 0);
    assert_int_equal(MP_GET(q, &l, LONG), MP_EMSGSIZE); /* an int, not a long; it stays */
    assert_int_equal(MP_GET(q, &i, LONG), 0);
    assert_int_equal(i, 42);
    assert_int_equal(MP_GET(q, &i, LONG), MP_EMSGSIZE);
    assert_int_equal(MP_GET(q, &back, LONG), 0);
    assert_memory_equal(&back, &p, sizeof p);
    assert_int_equal(MP_GET(q, &l, 0), 0);
    assert_int_equal(l, 7);
    assert_int_equal(MP_GET(q, &l, 0), MP_EEMPTY);
}

static void test_many(void **state)
{
    (void)state;
    enum { N = 100 };
    static char in[N], out[N][16];
    mp_bytes put[N], get[N];
    for (int i = 0; i < N; i++) {
        in[i] = (char)i;
        put[i] = (mp_bytes){&in[i], 1, 0};
        get[i] = (mp_bytes){out[i], 0, 16};
    }
    assert_int_equal(mp_queue_put_many(q, put, N, 0), N);
    assert_int_equal(mp_queue_get_many(q, get, 70, 0), 70);
    assert_int_equal(mp_queue_get_many(q, get + 70, 70 - 40, LONG), 30); /* as many as there are */
    for (int i = 0; i < N; i++) {
        assert_int_equal(get[i].length, 1);
        assert_int_equal(out[i][0], i);
    }
    assert_int_equal(mp_queue_get_many(q, get, N, 0), MP_EEMPTY);

    remake(10, 0); /* as many as fit; then none */
    assert_int_equal(mp_queue_put_many(q, put, N, 0.01), 10);
    assert_int_equal(mp_queue_put_many(q, put, N, 0), MP_EFULL);
    get[3].capacity = 0; /* a place where the next does not fit */
    assert_int_equal(mp_queue_get_many(q, get, 10, 0), 3);
    assert_int_equal(mp_queue_get_many(q, get + 3, 7, 0), MP_EMSGSIZE);
    get[3].capacity = 16;
    assert_int_equal(mp_queue_get_many(q, get + 3, 97, LONG), 7);

    remake(0, 100);
    static char large[200];
    put[2] = (mp_bytes){large, 93, 0}; /* never fits */
    assert_int_equal(mp_queue_put_many(q, put, N, 0), 2);
    assert_int_equal(mp_queue_put_many(q, put + 2, 1, 0), MP_EMSGSIZE);
    put[2] = (mp_bytes){NULL, 5, 0};
    assert_int_equal(mp_queue_put_many(q, put, 3, 0), 2);
    assert_int_equal(mp_queue_size(q), 4);
}

static void test_state(void **state)
{
    (void)state;
    remake(2, 0);
    assert_true(mp_queue_empty(q));
    for (int i = 0; i < 2; i++) {
        assert_false(mp_queue_full(q));
        assert_int_equal(mp_queue_size(q), i);
        assert_int_equal(MP_PUT(q, i, 0), 0);
        assert_false(mp_queue_empty(q));
    }
    assert_true(mp_queue_full(q));
    assert_int_equal(mp_queue_size(q), 2);
    int out;
    assert_int_equal(MP_GET(q, &out, 0), 0);
    assert_false(mp_queue_full(q));
}

static void test_close(void **state)
{
    (void)state;
    char buffer[8];
    mp_bytes one = {buffer, 1, 8};
    void *data;
    size_t length;
    assert_int_equal(mp_queue_put(q, "ab", 2, 0), 0);
    assert_int_equal(mp_queue_close(q), 0);
    assert_int_equal(mp_queue_close(q), 0);
    assert_int_equal(mp_queue_put(q, "x", 1, 0), MP_ECLOSED);
    assert_int_equal(mp_queue_put(q, "x", 1, MP_FOREVER), MP_ECLOSED);
    assert_int_equal(mp_queue_put_many(q, &one, 1, LONG), MP_ECLOSED);
    assert_int_equal(mp_queue_get(q, buffer, 1, LONG), MP_EMSGSIZE);
    assert_int_equal(mp_queue_get(q, buffer, 8, LONG), 2);
    static const double timeouts[] = {0, LONG, MP_FOREVER};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(mp_queue_get(q, buffer, 8, timeouts[i]), MP_ECLOSED);
        assert_int_equal(mp_queue_get_many(q, &one, 1, timeouts[i]), MP_ECLOSED);
        assert_int_equal(mp_queue_get_alloc(q, &data, &length, timeouts[i]), MP_ECLOSED);
    }
}

static int blocked_get(void *arg)
{
    (void)arg;
    char byte;
    signal_word(&words[0]);
    CHECK(mp_queue_get(q, &byte, 1, MP_FOREVER) == MP_ECLOSED);
    return 0;
}

static int blocked_put(void *arg)
{
    (void)arg;
    signal_word(&words[0]);
    CHECK(mp_queue_put(q, "x", 1, MP_FOREVER) == MP_ECLOSED);
    return 0;
}

static void test_close_wakes(void **state)
{
    (void)state;
    for (int put = 0; put < 2; put++) {
        remake(1, 0);
        if (put)
            assert_int_equal(mp_queue_put(q, "x", 1, 0), 0);
        mp__store_seq(&words[0], 0);
        pid_t child[4];
        for (int i = 0; i < 4; i++)
            child[i] = child_start(put ? blocked_put : blocked_get, NULL);
        assert_true(await(&words[0], 4));
        for (int i = 0; i < 4; i++)
            until_asleep(child[i]);
        assert_int_equal(child_end(child_start((int (*)(void *))mp_queue_close, q)), 0);
        for (int i = 0; i < 4; i++)
            assert_int_equal(child_end(child[i]), 0);
    }
}

/* Pains C1, C3, C5: put copies at once, and what was put is there when the process has ended. */
static int put_and_vanish(void *arg)
{
    (void)arg;
    long value;
    for (int i = 0; i < 20000; i++) {
        value = i;
        CHECK(MP_PUT(q, value, MP_FOREVER) == 0);
        value = -1;
    }
    kill(getpid(), SIGKILL);
    return 1;
}

static void test_nothing_is_buffered(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(put_and_vanish, NULL)), -SIGKILL);
    assert_int_equal(mp_queue_size(q), 20000);
    for (long i = 0, value; i < 20000; i++) {
        assert_int_equal(MP_GET(q, &value, 0), 0);
        assert_int_equal(value, i);
    }
}

/* Pain C2: visible, to others too, when put returns. */
static int see(void *arg)
{
    (void)arg;
    char c;
    for (uint32_t i = 1; i <= 2000; i++) {
        CHECK(await(&words[0], i));
        CHECK(!mp_queue_empty(q) && mp_queue_size(q) == 1);
        CHECK(mp_queue_get(q, &c, 1, 0) == 1 && c == (char)i);
        CHECK(mp_queue_empty(q) && mp_queue_get(q, &c, 1, 0) == MP_EEMPTY);
        signal_word(&words[1]);
    }
    return 0;
}

static void test_visible_when_put(void **state)
{
    (void)state;
    pid_t child = child_start(see, NULL);
    for (uint32_t i = 1; i <= 2000; i++) {
        assert_int_equal(mp_queue_put(q, &(char){(char)i}, 1, 0), 0);
        signal_word(&words[0]);
        assert_true(await(&words[1], i));
    }
    assert_int_equal(child_end(child), 0);
}

static mp_queue **post; /* where the younger queue's address is left */

static int use_younger(void *arg)
{
    (void)arg;
    char text[16];
    CHECK(await(&words[0], 1));
    CHECK(mp_queue_get(*post, text, 16, MP_FOREVER) == 5 && memcmp(text, "hello", 5) == 0);
    CHECK(mp_queue_put(*post, "world!", 6, MP_FOREVER) == 0);
    return 0;
}

static void test_handed_to_an_older_process(void **state)
{
    (void)state;
    char text[16];
    post = common(sizeof *post);
    pid_t child = child_start(use_younger, NULL);
    mp_queue *younger;
    assert_int_equal(mp_queue_new(&younger), 0);
    *post = younger;
    signal_word(&words[0]);
    assert_int_equal(mp_queue_put(younger, "hello", 5, 0), 0);
    assert_int_equal(child_end(child), 0);
    assert_int_equal(mp_queue_get(younger, text, 16, 0), 6);
    mp_queue_free(younger);
    munmap(post, sizeof *post);
}

/* What was never taken out goes with the queue, blocks as well (teardown counts). */
static void test_free_full(void **state)
{
    (void)state;
    char *large = calloc(1, MIB);
    for (size_t i = 0; i < 3000; i++)
        assert_int_equal(mp_queue_put(q, large, i % 500 == 0 ? MIB : i * 2, 0), 0);
    free(large);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_bad_arguments),
        TEST(test_tries_and_deadlines),
        TEST(test_capacity),
        TEST(test_sizes),
        TEST(test_get_alloc),
        TEST(test_typed),
        TEST(test_many),
        TEST(test_state),
        TEST(test_close),
        TEST(test_close_wakes),
        TEST(test_nothing_is_buffered),
        TEST(test_visible_when_put),
        TEST(test_handed_to_an_older_process),
        TEST(test_free_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
