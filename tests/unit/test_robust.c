/* SPDX-License-Identifier: MIT */
/* Robust words in the C library's list, beside its own mutexes; and the mutex that stands on
 * them. */
#include "os/robust.h"

#include "os/clock.h"
#include "os/mutex.h"
#include "support/shared.h"

#include <linux/futex.h>
#include <mproc/error.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { THEIRS = 40, OURS = 60 };

static struct memory {
    pthread_mutex_t theirs[THEIRS];
    mp__mutex ours[OURS];
    word words[8];
} * m;

static int setup(void **state)
{
    (void)state;
    m = common(sizeof *m);
    if (m == NULL || mp__robust_check() != 0)
        return -1;
    pthread_mutexattr_t robust;
    pthread_mutexattr_init(&robust);
    pthread_mutexattr_setpshared(&robust, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&robust, PTHREAD_MUTEX_ROBUST);
    for (int i = 0; i < THEIRS; i++)
        pthread_mutex_init(&m->theirs[i], &robust);
    pthread_mutexattr_destroy(&robust);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    munmap(m, sizeof *m);
    return 0;
}

/* How many entries this thread's list has; -1 if its links back are wrong. */
static int list_length(void)
{
    struct robust_list_head *head = mp__thread_self()->robust;
    int n = 0;
    for (void **at = (void **)head->list.next; at != (void **)&head->list; at = *at, n++)
        if (n > 5000 || *((void ***)at - 1) == NULL || **((void ***)at - 1) != at)
            return -1;
    return head->list_op_pending == NULL ? n : -2;
}

static void test_empty_list(void **state)
{
    (void)state;
    assert_int_equal(list_length(), 0);
    for (int i = 0; i < OURS; i++)
        assert_false(mp__mutex_lock(&m->ours[i]));
    assert_int_equal(list_length(), OURS);
    for (int i = 0; i < OURS; i++)
        mp__mutex_unlock(&m->ours[i * 7 % OURS]);
    assert_int_equal(list_length(), 0);
}

/* Takes and releases both kinds in wild order, then dies, or ends its thread, with some of them. */
static int mix(void *arg)
{
    random_state s = *(random_state *)arg;
    bool held[THEIRS + OURS] = {false};
    int n = 0;
    for (int step = 0; step < 3000; step++) {
        uint32_t i = random_below(&s, THEIRS + OURS);
        if (i < THEIRS)
            CHECK((held[i] ? pthread_mutex_unlock : pthread_mutex_trylock)(&m->theirs[i]) == 0);
        else if (held[i])
            mp__mutex_unlock(&m->ours[i - THEIRS]);
        else
            CHECK(!mp__mutex_lock(&m->ours[i - THEIRS]));
        n += held[i] ? -1 : 1;
        held[i] = !held[i];
        CHECK(list_length() == n);
        if (i >= THEIRS)
            CHECK(mp__mutex_is_mine(&m->ours[i - THEIRS]) == held[i]);
    }
    mp__store_seq(&m->words[0], (uint32_t)n);
    return 0;
}

static int mix_in_thread(void *arg)
{
    task t;
    CHECK(task_start(&t, mix, arg) == 0);
    return task_end(&t);
}

static int mix_and_be_killed(void *arg)
{
    CHECK(mix(arg) == 0);
    kill(getpid(), SIGKILL);
    return 1;
}

static void test_mixed_with_theirs(void **state)
{
    (void)state;
    random_state s = random_start("test_mixed_with_theirs");
    int (*how[])(void *) = {mix, mix_in_thread, mix_and_be_killed};
    for (int round = 0; round < 9; round++) {
        random_next(&s);
        assert_int_equal(child_end(child_start(how[round % 3], &s)), round % 3 == 2 ? -SIGKILL : 0);
        uint32_t dead = 0;
        for (int i = 0; i < THEIRS; i++) {
            int rc = pthread_mutex_lock(&m->theirs[i]);
            dead += rc == EOWNERDEAD;
            if (rc == EOWNERDEAD)
                pthread_mutex_consistent(&m->theirs[i]);
            pthread_mutex_unlock(&m->theirs[i]);
        }
        for (int i = 0; i < OURS; i++) {
            int rc = mp__mutex_acquire(&m->ours[i], MP__AT_ONCE, false);
            assert_in_range(rc, 0, MP_OWNERDEAD);
            dead += rc == MP_OWNERDEAD;
            mp__mutex_unlock(&m->ours[i]);
        }
        assert_int_equal(dead, mp__load_seq(&m->words[0])); /* all that it held, and no other */
    }
    assert_int_equal(list_length(), 0);
}

/* A forked child holds nothing, and its list is its own. */
static int look_as_child(void *arg)
{
    (void)arg;
    CHECK(list_length() == 0);
    CHECK(mp__thread_self()->tid == (uint32_t)getpid() && mp__thread_self()->held == 0);
    CHECK(!mp__mutex_is_mine(&m->ours[0]));
    CHECK(mp__mutex_acquire(&m->ours[0], MP__AT_ONCE, false) == MP_ETIMEDOUT);
    CHECK(mp__mutex_lock_briefly(&m->ours[0]) == MP_EAGAIN);
    CHECK(mp__mutex_lock_briefly(&m->ours[1]) == 0);
    return 0;
}

static int fork_in_thread(void *arg)
{
    CHECK(child_end(child_start(look_as_child, arg)) == 0);
    return 0;
}

static void test_fork(void **state)
{
    (void)state;
    task t;
    assert_false(mp__mutex_lock(&m->ours[0]));
    assert_int_equal(child_end(child_start(look_as_child, NULL)), 0);
    assert_true(mp__mutex_lock(&m->ours[1])); /* the child's end */
    mp__mutex_unlock(&m->ours[1]);
    assert_int_equal(task_start(&t, fork_in_thread, NULL), 0);
    assert_int_equal(task_end(&t), 0);
    assert_true(mp__mutex_is_mine(&m->ours[0]));
    mp__mutex_unlock(&m->ours[0]);
}

/* Killed at any moment of locking and unlocking: the next always gets it. */
static int lock_for_ever(void *arg)
{
    (void)arg;
    for (;;) {
        int rc = mp__mutex_acquire(&m->ours[0], mp__deadline_in_ns(60 * MP__NS_PER_S), false);
        CHECK(rc >= 0);
        CHECK(mp__add_seq(&m->words[1], 1) == 0 || rc == MP_OWNERDEAD); /* alone in here */
        mp__store_seq(&m->words[1], 0);
        mp__mutex_unlock(&m->ours[0]);
        mp__add_seq(&m->words[2], 1);
    }
}

static int hold_nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* A word whose thread is gone without the kernel's mark: who looks again marks it; and a thread
 * that got the number of the dead one takes an internal lock for what it is, a dead owner's. */
static void test_orphans(void **state)
{
    (void)state;
    mp__mutex *mutex = &m->ours[0];
    pid_t gone = child_start(hold_nothing, NULL);
    assert_int_equal(child_end(gone), 0);
    int before = list_length();

    mp__store_relaxed(&mutex->word, mp__thread_self()->tid);
    assert_false(mp__robust_reclaim(&mutex->word)); /* it lives */
    assert_true(mp__mutex_lock(mutex));
    assert_int_equal(list_length(), before + 1);
    mp__mutex_unlock(mutex);
    assert_int_equal(list_length(), before);
    assert_int_equal(mp__load_relaxed(&mutex->word), 0);

    mp__store_relaxed(&mutex->word, (uint32_t)gone | MP__WAITERS);
    assert_true(mp__robust_reclaim(&mutex->word));
    assert_int_equal(mp__load_relaxed(&mutex->word), MP__OWNER_DIED | MP__WAITERS);
    mp__store_relaxed(&mutex->word, (uint32_t)gone);
    assert_true(mp__mutex_lock(mutex)); /* after 100 ms */
    mp__mutex_unlock(mutex);
}

static void test_storm(void **state)
{
    (void)state;
    enum { WORKERS = 4 };
    pid_t child[WORKERS];
    random_state s = random_start("test_storm");
    for (int i = 0; i < WORKERS; i++)
        child[i] = child_start(lock_for_ever, NULL);
    for (int k = 0; k < fewer(600); k++) {
        uint32_t i = random_below(&s, WORKERS), before = mp__load_seq(&m->words[2]);
        if (k % 8 == 0)
            assert_true(await(&m->words[2], before + 20));
        nap(random_below(&s, 500) * 1e-6);
        assert_int_equal(child_kill(child[i]), -SIGKILL);
        child[i] = child_start(lock_for_ever, NULL);
    }
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(child_kill(child[i]), -SIGKILL);
    assert_in_range(mp__mutex_acquire(&m->ours[0], MP__AT_ONCE, false), 0, MP_OWNERDEAD);
    mp__mutex_unlock(&m->ours[0]);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_empty_list), TEST(test_mixed_with_theirs), TEST(test_fork), TEST(test_orphans),
        TEST(test_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
