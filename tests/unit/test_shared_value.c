/* SPDX-License-Identifier: MIT */
/* MP_VALUE and MP_ARRAY: initial values, alignment, length, refusals, other processes. */
#include <mproc/error.h>
#include <mproc/lock.h>
#include <mproc/shared.h>

#include "support/shared.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct point {
    int x, y;
};
struct wide {
    _Alignas(64) char c;
};
struct page {
    _Alignas(4096) char c[3];
};
union either {
    double d;
    char text[16];
};

static size_t used;

static int setup(void **state)
{
    (void)state;
    if (mp_init() != 0)
        return -1;
    used = bytes_in_use();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return bytes_in_use() == used ? mp_shared_check(NULL) : -1;
}

static void test_values(void **state)
{
    (void)state;
    static const struct point origin = {-1, -2};
    int *i = MP_VALUE(int, 5);
    struct point *p = MP_VALUE(struct point, {3, 4});
    struct point *q = MP_VALUE(struct point, {.y = 7});
    struct point *copy = MP_VALUE(struct point, origin);
    union either *e = MP_VALUE(union either, {.text = "hello"});
    double *d = MP_VALUE(double, *i + 0.5);
    const char **s = MP_VALUE(const char *, "static");
    bool *b = MP_VALUE(bool, true);
    assert_true(*i == 5 && *d == 5.5 && *b && strcmp(*s, "static") == 0);
    assert_true(p->x == 3 && p->y == 4 && q->x == 0 && q->y == 7);
    assert_true(copy->x == -1 && copy->y == -2);
    assert_string_equal(e->text, "hello");
    assert_int_equal(mp_shared_error(), 0);
    void *all[] = {i, p, q, copy, e, d, s, b};
    for (int k = 0; k < 8; k++) {
        assert_int_equal(mp_array_length(all[k]), MP_EINVAL);
        mp_shared_free(all[k]);
        assert_int_equal(mp_shared_error(), 0);
    }
}

static int add_many(void *arg)
{
    _Atomic long *n = arg;
    for (int i = 0; i < 10000; i++)
        mp__add_relaxed(n, 1);
    return 0;
}

/* An atomic counts right from several processes. */
static void test_atomic(void **state)
{
    (void)state;
    pid_t child[3];
    _Atomic long *n = MP_VALUE(_Atomic long, 7);
    assert_int_equal(mp__load_relaxed(n), 7);
    for (int i = 0; i < 3; i++)
        child[i] = child_start(add_many, (void *)n);
    for (int i = 0; i < 3; i++)
        assert_int_equal(child_end(child[i]), 0);
    assert_int_equal(mp__load_relaxed(n), 30007);
    mp_shared_free((void *)n);
}

#define ALIGNED(p, alignment) assert_true((p) != NULL && mp__is_aligned((p), (alignment)))

static void test_alignment(void **state)
{
    (void)state;
    enum { COUNT = 40 };
    void *all[4 * COUNT];
    for (int i = 0; i < COUNT; i++) {
        all[4 * i] = MP_VALUE(struct wide, {'x'});
        all[4 * i + 1] = MP_ARRAY(struct wide, i);
        all[4 * i + 2] = MP_VALUE(struct page, {"ab"});
        all[4 * i + 3] = MP_ARRAY(struct page, i); /* small and large */
        ALIGNED(all[4 * i], 64);
        ALIGNED(all[4 * i + 1], 64);
        ALIGNED(all[4 * i + 2], 4096);
        ALIGNED(all[4 * i + 3], 4096);
        assert_int_equal(mp_array_length(all[4 * i + 1]), i);
        assert_int_equal(mp_array_length(all[4 * i + 3]), i);
    }
    for (int i = 0; i < 4 * COUNT; i++)
        mp_shared_free(all[i]);
    for (size_t alignment = 1; alignment <= 4096; alignment *= 2)
        for (size_t size = 1; size < 70000; size = size * 3 / 2 + 1) {
            void *p = mp_shared_value(NULL, size, alignment);
            ALIGNED(p, alignment);
            mp_shared_free(p);
        }
}

static void test_arrays(void **state)
{
    (void)state;
    static const int count[] = {0, 1, 2, 3, 12, 100, 8000, 8192, 100000};
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 9; i++) {
            long *a = MP_ARRAY(long, count[i]);
            assert_non_null(a);
            assert_int_equal(mp_array_length(a), count[i]);
            for (int k = 0; k < count[i]; k++) {
                assert_int_equal(a[k], 0);
                a[k] = -1; /* all of it is the user's */
            }
            assert_int_equal(mp_array_length(a), count[i]);
            assert_int_equal(mp_array_length(a + 1), MP_EINVAL);
            assert_int_equal(mp_array_length((char *)a + 4096), MP_EINVAL);
            mp_shared_free(a);
            assert_int_equal(mp_array_length(a), MP_EINVAL);
            size_t size = (size_t)count[i] * sizeof *a + 16; /* the same block again, maybe */
            void *plain = mp_shared_alloc(size);
            assert_int_equal(mp_array_length(plain), MP_EINVAL);
            mp_shared_free(plain);
        }
}

/* The error is the last call's, whether that failed or not. */
static void test_elements(void **state)
{
    (void)state;
    int *a = MP_ARRAY(int, 3);
    for (int round = 0; round < 2; round++) {
        assert_null(MP_AT(a, 3));
        assert_int_equal(mp_shared_error(), MP_EINVAL);
        assert_ptr_equal(MP_AT(a, -3), a);
        assert_int_equal(mp_shared_error(), 0);
    }
    mp_shared_free(a);
    assert_null(MP_AT(a, 0));
}

/* A block that is handed out again is no array, whatever stood in it. */
static void test_no_array(void **state)
{
    (void)state;
    int *a = MP_ARRAY(int, 4), local;
    assert_int_equal(mp_array_length(a), 4);
    char *copy = mp_shared_alloc(32); /* same class: with the trailer of another address */
    memcpy(copy, a, 32);
    assert_int_equal(mp_array_length(copy), MP_EINVAL);
    mp_shared_free(copy);
    memset(a, 255, 32); /* written far beyond its end */
    assert_int_equal(mp_array_length(a), MP_EINVAL);
    mp_shared_free(a);
    assert_int_equal(mp_array_length(NULL), MP_EINVAL);
    assert_int_equal(mp_array_length(&local), MP_EINVAL);
    assert_int_equal(mp_array_length(mp__arena_get()), MP_EINVAL);
}

static void test_refusals(void **state)
{
    (void)state;
    static const ssize_t bad[] = {-1, -SSIZE_MAX - 1, SSIZE_MAX, SSIZE_MAX / 8 * 2 + 1};
    for (int i = 0; i < 4; i++) {
        assert_null(MP_ARRAY(double, bad[i]));
        assert_int_equal(mp_shared_error(), MP_EINVAL);
    }
    assert_null(MP_ARRAY(char, SIZE_MAX)); /* unsigned, and as bad */
    assert_int_equal(mp_shared_error(), MP_EINVAL);
    assert_null(MP_ARRAY(char, (ssize_t)1 << 45));
    assert_int_equal(mp_shared_error(), MP_ENOMEM);
    static const size_t alignment[] = {0, 3, 8192, SIZE_MAX, 48};
    for (int i = 0; i < 5; i++) {
        assert_null(mp_shared_value(NULL, 8, alignment[i]));
        assert_int_equal(mp_shared_error(), MP_EINVAL);
        assert_null(mp_shared_array(8, 8, alignment[i]));
        assert_int_equal(mp_shared_error(), MP_EINVAL);
    }
    assert_null(mp_shared_array(8, 0, 8));
    assert_int_equal(mp_shared_error(), MP_EINVAL);
    int *good = MP_VALUE(int, 1);
    assert_int_equal(mp_shared_error(), 0);
    mp_shared_free(good);
}

/* Value with its lock: a structure with an mp_lock in it. */
typedef struct account {
    mp_lock lock;
    long balance;
    long (*history)[2];
} account;

static int deposit(void *arg)
{
    account *a = arg;
    CHECK(mp_array_length(a->history) == 10);
    for (int i = 0; i < 1000; i++) {
        CHECK(mp_lock_acquire(&a->lock, MP_FOREVER) >= 0);
        a->balance++;
        a->history[i % 10][0]++;
        CHECK(mp_lock_release(&a->lock) == 0);
    }
    return 0;
}

static void test_with_lock(void **state)
{
    (void)state;
    typedef long pair[2];
    pid_t child[2];
    account *a = MP_VALUE(account, {.balance = 100});
    a->history = MP_ARRAY(pair, 10);
    assert_int_equal(mp_lock_init(&a->lock), 0);
    for (int i = 0; i < 2; i++)
        child[i] = child_start(deposit, a);
    for (int i = 0; i < 2; i++)
        assert_int_equal(child_end(child[i]), 0);
    assert_true(a->balance == 2100 && a->history[9][0] == 200 && a->history[9][1] == 0);
    mp_lock_fini(&a->lock);
    mp_shared_free(a->history);
    mp_shared_free(a);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_values),   TEST(test_atomic),   TEST(test_alignment), TEST(test_arrays),
        TEST(test_elements), TEST(test_no_array), TEST(test_refusals),  TEST(test_with_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
