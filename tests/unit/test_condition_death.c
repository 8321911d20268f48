/* SPDX-License-Identifier: MIT */
/* The condition when waiters, notifiers and owners of its lock are killed or stopped: a notify is
 * neither lost nor doubled, and nobody waits for the dead. */
#include "support/waiting.h"

static void acquire(void)
{
    assert_in_range(mp_condition_acquire(c, LONG), 0, MP_OWNERDEAD);
}

static void release(void)
{
    assert_int_equal(mp_condition_release(c), 0);
}

/* A sleeping waiter is killed: it does not count, wherever it stood. */
static void test_dead_waiters_do_not_count(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++)
        for (unsigned dead = 0; dead < 8; dead++) {
            waiter w[3];
            int alive = 0;
            make(kind);
            start_processes(w, 3, MP_FOREVER);
            for (int i = 0; i < 3; i++)
                if (dead >> i & 1)
                    assert_int_equal(child_kill(w[i].pid), -SIGKILL);
                else
                    alive++;
            if (dead & 4 && alive > 0) { /* one at a time, the oldest alive */
                assert_int_equal(notify(1), 1);
                assert_true(await(&board->left, 1));
                assert_int_equal(board->order[0], dead & 1 ? 1 : 0);
                alive--;
            }
            assert_int_equal(notify(3), alive);
            assert_int_equal(notify(3), 0);
            for (int i = 0; i < 3; i++)
                if (!(dead >> i & 1))
                    assert_int_equal(end_waiter(&w[i]), NOTIFIED);
        }
}

/* Notified, and killed before it has the lock back: another gets the notify, one that waited then,
 * and only one, though nobody comes to the condition any more. */
static void test_notify_passes_on(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        waiter w[4];
        make(kind);
        start_processes(w, 4, MP_FOREVER);
        acquire();
        assert_int_equal(mp_condition_notify(c, 1), 1);
        assert_int_equal(child_kill(w[0].pid), -SIGKILL);
        release();
        settle(1);
        assert_int_equal(end_waiter(&w[1]), NOTIFIED); /* the oldest */
        acquire();
        assert_int_equal(mp_condition_notify(c, 1), 1);
        assert_int_equal(child_kill(w[2].pid), -SIGKILL);
        assert_int_equal(mp_condition_notify(c, 1), 0); /* what was passed on has taken the last */
        release();
        assert_int_equal(end_waiter(&w[3]), NOTIFIED);
        settle(2);
    }
}

/* Passed on again and again, to the last one alive; and given up when there is none. */
static void test_notify_passes_through(void **state)
{
    (void)state;
    waiter w[6];
    for (int alive = 0; alive < 2; alive++) {
        make(OWN);
        start_processes(w, 6, MP_FOREVER);
        acquire();
        assert_int_equal(mp_condition_notify(c, 1), 1);
        for (int i = 0; i < 6 - alive; i++) {
            assert_int_equal(child_kill(w[i].pid), -SIGKILL);
            if (i == 2)
                nap(0.15); /* the others look, find a dead one, and want the lock */
        }
        release();
        if (alive)
            assert_int_equal(end_waiter(&w[5]), NOTIFIED);
        start_processes(w, 1, MP_FOREVER); /* nothing is left for a later one */
        settle((uint32_t)alive);
        assert_int_equal(notify(1), 1);
        assert_int_equal(end_waiter(&w[0]), NOTIFIED);
    }
}

/* Who came after a notify has no claim to it. */
static void test_latecomers_get_nothing(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        waiter w[3];
        make(kind);
        start_processes(w, 1, MP_FOREVER);
        kill(w[0].pid, SIGSTOP);
        until_asleep(w[0].pid);
        assert_int_equal(notify(1), 1);
        for (int i = 1; i < 3; i++) {
            w[i] = (waiter){.index = i, .timeout = MP_FOREVER};
            start_waiter(&w[i], false);
        }
        assert_int_equal(child_kill(w[0].pid), -SIGKILL);
        settle(0);
        assert_int_equal(notify(2), 2);
        assert_int_equal(end_waiter(&w[1]), NOTIFIED);
        assert_int_equal(end_waiter(&w[2]), NOTIFIED);
    }
}

/* A waiter that would time out takes what a dead one has left to it. */
static void test_heir_at_its_deadline(void **state)
{
    (void)state;
    waiter w[2];
    make(OWN);
    start_processes(w, 1, MP_FOREVER);
    w[1] = (waiter){.index = 1, .timeout = 0.3};
    start_waiter(&w[1], false);
    acquire();
    bool in_time = mp__load_seq(&board->left) == 0;
    assert_int_equal(mp_condition_notify(c, 1), 1);
    assert_int_equal(child_kill(w[0].pid), -SIGKILL);
    nap(0.5);
    release();
    assert_int_equal(end_waiter(&w[1]), in_time ? NOTIFIED : TIMED_OUT);
}

/* A stopped waiter has its notify, blocks nobody, and returns when it goes on. */
static void test_stopped_waiters(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        waiter w[3];
        make(kind);
        start_processes(w, 3, MP_FOREVER);
        kill(w[0].pid, SIGSTOP);
        until_asleep(w[0].pid);
        double start = seconds();
        assert_int_equal(notify(1), 1);
        settle(0);
        assert_int_equal(notify(1), 1);
        assert_int_equal(end_waiter(&w[1]), NOTIFIED);
        assert_int_equal(notify(5), 1);
        assert_int_equal(end_waiter(&w[2]), NOTIFIED);
        assert_int_equal(notify(5), 0);
        assert_true(seconds() - start < LONG / 2);
        kill(w[0].pid, SIGCONT);
        assert_int_equal(end_waiter(&w[0]), NOTIFIED);
    }
}

/* Notifies so many, or nobody, and keeps the lock until it is killed. */
static int notify_and_die(void *arg)
{
    int n = *(int *)arg;
    CHECK(mp_condition_acquire(c, MP_FOREVER) == 0);
    CHECK(n == 0 || mp_condition_notify(c, n) == n);
    signal_word(&board->ready);
    for (;;)
        pause();
}

/* The notifier dies with the lock: those it notified come back, one of them told of the death. */
static void test_death_of_the_notifier(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        waiter w[3];
        int n = 2, told = 0;
        make(kind);
        start_processes(w, 3, MP_FOREVER);
        pid_t child = child_start(notify_and_die, &n);
        assert_true(await(&board->ready, 1));
        assert_int_equal(child_kill(child), -SIGKILL);
        for (int i = 0; i < 2; i++) {
            int how = end_waiter(&w[i]);
            assert_true(how == NOTIFIED || how == TOLD_OF_DEATH);
            told += how == TOLD_OF_DEATH;
        }
        assert_int_equal(told, 1);
        settle(2);
        assert_int_equal(notify(1), 1);
        assert_int_equal(end_waiter(&w[2]), NOTIFIED);
    }
}

/* The owner dies while all sleep: the next to take the lock is told, be it at its deadline. */
static void test_death_of_the_owner(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++)
        for (int notified = 0; notified < 2; notified++) {
            waiter w;
            make(kind);
            start_processes(&w, 1, 0.4);
            pid_t child = child_start(notify_and_die, &notified);
            assert_true(await(&board->ready, 1));
            assert_int_equal(child_kill(child), -SIGKILL);
            assert_int_equal(end_waiter(&w), TOLD_OF_DEATH);
            assert_int_equal(mp_condition_acquire(c, 0), 0); /* told once */
            release();
        }
}

/* The notified one is dead, and so is the owner: the sleeper that would pass on is told, ends. */
static void test_told_while_passing_on(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        waiter w[2];
        int n = 1;
        make(kind);
        start_processes(w, 2, MP_FOREVER);
        pid_t child = child_start(notify_and_die, &n);
        assert_true(await(&board->ready, 1));
        assert_int_equal(child_kill(w[0].pid), -SIGKILL);
        assert_int_equal(child_kill(child), -SIGKILL);
        assert_int_equal(end_waiter(&w[1]), TOLD_OF_DEATH);
        assert_int_equal(notify(1), 0);
    }
}

/* Waiters come and are killed, and nobody ever notifies: their records do not become ever more. */
static void test_nobody_notifies(void **state)
{
    (void)state;
    make(OWN);
    waiter w = {.timeout = MP_FOREVER};
    int most = 0;
    start_processes(&w, 1, MP_FOREVER);
    for (int i = 1; i < 100; i++) { /* there is always one alive, the latest */
        waiter next = {.timeout = MP_FOREVER};
        start_waiter(&next, false);
        assert_int_equal(child_kill(w.pid), -SIGKILL);
        w = next;
        most = records_engaged() > most ? records_engaged() : most;
    }
    assert_true(most < 40);
    assert_int_equal(notify(100), 1);
    assert_int_equal(end_waiter(&w), NOTIFIED);
    assert_int_equal(records_engaged(), 0);
}

#define CROWD 6

/* Of a crowd of processes and threads some processes are killed at any moment before and after a
 * notify, while they cannot come back: in the end exactly as many of the living have been woken as
 * were notified. */
static void test_exactly_as_many(void **state)
{
    (void)state;
    random_state s = random_start("test_exactly_as_many");
    for (int round = 0; round < fewer(120); round++) {
        waiter w[CROWD];
        int dead[CROWD] = {0}, alive = CROWD, notified = 0, woken = 0;
        make((int)random_below(&s, KINDS));
        start_waiters(w, CROWD, MP_FOREVER); /* two of them threads */
        acquire();
        for (int i = 0; i < 6; i++) {
            uint32_t victim = random_below(&s, CROWD);
            if (random_below(&s, 2) == 0)
                notified += mp_condition_notify(c, 1 + (int)random_below(&s, 2));
            if (dead[victim] || w[victim].is_thread)
                continue;
            kill(w[victim].pid, SIGKILL);
            dead[victim] = 1;
            alive--;
            if (random_below(&s, 2) == 0) /* sometimes it is still dying */
                assert_int_equal(child_end(w[victim].pid), -SIGKILL), dead[victim] = 2;
        }
        assert_in_range(notified, 0, CROWD);
        release();
        uint32_t expected = (uint32_t)(notified < alive ? notified : alive);
        assert_true(await(&board->left, expected));
        if (round % 8 == 0)
            settle(expected);
        for (int i = 0; i < CROWD; i++)
            if (dead[i] == 1) /* or it would count as alive */
                assert_int_equal(child_end(w[i].pid), -SIGKILL);
        assert_int_equal(notify(CROWD), alive - (int)expected);
        for (int i = 0; i < CROWD; i++)
            if (dead[i] == 0)
                woken += end_waiter(&w[i]) == NOTIFIED;
        assert_int_equal(woken, alive);
    }
}

/* Everybody notifies and waits. Tells what came of it, for the storm. */
static int live(void *arg)
{
    random_state s = (uintptr_t)arg * 977 + (uint64_t)getpid();
    for (;;) {
        int rc = mp_condition_acquire(c, MP_FOREVER);
        CHECK(rc == 0 || rc == MP_OWNERDEAD);
        int n = mp_condition_notify(c, 1 + (int)random_below(&s, 3));
        CHECK(n >= 0 && n <= 3);
        double timeout = random_below(&s, 4) == 0 ? MP_FOREVER : random_below(&s, 3) * 1e-4;
        rc = mp_condition_wait(c, timeout);
        CHECK(rc == 0 || rc == MP_OWNERDEAD || rc == MP_ETIMEDOUT);
        CHECK(timeout > 0 || rc != MP_EINTR);
        signal_word(&board->ready);
        CHECK(mp_condition_release(c) == 0);
    }
}

static void check_usable(void)
{
    waiter w[4];
    mp__store_seq(&board->left, 0);
    mp__store_seq(&board->arrived, 0);
    assert_in_range(mp_condition_acquire(c, LONG), 0, MP_OWNERDEAD);
    assert_int_equal(mp_condition_notify_all(c), 0);
    release();
    start_processes(w, 4, MP_FOREVER);
    assert_int_equal(notify(3), 3);
    settle(3);
    assert_int_equal(notify(3), 1);
    for (int i = 0; i < 4; i++)
        assert_int_equal(end_waiter(&w[i]), NOTIFIED);
    assert_int_equal(records_engaged(), 0);
}

/* Processes are killed at any moment and replaced; the others go on. */
static void test_storm(void **state)
{
    (void)state;
    random_state s = random_start("test_storm");
    for (int kind = 0; kind < KINDS; kind++) {
        pid_t child[CROWD];
        make(kind);
        for (int i = 0; i < CROWD; i++)
            child[i] = child_start(live, NULL);
        for (int kills = 0; kills < fewer(150); kills++) {
            uint32_t before = mp__load_seq(&board->ready);
            if (kills % 4 == 0)
                assert_true(await(&board->ready, before + 20));
            else
                nap(random_below(&s, 800) * 1e-6);
            uint32_t i = random_below(&s, CROWD);
            kill(child[i], SIGKILL);
            assert_int_equal(child_end(child[i]), -SIGKILL);
            child[i] = child_start(live, NULL);
        }
        assert_true(await(&board->ready, mp__load_seq(&board->ready) + 200));
        for (int i = 0; i < CROWD; i++)
            assert_int_equal(child_kill(child[i]), -SIGKILL);
        check_usable();
    }
}

/* Memory that the program takes back, or that is freed, with waiters dead inside. */
static void test_end_with_the_dead(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        waiter w[3];
        make(kind);
        start_processes(w, 3, MP_FOREVER);
        kill(w[2].pid, SIGSTOP);
        assert_int_equal(notify(1), 1);
        assert_int_equal(end_waiter(&w[0]), NOTIFIED);
        assert_int_equal(child_kill(w[1].pid), -SIGKILL);
        assert_int_equal(child_kill(w[2].pid), -SIGKILL);
        assert_int_equal(records_engaged(), 2);
        unmake();
        assert_int_equal(records_engaged(), 0);
    }
}

static int hold_own(void *arg)
{
    mp_lock *second = arg;
    CHECK(mp_condition_acquire(c, MP_FOREVER) == 0);
    CHECK(mp_lock_acquire(second, 0) == 0);
    signal_word(&board->ready);
    CHECK(await(&board->go, 1)); /* freed by the parent meanwhile */
    return 0;
}

/* Freed while another holds its own lock: what comes to lie there is not written over. */
static void test_free_while_another_holds(void **state)
{
    (void)state;
    mp_lock *second;
    make(OWN);
    assert_int_equal(mp_lock_new(&second), 0);
    pid_t child = child_start(hold_own, second);
    assert_true(await(&board->ready, 1));
    mp_condition_free(c);
    c = NULL;
    enum { BLOCKS = 2048 };
    static unsigned char *block[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        block[i] = mp_shared_alloc(sizeof(mp_condition));
        memset(block[i], 0x5a, sizeof(mp_condition));
    }
    signal_word(&board->go);
    assert_int_equal(child_end(child), 0);
    for (int i = 0; i < BLOCKS; i++) {
        for (size_t k = 0; k < sizeof(mp_condition); k++)
            assert_int_equal(block[i][k], 0x5a);
        mp_shared_free(block[i]);
    }
    assert_int_equal(mp_lock_acquire(second, 0), MP_OWNERDEAD);
    mp_lock_free(second);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, waiting_setup, waiting_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_dead_waiters_do_not_count), TEST(test_notify_passes_on),
        TEST(test_notify_passes_through),     TEST(test_latecomers_get_nothing),
        TEST(test_heir_at_its_deadline),      TEST(test_stopped_waiters),
        TEST(test_death_of_the_notifier),     TEST(test_death_of_the_owner),
        TEST(test_told_while_passing_on),     TEST(test_nobody_notifies),
        TEST(test_exactly_as_many),           TEST(test_storm),
        TEST(test_end_with_the_dead),         TEST(test_free_while_another_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
