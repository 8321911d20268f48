/* SPDX-License-Identifier: MIT */
/* The lock: exclusion, ownership, deadlines, and what a death of the owner does. */
#include <mproc/error.h>
#include <mproc/lock.h>
#include <mproc/shared.h>

#include "support/shared.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static mp_lock *lock;
static word *words; /* events between processes; zeroed for each test */

static int setup(void **state)
{
    (void)state;
    words = common(4096);
    return words == NULL ? -1 : mp_lock_new(&lock);
}

static int teardown(void **state)
{
    (void)state;
    mp_lock_free(lock);
    munmap((void *)words, 4096);
    return mp_shared_check(NULL);
}

static void test_bad_arguments(void **state)
{
    (void)state;
    mp_lock raw[2];
    memset(raw, 0, sizeof raw);
    assert_int_equal(mp_lock_acquire(NULL, 1), MP_EINVAL);
    assert_int_equal(mp_lock_release(NULL), MP_EINVAL);
    assert_int_equal(mp_lock_acquire(raw, 1), MP_EINVAL);
    assert_int_equal(mp_lock_release(raw), MP_EINVAL);
    assert_int_equal(mp_lock_init(NULL), MP_EINVAL);
    assert_int_equal(mp_lock_init((mp_lock *)(void *)((char *)raw + 8)), MP_EINVAL);
    assert_int_equal(mp_lock_fini(NULL), MP_EINVAL);
    assert_int_equal(mp_lock_fini(raw), MP_EINVAL);
    assert_int_equal(mp_lock_acquire(lock, NAN), MP_EINVAL);
    assert_int_equal(mp_lock_release(lock), MP_EPERM);
    mp_lock_free(NULL);
}

static void test_owner(void **state)
{
    (void)state;
    static const double timeouts[] = {0, -1, -INFINITY, 1e-9, 0.01, 1e300, INFINITY};
    for (size_t i = 0; i < sizeof timeouts / sizeof *timeouts; i++) {
        assert_int_equal(mp_lock_acquire(lock, timeouts[i]), 0);
        for (size_t k = 0; k < sizeof timeouts / sizeof *timeouts; k++)
            assert_int_equal(mp_lock_acquire(lock, timeouts[k]), MP_EDEADLK);
        assert_int_equal(mp_lock_release(lock), 0);
        assert_int_equal(mp_lock_release(lock), MP_EPERM);
    }
}

/* A stranger: may not release, gets nothing at a try, and at a deadline not before it. */
static int be_stranger(void *arg)
{
    (void)arg;
    CHECK(mp_lock_release(lock) == MP_EPERM);
    CHECK(mp_lock_acquire(lock, 0) == MP_ETIMEDOUT);
    CHECK(mp_lock_acquire(lock, MP_NO_WAIT) == MP_ETIMEDOUT);
    double start = seconds();
    CHECK(mp_lock_acquire(lock, 0.15) == MP_ETIMEDOUT);
    CHECK(seconds() - start >= 0.15 && seconds() - start < LONG / 2);
    return 0;
}

static int fork_stranger(void *arg)
{
    CHECK(child_end(child_start(be_stranger, arg)) == 0);
    return 0;
}

static void test_strangers(void **state)
{
    (void)state;
    task t;
    assert_int_equal(mp_lock_acquire(lock, MP_FOREVER), 0);
    assert_int_equal(child_end(child_start(be_stranger, NULL)), 0);
    assert_int_equal(task_start(&t, be_stranger, NULL), 0);
    assert_int_equal(task_end(&t), 0);
    assert_int_equal(task_start(&t, fork_stranger, NULL), 0);
    assert_int_equal(task_end(&t), 0);
    assert_int_equal(mp_lock_release(lock), 0);
}

#define ROUNDS  20000
#define WORKERS 6

static volatile long *counter; /* not atomic: the lock alone protects it */

static int count_up(void *arg)
{
    (void)arg;
    for (int i = 0; i < fewer(ROUNDS); i++) {
        CHECK(mp_lock_acquire(lock, MP_FOREVER) == 0);
        long seen = counter[0];
        counter[1] = seen;
        if (i % 512 == 0)
            sched_yield();
        CHECK(counter[1] == seen);
        counter[0] = seen + 1;
        CHECK(mp_lock_release(lock) == 0);
    }
    return 0;
}

static int count_in_thread(void *arg)
{
    task t;
    CHECK(task_start(&t, count_up, arg) == 0);
    CHECK(count_up(arg) == 0);
    CHECK(task_end(&t) == 0);
    return 0;
}

static void test_exclusion(void **state)
{
    (void)state;
    pid_t child[WORKERS / 2];
    counter = mp_shared_calloc(2, sizeof *counter);
    for (int i = 0; i < WORKERS / 2; i++)
        child[i] = child_start(count_in_thread, NULL);
    for (int i = 0; i < WORKERS / 2; i++)
        assert_int_equal(child_end(child[i]), 0);
    assert_int_equal(counter[0], (long)fewer(ROUNDS) * WORKERS);
    mp_shared_free((void *)counter);
}

/* Acquires with what arg points to as the result it expects, says so, and sleeps until killed. */
static int hold(void *arg)
{
    CHECK(mp_lock_acquire(lock, MP_FOREVER) == *(int *)arg);
    signal_word(&words[0]);
    for (;;)
        pause();
}

static int hold_and_leave(void *arg)
{
    CHECK(mp_lock_acquire(lock, MP_FOREVER) == *(int *)arg);
    return 0;
}

static void test_death_of_the_owner(void **state)
{
    (void)state;
    int expected = 0;
    for (uint32_t i = 0; i < 20; i++) {
        pid_t child = child_start(hold, &expected);
        assert_true(await(&words[0], i + 1));
        assert_int_equal(mp_lock_acquire(lock, 0), MP_ETIMEDOUT);
        assert_int_equal(child_kill(child), -SIGKILL);
        expected = MP_OWNERDEAD; /* again, if the next one dies as well */
    }
    assert_int_equal(mp_lock_acquire(lock, 0), MP_OWNERDEAD);
    assert_int_equal(mp_lock_release(lock), 0);
    assert_int_equal(mp_lock_acquire(lock, 0), 0); /* told once */
    assert_int_equal(mp_lock_release(lock), 0);
    assert_int_equal(child_end(child_start(hold_and_leave, &(int){0})),
                     0); /* exit is a death, too */
    assert_int_equal(mp_lock_acquire(lock, 0), MP_OWNERDEAD);
    assert_int_equal(mp_lock_release(lock), 0);
}

static void test_end_of_the_thread(void **state)
{
    (void)state;
    task t;
    assert_int_equal(task_start(&t, hold_and_leave, &(int){0}), 0);
    assert_int_equal(task_end(&t), 0);
    assert_int_equal(mp_lock_acquire(lock, LONG), MP_OWNERDEAD);
    assert_int_equal(mp_lock_release(lock), 0);
    assert_int_equal(mp_lock_acquire(lock, 0), 0);
    assert_int_equal(mp_lock_release(lock), 0);
}

/* Says which thread it is, waits for the lock, tells how that went, and passes it on. */
static int wait_for_it(void *arg)
{
    word *mine = arg;
    signal_word(mine);
    int rc = mp_lock_acquire(lock, MP_FOREVER);
    CHECK(rc >= 0);
    mp__add_seq(&words[1], rc == MP_OWNERDEAD);
    CHECK(mp_lock_release(lock) == 0);
    return 0;
}

static void test_waiters_of_a_dead_owner(void **state)
{
    (void)state;
    for (uint32_t round = 1; round <= 10; round++) {
        pid_t waiter[3];
        pid_t owner = child_start(hold, &(int){0});
        assert_true(await(&words[0], round));
        for (int i = 0; i < 3; i++) {
            waiter[i] = child_start(wait_for_it, &words[10 + i]);
            assert_true(await(&words[10 + i], round));
            until_asleep(waiter[i]);
        }
        double start = seconds();
        assert_int_equal(child_kill(owner), -SIGKILL);
        for (int i = 0; i < 3; i++)
            assert_int_equal(child_end(waiter[i]), 0);
        assert_true(seconds() - start < LONG / 2);
        assert_int_equal(mp__load_seq(&words[1]), round); /* exactly one of them was told */
    }
}

/* A waiter is killed: the others are not harmed by what it was given. */
static void test_death_of_waiters(void **state)
{
    (void)state;
    assert_int_equal(mp_lock_acquire(lock, 0), 0);
    pid_t waiter[8];
    for (int i = 0; i < 8; i++) {
        waiter[i] = child_start(wait_for_it, &words[10 + i]);
        assert_true(await(&words[10 + i], 1));
        until_asleep(waiter[i]);
    }
    for (int i = 0; i < 8; i += 2)
        kill(waiter[i], SIGKILL);
    assert_int_equal(mp_lock_release(lock), 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(child_end(waiter[i]), i % 2 == 0 ? -SIGKILL : 0);
    assert_in_range(mp_lock_acquire(lock, LONG), 0, MP_OWNERDEAD);
    assert_int_equal(mp_lock_release(lock), 0);
}

static void test_stopped_owner(void **state)
{
    (void)state;
    pid_t child = child_start(hold, &(int){0});
    assert_true(await(&words[0], 1));
    kill(child, SIGSTOP);
    until_asleep(child);
    assert_int_equal(mp_lock_acquire(lock, 0), MP_ETIMEDOUT);
    assert_int_equal(mp_lock_acquire(lock, 0.2), MP_ETIMEDOUT);
    assert_int_equal(child_kill(child), -SIGKILL);
    assert_int_equal(mp_lock_acquire(lock, LONG), MP_OWNERDEAD);
    assert_int_equal(mp_lock_release(lock), 0);
}

#define MOST 1024

static mp_lock *many; /* MOST + 1 */

static int hold_most(void *arg)
{
    for (int i = 0; i < MOST; i++)
        CHECK(mp_lock_acquire(&many[i], MP_FOREVER) == 0);
    CHECK(mp_lock_acquire(&many[MOST], 0) == MP_EAGAIN);
    CHECK(mp_lock_acquire(&many[MOST], MP_FOREVER) == MP_EAGAIN);
    CHECK(mp_lock_acquire(&many[7], MP_FOREVER) == MP_EDEADLK);
    CHECK(mp_lock_release(&many[MOST / 2]) == 0);
    CHECK(mp_lock_acquire(&many[MOST], 0) == 0);
    CHECK(mp_lock_acquire(&many[MOST / 2], 0) == MP_EAGAIN);
    CHECK(mp_lock_release(&many[MOST]) == 0);
    CHECK(mp_lock_acquire(&many[MOST / 2], 0) == 0);
    void *p = mp_shared_alloc(100000); /* internal locks still work */
    CHECK(p != NULL);
    mp_shared_free(p);
    if (arg == NULL)
        return 0;
    signal_word(&words[0]);
    for (;;)
        pause();
}

static void test_most_locks(void **state)
{
    (void)state;
    many = mp_shared_calloc(MOST + 1, sizeof *many);
    for (int i = 0; i <= MOST; i++)
        assert_int_equal(mp_lock_init(&many[i]), 0);
    for (int killed = 0; killed < 2; killed++) {
        pid_t child = child_start(hold_most, killed ? words : NULL);
        if (killed) {
            assert_true(await(&words[0], 1));
            kill(child, SIGKILL);
        }
        assert_int_equal(child_end(child), killed ? -SIGKILL : 0);
        for (int i = 0; i <= MOST; i++) {
            assert_int_equal(mp_lock_acquire(&many[i], 0), i < MOST ? MP_OWNERDEAD : 0);
            assert_int_equal(mp_lock_release(&many[i]), 0);
        }
    }
    for (int i = 0; i <= MOST; i++)
        assert_int_equal(mp_lock_fini(&many[i]), 0);
    assert_int_equal(mp_lock_acquire(&many[0], 0), MP_EINVAL);
    mp_shared_free(many);
}

/* Locks end while they are held, in every order; the robust list of their holder must not
 * suffer. */
static void test_end_while_held(void **state)
{
    (void)state;
    mp_lock *l[3];
    mp_lock *embedded = mp_shared_calloc(1, sizeof *embedded);
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < 3; i++) {
            assert_int_equal(mp_lock_new(&l[i]), 0);
            assert_int_equal(mp_lock_acquire(l[i], 0), 0);
        }
        assert_int_equal(mp_lock_init(embedded), 0);
        assert_int_equal(mp_lock_acquire(embedded, 0), 0);
        assert_int_equal(mp_lock_fini(embedded), 0);
        memset((void *)embedded, 255, sizeof *embedded); /* the memory is the user's again */
        int middle = round % 3;
        mp_lock_free(l[middle]);
        for (int i = 0; i < 3; i++)
            if (i != middle) {
                assert_int_equal(mp_lock_release(l[i]), 0);
                mp_lock_free(l[i]);
            }
        for (size_t i = 0; i < sizeof *embedded; i++)
            assert_int_equal(((unsigned char *)embedded)[i], 255);
    }
    mp_shared_free(embedded);
}

static int hold_two(void *arg)
{
    (void)arg;
    mp_lock *second = mp_shared_calloc(1, sizeof *second);
    CHECK(mp_lock_init(second) == 0);
    CHECK(mp_lock_acquire(lock, MP_FOREVER) == 0);
    signal_word(&words[0]);
    CHECK(await(&words[1], 1)); /* freed by the parent meanwhile */
    CHECK(mp_lock_acquire(second, 0) == 0);
    CHECK(mp_lock_release(second) == 0);
    CHECK(mp_lock_acquire(&many[0], 0) == 0);
    return 0;
}

/* Freed by a process that does not hold it: what comes to lie there is not written over. */
static void test_free_while_another_holds(void **state)
{
    (void)state;
    many = mp_shared_calloc(1, sizeof *many);
    assert_int_equal(mp_lock_init(many), 0);
    pid_t child = child_start(hold_two, NULL);
    assert_true(await(&words[0], 1));
    mp_lock_free(lock);
    enum { BLOCKS = 8192 };
    static unsigned char *block[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        block[i] = mp_shared_alloc(sizeof(mp_lock));
        memset(block[i], 0x5a, sizeof(mp_lock));
    }
    signal_word(&words[1]);
    assert_int_equal(child_end(child), 0);
    for (int i = 0; i < BLOCKS; i++) {
        for (size_t k = 0; k < sizeof(mp_lock); k++)
            assert_int_equal(block[i][k], 0x5a);
        mp_shared_free(block[i]);
    }
    assert_int_equal(mp_lock_acquire(many, 0), MP_OWNERDEAD); /* its list was walked to the end */
    assert_int_equal(mp_lock_release(many), 0);
    mp_shared_free(many);
    assert_int_equal(mp_lock_new(&lock), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_bad_arguments),
        TEST(test_owner),
        TEST(test_strangers),
        TEST(test_exclusion),
        TEST(test_death_of_the_owner),
        TEST(test_end_of_the_thread),
        TEST(test_waiters_of_a_dead_owner),
        TEST(test_death_of_waiters),
        TEST(test_stopped_owner),
        TEST(test_most_locks),
        TEST(test_end_while_held),
        TEST(test_free_while_another_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
