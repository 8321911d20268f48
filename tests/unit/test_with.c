/* SPDX-License-Identifier: MIT */
/* MP_WITH: held in the block, released on every way out of it; for all four kinds. */
#include <mproc/error.h>
#include <mproc/with.h>

#include "support/shared.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static mp_lock *lock, *other;
static mp_rlock *rlock;
static mp_condition *condition;
static mp_semaphore *semaphore;

static int setup(void **state)
{
    (void)state;
    return mp_lock_new(&lock) + mp_lock_new(&other) + mp_rlock_new(&rlock) +
           mp_condition_new(&condition, .lock = other) + mp_semaphore_new(&semaphore, 1);
}

static int teardown(void **state)
{
    (void)state;
    mp_condition_free(condition);
    mp_lock_free(lock);
    mp_lock_free(other);
    mp_rlock_free(rlock);
    mp_semaphore_free(semaphore);
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

static bool rlock_held(mp_rlock *l)
{
    return mp_rlock_depth(l) > 0;
}

static bool condition_held(mp_condition *c)
{
    (void)c;
    return held(other);
}

static bool permit_held(mp_semaphore *s)
{
    return mp_semaphore_value(s) == 0;
}

/* Leaves the block in one way, from within a loop. */
#define LEAVE_BY(object, is_held)                                                                  \
    for (int i = 0; i < 3; i++) {                                                                  \
        MP_WITH (object) {                                                                         \
            if (!is_held(object))                                                                  \
                return -1;                                                                         \
            if (way == 0)                                                                          \
                return 10;                                                                         \
            if (way == 1)                                                                          \
                break; /* leaves the block, not the loop */                                        \
            if (way == 2)                                                                          \
                continue;                                                                          \
            if (way == 3)                                                                          \
                goto out;                                                                          \
        }                                                                                          \
        if (is_held(object))                                                                       \
            return -2;                                                                             \
    }                                                                                              \
    return 20;                                                                                     \
    out:                                                                                           \
    return 30

static int leave_lock(int way)
{
    LEAVE_BY(lock, held);
}

static int leave_rlock(int way)
{
    LEAVE_BY(rlock, rlock_held);
}

static int leave_condition(int way)
{
    LEAVE_BY(condition, condition_held);
}

static int leave_semaphore(int way)
{
    LEAVE_BY(semaphore, permit_held);
}

static void test_ways_out(void **state)
{
    (void)state;
    static int (*const leave[])(int) = {leave_lock, leave_rlock, leave_condition, leave_semaphore};
    static const int result[] = {10, 20, 20, 30, 20};
    for (int kind = 0; kind < 4; kind++)
        for (int way = 0; way < 5; way++) {
            assert_int_equal(leave[kind](way), result[way]);
            assert_false(held(lock) || rlock_held(rlock) || condition_held(condition) ||
                         permit_held(semaphore));
        }
}

static void test_nested(void **state)
{
    (void)state;
    int inner = 0, again = 0;
    MP_WITH (lock)
        MP_WITH (condition) {
            inner = held(lock) && held(other);
            MP_WITH (lock)
                again = 1; /* held already: skipped */
            assert_true(held(lock));
        }
    assert_int_equal(inner, 1);
    assert_int_equal(again, 0);
    assert_false(held(lock) || held(other));
    MP_WITH (rlock)
        MP_WITH (rlock)
            MP_WITH (semaphore)
                inner = 10 * mp_rlock_depth(rlock) + mp_semaphore_value(semaphore);
    assert_int_equal(inner, 20);
    assert_false(rlock_held(rlock) || permit_held(semaphore));
    if (inner)
        MP_WITH (lock)
            inner = 2;
    else
        inner = 3; /* belongs to the if, without a warning */
    assert_int_equal(inner, 2);
}

/* The object is named by any expression, and asked for once. */
static int asked;

static mp_semaphore *ask(void)
{
    asked++;
    return semaphore;
}

static void test_expression(void **state)
{
    (void)state;
    MP_WITH (ask())
        assert_true(permit_held(semaphore));
    assert_int_equal(asked, 1);
    assert_false(permit_held(semaphore));
}

typedef struct turns {
    word turn, waiting;
} turns;

static int wait_for_turn(void *arg)
{
    turns *t = arg;
    int rc = 99;
    MP_WITH_STATUS (condition, rc) {
        signal_word(&t->waiting);
        while (mp__load_relaxed(&t->turn) == 0)
            CHECK(mp_condition_wait(condition, 2 * LONG) == 0);
        CHECK(held(other));
        mp__store_relaxed(&t->turn, 2);
    }
    CHECK(rc == 0 && !held(other));
    return 0;
}

/* A condition is waited for, and notified, inside of the block. */
static void test_condition(void **state)
{
    (void)state;
    turns *t = common(sizeof *t);
    pid_t child = child_start(wait_for_turn, t);
    assert_true(await(&t->waiting, 1));
    MP_WITH (condition) { /* it waits by now, for only that gave the lock up */
        mp__store_relaxed(&t->turn, 1);
        assert_int_equal(mp_condition_notify(condition, 1), 1);
    }
    assert_int_equal(child_end(child), 0);
    assert_int_equal(mp__load_seq(&t->turn), 2);
    munmap(t, sizeof *t);
}

static int take(void *arg)
{
    return mp_lock_acquire(arg, MP_FOREVER);
}

static void test_status(void **state)
{
    (void)state;
    int rc = 99, ran = 0;
    MP_WITH_STATUS (lock, rc) {
        ran++;
        assert_int_equal(rc, 0);
        int second = 99;
        MP_WITH_STATUS (lock, second)
            ran += 100;
        assert_int_equal(second, MP_EDEADLK);
    }
    assert_int_equal(ran, 1);
    assert_int_equal(child_end(child_start(take, lock)), 0);
    MP_WITH_STATUS (lock, rc) {
        ran++;
        assert_true(held(lock));
        assert_int_equal(rc, MP_OWNERDEAD);
    }
    assert_int_equal(ran, 2);
    MP_WITH_STATUS (lock, rc)
        ran++;
    assert_int_equal(rc, 0);
    assert_int_equal(ran, 3);
    mp_interrupt();
    MP_WITH_STATUS (lock, rc)
        ran++;
    assert_int_equal(rc, MP_EINTR);
    MP_WITH_STATUS ((mp_lock *)NULL, rc)
        ran++;
    assert_int_equal(rc, MP_EINVAL);
    MP_WITH_STATUS ((mp_rlock *)NULL, rc)
        ran++;
    assert_int_equal(rc, MP_EINVAL);
    MP_WITH_STATUS ((mp_condition *)NULL, rc)
        ran++;
    assert_int_equal(rc, MP_EINVAL);
    MP_WITH_STATUS ((mp_semaphore *)NULL, rc)
        ran++;
    assert_int_equal(rc, MP_EINVAL);
    assert_int_equal(ran, 3);
    assert_false(held(lock));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_ways_out), TEST(test_nested),
                                       TEST(test_expression), TEST(test_condition),
                                       TEST(test_status)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
