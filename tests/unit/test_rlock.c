/* SPDX-License-Identifier: MIT */
/* The recursive lock: depth, ownership, deadlines, limits, and what a death of the owner does. */
#include <mproc/error.h>
#include <mproc/rlock.h>
#include <mproc/shared.h>

#include "support/shared.h"
#include "sync/rlock.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static mp_rlock *lock;
static word *words; /* events between processes; zeroed for each test */

static int setup(void **state)
{
    (void)state;
    words = common(4096);
    return words == NULL ? -1 : mp_rlock_new(&lock);
}

static int teardown(void **state)
{
    (void)state;
    mp_rlock_free(lock);
    munmap((void *)words, 4096);
    return mp_shared_check(NULL);
}

static void test_bad_arguments(void **state)
{
    (void)state;
    mp_rlock raw[2];
    mp_rlock *none = raw;
    mp_rlock_options o = {.size = 1};
    memset(raw, 0, sizeof raw);
    assert_int_equal(mp_rlock_acquire(NULL, 1), MP_EINVAL);
    assert_int_equal(mp_rlock_release(NULL), MP_EINVAL);
    assert_int_equal(mp_rlock_depth(NULL), MP_EINVAL);
    assert_int_equal(mp_rlock_acquire(raw, 1), MP_EINVAL);
    assert_int_equal(mp_rlock_release(raw), MP_EINVAL);
    assert_int_equal(mp_rlock_depth(raw), MP_EINVAL);
    assert_int_equal(mp_rlock_init(NULL), MP_EINVAL);
    assert_int_equal(mp_rlock_init((mp_rlock *)(void *)((char *)raw + 8)), MP_EINVAL);
    assert_int_equal(mp_rlock_fini(NULL), MP_EINVAL);
    assert_int_equal(mp_rlock_fini(raw), MP_EINVAL);
    assert_int_equal(mp_rlock_create(NULL, NULL), MP_EINVAL);
    assert_int_equal(mp_rlock_create(&none, &o), MP_EINVAL);
    assert_null(none);
    assert_int_equal(mp_rlock_acquire(lock, NAN), MP_EINVAL);
    assert_int_equal(mp_rlock_release(lock), MP_EPERM);
    assert_int_equal(mp_rlock_depth(lock), 0);
    mp_rlock_free(NULL);
}

static void test_depth(void **state)
{
    (void)state;
    static const double timeouts[] = {0, -1, -INFINITY, 1e-9, 0.01, 1e300, INFINITY};
    enum { N = sizeof timeouts / sizeof *timeouts };
    for (int first = 0; first < N; first++) {
        for (int i = 0; i < N; i++) {
            assert_int_equal(mp_rlock_acquire(lock, timeouts[(first + i) % N]), 0);
            assert_int_equal(mp_rlock_depth(lock), i + 1);
        }
        for (int i = N; i > 0; i--) {
            assert_int_equal(mp_rlock_depth(lock), i);
            assert_int_equal(mp_rlock_release(lock), 0);
        }
        assert_int_equal(mp_rlock_depth(lock), 0);
        assert_int_equal(mp_rlock_release(lock), MP_EPERM);
    }
}

static void test_deepest(void **state)
{
    (void)state;
    assert_int_equal(mp_rlock_acquire(lock, 0), 0);
    mp__rlock_of(lock)->depth = INT_MAX - 1;
    assert_int_equal(mp_rlock_acquire(lock, 0), 0);
    assert_int_equal(mp_rlock_depth(lock), INT_MAX);
    assert_int_equal(mp_rlock_acquire(lock, 0), MP_EAGAIN);
    assert_int_equal(mp_rlock_acquire(lock, MP_FOREVER), MP_EAGAIN);
    assert_int_equal(mp_rlock_depth(lock), INT_MAX);
    assert_int_equal(mp_rlock_release(lock), 0);
    mp__rlock_of(lock)->depth = 1;
    assert_int_equal(mp_rlock_release(lock), 0);
    assert_int_equal(mp_rlock_depth(lock), 0);
}

/* A stranger: may not release, gets nothing at a try, and at a deadline not before it. */
static int be_stranger(void *arg)
{
    (void)arg;
    CHECK(mp_rlock_depth(lock) == 0);
    CHECK(mp_rlock_release(lock) == MP_EPERM);
    CHECK(mp_rlock_acquire(lock, 0) == MP_ETIMEDOUT);
    CHECK(mp_rlock_acquire(lock, MP_NO_WAIT) == MP_ETIMEDOUT);
    double start = seconds();
    CHECK(mp_rlock_acquire(lock, 0.15) == MP_ETIMEDOUT);
    CHECK(seconds() - start >= 0.15 && seconds() - start < LONG / 2);
    CHECK(mp_rlock_depth(lock) == 0);
    return 0;
}

static int fork_stranger(void *arg)
{
    CHECK(child_end(child_start(be_stranger, arg)) == 0);
    return 0;
}

static int take_and_release(void *arg)
{
    (void)arg;
    CHECK(mp_rlock_acquire(lock, 0) == 0);
    CHECK(mp_rlock_release(lock) == 0);
    return 0;
}

/* While it is held at any depth; a forked child of the owner is a stranger, too. */
static void test_strangers(void **state)
{
    (void)state;
    task t;
    for (int depth = 1; depth <= 3; depth++) {
        assert_int_equal(mp_rlock_acquire(lock, MP_FOREVER), 0);
        assert_int_equal(child_end(child_start(be_stranger, NULL)), 0);
        assert_int_equal(task_start(&t, be_stranger, NULL), 0);
        assert_int_equal(task_end(&t), 0);
        assert_int_equal(task_start(&t, fork_stranger, NULL), 0);
        assert_int_equal(task_end(&t), 0);
        assert_int_equal(mp_rlock_depth(lock), depth);
    }
    for (int depth = 3; depth > 1; depth--)
        assert_int_equal(mp_rlock_release(lock), 0);
    assert_int_equal(child_end(child_start(be_stranger, NULL)), 0); /* not yet */
    assert_int_equal(mp_rlock_release(lock), 0);
    assert_int_equal(child_end(child_start(take_and_release, NULL)), 0);
}

#define ROUNDS  8000
#define WORKERS 6

static volatile long *counter; /* not atomic: the lock alone protects it */

static int count_up(void *arg)
{
    (void)arg;
    for (int i = 0; i < fewer(ROUNDS); i++) {
        int depth = i % 4 + 1;
        for (int k = 0; k < depth; k++)
            CHECK(mp_rlock_acquire(lock, k == 0 ? MP_FOREVER : 0) == 0);
        CHECK(mp_rlock_depth(lock) == depth);
        long seen = counter[0];
        counter[1] = seen;
        if (i % 512 == 0)
            sched_yield();
        for (int k = 0; k < depth; k++) {
            CHECK(counter[1] == seen);
            if (k == depth - 1)
                counter[0] = seen + 1;
            CHECK(mp_rlock_release(lock) == 0);
        }
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

typedef struct holding {
    int expected; /* what the first acquire returns */
    int depth;
    bool leave;
} holding;

/* Holds it so deep, says so, and sleeps until killed, or leaves. */
static int hold(void *arg)
{
    const holding *h = arg;
    CHECK(mp_rlock_acquire(lock, MP_FOREVER) == h->expected);
    for (int i = 1; i < h->depth; i++)
        CHECK(mp_rlock_acquire(lock, MP_FOREVER) == 0);
    CHECK(mp_rlock_depth(lock) == h->depth);
    signal_word(&words[0]);
    while (!h->leave)
        pause();
    return 0;
}

/* After a death: told once, at depth 1, and free after one release. */
static void take_over(void)
{
    assert_int_equal(mp_rlock_acquire(lock, LONG), MP_OWNERDEAD);
    assert_int_equal(mp_rlock_depth(lock), 1);
    assert_int_equal(mp_rlock_acquire(lock, 0), 0); /* told once */
    assert_int_equal(mp_rlock_depth(lock), 2);
    assert_int_equal(mp_rlock_release(lock), 0);
    assert_int_equal(mp_rlock_release(lock), 0);
    assert_int_equal(mp_rlock_depth(lock), 0);
    assert_int_equal(mp_rlock_acquire(lock, 0), 0);
    assert_int_equal(mp_rlock_release(lock), 0);
}

static void test_death_of_the_owner(void **state)
{
    (void)state;
    holding h = {0, 1, false};
    for (int i = 0; i < 20; i++) {
        h.depth = i % 5 + 1;
        pid_t child = child_start(hold, &h);
        assert_true(await(&words[0], (uint32_t)i + 1));
        assert_int_equal(mp_rlock_acquire(lock, 0), MP_ETIMEDOUT);
        assert_int_equal(child_kill(child), -SIGKILL);
        h.expected = MP_OWNERDEAD; /* again, if the next one dies as well */
    }
    take_over();
    assert_int_equal(child_end(child_start(hold, &(holding){0, 3, true})), 0); /* a death, too */
    take_over();
}

static void test_end_of_the_thread(void **state)
{
    (void)state;
    task t;
    assert_int_equal(task_start(&t, hold, &(holding){0, 7, true}), 0);
    assert_int_equal(task_end(&t), 0);
    take_over();
}

/* Waits for the lock, tells how that went, and passes it on. */
static int wait_for_it(void *arg)
{
    signal_word(arg);
    int rc = mp_rlock_acquire(lock, MP_FOREVER);
    CHECK(rc >= 0);
    CHECK(mp_rlock_depth(lock) == 1);
    mp__add_seq(&words[1], rc == MP_OWNERDEAD);
    CHECK(mp_rlock_acquire(lock, 0) == 0);
    CHECK(mp_rlock_release(lock) == 0);
    CHECK(mp_rlock_release(lock) == 0);
    return 0;
}

static void test_waiters_of_a_dead_owner(void **state)
{
    (void)state;
    for (uint32_t round = 1; round <= 10; round++) {
        pid_t waiter[3];
        pid_t owner = child_start(hold, &(holding){0, 2, false});
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

static void test_stopped_owner(void **state)
{
    (void)state;
    pid_t child = child_start(hold, &(holding){0, 2, false});
    assert_true(await(&words[0], 1));
    kill(child, SIGSTOP);
    until_asleep(child);
    assert_int_equal(mp_rlock_acquire(lock, 0), MP_ETIMEDOUT);
    assert_int_equal(mp_rlock_acquire(lock, 0.2), MP_ETIMEDOUT);
    assert_int_equal(child_kill(child), -SIGKILL);
    take_over();
}

#define MOST 1024

static mp_rlock *many; /* MOST + 1 */

/* At the limit a lock that is held can still be acquired once more, and no other. */
static int hold_most(void *arg)
{
    for (int i = 0; i < MOST; i++)
        CHECK(mp_rlock_acquire(&many[i], MP_FOREVER) == 0);
    CHECK(mp_rlock_acquire(&many[MOST], 0) == MP_EAGAIN);
    CHECK(mp_rlock_acquire(&many[MOST], MP_FOREVER) == MP_EAGAIN);
    CHECK(mp_rlock_acquire(&many[7], MP_FOREVER) == 0);
    CHECK(mp_rlock_acquire(&many[7], 0) == 0);
    CHECK(mp_rlock_depth(&many[7]) == 3);
    CHECK(mp_rlock_release(&many[MOST / 2]) == 0);
    CHECK(mp_rlock_acquire(&many[MOST], 0) == 0);
    CHECK(mp_rlock_acquire(&many[MOST / 2], 0) == MP_EAGAIN);
    CHECK(mp_rlock_release(&many[MOST]) == 0);
    CHECK(mp_rlock_acquire(&many[MOST / 2], 0) == 0);
    signal_word(&words[0]);
    while (*(bool *)arg)
        pause();
    return 0;
}

static void test_most_locks(void **state)
{
    (void)state;
    many = mp_shared_calloc(MOST + 1, sizeof *many);
    for (int i = 0; i <= MOST; i++)
        assert_int_equal(mp_rlock_init(&many[i]), 0);
    for (int killed = 0; killed < 2; killed++) {
        bool stays = killed;
        pid_t child = child_start(hold_most, &stays);
        assert_true(await(&words[0], (uint32_t)killed + 1));
        assert_int_equal(killed ? child_kill(child) : child_end(child), killed ? -SIGKILL : 0);
        for (int i = 0; i <= MOST; i++) {
            assert_int_equal(mp_rlock_acquire(&many[i], 0), i < MOST ? MP_OWNERDEAD : 0);
            assert_int_equal(mp_rlock_depth(&many[i]), 1);
            assert_int_equal(mp_rlock_release(&many[i]), 0);
        }
    }
    for (int i = 0; i <= MOST; i++)
        assert_int_equal(mp_rlock_fini(&many[i]), 0);
    assert_int_equal(mp_rlock_acquire(&many[0], 0), MP_EINVAL);
    mp_shared_free(many);
}

/* Locks end while they are held, in every order; the robust list of their holder must not
 * suffer. */
static void test_end_while_held(void **state)
{
    (void)state;
    mp_rlock *l[3];
    mp_rlock *embedded = mp_shared_calloc(1, sizeof *embedded);
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < 3; i++) {
            assert_int_equal(mp_rlock_new(&l[i]), 0);
            assert_int_equal(mp_rlock_acquire(l[i], 0), 0);
            assert_int_equal(mp_rlock_acquire(l[i], 0), 0);
        }
        assert_int_equal(mp_rlock_init(embedded), 0);
        assert_int_equal(mp_rlock_acquire(embedded, 0), 0);
        assert_int_equal(mp_rlock_acquire(embedded, 0), 0);
        assert_int_equal(mp_rlock_fini(embedded), 0);
        memset((void *)embedded, 255, sizeof *embedded); /* the memory is the user's again */
        int middle = round % 3;
        mp_rlock_free(l[middle]);
        for (int i = 0; i < 3; i++)
            if (i != middle) {
                assert_int_equal(mp_rlock_release(l[i]), 0);
                assert_int_equal(mp_rlock_release(l[i]), 0);
                mp_rlock_free(l[i]);
            }
        for (size_t i = 0; i < sizeof *embedded; i++)
            assert_int_equal(((unsigned char *)embedded)[i], 255);
    }
    mp_shared_free(embedded);
}

static int hold_two(void *arg)
{
    mp_rlock *second = arg;
    CHECK(mp_rlock_acquire(lock, MP_FOREVER) == 0);
    CHECK(mp_rlock_acquire(lock, MP_FOREVER) == 0);
    signal_word(&words[0]);
    CHECK(await(&words[1], 1)); /* freed by the parent meanwhile */
    CHECK(mp_rlock_acquire(second, 0) == 0);
    return 0;
}

/* Freed by a process that does not hold it: what comes to lie there is not written over. */
static void test_free_while_another_holds(void **state)
{
    (void)state;
    mp_rlock *second;
    assert_int_equal(mp_rlock_new(&second), 0);
    pid_t child = child_start(hold_two, second);
    assert_true(await(&words[0], 1));
    mp_rlock_free(lock);
    enum { BLOCKS = 8192 };
    static unsigned char *block[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        block[i] = mp_shared_alloc(sizeof(mp_rlock));
        memset(block[i], 0x5a, sizeof(mp_rlock));
    }
    signal_word(&words[1]);
    assert_int_equal(child_end(child), 0);
    for (int i = 0; i < BLOCKS; i++) {
        for (size_t k = 0; k < sizeof(mp_rlock); k++)
            assert_int_equal(block[i][k], 0x5a);
        mp_shared_free(block[i]);
    }
    assert_int_equal(mp_rlock_acquire(second, 0),
                     MP_OWNERDEAD); /* its list was walked to the end */
    mp_rlock_free(second);
    assert_int_equal(mp_rlock_new(&lock), 0);
}

/* In the main thread a pending interrupt ends the next blocking acquire, held already or not. */
static void test_interrupt(void **state)
{
    (void)state;
    mp_interrupt();
    assert_int_equal(mp_rlock_acquire(lock, 0), 0); /* a try takes none */
    assert_int_equal(mp_rlock_acquire(lock, LONG), MP_EINTR);
    assert_int_equal(mp_rlock_acquire(lock, LONG), 0); /* once */
    assert_int_equal(mp_rlock_depth(lock), 2);
    assert_int_equal(mp_rlock_release(lock), 0);
    assert_int_equal(mp_rlock_release(lock), 0);
    mp_interrupt();
    assert_int_equal(mp_rlock_acquire(lock, LONG), MP_EINTR);
    assert_int_equal(mp_rlock_depth(lock), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_bad_arguments),     TEST(test_depth),
        TEST(test_deepest),           TEST(test_strangers),
        TEST(test_exclusion),         TEST(test_death_of_the_owner),
        TEST(test_end_of_the_thread), TEST(test_waiters_of_a_dead_owner),
        TEST(test_stopped_owner),     TEST(test_most_locks),
        TEST(test_end_while_held),    TEST(test_free_while_another_holds),
        TEST(test_interrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
