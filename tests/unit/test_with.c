/* SPDX-License-Identifier: MIT */
/* MP_WITH: held in the block, released on every way out of it. */
#include <mproc/error.h>
#include <mproc/with.h>

#include "support/shared.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static mp_lock *lock, *other;

static int setup(void **state)
{
    (void)state;
    return mp_lock_new(&lock) + mp_lock_new(&other);
}

static int teardown(void **state)
{
    (void)state;
    mp_lock_free(lock);
    mp_lock_free(other);
    return 0;
}

/* Whether this thread holds it. */
static bool held(mp_lock *l)
{
    int rc = mp_lock_acquire(l, 0);
    if (rc >= 0)
        mp_lock_release(l);
    return rc == MP_EDEADLK;
}

static int leave_by(int way)
{
    for (int i = 0; i < 3; i++) {
        MP_WITH (lock) {
            if (!held(lock))
                return -1;
            if (way == 0)
                return 10;
            if (way == 1)
                break; /* leaves the block, not the loop */
            if (way == 2)
                continue;
            if (way == 3)
                goto out;
        }
        if (held(lock))
            return -2;
    }
    return 20;
out:
    return 30;
}

static void test_ways_out(void **state)
{
    (void)state;
    static const int result[] = {10, 20, 20, 30, 20};
    for (int way = 0; way < 5; way++) {
        assert_int_equal(leave_by(way), result[way]);
        assert_false(held(lock));
    }
}

static void test_nested(void **state)
{
    (void)state;
    int inner = 0, again = 0;
    MP_WITH (lock)
        MP_WITH (other) {
            inner = held(lock) && held(other);
            MP_WITH (lock)
                again = 1; /* held already: skipped */
            assert_true(held(lock));
        }
    assert_int_equal(inner, 1);
    assert_int_equal(again, 0);
    assert_false(held(lock) || held(other));
    if (inner)
        MP_WITH (lock)
            inner = 2;
    else
        inner = 3; /* belongs to the if, without a warning */
    assert_int_equal(inner, 2);
}

static int take(void *arg)
{
    return mp_lock_acquire(arg, MP_FOREVER);
}

static void test_status(void **state)
{
    (void)state;
    int rc = 99, ran = 0;
    MP_WITH_STATUS(lock, rc)
    {
        ran++;
        assert_int_equal(rc, 0);
        int second = 99;
        MP_WITH_STATUS(lock, second) ran += 100;
        assert_int_equal(second, MP_EDEADLK);
    }
    assert_int_equal(ran, 1);
    assert_int_equal(child_end(child_start(take, lock)), 0);
    MP_WITH_STATUS(lock, rc)
    {
        ran++;
        assert_true(held(lock));
        assert_int_equal(rc, MP_OWNERDEAD);
    }
    assert_int_equal(ran, 2);
    MP_WITH_STATUS(lock, rc) ran++;
    assert_int_equal(rc, 0);
    assert_int_equal(ran, 3);
    mp_interrupt();
    MP_WITH_STATUS(lock, rc) ran++;
    assert_int_equal(rc, MP_EINTR);
    MP_WITH_STATUS(NULL, rc) ran++;
    assert_int_equal(rc, MP_EINVAL);
    assert_int_equal(ran, 3);
    assert_false(held(lock));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_ways_out), TEST(test_nested), TEST(test_status)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
