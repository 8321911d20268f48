/* SPDX-License-Identifier: MIT */
/* The condition: who is woken, in which order, by how many notifies; deadlines; levels; interrupts.
 * Its deaths are in test_condition_death.c. */
#include "support/waiting.h"

#include <math.h>

static const double tries[] = {0, -1, -INFINITY};

static void test_bad_arguments(void **state)
{
    (void)state;
    mp_condition raw[2];
    mp_condition *none = raw;
    mp_rlock *r;
    mp_rlock no_rlock;
    mp_lock no_lock;
    memset(raw, 0, sizeof raw);
    memset(&no_rlock, 0, sizeof no_rlock);
    memset(&no_lock, 0, sizeof no_lock);
    for (int i = 0; i < 2; i++) {
        mp_condition *bad = i == 0 ? NULL : raw;
        assert_int_equal(mp_condition_acquire(bad, 1), MP_EINVAL);
        assert_int_equal(mp_condition_release(bad), MP_EINVAL);
        assert_int_equal(mp_condition_wait(bad, 1), MP_EINVAL);
        assert_int_equal(mp_condition_wait_for(bad, is_ready, NULL, 1), MP_EINVAL);
        assert_int_equal(mp_condition_notify(bad, 1), MP_EINVAL);
        assert_int_equal(mp_condition_notify_all(bad), MP_EINVAL);
        assert_int_equal(mp_condition_fini(bad), MP_EINVAL);
        mp_condition_free(bad);
    }
    assert_int_equal(mp_condition_init(NULL, NULL), MP_EINVAL);
    assert_int_equal(mp_condition_init((mp_condition *)(void *)((char *)raw + 8), NULL), MP_EINVAL);
    assert_int_equal(mp_condition_create(NULL, NULL), MP_EINVAL);
    assert_int_equal(mp_condition_create(&none, &(mp_condition_options){.size = 1}), MP_EINVAL);
    assert_null(none);
    assert_int_equal(mp_condition_new(&none, .lock = &no_lock), MP_EINVAL);
    assert_int_equal(mp_condition_new(&none, .rlock = &no_rlock), MP_EINVAL);
    make(OVER_LOCK);
    assert_int_equal(mp_rlock_new(&r), 0);
    assert_int_equal(mp_condition_new(&none, .lock = lock, .rlock = r), MP_EINVAL);
    mp_rlock_free(r);
    assert_int_equal(mp_condition_acquire(c, NAN), MP_EINVAL);
    assert_int_equal(mp_condition_acquire(c, 0), 0);
    assert_int_equal(mp_condition_wait(c, NAN), MP_EINVAL);
    assert_int_equal(mp_condition_wait_for(c, is_ready, NULL, NAN), MP_EINVAL);
    assert_int_equal(mp_condition_wait_for(c, NULL, NULL, 0), MP_EINVAL);
    assert_int_equal(mp_condition_notify(c, 0), MP_EINVAL);
    assert_int_equal(mp_condition_notify(c, INT_MIN), MP_EINVAL);
    assert_int_equal(mp_condition_release(c), 0);
}

static int be_stranger(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        CHECK(mp_condition_wait(c, tries[i]) == MP_EPERM);
        CHECK(mp_condition_wait_for(c, is_ready, NULL, tries[i]) == MP_EPERM);
    }
    CHECK(mp_condition_wait(c, MP_FOREVER) == MP_EPERM);
    CHECK(mp_condition_wait_for(c, is_ready, NULL, MP_FOREVER) == MP_EPERM);
    CHECK(mp_condition_notify(c, 1) == MP_EPERM);
    CHECK(mp_condition_notify_all(c) == MP_EPERM);
    CHECK(mp_condition_release(c) == MP_EPERM);
    return 0;
}

/* Nothing without the lock: not for another process or thread, nor for a forked child. */
static void test_owner(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        task t;
        make(kind);
        assert_int_equal(be_stranger(NULL), 0);
        assert_int_equal(mp_condition_acquire(c, MP_FOREVER), 0);
        assert_int_equal(mp_condition_acquire(c, 0), kind == OVER_LOCK ? MP_EDEADLK : 0);
        assert_int_equal(child_end(child_start(be_stranger, NULL)), 0);
        assert_int_equal(task_start(&t, be_stranger, NULL), 0);
        assert_int_equal(task_end(&t), 0);
        assert_int_equal(mp_condition_notify(c, 1), 0);
        assert_int_equal(mp_condition_release(c), 0);
        assert_int_equal(mp_condition_release(c), kind == OVER_LOCK ? MP_EPERM : 0);
        assert_int_equal(be_stranger(NULL), 0);
    }
}

/* n are woken, those that have waited longest, in their order, and nobody else. */
static void test_notify_in_order(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        waiter w[8];
        make(kind);
        start_waiters(w, 8, MP_FOREVER);
        assert_int_equal(notify(1), 1);
        settle(1);
        assert_int_equal(notify(2), 2);
        settle(3);
        assert_int_equal(notify(1), 1);
        assert_int_equal(notify(1), 1); /* of another one, also if the first is not back yet */
        settle(5);
        assert_int_equal(notify(100), 3);
        assert_int_equal(notify(1), 0);
        for (int i = 0; i < 8; i++)
            assert_int_equal(end_waiter(&w[i]), NOTIFIED);
        /* One by one in order; of those woken together any may be first. */
        assert_int_equal(board->order[0], 0);
        assert_int_equal(board->order[1] + board->order[2], 1 + 2);
        assert_int_equal(board->order[3] + board->order[4], 3 + 4);
    }
}

static void test_notify_all(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++)
        for (int n = 0; n < 6; n++) {
            waiter w[6];
            make(kind);
            start_waiters(w, n, MP_FOREVER);
            assert_int_equal(mp_condition_acquire(c, LONG), 0);
            assert_int_equal(mp_condition_notify_all(c), n);
            assert_int_equal(mp_condition_notify_all(c), 0);
            assert_int_equal(mp_condition_release(c), 0);
            for (int i = 0; i < n; i++)
                assert_int_equal(end_waiter(&w[i]), NOTIFIED);
        }
}

static void test_not_remembered(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        make(kind);
        assert_int_equal(notify(3), 0);
        assert_int_equal(mp_condition_acquire(c, 0), 0);
        assert_int_equal(mp_condition_notify_all(c), 0);
        assert_int_equal(mp_condition_wait(c, 0), MP_ETIMEDOUT);
        assert_int_equal(mp_condition_wait(c, 0.15), MP_ETIMEDOUT);
        assert_int_equal(mp_condition_release(c), 0);
    }
}

/* A wait that times out lasts as long as it should, and has the lock again. */
static void test_timeouts(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        make(kind);
        assert_int_equal(mp_condition_acquire(c, MP_FOREVER), 0);
        double start = seconds();
        for (int i = 0; i < 3; i++) {
            assert_int_equal(mp_condition_wait(c, tries[i]), MP_ETIMEDOUT);
            assert_int_equal(child_end(child_start(be_stranger, NULL)), 0);
            assert_int_equal(mp_condition_notify(c, 1), 0);
        }
        assert_true(seconds() - start < LONG / 2);
        start = seconds();
        assert_int_equal(mp_condition_wait(c, 0.25), MP_ETIMEDOUT);
        assert_true(seconds() - start >= 0.25 && seconds() - start < LONG / 2);
        assert_int_equal(child_end(child_start(be_stranger, NULL)), 0);
        assert_int_equal(mp_condition_notify(c, 1), 0); /* nobody: it has left */
        assert_int_equal(mp_condition_release(c), 0);
        assert_int_equal(mp_condition_release(c), MP_EPERM);
    }
}

static int poll_others(void *arg)
{
    (void)arg;
    CHECK(mp_condition_acquire(c, MP_FOREVER) == 0);
    signal_word(&board->arrived);
    for (double end = seconds() + LONG; mp__load_seq(&board->ready) == 0;) {
        CHECK(mp_condition_wait(c, 0) == MP_ETIMEDOUT);
        CHECK(seconds() < end);
    }
    CHECK(mp_condition_release(c) == 0);
    return 0;
}

/* One that polls lets others have the lock, and be notified by them, too. */
static void test_polls_let_others_in(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        make(kind);
        pid_t child = child_start(poll_others, NULL);
        assert_true(await(&board->arrived, 1));
        assert_int_equal(mp_condition_acquire(c, LONG), 0);
        mp__store_seq(&board->ready, 1);
        assert_int_equal(mp_condition_release(c), 0);
        assert_int_equal(child_end(child), 0);
    }
}

/* All levels are given up, or this would never end; and they are back afterwards, at 0, at
 * MP_ETIMEDOUT, at MP_EINTR. */
static void test_levels(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        if (kind == OVER_LOCK)
            continue;
        for (int depth = 1; depth <= 4; depth++) {
            waiter w[2];
            make(kind);
            board->depth = depth;
            start_waiters(w, 2, MP_FOREVER);
            assert_int_equal(notify(2), 2);
            assert_int_equal(end_waiter(&w[0]), NOTIFIED);
            assert_int_equal(end_waiter(&w[1]), NOTIFIED);
            start_waiters(w, 1, 0.1);
            assert_int_equal(end_waiter(&w[0]), TIMED_OUT);
        }
        for (int i = 0; i < 3; i++)
            assert_int_equal(mp_condition_acquire(c, 0), 0);
        mp_interrupt();
        assert_int_equal(mp_condition_wait(c, LONG), MP_EINTR);
        for (int i = 0; i < 3; i++)
            assert_int_equal(mp_condition_release(c), 0);
        assert_int_equal(mp_condition_release(c), MP_EPERM);
    }
}

/* The deadline passes while another holds the lock: notified before the waiter is back, it is told
 * so; else that it timed out, once it can have the lock. */
static void test_deadline_while_locked(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++)
        for (int notified = 0; notified < 2; notified++) {
            waiter w;
            make(kind);
            start_waiters(&w, 1, 0.3);
            assert_int_equal(mp_condition_acquire(c, LONG), 0);
            double end = seconds() + 0.4;
            bool in_time = mp__load_seq(&board->left) == 0;
            while (seconds() < end)
                nap(0.01);
            if (notified)
                assert_int_equal(mp_condition_notify(c, 1), in_time);
            assert_int_equal(mp__load_seq(&board->left), !in_time);
            assert_int_equal(mp_condition_release(c), 0);
            assert_int_equal(end_waiter(&w), notified && in_time ? NOTIFIED : TIMED_OUT);
        }
}

/* Two conditions over one lock: each its own waiters. */
static void test_two_over_one_lock(void **state)
{
    (void)state;
    waiter w[2];
    make(OVER_LOCK);
    mp_condition *first = c, *second;
    assert_int_equal(mp_condition_new(&second, .lock = lock), 0);
    start_waiters(w, 1, MP_FOREVER);
    c = second;
    start_waiters(w + 1, 1, MP_FOREVER);
    assert_int_equal(notify(5), 1);
    assert_int_equal(end_waiter(&w[1]), NOTIFIED);
    settle(1);
    c = first;
    assert_int_equal(notify(5), 1);
    assert_int_equal(end_waiter(&w[0]), NOTIFIED);
    mp_condition_free(second);
    assert_int_equal(mp_lock_acquire(lock, 0), 0); /* lives on, and is the same */
    assert_int_equal(mp_condition_notify(c, 1), 0);
    assert_int_equal(mp_lock_release(lock), 0);
}

static int asked, answers_from;

static bool count_questions(void *arg)
{
    (void)arg;
    asked++;
    return answers_from > 0 && asked >= answers_from;
}

static void test_wait_for(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        make(kind);
        assert_int_equal(mp_condition_acquire(c, 0), 0);
        asked = 0, answers_from = 1; /* holds already: nothing to wait for, at any timeout */
        for (int i = 0; i < 3; i++)
            assert_int_equal(mp_condition_wait_for(c, count_questions, NULL, tries[i]), 0);
        assert_int_equal(mp_condition_wait_for(c, count_questions, NULL, MP_FOREVER), 0);
        assert_int_equal(asked, 4);
        asked = 0, answers_from = 0; /* never */
        assert_int_equal(mp_condition_wait_for(c, count_questions, NULL, 0), MP_ETIMEDOUT);
        double start = seconds();
        assert_int_equal(mp_condition_wait_for(c, count_questions, NULL, 0.2), MP_ETIMEDOUT);
        assert_true(seconds() - start >= 0.2 && seconds() - start < LONG / 2);
        asked = 0, answers_from = 2; /* at the deadline, though nobody has notified */
        assert_int_equal(mp_condition_wait_for(c, count_questions, NULL, 0.1), 0);
        assert_int_equal(asked, 2);
        assert_int_equal(mp_condition_release(c), 0);
        assert_int_equal(mp_condition_release(c), MP_EPERM);
    }
}

static bool is_four(void *arg)
{
    word *w = arg;
    bool held = mp_condition_notify(c, 1) >= 0; /* asked with the lock held */
    return held && mp__load_seq(w) == 4;
}

static int wait_for_four(void *arg)
{
    double timeout = *(double *)arg;
    CHECK(mp_condition_acquire(c, MP_FOREVER) == 0);
    mp__store_seq(&board->ready, 0);
    signal_word(&board->arrived);
    double start = seconds();
    int rc = mp_condition_wait_for(c, is_four, &board->ready, timeout);
    CHECK(rc == (timeout > 1 ? 0 : MP_ETIMEDOUT));
    CHECK(rc == 0 || seconds() - start >= timeout);
    CHECK(rc != 0 || mp__load_seq(&board->ready) == 4);
    CHECK(mp_condition_release(c) == 0);
    return 0;
}

/* Every step is notified, the last one, with the short timeout, never comes. */
static void test_wait_for_in_steps(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++)
        for (int reached = 0; reached < 2; reached++) {
            make(kind);
            double timeout = reached ? LONG : 0.3;
            pid_t child = child_start(wait_for_four, &timeout);
            assert_true(await(&board->arrived, 1));
            for (int i = 0; i < 3 + reached; i++) {
                nap(0.01);
                assert_int_equal(mp_condition_acquire(c, LONG), 0);
                signal_word(&board->ready);
                mp_condition_notify(c, 1);
                assert_int_equal(mp_condition_release(c), 0);
            }
            assert_int_equal(child_end(child), 0);
        }
}

static int wait_until_told(void *arg)
{
    (void)arg;
    CHECK(mp_condition_acquire(c, MP_FOREVER) == 0);
    signal_word(&board->arrived);
    CHECK(mp_condition_wait_for(c, is_ready, NULL, 0.5) == MP_ETIMEDOUT);
    CHECK(mp_condition_release(c) == 0);
    return 0;
}

/* The deadline is one for all waits: notifies that do not help do not put it off. */
static void test_wait_for_total_deadline(void **state)
{
    (void)state;
    make(OWN);
    pid_t child = child_start(wait_until_told, NULL);
    assert_true(await(&board->arrived, 1));
    double start = seconds();
    int ended = 0;
    for (int status; ended == 0 && seconds() - start < LONG; nap(0.05)) {
        notify(1);
        ended = waitpid(child, &status, WNOHANG);
        if (ended == child)
            assert_int_equal(status, 0);
    }
    assert_int_equal(ended, child);
}

static void interrupt(int signal)
{
    (void)signal;
    mp_interrupt();
}

static void pass(int signal)
{
    (void)signal;
    signal_word(&board->handled);
}

static int wait_interrupted(void *arg)
{
    (void)arg;
    signal(SIGUSR1, interrupt);
    signal(SIGUSR2, pass);
    CHECK(mp_condition_acquire(c, MP_FOREVER) == 0);
    signal_word(&board->arrived);
    CHECK(mp_condition_wait(c, MP_FOREVER) == MP_EINTR);
    CHECK(mp_condition_notify(c, 1) == 0); /* holds the lock, and is no waiter any more */
    signal_word(&board->arrived);
    CHECK(mp_condition_wait(c, MP_FOREVER) == 0);        /* the notify wins, ... */
    CHECK(mp_condition_wait(c, MP_FOREVER) == MP_EINTR); /* ... and the interrupt stays */
    mp_interrupt();
    CHECK(mp_condition_wait(c, 0) == MP_ETIMEDOUT); /* a try takes none */
    CHECK(mp_condition_wait_for(c, is_ready, NULL, LONG) == MP_EINTR);
    CHECK(mp_condition_release(c) == 0);
    return 0;
}

static void test_interrupt(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        make(kind);
        pid_t child = child_start(wait_interrupted, NULL);
        assert_true(await(&board->arrived, 1));
        until_asleep(child);
        for (uint32_t i = 1; i <= 3; i++) { /* a handler that only returns ends nothing */
            kill(child, SIGUSR2);
            assert_true(await(&board->handled, i));
        }
        nap(0.05);
        assert_int_equal(mp__load_seq(&board->arrived), 1);
        kill(child, SIGUSR1);
        assert_true(await(&board->arrived, 2));
        until_asleep(child);
        assert_int_equal(mp_condition_acquire(c, LONG), 0);
        assert_int_equal(mp_condition_notify(c, 1), 1);
        kill(child, SIGUSR1);
        assert_int_equal(mp_condition_release(c), 0);
        assert_int_equal(child_end(child), 0);
    }
}

/* Interrupted while the lock is held, and only then notified: the notify is not lost. */
static int wait_both(void *arg)
{
    (void)arg;
    signal(SIGUSR1, interrupt);
    CHECK(mp_condition_acquire(c, MP_FOREVER) == 0);
    signal_word(&board->arrived);
    CHECK(mp_condition_wait(c, MP_FOREVER) == 0);
    CHECK(mp_condition_wait(c, MP_FOREVER) == MP_EINTR);
    CHECK(mp_condition_release(c) == 0);
    return 0;
}

static void test_interrupt_before_notify(void **state)
{
    (void)state;
    make(OWN);
    pid_t child = child_start(wait_both, NULL);
    assert_true(await(&board->arrived, 1));
    until_asleep(child);
    assert_int_equal(mp_condition_acquire(c, LONG), 0);
    kill(child, SIGUSR1);
    nap(0.05); /* it is on its way out, or not yet: either is well */
    assert_int_equal(mp_condition_notify(c, 1), 1);
    assert_int_equal(mp_condition_release(c), 0);
    assert_int_equal(child_end(child), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, waiting_setup, waiting_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_bad_arguments),
        TEST(test_owner),
        TEST(test_notify_in_order),
        TEST(test_notify_all),
        TEST(test_not_remembered),
        TEST(test_timeouts),
        TEST(test_polls_let_others_in),
        TEST(test_levels),
        TEST(test_deadline_while_locked),
        TEST(test_two_over_one_lock),
        TEST(test_wait_for),
        TEST(test_wait_for_in_steps),
        TEST(test_wait_for_total_deadline),
        TEST(test_interrupt),
        TEST(test_interrupt_before_notify),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
