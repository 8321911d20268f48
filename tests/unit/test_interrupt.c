/* SPDX-License-Identifier: MIT */
/* mp_interrupt(): from a handler, once, in the main thread's blocking calls alone. */
#include <mproc/barrier.h>
#include <mproc/error.h>
#include <mproc/lock.h>
#include <mproc/queue.h>

#include "support/shared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include <cmocka.h>

static mp_lock *lock;
static mp_queue *queue, *full;
static mp_barrier *barrier;
static word *words;

static void on_signal(int number)
{
    if (number == SIGUSR1)
        mp_interrupt();
    mp__add_seq(&words[1], 1);
}

/* The signal comes while the main thread sleeps; `flags` decides whether the kernel restarts
 * calls. */
static void handle(int flags)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
}

static int hold(void *arg)
{
    (void)arg;
    CHECK(mp_lock_acquire(lock, MP_FOREVER) >= 0);
    signal_word(&words[0]);
    CHECK(await(&words[2], 1));
    return mp_lock_release(lock);
}

static pid_t holder;

static int setup(void **state)
{
    (void)state;
    words = common(4096);
    if (mp_lock_new(&lock) + mp_queue_new(&queue) + mp_queue_new(&full, .maxsize = 1) +
                mp_barrier_new(&barrier, 2) !=
            0 ||
        mp_queue_put(full, "x", 1, 0) != 0)
        return -1;
    holder = child_start(hold, NULL);
    return await(&words[0], 1) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    signal_word(&words[2]);
    int rc = child_end(holder);
    mp_lock_free(lock);
    mp_queue_free(queue);
    mp_queue_free(full);
    mp_barrier_free(barrier);
    munmap((void *)words, 4096);
    return rc;
}

/* One blocking call of each kind, that cannot end by itself. */
static int call(int which, double timeout)
{
    char c;
    mp_bytes one = {&c, 1, 1};
    void *data;
    size_t length;
    switch (which) {
    case 0:
        return mp_lock_acquire(lock, timeout);
    case 1:
        return (int)mp_queue_get(queue, &c, 1, timeout);
    case 2:
        return mp_queue_put(full, "y", 1, timeout);
    case 3:
        return mp_queue_get_alloc(queue, &data, &length, timeout);
    case 4:
        return mp_queue_get_many(queue, &one, 1, timeout);
    case 5:
        return mp_queue_put_many(full, &one, 1, timeout);
    default:
        return mp_barrier_wait(barrier, timeout);
    }
}
#define CALLS 7

static int signal_parent(void *arg)
{
    until_asleep(getppid());
    nap(0.01);
    return kill(getppid(), *(int *)arg);
}

static void test_ends_a_sleep(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * CALLS; i++) {
        handle(i % 2 ? SA_RESTART : 0);
        pid_t child = child_start(signal_parent, &(int){SIGUSR1});
        double start = seconds();
        assert_int_equal(call(i / 2, i % 3 ? MP_FOREVER : LONG), MP_EINTR);
        assert_true(seconds() - start < LONG / 2);
        assert_int_equal(child_end(child), 0);
        assert_int_equal(call(i / 2, 0) == MP_EINTR, 0); /* once */
        if (i / 2 == 6)
            assert_int_equal(mp_barrier_reset(barrier),
                             0); /* it is broken by that, as by a timeout */
    }
}

static void test_pending(void **state)
{
    (void)state;
    for (int i = 0; i < CALLS; i++) {
        mp_interrupt();
        mp_interrupt();                             /* twice is once */
        assert_int_not_equal(call(i, 0), MP_EINTR); /* no try takes it */
        assert_int_not_equal(call(i, -1), MP_EINTR);
        if (i == 6)
            assert_int_equal(mp_barrier_reset(barrier), 0);
        assert_int_equal(call(i, MP_FOREVER), MP_EINTR);
        assert_int_not_equal(call(i, 0.02), MP_EINTR);
        if (i == 6)
            assert_int_equal(mp_barrier_reset(barrier), 0);
    }
    mp_interrupt(); /* also one that would not have had to wait */
    assert_int_equal(mp_queue_put(queue, "a", 1, LONG), MP_EINTR);
    assert_int_equal(mp_queue_put(queue, "a", 1, LONG), 0);
    char c;
    mp_interrupt();
    assert_int_equal(mp_queue_get(queue, &c, 1, LONG), MP_EINTR);
    assert_int_equal(mp_queue_get(queue, &c, 1, LONG), 1); /* nothing was taken by the first */
}

/* Another signal's handler changes nothing: the call goes on, with the same deadline. */
static void test_other_signals(void **state)
{
    (void)state;
    static const int codes[CALLS] = {MP_ETIMEDOUT, MP_EEMPTY, MP_EFULL,  MP_EEMPTY,
                                     MP_EEMPTY,    MP_EFULL,  MP_EBROKEN};
    for (int i = 0; i < CALLS; i++) {
        handle(0);
        uint32_t before = mp__load_seq(&words[1]);
        pid_t child = child_start(signal_parent, &(int){SIGUSR2});
        double start = seconds();
        assert_int_equal(call(i, 0.3), codes[i]);
        double took = seconds() - start;
        assert_true(took >= 0.3 && took < LONG / 2);
        assert_int_equal(child_end(child), 0);
        assert_true(await(&words[1], before + 1));
        if (i == 6)
            assert_int_equal(mp_barrier_reset(barrier), 0);
    }
}

static int in_child(void *arg)
{
    (void)arg;
    for (int i = 0; i < CALLS - 1; i++)
        CHECK(call(i, 0.02) != MP_EINTR);
    mp_interrupt(); /* its own counts */
    CHECK(call(1, MP_FOREVER) == MP_EINTR);
    return 0;
}

static void test_forked_child(void **state)
{
    (void)state;
    mp_interrupt();
    assert_int_equal(child_end(child_start(in_child, NULL)), 0);
    assert_int_equal(call(1, MP_FOREVER), MP_EINTR); /* still pending here */
}

static int in_thread(void *arg)
{
    (void)arg;
    for (int i = 0; i < CALLS - 1; i++)
        CHECK(call(i, 0.05) != MP_EINTR);
    return 0;
}

static int fork_in_thread(void *arg)
{
    (void)arg;
    CHECK(child_end(child_start(in_child, NULL)) == 0);
    return 0;
}

static void test_threads(void **state)
{
    (void)state;
    task t;
    mp_interrupt();
    assert_int_equal(task_start(&t, in_thread, NULL), 0);
    assert_int_equal(task_end(&t), 0);
    /* The thread that forked is its child's main thread. */
    assert_int_equal(task_start(&t, fork_in_thread, NULL), 0);
    assert_int_equal(task_end(&t), 0);
    assert_int_equal(call(1, MP_FOREVER), MP_EINTR);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_ends_a_sleep), TEST(test_pending), TEST(test_other_signals),
        TEST(test_forked_child), TEST(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
